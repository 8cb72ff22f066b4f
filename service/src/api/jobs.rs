//! The paths for jobs.

use std::{convert::Infallible, time::Duration};

use avocet_recipes::{CheckedJob, Job, Policy, Problem as DocumentProblem, Task, Tree, merge};
use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    body::{Asked, Body, Name},
    problem::Problem,
    schema::Document,
};
use crate::{
    model::{protocol::Failure, secret},
    service::Service,
    store::{Created, JobRow, Settled, State as JobState, millis, new_id},
    view::{self, Accepted, Delivery, List, Page},
};

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(plan))
        .routes(routes!(get))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(deliveries))
        .routes(routes!(events))
}

/// Takes a job on: it is on the disk when this is answered. With a key, the same body makes no
/// second job within a week, and another body is refused.
#[utoipa::path(post, path = "/jobs", tag = "Jobs", request_body = Document,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters")),
    responses((status = 202, description = "The job is accepted", body = Accepted)))]
async fn create(
    State(service): State<Service>,
    Extension(Caller(token)): Extension<Caller>,
    headers: HeaderMap,
    Body(text): Body,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    service.expect_room()?;
    let key = headers.get("idempotency-key").map(|key| {
        let key = key.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
        key.ok_or_else(|| {
            Problem::invalid(
                "Idempotency-Key",
                "another value",
                "1 to 255 visible ASCII characters",
            )
        })
    });
    let (key, hash) = (key.transpose()?, secret::hash(&text));
    if let Some(key) = key
        && let Some((known, id)) = service.store.known(&token, key).await?
    {
        return repeated(&service, known == hash, id).await;
    }
    let (document, job) = read(&service, &text).await?;
    let row = row_of(document, &job);
    let idempotency = key.map(|key| (token.as_str(), key, hash.as_str()));
    match service.store.create(&row, idempotency).await? {
        Created::New => {
            tracing::info!(job = row.id, recipe = row.recipe, "taken on");
            service.wake();
            service.webhooks.notify_one();
            let accepted = Accepted { job_id: row.id, state: JobState::Queued };
            Ok((StatusCode::ACCEPTED, Json(accepted)))
        }
        Created::Known(id) => repeated(&service, true, id).await,
        Created::Conflict => repeated(&service, false, row.id).await,
    }
}

/// The answer to a request whose idempotency key was used before.
async fn repeated(
    service: &Service,
    is_same: bool,
    id: String,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    if !is_same {
        return Err(Problem::conflict("the idempotency key was used with another body"));
    }
    let known = service.store.job(&id).await?.ok_or_else(|| Problem::not_found("job"))?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { job_id: id, state: known.state })))
}

/// The row of a new job, which is rejected if its arguments are not allowed.
fn row_of(document: String, job: &Job) -> JobRow {
    let refused = job.check_arguments().err();
    let now = millis();
    let error = refused.map(|error| {
        let (code, stage) = (error.code(), error.step().name());
        json!(Failure::new(code, error.to_string(), stage, false)).to_string()
    });
    JobRow {
        id: new_id(),
        state: if error.is_some() { JobState::Rejected } else { JobState::Queued },
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
    }
}

/// The document of a request, merged over its preset, and the checked job that it describes.
async fn read(service: &Service, text: &str) -> Result<(String, CheckedJob), Problem> {
    let mut tree = Tree::read(text)?;
    if let Some(Tree::Text(id)) = tree.field("presetId").cloned() {
        let found = service.store.preset(&id).await?;
        let preset = found.ok_or_else(|| {
            Problem::invalid("presetId", format!("\"{id}\""), "the id of an existing preset")
        })?;
        tree = merge(&Tree::read(&preset.document)?, &tree)?;
    }
    let job = Job::from_tree(&tree, Policy::Service)?;
    let inputs = job.inputs.iter().map(|input| {
        let one = || "input.url".to_owned();
        let path = input.key.as_ref().map_or_else(one, |key| format!("input_files.{key}"));
        (path, input.url.as_str())
    });
    let webhook = job.webhook_url.as_deref().map(|url| ("webhookUrl".to_owned(), url));
    let problems: Vec<DocumentProblem> = inputs
        .chain(webhook)
        .filter_map(|(path, url)| Some(DocumentProblem { path, ..service.refuses(url)? }))
        .collect();
    if problems.is_empty() { Ok((job.to_json(), job)) } else { Err(Problem::all_invalid(problems)) }
}

/// Probes the inputs and tells what would be done, and why. Nothing is kept.
///
/// A document that is sound and can not be carried out is answered with 422 and the error that its
/// job would end with.
#[utoipa::path(post, path = "/jobs/plan", tag = "Jobs", request_body = Document,
    responses((status = 200, description = "The plan", body = Object)))]
async fn plan(State(service): State<Service>, Body(text): Body) -> Result<Json<Value>, Problem> {
    service.expect_room()?;
    let (document, _) = read(&service, &text).await?;
    Ok(Json(service.planners.plan(document, service.config.limits()).await?))
}

/// One job.
#[utoipa::path(get, path = "/jobs/{id}", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The job", body = view::Job)))]
async fn get(State(service): State<Service>, Name(id): Name) -> Result<Json<view::Job>, Problem> {
    let job = service.store.job(&id).await?.ok_or_else(|| Problem::not_found("job"))?;
    Ok(Json(view::job(&service, &job).await))
}

/// What may be asked of all jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// Only those in this state.
    state: Option<JobState>,
    /// How many at most. Default: 20.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Jobs, newest first.
#[utoipa::path(get, path = "/jobs", tag = "Jobs", params(Listing),
    responses((status = 200, description = "A page of jobs", body = Page)))]
async fn list(
    State(service): State<Service>,
    Asked(asked): Asked<Listing>,
) -> Result<Json<Page>, Problem> {
    let limit = asked.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(Problem::invalid("limit", limit.to_string(), "a number from 1 to 100"));
    }
    let mut jobs = service.store.jobs(asked.state, asked.cursor.as_deref(), limit + 1).await?;
    let is_more = jobs.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if is_more {
        jobs.pop();
    }
    let next_cursor = jobs.last().filter(|_| is_more).map(|job| job.id.clone());
    let mut data = Vec::new();
    for job in &jobs {
        data.push(view::job(&service, job).await);
    }
    Ok(Json(Page { data, next_cursor }))
}

type Changed = (StatusCode, Json<view::Job>);

async fn settled(service: &Service, settled: Settled) -> Result<Changed, Problem> {
    match settled {
        Settled::Missing => Err(Problem::not_found("job")),
        Settled::Conflict => Err(Problem::conflict("the state of the job does not allow this")),
        Settled::Running(job) | Settled::Done(job) => {
            Ok((StatusCode::ACCEPTED, Json(view::job(service, &job).await)))
        }
    }
}

/// Stops a job: one that waits at once, one that runs within a second.
#[utoipa::path(post, path = "/jobs/{id}/cancel", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 202, description = "The job, which is asked to stop", body = view::Job)))]
async fn cancel(State(service): State<Service>, Name(id): Name) -> Result<Changed, Problem> {
    let asked = service.store.cancel(&id).await?;
    if matches!(asked, Settled::Running(_)) {
        service.cancelled(&id);
    }
    service.changed(&id);
    settled(&service, asked).await
}

/// Runs a job again that failed or was cancelled, under the same id.
#[utoipa::path(post, path = "/jobs/{id}/retry", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 202, description = "The job, which is queued again", body = view::Job)))]
async fn retry(State(service): State<Service>, Name(id): Name) -> Result<Changed, Problem> {
    service.expect_room()?;
    let asked = service.store.retry(&id).await?;
    service.wake();
    service.changed(&id);
    settled(&service, asked).await
}

/// Webhooks of a job, and what became of each attempt.
#[utoipa::path(get, path = "/jobs/{id}/deliveries", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 200, description = "All deliveries of the job", body = List<Delivery>)))]
async fn deliveries(
    State(service): State<Service>,
    Name(id): Name,
) -> Result<Json<List<Delivery>>, Problem> {
    service.store.job(&id).await?.ok_or_else(|| Problem::not_found("job"))?;
    let mut data = Vec::new();
    for delivery in service.store.deliveries_of(&id).await? {
        let attempts = service.store.attempts_of(&delivery.id).await?;
        data.push(view::delivery(&delivery, &attempts));
    }
    Ok(Json(List { data }))
}

/// An event.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it is here to be described")]
struct Told {
    /// The job, as JSON.
    data: String,
}

/// A client that listens to the events of a job.
struct Listener {
    service: Service,
    id: String,
    last: Option<(JobState, i64)>,
    has_ended: bool,
}

impl Listener {
    /// The next change of the job; `None` after its terminal state, or when the service ends.
    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        /// How often the job is read although no change was signaled.
        const LOOK: Duration = Duration::from_secs(1);
        let mut changes = self.service.changes(&self.id);
        while !self.has_ended {
            let job = self.service.store.job(&self.id).await.ok()??;
            let now = (job.state, job.progress);
            if self.last != Some(now) {
                self.last = Some(now);
                self.has_ended = job.state.is_terminal();
                let shown = view::job(&self.service, &job).await;
                return Some((Ok(Event::default().json_data(shown).ok()?), self));
            }
            if self.service.is_ending() {
                break;
            }
            let _ = tokio::time::timeout(LOOK, changes.changed()).await;
        }
        None
    }
}

/// Every change of a job's state and progress as a server-sent event, from now to its end. Each
/// has the whole job as JSON.
#[utoipa::path(get, path = "/jobs/{id}/events", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The events", content_type = "text/event-stream",
        body = Told)))]
async fn events(State(service): State<Service>, Name(id): Name) -> Result<Response, Problem> {
    service.store.job(&id).await?.ok_or_else(|| Problem::not_found("job"))?;
    let listener = Listener { service, id, last: None, has_ended: false };
    let stream = futures_util::stream::unfold(listener, Listener::next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}
