//! A job: the task, its inputs and its outputs.

use std::ops::Deref;

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
            preset_id: None,
            webhook_url: None,
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
