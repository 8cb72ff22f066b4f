//! Which packets a stream has: where they stand in time, and where decoding can begin.

use serde::{Deserialize, Serialize};

/// The packets of an input, found without decoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index {
    /// The index of each stream, by the number of the stream.
    pub streams: Vec<StreamIndex>,
}

/// The packets of one stream, in order of decoding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamIndex {
    /// The packets, in decoding order.
    pub packets: Vec<IndexedPacket>,
    /// Whether decoding times (DTS) go back, as where a clock starts again, or an edit list shows a
    /// piece of the media after a later one. An instant is then found only by reading from the
    /// first packet on. Not part of the JSON.
    #[serde(skip)]
    pub goes_back: bool,
}

/// One packet of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexedPacket {
    /// Presentation time (PTS), in ticks of the stream; the decoding time (DTS) where the container
    /// states no other. `None` when it states neither.
    pub pts: Option<i64>,
    /// Duration, in ticks of the stream; 0 when it is not known.
    pub duration: i64,
    /// Size, in bytes.
    pub bytes: u32,
    /// Whether decoding can begin here.
    pub entry: RandomAccess,
    /// Whether an edit list hides the packet.
    pub hidden: bool,
    /// Whether codec parameters change here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
}

/// Whether decoding can begin at a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RandomAccess {
    /// Decoding can not begin here: the packet, or one after it, needs packets before it, as with
    /// gradual refresh.
    #[serde(rename = "no")]
    None,
    /// A keyframe of an open GOP: packets after it may refer to packets before it.
    #[serde(rename = "open")]
    OpenGop,
    /// A keyframe that no packet after it refers past.
    #[serde(rename = "closed")]
    ClosedGop,
}

impl Index {
    /// Number of packets, over all streams.
    pub fn packets(&self) -> usize {
        self.streams.iter().map(|stream| stream.packets.len()).sum()
    }
}

impl StreamIndex {
    /// The size of all packets, in bytes.
    pub fn bytes(&self) -> u64 {
        self.packets.iter().map(|packet| u64::from(packet.bytes)).sum()
    }

    /// Whether codec parameters change at any packet.
    pub fn changes(&self) -> bool {
        self.packets.iter().any(|packet| packet.changed)
    }

    /// The packets that no edit list hides and that have a PTS, with that PTS; in decoding order.
    pub fn shown(&self) -> impl DoubleEndedIterator<Item = (i64, &IndexedPacket)> {
        let shown = self.packets.iter().filter(|packet| !packet.hidden);
        shown.filter_map(|packet| Some((packet.pts?, packet)))
    }
}
