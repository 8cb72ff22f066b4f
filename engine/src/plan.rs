//! All that a run does, as plain data: which streams are read, what becomes of each, and why.

use std::{fmt, num::NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    io::Location,
    media::{Color, Hdr, Tags},
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
}

/// The way a plan meets its goal, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Strategy {
    /// Every kept stream is copied into a new container.
    Remux,
    /// At least one stream is encoded.
    Encode,
    /// One frame is decoded and becomes a picture.
    Thumbnail,
}

impl Strategy {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Remux => "remux",
            Self::Encode => "encode",
            Self::Thumbnail => "thumbnail",
        }
    }
}

/// One input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// Where it is.
    pub location: Location,
    /// The instant of this input that becomes 0 in the outputs.
    pub origin: Timestamp,
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
    /// Its streams, in order.
    pub tracks: Vec<Track>,
}

impl Output {
    /// Whether the output is one still picture.
    pub fn is_picture(&self) -> bool {
        self.muxer == "image2pipe"
    }

    /// Whether the container keeps the times of its packets, so that a track may begin late.
    pub fn keeps_times(&self) -> bool {
        !matches!(self.muxer.as_str(), "mp3" | "adts" | "wav" | "image2pipe")
    }
}

/// One stream of an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// Number of the input it comes from, from 0.
    pub input: usize,
    /// Number of the stream in that input, from 0.
    pub stream: usize,
    /// What it carries: `video`, `audio`.
    pub kind: TrackKind,
    /// What becomes of it.
    pub action: Action,
    /// Why.
    pub because: Vec<Reason>,
    /// The container's four-character code to write, as in `hvc1`; `None` leaves it to the muxer.
    pub tag: Option<String>,
    /// Whether players should take this stream by default.
    pub default: bool,
    /// Tags, among them `language`.
    pub tags: Tags,
}

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TrackKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
}

impl TrackKind {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// What becomes of a stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Its packets are written as they are.
    Copy,
    /// Its frames are decoded, filtered and encoded.
    Encode(Box<Encode>),
}

/// How a stream is decoded, filtered and encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encode {
    /// Which of the decoded frames are wanted.
    pub select: Select,
    /// A filter graph with one input and one output, in libavfilter's notation, that ends in what
    /// [`encoder`](Self::encoder) takes.
    pub filters: String,
    /// The encoder and its settings.
    pub encoder: Encoder,
}

/// Which frames are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Select {
    /// All of them.
    All,
    /// The one that is on screen at an instant.
    At(Instant),
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

/// The pictures that an encoder takes: upright, with square pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PictureFormat {
    /// Width, in pixels.
    pub width: NonZeroU32,
    /// Height, in pixels.
    pub height: NonZeroU32,
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
        let tracks: Vec<_> = self.outputs.iter().flat_map(|output| &output.tracks).collect();
        let is_instant = |track: &Track| {
            matches!(&track.action,
                Action::Encode(encode) if matches!(encode.select, Select::At(_)))
        };
        tracks.len() == 1 && tracks.iter().all(|track| is_instant(track))
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
            if output.tracks.is_empty() {
                return bad(format!("output {number} has no track"));
            }
            if self.outputs[..number].iter().any(|other| other.location == output.location) {
                return bad(format!("two outputs go to {}", output.location));
            }
        }
        for track in self.outputs.iter().flat_map(|output| &output.tracks) {
            if track.input >= self.inputs.len() {
                return bad(format!(
                    "a track comes from input {}, which is not there",
                    track.input
                ));
            }
            let Action::Encode(encode) = &track.action else { continue };
            let fits = matches!(
                (track.kind, &encode.encoder.format),
                (TrackKind::Video, FrameFormat::Video(_))
                    | (TrackKind::Audio, FrameFormat::Audio(_))
            );
            if !fits {
                return bad(format!("a {} track has the other kind of encoder", track.kind.name()));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "strategy: {}", self.strategy.name())?;
        for (number, input) in self.inputs.iter().enumerate() {
            writeln!(f, "input {number}: {}", input.location)?;
        }
        for output in &self.outputs {
            writeln!(f, "output: {} ({})", output.location, output.muxer)?;
            for track in &output.tracks {
                write!(f, "  {} {}:{}", track.kind.name(), track.input, track.stream)?;
                match &track.action {
                    Action::Copy => writeln!(f, " copy")?,
                    Action::Encode(encode) => write!(f, " encode {encode}")?,
                }
                track.because.iter().try_for_each(|reason| writeln!(f, "    because {reason}"))?;
            }
        }
        for dropped in &self.dropped {
            write!(
                f,
                "  {} {}:{} drop\n    because ",
                dropped.kind, dropped.input, dropped.stream
            )?;
            writeln!(f, "{}", dropped.because)?;
        }
        self.notices.iter().try_for_each(|notice| writeln!(f, "note: {notice}"))
    }
}

impl fmt::Display for Encode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Encoder { name, bit_rate, options, format } = &self.encoder;
        match format {
            FrameFormat::Video(PictureFormat { width, height, pixel_format, .. }) => {
                write!(f, "with {name}, {width}x{height} {pixel_format}")?;
            }
            FrameFormat::Audio(SoundFormat { sample_rate, layout, .. }) => {
                write!(f, "with {name}, {sample_rate} Hz {layout}")?;
            }
        }
        if let Some(bit_rate) = bit_rate {
            write!(f, ", {bit_rate} kbit/s")?;
        }
        for (key, value) in options {
            write!(f, ", {key}={value}")?;
        }
        if let Select::At(instant) = self.select {
            write!(f, ", the frame at {:.3} s", instant.time.seconds())?;
        }
        writeln!(f, "\n    filters {}", self.filters)
    }
}
