//! The recipe `concat`: inputs one after another.

use serde::{Deserialize, Serialize};

use crate::parameter::{LENIENT, Parameter, TRACKS, Tracks};

/// What `concat` takes.
pub(crate) const PARAMETERS: &[Parameter] = &[TRACKS, LENIENT];

/// Joins two or more inputs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Concat {
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}
