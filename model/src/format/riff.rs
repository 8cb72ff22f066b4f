//! Header facts of WAV, AIFF, Wave64, CAF, AVI and WebP that libav does not report: how much sound
//! there should be, whether another file follows, and how large an animated picture is.

use std::io::{self, Read, Seek, SeekFrom};

use crate::time::{Rational, Timestamp};

/// The largest number of chunks that are read in search of the samples (WAV) or of the end (CAF).
const CHUNKS: usize = 64;

/// The duration that the header of a WAV file states, even if the file is shorter. `None` when it
/// states none, as where its writer could not seek back, and for other formats.
///
/// # Errors
/// Errors of the reader.
pub fn stated_duration(reader: &mut (impl Read + Seek)) -> io::Result<Option<Timestamp>> {
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
                // A writer that could not seek back leaves 0 or `u32::MAX` as the size.
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

/// The end of the file that its header states, in bytes, for WAV, AIFF, Wave64, CAF and AVI. `None`
/// for other formats, and for CAF whose samples have no stated size.
///
/// # Errors
/// Errors of the reader.
pub fn stated_size(reader: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let mut head = [0; 24];
    if read_whole(reader, &mut head)?.is_none() {
        return Ok(None);
    }
    stated_end(&head, reader)
}

/// Whether another file of the same format begins at the offset `at`, in bytes.
///
/// # Errors
/// Errors of the reader.
pub fn is_followed(reader: &mut (impl Read + Seek), at: u64) -> io::Result<bool> {
    let (mut first, mut next) = ([0; 12], [0; 12]);
    let mut read = |at: u64, head: &mut [u8; 12]| {
        reader.seek(SeekFrom::Start(at))?;
        read_whole(reader, head)
    };
    let are_there = read(0, &mut first)?.and(read(at, &mut next)?).is_some();
    // A large AVI continues in RIFF chunks of another form type (`AVIX`), which are no new file.
    Ok(are_there && first[..4] == next[..4] && (&first[..4] != b"RIFF" || first[8..] == next[8..]))
}

/// Where the file ends, in bytes, by its first 24 bytes; for CAF by the chunks after them.
fn stated_end(head: &[u8; 24], reader: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let &[name, size, kind, _, low, high] = head.as_chunks().0 else { return Ok(None) };
    let padded = |size: u32| Some(8 + u64::from(size) + u64::from(size % 2));
    let long = || u64::from(u32::from_le_bytes(high)) << 32 | u64::from(u32::from_le_bytes(low));
    Ok(match (&name, &kind) {
        (b"RIFF", b"WAVE" | b"AVI ") => padded(u32::from_le_bytes(size)),
        (b"FORM", b"AIFF" | b"AIFC") => padded(u32::from_be_bytes(size)),
        // Wave64: the size follows a GUID of 16 bytes.
        (b"riff", b"\xa5\xd6\x28\xdb") => Some(long()),
        // CAF states the sizes of its chunks only, and may leave the size of the samples open (-1).
        (b"caff", _) => end_of_caf(reader)?,
        _ => None,
    })
}

/// Where the chunks of CAF end, in bytes (Apple Core Audio Format, "CAF chunk header").
fn end_of_caf(reader: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let length = reader.seek(SeekFrom::End(0))?;
    let mut at = 8;
    for _ in 0..CHUNKS {
        reader.seek(SeekFrom::Start(at.min(length)))?;
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

/// Width and height of an extended WebP picture (`VP8X`), in pixels. Every animated picture is one.
/// `None` for any other file.
///
/// # Errors
/// Errors of the reader.
pub fn webp_size(reader: &mut impl Read) -> io::Result<Option<(u32, u32)>> {
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

/// Fills the buffer; `None` when the input ends before it is full.
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
            let mut reader = Cursor::new(file);
            let end = stated_size(&mut reader).ok().flatten();
            let end = end.filter(|end| *end < file.len() as u64);
            let found = end.is_some_and(|end| is_followed(&mut reader, end).is_ok_and(|it| it));
            assert_eq!(found, expected, "{file:?}");
        };
        let twice = |one: &[u8]| {
            check(one, false);
            check(&[one, one].concat(), true);
            check(&[one, b"LIST\x04\0\0\0INFO"].concat(), false);
        };
        twice(b"RIFF\x0f\0\0\0WAVEfmt \x03\0\0\0abc\0");
        twice(b"RIFF\x0f\0\0\0AVI LIST\x03\0\0\0abc\0");
        check(b"RIFF\x0f\0\0\0AVI LIST\x03\0\0\0abc\0RIFF\x0f\0\0\0AVIXLIST\0\0\0\0", false);
        twice(b"FORM\0\0\0\x10AIFFCOMM\0\0\0\x04abcd");
        twice(b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0\x1a\0\0\0\0\0\0\0ab");
        let caf = b"caff\0\x01\0\0desc\0\0\0\0\0\0\0\x02abdata\0\0\0\0\0\0\0\x01c";
        check(caf, false);
        check(&[&caf[..], caf].concat(), true);
        // The size of the samples is left open: they go on to the end of the file.
        check(b"caff\0\x01\0\0data\xff\xff\xff\xff\xff\xff\xff\xffcaff\0\x01\0\0", false);
        check(
            b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0\xff\xff\xff\xff\xff\xff\xff\xffab",
            false,
        );
        check(b"caff\0\x01\0\0data\x7f\xff\xff\xff\xff\xff\xff\xffcaff\0\x01\0\0", false);
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
