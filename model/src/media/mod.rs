//! What probing found in an input: container, streams, sizes, colors, and what sample tables
//! promise.

pub mod movie;
mod orientation;
mod projection;
mod video;

use std::{collections::BTreeMap, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::time::{TimeBase, Timestamp};
use movie::Movie;
pub use orientation::{Axes, Orientation};
pub use projection::{Projection, Sphere, Stereo};
pub use video::{
    Color, Crop, DolbyVision, Hdr, LightLevel, MasteringDisplay, PixelFormat, Scan, VideoInfo,
};

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
    /// The earliest presentation time (PTS) of any audio or video stream. Negative priming counts
    /// as 0, except where timestamps may wrap (TS, PS), in which negative times are media.
    pub start: Option<Timestamp>,
    /// The span that the container states or libav estimates, from [`start`](Self::start).
    pub duration: Option<Timestamp>,
    /// Whether libav computed the duration from the bit rate, since the container states none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duration_is_estimate: bool,
    /// Bits per second over all streams, as the container states or libav estimates.
    pub bit_rate: Option<u64>,
    /// Tags of the whole file; of Ogg, which has them in its streams, those of the first that has any.
    pub tags: Tags,
    /// Chapters, in order of time.
    pub chapters: Vec<Chapter>,
    /// Streams, in the container's order: the n-th has index n.
    pub streams: Vec<StreamInfo>,
    /// Programs: groups of streams that are shown together. A transport stream may have several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramInfo>,
    /// Whether a Matroska file says that it is `WebM`.
    #[serde(default)]
    pub is_webm: bool,
    /// By how many bytes the input is shorter than its header states; 0 where the header states no
    /// size.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing_bytes: u64,
    /// Whether headers show that another file follows the first in the same input. Where
    /// [`reads_on`](Self::reads_on), both are read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub followed: bool,
    /// What the boxes of MP4 and QuickTime state and libavformat does not report; `None` for other
    /// containers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub movie: Option<Movie>,
    /// What the server reported about a remote input; `None` for other inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// A program: streams that are shown together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramInfo {
    /// The container's number of the program.
    pub number: i32,
    /// The container's name of the program, as that of a television service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Numbers of its streams in the input, from 0.
    pub streams: Vec<usize>,
}

/// What a server reported about a remote input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// Its length, in bytes; `None` when the server did not state it.
    pub bytes: Option<u64>,
    /// What identifies this version of it: an `ETag`, or the time of its last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the server serves byte ranges; without them the input was copied as a whole.
    pub has_ranges: bool,
}

impl Origin {
    /// What must not change from the plan to the end of the run: the version, or else the length.
    /// `None` when neither is known.
    pub fn pin(&self) -> Option<String> {
        self.version.clone().or_else(|| self.bytes.map(|bytes| format!("{bytes} bytes long")))
    }
}

/// Demuxers, by libav's names, whose containers state presentation times (PTS). Others state
/// decoding times (DTS) at most.
pub const STATES_PRESENTATION: [&str; 9] =
    ["mov", "matroska", "webm", "mpegts", "mpeg", "flv", "nut", "ogg", "mxf"];

/// Demuxers, by libav's names, whose containers may have been cut and joined at any place, so that
/// timestamps jump.
pub const MAY_JUMP: [&str; 2] = ["mpegts", "mpeg"];

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands on a reference")]
const fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

/// What follows the first file in the same input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Nothing, as far as headers show.
    Nothing,
    /// Further files that are coded alike as far as headers show. In FLV, packets may still state
    /// another coding.
    Alike,
    /// Further files, which may be coded in another way.
    Other,
}

impl MediaInfo {
    /// Whether sample tables list the packets of all streams (MP4, QuickTime), so that they are
    /// known without being read.
    pub fn lists_packets(&self) -> bool {
        let is_listed = |stream: &StreamInfo| stream.promised_packets.is_some();
        self.is_format("mov") && self.streams.iter().all(is_listed)
    }

    /// Whether codec parameters of a stream may change in mid-stream without the container's header
    /// saying so: in its packets, or where another file follows the first.
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

    /// Whether another file follows the first, and all of them are known to be coded alike.
    pub fn parts_agree(&self) -> bool {
        self.followed && !self.streams.iter().any(|stream| stream.parameters_change)
    }

    /// Records what follows the first file.
    pub fn note_behind(&mut self, behind: Behind) {
        self.followed = behind != Behind::Nothing;
        for stream in &mut self.streams {
            stream.parameters_change |= behind == Behind::Other;
        }
    }

    /// Whether a file that follows the first is read as well. It is not for a movie without
    /// fragments, WAV, AIFF, Wave64 and CAF.
    pub fn reads_on(&self) -> bool {
        let is_whole_movie = self.movie.as_ref().is_some_and(|movie| !movie.fragmented);
        let has_stated_end = ["wav", "aiff", "w64", "caf"].iter().any(|name| self.is_format(name));
        !is_whole_movie && !has_stated_end
    }

    /// Whether the container may have been cut and joined at any place, so that its timestamps
    /// jump.
    pub fn may_jump(&self) -> bool {
        MAY_JUMP.iter().any(|name| self.is_format(name))
    }

    /// Whether the container states presentation times (PTS), and not only decoding times (DTS).
    pub fn states_presentation(&self) -> bool {
        STATES_PRESENTATION.iter().any(|name| self.is_format(name))
    }

    /// Video streams, without cover art, thumbnails and previews.
    pub fn videos(&self) -> impl Iterator<Item = (&StreamInfo, &VideoInfo)> {
        self.streams.iter().filter_map(|stream| match &stream.kind {
            Kind::Video(video) if !stream.still => Some((stream, video)),
            _ => None,
        })
    }

    /// Audio streams.
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
    /// Presentation time (PTS) of the first frame, where the container states it.
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
    /// Whether its codec parameters are known to change in mid-stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parameters_change: bool,
    /// Whether it is cover art, a thumbnail or a preview, not a stream in time.
    pub still: bool,
    /// Whether it is a preview: a video stream of one picture beside streams of more, which the
    /// container does not mark as cover art.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// Tags, among them `language`.
    pub tags: Tags,
    /// The bytes of the codec's extradata, such as parameter sets; not part of the JSON.
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
    /// Players take it unless the user chooses another.
    pub default: bool,
    /// Players show it even when the user has not asked for subtitles.
    pub forced: bool,
    /// It is meant for people who are hard of hearing.
    pub hearing_impaired: bool,
    /// It is meant for people whose sight is impaired.
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
    /// Whether it is text, which can be converted into another format.
    pub text: bool,
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
