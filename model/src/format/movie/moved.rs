//! A movie with its index before its media: the boxes of a file in another order, and where its
//! chunks stand corrected, without a look at the media.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

use super::{Boxes, Code, Header, MAX_BOXES, find, read_range};
use crate::media::Tags;

/// Boxes that others lie in, on the way to where chunks are told.
const PARENTS: [Code; 4] = [*b"trak", *b"mdia", *b"minf", *b"stbl"];

/// What tells of places in the file by itself, which is not followed here.
const TELLS_PLACES: [Code; 5] = [*b"moof", *b"sidx", *b"ssix", *b"mfra", *b"meta"];

/// Blocks of file systems, in bytes: a piece that moves by whole ones can be shared, or is at least
/// moved page by page.
const BLOCK: u64 = 4096;

/// The size from which on a file is worth a block of padding, in bytes.
const WORTH_A_BLOCK: u64 = 1000 * BLOCK;

/// Which part of a file may be empty at most: one in so many of its bytes. A small file is quickly
/// written anew.
const MAX_EMPTY: u64 = 256;

/// A piece of the file that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// This range of the file that there is, in bytes.
    Range(Range<u64>),
}

/// The pieces of a file whose `moov` stands before its first `mdat`; `None` for a file that is not
/// known well enough, or has no `moov` behind an `mdat`.
///
/// The boxes `user_data` are added to those of the movie (`moov/udta`).
///
/// # Errors
/// The reader's.
pub fn moved(reader: &mut (impl Read + Seek), user_data: &[u8]) -> io::Result<Option<Vec<Piece>>> {
    let Some(Layout { begin, old, moov, length }) = Layout::read(reader)? else { return Ok(None) };
    let Some(moov) = with_user_data(moov, user_data) else { return Ok(None) };
    let pads = length >= WORTH_A_BLOCK;
    let Some(moov) = rebuilt(&moov, begin, &old, pads) else { return Ok(None) };
    Ok(Some(vec![
        Piece::Range(0..begin),
        Piece::Bytes(moov),
        Piece::Range(begin..old.start),
        Piece::Range(old.end..length),
    ]))
}

/// What is written over the `gap` bytes before a file, and over its first boxes, so that its `moov`
/// stands before its media, which stays where it is; and how long the file is without the old one.
///
/// `None` where the gap is too small, or so large that too much of the file would be empty; for a
/// file that is not known well enough, or when something follows its `moov`. The boxes `user_data`
/// are added to those of the movie.
///
/// # Errors
/// The reader's.
pub fn filling(
    reader: &mut (impl Read + Seek),
    gap: u64,
    user_data: &[u8],
) -> io::Result<Option<(Vec<u8>, u64)>> {
    let Some(Layout { begin, old, moov, length }) = Layout::read(reader)? else { return Ok(None) };
    if old.end != length {
        return Ok(None);
    }
    let Some(moov) = with_user_data(moov, user_data) else { return Ok(None) };
    let Some(mut head) = read_range(reader, 0..begin)? else { return Ok(None) };
    // Wide numbers only where narrow ones do not do, not to fill the gap.
    let made = [false, true]
        .into_iter()
        .find_map(|wide| container(*b"moov", &moov, &Chunks { wide, begin, size: gap, old: &old }));
    let Some(moov) = made else { return Ok(None) };
    let left = usize::try_from(gap).ok().and_then(|gap| gap.checked_sub(moov.len()));
    let padding = match left {
        Some(0) => Some(Vec::new()),
        Some(left) if left as u64 <= length / MAX_EMPTY => {
            left.checked_sub(8).and_then(|left| boxed(*b"free", &vec![0; left]))
        }
        _ => None,
    };
    Ok(padding.map(|padding| {
        head.extend(moov);
        head.extend(padding);
        (head, old.start)
    }))
}

/// Boxes of user data for what MP4 has a place for and libavformat writes into QuickTime only: where
/// a movie was made, and with what. Each is a text behind its length and its language (QuickTime
/// File Format, "User data text strings and language codes").
pub fn user_data(tags: &Tags) -> Vec<u8> {
    const NAMES: [(&str, Code); 3] =
        [("location", *b"\xa9xyz"), ("make", *b"\xa9mak"), ("model", *b"\xa9mod")];
    /// `und`, each letter in five bits.
    const UNDETERMINED: [u8; 2] = [0x55, 0xC4];

    let text = |(name, code): (&str, Code)| {
        let text = tags.get(name)?.as_bytes();
        let length = u16::try_from(text.len()).ok()?.to_be_bytes();
        boxed(code, &[&length, &UNDETERMINED, text].concat())
    };
    NAMES.into_iter().filter_map(text).flatten().collect()
}

/// What is in a `moov`, with boxes added to its user data; `None` when that does not fit.
fn with_user_data(moov: Vec<u8>, added: &[u8]) -> Option<Vec<u8>> {
    if added.is_empty() {
        return Some(moov);
    }
    let (mut made, mut old) = (Vec::with_capacity(moov.len() + added.len() + 8), &[][..]);
    for (code, body) in Boxes(&moov) {
        match &code {
            b"udta" => old = body,
            _ => made.extend(boxed(code, body)?),
        }
    }
    made.extend(boxed(*b"udta", &[old, added].concat())?);
    Some(made)
}

/// A movie whose `moov` is behind its media.
struct Layout {
    /// Where its first `mdat` begins.
    begin: u64,
    /// Where its `moov` is.
    old: Range<u64>,
    /// What is in that.
    moov: Vec<u8>,
    /// How long the file is, in bytes.
    length: u64,
}

impl Layout {
    /// Reads a file, seeking over its media; `None` for one that is not known well enough, or has
    /// no `moov` behind an `mdat`.
    fn read(reader: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let length = reader.seek(SeekFrom::End(0))?;
        let mut boxes: Vec<(Code, Range<u64>)> = Vec::new();
        let mut at = 0;
        while at < length {
            let bytes = read_range(reader, at..at.saturating_add(16).min(length))?;
            let Some(header) = bytes.as_deref().and_then(Header::read) else { return Ok(None) };
            let end = header.size.map_or(length, |size| at.saturating_add(size));
            if end > length || boxes.len() == MAX_BOXES {
                return Ok(None);
            }
            if header.code == *b"moov" && header.length != 8 {
                return Ok(None);
            }
            boxes.push((header.code, at..end));
            at = end;
        }
        let place = |wanted: &Code| boxes.iter().position(|(code, _)| code == wanted);
        let (Some(media), Some(index)) = (place(b"mdat"), place(b"moov")) else { return Ok(None) };
        let count = boxes.iter().filter(|(code, _)| code == b"moov").count();
        if index < media || count > 1 || boxes.iter().any(|(code, _)| TELLS_PLACES.contains(code)) {
            return Ok(None);
        }
        let old = boxes[index].1.clone();
        let Some(moov) = read_range(reader, old.start + 8..old.end)? else { return Ok(None) };
        Ok(Some(Self { begin: boxes[media].1.start, old, moov, length }))
    }
}

/// The `moov` that stands from `begin` on instead of in the range `old`, with padding behind it if
/// what follows is to move by whole blocks; `None` when it makes no sense.
fn rebuilt(moov: &[u8], begin: u64, old: &Range<u64>, pads: bool) -> Option<Vec<u8>> {
    [false, true].into_iter().find_map(|wide| {
        // Its size does not depend on what its numbers are.
        let bare = container(*b"moov", moov, &Chunks { wide, begin, size: 0, old })?.len() as u64;
        let size = if pads { (bare + 8).next_multiple_of(BLOCK) } else { bare };
        let made = container(*b"moov", moov, &Chunks { wide, begin, size, old })?;
        let padding = usize::try_from(size - bare).ok()?;
        let free = if padding >= 8 { boxed(*b"free", &vec![0; padding - 8])? } else { Vec::new() };
        Some([made, free].concat())
    })
}

/// Where chunks go.
struct Chunks<'a> {
    /// Whether places are told in 64 bits.
    wide: bool,
    /// Where `moov` begins, and how long it is with its padding, in bytes.
    begin: u64,
    size: u64,
    /// Where it was.
    old: &'a Range<u64>,
}

impl Chunks<'_> {
    fn place(&self, at: u64) -> u64 {
        match at {
            before if before < self.begin => before,
            between if between < self.old.start => between + self.size,
            // It may have become longer than it was.
            behind => (behind + self.size).saturating_sub(self.old.end - self.old.start),
        }
    }
}

/// A box of boxes, with the places of chunks corrected; `None` when one does not fit.
fn container(code: Code, body: &[u8], chunks: &Chunks<'_>) -> Option<Vec<u8>> {
    let mut made = Vec::with_capacity(body.len() + 8);
    let mut read = 0;
    for (code, body) in Boxes(body) {
        let whole = match &code {
            b"stco" => table(body, 4, chunks)?,
            b"co64" => table(body, 8, chunks)?,
            code if PARENTS.contains(code) => container(*code, body, chunks)?,
            // References to other files.
            b"dinf" if !is_self_contained(body) => return None,
            // Places of auxiliary data, and of items beside the media.
            b"saio" => return None,
            b"meta" if has_items(body) => return None,
            _ => boxed(code, body)?,
        };
        made.extend(whole);
        read += body.len() + 8;
    }
    // What follows the boxes, as a zero at the end of some lists, stays; what was a box with a
    // long header, or cut off, is not known well enough.
    let rest = body.get(read..)?;
    if rest.len() >= 8 {
        return None;
    }
    made.extend(rest);
    boxed(code, &made)
}

fn boxed(code: Code, body: &[u8]) -> Option<Vec<u8>> {
    let size = u32::try_from(body.len() + 8).ok()?;
    Some([&size.to_be_bytes(), &code[..], body].concat())
}

/// A table of chunks, whose places have so many bytes; `None` when it is cut off, or a place does
/// not fit.
fn table(body: &[u8], bytes: usize, chunks: &Chunks<'_>) -> Option<Vec<u8>> {
    let (head, rows) = body.split_at_checked(8)?;
    let count = usize::try_from(u32::from_be_bytes(head[4..].try_into().ok()?)).ok()?;
    let rows = rows.get(..count.checked_mul(bytes)?)?;
    let is_wide = chunks.wide || bytes == 8;
    let mut made = head.to_vec();
    for row in rows.chunks_exact(bytes) {
        let at = row.iter().fold(0, |at, byte| at << 8 | u64::from(*byte));
        let place = chunks.place(at);
        if is_wide {
            made.extend(place.to_be_bytes());
        } else {
            made.extend(u32::try_from(place).ok()?.to_be_bytes());
        }
    }
    boxed(if is_wide { *b"co64" } else { *b"stco" }, &made)
}

/// Whether a `meta` tells where items are: behind a version and flags (ISO/IEC 14496-12, 8.11.1), or
/// as `QuickTime` has it, without.
fn has_items(meta: &[u8]) -> bool {
    find(meta.strip_prefix(&[0; 4]).unwrap_or(meta), &[b"iloc"]).is_some()
}

/// Whether all media of a track is in the file itself (ISO/IEC 14496-12, 8.7.2).
fn is_self_contained(dinf: &[u8]) -> bool {
    let entries = find(dinf, &[b"dref"]).and_then(|body| body.get(8..)).unwrap_or_default();
    Boxes(entries).all(|(_, body)| body.get(3).is_some_and(|flags| flags & 1 == 1))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::expect_used, reason = "a test fails by panicking")]

    use std::io::Cursor;

    use super::*;

    fn boxed(code: &[u8], body: &[u8]) -> Vec<u8> {
        super::boxed(code.try_into().expect("four letters"), body).expect("a small box")
    }

    fn moov(places: &[u32]) -> Vec<u8> {
        let count = u32::try_from(places.len()).expect("few");
        let rows = places.iter().flat_map(|place| place.to_be_bytes());
        let body: Vec<u8> = [0; 4].into_iter().chain(count.to_be_bytes()).chain(rows).collect();
        let parents = [b"stbl", b"minf", b"mdia", b"trak"];
        let track =
            parents.iter().fold(boxed(b"stco", &body), |body, code| boxed(&code[..], &body));
        boxed(b"moov", &[boxed(b"mvhd", &[0; 8]), track].concat())
    }

    fn made(file: &[u8]) -> Option<Vec<u8>> {
        let pieces = moved(&mut Cursor::new(file), &[]).expect("memory can be read")?;
        let bytes = |piece: Piece| match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::Range(range) => {
                let at = |at: u64| usize::try_from(at).expect("a small file");
                file[at(range.start)..at(range.end)].to_vec()
            }
        };
        Some(pieces.into_iter().flat_map(bytes).collect())
    }

    #[test]
    fn an_index_moves_before_the_media_and_takes_its_chunks_along() {
        let (ftyp, media, free) =
            (boxed(b"ftyp", b"isom"), boxed(b"mdat", b"abcdef"), boxed(b"free", b""));
        let index = moov(&[20, 23]);
        let file = [ftyp.clone(), media.clone(), index.clone(), free.clone()].concat();
        let shift = u32::try_from(index.len()).expect("small");
        let expected = [ftyp, moov(&[20 + shift, 23 + shift]), media, free].concat();
        assert_eq!(made(&file), Some(expected));
    }

    #[test]
    fn a_gap_takes_the_index_where_it_fits_and_little_stays_empty() {
        let media = boxed(b"mdat", &[7; 12_000]);
        let file = [boxed(b"ftyp", b"isom"), media.clone(), moov(&[20, 23])].concat();
        let size = u32::try_from(moov(&[20, 23]).len()).expect("small");
        let check = |gap: u32, padding: Option<&[u8]>| {
            let filled =
                filling(&mut Cursor::new(&file), gap.into(), &[]).expect("memory can be read");
            let expected = padding.map(|padding| {
                let index = moov(&[20 + gap, 23 + gap]);
                let head = [&boxed(b"ftyp", b"isom"), &index[..], padding].concat();
                (head, 12 + media.len() as u64)
            });
            assert_eq!(filled, expected, "{gap}");
        };
        check(size - 1, None);
        check(size, Some(&[]));
        check(size + 7, None);
        check(size + 8, Some(&boxed(b"free", b"")));
        check(size + 40, Some(&boxed(b"free", &[0; 32])));
        check(size + 100, None);
        let file = [file, boxed(b"free", b"")].concat();
        let filled =
            filling(&mut Cursor::new(&file), size.into(), &[]).expect("memory can be read");
        assert_eq!(filled, None);
    }

    #[test]
    fn what_is_not_known_well_enough_stays() {
        let (media, index) = (boxed(b"mdat", b"abc"), moov(&[8]));
        assert_eq!(made(&[index.clone(), media.clone()].concat()), None);
        assert_eq!(made(&[media.clone(), index.clone(), boxed(b"moof", b"")].concat()), None);
        assert_eq!(made(&[media.clone(), index.clone(), index.clone()].concat()), None);
        assert_eq!(made(&[&media[..], &index[..index.len() - 1]].concat()), None);
        assert_eq!(made(&media), None);
        let with = |inside: &[u8]| {
            let meta = boxed(b"meta", &boxed(inside, b"iloc"));
            let index = boxed(b"moov", &[&index[8..], &meta].concat());
            made(&[media.clone(), index].concat())
        };
        assert_eq!(with(b"iloc"), None);
        assert!(with(b"text").is_some());
    }

    #[test]
    fn the_media_moves_by_whole_blocks_where_that_is_asked_for() {
        let made = rebuilt(&moov(&[50])[8..], 40, &(60..500), true).expect("it is sound");
        assert_eq!(made.len(), 4096);
        assert!(made.windows(4).any(|place| place == (50_u32 + 4096).to_be_bytes()));
    }

    #[test]
    fn places_that_do_not_fit_are_told_in_64_bits() {
        let old = 5_000_000_000..5_000_000_100;
        let body = &moov(&[u32::MAX - 8])[8..];
        let made = rebuilt(body, 40, &old, false).expect("it is sound");
        let wide = made.windows(4).any(|code| code == b"co64");
        let place = (u64::from(u32::MAX) - 8 + made.len() as u64).to_be_bytes();
        assert!(wide && made.windows(8).any(|bytes| bytes == place), "{made:?}");
    }
}
