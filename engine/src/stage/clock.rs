//! The clock of a container that may have been cut and joined at any place: its jumps are closed.

use std::collections::BTreeMap;

use crate::{
    av::Packet,
    time::{TimeBase, Timestamp},
};

/// A step forward by more than this is a jump, not content; in seconds.
const FORWARD: f64 = 10.0;

/// A step back by more than this is one, too; decoding times never fall in one piece.
const BACK: f64 = 0.5;

/// Moves packets so that each stream goes on where it was before a jump.
///
/// All streams move by the same distance, found by the one that jumps first: so they stay in sync.
/// Streams reach a jump at different packets, so each has its own place in the list of distances.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// What is added to the times between two jumps, in seconds of the first stream that jumped.
    offsets: Vec<Timestamp>,
    streams: BTreeMap<usize, Place>,
}

/// How far a stream is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Number of its offset; the first has none.
    offset: usize,
    /// Where the next packet is expected, after moving.
    next: Timestamp,
}

impl Clock {
    /// Moves a packet of a stream, whose times count in `base`; answers whether the clock jumped.
    pub(crate) fn close(&mut self, stream: usize, base: TimeBase, packet: &mut Packet) -> bool {
        let Some(dts) = packet.dts().or(packet.pts()) else { return false };
        let at = Timestamp::new(dts, base);
        let place = self.streams.get(&stream).copied();
        let (offset, jumped) = match place {
            // A stream that begins late belongs to the newest piece.
            None => (self.offsets.len(), false),
            Some(place) => self.find(at, place),
        };
        let moved = self.moved(at, offset);
        let by = moved.ticks - dts;
        if by != 0 {
            let (pts, duration) = (packet.pts().unwrap_or(dts), packet.duration());
            packet.set_times(pts + by, moved.ticks, duration);
        }
        let next = moved.plus(packet.duration().max(1));
        self.streams.insert(stream, Place { offset, next });
        jumped
    }

    /// The offset that makes `at` follow on, if need be a new one.
    fn find(&mut self, at: Timestamp, place: Place) -> (usize, bool) {
        let follows = |offset: usize| {
            let step = self.moved(at, offset).seconds() - place.next.seconds();
            (-BACK..=FORWARD).contains(&step)
        };
        let others = (0..=self.offsets.len()).rev().filter(|other| *other != place.offset);
        if let Some(offset) = [place.offset].into_iter().chain(others).find(|one| follows(*one)) {
            return (offset, false);
        }
        let ticks = place.next.rescale(at.base).map_or(at.ticks, |next| next.ticks);
        self.offsets.push(Timestamp::new(ticks - at.ticks, at.base));
        (self.offsets.len(), true)
    }

    /// An instant moved by the offset of a number.
    fn moved(&self, at: Timestamp, offset: usize) -> Timestamp {
        let by = offset.checked_sub(1).and_then(|number| self.offsets.get(number));
        at.plus(by.and_then(|by| by.rescale(at.base)).map_or(0, |by| by.ticks))
    }
}
