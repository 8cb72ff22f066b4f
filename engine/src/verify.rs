//! Holds what was read against what was promised, and what was written against what was read.

use std::io;

use crate::{
    av::{Demuxer, Depth, Fault, ReadSeek},
    error::{Error, Result},
    media::{Kind, MediaInfo, StreamInfo},
    plan::{Action, Output, Plan, Reason, Track, TrackKind},
    progress::CancelToken,
    tally::{Count, Span},
    time::Timestamp,
};

/// Undecodable media that is still a warning: so many seconds, or this part of the whole.
const TOLERATED_SECONDS: f64 = 0.5;
const TOLERATED_PART: f64 = 0.01;

/// What the check of one track of an input found.
pub(crate) struct Shortfall {
    pub(crate) what: String,
    pub(crate) lost: f64,
}

/// Judges what was read of an input for one track, and gathers warnings about it.
///
/// # Errors
/// [`Error::Damaged`] when the input fell short; with a lenient plan that is a warning, unless
/// there is no frame at all.
pub(crate) fn check_input(
    plan: &Plan,
    track: &Track,
    media: &MediaInfo,
    count: &Count,
    warnings: &mut Vec<Reason>,
) -> Result<()> {
    let damaged = |Shortfall { what, lost }| {
        let location = plan.inputs[track.input].location.clone();
        Error::Damaged { location, what, lost }
    };
    let name = format!("{} stream {}:{}", track.kind.name(), track.input, track.stream);
    let is_encode = matches!(track.action, Action::Encode(_));
    if is_encode && count.frames_decoded == 0 {
        let what = format!("no frame of {name} could be decoded");
        return Err(damaged(Shortfall { what, lost: count.read.seconds() }));
    }
    if !is_encode && count.packets_written == 0 {
        let what = format!("{name} has no packet that can be shown");
        return Err(damaged(Shortfall { what, lost: 0.0 }));
    }
    if count.past_end {
        warnings.push(Reason::new(
            "SEEK_PAST_END",
            "the time asked for is past the end; the last frame was taken",
        ));
    }
    warn_counted(&name, count, warnings);
    match shortfall(&name, plan, track, media, count) {
        Some(short) if plan.lenient => {
            let message = format!("{}; {:.3} s are lost", short.what, short.lost);
            warnings.push(Reason::new("INPUT_SHORT", message));
            Ok(())
        }
        Some(short) => Err(damaged(short)),
        None => Ok(()),
    }
}

/// Warns of what was counted.
fn warn_counted(name: &str, count: &Count, warnings: &mut Vec<Reason>) {
    let mut warn = |code, number: u64, what: &str| {
        if number > 0 {
            warnings.push(Reason::new(code, format!("{name}: {number} {what}")));
        }
    };
    warn("DECODE_ERRORS", count.decode_errors, "packets could not be decoded");
    warn("FRAMES_CONCEALED", count.concealed, "frames are damaged and partly guessed");
    warn("BEFORE_KEYFRAME", count.before_keyframe, "packets before the first keyframe left out");
    warn("TIMES_MOVED", count.moved, "frames shared a tick with another and moved on by one");
}

/// What an input owes, if anything.
fn shortfall(
    name: &str,
    plan: &Plan,
    track: &Track,
    media: &MediaInfo,
    count: &Count,
) -> Option<Shortfall> {
    let stream = media.streams.get(track.stream)?;
    let span = count.read.seconds();
    if count.packets_read > 0
        && let Some(promised) = stream.promised_packets.filter(|all| *all > count.packets_read)
    {
        let declared = stream.duration.map_or(span, Timestamp::seconds);
        let begun = count.read.last_start().zip(stream.start).map_or(0.0, |(last, start)| {
            last.seconds() - start.seconds() + declared / promised as f64
        });
        return Some(Shortfall {
            what: format!(
                "the sample table of {name} promises {promised} packets, {} are there",
                count.packets_read
            ),
            lost: (declared - begun).max(0.0),
        });
    }
    let tolerated = TOLERATED_SECONDS.max(span * TOLERATED_PART);
    let is_encode = matches!(track.action, Action::Encode(_)) && plan.seconds.is_some();
    if is_encode && count.decode_errors > 0 && count.lost_seconds > tolerated {
        return Some(Shortfall {
            what: format!("too much of {name} can not be decoded"),
            lost: count.lost_seconds,
        });
    }
    None
}

/// Warns when a container states another duration than it has, and its word is no sample table.
pub(crate) fn check_declared(media: &MediaInfo, counts: &[Count], warnings: &mut Vec<Reason>) {
    let start = counts.iter().filter_map(|count| count.read.start()).min();
    let end = counts.iter().filter_map(|count| count.read.end()).max();
    let streams = || media.videos().map(|_| ()).chain(media.audios().map(|_| ()));
    let has_table = media.streams.iter().any(|stream| stream.promised_packets.is_some());
    // What was not read may be what the container measured.
    let is_all_read = counts.len() >= streams().count();
    if let (Some(start), Some(end), Some(declared)) = (start, end, media.duration)
        && !has_table
        && is_all_read
    {
        let (declared, end) = (declared.seconds(), end.seconds());
        let read = end - start.seconds().max(0.0);
        let tolerated = TOLERATED_SECONDS.max(read * TOLERATED_PART);
        // Some containers count from their first instant, some from 0.
        if (declared - read).abs() > tolerated && (declared - end).abs() > tolerated {
            let message = format!("the input states {declared:.3} s and has {read:.3} s");
            warnings.push(Reason::new("DURATION_DECLARED_WRONG", message));
        }
    }
    if let Some(error) = counts.iter().find_map(|count| count.read_error.as_ref()) {
        let message = format!("the input could not be read to its end: {error}");
        warnings.push(Reason::new("READ_ERROR", message));
    }
}

/// What a player sees of one track of the written file.
#[derive(Clone, Debug, Default)]
struct Seen {
    packets: u64,
    span: Span,
    /// Length of the longest packet, in seconds.
    longest: f64,
    /// Whether the end of the span is known, and not guessed.
    knows_end: bool,
    /// Whether it is sound without a codec.
    is_raw: bool,
}

/// Reads a written output back, holds it against what was planned and counted, and describes it.
///
/// # Errors
/// [`Error::Incomplete`] names the first difference; [`Error::Cancelled`].
pub(crate) fn check_output(
    output: &Output,
    counts: &[Count],
    reader: io::Result<Box<dyn ReadSeek>>,
    cancel: &CancelToken,
) -> Result<MediaInfo> {
    let incomplete = |what: String| Err(Error::Incomplete { what });
    let unreadable = |fault| match fault {
        Fault::Cancelled => Error::Cancelled,
        Fault::Io(error) => Error::Incomplete { what: error.to_string() },
        Fault::Libav(error) => Error::Incomplete { what: format!("it can not be read: {error}") },
    };
    let reader =
        reader.map_err(|source| Error::Write { location: output.location.clone(), source })?;
    let mut demuxer = Demuxer::open(reader, Depth::Streams, cancel).map_err(unreadable)?;
    let media = demuxer.media();
    if media.streams.len() != output.tracks.len() {
        let (found, expected) = (media.streams.len(), output.tracks.len());
        return incomplete(format!("it has {found} streams instead of {expected}"));
    }
    let mut seen = vec![Seen::default(); output.tracks.len()];
    while let Some(packet) = demuxer.read().map_err(unreadable)? {
        let stream = packet.stream();
        let (Some(seen), Some(info)) = (seen.get_mut(stream), media.streams.get(stream)) else {
            return incomplete(format!("it has packets of stream {stream}, which is not planned"));
        };
        let Some(start) = packet.pts().or(packet.dts()) else {
            seen.packets += u64::from(!packet.is_hidden());
            continue;
        };
        let end = start + packet.duration();
        if packet.is_hidden() || (end <= 0 && start < 0) {
            continue;
        }
        let at = |ticks| Timestamp::new(ticks, info.time_base);
        seen.packets += 1;
        seen.span.add(at(start.max(0)), at(end.max(start)));
        seen.longest = seen.longest.max(at(packet.duration()).seconds());
    }
    let longest = counts.iter().map(|count| count.written.end()).max().flatten();
    for ((seen, info), count) in seen.iter_mut().zip(&media.streams).zip(counts) {
        seen.is_raw = info.codec.starts_with("pcm_");
        let expected =
            count.written.end().filter(|end| Some(*end) == longest && output.keeps_times());
        seen.knows_end = find_end(seen, info, &media, expected);
    }
    for (number, (track, (seen, count))) in
        output.tracks.iter().zip(seen.iter().zip(counts)).enumerate()
    {
        compare(output, track, seen, count).map_err(|what| Error::Incomplete {
            what: format!("{} track {number} {what}", track.kind.name()),
        })?;
    }
    Ok(media)
}

/// Sets where a track ends, as a player would know it, and answers whether anybody knows.
///
/// libav only guesses how long the last picture lasts. A sample table and edit list tell; else
/// the container's duration tells when it is too short for what its longest track should have,
/// which is `expected`.
fn find_end(
    seen: &mut Seen,
    info: &StreamInfo,
    media: &MediaInfo,
    expected: Option<Timestamp>,
) -> bool {
    if let (Some(_), Some(start), Some(duration)) =
        (info.promised_packets, info.start, info.duration)
    {
        seen.span.set_end(start.plus(duration.ticks));
        return true;
    }
    if let (Some(expected), Some(duration)) = (expected, media.duration) {
        let start = media.start.map_or(0.0, Timestamp::seconds);
        let end = Timestamp::from_seconds(duration.seconds() + start, duration.base);
        if end < expected {
            seen.span.set_end(end);
            return true;
        }
    }
    matches!(info.kind, Kind::Audio(_))
}

/// Compares one track; the answer of a difference is a phrase.
fn compare(output: &Output, track: &Track, seen: &Seen, count: &Count) -> Result<(), String> {
    if let (Action::Encode(_), TrackKind::Video) = (&track.action, track.kind) {
        let (decoded, encoded) = (count.frames_decoded, count.frames_encoded);
        if decoded != encoded {
            return Err(format!("was encoded from {encoded} of {decoded} decoded frames"));
        }
        let read = count.read.seconds();
        let is_whole = count.before_keyframe == 0 && count.decode_errors == 0;
        let written = count.written.seconds();
        let is_timed = read > 0.0 && output.keeps_times();
        if is_whole && is_timed && (written - read).abs() > seen.longest + 0.1 {
            return Err(format!("lasts {written:.3} s, the source {read:.3} s"));
        }
        if encoded != count.packets_written {
            let written = count.packets_written;
            return Err(format!("has {written} packets for {encoded} encoded frames"));
        }
    }
    // Raw sound is cut into packets as the reader likes.
    let counts_packets = track.kind == TrackKind::Video || output.keeps_times();
    let is_raw = seen.is_raw;
    if counts_packets && !is_raw && seen.packets != count.packets_written {
        let (found, expected) = (seen.packets, count.packets_written);
        return Err(format!("shows {found} packets of {expected} that were written"));
    }
    if output.is_picture() {
        return Ok(());
    }
    if output.keeps_times() {
        // A tick or two of the coarsest container (1 ms); sound may end within its last packet.
        let slack = if track.kind == TrackKind::Audio { seen.longest } else { 0.0 };
        let (found, expected) = (seen.span, count.written);
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
    let (found, expected) = (seen.span.seconds(), count.written.seconds());
    if (found - expected).abs() > seen.longest + 0.1 {
        return Err(format!("lasts {found:.3} s instead of {expected:.3} s"));
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
