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
        container::Container,
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
        let natural = natural(&stream.codec, format, context);
        let container = match extension(context) {
            None => natural.unwrap_or(Container::Of(format)),
            Some(extension) => demanded(&extension, natural).ok_or_else(|| {
                Error::ExtensionRefused { extension, codec: stream.codec.clone() }
            })?,
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
fn natural(codec: &str, format: Format, context: &CompileContext<'_>) -> Option<Container> {
    // Where the user chose no name, an automatic name in `m4a` asks for AAC in M4A. It is made
    // before the codec is known.
    let is_m4a = !context.named && context.output.extension().as_deref() == Some("m4a");
    Some(match codec {
        "mp3" => Container::Of(Format::Mp3),
        "aac" if format == Format::M4a || is_m4a => Container::Of(Format::M4a),
        "aac" => Container::Of(Format::Aac),
        "opus" => Container::Opus,
        "vorbis" => Container::Ogg,
        "flac" => Container::Flac,
        codec if codec.starts_with("pcm_") => Container::Of(Format::Wav),
        _ => return None,
    })
}

/// The extension that the user chose, in lower case; `None` for an automatic name.
fn extension(context: &CompileContext<'_>) -> Option<String> {
    let extension = context.output.extension()?.to_ascii_lowercase();
    context.named.then_some(extension)
}

/// The container for an extension that the user chose. One that is no [`Format`] is allowed only
/// when it is that of the container which the codec of the source is copied into.
fn demanded(extension: &str, natural: Option<Container>) -> Option<Container> {
    match Format::from_extension(extension) {
        Some(format) if format.is_audio() => Some(Container::Of(format)),
        Some(_) => None,
        None => natural.filter(|natural| natural.name() == extension),
    }
}

fn with_extension(location: &Location, container: Container, named: bool) -> Location {
    if named { location.clone() } else { location.with_extension(container.name()) }
}
