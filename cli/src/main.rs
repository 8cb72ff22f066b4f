//! The program `avocet`: parses its arguments, runs one command, and prints one answer.

#![forbid(unsafe_code)]

mod arguments;
mod capabilities;
mod custom;
mod document;
mod ending;
mod failure;
mod job;
mod name;
mod probe;
mod progress;
mod report;
mod serve;
mod terminal;
mod time;
mod worker;

use std::process::ExitCode;

use avocet::{
    CancelToken, Engine,
    engine::Settings,
    io::{Reach, RemoteSettings},
};
use clap::ArgMatches;

use arguments::{Command, JSON};
use ending::Ending;
use failure::Failure;
use progress::Show;

/// What all commands share.
struct Context {
    engine: Engine,
    cancel: CancelToken,
    json: bool,
    show: Show,
}

/// The answer of a command that succeeded.
struct Answer {
    /// For standard output: text, or one JSON object.
    output: String,
    /// For standard error, a line each.
    warnings: Vec<String>,
}

impl Answer {
    fn new(output: String) -> Self {
        Self { output, warnings: Vec::new() }
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
        engine: Engine::new(settings()),
        cancel: CancelToken::new(),
        json: matches.get_flag(JSON),
        show: Show::asked_for(matches),
    };
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
            terminal::print(&answer.output, 0)
        }
        Err(failure) => failure.tell(context.json),
    }
}

fn answer(context: &Context, command: Command, matches: &ArgMatches) -> Result<Answer, Failure> {
    match command {
        Command::Run => job::run_document(context, matches),
        Command::Plan => job::plan_document(context, matches),
        Command::Probe => probe::answer(context, matches),
        Command::Capabilities => Ok(capabilities::answer(context)),
        Command::Ffmpeg => custom::answer(context, matches),
        Command::Recipe(recipe) => job::run_recipe(context, recipe, matches),
    }
}

/// The settings of the engine. The user may name hosts in private networks.
fn settings() -> Settings {
    let remote = RemoteSettings { reach: Reach::Named, ..RemoteSettings::default() };
    Settings { remote, ..Settings::default() }
}
