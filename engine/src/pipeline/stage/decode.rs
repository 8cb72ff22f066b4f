//! Packets become frames.

use std::collections::BTreeSet;

use avocet_model::{
    error::{Error, Step},
    location::Location,
    time::{TimeBase, Timestamp},
};

use super::{Outlet, Stage, Stop};
use crate::{
    libav::{AvResult, Decoder, Frame, Health, Packet, Received},
    pipeline::counters::{Counters, Read},
};

/// How often a decoder may fail to give a frame before it gets the next packet.
const FAILURES: usize = 64;

/// Decodes one stream, and counts what could not be decoded.
pub(crate) struct Decode {
    decoder: Decoder,
    /// The name of the input in errors.
    location: Location,
    base: TimeBase,
    is_video: bool,
    counters: Counters<Read>,
    /// Presentation times, in ticks, of shown packets whose frames have not come out yet.
    expected: BTreeSet<i64>,
    /// End of the newest frame, in ticks; `None` before the first one.
    end: Option<i64>,
    /// The first presentation time that is wanted, in ticks. Frames before it are decoded only
    /// because later ones refer to them.
    from: i64,
    /// Whether frames before `from` that no other frame refers to are skipped.
    skips: bool,
    /// The part of the decoder's health that is in the counters already.
    noted: Health,
    /// Number of shown packets that were decoded before the first keyframe.
    lead: u64,
    /// Presentation time of the first keyframe, in ticks; its decoding time where it has no other.
    key: Option<i64>,
}

impl Decode {
    /// A stage over an open decoder, for packets that count in `base`. Frames before `from`, in
    /// ticks, are not wanted themselves.
    pub(crate) fn new(
        decoder: Decoder,
        location: Location,
        base: TimeBase,
        is_video: bool,
        from: Option<i64>,
        counters: Counters<Read>,
    ) -> Self {
        let (expected, from) = (BTreeSet::new(), from.unwrap_or(i64::MIN));
        let (end, skips, noted) = (None, false, decoder.health());
        Self {
            decoder,
            location,
            base,
            is_video,
            counters,
            expected,
            end,
            from,
            skips,
            noted,
            lead: 0,
            key: None,
        }
    }

    /// The same stage, which skips pictures before `from` that no other picture refers to.
    pub(crate) fn skipping(self) -> Self {
        Self { skips: true, ..self }
    }

    fn forward(&mut self, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        let mut failures = 0;
        while failures < FAILURES {
            match self.decoder.receive().map_err(|_| Error::Exhausted { what: "memory" })? {
                Received::One(frame) => outlet.send(self.timed(frame))?,
                Received::Nothing => break,
                Received::Failed(error) => {
                    failures += 1;
                    self.note_error(Err(error))?;
                }
            }
        }
        self.note_health();
        Ok(())
    }

    /// Counts what could not be decoded well since the last call. Errors that are logged before the
    /// first wanted frame came are left out: they may be about pictures that nobody wants.
    fn note_health(&mut self) {
        let health = self.decoder.health();
        let more = health.since(std::mem::replace(&mut self.noted, health));
        let is_wanted = self.from == i64::MIN || self.end.is_some_and(|end| end > self.from);
        let complaints = if is_wanted { more.complaints } else { 0 };
        self.counters.note(|count| count.health.add(Health { complaints, concealed: 0, ..more }));
    }

    fn note_error(&self, result: AvResult<()>) -> Result<(), Error> {
        if let Err(error) = result {
            if let Some(size) = self.decoder.refused() {
                self.decoder.limits.check_size(&self.location, size)?;
            }
            tracing::debug!(%error, "a packet could not be decoded");
        }
        Ok(())
    }

    /// Gives the frame a time if it has none, and counts packets before it that gave no frame.
    fn timed(&mut self, mut frame: Frame) -> Frame {
        let stated = frame.pts();
        let start = stated.or(self.end).unwrap_or(0);
        frame.set_pts(start);
        let is_first = self.end.is_none();
        self.end = Some(Timestamp::new(start, self.base).plus(frame.duration()).ticks);
        self.counters.note(|count| {
            count.frames += 1;
            count.health.concealed += u64::from(frame.is_concealed() && start >= self.from);
        });
        if is_first {
            self.note_lead(start);
        }
        if stated.is_some() {
            self.expected.remove(&start);
            let rest = self.expected.split_off(&start);
            let missed = std::mem::replace(&mut self.expected, rest);
            self.note_missed(&missed, start, is_first);
        }
        frame
    }

    /// Counts packets before the first keyframe that gave no frame and state no presentation time.
    /// `note_missed` counts those that state one.
    fn note_lead(&self, first: i64) {
        let timed = self.expected.range(..first).count() as u64;
        let lead = if self.key.is_some_and(|key| first >= key) { self.lead } else { 0 };
        self.counters.note(|count| count.before_keyframe += lead.saturating_sub(timed));
    }

    /// Counts packets that gave no frame. Pictures before the first frame only lacked a keyframe;
    /// later, the time up to the frame at `next`, in ticks, is lost.
    fn note_missed(&self, missed: &BTreeSet<i64>, next: i64, before_first: bool) {
        let Some(first) = missed.first() else { return };
        self.counters.note(|count| match (before_first, self.is_video) {
            (true, true) => count.before_keyframe += missed.len() as u64,
            // The first packets of sound are priming, which give no frame or a later one.
            (true, false) => {}
            (false, _) => {
                let gap = Timestamp::new(next.saturating_sub(*first), self.base);
                count.lost_seconds += gap.seconds().max(0.0);
            }
        });
    }
}

impl Stage for Decode {
    type In = Packet;
    type Out = Frame;

    fn push(&mut self, packet: Packet, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        let is_shown = packet.is_shown();
        if self.is_video && self.key.is_none() {
            if packet.is_key() {
                self.key = packet.pts().or(packet.dts());
            } else if self.decoder.needs_keyframe {
                let is_missed = is_shown && packet.pts().is_none_or(|pts| pts >= self.from);
                self.counters.note(|count| count.before_keyframe += u64::from(is_missed));
                return Ok(());
            } else if is_shown {
                self.lead += 1;
            }
        }
        if let Some(pts) = packet.pts().filter(|pts| is_shown && *pts >= self.from) {
            self.expected.insert(pts);
        }
        if self.skips {
            self.decoder.skip_unreferenced(packet.pts().is_some_and(|pts| pts < self.from));
        }
        let sent = self.decoder.send(&packet);
        self.note_error(sent)?;
        self.forward(outlet)
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Frame>) -> Result<(), Stop> {
        let finished = self.decoder.finish();
        self.note_error(finished)?;
        self.forward(outlet)?;
        let missed = std::mem::take(&mut self.expected);
        let end =
            self.counters.note(|count| count.extent.end()).and_then(|end| end.rescale(self.base));
        self.note_missed(&missed, end.map_or(0, |end| end.ticks), self.end.is_none());
        if self.end.is_none() {
            tracing::debug!("no frame came out of {}", Step::Decode);
        }
        Ok(())
    }
}
