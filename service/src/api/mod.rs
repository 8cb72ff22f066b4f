//! The API: paths, who may use them, and what all answers have in common.

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

/// The name of the security scheme in the documentation.
const KEY: &str = "key";

/// Paths that need a key, below `/v1`.
fn keyed() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .merge(jobs::router())
        .merge(presets::router())
        .merge(account::router())
        .merge(providers::router())
        .merge(files::router())
}

/// All paths of a service, and their documentation.
fn paths() -> (Router<Service>, Router<Service>, utoipa::openapi::OpenApi) {
    let (keyed, of_keyed) = keyed().split_for_parts();
    let (open, mut api) =
        OpenApiRouter::with_openapi(Beginning::openapi()).merge(watch::router()).split_for_parts();
    api.merge(utoipa::openapi::OpenApiBuilder::new().build().nest("/v1", of_keyed));
    complete(&mut api);
    (keyed, open, api)
}

/// Adds what all answers have in common.
fn complete(api: &mut utoipa::openapi::OpenApi) {
    api.info = Info::new("Avocet", env!("CARGO_PKG_VERSION"));
    api.info.description = Some(
        "Jobs are documents: `POST /v1/jobs`, then poll, listen to events, or be told by a \
         webhook. Every path below `/v1` answers below `/api/v1`, too. Outputs in the data folder \
         are given away by signed URLs, `GET /files/…`, with byte ranges and without a key."
            .to_owned(),
    );
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = api.components.get_or_insert_with(Components::new);
    components.add_security_scheme(KEY, scheme);
    api.security = Some(vec![SecurityRequirement::new(KEY, Vec::<String>::new())]);
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    let error = ResponseBuilder::new()
        .description("Every answer from 400 on: what is wrong, for machines and for people")
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

/// All paths of a service.
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

/// Writes down what was asked and answered, without what stands behind a question mark; what others
/// do not find gets our form.
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

/// Lets browsers call from the origins that the configuration names, and read files from any.
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

    /// Whoever changes the API sees it in review. `AVOCET_BLESS=1` writes the file.
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
