//! The recipe `trim`: one part of the media.

use avocet_engine::{Action, Plan, Result, Strategy, Track, VideoInfo};
use serde::{Deserialize, Serialize};

use crate::choose::{self, Holds};
use crate::codec::VideoCodec;
use crate::compile::Circumstances;
use crate::container::Container;
use crate::cut::{self, Section};
use crate::format::Format;
use crate::parameter::{ACCURACY, Accuracy, DURATION, LENIENT, Parameter, START, TRACKS, Tracks};
use crate::select::{Need, Selection, Source};
use crate::sound;
use crate::video::{self, Settings};

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
        let mut tracks = Vec::new();
        if let Some(source) = &selection.video {
            tracks.push(video_of(source, format, circumstances)?);
        }
        let mut notices = Vec::new();
        for source in &selection.audios {
            tracks.push(sound::cut(
                source,
                container,
                Holds::Standard,
                &mut notices,
                circumstances,
            )?);
        }
        selection.notices.append(&mut notices);
        let copies = tracks.iter().all(|track| track.action == Action::Copy);
        let strategy = if copies { Strategy::Copy } else { Strategy::Encode };
        Ok(selection.plan(strategy, tracks, self.lenient))
    }

    /// The section from a keyframe on, where that is asked for and the video can be copied.
    fn keyframe_section(&self, selection: &Selection<'_>) -> Option<Section> {
        let source = selection.video.filter(|_| self.accuracy == Accuracy::Keyframe)?;
        choose::copyable_video(&source, selection.container, Holds::Standard).ok()?;
        Some(cut::to_keyframe(selection.section?, source.stream, source.index?))
    }
}

fn video_of(
    source: &Source<'_, VideoInfo>,
    format: Format,
    circumstances: &Circumstances<'_>,
) -> Result<Track> {
    let container = Container::Of(format);
    let may_copy = choose::copyable_video(source, container, Holds::Standard)
        .and_then(|because| Ok((because, source.copy_span()?)));
    let why = match may_copy {
        Ok((because, span)) => return Ok(video::copy(source, container, span, vec![because])),
        Err(why) => why,
    };
    let (codec, other) =
        VideoCodec::like_source(&source.stream.codec, format, circumstances.capabilities);
    let because = [why].into_iter().chain(other).collect();
    video::encode(source, &Settings::usual(codec), because, circumstances)
}
