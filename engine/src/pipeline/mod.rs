//! A plan with everything open: all that can fail early fails here.

pub(crate) mod counters;
pub(crate) mod damage;
mod header;
pub(crate) mod pictures;
pub(crate) mod run;
pub(crate) mod stage;
pub(crate) mod verify;

use std::{collections::VecDeque, num::NonZeroU32};

pub(crate) use header::open_sheet;
use header::{open_muxer, room_for_index};

use avocet_model::{
    error::{Error, Result, Step},
    format::movie::{self, Piece},
    location::Location,
    media::MediaInfo,
    plan::{
        Action, Content, FrameFormat, FramePick, Output, Part, Plan, Select, SpriteSheet, Track,
        TrackKind,
    },
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};
use counters::{Counters, Read, TrackCounters, Written};
use pictures::{OpenSheet, show};
use stage::{
    BoundaryEncoder, Continuity, Convert, Copy, CopySound, Cut, Decode, Demux, Encode, FRAMES,
    Filter, Form, Inbox, Lines, Mux, MuxTrack, Nowhere, OfTrack, Outlet, PACKETS, Queue, Route,
    SharedOutlet, SmartCut, Then, TimelineOffset, finished, queue,
};

use crate::{
    io::{Remotes, Sink, Sources, Unfinished, is_same_file},
    libav::{
        Decoder, Demuxer, Depth, Encoder, FilterGraph, Frame, GraphInput, Packet, Parameters,
        Received, SubtitleCoder, limits::Limits, wants_global_header,
    },
    read::{
        index::Entries,
        open::parameters_of,
        reader::{FrameReader, libav},
    },
};

/// A plan with everything open that its first parts need.
pub(crate) struct Pipeline {
    /// The work: each job runs to its end, on a thread of its own when there are several.
    pub(crate) jobs: Vec<Job>,
    /// The outputs on their way, in the order of the plan.
    pub(crate) sinks: Vec<Sink>,
    /// What is counted, by output and track.
    pub(crate) counters: Vec<Vec<TrackCounters>>,
    /// What is counted of outputs that have the bytes of an input.
    pub(crate) copied: Vec<Counters<Written>>,
    /// What each input promised when it was opened.
    pub(crate) media: Vec<MediaInfo>,
    /// The parts that come after the first ones.
    pub(crate) later: Later,
    /// Sheets that are open, until the job is made that draws them.
    sheets: Vec<OpenSheet>,
    /// What is counted of the pictures of sheets.
    pub(crate) drawn: Counters<Read>,
}

/// Parts that are opened when the ones before them have ended, all that begin together in one
/// piece. As long as they are there, what takes their packets and frames waits for them.
#[derive(Default)]
pub(crate) struct Later(VecDeque<Vec<LaterPart>>);

/// Something that runs to its end.
pub(crate) struct Job {
    /// Name of the thread, as in `decode 0:1`.
    pub(crate) name: String,
    /// Whether later parts begin when this one, and all others like it, have ended.
    pub(crate) of_part: bool,
    /// The work.
    pub(crate) run: Box<dyn FnOnce() -> Result<()> + Send>,
}

impl Job {
    /// A job that belongs to a part of a track.
    fn of_part(name: String, run: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        Self { name, of_part: true, run: Box::new(run) }
    }

    /// A job that moves what comes into `inbox` through a line of stages.
    fn pump<T: Send + 'static>(
        name: String,
        inbox: Inbox<T>,
        mut outlet: impl Outlet<T> + 'static,
    ) -> Self {
        Self::of_part(name, move || inbox.pump(&mut outlet))
    }

    /// The same, for what outlives the parts.
    fn lasting(self) -> Self {
        Self { of_part: false, ..self }
    }
}

/// What is needed to open anything.
pub(crate) struct Opener<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) threads: NonZeroU32,
    pub(crate) limits: Limits,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) unfinished: &'a Unfinished,
}

/// Inputs that are open, each with the ways out that were taken so far.
#[derive(Default)]
struct OpenInputs(Vec<OpenInput>);

struct OpenInput {
    number: usize,
    /// Whether tracks that want all of a stream may share it.
    shared: bool,
    demuxer: Demuxer,
    routes: Vec<Route>,
}

/// A part of a track that is opened when the ones before it have ended.
struct LaterPart {
    part: Part,
    context: PartContext,
    outlet: PartOutlet,
}

/// Where the packets or frames of a part go.
enum PartOutlet {
    Packets(Box<dyn Outlet<Packet>>),
    Frames(Box<dyn Outlet<Frame>>),
}

/// What a part must know of its track.
#[derive(Clone)]
struct PartContext {
    kind: TrackKind,
    action: Action,
    /// The way onto the line of the first part, for later ones; its `origin` is not yet set.
    onto: Option<(Timestamp, TimeBase)>,
    /// Seconds per tick of what the encoder takes.
    frame_base: TimeBase,
    counters: Counters<Read>,
    written: Counters<Written>,
}

/// A part with everything open, not yet joined to its track.
struct OpenPart {
    name: String,
    line: Line,
}

/// What makes the packets or frames of a part.
enum Line {
    /// Packets as they are.
    Packets { input: usize, route: Route, stage: PacketStage },
    /// Frames of a stream.
    Frames {
        input: usize,
        route: Route,
        decode: Box<Decode>,
        cut: Option<Cut>,
        filter: Filter,
        pad: Option<Box<Filter>>,
    },
    /// One frame.
    OneFrame { reader: Box<FrameReader>, pick: FramePick, filter: Filter, counters: Counters<Read> },
    /// Frames that filters make.
    Made { graph: FilterGraph, onto: TimelineOffset },
}

/// What packets pass that are not decoded.
enum PacketStage {
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

/// A track with its first part, not yet joined to its muxer.
struct OpenTrack {
    /// The packets' form, for the muxer's header.
    parameters: Parameters,
    /// The encoder, where there is one.
    encode: Option<Encode>,
    first: OpenPart,
    later: Vec<(Part, PartContext)>,
    counters: TrackCounters,
}

impl Opener<'_> {
    /// Opens everything that `plan` names, as far as its tracks' first parts.
    pub(crate) fn open(&self, plan: &Plan) -> Result<Pipeline> {
        plan.check()?;
        check_places(plan)?;
        let mut pipeline = Pipeline {
            jobs: Vec::new(),
            sinks: Vec::new(),
            counters: Vec::new(),
            copied: Vec::new(),
            media: vec![MediaInfo::default(); plan.inputs.len()],
            later: Later::default(),
            sheets: Vec::new(),
            drawn: Counters::default(),
        };
        let mut inputs = OpenInputs::default();
        for output in &plan.outputs {
            self.open_output(plan, output, &mut inputs, &mut pipeline)?;
        }
        self.read(plan, inputs, &mut pipeline.jobs, &mut pipeline.media);
        let sheets = std::mem::take(&mut pipeline.sheets);
        if !sheets.is_empty() {
            let (threads, limits, cancel) = (self.threads, self.limits, self.cancel.clone());
            let drawn = pipeline.drawn.clone();
            let draw = move || pictures::draw(sheets, threads, limits, &cancel, &drawn);
            pipeline.jobs.push(Job::of_part("pictures".to_owned(), draw));
        }
        Ok(pipeline)
    }

    /// Opens the parts that come next; none when there are no more.
    pub(crate) fn open_next(
        &self,
        plan: &Plan,
        later: &mut Later,
        media: &mut [MediaInfo],
    ) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        let mut inputs = OpenInputs::default();
        for LaterPart { part, context, outlet } in later.0.pop_front().unwrap_or_default() {
            let (open, _) = self.open_part(plan, &part, &context, &mut inputs)?;
            open.connect(outlet, &mut inputs, &mut jobs, self.cancel);
        }
        self.read(plan, inputs, &mut jobs, media);
        Ok(jobs)
    }

    /// Makes a job of each input that has a way out.
    fn read(&self, plan: &Plan, inputs: OpenInputs, jobs: &mut Vec<Job>, media: &mut [MediaInfo]) {
        for OpenInput { number, demuxer, routes, .. } in inputs.0 {
            media[number] = demuxer.media();
            let cancel = self.cancel.clone();
            let demux = Demux::new(demuxer, &media[number], &plan.inputs[number], routes, cancel);
            let name = format!("demux {number}");
            jobs.push(Job::of_part(name, move || demux.run()));
        }
    }

    fn open_output(
        &self,
        plan: &Plan,
        output: &Output,
        inputs: &mut OpenInputs,
        pipeline: &mut Pipeline,
    ) -> Result<()> {
        match &output.content {
            Content::BytesOf(input) => {
                return self.open_copy(plan, output, *input, None, pipeline);
            }
            Content::Tracks(_) if output.moves_index && plan.inputs.len() == 1 => {
                let pieces = self.moved(&plan.inputs[0].location)?;
                if pieces.is_some() {
                    return self.open_copy(plan, output, 0, pieces, pipeline);
                }
            }
            Content::SpriteSheet(sheet) => return self.open_sheet(plan, output, sheet, pipeline),
            Content::Text(text) => {
                let sink = Sink::create(&output.location, output.replace, self.unfinished)?;
                sink.write(text.as_bytes())?;
                pipeline.sinks.push(sink);
                pipeline.counters.push(Vec::new());
                return Ok(());
            }
            Content::Tracks(_) | Content::OfProcess(_) => {}
        }
        let global_header = wants_global_header(&output.muxer)
            .ok_or_else(|| Error::Absent { kind: "muxer", name: output.muxer.clone() })?;
        let threaded = !plan.is_single_frame();
        let mut tracks = Vec::new();
        for track in output.tracks() {
            tracks.push(self.open_track(plan, track, inputs, global_header, threaded)?);
        }
        let mut sink = Sink::create(&output.location, output.replace, self.unfinished)?;
        if output.index_first {
            // libavformat writes this into QuickTime by itself.
            let is_mp4 = output.muxer != "mov";
            let user_data = if is_mp4 { movie::user_data(&output.tags) } else { Vec::new() };
            sink.keep_room(room_for_index(plan, output, &tracks), user_data);
        }
        let muxer = open_muxer(output, &tracks, &sink.draft(), self.cancel)?;
        for (number, track) in tracks.iter_mut().enumerate() {
            if let Some(encode) = &mut track.encode {
                encode.count_in(muxer.time_base(number));
            }
        }
        let counters: Vec<TrackCounters> =
            tracks.iter().map(|track| track.counters.clone()).collect();
        let mut places = Vec::new();
        for (number, (track, open)) in output.tracks().iter().zip(&tracks).enumerate() {
            let is_copy = track.action == Action::Copy && track.kind == TrackKind::Audio;
            let has_no_gaps = is_copy && !output.keeps_gaps();
            let continuity = has_no_gaps.then(|| Continuity::of(&open.parameters)).transpose();
            places.push(MuxTrack {
                origin: track.parts.first().map_or(Timestamp::ZERO, |part| part.origin),
                base: muxer.time_base(number),
                last: None,
                typical: 1,
                first: None,
                held: VecDeque::new(),
                delay: muxer.missing_delay(number),
                is_video: track.kind == TrackKind::Video,
                is_still: track.kind == TrackKind::Cover || output.is_picture(),
                continuity: continuity.map_err(|_| no_memory())?.flatten(),
                at_most: track.at_most,
                counters: open.counters.written.clone(),
            });
        }
        let mux = Mux::new(muxer, output, places);
        let mux = Then { stage: mux, next: Box::new(Nowhere) };
        if one_thread_copies(&tracks) {
            let mux = SharedOutlet::new(mux);
            for (number, track) in tracks.into_iter().enumerate() {
                let next = || Box::new(OfTrack { track: number, next: mux.another() });
                track.connect(next, inputs, pipeline, self.cancel);
            }
        } else if threaded {
            let (queue, inbox) = queue(PACKETS, self.cancel);
            for (number, track) in tracks.into_iter().enumerate() {
                let next = || Box::new(OfTrack { track: number, next: queue.another() });
                track.connect(next, inputs, pipeline, self.cancel);
            }
            let name = format!("mux {}", pipeline.sinks.len());
            pipeline.jobs.push(Job::pump(name, inbox, mux).lasting());
        } else if let Some(OpenTrack { first, encode: Some(encode), .. }) = tracks.pop() {
            let next = Box::new(OfTrack { track: 0, next: mux });
            let outlet = PartOutlet::Frames(Box::new(Then { stage: encode, next }));
            first.connect(outlet, inputs, &mut pipeline.jobs, self.cancel);
        }
        pipeline.sinks.push(sink);
        pipeline.counters.push(counters);
        Ok(())
    }

    /// Opens an output that shows many pictures.
    fn open_sheet(
        &self,
        plan: &Plan,
        output: &Output,
        sheet: &SpriteSheet,
        pipeline: &mut Pipeline,
    ) -> Result<()> {
        let sink = Sink::create(&output.location, output.replace, self.unfinished)?;
        let input = &plan.inputs[sheet.source.input];
        pipeline.sheets.push(OpenSheet {
            output: output.clone(),
            sheet: sheet.clone(),
            source: self.sources.expect(&input.location)?,
            goes_back: input.goes_back,
            location: input.location.clone(),
            draft: sink.draft(),
        });
        pipeline.sinks.push(sink);
        pipeline.counters.push(Vec::new());
        Ok(())
    }

    /// The pieces of a movie whose index moves; `None` where it is not known well enough.
    fn moved(&self, location: &Location) -> Result<Option<Vec<Piece>>> {
        let unreadable = |source| Error::Read { location: location.clone(), source };
        let mut reader = self.sources.expect(location)?.open(self.cancel).map_err(unreadable)?;
        movie::moved(&mut reader, &[]).map_err(unreadable)
    }

    /// Opens an output that has the bytes of an input, or pieces of them.
    fn open_copy(
        &self,
        plan: &Plan,
        output: &Output,
        input: usize,
        pieces: Option<Vec<Piece>>,
        pipeline: &mut Pipeline,
    ) -> Result<()> {
        let location = &plan.inputs[input].location;
        self.sources.expect_within(self.limits, location, self.cancel)?;
        let source = self.sources.expect(location)?;
        let sink = Sink::create(&output.location, output.replace, self.unfinished)?;
        let copier = sink.copier(source, pieces)?;
        let (cancel, counters) = (self.cancel.clone(), Counters::<Written>::default());
        pipeline.copied.push(counters.clone());
        pipeline.jobs.push(Job::of_part(format!("copy {input}"), move || {
            copier.run(&cancel, |bytes| {
                counters.note(|count| count.bytes += bytes);
                Ok(())
            })
        }));
        pipeline.sinks.push(sink);
        pipeline.counters.push(Vec::new());
        Ok(())
    }

    /// Opens the encoder of a track, and all that feeds it first.
    fn open_track(
        &self,
        plan: &Plan,
        track: &Track,
        inputs: &mut OpenInputs,
        global_header: bool,
        threaded: bool,
    ) -> Result<OpenTrack> {
        let no_part = || Error::BadPlan { what: "a track has no part".to_owned() };
        let (first, later) = track.parts.split_first().ok_or_else(no_part)?;
        let parts = track.parts.iter().map(|_| Counters::default()).collect();
        let counters = TrackCounters { parts, ..TrackCounters::default() };
        let mut context = PartContext {
            kind: track.kind,
            action: track.action.clone(),
            onto: None,
            frame_base: TimeBase::MICROSECONDS,
            counters: counters.parts.first().cloned().unwrap_or_default(),
            written: counters.written.clone(),
        };
        let mut encode = None;
        let mut parameters = None;
        if let Action::Encode(settings) = &track.action {
            let threads = if threaded { self.threads } else { NonZeroU32::MIN };
            let encoder = Encoder::open(settings, threads, global_header)
                .map_err(|error| error.about("encoder", &settings.name))?;
            context.frame_base = encoder.time_base;
            parameters = Some(encoder.parameters().map_err(|_| no_memory())?);
            let written = counters.written.clone();
            encode = Some(Encode::new(encoder, settings, first.origin, written)?);
        }
        let (open, copied) = self.open_part(plan, first, &context, inputs)?;
        let base = copied.as_ref().map_or(context.frame_base, |copied| copied.time_base);
        let parameters = parameters.or(copied).ok_or_else(no_part)?;
        let later = later.iter().zip(counters.parts.iter().skip(1)).map(|(part, counters)| {
            let onto = Some((first.origin, base));
            (part.clone(), PartContext { onto, counters: counters.clone(), ..context.clone() })
        });
        Ok(OpenTrack { parameters, encode, first: open, later: later.collect(), counters })
    }

    /// Opens one part of a track; where packets are not encoded anew, answers how they are coded.
    fn open_part(
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
        // What the pad filters take is still on its own time line.
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
                // An encoder that gets no picture may not end: SVT-AV1 waits for one.
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

    /// The place of an open input among `inputs`: one that tracks share, or one of its own.
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

fn no_memory() -> Error {
    Error::Exhausted { what: "memory" }
}

/// Refuses an output that is an input, before anything is touched.
pub(crate) fn check_places(plan: &Plan) -> Result<()> {
    for output in &plan.outputs {
        let is_input = plan.inputs.iter().any(|input| match (&input.location, &output.location) {
            (Location::Path(input), Location::Path(output)) => is_same_file(input, output),
            (Location::Url(input), Location::Url(output)) => Remotes::is_same(input, output),
            _ => false,
        });
        if is_input {
            return Err(Error::OutputIsInput(output.location.clone()));
        }
    }
    Ok(())
}

/// Whether all that is done to these tracks is to move packets of one open input: too little for
/// threads, whose waking would cost more than the work.
fn one_thread_copies(tracks: &[OpenTrack]) -> bool {
    let copied =
        |track: &OpenTrack| match &track.first.line {
            Line::Packets {
                input, stage: PacketStage::Copy(_) | PacketStage::Sound(_), ..
            } if track.later.is_empty() => Some(*input),
            _ => None,
        };
    let Some(first) = tracks.first().and_then(copied) else { return false };
    tracks.iter().all(|track| copied(track) == Some(first))
}

impl OpenTrack {
    /// Joins the track to its muxer, of which `next` makes a way in.
    ///
    /// Frames of pictures cross threads between all stages; sound is too little work for that,
    /// unless several parts of it have to meet at one encoder.
    fn connect<O: Outlet<Packet> + 'static>(
        self,
        next: impl Fn() -> Box<O>,
        inputs: &mut OpenInputs,
        pipeline: &mut Pipeline,
        cancel: &CancelToken,
    ) {
        let Self { encode, first, later, .. } = self;
        let is_video = matches!(&first.line, Line::Frames { route, .. } if route.is_video);
        let (outlet, frames) = match encode {
            None => (PartOutlet::Packets(next()), None),
            Some(encode) => {
                let encode = Then { stage: encode, next: next() };
                if later.is_empty() && !is_video {
                    (PartOutlet::Frames(Box::new(encode)), None)
                } else {
                    let (to_encode, inbox): (Queue<Frame>, _) = queue(FRAMES, cancel);
                    let job = Job::pump(format!("encode {}", first.name), inbox, encode);
                    let job = if later.is_empty() { job } else { job.lasting() };
                    pipeline.jobs.push(job);
                    (PartOutlet::Frames(Box::new(to_encode.another())), Some(to_encode))
                }
            }
        };
        first.connect(outlet, inputs, &mut pipeline.jobs, cancel);
        for (number, (part, context)) in later.into_iter().enumerate() {
            let outlet = match &frames {
                Some(frames) => PartOutlet::Frames(Box::new(frames.another())),
                None => PartOutlet::Packets(next()),
            };
            if pipeline.later.0.len() <= number {
                pipeline.later.0.push_back(Vec::new());
            }
            pipeline.later.0[number].push(LaterPart { part, context, outlet });
        }
    }
}

impl OpenPart {
    /// Joins the part to what takes its packets or frames.
    fn connect(
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
            // A part is opened by the action of its track, which its outlet follows, too.
            (Line::Packets { .. }, PartOutlet::Frames(_)) | (_, PartOutlet::Packets(_)) => {}
        }
    }
}

/// Sends the frames that a graph makes.
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
