//! A plan with everything open: all that can fail early fails here.

use std::num::NonZeroU32;

use crate::{
    av::{
        AvResult, Decoder, Demuxer, Depth, Encoder, Fault, Frame, Muxer, OpenError, Packet,
        Parameters, Table, TrackHeader, wants_global_header,
    },
    error::{Error, Result, Step},
    frames::{FrameReader, exactly_timed},
    io::{Given, Location, Sink, Unfinished, is_same_file},
    media::{Hdr, MediaInfo},
    plan::{self, Action, FrameFormat, Instant, Output, Plan, Select, Track, TrackKind},
    progress::CancelToken,
    stage::{
        Copy, Decode, Demux, Encode, FRAMES, Filter, Inbox, Mux, MuxTrack, Nowhere, OfTrack,
        Outlet, PACKETS, Queue, Stop, Then, finished, queue,
    },
    tally::Tally,
    time::{Rational, TimeBase},
};

/// A plan with everything open.
pub(crate) struct Pipeline {
    /// The work: each job runs to its end, on a thread of its own when there are several.
    pub(crate) jobs: Vec<Job>,
    /// The outputs on their way, in the order of the plan.
    pub(crate) sinks: Vec<Sink>,
    /// What is counted, by output and track.
    pub(crate) tallies: Vec<Vec<Tally>>,
    /// What each input promised when it was opened.
    pub(crate) media: Vec<MediaInfo>,
}

/// Something that runs to its end.
pub(crate) struct Job {
    /// Name of the thread, as in `decode 0:1`.
    pub(crate) name: String,
    /// The work.
    pub(crate) run: Box<dyn FnOnce() -> Result<()> + Send>,
}

impl Job {
    fn new(name: String, run: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        Self { name, run: Box::new(run) }
    }

    /// Moves what comes into `inbox` through a line of stages.
    fn pump<T: Send + 'static>(
        name: String,
        inbox: Inbox<T>,
        mut outlet: impl Outlet<T> + 'static,
    ) -> Self {
        Self::new(name, move || inbox.pump(&mut outlet))
    }
}

/// What is needed to open anything.
pub(crate) struct Opener<'a> {
    pub(crate) given: &'a Given<'a>,
    pub(crate) threads: NonZeroU32,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) unfinished: &'a Unfinished,
}

/// The way of a stream's packets to a track.
struct Route {
    stream: usize,
    base: TimeBase,
    table: Option<Table>,
    tally: Tally,
    outlet: Box<dyn Outlet<Packet>>,
}

/// One input, opened when the first track needs it.
struct OpenInput {
    demuxer: Demuxer,
    routes: Vec<Route>,
}

impl Opener<'_> {
    /// Opens everything that `plan` names.
    pub(crate) fn open(&self, plan: &Plan) -> Result<Pipeline> {
        plan.check()?;
        check_places(plan)?;
        let mut pipeline = Pipeline {
            jobs: Vec::new(),
            sinks: Vec::new(),
            tallies: Vec::new(),
            media: vec![MediaInfo::default(); plan.inputs.len()],
        };
        let mut inputs: Vec<Option<OpenInput>> = plan.inputs.iter().map(|_| None).collect();
        for output in &plan.outputs {
            self.open_output(plan, output, &mut inputs, &mut pipeline)?;
        }
        for (number, (input, open)) in plan.inputs.iter().zip(inputs).enumerate() {
            let Some(OpenInput { demuxer, routes }) = open else { continue };
            pipeline.media[number] = demuxer.media();
            let mut demux = Demux::new(demuxer, input.location.clone(), self.cancel.clone());
            for Route { stream, base, table, tally, outlet } in routes {
                demux.route(stream, base, table, tally, outlet);
            }
            pipeline.jobs.push(Job::new(format!("demux {number}"), move || demux.run()));
        }
        Ok(pipeline)
    }

    fn open_output(
        &self,
        plan: &Plan,
        output: &Output,
        inputs: &mut [Option<OpenInput>],
        pipeline: &mut Pipeline,
    ) -> Result<()> {
        let global_header = wants_global_header(&output.muxer)
            .ok_or_else(|| Error::Absent { kind: "muxer", name: output.muxer.clone() })?;
        let threaded = !plan.is_single_frame();
        let mut feeds = Vec::new();
        for track in &output.tracks {
            feeds.push(self.open_feed(plan, track, inputs, global_header, threaded)?);
        }
        let sink = Sink::create(&output.location, output.replace, self.unfinished)?;
        let muxer = open_muxer(output, &feeds, &sink, self.cancel)?;
        let tallies: Vec<Tally> = feeds.iter().map(|feed| feed.tally.clone()).collect();
        let mut tracks = Vec::new();
        for (number, (track, tally)) in output.tracks.iter().zip(&tallies).enumerate() {
            tracks.push(MuxTrack {
                origin: plan.inputs[track.input].origin,
                base: muxer.time_base(number),
                last: None,
                typical: 1,
                first: None,
                held: None,
                delay: muxer.missing_delay(number),
                is_copy: track.action == Action::Copy,
                is_video: track.kind == TrackKind::Video,
                tally: tally.clone(),
            });
        }
        let mux = Mux::new(muxer, output, tracks);
        let mux = Then { stage: mux, next: Box::new(Nowhere) };
        if threaded {
            let (queue, inbox) = queue(PACKETS, self.cancel);
            for (number, feed) in feeds.into_iter().enumerate() {
                let next = Box::new(OfTrack { track: number, next: queue.another() });
                feed.connect(next, inputs, &mut pipeline.jobs, self.cancel);
            }
            let name = format!("mux {}", pipeline.sinks.len());
            pipeline.jobs.push(Job::pump(name, inbox, mux));
        } else if let Some(feed) = feeds.pop() {
            let next = Box::new(OfTrack { track: 0, next: mux });
            feed.connect(next, inputs, &mut pipeline.jobs, self.cancel);
        }
        pipeline.sinks.push(sink);
        pipeline.tallies.push(tallies);
        Ok(())
    }

    /// Opens all that feeds one track, up to its encoder.
    fn open_feed(
        &self,
        plan: &Plan,
        track: &Track,
        inputs: &mut [Option<OpenInput>],
        global_header: bool,
        threaded: bool,
    ) -> Result<Feed> {
        let tally = Tally::default();
        let location = &plan.inputs[track.input].location;
        let name = format!("{}:{}", track.input, track.stream);
        let threads = if threaded { self.threads } else { NonZeroU32::MIN };
        let (input, stream) = (track.input, track.stream);
        let place = &mut inputs[track.input];
        let parameters = |demuxer: &Demuxer| {
            demuxer
                .parameters(stream)
                .ok_or_else(|| Error::BadPlan {
                    what: format!("{location} has no stream {stream}"),
                })?
                .map_err(|_| Error::Exhausted { what: "memory" })
        };
        let encode = match &track.action {
            Action::Copy => {
                let demuxer = self.demuxer(location, place)?;
                let parameters = parameters(demuxer)?;
                let is_video = track.kind == TrackKind::Video;
                let line = Line::Copy { parameters, is_video };
                return Ok(Feed { name, input, stream, tally, line });
            }
            Action::Encode(encode) => encode,
        };
        let encoder_name = &encode.encoder.name;
        let encoder = Encoder::open(&encode.encoder, threads, global_header)
            .map_err(|error| opened("encoder", encoder_name, error))?;
        let frame_size = match encode.encoder.format {
            FrameFormat::Audio(_) => encoder.frame_size(),
            FrameFormat::Video(_) => None,
        };
        let filter = |parameters: &Parameters| {
            Filter::open(&encode.filters, parameters, encoder.time_base, frame_size, threads)
        };
        let line = match encode.select {
            Select::At(instant) => {
                let demuxer = self.open_input(location, Depth::Header)?;
                let filter = filter(&parameters(&demuxer)?)?;
                let reader = FrameReader::over(demuxer, location.clone(), stream, self.threads)?;
                Line::Instant { reader: Box::new(reader), instant, filter }
            }
            Select::All => {
                let demuxer = self.demuxer(location, place)?;
                let parameters = parameters(demuxer)?;
                let filter = filter(&parameters)?;
                let decoder = Decoder::open(&parameters, threads)
                    .map_err(|error| opened("decoder", &format!("for stream {name}"), error))?;
                let is_video = track.kind == TrackKind::Video;
                let decode = Decode::new(decoder, parameters.time_base, is_video, tally.clone());
                let (base, table) = (parameters.time_base, parameters.table);
                Line::All { decode, base, table, filter, is_video }
            }
        };
        let line = Line::Encode {
            line: Box::new(line),
            parameters: encoder.parameters().map_err(|_| Error::Exhausted { what: "memory" })?,
            encode: Encode::new(encoder, encoder_name, tally.clone()),
        };
        Ok(Feed { name, input, stream, tally, line })
    }

    /// The demuxer that tracks of one input share.
    fn demuxer<'d>(
        &self,
        location: &Location,
        place: &'d mut Option<OpenInput>,
    ) -> Result<&'d Demuxer> {
        let open = match place.take() {
            Some(open) => open,
            None => OpenInput {
                demuxer: self.open_input(location, Depth::Streams)?,
                routes: Vec::new(),
            },
        };
        Ok(&place.insert(open).demuxer)
    }

    fn open_input(&self, location: &Location, depth: Depth) -> Result<Demuxer> {
        let failed = |source| Error::Read { location: location.clone(), source };
        let source = self.given.source(location).ok_or_else(|| Error::BadPlan {
            what: format!("{location} was not given as a source"),
        })?;
        let reader = source.open(self.cancel).map_err(failed)?;
        Demuxer::open(reader, depth, self.cancel).map_err(|fault: Fault| fault.of_input(location))
    }
}

/// Refuses an output that is an input, before anything is touched.
fn check_places(plan: &Plan) -> Result<()> {
    for output in &plan.outputs {
        let Location::Path(path) = &output.location else { continue };
        let is_input = plan.inputs.iter().any(|input| match &input.location {
            Location::Path(input) => is_same_file(input, path),
            Location::Given(_) => false,
        });
        if is_input {
            return Err(Error::OutputIsInput(path.clone()));
        }
    }
    Ok(())
}

fn opened(kind: &'static str, name: &str, error: OpenError) -> Error {
    let name = name.to_owned();
    match error {
        OpenError::Absent => Error::Absent { kind, name },
        OpenError::UnknownOption(option) => Error::UnknownOption { component: name, option },
        OpenError::Libav(source) => {
            Error::Libav { step: Step::Open, component: format!("{kind} `{name}`"), source }
        }
    }
}

/// All that feeds one track, not yet connected to its muxer.
struct Feed {
    name: String,
    input: usize,
    stream: usize,
    tally: Tally,
    line: Line,
}

enum Line {
    /// Packets as they are.
    Copy { parameters: Parameters, is_video: bool },
    /// Frames of one of the other lines, encoded.
    Encode { line: Box<Line>, parameters: Parameters, encode: Encode },
    /// Every frame of a stream.
    All { decode: Decode, base: TimeBase, table: Option<Table>, filter: Filter, is_video: bool },
    /// The frame at an instant.
    Instant { reader: Box<FrameReader>, instant: Instant, filter: Filter },
}

impl Feed {
    /// How the packets that reach the muxer are coded.
    fn parameters(&self) -> Option<&Parameters> {
        match &self.line {
            Line::Copy { parameters, .. } | Line::Encode { parameters, .. } => Some(parameters),
            Line::All { .. } | Line::Instant { .. } => None,
        }
    }

    /// Joins the line to its muxer: frames of pictures cross threads between all stages, sound and
    /// single pictures are too little work for that.
    fn connect(
        self,
        next: Box<dyn Outlet<Packet>>,
        inputs: &mut [Option<OpenInput>],
        jobs: &mut Vec<Job>,
        cancel: &CancelToken,
    ) {
        let Self { name, input, stream, tally, line } = self;
        let mut route = |base, table, outlet: Box<dyn Outlet<Packet>>| {
            if let Some(open) = &mut inputs[input] {
                open.routes.push(Route { stream, base, table, tally: tally.clone(), outlet });
            }
        };
        match line {
            Line::Copy { parameters, is_video: true } => {
                let stage = Copy::new(tally.clone());
                route(parameters.time_base, parameters.table, Box::new(Then { stage, next }));
            }
            Line::Copy { parameters, is_video: false } => {
                route(parameters.time_base, None, next);
            }
            Line::Encode { line, encode, .. } => {
                let encode = Then { stage: encode, next };
                match *line {
                    Line::All { decode, base, table, filter, is_video: true } => {
                        let (to_encode, frames) = queue(FRAMES, cancel);
                        jobs.push(Job::pump(format!("encode {name}"), frames, encode));
                        let filter = Then { stage: filter, next: Box::new(to_encode) };
                        let (to_filter, frames): (Queue<Frame>, _) = queue(FRAMES, cancel);
                        jobs.push(Job::pump(format!("filter {name}"), frames, filter));
                        let decode = Then { stage: decode, next: Box::new(to_filter) };
                        let (to_decode, packets) = queue(PACKETS, cancel);
                        jobs.push(Job::pump(format!("decode {name}"), packets, decode));
                        route(base, table, Box::new(to_decode));
                    }
                    Line::All { decode, base, filter, is_video: false, .. } => {
                        let filter = Then { stage: filter, next: Box::new(encode) };
                        let decode = Then { stage: decode, next: Box::new(filter) };
                        let (to_decode, packets) = queue(PACKETS, cancel);
                        jobs.push(Job::pump(format!("sound {name}"), packets, decode));
                        route(base, None, Box::new(to_decode));
                    }
                    Line::Instant { reader, instant, filter } => {
                        let filter = Then { stage: filter, next: Box::new(encode) };
                        jobs.push(Job::new(format!("picture {name}"), move || {
                            show(*reader, &instant, &tally, Box::new(filter))
                        }));
                    }
                    Line::Copy { .. } | Line::Encode { .. } => {}
                }
            }
            Line::All { .. } | Line::Instant { .. } => {}
        }
    }
}

/// Sends the frame at an instant, with its neighbors where the filters look at them.
fn show(
    mut reader: FrameReader,
    instant: &Instant,
    tally: &Tally,
    mut outlet: Box<dyn Outlet<Frame>>,
) -> Result<()> {
    let shown = reader.at(instant)?;
    tally.note(|count| {
        count.frames_decoded = 1;
        count.decode_errors = reader.decode_errors;
        count.concealed = u64::from(shown.frame.is_concealed());
        count.past_end = shown.past_end;
    });
    let frames = [(shown.before, false), (Some(shown.frame), true), (shown.after, false)];
    for (frame, is_wanted) in frames {
        let Some(mut frame) = frame.filter(|_| is_wanted || instant.neighbors) else { continue };
        if !is_wanted {
            frame.mark_neighbor().map_err(|_| Error::Exhausted { what: "memory" })?;
        }
        match outlet.send(exactly_timed(frame)) {
            Err(Stop::Failed(error)) => return Err(error),
            Ok(()) | Err(Stop::Closed) => {}
        }
    }
    finished(outlet.finish())
}

/// Makes the muxer of an output and writes its header.
fn open_muxer(output: &Output, feeds: &[Feed], sink: &Sink, cancel: &CancelToken) -> Result<Muxer> {
    let failed = |error| opened("muxer", &output.muxer, error);
    let mut muxer =
        Muxer::create(&output.muxer, sink.writer()?, sink.reopener(), cancel).map_err(failed)?;
    let add = |muxer: &mut Muxer| -> AvResult<()> {
        muxer.set_tags(&output.tags)?;
        for (track, feed) in output.tracks.iter().zip(feeds) {
            let Some(parameters) = feed.parameters() else { continue };
            let (frame_rate, hdr) = picture_of(track);
            muxer.add(&TrackHeader {
                parameters,
                time_base: parameters.time_base,
                frame_rate,
                tag: track.tag.as_deref(),
                default: track.default,
                tags: &track.tags,
                hdr: &hdr,
            })?;
        }
        Ok(())
    };
    add(&mut muxer).map_err(|error| failed(error.into()))?;
    if let Err(error) = muxer.begin(&output.options) {
        // The first bytes are written with the header: a full disk may show here.
        return Err(match muxer.take_failure() {
            _ if cancel.is_cancelled() => Error::Cancelled,
            Some(source) => Error::Write { location: output.location.clone(), source },
            None => failed(error),
        });
    }
    Ok(muxer)
}

/// Frame rate and HDR metadata of an encoded picture track; a copied one keeps its own.
fn picture_of(track: &Track) -> (Option<Rational>, Hdr) {
    match &track.action {
        Action::Encode(encode) => match &encode.encoder.format {
            FrameFormat::Video(plan::PictureFormat { frame_rate, hdr, .. }) => {
                (*frame_rate, hdr.clone())
            }
            FrameFormat::Audio(_) => (None, Hdr::default()),
        },
        Action::Copy => (None, Hdr::default()),
    }
}
