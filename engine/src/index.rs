//! Which packets a stream has: where they stand in time, and where decoding can begin.

use serde::{Deserialize, Serialize};

use crate::{
    av::{Demuxer, Depth, Packet},
    error::{Error, Result},
    io::Source,
    media::MediaInfo,
    progress::CancelToken,
    stage::Clock,
};

/// The packets of an input, found by reading all of it once, without decoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index {
    /// By number of the stream.
    pub streams: Vec<StreamIndex>,
}

/// The packets of one stream, in order of decoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamIndex {
    /// One for each packet.
    pub packets: Vec<IndexedPacket>,
}

/// One packet of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexedPacket {
    /// Presentation time, in ticks of the stream; the decoding time where the container states no
    /// other, and `None` when it states none.
    pub pts: Option<i64>,
    /// Duration, in ticks of the stream; 0 when it is not known.
    pub duration: i64,
    /// Size, in bytes.
    pub bytes: u32,
    /// Whether decoding can begin here.
    pub entry: Entry,
    /// Whether an edit list hides it.
    pub hidden: bool,
}

/// Whether decoding can begin at a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Entry {
    /// It needs others before it, or those after it do, as where a picture is refreshed bit by bit.
    No,
    /// It is a keyframe, and what follows may refer to what was before it, as in an open GOP.
    Open,
    /// It is a keyframe, and nothing that follows refers to what was before it.
    Closed,
}

impl StreamIndex {
    /// Bytes of all packets.
    pub fn bytes(&self) -> u64 {
        self.packets.iter().map(|packet| u64::from(packet.bytes)).sum()
    }

    /// The packets that are shown and have a time: the time, and the packet.
    pub fn shown(&self) -> impl DoubleEndedIterator<Item = (i64, &IndexedPacket)> {
        let shown = self.packets.iter().filter(|packet| !packet.hidden);
        shown.filter_map(|packet| Some((packet.pts?, packet)))
    }
}

impl Index {
    /// Reads all packets of a source.
    pub(crate) fn read(source: &Source, cancel: &CancelToken) -> Result<Self> {
        let location = source.location();
        let mut demuxer = source.demuxer(&location, Depth::Streams, cancel)?;
        let media = demuxer.media();
        let entries: Vec<Entries> =
            (0..media.streams.len()).map(|n| Entries::of(&demuxer, n)).collect();
        let mut index = Self { streams: vec![StreamIndex::default(); media.streams.len()] };
        let mut clock = media.may_jump().then(Clock::default);
        loop {
            let mut packet = match demuxer.read() {
                Ok(Some(packet)) => packet,
                // How much is missing is judged by the run.
                Ok(None) | Err(crate::av::Fault::Libav(_)) => return Ok(index),
                Err(fault) => return Err(fault.of_input(&location)),
            };
            if cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let number = packet.stream();
            let (Some(stream), Some(entries)) =
                (index.streams.get_mut(number), entries.get(number))
            else {
                continue;
            };
            if let (Some(clock), Some(info)) = (&mut clock, media.streams.get(number)) {
                clock.close(number, info.time_base, &mut packet);
            }
            // Where a container states decoding times only, frames are shown at the same times, if
            // not each at that of its own packet.
            stream.packets.push(IndexedPacket {
                pts: packet.pts().or(packet.dts()),
                duration: packet.duration(),
                bytes: u32::try_from(packet.size()).unwrap_or(u32::MAX),
                entry: entries.look(&packet),
                hidden: packet.is_hidden(),
            });
        }
    }
}

impl MediaInfo {
    /// Whether the container may have been cut and joined at any place, so that its clock jumps.
    pub fn may_jump(&self) -> bool {
        self.is_format("mpegts") || self.is_format("mpeg")
    }
}

/// How the keyframes of a stream tell whether they close it off from what was before.
pub(crate) enum Entries {
    /// By the types of their NAL units, each behind a length of so many bytes, or a start code.
    H264(Option<usize>),
    Hevc(Option<usize>),
    /// Keyframes refer to nothing and are referred past by nothing.
    Always,
    /// By what follows them: pictures shown before them.
    ByOrder,
}

impl Entries {
    pub(crate) fn of(demuxer: &Demuxer, stream: usize) -> Self {
        let Some(Ok(parameters)) = demuxer.parameters(stream) else { return Self::ByOrder };
        let extradata = parameters.extradata();
        // ISO/IEC 14496-15: the records begin with their version, 1; other data is a byte stream.
        let length = |at: usize| {
            let is_record = extradata.first() == Some(&1);
            extradata.get(at).filter(|_| is_record).map(|byte| usize::from(byte & 3) + 1)
        };
        match parameters.codec().as_str() {
            "h264" => Self::H264(length(4)),
            "hevc" => Self::Hevc(length(21)),
            "mpeg1video" | "mpeg2video" | "mpeg4" | "vc1" => Self::ByOrder,
            _ => Self::Always,
        }
    }

    fn look(&self, packet: &Packet) -> Entry {
        let is_closed = match self {
            _ if !packet.is_key() || self.is_gradual(packet) => return Entry::No,
            // IDR.
            Self::H264(length) => nal_units(packet.data(), *length).any(|unit| unit[0] & 0x1f == 5),
            // BLA and IDR; a CRA may have leading pictures that refer back.
            Self::Hevc(length) => {
                let mut kinds = nal_units(packet.data(), *length).map(|unit| (unit[0] >> 1) & 0x3f);
                kinds.any(|kind| (16..=20).contains(&kind))
            }
            Self::Always | Self::ByOrder => true,
        };
        if is_closed { Entry::Closed } else { Entry::Open }
    }

    /// Whether a keyframe only begins to refresh the picture, which is whole some frames later.
    pub(crate) fn is_gradual(&self, packet: &Packet) -> bool {
        let Self::H264(length) = self else { return false };
        let mut messages = nal_units(packet.data(), *length).filter(|unit| unit[0] & 0x1f == 6);
        messages.find_map(recovers_later).unwrap_or(false)
    }
}

/// Whether a unit of supplemental enhancement information holds a recovery point that lies some
/// frames ahead (ITU-T H.264, D.1.8).
fn recovers_later(unit: &[u8]) -> Option<bool> {
    const RECOVERY_POINT: usize = 6;
    let mut rest = unit.get(1..)?;
    loop {
        let [mut kind, mut size] = [0; 2];
        // Both are sums of bytes, the last of which is not 255.
        for sum in [&mut kind, &mut size] {
            let full = rest.iter().take_while(|byte| **byte == 0xff).count();
            *sum = 255 * full + usize::from(*rest.get(full)?);
            rest = rest.get(full + 1..)?;
        }
        if kind == RECOVERY_POINT {
            // The number of frames is an Exp-Golomb code, in which a first bit that is set means 0.
            return rest.first().map(|first| first & 0x80 == 0);
        }
        rest = rest.get(size..)?;
    }
}

/// Each NAL unit, from its first byte on; it may be followed by others.
fn nal_units(data: &[u8], length: Option<usize>) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let Some(length) = length else {
                let code = data.get(at..)?.windows(3).position(|window| window == [0, 0, 1])?;
                at += code + 3;
                return data.get(at..).filter(|unit| !unit.is_empty());
            };
            let size = data.get(at..at + length)?;
            let size = size.iter().fold(0, |all, byte| (all << 8) | usize::from(*byte));
            let unit = data.get(at + length..).filter(|unit| !unit.is_empty());
            at = at.checked_add(length)?.checked_add(size)?;
            if size > 0 {
                return unit;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nal_units_are_found_behind_lengths_and_start_codes() {
        let check = |data: &[u8], length: Option<usize>| {
            let first: Vec<_> = nal_units(data, length).map(|unit| unit[0]).collect();
            assert_eq!(first, [0x67, 0x65]);
        };
        check(&[0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x65], Some(4));
        check(&[0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 9], None);
        assert_eq!(nal_units(&[0xff, 0xff, 0xff, 0xff, 1], Some(4)).count(), 1);
        assert_eq!(nal_units(&[], None).count(), 0);
    }

    #[test]
    fn a_recovery_point_tells_whether_it_lies_ahead() {
        // 24 is coded as 000011001; a message of type 5 and one byte comes first.
        assert_eq!(recovers_later(&[6, 5, 1, 0xab, 6, 2, 0b0000_1100, 0b1100_0000]), Some(true));
        assert_eq!(recovers_later(&[6, 6, 1, 0b1100_0000]), Some(false));
        assert_eq!(recovers_later(&[6, 5, 1, 0xab, 0x80]), None);
        assert_eq!(recovers_later(&[6]), None);
    }
}
