//! Runs an open pipeline: threads, the first error, progress, and the end.

use std::{
    any::Any,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{RecvTimeoutError, Sender, unbounded};

use crate::{
    error::{Error, Result},
    pipeline::Job,
    plan::{Plan, TrackKind},
    progress::{CancelToken, Meter, Progress, Reading},
    tally::Tally,
};

/// How often a caller sees progress.
const TICK: Duration = Duration::from_millis(250);

/// What shows progress to the caller, and hears whether to go on.
pub(crate) struct Watch<'a, F> {
    pub(crate) observe: F,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) tallies: &'a [Vec<Tally>],
    pub(crate) plan: &'a Plan,
    pub(crate) begun: Instant,
    pub(crate) meter: Meter,
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> Watch<'_, F> {
    /// Shows how far the run is. The caller stops it by an answer or, worse, by a panic.
    pub(crate) fn tick(&mut self) -> Result<()> {
        let now = self.reading();
        let progress = self.meter.read(now, self.begun.elapsed());
        match guarded("the progress callback", || Ok((self.observe)(progress))) {
            Ok(ControlFlow::Continue(())) => Ok(()),
            Ok(ControlFlow::Break(())) => {
                self.cancel.cancel();
                Err(Error::Cancelled)
            }
            Err(error) => {
                self.cancel.cancel();
                Err(error)
            }
        }
    }

    /// Shows that the outputs are in place. It is too late to stop, whatever the caller
    /// answers, and even if it panics.
    pub(crate) fn done(&mut self) {
        let now = self.reading();
        let progress = self.meter.done(now, self.begun.elapsed());
        if let Err(error) = guarded("the progress callback", || Ok((self.observe)(progress))) {
            tracing::warn!(%error, "the outputs are in place all the same");
        }
    }

    fn reading(&self) -> Reading {
        let mut now = Reading { total: self.plan.seconds, ..Reading::default() };
        let mut slowest = f64::INFINITY;
        let tracks = self.plan.outputs.iter().zip(self.tallies);
        for (track, tally) in tracks.flat_map(|(output, tallies)| output.tracks.iter().zip(tallies))
        {
            let count = tally.count();
            let end = count.written.end().map_or(0.0, |end| end.seconds().max(0.0));
            if !count.ended {
                slowest = slowest.min(end);
            }
            now.bytes += count.bytes;
            if track.kind == TrackKind::Video {
                now.frames += count.packets_written;
            }
        }
        let whole = now.total.unwrap_or(0.0);
        now.seconds = if slowest.is_finite() { slowest } else { whole };
        now
    }
}

/// Runs the jobs of a pipeline to their end; the first failure stops the others and is the answer.
pub(crate) fn run_jobs<F: FnMut(&Progress) -> ControlFlow<()>>(
    mut jobs: Vec<Job>,
    watch: &mut Watch<'_, F>,
) -> Result<()> {
    watch.tick()?;
    if jobs.len() == 1 {
        // Work too small for threads runs right here.
        return jobs.pop().map_or(Ok(()), run_job);
    }
    let (sender, results) = unbounded();
    let running = jobs.len();
    let cancel = watch.cancel;
    thread::scope(|scope| {
        let mut first = Ok(());
        for job in jobs {
            let (sender, job_cancel) = (sender.clone(), cancel.clone());
            let name = job.name.clone();
            let work = move || report(job, &job_cancel, &sender);
            if thread::Builder::new().name(name).spawn_scoped(scope, work).is_err() {
                cancel.cancel();
                first = Err(Error::Exhausted { what: "thread" });
                break;
            }
        }
        drop(sender);
        if first.is_ok() {
            first = collect(&results, running, watch);
        }
        first
    })
}

/// Waits for the jobs and shows progress meanwhile.
fn collect<F: FnMut(&Progress) -> ControlFlow<()>>(
    results: &crossbeam::channel::Receiver<Result<()>>,
    mut running: usize,
    watch: &mut Watch<'_, F>,
) -> Result<()> {
    let mut first = Ok(());
    while running > 0 {
        match results.recv_timeout(TICK) {
            Ok(result) => {
                running -= 1;
                first = first.and(result);
            }
            Err(RecvTimeoutError::Timeout) if first.is_ok() => first = watch.tick(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    first
}

/// Runs a job on its thread, stops the others when it fails, and tells how it ended.
fn report(job: Job, cancel: &CancelToken, results: &Sender<Result<()>>) {
    let name = job.name.clone();
    let result = run_job(job);
    if let Err(error) = &result {
        tracing::debug!(%error, job = name, "stopped");
    }
    let failed = result.is_err();
    // The one who waits counts the results before it looks at the token: the cause comes first.
    let _ = results.send(result);
    if failed {
        cancel.cancel();
    }
}

fn run_job(job: Job) -> Result<()> {
    let Job { name, run } = job;
    guarded(&name, run)
}

/// Runs something that may panic and makes an error of that.
pub(crate) fn guarded<T>(stage: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        Err(Error::Panicked { stage: stage.to_owned(), message: panic_text(&*panic) })
    })
}

/// The text of a panic, where it has one.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned())
}
