//! What requests carry: JSON, and not too much of it; names in paths; queries.

use axum::{
    body::to_bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{header::CONTENT_TYPE, request::Parts},
};
use serde::de::DeserializeOwned;

use crate::{problem::Problem, service::Service};

/// A body that says that it is JSON, as text.
#[derive(Debug)]
pub(crate) struct Body(pub(crate) String);

impl FromRequest<Service> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Service) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
        if !kind.trim().eq_ignore_ascii_case("application/json") {
            return Err(Problem::unsupported_media_type());
        }
        let most = service.config.most_body_bytes;
        let bytes = to_bytes(request.into_body(), most).await;
        let bytes = bytes.map_err(|_| Problem::payload_too_large(most))?;
        let text = String::from_utf8(bytes.into());
        text.map(Self).map_err(|_| Problem::invalid("$", "bytes that are no UTF-8", "JSON"))
    }
}

/// A body of a known form. Fields that are not known are errors.
#[derive(Debug)]
pub(crate) struct Typed<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Service> for Typed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Service) -> Result<Self, Problem> {
        let Body(text) = Body::from_request(request, service).await?;
        let read = serde_json::from_str(&text);
        read.map(Self)
            .map_err(|error| Problem::invalid("$", error.to_string(), "a body as /docs has it"))
    }
}

/// The only name in a path.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl FromRequestParts<Service> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        let found = Path::<String>::from_request_parts(parts, service).await;
        found.map(|Path(name)| Self(name)).map_err(|_| Problem::not_found("path"))
    }
}

/// What follows the question mark. Names that are not known are errors, where `T` says so.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Service> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        let found = Query::<T>::from_request_parts(parts, service).await;
        found.map(|Query(asked)| Self(asked)).map_err(|error| {
            Problem::invalid("query", error.body_text(), "a query as /docs has it")
        })
    }
}
