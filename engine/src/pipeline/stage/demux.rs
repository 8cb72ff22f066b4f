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

/// How much sound a decoder hears before it is right, in seconds: more than Opus (0.08), the
/// reservoir of MP3 and the overlap of AAC need.
const SOUND_LEAD: f64 = 0.5;

/// Reads one input to its end, or as far as anybody wants it.
#[expect(clippy::struct_excessive_bools, reason = "they do not depend on each other")]
pub(crate) struct Demux {
    demuxer: Demuxer,
    location: Location,
    cancel: CancelToken,
    /// Whether reading begins where a span does.
    seeks: bool,
    /// What closes the jumps of a clock.
    clock: Option<Clock>,
    /// Whether a file that begins behind another one may be coded in another way without its packets
    /// saying so.
    may_differ: bool,
    /// Whether a jump was closed that no track was told of.
    jumped: bool,
    /// Seconds per tick of each stream.
    bases: Vec<TimeBase>,
    /// Whether streams may go on under other numbers, as where transport streams were joined.
    may_go_on: bool,
    /// Packets that tracks took.
    taken: u64,
    /// Streams that no track takes, of a container whose streams may go on under other numbers.
    others: BTreeMap<usize, Other>,
    routes: Vec<Route>,
}

/// A stream that no track takes.
#[derive(Clone, Copy)]
struct Other {
    /// How many packets tracks had taken when it began.
    after: u64,
    /// The earliest and the latest presentation time, in ticks.
    times: (i64, i64),
}

/// One track's way out of a demuxer.
pub(crate) struct Route {
    pub(crate) stream: usize,
    pub(crate) base: TimeBase,
    pub(crate) is_video: bool,
    /// Whether its packets are copied, and do not tell themselves when another file begins that is
    /// coded in another way.
    pub(crate) must_agree: bool,
    /// Where a stream of pictures ends, by its sample table.
    pub(crate) table: Option<Table>,
    pub(crate) select: Select,
    pub(crate) counters: Counters<Read>,
    /// `None` once nobody wants more.
    pub(crate) outlet: Option<Box<dyn Outlet<Packet>>>,
}

impl Route {
    /// The span that is wanted, if it is not all.
    fn span(&self) -> Option<Span> {
        match self.select {
            Select::Span(span) => Some(span),
            Select::All | Select::At(_) => None,
        }
    }

    /// Whether a piece of the stream lies in the wanted span.
    fn wants(&self, start: Timestamp, end: Timestamp) -> bool {
        self.span().is_none_or(|span| {
            // Of pictures only those that begin in it; one that is held is counted by the cut.
            let is_before = start < span.start && (self.is_video || end <= span.start);
            !is_before && span.end.is_none_or(|last| start < last)
        })
    }
}

impl Demux {
    /// A stage over an open demuxer, with the tracks that take its streams.
    ///
    /// A track that wants a span is the only one: reading begins at the span, unless the clock
    /// jumps.
    pub(crate) fn new(
        demuxer: Demuxer,
        media: &MediaInfo,
        input: &plan::Input,
        routes: Vec<Route>,
        cancel: CancelToken,
    ) -> Self {
        // Times are moved as they are read: there is no way to jump into the midst of that.
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
            routes,
        }
    }

    /// Reads until the end, a failure, or nobody wanting more.
    pub(crate) fn run(mut self) -> Result<()> {
        self.keep_what_matters();
        if let Some(packet) = self.begin()? {
            self.hand_out(packet)?;
        }
        while self.routes.iter().any(|route| route.outlet.is_some()) {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            match self.demuxer.read() {
                Ok(Some(packet)) => self.hand_out(packet)?,
                Ok(None) => {
                    self.note(|count| count.to_end = true);
                    break;
                }
                // Whatever libav can not read on from is an end; verification judges how early.
                Err(Fault::Libav(error)) => {
                    self.note(|count| {
                        count.to_end = true;
                        count.error = Some(error.to_string());
                    });
                    break;
                }
                Err(fault) => return Err(fault.of_input(&self.location)),
            }
        }
        for route in &self.routes {
            let goes_on_seconds = self.goes_on_seconds(route);
            route.counters.note(|count| {
                count.torn = self.demuxer.torn(route.stream);
                count.is_followed = self.demuxer.is_followed;
                count.goes_on_seconds = goes_on_seconds;
            });
        }
        self.routes
            .into_iter()
            .filter_map(|route| route.outlet)
            .try_for_each(|mut outlet| finished(outlet.finish()))
    }

    /// Whether the times of streams that no track takes matter, too: a section lies where all streams
    /// together put it.
    fn needs_all(&self) -> bool {
        self.clock.is_some() && self.routes.iter().any(|route| route.span().is_some())
    }

    /// Leaves out the streams that nobody asks for.
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

    /// How long those streams are that are like the one of a track, and begin where all tracks have
    /// ended: a container that was cut and joined may go on under other numbers.
    fn goes_on_seconds(&self, route: &Route) -> f64 {
        /// Packets of each track that come late, since only the next one would end them.
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

    /// Goes to where the span of the only route begins; answers the first packet of it that was
    /// read on the way.
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
            // Nobody can tell how many packets a gradual refresh takes, only the start is sure.
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

    /// The next packet of a stream from which decoding can begin, and whose time is known.
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
            let what = format!("another file begins at {at:.3} s, and may be coded in another way");
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
    /// Counts a packet and hands it on; answers how long its track is by now, in seconds.
    fn take(&mut self, packet: &Packet, jumped: bool) -> Result<f64> {
        if self.outlet.is_none() {
            return Ok(0.0);
        }
        let mut shared = packet.share().map_err(|_| Error::Exhausted { what: "memory" })?;
        let start = packet.pts().or(packet.dts()).filter(|_| !packet.is_hidden());
        let at = |ticks| Timestamp::new(ticks, self.base);
        // By its own length: what lasts until the end while others come is not on screen then.
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

    /// How long a packet lasts near the end of what is wanted, in ticks.
    ///
    /// libav guesses how long a reordered picture lasts, or does not say. Near the end each lasts to
    /// where the sample table or the span ends, until the next one comes: so the last one has it
    /// right.
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
