//! Sound for those who want samples in memory, in the form they name.

use std::num::NonZeroU32;

use avocet_model::{
    error::{Error, Result},
    location::Location,
    media::AudioInfo,
    plan::{
        Encoder, FrameFormat, Output, Part, Plan, Select, SoundFormat, Span, StreamId, Track,
        TrackKind,
    },
    time::{TimeBase, Timestamp},
};

use super::{
    choose,
    context::CompileContext,
    cut::{Section, stream_end},
    sound,
};
use crate::words::error::Problem;

/// Which sound is wanted, and in which form. By default all of the first audio stream, at its own
/// rate and layout, in 32-bit floating point.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SampleQuery {
    /// Where to begin, in seconds from the earliest presentation time of the input: finite, 0 or
    /// more.
    pub start: f64,
    /// Where to end, in seconds; `None` for the end of the stream. Finite, not before `start`.
    pub end: Option<f64>,
    /// Number of the audio stream among the audio streams, from 0; `None` for the default one, else
    /// the first.
    pub stream: Option<usize>,
    /// Samples per second and channel, in Hz, 1 to 768,000; `None` for the stream's.
    pub sample_rate: Option<u32>,
    /// libav's name of the channel layout, as in `mono`, `stereo` or `5.1`; `None` for the stream's.
    pub layout: Option<String>,
    /// The type of a sample.
    pub format: SampleFormat,
    /// How many samples of each channel a block has, the last one excepted: 1 or more. `None` for
    /// blocks as they come, usually of some 20 ms.
    pub block: Option<u32>,
}

/// The type of a sample. Those of all channels at one instant stand beside each other (interleaved).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SampleFormat {
    /// 32-bit floating point, nominally from -1 to 1.
    #[default]
    F32,
    /// 16-bit signed integers.
    I16,
}

impl SampleFormat {
    /// libav's name of the sample format.
    const fn name(self) -> &'static str {
        match self {
            Self::F32 => "flt",
            Self::I16 => "s16",
        }
    }

    /// An encoder that takes it, which a plan must name and which is not opened.
    const fn encoder(self) -> &'static str {
        match self {
            Self::F32 => "pcm_f32le",
            Self::I16 => "pcm_s16le",
        }
    }
}

/// The largest sample rate, in Hz: what libav's encoders and WAV files go up to in practice.
const MAX_RATE: u32 = 768_000;

impl SampleQuery {
    /// The plan whose track gives the samples: it is never encoded or written.
    ///
    /// # Errors
    /// [`Error::Lacking`] when there is no such audio stream, or the start lies past the end of the
    /// media; [`Error::BadPlan`] when there are [`problems`](Self::problems).
    pub fn compile(&self, context: &CompileContext<'_>) -> Result<Plan> {
        let probed = context.input()?;
        let media = &probed.media;
        if let Some(problem) = self.problems().first() {
            return Err(Error::BadPlan { what: problem.to_string() });
        }
        choose::expect_open(probed)?;
        let (stream, audio) = match self.stream {
            None => choose::need_audio(&probed.location, media)?,
            Some(number) => media.audios().nth(number).ok_or_else(|| {
                let needed = format!("an audio stream of number {number}");
                choose::lacking(&probed.location, media, &needed)
            })?,
        };
        let format = SoundFormat {
            sample_rate: self
                .sample_rate
                .and_then(NonZeroU32::new)
                .or(audio.sample_rate)
                .unwrap_or(sound::USUAL_RATE),
            layout: self.layout.clone().unwrap_or_else(|| audio.layout.clone()),
            sample_format: self.format.name().to_owned(),
        };
        let section = Section::of(probed, self.start, self.end.map(|end| end - self.start))?;
        let base = TimeBase::of_rate(audio.sample_rate.unwrap_or(format.sample_rate));
        let at = |seconds| Timestamp::from_seconds(seconds, base);
        let span = section.map(|section| Span {
            start: at(section.start),
            end: section.end.map(at),
            hold: None,
            lead_in: 0,
        });
        let stated = stream_end(stream).map(Timestamp::seconds);
        let end = span.and_then(|span| span.end).map(Timestamp::seconds);
        let end = match (end, stated) {
            (Some(end), Some(stated)) => Some(end.min(stated)),
            (end, stated) => end.or(stated),
        };
        let blocks = self.block.map(|block| format!("asetnsamples=n={block}:p=0"));
        let from = span.map(|span| span.start.seconds());
        let id = StreamId { input: 0, stream: stream.index };
        let part = Part {
            origin: media.start.unwrap_or(Timestamp::ZERO),
            select: span.map_or(Select::All, Select::Span),
            pad_filters: blocks.unwrap_or_default(),
            ..Part::of(id, filters(from, end, audio, &format))
        };
        let encoder = Encoder {
            name: self.format.encoder().to_owned(),
            bit_rate: None,
            options: Vec::new(),
            keyframe_each_second: false,
            format: FrameFormat::Audio(format),
        };
        let track = Track::encode(TrackKind::Audio, part, encoder);
        let output = Output::new(Location::Caller(0), "wav", [track]);
        let notices = choose::input_notices(media).collect();
        Ok(Plan { notices, ..Plan::new(context.plan_inputs(), [output]) })
    }

    /// What is wrong with the values; the paths are the names of the fields.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = problems_of_range(self.start, self.end);
        let mut refuse = |path: &str, found: u32, allowed: &str| {
            let (path, allowed) = (path.to_owned(), allowed.to_owned());
            problems.push(Problem { path, found: found.to_string(), allowed });
        };
        if let Some(rate) = self.sample_rate.filter(|rate| !(1..=MAX_RATE).contains(rate)) {
            refuse("sampleRate", rate, "an integer 1 to 768000");
        }
        if self.block == Some(0) {
            refuse("block", 0, "an integer, 1 or more");
        }
        problems
    }
}

/// What is wrong with a range of time.
pub(super) fn problems_of_range(start: f64, end: Option<f64>) -> Vec<Problem> {
    let problem = |path: &str, found: f64, allowed: &str| Problem {
        path: path.to_owned(),
        found: found.to_string(),
        allowed: allowed.to_owned(),
    };
    let mut problems = Vec::new();
    if !(start.is_finite() && start >= 0.0) {
        problems.push(problem("start", start, "a finite number of seconds, 0 or more"));
    }
    if let Some(end) = end.filter(|end| !(end.is_finite() && *end >= start)) {
        problems.push(problem("end", end, "a finite number of seconds, not before the start"));
    }
    problems
}

/// The filters that make sound into the format that is wanted, cut to the sample.
fn filters(
    start: Option<f64>,
    end: Option<f64>,
    audio: &AudioInfo,
    format: &SoundFormat,
) -> String {
    let start = start.map(|start| format!("start={start:.6}"));
    let end = end.map(|end| format!("end={end:.6}"));
    let limits: Vec<String> = start.into_iter().chain(end).collect();
    let trim = (!limits.is_empty()).then(|| format!("atrim={}", limits.join(":")));
    // Channels are mixed by their mean, whatever the type of a sample: libswresample would let floating
    // point exceed its range instead.
    let conversion = sound::converting(audio, format, ":rematrix_maxval=1");
    trim.into_iter().chain(conversion).collect::<Vec<_>>().join(",")
}
