//! Copied sound in a container that keeps no gaps: packets follow each other, sample by sample.

use avocet_model::{
    error::Error,
    time::{Rational, TimeBase, Timestamp},
};

use crate::libav::{AvResult, Packet, Parameters, SampleCounter};

/// How far a packet's time in the input may be from its place by the count of samples, in seconds:
/// more than containers round by, less than a packet of most codecs lasts.
const LIMIT: f64 = 0.015;

/// Places each packet where the samples of the packets before it end, as decoders do that see no
/// times. Fails where the times of the input tell of a hole or an overlap.
pub(crate) struct Continuity {
    counter: SampleCounter,
    /// Seconds per sample.
    base: TimeBase,
    /// Where the next packet begins, in samples; `None` before the first one.
    next: Option<i64>,
    /// The packet that all later ones are compared with: its time in the input, and its place in
    /// samples.
    anchor: Option<(Timestamp, i64)>,
}

impl Continuity {
    /// The state before the first packet of a stream; `None` where its sample rate is not known.
    pub(crate) fn of(parameters: &Parameters) -> AvResult<Option<Self>> {
        let counter = SampleCounter::of(parameters)?;
        Ok(counter.and_then(|counter| {
            let base = Rational::new(1_u32, counter.rate)?;
            Some(Self { counter, base, next: None, anchor: None })
        }))
    }

    /// Start and end of the next packet on the output's time line, where the input puts it at
    /// `start` for `stated`. `None` for a packet before the first one that is heard: an edit list
    /// hides it, but here it would be heard. One that ends at 0 is kept if the decoder has to begin
    /// with it.
    ///
    /// # Errors
    /// [`Error::NotContinuous`] when the input has a hole or an overlap of more than 15 ms.
    pub(crate) fn place(
        &mut self,
        packet: &Packet,
        start: Timestamp,
        stated: Timestamp,
    ) -> Result<Option<(Timestamp, Timestamp)>, Error> {
        let in_samples = |at: Timestamp| at.rescale(self.base).map_or(0, |at| at.ticks);
        let samples = self.counter.count(packet).unwrap_or_else(|| in_samples(stated));
        let is_first = self.next.is_none();
        let place = if let Some(next) = self.next {
            next
        } else if let Some(left_out) = self.counter.left_out(samples) {
            -left_out
        } else {
            let place = in_samples(start);
            let least_end = i64::from(self.counter.is_independent());
            if place + samples < least_end {
                return Ok(None);
            }
            place
        };
        // Containers differ in the time of a first packet that decodes to nothing.
        if !(is_first && self.counter.first_is_silent()) {
            let (begin, at) = *self.anchor.get_or_insert((start, place));
            let of_input = start.seconds() - begin.seconds();
            let of_samples = Timestamp::new(place - at, self.base).seconds();
            if (of_input - of_samples).abs() > LIMIT {
                let (at, off) = (start.seconds(), (of_input - of_samples).abs());
                let what = if of_input > of_samples { "are missing" } else { "overlap" };
                return Err(Error::NotContinuous {
                    what: format!("{off:.3} s {what} at {at:.3} s"),
                });
            }
        }
        self.next = Some(place + samples);
        let end = place + samples - packet.padding().unwrap_or(0).min(samples);
        Ok(Some((Timestamp::new(place, self.base), Timestamp::new(end, self.base))))
    }
}
