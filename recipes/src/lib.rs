//! Job documents: what a job may ask for, and all that is wrong with one that asks otherwise.
//!
//! A document is text, then a [`Tree`] that keeps order and duplicate keys, then, once a single
//! walk has found nothing wrong with it, a [`Job`] of plain values. The tables behind
//! [`RecipeName::parameters`] are the one list of what each recipe takes.
//!
//! ```
//! use avocet_recipes::{Door, Job};
//!
//! let document = r#"{
//!     "mode": "recipe",
//!     "input": { "url": "holiday.mp4" },
//!     "output": { "format": "jpg" },
//!     "recipe": { "name": "thumbnail", "seekSecond": -1, "quality": 101 }
//! }"#;
//! let error = Job::from_json(document, Door::Program).unwrap_err();
//! assert_eq!(error.code(), "VALIDATION_ERROR");
//! assert_eq!(error.problems()[0].path, "recipe.seekSecond");
//! assert_eq!(error.problems()[1].allowed, "an integer 1 to 100");
//! ```

#![forbid(unsafe_code)]

mod check;
mod choose;
mod codec;
mod compile;
mod compress;
mod concat;
mod container;
mod cost;
mod custom;
mod cut;
mod document;
mod elsewhere;
mod error;
mod errors;
mod extract_audio;
mod format;
mod job;
mod level;
mod limit;
mod look;
mod merge;
mod parameter;
mod picture;
mod projection;
mod proxy;
mod reasons;
mod recipe;
mod resize;
mod seam;
mod select;
mod sound;
mod storyboard;
mod thumbnail;
mod transcode;
mod tree;
mod trim;
mod video;
mod web_ready;

pub use check::Door;
pub use choose::{Copied, copied_codecs};
pub use codec::{Preset, VideoCodec};
pub use compile::{Circumstances, Probed};
pub use compress::Compress;
pub use concat::Concat;
pub use custom::{
    BITSTREAM_FILTERS, CODECS, CustomOption, DEMUXERS, EXTENSIONS, FILTERS, Filter, MUXERS,
    OPTIONS, OptionGroup, Scope,
};
pub use error::{DocumentError, Problem};
pub use errors::{ERRORS, ErrorCode, ErrorGroup, error_code};
pub use extract_audio::ExtractAudio;
pub use format::Format;
pub use job::{Job, JobInput, JobOutputs, Task};
pub use look::{Look, When};
pub use merge::merge;
pub use parameter::{Accuracy, Kind, Parameter, Tracks};
pub use proxy::{Gop, Proxy};
pub use reasons::{REASONS, ReasonGroup};
pub use recipe::{Recipe, RecipeName};
pub use resize::{Fit, Resize};
pub use storyboard::{MOST_THUMBNAILS, Spread, Storyboard, Thumbnails};
pub use thumbnail::Thumbnail;
pub use transcode::Transcode;
pub use tree::Tree;
pub use trim::{Range, Trim};
pub use web_ready::WebReady;
