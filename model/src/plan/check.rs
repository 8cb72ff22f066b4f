//! Whether a plan contradicts itself.

use super::{
    Action, Argument, Content, FrameFormat, Part, Plan, Select, SpriteSheet, Track, TrackKind,
};
use crate::error::{Error, Result};

impl Plan {
    /// Looks for what no run could do.
    ///
    /// # Errors
    /// [`Error::BadPlan`] names the first contradiction.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::BadPlan { what });
        if self.outputs.is_empty() {
            return bad("it has no output".to_owned());
        }
        for (number, output) in self.outputs.iter().enumerate() {
            match &output.content {
                Content::Tracks(tracks) if tracks.is_empty() => {
                    return bad(format!("output {number} has no track"));
                }
                Content::BytesOf(input) if *input >= self.inputs.len() => {
                    return bad(format!("output {number} is input {input}, which is not there"));
                }
                Content::OfProcess(name) if self.process.is_none() => {
                    return bad(format!("no process makes `{name}`"));
                }
                Content::OfProcess(name) if name.contains('/') || name.starts_with('.') => {
                    return bad(format!("`{name}` is no plain file name"));
                }
                Content::OfProcess(_) => {}
                _ if self.process.is_some() => {
                    return bad(format!("output {number} is not made by the process"));
                }
                Content::SpriteSheet(sheet) => self.check_sheet(number, sheet)?,
                Content::Tracks(_) | Content::BytesOf(_) | Content::Text(_) => {}
            }
            let is_movie = matches!(output.muxer.as_str(), "mp4" | "mov" | "ipod");
            if output.index_first && !is_movie {
                return bad(format!("{} has no index to stand first", output.muxer));
            }
            if self.outputs[..number].iter().any(|other| other.location == output.location) {
                return bad(format!("two outputs go to {}", output.location));
            }
        }
        for argument in self.process.iter().flat_map(|process| &process.arguments) {
            match argument {
                Argument::Input(number) if *number >= self.inputs.len() => {
                    return bad(format!("an argument names input {number}, which is not there"));
                }
                Argument::Output(number) if *number >= self.outputs.len() => {
                    return bad(format!("an argument names output {number}, which is not there"));
                }
                Argument::Text(_) | Argument::Input(_) | Argument::Output(_) => {}
            }
        }
        if self.otherwise.is_none() && self.tracks().any(|track| track.at_most.is_some()) {
            return bad("a track has a size limit, and there is no other plan".to_owned());
        }
        self.tracks().try_for_each(|track| self.check_track(track))
    }

    fn check_sheet(&self, number: usize, sheet: &SpriteSheet) -> Result<()> {
        let bad = |what: String| Err(Error::BadPlan { what });
        if sheet.source.input >= self.inputs.len() {
            return bad(format!("output {number} shows an input that is not there"));
        }
        if sheet.picks.is_empty() {
            return bad(format!("output {number} shows no picture"));
        }
        match &sheet.encoder.format {
            FrameFormat::Video(_) => Ok(()),
            FrameFormat::Audio(_) => bad(format!("output {number} is no picture")),
        }
    }

    fn check_track(&self, track: &Track) -> Result<()> {
        let bad = |what: String| Err(Error::BadPlan { what });
        if track.parts.is_empty() {
            return bad(format!("a {} track has no part", track.kind.name()));
        }
        if let Some(source) = track.sources().find(|source| source.input >= self.inputs.len()) {
            return bad(format!("a track comes from input {}, which is not there", source.input));
        }
        let is_encode = matches!(track.action, Action::Encode(_));
        if !is_encode && track.parts.iter().any(|part| part.source.is_none()) {
            return bad(format!("a {} track copies from nowhere", track.kind.name()));
        }
        let fits = match &track.action {
            Action::Copy => true,
            Action::SmartCut(encoder) => {
                let is_cut =
                    |part: &Part| matches!(part.select, Select::Span(_)) && part.copied.is_some();
                if !track.parts.iter().all(is_cut) {
                    return bad("a part of a smart cut does not say what is copied".to_owned());
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
        bad(format!("a {} track has the other kind of encoder", track.kind.name()))
    }
}
