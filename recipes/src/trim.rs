//! The recipe `trim`: one part of the media.

use avocet_engine::{Action, AudioInfo, Plan, Reason, Result, Strategy, Track, VideoInfo};
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
        let section = self.section(container, circumstances)?;
        let mut selection =
            Selection::of(circumstances, container, Need::Either, self.tracks, section)?;
        let mut tracks = Vec::new();
        if let Some(source) = &selection.video {
            tracks.push(video_of(source, format, circumstances)?);
        }
        let mut notices = Vec::new();
        for source in &selection.audios {
            tracks.push(sound_of(source, format, &mut notices, circumstances)?);
        }
        selection.notices.append(&mut notices);
        let copies = tracks.iter().all(|track| track.action == Action::Copy);
        let strategy = if copies { Strategy::Copy } else { Strategy::Encode };
        Ok(selection.plan(strategy, tracks, self.lenient))
    }

    /// The section to keep, from a keyframe on if that will do.
    fn section(
        &self,
        container: Container,
        circumstances: &Circumstances<'_>,
    ) -> Result<Option<Section>> {
        let probed = circumstances.input()?;
        let section = Section::of(probed, self.start_seconds, self.duration_seconds)?;
        let video = choose::best_video(&probed.media).filter(|_| !container.is_audio());
        let (Accuracy::Keyframe, Some(section), Some((stream, _)), Some(index)) =
            (self.accuracy, section, video, &probed.index)
        else {
            return Ok(section);
        };
        let index = index.streams.get(stream.index);
        Ok(Some(index.map_or(section, |index| cut::to_keyframe(section, stream, index))))
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

fn sound_of(
    source: &Source<'_, AudioInfo>,
    format: Format,
    notices: &mut Vec<Reason>,
    circumstances: &Circumstances<'_>,
) -> Result<Track> {
    let container = Container::Of(format);
    let why = match choose::copyable_audio(source, container, Holds::Standard) {
        Ok(because) => match (source.copy_span(container), source.section, source.index) {
            (Ok(span), _, _) => return Ok(sound::copy(source, span, vec![because])),
            (Err(_), Some((_, kept)), Some(index)) if cut::rounds_to_packet(format) => {
                let message = "the format has no place for a part of a packet";
                notices.push(Reason::new("CUT_ROUNDED_TO_PACKET", message));
                let span = cut::round_to_packets(source.stream, index, &kept);
                return Ok(sound::copy(source, Some(span), vec![because]));
            }
            (Err(why), _, _) => why,
        },
        Err(why) => why,
    };
    let settings = sound::Settings { keeps_pcm: true, ..sound::Settings::usual(container) };
    sound::encode(source, container, settings, vec![why], circumstances)
}
