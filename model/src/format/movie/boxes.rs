//! Boxes of MP4 and QuickTime (ISO/IEC 14496-12, 4.2): headers, trees and fields.

use std::{
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
};

/// The largest number of boxes of a file that are read.
pub(super) const MAX_BOXES: usize = 4096;

/// A four-character code.
pub(super) type Code = [u8; 4];

/// The top-level boxes of a file, up to its first `moov` and its first `mdat` or `moof`.
pub(super) struct File {
    pub(super) brand: Option<String>,
    pub(super) moov: Vec<u8>,
    pub(super) moov_first: bool,
    pub(super) moof_seen: bool,
    pub(super) length: u64,
}

impl File {
    pub(super) fn read(reader: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let length = reader.seek(SeekFrom::End(0))?;
        let (mut brand, mut moov) = (None, None);
        let (mut mdat_seen, mut moof_seen, mut moov_first) = (false, false, false);
        let mut at = 0;
        for number in 0..MAX_BOXES {
            let bytes = read_range(reader, at..at.saturating_add(16).min(length))?;
            let Some(header) = bytes.as_deref().and_then(Header::read) else { break };
            if number == 0 && !FIRST.contains(&header.code) {
                return Ok(None);
            }
            let body = at + header.length;
            let end = header.size.map_or(length, |size| at.saturating_add(size));
            match &header.code {
                b"ftyp" if brand.is_none() => {
                    let bytes = read_range(reader, body..end.min(body.saturating_add(4)))?;
                    brand = bytes.and_then(|bytes| Fields(&bytes).take()).map(name);
                }
                b"moov" if moov.is_none() => {
                    let bytes = if end > length { None } else { read_range(reader, body..end)? };
                    let Some(bytes) = bytes else { return Ok(None) };
                    (moov, moov_first) = (Some(bytes), !mdat_seen);
                }
                b"mdat" => mdat_seen = true,
                b"moof" => moof_seen = true,
                _ => {}
            }
            if moov.is_some() && (mdat_seen || moof_seen) {
                break;
            }
            at = end;
        }
        Ok(moov.map(|moov| Self { brand, moov, moov_first, moof_seen, length }))
    }
}

/// The bytes of a file in a range; `None` when they are more than [`LONGEST_MOOV`], or the file
/// ends before them.
pub(super) fn read_range(
    reader: &mut (impl Read + Seek),
    range: Range<u64>,
) -> io::Result<Option<Vec<u8>>> {
    let size = range.end.checked_sub(range.start).filter(|size| *size <= LONGEST_MOOV);
    let Some(size) = size.and_then(|size| size.try_into().ok()) else { return Ok(None) };
    let mut bytes = vec![0; size];
    reader.seek(SeekFrom::Start(range.start))?;
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// The header of a box.
pub(super) struct Header {
    pub(super) code: Code,
    /// Length of the header itself, in bytes.
    pub(super) length: u64,
    /// Length of the box with its header, in bytes; `None` for a box that goes on to the end.
    pub(super) size: Option<u64>,
}

impl Header {
    /// The header at the beginning of `bytes`; `None` when it is cut short, or states a length
    /// below its own.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let short = fields.u32()?;
        let code = fields.take()?;
        let (length, size) = match short {
            // QuickTime ends some lists of boxes with a zero.
            0 if code == [0; 4] => return None,
            0 => (8, None),
            1 => (16, Some(fields.u64()?)),
            _ => (8, Some(u64::from(short))),
        };
        size.is_none_or(|size| size >= length).then_some(Self { code, length, size })
    }
}

/// Iterates over boxes that follow each other, with code and body. As in libavformat, a box longer
/// than the rest is cut off, and an invalid header is the end.
pub(super) struct Boxes<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = (Code, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = Header::read(self.0)?;
        let size = header.size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
        let (whole, rest) = self.0.split_at_checked(size).unwrap_or((self.0, &[]));
        self.0 = rest;
        Some((header.code, whole.get(usize::try_from(header.length).ok()?..)?))
    }
}

/// The body of the box at `path`, from `bytes` downwards: at each level the first box with that
/// code.
pub(super) fn find<'a>(bytes: &'a [u8], path: &[&Code]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, wanted| {
        Boxes(bytes).find_map(|(code, body)| (code == **wanted).then_some(body))
    })
}

/// Reads big-endian fields that follow each other.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    pub(super) fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

/// A code as text, with `?` for each byte that is not printable ASCII.
pub(super) fn name(code: Code) -> String {
    let readable = |byte: u8| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '?' };
    code.into_iter().map(readable).collect()
}

/// The longest `moov` that is read, in bytes.
pub(super) const LONGEST_MOOV: u64 = 256 << 20;

/// The boxes that a file may begin with to be taken for MP4 or QuickTime.
pub(super) const FIRST: &[Code] = &[
    *b"ftyp", *b"moov", *b"mdat", *b"free", *b"skip", *b"wide", *b"pnot", *b"styp", *b"sidx",
    *b"ssix", *b"moof", *b"uuid", *b"emsg", *b"prft", *b"pdin", *b"meta", *b"udta", *b"junk",
    *b"pict", *b"jP  ",
];
