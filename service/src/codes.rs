//! Codes of one-time links to sign in with. They are kept in memory, so that none outlives the service.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::model::secret::{hash, new_key};

/// How long a code can be used.
const LIVES: Duration = Duration::from_secs(600);

/// The hashes of the codes that were given out, and when they end.
#[derive(Debug, Default)]
pub(crate) struct Codes(Mutex<Vec<(String, Instant)>>);

impl Codes {
    /// A new code.
    pub(crate) fn give(&self) -> String {
        let code = new_key();
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.push((hash(&code), Instant::now() + LIVES));
        code
    }

    /// Whether a code is good. It is not any more afterwards.
    pub(crate) fn take(&self, code: &str) -> bool {
        let (now, code) = (Instant::now(), hash(code));
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|(_, ends)| *ends > now);
        let found = codes.iter().position(|(known, _)| *known == code);
        found.map(|at| codes.remove(at)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once() {
        let codes = Codes::default();
        let code = codes.give();
        assert!(!codes.take("another"));
        assert!(codes.take(&code));
        assert!(!codes.take(&code));
    }
}
