//! Checks whether a plan contradicts itself.

use super::{
    Action, Argument, Content, FrameFormat, PLAN_VERSION, Part, Plan, Select, SpriteSheet, Track,
    TrackKind,
};
use crate::error::{Error, Result};

impl Plan {
    /// Checks the plan for contradictions, with which no run could succeed.
    ///
    /// # Errors
    /// [`Error::BadPlan`] names the first contradiction.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::BadPlan { what });
        if self.version != PLAN_VERSION {
            return bad(format!(
                "it is a plan of version {}, and this build runs version {PLAN_VERSION}; make it anew",
                self.version
            ));
        }
        if self.outputs.is_empty() {
            return bad("it has no output".to_owned());
        }
        for (number, output) in self.outputs.iter().enumerate() {
            match &output.content {
                Content::Tracks(tracks) if tracks.is_empty() => {
                    return bad(format!("output {number} has no track"));
                }
                Content::BytesOf(input) if *input >= self.inputs.len() => {
                    return bad(format!(
                        "output {number} is the bytes of input {input}, which the plan does not \
                         have"
                    ));
                }
                Content::OfProcess(name) if self.process.is_none() => {
                    return bad(format!("the plan has no ffmpeg process, which `{name}` needs"));
                }
                Content::OfProcess(name) if name.contains('/') || name.starts_with('.') => {
                    return bad(format!(
                        "`{name}` must be a file name without `/` and without a leading dot"
                    ));
                }
                Content::OfProcess(_) => {}
                _ if self.process.is_some() => {
                    return bad(format!(
                        "output {number} is not written by the ffmpeg process of the plan"
                    ));
                }
                Content::SpriteSheet(sheet) => self.check_sheet(number, sheet)?,
                Content::Tracks(_) | Content::BytesOf(_) | Content::Text(_) => {}
            }
            let is_movie = matches!(output.muxer.as_str(), "mp4" | "mov" | "ipod");
            if output.index_first && !is_movie {
                return bad(format!(
                    "the muxer {} writes no `moov` that could come first",
                    output.muxer
                ));
            }
            if self.outputs[..number].iter().any(|other| other.location == output.location) {
                return bad(format!("two outputs have the location {}", output.location));
            }
        }
        for argument in self.process.iter().flat_map(|process| &process.arguments) {
            match argument {
                Argument::Input(number) if *number >= self.inputs.len() => {
                    return bad(format!(
                        "an argument names input {number}, which the plan does not have"
                    ));
                }
                Argument::Output(number) if *number >= self.outputs.len() => {
                    return bad(format!(
                        "an argument names output {number}, which the plan does not have"
                    ));
                }
                Argument::Text(_) | Argument::Input(_) | Argument::Output(_) => {}
            }
        }
        if self.otherwise.is_none() && self.tracks().any(|track| track.at_most.is_some()) {
            return bad("a track has a size limit, but the plan has no fallback".to_owned());
        }
        self.tracks().try_for_each(|track| self.check_track(track))
    }

    fn check_sheet(&self, number: usize, sheet: &SpriteSheet) -> Result<()> {
        let bad = |what: String| Err(Error::BadPlan { what });
        if sheet.source.input >= self.inputs.len() {
            return bad(format!("output {number} shows an input that the plan does not have"));
        }
        if sheet.picks.is_empty() {
            return bad(format!("the sprite sheet of output {number} has no picture"));
        }
        match &sheet.encoder.format {
            FrameFormat::Video(_) => Ok(()),
            FrameFormat::Audio(_) => {
                bad(format!("the sprite sheet of output {number} has an audio encoder"))
            }
        }
    }

    fn check_track(&self, track: &Track) -> Result<()> {
        let bad = |what: String| Err(Error::BadPlan { what });
        if track.parts.is_empty() {
            return bad(format!("a {} track has no part", track.kind.name()));
        }
        if let Some(source) = track.sources().find(|source| source.input >= self.inputs.len()) {
            return bad(format!(
                "a track reads input {}, which the plan does not have",
                source.input
            ));
        }
        let is_encode = matches!(track.action, Action::Encode(_));
        if !is_encode && track.parts.iter().any(|part| part.source.is_none()) {
            return bad(format!(
                "a part of a {} track has no source, which only an encode may lack",
                track.kind.name()
            ));
        }
        let fits = match &track.action {
            Action::Copy => true,
            Action::SmartCut(encoder) => {
                let is_cut =
                    |part: &Part| matches!(part.select, Select::Span(_)) && part.copied.is_some();
                if !track.parts.iter().all(is_cut) {
                    return bad("a part of a smart cut has no span or no copied run".to_owned());
                }
                track.kind == TrackKind::Video && matches!(encoder.format, FrameFormat::Video(_))
            }
            Action::Convert(_) => track.kind == TrackKind::Subtitle,
            Action::Encode(encoder) => matches!(
                (track.kind, &encoder.format),
                (TrackKind::Video, FrameFormat::Video(_))
                    | (TrackKind::Audio, FrameFormat::Audio(_))
            ),
        };
        if fits {
            return Ok(());
        }
        bad(format!("a {} track has an encoder of another kind", track.kind.name()))
    }
}
