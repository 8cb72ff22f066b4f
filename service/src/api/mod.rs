//! The HTTP API: its paths, authentication, and what all answers have in common.

mod account;
mod auth;
mod body;
mod files;
mod form;
mod jobs;
mod presets;
mod problem;
mod providers;
mod schema;
mod starters;
mod watch;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use utoipa::{
    OpenApi,
    openapi::{
        Components, ContentBuilder, Info, Ref, RefOr, ResponseBuilder, Responses,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::service::Service;
use problem::{ErrorBody, Problem};

/// What the documentation begins with.
#[derive(OpenApi)]
#[openapi(components(schemas(ErrorBody)))]
struct Beginning;

/// The name of the security scheme in the OpenAPI document.
const KEY: &str = "key";

/// The paths that need an API key, relative to `/v1`.
fn keyed() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .merge(jobs::router())
        .merge(presets::router())
        .merge(account::router())
        .merge(providers::router())
        .merge(files::router())
}

/// The paths with a key, those without one, and the OpenAPI document of both.
fn paths() -> (Router<Service>, Router<Service>, utoipa::openapi::OpenApi) {
    let (keyed, of_keyed) = keyed().split_for_parts();
    let (open, mut api) =
        OpenApiRouter::with_openapi(Beginning::openapi()).merge(watch::router()).split_for_parts();
    api.merge(utoipa::openapi::OpenApiBuilder::new().build().nest("/v1", of_keyed));
    complete(&mut api);
    (keyed, open, api)
}

/// Adds to the OpenAPI document what all paths share: title, security and the form of errors.
fn complete(api: &mut utoipa::openapi::OpenApi) {
    api.info = Info::new("Avocet", env!("CARGO_PKG_VERSION"));
    api.info.description = Some(
        "Jobs are documents: `POST /v1/jobs`, then poll, listen to events, or receive a webhook. \
         Every path below `/v1` answers below `/api/v1`, too. Outputs in the data folder are \
         served under signed URLs, `GET /files/…`, with byte ranges and without a key."
            .to_owned(),
    );
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = api.components.get_or_insert_with(Components::new);
    components.add_security_scheme(KEY, scheme);
    api.security = Some(vec![SecurityRequirement::new(KEY, Vec::<String>::new())]);
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    let error = ResponseBuilder::new()
        .description("Every answer with a status of 400 or more: an error code and a message")
        .content("application/json", content)
        .build();
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            let Responses { responses, .. } = &mut operation.responses;
            responses.insert("default".to_owned(), RefOr::T(error.clone()));
        }
    }
}

/// The router of a service, with all paths and layers.
pub(crate) fn router(service: Service) -> Router {
    let (keyed, open, api) = paths();
    let keyed = keyed
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(service.clone(), auth::admit));
    open.nest("/v1", keyed.clone())
        .nest("/api/v1", keyed)
        .route("/files/{*path}", get(files::download))
        .route("/", get(|| async { Redirect::temporary("/docs/") }))
        .merge(SwaggerUi::new("/docs").url("/openapi.json", api))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(service.clone(), cross_origin))
        .layer(middleware::from_fn(log))
        .with_state(service)
}

async fn unknown() -> Problem {
    Problem::not_found("path")
}

async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}

/// Logs each request without its query, which may hold a signature. A 404 without a content type,
/// as other layers answer it, gets the API's form of errors.
async fn log(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let begun = std::time::Instant::now();
    let mut response = next.run(request).await;
    let is_ours = response.headers().contains_key(header::CONTENT_TYPE);
    if response.status() == StatusCode::NOT_FOUND && !is_ours {
        response = unknown().await.into_response();
    }
    let (status, millis) = (response.status().as_u16(), begun.elapsed().as_millis());
    tracing::debug!(%method, path, status, millis, "answered");
    response
}

/// Answers CORS requests: of any origin for files, and of the configured origins for the rest.
async fn cross_origin(State(service): State<Service>, request: Request, next: Next) -> Response {
    let is_file = request.uri().path().starts_with("/files/");
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed = &service.config.cors_origins;
    let answer = match &origin {
        _ if is_file || allowed.is_empty() => Some(HeaderValue::from_static("*")),
        Some(origin) => {
            let is_known = |known: &String| known.as_bytes() == origin.as_bytes();
            allowed.iter().any(is_known).then(|| origin.clone())
        }
        None => None,
    };
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response =
        if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    if let Some(answer) = answer {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, answer);
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        let names = "Authorization, Content-Type, X-API-KEY, Idempotency-Key";
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(names));
        let methods = "GET, HEAD, POST, PATCH, DELETE";
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        if is_file {
            let shown = "Content-Range, Content-Length, Accept-Ranges";
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(shown));
        }
    }
    response
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test looks at files")]

    use super::paths;

    /// The committed document must be up to date, so that changes of the API show in a review.
    /// `AVOCET_BLESS=1` writes the file.
    #[test]
    fn the_document_is_the_one_that_is_published() {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let document = serde_json::to_value(paths().2).unwrap();
        let text = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
        if std::env::var_os("AVOCET_BLESS").is_some() {
            std::fs::write(place, &text).unwrap();
        }
        let published = std::fs::read_to_string(place).unwrap_or_default();
        let told = "docs/openapi.json is another one: AVOCET_BLESS=1 cargo test -p avocet-service";
        assert!(published == text, "{told}");
    }
}
