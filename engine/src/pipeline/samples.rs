//! Sound as samples in memory: the line of stages of a track, without its encoder and muxer, which
//! runs as far as the next block is asked for.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use avocet_model::{
    error::{Error, Result},
    media::MediaInfo,
    plan::{Action, FrameFormat, Plan, Reason, SoundFormat},
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};

use super::{
    Opener,
    counters::{Counted, Counters, TrackCounters},
    parts::{OpenInputs, PartContext},
    stage::{Demux, Outlet, Stop},
    verify,
};
use crate::{
    io::{Sources, Unfinished},
    libav::{Frame, limits::Limits},
};

/// Sound of a stream in blocks, decoded and converted as they are asked for, on the thread that
/// asks.
///
/// Made by [`Engine::samples`](crate::Engine::samples). After an error nothing follows.
pub struct Samples {
    demux: Demux,
    ready: Arc<Mutex<VecDeque<Frame>>>,
    counters: TrackCounters,
    plan: Plan,
    media: Vec<MediaInfo>,
    format: SoundFormat,
    /// Where the input begins, in seconds on its time line.
    zero: f64,
    warnings: Vec<Reason>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Reading,
    /// All was read; blocks may be left.
    Read,
    Ended,
}

impl std::fmt::Debug for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Samples({:?})", self.format)
    }
}

/// Keeps the blocks that are ready.
struct Ready(Arc<Mutex<VecDeque<Frame>>>);

impl Outlet<Frame> for Ready {
    fn send(&mut self, frame: Frame) -> Result<(), Stop> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(frame);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Stop> {
        Ok(())
    }
}

impl Samples {
    /// Opens the only track of a plan as far as its encoder.
    ///
    /// # Errors
    /// [`Error::BadPlan`] when the plan is not one track of one part that encodes sound; those of
    /// opening it.
    pub(crate) fn open(
        plan: &Plan,
        sources: &Sources,
        limits: Limits,
        cancel: &CancelToken,
    ) -> Result<Self> {
        plan.check()?;
        let bad = |what: &str| Error::BadPlan { what: what.to_owned() };
        let mut tracks = plan.tracks();
        let (Some(track), None) = (tracks.next(), tracks.next()) else {
            return Err(bad("samples are made of one track"));
        };
        let (Action::Encode(encoder), [part]) = (&track.action, &track.parts[..]) else {
            return Err(bad("samples are made of one part that is encoded"));
        };
        let FrameFormat::Audio(format) = &encoder.format else {
            return Err(bad("samples are made of sound"));
        };
        let counters = TrackCounters { parts: vec![Counters::default()], ..Default::default() };
        let context = PartContext {
            kind: track.kind,
            action: track.action.clone(),
            onto: None,
            frame_base: TimeBase::of_rate(format.sample_rate),
            counters: counters.parts[0].clone(),
            written: counters.written.clone(),
        };
        let unfinished = &Unfinished::default();
        let opener = Opener { sources, threads: NonZeroU32::MIN, limits, cancel, unfinished };
        let mut inputs = OpenInputs::default();
        let (open, _) = opener.open_part(plan, part, &context, &mut inputs)?;
        let ready = Arc::new(Mutex::new(VecDeque::new()));
        let outlet = Box::new(Ready(Arc::clone(&ready)));
        let place = open.connect_on_one_thread(outlet, &mut inputs);
        let opened = place.and_then(|_| inputs.0.pop());
        let opened = opened.ok_or_else(|| bad("samples are made of a stream"))?;
        let mut media = vec![MediaInfo::default(); plan.inputs.len()];
        media[opened.number] = opened.demuxer.media();
        let zero = media[opened.number].start.map_or(0.0, Timestamp::seconds);
        let input = &plan.inputs[opened.number];
        let demux =
            Demux::new(opened.demuxer, &media[opened.number], input, opened.routes, cancel.clone());
        Ok(Self {
            demux,
            ready,
            counters,
            plan: plan.clone(),
            media,
            format: format.clone(),
            zero,
            warnings: Vec::new(),
            state: State::Reading,
        })
    }

    /// Samples per second and channel, in Hz.
    pub fn sample_rate(&self) -> u32 {
        self.format.sample_rate.get()
    }

    /// libav's name of the channel layout, as in `mono` or `5.1`.
    pub fn layout(&self) -> &str {
        &self.format.layout
    }

    /// What the user should know of the input: all of it once the last block was taken.
    pub fn warnings(&self) -> &[Reason] {
        &self.warnings
    }

    fn ready(&self) -> Option<Frame> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Reads on until a block is ready; `None` at the end.
    fn read(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.ready() {
                // Verification wants a track to have something in it.
                self.counters.written.note(|count| count.packets += 1);
                return Ok(Some(frame));
            }
            match self.state {
                State::Reading if self.demux.step()? => {}
                State::Reading => self.state = State::Read,
                State::Read => {
                    self.state = State::Ended;
                    let counts = [vec![Counted::of(&self.counters)]];
                    self.warnings.clone_from(&self.plan.notices);
                    verify::check_inputs(&self.plan, &self.media, &counts, &mut self.warnings)?;
                }
                State::Ended => return Ok(None),
            }
        }
    }
}

impl Iterator for Samples {
    type Item = Result<SampleBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.read();
        if result.is_err() {
            self.state = State::Ended;
            self.ready.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        let base = TimeBase::of_rate(self.format.sample_rate);
        result
            .transpose()
            .map(|frame| frame.map(|frame| SampleBlock { frame, base, zero: self.zero }))
    }
}

/// A block of samples, those of all channels at one instant beside each other (interleaved).
#[derive(Debug)]
pub struct SampleBlock {
    frame: Frame,
    base: TimeBase,
    zero: f64,
}

impl SampleBlock {
    /// When the first sample is heard, in seconds from the earliest presentation time of the input.
    pub fn seconds(&self) -> f64 {
        self.frame
            .exact_pts()
            .map_or(0.0, |pts| Timestamp::new(pts, self.base).seconds() - self.zero)
    }

    /// When the first sample is heard, on the input's time line.
    pub fn time(&self) -> Option<Timestamp> {
        self.frame.exact_pts().map(|pts| Timestamp::new(pts, self.base))
    }

    /// Number of samples of each channel.
    pub fn samples(&self) -> usize {
        usize::try_from(self.frame.samples()).unwrap_or(0)
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        usize::try_from(self.frame.channels()).unwrap_or(0)
    }

    /// The samples as 32-bit floating point, nominally from -1 to 1; `None` when another format was
    /// asked for.
    pub fn f32(&self) -> Option<&[f32]> {
        self.frame.floats()
    }

    /// The samples as 16-bit integers; `None` when another format was asked for.
    pub fn i16(&self) -> Option<&[i16]> {
        self.frame.integers()
    }

    /// The samples as 32-bit floating point in memory of their own, whatever format was asked for:
    /// integers are divided by 32,768.
    pub fn to_f32(&self) -> Vec<f32> {
        match (self.f32(), self.i16()) {
            (Some(floats), _) => floats.to_vec(),
            (None, Some(integers)) => {
                integers.iter().map(|sample| f32::from(*sample) / 32_768.0).collect()
            }
            (None, None) => Vec::new(),
        }
    }

    /// The samples as a view of samples × channels in 32-bit floating point; `None` when another
    /// format was asked for.
    #[cfg(feature = "ndarray")]
    pub fn view(&self) -> Option<ndarray::ArrayView2<'_, f32>> {
        let shape = (self.samples(), self.channels());
        ndarray::ArrayView2::from_shape(shape, self.f32()?).ok()
    }
}
