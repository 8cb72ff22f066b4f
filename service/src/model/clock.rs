//! The time by which work is due: it never goes back while the service runs.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How far the system's clock must be ahead before it is followed: less is its own unevenness.
const STEP: Duration = Duration::from_millis(100);

/// A time of the system's clock, and when that was.
#[derive(Clone, Copy, Debug)]
struct Clock {
    set: Instant,
    to: Duration,
}

impl Clock {
    /// The time now, since 1970. When the system's clock is set back, this goes on from where it was:
    /// what was due in a minute would otherwise be due in an hour. When it is set forward, so is
    /// this.
    fn read(&mut self, now: Instant, system: Duration) -> Duration {
        let own = self.to + now.saturating_duration_since(self.set);
        if system > own + STEP {
            *self = Self { set: now, to: system };
            return system;
        }
        own
    }
}

/// The time now, in milliseconds since 1970.
pub(crate) fn millis() -> i64 {
    static CLOCK: Mutex<Option<Clock>> = Mutex::new(None);
    let now = Instant::now();
    let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut clock = CLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let time = clock.get_or_insert(Clock { set: now, to: system }).read(now, system);
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_is_not_followed_and_one_set_forward_is() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut clock = Clock { set: start, to: second * 1000 };
        assert_eq!(clock.read(start + second, second * 1001), second * 1001);
        // An hour back.
        assert_eq!(clock.read(start + second * 2, second * 10), second * 1002);
        assert_eq!(clock.read(start + second * 3, second * 11), second * 1003);
        // An hour forward.
        assert_eq!(clock.read(start + second * 4, second * 4604), second * 4604);
        assert_eq!(clock.read(start + second * 5, second * 4605), second * 4605);
    }
}
