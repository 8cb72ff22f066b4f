//! Parameters of recipes: their names, kinds and meanings, and those that recipes share.

use serde::{Deserialize, Serialize};

use super::{codec::VideoCodec, tree::Tree};

/// One parameter of a recipe: a row of the table behind the check, the flags and the reference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Parameter {
    /// Its key in the document, in camelCase with the unit, as in `startSeconds`.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is absent: the value, or a few words.
    pub default: &'static str,
    /// What it is, with its unit; [`describe`](Self::describe) adds range and default.
    pub doc: &'static str,
}

impl Parameter {
    /// One sentence for help and reference: meaning, unit, range and default.
    pub fn describe(&self) -> String {
        format!("{}: {}; default: {}.", self.doc, self.kind.allowed(), self.default)
    }
}

/// The values that a parameter takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A finite number of seconds, 0 or more.
    Seconds,
    /// A finite number of seconds, more than 0.
    PositiveSeconds,
    /// An integer.
    Integer {
        /// The least it may be, in the unit of the parameter.
        least: u32,
        /// The most it may be, in the unit of the parameter.
        most: u32,
    },
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// A constant rate factor, whose range follows from the codec.
    Crf,
    /// A preset, whose form follows from the codec.
    Preset,
    /// Sections, each an object with `startSeconds` and `durationSeconds`, in ascending order and
    /// without overlap.
    Ranges,
}

impl Kind {
    /// Whether it is a time, or made of times.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::Seconds | Self::PositiveSeconds | Self::Ranges)
    }

    /// What is allowed, in one phrase.
    pub fn allowed(self) -> String {
        self.allowed_for(&VideoCodec::ALL)
    }

    /// What is allowed when the codec is one of those.
    pub(crate) fn allowed_for(self, codecs: &[VideoCodec]) -> String {
        match self {
            Self::Boolean => "true or false".to_owned(),
            Self::Seconds => "a finite number of seconds, 0 or more".to_owned(),
            Self::PositiveSeconds => "a finite number of seconds, more than 0".to_owned(),
            Self::Integer { least, most } => format!("an integer {least} to {most}"),
            Self::Choice(names) => one_of(names),
            Self::Ranges => {
                "an array of 1 to 1000 objects with `startSeconds` and `durationSeconds`, \
                             ascending and without overlap"
                    .to_owned()
            }
            Self::Crf => by_codec(codecs, |codec| integer_up_to(codec.largest_crf())),
            Self::Preset => by_codec(codecs, |codec| match codec.largest_preset() {
                None => one_of(&VideoCodec::PRESETS),
                Some(most) => integer_up_to(most),
            }),
        }
    }

    /// Whether a value is allowed when the codec is one of those.
    pub(crate) fn accepts(self, value: &Tree, codecs: &[VideoCodec]) -> bool {
        match (self, value) {
            (Self::Boolean, Tree::Boolean(_)) => true,
            (Self::Seconds, Tree::Number(number)) => number.as_f64().is_some_and(|s| s >= 0.0),
            (Self::PositiveSeconds, Tree::Number(number)) => {
                number.as_f64().is_some_and(|s| s > 0.0)
            }
            (Self::Integer { least, most }, Tree::Number(number)) => number
                .as_u64()
                .is_some_and(|whole| (u64::from(least)..=u64::from(most)).contains(&whole)),
            // What the items hold is checked one by one.
            (Self::Ranges, Tree::Array(items)) => (1..=1000).contains(&items.len()),
            (Self::Choice(names), Tree::Text(text)) => names.contains(&text.as_str()),
            (Self::Crf, Tree::Number(number)) => number.as_u64().is_some_and(|crf| {
                codecs.iter().any(|codec| crf <= u64::from(codec.largest_crf()))
            }),
            (Self::Preset, Tree::Number(number)) => number.as_u64().is_some_and(|preset| {
                let mut most = codecs.iter().filter_map(|codec| codec.largest_preset());
                most.any(|most| preset <= u64::from(most))
            }),
            (Self::Preset, Tree::Text(text)) => {
                VideoCodec::PRESETS.contains(&text.as_str())
                    && codecs.iter().any(|codec| codec.largest_preset().is_none())
            }
            _ => false,
        }
    }
}

/// The words, each in backticks.
pub(crate) fn one_of(names: &[&str]) -> String {
    let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() == 1 { list } else { format!("one of {list}") }
}

fn integer_up_to(most: u8) -> String {
    format!("an integer 0 to {most}")
}

/// What each codec allows; codecs that allow the same stand together.
fn by_codec(codecs: &[VideoCodec], allowed: impl Fn(VideoCodec) -> String) -> String {
    let mut phrases: Vec<(String, Vec<&str>)> = Vec::new();
    for &codec in codecs {
        let phrase = allowed(codec);
        match phrases.iter_mut().find(|(known, _)| *known == phrase) {
            Some((_, names)) => names.push(codec.name()),
            None => phrases.push((phrase, vec![codec.name()])),
        }
    }
    let phrases = phrases.iter().map(|(phrase, names)| format!("{phrase} ({})", names.join(", ")));
    phrases.collect::<Vec<_>>().join(", or ")
}

/// Which audio and text streams a recipe keeps.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Tracks {
    /// The best video and the default (else first) audio stream.
    #[default]
    Best,
    /// Every audio and text-subtitle stream that the container can hold.
    All,
}

impl Tracks {
    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::All => "all",
        }
    }
}

/// How closely a time is met.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Accuracy {
    /// To the frame.
    #[default]
    Exact,
    /// To the keyframe at or before it, which is faster.
    Keyframe,
}

impl Accuracy {
    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Keyframe => "keyframe",
        }
    }
}

pub(crate) const ACCURACY: Parameter = Parameter {
    name: "accuracy",
    kind: Kind::Choice(&["exact", "keyframe"]),
    default: "exact",
    doc: "Whether to use the exact frame, or the keyframe at or before it, which is faster",
};

/// The largest value is what H.264 allows at its highest level, 6.2, in High profile (ITU-T H.264,
/// tables ).
pub(crate) const BIT_RATE: Parameter = Parameter {
    name: "bitrateKbps",
    kind: Kind::Integer { least: 1, most: 1_000_000 },
    default: "none, crf decides",
    doc: "Average bit rate of the video in kbit/s (1000 bits), which overrides crf",
};

pub(crate) const CODEC: Parameter = Parameter {
    name: "codec",
    kind: Kind::Choice(&VideoCodec::NAMES),
    default: "vp9 in webm, h264 elsewhere",
    doc: "Codec of the video; mp4 holds h264, hevc and av1, mov h264 and hevc, webm vp9 and av1, mkv all",
};

/// The constant rate factor of recipes that always encode with x264.
pub(crate) const CRF: Parameter = Parameter {
    name: "crf",
    kind: Kind::Integer { least: 0, most: 51 },
    default: "23",
    doc: "Constant rate factor of the video; lower is higher quality and a larger file",
};

pub(crate) const DURATION: Parameter = Parameter {
    name: "durationSeconds",
    kind: Kind::PositiveSeconds,
    default: "to the end",
    doc: "How much to keep, in seconds",
};

pub(crate) const HEIGHT: Parameter = Parameter {
    name: "height",
    kind: SIDE,
    default: "none",
    doc: "Height of the box that the picture is fitted into, never enlarged, in pixels",
};

pub(crate) const LENIENT: Parameter = Parameter {
    name: "lenient",
    kind: Kind::Boolean,
    default: "false",
    doc: "Whether a damaged input gives a warning with the seconds lost instead of an error",
};

pub(crate) const PRESET: Parameter = Parameter {
    name: "preset",
    kind: Kind::Preset,
    default: "medium (h264, hevc), 4 (vp9), 8 (av1)",
    doc: "How much time the video encoder takes for a better result; a name or a number",
};

pub(crate) const SCALE_DOWN: Parameter = Parameter {
    name: "scaleDown",
    kind: Kind::Boolean,
    default: "false",
    doc: "Whether to fit the picture into 1280×720 pixels (720×1280 when it is taller than wide) \
          when no box is given",
};

pub(crate) const START: Parameter = Parameter {
    name: "startSeconds",
    kind: Kind::Seconds,
    default: "0",
    doc: "Where to begin, in seconds from the earliest presentation time of the input",
};

pub(crate) const TRACKS: Parameter = Parameter {
    name: "tracks",
    kind: Kind::Choice(&["best", "all"]),
    default: "best",
    doc: "Whether to keep the best streams, or every audio and text stream the container can hold",
};

pub(crate) const WIDTH: Parameter = Parameter {
    name: "width",
    kind: SIDE,
    default: "none",
    doc: "Width of the box that the picture is fitted into, never enlarged, in pixels",
};

/// A side of a picture, in pixels.
/// The longest side of a picture, in pixels.
pub(crate) const MAX_SIDE: u32 = 16_384;

const SIDE: Kind = Kind::Integer { least: 1, most: MAX_SIDE };

/// How a picture fills a size of another shape.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Fit {
    /// Stretched to the size, whatever its shape.
    #[default]
    Stretch,
    /// Scaled to fit as a whole, with black bars beside it.
    Contain,
    /// Scaled to cover the size, and cropped.
    Cover,
}

impl Fit {
    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stretch => "stretch",
            Self::Contain => "contain",
            Self::Cover => "cover",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_meaning_unit_range_and_default() {
        assert_eq!(
            CRF.describe(),
            "Constant rate factor of the video; lower is higher quality and a larger file: an \
             integer 0 to 51; default: 23."
        );
        assert_eq!(
            DURATION.describe(),
            "How much to keep, in seconds: a finite number of seconds, more than 0; default: to \
             the end."
        );
    }

    #[test]
    fn codecs_that_allow_the_same_stand_together() {
        assert_eq!(
            Kind::Crf.allowed(),
            "an integer 0 to 51 (h264, hevc), or an integer 0 to 63 (av1, vp9)"
        );
        assert_eq!(Kind::Preset.allowed_for(&[VideoCodec::Vp9]), "an integer 0 to 8 (vp9)");
    }
}
