//! Idle workers, kept for the next job of their project, and one that belongs to none yet.

use std::{
    io, mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use prometheus_client::metrics::counter::Counter;

use super::{Kind, Look, Prepared, Program, Worker};
use crate::model::protocol::{Limits, Order, Purpose};

/// How many jobs a worker runs before it is ended: what a job has left in its memory does not stay.
const JOBS: u32 = 200;

/// How much processor time an idle worker may use between two looks at it, in seconds.
const IDLE_SECONDS: u64 = 1;

/// The idle workers of a service.
#[derive(Debug)]
pub(crate) struct Pool {
    program: Program,
    /// Counts the workers that were started.
    starts: Counter,
    /// How many workers of projects are kept.
    most: usize,
    /// Those of projects; the one that was used last is the last.
    idle: Mutex<Vec<Worker>>,
    /// The one that belongs to no project yet.
    spare: Mutex<Option<Worker>>,
    /// Whether workers were met that can not be looked at.
    is_blind: AtomicBool,
}

impl Pool {
    /// An empty one that keeps at most so many idle workers.
    pub(crate) fn new(program: Program, most: usize, starts: Counter) -> Self {
        Self {
            program,
            most,
            starts,
            idle: Mutex::default(),
            spare: Mutex::default(),
            is_blind: AtomicBool::new(false),
        }
    }

    /// What of the confinement of workers is not enforced, in words.
    pub(crate) fn unconfined(&self) -> Option<String> {
        self.program.sandbox.missing()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spare(&self) -> MutexGuard<'_, Option<Worker>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, kind: Kind) -> io::Result<Worker> {
        self.starts.inc();
        self.program.start(kind)
    }

    /// Starts the spare worker, unless there is one.
    pub(crate) fn refill(&self) {
        let mut spare = self.spare();
        if spare.is_none() {
            match self.start(Kind::Recipes) {
                Ok(worker) => *spare = Some(worker),
                Err(error) => tracing::warn!(%error, "no spare worker can be started"),
            }
        }
    }

    /// An idle worker of a project, or the spare one.
    fn known(&self, project: &str, kind: Kind) -> Option<Worker> {
        let mut idle = self.idle();
        let fits =
            |worker: &Worker| worker.kind == kind && worker.project.as_deref() == Some(project);
        if let Some(at) = idle.iter().rposition(fits) {
            return Some(idle.remove(at));
        }
        drop(idle);
        (kind == Kind::Recipes).then(|| self.spare().take()).flatten()
    }

    /// Gives a job of a project to one of the project's workers or to a new one. What it is to do
    /// depends on the worker's folders.
    pub(crate) async fn give(
        &self,
        project: &str,
        prepared: &Prepared,
        limits: &Limits,
        purpose: impl Fn(&Worker) -> Purpose,
    ) -> io::Result<Worker> {
        loop {
            let known = self.known(project, prepared.kind);
            let is_new = known.is_none();
            let mut worker = match known {
                Some(worker) => worker,
                None => self.start(prepared.kind)?,
            };
            worker.project = Some(project.to_owned());
            let order = Order {
                document: prepared.document.clone(),
                purpose: purpose(&worker),
                limits: limits.clone(),
            };
            match worker.run(order, prepared.inputs.clone()).await {
                Ok(()) => {
                    self.refill();
                    return Ok(worker);
                }
                // It died while it was idle.
                Err(_) if !is_new => worker.end().await,
                Err(error) => {
                    worker.end().await;
                    return Err(error);
                }
            }
        }
    }

    /// Whether the use that workers make of the machine can be looked at. Where it can not, no job
    /// runs.
    pub(crate) fn can_look(&self) -> bool {
        !self.is_blind.load(Ordering::Acquire)
    }

    /// Looks at all idle workers, and ends those that do not behave as idle ones do: that have files,
    /// that compute, or of which `refuses` says why they may not go on.
    pub(crate) async fn tend(&self, refuses: impl Fn(&Look) -> Option<String>) {
        let (idle, spare) = (mem::take(&mut *self.idle()), self.spare().take());
        let mut kept = Vec::new();
        for worker in idle {
            kept.extend(self.behaving(worker, &refuses).await);
        }
        // Those that came meanwhile were used last.
        self.idle().splice(0..0, kept);
        if let Some(worker) = spare
            && let Some(worker) = self.behaving(worker, &refuses).await
        {
            // One that was made meanwhile ends.
            *self.spare() = Some(worker);
        }
        self.refill();
    }

    /// An idle worker that behaves; `None` for one that was ended.
    async fn behaving(
        &self,
        mut worker: Worker,
        refuses: impl Fn(&Look) -> Option<String>,
    ) -> Option<Worker> {
        let seen = worker.look().await;
        if worker.has_ended() {
            worker.end().await;
            return None;
        }
        let Some(look) = seen else {
            tracing::error!("/proc hides workers (its option hidepid), so no job can be watched");
            self.is_blind.store(true, Ordering::Release);
            worker.end().await;
            return None;
        };
        self.is_blind.store(false, Ordering::Release);
        let now = look.vitals.ticks;
        let before = worker.idle_ticks.replace(now).unwrap_or(now);
        let used = now.saturating_sub(before) / rustix::param::clock_ticks_per_second();
        let what = match refuses(&look) {
            Some(what) => what,
            None if look.written.files > 0 => "it made files".to_owned(),
            None if used > IDLE_SECONDS => format!("it used {used} s of processor time"),
            None => return Some(worker),
        };
        tracing::warn!(what, "an idle worker is ended");
        worker.end().await;
        None
    }

    /// Takes a worker back whose job has ended.
    pub(crate) async fn put(&self, mut worker: Worker) {
        let is_usable = worker.jobs < JOBS && worker.inputs.is_open();
        if !is_usable || worker.clean().await.is_err() {
            worker.end().await;
            return;
        }
        let oldest = {
            let mut idle = self.idle();
            idle.push(worker);
            (idle.len() > self.most).then(|| idle.remove(0))
        };
        if let Some(oldest) = oldest {
            oldest.end().await;
        }
    }
}
