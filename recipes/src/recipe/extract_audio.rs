//! The recipe `extractAudio`: the first audio stream alone.

use avocet_model::{
    error::{Error, Result},
    location::Location,
    plan::{Action, Plan, Strategy},
};
use serde::{Deserialize, Serialize};

use crate::{
    decide::{
        choose,
        context::CompileContext,
        copyable::Holds,
        cut::Section,
        select::{Need, Selection},
        sound,
    },
    words::{
        format::Format,
        parameter::{DURATION, Kind, LENIENT, Parameter, START, Tracks},
    },
};

/// The parameters of `extractAudio`; `stageInput` is read as if it stood beside the recipe.
pub(crate) const PARAMETERS: &[Parameter] = &[
    START,
    DURATION,
    Parameter {
        name: "stageInput",
        kind: Kind::Boolean,
        default: "the planner chooses",
        doc: "Whether a remote input is fetched whole before the run, instead of by ranges",
    },
    LENIENT,
];

/// Takes out the first audio stream.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ExtractAudio {
    /// Where to begin, in seconds from the earliest presented time; finite, 0 or more, by default
    /// 0.
    pub start_seconds: f64,
    /// How much to keep, in seconds; finite, more than 0; `None` is to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl ExtractAudio {
    pub(crate) fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let probed = context.input()?;
        let section = Section::of(probed, self.start_seconds, self.duration_seconds)?;
        let (stream, _) = choose::first_audio(&probed.location, &probed.media)?;
        // A valid format that is not one of audio means mp3.
        let format = if format.is_audio() { format } else { Format::Mp3 };
        let container = match extension(context) {
            // A writer has no name, and was given with its format.
            None if context.named && matches!(context.output, Location::Caller(_)) => format,
            None => natural(&stream.codec, format, context).unwrap_or(format),
            Some(extension) => match Format::from_extension(&extension) {
                Some(format) if format.is_audio() => format,
                _ => {
                    return Err(Error::ExtensionRefused { extension, codec: stream.codec.clone() });
                }
            },
        };
        let context = &CompileContext {
            output: with_extension(&context.output, container, context.named),
            ..context.clone()
        };
        let selection = Selection::of(context, container, Need::FirstAudio, Tracks::Best, section)?;
        let source = selection.audio().ok_or_else(|| {
            choose::lacking(&probed.location, &probed.media, "audio in the section")
        })?;
        let mut notices = Vec::new();
        let track = sound::cut(source, container, Holds::Common, &mut notices, context)?;
        let copies = track.action == Action::Copy;
        let strategy = if copies { Strategy::Copy } else { Strategy::Encode };
        let mut plan = selection.plan(strategy, vec![track], self.lenient);
        plan.notices.append(&mut notices);
        Ok(plan)
    }
}

/// The container that a codec is copied into; `None` when there is none.
fn natural(codec: &str, format: Format, context: &CompileContext<'_>) -> Option<Format> {
    // Where the user chose no name, an automatic name in `m4a` asks for AAC in M4A. It is made
    // before the codec is known.
    let is_m4a = !context.named && context.output.extension().as_deref() == Some("m4a");
    Some(match codec {
        "mp3" => Format::Mp3,
        "aac" if format == Format::M4a || is_m4a => Format::M4a,
        "aac" => Format::Aac,
        "opus" => Format::Opus,
        "vorbis" => Format::Ogg,
        "flac" => Format::Flac,
        codec if codec.starts_with("pcm_") => Format::Wav,
        _ => return None,
    })
}

/// The extension that the user chose, in lower case; `None` for an automatic name.
fn extension(context: &CompileContext<'_>) -> Option<String> {
    let extension = context.output.extension()?.to_ascii_lowercase();
    context.named.then_some(extension)
}

fn with_extension(location: &Location, container: Format, named: bool) -> Location {
    if named { location.clone() } else { location.with_extension(container.name()) }
}
