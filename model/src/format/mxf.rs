//! The header partition of MXF states where the footer begins, which libav does not report.

use std::io::{self, Read, Seek, SeekFrom};

/// The longest run-in, in bytes: data that may stand before the header partition (SMPTE ST 377-1,
/// 6.5).
const MAX_RUN_IN: u64 = 64 << 10;

/// The first 14 of the 16 bytes of a header partition's key (SMPTE ST 377-1, 7.2.1).
const HEADER_PARTITION: &[u8] =
    &[0x06, 0x0e, 0x2b, 0x34, 0x02, 0x05, 0x01, 0x01, 0x0d, 0x01, 0x02, 0x01, 0x01, 0x02];

/// Where the footer partition begins, in bytes from the start of the file; `None` where the header
/// does not say.
///
/// # Errors
/// Errors of the reader.
pub fn footer(reader: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let mut head = Vec::new();
    reader.seek(SeekFrom::Start(0))?;
    reader.take(MAX_RUN_IN).read_to_end(&mut head)?;
    Ok(footer_in(&head))
}

/// As [`footer`], from the first bytes of a file that the caller has read.
pub fn footer_in(head: &[u8]) -> Option<u64> {
    let begin = head.windows(HEADER_PARTITION.len()).position(|key| key == HEADER_PARTITION)?;
    // After the key of 16 bytes comes a BER length: one byte, or a count of the bytes that follow
    // it.
    let (&first, _) = head.get(begin + 16..)?.split_first()?;
    let length = if first & 0x80 == 0 { 1 } else { 1 + usize::from(first & 0x7f) };
    // Before the offset of the footer: two versions, the KAG size, and the offsets of this
    // partition and the previous one.
    let footer = head.get(begin + 16 + length + 2 + 2 + 4 + 8 + 8..)?.first_chunk()?;
    Some(u64::from_be_bytes(*footer))
        .filter(|footer| *footer > 0)
        .and_then(|it| it.checked_add(begin as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footer_is_read() {
        let file = |length: &[u8], footer: u64| {
            let fields = [&[0, 1, 0, 3, 0, 0, 2, 0][..], &[0; 16], &footer.to_be_bytes()].concat();
            [b"run-in", HEADER_PARTITION, &[4, 0], length, &fields].concat()
        };
        assert_eq!(footer_in(&file(&[0x83, 0, 0, 0x78], 5000)), Some(5006));
        assert_eq!(footer_in(&file(&[0x78], 5000)), Some(5006));
        assert_eq!(footer_in(&file(&[0x78], 0)), None);
        assert_eq!(footer_in(&file(&[0x78], 5000)[..40]), None);
        assert_eq!(footer_in(b"RIFF"), None);
    }
}
