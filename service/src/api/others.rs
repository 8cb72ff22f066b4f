//! Presets, settings, keys and metrics over HTTP.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use avocet_recipes::{Door, Job, Tree, merge};
use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{body::Typed, show};
use crate::{
    problem::Problem,
    secret,
    service::Service,
    starters::STARTERS,
    store::{PresetRow, millis, new_id},
};

/// What a preset is made of.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPreset {
    name: String,
    description: Option<String>,
    document: Value,
}

/// What may be changed of a preset.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PresetChange {
    name: Option<String>,
    description: Option<String>,
    document: Option<Value>,
}

/// Refuses a document that no job could be laid over.
fn check_document(document: &Value) -> Result<(), Problem> {
    let tree = Tree::read(&document.to_string())?;
    let has = |name: &str| tree.field(name).is_some();
    if has("input") || has("input_files") || has("webhookUrl") || has("presetId") {
        let allowed = "a document without input, input_files, webhookUrl and presetId";
        return Err(Problem::invalid("document", "one with them", allowed));
    }
    // With an input it is a job.
    let is_several = tree.field("output_files").is_some()
        || matches!(tree.field("recipe").and_then(|recipe| recipe.field("name")),
            Some(Tree::Text(name)) if name == "concat");
    let inputs = if is_several || has("ffmpeg") {
        r#"{"input_files":{"in_1":"https://host.invalid/a.mp4"}}"#
    } else {
        r#"{"input":{"url":"https://host.invalid/a.mp4"}}"#
    };
    let whole = merge(&tree, &Tree::read(inputs)?)?;
    Job::from_tree(&whole, Door::Service)?;
    Ok(())
}

fn check_name(name: &str) -> Result<(), Problem> {
    let length = name.chars().count();
    if (1..=200).contains(&length) {
        return Ok(());
    }
    Err(Problem::invalid("name", format!("{length} letters"), "1 to 200 letters"))
}

async fn save(service: &Service, preset: PresetRow) -> Result<Response, Problem> {
    service.store.put_preset(&preset).await?;
    Ok((StatusCode::CREATED, Json(show::preset(&preset))).into_response())
}

/// `POST /v1/presets`
pub(super) async fn create_preset(
    State(service): State<Service>,
    Typed(new): Typed<NewPreset>,
) -> Result<Response, Problem> {
    check_name(&new.name)?;
    check_document(&new.document)?;
    let now = millis();
    let preset = PresetRow {
        id: new_id(),
        name: new.name,
        description: new.description,
        document: new.document.to_string(),
        created_at: now,
        updated_at: now,
    };
    save(&service, preset).await
}

/// `GET /v1/presets`
pub(super) async fn list_presets(State(service): State<Service>) -> Result<Json<Value>, Problem> {
    let presets = service.store.presets().await?;
    Ok(Json(json!({ "data": presets.iter().map(show::preset).collect::<Vec<_>>() })))
}

async fn preset(service: &Service, id: &str) -> Result<PresetRow, Problem> {
    service.store.preset(id).await?.ok_or_else(|| Problem::not_found("preset"))
}

/// `GET /v1/presets/{id}`
pub(super) async fn get_preset(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(show::preset(&preset(&service, &id).await?)))
}

/// `PATCH /v1/presets/{id}`
pub(super) async fn change_preset(
    State(service): State<Service>,
    Path(id): Path<String>,
    Typed(change): Typed<PresetChange>,
) -> Result<Json<Value>, Problem> {
    let mut preset = preset(&service, &id).await?;
    if let Some(name) = change.name {
        check_name(&name)?;
        preset.name = name;
    }
    if change.description.is_some() {
        preset.description = change.description;
    }
    if let Some(document) = change.document {
        check_document(&document)?;
        preset.document = document.to_string();
    }
    preset.updated_at = millis();
    service.store.put_preset(&preset).await?;
    Ok(Json(show::preset(&preset)))
}

/// `DELETE /v1/presets/{id}`
pub(super) async fn delete_preset(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if service.store.delete_preset(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("preset"))
    }
}

/// `GET /v1/presets/starters`
pub(super) async fn starters() -> Json<Value> {
    let shown = STARTERS.iter().map(|(slug, name, document)| {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        json!({ "slug": slug, "name": name, "document": document })
    });
    Json(json!({ "data": shown.collect::<Vec<_>>() }))
}

/// `POST /v1/presets/starters/{slug}/clone`
pub(super) async fn clone_starter(
    State(service): State<Service>,
    Path(slug): Path<String>,
) -> Result<Response, Problem> {
    let found = STARTERS.iter().find(|(known, ..)| *known == slug);
    let (_, name, document) = found.ok_or_else(|| Problem::not_found("starter"))?;
    let now = millis();
    let preset = PresetRow {
        id: new_id(),
        name: (*name).to_owned(),
        description: None,
        document: (*document).to_owned(),
        created_at: now,
        updated_at: now,
    };
    save(&service, preset).await
}

/// What may be set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewSettings {
    /// `null` for none.
    #[serde(default, deserialize_with = "given")]
    default_webhook_url: Option<Option<String>>,
    /// `rotate` makes a new one.
    webhook_secret: Option<String>,
}

/// Tells `null` from nothing.
fn given<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn show_settings(service: &Service) -> Result<Json<Value>, Problem> {
    let url = service.store.setting("defaultWebhookUrl").await?;
    let secret = service.store.setting("webhookSecret").await?;
    Ok(Json(json!({ "defaultWebhookUrl": url, "webhookSecret": secret })))
}

/// `GET /v1/settings`
pub(super) async fn settings(State(service): State<Service>) -> Result<Json<Value>, Problem> {
    show_settings(&service).await
}

/// `POST /v1/settings`
pub(super) async fn set_settings(
    State(service): State<Service>,
    Typed(new): Typed<NewSettings>,
) -> Result<Json<Value>, Problem> {
    if let Some(url) = &new.default_webhook_url {
        if let Some(problem) = url.as_deref().and_then(|url| service.refuses(url)) {
            return Err(Problem::invalid("defaultWebhookUrl", problem.found, problem.allowed));
        }
        service.store.set("defaultWebhookUrl", url.as_deref()).await?;
    }
    match new.webhook_secret.as_deref() {
        None => {}
        Some("rotate") => {
            let secret = secret::new_webhook_secret();
            service.store.set("webhookSecret", Some(&secret)).await?;
        }
        Some(_) => {
            return Err(Problem::invalid("webhookSecret", "another text", "rotate"));
        }
    }
    show_settings(&service).await
}

/// What a key is called.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewToken {
    name: String,
}

/// `POST /v1/tokens`
pub(super) async fn create_token(
    State(service): State<Service>,
    Typed(new): Typed<NewToken>,
) -> Result<Response, Problem> {
    check_name(&new.name)?;
    let (row, key) = service.store.new_token(&new.name).await?;
    let mut shown = show::token(&row);
    shown["key"] = Value::from(key);
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

/// `GET /v1/tokens`
pub(super) async fn list_tokens(State(service): State<Service>) -> Result<Json<Value>, Problem> {
    let tokens = service.store.tokens().await?;
    Ok(Json(json!({ "data": tokens.iter().map(show::token).collect::<Vec<_>>() })))
}

/// `DELETE /v1/tokens/{id}`
pub(super) async fn revoke_token(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    if service.store.revoke_token(&id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("token"))
    }
}

/// `GET /metrics`, as Prometheus reads it.
pub(super) async fn metrics(State(service): State<Service>) -> Result<Response, Problem> {
    let mut text = String::new();
    text += "# TYPE avocet_jobs gauge\n";
    for (state, count) in service.store.counts().await? {
        let _ = writeln!(text, "avocet_jobs{{state=\"{state}\"}} {count}");
    }
    let counts = &service.counts;
    for (name, count) in [
        ("worker_starts", &counts.worker_starts),
        ("worker_crashes", &counts.worker_crashes),
        ("webhooks_sent", &counts.webhooks_sent),
        ("webhooks_failed", &counts.webhooks_failed),
        ("output_bytes", &counts.bytes_made),
        ("job_milliseconds", &counts.job_millis),
        ("jobs_ended", &counts.jobs_ended),
    ] {
        let count = count.load(Ordering::Relaxed);
        let _ = writeln!(text, "# TYPE avocet_{name}_total counter\navocet_{name}_total {count}");
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
