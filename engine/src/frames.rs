//! Frames by time: the one on screen at an instant, or all of a span.

use std::num::NonZeroU32;

use crate::{
    av::{Decoder, Demuxer, Depth, Fault, FilterGraph, Frame, GraphInput, OpenError, Received},
    error::{Error, LibavError, Result, Step},
    io::{Location, Source},
    pipeline::parameters_of,
    plan::Instant,
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};

/// How far before the instant a search begins at each further try, in seconds; after that, at the
/// first packet. Containers without an index, and open GOPs, need more than one.
const BACK_OFF: [f64; 4] = [0.0, 1.0, 4.0, 16.0];

/// Decodes one stream of an input, from any place in it.
pub(crate) struct FrameReader {
    demuxer: Demuxer,
    decoder: Decoder,
    location: Location,
    stream: usize,
    base: TimeBase,
    /// Where the stream begins.
    start: Timestamp,
    /// Whether nothing was read since the first packet.
    fresh: bool,
    /// Whether the decoder was told that no packet follows.
    drained: bool,
    /// Decoding time of the last packet, in ticks.
    last_read: Option<i64>,
    /// Time of the next frame of a stream that states none, in ticks; `None` after a seek, where
    /// nobody can count.
    counted: Option<i64>,
    /// How long a frame lasts on average, in ticks.
    typical: i64,
    /// Packets the decoder could make nothing of.
    pub(crate) decode_errors: u64,
}

/// The frame that is on screen at an instant, and its neighbors as far as they were asked for.
pub(crate) struct Shown {
    pub(crate) before: Option<Frame>,
    pub(crate) frame: Frame,
    pub(crate) after: Option<Frame>,
    /// Whether the instant lies past the end of the last frame.
    pub(crate) past_end: bool,
}

impl Shown {
    /// The frame as filters take it, between its neighbors when they look at those.
    pub(crate) fn with_neighbors(self, neighbors: bool) -> Result<Vec<Frame>> {
        let neighbor = |frame: Option<Frame>| match frame.filter(|_| neighbors) {
            Some(mut frame) => frame
                .mark_neighbor()
                .map(|()| Some(exactly_timed(frame)))
                .map_err(|_| Error::Exhausted { what: "memory" }),
            None => Ok(None),
        };
        let (before, after) = (neighbor(self.before)?, neighbor(self.after)?);
        let frame = Some(exactly_timed(self.frame));
        Ok(before.into_iter().chain(frame).chain(after).collect())
    }
}

impl FrameReader {
    /// Opens a stream of `source`.
    pub(crate) fn open(
        source: &Source,
        stream: usize,
        threads: NonZeroU32,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let location = source.location();
        let demuxer = source.demuxer(&location, Depth::Streams, cancel)?;
        Self::over(demuxer, location, stream, threads)
    }

    /// Reads a stream of an open demuxer.
    pub(crate) fn over(
        mut demuxer: Demuxer,
        location: Location,
        stream: usize,
        threads: NonZeroU32,
    ) -> Result<Self> {
        let parameters = parameters_of(&demuxer, &location, stream)?;
        let decoder = Decoder::open(&parameters, threads).map_err(|error| match error {
            OpenError::Libav(source) => libav(Step::Open, "decoder", source),
            OpenError::Absent | OpenError::UnknownOption(_) => {
                Error::Absent { kind: "decoder", name: format!("for stream {stream}") }
            }
        })?;
        demuxer.keep_only(|number| number == stream);
        let base = parameters.time_base;
        let start = Timestamp::new(parameters.start.unwrap_or(0), base);
        let (fresh, drained, last_read, decode_errors) = (true, false, None, 0);
        let seconds = parameters.frame_rate.map_or(0.04, |rate| 1.0 / rate.as_f64());
        let typical = Timestamp::from_seconds(seconds, base).ticks.max(1);
        Ok(Self {
            demuxer,
            decoder,
            location,
            stream,
            base,
            start,
            fresh,
            drained,
            last_read,
            counted: Some(start.ticks),
            typical,
            decode_errors,
        })
    }

    /// Seconds per tick of the stream.
    pub(crate) fn base(&self) -> TimeBase {
        self.base
    }

    /// The next frame, in order of presentation; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            match self.decoder.receive().map_err(|_| Error::Exhausted { what: "memory" })? {
                Received::One(frame) => return Ok(Some(self.timed(frame))),
                Received::Failed(_) => self.decode_errors += 1,
                Received::Nothing if self.drained => return Ok(None),
                Received::Nothing => self.feed()?,
            }
        }
    }

    /// Counts the time of a frame that states none, as in a stream without a container.
    fn timed(&mut self, mut frame: Frame) -> Frame {
        if let (None, Some(counted)) = (frame.pts(), self.counted) {
            frame.set_pts(counted);
        }
        let length = if frame.duration() > 0 { frame.duration() } else { self.typical };
        self.counted = self.counted.and(frame.pts()).map(|pts| pts + length);
        frame
    }

    /// Gives the decoder one packet, or tells it that none follows.
    fn feed(&mut self) -> Result<()> {
        self.fresh = false;
        match self.demuxer.read() {
            Ok(Some(packet)) if packet.stream() == self.stream => {
                self.last_read = packet.dts().or(packet.pts()).max(self.last_read);
                self.decode_errors += u64::from(self.decoder.send(&packet).is_err());
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(Fault::Libav(_)) => {
                self.drained = true;
                self.decode_errors += u64::from(self.decoder.finish().is_err());
            }
            Err(fault) => return Err(fault.of_input(&self.location)),
        }
        Ok(())
    }

    /// Goes to a keyframe at or before `target`, or to the first packet.
    ///
    /// Answers whether reading goes on at the first packet.
    fn seek(&mut self, target: Option<Timestamp>) -> Result<bool> {
        if let Some(target) = target {
            match self.demuxer.seek(self.stream, target.ticks) {
                Ok(()) => {
                    self.restart(None);
                    return Ok(false);
                }
                // libav may have read on in vain.
                Err(Fault::Libav(_)) => self.fresh = false,
                Err(fault) => return Err(fault.of_input(&self.location)),
            }
        }
        if !self.fresh {
            self.demuxer.rewind().map_err(|fault| fault.of_input(&self.location))?;
            self.restart(Some(self.start.ticks));
        }
        Ok(true)
    }

    fn restart(&mut self, counted: Option<i64>) {
        self.decoder.flush(counted.is_some());
        self.counted = counted;
        self.drained = false;
        self.last_read = None;
        self.fresh = false;
    }

    /// The frame that a player shows at an instant: the last one whose time is not after it;
    /// before the first frame the first, past the end the last.
    ///
    /// # Errors
    /// [`Error::Damaged`] when no frame can be decoded, or when the container promises later
    /// frames than could be read and the instant needs them.
    pub(crate) fn at(&mut self, instant: &Instant) -> Result<Shown> {
        let time = Timestamp::from_seconds(instant.time.seconds(), self.base);
        for back_off in BACK_OFF.map(Some).into_iter().chain([None]) {
            // A target in the first moments is read from the start: no index is needed for that.
            let target = back_off
                .map(|seconds| Timestamp::from_seconds(time.seconds() - seconds, self.base))
                .filter(|target| *target > self.start);
            let from_start = self.seek(target)?;
            if let Some(shown) = self.search(time, instant, from_start)? {
                return Ok(shown);
            }
            if from_start {
                break;
            }
        }
        Err(Error::Damaged {
            location: self.location.clone(),
            what: format!("no frame of stream {} could be decoded", self.stream),
            lost: 0.0,
        })
    }

    /// Reads on to the frame at `time`; `None` when reading must begin earlier.
    fn search(
        &mut self,
        time: Timestamp,
        instant: &Instant,
        from_start: bool,
    ) -> Result<Option<Shown>> {
        let (mut before, mut shown, mut after) = (None, None, None);
        while let Some(frame) = self.next()? {
            if frame.pts().is_none() {
                // Without times frames are counted, from the first one on.
                return Ok(None);
            }
            let is_later = frame.pts().is_some_and(|pts| pts > time.ticks);
            if is_later && (shown.is_some() || !from_start) {
                after = Some(frame);
                break;
            }
            before = shown.replace(frame);
            if is_later || (instant.keyframe && !instant.neighbors) {
                break;
            }
        }
        let Some(frame) = shown else { return Ok(None) };
        if instant.neighbors && before.is_none() && !from_start {
            return Ok(None);
        }
        if instant.neighbors && after.is_none() {
            after = self.next()?;
        }
        let ended = after.is_none() && self.drained;
        if ended {
            self.expect_all_read(time)?;
        }
        let end = frame.pts().map(|pts| pts + frame.duration().max(1));
        let past_end = ended && end.is_some_and(|end| end <= time.ticks);
        Ok(Some(Shown { before, frame, after, past_end }))
    }

    /// Fails when reading ended before what the container's index promises, and before `time`.
    fn expect_all_read(&self, time: Timestamp) -> Result<()> {
        let promised = self.demuxer.last_indexed(self.stream);
        let read = self.last_read.map(|ticks| Timestamp::new(ticks, self.base));
        match (promised, read) {
            (Some(promised), Some(read)) if read < promised && read < time => Err(Error::Damaged {
                location: self.location.clone(),
                what: format!(
                    "its index goes on to {:.3} s, its data only to {:.3} s",
                    promised.seconds(),
                    read.seconds()
                ),
                lost: promised.seconds() - read.seconds(),
            }),
            _ => Ok(()),
        }
    }
}

fn libav(step: Step, component: &str, source: LibavError) -> Error {
    Error::Libav { step, component: component.to_owned(), source }
}

/// Which frames of a stream are wanted, and in which form.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameRequest {
    /// Number of the stream, from 0.
    pub stream: usize,
    /// Which frames.
    pub wanted: Wanted,
    /// A filter graph with one input and one output, in libavfilter's notation, which fixes size
    /// and pixel format.
    pub filters: String,
    /// Whether the filters look at the frames before and after, as deinterlacers do.
    pub neighbors: bool,
}

/// Which frames are wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    /// The ones on screen at these instants of the input's time line, in this order.
    At(Vec<Timestamp>),
    /// All with start ≤ time < end, on the input's time line.
    Between {
        /// The first instant.
        start: Timestamp,
        /// The instant after the last; `None` for the end of the stream.
        end: Option<Timestamp>,
    },
}

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
    ended: bool,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frames({:?})", self.request)
    }
}

impl Frames {
    pub(crate) fn new(reader: FrameReader, request: FrameRequest) -> Self {
        Self { reader, request, done: 0, graph: None, first: None, ended: false }
    }

    fn graph_for(&self, frame: &Frame) -> Result<FilterGraph> {
        let input = GraphInput::of_frame(frame);
        FilterGraph::new(&self.request.filters, &input, self.reader.base(), NonZeroU32::MIN)
            .map_err(|source| libav(Step::Open, "filter graph", source))
    }

    /// The picture at one instant, through a graph of its own.
    fn at(&mut self, time: Timestamp) -> Result<Picture> {
        let neighbors = self.request.neighbors;
        let shown = self.reader.at(&Instant { time, keyframe: false, neighbors })?;
        let mut graph = self.graph_for(&shown.frame)?;
        let broken = |source| libav(Step::Filter, "filter graph", source);
        for frame in shown.with_neighbors(neighbors)? {
            graph.push(frame).map_err(broken)?;
        }
        graph.finish().map_err(broken)?;
        loop {
            match pull(&mut graph)? {
                Some(picture) if picture.frame.is_neighbor() => {}
                Some(picture) => return Ok(picture),
                None => return Err(Error::BadPlan { what: "its filters keep no frame".into() }),
            }
        }
    }

    /// The next picture of a span.
    fn between(&mut self, start: Timestamp, end: Option<Timestamp>) -> Result<Option<Picture>> {
        if self.graph.is_none() {
            let instant = Instant { time: start, keyframe: false, neighbors: false };
            let shown = self.reader.at(&instant)?;
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
                return Ok(Some(picture));
            }
            if self.ended {
                return Ok(None);
            }
            let next = match self.first.take() {
                Some(frame) => Some(frame),
                None => self.reader.next()?,
            };
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

/// Writes the decoder's best guess of the time where filters read it.
fn exactly_timed(mut frame: Frame) -> Frame {
    if let Some(pts) = frame.pts() {
        frame.set_pts(pts);
    }
    frame
}

fn pull(graph: &mut FilterGraph) -> Result<Option<Picture>> {
    let base = graph.time_base();
    match graph.pull().map_err(|_| Error::Exhausted { what: "memory" })? {
        Received::One(frame) => Ok(Some(Picture { frame, base })),
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
}

impl Picture {
    /// When the picture begins to show, on the input's time line.
    pub fn time(&self) -> Option<Timestamp> {
        self.frame.pts().map(|pts| Timestamp::new(pts, self.base))
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
