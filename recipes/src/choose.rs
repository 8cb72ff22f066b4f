//! Shared judgement on streams: which is the real one, what is left out, what may be copied.

use std::cmp::Reverse;

use avocet_engine::{
    AudioInfo, Dropped, Error, Kind, Location, MediaInfo, Reason, Result, StreamInfo, Timestamp,
    VideoInfo,
};

use crate::format::Format;

/// The best real video stream: the one marked as default, then the largest, then the first.
pub(crate) fn best_video(media: &MediaInfo) -> Option<(&StreamInfo, &VideoInfo)> {
    media.videos().filter(|(_, video)| video.width > 0 && video.height > 0).min_by_key(
        |(stream, video)| {
            let area = u64::from(video.width) * u64::from(video.height);
            (Reverse(stream.default), Reverse(area), stream.index)
        },
    )
}

/// The audio stream marked as default, else the first.
pub(crate) fn best_audio(media: &MediaInfo) -> Option<(&StreamInfo, &AudioInfo)> {
    media
        .audios()
        .filter(|(_, audio)| audio.channels > 0 && audio.sample_rate.is_some())
        .min_by_key(|(stream, _)| (Reverse(stream.default), stream.index))
}

/// The video stream that a recipe can not do without.
pub(crate) fn need_video<'a>(
    location: &Location,
    media: &'a MediaInfo,
) -> Result<(&'a StreamInfo, &'a VideoInfo)> {
    best_video(media).ok_or_else(|| lacking(location, media, "a video stream"))
}

/// The audio stream that a recipe can not do without.
pub(crate) fn need_audio<'a>(
    location: &Location,
    media: &'a MediaInfo,
) -> Result<(&'a StreamInfo, &'a AudioInfo)> {
    best_audio(media).ok_or_else(|| lacking(location, media, "an audio stream"))
}

pub(crate) fn lacking(location: &Location, media: &MediaInfo, needed: &str) -> Error {
    let kinds: Vec<String> = media
        .streams
        .iter()
        .map(|stream| match &stream.kind {
            Kind::Video(_) if stream.still => format!("cover art ({})", stream.codec),
            kind => format!("{} ({})", kind.name(), stream.codec),
        })
        .collect();
    let found = if kinds.is_empty() { "no stream".to_owned() } else { kinds.join(", ") };
    Error::Lacking { location: location.clone(), found, needed: needed.to_owned() }
}

/// The instant that becomes 0: where the earliest kept stream begins. Negative priming counts as 0.
pub(crate) fn origin(kept: &[&StreamInfo]) -> Timestamp {
    kept.iter()
        .filter_map(|stream| stream.start)
        .min()
        .unwrap_or(Timestamp::ZERO)
        .max(Timestamp::ZERO)
}

/// The end of the longest kept stream from `origin`, in seconds, where the container tells.
pub(crate) fn expected_seconds(
    media: &MediaInfo,
    kept: &[&StreamInfo],
    origin: Timestamp,
) -> Option<f64> {
    let of_stream = kept
        .iter()
        .filter_map(|stream| {
            let start = stream.start.map_or(0.0, Timestamp::seconds);
            Some(stream.duration?.seconds() + start - origin.seconds())
        })
        .reduce(f64::max);
    of_stream.or_else(|| media.duration.map(Timestamp::seconds)).filter(|seconds| *seconds > 0.0)
}

/// The streams that are not kept, each with its reason.
pub(crate) fn dropped(
    input: usize,
    media: &MediaInfo,
    kept: &[usize],
    format: Format,
) -> Vec<Dropped> {
    media
        .streams
        .iter()
        .filter(|stream| !kept.contains(&stream.index))
        .map(|stream| Dropped {
            input,
            stream: stream.index,
            kind: stream.kind.name().to_owned(),
            because: why_dropped(stream, format),
        })
        .collect()
}

fn why_dropped(stream: &StreamInfo, format: Format) -> Reason {
    match &stream.kind {
        Kind::Video(_) if stream.still => Reason::new(
            "ATTACHED_PICTURE",
            "it is cover art or a thumbnail, not a stream of moving pictures",
        ),
        Kind::Video(_) if format.is_audio() => {
            Reason::new("FORMAT_HAS_NO_VIDEO", format!("{} holds sound only", format.name()))
        }
        Kind::Audio(_) if format.is_picture() => {
            Reason::new("FORMAT_HAS_NO_AUDIO", format!("{} holds a picture only", format.name()))
        }
        Kind::Video(_) | Kind::Audio(_) => {
            Reason::new("NOT_SELECTED", "another stream of its kind is the better one")
        }
        Kind::Subtitle => {
            Reason::new("SUBTITLES_NOT_ASKED_FOR", "subtitles are kept only with all tracks")
        }
        Kind::Data => Reason::new("DATA_STREAM", "it holds data that players do not show"),
        Kind::Attachment => {
            Reason::new("ATTACHMENT", "it is a file carried along, not a stream in time")
        }
    }
}

/// Whether `transcode` may copy a video stream into a format, else the reason why not.
pub(crate) fn copyable_video(
    stream: &StreamInfo,
    video: &VideoInfo,
    media: &MediaInfo,
    origin: Timestamp,
    format: Format,
) -> Result<Reason, Reason> {
    let codec = stream.codec.as_str();
    let fits = match format {
        Format::Mp4 => matches!(codec, "h264" | "hevc" | "av1"),
        // libavformat has no way to write AV1 into QuickTime.
        Format::Mov => matches!(codec, "h264" | "hevc" | "prores" | "dnxhd"),
        Format::Webm => matches!(codec, "vp8" | "vp9" | "av1"),
        _ => false,
    };
    if !fits {
        return Err(not_in_container(codec, format));
    }
    // Others state decoding times at most; where pictures are reordered that is not enough.
    let keeps_times = ["mov", "matroska", "webm", "mpegts", "mpeg", "flv", "nut", "ogg", "mxf"]
        .iter()
        .any(|name| media.is_format(name));
    if !keeps_times {
        return Err(Reason::new(
            "TIMES_MISSING",
            "its container does not say when a picture is shown; decoding it tells",
        ));
    }
    let is_8_bit_420 = video
        .pixel_format
        .as_ref()
        .is_some_and(|pixels| pixels.depth == 8 && pixels.chroma_shift == (1, 1));
    if codec == "h264" && !is_8_bit_420 {
        return Err(Reason::new(
            "VIDEO_NOT_8_BIT_420",
            "H.264 of other depth or chroma than 8-bit 4:2:0 plays in few places",
        ));
    }
    hidden_packets_fit(stream, origin, format)?;
    Ok(copied(codec, format))
}

/// Whether `transcode` may copy an audio stream into a format, else the reason why not.
pub(crate) fn copyable_audio(
    stream: &StreamInfo,
    origin: Timestamp,
    format: Format,
) -> Result<Reason, Reason> {
    let codec = stream.codec.as_str();
    let fits = match format {
        Format::Mp4 => matches!(codec, "aac" | "mp3"),
        Format::Mov => matches!(codec, "aac" | "mp3" | "alac") || is_little_endian_pcm(codec),
        Format::Webm => matches!(codec, "opus" | "vorbis"),
        Format::Mp3 => codec == "mp3",
        Format::Aac => codec == "aac",
        Format::M4a => matches!(codec, "aac" | "alac"),
        Format::Wav => is_little_endian_pcm(codec),
        _ => false,
    };
    if !fits {
        return Err(not_in_container(codec, format));
    }
    hidden_packets_fit(stream, origin, format)?;
    Ok(copied(codec, format))
}

/// PCM that both WAV and QuickTime hold as it is.
fn is_little_endian_pcm(codec: &str) -> bool {
    matches!(codec, "pcm_s16le" | "pcm_s24le" | "pcm_s32le" | "pcm_f32le" | "pcm_f64le" | "pcm_u8")
}

/// Fails where packets that an edit list hides would be shown in a copy.
///
/// What is hidden before the start of the output stays hidden in MP4 and QuickTime, and is left out
/// of formats without times; nothing else can hide it.
fn hidden_packets_fit(
    stream: &StreamInfo,
    origin: Timestamp,
    format: Format,
) -> Result<(), Reason> {
    let begins_at_zero = stream.start.is_none_or(|start| start <= origin);
    let fits = stream.hidden_after == 0
        && (stream.hidden_before == 0 || (begins_at_zero && format != Format::Webm));
    if fits {
        return Ok(());
    }
    let message = "an edit list hides a part of it, which a copy would show";
    Err(Reason::new("HIDDEN_BY_EDIT_LIST", message))
}

fn copied(codec: &str, format: Format) -> Reason {
    Reason::new("CODEC_FITS", format!("{} holds {codec} as it is", format.name()))
}

fn not_in_container(codec: &str, format: Format) -> Reason {
    Reason::new("CODEC_NOT_IN_CONTAINER", format!("{codec} is not copied into {}", format.name()))
}

/// The tags of a stream or file that mean something in another container.
pub(crate) fn kept_tags(tags: &avocet_engine::Tags) -> avocet_engine::Tags {
    /// What describes the old file, or is written anew.
    const STALE: [&str; 9] = [
        "major_brand",
        "minor_version",
        "compatible_brands",
        "encoder",
        "vendor_id",
        "handler_name",
        "duration",
        "number_of_frames",
        "number_of_bytes",
    ];
    tags.iter()
        .filter(|(key, _)| {
            let key = key.to_lowercase();
            // Matroska's statistics tags carry the language as a suffix.
            !STALE.contains(&key.as_str())
                && !key.starts_with("_statistics")
                && !["bps-", "duration-", "number_of_"].iter().any(|stale| key.starts_with(stale))
                && key != "bps"
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
