//! The front door: probe, run, look at frames.

use std::{collections::BTreeSet, num::NonZeroU32, ops::ControlFlow, thread, time::Instant};

use serde::Serialize;

use crate::{
    av::{self, Demuxer, Depth, Listing},
    capabilities::Capabilities,
    error::{Error, Result},
    frames::{FrameReader, FrameRequest, Frames},
    io::{Given, Location, Sink, Source, Unfinished},
    media::{Kind, MediaInfo},
    pipeline::{Opener, Pipeline},
    plan::{Plan, Reason, Strategy},
    progress::{CancelToken, Meter, Progress},
    run::{Watch, run_jobs},
    tally::{Count, Tally},
    verify,
};

/// How an engine works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads inside each decoder and encoder. Default: as many as there are processors.
    pub threads: NonZeroU32,
}

impl Default for Settings {
    fn default() -> Self {
        let threads = thread::available_parallelism().ok();
        let threads =
            threads.and_then(|threads| u32::try_from(threads.get()).ok()?.try_into().ok());
        Self { threads: threads.unwrap_or(NonZeroU32::MIN) }
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
}

/// How a run ended that succeeded.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The way the goal was met.
    pub strategy: Strategy,
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
        Self { settings, unfinished: Unfinished::default() }
    }

    /// What this libav can do, by its own lists; no device is opened.
    pub fn capabilities(&self) -> Capabilities {
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
        }
    }

    /// [`capabilities`](Self::capabilities), with the hardware devices that open.
    pub fn capabilities_with_devices(&self) -> Capabilities {
        Capabilities { devices: av::try_device().into_iter().collect(), ..self.capabilities() }
    }

    /// Looks at an input.
    ///
    /// Of pictures in high dynamic range one frame is decoded, since only frames carry the
    /// metadata of the mastering display in some codecs.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::NotMedia`], [`Error::Cancelled`].
    pub fn probe(&self, source: &Source, cancel: &CancelToken) -> Result<MediaInfo> {
        let location = source.location();
        let reader = source
            .open(cancel)
            .map_err(|source| Error::Read { location: location.clone(), source })?;
        let demuxer = Demuxer::open(reader, Depth::Streams, cancel)
            .map_err(|fault| fault.of_input(&location))?;
        let mut media = demuxer.media();
        if media.streams.is_empty() {
            let reason = format!("it is {} without any stream", media.format);
            return Err(Error::NotMedia { location, reason });
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
        // A failure stops this run and not others that share the caller's token.
        let stop = cancel.child();
        let result = self.run_to_end(plan, given, &stop, observe);
        // Whatever a stage met with while it was being stopped, the cause is the caller's wish.
        if result.is_err() && cancel.is_cancelled() { Err(Error::Cancelled) } else { result }
    }

    fn run_to_end(
        &self,
        plan: &Plan,
        given: &mut Given<'_>,
        cancel: &CancelToken,
        observe: impl FnMut(&Progress) -> ControlFlow<()>,
    ) -> Result<Report> {
        let begun = Instant::now();
        let threads = self.settings.threads;
        let opener = Opener { given, threads, cancel, unfinished: &self.unfinished };
        let Pipeline { jobs, sinks, tallies, media } = opener.open(plan)?;
        let meter = Meter::default();
        let mut watch = Watch { observe, cancel, tallies: &tallies, plan, begun, meter };
        run_jobs(jobs, &mut watch)?;

        let counts: Vec<Vec<Count>> =
            tallies.iter().map(|tracks| tracks.iter().map(Tally::count).collect()).collect();
        let mut warnings = plan.notices.clone();
        for (output, counts) in plan.outputs.iter().zip(&counts) {
            for (track, count) in output.tracks.iter().zip(counts) {
                verify::check_input(plan, track, &media[track.input], count, &mut warnings)?;
            }
        }
        for (number, media) in media.iter().enumerate() {
            let of_input: Vec<Count> = plan
                .outputs
                .iter()
                .zip(&counts)
                .flat_map(|(output, counts)| output.tracks.iter().zip(counts))
                .filter(|(track, _)| track.input == number)
                .map(|(_, count)| count.clone())
                .collect();
            verify::check_declared(media, &of_input, &mut warnings);
        }
        let mut found = Vec::new();
        for ((output, sink), counts) in plan.outputs.iter().zip(&sinks).zip(&counts) {
            found.push(verify::check_output(output, counts, sink.reopener()(), cancel)?);
        }
        watch.tick()?;
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let sizes = Sink::commit_all(&sinks, &mut given.writers)?;
        let outputs = plan
            .outputs
            .iter()
            .zip(sizes)
            .zip(found)
            .map(|((output, size_bytes), media)| Written {
                location: output.location.clone(),
                size_bytes,
                media,
            })
            .collect();
        watch.done();
        let all = || counts.iter().flatten();
        let stats = Stats {
            wall_seconds: begun.elapsed().as_secs_f64(),
            packets_read: all().map(|count| count.packets_read).sum(),
            frames_decoded: all().map(|count| count.frames_decoded).sum(),
            frames_encoded: all().map(|count| count.frames_encoded).sum(),
            packets_written: all().map(|count| count.packets_written).sum(),
        };
        Ok(Report { strategy: plan.strategy, outputs, warnings, stats })
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
