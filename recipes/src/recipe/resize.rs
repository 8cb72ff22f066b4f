//! The recipe `resize`: scales the picture to another size.

use std::num::NonZeroU32;

use avocet_model::{
    error::{Error, Result},
    media::VideoInfo,
    plan::{Plan, Reason, Strategy, Track},
};
use serde::{Deserialize, Serialize};

use crate::{
    decide::{
        context::CompileContext,
        copyable::{self, Holds},
        picture,
        select::{Need, Selection, Source},
        sound,
        video::{self, Settings, Size},
    },
    words::{
        codec::VideoCodec,
        format::Format,
        parameter::{Fit, HEIGHT, Kind, LENIENT, Parameter, TRACKS, Tracks, WIDTH},
    },
};

/// The parameters of `resize`; `width`, `height` or both are given.
pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter {
        default: "follows from height and the aspect ratio of the source",
        doc: "Width of the result in pixels, rounded to an even number",
        ..WIDTH
    },
    Parameter {
        default: "follows from width and the aspect ratio of the source",
        doc: "Height of the result in pixels, rounded to an even number",
        ..HEIGHT
    },
    Parameter {
        name: "fit",
        kind: Kind::Choice(&["stretch", "contain", "cover"]),
        default: "stretch",
        doc: "How the picture fills width and height where both are given: stretched, padded or \
              cropped",
    },
    TRACKS,
    LENIENT,
];

/// Scales the picture; a side left out follows the shape of the source.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resize {
    /// Width of the result, in pixels, 1 to 16,384; one of the sides is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<NonZeroU32>,
    /// Height of the result, in pixels, 1 to 16,384; one of the sides is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<NonZeroU32>,
    /// How the picture fills the size when both sides are given.
    pub fit: Fit,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl Resize {
    pub(crate) fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let selection = Selection::of(context, format, Need::Video, self.tracks, None)?;
        let mut tracks = Vec::new();
        if let Some(source) = &selection.video {
            tracks.push(self.video(source, format, context)?);
        }
        for source in &selection.audios {
            tracks.push(match copyable::audio(source, format, Holds::Common, context) {
                Ok(because) => sound::copy(source, None, vec![because]),
                Err(why) => {
                    let settings = sound::Settings::usual(format);
                    sound::encode(source, format, settings, vec![why], context)?
                }
            });
        }
        Ok(selection.plan(Strategy::Encode, tracks, self.lenient))
    }

    fn video(
        &self,
        source: &Source<'_, VideoInfo>,
        format: Format,
        context: &CompileContext<'_>,
    ) -> Result<Track> {
        let (shown_width, shown_height) = source.info.shown_size();
        let asked = |side: NonZeroU32| f64::from(side.get());
        let (width, height) = match (self.width, self.height) {
            (Some(width), Some(height)) => (asked(width), asked(height)),
            (Some(width), None) => (asked(width), asked(width) * shown_height / shown_width),
            (None, Some(height)) => (asked(height) * shown_width / shown_height, asked(height)),
            (None, None) => {
                return Err(Error::BadPlan {
                    what: "`resize` needs `width`, `height` or both".to_owned(),
                });
            }
        };
        let (even_width, even_height) = (picture::even(width), picture::even(height));
        let side = |name: &str, side: Option<NonZeroU32>| side.map(|side| format!("{name} {side}"));
        let sides = [side("width", self.width), side("height", self.height)];
        let asked = sides.into_iter().flatten().collect::<Vec<_>>().join(" and ");
        let mut because = vec![Reason::new("SIZE_ASKED_FOR", format!("{asked} was asked for"))];
        let is_other = |side: f64, made: NonZeroU32| (side - f64::from(made.get())).abs() > 1e-9;
        if is_other(width, even_width) || is_other(height, even_height) {
            let message = format!(
                "sides are even, so {width:.2}x{height:.2} becomes {even_width}x{even_height}"
            );
            because.push(Reason::new("SIZE_MADE_EVEN", message));
        }
        let capabilities = context.capabilities;
        let (codec, why) = VideoCodec::like_source(&source.stream.codec, format, capabilities);
        because.extend(why);
        let size = Size::Exactly { width: even_width, height: even_height, fit: self.fit };
        let settings = Settings { size, ..Settings::usual(codec) };
        video::encode(source, &settings, because, context)
    }
}
