//! The recipe `transcode`: brings the media into another format.

use avocet_model::{
    error::Result,
    media::{StreamInfo, VideoInfo},
    plan::{Action, Plan, Reason, Strategy, Track},
};
use serde::{Deserialize, Serialize};

use crate::{
    decide::{
        context::CompileContext,
        copyable::{self, Holds},
        select::{Need, Selection, Source},
        sound,
        video::{self, Settings},
    },
    words::{
        codec::{Preset, VideoCodec},
        format::Format,
        parameter::{BIT_RATE, CODEC, CRF, Kind, LENIENT, PRESET, Parameter, TRACKS, Tracks},
    },
};

/// The parameters of `transcode`; audio formats have no `codec`, `crf`, `bitrateKbps` and `preset`.
pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "reencode",
        kind: Kind::Boolean,
        default: "false",
        doc: "Whether to encode even the streams that could be copied",
    },
    CODEC,
    Parameter { kind: Kind::Crf, default: "23 (h264), 25 (hevc), 31 (vp9), 30 (av1)", ..CRF },
    BIT_RATE,
    PRESET,
    TRACKS,
    LENIENT,
];

/// Brings the media into another format.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Transcode {
    /// Whether to encode what could be copied, too.
    pub reencode: bool,
    /// Codec of the video; `None` is [`VideoCodec::of_format`] where it encodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<VideoCodec>,
    /// Constant rate factor, a figure without a unit, 0 to 51 (h264, hevc) or 63 (vp9, av1);
    /// `None` is 23 (h264), 25 (hevc), 31 (vp9) or 30 (av1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crf: Option<u8>,
    /// Bit rate of the video, in kbit/s (1000 bits), 1 to 1,000,000; beats [`crf`](Self::crf).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_kbps: Option<u32>,
    /// How long the encoder may take; `None` is `medium` (h264, hevc), 4 (vp9) or 8 (av1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl Transcode {
    pub(crate) fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let selection = Selection::of(context, format, Need::Either, self.tracks, None)?;
        let mut tracks = Vec::new();
        if let Some(source) = &selection.video {
            tracks.push(self.video(source, format, context)?);
        }
        for source in &selection.audios {
            let may_copy = if self.reencode {
                Err(reencode_asked_for())
            } else {
                copyable::audio(source, format, Holds::Common, context)
            };
            tracks.push(match may_copy {
                Ok(because) => sound::copy(source, None, vec![because]),
                Err(why) => {
                    let settings = sound::Settings::usual(format);
                    sound::encode(source, format, settings, vec![why], context)?
                }
            });
        }
        let copies = tracks.iter().all(|track| track.action == Action::Copy);
        let strategy = if copies { Strategy::Remux } else { Strategy::Encode };
        Ok(selection.plan(strategy, tracks, self.lenient))
    }

    fn video(
        &self,
        source: &Source<'_, VideoInfo>,
        format: Format,
        context: &CompileContext<'_>,
    ) -> Result<Track> {
        let may_copy = copyable::video(source, format, Holds::Common);
        let why = match (self.asked_to_encode(source.stream), may_copy) {
            (Some(why), _) | (None, Err(why)) => why,
            (None, Ok(because)) => return Ok(video::copy(source, format, None, vec![because])),
        };
        let codec = self.codec.or(VideoCodec::of_format(format)).unwrap_or(VideoCodec::H264);
        let settings = Settings {
            crf: self.crf.unwrap_or(codec.usual_crf()),
            bit_rate: self.bitrate_kbps,
            preset: self.preset.clone(),
            ..Settings::usual(codec)
        };
        video::encode(source, &settings, vec![why], context)
    }

    /// The reason to encode the video even where it could be copied; `None` when there is none.
    fn asked_to_encode(&self, stream: &StreamInfo) -> Option<Reason> {
        let is_set = self.crf.is_some() || self.bitrate_kbps.is_some() || self.preset.is_some();
        match self.codec {
            _ if self.reencode => Some(reencode_asked_for()),
            Some(codec) if codec.name() != stream.codec => Some(Reason::new(
                "CODEC_ASKED_FOR",
                format!("{} was asked for, the source is {}", codec.name(), stream.codec),
            )),
            _ if is_set => Some(Reason::new(
                "ENCODE_SETTING_ASKED_FOR",
                "a setting of the encoder was asked for, which a copy can not follow",
            )),
            _ => None,
        }
    }
}

fn reencode_asked_for() -> Reason {
    Reason::new("REENCODE_ASKED_FOR", "`reencode` asks to encode every stream")
}
