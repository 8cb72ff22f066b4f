//! Outputs: downloads from the data folder by signed URLs with byte ranges, and their management.

use std::{
    io::{self, SeekFrom},
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Caller, JobsRead, JobsWrite},
    body::Name,
    problem::Problem,
};
use crate::{
    model::{protocol::Made, secret::now},
    outputs::storage::{At, Stored, outputs_of, without},
    service::Service,
    store::JobRow,
    view,
};

/// The pause that clients are told to make when an output could not be deleted.
pub(super) const TO_REACH: Duration = Duration::from_secs(30);

/// The paths for outputs by id, which need an API key.
pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new().routes(routes!(describe, remove))
}

/// The query of a signed URL.
pub(super) struct Signed {
    expires: u64,
    signature: String,
}

impl Signed {
    /// Reads both fields; `None` unless each is there once, and nothing else is.
    fn read(query: Option<&str>) -> Option<Self> {
        let (mut expires, mut signature) = (None, None);
        for field in query?.split('&') {
            let (name, text) = field.split_once('=')?;
            let twice = match name {
                "expires" => expires.replace(text.parse().ok()?).is_some(),
                "signature" => signature.replace(text.to_owned()).is_some(),
                _ => return None,
            };
            if twice {
                return None;
            }
        }
        Some(Self { expires: expires?, signature: signature? })
    }

    /// Refuses a path that is not signed by this query, or no longer.
    pub(super) fn check(service: &Service, path: &str, query: Option<&str>) -> Result<(), Problem> {
        let unsigned = || Problem::forbidden("the signature does not match this URL");
        let Self { expires, signature } = Self::read(query).ok_or_else(unsigned)?;
        if !service.keys.is_signed(path, expires, &signature) {
            return Err(unsigned());
        }
        if now().as_secs() > expires {
            return Err(Problem::gone("the URL has expired; ask for a new one"));
        }
        Ok(())
    }
}

/// Serves an output: `GET /files/…?expires=…&signature=…`.
pub(super) async fn download(
    State(service): State<Service>,
    method: Method,
    Name(path): Name,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Signed::check(&service, &format!("/files/{path}"), query.as_deref())?;
    // No such path is ever signed; this is a second line of defense.
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Problem::not_found("file"));
    }
    let made = made_of(&service, &path).await?;
    let place = service.files().join(&path);
    let unread = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Problem::gone(DELETED),
        _ => Problem::fault(&format!("the output {}: {error}", place.display())),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that opens stored outputs"
    )]
    let file = std::fs::File::open(&place).map_err(unread)?;
    let found = file.metadata().map_err(unread)?;
    let length = found.len();
    let version = Version::of(&found);
    if version.is_known_by(&headers) {
        return Ok((StatusCode::NOT_MODIFIED, version.headers()).into_response());
    }
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let asked = asked.filter(|_| version.is_meant_by_range(&headers));
    let (status, first, last) = match asked.map(|range| part(range, length)) {
        // A `Range` that is not understood is ignored (RFC 9110, 14.2).
        None | Some(Asked::Unknown) => (StatusCode::OK, 0, length),
        Some(Asked::Part(first, end)) => (StatusCode::PARTIAL_CONTENT, first, end),
        Some(Asked::Nothing) => {
            let told = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            return Ok((told, Problem::range_not_satisfiable(length)).into_response());
        }
    };
    let mut response = (
        version.headers(),
        if method == Method::HEAD {
            Body::empty()
        } else {
            let mut file = tokio::fs::File::from_std(file);
            file.seek(SeekFrom::Start(first)).await.map_err(unread)?;
            Body::from_stream(ReaderStream::with_capacity(file.take(last - first), BLOCK))
        },
    )
        .into_response();
    *response.status_mut() = status;
    let mut set = |name, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    };
    let kind = made.mime_type.unwrap_or_else(|| "application/octet-stream".to_owned());
    set(header::CONTENT_TYPE, kind);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned());
    set(header::CONTENT_LENGTH, (last - first).to_string());
    set(header::ACCEPT_RANGES, "bytes".to_owned());
    set(header::CONTENT_DISPOSITION, format!("inline; filename=\"{}\"", made.filename));
    if status == StatusCode::PARTIAL_CONTENT {
        set(header::CONTENT_RANGE, format!("bytes {first}-{}/{length}", last - 1));
    }
    Ok(response)
}

/// How many bytes of a file are read at once.
const BLOCK: usize = 1 << 20;

/// Which version of a file is served (RFC 9110, 8.8). An output is made once, and replaced only when its
/// job is run again.
struct Version {
    tag: String,
    modified: String,
}

impl Version {
    fn of(found: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;

        let (seconds, nanos) = (found.mtime(), found.mtime_nsec());
        let tag = format!("\"{:x}-{seconds:x}-{nanos:x}\"", found.len());
        let modified = found.modified().map(httpdate::fmt_http_date).unwrap_or_default();
        Self { tag, modified }
    }

    fn headers(&self) -> [(header::HeaderName, String); 2] {
        [(header::ETAG, self.tag.clone()), (header::LAST_MODIFIED, self.modified.clone())]
    }

    /// Whether the client has it already. A date counts only without a tag.
    fn is_known_by(&self, headers: &HeaderMap) -> bool {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match (text(header::IF_NONE_MATCH), text(header::IF_MODIFIED_SINCE)) {
            (Some(tags), _) => tags.split(',').any(|tag| {
                let tag = tag.trim();
                tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag
            }),
            (None, Some(date)) => date == self.modified,
            (None, None) => false,
        }
    }

    /// Whether a range is meant of this version.
    fn is_meant_by_range(&self, headers: &HeaderMap) -> bool {
        let meant = headers.get(header::IF_RANGE).map(|value| value.to_str().unwrap_or_default());
        meant.is_none_or(|meant| meant == self.tag || meant == self.modified)
    }
}

/// The error message for an output that was deleted.
const DELETED: &str = "the output was deleted";

/// The output of a job for which `is_it` holds.
fn one_of(job: &JobRow, is_it: impl Fn(&Stored) -> bool) -> Result<Stored, Problem> {
    let found = outputs_of(&job.outputs).into_iter().find(is_it);
    let output = found.ok_or_else(|| Problem::not_found("file"))?;
    if output.deleted { Err(Problem::gone(DELETED)) } else { Ok(output) }
}

/// What is known of an output by its path below the folder of files.
async fn made_of(service: &Service, path: &str) -> Result<Made, Problem> {
    let job = path.rsplit('/').nth(1).unwrap_or_default();
    let job = service.store.job(job).await?.ok_or_else(|| Problem::not_found("file"))?;
    Ok(one_of(&job, |output| output.at == At::Folder(path.to_owned()))?.made)
}

/// The part of a file that a `Range` header asks for.
enum Asked {
    /// From the first byte number, inclusive, to the second, exclusive.
    Part(u64, u64),
    /// The range lies outside of the file.
    Nothing,
    /// The header is not understood, or asks for several ranges.
    Unknown,
}

fn part(range: &str, length: u64) -> Asked {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|part| part.split_once('-'))
    else {
        return Asked::Unknown;
    };
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last && first < length => {
            Asked::Part(first, length.min(last.saturating_add(1)))
        }
        (Some(first), None) if last.is_empty() && first < length => Asked::Part(first, length),
        (None, Some(bytes)) if first.is_empty() && bytes > 0 && length > 0 => {
            Asked::Part(length.saturating_sub(bytes), length)
        }
        (Some(first), _) if first >= length => Asked::Nothing,
        (None, Some(0)) if first.is_empty() => Asked::Nothing,
        _ => Asked::Unknown,
    }
}

/// A job and its output, by an id of the form `<jobId>-<key>`.
async fn find(service: &Service, project: &str, id: &str) -> Result<(JobRow, Stored), Problem> {
    let missing = || Problem::not_found("file");
    let (job, key) = id.split_once('-').ok_or_else(missing)?;
    let job = service.store.job_of(project, job).await?.ok_or_else(missing)?;
    let output = one_of(&job, |output| output.made.key == key)?;
    Ok((job, output))
}

/// One output.
#[utoipa::path(get, operation_id = "getFile", path = "/files/{id}", tag = "Files", params(("id" = String, Path)),
    responses((status = 200, description = "The output", body = view::File)))]
async fn describe(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
    Name(id): Name,
) -> Result<Json<view::File>, Problem> {
    let (job, output) = find(&service, &caller.project, &id).await?;
    Ok(Json(view::file(&service, &job.id, &output).await))
}

/// Deletes an output, where it is stored. Of a passthrough nothing is stored: its input stays.
#[utoipa::path(delete, operation_id = "deleteFile", path = "/files/{id}", tag = "Files", params(("id" = String, Path)),
    responses((status = 204, description = "The output is deleted")))]
async fn remove(
    State(service): State<Service>,
    caller: Caller<JobsWrite>,
    Name(id): Name,
) -> Result<StatusCode, Problem> {
    let (job, output) = find(&service, &caller.project, &id).await?;
    let unreachable = |error| Problem::unavailable(error, TO_REACH);
    service.remove(&output.at).await.map_err(unreachable)?;
    service.store.change_outputs(&job.id, |outputs| without(outputs, &[output.made.key])).await?;
    Ok(StatusCode::NO_CONTENT)
}
