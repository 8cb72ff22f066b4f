//! The cost of a plan, estimated from what probing and the index found, to compare plans by.

#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]

use avocet_model::{
    cost::Cost,
    index::{IndexedPacket, RandomAccess, StreamIndex},
    media::{Kind, MediaInfo, StreamInfo},
    plan::{Action, Content, CopiedRun, FramePick, Part, Plan, Select, StreamId, TrackKind},
    time::{Rational, Timestamp},
};

use super::context::Probed;

/// The assumed distance of the keyframe before an instant, in seconds: there is seldom an index.
const SEEK_SECONDS: f64 = 2.0;

/// The assumed frame rate, in frames per second, where it is not known.
const USUAL_FRAME_RATE: f64 = 25.0;

/// Writes the cost into a plan, and into those that its `otherwise` holds.
pub(crate) fn fill(plan: &mut Plan, inputs: &[Probed]) {
    let mut cost = Cost::default();
    for track in plan.tracks() {
        let pieces = || track.parts.iter().filter_map(|part| Piece::of(part, inputs));
        match &track.action {
            Action::Copy => cost.bytes_copied += pieces().map(Piece::bytes).sum::<u64>(),
            Action::Encode(_) if track.kind == TrackKind::Video => {
                for (before, frames) in pieces().map(Piece::frames) {
                    cost.frames_decoded += before + frames;
                    cost.frames_encoded += frames;
                }
                if track.parts.iter().any(|part| part.source.is_none()) {
                    // Black pictures fill the time that no piece covers.
                    let black = pieces().fold(plan.seconds, |all, it| Some(all? - it.seconds()));
                    let rate = pieces().next().map_or(USUAL_FRAME_RATE, Piece::rate);
                    cost.frames_encoded += (black.unwrap_or(0.0) * rate).round() as u64;
                }
            }
            Action::SmartCut(_) => {
                for (piece, run) in pieces().zip(track.parts.iter().filter_map(|it| it.copied)) {
                    let (bytes, decoded, encoded) = piece.smart_cut(run);
                    cost.bytes_copied += bytes;
                    cost.frames_decoded += decoded;
                    cost.frames_encoded += encoded;
                }
            }
            Action::Encode(_) | Action::Convert(_) => {}
        }
    }
    for output in &plan.outputs {
        if let Content::SpriteSheet(sheet) = &output.content {
            let pieces = sheet.picks.iter().map(|pick| Select::At(*pick));
            let pieces = pieces.filter_map(|select| Piece::new(sheet.source, select, inputs));
            cost.frames_decoded +=
                pieces.map(Piece::frames).map(|(before, frames)| before + frames).sum::<u64>();
            cost.frames_encoded += 1;
        }
    }
    plan.cost = cost;
    plan.otherwise.iter_mut().for_each(|otherwise| fill(otherwise, inputs));
}

/// A part of a track, with what is known of its stream.
#[derive(Clone, Copy)]
struct Piece<'a> {
    media: &'a MediaInfo,
    stream: &'a StreamInfo,
    index: Option<&'a StreamIndex>,
    select: Select,
}

impl<'a> Piece<'a> {
    fn of(part: &Part, inputs: &'a [Probed]) -> Option<Self> {
        Self::new(part.source?, part.select, inputs)
    }

    fn new(id: StreamId, select: Select, inputs: &'a [Probed]) -> Option<Self> {
        let Probed { media, index, .. } = inputs.get(id.input)?;
        let index = index.as_ref().and_then(|index| index.streams.get(id.stream));
        Some(Self { media, stream: media.streams.get(id.stream)?, index, select })
    }

    /// Bytes of the packets that are wanted, by index or sample table, else by the bit rate. Where
    /// only the container states a rate, video is taken to have all of it and audio 128 kbit/s.
    fn bytes(self) -> u64 {
        if let Some(index) = self.index {
            let bytes = |packet: &IndexedPacket| self.wants(packet).then_some(packet.bytes);
            return index.packets.iter().filter_map(bytes).map(u64::from).sum();
        }
        let rate = self.stream.bit_rate.unwrap_or(match &self.stream.kind {
            Kind::Video(_) if !self.stream.still => self.media.bit_rate.unwrap_or(0),
            Kind::Audio(_) => 128_000,
            _ => 0,
        });
        self.stream.promised_bytes.unwrap_or((rate as f64 / 8.0 * self.seconds()).round() as u64)
    }

    /// The number of frames that are only decoded, from a keyframe on, and of those that are
    /// encoded as well.
    fn frames(self) -> (u64, u64) {
        let hidden = self.stream.hidden_before + self.stream.hidden_after;
        let shown = self.stream.promised_packets.map(|all| all.saturating_sub(hidden));
        let shown = shown.unwrap_or((self.seconds() * self.rate()).round() as u64).max(1);
        match (self.select, self.index) {
            (Select::At(FramePick { time, .. }), Some(index))
                if index.packets.iter().any(|packet| {
                    packet.pts == Some(time.ticks) && packet.entry != RandomAccess::None
                }) =>
            {
                (0, 1)
            }
            (Select::At(FramePick { time, keyframe, .. }), _) => {
                let begin = self.stream.start.map_or(0.0, Timestamp::seconds);
                let most = if keyframe { 0.0 } else { SEEK_SECONDS };
                let before = (time.seconds() - begin).clamp(0.0, most) * self.rate();
                ((before.round() as u64).min(shown - 1), 1)
            }
            (_, Some(StreamIndex { packets, .. })) => {
                let is_wanted = |packet: &&IndexedPacket| self.wants(packet) && !packet.hidden;
                let frames = packets.iter().filter(is_wanted).count();
                let first = packets.iter().position(|packet| is_wanted(&packet)).unwrap_or(0);
                let from =
                    packets.iter().take(first + 1).rposition(|it| it.entry != RandomAccess::None);
                ((first - from.unwrap_or(0)) as u64, frames.max(1) as u64)
            }
            (_, None) => (hidden, shown),
        }
    }

    /// The bytes that a smart cut copies, and the numbers of frames that it decodes and encodes.
    fn smart_cut(self, run: CopiedRun) -> (u64, u64, u64) {
        let packets = self.index.map_or(&[][..], |index| &index.packets);
        let at = |pts| Timestamp::new(pts, self.stream.time_base);
        let is_copied = |packet: &&IndexedPacket| {
            let start = packet.pts.map(at);
            start.is_some_and(|start| {
                run.keyframe_pts.is_some_and(|from| start >= from)
                    && run.end_pts.is_none_or(|end| start < end)
            }) && self.wants(packet)
        };
        let copied = || packets.iter().filter(is_copied);
        let encoded = run.pictures.saturating_sub(copied().count() as u64);
        let (before, _) = self.frames();
        let tail = |packet: &&IndexedPacket| packet.pts.map(at) >= run.tail_keyframe_pts;
        let tail = if run.end_pts.is_some() { copied().filter(tail).count() as u64 } else { 0 };
        let bytes = copied().map(|packet| u64::from(packet.bytes)).sum();
        let decoded = if encoded > 0 { before + encoded + tail } else { 0 };
        (bytes, decoded, encoded)
    }

    /// Whether a packet is wanted: a video packet must begin in the span, any other must overlap
    /// it.
    fn wants(self, packet: &IndexedPacket) -> bool {
        let (Select::Span(span), Some(pts)) = (self.select, packet.pts) else {
            return self.select == Select::All;
        };
        let at = |ticks| Timestamp::new(ticks, self.stream.time_base);
        let is_video = matches!(self.stream.kind, Kind::Video(_));
        let last = if is_video { pts } else { pts + packet.duration.max(1) - 1 };
        at(last) >= span.start && span.end.is_none_or(|end| at(pts) < end)
    }

    /// The duration of the stream, in seconds; 0 when it is not known.
    fn seconds(self) -> f64 {
        self.stream.duration.or(self.media.duration).map_or(0.0, Timestamp::seconds).max(0.0)
    }

    fn rate(self) -> f64 {
        let Kind::Video(video) = &self.stream.kind else { return 0.0 };
        video.frame_rate.map_or(USUAL_FRAME_RATE, Rational::as_f64)
    }
}
