//! What all parts of a service share.

use std::{
    collections::HashMap,
    ops::Deref,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use avocet_engine::Elsewhere;
use avocet_recipes::{Job, Problem as DocumentProblem, Recipe, Task};
use serde_json::Value;
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::timeout,
};
use url::Url;

use crate::{
    TO_END,
    codes::Codes,
    disk::Disk,
    metrics::Metrics,
    model::{
        clock::millis,
        config::{Config, Confinement},
        keys::Keys,
        protocol::Failure,
    },
    rates::Rates,
    roots::{Rooted, Roots},
    store::Store,
    uploads::{self, Uploads},
    workers::{Busy, Kind, Look, NotPlanned, Places, Planners, Pool, Prepared, Program},
};

/// Ways with the credentials of one provider each, by the provider's id and the time of its last
/// change in milliseconds since 1970.
pub(crate) type Reaching = Mutex<HashMap<(String, i64), Elsewhere>>;

/// How many jobs may run beside those that have a place, while they wait for bytes from elsewhere.
const ASIDE: usize = 16;

/// The same of one project.
const ASIDE_OF_ONE: usize = 4;

/// How many files a job may make: more would be slow to look at, and use up the file system.
const FILES: usize = 10_000;

/// How many threads a worker may have: some per processor in each decoder, filter and encoder.
const THREADS: u64 = 4096;

/// A running service; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Service(Arc<Shared>);

/// The state behind all clones of [`Service`].
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) keys: Keys,
    pub(crate) uploads: Uploads,
    /// Codes of one-time links.
    pub(crate) codes: Codes,
    pub(crate) rates: Rates,
    pub(crate) metrics: Metrics,
    pub(crate) disk: Disk,
    /// Places for jobs that run.
    pub(crate) places: Places,
    pub(crate) pool: Pool,
    pub(crate) planners: Planners,
    pub(crate) reaching: Reaching,
    /// A place for each stream of events.
    pub(crate) listeners: Arc<Semaphore>,
    /// The base of all URLs that are handed out.
    pub(crate) public_url: String,
    /// Wakes a loop that waits for tasks.
    work: Notify,
    /// Wakes the loop that delivers webhooks.
    pub(crate) webhooks: Notify,
    /// Whether the service begins no new work, since it is about to shut down.
    draining: AtomicBool,
    /// Whether the service shuts down.
    ending: AtomicBool,
    pub(crate) ended: Notify,
    /// For each job that somebody watches, a counter of its changes.
    changes: Mutex<HashMap<String, watch::Sender<u64>>>,
    /// For each running job, the signal that asks it to stop.
    stops: Mutex<HashMap<String, Arc<Notify>>>,
    /// When each key was last used, in milliseconds since 1970; not yet in the database.
    used: Mutex<HashMap<String, i64>>,
}

impl Deref for Service {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Service {
    pub(crate) fn new(
        config: Config,
        store: Store,
        keys: Keys,
        uploads: Uploads,
        public_url: String,
        program: Program,
    ) -> Self {
        let listeners = Arc::new(Semaphore::new(config.most_event_streams));
        let metrics = Metrics::default();
        let jobs = usize::try_from(config.shares().1).unwrap_or(1);
        metrics.confined(program.sandbox.missing().is_none());
        let disk = Disk::new(&config.data, config.least_free_bytes);
        Self(Arc::new(Shared {
            config,
            disk,
            listeners,
            store,
            keys,
            uploads,
            codes: Codes::default(),
            public_url,
            rates: Rates::default(),
            places: Places::new(jobs, ASIDE, ASIDE_OF_ONE),
            pool: Pool::new(program, 2 * jobs + 2, metrics.worker_starts.clone()),
            metrics,
            planners: Planners::new(),
            reaching: Reaching::default(),
            work: Notify::new(),
            webhooks: Notify::new(),
            draining: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            ended: Notify::new(),
            changes: Mutex::default(),
            stops: Mutex::default(),
            used: Mutex::default(),
        }))
    }
}

impl Shared {
    /// The folder of files, which holds outputs.
    pub(crate) fn files(&self) -> PathBuf {
        self.config.data.join("files")
    }

    /// Wakes one loop that waits for tasks.
    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// Waits until [`Self::wake`] is called, or the service ends.
    pub(crate) async fn work(&self) {
        self.work.notified().await;
    }

    /// Begins no new work from now on; jobs that run go on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.work.notify_waiters();
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Begins the shutdown.
    pub(crate) fn end(&self) {
        self.drain();
        self.ending.store(true, Ordering::Release);
        self.work.notify_waiters();
        self.ended.notify_waiters();
    }

    /// Waits so long; answers whether the service goes on. It ends the wait.
    pub(crate) async fn goes_on(&self, pause: Duration) -> bool {
        // `notify_waiters` stores no permit, so register before `is_ending` is asked.
        let mut ended = std::pin::pin!(self.ended.notified());
        ended.as_mut().enable();
        !self.is_ending() && timeout(pause, ended).await.is_err()
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Refuses new work while the service shuts down, or while the disk is nearly full.
    pub(crate) fn expect_room(&self) -> Result<(), Busy> {
        if self.is_draining() {
            // After twice the time that a shutdown takes, another service may have started.
            return Err(Busy { what: "the service is shutting down", after: 2 * TO_END });
        }
        if !self.pool.can_look() {
            let what = "/proc hides the workers of the service, so jobs can not be watched";
            return Err(Busy { what, after: Duration::from_secs(60) });
        }
        if self.disk.has_room() { Ok(()) } else { Err(Busy::DISK_FULL) }
    }

    /// Tells everybody who watches a job that it changed.
    pub(crate) fn changed(&self, job: &str) {
        let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = changes.get(job) {
            sender.send_modify(|count| *count += 1);
        }
    }

    /// A receiver for the changes of a job from now on.
    pub(crate) fn changes(&self, job: &str) -> watch::Receiver<u64> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.retain(|_, sender| !sender.is_closed());
        changes.entry(job.to_owned()).or_insert_with(|| watch::channel(0).0).subscribe()
    }

    /// The signal that asks a job to stop, registered as the job begins to run.
    pub(crate) fn stop_of(&self, job: &str) -> Arc<Notify> {
        let stop = Arc::<Notify>::default();
        let mut stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        stops.insert(job.to_owned(), Arc::clone(&stop));
        stop
    }

    /// Removes the stop signal of a job that has ended. A newer run of the same job keeps its own.
    pub(crate) fn stopped(&self, job: &str, stop: &Arc<Notify>) {
        let mut stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        if stops.get(job).is_some_and(|known| Arc::ptr_eq(known, stop)) {
            stops.remove(job);
        }
    }

    /// Asks a job to stop, if it is running.
    pub(crate) fn cancelled(&self, job: &str) {
        let stops = self.stops.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stop) = stops.get(job) {
            stop.notify_one();
        }
    }

    /// Remembers that a key was used now; `tend` writes that to the database once a minute.
    pub(crate) fn note_use(&self, token: &str) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(token.to_owned(), millis());
    }

    /// The keys that were used since the last call, with their times in milliseconds since 1970.
    pub(crate) fn take_uses(&self) -> HashMap<String, i64> {
        std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is wrong with a URL that a client names, as far as its text tells; nothing is resolved.
    pub(crate) fn refuses(&self, url: &str) -> Option<DocumentProblem> {
        let is_open = self.config.allow_private_network;
        let is_sound = Url::parse(url).is_ok_and(|url| {
            let is_allowed = url.scheme() == "https" || (is_open && url.scheme() == "http");
            is_allowed && url.has_host()
        });
        if is_sound {
            return None;
        }
        let kind =
            if is_open { "an https: or http: URL" } else { "an https: URL of a public address" };
        let found = format!("\"{}\"", avocet_model::location::without_secrets(url));
        Some(DocumentProblem { path: String::new(), found, allowed: kind.to_owned() })
    }

    /// What is wrong with an input that a client of a project names: a URL, an upload, or a file below
    /// a folder that the operator named. An upload is kept for the job.
    pub(crate) async fn refuses_input(
        &self,
        project: &str,
        url: &str,
    ) -> Result<Option<DocumentProblem>, sqlx::Error> {
        let roots = &self.config.input_roots;
        if Rooted::read(url).is_some_and(|rooted| rooted.is_in(roots)) {
            return Ok(None);
        }
        if let Some(id) = uploads::id_of(url)
            && let Some(upload) = self.store.upload(project, id).await?
        {
            let received = self.uploads.received(id).unwrap_or(0);
            if i64::try_from(received) == Ok(upload.length) {
                self.store.keep_upload(id, millis() + self.config.upload_millis()).await?;
                return Ok(None);
            }
            let found =
                format!("an upload of which {received} of {} bytes have come", upload.length);
            let allowed = "one that is whole".to_owned();
            return Ok(Some(DocumentProblem { path: String::new(), found, allowed }));
        }
        Ok(self.refuses(url).map(|problem| {
            let uploads = ", or upload:ID of an upload of the project";
            let allowed = format!("{}{uploads}{}", problem.allowed, among(roots));
            DocumentProblem { allowed, ..problem }
        }))
    }

    /// Why a worker may not go on with a job or a plan of this id, in a stage; `None` when it may.
    pub(crate) fn refuses_use(&self, id: &str, look: &Look, stage: &str) -> Option<Failure> {
        let written = look.written;
        let bytes = written.outputs.saturating_add(written.temporary);
        let mut message = self.exceeded(look);
        if message.is_none() && written.files > FILES {
            message =
                Some(format!("the job has made {} files, and may make {FILES}", written.files));
        }
        if message.is_none() && self.disk.must_give_way(id, bytes) {
            let full = "and the disk has no room for more";
            message = Some(format!("the job has written {bytes} bytes, {full}"));
        }
        Some(Failure::new("LIMIT_EXCEEDED", message?, stage, false))
    }

    /// Which limit of a process a worker exceeds, in words.
    fn exceeded(&self, look: &Look) -> Option<String> {
        let (vitals, most) = (look.vitals, self.config.most_memory_bytes);
        if vitals.memory > most {
            return Some(format!("the worker exceeded its memory limit of {most} bytes"));
        }
        let too_many =
            || format!("the worker has {} threads, and may have {THREADS}", vitals.threads);
        (vitals.threads > THREADS).then(too_many)
    }

    /// Ends idle workers that use more than idle ones do.
    pub(crate) async fn tend_workers(&self) {
        self.pool.tend(|look| self.exceeded(look)).await;
    }

    /// The plan of a project's job.
    pub(crate) async fn plan(&self, project: &str, job: &Job) -> Result<Value, NotPlanned> {
        let prepared = self.prepare(job).map_err(NotPlanned::Failed)?;
        let (limits, id) = (self.config.limits(), crate::store::new_id());
        let refuses = |look: &Look| self.refuses_use(&id, look, "plan");
        let plan = self.planners.plan(&self.pool, project, &prepared, &limits, refuses).await;
        self.disk.ended(&id);
        plan
    }

    /// What of the confinement of workers is not enforced, in words; `None` when all is.
    pub(crate) fn unconfined(&self) -> Option<String> {
        if self.config.confinement == Confinement::Off {
            return Some("`confinement` is \"off\"".to_owned());
        }
        self.pool.unconfined()
    }

    /// A job as its worker gets it, with its inputs from this machine open.
    pub(crate) fn prepare(&self, job: &Job) -> Result<Prepared, Failure> {
        let mut job = job.clone();
        let (mut inputs, mut is_uploaded) = (Vec::new(), false);
        for input in &mut job.inputs {
            let here = if let Some(rooted) = Rooted::read(&input.url) {
                Some((rooted.open(&self.config.input_roots), rooted.url()))
            } else {
                let id = uploads::id_of(&input.url);
                is_uploaded |= id.is_some();
                id.map(|id| (self.uploads.open(id), uploads::url(id)))
            };
            let file = here.map(|(opened, url)| {
                let opened = opened.map_err(|error| {
                    let message = format!("can not read {}: {error}", input.url);
                    Failure::new("INPUT_UNREACHABLE", message, "open", false)
                })?;
                input.url = url;
                Ok(Arc::new(opened))
            });
            inputs.push((input.url.clone(), file.transpose()?));
        }
        let kind = match &mut job.task {
            Task::Ffmpeg(_) => Kind::Ffmpeg,
            Task::Recipe(recipe) => {
                // What goes to a place of its own is there also where the input would do. An upload
                // expires, and has no URL.
                if let Recipe::WebReady(ready) = recipe {
                    ready.store |= job.service.output_url.is_some() || is_uploaded;
                }
                Kind::Recipes
            }
        };
        Ok(Prepared { kind, document: job.to_json(), inputs })
    }

    /// What is wrong with the place on this machine that a client names for outputs.
    pub(crate) fn refuses_output(&self, place: &str) -> Option<DocumentProblem> {
        let roots = &self.config.output_roots;
        if Rooted::read(place).is_some_and(|rooted| rooted.is_in(roots)) {
            return None;
        }
        let found = format!("{place:?}");
        let allowed = format!("no place of this service{}", among(roots));
        Some(DocumentProblem { path: "outputUrl".to_owned(), found, allowed })
    }
}

/// The places of this machine that are allowed beside other ones, in words.
fn among(roots: &Roots) -> String {
    let places = roots.keys().map(|name| format!(", or a path as in root:{name}/a.mp4"));
    places.collect()
}
