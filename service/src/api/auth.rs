//! Authentication by API key, its rate limit, and what it may do.

use std::{marker::PhantomData, ops::Deref, time::Instant};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::Response,
};

use super::problem::Problem;
use crate::{
    model::{scope::Scope, secret::KEY_PREFIX},
    service::Service,
    store::Holder,
};

/// A scope that handlers name in their signature.
pub(super) trait Needed {
    const SCOPE: Scope;
}

/// Declares types that stand for scopes.
macro_rules! needed {
    ($($name:ident)*) => {$(
        #[doc = concat!("Stands for [`Scope::", stringify!($name), "`].")]
        #[derive(Debug)]
        pub(super) enum $name {}

        impl Needed for $name {
            const SCOPE: Scope = Scope::$name;
        }
    )*};
}

needed! { JobsWrite JobsRead Settings Tokens }

/// Whose request it is. A handler that takes this answers 403 where the API key lacks the scope.
#[derive(Debug)]
pub(super) struct Caller<S> {
    holder: Holder,
    scope: PhantomData<S>,
}

impl<S> Deref for Caller<S> {
    type Target = Holder;

    fn deref(&self) -> &Holder {
        &self.holder
    }
}

impl<S: Needed> FromRequestParts<Service> for Caller<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Service) -> Result<Self, Problem> {
        let holder = parts.extensions.get::<Holder>().cloned();
        let holder = holder.ok_or_else(|| Problem::fault("a path is open to everybody"))?;
        if holder.scopes.contains(&S::SCOPE) {
            Ok(Self { holder, scope: PhantomData })
        } else {
            Err(Problem::lacks(S::SCOPE))
        }
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

/// Admits requests with a valid API key that is within its rate limit.
pub(super) async fn admit(
    State(service): State<Service>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key(request.headers()).ok_or_else(|| {
        Problem::unauthorized("an API key is required, as Authorization: Bearer or X-API-KEY")
    })?;
    let unknown = || Problem::unauthorized("the API key is unknown, was revoked or has expired");
    if !key.starts_with(KEY_PREFIX) {
        return Err(unknown());
    }
    let holder = service.store.holder_of(key).await?.ok_or_else(unknown)?;
    let per_minute = service.config.requests_per_minute;
    service
        .rates
        .admit(&holder.token, per_minute, Instant::now())
        .map_err(Problem::rate_limited)?;
    service.note_use(&holder.token);
    request.extensions_mut().insert(holder);
    Ok(next.run(request).await)
}
