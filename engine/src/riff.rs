//! What the headers of WAV, its kin and WebP say and libav does not: how much sound there should be,
//! whether another file follows, and how large an animated picture is.

use std::io::{self, Read, Seek, SeekFrom};

use crate::time::{Rational, Timestamp};

/// Most chunks that are looked at before the one with the samples.
const CHUNKS: usize = 64;

/// The duration that the header of a WAV file states, whatever of it is there; `None` when it
/// states none, as where its writer could not seek.
pub(crate) fn stated_duration(reader: &mut (impl Read + Seek)) -> io::Result<Option<Timestamp>> {
    let mut head = [0; 12];
    if read_whole(reader, &mut head)?.is_none() || &head[..4] != b"RIFF" || &head[8..] != b"WAVE" {
        return Ok(None);
    }
    let mut bytes_per_second = None;
    for _ in 0..CHUNKS {
        let mut chunk = [0; 8];
        if read_whole(reader, &mut chunk)?.is_none() {
            break;
        }
        let [name @ .., _, _, _, _] = &chunk;
        let [_, _, _, _, size @ ..] = chunk;
        let size = u32::from_le_bytes(size);
        let mut format = [0; 12];
        match name {
            b"data" => {
                // 0 and the largest number stand for a size that was not known.
                let is_known = size != 0 && size != u32::MAX;
                let rate = bytes_per_second.filter(|_| is_known);
                let base = rate.and_then(|rate: u32| Rational::new(1, rate));
                return Ok(base.map(|base| Timestamp::new(i64::from(size), base)));
            }
            b"fmt " if size >= 12 && read_whole(reader, &mut format)?.is_some() => {
                let [_, _, _, _, _, _, _, _, rate @ ..] = format;
                bytes_per_second = Some(u32::from_le_bytes(rate));
                skip(reader, size - 12 + size % 2)?;
            }
            _ => skip(reader, size.saturating_add(size % 2))?,
        }
    }
    Ok(None)
}

/// Whether another file of the same kind stands behind the first, as when two were appended: of WAV,
/// AIFF, Wave64 and CAF, whose headers say where the first one ends.
pub(crate) fn is_followed(reader: &mut (impl Read + Seek)) -> io::Result<bool> {
    let mut head = [0; 24];
    let Some(()) = read_whole(reader, &mut head)? else { return Ok(false) };
    let Some(end) = stated_end(&head, reader)? else { return Ok(false) };
    reader.seek(SeekFrom::Start(end))?;
    let mut next = [0; 4];
    Ok(read_whole(reader, &mut next)?.is_some() && next == head[..4])
}

/// Where a file of sound ends, in bytes, by its first 24, or by what follows those.
fn stated_end(head: &[u8; 24], reader: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let [a, b, c, d, e, f, g, h, ..] = *head;
    let [.., s, t, u, v, w, x, y, z] = *head;
    let padded = |size: u32| 8 + u64::from(size) + u64::from(size % 2);
    Ok(match (&head[..4], &head[8..12]) {
        (b"RIFF", b"WAVE") => Some(padded(u32::from_le_bytes([e, f, g, h]))),
        (b"FORM", b"AIFF" | b"AIFC") => Some(padded(u32::from_be_bytes([e, f, g, h]))),
        // Wave64: the size stands behind an identifier of 16 bytes.
        (b"riff", b"\xa5\xd6\x28\xdb") => Some(u64::from_le_bytes([s, t, u, v, w, x, y, z])),
        // CAF states the sizes of its chunks only, and may leave that of the samples open.
        _ if [a, b, c, d] == *b"caff" => end_of_caf(reader)?,
        _ => None,
    })
}

/// Where the chunks of CAF end, in bytes (Apple Core Audio Format, "CAF chunk header").
fn end_of_caf(reader: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let mut at = 8;
    for _ in 0..CHUNKS {
        reader.seek(SeekFrom::Start(at))?;
        let mut chunk = [0; 12];
        let is_chunk = read_whole(reader, &mut chunk)?.is_some() && !chunk.starts_with(b"caff");
        let [_, _, _, _, size @ ..] = chunk;
        let size = u64::try_from(i64::from_be_bytes(size)).ok().filter(|_| is_chunk);
        match size.and_then(|size| at.checked_add(12)?.checked_add(size)) {
            Some(end) => at = end,
            None => return Ok(Some(at).filter(|_| !is_chunk)),
        }
    }
    Ok(None)
}

/// Width and height of a WebP picture of the extended kind, as each animated one is, in pixels;
/// `None` for anything else.
pub(crate) fn webp_size(reader: &mut impl Read) -> io::Result<Option<(u32, u32)>> {
    let mut head = [0; 30];
    let is_whole = read_whole(reader, &mut head)?.is_some();
    if !is_whole || &head[..4] != b"RIFF" || &head[8..16] != b"WEBPVP8X" {
        return Ok(None);
    }
    let side = |at: usize| 1 + u32::from_le_bytes([head[at], head[at + 1], head[at + 2], 0]);
    Ok(Some((side(24), side(27))))
}

fn skip(reader: &mut impl Seek, bytes: u32) -> io::Result<()> {
    reader.seek(SeekFrom::Current(i64::from(bytes))).map(drop)
}

/// Fills a buffer; `None` at the end.
fn read_whole(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<Option<()>> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn check(data_size: u32, expected: Option<f64>) {
        let mut file = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        file.extend([1, 0, 1, 0]);
        file.extend(48_000_u32.to_le_bytes());
        file.extend(96_000_u32.to_le_bytes());
        file.extend([2, 0, 16, 0]);
        file.extend(b"data");
        file.extend(data_size.to_le_bytes());
        let found = stated_duration(&mut Cursor::new(file));
        assert_eq!(found.ok().flatten().map(Timestamp::seconds), expected);
    }

    #[test]
    fn a_header_states_how_long_the_sound_is() {
        check(480_000, Some(5.0));
        check(0, None);
        check(u32::MAX, None);
        assert!(stated_duration(&mut Cursor::new(b"RIFF")).is_ok_and(|found| found.is_none()));
    }

    #[test]
    fn a_second_file_is_found_behind_the_first() {
        let check = |file: &[u8], expected| {
            let found = is_followed(&mut Cursor::new(file));
            assert_eq!(found.ok(), Some(expected), "{file:?}");
        };
        let twice = |one: &[u8]| {
            check(one, false);
            check(&[one, one].concat(), true);
            check(&[one, b"LIST\x04\0\0\0INFO"].concat(), false);
        };
        twice(b"RIFF\x0f\0\0\0WAVEfmt \x03\0\0\0abc\0");
        twice(b"FORM\0\0\0\x10AIFFCOMM\0\0\0\x04abcd");
        twice(b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0\x1a\0\0\0\0\0\0\0ab");
        let caf = b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x02abdata\0\0\0\0\0\0\0\x01c";
        check(caf, false);
        check(&[&caf[..], caf].concat(), true);
        // Samples up to the end of the file.
        check(b"caff\0\x01\0\0data\xff\xff\xff\xff\xff\xff\xff\xffcaff\0\x01\0\0", false);
        check(b"RIFF\xff\xff\xff\xffWAVEfmt \x03\0\0\0abc\0", false);
        check(b"RIFF", false);
    }

    #[test]
    fn a_header_states_how_large_an_animation_is() {
        let file = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x3f\x01\0\xb3\0\0ANIM";
        let check = |file: &[u8], expected| {
            assert_eq!(webp_size(&mut Cursor::new(file)).ok().flatten(), expected);
        };
        check(file, Some((320, 180)));
        check(&file[..20], None);
        check(b"RIFF\0\0\0\0WEBPVP8 \x0a\0\0\0..............", None);
    }
}
