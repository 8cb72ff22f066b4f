//! What parameter sets tell of pictures, so that none needs to be read.

use avocet_model::{
    format::nal::avc::{AvcSequence, AvcSets},
    media::{Color, Kind, MediaInfo, Scan, StreamInfo, VideoInfo},
    time::Rational,
};

use crate::libav::{color_of, pixel_format_of};

/// Fills in what a container's header leaves open about its video streams, by parameter sets of
/// H.264; `false` when these do not tell all of it.
pub(crate) fn complete(media: &mut MediaInfo) -> bool {
    // Some containers tell the start of a stream only by its packets.
    let is_timed = |stream: &StreamInfo| stream.still || stream.start.is_some();
    if media.start.is_none() || !media.streams.iter().all(is_timed) {
        return false;
    }
    let videos = media.streams.iter_mut().filter(|stream| !stream.still);
    let mut videos = videos.filter(|stream| matches!(stream.kind, Kind::Video(_)));
    let mut any = false;
    let all = videos.all(|stream| {
        any = true;
        complete_stream(stream).is_some()
    });
    any && all
}

fn complete_stream(stream: &mut StreamInfo) -> Option<()> {
    let sets = AvcSets::read(&stream.extradata).filter(|_| stream.codec == "h264")?;
    let sequences = sets.sequences()?;
    let (first, others) = sequences.split_first()?;
    // The set without what decides how pictures are coded, and not what they look like.
    let looks = |set: &AvcSequence| AvcSequence {
        id: 0,
        profile: 0,
        level: 0,
        lossless: false,
        references: 0,
        ..*set
    };
    if others.iter().any(|other| looks(other) != looks(first)) {
        return None;
    }
    let Kind::Video(video) = &mut stream.kind else { return None };
    complete_video(video, first)
}

fn complete_video(video: &mut VideoInfo, set: &AvcSequence) -> Option<()> {
    // Where pictures may be fields, or the container has another size, frames must be decoded.
    let side = |macroblocks: u32, side: u32| side.div_ceil(16) == macroblocks;
    let (wide, high) = set.macroblocks;
    let is_sound = set.progressive && side(wide, video.width) && side(high, video.height);
    let name = match (set.chroma, set.depth) {
        (1, (8, 8)) if set.full_range == Some(true) => "yuvj420p",
        (1, (8, 8)) => "yuv420p",
        (1, (10, 10)) => "yuv420p10le",
        (2, (8, 8)) => "yuv422p",
        (2, (10, 10)) => "yuv422p10le",
        _ => return None,
    };
    if !is_sound {
        return None;
    }
    video.pixel_format = Some(pixel_format_of(name)?);
    video.scan = Scan::Progressive;
    if video.pixel_aspect == Rational::ONE {
        video.pixel_aspect = set.pixel_aspect.unwrap_or(Rational::ONE);
    }
    if let Some(full) = set.full_range {
        // Colors that are not told are unspecified, which is 2 in ITU-T H.273.
        let (said, reserved) = color_of(full, set.colors.unwrap_or([2; 3]));
        let Color { range, matrix, primaries, transfer } = said;
        let own = &mut video.color;
        own.range = range.or_else(|| own.range.take());
        own.matrix = matrix.or_else(|| own.matrix.take());
        own.primaries = primaries.or_else(|| own.primaries.take());
        own.transfer = transfer.or_else(|| own.transfer.take());
        video.reserved_color |= reserved;
    }
    (!video.is_hdr()).then_some(())
}
