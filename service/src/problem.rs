//! How the API says no: one form for all answers from 400 on.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use avocet_recipes::{DocumentError, Problem as DocumentProblem};

/// An answer that is none.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    retryable: bool,
    problems: Vec<DocumentProblem>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retryable: false, problems: Vec::new() }
    }

    /// The body, or a part of the address, is not what it should be.
    pub(crate) fn invalid(path: &str, found: impl Into<String>, allowed: impl Into<String>) -> Self {
        let problem =
            DocumentProblem { path: path.to_owned(), found: found.into(), allowed: allowed.into() };
        Self::all_invalid(vec![problem])
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

    pub(crate) fn unavailable(message: &str) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
        Self { retryable: true, ..problem }
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
            other => Self::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", other.to_string()),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(%error, "the database failed");
        let is_full = error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("13"));
        if is_full {
            return Self::unavailable("the disk is full");
        }
        let message = "the service has a fault, which is in its log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ENGINE_ERROR", message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut error = json!({
            "code": self.code, "message": self.message, "retryable": self.retryable,
        });
        if let (Value::Object(fields), false) = (&mut error, self.problems.is_empty()) {
            let problems = self.problems.iter().map(|problem| {
                json!({ "path": problem.path, "found": problem.found, "allowed": problem.allowed })
            });
            fields.insert("problems".to_owned(), problems.collect());
        }
        let mut response = (self.status, Json(json!({ "error": error }))).into_response();
        if self.retryable {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
