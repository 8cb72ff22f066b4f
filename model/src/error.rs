//! How a run fails: one enum, whose variants differ in the facts they carry.

use std::{fmt, io, path::PathBuf};

use serde::Serialize;

use crate::{location::Location, remote::RemoteError};

/// The result of a function that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The part of a run in which something failed, as the job API names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Step {
    /// The job document or the arguments were checked.
    Validate,
    /// A remote input was copied.
    Fetch,
    /// The input was probed.
    Probe,
    /// The plan was made.
    Plan,
    /// Decoders, filters, encoders and muxers were opened.
    Open,
    /// Packets were read.
    Demux,
    /// Packets were decoded.
    Decode,
    /// Frames were filtered.
    Filter,
    /// Frames were encoded.
    Encode,
    /// Packets were written.
    Mux,
    /// The written file was read back.
    Verify,
    /// The output was put in its place.
    Commit,
    /// The output was sent to a bucket.
    Upload,
}

impl Step {
    /// The name that the job API uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Fetch => "fetch",
            Self::Probe => "probe",
            Self::Plan => "plan",
            Self::Open => "open",
            Self::Demux => "demux",
            Self::Decode => "decode",
            Self::Filter => "filter",
            Self::Encode => "encode",
            Self::Mux => "mux",
            Self::Verify => "verify",
            Self::Commit => "commit",
            Self::Upload => "upload",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error that a function of libav returned, with the last error line that it logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", .log.as_ref().map(|log| format!(" ({log})")).unwrap_or_default())]
pub struct LibavError {
    /// The code, negative, as `AVERROR` makes it.
    pub code: i32,
    /// libav's own words for the code.
    pub message: String,
    /// The last error line that libav logged during the call, on this thread or on one of the
    /// codec's own; without addresses in memory.
    pub log: Option<String>,
}

/// Why a run, a probe or a read of frames failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input could not be opened or read.
    #[error("can not read {location}: {source}")]
    Read {
        /// The input.
        location: Location,
        /// What the system or the caller's reader answered.
        source: io::Error,
    },
    /// An input exists, but libav does not know it as media, or can not open it.
    #[error("{location} is not media that can be opened: {reason}")]
    NotMedia {
        /// The input.
        location: Location,
        /// What was found instead.
        reason: String,
    },
    /// An input lacks what the job needs of it.
    #[error("{location} has {found}; the job needs {needed}")]
    Lacking {
        /// The input.
        location: Location,
        /// What there is.
        found: String,
        /// What is needed.
        needed: String,
    },
    /// An input holds less than it promises, or too much of it can not be decoded.
    #[error("{location} is damaged or cut short: {what} ({lost:.3} s lost)")]
    Damaged {
        /// The input.
        location: Location,
        /// What is missing, with what was promised.
        what: String,
        /// How much of the media is lost, in seconds.
        lost: f64,
    },
    /// An input holds something that this build of libav does not turn into a right picture.
    #[error("{location} holds {found}, which this build can not decode correctly")]
    Unsupported {
        /// The input.
        location: Location,
        /// What it holds.
        found: String,
    },
    /// The written output differs from what was planned.
    #[error("the written output is incomplete: {what}")]
    Incomplete {
        /// What differs: found, and expected.
        what: String,
    },
    /// libav failed in the middle of the work.
    #[error("{component}: {source}")]
    Libav {
        /// The step of the run in which it failed.
        step: Step,
        /// The decoder, filter graph, encoder or muxer.
        component: String,
        /// The error that it returned.
        source: LibavError,
    },
    /// A component did not read one of our options, which libav itself would ignore silently.
    #[error("`{component}` has no option `{option}`")]
    UnknownOption {
        /// Name of the encoder, muxer or filter.
        component: String,
        /// Name of the option.
        option: String,
    },
    /// This build of libav, or of this program, lacks a component.
    #[error("there is no {kind} `{name}` in this build or on this machine{}", remedy(.kind))]
    Absent {
        /// Encoder, decoder, filter, muxer, or recipe.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A plan that contradicts itself, or asks for inputs that were not given.
    #[error("the plan can not be run: {what}")]
    BadPlan {
        /// The contradiction.
        what: String,
    },
    /// The output is one of the inputs: the same file by device and inode, or the same URL.
    #[error("the output {0} is also an input; choose another output")]
    OutputIsInput(Location),
    /// The output exists, and replacing it was not allowed.
    #[error("{} exists already and may not be replaced; choose another output", .0.display())]
    OutputExists(PathBuf),
    /// The output's name belongs to something that is no regular file.
    #[error("{} is {what}; an output must be a regular file or a new name", .path.display())]
    OutputRefused {
        /// The output.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// A frame was asked for at a time past the end of its stream.
    #[error("`{location}`: the last frame is at {last:.3} s; ask for a time before its end")]
    PastEnd {
        /// The input.
        location: Location,
        /// When the last frame is shown, in seconds from the start of the input.
        last: f64,
    },
    /// A location of a kind that this build does not open.
    #[error("`{location}` is refused: {allowed}")]
    LocationRefused {
        /// The location, without credentials and query.
        location: String,
        /// What is allowed instead.
        allowed: &'static str,
    },
    /// The size that was asked for is smaller or larger than an encoder takes.
    #[error("{codec} takes {allowed}, not {width}x{height}")]
    SizeRefused {
        /// Width that was asked for, made even, in pixels.
        width: u32,
        /// Height that was asked for, made even, in pixels.
        height: u32,
        /// Name of the codec.
        codec: &'static str,
        /// The limit that the size exceeds, as in `at most 16384x16384 pixels`.
        allowed: String,
    },
    /// The output's extension is none of a format for sound alone (`extractAudio`).
    #[error(
        "`.{extension}` is no format for sound alone ({codec}); allowed are .mp3, .aac, .m4a, .wav, .flac, .opus and .ogg"
    )]
    ExtensionRefused {
        /// The extension, without the dot.
        extension: String,
        /// The codec of the source.
        codec: String,
    },
    /// An argument for the `ffmpeg` program that is not on the list of safe ones.
    #[error("argument {index}, `{argument}`, is refused: {why}")]
    ArgumentRefused {
        /// Its place among the arguments, from 0; the number of arguments when no single one is at
        /// fault.
        index: usize,
        /// The first 80 characters of the argument, with `?` for control characters.
        argument: String,
        /// What is wrong with it, and what is allowed.
        why: String,
    },
    /// The `ffmpeg` program failed.
    #[error("the ffmpeg program {ended}{}", .line.as_ref().map(|line| format!(": {line}")).unwrap_or_default())]
    Program {
        /// How it ended, as in `ended with status 1`.
        ended: String,
        /// The last line that it wrote to standard error.
        line: Option<String>,
        /// The last 64 KiB that it wrote there.
        log: String,
    },
    /// An input is longer, or its pictures are larger, than the engine's settings allow.
    #[error("{location}: {found}, and the limit is {most}")]
    TooMuch {
        /// The input.
        location: Location,
        /// What the input has.
        found: String,
        /// The limit.
        most: String,
    },
    /// The run exceeded a limit of the engine's settings.
    #[error("{what} exceeded the limit of {limit} {unit}")]
    Limit {
        /// What is limited: memory, a file, or the space of a job.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The unit of the limit.
        unit: &'static str,
    },
    /// A run took longer than it may.
    #[error("the run exceeded its time limit of {seconds} s")]
    TimedOut {
        /// The limit, in seconds.
        seconds: f64,
    },
    /// A part of the sandbox could not be set up and the settings ask for all of it, or this system
    /// has no sandbox.
    #[error("the sandbox is not complete: {what}")]
    Unprotected {
        /// What is missing.
        what: String,
    },
    /// An output could not be written or put in its place.
    #[error("can not write {location}: {source}")]
    Write {
        /// The output.
        location: Location,
        /// What the system or the caller's writer answered.
        source: io::Error,
    },
    /// A run failed after outputs had been put in their places, and not all of that could be
    /// undone.
    #[error("{cause}; these files may differ from before the run: {}", shown(.left))]
    Unrestored {
        /// Why the run failed.
        cause: Box<Error>,
        /// What is not as it was before: outputs that are in their places, or may be, and the names
        /// at which files are kept that they replaced.
        left: Vec<Location>,
    },
    /// The output exceeded the size limit of its plan. The plan holds another plan for that case.
    #[error("the output exceeded its size limit at {bytes} bytes")]
    TooLarge {
        /// How much was written, in bytes.
        bytes: u64,
    },
    /// Codec parameters of a copied stream change in mid-stream. The plan holds another plan for
    /// that case where its container allows such changes.
    #[error("{what}, which a stream copy can not follow; encode it instead")]
    ParametersChange {
        /// What changes, and at which time.
        what: String,
    },
    /// A smart cut failed during the run. The plan holds another plan for that case.
    #[error("the smart cut failed: {what}")]
    SmartCutFailed {
        /// Why it failed.
        what: String,
    },
    /// Copied audio has holes or overlaps, which its container can not express. The plan holds
    /// another plan for that case where this libav has the encoder.
    #[error("the sound can not be copied: {what}")]
    NotContinuous {
        /// How much is missing or too much, and where.
        what: String,
    },
    /// The caller cancelled the run.
    #[error("cancelled")]
    Cancelled,
    /// A stage, or a callback of the caller, panicked.
    #[error("{stage} panicked: {message}")]
    Panicked {
        /// The thread or the callback.
        stage: String,
        /// The text of the panic.
        message: String,
    },
    /// The system refused a thread or memory.
    #[error("the system has no {what} left")]
    Exhausted {
        /// The resource.
        what: &'static str,
    },
}

impl Error {
    /// `cause`, as [`Unrestored`](Self::Unrestored) when `left` names anything that is not as
    /// before.
    pub fn with_leftovers(cause: Self, left: Vec<Location>) -> Self {
        if left.is_empty() {
            return cause;
        }
        Self::Unrestored { cause: Box::new(cause), left }
    }

    /// The stable code of the job API, as in `INPUT_INVALID`; it never changes once released.
    pub fn code(&self) -> &'static str {
        match self {
            // Reading fills the disk when a remote input is copied to this machine.
            Self::Read { source, .. } if is_full(source) => "STORAGE_ERROR",
            Self::Read { source, .. } => {
                RemoteError::of(source).map_or("INPUT_UNREACHABLE", RemoteError::code)
            }
            Self::Write { source, .. }
                if matches!(RemoteError::of(source), Some(RemoteError::Refused(_))) =>
            {
                "LOCATION_REFUSED"
            }
            Self::NotMedia { .. }
            | Self::Lacking { .. }
            | Self::PastEnd { .. }
            | Self::Damaged { .. }
            | Self::ParametersChange { .. }
            | Self::NotContinuous { .. } => "INPUT_INVALID",
            Self::Incomplete { .. } => "OUTPUT_INCOMPLETE",
            Self::Libav { .. } | Self::Program { .. } => "TRANSCODE_ERROR",
            Self::UnknownOption { .. }
            | Self::Absent { .. }
            | Self::Unsupported { .. }
            | Self::Unprotected { .. } => "CONFIG_ERROR",
            Self::ArgumentRefused { .. } => "UNSUPPORTED_COMMAND",
            Self::TimedOut { .. } => "ENGINE_INVOCATION_ERROR",
            Self::OutputIsInput(_)
            | Self::OutputExists(_)
            | Self::SizeRefused { .. }
            | Self::ExtensionRefused { .. } => "VALIDATION_ERROR",
            Self::LocationRefused { .. } => "LOCATION_REFUSED",
            Self::Unrestored { cause, .. } => cause.code(),
            Self::OutputRefused { .. } | Self::Write { .. } => "STORAGE_ERROR",
            Self::Cancelled => "CANCELLED",
            Self::Exhausted { .. } | Self::Limit { .. } | Self::TooMuch { .. } => "LIMIT_EXCEEDED",
            Self::BadPlan { .. }
            | Self::Panicked { .. }
            | Self::TooLarge { .. }
            | Self::SmartCutFailed { .. } => "ENGINE_ERROR",
        }
    }

    /// The end of what the `ffmpeg` program wrote to standard error, where it failed.
    pub fn log(&self) -> Option<&str> {
        match self {
            Self::Program { log, .. } => Some(log),
            _ => None,
        }
    }

    /// The part of the run that failed.
    pub fn step(&self) -> Step {
        match self {
            Self::Read { source, .. } if RemoteError::of(source).is_some() => Step::Fetch,
            Self::Write { source, .. } if RemoteError::of(source).is_some() => Step::Upload,
            Self::Read { .. } | Self::NotMedia { .. } | Self::TooMuch { .. } => Step::Probe,
            Self::Lacking { .. }
            | Self::PastEnd { .. }
            | Self::Unsupported { .. }
            | Self::BadPlan { .. } => Step::Plan,
            Self::Damaged { .. } | Self::ParametersChange { .. } => Step::Demux,
            Self::Incomplete { .. } => Step::Verify,
            Self::Libav { step, .. } => *step,
            Self::UnknownOption { .. }
            | Self::Absent { .. }
            | Self::Exhausted { .. }
            | Self::Unprotected { .. } => Step::Open,
            Self::Program { .. } | Self::Limit { .. } | Self::TimedOut { .. } => Step::Encode,
            Self::OutputIsInput(_)
            | Self::OutputExists(_)
            | Self::SizeRefused { .. }
            | Self::ExtensionRefused { .. }
            | Self::ArgumentRefused { .. }
            | Self::LocationRefused { .. } => Step::Validate,
            Self::Unrestored { cause, .. } => cause.step(),
            Self::OutputRefused { .. } | Self::Write { .. } => Step::Commit,
            Self::TooLarge { .. }
            | Self::SmartCutFailed { .. }
            | Self::NotContinuous { .. }
            | Self::Cancelled
            | Self::Panicked { .. } => Step::Mux,
        }
    }

    /// Whether the same job may succeed when it is simply tried again.
    ///
    /// A local file that is missing stays missing; a full disk may be cleared.
    pub fn retryable(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Unrestored { cause, .. } => cause.retryable(),
            Self::Read { source, .. } => {
                is_full(source) || RemoteError::of(source).is_some_and(RemoteError::retryable)
            }
            Self::Write { source, .. } => {
                let passes = [io::ErrorKind::Interrupted, io::ErrorKind::TimedOut];
                let of_remote = RemoteError::of(source).is_some_and(RemoteError::retryable);
                is_full(source) || passes.contains(&source.kind()) || of_remote
            }
            _ => false,
        }
    }
}

/// Locations, separated by commas.
fn shown(places: &[Location]) -> String {
    places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The advice for a component of a kind that is absent.
fn remedy(kind: &str) -> &'static str {
    match kind {
        "program" => "; install it",
        "encoder" | "decoder" | "filter" => "; `avocet capabilities` lists what there is",
        _ => "",
    }
}

/// Whether the error says that a disk or a quota is full.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_small_enough_to_travel_in_every_result() {
        assert!(size_of::<Error>() <= 128, "{}", size_of::<Error>());
    }

    #[test]
    fn a_full_disk_may_be_tried_again_and_a_missing_file_not() {
        let location = || Location::from("a.mp4");
        let full = Error::Write {
            location: location(),
            source: io::Error::from(io::ErrorKind::StorageFull),
        };
        let missing =
            Error::Read { location: location(), source: io::Error::from(io::ErrorKind::NotFound) };
        assert!(full.retryable() && !missing.retryable());
        assert_eq!(missing.code(), "INPUT_UNREACHABLE");
    }
}
