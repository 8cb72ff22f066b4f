//! Frames are filtered into what the encoder takes.

use std::num::NonZeroU32;

use avocet_model::{
    error::{Error, LibavError, Step},
    time::{Rational, TimeBase, Timestamp},
};

use super::{Outlet, Stage, Stop, TimelineOffset};
use crate::libav::{AvResult, FilterGraph, Frame, GraphInput, Received, fitted};

/// Runs a filter graph, and builds it anew when the frames that come change in kind.
pub(crate) struct Filter {
    filters: String,
    threads: NonZeroU32,
    lines: Lines,
    /// What the filters were planned for, where the header of the stream tells.
    planned: Option<GraphInput>,
    graph: Option<(GraphInput, FilterGraph)>,
    /// Whether a frame came.
    fed: bool,
    /// Where the frame that came last ends, in ticks of what comes.
    end: i64,
}

/// The time lines on both sides of a filter graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    /// Seconds per tick of the frames that come.
    pub(crate) base: TimeBase,
    /// Seconds per tick of the frames that go.
    pub(crate) out: TimeBase,
    /// The way of a later part onto the line of the first.
    pub(crate) onto: Option<TimelineOffset>,
}

impl Filter {
    /// A stage for frames that are expected to be like `input`; the graph is built at once when
    /// that is known, so that one that can not be built fails before any work.
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
        let mut this = Self { filters, threads, lines, planned, graph, fed, end };
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

    /// Seconds per tick inside the graph: sound is cut to the sample, also where its stream counts
    /// in whole packets.
    fn inside(&self, input: &GraphInput) -> TimeBase {
        let samples = match input {
            GraphInput::Audio { sample_rate, .. } => Rational::new(1, *sample_rate),
            GraphInput::Video { .. } => None,
        };
        samples
            .filter(|samples| samples.as_f64() < self.lines.base.as_f64())
            .unwrap_or(self.lines.base)
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
                // Filters lose track of how long a frame lasts; only the last one's is needed.
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
        if let Some(start) = frame.exact_pts() {
            self.end = start.saturating_add(frame.duration());
            let start = Timestamp::new(start, self.lines.base).rescale(self.inside(&input));
            frame.set_pts(start.map_or(0, |start| start.ticks));
        }
        if self.graph.as_ref().is_none_or(|(built_for, _)| *built_for != input) {
            // One that was built for what the header promised, and got nothing, has nothing to say.
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
