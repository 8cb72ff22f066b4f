//! The cache for blocks of remote media, which all inputs of an engine share.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use lru::LruCache;

/// The size of a block, in bytes; the last one of an input may be shorter.
pub(super) const BLOCK: u64 = 64 << 10;

/// The most recently used blocks, by the number of the input and of the block.
#[derive(Clone, Debug)]
pub(super) struct Cache(Arc<Mutex<LruCache<(u64, u64), Bytes>>>);

impl Cache {
    /// A cache for this many bytes, but for no fewer than 16 blocks.
    pub(super) fn new(bytes: u64) -> Self {
        /// The smallest number of blocks.
        const LEAST: NonZeroUsize = NonZeroUsize::new(16).unwrap();
        let blocks = usize::try_from(bytes / BLOCK).ok().and_then(NonZeroUsize::new);
        Self(Arc::new(Mutex::new(LruCache::new(blocks.unwrap_or(LEAST).max(LEAST)))))
    }

    /// How many blocks there is room for.
    pub(super) fn capacity(&self) -> u64 {
        self.lock().cap().get() as u64
    }

    /// A block of an input.
    pub(super) fn get(&self, input: u64, block: u64) -> Option<Bytes> {
        self.lock().get(&(input, block)).cloned()
    }

    pub(super) fn has(&self, input: u64, block: u64) -> bool {
        self.lock().contains(&(input, block))
    }

    pub(super) fn put(&self, input: u64, block: u64, bytes: Bytes) {
        self.lock().put((input, block), bytes);
    }

    /// Forgets all blocks of an input.
    pub(super) fn forget(&self, input: u64) {
        let mut blocks = self.lock();
        let of_input: Vec<_> =
            blocks.iter().map(|(key, _)| *key).filter(|(of, _)| *of == input).collect();
        for key in of_input {
            blocks.pop(&key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<(u64, u64), Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
