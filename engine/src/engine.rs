//! The public entry: probe media, list packets, run plans, decode frames.

use std::{
    collections::BTreeSet,
    io::Write,
    num::NonZeroU32,
    ops::{ControlFlow, Range},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use avocet_model::{
    capabilities::Capabilities,
    error::{Error, Result, Step},
    frames::{FrameRequest, Wanted},
    index::Index,
    location::Location,
    media::MediaInfo,
    plan::{Content, Output, Plan, Process, Reason, Strategy, Track, TrackKind},
    progress::{CancelToken, Meter, Phase, Progress},
};

use crate::{
    io::{CallerStreams, RemoteSettings, Remotes, Sink, Source, Sources, Unfinished},
    libav::{self, Listing, limits::Limits},
    options::{OpenOptions, ProbeOptions, RunOptions},
    pipeline::{
        Opener, Pipeline,
        counters::{Counted, with_counts},
        damage::{self, Ends},
        run::{Watch, run_jobs, show, stop_at},
        samples::Samples,
        verify,
    },
    process::{self, ProcessSettings, Runner},
    read::{
        frames::{Frames, VideoReader},
        index::{self, Indexes},
        packets::Packets,
        probe,
        reader::FrameReader,
    },
    report::{Report, Stats, Written},
};

/// How often progress is shown while an input is copied, or outputs are finished.
const PAUSE: Duration = Duration::from_millis(250);

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads of each decoder, filter graph and encoder. x264 gets half as many more, which it
    /// needs to keep this many processors busy. Default: as many as there are processors.
    pub threads: NonZeroU32,
    /// How the `ffmpeg` program is run, for plans that ask for it.
    pub process: ProcessSettings,
    /// How inputs and outputs on HTTP servers and object stores are reached.
    pub remote: RemoteSettings,
    /// Where temporary files go that stand beside no output: copies of remote inputs, and outputs for
    /// object stores and writers. The folder must exist. Default: the system's.
    pub temporary_folder: Option<PathBuf>,
    /// How long an input may be, in seconds; a longer one is [`Error::TooMuch`]. Default: any
    /// length.
    pub max_media_seconds: f64,
    /// How many pixels a picture of an input may have; more are [`Error::TooMuch`]. Default: any
    /// number.
    pub max_pixels: u64,
}

impl Default for Settings {
    fn default() -> Self {
        let threads = thread::available_parallelism().ok();
        let threads =
            threads.and_then(|threads| u32::try_from(threads.get()).ok()?.try_into().ok());
        let threads = threads.unwrap_or(NonZeroU32::MIN);
        let (process, remote) = (ProcessSettings::default(), RemoteSettings::default());
        Self {
            threads,
            process,
            remote,
            temporary_folder: None,
            max_media_seconds: f64::INFINITY,
            max_pixels: u64::MAX,
        }
    }
}

/// Probes media and runs plans. It blocks the calling thread, and may be shared between threads.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use avocet_engine::{Engine, Plan, ProbeOptions, RunOptions, Source};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::default();
/// let media = engine.probe(&Source::path("in.mp4"), ProbeOptions::default())?;
/// println!("{} streams", media.streams.len());
///
/// let plan: Plan = serde_json::from_str(&std::fs::read_to_string("plan.json")?)?;
/// let options = RunOptions::default().observe(|progress| {
///     println!("{:.0} %", progress.fraction * 100.0);
///     ControlFlow::Continue(())
/// });
/// let report = engine.run(&plan, options)?;
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
        let unfinished = Unfinished::within(settings.temporary_folder.clone());
        let remotes = Remotes::new(settings.remote.clone(), unfinished.clone());
        Self { settings, unfinished, indexes: Indexes::default(), remotes }
    }

    /// What an input may hold, in every probe and run.
    const fn limits(&self) -> Limits {
        let Settings { max_pixels, max_media_seconds: max_seconds, .. } = self.settings;
        Limits { max_pixels, max_seconds }
    }

    /// What the linked libav can do, by its own lists, which are read once per process. No hardware
    /// device is opened.
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

    /// Whether libav has a pixel format of this name, as `rgb24`.
    pub fn has_pixel_format(name: &str) -> bool {
        libav::pixel_format_of(name).is_some()
    }

    /// Whether libav has a channel layout of this name, as `mono` or `5.1`.
    pub fn has_channel_layout(name: &str) -> bool {
        libav::is_layout(name)
    }

    /// [`capabilities`](Self::capabilities), with the hardware devices that can be opened, and the
    /// `ffmpeg` program with what of its sandbox this system can not enforce.
    pub fn capabilities_of_machine(&self) -> Capabilities {
        Capabilities {
            devices: libav::try_device().into_iter().collect(),
            program: process::describe(&self.settings.process),
            ..self.capabilities().clone()
        }
    }

    /// Makes a source of a location. A local path is not opened yet. A URL is asked for its length
    /// and version, and whether byte ranges can be had; without ranges, all of it is copied to this
    /// machine.
    ///
    /// # Errors
    /// [`Error::Read`], with the cause as a [`RemoteError`](avocet_model::remote::RemoteError);
    /// [`Error::Cancelled`]; [`Error::BadPlan`] for [`Location::Caller`].
    pub fn open(&self, location: &Location, options: OpenOptions<'_>) -> Result<Source> {
        let OpenOptions { cancel, mut observe } = options;
        let mut observe = |fetched| {
            if let Some(observe) = &mut observe {
                observe(fetched);
            }
        };
        let opened = Source::at(location, &self.remotes, &cancel, &mut observe);
        opened.map_err(|error| or_cancelled(error, &cancel))
    }

    /// Drops what [`open`](Self::open) keeps of a remote input for the run that follows: blocks in
    /// memory, or a whole copy in a temporary file. A run does so itself at its end. This is for
    /// callers that plan and do not run: otherwise the last 16 inputs are kept for as long as the
    /// engine.
    pub fn close(&self, location: &Location) {
        self.remotes.forget(location);
    }

    /// Copies a remote input to a file, which appears at `target` when it is whole. If an earlier
    /// call left a part beside it, the copy goes on there, provided the server still has that
    /// version.
    ///
    /// # Errors
    /// [`Error::Read`], also when the file can not be written; [`Error::Cancelled`].
    pub fn fetch(&self, url: &str, target: &Path, options: OpenOptions<'_>) -> Result<()> {
        let OpenOptions { cancel, mut observe } = options;
        let mut observe = |fetched| {
            if let Some(observe) = &mut observe {
                observe(fetched);
            }
        };
        let failed = |source| Error::Read { location: Location::Url(url.to_owned()), source };
        let fetched = self.remotes.fetch(url, target, &cancel, &mut observe);
        fetched.map_err(|error| or_cancelled(failed(error), &cancel))
    }

    /// Finds out what an input holds: its container, streams and metadata.
    ///
    /// Of a stream in high dynamic range one frame is decoded when the container does not state the
    /// HDR metadata, since in some codecs only frames carry them.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::NotMedia`], [`Error::Unsupported`], [`Error::Lacking`] for times
    /// beyond measure, [`Error::TooMuch`], [`Error::Cancelled`]; errors of the decoder for the
    /// frame in high dynamic range.
    pub fn probe(&self, source: &Source, options: ProbeOptions) -> Result<MediaInfo> {
        let ProbeOptions { cancel, pictures_only } = options;
        let media = probe::probe(source, pictures_only, self.limits(), &cancel)?;
        let MediaInfo { format, streams, .. } = &media;
        let codecs: Vec<&str> = streams.iter().map(|stream| stream.codec.as_str()).collect();
        tracing::info!(target: "avocet", location = %source.location(), format, ?codecs, "probed");
        Ok(media)
    }

    /// Lists all packets of an input: from the sample tables of a movie, else by reading all of it.
    /// Nothing is decoded. The newest indexes, of about a million packets together, are kept for as
    /// long as their files stay as they are.
    ///
    /// `near` is the span that matters, in seconds from the earliest presentation time. Keyframes
    /// of a remote movie that are more than 10 s from it are not read, and listed as those of
    /// closed GOPs.
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

    /// Runs a plan: reads it to its end, verifies the outputs and puts them in place.
    ///
    /// # Errors
    /// Any [`Error`]; after one, no output is there and every input is as it was, but for what
    /// [`Error::Unrestored`] names.
    pub fn run(&self, plan: &Plan, options: RunOptions<'_>) -> Result<Report> {
        let RunOptions { cancel, mut observe, mut streams, timeout } = options;
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut observe = |progress: &Progress| match &mut observe {
            Some(observe) => observe(progress),
            None => ControlFlow::Continue(()),
        };
        // A failure stops this run and not others that share the caller's token.
        let stop = cancel.child_until(deadline);
        let result = self.run_any(plan, &mut streams, &stop, &mut observe);
        for input in &plan.inputs {
            self.close(&input.location);
        }
        let is_late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match (result, timeout) {
            (Err(_), Some(timeout)) if is_late && !cancel.is_cancelled() => {
                Err(Error::TimedOut { seconds: timeout.as_secs_f64() })
            }
            // If the caller cancelled, that is the cause, whatever a stage met with as it stopped.
            (result, _) => result.map_err(|error| or_cancelled(error, &cancel)),
        }
    }

    /// Runs a plan. Where it can not be carried out, as only a run can tell, runs the plan that it
    /// names for that: `if_parameters_change` or `otherwise`.
    fn run_any(
        &self,
        mut plan: &Plan,
        streams: &mut CallerStreams<'_>,
        cancel: &CancelToken,
        observe: &mut impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Report> {
        for output in &plan.outputs {
            self.remotes.check_target(&output.location)?;
        }
        // One of several outputs stands in a folder for all of them.
        let stands_in_folder = plan.outputs.len() > 1
            || plan.strategy == Strategy::Storyboard
            || plan.process.is_some();
        let outputs = plan.outputs.iter().filter(|_| stands_in_folder);
        let folders = outputs.map(|output| self.unfinished.output_folder(&output.location));
        let _made: Vec<_> = folders.collect::<Result<_>>()?;
        let begun = Instant::now();
        let mut meter = Meter::default();
        let sources = self.open_inputs(plan, streams, cancel, observe, &mut meter)?;
        let mut if_parameters_change = &plan.if_parameters_change;
        loop {
            let stop = cancel.child();
            tracing::info!(target: "avocet", "runs this plan:\n{plan}");
            meter.enter(Phase::Running);
            let watched = (&mut *observe, &mut meter);
            let result = self.run_to_end(plan, &sources, &mut streams.writers, &stop, watched);
            let next = match &result {
                Err(Error::ParametersChange { .. }) => {
                    std::mem::replace(&mut if_parameters_change, &None)
                }
                Err(
                    Error::TooLarge { .. }
                    | Error::SmartCutFailed { .. }
                    | Error::NotContinuous { .. },
                ) => &plan.otherwise,
                // A section can still be encoded when its smart cut is not what it should be.
                Err(Error::Incomplete { .. }) if plan.strategy == Strategy::SmartCut => {
                    &plan.otherwise
                }
                _ => &None,
            };
            if let (Some(next), Err(error)) = (next, &result) {
                tracing::info!(target: "avocet", %error, "another plan is run instead");
                plan = next;
                continue;
            }
            return match result {
                // A copy does not look into its packets, so damage of the input may show only here.
                Err(
                    failure @ (Error::Incomplete { .. } | Error::Libav { step: Step::Mux, .. }),
                ) => {
                    let (threads, limits) = (self.settings.threads, self.limits());
                    Err(damage::cause(failure, plan, &sources, threads, limits, cancel))
                }
                result => result.map(|mut report| {
                    report.stats.wall_seconds = begun.elapsed().as_secs_f64();
                    tracing::info!(target: "avocet", stats = ?report.stats, "done");
                    report
                }),
            };
        }
    }

    /// Opens the remote inputs of a plan, and copies to this machine those that the plan or the
    /// `ffmpeg` program needs there.
    fn open_inputs(
        &self,
        plan: &Plan,
        streams: &CallerStreams<'_>,
        cancel: &CancelToken,
        observe: &mut impl FnMut(&Progress) -> ControlFlow<()>,
        meter: &mut Meter,
    ) -> Result<Sources> {
        let mut sources = Sources::new(streams);
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
        // The closure owns the later parts: when it is dropped, nobody waits for their packets.
        run_jobs(jobs, &mut watch, move || opener.open_next(plan, &mut later, media_of))?;

        let mut warnings = plan.notices.clone();
        let counts: Vec<Vec<Counted>> =
            counters.iter().map(|tracks| tracks.iter().map(Counted::of).collect()).collect();
        verify::check_inputs(plan, &media, &counts, &mut warnings)?;
        verify::warn_of_pictures(&pictures.count(), &mut warnings);
        watch.enter(Phase::Verifying)?;
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
        for ((output, sink), counts) in plan.outputs.iter().zip(&sinks).zip(&counts) {
            if output.muxer == "matroska" {
                let delay = |track: &Counted| Some(track.written.delay?.to_duration());
                sink.state_delays(&counts.iter().map(delay).collect::<Vec<_>>())?;
            }
        }
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
        watch.enter(Phase::Delivering)?;
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let mut told = Instant::now();
        let mut sent = |sent| {
            if told.elapsed() >= PAUSE {
                told = Instant::now();
                watch.uploading(sent);
            }
        };
        Sink::commit_all(&sinks, writers, &self.remotes, cancel, &mut sent)?;
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
        Sink::commit_all(&sinks, writers, &self.remotes, cancel, &mut |_| ())?;
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
        let FrameRequest { stream, goes_back, threads, .. } = request;
        let (limits, inside) = (self.limits(), self.settings.threads);
        let (source, cancel) = (source.clone(), cancel.clone());
        let open = move |inside| {
            let mut reader = FrameReader::open(&source, stream, inside, limits, &cancel)?;
            if goes_back {
                reader.follow_clock()?;
            }
            Ok(reader)
        };
        let inside = match &request.wanted {
            // Where several decoders work, each does so in one thread.
            Wanted::At(_) if threads.get() > 1 => NonZeroU32::MIN,
            // While the caller's thread filters a picture, the others decode the next ones.
            Wanted::Between { .. } if inside.get() > 1 => inside.saturating_add(1),
            _ => inside,
        };
        let reader = open(inside)?;
        Frames::new(reader, request, move || open(NonZeroU32::MIN))
    }

    /// A reader for pictures at instants that become known one by one, in the form that the request
    /// tells; which frames it wants is not looked at.
    ///
    /// # Errors
    /// As for [`frames`](Self::frames).
    pub fn video(
        &self,
        source: &Source,
        request: FrameRequest,
        cancel: &CancelToken,
    ) -> Result<VideoReader> {
        let FrameRequest { stream, filters, neighbors, goes_back, .. } = request;
        let (threads, limits) = (self.settings.threads, self.limits());
        let mut reader = FrameReader::open(source, stream, threads, limits, cancel)?;
        if goes_back {
            reader.follow_clock()?;
        }
        Ok(VideoReader::new(reader, filters, neighbors))
    }

    /// Packets of an input as they are in the container, in order of decoding.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::NotMedia`]; later ones come out of the iterator.
    pub fn packets(
        &self,
        source: &Source,
        streams: Option<Vec<usize>>,
        cancel: &CancelToken,
    ) -> Result<Packets> {
        Packets::open(source, streams, self.limits(), cancel)
    }

    /// Sound of a source as samples in memory, decoded as they are asked for: what the plan's only
    /// track would give its encoder. The plan's input is at [`Source::location`].
    ///
    /// # Errors
    /// [`Error::BadPlan`] when the plan is not of one track that encodes sound from one stream;
    /// [`Error::Read`], [`Error::NotMedia`], [`Error::Absent`]; later ones come out of the iterator.
    pub fn samples(&self, plan: &Plan, source: &Source, cancel: &CancelToken) -> Result<Samples> {
        Samples::open(plan, &Sources::of(source), self.limits(), cancel)
    }

    /// Removes the temporary files of all runs of this engine that are still going on.
    ///
    /// For a program that is told to end at once and can not wait for its runs: they fail when
    /// they find their files gone.
    pub fn discard_unfinished(&self) {
        self.unfinished.discard();
    }
}

/// The error; after a cancellation, [`Error::Cancelled`] in its place, also inside
/// [`Error::Unrestored`].
pub(crate) fn or_cancelled(error: Error, cancel: &CancelToken) -> Error {
    match error {
        error if !cancel.is_cancelled() => error,
        Error::Unrestored { left, .. } => {
            Error::Unrestored { cause: Box::new(Error::Cancelled), left }
        }
        _ => Error::Cancelled,
    }
}
