//! The part of a picture that is shown (`clap`; ISO/IEC 14496-12, 12.1.4), of movies and of stills.

use super::Fields;
use crate::media::Crop;

/// The part of a picture that is shown (`clap`): of the width, and of the height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aperture([Extent; 2]);

/// How much of a side is shown, and how far its middle lies from that of the side, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    /// Numerator and denominator.
    length: (u32, u32),
    /// Numerator and denominator.
    offset: (i32, u32),
}

impl Aperture {
    /// Reads the body of `clap`; `None` when it is cut short.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let lengths = [(fields.u32()?, fields.u32()?), (fields.u32()?, fields.u32()?)];
        let offsets = [(fields.i32()?, fields.u32()?), (fields.i32()?, fields.u32()?)];
        Some(Self([0, 1].map(|side| Extent { length: lengths[side], offset: offsets[side] })))
    }

    /// What is cut off a picture of this width and height, in pixels; `None` where all is shown, or where
    /// it does not lie within the picture.
    pub fn crop(self, width: u32, height: u32) -> Option<Crop> {
        let [across, down] = self.0;
        let (left, right) = across.margins(width)?;
        let (top, bottom) = down.margins(height)?;
        Some(Crop { left, right, top, bottom }).filter(|crop| !crop.is_empty())
    }
}

impl Extent {
    /// The pixels of a side before and behind what is shown. What is shown in part is shown: of 720
    /// columns, 41472/59 are shown of PAL.
    fn margins(self, side: u32) -> Option<(u32, u32)> {
        let ratio = |num: i64, den: u32| (den > 0).then(|| num as f64 / f64::from(den));
        let length = ratio(self.length.0.into(), self.length.1)?;
        let offset = ratio(self.offset.0.into(), self.offset.1)?;
        let spare = f64::from(side) - length;
        let [before, behind] = [spare / 2.0 + offset, spare / 2.0 - offset].map(f64::floor);
        let within = 0.0..f64::from(side);
        let is_within = length > 0.0 && within.contains(&before) && within.contains(&behind);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        is_within.then_some((before as u32, behind as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_is_whole_pixels_within_the_picture() {
        let crop = |width: [u32; 2], offset: [i32; 2]| {
            let words = [width[0], width[1], 576, 1];
            let offsets = [offset[0], offset[1], 0, 1].map(i32::cast_unsigned);
            let body = [words, offsets].concat();
            let body: Vec<_> = body.into_iter().flat_map(u32::to_be_bytes).collect();
            let crop = Aperture::read(&body).and_then(|aperture| aperture.crop(720, 576));
            crop.map(|crop| (crop.left, crop.right, crop.top, crop.bottom))
        };
        assert_eq!(crop([704, 1], [0, 1]), Some((8, 8, 0, 0)));
        assert_eq!(crop([704, 1], [-3, 1]), Some((5, 11, 0, 0)));
        // The middle of an odd width lies half a pixel off.
        assert_eq!(crop([703, 1], [1, 2]), Some((9, 8, 0, 0)));
        // 702.9 columns: the outermost is shown in part.
        assert_eq!(crop([41472, 59], [0, 1]), Some((8, 8, 0, 0)));
        assert_eq!(crop([720, 1], [0, 1]), None);
        assert_eq!(crop([704, 1], [9, 1]), None);
        assert_eq!(crop([722, 1], [0, 1]), None);
        assert_eq!(crop([0, 1], [0, 1]), None);
        assert_eq!(crop([704, 0], [0, 1]), None);
        assert_eq!(Aperture::read(&[0; 31]), None);
    }
}
