//! The recipes, and the parameters that each takes.

use std::ops::{Range, RangeFrom, RangeFull, RangeTo};

use avocet_recipes::{
    Accuracy, Compress, Concat, ExtractAudio, Fit, Format, Gop, JobDraft, Proxy, RecipeName,
    Resize, Sampling, Storyboard, Thumbnail, Thumbnails, Tracks, Transcode, Tree, Trim, VideoCodec,
    WebReady,
};

use super::{Builder, Work};
use crate::Input;

fn of<'a, R>(recipe: RecipeName, input: impl Into<Input>) -> Builder<'a, R> {
    Builder::new(Work::Draft(JobDraft::new(recipe)), vec![input.into()])
}

/// Makes a video that every browser plays: H.264 and AAC in MP4 with `moov` before `mdat`. What is
/// so already is taken as it is; what needs another container only is remuxed.
///
/// ```no_run
/// let report = avocet::web_ready("holiday.mkv").output("holiday.mp4").run()?;
/// println!("{}", report.strategy.name());
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn web_ready<'a>(input: impl Into<Input>) -> Builder<'a, WebReady> {
    of(RecipeName::WebReady, input)
}

/// Makes a proxy for editing: H.264 and AAC in MP4, with a keyframe at least each second.
///
/// ```no_run
/// avocet::proxy("camera.mxf").scale_down().output("camera-proxy.mp4").run()?;
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn proxy<'a>(input: impl Into<Input>) -> Builder<'a, Proxy> {
    of(RecipeName::Proxy, input)
}

/// Makes a smaller file, or copies the streams that would not become smaller.
///
/// ```no_run
/// avocet::compress("holiday.mp4").crf(30).output("small.mp4").run()?;
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn compress<'a>(input: impl Into<Input>) -> Builder<'a, Compress> {
    of(RecipeName::Compress, input)
}

/// Converts to another format; the streams that it can hold are copied.
///
/// ```no_run
/// avocet::transcode("holiday.mkv").output("holiday.webm").run()?;
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn transcode<'a>(input: impl Into<Input>) -> Builder<'a, Transcode> {
    of(RecipeName::Transcode, input)
}

/// Changes the size of the picture; without the other side, its shape is kept.
///
/// ```no_run
/// avocet::resize("holiday.mp4").width(640).output("holiday-640.mp4").run()?;
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn resize<'a>(input: impl Into<Input>) -> Builder<'a, Resize> {
    of(RecipeName::Resize, input)
}

/// Cuts sections out of the input, exact to the frame and to the sample. Packets are copied; only
/// pictures between the ends of a section and the next keyframes are encoded.
///
/// ```no_run
/// let report = avocet::trim("holiday.mp4").range(12.0..42.0).output("clip.mp4").run()?;
/// println!("{} frames encoded", report.stats.video_frames_encoded);
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn trim<'a>(input: impl Into<Input>) -> Builder<'a, Trim> {
    of(RecipeName::Trim, input)
}

/// Extracts the first audio stream. It is copied where its codec has a file format of its own, whose
/// extension the output then gets.
///
/// ```no_run
/// avocet::extract_audio("talk.mp4").output("talk.m4a").run()?;
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn extract_audio<'a>(input: impl Into<Input>) -> Builder<'a, ExtractAudio> {
    of(RecipeName::ExtractAudio, input)
}

/// Makes a picture of one frame; [`thumbnails`] makes many.
///
/// ```no_run
/// avocet::thumbnail("holiday.mp4").at(1.5).width(320).output("holiday.jpg").run()?;
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn thumbnail<'a>(input: impl Into<Input>) -> Builder<'a, Thumbnail> {
    of(RecipeName::Thumbnail, input)
}

/// Makes many pictures of one input, each in a file of its own: `<stem>-0001.jpg` and so on, in the
/// folder that [`output`](Builder::output) names, which is made where it is not there. By default 10,
/// spread over the whole.
///
/// Pictures that are spread are keyframes where one is near: at most one part away (two for parts of
/// 5 s and more), else the frame in the middle of the part. [`accuracy`](Builder::accuracy) asks for
/// exact times; [`at`](Builder::at) always meets them.
///
/// ```no_run
/// avocet::thumbnails("holiday.mp4").count(20).width(320).output("pictures").run()?;
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn thumbnails<'a>(input: impl Into<Input>) -> Builder<'a, Thumbnails> {
    let draft = JobDraft::new(RecipeName::Thumbnail);
    Builder::new(Work::Thumbnails(draft, Sampling::Count(10)), vec![input.into()])
}

/// Makes sprite sheets of pictures of the whole input, and a WebVTT file that tells which picture is
/// when, in the folder that [`output`](Builder::output) names, which is made where it is not there.
///
/// Pictures are keyframes where one is near, as for [`thumbnails`]; the WebVTT file tells the time of
/// each.
///
/// ```no_run
/// avocet::storyboard("film.mp4").every(10.0).output("film-storyboard").run()?;
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn storyboard<'a>(input: impl Into<Input>) -> Builder<'a, Storyboard> {
    of(RecipeName::Storyboard, input)
}

/// Joins two or more inputs. Streams are copied where all are coded alike, and conformed to the
/// first input otherwise.
///
/// ```no_run
/// avocet::concat(["one.mp4", "two.mp4"]).output("both.mp4").run()?;
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn concat<'a, I: Into<Input>>(inputs: impl IntoIterator<Item = I>) -> Builder<'a, Concat> {
    let inputs = inputs.into_iter().map(Into::into).collect();
    Builder::new(Work::Draft(JobDraft::new(RecipeName::Concat)), inputs)
}

/// A mark of recipes that have certain parameters; nobody else implements it.
macro_rules! marks {
    ($($(#[$doc:meta])* $name:ident: $($recipe:ty),*;)*) => {
        mod sealed {
            pub trait Sealed {}
        }
        $(
            $(#[$doc])*
            pub trait $name: sealed::Sealed {}
            $(impl $name for $recipe {})*
        )*
    };
}

marks! {
    /// A recipe of the reference, as opposed to a document.
    IsRecipe: WebReady, Proxy, Compress, Transcode, Resize, Trim, ExtractAudio, Thumbnail,
        Thumbnails, Storyboard, Concat;
    /// A recipe that works on a section of its input.
    HasSection: WebReady, Proxy, Trim, ExtractAudio;
    /// A recipe whose pictures have a size.
    HasSize: WebReady, Proxy, Resize, Thumbnail, Thumbnails;
    /// A recipe that shrinks pictures to a common size where it is asked to.
    ScalesDown: WebReady, Proxy;
    /// A recipe that encodes video at a quality or a bit rate.
    HasRate: WebReady, Proxy, Compress, Transcode;
    /// A recipe that encodes video in a codec of the caller's choice.
    HasCodec: Compress, Transcode;
    /// A recipe that can keep more than one audio stream.
    HasTracks: WebReady, Proxy, Compress, Transcode, Resize, Trim, Concat;
    /// A recipe whose times can be met by keyframes.
    HasAccuracy: Trim, Thumbnail, Thumbnails;
    /// A recipe that writes still pictures.
    HasQuality: Thumbnail, Thumbnails, Storyboard;
}

macro_rules! seal {
    ($($recipe:ty),*) => { $(impl sealed::Sealed for $recipe {})* };
}

seal!(
    WebReady,
    Proxy,
    Compress,
    Transcode,
    Resize,
    Trim,
    ExtractAudio,
    Thumbnail,
    Thumbnails,
    Storyboard,
    Concat
);

impl<R: IsRecipe> Builder<'_, R> {
    /// Takes over the values of a draft, as of a command line; its recipe and its inputs are not
    /// looked at.
    pub fn values(mut self, draft: &JobDraft) -> Self {
        if let Some(own) = self.draft() {
            own.take_values(draft);
        }
        self
    }

    /// Format of the output, where its name has no extension that tells it. By default the extension
    /// tells it; one of another format is an error.
    pub fn format(self, format: Format) -> Self {
        self.in_format(format)
    }

    /// Takes damaged or missing media of an input as a warning of the report instead of an error.
    pub fn lenient(self) -> Self {
        self.set("lenient", true)
    }

    /// Whether an input elsewhere is copied to this machine as a whole before the run; by default
    /// the plan decides, by what is cheaper.
    pub fn stage_input(mut self, stages: bool) -> Self {
        if let Some(draft) = self.draft() {
            draft.stage_input(stages);
        }
        self
    }
}

impl<R: HasSection> Builder<'_, R> {
    /// Where the section begins, in seconds from the earliest presented time: finite, 0 or more. By
    /// default 0.
    pub fn start(self, seconds: f64) -> Self {
        self.set("startSeconds", seconds)
    }

    /// How long the section is, in seconds: finite, more than 0. By default it goes on to the end.
    pub fn duration(self, seconds: f64) -> Self {
        self.set("durationSeconds", seconds)
    }

    /// The section, in seconds from the earliest presented time, as in `12.0..42.0` or `12.0..`.
    pub fn range(self, seconds: impl Into<TimeRange>) -> Self {
        let TimeRange { start, end } = seconds.into();
        let builder = self.start(start);
        match end {
            Some(end) => builder.duration(end - start),
            None => builder,
        }
    }
}

/// A range of time, as also made of `12.0..42.0`, `12.0..`, `..42.0` and `..`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeRange {
    /// Where it begins, in seconds.
    pub start: f64,
    /// Where it ends, in seconds, which is not in it; `None` for the end of the input.
    pub end: Option<f64>,
}

impl From<Range<f64>> for TimeRange {
    fn from(Range { start, end }: Range<f64>) -> Self {
        Self { start, end: Some(end) }
    }
}

impl From<RangeFrom<f64>> for TimeRange {
    fn from(range: RangeFrom<f64>) -> Self {
        Self { start: range.start, end: None }
    }
}

impl From<RangeTo<f64>> for TimeRange {
    fn from(range: RangeTo<f64>) -> Self {
        Self { start: 0.0, end: Some(range.end) }
    }
}

impl From<RangeFull> for TimeRange {
    fn from(_: RangeFull) -> Self {
        Self { start: 0.0, end: None }
    }
}

impl Builder<'_, Trim> {
    /// Several sections, which are joined: ascending, without overlap, in seconds from the earliest
    /// presented time.
    pub fn ranges(self, seconds: impl IntoIterator<Item = Range<f64>>) -> Self {
        let section = |range: Range<f64>| {
            Tree::Object(vec![
                ("startSeconds".to_owned(), range.start.into()),
                ("durationSeconds".to_owned(), (range.end - range.start).into()),
            ])
        };
        self.set("ranges", Tree::Array(seconds.into_iter().map(section).collect()))
    }
}

impl<R: HasSize> Builder<'_, R> {
    /// Width, in pixels, 1 to 16,384: of the result for `resize`, else of the box that the picture
    /// is fitted into without being enlarged.
    pub fn width(self, pixels: u32) -> Self {
        self.set("width", pixels)
    }

    /// Height, in pixels, 1 to 16,384: as for [`width`](Self::width).
    pub fn height(self, pixels: u32) -> Self {
        self.set("height", pixels)
    }
}

impl Builder<'_, Resize> {
    /// How the picture fills a size of which both sides are given; by default it is stretched.
    pub fn fit(self, fit: Fit) -> Self {
        self.set("fit", fit.name())
    }
}

impl<R: ScalesDown> Builder<'_, R> {
    /// Fits the picture into 1280×720 pixels, turned as it is, where no width or height is given.
    pub fn scale_down(self) -> Self {
        self.set("scaleDown", true)
    }
}

impl<R: HasRate> Builder<'_, R> {
    /// Constant rate factor, without a unit: 0 to 51 for H.264 and HEVC, 0 to 63 for VP9 and AV1.
    /// Lower is higher quality and a larger file. The default depends on recipe and codec.
    pub fn crf(self, crf: u8) -> Self {
        self.set("crf", u32::from(crf))
    }

    /// Average bit rate of the video in kbit/s (1000 bits), 1 to 1,000,000; goes before
    /// [`crf`](Self::crf). By default the crf decides.
    pub fn bitrate_kbps(self, kbps: u32) -> Self {
        self.set("bitrateKbps", kbps)
    }
}

impl<R: HasCodec> Builder<'_, R> {
    /// Codec of encoded video; by default H.264 in MP4 and MOV, VP9 in WebM.
    pub fn codec(self, codec: VideoCodec) -> Self {
        self.set("codec", codec.name())
    }

    /// How long the encoder may take: a name such as `slow` for H.264 and HEVC, a number for VP9 (0
    /// to 8) and AV1 (0 to 13), where more is faster. By default `medium`, 4 or 8.
    pub fn preset(self, preset: &str) -> Self {
        match preset.parse::<u32>() {
            Ok(number) => self.set("preset", number),
            Err(_) => self.set("preset", preset),
        }
    }
}

impl Builder<'_, Compress> {
    /// Bit rate of stereo audio in kbit/s (1000 bits), 1 to 1,024; 128 by default. Mono gets 0.6 of
    /// it, 5.1 gets 2.5.
    pub fn audio_bitrate_kbps(self, kbps: u32) -> Self {
        self.set("audioBitrateKbps", kbps)
    }
}

impl Builder<'_, Transcode> {
    /// Encodes what could be copied, too.
    pub fn reencode(self) -> Self {
        self.set("reencode", true)
    }
}

impl Builder<'_, Proxy> {
    /// How often a keyframe stands; by default once a second.
    pub fn gop(self, gop: Gop) -> Self {
        self.set("gop", gop.name())
    }
}

impl<R: HasTracks> Builder<'_, R> {
    /// Which streams are kept; by default the best video and the default audio stream.
    pub fn tracks(self, tracks: Tracks) -> Self {
        self.set("tracks", tracks.name())
    }
}

impl<R: HasAccuracy> Builder<'_, R> {
    /// Whether times are met to the frame, or at keyframes, which is faster. By default `exact`; for
    /// [`thumbnails`] that are spread over the input `keyframe`.
    pub fn accuracy(self, accuracy: Accuracy) -> Self {
        self.set("accuracy", accuracy.name())
    }
}

impl<R: HasQuality> Builder<'_, R> {
    /// Quality of a JPEG or WebP, without a unit, 1 to 100; 90 by default, 75 in a storyboard.
    /// Higher is higher quality and a larger file. A PNG has none.
    pub fn quality(self, quality: u8) -> Self {
        self.set("quality", u32::from(quality))
    }
}

impl Builder<'_, Thumbnail> {
    /// When the frame is on screen, in seconds from the earliest presented time: finite, 0 or more.
    /// By default 0. Behind the end it is the last frame, with the warning `SEEK_PAST_END`.
    pub fn at(self, seconds: f64) -> Self {
        self.set("seekSeconds", seconds)
    }
}

impl Builder<'_, Thumbnails> {
    /// So many pictures, 1 to 500, each near the middle of an equal part of the input.
    pub fn count(self, pictures: u32) -> Self {
        self.sampling(Sampling::Count(pictures))
    }

    /// One picture for so many seconds of the input: finite, more than 0.
    pub fn every(self, seconds: f64) -> Self {
        self.sampling(Sampling::Every(seconds))
    }

    /// A picture at each of these times, in seconds from the earliest presented time: finite, 0 or
    /// more, in any order.
    pub fn at(self, seconds: impl IntoIterator<Item = f64>) -> Self {
        self.sampling(Sampling::At(seconds.into_iter().collect()))
    }

    /// Which pictures are taken, as a value.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        if let Work::Thumbnails(_, old) = &mut self.work {
            *old = sampling;
        }
        self
    }
}

impl Builder<'_, Storyboard> {
    /// So many pictures, 1 to 10,000; by default 100.
    pub fn count(self, pictures: u32) -> Self {
        self.set("count", pictures)
    }

    /// One picture for so many seconds of the input: finite, more than 0.
    pub fn every(self, seconds: f64) -> Self {
        self.set("everySeconds", seconds)
    }

    /// How many pictures stand side by side, 1 to 100; by default 10.
    pub fn columns(self, pictures: u32) -> Self {
        self.set("columns", pictures)
    }

    /// Width of one picture in pixels, 2 to 4096; by default 160.
    pub fn width(self, pixels: u32) -> Self {
        self.set("width", pixels)
    }
}
