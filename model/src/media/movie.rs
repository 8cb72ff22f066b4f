//! What the boxes of an MP4 or QuickTime file state and libavformat does not report.

use serde::{Deserialize, Serialize};

use crate::{
    media::{Crop, StreamInfo},
    time::Timestamp,
};

/// 1 as edit rates and matrices write it: in 16.16 fixed point.
pub const ONE: i32 = 1 << 16;

/// What the boxes of an ISO base media file (ISO/IEC 14496-12) or a QuickTime file state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Movie {
    /// The major brand, as in `isom`; `None` without `ftyp`, as in old QuickTime files.
    pub brand: Option<String>,
    /// Whether `moov` stands before the first `mdat`.
    pub moov_first: bool,
    /// Whether samples may be listed in movie fragments: there is an `mvex`, or a `moof`.
    pub fragmented: bool,
    /// Whether any sample entry is of encrypted samples.
    pub encrypted: bool,
    /// Whether every chunk that the sample tables of `moov` name lies inside the file; false too
    /// when they contradict each other. Fragments and references to other files are not followed.
    pub tables_inside: bool,
    /// The duration that `mvhd` states; `None` where it is unknown or 0.
    pub duration: Option<Timestamp>,
    /// The tracks, in the order of the file.
    pub tracks: Vec<MovieTrack>,
}

/// One track of a movie (`trak`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MovieTrack {
    /// The track ID (`tkhd`), a number.
    pub id: u32,
    /// The handler type of its media, as in `vide` (`hdlr`); empty without that box.
    pub handler: String,
    /// The codes of its sample entries, as in `avc1` (`stsd`), with `?` for bytes that are not
    /// printable.
    pub entries: Vec<String>,
    /// Whether its sample entries differ in anything, so that codec parameters change in
    /// mid-stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub entries_differ: bool,
    /// The edit list, in its order (`elst`); empty without one.
    pub edits: Vec<Edit>,
    /// The transformation `a b u c d v x y w` (`tkhd`), each a figure of 1/2¹⁶; u, v and w are of
    /// 1/2³⁰.
    pub matrix: [i32; 9],
    /// Size of all samples together, in bytes, as `stsz` or `stz2` state; 0 when the table is cut
    /// short. Old QuickTime files may call each PCM sample one byte long, whatever its size.
    pub sample_bytes: u64,
    /// References to other tracks (`tref`): the type, as in `chap`, and the number of the track.
    pub references: Vec<(String, u32)>,
    /// The clean aperture: the part of its pictures that is shown (`clap` of the first sample
    /// entry).
    #[serde(skip)]
    pub aperture: Option<Aperture>,
}

/// One entry of an edit list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    /// How long the edit lasts, in ticks of the movie's time scale; 0 may mean up to the end.
    pub duration: u64,
    /// Where the edit begins in the media, in ticks of the media's time scale; `None` for an empty
    /// edit, which shows nothing.
    pub media_time: Option<u64>,
    /// How fast the media is played: a figure of 1/65536, so that 65536 is the usual speed.
    pub rate: i32,
}

impl Movie {
    /// The track of a stream, found by its ID; `None` when there is none.
    pub fn track_of(&self, stream: &StreamInfo) -> Option<&MovieTrack> {
        self.tracks.iter().find(|track| i64::from(track.id) == i64::from(stream.id))
    }
}

impl MovieTrack {
    /// Whether the edit list states no more than when the media begins and which part of it is
    /// shown: at most one empty edit, which is first, and at most one other, at the usual speed.
    pub fn has_simple_edits(&self) -> bool {
        match self.edits.as_slice() {
            [] => true,
            [only] => only.media_time.is_none() || only.rate == ONE,
            [first, second] => {
                first.media_time.is_none() && second.media_time.is_some() && second.rate == ONE
            }
            _ => false,
        }
    }

    /// Whether the matrix only turns the picture, by a multiple of 90 degrees, and neither mirrors
    /// nor scales it; where it puts the picture does not matter.
    pub fn is_pure_rotation(&self) -> bool {
        const MINUS: i32 = -ONE;
        let [xx, xy, u, yx, yy, v, _, _, w] = self.matrix;
        let turns = matches!(
            (xx, xy, yx, yy),
            (ONE, 0, 0, ONE) | (0, ONE, MINUS, 0) | (MINUS, 0, 0, MINUS) | (0, MINUS, ONE, 0)
        );
        turns && (u, v, w) == (0, 0, 1 << 30)
    }
}

/// The part of a picture that is shown (`clap`): its extent across the width, and down the height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aperture([Extent; 2]);

/// The shown part of a side: its length, and the distance of its center from the center of the
/// side, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    /// Numerator and denominator.
    length: (u32, u32),
    /// Numerator and denominator.
    offset: (i32, u32),
}

impl Aperture {
    /// An aperture of these `lengths` (width and height). `offsets` are the distances of its center
    /// from that of the picture, to the right and down. All are numerators and denominators, in
    /// pixels.
    pub fn new(lengths: [(u32, u32); 2], offsets: [(i32, u32); 2]) -> Self {
        Self([0, 1].map(|side| Extent { length: lengths[side], offset: offsets[side] }))
    }

    /// What the aperture crops from a picture of this width and height, in pixels. `None` where
    /// nothing is cropped, or where the aperture does not lie within the picture.
    pub fn crop(self, width: u32, height: u32) -> Option<Crop> {
        let [across, down] = self.0;
        let (left, right) = across.margins(width)?;
        let (top, bottom) = down.margins(height)?;
        Some(Crop { left, right, top, bottom }).filter(|crop| !crop.is_empty())
    }
}

impl Extent {
    /// The pixels of a side before and after the shown part. Pixels that are shown in part are
    /// kept: of 720 columns, PAL shows 41472/59 (702.9), and 704 are kept.
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
        let crop = |width: (u32, u32), offset: (i32, u32)| {
            let aperture = Aperture::new([width, (576, 1)], [offset, (0, 1)]);
            let crop = aperture.crop(720, 576);
            crop.map(|crop| (crop.left, crop.right, crop.top, crop.bottom))
        };
        assert_eq!(crop((704, 1), (0, 1)), Some((8, 8, 0, 0)));
        assert_eq!(crop((704, 1), (-3, 1)), Some((5, 11, 0, 0)));
        // The middle of an odd width lies half a pixel off.
        assert_eq!(crop((703, 1), (1, 2)), Some((9, 8, 0, 0)));
        // 702.9 columns: the outermost is shown in part.
        assert_eq!(crop((41472, 59), (0, 1)), Some((8, 8, 0, 0)));
        assert_eq!(crop((720, 1), (0, 1)), None);
        assert_eq!(crop((704, 1), (9, 1)), None);
        assert_eq!(crop((722, 1), (0, 1)), None);
        assert_eq!(crop((0, 1), (0, 1)), None);
        assert_eq!(crop((704, 0), (0, 1)), None);
    }
}
