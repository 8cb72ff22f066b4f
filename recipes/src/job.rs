//! A job: the task, its inputs and its outputs.

use std::{collections::BTreeMap, ops::Deref};

use serde::{Deserialize, Serialize};

use crate::{recipe::Recipe, words::format::Format};

/// A job as values. A job that is made in code is held to the rules for documents by
/// [`check`](Self::check).
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The task.
    pub task: Task,
    /// The inputs, in order; several for `concat` and for ffmpeg arguments.
    pub inputs: Vec<JobInput>,
    /// The outputs.
    pub outputs: JobOutputs,
    /// Whether a remote input is fetched whole before the run; `None` leaves it to the planner.
    pub stage_input: Option<bool>,
    /// What concerns a service only.
    pub service: ForService,
}

/// What a document tells a service about the job. Without a service there is no one to heed it, so
/// that the library and the program refuse what is not as by default.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ForService {
    /// The preset that the document was merged over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset_id: Option<String>,
    /// Where the service tells how the job ended, an `https:` URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// Where on the machine of the service the output goes, as in `root:films/a.mp4`; a folder for
    /// several outputs. `None` for the storage of the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_url: Option<String>,
    /// Which of the project's jobs come first.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
    /// The longest time that the job may run, in seconds, 1 to 604,800 (a week); `None` for that of
    /// the service, which is also the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// The most bytes that all outputs together may have, 1 or more; `None` for that of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_bytes: Option<u64>,
    /// Pairs of the client's own, up to [`MAX_METADATA`]: names of 1 to 64 letters, values of up to
    /// 512.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The most pairs in [`ForService::metadata`].
pub const MAX_METADATA: usize = 16;

/// Which of the jobs of a project come first.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After all others.
    Low,
    /// In the order in which they came.
    #[default]
    Normal,
    /// Before all others.
    High,
}

impl Priority {
    /// All of them, from the last to the first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }

    // By reference, as serde wants it.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    fn is_normal(&self) -> bool {
        *self == Self::Normal
    }
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// One of the recipes.
    Recipe(Recipe),
    /// Arguments for the `ffmpeg` program, one or more.
    Ffmpeg(Vec<String>),
}

/// One input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JobInput {
    /// Its key among several inputs, as in `in_1`; an input without a key is numbered by its place.
    pub key: Option<String>,
    /// Where it is: a URL, or a path where the policy allows paths.
    pub url: String,
}

/// What a job makes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JobOutputs {
    /// One output of that format.
    One(Format),
    /// One or more files: the key, as in `out_1`, and the file name.
    Files(Vec<(String, String)>),
}

impl Job {
    /// A job with a recipe, one input and one output. For `concat`, more are pushed to
    /// [`inputs`](Self::inputs).
    pub fn new(recipe: Recipe, input: impl Into<String>, format: Format) -> Self {
        Self {
            task: Task::Recipe(recipe),
            inputs: vec![JobInput { key: None, url: input.into() }],
            outputs: JobOutputs::One(format),
            stage_input: None,
            service: ForService::default(),
        }
    }

    /// Whether its output is a folder: of a recipe that makes several files, or of files that the
    /// document names.
    pub fn fills_folder(&self) -> bool {
        match &self.task {
            Task::Recipe(recipe) => recipe.name().makes_several(),
            Task::Ffmpeg(_) => matches!(self.outputs, JobOutputs::Files(_)),
        }
    }
}

/// A job that was checked against the rules for documents. Plans are made of such jobs only, so
/// nothing else checks them again.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedJob(Job);

impl CheckedJob {
    /// Marks a job as checked. The caller has checked it.
    pub(crate) const fn new(job: Job) -> Self {
        Self(job)
    }
}

impl Deref for CheckedJob {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.0
    }
}
