//! What a run is expected to take.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a run is expected to take, as far as probing and the index tell. An estimate: it is for
/// comparing plans, not for checking runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Bytes of the packets that are copied; 0 when the output has the bytes of an input.
    pub bytes_copied: u64,
    /// Frames of video that are decoded; audio is not counted.
    pub frames_decoded: u64,
    /// Frames of video that are encoded; audio is not counted.
    pub frames_encoded: u64,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes_copied, frames_decoded, frames_encoded } = self;
        write!(
            f,
            "{bytes_copied} bytes copied, {frames_decoded} frames decoded, {frames_encoded} encoded"
        )
    }
}
