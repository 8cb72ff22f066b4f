//! Decodes one stream from any place in it, and no more of it than an instant needs.

mod ahead;
pub(crate) mod picks;
mod search;

use std::num::NonZeroU32;

use avocet_model::{
    error::{Error, LibavError, Result, Step},
    location::Location,
    media::MAY_JUMP,
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};

use ahead::Ahead;

use super::{
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

/// How far before the instant each try of a search begins, in seconds; the last try begins at the
/// first packet. Containers without an index, and open GOPs, need more than one.
pub(crate) const BACK_OFF: [f64; 4] = [0.0, 1.0, 4.0, 16.0];

/// Decodes one stream of an input, from any place in it.
#[expect(clippy::struct_excessive_bools, reason = "they do not depend on each other")]
pub(crate) struct FrameReader {
    demuxer: Demuxer,
    parameters: Parameters,
    /// The decoder, opened once it is known how many packets, and so threads, it needs.
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
    /// Whether the clock may jump anywhere (TS and PS).
    may_jump: bool,
    /// Whether libav guesses decoding times, which the container does not state: too late ones,
    /// while it does not know how far pictures are reordered.
    guesses_dts: bool,
    /// The start of the stream, in seconds, from which its length is measured; `None` where that is
    /// not stated, or the clock may jump.
    steady_from: Option<f64>,
    /// Whether the demuxer is known to stand at the first packet.
    fresh: bool,
    /// Whether packets before the next keyframe are passed over: where the codec needs one, and
    /// after a seek, which may lead to the middle of a GOP or of a packet.
    astray: bool,
    /// Whether no keyframe came since reading began anew.
    before_key: bool,
    /// Number of packets before that keyframe so far.
    lead: u64,
    /// Whether the decoder was told that no packet follows.
    drained: bool,
    /// Packets that were read and not decoded yet.
    ahead: Ahead,
    /// The latest decoding time that was read, in ticks.
    last_read: Option<i64>,
    /// Presentation time of the next frame, in ticks, for a stream that states none; `None` after a
    /// seek, since frames are counted from the first one on.
    counted: Option<i64>,
    /// How long a frame lasts on average, in ticks.
    typical: i64,
    /// Presentation time of the packet with which decoding began, in ticks.
    entry: Option<i64>,
    /// Closes the jumps of the clock, once those are known to matter. Then all is read from the
    /// first packet on.
    line: Option<Line>,
    /// Whether the clock jumped since reading began anew, as where files were appended.
    has_jumped: bool,
    /// The newest of the times that rise unless the clock jumps, in ticks.
    last_in_order: Option<i64>,
    /// Whether [`Parameters::head`] was looked for.
    knows_head: bool,
    /// The retries that are left for damaged pictures.
    pub(crate) retries: Retries,
}

/// The clock of an input whose jumps are closed, and the time bases of its streams.
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
    /// Presentation time of the frame, on the time line of the input.
    pub(crate) time: Timestamp,
    /// The same, in seconds from the start of the input.
    pub(crate) seconds: f64,
    /// Whether the frame is what was encoded.
    pub(crate) damage: Damage,
    /// Number of packets before the first keyframe, if one of them would be on screen; else 0.
    pub(crate) lead: u64,
}

impl Shown {
    /// The same with a second reference to each frame.
    pub(crate) fn share(&self) -> Result<Self> {
        let no_memory = |_| Error::Exhausted { what: "memory" };
        let share = |frame: &Option<Frame>| frame.as_ref().map(Frame::share).transpose();
        Ok(Self {
            before: share(&self.before).map_err(no_memory)?,
            frame: self.frame.share().map_err(no_memory)?,
            after: share(&self.after).map_err(no_memory)?,
            ..*self
        })
    }

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

    /// The same for a source that was probed before; errors name it `location`.
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
            ahead: Ahead::default(),
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
            // The clock needs decoding times that libav made with a look at the packets.
            let looked = self.demuxer.look_anew();
            looked.map_err(|fault| fault.of_input(&self.location))?;
        }
        let bases = media.streams.iter().map(|stream| stream.time_base).collect();
        self.line = Some(Line { clock, bases });
        self.demuxer.keep_only(|_| true);
        // The first packets may have been read already, and those of other streams left out.
        self.fresh = false;
        Ok(true)
    }

    /// The kind of frame that the header of the stream promises.
    pub(crate) fn promised(&self) -> Option<GraphInput> {
        GraphInput::of_parameters(&self.parameters)
    }

    /// The most threads that it may use.
    pub(crate) fn threads(&self) -> NonZeroU32 {
        self.threads
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

    /// Where the input is, for errors.
    pub(crate) const fn location(&self) -> &Location {
        &self.location
    }

    /// Where the input begins, in seconds on its time line.
    pub(crate) const fn zero(&self) -> f64 {
        self.zero
    }

    /// Whether times rise from the first packet to the last, so that what lies ahead is reached by
    /// reading on.
    fn has_steady_clock(&self) -> bool {
        !self.may_jump && !self.goes_back() && self.line.is_none()
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

    /// Gives a frame that states no time one by counting, as in a stream without a container.
    fn timed(&mut self, mut frame: Frame) -> Frame {
        if let (None, Some(counted)) = (frame.pts(), self.counted) {
            frame.set_pts(counted);
        }
        let length = if frame.duration() > 0 { frame.duration() } else { self.typical };
        self.counted = self.counted.and(frame.pts()).map(|pts| pts + length);
        frame
    }

    /// The decoder, opened for that many packets when it is not open yet.
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
            // A seek led to the middle of the stream before the decoder was needed.
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

    /// Notes a jump of the clock, by times that rise or fall as no content does: decoding times, or
    /// presentation times of keyframes where those are guesses.
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

    /// The next packet that is to be decoded; `None` at the end.
    fn next_packet(&mut self) -> Result<Option<Packet>> {
        self.ahead.pop().map_or_else(|| self.read(), |packet| Ok(Some(packet)))
    }

    /// Gives the decoder one packet, or tells it that none follows.
    fn feed(&mut self) -> Result<()> {
        let mut packet = self.next_packet()?;
        let is_lead = |packet: &Option<Packet>| packet.as_ref().is_some_and(|it| !it.is_key());
        while self.astray && is_lead(&packet) {
            self.lead += 1;
            packet = self.next_packet()?;
        }
        self.astray = false;
        match packet.is_some() && self.before_key {
            true if is_lead(&packet) => self.lead += 1,
            decodes => self.before_key &= !decodes,
        }
        self.drained = packet.is_none();
        self.entry = self.entry.or(packet.as_ref().and_then(|it| it.pts().or(it.dts())));
        let is_spare = packet.as_ref().is_some_and(|packet| self.ahead.is_spare(packet));
        let decoder = self.decoder(usize::MAX)?;
        decoder.skip_unreferenced(is_spare);
        // A refused packet counts in the decoder's health, and is no error here.
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
                // A seek that failed may have moved the demuxer.
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

    /// Reads what a decoder that begins in the middle must know from the first packet, once.
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
        self.ahead = Ahead::default();
        self.fresh = false;
    }
}

pub(crate) fn libav(step: Step, component: &str, source: LibavError) -> Error {
    Error::Libav { step, component: component.to_owned(), source }
}

/// Copies the decoder's best guess of the time into the field that filters read.
pub(crate) fn exactly_timed(mut frame: Frame) -> Frame {
    if let Some(pts) = frame.pts() {
        frame.set_pts(pts);
    }
    frame
}
