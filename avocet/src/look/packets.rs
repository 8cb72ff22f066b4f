//! Packets as they are in a container.

use super::{Packets, Reading, Setup, setup_methods};
use crate::{Error, Input};
#[cfg(feature = "tokio")]
use avocet_engine::MediaPacket;

/// Packets of an input as they are in its container, read only, for those who index or inspect media:
/// nothing is decoded. By default those of all streams.
///
/// ```no_run
/// for packet in avocet::packets("holiday.mp4").streams([0]).iter()? {
///     let packet = packet?;
///     println!("{:?} {} bytes", packet.pts(), packet.data().len());
/// }
/// # Ok::<(), avocet::Error>(())
/// ```
pub fn packets(input: impl Into<Input>) -> PacketBuilder {
    PacketBuilder { setup: Setup::new(input.into()), streams: None }
}

/// Which packets are wanted; made by [`packets`].
#[derive(Clone, Debug)]
#[must_use = "nothing is read before `iter` or `stream` is called"]
pub struct PacketBuilder {
    setup: Setup,
    streams: Option<Vec<usize>>,
}

impl PacketBuilder {
    /// The numbers of the streams whose packets are wanted, from 0; by default all.
    pub fn streams(mut self, numbers: impl IntoIterator<Item = usize>) -> Self {
        self.streams = Some(numbers.into_iter().collect());
        self
    }

    setup_methods!();

    /// The packets one by one, read as they are asked for.
    ///
    /// # Errors
    /// [`Error::Engine`] when the input can not be read. Later errors come out of the iterator.
    #[expect(clippy::iter_not_returning_iterator, reason = "opening may fail")]
    pub fn iter(self) -> Result<Packets, Error> {
        let engine = self.setup.engine();
        let source = self.setup.open(&engine)?;
        Ok(Reading(engine.packets(&source, self.streams, &self.setup.cancel)?))
    }

    /// The packets as a stream on tokio, read on its threads for blocking work. Dropping the stream
    /// ends the reading.
    ///
    /// # Panics
    /// Outside of a tokio runtime, as every spawning function of tokio does.
    #[cfg(feature = "tokio")]
    pub fn stream(mut self) -> super::BlockingStream<MediaPacket> {
        super::BlockingStream::of(self.setup.child_token(), move || self.iter())
    }
}
