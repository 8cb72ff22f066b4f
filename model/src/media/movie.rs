//! What the boxes of an MP4 or QuickTime file say, and libavformat does not tell.

use serde::{Deserialize, Serialize};

use crate::{
    media::{Crop, StreamInfo},
    time::Timestamp,
};

/// One, as edit rates and matrices write it: 16 bits before the point and 16 after it.
pub const ONE: i32 = 1 << 16;

/// What the boxes of an ISO base media file (ISO/IEC 14496-12) or a QuickTime file say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Movie {
    /// The major brand, as in `isom`; `None` without `ftyp`, as in old QuickTime files.
    pub brand: Option<String>,
    /// Whether `moov` stands before the first `mdat`.
    pub moov_first: bool,
    /// Whether samples may be told by movie fragments: there is an `mvex`, or a `moof`.
    pub fragmented: bool,
    /// Whether any sample entry is of encrypted samples.
    pub encrypted: bool,
    /// Whether every chunk that the sample tables of `moov` name lies inside the file; false too
    /// when they contradict each other. Fragments and references to other files are not followed.
    pub tables_inside: bool,
    /// How long the movie says it is (`mvhd`).
    pub duration: Option<Timestamp>,
    /// The tracks, in the order of the file.
    pub tracks: Vec<MovieTrack>,
}

/// One track of a movie (`trak`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MovieTrack {
    /// The number that the movie gives the track (`tkhd`).
    pub id: u32,
    /// What handles its media, as in `vide` (`hdlr`); empty when it is not told.
    pub handler: String,
    /// The codes of its sample entries, as in `avc1` (`stsd`); what is not readable is a `?`.
    pub entries: Vec<String>,
    /// Whether its sample entries differ in anything: then codec parameters change on the way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub entries_differ: bool,
    /// The edit list, in its order (`elst`); empty without one.
    pub edits: Vec<Edit>,
    /// The transformation `a b u c d v x y w` (`tkhd`), each a figure of 1/2¹⁶; u, v and w are of
    /// 1/2³⁰.
    pub matrix: [i32; 9],
    /// Sizes of all samples together, in bytes, as `stsz` or `stz2` say; 0 when the table is cut
    /// short. Old QuickTime files may call each PCM sample one byte long, whatever it is.
    pub sample_bytes: u64,
    /// References to other tracks (`tref`): the type, as in `chap`, and the number of the track.
    pub references: Vec<(String, u32)>,
    /// The part of its pictures that is shown (`clap` of the first sample entry).
    #[serde(skip)]
    pub aperture: Option<Aperture>,
}

/// One entry of an edit list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    /// How long it lasts, in ticks of the movie's time scale; 0 may mean up to the end.
    pub duration: u64,
    /// Where it begins in the media, in ticks of the media's time scale; `None` shows nothing.
    pub media_time: Option<u64>,
    /// How fast the media is played: a figure of 1/65536, so that 65536 is the usual speed.
    pub rate: i32,
}

impl Movie {
    /// What the boxes say of a stream.
    pub fn track_of(&self, stream: &StreamInfo) -> Option<&MovieTrack> {
        self.tracks.iter().find(|track| i64::from(track.id) == i64::from(stream.id))
    }
}

impl MovieTrack {
    /// Whether the edit list says no more than when the media begins and which part of it is
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
    /// What is shown, as width and height, and how far its middle lies from that of the picture, to the
    /// right and down: numerators and denominators, in pixels.
    pub fn new(lengths: [(u32, u32); 2], offsets: [(i32, u32); 2]) -> Self {
        Self([0, 1].map(|side| Extent { length: lengths[side], offset: offsets[side] }))
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
    /// The pixels of a side before and behind what is shown. Pixels that are shown in part are kept: of
    /// 720 columns, PAL shows 41472/59 (702.9), and 704 are kept.
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
