//! The recipe `transcode`: another format.

use serde::{Deserialize, Serialize};

use crate::codec::{Preset, VideoCodec};
use crate::parameter::{BIT_RATE, CODEC, CRF, Kind, LENIENT, PRESET, Parameter, TRACKS, Tracks};

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
