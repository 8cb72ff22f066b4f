//! The recipe `trim`: keeps a part of the media, or joins several.

use avocet_model::{
    error::Result,
    plan::{Action, Plan, Strategy, Track},
};
use serde::{Deserialize, Serialize};

use super::concat::Join;
use crate::{
    decide::{
        context::CompileContext,
        copyable::{self, Holds},
        cut::{self, Section},
        select::{Need, Selection},
        smart_cut, sound, video,
    },
    words::{
        format::Format,
        parameter::{
            ACCURACY, Accuracy, DURATION, Kind, LENIENT, Parameter, START, TRACKS, Tracks,
        },
    },
};

/// The parameters of `trim`.
pub(crate) const PARAMETERS: &[Parameter] = &[
    START,
    DURATION,
    Parameter {
        name: "ranges",
        kind: Kind::Ranges,
        default: "one section, from startSeconds on",
        doc: "Sections to keep and join, in place of startSeconds and durationSeconds",
    },
    Parameter {
        doc: "Whether the cut is exact, or copies from the keyframe at or before the start",
        ..ACCURACY
    },
    TRACKS,
    LENIENT,
];

/// Keeps one part of the media.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Trim {
    /// Where to begin, in seconds from the earliest presented time; finite, 0 or more, by default
    /// 0.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_seconds: f64,
    /// How much to keep, in seconds; finite, more than 0; `None` is to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Sections to keep and join, in ascending order and without overlap; empty for the one that
    /// the two times above tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
    /// Whether the start is met to the frame or at a keyframe.
    pub accuracy: Accuracy,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(seconds: &f64) -> bool {
    *seconds == 0.0
}

/// One section to keep.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Range {
    /// Where it begins, in seconds from the earliest presented time; finite, 0 or more.
    pub start_seconds: f64,
    /// How long it is, in seconds; finite, more than 0.
    pub duration_seconds: f64,
}

impl Trim {
    pub(crate) fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        if !self.ranges.is_empty() {
            let join = Join { format, tracks: self.tracks, lenient: self.lenient };
            return join.sections(&self.ranges, context);
        }
        let probed = context.input()?;
        let section = Section::of(probed, self.start_seconds, self.duration_seconds)?;
        let (need, tracks) = (Need::Either, self.tracks);
        let mut selection = Selection::of(context, format, need, tracks, section)?;
        if let Some(early) = self.keyframe_section(&selection) {
            selection = Selection::of(context, format, need, tracks, Some(early))?;
        }
        let mut notices = Vec::new();
        let mut audios = Vec::new();
        for source in &selection.audios {
            let (holds, notices) = (Holds::Standard, &mut notices);
            audios.push(sound::cut(source, format, holds, notices, context)?);
        }
        selection.notices.append(&mut notices);
        let plan_with = |video: Option<Track>| {
            let tracks: Vec<_> = video.into_iter().chain(audios.iter().cloned()).collect();
            let has_smart_cut =
                tracks.iter().any(|track| matches!(track.action, Action::SmartCut(_)));
            let copies = tracks.iter().all(|track| track.action == Action::Copy);
            let strategy = match (has_smart_cut, copies) {
                (true, _) => Strategy::SmartCut,
                (false, true) => Strategy::Copy,
                (false, false) => Strategy::Encode,
            };
            selection.plan(strategy, tracks, self.lenient)
        };
        let Some(source) = &selection.video else { return Ok(plan_with(None)) };
        let may_copy = copyable::video(source, format, Holds::Standard)
            .and_then(|fits| video::copy_section(source, format, fits, context));
        let like_source = |why| video::like_source(source, format, why, context);
        let track = match may_copy {
            Ok(track) => track,
            Err(why) => return Ok(plan_with(Some(like_source(why)?))),
        };
        let is_smart_cut = matches!(track.action, Action::SmartCut(_));
        let mut plan = plan_with(Some(track));
        if is_smart_cut {
            let encoded = like_source(smart_cut::failed())?;
            plan.otherwise = Some(Box::new(plan_with(Some(encoded))));
        }
        Ok(plan)
    }

    /// The section from a keyframe on, where that is asked for and the video can be copied.
    fn keyframe_section(&self, selection: &Selection<'_>) -> Option<Section> {
        let source = selection.video.filter(|_| self.accuracy == Accuracy::Keyframe)?;
        copyable::video(&source, selection.container, Holds::Standard).ok()?;
        Some(cut::to_keyframe(selection.section?, source.stream, source.index?))
    }
}
