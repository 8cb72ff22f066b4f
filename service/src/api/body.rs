//! Extractors: JSON bodies of limited size, a name in the path, the query.

use std::time::Duration;

use avocet_recipes::Tree;
use axum::{
    body,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{header::CONTENT_TYPE, request::Parts},
};
use futures_util::StreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::timeout;
use utoipa::PartialSchema;

use super::{form, problem::Problem};
use crate::service::Service;

/// How long a client may take to send a body.
const TO_COME: Duration = Duration::from_secs(60);

/// A body with the content type of JSON, as text; its syntax is not checked yet.
#[derive(Debug)]
pub(crate) struct Body(pub(crate) String);

impl FromRequest<Service> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Service) -> Result<Self, Problem> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
        if !kind.trim().eq_ignore_ascii_case("application/json") {
            return Err(Problem::unsupported_media_type("application/json"));
        }
        let bytes = all_of(request.into_body(), service.config.most_body_bytes).await?;
        let text = String::from_utf8(bytes);
        text.map(Self).map_err(|_| Problem::invalid("$", "bytes that are not UTF-8", "JSON"))
    }
}

/// Reads a whole body; refuses one of more than `most` bytes, and one that takes too long.
async fn all_of(body: body::Body, most: usize) -> Result<Vec<u8>, Problem> {
    let read = async {
        let (mut bytes, mut parts) = (Vec::new(), body.into_data_stream());
        while let Some(part) = parts.next().await {
            let part =
                part.map_err(|_| Problem::invalid("$", "a body that ended early", "JSON"))?;
            if bytes.len() + part.len() > most {
                return Err(Problem::payload_too_large(most));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    };
    timeout(TO_COME, read).await.unwrap_or_else(|_| {
        let found = format!("a body that did not arrive within {} s", TO_COME.as_secs());
        Err(Problem::invalid("$", found, "JSON"))
    })
}

/// A body that fits the schema of a type. All misfits are reported at once.
#[derive(Debug)]
pub(crate) struct Typed<T>(pub(crate) T);

impl<T: DeserializeOwned + PartialSchema> FromRequest<Service> for Typed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Service) -> Result<Self, Problem> {
        let Body(text) = Body::from_request(request, service).await?;
        let schema = serde_json::to_value(T::schema());
        let schema = schema.map_err(|_| Problem::fault("a schema can not be written as JSON"))?;
        let misfits = form::misfits(&Tree::read(&text)?, &schema);
        if !misfits.is_empty() {
            return Err(Problem::all_invalid(misfits));
        }
        serde_json::from_str(&text).map(Self).map_err(|error| {
            // The messages of serde may repeat parts of the body, which may be secret.
            let found =
                format!("a wrong value at line {}, column {}", error.line(), error.column());
            Problem::invalid("$", found, "a body as /docs describes it")
        })
    }
}

/// A change of a field: absent leaves it, and `null` clears it.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Option<String>")]
pub(super) enum Change {
    #[default]
    Stays,
    Goes,
    To(String),
}

impl From<Option<String>> for Change {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Goes, Self::To)
    }
}

/// How many rows a page of a list has: as many as are asked for, or 20.
pub(super) fn page_size(asked: Option<i64>) -> Result<i64, Problem> {
    let limit = asked.unwrap_or(20);
    if (1..=100).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::invalid("limit", limit.to_string(), "a number from 1 to 100"))
}

/// Cuts rows, of which one more was read than a page has, to the page. Returns the cursor of the next
/// page: the id of the last row, where there are more.
pub(super) fn cut_page<T>(
    rows: &mut Vec<T>,
    limit: i64,
    id: impl Fn(&T) -> &str,
) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_more = rows.len() > limit;
    rows.truncate(limit);
    rows.last().filter(|_| is_more).map(|row| id(row).to_owned())
}

/// The single parameter of a path.
#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl FromRequestParts<Service> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        let found = Path::<String>::from_request_parts(parts, service).await;
        found.map(|Path(name)| Self(name)).map_err(|_| Problem::not_found("path"))
    }
}

/// The query of a URL. Unknown names are errors if `T` denies them.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<Service> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, service: &Service) -> Result<Self, Problem> {
        let found = Query::<T>::from_request_parts(parts, service).await;
        found.map(|Query(asked)| Self(asked)).map_err(|error| {
            Problem::invalid("query", error.body_text(), "a query as /docs describes it")
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;

    use super::*;

    /// The text of a body that begins with `[1,` and goes on with `rest`, or the error.
    async fn said(
        rest: impl futures_util::Stream<Item = io::Result<&'static str>> + Send + 'static,
    ) -> String {
        let body = body::Body::from_stream(stream::iter([Ok("[1,")]).chain(rest));
        match all_of(body, 5).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(problem) => format!("{problem:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_comes_whole_and_in_time_or_is_refused() {
        assert_eq!(said(stream::iter([Ok("2]")])).await, "[1,2]");
        assert!(said(stream::iter([Ok("22]")])).await.contains("PAYLOAD_TOO_LARGE"));
        let broken = said(stream::iter([Err(io::ErrorKind::ConnectionReset.into())])).await;
        assert!(broken.contains("ended early"), "{broken}");
        let stalled = said(stream::pending()).await;
        assert!(stalled.contains("did not arrive within 60 s"), "{stalled}");
    }
}
