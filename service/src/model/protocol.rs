//! What a service and its worker processes say to each other: one JSON object on a line.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, path::PathBuf};

use avocet_engine::Reason;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A job for a worker, on its standard input.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The document, as the service took it.
    pub document: String,
    /// What becomes of it.
    pub purpose: Purpose,
    /// What it may use.
    pub limits: Limits,
}

/// What a worker is to do with a document.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// To say what would be done.
    Plan,
    /// To run it, into a folder.
    Folder(PathBuf),
    /// To send outputs of an earlier run of it to an object store.
    Send(Sending),
}

/// Finished outputs on their way to an object store.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sending {
    /// The file of each, and the URL that it goes to, as in `s3://bucket/outputs/name`.
    pub files: Vec<(PathBuf, String)>,
    /// Options of the store by the names of the crate `object_store`, secrets among them.
    pub options: BTreeMap<String, String>,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("files", &self.files).finish_non_exhaustive()
    }
}

/// What a job may use.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Threads of its decoders and encoders.
    pub threads: NonZeroU32,
    /// Whether inputs may be in private networks, and over `http:`.
    pub anywhere: bool,
    /// What an input that is copied may have at most, in bytes.
    pub max_input_bytes: u64,
    /// How long an input may be, in seconds.
    pub max_media_seconds: f64,
    /// How many pixels a picture of an input may have.
    pub max_pixels: u64,
    /// How long a child process may run, in seconds.
    pub max_seconds: u64,
    /// Memory of a child process, in bytes.
    pub max_memory_bytes: u64,
    /// Whether the `ffmpeg` program may run where the kernel can not confine it.
    pub unconfined: bool,
}

/// What a worker hears while it runs a job, on its standard input.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Request {
    /// To run a job.
    Run(Order),
    /// To stop the job that runs.
    Cancel,
}

/// What a worker says, on its standard output.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// The job is taken; nothing was done for it yet.
    Taken,
    /// The inputs are looked at.
    Probing,
    /// The plan is made, or inputs are copied.
    Planning,
    /// The plan: its strategy, and the reasons why.
    Planned {
        /// The way the goal is met.
        strategy: String,
        /// Why.
        reasons: Vec<Reason>,
        /// The names of its outputs.
        outputs: Vec<String>,
        /// All of it, where only that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Value>,
    },
    /// How much is done, in percent.
    Progress(u8),
    /// It is done.
    Done(Done),
    /// It failed.
    Failed(Failure),
}

/// What a job made.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// One for each output, in the order of the document.
    pub outputs: Vec<Made>,
    /// What is not as one would wish.
    pub warnings: Vec<Reason>,
}

/// One output.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Made {
    /// The key in the document: `output`, or as in `out_1`.
    pub key: String,
    /// Its name in the folder.
    pub filename: String,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// How long it is, in seconds; a picture has none.
    pub duration: Option<f64>,
    /// `video`, `audio`, `image` or `text`.
    pub file_type: String,
    /// As in `mp4`.
    pub file_format: Option<String>,
    /// As in `video/mp4`.
    pub mime_type: Option<String>,
    /// The codec of its main stream.
    pub codec: Option<String>,
    /// As shown, in pixels.
    pub width: Option<u64>,
    /// As shown, in pixels.
    pub height: Option<u64>,
    /// In frames per second.
    pub frame_rate: Option<f64>,
    /// In 1000 bits per second.
    pub bitrate_kbps: Option<u64>,
}

/// Why a job failed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize, ToSchema)]
pub struct Failure {
    /// For machines, as `INPUT_INVALID`.
    pub code: String,
    /// For people.
    pub message: String,
    /// Where, as in `probe`.
    pub stage: String,
    /// Whether the same may succeed when it is simply tried again.
    pub retryable: bool,
    /// The end of what the ffmpeg program wrote to standard error, at most 64 KiB, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

impl Failure {
    /// A failure that is not the ffmpeg program's.
    pub fn new(code: &str, message: impl Into<String>, stage: &str, retryable: bool) -> Self {
        let (code, stage) = (code.to_owned(), stage.to_owned());
        Self { code, message: message.into(), stage, retryable, log: None }
    }
}
