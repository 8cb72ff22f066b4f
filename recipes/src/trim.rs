//! The recipe `trim`: one part of the media.

use avocet_engine::{Action, Plan, Reason, Result, Strategy, Track};
use serde::{Deserialize, Serialize};

use crate::choose::{self, Holds};
use crate::compile::Circumstances;
use crate::container::Container;
use crate::cut::{self, Section};
use crate::format::Format;
use crate::parameter::{ACCURACY, Accuracy, DURATION, LENIENT, Parameter, START, TRACKS, Tracks};
use crate::select::{Need, Selection};
use crate::sound;
use crate::video;

/// What `trim` takes.
pub(crate) const PARAMETERS: &[Parameter] = &[
    START,
    DURATION,
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
    pub start_seconds: f64,
    /// How much to keep, in seconds; finite, more than 0; `None` is to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Whether the start is met to the frame or at a keyframe.
    pub accuracy: Accuracy,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl Trim {
    pub(crate) fn compile(
        &self,
        format: Format,
        circumstances: &Circumstances<'_>,
    ) -> Result<Plan> {
        let container = Container::Of(format);
        let probed = circumstances.input()?;
        let section = Section::of(probed, self.start_seconds, self.duration_seconds)?;
        let (need, tracks) = (Need::Either, self.tracks);
        let mut selection = Selection::of(circumstances, container, need, tracks, section)?;
        if let Some(early) = self.keyframe_section(&selection) {
            selection = Selection::of(circumstances, container, need, tracks, Some(early))?;
        }
        let mut notices = Vec::new();
        let mut audios = Vec::new();
        for source in &selection.audios {
            let (holds, notices) = (Holds::Standard, &mut notices);
            audios.push(sound::cut(source, container, holds, notices, circumstances)?);
        }
        selection.notices.append(&mut notices);
        let plan_with = |video: Option<Track>| {
            let tracks: Vec<_> = video.into_iter().chain(audios.iter().cloned()).collect();
            let splices = tracks.iter().any(|track| matches!(track.action, Action::Splice(_)));
            let copies = tracks.iter().all(|track| track.action == Action::Copy);
            let strategy = match (splices, copies) {
                (true, _) => Strategy::SmartCut,
                (false, true) => Strategy::Copy,
                (false, false) => Strategy::Encode,
            };
            selection.plan(strategy, tracks, self.lenient)
        };
        let Some(source) = &selection.video else { return Ok(plan_with(None)) };
        let track = video::cut(source, format, circumstances)?;
        let is_spliced = matches!(track.action, Action::Splice(_));
        let mut plan = plan_with(Some(track));
        if is_spliced {
            let message = "the pictures could not be spliced";
            let why = Reason::new("SEAM_NOT_COPYABLE", message);
            let encoded = video::like_source(source, format, why, circumstances)?;
            plan.otherwise = Some(Box::new(plan_with(Some(encoded))));
        }
        Ok(plan)
    }

    /// The section from a keyframe on, where that is asked for and the video can be copied.
    fn keyframe_section(&self, selection: &Selection<'_>) -> Option<Section> {
        let source = selection.video.filter(|_| self.accuracy == Accuracy::Keyframe)?;
        choose::copyable_video(&source, selection.container, Holds::Standard).ok()?;
        Some(cut::to_keyframe(selection.section?, source.stream, source.index?))
    }
}
