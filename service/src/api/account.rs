//! The settings of the account, and its API keys.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    body::{Change, Name, Typed},
    problem::Problem,
};
use crate::{
    model::secret,
    service::Service,
    store::millis,
    view::{List, Token},
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(settings, set))
        .routes(routes!(create, list))
        .routes(routes!(revoke))
}

/// What may be set; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewSettings {
    /// Where jobs tell how they ended that name no `webhookUrl` of their own; null for nowhere.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    default_webhook_url: Change,
    /// `rotate` makes a new one; for a day webhooks are signed with the old one, too.
    #[schema(inline)]
    webhook_secret: Option<Rotation>,
}

/// What can be done with a secret.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Rotation {
    Rotate,
}

/// What is set.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Settings {
    /// Where jobs tell how they ended that name no `webhookUrl` of their own.
    #[schema(required)]
    default_webhook_url: Option<String>,
    /// What webhooks are signed with (Standard Webhooks), `whsec_…`.
    #[schema(required)]
    webhook_secret: Option<String>,
}

async fn show(service: &Service) -> Result<Json<Settings>, Problem> {
    Ok(Json(Settings {
        default_webhook_url: service.store.setting("defaultWebhookUrl").await?,
        webhook_secret: service.store.setting("webhookSecret").await?,
    }))
}

/// The settings.
#[utoipa::path(get, path = "/settings", tag = "Settings",
    responses((status = 200, description = "All settings", body = Settings)))]
async fn settings(State(service): State<Service>) -> Result<Json<Settings>, Problem> {
    show(&service).await
}

/// Changes settings.
#[utoipa::path(post, path = "/settings", tag = "Settings", request_body = NewSettings,
    responses((status = 200, description = "All settings after the change", body = Settings)))]
async fn set(
    State(service): State<Service>,
    Typed(new): Typed<NewSettings>,
) -> Result<Json<Settings>, Problem> {
    match new.default_webhook_url {
        Change::Stays => {}
        Change::Goes => service.store.set("defaultWebhookUrl", None).await?,
        Change::To(url) => {
            if let Some(problem) = service.refuses(&url) {
                return Err(Problem::invalid("defaultWebhookUrl", problem.found, problem.allowed));
            }
            service.store.set("defaultWebhookUrl", Some(&url)).await?;
        }
    }
    if let Some(Rotation::Rotate) = new.webhook_secret {
        let old = service.store.setting("webhookSecret").await?.unwrap_or_default();
        let kept = format!("{} {old}", millis());
        service.store.set("webhookSecretBefore", Some(&kept)).await?;
        service.store.set("webhookSecret", Some(&secret::new_webhook_secret())).await?;
    }
    show(&service).await
}

/// What a key is called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    /// 1 to 200 letters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// Makes an API key, and shows it: this once.
#[utoipa::path(post, path = "/tokens", tag = "Keys", request_body = NewToken,
    responses((status = 201, description = "The key", body = Token)))]
async fn create(
    State(service): State<Service>,
    Typed(new): Typed<NewToken>,
) -> Result<(StatusCode, Json<Token>), Problem> {
    let key = secret::new_key();
    let row = service.store.new_token(&new.name, &key).await?;
    let mut token = Token::from(&row);
    token.key = key;
    Ok((StatusCode::CREATED, Json(token)))
}

/// All API keys, revoked ones among them.
#[utoipa::path(get, path = "/tokens", tag = "Keys",
    responses((status = 200, description = "All API keys", body = List<Token>)))]
async fn list(State(service): State<Service>) -> Result<Json<List<Token>>, Problem> {
    let tokens = service.store.tokens().await?;
    Ok(Json(List { data: tokens.iter().map(Token::from).collect() }))
}

/// Revokes an API key, from the next request on.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "Keys", params(("id" = String, Path)),
    responses((status = 204, description = "The API key is revoked")))]
async fn revoke(State(service): State<Service>, Name(id): Name) -> Result<StatusCode, Problem> {
    if service.store.revoke_token(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("token"))
    }
}
