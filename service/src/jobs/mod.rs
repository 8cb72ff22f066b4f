//! Runs jobs: takes tasks from the queue, gives them to workers, and notes how they end.

pub(crate) mod leftovers;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use avocet_engine::CancelToken;
use avocet_recipes::CheckedJob;
use serde_json::json;
use tokio::{
    sync::Notify,
    task::{JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use crate::{
    model::{
        clock::millis,
        config::Config,
        protocol::{Done, Event, Failure, Purpose},
    },
    outputs::{
        Finished, bring, is_plain, names, set_sizes,
        storage::{At, Provider, Target, outputs_text},
        strange,
    },
    roots::{Folders, Rooted, Roots},
    service::Service,
    store::{End, State, TOO_OFTEN, Task},
    workers::{Place, Worker},
};

/// How long to wait for a wake-up before the queue is read again.
const IDLE: Duration = Duration::from_millis(500);

/// The name by which jobs from the queue wait for a place. Jobs that were waiting for bytes have
/// another one, so that both take turns.
const QUEUE: &str = "queue";

/// How often the limits of a worker are checked.
const WATCH: Duration = Duration::from_millis(100);

/// How many looks at a worker in a row may fail.
const MOST_UNSEEN: u32 = 20;

/// How long a worker may take to stop a cancelled job before it is killed. With the wait for the
/// next check, the job is stopped within a second.
const TO_STOP: Duration = Duration::from_millis(700);

/// How long what sends outputs may take to stop, once the job took too long.
const TO_STOP_SENDING: Duration = Duration::from_secs(10);

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
    /// The same after a pause, since the job waits for its inputs, as too many others do.
    Postponed,
}

/// How long a job is put off that waits for its inputs, in milliseconds.
const TO_WAIT: i64 = 10_000;

/// Takes tasks as long as there are places, and runs them, until the service ends.
pub(crate) async fn run(service: Service) {
    let mut running = JoinSet::new();
    while !service.is_draining() {
        while let Some(ended) = running.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a job was given up");
            }
        }
        if !(service.disk.has_room() && service.pool.can_look()) {
            sleep(IDLE).await;
            continue;
        }
        let Ok(mut place) = timeout(IDLE, service.places.take(QUEUE)).await else { continue };
        match service.store.take(service.config.most_running_per_project).await {
            Ok(Some(task)) => {
                place.belongs_to(&task.project);
                running.spawn(run_task(service.clone(), task, place));
            }
            // A task may become due by its `not_before`, which wakes nobody.
            Ok(None) => {
                drop(place);
                let _ = timeout(IDLE, service.work()).await;
            }
            Err(error) => {
                tracing::error!(%error, "no task can be taken");
                sleep(IDLE).await;
            }
        }
    }
    while running.join_next().await.is_some() {}
}

async fn run_task(service: Service, mut task: Task, place: Place) {
    // Register before the job's cancel flag is read, so that no cancellation is missed.
    let stop = service.stop_of(&task.job_id);
    service.changed(&task.job_id);
    service.metrics.waited(millis() - task.not_before);
    service.metrics.busy_workers.inc();
    let done = attend(&service, place, &mut task, &stop).await;
    service.metrics.busy_workers.dec();
    if let Err(error) = done {
        tracing::error!(%error, job = task.job_id, "the database failed in a job");
        put_back(&service, &task).await;
    }
    service.stopped(&task.job_id, &stop);
    service.changed(&task.job_id);
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
    place: Place,
    task: &mut Task,
    stop: &Notify,
) -> Result<(), sqlx::Error> {
    let Some(job) = service.store.job(&task.job_id).await? else { return Ok(()) };
    tracing::info!(job = job.id, attempt = task.attempt, "begun");
    let begun = Instant::now();
    let ending = if task.unclean >= TOO_OFTEN {
        let message = format!("the service ended {} times while the job ran", task.unclean);
        Ok(Ending::Failed(Failure::new("ENGINE_INVOCATION_ERROR", message, "open", true)))
    } else if job.cancel == 0 {
        let job = CheckedJob::from_checked_json(&job.document)
            .map_err(|error| Failure::new(error.code(), error.to_string(), "open", false));
        let limits = JobLimits::of(&service.config, job.as_ref().ok());
        let mut attempt = Attempt { service, place, worker: None, task, job, limits, stop, begun };
        let ending = attempt.run().await;
        // Outputs were moved to their place by now; what is left with the worker is unfinished.
        attempt.part(ending.is_ok()).await;
        ending
    } else {
        Ok(Ending::Cancelled)
    };
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
        Ending::Postponed => store.give_back(task, TO_WAIT, false).await,
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
async fn target(
    service: &Service,
    task: &Task,
    document: Option<&CheckedJob>,
) -> Result<Result<Target, Failure>, sqlx::Error> {
    let job = &task.job_id;
    if let Some(document) = document
        && let Some(place) = document.service.output_url.clone()
    {
        return Ok(Ok(Target::Root(place, document.fills_folder())));
    }
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
    place: Place,
    /// The worker that has the job, or had it last.
    worker: Option<Worker>,
    task: &'a mut Task,
    /// What its document asks for; an error when it can not be read.
    job: Result<CheckedJob, Failure>,
    limits: JobLimits,
    stop: &'a Notify,
    begun: Instant,
}

impl Attempt<'_> {
    /// Makes the outputs, unless an earlier attempt did, and moves or sends them to their place.
    async fn run(&mut self) -> Result<Ending, sqlx::Error> {
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
        let target = match target(self.service, self.task, self.job.as_ref().ok()).await? {
            Ok(target) => target,
            Err(failure) => return Ok(Ending::Failed(failure)),
        };
        let mut done = match self.make(&target).await {
            Ok(done) => done,
            Err(ending) => return Ok(ending),
        };
        let names = names(&done);
        let home = match &target {
            Target::Provider(..) | Target::Root(..) if !names.is_empty() => {
                unsent(&self.task.job_id)
            }
            _ => target.clone(),
        };
        match self.take_over(&home, &names).await {
            Ok(sizes) => set_sizes(&mut done, &sizes),
            Err(failure) => return Ok(Ending::Failed(failure)),
        }
        let finished = Finished::new(done, &target);
        let is_there = finished
            .outputs
            .iter()
            .all(|output| !matches!(output.at, At::Provider { .. } | At::Root { .. }));
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

    /// Moves the files that the worker made to a folder that it does not write to, and returns their
    /// sizes in bytes. A worker that names anything but its own plain files is killed.
    async fn take_over(&mut self, home: &Target, names: &[String]) -> Result<Vec<u64>, Failure> {
        let Target::Folder(key) = home else { return Ok(Vec::new()) };
        let Some(worker) = &self.worker else { return Ok(Vec::new()) };
        let (folder, home) = (worker.outputs(), self.service.files().join(key));
        let names = names.to_owned();
        let brought = spawn_blocking(move || bring(&folder, &home, &names)).await;
        let brought = brought.unwrap_or_else(|error| {
            Err(Failure::new("ENGINE_ERROR", error.to_string(), "commit", false))
        });
        if brought.as_ref().is_err_and(|failure| failure.code == "ENGINE_ERROR") {
            self.part(false).await;
        }
        brought
    }

    /// Gives the worker back for other jobs, or kills it.
    async fn part(&mut self, is_usable: bool) {
        match self.worker.take() {
            Some(worker) if is_usable => self.service.pool.put(worker).await,
            Some(worker) => worker.end().await,
            None => {}
        }
    }

    /// Brings the finished outputs, which wait in the data folder, to where they belong.
    async fn send(&mut self, finished: Finished) -> Result<Ending, sqlx::Error> {
        // Neither a worker nor its place is needed for that.
        self.part(true).await;
        self.place.step_aside();
        if self.service.store.advance(self.task, State::Transcoding, 99).await? {
            self.service.changed(&self.task.job_id);
        }
        let cancel = CancelToken::new();
        let sending = match self.sending(&finished, cancel.clone()).await? {
            Ok(sending) => sending,
            Err(failure) => return Ok(Ending::Failed(failure)),
        };
        let mut sent = spawn_blocking(sending);
        let mut watch = interval(WATCH);
        let limit = Duration::from_secs(self.limits.seconds);
        let (mut is_late, mut is_stopped) = (false, false);
        loop {
            tokio::select! {
                sent = &mut sent => {
                    let failed = match sent {
                        Ok(Ok(())) => return Ok(Ending::Completed(finished)),
                        Ok(Err(_)) if is_late => too_long(self.limits, "upload"),
                        Ok(Err(failure)) => failure,
                        Err(panic) => {
                            Failure::new("ENGINE_ERROR", panic.to_string(), "upload", false)
                        }
                    };
                    return Ok(Ending::Failed(failed));
                }
                () = self.stop.notified() => {
                    is_stopped = true;
                    cancel.cancel();
                }
                _ = watch.tick() => {
                    if self.service.is_ending() {
                        cancel.cancel();
                        return Ok(Ending::GivenBack);
                    }
                    let late = self.begun.elapsed().saturating_sub(limit);
                    if late > TO_STOP_SENDING && is_stopped {
                        return Ok(Ending::Cancelled);
                    }
                    if late > TO_STOP_SENDING {
                        return Ok(Ending::Failed(too_long(self.limits, "upload")));
                    }
                    if late > Duration::ZERO && !is_stopped {
                        // The end of the work tells whether it was just done.
                        is_late = true;
                        cancel.cancel();
                    }
                }
            }
        }
    }

    /// The blocking work that brings outputs to where they belong: a provider, or a folder of this
    /// machine. All outputs of a job go to one of them.
    async fn sending(
        &self,
        finished: &Finished,
        cancel: CancelToken,
    ) -> Result<Result<Sending, Failure>, sqlx::Error> {
        let home = self.service.files();
        let (mut uploads, mut copies, mut provider) = (Vec::new(), Vec::new(), None);
        for output in &finished.outputs {
            let here = |name: &str| match unsent(&self.task.job_id).at(name) {
                At::Folder(path) => home.join(path),
                _ => home.clone(),
            };
            match &output.at {
                At::Provider { id, url } => {
                    let name = url.rsplit('/').next().unwrap_or_default();
                    uploads.push((here(name), url.clone()));
                    provider = Some(id);
                }
                At::Root { place, file } => copies.push((here(file), place.clone())),
                At::Folder(_) | At::Input(_) => {}
            }
        }
        let Some(provider) = provider else {
            let roots = self.service.config.output_roots.clone();
            // An earlier attempt may still be about to stop.
            let part = format!(".avocet-{}-{}", self.task.job_id, self.task.attempt);
            return Ok(Ok(Box::new(move || put_all(&copies, &roots, &part, &cancel))));
        };
        let unusable = |error| {
            let message = format!("the storage provider of the job can not be used: {error}");
            Ok(Err(Failure::new("STORAGE_ERROR", message, "upload", false)))
        };
        let Some(row) = self.service.store.provider(provider).await? else {
            return unusable("it was deleted".to_owned());
        };
        match self.service.way_to(&row) {
            Ok(way) => Ok(Ok(Box::new(move || {
                way.upload(uploads, &cancel).map_err(|error| failure_of(&error))
            }))),
            Err(error) => unusable(error),
        }
    }

    /// Has a worker make the outputs; returns what it made, or how else that ended. `target` is
    /// where they will be.
    async fn make(&mut self, target: &Target) -> Result<Done, Ending> {
        let job = self.job.as_ref().map_err(|failure| Ending::Failed(failure.clone()))?;
        let prepared = self.service.prepare(job).map_err(Ending::Failed)?;
        let mut limits = self.service.config.limits();
        limits.max_seconds = self.limits.seconds;
        let purpose = |worker: &Worker| Purpose::Run {
            folder: worker.outputs(),
            ffmpeg: worker.ffmpeg().map(Path::to_owned),
            of_ffmpeg: worker.of_ffmpeg(),
        };
        let project = &self.task.project;
        let given = self.service.pool.give(project, &prepared, &limits, purpose).await;
        let worker = match given {
            Ok(worker) => self.worker.insert(worker),
            Err(error) => {
                let failed = Failure::new("ENGINE_INVOKE_FAILED", error.to_string(), "open", true);
                return Err(Ending::Failed(failed));
            }
        };
        let at = Watched {
            task: self.task,
            limits: self.limits,
            stop: self.stop,
            begun: self.begun,
            target,
        };
        match follow(self.service, at, &mut self.place, worker).await {
            Followed::Done(done) => {
                let written = worker.written().await;
                let failed =
                    |message: String| Failure::new("ENGINE_ERROR", message, "commit", false);
                if let Some(message) = strange(&done, &prepared.inputs) {
                    self.part(false).await;
                    return Err(Ending::Failed(failed(message)));
                }
                let written = written.map_err(|error| Ending::Failed(failed(error.to_string())))?;
                let refused = self.limits.refuse(written.outputs, 0, "commit");
                refused.map_or(Ok(done), |failure| Err(Ending::Failed(failure)))
            }
            Followed::Failed(failure) => Err(Ending::Failed(failure)),
            Followed::Cancelled => Err(Ending::Cancelled),
            Followed::Lost(ending) => {
                self.part(false).await;
                Err(ending)
            }
        }
    }
}

/// Work that brings outputs to where they belong, on a thread that may wait.
type Sending = Box<dyn FnOnce() -> Result<(), Failure> + Send>;

/// Puts copies of files to places of this machine. They get their names once all are whole.
fn put_all(
    copies: &[(PathBuf, String)],
    roots: &Roots,
    part: &str,
    cancel: &CancelToken,
) -> Result<(), Failure> {
    let cancelled = || Failure::new("CANCELLED", "the job was cancelled", "commit", false);
    let failed = |place: &str, error: &io::Error| {
        if cancel.is_cancelled() {
            return cancelled();
        }
        let message = format!("can not write {place}: {error}");
        let retryable = error.kind() == io::ErrorKind::StorageFull;
        Failure::new("STORAGE_ERROR", message, "commit", retryable)
    };
    let mut folders = Folders::new(roots);
    let mut copy = |number: usize, file: &Path, place: &str| {
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "it is no place");
        let rooted = Rooted::read(place).ok_or_else(unknown)?;
        #[expect(clippy::disallowed_methods, reason = "a finished output is copied")]
        let mut from = File::open(file)?;
        let part = format!("{part}-{number}.part");
        rooted.copy(&mut folders, &mut from, part, || !cancel.is_cancelled())
    };
    let mut whole = Vec::new();
    for (number, (file, place)) in copies.iter().enumerate() {
        let copied = copy(number, file, place).map_err(|error| failed(place, &error))?;
        whole.push((copied, place));
    }
    if cancel.is_cancelled() {
        return Err(cancelled());
    }
    whole
        .into_iter()
        .try_for_each(|(copied, place)| copied.appear().map_err(|error| failed(place, &error)))
}

/// A failure of this process, as workers report theirs.
fn failure_of(error: &avocet_engine::Error) -> Failure {
    let (code, stage) = (error.code(), error.step().name());
    Failure::new(code, error.to_string(), stage, error.retryable())
}

/// The failure of a job that takes too long, in a stage.
fn too_long(limits: JobLimits, stage: &str) -> Failure {
    let message = format!("the job exceeded its time limit of {} s", limits.seconds);
    Failure::new("ENGINE_INVOCATION_ERROR", message, stage, true)
}

/// How a job ended at a worker.
enum Followed {
    Done(Done),
    Failed(Failure),
    Cancelled,
    /// The worker can not be used any more, and must be killed.
    Lost(Ending),
}

/// The stage of the work for error messages.
const fn stage_of(state: State) -> &'static str {
    match state {
        State::Probing => "probe",
        State::Planning => "fetch",
        _ => "encode",
    }
}

/// An attempt, for whoever watches its worker.
#[derive(Clone, Copy)]
struct Watched<'a> {
    task: &'a Task,
    limits: JobLimits,
    /// Asks for the job to be stopped.
    stop: &'a Notify,
    begun: Instant,
    /// Where the outputs will be.
    target: &'a Target,
}

/// The limits of a job: those of the service, or lower ones that its document states.
#[derive(Clone, Copy, Debug)]
struct JobLimits {
    /// How long it may run, in seconds.
    seconds: u64,
    /// The most bytes of all its outputs; `None` for no limit.
    output_bytes: Option<u64>,
    /// The most processor time, in seconds; `None` for no limit.
    processor_seconds: Option<u64>,
}

impl JobLimits {
    fn of(config: &Config, job: Option<&CheckedJob>) -> Self {
        let asked = job.map(|job| job.service.clone()).unwrap_or_default();
        let seconds = asked.timeout_seconds.map_or(u64::MAX, u64::from);
        let most = Some(config.most_output_bytes).filter(|most| *most > 0);
        Self {
            seconds: seconds.min(config.most_job_seconds),
            output_bytes: most.into_iter().chain(asked.max_output_bytes).min(),
            processor_seconds: Some(config.most_processor_seconds).filter(|most| *most > 0),
        }
    }

    /// The failure of a job whose outputs have so many bytes, and whose worker has used so many
    /// clock ticks of processor time for it, in a stage; `None` within the limits.
    fn refuse(self, outputs: u64, ticks: u64, stage: &str) -> Option<Failure> {
        let seconds = ticks / rustix::param::clock_ticks_per_second();
        let message = if let Some(most) = self.output_bytes.filter(|most| outputs > *most) {
            format!("the outputs have {outputs} bytes so far, and may have {most}")
        } else if let Some(most) = self.processor_seconds.filter(|most| seconds > *most) {
            format!("the job used {seconds} s of processor time, and may use {most} s")
        } else {
            return None;
        };
        Some(Failure::new("LIMIT_EXCEEDED", message, stage, false))
    }
}

/// Reads a worker's events until its job has ended, and enforces the limits on the way.
async fn follow(
    service: &Service,
    at: Watched<'_>,
    place: &mut Place,
    worker: &mut Worker,
) -> Followed {
    let Watched { task, limits, stop, begun, target } = at;
    let config = &service.config;
    let limit = Duration::from_secs(limits.seconds);
    let silence = Duration::from_secs(config.most_silent_seconds);
    let before = worker.look().await.unwrap_or_default().vitals.ticks;
    let (mut heard, mut last, mut held) = (Instant::now(), before, Duration::ZERO);
    let mut looked = Instant::now();
    let (mut state, mut progress, mut written) = (State::Probing, 0, Instant::now());
    let mut watch = interval(WATCH);
    watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut asked_to_stop, mut is_planned, mut unseen) = (None, false, 0);
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
                if place.is_aside() && worker.inputs().holds() {
                    // The service holds its bytes back: that is no time of its own.
                    held += looked.elapsed();
                    heard = Instant::now();
                }
                looked = Instant::now();
                if begun.elapsed().saturating_sub(held) > limit {
                    return failed(too_long(limits, stage));
                }
                let Some(look) = worker.look().await else {
                    // One that has ended is noticed by the end of its output. One that is about to, or
                    // that can not be looked at for lack of descriptors, gets another look.
                    unseen += 1;
                    if service.pool.hides(worker) {
                        return Followed::Lost(Ending::GivenBack);
                    }
                    if unseen > MOST_UNSEEN {
                        return Followed::Lost(Ending::Crashed("can not be watched", stage));
                    }
                    continue;
                };
                unseen = 0;
                if !worker.inputs().is_open() {
                    return Followed::Lost(Ending::Crashed("lost its inputs", stage));
                }
                let ticks = look.vitals.ticks;
                if !place.look(worker.inputs(), ticks) {
                    return Followed::Lost(Ending::Postponed);
                }
                let refused = limits.refuse(look.written.outputs, ticks.saturating_sub(before), stage);
                let refused = refused.or_else(|| service.refuses_use(&task.job_id, &look, stage));
                if let Some(failure) = refused {
                    return failed(failure);
                }
                if ticks != last {
                    heard = Instant::now();
                }
                last = ticks;
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
            Some(Event::Planned { .. }) if is_planned => {
                let message = "the worker made a second plan";
                let failure = Failure::new("ENGINE_ERROR", message, "plan", false);
                return Followed::Lost(Ending::Failed(failure));
            }
            Some(Event::Planned { strategy, reasons, outputs, .. }) => {
                (state, is_planned) = (State::Planning, true);
                if let Some(name) = outputs.iter().find(|name| !is_plain(name)) {
                    let message =
                        format!("the worker plans an output {name:?}, which is not a file name");
                    let failure = Failure::new("ENGINE_ERROR", message, "plan", false);
                    return Followed::Lost(Ending::Failed(failure));
                }
                let reasons = json!(reasons).to_string();
                // Outputs for a provider are local first, so that is a place for leftovers, too.
                let here = unsent(&task.job_id);
                let here = (!matches!(target, Target::Folder(_))).then_some(&here);
                let places = [target].into_iter().chain(here);
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
            #[cfg(feature = "door")]
            Some(Event::Through(_)) => {}
            // The worker may complete before the request to stop reaches it.
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
            // The task belongs to another attempt by now.
            Ok(false) => return Followed::Lost(Ending::GivenBack),
            // The job goes on: only its progress was not written.
            Err(error) => tracing::warn!(%error, job = task.job_id, "progress was not stored"),
        }
    }
}
