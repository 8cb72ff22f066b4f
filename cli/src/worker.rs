//! `avocet worker`: runs jobs for a service, one at a time, by lines of JSON.

use std::{
    borrow::Cow,
    env,
    io::{self, BufRead, Write},
    ops::ControlFlow,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
};

use avocet::{
    CancelToken, CheckedJob, Engine, Job, Plan, Target,
    engine::{Location, Progress, Reach, RemoteSettings, Settings, Strategy},
    recipes::{JobOutputs, Recipe, Task},
};
use avocet_service::protocol::{Done, Event, Failure, Limits, Made, Order, Purpose, Request};
#[cfg(target_os = "linux")]
use rustix::{
    process::{Signal, set_parent_process_death_signal},
    thread::{CapabilitySet, capabilities, set_capabilities},
};
use serde_json::json;

use super::report;

/// How far behind the service its workers stand when processors are scarce, so that requests are
/// answered while all of them encode.
const NICENESS: i32 = 10;

/// Reads requests until standard input ends, which is how a service lets go of its workers.
pub(super) fn run() -> ExitCode {
    stand_back();
    // One that is stopped does not find its input ended; only Linux ends it all the same.
    #[cfg(target_os = "linux")]
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let mut running: Option<CancelToken> = None;
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        match serde_json::from_str(&line) {
            Ok(Request::Run(order)) => {
                say(&Event::Taken);
                let cancel = CancelToken::new();
                running = Some(cancel.clone());
                thread::spawn(move || say(&carry_out(&order, &cancel)));
            }
            Ok(Request::Cancel) => {
                if let Some(cancel) = &running {
                    cancel.cancel();
                }
            }
            // Whoever speaks so is no service of this version.
            Err(_) => return ExitCode::from(2),
        }
    }
    ExitCode::SUCCESS
}

/// Leaves processors to the service when it needs them.
fn stand_back() {
    // Where either is not allowed, answers take longer.
    let _ = rustix::process::nice(NICENESS);
    // SVT-AV1 gives itself real-time priority wherever it may, which is before everybody else's.
    #[cfg(target_os = "linux")]
    let _ = capabilities(None).and_then(|mut sets| {
        for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
            set.remove(CapabilitySet::SYS_NICE);
        }
        set_capabilities(None, sets)
    });
}

/// Says one thing. A service that is gone needs to hear nothing.
fn say(event: &Event) {
    if let Ok(mut line) = serde_json::to_vec(event) {
        line.push(b'\n');
        let mut output = io::stdout().lock();
        let _ = output.write_all(&line).and_then(|()| output.flush());
    }
}

/// The last word on a job.
fn carry_out(order: &Order, cancel: &CancelToken) -> Event {
    let engine = Engine::new(settings(order));
    let run = AssertUnwindSafe(|| run_job(&engine, order, cancel));
    match panic::catch_unwind(run) {
        Ok(Ok(done)) => Event::Done(done),
        Ok(Err(error)) => {
            let message = without_places(&error.to_string(), &order.purpose);
            let (code, stage) = (error.code(), error.step().name());
            let log = error.log().map(|log| without_places(log, &order.purpose));
            let failure = Failure::new(code, message, stage, error.retryable());
            Event::Failed(Failure { log, ..failure })
        }
        // What it says stands on standard error.
        Err(_) => {
            let message = "the engine has a fault";
            Event::Failed(Failure::new("ENGINE_ERROR", message, "plan", false))
        }
    }
}

/// A text without the folders of the service in it: of the job, and of copies of its inputs.
fn without_places(text: &str, purpose: &Purpose) -> String {
    let folder = match purpose {
        Purpose::Folder(folder) => Some(folder.clone()),
        Purpose::Plan | Purpose::Send(_) => None,
    };
    let folders = folder.into_iter().chain([env::temp_dir()]);
    // The ffmpeg program is given paths without links.
    let folders = folders.flat_map(|folder| [folder.canonicalize().ok(), Some(folder)]);
    folders
        .flatten()
        .fold(text.to_owned(), |text, folder| text.replace(&format!("{}/", folder.display()), ""))
}

fn settings(order: &Order) -> Settings {
    let Limits { threads, anywhere, max_media_seconds, max_pixels, .. } = order.limits;
    let reach = if anywhere { Reach::Any } else { Reach::Public };
    let mut settings = Settings { threads, max_media_seconds, max_pixels, ..Settings::default() };
    let max_bytes = order.limits.max_input_bytes;
    // Credentials of a store come with the job, or it has none.
    settings.remote =
        RemoteSettings { reach, max_bytes, uses_environment: false, ..settings.remote };
    if let Purpose::Send(sending) = &order.purpose {
        settings.remote.stores.clone_from(&sending.options);
    }
    settings.process.needs_sandbox = !order.limits.unconfined;
    settings.process.max_seconds = order.limits.max_seconds;
    settings.process.max_memory = order.limits.max_memory_bytes;
    settings
}

fn run_job(engine: &Engine, order: &Order, cancel: &CancelToken) -> Result<Done, avocet::Error> {
    if let Purpose::Send(sending) = &order.purpose {
        // All is done but this.
        say(&Event::Progress(99));
        engine.upload(sending.files.clone(), cancel)?;
        return Ok(Done::default());
    }
    let job = CheckedJob::from_checked_json(&order.document)?;
    say(&Event::Probing);
    let target = target(&job, &order.purpose);
    let fetched = |_| say(&Event::Planning);
    let plan = avocet::plan_observed(engine, &job, target, cancel, fetched)?;
    say(&planned(&plan, matches!(order.purpose, Purpose::Plan)));
    if matches!(order.purpose, Purpose::Plan) {
        plan.inputs.iter().for_each(|input| engine.close(&input.location));
        return Ok(Done::default());
    }
    let is_stored = matches!(&job.task, Task::Recipe(Recipe::WebReady(ready)) if ready.store);
    if plan.strategy == Strategy::Passthrough && !is_stored {
        // The input is the output: nothing is moved, and its URL is the answer.
        let location = &plan.inputs[0].location;
        let media = engine.probe(&engine.open(location, cancel)?, cancel)?;
        engine.close(location);
        let made = report::made_of(location, &plan.outputs[0].muxer, &media);
        return Ok(Done { outputs: vec![made], warnings: Vec::new() });
    }
    let mut last = 0;
    let report = engine.run(&plan, cancel, |progress| {
        last = tell(progress, last);
        ControlFlow::Continue(())
    })?;
    let keys = keys(&job, report.outputs.len());
    let outputs = report::made(&report).into_iter().zip(keys);
    let outputs = outputs.map(|(made, key)| Made { key, ..made }).collect();
    Ok(Done { outputs, warnings: report.warnings })
}

/// Where outputs go: one is called `result`, several have names of their own.
fn target(job: &Job, purpose: &Purpose) -> Target {
    let is_several = matches!(&job.task, Task::Recipe(recipe) if recipe.name().makes_several());
    let name = match &job.outputs {
        JobOutputs::One(format) if !is_several => {
            Some(Path::new("result").with_extension(format.extension()))
        }
        _ => None,
    };
    let within =
        |folder: &Path| name.as_ref().map_or_else(|| folder.to_owned(), |name| folder.join(name));
    let location = match purpose {
        Purpose::Plan | Purpose::Send(_) => {
            Location::Path(name.clone().unwrap_or_else(|| PathBuf::from(".")))
        }
        Purpose::Folder(folder) => Location::Path(within(folder)),
    };
    Target { location, replace: true, named: false }
}

fn planned(plan: &Plan, is_all: bool) -> Event {
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

/// Tells how far a run is, where that is more than was told before.
fn tell(progress: &Progress, last: u8) -> u8 {
    if progress.fetched.is_some() {
        say(&Event::Planning);
        return last;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 100")]
    let percent = (progress.fraction * 100.0) as u8;
    if percent > last || progress.seconds == 0.0 {
        say(&Event::Progress(percent.min(99)));
    }
    percent.max(last)
}

/// The keys of outputs, in the order of the plan.
fn keys(job: &Job, outputs: usize) -> Vec<String> {
    match (&job.outputs, &job.task) {
        (JobOutputs::Files(files), _) => files.iter().map(|(key, _)| key.clone()).collect(),
        // Sprites, and the text that belongs to them.
        (_, Task::Recipe(Recipe::Storyboard(_))) => {
            let sprites = (1..outputs).map(|number| format!("out_sprite_{number}"));
            sprites.chain(["out_vtt".to_owned()]).collect()
        }
        _ => vec!["output".to_owned(); outputs],
    }
}
