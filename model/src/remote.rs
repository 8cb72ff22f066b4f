//! How media that is elsewhere fails.

use std::{io, time::Duration};

/// Why media that is elsewhere could not be read or written.
///
/// It travels as the inner error of an [`io::Error`], in [`Error::Read`](crate::error::Error::Read) and
/// [`Error::Write`](crate::error::Error::Write).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The scheme or the address is not allowed.
    #[error("{0}")]
    Refused(String),
    /// The server said no.
    #[error("the server answered {status}{}", .what.as_ref().map(|what| format!(", {what}")).unwrap_or_default())]
    Status {
        /// Status code of HTTP, a number.
        status: u16,
        /// What it means.
        what: Option<String>,
        /// After which time the server asks to be asked again.
        after: Option<Duration>,
    },
    /// No connection, or one that broke: name, address, TLS.
    #[error("{0}")]
    Transport(String),
    /// An answer that does not fit the question.
    #[error("the server's answer makes no sense: {0}")]
    Answer(String),
    /// It is not what it was when it was opened.
    #[error("it changed while it was read: {found}, and was {expected}")]
    Changed {
        /// What tells the version now.
        found: String,
        /// What told it before.
        expected: String,
    },
    /// The transfer ended before its end.
    #[error("the transfer broke off after {got} of {expected} bytes")]
    Short {
        /// How much came, in bytes.
        got: u64,
        /// How much was promised, in bytes.
        expected: u64,
    },
    /// Nothing comes any more.
    #[error("no byte came for {seconds} s")]
    Stalled {
        /// How long was waited, in seconds.
        seconds: u64,
    },
    /// Too little comes to wait for it.
    #[error("less than {least} bytes per second came")]
    Slow {
        /// What is expected at least in each second, in bytes.
        least: u64,
    },
    /// One redirect leads to the next.
    #[error("it is redirected more than {most} times")]
    Redirects {
        /// How many are followed, a number.
        most: u32,
    },
    /// It is larger than the settings allow.
    #[error("it has {bytes} bytes or more; the limit is {most}")]
    TooLarge {
        /// How large it is at least, in bytes.
        bytes: u64,
        /// The limit, in bytes.
        most: u64,
    },
}

impl RemoteError {
    /// What is behind the error of a reader or a writer, if it is one of these.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// The code for machines, of an input.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "LOCATION_REFUSED",
            Self::TooLarge { .. } => "LIMIT_EXCEEDED",
            _ => "INPUT_UNREACHABLE",
        }
    }

    /// Whether the same may succeed when it is asked for again: in a moment, or in another job.
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
