//! The commands that plan and run jobs.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use avocet::{
    Builder, Format, Plan,
    io::{Location, Target},
    recipes::{CheckedJob, Job, Recipe, RecipeName, Sampling, Task},
};
use clap::ArgMatches;

use super::{
    Answer, Context,
    arguments::{COUNT, EVERY, FORMAT, INPUT, JOB, NO_CLOBBER, OUTPUT, PLAN, SEEK},
    document::{self, Arguments},
    failure::Failure,
    name, report, time,
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
    carry_out(context, avocet::job(job).output(target), false)
}

/// `avocet plan`
pub(super) fn plan_document(context: &Context, matches: &ArgMatches) -> Result<Answer, Failure> {
    let job = read(matches)?;
    let target = target(&job, None, matches)?;
    carry_out(context, avocet::job(job).output(target), true)
}

/// A recipe's command, as in `avocet trim`.
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
        inputs: inputs.map(|input| avocet::io::input_url(input)).collect(),
        output,
        asked: recipe.makes_several().then(|| asked_format(matches)),
        values: recipe.parameters().iter().enumerate().filter_map(given).collect(),
    };
    if recipe == RecipeName::Thumbnail
        && let Some(sampling) = sampling(matches)?
    {
        return run_thumbnails(context, &arguments, sampling, matches);
    }
    let job = arguments.job()?;
    let target = target(&job, output, matches)?;
    carry_out(context, avocet::job(job).output(target), matches.get_flag(PLAN))
}

/// `avocet thumbnail` for many pictures.
fn run_thumbnails(
    context: &Context,
    arguments: &Arguments<'_>,
    sampling: Sampling,
    matches: &ArgMatches,
) -> Result<Answer, Failure> {
    let input = matches.get_one::<OsString>(INPUT).map(OsString::as_os_str).unwrap_or_default();
    let thumbnails = arguments.thumbnails(input, sampling, asked_format(matches))?;
    let folder = output(matches)?.unwrap_or(Path::new("."));
    let replace = !matches.get_flag(NO_CLOBBER);
    let target = Target { location: name::place(folder), replace, named: true };
    carry_out(context, thumbnails.output(target), matches.get_flag(PLAN))
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
fn asked_format(matches: &ArgMatches) -> Format {
    let name = matches.get_one::<String>(FORMAT);
    name.and_then(|name| Format::from_name(name)).unwrap_or(Format::Jpg)
}

fn read(matches: &ArgMatches) -> Result<CheckedJob, Failure> {
    let path = matches.get_one::<PathBuf>(JOB).map_or(Path::new("-"), PathBuf::as_path);
    document::read(path)
}

/// The path of `-o`, if it was given; an error for `-`.
fn output(matches: &ArgMatches) -> Result<Option<&Path>, Failure> {
    match matches.get_one::<PathBuf>(OUTPUT).map(PathBuf::as_path) {
        Some(path) if path == Path::new("-") => Err(Failure::Usage(
            "`-o` takes a path; media is not written to standard output".to_owned(),
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
    let path = match (name::format(job), job.inputs.first()) {
        (Some(format), Some(input)) => {
            name::usual_output(&avocet::io::locate(&input.url)?, job, format)
        }
        // Several outputs get names of their own, in the current folder.
        _ => PathBuf::from("."),
    };
    Ok(Target { location: Location::from(path), replace: false, named: false })
}

/// Plans a job, or one of a builder, and prints the plan or runs it.
pub(super) fn carry_out<R>(
    context: &Context,
    builder: Builder<'_, R>,
    only_plan: bool,
) -> Result<Answer, Failure> {
    let show = context.show.clone();
    let planned = builder
        .engine(&context.engine)
        .cancel(&context.cancel)
        .progress(move |progress| show.observe(progress))
        .plan()?;
    if only_plan {
        return show_plan(context, &planned.plan);
    }
    let report = planned.run()?;
    if context.json {
        return Ok(Answer::new(report::to_json(&report)));
    }
    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    Ok(Answer { output: report::to_text(&report), warnings })
}

fn show_plan(context: &Context, plan: &Plan) -> Result<Answer, Failure> {
    if !context.json {
        return Ok(Answer::new(plan.to_string()));
    }
    let json = serde_json::to_string(&report::without_secrets(plan));
    // JSON can not represent a path that is not UTF-8.
    let json = json
        .map_err(|error| Failure::Usage(format!("the plan can not be written as JSON: {error}")))?;
    Ok(Answer::new(json))
}
