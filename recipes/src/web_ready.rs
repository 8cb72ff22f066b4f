//! The recipe `webReady`: plays in every browser.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::parameter::{
    BIT_RATE, CRF, DURATION, HEIGHT, Kind, LENIENT, Parameter, SCALE_DOWN, START, TRACKS, Tracks,
    WIDTH,
};

/// What `webReady` takes.
pub(crate) const PARAMETERS: &[Parameter] = &[
    SCALE_DOWN,
    WIDTH,
    HEIGHT,
    CRF,
    BIT_RATE,
    START,
    DURATION,
    Parameter {
        name: "store",
        kind: Kind::Boolean,
        default: "false",
        doc: "Whether a service copies an input that needs no change to its storage",
    },
    TRACKS,
    LENIENT,
];

/// Makes an MP4 that plays in every browser.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WebReady {
    /// Whether to fit the picture into 1280×720 pixels, turned as it is, when no box is given;
    /// `false` counts as not given.
    pub scale_down: bool,
    /// Width of the box that the picture is fitted into, in pixels, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<NonZeroU32>,
    /// Height of the box that the picture is fitted into, in pixels, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<NonZeroU32>,
    /// Constant rate factor, a figure without a unit, 0 to 51; `None` is 23 where it encodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crf: Option<u8>,
    /// Bit rate of the video, in kbit/s (1000 bits), 1 to 1,000,000; beats [`crf`](Self::crf).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_kbps: Option<u32>,
    /// Where to begin, in seconds from the earliest presented time; finite, 0 or more, by default
    /// 0.
    pub start_seconds: f64,
    /// How much to keep, in seconds; finite, more than 0; `None` is to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Whether a service copies an input that needs no change to its storage.
    pub store: bool,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}
