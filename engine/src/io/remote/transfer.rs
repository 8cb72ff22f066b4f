//! Transfers that resume where they broke off.

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;

use avocet_model::remote::RemoteError;

use super::origin::{Facts, Origin};

/// Number of retries without progress.
const TRIES: u32 = 3;

/// The pause before the second retry without progress. Each further one is twice as long; the first
/// retry comes at once.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest pause that a server may ask for; a longer one ends the transfer.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Slowest accepted average, in bytes per second.
const LEAST: u64 = 1024;

/// A request that breaks off before this many bytes is followed by a pause.
const LITTLE: u64 = 64 << 10;

/// How long that pause is.
const LITTLE_PAUSE: Duration = Duration::from_millis(50);

/// Why a transfer ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The origin or the network failed.
    Remote(RemoteError),
    /// This machine could not keep what came.
    Local(io::Error),
}

impl From<RemoteError> for Stop {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

impl From<Stop> for io::Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Remote(error) => error.into(),
            Stop::Local(error) => error,
        }
    }
}

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Resets the count, since there was progress.
    pub(super) fn renew(&mut self) {
        self.failures = 0;
    }

    /// Waits before the next try, or returns the error when none is to follow.
    pub(super) async fn retry(&mut self, error: RemoteError) -> Result<(), RemoteError> {
        let asked = match &error {
            RemoteError::Status { after, .. } => after.unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let is_final = matches!(error, RemoteError::Changed { .. } | RemoteError::Slow { .. });
        if is_final || !error.retryable() || self.failures == TRIES || asked > LONGEST_PAUSE {
            return Err(error);
        }
        let pause = match self.failures {
            0 => Duration::ZERO,
            failures => PAUSE * 2_u32.pow(failures - 1),
        };
        self.failures += 1;
        tokio::time::sleep(pause.max(asked)).await;
        Ok(())
    }
}

/// Fails when so many bytes came in a time longer than the limit that they are too few.
pub(super) fn expect_pace(bytes: u64, time: Duration, limit: Duration) -> Result<(), RemoteError> {
    let is_slow = time > limit && bytes / time.as_secs().max(1) < LEAST;
    if is_slow { Err(RemoteError::Slow { least: LEAST }) } else { Ok(()) }
}

/// Asks the origin what it has, and tries again where that may help.
pub(super) async fn look(origin: &Origin) -> Result<Facts, RemoteError> {
    let mut backoff = Backoff::default();
    loop {
        match origin.look().await {
            Ok(facts) => return Ok(facts),
            Err(error) => backoff.retry(error).await?,
        }
    }
}

/// Gives the bytes from `first` up to `end` to `take`, in order. Without ranges these are all bytes
/// from 0 on, and each time that they begin anew `take` gets `None`, for which it must discard what
/// it had.
pub(super) async fn transfer(
    origin: &Origin,
    facts: &Facts,
    first: u64,
    end: Option<u64>,
    mut take: impl FnMut(Option<Bytes>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let limit = origin.limits.idle_timeout;
    let mut backoff = Backoff::default();
    let begun = Instant::now();
    let (mut at, mut came) = (first, 0);
    while end.is_none_or(|end| at < end) {
        let range_end = end.filter(|_| facts.has_ranges);
        if range_end.is_none() && at > 0 {
            take(None)?;
            at = 0;
        }
        let before = at;
        let error = match origin.get(at, range_end, facts).await {
            Err(error) => error,
            Ok(mut body) => loop {
                let mut bytes = match tokio::time::timeout(limit, body.chunk()).await {
                    Err(_) => break RemoteError::Stalled { seconds: limit.as_secs() },
                    Ok(Err(error)) => break error,
                    Ok(Ok(Some(bytes))) => bytes,
                    Ok(Ok(None)) => match facts.length.or(end) {
                        Some(expected) if at < end.unwrap_or(expected) => {
                            break RemoteError::Short { got: at, expected };
                        }
                        _ => return Ok(()),
                    },
                };
                origin.count(bytes.len());
                // Bytes beyond the end are dropped.
                if let Some(left) = end.map(|end| end - at) {
                    bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                }
                at += bytes.len() as u64;
                came += bytes.len() as u64;
                // Without ranges the same bytes come again with each try, so they are no progress.
                if facts.has_ranges {
                    backoff.renew();
                }
                take(Some(bytes))?;
                if end == Some(at) {
                    return Ok(());
                }
                expect_pace(came, begun.elapsed(), limit)?;
            },
        };
        backoff.retry(error).await?;
        if at - before < LITTLE {
            tokio::time::sleep(LITTLE_PAUSE).await;
        }
    }
    Ok(())
}
