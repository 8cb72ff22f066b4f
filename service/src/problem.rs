//! How the API says no: one form for all answers from 400 on.

use std::borrow::Cow;

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
use utoipa::ToSchema;

use avocet_recipes::{DocumentError, Problem as DocumentProblem};

use crate::protocol::Failure;

/// An answer that is none.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    message: String,
    retryable: bool,
    problems: Vec<DocumentProblem>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let (code, message) = (Cow::Borrowed(code), message.into());
        Self { status, code, message, retryable: false, problems: Vec::new() }
    }

    /// The body, or a part of the address, is not what it should be.
    pub(crate) fn invalid(
        path: &str,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> Self {
        Self::all_invalid(vec![Self::one(path, found, allowed)])
    }

    /// All that is wrong with a body.
    pub(crate) fn all_invalid(problems: Vec<DocumentProblem>) -> Self {
        let message = match problems.as_slice() {
            [one] => format!("{}: {} is not {}", one.path, one.found, one.allowed),
            several => format!("{} things are wrong with the request", several.len()),
        };
        Self { problems, ..Self::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message) }
    }

    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("there is no such {what}"))
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the path is there, and does not know this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
    }

    pub(crate) fn unsupported_media_type() -> Self {
        let message = "the body must be JSON, with the content type application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", message)
    }

    pub(crate) fn payload_too_large(most: usize) -> Self {
        let message = format!("the body has more than {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PAYLOAD_TOO_LARGE", message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "CONFLICT", message)
    }

    pub(crate) fn rate_limited() -> Self {
        let message = "too many requests with this key";
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", message);
        Self { retryable: true, ..problem }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
        Self { retryable: true, ..problem }
    }

    /// What a job would end with, for those who only want its plan.
    pub(crate) fn of_job(failure: Failure) -> Self {
        let Failure { code, message, retryable, .. } = failure;
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { status, code: code.into(), message, retryable, problems: Vec::new() }
    }

    /// A fault of ours.
    pub(crate) fn fault(what: &str) -> Self {
        tracing::error!(what, "the service has a fault");
        let message = "the service has a fault, which is in its log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ENGINE_ERROR", message)
    }

    /// One thing that is wrong.
    pub(crate) fn one(
        path: &str,
        found: impl Into<String>,
        allowed: impl Into<String>,
    ) -> DocumentProblem {
        DocumentProblem { path: path.to_owned(), found: found.into(), allowed: allowed.into() }
    }

    /// A part of a file that it does not have.
    pub(crate) fn range_not_satisfiable(length: u64) -> Self {
        let problem = Self::invalid("Range", "another one", format!("within {length} bytes"));
        Self { status: StatusCode::RANGE_NOT_SATISFIABLE, ..problem }
    }

    /// A signed URL whose time is over.
    pub(crate) fn gone() -> Self {
        Self::new(StatusCode::GONE, "NOT_FOUND", "the URL has expired")
    }

    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "UNAUTHORIZED", "the signature is not that of this URL")
    }
}

impl From<DocumentError> for Problem {
    fn from(error: DocumentError) -> Self {
        match error {
            DocumentError::Invalid { problems } => Self::all_invalid(problems),
            other => Self::invalid("$", other.to_string(), "a document"),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        /// Primary codes of `SQLite`: the disk is full; somebody else writes.
        const FULL: u32 = 13;
        const BUSY: u32 = 5;
        let code = error.as_database_error().and_then(DatabaseError::code);
        let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
        if primary == Some(FULL) {
            return Self::unavailable("the disk is full");
        }
        if primary == Some(BUSY) || matches!(error, sqlx::Error::PoolTimedOut) {
            return Self::unavailable("the database is busy");
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
    /// For machines, as `VALIDATION_ERROR`.
    code: String,
    /// For people.
    message: String,
    /// Whether the same may succeed when it is simply tried again.
    retryable: bool,
    /// All that is wrong with the request, with `VALIDATION_ERROR`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemFields>,
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
            code: self.code.into_owned(),
            message: self.message,
            retryable: self.retryable,
            problems: problems.collect(),
        };
        let mut response = (self.status, Json(ErrorBody { error })).into_response();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
