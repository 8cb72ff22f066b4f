//! What is wrong with a job document, all of it at once.

use std::fmt;

use serde::Serialize;
use thiserror::Error;

/// One thing wrong with a document: where, what stands there, and what may.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// Place in the document, as in `recipe.crf` or `ffmpeg.args[2]`; `$` is the whole of it.
    pub path: String,
    /// What stands there, as compact JSON, shortened and without secrets of locations;
    /// `nothing` when the field is absent.
    pub found: String,
    /// What may stand there, in one phrase.
    pub allowed: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: found {}, allowed: {}", self.path, self.found, self.allowed)
    }
}

/// Why a text is not a job document.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum DocumentError {
    /// The text is not JSON.
    #[error("the document is not JSON: {message} at line {line}, column {column}")]
    Syntax {
        /// Line of the mistake, from 1.
        line: usize,
        /// Column of the mistake in bytes, from 1; 0 is the end of the line before.
        column: usize,
        /// What the reader of JSON says about it.
        message: String,
    },
    /// The text is JSON, but asks for what no job can.
    #[error("{}", summary(problems))]
    Invalid {
        /// Everything that is wrong, in the order in which the document is checked.
        problems: Vec<Problem>,
    },
}

impl DocumentError {
    /// The code for machines, the same for every document that is refused.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax { .. } | Self::Invalid { .. } => "VALIDATION_ERROR",
        }
    }

    /// Everything that is wrong; empty when the text is not even JSON.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Syntax { .. } => &[],
            Self::Invalid { problems } => problems,
        }
    }
}

/// The problems in one line, since the message also travels inside JSON.
fn summary(problems: &[Problem]) -> String {
    let count = match problems.len() {
        1 => "1 problem".to_owned(),
        count => format!("{count} problems"),
    };
    let list: Vec<String> = problems.iter().map(Problem::to_string).collect();
    format!("{count} in the job document: {}", list.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(path: &str) -> Problem {
        Problem { path: path.to_owned(), found: "99".to_owned(), allowed: "less".to_owned() }
    }

    #[test]
    fn the_message_counts_and_lists() {
        let one = DocumentError::Invalid { problems: vec![problem("recipe.crf")] };
        assert_eq!(
            one.to_string(),
            "1 problem in the job document: `recipe.crf`: found 99, allowed: less"
        );
        let two = DocumentError::Invalid { problems: vec![problem("a"), problem("b")] };
        assert_eq!(
            two.to_string(),
            "2 problems in the job document: `a`: found 99, allowed: less; `b`: found 99, \
             allowed: less"
        );
        assert_eq!(two.code(), "VALIDATION_ERROR");
    }
}
