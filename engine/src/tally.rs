//! What the stages count while they work, for progress, verification and the report.

use std::sync::{Arc, Mutex, PoisonError};

use crate::time::Timestamp;

/// What is counted for one track; written by its stages, read by the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<Count>>);

/// The numbers of one track.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    /// Packets that the demuxer gave, hidden ones included.
    pub(crate) packets_read: u64,
    /// The span of the shown packets, on the input's time line.
    pub(crate) read: Span,
    /// Packets before the first one that can be decoded.
    pub(crate) before_keyframe: u64,
    /// Packets the decoder could make nothing of.
    pub(crate) decode_errors: u64,
    /// Frames of which the decoder guessed a part.
    pub(crate) concealed: u64,
    /// Frames that came out of the decoder.
    pub(crate) frames_decoded: u64,
    /// Time between decoded frames that no frame covers, in seconds.
    pub(crate) lost_seconds: f64,
    /// Frames that went into the encoder.
    pub(crate) frames_encoded: u64,
    /// Frames and packets that moved on by a tick, since another one had theirs.
    pub(crate) moved: u64,
    /// Shown packets given to the muxer.
    pub(crate) packets_written: u64,
    /// The span of the shown packets, on the output's time line.
    pub(crate) written: Span,
    /// Bytes of the packets given to the muxer.
    pub(crate) bytes: u64,
    /// Whether the track has ended.
    pub(crate) ended: bool,
    /// Why the input could not be read to its end.
    pub(crate) read_error: Option<String>,
    /// Whether the instant asked for lies past the last frame.
    pub(crate) past_end: bool,
}

impl Tally {
    /// Changes the numbers.
    pub(crate) fn note<T>(&self, change: impl FnOnce(&mut Count) -> T) -> T {
        // The numbers stay plain numbers even if a stage panicked while it held them.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The numbers as they are now.
    pub(crate) fn count(&self) -> Count {
        self.note(|count| count.clone())
    }
}

/// From the earliest start to the latest end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Span(Option<Ends>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Ends {
    start: Timestamp,
    last_start: Timestamp,
    end: Timestamp,
}

impl Span {
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
