//! Outputs, opened up to their headers.

use std::num::NonZeroU32;

use avocet_model::{
    error::{Error, Result},
    media::{self, Hdr},
    plan::{self, Action, FrameFormat, Output, Plan, SpriteSheet, Track, TrackKind},
    progress::CancelToken,
    time::{Rational, Timestamp},
};

use super::{
    OpenTrack,
    counters::{Counters, Written},
    pictures,
    stage::{Encode, Filter, Lines, Mux, MuxTrack, Nowhere, OfTrack, Outlet, Then},
};
use crate::{
    io::Draft,
    libav::{AvResult, Encoder, Frame, Muxer, OpenError, TrackHeader},
};

/// Opens what tiles, encodes and writes the pictures of a sprite sheet.
pub(crate) fn open_sheet(
    output: &Output,
    sheet: &SpriteSheet,
    draft: &Draft,
    cancel: &CancelToken,
) -> Result<Box<dyn Outlet<Frame>>> {
    let encoder = Encoder::open(&sheet.encoder, NonZeroU32::MIN, false)
        .map_err(|error| error.about("encoder", &sheet.encoder.name))?;
    let parameters = encoder.parameters().map_err(|_| Error::Exhausted { what: "memory" })?;
    let (base, counters) = (encoder.time_base, Counters::<Written>::default());
    let encode = Encode::new(encoder, &sheet.encoder, Timestamp::ZERO, counters.clone())?;
    let header = TrackHeader {
        parameters: &parameters,
        time_base: base,
        frame_rate: None,
        tag: None,
        disposition: media::Disposition::default(),
        cover: false,
        tags: &media::Tags::new(),
        hdr: &Hdr::default(),
        projection: &media::Projection::default(),
    };
    let muxer = begin_muxer(output, draft, cancel, |muxer| muxer.add(&header))?;
    let track = MuxTrack::of_picture(muxer.time_base(0), counters.clone());
    let mux = Then { stage: Mux::new(muxer, output, vec![track]), next: Box::new(Nowhere) };
    let encode = Then { stage: encode, next: Box::new(OfTrack::new(0, &counters, mux)) };
    let lines = Lines { base, out: base, onto: None };
    let tile = Filter::open(&pictures::tiling(sheet), None, lines, NonZeroU32::MIN)?;
    Ok(Box::new(Then { stage: tile, next: Box::new(encode) }))
}

/// Makes the muxer of an output and writes its header.
pub(super) fn open_muxer(
    output: &Output,
    tracks: &[OpenTrack],
    draft: &Draft,
    cancel: &CancelToken,
) -> Result<Muxer> {
    begin_muxer(output, draft, cancel, |muxer| {
        muxer.set_tags(&output.tags)?;
        output.chapters.iter().try_for_each(|chapter| muxer.add_chapter(chapter))?;
        for (track, OpenTrack { parameters, .. }) in output.tracks().iter().zip(tracks) {
            let (frame_rate, hdr) = picture_of(track);
            muxer.add(&TrackHeader {
                parameters,
                time_base: parameters.time_base,
                frame_rate,
                tag: track.tag.as_deref(),
                disposition: track.disposition,
                cover: track.kind == TrackKind::Cover,
                tags: &track.tags,
                hdr: &hdr,
                projection: &track.projection,
            })?;
        }
        Ok(())
    })
}

/// Estimates the size of a movie's index (`moov`), in bytes, with little to spare: from the
/// expected length and the packet rates of its tracks. 0 where the plan does not know the length,
/// and where the estimate is larger than `MOST`.
pub(super) fn room_for_index(plan: &Plan, output: &Output, tracks: &[OpenTrack]) -> u64 {
    /// Bytes per picture: its size, and the offset of its chunk.
    const PICTURE: u64 = 8;
    /// Further bytes per sample: for a composition offset where pictures are reordered, and once
    /// more for a duration of its own where durations do not fit the ticks.
    const MORE: u64 = 8;
    /// Bytes per other sample: its size, and its share of a chunk, of which there are many because
    /// pictures lie in between.
    const OTHER: u64 = 14;
    /// Bytes per other sample of a track that is alone in its file, where chunks are large.
    const ALONE: u64 = 5;
    /// Bytes per chapter: its entry in a list, and its sample in a track of text.
    const CHAPTER: u64 = 64;
    /// Bytes of the boxes without tables: once for the movie, and once for each track.
    const BOXES: u64 = 2048;
    /// The largest estimate that is believed, in bytes. A larger one follows from a wrong length.
    const MOST: u64 = 64 << 20;

    let Some(seconds) = plan.seconds else { return 0 };
    let text = |tags: &media::Tags| -> u64 {
        tags.iter().map(|(key, value)| (key.len() + value.len() + 64) as u64).sum()
    };
    let chapters = output.chapters.iter().map(|chapter| CHAPTER + text(&chapter.tags));
    let mut bytes = BOXES + text(&output.tags) + chapters.sum::<u64>();
    for (track, OpenTrack { parameters, .. }) in output.tracks().iter().zip(tracks) {
        let rate = picture_of(track).0.or(parameters.frame_rate);
        let is_even = rate.is_some_and(|rate| {
            let ticks = 1.0 / (rate.as_f64() * parameters.time_base.as_f64());
            (ticks - ticks.round()).abs() < 1e-6
        });
        let each = match track.kind {
            TrackKind::Video => {
                let more = u64::from(!is_even) + u64::from(parameters.is_reordered());
                PICTURE + MORE * more
            }
            // Cover art is one sample.
            TrackKind::Cover => 0,
            _ => {
                // Packets that are no whole number of ticks long have durations that vary.
                let base = parameters.time_base.as_f64();
                let ticks = parameters.packets_per_second().map(|rate| 1.0 / (rate * base));
                let is_even = ticks.is_none_or(|ticks| (ticks - ticks.round()).abs() < 1e-3);
                let alone = if tracks.len() == 1 { ALONE } else { OTHER };
                alone + if is_even { 0 } else { MORE }
            }
        };
        let rate = rate.map(Rational::as_f64).or_else(|| parameters.packets_per_second());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let samples = (seconds * rate.unwrap_or(50.0)) as u64;
        let own = BOXES + parameters.extradata().len() as u64;
        bytes = bytes.saturating_add(samples.saturating_mul(each)).saturating_add(own);
    }
    if bytes > MOST { 0 } else { bytes }
}

/// Makes a muxer, lets `add` add the streams, and writes the header.
fn begin_muxer(
    output: &Output,
    draft: &Draft,
    cancel: &CancelToken,
    add: impl FnOnce(&mut Muxer) -> AvResult<()>,
) -> Result<Muxer> {
    let failed = |error: OpenError| error.about("muxer", &output.muxer);
    let mut muxer = Muxer::create(&output.muxer, draft.writer()?, cancel).map_err(failed)?;
    add(&mut muxer).map_err(|error| failed(error.into()))?;
    if let Err(error) = muxer.begin(&output.options) {
        // The first bytes are written with the header: a full disk may show here.
        return Err(match muxer.take_failure() {
            _ if cancel.is_cancelled() => Error::Cancelled,
            Some(source) => Error::Write { location: output.location.clone(), source },
            None => failed(error),
        });
    }
    Ok(muxer)
}

/// Frame rate and HDR metadata of an encoded picture track; a copied one keeps its own.
fn picture_of(track: &Track) -> (Option<Rational>, Hdr) {
    match &track.action {
        Action::Encode(encoder) => match &encoder.format {
            FrameFormat::Video(plan::PictureFormat { frame_rate, hdr, .. }) => {
                (*frame_rate, hdr.clone())
            }
            FrameFormat::Audio(_) => (None, Hdr::default()),
        },
        Action::Copy | Action::SmartCut(_) | Action::Convert(_) => (None, Hdr::default()),
    }
}
