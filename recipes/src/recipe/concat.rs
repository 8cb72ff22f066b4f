//! The recipe `concat`: joins inputs one after another.

use std::num::NonZeroU32;

use avocet_model::{
    error::Result,
    index::{IndexedPacket, RandomAccess, StreamIndex},
    media::{AudioInfo, Chapter, Projection, VideoInfo},
    plan::{
        Action, Dropped, Encoder, FrameFormat, Part, PictureFormat, Plan, Reason, Select,
        SoundFormat, Strategy, StreamId, Track, TrackKind,
    },
    time::{Rational, TimeBase, Timestamp, greatest_common_divisor},
};
use serde::{Deserialize, Serialize};

use super::trim::Range;
use crate::{
    decide::{
        choose, container,
        context::{CompileContext, Probed},
        copyable::{self, Holds},
        cut::{Section, is_independent, stream_end},
        losses,
        picture::{self, Target},
        projection,
        select::{Chooser, Source},
        smart_cut, sound,
        video::{self, Settings, Sized},
    },
    words::{
        codec::VideoCodec,
        format::Format,
        parameter::{Fit, LENIENT, Parameter, TRACKS, Tracks},
    },
};

/// The parameters of `concat`.
pub(crate) const PARAMETERS: &[Parameter] = &[TRACKS, LENIENT];

/// Joins two or more inputs.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Concat {
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

/// Nanoseconds, as a time base fine enough that rounding moves no sample and no frame.
const NANOSECONDS: TimeBase = match NonZeroU32::new(1_000_000_000) {
    Some(den) => Rational { num: NonZeroU32::MIN, den },
    None => Rational::ONE,
};

/// The frame rate of black pictures where the first video does not state one, in frames per second.
const USUAL_FRAME_RATE: Rational = match NonZeroU32::new(25) {
    Some(num) => Rational { num, den: NonZeroU32::MIN },
    None => Rational::ONE,
};

/// One input, or a section of it, in its place in the output.
struct Piece<'a> {
    probed: &'a Probed,
    section: Option<Section>,
    video: Option<Source<'a, VideoInfo>>,
    audio: Option<Source<'a, AudioInfo>>,
    /// Where it begins and ends on its own time line: the earliest start and the latest end of its
    /// streams, or the section.
    start: Timestamp,
    end: Timestamp,
    /// Where it begins in the output.
    offset: Timestamp,
}

impl Concat {
    pub(crate) fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let join = Join { format, tracks: self.tracks, lenient: self.lenient };
        let mut pieces = Vec::new();
        for (input, probed) in context.inputs.iter().enumerate() {
            choose::expect_open(probed)?;
            pieces.push(Piece::of(input, probed, format, None)?);
        }
        join.plan(pieces, Way::Whole, context)
    }
}

/// How pieces become one output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Join {
    pub(crate) format: Format,
    pub(crate) tracks: Tracks,
    pub(crate) lenient: bool,
}

/// The kind of pieces, and what may be done with their pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// Whole inputs, which are copied where they agree.
    Whole,
    /// Sections of one input, of which only the ends are encoded where that is possible.
    SmartCut,
    /// Sections of one input, encoded.
    Encoded,
}

impl Join {
    /// The plan that joins sections of the only input.
    pub(crate) fn sections(self, ranges: &[Range], context: &CompileContext<'_>) -> Result<Plan> {
        let probed = context.input()?;
        choose::expect_open(probed)?;
        let container = self.format;
        let pieces = || {
            let piece = |range: &Range| {
                let length = Some(range.duration_seconds);
                let section = Section::of(probed, range.start_seconds, length)?;
                Piece::of(0, probed, container, section)
            };
            ranges.iter().map(piece).collect::<Result<Vec<_>>>()
        };
        let mut plan = self.plan(pieces()?, Way::SmartCut, context)?;
        if plan.strategy == Strategy::SmartCut {
            let encoded = self.plan(pieces()?, Way::Encoded, context)?;
            plan.otherwise = Some(Box::new(encoded));
        }
        Ok(plan)
    }

    fn plan(
        self,
        mut pieces: Vec<Piece<'_>>,
        way: Way,
        context: &CompileContext<'_>,
    ) -> Result<Plan> {
        let Self { format, tracks: wanted, lenient } = self;
        let first_audio = pieces.iter().find_map(|piece| piece.audio);
        let rate = first_audio.and_then(|audio| audio.info.sample_rate);
        let base = rate.map_or(NANOSECONDS, TimeBase::of_rate);
        lay_out(&mut pieces, base);
        let mut tracks = Vec::new();
        if let Some(first) = pieces.iter().find_map(|piece| piece.video) {
            tracks.push(video_track(&pieces, &first, format, way, context)?);
        }
        if let Some(first) = first_audio {
            tracks.push(audio_track(&pieces, &first, format, way, context)?);
        }
        if tracks.is_empty() {
            let probed = context.input_at(0)?;
            return Err(choose::lacking(&probed.location, &probed.media, "an audio stream"));
        }
        let copies = tracks.iter().all(|track| track.action == Action::Copy);
        let has_smart_cut = tracks.iter().any(|track| matches!(track.action, Action::SmartCut(_)));
        let end = pieces.last().map_or(0.0, |piece| piece.offset.seconds() + piece.seconds());
        let medias = context.inputs.iter().map(|probed| &probed.media);
        let videos = || pieces.iter().filter_map(|piece| piece.video);
        let mut notices: Vec<_> = medias.flat_map(choose::input_notices).collect();
        notices.extend(videos().filter_map(|video| choose::color_notice(video.info)).take(1));
        for track in tracks.iter_mut().filter(|track| track.kind == TrackKind::Video) {
            let settled = videos()
                .filter_map(|video| choose::settle_alpha(track, format, video.stream, video.info));
            notices.extend(settled.last());
        }
        let medias = pieces.iter().map(|piece| &piece.probed.media);
        notices.extend(medias.filter_map(choose::program_notice).take(1));
        notices.extend(pieces.iter().filter_map(|piece| piece.section?.notice(piece.probed)));
        if wanted == Tracks::All {
            let message = "only the best streams of the inputs are joined";
            notices.push(Reason::new("TRACKS_NOT_JOINED", message));
        }
        let probed = context.input_at(0)?;
        let cover = Chooser { input: 0, probed, section: None }.cover(format);
        tracks.extend(cover.map(|cover| cover.kept_cover()));
        let dropped = dropped(context, &tracks, format, wanted);
        let chapters: Vec<_> = pieces.iter().flat_map(Piece::chapters).collect();
        notices.extend(format.chapters_notice(&chapters));
        notices.extend(losses::notices(&tracks, format, context));
        let output = container::output(format, probed, tracks, chapters, context);
        let infos = videos().map(|video| video.info);
        notices.extend(projection::notice(infos, format, &output));
        Ok(Plan {
            strategy: match (has_smart_cut, copies) {
                (true, _) => Strategy::SmartCut,
                (false, true) => Strategy::Copy,
                (false, false) => Strategy::Encode,
            },
            dropped,
            notices,
            seconds: Some(end),
            lenient,
            ..Plan::new(context.plan_inputs(), [output])
        })
    }
}

impl<'a> Piece<'a> {
    fn of(
        input: usize,
        probed: &'a Probed,
        container: Format,
        section: Option<Section>,
    ) -> Result<Self> {
        let chooser = Chooser { input, probed, section };
        let media = &probed.media;
        let video = choose::best_video(media);
        let video = video.and_then(|(stream, info)| chooser.pictures(stream, info));
        let audio = choose::best_audio(media);
        let audio = audio.and_then(|(stream, info)| chooser.sound(stream, info));
        // For an audio output, an input without audio is silence for as long as its pictures last.
        let is_seen = !container.is_audio();
        let counts = is_seen || audio.is_none();
        let ends = [video.as_ref().filter(|_| counts).map(ends), audio.as_ref().map(ends)];
        let ends = || ends.iter().flatten();
        let (Some(start), Some(end)) =
            (ends().map(|(start, _)| *start).min(), ends().map(|(_, end)| *end).max())
        else {
            return Err(choose::lacking(&probed.location, media, "a video or audio stream"));
        };
        let video = video.filter(|_| is_seen);
        let (start, end) = section.map_or((start, end), |section| {
            let at = |seconds| Timestamp::from_seconds(seconds, NANOSECONDS);
            (at(section.start), section.end.map_or(end, at).min(end))
        });
        Ok(Self { probed, section, video, audio, start, end, offset: Timestamp::ZERO })
    }

    fn seconds(&self) -> f64 {
        self.end.seconds() - self.start.seconds()
    }

    /// Its chapters, on the time line of the output.
    fn chapters(&self) -> Vec<Chapter> {
        let end = Timestamp::from_seconds(self.end.seconds(), Rational::MICROSECONDS);
        let mut chapters = container::chapters(&self.probed.media, self.start, Some(end));
        for chapter in &mut chapters {
            let base = chapter.start.base;
            let offset = self.offset.rescale(base).map_or(0, |offset| offset.ticks);
            (chapter.start, chapter.end) = (chapter.start.plus(offset), chapter.end.plus(offset));
        }
        chapters
    }

    /// The instant of its own time line that becomes 0 in the output.
    fn origin(&self) -> Timestamp {
        self.start.since(self.offset, NANOSECONDS).unwrap_or(self.start)
    }

    /// As [`origin`](Self::origin), for parts that filters make, whose time line begins with the
    /// piece.
    fn origin_of_made(&self) -> Timestamp {
        Timestamp::new(-self.offset.ticks, self.offset.base)
    }
}

/// Where a stream begins and ends; negative priming counts as 0.
fn ends<T>(source: &Source<'_, T>) -> (Timestamp, Timestamp) {
    let stream = source.stream;
    let at = |ticks| Timestamp::new(ticks, stream.time_base);
    let shown = || source.index.into_iter().flat_map(StreamIndex::shown);
    let start = stream.start.or_else(|| shown().map(|(pts, _)| at(pts)).min());
    let start = start.unwrap_or(Timestamp::ZERO);
    let start = if source.media.may_jump() { start } else { start.max(Timestamp::ZERO) };
    let last = shown().map(|(pts, packet)| at(pts + packet.duration)).max();
    let end = stream_end(stream).or(last).or_else(|| {
        let duration = stream.duration.or(source.media.duration)?;
        Some(start.plus(duration.rescale(start.base)?.ticks))
    });
    // A stream without any times is as long as its packets.
    let packets = source.index.into_iter().flat_map(|index| &index.packets);
    let end = end.or_else(|| {
        let length = packets.fold(at(0), |sum, packet| sum.plus(packet.duration));
        Some(start.plus(length.rescale(start.base)?.ticks))
    });
    (start, end.unwrap_or(start))
}

/// Puts the pieces one after the other, on ticks of `base`.
fn lay_out(pieces: &mut [Piece<'_>], base: TimeBase) {
    let mut offset = Timestamp::new(0, base);
    for piece in pieces {
        piece.offset = offset;
        let length = piece.end.since(piece.start, base).map_or(0, |length| length.ticks);
        offset = offset.plus(length.max(1));
    }
}

/// The length of a piece, in ticks of `base`; at least 1.
fn length(piece: &Piece<'_>, base: TimeBase) -> i64 {
    piece.end.since(piece.start, base).map_or(1, |length| length.ticks).max(1)
}

fn dropped(
    context: &CompileContext<'_>,
    tracks: &[Track],
    container: Format,
    wanted: Tracks,
) -> Vec<Dropped> {
    let kept: Vec<StreamId> = tracks.iter().flat_map(Track::sources).collect();
    let mut dropped = Vec::new();
    for (input, Probed { media, .. }) in context.inputs.iter().enumerate() {
        for stream in &media.streams {
            let id = StreamId { input, stream: stream.index };
            if kept.contains(&id) {
                continue;
            }
            let taken = choose::taken(&kept, id, media);
            let mut because = choose::why_dropped(media, stream, taken, container, Tracks::Best);
            if wanted == Tracks::All && because.code == "SUBTITLES_NOT_ASKED_FOR" {
                because =
                    Reason::new("TRACKS_NOT_JOINED", "subtitles of several inputs are not joined");
            }
            let kind = stream.kind.name().to_owned();
            dropped.push(Dropped { input, stream: stream.index, kind, because });
        }
    }
    dropped
}

/// The video of all pieces: copied when they agree, by smart cuts where that is possible, else
/// encoded.
fn video_track(
    pieces: &[Piece<'_>],
    first: &Source<'_, VideoInfo>,
    format: Format,
    way: Way,
    context: &CompileContext<'_>,
) -> Result<Track> {
    let may_copy = match way {
        Way::Whole => agree(pieces, first, format),
        Way::SmartCut => match smart_cuts(pieces, first, format, context) {
            Ok(track) => return Ok(track),
            Err(why) => Err(vec![why]),
        },
        Way::Encoded => Err(vec![smart_cut::failed()]),
    };
    let mut because = match may_copy {
        Ok(because) => {
            let mut track = video::copy(first, format, None, vec![because]);
            let part = |piece: &Piece<'_>| {
                let part = piece.video.map(|source| source.copied(None))?;
                Some(Part { origin: piece.origin(), ..part })
            };
            track.parts = pieces.iter().filter_map(part).collect();
            return Ok(track);
        }
        Err(why) => why,
    };
    let capabilities = context.capabilities;
    let (codec, why) = VideoCodec::like_source(&first.stream.codec, format, capabilities);
    because.extend(why);
    let name = codec.encoder(capabilities)?;
    let settings = Settings::usual(codec);
    let Sized { width, height, .. } = video::picture_for(first, &settings, &mut because)?;
    // Where inputs differ in dynamic range, all become standard.
    let kind = |video: &VideoInfo| {
        let color = &video.color;
        video.is_hdr().then(|| (color.transfer.clone(), color.primaries.clone()))
    };
    let mut videos = pieces.iter().filter_map(|piece| piece.video);
    let is_mixed = videos.any(|source| kind(source.info) != kind(first.info));
    if is_mixed {
        let message = "the inputs differ in dynamic range, so all become standard dynamic range";
        because.push(Reason::new("HDR_TO_SDR", message));
    }
    let mut target = target_of(first, first, (width, height), codec, is_mixed, &mut because);
    let mut encoder = video::encoder(name, first, &settings, &target, &mut because);
    let time_base = common_base(pieces.iter().filter_map(|piece| piece.video.as_ref()));
    let frame_rate = first.info.frame_rate.unwrap_or(USUAL_FRAME_RATE);
    if let FrameFormat::Video(picture) = &mut encoder.format {
        picture.time_base = time_base;
        // Frames of several inputs keep their timestamps, which are not at a constant rate.
        encoder.options.retain(|(key, _)| key != "x264-params");
    }
    let mut parts = Vec::new();
    let mut projection = projection::after_encode(first.info, &target);
    for piece in pieces {
        parts.push(match &piece.video {
            Some(source) => {
                target =
                    target_of(source, first, (width, height), codec, is_mixed, &mut Vec::new());
                if projection::after_encode(source.info, &target) != projection {
                    projection = Projection::default();
                }
                let filters = picture::filters(
                    source.location,
                    source.stream,
                    source.info,
                    &target,
                    capabilities,
                )?;
                Part { origin: piece.origin(), ..source.encoded(filters.text) }
            }
            None => black(piece, &encoder, frame_rate),
        });
    }
    let tag = (codec == VideoCodec::Hevc).then(|| "hvc1".to_owned());
    let part = first.copied(None);
    Ok(Track {
        action: Action::Encode(Box::new(encoder)),
        tag,
        parts,
        projection,
        ..first.track(TrackKind::Video, part, because)
    })
}

/// The video of sections, copied except for the pictures at their ends.
fn smart_cuts(
    pieces: &[Piece<'_>],
    first: &Source<'_, VideoInfo>,
    container: Format,
    context: &CompileContext<'_>,
) -> Result<Track, Reason> {
    let fits = copyable::video(first, container, Holds::Standard)?;
    let mut track = video::copy(first, container, None, vec![fits]);
    // Where every packet is a keyframe that closes its GOP, nothing need be encoded.
    let copied = |piece: &Piece<'_>| {
        let source = piece.video?;
        let span = source.copy_span().ok()?;
        let stands = |packet: &IndexedPacket| packet.entry == RandomAccess::ClosedGop;
        let is_intra = source.index.is_some_and(|index| index.packets.iter().all(stands));
        is_intra.then(|| Part { origin: piece.origin(), ..source.copied(span) })
    };
    if let Some(parts) = pieces.iter().map(copied).collect() {
        track.parts = parts;
        return Ok(track);
    }
    track.parts.clear();
    let message = "sections begin or end within groups of pictures, whose ends are encoded";
    track.because.insert(0, Reason::new("ENDS_ENCODED", message));
    let no_video = || Reason::new("INPUTS_DIFFER", "a section has no video, so black is inserted");
    for piece in pieces {
        let source = piece.video.ok_or_else(no_video)?;
        let (encoder, copied) = smart_cut::of_one_among(&source, context.capabilities)?;
        let part = Part { copied: Some(copied), ..source.encoded(String::new()) };
        track.parts.push(Part { origin: piece.origin(), ..part });
        track.action = Action::SmartCut(Box::new(encoder));
    }
    if track.parts.iter().all(|part| part.copied.is_none_or(|run| run.keyframe_pts.is_none())) {
        return Err(Reason::new(
            "SEAM_NOT_COPYABLE",
            "no section holds a closed group of pictures",
        ));
    }
    // All parts get the largest reorder delay of any of them.
    let runs = || track.parts.iter().filter_map(|part| part.copied);
    let delay = runs().map(|run| run.delay).max().unwrap_or(0);
    track.parts.iter_mut().filter_map(|part| part.copied.as_mut()).for_each(|it| it.delay = delay);
    Ok(track)
}

/// The pictures that those of one input are turned into: in the form of the first input, padded
/// where their shape differs.
fn target_of(
    source: &Source<'_, VideoInfo>,
    first: &Source<'_, VideoInfo>,
    (width, height): (NonZeroU32, NonZeroU32),
    codec: VideoCodec,
    is_mixed: bool,
    because: &mut Vec<Reason>,
) -> Target {
    let frame = video::framed(source.info.shown_size(), width, height, Fit::Contain);
    let sized = Sized { width, height, frame };
    let target = video::target(first.info, &sized, codec, because);
    let tone_map = source.info.is_hdr() && (is_mixed || target.tone_map);
    let color = if is_mixed { picture::bt709() } else { target.color };
    Target { color, tone_map, ..target }
}

/// The time base in which every frame of all pieces has its exact time, as far as there is one.
fn common_base<'a>(sources: impl Iterator<Item = &'a Source<'a, VideoInfo>>) -> TimeBase {
    let bases: Vec<TimeBase> = sources.map(|source| source.stream.time_base).collect();
    let finest = bases.iter().copied().max_by_key(|base| base.den).unwrap_or(NANOSECONDS);
    let common = bases.iter().try_fold(1_u32, |all, base| {
        let multiple =
            all.checked_mul(base.den.get() / greatest_common_divisor(all, base.den.get()))?;
        i32::try_from(multiple).is_ok().then_some(multiple)
    });
    common.and_then(|den| Rational::new(1_u32, den)).unwrap_or(finest)
}

/// Black for as long as a piece lasts.
fn black(piece: &Piece<'_>, encoder: &Encoder, rate: Rational) -> Part {
    let filters = match &encoder.format {
        FrameFormat::Video(PictureFormat { width, height, pixel_format, .. }) => format!(
            "color=c=black:s={width}x{height}:r={rate}:d={:.6},format={pixel_format},setsar=1",
            piece.seconds()
        ),
        FrameFormat::Audio(_) => String::new(),
    };
    made(piece.origin_of_made(), filters)
}

/// Whether the pictures of all pieces can be copied one after the other, else why not.
fn agree(
    pieces: &[Piece<'_>],
    first: &Source<'_, VideoInfo>,
    container: Format,
) -> Result<Reason, Vec<Reason>> {
    copyable::video(first, container, Holds::Standard).map_err(|why| vec![why])?;
    let mut why = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let differs = match &piece.video {
            None => Some("has no video, so black is inserted".to_owned()),
            Some(source) => difference(source, first).or_else(|| join_obstacle(source, number > 0)),
        };
        let reason = |what| Reason::new("INPUTS_DIFFER", format!("input {number} {what}"));
        why.extend(differs.map(reason));
    }
    if why.is_empty() {
        return Ok(Reason::new("INPUTS_AGREE", "all inputs are coded alike"));
    }
    Err(why)
}

/// In what the pictures of an input differ from the first, in words.
fn difference(source: &Source<'_, VideoInfo>, first: &Source<'_, VideoInfo>) -> Option<String> {
    let (own, other) = (source.info, first.info);
    let size = |video: &VideoInfo| {
        let (width, height) = video.shown_size();
        format!("{width:.0}x{height:.0}")
    };
    let is_alike = (
        source.stream.codec == first.stream.codec,
        source.stream.extradata == first.stream.extradata,
    );
    if !is_alike.0 {
        return Some(format!("is {}, the first {}", source.stream.codec, first.stream.codec));
    }
    if size(own) != size(other) {
        return Some(format!("is {}, the first {}", size(own), size(other)));
    }
    if (own.orientation, own.orientation_in_pictures)
        != (other.orientation, other.orientation_in_pictures)
    {
        return Some("is rotated in another way than the first".to_owned());
    }
    if own.crop != other.crop {
        return Some("is cropped in another way than the first".to_owned());
    }
    if (own.width, own.height, own.pixel_aspect) != (other.width, other.height, other.pixel_aspect)
    {
        let coded = |video: &VideoInfo| {
            let VideoInfo { width, height, pixel_aspect, .. } = video;
            format!("{width}x{height} with pixels of {pixel_aspect}")
        };
        return Some(format!("is coded as {}, the first as {}", coded(own), coded(other)));
    }
    if own.pixel_format != other.pixel_format || own.color != other.color || own.hdr != other.hdr {
        return Some("has other colors than the first".to_owned());
    }
    if own.projection != other.projection {
        return Some("has other spherical or stereoscopic metadata than the first".to_owned());
    }
    (!is_alike.1).then(|| "is coded with other parameter sets than the first".to_owned())
}

/// Why a copy can not begin where a piece does, in words; `None` where it can.
fn join_obstacle(source: &Source<'_, VideoInfo>, is_later: bool) -> Option<String> {
    let hides = |stream: &avocet_model::media::StreamInfo| {
        stream.hidden_after > 0 || (is_later && stream.hidden_before > 0)
    };
    if hides(source.stream) {
        return Some(
            "has an edit list that would hide packets in the middle of the result".to_owned(),
        );
    }
    let begins = source.index.and_then(|index| index.packets.first());
    let is_closed = begins.is_some_and(|packet| packet.entry == RandomAccess::ClosedGop);
    (!is_closed).then(|| "does not begin with a keyframe of a closed group of pictures".to_owned())
}

/// The audio of all pieces: copied where that is possible, else encoded.
fn audio_track(
    pieces: &[Piece<'_>],
    first: &Source<'_, AudioInfo>,
    container: Format,
    way: Way,
    context: &CompileContext<'_>,
) -> Result<Track> {
    let may_copy = if way == Way::Whole {
        joins(pieces, first, container, context)
    } else {
        let message =
            "samples that are cut off within a packet can not be hidden in the middle of a stream";
        Err(vec![Reason::new("PRIMING_AT_JOIN", message)])
    };
    let because = match may_copy {
        Ok(because) => {
            let part = |piece: &Piece<'_>| {
                let part = piece.audio.map(|source| source.copied(None))?;
                Some(Part { origin: piece.origin(), ..part })
            };
            let parts = pieces.iter().filter_map(part).collect();
            return Ok(Track { parts, ..sound::copy(first, None, vec![because]) });
        }
        Err(why) => why,
    };
    let mut layouts = pieces.iter().map(|piece| piece.audio.map(|audio| &audio.info.layout));
    let is_joined = layouts.any(|layout| layout != Some(&first.info.layout));
    let usual = sound::Settings::usual(container);
    let settings = sound::Settings { lossless: sound::Lossless::KeptAsPcm, is_joined, ..usual };
    let mut track = sound::encode(first, container, settings, because, context)?;
    let Action::Encode(encoder) = &track.action else { return Ok(track) };
    let FrameFormat::Audio(format) = &encoder.format else { return Ok(track) };
    let base = TimeBase::of_rate(format.sample_rate);
    // Lengths are whole samples of the result, so that pieces follow each other without a gap.
    let mut begin = 0;
    let mut parts = Vec::new();
    for piece in pieces {
        let end = piece.offset.plus(length(piece, piece.offset.base)).rescale(base);
        let samples = end.map_or(0, |end| end.ticks) - begin;
        parts.push(sound_part(piece, format, begin, samples.max(1)));
        begin = Timestamp::new(begin, base).plus(samples.max(1)).ticks;
    }
    track.parts = parts;
    Ok(track)
}

/// The audio of one piece, padded or cut to `samples` samples, which begin at sample `begin` of the
/// result.
fn sound_part(piece: &Piece<'_>, format: &SoundFormat, begin: i64, samples: i64) -> Part {
    let SoundFormat { sample_rate, layout, sample_format } = format;
    let form = format!(
        "aformat=sample_fmts={sample_format}:sample_rates={sample_rate}:channel_layouts={layout}"
    );
    let origin = Timestamp::new(-begin, TimeBase::of_rate(*sample_rate));
    let Some(source) = &piece.audio else {
        let filters =
            format!("anullsrc=r={sample_rate}:cl={layout},atrim=end_sample={samples},{form}");
        return made(origin, filters);
    };
    let trimming = sound::trimming(source).map(|trim| trim + ",").unwrap_or_default();
    let mixing = sound::mixing(source.info, layout).map(|mix| mix + ",").unwrap_or_default();
    let start = piece.start.seconds();
    let filters = format!(
        "{trimming}{mixing}asetpts=round(PTS-({start:.9})/TB),aresample={sample_rate},{form}"
    );
    let pad_filters = format!(
        "aresample={sample_rate}:async=1:first_pts=0:min_hard_comp=0.02,\
         apad=whole_len={samples},atrim=end_sample={samples},asetpts=N/SR/TB"
    );
    Part { origin, pad_filters, ..source.encoded(filters) }
}

/// A part that filters make. `origin` is the instant of its time line that becomes 0 in the output.
fn made(origin: Timestamp, filters: String) -> Part {
    Part {
        source: None,
        origin,
        select: Select::All,
        filters,
        copied: None,
        pad_filters: String::new(),
    }
}

/// Whether the audio of all pieces can be copied one after the other, else why not.
fn joins(
    pieces: &[Piece<'_>],
    first: &Source<'_, AudioInfo>,
    container: Format,
    context: &CompileContext<'_>,
) -> Result<Reason, Vec<Reason>> {
    copyable::audio(first, container, Holds::Standard, context).map_err(|why| vec![why])?;
    let mut why = Vec::new();
    if container == Format::Flac {
        why.push(copyable::counted_in_header());
    }
    for (number, piece) in pieces.iter().enumerate() {
        let differs = match &piece.audio {
            None => Some("has no audio, so silence is inserted"),
            Some(source) if source.stream.codec != first.stream.codec => Some("has another codec"),
            Some(source) if source.info != first.info => Some("has another rate or layout"),
            Some(source) if source.stream.extradata != first.stream.extradata => {
                Some("is coded with another configuration")
            }
            Some(source) if !is_independent(&source.stream.codec) => {
                why.push(Reason::new(
                    "PRIMING_AT_JOIN",
                    format!("input {number} begins with priming that only a decoder can remove"),
                ));
                None
            }
            Some(source) if ends(source) != (piece.start, piece.end) => {
                Some("has sound that is not as long as its picture")
            }
            Some(_) => None,
        };
        let reason = |what| Reason::new("INPUTS_DIFFER", format!("input {number} {what}"));
        why.extend(differs.map(reason));
    }
    if why.is_empty() {
        return Ok(Reason::new("INPUTS_AGREE", "all inputs are coded alike"));
    }
    Err(why)
}
