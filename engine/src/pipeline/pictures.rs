//! Single pictures: one frame, and sprite sheets of many.

use std::{
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use rayon::{ThreadPoolBuilder, prelude::*};

use avocet_model::{
    error::{Error, Result},
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
    libav::{Frame, limits::Limits},
    read::{
        frames::PictureFilter,
        reader::{FrameReader, Shown},
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

/// Counts a picture, and notes whether its time is past the end, and when it is damaged.
fn note(shown: &Shown, count: &mut Read) {
    count.frames += 1;
    count.past_end |= shown.past_end;
    count.before_keyframe = count.before_keyframe.max(shown.lead);
    if shown.damage > Damage::None {
        count.damaged.push(shown.seconds);
    }
}

/// A sprite sheet before it is drawn. Encoder and muxer are opened when its turn comes, since there
/// may be hundreds of sheets.
pub(crate) struct OpenSheet {
    pub(crate) output: Output,
    pub(crate) sheet: SpriteSheet,
    pub(crate) source: Source,
    /// Whether the source is read from its first packet on, since its clock starts again.
    pub(crate) goes_back: bool,
    /// The name of the source in errors.
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

/// Decodes and scales pictures, for one task at a time.
struct Worker {
    reader: FrameReader,
    /// The filters of the sheet that it worked at last.
    filter: PictureFilter,
}

/// Workers that wait for their next task.
#[derive(Default)]
struct Idle {
    workers: Mutex<Vec<(StreamId, Worker)>>,
    retries: Retries,
}

/// Draws sprite sheets, whose pictures are decoded in parallel on `threads` threads.
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
        // A task has neighboring pictures, which share what they decode.
        let piece = sheet.picks.len().div_ceil(4 * threads);
        let pieces = sheet.picks.par_chunks(piece.max(1));
        let cells = |picks: &[FramePick]| {
            let open = || {
                let stream = sheet.source.stream;
                let threads = NonZeroU32::MIN;
                let open = FrameReader::open_at;
                let mut reader = open(&source, &location, stream, threads, limits, cancel)?;
                if goes_back {
                    reader.follow_clock()?;
                }
                Ok(reader)
            };
            let neighbors = sheet.picks.iter().any(|pick| pick.neighbors);
            let mut worker = idle.take(sheet.source, (&sheet.filters, neighbors), open)?;
            let cells = worker.cells(picks, cancel, drawn)?;
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
    /// An idle worker for a stream, or a new one, that applies these filters, which look at
    /// neighboring frames or not.
    fn take(
        &self,
        stream: StreamId,
        (filters, neighbors): (&str, bool),
        open: impl FnOnce() -> Result<FrameReader>,
    ) -> Result<Worker> {
        let mut idle = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let place = idle.iter().position(|(other, _)| *other == stream);
        let found = place.map(|place| idle.swap_remove(place).1);
        drop(idle);
        let filter =
            |reader: &FrameReader| PictureFilter::new(filters.to_owned(), neighbors, reader);
        match found {
            Some(worker) if worker.filter.is_of(filters, neighbors) => Ok(worker),
            Some(Worker { reader, .. }) => Ok(Worker { filter: filter(&reader), reader }),
            None => {
                let mut reader = open()?;
                reader.retries = self.retries.clone();
                Ok(Worker { filter: filter(&reader), reader })
            }
        }
    }

    fn give_back(&self, stream: StreamId, worker: Worker) {
        let mut idle = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((stream, worker));
    }
}

impl Worker {
    /// The filtered pictures at `picks`, in their order.
    fn cells(
        &mut self,
        picks: &[FramePick],
        cancel: &CancelToken,
        drawn: &Counters<Read>,
    ) -> Result<Vec<Frame>> {
        let Self { reader, filter } = self;
        let mut cells = Vec::with_capacity(picks.len());
        reader.at_each(picks, |shown| {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            drawn.note(|count| note(&shown, count));
            cells.push(filter.apply(shown)?.0);
            Ok(())
        })?;
        Ok(cells)
    }
}
