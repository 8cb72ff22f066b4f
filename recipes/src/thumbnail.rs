//! The recipe `thumbnail`: one frame as a picture.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::parameter::{ACCURACY, Accuracy, HEIGHT, Kind, LENIENT, Parameter, START, WIDTH};

/// What `thumbnail` takes.
pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "seekSeconds",
        doc: "When the frame is shown, in seconds from the earliest presented time of the input",
        ..START
    },
    WIDTH,
    HEIGHT,
    Parameter {
        name: "quality",
        kind: Kind::Integer { least: 1, most: 100 },
        default: "90",
        doc: "Quality of a jpg or webp, a figure without a unit; more is better and larger",
    },
    ACCURACY,
    LENIENT,
];

/// Saves the frame that a player shows at a time.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Thumbnail {
    /// When the frame is on screen, in seconds from the earliest presented time; finite, 0 or
    /// more; 0 by default.
    pub seek_seconds: f64,
    /// Width of the box that the picture is fitted into, in pixels, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<NonZeroU32>,
    /// Height of the box that the picture is fitted into, in pixels, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<NonZeroU32>,
    /// Quality of a jpg or webp, a figure without a unit, 1 to 100; 90 by default; a png has none.
    pub quality: u8,
    /// Whether the time is met to the frame or at a keyframe.
    pub accuracy: Accuracy,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl Default for Thumbnail {
    fn default() -> Self {
        Self {
            seek_seconds: 0.0,
            width: None,
            height: None,
            quality: 90,
            accuracy: Accuracy::Exact,
            lenient: false,
        }
    }
}
