//! All that a run does, as plain data: which streams are read, what becomes of each, and why.

mod check;
mod container;
mod display;

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::{
    cost::Cost,
    location::Location,
    media::{Chapter, Color, Disposition, Hdr, Projection, Tags},
    time::{Rational, TimeBase, Timestamp},
};

/// All that a run does.
///
/// A plan is valid for the build that made it and for the inputs it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The way the goal is met, in one word.
    pub strategy: Strategy,
    /// Why this way, where the tracks do not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Reason>,
    /// What is read.
    pub inputs: Vec<Input>,
    /// What is written.
    pub outputs: Vec<Output>,
    /// Streams that are in the inputs and in no output.
    pub dropped: Vec<Dropped>,
    /// What the user should know before the run.
    pub notices: Vec<Reason>,
    /// Media time that the longest track is expected to have, in seconds; `None` when the inputs
    /// do not tell, and for a single picture.
    pub seconds: Option<f64>,
    /// Whether a shortfall of an input is a warning instead of an error.
    pub lenient: bool,
    /// What the run is expected to take; without what [`otherwise`](Self::otherwise) takes.
    #[serde(default)]
    pub cost: Cost,
    /// What is run instead when an output or a track passes its size limit, a smart cut
    /// fails, or copied sound has gaps that its container can not keep; it may have another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Box<Plan>>,
    /// What is run instead when codec parameters of a stream that is copied change on the way, by
    /// this plan or by [`otherwise`](Self::otherwise).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_parameters_change: Option<Box<Plan>>,
    /// What the `ffmpeg` program does in the place of this library, for outputs that are
    /// [of a process](Content::OfProcess).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

/// A run of the `ffmpeg` program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Its arguments, without those that make it report its progress.
    pub arguments: Vec<Argument>,
}

/// One argument of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Argument {
    /// Word for word.
    Text(String),
    /// The place of the input of this number, from 0.
    Input(usize),
    /// The file that becomes the output of this number, from 0.
    Output(usize),
}

/// The way a plan meets its goal, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Strategy {
    /// The input is the output, byte for byte.
    Passthrough,
    /// Every kept stream is copied into a new container.
    Remux,
    /// As [`Remux`](Self::Remux), for the sake of an index before the media.
    FaststartRemux,
    /// A span of every kept stream is copied.
    Copy,
    /// As [`Copy`](Self::Copy), with the pictures at the ends of a section encoded anew.
    SmartCut,
    /// At least one stream is encoded.
    Encode,
    /// As [`Encode`](Self::Encode), into what every browser plays.
    WebEncode,
    /// One frame is decoded and becomes a picture.
    Thumbnail,
    /// Several frames are decoded and become pictures, or one picture.
    Storyboard,
    /// The `ffmpeg` program is run with arguments of the user.
    Ffmpeg,
}

impl Strategy {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passthrough => "passthrough",
            Self::Remux => "remux",
            Self::FaststartRemux => "faststart_remux",
            Self::Copy => "copy",
            Self::SmartCut => "smart_cut",
            Self::Encode => "encode",
            Self::WebEncode => "web_encode",
            Self::Thumbnail => "thumbnail",
            Self::Storyboard => "storyboard",
            Self::Ffmpeg => "ffmpeg",
        }
    }
}

/// One input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Input {
    /// Where it is.
    pub location: Location,
    /// Whether jumps of its clock are closed; elsewhere than in TS and PS a gap is content.
    pub closes_jumps: bool,
    /// Whether decoding times [go back](crate::index::StreamIndex::goes_back), so that all of it is read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_back: bool,
    /// Whether files behind each other in it are known to be coded alike, so that copies go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parts_agree: bool,
    /// Which version of something elsewhere the plan was made for; the run is refused another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether something elsewhere is copied to this machine before the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stage: bool,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Where it goes.
    pub location: Location,
    /// Whether an existing file may be replaced.
    pub replace: bool,
    /// libav's name of the muxer, as in `mp4`.
    pub muxer: String,
    /// Options of the muxer; one it does not know fails the run.
    pub options: Vec<(String, String)>,
    /// Tags of the whole file.
    pub tags: Tags,
    /// Chapters, on the time line of the output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chapters: Vec<Chapter>,
    /// What it is made of.
    pub content: Content,
    /// Whether the index of a movie (`moov`) is to stand before its media.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub index_first: bool,
    /// Whether the tracks are all that a movie has, as it has them, so that its bytes can be copied
    /// with its index before its media, instead of packet by packet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moves_index: bool,
    /// The largest size that is wanted, in bytes: a larger one is made by
    /// [`Plan::otherwise`], or delivered with a warning where there is no other plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
}

/// What an output is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// Streams, in order.
    Tracks(Vec<Track>),
    /// The bytes of the input of this number, from 0.
    BytesOf(usize),
    /// The file of this name that the plan's process leaves in its folder.
    OfProcess(String),
    /// Pictures of a stream, in one picture.
    #[serde(rename = "sheet")]
    SpriteSheet(Box<SpriteSheet>),
    /// This text.
    Text(String),
}

/// Pictures of a stream at several instants, side by side in one picture, row by row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SpriteSheet {
    /// Where they come from.
    pub source: StreamId,
    /// When they are on screen; rising, and at least one.
    #[serde(rename = "instants")]
    pub picks: Vec<FramePick>,
    /// A filter graph with one input and one output, in libavfilter's notation, that makes each
    /// into one of the same size and pixel format.
    pub filters: String,
    /// The number of pictures that stand side by side.
    pub columns: NonZeroU32,
    /// What encodes the whole; its size is that of all together.
    pub encoder: Encoder,
    /// Why the pictures are taken as they are.
    pub because: Vec<Reason>,
}

impl SpriteSheet {
    /// How many rows there are.
    pub fn rows(&self) -> u32 {
        let pictures = u32::try_from(self.picks.len()).unwrap_or(u32::MAX);
        pictures.div_ceil(self.columns.get())
    }
}

impl Output {
    /// Its streams, in order; none when its bytes come from elsewhere.
    pub fn tracks(&self) -> &[Track] {
        match &self.content {
            Content::Tracks(tracks) => tracks,
            Content::BytesOf(_)
            | Content::OfProcess(_)
            | Content::SpriteSheet(_)
            | Content::Text(_) => &[],
        }
    }

    /// The pictures that it shows, when it is a sheet.
    pub fn sheet(&self) -> Option<&SpriteSheet> {
        match &self.content {
            Content::SpriteSheet(sheet) => Some(sheet),
            _ => None,
        }
    }
}

/// One stream of an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// What it carries.
    pub kind: TrackKind,
    /// What it is made of, one after the other; nearly always one.
    pub parts: Vec<Part>,
    /// What becomes of them.
    pub action: Action,
    /// Why.
    pub because: Vec<Reason>,
    /// The container's four-character code to write, as in `hvc1`; `None` leaves it to the muxer.
    pub tag: Option<String>,
    /// How players should treat it.
    #[serde(default)]
    pub disposition: Disposition,
    /// Tags, among them `language`.
    pub tags: Tags,
    /// What is written of how pictures are laid onto a sphere, or hold two views.
    #[serde(default, skip_serializing_if = "Projection::is_empty")]
    pub projection: Projection,
    /// The most that its packets may hold, in bytes; beyond that [`Plan::otherwise`] is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
}

impl Track {
    /// The streams of inputs that it is made of, in order.
    pub fn sources(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.parts.iter().filter_map(|part| part.source)
    }
}

/// A stream of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamId {
    /// Number of the input, from 0.
    pub input: usize,
    /// Number of the stream in that input, from 0.
    pub stream: usize,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.input, self.stream)
    }
}

/// A piece of a track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// Where it comes from; `None` when its filters make it, as in silence.
    pub source: Option<StreamId>,
    /// The instant of its own time line that is 0 in the output: negative in later parts.
    pub origin: Timestamp,
    /// Which packets or frames of the stream are wanted.
    pub select: Select,
    /// A filter graph with one input, none without a source, and one output, in libavfilter's
    /// notation, that ends in what the encoder takes; empty for copies. It is built anew when the
    /// frames of the source change in kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filters: String,
    /// Which packets are copied, in a track that is [cut so](Action::SmartCut).
    #[serde(default, rename = "splice", skip_serializing_if = "Option::is_none")]
    pub copied: Option<CopiedRun>,
    /// A second such graph for sound, behind the first and built once, that sees all of the part:
    /// it makes it as long as it should be. Empty for none.
    #[serde(default, rename = "fit", skip_serializing_if = "String::is_empty")]
    pub pad_filters: String,
}

/// Which packets of a section are copied, while its other pictures are encoded anew: those of a run
/// in order of decoding, which are shown together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopiedRun {
    /// When the keyframe is shown that they begin with; `None` where none is copied.
    #[serde(rename = "from")]
    pub keyframe_pts: Option<Timestamp>,
    /// When the first picture behind them is shown; `None` where they go on to the end of the
    /// section.
    #[serde(rename = "until")]
    pub end_pts: Option<Timestamp>,
    /// When the keyframe is shown from which the pictures behind them are decoded.
    #[serde(rename = "lead")]
    pub tail_keyframe_pts: Option<Timestamp>,
    /// How long pictures of the track are decoded before they are shown, in ticks of the stream:
    /// decoding times are the sorted presentation times, less this.
    pub delay: i64,
    /// The number of pictures in the section.
    pub pictures: u64,
}

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TrackKind {
    /// Moving pictures.
    Video,
    /// Sound.
    Audio,
    /// Text over the picture.
    Subtitle,
    /// A still picture that belongs to the file, as cover art does.
    Cover,
}

impl TrackKind {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Subtitle => "subtitle",
            Self::Cover => "cover",
        }
    }
}

/// What becomes of the parts of a track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Packets are written as they are.
    Copy,
    /// Frames are decoded, filtered and encoded.
    Encode(Box<Encoder>),
    /// Packets are written as they are, and the pictures at the ends of each part's section are
    /// encoded in the same form.
    #[serde(rename = "splice")]
    SmartCut(Box<Encoder>),
    /// Text is written in another form: libav's name of the encoder, as in `mov_text`.
    Convert(String),
}

impl Action {
    /// The name in JSON; converted text counts as encoded, smart cuts as copied.
    pub const fn name(&self) -> &'static str {
        if self.copies() { "copy" } else { "encode" }
    }

    /// Whether packets are written as they are, but for the ends of sections.
    pub const fn copies(&self) -> bool {
        matches!(self, Self::Copy | Self::SmartCut(_))
    }
}

/// Which packets or frames of a stream are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Select {
    /// All of them.
    All,
    /// The frame that is on screen at an instant.
    At(FramePick),
    /// Those of a span.
    Span(Span),
}

/// A span of a stream, on the time line of the input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// The first instant that is kept.
    pub start: Timestamp,
    /// The first instant after it that is not; `None` for the end of the stream.
    pub end: Option<Timestamp>,
    /// The frame that is on screen at the start is kept, too, when the first one of the span comes
    /// later than this; encodes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Timestamp>,
    /// Packets before the start that a decoder needs to begin with, and that an edit list hides;
    /// copies only.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lead_in: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The frame that is on screen at an instant, and what is needed around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FramePick {
    /// The instant, on the time line of the input.
    pub time: Timestamp,
    /// Whether any keyframe at or before it will do, too.
    pub keyframe: bool,
    /// Whether the filters look at the frames before and after, as deinterlacers do.
    pub neighbors: bool,
}

/// One encoder and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encoder {
    /// Name of the encoder, as in `libx264`; not the codec, `h264`.
    pub name: String,
    /// Target bit rate, in kbit/s (1000 bits); `None` leaves it to [`options`](Self::options).
    pub bit_rate: Option<u32>,
    /// Options of the encoder; one it does not know fails the run.
    pub options: Vec<(String, String)>,
    /// Whether the first picture of each second of the output is a keyframe.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keyframe_each_second: bool,
    /// What it is fed with.
    pub format: FrameFormat,
}

/// The frames that an encoder takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FrameFormat {
    /// Pictures.
    Video(PictureFormat),
    /// Sound.
    Audio(SoundFormat),
}

/// The pictures that an encoder takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PictureFormat {
    /// Width, in pixels.
    pub width: NonZeroU32,
    /// Height, in pixels.
    pub height: NonZeroU32,
    /// Width of a pixel over its height; square where nothing else is said.
    #[serde(default = "square", skip_serializing_if = "is_square")]
    pub pixel_aspect: Rational,
    /// libav's name of the pixel format.
    pub pixel_format: String,
    /// Seconds per tick of the timestamps.
    pub time_base: TimeBase,
    /// Average frames per second, which rate control goes by; `None` when it is not known.
    pub frame_rate: Option<Rational>,
    /// How numbers become colors, as written into the stream.
    pub color: Color,
    /// Static metadata of high dynamic range to write.
    #[serde(default, skip_serializing_if = "Hdr::is_empty")]
    pub hdr: Hdr,
}

const fn square() -> Rational {
    Rational::ONE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_square(aspect: &Rational) -> bool {
    *aspect == Rational::ONE
}

/// The sound that an encoder takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SoundFormat {
    /// Samples per second, in Hz.
    pub sample_rate: NonZeroU32,
    /// libav's description of the channel layout.
    pub layout: String,
    /// libav's name of the sample format.
    pub sample_format: String,
}

/// A stream that no output has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dropped {
    /// Number of the input, from 0.
    pub input: usize,
    /// Number of the stream in that input, from 0.
    pub stream: usize,
    /// What it carries: `video`, `audio`, `subtitle`, `data`, `attachment`.
    pub kind: String,
    /// Why it is left out.
    pub because: Reason,
}

/// Why something is done: a stable code for machines, a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable, in upper case with underscores.
    pub code: String,
    /// One sentence without a full stop.
    pub message: String,
}

impl Reason {
    /// The reason `code`, in words.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)
    }
}

impl Plan {
    /// Whether the work is one frame, too small for threads.
    pub fn is_single_frame(&self) -> bool {
        let mut parts = self.tracks().flat_map(|track| &track.parts).map(|part| part.select);
        matches!((parts.next(), parts.next()), (Some(Select::At(_)), None))
    }

    /// The tracks of all outputs.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.outputs.iter().flat_map(Output::tracks)
    }
}
