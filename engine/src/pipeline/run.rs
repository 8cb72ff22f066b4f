//! Runs an open pipeline: threads, the first error, progress, and the end.

use std::{
    ops::ControlFlow,
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{RecvTimeoutError, Sender, unbounded};

use avocet_model::{
    error::{Error, Result},
    panics::guarded,
    plan::{Content, Plan, TrackKind},
    progress::{CancelToken, Fetched, Meter, Phase, Progress, Reading},
};

use super::{
    Job,
    counters::{Counters, Read, TrackCounters, Written, with_counts},
};

/// How often a caller sees progress.
const TICK: Duration = Duration::from_millis(250);

/// Shows progress to the caller, whose answer may stop the run.
pub(crate) struct Watch<'a, F> {
    pub(crate) observe: &'a mut F,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) counters: &'a [Vec<TrackCounters>],
    pub(crate) copied: Vec<Counters<Written>>,
    pub(crate) drawn: Counters<Read>,
    pub(crate) plan: &'a Plan,
    pub(crate) begun: Instant,
    pub(crate) meter: &'a mut Meter,
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> Watch<'_, F> {
    /// Shows how far the run is. The run stops when the caller answers `Break`, or panics.
    pub(crate) fn tick(&mut self) -> Result<()> {
        let now = self.reading();
        let progress = self.meter.read(now, self.begun.elapsed());
        stop_at(show(self.observe, progress), self.cancel)
    }

    /// Shows what the run is doing from now on.
    pub(crate) fn enter(&mut self, phase: Phase) -> Result<()> {
        self.meter.enter(phase);
        self.tick()
    }

    /// Shows how much of the outputs was sent to object stores. What the caller answers is heard by
    /// its token: an upload is stopped in an orderly way.
    pub(crate) fn uploading(&mut self, sent: Fetched) {
        let shown = show(self.observe, self.meter.uploading(sent));
        let _ = stop_at(shown, self.cancel);
    }

    /// Shows that the outputs are in place. The caller can not stop the run any more, whatever it
    /// answers, and even if it panics.
    pub(crate) fn done(&mut self) {
        let now = self.reading();
        let progress = self.meter.done(now, self.begun.elapsed());
        show_end(self.observe, progress);
    }

    fn reading(&self) -> Reading {
        let mut now = Reading { total: self.plan.seconds, ..Reading::default() };
        let mut slowest = f64::INFINITY;
        for (track, counters) in with_counts(self.plan, self.counters) {
            let count = counters.written.count();
            now.bytes += count.bytes;
            if track.kind == TrackKind::Video {
                now.frames += count.packets;
            }
            // Text and cover art say nothing about how far a run is.
            let is_in_time = matches!(track.kind, TrackKind::Video | TrackKind::Audio);
            if is_in_time && count.open_parts > 0 {
                let end = count.extent.end().map_or(0.0, |end| end.seconds().max(0.0));
                slowest = slowest.min(end);
            }
        }
        now.bytes +=
            self.copied.iter().map(|counters| counters.note(|count| count.bytes)).sum::<u64>();
        let whole = now.total.unwrap_or(0.0);
        now.seconds = if slowest.is_finite() { slowest } else { whole };
        let sheets = self.plan.outputs.iter().filter_map(|output| match &output.content {
            Content::SpriteSheet(sheet) => Some(sheet.picks.len()),
            _ => None,
        });
        let pictures: usize = sheets.sum();
        if pictures > 0 {
            now.frames = self.drawn.note(|count| count.frames);
            now.seconds = whole * now.frames as f64 / pictures as f64;
        }
        now
    }
}

/// Shows progress to the caller, whose answer may stop the run, as may a panic.
pub(crate) fn show<F: FnMut(&Progress) -> ControlFlow<()>>(
    observe: &mut F,
    progress: &Progress,
) -> Result<()> {
    match guarded("the progress callback", || Ok(observe(progress)))? {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}

/// Shows the last progress, which stops nothing any more.
pub(crate) fn show_end<F: FnMut(&Progress) -> ControlFlow<()>>(
    observe: &mut F,
    progress: &Progress,
) {
    if let Err(error) = guarded("the progress callback", || Ok(observe(progress))) {
        tracing::warn!(%error, "the progress callback panicked after the outputs were in place");
    }
}

/// Runs the jobs of a pipeline to their end, and those of the parts that `next` opens; the first
/// failure stops the others and is the answer.
pub(crate) fn run_jobs<F: FnMut(&Progress) -> ControlFlow<()>>(
    mut jobs: Vec<Job>,
    watch: &mut Watch<'_, F>,
    next: impl FnMut() -> Result<Vec<Job>>,
) -> Result<()> {
    watch.tick()?;
    if jobs.len() == 1 && watch.plan.is_single_frame() {
        // Work too small for threads runs right here.
        return jobs.pop().map_or(Ok(()), run_job);
    }
    let (sender, results) = unbounded();
    let cancel = watch.cancel;
    let mut next = Some(next);
    thread::scope(|scope| {
        let mut running = Running::default();
        let start = |jobs: Vec<Job>, running: &mut Running| {
            for job in jobs {
                let (sender, job_cancel) = (sender.clone(), cancel.clone());
                let (name, of_part) = (job.name.clone(), job.of_part);
                let work = move || report(job, &job_cancel, &sender);
                if thread::Builder::new().name(name).spawn_scoped(scope, work).is_err() {
                    return Err(Error::Exhausted { what: "thread" });
                }
                *running.of(of_part) += 1;
            }
            Ok(())
        };
        let mut first = stop_at(start(jobs, &mut running), cancel);
        // Results of short parts may come faster than ticks are due, so ticks have a deadline of
        // their own.
        let mut due = Instant::now() + TICK;
        while running.lasting + running.of_part > 0 {
            match results.recv_deadline(due) {
                Ok((of_part, result)) => {
                    *running.of(of_part) -= 1;
                    first = first.and(result);
                    let is_done = of_part && running.of_part == 0 && first.is_ok();
                    if let Some(next) = next.as_mut().filter(|_| is_done) {
                        // All jobs of these parts have ended: the next parts begin.
                        let begun = next().and_then(|jobs| start(jobs, &mut running));
                        first = stop_at(begun, cancel);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= due {
                due = Instant::now() + TICK;
                first = first.and_then(|()| watch.tick());
            }
            if first.is_err() {
                // This drops the outlets of later parts, so that nobody waits for their packets.
                next = None;
            }
        }
        first
    })
}

/// How many jobs run.
#[derive(Debug, Default)]
struct Running {
    of_part: usize,
    lasting: usize,
}

impl Running {
    fn of(&mut self, part: bool) -> &mut usize {
        if part { &mut self.of_part } else { &mut self.lasting }
    }
}

/// Cancels all jobs if `result` is a failure.
pub(crate) fn stop_at(result: Result<()>, cancel: &CancelToken) -> Result<()> {
    result.inspect_err(|_| cancel.cancel())
}

/// Runs a job on its thread, stops the others when it fails, and tells how it ended.
fn report(job: Job, cancel: &CancelToken, results: &Sender<(bool, Result<()>)>) {
    let (name, of_part) = (job.name.clone(), job.of_part);
    let result = run_job(job);
    if let Err(error) = &result {
        tracing::debug!(%error, job = name, "stopped");
    }
    let failed = result.is_err();
    // The result goes before the cancellation, so that the cause comes before errors that follow
    // from it.
    let _ = results.send((of_part, result));
    if failed {
        cancel.cancel();
    }
}

fn run_job(job: Job) -> Result<()> {
    let Job { name, run, .. } = job;
    guarded(&name, run)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// However fast parts follow each other, their results must not keep progress from the caller.
    #[test]
    fn progress_is_shown_while_many_short_parts_end() {
        let short = || Job { name: "short".to_owned(), of_part: true, run: Box::new(|| Ok(())) };
        let plan = Plan::new([], []);
        let (shown, begun) = (std::cell::Cell::new(0), Instant::now());
        let cancel = CancelToken::new();
        let mut watch = Watch {
            observe: &mut |_: &Progress| {
                shown.set(shown.get() + 1);
                ControlFlow::Continue(())
            },
            cancel: &cancel,
            counters: &[],
            copied: Vec::new(),
            drawn: Counters::default(),
            plan: &plan,
            begun,
            meter: &mut Meter::default(),
        };
        // There are parts until progress was shown, or for far too long.
        let next = || {
            let is_over = shown.get() >= 3 || begun.elapsed() > 40 * TICK;
            Ok(if is_over { Vec::new() } else { vec![short(), short()] })
        };
        run_jobs(vec![short(), short()], &mut watch, next).unwrap();
        assert!(shown.get() >= 3, "shown {} times", shown.get());
    }
}
