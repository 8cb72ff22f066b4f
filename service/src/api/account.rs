//! The settings of a project, its API keys, and projects themselves.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{self, Caller, Tokens},
    body::{Change, Name, Typed},
    problem::Problem,
};
use crate::{
    model::{clock::millis, scope::Scope, secret},
    service::Service,
    store::{DEFAULT_PROJECT, Holder, NewToken, ProjectRow},
    view::{List, Project, Token, millis_of},
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(settings, set))
        .routes(routes!(create, list))
        .routes(routes!(revoke))
        .routes(routes!(create_project, list_projects))
}

/// What may be set; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(examples(json!({ "defaultWebhookUrl": "https://hooks.example.com/avocet" })))]
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

async fn show(service: &Service, project: &str) -> Result<Json<Settings>, Problem> {
    Ok(Json(Settings {
        default_webhook_url: service.store.setting(project, "defaultWebhookUrl").await?,
        webhook_secret: service.store.setting(project, "webhookSecret").await?,
    }))
}

/// The settings.
#[utoipa::path(get, operation_id = "getSettings", path = "/settings", tag = "Settings",
    responses((status = 200, description = "All settings", body = Settings)))]
async fn settings(
    State(service): State<Service>,
    caller: Caller<auth::Settings>,
) -> Result<Json<Settings>, Problem> {
    show(&service, &caller.project).await
}

/// Changes settings.
#[utoipa::path(post, operation_id = "changeSettings", path = "/settings", tag = "Settings", request_body = NewSettings,
    responses((status = 200, description = "All settings after the change", body = Settings)))]
async fn set(
    State(service): State<Service>,
    caller: Caller<auth::Settings>,
    Typed(new): Typed<NewSettings>,
) -> Result<Json<Settings>, Problem> {
    let (store, project) = (&service.store, caller.project.as_str());
    match new.default_webhook_url {
        Change::Stays => {}
        Change::Goes => store.set(project, "defaultWebhookUrl", None).await?,
        Change::To(url) => {
            if let Some(problem) = service.refuses(&url) {
                return Err(Problem::invalid("defaultWebhookUrl", problem.found, problem.allowed));
            }
            store.set(project, "defaultWebhookUrl", Some(&url)).await?;
        }
    }
    if let Some(Rotation::Rotate) = new.webhook_secret {
        let old = store.setting(project, "webhookSecret").await?.unwrap_or_default();
        let kept = format!("{} {old}", millis());
        store.set(project, "webhookSecretBefore", Some(&kept)).await?;
        store.set(project, "webhookSecret", Some(&secret::new_webhook_secret())).await?;
    }
    show(&service, project).await
}

/// What an API key is made with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(examples(json!({ "name": "Uploader", "scopes": ["jobs:write", "jobs:read"] })))]
pub(super) struct TokenRequest {
    /// 1 to 200 letters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it may do: no more than the API key of this request. Default: as much as that.
    #[schema(min_items = 1, inline)]
    scopes: Option<Vec<Scope>>,
    /// When it stops to work, as RFC 3339 writes it. Default, and latest: when the API key of this
    /// request does.
    expires_at: Option<String>,
    /// The id or the name of the project that it belongs to. Default: that of the API key of this
    /// request. Only API keys of the project `default` may name another one.
    project: Option<String>,
}

/// The project that an API key sees: `None` for all, which those of the default project do.
fn seen(holder: &Holder) -> Option<&str> {
    Some(holder.project.as_str()).filter(|project| *project != DEFAULT_PROJECT)
}

/// Makes an API key, and shows it: this once.
#[utoipa::path(post, operation_id = "createToken", path = "/tokens", tag = "Keys", request_body = TokenRequest,
    responses((status = 201, description = "The key", body = Token)))]
async fn create(
    State(service): State<Service>,
    caller: Caller<Tokens>,
    Typed(new): Typed<TokenRequest>,
) -> Result<(StatusCode, Json<Token>), Problem> {
    let scopes = new.scopes.unwrap_or_else(|| caller.scopes.clone());
    if let Some(scope) = scopes.iter().find(|scope| !caller.scopes.contains(scope)) {
        return Err(Problem::lacks(*scope));
    }
    let expires_at = new.expires_at.map(|text| {
        let time = millis_of(&text).filter(|time| *time > millis());
        let allowed = "a time to come, as RFC 3339 writes it";
        time.ok_or_else(|| Problem::invalid("expiresAt", format!("\"{text}\""), allowed))
    });
    let project = match new.project {
        None => caller.project.clone(),
        Some(called) => {
            let found = service.store.project(&called).await?;
            let found = found.filter(|found| seen(&caller).is_none_or(|own| own == found.id));
            let allowed = "the id or the name of a project that this API key sees";
            let wrong = || Problem::invalid("project", format!("\"{called}\""), allowed);
            found.ok_or_else(wrong)?.id
        }
    };
    let key = secret::new_key();
    let row = NewToken {
        project: &project,
        name: &new.name,
        scopes: &scopes,
        // It does not outlive the key that makes it.
        expires_at: expires_at.transpose()?.into_iter().chain(caller.expires_at).min(),
        created_by: Some(&caller.token),
    };
    let mut token = Token::from(&service.store.new_token(row, &key).await?);
    token.key = key;
    Ok((StatusCode::CREATED, Json(token)))
}

/// The API keys of the project, revoked ones among them; with an API key of the project `default`,
/// those of all projects.
#[utoipa::path(get, operation_id = "listTokens", path = "/tokens", tag = "Keys",
    responses((status = 200, description = "The API keys", body = List<Token>)))]
async fn list(
    State(service): State<Service>,
    caller: Caller<Tokens>,
) -> Result<Json<List<Token>>, Problem> {
    let tokens = service.store.tokens(seen(&caller)).await?;
    Ok(Json(List { data: tokens.iter().map(Token::from).collect() }))
}

/// Revokes an API key, from the next request on.
#[utoipa::path(delete, operation_id = "revokeToken", path = "/tokens/{id}", tag = "Keys", params(("id" = String, Path)),
    responses((status = 204, description = "The API key is revoked")))]
async fn revoke(
    State(service): State<Service>,
    caller: Caller<Tokens>,
    Name(id): Name,
) -> Result<StatusCode, Problem> {
    if service.store.revoke_token(seen(&caller), &id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("token"))
    }
}

/// What a project is made with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "name": "films" })))]
pub(super) struct ProjectRequest {
    /// 1 to 200 letters, which no other project is called.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// Makes a project, to which nothing belongs yet but its settings. It takes an API key of the project
/// `default`.
#[utoipa::path(post, operation_id = "createProject", path = "/projects", tag = "Keys", request_body = ProjectRequest,
    responses((status = 201, description = "The project", body = Project)))]
async fn create_project(
    State(service): State<Service>,
    caller: Caller<Tokens>,
    Typed(new): Typed<ProjectRequest>,
) -> Result<(StatusCode, Json<Project>), Problem> {
    if seen(&caller).is_some() {
        return Err(Problem::forbidden("only API keys of the project `default` make projects"));
    }
    let made = service.store.new_project(&new.name).await?;
    let taken = || Problem::conflict("a project of this name is there already");
    Ok((StatusCode::CREATED, Json(Project::from(&made.ok_or_else(taken)?))))
}

/// The project of the API key; with one of the project `default`, all projects.
#[utoipa::path(get, operation_id = "listProjects", path = "/projects", tag = "Keys",
    responses((status = 200, description = "The projects", body = List<Project>)))]
async fn list_projects(
    State(service): State<Service>,
    caller: Caller<Tokens>,
) -> Result<Json<List<Project>>, Problem> {
    let projects = service.store.projects().await?;
    let seen = |row: &&ProjectRow| seen(&caller).is_none_or(|own| own == row.id);
    Ok(Json(List { data: projects.iter().filter(seen).map(Project::from).collect() }))
}
