//! The recipe `proxy`: always encodes, for scrubbing.

use std::num::NonZeroU32;

use avocet_model::{
    error::Result,
    plan::{Plan, Reason, Strategy},
};
use serde::{Deserialize, Serialize};

use crate::{
    decide::{
        context::CompileContext,
        cut::Section,
        picture,
        select::{Need, Selection},
        sound,
        video::{self, Settings, Use},
    },
    words::{
        codec::{Preset, VideoCodec},
        format::Format,
        parameter::{
            BIT_RATE, CRF, DURATION, HEIGHT, Kind, LENIENT, Parameter, SCALE_DOWN, START, TRACKS,
            Tracks, WIDTH,
        },
    },
};

/// The parameters of `proxy`.
pub(crate) const PARAMETERS: &[Parameter] = &[
    SCALE_DOWN,
    WIDTH,
    HEIGHT,
    Parameter { default: "32", ..CRF },
    BIT_RATE,
    Parameter {
        name: "gop",
        kind: Kind::Choice(&["per_second", "all_intra"]),
        default: "per_second",
        doc: "Whether each second begins with a keyframe, or every frame is a keyframe",
    },
    START,
    DURATION,
    TRACKS,
    LENIENT,
];

/// Encodes an H.264 MP4 that an editor can scrub through.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Proxy {
    /// Whether to fit the picture into 1280×720 pixels, turned as it is, when no box is given;
    /// `false` counts as not given.
    pub scale_down: bool,
    /// Width of the box that the picture is fitted into, in pixels, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<NonZeroU32>,
    /// Height of the box that the picture is fitted into, in pixels, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<NonZeroU32>,
    /// Constant rate factor, a figure without a unit, 0 to 51; 32 by default.
    pub crf: u8,
    /// Bit rate of the video, in kbit/s (1000 bits), 1 to 1,000,000; beats [`crf`](Self::crf).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_kbps: Option<u32>,
    /// How often a keyframe stands.
    pub gop: Gop,
    /// Where to begin, in seconds from the earliest presented time; finite, 0 or more, by default
    /// 0.
    pub start_seconds: f64,
    /// How much to keep, in seconds; finite, more than 0; `None` is to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            scale_down: false,
            width: None,
            height: None,
            crf: 32,
            bitrate_kbps: None,
            gop: Gop::PerSecond,
            start_seconds: 0.0,
            duration_seconds: None,
            tracks: Tracks::Best,
            lenient: false,
        }
    }
}

impl Proxy {
    pub(crate) fn compile(&self, context: &CompileContext<'_>) -> Result<Plan> {
        let container = Format::Mp4;
        let probed = context.input()?;
        let section = Section::of(probed, self.start_seconds, self.duration_seconds)?;
        let selection = Selection::of(context, container, Need::Video, self.tracks, section)?;
        let why = || {
            vec![Reason::new(
                "PROXY",
                "a proxy is always encoded, so that an editor can scrub through it",
            )]
        };
        let mut tracks = Vec::new();
        if let Some(source) = &selection.video {
            let settings = Settings {
                crf: self.crf,
                bit_rate: self.bitrate_kbps,
                preset: Some(Preset::Name("veryfast".to_owned())),
                size: picture::web_size(self.scale_down, self.width, self.height, source.info),
                use_for: Use::Scrubbing { all_intra: self.gop == Gop::AllIntra },
                ..Settings::usual(VideoCodec::H264)
            };
            tracks.push(video::encode(source, &settings, why(), context)?);
        }
        for source in &selection.audios {
            let settings = sound::Settings::stereo(128);
            tracks.push(sound::encode(source, container, settings, why(), context)?);
        }
        Ok(selection.plan(Strategy::Encode, tracks, self.lenient))
    }
}

/// How often a keyframe stands.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gop {
    /// One in each second.
    #[default]
    PerSecond,
    /// Every frame is one.
    AllIntra,
}

impl Gop {
    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "per_second",
            Self::AllIntra => "all_intra",
        }
    }
}
