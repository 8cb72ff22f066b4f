//! Makes a plan from a job and what probing found. It is pure: the same input gives the same plan.

mod elsewhere;

use std::{ops::Range, sync::Arc};

use avocet_model::{
    error::{Error, Result},
    index::Index,
    media::{MediaInfo, StreamInfo},
    plan::{Action, Output, Plan, StreamId, Track, TrackKind},
};

use crate::{
    custom,
    decide::{context::CompileContext, cost},
    job::{CheckedJob, Job, JobOutputs, Task},
    recipe::{Recipe, thumbnails::Thumbnails},
    words::{format::Format, parameter::Accuracy},
};

impl CheckedJob {
    /// Makes the plan of this job.
    ///
    /// # Errors
    /// [`Error::Lacking`] when an input lacks what the recipe needs; [`Error::Absent`] when this
    /// build lacks an encoder or filter; [`Error::ArgumentRefused`] as
    /// [`check_arguments`](Job::check_arguments).
    pub fn compile(&self, context: &CompileContext<'_>) -> Result<Plan> {
        let mut plan = match (&self.task, &self.outputs) {
            (Task::Recipe(recipe), JobOutputs::One(format)) => recipe.compile(*format, context),
            (Task::Ffmpeg(args), _) => custom::compile(args, self, context),
            (Task::Recipe(_), JobOutputs::Files(_)) => {
                Err(Error::BadPlan { what: "a recipe has one output".to_owned() })
            }
        }?;
        elsewhere::fill(&mut plan, self.stage_input, context.inputs);
        Ok(plan)
    }
}

impl Job {
    /// Refuses arguments for the `ffmpeg` program that are not safe, before any media is opened.
    ///
    /// # Errors
    /// [`Error::ArgumentRefused`] names the first one, and why.
    pub fn check_arguments(&self) -> Result<()> {
        match &self.task {
            Task::Recipe(_) => Ok(()),
            Task::Ffmpeg(args) => custom::check(args, self),
        }
    }

    /// Whether the recipe makes still pictures only: a thumbnail or a storyboard.
    pub fn needs_pictures_only(&self) -> bool {
        matches!(&self.task, Task::Recipe(Recipe::Thumbnail(_) | Recipe::Storyboard(_)))
    }

    /// The span of an input that the job uses, in seconds from its earliest presentation time. It
    /// is empty for thumbnails and storyboards, for which only the times of keyframes matter.
    pub fn section(&self) -> Range<f64> {
        let of = |start: f64, duration: Option<f64>| {
            start..duration.map_or(f64::INFINITY, |duration| start + duration)
        };
        match &self.task {
            Task::Recipe(Recipe::WebReady(it)) => of(it.start_seconds, it.duration_seconds),
            Task::Recipe(Recipe::Proxy(it)) => of(it.start_seconds, it.duration_seconds),
            Task::Recipe(Recipe::ExtractAudio(it)) => of(it.start_seconds, it.duration_seconds),
            Task::Recipe(Recipe::Trim(it)) => match (it.ranges.first(), it.ranges.last()) {
                (Some(first), Some(last)) => {
                    first.start_seconds..last.start_seconds + last.duration_seconds
                }
                _ => of(it.start_seconds, it.duration_seconds),
            },
            Task::Recipe(Recipe::Storyboard(_) | Recipe::Thumbnail(_)) => 0.0..0.0,
            _ => 0.0..f64::INFINITY,
        }
    }

    /// Whether the plan depends on the index of an input.
    pub fn needs_index(&self, media: &MediaInfo) -> bool {
        match &self.task {
            Task::Recipe(recipe) => recipe.needs_index(media),
            Task::Ffmpeg(_) => false,
        }
    }
}

impl Thumbnails {
    /// Whether the plan depends on the index of an input.
    pub fn needs_index(&self, media: &MediaInfo) -> bool {
        let asks_for_keyframes = self.accuracy() == Accuracy::Keyframe && lists_keyframes(media);
        asks_for_keyframes || has_unsure_end(media)
    }
}

impl Recipe {
    /// Makes the plan of this recipe for an output of `format`.
    ///
    /// # Errors
    /// As for [`CheckedJob::compile`].
    pub fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let mut plan = self.compile_once(format, context)?;
        if plan.outputs.iter().any(Output::copies_without_gaps) {
            let with_gaps = CompileContext { has_gaps: true, ..context.clone() };
            plan.otherwise = match self.compile_once(format, &with_gaps) {
                Ok(encoded) => Some(Box::new(encoded)),
                // Without an encoder there is no other plan. Audio without gaps is still copied.
                Err(Error::Absent { .. }) => None,
                Err(error) => return Err(error),
            };
        }
        cost::fill(&mut plan, context.inputs);
        let encoded = self.without_copies(&plan, format, context);
        plan.if_parameters_change = encoded.map(Box::new);
        Ok(plan)
    }

    fn compile_once(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        match self {
            Self::WebReady(recipe) => recipe.compile(context),
            Self::Proxy(recipe) => recipe.compile(context),
            Self::Compress(recipe) => recipe.compile(format, context),
            Self::Transcode(recipe) => recipe.compile(format, context),
            Self::Resize(recipe) => recipe.compile(format, context),
            Self::Trim(recipe) => recipe.compile(format, context),
            Self::ExtractAudio(recipe) => recipe.compile(format, context),
            Self::Thumbnail(recipe) => recipe.compile(format, context),
            Self::Storyboard(recipe) => recipe.compile(format, context),
            Self::Concat(recipe) => recipe.compile(format, context),
        }
    }

    /// The plan for the case that codec parameters of a copied stream turn out to change. `None`
    /// where they can not change, where all packets were read for the index, and where nothing can
    /// be encoded instead.
    fn without_copies(
        &self,
        plan: &Plan,
        format: Format,
        context: &CompileContext<'_>,
    ) -> Option<Plan> {
        let is_copied = |track: &&Track| {
            track.action == Action::Copy
                && matches!(track.kind, TrackKind::Video | TrackKind::Audio)
        };
        let is_unknown = |id: &StreamId| {
            let probed = context.inputs.get(id.input);
            probed.is_some_and(|it| {
                // An index from a sample table was made without reading the packets. An index whose
                // times go back includes appended files, whose headers were not read.
                let goes_back = |index: &Arc<Index>| index.streams.iter().any(|it| it.goes_back);
                let index = it.index.as_ref().filter(|_| !it.media.lists_packets());
                let was_read = index.is_some_and(|index| !goes_back(index));
                let stream = it.media.streams.get(id.stream);
                let may_change = |stream: &StreamInfo| {
                    !stream.parameters_change && it.media.parameters_may_change(stream)
                };
                !was_read && stream.is_some_and(may_change)
            })
        };
        let plans = std::iter::successors(Some(plan), |plan| plan.otherwise.as_deref());
        let copied = plans.flat_map(Plan::tracks).filter(is_copied).flat_map(Track::sources);
        let unknown: Vec<StreamId> = copied.filter(is_unknown).collect();
        if unknown.is_empty() {
            return None;
        }
        let mut inputs = context.inputs.to_vec();
        for id in unknown {
            let stream =
                inputs.get_mut(id.input).and_then(|it| it.media.streams.get_mut(id.stream));
            if let Some(stream) = stream {
                stream.parameters_change = true;
            }
        }
        let changing = CompileContext { inputs: &inputs, ..context.clone() };
        // Without a plan that encodes, the stream is still copied as long as its parameters do not
        // change.
        self.compile(format, &changing).ok()
    }

    fn needs_index(&self, media: &MediaInfo) -> bool {
        let cuts = |start: f64, duration: Option<f64>| start > 0.0 || duration.is_some();
        // Without a sample table, only the packets themselves tell how large a stream is.
        let has_sizes = || media.videos().all(|(stream, _)| stream.promised_bytes.is_some());
        match self {
            Self::WebReady(recipe) => {
                cuts(recipe.start_seconds, recipe.duration_seconds)
                    || (!recipe.asks_for_encode() && !has_sizes())
            }
            Self::Proxy(recipe) => cuts(recipe.start_seconds, recipe.duration_seconds),
            Self::ExtractAudio(recipe) => cuts(recipe.start_seconds, recipe.duration_seconds),
            Self::Trim(_) | Self::Concat(_) => true,
            Self::Compress(_) => !has_sizes(),
            Self::Storyboard(_) => lists_keyframes(media) || has_unsure_end(media),
            Self::Thumbnail(_) => goes_on(media),
            // Packets of program streams may have no times, and only all of them tell.
            Self::Transcode(_) => media.is_format("mpeg") && media.videos().next().is_some(),
            Self::Resize(_) => false,
        }
    }
}

/// Whether only the packets of a container tell when its media ends: it states no duration (as a
/// live recording), its timestamps may jump, media goes on after the stated end, or a part is
/// missing.
fn has_unsure_end(media: &MediaInfo) -> bool {
    let is_stated = |stream: &StreamInfo| stream.duration.is_some();
    let states_none = media.duration.is_none() && !media.streams.iter().any(is_stated);
    states_none || media.may_jump() || goes_on(media) || media.missing_bytes > 0
}

/// Whether media goes on after the stated end, since another file follows and is read.
fn goes_on(media: &MediaInfo) -> bool {
    media.followed && media.reads_on()
}

/// Whether sample tables list the keyframes of all video streams (MP4, QuickTime), so that the
/// input need not be read as a whole.
pub(crate) fn lists_keyframes(media: &MediaInfo) -> bool {
    media.is_format("mov") && media.videos().all(|(stream, _)| stream.promised_packets.is_some())
}
