//! Job documents: read from a file, or made of the arguments of a recipe's command.

use std::{fs, io, io::Read, path::Path};

use avocet::{
    Builder, Format, Policy,
    recipes::{
        CheckedJob, DocumentError, Job, JobDraft, Kind, Problem, RecipeName, Sampling, Thumbnails,
        Tree,
    },
};

use super::{
    arguments::{SEEK, friendly},
    failure::{ArgumentProblem, Failure},
    name::{self, kebab},
    time,
};

/// The largest document that is read, in bytes. The limit protects from reading media by mistake.
const LARGEST: u64 = 1 << 20;

/// Reads a job document from a file, or from standard input for `-`.
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

/// What the sections of `--ranges` may be.
const RANGES: &str = "at most 1000 sections as 0:12-0:42 or 60+5, with commas between them";

/// The arguments of a recipe's command.
#[derive(Clone)]
pub(super) struct Arguments<'a> {
    pub(super) recipe: RecipeName,
    /// The inputs: paths or URLs, as a document has them.
    pub(super) inputs: Vec<String>,
    /// The path of `-o`, if it was given.
    pub(super) output: Option<&'a Path>,
    /// The format of `--format`.
    pub(super) asked: Option<Format>,
    /// The given parameters: the index in the recipe's table, and the text.
    pub(super) values: Vec<(usize, &'a str)>,
}

impl Arguments<'_> {
    /// The job that the arguments describe. Problems name the argument that they come from.
    pub(super) fn job(&self) -> Result<CheckedJob, Failure> {
        match self.draft().check(Policy::Program) {
            Ok(job) => Ok(job),
            Err(DocumentError::Invalid { problems }) => {
                Err(Failure::Arguments(problems.into_iter().map(|one| self.named(one)).collect()))
            }
            Err(error) => Err(avocet::Error::from(error).into()),
        }
    }

    /// The thumbnails that the arguments describe, whose time is that of the sampling.
    pub(super) fn thumbnails(
        &self,
        sampling: Sampling,
    ) -> Result<Builder<'static, Thumbnails>, Failure> {
        let is_other = |(index, _): &(usize, &str)| {
            self.recipe.parameters().get(*index).is_none_or(|parameter| parameter.name != SEEK)
        };
        let values = self.values.iter().copied().filter(is_other).collect();
        let each = Self { output: None, values, ..self.clone() };
        let draft = each.draft();
        match draft.check_many(sampling.clone(), "", Policy::Program) {
            Ok(_) => {
                let input = self.inputs.first().map_or("", String::as_str);
                Ok(avocet::thumbnails(input).sampling(sampling).values(&draft))
            }
            Err(DocumentError::Invalid { problems }) => {
                Err(Failure::Arguments(problems.into_iter().map(|one| self.named(one)).collect()))
            }
            Err(error) => Err(avocet::Error::from(error).into()),
        }
    }

    /// The same, not checked yet.
    fn draft(&self) -> JobDraft {
        let mut draft = JobDraft::new(self.recipe);
        for input in &self.inputs {
            draft.input(input);
        }
        if let Some(format) = self.asked {
            draft.format(format);
        }
        if let Some(output) = self.output.filter(|_| !self.recipe.makes_several()) {
            match name::place(output).extension() {
                Some(extension) => draft.extension(extension),
                // Opening the output reports a folder or a device.
                None if output.exists() && !output.is_file() => {}
                None => draft.extension(""),
            }
        }
        for &(index, text) in &self.values {
            if let Some(parameter) = self.recipe.parameters().get(index) {
                draft.set(parameter.name, value(parameter.kind, text));
            }
        }
        draft
    }

    /// A problem, with the name of the argument that it comes from.
    fn named(&self, mut problem: Problem) -> ArgumentProblem {
        let path = problem.path.as_str();
        let parameter = path.strip_prefix("recipe.").and_then(|name| {
            let name = name.split('[').next().unwrap_or_default();
            self.recipe.parameters().iter().find(|parameter| parameter.name == name)
        });
        let argument = match parameter {
            _ if path.starts_with("times") => Some("--at".to_owned()),
            Some(parameter) => {
                let name = friendly(parameter.name);
                Some(format!("--{}", name.map_or_else(|| kebab(parameter.name), str::to_owned)))
            }
            None if path.starts_with("output") => Some("-o".to_owned()),
            None if path.starts_with("input") => Some("INPUT".to_owned()),
            None => None,
        };
        let is_ranges = parameter.is_some_and(|parameter| parameter.kind == Kind::Ranges);
        let is_time = parameter.is_some_and(|parameter| parameter.kind.is_time());
        if is_ranges && problem.allowed.contains("array") {
            RANGES.clone_into(&mut problem.allowed);
        } else if is_time && !is_ranges && !problem.allowed.starts_with("nothing") {
            problem.allowed = format!("{}, {}", problem.allowed, time::FORMS);
        }
        ArgumentProblem { argument, problem }
    }
}

/// The document's value for the text of a flag. Text that does not parse stays a string, so that
/// the check of the document reports it.
fn value(kind: Kind, text: &str) -> Tree {
    let tree = |number: f64| Tree::read(&number.to_string()).ok();
    let number = || text.parse().ok().filter(|number: &f64| number.is_finite()).and_then(tree);
    let time = |text: &str| time::seconds(text).and_then(tree);
    // START-END or START+DURATION; a minus sign at the beginning is that of a number.
    let range = |text: &str| {
        let text = text.trim();
        let (start, duration) = if let Some((start, duration)) = text.split_once('+') {
            (time(start.trim())?, time(duration.trim())?)
        } else {
            let dash = text.char_indices().skip(1).find(|(_, letter)| *letter == '-')?.0;
            let [start, end] = [&text[..dash], &text[dash + 1..]];
            let [start, end] = [start, end].map(|at| time::seconds(at.trim()));
            (tree(start?)?, tree(end? - start?)?)
        };
        Some(Tree::Object(vec![
            ("startSeconds".to_owned(), start),
            ("durationSeconds".to_owned(), duration),
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

    /// Checks the document of arguments, or its problems as `argument | found | allowed`.
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
                vec![arguments.draft().document().to_string()]
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
                &[&format!("--at | \"{text}\" | {seconds}")],
            );
        }
        check(
            RecipeName::Thumbnail,
            &["a"],
            "b.jpg",
            &[("seek-seconds", "-1")],
            &[&format!("--at | -1 | {seconds}")],
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
            &["-o | `.mp4` | one of `.mp3`, `.aac`, `.wav`, `.m4a`, `.flac`, `.opus`, `.ogg`"],
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
