//! Damage of decoded pictures, and how often decoding is tried again because of it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::libav::{Frame, Health};

/// How many retries are left for damaged pictures; shared by all readers of a job.
#[derive(Clone, Debug)]
pub(crate) struct Retries(Arc<AtomicU32>);

impl Default for Retries {
    fn default() -> Self {
        /// Retries of one job, for all its pictures together. Each begins at an earlier random
        /// access point.
        const OF_A_JOB: u32 = 3;
        Self(Arc::new(AtomicU32::new(OF_A_JOB)))
    }
}

impl Retries {
    /// Uses up one retry; `false` if none is left.
    pub(crate) fn take(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Whether a picture is what was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Damage {
    /// It is undamaged, as far as the decoder can tell.
    None,
    /// The decoder reported errors on the way to it.
    Suspected,
    /// The decoder guessed a part of it.
    Certain,
}

impl Damage {
    /// The damage of a frame, by the health of the decoder on the way to it.
    pub(crate) fn of(frame: &Frame, health: Health) -> Self {
        match (frame.is_concealed(), health.is_good()) {
            (true, _) => Self::Certain,
            (false, false) => Self::Suspected,
            (false, true) => Self::None,
        }
    }
}
