//! Copied sound in a container without gaps: packets follow each other, sample by sample.

use avocet_model::{
    error::Error,
    time::{Rational, TimeBase, Timestamp},
};

use crate::libav::{AvResult, Packet, Parameters, SampleCounter};

/// How far a packet may be from where the one before it ended, in seconds: more than the rounding of
/// containers, less than a packet of most codecs.
const LIMIT: f64 = 0.015;

/// Places each packet where the samples of those before it end, as decoders do that see no times;
/// fails where the times of the input tell of a hole or an overlap.
pub(crate) struct Continuity {
    counter: SampleCounter,
    /// Seconds per sample.
    base: TimeBase,
    /// Where the next packet begins, in samples; `None` before the first one.
    next: Option<i64>,
    /// The time of a packet in the input, and where it was placed, in samples.
    anchor: Option<(Timestamp, i64)>,
}

impl Continuity {
    /// For a stream that is coded so; `None` where its sample rate is not known.
    pub(crate) fn of(parameters: &Parameters) -> AvResult<Option<Self>> {
        let counter = SampleCounter::of(parameters)?;
        Ok(counter.and_then(|counter| {
            let base = Rational::new(1_u32, counter.rate)?;
            Some(Self { counter, base, next: None, anchor: None })
        }))
    }

    /// Where the next packet begins and ends, on the line of the output, on which the input puts it
    /// at `start` and lets it last `stated`; `None` for one that an edit list hides before the first,
    /// which would be heard. The one that ends at 0 stays where a decoder needs it to begin.
    ///
    /// # Errors
    /// [`Error::NotContinuous`].
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
        // Containers differ in when they show a first packet from which nothing comes.
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
