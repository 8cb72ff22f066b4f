//! Limits how often API keys are used.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The window in which the requests of a key are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// For each key, when its current window began and how many requests it has made since.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<String, (Instant, u32)>>);

impl Rates {
    /// Counts a request of a key; a limit of 0 admits all. The error is how long the key must wait
    /// until its window is over.
    pub(crate) fn admit(&self, token: &str, per_minute: u32, now: Instant) -> Result<(), Duration> {
        if per_minute == 0 {
            return Ok(());
        }
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, (begun, _)| now - *begun < MINUTE);
        let (begun, count) = counts.entry(token.to_owned()).or_insert((now, 0));
        *count = count.saturating_add(1);
        if *count <= per_minute { Ok(()) } else { Err(MINUTE.saturating_sub(now - *begun)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_hears_when_its_minute_is_over() {
        let (rates, begun) = (Rates::default(), Instant::now());
        let admit = |token, seconds| rates.admit(token, 2, begun + Duration::from_secs(seconds));
        assert_eq!([admit("a", 0), admit("a", 10)], [Ok(()), Ok(())]);
        assert_eq!(admit("a", 15), Err(Duration::from_secs(45)));
        assert_eq!(admit("b", 15), Ok(()));
        assert_eq!(admit("a", 59), Err(Duration::from_secs(1)));
        assert_eq!(admit("a", 60), Ok(()));
    }
}
