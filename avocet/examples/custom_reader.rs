//! Reads media from a reader of one's own, here a file that is encrypted byte by byte:
//!
//!     cargo run --example custom_reader -- video.mp4

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example shows what it found, and opens files of its own"
)]

use std::{
    env,
    error::Error,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use avocet::Source;

/// A toy cipher: every byte is turned over.
struct Turned<T>(T);

impl<T: Read> Read for Turned<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        buffer[..read].iter_mut().for_each(|byte| *byte = !*byte);
        Ok(read)
    }
}

impl<T: Seek> Seek for Turned<T> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("the argument is a video")?;
    // Turned over twice, it is what it was.
    let source = Source::reader(Turned(Turned(File::open(path)?)))?;
    for picture in avocet::frames(source).at([0.0, 1.0]).iter()? {
        let picture = picture?;
        println!("{} x {} pixels", picture.width(), picture.height());
    }
    Ok(())
}
