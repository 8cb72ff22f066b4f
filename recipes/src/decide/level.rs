//! Levels of H.264: the picture sizes, frame rates and bit rates that a decoder of each must
//! support.

/// A row of ITU-T H.264, table A-1: the level (41 for 4.1); macroblocks per second, per picture and
/// in the decoded picture buffer; 1000 bits per second and in the coded picture buffer, both in
/// Main profile.
type Row = (u32, u32, u32, u32, u32, u32);

const LEVELS: [Row; 16] = [
    (10, 1485, 99, 396, 64, 175),
    (11, 3000, 396, 900, 192, 500),
    (12, 6000, 396, 2376, 384, 1000),
    (13, 11_880, 396, 2376, 768, 2000),
    (20, 11_880, 396, 2376, 2000, 2000),
    (21, 19_800, 792, 4752, 4000, 4000),
    (22, 20_250, 1620, 8100, 4000, 4000),
    (30, 40_500, 1620, 8100, 10_000, 10_000),
    (31, 108_000, 3600, 18_000, 14_000, 14_000),
    (32, 216_000, 5120, 20_480, 20_000, 20_000),
    (40, 245_760, 8192, 32_768, 20_000, 25_000),
    (41, 245_760, 8192, 32_768, 50_000, 62_500),
    (42, 522_240, 8704, 34_816, 50_000, 62_500),
    (50, 589_824, 22_080, 110_400, 135_000, 135_000),
    (51, 983_040, 36_864, 184_320, 240_000, 240_000),
    (52, 2_073_600, 36_864, 184_320, 240_000, 240_000),
];

/// The factor by which High profile raises the bit rates of Main.
const HIGH: f64 = 1.25;

/// The number of reference pictures of our encodes.
const REFERENCES: u32 = 3;

/// The load that a stream puts on a decoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Load {
    /// Width, in pixels.
    pub(crate) width: u32,
    /// Height, in pixels.
    pub(crate) height: u32,
    /// Frames per second.
    pub(crate) rate: f64,
    /// The highest bit rate, in 1000 bits per second.
    pub(crate) kbps: f64,
    /// The size of the coded picture buffer, in 1000 bits.
    pub(crate) buffer: f64,
}

impl Load {
    /// The lowest level that supports it in High profile, as in 41 for 4.1; `None` above level 5.2.
    pub(crate) fn level(self) -> Option<u32> {
        let (wide, high) = (self.width.div_ceil(16), self.height.div_ceil(16));
        let size = wide.saturating_mul(high);
        let fits = |&(_, speed, picture, buffer, kbps, coded): &Row| {
            // A side has at most as many macroblocks as the square root of 8 times those of a
            // picture.
            let side = f64::from(picture) * 8.0;
            f64::from(size) * self.rate <= f64::from(speed)
                && size <= picture
                && f64::from(wide.max(high)).powi(2) <= side
                && size.saturating_mul(REFERENCES) <= buffer
                && self.kbps <= f64::from(kbps) * HIGH
                && self.buffer <= f64::from(coded) * HIGH
        };
        LEVELS.iter().find(|row| fits(row)).map(|row| row.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(width: u32, height: u32, rate: f64, kbps: f64) -> Option<u32> {
        Load { width, height, rate, kbps, buffer: 2.0 * kbps }.level()
    }

    #[test]
    fn the_lowest_level_that_bears_a_picture() {
        assert_eq!(level(1920, 1080, 60.0, 18_662.0), Some(42));
        assert_eq!(level(1920, 1080, 30.0, 9_331.0), Some(40));
        assert_eq!(level(1280, 720, 30.0, 4_147.0), Some(31));
        assert_eq!(level(320, 180, 25.0, 2_500.0), Some(21));
        assert_eq!(level(3840, 2160, 60.0, 74_650.0), Some(52));
        assert_eq!(level(7680, 4320, 30.0, 1_000.0), None);
        assert_eq!(level(16_384, 16, 1.0, 1_000.0), None);
    }
}
