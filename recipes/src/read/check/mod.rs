//! The one walk over a document that gathers everything wrong with it.

mod files;
mod recipe;
mod spot;
#[cfg(test)]
mod tests;

use crate::job::{MAX_METADATA, Priority};
use crate::recipe::RecipeName;
use crate::words::error::{DocumentError, Problem};
use crate::words::format::Format;
use crate::words::parameter::one_of;
use crate::words::tree::Tree;

use crate::words::nearest::allowed_words;
use spot::{Problems, Spot};

/// Which rules a document is held to: what it may name depends on who reads it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Policy {
    /// The library and the program: paths and `file:` URLs are inputs, too; `presetId` and
    /// `webhookUrl` are refused.
    Program,
    /// A service: inputs and webhooks are `https:` URLs, or `http:` where the service allows it.
    Service,
}

/// The kind of job that a document asks for, as far as it is known.
#[derive(Clone, Copy)]
enum Asked {
    Recipe(RecipeName),
    UnknownRecipe,
    Ffmpeg,
    Unclear,
}

const FIELDS: [&str; 15] = [
    "mode",
    "input",
    "output",
    "recipe",
    "ffmpeg",
    "input_files",
    "output_files",
    "presetId",
    "webhookUrl",
    "outputUrl",
    "stageInput",
    "priority",
    "timeoutSeconds",
    "maxOutputBytes",
    "metadata",
];

/// Those that only a service takes.
const FOR_SERVICES: [&str; 7] = [
    "presetId",
    "webhookUrl",
    "outputUrl",
    "priority",
    "timeoutSeconds",
    "maxOutputBytes",
    "metadata",
];

/// Everything wrong with the document; nothing when it is a job.
pub(crate) fn check(document: &Tree, policy: Policy) -> Vec<Problem> {
    let mut problems = Problems::default();
    let root = Spot::root(document);
    note_duplicates(&mut problems, &root);
    if note_fields(&mut problems, &root, &FIELDS, "an object") {
        let asked = mode(&mut problems, &root);
        let format = files::format(&mut problems, &root.field("output"), asked);
        match asked {
            Asked::Recipe(name) => {
                recipe::parameters(&mut problems, &root.field("recipe"), name, format);
            }
            Asked::Ffmpeg => arguments(&mut problems, &root.field("ffmpeg")),
            Asked::UnknownRecipe | Asked::Unclear => {}
        }
        files::shape(&mut problems, &root, asked);
        files::places(&mut problems, &root, asked, policy);
        around(&mut problems, &root, policy);
    }
    problems.into_list()
}

/// Refuses a document in which a key stands twice, before a step that would lose one of the two.
pub(crate) fn refuse_duplicates(document: &Tree) -> Result<(), DocumentError> {
    let mut problems = Problems::default();
    note_duplicates(&mut problems, &Spot::root(document));
    let problems = problems.into_list();
    if problems.is_empty() { Ok(()) } else { Err(DocumentError::Invalid { problems }) }
}

/// Adds a problem for each repeated key of the document, of its fields and of the objects in lists
/// of the recipe. A valid document has no other objects.
fn note_duplicates(problems: &mut Problems, root: &Spot<'_>) {
    let fields: Vec<_> = root.fields().map(|(_, field)| field).collect();
    let recipe = root.field("recipe");
    let listed = recipe.fields().flat_map(|(_, list)| list.items().collect::<Vec<_>>());
    for spot in std::iter::once(root.clone()).chain(fields).chain(listed) {
        for field in spot.repeated() {
            problems.add(&field, "this key only once");
        }
    }
}

/// Adds a problem for a value that is no object, or for each unknown field of it. Returns whether
/// it is an object.
fn note_fields(problems: &mut Problems, spot: &Spot<'_>, names: &[&str], allowed: &str) -> bool {
    if !spot.is_object() {
        problems.add(spot, allowed);
        return false;
    }
    for (key, field) in spot.fields() {
        if !names.contains(&key) {
            problems.add(&field, format!("a known field: {}", allowed_words(names, Some(key))));
        }
    }
    true
}

/// Checks `mode` and the fields that go with it. Without a valid mode, the fields that are there
/// show what was meant, so that their problems are found as well.
fn mode(problems: &mut Problems, root: &Spot<'_>) -> Asked {
    const MODES: [&str; 2] = ["recipe", "ffmpeg"];
    let mode = root.field("mode");
    let (recipe, ffmpeg) = (root.field("recipe"), root.field("ffmpeg"));
    match mode.text() {
        Some("recipe") => {
            if ffmpeg.is_given() {
                problems.add(&ffmpeg, "nothing, as `mode` is `recipe`");
            }
            self::recipe::name(problems, &recipe)
        }
        Some("ffmpeg") => {
            if recipe.is_given() {
                problems.add(&recipe, "nothing, as `mode` is `ffmpeg`");
            }
            Asked::Ffmpeg
        }
        text => {
            problems.add(&mode, allowed_words(&MODES, text));
            match (recipe.is_given(), ffmpeg.is_given()) {
                (true, false) => self::recipe::name(problems, &recipe),
                (false, true) => Asked::Ffmpeg,
                _ => Asked::Unclear,
            }
        }
    }
}

/// Checks that `ffmpeg.args` is an array of strings. Which arguments are allowed is checked
/// elsewhere (`crate::custom`).
fn arguments(problems: &mut Problems, ffmpeg: &Spot<'_>) {
    if !note_fields(problems, ffmpeg, &["args"], "an object with `args`") {
        return;
    }
    let arguments = ffmpeg.field("args");
    if !matches!(arguments.value, Some(Tree::Array(items)) if !items.is_empty()) {
        problems.add(&arguments, "an array of one or more strings");
    }
    for argument in arguments.items() {
        if argument.text().is_none_or(|text| text.contains('\0')) {
            problems.add(&argument, "a string without NUL");
        }
    }
}

/// Checks the fields around the job: those for services, and `stageInput`.
fn around(problems: &mut Problems, root: &Spot<'_>, policy: Policy) {
    match policy {
        Policy::Program => {
            for spot in FOR_SERVICES.map(|name| root.field(name)).into_iter().filter(Spot::is_given)
            {
                problems.add(&spot, "nothing, only a service takes it");
            }
        }
        Policy::Service => for_services(problems, root),
    }
    let stage = root.field("stageInput");
    if stage.is_given() && !matches!(stage.value, Some(Tree::Boolean(_))) {
        problems.add(&stage, "true or false");
    }
    let inner = root.field("recipe").field("stageInput");
    if let (Some(Tree::Boolean(outer)), Some(Tree::Boolean(value))) = (stage.value, inner.value)
        && outer != value
    {
        problems.add(&inner, format!("{outer}, as `stageInput` beside the recipe says"));
    }
}

/// Checks the fields that only a service takes.
fn for_services(problems: &mut Problems, root: &Spot<'_>) {
    let preset = root.field("presetId");
    if preset.is_given() && preset.text().is_none_or(str::is_empty) {
        problems.add(&preset, "a string that is not empty");
    }
    let webhook = root.field("webhookUrl");
    let is_url = |url| files::is_url(url, &["https", "http"]);
    if webhook.is_given() && !webhook.text().is_some_and(is_url) {
        problems.add(&webhook, "a URL that begins with `https://`");
    }
    let output = root.field("outputUrl");
    if output.is_given() && !output.text().is_some_and(|text| text.starts_with("root:")) {
        problems.add(&output, "a place as in `root:films/a.mp4`");
    }
    let priority = root.field("priority");
    let names = Priority::ALL.map(Priority::name);
    if priority.is_given() && priority.text().is_none_or(|name| !names.contains(&name)) {
        problems.add(&priority, one_of(&names));
    }
    for (name, most) in [("timeoutSeconds", MAX_SECONDS), ("maxOutputBytes", MAX_BYTES)] {
        let limit = root.field(name);
        let number = match limit.value {
            Some(Tree::Number(number)) => number.as_u64(),
            _ => None,
        };
        if limit.is_given() && !number.is_some_and(|number| (1..=most).contains(&number)) {
            problems.add(&limit, format!("an integer 1 to {most}"));
        }
    }
    let metadata = root.field("metadata");
    let is_short = |text: &str, least: usize, most: usize| {
        (least..=most).contains(&text.chars().take(most + 1).count()) && !text.contains('\0')
    };
    if metadata.is_given() && (!metadata.is_object() || metadata.fields().count() > MAX_METADATA) {
        problems.add(&metadata, format!("an object of up to {MAX_METADATA} strings"));
        return;
    }
    for (name, value) in metadata.fields() {
        if !is_short(name, 1, 64) || !value.text().is_some_and(|text| is_short(text, 0, 512)) {
            problems.add(&value, "a string of up to 512 letters, under a name of 1 to 64");
        }
    }
}

/// The most for `timeoutSeconds`: a week.
const MAX_SECONDS: u64 = 604_800;

/// The most for `maxOutputBytes`: all integers up to here are exact in JSON readers that use doubles.
const MAX_BYTES: u64 = 1 << 53;

/// The names of a list of formats.
fn names_of(formats: &[Format]) -> Vec<&'static str> {
    formats.iter().map(|format| format.name()).collect()
}
