//! The program `avocet`: parses its arguments, runs one command, and prints one answer.

#![forbid(unsafe_code)]

mod arguments;
mod batch;
mod capabilities;
mod custom;
mod doctor;
mod document;
mod ending;
mod failure;
mod health;
mod job;
mod log;
mod name;
mod pages;
mod probe;
mod progress;
mod report;
mod serve;
mod terminal;
mod time;
mod worker;

use std::{
    num::NonZeroU32,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use avocet::{
    CancelToken, Engine,
    engine::Settings,
    io::{Reach, RemoteSettings},
};
use clap::ArgMatches;
use serde_json::Value;

use arguments::{Command, JSON, THREADS};
use ending::Ending;
use failure::Failure;
use progress::Show;

/// What all commands share.
struct Context {
    engine: Engine,
    cancel: CancelToken,
    json: bool,
    /// Whether standard output is for media, so that all else goes to standard error.
    is_beside: bool,
    /// Whether what is decided is said before the run.
    verbose: bool,
    show: Show,
    /// What several inputs have become so far, as JSON, also for a signal that ends the program.
    done: Arc<Mutex<Vec<Value>>>,
}

/// The answer of a command that succeeded.
struct Answer {
    /// For standard output: text, or one JSON object.
    output: String,
    /// For standard error, a line each.
    warnings: Vec<String>,
    /// The exit status, where it is not 0.
    status: u8,
    /// Whether standard output has the media, so that the text goes to standard error.
    is_beside: bool,
}

impl Answer {
    fn new(output: String) -> Self {
        Self { output, warnings: Vec::new(), status: 0, is_beside: false }
    }
}

fn main() -> ExitCode {
    let matches = match arguments::program().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return arguments::refuse(&error),
    };
    if let Some(status) = serve::as_service(&matches) {
        return status;
    }
    let Some((command, matches)) = Command::of(&matches) else { return ExitCode::from(2) };
    let context = Context {
        engine: Engine::new(settings(matches)),
        cancel: CancelToken::new(),
        json: matches.try_get_one::<bool>(JSON).is_ok_and(|flag| flag.is_some_and(|is| *is)),
        is_beside: job::is_standard_output(matches),
        verbose: log::verbosity(matches) > 0,
        show: Show::asked_for(matches),
        done: Arc::default(),
    };
    if let Err(failure) = log::start(matches) {
        return failure.tell(context.json, context.is_beside);
    }
    let ending = Ending::at_signals(&context);
    let result = answer(&context, command, matches);
    context.show.clear();
    ending.claim();
    // A plan that was not run may have left copies of its inputs.
    context.engine.discard_unfinished();
    match result {
        Ok(answer) => {
            for warning in &answer.warnings {
                terminal::note(warning);
            }
            if answer.is_beside {
                terminal::note(&answer.output);
                return ExitCode::from(answer.status);
            }
            terminal::print(&answer.output, answer.status)
        }
        Err(failure) => failure.tell(context.json, context.is_beside),
    }
}

fn answer(context: &Context, command: Command, matches: &ArgMatches) -> Result<Answer, Failure> {
    match command {
        Command::Run => job::run_document(context, matches),
        Command::Plan => job::plan_document(context, matches),
        Command::Probe => probe::answer(context, matches),
        Command::Capabilities => Ok(capabilities::answer(context)),
        Command::Completions => Ok(pages::completions(matches)),
        Command::Doctor => Ok(doctor::answer(context)),
        Command::Man => pages::man(matches),
        Command::Ffmpeg => custom::answer(context, matches),
        Command::Recipe(recipe) => job::run_recipe(context, recipe, matches),
    }
}

/// The settings of the engine. The user may name hosts in private networks.
fn settings(matches: &ArgMatches) -> Settings {
    let remote = RemoteSettings { reach: Reach::Named, ..RemoteSettings::default() };
    let usual = Settings { remote, ..Settings::default() };
    // Commands that run no job do not have the flag.
    match matches.try_get_one::<NonZeroU32>(THREADS) {
        Ok(Some(threads)) => Settings { threads: *threads, ..usual },
        _ => usual,
    }
}
