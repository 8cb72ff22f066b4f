//! All that a run does, as plain data: which streams are read, what becomes of each, and why.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::{
    cost::Cost,
    error::{Error, Result},
    io::Location,
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
    /// What is run instead when an output or a track passes its size limit, pictures can not be
    /// spliced, or copied sound has gaps that its container can not keep; it may have another.
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
    /// Whether decoding times [go back](crate::StreamIndex::goes_back), so that all of it is read.
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
    Sheet(Box<Sheet>),
    /// This text.
    Text(String),
}

/// Pictures of a stream at several instants, side by side in one picture, row by row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sheet {
    /// Where they come from.
    pub source: StreamId,
    /// When they are on screen; rising, and at least one.
    pub instants: Vec<Instant>,
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

impl Sheet {
    /// How many rows there are.
    pub fn rows(&self) -> u32 {
        let pictures = u32::try_from(self.instants.len()).unwrap_or(u32::MAX);
        pictures.div_ceil(self.columns.get())
    }
}

impl Output {
    /// Its streams, in order; none when its bytes come from elsewhere.
    pub fn tracks(&self) -> &[Track] {
        match &self.content {
            Content::Tracks(tracks) => tracks,
            Content::BytesOf(_) | Content::OfProcess(_) | Content::Sheet(_) | Content::Text(_) => {
                &[]
            }
        }
    }

    /// The pictures that it shows, when it is a sheet.
    pub fn sheet(&self) -> Option<&Sheet> {
        match &self.content {
            Content::Sheet(sheet) => Some(sheet),
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
    /// Which packets are copied, in a track that [splices](Action::Splice).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splice: Option<Splice>,
    /// A second such graph for sound, behind the first and built once, that sees all of the part:
    /// it makes it as long as it should be. Empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fit: String,
}

/// Which packets of a section are copied, while its other pictures are encoded anew: those of a run
/// in order of decoding, which are shown together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Splice {
    /// When the keyframe is shown that they begin with; `None` where none is copied.
    pub from: Option<Timestamp>,
    /// When the first picture behind them is shown; `None` where they go on to the end of the
    /// section.
    pub until: Option<Timestamp>,
    /// When the keyframe is shown from which the pictures behind them are decoded.
    pub lead: Option<Timestamp>,
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
    Splice(Box<Encoder>),
    /// Text is written in another form: libav's name of the encoder, as in `mov_text`.
    Convert(String),
}

impl Action {
    /// The name in JSON; converted text counts as encoded, spliced pictures as copied.
    pub const fn name(&self) -> &'static str {
        if self.copies() { "copy" } else { "encode" }
    }

    /// Whether packets are written as they are, but for the ends of sections.
    pub const fn copies(&self) -> bool {
        matches!(self, Self::Copy | Self::Splice(_))
    }
}

/// Which packets or frames of a stream are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Select {
    /// All of them.
    All,
    /// The frame that is on screen at an instant.
    At(Instant),
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

/// One instant, and what is needed around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Instant {
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

    /// Looks for what no run could do.
    ///
    /// # Errors
    /// [`Error::BadPlan`] names the first contradiction.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::BadPlan { what });
        if self.outputs.is_empty() {
            return bad("it has no output".to_owned());
        }
        for (number, output) in self.outputs.iter().enumerate() {
            match &output.content {
                Content::Tracks(tracks) if tracks.is_empty() => {
                    return bad(format!("output {number} has no track"));
                }
                Content::BytesOf(input) if *input >= self.inputs.len() => {
                    return bad(format!("output {number} is input {input}, which is not there"));
                }
                Content::OfProcess(name) if self.process.is_none() => {
                    return bad(format!("no process makes `{name}`"));
                }
                Content::OfProcess(name) if name.contains('/') || name.starts_with('.') => {
                    return bad(format!("`{name}` is no plain file name"));
                }
                Content::OfProcess(_) => {}
                _ if self.process.is_some() => {
                    return bad(format!("output {number} is not made by the process"));
                }
                Content::Sheet(sheet) => self.check_sheet(number, sheet)?,
                Content::Tracks(_) | Content::BytesOf(_) | Content::Text(_) => {}
            }
            let is_movie = matches!(output.muxer.as_str(), "mp4" | "mov" | "ipod");
            if output.index_first && !is_movie {
                return bad(format!("{} has no index to stand first", output.muxer));
            }
            if self.outputs[..number].iter().any(|other| other.location == output.location) {
                return bad(format!("two outputs go to {}", output.location));
            }
        }
        for argument in self.process.iter().flat_map(|process| &process.arguments) {
            match argument {
                Argument::Input(number) if *number >= self.inputs.len() => {
                    return bad(format!("an argument names input {number}, which is not there"));
                }
                Argument::Output(number) if *number >= self.outputs.len() => {
                    return bad(format!("an argument names output {number}, which is not there"));
                }
                Argument::Text(_) | Argument::Input(_) | Argument::Output(_) => {}
            }
        }
        if self.otherwise.is_none() && self.tracks().any(|track| track.at_most.is_some()) {
            return bad("a track has a size limit, and there is no other plan".to_owned());
        }
        self.tracks().try_for_each(|track| self.check_track(track))
    }

    fn check_sheet(&self, number: usize, sheet: &Sheet) -> Result<()> {
        let bad = |what: String| Err(Error::BadPlan { what });
        if sheet.source.input >= self.inputs.len() {
            return bad(format!("output {number} shows an input that is not there"));
        }
        if sheet.instants.is_empty() {
            return bad(format!("output {number} shows no picture"));
        }
        match &sheet.encoder.format {
            FrameFormat::Video(_) => Ok(()),
            FrameFormat::Audio(_) => bad(format!("output {number} is no picture")),
        }
    }

    fn check_track(&self, track: &Track) -> Result<()> {
        let bad = |what: String| Err(Error::BadPlan { what });
        if track.parts.is_empty() {
            return bad(format!("a {} track has no part", track.kind.name()));
        }
        if let Some(source) = track.sources().find(|source| source.input >= self.inputs.len()) {
            return bad(format!("a track comes from input {}, which is not there", source.input));
        }
        let is_encode = matches!(track.action, Action::Encode(_));
        if !is_encode && track.parts.iter().any(|part| part.source.is_none()) {
            return bad(format!("a {} track copies from nowhere", track.kind.name()));
        }
        let fits = match &track.action {
            Action::Copy => true,
            Action::Splice(encoder) => {
                let is_cut =
                    |part: &Part| matches!(part.select, Select::Span(_)) && part.splice.is_some();
                if !track.parts.iter().all(is_cut) {
                    return bad("a spliced part does not say what is copied".to_owned());
                }
                track.kind == TrackKind::Video && matches!(encoder.format, FrameFormat::Video(_))
            }
            Action::Convert(_) => track.kind == TrackKind::Subtitle,
            Action::Encode(encoder) => matches!(
                (track.kind, &encoder.format),
                (TrackKind::Video, FrameFormat::Video(_))
                    | (TrackKind::Audio, FrameFormat::Audio(_))
            ),
        };
        if fits {
            return Ok(());
        }
        bad(format!("a {} track has the other kind of encoder", track.kind.name()))
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "strategy: {}", self.strategy.name())?;
        self.because.iter().try_for_each(|reason| writeln!(f, "  because {reason}"))?;
        for (number, input) in self.inputs.iter().enumerate() {
            writeln!(f, "input {number}: {}", input.location)?;
        }
        for output in &self.outputs {
            writeln!(f, "output: {} ({})", output.location, output.muxer)?;
            if let Content::BytesOf(input) = output.content {
                writeln!(f, "  the bytes of input {input}")?;
            }
            if let Content::Sheet(sheet) = &output.content {
                write!(f, "{sheet}")?;
            }
            output.tracks().iter().try_for_each(|track| write!(f, "{track}"))?;
            if output.moves_index {
                writeln!(f, "  as it is, with the index moved before the media")?;
            }
        }
        for Dropped { input, stream, kind, because } in &self.dropped {
            writeln!(f, "  {kind} {input}:{stream} drop\n    because {because}")?;
        }
        self.notices.iter().try_for_each(|notice| writeln!(f, "note: {notice}"))?;
        if let Some(process) = &self.process {
            writeln!(f, "runs: ffmpeg {process}")?;
        } else {
            writeln!(f, "cost: {}", self.cost)?;
        }
        if let Some(encoded) = &self.if_parameters_change {
            writeln!(f, "if codec parameters change on the way: {}", encoded.strategy.name())?;
        }
        if let Some(otherwise) = &self.otherwise {
            let text = otherwise.to_string();
            let splices = self.tracks().any(|track| matches!(track.action, Action::Splice(_)));
            let may_have_gaps = self.outputs.iter().any(Output::copies_without_gaps);
            let case = if splices {
                "can not be spliced"
            } else if may_have_gaps {
                "has gaps"
            } else {
                "becomes too large"
            };
            writeln!(f, "if that {case}:")?;
            text.lines().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, argument) in self.arguments.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            match argument {
                Argument::Text(text) if text.contains(char::is_whitespace) || text.is_empty() => {
                    write!(f, "{space}'{text}'")?;
                }
                Argument::Text(text) => write!(f, "{space}{text}")?,
                Argument::Input(number) => write!(f, "{space}<input {number}>")?,
                Argument::Output(number) => write!(f, "{space}<output {number}>")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |at: Option<&Instant>| at.map_or(0.0, |at| at.time.seconds());
        let (first, last) = (seconds(self.instants.first()), seconds(self.instants.last()));
        let (count, columns, rows) = (self.instants.len(), self.columns, self.rows());
        let keyframes = self.instants.iter().filter(|instant| instant.keyframe).count();
        writeln!(f, "  video {} encode {}", self.source, self.encoder)?;
        writeln!(
            f,
            "    {count} pictures from {first:.3} s to {last:.3} s, {keyframes} of them keyframes, in \
             {columns} columns and {rows} rows"
        )?;
        writeln!(f, "    filters {}", self.filters)?;
        self.because.iter().try_for_each(|reason| writeln!(f, "    because {reason}"))
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {}", self.kind.name())?;
        self.sources().try_for_each(|source| write!(f, " {source}"))?;
        match &self.action {
            Action::Copy => write!(f, " copy")?,
            Action::Splice(encoder) => write!(f, " copy, ends encoded {encoder}")?,
            Action::Convert(name) => write!(f, " encode with {name}")?,
            Action::Encode(encoder) => write!(f, " encode {encoder}")?,
        }
        let seconds = |at: Timestamp| format!("{:.3} s", at.seconds());
        match self.parts.first().map(|part| part.select) {
            Some(Select::At(instant)) => write!(f, ", the frame at {}", seconds(instant.time))?,
            Some(Select::Span(Span { start, end, .. })) => {
                let end = end.map_or_else(|| "the end".to_owned(), seconds);
                write!(f, ", from {} to {end}", seconds(start))?;
            }
            Some(Select::All) | None => {}
        }
        writeln!(f)?;
        if let Some(most) = self.at_most {
            writeln!(f, "    at most {most} bytes")?;
        }
        for splice in self.parts.iter().filter_map(|part| part.splice) {
            let until = splice.until.map_or_else(|| "the end".to_owned(), seconds);
            match splice.from {
                Some(from) => writeln!(f, "    copied from {} to {until}", seconds(from))?,
                None => writeln!(f, "    nothing copied")?,
            }
        }
        for part in self.parts.iter().filter(|part| !part.filters.is_empty()) {
            writeln!(f, "    filters {}", part.filters)?;
            if !part.fit.is_empty() {
                writeln!(f, "    fit {}", part.fit)?;
            }
        }
        self.because.iter().try_for_each(|reason| writeln!(f, "    because {reason}"))
    }
}

impl fmt::Display for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.format {
            FrameFormat::Video(PictureFormat { width, height, pixel_format, .. }) => {
                write!(f, "with {}, {width}x{height} {pixel_format}", self.name)?;
            }
            FrameFormat::Audio(SoundFormat { sample_rate, layout, .. }) => {
                write!(f, "with {}, {sample_rate} Hz {layout}", self.name)?;
            }
        }
        if let Some(bit_rate) = self.bit_rate {
            write!(f, ", {bit_rate} kbit/s")?;
        }
        if self.keyframe_each_second {
            write!(f, ", a keyframe each second")?;
        }
        self.options.iter().try_for_each(|(key, value)| write!(f, ", {key}={value}"))
    }
}
