//! The paths for monitoring: liveness, readiness and metrics.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::problem::Problem;
use crate::service::Service;

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(alive)).routes(routes!(ready)).routes(routes!(metrics))
}

/// That all is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Well {
    ok: bool,
}

/// That the service takes jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    ok: bool,
    /// What of the confinement of workers is not enforced, in words; `null` when all is.
    unconfined: Option<String>,
}

/// Whether the service lives.
#[utoipa::path(get, operation_id = "getHealth", path = "/healthz", tag = "Operation", security(()),
    responses((status = 200, description = "The service is running", body = Well)))]
async fn alive() -> Json<Well> {
    Json(Well { ok: true })
}

/// Whether the service takes jobs.
#[utoipa::path(get, operation_id = "getReadiness", path = "/readyz", tag = "Operation", security(()),
    responses((status = 200, description = "The service accepts jobs", body = Ready)))]
async fn ready(State(service): State<Service>) -> Result<Json<Ready>, Problem> {
    service.expect_room()?;
    service.store.queued().await?;
    Ok(Json(Ready { ok: true, unconfined: service.unconfined() }))
}

/// Figures in the text format of Prometheus, or in that of `OpenMetrics` where the request accepts it.
#[utoipa::path(get, operation_id = "getMetrics", path = "/metrics", tag = "Operation", security(()),
    responses((status = 200, description = "The metrics", content_type = "text/plain",
        body = String)))]
async fn metrics(State(service): State<Service>, headers: HeaderMap) -> Result<Response, Problem> {
    let accepted = headers.get(header::ACCEPT).and_then(|kinds| kinds.to_str().ok());
    let is_open = accepted.is_some_and(|kinds| kinds.contains("application/openmetrics-text"));
    let text = service.metrics.text(&service.store, service.disk.free_bytes(), is_open).await?;
    let kind = if is_open {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
