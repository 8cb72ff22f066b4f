//! How a job fails: its document, or its run.

use avocet_engine::Step;
use avocet_recipes::DocumentError;

/// Why a job was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The document is wrong; nothing was opened.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The probe, the plan or the run failed.
    #[error(transparent)]
    Engine(#[from] avocet_engine::Error),
}

impl Error {
    /// The code for machines, as the job API has it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Document(error) => error.code(),
            Self::Engine(error) => error.code(),
        }
    }

    /// The end of what the `ffmpeg` program wrote to standard error, at most 64 KiB, where it failed.
    pub fn log(&self) -> Option<&str> {
        match self {
            Self::Document(_) => None,
            Self::Engine(error) => error.log(),
        }
    }

    /// The part of the job that failed.
    pub fn step(&self) -> Step {
        match self {
            Self::Document(_) => Step::Validate,
            Self::Engine(error) => error.step(),
        }
    }

    /// Whether the same job may succeed when it is simply tried again.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Document(_) => false,
            Self::Engine(error) => error.retryable(),
        }
    }
}
