//! What probing found in an input: containers, streams, shapes, colors, promises.

pub mod movie;

use std::{collections::BTreeMap, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::time::{Rational, TimeBase, Timestamp};
use movie::Movie;

/// Tags by name, such as `title` and `language`.
pub type Tags = BTreeMap<String, String>;

/// What probing found in one input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaInfo {
    /// The demuxer's names, as in `mov,mp4,m4a,3gp,3g2,mj2`.
    pub format: String,
    /// Size of the input, in bytes; `None` when it is not known.
    pub size_bytes: Option<u64>,
    /// The earliest presented time of any stream; negative priming counts as 0, what comes before
    /// the wrap of a clock does not.
    pub start: Option<Timestamp>,
    /// The span that the container states or libav estimates, from [`start`](Self::start).
    pub duration: Option<Timestamp>,
    /// Whether libav made the duration out of the bit rate, since the container states none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duration_is_estimate: bool,
    /// Bits per second over all streams, as the container states or libav estimates.
    pub bit_rate: Option<u64>,
    /// Tags of the whole file.
    pub tags: Tags,
    /// Chapters, in order of time.
    pub chapters: Vec<Chapter>,
    /// Streams, in the container's order: the n-th has index n.
    pub streams: Vec<StreamInfo>,
    /// What the container groups to be shown together, as a transport stream may have several of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramInfo>,
    /// Whether a Matroska file says that it is `WebM`.
    #[serde(default)]
    pub is_webm: bool,
    /// How many bytes are missing of what the header says that there is; 0 where it says nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing_bytes: u64,
    /// Whether another file stands behind the first, as far as headers tell. Where
    /// [`reads_on`](Self::reads_on), both are read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub followed: bool,
    /// What the boxes of MP4 and QuickTime say beside; `None` for other containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub movie: Option<Movie>,
    /// What the server told of it; `None` for what is on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Streams that are shown together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramInfo {
    /// The container's number of it.
    pub number: i32,
    /// The container's name of it, as that of a television service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Numbers of its streams in the input, from 0.
    pub streams: Vec<usize>,
}

/// What a server told of an input that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Its length, in bytes; `None` when that was not told.
    pub bytes: Option<u64>,
    /// What tells this version from others: an `ETag`, or when it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether parts of it can be had; without them it was copied as a whole.
    pub has_ranges: bool,
}

impl Origin {
    /// What must stay as it is from the plan to the end of the run: the version, or else the length.
    pub fn pin(&self) -> Option<String> {
        self.version.clone().or_else(|| self.bytes.map(|bytes| format!("{bytes} bytes long")))
    }
}

/// libav's names of the demuxers whose containers state presentation times; others state decoding
/// times at most.
pub const STATES_PRESENTATION: [&str; 9] =
    ["mov", "matroska", "webm", "mpegts", "mpeg", "flv", "nut", "ogg", "mxf"];

/// libav's names of the demuxers whose containers may have been cut and joined at any place.
pub const MAY_JUMP: [&str; 2] = ["mpegts", "mpeg"];

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands on a reference")]
const fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// What stands behind a file in the same input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Nothing, as far as headers tell.
    Nothing,
    /// Other files whose headers say the same of the coding, or whose packets do.
    Alike,
    /// Other files, coded in another way.
    Other,
}

impl MediaInfo {
    /// Whether the container lists the packets of all its streams, so that they are known without
    /// being read.
    pub fn lists_packets(&self) -> bool {
        let is_listed = |stream: &StreamInfo| stream.promised_packets.is_some();
        self.is_format("mov") && self.streams.iter().all(is_listed)
    }

    /// Whether codec parameters of a stream may change on the way without the header of the container
    /// saying so: among its packets, or since another file stands behind the first.
    pub fn parameters_may_change(&self, stream: &StreamInfo) -> bool {
        let told_by_packets = [
            "h264",
            "hevc",
            "mpeg1video",
            "mpeg2video",
            "av1",
            "aac",
            "mp1",
            "mp2",
            "mp3",
            "ac3",
            "eac3",
            "flac",
            "vorbis",
        ];
        self.reads_on() || told_by_packets.contains(&stream.codec.as_str())
    }

    /// Whether the files that stand behind each other are known to be coded alike.
    pub fn parts_agree(&self) -> bool {
        self.followed && !self.streams.iter().any(|stream| stream.parameters_change)
    }

    /// Takes down what stands behind the first file.
    pub fn note_behind(&mut self, behind: Behind) {
        self.followed = behind != Behind::Nothing;
        for stream in &mut self.streams {
            stream.parameters_change |= behind == Behind::Other;
        }
    }

    /// Whether a file that stands behind another one is read as well.
    pub fn reads_on(&self) -> bool {
        let is_whole_movie = self.movie.as_ref().is_some_and(|movie| !movie.fragmented);
        let has_stated_end = ["wav", "aiff", "w64", "caf"].iter().any(|name| self.is_format(name));
        !is_whole_movie && !has_stated_end
    }

    /// Whether the container may have been cut and joined at any place, so that its clock jumps.
    pub fn may_jump(&self) -> bool {
        MAY_JUMP.iter().any(|name| self.is_format(name))
    }

    /// Whether the container states when pictures are shown, and not only when they are decoded.
    pub fn states_presentation(&self) -> bool {
        STATES_PRESENTATION.iter().any(|name| self.is_format(name))
    }

    /// Streams of moving pictures: no cover art, no thumbnails.
    pub fn videos(&self) -> impl Iterator<Item = (&StreamInfo, &VideoInfo)> {
        self.streams.iter().filter_map(|stream| match &stream.kind {
            Kind::Video(video) if !stream.still => Some((stream, video)),
            _ => None,
        })
    }

    /// Streams of sound.
    pub fn audios(&self) -> impl Iterator<Item = (&StreamInfo, &AudioInfo)> {
        self.streams.iter().filter_map(|stream| match &stream.kind {
            Kind::Audio(audio) => Some((stream, audio)),
            _ => None,
        })
    }

    /// Whether any of the demuxer's names is `name`.
    pub fn is_format(&self, name: &str) -> bool {
        self.format.split(',').any(|found| found == name)
    }
}

/// A chapter: a named span.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chapter {
    /// Where it begins.
    pub start: Timestamp,
    /// Where it ends.
    pub end: Timestamp,
    /// Tags, among them `title`.
    pub tags: Tags,
}

/// One stream of an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamInfo {
    /// Number of the stream in its input, from 0.
    pub index: usize,
    /// The container's own number of the stream; the track's in MP4.
    pub id: i32,
    /// libav's name of the codec, as in `h264`; `none` when it is not known.
    pub codec: String,
    /// libav's name of the profile, as in `High`.
    pub profile: Option<String>,
    /// The level as the codec counts it: 41 is H.264 level 4.1.
    pub level: Option<i32>,
    /// The container's four-character code, as in `avc1`.
    pub tag: Option<String>,
    /// Seconds per tick of the stream's timestamps.
    pub time_base: TimeBase,
    /// Presentation time of the first frame, where the container tells.
    pub start: Option<Timestamp>,
    /// Duration that the container states, in ticks of the stream's time base.
    pub duration: Option<Timestamp>,
    /// Packets that a complete sample table promises; `None` without such a table.
    pub promised_packets: Option<u64>,
    /// Bytes of all those packets; `None` without such a table.
    pub promised_bytes: Option<u64>,
    /// Promised packets that an edit list hides at the beginning: decoded, and not shown.
    pub hidden_before: u64,
    /// Promised packets that an edit list hides anywhere else.
    pub hidden_after: u64,
    /// Bits per second, as the container states.
    pub bit_rate: Option<u64>,
    /// How the container says players should treat it.
    pub disposition: Disposition,
    /// Whether its codec parameters are known to change on the way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parameters_change: bool,
    /// Whether it is cover art, a thumbnail or a preview, not a stream in time.
    pub still: bool,
    /// Whether it is a preview: a stream of one picture beside streams of more, which no container
    /// calls cover art.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// Tags, among them `language`.
    pub tags: Tags,
    /// Bytes in which the container says more of the coding, such as parameter sets; not part of the
    /// JSON.
    #[serde(skip)]
    pub extradata: Vec<u8>,
    /// What it carries.
    pub kind: Kind,
}

/// How players should treat a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
pub struct Disposition {
    /// It is the one to take, unless the user chooses.
    pub default: bool,
    /// It is to be shown even when the user has not asked for subtitles.
    pub forced: bool,
    /// It is meant for those who hear badly.
    pub hearing_impaired: bool,
    /// It is meant for those who see badly.
    pub visual_impaired: bool,
    /// It is a commentary.
    pub comment: bool,
    /// It is in the language in which the media was made.
    pub original: bool,
    /// It is a translation.
    pub dub: bool,
}

/// What a stream carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
#[expect(clippy::large_enum_variant, reason = "an input has few streams, most of them pictures")]
pub enum Kind {
    /// Pictures.
    Video(VideoInfo),
    /// Sound.
    Audio(AudioInfo),
    /// Text or bitmaps to show over the picture.
    Subtitle(SubtitleInfo),
    /// Time codes, telemetry and the like.
    Data,
    /// Files carried along, such as fonts.
    Attachment,
}

impl Kind {
    /// The kind's name: `video`, `audio`, `subtitle`, `data`, `attachment`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Video(_) => "video",
            Self::Audio(_) => "audio",
            Self::Subtitle(_) => "subtitle",
            Self::Data => "data",
            Self::Attachment => "attachment",
        }
    }
}

/// The text or bitmaps of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubtitleInfo {
    /// Whether it is text, which can be written in another form.
    pub text: bool,
}

/// The pictures of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VideoInfo {
    /// Width before any rotation, without what the container crops, in pixels.
    pub width: u32,
    /// Height before any rotation, without what the container crops, in pixels.
    pub height: u32,
    /// What the container crops of decoded frames.
    #[serde(default, skip_serializing_if = "Crop::is_empty")]
    pub crop: Crop,
    /// libav's name of the pixel format, as in `yuv420p`, with what it means.
    pub pixel_format: Option<PixelFormat>,
    /// Width of a pixel over its height; 1/1 when the source does not say.
    pub pixel_aspect: Rational,
    /// Average frames per second; `None` when it is not known.
    pub frame_rate: Option<Rational>,
    /// The lowest frames per second at which the probe can tell all its times exactly: equal to
    /// [`frame_rate`](Self::frame_rate) when the rate is constant.
    pub nominal_frame_rate: Option<Rational>,
    /// Whether the lines of a frame belong to two instants.
    pub scan: Scan,
    /// Whether the upper field of an interlaced frame is the earlier one, where the container says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_field_first: Option<bool>,
    /// How numbers become colors.
    pub color: Color,
    /// Whether the source says something of its colors that has no meaning.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reserved_color: bool,
    /// How the picture must be turned to stand upright.
    pub orientation: Orientation,
    /// Whether that is said by the pictures themselves (EXIF, SEI), and not by the container.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub orientation_in_pictures: bool,
    /// Static metadata of high dynamic range, where there is any.
    #[serde(default, skip_serializing_if = "Hdr::is_empty")]
    pub hdr: Hdr,
    /// What players that show a sphere, or two views, must know.
    #[serde(default, skip_serializing_if = "Projection::is_empty")]
    pub projection: Projection,
    /// What the container says of Dolby Vision; `None` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dolby_vision: Option<DolbyVision>,
}

/// A stream in Dolby Vision, by its configuration record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DolbyVision {
    /// The profile, a number as in profile 5.
    pub profile: u8,
    /// What the base layer is without its metadata, a number: 0 is nothing that other decoders
    /// show, 1 HDR10, 2 standard dynamic range, 4 HLG, 6 HDR10 of a Blu-ray disc.
    pub compatibility: u8,
}

impl DolbyVision {
    /// Whether a decoder that does not know of it shows right colors. Older records of profiles 4
    /// and 7 to 9 leave the compatibility at 0; their base layers are compatible all the same.
    pub const fn has_plain_base(self) -> bool {
        self.profile != 5 && (self.profile < 10 || self.compatibility != 0)
    }
}

impl VideoInfo {
    /// Whether its colors are right only to a decoder that knows of Dolby Vision.
    pub fn needs_dolby_vision(&self) -> bool {
        self.dolby_vision.is_some_and(|it| !it.has_plain_base())
    }

    /// Width and height as shown: square pixels, upright; in pixels, not rounded to even.
    pub fn shown_size(&self) -> (f64, f64) {
        let width = f64::from(self.width) * self.pixel_aspect.as_f64();
        let height = f64::from(self.height);
        if self.orientation.swaps_sides() { (height, width) } else { (width, height) }
    }

    /// Lets rows and columns be hidden that a container hides; one that leaves nothing is a mistake, and
    /// hides nothing. Answers whether it does.
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
    /// One instant a frame.
    Progressive,
    /// Two fields a frame.
    Interlaced,
    /// The source does not say; single frames may.
    #[default]
    Unknown,
}

/// How numbers become colors (ITU-T H.273), by libav's names; `None` where the source does not say.
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
    /// SMPTE ST 2086.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mastering: Option<MasteringDisplay>,
    /// CTA-861.3.
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

/// How the pictures of a stream are laid onto a sphere, and how two views stand in each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Projection {
    /// How views are packed; `None` where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stereo: Option<Stereo>,
    /// The sphere; `None` for a flat picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sphere: Option<Sphere>,
}

impl Projection {
    /// Whether there is nothing to carry.
    pub fn is_empty(&self) -> bool {
        self.stereo.is_none() && self.sphere.is_none()
    }
}

/// How the views of a left and a right eye are packed into one picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stereo {
    /// libav's name of the packing, as in `top and bottom`; `2D` for one view.
    pub packing: String,
    /// Whether the right view comes first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inverted: bool,
}

/// How a picture is laid onto a sphere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sphere {
    /// libav's name of the mapping, as in `equirectangular`.
    pub mapping: String,
    /// How far the sphere is turned by yaw, pitch and roll, in degrees of 1/65536.
    pub turn: [i32; 3],
    /// How much of the whole lies beyond the left, top, right and bottom edge, each a figure of
    /// 1/2³² of its width or height.
    pub beyond: [u32; 4],
    /// How far the faces of a cube go on beyond their edges, in pixels.
    pub padding: u32,
}

/// How a picture must be turned to stand upright (the display matrix of ISO/IEC 14496-12, 8.5.3,
/// when it is a multiple of a quarter turn, mirrored or not).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Orientation {
    /// As coded.
    #[default]
    Upright,
    /// A quarter turn to the right.
    Clockwise,
    /// Half a turn.
    HalfTurn,
    /// A quarter turn to the left.
    CounterClockwise,
    /// Left and right exchanged.
    FlipLeftRight,
    /// Top and bottom exchanged.
    FlipTopBottom,
    /// Rows become columns.
    Transpose,
    /// Rows become columns from the far corner.
    AntiTranspose,
    /// The matrix is no multiple of a quarter turn; the picture is taken as coded.
    Skewed,
}

/// Where the axes of a picture, to the right and down, lead once it is turned and mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes {
    right: (i32, i32),
    down: (i32, i32),
}

impl Default for Axes {
    fn default() -> Self {
        Self { right: (1, 0), down: (0, 1) }
    }
}

impl Axes {
    fn change(&mut self, change: impl Fn((i32, i32)) -> (i32, i32)) {
        (self.right, self.down) = (change(self.right), change(self.down));
    }

    /// A quarter turn to the left.
    pub fn turn_left(&mut self) {
        self.change(|(x, y)| (y, -x));
    }

    /// Exchanges left and right, or top and bottom.
    pub fn mirror(&mut self, left_right: bool) {
        self.change(|(x, y)| if left_right { (-x, y) } else { (x, -y) });
    }

    /// The same as one of eight orientations.
    pub fn orientation(self) -> Orientation {
        Orientation::from_matrix([self.right.0, self.right.1, self.down.0, self.down.1])
    }
}

impl Orientation {
    /// The orientation that a display matrix asks for: `x' = a·x + c·y`, `y' = b·x + d·y`.
    pub fn from_matrix([a, b, c, d]: [i32; 4]) -> Self {
        match [a, b, c, d].map(i32::signum) {
            [1, 0, 0, 1] => Self::Upright,
            [0, 1, -1, 0] => Self::Clockwise,
            [-1, 0, 0, -1] => Self::HalfTurn,
            [0, -1, 1, 0] => Self::CounterClockwise,
            [-1, 0, 0, 1] => Self::FlipLeftRight,
            [1, 0, 0, -1] => Self::FlipTopBottom,
            [0, 1, 1, 0] => Self::Transpose,
            [0, -1, -1, 0] => Self::AntiTranspose,
            _ => Self::Skewed,
        }
    }

    /// The orientation of a picture that is mirrored first, left to right, top to bottom or both,
    /// and then turned to the left by so many quarters.
    pub fn of_turn(mirrored: bool, flipped: bool, quarters: u32) -> Self {
        let mut axes = Axes::default();
        if mirrored {
            axes.mirror(true);
        }
        if flipped {
            axes.mirror(false);
        }
        (0..quarters % 4).for_each(|_| axes.turn_left());
        axes.orientation()
    }

    /// Whether width and height change places.
    pub const fn swaps_sides(self) -> bool {
        matches!(
            self,
            Self::Clockwise | Self::CounterClockwise | Self::Transpose | Self::AntiTranspose
        )
    }
}

/// The sound of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AudioInfo {
    /// Samples per second, in Hz; `None` when it is not known.
    pub sample_rate: Option<NonZeroU32>,
    /// Number of channels.
    pub channels: u32,
    /// libav's description of the channel layout, as in `5.1(side)`; the usual layout of that many
    /// channels when the source does not say.
    pub layout: String,
    /// libav's name of the sample format, as in `fltp`.
    pub sample_format: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_matrix_becomes_an_orientation() {
        let check = |matrix, expected| assert_eq!(Orientation::from_matrix(matrix), expected);
        let one = 1 << 16;
        check([one, 0, 0, one], Orientation::Upright);
        check([0, one, -one, 0], Orientation::Clockwise);
        check([0, -one, one, 0], Orientation::CounterClockwise);
        check([-one, 0, 0, one], Orientation::FlipLeftRight);
        check([one / 2, one / 2, -one / 2, one / 2], Orientation::Skewed);
    }

    #[test]
    fn mirroring_comes_before_turning() {
        let check = |turn: (bool, bool, u32), expected| {
            assert_eq!(Orientation::of_turn(turn.0, turn.1, turn.2), expected, "{turn:?}");
        };
        check((false, false, 0), Orientation::Upright);
        check((false, false, 1), Orientation::CounterClockwise);
        check((false, false, 2), Orientation::HalfTurn);
        check((false, false, 3), Orientation::Clockwise);
        check((true, false, 0), Orientation::FlipLeftRight);
        check((false, true, 0), Orientation::FlipTopBottom);
        check((true, true, 0), Orientation::HalfTurn);
        check((true, false, 1), Orientation::Transpose);
        check((true, false, 3), Orientation::AntiTranspose);
    }
}
