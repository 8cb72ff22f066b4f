//! Authentication by API key, and its rate limit.

use std::time::Instant;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};

use super::problem::Problem;
use crate::{model::secret::KEY_PREFIX, service::Service};

/// The id of the API key that a request came with.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) String);

/// The key in the headers of a request: `Authorization: Bearer` or `X-API-KEY`.
fn key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| headers.get("x-api-key")?.to_str().ok())
}

/// Admits requests with a valid API key that is within its rate limit.
pub(super) async fn admit(
    State(service): State<Service>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key(request.headers()).ok_or_else(|| {
        Problem::unauthorized("an API key is required, as Authorization: Bearer or X-API-KEY")
    })?;
    let unknown = || Problem::unauthorized("the API key is unknown or was revoked");
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
