//! What a result lacks of its inputs although each of its tracks is as it was asked for.

use avocet_model::{
    media::{AudioInfo, Kind, Orientation, StreamInfo, VideoInfo},
    plan::{Action, FrameFormat, Reason, Track},
};

use super::{context::CompileContext, sound};
use crate::words::format::Format;

/// Notices about what tracks lose, each at most once.
pub(crate) fn notices(
    tracks: &[Track],
    container: Format,
    context: &CompileContext<'_>,
) -> Vec<Reason> {
    let mut notices: Vec<Reason> = Vec::new();
    for track in tracks {
        for source in track.sources() {
            let Some(probed) = context.inputs.get(source.input) else { continue };
            let Some(stream) = probed.media.streams.get(source.stream) else { continue };
            let notice = match &stream.kind {
                Kind::Audio(audio) => depth(track, stream, audio),
                Kind::Video(video) => orientation(track, container, video),
                _ => None,
            };
            let is_new = |notice: &Reason| notices.iter().all(|other| other.code != notice.code);
            notices.extend(notice.filter(is_new));
        }
    }
    notices
}

/// Samples of lossless sound that an encoder, lossless too, stores with fewer bits.
fn depth(track: &Track, stream: &StreamInfo, audio: &AudioInfo) -> Option<Reason> {
    let Action::Encode(encoder) = &track.action else { return None };
    let FrameFormat::Audio(format) = &encoder.format else { return None };
    let codec = encoder.name.as_str();
    if !(sound::is_lossless(&stream.codec) && sound::is_lossless(codec)) {
        return None;
    }
    let found = Depth::of(&stream.codec, audio.sample_format.as_deref()?)?;
    let kept = Depth::of(codec, &format.sample_format)?;
    (!kept.holds(found)).then(|| {
        let message = format!("{found} are stored as {kept}");
        Reason::new("DEPTH_LOWERED", message)
    })
}

/// What a sample can tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Depth {
    /// An integer of so many bits.
    Integer(u32),
    /// A floating point number of so many bits.
    Float(u32),
}

impl Depth {
    /// The depth of a lossless codec, whose decoder returns, or whose encoder takes, a sample format of
    /// this name.
    fn of(codec: &str, sample_format: &str) -> Option<Self> {
        Some(match sample_format.trim_end_matches('p') {
            "u8" => Self::Integer(8),
            "s16" => Self::Integer(16),
            // Only PCM says in its name that it fills all 32 bits.
            "s32" if ["pcm_s32", "pcm_u32"].iter().any(|deep| codec.starts_with(deep)) => {
                Self::Integer(32)
            }
            "s32" => Self::Integer(24),
            "s64" => Self::Integer(64),
            "flt" => Self::Float(32),
            "dbl" => Self::Float(64),
            _ => return None,
        })
    }

    /// Whether it holds each value of another.
    const fn holds(self, other: Self) -> bool {
        match (self, other) {
            (Self::Integer(bits), Self::Integer(needed))
            | (Self::Float(bits), Self::Float(needed)) => bits >= needed,
            // IEEE 754: significands of 24 and 53 bits.
            (Self::Float(bits), Self::Integer(needed)) => {
                needed <= if bits == 64 { 53 } else { 24 }
            }
            (Self::Integer(_), Self::Float(_)) => false,
        }
    }
}

impl std::fmt::Display for Depth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer(bits) => write!(f, "samples of {bits} bits"),
            Self::Float(bits) => write!(f, "samples of {bits} bits in floating point"),
        }
    }
}

/// A display matrix that no turn and no mirror image equals: an encode does not follow it, and only
/// MP4 and QuickTime store it.
fn orientation(track: &Track, container: Format, video: &VideoInfo) -> Option<Reason> {
    let is_copied = matches!(track.action, Action::Copy | Action::SmartCut(_));
    let is_lost = video.orientation == Orientation::Skewed && !(is_copied && container.is_movie());
    let message = "the display matrix scales or skews the picture, which the result does not";
    is_lost.then(|| Reason::new("ORIENTATION_LEFT_OUT", message))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_depth_holds_what_loses_nothing() {
        let of = |codec, format| Depth::of(codec, format).unwrap();
        let (byte, short) = (of("pcm_u8", "u8"), of("flac", "s16p"));
        let (deep, whole) = (of("alac", "s32p"), of("pcm_s32be", "s32"));
        let (float, double) = (of("pcm_f32le", "flt"), of("pcm_f64le", "dbl"));
        for (from, into, holds) in [
            (byte, short, true),
            (short, byte, false),
            (deep, whole, true),
            (whole, deep, false),
            (deep, float, true),
            (whole, float, false),
            (whole, double, true),
            (of("pcm_s64le", "s64"), double, false),
            (float, deep, false),
            (double, float, false),
            (float, double, true),
        ] {
            assert_eq!(into.holds(from), holds, "{from} in {into}");
        }
    }
}
