//! The command line: one command per recipe, made from the recipe's table of parameters.

use std::{env, ffi::OsString, net::SocketAddr, num::NonZeroU32, path::PathBuf, process::ExitCode};

use avocet::{
    Engine,
    recipes::{Format, Kind, MAX_THUMBNAILS, Parameter, RecipeName},
};
use clap::{Arg, ArgAction, ArgMatches, error::ErrorKind, value_parser};
use clap_complete::Shell;

use super::{failure::Failure, name::kebab, terminal, time};

pub(super) const ARGS: &str = "ARGS";
pub(super) const COUNT: &str = "count";
pub(super) const CUSTOM_INPUT: &str = "input";
pub(super) const CUSTOM_OUTPUT: &str = "output-file";
pub(super) const EVERY: &str = "every";
pub(super) const FOLDER: &str = "FOLDER";
pub(super) const FORMAT: &str = "format";
pub(super) const INPUT: &str = "INPUT";
pub(super) const DATA: &str = "data";
pub(super) const CONFIG: &str = "config";
pub(super) const LISTEN: &str = "listen";
pub(super) const ALLOW_PRIVATE: &str = "allow-private-network";
pub(super) const OPEN: &str = "open";
pub(super) const NAME: &str = "name";
pub(super) const PROJECT: &str = "project";
pub(super) const SCOPE: &str = "scope";
pub(super) const EXPIRES_DAYS: &str = "expires-days";
pub(super) const ID: &str = "ID";
pub(super) const KIND: &str = "KIND";
pub(super) const CHECK: &str = "check";
pub(super) const JOB: &str = "JOB.json";
pub(super) const JSON: &str = "json";
pub(super) const NO_CLOBBER: &str = "no-clobber";
pub(super) const OUTPUT: &str = "output";
pub(super) const PLAN: &str = "plan";
pub(super) const PROGRESS: &str = "progress";
pub(super) const SHELL: &str = "SHELL";
pub(super) const THREADS: &str = "threads";
pub(super) const VERBOSE: &str = "verbose";
pub(super) const LOG: &str = "log";
pub(super) const SEEK: &str = "seekSeconds";

/// A command of the program, other than those of the service.
#[derive(Clone, Copy)]
pub(super) enum Command {
    Run,
    Plan,
    Probe,
    Capabilities,
    Completions,
    Doctor,
    Man,
    Ffmpeg,
    Recipe(RecipeName),
}

impl Command {
    /// The command that was given, and its own arguments.
    pub(super) fn of(matches: &ArgMatches) -> Option<(Self, &ArgMatches)> {
        let (name, matches) = matches.subcommand()?;
        let command = match name {
            "run" => Self::Run,
            "plan" => Self::Plan,
            "probe" => Self::Probe,
            "capabilities" => Self::Capabilities,
            "completions" => Self::Completions,
            "doctor" => Self::Doctor,
            "man" => Self::Man,
            "ffmpeg" => Self::Ffmpeg,
            name => {
                let recipes = RecipeName::ALL;
                Self::Recipe(recipes.into_iter().find(|recipe| kebab(recipe.name()) == name)?)
            }
        };
        Some((command, matches))
    }
}

/// The help of the program, with its commands in groups.
const HELP: &str = "\
{about}

{usage-heading} {usage}

Make:
  web-ready      A video that plays in every browser
  proxy          A video for editing, with many keyframes
  compress       A smaller file
  transcode      Another format
  resize         Another size
  trim           Sections, exact to the frame
  concat         Several files, one after another
  extract-audio  The audio stream alone
  thumbnail      One picture, or many
  storyboard     Sprite sheets with WebVTT
  ffmpeg         What the ffmpeg program makes of arguments of yours

Look:
  probe          What is in a file
  plan           What a job document would do, and why
  capabilities   What this libav can do
  doctor         What this machine lacks

Run:
  run            A job document
  completions    Completions for a shell
  man            Manual pages

Serve:
  serve          The job API over HTTP
  health         Whether a service on this machine answers
  token          API keys: make, list, revoke
  project        Projects, to which jobs and API keys belong
  keys           What URLs are signed and secrets encrypted with
  backup         A copy of the data folder, while it runs
  restore        A data folder of a backup, or whether one is whole

Options:
{options}

`avocet COMMAND --help` says more of each. {after-help}";

/// The command line of the whole program.
pub(super) fn program() -> clap::Command {
    let run = clap::Command::new("run")
        .about("Runs a job document")
        .arg(document())
        .arg(output().help(
            "Output file, or a folder where the job makes several files; default: \
             <stem>-<recipe>.<ext> in the current folder, where it must not exist",
        ))
        .args(of_jobs().into_iter().filter(|flag| flag.get_id() != PLAN));
    let plan = clap::Command::new("plan")
        .about("Shows what a job document would do to each stream, and why, without doing it")
        .args([document(), json()]);
    let probe = clap::Command::new("probe")
        .about("Shows what is in a file: container, streams, shapes, colors, tags")
        .args([input(), json()]);
    let capabilities = clap::Command::new("capabilities")
        .about(
            "Shows the encoders, decoders, filters and devices that are available on this machine",
        )
        .arg(json());
    let doctor = clap::Command::new("doctor")
        .about("Says what this machine can do, what it lacks, and the command that installs it")
        .arg(json());
    let completions = clap::Command::new("completions")
        .about("Prints completions for a shell, as for `source <(avocet completions bash)`")
        .arg(Arg::new(SHELL).required(true).value_parser(value_parser!(Shell)).help("The shell"));
    let man = clap::Command::new("man").about("Writes manual pages into a folder").arg(
        Arg::new(FOLDER)
            .required(true)
            .value_parser(value_parser!(PathBuf))
            .help("The folder, which must exist"),
    );
    clap::Command::new("avocet")
        .about("Transcodes media: plans first, does no unnecessary work, and verifies the result")
        .after_help(
            "Exit status: 0 done, 1 the job failed, 2 wrong usage or document, 130 cancelled.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(RecipeName::ALL.into_iter().map(recipe))
        .subcommands([custom(), probe, plan, capabilities, doctor, run])
        .subcommands([completions, man])
        .subcommands([serve(), health(), token(), project(), keys(), backup(), restore()])
        .help_template(HELP)
        .subcommand(clap::Command::new("worker").hide(true).about("Runs jobs for a service"))
}

/// The arguments that `serve` and `token` share: the data folder and the configuration file.
fn of_service() -> [Arg; 2] {
    let path = |name: &'static str| {
        Arg::new(name).long(name).value_name("PATH").value_parser(value_parser!(PathBuf))
    };
    [
        path(DATA).help("The data folder: database, keys, outputs; default: avocet-data"),
        path(CONFIG).help("The configuration, a TOML file; docs/operating.md lists the settings"),
    ]
}

/// The address of the service.
fn listen() -> Arg {
    Arg::new(LISTEN)
        .long(LISTEN)
        .value_name("ADDRESS")
        .value_parser(value_parser!(SocketAddr))
        .help("Where to listen; default: 127.0.0.1:8080")
}

/// The command that runs the job API.
fn serve() -> clap::Command {
    let private = Arg::new(ALLOW_PRIVATE)
        .long(ALLOW_PRIVATE)
        .action(ArgAction::SetTrue)
        .help("Allows private addresses and http: for inputs, webhooks and storage providers");
    let open = Arg::new(OPEN)
        .long(OPEN)
        .action(ArgAction::SetTrue)
        .help("Prints a link that signs in to the page once, within ten minutes");
    clap::Command::new("serve")
        .about("Serves the job API over HTTP, and a page for it")
        .args(of_service())
        .args([listen(), private, open])
}

/// The command that asks whether the job API answers.
fn health() -> clap::Command {
    clap::Command::new("health")
        .about("Tells whether a service on this machine answers: status 0 if so, and 1 if not")
        .args(of_service())
        .arg(listen().help("Where it listens; default: as for `serve`"))
}

/// The commands for API keys.
fn token() -> clap::Command {
    let name = Arg::new(NAME).long(NAME).value_name("TEXT").help("The name of the key");
    let project = Arg::new(PROJECT)
        .long(PROJECT)
        .value_name("NAME")
        .help("The name or id of the project that it belongs to; default: `default`");
    let scope = Arg::new(SCOPE).long(SCOPE).value_name("SCOPE").action(ArgAction::Append).help(
        "What it may do: `jobs:write`, `jobs:read`, `settings` or `tokens`; default: all of them",
    );
    let expires = Arg::new(EXPIRES_DAYS)
        .long(EXPIRES_DAYS)
        .value_name("DAYS")
        .value_parser(value_parser!(u32).range(1..))
        .help("After how many days it stops to work; default: never");
    let id = Arg::new(ID)
        .required(true)
        .value_name("ID")
        .help("The id, as `avocet token list` shows it");
    let create = clap::Command::new("create").about("Creates an API key, and shows it once");
    let list = clap::Command::new("list").about("Lists the API keys, a line of JSON each");
    let revoke = clap::Command::new("revoke").about("Revokes an API key from its next request on");
    clap::Command::new("token")
        .about("Manages the keys of the job API")
        .subcommand_required(true)
        .subcommand(create.args(of_service()).args([name, project, scope, expires]))
        .subcommand(list.args(of_service()))
        .subcommand(revoke.args(of_service()).arg(id))
}

/// The command for the keys of the data folder.
fn keys() -> clap::Command {
    let kind = Arg::new(KIND).required(true).value_parser(["signing", "encryption"]).help(
        "`signing` for those of URLs, `encryption` for those of the secrets of storage providers",
    );
    let rotate = clap::Command::new("rotate")
        .about("Adds a key that takes over at the next start, and shows its id");
    clap::Command::new("keys")
        .about("Manages what the job API signs URLs and encrypts secrets with")
        .subcommand_required(true)
        .subcommand(rotate.args(of_service()).arg(kind))
}

/// The folder of a backup.
fn of_backup() -> Arg {
    Arg::new(FOLDER)
        .required(true)
        .value_name("FOLDER")
        .value_parser(value_parser!(PathBuf))
        .help("The folder of the backup")
}

/// The command that makes backups.
fn backup() -> clap::Command {
    clap::Command::new("backup")
        .about("Copies the data folder of the job API into a new folder, while it runs")
        .args(of_service())
        .arg(of_backup())
}

/// The command that checks backups, and makes data folders of them.
fn restore() -> clap::Command {
    let check = Arg::new(CHECK)
        .long(CHECK)
        .action(ArgAction::SetTrue)
        .help("Only looks whether the backup is whole");
    clap::Command::new("restore")
        .about("Makes a data folder of a backup")
        .args(of_service())
        .args([of_backup(), check])
}

/// The commands for projects.
fn project() -> clap::Command {
    let name = Arg::new(NAME).required(true).value_name("NAME").help("The name of the project");
    let create = clap::Command::new("create").about("Makes a project, and shows its id");
    let list = clap::Command::new("list").about("Lists the projects, a line of JSON each");
    clap::Command::new("project")
        .about("Manages the projects of the job API")
        .subcommand_required(true)
        .subcommand(create.args(of_service()).arg(name))
        .subcommand(list.args(of_service()))
}

/// The command that runs the `ffmpeg` program with custom arguments.
fn custom() -> clap::Command {
    let input = Arg::new(CUSTOM_INPUT)
        .long("input")
        .required(true)
        .action(ArgAction::Append)
        .value_name("PATH")
        .value_parser(value_parser!(OsString))
        .help(
            "Input path or URL: `{{input}}` in the arguments; of several, `{{in_1}}`, `{{in_2}}`…",
        );
    let output = Arg::new(CUSTOM_OUTPUT)
        .long("output")
        .required(true)
        .action(ArgAction::Append)
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf))
        .help("Output path: `{{output}}` in the arguments; of several, `{{out_1}}`, `{{out_2}}`…");
    let args = Arg::new(ARGS)
        .last(true)
        .required(true)
        .num_args(1..)
        .help("Arguments for ffmpeg; docs/ffmpeg.md lists those that are allowed");
    clap::Command::new("ffmpeg")
        .about("Runs the ffmpeg program with your own arguments, in a sandbox")
        .args([input, output, args])
        .args(of_jobs())
}

/// The command of a recipe: a flag for each of its parameters, and the arguments of all recipes.
fn recipe(recipe: RecipeName) -> clap::Command {
    let input = input().num_args(1..).action(ArgAction::Append).help(if recipe == RecipeName::Concat {
        "Two paths or URLs, or more"
    } else {
        "A path or a URL, or several, or folders, whose media are done one after the other; `-` is \
         standard input"
    });
    let formats: Vec<_> = recipe.formats().iter().copied().map(Format::extension).collect();
    let usual = match recipe {
        RecipeName::ExtractAudio => "m4a, or mp3 where that does not hold the codec,",
        _ => formats.first().copied().unwrap_or_default(),
    };
    let mut command =
        clap::Command::new(kebab(recipe.name())).about(recipe.summary().trim_end_matches('.'));
    let mut kinds = recipe.parameters().iter().map(|parameter| parameter.kind);
    if kinds.any(Kind::is_time) {
        command = command.after_help(help_on_times());
    }
    if recipe.makes_several() {
        let output = output().help(
            "The folder of the outputs, created if it is missing; default: the current folder",
        );
        return command
            .args([input, output, format(&formats)])
            .args(recipe.parameters().iter().map(flag))
            .args(of_jobs());
    }
    let output = output().help(format!(
        "Output file; its extension is the format: {}; default: <stem>-{}.{usual} in the current \
         folder, where it must not exist; a folder for several inputs; `-` is standard output",
        formats.join(", "),
        kebab(recipe.name()),
    ));
    if recipe == RecipeName::Thumbnail {
        command = command.args(many());
    }
    let format = format(&formats)
        .help("The format, where no extension tells it: for several inputs, and for `-o -`");
    command.args([input, output, format]).args(recipe.parameters().iter().map(flag)).args(of_jobs())
}

/// The flags by which `thumbnail` saves many frames of a file.
fn many() -> [Arg; 2] {
    let most = i64::try_from(MAX_THUMBNAILS).unwrap_or(i64::MAX);
    let count = Arg::new(COUNT)
        .long(COUNT)
        .value_name("N")
        .value_parser(value_parser!(u32).range(1..=most))
        .conflicts_with(SEEK)
        .help_heading(MANY)
        .help(
            "Save this number of pictures, at most 500, each a keyframe near the middle of its part of \
             the input where there is one, else the frame in the middle, as always with `--accuracy \
             exact`; as <stem>-0001.jpg and so on in the folder that -o names",
        );
    let every = Arg::new(EVERY)
        .long(EVERY)
        .value_name("TIME")
        .value_parser(length)
        .conflicts_with_all([COUNT, SEEK])
        .help_heading(MANY)
        .help("Save a picture for each such part of the input, as `--count` does; more than 0");
    [count, every]
}

/// The heading of the flags by which `thumbnail` saves many frames.
const MANY: &str = "Many pictures";

/// Parses a duration of more than 0 s; the result is in seconds.
fn length(text: &str) -> Result<f64, String> {
    let seconds = time::seconds(text).filter(|seconds| *seconds > 0.0);
    seconds.ok_or_else(|| format!("a finite number of seconds, more than 0, {}", time::FORMS))
}

/// Parses a number of threads. Each costs memory in every decoder and encoder.
fn threads(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse::<NonZeroU32>().ok().filter(|number| number.get() <= 256);
    number.ok_or_else(|| "an integer 1 to 256".to_owned())
}

/// The forms of a time, shown at the end of the help of commands that take one.
fn help_on_times() -> String {
    format!("Times are {}; a number alone is seconds.", time::FORMS)
}

fn format(names: &[&'static str]) -> Arg {
    let usual = names.first().copied().unwrap_or_default();
    Arg::new(FORMAT)
        .long(FORMAT)
        .value_parser(names.to_vec())
        .help(format!("The format of the pictures; default: {usual}"))
}

fn plan_only() -> Arg {
    Arg::new(PLAN)
        .long(PLAN)
        .action(ArgAction::SetTrue)
        .help("Show what would be done to each stream, and why, without doing it")
}

/// Shorter names of a flag, beside the one that documents have.
pub(super) fn friendly(parameter: &str) -> Option<&'static str> {
    match parameter {
        "seekSeconds" => Some("at"),
        "startSeconds" => Some("start"),
        "durationSeconds" => Some("duration"),
        "everySeconds" => Some("every"),
        _ => None,
    }
}

/// The flag of a parameter. Its value is checked with the document, not here.
fn flag(parameter: &'static Parameter) -> Arg {
    let flag = Arg::new(parameter.name)
        .long(kebab(parameter.name))
        .visible_aliases(friendly(parameter.name))
        .help_heading("Parameters")
        .help(parameter.describe().trim_end_matches('.').to_owned());
    match parameter.kind {
        Kind::Boolean => flag
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("true|false"),
        // Several times of `thumbnail` are many pictures.
        Kind::Seconds if parameter.name == SEEK => flag
            .allow_negative_numbers(true)
            .value_name("TIME,…")
            .value_delimiter(',')
            .action(ArgAction::Append),
        Kind::Seconds | Kind::PositiveSeconds => {
            flag.allow_negative_numbers(true).value_name("TIME")
        }
        Kind::Ranges => flag.value_name("START-END,…"),
        Kind::Choice(names) => flag.value_name(names.join("|")),
        Kind::Integer { .. } | Kind::Crf => flag.allow_negative_numbers(true).value_name("NUMBER"),
        _ => flag.allow_negative_numbers(true).value_name("NAME|NUMBER"),
    }
}

fn input() -> Arg {
    Arg::new(INPUT).required(true).value_parser(value_parser!(OsString)).help("A path or a URL")
}

fn document() -> Arg {
    Arg::new(JOB)
        .required(true)
        .value_parser(value_parser!(PathBuf))
        .help("The job document; `-` is standard input")
}

fn output() -> Arg {
    Arg::new(OUTPUT).short('o').long(OUTPUT).value_name("PATH").value_parser(value_parser!(PathBuf))
}

fn no_clobber() -> Arg {
    Arg::new(NO_CLOBBER)
        .long(NO_CLOBBER)
        .action(ArgAction::SetTrue)
        .help("Refuse to replace an existing file")
}

fn progress() -> Arg {
    Arg::new(PROGRESS).long(PROGRESS).value_name("HOW").value_parser(["bar", "json", "none"]).help(
        "How progress shows on standard error: as a bar, as one JSON object per line, or not; \
         default: bar on a terminal, else none",
    )
}

/// The flags of commands that run or plan jobs, beside those of their own.
fn of_jobs() -> [Arg; 7] {
    let threads = Arg::new(THREADS).long(THREADS).value_name("N").value_parser(threads).help(
        "Threads inside each decoder and encoder, 1 to 256; default: as many as there are \
             processors",
    );
    let verbose =
        Arg::new(VERBOSE).short('v').long(VERBOSE).action(ArgAction::Count).help(
            "Say on standard error what is decided before the run; twice: what libav logs, too",
        );
    let log = Arg::new(LOG)
        .long(LOG)
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf))
        .help("Write what is done and what libav logs to the end of a file");
    [plan_only(), progress(), no_clobber(), json(), threads, verbose, log]
}

pub(super) fn json() -> Arg {
    Arg::new(JSON)
        .long(JSON)
        .action(ArgAction::SetTrue)
        .help("Print one JSON object on standard output, also for an error; on standard error with `-o -`")
}

/// Answers a command line that names no command: with help, the version, or what is wrong with it.
pub(super) fn refuse(error: &clap::Error) -> ExitCode {
    // Behind `--`, it is the name of a file and no flag.
    let json = env::args_os().take_while(|argument| argument != "--").any(|each| each == "--json");
    match error.kind() {
        ErrorKind::DisplayVersion => {
            let libav = Engine::default().capabilities();
            let (version, license) = (&libav.version, &libav.license);
            let own = env!("CARGO_PKG_VERSION");
            terminal::print(&format!("avocet {own}\nlibav {version} ({license})"), 0)
        }
        _ if json && error.use_stderr() => Failure::Usage(complaint(error)).tell(true, false),
        _ => {
            // If this fails, there is no place to report that.
            let _ = error.print();
            ExitCode::from(if error.use_stderr() { 2 } else { 0 })
        }
    }
}

/// The message of an error in one line, without the usage that clap appends.
fn complaint(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.split("\n\nUsage:").next().unwrap_or(&text);
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ").replace(":; ", ": ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_are_sound() {
        program().debug_assert();
    }

    #[test]
    fn every_recipe_is_a_command_with_its_parameters() {
        for recipe in RecipeName::ALL {
            let mut line = vec!["avocet".to_owned(), kebab(recipe.name()), "in.mp4".to_owned()];
            let flags = recipe.parameters().iter();
            line.extend(flags.map(|parameter| format!("--{}=1", kebab(parameter.name))));
            let matches = program().get_matches_from(line);
            let command = Command::of(&matches);
            assert!(matches!(command, Some((Command::Recipe(met), _)) if met == recipe));
            for parameter in recipe.parameters() {
                let text = command.and_then(|(_, matches)| matches.get_one(parameter.name));
                assert_eq!(text, Some(&"1".to_owned()), "{}", parameter.name);
            }
        }
    }

    #[test]
    fn the_help_has_every_command() {
        for command in program().get_subcommands().filter(|command| !command.is_hide_set()) {
            let line = format!("\n  {} ", command.get_name());
            assert_eq!(HELP.matches(&line).count(), 1, "{line}");
        }
    }

    /// Checks the value of a flag of `web-ready`; `None` stands for a refused command line.
    fn check_flag(line: &str, name: &str, expected: Option<&str>) {
        let line = format!("avocet web-ready {line} in.mp4");
        let matches = program().try_get_matches_from(line.split(' '));
        let met = matches.ok().and_then(|matches| {
            let (_, matches) = Command::of(&matches)?;
            matches.get_one::<String>(name).cloned()
        });
        assert_eq!(met.as_deref(), expected, "{line}");
    }

    #[test]
    fn flags_with_and_without_values() {
        check_flag("--scale-down", "scaleDown", Some("true"));
        check_flag("--scale-down=false", "scaleDown", Some("false"));
        check_flag("--start-seconds -1", "startSeconds", Some("-1"));
        check_flag("--start-seconds=-inf", "startSeconds", Some("-inf"));
        check_flag("--crf 20", "crf", Some("20"));
        check_flag("--crf --json", "crf", None);
        check_flag("--crf 1 --crf 2", "crf", None);
    }

    #[test]
    fn a_complaint_is_one_line() {
        let error = program().try_get_matches_from(["avocet", "probe"]).err();
        let text = error.as_ref().map(complaint);
        let expected = "the following required arguments were not provided: <INPUT>";
        assert_eq!(text.as_deref(), Some(expected));
    }
}
