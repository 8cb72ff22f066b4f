//! Worker processes: reused from job to job, spoken to in lines of JSON, killed when they hang.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::Semaphore,
    time::timeout,
};

use crate::model::protocol::{Event, Failure, Limits, Order, Purpose, Request};

/// How long a worker may take to read a request, and to confirm that it took a job.
const TO_TAKE: Duration = Duration::from_secs(10);

/// How many of the last lines of a worker's standard error are kept, for the log.
const WORDS: usize = 20;

/// How workers are started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The program; it is started with the argument `worker`.
    pub(crate) path: PathBuf,
    /// The folder in which each worker gets a folder of its own for temporary files.
    pub(crate) temporary: PathBuf,
}

/// A worker process; it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    words: Arc<Mutex<VecDeque<String>>>,
    /// The worker's folder for temporary files; it is removed when the worker is dropped.
    temporary: TempDir,
}

/// The resource use of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    /// Processor time used in user and kernel mode, in clock ticks.
    pub(crate) ticks: u64,
}

impl Program {
    /// Starts a worker, in a process group of its own.
    pub(crate) fn start(&self) -> io::Result<Worker> {
        let temporary = tempfile::tempdir_in(&self.temporary)?;
        let mut command = Command::new(&self.path);
        command
            .arg("worker")
            .env("TMPDIR", temporary.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let gone = || io::Error::other("the worker has no pipes");
        let input = child.stdin.take().ok_or_else(gone)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(gone)?).lines();
        let words = Arc::default();
        tokio::spawn(listen(child.stderr.take().ok_or_else(gone)?, Arc::clone(&words)));
        Ok(Worker { child, input, output, words, temporary })
    }
}

/// Keeps the last lines of a worker's standard error: libav's log, or the message of a panic.
async fn listen(errors: ChildStderr, words: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = BufReader::new(errors).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(line, "standard error of a worker");
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() == WORDS {
            words.pop_front();
        }
        words.push_back(line);
    }
}

impl Worker {
    async fn say(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.input.write_all(&line).await?;
        self.input.flush().await
    }

    /// Gives the worker a job, and waits until it confirms. A worker that dies before it confirms
    /// did not die of the job. A worker that does not confirm within [`TO_TAKE`] is taken for dead.
    pub(crate) async fn run(&mut self, order: Order) -> io::Result<()> {
        let taken = timeout(TO_TAKE, async {
            self.say(&Request::Run(order)).await?;
            Ok::<_, io::Error>(self.event().await)
        });
        match taken.await {
            Ok(Ok(Some(Event::Taken))) => Ok(()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) | Err(_) => Err(io::Error::other("the worker did not accept the job")),
        }
    }

    /// The worker's next event; `None` when it is dead, or its line is no known event.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        let line = self.output.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Asks the worker to stop the running job; its last event for that job still comes.
    pub(crate) async fn cancel(&mut self) -> io::Result<()> {
        let said = timeout(TO_TAKE, self.say(&Request::Cancel)).await;
        said.map_err(|_| io::Error::other("the worker did not accept the cancel request"))?
    }

    /// Kills the worker and removes its temporary files.
    pub(crate) async fn end(mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            tracing::warn!(%status, "a worker ended by itself");
        }
        let _ = self.child.kill().await;
        let words = std::mem::take(&mut *self.words.lock().unwrap_or_else(PoisonError::into_inner));
        if !words.is_empty() {
            let words = Vec::from(words).join("\n");
            tracing::info!(words, "the last lines of standard error of a worker");
        }
    }

    /// The worker's folder for temporary files.
    pub(crate) fn temporary(&self) -> &Path {
        self.temporary.path()
    }

    /// The resource use of the worker; `None` when it has ended.
    pub(crate) fn vitals(&self) -> Option<Vitals> {
        vitals(self.child.id()?)
    }
}

/// The resource use of a process, from `/proc` (proc(5)).
fn vitals(process: u32) -> Option<Vitals> {
    let folder = Path::new("/proc").join(process.to_string());
    let status = std::fs::read_to_string(folder.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // The name of the process may have spaces, so fields are counted from the parenthesis behind
    // it. The 12th and 13th from there are utime and stime.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let spent = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Some(Vitals { memory: kilobytes * 1024, ticks: spent.sum() })
}

/// Workers that only make plans, for HTTP requests that wait for the answer.
#[derive(Debug)]
pub(crate) struct Planners {
    program: Program,
    free: Mutex<Vec<Worker>>,
    places: Semaphore,
}

/// Why a request can not be served now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy {
    /// The reason, for people.
    pub(crate) what: &'static str,
    /// How long the client should wait before it tries again.
    pub(crate) after: Duration,
}

impl Busy {
    /// Free space does not come back by itself, so the pause is long.
    pub(crate) const DISK_FULL: Self =
        Self { what: "the disk is full", after: Duration::from_secs(60) };
}

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum NotPlanned {
    /// No worker can make it now; the request may be repeated.
    Busy(Busy),
    /// The job itself would fail with this.
    Failed(Failure),
}

/// How many plans are made at the same time.
const PLANS: usize = 2;

/// How long a request waits for a free worker.
const TO_BEGIN: Duration = Duration::from_secs(10);

/// How long a plan may take.
const TO_PLAN: Duration = Duration::from_secs(60);

impl Planners {
    pub(crate) fn new(program: Program) -> Self {
        Self { program, free: Mutex::default(), places: Semaphore::new(PLANS) }
    }

    /// Makes the plan of a document, within the limits that jobs have.
    pub(crate) async fn plan(&self, document: String, limits: Limits) -> Result<Value, NotPlanned> {
        let place = timeout(TO_BEGIN, self.places.acquire()).await;
        let busy = Busy { what: "too many plans are requested at once", after: TO_BEGIN };
        let _place = place.ok().and_then(Result::ok).ok_or(NotPlanned::Busy(busy))?;
        let failed = |message: String| {
            NotPlanned::Failed(Failure::new("ENGINE_INVOCATION_ERROR", message, "plan", true))
        };
        let order = Order { document, purpose: Purpose::Plan, limits };
        loop {
            let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let is_new = free.is_none();
            let started = free.map_or_else(|| self.program.start(), Ok);
            let mut worker = started.map_err(|error| failed(error.to_string()))?;
            match timeout(TO_PLAN, planned(&mut worker, order.clone())).await {
                Ok(Some(plan)) => {
                    self.free.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
                    return plan.map_err(NotPlanned::Failed);
                }
                // A reused worker may have died while it was idle: try another one.
                Ok(None) if !is_new => worker.end().await,
                Ok(None) => {
                    worker.end().await;
                    return Err(failed("the worker that made the plan crashed".to_owned()));
                }
                Err(_) => {
                    worker.end().await;
                    let limit = TO_PLAN.as_secs();
                    return Err(failed(format!("the plan took longer than {limit} s")));
                }
            }
        }
    }
}

/// The plan that a worker makes; `None` when the worker dies meanwhile.
async fn planned(worker: &mut Worker, order: Order) -> Option<Result<Value, Failure>> {
    worker.run(order).await.ok()?;
    let mut shown = None;
    loop {
        match worker.event().await? {
            Event::Planned { strategy, reasons, plan, .. } => {
                shown = Some(json!({ "strategy": strategy, "reasons": reasons, "plan": plan }));
            }
            Event::Done(_) => return shown.map(Ok),
            Event::Failed(failure) => return Some(Err(failure)),
            Event::Taken | Event::Probing | Event::Planning | Event::Progress(_) => {}
        }
    }
}
