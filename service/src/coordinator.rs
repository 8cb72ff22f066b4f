//! Runs jobs: takes tasks, gives them to workers, and notes what becomes of them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::{
    api::Stored,
    pool::{Recipe, Worker},
    protocol::{Done, Event, Failure, Order},
    service::Service,
    store::{JobRow, State, Task},
};

/// How long to wait for work before looking again.
const IDLE: Duration = Duration::from_millis(500);

/// How often the memory of a worker is looked at, and progress is written.
const WATCH: Duration = Duration::from_millis(250);

/// How often progress is written at most.
const WRITE: Duration = Duration::from_secs(1);

/// How often what may pass is tried: three times, with these pauses between them, in milliseconds.
const PAUSES: &[i64] = &[2_000, 10_000];

/// How a task ended.
enum Ending {
    /// In a state, with what it made.
    State(State, Vec<Stored>, String, Option<Failure>),
    /// It goes back, and is tried again after so many milliseconds.
    Again { after: i64, crashed: bool },
}

/// Why a worker is let go.
enum Fate {
    /// It goes on with the next job.
    Kept,
    /// It is ended.
    Lost,
}

/// Runs jobs, one after the other, until the service ends.
pub(crate) async fn run(service: Service, recipe: Recipe, threads: u32) {
    let mut worker = None;
    while !service.is_ending() {
        let task = match service.store.take().await {
            Ok(Some(task)) => task,
            Ok(None) => {
                // A task may be due later, without anybody saying so.
                let _ = timeout(IDLE, service.work()).await;
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "no task can be taken");
                sleep(IDLE).await;
                continue;
            }
        };
        service.changed(&task.job_id);
        // The next one may be due at once.
        service.wake();
        let begun = Instant::now();
        if let Err(error) = attend(&service, &recipe, threads, &task, &mut worker).await {
            tracing::error!(%error, job = task.job_id, "the database failed in the midst of a job");
            worker = None;
        }
        let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        service.counts.job_millis.fetch_add(millis, Ordering::Relaxed);
        service.counts.jobs_ended.fetch_add(1, Ordering::Relaxed);
        service.stopped(&task.job_id);
        service.changed(&task.job_id);
        service.webhooks.notify_one();
    }
}

/// Runs one task to its end, whatever that is.
async fn attend(
    service: &Service,
    recipe: &Recipe,
    threads: u32,
    task: &Task,
    worker: &mut Option<Worker>,
) -> Result<(), sqlx::Error> {
    let Some(job) = service.store.job(&task.job_id).await? else { return Ok(()) };
    let folder = service.work_folder().join(format!("{}-{}", task.job_id, task.attempt));
    let ending = if job.cancel != 0 {
        Ending::State(State::Cancelled, Vec::new(), "[]".to_owned(), None)
    } else {
        let (ending, fate) = run_once(service, recipe, threads, task, &job, &folder, worker).await?;
        if matches!(fate, Fate::Lost) {
            *worker = None;
        }
        ending
    };
    match ending {
        Ending::Again { after, crashed } => {
            service.store.give_back(task, after, crashed).await?;
        }
        Ending::State(state, outputs, warnings, failure) => {
            let bytes = outputs.iter().map(|output| output.made.size_bytes).sum();
            service.counts.bytes_made.fetch_add(bytes, Ordering::Relaxed);
            let outputs = json!(outputs).to_string();
            let error = failure.map(|failure| json!(failure).to_string());
            let error = error.as_deref();
            service.store.finish(task, state, &outputs, &warnings, error).await?;
        }
    }
    // What a job left half-way is of no use to anybody.
    let _ = tokio::fs::remove_dir_all(&folder).await;
    Ok(())
}

/// A failure of ours.
fn failure(code: &str, message: impl Into<String>, stage: &str, retryable: bool) -> Failure {
    let (code, stage) = (code.to_owned(), stage.to_owned());
    Failure { code, message: message.into(), stage, retryable }
}

/// What follows from a failure: another try, if it may pass and there were not too many.
fn after_failure(task: &Task, failure: Failure) -> Ending {
    // How often the job itself was run anew does not count.
    let tries = usize::try_from(task.tries).unwrap_or(usize::MAX);
    let passes = matches!(
        failure.code.as_str(),
        "INPUT_UNREACHABLE" | "STORAGE_ERROR" | "ENGINE_INVOKE_FAILED"
    );
    match PAUSES.get(tries) {
        Some(after) if failure.retryable && passes => {
            Ending::Again { after: *after, crashed: false }
        }
        _ => {
            let state = match failure.code.as_str() {
                "CANCELLED" => State::Cancelled,
                "UNSUPPORTED_COMMAND" => State::Rejected,
                _ => State::Failed,
            };
            let failure = Some(failure).filter(|_| state != State::Cancelled);
            Ending::State(state, Vec::new(), "[]".to_owned(), failure)
        }
    }
}

async fn run_once(
    service: &Service,
    recipe: &Recipe,
    threads: u32,
    task: &Task,
    job: &JobRow,
    folder: &Path,
    worker: &mut Option<Worker>,
) -> Result<(Ending, Fate), sqlx::Error> {
    let stop = service.stop_of(&task.job_id);
    let order = Order {
        id: job.id.clone(),
        document: without_service(&job.document),
        folder: folder.to_owned(),
        plan_only: false,
        threads,
    };
    let started = start(service, recipe, worker, folder, order).await;
    let worker = match started {
        Ok(worker) => worker,
        Err(error) => {
            let failed = failure("ENGINE_INVOKE_FAILED", error.to_string(), "open", true);
            return Ok((after_failure(task, failed), Fate::Lost));
        }
    };
    let begun = Instant::now();
    let limit = Duration::from_secs(service.config.most_job_seconds);
    let (mut state, mut progress) = (State::Probing, 0);
    let mut written = Instant::now();
    loop {
        let event = tokio::select! {
            event = worker.event() => event,
            () = stop.notified() => {
                let fate = if worker.stop().await { Fate::Kept } else { Fate::Lost };
                let ending = Ending::State(State::Cancelled, Vec::new(), "[]".to_owned(), None);
                return Ok((ending, fate));
            }
            () = sleep(WATCH) => {
                if begun.elapsed() > limit {
                    let message = format!("the time limit of {} s passed", limit.as_secs());
                    let failed = failure("ENGINE_INVOCATION_ERROR", message, "encode", true);
                    return Ok((after_failure(task, failed), Fate::Lost));
                }
                if worker.memory().is_some_and(|bytes| bytes > service.config.most_memory_bytes) {
                    let most = service.config.most_memory_bytes;
                    let message = format!("the limit of {most} bytes of memory was passed");
                    let failed = failure("LIMIT_EXCEEDED", message, "encode", false);
                    return Ok((after_failure(task, failed), Fate::Lost));
                }
                if service.is_ending() && begun.elapsed() > Duration::ZERO {
                    // It is begun anew by whoever starts next.
                    return Ok((Ending::Again { after: 0, crashed: false }, Fate::Lost));
                }
                continue;
            }
        };
        match event {
            Some(Event::Probing) => {}
            Some(Event::Planning) => state = State::Planning,
            Some(Event::Planned { strategy, reasons, .. }) => {
                state = State::Planning;
                let reasons = json!(reasons).to_string();
                service.store.planned(task, &strategy, &reasons).await?;
            }
            Some(Event::Progress(percent)) => {
                state = State::Transcoding;
                progress = progress.max(percent.min(99));
                if written.elapsed() < WRITE {
                    continue;
                }
            }
            Some(Event::Done(done)) => {
                let warnings = json!(done.warnings).to_string();
                return Ok(match place(service, job, task, folder, done).await {
                    Ok(outputs) => {
                        (Ending::State(State::Completed, outputs, warnings, None), Fate::Kept)
                    }
                    Err(error) => {
                        let failed = failure("STORAGE_ERROR", error.to_string(), "commit", true);
                        (after_failure(task, failed), Fate::Kept)
                    }
                });
            }
            Some(Event::Failed(failed)) => return Ok((after_failure(task, failed), Fate::Kept)),
            None => {
                service.counts.worker_crashes.fetch_add(1, Ordering::Relaxed);
                if task.crashes == 0 {
                    return Ok((Ending::Again { after: 0, crashed: true }, Fate::Lost));
                }
                let message = "the worker of the job crashed, twice";
                let failed = failure("ENGINE_INVOCATION_ERROR", message, "encode", true);
                let ending = Ending::State(State::Failed, Vec::new(), "[]".to_owned(), Some(failed));
                return Ok((ending, Fate::Lost));
            }
        }
        written = Instant::now();
        if !service.store.advance(task, state, progress).await? {
            // Somebody else has it by now.
            return Ok((Ending::Again { after: 0, crashed: false }, Fate::Lost));
        }
        service.changed(&task.job_id);
    }
}

/// Gives a job to a worker that is there, or to a new one.
async fn start<'a>(
    service: &Service,
    recipe: &Recipe,
    worker: &'a mut Option<Worker>,
    folder: &Path,
    order: Order,
) -> io::Result<&'a mut Worker> {
    tokio::fs::create_dir_all(folder).await?;
    if worker.is_none() {
        service.counts.worker_starts.fetch_add(1, Ordering::Relaxed);
        *worker = Some(Worker::start(recipe)?);
    }
    let gone = || io::Error::other("no worker could be started");
    let worker = worker.as_mut().ok_or_else(gone)?;
    if worker.run(order.clone()).await.is_err() {
        // It died while it had nothing to do.
        service.counts.worker_starts.fetch_add(1, Ordering::Relaxed);
        *worker = Worker::start(recipe)?;
        worker.run(order).await?;
    }
    Ok(worker)
}

/// A document as the engine takes it: what is for the service alone is left out.
fn without_service(document: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(document).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("webhookUrl");
        fields.remove("presetId");
    }
    value.to_string()
}

/// Moves outputs where they stay. The names of an attempt are its own, so that two never mix.
async fn place(
    service: &Service,
    job: &JobRow,
    task: &Task,
    folder: &Path,
    done: Done,
) -> io::Result<Vec<Stored>> {
    let mut stored = Vec::new();
    for made in done.outputs {
        if made.filename.contains("://") {
            // The input is the output.
            let place = made.filename.clone();
            stored.push(Stored { made, place, deleted: false });
            continue;
        }
        let place: PathBuf =
            ["outputs", &job.id, &task.attempt.to_string(), &made.filename].iter().collect();
        let target = service.files().join(&place);
        if let Some(parent) = target.parent() {
            tokio::fs::create_dir_all(parent).await?;
        }
        tokio::fs::rename(folder.join(&made.filename), &target).await?;
        let place = format!("files/{}", place.display());
        stored.push(Stored { made, place, deleted: false });
    }
    Ok(stored)
}
