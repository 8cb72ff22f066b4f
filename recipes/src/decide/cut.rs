//! A section of the media: which frames and samples of each stream are in it, and whether a copy of
//! them can begin and end there.

use avocet_model::{
    error::{Error, Result},
    index::{IndexedPacket, RandomAccess, StreamIndex},
    media::StreamInfo,
    plan::{Reason, Span},
    time::{Rational, Timestamp},
};

use super::{context::Probed, copyable};
use crate::words::format::Format;

/// The longest time from the start of a section to its first picture, in seconds, without keeping
/// the picture that is on screen at the start. Two average picture durations where those are less.
const MAX_GAP: f64 = 0.1;

/// A section of an input, in seconds on its own time line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Section {
    pub(crate) start: f64,
    pub(crate) end: Option<f64>,
    /// Whether timestamps may have wrapped, so that times before 0 are media and not priming.
    pub(crate) wraps: bool,
    /// Whether it begins at a keyframe and leaves out its leading pictures, which are decoded after
    /// the keyframe but shown before it.
    pub(crate) from_keyframe: bool,
}

/// The part of a stream that lies in a section.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Kept {
    /// The span that an encode keeps.
    pub(crate) span: Span,
    /// PTS of the first kept frame or sample; the start of the section for a frame that is held.
    pub(crate) first: Timestamp,
    /// The end of the last kept frame or sample.
    pub(crate) end: Timestamp,
    /// Whether nothing of the stream lies before the section.
    pub(crate) from_start: bool,
}

impl Kept {
    /// Whether a picture with this PTS is kept.
    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        at >= self.span.start && self.span.end.is_none_or(|end| at < end)
    }
}

impl Section {
    /// The section that a document names, from the earliest presentation time on; `None` when it
    /// names the whole input.
    ///
    /// # Errors
    /// [`Error::Lacking`] when it begins past the end.
    pub(crate) fn of(
        probed: &Probed,
        start_seconds: f64,
        duration_seconds: Option<f64>,
    ) -> Result<Option<Self>> {
        if start_seconds <= 0.0 && duration_seconds.is_none() {
            return Ok(None);
        }
        let media = &probed.media;
        let zero = media.start.map_or(0.0, Timestamp::seconds);
        let start = zero + start_seconds;
        let end = duration_seconds.map(|duration| start + duration);
        match probed.end() {
            Some(last) if start >= last => Err(Error::Lacking {
                location: probed.location.clone(),
                found: format!("{:.3} s of media", last - zero),
                needed: format!("a start before its end, not at {start_seconds} s"),
            }),
            _ => Ok(Some(Self { start, end, wraps: media.may_jump(), from_keyframe: false })),
        }
    }

    /// A notice when the section goes on past the end.
    pub(crate) fn notice(self, probed: &Probed) -> Option<Reason> {
        let (end, last) = (self.end?, probed.end()?);
        // Rounded times may differ by a tick or two.
        (end > last + 0.002).then(|| {
            let kept = last - self.start;
            Reason::new(
                "CUT_CLIPPED",
                format!("the media ends {kept:.3} s after the start of the section"),
            )
        })
    }

    /// The pictures of the section; `None` when there are none.
    pub(crate) fn of_pictures(self, stream: &StreamInfo, index: &StreamIndex) -> Option<Kept> {
        let base = stream.time_base;
        let start = Timestamp::from_seconds(self.start, base);
        let end = self.end.map(|end| Timestamp::from_seconds(end, base));
        let mut shown: Vec<_> = index.shown().map(|(pts, packet)| (pts, packet.duration)).collect();
        shown.sort_unstable();
        let (first, last) = (shown.first()?, shown.last()?);
        let count = i64::try_from(shown.len()).ok()?;
        let average = if count > 1 { (last.0 - first.0) / (count - 1) } else { last.1 };
        let gap = Timestamp::from_seconds(MAX_GAP, base).ticks.min(average.saturating_mul(2));
        let hold = start.plus(gap.max(2));
        let is_in = |pts: i64| pts >= start.ticks && end.is_none_or(|end| pts < end.ticks);
        let first_in = shown.iter().map(|(pts, _)| *pts).find(|pts| is_in(*pts));
        let from_start = start.ticks <= first.0;
        let is_held = first.0 < start.ticks && first_in.is_none_or(|pts| pts > hold.ticks);
        let first = if is_held { start.ticks } else { first_in? };
        let last = shown.iter().rfind(|(pts, _)| is_in(*pts));
        let natural = last.map_or(first, |(pts, duration)| pts + duration.max(&average));
        let natural = stream_end(stream).map_or(natural, |end| natural.min(end.ticks).max(first));
        let end_of_kept = end.map_or(natural, |end| {
            // A frame that is held lasts to the end of the section.
            if last.is_none() { end.ticks } else { natural.min(end.ticks) }
        });
        Some(Kept {
            span: Span { start, end, hold: Some(hold), lead_in: 0 },
            first: Timestamp::new(first, base),
            end: Timestamp::new(end_of_kept, base),
            from_start,
        })
    }

    /// The sound of the section; `None` when there is none.
    pub(crate) fn of_sound(
        self,
        stream: &StreamInfo,
        rate: Rational,
        index: &StreamIndex,
    ) -> Option<Kept> {
        let at = |ticks| Timestamp::new(ticks, stream.time_base);
        let bounded = |pts: i64| if self.wraps { pts } else { pts.max(0) };
        let begin = index.shown().next().map(|(pts, _)| at(bounded(pts)))?;
        let last = index.shown().map(|(pts, packet)| pts + packet.duration).max()?;
        let last = stream_end(stream).unwrap_or(at(last));
        let start = Timestamp::from_seconds(self.start, rate);
        let end = self.end.map(|end| Timestamp::from_seconds(end, rate));
        let (first, until) = (start.max(begin), end.map_or(last, |end| end.min(last)));
        let span = Span { start, end, hold: None, lead_in: 0 };
        let from_start = start <= begin;
        (first < until).then_some(Kept { span, first, end: until, from_start })
    }
}

/// Where a stream ends by its sample table and edit list; `None` when the container has none.
pub(crate) fn stream_end(stream: &StreamInfo) -> Option<Timestamp> {
    stream.promised_packets?;
    Some(stream.start?.plus(stream.duration?.ticks))
}

/// The span in which pictures can be copied. It exists when the kept pictures begin at a keyframe
/// that closes off what was before, and no other pictures lie between their first and last packet.
/// The error says why there is none.
pub(crate) fn copy_pictures(
    stream: &StreamInfo,
    index: &StreamIndex,
    section: Section,
    kept: &Kept,
) -> Result<Span, Reason> {
    let base = stream.time_base;
    let refused = |message: &str| Err(Reason::new("SEAM_NOT_COPYABLE", message));
    let is_in = |packet: &IndexedPacket| {
        packet.pts.is_some_and(|pts| {
            let at = Timestamp::new(pts, base);
            !packet.hidden && kept.holds(at)
        })
    };
    let packets = &index.packets;
    let (Some(from), Some(to)) = (packets.iter().position(is_in), packets.iter().rposition(is_in))
    else {
        return refused("no frame begins in the section");
    };
    let Some(piece @ [first, ..]) = packets.get(from..=to) else {
        return refused("it has no packet");
    };
    // Program streams that are coded in fields omit timestamps, and then two pictures seem to share
    // a PTS.
    as_shown(piece.iter().filter_map(|packet| packet.pts))?;
    let leads = |packet: &&IndexedPacket| packet.pts < first.pts;
    let is_entry = match first.entry {
        RandomAccess::ClosedGop => {
            section.from_keyframe || !piece.iter().any(|packet| leads(&packet))
        }
        RandomAccess::OpenGop => section.from_keyframe,
        RandomAccess::None => false,
    };
    let begins = first.pts.map(|pts| Timestamp::new(pts, base));
    if !is_entry || begins != Some(kept.first) {
        return refused("the section does not begin at a keyframe of a closed group of pictures");
    }
    if !piece.iter().filter(|packet| !leads(packet)).all(is_in) {
        return refused("pictures after the end are needed to decode those before it");
    }
    let start = kept.first;
    Ok(Span { start, end: kept.span.end, hold: None, lead_in: 0 })
}

/// The presentation times in rising order; fails where two pictures share one.
pub(crate) fn as_shown(times: impl Iterator<Item = i64>) -> Result<Vec<i64>, Reason> {
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    if times.windows(2).any(|two| two[0] == two[1]) {
        return Err(Reason::new(
            "SEAM_NOT_COPYABLE",
            "two pictures have the same presentation time",
        ));
    }
    Ok(times)
}

/// The span in which audio can be copied so that exactly the samples remain that an encode would
/// keep. The error says why there is none.
pub(crate) fn copy_sound(
    stream: &StreamInfo,
    index: &StreamIndex,
    kept: &Kept,
    container: Format,
) -> Result<Span, Reason> {
    if container == Format::Flac {
        return Err(copyable::counted_in_header());
    }
    let at = |ticks| Timestamp::new(ticks, stream.time_base);
    let is_in = |packet: &&IndexedPacket| {
        packet.pts.is_some_and(|pts| {
            let is_after = at(pts + packet.duration) > kept.span.start;
            is_after && kept.span.end.is_none_or(|end| at(pts) < end)
        })
    };
    let hidden = index.packets.iter().filter(is_in).map(|packet| packet.hidden);
    let mut from_hidden_on = hidden.skip_while(|hidden| *hidden).skip_while(|hidden| !hidden);
    if from_hidden_on.any(|hidden| !hidden) {
        return Err(copyable::hidden_by_edit_list());
    }
    let edges = || index.packets.iter().filter_map(|packet| Some((packet.pts?, packet.duration)));
    let is_whole = |instant: Timestamp| edges().any(|(pts, _)| at(pts) == instant);
    let last = edges().map(|(pts, duration)| at(pts + duration)).max();
    let ends_with_it =
        kept.span.end.is_none_or(|end| last.is_some_and(|last| last <= end) || is_whole(end));
    // The edit list hides samples that are cut off within a packet.
    let hides = container.is_movie()
        && matches!(stream.codec.as_str(), "aac" | "ac3" | "eac3" | "alac" | "flac");
    let starts = if kept.from_start {
        // Priming packets are copied as well.
        let first = edges().next().map_or(kept.span.start, |(pts, _)| at(pts));
        Some((first.min(kept.span.start), 1))
    } else if hides {
        Some((kept.span.start, 1))
    } else if is_whole(kept.span.start) && is_independent(&stream.codec) {
        Some((kept.span.start, 0))
    } else {
        None
    };
    match starts {
        Some((start, lead_in)) if hides || ends_with_it => {
            Ok(Span { start, end: kept.span.end, hold: None, lead_in })
        }
        _ => Err(Reason::new(
            "SEAM_NOT_COPYABLE",
            format!("{} can not be cut within a packet in {}", stream.codec, container.name()),
        )),
    }
}

/// The span of whole packets nearest to a section, for a container that can not hide a part of one.
pub(crate) fn round_to_packets(stream: &StreamInfo, index: &StreamIndex, kept: &Kept) -> Span {
    let at = |ticks| Timestamp::new(ticks, stream.time_base);
    let nearest = |instant: Timestamp| {
        let distance = |edge: &Timestamp| (edge.seconds() - instant.seconds()).abs();
        let edges = index.shown().flat_map(|(pts, packet)| [at(pts), at(pts + packet.duration)]);
        let nearest = edges.min_by(|a, b| distance(a).total_cmp(&distance(b)));
        // If no edge is within the longest packet duration, packets are missing there. The instant
        // is then kept, and the run reports it.
        let longest = index.shown().map(|(_, packet)| packet.duration).max().unwrap_or(0);
        nearest.filter(|edge| distance(edge) <= at(longest).seconds()).unwrap_or(instant)
    };
    Span {
        start: nearest(kept.span.start),
        end: kept.span.end.map(nearest),
        hold: None,
        lead_in: 0,
    }
}

/// The section moved to begin at the keyframe at or before its start, and to end where a copy can
/// end.
pub(crate) fn to_keyframe(section: Section, stream: &StreamInfo, index: &StreamIndex) -> Section {
    let seconds = |ticks: i64| Timestamp::new(ticks, stream.time_base).seconds();
    let start = Timestamp::from_seconds(section.start, stream.time_base).ticks;
    let entries = index.shown().filter(|(_, packet)| packet.entry != RandomAccess::None);
    let Some(keyframe) = entries.map(|(pts, _)| pts).filter(|pts| *pts <= start).max() else {
        return section;
    };
    // The end moves on until no kept picture depends on one that is left out.
    let mut end = section.end.map(|end| Timestamp::from_seconds(end, stream.time_base).ticks);
    while let Some(wanted) = end {
        let last =
            index.packets.iter().rposition(|packet| packet.pts.is_some_and(|pts| pts < wanted));
        let needed = last.and_then(|last| index.packets.get(..=last)).unwrap_or_default();
        match needed.iter().filter_map(|packet| packet.pts).max() {
            // The section ends at the next picture, so that the last one keeps its duration.
            Some(latest) if latest >= wanted => {
                end = index.shown().map(|(pts, _)| pts).filter(|pts| *pts > latest).min();
            }
            _ => break,
        }
    }
    let end = end.map(seconds);
    Section { start: seconds(keyframe), end, from_keyframe: true, ..section }
}

/// Whether each packet of a codec is decoded by itself.
pub(crate) fn is_independent(codec: &str) -> bool {
    codec.starts_with("pcm_") || matches!(codec, "flac" | "alac")
}
