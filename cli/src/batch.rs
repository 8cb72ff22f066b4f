//! One recipe for several inputs, and for the media in folders.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
    sync::PoisonError,
};

use avocet::{
    Format,
    engine::Error,
    io::{Location, Target},
    recipes::RecipeName,
};
use clap::ArgMatches;
use serde_json::{Value, json};

use super::{
    Answer, Context,
    arguments::{NO_CLOBBER, PLAN},
    document::Arguments,
    failure::Failure,
    job, name, terminal,
};

/// Extensions of media, in lower case, beside those of the formats that recipes make: only such files
/// are taken of a folder.
const MEDIA: &[&str] = &[
    "3g2", "3gp", "ac3", "aif", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "dts", "dv",
    "eac3", "f4v", "flv", "ivf", "m2ts", "m2v", "m4b", "m4v", "mka", "mp2", "mpeg", "mpg", "mts",
    "mxf", "nut", "oga", "ogv", "rm", "ts", "tta", "vob", "w64", "wma", "wmv", "wtv", "wv", "y4m",
];

/// An input.
struct One {
    input: OsString,
    /// The folder below that of the input, in which it was found.
    below: PathBuf,
    /// Its file name.
    name: OsString,
}

/// Whether the inputs of a command are more than one file, or its output is a folder.
pub(super) fn is_asked_for(
    recipe: RecipeName,
    inputs: &[&OsString],
    matches: &ArgMatches,
) -> Result<bool, Failure> {
    if recipe == RecipeName::Concat {
        return Ok(false);
    }
    let is_folder = |input: &&OsString| Path::new(input).is_dir();
    if inputs.len() > 1 || inputs.iter().any(is_folder) {
        return Ok(true);
    }
    // A shell may have found one file for a pattern, so a folder is told by the slash at its end.
    let makes_files = makes_files(recipe, matches)?;
    let output = job::asked_output(matches).filter(|_| !makes_files);
    Ok(output.is_some_and(|output| {
        let text = output.to_string_lossy();
        text.ends_with('/') && !text.contains("://")
    }))
}

/// Whether each input becomes several files.
fn makes_files(recipe: RecipeName, matches: &ArgMatches) -> Result<bool, Failure> {
    Ok(recipe.makes_several() || job::sampling_of(recipe, matches)?.is_some())
}

/// Does the work for each input, one after the other; goes on when one of them fails.
pub(super) fn run(
    context: &Context,
    recipe: RecipeName,
    inputs: &[&OsString],
    matches: &ArgMatches,
) -> Result<Answer, Failure> {
    let output = job::output(matches)?;
    if output.is_some_and(|output| output.exists() && !output.is_dir()) {
        let message = "`-o` must be a folder for several inputs, and is a file".to_owned();
        return Err(Failure::Usage(message));
    }
    expect_no_values(inputs)?;
    output.map_or(Ok(()), |output| job::expect_folder(output, "several inputs"))?;
    expect_apart(inputs, output)?;
    // What is wrong with the arguments is wrong for all inputs, and told once.
    job::check(
        &arguments(recipe, inputs.first().map_or("".as_ref(), |input| *input), None, matches),
        matches,
    )?;
    let Found { media: all, others, unreadable } = expand(inputs)?;
    let places = places(recipe, &all, output, matches)?;
    let count = all.len() + unreadable.len();
    let (mut warnings, mut failed) = (Vec::new(), unreadable.len());
    let note = |answer: &str, input: &str| {
        let mut done = context.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.push(with_input(answer, input));
    };
    for (folder, failure) in &unreadable {
        note(&failure.to_json(), &folder.display().to_string());
        if !context.json {
            terminal::note(&failure.to_text());
        }
    }
    let jobs = || context.done.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if others > 0 {
        let what = if others == 1 { "file that is" } else { "files that are" };
        warnings.push(format!("skipped: {others} {what} no media by name"));
    }
    for (number, (one, place)) in all.iter().zip(&places).enumerate() {
        let name = shown(&one.input);
        context.show.begin(number, all.len(), &name);
        // A name that was made up replaces no file.
        let replace = output.is_some() && !matches.get_flag(NO_CLOBBER);
        let result = run_one(context, recipe, one, (place, replace), matches);
        context.show.clear();
        match result {
            Ok(answer) => {
                note(&answer.output, &name);
                for warning in answer.warnings {
                    terminal::note(&format!("{name}: {warning}"));
                }
                if !context.json {
                    terminal::print(&answer.output, 0);
                }
            }
            Err(failure) if failure.is_cancellation() && !context.json => return Err(failure),
            Err(failure) if failure.is_cancellation() => {
                // What was done before it stays, and is told.
                note(&failure.to_json(), &name);
                let output = terminal::json(&json!({ "state": "cancelled", "jobs": jobs() }));
                return Ok(Answer { warnings, status: failure.status(), ..Answer::new(output) });
            }
            Err(failure) => {
                failed += 1;
                note(&failure.to_json(), &name);
                if !context.json {
                    terminal::note(&format!("{name}: {}", failure.to_text()));
                }
            }
        }
    }
    let done = count - failed;
    let status = u8::from(failed > 0);
    let output = if context.json {
        let state = if failed > 0 { "failed" } else { "completed" };
        terminal::json(&json!({ "state": state, "jobs": jobs() }))
    } else if matches.get_flag(PLAN) {
        format!("{done} of {count} planned")
    } else {
        format!("{done} of {count} done")
    };
    Ok(Answer { warnings, status, ..Answer::new(output) })
}

/// Refuses the value of a switch that stands apart from it, and so became an input.
fn expect_no_values(inputs: &[&OsString]) -> Result<(), Failure> {
    let is_value = |input: &&&OsString| {
        ["true", "false", "yes", "no"].contains(&input.to_string_lossy().as_ref())
            && !Path::new(input).exists()
    };
    let Some(value) = inputs.iter().find(is_value) else { return Ok(()) };
    let value = value.display();
    Err(Failure::Usage(format!(
        "`{value}` is no file; a switch has its value behind `=`, as in `--reencode={value}`"
    )))
}

/// Refuses folders whose outputs the next run would take as inputs.
fn expect_apart(inputs: &[&OsString], output: Option<&Path>) -> Result<(), Failure> {
    let whole = |path: &Path| {
        // The nearest folder that is there, for one that is to be made.
        path.ancestors().find_map(|folder| {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            fs::canonicalize(folder).ok()
        })
    };
    for input in inputs.iter().map(Path::new).filter(|input| input.is_dir()) {
        let Some(output) = output else {
            let message = format!(
                "the input {} is a folder: `-o` names another for the outputs",
                input.display()
            );
            return Err(Failure::Usage(message));
        };
        let is_within =
            whole(output).zip(whole(input)).is_some_and(|(one, other)| one.starts_with(other));
        if is_within {
            return Err(Failure::Usage(format!(
                "the folder of the outputs, {}, lies in that of the inputs, {}, and its files would be \
                 inputs the next time; name another with `-o`",
                output.display(),
                input.display()
            )));
        }
    }
    Ok(())
}

/// The arguments of a job for one input.
fn arguments<'a>(
    recipe: RecipeName,
    input: &OsStr,
    output: Option<&'a Path>,
    matches: &'a ArgMatches,
) -> Arguments<'a> {
    Arguments {
        recipe,
        inputs: vec![avocet::io::input_url(input)],
        output,
        asked: job::asked_format(matches),
        values: job::values(recipe, matches),
    }
}

fn run_one(
    context: &Context,
    recipe: RecipeName,
    one: &One,
    (place, replace): (&Path, bool),
    matches: &ArgMatches,
) -> Result<Answer, Failure> {
    let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let folders: Vec<&Path> = place.ancestors().skip(1).take_while(is_new).collect();
    if let Some(parent) = folders.first().filter(|_| !matches.get_flag(PLAN)) {
        fs::create_dir_all(parent)
            .map_err(|source| Error::Write { location: Location::from(*parent), source })?;
    }
    let arguments = arguments(recipe, &one.input, Some(place), matches);
    // The codec of extracted sound decides its extension, unless a format was asked for.
    let named = arguments.asked.is_some();
    let target = Target { location: name::place(place), replace, named };
    let answer = job::start(context, &arguments, target, matches);
    if answer.is_err() {
        // Those that were made for nothing go; one that is not empty stays.
        for folder in folders {
            let _ = fs::remove_dir(folder);
        }
    }
    answer
}

/// Where the outputs of the inputs go. Inputs whose names differ by their extensions only keep these.
fn places(
    recipe: RecipeName,
    all: &[One],
    output: Option<&Path>,
    matches: &ArgMatches,
) -> Result<Vec<PathBuf>, Failure> {
    let makes_files = makes_files(recipe, matches)?;
    let asked = job::asked_format(matches);
    let extension = asked
        .or(recipe.formats().first().copied())
        .map_or("mp4", |format| name::usual_extension(recipe, format, asked.is_some()));
    let stem = |one: &One| one.below.join(Path::new(&one.name).file_stem().unwrap_or_default());
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for one in all {
        *counts.entry(stem(one)).or_default() += 1;
    }
    let place = |one: &One| {
        let stem = stem(one);
        let is_alone = counts.get(&stem) == Some(&1);
        let name = if is_alone { stem } else { one.below.join(&one.name) };
        let mut place = output.unwrap_or(Path::new("")).join(name).into_os_string();
        if output.is_none() {
            place.push("-");
            place.push(name::kebab(recipe.name()));
            place.push(if recipe == RecipeName::Thumbnail && makes_files { "s" } else { "" });
        }
        if !makes_files {
            place.push(".");
            place.push(extension);
        }
        PathBuf::from(place)
    };
    let places: Vec<PathBuf> = all.iter().map(place).collect();
    expect_distinct(all, &places)?;
    Ok(places)
}

/// Refuses two inputs with one output, and outputs that are inputs.
fn expect_distinct(all: &[One], places: &[PathBuf]) -> Result<(), Failure> {
    let inputs: BTreeSet<_> =
        all.iter().filter_map(|one| fs::canonicalize(&one.input).ok()).collect();
    let mut taken = BTreeMap::new();
    for (one, place) in all.iter().zip(places) {
        let input = shown(&one.input);
        if let Some(other) = taken.insert(place, &one.input) {
            return Err(Failure::Usage(format!(
                "{} and {input} would both become {}; rename one, or give them in two commands with two folders",
                shown(other),
                place.display()
            )));
        }
        if fs::canonicalize(place).is_ok_and(|place| inputs.contains(&place)) {
            let message = format!(
                "the output of {input}, {}, is an input; name another folder with `-o`",
                place.display()
            );
            return Err(Failure::Usage(message));
        }
    }
    Ok(())
}

/// The name of an input for people, without the secrets of a URL.
fn shown(input: &OsStr) -> String {
    avocet::io::without_secrets(&Path::new(input).display().to_string())
}

/// What the inputs of a command name.
#[derive(Default)]
struct Found {
    /// Those of folders are taken by their names.
    media: Vec<One>,
    /// How many files of folders are no media by their names.
    others: usize,
    /// Folders below those that were named.
    unreadable: Vec<(PathBuf, Failure)>,
}

/// The files that the inputs name.
fn expand(inputs: &[&OsString]) -> Result<Found, Failure> {
    let mut all = Found::default();
    for input in inputs {
        let path = Path::new(input);
        if path.is_dir() {
            let mut folder = Folder::default();
            folder.collect(path, Path::new(""))?;
            let mut found = folder.found;
            if found.media.is_empty() && found.unreadable.is_empty() {
                return Err(Failure::Usage(format!("no media in the folder {}", path.display())));
            }
            all.media.append(&mut found.media);
            all.others += found.others;
            all.unreadable.append(&mut found.unreadable);
        } else {
            let url = avocet::io::input_url(input);
            let place = avocet::io::locate(&url)?;
            let name = match url.as_str() {
                "-" => "stdin".into(),
                _ => place.file_name().map(Cow::into_owned).unwrap_or_default().into(),
            };
            all.media.push(One { input: (*input).clone(), below: PathBuf::new(), name });
        }
    }
    Ok(all)
}

/// What was found in a folder and in those below it; hidden files are not looked at.
#[derive(Default)]
struct Folder {
    found: Found,
    /// The folders that were read, since symbolic links may lead back to one.
    read: BTreeSet<PathBuf>,
}

impl Folder {
    fn collect(&mut self, folder: &Path, below: &Path) -> Result<(), Failure> {
        let unreadable = |error: io::Error| {
            Failure::Usage(format!("can not read the folder {}: {error}", folder.display()))
        };
        if !self.read.insert(fs::canonicalize(folder).map_err(unreadable)?) {
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(unreadable)?;
        let mut entries = entries.collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            if path.is_dir() {
                if let Err(failure) = self.collect(&path, &below.join(&name)) {
                    self.found.unreadable.push((path, failure));
                }
            } else if path.is_file() && is_media(&name) {
                self.found.media.push(One { input: path.into(), below: below.to_owned(), name });
            } else {
                self.found.others += 1;
            }
        }
        Ok(())
    }
}

/// Whether a file is media by its name. Pictures are not: they lie beside what they belong to.
fn is_media(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default().to_string_lossy();
    let format = Format::from_extension(&extension).filter(|format| !format.is_picture());
    format.is_some() || MEDIA.contains(&extension.to_ascii_lowercase().as_str())
}

/// A JSON answer with the name of its input.
fn with_input(answer: &str, input: &str) -> Value {
    let mut value: Value = serde_json::from_str(answer).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut value {
        fields.insert("input".to_owned(), Value::String(input.to_owned()));
    }
    value
}
