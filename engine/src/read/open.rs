//! Inputs, opened as media.

use avocet_model::{
    error::{Error, Result},
    format::{movie, riff},
    location::Location,
    progress::CancelToken,
};

use crate::{
    io::{Source, Sources},
    libav::{Demuxer, Depth, Parameters, limits::Limits},
};

impl Sources {
    /// Opens an input by its location.
    pub(crate) fn demuxer(
        &self,
        location: &Location,
        depth: Depth,
        limits: Limits,
        cancel: &CancelToken,
    ) -> Result<Demuxer> {
        self.expect(location)?.demuxer(location, depth, limits, cancel)
    }

    /// Checks an input that the run does not demux itself against the limits, where there are any.
    pub(crate) fn expect_within(
        &self,
        limits: Limits,
        location: &Location,
        cancel: &CancelToken,
    ) -> Result<()> {
        if limits.are_set() {
            self.demuxer(location, Depth::Header, limits, cancel)?;
        }
        Ok(())
    }

    pub(crate) fn expect(&self, location: &Location) -> Result<Source> {
        let what = || format!("{location} was not given as a source");
        self.get(location).ok_or_else(|| Error::BadPlan { what: what() })
    }
}

impl Source {
    /// Opens the source as media; errors name it `location`.
    pub(crate) fn demuxer(
        &self,
        location: &Location,
        depth: Depth,
        limits: Limits,
        cancel: &CancelToken,
    ) -> Result<Demuxer> {
        let unreadable = |source| Error::Read { location: location.clone(), source };
        let open = || self.open(cancel).map_err(unreadable);
        let mut demuxer = match Demuxer::open(open()?, depth, limits, cancel) {
            Ok(demuxer) => demuxer,
            Err(fault) => {
                let error = fault.of_input(location);
                // Older releases of libav can not read HEIC, and take it for no media.
                let is_unknown = matches!(error, Error::NotMedia { .. });
                let still = if is_unknown { movie::still(&mut open()?) } else { Ok(None) };
                let Some(still) = still.map_err(unreadable)? else { return Err(error) };
                let found = format!("a HEIF image ({})", still.kind);
                return Err(Error::Unsupported { location: location.clone(), found });
            }
        };
        if demuxer.is_format("wav") {
            demuxer.stated = riff::stated_duration(&mut open()?).map_err(unreadable)?;
        }
        if demuxer.is_format("mov") && demuxer.overstates() {
            demuxer.ends = movie::ends(&mut open()?).map_err(unreadable)?;
        }
        limits.check_opened(location, &demuxer)?;
        Ok(demuxer)
    }
}

/// Codec parameters of a stream.
pub(crate) fn parameters_of(
    demuxer: &Demuxer,
    location: &Location,
    stream: usize,
) -> Result<Parameters> {
    let what = || format!("{location} has no stream {stream}");
    let parameters = demuxer.parameters(stream);
    parameters
        .ok_or_else(|| Error::BadPlan { what: what() })?
        .map_err(|_| Error::Exhausted { what: "memory" })
}
