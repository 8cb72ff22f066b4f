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
mod options;
mod pipeline;
mod process;
mod read;
mod report;

pub use avocet_model as model;
pub use avocet_model::{
    capabilities::{Capabilities, Program},
    error::{Error, LibavError, Result, Step},
    frames::{FrameRequest, Wanted},
    plan::Plan,
    progress::{CancelToken, Fetched, Phase, Progress},
};
pub use elsewhere::Elsewhere;
pub use engine::{Engine, Settings};
#[cfg(all(unix, feature = "workers"))]
pub use io::{InputProxy, ProxiedInputs};
pub use io::{Reach, RemoteSettings, Source, special_purpose};
pub use options::{OpenOptions, ProbeOptions, RunOptions};
pub use pipeline::samples::{SampleBlock, Samples};
pub use process::ProcessSettings;
#[cfg(all(target_os = "linux", feature = "door"))]
pub use process::door;
#[cfg(all(unix, feature = "workers"))]
pub use process::workers;
pub use read::{
    frames::{Frames, Picture, Plane, VideoReader},
    packets::{MediaPacket, Packets},
};
pub use report::{Report, Stats, Written};
