//! Frames outside a span are left out.

use super::{Outlet, Stage, Stop};
use crate::{
    av::Frame,
    plan::Span,
    tally::{Read, Tally},
    time::{Rational, TimeBase, Timestamp},
};

/// Lets the frames of a span through, and stops what comes after it.
///
/// Of sound whole frames are left out; a filter cuts to the sample.
pub(crate) struct Cut {
    span: Span,
    base: TimeBase,
    tally: Tally<Read>,
    /// The frame that would be on screen at the start, until one of the span came.
    before: Option<Frame>,
    /// Whether a frame of the span came.
    begun: bool,
}

impl Cut {
    /// A stage for frames whose times count in `base`.
    pub(crate) fn new(span: Span, base: TimeBase, tally: Tally<Read>) -> Self {
        Self { span, base, tally, before: None, begun: false }
    }

    /// Moves the frame on screen at the start to the start, when `next` comes too late for it.
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
        self.tally.note(|count| {
            count.frames_left_out -= 1;
            count.extent.add(start, start);
        });
        frame.set_pts(start.ticks);
        self.send(frame, start, outlet)
    }

    /// Hands on a picture, which lasts no longer than the span does.
    fn send(
        &self,
        mut frame: Frame,
        start: Timestamp,
        outlet: &mut dyn Outlet<Frame>,
    ) -> Result<(), Stop> {
        let end = self.span.end.and_then(|end| end.rescale(self.base));
        if let Some(end) = end.filter(|_| frame.samples() == 0) {
            frame.set_duration(frame.duration().min(end.ticks - start.ticks));
        }
        outlet.send(frame)
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
        let leave_out = || self.tally.note(|count| count.frames_left_out += 1);
        if self.span.end.is_some_and(|end| start >= end) {
            leave_out();
            if !self.begun {
                self.begin(None, outlet)?;
            }
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
        self.send(frame, start, outlet)
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        if self.begun { Ok(()) } else { self.begin(None, outlet) }
    }
}
