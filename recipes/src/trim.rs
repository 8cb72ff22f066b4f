//! The recipe `trim`: one part of the media.

use serde::{Deserialize, Serialize};

use crate::parameter::{ACCURACY, Accuracy, DURATION, LENIENT, Parameter, START, TRACKS, Tracks};

/// What `trim` takes.
pub(crate) const PARAMETERS: &[Parameter] = &[
    START,
    DURATION,
    Parameter {
        doc: "Whether the cut is exact, or copies from the keyframe at or before the start",
        ..ACCURACY
    },
    TRACKS,
    LENIENT,
];

/// Keeps one part of the media.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Trim {
    /// Where to begin, in seconds from the earliest presented time; finite, 0 or more, by default
    /// 0.
    pub start_seconds: f64,
    /// How much to keep, in seconds; finite, more than 0; `None` is to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Whether the start is met to the frame or at a keyframe.
    pub accuracy: Accuracy,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}
