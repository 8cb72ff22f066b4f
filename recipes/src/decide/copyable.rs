//! Which streams may be copied into a container: the table of codecs that each holds, and what else
//! stands against a copy.

use avocet_model::{
    index::StreamIndex,
    media::{AudioInfo, Orientation, StreamInfo, VideoInfo},
    plan::Reason,
};

use super::{context::CompileContext, cut, select::Source};
use crate::words::format::Format;

/// What may be copied into a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Holds {
    /// Codecs that play wherever the container does.
    Common,
    /// All codecs that the container's standard has a place for.
    Standard,
}

/// The codecs that a container holds as they are, by libav's names.
struct Held {
    container: Format,
    is_video: bool,
    /// Codecs that play wherever the container does.
    common: &'static [&'static str],
    /// Further codecs that its standard has a place for.
    standard: &'static [&'static str],
}

impl Held {
    const fn video(
        container: Format,
        common: &'static [&'static str],
        standard: &'static [&'static str],
    ) -> Self {
        Self { container, is_video: true, common, standard }
    }

    const fn audio(
        container: Format,
        common: &'static [&'static str],
        standard: &'static [&'static str],
    ) -> Self {
        Self { container, is_video: false, common, standard }
    }
}

/// PCM that both WAV and QuickTime hold as it is.
const LITTLE_ENDIAN_PCM: &[&str] =
    &["pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_u8"];

/// What is copied into each container. libavformat has no way to write AV1 into QuickTime.
const HELD: &[Held] = &[
    Held::video(Format::Mp4, &["h264", "hevc", "av1"], &["mpeg2video", "mpeg4", "vp9"]),
    Held::video(
        Format::Mov,
        &["h264", "hevc", "prores", "dnxhd"],
        &["mpeg2video", "mpeg4", "mjpeg"],
    ),
    Held::video(Format::Webm, &["vp8", "vp9", "av1"], &[]),
    Held::video(
        Format::Mkv,
        &["h264", "hevc", "av1", "vp8", "vp9", "mpeg2video", "mpeg4", "mjpeg", "prores", "ffv1"],
        &[],
    ),
    Held::audio(Format::Mp4, &["aac", "mp3"], &["ac3", "eac3", "alac"]),
    Held::audio(Format::Mov, &["aac", "mp3", "alac"], &["ac3", "eac3"]),
    Held::audio(Format::Mov, LITTLE_ENDIAN_PCM, &[]),
    Held::audio(Format::Webm, &["opus", "vorbis"], &[]),
    Held::audio(Format::Mkv, &["aac", "mp3", "ac3", "eac3", "dts", "flac", "opus", "vorbis"], &[]),
    Held::audio(Format::Mkv, LITTLE_ENDIAN_PCM, &[]),
    Held::audio(Format::Mp3, &["mp3"], &[]),
    Held::audio(Format::Aac, &["aac"], &[]),
    Held::audio(Format::M4a, &["aac", "alac"], &[]),
    Held::audio(Format::Wav, LITTLE_ENDIAN_PCM, &[]),
    Held::audio(Format::Opus, &["opus"], &[]),
    Held::audio(Format::Ogg, &["vorbis", "opus"], &[]),
    Held::audio(Format::Flac, &["flac"], &[]),
];

/// A codec that recipes copy into a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Copied {
    /// The extension of the container's files, without the dot.
    pub extension: &'static str,
    /// libav's name of the codec.
    pub codec: &'static str,
    /// Whether it is a codec of video, and not of audio.
    pub is_video: bool,
    /// Whether all recipes copy it, and not only `trim` and `concat`.
    pub by_all: bool,
}

/// Every codec that recipes copy, with each container that holds it: the list by which they decide.
pub fn copied_codecs() -> impl Iterator<Item = Copied> {
    HELD.iter().flat_map(|held| {
        let of = move |by_all| {
            move |codec: &&'static str| Copied {
                extension: held.container.name(),
                codec,
                is_video: held.is_video,
                by_all,
            }
        };
        held.common.iter().map(of(true)).chain(held.standard.iter().map(of(false)))
    })
}

/// Whether a container holds a codec as it is.
fn is_held(codec: &str, is_video: bool, container: Format, holds: Holds) -> bool {
    HELD.iter().any(|held| {
        let is_standard = holds == Holds::Standard && held.standard.contains(&codec);
        held.container == container
            && held.is_video == is_video
            && (is_standard || held.common.contains(&codec))
    })
}

/// Whether a video stream may be copied into a container, else the reason why not.
pub(crate) fn video(
    source: &Source<'_, VideoInfo>,
    container: Format,
    holds: Holds,
) -> Result<Reason, Reason> {
    let codec = source.stream.codec.as_str();
    expect_fixed_parameters(source)?;
    if !is_held(codec, true, container, holds) {
        return Err(not_in_container(codec, container));
    }
    if source.info.needs_dolby_vision() && container != Format::Mp4 {
        // libavformat writes the Dolby Vision record into MP4 only, and the record must be kept.
        return Err(not_in_container("Dolby Vision", container));
    }
    // These codecs may reorder pictures, so a copy needs presentation times (PTS), which some
    // containers do not state.
    let is_reordered = matches!(codec, "h264" | "hevc" | "mpeg2video" | "mpeg4");
    // Program streams may omit timestamps, and then two pictures seem to share a PTS.
    let shown = source.index.filter(|_| source.media.is_format("mpeg") && source.section.is_none());
    let shares_times = shown.is_some_and(|index| {
        cut::as_shown(index.packets.iter().filter_map(|packet| packet.pts)).is_err()
    });
    if is_reordered && (!source.media.states_presentation() || shares_times) {
        return Err(Reason::new(
            "TIMES_MISSING",
            "its container does not store every presentation time; decoding gives them",
        ));
    }
    // Timestamps in Matroska are milliseconds.
    let is_fine = source.info.frame_rate.is_some_and(|rate| rate.as_f64() > 1000.0);
    if is_fine && container.is_matroska() {
        return Err(Reason::new(
            "TIMES_TOO_FINE",
            "its pictures are less than 1 ms apart, which is finer than the time base of Matroska",
        ));
    }
    let is_8_bit_420 = source
        .info
        .pixel_format
        .as_ref()
        .is_some_and(|pixels| pixels.depth == 8 && pixels.chroma_shift == (1, 1));
    if codec == "h264" && !is_8_bit_420 && holds == Holds::Common && container != Format::Mkv {
        return Err(Reason::new(
            "VIDEO_NOT_8_BIT_420",
            "few players play H.264 that is not 8-bit 4:2:0",
        ));
    }
    if !source.info.crop.is_empty() {
        let message = "its container crops the picture, which a copy would show whole";
        return Err(Reason::new("CROPPED_BY_CONTAINER", message));
    }
    if source.info.orientation_in_pictures {
        let message = "its rotation is stored in its pictures only, and few players apply it";
        return Err(Reason::new("TURNED_BY_PICTURES", message));
    }
    // What is neither a turn nor a mirror is not followed by an encode, either.
    let is_turned = !matches!(source.info.orientation, Orientation::Upright | Orientation::Skewed);
    if is_turned && !container.is_movie() {
        let message =
            format!("its container turns the picture, which {} can not", container.name());
        return Err(Reason::new("TURNED_BY_CONTAINER", message));
    }
    hidden_packets_fit(source, container.hides_before(None))?;
    Ok(copied(codec, container))
}

/// Whether an audio stream may be copied into a container, else the reason why not.
pub(crate) fn audio(
    source: &Source<'_, AudioInfo>,
    container: Format,
    holds: Holds,
    context: &CompileContext<'_>,
) -> Result<Reason, Reason> {
    let codec = source.stream.codec.as_str();
    expect_fixed_parameters(source)?;
    if !is_held(codec, false, container, holds) {
        return Err(not_in_container(codec, container));
    }
    if container == Format::Aac && !fits_adts(source.stream) {
        let message = "ADTS can not hold its configuration";
        return Err(Reason::new("AAC_NOT_IN_ADTS", message));
    }
    if context.has_gaps && !container.keeps_gaps() {
        let message =
            format!("its packets leave gaps or overlap, which {} can not store", container.name());
        return Err(Reason::new("SOUND_HAS_GAPS", message));
    }
    hidden_packets_fit(source, container.hides_before(source.info.sample_rate))?;
    Ok(copied(codec, container))
}

/// Fails where codec parameters change in mid-stream: the header of a copy describes the first ones
/// only.
fn expect_fixed_parameters<T>(source: &Source<'_, T>) -> Result<(), Reason> {
    let changes = source.stream.parameters_change || source.index.is_some_and(StreamIndex::changes);
    if !changes {
        return Ok(());
    }
    let message = "its codec parameters change mid-stream, which a stream copy can not follow";
    Err(Reason::new("PARAMETERS_CHANGE", message))
}

/// Whether ADTS can express the AAC configuration of a stream (ISO/IEC 14496-3, 1.A.2): two bits of
/// profile, three of channels, and no explicit signaling of anything else.
fn fits_adts(stream: &StreamInfo) -> bool {
    let Some((first, second)) = stream.extradata.first().zip(stream.extradata.get(1)) else {
        // The stream has no configuration, as when it comes from ADTS itself.
        return true;
    };
    let (object_type, channels) = (first >> 3, (second >> 3) & 15);
    (1..=4).contains(&object_type) && (1..=7).contains(&channels)
}

/// Fails where a copy would show packets that an edit list hides.
///
/// Packets hidden before the start of the output stay hidden if they last no more than `most` seconds,
/// or all of them with `None`. No others can be hidden.
fn hidden_packets_fit<T>(source: &Source<'_, T>, most: Option<f64>) -> Result<(), Reason> {
    let stream = source.stream;
    let begins_at_zero = stream.start.is_none_or(|start| start <= source.origin);
    let hidden = stream.hidden_before.saturating_add(stream.hidden_after);
    let shown = stream.promised_packets.unwrap_or(0).saturating_sub(hidden);
    // Packets of sound last equally long.
    let packet = stream.duration.map(|duration| duration.seconds() / shown.max(1) as f64);
    let before = packet.map_or(f64::INFINITY, |packet| packet * stream.hidden_before as f64);
    let holds_before = begins_at_zero && most.is_none_or(|most| before <= most);
    // A section leaves hidden packets out, provided that it is one piece of the media.
    let is_shuffled =
        source.index.is_some_and(|index| index.goes_back) && stream.promised_packets.is_some();
    let fits = (source.section.is_some() && !is_shuffled)
        || (stream.hidden_after == 0 && (stream.hidden_before == 0 || holds_before));
    if fits { Ok(()) } else { Err(hidden_by_edit_list()) }
}

/// Why a stream with hidden packets is not copied.
pub(crate) fn hidden_by_edit_list() -> Reason {
    let message = "an edit list hides a part of it, which a copy would show";
    Reason::new("HIDDEN_BY_EDIT_LIST", message)
}

/// Why a part of a FLAC stream, or several streams one after the other, are not copied into FLAC.
pub(crate) fn counted_in_header() -> Reason {
    let message = "the header of flac states the number of samples and their checksum, which a copy \
                   of a part would not have";
    Reason::new("SEAM_NOT_COPYABLE", message)
}

fn copied(codec: &str, container: Format) -> Reason {
    Reason::new("CODEC_FITS", format!("{} holds {codec} as it is", container.name()))
}

fn not_in_container(codec: &str, container: Format) -> Reason {
    Reason::new(
        "CODEC_NOT_IN_CONTAINER",
        format!("{codec} is not copied into {}", container.name()),
    )
}
