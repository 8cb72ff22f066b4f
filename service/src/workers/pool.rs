//! Idle workers, kept for the next job of their project, and one that belongs to none yet.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use prometheus_client::metrics::counter::Counter;
use tokio::task::spawn_blocking;

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

    /// The `ffmpeg` program, where there is one.
    pub(crate) fn ffmpeg(&self) -> Option<&Path> {
        self.program.ffmpeg.as_deref()
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

    /// Whether the use that workers make of the machine can be looked at. Where it can not, no job is
    /// begun.
    pub(crate) fn can_look(&self) -> bool {
        !self.is_blind.load(Ordering::Acquire)
    }

    /// Whether `/proc` hides a worker that lives, which is noted.
    pub(crate) fn hides(&self, worker: &Worker) -> bool {
        let is_hidden = worker.id().is_some_and(is_hidden) && !worker.has_ended();
        if is_hidden {
            self.note_blind(true);
        }
        is_hidden
    }

    fn note_blind(&self, is_blind: bool) {
        if self.is_blind.swap(is_blind, Ordering::AcqRel) != is_blind && is_blind {
            tracing::error!("/proc hides workers (its option hidepid), so no job can be watched");
        }
    }

    /// Looks at all idle workers, and ends those that do not behave as idle ones do: that have files,
    /// that compute, or of which `refuses` says why they may not go on.
    pub(crate) async fn tend(&self, refuses: impl Fn(&Look) -> Option<String>) {
        let mut all: Vec<_> = self.idle().iter().filter_map(Worker::whereabouts).collect();
        all.extend(self.spare().as_ref().and_then(Worker::whereabouts));
        let looked = spawn_blocking(move || {
            let look = |(id, kind, folder): (u32, Kind, PathBuf)| {
                (id, Look::at(id, kind, &folder), is_hidden(id))
            };
            all.into_iter().map(look).collect::<Vec<_>>()
        });
        for (id, look, is_hidden) in looked.await.unwrap_or_default() {
            // One that has a job by now is not idle any more.
            let ended = self.take_if(id, |worker| {
                if worker.has_ended() {
                    return Some("it ended by itself".to_owned());
                }
                self.note_blind(is_hidden);
                misbehavior(worker, &look?, &refuses)
            });
            if let Some((worker, what)) = ended {
                tracing::warn!(what, "an idle worker is ended");
                // The kernel may take its time, and others are looked at meanwhile.
                tokio::spawn(worker.end());
            }
        }
        self.refill();
    }

    /// Takes an idle worker for which `is_wrong` says what is wrong with it.
    fn take_if(
        &self,
        id: u32,
        is_wrong: impl FnOnce(&mut Worker) -> Option<String>,
    ) -> Option<(Worker, String)> {
        let mut idle = self.idle();
        if let Some(at) = idle.iter().position(|worker| worker.id() == Some(id)) {
            let what = is_wrong(&mut idle[at])?;
            return Some((idle.remove(at), what));
        }
        drop(idle);
        let mut spare = self.spare();
        let what = is_wrong(spare.as_mut().filter(|worker| worker.id() == Some(id))?)?;
        Some((spare.take()?, what))
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

/// What an idle worker does that no idle one does, in words. Its processor time is remembered.
fn misbehavior(
    worker: &mut Worker,
    look: &Look,
    refuses: impl Fn(&Look) -> Option<String>,
) -> Option<String> {
    let now = look.vitals.ticks;
    let before = worker.idle_ticks.replace(now).unwrap_or(now);
    let used = now.saturating_sub(before) / rustix::param::clock_ticks_per_second();
    match refuses(look) {
        Some(what) => Some(what),
        None if look.written.files > 0 => Some("it made files".to_owned()),
        None => (used > IDLE_SECONDS).then(|| format!("it used {used} s of processor time")),
    }
}

/// Whether `/proc` has nothing of a process.
fn is_hidden(process: u32) -> bool {
    let found = fs::metadata(format!("/proc/{process}"));
    found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
