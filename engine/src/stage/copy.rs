//! Packets of pictures that are copied: from the first keyframe on, with decoding times that hold.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use super::{Outlet, REORDERED, Stage, Stop};
use crate::{av::Packet, tally::Tally};

/// Leaves out what comes before the first keyframe, which no player could show, and makes decoding
/// times anew where the container has none, or libav guessed ones that come after the presentation.
pub(crate) struct Copy {
    tally: Tally,
    /// Whether a keyframe came.
    begun: bool,
    /// The newest packets, in order of decoding.
    window: VecDeque<Packet>,
    /// Presentation times of all packets that have no decoding time yet, the earliest on top.
    times: BinaryHeap<Reverse<i64>>,
    dts: Option<Dts>,
}

/// Where decoding times come from.
#[derive(Clone, Copy)]
enum Dts {
    /// From the source.
    Kept,
    /// From the sorted presentation times, each so many ticks earlier.
    Made { delay: i64 },
}

impl Copy {
    /// A stage before anything came.
    pub(crate) fn new(tally: Tally) -> Self {
        let (window, times) = (VecDeque::new(), BinaryHeap::new());
        Self { tally, begun: false, window, times, dts: None }
    }

    /// Looks at the first packets.
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

    fn push(&mut self, packet: Packet, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        self.begun |= packet.is_key();
        if !self.begun {
            self.tally.note(|count| count.before_keyframe += 1);
            return Ok(());
        }
        self.times.extend(packet.pts().map(Reverse));
        self.window.push_back(packet);
        if self.window.len() > REORDERED { self.hand_on(outlet) } else { Ok(()) }
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        while !self.window.is_empty() {
            self.hand_on(outlet)?;
        }
        Ok(())
    }
}
