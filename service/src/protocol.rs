//! What a service and its worker processes say to each other: one JSON object on a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A job for a worker, on its standard input.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Which job it is.
    pub id: String,
    /// The document, whose inputs are URLs.
    pub document: String,
    /// The folder that outputs are written into, and nothing else.
    pub folder: PathBuf,
    /// Whether only the plan is wanted.
    pub plan_only: bool,
    /// Threads of the job's decoders and encoders.
    pub threads: u32,
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
    /// The inputs are looked at.
    Probing,
    /// The plan is made, or inputs are copied.
    Planning,
    /// The plan: its strategy, and the reasons why.
    Planned {
        /// The way the goal is met.
        strategy: String,
        /// Codes and sentences.
        reasons: Vec<Value>,
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
    /// What is not as one would wish: codes and sentences.
    pub warnings: Vec<Value>,
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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Failure {
    /// For machines, as `INPUT_INVALID`.
    pub code: String,
    /// For people.
    pub message: String,
    /// Where, as in `probe`.
    pub stage: String,
    /// Whether the same may succeed when it is simply tried again.
    pub retryable: bool,
}
