//! The paths by which a client learns who it is, and what the service has and can do.

use std::collections::BTreeMap;

use avocet_engine::Engine;
use axum::{Extension, Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Caller, JobsRead},
    problem::Problem,
};
use crate::{
    model::scope::Scope,
    service::Service,
    store::{DEFAULT_PROJECT, Holder},
    view::time,
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(key)).routes(routes!(system))
}

/// Whose requests these are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Key {
    /// The id of the API key.
    id: String,
    /// The id of its project.
    project: String,
    project_name: String,
    /// What it may do.
    scopes: Vec<Scope>,
    /// Null for never.
    #[schema(required)]
    expires_at: Option<String>,
}

/// The API key of this request: any may ask.
#[utoipa::path(get, operation_id = "getKey", path = "/key", tag = "Keys",
    responses((status = 200, description = "What the API key is", body = Key)))]
async fn key(
    State(service): State<Service>,
    Extension(holder): Extension<Holder>,
) -> Result<Json<Key>, Problem> {
    let project = service.store.project(&holder.project).await?;
    Ok(Json(Key {
        id: holder.token,
        project_name: project.map_or_else(|| holder.project.clone(), |project| project.name),
        project: holder.project,
        scopes: holder.scopes,
        expires_at: holder.expires_at.map(time),
    }))
}

/// What the service has and can do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct System {
    version: &'static str,
    /// The release of FFmpeg whose libraries do the work.
    libav: String,
    /// The `ffmpeg` program that jobs in ffmpeg mode run; null where there is none.
    #[schema(required)]
    ffmpeg: Option<String>,
    encoders: Vec<String>,
    /// What of the confinement of workers is not enforced, in words; null when all is.
    #[schema(required)]
    unconfined: Option<String>,
    /// An input for a first try.
    sample: &'static str,
    /// The names of the folders that inputs may name, as in `root:films/a.mkv`.
    input_roots: Vec<String>,
    /// The names of the folders that outputs may go to.
    output_roots: Vec<String>,
    /// The most bytes of an upload.
    most_upload_bytes: u64,
    /// How many jobs of the project are in each state.
    jobs: BTreeMap<String, i64>,
    /// How the service is used, for keys of the project `default`; null for others.
    #[schema(required)]
    usage: Option<Usage>,
}

/// How a service is used, by all projects.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Usage {
    /// How many jobs run.
    running: usize,
    /// How many jobs may run at once.
    places: u32,
    /// How many jobs wait.
    queued: i64,
    /// How many webhooks are to be sent.
    webhooks: i64,
    /// Free space of the data folder, in bytes; null where that is not known.
    #[schema(required)]
    free_bytes: Option<u64>,
    /// How much of it is kept free.
    least_free_bytes: u64,
    /// Why no jobs are taken on now; null when they are.
    #[schema(required)]
    trouble: Option<String>,
}

/// What the service has and can do, and how it is used.
#[utoipa::path(get, operation_id = "getSystem", path = "/system", tag = "Operation",
    responses((status = 200, description = "The service", body = System)))]
async fn system(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
) -> Result<Json<System>, Problem> {
    let (store, config) = (&service.store, &service.config);
    let usage = if caller.project == DEFAULT_PROJECT {
        Some(Usage {
            running: service.places.taken(),
            places: config.shares().1,
            queued: store.queued().await?,
            webhooks: store.backlog().await?,
            free_bytes: service.disk.free_bytes(),
            least_free_bytes: config.least_free_bytes,
            trouble: service.expect_room().err().map(|busy| busy.what.to_owned()),
        })
    } else {
        None
    };
    let jobs = store.counts_of(&caller.project).await?;
    let capabilities = Engine::default().capabilities();
    let names = |roots: &crate::roots::Roots| roots.keys().cloned().collect();
    Ok(Json(System {
        version: env!("CARGO_PKG_VERSION"),
        libav: capabilities.version.clone(),
        ffmpeg: service.pool.ffmpeg().map(|path| path.display().to_string()),
        encoders: capabilities.encoders.iter().cloned().collect(),
        unconfined: service.unconfined(),
        sample: crate::SAMPLE,
        input_roots: names(&config.input_roots),
        output_roots: names(&config.output_roots),
        most_upload_bytes: config.most_input_bytes,
        jobs: jobs.into_iter().map(|(state, count)| (state.name().to_owned(), count)).collect(),
        usage,
    }))
}
