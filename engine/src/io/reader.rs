//! A caller's reader, which is read on a thread of its own, so that a read that blocks can be
//! cancelled.

use std::{
    fmt,
    io::{self, Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use crossbeam::channel::{RecvTimeoutError, Sender, bounded, unbounded};

use avocet_model::{panics::panic_text, progress::CancelToken};

use super::sought;

/// How long a wait for the caller's reader lasts before the token is looked at again.
const PATIENCE: Duration = Duration::from_millis(20);

/// A reader that several cursors share.
#[derive(Clone)]
pub(super) struct SharedReader(Sender<Request>);

enum Request {
    /// Up to `length` bytes from `position` on.
    Read { position: u64, length: usize, reply: Sender<io::Result<Vec<u8>>> },
    /// The length of the whole.
    Length { reply: Sender<io::Result<u64>> },
}

impl fmt::Debug for SharedReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedReader")
    }
}

impl SharedReader {
    /// Starts the thread that reads; it ends when the last cursor is gone.
    pub(super) fn new(mut reader: impl Read + Seek + Send + 'static) -> io::Result<Self> {
        let (sender, requests) = unbounded();
        thread::Builder::new().name("avocet reader".to_owned()).spawn(move || {
            for request in requests {
                // It is no error when nobody waits for the reply any more.
                let _ = match request {
                    Request::Read { position, length, reply } => {
                        reply.send(guarded(|| read_at(&mut reader, position, length))).is_ok()
                    }
                    Request::Length { reply } => {
                        reply.send(guarded(|| reader.seek(SeekFrom::End(0)))).is_ok()
                    }
                };
            }
        })?;
        Ok(Self(sender))
    }

    /// A cursor at the first byte.
    pub(super) fn open(&self, cancel: CancelToken) -> Cursor {
        Cursor { reader: self.clone(), position: 0, cancel }
    }
}

/// Runs a call of the caller's code and turns a panic into an error.
fn guarded<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        Err(io::Error::other(format!("the reader panicked: {}", panic_text(&*panic))))
    })
}

fn read_at(reader: &mut (impl Read + Seek), position: u64, length: usize) -> io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(position))?;
    let mut buffer = vec![0; length];
    loop {
        match reader.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(read) => {
                buffer.truncate(read);
                return Ok(buffer);
            }
        }
    }
}

/// A read position in a shared reader.
pub(super) struct Cursor {
    reader: SharedReader,
    position: u64,
    cancel: CancelToken,
}

impl Cursor {
    fn ask<T>(&self, request: impl FnOnce(Sender<io::Result<T>>) -> Request) -> io::Result<T> {
        let gone = || io::Error::other("the reader's thread has ended");
        let (sender, replies) = bounded(1);
        self.reader.0.send(request(sender)).map_err(|_| gone())?;
        loop {
            match replies.recv_timeout(PATIENCE) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
                Err(RecvTimeoutError::Timeout) if self.cancel.is_cancelled() => {
                    return Err(io::Error::other("cancelled"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (position, length) = (self.position, buffer.len());
        let bytes = self.ask(|reply| Request::Read { position, length, reply })?;
        let room = buffer.get_mut(..bytes.len()).ok_or(io::ErrorKind::InvalidData)?;
        room.copy_from_slice(&bytes);
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for Cursor {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let length = || self.ask(|reply| Request::Length { reply });
        self.position = sought(target, self.position, length)?;
        Ok(self.position)
    }
}
