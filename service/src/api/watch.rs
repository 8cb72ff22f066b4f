//! The paths for monitoring: liveness, readiness and metrics.

use axum::{
    Json,
    extract::State,
    http::header,
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

/// Whether the service lives.
#[utoipa::path(get, path = "/healthz", tag = "Operation", security(()),
    responses((status = 200, description = "The service is running", body = Well)))]
async fn alive() -> Json<Well> {
    Json(Well { ok: true })
}

/// Whether the service takes jobs.
#[utoipa::path(get, path = "/readyz", tag = "Operation", security(()),
    responses((status = 200, description = "The service accepts jobs", body = Well)))]
async fn ready(State(service): State<Service>) -> Result<Json<Well>, Problem> {
    service.expect_room()?;
    service.store.queued().await?;
    Ok(Json(Well { ok: true }))
}

/// Figures in the format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "Operation", security(()),
    responses((status = 200, description = "The metrics", content_type = "application/openmetrics-text",
        body = String)))]
async fn metrics(State(service): State<Service>) -> Result<Response, Problem> {
    let text = service.metrics.text(&service.store).await?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
