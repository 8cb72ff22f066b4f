//! What the containers of outputs keep of their packets, by libav's names of the muxers.

use super::{Action, Output, Track, TrackKind};

impl Output {
    /// Whether the output is one still picture.
    pub fn is_picture(&self) -> bool {
        self.muxer == "image2pipe"
    }

    /// Whether the container keeps the times of its packets, so that a track may begin late.
    pub fn keeps_times(&self) -> bool {
        !matches!(self.muxer.as_str(), "mp3" | "adts" | "wav" | "image2pipe")
    }

    /// Whether a gap between packets of sound stays one. It does not where decoders take packet
    /// after packet, whatever the container says of their times.
    pub fn keeps_gaps(&self) -> bool {
        self.keeps_times()
            && !matches!(self.muxer.as_str(), "ogg" | "oga" | "opus" | "spx" | "flac" | "latm")
    }

    /// Whether sound is copied into a container that keeps no gaps, so that only the run can tell
    /// whether it has any.
    pub fn copies_without_gaps(&self) -> bool {
        let is_copied =
            |track: &Track| track.kind == TrackKind::Audio && track.action == Action::Copy;
        !self.keeps_gaps() && self.tracks().iter().any(is_copied)
    }
}
