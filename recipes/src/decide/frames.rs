//! Frames for those who want to look at pictures in memory: upright, in the form they name.

use std::num::NonZeroU32;

use avocet_model::{
    capabilities::Capabilities,
    error::Result,
    frames::{FrameRequest, Wanted},
    location::Location,
    media::{Color, MediaInfo},
    time::Timestamp,
};

use super::{
    choose,
    picture::{self, Target},
};

/// Which frames are wanted, and in which form.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameQuery {
    /// Which frames.
    pub when: FrameTimes,
    /// Width of the pictures, in pixels; `None` follows the height, else the source's shape.
    pub width: Option<NonZeroU32>,
    /// Height of the pictures, in pixels; `None` follows the width, else the source's shape.
    pub height: Option<NonZeroU32>,
    /// libav's name of the pixel format, as in `rgb24` (the default), `gray` or `yuv420p`.
    pub pixel_format: String,
}

impl Default for FrameQuery {
    fn default() -> Self {
        let when = FrameTimes::Between { start: 0.0, end: None };
        Self { when, width: None, height: None, pixel_format: "rgb24".to_owned() }
    }
}

/// Which frames are wanted; seconds from the earliest presented time of the input.
#[derive(Clone, Debug, PartialEq)]
pub enum FrameTimes {
    /// The ones on screen at these times, in seconds.
    At(Vec<f64>),
    /// All with start ≤ time < end.
    Between {
        /// In seconds.
        start: f64,
        /// In seconds; `None` for the end of the stream.
        end: Option<f64>,
    },
}

impl FrameQuery {
    /// The request that an engine answers: the best video stream, upright, in square pixels, tone
    /// mapped from high dynamic range, limited-range BT.709 or full-range RGB by the pixel format.
    ///
    /// # Errors
    /// [`Error::Lacking`](avocet_model::error::Error::Lacking) when there is no video;
    /// [`Error::Absent`](avocet_model::error::Error::Absent) when this libav lacks a filter.
    pub fn request(&self, media: &MediaInfo, capabilities: &Capabilities) -> Result<FrameRequest> {
        let location = Location::Caller(0);
        let (stream, video) = choose::need_video(&location, media)?;
        let (width, height) = video.shown_size();
        let (width, height) = match (self.width, self.height) {
            (Some(width), Some(height)) => (width, height),
            (Some(wide), None) => (wide, picture::whole(height * f64::from(wide.get()) / width)),
            (None, Some(high)) => (picture::whole(width * f64::from(high.get()) / height), high),
            (None, None) => (picture::whole(width), picture::whole(height)),
        };
        // A source's own colors are kept where the pixel format can hold them.
        let color = if video.is_hdr() { picture::bt709() } else { picture::source_color(video) };
        let range = Some("tv".to_owned());
        let color = if self.is_rgb() {
            Color { range: Some("pc".to_owned()), ..Color::default() }
        } else {
            Color { range, ..color }
        };
        let pixel_format = self.pixel_format.clone();
        let target =
            Target { width, height, pixel_format, color, tone_map: video.is_hdr(), frame: None };
        let filters = picture::filters(&location, stream, video, &target, capabilities)?;
        let start = media.start.map_or(0.0, Timestamp::seconds);
        let at = |seconds: &f64| Timestamp::on_screen(start + seconds, stream.time_base);
        let from = |seconds: f64| Timestamp::first_from(start + seconds, stream.time_base);
        let wanted = match &self.when {
            FrameTimes::At(times) => Wanted::At(times.iter().map(at).collect()),
            FrameTimes::Between { start, end } => {
                Wanted::Between { start: from(*start), end: end.map(from) }
            }
        };
        let neighbors = filters.neighbors;
        Ok(FrameRequest {
            stream: stream.index,
            wanted,
            filters: filters.text,
            neighbors,
            goes_back: media.followed && media.reads_on(),
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
