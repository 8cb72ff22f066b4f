//! Damage that stream copies carry over: as the cause of a failed output, and in its last pictures.

use std::{io, num::NonZeroU32};

use avocet_model::{
    error::{Error, Result},
    format::seek::ReadSeek,
    plan::{FramePick, Output, Part, Plan, Reason, Select, Track, TrackKind},
    progress::CancelToken,
    time::Timestamp,
};

use super::counters::Counted;
use crate::{
    io::Sources,
    libav::{Decoder, Demuxer, Depth, Packet, Received, limits::Limits},
    read::{open::parameters_of, reader::FrameReader},
};

/// The last pictures that were copied out of TS and PS into an output. These containers may end
/// within a picture, since their packets do not tell how long they should be.
pub(crate) struct Ends<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) output: &'a Output,
    pub(crate) counts: &'a [Counted],
    pub(crate) threads: NonZeroU32,
    pub(crate) limits: Limits,
    pub(crate) cancel: &'a CancelToken,
}

impl Ends<'_> {
    /// Decodes such tracks of the output from the last keyframe on, and warns of damaged pictures.
    pub(crate) fn damaged(
        &self,
        open: &dyn Fn() -> io::Result<Box<dyn ReadSeek>>,
    ) -> Result<Vec<Reason>> {
        let location = &self.output.location;
        let mut warnings = Vec::new();
        for (number, (track, counted)) in self.output.tracks().iter().zip(self.counts).enumerate() {
            let (Some(last), true) =
                (counted.written.extent.last_start(), self.may_end_torn(track, counted))
            else {
                continue;
            };
            let unreadable = |source| Error::Write { location: location.clone(), source };
            let reader = open().map_err(unreadable)?;
            let demuxer = Demuxer::open(reader, Depth::Streams, self.limits, self.cancel)
                .map_err(|fault| fault.of_input(location))?;
            let mut reader = FrameReader::over(demuxer, location.clone(), number, self.threads)?;
            let pick = FramePick { time: last, keyframe: true, neighbors: false };
            let mut is_whole = !reader.go_to(&pick)?.frame.is_concealed();
            while let Some(frame) = reader.next()? {
                is_whole &= !frame.is_concealed();
            }
            if !is_whole || !reader.health().is_good() {
                let message = format!(
                    "the last pictures of video track {number} are damaged: the input ends within \
                     them"
                );
                warnings.push(Reason::new("PICTURE_DAMAGED", message));
            }
        }
        Ok(warnings)
    }

    /// Whether a video track was copied up to the end of such an input.
    fn may_end_torn(&self, track: &Track, counted: &Counted) -> bool {
        let source = track.parts.last().and_then(|part| part.source);
        let input = source.and_then(|source| self.plan.inputs.get(source.input));
        track.kind == TrackKind::Video
            && track.action.copies()
            && input.is_some_and(|input| input.closes_jumps)
            && counted.parts.last().is_some_and(|read| read.to_end)
    }
}

/// The cause of a failure to write or read back copied tracks: damage of the input, if a decode
/// finds some, since a copy does not look into its packets; else the failure itself.
pub(crate) fn cause(
    failure: Error,
    plan: &Plan,
    sources: &Sources,
    threads: NonZeroU32,
    limits: Limits,
    cancel: &CancelToken,
) -> Error {
    // Text has another decoder API, and damage in it does not make a copy fail.
    let is_decoded = |track: &&Track| matches!(track.kind, TrackKind::Video | TrackKind::Audio);
    let copies = |track: &&Track| is_decoded(track) && track.action.copies();
    for track in plan.tracks().filter(copies) {
        for part in &track.parts {
            match damage(part, plan, sources, threads, limits, cancel) {
                Ok(Some((at, lost))) => {
                    let (kind, at) = (track.kind.name(), at.seconds());
                    let what =
                        format!("a packet of {kind} at {at:.3} s can not be decoded; {failure}");
                    let source = part.source.map_or(0, |source| source.input);
                    let location = plan.inputs[source].location.clone();
                    return Error::Damaged { location, what, lost: lost.seconds() };
                }
                Ok(None) => {}
                Err(Error::Cancelled) => return Error::Cancelled,
                // An input that can not be opened or decoded here tells nothing.
                Err(error) => tracing::debug!(%error, "damage of the input is not known"),
            }
        }
    }
    failure
}

/// Presentation time and duration of the first packet of a part that can not be decoded without
/// damage; `None` if there is none.
fn damage(
    part: &Part,
    plan: &Plan,
    sources: &Sources,
    threads: NonZeroU32,
    limits: Limits,
    cancel: &CancelToken,
) -> Result<Option<(Timestamp, Timestamp)>> {
    let Some(source) = part.source else { return Ok(None) };
    let location = &plan.inputs[source.input].location;
    let input = sources.expect(location)?;
    let mut demuxer = input.demuxer(location, Depth::Streams, limits, cancel)?;
    demuxer.keep_only(|stream| stream == source.stream);
    let parameters = parameters_of(&demuxer, location, source.stream)?;
    let base = parameters.time_base;
    let opened = Decoder::open(&parameters, threads);
    let mut decoder = opened.map_err(|error| error.about("decoder", &parameters.codec()))?;
    while let Some(packet) = demuxer.read().map_err(|fault| fault.of_input(location))? {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if packet.stream() != source.stream {
            continue;
        }
        let is_good = decodes(&mut decoder, &packet);
        let at = Timestamp::new(packet.pts().or(packet.dts()).unwrap_or(0), base);
        let (is_before, is_after) = match part.select {
            Select::Span(span) => (at < span.start, span.end.is_some_and(|end| at >= end)),
            Select::All | Select::At(_) => (false, false),
        };
        if is_after {
            return Ok(None);
        }
        if !is_good && !is_before {
            return Ok(Some((at, Timestamp::new(packet.duration(), base))));
        }
    }
    Ok(None)
}

/// Whether a decoder takes a packet, and gives no damaged frame.
fn decodes(decoder: &mut Decoder, packet: &Packet) -> bool {
    let mut is_good = decoder.send(packet).is_ok();
    loop {
        match decoder.receive() {
            Ok(Received::One(frame)) => is_good &= !frame.is_concealed(),
            Ok(Received::Nothing) => return is_good,
            Ok(Received::Failed(_)) | Err(_) => return false,
        }
    }
}
