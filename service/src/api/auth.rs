//! Who asks: a key in a header, and how often.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};

use crate::{problem::Problem, secret::KEY_PREFIX, service::Service};

/// Which key a request came with.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) String);

/// The time in which requests of a key are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// How often keys were used in this minute.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<String, (Instant, u32)>>);

impl Rates {
    /// Counts a request of a key; 0 is any rate. An error tells how long no other one is within it.
    fn admit(&self, token: &str, per_minute: u32, now: Instant) -> Result<(), Duration> {
        if per_minute == 0 {
            return Ok(());
        }
        let mut counts = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        counts.retain(|_, (begun, _)| now - *begun < MINUTE);
        let (begun, count) = counts.entry(token.to_owned()).or_insert((now, 0));
        *count = count.saturating_add(1);
        if *count <= per_minute { Ok(()) } else { Err(MINUTE.saturating_sub(now - *begun)) }
    }
}

/// The key in the headers of a request: `Authorization: Bearer` or `X-API-KEY`.
fn key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| headers.get("x-api-key")?.to_str().ok())
}

/// Lets those in who have a key.
pub(super) async fn admit(
    State(service): State<Service>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key(request.headers()).ok_or_else(|| {
        Problem::unauthorized("a key is needed, as Authorization: Bearer or X-API-KEY")
    })?;
    let unknown = || Problem::unauthorized("the key is not known, or was revoked");
    if !key.starts_with(KEY_PREFIX) {
        return Err(unknown());
    }
    let token = service.store.token_of(key).await?.ok_or_else(unknown)?;
    let per_minute = service.config.requests_per_minute;
    service.rates.admit(&token, per_minute, Instant::now()).map_err(Problem::rate_limited)?;
    service.note_use(&token);
    request.extensions_mut().insert(Caller(token));
    Ok(next.run(request).await)
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
