//! The frame that is on screen at an instant: which packets it needs, and what comes of decoding
//! them.

use std::collections::BTreeMap;

use avocet_model::{
    error::{Error, Result},
    plan::FramePick,
    time::Timestamp,
};

use super::{BACK_OFF, FrameReader, Shown, picks::Picks};
use crate::{
    libav::{Frame, Health, Packet, Received},
    read::{
        approach::{Approach, Latest, Wanted},
        retries::Damage,
    },
};

/// The most bytes of packets, from a keyframe to an instant, that are held before decoding.
const MAX_HELD: usize = 64 << 20;

/// How far before a damaged picture decoding may begin when it is tried again, in seconds.
const FARTHEST_RETRY: f64 = 60.0;

impl FrameReader {
    /// The frame that a player shows at an instant: the last one whose time is not after it;
    /// before the first frame the first, past the end the last.
    ///
    /// # Errors
    /// [`Error::Damaged`] when no frame can be decoded, or when the container promises later
    /// frames than could be read and the instant needs them.
    pub(crate) fn at(&mut self, pick: &FramePick) -> Result<Shown> {
        let shown = self.find(std::slice::from_ref(pick))?.into_iter().next();
        let shown = shown.map_or_else(|| self.go_to(pick), Ok)?;
        self.mended(shown, pick)
    }

    /// The frames at the first of `picks`, one at least.
    pub(super) fn find(&mut self, picks: &[FramePick]) -> Result<Vec<Shown>> {
        loop {
            let found = match (self.near(picks)?, picks) {
                (Some(frames), _) if !frames.is_empty() => frames,
                (_, [first, ..]) => vec![self.go_to(first)?],
                (_, []) => return Ok(Vec::new()),
            };
            // Behind a jump, times have another origin. Where the clock may jump anywhere (TS, PS),
            // an instant that seems past the end may lie before a jump.
            let is_past = self.may_jump && found.iter().any(|shown| shown.past_end);
            if !(self.has_jumped || is_past) || !self.follow_clock()? {
                return Ok(found);
            }
        }
    }

    /// Decodes a damaged picture again from earlier random access points; answers the best result.
    pub(crate) fn mended(&mut self, mut shown: Shown, pick: &FramePick) -> Result<Shown> {
        // This very picture, not another keyframe that might do as well.
        let time = shown.time;
        let exact = FramePick { time, keyframe: false, ..*pick };
        let may_retry = !self.goes_back() && self.line.is_none();
        while let Some(entry) = self.entry.filter(|_| may_retry && shown.damage > Damage::None) {
            let earlier = Timestamp::new(entry.saturating_sub(1), self.base);
            let is_near = time.seconds() - earlier.seconds() <= FARTHEST_RETRY;
            if earlier < self.start || !is_near || !self.retries.take() {
                break;
            }
            let from_start = self.seek(Some(earlier))?;
            let again = self.search(time, &exact, from_start)?;
            // A container that knows of no earlier keyframe leads the seek to the same one.
            let is_earlier = self.entry < Some(entry);
            let is_better = |again: &Shown| again.time == time && again.damage < shown.damage;
            if let Some(again) = again.filter(is_better) {
                shown = Shown { past_end: shown.past_end, ..again };
            }
            if from_start || !is_earlier {
                break;
            }
        }
        Ok(shown)
    }

    /// Hands the frames at `picks` to `found` one by one, in their order.
    pub(crate) fn at_each(
        &mut self,
        picks: &[FramePick],
        mut found: impl FnMut(Shown) -> Result<()>,
    ) -> Result<()> {
        let mut picks = Picks::new(picks.iter().copied());
        while let Some(shown) = picks.next(self) {
            found(shown?)?;
        }
        Ok(())
    }

    /// The frames at the first of `picks`, as many as one GOP holds; `None` when the times of
    /// packets do not tell which they are.
    fn near(&mut self, picks: &[FramePick]) -> Result<Option<Vec<Shown>>> {
        let Some(first) = picks.first().filter(|_| !self.goes_back()) else { return Ok(None) };
        let times: Vec<i64> = picks.iter().map(|it| self.on_screen(it).ticks).collect();
        // A clock that is followed allows no seek: what lies ahead is reached by reading on.
        if self.line.is_some() && self.last_read.is_some_and(|read| read < times[0]) {
            let last_read = self.last_read;
            self.restart(None);
            self.last_read = last_read;
            if let Some(approach) = self.approach(&times, first)? {
                return self.decode(&approach);
            }
        }
        for target in self.targets(self.on_screen(first)) {
            let from_start = self.seek(target)?;
            match self.approach(&times, first)? {
                Some(approach) => return self.decode(&approach),
                None if from_start => return Ok(None),
                None => {}
            }
        }
        Ok(None)
    }

    /// As [`at`](Self::at), but decodes all from a keyframe on, whatever the times of packets are.
    /// [`next`](Self::next) goes on after the frame, or after [`Shown::after`] if that is there.
    pub(crate) fn go_to(&mut self, pick: &FramePick) -> Result<Shown> {
        let time = self.on_screen(pick);
        for target in self.targets(time) {
            let from_start = self.seek(target)?;
            if let Some(shown) = self.search(time, pick, from_start)? {
                return Ok(shown);
            }
            if from_start {
                break;
            }
        }
        let what = match self.last_read {
            Some(_) => format!("no frame of stream {} could be decoded", self.stream),
            None => format!("stream {} has no packets", self.stream),
        };
        Err(Error::Damaged { location: self.location.clone(), what, lost: 0.0 })
    }

    /// The latest presentation time that a frame on screen at an instant may have.
    fn on_screen(&self, pick: &FramePick) -> Timestamp {
        Timestamp::on_screen(pick.time.seconds(), self.base)
    }

    /// Where each try of a search begins to read; `None` is the first packet.
    fn targets(&self, time: Timestamp) -> impl Iterator<Item = Option<Timestamp>> + use<> {
        let seeks = !self.goes_back() && self.line.is_none();
        let (base, start) = (self.base, self.start);
        BACK_OFF.map(Some).into_iter().chain([None]).map(move |back_off| {
            // A target up to the stream's start is read from the first packet on, without a seek.
            back_off
                .map(|seconds| Timestamp::from_seconds(time.seconds() - seconds, base))
                .filter(|target| seeks && *target > start)
        })
    }

    /// Reads the packets that the frames at `times` need, from the last keyframe at or before the
    /// first of them up to the next keyframe. `None` when there is no such keyframe, or the times
    /// of packets are missing or wrong.
    fn approach(&mut self, times: &[i64], like: &FramePick) -> Result<Option<Approach>> {
        let FramePick { keyframe, neighbors, .. } = *like;
        let mut packets: Vec<Packet> = Vec::new();
        let mut latest = Latest::default();
        // New extradata of packets that are passed over, which holds for those decoded.
        let mut header = None;
        let (mut held, mut after, mut reached) = (0, None, 0);
        let ended = loop {
            let Some(packet) = self.read()? else { break true };
            if let Some(told) = packet.new_extradata() {
                header = Some(told.to_vec());
            }
            let (Some(pts), Some(dts)) = (packet.pts(), packet.dts()) else { return Ok(None) };
            let time = times[reached];
            if packet.is_key() && pts == time && reached == 0 && !neighbors {
                // The keyframe is the wanted picture itself, whatever follows.
                packets = vec![packet];
                reached = 1;
                break false;
            }
            if dts > pts {
                // Decoding after presentation is wrong, so no other time is believed either.
                return Ok(None);
            }
            if packet.is_key() && pts <= time && !self.entries.is_gradual(&packet) {
                if reached > 0 {
                    // Instants from here on are decoded from this keyframe on, by another call.
                    break false;
                }
                packets.clear();
                held = 0;
            } else if packets.is_empty() {
                if dts > time {
                    return Ok(None);
                }
                continue;
            }
            if pts > time && packet.is_shown() {
                after = Some(after.map_or(pts, |after: i64| after.min(pts)));
            }
            // Leading pictures of an open GOP refer to pictures before the keyframe, and nothing
            // behind them refers to them: they are left out.
            if packets.first().is_none_or(|key| Some(pts) >= key.pts()) {
                held += packet.size();
                packets.push(packet);
            }
            if held > MAX_HELD {
                return Ok(None);
            }
            if keyframe && !neighbors && self.line.is_none() {
                reached = 1;
                break false;
            }
            // No packet that is decoded later is shown before this time.
            let dts = if self.guesses_dts { latest.bound(pts) } else { Some(dts) };
            let is_past = |time| {
                let time = if neighbors { after } else { Some(time) };
                time.is_some_and(|time| dts > Some(time))
            };
            reached += times[reached..].iter().take_while(|time| is_past(**time)).count();
            if reached == times.len() {
                break false;
            }
        };
        let times = if ended { times } else { &times[..reached] };
        if let (Some(header), Some(first)) = (header, packets.first_mut()) {
            first.set_new_extradata(&header).map_err(|_| Error::Exhausted { what: "memory" })?;
        }
        Ok(Approach::of(packets, times, after, neighbors, ended))
    }

    /// Decodes the packets of an approach; `None` when not all of its frames come out.
    fn decode(&mut self, approach: &Approach) -> Result<Option<Vec<Shown>>> {
        let no_memory = |_| Error::Exhausted { what: "memory" };
        // HEVC pictures that only higher sub-layers may refer to are left out: libav keeps them.
        let layer = |packet: &Packet| self.entries.layer(packet);
        let wanted = approach.packets.iter().filter(|packet| approach.wants(packet.pts()));
        let highest = wanted.filter_map(layer).map(|(layer, _)| layer).max().unwrap_or(u8::MAX);
        let is_needed = |packet: &&Packet| {
            let spare = layer(packet).is_some_and(|(own, alone)| alone && own >= highest);
            approach.wants(packet.pts()) || !spare
        };
        let packets: Vec<&Packet> = approach.packets.iter().filter(is_needed).collect();
        let entry = packets.first().and_then(|packet| packet.pts());
        let decoder = self.decoder(packets.len())?;
        let before = decoder.health();
        let mut frames: BTreeMap<i64, (Frame, Damage)> = BTreeMap::new();
        for packet in packets.into_iter().map(Some).chain([None]) {
            let fed = match packet {
                Some(packet) => {
                    decoder.skip_unreferenced(!approach.wants(packet.pts()));
                    decoder.send(packet)
                }
                None => decoder.finish(),
            };
            if fed.is_err() {
                return self.expect_size().map(|()| None);
            }
            loop {
                match decoder.receive().map_err(no_memory)? {
                    Received::One(frame) => {
                        let wanted = frame.pts().filter(|pts| approach.wants(Some(*pts)));
                        let damage = Damage::of(&frame, decoder.health().since(before));
                        frames.extend(wanted.map(|pts| (pts, (frame, damage))));
                    }
                    Received::Failed(_) => return self.expect_size().map(|()| None),
                    Received::Nothing => break,
                }
            }
        }
        decoder.skip_unreferenced(false);
        self.entry = entry;
        self.drained = true;
        if approach.wanted.iter().any(|pts| !frames.contains_key(pts)) {
            return Ok(None);
        }
        let mut found = Vec::new();
        for Wanted { time, shown, before, after } in &approach.frames {
            let take = |pts: Option<i64>| {
                let frame = pts.and_then(|pts| frames.get(&pts));
                let frame = frame.map(|(frame, _)| frame.share()).transpose();
                frame.map_err(|_| Error::Exhausted { what: "memory" })
            };
            let Some(frame) = take(Some(*shown))? else { return Ok(None) };
            // Several instants may lie behind the last frame.
            let is_last = approach.frames.last().is_some_and(|last| last.shown == *shown);
            let ended = approach.ended && is_last;
            if ended {
                self.expect_all_read(Timestamp::new(*time, self.base))?;
            }
            let past_end = ended && shown + frame.duration().max(1) <= *time;
            let damage = frames.get(shown).map_or(Damage::None, |(_, damage)| *damage);
            let (before, after) = (take(*before)?, take(*after)?);
            let time = Timestamp::new(*shown, self.base);
            let seconds = time.seconds() - self.zero;
            found.push(Shown { before, frame, after, past_end, time, seconds, damage, lead: 0 });
        }
        Ok(Some(found))
    }

    /// Reads on to the frame at `time`; `None` when reading must begin earlier.
    fn search(
        &mut self,
        time: Timestamp,
        pick: &FramePick,
        from_start: bool,
    ) -> Result<Option<Shown>> {
        let (mut before, mut shown, mut after) = (None, None, None);
        let health = self.health();
        let is_sought = !self.goes_back() && self.line.is_none();
        let takes_any = pick.keyframe && !pick.neighbors && is_sought;
        while let Some(frame) = self.next()? {
            if frame.pts().is_none() {
                // Frames without times are counted, for which reading begins at the first packet.
                return Ok(None);
            }
            let is_later = frame.pts().is_some_and(|pts| pts > time.ticks);
            if is_later && (shown.is_some() || !from_start) {
                after = Some(frame);
                break;
            }
            before = shown.replace(frame);
            if is_later || takes_any {
                break;
            }
        }
        let Some(frame) = shown else { return Ok(None) };
        if pick.neighbors && before.is_none() && !from_start {
            return Ok(None);
        }
        if pick.neighbors && after.is_none() {
            after = self.next()?;
        }
        let mut shown = self.shown(frame, after, time, health)?;
        if from_start && shown.time > time && time >= self.start {
            shown.lead = self.lead;
        }
        Ok(Some(Shown { before, ..shown }))
    }

    /// The frame at an instant behind a frame that [`go_to`](Self::go_to) or this method gave last,
    /// found by decoding on, without a seek. Frames on the way that nothing refers to are left out.
    pub(crate) fn read_on(&mut self, last: Shown, pick: &FramePick) -> Result<Shown> {
        let time = self.on_screen(pick);
        let health = self.health();
        let (mut frame, mut after) = (last.frame, last.after);
        let is_there = after.as_ref().and_then(Frame::pts).is_some_and(|pts| pts > time.ticks);
        let wanted = if is_there { None } else { self.look_ahead(time)? };
        loop {
            let Some(next) = after.take().map_or_else(|| self.next(), |frame| Ok(Some(frame)))?
            else {
                break;
            };
            if next.pts().is_some_and(|pts| pts > time.ticks) {
                after = Some(next);
                break;
            }
            frame = next;
        }
        if frame.pts() < wanted {
            // The wanted one was refused, or came too late: of those that were left out, some would
            // have told how far pictures are reordered.
            return self.go_to(pick);
        }
        self.shown(frame, after, time, health)
    }

    /// Reads packets until it is known which frame is on screen at `time`; answers its time, in ticks,
    /// unless it was decoded before.
    fn look_ahead(&mut self, time: Timestamp) -> Result<Option<i64>> {
        // Where frames get the decoding times of packets one by one, none may be left out.
        if !self.parameters.states_presentation {
            return Ok(None);
        }
        while self.ahead.lacks(time.ticks) {
            let Some(packet) = self.read()? else { break };
            self.ahead.push(packet, self.guesses_dts);
        }
        self.ahead.want(time.ticks);
        Ok(self.ahead.wanted())
    }

    /// What is known of the frame at `time`, which the decoder gave since it had this `health`.
    fn shown(
        &self,
        frame: Frame,
        after: Option<Frame>,
        time: Timestamp,
        health: Health,
    ) -> Result<Shown> {
        let ended = after.is_none() && self.drained;
        if ended {
            self.expect_all_read(time)?;
        }
        let end = frame.pts().map(|pts| pts + frame.duration().max(1));
        let past_end = ended && end.is_some_and(|end| end <= time.ticks);
        let damage = Damage::of(&frame, self.health().since(health));
        let time = frame.pts().map_or(time, |pts| Timestamp::new(pts, self.base));
        let seconds = time.seconds() - self.zero;
        Ok(Shown { before: None, frame, after, past_end, time, seconds, damage, lead: 0 })
    }

    /// Fails when reading ended before what the container's index promises, and before `time`.
    pub(crate) fn expect_all_read(&self, time: Timestamp) -> Result<()> {
        let promised = self.demuxer.last_indexed(self.stream);
        let read = self.last_read.map(|ticks| Timestamp::new(ticks, self.base));
        match (promised, read) {
            (Some(promised), Some(read)) if read < promised && read < time => Err(Error::Damaged {
                location: self.location.clone(),
                what: format!(
                    "its index ends at {:.3} s, but its data ends at {:.3} s",
                    promised.seconds(),
                    read.seconds()
                ),
                lost: promised.seconds() - read.seconds(),
            }),
            _ => Ok(()),
        }
    }
}
