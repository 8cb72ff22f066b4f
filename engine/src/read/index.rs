//! Which packets a stream has: where they stand in time, and where decoding can begin.
//!
//! MP4 and QuickTime list them; of other containers all packets are read, once.

use std::{
    collections::VecDeque,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use avocet_model::{
    error::{Error, Result},
    format::{
        movie::{self, Shifts},
        nal::{
            self, Framing,
            avc::{self, Head},
            hevc, units,
        },
    },
    index::{Index, IndexedPacket, RandomAccess, StreamIndex},
    location::Location,
    media::{MediaInfo, Orientation, StreamInfo},
    progress::CancelToken,
    time::Timestamp,
};

use super::{change::Coding, clock::Clock};
use crate::{
    io::{Identity, Source},
    libav::{Demuxer, Depth, Fault, Listed, Packet, limits::Limits},
};

/// The newest indexes, shared by the clones of an engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Indexes(Arc<Mutex<VecDeque<Kept>>>);

/// An index, and what identifies its source.
type Kept = (Identity, Arc<Index>);

impl Indexes {
    /// The most packets that are kept, some 32 bytes each.
    const MAX_PACKETS: usize = 1 << 20;

    /// The index of a source: one that is kept, or a new one.
    pub(crate) fn get(
        &self,
        source: &Source,
        list: impl FnOnce() -> Result<Index>,
    ) -> Result<Arc<Index>> {
        // A source without an identity is not kept. If it can not be read, `list` tells why.
        let identity = source.identity().filter(|_| !source.is_in_parts());
        let Some(identity) = identity else { return list().map(Arc::new) };
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept().iter().find(|(other, _)| *other == identity).cloned();
        if let Some((_, index)) = known {
            return Ok(index);
        }
        let index = Arc::new(list()?);
        let mut kept = kept();
        // An index of an older version of the source is of no use any more.
        kept.retain(|(other, _)| !other.is_same(&identity));
        kept.push_back((identity, Arc::clone(&index)));
        let packets = |(_, index): &Kept| index.packets();
        while kept.iter().map(packets).sum::<usize>() > Self::MAX_PACKETS {
            kept.pop_front();
        }
        Ok(index)
    }
}

/// Lists the packets of a source. Where each look at a keyframe costs a request, those far from
/// `near`, in seconds from the input's start, count as closed without one.
pub(crate) fn of(
    source: &Source,
    near: &Range<f64>,
    limits: Limits,
    cancel: &CancelToken,
) -> Result<Index> {
    /// How far from `near` keyframes may matter, in seconds: longer than most GOPs.
    const AROUND: f64 = 10.0;
    let location = source.location();
    let open = || source.demuxer(&location, Depth::Streams, limits, cancel);
    let mut demuxer = open()?;
    let media = demuxer.media();
    if media.lists_packets() {
        let unreadable = |error| Error::Read { location: location.clone(), source: error };
        let mut reader = source.open(cancel).map_err(unreadable)?;
        if let Some(mut index) = listed(&mut reader, &mut demuxer, &media).map_err(unreadable)? {
            for (number, stream) in index.streams.iter_mut().enumerate() {
                let entries = Entries::of(&demuxer, number);
                let listed = demuxer.listed(number);
                let base = media.streams[number].time_base.as_f64();
                let begin = media.start.map_or(0.0, Timestamp::seconds);
                let is_near = |packet: &IndexedPacket| {
                    let at = packet.pts.map_or(0.0, |pts| pts as f64 * base) - begin;
                    at > near.start - AROUND && at < near.end + AROUND
                };
                let keys = stream.packets.iter_mut().zip(&listed).filter(|(_, it)| it.is_key);
                for (packet, listed) in keys {
                    if source.is_in_parts() && !is_near(packet) {
                        continue;
                    }
                    if cancel.is_cancelled() {
                        return Err(Error::Cancelled);
                    }
                    packet.entry = entries.look_at(&mut reader, listed).map_err(unreadable)?;
                }
            }
            return Ok(index);
        }
        demuxer = open()?;
    }
    read(demuxer, &media, &location, cancel)
}

/// What the sample tables of a movie list, with every keyframe as one of a closed GOP. `None` when
/// libav reads a first packet of a stream that is not as it is listed.
pub(crate) fn listed(
    reader: &mut (impl Read + Seek),
    demuxer: &mut Demuxer,
    media: &MediaInfo,
) -> io::Result<Option<Index>> {
    let Some(shifts) = movie::shifts(reader)? else { return Ok(None) };
    let mut index = Index::default();
    for stream in &media.streams {
        let listed = demuxer.listed(stream.index);
        let Some(shift) = Shift::of(&shifts, stream, &listed, demuxer) else { return Ok(None) };
        let packets = listed.iter().map(|listed| IndexedPacket {
            pts: Some(shift.pts(listed)),
            duration: 0,
            bytes: listed.bytes,
            entry: if listed.is_key { RandomAccess::ClosedGop } else { RandomAccess::None },
            hidden: listed.is_hidden,
            changed: false,
        });
        let mut packets: Vec<_> = packets.collect();
        let goes_back = listed.windows(2).any(|two| two[1].dts < two[0].dts);
        set_durations(&mut packets, stream);
        index.streams.push(StreamIndex { packets, goes_back });
    }
    Ok(Some(index))
}

/// Lists packets by reading all of them.
fn read(
    mut demuxer: Demuxer,
    media: &MediaInfo,
    location: &Location,
    cancel: &CancelToken,
) -> Result<Index> {
    let entries: Vec<Entries> =
        (0..media.streams.len()).map(|n| Entries::of(&demuxer, n)).collect();
    let coding = |number| demuxer.parameters(number)?.ok().map(|it| Coding::of(&it));
    let mut codings: Vec<Option<Coding>> = (0..media.streams.len()).map(coding).collect();
    let mut index = Index { streams: vec![StreamIndex::default(); media.streams.len()] };
    let mut clock = Clock::of(media);
    loop {
        let mut packet = match demuxer.read() {
            Ok(Some(packet)) => packet,
            // The run judges how much is missing.
            Ok(None) | Err(Fault::Libav(_)) => return Ok(index),
            Err(fault) => return Err(fault.of_input(location)),
        };
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let number = packet.stream();
        let (Some(stream), Some(entries), Some(coding)) =
            (index.streams.get_mut(number), entries.get(number), codings.get_mut(number))
        else {
            continue;
        };
        if let (Some(clock), Some(info)) = (&mut clock, media.streams.get(number)) {
            stream.goes_back |= clock.close(number, info.time_base, &mut packet);
        }
        let at = packet.pts().zip(media.streams.get(number));
        if let Some(at) = at.map(|(pts, info)| Timestamp::new(pts, info.time_base)) {
            let seconds = at.seconds() - media.start.unwrap_or(at).seconds();
            demuxer.limits.check_seconds(location, seconds)?;
        }
        // Where a container states decoding times only, these are the presentation times, too, but
        // each may be that of another packet.
        stream.packets.push(IndexedPacket {
            pts: packet.pts().or(packet.dts()),
            duration: packet.duration(),
            bytes: u32::try_from(packet.size()).unwrap_or(u32::MAX),
            entry: entries.look(&packet),
            hidden: packet.is_hidden(),
            changed: coding.as_mut().is_some_and(|coding| coding.changes(&packet)),
        });
    }
}

/// How much later than decoded the samples of a track are shown (composition offsets).
struct Shift<'a> {
    samples: &'a [(u64, i64)],
    /// What libav takes off all decoding times, in ticks, so that none is later than presentation.
    common: i64,
}

impl<'a> Shift<'a> {
    /// `None` when the first packet that is read is not as it is listed.
    fn of(
        shifts: &'a Shifts,
        stream: &StreamInfo,
        listed: &[Listed],
        demuxer: &mut Demuxer,
    ) -> Option<Self> {
        let samples = shifts.get(&u32::try_from(stream.id).ok()?)?;
        demuxer.keep_only(|number| number == stream.index);
        demuxer.rewind().ok()?;
        let packet = demuxer.read().ok()??;
        let first = listed.first()?;
        let this = Self { samples, common: 0 };
        let common = packet.pts()? - this.pts(first);
        let is_as_listed = packet.dts() == Some(first.dts)
            && packet.size() == usize::try_from(first.bytes).ok()?
            && packet.is_key() == first.is_key
            && packet.is_hidden() == first.is_hidden
            && common >= 0;
        is_as_listed.then_some(Self { common, ..this })
    }

    fn pts(&self, listed: &Listed) -> i64 {
        let place = self.samples.binary_search_by_key(&listed.at, |(at, _)| *at);
        let shift = place.ok().and_then(|place| self.samples.get(place));
        listed.dts + self.common + shift.map_or(0, |(_, shift)| *shift)
    }
}

/// Lets each packet last until the next one that is shown, and the last to the stream's end.
fn set_durations(packets: &mut [IndexedPacket], stream: &StreamInfo) {
    let mut order: Vec<usize> = (0..packets.len()).collect();
    order.sort_by_key(|place| packets[*place].pts);
    let end = stream.start.zip(stream.duration).map(|(start, length)| start.ticks + length.ticks);
    for (place, next) in order.iter().zip(order.iter().skip(1).map(Some).chain([None])) {
        let until = next.map_or(end, |next| packets[*next].pts);
        let duration = until.zip(packets[*place].pts).map_or(0, |(until, pts)| until - pts);
        packets[*place].duration = duration.max(0);
    }
}

/// How the keyframes of a stream tell whether their GOP is closed.
pub(crate) enum Entries {
    /// By the types of their NAL units.
    Avc(Framing),
    Hevc(Framing),
    /// Nothing refers to what was before a keyframe, so every GOP is closed.
    Always,
    /// The same, if the alpha channel beside a keyframe, where there is one, is a keyframe, too.
    Vp8,
    Vp9,
    /// A keyframe does not tell, and its GOP counts as closed. Pictures that follow it and are
    /// shown before it tell that it is open.
    ByOrder,
}

impl Entries {
    pub(crate) fn of(demuxer: &Demuxer, stream: usize) -> Self {
        let Some(Ok(parameters)) = demuxer.parameters(stream) else { return Self::ByOrder };
        let extradata = parameters.extradata();
        // ISO/IEC 14496-15: the records begin with their version, 1; other data is a byte stream.
        let framing = |at: usize| {
            let is_record = extradata.first() == Some(&1);
            let length = extradata.get(at).filter(|_| is_record);
            length.map_or(Framing::StartCodes, |byte| Framing::Lengths(usize::from(byte & 3) + 1))
        };
        match parameters.codec().as_str() {
            "h264" => Self::Avc(framing(4)),
            "hevc" => Self::Hevc(framing(21)),
            "vp8" => Self::Vp8,
            "vp9" => Self::Vp9,
            "mpeg1video" | "mpeg2video" | "mpeg4" | "vc1" => Self::ByOrder,
            _ => Self::Always,
        }
    }

    fn look(&self, packet: &Packet) -> RandomAccess {
        if packet.is_key() && !self.needs_alpha(packet) {
            self.look_into(packet.data())
        } else {
            RandomAccess::None
        }
    }

    /// Reads as much of a listed keyframe as it takes to tell whether its GOP is closed.
    fn look_at(
        &self,
        reader: &mut (impl Read + Seek),
        listed: &Listed,
    ) -> io::Result<RandomAccess> {
        /// How much is read at first, in bytes: a slice seldom begins behind it.
        const HEAD: u32 = 4096;
        if !matches!(self, Self::Avc(_) | Self::Hevc(_)) {
            return Ok(RandomAccess::ClosedGop);
        }
        let mut read = |bytes: u32| {
            let mut head = Vec::new();
            reader.seek(SeekFrom::Start(listed.at))?;
            reader.take(bytes.into()).read_to_end(&mut head)?;
            Ok::<_, io::Error>(head)
        };
        let head = read(listed.bytes.min(HEAD))?;
        let has_picture = match *self {
            Self::Avc(framing) => units(&head, framing).any(avc::is_slice),
            Self::Hevc(framing) => units(&head, framing).any(|unit| hevc::kind_of(unit) < 32),
            _ => true,
        };
        Ok(self.look_into(&if has_picture { head } else { read(listed.bytes)? }))
    }

    /// Whether decoding can begin at a keyframe, by its data.
    fn look_into(&self, data: &[u8]) -> RandomAccess {
        let is_closed = match *self {
            _ if self.refreshes(data) => return RandomAccess::None,
            Self::Avc(framing) => units(data, framing).any(|unit| avc::kind_of(unit) == avc::IDR),
            Self::Hevc(framing) => {
                units(data, framing).any(|unit| hevc::is_closed(hevc::kind_of(unit)))
            }
            _ => true,
        };
        if is_closed { RandomAccess::ClosedGop } else { RandomAccess::OpenGop }
    }

    /// Units of the first packet that a decoder must see even if it begins in the middle of the
    /// stream. Nothing may have been read from the demuxer yet.
    pub(crate) fn head(&self, demuxer: &mut Demuxer, stream: usize) -> Result<Option<Head>, Fault> {
        /// As much of a first packet as is looked at, in bytes.
        const HEAD: usize = 4096;
        let Self::Avc(framing) = *self else { return Ok(None) };
        Ok(Head::of(&demuxer.first_bytes(stream, HEAD)?, framing))
    }

    /// Whether decoding can not begin at a keyframe: it only begins a gradual refresh, or its alpha
    /// channel refers to packets before it.
    pub(crate) fn is_gradual(&self, packet: &Packet) -> bool {
        self.refreshes(packet.data()) || self.needs_alpha(packet)
    }

    /// Whether the alpha channel beside a packet refers to packets before it.
    fn needs_alpha(&self, packet: &Packet) -> bool {
        let Some(first) = packet.alpha().and_then(<[u8]>::first) else { return false };
        // A bit is set for what is no keyframe (RFC 6386, 9.1; VP9 bitstream, 6.2).
        match self {
            Self::Vp8 => first & 1 != 0,
            Self::Vp9 => first & 4 != 0,
            _ => false,
        }
    }

    /// The temporal sub-layer of a picture of HEVC, and whether no other picture of that sub-layer
    /// refers to it.
    pub(crate) fn layer(&self, packet: &Packet) -> Option<(u8, bool)> {
        let Self::Hevc(framing) = *self else { return None };
        units(packet.data(), framing).find_map(hevc::layer_of)
    }

    /// The display orientation that a packet asks for (SEI).
    pub(crate) fn orientation(&self, packet: &Packet) -> Option<Orientation> {
        let (Self::Avc(framing) | Self::Hevc(framing)) = *self else { return None };
        units(packet.data(), framing).find_map(|unit| match self {
            Self::Avc(_) if avc::kind_of(unit) == avc::SEI => nal::orientation(unit, 1),
            Self::Hevc(_) if hevc::kind_of(unit) == hevc::SEI => nal::orientation(unit, 2),
            _ => None,
        })
    }

    fn refreshes(&self, data: &[u8]) -> bool {
        let Self::Avc(framing) = *self else { return false };
        let mut messages = units(data, framing).filter(|unit| avc::kind_of(unit) == avc::SEI);
        messages.find_map(avc::recovers_later).unwrap_or(false)
    }
}
