//! The API: paths, who may use them, and what all answers have in common.

mod auth;
mod body;
mod files;
mod jobs;
mod others;
mod show;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde_json::json;

pub(crate) use auth::Rates;
pub(crate) use show::{Stored, job as show_job, until};

use crate::{problem::Problem, service::Service};

/// All paths of a service.
pub(crate) fn router(service: Service) -> Router {
    let keyed = Router::new()
        .route("/jobs", post(jobs::create).get(jobs::list))
        .route("/jobs/{id}", get(jobs::get))
        .route("/jobs/{id}/cancel", post(jobs::cancel))
        .route("/jobs/{id}/retry", post(jobs::retry))
        .route("/jobs/{id}/deliveries", get(jobs::deliveries))
        .route("/jobs/{id}/events", get(jobs::events))
        .route("/presets", post(others::create_preset).get(others::list_presets))
        .route("/presets/starters", get(others::starters))
        .route("/presets/starters/{slug}/clone", post(others::clone_starter))
        .route(
            "/presets/{id}",
            get(others::get_preset).patch(others::change_preset).delete(others::delete_preset),
        )
        .route("/settings", get(others::settings).post(others::set_settings))
        .route("/tokens", post(others::create_token).get(others::list_tokens))
        .route("/tokens/{id}", delete(others::revoke_token))
        .route("/files/{id}", get(files::describe).delete(files::remove))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(service.clone(), auth::admit));
    Router::new()
        .nest("/v1", keyed.clone())
        .nest("/api/v1", keyed)
        .route("/files/{*path}", get(files::download))
        .route("/healthz", get(|| async { Json(json!({ "ok": true })) }))
        .route("/readyz", get(ready))
        .route("/metrics", get(others::metrics))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown)
        .layer(middleware::from_fn_with_state(service.clone(), cross_origin))
        .with_state(service)
}

async fn unknown() -> Problem {
    Problem::not_found("path")
}

async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}

async fn ready(State(service): State<Service>) -> Result<Response, Problem> {
    service.expect_room()?;
    service.store.counts().await?;
    Ok(Json(json!({ "ok": true })).into_response())
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
    let mut response = if is_preflight {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
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
