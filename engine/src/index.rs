//! Which packets a stream has: where they stand in time, and where decoding can begin.

use serde::{Deserialize, Serialize};

use crate::{
    av::{Demuxer, Depth, Packet},
    error::{Error, Result},
    io::Source,
    media::MediaInfo,
    nal::{Framing, avc, hevc, units},
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
    /// By the types of their NAL units.
    Avc(Framing),
    Hevc(Framing),
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
        let framing = |at: usize| {
            let is_record = extradata.first() == Some(&1);
            let length = extradata.get(at).filter(|_| is_record);
            length.map_or(Framing::StartCodes, |byte| Framing::Lengths(usize::from(byte & 3) + 1))
        };
        match parameters.codec().as_str() {
            "h264" => Self::Avc(framing(4)),
            "hevc" => Self::Hevc(framing(21)),
            "mpeg1video" | "mpeg2video" | "mpeg4" | "vc1" => Self::ByOrder,
            _ => Self::Always,
        }
    }

    fn look(&self, packet: &Packet) -> Entry {
        let is_closed = match *self {
            _ if !packet.is_key() || self.is_gradual(packet) => return Entry::No,
            Self::Avc(framing) => {
                units(packet.data(), framing).any(|unit| avc::kind_of(unit) == avc::IDR)
            }
            Self::Hevc(framing) => {
                units(packet.data(), framing).any(|unit| hevc::is_closed(hevc::kind_of(unit)))
            }
            Self::Always | Self::ByOrder => true,
        };
        if is_closed { Entry::Closed } else { Entry::Open }
    }

    /// Whether a keyframe only begins to refresh the picture, which is whole some frames later.
    pub(crate) fn is_gradual(&self, packet: &Packet) -> bool {
        let Self::Avc(framing) = *self else { return false };
        let mut messages =
            units(packet.data(), framing).filter(|unit| avc::kind_of(unit) == avc::SEI);
        messages.find_map(avc::recovers_later).unwrap_or(false)
    }
}
