//! Shared judgement on streams: which is the real one, what is left out, what may be copied.

use std::cmp::Reverse;

use avocet_model::{
    error::{Error, Result},
    index::StreamIndex,
    location::Location,
    media::{AudioInfo, Kind, MediaInfo, ProgramInfo, StreamInfo, VideoInfo},
    plan::{Action, Encoder, FrameFormat, Reason, StreamId, Track},
    time::Timestamp,
};

use super::{
    container::Container,
    context::{CompileContext, Probed},
    cut,
    select::Source,
};
use crate::words::{format::Format, parameter::Tracks};

/// The best real video stream: the one marked as default, then the largest, then the first.
pub(crate) fn best_video(media: &MediaInfo) -> Option<(&StreamInfo, &VideoInfo)> {
    media.videos().filter(|(_, video)| video.width > 0 && video.height > 0).min_by_key(
        |(stream, video)| {
            let area = u64::from(video.width) * u64::from(video.height);
            (Reverse(stream.disposition.default), Reverse(area), stream.index)
        },
    )
}

/// The audio streams of which something is known, of the one [`program`].
pub(crate) fn real_audios(media: &MediaInfo) -> impl Iterator<Item = (&StreamInfo, &AudioInfo)> {
    let program = program(media);
    audios(media).filter(move |(stream, _)| program.is_none_or(|it| holds(media, it, stream)))
}

fn audios(media: &MediaInfo) -> impl Iterator<Item = (&StreamInfo, &AudioInfo)> {
    media.audios().filter(|(_, audio)| audio.channels > 0 && audio.sample_rate.is_some())
}

/// The program whose streams are taken, of several: that of the best pictures, else of the first
/// sound.
pub(crate) fn program(media: &MediaInfo) -> Option<&ProgramInfo> {
    let video = best_video(media).map(|(stream, _)| stream);
    let stream = video.or_else(|| audios(media).next().map(|(stream, _)| stream))?;
    let program = media.programs.iter().find(|it| it.streams.contains(&stream.index))?;
    media.streams.iter().any(|stream| !holds(media, program, stream)).then_some(program)
}

/// Whether a stream is of a program, or of none.
pub(crate) fn holds(media: &MediaInfo, program: &ProgramInfo, stream: &StreamInfo) -> bool {
    let is_of = |program: &ProgramInfo| program.streams.contains(&stream.index);
    is_of(program) || !media.programs.iter().any(is_of)
}

/// What the user should know of programs that are left out.
pub(crate) fn program_notice(media: &MediaInfo) -> Option<Reason> {
    let chosen = program(media)?;
    let name = |program: &ProgramInfo| match &program.name {
        Some(name) => format!("{} ({name})", program.number),
        None => program.number.to_string(),
    };
    let others = media.programs.iter().filter(|it| it.number != chosen.number);
    let others: Vec<String> = others.filter(|it| !it.streams.is_empty()).map(name).collect();
    let message = format!("program {} is taken, and not {}", name(chosen), others.join(", "));
    Some(Reason::new("PROGRAM_CHOSEN", message))
}

/// The audio stream marked as default, else the first.
pub(crate) fn best_audio(media: &MediaInfo) -> Option<(&StreamInfo, &AudioInfo)> {
    real_audios(media).min_by_key(|(stream, _)| (Reverse(stream.disposition.default), stream.index))
}

/// Fails for media that nobody can read without its key.
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

/// The picture that is shown of an input: of the best video stream, else its cover art, with what
/// the user should know of that.
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
    let message = "there are no moving pictures, so the cover art is shown";
    Ok((stream, video, Some(Reason::new("COVER_SHOWN", message))))
}

/// Why a stream of pictures is the one that is shown.
pub(crate) fn best() -> Reason {
    Reason::new("BEST_VIDEO", "it is the best stream of moving pictures")
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

/// What the user should know of the colors of a source.
pub(crate) fn color_notice(video: &VideoInfo) -> Option<Reason> {
    let message = "color tags of the video are reserved values, which count as not said";
    video.reserved_color.then(|| Reason::new("COLOR_TAGS_RESERVED", message))
}

/// The tag by which Matroska says that packets of VP8 and VP9 have an alpha channel beside them.
const ALPHA_TAG: &str = "alpha_mode";

/// Lets a track claim an alpha channel only where it has one beside its packets; answers what the
/// user should know where pictures may be transparent and those of the track are not.
pub(crate) fn settle_alpha(
    track: &mut Track,
    container: Container,
    stream: &StreamInfo,
    video: &VideoInfo,
) -> Option<Reason> {
    let is_tag = |key: &String| key.eq_ignore_ascii_case(ALPHA_TAG);
    // Whether it is beside packets, be it that this libav decodes it or not.
    let is_beside = stream.tags.iter().any(|(key, value)| is_tag(key) && value == "1");
    let is_within = video.pixel_format.as_ref().is_some_and(|pixels| pixels.alpha);
    let is_matroska = container == Container::Of(Format::Webm);
    let keeps = match &track.action {
        Action::Encode(encoder) => has_alpha(encoder),
        Action::SmartCut(encoder) => !is_beside || (is_matroska && has_alpha(encoder)),
        Action::Copy | Action::Convert(_) => !is_beside || is_matroska,
    };
    let is_encoded = matches!(track.action, Action::Encode(_));
    track.tags.retain(|key, _| !is_tag(key) || (keeps && !is_encoded));
    alpha_notice(is_beside || is_within, keeps)
}

/// What the user should know where pictures may be transparent and those of the result are not.
pub(crate) fn alpha_notice(has_alpha: bool, keeps_alpha: bool) -> Option<Reason> {
    let message = "the pictures may be transparent, and those of the result are not";
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
    container: Container,
    tracks: Tracks,
) -> Reason {
    let name = container.name();
    if program(media).is_some_and(|program| !holds(media, program, stream)) {
        return Reason::new("OTHER_PROGRAM", "it is of another program than the one that is taken");
    }
    match &stream.kind {
        Kind::Video(_) if stream.preview => {
            Reason::new("NOT_SELECTED", "it has one picture, and another stream moves")
        }
        Kind::Video(_) if stream.still => Reason::new(
            "ATTACHED_PICTURE",
            "it is cover art or a thumbnail, not a stream of moving pictures",
        ),
        Kind::Video(_) if container.is_audio() => {
            Reason::new("FORMAT_HAS_NO_VIDEO", format!("{name} holds sound only"))
        }
        Kind::Audio(_) if container.format().is_some_and(Format::is_picture) => {
            Reason::new("FORMAT_HAS_NO_AUDIO", format!("{name} holds a picture only"))
        }
        Kind::Video(video) if video.width == 0 || video.height == 0 => {
            Reason::new("STREAM_UNKNOWN", "nothing tells the size of its pictures")
        }
        Kind::Audio(audio) if audio.channels == 0 || audio.sample_rate.is_none() => {
            Reason::new("STREAM_UNKNOWN", "nothing tells its channels or its rate")
        }
        Kind::Video(_) | Kind::Audio(_) => Reason::new("NOT_SELECTED", not_selected(stream, taken)),
        Kind::Subtitle(_) if tracks == Tracks::Best => {
            Reason::new("SUBTITLES_NOT_ASKED_FOR", "subtitles are kept only with all tracks")
        }
        Kind::Subtitle(info) if !info.text => {
            Reason::new("SUBTITLE_BITMAP", "its subtitles are pictures, which can not become text")
        }
        Kind::Subtitle(_) => {
            Reason::new("FORMAT_HAS_NO_SUBTITLES", format!("{name} holds no text"))
        }
        Kind::Data => Reason::new("DATA_STREAM", "it holds data that players do not show"),
        Kind::Attachment => {
            Reason::new("ATTACHMENT", "it is a file carried along, not a stream in time")
        }
    }
}

/// The first stream that is kept of the same input and kind as another.
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

/// What the stream that is kept has before another one of its kind.
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
    format!("stream {}{what} is taken", taken.index)
}

/// What the user should know of an input as a whole.
pub(crate) fn input_notices(media: &MediaInfo) -> impl Iterator<Item = Reason> {
    let is_lost = media.followed && !media.reads_on();
    let followed = is_lost.then(|| {
        let message = "another file stands behind the first in the input, and is not read";
        Reason::new("FILE_FOLLOWS", message)
    });
    let missing = (media.missing_bytes > 0).then(|| {
        let message =
            format!("the input is cut short: {} bytes of it are missing", media.missing_bytes);
        Reason::new("INPUT_SHORT", message)
    });
    declared_wrong(media).into_iter().chain(followed).chain(missing)
}

/// What the user should know when a header states more than the sample tables hold.
fn declared_wrong(media: &MediaInfo) -> Option<Reason> {
    /// A difference that is none: so many seconds, or this part of the whole.
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

/// What may be copied into a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Holds {
    /// What plays wherever the container does.
    Common,
    /// Whatever the container's standard has a place for.
    Standard,
}

/// The codecs that a container holds as they are, by libav's names.
struct Held {
    container: Container,
    is_video: bool,
    /// What plays wherever the container does.
    common: &'static [&'static str],
    /// What its standard has a place for beside that.
    standard: &'static [&'static str],
}

impl Held {
    const fn video(
        format: Format,
        common: &'static [&'static str],
        standard: &'static [&'static str],
    ) -> Self {
        Self { container: Container::Of(format), is_video: true, common, standard }
    }

    const fn audio(
        container: Container,
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
    Held::audio(Container::Of(Format::Mp4), &["aac", "mp3"], &["ac3", "eac3", "alac"]),
    Held::audio(Container::Of(Format::Mov), &["aac", "mp3", "alac"], &["ac3", "eac3"]),
    Held::audio(Container::Of(Format::Mov), LITTLE_ENDIAN_PCM, &[]),
    Held::audio(Container::Of(Format::Webm), &["opus", "vorbis"], &[]),
    Held::audio(Container::Of(Format::Mp3), &["mp3"], &[]),
    Held::audio(Container::Of(Format::Aac), &["aac"], &[]),
    Held::audio(Container::Of(Format::M4a), &["aac", "alac"], &[]),
    Held::audio(Container::Of(Format::Wav), LITTLE_ENDIAN_PCM, &[]),
    Held::audio(Container::Opus, &["opus"], &[]),
    Held::audio(Container::Ogg, &["vorbis"], &[]),
    Held::audio(Container::Flac, &["flac"], &[]),
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
fn is_held(codec: &str, is_video: bool, container: Container, holds: Holds) -> bool {
    HELD.iter().any(|held| {
        let is_standard = holds == Holds::Standard && held.standard.contains(&codec);
        held.container == container
            && held.is_video == is_video
            && (is_standard || held.common.contains(&codec))
    })
}

/// Whether a video stream may be copied into a container, else the reason why not.
pub(crate) fn copyable_video(
    source: &Source<'_, VideoInfo>,
    container: Container,
    holds: Holds,
) -> Result<Reason, Reason> {
    let codec = source.stream.codec.as_str();
    parameters_last(source)?;
    if !is_held(codec, true, container, holds) {
        return Err(not_in_container(codec, container));
    }
    if source.info.needs_dolby_vision() && container.format() != Some(Format::Mp4) {
        // libavformat writes the record of Dolby Vision nowhere else, and it must not get lost.
        return Err(not_in_container("Dolby Vision", container));
    }
    // Others state decoding times at most; where pictures are reordered that is not enough.
    let is_reordered = matches!(codec, "h264" | "hevc" | "mpeg2video" | "mpeg4");
    // Program streams may leave out times, and then one picture seems to be shown with another.
    let shown = source.index.filter(|_| source.media.is_format("mpeg") && source.section.is_none());
    let shares_times = shown.is_some_and(|index| {
        cut::as_shown(index.packets.iter().filter_map(|packet| packet.pts)).is_err()
    });
    if is_reordered && (!source.media.states_presentation() || shares_times) {
        return Err(Reason::new(
            "TIMES_MISSING",
            "its container does not say when a picture is shown; decoding it tells",
        ));
    }
    // Matroska counts in milliseconds.
    let is_fine = source.info.frame_rate.is_some_and(|rate| rate.as_f64() > 1000.0);
    if is_fine && container == Container::Of(Format::Webm) {
        return Err(Reason::new(
            "TIMES_TOO_FINE",
            "its pictures are less than a millisecond apart, which webm can not tell",
        ));
    }
    let is_8_bit_420 = source
        .info
        .pixel_format
        .as_ref()
        .is_some_and(|pixels| pixels.depth == 8 && pixels.chroma_shift == (1, 1));
    if codec == "h264" && !is_8_bit_420 && holds == Holds::Common {
        return Err(Reason::new(
            "VIDEO_NOT_8_BIT_420",
            "H.264 of other depth or chroma than 8-bit 4:2:0 plays in few places",
        ));
    }
    if !source.info.crop.is_empty() {
        let message = "its container crops the picture, which a copy would show whole";
        return Err(Reason::new("CROPPED_BY_CONTAINER", message));
    }
    if source.info.orientation_in_pictures {
        let message = "only its pictures say how they are turned, which few players follow";
        return Err(Reason::new("TURNED_BY_PICTURES", message));
    }
    hidden_packets_fit(source, container)?;
    Ok(copied(codec, container))
}

/// Whether an audio stream may be copied into a container, else the reason why not.
pub(crate) fn copyable_audio(
    source: &Source<'_, AudioInfo>,
    container: Container,
    holds: Holds,
    context: &CompileContext<'_>,
) -> Result<Reason, Reason> {
    let codec = source.stream.codec.as_str();
    parameters_last(source)?;
    if !is_held(codec, false, container, holds) {
        return Err(not_in_container(codec, container));
    }
    if container == Container::Of(Format::Aac) && !fits_adts(source.stream) {
        let message = "ADTS has no place for its configuration";
        return Err(Reason::new("AAC_NOT_IN_ADTS", message));
    }
    if context.has_gaps && !container.keeps_gaps() {
        let message = format!("packets leave gaps or overlap, and {} keeps none", container.name());
        return Err(Reason::new("SOUND_HAS_GAPS", message));
    }
    hidden_packets_fit(source, container)?;
    Ok(copied(codec, container))
}

/// Fails where codec parameters change on the way: the header of a copy tells of the first only.
fn parameters_last<T>(source: &Source<'_, T>) -> Result<(), Reason> {
    let changes = source.stream.parameters_change || source.index.is_some_and(StreamIndex::changes);
    if !changes {
        return Ok(());
    }
    let message = "its codec parameters change on the way, which a stream copy can not follow";
    Err(Reason::new("PARAMETERS_CHANGE", message))
}

/// Whether ADTS has a place for what the AAC of a stream is (ISO/IEC 14496-3, 1.A.2): two bits of
/// profile, three of channels; no explicit signalling of anything else.
fn fits_adts(stream: &StreamInfo) -> bool {
    let Some((first, second)) = stream.extradata.first().zip(stream.extradata.get(1)) else {
        // It comes without a configuration, as from ADTS itself.
        return true;
    };
    let (object_type, channels) = (first >> 3, (second >> 3) & 15);
    (1..=4).contains(&object_type) && (1..=7).contains(&channels)
}

/// Fails where packets that an edit list hides would be shown in a copy.
///
/// What is hidden before the start of the output stays hidden in MP4 and QuickTime, and is left out
/// of formats without times; nothing else can hide it.
fn hidden_packets_fit<T>(source: &Source<'_, T>, container: Container) -> Result<(), Reason> {
    let stream = source.stream;
    let begins_at_zero = stream.start.is_none_or(|start| start <= source.origin);
    let holds_before = begins_at_zero && container != Container::Of(Format::Webm);
    // What a section leaves out need not be hidden, where it is one piece of the media.
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

fn copied(codec: &str, container: Container) -> Reason {
    Reason::new("CODEC_FITS", format!("{} holds {codec} as it is", container.name()))
}

fn not_in_container(codec: &str, container: Container) -> Reason {
    Reason::new(
        "CODEC_NOT_IN_CONTAINER",
        format!("{codec} is not copied into {}", container.name()),
    )
}

/// The tags of a stream or file that mean something in another container.
pub(crate) fn kept_tags(tags: &avocet_model::media::Tags) -> avocet_model::media::Tags {
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
