//! Job documents: read from a file, or made of the arguments of a recipe's command.

use std::{borrow::Cow, fs, io, io::Read, path::Path};

use avocet::{
    Format, Policy,
    recipes::{CheckedJob, DocumentError, Job, Kind, Problem, RecipeName, Tree},
};

use super::{
    failure::{ArgumentProblem, Failure},
    name::{self, kebab},
    time,
};

/// The largest document that is read, in bytes; anything larger was never meant to be one.
const LARGEST: u64 = 1 << 20;

/// Reads the job in a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<CheckedJob, Failure> {
    let text = read_text(path).map_err(|error| {
        let name =
            if path == Path::new("-") { Path::new("standard input") } else { path }.display();
        Failure::Usage(format!("can not read the job document from {name}: {error}"))
    })?;
    Ok(Job::from_json(&text, Policy::Program).map_err(avocet::Error::from)?)
}

fn read_text(path: &Path) -> io::Result<String> {
    let too_large = || io::Error::other("it is larger than 1 MiB");
    if path != Path::new("-") {
        if fs::metadata(path)?.len() > LARGEST {
            return Err(too_large());
        }
        return fs::read_to_string(path);
    }
    let mut text = String::new();
    io::stdin().take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST { Err(too_large()) } else { Ok(text) }
}

/// What the command of a recipe was given.
pub(super) struct Arguments<'a> {
    pub(super) recipe: RecipeName,
    /// The inputs, as a document names them.
    pub(super) inputs: Vec<String>,
    /// Where the output goes, if that was said.
    pub(super) output: Option<&'a Path>,
    /// The format, where no name of a file tells it.
    pub(super) asked: Option<Format>,
    /// The parameters that were given: the index in the recipe's table, and the text.
    pub(super) values: Vec<(usize, &'a str)>,
}

impl Arguments<'_> {
    /// The job that the arguments ask for; what is wrong with it names the arguments.
    pub(super) fn job(&self) -> Result<CheckedJob, Failure> {
        let asked = self.format();
        let format = asked.as_ref().copied().unwrap_or(self.usual_format());
        let (job, mut problems) = match Job::from_tree(&self.document(format), Policy::Program) {
            Ok(job) => (Some(job), Vec::new()),
            Err(DocumentError::Invalid { problems }) => (None, problems),
            Err(error) => return Err(avocet::Error::from(error).into()),
        };
        problems.splice(..0, asked.err());
        match job.filter(|_| problems.is_empty()) {
            Some(job) => Ok(job),
            None => {
                Err(Failure::Arguments(problems.into_iter().map(|one| self.named(one)).collect()))
            }
        }
    }

    /// The format that the extension of the output asks for, else the usual one.
    fn format(&self) -> Result<Format, Problem> {
        if let Some(format) = self.asked {
            return Ok(format);
        }
        let Some(output) = self.output.filter(|_| !self.recipe.makes_several()) else {
            return Ok(self.usual_format());
        };
        let extension = match name::place(output).extension() {
            Some(extension) => Cow::Owned(extension),
            // That a folder or a device is no place for media is told by whoever opens it.
            None if output.exists() && !output.is_file() => return Ok(self.usual_format()),
            None => "".into(),
        };
        // Audio that is only copied has files of its own, which the plan checks.
        let is_copied = matches!(extension.as_ref(), "opus" | "ogg" | "flac");
        if self.recipe == RecipeName::ExtractAudio && is_copied {
            return Ok(self.usual_format());
        }
        let formats = self.recipe.formats();
        let format = Format::from_extension(&extension).filter(|format| formats.contains(format));
        format.ok_or_else(|| {
            let names: Vec<_> =
                formats.iter().map(|format| format!("`.{}`", format.extension())).collect();
            Problem {
                path: "output.format".to_owned(),
                found: match extension.as_ref() {
                    "" => "no extension".to_owned(),
                    extension => format!("`.{extension}`"),
                },
                allowed: match names.as_slice() {
                    [name] => name.clone(),
                    names => format!("one of {}", names.join(", ")),
                },
            }
        })
    }

    fn usual_format(&self) -> Format {
        self.recipe.formats().first().copied().unwrap_or(Format::Mp4)
    }

    /// The document that asks for the same.
    fn document(&self, format: Format) -> Tree {
        let text = |text: &str| Tree::Text(text.to_owned());
        let object = |fields: Vec<(&str, Tree)>| {
            Tree::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        };
        let input = match self.inputs.as_slice() {
            [url] if self.recipe != RecipeName::Concat => {
                ("input", object(vec![("url", text(url))]))
            }
            urls => {
                let keyed = urls.iter().enumerate();
                let files = keyed.map(|(index, url)| (format!("in_{}", index + 1), text(url)));
                ("input_files", Tree::Object(files.collect()))
            }
        };
        let mut recipe = vec![("name", text(self.recipe.name()))];
        let parameters = self.recipe.parameters();
        for &(index, text) in &self.values {
            if let Some(parameter) = parameters.get(index) {
                recipe.push((parameter.name, value(parameter.kind, text)));
            }
        }
        object(vec![
            ("mode", text("recipe")),
            input,
            ("output", object(vec![("format", text(format.name()))])),
            ("recipe", object(recipe)),
        ])
    }

    /// The problem with the argument that it comes from.
    fn named(&self, mut problem: Problem) -> ArgumentProblem {
        let path = problem.path.as_str();
        let parameter = path.strip_prefix("recipe.").and_then(|name| {
            self.recipe.parameters().iter().find(|parameter| parameter.name == name)
        });
        let argument = match parameter {
            Some(parameter) => Some(format!("--{}", kebab(parameter.name))),
            None if path.starts_with("output") => Some("-o".to_owned()),
            None if path.starts_with("input") => Some("INPUT".to_owned()),
            None => None,
        };
        if parameter.is_some_and(|parameter| parameter.kind.is_time()) {
            problem.allowed = format!("{}, {}", problem.allowed, time::FORMS);
        }
        ArgumentProblem { argument, problem }
    }
}

/// What stands in a document for the text of a flag; text that is no such value stays text, which
/// the check then names.
fn value(kind: Kind, text: &str) -> Tree {
    let tree = |number: f64| Tree::read(&number.to_string()).ok();
    let number = || text.parse().ok().filter(|number: &f64| number.is_finite()).and_then(tree);
    let time = |text: &str| time::seconds(text).and_then(tree);
    // START+DURATION, with commas between.
    let range = |text: &str| {
        let (start, duration) = text.split_once('+')?;
        Some(Tree::Object(vec![
            ("startSeconds".to_owned(), time(start.trim())?),
            ("durationSeconds".to_owned(), time(duration.trim())?),
        ]))
    };
    let value = match kind {
        Kind::Boolean => text.parse().ok().map(Tree::Boolean),
        Kind::Ranges => text.split(',').map(range).collect::<Option<_>>().map(Tree::Array),
        Kind::Seconds | Kind::PositiveSeconds => time(text),
        Kind::Integer { .. } | Kind::Crf | Kind::Preset => number(),
        _ => None,
    };
    value.unwrap_or_else(|| Tree::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document of a recipe's arguments, or its problems as `argument | found | allowed`.
    fn check(
        recipe: RecipeName,
        inputs: &[&str],
        output: &str,
        flags: &[(&str, &str)],
        expected: &[&str],
    ) {
        let index =
            |name: &str| recipe.parameters().iter().position(|each| kebab(each.name) == name);
        let arguments = Arguments {
            recipe,
            inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: Some(Path::new(output)).filter(|path| *path != Path::new("")),
            asked: None,
            values: flags.iter().filter_map(|&(name, text)| Some((index(name)?, text))).collect(),
        };
        assert_eq!(arguments.values.len(), flags.len(), "an unknown flag among {flags:?}");
        let met = match arguments.job() {
            Ok(_) => {
                vec![arguments.document(arguments.format().unwrap_or(Format::Gif)).to_string()]
            }
            Err(Failure::Arguments(problems)) => problems
                .iter()
                .map(|ArgumentProblem { argument, problem }| {
                    let argument = argument.as_deref().unwrap_or("nothing");
                    format!("{argument} | {} | {}", problem.found, problem.allowed)
                })
                .collect(),
            Err(other) => vec![other.message()],
        };
        assert_eq!(met, expected);
    }

    #[test]
    fn flags_become_a_document() {
        check(
            RecipeName::Thumbnail,
            &["a.mp4"],
            "b.JPEG",
            &[("seek-seconds", "1.50"), ("quality", "+80"), ("accuracy", "keyframe")],
            &[
                r#"{"mode":"recipe","input":{"url":"a.mp4"},"output":{"format":"jpg"},"recipe":{"name":"thumbnail","seekSeconds":1.5,"quality":80,"accuracy":"keyframe"}}"#,
            ],
        );
        check(
            RecipeName::WebReady,
            &["a.mp4"],
            "",
            &[("scale-down", "true"), ("crf", "20")],
            &[
                r#"{"mode":"recipe","input":{"url":"a.mp4"},"output":{"format":"mp4"},"recipe":{"name":"webReady","scaleDown":true,"crf":20}}"#,
            ],
        );
        check(
            RecipeName::Concat,
            &["a.mp4", "b.mp4"],
            "c.mov",
            &[],
            &[
                r#"{"mode":"recipe","input_files":{"in_1":"a.mp4","in_2":"b.mp4"},"output":{"format":"mov"},"recipe":{"name":"concat"}}"#,
            ],
        );
    }

    #[test]
    fn sections_are_starts_and_durations() {
        check(
            RecipeName::Trim,
            &["a"],
            "b.mp4",
            &[("ranges", "1.5+2, 10+0.25")],
            &[
                r#"{"mode":"recipe","input":{"url":"a"},"output":{"format":"mp4"},"recipe":{"name":"trim","ranges":[{"startSeconds":1.5,"durationSeconds":2},{"startSeconds":10,"durationSeconds":0.25}]}}"#,
            ],
        );
    }

    #[test]
    fn times_may_have_hours_and_minutes() {
        check(
            RecipeName::Trim,
            &["a"],
            "b.mp4",
            &[("start-seconds", "1:23:45.5"), ("duration-seconds", "90s")],
            &[
                r#"{"mode":"recipe","input":{"url":"a"},"output":{"format":"mp4"},"recipe":{"name":"trim","startSeconds":5025.5,"durationSeconds":90}}"#,
            ],
        );
        check(
            RecipeName::Trim,
            &["a"],
            "b.mp4",
            &[("ranges", "00:01:00+30s, 1:30:00+0:10")],
            &[
                r#"{"mode":"recipe","input":{"url":"a"},"output":{"format":"mp4"},"recipe":{"name":"trim","ranges":[{"startSeconds":60,"durationSeconds":30},{"startSeconds":5400,"durationSeconds":10}]}}"#,
            ],
        );
    }

    #[test]
    fn presets_are_names_or_numbers() {
        let document = |preset: &str, format: &str| {
            format!(
                r#"{{"mode":"recipe","input":{{"url":"a"}},"output":{{"format":"{format}"}},"recipe":{{"name":"transcode","preset":{preset}}}}}"#
            )
        };
        check(
            RecipeName::Transcode,
            &["a"],
            "b.mp4",
            &[("preset", "slow")],
            &[&document("\"slow\"", "mp4")],
        );
        check(
            RecipeName::Transcode,
            &["a"],
            "b.webm",
            &[("preset", "5")],
            &[&document("5", "webm")],
        );
    }

    #[test]
    fn numbers_that_are_none_are_named() {
        let seconds = "a finite number of seconds, 0 or more, \
                       written as 90.5, 90s, 500ms or 1:23:45.5";
        for text in ["NaN", "inf", "-inf", "1e999", "1m", "1:60", ""] {
            check(
                RecipeName::Thumbnail,
                &["a"],
                "b.jpg",
                &[("seek-seconds", text)],
                &[&format!("--seek-seconds | \"{text}\" | {seconds}")],
            );
        }
        check(
            RecipeName::Thumbnail,
            &["a"],
            "b.jpg",
            &[("seek-seconds", "-1")],
            &[&format!("--seek-seconds | -1 | {seconds}")],
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        check(
            RecipeName::Thumbnail,
            &[""],
            "b.mkv",
            &[("quality", "101"), ("lenient", "yes")],
            &[
                "-o | `.mkv` | one of `.jpg`, `.png`, `.webp`",
                "--quality | 101 | an integer 1 to 100",
                "--lenient | \"yes\" | true or false",
                "INPUT | \"\" | a path or URL, not empty and without NUL",
            ],
        );
        check(RecipeName::Proxy, &["a"], "b", &[], &["-o | no extension | `.mp4`"]);
        check(
            RecipeName::ExtractAudio,
            &["a"],
            "b.mp4",
            &[],
            &["-o | `.mp4` | one of `.mp3`, `.aac`, `.wav`, `.m4a`"],
        );
        check(
            RecipeName::Concat,
            &["a"],
            "b.mp4",
            &[],
            &[r#"INPUT | {"in_1":"a"} | two or more inputs"#],
        );
    }

    #[test]
    fn what_is_no_place_for_media_is_left_to_whoever_opens_it() {
        for output in ["/", "/dev/null"] {
            check(
                RecipeName::Transcode,
                &["a"],
                output,
                &[],
                &[
                    r#"{"mode":"recipe","input":{"url":"a"},"output":{"format":"mp4"},"recipe":{"name":"transcode"}}"#,
                ],
            );
        }
    }
}
