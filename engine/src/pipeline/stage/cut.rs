//! Frames outside a span are left out.

use avocet_model::{
    plan::Span,
    time::{Rational, TimeBase, Timestamp},
};

use super::{Outlet, Stage, Stop};
use crate::{
    libav::Frame,
    pipeline::counters::{Counters, Read},
};

/// Passes the frames of a span on, and closes at the first frame behind it.
///
/// Of sound, only whole frames are left out; a filter cuts to the sample.
pub(crate) struct Cut {
    span: Span,
    base: TimeBase,
    counters: Counters<Read>,
    /// The newest picture before the span, which may be on screen at its start.
    before: Option<Frame>,
    /// The newest picture of the span, until it is known whether it is the last.
    held: Option<Frame>,
    /// Whether the start of the span was passed.
    begun: bool,
}

impl Cut {
    /// A stage for frames whose times count in `base`.
    pub(crate) fn new(span: Span, base: TimeBase, counters: Counters<Read>) -> Self {
        Self { span, base, counters, before: None, held: None, begun: false }
    }

    /// Moves the picture that is on screen at the start to the start, unless the next one begins by
    /// [`Span::hold`].
    fn begin(
        &mut self,
        next: Option<Timestamp>,
        outlet: &mut dyn Outlet<Frame>,
    ) -> Result<(), Stop> {
        self.begun = true;
        let before = self.before.take();
        let Some((mut frame, hold)) = before.zip(self.span.hold) else { return Ok(()) };
        if next.is_some_and(|next| next <= hold) {
            return Ok(());
        }
        let Some(start) = self.span.start.rescale(self.base) else { return Ok(()) };
        self.counters.note(|count| {
            count.frames_left_out -= 1;
            count.extent.add(start, start);
        });
        frame.set_pts(start.ticks);
        self.hold(frame, outlet)
    }

    /// Holds a picture of the span back, and hands on the one before it, which lasts until this
    /// one.
    fn hold(&mut self, frame: Frame, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        let start = frame.pts();
        let Some(mut before) = self.held.replace(frame) else { return Ok(()) };
        if let Some((start, next)) = before.pts().zip(start) {
            before.set_duration(next - start);
        }
        outlet.send(before)
    }

    /// Hands on the last picture. If another one followed, it lasts to the end of the span,
    /// whatever the container says; else as long as it says, but no longer than the span.
    fn release(&mut self, is_followed: bool, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        let Some(mut last) = self.held.take() else { return Ok(()) };
        if let Some(start) = last.pts() {
            let end = self.span.end.and_then(|end| end.rescale(self.base));
            let rest = end.map_or(i64::MAX, |end| end.ticks - start);
            last.set_duration(if is_followed { rest } else { last.duration().min(rest) });
            let at = |ticks| Timestamp::new(ticks, self.base);
            let (start, end) = (at(start), at(start + last.duration()));
            self.counters.note(|count| count.extent.add(start, end));
        }
        outlet.send(last)
    }

    /// Where a frame of sound ends.
    fn end_of_sound(&self, frame: &Frame, start: Timestamp) -> Timestamp {
        let base = Rational::new(1, frame.sample_rate()).unwrap_or(Rational::MICROSECONDS);
        let length = Timestamp::new(i64::from(frame.samples()), base).rescale(self.base);
        start.plus(length.map_or(0, |length| length.ticks))
    }
}

impl Stage for Cut {
    type In = Frame;
    type Out = Frame;

    fn push(&mut self, frame: Frame, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        let Some(start) = frame.pts().map(|pts| Timestamp::new(pts, self.base)) else {
            return outlet.send(frame);
        };
        let leave_out = || self.counters.note(|count| count.frames_left_out += 1);
        if self.span.end.is_some_and(|end| start >= end) {
            leave_out();
            if !self.begun {
                self.begin(None, outlet)?;
            }
            self.release(true, outlet)?;
            return Err(Stop::Closed);
        }
        let is_sound = frame.samples() > 0;
        let is_before = if is_sound {
            self.end_of_sound(&frame, start) <= self.span.start
        } else {
            start < self.span.start
        };
        if is_before {
            leave_out();
            if !is_sound {
                self.before = Some(frame);
            }
            return Ok(());
        }
        if !self.begun {
            self.begin(Some(start), outlet)?;
        }
        if is_sound { outlet.send(frame) } else { self.hold(frame, outlet) }
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        if !self.begun {
            self.begin(None, outlet)?;
        }
        self.release(false, outlet)
    }
}
