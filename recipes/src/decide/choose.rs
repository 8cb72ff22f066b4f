//! Decisions about streams that all recipes share: which one is taken, which are left out and why.

use std::cmp::Reverse;

use avocet_model::{
    error::{Error, Result},
    location::Location,
    media::{AudioInfo, Kind, MediaInfo, ProgramInfo, StreamInfo, VideoInfo},
    plan::{Action, Encoder, FrameFormat, Reason, StreamId, Track},
    time::Timestamp,
};

use super::context::Probed;
use crate::words::{format::Format, parameter::Tracks};

/// The best video stream of known size: the one marked as default, then the largest, then the
/// first. Cover art and previews do not count.
pub(crate) fn best_video(media: &MediaInfo) -> Option<(&StreamInfo, &VideoInfo)> {
    media.videos().filter(|(_, video)| video.width > 0 && video.height > 0).min_by_key(
        |(stream, video)| {
            let area = u64::from(video.width) * u64::from(video.height);
            (Reverse(stream.disposition.default), Reverse(area), stream.index)
        },
    )
}

/// The audio streams with known channels and sample rate; of several programs, those of the one
/// [`program`].
pub(crate) fn real_audios(media: &MediaInfo) -> impl Iterator<Item = (&StreamInfo, &AudioInfo)> {
    let program = program(media);
    audios(media).filter(move |(stream, _)| program.is_none_or(|it| holds(media, it, stream)))
}

fn audios(media: &MediaInfo) -> impl Iterator<Item = (&StreamInfo, &AudioInfo)> {
    media.audios().filter(|(_, audio)| audio.channels > 0 && audio.sample_rate.is_some())
}

/// The program whose streams are taken: that of the best video stream, else of the first audio
/// stream. `None` where no stream belongs to another program.
pub(crate) fn program(media: &MediaInfo) -> Option<&ProgramInfo> {
    let video = best_video(media).map(|(stream, _)| stream);
    let stream = video.or_else(|| audios(media).next().map(|(stream, _)| stream))?;
    let program = media.programs.iter().find(|it| it.streams.contains(&stream.index))?;
    media.streams.iter().any(|stream| !holds(media, program, stream)).then_some(program)
}

/// Whether a stream belongs to this program, or to none at all.
pub(crate) fn holds(media: &MediaInfo, program: &ProgramInfo, stream: &StreamInfo) -> bool {
    let is_of = |program: &ProgramInfo| program.streams.contains(&stream.index);
    is_of(program) || !media.programs.iter().any(is_of)
}

/// A notice that names the programs that are left out.
pub(crate) fn program_notice(media: &MediaInfo) -> Option<Reason> {
    let chosen = program(media)?;
    let name = |program: &ProgramInfo| match &program.name {
        Some(name) => format!("{} ({name})", program.number),
        None => program.number.to_string(),
    };
    let others = media.programs.iter().filter(|it| it.number != chosen.number);
    let others: Vec<String> = others.filter(|it| !it.streams.is_empty()).map(name).collect();
    let message = format!(
        "the streams of program {} are used, not those of {}",
        name(chosen),
        others.join(", ")
    );
    Some(Reason::new("PROGRAM_CHOSEN", message))
}

/// The audio stream marked as default, else the first.
pub(crate) fn best_audio(media: &MediaInfo) -> Option<(&StreamInfo, &AudioInfo)> {
    real_audios(media).min_by_key(|(stream, _)| (Reverse(stream.disposition.default), stream.index))
}

/// Fails for encrypted media.
pub(crate) fn expect_open(probed: &Probed) -> Result<()> {
    if probed.media.movie.as_ref().is_some_and(|movie| movie.encrypted) {
        return Err(Error::Lacking {
            location: probed.location.clone(),
            found: "encrypted media".to_owned(),
            needed: "media without encryption".to_owned(),
        });
    }
    Ok(())
}

/// The video stream that a recipe can not do without.
pub(crate) fn need_video<'a>(
    location: &Location,
    media: &'a MediaInfo,
) -> Result<(&'a StreamInfo, &'a VideoInfo)> {
    let is_unknown = media.videos().next().is_some();
    let needed = if is_unknown { "a video stream of known size" } else { "a video stream" };
    best_video(media).ok_or_else(|| lacking(location, media, needed))
}

/// The stream whose picture is shown: the best video stream, else cover art, with a notice about
/// that.
pub(crate) fn need_picture<'a>(
    location: &Location,
    media: &'a MediaInfo,
) -> Result<(&'a StreamInfo, &'a VideoInfo, Option<Reason>)> {
    if let Some((stream, video)) = best_video(media) {
        return Ok((stream, video, None));
    }
    let still = |stream: &'a StreamInfo| match &stream.kind {
        Kind::Video(video) if stream.still && video.width > 0 && video.height > 0 => {
            Some((stream, video))
        }
        _ => None,
    };
    let Some((stream, video)) = media.streams.iter().find_map(still) else {
        let is_unknown = media.videos().next().is_some();
        let needed =
            if is_unknown { "a video stream of known size" } else { "a video stream or cover art" };
        return Err(lacking(location, media, needed));
    };
    let message = "the input has no video, so its cover art is used";
    Ok((stream, video, Some(Reason::new("COVER_SHOWN", message))))
}

/// The reason for showing the best video stream.
pub(crate) fn best() -> Reason {
    Reason::new("BEST_VIDEO", "it is the best video stream")
}

/// The audio stream that a recipe can not do without.
pub(crate) fn need_audio<'a>(
    location: &Location,
    media: &'a MediaInfo,
) -> Result<(&'a StreamInfo, &'a AudioInfo)> {
    best_audio(media).ok_or_else(|| lacking(location, media, "an audio stream"))
}

/// The first audio stream, whatever is marked as default.
pub(crate) fn first_audio<'a>(
    location: &Location,
    media: &'a MediaInfo,
) -> Result<(&'a StreamInfo, &'a AudioInfo)> {
    real_audios(media).next().ok_or_else(|| lacking(location, media, "an audio stream"))
}

pub(crate) fn lacking(location: &Location, media: &MediaInfo, needed: &str) -> Error {
    let kinds: Vec<String> = media
        .streams
        .iter()
        .map(|stream| match &stream.kind {
            Kind::Video(_) if stream.still => format!("cover art ({})", stream.codec),
            Kind::Video(video) if video.width == 0 || video.height == 0 => {
                format!("video ({}) of unknown size", stream.codec)
            }
            Kind::Audio(audio) if audio.channels == 0 || audio.sample_rate.is_none() => {
                format!("audio ({}) of unknown channels or rate", stream.codec)
            }
            kind => format!("{} ({})", kind.name(), stream.codec),
        })
        .collect();
    let found = if kinds.is_empty() { "no stream".to_owned() } else { kinds.join(", ") };
    Error::Lacking { location: location.clone(), found, needed: needed.to_owned() }
}

/// A notice about the colors of a source.
pub(crate) fn color_notice(video: &VideoInfo) -> Option<Reason> {
    let message = "color tags of the video are reserved values and are treated as unspecified";
    video.reserved_color.then(|| Reason::new("COLOR_TAGS_RESERVED", message))
}

/// The tag by which Matroska states that packets of VP8 and VP9 have an alpha channel beside them.
const ALPHA_TAG: &str = "alpha_mode";

/// Removes the alpha tag from a track that has no alpha channel beside its packets. Returns a
/// notice where the source may be transparent and the track is not.
pub(crate) fn settle_alpha(
    track: &mut Track,
    container: Format,
    stream: &StreamInfo,
    video: &VideoInfo,
) -> Option<Reason> {
    let is_tag = |key: &String| key.eq_ignore_ascii_case(ALPHA_TAG);
    // Whether alpha is stored beside the packets, whether or not this libav decodes it.
    let is_beside = stream.tags.iter().any(|(key, value)| is_tag(key) && value == "1");
    let is_within = video.pixel_format.as_ref().is_some_and(|pixels| pixels.alpha);
    let is_matroska = container.is_matroska();
    let keeps = match &track.action {
        Action::Encode(encoder) => has_alpha(encoder),
        Action::SmartCut(encoder) => !is_beside || (is_matroska && has_alpha(encoder)),
        Action::Copy | Action::Convert(_) => !is_beside || is_matroska,
    };
    let is_encoded = matches!(track.action, Action::Encode(_));
    track.tags.retain(|key, _| !is_tag(key) || (keeps && !is_encoded));
    alpha_notice(is_beside || is_within, keeps)
}

/// A notice where pictures may be transparent and those of the result are not.
pub(crate) fn alpha_notice(has_alpha: bool, keeps_alpha: bool) -> Option<Reason> {
    let message = "the pictures may have an alpha channel, which the result does not keep";
    (has_alpha && !keeps_alpha).then(|| Reason::new("ALPHA_DROPPED", message))
}

/// Whether pictures that an encoder takes can be transparent.
pub(crate) fn has_alpha(encoder: &Encoder) -> bool {
    let FrameFormat::Video(format) = &encoder.format else { return false };
    ["yuva", "rgba"].iter().any(|alpha| format.pixel_format.starts_with(alpha))
}

/// Why a stream that nobody kept is left out; `taken` is the one of its kind that is kept.
pub(crate) fn why_dropped(
    media: &MediaInfo,
    stream: &StreamInfo,
    taken: Option<&StreamInfo>,
    container: Format,
    tracks: Tracks,
) -> Reason {
    let name = container.name();
    if program(media).is_some_and(|program| !holds(media, program, stream)) {
        return Reason::new(
            "OTHER_PROGRAM",
            "it belongs to another program than the one that is used",
        );
    }
    match &stream.kind {
        Kind::Video(_) if stream.preview => {
            Reason::new("NOT_SELECTED", "it has a single picture, and another stream has the video")
        }
        Kind::Video(_) if stream.still => {
            Reason::new("ATTACHED_PICTURE", "it is cover art or a thumbnail, not a video stream")
        }
        Kind::Video(_) if container.is_audio() => {
            Reason::new("FORMAT_HAS_NO_VIDEO", format!("{name} holds audio only"))
        }
        Kind::Audio(_) if container.is_picture() => {
            Reason::new("FORMAT_HAS_NO_AUDIO", format!("{name} holds a picture only"))
        }
        Kind::Video(video) if video.width == 0 || video.height == 0 => {
            Reason::new("STREAM_UNKNOWN", "the size of its pictures is unknown")
        }
        Kind::Audio(audio) if audio.channels == 0 || audio.sample_rate.is_none() => {
            Reason::new("STREAM_UNKNOWN", "its channels or sample rate are unknown")
        }
        Kind::Video(_) | Kind::Audio(_) => Reason::new("NOT_SELECTED", not_selected(stream, taken)),
        Kind::Subtitle(_) if tracks == Tracks::Best => Reason::new(
            "SUBTITLES_NOT_ASKED_FOR",
            "subtitles are kept only where `tracks` is `all`",
        ),
        Kind::Subtitle(info) if !info.text => Reason::new(
            "SUBTITLE_BITMAP",
            "its subtitles are bitmaps, which can not be converted to text",
        ),
        Kind::Subtitle(_) => {
            Reason::new("FORMAT_HAS_NO_SUBTITLES", format!("{name} holds no subtitles"))
        }
        Kind::Data => Reason::new("DATA_STREAM", "it holds data that players do not show"),
        Kind::Attachment => Reason::new("ATTACHMENT", "it is an attached file, not a timed stream"),
    }
}

/// The first kept stream that is of the same input and kind as `other`.
pub(crate) fn taken<'a>(
    kept: &[StreamId],
    other: StreamId,
    media: &'a MediaInfo,
) -> Option<&'a StreamInfo> {
    let kind = media.streams.get(other.stream)?.kind.name();
    let of_input = kept.iter().filter(|kept| kept.input == other.input);
    let mut streams = of_input.filter_map(|kept| media.streams.get(kept.stream));
    streams.find(|taken| !taken.still && taken.kind.name() == kind)
}

/// Why the stream `taken` is preferred to `stream`, in words.
fn not_selected(stream: &StreamInfo, taken: Option<&StreamInfo>) -> String {
    let Some(taken) = taken else { return "the output has no stream of its kind".to_owned() };
    let area = |stream: &StreamInfo| match &stream.kind {
        Kind::Video(video) => u64::from(video.width) * u64::from(video.height),
        _ => 0,
    };
    let what = if taken.disposition.default && !stream.disposition.default {
        ", which is marked as default,"
    } else if area(taken) > area(stream) {
        ", which is larger,"
    } else if taken.index < stream.index {
        ", which comes first,"
    } else {
        ""
    };
    format!("stream {}{what} is used", taken.index)
}

/// Notices about an input as a whole.
pub(crate) fn input_notices(media: &MediaInfo) -> impl Iterator<Item = Reason> {
    let is_lost = media.followed && !media.reads_on();
    let followed = is_lost.then(|| {
        let message = "another file follows the first one in the input, and is not read";
        Reason::new("FILE_FOLLOWS", message)
    });
    let missing = (media.missing_bytes > 0).then(|| {
        let message =
            format!("the input is cut short: {} bytes of it are missing", media.missing_bytes);
        Reason::new("INPUT_SHORT", message)
    });
    declared_wrong(media).into_iter().chain(followed).chain(missing)
}

/// A notice where a header states a longer duration than the sample tables hold.
fn declared_wrong(media: &MediaInfo) -> Option<Reason> {
    /// The tolerated difference: this many seconds, or this part of the whole, whichever is more.
    const TOLERATED: (f64, f64) = (0.5, 0.01);
    media.streams.iter().find(|stream| stream.promised_packets.is_some())?;
    let end = |stream: &StreamInfo| {
        let start = stream.start.map_or(0.0, Timestamp::seconds);
        stream.duration.map(|duration| start + duration.seconds())
    };
    let ends: Option<Vec<f64>> = media.streams.iter().map(end).collect();
    let (declared, last) = (media.duration?.seconds(), ends?.into_iter().reduce(f64::max)?);
    (declared - last > TOLERATED.0.max(last * TOLERATED.1)).then(|| {
        let message = format!("the input states {declared:.3} s and has {last:.3} s");
        Reason::new("DURATION_DECLARED_WRONG", message)
    })
}

/// The tags of a stream or file that mean something in another container.
pub(crate) fn kept_tags(tags: &avocet_model::media::Tags) -> avocet_model::media::Tags {
    /// Tags that describe the old file, or that the muxer writes anew.
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
