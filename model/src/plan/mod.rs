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

/// The version of the form of plans. It rises when a plan of an older build would be run in another
/// way than it was meant, or could not be read.
pub const PLAN_VERSION: u32 = 1;

/// All that a run does.
///
/// A plan is valid for the build that made it and for the inputs it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Number of the version of this form, [`PLAN_VERSION`]; a run refuses a plan of another one.
    #[serde(default)]
    pub version: u32,
    /// The way the goal is met, in one word.
    pub strategy: Strategy,
    /// Why this strategy was chosen, where the reasons of the tracks do not say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Reason>,
    /// The inputs; the plan refers to them by number, from 0.
    pub inputs: Vec<Input>,
    /// The outputs.
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
    /// The plan that is run instead when an output or a track exceeds its size limit, a smart cut
    /// fails, or copied audio has gaps that its container can not keep. It may have an `otherwise`
    /// of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Box<Plan>>,
    /// The plan that is run instead when codec parameters of a copied stream change in mid-stream,
    /// in this plan or in [`otherwise`](Self::otherwise).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_parameters_change: Option<Box<Plan>>,
    /// The call of the `ffmpeg` program that takes the place of this library, for outputs that are
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
    /// Text that is passed as it is.
    Text(String),
    /// The path of the input with this number, from 0.
    Input(usize),
    /// The file that becomes the output with this number, from 0.
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
    /// As [`Remux`](Self::Remux), into an MP4 with its index (`moov`) before the media.
    FaststartRemux,
    /// Every kept stream is copied: a span of it, sound alone, or several inputs one after the
    /// other.
    Copy,
    /// As [`Copy`](Self::Copy), with boundary encodes at the ends of a section.
    SmartCut,
    /// At least one stream is encoded.
    Encode,
    /// As [`Encode`](Self::Encode), into a form that every browser plays.
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

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Input {
    /// Where it is.
    pub location: Location,
    /// Whether jumps of its timestamps are closed, forward as well as back (TS, PS). Elsewhere a
    /// gap is content.
    pub closes_jumps: bool,
    /// Whether decoding times (DTS) [go back](crate::index::StreamIndex::goes_back), so that the
    /// input is read from its first packet on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_back: bool,
    /// Whether files that follow each other in it are known to be coded alike, so that a stream
    /// copy goes on across them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parts_agree: bool,
    /// The version of a remote input that the plan was made for. A run that meets another one
    /// fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether a remote input is copied to this machine before the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stage: bool,
}

impl Input {
    /// An input whose clock does not jump, read from its first packet on or sought in.
    pub fn new(location: impl Into<Location>) -> Self {
        Self {
            location: location.into(),
            closes_jumps: false,
            goes_back: false,
            parts_agree: false,
            version: None,
            stage: false,
        }
    }
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
    /// Whether the tracks are all those of a movie, unchanged. Its bytes are then copied with the
    /// index before the media, instead of packet by packet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub moves_index: bool,
    /// The size limit, in bytes. An output that exceeds it is made by [`Plan::otherwise`], or
    /// delivered with a warning where there is no other plan.
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
    /// The stream that the pictures come from.
    pub source: StreamId,
    /// The frames that are shown, in rising order of time; at least one.
    #[serde(rename = "instants")]
    pub picks: Vec<FramePick>,
    /// A filter graph with one input and one output, in libavfilter's notation, that brings each
    /// picture to the same size and pixel format.
    pub filters: String,
    /// The number of pictures that stand side by side.
    pub columns: NonZeroU32,
    /// The encoder of the sheet; its size is that of the whole sheet.
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
    /// An output with these tracks, in the container of libav's muxer of that name, as `mp4`; an
    /// existing file is replaced.
    pub fn new(
        location: impl Into<Location>,
        muxer: &str,
        tracks: impl IntoIterator<Item = Track>,
    ) -> Self {
        Self {
            location: location.into(),
            replace: true,
            muxer: muxer.to_owned(),
            options: Vec::new(),
            tags: Tags::new(),
            chapters: Vec::new(),
            content: Content::Tracks(tracks.into_iter().collect()),
            index_first: false,
            moves_index: false,
            at_most: None,
        }
    }

    /// Its tracks, in order; empty when its content is something else.
    pub fn tracks(&self) -> &[Track] {
        match &self.content {
            Content::Tracks(tracks) => tracks,
            Content::BytesOf(_)
            | Content::OfProcess(_)
            | Content::SpriteSheet(_)
            | Content::Text(_) => &[],
        }
    }

    /// Its sprite sheet; `None` when its content is something else.
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
    /// The parts of the track, one after the other; nearly always one.
    pub parts: Vec<Part>,
    /// What is done with the parts.
    pub action: Action,
    /// Why this is done.
    pub because: Vec<Reason>,
    /// The container's four-character code to write, as in `hvc1`; `None` leaves it to the muxer.
    pub tag: Option<String>,
    /// How players should treat it.
    #[serde(default)]
    pub disposition: Disposition,
    /// Tags, among them `language`.
    pub tags: Tags,
    /// The spherical projection and stereo packing that are written.
    #[serde(default, skip_serializing_if = "Projection::is_empty")]
    pub projection: Projection,
    /// The size limit of its packets, in bytes; when it is exceeded, [`Plan::otherwise`] is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
}

impl Track {
    /// A track that copies all packets of a stream. The start of the stream's own time line is 0 in
    /// the output.
    pub fn copy(kind: TrackKind, source: StreamId) -> Self {
        Self::new(kind, Part::of(source, String::new()), Action::Copy)
    }

    /// A track that encodes what the filters of a part make of all frames of its stream.
    pub fn encode(kind: TrackKind, part: Part, encoder: Encoder) -> Self {
        Self::new(kind, part, Action::Encode(Box::new(encoder)))
    }

    fn new(kind: TrackKind, part: Part, action: Action) -> Self {
        Self {
            kind,
            parts: vec![part],
            action,
            because: Vec::new(),
            tag: None,
            disposition: Disposition::default(),
            tags: Tags::new(),
            projection: Projection::default(),
            at_most: None,
        }
    }

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
    /// The stream that it comes from; `None` when its filters make it, as with silence.
    pub source: Option<StreamId>,
    /// The instant of its own time line that becomes 0 in the output; negative in later parts.
    pub origin: Timestamp,
    /// Which packets or frames of the stream are wanted.
    pub select: Select,
    /// A filter graph in libavfilter's notation that ends in the format which the encoder takes,
    /// with one output and one input (none without a source). Empty for copies. It is rebuilt when
    /// the frames of the source change their format.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filters: String,
    /// Which packets are copied, in a [smart cut](Action::SmartCut).
    #[serde(default, rename = "splice", skip_serializing_if = "Option::is_none")]
    pub copied: Option<CopiedRun>,
    /// A second graph for audio, after `filters`. It is built once, so it sees the whole part, and
    /// brings it to its planned length. Empty for none.
    #[serde(default, rename = "fit", skip_serializing_if = "String::is_empty")]
    pub pad_filters: String,
}

impl Part {
    /// All of a stream, filtered by a graph in libavfilter's notation; copies have none.
    pub fn of(source: StreamId, filters: impl Into<String>) -> Self {
        Self {
            source: Some(source),
            origin: Timestamp::ZERO,
            select: Select::All,
            filters: filters.into(),
            copied: None,
            pad_filters: String::new(),
        }
    }
}

/// The packets of a section that are copied, while its other pictures are encoded. They follow each
/// other in decoding order, and their pictures in presentation order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopiedRun {
    /// PTS of the keyframe that the run begins with; `None` where nothing is copied.
    #[serde(rename = "from")]
    pub keyframe_pts: Option<Timestamp>,
    /// PTS of the first picture after the run; `None` where the run goes on to the end of the
    /// section.
    #[serde(rename = "until")]
    pub end_pts: Option<Timestamp>,
    /// PTS of the keyframe from which the pictures after the run are decoded; `None` where there
    /// are none.
    #[serde(rename = "lead")]
    pub tail_keyframe_pts: Option<Timestamp>,
    /// The reorder delay of the track, in ticks of the stream: decoding times (DTS) are the sorted
    /// presentation times minus this.
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

/// What is done with the parts of a track.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Packets are written as they are.
    Copy,
    /// Frames are decoded, filtered and encoded.
    Encode(Box<Encoder>),
    /// Packets are written as they are, and pictures at the ends of each part's section are encoded
    /// in the same form (boundary encodes).
    #[serde(rename = "splice")]
    SmartCut(Box<Encoder>),
    /// Subtitle text is converted; this is libav's name of the encoder, as in `mov_text`.
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
    /// The first instant after it that is not kept; `None` for the end of the stream.
    pub end: Option<Timestamp>,
    /// Encodes only: when the first frame of the span comes later than this, the frame on screen at
    /// the start is kept as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Timestamp>,
    /// Copies only: the number of packets before the start that are copied as well, since a decoder
    /// needs them. An edit list hides them.
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
    /// Whether a keyframe at or before the instant may be taken instead.
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
    /// The frames that it takes.
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
    /// The color properties that are written into the stream.
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
    /// One sentence, without a period at its end.
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
    /// A plan that reads `inputs` and writes `outputs`, for those who make plans by hand; what a
    /// recipe would add, as costs and other plans for what shows in the run only, is empty.
    ///
    /// ```
    /// use avocet_model::plan::{Input, Output, Plan, StreamId, Track, TrackKind};
    ///
    /// let video = Track::copy(TrackKind::Video, StreamId { input: 0, stream: 0 });
    /// let plan = Plan::new([Input::new("in.mkv")], [Output::new("out.mp4", "mp4", [video])]);
    /// assert!(plan.check().is_ok());
    /// ```
    pub fn new(
        inputs: impl IntoIterator<Item = Input>,
        outputs: impl IntoIterator<Item = Output>,
    ) -> Self {
        let outputs: Vec<Output> = outputs.into_iter().collect();
        let copies = outputs.iter().flat_map(Output::tracks).all(|track| track.action.copies());
        Self {
            version: PLAN_VERSION,
            strategy: if copies { Strategy::Copy } else { Strategy::Encode },
            because: Vec::new(),
            inputs: inputs.into_iter().collect(),
            outputs,
            dropped: Vec::new(),
            notices: Vec::new(),
            seconds: None,
            lenient: false,
            cost: Cost::default(),
            otherwise: None,
            if_parameters_change: None,
            process: None,
        }
    }

    /// Whether the plan takes a single frame, which is too little work for threads.
    pub fn is_single_frame(&self) -> bool {
        let mut parts = self.tracks().flat_map(|track| &track.parts).map(|part| part.select);
        matches!((parts.next(), parts.next()), (Some(Select::At(_)), None))
    }

    /// The tracks of all outputs.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.outputs.iter().flat_map(Output::tracks)
    }
}
