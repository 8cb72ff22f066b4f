//! The recipe `thumbnail`: one frame as a picture.

use std::num::NonZeroU32;

use avocet_model::{
    error::Result,
    media::{Color, Disposition, Hdr, Projection, Tags, VideoInfo},
    plan::{
        Action, Encoder, FrameFormat, FramePick, Part, PictureFormat, Plan, Reason, Select,
        Strategy, StreamId, Track, TrackKind,
    },
    time::{Rational, Timestamp},
};
use serde::{Deserialize, Serialize};

use crate::{
    decide::{
        choose,
        context::{CompileContext, expect_encoder},
        limit::Largest,
        picture::{self, Target},
        select::{Need, Selection},
    },
    words::{
        format::Format,
        parameter::{ACCURACY, Accuracy, HEIGHT, Kind, LENIENT, Parameter, START, Tracks, WIDTH},
    },
};

/// The parameters of `thumbnail`.
pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "seekSeconds",
        doc: "When the frame is shown, in seconds from the earliest presentation time of the input",
        ..START
    },
    WIDTH,
    HEIGHT,
    Parameter {
        name: "quality",
        kind: Kind::Integer { least: 1, most: 100 },
        default: "90",
        doc: "Quality of a jpg or webp; higher is higher quality and a larger file",
    },
    ACCURACY,
    LENIENT,
];

/// Saves the frame that a player shows at a time.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Thumbnail {
    /// When the frame is on screen, in seconds from the earliest presented time; finite, 0 or
    /// more; 0 by default.
    pub seek_seconds: f64,
    /// Width of the box that the picture is fitted into, in pixels, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<NonZeroU32>,
    /// Height of the box that the picture is fitted into, in pixels, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<NonZeroU32>,
    /// Quality of a jpg or webp, a figure without a unit, 1 to 100; 90 by default; a png has none.
    pub quality: u8,
    /// Whether the time is met to the frame or at a keyframe.
    pub accuracy: Accuracy,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl Default for Thumbnail {
    fn default() -> Self {
        Self {
            seek_seconds: 0.0,
            width: None,
            height: None,
            quality: 90,
            accuracy: Accuracy::Exact,
            lenient: false,
        }
    }
}

impl Thumbnail {
    pub(crate) fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let need = Need::Picture;
        let selection = Selection::of(context, format, need, Tracks::Best, None)?;
        let media = &selection.probed.media;
        let (stream, video, notice) = choose::need_picture(&selection.probed.location, media)?;
        let wanted = picture::fit(video.shown_size(), self.width, self.height);
        let largest = Largest::of_picture(format);
        let fitted = largest.fit(wanted);
        let (width, height) = (picture::whole(fitted.0), picture::whole(fitted.1));
        let (encoder, pixel_format, color) = encoder_of(format, video);
        expect_encoder(context.capabilities, encoder)?;
        let tone_map = video.is_hdr();
        let target = Target {
            width,
            height,
            pixel_format: pixel_format.to_owned(),
            color: color.clone(),
            tone_map,
            frame: None,
            precise: true,
        };
        let (location, capabilities) = (&selection.probed.location, context.capabilities);
        let filters = picture::filters(location, stream, video, &target, capabilities)?;
        let start = media.start.map_or(0.0, Timestamp::seconds);
        let time = Timestamp::on_screen(start + self.seek_seconds, stream.time_base);
        let pick = FramePick {
            // Cover art is the same at any time.
            time: if stream.still { Timestamp::new(0, stream.time_base) } else { time },
            keyframe: self.accuracy == Accuracy::Keyframe,
            neighbors: filters.neighbors,
        };
        let mut because = vec![notice.clone().unwrap_or_else(choose::best)];
        because.extend(largest.scaled_down(wanted, (width, height)));
        if tone_map {
            because.push(Reason::new("HDR_TO_SDR", "pictures are shown in standard dynamic range"));
        }
        let track = Track {
            kind: TrackKind::Video,
            parts: vec![Part {
                source: Some(StreamId { input: 0, stream: stream.index }),
                origin: Timestamp::ZERO,
                select: Select::At(pick),
                filters: filters.text,
                copied: None,
                pad_filters: String::new(),
            }],
            action: Action::Encode(Box::new(Encoder {
                name: encoder.to_owned(),
                bit_rate: None,
                options: options(format, self.quality),
                keyframe_each_second: false,
                format: FrameFormat::Video(PictureFormat {
                    width,
                    height,
                    pixel_aspect: Rational::ONE,
                    pixel_format: pixel_format.to_owned(),
                    time_base: stream.time_base,
                    frame_rate: video.frame_rate,
                    color,
                    hdr: Hdr::default(),
                }),
            })),
            because,
            tag: None,
            disposition: Disposition::default(),
            tags: Tags::new(),
            projection: Projection::default(),
            at_most: None,
        };
        let mut plan = selection.plan(Strategy::Thumbnail, vec![track], self.lenient);
        plan.seconds = None;
        plan.notices.extend(notice);
        for output in &mut plan.outputs {
            output.tags = Tags::new();
        }
        Ok(plan)
    }
}

/// The encoder's own options for a quality of 1 to 100.
pub(crate) fn options(format: Format, quality: u8) -> Vec<(String, String)> {
    let option = |key: &str, value: String| (key.to_owned(), value);
    match format {
        Format::Png => Vec::new(),
        Format::Webp => vec![option("quality", quality.to_string())],
        // A quantizer from 1 for quality 100 to 21 for quality 1, in libav's units of lambda.
        _ => {
            let quantizer = 1 + (100 - u32::from(quality.min(100))) / 5;
            vec![
                option("flags", "+qscale".to_owned()),
                option("global_quality", (quantizer * 118).to_string()),
                option("qmin", "1".to_owned()),
            ]
        }
    }
}

/// The encoder of a picture format, the pixel format that it takes, and the colors of the result.
pub(crate) fn encoder_of(format: Format, video: &VideoInfo) -> (&'static str, &'static str, Color) {
    let alpha = video.pixel_format.as_ref().is_some_and(|pixels| pixels.alpha);
    // JFIF and WebP both mean BT.601; the first in full range, the second in limited.
    let bt601 = |range: &str| Color {
        range: Some(range.to_owned()),
        matrix: Some("smpte170m".to_owned()),
        primaries: None,
        transfer: None,
    };
    let rgb = Color { range: Some("pc".to_owned()), ..Color::default() };
    match (format, alpha) {
        (Format::Png, true) => ("png", "rgba", rgb),
        (Format::Png, false) => ("png", "rgb24", rgb),
        (Format::Webp, true) => ("libwebp", "yuva420p", bt601("tv")),
        (Format::Webp, false) => ("libwebp", "yuv420p", bt601("tv")),
        _ => ("mjpeg", "yuvj420p", bt601("pc")),
    }
}
