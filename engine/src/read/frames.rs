//! Frames by time: the one on screen at an instant, or all of a span.

use std::num::NonZeroU32;

use avocet_model::{
    error::{Error, Result, Step},
    frames::{FrameRequest, Wanted},
    plan::FramePick,
    time::{TimeBase, Timestamp},
};

use super::{
    reader::{FrameReader, exactly_timed, libav},
    retries::Damage,
};
use crate::libav::{FilterGraph, Frame, GraphInput, Health, Received, fitted};

/// Frames of a stream, decoded one at a time as they are asked for.
///
/// Made by [`Engine::frames`](crate::Engine::frames). After an error nothing follows.
pub struct Frames {
    reader: FrameReader,
    request: FrameRequest,
    /// How many of the wanted instants are done.
    done: usize,
    /// The graph of a span, once its first frame is there.
    graph: Option<FilterGraph>,
    /// The first frame of a span, found by the search for its start.
    first: Option<Frame>,
    /// The health of the decoder that was told by pictures of a span already.
    noted: Health,
    /// Whether the next picture of a span is damaged.
    is_damaged: bool,
    ended: bool,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frames({:?})", self.request)
    }
}

impl Frames {
    pub(crate) fn new(reader: FrameReader, request: FrameRequest) -> Self {
        Self {
            reader,
            request,
            done: 0,
            graph: None,
            first: None,
            noted: Health::default(),
            is_damaged: false,
            ended: false,
        }
    }

    fn graph_for(&self, frame: &Frame) -> Result<FilterGraph> {
        let input = GraphInput::of_frame(frame);
        let promised = self.reader.promised();
        let filters = fitted(&self.request.filters, promised.as_ref(), &input);
        FilterGraph::new(&filters, &input, self.reader.base(), NonZeroU32::MIN)
            .map_err(|source| libav(Step::Open, "filter graph", source))
    }

    /// The picture at one instant, through a graph of its own.
    fn at(&mut self, time: Timestamp) -> Result<Picture> {
        let neighbors = self.request.neighbors;
        let shown = self.reader.at(&FramePick { time, keyframe: false, neighbors })?;
        let is_damaged = shown.damage > Damage::None;
        let mut graph = self.graph_for(&shown.frame)?;
        let broken = |source| libav(Step::Filter, "filter graph", source);
        for frame in shown.with_neighbors(neighbors)? {
            graph.push(frame).map_err(broken)?;
        }
        graph.finish().map_err(broken)?;
        loop {
            match pull(&mut graph)? {
                Some(picture) if picture.frame.is_neighbor() => {}
                Some(picture) => return Ok(Picture { is_damaged, ..picture }),
                None => return Err(Error::BadPlan { what: "its filters keep no frame".into() }),
            }
        }
    }

    /// The next picture of a span.
    fn between(&mut self, start: Timestamp, end: Option<Timestamp>) -> Result<Option<Picture>> {
        if self.graph.is_none() {
            let pick = FramePick { time: start, keyframe: false, neighbors: false };
            let shown = self.reader.go_to(&pick)?;
            let shown = self.reader.mended(shown, &pick)?;
            self.noted = self.reader.health();
            self.is_damaged = shown.damage > Damage::None;
            self.graph = Some(self.graph_for(&shown.frame)?);
            let base = self.reader.base();
            let is_before =
                |frame: &Frame| frame.pts().is_some_and(|pts| Timestamp::new(pts, base) < start);
            let both = [Some(shown.frame), shown.after];
            let mut wanted = both.into_iter().flatten().filter(|frame| !is_before(frame));
            let (now, later) = (wanted.next(), wanted.next());
            self.first = later;
            if let Some(frame) = now {
                self.feed(frame, end)?;
            }
        }
        loop {
            let Some(graph) = &mut self.graph else { return Ok(None) };
            if let Some(picture) = pull(graph)? {
                let is_damaged = std::mem::take(&mut self.is_damaged) || picture.is_damaged;
                return Ok(Some(Picture { is_damaged, ..picture }));
            }
            if self.ended {
                return Ok(None);
            }
            let next = match self.first.take() {
                Some(frame) => Some(frame),
                None => self.reader.next()?,
            };
            let health = self.reader.health();
            self.is_damaged |= !health.since(std::mem::replace(&mut self.noted, health)).is_good();
            if let Some(frame) = next {
                self.feed(frame, end)?;
            } else {
                let last = Timestamp::new(i64::MAX, self.reader.base());
                self.reader.expect_all_read(end.unwrap_or(last))?;
                self.end_graph()?;
            }
        }
    }

    fn feed(&mut self, frame: Frame, end: Option<Timestamp>) -> Result<()> {
        let time = frame.pts().map(|pts| Timestamp::new(pts, self.reader.base()));
        if time.zip(end).is_some_and(|(time, end)| time >= end) {
            return self.end_graph();
        }
        let Some(graph) = &mut self.graph else { return Ok(()) };
        graph
            .push(exactly_timed(frame))
            .map_err(|source| libav(Step::Filter, "filter graph", source))
    }

    fn end_graph(&mut self) -> Result<()> {
        self.ended = true;
        let Some(graph) = &mut self.graph else { return Ok(()) };
        graph.finish().map_err(|source| libav(Step::Filter, "filter graph", source))
    }
}

fn pull(graph: &mut FilterGraph) -> Result<Option<Picture>> {
    let base = graph.time_base();
    match graph.pull().map_err(|_| Error::Exhausted { what: "memory" })? {
        Received::One(frame) => {
            let is_damaged = frame.is_concealed();
            let frame = frame.top_down().map_err(|_| Error::Exhausted { what: "memory" })?;
            Ok(Some(Picture { frame, base, is_damaged }))
        }
        Received::Nothing => Ok(None),
        Received::Failed(source) => Err(libav(Step::Filter, "filter graph", source)),
    }
}

impl Iterator for Frames {
    type Item = Result<Picture>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = match self.request.wanted.clone() {
            _ if self.ended && self.graph.is_none() => return None,
            Wanted::At(times) => {
                let time = *times.get(self.done)?;
                self.done += 1;
                self.at(time).map(Some)
            }
            Wanted::Between { start, end } => self.between(start, end),
        };
        if result.is_err() {
            (self.ended, self.graph) = (true, None);
        }
        result.transpose()
    }
}

/// A decoded and filtered picture: safe views of its planes.
#[derive(Debug)]
pub struct Picture {
    frame: Frame,
    base: TimeBase,
    is_damaged: bool,
}

impl Picture {
    /// Whether the decoder guessed a part of it, or reported errors on the way to it. At an instant,
    /// and at the beginning of a span, it was decoded from earlier random access points by then, to no
    /// avail.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// When the picture begins to show, on the input's time line.
    pub fn time(&self) -> Option<Timestamp> {
        // The decoder's guess counts in the ticks of the stream, and filters may count in others.
        self.frame.exact_pts().map(|pts| Timestamp::new(pts, self.base))
    }

    /// Width, in pixels.
    pub fn width(&self) -> u32 {
        self.frame.size().0
    }

    /// Height, in pixels.
    pub fn height(&self) -> u32 {
        self.frame.size().1
    }

    /// The planes of the pixel format, in its order.
    pub fn planes(&self) -> Vec<Plane<'_>> {
        self.frame
            .planes()
            .into_iter()
            .map(|(bytes, row_bytes)| Plane { bytes, row_bytes })
            .collect()
    }
}

/// One plane of a picture.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Plane<'a> {
    /// The rows, from the top; each begins [`row_bytes`](Self::row_bytes) after the one before.
    pub bytes: &'a [u8],
    /// Distance from one row to the next, in bytes; at least as long as a row.
    pub row_bytes: usize,
}
