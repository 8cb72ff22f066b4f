//! A reader of local files in which a seek costs no system call.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use super::{sought, system};

/// Reads a file by positioned reads and keeps the position itself, so that a seek is no system
/// call. Demuxers that discard streams seek to every packet.
#[derive(Debug)]
pub(super) struct FileReader {
    file: File,
    at: u64,
}

impl FileReader {
    /// A reader at the first byte of a file.
    pub(super) const fn new(file: File) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = system::read_at(&self.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for FileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = sought(to, self.at, || Ok(self.file.metadata()?.len()))?;
        // The largest offset of the system's own files.
        i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.at = at;
        Ok(at)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_is_read_as_the_system_would() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut ours = FileReader::new(file.try_clone().unwrap());
        let places = [
            SeekFrom::Start(3),
            SeekFrom::Current(-2),
            SeekFrom::Current(-20),
            SeekFrom::End(-1),
            SeekFrom::End(5),
            SeekFrom::Current(1),
            SeekFrom::Start(u64::MAX),
            SeekFrom::Start(0),
        ];
        file.rewind().unwrap();
        for place in places {
            let (mut theirs, mut found) = ([0; 4], [0; 4]);
            let expected = file.seek(place).ok().map(|at| (at, file.read(&mut theirs).unwrap()));
            let read = ours.seek(place).ok().map(|at| (at, ours.read(&mut found).unwrap()));
            assert_eq!((read, found), (expected, theirs), "{place:?}");
            let here = file.stream_position().unwrap();
            assert_eq!(ours.stream_position().unwrap(), here);
        }
    }
}
