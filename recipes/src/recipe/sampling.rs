//! Frames picked all over an input, and the sprite sheets that they become.

use std::num::NonZeroU32;

use avocet_model::{
    capabilities::Capabilities,
    error::{Error, Result},
    index::RandomAccess,
    media::{Hdr, StreamInfo, Tags, VideoInfo},
    plan::{
        Content, Encoder, FrameFormat, FramePick, Output, PictureFormat, Reason, SpriteSheet,
        StreamId,
    },
    time::{Rational, Timestamp},
};

use super::thumbnail::{encoder_of, options};
use crate::{
    decide::{
        choose,
        context::{CompileContext, Probed, expect_encoder},
        cut::stream_end,
        picture::{self, Target},
    },
    words::{error::Problem, format::Format, parameter::Accuracy},
};

/// How long a part must be, in seconds, for a keyframe to stand for more than one of them. Shorter
/// parts are of inputs so short that exact pictures cost little.
const SHARED: f64 = 5.0;

/// The least distance of pictures, in seconds, at which keyframes are taken without an index: few
/// encoders leave more time between keyframes.
const USUAL_GROUP: f64 = 10.0;

/// Which pictures are taken of an input.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Sampling {
    /// This number of pictures, 1 or more, each from the middle of its part.
    Count(u32),
    /// One picture for this many seconds: finite, more than 0.
    Every(f64),
    /// One picture at each of these times, in seconds from the earliest presentation time: finite, 0
    /// or more, in any order.
    At(Vec<f64>),
}

/// What one picture stands for, in seconds from the start of the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slot {
    pub(super) from: f64,
    pub(super) to: f64,
    /// When the picture that is wanted is on screen.
    pub(super) time: f64,
}

impl Slot {
    /// A part of the input, whose picture is taken from its middle.
    pub(super) const fn of_part(from: f64, to: f64) -> Self {
        Self { from, to, time: f64::midpoint(from, to) }
    }
}

impl Sampling {
    /// What is wrong with it.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let problem = |path: String, found: String, allowed: &str| Problem {
            path,
            found,
            allowed: allowed.to_owned(),
        };
        match self {
            Self::Count(0) => {
                vec![problem("count".to_owned(), "0".to_owned(), "an integer, 1 or more")]
            }
            Self::Every(step) if !(step.is_finite() && *step > 0.0) => {
                let allowed = "a finite number of seconds, more than 0";
                vec![problem("everySeconds".to_owned(), step.to_string(), allowed)]
            }
            Self::At(times) if times.is_empty() => {
                vec![problem("times".to_owned(), "none".to_owned(), "at least one time")]
            }
            Self::At(times) => {
                let is_wrong = |time: &(usize, &f64)| !(time.1.is_finite() && *time.1 >= 0.0);
                let wrong = times.iter().enumerate().filter(is_wrong);
                let allowed = "a finite number of seconds, 0 or more";
                wrong
                    .map(|(number, time)| {
                        problem(format!("times[{number}]"), time.to_string(), allowed)
                    })
                    .collect()
            }
            Self::Count(_) | Self::Every(_) => Vec::new(),
        }
    }

    pub(super) fn slots(&self, probed: &Probed, most: usize) -> Result<Vec<Slot>> {
        let zero = probed.media.start.map_or(0.0, Timestamp::seconds);
        // The last picture may have no duration, and some inputs have no other picture.
        let least = if probed.index.is_some() { 0.001 } else { 0.0 };
        let length = probed.end().map_or(0.0, |end| (end - zero).max(least));
        let lacking = |found: String, needed: &str| Error::Lacking {
            location: probed.location.clone(),
            found,
            needed: needed.to_owned(),
        };
        let too_many = |count: f64| {
            let found = format!("{length:.3} s of media, {count:.0} pictures");
            lacking(found, &format!("at most {most} pictures"))
        };
        if let Self::At(times) = self {
            if times.len() > most {
                return Err(too_many(times.len() as f64));
            }
            // Between the times beside it, a picture has all of the input to itself.
            let slot = |time: &f64| Slot { from: *time, to: *time, time: *time };
            return Ok(times.iter().map(slot).collect());
        }
        if length <= 0.0 {
            let needed = "a known duration to spread pictures over";
            return Err(lacking("media of unknown duration".to_owned(), needed));
        }
        let (count, step) = match self {
            Self::Count(count) => (f64::from(*count), length / f64::from(*count)),
            // A remainder of less than a tenth of a part belongs to the last part.
            Self::Every(step) => (((length / step) - 0.1).ceil().max(1.0), *step),
            Self::At(_) => (0.0, 0.0),
        };
        if count > most as f64 {
            return Err(too_many(count));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded above"
        )]
        let count = count as u32;
        let at = |number: u32| if number == count { length } else { f64::from(number) * step };
        Ok((0..count).map(|number| Slot::of_part(at(number), at(number + 1))).collect())
    }
}

/// What all pictures of a plan are made with.
pub(super) struct Maker<'a> {
    pub(super) probed: &'a Probed,
    pub(super) stream: &'a StreamInfo,
    pub(super) video: &'a VideoInfo,
    pub(super) format: Format,
    pub(super) quality: u8,
    /// Size of one picture, in pixels.
    pub(super) size: (NonZeroU32, NonZeroU32),
    pub(super) capabilities: &'a Capabilities,
}

impl Maker<'_> {
    /// The frame that is taken for each slot.
    ///
    /// With [`Accuracy::Keyframe`] it is the keyframe nearest to the wanted time, which is decoded
    /// alone. Where that is more than one part away (two for parts of [`SHARED`] seconds and more), or
    /// a short part does not hold it or an earlier one shows it, it is the frame at the wanted time: else
    /// many parts of a GOP would show the same picture.
    pub(super) fn picks(&self, slots: &[Slot], accuracy: Accuracy) -> Vec<FramePick> {
        let at = |seconds| Timestamp::on_screen(seconds, self.stream.time_base);
        let zero = self.probed.media.start.map_or(0.0, Timestamp::seconds);
        let neighbors = self.neighbors();
        let exact = |time: Timestamp| FramePick { time, keyframe: false, neighbors };
        // The middle of a part may lie behind the pictures where the sound is longer.
        let last = stream_end(self.stream).map_or(i64::MAX, |end| end.ticks - 1);
        let time_of = |slot: &Slot| {
            let time = at(zero + slot.time);
            let is_part = slot.to > slot.from;
            if is_part { Timestamp { ticks: time.ticks.min(last), ..time } } else { time }
        };
        if accuracy == Accuracy::Exact {
            return slots.iter().map(|slot| exact(time_of(slot))).collect();
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
            let time = time_of(slot);
            let length = slot.to - slot.from;
            let is_part = length > 0.0;
            let Some(keys) = &keys else {
                return if is_part && length < USUAL_GROUP {
                    exact(time)
                } else {
                    FramePick { time, keyframe: true, neighbors: false }
                };
            };
            let behind = keys.partition_point(|key| *key <= time.ticks);
            let around = keys.get(behind.saturating_sub(1)..keys.len().min(behind + 1));
            let distance = |key: &i64| (*key - time.ticks).abs();
            let nearest = around.and_then(|keys| keys.iter().copied().min_by_key(distance));
            let may_share = !is_part || length >= SHARED;
            let parts = if may_share { 2.0 * length } else { length };
            let reach = if is_part { at(parts).ticks } else { i64::MAX };
            let end = at(zero + slot.to).ticks;
            let is_own = |key: &i64| Some(*key) > last && *key < end;
            let is_near = |key: &i64| distance(key) <= reach && (may_share || is_own(key));
            let near = nearest.filter(is_near);
            last = near.max(last);
            match near {
                // This keyframe itself, which is decoded without any other picture.
                Some(key) => {
                    let time = Timestamp::new(key, time.base);
                    FramePick { time, keyframe: false, neighbors: false }
                }
                None => exact(time),
            }
        };
        slots.iter().map(pick).collect()
    }

    /// The sprite sheet of these frames.
    pub(super) fn sheet(
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
            precise: true,
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

    /// A notice where the pictures lose their transparency.
    pub(super) fn notice(&self) -> Option<Reason> {
        let has_alpha = self.video.pixel_format.as_ref().is_some_and(|pixels| pixels.alpha);
        choose::alpha_notice(has_alpha, self.format != Format::Jpg)
    }

    fn neighbors(&self) -> bool {
        picture::may_be_interlaced(self.stream, self.video)
    }
}

/// One of several outputs: a file in the folder, or the next of the caller's writers.
pub(super) fn output(
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
