//! What the stages count while they work, for progress, verification and the report.

use std::sync::{Arc, Mutex, PoisonError};

use avocet_model::{
    plan::{Plan, Track},
    time::Timestamp,
};

use crate::libav::Health;

/// Counters that threads share: written by stages, read by the run.
#[derive(Debug, Default)]
pub(crate) struct Counters<T>(Arc<Mutex<T>>);

impl<T> Clone for Counters<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What is counted of one part of a track, up to the encoder or the muxer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    /// Packets that the demuxer gave, hidden ones included.
    pub(crate) packets: u64,
    /// Where the shown and wanted packets lie on the input's time line.
    pub(crate) extent: Extent,
    /// Packets before the first one that can be decoded.
    pub(crate) before_keyframe: u64,
    /// Packets that were left out, since the input ends before or within them.
    pub(crate) torn: u64,
    /// What could not be decoded well. Where only a span is wanted, damaged frames before it are
    /// left out, as are errors that were logged before its first frame came.
    pub(crate) health: Health,
    /// Frames that came out of the decoder.
    pub(crate) frames: u64,
    /// Decoded frames that lie outside the wanted span.
    pub(crate) frames_left_out: u64,
    /// Time from packets that gave no frame to the next decoded frame, in seconds.
    pub(crate) lost_seconds: f64,
    /// Jumps of the clock that were closed.
    pub(crate) jumps: u64,
    /// Duration of streams of the same kind that begin where this one has ended, and that no track
    /// takes, in seconds.
    pub(crate) goes_on_seconds: f64,
    /// Whether another file stands behind the input, which is not read.
    pub(crate) is_followed: bool,
    /// Why the input could not be read to its end.
    pub(crate) error: Option<String>,
    /// Whether the instant asked for lies past the last frame.
    pub(crate) past_end: bool,
    /// Presentation times of pictures that stayed damaged after all retries, in seconds from the
    /// start of the input.
    pub(crate) damaged: Vec<f64>,
    /// Whether it was read to the end of the input.
    pub(crate) to_end: bool,
}

/// What is counted of one track, from its encoder on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// Frames that went into the encoder.
    pub(crate) frames: u64,
    /// Frames that were left out, since no tick of the container was free for them.
    pub(crate) indistinct: u64,
    /// Frames and packets that moved on, since another one had their tick.
    pub(crate) moved: u64,
    /// Shown packets given to the muxer.
    pub(crate) packets: u64,
    /// Where the shown packets lie on the output's time line.
    pub(crate) extent: Extent,
    /// Bytes of the packets given to the muxer.
    pub(crate) bytes: u64,
    /// How much of its start decoders leave out (`CodecDelay`), where the finished file is to state
    /// it.
    pub(crate) delay: Option<Timestamp>,
    /// How many parts of the track have not ended yet; 0 once the track has.
    pub(crate) open_parts: usize,
}

/// What is counted of one track of an output.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrackCounters {
    /// The counters of its parts, in order.
    pub(crate) parts: Vec<Counters<Read>>,
    /// The counters of the whole track.
    pub(crate) written: Counters<Written>,
}

/// The numbers of one track at the end of a run.
#[derive(Debug)]
pub(crate) struct Counted {
    /// The counts of its parts, in order.
    pub(crate) parts: Vec<Read>,
    /// The counts of the whole track.
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

/// The tracks of a plan, each with its counts. Tracks of an output that is copied as a whole have
/// no counts, and are left out.
pub(crate) fn with_counts<'a, T>(
    plan: &'a Plan,
    counts: &'a [Vec<T>],
) -> impl Iterator<Item = (&'a Track, &'a T)> {
    let outputs = plan.outputs.iter().zip(counts);
    outputs.flat_map(|(output, counts)| output.tracks().iter().zip(counts))
}

impl<T> Counters<T> {
    /// Changes the numbers, and answers what `change` answers.
    pub(crate) fn note<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        // Numbers are valid even if a stage panicked while it held the lock.
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

    /// Replaces the end by one that is known better; nothing changes while nothing was added.
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
