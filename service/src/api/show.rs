//! How things look in answers.

use serde_json::{Map, Value, json};

use crate::{
    protocol::Made,
    secret,
    service::Service,
    store::{AttemptRow, DeliveryRow, JobRow, PresetRow, TokenRow},
};

/// An instant, as RFC 3339 writes it.
pub(crate) fn time(millis: i64) -> String {
    let nanoseconds = i128::from(millis) * 1_000_000;
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(nanoseconds);
    let format = time::format_description::well_known::Rfc3339;
    time.ok().and_then(|time| time.format(&format).ok()).unwrap_or_default()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// A job, with URLs that are signed anew.
pub(crate) fn job(service: &Service, job: &JobRow) -> Value {
    let mut shown = json!({
        "jobId": job.id,
        "state": job.state,
        "progress": job.progress,
        "createdAt": time(job.created_at),
        "startedAt": job.started_at.map(time),
        "finishedAt": job.finished_at.map(time),
        "recipe": job.recipe,
        "strategy": job.strategy,
        "reasons": parsed(&job.reasons),
        "warnings": parsed(&job.warnings),
        "attempts": job.attempts,
    });
    let Value::Object(fields) = &mut shown else { return shown };
    if let Some(error) = &job.error {
        fields.insert("error".to_owned(), parsed(error));
    }
    let outputs: Vec<Stored> = serde_json::from_str(&job.outputs).unwrap_or_default();
    if let Some(first) = outputs.first() {
        let url = service.url_of(first);
        fields.insert("output".to_owned(), json!({ "signedUrl": url }));
        let files = outputs.iter().map(|output| {
            (output.made.key.clone(), file(service, &job.id, output))
        });
        fields.insert("output_files".to_owned(), Value::Object(files.collect::<Map<_, _>>()));
    }
    shown
}

/// An output in its place.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stored {
    /// What it is.
    #[serde(flatten)]
    pub(crate) made: Made,
    /// Where it is: below `/files/`, or a URL that is not ours.
    pub(crate) place: String,
    /// Whether it was deleted.
    #[serde(default)]
    pub(crate) deleted: bool,
}

/// One output of a job.
pub(crate) fn file(service: &Service, job: &str, output: &Stored) -> Value {
    let Stored { made, .. } = output;
    json!({
        "file_id": format!("{job}-{}", made.key),
        "filename": made.filename,
        "size_mbytes": made.size_bytes as f64 / 1e6,
        "duration": made.duration,
        "file_type": made.file_type,
        "file_format": made.file_format,
        "mime_type": made.mime_type,
        "codec": made.codec,
        "width": made.width,
        "height": made.height,
        "frame_rate": made.frame_rate,
        "bitrate_kbps": made.bitrate_kbps,
        "storage_url": service.url_of(output),
    })
}

pub(crate) fn preset(preset: &PresetRow) -> Value {
    json!({
        "id": preset.id,
        "name": preset.name,
        "description": preset.description,
        "document": parsed(&preset.document),
        "createdAt": time(preset.created_at),
        "updatedAt": time(preset.updated_at),
    })
}

pub(crate) fn token(token: &TokenRow) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "key": token.shown,
        "createdAt": time(token.created_at),
        "lastUsedAt": token.last_used_at.map(time),
        "revokedAt": token.revoked_at.map(time),
    })
}

pub(crate) fn delivery(delivery: &DeliveryRow, attempts: &[AttemptRow]) -> Value {
    let attempts: Vec<Value> = attempts
        .iter()
        .map(|attempt| {
            json!({
                "number": attempt.number,
                "at": time(attempt.at),
                "status": attempt.status,
                "error": attempt.error,
            })
        })
        .collect();
    json!({
        "id": delivery.id,
        "url": avocet_engine::without_secrets(&delivery.url),
        "state": delivery.state,
        "nextAt": (delivery.state == "pending").then(|| time(delivery.next_at)),
        "createdAt": time(delivery.created_at),
        "attempts": attempts,
    })
}

/// Now, in seconds since 1970, and for how long from then on.
pub(crate) fn until(seconds: u64) -> u64 {
    secret::now().as_secs() + seconds
}
