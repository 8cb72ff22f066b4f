//! The commands that plan and run jobs.

use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

use avocet::{
    Builder, Format, Input, Plan, Source,
    io::{Location, Target},
    recipes::{CheckedJob, Job, Recipe, RecipeName, Sampling, Task},
};
use clap::ArgMatches;

use super::{
    Answer, Context,
    arguments::{COUNT, EVERY, FORMAT, INPUT, JOB, NO_CLOBBER, OUTPUT, PLAN, SEEK},
    batch,
    document::{self, Arguments},
    failure::{Failure, streams_named},
    name, report, terminal, time,
};

/// `avocet run`
pub(super) fn run_document(context: &Context, matches: &ArgMatches) -> Result<Answer, Failure> {
    let output = output(matches)?;
    let job = read(matches)?;
    // For `extractAudio`, the input's codec decides the format; the plan checks the name.
    let is_open = matches!(job.task, Task::Recipe(Recipe::ExtractAudio(_)));
    if let (Some(output), Some(format), false) = (output, name::format(&job), is_open) {
        expect_extension(output, format)?;
    }
    let target = target(&job, output, matches)?;
    carry_out(context, avocet::job(job).output(target), Act::Run)
}

/// `avocet plan`
pub(super) fn plan_document(context: &Context, matches: &ArgMatches) -> Result<Answer, Failure> {
    let job = read(matches)?;
    let target = target(&job, None, matches)?;
    carry_out(context, avocet::job(job).output(target), Act::Plan)
}

/// A recipe's command, as in `avocet trim`.
pub(super) fn run_recipe(
    context: &Context,
    recipe: RecipeName,
    matches: &ArgMatches,
) -> Result<Answer, Failure> {
    let inputs: Vec<&OsString> = matches.get_many(INPUT).unwrap_or_default().collect();
    if batch::is_asked_for(recipe, &inputs, matches)? {
        return batch::run(context, recipe, &inputs, matches);
    }
    let is_stream = is_standard_output(matches);
    let output = if is_stream { None } else { output(matches)? };
    expect_inputs(&inputs, output)?;
    let arguments = Arguments {
        recipe,
        inputs: inputs.iter().map(|input| avocet::io::input_url(input)).collect(),
        output,
        asked: asked_format(matches),
        values: values(recipe, matches),
    };
    if is_stream {
        return to_standard_output(context, &arguments, matches);
    }
    if sampling_of(recipe, matches)?.is_some() {
        let target = folder_of_pictures(&arguments, matches)?;
        return start(context, &arguments, target, matches);
    }
    let job = arguments.job()?;
    if recipe.makes_several() {
        output.map_or(Ok(()), |output| expect_folder(output, "several outputs"))?;
    }
    let target = target(&job, output, matches)?;
    carry_out(context, with_streams(avocet::job(job), &arguments)?.output(target), Act::of(matches))
}

/// Where many thumbnails go: into the folder of `-o`, else beside each other in one that is named after
/// the input and must not exist.
fn folder_of_pictures(arguments: &Arguments<'_>, matches: &ArgMatches) -> Result<Target, Failure> {
    let Some(folder) = arguments.output else {
        let input = arguments.inputs.first().map_or("", String::as_str);
        let mut folder = name::stem(&avocet::io::locate(input)?);
        folder.push("-thumbnails");
        if Path::new(&folder).exists() {
            let folder = PathBuf::from(folder);
            return Err(avocet::engine::Error::OutputExists(folder).into());
        }
        let location = Location::from(PathBuf::from(folder));
        return Ok(Target { location, replace: false, named: true });
    };
    expect_folder(folder, "several pictures")?;
    let replace = !matches.get_flag(NO_CLOBBER);
    Ok(Target { location: name::place(folder), replace, named: true })
}

/// Refuses a folder for several outputs that is named like a file and is not there.
pub(super) fn expect_folder(folder: &Path, what: &str) -> Result<(), Failure> {
    let extension = folder.extension().unwrap_or_default().to_string_lossy();
    if Format::from_extension(&extension).is_none() || folder.is_dir() {
        return Ok(());
    }
    let folder = folder.display();
    Err(Failure::Usage(format!("{what} go into a folder, and `-o {folder}` is named as a file")))
}

/// Refuses inputs of this machine that are not there and, as `-o`, are named like folders: whoever
/// misspells a folder of inputs wants no file.
fn expect_inputs(inputs: &[&OsString], output: Option<&Path>) -> Result<(), Failure> {
    if output.is_none_or(|output| output.extension().is_some()) {
        return Ok(());
    }
    for input in inputs {
        if let Location::Path(path) = avocet::io::locate(&avocet::io::input_url(input))?
            && path.extension().is_none()
            && path != Path::new("-")
            && let Err(source) = path.metadata()
        {
            return Err(avocet::engine::Error::Read { location: path.into(), source }.into());
        }
    }
    Ok(())
}

/// Whether `-o -` asks for the output on standard output.
pub(super) fn is_standard_output(matches: &ArgMatches) -> bool {
    // Commands that make no media have no such flag.
    let output = matches.try_get_one::<PathBuf>(OUTPUT).ok().flatten();
    output.is_some_and(|path| path == Path::new("-"))
}

/// Runs a job whose output goes to standard output, once it is verified; what there is to say goes to
/// standard error.
fn to_standard_output(
    context: &Context,
    arguments: &Arguments<'_>,
    matches: &ArgMatches,
) -> Result<Answer, Failure> {
    let usage = |message: &str| Err(Failure::Usage(message.to_owned()));
    if arguments.recipe.makes_several() || sampling_of(arguments.recipe, matches)?.is_some() {
        return usage("`-o -` takes one output, and this makes several; give a folder");
    }
    let Some(format) = arguments.asked else {
        return usage("`-o -` has no extension that tells the format; give --format");
    };
    if io::stdout().is_terminal() {
        return usage("`-o -` would write media to the terminal; redirect standard output");
    }
    let job = arguments.job()?;
    let builder = with_streams(avocet::job(job), arguments)?;
    let answer = carry_out(context, builder.output_writer(io::stdout(), format), Act::of(matches))?;
    Ok(Answer { is_beside: !matches.get_flag(PLAN), ..answer })
}

/// How `thumbnail` is to save many pictures; `None` for one, and for other recipes.
pub(super) fn sampling_of(
    recipe: RecipeName,
    matches: &ArgMatches,
) -> Result<Option<Sampling>, Failure> {
    if recipe == RecipeName::Thumbnail { sampling(matches) } else { Ok(None) }
}

/// Plans or runs the job of a recipe's arguments.
pub(super) fn start(
    context: &Context,
    arguments: &Arguments<'_>,
    target: Target,
    matches: &ArgMatches,
) -> Result<Answer, Failure> {
    if let Some(sampling) = sampling_of(arguments.recipe, matches)? {
        let thumbnails = with_streams(arguments.thumbnails(sampling)?, arguments)?;
        return carry_out(context, thumbnails.output(target), Act::of(matches));
    }
    let job = arguments.job()?;
    carry_out(context, with_streams(avocet::job(job), arguments)?.output(target), Act::of(matches))
}

/// Checks the arguments of a recipe, but for its inputs and its output.
pub(super) fn check(arguments: &Arguments<'_>, matches: &ArgMatches) -> Result<(), Failure> {
    match sampling_of(arguments.recipe, matches)? {
        Some(sampling) => arguments.thumbnails(sampling).map(drop),
        None => arguments.job().map(drop),
    }
}

/// The parameters that were given: the index in the recipe's table, and the text.
pub(super) fn values(recipe: RecipeName, matches: &ArgMatches) -> Vec<(usize, &str)> {
    let given = |(index, parameter): (usize, &avocet::recipes::Parameter)| {
        matches.get_one::<String>(parameter.name).map(|text| (index, text.as_str()))
    };
    recipe.parameters().iter().enumerate().filter_map(given).collect()
}

/// The job with standard input in the place of the input `-`, which is copied to its end first.
fn with_streams<'a, R>(
    builder: Builder<'a, R>,
    arguments: &Arguments<'_>,
) -> Result<Builder<'a, R>, Failure> {
    if !arguments.inputs.iter().any(|input| input == "-") {
        return Ok(builder);
    }
    let source = standard_input()?;
    let inputs = arguments.inputs.iter().map(|input| match input.as_str() {
        "-" => Input::from(&source),
        url => Input::from(url),
    });
    Ok(builder.inputs(inputs))
}

/// Standard input, once it is copied to its end into a temporary file.
pub(super) fn standard_input() -> Result<Source, Failure> {
    let folder = env::temp_dir();
    let source = Source::spool(io::stdin().lock(), &folder);
    Ok(source.map_err(|source| avocet::engine::Error::Write { location: folder.into(), source })?)
}

/// How `thumbnail` is to save many pictures; `None` for one.
fn sampling(matches: &ArgMatches) -> Result<Option<Sampling>, Failure> {
    if let Some(count) = matches.get_one::<u32>(COUNT) {
        return Ok(Some(Sampling::Count(*count)));
    }
    if let Some(seconds) = matches.get_one::<f64>(EVERY) {
        return Ok(Some(Sampling::Every(*seconds)));
    }
    let texts: Vec<&String> = matches.get_many::<String>(SEEK).unwrap_or_default().collect();
    if texts.len() < 2 {
        return Ok(None);
    }
    let time = |text: &&String| {
        time::seconds(text).ok_or_else(|| {
            Failure::Usage(format!("`--at`: `{text}` is not a time, {}", time::FORMS))
        })
    };
    Ok(Some(Sampling::At(texts.iter().map(time).collect::<Result<_, _>>()?)))
}

/// The format of `--format`.
pub(super) fn asked_format(matches: &ArgMatches) -> Option<Format> {
    let name = matches.try_get_one::<String>(FORMAT).ok().flatten();
    name.and_then(|name| Format::from_name(name))
}

fn read(matches: &ArgMatches) -> Result<CheckedJob, Failure> {
    let path = matches.get_one::<PathBuf>(JOB).map_or(Path::new("-"), PathBuf::as_path);
    document::read(path)
}

/// The path of `-o`, if it was given and is not `-`.
pub(super) fn asked_output(matches: &ArgMatches) -> Option<&Path> {
    let path = matches.get_one::<PathBuf>(OUTPUT).map(PathBuf::as_path);
    path.filter(|path| *path != Path::new("-"))
}

/// The path of `-o`, if it was given; an error for `-`.
pub(super) fn output(matches: &ArgMatches) -> Result<Option<&Path>, Failure> {
    match matches.get_one::<PathBuf>(OUTPUT).map(PathBuf::as_path) {
        Some(path) if path == Path::new("-") => Err(Failure::Usage(
            "`-o` takes a path here; `-o -` is for the command of a recipe with one input"
                .to_owned(),
        )),
        path => Ok(path),
    }
}

/// Refuses an output whose extension stands for another format than the document's.
fn expect_extension(output: &Path, format: Format) -> Result<(), Failure> {
    let extension = output.extension().unwrap_or_default().to_string_lossy();
    match Format::from_extension(&extension) {
        Some(other) if other != format => Err(Failure::Usage(format!(
            "`-o` ends in `.{extension}`, but the document asks for the format `{}`",
            format.name()
        ))),
        _ => Ok(()),
    }
}

/// The target of a job. Without `-o`, the name is made up, and no file is replaced.
fn target(job: &Job, output: Option<&Path>, matches: &ArgMatches) -> Result<Target, Failure> {
    if let Some(output) = output {
        let replace = !matches.get_flag(NO_CLOBBER);
        return Ok(Target { location: name::place(output), replace, named: true });
    }
    let asked = asked_format(matches);
    let path = match (name::format(job), job.inputs.first()) {
        (Some(format), Some(input)) => {
            name::usual_output(&avocet::io::locate(&input.url)?, job, format, asked.is_some())
        }
        // Several outputs get names of their own, in the current folder.
        _ => PathBuf::from("."),
    };
    Ok(Target { location: Location::from(path), replace: false, named: asked.is_some() })
}

/// What is done with a job.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Act {
    /// Its plan is printed.
    Plan,
    /// It is run.
    Run,
}

impl Act {
    /// What the flag `--plan` of a command asks for.
    pub(super) fn of(matches: &ArgMatches) -> Self {
        if matches.get_flag(PLAN) { Self::Plan } else { Self::Run }
    }
}

/// Plans the job of a builder, and prints the plan or runs it.
pub(super) fn carry_out<R>(
    context: &Context,
    builder: Builder<'_, R>,
    act: Act,
) -> Result<Answer, Failure> {
    let show = context.show.clone();
    let planned = builder
        .engine(&context.engine)
        .cancel(&context.cancel)
        .progress(move |progress| show.observe(progress))
        .plan()?;
    if act == Act::Plan {
        return show_plan(context, &planned.plan);
    }
    if context.verbose {
        terminal::note(&streams_named(&planned.to_string()));
    }
    let report = planned.run()?;
    if context.json {
        return Ok(Answer::new(report::to_json(&report)));
    }
    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    Ok(Answer { warnings, ..Answer::new(report::to_text(&report)) })
}

fn show_plan(context: &Context, plan: &Plan) -> Result<Answer, Failure> {
    if !context.json {
        return Ok(Answer::new(streams_named(&plan.to_string())));
    }
    let json = serde_json::to_string(&report::without_secrets(plan));
    // JSON can not represent a path that is not UTF-8.
    let json = json
        .map_err(|error| Failure::Usage(format!("the plan can not be written as JSON: {error}")))?;
    Ok(Answer::new(terminal::escaped(json)))
}
