//! The page at `/`: its files, which are part of the program, and its one-time links.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use super::{
    body::{Body, Name},
    problem::Problem,
};
use crate::{
    model::{
        clock::millis,
        scope::Scope,
        secret::{self, new_key},
    },
    service::Service,
    store::{DEFAULT_PROJECT, NewToken},
    view::time,
};

/// What the page may do: load its own files and outputs of this service, and ask its API. Nothing comes
/// from elsewhere, and no script stands in a document.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// How long the key of a one-time link works, in milliseconds.
const SIGNED_IN: i64 = 12 * 3_600_000;

/// Includes files of the page, with their content types.
macro_rules! files {
    ($($name:literal is $kind:literal)*) => {
        &[$(($name, $kind, include_bytes!(concat!("../page/", $name)).as_slice())),*]
    };
}

/// Each file: its name, its content type, and what is in it.
const FILES: &[(&str, &str, &[u8])] = files! {
    "index.html" is "text/html; charset=utf-8"
    "icon.svg" is "image/svg+xml"
    "style.css" is "text/css; charset=utf-8"
    "api.js" is "text/javascript; charset=utf-8"
    "create.js" is "text/javascript; charset=utf-8"
    "dom.js" is "text/javascript; charset=utf-8"
    "hooks.js" is "text/javascript; charset=utf-8"
    "job.js" is "text/javascript; charset=utf-8"
    "jobs.js" is "text/javascript; charset=utf-8"
    "keys.js" is "text/javascript; charset=utf-8"
    "main.js" is "text/javascript; charset=utf-8"
    "presets.js" is "text/javascript; charset=utf-8"
    "providers.js" is "text/javascript; charset=utf-8"
    "sprites.js" is "text/javascript; charset=utf-8"
    "system.js" is "text/javascript; charset=utf-8"
    "upload.js" is "text/javascript; charset=utf-8"
};

/// The paths of the page.
pub(super) fn router() -> Router<Service> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { file("index.html", &headers) }))
        .route(
            "/page/{file}",
            get(|Name(name): Name, headers: HeaderMap| async move { file(&name, &headers) }),
        )
        .route("/page/sign-in", post(sign_in))
}

/// A file of the page.
fn file(name: &str, asked: &HeaderMap) -> Result<Response, Problem> {
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, kind, bytes) = found.ok_or_else(|| Problem::not_found("path"))?;
    let tag = format!("\"{}\"", secret::hash(&String::from_utf8_lossy(bytes)));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // Another release may have other files under the same names.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    let is_known = asked.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag.as_str());
    let tag = [(header::ETAG, tag)];
    Ok(if is_known {
        (StatusCode::NOT_MODIFIED, headers, tag).into_response()
    } else {
        (headers, tag, *bytes).into_response()
    })
}

/// The code of a one-time link.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    code: String,
}

/// A key for the page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entered {
    key: String,
    expires_at: String,
}

/// Exchanges the code of a one-time link for a key of the project `default`.
async fn sign_in(
    State(service): State<Service>,
    Body(text): Body,
) -> Result<Json<Entered>, Problem> {
    let code: Code = serde_json::from_str(&text)
        .map_err(|_| Problem::invalid("$", "another body", "an object with `code`"))?;
    if !service.codes.take(&code.code) {
        return Err(Problem::gone(
            "the link was used, or has expired; `avocet serve --open` makes another",
        ));
    }
    let (key, expires_at) = (new_key(), millis() + SIGNED_IN);
    let new = NewToken::of_program(DEFAULT_PROJECT, "one-time link", &Scope::ALL);
    service.store.new_token(NewToken { expires_at: Some(expires_at), ..new }, &key).await?;
    Ok(Json(Entered { key, expires_at: time(expires_at) }))
}
