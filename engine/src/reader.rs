//! Decodes one stream from any place in it, and no more of it than an instant needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    av::{Decoder, Demuxer, Depth, Fault, Frame, GraphInput, Health, Packet, Parameters, Received},
    error::{Error, LibavError, Result, Step},
    index::Entries,
    io::{Location, Source},
    limits::Limits,
    media::MAY_JUMP,
    pipeline::parameters_of,
    plan::Instant,
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};

/// How far before the instant a search begins at each further try, in seconds; after that, at the
/// first packet. Containers without an index, and open GOPs, need more than one.
const BACK_OFF: [f64; 4] = [0.0, 1.0, 4.0, 16.0];

/// The most that packets between a keyframe and an instant are held before they are decoded, in
/// bytes.
const MOST_HELD: usize = 64 << 20;

/// How far apart instants are whose frames are decoded in one go, at most, in seconds: what lies
/// between them is read for that.
const NEAR: f64 = 2.0;

/// How far before an instant decoding begins at most, when its picture came out damaged, in seconds.
const FARTHEST_RETRY: f64 = 60.0;

/// How often damaged pictures are decoded again; shared by all readers of a job.
#[derive(Clone, Debug)]
pub(crate) struct Retries(Arc<AtomicU32>);

impl Default for Retries {
    fn default() -> Self {
        /// Earlier random access points of one job, all its pictures together.
        const OF_A_JOB: u32 = 3;
        Self(Arc::new(AtomicU32::new(OF_A_JOB)))
    }
}

impl Retries {
    /// Takes one, if any is left.
    fn take(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// Whether a picture is what was encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Damage {
    /// It is, as far as the decoder can tell.
    None,
    /// The decoder reported errors on the way to it.
    Suspected,
    /// The decoder guessed a part of it.
    Certain,
}

impl Damage {
    /// Of a frame, when the decoding that led to it went so.
    fn of(frame: &Frame, health: Health) -> Self {
        match (frame.is_concealed(), health.is_good()) {
            (true, _) => Self::Certain,
            (false, false) => Self::Suspected,
            (false, true) => Self::None,
        }
    }
}

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
    /// Where it begins, in seconds, when its times tell how long it is: that is known, and they do
    /// not jump.
    steady_from: Option<f64>,
    /// Whether nothing was read since the first packet.
    fresh: bool,
    /// Whether a seek may have led to the midst of a group, or of a packet of a transport stream,
    /// so that nothing before the next keyframe can be decoded.
    astray: bool,
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
    /// Whether [`Parameters::head`] was looked for.
    knows_head: bool,
    /// What is left of the tries to decode damaged pictures again.
    pub(crate) retries: Retries,
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
    /// Whether the frame is what was encoded.
    pub(crate) damage: Damage,
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
        let jumps = MAY_JUMP.iter().any(|name| demuxer.is_format(name));
        let steady_from = parameters.start.map(|_| start.seconds()).filter(|_| !jumps);
        let (fresh, astray, drained, last_read, entry) = (true, false, false, None, None);
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
            steady_from,
            fresh,
            astray,
            drained,
            last_read,
            counted: Some(start.ticks),
            typical,
            entry,
            knows_head: false,
            retries: Retries::default(),
        })
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
        Decoder::open(&self.parameters, threads)
            .map_err(|error| error.about("decoder", &self.parameters.codec_or_tag()))
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
                Ok(Some(packet)) if packet.stream() == self.stream => {
                    self.last_read = packet.dts().or(packet.pts()).max(self.last_read);
                    if let (Some(read), Some(start)) = (self.last_read, self.steady_from) {
                        let read = Timestamp::new(read, self.base).seconds();
                        self.demuxer.limits.check_seconds(&self.location, read - start)?;
                    }
                    return Ok(Some(packet));
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(Fault::Libav(_)) => return Ok(None),
                Err(fault) => return Err(fault.of_input(&self.location)),
            }
        }
    }

    /// Gives the decoder one packet, or tells it that none follows.
    fn feed(&mut self) -> Result<()> {
        let mut packet = self.read()?;
        while self.astray && packet.as_ref().is_some_and(|packet| !packet.is_key()) {
            packet = self.read()?;
        }
        self.astray = false;
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
            self.restart(Some(self.start.ticks));
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
        self.astray = counted.is_none();
        self.counted = counted;
        self.drained = false;
        self.last_read = None;
        self.fresh = false;
    }

    /// The frame that a player shows at an instant: the last one whose time is not after it;
    /// before the first frame the first, past the end the last.
    ///
    /// # Errors
    /// [`Error::Damaged`] when no frame can be decoded, or when the container promises later
    /// frames than could be read and the instant needs them.
    pub(crate) fn at(&mut self, instant: &Instant) -> Result<Shown> {
        let found = self.near(std::slice::from_ref(instant))?;
        let shown = found.into_iter().flatten().next().map_or_else(|| self.go_to(instant), Ok)?;
        self.mended(shown, instant)
    }

    /// Decodes a damaged picture again, from earlier random access points; answers the best.
    fn mended(&mut self, mut shown: Shown, instant: &Instant) -> Result<Shown> {
        let time = self.on_screen(instant);
        let may_retry = !self.goes_back();
        while let Some(entry) = self.entry.filter(|_| may_retry && shown.damage > Damage::None) {
            let earlier = Timestamp::new(entry.saturating_sub(1), self.base);
            let is_near = time.seconds() - earlier.seconds() <= FARTHEST_RETRY;
            if earlier < self.start || !is_near || !self.retries.take() {
                break;
            }
            let from_start = self.seek(Some(earlier))?;
            let again = self.search(time, instant, from_start)?;
            // Where a container knows of no earlier place, the seek led to the same one.
            let is_earlier = self.entry < Some(entry);
            if let Some(again) = again.filter(|again| again.damage < shown.damage) {
                shown = again;
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
        instants: &[Instant],
        mut found: impl FnMut(Shown) -> Result<()>,
    ) -> Result<()> {
        let mut rest = instants;
        while let [first, ..] = rest {
            let is_near = |two: &&[Instant]| {
                let apart = two[1].time.seconds() - two[0].time.seconds();
                (0.0..=NEAR).contains(&apart) && !two.iter().any(|it| it.keyframe || it.neighbors)
            };
            let near = 1 + rest.windows(2).take_while(is_near).count();
            let frames = match self.near(&rest[..near])? {
                Some(frames) if !frames.is_empty() => frames,
                _ => vec![self.go_to(first)?],
            };
            let (now, later) = rest.split_at(frames.len().min(near));
            for (shown, instant) in frames.into_iter().zip(now) {
                found(self.mended(shown, instant)?)?;
            }
            rest = later;
        }
        Ok(())
    }

    /// The frames at the first of some instants, as many as one group of pictures holds; `None` when
    /// packets do not tell which they are.
    fn near(&mut self, instants: &[Instant]) -> Result<Option<Vec<Shown>>> {
        let Some(first) = instants.first().filter(|_| !self.goes_back()) else { return Ok(None) };
        let times: Vec<i64> = instants.iter().map(|it| self.on_screen(it).ticks).collect();
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
    pub(crate) fn go_to(&mut self, instant: &Instant) -> Result<Shown> {
        let time = self.on_screen(instant);
        for target in self.targets(time) {
            let from_start = self.seek(target)?;
            if let Some(shown) = self.search(time, instant, from_start)? {
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
    fn on_screen(&self, instant: &Instant) -> Timestamp {
        Timestamp::on_screen(instant.time.seconds(), self.base)
    }

    /// Where reading begins, in one try after the other; `None` is the first packet.
    fn targets(&self, time: Timestamp) -> impl Iterator<Item = Option<Timestamp>> + use<> {
        let (base, start, seeks) = (self.base, self.start, !self.goes_back());
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
    fn approach(&mut self, times: &[i64], like: &Instant) -> Result<Option<Approach>> {
        let Instant { keyframe, neighbors, .. } = *like;
        let mut packets: Vec<Packet> = Vec::new();
        let (mut held, mut after, mut reached) = (0, None, 0);
        let ended = loop {
            let Some(packet) = self.read()? else { break true };
            let (Some(pts), Some(dts)) = (packet.pts(), packet.dts()) else { return Ok(None) };
            if dts > pts {
                // Nobody knows what else is wrong with such times.
                return Ok(None);
            }
            let time = times[reached];
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
            if held > MOST_HELD {
                return Ok(None);
            }
            if keyframe && !neighbors {
                reached = 1;
                break false;
            }
            // Nothing that is decoded later is shown earlier than this.
            let is_past = |time| {
                if neighbors { after.is_some_and(|at| dts > at) } else { dts > time }
            };
            reached += times[reached..].iter().take_while(|time| is_past(**time)).count();
            if reached == times.len() {
                break false;
            }
        };
        let times = if ended { times } else { &times[..reached] };
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
        let mut frames: BTreeMap<i64, Frame> = BTreeMap::new();
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
                        frames.extend(wanted.map(|pts| (pts, frame)));
                    }
                    Received::Failed(_) => return self.expect_size().map(|()| None),
                    Received::Nothing => break,
                }
            }
        }
        decoder.skip_unreferenced(false);
        let health = decoder.health().since(before);
        self.entry = entry;
        self.drained = true;
        if approach.wanted.iter().any(|pts| !frames.contains_key(pts)) {
            return Ok(None);
        }
        let mut found = Vec::new();
        for Wanted { time, shown, before, after } in &approach.frames {
            let take = |pts: Option<i64>| {
                let frame = pts.and_then(|pts| frames.get(&pts)).map(Frame::share).transpose();
                frame.map_err(|_| Error::Exhausted { what: "memory" })
            };
            let Some(frame) = take(Some(*shown))? else { return Ok(None) };
            let ended = approach.ended && approach.frames.last().is_some_and(|it| it.time == *time);
            if ended {
                self.expect_all_read(Timestamp::new(*time, self.base))?;
            }
            let past_end = ended && shown + frame.duration().max(1) <= *time;
            let damage = Damage::of(&frame, health);
            let (before, after) = (take(*before)?, take(*after)?);
            let time = Timestamp::new(*shown, self.base);
            found.push(Shown { before, frame, after, past_end, time, damage });
        }
        Ok(Some(found))
    }

    /// Reads on to the frame at `time`; `None` when reading must begin earlier.
    fn search(
        &mut self,
        time: Timestamp,
        instant: &Instant,
        from_start: bool,
    ) -> Result<Option<Shown>> {
        let (mut before, mut shown, mut after) = (None, None, None);
        let health = self.health();
        let takes_any = instant.keyframe && !instant.neighbors && !self.goes_back();
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
        if instant.neighbors && before.is_none() && !from_start {
            return Ok(None);
        }
        if instant.neighbors && after.is_none() {
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
        Ok(Some(Shown { before, frame, after, past_end, time, damage }))
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

/// The packets that frames need, from a keyframe on, in order of decoding.
struct Approach {
    packets: Vec<Packet>,
    /// The frames, in order of the instants.
    frames: Vec<Wanted>,
    /// Times of all frames that are looked at, in ticks.
    wanted: BTreeSet<i64>,
    /// Whether the stream ended before a later frame came.
    ended: bool,
}

/// The frame at an instant, and its neighbors where they are wanted, by their times in ticks.
struct Wanted {
    /// The instant.
    time: i64,
    shown: i64,
    before: Option<i64>,
    after: Option<i64>,
}

impl Approach {
    /// What the frames at `times` need of the packets that were read; `None` when the one before
    /// is wanted and not among them.
    fn of(
        mut packets: Vec<Packet>,
        times: &[i64],
        after: Option<i64>,
        neighbors: bool,
        ended: bool,
    ) -> Option<Self> {
        let all = packets.iter().filter(|packet| packet.is_shown()).filter_map(Packet::pts);
        let all: BTreeSet<i64> = all.collect();
        let frame = |time: &i64| {
            let shown = *all.range(..=time).next_back()?;
            let before = all.range(..shown).next_back().copied().filter(|_| neighbors);
            let is_alone = neighbors && before.is_none();
            let after = after.filter(|_| neighbors);
            (!is_alone).then_some(Wanted { time: *time, shown, before, after })
        };
        let frames: Vec<Wanted> = times.iter().map(frame).collect::<Option<_>>()?;
        let looked_at = frames.iter().flat_map(|it| [Some(it.shown), it.before, it.after]);
        let wanted: BTreeSet<i64> = looked_at.flatten().collect();
        let is_wanted = |packet: &Packet| packet.pts().is_some_and(|pts| wanted.contains(&pts));
        let last = packets.iter().rposition(is_wanted)?;
        packets.truncate(last + 1);
        let last = times.last().copied().unwrap_or(i64::MAX);
        let ended = ended && all.last().is_none_or(|pts| *pts <= last);
        Some(Self { packets, frames, wanted, ended })
    }

    /// Whether the frame of this time is looked at.
    fn wants(&self, pts: Option<i64>) -> bool {
        pts.is_some_and(|pts| self.wanted.contains(&pts))
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
