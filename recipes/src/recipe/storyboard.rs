//! Many pictures of one input: the recipe `storyboard`, and thumbnails beside each other.

use std::num::NonZeroU32;

use avocet_model::{
    capabilities::Capabilities,
    error::Result,
    index::RandomAccess,
    media::{Hdr, StreamInfo, Tags, VideoInfo},
    plan::{
        Content, Encoder, FrameFormat, FramePick, Output, PictureFormat, Plan, Reason, SpriteSheet,
        Strategy, StreamId,
    },
    time::{Rational, Timestamp},
};
use serde::{Deserialize, Serialize};

use super::thumbnail::{encoder_of, options};
use crate::{
    decide::{
        choose,
        container::Container,
        context::{CompileContext, Probed, expect_encoder},
        limit::Largest,
        picture::{self, Target},
        select::{Need, Selection},
    },
    words::{
        format::Format,
        parameter::{Accuracy, Kind, LENIENT, Parameter, Tracks},
    },
};

/// Pictures where nothing is said.
const USUAL_COUNT: u32 = 100;

/// Rows of one sprite, at most.
const ROWS: u32 = 10;

/// The widest sprite of any format, in pixels: what WebP holds.
pub(crate) const LONGEST_SIDE: u32 = Largest::of_picture(Format::Webp).width;

/// How far apart pictures are, at least, for keyframes to do where nobody knows where those stand,
/// in seconds: few encoders leave more between them.
const USUAL_GROUP: f64 = 10.0;

/// What `storyboard` takes.
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
        doc: "How much of the input each picture stands for, in seconds, in the place of count",
    },
    Parameter {
        name: "columns",
        kind: Kind::Integer { least: 1, most: 100 },
        default: "10",
        doc: "How many pictures stand side by side in a sprite, which has up to ten rows",
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
            lenient: false,
        }
    }
}

/// Pictures of the whole input, each in a file of its own.
///
/// They are made by [`compile`](Self::compile) alone: a job document has one output, or keys for
/// each.
#[derive(Clone, Debug, PartialEq)]
pub struct Thumbnails {
    /// How the pictures are spread.
    pub spread: Sampling,
    /// Width of the box that each is fitted into, in pixels.
    pub width: Option<NonZeroU32>,
    /// Height of the box that each is fitted into, in pixels.
    pub height: Option<NonZeroU32>,
    /// Quality of a jpg or webp, a figure without a unit, 1 to 100; a png has none.
    pub quality: u8,
    /// Whether times are met to the frame, or by keyframes where those are close enough.
    pub accuracy: Accuracy,
    /// The beginning of the files' names, as in `clip` for `clip-0001.jpg`.
    pub stem: String,
}

/// How pictures are spread over an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// So many, each in the middle of its part.
    Count(NonZeroU32),
    /// One for so many seconds: finite, more than 0.
    Every(f64),
}

/// The most files of [`Thumbnails`]: each is open until all are written.
pub const MAX_THUMBNAILS: usize = 500;

/// A part of an input that one picture stands for, in seconds from its start.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slot {
    from: f64,
    to: f64,
}

impl Sampling {
    fn slots(self, probed: &Probed, most: usize) -> Result<Vec<Slot>> {
        let zero = probed.media.start.map_or(0.0, Timestamp::seconds);
        // A last picture may have no length of its own, and is the only one of some inputs.
        let least = if probed.index.is_some() { 0.001 } else { 0.0 };
        let length = probed.end().map_or(0.0, |end| (end - zero).max(least));
        let lacking = |found: String, needed: &str| avocet_model::error::Error::Lacking {
            location: probed.location.clone(),
            found,
            needed: needed.to_owned(),
        };
        if length <= 0.0 {
            let needed = "a known duration to spread pictures over";
            return Err(lacking("media of unknown duration".to_owned(), needed));
        }
        let (count, step) = match self {
            Self::Count(count) => (f64::from(count.get()), length / f64::from(count.get())),
            // A rest of less than a tenth of a part belongs to the last one.
            Self::Every(step) => (((length / step) - 0.1).ceil().max(1.0), step),
        };
        if count > most as f64 {
            let found = format!("{length:.3} s of media, {count:.0} pictures");
            return Err(lacking(found, &format!("at most {most} pictures")));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded above"
        )]
        let count = count as u32;
        let at = |number: u32| if number == count { length } else { f64::from(number) * step };
        Ok((0..count).map(|number| Slot { from: at(number), to: at(number + 1) }).collect())
    }
}

/// What all pictures of a plan are made with.
struct Maker<'a> {
    probed: &'a Probed,
    stream: &'a StreamInfo,
    video: &'a VideoInfo,
    format: Format,
    quality: u8,
    /// Size of one picture, in pixels.
    size: (NonZeroU32, NonZeroU32),
    capabilities: &'a Capabilities,
}

impl Maker<'_> {
    /// When pictures are taken: at the keyframe that is nearest to the middle of a part, not after
    /// the part, and no further before its middle than it is long; exactly in the middle where there
    /// is none that no picture shows yet, and where times are met to the frame.
    fn picks(&self, slots: &[Slot], accuracy: Accuracy) -> Vec<FramePick> {
        let at = |seconds| Timestamp::on_screen(seconds, self.stream.time_base);
        let zero = self.probed.media.start.map_or(0.0, Timestamp::seconds);
        let neighbors = self.neighbors();
        if accuracy == Accuracy::Exact {
            let middle = |slot: &Slot| at(zero + f64::midpoint(slot.from, slot.to));
            let pick = |slot| FramePick { time: middle(slot), keyframe: false, neighbors };
            return slots.iter().map(pick).collect();
        }
        let index = self.probed.index.as_ref();
        let index = index.and_then(|index| index.streams.get(self.stream.index));
        let keys = index.map(|index| {
            let keys = index.shown().filter(|(_, packet)| packet.entry != RandomAccess::None);
            let mut keys: Vec<i64> = keys.map(|(pts, _)| pts).collect();
            keys.sort_unstable();
            keys
        });
        let mut last = None;
        let pick = |slot: &Slot| {
            let middle = at(zero + f64::midpoint(slot.from, slot.to));
            let reach = at(slot.to - slot.from).ticks;
            let until = at(zero + slot.to).ticks;
            let near = keys.as_ref().and_then(|keys| {
                let from =
                    keys.partition_point(|key| Some(*key) <= last || *key < middle.ticks - reach);
                let to = keys.partition_point(|key| *key < until);
                keys.get(from..to)?.iter().min_by_key(|key| (**key - middle.ticks).abs()).copied()
            });
            last = near.max(last);
            match near {
                Some(key) => {
                    // The very one, which needs no other picture.
                    let time = Timestamp::new(key, middle.base);
                    FramePick { time, keyframe: false, neighbors: false }
                }
                None if keys.is_none() && slot.to - slot.from >= USUAL_GROUP => {
                    FramePick { time: middle, keyframe: true, neighbors: false }
                }
                None => FramePick { time: middle, keyframe: false, neighbors },
            }
        };
        slots.iter().map(pick).collect()
    }

    /// A sheet of pictures at some picks.
    fn sheet(
        &self,
        picks: Vec<FramePick>,
        columns: NonZeroU32,
        because: Vec<Reason>,
    ) -> Result<SpriteSheet> {
        let (width, height) = self.size;
        let (name, pixel_format, color) = encoder_of(self.format, self.video);
        expect_encoder(self.capabilities, name)?;
        let tone_map = self.video.is_hdr();
        let target = Target {
            width,
            height,
            pixel_format: pixel_format.to_owned(),
            color: color.clone(),
            tone_map,
            frame: None,
        };
        let location = &self.probed.location;
        let filters =
            picture::filters(location, self.stream, self.video, &target, self.capabilities)?;
        let count = u32::try_from(picks.len()).unwrap_or(u32::MAX);
        let columns = columns.min(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN));
        let rows = NonZeroU32::new(count.div_ceil(columns.get())).unwrap_or(NonZeroU32::MIN);
        Ok(SpriteSheet {
            source: StreamId { input: 0, stream: self.stream.index },
            picks,
            filters: filters.text,
            columns,
            encoder: Encoder {
                name: name.to_owned(),
                bit_rate: None,
                options: options(self.format, self.quality),
                keyframe_each_second: false,
                format: FrameFormat::Video(PictureFormat {
                    width: width.saturating_mul(columns),
                    height: height.saturating_mul(rows),
                    pixel_aspect: Rational::ONE,
                    pixel_format: pixel_format.to_owned(),
                    time_base: Rational {
                        num: NonZeroU32::MIN,
                        den: const { NonZeroU32::new(25).unwrap() },
                    },
                    frame_rate: None,
                    color,
                    hdr: Hdr::default(),
                }),
            },
            because,
        })
    }

    /// What the user should know of the pictures.
    fn notice(&self) -> Option<Reason> {
        let has_alpha = self.video.pixel_format.as_ref().is_some_and(|pixels| pixels.alpha);
        choose::alpha_notice(has_alpha, self.format != Format::Jpg)
    }

    fn neighbors(&self) -> bool {
        picture::may_be_interlaced(self.stream, self.video)
    }
}

impl Storyboard {
    pub(crate) fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let selection =
            Selection::of(context, Container::Of(format), Need::Video, Tracks::Best, None)?;
        let probed = selection.probed;
        let (stream, video) = choose::need_video(&probed.location, &probed.media)?;
        let usual = NonZeroU32::new(USUAL_COUNT).unwrap_or(NonZeroU32::MIN);
        let spread = match (self.every_seconds, self.count) {
            (Some(seconds), _) => Sampling::Every(seconds),
            (None, count) => Sampling::Count(count.unwrap_or(usual)),
        };
        let slots = with_length(spread.slots(probed, 10_000)?);
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
        let picks = maker.picks(&slots, Accuracy::Keyframe);
        let because: Vec<Reason> =
            [choose::best()].into_iter().chain(largest.scaled_down(wanted, size)).collect();
        let mut outputs = Vec::new();
        for (number, picks) in picks.chunks(columns * rows).enumerate() {
            let name = format!("out_sprite_{}.{}", number + 1, format.extension());
            let sheet = maker.sheet(picks.to_vec(), self.columns, because.clone())?;
            let content = Content::SpriteSheet(Box::new(sheet));
            outputs.push(output(context, &name, outputs.len(), "image2pipe", content));
        }
        let text = vtt(&slots, (columns, rows), size, format);
        let content = Content::Text(text);
        outputs.push(output(context, "out_vtt.vtt", outputs.len(), "webvtt", content));
        let mut plan = selection.plan(Strategy::Storyboard, Vec::new(), self.lenient);
        plan.notices.extend(maker.notice());
        plan.dropped.retain(|dropped| dropped.stream != stream.index);
        plan.seconds = plan.seconds.or(slots.last().map(|slot| slot.to));
        Ok(Plan { outputs, ..plan })
    }
}

impl Thumbnails {
    /// Makes the plan; the output of the context is the folder.
    ///
    /// # Errors
    /// [`Error::Lacking`](avocet_model::error::Error::Lacking) when there is no video, no known duration,
    /// or more pictures than [`MAX_THUMBNAILS`]; [`Error::Absent`](avocet_model::error::Error::Absent)
    /// when this build lacks an encoder or filter.
    pub fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let selection =
            Selection::of(context, Container::Of(format), Need::Video, Tracks::Best, None)?;
        let probed = selection.probed;
        let (stream, video) = choose::need_video(&probed.location, &probed.media)?;
        let slots = self.spread.slots(probed, MAX_THUMBNAILS)?;
        let largest = Largest::of_picture(format);
        let wanted = picture::fit(video.shown_size(), self.width, self.height);
        let fitted = largest.fit(wanted);
        let size = (picture::whole(fitted.0), picture::whole(fitted.1));
        let capabilities = context.capabilities;
        let quality = self.quality;
        let maker = Maker { probed, stream, video, format, quality, size, capabilities };
        let picks = maker.picks(&slots, self.accuracy);
        let because: Vec<Reason> =
            [choose::best()].into_iter().chain(largest.scaled_down(wanted, size)).collect();
        let mut outputs = Vec::new();
        for (number, pick) in picks.into_iter().enumerate() {
            let name = format!("{}-{:04}.{}", self.stem, number + 1, format.extension());
            let sheet = maker.sheet(vec![pick], NonZeroU32::MIN, because.clone())?;
            let content = Content::SpriteSheet(Box::new(sheet));
            outputs.push(output(context, &name, number, "image2pipe", content));
        }
        let mut plan = selection.plan(Strategy::Storyboard, Vec::new(), false);
        plan.notices.extend(maker.notice());
        plan.dropped.retain(|dropped| dropped.stream != stream.index);
        plan.outputs = outputs;
        plan.seconds = plan.seconds.or(slots.last().map(|slot| slot.to));
        crate::decide::cost::fill(&mut plan, context.inputs);
        Ok(plan)
    }
}

/// One of several outputs: a file in the folder, or the next of the caller's writers.
fn output(
    context: &CompileContext<'_>,
    name: &str,
    number: usize,
    muxer: &str,
    content: Content,
) -> Output {
    Output {
        location: context.output.join(name, number),
        replace: context.replace,
        muxer: muxer.to_owned(),
        options: Vec::new(),
        tags: Tags::new(),
        chapters: Vec::new(),
        content,
        index_first: false,
        moves_index: false,
        at_most: None,
    }
}

/// Leaves out parts that begin and end in the same millisecond: cues count in those, and `WebVTT`
/// forbids one without a length. Their neighbors meet there, so no instant is without a cue.
fn with_length(mut slots: Vec<Slot>) -> Vec<Slot> {
    let from = slots.first().map_or(0.0, |first| first.from);
    slots.retain(|slot| millis(slot.from) < millis(slot.to));
    if slots.is_empty() {
        // All of the input is shorter than what a cue can tell.
        slots.push(Slot { from, to: from + 0.001 });
    }
    slots
}

/// The nearest whole number of milliseconds.
fn millis(seconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let millis = (seconds * 1000.0).round() as u64;
    millis
}

/// Which picture stands for which part: a cue for each, with its place as a media fragment (W3C
/// `WebVTT`; `xywh` of W3C Media Fragments).
fn vtt(
    slots: &[Slot],
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
        text += &format!(
            "\n{} --> {}\nout_sprite_{}.{}#xywh={x},{y},{width},{height}\n",
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
            let slots = (0..count).map(|number| Slot { from: at(number), to: at(number + 1) });
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
        let slots = [Slot { from: 0.0, to: 3599.9996 }, Slot { from: 3600.0, to: 3661.5 }];
        let side = |side| NonZeroU32::new(side).unwrap_or(NonZeroU32::MIN);
        assert_eq!(
            vtt(&slots, (1, 10), (side(160), side(90)), Format::Jpg),
            "WEBVTT\n\n00:00:00.000 --> 01:00:00.000\nout_sprite_1.jpg#xywh=0,0,160,90\n\n\
             01:00:00.000 --> 01:01:01.500\nout_sprite_1.jpg#xywh=0,90,160,90\n"
        );
    }
}
