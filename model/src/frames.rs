//! Which frames of a stream a caller asks for.

use std::num::NonZeroU32;

use crate::time::Timestamp;

/// Which frames of a stream are wanted, and in which form.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRequest {
    /// Number of the stream, from 0.
    pub stream: usize,
    /// The frames that are wanted.
    pub wanted: Wanted,
    /// A filter graph with one input and one output, in libavfilter's notation, which fixes size
    /// and pixel format.
    pub filters: String,
    /// Whether the filters look at the frames before and after, as deinterlacers do.
    pub neighbors: bool,
    /// Whether the input must be read from its first packet on, since its timestamps start again,
    /// as where files were appended.
    pub goes_back: bool,
    /// How many threads decode frames at instants, each with a decoder of its own; they are handed
    /// out in order all the same. For a span, and with 1, one decoder works, with threads inside.
    pub threads: NonZeroU32,
}

/// Which frames are wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// The frames on screen at these instants of the input's time line, in this order.
    At(Vec<Timestamp>),
    /// All frames with start ≤ presentation time (PTS) < end, on the input's time line.
    Between {
        /// The first instant.
        start: Timestamp,
        /// The instant after the last; `None` for the end of the stream.
        end: Option<Timestamp>,
    },
}
