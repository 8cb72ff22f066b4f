//! Muxers and their options.

use avocet_engine::{Action, FrameFormat, Kind, MediaInfo, Output, Track, greatest_common_divisor};

use crate::{choose::kept_tags, compile::Circumstances, format::Format};

/// The only output of a recipe, holding `tracks` of the only input.
pub(crate) fn output(
    format: Format,
    media: &MediaInfo,
    tracks: Vec<Track>,
    circumstances: &Circumstances<'_>,
) -> Output {
    let mut options = Vec::new();
    if matches!(format, Format::Mp4 | Format::Mov | Format::M4a) {
        options.push(("movflags".to_owned(), "+faststart".to_owned()));
        let scale = movie_timescale(media, &tracks).to_string();
        options.push(("movie_timescale".to_owned(), scale));
    }
    Output {
        location: circumstances.output.clone(),
        replace: circumstances.replace,
        muxer: muxer(format).to_owned(),
        options,
        tags: kept_tags(&media.tags),
        tracks,
    }
}

/// libav's name of the muxer for a format.
pub(crate) const fn muxer(format: Format) -> &'static str {
    match format {
        Format::Mp4 => "mp4",
        Format::Webm => "webm",
        Format::Mov => "mov",
        Format::Gif => "gif",
        Format::Mp3 => "mp3",
        Format::Aac => "adts",
        Format::Wav => "wav",
        Format::M4a => "ipod",
        Format::Jpg | Format::Png | Format::Webp => "image2pipe",
    }
}

/// Ticks per second of a movie in which every edit of every track is a whole number: the least
/// common multiple of the tracks' own, as long as it fits.
///
/// libav's own 1000 would round the start of each track to a millisecond.
fn movie_timescale(media: &MediaInfo, tracks: &[Track]) -> u32 {
    let scales: Vec<u32> = tracks.iter().map(|track| track_timescale(media, track)).collect();
    let largest = scales.iter().copied().max().unwrap_or(1000);
    scales
        .iter()
        .try_fold(1_u32, |all, scale| {
            let multiple = all.checked_mul(scale / greatest_common_divisor(all, *scale))?;
            i32::try_from(multiple).is_ok().then_some(multiple)
        })
        .unwrap_or(largest)
}

/// Ticks per second that libav's muxer gives a track of MP4 or QuickTime.
fn track_timescale(media: &MediaInfo, track: &Track) -> u32 {
    let of_picture = |ticks: u32| {
        let mut scale = ticks;
        while scale < 10_000 {
            scale *= 2;
        }
        scale
    };
    match &track.action {
        Action::Encode(encode) => match &encode.encoder.format {
            FrameFormat::Video(format) => of_picture(format.time_base.den.get()),
            FrameFormat::Audio(format) => format.sample_rate.get(),
        },
        Action::Copy => match media.streams.get(track.stream) {
            Some(stream) => match &stream.kind {
                Kind::Audio(audio) => audio.sample_rate.map_or(48_000, std::num::NonZero::get),
                _ => of_picture(stream.time_base.den.get()),
            },
            None => 1000,
        },
    }
}
