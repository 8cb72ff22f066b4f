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

/// How often keys were used in this minute.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<String, (Instant, u32)>>);

impl Rates {
    /// Whether one more request of a key is within the rate; 0 is any.
    fn admits(&self, token: &str, per_minute: u32) -> bool {
        if per_minute == 0 {
            return true;
        }
        let mut counts = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        counts.retain(|_, (begun, _)| begun.elapsed() < Duration::from_secs(60));
        let (_, count) = counts.entry(token.to_owned()).or_insert_with(|| (Instant::now(), 0));
        *count += 1;
        *count <= per_minute
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
    if !service.rates.admits(&token, service.config.requests_per_minute) {
        return Err(Problem::rate_limited());
    }
    service.note_use(&token);
    request.extensions_mut().insert(Caller(token));
    Ok(next.run(request).await)
}
