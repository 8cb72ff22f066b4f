//! Holds what was read against what was promised, and what was written against what was read.

use std::io::{self, Read as _};

use avocet_model::{
    error::{Error, Result},
    format::{riff, seek::ReadSeek},
    index::Index,
    media::{Kind, MediaInfo, StreamInfo, movie::Movie},
    plan::{
        Action, Content, FrameFormat, Output, Part, Plan, Reason, Select, StreamId, Track,
        TrackKind,
    },
    progress::CancelToken,
    time::{Rational, Timestamp},
};

use super::counters::{Counted, Extent, Read, with_counts};
use crate::{
    libav::{Demuxer, Depth, Fault, limits::Limits},
    read::index,
};

/// Undecodable media that is still a warning: so many seconds, or this part of the whole.
const TOLERATED_SECONDS: f64 = 0.5;
const TOLERATED_PART: f64 = 0.01;

/// What the end of a span may miss without being short of data, and what a container may state
/// beside the truth, in seconds: a packet of sound, and a tick.
const SLACK: f64 = 0.1;

/// What an input owes.
struct Shortfall {
    what: String,
    lost: f64,
}

/// Judges what was read of all inputs, and gathers warnings about it.
///
/// # Errors
/// [`Error::Damaged`] when an input fell short; with a lenient plan that is a warning, unless there
/// is no frame at all.
pub(crate) fn check_inputs(
    plan: &Plan,
    media: &[MediaInfo],
    counts: &[Vec<Counted>],
    warnings: &mut Vec<Reason>,
) -> Result<()> {
    for (track, counted) in with_counts(plan, counts) {
        for (part, count) in track.parts.iter().zip(&counted.parts) {
            if let Some(source) = part.source {
                let stream = media[source.input].streams.get(source.stream);
                let seen = Seen { track, part, source, stream, count };
                seen.check(plan, warnings)?;
            }
        }
        let name = track.sources().map(|source| source.to_string()).collect::<Vec<_>>().join(", ");
        let name = format!("{} stream {name}", track.kind.name());
        let moved = counted.written.moved;
        warn_of(&name, "TIMES_MOVED", moved, "frames shared a tick and moved on by one", warnings);
        let what = "frames left out, which the output's clock can not tell from the one before";
        warn_of(&name, "FRAMES_INDISTINCT", counted.written.indistinct, what, warnings);
        check_packets(plan, track, counted)?;
    }
    for (number, media) in media.iter().enumerate() {
        let of_input: Vec<&Read> = with_counts(plan, counts)
            .flat_map(|(track, counted)| track.parts.iter().zip(&counted.parts))
            .filter(|(part, _)| {
                let goes_to_end = match part.select {
                    Select::All => true,
                    Select::Span(span) => span.end.is_none(),
                    Select::At(_) => false,
                };
                goes_to_end && part.source.is_some_and(|source| source.input == number)
            })
            .map(|(_, count)| count)
            .collect();
        check_declared(media, &of_input, warnings);
    }
    Ok(())
}

/// Fails when a copied track has nothing that can be shown.
fn check_packets(plan: &Plan, track: &Track, counted: &Counted) -> Result<()> {
    // A span may lie between two lines of text.
    if counted.written.packets > 0 || track.kind == TrackKind::Subtitle {
        return Ok(());
    }
    let Some(source) = track.sources().next() else { return Ok(()) };
    if track.parts.iter().all(|part| matches!(part.select, Select::Span(_))) {
        return Err(Error::Lacking {
            location: plan.inputs[source.input].location.clone(),
            found: format!("no packet of {} stream {source} in the section", track.kind.name()),
            needed: "one in each stream".to_owned(),
        });
    }
    let what = format!("{} stream {source} has nothing that can be shown", track.kind.name());
    let location = plan.inputs[source.input].location.clone();
    Err(Error::Damaged { location, what, lost: 0.0 })
}

/// Warns of what was met in the pictures of sheets.
pub(crate) fn warn_of_pictures(count: &Read, warnings: &mut Vec<Reason>) {
    let what = "packets before the first keyframe left out";
    warn_of("the input", "BEFORE_KEYFRAME", count.before_keyframe, what, warnings);
    warn_of_damage(&count.damaged, warnings);
}

/// Warns of pictures that stayed damaged, and tells when they are on screen.
fn warn_of_damage(damaged: &[f64], warnings: &mut Vec<Reason>) {
    /// The most instants that are listed.
    const MOST: usize = 10;
    if damaged.is_empty() {
        return;
    }
    let mut seconds = damaged.to_vec();
    seconds.sort_unstable_by(f64::total_cmp);
    let listed: Vec<_> = seconds.iter().take(MOST).map(|at| format!("{at:.3} s")).collect();
    let more = seconds.len().saturating_sub(MOST);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("the picture at {}{more} is damaged in the input", listed.join(", "));
    warnings.push(Reason::new("PICTURE_DAMAGED", message));
}

fn warn_of(name: &str, code: &str, number: u64, what: &str, warnings: &mut Vec<Reason>) {
    if number > 0 {
        warnings.push(Reason::new(code, format!("{name}: {number} {what}")));
    }
}

/// What was read of one part of a track.
struct Seen<'a> {
    track: &'a Track,
    part: &'a Part,
    source: StreamId,
    stream: Option<&'a StreamInfo>,
    count: &'a Read,
}

impl Seen<'_> {
    fn check(&self, plan: &Plan, warnings: &mut Vec<Reason>) -> Result<()> {
        let location = || plan.inputs[self.source.input].location.clone();
        let damaged =
            |Shortfall { what, lost }| Error::Damaged { location: location(), what, lost };
        let name = format!("{} stream {}", self.track.kind.name(), self.source);
        if matches!(self.track.action, Action::Encode(_)) && self.count.frames == 0 {
            let what = match self.count.packets {
                0 => format!("{name} has no packets"),
                _ => format!("no frame of {name} could be decoded"),
            };
            return Err(damaged(Shortfall { what, lost: self.count.extent.seconds() }));
        }
        if self.count.past_end {
            warnings.push(Reason::new(
                "SEEK_PAST_END",
                "the time asked for is past the end; the last frame was taken",
            ));
        }
        let count = self.count;
        let mut warn = |code, number, what| warn_of(&name, code, number, what, warnings);
        let health = count.health;
        warn("DECODE_ERRORS", health.failed, "packets could not be decoded");
        warn("FRAMES_CONCEALED", health.concealed, "frames are damaged and partly guessed");
        if health.failed + health.concealed == 0 {
            warn("DECODER_REPORTED", health.complaints, "errors were reported by the decoder");
        }
        let what = "packets before the first keyframe left out";
        warn("BEFORE_KEYFRAME", count.before_keyframe, what);
        let what = "packets left out, since the input ends before or within them";
        warn("PACKETS_TORN", count.torn, what);
        warn("CLOCK_JUMPS_CLOSED", count.jumps, "jumps of the clock were closed");
        warn_of_damage(&count.damaged, warnings);
        if count.is_followed {
            let message = format!("{name}: another file stands behind the input, and is not read");
            warnings.push(Reason::new("FILE_FOLLOWS", message));
        }
        if count.goes_on_seconds > 0.0 {
            let seconds = count.goes_on_seconds;
            let message = format!(
                "{name}: the input goes on for {seconds:.3} s as another stream, which is left out"
            );
            warnings.push(Reason::new("STREAM_GOES_ON", message));
        }
        match self.shortfall(&name) {
            Some(short) if plan.lenient => {
                let message = format!("{}; {:.3} s are lost", short.what, short.lost);
                warnings.push(Reason::new("INPUT_SHORT", message));
                Ok(())
            }
            Some(short) => Err(damaged(short)),
            None => Ok(()),
        }
    }

    fn is_encode(&self) -> bool {
        matches!(self.track.action, Action::Encode(_) | Action::SmartCut(_))
    }

    /// What the input owes, if anything.
    fn shortfall(&self, name: &str) -> Option<Shortfall> {
        let (count, stream) = (self.count, self.stream?);
        let read = count.extent.seconds();
        match self.part.select {
            Select::All => {
                let promised = stream.promised_packets.filter(|all| *all > count.packets);
                if let Some(promised) = promised.filter(|_| count.packets > 0) {
                    let declared = stream.duration.map_or(read, Timestamp::seconds);
                    let last = count.extent.last_start().zip(stream.start);
                    let begun = last.map_or(0.0, |(last, start)| {
                        last.seconds() - start.seconds() + declared / promised as f64
                    });
                    let packets = count.packets;
                    return Some(Shortfall {
                        what: format!(
                            "the sample table of {name} promises {promised} packets, {packets} \
                             are there"
                        ),
                        lost: (declared - begun).max(0.0),
                    });
                }
            }
            Select::Span(span) => {
                let table_end = stream.promised_packets.and(stream.start).zip(stream.duration);
                let promised = table_end.map(|(start, duration)| start.plus(duration.ticks));
                let promised = promised.map(|end| span.end.map_or(end, |wanted| end.min(wanted)));
                let end = count.extent.end();
                if let Some(promised) = promised.filter(|_| count.to_end) {
                    let found = end.unwrap_or(span.start).seconds();
                    let lost = promised.seconds() - found;
                    if lost > SLACK {
                        let what = format!(
                            "the sample table of {name} goes on to {:.3} s, its data to {found:.3} s",
                            promised.seconds(),
                        );
                        return Some(Shortfall { what, lost });
                    }
                }
            }
            Select::At(_) => return None,
        }
        let tolerated = TOLERATED_SECONDS.max(read * TOLERATED_PART);
        (self.is_encode() && count.health.failed > 0 && count.lost_seconds > tolerated).then(|| {
            Shortfall {
                what: format!("too much of {name} can not be decoded"),
                // A damaged clock tells of more than there can have been.
                lost: count
                    .lost_seconds
                    .min(stream.duration.map_or(f64::INFINITY, Timestamp::seconds)),
            }
        })
    }
}

/// Warns when a container states another duration than it has, and its word is no sample table.
fn check_declared(media: &MediaInfo, counts: &[&Read], warnings: &mut Vec<Reason>) {
    // A section may begin anywhere.
    let first = || counts.iter().filter_map(|count| count.extent.start()).min();
    let start = media.start.or_else(first);
    let end = counts.iter().filter_map(|count| count.extent.end()).max();
    let streams = || media.streams.iter().filter(|stream| !stream.still);
    let says = media.streams.iter().all(|stream| stream.promised_packets.is_none())
        && !media.duration_is_estimate;
    // What was not read may be what the container measured, be it text; what jumped was not
    // measured at all.
    let is_all_read = counts.len() >= streams().count();
    let jumped = counts.iter().any(|count| count.jumps > 0);
    if let (Some(start), Some(end), Some(declared)) = (start, end, media.duration)
        && says
        && is_all_read
        && !jumped
    {
        let (declared, end) = (declared.seconds(), end.seconds());
        let read = end - start.seconds();
        // Some containers count from their first instant, some from 0.
        if (declared - read).abs() > SLACK && (declared - end).abs() > SLACK {
            let message = format!("the input states {declared:.3} s and has {read:.3} s");
            warnings.push(Reason::new("DURATION_DECLARED_WRONG", message));
        }
    }
    if let Some(error) = counts.iter().find_map(|count| count.error.as_ref()) {
        let message = format!("the input could not be read to its end: {error}");
        warnings.push(Reason::new("READ_ERROR", message));
    }
}

/// What a player sees of one track of the written file.
#[derive(Clone, Debug, Default)]
struct Shown {
    packets: u64,
    extent: Extent,
    /// Length of the longest packet, in seconds.
    longest: f64,
    /// Whether the end of the span is known, and not guessed.
    knows_end: bool,
    /// Whether it is sound without a codec.
    is_raw: bool,
    /// Samples at the beginning that decoders leave out though packets have them, in seconds.
    left_out: f64,
}

/// What opens something for reading, as often as it takes.
type Open<'a> = &'a dyn Fn() -> io::Result<Box<dyn ReadSeek>>;

/// What could not be read of an output.
fn unreadable(fault: Fault) -> Error {
    match fault {
        Fault::Cancelled => Error::Cancelled,
        Fault::Io(error) => Error::Incomplete { what: error.to_string() },
        Fault::Libav(error) => Error::Incomplete { what: format!("it can not be read: {error}") },
        Fault::FarTime(seconds) => {
            Error::Incomplete { what: format!("it has a packet at {seconds:.0} s") }
        }
    }
}

/// Holds a movie whose index was moved against the one that it was, and describes it.
///
/// # Errors
/// [`Error::Incomplete`] names the first difference; [`Error::Cancelled`].
pub(crate) fn check_moved(
    output: &Output,
    source: Open<'_>,
    written: Open<'_>,
    cancel: &CancelToken,
) -> Result<MediaInfo> {
    let incomplete = |what: &str| Err(Error::Incomplete { what: what.to_owned() });
    let lost = |source| Error::Write { location: output.location.clone(), source };
    let movie = |open: Open<'_>| Movie::read(&mut open()?);
    let (Some(before), Some(after)) = (movie(source).map_err(lost)?, movie(written).map_err(lost)?)
    else {
        return incomplete("its index can not be read");
    };
    if !after.moov_first || !after.tables_inside {
        return incomplete("its index is not before the media, or tells of places outside");
    }
    if after.tracks != before.tracks {
        return incomplete("its tracks are not those of the input");
    }
    let demuxer = Demuxer::open(written().map_err(lost)?, Depth::Streams, Limits::NONE, cancel);
    Ok(demuxer.map_err(unreadable)?.media())
}

/// The packets of a written movie, by its sample tables; `None` where those do not tell of all, or
/// of places outside the file.
fn listed(media: &MediaInfo, open: Open<'_>, cancel: &CancelToken) -> Result<Option<Index>, Fault> {
    if !media.lists_packets() {
        return Ok(None);
    }
    let mut reader = open().map_err(Fault::Io)?;
    let movie = Movie::read(&mut reader).map_err(Fault::Io)?;
    if movie.is_none_or(|movie| !movie.tables_inside) {
        return Ok(None);
    }
    let mut demuxer =
        Demuxer::open(open().map_err(Fault::Io)?, Depth::Header, Limits::NONE, cancel)?;
    index::listed(&mut reader, &mut demuxer, media).map_err(Fault::Io)
}

/// Reads a written output back, holds it against what was planned and counted, and describes it.
///
/// # Errors
/// [`Error::Incomplete`] names the first difference; [`Error::Cancelled`].
pub(crate) fn check_output(
    plan: &Plan,
    output: &Output,
    counts: &[Counted],
    open: Open<'_>,
    cancel: &CancelToken,
) -> Result<MediaInfo> {
    let incomplete = |what: String| Err(Error::Incomplete { what });
    let mut reader =
        open().map_err(|source| Error::Write { location: output.location.clone(), source })?;
    if let Content::Text(text) = &output.content {
        let mut found = Vec::new();
        reader.read_to_end(&mut found).map_err(|error| unreadable(Fault::Io(error)))?;
        let is_same = found == text.as_bytes();
        return if is_same {
            Ok(MediaInfo::default())
        } else {
            incomplete("its text differs".into())
        };
    }
    let demuxer =
        Demuxer::open(reader, Depth::Streams, Limits::NONE, cancel).map_err(unreadable)?;
    let mut media = demuxer.media();
    if media.is_format("webp_pipe") {
        // libav decodes no animated WebP, and so knows no size.
        let lost = |source| Error::Write { location: output.location.clone(), source };
        let size = riff::webp_size(&mut open().map_err(lost)?).map_err(lost)?;
        for stream in &mut media.streams {
            if let (Kind::Video(video), Some(size)) = (&mut stream.kind, size) {
                (video.width, video.height) = size;
            }
        }
    }
    let tracks = match &output.content {
        Content::Tracks(tracks) => tracks,
        // What it should hold is known to nobody but the user.
        Content::OfProcess(_) if media.streams.is_empty() => {
            return incomplete("it has no stream".to_owned());
        }
        Content::OfProcess(_) if !output.keeps_gaps() => {
            let seen = read_all(demuxer, &media).map_err(unreadable)?;
            count_length(&mut media, &seen);
            return Ok(media);
        }
        Content::SpriteSheet(sheet) => {
            let found = media.videos().next().map(|(_, video)| (video.width, video.height));
            let FrameFormat::Video(format) = &sheet.encoder.format else { return Ok(media) };
            let expected = (format.width.get(), format.height.get());
            if found != Some(expected) {
                return incomplete(format!("it shows {found:?} pixels instead of {expected:?}"));
            }
            return Ok(media);
        }
        // Bytes of an input were counted; what they mean was the input's business.
        Content::BytesOf(_) | Content::OfProcess(_) | Content::Text(_) => return Ok(media),
    };
    // What QuickTime makes of chapters and time codes comes after all tracks, as data; readers find
    // cover art last.
    let found = media.streams.iter().filter(|stream| stream.kind != Kind::Data).count();
    if found != tracks.len() {
        let expected = tracks.len();
        return incomplete(format!("it has {found} streams instead of {expected}"));
    }
    // What was written by this run, and lies inside the file, need not be read for being counted.
    let mut seen = match listed(&media, open, cancel).map_err(unreadable)? {
        Some(index) => look_through(&index, &media),
        None => read_all(demuxer, &media).map_err(unreadable)?,
    };
    let longest = counts.iter().map(|counted| counted.written.extent.end()).max().flatten();
    for ((seen, info), counted) in seen.iter_mut().zip(&media.streams).zip(counts) {
        seen.is_raw = info.codec.starts_with("pcm_");
        let end = counted.written.extent.end();
        let expected = end.filter(|end| Some(*end) == longest && output.keeps_times());
        seen.knows_end = find_end(seen, info, &media, expected);
    }
    for (number, (track, (seen, counted))) in tracks.iter().zip(seen.iter().zip(counts)).enumerate()
    {
        compare(plan, output, track, seen, counted).map_err(|what| Error::Incomplete {
            what: format!("{} track {number} {what}", track.kind.name()),
        })?;
    }
    if !output.keeps_gaps() {
        count_length(&mut media, &seen);
    }
    Ok(media)
}

impl Shown {
    /// Takes in one packet, whose times count in ticks of its stream.
    fn add(&mut self, info: &StreamInfo, start: Option<i64>, duration: i64, is_hidden: bool) {
        let Some(start) = start else {
            self.packets += u64::from(!is_hidden);
            return;
        };
        let end = start + duration;
        if is_hidden || (end <= 0 && start < 0) {
            return;
        }
        let at = |ticks| Timestamp::new(ticks, info.time_base);
        self.packets += u64::from(start >= 0);
        self.extent.add(at(start.max(0)), at(end.max(start)));
        self.longest = self.longest.max(at(duration).seconds());
    }
}

/// What a player sees of each stream, by the packets that are listed.
fn look_through(index: &Index, media: &MediaInfo) -> Vec<Shown> {
    let mut seen = vec![Shown::default(); media.streams.len()];
    for ((seen, info), stream) in seen.iter_mut().zip(&media.streams).zip(&index.streams) {
        for packet in &stream.packets {
            seen.add(info, packet.pts, packet.duration, packet.hidden);
        }
    }
    seen
}

/// What a player sees of each stream, by its packets.
fn read_all(mut demuxer: Demuxer, media: &MediaInfo) -> Result<Vec<Shown>, Fault> {
    let mut seen = vec![Shown::default(); media.streams.len()];
    while let Some(packet) = demuxer.read()? {
        let number = packet.stream();
        let Some((seen, info)) = seen.get_mut(number).zip(media.streams.get(number)) else {
            continue;
        };
        seen.add(info, packet.pts().or(packet.dts()), packet.duration(), packet.is_hidden());
        // What is before 0 is no part of the extent.
        let skipped = packet.skipped().filter(|_| packet.pts().is_some_and(|pts| pts >= 0));
        if let (Some(samples), Kind::Audio(audio)) = (skipped, &info.kind) {
            let rate = audio.sample_rate.map_or(0.0, |rate| 1.0 / f64::from(rate.get()));
            seen.left_out += samples as f64 * rate;
        }
    }
    Ok(seen)
}

/// Lets sound in a container without gaps be as long as its packets are, where the container tells
/// nothing, or the bytes of a second were taken for those of all.
fn count_length(media: &mut MediaInfo, seen: &[Shown]) {
    let mut longest: Option<Timestamp> = None;
    for (stream, seen) in media.streams.iter_mut().zip(seen) {
        if !matches!(stream.kind, Kind::Audio(_)) {
            continue;
        }
        let length = |base| {
            let seconds = (seen.extent.seconds() - seen.left_out).max(0.0);
            Timestamp::from_seconds(seconds, base)
        };
        stream.duration = Some(length(stream.time_base));
        longest = longest.max(Some(length(Rational::MICROSECONDS)));
    }
    if longest.is_some() {
        media.duration = longest;
        media.duration_is_estimate = false;
    }
}

/// Sets where a track ends, as a player would know it, and answers whether anybody knows.
///
/// libav only guesses how long the last picture lasts. A sample table and edit list tell; else
/// the container's duration tells when it is too short for what its longest track should have,
/// which is `expected`.
fn find_end(
    seen: &mut Shown,
    info: &StreamInfo,
    media: &MediaInfo,
    expected: Option<Timestamp>,
) -> bool {
    if let (Some(_), Some(start), Some(duration)) =
        (info.promised_packets, info.start, info.duration)
    {
        seen.extent.set_end(start.plus(duration.ticks));
        return true;
    }
    if let (Some(expected), Some(duration)) = (expected, media.duration) {
        let start = media.start.map_or(0.0, Timestamp::seconds);
        let end = Timestamp::from_seconds(duration.seconds() + start, duration.base);
        if end < expected {
            seen.extent.set_end(end);
            return true;
        }
    }
    matches!(info.kind, Kind::Audio(_))
}

/// Compares one track; the answer of a difference is a phrase.
fn compare(
    plan: &Plan,
    output: &Output,
    track: &Track,
    seen: &Shown,
    counted: &Counted,
) -> Result<(), String> {
    let written = &counted.written;
    // Text has gaps that containers fill as they like; cover art has no time.
    if !matches!(track.kind, TrackKind::Video | TrackKind::Audio) {
        return Ok(());
    }
    if let (Action::Encode(_), TrackKind::Video) = (&track.action, track.kind) {
        compare_encode(plan, output, track, seen, counted)?;
    }
    if let Action::SmartCut(_) = track.action {
        let runs = track.parts.iter().filter_map(|part| part.copied);
        let (planned, written) = (runs.map(|it| it.pictures).sum::<u64>(), written.packets);
        if written != planned {
            return Err(format!("has {written} pictures, its section {planned}"));
        }
    }
    // Raw sound is cut into packets as the reader likes.
    let counts_packets = track.kind == TrackKind::Video || output.keeps_times();
    let is_raw = seen.is_raw;
    if counts_packets && !is_raw && seen.packets != written.packets {
        let (found, expected) = (seen.packets, written.packets);
        return Err(format!("shows {found} packets of {expected} that were written"));
    }
    if output.is_picture() {
        return Ok(());
    }
    if output.keeps_times() {
        // A tick or two of the coarsest container (1 ms); sound may end within its last packet.
        let slack = if track.kind == TrackKind::Audio { seen.longest } else { 0.0 };
        let (found, expected) = (seen.extent, written.extent);
        same("begins", found.start(), expected.start(), 0.002)?;
        if !seen.is_raw {
            same("has its last packet", found.last_start(), expected.last_start(), 0.002)?;
        }
        if seen.knows_end {
            same("ends", found.end(), expected.end(), 0.002 + slack)?;
        }
        return Ok(());
    }
    // Formats without times begin where the reader counts from, priming included or not.
    let (found, expected) = (seen.extent.seconds(), written.extent.seconds());
    // The delay of an encoder, and the rest of a packet.
    if (found - expected).abs() > 2.0 * seen.longest + 0.1 {
        return Err(format!("lasts {found:.3} s instead of {expected:.3} s"));
    }
    Ok(())
}

/// Compares what a track of pictures was encoded from with what was encoded.
fn compare_encode(
    plan: &Plan,
    output: &Output,
    track: &Track,
    seen: &Shown,
    counted: &Counted,
) -> Result<(), String> {
    let (parts, written) = (&counted.parts, &counted.written);
    let is_read = track.parts.iter().all(|part| part.source.is_some());
    let wanted: u64 = parts.iter().map(|count| count.frames - count.frames_left_out).sum();
    let encoded = written.frames;
    if is_read && wanted != encoded + written.indistinct {
        return Err(format!("was encoded from {encoded} of {wanted} decoded frames"));
    }
    if let [read] = &parts[..] {
        // What a damaged input did not give is a warning by now.
        let is_forgiven = plan.lenient && read.lost_seconds > 0.0;
        let is_whole = read.before_keyframe == 0 && read.health.failed == 0 && !is_forgiven;
        let (read, made) = (read.extent.seconds(), written.extent.seconds());
        let is_timed = is_read && read > 0.0 && output.keeps_times();
        if is_whole && is_timed && (made - read).abs() > seen.longest + 0.1 {
            return Err(format!("lasts {made:.3} s, the source {read:.3} s"));
        }
    }
    if encoded != written.packets {
        let packets = written.packets;
        return Err(format!("has {packets} packets for {encoded} encoded frames"));
    }
    Ok(())
}

/// Fails with a phrase when two instants differ by more than `tolerance` seconds.
fn same(
    what: &str,
    found: Option<Timestamp>,
    expected: Option<Timestamp>,
    tolerance: f64,
) -> Result<(), String> {
    match (found, expected) {
        (Some(a), Some(b)) if (a.seconds() - b.seconds()).abs() <= tolerance => Ok(()),
        _ => {
            let shown = |at: Option<Timestamp>| {
                at.map_or_else(|| "never".to_owned(), |at| format!("{:.4} s", at.seconds()))
            };
            Err(format!("{what} at {} instead of {}", shown(found), shown(expected)))
        }
    }
}
