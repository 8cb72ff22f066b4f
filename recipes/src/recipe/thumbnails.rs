//! Many thumbnails of one input.

use std::num::NonZeroU32;

use avocet_model::{
    error::Result,
    plan::{Content, Plan, Reason, Strategy},
};

use super::{
    sampling::{Maker, Sampling, output},
    thumbnail::Thumbnail,
};
use crate::{
    decide::{
        choose,
        context::CompileContext,
        cost,
        limit::Largest,
        picture,
        select::{Need, Selection},
    },
    words::{
        error::Problem,
        format::Format,
        parameter::{Accuracy, Tracks},
    },
};

/// Pictures of one input, each in a file of its own.
///
/// They are made by [`compile`](Self::compile) alone: a job document has one output, or keys for
/// each.
#[derive(Clone, Debug, PartialEq)]
pub struct Thumbnails {
    /// Which pictures are taken.
    sampling: Sampling,
    /// How each is made; the time is not looked at.
    thumbnail: Thumbnail,
    /// The beginning of the files' names, as in `clip` for `clip-0001.jpg`.
    stem: String,
}

/// The largest number of files of [`Thumbnails`], since each of them is open until all are written.
pub const MAX_THUMBNAILS: usize = 500;

impl Thumbnails {
    /// Thumbnails that are made as `thumbnail` says, but for its time, in files whose names begin
    /// with `stem`.
    ///
    /// # Errors
    /// What is wrong with the sampling: the paths are `count`, `everySeconds` and `times`.
    pub fn new(
        thumbnail: Thumbnail,
        sampling: Sampling,
        stem: impl Into<String>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = sampling.problems();
        let asked = match &sampling {
            Sampling::Count(count) => usize::try_from(*count).unwrap_or(usize::MAX),
            Sampling::At(times) => times.len(),
            // How many they are depends on the input.
            Sampling::Every(_) => 0,
        };
        if asked > MAX_THUMBNAILS {
            let (path, allowed) = match &sampling {
                Sampling::At(_) => ("times", format!("at most {MAX_THUMBNAILS} times")),
                _ => ("count", format!("an integer 1 to {MAX_THUMBNAILS}")),
            };
            problems.push(Problem { path: path.to_owned(), found: asked.to_string(), allowed });
        }
        if problems.is_empty() {
            Ok(Self { sampling, thumbnail, stem: stem.into() })
        } else {
            Err(problems)
        }
    }

    /// Whether times are met to the frame.
    pub(crate) const fn accuracy(&self) -> Accuracy {
        self.thumbnail.accuracy
    }

    /// Makes the plan; the output of the context is the folder.
    ///
    /// # Errors
    /// [`Error::Lacking`](avocet_model::error::Error::Lacking) when there is no video, no known
    /// duration, or more pictures than [`MAX_THUMBNAILS`];
    /// [`Error::Absent`](avocet_model::error::Error::Absent) when this build lacks an encoder or
    /// filter.
    pub fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let selection = Selection::of(context, format, Need::Video, Tracks::Best, None)?;
        let probed = selection.probed;
        let (stream, video) = choose::need_video(&probed.location, &probed.media)?;
        let slots = self.sampling.slots(probed, MAX_THUMBNAILS)?;
        let largest = Largest::of_picture(format);
        let wanted = picture::fit(video.shown_size(), self.thumbnail.width, self.thumbnail.height);
        let fitted = largest.fit(wanted);
        let size = (picture::whole(fitted.0), picture::whole(fitted.1));
        let capabilities = context.capabilities;
        let quality = self.thumbnail.quality;
        let maker = Maker { probed, stream, video, format, quality, size, capabilities };
        let picks = maker.picks(&slots, self.accuracy());
        let because: Vec<Reason> =
            [choose::best()].into_iter().chain(largest.scaled_down(wanted, size)).collect();
        let mut outputs = Vec::new();
        for (number, pick) in picks.into_iter().enumerate() {
            let name = format!("{}-{:04}.{}", self.stem, number + 1, format.extension());
            let sheet = maker.sheet(vec![pick], NonZeroU32::MIN, because.clone())?;
            let content = Content::SpriteSheet(Box::new(sheet));
            outputs.push(output(context, &name, number, "image2pipe", content));
        }
        let mut plan = selection.plan(Strategy::Storyboard, Vec::new(), self.thumbnail.lenient);
        plan.notices.extend(maker.notice());
        plan.dropped.retain(|dropped| dropped.stream != stream.index);
        plan.outputs = outputs;
        plan.seconds = plan.seconds.or(slots.last().map(|slot| slot.to));
        cost::fill(&mut plan, context.inputs);
        Ok(plan)
    }
}
