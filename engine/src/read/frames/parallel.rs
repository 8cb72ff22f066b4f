//! Frames at instants, decoded by several threads and handed out in order.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use crossbeam::channel::{Receiver, Sender, bounded};

use avocet_model::{
    error::{Error, Result},
    panics::guarded,
    plan::FramePick,
};

use super::{Picture, PictureFilter};
use crate::read::reader::{FrameReader, picks::Picks};

/// The most pictures of a piece that wait to be taken.
const WAITING: usize = 2;

/// Pieces per thread, so that threads end at about the same time.
const PIECES: usize = 4;

/// Threads that decode pieces of a list of instants. Pieces are begun in the order of the list, so the
/// first unfinished one is always being worked at, and few pictures wait.
pub(super) struct Parallel {
    /// The pictures of each piece that was not taken yet, the next one last.
    pieces: Vec<Receiver<Result<Picture>>>,
    threads: Vec<JoinHandle<()>>,
}

/// A piece of the list, until a thread takes it.
type Piece = (Vec<FramePick>, Sender<Result<Picture>>);

impl Parallel {
    pub(super) fn start(
        picks: &[FramePick],
        threads: NonZeroU32,
        filter: &PictureFilter,
        open: impl Fn() -> Result<FrameReader> + Send + Sync + 'static,
    ) -> Result<Self> {
        let threads = usize::try_from(threads.get()).unwrap_or(1).min(picks.len());
        let length = picks.len().div_ceil(PIECES * threads).max(1);
        let mut receivers = Vec::new();
        let mut pieces = Vec::new();
        for piece in picks.chunks(length) {
            let (sender, receiver) = bounded(WAITING);
            receivers.push(receiver);
            pieces.push(std::sync::Mutex::new(Some((piece.to_vec(), sender))));
        }
        receivers.reverse();
        let (pieces, next) = (Arc::new(pieces), Arc::new(AtomicUsize::new(0)));
        let open = Arc::new(open);
        let mut this = Self { pieces: receivers, threads: Vec::new() };
        for number in 0..threads {
            let (pieces, next, open) = (Arc::clone(&pieces), Arc::clone(&next), Arc::clone(&open));
            let filter = filter.another();
            let work = move || {
                let take = || {
                    let piece = pieces.get(next.fetch_add(1, Ordering::Relaxed))?;
                    piece.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
                };
                decode(take, filter, &*open);
            };
            let thread = thread::Builder::new().name(format!("frames {number}")).spawn(work);
            this.threads.push(thread.map_err(|_| Error::Exhausted { what: "thread" })?);
        }
        Ok(this)
    }

    /// The next picture; `None` when all were taken.
    pub(super) fn next(&mut self) -> Option<Result<Picture>> {
        loop {
            match self.pieces.last()?.recv() {
                Ok(picture) => return Some(picture),
                // All pictures of the piece were taken.
                Err(_) => self.pieces.pop(),
            };
        }
    }
}

impl Drop for Parallel {
    fn drop(&mut self) {
        // A thread that has a picture for nobody ends.
        self.pieces.clear();
        for thread in self.threads.drain(..) {
            // A panic of the thread was handed on as an error of its piece.
            let _ = thread.join();
        }
    }
}

/// Decodes pieces, until there is none left or nobody wants their pictures.
fn decode(
    mut take: impl FnMut() -> Option<Piece>,
    mut filter: PictureFilter,
    open: &dyn Fn() -> Result<FrameReader>,
) {
    let mut reader = None;
    while let Some((picks, sender)) = take() {
        let mut picks = Picks::new(picks);
        let work = || {
            let reader = match &mut reader {
                Some(reader) => reader,
                none => none.insert(open()?),
            };
            while let Some(shown) = picks.next(reader) {
                if sender.send(filter.picture(reader, shown?)).is_err() {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match guarded("a decoding thread", work) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        }
    }
}
