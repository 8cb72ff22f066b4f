//! Stages and what joins them.
//!
//! A stage turns items into items. What it makes goes into an [`Outlet`]: a queue to another
//! thread, or the next stage itself. A stage never knows which, nor who its neighbors are.

mod continuity;
mod convert;
mod copy;
mod cut;
mod decode;
mod demux;
mod encode;
mod filter;
mod mux;
mod smart_cut;

use std::sync::{Arc, Mutex, PoisonError};

pub(crate) use continuity::Continuity;
pub(crate) use convert::Convert;
pub(crate) use copy::{Copy, CopySound};
use crossbeam::channel::{Receiver, Sender, bounded};
pub(crate) use cut::Cut;
pub(crate) use decode::Decode;
pub(crate) use demux::{Demux, Route};
pub(crate) use encode::Encode;
pub(crate) use filter::{Filter, Lines};
pub(crate) use mux::{Mux, MuxTrack};
pub(crate) use smart_cut::{BoundaryEncoder, Form, SmartCut};

use avocet_model::{
    error::Error,
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};

use super::counters::{Counters, Written};

/// The most packets that wait between two threads.
pub(crate) const PACKETS: usize = 8;

/// The most frames that wait between two threads; a 4K frame is 12 MB.
pub(crate) const FRAMES: usize = 2;

/// Why a stage stops before its input ends.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The next stage wants no more items, as behind the end of a span. That is success.
    Closed,
    /// The stage can not go on.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// One step of the work.
pub(crate) trait Stage: Send {
    /// What it takes.
    type In;
    /// What it makes.
    type Out;

    /// Takes one item, and hands on what is ready.
    fn push(&mut self, item: Self::In, outlet: &mut dyn Outlet<Self::Out>) -> Result<(), Stop>;

    /// Hands on what was held back; no item follows.
    fn finish(&mut self, outlet: &mut dyn Outlet<Self::Out>) -> Result<(), Stop>;
}

/// Where items go.
pub(crate) trait Outlet<T>: Send {
    /// Hands on one item.
    fn send(&mut self, item: T) -> Result<(), Stop>;

    /// Says that no item follows. Nothing is sent after it.
    fn finish(&mut self) -> Result<(), Stop>;
}

/// A stage that runs on the thread of the one before it.
pub(crate) struct Then<S: Stage> {
    pub(crate) stage: S,
    pub(crate) next: Box<dyn Outlet<S::Out>>,
}

impl<S: Stage> Outlet<S::In> for Then<S> {
    fn send(&mut self, item: S::In) -> Result<(), Stop> {
        self.stage.push(item, &mut *self.next)
    }

    fn finish(&mut self) -> Result<(), Stop> {
        match self.stage.finish(&mut *self.next) {
            // A stage that closes while it finishes has handed on all that it will.
            Ok(()) | Err(Stop::Closed) => self.next.finish(),
            failed => failed,
        }
    }
}

/// The outlet of the last stage, which hands nothing on.
pub(crate) struct Nowhere;

impl Outlet<()> for Nowhere {
    fn send(&mut self, (): ()) -> Result<(), Stop> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Stop> {
        Ok(())
    }
}

/// The sending end of a queue between threads.
pub(crate) struct Queue<T>(Option<Sender<T>>);

/// The receiving end of a queue between threads.
pub(crate) struct Inbox<T> {
    items: Receiver<T>,
    cancel: CancelToken,
}

/// A queue that holds at most `length` items; a sender waits while it is full.
pub(crate) fn queue<T: Send>(length: usize, cancel: &CancelToken) -> (Queue<T>, Inbox<T>) {
    let (sender, items) = bounded(length);
    (Queue(Some(sender)), Inbox { items, cancel: cancel.clone() })
}

impl<T> Queue<T> {
    /// One more sender; the queue ends when all senders have finished.
    pub(crate) fn another(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send> Outlet<T> for Queue<T> {
    fn send(&mut self, item: T) -> Result<(), Stop> {
        match &self.0 {
            Some(sender) => sender.send(item).map_err(|_| Stop::Closed),
            None => Err(Stop::Closed),
        }
    }

    fn finish(&mut self) -> Result<(), Stop> {
        self.0 = None;
        Ok(())
    }
}

impl<T> Inbox<T> {
    /// Moves everything into `outlet`, until the queue ends, the outlet fails, or it wants no more.
    ///
    /// A cancelled inbox is dropped with what is in it, so that blocked senders wake.
    pub(crate) fn pump(self, outlet: &mut dyn Outlet<T>) -> Result<(), Error> {
        for item in &self.items {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match outlet.send(item) {
                Ok(()) => {}
                Err(Stop::Closed) => break,
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        finished(outlet.finish())
    }
}

/// The result at the end of a line of stages, where a closed outlet is success.
pub(crate) fn finished(stop: Result<(), Stop>) -> Result<(), Error> {
    match stop {
        Ok(()) | Err(Stop::Closed) => Ok(()),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Maps times of a later part onto the time line of the first part, on which the track goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimelineOffset {
    /// The instant of this part's own time line that is 0 in the output.
    pub(crate) origin: Timestamp,
    /// The instant of the first part's time line that is 0 in the output.
    pub(crate) first: Timestamp,
    /// Seconds per tick of the first part's time line.
    pub(crate) base: TimeBase,
}

impl TimelineOffset {
    /// An instant of this part as ticks of the first part's line.
    pub(crate) fn map(self, at: Timestamp) -> i64 {
        let first = self.first.rescale(self.base).map_or(0, |at| at.ticks);
        let since = at.since(self.origin, self.base).map_or(0, |at| at.ticks);
        Timestamp::new(first, self.base).plus(since).ticks
    }
}

/// An outlet that several lines of stages on one thread share, so that its lock never waits. It
/// ends when all of them have.
pub(crate) struct SharedOutlet<O>(Option<Arc<Mutex<O>>>);

impl<O> SharedOutlet<O> {
    pub(crate) fn new(outlet: O) -> Self {
        Self(Some(Arc::new(Mutex::new(outlet))))
    }

    /// One more handle to the outlet.
    pub(crate) fn another(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T, O: Outlet<T>> Outlet<T> for SharedOutlet<O> {
    fn send(&mut self, item: T) -> Result<(), Stop> {
        let outlet = self.0.as_ref().ok_or(Stop::Closed)?;
        outlet.lock().unwrap_or_else(PoisonError::into_inner).send(item)
    }

    fn finish(&mut self) -> Result<(), Stop> {
        match self.0.take().and_then(Arc::into_inner) {
            Some(outlet) => outlet.into_inner().unwrap_or_else(PoisonError::into_inner).finish(),
            None => Ok(()),
        }
    }
}

/// Adds the number of its track, from 0, to each item.
pub(crate) struct OfTrack<O> {
    track: usize,
    written: Counters<Written>,
    next: O,
}

impl<O> OfTrack<O> {
    /// The way of one part of a track into `next`; the parts that have not ended are counted.
    pub(crate) fn new(track: usize, written: &Counters<Written>, next: O) -> Self {
        written.note(|count| count.open_parts += 1);
        Self { track, written: written.clone(), next }
    }
}

impl<T, O: Outlet<(usize, T)>> Outlet<T> for OfTrack<O> {
    fn send(&mut self, item: T) -> Result<(), Stop> {
        self.next.send((self.track, item))
    }

    fn finish(&mut self) -> Result<(), Stop> {
        self.written.note(|count| count.open_parts = count.open_parts.saturating_sub(1));
        self.next.finish()
    }
}
