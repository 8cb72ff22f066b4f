//! Free space of the data folder: when there is too little, and which job gives way.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a job counts as writing after its last growth. Encoders and muxers write in bursts.
const BURST: Duration = Duration::from_secs(2);

/// How long after its end the bytes of a job that gave way count as free. The kernel frees the
/// blocks of a removed file when the last process that has it open has ended.
const TO_FREE: Duration = Duration::from_secs(2);

/// How many looks ahead there must be enough space: a job is stopped before the space is gone.
const LOOKS_AHEAD: u64 = 3;

/// The data folder's file system, and what running jobs write to it.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    /// How many bytes must stay free.
    least: u64,
    writers: Mutex<Writers>,
}

/// What running jobs have written, by their ids.
#[derive(Debug, Default)]
struct Writers {
    running: HashMap<String, Written>,
    /// When jobs that gave way ended, and their bytes.
    freed: Vec<(Instant, u64)>,
}

/// What one job has written.
#[derive(Clone, Copy, Debug)]
struct Written {
    bytes: u64,
    /// The growth between its last two looks, in bytes.
    growth: u64,
    /// When it last grew.
    grew: Instant,
    gives_way: bool,
}

impl Disk {
    pub(crate) fn new(folder: &Path, least: u64) -> Self {
        Self { folder: folder.to_owned(), least, writers: Mutex::default() }
    }

    /// How much space is free for unprivileged users, in bytes; `None` where that is not known.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let room = rustix::fs::statvfs(&self.folder).ok()?;
        Some(room.f_bavail.saturating_mul(room.f_frsize))
    }

    /// Whether there is room for new work.
    pub(crate) fn has_room(&self) -> bool {
        self.has_room_for(0)
    }

    /// Whether there is room for so many bytes.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        self.free_bytes().is_none_or(|free| free >= self.least.saturating_add(bytes))
    }

    /// Notes how many bytes a running job has written. Answers whether it must give way: when too
    /// little space is left, that is the largest of the jobs that write.
    pub(crate) fn must_give_way(&self, job: &str, bytes: u64) -> bool {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        writers.note(job, bytes, now);
        self.free_bytes().is_some_and(|free| writers.must_give_way(job, free, self.least, now))
    }

    /// Forgets a job that has ended, and whose files were removed.
    pub(crate) fn ended(&self, job: &str) {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.end(job, Instant::now());
    }
}

impl Writers {
    fn note(&mut self, job: &str, bytes: u64, now: Instant) {
        let new = Written { bytes, growth: 0, grew: now, gives_way: false };
        let written = self.running.entry(job.to_owned()).or_insert(new);
        written.growth = bytes.saturating_sub(written.bytes);
        if written.growth > 0 {
            written.grew = now;
        }
        written.bytes = bytes;
    }

    fn must_give_way(&mut self, job: &str, free: u64, least: u64, now: Instant) -> bool {
        self.freed.retain(|(ended, _)| now.duration_since(*ended) < TO_FREE);
        let (leaving, staying): (Vec<&Written>, Vec<_>) =
            self.running.values().partition(|written| written.gives_way);
        let freed = self.freed.iter().map(|(_, bytes)| bytes);
        let soon_free: u64 = freed.chain(leaving.iter().map(|written| &written.bytes)).sum();
        let growth: u64 = staying.iter().map(|written| written.growth).sum();
        if free.saturating_add(soon_free)
            >= least.saturating_add(growth.saturating_mul(LOOKS_AHEAD))
        {
            return false;
        }
        let writes = |written: &Written| now.duration_since(written.grew) < BURST;
        let largest = staying.iter().filter(|written| writes(written)).map(|it| it.bytes).max();
        let Some(own) = self.running.get_mut(job) else { return false };
        own.gives_way = !own.gives_way && writes(own) && largest == Some(own.bytes);
        own.gives_way
    }

    fn end(&mut self, job: &str, now: Instant) {
        if let Some(written) = self.running.remove(job).filter(|written| written.gives_way) {
            self.freed.push((now, written.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes the bytes of two jobs, and tells which of them must give way.
    fn look(writers: &mut Writers, bytes: [u64; 2], free: u64, now: Instant) -> [bool; 2] {
        let jobs = ["a", "b"];
        jobs.iter().zip(bytes).for_each(|(job, bytes)| writers.note(job, bytes, now));
        jobs.map(|job| writers.must_give_way(job, free, 1000, now))
    }

    #[test]
    fn the_largest_of_the_jobs_that_write_gives_way() {
        let (mut writers, mut now) = (Writers::default(), Instant::now());
        assert_eq!(look(&mut writers, [10, 5], 5000, now), [false, false]);
        // 20 more bytes at each look are too many when 55 are left.
        assert_eq!(look(&mut writers, [30, 5], 1065, now), [false, false]);
        assert_eq!(look(&mut writers, [50, 5], 1055, now), [true, false]);
        // Its neighbor goes on while the space of the first comes back.
        assert_eq!(look(&mut writers, [50, 6], 990, now), [false, false]);
        writers.end("a", now);
        writers.note("b", 7, now);
        assert!(!writers.must_give_way("b", 990, 1000, now));
        // It did not come back: somebody else has it.
        now += TO_FREE;
        writers.note("b", 8, now);
        assert!(writers.must_give_way("b", 990, 1000, now));
    }

    #[test]
    fn a_job_that_does_not_write_stays() {
        let (mut writers, now) = (Writers::default(), Instant::now());
        look(&mut writers, [500, 5], 5000, now);
        let later = now + BURST;
        assert_eq!(look(&mut writers, [500, 6], 900, later), [false, true]);
    }
}
