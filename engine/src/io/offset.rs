//! A file that begins at an offset within another one.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// What lies behind the first `gap` bytes of a file, as a file of its own.
#[derive(Debug)]
pub(crate) struct OffsetFile<T> {
    inner: T,
    /// How many bytes are before it.
    gap: u64,
}

impl<T: Seek> OffsetFile<T> {
    /// At the first byte behind the gap.
    pub(crate) fn new(mut inner: T, gap: u64) -> io::Result<Self> {
        inner.seek(SeekFrom::Start(gap))?;
        Ok(Self { inner, gap })
    }
}

impl<T: Read> Read for OffsetFile<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl<T: Write> Write for OffsetFile<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Seek> Seek for OffsetFile<T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => SeekFrom::Start(at.saturating_add(self.gap)),
            relative => relative,
        };
        let at = self.inner.seek(to)?;
        at.checked_sub(self.gap).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn places_count_from_behind_the_gap() {
        let mut behind = OffsetFile::new(Cursor::new(b"gap0123".to_vec()), 3).unwrap();
        let mut text = String::new();
        behind.read_to_string(&mut text).unwrap();
        assert_eq!(text, "0123");
        assert_eq!(behind.stream_position().unwrap(), 4);
        assert_eq!(behind.seek(SeekFrom::End(-1)).unwrap(), 3);
        assert_eq!(behind.seek(SeekFrom::Start(1)).unwrap(), 1);
        behind.write_all(b"x").unwrap();
        assert_eq!(behind.inner.get_ref(), b"gap0x23");
        assert!(behind.seek(SeekFrom::Current(-3)).is_err());
    }
}
