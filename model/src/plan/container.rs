//! What the containers of outputs keep of the times of their packets, by libav's names of the
//! muxers.

use super::{Action, Output, Track, TrackKind};

impl Output {
    /// Whether the output is one still picture.
    pub fn is_picture(&self) -> bool {
        self.muxer == "image2pipe"
    }

    /// Whether the container stores the times of packets, so that a track may begin late.
    pub fn keeps_times(&self) -> bool {
        !matches!(self.muxer.as_str(), "mp3" | "adts" | "wav" | "flac" | "image2pipe")
    }

    /// Whether a gap between audio packets survives. It does not where decoders play packet after
    /// packet, whatever times the container states.
    pub fn keeps_gaps(&self) -> bool {
        self.keeps_times()
            && !matches!(self.muxer.as_str(), "ogg" | "oga" | "opus" | "spx" | "latm")
    }

    /// Whether audio is copied into a container that keeps no gaps, so that only the run can tell
    /// whether the source has any.
    pub fn copies_without_gaps(&self) -> bool {
        let is_copied =
            |track: &Track| track.kind == TrackKind::Audio && track.action == Action::Copy;
        !self.keeps_gaps() && self.tracks().iter().any(is_copied)
    }
}
