//! Runs the `ffmpeg` program in a child process, for plans that consist of its arguments.
//!
//! The Linux kernel confines the child; on other systems it is not started.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod child;
#[cfg(not(target_os = "linux"))]
#[path = "refused.rs"]
mod child;
#[cfg(all(target_os = "linux", feature = "door"))]
#[expect(unsafe_code, reason = "it makes any system call")]
pub mod door;
mod program;
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "it makes calls between fork and exec")]
mod sandbox;
#[cfg(all(unix, feature = "workers"))]
pub mod workers;

use std::{ops::ControlFlow, path::PathBuf, time::Instant};

use avocet_model::{
    capabilities::Program,
    plan::Plan,
    progress::{CancelToken, Meter, Progress, Reading},
};

use crate::{io::Unfinished, pipeline::run::show_end};

/// How the `ffmpeg` program is run.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// The program; `None`, the default, is the one that came with the running program, in
    /// `../lib/avocet` from its folder, or else the first `ffmpeg` in `PATH`.
    pub program: Option<PathBuf>,
    /// The longest it may run, in seconds. Default: 6 hours.
    pub max_seconds: u64,
    /// The most resident memory that it may use, in bytes. Default: 4 GiB.
    pub max_memory: u64,
    /// The largest file that it may write, in bytes. Default: 64 GiB.
    pub largest_file: u64,
    /// The most that its working folder may hold, in bytes. Default: 64 GiB.
    pub max_space: u64,
    /// The folder in which it runs, on the disk of the outputs at best; what it leaves there stays.
    /// `None`, the default, is a private folder beside the first output, which is removed.
    pub folder: Option<PathBuf>,
    /// Whether it is an error when the kernel can not enforce the whole sandbox. Default: `false`,
    /// which leaves a warning. On other systems than Linux it is always an error.
    pub needs_sandbox: bool,
}

impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            program: None,
            max_seconds: 6 * 3600,
            max_memory: 4 << 30,
            largest_file: 64 << 30,
            max_space: 64 << 30,
            folder: None,
            needs_sandbox: false,
        }
    }
}

/// The program on this machine, and what of its sandbox is not enforced; `None` where there is
/// none.
pub(crate) fn describe(settings: &ProcessSettings) -> Option<Program> {
    let path = program::find(settings.program.as_deref()).ok()?;
    let version = program::version(&path);
    Some(Program { path, version, unprotected: child::unprotected() })
}

/// What is needed to run the program.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "it is not run there"))]
pub(crate) struct Runner<'a, F> {
    pub(crate) settings: &'a ProcessSettings,
    pub(crate) unfinished: &'a Unfinished,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) observe: &'a mut F,
    pub(crate) meter: &'a mut Meter,
    pub(crate) begun: Instant,
    /// Release of the linked libav.
    pub(crate) linked: String,
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> Runner<'_, F> {
    /// Reports the last progress: the outputs are in their places.
    pub(crate) fn done(&mut self, plan: &Plan) {
        let now = Reading { total: plan.seconds, ..Reading::default() };
        let progress = self.meter.done(now, self.begun.elapsed());
        show_end(self.observe, progress);
    }
}
