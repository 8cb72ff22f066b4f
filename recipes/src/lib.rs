//! Job documents: what a job may ask for, and all that is wrong with one that asks otherwise.
//!
//! A document is text, then a [`Tree`] that keeps order and duplicate keys, then, once a single
//! walk has found nothing wrong with it, a [`Job`] of plain values. The tables behind
//! [`RecipeName::parameters`] are the one list of what each recipe takes.
//!
//! ```
//! use avocet_recipes::{Job, Policy};
//!
//! let document = r#"{
//!     "mode": "recipe",
//!     "input": { "url": "holiday.mp4" },
//!     "output": { "format": "jpg" },
//!     "recipe": { "name": "thumbnail", "seekSecond": -1, "quality": 101 }
//! }"#;
//! let error = Job::from_json(document, Policy::Program).unwrap_err();
//! assert_eq!(error.code(), "VALIDATION_ERROR");
//! assert_eq!(error.problems()[0].path, "recipe.seekSecond");
//! assert_eq!(error.problems()[1].allowed, "an integer 1 to 100");
//! ```

#![forbid(unsafe_code)]

mod compile;
mod custom;
mod decide;
mod draft;
mod job;
mod read;
mod recipe;
mod words;

pub use custom::{
    BITSTREAM_FILTERS, CODECS, CustomOption, DEMUXERS, EXTENSIONS, FILTERS, Filter, MUXERS,
    OPTIONS, OptionGroup, Scope,
};
pub use decide::{
    context::{CompileContext, Probed},
    copyable::{Copied, copied_codecs},
    frames::{FrameQuery, FrameTimes},
    samples::{SampleFormat, SampleQuery},
};
pub use draft::JobDraft;
pub use job::{CheckedJob, ForService, Job, JobInput, JobOutputs, MAX_METADATA, Priority, Task};
pub use read::{check::Policy, merge::merge};
pub use recipe::{
    Recipe, RecipeName,
    compress::Compress,
    concat::Concat,
    extract_audio::ExtractAudio,
    proxy::{Gop, Proxy},
    resize::Resize,
    sampling::Sampling,
    storyboard::Storyboard,
    thumbnail::Thumbnail,
    thumbnails::{MAX_THUMBNAILS, Thumbnails},
    transcode::Transcode,
    trim::{Range, Trim},
    web_ready::WebReady,
};
pub use words::{
    codec::{Preset, VideoCodec},
    error::{DocumentError, Problem},
    errors::{ERRORS, ErrorCode, ErrorGroup, error_code},
    format::Format,
    parameter::{Accuracy, Fit, Kind, Parameter, Tracks},
    reasons::{REASONS, ReasonGroup},
    tree::Tree,
};
