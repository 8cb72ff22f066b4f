//! The recipes by name: what each takes, and the values once they are read.

pub(crate) mod compress;
pub(crate) mod concat;
pub(crate) mod extract_audio;
pub(crate) mod proxy;
pub(crate) mod resize;
pub(crate) mod sampling;
pub(crate) mod storyboard;
pub(crate) mod thumbnail;
pub(crate) mod thumbnails;
pub(crate) mod transcode;
pub(crate) mod trim;
pub(crate) mod web_ready;

use serde::{Deserialize, Serialize};

use crate::words::{format::Format, parameter::Parameter};
use compress::Compress;
use concat::Concat;
use extract_audio::ExtractAudio;
use proxy::Proxy;
use resize::Resize;
use storyboard::Storyboard;
use thumbnail::Thumbnail;
use transcode::Transcode;
use trim::Trim;
use web_ready::WebReady;

/// A recipe with its parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "name", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Recipe {
    /// Plays in every browser.
    WebReady(WebReady),
    /// Encoded for scrubbing.
    Proxy(Proxy),
    /// Smaller.
    Compress(Compress),
    /// In another format.
    Transcode(Transcode),
    /// In another size.
    Resize(Resize),
    /// A part of the input.
    Trim(Trim),
    /// The first audio stream alone.
    ExtractAudio(ExtractAudio),
    /// One frame as a picture.
    Thumbnail(Thumbnail),
    /// Frames of the whole input in sprites.
    Storyboard(Storyboard),
    /// Inputs one after another.
    Concat(Concat),
}

impl Recipe {
    /// Which one it is.
    pub const fn name(&self) -> RecipeName {
        match self {
            Self::WebReady(_) => RecipeName::WebReady,
            Self::Proxy(_) => RecipeName::Proxy,
            Self::Compress(_) => RecipeName::Compress,
            Self::Transcode(_) => RecipeName::Transcode,
            Self::Resize(_) => RecipeName::Resize,
            Self::Trim(_) => RecipeName::Trim,
            Self::ExtractAudio(_) => RecipeName::ExtractAudio,
            Self::Thumbnail(_) => RecipeName::Thumbnail,
            Self::Storyboard(_) => RecipeName::Storyboard,
            Self::Concat(_) => RecipeName::Concat,
        }
    }
}

/// One of the recipes, without its parameters.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum RecipeName {
    /// `webReady`
    WebReady,
    /// `proxy`
    Proxy,
    /// `compress`
    Compress,
    /// `transcode`
    Transcode,
    /// `resize`
    Resize,
    /// `trim`
    Trim,
    /// `extractAudio`
    ExtractAudio,
    /// `thumbnail`
    Thumbnail,
    /// `storyboard`
    Storyboard,
    /// `concat`
    Concat,
}

impl RecipeName {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 10] = [
        Self::WebReady,
        Self::Proxy,
        Self::Compress,
        Self::Transcode,
        Self::Resize,
        Self::Trim,
        Self::ExtractAudio,
        Self::Thumbnail,
        Self::Storyboard,
        Self::Concat,
    ];

    /// The recipe of that name in a document, where names are exact.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|recipe| recipe.name() == name)
    }

    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WebReady => "webReady",
            Self::Proxy => "proxy",
            Self::Compress => "compress",
            Self::Transcode => "transcode",
            Self::Resize => "resize",
            Self::Trim => "trim",
            Self::ExtractAudio => "extractAudio",
            Self::Thumbnail => "thumbnail",
            Self::Storyboard => "storyboard",
            Self::Concat => "concat",
        }
    }

    /// What it does, in one sentence.
    pub const fn summary(self) -> &'static str {
        match self {
            Self::WebReady => {
                "Makes an MP4 that plays in every browser, with as little work as possible."
            }
            Self::Proxy => "Encodes an H.264 MP4 that an editor can scrub through.",
            Self::Compress => "Makes the file smaller.",
            Self::Transcode => {
                "Converts the media to another format, copying the streams that the format can \
                 hold."
            }
            Self::Resize => "Scales the picture to a size.",
            Self::Trim => "Keeps one part of the media, exact to the frame and the sample.",
            Self::ExtractAudio => {
                "Extracts the first audio stream, copied where a file can hold it."
            }
            Self::Thumbnail => "Saves the frame that a player shows at a time as a picture.",
            Self::Storyboard => {
                "Saves pictures of the whole input in sprite sheets, with WebVTT that tells when \
                 each is shown."
            }
            Self::Concat => "Joins two or more inputs, copying where they agree.",
        }
    }

    /// Every parameter that it takes beside its name.
    pub const fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::WebReady => web_ready::PARAMETERS,
            Self::Proxy => proxy::PARAMETERS,
            Self::Compress => compress::PARAMETERS,
            Self::Transcode => transcode::PARAMETERS,
            Self::Resize => resize::PARAMETERS,
            Self::Trim => trim::PARAMETERS,
            Self::ExtractAudio => extract_audio::PARAMETERS,
            Self::Thumbnail => thumbnail::PARAMETERS,
            Self::Storyboard => storyboard::PARAMETERS,
            Self::Concat => concat::PARAMETERS,
        }
    }

    /// Whether it makes several files, in a folder.
    pub const fn makes_several(self) -> bool {
        matches!(self, Self::Storyboard)
    }

    /// The formats that it makes. A document for `extractAudio` may name any other format, too,
    /// which then means mp3.
    pub const fn formats(self) -> &'static [Format] {
        match self {
            Self::WebReady | Self::Proxy => &[Format::Mp4],
            Self::Compress | Self::Resize => &[Format::Mp4, Format::Webm, Format::Mov, Format::Mkv],
            Self::Transcode | Self::Trim | Self::Concat => &[
                Format::Mp4,
                Format::Webm,
                Format::Mov,
                Format::Mkv,
                Format::Mp3,
                Format::Aac,
                Format::Wav,
                Format::M4a,
                Format::Flac,
                Format::Opus,
                Format::Ogg,
            ],
            Self::ExtractAudio => &[
                Format::Mp3,
                Format::Aac,
                Format::Wav,
                Format::M4a,
                Format::Flac,
                Format::Opus,
                Format::Ogg,
            ],
            Self::Thumbnail | Self::Storyboard => &[Format::Jpg, Format::Png, Format::Webp],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::parameter::Kind;
    use crate::words::tree::Tree;

    /// The recipe read from its parameters, as JSON again.
    fn read(name: RecipeName, parameters: &str) -> Result<Tree, String> {
        let text = format!(r#"{{"name":"{}"{parameters}}}"#, name.name());
        let recipe: Recipe = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        assert_eq!(recipe.name(), name);
        let text = serde_json::to_string(&recipe).map_err(|error| error.to_string())?;
        Tree::read(&text).map_err(|error| error.to_string())
    }

    /// A value of the kind, as JSON.
    fn example(kind: Kind) -> Vec<String> {
        match kind {
            Kind::Boolean => vec!["true".to_owned()],
            Kind::Seconds | Kind::PositiveSeconds => vec!["1.5".to_owned()],
            Kind::Integer { least, most } => vec![least.to_string(), most.to_string()],
            Kind::Choice(names) => names.iter().map(|name| format!("\"{name}\"")).collect(),
            Kind::Ranges => {
                vec![r#"[{"startSeconds":0.5,"durationSeconds":1.5}]"#.to_owned()]
            }
            Kind::Crf => vec!["0".to_owned(), "63".to_owned()],
            Kind::Preset => vec!["\"slow\"".to_owned(), "13".to_owned()],
        }
    }

    #[test]
    fn every_parameter_is_a_field_and_the_reverse() -> Result<(), String> {
        for recipe in RecipeName::ALL {
            let mut given = 1;
            let mut all = String::new();
            for parameter in recipe.parameters() {
                if parameter.name == "stageInput" {
                    continue; // The job itself has the field.
                }
                let mut last = String::new();
                for value in example(parameter.kind) {
                    last = format!(",\"{}\":{value}", parameter.name);
                    let tree = read(recipe, &last)?;
                    assert_eq!(tree.field(parameter.name).map(Tree::to_string), Some(value));
                }
                all += &last;
                given += 1;
            }
            let Tree::Object(fields) = read(recipe, &all)? else { return Err(all) };
            assert_eq!(fields.len(), given, "{}: {fields:?}", recipe.name());
            assert!(read(recipe, ",\"unknown\":1").is_err());
        }
        Ok(())
    }

    #[test]
    fn defaults_are_those_of_the_tables() -> Result<(), String> {
        for recipe in RecipeName::ALL {
            let tree = read(recipe, "")?;
            for parameter in recipe.parameters() {
                if let Some(value) = tree.field(parameter.name) {
                    let value = value.to_string();
                    assert_eq!(value.trim_matches('"'), parameter.default, "{}", parameter.name);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn names_are_their_own() {
        for recipe in RecipeName::ALL {
            assert_eq!(RecipeName::from_name(recipe.name()), Some(recipe));
            assert!(recipe.summary().ends_with('.'));
            let mut names: Vec<&str> = recipe.parameters().iter().map(|each| each.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), recipe.parameters().len(), "{}", recipe.name());
        }
        assert_eq!(RecipeName::from_name("webready"), None);
    }
}
