//! The front door: probe, run, decoded frames.

use std::{
    collections::BTreeSet,
    io::{self, Read, Seek, SeekFrom, Write},
    num::NonZeroU32,
    ops::{ControlFlow, Range},
    path::Path,
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use avocet_model::{
    capabilities::Capabilities,
    error::{Error, Result, Step},
    format::{
        flv, matroska,
        movie::{self, Still},
        mxf, riff,
    },
    frames::FrameRequest,
    index::Index,
    location::Location,
    media::{Behind, Kind, MediaInfo, StreamInfo, movie::Movie},
    plan::{Content, Output, Plan, Process, Reason, Strategy, Track, TrackKind},
    progress::{CancelToken, Fetched, Meter, Progress},
    time::{Rational, Timestamp},
};

use crate::{
    io::{CallerStreams, RemoteSettings, Remotes, Sink, Source, Sources, Unfinished},
    libav::{self, Demuxer, Depth, Listing, limits::Limits},
    pipeline::{
        Opener, Pipeline,
        counters::{Counted, with_counts},
        damage::{self, Ends},
        run::{Watch, run_jobs, show, stop_at},
        verify,
    },
    process::{self, ProcessSettings, Runner},
    read::{
        frames::Frames,
        glance, head,
        index::{self, Indexes},
        reader::FrameReader,
    },
    report::{Report, Stats, Written},
};

/// How often a copy is told of.
const PAUSE: Duration = Duration::from_millis(250);

/// How an engine works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads inside each decoder and encoder; x264 takes half as many more, which keeps so many
    /// processors busy. Default: as many as there are processors.
    pub threads: NonZeroU32,
    /// How the `ffmpeg` program is run, for plans that ask for it.
    pub process: ProcessSettings,
    /// How media that is elsewhere is reached.
    pub remote: RemoteSettings,
    /// How long an input may be, in seconds. Default: any length.
    pub max_media_seconds: f64,
    /// How many pixels a picture of an input may have. Default: any number.
    pub max_pixels: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let threads = thread::available_parallelism().ok();
        let threads =
            threads.and_then(|threads| u32::try_from(threads.get()).ok()?.try_into().ok());
        let threads = threads.unwrap_or(NonZeroU32::MIN);
        let (process, remote) = (ProcessSettings::default(), RemoteSettings::default());
        Self { threads, process, remote, max_media_seconds: f64::INFINITY, max_pixels: u64::MAX }
    }
}

/// Probes media and runs plans. It blocks the calling thread, and may be shared between threads.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use avocet_engine::{CancelToken, Engine, Plan, Source};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::default();
/// let cancel = CancelToken::new();
/// let media = engine.probe(&Source::path("in.mp4"), &cancel)?;
/// println!("{} streams", media.streams.len());
///
/// let plan: Plan = serde_json::from_str(&std::fs::read_to_string("plan.json")?)?;
/// let report = engine.run(&plan, &cancel, |progress| {
///     println!("{:.0} %", progress.fraction * 100.0);
///     ControlFlow::Continue(())
/// })?;
/// println!("{} bytes", report.outputs[0].size_bytes);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
    unfinished: Unfinished,
    indexes: Indexes,
    remotes: Remotes,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

impl Engine {
    /// An engine that works as `settings` say.
    pub fn new(settings: Settings) -> Self {
        let unfinished = Unfinished::default();
        let remotes = Remotes::new(settings.remote.clone(), unfinished.clone());
        Self { settings, unfinished, indexes: Indexes::default(), remotes }
    }

    /// What an input may hold, in every probe and run.
    const fn limits(&self) -> Limits {
        let Settings { max_pixels, max_media_seconds: max_seconds, .. } = self.settings;
        Limits { max_pixels, max_seconds }
    }

    pub(crate) const fn remotes(&self) -> &Remotes {
        &self.remotes
    }

    /// What this libav can do, by its own lists, which are read once; no device is opened.
    pub fn capabilities(&self) -> &'static Capabilities {
        static LISTED: OnceLock<Capabilities> = OnceLock::new();
        LISTED.get_or_init(|| {
            let (version, license, assembly) = libav::describe_libav();
            let names = |listing| libav::list(listing).into_iter().collect();
            Capabilities {
                version,
                license,
                assembly,
                encoders: names(Listing::Encoders),
                decoders: names(Listing::Decoders),
                filters: names(Listing::Filters),
                muxers: names(Listing::Muxers),
                devices: BTreeSet::new(),
                program: None,
            }
        })
    }

    /// [`capabilities`](Self::capabilities), with the hardware devices that open, and the `ffmpeg`
    /// program with what holds it.
    pub fn capabilities_of_machine(&self) -> Capabilities {
        Capabilities {
            devices: libav::try_device().into_iter().collect(),
            program: process::describe(&self.settings.process),
            ..self.capabilities().clone()
        }
    }

    /// Opens what is at a place: a file, or something elsewhere, which is asked for one byte to see
    /// whether its server gives parts. What gives none is copied to this machine.
    ///
    /// # Errors
    /// [`Error::Read`], with the cause as a [`RemoteError`](avocet_model::remote::RemoteError); [`Error::Cancelled`];
    /// [`Error::BadPlan`] for [`Location::Caller`].
    pub fn open(&self, location: &Location, cancel: &CancelToken) -> Result<Source> {
        self.open_observed(location, cancel, |_| ())
    }

    /// As [`open`](Self::open), and tells how much came of an input that is copied.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_observed(
        &self,
        location: &Location,
        cancel: &CancelToken,
        mut observe: impl FnMut(Fetched),
    ) -> Result<Source> {
        let opened = Source::at(location, &self.remotes, cancel, &mut observe);
        opened.map_err(|error| or_cancelled(error, cancel))
    }

    /// Lets go of what was kept of an input elsewhere between [`open`](Self::open) and a run, which
    /// does so itself: blocks in memory, or a whole copy in a temporary file. For those who plan
    /// and do not run; without it the last 16 inputs are kept for as long as the engine.
    pub fn close(&self, location: &Location) {
        self.remotes.forget(location);
    }

    /// Copies an input from elsewhere to a file, which appears when it is whole. What an earlier
    /// call left half-way, beside it, is gone on with, if the server has the same version still.
    ///
    /// # Errors
    /// As for [`open`](Self::open); [`Error::Write`].
    pub fn fetch(
        &self,
        url: &str,
        target: &Path,
        cancel: &CancelToken,
        mut observe: impl FnMut(Fetched),
    ) -> Result<()> {
        let failed = |source| Error::Read { location: Location::Url(url.to_owned()), source };
        let fetched = self.remotes.fetch(url, target, cancel, &mut observe);
        fetched.map_err(|error| or_cancelled(failed(error), cancel))
    }

    /// Looks at an input.
    ///
    /// Of pictures in high dynamic range one frame is decoded, since only frames carry the
    /// metadata of the mastering display in some codecs.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::NotMedia`], [`Error::Cancelled`].
    pub fn probe(&self, source: &Source, cancel: &CancelToken) -> Result<MediaInfo> {
        let demuxer = source.demuxer(&source.location(), Depth::Streams, self.limits(), cancel)?;
        let media = demuxer.media();
        self.finish_probe(source, demuxer, media, cancel)
    }

    /// As [`probe`](Self::probe), for those who only want single pictures: where the parameter sets
    /// beside a stream say how its pictures look, no packet is read, and nothing is known of sound
    /// but what the container says.
    ///
    /// # Errors
    /// As for [`probe`](Self::probe).
    pub fn probe_pictures(&self, source: &Source, cancel: &CancelToken) -> Result<MediaInfo> {
        let location = source.location();
        let mut demuxer = source.demuxer(&location, Depth::Header, self.limits(), cancel)?;
        let mut media = demuxer.media();
        if demuxer.has_full_header() && !glance::complete(&mut media) {
            demuxer.look_closely().map_err(|fault| fault.of_input(&location))?;
            media = demuxer.media();
            self.limits().check_opened(&location, &demuxer)?;
        }
        self.finish_probe(source, demuxer, media, cancel)
    }

    fn finish_probe(
        &self,
        source: &Source,
        mut demuxer: Demuxer,
        mut media: MediaInfo,
        cancel: &CancelToken,
    ) -> Result<MediaInfo> {
        let location = source.location();
        let unreadable = |source| Error::Read { location: location.clone(), source };
        let open = || source.open(cancel).map_err(unreadable);
        if media.streams.is_empty() {
            // Parts of a picture that are not described well are no streams since FFmpeg 7.0.
            if media.is_format("mov") {
                whole_still(&location, &mut open()?)?;
            }
            let reason = format!("it is {} without any stream", media.format);
            return Err(Error::NotMedia { location, reason });
        }
        let mut behind = Behind::Nothing;
        if media.is_format("mov") {
            media.movie = Movie::read(&mut open()?).map_err(unreadable)?;
            if media.movie.is_none()
                && let Some(still) = whole_still(&location, &mut open()?)?
            {
                complete_still(&mut media, &still);
            }
            if let Some(movie) = &media.movie {
                // Since FFmpeg 7.0 libav tells how long the tracks are, which it may overstate.
                let stated = movie.duration.filter(|_| !movie.fragmented);
                let stated = stated.and_then(|it| it.rescale(Rational::MICROSECONDS));
                media.duration = if demuxer.overstates() {
                    media.streams.iter().filter_map(end_of).max()
                } else {
                    media.duration.max(stated)
                };
                // Of fragments there may be thousands, each of which would cost a request.
                if !movie.fragmented || !source.is_in_parts() {
                    behind = movie::behind(&mut open()?).map_err(unreadable)?;
                }
                for stream in &mut media.streams {
                    let track = movie.track_of(stream);
                    stream.parameters_change = track.is_some_and(|track| track.entries_differ);
                    let aperture = track.and_then(|track| track.aperture);
                    if let (Kind::Video(video), Some(aperture)) = (&mut stream.kind, aperture)
                        && let Some(crop) = aperture.crop(video.width, video.height)
                    {
                        video.crop_to(crop);
                    }
                }
            }
        } else if media.is_format("webm") {
            behind = matroska::complete(&mut open()?, &mut media).map_err(unreadable)?;
        } else {
            behind = look_behind(&mut media, &mut open()?).map_err(unreadable)?;
        }
        media.note_behind(behind);
        head::look(&mut demuxer, &mut media).map_err(|fault| fault.of_input(&location))?;
        let wanting = media.videos().find(|(_, video)| video.is_hdr() && video.hdr.is_empty());
        if let Some(stream) = wanting.map(|(stream, _)| stream.index) {
            if demuxer.rewind().is_err() {
                demuxer = source.demuxer(&location, Depth::Streams, self.limits(), cancel)?;
            }
            let mut reader = FrameReader::over(demuxer, location, stream, NonZeroU32::MIN)?;
            let hdr = reader.next()?.map(|frame| frame.hdr());
            if let (Some(hdr), Kind::Video(video)) = (hdr, &mut media.streams[stream].kind) {
                video.hdr = hdr;
            }
        }
        media.origin = source.origin();
        Ok(media)
    }

    /// Lists all packets of an input, to know where each one stands: from the sample tables of a
    /// movie, else by reading all of it. Nothing is decoded. Those of the files that were asked for
    /// last are kept for as long as the files stay as they are.
    ///
    /// `near` is the span that matters, in seconds from the earliest presented time: keyframes of a
    /// movie elsewhere that are far from it are listed without being looked at.
    ///
    /// # Errors
    /// As for [`probe`](Self::probe).
    pub fn index(
        &self,
        source: &Source,
        near: &Range<f64>,
        cancel: &CancelToken,
    ) -> Result<Arc<Index>> {
        self.indexes.get(source, || index::of(source, near, self.limits(), cancel))
    }

    /// Runs a plan whose inputs and outputs all have names.
    ///
    /// `observe` is called on this thread: at the start, four times a second, and once more when
    /// the outputs are in place; `Break` cancels the run.
    ///
    /// # Errors
    /// Any [`Error`]; after one, no output is there and every input is as it was, but for what
    /// [`Error::Unrestored`] names.
    pub fn run(
        &self,
        plan: &Plan,
        cancel: &CancelToken,
        observe: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Report> {
        self.run_given(plan, &mut CallerStreams::default(), cancel, observe)
    }

    /// Runs a plan that reads from sources, or writes into writers, of the caller.
    ///
    /// # Errors
    /// As for [`run`](Self::run); a writer that fails while it is filled may have got a part.
    pub fn run_given(
        &self,
        plan: &Plan,
        given: &mut CallerStreams<'_>,
        cancel: &CancelToken,
        observe: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Report> {
        // A failure stops this run and not others that share the caller's token.
        let stop = cancel.child();
        let mut observe = observe;
        let result = self.run_any(plan, given, &stop, &mut observe);
        for input in &plan.inputs {
            self.close(&input.location);
        }
        // Whatever a stage met with while it was being stopped, the cause is the caller's wish.
        result.map_err(|error| or_cancelled(error, cancel))
    }

    /// Runs a plan, or the other one that it names for what shows in the run only.
    fn run_any(
        &self,
        mut plan: &Plan,
        given: &mut CallerStreams<'_>,
        cancel: &CancelToken,
        observe: &mut impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Report> {
        for output in &plan.outputs {
            self.remotes.check_target(&output.location)?;
        }
        let begun = Instant::now();
        let mut meter = Meter::default();
        let sources = self.open_inputs(plan, given, cancel, observe, &mut meter)?;
        let mut if_parameters_change = &plan.if_parameters_change;
        loop {
            let stop = cancel.child();
            let watched = (&mut *observe, &mut meter);
            let result = self.run_to_end(plan, &sources, &mut given.writers, &stop, watched);
            let next = match &result {
                Err(Error::ParametersChange { .. }) => {
                    std::mem::replace(&mut if_parameters_change, &None)
                }
                Err(
                    Error::TooLarge { .. }
                    | Error::SmartCutFailed { .. }
                    | Error::NotContinuous { .. },
                ) => &plan.otherwise,
                // What was smart cut and is not what it should be can still be encoded.
                Err(Error::Incomplete { .. }) if plan.strategy == Strategy::SmartCut => {
                    &plan.otherwise
                }
                _ => &None,
            };
            if let Some(next) = next {
                plan = next;
                continue;
            }
            return match result {
                // A copy does not look into its packets, so what was damaged shows here only.
                Err(
                    failure @ (Error::Incomplete { .. } | Error::Libav { step: Step::Mux, .. }),
                ) => {
                    let (threads, limits) = (self.settings.threads, self.limits());
                    Err(damage::cause(failure, plan, &sources, threads, limits, cancel))
                }
                result => result.map(|mut report| {
                    report.stats.wall_seconds = begun.elapsed().as_secs_f64();
                    report
                }),
            };
        }
    }

    /// Opens what is elsewhere of a plan's inputs, and copies what is to be copied.
    fn open_inputs(
        &self,
        plan: &Plan,
        given: &CallerStreams<'_>,
        cancel: &CancelToken,
        observe: &mut impl FnMut(&Progress) -> ControlFlow<()>,
        meter: &mut Meter,
    ) -> Result<Sources> {
        let mut sources = Sources::new(given);
        let mut told = Instant::now();
        for input in &plan.inputs {
            let mut stopped = Ok(());
            let mut observe = |fetched| {
                if told.elapsed() >= PAUSE && stopped.is_ok() {
                    told = Instant::now();
                    stopped = stop_at(show(observe, meter.fetching(fetched)), cancel);
                }
            };
            let stage = input.stage || plan.process.is_some();
            let opened = sources.open(input, stage, &self.remotes, cancel, &mut observe);
            stopped.and(opened)?;
        }
        Ok(sources)
    }

    fn run_to_end(
        &self,
        plan: &Plan,
        sources: &Sources,
        writers: &mut [Box<dyn Write + Send + '_>],
        cancel: &CancelToken,
        (observe, meter): (&mut impl FnMut(&Progress) -> ControlFlow<()>, &mut Meter),
    ) -> Result<Report> {
        if let Some(process) = &plan.process {
            for input in &plan.inputs {
                sources.expect_within(self.limits(), &input.location, cancel)?;
            }
            let watched = (observe, meter);
            return self.run_process(plan, process, sources, writers, cancel, watched);
        }
        let begun = Instant::now();
        let threads = self.settings.threads;
        let (limits, unfinished) = (self.limits(), &self.unfinished);
        let opener = Opener { sources, threads, limits, cancel, unfinished };
        let Pipeline { jobs, sinks, counters, copied, mut media, mut later, drawn, .. } =
            opener.open(plan)?;
        let pictures = drawn.clone();
        let counters = &counters;
        let mut watch = Watch { observe, cancel, counters, copied, drawn, plan, begun, meter };
        let media_of = &mut media;
        // What is later goes with what opens it: nobody waits for parts that will not come.
        run_jobs(jobs, &mut watch, move || opener.open_next(plan, &mut later, media_of))?;

        let mut warnings = plan.notices.clone();
        let counts: Vec<Vec<Counted>> =
            counters.iter().map(|tracks| tracks.iter().map(Counted::of).collect()).collect();
        verify::check_inputs(plan, &media, &counts, &mut warnings)?;
        verify::warn_of_pictures(&pictures.count(), &mut warnings);
        let mut told = Instant::now();
        let mut tick = || {
            if told.elapsed() < PAUSE {
                return Ok(());
            }
            told = Instant::now();
            watch.tick()
        };
        let finish = |sink: Sink| sink.finish(cancel, &mut tick);
        let sinks = sinks.into_iter().map(finish).collect::<Result<Vec<_>>>()?;
        let mut outputs = Vec::new();
        for ((output, sink), counts) in plan.outputs.iter().zip(&sinks).zip(&counts) {
            let open = || sink.reader();
            let media = if output.moves_index && counts.is_empty() {
                let source = sources.expect(&plan.inputs[0].location)?;
                verify::check_moved(output, &|| source.open(cancel), &open, cancel)?
            } else {
                verify::check_output(plan, output, counts, &open, cancel)?
            };
            let ends = Ends { plan, output, counts, threads, limits, cancel };
            warnings.extend(ends.damaged(&open)?);
            let (location, size_bytes) = (output.location.clone(), sink.size()?);
            if let Some(most) = output.at_most.filter(|most| size_bytes > *most) {
                if plan.otherwise.is_some() {
                    return Err(Error::TooLarge { bytes: size_bytes });
                }
                let message = format!("the result has {size_bytes} bytes, the input {most}");
                warnings.push(Reason::new("LARGER_THAN_INPUT", message));
            }
            outputs.push(Written { location, size_bytes, media });
        }
        watch.tick()?;
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        Sink::commit_all(&sinks, writers, &self.remotes, cancel)?;
        watch.done();
        let all = || counts.iter().flatten();
        let read = || all().flat_map(|counted| &counted.parts);
        let is_sheet = |output: &&Output| matches!(output.content, Content::SpriteSheet(_));
        let sheets = plan.outputs.iter().filter(is_sheet).count() as u64;
        let (requests, bytes_fetched) = sources.fetched();
        let is_video = |(track, _): &(&Track, &Counted)| track.kind == TrackKind::Video;
        let videos = || with_counts(plan, &counts).filter(is_video).map(|(_, it)| &it.written);
        let stats = Stats {
            video_frames_encoded: videos().map(|written| written.frames).sum(),
            video_frames_written: videos().map(|written| written.packets).sum(),
            packets_read: read().map(|count| count.packets).sum(),
            frames_decoded: read().map(|count| count.frames).sum::<u64>() + pictures.count().frames,
            frames_encoded: all().map(|counted| counted.written.frames).sum::<u64>() + sheets,
            packets_written: all().map(|counted| counted.written.packets).sum(),
            requests,
            bytes_fetched,
            ..Stats::default()
        };
        Ok(Report { strategy: plan.strategy, plan: plan.clone(), outputs, warnings, stats })
    }

    fn run_process(
        &self,
        plan: &Plan,
        process: &Process,
        sources: &Sources,
        writers: &mut [Box<dyn Write + Send + '_>],
        cancel: &CancelToken,
        (observe, meter): (&mut impl FnMut(&Progress) -> ControlFlow<()>, &mut Meter),
    ) -> Result<Report> {
        let begun = Instant::now();
        let (settings, unfinished) = (&self.settings.process, &self.unfinished);
        let (linked, _, _) = libav::describe_libav();
        let mut runner = Runner { settings, unfinished, cancel, observe, meter, begun, linked };
        let (sinks, mut warnings) = runner.run(plan, process, sources)?;
        warnings.splice(..0, plan.notices.iter().cloned());
        let mut outputs = Vec::new();
        for (output, sink) in plan.outputs.iter().zip(&sinks) {
            let media = verify::check_output(plan, output, &[], &|| sink.reader(), cancel)?;
            let (location, size_bytes) = (output.location.clone(), sink.size()?);
            outputs.push(Written { location, size_bytes, media });
        }
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        Sink::commit_all(&sinks, writers, &self.remotes, cancel)?;
        runner.done(plan);
        let (requests, bytes_fetched) = sources.fetched();
        let stats = Stats { requests, bytes_fetched, ..Stats::default() };
        Ok(Report { strategy: plan.strategy, plan: plan.clone(), outputs, warnings, stats })
    }

    /// Frames of a stream as pictures in memory, decoded as they are asked for.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::NotMedia`], [`Error::Absent`] when no decoder knows the stream,
    /// [`Error::BadPlan`] when there is no such stream; later ones come out of the iterator.
    pub fn frames(
        &self,
        source: &Source,
        request: FrameRequest,
        cancel: &CancelToken,
    ) -> Result<Frames> {
        let threads = self.settings.threads;
        let limits = self.limits();
        let mut reader = FrameReader::open(source, request.stream, threads, limits, cancel)?;
        if request.goes_back {
            reader.follow_clock()?;
        }
        Ok(Frames::new(reader, request))
    }

    /// Removes the temporary files of all runs of this engine that are still going on.
    ///
    /// For a program that is told to end at once and can not wait for its runs: they fail when
    /// they find their files gone.
    pub fn discard_unfinished(&self) {
        self.unfinished.discard();
    }
}

/// The caller's wish, where that is why something failed.
pub(crate) fn or_cancelled(error: Error, cancel: &CancelToken) -> Error {
    match error {
        error if !cancel.is_cancelled() => error,
        Error::Unrestored { left, .. } => {
            Error::Unrestored { cause: Box::new(Error::Cancelled), left }
        }
        _ => Error::Cancelled,
    }
}

/// When a stream ends, in microseconds.
fn end_of(stream: &StreamInfo) -> Option<Timestamp> {
    let [start, duration] = [stream.start?, stream.duration?]
        .map(|time| Some(time.rescale(Rational::MICROSECONDS)?.ticks));
    Some(Timestamp::new(start? + duration?, Rational::MICROSECONDS))
}

/// The picture that a file of still pictures shows. Fails for one that is made of others, which libav
/// shows one by one.
fn whole_still(location: &Location, reader: &mut (impl Read + Seek)) -> Result<Option<Still>> {
    let unreadable = |source| Error::Read { location: location.clone(), source };
    let still = movie::still(reader).map_err(unreadable)?;
    match still.as_ref().map(|still| still.kind.as_str()) {
        Some(kind @ ("grid" | "iovl" | "iden")) => {
            let found = format!("a picture that is made of others ({kind})");
            Err(Error::Unsupported { location: location.clone(), found })
        }
        _ => Ok(still),
    }
}

/// Fills in how a still picture is turned and cropped, of which releases of libav tell parts.
fn complete_still(media: &mut MediaInfo, still: &Still) {
    let is_only = media.videos().count() == 1;
    let is_it = |stream: &StreamInfo| is_only || i64::from(stream.id) == i64::from(still.id);
    for stream in media.streams.iter_mut().filter(|stream| is_it(stream)) {
        let Kind::Video(video) = &mut stream.kind else { continue };
        video.orientation = still.orientation;
        if let Some(crop) = still.crop(video.width, video.height) {
            video.crop_to(crop);
        }
    }
}

/// What stands behind a file whose header says how large it is, and what is missing of it.
fn look_behind(media: &mut MediaInfo, reader: &mut (impl Read + Seek)) -> io::Result<Behind> {
    /// Bytes of the shortest tag of FLV, with the number behind it.
    const SHORTEST_TAG: u64 = 15;
    let is_flv = media.is_format("flv");
    let is_avi = media.is_format("avi");
    if media.is_format("mxf") {
        let footer = mxf::footer(reader)?;
        let length = reader.seek(SeekFrom::End(0))?;
        media.missing_bytes = footer.map_or(0, |footer| footer.saturating_sub(length));
    }
    if !is_flv && !is_avi && media.reads_on() {
        return Ok(Behind::Nothing);
    }
    let size = if is_flv { flv::stated_size(reader)? } else { riff::stated_size(reader)? };
    let Some(size) = size else { return Ok(Behind::Nothing) };
    let length = reader.seek(SeekFrom::End(0))?;
    if is_flv || is_avi {
        // Those of sound may have been written before anybody knew how much there would be.
        media.missing_bytes = size.saturating_sub(length);
    }
    Ok(match () {
        // Its packets tell of another coding.
        () if is_flv && size + SHORTEST_TAG <= length => Behind::Alike,
        () if !is_flv && size < length && riff::is_followed(reader, size)? => {
            if is_avi {
                Behind::Other
            } else {
                Behind::Alike
            }
        }
        () => Behind::Nothing,
    })
}
