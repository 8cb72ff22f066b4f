//! Commands that plan and run jobs.

use std::{
    ffi::OsString,
    num::NonZeroU32,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use avocet::{
    Format, Plan, Target,
    engine::Location,
    recipes::{Accuracy, CheckedJob, Job, Recipe, RecipeName, Sampling, Task, Thumbnails},
};
use clap::ArgMatches;

use super::{
    Answer, Context,
    arguments::{
        ACCURACY, COUNT, EVERY, FORMAT, HEIGHT, INPUT, JOB, NO_CLOBBER, OUTPUT, PLAN, QUALITY,
        WIDTH,
    },
    document::{self, Arguments},
    failure::Failure,
    name, report,
};

/// `avocet run`
pub(super) fn run_document(context: &Context, matches: &ArgMatches) -> Result<Answer, Failure> {
    let output = output(matches)?;
    let job = read(matches)?;
    // The codec that is found decides what `extractAudio` makes, and the plan checks the name.
    let is_open = matches!(job.task, Task::Recipe(Recipe::ExtractAudio(_)));
    if let (Some(output), Some(format), false) = (output, name::format(&job), is_open) {
        expect_extension(output, format)?;
    }
    let target = target(&job, output, matches)?;
    run(context, &job, target)
}

/// `avocet plan`
pub(super) fn plan_document(context: &Context, matches: &ArgMatches) -> Result<Answer, Failure> {
    let job = read(matches)?;
    let target = target(&job, None, matches)?;
    plan(context, &job, target)
}

/// The command of a recipe.
pub(super) fn run_recipe(
    context: &Context,
    recipe: RecipeName,
    matches: &ArgMatches,
) -> Result<Answer, Failure> {
    let output = output(matches)?;
    let inputs = matches.get_many::<OsString>(INPUT).unwrap_or_default();
    let given = |(index, parameter): (usize, &avocet::recipes::Parameter)| {
        matches.get_one::<String>(parameter.name).map(|text| (index, text.as_str()))
    };
    let arguments = Arguments {
        recipe,
        inputs: inputs.map(|input| avocet::input_url(input)).collect(),
        output,
        asked: recipe.makes_several().then(|| asked_format(matches)).flatten(),
        values: recipe.parameters().iter().enumerate().filter_map(given).collect(),
    };
    let job = arguments.job()?;
    let target = target(&job, output, matches)?;
    if matches.get_flag(PLAN) { plan(context, &job, target) } else { run(context, &job, target) }
}

/// `avocet thumbnails`
pub(super) fn run_thumbnails(context: &Context, matches: &ArgMatches) -> Result<Answer, Failure> {
    let number = |name: &str| matches.get_one::<u32>(name).copied().and_then(NonZeroU32::new);
    let spread = match (number(COUNT), matches.get_one::<f64>(EVERY)) {
        (Some(count), _) => Sampling::Count(count),
        (None, Some(seconds)) => Sampling::Every(*seconds),
        (None, None) => return Err(Failure::Usage("`--count` or `--every` is missing".to_owned())),
    };
    let input = matches
        .get_one::<OsString>(INPUT)
        .map(|input| avocet::input_url(input))
        .unwrap_or_default();
    let stem = Path::new(&input).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let is_exact = matches.get_one::<String>(ACCURACY).is_some_and(|name| name == "exact");
    let thumbnails = Thumbnails {
        spread,
        width: number(WIDTH),
        height: number(HEIGHT),
        quality: matches.get_one::<u8>(QUALITY).copied().unwrap_or(90),
        accuracy: if is_exact { Accuracy::Exact } else { Accuracy::Keyframe },
        stem,
    };
    let folder = output(matches)?.unwrap_or(Path::new("."));
    let replace = !matches.get_flag(NO_CLOBBER);
    let target = Target { location: name::place(folder), replace, named: true };
    let folder = target.location.clone();
    let format = asked_format(matches).unwrap_or(Format::Jpg);
    let (engine, cancel) = (&context.engine, &context.cancel);
    let plan = avocet::plan_thumbnails(engine, &input, &thumbnails, format, target, cancel)?;
    if matches.get_flag(PLAN) {
        show(context, &plan)
    } else {
        carry_out(context, &plan, Some(&folder))
    }
}

/// The format that `--format` names.
fn asked_format(matches: &ArgMatches) -> Option<Format> {
    matches.get_one::<String>(FORMAT).and_then(|name| Format::from_name(name))
}

fn read(matches: &ArgMatches) -> Result<CheckedJob, Failure> {
    let path = matches.get_one::<PathBuf>(JOB).map_or(Path::new("-"), PathBuf::as_path);
    document::read(path)
}

/// Where the output goes, if that was said.
fn output(matches: &ArgMatches) -> Result<Option<&Path>, Failure> {
    match matches.get_one::<PathBuf>(OUTPUT).map(PathBuf::as_path) {
        Some(path) if path == Path::new("-") => Err(Failure::Usage(
            "`-o` takes a path; media is not written to standard output".to_owned(),
        )),
        path => Ok(path),
    }
}

/// A document says the format; a name that promises another one is a mistake.
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

/// Where the output goes and what it may replace: nothing, under a name that nobody chose.
fn target(job: &Job, output: Option<&Path>, matches: &ArgMatches) -> Result<Target, Failure> {
    if let Some(output) = output {
        let replace = !matches.get_flag(NO_CLOBBER);
        return Ok(Target { location: name::place(output), replace, named: true });
    }
    let path = match (name::format(job), job.inputs.first()) {
        (Some(format), Some(input)) => {
            name::usual_output(&avocet::locate(&input.url)?, job, format)
        }
        // Several outputs have names of their own, in a folder.
        _ => PathBuf::from("."),
    };
    Ok(Target { location: Location::from(path), replace: false, named: false })
}

pub(super) fn plan(context: &Context, job: &CheckedJob, target: Target) -> Result<Answer, Failure> {
    show(context, &avocet::plan(&context.engine, job, target, &context.cancel)?)
}

fn show(context: &Context, plan: &Plan) -> Result<Answer, Failure> {
    if !context.json {
        return Ok(Answer::new(plan.to_string()));
    }
    let json = serde_json::to_string(&report::without_secrets(plan));
    // JSON has no way to write a path that is no UTF-8.
    let json = json.map_err(|error| Failure::Usage(format!("the plan is no JSON: {error}")))?;
    Ok(Answer::new(json))
}

pub(super) fn run(context: &Context, job: &CheckedJob, target: Target) -> Result<Answer, Failure> {
    let makes_several = name::format(job).is_none();
    let folder = makes_several.then(|| target.location.clone());
    let plan = avocet::plan(&context.engine, job, target, &context.cancel)?;
    carry_out(context, &plan, folder.as_ref())
}

/// Runs a plan whose outputs go into `folder`, when there are several.
fn carry_out(context: &Context, plan: &Plan, folder: Option<&Location>) -> Result<Answer, Failure> {
    if let Some(folder) = folder {
        context.folder.make(folder)?;
    }
    let report = context.engine.run(plan, &context.cancel, |progress| {
        context.show.observe(progress);
        ControlFlow::Continue(())
    })?;
    context.folder.keep();
    if context.json {
        return Ok(Answer::new(report::to_json(&report)));
    }
    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    Ok(Answer { output: report::to_text(&report), warnings })
}
