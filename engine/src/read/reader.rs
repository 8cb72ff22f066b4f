//! Decodes one stream from any place in it, and no more of it than an instant needs.

use std::{collections::BTreeMap, num::NonZeroU32};

use avocet_model::{
    error::{Error, LibavError, Result, Step},
    location::Location,
    media::MAY_JUMP,
    plan::FramePick,
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};

use super::{
    approach::{Approach, Latest, Wanted},
    clock::{BACK, Clock, FORWARD},
    index::Entries,
    open::parameters_of,
    retries::{Damage, Retries},
};
use crate::{
    io::Source,
    libav::{
        Decoder, Demuxer, Depth, Fault, Frame, GraphInput, Health, Packet, Parameters, Received,
        limits::Limits,
    },
};

/// How far before the instant a search begins at each further try, in seconds; after that, at the
/// first packet. Containers without an index, and open GOPs, need more than one.
pub(crate) const BACK_OFF: [f64; 4] = [0.0, 1.0, 4.0, 16.0];

/// The most that packets between a keyframe and an instant are held before they are decoded, in
/// bytes.
const MAX_HELD: usize = 64 << 20;

/// How far apart instants are whose frames are decoded in one go, at most, in seconds: what lies
/// between them is read for that.
const NEAR: f64 = 2.0;

/// How far before an instant decoding begins at most, when its picture came out damaged, in seconds.
const FARTHEST_RETRY: f64 = 60.0;

/// Decodes one stream of an input, from any place in it.
#[expect(clippy::struct_excessive_bools, reason = "they do not depend on each other")]
pub(crate) struct FrameReader {
    demuxer: Demuxer,
    parameters: Parameters,
    /// The decoder, once it is known how many threads are worth their while.
    decoder: Option<Decoder>,
    threads: NonZeroU32,
    /// How keyframes tell that decoding can begin at them.
    entries: Entries,
    location: Location,
    stream: usize,
    base: TimeBase,
    /// Where the stream begins.
    start: Timestamp,
    /// Where the input begins, in seconds on its time line.
    zero: f64,
    /// Whether the clock may jump anywhere.
    may_jump: bool,
    /// Whether libav guesses decoding times, which the container does not state: too late ones, where
    /// it does not know yet how far pictures are reordered.
    guesses_dts: bool,
    /// Where it begins, in seconds, when its times tell how long it is: that is known, and they do
    /// not jump.
    steady_from: Option<f64>,
    /// Whether nothing was read since the first packet.
    fresh: bool,
    /// Whether a seek may have led to the midst of a group, or of a packet of a transport stream,
    /// so that nothing before the next keyframe can be decoded.
    astray: bool,
    /// Whether no keyframe came since reading began anew.
    before_key: bool,
    /// Number of packets before that keyframe.
    lead: u64,
    /// Whether the decoder was told that no packet follows.
    drained: bool,
    /// Decoding time of the last packet, in ticks.
    last_read: Option<i64>,
    /// Time of the next frame of a stream that states none, in ticks; `None` after a seek, where
    /// nobody can count.
    counted: Option<i64>,
    /// How long a frame lasts on average, in ticks.
    typical: i64,
    /// Time of the packet with which decoding began, in ticks.
    entry: Option<i64>,
    /// Closes the jumps of a clock, once those are known to matter: then all is read from the first
    /// packet on.
    line: Option<Line>,
    /// Whether the clock jumped while packets were read on, as where a file stands behind another.
    has_jumped: bool,
    /// The last time of those that rise as long as it does not jump, in ticks.
    last_in_order: Option<i64>,
    /// Whether [`Parameters::head`] was looked for.
    knows_head: bool,
    /// What is left of the tries to decode damaged pictures again.
    pub(crate) retries: Retries,
}

/// The time line of a file whose clock jumps.
struct Line {
    clock: Clock,
    /// Seconds per tick of each stream.
    bases: Vec<TimeBase>,
}

/// The frame that is on screen at an instant, and its neighbors as far as they were asked for.
pub(crate) struct Shown {
    pub(crate) before: Option<Frame>,
    pub(crate) frame: Frame,
    pub(crate) after: Option<Frame>,
    /// Whether the instant lies past the end of the last frame.
    pub(crate) past_end: bool,
    /// When the frame begins to show, on the time line of the input.
    pub(crate) time: Timestamp,
    /// The same, in seconds from the start of the input.
    pub(crate) seconds: f64,
    /// Whether the frame is what was encoded.
    pub(crate) damage: Damage,
    /// How many packets there were before the first keyframe, when one of them would be on screen.
    pub(crate) lead: u64,
}

impl Shown {
    /// The frame as filters take it, between its neighbors when they look at those.
    pub(crate) fn with_neighbors(self, neighbors: bool) -> Result<Vec<Frame>> {
        let neighbor = |frame: Option<Frame>| match frame.filter(|_| neighbors) {
            Some(mut frame) => frame
                .mark_neighbor()
                .map(|()| Some(exactly_timed(frame)))
                .map_err(|_| Error::Exhausted { what: "memory" }),
            None => Ok(None),
        };
        let (before, after) = (neighbor(self.before)?, neighbor(self.after)?);
        let frame = Some(exactly_timed(self.frame));
        Ok(before.into_iter().chain(frame).chain(after).collect())
    }
}

impl FrameReader {
    /// Opens a stream of `source`.
    pub(crate) fn open(
        source: &Source,
        stream: usize,
        threads: NonZeroU32,
        limits: Limits,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let location = source.location();
        let demuxer = source.demuxer(&location, Depth::Streams, limits, cancel)?;
        Self::over(demuxer, location, stream, threads)
    }

    /// The same for a stream that was looked at before; errors call the source by `location`.
    pub(crate) fn open_at(
        source: &Source,
        location: &Location,
        stream: usize,
        threads: NonZeroU32,
        limits: Limits,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let demuxer = source.demuxer(location, Depth::Header, limits, cancel)?;
        Self::over(demuxer, location.clone(), stream, threads)
    }

    /// Reads a stream of an open demuxer.
    pub(crate) fn over(
        mut demuxer: Demuxer,
        location: Location,
        stream: usize,
        threads: NonZeroU32,
    ) -> Result<Self> {
        let parameters = parameters_of(&demuxer, &location, stream)?;
        let entries = Entries::of(&demuxer, stream);
        demuxer.keep_only(|number| number == stream);
        let base = parameters.time_base;
        let start = Timestamp::new(parameters.start.unwrap_or(0), base);
        let zero = demuxer.media().start.map_or(0.0, Timestamp::seconds);
        let may_jump = MAY_JUMP.iter().any(|name| demuxer.is_format(name));
        let guesses_dts = demuxer.is_format("matroska");
        let steady_from = parameters.start.map(|_| start.seconds()).filter(|_| !may_jump);
        let (fresh, drained, last_read, entry) = (true, false, None, None);
        let astray = parameters.needs_keyframe();
        let seconds = parameters.frame_rate.map_or(0.04, |rate| 1.0 / rate.as_f64());
        let typical = Timestamp::from_seconds(seconds, base).ticks.max(1);
        Ok(Self {
            demuxer,
            parameters,
            decoder: None,
            threads,
            entries,
            location,
            stream,
            base,
            start,
            zero,
            may_jump,
            guesses_dts,
            steady_from,
            fresh,
            astray,
            before_key: true,
            lead: 0,
            drained,
            last_read,
            counted: Some(start.ticks),
            typical,
            entry,
            line: None,
            has_jumped: false,
            last_in_order: None,
            knows_head: false,
            retries: Retries::default(),
        })
    }

    /// Closes the jumps of the clock from now on; answers whether that changes what is read.
    ///
    /// All streams are read then, since they jump together.
    pub(crate) fn follow_clock(&mut self) -> Result<bool> {
        let media = self.demuxer.media();
        let clock = Clock::of(&media).filter(|_| self.line.is_none());
        let Some(clock) = clock else { return Ok(false) };
        self.find_head()?;
        if self.guesses_dts {
            // The clock needs good ones.
            let looked = self.demuxer.look_anew();
            looked.map_err(|fault| fault.of_input(&self.location))?;
        }
        let bases = media.streams.iter().map(|stream| stream.time_base).collect();
        self.line = Some(Line { clock, bases });
        self.demuxer.keep_only(|_| true);
        // The first packets may have been read already, and the others left out.
        self.fresh = false;
        Ok(true)
    }

    /// The kind of frame that the header of the stream promises.
    pub(crate) fn promised(&self) -> Option<GraphInput> {
        GraphInput::of_parameters(&self.parameters)
    }

    /// Seconds per tick of the stream.
    pub(crate) fn base(&self) -> TimeBase {
        self.base
    }

    /// What the decoder could not decode well so far.
    pub(crate) fn health(&self) -> Health {
        self.decoder.as_ref().map(Decoder::health).unwrap_or_default()
    }

    /// Whether an instant is found only by decoding all from the first packet on.
    fn goes_back(&self) -> bool {
        self.parameters.goes_back
    }

    /// The next frame, in order of presentation; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            let decoder = self.decoder(usize::MAX)?;
            match decoder.receive().map_err(|_| Error::Exhausted { what: "memory" })? {
                Received::One(frame) => return Ok(Some(self.timed(frame))),
                Received::Failed(_) => self.expect_size()?,
                Received::Nothing if self.drained => return Ok(None),
                Received::Nothing => self.feed()?,
            }
        }
    }

    /// Counts the time of a frame that states none, as in a stream without a container.
    fn timed(&mut self, mut frame: Frame) -> Frame {
        if let (None, Some(counted)) = (frame.pts(), self.counted) {
            frame.set_pts(counted);
        }
        let length = if frame.duration() > 0 { frame.duration() } else { self.typical };
        self.counted = self.counted.and(frame.pts()).map(|pts| pts + length);
        frame
    }

    /// The decoder, opened for so many packets when it is not open yet.
    fn decoder(&mut self, packets: usize) -> Result<&mut Decoder> {
        let decoder = self.decoder.take().map_or_else(|| self.open_decoder(packets), Ok)?;
        Ok(self.decoder.insert(decoder))
    }

    /// Opens the decoder, with no more threads than there are packets for it.
    fn open_decoder(&self, packets: usize) -> Result<Decoder> {
        let packets = u32::try_from(packets).ok().and_then(NonZeroU32::new);
        let threads = packets.map_or(self.threads, |packets| packets.min(self.threads));
        let mut decoder = Decoder::open(&self.parameters, threads)
            .map_err(|error| error.about("decoder", &self.parameters.codec_or_tag()))?;
        if self.counted.is_none() {
            // A seek led elsewhere before it was needed.
            decoder.flush(false, self.parameters.head.as_ref());
        }
        Ok(decoder)
    }

    /// Fails when the decoder refused a picture for having more pixels than it may.
    fn expect_size(&self) -> Result<()> {
        let refused = self.decoder.as_ref().and_then(Decoder::refused);
        refused.map_or(Ok(()), |size| self.demuxer.limits.check_size(&self.location, size))
    }

    /// The next packet of the stream; `None` at the end, or where libav can not read on.
    fn read(&mut self) -> Result<Option<Packet>> {
        self.fresh = false;
        loop {
            match self.demuxer.read() {
                Ok(Some(mut packet)) => {
                    let number = packet.stream();
                    if let Some(Line { clock, bases }) = &mut self.line
                        && let Some(base) = bases.get(number)
                    {
                        clock.close(number, *base, &mut packet);
                    }
                    if number != self.stream {
                        continue;
                    }
                    self.last_read = packet.dts().or(packet.pts()).max(self.last_read);
                    self.note_jump(&packet);
                    if let (Some(read), Some(start)) = (self.last_read, self.steady_from) {
                        let read = Timestamp::new(read, self.base).seconds();
                        self.demuxer.limits.check_seconds(&self.location, read - start)?;
                    }
                    return Ok(Some(packet));
                }
                Ok(None) | Err(Fault::Libav(_)) => return Ok(None),
                Err(fault) => return Err(fault.of_input(&self.location)),
            }
        }
    }

    /// Notes when times rise or fall as they do only where a clock jumps: decoding times, or those of
    /// keyframes where the others are guesses.
    fn note_jump(&mut self, packet: &Packet) {
        let in_order = if self.guesses_dts {
            packet.pts().filter(|_| packet.is_key())
        } else {
            packet.dts().or(packet.pts())
        };
        let Some(at) = in_order else { return };
        let fallen = self.last_in_order.map_or(0, |last| last - at);
        let fallen = Timestamp::new(fallen, self.base).seconds();
        self.has_jumped |= fallen > BACK || (self.may_jump && fallen < -FORWARD);
        self.last_in_order = Some(at);
    }

    /// Gives the decoder one packet, or tells it that none follows.
    fn feed(&mut self) -> Result<()> {
        let mut packet = self.read()?;
        let is_lead = |packet: &Option<Packet>| packet.as_ref().is_some_and(|it| !it.is_key());
        while self.astray && is_lead(&packet) {
            self.lead += 1;
            packet = self.read()?;
        }
        self.astray = false;
        match packet.is_some() && self.before_key {
            true if is_lead(&packet) => self.lead += 1,
            decodes => self.before_key &= !decodes,
        }
        self.drained = packet.is_none();
        self.entry = self.entry.or(packet.as_ref().and_then(|it| it.pts().or(it.dts())));
        let decoder = self.decoder(usize::MAX)?;
        // What is not taken counts for the decoder's health.
        let fed = match packet {
            Some(packet) => decoder.send(&packet),
            None => decoder.finish(),
        };
        if fed.is_err() {
            self.expect_size()?;
        }
        Ok(())
    }

    /// Goes to a keyframe at or before `target`, or to the first packet.
    ///
    /// Answers whether reading goes on at the first packet.
    fn seek(&mut self, target: Option<Timestamp>) -> Result<bool> {
        if let Some(target) = target {
            self.find_head()?;
            match self.demuxer.seek(self.stream, target.ticks) {
                Ok(()) => {
                    self.restart(None);
                    return Ok(false);
                }
                // libav may have read on in vain.
                Err(Fault::Libav(_)) => self.fresh = false,
                Err(fault) => return Err(fault.of_input(&self.location)),
            }
        }
        if !self.fresh {
            self.demuxer.rewind().map_err(|fault| fault.of_input(&self.location))?;
            let counted = match &mut self.line {
                Some(Line { clock, .. }) => {
                    clock.restart();
                    None
                }
                None => Some(self.start.ticks),
            };
            self.restart(counted);
        }
        Ok(true)
    }

    /// Looks for what a decoder must know that begins in the middle, once, at the first packet.
    fn find_head(&mut self) -> Result<()> {
        if self.knows_head {
            return Ok(());
        }
        self.knows_head = true;
        let of_input = |fault: Fault| fault.of_input(&self.location);
        if !self.fresh {
            self.demuxer.rewind().map_err(of_input)?;
        }
        self.parameters.head =
            self.entries.head(&mut self.demuxer, self.stream).map_err(of_input)?;
        Ok(())
    }

    fn restart(&mut self, counted: Option<i64>) {
        if let Some(decoder) = &mut self.decoder {
            decoder.flush(counted.is_some(), self.parameters.head.as_ref());
        }
        self.entry = None;
        self.astray = counted.is_none() || self.parameters.needs_keyframe();
        (self.before_key, self.lead) = (true, 0);
        self.counted = counted;
        self.drained = false;
        (self.has_jumped, self.last_in_order) = (false, None);
        self.last_read = None;
        self.fresh = false;
    }

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

    /// The frames at the first of some instants, one at least.
    fn find(&mut self, picks: &[FramePick]) -> Result<Vec<Shown>> {
        loop {
            let found = match (self.near(picks)?, picks) {
                (Some(frames), _) if !frames.is_empty() => frames,
                (_, [first, ..]) => vec![self.go_to(first)?],
                (_, []) => return Ok(Vec::new()),
            };
            // Behind a jump times count from elsewhere. Where a clock may jump anywhere, an instant
            // past the last time that it shows may come before a jump.
            let is_past = self.may_jump && found.iter().any(|shown| shown.past_end);
            if !(self.has_jumped || is_past) || !self.follow_clock()? {
                return Ok(found);
            }
        }
    }

    /// Decodes a damaged picture again, from earlier random access points; answers the best.
    pub(crate) fn mended(&mut self, mut shown: Shown, pick: &FramePick) -> Result<Shown> {
        // The very picture, and no other keyframe that might do as well.
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
            // Where a container knows of no earlier place, the seek led to the same one.
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

    /// The frames at instants that rise, handed to `found` one by one: those that follow each other
    /// closely are decoded in one go.
    pub(crate) fn at_each(
        &mut self,
        picks: &[FramePick],
        mut found: impl FnMut(Shown) -> Result<()>,
    ) -> Result<()> {
        let mut rest = picks;
        while !rest.is_empty() {
            let is_near = |two: &&[FramePick]| {
                let apart = two[1].time.seconds() - two[0].time.seconds();
                (0.0..=NEAR).contains(&apart) && !two.iter().any(|it| it.keyframe || it.neighbors)
            };
            let near = 1 + rest.windows(2).take_while(is_near).count();
            let frames = self.find(&rest[..near])?;
            let (now, later) = rest.split_at(frames.len().min(near));
            for (shown, pick) in frames.into_iter().zip(now) {
                found(self.mended(shown, pick)?)?;
            }
            rest = later;
        }
        Ok(())
    }

    /// The frames at the first of some instants, as many as one group of pictures holds; `None` when
    /// packets do not tell which they are.
    fn near(&mut self, picks: &[FramePick]) -> Result<Option<Vec<Shown>>> {
        let Some(first) = picks.first().filter(|_| !self.goes_back()) else { return Ok(None) };
        let times: Vec<i64> = picks.iter().map(|it| self.on_screen(it).ticks).collect();
        // Without seeks, what lies ahead is reached by reading on.
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

    /// As [`at`](Self::at), whatever packets say of themselves; [`next`](Self::next) goes on after
    /// the frame, or after the one behind it when that is part of the answer.
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

    /// The last time that a frame on screen at an instant may have.
    fn on_screen(&self, pick: &FramePick) -> Timestamp {
        Timestamp::on_screen(pick.time.seconds(), self.base)
    }

    /// Where reading begins, in one try after the other; `None` is the first packet.
    fn targets(&self, time: Timestamp) -> impl Iterator<Item = Option<Timestamp>> + use<> {
        let seeks = !self.goes_back() && self.line.is_none();
        let (base, start) = (self.base, self.start);
        BACK_OFF.map(Some).into_iter().chain([None]).map(move |back_off| {
            // A target in the first moments is read from the start: no index is needed for that.
            back_off
                .map(|seconds| Timestamp::from_seconds(time.seconds() - seconds, base))
                .filter(|target| seeks && *target > start)
        })
    }

    /// Reads the packets that the frames at `times` need, from the last keyframe at or before the
    /// first of them on, up to the next keyframe; `None` when there is none, or packets do not tell
    /// their times.
    fn approach(&mut self, times: &[i64], like: &FramePick) -> Result<Option<Approach>> {
        let FramePick { keyframe, neighbors, .. } = *like;
        let mut packets: Vec<Packet> = Vec::new();
        let mut latest = Latest::default();
        // What packets that are not decoded say of those that are.
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
                // It is the picture itself, whatever follows.
                packets = vec![packet];
                reached = 1;
                break false;
            }
            if dts > pts {
                // Nobody knows what else is wrong with such times.
                return Ok(None);
            }
            if packet.is_key() && pts <= time && !self.entries.is_gradual(&packet) {
                if reached > 0 {
                    // What comes after it is decoded from here on.
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
            // Pictures that lead the keyframe of an open group refer to what was before it, and
            // nothing behind it refers to them.
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
            // Nothing that is decoded later is shown earlier than this.
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

    /// Decodes what instants need; `None` when that is not what came out.
    fn decode(&mut self, approach: &Approach) -> Result<Option<Vec<Shown>>> {
        let no_memory = |_| Error::Exhausted { what: "memory" };
        // Pictures of HEVC that only higher sub-layers may refer to, which libav does not pass over.
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
            let ended = approach.ended && approach.frames.last().is_some_and(|it| it.time == *time);
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
        let asked = time;
        let health = self.health();
        let is_sought = !self.goes_back() && self.line.is_none();
        let takes_any = pick.keyframe && !pick.neighbors && is_sought;
        while let Some(frame) = self.next()? {
            if frame.pts().is_none() {
                // Without times frames are counted, from the first one on.
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
        let ended = after.is_none() && self.drained;
        if ended {
            self.expect_all_read(time)?;
        }
        let end = frame.pts().map(|pts| pts + frame.duration().max(1));
        let past_end = ended && end.is_some_and(|end| end <= time.ticks);
        let damage = Damage::of(&frame, self.health().since(health));
        let time = frame.pts().map_or(time, |pts| Timestamp::new(pts, self.base));
        let seconds = time.seconds() - self.zero;
        let lead = if from_start && time > asked && asked >= self.start { self.lead } else { 0 };
        Ok(Some(Shown { before, frame, after, past_end, time, seconds, damage, lead }))
    }

    /// Fails when reading ended before what the container's index promises, and before `time`.
    pub(crate) fn expect_all_read(&self, time: Timestamp) -> Result<()> {
        let promised = self.demuxer.last_indexed(self.stream);
        let read = self.last_read.map(|ticks| Timestamp::new(ticks, self.base));
        match (promised, read) {
            (Some(promised), Some(read)) if read < promised && read < time => Err(Error::Damaged {
                location: self.location.clone(),
                what: format!(
                    "its index goes on to {:.3} s, its data only to {:.3} s",
                    promised.seconds(),
                    read.seconds()
                ),
                lost: promised.seconds() - read.seconds(),
            }),
            _ => Ok(()),
        }
    }
}

pub(crate) fn libav(step: Step, component: &str, source: LibavError) -> Error {
    Error::Libav { step, component: component.to_owned(), source }
}

/// Writes the decoder's best guess of the time where filters read it.
pub(crate) fn exactly_timed(mut frame: Frame) -> Frame {
    if let Some(pts) = frame.pts() {
        frame.set_pts(pts);
    }
    frame
}
