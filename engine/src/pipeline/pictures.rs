//! Single pictures: one frame, and sprite sheets of many.

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use rayon::{ThreadPoolBuilder, prelude::*};

use avocet_model::{
    error::{Error, Result, Step},
    location::Location,
    plan::{FramePick, Output, SpriteSheet, StreamId},
    progress::CancelToken,
};

use super::{
    counters::{Counters, Read},
    open_sheet,
    stage::{Outlet, Stop, finished},
};
use crate::{
    io::{Draft, Source},
    libav::{FilterGraph, Frame, GraphInput, Received, fitted, limits::Limits},
    read::{
        reader::{FrameReader, Shown, libav},
        retries::{Damage, Retries},
    },
};

/// Sends the frame at an instant, with its neighbors where the filters look at them.
pub(crate) fn show(
    mut reader: FrameReader,
    pick: &FramePick,
    counters: &Counters<Read>,
    mut outlet: impl Outlet<Frame>,
) -> Result<()> {
    let shown: Shown = reader.at(pick)?;
    counters.note(|count| {
        count.past_end = shown.past_end;
        note(&shown, count);
    });
    for frame in shown.with_neighbors(pick.neighbors)? {
        match outlet.send(frame) {
            Err(Stop::Failed(error)) => return Err(error),
            Ok(()) | Err(Stop::Closed) => {}
        }
    }
    finished(outlet.finish())
}

/// Counts a picture, and notes when it is on screen where it is damaged.
fn note(shown: &Shown, count: &mut Read) {
    count.frames += 1;
    count.before_keyframe = count.before_keyframe.max(shown.lead);
    if shown.damage > Damage::None {
        count.damaged.push(shown.seconds);
    }
}

/// A sheet on its way; what writes it is opened when its turn comes, since there may be hundreds.
pub(crate) struct OpenSheet {
    pub(crate) output: Output,
    pub(crate) sheet: SpriteSheet,
    pub(crate) source: Source,
    /// Whether the source is read from its first packet on, since its clock starts again.
    pub(crate) goes_back: bool,
    /// What errors call the source.
    pub(crate) location: Location,
    /// Where it is written to.
    pub(crate) draft: Draft,
}

/// The filters that put the pictures of a sheet beside each other.
pub(crate) fn tiling(sheet: &SpriteSheet) -> String {
    match (sheet.picks.len(), sheet.columns, sheet.rows()) {
        (1, ..) => "null".to_owned(),
        (count, columns, rows) => format!("tile=layout={columns}x{rows}:nb_frames={count}"),
    }
}

/// What decodes and scales pictures, for one task at a time.
struct Worker {
    reader: FrameReader,
    /// The filters, for as long as pictures are of one kind.
    graph: Option<(GraphInput, FilterGraph)>,
}

/// Workers that wait for their next task.
#[derive(Default)]
struct Idle {
    workers: Mutex<Vec<(StreamId, Worker)>>,
    retries: Retries,
}

/// Draws sheets, their pictures in parallel on so many threads.
pub(crate) fn draw(
    sheets: Vec<OpenSheet>,
    threads: NonZeroU32,
    limits: Limits,
    cancel: &CancelToken,
    drawn: &Counters<Read>,
) -> Result<()> {
    let count = usize::try_from(threads.get()).unwrap_or(1);
    let pool = ThreadPoolBuilder::new().num_threads(count).build();
    let pool = pool.map_err(|_| Error::Exhausted { what: "thread" })?;
    let idle = Idle::default();
    pool.install(|| {
        sheets.into_par_iter().try_for_each(|sheet| sheet.draw(count, limits, &idle, cancel, drawn))
    })
}

impl OpenSheet {
    fn draw(
        self,
        threads: usize,
        limits: Limits,
        idle: &Idle,
        cancel: &CancelToken,
        drawn: &Counters<Read>,
    ) -> Result<()> {
        let Self { output, sheet, source, goes_back, location, draft } = self;
        let mut line = open_sheet(&output, &sheet, &draft, cancel)?;
        // Pieces of neighboring pictures, which share what they decode.
        let piece = sheet.picks.len().div_ceil(4 * threads);
        let pieces = sheet.picks.par_chunks(piece.max(1));
        let cells = |picks: &[FramePick]| {
            let mut worker = idle.take(sheet.source, || {
                let stream = sheet.source.stream;
                let threads = NonZeroU32::MIN;
                let open = FrameReader::open_at;
                let mut reader = open(&source, &location, stream, threads, limits, cancel)?;
                if goes_back {
                    reader.follow_clock()?;
                }
                Ok(reader)
            })?;
            let cells = worker.cells(picks, &sheet.filters, cancel, drawn)?;
            idle.give_back(sheet.source, worker);
            Ok(cells)
        };
        let cells = pieces.map(cells).collect::<Result<Vec<_>>>()?;
        for (mut cell, number) in cells.into_iter().flatten().zip(0..) {
            cell.set_pts(number);
            match line.send(cell) {
                Err(Stop::Failed(error)) => return Err(error),
                Ok(()) | Err(Stop::Closed) => {}
            }
        }
        finished(line.finish())
    }
}

impl Idle {
    /// A worker for a stream.
    fn take(&self, stream: StreamId, open: impl FnOnce() -> Result<FrameReader>) -> Result<Worker> {
        let mut idle = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = idle.iter().position(|(other, _)| *other == stream) {
            return Ok(idle.swap_remove(place).1);
        }
        drop(idle);
        let mut reader = open()?;
        reader.retries = self.retries.clone();
        Ok(Worker { reader, graph: None })
    }

    fn give_back(&self, stream: StreamId, worker: Worker) {
        let mut idle = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((stream, worker));
    }
}

impl Worker {
    /// The pictures at picks, filtered.
    fn cells(
        &mut self,
        picks: &[FramePick],
        filters: &str,
        cancel: &CancelToken,
        drawn: &Counters<Read>,
    ) -> Result<Vec<Frame>> {
        let Self { reader, graph } = self;
        let neighbors = picks.iter().any(|pick| pick.neighbors);
        let (base, promised) = (reader.base(), reader.promised());
        let mut cells = Vec::with_capacity(picks.len());
        reader.at_each(picks, |shown| {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let kind = GraphInput::of_frame(&shown.frame);
            let open = || {
                let filters = fitted(filters, promised.as_ref(), &kind);
                FilterGraph::new(&filters, &kind, base, NonZeroU32::MIN)
                    .map_err(|source| libav(Step::Open, "filter graph", source))
            };
            let kept = graph.take().filter(|(of, _)| *of == kind);
            let mut open = match kept {
                Some((_, kept)) => kept,
                None => open()?,
            };
            drawn.note(|count| note(&shown, count));
            let (cell, is_drained) = filtered(shown, &mut open, neighbors)?;
            cells.push(cell);
            *graph = (!is_drained).then_some((kind, open));
            Ok(())
        })?;
        Ok(cells)
    }
}

/// The picture that filters make of a frame, and whether the graph had to be drained for it.
fn filtered(shown: Shown, graph: &mut FilterGraph, neighbors: bool) -> Result<(Frame, bool)> {
    let broken = |source| libav(Step::Filter, "filter graph", source);
    for frame in shown.with_neighbors(neighbors)? {
        graph.push(frame).map_err(broken)?;
    }
    let mut is_drained = false;
    loop {
        match graph.pull().map_err(broken)? {
            Received::One(frame) if frame.is_neighbor() => {}
            Received::One(frame) => return Ok((frame, is_drained)),
            Received::Failed(source) => return Err(broken(source)),
            Received::Nothing if is_drained => {
                return Err(Error::BadPlan { what: "its filters keep no frame".to_owned() });
            }
            Received::Nothing => {
                // A deinterlacer waits for the next frame.
                graph.finish().map_err(broken)?;
                is_drained = true;
            }
        }
    }
}
