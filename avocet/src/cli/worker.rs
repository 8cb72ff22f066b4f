//! `avocet worker`: runs jobs for a service, one at a time, by lines of JSON.

use std::{
    io::{self, BufRead, Write},
    num::NonZeroU32,
    ops::ControlFlow,
    path::Path,
    process::ExitCode,
    thread,
};

use avocet::{
    CancelToken, Door, Engine, Job, Plan, Target,
    engine::{Location, Progress, Reach, RemoteSettings, Settings, Strategy},
    recipes::{JobOutputs, Recipe, Task},
};
use avocet_service::protocol::{Done, Event, Failure, Made, Order, Request};
use serde_json::{Value, json};

use super::report;

/// Reads requests until standard input ends, which is how a service lets go of its workers.
pub(super) fn run(settings: Settings) -> ExitCode {
    let mut running: Option<CancelToken> = None;
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        match serde_json::from_str(&line) {
            Ok(Request::Run(order)) => {
                let cancel = CancelToken::new();
                running = Some(cancel.clone());
                let settings = settings.clone();
                thread::spawn(move || say(&carry_out(&settings, &order, &cancel)));
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
    if let Some(cancel) = running {
        cancel.cancel();
    }
    ExitCode::SUCCESS
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
fn carry_out(settings: &Settings, order: &Order, cancel: &CancelToken) -> Event {
    let threads = NonZeroU32::new(order.threads).unwrap_or(NonZeroU32::MIN);
    let engine = Engine::new(Settings { threads, ..settings.clone() });
    match run_job(&engine, order, cancel) {
        Ok(done) => Event::Done(done),
        Err(error) => Event::Failed(Failure {
            code: error.code().to_owned(),
            message: error.to_string(),
            stage: error.step().name().to_owned(),
            retryable: error.retryable(),
        }),
    }
}

fn run_job(engine: &Engine, order: &Order, cancel: &CancelToken) -> Result<Done, avocet::Error> {
    let job = Job::from_json(&order.document, Door::Program)?;
    say(&Event::Probing);
    let plan = avocet::plan(engine, &job, target(&job, &order.folder), cancel)?;
    say(&planned(&plan, order.plan_only));
    if order.plan_only {
        plan.inputs.iter().for_each(|input| engine.close(&input.location));
        return Ok(Done::default());
    }
    if plan.strategy == Strategy::Passthrough {
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
    let outputs = report::made(&report).into_iter().zip(keys).map(|(made, key)| Made { key, ..made });
    let warnings = report.warnings.iter().map(|warning| json!(warning)).collect();
    Ok(Done { outputs: outputs.collect(), warnings })
}

/// Where outputs go: names in the folder.
fn target(job: &Job, folder: &Path) -> Target {
    let is_several = matches!(&job.outputs, JobOutputs::Files(_))
        || matches!(&job.task, Task::Recipe(recipe) if recipe.name().makes_several());
    let place = match &job.outputs {
        JobOutputs::One(format) if !is_several => {
            folder.join("result").with_extension(format.extension())
        }
        _ => folder.to_owned(),
    };
    Target { location: Location::Path(place), replace: true, named: false }
}

fn planned(plan: &Plan, is_all: bool) -> Event {
    let reasons = plan.because.iter().chain(plan.tracks().flat_map(|track| &track.because));
    Event::Planned {
        strategy: plan.strategy.name().to_owned(),
        reasons: reasons.map(|reason| json!(reason)).collect(),
        plan: is_all.then(|| json!(plan)),
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

/// The settings of a worker, as the service that started it has them.
pub(super) fn settings() -> Settings {
    let limits: Value = std::env::var("AVOCET_WORKER_LIMITS")
        .ok()
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let mut settings = Settings::default();
    let reach = if limits["anywhere"] == true { Reach::Any } else { Reach::Public };
    settings.remote = RemoteSettings { reach, ..RemoteSettings::default() };
    if let Some(bytes) = limits["mostInputBytes"].as_u64() {
        settings.remote.most_bytes = bytes;
    }
    settings.process.needs_sandbox = limits["unconfined"] != true;
    settings
}
