//! Moves `moov` before the media: the boxes of a file in another order, with corrected chunk
//! offsets. The media itself is not read.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

use super::{Boxes, Code, Header, MAX_BOXES, find, read_range};
use crate::media::Tags;

/// Boxes on the path from `moov` to the tables of chunk offsets.
const PARENTS: [Code; 4] = [*b"trak", *b"mdia", *b"minf", *b"stbl"];

/// Top-level boxes that hold file offsets of their own. They are not corrected, so a file with one
/// of them is left as it is.
const HAVE_OFFSETS: [Code; 5] = [*b"moof", *b"sidx", *b"ssix", *b"mfra", *b"meta"];

/// Block size of file systems, in bytes. A piece that moves by whole blocks can be shared by the
/// kernel, or is at least copied page by page.
const BLOCK: u64 = 4096;

/// The smallest file that gets padding so that its media moves by whole blocks, in bytes.
const WORTH_A_BLOCK: u64 = 1000 * BLOCK;

/// At most one in this many bytes of a file may be padding. A small file exceeds that soon, but it
/// is quickly written anew.
const MAX_EMPTY: u64 = 256;

/// A piece of the new file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// New bytes.
    Bytes(Vec<u8>),
    /// A range of the old file, in bytes.
    Range(Range<u64>),
}

/// The pieces of the new file, in order, with `moov` before the first `mdat`. `None` when no `moov`
/// follows an `mdat`, and when the file holds offsets that can not be corrected.
///
/// `user_data` is a sequence of boxes that are added to `moov/udta`.
///
/// # Errors
/// Errors of the reader.
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

/// For a file that was written behind a gap of `gap` bytes: what is written over the gap and the
/// first boxes, so that `moov` precedes the media, which stays in place. Also the length of the
/// file without the gap and the old `moov`, in bytes.
///
/// `None` when the gap is too small, or so large that too much of the file would be padding; when
/// something follows `moov`; and when the file holds offsets that can not be corrected. The boxes
/// `user_data` are added to `moov/udta`.
///
/// # Errors
/// Errors of the reader.
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
    // Offsets take 64 bits only where 32 do not suffice, never to fill the gap.
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

/// Boxes of user data for tags that MP4 has a place for, but libavformat writes into QuickTime
/// only: location, make and model. The body of each is the length of the text, its language and the
/// text (QuickTime File Format, "User data text strings and language codes").
pub fn user_data(tags: &Tags) -> Vec<u8> {
    const NAMES: [(&str, Code); 3] =
        [("location", *b"\xa9xyz"), ("make", *b"\xa9mak"), ("model", *b"\xa9mod")];
    /// The language code `und`, with five bits for each letter.
    const UNDETERMINED: [u8; 2] = [0x55, 0xC4];

    let text = |(name, code): (&str, Code)| {
        let text = tags.get(name)?.as_bytes();
        let length = u16::try_from(text.len()).ok()?.to_be_bytes();
        boxed(code, &[&length, &UNDETERMINED, text].concat())
    };
    NAMES.into_iter().filter_map(text).flatten().collect()
}

/// The body of `moov` with the boxes `added` in its user data; `None` when a box becomes too large.
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
    /// Where the first `mdat` begins, in bytes.
    begin: u64,
    /// The range of `moov`, in bytes.
    old: Range<u64>,
    /// The body of `moov`.
    moov: Vec<u8>,
    /// How long the file is, in bytes.
    length: u64,
}

impl Layout {
    /// Reads the boxes of a file, seeking over its media. `None` when a box is cut off, when there
    /// are several `moov` or none after an `mdat`, and when boxes hold offsets that are not
    /// corrected here.
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
        if index < media || count > 1 || boxes.iter().any(|(code, _)| HAVE_OFFSETS.contains(code)) {
            return Ok(None);
        }
        let old = boxes[index].1.clone();
        let Some(moov) = read_range(reader, old.start + 8..old.end)? else { return Ok(None) };
        Ok(Some(Self { begin: boxes[media].1.start, old, moov, length }))
    }
}

/// The `moov` rebuilt to begin at `begin` instead of in the range `old`. With `pads`, padding
/// follows so that the media moves by whole blocks. `None` when it can not be rebuilt.
fn rebuilt(moov: &[u8], begin: u64, old: &Range<u64>, pads: bool) -> Option<Vec<u8>> {
    [false, true].into_iter().find_map(|wide| {
        // The size of the box does not depend on its offsets, so it is measured with size 0 first.
        let bare = container(*b"moov", moov, &Chunks { wide, begin, size: 0, old })?.len() as u64;
        let size = if pads { (bare + 8).next_multiple_of(BLOCK) } else { bare };
        let made = container(*b"moov", moov, &Chunks { wide, begin, size, old })?;
        let padding = usize::try_from(size - bare).ok()?;
        let free = if padding >= 8 { boxed(*b"free", &vec![0; padding - 8])? } else { Vec::new() };
        Some([made, free].concat())
    })
}

/// How chunk offsets change.
struct Chunks<'a> {
    /// Whether offsets are written in 64 bits (`co64`).
    wide: bool,
    /// Where the new `moov` begins, and its size with padding, in bytes.
    begin: u64,
    size: u64,
    /// The range of the old `moov`, in bytes.
    old: &'a Range<u64>,
}

impl Chunks<'_> {
    fn place(&self, at: u64) -> u64 {
        match at {
            before if before < self.begin => before,
            between if between < self.old.start => between + self.size,
            // Added first, since the new `moov` may be shorter than the old one.
            behind => (behind + self.size).saturating_sub(self.old.end - self.old.start),
        }
    }
}

/// A box that holds boxes, with corrected chunk offsets; `None` when an offset does not fit, or a
/// box inside holds offsets that are not corrected here.
fn container(code: Code, body: &[u8], chunks: &Chunks<'_>) -> Option<Vec<u8>> {
    let mut made = Vec::with_capacity(body.len() + 8);
    let mut read = 0;
    for (code, body) in Boxes(body) {
        let whole = match &code {
            b"stco" => table(body, 4, chunks)?,
            b"co64" => table(body, 8, chunks)?,
            code if PARENTS.contains(code) => container(*code, body, chunks)?,
            // A data reference to another file.
            b"dinf" if !is_self_contained(body) => return None,
            // Offsets of auxiliary data, and of items (`iloc`).
            b"saio" => return None,
            b"meta" if has_items(body) => return None,
            _ => boxed(code, body)?,
        };
        made.extend(whole);
        read += body.len() + 8;
    }
    // Fewer than 8 bytes behind the last box are kept, such as the zero that ends some lists. More
    // of them mean a box with a 64-bit size, or an invalid header.
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

/// A corrected table of chunk offsets, which had `bytes` bytes each; `None` when it is cut off, or
/// an offset does not fit.
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

/// Whether a `meta` box states where items are (`iloc`). Version and flags precede its boxes
/// (ISO/IEC 14496-12, 8.11.1); QuickTime omits both.
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
