//! The last stage: packets into a container, on the output's time line.

use super::{Outlet, Stage, Stop};
use crate::{
    av::{Fault, Muxer, Packet},
    error::{Error, Step},
    io::Location,
    tally::Tally,
    time::{TimeBase, Timestamp},
};

/// Writes the tracks of one output.
pub(crate) struct Mux {
    muxer: Muxer,
    name: String,
    location: Location,
    tracks: Vec<MuxTrack>,
}

/// What a muxer keeps in mind of a track.
pub(crate) struct MuxTrack {
    /// The instant of the input that becomes 0.
    pub(crate) origin: Timestamp,
    /// Seconds per tick in the container.
    pub(crate) base: TimeBase,
    /// Decoding time of the last packet, in ticks.
    pub(crate) last: Option<i64>,
    /// Distance between the last two packets, in ticks.
    pub(crate) typical: i64,
    /// Decoding time of the first packet, in ticks.
    pub(crate) first: Option<i64>,
    /// The newest packet of a picture track, held until it is known not to be the last.
    pub(crate) held: Option<Packet>,
    /// Whether it is a track of moving pictures.
    pub(crate) is_video: bool,
    /// What is counted.
    pub(crate) tally: Tally,
}

impl Mux {
    /// A stage over a muxer whose header is written.
    pub(crate) fn new(muxer: Muxer, name: &str, location: Location, tracks: Vec<MuxTrack>) -> Self {
        Self { muxer, name: name.to_owned(), location, tracks }
    }

    fn write(&mut self, packet: Packet, track: usize) -> Result<(), Stop> {
        self.muxer.write(packet, track).map_err(|fault| self.failed(fault))
    }

    fn failed(&self, fault: Fault) -> Stop {
        let error = match fault {
            Fault::Cancelled => Error::Cancelled,
            Fault::Io(source) => Error::Write { location: self.location.clone(), source },
            Fault::Libav(source) => {
                Error::Libav { step: Step::Mux, component: self.name.clone(), source }
            }
        };
        Stop::Failed(error)
    }
}

impl MuxTrack {
    /// The packet that was held to the end, made to last as long as the track does.
    ///
    /// MP4 adds the distances of decoding times up to the length of a track. When pictures are
    /// reordered and of uneven length, the sum comes out too short, and a player may leave the
    /// last picture out.
    fn last_packet(&mut self) -> Option<Packet> {
        let mut packet = self.held.take()?;
        let (Some(first), Some(dts)) = (self.first, packet.dts()) else { return Some(packet) };
        let end = self.tally.note(|count| count.written.end()).map_or(0, |end| end.ticks);
        packet.set_duration(packet.duration().max(end + first.min(0) - dts));
        Some(packet)
    }

    /// Puts a packet on the output's time line.
    ///
    /// Decoding times must rise strictly and come no later than the presentation; a packet that
    /// would break that moves on by as little as it takes, and is counted.
    fn place(&mut self, packet: &mut Packet) {
        let base = packet.time_base().unwrap_or(self.base);
        let rescale = |ticks| {
            Timestamp::new(ticks, base).since(self.origin, self.base).map_or(0, |at| at.ticks)
        };
        let after = self.last.map_or(i64::MIN, |last| last + 1);
        let start = packet.pts().or(packet.dts()).map(|pts| (rescale(pts), pts));
        // Both ends are rounded, not the length: rounding errors do not add up.
        let (start, end) = match start {
            Some((start, pts)) if packet.duration() > 0 => {
                (start, rescale(pts + packet.duration()))
            }
            // A packet that does not say lasts as long as the one before it.
            Some((start, _)) => (start, start + self.typical),
            None => (after.max(0), after.max(0) + rescale(packet.duration()) - rescale(0)),
        };
        let unsaid = self.last.map_or(start, |last| last + 1);
        let dts = packet.dts().map_or(unsaid, rescale).min(start).max(after);
        let pts = start.max(dts);
        self.typical = self.last.map_or(self.typical, |last| dts - last);
        self.last = Some(dts);
        self.first.get_or_insert(dts);
        packet.set_times(pts, dts, (end - pts).max(0));
        let at = |ticks| Timestamp::new(ticks, self.base);
        self.tally.note(|count| {
            count.moved += u64::from(pts != start);
            count.bytes += packet.size() as u64;
            if end > 0 || start >= 0 {
                count.packets_written += 1;
                count.written.add(at(pts.max(0)), at(end.max(pts)));
            }
        });
    }
}

impl Stage for Mux {
    type In = (usize, Packet);
    type Out = ();

    fn push(&mut self, item: Self::In, _: &mut dyn Outlet<()>) -> Result<(), Stop> {
        let (track, mut packet) = item;
        let Some(place) = self.tracks.get_mut(track) else { return Ok(()) };
        place.place(&mut packet);
        let ready = if place.is_video { place.held.replace(packet) } else { Some(packet) };
        ready.map_or(Ok(()), |packet| self.write(packet, track))
    }

    fn finish(&mut self, _: &mut dyn Outlet<()>) -> Result<(), Stop> {
        for track in 0..self.tracks.len() {
            if let Some(packet) = self.tracks[track].last_packet() {
                self.write(packet, track)?;
            }
        }
        self.muxer.finish().map_err(|fault| self.failed(fault))
    }
}
