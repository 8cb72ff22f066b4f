//! Stream copies: packets of the wanted span, with valid decoding times.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use avocet_model::{
    error::Error,
    format::nal::avc::Head,
    plan::Span,
    time::{TimeBase, Timestamp},
};

use super::{Outlet, Stage, Stop, TimelineOffset};
use crate::{
    libav::{Packet, Parameters},
    pipeline::counters::{Counters, Read},
    read::{approach::REORDERED, change::Coding},
};

/// The error of a packet that is coded with other parameters than those before it.
fn parameters_change(kind: &str, packet: &Packet, base: TimeBase) -> Stop {
    let at = packet.pts().or(packet.dts()).map(|ticks| Timestamp::new(ticks, base).seconds());
    let at = at.map_or_else(String::new, |at| format!(" at {at:.3} s"));
    let what = format!("the codec parameters of the {kind} change{at}");
    Stop::Failed(Error::ParametersChange { what })
}

/// Copies packets of video. Leaves out those outside the span, and those before the first keyframe,
/// which no player could show. Makes decoding times anew where the container has none, or where
/// they do not rise, or are later than presentation times, as libav's guesses may be.
pub(crate) struct Copy {
    span: Option<Span>,
    onto: Option<TimelineOffset>,
    base: TimeBase,
    /// Units of the stream's first packet that decoders need; put before the first copied picture.
    head: Option<Head>,
    /// Finds changes of codec parameters; `None` in a smart cut, whose own stage looks for them.
    coding: Option<Coding>,
    counters: Counters<Read>,
    /// Whether a keyframe came.
    begun: bool,
    /// Presentation time of the first keyframe, in ticks, if packets before it were left out. Its
    /// leading pictures refer to those, and are left out, too.
    leads_until: Option<i64>,
    /// Whether the span has ended.
    ended: bool,
    /// The newest packets, in order of decoding.
    window: VecDeque<Packet>,
    /// Presentation times of the packets that have no decoding time yet, the earliest on top.
    times: BinaryHeap<Reverse<i64>>,
    dts: Option<Dts>,
}

/// Where decoding times come from.
#[derive(Clone, Copy)]
enum Dts {
    /// From the source.
    Kept,
    /// From the sorted presentation times, each `delay` ticks earlier.
    Made { delay: i64 },
}

impl Copy {
    /// A stage before the first packet.
    pub(crate) fn new(
        span: Option<Span>,
        onto: Option<TimelineOffset>,
        parameters: &Parameters,
        counters: Counters<Read>,
    ) -> Self {
        let (head, coding) = (parameters.head.clone(), Some(Coding::of(parameters)));
        let base = parameters.time_base;
        Self { head, coding, ..Self::over(span, onto, base, counters) }
    }

    fn over(
        span: Option<Span>,
        onto: Option<TimelineOffset>,
        base: TimeBase,
        counters: Counters<Read>,
    ) -> Self {
        let (window, times) = (VecDeque::new(), BinaryHeap::new());
        let (begun, ended) = (false, false);
        let (head, coding, dts, leads_until) = (None, None, None, None);
        Self {
            span,
            onto,
            base,
            head,
            coding,
            counters,
            begun,
            leads_until,
            ended,
            window,
            times,
            dts,
        }
    }

    /// A stage for packets of a smart cut: their decoding times are the sorted presentation times,
    /// less `delay` ticks of `base`.
    pub(crate) fn of_smart_cut(
        span: Span,
        onto: Option<TimelineOffset>,
        base: TimeBase,
        delay: i64,
        counters: Counters<Read>,
    ) -> Self {
        let dts = Some(Dts::Made { delay });
        Self { dts, ..Self::over(Some(span), onto, base, counters) }
    }

    /// Decides by the first packets whether their decoding times can be kept.
    fn choose(&self) -> Dts {
        let mut last = None;
        let are_good = self.window.iter().all(|packet| {
            let (pts, dts) = (packet.pts(), packet.dts());
            let is_good = dts.is_some() && dts > last && pts.is_none_or(|pts| dts <= Some(pts));
            last = dts;
            is_good
        });
        if are_good {
            return Dts::Kept;
        }
        let shown: Vec<i64> = self.window.iter().filter_map(Packet::pts).collect();
        let mut sorted = shown.clone();
        sorted.sort_unstable();
        // A picture must be decoded by the time it is shown.
        let delay = sorted.iter().zip(&shown).map(|(sorted, shown)| sorted - shown).max();
        Dts::Made { delay: delay.unwrap_or(0) }
    }

    /// Lets the last picture last to the end of the span, if a packet behind the span came.
    fn end_last(&mut self) {
        let end = self.span.and_then(|span| span.end).filter(|_| self.ended);
        let last = self.window.iter_mut().max_by_key(|packet| packet.pts());
        if let (Some(end), Some(last)) = (end, last)
            && let (Some(pts), Some(base)) = (last.pts(), last.time_base())
        {
            let end = match self.onto {
                Some(onto) => Some(onto.map(end)),
                None => end.rescale(base).map(|end| end.ticks),
            };
            last.set_duration(end.map_or(last.duration(), |end| end - pts));
        }
    }

    /// Hands on the oldest packet.
    fn hand_on(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        let dts = match self.dts {
            Some(dts) => dts,
            None => *self.dts.insert(self.choose()),
        };
        let Some(mut packet) = self.window.pop_front() else { return Ok(()) };
        if let (Some(pts), Some(Reverse(earliest))) =
            (packet.pts(), packet.pts().and_then(|_| self.times.pop()))
            && let Dts::Made { delay } = dts
        {
            let duration = packet.duration();
            packet.set_times(pts, earliest - delay, duration);
        }
        outlet.send(packet)
    }
}

impl Stage for Copy {
    type In = Packet;
    type Out = Packet;

    fn push(&mut self, mut packet: Packet, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        let at = packet.pts().map(|pts| Timestamp::new(pts, self.base));
        if let (Some(span), Some(at)) = (self.span, at) {
            if self.ended || span.end.is_some_and(|end| at >= end) {
                // A copied span ends where no packet that is decoded later belongs to it.
                self.ended = true;
                return Err(Stop::Closed);
            }
            if at < span.start {
                return Ok(());
            }
        }
        if !self.begun && packet.is_key() {
            let has_left_out = self.counters.note(|count| count.before_keyframe > 0);
            self.begun = true;
            self.leads_until = packet.pts().filter(|_| has_left_out);
        }
        let leads = packet.pts().is_some_and(|pts| Some(pts) < self.leads_until);
        if !self.begun || leads {
            self.counters.note(|count| count.before_keyframe += 1);
            return Ok(());
        }
        if self.coding.as_mut().is_some_and(|coding| coding.changes(&packet)) {
            return Err(parameters_change("video", &packet, self.base));
        }
        if let Some(head) = self.head.take() {
            let led = packet.with_other_data(&head.before(packet.data()));
            packet = led.map_err(|_| Error::Exhausted { what: "memory" })?;
        }
        if let Some(onto) = self.onto {
            move_onto(&mut packet, onto, self.base);
        }
        self.times.extend(packet.pts().map(Reverse));
        self.window.push_back(packet);
        if self.window.len() > REORDERED { self.hand_on(outlet) } else { Ok(()) }
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        self.end_last();
        while !self.window.is_empty() {
            self.hand_on(outlet)?;
        }
        Ok(())
    }
}

/// Copies packets of sound or text. Leaves out those outside the span, but for the lead-in that
/// decoders need, and ends the last one where the span ends. A text that is on screen at the start
/// begins there.
pub(crate) struct CopySound {
    span: Option<Span>,
    onto: Option<TimelineOffset>,
    base: TimeBase,
    is_text: bool,
    coding: Coding,
    /// The newest packets before the span, at most as many as [`Span::lead_in`] says.
    lead: VecDeque<Packet>,
}

impl CopySound {
    /// A stage before the first packet.
    pub(crate) fn new(
        span: Option<Span>,
        onto: Option<TimelineOffset>,
        parameters: &Parameters,
        is_text: bool,
    ) -> Self {
        let (base, coding) = (parameters.time_base, Coding::of(parameters));
        Self { span, onto, base, is_text, coding, lead: VecDeque::new() }
    }

    fn hand_on(&mut self, mut packet: Packet, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        if self.coding.changes(&packet) {
            let kind = if self.is_text { "text" } else { "audio" };
            return Err(parameters_change(kind, &packet, self.base));
        }
        if let Some(onto) = self.onto {
            move_onto(&mut packet, onto, self.base);
        }
        outlet.send(packet)
    }
}

impl Stage for CopySound {
    type In = Packet;
    type Out = Packet;

    fn push(&mut self, mut packet: Packet, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        let (Some(span), Some(pts)) = (self.span, packet.pts()) else {
            return self.hand_on(packet, outlet);
        };
        let at = |ticks| Timestamp::new(ticks, self.base);
        if span.end.is_some_and(|end| at(pts) >= end) {
            return Err(Stop::Closed);
        }
        if at(pts + packet.duration()) <= span.start {
            self.lead.push_back(packet);
            if self.lead.len() > span.lead_in as usize {
                self.lead.pop_front();
            }
            return Ok(());
        }
        while let Some(lead) = self.lead.pop_front() {
            self.hand_on(lead, outlet)?;
        }
        let end = span.end.and_then(|end| end.rescale(self.base));
        if let Some(end) = end.filter(|end| pts + packet.duration() > end.ticks) {
            packet.set_duration(end.ticks - pts);
        }
        let start = span.start.rescale(self.base).filter(|start| self.is_text && start.ticks > pts);
        if let Some(start) = start {
            let rest = pts + packet.duration() - start.ticks;
            packet.set_times(start.ticks, start.ticks, rest);
        }
        self.hand_on(packet, outlet)
    }

    fn finish(&mut self, _: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        Ok(())
    }
}

/// Puts a packet of a later part onto the time line of the first.
fn move_onto(packet: &mut Packet, onto: TimelineOffset, base: TimeBase) {
    let map = |ticks| onto.map(Timestamp::new(ticks, base));
    let (Some(pts), dts) = (packet.pts(), packet.dts()) else { return };
    let start = map(pts);
    let end = map(pts + packet.duration());
    packet.set_times(start, map(dts.unwrap_or(pts)), end - start);
    packet.set_time_base(onto.base);
}
