//! Frames become packets.

use std::collections::VecDeque;

use super::{Outlet, Stage, Stop};
use crate::{
    av::{Encoder, Frame, Packet, Received},
    error::{Error, LibavError, Step},
    tally::Tally,
};

/// Encodes frames, and sees to it that each packet knows how long it lasts.
pub(crate) struct Encode {
    encoder: Encoder,
    name: String,
    tally: Tally,
    /// The newest frame, held until the next one tells how long it lasts.
    held: Option<Frame>,
    /// How long the last frame lasted, in ticks.
    typical: i64,
    /// Times and durations of pictures inside the encoder, in ticks: many encoders lose the latter.
    inside: VecDeque<(i64, i64)>,
}

impl Encode {
    /// A stage over an open encoder.
    pub(crate) fn new(encoder: Encoder, name: &str, tally: Tally) -> Self {
        let (held, inside) = (None, VecDeque::new());
        Self { encoder, name: name.to_owned(), tally, held, typical: 1, inside }
    }

    fn failed(&self, source: LibavError) -> Stop {
        let component = self.name.clone();
        Error::Libav { step: Step::Encode, component, source }.into()
    }

    /// Encodes a picture that lasts until `next`, or as long as it says itself.
    fn encode(&mut self, mut frame: Frame, next: Option<i64>) -> Result<(), Stop> {
        let start = frame.exact_pts().unwrap_or(0);
        let duration = match next {
            Some(next) => next - start,
            None if frame.duration() > 0 => frame.duration(),
            None => self.typical,
        };
        self.typical = duration;
        frame.set_duration(duration);
        frame.forget_picture_type();
        self.inside.push_back((start, duration));
        self.send(&frame)
    }

    fn send(&mut self, frame: &Frame) -> Result<(), Stop> {
        self.tally.note(|count| count.frames_encoded += 1);
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
            if let Some((_, duration)) = known {
                packet.set_duration(duration);
            }
            outlet.send(packet)?;
        }
    }
}

impl Stage for Encode {
    type In = Frame;
    type Out = Packet;

    fn push(&mut self, mut frame: Frame, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        if frame.samples() > 0 {
            self.send(&frame)?;
            return self.forward(outlet);
        }
        if let Some(held) = self.held.take() {
            let before = held.exact_pts().unwrap_or(0);
            let mut start = frame.exact_pts().unwrap_or(before + self.typical);
            if start <= before {
                // Two frames share a tick: neither is dropped, the later one moves on.
                start = before + 1;
                self.tally.note(|count| count.moved += 1);
            }
            frame.set_pts(start);
            self.encode(held, Some(start))?;
        }
        self.held = Some(frame);
        self.forward(outlet)
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        if let Some(held) = self.held.take() {
            self.encode(held, None)?;
        }
        self.encoder.finish();
        self.forward(outlet)
    }
}
