//! How a job fails: its values or its document, or its run.

use std::{borrow::Cow, fmt};

use avocet_engine::Step;
use avocet_recipes::{DocumentError, Problem};

/// Why a job was refused or failed.
///
/// `Debug` says the same as `Display`, so that a `main` that returns it shows the message.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Values that a builder was given are wrong; nothing was opened. The paths of the problems are
    /// the names of its methods; `input` is what the recipe's function was given.
    #[error("{}", summary(.0))]
    Values(Vec<Problem>),
    /// The document is wrong; nothing was opened.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The probe, the plan or the run failed.
    #[error(transparent)]
    Engine(#[from] avocet_engine::Error),
}

impl Error {
    /// The code for machines, as the job API has it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Values(_) => "VALIDATION_ERROR",
            Self::Document(error) => error.code(),
            Self::Engine(error) => error.code(),
        }
    }

    /// All that is wrong with the values or the document; empty for other errors.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Values(problems) => problems,
            Self::Document(error) => error.problems(),
            Self::Engine(_) => &[],
        }
    }

    /// The end of what the `ffmpeg` program wrote to standard error, at most 64 KiB, where it failed.
    pub fn log(&self) -> Option<&str> {
        match self {
            Self::Values(_) | Self::Document(_) => None,
            Self::Engine(error) => error.log(),
        }
    }

    /// The part of the job that failed.
    pub fn step(&self) -> Step {
        match self {
            Self::Values(_) | Self::Document(_) => Step::Validate,
            Self::Engine(error) => error.step(),
        }
    }

    /// Whether the same job may succeed when it is simply tried again.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Values(_) | Self::Document(_) => false,
            Self::Engine(error) => error.retryable(),
        }
    }

    /// Wrong values, each named by the method of a builder that takes it.
    pub(crate) fn of_values(mut problems: Vec<Problem>) -> Self {
        for problem in &mut problems {
            problem.path = method_of(&problem.path);
        }
        Self::Values(problems)
    }

    /// The same, of the draft behind a builder.
    pub(crate) fn of_draft(error: DocumentError) -> Self {
        match error {
            DocumentError::Invalid { problems } => Self::of_values(problems),
            error => error.into(),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} [{}]", self.code())
    }
}

/// The problems in one line.
fn summary(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 wrong value".to_owned(),
        count => format!("{count} wrong values"),
    };
    let list: Vec<String> = problems.iter().map(Problem::to_string).collect();
    format!("{count}: {}", list.join("; "))
}

/// Methods of builders that are not called as the parameters of documents.
const METHODS: &[(&str, &str)] = &[
    ("seekSeconds", "at"),
    ("times", "at"),
    ("startSeconds", "start"),
    ("durationSeconds", "duration"),
    ("everySeconds", "every"),
    ("sampleRate", "rate"),
    ("input_files", "inputs"),
];

/// The method of a builder that sets what is at a path of a document.
fn method_of(path: &str) -> String {
    let path = path.strip_prefix("recipe.").unwrap_or(path);
    let end = path.find(['[', '.']).unwrap_or(path.len());
    let (name, rest) = path.split_at(end);
    if name == "output" {
        return name.to_owned();
    }
    let known = METHODS.iter().find(|(parameter, _)| *parameter == name);
    let name = match known {
        Some((_, method)) => Cow::Borrowed(*method),
        None => Cow::Owned(snake(name)),
    };
    format!("{name}{rest}")
}

/// A name in camel case, with underscores.
fn snake(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            words.push('_');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_are_named_by_methods() {
        let cases = [
            ("recipe.seekSeconds", "at"),
            ("recipe.bitrateKbps", "bitrate_kbps"),
            ("recipe.ranges[1].startSeconds", "ranges[1].startSeconds"),
            ("times[3]", "at[3]"),
            ("output.format", "output"),
            ("pixelFormat", "pixel_format"),
            ("input_files", "inputs"),
        ];
        for (path, method) in cases {
            assert_eq!(method_of(path), method);
        }
        let problem =
            |path: &str| Problem { path: path.into(), found: "0".into(), allowed: "more".into() };
        let error = Error::of_values(vec![problem("recipe.crf"), problem("block")]);
        let text = "2 wrong values: `crf`: found 0, allowed: more; `block`: found 0, allowed: more";
        assert_eq!(error.to_string(), text);
        assert_eq!(format!("{error:?}"), format!("{text} [VALIDATION_ERROR]"));
    }
}
