//! What is known of moving pictures: size, pixel format, scan, colors, metadata of high dynamic
//! range.

use serde::{Deserialize, Serialize};

use super::{orientation::Orientation, projection::Projection};
use crate::time::Rational;

/// The pictures of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoInfo {
    /// Width without what the container crops, before any rotation, in pixels.
    pub width: u32,
    /// Height without what the container crops, before any rotation, in pixels.
    pub height: u32,
    /// What the container crops of decoded frames.
    #[serde(default, skip_serializing_if = "Crop::is_empty")]
    pub crop: Crop,
    /// The pixel format; `None` when it is not known.
    pub pixel_format: Option<PixelFormat>,
    /// Width of a pixel over its height; 1/1 when the source does not say.
    pub pixel_aspect: Rational,
    /// Average frames per second; `None` when it is not known.
    pub frame_rate: Option<Rational>,
    /// libav's `r_frame_rate`: the lowest rate, in frames per second, that exactly represents all
    /// timestamps which the probe saw. It equals [`frame_rate`](Self::frame_rate) when the rate is
    /// constant.
    pub nominal_frame_rate: Option<Rational>,
    /// Whether frames are progressive or interlaced.
    pub scan: Scan,
    /// Whether the upper field of an interlaced frame is the earlier one, where the container says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_field_first: Option<bool>,
    /// Color range, matrix, primaries and transfer.
    pub color: Color,
    /// Whether the source states a reserved value for a color property, which counts as not stated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reserved_color: bool,
    /// How the picture must be turned to stand upright.
    pub orientation: Orientation,
    /// Whether the pictures themselves state the orientation (EXIF, SEI), and not the container.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub orientation_in_pictures: bool,
    /// Static metadata of high dynamic range, where there is any.
    #[serde(default, skip_serializing_if = "Hdr::is_empty")]
    pub hdr: Hdr,
    /// Spherical projection and stereo packing.
    #[serde(default, skip_serializing_if = "Projection::is_empty")]
    pub projection: Projection,
    /// The Dolby Vision configuration that the container states; `None` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dolby_vision: Option<DolbyVision>,
}

/// A stream in Dolby Vision, by its configuration record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DolbyVision {
    /// The profile, a number as in profile 5.
    pub profile: u8,
    /// `dv_bl_signal_compatibility_id`, a number: what the base layer is to other decoders. 0 is
    /// nothing that they can show, 1 HDR10, 2 standard dynamic range, 4 HLG, 6 HDR10 of a Blu-ray
    /// disc.
    pub compatibility: u8,
}

impl DolbyVision {
    /// Whether a decoder without Dolby Vision shows right colors. Older records of profiles 4 and 7
    /// to 9 leave the compatibility at 0; their base layers are compatible all the same.
    pub const fn has_plain_base(self) -> bool {
        self.profile != 5 && (self.profile < 10 || self.compatibility != 0)
    }
}

impl VideoInfo {
    /// Whether only a decoder with Dolby Vision shows its colors right.
    pub fn needs_dolby_vision(&self) -> bool {
        self.dolby_vision.is_some_and(|it| !it.has_plain_base())
    }

    /// Width and height as shown: square pixels, upright; in pixels, not rounded to even.
    pub fn shown_size(&self) -> (f64, f64) {
        let width = f64::from(self.width) * self.pixel_aspect.as_f64();
        let height = f64::from(self.height);
        if self.orientation.swaps_sides() { (height, width) } else { (width, height) }
    }

    /// Applies a crop that the container states. One that leaves nothing is taken for a mistake and
    /// ignored. Returns whether the crop was applied.
    pub fn crop_to(&mut self, crop: Crop) -> bool {
        let across = crop.left.saturating_add(crop.right);
        let down = crop.top.saturating_add(crop.bottom);
        if crop.is_empty() || across >= self.width || down >= self.height {
            return false;
        }
        self.crop = crop;
        self.width -= across;
        self.height -= down;
        true
    }

    /// Whether the transfer function is one of high dynamic range, PQ or HLG.
    pub fn is_hdr(&self) -> bool {
        matches!(self.color.transfer.as_deref(), Some("smpte2084" | "arib-std-b67"))
    }
}

/// Rows and columns that a container hides of decoded frames, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Crop {
    /// Columns at the left, in pixels.
    pub left: u32,
    /// Columns at the right, in pixels.
    pub right: u32,
    /// Rows at the top, in pixels.
    pub top: u32,
    /// Rows at the bottom, in pixels.
    pub bottom: u32,
}

impl Crop {
    /// Whether nothing is hidden.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A pixel format, and what recipes ask about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PixelFormat {
    /// libav's name, as in `yuv420p10le`.
    pub name: String,
    /// Bits of the deepest component.
    pub depth: u32,
    /// How much narrower and lower the chroma planes are, as powers of two: (1, 1) is 4:2:0.
    pub chroma_shift: (u32, u32),
    /// Whether components are red, green and blue.
    pub rgb: bool,
    /// Whether there is an alpha component, or a palette that may hold one.
    pub alpha: bool,
}

/// Progressive or interlaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scan {
    /// All lines of a frame belong to one instant.
    Progressive,
    /// A frame consists of two fields, of two instants.
    Interlaced,
    /// The source does not say; single frames may.
    #[default]
    Unknown,
}

/// Color properties (ITU-T H.273), by libav's names; `None` where the source states none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Color {
    /// `tv` (limited) or `pc` (full).
    pub range: Option<String>,
    /// Matrix coefficients, as in `bt709`.
    pub matrix: Option<String>,
    /// Primaries, as in `bt709`.
    pub primaries: Option<String>,
    /// Transfer function, as in `smpte2084`.
    pub transfer: Option<String>,
}

/// Static metadata of high dynamic range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hdr {
    /// The mastering display (SMPTE ST 2086).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mastering: Option<MasteringDisplay>,
    /// The content light level (CTA-861.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub light: Option<LightLevel>,
}

impl Hdr {
    /// Whether there is nothing to carry.
    pub fn is_empty(&self) -> bool {
        self.mastering.is_none() && self.light.is_none()
    }
}

/// The display a picture was mastered on (SMPTE ST 2086), in the units of HEVC's SEI message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MasteringDisplay {
    /// Chromaticity of red, green and blue, each x and y, in 1/50000.
    pub primaries: [(u32, u32); 3],
    /// Chromaticity of white, x and y, in 1/50000.
    pub white: (u32, u32),
    /// Darkest luminance, in 1/10000 cd/m².
    pub min_luminance: u32,
    /// Brightest luminance, in 1/10000 cd/m².
    pub max_luminance: u32,
}

/// Content light level (CTA-861.3), in cd/m².
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LightLevel {
    /// Brightest pixel of the whole stream, in cd/m².
    pub max_content: u32,
    /// Brightest average of one frame, in cd/m².
    pub max_frame_average: u32,
}
