//! A remote input that is read by byte ranges. Sequential reads have blocks fetched ahead of them;
//! a seek fetches only a few.

use std::{
    fmt,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use tokio::task::AbortHandle;

use avocet_model::{progress::CancelToken, remote::RemoteError};

use super::{
    cache::{BLOCK, Cache},
    client::{TICK, begin},
    origin::{Facts, Origin},
    transfer::{Stop, transfer},
};
use crate::io::sought;

/// Number of blocks that are fetched at a new read position.
const FIRST: u64 = 2;

/// Largest number of blocks in one fetch ahead.
const MOST: u64 = 64;

/// Number of blocks that a sequential read may skip: to fetch them costs less than a new request.
const SKIP: u64 = 16;

/// Number of sequential read positions that are remembered.
const HEADS: usize = 8;

/// How long a failure is remembered: longer than waiting readers take to look.
const REMEMBERED: Duration = Duration::from_secs(10);

/// An open input.
pub(super) struct Ranged(Arc<Shared>);

struct Shared {
    /// Number of this input in the cache.
    number: u64,
    origin: Arc<Origin>,
    facts: Facts,
    /// Its length, in bytes.
    length: u64,
    cache: Cache,
    state: Mutex<State>,
    /// Notified whenever a block came or a fetch ended.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    heads: Vec<Head>,
    fetches: Vec<Fetch>,
    /// Ranges of blocks whose fetch failed, and when, for those who wait for them.
    failures: Vec<(Range<u64>, Instant, RemoteError)>,
}

/// A sequential read position. In the list the most recently used one is the last.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// The first block that was not fetched for it.
    next: u64,
    /// Number of blocks of the last fetch.
    window: u64,
    /// The last block that was read there. Reading an earlier one again fetches nothing new.
    reached: u64,
}

/// Blocks that are being fetched.
struct Fetch {
    blocks: Range<u64>,
    task: AbortHandle,
}

impl fmt::Debug for Ranged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ranged({} bytes)", self.0.length)
    }
}

impl Ranged {
    pub(super) fn new(origin: Arc<Origin>, facts: Facts, length: u64, cache: Cache) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { number, origin, facts, length, cache, state, changed }))
    }

    /// A cursor at the first byte.
    pub(super) fn open(&self, cancel: CancelToken) -> Cursor {
        Cursor { shared: Arc::clone(&self.0), position: 0, block: None, cancel }
    }
}

impl Drop for Ranged {
    fn drop(&mut self) {
        let fetches = std::mem::take(&mut self.0.state().fetches);
        for fetch in fetches {
            fetch.task.abort();
        }
        self.0.cache.forget(self.0.number);
    }
}

impl State {
    fn is_coming(&self, block: u64) -> bool {
        self.fetches.iter().any(|fetch| fetch.blocks.contains(&block))
    }

    fn push(&mut self, head: Head) {
        if self.heads.len() == HEADS {
            self.heads.remove(0);
        }
        self.heads.push(head);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many blocks there are.
    fn blocks(&self) -> u64 {
        self.length.div_ceil(BLOCK)
    }

    /// A block, if it is in the cache. Otherwise its fetch is begun, and this waits for news or for
    /// [`TICK`]; the caller then asks again. `since` is when the caller began to wait.
    fn want(self: &Arc<Self>, block: u64, since: Instant) -> io::Result<Option<Bytes>> {
        let mut state = self.state();
        let found = self.cache.get(self.number, block);
        if found.is_none() {
            // A failure from before the caller waited does not count: the block may come now.
            let failed = |(blocks, at, _): &(Range<u64>, Instant, _)| {
                blocks.contains(&block) && *at >= since
            };
            if let Some(failed) = state.failures.iter().position(failed) {
                return Err(state.failures.swap_remove(failed).2.into());
            }
        }
        self.read_ahead(&mut state, block)?;
        if found.is_none() {
            if !state.is_coming(block) {
                let end = self.fetch(&mut state, block..block + FIRST)?;
                state.push(Head { next: end, window: FIRST, reached: block });
            }
            // Blocks are cached under this lock, which only the wait releases, so that no news is
            // missed.
            let _ = self.changed.wait_timeout(state, TICK);
        }
        Ok(found)
    }

    /// Fetches more blocks for a sequential read, once no more than half of its last fetch is left.
    fn read_ahead(self: &Arc<Self>, state: &mut State, block: u64) -> io::Result<()> {
        let is_near = |head: &Head| {
            (head.next.saturating_sub(head.window)..=head.next + SKIP).contains(&block)
        };
        let Some(place) = state.heads.iter().position(is_near) else { return Ok(()) };
        let mut head = state.heads.remove(place);
        let is_new = block > head.reached || block >= head.next;
        let is_late = block + head.window / 2 >= head.next;
        if is_new && is_late && head.next < self.blocks() && !state.is_coming(head.next) {
            let most = MOST.min(self.cache.capacity() / 4).max(FIRST);
            let skipped = block.saturating_sub(head.next);
            head.window = (head.window * 2).min(most).max(skipped + 1);
            head.next = self.fetch(state, head.next..head.next + head.window)?;
        }
        head.reached = head.reached.max(block);
        state.push(head);
        Ok(())
    }

    /// Begins to fetch the first run of missing blocks in a range. Returns the block behind that
    /// run, or the end of the range when none is missing.
    fn fetch(self: &Arc<Self>, state: &mut State, blocks: Range<u64>) -> io::Result<u64> {
        let is_missing =
            |block: &u64| !state.is_coming(*block) && !self.cache.has(self.number, *block);
        let all = blocks.start..blocks.end.min(self.blocks());
        let Some(start) = all.clone().find(is_missing) else { return Ok(all.end) };
        let end = (start..all.end).find(|block| !is_missing(block)).unwrap_or(all.end);
        let shared = Arc::clone(self);
        let asked = start..end;
        let task = begin(async move { shared.carry_out(asked).await })?;
        state.fetches.push(Fetch { blocks: start..end, task });
        Ok(end)
    }

    /// Fetches blocks into the cache.
    async fn carry_out(&self, blocks: Range<u64>) {
        let (first, end) = (blocks.start * BLOCK, (blocks.end * BLOCK).min(self.length));
        let stop = RemoteError::Transport("the transfer panicked".to_owned());
        let mut ending = Ending { shared: self, left: blocks.clone(), blocks, stop: Some(stop) };
        let mut gathered = BytesMut::new();
        let left = &mut ending.left;
        let take = |bytes: Option<Bytes>| {
            gathered.extend_from_slice(&bytes.unwrap_or_default());
            while !left.is_empty() {
                let size = BLOCK.min(self.length - left.start * BLOCK);
                let size = usize::try_from(size).unwrap_or(usize::MAX);
                if gathered.len() < size {
                    break;
                }
                let state = self.state();
                self.cache.put(self.number, left.start, gathered.split_to(size).freeze());
                drop(state);
                left.start += 1;
                self.changed.notify_all();
            }
            Ok(())
        };
        let result = transfer(&self.origin, &self.facts, first, Some(end), take).await;
        ending.stop = match result {
            Ok(()) => None,
            Err(Stop::Remote(error)) => Some(error),
            // This does not happen: blocks are put into memory, which does not fail.
            Err(Stop::Local(error)) => Some(RemoteError::Transport(error.to_string())),
        };
    }
}

/// Ends a fetch when it is dropped, also by a panic or an abort, and notifies those who wait.
struct Ending<'a> {
    shared: &'a Shared,
    blocks: Range<u64>,
    /// The blocks that have not come yet.
    left: Range<u64>,
    stop: Option<RemoteError>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.fetches.retain(|fetch| fetch.blocks != self.blocks);
        if let Some(error) = self.stop.take() {
            state.failures.retain(|(_, at, _)| at.elapsed() < REMEMBERED);
            state.failures.push((self.left.clone(), Instant::now(), error));
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}

/// A read position in an input.
pub(super) struct Cursor {
    shared: Arc<Shared>,
    position: u64,
    /// The block that was read last.
    block: Option<(u64, Bytes)>,
    cancel: CancelToken,
}

impl Cursor {
    /// Returns the block of this number, and waits for it.
    fn block(&mut self, number: u64) -> io::Result<Bytes> {
        if let Some((_, bytes)) = self.block.as_ref().filter(|(held, _)| *held == number) {
            return Ok(bytes.clone());
        }
        let since = Instant::now();
        loop {
            if self.cancel.is_cancelled() {
                return Err(io::Error::other("cancelled"));
            }
            if let Some(bytes) = self.shared.want(number, since)? {
                self.block = Some((number, bytes.clone()));
                return Ok(bytes);
            }
        }
    }
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.shared.length.saturating_sub(self.position);
        if left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let block = self.block(self.position / BLOCK)?;
        let from = usize::try_from(self.position % BLOCK).unwrap_or(usize::MAX);
        let rest = block.get(from..).unwrap_or_default();
        let size = rest.len().min(buffer.len());
        buffer[..size].copy_from_slice(&rest[..size]);
        self.position += size as u64;
        Ok(size)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = sought(to, self.position, || Ok(self.shared.length))?;
        Ok(self.position)
    }
}
