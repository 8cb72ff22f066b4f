//! What the stages count while they work, for progress, verification and the report.

use std::sync::{Arc, Mutex, PoisonError};

use avocet_model::{
    plan::{Plan, Track},
    time::Timestamp,
};

use crate::libav::Health;

/// What is counted while it goes on; written by stages, read by the run.
#[derive(Debug, Default)]
pub(crate) struct Counters<T>(Arc<Mutex<T>>);

impl<T> Clone for Counters<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What is counted of one part of a track, as far as its encoder or muxer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    /// Packets that the demuxer gave, hidden ones included.
    pub(crate) packets: u64,
    /// Where the shown and wanted packets lie on the input's time line.
    pub(crate) extent: Extent,
    /// Packets before the first one that can be decoded.
    pub(crate) before_keyframe: u64,
    /// Packets that are not there, since the input ends before or within them.
    pub(crate) torn: u64,
    /// What could not be decoded well: errors that were logged count where the whole stream is
    /// decoded, frames where they are wanted.
    pub(crate) health: Health,
    /// Frames that came out of the decoder.
    pub(crate) frames: u64,
    /// Those of them that lie outside the wanted span.
    pub(crate) frames_left_out: u64,
    /// Time between decoded frames that no frame covers, in seconds.
    pub(crate) lost_seconds: f64,
    /// Jumps of the clock that were closed.
    pub(crate) jumps: u64,
    /// How long streams are that begin where this one has ended, and are in no track, in seconds.
    pub(crate) goes_on_seconds: f64,
    /// Whether another file stands behind the input, which is not read.
    pub(crate) is_followed: bool,
    /// Why the input could not be read to its end.
    pub(crate) error: Option<String>,
    /// Whether the instant asked for lies past the last frame.
    pub(crate) past_end: bool,
    /// When pictures are on screen that stayed damaged, from whichever place they were decoded, in
    /// seconds from the start of the input.
    pub(crate) damaged: Vec<f64>,
    /// Whether it was read to the end of the input.
    pub(crate) to_end: bool,
}

/// What is counted of one track, from its encoder on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Frames that went into the encoder.
    pub(crate) frames: u64,
    /// Frames that were left out, since the container's clock does not tell them from the one before.
    pub(crate) indistinct: u64,
    /// Frames and packets that moved on by a tick, since another one had theirs.
    pub(crate) moved: u64,
    /// Shown packets given to the muxer.
    pub(crate) packets: u64,
    /// Where the shown packets lie on the output's time line.
    pub(crate) extent: Extent,
    /// Bytes of the packets given to the muxer.
    pub(crate) bytes: u64,
    /// Whether the track has ended.
    pub(crate) ended: bool,
}

/// What is counted of one track of an output.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrackCounters {
    /// Of its parts, in order.
    pub(crate) parts: Vec<Counters<Read>>,
    /// Of the whole.
    pub(crate) written: Counters<Written>,
}

/// The numbers of one track at the end of a run.
#[derive(Debug)]
pub(crate) struct Counted {
    /// Of its parts, in order.
    pub(crate) parts: Vec<Read>,
    /// Of the whole.
    pub(crate) written: Written,
}

impl Counted {
    /// The numbers as they are now.
    pub(crate) fn of(counters: &TrackCounters) -> Self {
        Self {
            parts: counters.parts.iter().map(Counters::count).collect(),
            written: counters.written.count(),
        }
    }
}

/// The tracks of a plan, each with what is counted of it, by output and track. An output that is
/// copied as a whole has tracks of which nothing is counted.
pub(crate) fn with_counts<'a, T>(
    plan: &'a Plan,
    counts: &'a [Vec<T>],
) -> impl Iterator<Item = (&'a Track, &'a T)> {
    let outputs = plan.outputs.iter().zip(counts);
    outputs.flat_map(|(output, counts)| output.tracks().iter().zip(counts))
}

impl<T> Counters<T> {
    /// Changes the numbers.
    pub(crate) fn note<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        // The numbers stay plain numbers even if a stage panicked while it held them.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Clone> Counters<T> {
    /// The numbers as they are now.
    pub(crate) fn count(&self) -> T {
        self.note(|count| count.clone())
    }
}

/// From the earliest start to the latest end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Extent(Option<Ends>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Ends {
    start: Timestamp,
    last_start: Timestamp,
    end: Timestamp,
}

impl Extent {
    /// Takes in one more piece.
    pub(crate) fn add(&mut self, start: Timestamp, end: Timestamp) {
        self.0 = Some(match self.0 {
            Some(ends) => Ends {
                start: ends.start.min(start),
                last_start: ends.last_start.max(start),
                end: ends.end.max(end),
            },
            None => Ends { start, last_start: start, end },
        });
    }

    /// Moves the end, when somebody knows better.
    pub(crate) fn set_end(&mut self, end: Timestamp) {
        if let Some(ends) = &mut self.0 {
            ends.end = end;
        }
    }

    /// Where it begins.
    pub(crate) fn start(self) -> Option<Timestamp> {
        self.0.map(|ends| ends.start)
    }

    /// Where the latest piece begins.
    pub(crate) fn last_start(self) -> Option<Timestamp> {
        self.0.map(|ends| ends.last_start)
    }

    /// Where it ends.
    pub(crate) fn end(self) -> Option<Timestamp> {
        self.0.map(|ends| ends.end)
    }

    /// Its length, in seconds; 0 when nothing was added.
    pub(crate) fn seconds(self) -> f64 {
        self.0.map_or(0.0, |ends| ends.end.seconds() - ends.start.seconds())
    }
}
