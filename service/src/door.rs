//! For tests of the confinement only: system calls of a worker that somebody has taken over.

use std::{io, path::Path};

pub use avocet_engine::door::{Argument, Call};
use avocet_engine::{
    Elsewhere, RemoteSettings,
    workers::{Sandbox, find_ffmpeg},
};

use crate::{
    model::{
        config::Config,
        protocol::{Event, Order, Purpose},
    },
    workers::{Kind, Program},
};

/// Where a worker is started, and as what.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The program `avocet`, built with the feature `door`.
    pub program: &'a Path,
    /// The folder in which the worker gets its own.
    pub folder: &'a Path,
    /// The newest Landlock ABI that is used: 1 to 6.
    pub landlock: i32,
    /// Whether the worker may start the `ffmpeg` program.
    pub starts_ffmpeg: bool,
}

/// What of the confinement this kernel does not enforce, in words.
pub fn missing() -> Option<String> {
    Sandbox::of_this_kernel().missing()
}

/// Starts a worker as a service does, and has it make calls, which depend on its folder. Answers
/// their results, or negative error numbers.
///
/// # Errors
/// When the worker can not be started, or does not answer.
pub async fn through(
    trial: Trial<'_>,
    calls: impl FnOnce(&Path) -> Vec<Call>,
) -> io::Result<Vec<i64>> {
    let program = Program {
        path: trial.program.canonicalize()?,
        ffmpeg: find_ffmpeg(),
        folder: trial.folder.to_owned(),
        sandbox: Sandbox::of_this_kernel().up_to_landlock(trial.landlock),
        fetcher: Elsewhere::new(RemoteSettings::default()),
    };
    let kind = if trial.starts_ffmpeg { Kind::Ffmpeg } else { Kind::Recipes };
    let mut worker = program.start(kind)?;
    let purpose = Purpose::Door(calls(&worker.outputs()));
    let limits = Config::default().limits();
    worker.run(Order { document: String::new(), purpose, limits }, Vec::new()).await?;
    match worker.event().await {
        Some(Event::Through(answers)) => Ok(answers),
        other => Err(io::Error::other(format!("the worker answered {other:?}"))),
    }
}
