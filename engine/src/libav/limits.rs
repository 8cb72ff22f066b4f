//! Limits on picture size and duration of an input, by the settings of the engine.

use avocet_model::{
    error::{Error, Result},
    location::Location,
    time::Timestamp,
};

use super::Demuxer;

/// The largest picture size and duration that an input may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest picture, in pixels.
    pub(crate) max_pixels: u64,
    /// The longest duration, in seconds.
    pub(crate) max_seconds: f64,
}

impl Limits {
    /// Any size and any length.
    pub(crate) const NONE: Self = Self { max_pixels: u64::MAX, max_seconds: f64::INFINITY };

    /// Whether anything is limited.
    pub(crate) fn are_set(self) -> bool {
        self.max_pixels < u64::MAX || self.max_seconds.is_finite()
    }

    /// Checks an opened input against the limits, and against the largest picture that libav
    /// decodes.
    ///
    /// # Errors
    /// [`Error::TooMuch`].
    pub(crate) fn check_opened(self, location: &Location, demuxer: &Demuxer) -> Result<()> {
        if !self.are_set() && demuxer.refused.is_none() {
            return Ok(());
        }
        let media = demuxer.media();
        // Since FFmpeg 7.0 a movie has no duration until its packets were probed; its streams do.
        let streams = media.streams.iter().filter_map(|stream| stream.duration);
        let seconds = media.duration.or_else(|| streams.max()).map_or(0.0, Timestamp::seconds);
        self.check_seconds(location, seconds)?;
        for (_, video) in media.videos() {
            self.check_size(location, (video.width, video.height))?;
            if let Some(size) = demuxer.refused.filter(|_| video.width == 0 || video.height == 0) {
                self.check_size(location, size)?;
                // The limit of `av_image_check_size`, with the margins that it adds.
                let most = "about 2^28 pixels, the most that libav decodes".to_owned();
                return Err(too_large(location, size, most));
            }
        }
        Ok(())
    }

    /// Checks a duration, in seconds, against the limit.
    ///
    /// # Errors
    /// [`Error::TooMuch`].
    pub(crate) fn check_seconds(self, location: &Location, seconds: f64) -> Result<()> {
        if seconds <= self.max_seconds {
            return Ok(());
        }
        let most = format!("{} s", self.max_seconds);
        Err(Error::TooMuch {
            location: location.clone(),
            found: format!("it is {seconds} s long"),
            most,
        })
    }

    /// Checks a picture of this width and height, in pixels, against the limit.
    ///
    /// # Errors
    /// [`Error::TooMuch`].
    pub(crate) fn check_size(self, location: &Location, (width, height): (u32, u32)) -> Result<()> {
        if u64::from(width) * u64::from(height) <= self.max_pixels {
            return Ok(());
        }
        Err(too_large(location, (width, height), format!("{} pixels", self.max_pixels)))
    }
}

/// The error of a picture with more pixels than `most` says.
fn too_large(location: &Location, (width, height): (u32, u32), most: String) -> Error {
    let found = format!("it has pictures of {width}x{height}");
    Error::TooMuch { location: location.clone(), found, most }
}
