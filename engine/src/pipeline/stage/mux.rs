//! The last stage: packets into a container, on the output's time line.

use std::collections::VecDeque;

use avocet_model::{
    error::{Error, Step},
    location::Location,
    plan::Output,
    time::{Rational, TimeBase, Timestamp, greatest_common_divisor},
};

use super::{Continuity, Outlet, Stage, Stop};
use crate::{
    libav::{Fault, Muxer, Packet},
    pipeline::counters::{Counters, Written},
    read::approach::REORDERED,
};

/// Writes the tracks of one output.
pub(crate) struct Mux {
    muxer: Muxer,
    name: String,
    location: Location,
    tracks: Vec<MuxTrack>,
}

/// The state of a track in the muxer stage.
pub(crate) struct MuxTrack {
    /// The instant of the input that becomes 0 in the output.
    pub(crate) origin: Timestamp,
    /// Seconds per tick in the container.
    pub(crate) base: TimeBase,
    /// Decoding time of the last packet, in ticks.
    pub(crate) last: Option<i64>,
    /// Presentation time of the last packet, in ticks.
    pub(crate) last_shown: Option<i64>,
    /// Whether decoding times must rise: Matroska does not store them, and they may stay the same.
    pub(crate) must_rise: bool,
    /// Distance between the decoding times of the last two packets, in ticks.
    pub(crate) typical: i64,
    /// Decoding time of the first packet, in ticks.
    pub(crate) first: Option<i64>,
    /// The newest packets of a video track, held since [`fit_end`](Self::fit_end) may still change
    /// the decoding times of the last ones.
    pub(crate) held: VecDeque<Packet>,
    /// What is added to all times in Matroska: the delay of Opus that older libavformat leaves out,
    /// and for other codecs how much of the first packets lies before 0.
    pub(crate) delay: Option<Timestamp>,
    /// Seconds per sample of a track in Matroska whose delay the first packet tells.
    pub(crate) delay_base: Option<TimeBase>,
    /// Whether it is a track of moving pictures.
    pub(crate) is_video: bool,
    /// Whether it is a still picture, which has no time: cover art, or the output's only content.
    pub(crate) is_still: bool,
    /// Places packets sample by sample: of sound that is copied into a container that keeps no
    /// gaps.
    pub(crate) continuity: Option<Continuity>,
    /// The most bytes that all its packets together may have.
    pub(crate) at_most: Option<u64>,
    /// What is counted.
    pub(crate) counters: Counters<Written>,
}

impl Mux {
    /// A stage over a muxer whose header is written.
    pub(crate) fn new(muxer: Muxer, output: &Output, tracks: Vec<MuxTrack>) -> Self {
        Self { muxer, name: output.muxer.clone(), location: output.location.clone(), tracks }
    }

    fn write(&mut self, packet: Packet, track: usize) -> Result<(), Stop> {
        self.muxer.write(packet, track).map_err(|fault| self.failed(fault))
    }

    fn failed(&self, fault: Fault) -> Stop {
        let error = match fault {
            Fault::Cancelled | Fault::FarTime(_) => fault.of_input(&self.location),
            Fault::Io(source) => Error::Write { location: self.location.clone(), source },
            Fault::Libav(source) => {
                Error::Libav { step: Step::Mux, component: self.name.clone(), source }
            }
        };
        Stop::Failed(error)
    }
}

impl MuxTrack {
    /// The track of a single picture, which has no time.
    pub(crate) fn of_picture(base: TimeBase, counters: Counters<Written>) -> Self {
        Self {
            origin: Timestamp::ZERO,
            base,
            last: None,
            last_shown: None,
            must_rise: true,
            typical: 1,
            first: None,
            held: VecDeque::new(),
            delay: None,
            delay_base: None,
            is_video: true,
            is_still: true,
            continuity: None,
            at_most: None,
            counters,
        }
    }

    /// Changes the last decoding times so that a track takes as long to decode as it is shown.
    ///
    /// MP4 takes the distances of decoding times, and the duration of the last packet, as the
    /// length of a track. When pictures are reordered and of uneven length, that sum is wrong, and
    /// a player may leave the last picture out. So the last packet is decoded as long before the
    /// last picture is shown as the first packet before the first picture. Packets before it are
    /// decoded earlier where they leave it no room.
    fn fit_end(&mut self) {
        let written = self.counters.note(|count| count.extent);
        let ends = (self.first, written.start(), written.last_start(), written.end());
        let (Some(first), Some(start), Some(latest), Some(end)) = ends else { return };
        let delay = (start.ticks - first).max(0);
        let times: Option<Vec<_>> =
            self.held.iter().map(|packet| Some((packet.pts()?, packet.dts()?))).collect();
        let times = times.unwrap_or_default();
        let Some(&(pts, _)) = times.last() else { return };
        let last = (latest.ticks - delay).min(pts);
        // The latest packet from which on each one can have a tick of its own.
        let after = |from: usize| i64::try_from(times.len() - 1 - from).unwrap_or(i64::MAX);
        let has_room = |from: &usize| last - times[*from].1 >= after(*from);
        // Without one, the first pictures last so long that other times at the end do not help.
        let Some(from) = (0..times.len()).rev().find(has_room) else { return };
        let (begin, steps) = (times[from].1, after(from).max(1));
        let moved = self.held.iter_mut().zip(&times).skip(from);
        for (place, (packet, &(pts, dts))) in (0..).zip(moved) {
            let dts = dts.min(begin + (last - begin).saturating_mul(place) / steps);
            packet.set_times(pts, dts, packet.duration());
        }
        if let Some(packet) = self.held.back_mut() {
            packet.set_times(pts, last, end.ticks - delay - last);
        }
    }

    /// The instant of the input that is 0 in the container: the origin, less the added delay.
    fn zero(&self) -> Timestamp {
        let Some(delay) = self.delay else { return self.origin };
        // In their common time base both are exact. So half a tick of the container is kept until
        // `place` rounds it, as it is when the output is read and copied again.
        let (one, other) = (self.origin.base.den.get(), delay.base.den.get());
        let common = one.checked_mul(other / greatest_common_divisor(one, other));
        let base = common.and_then(|den| Rational::new(1_u32, den));
        let base = base.unwrap_or(Rational::MICROSECONDS);
        self.origin.since(delay, base).unwrap_or(self.origin)
    }

    /// How long before 0 the first packet begins, where its container states that as the delay of the
    /// decoder.
    fn delay_of_first(&self, packet: &Packet, base: TimeBase) -> Option<Timestamp> {
        let rate = self.delay_base.filter(|_| self.last.is_none())?;
        let begin = Timestamp::new(packet.pts()?, base);
        let before = self.origin.since(begin, rate)?;
        // Where times are rounded to ticks, the number of samples is the exact one.
        let skipped = packet.skipped().map(|samples| Timestamp::new(samples, rate));
        let is_near = |exact: &Timestamp| (exact.seconds() - before.seconds()).abs() < 0.002;
        Some(skipped.filter(is_near).unwrap_or(before)).filter(|delay| delay.ticks > 0)
    }

    /// Puts a packet on the output's time line, and answers whether it is to be written at all.
    ///
    /// Decoding times must rise, in most containers strictly, and be no later than presentation times.
    /// A packet that would break this, or be shown at the time of the one before it, moves on by as
    /// little as it takes, and is counted.
    fn place(&mut self, packet: &mut Packet) -> Result<bool, Stop> {
        let base = packet.time_base().unwrap_or(self.base);
        if let Some(delay) = self.delay_of_first(packet, base) {
            self.delay = Some(delay);
            self.counters.note(|count| count.delay = Some(delay));
        }
        let (zero, own) = (self.zero(), self.base);
        let in_output =
            |ticks| Timestamp::new(ticks, base).since(zero, own).map_or(0, |at| at.ticks);
        let after = self.last.map_or(i64::MIN, |last| last + i64::from(self.must_rise));
        let Some((start, end)) = self.extent_of(packet, after, in_output)? else {
            return Ok(false);
        };
        let unsaid = self.last.map_or(start, |last| last + 1);
        let dts = packet.dts().map_or(unsaid, in_output).min(start).max(after);
        let pts = start.max(dts);
        let pts = if self.last_shown == Some(pts) { pts + 1 } else { pts };
        self.last_shown = Some(pts);
        self.typical = self.last.map_or(self.typical, |last| dts - last);
        self.last = Some(dts);
        self.first.get_or_insert(dts);
        packet.set_times(pts, dts, (end - pts).max(0));
        self.count(packet.size(), start, pts, end);
        Ok(true)
    }

    /// Where a packet begins and ends, in ticks of the container, which `in_output` makes of those of
    /// the packet; without times, at the first tick `after` the last one. `None` when it is not to be
    /// written.
    fn extent_of(
        &mut self,
        packet: &mut Packet,
        after: i64,
        in_output: impl Fn(i64) -> i64,
    ) -> Result<Option<(i64, i64)>, Stop> {
        // Start and end are rounded, not the duration, so that rounding errors do not add up.
        let (start, end) = match packet.pts().or(packet.dts()) {
            Some(pts) if packet.duration() > 0 => {
                (in_output(pts), in_output(pts + packet.duration()))
            }
            // A packet without a duration gets the distance of the two packets before it.
            Some(pts) => {
                let start = in_output(pts);
                (start, start + self.typical)
            }
            None => {
                let length = in_output(packet.duration()) - in_output(0);
                (after.max(0), after.max(0) + length)
            }
        };
        let (start, end) = match &mut self.continuity {
            Some(continuity) => {
                let at = |ticks| Timestamp::new(ticks, self.base);
                let placed = continuity.place(packet, at(start), at(end - start))?;
                let Some((start, end)) = placed else { return Ok(None) };
                let in_base = |at: Timestamp| at.rescale(self.base).map_or(0, |at| at.ticks);
                (in_base(start), in_base(end))
            }
            None => (start, end),
        };
        // Rounding by half a tick must not put the first block before time 0.
        Ok(Some((if self.delay.is_some() { start.max(0) } else { start }, end)))
    }

    /// Counts a packet of `size` bytes that was to begin at `start` and is shown from `pts` to `end`,
    /// in ticks of the container, which has the added delay in them.
    fn count(&self, size: usize, start: i64, pts: i64, end: i64) {
        let delay = self.delay.and_then(|delay| delay.rescale(self.base)).map_or(0, |at| at.ticks);
        let at = |ticks: i64| Timestamp::new(ticks - delay, self.base);
        self.counters.note(|count| {
            count.moved += u64::from(pts != start);
            count.bytes += size as u64;
            // A packet that begins before 0 is shown in part at most, which containers with coarse
            // times do not tell. So it is not counted.
            count.packets += u64::from(start >= delay);
            if end > delay || start >= delay {
                count.extent.add(at(pts.max(delay)), at(end.max(pts)));
            }
        });
    }
}

impl Stage for Mux {
    type In = (usize, Packet);
    type Out = ();

    fn push(&mut self, item: Self::In, _: &mut dyn Outlet<()>) -> Result<(), Stop> {
        let (track, mut packet) = item;
        let Some(place) = self.tracks.get_mut(track) else { return Ok(()) };
        if place.is_still {
            packet.set_times(0, 0, 0);
            place.counters.note(|count| count.packets += 1);
            return self.write(packet, track);
        }
        if packet.size() == 0 {
            // Encoders may end with an empty packet, whose side data updates the header.
            return self.write(packet, track);
        }
        if !place.place(&mut packet)? {
            return Ok(());
        }
        let bytes = place.counters.note(|count| count.bytes);
        if place.at_most.is_some_and(|most| bytes > most) {
            return Err(Error::TooLarge { bytes }.into());
        }
        if !place.is_video {
            return self.write(packet, track);
        }
        place.held.push_back(packet);
        let ready = if place.held.len() > REORDERED { place.held.pop_front() } else { None };
        ready.map_or(Ok(()), |packet| self.write(packet, track))
    }

    fn finish(&mut self, _: &mut dyn Outlet<()>) -> Result<(), Stop> {
        for track in 0..self.tracks.len() {
            self.tracks[track].fit_end();
            while let Some(packet) = self.tracks[track].held.pop_front() {
                self.write(packet, track)?;
            }
        }
        self.muxer.finish().map_err(|fault| self.failed(fault))
    }
}
