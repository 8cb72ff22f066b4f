//! The paths for jobs.

use std::{convert::Infallible, sync::Arc, time::Duration};

use avocet_recipes::{CheckedJob, Job, Policy, Problem as DocumentProblem, Task, Tree, merge};
use axum::{
    Json,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Caller, JobsRead, JobsWrite},
    body::{Asked, Body, Name, cut_page, page_size},
    files::{Signed, TO_REACH},
    problem::Problem,
    schema::Document,
};
use crate::{
    model::{clock::millis, protocol::Failure, secret},
    service::Service,
    store::{Created, JobRow, Settled, State as JobState, Wanted, new_id},
    view::{self, Accepted, Delivery, List, Page},
};

/// The pause that clients are told to make when the queue of their project is full.
const TO_DRAIN: Duration = Duration::from_secs(30);

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(plan))
        .routes(routes!(get, remove))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(deliveries))
        .routes(routes!(events))
        .routes(routes!(events_url))
}

/// Takes a job on: it is on the disk when this is answered. With a key, the same body makes no
/// second job within a week, and another body is refused.
#[utoipa::path(post, operation_id = "createJob", path = "/jobs", tag = "Jobs", request_body = Document,
    params(("Idempotency-Key" = Option<String>, Header,
        description = "1 to 255 visible ASCII characters")),
    responses((status = 202, description = "The job is accepted", body = Accepted)))]
async fn create(
    State(service): State<Service>,
    caller: Caller<JobsWrite>,
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
        && let Some((known, id)) = service.store.known(&caller.project, key).await?
    {
        return repeated(&service, known == hash, id).await;
    }
    let (document, job) = read(&service, &caller.project, &text).await?;
    let row = row_of(&caller.project, document, &job);
    let idempotency = key.map(|key| (key, hash.as_str()));
    let most = service.config.most_queued_per_project;
    match service.store.create(&row, idempotency, most).await? {
        Created::New => {
            tracing::info!(job = row.id, recipe = row.recipe, "taken on");
            service.wake();
            service.webhooks.notify_one();
            let accepted = Accepted { job_id: row.id, state: JobState::Queued };
            Ok((StatusCode::ACCEPTED, Json(accepted)))
        }
        Created::Known(id) => repeated(&service, true, id).await,
        Created::Conflict => repeated(&service, false, row.id).await,
        Created::Full => {
            let message = format!("{most} jobs of the project wait already");
            Err(Problem::too_many(message, TO_DRAIN))
        }
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
fn row_of(project: &str, document: String, job: &Job) -> JobRow {
    let refused = job.check_arguments().err();
    let now = millis();
    let error = refused.map(|error| {
        let (code, stage) = (error.code(), error.step().name());
        json!(Failure::new(code, error.to_string(), stage, false)).to_string()
    });
    JobRow {
        id: new_id(),
        project: project.to_owned(),
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
        webhook_url: job.service.webhook_url.clone(),
        priority: job.service.priority as i64,
        metadata: json!(job.service.metadata).to_string(),
        timeline: String::new(),
        cancel: 0,
        created_at: now,
        started_at: None,
    }
}

/// The document of a request, merged over its preset, and the checked job that it describes.
async fn read(
    service: &Service,
    project: &str,
    text: &str,
) -> Result<(String, CheckedJob), Problem> {
    let mut tree = Tree::read(text)?;
    if let Some(Tree::Text(id)) = tree.field("presetId").cloned() {
        let found = service.store.preset(project, &id).await?;
        let preset = found.ok_or_else(|| {
            Problem::invalid("presetId", format!("\"{id}\""), "the id of an existing preset")
        })?;
        tree = merge(&Tree::read(&preset.document)?, &tree)?;
    }
    let job = Job::from_tree(&tree, Policy::Service)?;
    let mut problems = Vec::new();
    for input in &job.inputs {
        if let Some(problem) = service.refuses_input(project, &input.url).await? {
            let one = || "input.url".to_owned();
            let path = input.key.as_ref().map_or_else(one, |key| format!("input_files.{key}"));
            problems.push(DocumentProblem { path, ..problem });
        }
    }
    let webhook = job.service.webhook_url.as_deref().and_then(|url| service.refuses(url));
    let path = "webhookUrl".to_owned();
    problems.extend(webhook.map(|problem| DocumentProblem { path, ..problem }));
    let output = job.service.output_url.as_deref().and_then(|url| service.refuses_output(url));
    problems.extend(output);
    if problems.is_empty() { Ok((job.to_json(), job)) } else { Err(Problem::all_invalid(problems)) }
}

/// Probes the inputs and tells what would be done, and why. Nothing is kept.
///
/// A document that is sound and can not be carried out is answered with 422 and the error that its
/// job would end with.
#[utoipa::path(post, operation_id = "planJob", path = "/jobs/plan", tag = "Jobs", request_body = Document,
    responses((status = 200, description = "The plan", body = Object)))]
async fn plan(
    State(service): State<Service>,
    caller: Caller<JobsWrite>,
    Body(text): Body,
) -> Result<Json<Value>, Problem> {
    service.expect_room()?;
    let (_, job) = read(&service, &caller.project, &text).await?;
    Ok(Json(service.plan(&caller.project, &job).await?))
}

/// One job.
#[utoipa::path(get, operation_id = "getJob", path = "/jobs/{id}", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The job", body = view::Job)))]
async fn get(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
    Name(id): Name,
) -> Result<Json<view::Job>, Problem> {
    let job = find(&service, &caller.project, &id).await?;
    Ok(Json(view::job(&service, &job).await))
}

async fn find(service: &Service, project: &str, id: &str) -> Result<JobRow, Problem> {
    let found = service.store.job_of(project, id).await?;
    found.ok_or_else(|| Problem::not_found("job"))
}

/// Deletes a job that has ended, its outputs and what is known of it. Webhooks that were not yet
/// delivered are given up.
#[utoipa::path(delete, operation_id = "deleteJob", path = "/jobs/{id}", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 204, description = "The job is deleted")))]
async fn remove(
    State(service): State<Service>,
    caller: Caller<JobsWrite>,
    Name(id): Name,
) -> Result<StatusCode, Problem> {
    let job = find(&service, &caller.project, &id).await?;
    if !job.state.is_terminal() {
        return Err(Problem::conflict("the job has not ended; cancel it first"));
    }
    let gone = service.delete(&job).await?;
    if gone.map_err(|error| Problem::unavailable(error, TO_REACH))? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::conflict("the job was queued again, or deleted, meanwhile"))
    }
}

/// What may be asked of all jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct Listing {
    /// Only those in this state.
    state: Option<JobState>,
    /// Only those with this recipe; `ffmpeg` for custom arguments.
    recipe: Option<String>,
    /// Only those created at this time or later, as RFC 3339 writes it.
    created_after: Option<String>,
    /// Only those created before this time, as RFC 3339 writes it.
    created_before: Option<String>,
    /// Only those with this pair of metadata, as in `team:blue`.
    metadata: Option<String>,
    /// How many at most. Default: 20.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Jobs, newest first.
#[utoipa::path(get, operation_id = "listJobs", path = "/jobs", tag = "Jobs", params(Listing),
    responses((status = 200, description = "A page of jobs", body = Page)))]
async fn list(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
    Asked(asked): Asked<Listing>,
) -> Result<Json<Page>, Problem> {
    let limit = page_size(asked.limit)?;
    let at = |name: &str, text: &Option<String>| {
        let Some(text) = text else { return Ok(None) };
        let wrong =
            || Problem::invalid(name, format!("\"{text}\""), "a time as RFC 3339 writes it");
        view::millis_of(text).map(Some).ok_or_else(wrong)
    };
    let metadata = asked.metadata.as_deref().map(|pair| {
        let wrong =
            || Problem::invalid("metadata", format!("\"{pair}\""), "a pair as in `team:blue`");
        pair.split_once(':').ok_or_else(wrong)
    });
    let wanted = Wanted {
        state: asked.state,
        recipe: asked.recipe.as_deref(),
        since: at("createdAfter", &asked.created_after)?,
        until: at("createdBefore", &asked.created_before)?,
        metadata: metadata.transpose()?,
    };
    let cursor = asked.cursor.as_deref();
    let mut jobs = service.store.jobs(&caller.project, wanted, cursor, limit + 1).await?;
    let next_cursor = cut_page(&mut jobs, limit, |job| &job.id);
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
#[utoipa::path(post, operation_id = "cancelJob", path = "/jobs/{id}/cancel", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 202, description = "The job, which is asked to stop", body = view::Job)))]
async fn cancel(
    State(service): State<Service>,
    caller: Caller<JobsWrite>,
    Name(id): Name,
) -> Result<Changed, Problem> {
    let asked = service.store.cancel(&caller.project, &id).await?;
    if matches!(asked, Settled::Running(_)) {
        service.cancelled(&id);
    }
    service.changed(&id);
    settled(&service, asked).await
}

/// Runs a job again that failed or was cancelled, under the same id.
#[utoipa::path(post, operation_id = "retryJob", path = "/jobs/{id}/retry", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 202, description = "The job, which is queued again", body = view::Job)))]
async fn retry(
    State(service): State<Service>,
    caller: Caller<JobsWrite>,
    Name(id): Name,
) -> Result<Changed, Problem> {
    service.expect_room()?;
    let asked = service.store.retry(&caller.project, &id).await?;
    service.wake();
    service.changed(&id);
    settled(&service, asked).await
}

/// Webhooks of a job, and what became of each attempt.
#[utoipa::path(get, operation_id = "listDeliveries", path = "/jobs/{id}/deliveries", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 200, description = "All deliveries of the job", body = List<Delivery>)))]
async fn deliveries(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
    Name(id): Name,
) -> Result<Json<List<Delivery>>, Problem> {
    find(&service, &caller.project, &id).await?;
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
    /// Its place among all listeners.
    _place: OwnedSemaphorePermit,
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
#[utoipa::path(get, operation_id = "watchJob", path = "/jobs/{id}/events", tag = "Jobs", params(("id" = String, Path)),
    responses((status = 200, description = "The events", content_type = "text/event-stream",
        body = Told)))]
async fn events(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
    Name(id): Name,
) -> Result<Response, Problem> {
    find(&service, &caller.project, &id).await?;
    listen(service, id)
}

fn listen(service: Service, id: String) -> Result<Response, Problem> {
    let place = Arc::clone(&service.listeners).try_acquire_owned();
    let many = |_| Problem::unavailable("too many clients listen to events", TO_DRAIN);
    let listener =
        Listener { service, id, last: None, has_ended: false, _place: place.map_err(many)? };
    let stream = futures_util::stream::unfold(listener, Listener::next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response())
}

/// How long the URL for the events of a job lives. A listener that has it stays connected longer.
const EVENTS_LIVE: Duration = Duration::from_secs(300);

/// A URL for the events of a job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventsUrl {
    /// For `EventSource` in browsers, which can not send a key.
    url: String,
    /// Until when a connection can begin.
    expires_at: String,
}

/// Makes a URL for the events of a job that needs no key, for five minutes.
#[utoipa::path(post, operation_id = "createEventsUrl", path = "/jobs/{id}/events-url", tag = "Jobs",
    params(("id" = String, Path)),
    responses((status = 201, description = "The URL", body = EventsUrl)))]
async fn events_url(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
    Name(id): Name,
) -> Result<(StatusCode, Json<EventsUrl>), Problem> {
    find(&service, &caller.project, &id).await?;
    let path = format!("/events/{id}");
    let expires = (secret::now() + EVENTS_LIVE).as_secs();
    let url = format!("{}{path}?{}", service.public_url, service.keys.sign(&path, expires));
    let expires_at = view::time(i64::try_from(expires).unwrap_or(0) * 1000);
    Ok((StatusCode::CREATED, Json(EventsUrl { url, expires_at })))
}

/// The events of a job, by a signed URL: `GET /events/…?expires=…&signature=…`.
pub(super) async fn signed_events(
    State(service): State<Service>,
    Name(id): Name,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Signed::check(&service, &format!("/events/{id}"), query.as_deref())?;
    service.store.job(&id).await?.ok_or_else(|| Problem::not_found("job"))?;
    listen(service, id)
}
