//! Which packets have to be decoded for the frames at some instants.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
};

use crate::libav::Packet;

/// The most pictures that a decoder reorders over (H.264 and HEVC: 16), and one to spare.
pub(crate) const REORDERED: usize = 17;

/// The [`REORDERED`] latest presentation times of packets that were read in order of decoding.
#[derive(Debug, Default)]
pub(crate) struct Latest(BinaryHeap<Reverse<i64>>);

impl Latest {
    /// Takes the next presentation time, in ticks, and answers one that no packet still to be read
    /// comes before; `None` as long as too few are known.
    pub(crate) fn bound(&mut self, pts: i64) -> Option<i64> {
        self.0.push(Reverse(pts));
        if self.0.len() > REORDERED {
            self.0.pop();
        }
        let Reverse(earliest) = *self.0.peek()?;
        (self.0.len() == REORDERED).then_some(earliest)
    }
}

/// The packets that frames need, from a keyframe on, in order of decoding.
pub(crate) struct Approach {
    pub(crate) packets: Vec<Packet>,
    /// The frames, in order of the instants.
    pub(crate) frames: Vec<Wanted>,
    /// Presentation times, in ticks, of all wanted frames and neighbors.
    pub(crate) wanted: BTreeSet<i64>,
    /// Whether the stream ended without a frame behind the last instant.
    pub(crate) ended: bool,
}

/// The frame at an instant, and its neighbors where they are wanted, by their times in ticks.
pub(crate) struct Wanted {
    /// The instant, in ticks.
    pub(crate) time: i64,
    pub(crate) shown: i64,
    pub(crate) before: Option<i64>,
    pub(crate) after: Option<i64>,
}

impl Approach {
    /// Those of `packets` that the frames at `times` need; `after` is the time of the next frame.
    /// `None` when a frame, or the neighbor before it, is not among them.
    pub(crate) fn of(
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

    /// Whether the frame of this time is wanted, by itself or as a neighbor.
    pub(crate) fn wants(&self, pts: Option<i64>) -> bool {
        pts.is_some_and(|pts| self.wanted.contains(&pts))
    }
}
