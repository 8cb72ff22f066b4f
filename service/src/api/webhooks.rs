//! The paths for webhooks that were sent, or are to be.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Caller, Settings},
    body::{Asked, Name, cut_page, page_size},
    problem::Problem,
};
use crate::{
    service::Service,
    view::{self, Delivery},
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(redeliver))
}

/// What may be asked of all webhooks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// How many at most. Default: 20.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A page of webhooks.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Deliveries {
    data: Vec<Delivery>,
    /// What the next page is asked for with; null on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// The webhooks of the project, newest first.
#[utoipa::path(get, operation_id = "listWebhooks", path = "/webhooks", tag = "Webhooks", params(Listing),
    responses((status = 200, description = "A page of webhooks", body = Deliveries)))]
async fn list(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Asked(asked): Asked<Listing>,
) -> Result<Json<Deliveries>, Problem> {
    let limit = page_size(asked.limit)?;
    let store = &service.store;
    let mut rows = store.deliveries(&caller.project, asked.cursor.as_deref(), limit + 1).await?;
    let next_cursor = cut_page(&mut rows, limit, |row| &row.id);
    let mut data = Vec::new();
    for row in &rows {
        data.push(view::delivery(row, &store.attempts_of(&row.id).await?));
    }
    Ok(Json(Deliveries { data, next_cursor }))
}

/// Sends a webhook again that was delivered or given up, under the same `webhook-id`.
#[utoipa::path(post, operation_id = "redeliverWebhook", path = "/webhooks/{id}/redeliver", tag = "Webhooks",
    params(("id" = String, Path)),
    responses((status = 202, description = "The webhook is sent soon")))]
async fn redeliver(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Name(id): Name,
) -> Result<StatusCode, Problem> {
    match service.store.redeliver(&caller.project, &id).await? {
        Some(true) => {
            service.webhooks.notify_one();
            Ok(StatusCode::ACCEPTED)
        }
        Some(false) => Err(Problem::conflict("the webhook is about to be sent")),
        None => Err(Problem::not_found("webhook")),
    }
}
