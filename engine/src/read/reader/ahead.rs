//! Packets that were read before they are decoded, to know which frame is on screen at an instant.

use std::collections::VecDeque;

use crate::{libav::Packet, read::approach::Latest};

/// The most bytes of packets that are held.
const MAX_HELD: usize = 64 << 20;

/// Packets that wait for the decoder, in its order, and what their times tell.
#[derive(Default)]
pub(super) struct Ahead {
    packets: VecDeque<Packet>,
    /// The bytes of all packets.
    held: usize,
    latest: Latest,
    /// No packet that is still to be read is shown before this, in ticks.
    bound: Option<i64>,
    /// Whether a packet states no times, or wrong ones, so that no time is believed.
    is_untold: bool,
    /// The frames before this, in ticks, are not wanted.
    wanted: Option<i64>,
}

impl Ahead {
    /// Whether packets must be read on before it is known which frame is on screen at `time`, in
    /// ticks. No more are wanted once they can not tell.
    pub(super) fn lacks(&self, time: i64) -> bool {
        self.tells() && self.bound <= Some(time)
    }

    fn tells(&self) -> bool {
        !self.is_untold && self.held <= MAX_HELD
    }

    /// Takes the next packet that was read. Whether its decoding time is a guess of libav's says
    /// `guesses_dts`.
    pub(super) fn push(&mut self, packet: Packet, guesses_dts: bool) {
        match (packet.pts(), packet.dts()) {
            (Some(pts), _) if guesses_dts => self.bound = self.latest.bound(pts),
            (Some(pts), Some(dts)) if dts <= pts => self.bound = Some(dts),
            _ => self.is_untold = true,
        }
        self.held += packet.size();
        self.packets.push_back(packet);
    }

    /// The frame that is on screen at `time`, in ticks, is the next that is wanted.
    pub(super) fn want(&mut self, time: i64) {
        let shown = self.packets.iter().filter(|packet| packet.is_shown());
        let shown = shown.filter_map(Packet::pts).filter(|pts| *pts <= time);
        self.wanted = shown.max().filter(|_| self.tells());
    }

    /// The next packet for the decoder.
    pub(super) fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.held -= packet.size();
        Some(packet)
    }

    /// The time of the frame that is wanted next, in ticks; `None` where it is not known.
    pub(super) fn wanted(&self) -> Option<i64> {
        self.wanted
    }

    /// Whether a packet's frame is not wanted, so that it is needed only where others refer to it.
    pub(super) fn is_spare(&self, packet: &Packet) -> bool {
        packet.pts().zip(self.wanted).is_some_and(|(pts, wanted)| pts < wanted)
    }
}
