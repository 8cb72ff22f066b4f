//! Pictures of a video in memory.

use avocet_engine::{Engine, Picture, VideoReader};
use avocet_model::{media::MediaInfo, time::Timestamp};
use avocet_recipes::{FrameQuery, FrameTimes};

use super::{Frames, Reading, Setup, expect_none, setup_methods, unknown};
use crate::{Error, Input, builder::TimeRange};

/// Pictures of a video in memory: upright, in square pixels, tone mapped from high dynamic range, in
/// the size and the pixel format of your choice. By default all of them, in `rgb24`.
///
/// ```no_run
/// for picture in avocet::frames("holiday.mp4").at([1.0, 2.5]).size(224, 224).iter()? {
///     let picture = picture?;
///     println!("{:?} s: {} bytes", picture.seconds(), picture.packed().len());
/// }
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn frames(input: impl Into<Input>) -> FrameBuilder {
    FrameBuilder { setup: Setup::new(input.into()), query: FrameQuery::default() }
}

/// Which pictures are wanted, and in which form; made by [`frames`].
#[derive(Clone, Debug)]
#[must_use = "nothing is decoded before `iter`, `open` or `stream` is called"]
pub struct FrameBuilder {
    setup: Setup,
    query: FrameQuery,
}

impl FrameBuilder {
    /// The pictures on screen at these times, in seconds from the earliest presentation time: finite,
    /// 0 or more. They come in this order. A time past the end is the error
    /// [`PastEnd`](avocet_engine::Error::PastEnd), behind which the others come.
    pub fn at(mut self, seconds: impl IntoIterator<Item = f64>) -> Self {
        self.query.when = FrameTimes::At(seconds.into_iter().collect());
        self
    }

    /// All pictures whose time is in a range of seconds, as in `12.0..42.0` or `12.0..`.
    pub fn range(mut self, seconds: impl Into<TimeRange>) -> Self {
        let TimeRange { start, end } = seconds.into();
        self.query.when = match self.query.when {
            FrameTimes::Every { step, .. } => FrameTimes::Every { start, end, step },
            _ => FrameTimes::Between { start, end },
        };
        self
    }

    /// One picture every so many seconds, of the whole or of the [`range`](Self::range): finite, more
    /// than 0.
    pub fn every(mut self, seconds: f64) -> Self {
        let (start, end) = match self.query.when {
            FrameTimes::Between { start, end } | FrameTimes::Every { start, end, .. } => {
                (start, end)
            }
            _ => (0.0, None),
        };
        self.query.when = FrameTimes::Every { start, end, step: seconds };
        self
    }

    /// Width and height, in pixels, 1 to 16,384 each: the picture is stretched to them.
    pub fn size(self, width: u32, height: u32) -> Self {
        self.width(width).height(height)
    }

    /// Width, in pixels, 1 to 16,384; without a height, the shape is kept.
    pub fn width(mut self, pixels: u32) -> Self {
        self.query.width = Some(pixels);
        self
    }

    /// Height, in pixels, 1 to 16,384; without a width, the shape is kept.
    pub fn height(mut self, pixels: u32) -> Self {
        self.query.height = Some(pixels);
        self
    }

    /// libav's name of the pixel format, as in `rgba`, `yuv420p` or `gray16le`; by default `rgb24`.
    pub fn pixel_format(mut self, name: &str) -> Self {
        name.clone_into(&mut self.query.pixel_format);
        self
    }

    /// Red, green and blue, a byte each, in one plane. This is the default.
    pub fn rgb24(self) -> Self {
        self.pixel_format("rgb24")
    }

    /// Brightness in one plane, a byte for each pixel.
    pub fn gray(self) -> Self {
        self.pixel_format("gray")
    }

    /// Pictures as precise as thumbnails: scaled by a cubic filter, values rounded to the nearest, and
    /// chroma interpolated for RGB, which takes some tens of milliseconds for a picture of 1920x1080.
    /// Without it, the filter is linear, and chroma of pictures in the clip's own size is repeated, as
    /// most libraries do.
    pub fn precise(mut self) -> Self {
        self.query.precise = true;
        self
    }

    /// How many threads decode pictures at times, each with a decoder of its own: 1 or more. They
    /// come in order all the same, and few are held at a time. By default 1, where one decoder works
    /// with threads inside.
    pub fn threads(mut self, threads: u32) -> Self {
        self.query.threads = threads;
        self
    }

    setup_methods!();

    fn check(&self) -> Result<(), Error> {
        let mut problems = self.query.problems();
        let format = &self.query.pixel_format;
        if !Engine::has_pixel_format(format) {
            let allowed = "a pixel format of libav, as `rgb24`, `gray` or `yuv420p`";
            problems.push(unknown("pixelFormat", format, allowed));
        }
        expect_none(problems)
    }

    /// The pictures one by one, decoded as they are asked for.
    ///
    /// # Errors
    /// [`Error::Values`] with all that is wrong with the values; [`Error::Engine`] when the input
    /// can not be read or has no video. Later errors come out of the iterator.
    #[expect(clippy::iter_not_returning_iterator, reason = "opening may fail")]
    pub fn iter(self) -> Result<Frames, Error> {
        self.check()?;
        let engine = self.setup.engine();
        let (source, media) = self.setup.probe(&engine)?;
        let request = self.query.request(&media, engine.capabilities())?;
        Ok(Reading(engine.frames(&source, request, &self.setup.cancel)?))
    }

    /// Opens the video for pictures at times that become known one by one; which times were asked
    /// for here is not looked at.
    ///
    /// # Errors
    /// As for [`iter`](Self::iter).
    pub fn open(self) -> Result<Video, Error> {
        self.check()?;
        let engine = self.setup.engine();
        let (source, media) = self.setup.probe(&engine)?;
        let request = self.query.request(&media, engine.capabilities())?;
        let reader = engine.video(&source, request, &self.setup.cancel)?;
        Ok(Video { reader, media })
    }

    /// The pictures as a stream on tokio, decoded on its threads for blocking work, two ahead of who
    /// takes them. Dropping the stream ends the decoding.
    ///
    /// # Errors
    /// None here: they come out of the stream.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as every spawning function of tokio does.
    #[cfg(feature = "tokio")]
    pub fn stream(mut self) -> super::BlockingStream<Picture> {
        super::BlockingStream::of(self.setup.child_token(), move || self.iter())
    }
}

/// An open video, for pictures at times that become known one by one; made by
/// [`FrameBuilder::open`].
///
/// The decoder is kept: a time up to 2 s behind the last one is reached by decoding on, without a
/// seek.
///
/// ```no_run
/// let mut video = avocet::frames("holiday.mp4").width(640).open()?;
/// let first = video.at(12.0)?;
/// let next = video.at(12.04)?;
/// # Ok::<(), avocet::Error>(())
/// ```
#[derive(Debug)]
pub struct Video {
    reader: VideoReader,
    media: MediaInfo,
}

impl Video {
    /// The picture on screen at a time, in seconds from the earliest presentation time.
    ///
    /// # Errors
    /// [`PastEnd`](avocet_engine::Error::PastEnd) for a time past the end; those of reading and
    /// decoding.
    pub fn at(&mut self, seconds: f64) -> Result<Picture, Error> {
        let when = FrameTimes::At(vec![seconds]);
        let mut query = FrameQuery::default();
        query.when = when;
        expect_none(query.problems())?;
        let start = self.media.start.map_or(0.0, Timestamp::seconds);
        let time =
            Timestamp::from_seconds(start + seconds, avocet_model::time::Rational::MICROSECONDS);
        Ok(self.reader.at(time)?)
    }

    /// What probing found in the input.
    pub const fn media(&self) -> &MediaInfo {
        &self.media
    }
}
