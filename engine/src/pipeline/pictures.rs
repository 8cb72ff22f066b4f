//! Single pictures: one frame, and sprite sheets of many.

use std::{
    iter,
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

/// Draws sprite sheets and single pictures, which are decoded in parallel on `threads` threads.
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
    let run = Run { limits, idle: Idle::default(), cancel, drawn };
    let (pictures, sheets): (Vec<_>, Vec<_>) =
        sheets.into_iter().partition(|sheet| sheet.sheet.picks.len() == 1);
    // A task has neighboring pictures, which share what they decode.
    let piece = |pictures: usize| pictures.div_ceil(4 * count).max(1);
    let of_task = piece(pictures.len());
    let mut pictures = pictures.into_iter();
    let tasks = iter::from_fn(|| Some(pictures.by_ref().take(of_task).collect::<Vec<_>>()));
    let tasks: Vec<Vec<OpenSheet>> = tasks.take_while(|task| !task.is_empty()).collect();
    pool.install(|| {
        sheets.into_par_iter().try_for_each(|sheet| {
            let pieces = sheet.sheet.picks.par_chunks(piece(sheet.sheet.picks.len()));
            let cells = |picks: &[FramePick]| {
                let mut cells = Vec::with_capacity(picks.len());
                run.each(&sheet, picks, |cell| {
                    cells.push(cell);
                    Ok(())
                })?;
                Ok(cells)
            };
            let cells = pieces.map(cells).collect::<Result<Vec<_>>>()?;
            sheet.draw(cells.into_iter().flatten(), cancel)
        })?;
        tasks.into_par_iter().try_for_each(|task| {
            task.chunk_by(OpenSheet::is_like).try_for_each(|pictures| {
                let picks = pictures.iter().flat_map(|picture| &picture.sheet.picks).copied();
                let mut left = pictures.iter();
                run.each(&pictures[0], &picks.collect::<Vec<_>>(), |cell| {
                    left.next().map_or(Ok(()), |picture| picture.draw([cell], cancel))
                })
            })
        })
    })
}

/// What all tasks share.
struct Run<'a> {
    limits: Limits,
    idle: Idle,
    cancel: &'a CancelToken,
    drawn: &'a Counters<Read>,
}

impl Run<'_> {
    /// Hands the pictures at `picks`, decoded and scaled as for a sheet, to `found` in their order.
    fn each(
        &self,
        like: &OpenSheet,
        picks: &[FramePick],
        found: impl FnMut(Frame) -> Result<()>,
    ) -> Result<()> {
        let OpenSheet { sheet, source, goes_back, location, .. } = like;
        let open = || {
            let (stream, threads) = (sheet.source.stream, NonZeroU32::MIN);
            let open = FrameReader::open_at;
            let mut reader = open(source, location, stream, threads, self.limits, self.cancel)?;
            if *goes_back {
                reader.follow_clock()?;
            }
            Ok(reader)
        };
        let mut worker = self.idle.take(sheet.source, (&sheet.filters, like.neighbors()), open)?;
        worker.each(picks, self.cancel, self.drawn, found)?;
        self.idle.give_back(sheet.source, worker);
        Ok(())
    }
}

impl OpenSheet {
    /// Whether filters look at neighboring frames.
    fn neighbors(&self) -> bool {
        self.sheet.picks.iter().any(|pick| pick.neighbors)
    }

    /// Whether the pictures of another one are decoded and scaled in the same way.
    fn is_like(&self, other: &Self) -> bool {
        self.sheet.source == other.sheet.source
            && self.sheet.filters == other.sheet.filters
            && self.neighbors() == other.neighbors()
    }

    /// Draws it of these pictures.
    fn draw(&self, cells: impl IntoIterator<Item = Frame>, cancel: &CancelToken) -> Result<()> {
        let mut line = open_sheet(&self.output, &self.sheet, &self.draft, cancel)?;
        for (mut cell, number) in cells.into_iter().zip(0..) {
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
    /// Hands the filtered pictures at `picks` to `found`, in their order.
    fn each(
        &mut self,
        picks: &[FramePick],
        cancel: &CancelToken,
        drawn: &Counters<Read>,
        mut found: impl FnMut(Frame) -> Result<()>,
    ) -> Result<()> {
        let Self { reader, filter } = self;
        reader.at_each(picks, |shown| {
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            drawn.note(|count| note(&shown, count));
            found(filter.apply(shown)?.0)
        })
    }
}
