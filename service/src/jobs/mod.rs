//! Runs jobs: takes tasks from the queue, gives them to workers, and notes how they end.

pub(crate) mod leftovers;

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use avocet_recipes::CheckedJob;
use serde_json::json;
use tokio::{
    sync::Notify,
    task::spawn_blocking,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    model::{
        config::Config,
        protocol::{Done, Event, Failure, Order, Purpose, Sending},
    },
    outputs::{
        Finished, bring, is_plain, names,
        storage::{At, Provider, Target, outputs_text},
    },
    service::Service,
    store::{End, State, TOO_OFTEN, Task, millis},
    workers::{Program, Vitals, Worker},
};

/// How long to wait for a wake-up before the queue is read again.
const IDLE: Duration = Duration::from_millis(500);

/// How often the limits of a worker are checked.
const WATCH: Duration = Duration::from_millis(100);

/// How long a worker may take to stop a cancelled job before it is killed. With the wait for the
/// next check, the job is stopped within a second.
const TO_STOP: Duration = Duration::from_millis(700);

/// The least time between two writes of progress.
const WRITE: Duration = Duration::from_secs(1);

/// The pauses, in milliseconds, before a temporary failure is tried again: three tries in all.
const PAUSES: &[i64] = &[2_000, 10_000];

/// How a task ended.
enum Ending {
    Completed(Finished),
    Cancelled,
    Failed(Failure),
    /// The worker died or hung; in this way, and in this stage of the job.
    Crashed(&'static str, &'static str),
    /// The task goes back to the queue, and begins anew.
    GivenBack,
}

/// A slot for one worker, which is started when it is needed.
struct Seat {
    program: Program,
    worker: Option<Worker>,
}

impl Seat {
    /// Gives a job to the worker of the slot, or to a new one.
    async fn give(&mut self, service: &Service, order: Order) -> io::Result<&mut Worker> {
        if let Some(mut worker) = self.worker.take() {
            if worker.run(order.clone()).await.is_ok() {
                return Ok(self.worker.insert(worker));
            }
            // The worker died while it was idle.
            worker.end().await;
        }
        service.metrics.worker_starts.inc();
        let worker = self.worker.insert(self.program.start()?);
        worker.run(order).await?;
        Ok(worker)
    }

    /// Kills the worker.
    async fn clear(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.end().await;
        }
    }
}

/// Runs jobs, one after the other, until the service ends.
pub(crate) async fn run(service: Service, program: Program) {
    let mut seat = Seat { program, worker: None };
    while !service.is_draining() {
        if !service.disk.has_room() {
            sleep(IDLE).await;
            continue;
        }
        match service.store.take(service.config.most_running_per_project).await {
            Ok(Some(mut task)) => {
                // Register before the job's cancel flag is read, so that no cancellation is missed.
                let stop = service.stop_of(&task.job_id);
                // `wake` wakes one loop only, and another task may be due.
                service.wake();
                service.changed(&task.job_id);
                service.metrics.waited(millis() - task.not_before);
                service.metrics.busy_workers.inc();
                let done = attend(&service, &mut seat, &mut task, &stop).await;
                service.metrics.busy_workers.dec();
                if let Err(error) = done {
                    tracing::error!(%error, job = task.job_id, "the database failed in a job");
                    seat.clear().await;
                    put_back(&service, &task).await;
                }
                service.stopped(&task.job_id, &stop);
                service.changed(&task.job_id);
            }
            // A task may become due by its `not_before`, which wakes nobody.
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

/// Returns a task to the queue, and retries until the database accepts that. Otherwise the task
/// would stay taken until the next start.
async fn put_back(service: &Service, task: &Task) {
    while !service.is_ending() {
        match service.store.give_back(task, 0, false).await {
            Ok(_) => return,
            Err(error) => tracing::warn!(%error, job = task.job_id, "a task can not be given back"),
        }
        sleep(IDLE).await;
    }
}

/// Runs one task, and notes its end whatever that is.
async fn attend(
    service: &Service,
    seat: &mut Seat,
    task: &mut Task,
    stop: &Notify,
) -> Result<(), sqlx::Error> {
    let Some(job) = service.store.job(&task.job_id).await? else { return Ok(()) };
    tracing::info!(job = job.id, attempt = task.attempt, "begun");
    let begun = Instant::now();
    let folder = service.work_folder().join(format!("{}-{}", task.job_id, task.attempt));
    let ending = if task.unclean >= TOO_OFTEN {
        let message = format!("the service ended {} times while the job ran", task.unclean);
        Ok(Ending::Failed(Failure::new("ENGINE_INVOCATION_ERROR", message, "open", true)))
    } else if job.cancel == 0 {
        let document = job.document.clone();
        let limits = JobLimits::of(&service.config, &document);
        Attempt { service, seat, task, document, folder: &folder, limits, stop, begun }.run().await
    } else {
        Ok(Ending::Cancelled)
    };
    // Outputs were moved to their place by now; what is left here is unfinished.
    let _ = tokio::fs::remove_dir_all(&folder).await;
    service.disk.ended(&job.id);
    let state = note(service, task, ending?).await?;
    let seconds = begun.elapsed().as_secs_f64();
    service.metrics.ended(state, job.recipe.as_deref(), seconds);
    tracing::info!(job = job.id, attempt = task.attempt, state = state.name(), seconds, "ended");
    service.webhooks.notify_one();
    Ok(())
}

/// Notes how a task ended; returns the state that its job has then.
async fn note(service: &Service, task: &Task, ending: Ending) -> Result<State, sqlx::Error> {
    let store = &service.store;
    match ending {
        Ending::Completed(finished) => {
            let bytes = finished.outputs.iter().map(|output| output.made.size_bytes).sum();
            service.metrics.output_bytes.inc_by(bytes);
            let (outputs, kept) = outputs_text(&finished.outputs);
            let (state, warnings) = (State::Completed, json!(finished.warnings).to_string());
            if !store.finish(task, &End { state, outputs, warnings, error: None, kept }).await? {
                tracing::warn!(
                    job = task.job_id,
                    "the job completed, but its task no longer belonged to this attempt"
                );
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
                tracing::info!(
                    job = task.job_id,
                    code = failure.code,
                    error = failure.message,
                    "the job is tried again"
                );
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

/// Ends a job that has no outputs.
async fn end_without(
    service: &Service,
    task: &Task,
    state: State,
    failure: Option<Failure>,
) -> Result<State, sqlx::Error> {
    if let Some(failure) = &failure {
        let (code, stage, error) = (&failure.code, &failure.stage, &failure.message);
        tracing::info!(job = task.job_id, code, stage, error, "the job failed");
    }
    let error = failure.map(|failure| json!(failure).to_string());
    service.store.finish(task, &End::without_outputs(state, error)).await?;
    Ok(state)
}

/// After how many milliseconds a failed job is tried again; `None` when the failure is final.
fn pause_after(task: &Task, failure: &Failure) -> Option<i64> {
    let passes = matches!(
        failure.code.as_str(),
        "INPUT_UNREACHABLE" | "STORAGE_ERROR" | "ENGINE_INVOKE_FAILED"
    );
    let tries = usize::try_from(task.tries).ok()?;
    PAUSES.get(tries).copied().filter(|_| failure.retryable && passes)
}

/// Where the outputs of a job go, by the provider that is the default now. The inner error tells
/// why that provider can not be used.
async fn target(service: &Service, task: &Task) -> Result<Result<Target, Failure>, sqlx::Error> {
    let job = &task.job_id;
    let Some(row) = service.store.default_provider(&task.project).await? else {
        return Ok(Ok(Target::usual(job)));
    };
    let checked = async {
        let target = Provider::read(&service.keys, &row)?.target(job);
        if let Target::Provider(_, url) = &target {
            // Check the URL before the run, so that no output is made that can not be sent.
            let url = format!("{url}/output");
            service.at_provider(&row, move |elsewhere| elsewhere.check_output(&url)).await?;
        }
        Ok(target)
    };
    Ok(checked.await.map_err(|error: String| {
        let message = format!("the storage provider {} can not be used: {error}", row.name);
        Failure::new("STORAGE_ERROR", message, "upload", false)
    }))
}

/// The folder in which outputs wait for their upload, below the folder of files.
fn unsent(job: &str) -> Target {
    Target::Folder(format!("unsent/{job}"))
}

/// A task that is being run.
struct Attempt<'a> {
    service: &'a Service,
    seat: &'a mut Seat,
    task: &'a mut Task,
    document: String,
    /// The folder that the worker writes to.
    folder: &'a Path,
    limits: JobLimits,
    stop: &'a Notify,
    begun: Instant,
}

impl Attempt<'_> {
    /// Makes the outputs, unless an earlier attempt did, and moves or sends them to their place.
    async fn run(mut self) -> Result<Ending, sqlx::Error> {
        let store = &self.service.store;
        if let Some(finished) = store.unsent(&self.task.job_id).await? {
            match serde_json::from_str(&finished) {
                Ok(finished) => return self.send(finished).await,
                // Another version of the program wrote it.
                Err(error) => {
                    let job = &self.task.job_id;
                    tracing::warn!(%error, job, "earlier outputs are unusable and are made again");
                }
            }
        }
        let target = match target(self.service, self.task).await? {
            Ok(target) => target,
            Err(failure) => return Ok(Ending::Failed(failure)),
        };
        let done = match self.ask(Purpose::Folder(self.folder.to_owned()), Some(&target)).await {
            Ok(done) => done,
            Err(ending) => return Ok(ending),
        };
        let (outputs, _) = bytes_of(self.folder, self.folder).await;
        if let Some(failure) = self.limits.refuse(outputs, "commit") {
            return Ok(Ending::Failed(failure));
        }
        let names = names(&done);
        let finished = Finished::new(done, &target);
        let home = match &target {
            Target::Provider(..) if !names.is_empty() => unsent(&self.task.job_id),
            _ => target,
        };
        if let Err(failure) = self.take_over(&home, &names).await {
            return Ok(Ending::Failed(failure));
        }
        let is_there =
            finished.outputs.iter().all(|output| !matches!(output.at, At::Provider { .. }));
        if is_there {
            return Ok(Ending::Completed(finished));
        }
        let places: Vec<String> =
            names.iter().map(|name| json!(home.at(name)).to_string()).collect();
        if !store.keep_unsent(self.task, &json!(finished).to_string(), &places).await? {
            return Ok(Ending::GivenBack);
        }
        self.task.tries = 0;
        // The run may have completed before the cancellation reached the worker.
        if store.job(&self.task.job_id).await?.is_none_or(|job| job.cancel != 0) {
            return Ok(Ending::Cancelled);
        }
        self.send(finished).await
    }

    /// Moves the files that a worker made to a folder that it does not write to. A worker that
    /// names anything but its own plain files is killed.
    async fn take_over(&mut self, home: &Target, names: &[String]) -> Result<(), Failure> {
        let Target::Folder(key) = home else { return Ok(()) };
        let (folder, home) = (self.folder.to_owned(), self.service.files().join(key));
        let names = names.to_owned();
        let brought = spawn_blocking(move || bring(&folder, &home, &names)).await;
        let brought = brought.unwrap_or_else(|error| {
            Err(Failure::new("ENGINE_ERROR", error.to_string(), "commit", false))
        });
        if brought.as_ref().is_err_and(|failure| failure.code == "ENGINE_ERROR") {
            self.seat.clear().await;
        }
        brought
    }

    /// Has a worker upload the finished outputs to their provider.
    async fn send(&mut self, finished: Finished) -> Result<Ending, sqlx::Error> {
        let (mut files, mut provider) = (Vec::new(), None);
        for output in &finished.outputs {
            let At::Provider { id, url } = &output.at else { continue };
            let name = url.rsplit('/').next().unwrap_or_default();
            if let At::Folder(path) = unsent(&self.task.job_id).at(name) {
                files.push((self.service.files().join(path), url.clone()));
            }
            provider = Some(id);
        }
        let row = match provider {
            Some(id) => self.service.store.provider(id).await?,
            None => None,
        };
        let read = row.ok_or_else(|| "it was deleted".to_owned());
        let options = match read.and_then(|row| Provider::read(&self.service.keys, &row)) {
            Ok(provider) => provider.options(),
            Err(error) => {
                let message = format!("the storage provider of the job can not be used: {error}");
                let failure = Failure::new("STORAGE_ERROR", message, "upload", false);
                return Ok(Ending::Failed(failure));
            }
        };
        let sent = self.ask(Purpose::Send(Sending { files, options }), None).await;
        Ok(sent.map_or_else(|ending| ending, |_| Ending::Completed(finished)))
    }

    /// Has a worker carry out an order; returns what it made, or how else that ended. `target` is
    /// where new outputs will be; `None` for an upload.
    async fn ask(&mut self, purpose: Purpose, target: Option<&Target>) -> Result<Done, Ending> {
        let document = self.document.clone();
        let mut limits = self.service.config.limits();
        limits.max_seconds = self.limits.seconds;
        let order = Order { document, purpose, limits };
        let given = async {
            tokio::fs::create_dir_all(self.folder).await?;
            self.seat.give(self.service, order).await
        };
        let worker = match given.await {
            Ok(worker) => worker,
            Err(error) => {
                self.seat.clear().await;
                let failed = Failure::new("ENGINE_INVOKE_FAILED", error.to_string(), "open", true);
                return Err(Ending::Failed(failed));
            }
        };
        let at = Watched {
            task: self.task,
            folder: self.folder,
            limits: self.limits,
            stop: self.stop,
            begun: self.begun,
            target,
        };
        match follow(self.service, at, worker).await {
            Followed::Done(done) => Ok(done),
            Followed::Failed(failure) => Err(Ending::Failed(failure)),
            Followed::Cancelled => Err(Ending::Cancelled),
            Followed::Lost(ending) => {
                self.seat.clear().await;
                Err(ending)
            }
        }
    }
}

/// How a job ended at a worker.
enum Followed {
    Done(Done),
    Failed(Failure),
    Cancelled,
    /// The worker can not be used any more, and must be killed.
    Lost(Ending),
}

/// The stage of the work for error messages. `target` is `None` while outputs are uploaded.
const fn stage_of(state: State, target: Option<&Target>) -> &'static str {
    match (state, target) {
        (_, None) => "upload",
        (State::Probing, _) => "probe",
        (State::Planning, _) => "fetch",
        _ => "encode",
    }
}

/// An attempt, for whoever watches its worker.
#[derive(Clone, Copy)]
struct Watched<'a> {
    task: &'a Task,
    /// The folder that the worker writes to.
    folder: &'a Path,
    limits: JobLimits,
    /// Asks for the job to be stopped.
    stop: &'a Notify,
    begun: Instant,
    /// Where new outputs will be; `None` for an upload.
    target: Option<&'a Target>,
}

/// The limits of a job: those of the service, or lower ones that its document states.
#[derive(Clone, Copy, Debug)]
struct JobLimits {
    /// How long it may run, in seconds.
    seconds: u64,
    /// The most bytes of all its outputs; `None` for no limit.
    output_bytes: Option<u64>,
}

impl JobLimits {
    fn of(config: &Config, document: &str) -> Self {
        let asked = CheckedJob::from_checked_json(document).map(|job| job.service.clone());
        let asked = asked.unwrap_or_default();
        let seconds = asked.timeout_seconds.map_or(u64::MAX, u64::from);
        let most = Some(config.most_output_bytes).filter(|most| *most > 0);
        Self {
            seconds: seconds.min(config.most_job_seconds),
            output_bytes: most.into_iter().chain(asked.max_output_bytes).min(),
        }
    }

    /// The failure of a job whose outputs have so many bytes, in a stage; `None` within the limit.
    fn refuse(self, outputs: u64, stage: &str) -> Option<Failure> {
        let most = self.output_bytes.filter(|most| outputs > *most)?;
        let message = format!("the outputs have {outputs} bytes so far, and may have {most}");
        Some(Failure::new("LIMIT_EXCEEDED", message, stage, false))
    }
}

/// How many bytes the files of two folders have. Files are looked at on a thread that may wait.
async fn bytes_of(first: &Path, second: &Path) -> (u64, u64) {
    let (first, second) = (first.to_owned(), second.to_owned());
    let summed = spawn_blocking(move || (bytes_in(&first), bytes_in(&second)));
    summed.await.unwrap_or_default()
}

/// How many bytes the files of a folder have together, also those of folders within it.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = entries.filter_map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => Some(bytes_in(&entry.path())),
        Ok(kind) if kind.is_file() => Some(entry.metadata().ok()?.len()),
        _ => None,
    });
    bytes.sum()
}

/// Reads a worker's events until its job has ended, and enforces the limits on the way.
async fn follow(service: &Service, at: Watched<'_>, worker: &mut Worker) -> Followed {
    let Watched { task, folder, limits, stop, begun, target } = at;
    let config = &service.config;
    let limit = Duration::from_secs(limits.seconds);
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
                let stage = stage_of(state, target);
                if begun.elapsed() > limit {
                    let seconds = limit.as_secs();
                    let message = format!("the job exceeded its time limit of {seconds} s");
                    return failed(Failure::new("ENGINE_INVOCATION_ERROR", message, stage, true));
                }
                // A worker that has ended is noticed by the end of its output.
                let Some(vitals) = worker.vitals() else { continue };
                let (outputs, temporary) = bytes_of(folder, worker.temporary()).await;
                if let Some(failure) = limits.refuse(outputs, stage) {
                    return failed(failure);
                }
                let written = outputs + temporary;
                if service.disk.must_give_way(&task.job_id, written) {
                    let message = format!(
                        "the job has written {written} bytes, and the disk has no room for more"
                    );
                    return failed(Failure::new("LIMIT_EXCEEDED", message, stage, false));
                }
                if vitals.memory > config.most_memory_bytes {
                    let most = config.most_memory_bytes;
                    let message = format!("the worker exceeded its memory limit of {most} bytes");
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
            Some(Event::Taken | Event::Probing) => {}
            Some(Event::Planning) => state = State::Planning,
            Some(Event::Planned { strategy, reasons, outputs, .. }) => {
                state = State::Planning;
                if let Some(name) = outputs.iter().find(|name| !is_plain(name)) {
                    let message =
                        format!("the worker plans an output {name:?}, which is not a file name");
                    let failure = Failure::new("ENGINE_ERROR", message, "plan", false);
                    return Followed::Lost(Ending::Failed(failure));
                }
                let reasons = json!(reasons).to_string();
                // Outputs for a provider are local first, so that is a place for leftovers, too.
                let here = unsent(&task.job_id);
                let here = matches!(target, Some(Target::Provider(..))).then_some(&here);
                let places = target.into_iter().chain(here);
                let places = places.flat_map(|target| outputs.iter().map(|name| target.at(name)));
                let places: Vec<String> = places.map(|at| json!(at).to_string()).collect();
                let noted = service.store.planned(task, &strategy, &reasons, &places).await;
                if let Err(error) = noted {
                    // Without that note, nobody would remove what the worker writes from now on.
                    tracing::warn!(%error, job = task.job_id, "a plan was not stored");
                    return Followed::Lost(Ending::GivenBack);
                }
            }
            Some(Event::Progress(percent)) => {
                state = State::Transcoding;
                progress = progress.max(percent.min(99));
            }
            // The worker may complete before the request to stop reaches it.
            Some(Event::Done(done)) => return Followed::Done(done),
            Some(Event::Failed(_)) if asked_to_stop.is_some() => return Followed::Cancelled,
            Some(Event::Failed(failed)) => return Followed::Failed(failed),
            None if asked_to_stop.is_some() => return Followed::Lost(Ending::Cancelled),
            None => return Followed::Lost(Ending::Crashed("crashed", stage_of(state, target))),
        }
        if state == before && written.elapsed() < WRITE {
            continue;
        }
        written = Instant::now();
        match service.store.advance(task, state, progress).await {
            Ok(true) => service.changed(&task.job_id),
            // The task belongs to another attempt by now.
            Ok(false) => return Followed::Lost(Ending::GivenBack),
            // The job goes on: only its progress was not written.
            Err(error) => tracing::warn!(%error, job = task.job_id, "progress was not stored"),
        }
    }
}
