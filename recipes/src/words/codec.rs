//! Video codecs: their names, the formats that hold them, and the limits of their encoders.

use serde::{Deserialize, Serialize};

use super::format::Format;

/// A video codec that results can be encoded in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum VideoCodec {
    /// H.264, encoded by x264.
    H264,
    /// H.265, encoded by x265.
    Hevc,
    /// AV1, encoded by SVT-AV1.
    Av1,
    /// VP9, encoded by libvpx.
    Vp9,
}

impl VideoCodec {
    /// All codecs, in the order of the reference.
    pub const ALL: [Self; 4] = [Self::H264, Self::Hevc, Self::Av1, Self::Vp9];

    /// The names of [`ALL`](Self::ALL), in their order.
    pub const NAMES: [&'static str; 4] = ["h264", "hevc", "av1", "vp9"];

    /// The presets of x264 and x265, fastest first.
    pub const PRESETS: [&'static str; 10] = [
        "ultrafast",
        "superfast",
        "veryfast",
        "faster",
        "fast",
        "medium",
        "slow",
        "slower",
        "veryslow",
        "placebo",
    ];

    /// The codec that a format gets when the document names none; `None` when the format is for
    /// audio or pictures.
    pub const fn of_format(format: Format) -> Option<Self> {
        match format {
            Format::Mp4 | Format::Mov | Format::Mkv => Some(Self::H264),
            Format::Webm => Some(Self::Vp9),
            _ => None,
        }
    }

    /// The codec of that name in a document.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Av1 => "av1",
            Self::Vp9 => "vp9",
        }
    }

    /// The formats that it is written into.
    pub const fn formats(self) -> &'static [Format] {
        match self {
            Self::H264 | Self::Hevc => &[Format::Mp4, Format::Mov, Format::Mkv],
            Self::Av1 => &[Format::Mp4, Format::Webm, Format::Mkv],
            Self::Vp9 => &[Format::Webm, Format::Mkv],
        }
    }

    /// The largest constant rate factor of its encoder, a figure without a unit; the least is 0.
    pub const fn largest_crf(self) -> u8 {
        match self {
            Self::H264 | Self::Hevc => 51,
            Self::Av1 | Self::Vp9 => 63,
        }
    }

    /// The largest preset of an encoder whose presets are numbers from 0, without a unit; `None`
    /// for those that have [`PRESETS`](Self::PRESETS).
    pub const fn largest_preset(self) -> Option<u8> {
        match self {
            Self::H264 | Self::Hevc => None,
            Self::Av1 => Some(13),
            Self::Vp9 => Some(8),
        }
    }

    /// The smallest side of a picture that its encoder takes, in pixels; encoded sides are even.
    pub const fn smallest_side(self) -> u32 {
        match self {
            Self::H264 | Self::Vp9 => 2,
            Self::Hevc => 16,
            Self::Av1 => 64,
        }
    }

    /// Width and height that a picture has at most for its encoder and its containers, in pixels.
    pub const fn largest_sides(self) -> (u32, u32) {
        match self {
            Self::H264 | Self::Vp9 => (16_384, 16_384),
            // x265 takes any side. MP4 and QuickTime write 16 bits, and encoded sides are even.
            Self::Hevc => (65_534, 65_534),
            Self::Av1 => (16_384, 8_704),
        }
    }
}

/// How long an encoder may take for a better result.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Preset {
    /// One of [`VideoCodec::PRESETS`], for h264 and hevc.
    Name(String),
    /// A number without a unit, for vp9 (0 to 8) and av1 (0 to 13); more is faster.
    Number(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_codecs() {
        assert_eq!(VideoCodec::ALL.map(VideoCodec::name), VideoCodec::NAMES);
        assert_eq!(VideoCodec::from_name("hevc"), Some(VideoCodec::Hevc));
        assert_eq!(VideoCodec::from_name("H264"), None);
    }

    #[test]
    fn the_codec_of_a_format_fits_it() {
        for format in Format::ALL {
            if let Some(codec) = VideoCodec::of_format(format) {
                assert!(codec.formats().contains(&format));
            }
        }
    }
}
