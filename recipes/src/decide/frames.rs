//! Frames for callers that use pictures in memory: upright, and in the pixel format that they name.

use std::num::NonZeroU32;

use avocet_model::{
    capabilities::Capabilities,
    error::{Error, Result},
    frames::{FrameRequest, Wanted},
    location::Location,
    media::{Color, MediaInfo, StreamInfo},
    time::Timestamp,
};

use super::{
    choose,
    cut::stream_end,
    picture::{self, Target},
    samples::problems_of_range,
};
use crate::words::{error::Problem, parameter::MAX_SIDE};

/// Which frames are wanted, and in which form. By default all frames, in their own size, in `rgb24`,
/// one after the other.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FrameQuery {
    /// The times of the frames.
    pub when: FrameTimes,
    /// Width of the pictures, in pixels, 1 to 16,384. `None` derives it from the height and the
    /// source's shape, or takes the source's width where there is no height.
    pub width: Option<u32>,
    /// Height of the pictures, in pixels, 1 to 16,384. `None` derives it from the width and the
    /// source's shape, or takes the source's height where there is no width.
    pub height: Option<u32>,
    /// libav's name of the pixel format, as in `rgb24` (the default), `gray` or `yuv420p`.
    pub pixel_format: String,
    /// How many threads decode frames at times, each with a decoder of its own; 1 by default, where
    /// one decoder works with threads inside.
    pub threads: u32,
    /// Whether pictures are as precise as thumbnails: scaled by a cubic filter, values rounded to the
    /// nearest, and chroma interpolated for RGB. `false` by default: then the filter is linear, and
    /// chroma of pictures in the source's own size is repeated, as most libraries do, and a picture
    /// takes a few milliseconds less.
    pub precise: bool,
}

impl Default for FrameQuery {
    fn default() -> Self {
        let when = FrameTimes::Between { start: 0.0, end: None };
        Self {
            when,
            width: None,
            height: None,
            pixel_format: "rgb24".to_owned(),
            threads: 1,
            precise: false,
        }
    }
}

/// Which frames are wanted, in seconds from the earliest presentation time of the input.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FrameTimes {
    /// The frames on screen at these times, in seconds, in any order.
    At(Vec<f64>),
    /// All frames with start ≤ presentation time (PTS) < end.
    Between {
        /// The first instant, in seconds.
        start: f64,
        /// The instant after the last, in seconds; `None` for the end of the stream.
        end: Option<f64>,
    },
    /// The frames on screen at start, start + step, start + 2 step, … before end.
    Every {
        /// The first instant, in seconds.
        start: f64,
        /// The instant after the last, in seconds; `None` for the end of the stream.
        end: Option<f64>,
        /// The distance of instants, in seconds; finite, more than 0.
        step: f64,
    },
}

/// The most instants that [`FrameTimes::Every`] makes.
const MAX_INSTANTS: f64 = 10_000_000.0;

impl FrameQuery {
    /// What is wrong with the values; the paths are the names of the fields.
    pub fn problems(&self) -> Vec<Problem> {
        let problem = |path: String, found: String, allowed: &str| Problem {
            path,
            found,
            allowed: allowed.to_owned(),
        };
        let mut problems = match &self.when {
            FrameTimes::At(times) => {
                let is_wrong = |time: &(usize, &f64)| !(time.1.is_finite() && *time.1 >= 0.0);
                let wrong = times.iter().enumerate().filter(is_wrong);
                let allowed = "a finite number of seconds, 0 or more";
                wrong
                    .map(|(number, time)| {
                        problem(format!("times[{number}]"), time.to_string(), allowed)
                    })
                    .collect()
            }
            FrameTimes::Between { start, end } | FrameTimes::Every { start, end, .. } => {
                problems_of_range(*start, *end)
            }
        };
        if let FrameTimes::Every { step, .. } = self.when
            && !(step.is_finite() && step > 0.0)
        {
            let allowed = "a finite number of seconds, more than 0";
            problems.push(problem("every".to_owned(), step.to_string(), allowed));
        }
        for (path, side) in [("width", self.width), ("height", self.height)] {
            if let Some(side) = side.filter(|side| !(1..=MAX_SIDE).contains(side)) {
                let allowed = "an integer 1 to 16384";
                problems.push(problem(path.to_owned(), side.to_string(), allowed));
            }
        }
        if self.threads == 0 {
            problems.push(problem("threads".to_owned(), "0".to_owned(), "an integer, 1 or more"));
        }
        problems
    }

    /// The request that an engine answers: the best video stream, upright, in square pixels, tone
    /// mapped from high dynamic range. RGB formats get full range; others get limited range in the
    /// source's own colors, or in BT.709 after tone mapping.
    ///
    /// # Errors
    /// [`Error::Lacking`](avocet_model::error::Error::Lacking) when there is no video;
    /// [`Error::Absent`](avocet_model::error::Error::Absent) when this libav lacks a filter.
    pub fn request(&self, media: &MediaInfo, capabilities: &Capabilities) -> Result<FrameRequest> {
        let location = Location::Caller(0);
        if let Some(problem) = self.problems().first() {
            return Err(Error::BadPlan { what: problem.to_string() });
        }
        let (stream, video) = choose::need_video(&location, media)?;
        let (width, height) = video.shown_size();
        let (width, height) =
            match (self.width.and_then(NonZeroU32::new), self.height.and_then(NonZeroU32::new)) {
                (Some(width), Some(height)) => (width, height),
                (Some(wide), None) => {
                    (wide, picture::whole(height * f64::from(wide.get()) / width))
                }
                (None, Some(high)) => {
                    (picture::whole(width * f64::from(high.get()) / height), high)
                }
                (None, None) => (picture::whole(width), picture::whole(height)),
            };
        // Colors of a source in standard dynamic range are kept where the pixel format can hold
        // them.
        let color = if video.is_hdr() { picture::bt709() } else { picture::source_color(video) };
        let range = Some("tv".to_owned());
        let color = if self.is_rgb() {
            Color { range: Some("pc".to_owned()), ..Color::default() }
        } else {
            Color { range, ..color }
        };
        let pixel_format = self.pixel_format.clone();
        let tone_map = video.is_hdr();
        let precise = self.precise;
        let target = Target { width, height, pixel_format, color, tone_map, frame: None, precise };
        let filters = picture::filters(&location, stream, video, &target, capabilities)?;
        let start = media.start.map_or(0.0, Timestamp::seconds);
        let at = |seconds: &f64| Timestamp::on_screen(start + seconds, stream.time_base);
        let from = |seconds: f64| Timestamp::first_from(start + seconds, stream.time_base);
        let wanted = match &self.when {
            FrameTimes::At(times) => Wanted::At(times.iter().map(at).collect()),
            FrameTimes::Between { start, end } => {
                Wanted::Between { start: from(*start), end: end.map(from) }
            }
            FrameTimes::Every { start: first, end, step } => {
                let length = end_of(media, stream).map(|last| last - start);
                let end = match (*end, length) {
                    (Some(end), Some(length)) => end.min(length),
                    (Some(end), None) => end,
                    (None, Some(length)) => length,
                    (None, None) => {
                        let needed = "a known duration, or an end of the range";
                        return Err(choose::lacking(&location, media, needed));
                    }
                };
                let count = ((end - first) / step).ceil().clamp(0.0, MAX_INSTANTS);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "clamped above"
                )]
                let count = count as u32;
                Wanted::At(
                    (0..count).map(|number| at(&(first + f64::from(number) * step))).collect(),
                )
            }
        };
        let neighbors = filters.neighbors;
        Ok(FrameRequest {
            stream: stream.index,
            wanted,
            filters: filters.text,
            neighbors,
            goes_back: media.followed && media.reads_on(),
            threads: NonZeroU32::new(self.threads).unwrap_or(NonZeroU32::MIN),
        })
    }

    /// Whether the pixel format is one of red, green and blue.
    fn is_rgb(&self) -> bool {
        let name = self.pixel_format.as_str();
        ["rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    }
}

/// When a stream ends, in seconds on the input's time line.
fn end_of(media: &MediaInfo, stream: &StreamInfo) -> Option<f64> {
    let of_stream = stream_end(stream)
        .or_else(|| Some(stream.start?.plus(stream.duration?.ticks)))
        .map(Timestamp::seconds);
    of_stream
        .or_else(|| Some(media.start.map_or(0.0, Timestamp::seconds) + media.duration?.seconds()))
}
