//! The protocol between a service and its worker processes: one JSON object on each line of a
//! socket.

use std::{num::NonZeroU32, path::PathBuf};

use avocet_model::plan::Reason;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A job for a worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// The job document, as JSON text.
    pub document: String,
    /// What to do with the document.
    pub purpose: Purpose,
    /// The limits of the job.
    pub limits: Limits,
}

/// What a worker is to do with a document.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// Only make the plan and return it.
    Plan,
    /// Run the job.
    Run {
        /// The folder for its outputs.
        folder: PathBuf,
        /// The `ffmpeg` program, where the worker may run that one.
        ffmpeg: Option<PathBuf>,
        /// The working folder for that program.
        #[serde(rename = "ofFfmpeg")]
        of_ffmpeg: PathBuf,
    },
    /// Make system calls, for tests of the confinement only. The answers are their results, or
    /// negative error numbers.
    #[cfg(feature = "door")]
    Door(Vec<avocet_engine::door::Call>),
}

/// The limits of a job.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Threads inside each decoder and encoder.
    pub threads: NonZeroU32,
    /// Whether inputs may be in private networks, and over `http:`.
    pub anywhere: bool,
    /// The most bytes of an input that is copied before the run.
    pub max_input_bytes: u64,
    /// The longest duration of an input, in seconds.
    pub max_media_seconds: f64,
    /// The most pixels of a picture of an input.
    pub max_pixels: u64,
    /// How long the `ffmpeg` program may run, in seconds.
    pub max_seconds: u64,
    /// The most memory that the `ffmpeg` program may use, in bytes.
    pub max_memory_bytes: u64,
    /// Whether the `ffmpeg` program may run where the kernel can not confine it.
    pub unconfined: bool,
}

/// A request to a worker: one line on the socket that is its standard input.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Request {
    /// Run a job.
    Run(Order),
    /// Stop the running job.
    Cancel,
}

/// An event of a worker: one line on the same socket.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// The worker has the job; nothing was done for it yet.
    Taken,
    /// The inputs are being probed.
    Probing,
    /// The plan is being made, or inputs are being copied.
    Planning,
    /// The plan was made.
    Planned {
        /// The name of the plan's strategy, as in `remux`.
        strategy: String,
        /// The reasons of the plan and of its tracks.
        reasons: Vec<Reason>,
        /// The file names of the outputs.
        outputs: Vec<String>,
        /// The whole plan, for [`Purpose::Plan`] only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Value>,
    },
    /// How much of the run is done, in percent, from 0 to 99.
    Progress(u8),
    /// The job completed.
    Done(Done),
    /// The results of [`Purpose::Door`].
    #[cfg(feature = "door")]
    Through(Vec<i64>),
    /// The job failed.
    Failed(Failure),
}

/// The result of a job.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// One for each output, in the order of the document.
    pub outputs: Vec<Made>,
    /// The warnings of the report.
    pub warnings: Vec<Reason>,
}

/// One output of a job.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Made {
    /// Its key in the document: `output`, or as in `out_1`.
    pub key: String,
    /// Its file name; for a passthrough the URL of the input.
    pub filename: String,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// Its duration in seconds; `None` for a picture.
    pub duration: Option<f64>,
    /// `video`, `audio`, `image` or `text`.
    pub file_type: String,
    /// The name of its format, as in `mp4`.
    pub file_format: Option<String>,
    /// Its media type, as in `video/mp4`.
    pub mime_type: Option<String>,
    /// The codec of its main stream.
    pub codec: Option<String>,
    /// Its width as displayed, in pixels.
    pub width: Option<u64>,
    /// Its height as displayed, in pixels.
    pub height: Option<u64>,
    /// Its frame rate, in frames per second.
    pub frame_rate: Option<f64>,
    /// Its bit rate, in kbit/s.
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
    /// A failure without a log of the `ffmpeg` program.
    pub fn new(code: &str, message: impl Into<String>, stage: &str, retryable: bool) -> Self {
        let (code, stage) = (code.to_owned(), stage.to_owned());
        Self { code, message: message.into(), stage, retryable, log: None }
    }
}
