//! The metadata of FLV state how large the file was when it was written, which libav does not
//! report.

use std::io::{self, Read};

/// How much of the file is searched, in bytes: the metadata come first.
const MAX_BYTES: u64 = 16 << 10;

/// The property `filesize` of an object with its name, and the type marker of the number behind it
/// (AMF 0, 2.2 and 2.5).
const FILE_SIZE: &[u8] = b"\0\x08filesize\0";

/// The size of the whole file when it was written, in bytes; `None` where the metadata do not state
/// it.
///
/// # Errors
/// Errors of the reader.
pub fn stated_size(reader: &mut impl Read) -> io::Result<Option<u64>> {
    let mut head = Vec::new();
    reader.take(MAX_BYTES).read_to_end(&mut head)?;
    let place = head.windows(FILE_SIZE.len()).position(|name| name == FILE_SIZE);
    let size = place.and_then(|place| head.get(place + FILE_SIZE.len()..)?.first_chunk());
    // The cast saturates. It makes 0 of a NaN and of negative numbers.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as said")]
    Ok(size.map(|size| f64::from_be_bytes(*size) as u64).filter(|size| *size > 0))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn the_size_of_the_file_is_read() {
        let check = |size: f64, expected: Option<u64>| {
            let mut file = b"FLV\x01\x01\0\0\0\x09\0\0\0\0....\0\x08filesize\0".to_vec();
            file.extend(size.to_be_bytes());
            assert_eq!(stated_size(&mut Cursor::new(file)).ok(), Some(expected), "{size}");
        };
        check(1000.0, Some(1000));
        check(0.0, None);
        check(-5.0, None);
        check(f64::NAN, None);
        assert_eq!(stated_size(&mut Cursor::new(b"FLV")).ok(), Some(None));
    }
}
