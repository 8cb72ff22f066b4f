//! A job: what is to be done, to which inputs, into which outputs.

use std::ops::Deref;

use crate::{recipe::Recipe, words::format::Format};

/// A job as values. One made in code is held to the rules for documents by [`check`](Self::check).
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// What is to be done.
    pub task: Task,
    /// What it is done to, in order; several for `concat` and for ffmpeg arguments.
    pub inputs: Vec<JobInput>,
    /// What it makes.
    pub outputs: JobOutputs,
    /// Whether a remote input is fetched whole before the run; `None` leaves it to the planner.
    pub stage_input: Option<bool>,
    /// The preset that the document was merged over, for services.
    pub preset_id: Option<String>,
    /// Where a service tells how the job ended, an `https:` URL.
    pub webhook_url: Option<String>,
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
    /// Its key among several inputs, as in `in_1`; one without is numbered by its place.
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
    /// A recipe for one input and one output, for those who make jobs in code; for `concat`, more
    /// are pushed to [`inputs`](Self::inputs).
    pub fn new(recipe: Recipe, input: impl Into<String>, format: Format) -> Self {
        Self {
            task: Task::Recipe(recipe),
            inputs: vec![JobInput { key: None, url: input.into() }],
            outputs: JobOutputs::One(format),
            stage_input: None,
            preset_id: None,
            webhook_url: None,
        }
    }
}

/// A job that keeps to the rules for documents: plans are made of such only, and nobody has to check it
/// once more.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedJob(Job);

impl CheckedJob {
    /// For whoever checked it.
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
