//! The durations that a movie (`mvhd`; ISO/IEC 14496-12, 8.2.2) and the edit lists of its tracks
//! (`elst`; 8.6.6) state.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek},
};

use super::{Boxes, Fields, File, edits, find};
use crate::time::{Rational, Timestamp};

/// The end of each track's edit list, by track ID.
pub type Ends = BTreeMap<u32, Timestamp>;

/// Reads where the edit lists of a movie end. A track without an edit list, or with an edit whose
/// duration is not stated (0), has no entry.
///
/// # Errors
/// Errors of the reader.
pub fn ends(reader: &mut (impl Read + Seek)) -> io::Result<Ends> {
    let moov = File::read(reader)?.map(|file| file.moov).unwrap_or_default();
    let base = find(&moov, &[b"mvhd"]).and_then(header).map(|(base, _)| base);
    let end = |trak| {
        let edits = edits(find(trak, &[b"edts", b"elst"])?)?;
        let durations = edits.iter().map(|edit| Some(edit.duration).filter(|ticks| *ticks > 0));
        let sum = durations.reduce(|sum, ticks| sum?.checked_add(ticks?))??;
        Some((track_id(trak)?, timestamp(sum, base?)?))
    };
    let traks = Boxes(&moov).filter(|(code, _)| code == b"trak");
    Ok(traks.filter_map(|(_, trak)| end(trak)).collect())
}

/// The track ID (`tkhd`).
pub(super) fn track_id(trak: &[u8]) -> Option<u32> {
    let mut header = Fields(find(trak, &[b"tkhd"])?);
    let [version, ..] = header.take::<4>()?;
    header.skip(if version == 1 { 16 } else { 8 })?; // creation, modification
    header.u32()
}

/// The duration that `mvhd` states; `None` where it is unknown or 0, as in live recordings.
pub(super) fn duration(body: &[u8]) -> Option<Timestamp> {
    let (base, ticks) = header(body)?;
    timestamp(ticks?, base).filter(|duration| duration.ticks > 0)
}

/// The time base of the movie, and its duration in ticks of that; `None` for a duration that is
/// unknown.
fn header(body: &[u8]) -> Option<(Rational, Option<u64>)> {
    let mut fields = Fields(body);
    let [version, ..] = fields.take::<4>()?;
    let is_long = version == 1;
    fields.skip(if is_long { 16 } else { 8 })?; // creation, modification
    let base = Rational::new(1, fields.u32()?)?;
    let unknown = if is_long { u64::MAX } else { u32::MAX.into() };
    let ticks = if is_long { fields.u64()? } else { fields.u32()?.into() };
    Some((base, Some(ticks).filter(|ticks| *ticks != unknown)))
}

fn timestamp(ticks: u64, base: Rational) -> Option<Timestamp> {
    let ticks = i64::try_from(ticks).ok()?;
    (ticks <= Timestamp::MAX_TICKS).then(|| Timestamp::new(ticks, base))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_headers_state_a_duration_or_none() {
        let body = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect();
        let seconds = |body: Vec<u8>| duration(&body).map(Timestamp::seconds);
        assert_eq!(seconds(body(&[0, 1, 1, 1000, 2500])), Some(2.5));
        assert_eq!(seconds(body(&[1 << 24, 0, 1, 0, 1, 1000, 1, 0])), Some(4_294_967.296));
        assert_eq!(seconds(body(&[0, 1, 1, 1000, u32::MAX])), None);
        assert_eq!(seconds(body(&[1 << 24, 0, 1, 0, 1, 1000, u32::MAX, u32::MAX])), None);
        assert_eq!(seconds(body(&[0, 1, 1, 1000, 0])), None);
        assert_eq!(seconds(body(&[0, 1, 1, 0, 5])), None);
        assert_eq!(seconds(body(&[0, 1, 1])), None);
    }

    #[test]
    fn edit_lists_end_after_all_their_edits() {
        let boxed = |code: &[u8; 4], body: &[u8]| {
            let size = u32::try_from(body.len() + 8).unwrap_or(0);
            [&size.to_be_bytes(), code, body].concat()
        };
        let words =
            |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
        let track = |id: u32, edits: &[u32]| {
            let elst = boxed(b"elst", &words(edits));
            let tkhd = boxed(b"tkhd", &words(&[0, 0, 0, id]));
            boxed(b"trak", &[tkhd, boxed(b"edts", &elst)].concat())
        };
        let moov = [
            boxed(b"mvhd", &words(&[0, 0, 0, 1000, 9000])),
            track(1, &[0, 2, 2000, u32::MAX, 1 << 16, 3480, 7680, 1 << 16]),
            track(2, &[0, 1, 5000, 0, 1 << 16]),
            // The second edit lasts to the end of the media, and the last list is empty.
            track(3, &[0, 2, 2000, u32::MAX, 1 << 16, 0, 0, 1 << 16]),
            track(4, &[0, 0]),
        ];
        let file = [boxed(b"ftyp", b"isom"), boxed(b"moov", &moov.concat())].concat();
        let found = ends(&mut io::Cursor::new(file)).unwrap_or_default();
        let found: Vec<_> = found.iter().map(|(id, end)| (*id, end.seconds())).collect();
        assert_eq!(found, [(1, 5.48), (2, 5.0)]);
    }
}
