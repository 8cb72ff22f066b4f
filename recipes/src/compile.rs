//! From a job and what probing found to a plan: pure, so that the same input gives the same plan.

use avocet_engine::{Capabilities, Error, Input, Location, MediaInfo, Plan, Result, Timestamp};

use crate::{
    format::Format,
    job::{Job, JobOutputs, Task},
    recipe::Recipe,
};

/// All that a plan is made from, beside the recipe.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// The inputs, in the order of the job, with what probing found.
    pub inputs: &'a [(Location, MediaInfo)],
    /// Where the output goes.
    pub output: Location,
    /// Whether an existing output may be replaced.
    pub replace: bool,
    /// What this libav can do.
    pub capabilities: &'a Capabilities,
}

impl Circumstances<'_> {
    /// The only input of a recipe that takes one.
    pub(crate) fn input(&self) -> Result<(&Location, &MediaInfo)> {
        match self.inputs {
            [(location, media)] => Ok((location, media)),
            inputs => Err(Error::BadPlan {
                what: format!("the recipe takes one input, not {}", inputs.len()),
            }),
        }
    }

    /// The only input, as a plan reads it, with `origin` at the output's 0.
    pub(crate) fn plan_inputs(&self, origin: Timestamp) -> Vec<Input> {
        self.inputs
            .iter()
            .map(|(location, _)| Input { location: location.clone(), origin })
            .collect()
    }

    /// Fails unless this libav has an encoder.
    pub(crate) fn expect_encoder(&self, name: &str) -> Result<()> {
        if self.capabilities.has_encoder(name) {
            return Ok(());
        }
        Err(Error::Absent { kind: "encoder", name: name.to_owned() })
    }

    /// Fails unless this libav has a filter.
    pub(crate) fn expect_filter(&self, name: &str) -> Result<()> {
        if self.capabilities.has_filter(name) {
            return Ok(());
        }
        Err(Error::Absent { kind: "filter", name: name.to_owned() })
    }
}

impl Job {
    /// Makes the plan of this job, whose document was checked before.
    ///
    /// # Errors
    /// [`Error::Lacking`] when an input has not what the recipe needs; [`Error::Absent`] when this
    /// build lacks an encoder or filter, or does not know the recipe yet.
    pub fn compile(&self, circumstances: &Circumstances<'_>) -> Result<Plan> {
        self.expect_built()?;
        match (&self.task, &self.outputs) {
            (Task::Recipe(recipe), JobOutputs::One(format)) => {
                recipe.compile(*format, circumstances)
            }
            _ => Err(Error::BadPlan { what: "a recipe has one output".to_owned() }),
        }
    }

    /// Fails for what this build can not do yet, before any media is opened.
    ///
    /// # Errors
    /// [`Error::Absent`] names the recipe or mode.
    pub fn expect_built(&self) -> Result<()> {
        match &self.task {
            Task::Recipe(Recipe::Thumbnail(_) | Recipe::Transcode(_)) => Ok(()),
            Task::Recipe(recipe) => Err(not_yet("recipe", recipe.name().name())),
            Task::Ffmpeg(_) => Err(not_yet("mode", "ffmpeg")),
        }
    }
}

impl Recipe {
    /// Makes the plan of this recipe for an output of `format`.
    ///
    /// # Errors
    /// As for [`Job::compile`].
    pub fn compile(&self, format: Format, circumstances: &Circumstances<'_>) -> Result<Plan> {
        match self {
            Self::Thumbnail(recipe) => recipe.compile(format, circumstances),
            Self::Transcode(recipe) => recipe.compile(format, circumstances),
            Self::WebReady(_)
            | Self::Proxy(_)
            | Self::Compress(_)
            | Self::Resize(_)
            | Self::Trim(_)
            | Self::ExtractAudio(_)
            | Self::Concat(_) => Err(not_yet("recipe", self.name().name())),
        }
    }
}

fn not_yet(kind: &'static str, name: &str) -> Error {
    Error::Absent { kind, name: name.to_owned() }
}
