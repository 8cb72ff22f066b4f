//! The recipe `compress`: smaller.

use serde::{Deserialize, Serialize};

use crate::codec::{Preset, VideoCodec};
use crate::parameter::{BIT_RATE, CODEC, CRF, Kind, LENIENT, PRESET, Parameter, TRACKS, Tracks};

/// What `compress` takes.
pub(crate) const PARAMETERS: &[Parameter] = &[
    CODEC,
    Parameter { kind: Kind::Crf, default: "28 (h264, hevc), 38 (vp9, av1)", ..CRF },
    BIT_RATE,
    PRESET,
    // The most is above what AAC-LC (576 kbit/s at 48 kHz, ISO/IEC 14496-3, 4.5.3) and Opus (510
    // kbit/s, RFC 6716, 2.1.1) make of stereo.
    Parameter {
        name: "audioBitrateKbps",
        kind: Kind::Integer { least: 1, most: 1_024 },
        default: "128",
        doc: "Bit rate of stereo audio in kbit/s (1000 bits); mono has 0.6 of it, 5.1 has 2.5",
    },
    TRACKS,
    LENIENT,
];

/// Makes the file smaller.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Compress {
    /// Codec of the video; `None` is [`VideoCodec::of_format`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<VideoCodec>,
    /// Constant rate factor, a figure without a unit, 0 to 51 (h264, hevc) or 63 (vp9, av1);
    /// `None` is 28 or 38.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crf: Option<u8>,
    /// Bit rate of the video, in kbit/s (1000 bits), 1 to 1,000,000; beats [`crf`](Self::crf).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_kbps: Option<u32>,
    /// How long the encoder may take; `None` is `medium` (h264, hevc), 4 (vp9) or 8 (av1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Bit rate of stereo audio, in kbit/s (1000 bits), 1 to 1,024; 128 by default.
    pub audio_bitrate_kbps: u32,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl Default for Compress {
    fn default() -> Self {
        Self {
            codec: None,
            crf: None,
            bitrate_kbps: None,
            preset: None,
            audio_bitrate_kbps: 128,
            tracks: Tracks::Best,
            lenient: false,
        }
    }
}
