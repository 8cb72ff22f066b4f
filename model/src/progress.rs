//! What a caller sees of a run while it goes on, and how it stops one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

/// Cancels runs. It is cheap to clone and shared between threads, and it can not be reset.
///
/// ```
/// let cancel = avocet_model::progress::CancelToken::new();
/// let theirs = cancel.clone();
/// std::thread::spawn(move || theirs.cancel()).join().unwrap();
/// assert!(cancel.is_cancelled());
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    set: AtomicBool,
    parent: Option<CancelToken>,
    deadline: Option<Instant>,
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// A token that is also cancelled when this one is, but not the other way round.
    #[must_use]
    pub fn child(&self) -> Self {
        self.child_until(None)
    }

    /// The same, which is cancelled also from a moment on, if there is one.
    #[must_use]
    pub fn child_until(&self, deadline: Option<Instant>) -> Self {
        let (set, parent) = (AtomicBool::new(false), Some(self.clone()));
        Self(Arc::new(Flag { set, parent, deadline }))
    }

    /// Asks every run that holds this token, or a child of it, to stop.
    pub fn cancel(&self) {
        self.0.set.store(true, Ordering::Release);
    }

    /// Whether [`cancel`](Self::cancel) was called on this token or one it is a child of, or the
    /// deadline of one of them has passed.
    pub fn is_cancelled(&self) -> bool {
        let Flag { set, parent, deadline } = &*self.0;
        set.load(Ordering::Acquire)
            || deadline.is_some_and(|deadline| Instant::now() >= deadline)
            || parent.as_ref().is_some_and(Self::is_cancelled)
    }
}

/// How much of a remote input was copied to this machine, and its size, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fetched {
    /// How much was copied, in bytes.
    pub bytes: u64,
    /// The size of the input, in bytes; `None` when it is not known.
    pub total: Option<u64>,
}

/// What a run is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Phase {
    /// A remote input is copied to this machine.
    Fetching,
    /// Packets and frames go through the pipeline.
    #[default]
    Running,
    /// The outputs are read back and checked.
    Verifying,
    /// The outputs are put in their places, and sent to object stores.
    Delivering,
    /// The outputs are in place.
    Done,
}

/// How far a run is. `fraction`, `seconds`, `frames` and `bytes` never go back: when the run begins
/// again with another plan, they wait until that has passed them. The other fields are those of the
/// current plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Progress {
    /// Part of the work that is done, from 0 to 1; 1 only once the outputs are in place.
    pub fraction: f64,
    /// Media time written so far, in seconds.
    pub seconds: f64,
    /// Video frames written so far, copied ones included.
    pub frames: u64,
    /// Video frames written per second of wall time; `None` before the first.
    pub fps: Option<f64>,
    /// Seconds of media written per second of wall time; `None` before the first.
    pub speed: Option<f64>,
    /// Estimated wall time to the end, in seconds; `None` when the end is not known.
    pub eta_seconds: Option<f64>,
    /// Bytes given to the outputs so far.
    pub bytes: u64,
    /// How much of an input was copied, while it is copied to this machine before the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetched: Option<Fetched>,
    /// How much of the outputs was sent to object stores, while they are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploaded: Option<Fetched>,
    /// What the run is doing.
    pub phase: Phase,
}

/// Turns counters into [`Progress`] that never goes back.
#[derive(Debug, Default)]
pub struct Meter {
    last: Progress,
}

/// A reading of the counters of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Media time written to the slowest track, in seconds.
    pub seconds: f64,
    /// Media time that the plan expects, in seconds.
    pub total: Option<f64>,
    /// Video frames written.
    pub frames: u64,
    /// Bytes written.
    pub bytes: u64,
}

impl Meter {
    /// The largest fraction shown before the outputs are in place.
    const BEFORE_COMMIT: f64 = 0.999;

    /// The progress at `elapsed` after the current plan was begun.
    pub fn read(&mut self, now: Reading, elapsed: Duration) -> &Progress {
        let wall = elapsed.as_secs_f64();
        let rate = |amount: f64| (wall > 0.0 && amount > 0.0).then(|| amount / wall);
        let speed = rate(now.seconds);
        let fraction = now
            .total
            .filter(|total| *total > 0.0)
            .map_or(0.0, |total| (now.seconds / total).clamp(0.0, Self::BEFORE_COMMIT));
        self.last = Progress {
            fraction: fraction.max(self.last.fraction),
            seconds: now.seconds.max(self.last.seconds),
            frames: now.frames.max(self.last.frames),
            fps: rate(now.frames as f64),
            speed,
            eta_seconds: now
                .total
                .zip(speed)
                .map(|(total, speed)| (total - now.seconds).max(0.0) / speed),
            bytes: now.bytes.max(self.last.bytes),
            fetched: None,
            uploaded: None,
            phase: match self.last.phase {
                Phase::Fetching => Phase::Running,
                phase => phase,
            },
        };
        &self.last
    }

    /// The progress while an input is copied.
    pub fn fetching(&mut self, fetched: Fetched) -> &Progress {
        self.last.fetched = Some(fetched);
        self.last.phase = Phase::Fetching;
        &self.last
    }

    /// Says what the run is doing from now on.
    pub fn enter(&mut self, phase: Phase) {
        self.last.phase = phase;
    }

    /// The progress while outputs are sent to object stores.
    pub fn uploading(&mut self, uploaded: Fetched) -> &Progress {
        self.last.uploaded = Some(uploaded);
        self.last.phase = Phase::Delivering;
        &self.last
    }

    /// The progress of a run whose outputs are in place.
    pub fn done(&mut self, now: Reading, elapsed: Duration) -> &Progress {
        self.read(now, elapsed);
        self.last.phase = Phase::Done;
        self.last.fraction = 1.0;
        self.last.eta_seconds = Some(0.0);
        &self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_never_goes_back_and_ends_at_one_only_when_done() {
        let mut meter = Meter::default();
        let mut read = |seconds, wall| {
            let now = Reading { seconds, total: Some(10.0), frames: 1, bytes: 1 };
            meter.read(now, Duration::from_secs(wall)).clone()
        };
        assert!((read(5.0, 1).fraction - 0.5).abs() < 1e-9);
        assert!((read(4.0, 2).fraction - 0.5).abs() < 1e-9);
        assert!(read(20.0, 3).fraction < 1.0);
        let now = Reading { seconds: 10.0, total: Some(10.0), frames: 1, bytes: 1 };
        assert!((meter.done(now, Duration::from_secs(4)).fraction - 1.0).abs() < 1e-9);
    }

    /// Rates of a second plan count from its own start, without what the first plan wrote.
    #[test]
    fn rates_are_those_of_the_plan_that_is_carried_out() {
        let mut meter = Meter::default();
        let now = Reading { seconds: 8.0, total: Some(10.0), frames: 200, bytes: 1000 };
        meter.read(now, Duration::from_secs(4));
        let now = Reading { seconds: 1.0, total: Some(10.0), frames: 25, bytes: 100 };
        let anew = meter.read(now, Duration::from_secs(1));
        assert_eq!((anew.seconds, anew.frames, anew.bytes), (8.0, 200, 1000));
        assert_eq!((anew.fps, anew.speed, anew.eta_seconds), (Some(25.0), Some(1.0), Some(9.0)));
    }

    #[test]
    fn a_child_is_cancelled_with_its_parent_and_not_the_other_way_round() {
        let parent = CancelToken::new();
        let child = parent.child();
        child.cancel();
        assert!(child.is_cancelled() && !parent.is_cancelled());
        let other = parent.child();
        parent.cancel();
        assert!(other.is_cancelled());
    }

    #[test]
    fn a_token_is_cancelled_from_its_deadline_on() {
        let parent = CancelToken::new();
        let now = Instant::now();
        let late = parent.child_until(Some(now));
        assert!(late.is_cancelled() && late.child().is_cancelled() && !parent.is_cancelled());
        assert!(!parent.child_until(Some(now + Duration::from_secs(3600))).is_cancelled());
    }
}
