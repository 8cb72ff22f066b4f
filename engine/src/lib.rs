//! Runs transcoding plans on libav, in process.
//!
//! A [`Plan`] is plain data: which streams of which inputs are read, what becomes of each, and
//! where the result goes. [`Engine::run`] opens everything a plan names, moves packets and frames
//! through a pipeline of stages, shows [`Progress`] on the calling thread, reads the result back,
//! and only then lets it appear at its name. A [`CancelToken`] stops a run from another thread.
//!
//! Plans are made by the crate `avocet-recipes`; this one decides nothing.

mod elsewhere;
mod engine;
#[cfg(fuzzing)]
pub mod fuzzing;
mod io;
#[expect(unsafe_code, reason = "the only room that calls libav")]
mod libav;
mod pipeline;
mod process;
mod read;
mod report;

pub use avocet_model as model;
pub use avocet_model::{
    capabilities::{Capabilities, Program},
    cost::Cost,
    error::{Error, LibavError, Result, Step},
    frames::{FrameRequest, Wanted},
    index::{Index, IndexedPacket, RandomAccess, StreamIndex},
    location::{Location, without_secrets},
    media::{
        AudioInfo, Chapter, Color, Crop, Disposition, DolbyVision, Hdr, Kind, LightLevel,
        MasteringDisplay, MediaInfo, Orientation, Origin, PixelFormat, ProgramInfo, Projection,
        Scan, Sphere, Stereo, StreamInfo, SubtitleInfo, Tags, VideoInfo,
        movie::{Aperture, Edit, Movie, MovieTrack},
    },
    plan::{
        Action, Argument, Content, CopiedRun, Dropped, Encoder, FrameFormat, FramePick, Input,
        Output, Part, PictureFormat, Plan, Process, Reason, Select, SoundFormat, Span, SpriteSheet,
        Strategy, StreamId, Track, TrackKind,
    },
    progress::{CancelToken, Fetched, Progress},
    remote::RemoteError,
    time::{Rational, TimeBase, Timestamp, greatest_common_divisor},
};
pub use engine::{Engine, Settings};
pub use io::{CallerStreams, Reach, RemoteSettings, Source, special_purpose};
pub use process::ProcessSettings;
pub use read::frames::{Frames, Picture, Plane};
pub use report::{Report, Stats, Written};
