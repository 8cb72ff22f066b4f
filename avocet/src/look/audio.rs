//! Sound as samples in memory.

use avocet_engine::Engine;
#[cfg(feature = "tokio")]
use avocet_engine::SampleBlock;
use avocet_model::location::Location;
use avocet_recipes::{CompileContext, Probed, SampleFormat, SampleQuery};

use super::{Reading, Samples, Setup, expect_none, setup_methods, unknown};
use crate::{Error, Input, builder::TimeRange};

/// Sound of an input as samples in memory: at the rate, in the channel layout and of the type of your
/// choice, cut to the sample. By default all of the default audio stream, at its own rate and layout,
/// in 32-bit floating point.
///
/// Priming of the codec is not in it, and holes of more than 20 ms are filled with silence, so that
/// samples stay in time; [`SampleBlock::seconds`] says when a block begins.
///
/// ```no_run
/// let mut samples: Vec<f32> = Vec::new();
/// for block in avocet::audio("talk.mp4").mono().rate(16_000).iter()? {
///     samples.extend(block?.to_f32());
/// }
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn audio(input: impl Into<Input>) -> AudioBuilder {
    AudioBuilder { setup: Setup::new(input.into()), query: SampleQuery::default() }
}

/// Which sound is wanted, and in which form; made by [`audio`].
#[derive(Clone, Debug)]
#[must_use = "nothing is decoded before `iter`, `read` or `stream` is called"]
pub struct AudioBuilder {
    setup: Setup,
    query: SampleQuery,
}

impl AudioBuilder {
    /// The range of time that is wanted, in seconds from the earliest presentation time of the input,
    /// as in `12.0..42.0` or `12.0..`. By default all of it.
    pub fn range(mut self, seconds: impl Into<TimeRange>) -> Self {
        let TimeRange { start, end } = seconds.into();
        (self.query.start, self.query.end) = (start, end);
        self
    }

    /// Which of the audio streams, from 0; by default the one that is marked as default, else the
    /// first.
    pub fn stream_number(mut self, number: usize) -> Self {
        self.query.stream = Some(number);
        self
    }

    /// Samples per second and channel, in Hz, 1 to 768,000; by default those of the stream.
    pub fn rate(mut self, hertz: u32) -> Self {
        self.query.sample_rate = Some(hertz);
        self
    }

    /// libav's name of the channel layout, as in `mono`, `stereo` or `5.1`; by default that of the
    /// stream.
    pub fn layout(mut self, name: &str) -> Self {
        self.query.layout = Some(name.to_owned());
        self
    }

    /// One channel.
    pub fn mono(self) -> Self {
        self.layout("mono")
    }

    /// Two channels, left and right.
    pub fn stereo(self) -> Self {
        self.layout("stereo")
    }

    /// 32-bit floating point, nominally from -1 to 1. This is the default.
    pub fn f32(mut self) -> Self {
        self.query.format = SampleFormat::F32;
        self
    }

    /// 16-bit signed integers.
    pub fn i16(mut self) -> Self {
        self.query.format = SampleFormat::I16;
        self
    }

    /// How many samples of each channel a block has, 1 or more; the last block may have fewer. By
    /// default blocks come as they are decoded, usually of some 20 ms.
    pub fn block(mut self, samples: u32) -> Self {
        self.query.block = Some(samples);
        self
    }

    setup_methods!();

    /// The sound block by block, decoded as it is asked for.
    ///
    /// # Errors
    /// [`Error::Values`] with all that is wrong with the values; [`Error::Engine`] when the input
    /// can not be read or has no sound, or the range begins past its end. Later errors come out of the
    /// iterator.
    #[expect(clippy::iter_not_returning_iterator, reason = "opening may fail")]
    pub fn iter(self) -> Result<Samples, Error> {
        let mut problems = self.query.problems();
        if let Some(layout) =
            self.query.layout.as_ref().filter(|it| !Engine::has_channel_layout(it))
        {
            let allowed = "a channel layout of libav, as `mono`, `stereo` or `5.1`";
            problems.push(unknown("layout", layout, allowed));
        }
        expect_none(problems)?;
        let engine = self.setup.engine();
        let (source, media) = self.setup.probe(&engine)?;
        let location = source.location();
        let inputs = &[Probed { location: location.clone(), media, index: None }];
        let context = CompileContext {
            inputs,
            output: Location::Caller(0),
            replace: true,
            named: true,
            has_gaps: false,
            capabilities: engine.capabilities(),
        };
        let plan = self.query.compile(&context)?;
        Ok(Reading(engine.samples(&plan, &source, &self.setup.cancel)?))
    }

    /// The sound block by block as a stream on tokio, decoded on its threads for blocking work, a few
    /// blocks ahead of who takes them. Dropping the stream ends the decoding.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as every spawning function of tokio does.
    #[cfg(feature = "tokio")]
    pub fn stream(mut self) -> super::BlockingStream<SampleBlock> {
        super::BlockingStream::of(self.setup.child_token(), move || self.iter())
    }
}
