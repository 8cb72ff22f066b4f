//! Frames become packets.

use std::{collections::VecDeque, num::NonZeroU32};

use avocet_model::{
    error::{Error, LibavError, Step},
    plan::{self, FrameFormat},
    time::{TimeBase, Timestamp},
};

use super::{Outlet, Stage, Stop};
use crate::{
    libav::{Encoder, FilterGraph, Frame, GraphInput, Packet, Received},
    pipeline::counters::{Counters, Written},
};

/// Encodes frames, and gives the packets of pictures their durations.
pub(crate) struct Encode {
    encoder: Encoder,
    name: String,
    counters: Counters<Written>,
    /// Seconds per tick of the container, where it is coarser than the encoder's clock.
    container: Option<TimeBase>,
    /// The newest picture, held until the next one tells how long it lasts.
    held: Option<Frame>,
    /// Duration of the newest picture that was encoded, in ticks.
    typical: i64,
    /// The instant that is 0 in the output, if each second there is to begin with a keyframe.
    seconds_from: Option<Timestamp>,
    /// The second of the output, as a number, for which the last keyframe was asked.
    second: Option<i64>,
    /// Cuts sound into frames of the size that the encoder takes, where it takes one size only.
    framer: Option<FilterGraph>,
    /// Presentation times and durations, in ticks, of the pictures inside the encoder: many
    /// encoders lose durations.
    inside: VecDeque<(i64, i64)>,
    /// Presentation times of the first and the last picture that was sent, in ticks.
    sent: Option<(i64, i64)>,
    /// Samples of each packet, where the container states how many of the last one are silence.
    padded: Option<NonZeroU32>,
}

impl Encode {
    /// A stage over an open encoder, for frames on a time line whose `origin` is 0 in the output.
    ///
    /// # Errors
    /// [`Error::Libav`] when the graph that cuts sound into frames can not be built.
    pub(crate) fn new(
        encoder: Encoder,
        settings: &plan::Encoder,
        origin: Timestamp,
        counters: Counters<Written>,
    ) -> Result<Self, Error> {
        let framer = match (&settings.format, encoder.frame_size()) {
            (FrameFormat::Audio(format), Some(samples)) => {
                let input = GraphInput::of_format(format);
                let base = encoder.time_base;
                let mut framer = FilterGraph::new("anull", &input, base, NonZeroU32::MIN)
                    .map_err(|source| broken(&settings.name, source))?;
                framer.set_frame_size(samples);
                Some(framer)
            }
            _ => None,
        };
        Ok(Self {
            encoder,
            name: settings.name.clone(),
            counters,
            container: None,
            held: None,
            typical: 1,
            seconds_from: settings.keyframe_each_second.then_some(origin),
            second: None,
            framer,
            inside: VecDeque::new(),
            sent: None,
            padded: None,
        })
    }

    /// Tells the stage the time base of the container, and whether it states silence at the end.
    pub(crate) fn count_in(&mut self, container: TimeBase, states_padding: bool) {
        let is_coarse = container.as_f64() > self.encoder.time_base.as_f64();
        self.container = is_coarse.then_some(container);
        self.padded = self.encoder.primed_size().filter(|_| states_padding);
    }

    /// The presentation time of a picture at `start`, behind one at `before`, in ticks of the
    /// encoder. If both are in the same tick of the container, it moves on to the next; `None`
    /// where the picture before moved there already.
    fn place(&self, before: i64, start: i64) -> Option<i64> {
        let base = self.encoder.time_base;
        let container = self.container.unwrap_or(base);
        let ticks = |at: i64| Timestamp::new(at, base).rescale(container).map(|at| at.ticks);
        let (Some(last), Some(own)) = (ticks(before), ticks(start)) else {
            return (start > before).then_some(start);
        };
        if own > last {
            return Some(start);
        }
        let next = Timestamp::new(last, container).plus(1).rescale(base);
        next.map(|next| next.ticks).filter(|_| own == last)
    }

    fn failed(&self, source: LibavError) -> Stop {
        broken(&self.name, source).into()
    }

    /// Encodes the frames that the framer has ready: whole ones, and at the end a short one.
    fn encode_sound(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        while let Some(framer) = &mut self.framer {
            match framer.pull().map_err(|source| broken(&self.name, source))? {
                Received::One(mut frame) => self.send(&mut frame)?,
                Received::Nothing => break,
                Received::Failed(error) => return Err(self.failed(error)),
            }
            self.forward(outlet)?;
        }
        Ok(())
    }

    /// Whether a picture at `start`, in ticks, is the first of its second in the output.
    fn begins_second(&mut self, start: i64) -> bool {
        let Some(origin) = self.seconds_from else { return false };
        let base = self.encoder.time_base;
        let Some(at) = Timestamp::new(start, base).since(origin, base) else { return false };
        let per_second = i128::from(base.den.get());
        let second = (i128::from(at.ticks) * i128::from(base.num.get())).div_euclid(per_second);
        let second = i64::try_from(second).ok();
        std::mem::replace(&mut self.second, second) != second
    }

    /// Encodes a picture that lasts until `next`, in ticks. Without that it lasts as long as it
    /// says itself, or as long as the one before.
    fn encode(&mut self, mut frame: Frame, next: Option<i64>) -> Result<(), Stop> {
        let start = frame.exact_pts().unwrap_or(0);
        let duration = match next {
            Some(next) => next - start,
            None if frame.duration() > 0 => frame.duration(),
            None => self.typical,
        };
        self.typical = duration;
        frame.set_duration(duration);
        let is_key = self.begins_second(start);
        frame.ask_for(is_key);
        self.inside.push_back((start, duration));
        self.sent = Some((self.sent.map_or(start, |(first, _)| first), start));
        self.send(&mut frame)
    }

    fn send(&mut self, frame: &mut Frame) -> Result<(), Stop> {
        self.counters.note(|count| count.frames += 1);
        self.encoder.send(frame).map_err(|error| self.failed(error))
    }

    fn forward(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        loop {
            let received = self.encoder.receive().map_err(|error| self.failed(error))?;
            let mut packet = match received {
                Received::One(packet) => packet,
                Received::Nothing => return Ok(()),
                Received::Failed(error) => return Err(self.failed(error)),
            };
            packet.set_time_base(self.encoder.time_base);
            let known = packet
                .pts()
                .and_then(|pts| self.inside.iter().position(|(start, _)| *start == pts))
                .and_then(|place| self.inside.remove(place));
            if let Some((start, duration)) = known {
                // x265 invents decoding times when it gets fewer pictures than it holds back. None
                // should be further before the first picture than the newest is behind it.
                let earliest = self.sent.map_or(start, |(first, last)| first - (last - first));
                packet.set_duration(duration);
                if packet.dts().is_some_and(|dts| dts < earliest) {
                    packet.set_times(start, earliest, duration);
                }
            }
            if let Some(size) = self.padded {
                // A packet that lasts less than it decodes to ends with silence.
                let silent = i64::from(size.get()) - packet.duration();
                if let Some(silent) = u32::try_from(silent).ok().filter(|silent| *silent > 0) {
                    packet.set_padding(silent).map_err(|error| self.failed(error))?;
                }
            }
            outlet.send(packet)?;
        }
    }
}

fn broken(name: &str, source: LibavError) -> Error {
    Error::Libav { step: Step::Encode, component: name.to_owned(), source }
}

impl Stage for Encode {
    type In = Frame;
    type Out = Packet;

    fn push(&mut self, mut frame: Frame, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        if frame.samples() > 0 {
            if let Some(framer) = &mut self.framer {
                framer.push(frame).map_err(|source| broken(&self.name, source))?;
                return self.encode_sound(outlet);
            }
            self.send(&mut frame)?;
            return self.forward(outlet);
        }
        if let Some(held) = self.held.take() {
            let before = held.exact_pts().unwrap_or(0);
            let start = frame.exact_pts().unwrap_or(before + self.typical);
            let Some(place) = self.place(before, start) else {
                self.counters.note(|count| count.indistinct += 1);
                self.held = Some(held);
                return self.forward(outlet);
            };
            self.counters.note(|count| count.moved += u64::from(place != start));
            frame.set_pts(place);
            self.encode(held, Some(place))?;
        }
        self.held = Some(frame);
        self.forward(outlet)
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        if let Some(held) = self.held.take() {
            self.encode(held, None)?;
        }
        if let Some(framer) = &mut self.framer {
            framer.finish().map_err(|source| broken(&self.name, source))?;
            self.encode_sound(outlet)?;
        }
        self.encoder.finish();
        self.forward(outlet)
    }
}
