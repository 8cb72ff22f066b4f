//! Text becomes text of another form.

use super::{Outlet, Stage, Stop};
use crate::{
    av::{Packet, SubtitleCoder},
    error::{Error, LibavError, Step},
};

/// Decodes and encodes subtitles, one packet at a time.
pub(crate) struct Convert {
    coder: SubtitleCoder,
    name: String,
}

impl Convert {
    /// A stage over an open coder.
    pub(crate) fn new(coder: SubtitleCoder, name: &str) -> Self {
        Self { coder, name: name.to_owned() }
    }
}

impl Stage for Convert {
    type In = Packet;
    type Out = Packet;

    fn push(&mut self, packet: Packet, outlet: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        let failed = |source: LibavError| {
            let component = self.name.clone();
            Stop::Failed(Error::Libav { step: Step::Encode, component, source })
        };
        match self.coder.convert(&packet).map_err(failed)? {
            Some(converted) => outlet.send(converted),
            None => Ok(()),
        }
    }

    fn finish(&mut self, _: &mut dyn Outlet<Packet>) -> Result<(), Stop> {
        Ok(())
    }
}
