//! Jobs over HTTP.

use std::convert::Infallible;

use avocet_recipes::{Door, Job, Problem as DocumentProblem, Task, Tree, merge};
use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{auth::Caller, body::Body, show};
use crate::{
    problem::Problem,
    secret,
    service::Service,
    store::{Created, JobRow, Settled, State as JobState, millis, new_id},
};

/// `POST /v1/jobs`
pub(super) async fn create(
    State(service): State<Service>,
    Extension(Caller(token)): Extension<Caller>,
    headers: HeaderMap,
    Body(text): Body,
) -> Result<Response, Problem> {
    service.expect_room()?;
    let (document, job) = read(&service, &text).await?;
    let refused = job.check_arguments().err();
    let now = millis();
    let state = if refused.is_some() { JobState::Rejected } else { JobState::Queued };
    let error = refused.map(|error| {
        let code = error.code();
        let (message, stage) = (error.to_string(), error.step().name());
        json!({ "code": code, "message": message, "stage": stage, "retryable": false }).to_string()
    });
    let row = JobRow {
        id: new_id(),
        state: state.name().to_owned(),
        progress: 0,
        document,
        recipe: match &job.task {
            Task::Recipe(recipe) => Some(recipe.name().name().to_owned()),
            Task::Ffmpeg(_) => None,
        },
        strategy: None,
        reasons: "[]".to_owned(),
        warnings: "[]".to_owned(),
        outputs: "[]".to_owned(),
        finished_at: error.is_some().then_some(now),
        error,
        attempts: 0,
        webhook_url: job.webhook_url.clone(),
        cancel: 0,
        created_at: now,
        started_at: None,
    };
    let key = headers.get("idempotency-key").map(|key| {
        let key = key.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
        key.ok_or_else(|| Problem::invalid("Idempotency-Key", "something else", "1 to 255 letters"))
    });
    let (key, hash) = (key.transpose()?, secret::hash(&text));
    let idempotency = key.map(|key| (token.as_str(), key, hash.as_str()));
    match service.store.create(&row, idempotency).await? {
        Created::New => {
            service.wake();
            Ok(accepted(&row.id, "queued"))
        }
        Created::Known(id) => {
            let known = service.store.job(&id).await?.ok_or_else(|| Problem::not_found("job"))?;
            Ok(accepted(&id, &known.state))
        }
        Created::Conflict => {
            Err(Problem::conflict("the idempotency key was used with another body"))
        }
    }
}

fn accepted(id: &str, state: &str) -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "jobId": id, "state": state }))).into_response()
}

/// The document of a request, merged over its preset, and the job that it asks for.
async fn read(service: &Service, text: &str) -> Result<(String, Job), Problem> {
    let mut tree = Tree::read(text)?;
    if let Some(Tree::Text(id)) = tree.field("presetId").cloned() {
        let found = service.store.preset(&id).await?;
        let preset = found.ok_or_else(|| {
            Problem::invalid("presetId", format!("\"{id}\""), "the id of a preset")
        })?;
        tree = merge(&Tree::read(&preset.document)?, &tree)?;
    }
    let job = Job::from_tree(&tree, Door::Service)?;
    let mut problems = Vec::new();
    for (number, input) in job.inputs.iter().enumerate() {
        if let Some(problem) = service.refuses(&input.url) {
            let path = input.key.as_ref().map_or_else(
                || "input.url".to_owned(),
                |key| format!("input_files.{key}"),
            );
            let _ = number;
            problems.push(DocumentProblem { path, ..problem });
        }
    }
    if let Some(problem) = job.webhook_url.as_deref().and_then(|url| service.refuses(url)) {
        problems.push(DocumentProblem { path: "webhookUrl".to_owned(), ..problem });
    }
    if problems.is_empty() { Ok((job.to_json(), job)) } else { Err(Problem::all_invalid(problems)) }
}

/// `GET /v1/jobs/{id}`
pub(super) async fn get(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let job = service.store.job(&id).await?.ok_or_else(|| Problem::not_found("job"))?;
    Ok(Json(show::job(&service, &job)))
}

/// What `GET /v1/jobs` may be asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    state: Option<JobState>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// `GET /v1/jobs`
pub(super) async fn list(
    State(service): State<Service>,
    query: Result<Query<Listing>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(asked) =
        query.map_err(|error| Problem::invalid("query", error.body_text(), "state, limit, cursor"))?;
    let limit = asked.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(Problem::invalid("limit", limit.to_string(), "a number from 1 to 100"));
    }
    let state = asked.state.map(JobState::name);
    let mut jobs = service.store.jobs(state, asked.cursor.as_deref(), limit + 1).await?;
    let is_more = jobs.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if is_more {
        jobs.pop();
    }
    let next = jobs.last().filter(|_| is_more).map(|job| job.id.clone());
    let data: Vec<Value> = jobs.iter().map(|job| show::job(&service, job)).collect();
    Ok(Json(json!({ "data": data, "nextCursor": next })))
}

async fn settled(service: &Service, id: &str, settled: Settled) -> Result<Response, Problem> {
    match settled {
        Settled::Missing => Err(Problem::not_found("job")),
        Settled::Conflict => Err(Problem::conflict("the state of the job does not allow that")),
        Settled::Running | Settled::Done => {
            let job = service.store.job(id).await?.ok_or_else(|| Problem::not_found("job"))?;
            Ok((StatusCode::ACCEPTED, Json(show::job(service, &job))).into_response())
        }
    }
}

/// `POST /v1/jobs/{id}/cancel`
pub(super) async fn cancel(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let asked = service.store.cancel(&id).await?;
    service.cancelled(&id);
    settled(&service, &id, asked).await
}

/// `POST /v1/jobs/{id}/retry`
pub(super) async fn retry(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    service.expect_room()?;
    let asked = service.store.retry(&id).await?;
    service.wake();
    settled(&service, &id, asked).await
}

/// `GET /v1/jobs/{id}/deliveries`
pub(super) async fn deliveries(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    service.store.job(&id).await?.ok_or_else(|| Problem::not_found("job"))?;
    let mut shown = Vec::new();
    for delivery in service.store.deliveries_of(&id).await? {
        let attempts = service.store.attempts_of(&delivery.id).await?;
        shown.push(show::delivery(&delivery, &attempts));
    }
    Ok(Json(json!({ "data": shown })))
}

/// `GET /v1/jobs/{id}/events`
pub(super) async fn events(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    service.store.job(&id).await?.ok_or_else(|| Problem::not_found("job"))?;
    let changes = service.changes(&id);
    let stream = futures_util::stream::unfold(
        (service, id, changes, None::<String>, false),
        |(service, id, mut changes, last, ended)| async move {
            if ended {
                return None;
            }
            let mut last = last;
            loop {
                let job = service.store.job(&id).await.ok()??;
                let shown = show::job(&service, &job);
                let told = format!("{} {}", job.state, job.progress);
                if last.as_ref() != Some(&told) {
                    let ended = JobState::is_terminal(&job.state);
                    let event = Event::default().id(told.replace(' ', "-")).json_data(&shown).ok()?;
                    return Some((Ok::<_, Infallible>(event), (service, id, changes, Some(told), ended)));
                }
                last = Some(told);
                // Somebody else may have changed it, too.
                let _ = tokio::time::timeout(std::time::Duration::from_secs(1), changes.changed()).await;
            }
        },
    );
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}
