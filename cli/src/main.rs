//! The program `avocet`: reads its arguments, does what they ask for, and answers once.

#![forbid(unsafe_code)]

mod arguments;
mod capabilities;
mod custom;
mod document;
mod ending;
mod failure;
mod folder;
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
    engine::{Reach, RemoteSettings, Settings},
};
use clap::ArgMatches;

use arguments::{Command, JSON};
use ending::Ending;
use failure::Failure;
use folder::MadeFolder;
use progress::Show;

/// What every command works with.
struct Context {
    engine: Engine,
    cancel: CancelToken,
    json: bool,
    show: Show,
    folder: MadeFolder,
}

/// What a command answers when it succeeds.
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
        folder: MadeFolder::default(),
    };
    let ending = Ending::at_signals(&context);
    let result = answer(&context, command, matches);
    context.show.clear();
    ending.claim();
    // What was planned and not run may have left copies.
    context.engine.discard_unfinished();
    context.folder.remove();
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
        Command::Thumbnails => job::run_thumbnails(context, matches),
        Command::Recipe(recipe) => job::run_recipe(context, recipe, matches),
    }
}

/// What its user names, the program reaches, also in a private network.
fn settings() -> Settings {
    let remote = RemoteSettings { reach: Reach::Named, ..RemoteSettings::default() };
    Settings { remote, ..Settings::default() }
}
