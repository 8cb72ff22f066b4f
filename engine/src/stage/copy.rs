//! Packets of pictures that are copied: from the first keyframe on, with decoding times.

use super::{Outlet, Stage, Stop};
use crate::{av::Packet, tally::Tally};

/// Most pictures that a decoder reorders over (H.264 and HEVC: 16), and one to spare.
const REORDERED: usize = 17;

/// Leaves out what comes before the first keyframe, which no player could show, and gives the first
/// packets the decoding times that some containers leave open.
pub(crate) struct Copy {
    tally: Tally,
    /// Whether a keyframe came.
    begun: bool,
    /// The first packets, until one of them says when it is decoded.
    waiting: Vec<Packet>,
}

impl Copy {
    /// A stage before anything came.
    pub(crate) fn new(tally: Tally) -> Self {
        Self { tally, begun: false, waiting: Vec::new() }
    }

    /// Hands on the waiting packets, decoded at even distances before `known`.
    fn release(
        &mut self,
        known: Option<i64>,
        outlet: &mut dyn Outlet<Packet>,
    ) -> Result<(), Stop> {
        let mut times: Vec<i64> = self.waiting.iter().filter_map(Packet::pts).collect();
        times.sort_unstable();
        let step = times.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0).min();
        let step = step.unwrap_or(1);
        let earliest = times.first().copied().unwrap_or(0);
        let count = i64::try_from(self.waiting.len()).unwrap_or(i64::MAX);
        // Without any decoding time the earliest picture is shown as soon as all are decoded.
        let known = known.unwrap_or(earliest + step).min(earliest + step);
        for (mut packet, place) in self.waiting.drain(..).zip(0..) {
            let (pts, duration) = (packet.pts(), packet.duration());
            if let Some(pts) = pts {
                packet.set_times(pts, known - step * (count - place), duration);
            }
            outlet.send(packet)?;
        }
        Ok(())
    }
}

impl Stage for Copy {
    type In = Packet;
    type Out = Packet;

    fn push(&mut self, packet: Packet, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        if !self.begun && !packet.is_key() {
            self.tally.note(|count| count.before_keyframe += 1);
            return Ok(());
        }
        let is_first = !self.begun;
        self.begun = true;
        let waits = is_first || !self.waiting.is_empty();
        if waits && packet.dts().is_none() && self.waiting.len() < REORDERED {
            self.waiting.push(packet);
            return Ok(());
        }
        self.release(packet.dts(), outlet)?;
        outlet.send(packet)
    }

    fn finish(&mut self, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        self.release(None, outlet)
    }
}
