//! Which packets a stream has: where they stand in time, and where decoding can begin.

use serde::{Deserialize, Serialize};

/// The packets of an input, found without decoding.
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
    /// Whether decoding times go back, as where a clock starts again or an edit list shows a piece of
    /// the media behind a later one, so that an instant is found only by reading from the first
    /// packet on; not part of the JSON.
    #[serde(skip)]
    pub goes_back: bool,
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
    pub entry: RandomAccess,
    /// Whether an edit list hides it.
    pub hidden: bool,
    /// Whether codec parameters change here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
}

/// Whether decoding can begin at a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RandomAccess {
    /// It needs others before it, or those after it do, as where a picture is refreshed bit by bit.
    #[serde(rename = "no")]
    None,
    /// It is a keyframe, and what follows may refer to what was before it, as in an open GOP.
    #[serde(rename = "open")]
    OpenGop,
    /// It is a keyframe, and nothing that follows refers to what was before it.
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
    /// Bytes of all packets.
    pub fn bytes(&self) -> u64 {
        self.packets.iter().map(|packet| u64::from(packet.bytes)).sum()
    }

    /// Whether codec parameters change anywhere on the way.
    pub fn changes(&self) -> bool {
        self.packets.iter().any(|packet| packet.changed)
    }

    /// The packets that are shown and have a time: the time, and the packet.
    pub fn shown(&self) -> impl DoubleEndedIterator<Item = (i64, &IndexedPacket)> {
        let shown = self.packets.iter().filter(|packet| !packet.hidden);
        shown.filter_map(|packet| Some((packet.pts?, packet)))
    }
}
