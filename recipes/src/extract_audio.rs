//! The recipe `extractAudio`: the first audio stream alone.

use serde::{Deserialize, Serialize};

use crate::parameter::{DURATION, Kind, LENIENT, Parameter, START};

/// What `extractAudio` takes; `stageInput` is read as if it stood beside the recipe.
pub(crate) const PARAMETERS: &[Parameter] = &[
    START,
    DURATION,
    Parameter {
        name: "stageInput",
        kind: Kind::Boolean,
        default: "the planner chooses",
        doc: "Whether a remote input is fetched whole before the run, instead of by ranges",
    },
    LENIENT,
];

/// Takes out the first audio stream.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ExtractAudio {
    /// Where to begin, in seconds from the earliest presented time; finite, 0 or more, by default
    /// 0.
    pub start_seconds: f64,
    /// How much to keep, in seconds; finite, more than 0; `None` is to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}
