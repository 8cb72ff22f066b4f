//! Runs transcoding plans on libav, in process.
//!
//! A [`Plan`] is plain data: which streams of which inputs are read, what becomes of each, and
//! where the result goes. [`Engine::run`] opens everything a plan names, moves packets and frames
//! through a pipeline of stages, shows [`Progress`] on the calling thread, reads the result back,
//! and only then lets it appear at its name. A [`CancelToken`] stops a run from another thread.
//!
//! Plans are made by the crate `avocet-recipes`; this one decides nothing.

mod approach;
#[expect(unsafe_code, reason = "the only room that calls libav")]
mod av;
mod capabilities;
mod change;
mod container;
mod cost;
mod damage;
mod elsewhere;
mod engine;
mod error;
mod exif;
mod flv;
mod frames;
#[cfg(fuzzing)]
pub mod fuzzing;
mod glance;
mod head;
mod index;
mod io;
mod limits;
mod matroska;
mod media;
mod movie;
mod mxf;
mod nal;
mod pictures;
mod pipeline;
mod plan;
mod process;
mod progress;
mod reader;
mod retries;
mod riff;
mod run;
mod stage;
mod tally;
mod time;
mod verify;

pub use capabilities::Capabilities;
pub use cost::Cost;
pub use engine::{Engine, Report, Settings, Stats, Written};
pub use error::{Error, LibavError, Result, Step};
pub use frames::{FrameRequest, Frames, Picture, Plane, Wanted};
pub use index::{Entry, Index, IndexedPacket, StreamIndex};
pub use io::{
    Fetched, Given, Location, Reach, RemoteError, RemoteSettings, Source, special_purpose,
    without_secrets,
};
pub use media::{
    AudioInfo, Chapter, Color, Crop, Disposition, DolbyVision, Hdr, Kind, LightLevel,
    MasteringDisplay, MediaInfo, Orientation, Origin, PixelFormat, ProgramInfo, Projection, Scan,
    Sphere, Stereo, StreamInfo, SubtitleInfo, Tags, VideoInfo,
};
pub use movie::{Aperture, Edit, Movie, MovieTrack};
pub use nal::avc::{AvcSequence, AvcSets};
pub use plan::{
    Action, Argument, Content, Dropped, Encoder, FrameFormat, Input, Instant, Output, Part,
    PictureFormat, Plan, Process, Reason, Select, Sheet, SoundFormat, Span, Splice, Strategy,
    StreamId, Track, TrackKind,
};
pub use process::{ProcessSettings, Program};
pub use progress::{CancelToken, Progress};
pub use time::{Rational, TimeBase, Timestamp, greatest_common_divisor};
