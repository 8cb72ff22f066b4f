//! The error answers of the API: one form for all answers from status 400 on.

use std::{borrow::Cow, fmt::Display, time::Duration};

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use sqlx::error::DatabaseError;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use avocet_recipes::{DocumentError, ERRORS, Problem as DocumentProblem, error_code};

use crate::{
    model::{protocol::Failure, scope::Scope},
    store::BUSY_TIMEOUT,
    workers::{Busy, NotPlanned},
};

/// An error answer.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    message: String,
    retryable: bool,
    problems: Vec<DocumentProblem>,
    /// The time for `Retry-After`.
    after: Option<Duration>,
}

impl Problem {
    /// An error with the status and `retryable` that the table of error codes has for its code.
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        let listed = error_code(code);
        let status = listed.and_then(|listed| StatusCode::from_u16(listed.status?).ok());
        Self {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code: Cow::Borrowed(code),
            message: message.into(),
            retryable: listed.is_some_and(|listed| listed.retryable == Some(true)),
            problems: Vec::new(),
            after: None,
        }
    }

    /// One part of the body or the URL is wrong.
    pub(crate) fn invalid(
        path: &str,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self::all_invalid(vec![Self::one(path, found, allowed)])
    }

    /// Several parts of the body are wrong.
    pub(crate) fn all_invalid(problems: Vec<DocumentProblem>) -> Self {
        let message = match problems.as_slice() {
            [one] => one.to_string(),
            several => format!("{} problems in the request; `problems` lists them", several.len()),
        };
        Self { problems, ..Self::new("VALIDATION_ERROR", message) }
    }

    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new("UNAUTHORIZED", message)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new("NOT_FOUND", format!("there is no such {what}"))
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new("METHOD_NOT_ALLOWED", "the method is not allowed for this path")
    }

    /// A body of another content type than the one that is meant.
    pub(crate) fn unsupported_media_type(meant: &str) -> Self {
        let message = format!("the body must have the content type {meant}");
        Self::new("UNSUPPORTED_MEDIA_TYPE", message)
    }

    /// A body that has more than so many bytes.
    pub(crate) fn payload_too_large(most: impl Display) -> Self {
        Self::too_large(format!("the body has more than {most} bytes"))
    }

    /// More bytes than a limit allows.
    pub(crate) fn too_large(message: String) -> Self {
        Self::new("PAYLOAD_TOO_LARGE", message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new("CONFLICT", message)
    }

    /// Too many requests with an API key, which may be used again after a pause.
    pub(crate) fn rate_limited(after: Duration) -> Self {
        Self::too_many("too many requests with this key", after)
    }

    /// More than a limit allows, which may be less after a pause.
    pub(crate) fn too_many(message: impl Into<String>, after: Duration) -> Self {
        Self { after: Some(after), ..Self::new("RATE_LIMITED", message) }
    }

    /// Something that is not possible now, and may be tried again after a pause.
    pub(crate) fn unavailable(message: impl Into<String>, after: Duration) -> Self {
        Self { after: Some(after), ..Self::new("UNAVAILABLE", message) }
    }

    /// The failure that a job would end with, as the answer to a request for its plan.
    pub(crate) fn of_job(failure: Failure) -> Self {
        let Failure { code, message, retryable, .. } = failure;
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let (problems, after) = (Vec::new(), None);
        Self { status, code: code.into(), message, retryable, problems, after }
    }

    /// An internal error: its cause is logged, and not sent.
    pub(crate) fn fault(what: &str) -> Self {
        tracing::error!(what, "the service has an internal error");
        Self::new("ENGINE_ERROR", "the service has an internal error; its log names the cause")
    }

    /// One entry of the list of problems.
    pub(crate) fn one(
        path: &str,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> DocumentProblem {
        DocumentProblem { path: path.to_owned(), found: found.into(), allowed: allowed.into() }
    }

    /// A `Range` that lies outside of the file.
    pub(crate) fn range_not_satisfiable(length: u64) -> Self {
        let message = format!("the range asked for is not within the {length} bytes of the file");
        Self::new("RANGE_NOT_SATISFIABLE", message)
    }

    /// A signed URL that has expired, or an output that was deleted.
    pub(crate) fn gone(message: &str) -> Self {
        Self::new("GONE", message)
    }

    /// An API key that may not do this.
    pub(crate) fn lacks(scope: Scope) -> Self {
        let name = scope.name();
        Self::new("FORBIDDEN", format!("the API key lacks the scope `{name}`, which this needs"))
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::new("FORBIDDEN", message)
    }
}

/// A pause in seconds, rounded up, so that no client returns too early.
fn whole_seconds(pause: Duration) -> u64 {
    pause.as_secs() + u64::from(pause.subsec_nanos() > 0)
}

impl From<DocumentError> for Problem {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Invalid { problems } => Self::all_invalid(problems),
            DocumentError::Syntax { line, column, message } => {
                let found =
                    format!("text that is not JSON: {message} at line {line}, column {column}");
                Self::invalid("$", found, "JSON")
            }
            other => Self::invalid("$", other.to_string(), "a document"),
        }
    }
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        Self::unavailable(busy.what, busy.after)
    }
}

impl From<NotPlanned> for Problem {
    fn from(error: NotPlanned) -> Self {
        match error {
            NotPlanned::Busy(busy) => busy.into(),
            NotPlanned::Failed(failure) => Self::of_job(failure),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        /// Primary result codes of `SQLite`: the disk is full, and another connection has the lock.
        const FULL: u32 = 13;
        const BUSY: u32 = 5;
        let code = error.as_database_error().and_then(DatabaseError::code);
        let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
        if primary == Some(FULL) {
            return Busy::DISK_FULL.into();
        }
        if primary == Some(BUSY) || matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::unavailable("the database is busy", BUSY_TIMEOUT);
        }
        Self::fault(&format!("the database: {error}"))
    }
}

/// Every answer from 400 on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorFields,
}

/// Why the answer is none.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorFields {
    #[schema(inline)]
    code: Code,
    /// For people.
    message: String,
    /// Whether the same may succeed when it is simply tried again.
    retryable: bool,
    /// All that is wrong with the request, with `VALIDATION_ERROR`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemFields>,
}

/// An error code, for machines.
#[derive(Debug, Serialize)]
struct Code(String);

impl ToSchema for Code {}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let codes = ERRORS.iter().flat_map(|(_, codes)| *codes).map(|listed| listed.code);
        let text = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
        RefOr::T(Schema::Object(text.build()))
    }
}

/// One thing that is wrong with a request.
#[derive(Debug, Serialize, ToSchema)]
struct ProblemFields {
    /// Where, as in `recipe.startSeconds`.
    path: String,
    found: String,
    allowed: String,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problems = self.problems.into_iter().map(|problem| {
            let DocumentProblem { path, found, allowed } = problem;
            ProblemFields { path, found, allowed }
        });
        let error = ErrorFields {
            code: Code(self.code.into_owned()),
            message: self.message,
            retryable: self.retryable,
            problems: problems.collect(),
        };
        let mut response = (self.status, Json(ErrorBody { error })).into_response();
        if let Some(after) = self.after {
            let seconds = HeaderValue::from(whole_seconds(after));
            response.headers_mut().insert(RETRY_AFTER, seconds);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_listed_code_is_answered_with_its_status() {
        let mut codes = ERRORS.iter().flat_map(|(_, codes)| *codes);
        assert!(codes.clone().any(|listed| listed.code == "RANGE_NOT_SATISFIABLE"));
        assert!(codes.all(|listed| {
            let answer = Problem::new(listed.code, "").into_response();
            answer.status().as_u16() == listed.status.unwrap_or(500)
        }));
    }

    #[test]
    fn a_pause_is_told_in_seconds_that_are_not_too_few() {
        let told = |millis: u64| {
            let problem = Problem::unavailable("", Duration::from_millis(millis)).into_response();
            problem.headers()[RETRY_AFTER].to_str().unwrap().to_owned()
        };
        assert_eq!([told(1), told(1000), told(59_001)], ["1", "1", "60"]);
        assert!(Problem::conflict("").into_response().headers().get(RETRY_AFTER).is_none());
        // Each kind of retryable error has a `Retry-After`.
        let again =
            [Problem::rate_limited(Duration::from_secs(1)), sqlx::Error::PoolTimedOut.into()];
        assert!(again.iter().all(|problem| problem.retryable && problem.after.is_some()));
    }
}
