//! The largest pictures that encoders take.

use std::num::NonZeroU32;

use avocet_model::{error::Error, location::Location, plan::Reason};

use super::picture;
use crate::words::{codec::VideoCodec, format::Format};

/// What libav adds to each side before it checks the area of a picture, in pixels.
const MARGIN: u64 = 128;

/// The area of a picture with its margins that libav refuses, in pixels, as well as any larger one.
const AREA: u64 = 1 << 28;

/// The largest picture that an encoder takes, and its name in messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Largest {
    name: &'static str,
    /// The largest width, in pixels.
    pub(crate) width: u32,
    /// The largest height, in pixels.
    pub(crate) height: u32,
}

impl Largest {
    /// The largest picture of a codec.
    pub(crate) const fn of_codec(codec: VideoCodec) -> Self {
        let (width, height) = codec.largest_sides();
        Self { name: codec.name(), width, height }
    }

    /// The largest picture of a format of still pictures.
    pub(crate) const fn of_picture(format: Format) -> Self {
        let side = match format {
            Format::Webp => 16_383,
            // The standard allows 65535, but libav takes no more than this.
            Format::Jpg => 65_500,
            _ => i32::MAX.unsigned_abs(),
        };
        Self { name: format.name(), width: side, height: side }
    }

    /// Whether the encoder takes pictures of this size, in pixels.
    pub(crate) fn holds(self, width: u32, height: u32) -> bool {
        let margins = (u64::from(width) + MARGIN).saturating_mul(u64::from(height) + MARGIN);
        width <= self.width && height <= self.height && margins < AREA
    }

    /// Scales a size down to one that the encoder takes, its shape kept; in pixels.
    pub(crate) fn fit(self, (width, height): (f64, f64)) -> (f64, f64) {
        let sides = (f64::from(self.width) / width).min(f64::from(self.height) / height);
        let margin = MARGIN as f64;
        // (f · width + margin) · (f · height + margin) = area, solved for f.
        let half = margin * (width + height) / (2.0 * width * height);
        let rest = (AREA as f64 - margin * margin) / (width * height);
        let area = half.mul_add(half, rest).sqrt() - half;
        let mut factor = sides.min(area).min(1.0);
        let side = |side: f64| picture::whole(side).get();
        // Callers round the sides, which may exceed the area again.
        while factor < 1.0 && !self.holds(side(width * factor), side(height * factor)) {
            factor *= 0.9999;
        }
        (width * factor, height * factor)
    }

    /// The reason why a picture is smaller than wanted; `None` where [`fit`](Self::fit) does not
    /// make it smaller.
    pub(crate) fn scaled_down(
        self,
        wanted: (f64, f64),
        (made, high): (NonZeroU32, NonZeroU32),
    ) -> Option<Reason> {
        let (width, height) = wanted;
        (self.fit(wanted) != wanted).then(|| {
            let message = format!(
                "{width:.0}x{height:.0} becomes {made}x{high}, so that {} can hold it",
                self.name
            );
            Reason::new("SCALED_DOWN", message)
        })
    }

    /// The error for a size that was asked for and exceeds a limit; in pixels.
    pub(crate) fn refuse(self, width: u32, height: u32) -> Error {
        Error::SizeRefused { width, height, codec: self.name, allowed: self.allowed(width, height) }
    }

    /// The error for a picture of an input that can not be encoded in its own size; in pixels.
    pub(crate) fn lack(self, location: &Location, width: u32, height: u32) -> Error {
        Error::Lacking {
            location: location.clone(),
            found: format!("a picture of {width}x{height}"),
            needed: format!("{} for {}", self.allowed(width, height), self.name),
        }
    }

    /// The limit that a size exceeds, in words.
    fn allowed(self, width: u32, height: u32) -> String {
        let Self { width: widest, height: highest, .. } = self;
        if width > widest || height > highest {
            return format!("at most {widest}x{highest} pixels");
        }
        format!("fewer than {AREA} pixels, after {MARGIN} is added to each side")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_that_is_fitted_is_held_and_as_large_as_can_be() {
        let codecs = VideoCodec::ALL.map(Largest::of_codec);
        let formats = [Format::Jpg, Format::Png, Format::Webp].map(Largest::of_picture);
        let sizes = [
            (16_384.0, 16_384.0),
            (65_536.0, 64.0),
            (64.0, 65_536.0),
            (1_000_000.0, 2.0),
            (16_384.0, 9_216.0),
            (40_000.0, 30_000.0),
            (65_535.0, 65_535.0),
        ];
        for largest in codecs.into_iter().chain(formats) {
            assert_eq!(largest.fit((1920.0, 1080.0)), (1920.0, 1080.0));
            for size in sizes {
                let (width, height) = largest.fit(size);
                let side = |side: f64| crate::decide::picture::whole(side).get();
                let (whole, more) =
                    ((side(width), side(height)), (side(width * 1.05), side(height * 1.05)));
                assert!(largest.holds(whole.0, whole.1), "{largest:?}: {whole:?} of {size:?}");
                let is_whole = (width, height) == size;
                assert!(
                    is_whole || !largest.holds(more.0 + 1, more.1 + 1),
                    "{largest:?}: {size:?}"
                );
            }
        }
    }

    #[test]
    fn a_refusal_names_the_limit() {
        let told =
            |codec, width, height| Largest::of_codec(codec).refuse(width, height).to_string();
        assert_eq!(
            told(VideoCodec::H264, 16_386, 64),
            "h264 takes at most 16384x16384 pixels, not 16386x64"
        );
        assert_eq!(
            told(VideoCodec::Av1, 64, 8706),
            "av1 takes at most 16384x8704 pixels, not 64x8706"
        );
        assert_eq!(
            told(VideoCodec::H264, 16_384, 16_384),
            "h264 takes fewer than 268435456 pixels, after 128 is added to each side, not \
             16384x16384"
        );
    }
}
