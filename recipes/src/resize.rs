//! The recipe `resize`: another size.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::parameter::{HEIGHT, Kind, LENIENT, Parameter, TRACKS, Tracks, WIDTH};

/// What `resize` takes; `width`, `height` or both are given.
pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter {
        default: "follows height and the shape of the source",
        doc: "Width of the result in pixels, made even",
        ..WIDTH
    },
    Parameter {
        default: "follows width and the shape of the source",
        doc: "Height of the result in pixels, made even",
        ..HEIGHT
    },
    Parameter {
        name: "fit",
        kind: Kind::Choice(&["stretch", "contain", "cover"]),
        default: "stretch",
        doc: "How the picture fills width and height where both are given: pulled, padded or cut",
    },
    TRACKS,
    LENIENT,
];

/// Scales the picture; a side left out follows the shape of the source.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resize {
    /// Width of the result, in pixels, 1 to 16,384; one of the sides is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<NonZeroU32>,
    /// Height of the result, in pixels, 1 to 16,384; one of the sides is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<NonZeroU32>,
    /// How the picture fills the size when both sides are given.
    pub fit: Fit,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

/// How a picture fills a size of another shape.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fit {
    /// Pulled to the size, its shape lost.
    #[default]
    Stretch,
    /// Whole, with bars beside it.
    Contain,
    /// Without bars, cropped.
    Cover,
}
