//! `avocet worker`: runs the jobs of a service one at a time, in a process that is confined.
//!
//! Standard input is a socket, for requests and events as lines of JSON. Standard output is another
//! one, over which the service fetches inputs by URL for this process.

use std::{
    borrow::Cow,
    env,
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    thread,
};

use avocet::{
    CancelToken, CheckedJob, Engine, Job, Plan,
    engine::{OpenOptions, ProbeOptions, Progress, Settings},
    io::{Location, Reach, RemoteSettings, Target},
    plan::Strategy,
    recipes::{JobOutputs, Recipe, Task},
};
use avocet_service::protocol::{Done, Event, Failure, Limits, Made, Order, Purpose, Request};
use avocet_service::worker::{ProxiedInputs, hide_memory};
#[cfg(target_os = "linux")]
use rustix::{
    process::{Signal, set_parent_process_death_signal},
    thread::{CapabilitySet, capabilities, set_capabilities},
};
use serde_json::json;

use super::report;

/// The niceness of workers relative to the service, so that the service still answers requests
/// while all processors encode.
const NICENESS: i32 = 10;

/// What a worker has from its service.
#[derive(Clone)]
struct Connected {
    line: Arc<UnixStream>,
    inputs: ProxiedInputs,
}

impl Connected {
    /// Takes the two sockets.
    fn new() -> io::Result<Self> {
        let socket = |file: &dyn AsFd| -> io::Result<UnixStream> {
            Ok(OwnedFd::into(file.as_fd().try_clone_to_owned()?))
        };
        let line = Arc::new(socket(&io::stdin())?);
        Ok(Self { line, inputs: ProxiedInputs::new(socket(&io::stdout())?)? })
    }

    /// Sends an event. Errors are ignored: the service is gone then.
    fn say(&self, event: &Event) {
        if let Ok(mut line) = serde_json::to_vec(event) {
            line.push(b'\n');
            let _ = (&*self.line).write_all(&line);
        }
    }

    /// Reports the progress if it is more than was reported before; returns what was reported.
    fn tell(&self, progress: &Progress, last: u8) -> u8 {
        if progress.fetched.is_some() {
            self.say(&Event::Planning);
            return last;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 100"
        )]
        let percent = (progress.fraction * 100.0) as u8;
        if percent > last || progress.seconds == 0.0 {
            self.say(&Event::Progress(percent.min(99)));
        }
        percent.max(last)
    }
}

/// Reads requests until the service closes the socket, which is how it ends its workers.
pub(super) fn run() -> ExitCode {
    stand_back();
    // A service can do its work also where this is refused.
    let _ = hide_memory();
    // A stopped worker does not notice the end of its input, so let Linux kill it with its parent.
    #[cfg(target_os = "linux")]
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // Somebody else than a service started this.
    let Ok(connected) = Connected::new() else { return ExitCode::from(2) };
    let mut running: Option<CancelToken> = None;
    for line in BufReader::new(&*connected.line).lines() {
        let Ok(line) = line else { break };
        match serde_json::from_str(&line) {
            Ok(Request::Run(order)) => {
                connected.say(&Event::Taken);
                let cancel = CancelToken::new();
                running = Some(cancel.clone());
                let connected = connected.clone();
                thread::spawn(move || connected.say(&carry_out(&order, &connected, &cancel)));
            }
            Ok(Request::Cancel) => {
                if let Some(cancel) = &running {
                    cancel.cancel();
                }
            }
            // The service speaks another version of the protocol.
            Err(_) => return ExitCode::from(2),
        }
    }
    ExitCode::SUCCESS
}

/// Gives the service priority over this process.
fn stand_back() {
    // Without the permission to do this, the service merely answers more slowly.
    let _ = rustix::process::nice(NICENESS);
    // SVT-AV1 takes real-time priority if it may, which would starve all other processes.
    #[cfg(target_os = "linux")]
    let _ = capabilities(None).and_then(|mut sets| {
        for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
            set.remove(CapabilitySet::SYS_NICE);
        }
        set_capabilities(None, sets)
    });
}

/// Runs a job, and returns its last event: done or failed.
fn carry_out(order: &Order, connected: &Connected, cancel: &CancelToken) -> Event {
    #[cfg(feature = "door")]
    if let Purpose::Door(calls) = &order.purpose {
        return Event::Through(calls.iter().map(avocet_service::worker::door::call).collect());
    }
    let engine = Engine::new(settings(order, connected));
    let run = AssertUnwindSafe(|| run_job(&engine, order, connected, cancel));
    match panic::catch_unwind(run) {
        Ok(Ok(done)) => Event::Done(done),
        Ok(Err(error)) => {
            let message = without_places(&error.to_string(), &order.purpose);
            let (code, stage) = (error.code(), error.step().name());
            let log = error.log().map(|log| without_places(log, &order.purpose));
            let failure = Failure::new(code, message, stage, error.retryable());
            Event::Failed(Failure { log, ..failure })
        }
        // The message of the panic is on standard error.
        Err(_) => {
            let message = "the engine panicked";
            Event::Failed(Failure::new("ENGINE_ERROR", message, "plan", false))
        }
    }
}

/// Removes the paths of the service's own folders from a text: the job's, and that of input copies.
fn without_places(text: &str, purpose: &Purpose) -> String {
    let mut folders = Vec::new();
    if let Purpose::Run { folder, of_ffmpeg, .. } = purpose {
        folders.extend([folder.clone(), of_ffmpeg.clone()]);
    }
    let folders = folders.into_iter().chain([env::temp_dir()]);
    // The ffmpeg program was given canonical paths.
    let folders = folders.flat_map(|folder| [folder.canonicalize().ok(), Some(folder)]);
    folders
        .flatten()
        .fold(text.to_owned(), |text, folder| text.replace(&format!("{}/", folder.display()), ""))
}

fn settings(order: &Order, connected: &Connected) -> Settings {
    let Limits { threads, anywhere, max_media_seconds, max_pixels, .. } = order.limits;
    let reach = if anywhere { Reach::Any } else { Reach::Public };
    let mut settings = Settings { threads, max_media_seconds, max_pixels, ..Settings::default() };
    let max_bytes = order.limits.max_input_bytes;
    let proxy = Some(connected.inputs.clone());
    settings.remote =
        RemoteSettings { reach, max_bytes, uses_environment: false, proxy, ..settings.remote };
    if let Purpose::Run { ffmpeg, of_ffmpeg, .. } = &order.purpose {
        settings.process.program.clone_from(ffmpeg);
        settings.process.folder = Some(of_ffmpeg.clone());
    }
    settings.process.needs_sandbox = !order.limits.unconfined;
    settings.process.max_seconds = order.limits.max_seconds;
    settings.process.max_memory = order.limits.max_memory_bytes;
    settings
}

fn run_job(
    engine: &Engine,
    order: &Order,
    connected: &Connected,
    cancel: &CancelToken,
) -> Result<Done, avocet::Error> {
    let job = CheckedJob::from_checked_json(&order.document)?;
    connected.say(&Event::Probing);
    let mut last = 0;
    let planned = avocet::job(job.clone())
        .output(target(&job, &order.purpose))
        .engine(engine)
        .cancel(cancel)
        .progress(|progress| last = connected.tell(progress, last))
        .plan()?;
    let plan = &planned.plan;
    connected.say(&event_of(plan, matches!(order.purpose, Purpose::Plan)));
    if matches!(order.purpose, Purpose::Plan) {
        return Ok(Done::default());
    }
    let is_stored = matches!(&job.task, Task::Recipe(Recipe::WebReady(ready)) if ready.store);
    if plan.strategy == Strategy::Passthrough && !is_stored {
        // Passthrough: the input is the output, so nothing is written, and the answer is its URL.
        let location = &plan.inputs[0].location;
        let source = engine.open(location, OpenOptions::default().cancel(cancel))?;
        let media = engine.probe(&source, ProbeOptions::default().cancel(cancel))?;
        let made = report::made_of(location, &plan.outputs[0].muxer, &media);
        return Ok(Done { outputs: vec![made], warnings: Vec::new() });
    }
    let report = planned.run()?;
    let keys = keys(&job, report.outputs.len());
    let outputs = report::made(&report).into_iter().zip(keys);
    let outputs = outputs.map(|(made, key)| Made { key, ..made }).collect();
    Ok(Done { outputs, warnings: report.warnings })
}

/// The target of a job: a single output is called `result`, several name themselves.
fn target(job: &Job, purpose: &Purpose) -> Target {
    let name = match &job.outputs {
        JobOutputs::One(format) if !job.fills_folder() => {
            Some(Path::new("result").with_extension(format.extension()))
        }
        _ => None,
    };
    let within =
        |folder: &Path| name.as_ref().map_or_else(|| folder.to_owned(), |name| folder.join(name));
    let location = Location::Path(match purpose {
        Purpose::Run { folder, .. } => within(folder),
        Purpose::Plan => name.clone().unwrap_or_else(|| PathBuf::from(".")),
        #[cfg(feature = "door")]
        Purpose::Door(_) => PathBuf::from("."),
    });
    Target { location, replace: true, named: false }
}

fn event_of(plan: &Plan, is_all: bool) -> Event {
    let reasons = plan.because.iter().chain(plan.tracks().flat_map(|track| &track.because));
    Event::Planned {
        strategy: plan.strategy.name().to_owned(),
        reasons: reasons.cloned().collect(),
        outputs: plan
            .outputs
            .iter()
            .filter_map(|output| output.location.file_name())
            .map(Cow::into_owned)
            .collect(),
        plan: is_all.then(|| json!(report::without_secrets(plan))),
    }
}

/// The keys of the outputs, in the order of the plan.
fn keys(job: &Job, outputs: usize) -> Vec<String> {
    match (&job.outputs, &job.task) {
        (JobOutputs::Files(files), _) => files.iter().map(|(key, _)| key.clone()).collect(),
        // The sprite sheets come first, then the WebVTT file that refers to them.
        (_, Task::Recipe(Recipe::Storyboard(_))) => {
            let sprites = (1..outputs).map(|number| format!("out_sprite_{number}"));
            sprites.chain(["out_vtt".to_owned()]).collect()
        }
        _ => vec!["output".to_owned(); outputs],
    }
}
