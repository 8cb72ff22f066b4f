//! Whether an input is to blame for an output that is not whole.

use std::num::NonZeroU32;

use crate::{
    av::{Decoder, Depth, Packet, Received},
    error::{Error, Result},
    io::Sources,
    limits::Limits,
    pipeline::parameters_of,
    plan::{Action, Part, Plan, Select, Track, TrackKind},
    progress::CancelToken,
    time::Timestamp,
};

/// The cause of a failure to write or read back what was copied: damage in the input, where a decode
/// finds some, since a copy does not look into its packets; else the failure itself.
pub(crate) fn cause(
    failure: Error,
    plan: &Plan,
    sources: &Sources,
    threads: NonZeroU32,
    limits: Limits,
    cancel: &CancelToken,
) -> Error {
    // Decoders of text are asked in another way, and copies of it are damaged by nothing.
    let is_decoded = |track: &&Track| matches!(track.kind, TrackKind::Video | TrackKind::Audio);
    let copies = |track: &&Track| {
        is_decoded(track) && matches!(track.action, Action::Copy | Action::Splice(_))
    };
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
                // What can not be decoded here tells nothing.
                Err(error) => tracing::debug!(%error, "damage of the input is not known"),
            }
        }
    }
    failure
}

/// When the first packet of a part is shown that a decoder can make nothing of, and how long it
/// lasts.
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
