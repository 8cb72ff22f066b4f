//! Systems that have no way to confine a child process: it is not started there.

use std::{io, process::Command};

use super::Allowed;

/// Whether this system can confine a child process at all.
pub(super) const IS_THERE: bool = false;

/// Which layers of the sandbox this system enforces: none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layers;

impl Layers {
    /// What is not enforced, in words.
    pub(crate) fn missing(self) -> Option<String> {
        Some("the sandbox of the ffmpeg program needs Linux (Landlock and seccomp)".to_owned())
    }

    /// Nothing is there to be tried.
    pub(crate) fn of_this_kernel() -> Self {
        Self
    }
}

/// Lets a command start confined, which it can not here.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub(super) fn confine(_: &mut Command, _: &Allowed<'_>, _: Layers) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
