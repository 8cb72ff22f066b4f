//! Frames are filtered into the form that the encoder takes.

use std::num::NonZeroU32;

use avocet_model::{
    error::{Error, LibavError, Step},
    time::{Rational, TimeBase, Timestamp},
};

use super::{Outlet, Stage, Stop, TimelineOffset};
use crate::libav::{AvResult, FilterGraph, Frame, GraphInput, Received, fitted};

/// Runs a filter graph, and builds it anew when size or format of the incoming frames changes.
pub(crate) struct Filter {
    filters: String,
    threads: NonZeroU32,
    lines: Lines,
    /// The form of frames that the header of the stream promised, if it does; the filters were
    /// planned for that.
    planned: Option<GraphInput>,
    graph: Option<(GraphInput, FilterGraph)>,
    /// Whether any frame was pushed.
    fed: bool,
    /// When the next frame of sound begins that follows without a gap, in ticks of the graph.
    due: Option<i64>,
    /// End of the newest incoming frame, in ticks of `Lines::base`.
    end: i64,
}

/// The time lines on both sides of a filter graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    /// Seconds per tick of incoming frames.
    pub(crate) base: TimeBase,
    /// Seconds per tick of outgoing frames.
    pub(crate) out: TimeBase,
    /// What maps a later part onto the time line of the first.
    pub(crate) onto: Option<TimelineOffset>,
}

impl Filter {
    /// A stage for frames of the form `input`. If that is known, the graph is built at once, so
    /// that a broken one fails before any work.
    ///
    /// # Errors
    /// [`Error::Libav`] when the graph does not parse, or a filter has no such option.
    pub(crate) fn open(
        filters: &str,
        input: Option<GraphInput>,
        lines: Lines,
        threads: NonZeroU32,
    ) -> Result<Self, Error> {
        let (filters, planned) = (filters.to_owned(), input.clone());
        let (graph, fed, end) = (None, false, i64::MIN);
        let mut this = Self { filters, threads, lines, planned, graph, fed, due: None, end };
        if let Some(input) = input {
            this.build(input).map_err(failed(Step::Open))?;
        }
        Ok(this)
    }

    fn build(&mut self, input: GraphInput) -> AvResult<()> {
        let filters = fitted(&self.filters, self.planned.as_ref(), &input);
        let graph = FilterGraph::new(&filters, &input, self.inside(&input), self.threads)?;
        self.graph = Some((input, graph));
        Ok(())
    }

    /// Seconds per tick inside the graph. Sound counts in samples, since filters cut it to the
    /// sample, also where the ticks of its stream are coarser.
    fn inside(&self, input: &GraphInput) -> TimeBase {
        let samples = match input {
            GraphInput::Audio { sample_rate, .. } => Rational::new(1, *sample_rate),
            GraphInput::Video { .. } => None,
        };
        samples
            .filter(|samples| samples.as_f64() < self.lines.base.as_f64())
            .unwrap_or(self.lines.base)
    }

    /// The time of a frame in ticks of the graph. A stream that counts in coarse ticks, as of Matroska,
    /// rounds each time, so sound that follows the frame before within one such tick follows it
    /// exactly.
    fn steady(&mut self, start: i64, inside: TimeBase, frame: &Frame) -> i64 {
        let tick = (self.lines.base.as_f64() / inside.as_f64()).ceil();
        let is_steady =
            |due: &i64| tick > 1.0 && (start.saturating_sub(*due)).unsigned_abs() as f64 <= tick;
        let start = self.due.filter(is_steady).unwrap_or(start);
        let samples = i64::from(frame.samples());
        self.due = (samples > 0).then(|| start.saturating_add(samples));
        start
    }

    fn forward(&mut self, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        let Some((_, graph)) = &mut self.graph else { return Ok(()) };
        loop {
            let mut frame = match graph.pull().map_err(failed(Step::Filter))? {
                Received::One(frame) => frame,
                Received::Nothing => return Ok(()),
                Received::Failed(error) => return Err(failed(Step::Filter)(error).into()),
            };
            if frame.is_neighbor() {
                continue;
            }
            if let Some(pts) = frame.exact_pts() {
                let Lines { base, out, onto } = self.lines;
                let place = |at: Timestamp| match onto {
                    Some(onto) => onto.map(at),
                    None => at.rescale(out).map_or(0, |at| at.ticks),
                };
                let start = place(Timestamp::new(pts, graph.time_base()));
                let end = place(Timestamp::new(self.end, base));
                frame.set_pts(start);
                // Filters lose durations. Each frame lasts to the end of the newest incoming one,
                // which is right for the last; the encoder stage uses no other.
                frame.set_duration(end.saturating_sub(start).max(0));
            }
            outlet.send(frame)?;
        }
    }

    fn drain(&mut self, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        if let Some((_, graph)) = &mut self.graph {
            graph.finish().map_err(failed(Step::Filter))?;
        }
        self.forward(outlet)
    }
}

fn failed(step: Step) -> impl Fn(LibavError) -> Error {
    move |source| Error::Libav { step, component: "filter graph".to_owned(), source }
}

impl Stage for Filter {
    type In = Frame;
    type Out = Frame;

    fn push(&mut self, mut frame: Frame, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        let input = GraphInput::of_frame(&frame);
        let is_other = self.graph.as_ref().is_none_or(|(built_for, _)| *built_for != input);
        if is_other {
            self.due = None;
        }
        if let Some(start) = frame.exact_pts() {
            self.end = start.saturating_add(frame.duration());
            let inside = self.inside(&input);
            let start = Timestamp::new(start, self.lines.base).rescale(inside);
            let start = start.map_or(0, |start| start.ticks);
            frame.set_pts(self.steady(start, inside, &frame));
        }
        if is_other {
            // A graph that was built from the header and got no frame has nothing to drain.
            if self.fed {
                self.drain(outlet)?;
            }
            self.build(input).map_err(failed(Step::Filter))?;
        }
        self.fed = true;
        if let Some((_, graph)) = &mut self.graph {
            graph.push(frame).map_err(failed(Step::Filter))?;
        }
        self.forward(outlet)
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        self.drain(outlet)
    }
}
