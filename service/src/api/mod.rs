//! The HTTP API: its paths, authentication, and what all answers have in common.

mod account;
mod auth;
mod body;
mod files;
mod form;
mod jobs;
mod page;
mod presets;
mod problem;
mod providers;
mod schema;
mod starters;
mod system;
mod uploads;
mod watch;
mod webhooks;

use axum::{
    Router,
    body::Bytes,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use tracing::Instrument;
use utoipa::{
    OpenApi,
    openapi::{
        Components, ContentBuilder, HttpMethod, Info, ObjectBuilder, PathItem, Paths, PathsBuilder,
        Ref, RefOr, ResponseBuilder, Responses, Schema, Server, Type,
        path::OperationBuilder,
        request_body::RequestBodyBuilder,
        security::{
            ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme,
        },
    },
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::{service::Service, store::new_id};
use problem::{ErrorBody, Problem};

/// What the documentation begins with.
#[derive(OpenApi)]
#[openapi(components(schemas(ErrorBody)))]
struct Beginning;

/// The names of the security schemes in the OpenAPI document: the two headers that may have the key.
const SCHEMES: [&str; 2] = ["bearer", "header"];

/// The paths that need an API key, relative to `/v1`.
fn keyed() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .merge(jobs::router())
        .merge(presets::router())
        .merge(account::router())
        .merge(providers::router())
        .merge(files::router())
        .merge(uploads::router())
        .merge(webhooks::router())
        .merge(system::router())
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
    let [bearer, header] = SCHEMES;
    let components = api.components.get_or_insert_with(Components::new);
    components.add_security_scheme(bearer, SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-KEY")));
    components.add_security_scheme(header, key);
    let either = SCHEMES.map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
    api.security = Some(either.to_vec());
    api.webhooks = Some(webhooks());
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
    let error = ResponseBuilder::new()
        .description("Every answer with a status of 400 or more: an error code and a message")
        .content("application/json", content)
        .build();
    for item in api.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.head,
            &mut item.post,
            &mut item.patch,
            &mut item.delete,
            &mut item.options,
        ];
        for operation in operations.into_iter().flatten() {
            let Responses { responses, .. } = &mut operation.responses;
            responses.insert("default".to_owned(), RefOr::T(error.clone()));
        }
    }
}

/// The requests that the service sends.
fn webhooks() -> Paths {
    let schema = Schema::Object(
        ObjectBuilder::new()
            .property("data", Ref::from_schema_name("Job"))
            .property("timestamp", ObjectBuilder::new().schema_type(Type::Integer))
            .required("data")
            .required("timestamp")
            .description(Some("The job as it ended, and the time in milliseconds since 1970"))
            .build(),
    );
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let body = RequestBodyBuilder::new().content("application/json", content).build();
    let taken = ResponseBuilder::new().description("The webhook is delivered").build();
    let gone = ResponseBuilder::new().description("No more webhooks of this job").build();
    let operation = OperationBuilder::new()
        .operation_id(Some("jobEnded"))
        .summary(Some("A job has ended."))
        .description(Some(
            "Signed as Standard Webhooks has it: `webhook-id`, `webhook-timestamp` and \
             `webhook-signature`. It is sent again until it is answered with 2xx, or with 410.",
        ))
        .request_body(Some(body))
        .response("2XX", taken)
        .response("410", gone);
    PathsBuilder::new().path("jobEnded", PathItem::new(HttpMethod::Post, operation)).build()
}

/// The router of a service, with all paths and layers.
pub(crate) fn router(service: Service) -> Router {
    let (keyed, open, mut api) = paths();
    api.servers = Some(vec![Server::new(service.public_url.clone())]);
    // A relative URL, which also leads there behind a prefix of a proxy.
    let shown = utoipa_swagger_ui::Config::new(["../openapi.json"]);
    // Made once: it is large, and asked for without a key.
    let document = api.to_json().map(Bytes::from).map_err(|error| error.to_string());
    let document = move || async move {
        let document = document.map_err(|error| Problem::fault(&error))?;
        Ok::<_, Problem>(([(header::CONTENT_TYPE, "application/json")], document))
    };
    let keyed = keyed
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(service.clone(), auth::admit));
    open.nest("/v1", keyed.clone())
        .nest("/api/v1", keyed)
        .route("/files/{*path}", get(files::download))
        .route("/events/{id}", get(jobs::signed_events))
        .merge(page::router())
        .route("/openapi.json", get(document))
        .merge(SwaggerUi::new("/docs").config(shown))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown)
        .route_layer(middleware::from_fn(note_path))
        .layer(middleware::from_fn_with_state(service.clone(), cross_origin))
        .layer(middleware::from_fn_with_state(service.clone(), log))
        .with_state(service)
}

async fn unknown() -> Problem {
    Problem::not_found("path")
}

async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}

/// The header that names a request, in its answer and in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: that of the client or proxy if it is short and plain, else a new one.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let is_plain = |id: &&str| {
        let letters = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.:".contains(&letter);
        (1..=64).contains(&id.len()) && id.bytes().all(letters)
    };
    given.filter(is_plain).map_or_else(new_id, str::to_owned)
}

/// Logs each request without its query, which may hold a signature, names it and measures it. A 404
/// without a content type, as other layers answer it, gets the API's form of errors.
async fn log(State(service): State<Service>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let id = request_id(&request);
    let begun = std::time::Instant::now();
    let span = tracing::info_span!("request", id);
    let mut response = next.run(request).instrument(span).await;
    let is_ours = response.headers().contains_key(header::CONTENT_TYPE);
    if response.status() == StatusCode::NOT_FOUND && !is_ours {
        response = unknown().await.into_response();
    }
    let (status, after) = (response.status().as_u16(), begun.elapsed());
    let millis = after.as_millis();
    // Probes come every few seconds, and tell nothing while all is well.
    if status < 400 && ["/healthz", "/readyz", "/metrics"].contains(&path.as_str()) {
        tracing::debug!(id, %method, path, status, millis, "answered");
    } else {
        tracing::info!(id, %method, path, status, millis, "answered");
    }
    let template = response.extensions_mut().remove::<Template>();
    let template = template.map_or_else(|| "other".to_owned(), |Template(path)| path);
    service.metrics.answered(method.as_str(), &template, status, after);
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// The path of the API that a request met, as in `/v1/jobs/{id}`.
#[derive(Clone, Debug)]
struct Template(String);

/// Notes in the answer which path of the API a request met, for [`log`].
async fn note_path(path: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(path) = path {
        response.extensions_mut().insert(Template(path.as_str().to_owned()));
    }
    response
}

/// Answers CORS requests: of any origin for files, and of the configured origins for the rest.
async fn cross_origin(State(service): State<Service>, request: Request, next: Next) -> Response {
    let is_file = ["/files/", "/events/"].iter().any(|path| request.uri().path().starts_with(path));
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
        let names = "Authorization, Content-Type, X-API-KEY, Idempotency-Key, X-Request-Id, \
                     Tus-Resumable, Upload-Length, Upload-Metadata, Upload-Offset";
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(names));
        let methods = "GET, HEAD, POST, PATCH, DELETE";
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        let shown = if is_file {
            "Content-Range, Content-Length, Accept-Ranges"
        } else {
            "X-Request-Id, Retry-After, Location, Tus-Resumable, Upload-Offset, Upload-Length, \
             Upload-Metadata, Upload-Expires, Tus-Version, Tus-Extension, Tus-Max-Size"
        };
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(shown));
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
