//! The recipe `storyboard`: sprite sheets of pictures of the whole input.

use std::num::NonZeroU32;

use avocet_model::{
    error::Result,
    plan::{Content, FramePick, Plan, Reason, Strategy},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};

use super::sampling::{Maker, Sampling, Slot, output};
use crate::{
    decide::{
        choose,
        context::CompileContext,
        limit::Largest,
        picture,
        select::{Need, Selection},
    },
    words::{
        format::Format,
        parameter::{ACCURACY, Accuracy, Kind, LENIENT, Parameter, Tracks},
    },
};

/// The number of pictures where neither a number nor a distance is given.
const USUAL_COUNT: u32 = 100;

/// Rows of one sprite, at most.
const ROWS: u32 = 10;

/// The widest sprite of any format, in pixels: what WebP holds.
pub(crate) const LONGEST_SIDE: u32 = Largest::of_picture(Format::Webp).width;

/// The parameters of `storyboard`.
pub(crate) const PARAMETERS: &[Parameter] = &[
    Parameter {
        name: "count",
        kind: Kind::Integer { least: 1, most: 10_000 },
        default: "100, without everySeconds",
        doc: "How many pictures to take, each from the middle of its part of the input",
    },
    Parameter {
        name: "everySeconds",
        kind: Kind::PositiveSeconds,
        default: "none",
        doc: "Interval between pictures in seconds, instead of count",
    },
    Parameter {
        name: "columns",
        kind: Kind::Integer { least: 1, most: 100 },
        default: "10",
        doc: "How many pictures are in a row of a sprite sheet, which has up to ten rows",
    },
    Parameter {
        name: "width",
        kind: Kind::Integer { least: 2, most: 4096 },
        default: "160",
        doc: "Width of one picture, in pixels; columns times width is at most 16383",
    },
    Parameter {
        name: "quality",
        kind: Kind::Integer { least: 1, most: 100 },
        default: "75",
        doc: "Quality of a jpg or webp; higher is higher quality and a larger file",
    },
    Parameter {
        default: "keyframe",
        doc: "Whether each picture is the frame in the middle of its part, or a keyframe near it, \
              which is faster; a part without one gets the frame in its middle",
        ..ACCURACY
    },
    LENIENT,
];

/// Pictures of the whole input, in sprites, with a WebVTT file that tells which one is when.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Storyboard {
    /// The number of pictures to take, 1 to 10,000; `None` is 100, or follows
    /// [`every_seconds`](Self::every_seconds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<NonZeroU32>,
    /// How much of the input each picture stands for, in seconds; finite, more than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<f64>,
    /// The number of pictures that stand side by side, 1 to 100; 10 by default.
    pub columns: NonZeroU32,
    /// Width of one picture, in pixels, 2 to 4096; 160 by default; an odd one is made even.
    pub width: NonZeroU32,
    /// Quality of a jpg or webp, a figure without a unit, 1 to 100; 75 by default; a png has none.
    pub quality: u8,
    /// Whether each picture is the frame in the middle of its part, or a keyframe near it, if any;
    /// the keyframe by default.
    pub accuracy: Accuracy,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl Default for Storyboard {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self {
            count: None,
            every_seconds: None,
            columns: number(10),
            width: number(160),
            quality: 75,
            accuracy: Accuracy::Keyframe,
            lenient: false,
        }
    }
}

impl Storyboard {
    pub(crate) fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let selection = Selection::of(context, format, Need::Video, Tracks::Best, None)?;
        let probed = selection.probed;
        let (stream, video) = choose::need_video(&probed.location, &probed.media)?;
        let sampling = match (self.every_seconds, self.count) {
            (Some(seconds), _) => Sampling::Every(seconds),
            (None, count) => Sampling::Count(count.map_or(USUAL_COUNT, NonZeroU32::get)),
        };
        let slots = with_length(sampling.slots(probed, 10_000)?);
        let shown = video.shown_size();
        let largest = Largest::of_picture(format);
        let wide = f64::from(picture::even(f64::from(self.width.get())).get());
        let wanted = (wide, shown.1 * wide / shown.0);
        let fitted = largest.fit(wanted);
        let size = if fitted == wanted {
            (picture::even(wanted.0), picture::even(wanted.1))
        } else {
            (picture::even_below(fitted.0), picture::even_below(fitted.1))
        };
        let capabilities = context.capabilities;
        let quality = self.quality;
        let maker = Maker { probed, stream, video, format, quality, size, capabilities };
        let across = size.0.get().saturating_mul(self.columns.get());
        let fits = |rows: &u32| largest.holds(across, size.1.get().saturating_mul(*rows));
        let rows = (1..=ROWS).rev().find(fits).unwrap_or(1);
        let whole = |number: u32| usize::try_from(number).unwrap_or(1);
        let (columns, rows) = (whole(self.columns.get()), whole(rows));
        let picks = maker.picks(&slots, self.accuracy);
        let because: Vec<Reason> =
            [choose::best()].into_iter().chain(largest.scaled_down(wanted, size)).collect();
        let mut outputs = Vec::new();
        for (number, picks) in picks.chunks(columns * rows).enumerate() {
            let name = format!("out_sprite_{}.{}", number + 1, format.extension());
            let sheet = maker.sheet(picks.to_vec(), self.columns, because.clone())?;
            let content = Content::SpriteSheet(Box::new(sheet));
            outputs.push(output(context, &name, outputs.len(), "image2pipe", content));
        }
        // With exact times each picture is the one in the middle of its part, and without an index
        // nobody knows yet which keyframe it will be.
        let zero = probed.media.start.map_or(0.0, Timestamp::seconds);
        let is_told = |pick: &&FramePick| self.accuracy == Accuracy::Keyframe && !pick.keyframe;
        let told = |pick| Some(pick).filter(is_told).map(|pick| pick.time.seconds() - zero);
        let shown: Vec<Option<f64>> = picks.iter().map(told).collect();
        let text = vtt(&slots, &shown, (columns, rows), size, format);
        let content = Content::Text(text);
        outputs.push(output(context, "out_vtt.vtt", outputs.len(), "webvtt", content));
        let mut plan = selection.plan(Strategy::Storyboard, Vec::new(), self.lenient);
        plan.notices.extend(maker.notice());
        plan.dropped.retain(|dropped| dropped.stream != stream.index);
        plan.seconds = plan.seconds.or(slots.last().map(|slot| slot.to));
        Ok(Plan { outputs, ..plan })
    }
}

/// Leaves out parts that begin and end in the same millisecond: cues count in milliseconds, and
/// `WebVTT` forbids one without a length. The parts beside them meet there, so no instant is
/// without a cue.
fn with_length(mut slots: Vec<Slot>) -> Vec<Slot> {
    let from = slots.first().map_or(0.0, |first| first.from);
    slots.retain(|slot| millis(slot.from) < millis(slot.to));
    if slots.is_empty() {
        // The whole input is shorter than a millisecond.
        slots.push(Slot::of_part(from, from + 0.001));
    }
    slots
}

/// The nearest whole number of milliseconds.
fn millis(seconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let millis = (seconds * 1000.0).round() as u64;
    millis
}

/// The `WebVTT` file: a cue for each part, with the place of its picture as a media fragment (W3C
/// `WebVTT`; `xywh` of W3C Media Fragments). Where the times of the pictures themselves are known in
/// `shown`, in seconds, the name of a cue tells them.
fn vtt(
    slots: &[Slot],
    shown: &[Option<f64>],
    (columns, rows): (usize, usize),
    (width, height): (NonZeroU32, NonZeroU32),
    format: Format,
) -> String {
    let time = |seconds: f64| {
        let millis = millis(seconds);
        let (minutes, millis) = (millis / 60_000, millis % 60_000);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        format!("{hours:02}:{minutes:02}:{:02}.{:03}", millis / 1000, millis % 1000)
    };
    let mut text = "WEBVTT\n".to_owned();
    for (number, slot) in slots.iter().enumerate() {
        let (sprite, place) = (number / (columns * rows), number % (columns * rows));
        let x = (place % columns) as u64 * u64::from(width.get());
        let y = (place / columns) as u64 * u64::from(height.get());
        let at =
            shown.get(number).copied().flatten().map(|at| format!("picture at {}\n", time(at)));
        text += &format!(
            "\n{}{} --> {}\nout_sprite_{}.{}#xywh={x},{y},{width},{height}\n",
            at.unwrap_or_default(),
            time(slot.from),
            time(slot.to),
            sprite + 1,
            format.extension(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_without_a_length_have_no_cue() {
        let parts = |length: f64, count: u32| {
            let at = |number: u32| length * f64::from(number) / f64::from(count);
            let slots = (0..count).map(|number| Slot::of_part(at(number), at(number + 1)));
            let slots = with_length(slots.collect());
            let is_whole = slots.windows(2).all(|two| millis(two[0].to) == millis(two[1].from));
            assert!(is_whole && millis(slots[0].from) == 0, "{length} {count}");
            (slots.len(), slots.last().map_or(0, |last| millis(last.to)))
        };
        assert_eq!(parts(0.04, 100), (40, 40));
        assert_eq!(parts(0.04, 40), (40, 40));
        assert_eq!(parts(0.0101, 100), (10, 10));
        assert_eq!(parts(60.0, 100), (100, 60_000));
        assert_eq!(parts(0.0003, 100), (1, 1));
    }

    #[test]
    fn cues_tell_when_and_where() {
        let slots = [Slot::of_part(0.0, 3599.9996), Slot::of_part(3600.0, 3661.5)];
        let side = |side| NonZeroU32::new(side).unwrap_or(NonZeroU32::MIN);
        assert_eq!(
            vtt(&slots, &[Some(1.25)], (1, 10), (side(160), side(90)), Format::Jpg),
            "WEBVTT\n\npicture at 00:00:01.250\n00:00:00.000 --> 01:00:00.000\nout_sprite_1.jpg#xywh=0,0,160,90\n\n\
             01:00:00.000 --> 01:01:01.500\nout_sprite_1.jpg#xywh=0,90,160,90\n"
        );
    }
}
