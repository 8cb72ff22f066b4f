//! Verifies a run: what was read against what the inputs promise, and what was written against what
//! was read.

mod inputs;

use std::io::{self, Read as _};

use avocet_model::{
    error::{Error, Result},
    format::{riff, seek::ReadSeek},
    index::Index,
    media::{Kind, MediaInfo, StreamInfo, movie::Movie},
    plan::{Action, Content, FrameFormat, Output, Plan, Track, TrackKind},
    progress::CancelToken,
    time::{Rational, Timestamp},
};
pub(crate) use inputs::{check_inputs, warn_of_pictures};

use super::counters::{Counted, Extent};
use crate::{
    libav::{Demuxer, Depth, Fault, limits::Limits},
    read::index,
};

/// What a player sees of one track of the written file.
#[derive(Clone, Debug, Default)]
struct Shown {
    packets: u64,
    extent: Extent,
    /// Duration of the longest packet, in seconds.
    longest: f64,
    /// Whether the end of `extent` is known, and not guessed.
    knows_end: bool,
    /// Whether it is PCM.
    is_raw: bool,
    /// Sound that packets hold and decoders leave out (priming), in seconds.
    left_out: f64,
}

/// Opens a file for reading, as often as it is called.
type Open<'a> = &'a dyn Fn() -> io::Result<Box<dyn ReadSeek>>;

/// The error of an output that can not be read back.
fn unreadable(fault: Fault) -> Error {
    match fault {
        Fault::Cancelled => Error::Cancelled,
        Fault::Io(error) => Error::Incomplete { what: error.to_string() },
        Fault::Libav(error) => Error::Incomplete { what: format!("it can not be read: {error}") },
        Fault::FarTime(seconds) => Error::Incomplete {
            what: format!("it has a packet at {seconds:.0} s, which is out of range"),
        },
    }
}

/// Compares a movie whose index (`moov`) was moved with its source, and describes it.
///
/// # Errors
/// [`Error::Incomplete`] names the first difference; [`Error::Write`] when a file can not be read;
/// [`Error::Cancelled`].
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
        return incomplete("its `moov` can not be read");
    };
    if !after.moov_first || !after.tables_inside {
        return incomplete(
            "its `moov` is not before `mdat`, or its sample tables point outside the file",
        );
    }
    if after.tracks != before.tracks {
        return incomplete("its tracks are not those of the input");
    }
    let demuxer = Demuxer::open(written().map_err(lost)?, Depth::Streams, Limits::NONE, cancel);
    Ok(demuxer.map_err(unreadable)?.media())
}

/// The packets of a written movie, by its sample tables; `None` where these do not list all
/// packets, or point outside the file.
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

/// Reads a written output back, compares it with what was planned and counted, and describes it.
///
/// # Errors
/// [`Error::Incomplete`] names the first difference; [`Error::Write`] when the file can not be
/// opened; [`Error::Cancelled`].
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
            incomplete("its text is not what was written".into())
        };
    }
    let demuxer =
        Demuxer::open(reader, Depth::Streams, Limits::NONE, cancel).map_err(unreadable)?;
    let mut media = demuxer.media();
    if media.is_format("webp_pipe") {
        // libav does not decode animated WebP, so its demuxer knows no size.
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
        // Only the user knows what the `ffmpeg` program should have made.
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
                let found = found
                    .map_or_else(|| "no".to_owned(), |(width, height)| format!("{width}x{height}"));
                let (width, height) = expected;
                return incomplete(format!(
                    "its picture has {found} pixels instead of {width}x{height}"
                ));
            }
            return Ok(media);
        }
        // Copied bytes are as good as their input, and nothing is known of the other outputs.
        Content::BytesOf(_) | Content::OfProcess(_) | Content::Text(_) => return Ok(media),
    };
    // QuickTime has chapters and time codes as data streams behind all tracks; demuxers list cover
    // art last.
    let found = media.streams.iter().filter(|stream| stream.kind != Kind::Data).count();
    if found != tracks.len() {
        let expected = tracks.len();
        return incomplete(format!("it has {found} streams instead of {expected}"));
    }
    // Packets that lie inside a file that this run wrote need not be read to be counted.
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
    /// Adds one packet, whose times are in ticks of its stream.
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

/// What a player sees of each stream, by the packets of an index.
fn look_through(index: &Index, media: &MediaInfo) -> Vec<Shown> {
    let mut seen = vec![Shown::default(); media.streams.len()];
    for ((seen, info), stream) in seen.iter_mut().zip(&media.streams).zip(&index.streams) {
        for packet in &stream.packets {
            seen.add(info, packet.pts, packet.duration, packet.hidden);
        }
    }
    seen
}

/// What a player sees of each stream, by reading all packets.
fn read_all(mut demuxer: Demuxer, media: &MediaInfo) -> Result<Vec<Shown>, Fault> {
    let mut seen = vec![Shown::default(); media.streams.len()];
    while let Some(packet) = demuxer.read()? {
        let number = packet.stream();
        let Some((seen, info)) = seen.get_mut(number).zip(media.streams.get(number)) else {
            continue;
        };
        seen.add(info, packet.pts().or(packet.dts()), packet.duration(), packet.is_hidden());
        // What lies before 0 is not part of the extent, so it is not subtracted from it.
        let skipped = packet.skipped().filter(|_| packet.pts().is_some_and(|pts| pts >= 0));
        if let (Some(samples), Kind::Audio(audio)) = (skipped, &info.kind) {
            let rate = audio.sample_rate.map_or(0.0, |rate| 1.0 / f64::from(rate.get()));
            seen.left_out += samples as f64 * rate;
        }
    }
    Ok(seen)
}

/// Sets the duration of sound in a container that keeps no gaps to that of its packets: the
/// container may state none, and what libav estimates by the bit rate may be wrong.
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

/// Sets where a track ends for a player, and answers whether that is known.
///
/// libav only guesses how long the last picture lasts. A sample table with an edit list tells it.
/// Otherwise the container's duration does, if it ends before `expected`, the end of the longest
/// track. The end of sound is always known.
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

/// Compares one track with what was written; the error is a phrase that names the difference.
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
            return Err(format!("has {written} pictures, but its section has {planned}"));
        }
    }
    // The demuxer cuts PCM into packets as it likes.
    let counts_packets = track.kind == TrackKind::Video || output.keeps_times();
    let is_raw = seen.is_raw;
    if counts_packets && !is_raw && seen.packets != written.packets {
        let (found, expected) = (seen.packets, written.packets);
        return Err(format!("shows {found} of {expected} written packets"));
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
    // Formats without times have no common start: readers count priming in or not. So lengths are
    // compared.
    let (found, expected) = (seen.extent.seconds(), written.extent.seconds());
    // Tolerates encoder delay, and the padding of the last packet.
    if (found - expected).abs() > 2.0 * seen.longest + 0.1 {
        return Err(format!("lasts {found:.3} s instead of {expected:.3} s"));
    }
    Ok(())
}

/// Compares the frames that a video track was made from with what was encoded and written.
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
        // A warning has told already what a damaged input lacks.
        let is_forgiven = plan.lenient && read.lost_seconds > 0.0;
        let is_whole = read.before_keyframe == 0 && read.health.failed == 0 && !is_forgiven;
        let (read, made) = (read.extent.seconds(), written.extent.seconds());
        let is_timed = is_read && read > 0.0 && output.keeps_times();
        if is_whole && is_timed && (made - read).abs() > seen.longest + 0.1 {
            return Err(format!("lasts {made:.3} s, but the source lasts {read:.3} s"));
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
