//! What was read, against what the inputs promise.

use avocet_model::{
    error::{Error, Result},
    media::{MediaInfo, StreamInfo},
    plan::{Action, Part, Plan, Reason, Select, StreamId, Track, TrackKind},
    time::Timestamp,
};

use crate::pipeline::counters::{Counted, Read, with_counts};

/// How much media may be undecodable before that is an error: so many seconds, or this fraction of
/// what was read, whichever is more.
const TOLERATED_SECONDS: f64 = 0.5;

const TOLERATED_PART: f64 = 0.01;

/// Tolerated differences between stated and found times, in seconds: a packet of sound, and a tick.
/// For the end of a span, and for the duration that a container states.
const SLACK: f64 = 0.1;

/// What an input lacks of what it promises: in words, and in seconds that are lost.
struct Shortfall {
    what: String,
    lost: f64,
}

/// Compares what was read of all inputs with what they promise, and adds warnings.
///
/// # Errors
/// [`Error::Damaged`] when an input fell short; with a lenient plan that is a warning, unless no
/// frame was decoded or no packet was written. [`Error::Lacking`] when a section has no packet.
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
        warn_of(
            &name,
            "TIMES_MOVED",
            moved,
            "frames shared a tick with the frame before and were moved by one tick",
            warnings,
        );
        let what =
            "frames left out, which the output's time base can not tell from the frame before";
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

/// Fails when a track with a source got no shown packet into its output.
fn check_packets(plan: &Plan, track: &Track, counted: &Counted) -> Result<()> {
    // A single packet that begins before 0, with priming, is not counted and may be shown in part.
    let is_shown = counted.written.packets > 0 || counted.written.extent.seconds() > 0.0;
    // Subtitles are excepted: a span may lie between two of them.
    if is_shown || track.kind == TrackKind::Subtitle {
        return Ok(());
    }
    let Some(source) = track.sources().next() else { return Ok(()) };
    if track.parts.iter().all(|part| matches!(part.select, Select::Span(_))) {
        return Err(Error::Lacking {
            location: plan.inputs[source.input].location.clone(),
            found: format!("no packet of {} stream {source} in the section", track.kind.name()),
            needed: "at least one in each stream".to_owned(),
        });
    }
    let what = format!("{} stream {source} has no packet that can be shown", track.kind.name());
    let location = plan.inputs[source.input].location.clone();
    Err(Error::Damaged { location, what, lost: 0.0 })
}

/// Warns of what was met while pictures of sprite sheets were decoded.
pub(crate) fn warn_of_pictures(count: &Read, warnings: &mut Vec<Reason>) {
    let what = "packets before the first keyframe left out";
    warn_of("the input", "BEFORE_KEYFRAME", count.before_keyframe, what, warnings);
    warn_of_time(count, warnings);
    warn_of_damage(&count.damaged, warnings);
}

/// Warns of a time that was asked for and is past the end.
fn warn_of_time(count: &Read, warnings: &mut Vec<Reason>) {
    if count.past_end {
        let message = "a time that was asked for is past the end; the last frame was taken";
        warnings.push(Reason::new("SEEK_PAST_END", message));
    }
}

/// Warns of pictures that stayed damaged, with their times in seconds from the input's start.
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

/// One part of a track, what its stream promises, and what was read of it.
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
        warn_of_time(self.count, warnings);
        let count = self.count;
        let mut warn = |code, number, what| warn_of(&name, code, number, what, warnings);
        let health = count.health;
        warn("DECODE_ERRORS", health.failed, "packets could not be decoded");
        warn(
            "FRAMES_CONCEALED",
            health.concealed,
            "frames are damaged and partly concealed by the decoder",
        );
        if health.failed + health.concealed == 0 {
            warn("DECODER_REPORTED", health.complaints, "errors were reported by the decoder");
        }
        let what = "packets before the first keyframe left out";
        warn("BEFORE_KEYFRAME", count.before_keyframe, what);
        let what = "packets left out, since the input ends before or within them";
        warn("PACKETS_TORN", count.torn, what);
        warn("CLOCK_JUMPS_CLOSED", count.jumps, "timestamp discontinuities were closed");
        warn_of_damage(&count.damaged, warnings);
        if count.is_followed {
            let message =
                format!("{name}: another file follows the first one in the input, and is not read");
            warnings.push(Reason::new("FILE_FOLLOWS", message));
        }
        if count.goes_on_seconds > 0.0 {
            let seconds = count.goes_on_seconds;
            let message = format!(
                "{name}: the input continues for {seconds:.3} s in another stream, which is left \
                 out"
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

    /// What the part lacks of what its stream promises, if anything.
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
                            "the sample table of {name} lists {promised} packets, but {packets} \
                             were found"
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
                            "the sample table of {name} ends at {:.3} s, but its data ends at \
                             {found:.3} s",
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
                what: format!("more than {tolerated:.3} s of {name} can not be decoded"),
                // With a damaged clock, gaps can add up to more than the whole stream.
                lost: count
                    .lost_seconds
                    .min(stream.duration.map_or(f64::INFINITY, Timestamp::seconds)),
            }
        })
    }
}

/// Warns when a container states a wrong duration, and when reading ended with an error. A duration
/// that libav estimated, or that a sample table proves, is not checked.
fn check_declared(media: &MediaInfo, counts: &[&Read], warnings: &mut Vec<Reason>) {
    // The container's start comes first: a section may begin anywhere.
    let first = || counts.iter().filter_map(|count| count.extent.start()).min();
    let start = media.start.or_else(first);
    let end = counts.iter().filter_map(|count| count.extent.end()).max();
    let streams = || media.streams.iter().filter(|stream| !stream.still);
    let says = media.streams.iter().all(|stream| stream.promised_packets.is_none())
        && !media.duration_is_estimate;
    // A stream that was not read, even one of text, may be the longest. A clock that jumped makes
    // the stated duration meaningless.
    let is_all_read = counts.len() >= streams().count();
    let jumped = counts.iter().any(|count| count.jumps > 0);
    if let (Some(start), Some(end), Some(declared)) = (start, end, media.duration)
        && says
        && is_all_read
        && !jumped
    {
        let (declared, end) = (declared.seconds(), end.seconds());
        let read = end - start.seconds();
        // Some containers count the duration from their first instant, some from 0.
        if (declared - read).abs() > SLACK && (declared - end).abs() > SLACK {
            let message = format!(
                "the container declares a duration of {declared:.3} s, but the media lasts \
                 {read:.3} s"
            );
            warnings.push(Reason::new("DURATION_DECLARED_WRONG", message));
        }
    }
    if let Some(error) = counts.iter().find_map(|count| count.error.as_ref()) {
        let message = format!("the input could not be read to its end: {error}");
        warnings.push(Reason::new("READ_ERROR", message));
    }
}
