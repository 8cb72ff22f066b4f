//! Why a contender could not be measured.

use std::{io, path::PathBuf};

/// What the parts of this command answer.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a run failed, or its preparation.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The user stopped the command.
    #[error("cancelled")]
    Cancelled,
    /// The arguments are wrong, or ask for something that can not be measured.
    #[error("{0}")]
    Usage(String),
    /// A program could not be started.
    #[error("can not start {program}: {source}")]
    Start { program: String, source: io::Error },
    /// A program ended with a failure status.
    #[error("`{command}` failed: {log}")]
    Failed { command: String, log: String },
    /// The output of a program could not be parsed.
    #[error("{program} answered `{found}`, expected {expected}")]
    Answer { program: String, found: String, expected: &'static str },
    /// A file or folder of this command could not be used.
    #[error("can not {what} {}: {source}", .path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    /// The Avocet library failed.
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
