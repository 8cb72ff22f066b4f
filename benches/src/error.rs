//! Why a contender has no figures.

use std::{io, path::PathBuf};

/// What the parts of this command answer.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run of a contender, or what it needs, failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The user stopped the command.
    #[error("cancelled")]
    Cancelled,
    /// The arguments ask for what can not be timed.
    #[error("{0}")]
    Usage(String),
    /// A program does not start.
    #[error("can not start {program}: {source}")]
    Start { program: String, source: io::Error },
    /// A program ended with a failure.
    #[error("`{command}` failed: {log}")]
    Failed { command: String, log: String },
    /// A program answered what nobody can read.
    #[error("{program} answered `{found}`, expected {expected}")]
    Answer { program: String, found: String, expected: &'static str },
    /// A file of this command's own.
    #[error("can not {what} {}: {source}", .path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    /// Avocet itself.
    #[error(transparent)]
    Job(#[from] avocet::Error),
}

impl Error {
    /// The error of a file, for `map_err`.
    pub(super) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
