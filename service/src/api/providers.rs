//! The paths for storage providers.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Caller, Settings},
    body::{Change, Name, Typed},
    form::one_of,
    problem::Problem,
};
use crate::{
    model::clock::millis,
    outputs::storage::{Fields, Kind, check, fields_of},
    service::Service,
    store::{ProviderRow, new_id},
    view::{List, time},
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, change, remove))
        .routes(routes!(test))
}

/// A provider, or what is to change of one: what is absent or null stays, but of the fields that
/// follow from its type, secrets aside, what is null goes. `local` has `prefix`; `r2` has
/// `accountId` or `endpoint`, and `accessKeyId`; `s3` has `endpoint`, `region` and `accessKeyId`;
/// `gcs` has `endpoint`; `azure` has `endpoint` and `account`; all but `local` have `bucket`,
/// `prefix` and a secret.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(examples(json!({
    "provider": "s3",
    "name": "Pictures",
    "region": "eu-central-1",
    "bucket": "pictures",
    "prefix": "made/",
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "secretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
})))]
pub(super) struct NewProvider {
    /// The type, by either name; it can not be changed.
    #[schema(inline)]
    provider: Option<Kind>,
    /// The same as `provider`.
    #[schema(inline)]
    r#type: Option<Kind>,
    /// 1 to 200 letters. Default: the type.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    account_id: Change,
    /// The base of the store's URLs, `https:`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    endpoint: Change,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    region: Change,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    account: Change,
    /// The bucket, or container.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    bucket: Change,
    /// What keys of objects begin with.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    prefix: Change,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    access_key_id: Change,
    /// The secret of `r2` and `s3`; never shown.
    #[schema(write_only)]
    secret_access_key: Option<String>,
    /// The secret of `gcs`, a JSON document; never shown.
    #[schema(write_only)]
    service_account_key: Option<String>,
    /// The secret of `azure`; never shown.
    #[schema(write_only)]
    access_key: Option<String>,
    /// Whether outputs of jobs that begin from now on go there. Default: false.
    make_default: Option<bool>,
}

impl NewProvider {
    /// The type, by either name.
    fn kind(&self) -> Result<Option<Kind>, Problem> {
        match (self.provider, self.r#type) {
            (Some(one), Some(other)) if one != other => Err(Problem::invalid(
                "type",
                other.name(),
                format!("{}, as `provider` says", one.name()),
            )),
            (one, other) => Ok(one.or(other)),
        }
    }
}

/// A provider, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "so the field is called in the API")]
#[serde(rename_all = "camelCase")]
pub(super) struct Provider {
    id: String,
    name: String,
    provider: String,
    /// The same as `provider`.
    r#type: String,
    /// Whether outputs go there.
    is_default: bool,
    #[serde(flatten)]
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>)]
    fields: Fields,
    created_at: String,
    updated_at: String,
}

impl From<&ProviderRow> for Provider {
    fn from(row: &ProviderRow) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            provider: row.kind.clone(),
            r#type: row.kind.clone(),
            is_default: row.is_default,
            fields: fields_of(row),
            created_at: time(row.created_at),
            updated_at: time(row.updated_at),
        }
    }
}

/// Applies the given fields to a provider, and checks the result.
fn lay_over(
    service: &Service,
    row: &mut ProviderRow,
    kind: Kind,
    new: NewProvider,
) -> Result<(), Problem> {
    let mut fields = fields_of(row);
    let given = [
        ("accountId", new.account_id),
        ("endpoint", new.endpoint),
        ("region", new.region),
        ("account", new.account),
        ("bucket", new.bucket),
        ("prefix", new.prefix),
        ("accessKeyId", new.access_key_id),
    ];
    let mut problems = Vec::new();
    for (name, change) in given {
        let before = match change {
            Change::Stays => continue,
            Change::Goes => fields.remove(name),
            Change::To(text) => fields.insert(name.to_owned(), text),
        };
        let leads_elsewhere = matches!(name, "endpoint" | "accountId" | "account");
        if leads_elsewhere && before.as_ref() != fields.get(name) {
            // A changed endpoint or account needs its secret again: none is sent elsewhere.
            row.secrets.clear();
        }
    }
    let secrets = [
        ("secretAccessKey", new.secret_access_key),
        ("serviceAccountKey", new.service_account_key),
        ("accessKey", new.access_key),
    ];
    for (name, secret) in secrets {
        let Some(secret) = secret.filter(|secret| !secret.is_empty()) else { continue };
        if kind.secret() == Some(name) {
            let sealed = service.keys.encrypt(&row.id, &secret);
            row.secrets =
                sealed.ok_or_else(|| Problem::fault("a secret could not be encrypted"))?;
        } else {
            let allowed = format!("nothing, as `{}` does not take it", kind.name());
            problems.push(Problem::one(name, "a string", allowed));
        }
    }
    problems.extend(check(kind, &fields, !row.secrets.is_empty()));
    if let Some(problem) = fields.get("endpoint").and_then(|url| service.refuses(url)) {
        problems.push(Problem::one("endpoint", problem.found, problem.allowed));
    }
    if !problems.is_empty() {
        return Err(Problem::all_invalid(problems));
    }
    row.settings = serde_json::json!(fields).to_string();
    if let Some(name) = new.name {
        row.name = name;
    }
    row.is_default = new.make_default.unwrap_or(row.is_default);
    row.updated_at = millis();
    Ok(())
}

/// Adds a provider of storage.
#[utoipa::path(post, operation_id = "createStorageProvider", path = "/settings/storage-providers", tag = "Storage", request_body = NewProvider,
    responses((status = 201, description = "The provider", body = Provider)))]
async fn create(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Typed(new): Typed<NewProvider>,
) -> Result<(StatusCode, Json<Provider>), Problem> {
    let missing = || Problem::invalid("provider", "nothing", one_of(Kind::ALL.map(Kind::name)));
    let kind = new.kind()?.ok_or_else(missing)?;
    let now = millis();
    let mut row = ProviderRow {
        id: new_id(),
        project: caller.project.clone(),
        name: kind.name().to_owned(),
        kind: kind.name().to_owned(),
        settings: "{}".to_owned(),
        secrets: String::new(),
        is_default: false,
        created_at: now,
        updated_at: now,
    };
    lay_over(&service, &mut row, kind, new)?;
    service.store.put_provider(&row).await?;
    Ok((StatusCode::CREATED, Json(Provider::from(&row))))
}

/// All providers of storage, newest first. Where none is the default one, outputs go to the data
/// folder.
#[utoipa::path(get, operation_id = "listStorageProviders", path = "/settings/storage-providers", tag = "Storage",
    responses((status = 200, description = "All storage providers", body = List<Provider>)))]
async fn list(
    State(service): State<Service>,
    caller: Caller<Settings>,
) -> Result<Json<List<Provider>>, Problem> {
    let providers = service.store.providers(&caller.project).await?;
    Ok(Json(List { data: providers.iter().map(Provider::from).collect() }))
}

async fn find(service: &Service, project: &str, id: &str) -> Result<ProviderRow, Problem> {
    service
        .store
        .provider_of(project, id)
        .await?
        .ok_or_else(|| Problem::not_found("storage provider"))
}

/// One provider of storage.
#[utoipa::path(get, operation_id = "getStorageProvider", path = "/settings/storage-providers/{id}", tag = "Storage",
    params(("id" = String, Path)),
    responses((status = 200, description = "The provider", body = Provider)))]
async fn get(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Name(id): Name,
) -> Result<Json<Provider>, Problem> {
    Ok(Json(Provider::from(&find(&service, &caller.project, &id).await?)))
}

/// Changes a provider of storage.
#[utoipa::path(patch, operation_id = "changeStorageProvider", path = "/settings/storage-providers/{id}", tag = "Storage", request_body = NewProvider,
    params(("id" = String, Path)),
    responses((status = 200, description = "The changed storage provider", body = Provider)))]
async fn change(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Name(id): Name,
    Typed(new): Typed<NewProvider>,
) -> Result<Json<Provider>, Problem> {
    let mut row = find(&service, &caller.project, &id).await?;
    let kind = Kind::from_name(&row.kind)
        .ok_or_else(|| Problem::fault("a storage provider of unknown type"))?;
    if new.kind()?.is_some_and(|other| other != kind) {
        return Err(Problem::invalid("provider", "another type", kind.name()));
    }
    lay_over(&service, &mut row, kind, new)?;
    service.store.put_provider(&row).await?;
    Ok(Json(Provider::from(&row)))
}

/// Forgets a provider and its secret. Outputs that are there stay there, and can not be reached
/// from here any more.
#[utoipa::path(delete, operation_id = "deleteStorageProvider", path = "/settings/storage-providers/{id}", tag = "Storage",
    params(("id" = String, Path)),
    responses((status = 204, description = "The storage provider is deleted")))]
async fn remove(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Name(id): Name,
) -> Result<StatusCode, Problem> {
    if service.store.delete_provider(&caller.project, &id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("storage provider"))
    }
}

/// Whether outputs can go to a provider.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Trial {
    ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Writes, reads and deletes an object of a provider.
#[utoipa::path(post, operation_id = "testStorageProvider", path = "/settings/storage-providers/{id}/test", tag = "Storage",
    params(("id" = String, Path)),
    responses((status = 200, description = "The result of the test", body = Trial)))]
async fn test(
    State(service): State<Service>,
    caller: Caller<Settings>,
    Name(id): Name,
) -> Result<Json<Trial>, Problem> {
    let row = find(&service, &caller.project, &id).await?;
    let reason = service.try_provider(&row).await.err();
    Ok(Json(Trial { ok: reason.is_none(), reason }))
}
