//! Transcodes media in process on libav (FFmpeg's libraries): it plans first, does no work it need
//! not do, says why, and verifies what it wrote before it calls it done.
//!
//! An input is a path, a URL (feature `remote`) or a [`Source`] of yours; times are seconds from the
//! earliest presentation time of the input. Functions block; with the feature `tokio` jobs are futures
//! and what they give are streams. The guide is in
//! [`docs/guide`](https://github.com/avocet-media/avocet/tree/main/docs/guide).
//!
//! ```toml
//! [dependencies]
//! # By default local files only. `remote`: URLs and object stores; `tokio`: futures and streams;
//! # `image` and `ndarray`: pictures and samples as their types.
//! avocet = { version = "0.1", features = ["remote", "tokio"] }
//! ```
//!
//! # A thumbnail
//!
//! ```no_run
//! let report = avocet::thumbnail("holiday.mp4").at(1.5).width(320).output("holiday.jpg").run()?;
//! println!("{} bytes", report.outputs[0].size_bytes);
//! # Ok::<(), avocet::Error>(())
//! ```
//!
//! # A trim
//!
//! Exact to the frame and the sample. What can be copied is copied; the pictures between the ends of
//! the section and the next keyframes are encoded in the same form.
//!
//! ```no_run
//! let report = avocet::trim("holiday.mp4").range(12.0..42.0).output("clip.mp4").run()?;
//! println!("{}: {} frames encoded", report.strategy.name(), report.stats.video_frames_encoded);
//! # Ok::<(), avocet::Error>(())
//! ```
//!
//! # Pictures in memory
//!
//! ```no_run
//! for picture in avocet::frames("holiday.mp4").at([1.0, 2.5]).size(224, 224).rgb24().iter()? {
//!     let picture = picture?;
//!     let bytes: Vec<u8> = picture.packed(); // height × width × 3
//!     println!("{:?} s, keyframe: {}, {} bytes", picture.seconds(), picture.is_keyframe(), bytes.len());
//! }
//! # Ok::<(), avocet::Error>(())
//! ```
//!
//! # Sound in memory
//!
//! ```no_run
//! let mut samples: Vec<f32> = Vec::new();
//! for block in avocet::audio("talk.mp4").mono().rate(16_000).f32().iter()? {
//!     samples.extend(block?.to_f32());
//! }
//! # Ok::<(), avocet::Error>(())
//! ```
//!
//! # A plan
//!
//! What a run will do to each stream, and why, before anything is done. A plan is plain data: it can be
//! printed, kept as JSON, edited, and run later by [`Engine::run`].
//!
//! ```no_run
//! let planned = avocet::web_ready("holiday.mkv").output("holiday.mp4").plan()?;
//! println!("{planned}");
//! let report = planned.run()?;
//! # Ok::<(), avocet::Error>(())
//! ```
//!
//! # Progress
//!
//! ```no_run
//! avocet::compress("holiday.mp4")
//!     .output("small.mp4")
//!     .progress(|now| println!("{:.0} %, {:.1}×", now.fraction * 100.0, now.speed.unwrap_or(0.0)))
//!     .run()?;
//! # Ok::<(), avocet::Error>(())
//! ```
//!
//! # Cancellation
//!
//! ```no_run
//! use avocet::CancelToken;
//!
//! let cancel = CancelToken::new();
//! let theirs = cancel.clone();
//! std::thread::spawn(move || theirs.cancel());
//! let result = avocet::proxy("camera.mxf").output("proxy.mp4").cancel(&cancel).run();
//! assert_eq!(result.unwrap_err().code(), "CANCELLED"); // and no file is left behind
//! ```
//!
//! # Errors
//!
//! [`Error::Values`] tells all that is wrong with the values at once, [`Error::Document`] the same of
//! a document in JSON, [`Error::Engine`] what went wrong with the media or the machine. Each has a [`code`](Error::code), a [`step`](Error::step) and
//! say whether it may help to [try again](Error::retryable).
//!
//! # What costs what
//!
//! [`Engine`] is cheap to clone and may be shared between threads; it keeps the indexes of the files
//! that were asked for last. Functions without one share an engine with default settings. Nothing else
//! is global.

#![forbid(unsafe_code)]

mod builder;
mod error;
mod input;
mod look;
mod place;

pub use avocet_engine::{
    self as engine, CancelToken, Engine, MediaPacket, Phase, Picture, Plane, Progress, Report,
    SampleBlock, Settings, Stats, Step, Written,
};
pub use avocet_model::plan::Plan;
pub use avocet_recipes::{
    self as recipes, Accuracy, CheckedJob, DocumentError, Format, Job, Policy, Problem,
};
pub use builder::{
    Builder, Planned, TimeRange, compress, concat, extract_audio, job, proxy, resize, storyboard,
    thumbnail, thumbnails, transcode, trim, web_ready,
};
#[cfg(feature = "tokio")]
pub use builder::{ProgressStream, Running};
pub use error::Error;
pub use input::Input;
pub use io::Source;
#[cfg(feature = "tokio")]
pub use look::BlockingStream;
pub use look::{
    AudioBuilder, FrameBuilder, Frames, PacketBuilder, Packets, Reading, Samples, Video, audio,
    frames, packets, probe,
};

/// What a run does, as plain data: the parts of a [`Plan`].
pub mod plan {
    pub use avocet_model::{
        cost::Cost,
        plan::{
            Action, Argument, Content, CopiedRun, Dropped, Encoder, FrameFormat, FramePick, Input,
            Output, Part, PictureFormat, Plan, Process, Reason, Select, SoundFormat, Span,
            SpriteSheet, Strategy, StreamId, Track, TrackKind,
        },
    };
}

/// What probing and indexing find in an input, and times.
pub mod media {
    pub use avocet_model::{
        index::{Index, IndexedPacket, RandomAccess, StreamIndex},
        media::{
            AudioInfo, Chapter, Color, Crop, Disposition, DolbyVision, Hdr, Kind, LightLevel,
            MasteringDisplay, MediaInfo, Orientation, Origin, PixelFormat, ProgramInfo, Projection,
            Scan, Sphere, Stereo, StreamInfo, SubtitleInfo, Tags, VideoInfo,
            movie::{Aperture, Edit, Movie, MovieTrack},
        },
        time::{Rational, TimeBase, Timestamp, greatest_common_divisor},
    };
}

/// Where media is, and how it is read and written.
pub mod io {
    pub use avocet_engine::{Reach, RemoteSettings, Source, special_purpose};
    pub use avocet_model::{
        location::{Location, without_secrets},
        remote::RemoteError,
    };

    pub use crate::place::{Target, input_url, locate};
}

/// The guide, whose blocks of Rust are tests.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../docs/guide/cut-a-clip.md")]
    struct CutAClip;
    #[doc = include_str!("../../docs/guide/plays-everywhere.md")]
    struct PlaysEverywhere;
    #[doc = include_str!("../../docs/guide/pictures-for-a-model.md")]
    struct PicturesForAModel;
    #[doc = include_str!("../../docs/guide/audio-for-speech.md")]
    struct AudioForSpeech;
    #[doc = include_str!("../../docs/guide/embedding.md")]
    struct Embedding;
    #[cfg(feature = "tokio")]
    #[doc = include_str!("../../docs/guide/behind-axum.md")]
    struct BehindAxum;
}
