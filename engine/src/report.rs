//! The report of a run that succeeded.

use std::path::Path;

use serde::Serialize;

use avocet_model::{
    location::Location,
    media::MediaInfo,
    plan::{Plan, Reason, Strategy},
    time::Timestamp,
};

/// The report of a run that succeeded.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The way the goal was met.
    pub strategy: Strategy,
    /// The plan that met it. It is not the one that was handed in when that could not be carried
    /// out and named another: [`Plan::otherwise`] or [`Plan::if_parameters_change`].
    #[serde(skip)]
    pub plan: Plan,
    /// What was written, in the order of the plan.
    pub outputs: Vec<Written>,
    /// What the caller should know: the notices of the plan, and what the run met with.
    pub warnings: Vec<Reason>,
    /// How much time it took, and how much was read, encoded and written.
    pub stats: Stats,
}

/// One output that is in its place.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Written {
    /// Where it is.
    pub location: Location,
    /// Its size, in bytes.
    pub size_bytes: u64,
    /// What was found when it was read back.
    pub media: MediaInfo,
}

impl Written {
    /// Its path; `None` for what is in an object store or went to a writer.
    pub fn path(&self) -> Option<&Path> {
        match &self.location {
            Location::Path(path) => Some(path),
            Location::Url(_) | Location::Caller(_) => None,
        }
    }

    /// How long it is, in seconds; `None` for a picture, a text or a list of files.
    pub fn duration_seconds(&self) -> Option<f64> {
        self.media.duration.map(Timestamp::seconds)
    }
}

/// What a run took. Packets and frames are those of the plan that met the goal. All else is that of
/// the whole run, with plans that were given up.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Wall time, in seconds, from the start of the run until the outputs were in place.
    pub wall_seconds: f64,
    /// Packets read, over all tracks.
    pub packets_read: u64,
    /// Frames that decoders gave for the outputs, over all tracks; those that were decoded on the way to
    /// one are not counted.
    pub frames_decoded: u64,
    /// Frames encoded, over all tracks.
    pub frames_encoded: u64,
    /// Packets written, over all tracks.
    pub packets_written: u64,
    /// Frames of video encoded.
    pub video_frames_encoded: u64,
    /// Frames of video written, encoded or copied.
    pub video_frames_written: u64,
    /// Requests that were sent for remote inputs, from the probe on.
    pub requests: u64,
    /// Bytes that came for these requests.
    pub bytes_fetched: u64,
}
