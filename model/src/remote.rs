//! Errors of remote inputs and outputs.

use std::{io, time::Duration};

use serde::{Deserialize, Serialize};

/// Why remote media could not be read or written.
///
/// It is the inner error of an [`io::Error`] in [`Error::Read`](crate::error::Error::Read) and
/// [`Error::Write`](crate::error::Error::Write).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The scheme or the address is not allowed.
    #[error("{0}")]
    Refused(String),
    /// The server answered with an error status.
    #[error("the server answered {status}{}", .what.as_ref().map(|what| format!(", {what}")).unwrap_or_default())]
    Status {
        /// Status code of HTTP, a number.
        status: u16,
        /// What the status means, where that is known.
        what: Option<String>,
        /// How long the server asks to wait before the next try.
        after: Option<Duration>,
    },
    /// The connection could not be made, or broke: name, address, TLS.
    #[error("{0}")]
    Transport(String),
    /// The answer does not fit the request.
    #[error("the server's answer is not valid: {0}")]
    Answer(String),
    /// The input is no longer the version that was opened.
    #[error("it changed while it was read: found {found}, expected {expected}")]
    Changed {
        /// What identifies the version now.
        found: String,
        /// What identified it before.
        expected: String,
    },
    /// The transfer ended early.
    #[error("the transfer broke off after {got} of {expected} bytes")]
    Short {
        /// How much arrived, in bytes.
        got: u64,
        /// How much was promised, in bytes.
        expected: u64,
    },
    /// No bytes arrived for too long.
    #[error("no data arrived for {seconds} s")]
    Stalled {
        /// How long the client waited, in seconds.
        seconds: u64,
    },
    /// The transfer is too slow.
    #[error("fewer than {least} bytes per second arrived")]
    Slow {
        /// The lowest rate that is accepted, in bytes per second.
        least: u64,
    },
    /// There are too many redirects.
    #[error("it is redirected more than {most} times")]
    Redirects {
        /// The number of redirects that are followed.
        most: u32,
    },
    /// The input is larger than the settings allow.
    #[error("it has {bytes} bytes or more; the limit is {most}")]
    TooLarge {
        /// The least size that it has, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        most: u64,
    },
}

impl RemoteError {
    /// The remote error inside an I/O error; `None` when there is none.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The code of the job API for an input that fails in this way.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "LOCATION_REFUSED",
            Self::TooLarge { .. } => "LIMIT_EXCEEDED",
            _ => "INPUT_UNREACHABLE",
        }
    }

    /// Whether the same request may succeed when it is made again, in a moment or in another job.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Transport(_)
            | Self::Changed { .. }
            | Self::Short { .. }
            | Self::Stalled { .. }
            | Self::Slow { .. } => true,
            Self::Refused(_) | Self::Answer(_) | Self::Redirects { .. } | Self::TooLarge { .. } => {
                false
            }
        }
    }
}

impl From<RemoteError> for io::Error {
    fn from(error: RemoteError) -> Self {
        Self::other(error)
    }
}
