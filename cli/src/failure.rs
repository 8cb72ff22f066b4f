//! The failure of a command, as text for people or as JSON for programs.

use std::{error::Error, process::ExitCode};

use avocet::{engine::Step, recipes::Problem};
use avocet_service::ServeError;
use serde::Serialize;

use super::terminal;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The arguments are wrong, or the document or configuration can not be read.
    Usage(String),
    /// The arguments were parsed, but the document that they make is not valid.
    Arguments(Vec<ArgumentProblem>),
    /// The document, the plan or the run failed.
    Job(avocet::Error),
    /// The service could not be started.
    Serve(ServeError),
}

/// One thing that is wrong, in terms of the arguments where there are some.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ArgumentProblem {
    /// The argument as it is written, as in `--crf`; `None` for a document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) argument: Option<String>,
    /// The problem, with its path in the document that the arguments make.
    #[serde(flatten)]
    pub(super) problem: Problem,
}

#[derive(Serialize)]
struct Failed<'a> {
    state: &'static str,
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    message: String,
    stage: Step,
    retryable: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ArgumentProblem>,
    /// The end of the standard error of the `ffmpeg` program.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<&'a str>,
}

impl<E: Into<avocet::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Job(error.into())
    }
}

impl Failure {
    pub(super) fn cancelled() -> Self {
        avocet::engine::Error::Cancelled.into()
    }

    /// Whether the user stopped the command.
    pub(super) fn is_cancellation(&self) -> bool {
        self.code() == "CANCELLED"
    }

    /// Reports the failure as text, or with `json` as JSON; returns the exit status. JSON goes to
    /// standard error where standard output is for media, which `is_beside` says.
    pub(super) fn tell(&self, json: bool, is_beside: bool) -> ExitCode {
        if json && is_beside {
            terminal::note(&self.to_json());
            ExitCode::from(self.status())
        } else if json {
            terminal::print(&self.to_json(), self.status())
        } else {
            terminal::note(&self.to_text());
            ExitCode::from(self.status())
        }
    }

    /// The exit status: 2 for a wrong document or argument, 130 for a cancellation, else 1.
    pub(super) fn status(&self) -> u8 {
        match self.code() {
            "VALIDATION_ERROR" | "UNSUPPORTED_COMMAND" => 2,
            "CANCELLED" => 130,
            _ => 1,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) | Self::Arguments(_) => "VALIDATION_ERROR",
            Self::Job(error) => error.code(),
            Self::Serve(error) => error.code(),
        }
    }

    /// The error in one line, with its causes.
    pub(super) fn message(&self) -> String {
        match self {
            Self::Usage(message) => message.clone(),
            Self::Arguments(problems) => {
                let list: Vec<_> = problems.iter().map(ArgumentProblem::to_text).collect();
                format!("{}: {}", self.heading(problems), list.join("; "))
            }
            Self::Job(error) => streams_named(&with_causes(error)),
            Self::Serve(error) => with_causes(error),
        }
    }

    fn problems(&self) -> Vec<ArgumentProblem> {
        match self {
            Self::Arguments(problems) => problems.clone(),
            Self::Job(avocet::Error::Document(error)) => {
                let problems = error.problems().iter().cloned();
                problems.map(|problem| ArgumentProblem { argument: None, problem }).collect()
            }
            Self::Usage(_) | Self::Job(_) | Self::Serve(_) => Vec::new(),
        }
    }

    fn log(&self) -> Option<&str> {
        match self {
            Self::Job(error) => error.log(),
            Self::Usage(_) | Self::Arguments(_) | Self::Serve(_) => None,
        }
    }

    fn heading(&self, problems: &[ArgumentProblem]) -> String {
        let whole = if matches!(self, Self::Arguments(_)) { "arguments" } else { "job document" };
        match problems.len() {
            1 => format!("1 problem in the {whole}"),
            count => format!("{count} problems in the {whole}"),
        }
    }

    /// The error for people: several problems get a line each.
    pub(super) fn to_text(&self) -> String {
        let (code, problems) = (self.code(), self.problems());
        if problems.is_empty() {
            return format!("error: {} [{code}]", self.message());
        }
        let mut text = format!("error: {} [{code}]", self.heading(&problems));
        for problem in &problems {
            text.push_str("\n  ");
            text.push_str(&problem.to_text());
        }
        text
    }

    /// The error for programs: one JSON object.
    pub(super) fn to_json(&self) -> String {
        let (stage, retryable) = match self {
            Self::Usage(_) | Self::Arguments(_) | Self::Serve(_) => (Step::Validate, false),
            Self::Job(error) => (error.step(), error.retryable()),
        };
        let code = self.code();
        let state = if code == "CANCELLED" { "cancelled" } else { "failed" };
        let (message, problems, log) = (self.message(), self.problems(), self.log());
        let error = Body { code, message, stage, retryable, problems, log };
        terminal::json(&Failed { state, error })
    }
}

impl ArgumentProblem {
    fn to_text(&self) -> String {
        let Problem { path, found, allowed } = &self.problem;
        match &self.argument {
            Some(argument) => format!("`{argument}` (`{path}`): found {found}, allowed: {allowed}"),
            None => format!("`{path}`: found {found}, allowed: {allowed}"),
        }
    }
}

/// A text in which the library's names of the caller's streams are those that they have here.
pub(super) fn streams_named(text: &str) -> String {
    const STREAM: &str = "the caller's stream 0";
    let line = |line: &str| {
        let is_output = line.contains("write") || line.trim_start().starts_with("output");
        line.replace(STREAM, if is_output { "standard output" } else { "standard input" })
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The message of an error, and those of its causes whose text it does not contain already.
fn with_causes(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_its_status_and_code() {
        let check = |failure: Failure, status, json: &str| {
            assert_eq!(failure.status(), status);
            assert_eq!(failure.to_json(), json);
        };
        check(
            Failure::Usage("no".to_owned()),
            2,
            r#"{"state":"failed","error":{"code":"VALIDATION_ERROR","message":"no","stage":"validate","retryable":false}}"#,
        );
        check(
            Failure::cancelled(),
            130,
            r#"{"state":"cancelled","error":{"code":"CANCELLED","message":"cancelled","stage":"mux","retryable":false}}"#,
        );
        let absent = avocet::engine::Error::Absent { kind: "recipe", name: "trim".to_owned() };
        let json = format!(
            r#"{{"state":"failed","error":{{"code":"CONFIG_ERROR","message":"{absent}","stage":"open","retryable":false}}}}"#
        );
        check(absent.into(), 1, &json);
    }

    #[test]
    fn problems_are_told_with_the_argument() {
        let problem = Problem {
            path: "recipe.crf".to_owned(),
            found: "99".to_owned(),
            allowed: "less".to_owned(),
        };
        let argument = Some("--crf".to_owned());
        let failure = Failure::Arguments(vec![ArgumentProblem { argument, problem }]);
        assert_eq!(
            failure.to_text(),
            "error: 1 problem in the arguments [VALIDATION_ERROR]\n  \
             `--crf` (`recipe.crf`): found 99, allowed: less"
        );
        assert_eq!(
            failure.to_json(),
            r#"{"state":"failed","error":{"code":"VALIDATION_ERROR","message":"1 problem in the arguments: `--crf` (`recipe.crf`): found 99, allowed: less","stage":"validate","retryable":false,"problems":[{"argument":"--crf","path":"recipe.crf","found":"99","allowed":"less"}]}}"#
        );
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = avocet::engine::Error::Read {
            location: "a.mp4".into(),
            source: std::io::Error::other("the disk is gone"),
        };
        assert_eq!(with_causes(&error), "can not read a.mp4: the disk is gone");
    }
}
