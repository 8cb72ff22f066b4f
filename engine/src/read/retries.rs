//! Whether pictures are what was encoded, and how often those that are not are tried again.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::libav::{Frame, Health};

/// How often damaged pictures are decoded again; shared by all readers of a job.
#[derive(Clone, Debug)]
pub(crate) struct Retries(Arc<AtomicU32>);

impl Default for Retries {
    fn default() -> Self {
        /// Earlier random access points of one job, all its pictures together.
        const OF_A_JOB: u32 = 3;
        Self(Arc::new(AtomicU32::new(OF_A_JOB)))
    }
}

impl Retries {
    /// Takes one, if any is left.
    pub(crate) fn take(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Whether a picture is what was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Damage {
    /// It is, as far as the decoder can tell.
    None,
    /// The decoder reported errors on the way to it.
    Suspected,
    /// The decoder guessed a part of it.
    Certain,
}

impl Damage {
    /// Of a frame, when the decoding that led to it went so.
    pub(crate) fn of(frame: &Frame, health: Health) -> Self {
        match (frame.is_concealed(), health.is_good()) {
            (true, _) => Self::Certain,
            (false, false) => Self::Suspected,
            (false, true) => Self::None,
        }
    }
}
