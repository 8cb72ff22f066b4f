//! A part of a track: its line of stages, from a demuxer or a graph to the track's encoder or muxer.

use avocet_model::{
    error::{Error, Result, Step},
    plan::{Action, FrameFormat, FramePick, Part, Plan, Select, TrackKind},
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};

use super::{
    Job, Opener,
    counters::{Counters, Read, Written},
    no_memory,
    pictures::show,
    stage::{
        BoundaryEncoder, Convert, Copy, CopySound, Cut, Decode, FRAMES, Filter, Form, Lines,
        Outlet, PACKETS, Queue, Route, SmartCut, Then, TimelineOffset, finished, queue,
    },
};
use crate::{
    libav::{
        Decoder, Demuxer, Depth, Encoder, FilterGraph, Frame, GraphInput, Packet, Parameters,
        Received, SubtitleCoder,
    },
    read::{
        index::Entries,
        open::parameters_of,
        reader::{FrameReader, libav},
    },
};

/// Open inputs, each with the routes to the tracks that read from it.
#[derive(Default)]
pub(super) struct OpenInputs(pub(super) Vec<OpenInput>);

pub(super) struct OpenInput {
    pub(super) number: usize,
    /// Whether several tracks may read from it. A track that wants a span may not: it seeks.
    pub(super) shared: bool,
    pub(super) demuxer: Demuxer,
    pub(super) routes: Vec<Route>,
}

/// Where the packets or frames of a part go.
pub(super) enum PartOutlet {
    Packets(Box<dyn Outlet<Packet>>),
    Frames(Box<dyn Outlet<Frame>>),
}

/// What a part must know of its track.
#[derive(Clone)]
pub(super) struct PartContext {
    pub(super) kind: TrackKind,
    pub(super) action: Action,
    /// For a later part: the origin of the first part, and the track's time base. Together with the
    /// part's own origin they make its [`TimelineOffset`].
    pub(super) onto: Option<(Timestamp, TimeBase)>,
    /// Seconds per tick of the frames that the encoder takes.
    pub(super) frame_base: TimeBase,
    pub(super) counters: Counters<Read>,
    pub(super) written: Counters<Written>,
}

/// An open part that is not yet connected to the encoder or muxer of its track.
pub(super) struct OpenPart {
    pub(super) name: String,
    pub(super) line: Line,
}

/// The source of a part's packets or frames, and the stages that belong to the part.
pub(super) enum Line {
    /// Packets that are copied, smart cut or converted.
    Packets { input: usize, route: Route, stage: PacketStage },
    /// Frames of a stream, decoded and filtered.
    Frames {
        input: usize,
        route: Route,
        decode: Box<Decode>,
        cut: Option<Cut>,
        filter: Filter,
        pad: Option<Box<Filter>>,
    },
    /// The frame that is on screen at an instant.
    OneFrame { reader: Box<FrameReader>, pick: FramePick, filter: Filter, counters: Counters<Read> },
    /// Frames that filters generate, such as silence.
    Made { graph: FilterGraph, onto: TimelineOffset },
}

/// The stages of packets that do not go through the track's encoder.
pub(super) enum PacketStage {
    Copy(Copy),
    SmartCut(Box<SmartCut>, Copy),
    Sound(CopySound),
    Convert(CopySound, Convert),
}

impl PacketStage {
    fn then(self, next: Box<dyn Outlet<Packet>>) -> Box<dyn Outlet<Packet>> {
        match self {
            Self::Copy(stage) => Box::new(Then { stage, next }),
            Self::SmartCut(smart_cut, stage) => {
                Box::new(Then { stage: *smart_cut, next: Box::new(Then { stage, next }) })
            }
            Self::Sound(stage) => Box::new(Then { stage, next }),
            Self::Convert(cut, stage) => {
                Box::new(Then { stage: cut, next: Box::new(Then { stage, next }) })
            }
        }
    }
}

impl OpenPart {
    /// Connects a part that gives frames of a stream to an outlet, with all stages on the thread that
    /// reads; `None` for any other part. Answers the number of its open input.
    pub(super) fn connect_on_one_thread(
        self,
        next: Box<dyn Outlet<Frame>>,
        inputs: &mut OpenInputs,
    ) -> Option<usize> {
        let Line::Frames { input, route, decode, cut, filter, pad } = self.line else {
            return None;
        };
        let next: Box<dyn Outlet<Frame>> = match pad {
            Some(stage) => Box::new(Then { stage: *stage, next }),
            None => next,
        };
        let next: Box<dyn Outlet<Frame>> = Box::new(Then { stage: filter, next });
        let next = match cut {
            Some(stage) => Box::new(Then { stage, next }),
            None => next,
        };
        let outlet = Box::new(Then { stage: *decode, next });
        inputs.0[input].routes.push(Route { outlet: Some(outlet), ..route });
        Some(input)
    }

    /// Connects the part to the outlet that takes its packets or frames.
    pub(super) fn connect(
        self,
        outlet: PartOutlet,
        inputs: &mut OpenInputs,
        jobs: &mut Vec<Job>,
        cancel: &CancelToken,
    ) {
        let name = self.name;
        let mut join = |input: usize, route: Route, outlet: Box<dyn Outlet<Packet>>| {
            inputs.0[input].routes.push(Route { outlet: Some(outlet), ..route });
        };
        match (self.line, outlet) {
            (Line::Packets { input, route, stage }, PartOutlet::Packets(next)) => {
                join(input, route, stage.then(next));
            }
            (Line::Frames { input, route, decode, cut, filter, pad }, PartOutlet::Frames(next)) => {
                let next: Box<dyn Outlet<Frame>> = match pad {
                    Some(stage) => Box::new(Then { stage: *stage, next }),
                    None => next,
                };
                let filter = Then { stage: filter, next };
                let cut = |next: Box<dyn Outlet<Frame>>| match cut {
                    Some(stage) => Box::new(Then { stage, next }),
                    None => next,
                };
                if !route.is_video {
                    let decode = Then { stage: *decode, next: cut(Box::new(filter)) };
                    let (to_decode, packets) = queue(PACKETS, cancel);
                    jobs.push(Job::pump(format!("sound {name}"), packets, decode));
                    return join(input, route, Box::new(to_decode));
                }
                let (to_filter, frames): (Queue<Frame>, _) = queue(FRAMES, cancel);
                jobs.push(Job::pump(format!("filter {name}"), frames, filter));
                let decode = Then { stage: *decode, next: cut(Box::new(to_filter)) };
                let (to_decode, packets) = queue(PACKETS, cancel);
                jobs.push(Job::pump(format!("decode {name}"), packets, decode));
                join(input, route, Box::new(to_decode));
            }
            (Line::OneFrame { reader, pick, filter, counters }, PartOutlet::Frames(next)) => {
                let filter = Then { stage: filter, next };
                let name = format!("picture {name}");
                jobs.push(Job::of_part(name, move || show(*reader, &pick, &counters, filter)));
            }
            (Line::Made { graph, onto }, PartOutlet::Frames(next)) => {
                let cancel = cancel.clone();
                jobs.push(Job::of_part(name, move || make(graph, onto, next, &cancel)));
            }
            // This can not happen: part and outlet are both chosen by the action of the track.
            (Line::Packets { .. }, PartOutlet::Frames(_)) | (_, PartOutlet::Packets(_)) => {}
        }
    }
}

/// Sends the frames that a filter graph without an input generates.
fn make(
    mut graph: FilterGraph,
    onto: TimelineOffset,
    mut outlet: Box<dyn Outlet<Frame>>,
    cancel: &CancelToken,
) -> Result<()> {
    let base = graph.time_base();
    let failed = |source| libav(Step::Filter, "filter graph", source);
    loop {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let mut frame = match graph.pull().map_err(failed)? {
            Received::One(frame) => frame,
            Received::Nothing => return finished(outlet.finish()),
            Received::Failed(error) => return Err(failed(error)),
        };
        let start = onto.map(Timestamp::new(frame.exact_pts().unwrap_or(0), base));
        frame.set_pts(start);
        match outlet.send(frame) {
            Ok(()) => {}
            Err(stop) => return finished(Err(stop)),
        }
    }
}

impl Opener<'_> {
    /// Opens one part of a track. Unless it gives frames, answers codec parameters of its packets,
    /// too.
    pub(super) fn open_part(
        &self,
        plan: &Plan,
        part: &Part,
        context: &PartContext,
        inputs: &mut OpenInputs,
    ) -> Result<(OpenPart, Option<Parameters>)> {
        let PartContext { kind, action, onto, frame_base, counters, written } = context;
        let (kind, frame_base) = (*kind, *frame_base);
        let is_video = kind == TrackKind::Video;
        let is_text = kind == TrackKind::Subtitle;
        let onto = onto.map(|(first, base)| TimelineOffset { origin: part.origin, first, base });
        let Some(source) = part.source else {
            let graph = FilterGraph::generator(&part.filters, is_video)
                .map_err(|source| libav(Step::Open, "filter graph", source))?;
            let first =
                TimelineOffset { origin: part.origin, first: part.origin, base: frame_base };
            let line = Line::Made { graph, onto: onto.unwrap_or(first) };
            return Ok((OpenPart { name: "made".to_owned(), line }, None));
        };
        let input = &plan.inputs[source.input];
        let location = &input.location;
        let name = source.to_string();
        let threads = self.threads;
        // In front of pad filters frames stay on the part's own time line; the pad filters map it.
        let pads = !part.pad_filters.is_empty();
        let filter = |parameters: &Parameters| {
            let input = GraphInput::of_parameters(parameters);
            let onto = onto.filter(|_| !pads);
            let lines = Lines { base: parameters.time_base, out: frame_base, onto };
            Filter::open(&part.filters, input, lines, threads)
        };
        if let Select::At(pick) = part.select {
            let (limits, cancel) = (self.limits, self.cancel);
            let demuxer = self.sources.demuxer(location, Depth::Header, limits, cancel)?;
            let parameters = parameters_of(&demuxer, location, source.stream)?;
            let filter = filter(&parameters)?;
            let location = location.clone();
            let mut reader = FrameReader::over(demuxer, location, source.stream, self.threads)?;
            if input.goes_back {
                reader.follow_clock()?;
            }
            let (reader, counters) = (Box::new(reader), counters.clone());
            let line = Line::OneFrame { reader, pick, filter, counters };
            return Ok((OpenPart { name, line }, None));
        }
        let span = match part.select {
            Select::Span(span) => Some(span),
            Select::All | Select::At(_) => None,
        };
        let (input, demuxer) = self.input(plan, source.input, span.is_none(), inputs)?;
        let mut parameters = parameters_of(demuxer, location, source.stream)?;
        if is_video && span.is_some() {
            let entries = Entries::of(demuxer, source.stream);
            let head = entries.head(demuxer, source.stream);
            parameters.head = head.map_err(|fault| fault.of_input(location))?;
        }
        let base = parameters.time_base;
        let is_copied = action.copies() && !is_text;
        let route = Route {
            stream: source.stream,
            base,
            is_video,
            must_agree: is_copied && parameters.codec() != "vorbis",
            table: parameters.table.filter(|_| is_video),
            select: part.select,
            counters: counters.clone(),
            outlet: None,
        };
        let (line, parameters) = match action {
            Action::Copy => {
                let stage = if is_video {
                    PacketStage::Copy(Copy::new(span, onto, &parameters, counters.clone()))
                } else {
                    PacketStage::Sound(CopySound::new(span, onto, &parameters, is_text))
                };
                (Line::Packets { input, route, stage }, Some(parameters))
            }
            Action::SmartCut(encoder) => {
                let no_span =
                    || Error::BadPlan { what: "a part of a smart cut has no span".to_owned() };
                let (run, span) = part.copied.zip(span).ok_or_else(no_span)?;
                let mut beside = parameters_of(demuxer, location, source.stream)?;
                // An encoder that gets no picture may never end: SVT-AV1 waits for one. So one is
                // opened only for boundary encodes, or for its parameter sets.
                let is_whole = run.keyframe_pts.is_some_and(|from| span.start >= from);
                let has_boundaries = !is_whole || run.end_pts.is_some();
                let ready = if has_boundaries || Form::has_sets(&parameters) {
                    Some(BoundaryEncoder::open_encoder(encoder, threads)?)
                } else {
                    None
                };
                let coded = ready.as_ref().map(Encoder::parameters).transpose();
                let coded = coded.map_err(|_| no_memory())?;
                let (form, extradata) = Form::of(&parameters, coded.as_ref())?;
                if let Some(extradata) = extradata {
                    beside.set_extradata(&extradata).map_err(|_| no_memory())?;
                }
                let maker = BoundaryEncoder {
                    settings: (**encoder).clone(),
                    ready,
                    parameters,
                    threads,
                    origin: part.origin,
                    read: counters.clone(),
                    written: written.clone(),
                    form,
                    location: location.clone(),
                };
                let stage = SmartCut::new(maker, run, span)?;
                let copy = Copy::of_smart_cut(span, onto, base, run.delay, counters.clone());
                let stage = PacketStage::SmartCut(Box::new(stage), copy);
                (Line::Packets { input, route, stage }, Some(beside))
            }
            Action::Convert(encoder) => {
                let coder = SubtitleCoder::open(&parameters, encoder)
                    .map_err(|error| error.about("subtitle encoder", encoder))?;
                let cut = CopySound::new(span, onto, &parameters, is_text);
                let parameters = coder.parameters().map_err(|_| no_memory())?;
                let convert = Convert::new(coder, encoder);
                let stage = PacketStage::Convert(cut, convert);
                (Line::Packets { input, route, stage }, Some(parameters))
            }
            Action::Encode(encoder) => {
                let filter = filter(&parameters)?;
                let decoder = Decoder::open(&parameters, threads)
                    .map_err(|error| error.about("decoder", &parameters.codec_or_tag()))?;
                let from = span.and_then(|span| span.start.rescale(base)).map(|from| from.ticks);
                let of = location.clone();
                let decode = Decode::new(decoder, of, base, is_video, from, counters.clone());
                let cut = span.map(|span| Cut::new(span, base, counters.clone()));
                let pad = match &encoder.format {
                    FrameFormat::Audio(format) if pads => {
                        let lines = Lines { base: frame_base, out: frame_base, onto };
                        let input = Some(GraphInput::of_format(format));
                        Some(Box::new(Filter::open(&part.pad_filters, input, lines, threads)?))
                    }
                    _ => None,
                };
                let decode = Box::new(decode);
                (Line::Frames { input, route, decode, cut, filter, pad }, None)
            }
        };
        Ok((OpenPart { name, line }, parameters))
    }

    /// An input's place in `inputs`, and its demuxer: a shared one if there is one, else a new one.
    fn input<'i>(
        &self,
        plan: &Plan,
        number: usize,
        shared: bool,
        inputs: &'i mut OpenInputs,
    ) -> Result<(usize, &'i mut Demuxer)> {
        let known = |input: &OpenInput| shared && input.shared && input.number == number;
        let place = if let Some(place) = inputs.0.iter().position(known) {
            place
        } else {
            let location = &plan.inputs[number].location;
            let (limits, cancel) = (self.limits, self.cancel);
            let demuxer = self.sources.demuxer(location, Depth::Streams, limits, cancel)?;
            inputs.0.push(OpenInput { number, shared, demuxer, routes: Vec::new() });
            inputs.0.len() - 1
        };
        Ok((place, &mut inputs.0[place].demuxer))
    }
}
