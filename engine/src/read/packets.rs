//! Packets as they are in a container, for those who index or inspect media.

use avocet_model::{
    error::{Error, Result, Step},
    location::Location,
    progress::CancelToken,
    time::{TimeBase, Timestamp},
};

use super::reader::libav;
use crate::{
    io::Source,
    libav::{Demuxer, Depth, Fault, Packet, limits::Limits},
};

/// Packets of an input, in the order of the container, which is that of decoding in each stream.
///
/// Made by [`Engine::packets`](crate::Engine::packets). After an error nothing follows.
pub struct Packets {
    demuxer: Demuxer,
    location: Location,
    /// Seconds per tick of each stream.
    bases: Vec<TimeBase>,
    /// The streams that are wanted, where not all are.
    streams: Option<Vec<usize>>,
    ended: bool,
}

impl std::fmt::Debug for Packets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packets({})", self.location)
    }
}

impl Packets {
    pub(crate) fn open(
        source: &Source,
        streams: Option<Vec<usize>>,
        limits: Limits,
        cancel: &CancelToken,
    ) -> Result<Self> {
        let location = source.location();
        let mut demuxer = source.demuxer(&location, Depth::Streams, limits, cancel)?;
        let bases = demuxer.media().streams.iter().map(|stream| stream.time_base).collect();
        if let Some(streams) = &streams {
            let count = demuxer.media().streams.len();
            if let Some(absent) = streams.iter().find(|number| **number >= count) {
                return Err(Error::Lacking {
                    location,
                    found: format!("{count} streams, numbered from 0"),
                    needed: format!("stream {absent}"),
                });
            }
            demuxer.keep_only(|number| streams.contains(&number));
        }
        Ok(Self { demuxer, location, bases, streams, ended: false })
    }

    fn wants(&self, stream: usize) -> bool {
        self.streams.as_ref().is_none_or(|streams| streams.contains(&stream))
    }
}

impl Iterator for Packets {
    type Item = Result<MediaPacket>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        // Packets that were read while libav looked at the input may be of other streams.
        let read = loop {
            match self.demuxer.read() {
                Ok(Some(packet)) if !self.wants(packet.stream()) => {}
                read => break read,
            }
        };
        match read {
            Ok(Some(packet)) => {
                let base = self.bases.get(packet.stream()).copied();
                let base = base.unwrap_or(TimeBase::MICROSECONDS);
                Some(Ok(MediaPacket { packet, base }))
            }
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(fault) => {
                self.ended = true;
                Some(Err(match fault {
                    Fault::Libav(source) => libav(Step::Demux, "demuxer", source),
                    fault => fault.of_input(&self.location),
                }))
            }
        }
    }
}

/// A packet of a stream, read only.
#[derive(Debug)]
pub struct MediaPacket {
    packet: Packet,
    base: TimeBase,
}

impl MediaPacket {
    /// Number of its stream, from 0.
    pub fn stream(&self) -> usize {
        self.packet.stream()
    }

    /// Presentation time (PTS), on the input's time line; `None` where the container states none.
    pub fn pts(&self) -> Option<Timestamp> {
        self.packet.pts().map(|ticks| Timestamp::new(ticks, self.base))
    }

    /// Decoding time (DTS), on the input's time line; `None` where the container states none.
    pub fn dts(&self) -> Option<Timestamp> {
        self.packet.dts().map(|ticks| Timestamp::new(ticks, self.base))
    }

    /// Duration, in seconds; 0 where it is not known.
    pub fn duration_seconds(&self) -> f64 {
        Timestamp::new(self.packet.duration(), self.base).seconds()
    }

    /// Whether it is marked as a keyframe.
    pub fn is_keyframe(&self) -> bool {
        self.packet.is_key()
    }

    /// Whether an edit list hides it: it is decoded for the sake of others, and not shown.
    pub fn is_hidden(&self) -> bool {
        self.packet.is_hidden()
    }

    /// Its bytes, as the codec has them.
    pub fn data(&self) -> &[u8] {
        self.packet.data()
    }
}
