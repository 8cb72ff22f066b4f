//! The first stage: packets out of a container, each to the tracks that take its stream.

use std::collections::BTreeMap;

use avocet_model::{
    error::{Error, Result},
    location::Location,
    media::{MediaInfo, StreamInfo},
    plan::{self, Select, Span},
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};

use super::{Outlet, Stop, finished};
use crate::{
    libav::{Demuxer, Fault, Packet, Table},
    pipeline::counters::{Counters, Read},
    read::{clock::Clock, index::Entries, reader::BACK_OFF},
};

/// How much sound is read before a span, in seconds, so that decoders give right samples in it:
/// more than the pre-roll of Opus (0.08), the bit reservoir of MP3 and the overlap of AAC need.
const SOUND_LEAD: f64 = 0.5;

/// Reads one input to its end, or until no track wants more.
#[expect(clippy::struct_excessive_bools, reason = "they do not depend on each other")]
pub(crate) struct Demux {
    demuxer: Demuxer,
    location: Location,
    cancel: CancelToken,
    /// Whether reading begins with a seek to the start of the span.
    seeks: bool,
    /// What closes the jumps of the clock; `None` with a seek, and where a sample table tells all
    /// times.
    clock: Option<Clock>,
    /// Whether a file that was appended may be coded in another way without its packets saying so.
    may_differ: bool,
    /// Whether a jump was closed that is in no track's counters yet.
    jumped: bool,
    /// Seconds per tick of each stream.
    bases: Vec<TimeBase>,
    /// Whether a stream may go on under another number, as where transport streams were joined.
    may_go_on: bool,
    /// Number of packets that tracks took.
    taken: u64,
    /// Streams that were read and that no track takes, by their numbers.
    others: BTreeMap<usize, Other>,
    /// Whether reading has begun.
    begun: bool,
    routes: Vec<Route>,
}

/// A stream that no track takes.
#[derive(Clone, Copy)]
struct Other {
    /// How many packets tracks had taken when this stream began.
    after: u64,
    /// The earliest start and the latest end of its packets, in ticks.
    times: (i64, i64),
}

/// The route of one track: the stream that it reads, and where the packets go.
pub(crate) struct Route {
    pub(crate) stream: usize,
    pub(crate) base: TimeBase,
    pub(crate) is_video: bool,
    /// Whether its packets are copied, and do not tell by themselves that an appended file is coded
    /// in another way.
    pub(crate) must_agree: bool,
    /// The end of a video stream, by its sample table.
    pub(crate) table: Option<Table>,
    pub(crate) select: Select,
    pub(crate) counters: Counters<Read>,
    /// Where the packets go; `None` once the track wants no more.
    pub(crate) outlet: Option<Box<dyn Outlet<Packet>>>,
}

impl Route {
    /// The wanted span; `None` where the whole stream is wanted.
    fn span(&self) -> Option<Span> {
        match self.select {
            Select::Span(span) => Some(span),
            Select::All | Select::At(_) => None,
        }
    }

    /// Whether a packet from `start` to `end` counts as a part of the wanted span.
    fn wants(&self, start: Timestamp, end: Timestamp) -> bool {
        self.span().is_none_or(|span| {
            // Pictures count only if they begin in the span. One that is held is counted by the cut
            // stage.
            let is_before = start < span.start && (self.is_video || end <= span.start);
            !is_before && span.end.is_none_or(|last| start < last)
        })
    }
}

impl Demux {
    /// A stage over an open demuxer, with the routes of the tracks that read from it.
    ///
    /// A route with a span is the only one: reading begins with a seek to the span, unless the
    /// clock jumps or goes back.
    pub(crate) fn new(
        demuxer: Demuxer,
        media: &MediaInfo,
        input: &plan::Input,
        routes: Vec<Route>,
        cancel: CancelToken,
    ) -> Self {
        // Jumps are found by reading from the first packet on, so there is no seek.
        let seeks = routes.iter().any(|route| route.span().is_some())
            && !input.closes_jumps
            && !input.goes_back;
        let clock = if seeks { None } else { Clock::of(media) };
        let may_differ = clock.as_ref().is_some_and(Clock::is_of_files)
            && !input.parts_agree
            && !media.is_format("flv");
        let may_go_on = input.closes_jumps;
        let bases = media.streams.iter().map(|stream| stream.time_base).collect();
        Self {
            demuxer,
            location: input.location.clone(),
            cancel,
            seeks,
            clock,
            may_differ,
            jumped: false,
            bases,
            may_go_on,
            taken: 0,
            others: BTreeMap::new(),
            begun: false,
            routes,
        }
    }

    /// Reads until the input ends, reading fails, or no track wants more.
    pub(crate) fn run(mut self) -> Result<()> {
        while self.step()? {}
        Ok(())
    }

    /// Reads one packet and hands it on. Answers `false` at the end, after all tracks have been told
    /// of it.
    pub(crate) fn step(&mut self) -> Result<bool> {
        if !self.begun {
            self.begun = true;
            self.keep_what_matters();
            if let Some(packet) = self.begin()? {
                self.hand_out(packet)?;
            }
        }
        if self.routes.iter().all(|route| route.outlet.is_none()) {
            return self.end().map(|()| false);
        }
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        match self.demuxer.read() {
            Ok(Some(packet)) => return self.hand_out(packet).map(|()| true),
            Ok(None) => self.note(|count| count.to_end = true),
            // An error of libav ends the input; verification judges how much is missing.
            Err(Fault::Libav(error)) => self.note(|count| {
                count.to_end = true;
                count.error = Some(error.to_string());
            }),
            Err(fault) => return Err(fault.of_input(&self.location)),
        }
        self.end().map(|()| false)
    }

    /// Notes what is known at the end, and tells all tracks of it.
    fn end(&mut self) -> Result<()> {
        for route in &self.routes {
            let goes_on_seconds = self.goes_on_seconds(route);
            route.counters.note(|count| {
                count.torn = self.demuxer.torn(route.stream);
                count.is_followed = self.demuxer.is_followed;
                count.goes_on_seconds = goes_on_seconds;
            });
        }
        self.routes
            .iter_mut()
            .filter_map(|route| route.outlet.take())
            .try_for_each(|mut outlet| finished(outlet.finish()))
    }

    /// Whether streams that no track takes are read for their times: where a clock jumps, all
    /// streams together tell where a span lies.
    fn needs_all(&self) -> bool {
        self.clock.is_some() && self.routes.iter().any(|route| route.span().is_some())
    }

    /// Lets the demuxer discard the packets of streams that are not needed.
    fn keep_what_matters(&mut self) {
        let (media, needs_all) = (self.demuxer.media(), self.needs_all());
        let Self { demuxer, routes, may_go_on, .. } = self;
        let is_like = |stream: &StreamInfo| {
            let kinds = routes.iter().filter_map(|route| media.streams.get(route.stream));
            kinds.map(|one| one.kind.name()).any(|kind| kind == stream.kind.name())
        };
        demuxer.keep_only(|number| {
            let may_go_on = *may_go_on && media.streams.get(number).is_some_and(is_like);
            needs_all || may_go_on || routes.iter().any(|route| route.stream == number)
        });
    }

    /// Duration, in seconds, of the streams of the same kind as a track's that begin when all
    /// tracks have ended: where containers were joined, streams may go on under other numbers.
    fn goes_on_seconds(&self, route: &Route) -> f64 {
        /// Packets of each track that may still come by then: a demuxer may give one only when the
        /// next begins.
        const LATE: u64 = 2;
        if !self.may_go_on || self.others.is_empty() {
            return 0.0;
        }
        let ended = self.taken.saturating_sub(LATE * self.routes.len() as u64);
        let media = self.demuxer.media();
        let kind = |stream: usize| media.streams.get(stream).map(|stream| stream.kind.name());
        let others = self
            .others
            .iter()
            .filter(|(stream, other)| other.after >= ended && kind(**stream) == kind(route.stream));
        let seconds = |(stream, other): (&usize, &Other)| {
            let base = self.bases.get(*stream).copied().unwrap_or(route.base);
            Timestamp::new(other.times.1 - other.times.0, base).seconds()
        };
        others.map(seconds).sum()
    }

    fn note(&self, change: impl Fn(&mut Read)) {
        self.routes.iter().for_each(|route| route.counters.note(&change));
    }

    /// Seeks to the span of the only route, and answers the packet that was read to check the seek.
    fn begin(&mut self) -> Result<Option<Packet>> {
        let [Route { stream, base, is_video, select: Select::Span(span), .. }] = self.routes[..]
        else {
            return Ok(None);
        };
        if !self.seeks {
            return Ok(None);
        }
        let lead = if is_video { 0.0 } else { SOUND_LEAD };
        let target = Timestamp::from_seconds(span.start.seconds() - lead, base);
        let target = if is_video { span.start.rescale(base).unwrap_or(target) } else { target };
        let entries = is_video.then(|| Entries::of(&self.demuxer, stream));
        for back_off in BACK_OFF {
            let from = Timestamp::from_seconds(target.seconds() - back_off, base);
            let from = if back_off > 0.0 { from } else { target };
            match self.demuxer.seek(stream, from.ticks) {
                Ok(()) => {}
                Err(Fault::Libav(_)) => break,
                Err(fault) => return Err(fault.of_input(&self.location)),
            }
            let first = self.first_of(stream, is_video)?;
            // How many packets a gradual refresh takes is not known, so only the first packet is
            // safe.
            let is_entry = |first: &Packet| {
                let is_gradual = entries.as_ref().is_some_and(|entries| entries.is_gradual(first));
                first.pts() <= Some(target.ticks) && !is_gradual
            };
            if let Some(packet) = first.filter(is_entry) {
                return Ok(Some(packet));
            }
        }
        self.demuxer.rewind().map_err(|fault| fault.of_input(&self.location))?;
        Ok(None)
    }

    /// The next packet of a stream whose presentation time is known; of video, the next keyframe.
    fn first_of(&mut self, stream: usize, is_video: bool) -> Result<Option<Packet>> {
        loop {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match self.demuxer.read() {
                Ok(Some(packet)) => {
                    let is_first = packet.stream() == stream
                        && packet.pts().is_some()
                        && (!is_video || packet.is_key());
                    if is_first {
                        return Ok(Some(packet));
                    }
                }
                Ok(None) | Err(Fault::Libav(_)) => return Ok(None),
                Err(fault) => return Err(fault.of_input(&self.location)),
            }
        }
    }

    fn hand_out(&mut self, mut packet: Packet) -> Result<()> {
        let stream = packet.stream();
        let is_routed = self.routes.iter().any(|route| route.stream == stream);
        if let Some(pts) = packet.pts().filter(|_| !is_routed) {
            let new = Other { after: self.taken, times: (pts, pts) };
            let Other { times, .. } = self.others.entry(stream).or_insert(new);
            *times = (times.0.min(pts), times.1.max(pts + packet.duration()));
        }
        let Some(base) = self.bases.get(stream).copied() else { return Ok(()) };
        packet.set_time_base(base);
        let matters = is_routed || self.needs_all();
        if let Some(clock) = self.clock.as_mut().filter(|_| matters) {
            self.jumped |= clock.close(stream, base, &mut packet);
        }
        self.taken += u64::from(is_routed);
        if self.jumped && self.may_differ && self.routes.iter().any(|route| route.must_agree) {
            let at = packet.pts().or(packet.dts()).unwrap_or(0);
            let at = Timestamp::new(at, base).seconds();
            let what =
                format!("another file begins at {at:.3} s and may have other codec parameters");
            return Err(Error::ParametersChange { what });
        }
        let jumped = is_routed && std::mem::take(&mut self.jumped);
        for route in self.routes.iter_mut().filter(|route| route.stream == stream) {
            let seconds = route.take(&packet, jumped)?;
            self.demuxer.limits.check_seconds(&self.location, seconds)?;
        }
        Ok(())
    }
}

impl Route {
    /// Counts a packet and hands it on; answers the length of the track so far, in seconds.
    fn take(&mut self, packet: &Packet, jumped: bool) -> Result<f64> {
        if self.outlet.is_none() {
            return Ok(0.0);
        }
        let mut shared = packet.share().map_err(|_| Error::Exhausted { what: "memory" })?;
        let start = packet.pts().or(packet.dts()).filter(|_| !packet.is_hidden());
        let at = |ticks| Timestamp::new(ticks, self.base);
        // By the packet's own duration: `rest` lets it last to the end, although others follow.
        let wanted = start.filter(|start| self.wants(at(*start), at(start + packet.duration())));
        if let Some(duration) = start.and_then(|start| self.rest(start, packet)) {
            shared.set_duration(duration);
        }
        let extent = wanted.map(|start| (at(start), at(start + shared.duration())));
        let seconds = self.counters.note(|count| {
            count.packets += 1;
            count.jumps += u64::from(jumped);
            if let Some((start, end)) = extent {
                count.extent.add(start, end);
            }
            count.extent.seconds()
        });
        let sent = self.outlet.as_mut().map_or(Ok(()), |outlet| outlet.send(shared));
        match sent {
            Ok(()) => Ok(seconds),
            Err(Stop::Closed) => {
                let closed = self.outlet.take();
                closed.map_or(Ok(()), |mut outlet| finished(outlet.finish())).map(|()| seconds)
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// The duration of a packet near the end of what is wanted, in ticks; `None` to keep its own.
    ///
    /// libav guesses the durations of reordered pictures, or states none. So near the end each
    /// packet lasts to where the sample table or the span ends. That is right for the last one;
    /// each other one ends where the next picture begins.
    fn rest(&self, start: i64, packet: &Packet) -> Option<i64> {
        let in_base = |at: Timestamp| at.rescale(self.base).map(|at| at.ticks);
        let span_end = self.span().and_then(|span| span.end).and_then(in_base);
        let is_last = |table: &Table| packet.dts() >= Some(table.last_from);
        let table_end = self.table.filter(is_last).map(|table| table.end);
        let end = match (table_end, span_end) {
            (Some(table), Some(end)) => table.min(end),
            (Some(table), None) => table,
            (None, Some(end)) if start + packet.duration() > end => end,
            (None, _) => return None,
        };
        (start < end).then_some(end - start)
    }
}
