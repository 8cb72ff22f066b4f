//! The JSON objects of the API's answers, made from database rows.

use std::{collections::BTreeMap, num::NonZero};

use avocet_recipes::Tree;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use time::format_description::well_known::{
    Iso8601,
    iso8601::{self, TimePrecision},
};
use url::Url;
use utoipa::ToSchema;

use crate::{
    model::{
        protocol::Failure,
        scope::{self, Scope},
    },
    outputs::storage::{Stored, outputs_of},
    service::Service,
    store::{AttemptRow, DeliveryRow, JobRow, PresetRow, ProjectRow, State, TokenRow, UploadRow},
    uploads,
};

/// A time in milliseconds since 1970, as RFC 3339 writes it, with three digits behind the second, so
/// that times in the order of their text are in the order of time.
pub(crate) fn time(millis: i64) -> String {
    const FORMAT: iso8601::EncodedConfig = iso8601::Config::DEFAULT
        .set_time_precision(TimePrecision::Second { decimal_digits: NonZero::new(3) })
        .encode();
    let nanoseconds = i128::from(millis) * 1_000_000;
    let time = time::OffsetDateTime::from_unix_timestamp_nanos(nanoseconds);
    let format = Iso8601::<FORMAT>;
    time.ok().and_then(|time| time.format(&format).ok()).unwrap_or_default()
}

/// The milliseconds since 1970 of a time as RFC 3339 writes it.
pub(crate) fn millis_of(text: &str) -> Option<i64> {
    let format = &time::format_description::well_known::Rfc3339;
    let time = time::OffsetDateTime::parse(text, format).ok()?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

fn parsed<T: DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

/// A document as it was written, byte for byte; null if it is no JSON.
pub(crate) fn document(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A list without pages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T: ToSchema> {
    pub(crate) data: Vec<T>,
}

/// A page of jobs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page {
    /// Newest first.
    pub(crate) data: Vec<Job>,
    /// What `cursor` is for the next page; null at the end.
    #[schema(required)]
    pub(crate) next_cursor: Option<String>,
}

/// A job that was taken on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Accepted {
    /// A ULID.
    pub(crate) job_id: String,
    /// `queued`, for a new one.
    pub(crate) state: State,
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    /// A ULID.
    #[serde(rename = "jobId")]
    id: String,
    state: State,
    /// In percent; 100 with `completed` only.
    #[schema(minimum = 0, maximum = 100)]
    progress: i64,
    /// The first output.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<OutputUrl>,
    /// All outputs by their keys: `output`, or those of the document.
    #[serde(rename = "output_files", skip_serializing_if = "Option::is_none")]
    output_files: Option<BTreeMap<String, File>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
    /// As RFC 3339 writes it, as are those below.
    created_at: String,
    #[schema(required)]
    started_at: Option<String>,
    #[schema(required)]
    finished_at: Option<String>,
    /// The name of the recipe; null for custom arguments.
    #[schema(required)]
    recipe: Option<String>,
    /// How the goal is met, as `passthrough`, `remux`, `smart_cut` or `encode`; null before the plan.
    #[schema(required)]
    strategy: Option<String>,
    /// Why so.
    reasons: Vec<Note>,
    /// What is not as one would wish.
    warnings: Vec<Note>,
    /// When it came into each state; jobs of earlier releases have none.
    timeline: Vec<Entry>,
    /// How often it was begun.
    attempts: i64,
    priority: Priority,
    /// As the client gave it.
    metadata: BTreeMap<String, String>,
    /// The document of the job, after the preset was merged into it; passwords and
    /// queries of its URLs are masked.
    #[schema(value_type = Object)]
    document: Box<RawValue>,
}

/// When a job came into a state.
#[derive(Debug, Serialize, ToSchema)]
struct Entry {
    state: String,
    at: String,
}

/// The timeline of a job, as the store has it.
fn timeline(text: &str) -> Vec<Entry> {
    let entry = |entry: &str| {
        let (state, at) = entry.split_once(' ')?;
        Some(Entry { state: state.to_owned(), at: time(at.parse().ok()?) })
    };
    text.split(';').filter_map(entry).collect()
}

/// Which jobs of a project come first.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Priority {
    Low,
    Normal,
    High,
}

/// Why something is as it is.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub(crate) struct Note {
    /// For machines, as `BEST_VIDEO`.
    code: String,
    /// For people.
    message: String,
}

/// Where the first output is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OutputUrl {
    /// Made anew for each answer; null when the output was deleted.
    #[schema(required)]
    signed_url: Option<String>,
}

/// An output.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct File {
    /// `<jobId>-<key>`
    #[serde(rename = "file_id")]
    id: String,
    filename: String,
    /// In 10⁶ bytes.
    size_mbytes: f64,
    /// In seconds; null for pictures and text.
    #[schema(required)]
    duration: Option<f64>,
    /// `video`, `audio`, `image` or `text`.
    #[serde(rename = "file_type")]
    kind: String,
    #[serde(rename = "file_format")]
    #[schema(required)]
    format: Option<String>,
    #[schema(required)]
    mime_type: Option<String>,
    /// That of the main stream.
    #[schema(required)]
    codec: Option<String>,
    /// In pixels, as shown.
    #[schema(required)]
    width: Option<u64>,
    /// In pixels, as shown.
    #[schema(required)]
    height: Option<u64>,
    /// In frames per second.
    #[schema(required)]
    frame_rate: Option<f64>,
    /// In 1000 bits per second.
    #[schema(required)]
    bitrate_kbps: Option<u64>,
    /// Made anew for each answer; null when the output was deleted.
    #[schema(required)]
    storage_url: Option<String>,
}

/// The answer for a job; the URLs of its outputs are signed anew.
pub(crate) async fn job(service: &Service, row: &JobRow) -> Job {
    let mut files = BTreeMap::new();
    let mut output = None;
    for stored in outputs_of(&row.outputs) {
        let file = file(service, &row.id, &stored).await;
        output.get_or_insert_with(|| OutputUrl { signed_url: file.storage_url.clone() });
        files.insert(stored.made.key, file);
    }
    Job {
        id: row.id.clone(),
        state: row.state,
        progress: row.progress,
        output,
        output_files: (!files.is_empty()).then_some(files),
        error: row.error.as_deref().and_then(|text| serde_json::from_str(text).ok()),
        created_at: time(row.created_at),
        started_at: row.started_at.map(time),
        finished_at: row.finished_at.map(time),
        recipe: row.recipe.clone(),
        strategy: row.strategy.clone(),
        reasons: parsed(&row.reasons),
        warnings: parsed(&row.warnings),
        timeline: timeline(&row.timeline),
        attempts: row.attempts,
        priority: match row.priority {
            ..=0 => Priority::Low,
            1 => Priority::Normal,
            2.. => Priority::High,
        },
        metadata: parsed(&row.metadata),
        document: document(&masked(&row.document)),
    }
}

/// A document whose URLs have `***` in place of their passwords and queries, which may be signatures: it
/// goes to receivers of webhooks, too.
fn masked(text: &str) -> String {
    fn mask(value: Tree) -> Tree {
        match value {
            Tree::Text(text) => {
                let url = Url::parse(&text).ok().filter(Url::has_host);
                let masked = url.and_then(|mut url| {
                    let (has_password, has_query) =
                        (url.password().is_some(), url.query().is_some());
                    if has_password {
                        url.set_password(Some("***")).ok()?;
                    }
                    if has_query {
                        url.set_query(Some("***"));
                    }
                    (has_password || has_query).then(|| url.into())
                });
                Tree::Text(masked.unwrap_or(text))
            }
            Tree::Array(items) => Tree::Array(items.into_iter().map(mask).collect()),
            Tree::Object(fields) => {
                Tree::Object(fields.into_iter().map(|(key, value)| (key, mask(value))).collect())
            }
            other => other,
        }
    }
    Tree::read(text).map_or_else(|_| "null".to_owned(), |tree| mask(tree).to_string())
}

/// One output of a job.
pub(crate) async fn file(service: &Service, job: &str, output: &Stored) -> File {
    let made = output.made.clone();
    File {
        id: format!("{job}-{}", made.key),
        filename: made.filename,
        size_mbytes: made.size_bytes as f64 / 1e6,
        duration: made.duration,
        kind: made.file_type,
        format: made.file_format,
        mime_type: made.mime_type,
        codec: made.codec,
        width: made.width,
        height: made.height,
        frame_rate: made.frame_rate,
        bitrate_kbps: made.bitrate_kbps,
        storage_url: service.url_of(output).await,
    }
}

/// A saved document without inputs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Preset {
    id: String,
    name: String,
    #[schema(required)]
    description: Option<String>,
    /// What jobs are laid over.
    #[schema(value_type = Object)]
    document: Box<RawValue>,
    created_at: String,
    updated_at: String,
}

impl From<&PresetRow> for Preset {
    fn from(row: &PresetRow) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            description: row.description.clone(),
            document: document(&row.document),
            created_at: time(row.created_at),
            updated_at: time(row.updated_at),
        }
    }
}

/// A file that a client sends, to be the input of jobs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Upload {
    #[serde(rename = "uploadId")]
    id: String,
    /// The input of a document that names it: `upload:` and its id.
    url: String,
    name: String,
    /// Of the whole.
    size_bytes: u64,
    /// How many of them have come. Jobs take what is whole.
    received_bytes: u64,
    created_at: String,
    /// When it is deleted, unless a job needs it that has not ended.
    expires_at: String,
}

impl Upload {
    pub(crate) fn new(row: &UploadRow, received: u64) -> Self {
        Self {
            id: row.id.clone(),
            url: uploads::place(&row.id),
            name: row.name.clone(),
            size_bytes: u64::try_from(row.length).unwrap_or(0),
            received_bytes: received,
            created_at: time(row.created_at),
            expires_at: time(row.expires_at),
        }
    }
}

/// A document to begin with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Starter {
    pub(crate) slug: &'static str,
    pub(crate) name: &'static str,
    #[schema(value_type = Object)]
    pub(crate) document: Box<RawValue>,
}

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Token {
    id: String,
    name: String,
    /// All of it when it is made, its beginning afterwards.
    pub(crate) key: String,
    /// The id of the project that it belongs to.
    project: String,
    /// What it may do.
    scopes: Vec<Scope>,
    created_at: String,
    /// The id of the API key that made it; null when the program did.
    #[schema(required)]
    created_by: Option<String>,
    /// Null for never.
    #[schema(required)]
    expires_at: Option<String>,
    #[schema(required)]
    last_used_at: Option<String>,
    #[schema(required)]
    revoked_at: Option<String>,
}

impl From<&TokenRow> for Token {
    fn from(row: &TokenRow) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            key: row.shown.clone(),
            project: row.project.clone(),
            scopes: scope::split(&row.scopes),
            created_at: time(row.created_at),
            created_by: row.created_by.clone(),
            expires_at: row.expires_at.map(time),
            last_used_at: row.last_used_at.map(time),
            revoked_at: row.revoked_at.map(time),
        }
    }
}

/// A project: jobs, outputs, presets, settings and API keys belong to one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Project {
    id: String,
    name: String,
    /// That of `default` is in 1970.
    created_at: String,
}

impl From<&ProjectRow> for Project {
    fn from(row: &ProjectRow) -> Self {
        let ProjectRow { id, name, created_at } = row.clone();
        Self { id, name, created_at: time(created_at) }
    }
}

/// A webhook, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    /// The `webhook-id` of all its attempts.
    id: String,
    job_id: String,
    /// Without credentials.
    url: String,
    /// `pending`, `delivered` or `failed`.
    state: String,
    #[schema(required)]
    next_at: Option<String>,
    created_at: String,
    attempts: Vec<Attempt>,
}

/// One try to deliver a webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Attempt {
    /// From 1 on.
    number: i64,
    at: String,
    /// The HTTP status of the answer.
    #[schema(required)]
    status: Option<i64>,
    /// Why there was no answer.
    #[schema(required)]
    error: Option<String>,
}

pub(crate) fn delivery(row: &DeliveryRow, attempts: &[AttemptRow]) -> Delivery {
    let attempts = attempts.iter().map(|attempt| Attempt {
        number: attempt.number,
        at: time(attempt.at),
        status: attempt.status,
        error: attempt.error.clone(),
    });
    Delivery {
        id: row.id.clone(),
        job_id: row.job_id.clone(),
        url: avocet_model::location::without_secrets(&row.url),
        state: row.state.clone(),
        next_at: (row.state == "pending").then(|| time(row.next_at)),
        created_at: time(row.created_at),
        attempts: attempts.collect(),
    }
}
