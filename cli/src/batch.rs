//! One recipe for several inputs, and for all files of folders.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use avocet::{
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

/// An input, and where its output goes below the folder of outputs, without an extension.
struct One {
    input: OsString,
    stem: PathBuf,
    /// Whether it was found in a folder: then it may be no media.
    is_found: bool,
}

/// Whether the inputs of a command are more than one file.
pub(super) fn is_asked_for(recipe: RecipeName, inputs: &[&OsString]) -> bool {
    let is_folder = |input: &&OsString| Path::new(input).is_dir();
    recipe != RecipeName::Concat && (inputs.len() > 1 || inputs.iter().any(is_folder))
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
    let all = expand(inputs)?;
    let extension = job::asked_format(matches)
        .or(recipe.formats().first().copied())
        .map_or("mp4", avocet::Format::extension);
    let mut places = BTreeMap::new();
    for one in &all {
        let place = place_of(recipe, one, output, extension);
        if let Some(other) = places.insert(place.clone(), one.input.clone()) {
            return Err(Failure::Usage(format!(
                "{} and {} would both become {}; give them in two commands",
                Path::new(&other).display(),
                Path::new(&one.input).display(),
                place.display()
            )));
        }
    }
    let count = all.len();
    let (mut texts, mut jobs, mut warnings, mut failed, mut skipped) =
        (Vec::new(), Vec::new(), Vec::new(), 0, 0);
    for (number, one) in all.iter().enumerate() {
        context.show.begin(number, count, &Path::new(&one.input).display().to_string());
        let place = place_of(recipe, one, output, extension);
        match run_one(context, recipe, one, &place, matches) {
            Ok(answer) => {
                jobs.push(with_input(&answer.output, one));
                texts.push(answer.output);
                warnings.extend(answer.warnings);
            }
            Err(failure) if failure.is_cancellation() => return Err(failure),
            // A folder may hold other files, too.
            Err(Failure::Job(avocet::Error::Engine(Error::NotMedia { .. }))) if one.is_found => {
                warnings.push(format!("skipped: {}: not media", Path::new(&one.input).display()));
                skipped += 1;
            }
            Err(failure) => {
                failed += 1;
                jobs.push(with_input(&failure.to_json(), one));
                if !context.json {
                    context.show.clear();
                    terminal::note(&failure.to_text());
                }
            }
        }
    }
    let done = count - failed - skipped;
    let status = u8::from(failed > 0);
    let output = if context.json {
        let state = if failed > 0 { "failed" } else { "completed" };
        json!({ "state": state, "jobs": jobs }).to_string()
    } else {
        texts.push(format!("{done} of {} done", count - skipped));
        texts.join("\n")
    };
    Ok(Answer { warnings, status, ..Answer::new(output) })
}

fn run_one(
    context: &Context,
    recipe: RecipeName,
    one: &One,
    place: &Path,
    matches: &ArgMatches,
) -> Result<Answer, Failure> {
    let is_new = |folder: &&Path| !folder.as_os_str().is_empty() && !folder.exists();
    let folders: Vec<&Path> = place.ancestors().skip(1).take_while(is_new).collect();
    if let Some(parent) = folders.first().filter(|_| !matches.get_flag(PLAN)) {
        fs::create_dir_all(parent)
            .map_err(|source| Error::Write { location: Location::from(*parent), source })?;
    }
    let arguments = Arguments {
        recipe,
        inputs: vec![avocet::io::input_url(&one.input)],
        output: Some(place),
        asked: job::asked_format(matches),
        values: job::values(recipe, matches),
    };
    let replace = !matches.get_flag(NO_CLOBBER);
    let target = Target { location: name::place(place), replace, named: false };
    let answer = job::start(context, &arguments, target, matches);
    if answer.is_err() {
        // Those that were made for nothing go; one that is not empty stays.
        for folder in folders {
            let _ = fs::remove_dir(folder);
        }
    }
    answer
}

/// Where the output of an input goes.
fn place_of(recipe: RecipeName, one: &One, output: Option<&Path>, extension: &str) -> PathBuf {
    let mut place = output.unwrap_or(Path::new("")).join(&one.stem).into_os_string();
    if output.is_none() {
        place.push("-");
        place.push(name::kebab(recipe.name()));
    }
    if !recipe.makes_several() {
        place.push(".");
        place.push(extension);
    }
    place.into()
}

/// The files that the inputs name, those of folders by their names.
fn expand(inputs: &[&OsString]) -> Result<Vec<One>, Failure> {
    let mut all = Vec::new();
    for input in inputs {
        let path = Path::new(input);
        if path.is_dir() {
            let unreadable = |error| {
                Failure::Usage(format!("can not read the folder {}: {error}", path.display()))
            };
            collect(path, Path::new(""), &mut all).map_err(unreadable)?;
        } else {
            let url = avocet::io::input_url(input);
            let place = avocet::io::locate(&url)?;
            let name = place.file_name().map(Cow::into_owned).unwrap_or_default();
            let stem = Path::new(&name).file_stem().unwrap_or_default().into();
            all.push(One { input: (*input).clone(), stem, is_found: false });
        }
    }
    if all.is_empty() {
        return Err(Failure::Usage("the folders hold no files".to_owned()));
    }
    Ok(all)
}

/// The regular files in a folder and in those below it, hidden ones excepted.
fn collect(folder: &Path, below: &Path, all: &mut Vec<One>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, &below.join(&name), all)?;
        } else if path.is_file() {
            let stem = below.join(Path::new(&name).file_stem().unwrap_or_default());
            all.push(One { input: path.into_os_string(), stem, is_found: true });
        }
    }
    Ok(())
}

/// A JSON answer with the name of its input.
fn with_input(answer: &str, one: &One) -> Value {
    let mut value: Value = serde_json::from_str(answer).unwrap_or(Value::Null);
    if let Value::Object(fields) = &mut value {
        let name = Path::new(&one.input).to_string_lossy().into_owned();
        fields.insert("input".to_owned(), Value::String(name));
    }
    value
}
