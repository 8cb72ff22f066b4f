//! The front door: probe, run, look at frames.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    num::NonZeroU32,
    ops::ControlFlow,
    sync::{Arc, OnceLock},
    thread,
    time::Instant,
};

use serde::Serialize;

use crate::{
    av::{self, Demuxer, Depth, Listing},
    capabilities::Capabilities,
    error::{Error, Result},
    frames::{FrameRequest, Frames},
    glance,
    index::{Index, Indexes},
    io::{Given, Location, Sink, Source, Unfinished},
    media::{Kind, MediaInfo},
    movie::Movie,
    pipeline::{Opener, Pipeline},
    plan::{Content, Output, Plan, Process, Reason, Strategy},
    process::{self, ProcessSettings, Runner},
    progress::{CancelToken, Meter, Progress},
    reader::FrameReader,
    run::{Watch, run_jobs},
    tally::Counted,
    verify,
};

/// How an engine works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads inside each decoder and encoder. Default: as many as there are processors.
    pub threads: NonZeroU32,
    /// How the `ffmpeg` program is run, for plans that ask for it.
    pub process: ProcessSettings,
}

impl Default for Settings {
    fn default() -> Self {
        let threads = thread::available_parallelism().ok();
        let threads =
            threads.and_then(|threads| u32::try_from(threads.get()).ok()?.try_into().ok());
        let threads = threads.unwrap_or(NonZeroU32::MIN);
        Self { threads, process: ProcessSettings::default() }
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
#[derive(Clone, Debug, Default)]
pub struct Engine {
    settings: Settings,
    unfinished: Unfinished,
    indexes: Indexes,
}

/// How a run ended that succeeded.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The way the goal was met.
    pub strategy: Strategy,
    /// The plan that met it; not the one that was handed in when that had a size limit and another
    /// plan for beyond it.
    #[serde(skip)]
    pub plan: Plan,
    /// What was written, in the order of the plan.
    pub outputs: Vec<Written>,
    /// What is not as one would wish.
    pub warnings: Vec<Reason>,
    /// What it took.
    pub stats: Stats,
}

/// One output that is in its place.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Written {
    /// Where it is.
    pub location: Location,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// What a reader finds in it.
    pub media: MediaInfo,
}

/// What a run took.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Wall time, in seconds.
    pub wall_seconds: f64,
    /// Packets read, over all tracks.
    pub packets_read: u64,
    /// Frames decoded, over all tracks.
    pub frames_decoded: u64,
    /// Frames encoded, over all tracks.
    pub frames_encoded: u64,
    /// Packets written, over all tracks.
    pub packets_written: u64,
}

impl Engine {
    /// An engine that works as `settings` say.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// What this libav can do, by its own lists, which are read once; no device is opened.
    pub fn capabilities(&self) -> &'static Capabilities {
        static LISTED: OnceLock<Capabilities> = OnceLock::new();
        LISTED.get_or_init(|| {
            let (version, license, assembly) = av::describe_libav();
            let names = |listing| av::list(listing).into_iter().collect();
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
            devices: av::try_device().into_iter().collect(),
            program: process::describe(&self.settings.process),
            ..self.capabilities().clone()
        }
    }

    /// Looks at an input.
    ///
    /// Of pictures in high dynamic range one frame is decoded, since only frames carry the
    /// metadata of the mastering display in some codecs.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::NotMedia`], [`Error::Cancelled`].
    pub fn probe(&self, source: &Source, cancel: &CancelToken) -> Result<MediaInfo> {
        let demuxer = source.demuxer(&source.location(), Depth::Streams, cancel)?;
        let media = demuxer.media();
        Self::finish_probe(source, demuxer, media, cancel)
    }

    /// As [`probe`](Self::probe), for those who only want single pictures: where the parameter sets
    /// beside a stream say how its pictures look, no packet is read, and nothing is known of sound
    /// but what the container says.
    ///
    /// # Errors
    /// As for [`probe`](Self::probe).
    pub fn probe_pictures(&self, source: &Source, cancel: &CancelToken) -> Result<MediaInfo> {
        let location = source.location();
        let mut demuxer = source.demuxer(&location, Depth::Header, cancel)?;
        let mut media = demuxer.media();
        if demuxer.has_full_header() && !glance::complete(&mut media) {
            demuxer.look_closely().map_err(|fault| fault.of_input(&location))?;
            media = demuxer.media();
        }
        Self::finish_probe(source, demuxer, media, cancel)
    }

    fn finish_probe(
        source: &Source,
        demuxer: Demuxer,
        mut media: MediaInfo,
        cancel: &CancelToken,
    ) -> Result<MediaInfo> {
        let location = source.location();
        if media.streams.is_empty() {
            let reason = format!("it is {} without any stream", media.format);
            return Err(Error::NotMedia { location, reason });
        }
        let unreadable = |source| Error::Read { location: location.clone(), source };
        let open = || source.open(cancel).map_err(unreadable);
        if media.is_format("mov") {
            media.movie = Movie::read(&mut open()?).map_err(unreadable)?;
        } else if media.is_format("webm") {
            media.is_webm = is_webm(&mut open()?).map_err(unreadable)?;
        }
        let wanting = media.videos().find(|(_, video)| video.is_hdr() && video.hdr.is_empty());
        if let Some(stream) = wanting.map(|(stream, _)| stream.index) {
            let mut reader = FrameReader::over(demuxer, location, stream, NonZeroU32::MIN)?;
            let hdr = reader.next()?.map(|frame| frame.hdr());
            if let (Some(hdr), Kind::Video(video)) = (hdr, &mut media.streams[stream].kind) {
                video.hdr = hdr;
            }
        }
        Ok(media)
    }

    /// Lists all packets of an input, to know where each one stands: from the sample tables of a
    /// movie, else by reading all of it. Nothing is decoded. Those of the files that were asked for
    /// last are kept for as long as the files stay as they are.
    ///
    /// # Errors
    /// As for [`probe`](Self::probe).
    pub fn index(&self, source: &Source, cancel: &CancelToken) -> Result<Arc<Index>> {
        self.indexes.get(source, || Index::of(source, cancel))
    }

    /// Runs a plan whose inputs and outputs all have names.
    ///
    /// `observe` is called on this thread: at the start, four times a second, and once more when
    /// the outputs are in place; `Break` cancels the run.
    ///
    /// # Errors
    /// Any [`Error`]; after one, no output is there and every input is as it was.
    pub fn run(
        &self,
        plan: &Plan,
        cancel: &CancelToken,
        observe: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Report> {
        self.run_given(plan, &mut Given::default(), cancel, observe)
    }

    /// Runs a plan that reads from sources, or writes into writers, of the caller.
    ///
    /// # Errors
    /// As for [`run`](Self::run); a writer that fails while it is filled may have got a part.
    pub fn run_given(
        &self,
        plan: &Plan,
        given: &mut Given<'_>,
        cancel: &CancelToken,
        observe: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Report> {
        let mut observe = observe;
        let mut meter = Meter::default();
        let mut plan = plan;
        loop {
            // A failure stops this run and not others that share the caller's token.
            let stop = cancel.child();
            let result = self.run_to_end(plan, given, &stop, &mut observe, &mut meter);
            match (result, &plan.otherwise) {
                (Err(Error::TooLarge { .. } | Error::Unspliceable { .. }), Some(otherwise)) => {
                    plan = otherwise;
                }
                // What was spliced and is not what it should be can still be encoded.
                (Err(Error::Incomplete { .. }), Some(otherwise))
                    if plan.strategy == Strategy::SmartCut =>
                {
                    plan = otherwise;
                }
                // Whatever a stage met with while it was being stopped, the cause is the
                // caller's wish.
                (Err(_), _) if cancel.is_cancelled() => return Err(Error::Cancelled),
                (result, _) => return result,
            }
        }
    }

    fn run_to_end(
        &self,
        plan: &Plan,
        given: &mut Given<'_>,
        cancel: &CancelToken,
        observe: &mut impl FnMut(&Progress) -> ControlFlow<()>,
        meter: &mut Meter,
    ) -> Result<Report> {
        if let Some(process) = &plan.process {
            return self.run_process(plan, process, given, cancel, observe, meter);
        }
        let begun = Instant::now();
        let threads = self.settings.threads;
        let opener = Opener { given, threads, cancel, unfinished: &self.unfinished };
        let Pipeline { jobs, sinks, tallies, copied, mut media, mut later, drawn, .. } =
            opener.open(plan)?;
        let pictures = drawn.clone();
        let tally = &tallies;
        let mut watch =
            Watch { observe, cancel, tallies: tally, copied, drawn, plan, begun, meter };
        run_jobs(jobs, &mut watch, || opener.open_next(plan, &mut later, &mut media))?;

        let mut warnings = plan.notices.clone();
        let counts: Vec<Vec<Counted>> =
            tallies.iter().map(|tracks| tracks.iter().map(Counted::of).collect()).collect();
        verify::check_inputs(plan, &media, &counts, &mut warnings)?;
        verify::warn_of_pictures(&pictures.count(), &mut warnings);
        let sinks =
            sinks.into_iter().map(|sink| sink.finish(cancel)).collect::<Result<Vec<_>>>()?;
        let mut outputs = Vec::new();
        for ((output, sink), counts) in plan.outputs.iter().zip(&sinks).zip(&counts) {
            let open = || sink.reader();
            let media = if output.moves_index && counts.is_empty() {
                let source = given.expect_source(&plan.inputs[0].location)?;
                verify::check_moved(output, &|| source.open(cancel), &open, cancel)?
            } else {
                verify::check_output(plan, output, counts, &open, cancel)?
            };
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
        Sink::commit_all(&sinks, &mut given.writers)?;
        watch.done();
        let all = || counts.iter().flatten();
        let read = || all().flat_map(|counted| &counted.parts);
        let is_sheet = |output: &&Output| matches!(output.content, Content::Sheet(_));
        let sheets = plan.outputs.iter().filter(is_sheet).count() as u64;
        let stats = Stats {
            wall_seconds: begun.elapsed().as_secs_f64(),
            packets_read: read().map(|count| count.packets).sum(),
            frames_decoded: read().map(|count| count.frames).sum::<u64>() + pictures.count().frames,
            frames_encoded: all().map(|counted| counted.written.frames).sum::<u64>() + sheets,
            packets_written: all().map(|counted| counted.written.packets).sum(),
        };
        Ok(Report { strategy: plan.strategy, plan: plan.clone(), outputs, warnings, stats })
    }

    fn run_process(
        &self,
        plan: &Plan,
        process: &Process,
        given: &mut Given<'_>,
        cancel: &CancelToken,
        observe: &mut impl FnMut(&Progress) -> ControlFlow<()>,
        meter: &mut Meter,
    ) -> Result<Report> {
        let begun = Instant::now();
        let (settings, unfinished) = (&self.settings.process, &self.unfinished);
        let (linked, _, _) = av::describe_libav();
        let mut runner = Runner { settings, unfinished, cancel, observe, meter, begun, linked };
        let (sinks, mut warnings) = runner.run(plan, process)?;
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
        Sink::commit_all(&sinks, &mut given.writers)?;
        runner.done(plan);
        let stats = Stats { wall_seconds: begun.elapsed().as_secs_f64(), ..Stats::default() };
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
        let reader = FrameReader::open(source, request.stream, threads, cancel)?;
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

/// Whether the header of an EBML file (RFC 8794, 11.2.4) names the document type `webm`.
fn is_webm(reader: &mut impl Read) -> io::Result<bool> {
    let mut head = Vec::new();
    reader.take(256).read_to_end(&mut head)?;
    // The element DocType, 0x4282, with a length of four.
    Ok(head.windows(7).any(|window| window == b"\x42\x82\x84webm"))
}
