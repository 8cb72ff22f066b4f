//! Frames by time: those on screen at instants, or all of a span.

mod parallel;

use std::{collections::VecDeque, num::NonZeroU32};

use avocet_model::{
    error::{Error, Result, Step},
    frames::{FrameRequest, Wanted},
    plan::FramePick,
    time::{TimeBase, Timestamp},
};

use super::{
    reader::{FrameReader, Shown, exactly_timed, libav, picks::Picks},
    retries::Damage,
};
use crate::libav::{FilterGraph, Frame, GraphInput, Health, Received, fitted};
use parallel::Parallel;

/// Frames of a stream, decoded as they are asked for.
///
/// Made by [`Engine::frames`](crate::Engine::frames). An instant past the end is an error of its own,
/// behind which the other instants follow; after any other error nothing follows.
pub struct Frames(State);

enum State {
    /// Frames at instants, decoded by the thread that asks for them.
    Picks(Box<(FrameReader, Picks, PictureFilter)>),
    /// Frames at instants, decoded by several threads.
    Parallel(Parallel),
    /// All frames of a span.
    Span(Box<SpanFrames>),
    Ended,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            State::Picks(_) => "Frames(at instants)",
            State::Parallel(_) => "Frames(at instants, by several threads)",
            State::Span(_) => "Frames(of a span)",
            State::Ended => "Frames(ended)",
        })
    }
}

impl Frames {
    /// The frames of a request, read by `reader`, and by further ones that `open` opens where several
    /// threads are to decode.
    pub(crate) fn new(
        reader: FrameReader,
        request: FrameRequest,
        open: impl Fn() -> Result<FrameReader> + Send + Sync + 'static,
    ) -> Result<Self> {
        let FrameRequest { wanted, filters, neighbors, threads, .. } = request;
        let filter = PictureFilter::new(filters, neighbors, &reader).by(reader.threads());
        Ok(Self(match wanted {
            Wanted::At(times) => {
                let pick = |time| FramePick { time, keyframe: false, neighbors };
                let picks: Vec<FramePick> = times.into_iter().map(pick).collect();
                if threads.get() > 1 && picks.len() > 1 {
                    State::Parallel(Parallel::start(&picks, threads, &filter, open)?)
                } else {
                    State::Picks(Box::new((reader, Picks::new(picks), filter)))
                }
            }
            Wanted::Between { start, end } => {
                State::Span(Box::new(SpanFrames::new(reader, filter, start, end)))
            }
        }))
    }
}

impl Iterator for Frames {
    type Item = Result<Picture>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = match &mut self.0 {
            State::Ended => return None,
            State::Picks(all) => {
                let (reader, picks, filter) = &mut **all;
                picks.next(reader).map(|shown| filter.picture(reader, shown?))
            }
            State::Parallel(parallel) => parallel.next(),
            State::Span(span) => span.next().transpose(),
        };
        let goes_on = match &result {
            None => false,
            Some(Ok(_)) => true,
            Some(Err(error)) => matches!(error, Error::PastEnd { .. }),
        };
        if !goes_on {
            self.0 = State::Ended;
        }
        result
    }
}

/// Pictures of a stream at any instants, one after the other.
///
/// Made by [`Engine::video`](crate::Engine::video). The decoder is kept: an instant up to 2 s behind
/// the last one is reached by decoding on.
pub struct VideoReader {
    reader: FrameReader,
    filter: PictureFilter,
    /// The last frame, behind which the decoder goes on.
    last: Option<Shown>,
}

impl std::fmt::Debug for VideoReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VideoReader")
    }
}

impl VideoReader {
    pub(crate) fn new(reader: FrameReader, filters: String, neighbors: bool) -> Self {
        let filter = PictureFilter::new(filters, neighbors, &reader).by(reader.threads());
        Self { reader, filter, last: None }
    }

    /// The picture on screen at an instant of the input's time line.
    ///
    /// # Errors
    /// [`Error::PastEnd`] when it lies past the end; those of reading and decoding.
    pub fn at(&mut self, time: Timestamp) -> Result<Picture> {
        let pick = FramePick { time, keyframe: false, neighbors: self.filter.neighbors };
        let (shown, last) = self.reader.in_order(self.last.take(), pick)?;
        self.last = last;
        self.filter.picture(&self.reader, shown)
    }
}

/// Filters single pictures, by a graph that is kept while frames stay of one kind.
pub(crate) struct PictureFilter {
    filters: String,
    neighbors: bool,
    /// The kind of frame that the header of the stream promises.
    promised: Option<GraphInput>,
    /// Seconds per tick of the frames.
    base: TimeBase,
    /// How many threads a graph may use.
    threads: NonZeroU32,
    graph: Option<(GraphInput, FilterGraph)>,
}

impl PictureFilter {
    pub(crate) fn new(filters: String, neighbors: bool, reader: &FrameReader) -> Self {
        let (promised, base) = (reader.promised(), reader.base());
        Self { filters, neighbors, promised, base, threads: NonZeroU32::MIN, graph: None }
    }

    /// The same filters by so many threads.
    fn by(self, threads: NonZeroU32) -> Self {
        Self { threads, ..self }
    }

    /// Whether it applies these filters.
    pub(crate) fn is_of(&self, filters: &str, neighbors: bool) -> bool {
        self.filters == filters && self.neighbors == neighbors
    }

    /// The same filters with a graph of their own, by one thread.
    fn another(&self) -> Self {
        let Self { filters, neighbors, promised, base, .. } = self;
        let (filters, promised) = (filters.clone(), promised.clone());
        let threads = NonZeroU32::MIN;
        Self { filters, neighbors: *neighbors, promised, base: *base, threads, graph: None }
    }

    /// A graph for frames of this kind.
    fn open(&self, kind: &GraphInput) -> Result<FilterGraph> {
        let filters = fitted(&self.filters, self.promised.as_ref(), kind);
        FilterGraph::new(&filters, kind, self.base, self.threads)
            .map_err(|source| libav(Step::Open, "filter graph", source))
    }

    /// What the filters make of a frame, and the seconds per tick of its times.
    pub(crate) fn apply(&mut self, shown: Shown) -> Result<(Frame, TimeBase)> {
        let broken = |source| libav(Step::Filter, "filter graph", source);
        let kind = GraphInput::of_frame(&shown.frame);
        let mut graph = match self.graph.take().filter(|(of, _)| *of == kind) {
            Some((_, kept)) => kept,
            None => self.open(&kind)?,
        };
        for frame in shown.with_neighbors(self.neighbors)? {
            graph.push(frame).map_err(broken)?;
        }
        let base = graph.time_base();
        let mut is_drained = false;
        loop {
            match graph.pull().map_err(broken)? {
                Received::One(frame) if frame.is_neighbor() => {}
                Received::One(frame) => {
                    self.graph = (!is_drained).then_some((kind, graph));
                    return Ok((frame, base));
                }
                Received::Failed(source) => return Err(broken(source)),
                Received::Nothing if is_drained => {
                    return Err(Error::BadPlan { what: "its filters output no frame".to_owned() });
                }
                Received::Nothing => {
                    // A deinterlacer waits for a next frame, until it is told that none follows.
                    graph.finish().map_err(broken)?;
                    is_drained = true;
                }
            }
        }
    }

    /// The picture of a frame that was found at an instant.
    fn picture(&mut self, reader: &FrameReader, shown: Shown) -> Result<Picture> {
        if shown.past_end {
            let (location, last) = (reader.location().clone(), shown.seconds);
            return Err(Error::PastEnd { location, last });
        }
        let is_damaged = shown.damage > Damage::None;
        let (frame, base) = self.apply(shown)?;
        Picture::new(frame, base, reader.zero(), is_damaged)
    }
}

/// All frames of a span, in order.
struct SpanFrames {
    reader: FrameReader,
    filter: PictureFilter,
    start: Timestamp,
    end: Option<Timestamp>,
    /// Whether the start was sought.
    begun: bool,
    /// The filter graph, once the first frame is there.
    graph: Option<(GraphInput, FilterGraph)>,
    /// A frame behind the first one that the search for the start decoded, too.
    ahead: Option<Frame>,
    /// Pictures that are ready.
    ready: VecDeque<Picture>,
    /// The part of the decoder's health that pictures have told already.
    noted: Health,
    /// Whether decoding met damage since the last picture.
    is_damaged: bool,
    ended: bool,
}

impl SpanFrames {
    fn new(
        reader: FrameReader,
        filter: PictureFilter,
        start: Timestamp,
        end: Option<Timestamp>,
    ) -> Self {
        Self {
            reader,
            filter,
            start,
            end,
            begun: false,
            graph: None,
            ahead: None,
            ready: VecDeque::new(),
            noted: Health::default(),
            is_damaged: false,
            ended: false,
        }
    }

    /// Goes to the first frame.
    fn begin(&mut self) -> Result<()> {
        self.begun = true;
        let pick = FramePick { time: self.start, keyframe: false, neighbors: false };
        let shown = self.reader.go_to(&pick)?;
        let shown = self.reader.mended(shown, &pick)?;
        self.noted = self.reader.health();
        self.is_damaged = shown.damage > Damage::None;
        let base = self.reader.base();
        let is_before =
            |frame: &Frame| frame.pts().is_some_and(|pts| Timestamp::new(pts, base) < self.start);
        let both = [Some(shown.frame), shown.after];
        let mut wanted = both.into_iter().flatten().filter(|frame| !is_before(frame));
        let (now, later) = (wanted.next(), wanted.next());
        self.ahead = later;
        now.map_or(Ok(()), |frame| self.feed(frame))
    }

    /// The next picture; `None` at the end.
    fn next(&mut self) -> Result<Option<Picture>> {
        if !self.begun {
            self.begin()?;
        }
        loop {
            if let Some(picture) = self.ready.pop_front() {
                return Ok(Some(picture));
            }
            if self.ended {
                return Ok(None);
            }
            let next = match self.ahead.take() {
                Some(frame) => Some(frame),
                None => self.reader.next()?,
            };
            let health = self.reader.health();
            self.is_damaged |= !health.since(std::mem::replace(&mut self.noted, health)).is_good();
            if let Some(frame) = next {
                self.feed(frame)?;
            } else {
                let last = Timestamp::new(i64::MAX, self.reader.base());
                self.reader.expect_all_read(self.end.unwrap_or(last))?;
                self.end()?;
            }
        }
    }

    /// Filters a frame, by another graph where it is of another kind than the one before.
    fn feed(&mut self, frame: Frame) -> Result<()> {
        let time = frame.pts().map(|pts| Timestamp::new(pts, self.reader.base()));
        if time.zip(self.end).is_some_and(|(time, end)| time >= end) {
            return self.end();
        }
        let kind = GraphInput::of_frame(&frame);
        if self.graph.as_ref().is_none_or(|(of, _)| *of != kind) {
            self.drain()?;
            self.graph = Some((kind.clone(), self.filter.open(&kind)?));
        }
        if let Some((_, graph)) = &mut self.graph {
            let pushed = graph.push(exactly_timed(frame));
            pushed.map_err(|source| libav(Step::Filter, "filter graph", source))?;
        }
        self.pull()
    }

    /// Takes what the graph has ready.
    fn pull(&mut self) -> Result<()> {
        let Some((_, graph)) = &mut self.graph else { return Ok(()) };
        let broken = |source| libav(Step::Filter, "filter graph", source);
        loop {
            match graph.pull().map_err(broken)? {
                Received::One(frame) => {
                    let is_damaged = std::mem::take(&mut self.is_damaged) || frame.is_concealed();
                    let (base, zero) = (graph.time_base(), self.reader.zero());
                    self.ready.push_back(Picture::new(frame, base, zero, is_damaged)?);
                }
                Received::Nothing => return Ok(()),
                Received::Failed(source) => return Err(broken(source)),
            }
        }
    }

    /// Takes what the graph still holds.
    fn drain(&mut self) -> Result<()> {
        if let Some((_, graph)) = &mut self.graph {
            graph.finish().map_err(|source| libav(Step::Filter, "filter graph", source))?;
        }
        self.pull()?;
        self.graph = None;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.ended = true;
        self.drain()
    }
}

/// A decoded and filtered picture: safe views of its planes.
#[derive(Debug)]
pub struct Picture {
    frame: Frame,
    base: TimeBase,
    /// Where the input begins, in seconds on its time line.
    zero: f64,
    is_damaged: bool,
}

impl Picture {
    fn new(frame: Frame, base: TimeBase, zero: f64, is_damaged: bool) -> Result<Self> {
        let frame = frame.top_down().map_err(|_| Error::Exhausted { what: "memory" })?;
        Ok(Self { frame, base, zero, is_damaged })
    }

    /// Presentation time, in seconds from the earliest presentation time of the input; `None` where
    /// it is not known.
    pub fn seconds(&self) -> Option<f64> {
        self.time().map(|time| time.seconds() - self.zero)
    }

    /// Whether its packet is marked as a keyframe.
    pub fn is_keyframe(&self) -> bool {
        self.frame.is_key()
    }

    /// libav's name of the pixel format, as in `rgb24`.
    pub fn pixel_format(&self) -> String {
        self.frame.pixel_format_name().unwrap_or_default()
    }

    /// Whether the decoder guessed a part of it, or reported errors on the way to it. At an
    /// instant, and at the start of a span, decoding was tried again from earlier random access
    /// points, as far as the number of retries allows, and did not help.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Presentation time on the input's time line; `None` where it is not known.
    pub fn time(&self) -> Option<Timestamp> {
        // Not the decoder's guess: that is in ticks of the stream, and filters may count in others.
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

    /// All planes behind each other, without padding between rows: for `rgb24`, height × width × 3
    /// bytes.
    pub fn packed(&self) -> Vec<u8> {
        let planes = self.planes();
        // Row by row: byte by byte takes longer than decoding.
        let mut bytes = Vec::with_capacity(planes.iter().map(|plane| plane.bytes.len()).sum());
        for row in planes.iter().flat_map(Plane::rows) {
            bytes.extend_from_slice(row);
        }
        bytes
    }

    /// The picture as an image of the crate `image`, copied: for `rgb24`, `rgba`, `gray`; `None` for
    /// other pixel formats.
    #[cfg(feature = "image")]
    pub fn to_image(&self) -> Option<image::DynamicImage> {
        let (width, height, bytes) = (self.width(), self.height(), self.packed());
        match self.pixel_format().as_str() {
            "rgb24" => image::RgbImage::from_raw(width, height, bytes).map(Into::into),
            "rgba" => image::RgbaImage::from_raw(width, height, bytes).map(Into::into),
            "gray" => image::GrayImage::from_raw(width, height, bytes).map(Into::into),
            _ => None,
        }
    }

    /// The picture as a view of height × width × channels, without a copy: for pixel formats with a
    /// byte for each channel in one plane, as `rgb24`, `bgr24`, `rgba`, `bgra` and `gray`; `None` for
    /// others.
    #[cfg(feature = "ndarray")]
    pub fn view(&self) -> Option<ndarray::ArrayView3<'_, u8>> {
        use ndarray::ShapeBuilder;

        let channels = match self.pixel_format().as_str() {
            "rgb24" | "bgr24" => 3,
            "rgba" | "bgra" | "argb" | "abgr" => 4,
            "gray" => 1,
            _ => return None,
        };
        let side = |side: u32| usize::try_from(side).ok();
        let (height, width) = (side(self.height())?, side(self.width())?);
        let plane = self.planes().into_iter().next()?;
        let shape = (height, width, channels).strides((plane.row_bytes, channels, 1));
        ndarray::ArrayView3::from_shape(shape, plane.bytes).ok()
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

impl<'a> Plane<'a> {
    /// The rows, from the top, without what pads them.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let Self { bytes, row_bytes } = *self;
        let step = row_bytes.max(1);
        // The last row is not padded.
        let length = bytes.len().checked_sub(1).map_or(0, |last| last % step + 1);
        bytes.chunks(step).map(move |row| row.get(..length).unwrap_or(row))
    }
}
