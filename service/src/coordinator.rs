//! Runs jobs: takes tasks, gives them to workers, and notes what becomes of them.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    pool::{Program, Vitals, Worker},
    protocol::{Done, Event, Failure, Made, Order, Purpose},
    service::Service,
    storage::{At, Provider, Stored, Target, outputs_text},
    store::{End, State, Task},
};

/// How long to wait for work before looking again.
const IDLE: Duration = Duration::from_millis(500);

/// How often a worker is looked at.
const WATCH: Duration = Duration::from_millis(250);

/// How long a worker may take to stop a job that is cancelled before it is killed: with the wait for
/// the next look at it, less than a second.
const TO_STOP: Duration = Duration::from_millis(700);

/// How often progress is written at most.
const WRITE: Duration = Duration::from_secs(1);

/// How often what may pass is tried: three times, with these pauses between them, in milliseconds.
const PAUSES: &[i64] = &[2_000, 10_000];

/// How a task ended.
enum Ending {
    Completed(Vec<Stored>, Done),
    Cancelled,
    Failed(Failure),
    /// Its worker died over it: how, and in which stage of the work.
    Crashed(&'static str, &'static str),
    /// It is begun anew by whoever takes it next.
    GivenBack,
}

/// A place for one worker, which may be gone.
struct Seat {
    program: Program,
    worker: Option<Worker>,
}

impl Seat {
    /// Gives a job to the worker that is there, or to a new one.
    async fn give(
        &mut self,
        service: &Service,
        folder: &Path,
        order: Order,
    ) -> io::Result<&mut Worker> {
        tokio::fs::create_dir_all(folder).await?;
        if let Some(mut worker) = self.worker.take() {
            if worker.run(order.clone()).await.is_ok() {
                return Ok(self.worker.insert(worker));
            }
            // It died while it had nothing to do.
            worker.end().await;
        }
        service.metrics.worker_starts.inc();
        let worker = self.worker.insert(self.program.start()?);
        worker.run(order).await?;
        Ok(worker)
    }

    /// Ends its worker.
    async fn clear(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.end().await;
        }
    }
}

/// Runs jobs, one after the other, until the service ends.
pub(crate) async fn run(service: Service, program: Program) {
    let mut seat = Seat { program, worker: None };
    while !service.is_ending() {
        match service.store.take().await {
            Ok(Some(task)) => {
                // Who cancels from now on is heard.
                let stop = service.stop_of(&task.job_id);
                // The next one may be due at once.
                service.wake();
                service.changed(&task.job_id);
                let done = attend(&service, &mut seat, &task, &stop).await;
                if let Err(error) = done {
                    tracing::error!(%error, job = task.job_id, "the database failed in a job");
                    seat.clear().await;
                    put_back(&service, &task).await;
                }
                service.stopped(&task.job_id, &stop);
                service.changed(&task.job_id);
            }
            // A task may be due later, without anybody saying so.
            Ok(None) => {
                let _ = timeout(IDLE, service.work()).await;
            }
            Err(error) => {
                tracing::error!(%error, "no task can be taken");
                sleep(IDLE).await;
            }
        }
    }
    seat.clear().await;
}

/// Gives a task back as soon as the database takes it, so that it is not lost until a restart.
async fn put_back(service: &Service, task: &Task) {
    while !service.is_ending() {
        match service.store.give_back(task, 0, false).await {
            Ok(_) => return,
            Err(error) => tracing::warn!(%error, job = task.job_id, "a task can not be given back"),
        }
        sleep(IDLE).await;
    }
}

/// Runs one task to its end, whatever that is, and notes it.
async fn attend(
    service: &Service,
    seat: &mut Seat,
    task: &Task,
    stop: &Notify,
) -> Result<(), sqlx::Error> {
    let Some(job) = service.store.job(&task.job_id).await? else { return Ok(()) };
    tracing::info!(job = job.id, attempt = task.attempt, "begun");
    let begun = Instant::now();
    let folder = service.work_folder().join(format!("{}-{}", task.job_id, task.attempt));
    let ending = if job.cancel == 0 {
        run_once(service, seat, task, &job.document, &folder, stop).await?
    } else {
        Ending::Cancelled
    };
    // Outputs are in their place by now; what a job left half-way is of no use to anybody.
    let _ = tokio::fs::remove_dir_all(&folder).await;
    let state = note(service, task, ending).await?;
    let seconds = begun.elapsed().as_secs_f64();
    service.metrics.ended(state, job.recipe.as_deref(), seconds);
    tracing::info!(job = job.id, attempt = task.attempt, state = state.name(), seconds, "ended");
    service.webhooks.notify_one();
    Ok(())
}

/// Notes how a task ended, and tells in which state its job is by that.
async fn note(service: &Service, task: &Task, ending: Ending) -> Result<State, sqlx::Error> {
    let store = &service.store;
    match ending {
        Ending::Completed(outputs, done) => {
            let bytes = outputs.iter().map(|output| output.made.size_bytes).sum();
            service.metrics.output_bytes.inc_by(bytes);
            let (outputs, kept) = outputs_text(&outputs);
            let (state, warnings) = (State::Completed, json!(done.warnings).to_string());
            if !store.finish(task, &End { state, outputs, warnings, error: None, kept }).await? {
                tracing::warn!(job = task.job_id, "it was somebody else's when it was done");
            }
            Ok(State::Completed)
        }
        Ending::Cancelled => end_without(service, task, State::Cancelled, None).await,
        Ending::GivenBack => store.give_back(task, 0, false).await,
        Ending::Crashed(how, stage) => {
            service.metrics.worker_crashes.inc();
            tracing::warn!(job = task.job_id, attempt = task.attempt, "its worker {how}");
            if task.crashes == 0 {
                return store.give_back(task, 0, true).await;
            }
            let message = format!("the worker of the job {how}, twice");
            let failure = Failure::new("ENGINE_INVOCATION_ERROR", message, stage, true);
            end_without(service, task, State::Failed, Some(failure)).await
        }
        Ending::Failed(failure) => {
            if let Some(pause) = pause_after(task, &failure) {
                tracing::info!(job = task.job_id, error = failure.message, "tried again");
                return store.give_back(task, pause, false).await;
            }
            let state = match failure.code.as_str() {
                "CANCELLED" => State::Cancelled,
                "UNSUPPORTED_COMMAND" => State::Rejected,
                _ => State::Failed,
            };
            let failure = Some(failure).filter(|_| state != State::Cancelled);
            end_without(service, task, state, failure).await
        }
    }
}

/// Ends a job that made nothing.
async fn end_without(
    service: &Service,
    task: &Task,
    state: State,
    failure: Option<Failure>,
) -> Result<State, sqlx::Error> {
    let error = failure.map(|failure| json!(failure).to_string());
    service.store.finish(task, &End::without_outputs(state, error)).await?;
    Ok(state)
}

/// After how many milliseconds a failure is tried again; `None` when it stands.
fn pause_after(task: &Task, failure: &Failure) -> Option<i64> {
    let passes = matches!(
        failure.code.as_str(),
        "INPUT_UNREACHABLE" | "STORAGE_ERROR" | "ENGINE_INVOKE_FAILED"
    );
    let tries = usize::try_from(task.tries).ok()?;
    PAUSES.get(tries).copied().filter(|_| failure.retryable && passes)
}

/// Where outputs of a job go now; an error tells why they can go nowhere.
async fn target(service: &Service, job: &str) -> Result<Result<Target, Failure>, sqlx::Error> {
    let Some(row) = service.store.default_provider().await? else {
        return Ok(Ok(Target::usual(job)));
    };
    let target = Provider::read(&service.keys, &row).map(|provider| provider.target(job));
    Ok(target.map_err(|error| {
        let message = format!("the storage provider {} can not be used: {error}", row.name);
        Failure::new("STORAGE_ERROR", message, "upload", false)
    }))
}

async fn run_once(
    service: &Service,
    seat: &mut Seat,
    task: &Task,
    document: &str,
    folder: &Path,
    stop: &Notify,
) -> Result<Ending, sqlx::Error> {
    let target = match target(service, &task.job_id).await? {
        Ok(target) => target,
        Err(failure) => return Ok(Ending::Failed(failure)),
    };
    let purpose = match &target {
        Target::Folder(_) => Purpose::Folder(folder.to_owned()),
        Target::Provider(_, place) => Purpose::Store(place.clone()),
    };
    let document = document.to_owned();
    let order = Order { document, purpose, limits: service.config.limits() };
    let worker = match seat.give(service, folder, order).await {
        Ok(worker) => worker,
        Err(error) => {
            seat.clear().await;
            let failed = Failure::new("ENGINE_INVOKE_FAILED", error.to_string(), "open", true);
            return Ok(Ending::Failed(failed));
        }
    };
    match follow(service, task, worker, stop, &target).await {
        Followed::Done(done) => Ok(match place(service, &target, folder, &done.outputs).await {
            Ok(outputs) => Ending::Completed(outputs, done),
            Err(error) => {
                let retryable = !matches!(
                    error.kind(),
                    io::ErrorKind::IsADirectory
                        | io::ErrorKind::NotADirectory
                        | io::ErrorKind::PermissionDenied
                        | io::ErrorKind::ReadOnlyFilesystem
                );
                let message = format!("an output can not be kept: {error}");
                Ending::Failed(Failure::new("STORAGE_ERROR", message, "commit", retryable))
            }
        }),
        Followed::Failed(failure) => Ok(Ending::Failed(failure)),
        Followed::Cancelled => Ok(Ending::Cancelled),
        Followed::Lost(ending) => {
            seat.clear().await;
            Ok(ending)
        }
    }
}

/// What became of a job at a worker.
enum Followed {
    Done(Done),
    Failed(Failure),
    Cancelled,
    /// The worker must be ended.
    Lost(Ending),
}

/// What a job in a state does, for errors.
const fn stage_of(state: State) -> &'static str {
    match state {
        State::Probing => "probe",
        State::Planning => "fetch",
        _ => "encode",
    }
}

/// Listens to a worker until its job is at its end, and watches it.
async fn follow(
    service: &Service,
    task: &Task,
    worker: &mut Worker,
    stop: &Notify,
    target: &Target,
) -> Followed {
    let config = &service.config;
    let (begun, limit) = (Instant::now(), Duration::from_secs(config.most_job_seconds));
    let silence = Duration::from_secs(config.most_silent_seconds);
    let (mut heard, mut last) = (Instant::now(), Vitals::default());
    let (mut state, mut progress, mut written) = (State::Probing, 0, Instant::now());
    let mut watch = interval(WATCH);
    watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked_to_stop = None;
    loop {
        let event = tokio::select! {
            event = worker.event() => event,
            () = stop.notified(), if asked_to_stop.is_none() => {
                if worker.cancel().await.is_err() {
                    return Followed::Lost(Ending::Cancelled);
                }
                asked_to_stop = Some(Instant::now());
                continue;
            }
            _ = watch.tick() => {
                if asked_to_stop.is_some_and(|asked: Instant| asked.elapsed() > TO_STOP) {
                    return Followed::Lost(Ending::Cancelled);
                }
                if service.is_ending() {
                    return Followed::Lost(Ending::GivenBack);
                }
                let failed = |failure| Followed::Lost(Ending::Failed(failure));
                let stage = stage_of(state);
                if begun.elapsed() > limit {
                    let message = format!("the time limit of {} s passed", limit.as_secs());
                    return failed(Failure::new("ENGINE_INVOCATION_ERROR", message, stage, true));
                }
                // One that is gone says so itself.
                let Some(vitals) = worker.vitals() else { continue };
                if vitals.memory > config.most_memory_bytes {
                    let most = config.most_memory_bytes;
                    let message = format!("the limit of {most} bytes of memory was passed");
                    return failed(Failure::new("LIMIT_EXCEEDED", message, stage, false));
                }
                if vitals.ticks != last.ticks {
                    heard = Instant::now();
                }
                last = vitals;
                if heard.elapsed() > silence {
                    return Followed::Lost(Ending::Crashed("stalled", stage));
                }
                continue;
            }
        };
        heard = Instant::now();
        let before = state;
        match event {
            Some(Event::Probing) => {}
            Some(Event::Planning) => state = State::Planning,
            Some(Event::Planned { strategy, reasons, outputs, .. }) => {
                state = State::Planning;
                let reasons = json!(reasons).to_string();
                let places: Vec<String> =
                    outputs.iter().map(|name| json!(target.at(name)).to_string()).collect();
                let noted = service.store.planned(task, &strategy, &reasons, &places).await;
                if let Err(error) = noted {
                    // What it wrote then, nobody would know of.
                    tracing::warn!(%error, job = task.job_id, "a plan was not noted");
                    return Followed::Lost(Ending::GivenBack);
                }
            }
            Some(Event::Progress(percent)) => {
                state = State::Transcoding;
                progress = progress.max(percent.min(99));
            }
            // It may be done before it hears that it is to stop.
            Some(Event::Done(done)) => return Followed::Done(done),
            Some(Event::Failed(_)) if asked_to_stop.is_some() => return Followed::Cancelled,
            Some(Event::Failed(failed)) => return Followed::Failed(failed),
            None if asked_to_stop.is_some() => return Followed::Lost(Ending::Cancelled),
            None => return Followed::Lost(Ending::Crashed("crashed", stage_of(state))),
        }
        if state == before && written.elapsed() < WRITE {
            continue;
        }
        written = Instant::now();
        match service.store.advance(task, state, progress).await {
            Ok(true) => service.changed(&task.job_id),
            // Somebody else has it by now.
            Ok(false) => return Followed::Lost(Ending::GivenBack),
            // The job is not to blame, and goes on.
            Err(error) => tracing::warn!(%error, job = task.job_id, "progress was not noted"),
        }
    }
}

/// Brings outputs where they stay.
async fn place(
    service: &Service,
    target: &Target,
    folder: &Path,
    made: &[Made],
) -> io::Result<Vec<Stored>> {
    let mut stored = Vec::new();
    for made in made {
        let at = if made.filename.contains("://") {
            At::Input(made.filename.clone())
        } else {
            if let Target::Folder(key) = target {
                let (from, home) = (folder.join(&made.filename), service.files().join(key));
                keep(from, home, made.filename.clone()).await?;
            }
            target.at(&made.filename)
        };
        let mut made = made.clone();
        if let Some(name) = usual_name(&made) {
            made.filename = name;
        }
        stored.push(Stored { made, at, deleted: false });
    }
    Ok(stored)
}

/// What the only output of a job is called, wherever it is.
fn usual_name(made: &Made) -> Option<String> {
    let extension = made.file_format.as_deref()?;
    (made.key == "output").then(|| format!("output.{extension}"))
}

/// Moves a file into a folder, and is back when that is on the disk: file systems with a journal
/// write down the name with the file.
async fn keep(from: PathBuf, folder: PathBuf, name: String) -> io::Result<()> {
    let kept = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&folder)?;
        let place = folder.join(name);
        std::fs::rename(from, &place)?;
        #[expect(clippy::disallowed_methods, reason = "a finished output is made to last")]
        std::fs::File::open(place)?.sync_all()
    });
    kept.await.map_err(io::Error::other)?
}
