//! What a plan is made from: the probed inputs, the output, and what this libav can do.

use std::sync::Arc;

use avocet_model::{
    capabilities::Capabilities,
    error::{Error, Result},
    index::Index,
    location::Location,
    media::{MediaInfo, Origin, StreamInfo},
    plan::Input,
    time::Timestamp,
};

use super::cut;

/// All that a plan is made from, except the recipe.
#[derive(Clone, Debug)]
pub struct CompileContext<'a> {
    /// The inputs, in the order of the job, with what probing found.
    pub inputs: &'a [Probed],
    /// Where the output goes.
    pub output: Location,
    /// Whether the user chose the extension of the output. If not, it becomes that of the container
    /// that is made. An `m4a` that the user did not choose makes `extractAudio` put AAC into M4A.
    pub named: bool,
    /// Whether an existing output may be replaced.
    pub replace: bool,
    /// Whether audio is assumed to have gaps, so that it is not copied into containers that keep
    /// none; `false` by default, since only a run finds gaps.
    pub has_gaps: bool,
    /// What this libav can do.
    pub capabilities: &'a Capabilities,
}

/// An input, with what probing and indexing found in it.
#[derive(Clone, Debug)]
pub struct Probed {
    /// Where it is.
    pub location: Location,
    /// What probing found.
    pub media: MediaInfo,
    /// The index of its packets, for jobs that [ask for it](crate::Job::needs_index).
    pub index: Option<Arc<Index>>,
}

impl Probed {
    /// The end of the audio or video stream that ends last, in seconds on the input's time line.
    pub(crate) fn end(&self) -> Option<f64> {
        let of_stream = |stream: &StreamInfo| {
            let index = self.index.as_ref().and_then(|index| index.streams.get(stream.index));
            let last = index
                .and_then(|index| index.shown().map(|(pts, packet)| pts + packet.duration).max());
            let last = last.map(|ticks| Timestamp::new(ticks, stream.time_base));
            cut::stream_end(stream).or(last).map(Timestamp::seconds)
        };
        let videos = self.media.videos().map(|(stream, _)| stream);
        let streams = videos.chain(self.media.audios().map(|(stream, _)| stream));
        let found = streams.filter_map(of_stream).reduce(f64::max);
        found.or_else(|| {
            let start = self.media.start.map_or(0.0, Timestamp::seconds);
            Some(start + self.media.duration?.seconds())
        })
    }
}

impl CompileContext<'_> {
    /// The only input of a recipe that takes one.
    pub(crate) fn input(&self) -> Result<&Probed> {
        match self.inputs {
            [probed] => Ok(probed),
            inputs => Err(Error::BadPlan {
                what: format!("the recipe takes one input, not {}", inputs.len()),
            }),
        }
    }

    /// The input of a number.
    pub(crate) fn input_at(&self, number: usize) -> Result<&Probed> {
        let what = || format!("there is no input {number}");
        self.inputs.get(number).ok_or_else(|| Error::BadPlan { what: what() })
    }

    /// The inputs, as a plan reads them.
    pub(crate) fn plan_inputs(&self) -> Vec<Input> {
        self.inputs
            .iter()
            .map(|Probed { location, media, index }| Input {
                location: location.clone(),
                closes_jumps: media.may_jump(),
                goes_back: index.iter().flat_map(|index| &index.streams).any(|it| it.goes_back),
                parts_agree: media.parts_agree(),
                version: media.origin.as_ref().and_then(Origin::pin),
                stage: false,
            })
            .collect()
    }
}

/// Fails unless this libav has an encoder.
pub(crate) fn expect_encoder(capabilities: &Capabilities, name: &str) -> Result<()> {
    if capabilities.has_encoder(name) {
        return Ok(());
    }
    Err(Error::Absent { kind: "encoder", name: name.to_owned() })
}

/// Fails unless this libav has a filter.
pub(crate) fn expect_filter(capabilities: &Capabilities, name: &str) -> Result<()> {
    if capabilities.has_filter(name) {
        return Ok(());
    }
    Err(Error::Absent { kind: "filter", name: name.to_owned() })
}
