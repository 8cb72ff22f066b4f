//! Stands in for `child` on systems that can not confine a child process: it is not started there.

use std::ops::ControlFlow;

use avocet_model::{
    error::{Error, Result},
    plan::{Plan, Process, Reason},
    progress::Progress,
};

use super::Runner;
use crate::io::{Sink, Sources};

/// What is not enforced here, in words.
pub(super) fn unprotected() -> Option<String> {
    Some("Landlock and seccomp, which confine the ffmpeg program, exist on Linux only".to_owned())
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> Runner<'_, F> {
    /// Refuses to run the program of a plan.
    ///
    /// # Errors
    /// Always [`Error::Unprotected`].
    pub(crate) fn run(
        &mut self,
        _: &Plan,
        _: &Process,
        _: &Sources,
    ) -> Result<(Vec<Sink>, Vec<Reason>)> {
        Err(Error::Unprotected { what: unprotected().unwrap_or_default() })
    }
}
