//! Closes the jumps of the clock in a container that was cut and joined, or that holds several
//! files behind each other.

use std::collections::BTreeMap;

use avocet_model::{
    media::MediaInfo,
    time::{TimeBase, Timestamp},
};

use crate::libav::Packet;

/// A step forward by more than this is a jump, not content; in seconds.
pub(crate) const FORWARD: f64 = 10.0;

/// A step back by more than this is a jump, too; in seconds. Decoding times of one part never fall.
pub(crate) const BACK: f64 = 0.5;

/// Moves packets so that each stream goes on where it was before the clock jumped.
///
/// All streams of a part move by the same distance, so they stay in sync.
#[derive(Debug)]
pub(crate) struct Clock {
    kind: Kind,
    /// What is added to the times of each part but the first.
    offsets: Vec<Timestamp>,
    /// Where the newest part begins in the file, in bytes; only of files that were appended.
    from: i64,
    streams: BTreeMap<usize, Place>,
}

/// Where a clock may jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Anywhere, back and far forward. The stream that jumps first determines the offset. Streams
    /// reach a jump at different packets, so each keeps the number of its own offset.
    Cut,
    /// Back only, where another file was appended. Packets that stand there or behind it in the
    /// file belong to the next part, which begins where the longest stream of the one before it
    /// ends. A step forward is content.
    Appended,
}

/// How far a stream was read.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Number of its offset, from 1; 0 in the first part, which is not moved.
    offset: usize,
    /// Presentation time of the first packet of the part, before moving.
    begin: Timestamp,
    /// Decoding time of the newest packet, after moving.
    last: Timestamp,
    /// The expected decoding time of the next packet, after moving.
    next: Timestamp,
    /// The latest end of presentation of any packet, after moving.
    end: Timestamp,
    /// Distance between the last two packets, in ticks of the stream.
    step: i64,
}

impl Clock {
    /// The clock of a container that is read from its first packet on; `None` where a sample table
    /// tells all times.
    pub(crate) fn of(media: &MediaInfo) -> Option<Self> {
        let kind = match media.lists_packets() {
            true => return None,
            false if media.may_jump() => Kind::Cut,
            false => Kind::Appended,
        };
        Some(Self { kind, offsets: Vec::new(), from: 0, streams: BTreeMap::new() })
    }

    /// Whether the clock jumps only where a file was appended.
    pub(crate) fn is_of_files(&self) -> bool {
        self.kind == Kind::Appended
    }

    /// Begins anew, for reading from the first packet on.
    pub(crate) fn restart(&mut self) {
        let Self { kind, .. } = *self;
        *self = Self { kind, offsets: Vec::new(), from: 0, streams: BTreeMap::new() };
    }

    /// Moves a packet of a stream, whose times count in `base`; answers whether the clock jumped.
    pub(crate) fn close(&mut self, stream: usize, base: TimeBase, packet: &mut Packet) -> bool {
        let Some(dts) = packet.dts().or(packet.pts()) else { return false };
        let (pts, duration) = (packet.pts().unwrap_or(dts), packet.duration());
        let (at, shown) = (Timestamp::new(dts, base), Timestamp::new(pts, base));
        let place = self.streams.get(&stream).copied();
        let (offset, jumped) = match (place, self.kind) {
            // A stream that begins late belongs to the newest part.
            (None, _) => (self.offsets.len(), false),
            (Some(place), Kind::Cut) => self.find(at, place),
            (Some(place), Kind::Appended) => self.go_on(at, shown, place, packet.position()),
        };
        let (moved, shown_at) = (self.moved(at, offset), self.moved(shown, offset));
        if moved.ticks != dts {
            packet.set_times(shown_at.ticks, moved.ticks, duration);
        }
        if self.kind == Kind::Appended && offset > 0 {
            // libav marks packets of a movie's fragments that go back as hidden by an edit list.
            packet.show();
        }
        let known = place.filter(|place| place.offset == offset);
        let step = match (known, place) {
            (Some(place), _) => (moved.ticks - place.last.ticks).max(1),
            (None, Some(place)) => place.step,
            (None, None) => 1,
        };
        let end = shown_at.plus(if duration > 0 { duration } else { step });
        let place = Place {
            offset,
            begin: known.map_or(shown, |place| place.begin),
            last: moved,
            next: moved.plus(duration.max(1)),
            end: place.map_or(end, |place| place.end.max(end)),
            step,
        };
        self.streams.insert(stream, place);
        jumped
    }

    /// The number of the offset that makes `at` follow on, of a new one if need be; and whether it
    /// is new.
    fn find(&mut self, at: Timestamp, place: Place) -> (usize, bool) {
        let follows = |offset: usize| {
            let step = self.moved(at, offset).seconds() - place.next.seconds();
            (-BACK..=FORWARD).contains(&step)
        };
        let others = (0..=self.offsets.len()).rev().filter(|other| *other != place.offset);
        if let Some(offset) = [place.offset].into_iter().chain(others).find(|one| follows(*one)) {
            return (offset, false);
        }
        self.begin_part(at, place.next);
        (self.offsets.len(), true)
    }

    /// The number of the offset of the part that a packet stands in, a new one where its stream
    /// goes back; and whether it is new. Places in the file tell parts apart, since demuxers may
    /// give the last packets of a part after the first ones of the next.
    fn go_on(
        &mut self,
        at: Timestamp,
        shown: Timestamp,
        place: Place,
        position: Option<i64>,
    ) -> (usize, bool) {
        let newest = self.offsets.len();
        let goes_back = place.last.seconds() - self.moved(at, place.offset).seconds() > BACK;
        let position = position.unwrap_or(self.from);
        if place.offset < newest {
            if !goes_back && position < self.from {
                return (place.offset, false);
            }
            self.from = self.from.min(position);
            return (newest, false);
        }
        if !goes_back {
            return (newest, false);
        }
        self.from = position;
        // The streams of the new part are assumed to begin as far from each other as those before.
        let of_part = self.streams.values().filter(|other| other.offset == newest);
        let first = of_part.map(|other| other.begin).min().unwrap_or(place.begin);
        let late = place.begin.since(first, at.base).map_or(0, |late| late.ticks);
        let end = self.streams.values().map(|other| other.end).max().unwrap_or(place.end);
        self.begin_part(shown.plus(late.saturating_neg()), end);
        (self.offsets.len(), true)
    }

    /// Begins a part, whose offset moves the instant `from` to `to`.
    fn begin_part(&mut self, from: Timestamp, to: Timestamp) {
        let offset = to.since(from, from.base);
        self.offsets.push(offset.unwrap_or(Timestamp::new(0, from.base)));
    }

    /// An instant moved by the offset of this number; not moved by 0.
    fn moved(&self, at: Timestamp, offset: usize) -> Timestamp {
        let by = offset.checked_sub(1).and_then(|number| self.offsets.get(number));
        at.plus(by.and_then(|by| by.rescale(at.base)).map_or(0, |by| by.ticks))
    }
}
