//! The paths for presets.

use avocet_recipes::{Job, Policy, Tree, merge};
use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Caller, JobsRead, Settings},
    body::{Change, Name, Typed},
    problem::Problem,
    starters::STARTERS,
};
use crate::{
    model::clock::millis,
    service::Service,
    store::{PresetRow, new_id},
    view::{List, Preset, Starter, document as parsed},
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(starters))
        .routes(routes!(clone_starter))
        .routes(routes!(get, change, remove))
}

/// What a preset is made of.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({
    "name": "Small",
    "description": "For phones",
    "document": {
        "mode": "recipe",
        "output": { "format": "mp4" },
        "recipe": { "name": "webReady", "height": 480 },
    },
})))]
pub(super) struct NewPreset {
    /// 1 to 200 letters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    description: Option<String>,
    /// A document without `input`, `input_files`, `webhookUrl` and `presetId`.
    #[schema(value_type = Object)]
    document: Box<RawValue>,
}

/// What may be changed of a preset; what is absent stays, and so does a null, but for the
/// description.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(examples(json!({ "name": "Smaller", "description": null })))]
pub(super) struct PresetChange {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Null for none.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Change,
    #[schema(value_type = Option<Object>)]
    document: Option<Box<RawValue>>,
}

/// Refuses a preset that makes no valid job once inputs are added.
fn check_document(document: &RawValue) -> Result<(), Problem> {
    let tree = Tree::read(document.get())?;
    let has = |name: &str| tree.field(name).is_some();
    if has("input") || has("input_files") || has("webhookUrl") || has("presetId") {
        let allowed = "a document without input, input_files, webhookUrl and presetId";
        return Err(Problem::invalid("document", "one of these fields", allowed));
    }
    // Add inputs that the document could have, and check the whole as a job.
    let is_several = tree.field("output_files").is_some()
        || matches!(tree.field("recipe").and_then(|recipe| recipe.field("name")),
            Some(Tree::Text(name)) if name == "concat");
    let inputs = if is_several {
        r#"{"input_files":{"in_1":"https://host.invalid/a","in_2":"https://host.invalid/b"}}"#
    } else {
        r#"{"input":{"url":"https://host.invalid/a"}}"#
    };
    let whole = merge(&tree, &Tree::read(inputs)?)?;
    Job::from_tree(&whole, Policy::Service)?;
    Ok(())
}

type Made = (StatusCode, Json<Preset>);

async fn save(service: &Service, preset: PresetRow) -> Result<Made, Problem> {
    service.store.put_preset(&preset).await?;
    Ok((StatusCode::CREATED, Json(Preset::from(&preset))))
}

/// Saves a document without inputs.
#[utoipa::path(post, operation_id = "createPreset", path = "/presets", tag = "Presets", request_body = NewPreset,
    responses((status = 201, description = "The saved preset", body = Preset)))]
async fn create(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Typed(new): Typed<NewPreset>,
) -> Result<Made, Problem> {
    check_document(&new.document)?;
    let now = millis();
    let preset = PresetRow {
        id: new_id(),
        project: caller.project.clone(),
        name: new.name,
        description: new.description,
        document: new.document.get().to_owned(),
        created_at: now,
        updated_at: now,
    };
    save(&service, preset).await
}

/// All presets, newest first.
#[utoipa::path(get, operation_id = "listPresets", path = "/presets", tag = "Presets",
    responses((status = 200, description = "All presets", body = List<Preset>)))]
async fn list(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
) -> Result<Json<List<Preset>>, Problem> {
    let presets = service.store.presets(&caller.project).await?;
    Ok(Json(List { data: presets.iter().map(Preset::from).collect() }))
}

async fn find(service: &Service, project: &str, id: &str) -> Result<PresetRow, Problem> {
    service.store.preset(project, id).await?.ok_or_else(|| Problem::not_found("preset"))
}

/// One preset.
#[utoipa::path(get, operation_id = "getPreset", path = "/presets/{id}", tag = "Presets", params(("id" = String, Path)),
    responses((status = 200, description = "The preset", body = Preset)))]
async fn get(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
    Name(id): Name,
) -> Result<Json<Preset>, Problem> {
    Ok(Json(Preset::from(&find(&service, &caller.project, &id).await?)))
}

/// Changes a preset.
#[utoipa::path(patch, operation_id = "changePreset", path = "/presets/{id}", tag = "Presets", request_body = PresetChange, params(("id" = String, Path)),
    responses((status = 200, description = "The changed preset", body = Preset)))]
async fn change(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Name(id): Name,
    Typed(change): Typed<PresetChange>,
) -> Result<Json<Preset>, Problem> {
    let mut preset = find(&service, &caller.project, &id).await?;
    if let Some(name) = change.name {
        preset.name = name;
    }
    match change.description {
        Change::Stays => {}
        Change::Goes => preset.description = None,
        Change::To(text) => preset.description = Some(text),
    }
    if let Some(document) = change.document {
        check_document(&document)?;
        document.get().clone_into(&mut preset.document);
    }
    preset.updated_at = millis();
    service.store.put_preset(&preset).await?;
    Ok(Json(Preset::from(&preset)))
}

/// Deletes a preset; jobs that were made with it stay as they are.
#[utoipa::path(delete, operation_id = "deletePreset", path = "/presets/{id}", tag = "Presets", params(("id" = String, Path)),
    responses((status = 204, description = "The preset is deleted")))]
async fn remove(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Name(id): Name,
) -> Result<StatusCode, Problem> {
    if service.store.delete_preset(&caller.project, &id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("preset"))
    }
}

/// Documents to begin with.
#[utoipa::path(get, operation_id = "listStarters", path = "/presets/starters", tag = "Presets",
    responses((status = 200, description = "All starter presets", body = List<Starter>)))]
async fn starters(_caller: Caller<JobsRead>) -> Json<List<Starter>> {
    let shown = STARTERS.iter().map(|(slug, name, document)| Starter {
        slug,
        name,
        document: parsed(document),
    });
    Json(List { data: shown.collect() })
}

/// Makes a preset of a starter.
#[utoipa::path(post, operation_id = "cloneStarter", path = "/presets/starters/{slug}/clone", tag = "Presets",
    params(("slug" = String, Path)),
    responses((status = 201, description = "The preset", body = Preset)))]
async fn clone_starter(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Name(slug): Name,
) -> Result<Made, Problem> {
    let found = STARTERS.iter().find(|(known, ..)| *known == slug);
    let (_, name, document) = found.ok_or_else(|| Problem::not_found("starter"))?;
    let now = millis();
    let preset = PresetRow {
        id: new_id(),
        project: caller.project.clone(),
        name: (*name).to_owned(),
        description: None,
        document: (*document).to_owned(),
        created_at: now,
        updated_at: now,
    };
    save(&service, preset).await
}
