//! Which frames of a stream a caller asks for.

use crate::time::Timestamp;

/// Which frames of a stream are wanted, and in which form.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRequest {
    /// Number of the stream, from 0.
    pub stream: usize,
    /// Which frames.
    pub wanted: Wanted,
    /// A filter graph with one input and one output, in libavfilter's notation, which fixes size
    /// and pixel format.
    pub filters: String,
    /// Whether the filters look at the frames before and after, as deinterlacers do.
    pub neighbors: bool,
    /// Whether the input is read from its first packet on, since its clock starts again, as where
    /// files were appended to each other.
    pub goes_back: bool,
}

/// Which frames are wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// The ones on screen at these instants of the input's time line, in this order.
    At(Vec<Timestamp>),
    /// All with start ≤ time < end, on the input's time line.
    Between {
        /// The first instant.
        start: Timestamp,
        /// The instant after the last; `None` for the end of the stream.
        end: Option<Timestamp>,
    },
}
