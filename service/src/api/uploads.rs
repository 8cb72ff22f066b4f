//! The paths for uploads: files that clients send, in one request or in parts that go on where the last
//! one broke. The parts are those of tus 1.0.0 (<https://tus.io/protocols/resumable-upload>): its core
//! without `X-HTTP-Method-Override`, with creation, creation with upload, expiration and termination.

use std::time::{Duration, UNIX_EPOCH};

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::{Caller, JobsRead, JobsWrite},
    body::{Asked, Name},
    problem::Problem,
    schema::Octets,
};
use crate::{
    model::clock::millis,
    service::Service,
    store::{MOST_UPLOADS, UploadRow, new_id},
    uploads::{Stopped, UPLOADING},
    view::{List, Upload},
    workers::Busy,
};

const RESUMABLE: &str = "tus-resumable";
const OFFSET: &str = "upload-offset";
const LENGTH: &str = "upload-length";
const METADATA: &str = "upload-metadata";
const EXPIRES: &str = "upload-expires";

/// The version of tus.
const VERSION: &str = "1.0.0";

/// The content type of bytes that belong at an offset.
const OF_PARTS: &str = "application/offset+octet-stream";

/// The longest name that is kept, in bytes.
const MOST_NAME: usize = 255;

/// The pause that clients are told to make after a body that ended early.
const TO_GO_ON: Duration = Duration::from_secs(1);

pub(super) fn router() -> OpenApiRouter<Service> {
    OpenApiRouter::new()
        .routes(routes!(create, list, tell))
        .routes(routes!(get, head, append, remove))
        .layer(middleware::from_fn(versioned))
}

/// Refuses requests of other versions of tus, and tells the version in all answers.
async fn versioned(request: Request, next: Next) -> Response {
    let asked = request.headers().get(RESUMABLE);
    let mut response = if asked.is_none_or(|version| version == VERSION) {
        next.run(request).await
    } else {
        let problem = Problem::invalid("Tus-Resumable", "another version", VERSION);
        let mut response = problem.into_response();
        *response.status_mut() = StatusCode::PRECONDITION_FAILED;
        let versions = HeaderValue::from_static(VERSION);
        response.headers_mut().insert("tus-version", versions);
        response
    };
    response.headers_mut().insert(RESUMABLE, HeaderValue::from_static(VERSION));
    response
}

/// What a request for a new upload may ask for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// The name of the file, without folders, by which people know it again.
    name: Option<String>,
}

/// The text of a header.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// A number of bytes in a header.
fn number(headers: &HeaderMap, name: &str) -> Result<u64, Problem> {
    let text = text(headers, name);
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let found = text.map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
        Problem::invalid(name, found, "a number of bytes")
    })
}

/// The name of a file in `Upload-Metadata`: pairs of a key and a value in Base64, with commas between.
fn name_of(headers: &HeaderMap) -> Option<String> {
    let mut pairs = text(headers, METADATA)?.split(',');
    let (_, name) = pairs.find_map(|pair| {
        let pair = pair.trim().split_once(' ');
        pair.filter(|(key, _)| ["filename", "name"].contains(key))
    })?;
    String::from_utf8(BASE64_STANDARD.decode(name.trim()).ok()?).ok()
}

/// A name without folders and control characters, and not too long.
fn plain(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last.chars().filter(|letter| !letter.is_control()).collect();
    // The extension is at the end.
    let from = kept.len().saturating_sub(MOST_NAME);
    let from = (from..=kept.len()).find(|at| kept.is_char_boundary(*at)).unwrap_or(kept.len());
    match kept.get(from..).unwrap_or_default() {
        "" | "." | ".." => "upload".to_owned(),
        kept => kept.to_owned(),
    }
}

impl From<Stopped> for Problem {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            // What clients take as a reason to go on where the upload stopped.
            Stopped::Broken => Self::unavailable(stopped.to_string(), TO_GO_ON),
            Stopped::TooLong => Self::too_large(stopped.to_string()),
            Stopped::TakenOver => Self::conflict(stopped.to_string()),
            Stopped::Full => Busy::DISK_FULL.into(),
            Stopped::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                Busy::DISK_FULL.into()
            }
            Stopped::Io(error) => Self::fault(&format!("an upload: {error}")),
        }
    }
}

/// What all answers about an upload have.
fn headers(upload: &UploadRow, received: u64) -> [(&'static str, HeaderValue); 3] {
    let expires = u64::try_from(upload.expires_at).unwrap_or(0);
    let expires = UNIX_EPOCH + Duration::from_millis(expires);
    let expires = httpdate::fmt_http_date(expires);
    let expires = HeaderValue::try_from(expires).unwrap_or(HeaderValue::from_static(""));
    [
        (OFFSET, received.into()),
        (EXPIRES, expires),
        ("cache-control", HeaderValue::from_static("no-store")),
    ]
}

fn unread(error: std::io::Error) -> Problem {
    Stopped::Io(error).into()
}

/// Takes a file that is to be an input: `"input": { "url": "upload:ID" }`.
///
/// The body is the whole file, as `curl -X POST -T FILE` sends it. With `Tus-Resumable` and `Upload-Length`
/// instead, an upload of that length begins, whose bytes come with `PATCH`.
#[utoipa::path(post, operation_id = "createUpload", path = "/uploads", tag = "Uploads",
    params(Wanted,
        ("Tus-Resumable" = Option<String>, Header, description = "`1.0.0`, for an upload in parts"),
        ("Upload-Length" = Option<u64>, Header, description = "The bytes of all parts together"),
        ("Upload-Metadata" = Option<String>, Header, description = "`filename` and the name in Base64")),
    request_body(content((Octets = "application/octet-stream")), description = "The file"),
    responses((status = 201, description = "The upload; `Location` is where its parts go", body = Upload)))]
async fn create(
    State(service): State<Service>,
    caller: Caller<JobsWrite>,
    Asked(wanted): Asked<Wanted>,
    asked: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    service.expect_room()?;
    let in_parts = asked.contains_key(RESUMABLE);
    let length = number(&asked, if in_parts { LENGTH } else { "content-length" })?;
    let config = &service.config;
    if length == 0 {
        return Err(Problem::invalid("$", "no bytes", "the bytes of a file"));
    }
    if length > config.most_input_bytes {
        return Err(Problem::payload_too_large(config.most_input_bytes));
    }
    if !service.disk.has_room_for(length) {
        return Err(Busy::DISK_FULL.into());
    }
    let name = wanted.name.or_else(|| name_of(&asked)).unwrap_or_default();
    let (now, has_body) = (millis(), !in_parts || is_part(&asked));
    let mut row = UploadRow {
        id: new_id(),
        project: caller.project.clone(),
        name: plain(&name),
        metadata: text(&asked, METADATA).unwrap_or_default().to_owned(),
        length: i64::try_from(length).unwrap_or(i64::MAX),
        created_at: now,
        // Its client knows no id before the end, so nobody goes on with it should it break.
        expires_at: now + if has_body { UPLOADING } else { config.upload_millis() },
    };
    let most = config.most_upload_bytes_per_project;
    if !service.store.new_upload(&row, i64::try_from(most).unwrap_or(i64::MAX)).await? {
        return Err(Problem::too_large(format!(
            "the uploads of the project would be more than {MOST_UPLOADS}, or have more than {most} bytes"
        )));
    }
    let mut received = 0;
    if has_body {
        let turn = service.uploads.turn(&row.id).await;
        match turn.append(0, length, body.into_data_stream(), || service.disk.has_room()).await {
            Ok(bytes) => received = bytes,
            Err(stopped) => {
                service.store.forget_upload(&row.id).await?;
                service.uploads.remove(&row.id).map_err(unread)?;
                return Err(stopped.into());
            }
        }
        drop(turn);
        row.expires_at = millis() + config.upload_millis();
        service.store.keep_upload(&row.id, row.expires_at).await?;
    }
    tracing::info!(upload = row.id, bytes = length, received, "an upload was begun");
    // A relative one leads there behind a prefix of a proxy, too.
    let location = HeaderValue::try_from(format!("uploads/{}", row.id));
    let location = location.map_err(|_| Problem::fault("the id of an upload is no header"))?;
    let told = (headers(&row, received), [(header::LOCATION, location)]);
    let upload = Upload::new(&row, received);
    Ok((StatusCode::CREATED, told, Json(upload)).into_response())
}

/// Whether the body of a request is a part of an upload.
fn is_part(headers: &HeaderMap) -> bool {
    text(headers, "content-type").is_some_and(|kind| kind.eq_ignore_ascii_case(OF_PARTS))
}

/// The uploads of the project, newest first.
#[utoipa::path(get, operation_id = "listUploads", path = "/uploads", tag = "Uploads",
    responses((status = 200, description = "All uploads", body = List<Upload>)))]
async fn list(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
) -> Result<Json<List<Upload>>, Problem> {
    let rows = service.store.uploads(&caller.project).await?;
    let uploads = rows.iter().map(|row| {
        let received = service.uploads.received(&row.id).map_err(unread)?;
        Ok(Upload::new(row, received))
    });
    Ok(Json(List { data: uploads.collect::<Result<_, Problem>>()? }))
}

/// What of tus this service can do.
#[utoipa::path(options, operation_id = "getUploadOptions", path = "/uploads", tag = "Uploads",
    responses((status = 204, description = "In `Tus-Version`, `Tus-Extension` and `Tus-Max-Size`")))]
async fn tell(State(service): State<Service>, _: Caller<JobsRead>) -> Response {
    let most = service.config.most_input_bytes.to_string();
    let told = [
        ("tus-version", VERSION),
        ("tus-extension", "creation,creation-with-upload,expiration,termination"),
        ("tus-max-size", most.as_str()),
    ];
    (StatusCode::NO_CONTENT, told).into_response()
}

/// An upload of a project.
async fn find(service: &Service, project: &str, id: &str) -> Result<UploadRow, Problem> {
    let found = service.store.upload(project, id).await?;
    found.ok_or_else(|| Problem::not_found("upload"))
}

/// One upload.
#[utoipa::path(get, operation_id = "getUpload", path = "/uploads/{id}", tag = "Uploads", params(("id" = String, Path)),
    responses((status = 200, description = "The upload", body = Upload)))]
async fn get(
    State(service): State<Service>,
    caller: Caller<JobsRead>,
    Name(id): Name,
) -> Result<Response, Problem> {
    let row = find(&service, &caller.project, &id).await?;
    let received = service.uploads.received(&row.id).map_err(unread)?;
    Ok((headers(&row, received), Json(Upload::new(&row, received))).into_response())
}

/// Where the next part begins: in `Upload-Offset`. A request that still sends is ended.
#[utoipa::path(head, operation_id = "getUploadOffset", path = "/uploads/{id}", tag = "Uploads", params(("id" = String, Path)),
    responses((status = 200, description = "`Upload-Offset` and `Upload-Length`, in bytes")))]
async fn head(
    State(service): State<Service>,
    caller: Caller<JobsWrite>,
    Name(id): Name,
) -> Result<Response, Problem> {
    let row = find(&service, &caller.project, &id).await?;
    let received = service.uploads.turn(&row.id).await.received().map_err(unread)?;
    let mut response =
        (headers(&row, received), [(LENGTH, row.length.to_string())]).into_response();
    if let Ok(metadata) = HeaderValue::from_str(&row.metadata)
        && !metadata.is_empty()
    {
        response.headers_mut().insert(METADATA, metadata);
    }
    Ok(response)
}

/// Sends the next part.
#[utoipa::path(patch, operation_id = "continueUpload", path = "/uploads/{id}", tag = "Uploads",
    params(("id" = String, Path),
        ("Upload-Offset" = u64, Header, description = "Where the part begins, in bytes: at the end of the last one")),
    request_body(content((Octets = "application/offset+octet-stream")), description = "The part"),
    responses((status = 204, description = "`Upload-Offset` is how many bytes have come")))]
async fn append(
    State(service): State<Service>,
    caller: Caller<JobsWrite>,
    Name(id): Name,
    asked: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if !is_part(&asked) {
        return Err(Problem::unsupported_media_type(OF_PARTS));
    }
    find(&service, &caller.project, &id).await?;
    let offset = number(&asked, OFFSET)?;
    let turn = service.uploads.turn(&id).await;
    // It may have been deleted before the turn came.
    let mut row = find(&service, &caller.project, &id).await?;
    let received = turn.received().map_err(unread)?;
    if offset != received {
        let message = format!("the part begins at {offset}, and {received} bytes have come");
        return Err(Problem::conflict(message));
    }
    let length = u64::try_from(row.length).unwrap_or(0);
    let ended = turn.append(offset, length, body.into_data_stream(), || service.disk.has_room());
    let ended = ended.await;
    drop(turn);
    row.expires_at = row.expires_at.max(millis() + service.config.upload_millis());
    service.store.keep_upload(&row.id, row.expires_at).await?;
    let received = ended?;
    if received == length {
        tracing::info!(upload = row.id, bytes = length, "an upload is whole");
    }
    Ok((StatusCode::NO_CONTENT, headers(&row, received)).into_response())
}

/// Deletes an upload that no job needs that has not ended.
#[utoipa::path(delete, operation_id = "deleteUpload", path = "/uploads/{id}", tag = "Uploads", params(("id" = String, Path)),
    responses((status = 204, description = "The upload is deleted")))]
async fn remove(
    State(service): State<Service>,
    caller: Caller<JobsWrite>,
    Name(id): Name,
) -> Result<StatusCode, Problem> {
    let row = find(&service, &caller.project, &id).await?;
    let _turn = service.uploads.turn(&row.id).await;
    if !service.store.forget_upload(&row.id).await? {
        return Err(Problem::conflict("a job that has not ended needs the upload"));
    }
    // Where the client leaves before this, the file is removed as one that is not known.
    service.uploads.remove(&row.id).map_err(unread)?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use axum::http::HeaderName;

    use super::*;

    #[test]
    fn names_are_plain() {
        assert_eq!(plain("../a/b.mp4"), "b.mp4");
        assert_eq!(plain("C:\\clips\\b\n.mp4"), "b.mp4");
        assert_eq!(plain(".."), "upload");
        let long = plain(&format!("{}.mkv", "ä".repeat(300)));
        assert!(long.len() <= MOST_NAME && long.ends_with("ä.mkv"));
    }

    #[test]
    fn names_come_in_metadata() {
        let told = |text: &'static str| {
            name_of(&HeaderMap::from_iter([(
                HeaderName::from_static(METADATA),
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(told("filetype dmlkZW8=, filename YS5tcDQ=").unwrap(), "a.mp4");
        assert_eq!(told("filename YS5tcDQ"), None);
        assert_eq!(told("is_confidential"), None);
    }
}
