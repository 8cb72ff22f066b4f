//! Opens all that a plan names before the first packet moves, so that what can fail early fails
//! here.

pub(crate) mod counters;
pub(crate) mod damage;
mod header;
mod parts;
pub(crate) mod pictures;
pub(crate) mod run;
pub(crate) mod samples;
pub(crate) mod stage;
pub(crate) mod verify;

use std::{collections::VecDeque, num::NonZeroU32};

pub(crate) use header::open_sheet;
use header::{open_muxer, room_for_index};

use avocet_model::{
    error::{Error, Result},
    format::movie::{self, Piece},
    location::Location,
    media::MediaInfo,
    plan::{Action, Content, Output, Part, Plan, SpriteSheet, Track, TrackKind},
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};
use counters::{Counters, Read, TrackCounters, Written};
use parts::{Line, OpenInput, OpenInputs, OpenPart, PacketStage, PartContext, PartOutlet};
use pictures::OpenSheet;
use stage::{
    Continuity, Demux, Encode, FRAMES, Inbox, Mux, MuxTrack, Nowhere, OfTrack, Outlet, PACKETS,
    Queue, SharedOutlet, Then, queue,
};

use crate::{
    io::{Remotes, Sink, Sources, Unfinished, is_same_file},
    libav::{Encoder, Frame, Packet, Parameters, limits::Limits, wants_global_header},
};

/// A plan whose first parts are open: demuxers, codecs, filter graphs, muxers and outputs.
pub(crate) struct Pipeline {
    /// The work. Each job has a thread of its own, but for the one job of a single-frame plan.
    pub(crate) jobs: Vec<Job>,
    /// The outputs that are being written, in the order of the plan.
    pub(crate) sinks: Vec<Sink>,
    /// The counters of each track, by output, then by track.
    pub(crate) counters: Vec<Vec<TrackCounters>>,
    /// The counters of outputs whose bytes are copied from an input, without a muxer.
    pub(crate) copied: Vec<Counters<Written>>,
    /// What each input that is demuxed promised when it was opened, by number of the input.
    pub(crate) media: Vec<MediaInfo>,
    /// The parts of tracks that are opened when the parts before them have ended.
    pub(crate) later: Later,
    /// Sprite sheets, until the job is made that draws them.
    sheets: Vec<OpenSheet>,
    /// The counters of the pictures that sprite sheets show.
    pub(crate) drawn: Counters<Read>,
}

/// Parts that are opened when the parts before them have ended. Each entry of the queue has the
/// parts, of all tracks, that are opened together. Their outlets keep encoder and muxer waiting for
/// them.
#[derive(Default)]
pub(crate) struct Later(VecDeque<Vec<LaterPart>>);

/// Work that runs to its end on one thread.
pub(crate) struct Job {
    /// Name of the thread, as in `decode 0:1`.
    pub(crate) name: String,
    /// Whether it belongs to a part of a track. The next parts begin when all such jobs have ended.
    pub(crate) of_part: bool,
    /// The work.
    pub(crate) run: Box<dyn FnOnce() -> Result<()> + Send>,
}

impl Job {
    /// A job that belongs to a part of a track.
    fn of_part(name: String, run: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        Self { name, of_part: true, run: Box::new(run) }
    }

    /// A job of a part that sends all items of `inbox` through a line of stages.
    fn pump<T: Send + 'static>(
        name: String,
        inbox: Inbox<T>,
        mut outlet: impl Outlet<T> + 'static,
    ) -> Self {
        Self::of_part(name, move || inbox.pump(&mut outlet))
    }

    /// The same job, for a stage that outlives the parts, such as a muxer.
    fn lasting(self) -> Self {
        Self { of_part: false, ..self }
    }
}

/// What is needed to open inputs, codecs and outputs.
pub(crate) struct Opener<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) threads: NonZeroU32,
    pub(crate) limits: Limits,
    pub(crate) cancel: &'a CancelToken,
    pub(crate) unfinished: &'a Unfinished,
}

/// A part of a track that is opened when the ones before it have ended.
struct LaterPart {
    part: Part,
    context: PartContext,
    outlet: PartOutlet,
}

/// A track whose first part is open, not yet connected to its muxer.
struct OpenTrack {
    /// Codec parameters of the packets, for the muxer's header.
    parameters: Parameters,
    /// The encoder, where there is one.
    encode: Option<Encode>,
    first: OpenPart,
    later: Vec<(Part, PartContext)>,
    counters: TrackCounters,
}

impl Opener<'_> {
    /// Opens everything that `plan` names; of each track only the first part.
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

    /// Opens the parts that come next, and answers their jobs: none when no part is left.
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

    /// Makes a demux job of each open input, and notes in `media` what that input promises.
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
            // libavformat writes where and with what a movie was made into QuickTime only.
            let is_mp4 = output.muxer != "mov";
            let user_data = if is_mp4 { movie::user_data(&output.tags) } else { Vec::new() };
            sink.keep_room(room_for_index(plan, output, &tracks), user_data);
        }
        let muxer = open_muxer(output, &tracks, &sink.draft(), self.cancel)?;
        for (number, track) in tracks.iter_mut().enumerate() {
            if let Some(encode) = &mut track.encode {
                encode.count_in(muxer.time_base(number), muxer.delay_base(number).is_some());
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
                last_shown: None,
                must_rise: track.kind != TrackKind::Video || muxer.must_rise(),
                typical: 1,
                first: None,
                held: VecDeque::new(),
                delay: muxer.missing_delay(number),
                delay_base: muxer.delay_base(number),
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
                let written = track.counters.written.clone();
                let next = || Box::new(OfTrack::new(number, &written, mux.another()));
                track.connect(next, inputs, pipeline, self.cancel);
            }
        } else if threaded {
            let (queue, inbox) = queue(PACKETS, self.cancel);
            for (number, track) in tracks.into_iter().enumerate() {
                let written = track.counters.written.clone();
                let next = || Box::new(OfTrack::new(number, &written, queue.another()));
                track.connect(next, inputs, pipeline, self.cancel);
            }
            let name = format!("mux {}", pipeline.sinks.len());
            pipeline.jobs.push(Job::pump(name, inbox, mux).lasting());
        } else if let Some(OpenTrack { first, encode: Some(encode), counters, .. }) = tracks.pop() {
            let next = Box::new(OfTrack::new(0, &counters.written, mux));
            let outlet = PartOutlet::Frames(Box::new(Then { stage: encode, next }));
            first.connect(outlet, inputs, &mut pipeline.jobs, self.cancel);
        }
        pipeline.sinks.push(sink);
        pipeline.counters.push(counters);
        Ok(())
    }

    /// Opens the output of a sprite sheet; one job draws all sheets of the plan.
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

    /// The pieces of a movie, in an order that puts its `moov` before its media; `None` where the
    /// file is not known well enough, or its `moov` is not behind the media.
    fn moved(&self, location: &Location) -> Result<Option<Vec<Piece>>> {
        let unreadable = |source| Error::Read { location: location.clone(), source };
        let mut reader = self.sources.expect(location)?.open(self.cancel).map_err(unreadable)?;
        movie::moved(&mut reader, &[]).map_err(unreadable)
    }

    /// Opens an output that has the bytes of an input, or these pieces of it, without a muxer.
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

    /// Opens the encoder of a track, where there is one, and the track's first part.
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
}

fn no_memory() -> Error {
    Error::Exhausted { what: "memory" }
}

/// Fails when an output is also an input (the same file or URL), before anything is written.
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

/// Whether all tracks are stream copies out of one open input. That is too little work for threads,
/// whose waking would cost more.
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
    /// Connects the track to its muxer; each call of `next` makes one more outlet that leads there.
    ///
    /// Pictures cross threads between all stages. Sound is too little work for that, unless several
    /// parts of it share one encoder.
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
