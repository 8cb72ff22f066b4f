//! Outputs in managed storage: by signed URLs, with byte ranges.

use std::{collections::HashMap, io::SeekFrom};

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::show::{self, Stored};
use crate::{problem::Problem, secret::now, service::Service, store::JobRow};

/// `GET /files/…?expires=…&signature=…`
pub(super) async fn download(
    State(service): State<Service>,
    method: Method,
    Path(path): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let expires = query.get("expires").and_then(|expires| expires.parse::<u64>().ok());
    let (Some(expires), Some(signature)) = (expires, query.get("signature")) else {
        return Err(Problem::forbidden());
    };
    if !service.keys.is_signed(&format!("/files/{path}"), expires, signature) {
        return Err(Problem::forbidden());
    }
    if now().as_secs() > expires {
        return Err(Problem::gone());
    }
    // Nobody gets a signature for a way out of the folder; should he, it leads nowhere.
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Problem::not_found("file"));
    }
    let place = service.files().join(&path);
    #[expect(clippy::disallowed_methods, reason = "this is the door of stored outputs")]
    let file = std::fs::File::open(&place).map_err(|_| Problem::not_found("file"))?;
    let length = file.metadata().map_err(|_| Problem::not_found("file"))?.len();
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (status, first, last) = match asked.map(|range| part(range, length)) {
        // What is no range of bytes is passed over (RFC 9110, 14.2).
        None | Some(Asked::Unknown) => (StatusCode::OK, 0, length),
        Some(Asked::Part(first, end)) => (StatusCode::PARTIAL_CONTENT, first, end),
        Some(Asked::Nothing) => {
            let told = format!("bytes */{length}");
            let headers = [(header::CONTENT_RANGE, told)];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    let mut response = Response::new(if method == Method::HEAD {
        Body::empty()
    } else {
        let mut file = tokio::fs::File::from_std(file);
        let gone = |_| Problem::not_found("file");
        file.seek(SeekFrom::Start(first)).await.map_err(gone)?;
        Body::from_stream(tokio_util::io::ReaderStream::new(file.take(last - first)))
    });
    *response.status_mut() = status;
    let name = path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit('.').next().unwrap_or_default();
    let mime = avocet_recipes::Format::from_extension(extension)
        .map_or("application/octet-stream", avocet_recipes::Format::mime);
    let mut set = |name, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, mime.to_owned());
    set(header::CONTENT_LENGTH, (last - first).to_string());
    set(header::ACCEPT_RANGES, "bytes".to_owned());
    set(header::CONTENT_DISPOSITION, format!("inline; filename=\"{name}\""));
    if status == StatusCode::PARTIAL_CONTENT {
        set(header::CONTENT_RANGE, format!("bytes {first}-{}/{length}", last - 1));
    }
    Ok(response)
}

/// What a `Range` asks for of a file.
enum Asked {
    /// From the first byte on, up to the one before the second.
    Part(u64, u64),
    /// What is not there.
    Nothing,
    /// What is not known here, as several parts.
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

/// The output of an id, `<jobId>-<key>`, with its job.
async fn find(service: &Service, id: &str) -> Result<(JobRow, Vec<Stored>, usize), Problem> {
    let missing = || Problem::not_found("file");
    let (job, key) = id.split_once('-').ok_or_else(missing)?;
    let job = service.store.job(job).await?.ok_or_else(missing)?;
    let outputs: Vec<Stored> = serde_json::from_str(&job.outputs).unwrap_or_default();
    let is_it = |output: &Stored| output.made.key == key && !output.deleted;
    let place = outputs.iter().position(is_it).ok_or_else(missing)?;
    Ok((job, outputs, place))
}

/// `GET /v1/files/{id}`
pub(super) async fn describe(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let (job, outputs, place) = find(&service, &id).await?;
    Ok(Json(show::file(&service, &job.id, &outputs[place])))
}

/// `DELETE /v1/files/{id}`
pub(super) async fn remove(
    State(service): State<Service>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let (job, mut outputs, place) = find(&service, &id).await?;
    if let Some(path) = outputs[place].place.strip_prefix("files/") {
        // What is gone already is gone.
        let _ = tokio::fs::remove_file(service.files().join(path)).await;
    }
    outputs[place].deleted = true;
    service.store.set_outputs(&job.id, &json!(outputs).to_string()).await?;
    Ok(StatusCode::NO_CONTENT)
}
