//! Transfers that go on where they broke.

use std::{
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;

use avocet_model::remote::RemoteError;

use super::origin::{Facts, Origin};

/// How often it is tried again without a byte of progress.
const TRIES: u32 = 3;

/// How long the first pause is; each one is twice as long as the one before. After progress it is
/// tried again at once.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is expected in each second at least, in bytes.
const LEAST: u64 = 1024;

/// A transfer that breaks before so many bytes is followed by a pause.
const LITTLE: u64 = 64 << 10;

/// How long that is.
const LITTLE_PAUSE: Duration = Duration::from_millis(50);

/// Why a transfer ended before its end.
#[derive(Debug)]
pub(super) enum Stop {
    /// The other side, or the way there.
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
    /// There was progress.
    pub(super) fn renew(&mut self) {
        self.failures = 0;
    }

    /// Waits after a failure, or gives up with it.
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

/// Looks at what is there, trying again where that may help.
pub(super) async fn look(origin: &Origin) -> Result<Facts, RemoteError> {
    let mut backoff = Backoff::default();
    loop {
        match origin.look().await {
            Ok(facts) => return Ok(facts),
            Err(error) => backoff.retry(error).await?,
        }
    }
}

/// Gives the bytes from `first` up to `end` to `take`, in order; all there is where there are no
/// ranges, from the first byte on, and nothing instead of bytes when that begins anew.
pub(super) async fn transfer(
    origin: &Origin,
    facts: &Facts,
    first: u64,
    end: Option<u64>,
    mut take: impl FnMut(Option<Bytes>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let limit = origin.client.settings.idle_timeout;
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
                // What comes beyond the end is nobody's.
                if let Some(left) = end.map(|end| end - at) {
                    bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                }
                at += bytes.len() as u64;
                came += bytes.len() as u64;
                // Without ranges the same bytes may come again and again.
                if facts.has_ranges {
                    backoff.renew();
                }
                take(Some(bytes))?;
                if end == Some(at) {
                    return Ok(());
                }
                let seconds = begun.elapsed().as_secs();
                if begun.elapsed() > limit && came / seconds.max(1) < LEAST {
                    return Err(RemoteError::Slow { least: LEAST }.into());
                }
            },
        };
        backoff.retry(error).await?;
        if at - before < LITTLE {
            tokio::time::sleep(LITTLE_PAUSE).await;
        }
    }
    Ok(())
}
