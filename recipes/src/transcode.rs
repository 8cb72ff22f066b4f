//! The recipe `transcode`: another format.

use avocet_engine::{
    Action, AudioInfo, Location, Plan, Reason, Result, Strategy, StreamInfo, Track, VideoInfo,
};
use serde::{Deserialize, Serialize};

use crate::choose;
use crate::codec::{Preset, VideoCodec};
use crate::compile::Circumstances;
use crate::container;
use crate::format::Format;
use crate::parameter::{BIT_RATE, CODEC, CRF, Kind, LENIENT, PRESET, Parameter, TRACKS, Tracks};
use crate::sound;
use crate::video::{self, Quality};

/// What `transcode` takes; audio formats have no `codec`, `crf`, `bitrateKbps` and `preset`.
pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "reencode",
        kind: Kind::Boolean,
        default: "false",
        doc: "Whether to encode what could be copied, too",
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
    pub(crate) fn compile(
        &self,
        format: Format,
        circumstances: &Circumstances<'_>,
    ) -> Result<Plan> {
        let (location, media) = circumstances.input()?;
        let video = if format.is_audio() { None } else { choose::best_video(media) };
        let audio = match video {
            Some(_) => choose::best_audio(media),
            None if format.is_audio() || media.audios().next().is_some() => {
                Some(choose::need_audio(location, media)?)
            }
            None => return Err(choose::lacking(location, media, "a video or audio stream")),
        };
        let kept: Vec<_> = video
            .map(|(stream, _)| stream)
            .into_iter()
            .chain(audio.map(|(stream, _)| stream))
            .collect();
        let indexes: Vec<_> = kept.iter().map(|stream| stream.index).collect();
        let origin = choose::origin(&kept);
        let mut tracks = Vec::new();
        if let Some((stream, video)) = video {
            let may_copy = choose::copyable_video(stream, video, media, origin, format);
            tracks.push(self.video_track(
                location,
                stream,
                video,
                may_copy,
                format,
                circumstances,
            )?);
        }
        if let Some((stream, audio)) = audio {
            let may_copy = choose::copyable_audio(stream, origin, format);
            tracks.push(self.audio_track(stream, audio, may_copy, format, circumstances)?);
        }
        let copies = tracks.iter().all(|track| track.action == Action::Copy);
        Ok(Plan {
            strategy: if copies { Strategy::Remux } else { Strategy::Encode },
            inputs: circumstances.plan_inputs(origin),
            outputs: vec![container::output(format, media, tracks, circumstances)],
            dropped: choose::dropped(0, media, &indexes, format),
            notices: Vec::new(),
            seconds: choose::expected_seconds(media, &kept, origin),
            lenient: self.lenient,
        })
    }

    fn video_track(
        &self,
        location: &Location,
        stream: &StreamInfo,
        video: &VideoInfo,
        may_copy: Result<Reason, Reason>,
        format: Format,
        circumstances: &Circumstances<'_>,
    ) -> Result<Track> {
        let why = match (self.asked_to_encode(stream), may_copy) {
            (Some(why), _) | (None, Err(why)) => why,
            (None, Ok(because)) => return Ok(video::copy(stream, format, vec![because])),
        };
        let codec = self.codec.or(VideoCodec::of_format(format)).unwrap_or(VideoCodec::H264);
        let quality = Quality {
            crf: self.crf.unwrap_or(codec.usual_crf()),
            bit_rate: self.bitrate_kbps,
            preset: self.preset.clone(),
        };
        video::encode(location, stream, video, codec, &quality, vec![why], circumstances)
    }

    /// Why the video is to be encoded, whether it could be copied or not.
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
                "a setting of the encoder was asked for, which a copy could not follow",
            )),
            _ => None,
        }
    }

    fn audio_track(
        &self,
        stream: &StreamInfo,
        audio: &AudioInfo,
        may_copy: Result<Reason, Reason>,
        format: Format,
        circumstances: &Circumstances<'_>,
    ) -> Result<Track> {
        let why = match may_copy {
            _ if self.reencode => reencode_asked_for(),
            Ok(because) => return Ok(sound::copy(stream, vec![because])),
            Err(why) => why,
        };
        sound::encode(stream, audio, format, vec![why], circumstances)
    }
}

fn reencode_asked_for() -> Reason {
    Reason::new("REENCODE_ASKED_FOR", "everything was asked to be encoded anew")
}
