//! Probing: what an input holds, by libav, by our own parsers of its header, and by the first
//! packets and frames where neither tells.

use std::{
    io::{self, Read, Seek, SeekFrom},
    num::NonZeroU32,
};

use avocet_model::{
    error::{Error, Result},
    format::{
        flv, matroska,
        movie::{self, Still},
        mxf, riff,
    },
    location::Location,
    media::{Behind, Kind, MediaInfo, StreamInfo, movie::Movie},
    progress::CancelToken,
    time::{Rational, Timestamp},
};

use super::{glance, head, reader::FrameReader};
use crate::{
    io::Source,
    libav::{Demuxer, Depth, limits::Limits},
};

/// Finds out what an input holds.
///
/// With `pictures_only`, where the parameter sets in the extradata tell how pictures look, libav
/// does not search packets for more, and of sound only what the header says is known.
pub(crate) fn probe(
    source: &Source,
    pictures_only: bool,
    limits: Limits,
    cancel: &CancelToken,
) -> Result<MediaInfo> {
    let location = source.location();
    let depth = if pictures_only { Depth::Header } else { Depth::Streams };
    let mut demuxer = source.demuxer(&location, depth, limits, cancel)?;
    let mut media = demuxer.media();
    if pictures_only && demuxer.has_full_header() && !glance::complete(&mut media) {
        demuxer.look_closely().map_err(|fault| fault.of_input(&location))?;
        media = demuxer.media();
        limits.check_opened(&location, &demuxer)?;
    }
    let unreadable = |source| Error::Read { location: location.clone(), source };
    let open = || source.open(cancel).map_err(unreadable);
    if media.streams.is_empty() {
        // Since FFmpeg 7.0, parts of a HEIF picture that are not described well are no streams.
        if media.is_format("mov") {
            whole_still(&location, &mut open()?)?;
        }
        let reason = format!("its container, {}, has no stream", media.format);
        return Err(Error::NotMedia { location, reason });
    }
    let mut behind = Behind::Nothing;
    if media.is_format("mov") {
        media.movie = Movie::read(&mut open()?).map_err(unreadable)?;
        if let Some(movie) = media.movie.take() {
            complete_movie(&mut media, &movie, &demuxer);
            // There may be thousands of fragments, each of which would cost a request.
            if !movie.fragmented || !source.is_in_parts() {
                behind = movie::behind(&mut open()?).map_err(unreadable)?;
            }
            media.movie = Some(movie);
        } else if let Some(still) = whole_still(&location, &mut open()?)? {
            complete_still(&mut media, &still);
        }
    } else if media.is_format("webm") {
        behind = matroska::complete(&mut open()?, &mut media).map_err(unreadable)?;
    } else {
        behind = look_behind(&mut media, &mut open()?).map_err(unreadable)?;
    }
    media.note_behind(behind);
    head::look(&mut demuxer, &mut media).map_err(|fault| fault.of_input(&location))?;
    let wanting = media.videos().find(|(_, video)| video.is_hdr() && video.hdr.is_empty());
    if let Some(stream) = wanting.map(|(stream, _)| stream.index) {
        if demuxer.rewind().is_err() {
            demuxer = source.demuxer(&location, Depth::Streams, limits, cancel)?;
        }
        let mut reader = FrameReader::over(demuxer, location, stream, NonZeroU32::MIN)?;
        let hdr = reader.next()?.map(|frame| frame.hdr());
        if let (Some(hdr), Kind::Video(video)) = (hdr, &mut media.streams[stream].kind) {
            video.hdr = hdr;
        }
    }
    media.origin = source.origin();
    Ok(media)
}

/// Fills in durations, changes of parameters and crops, as the boxes of a movie state them.
fn complete_movie(media: &mut MediaInfo, movie: &Movie, demuxer: &Demuxer) {
    // Since FFmpeg 7.0 libav states the duration of tracks, which may be too long.
    let stated = movie.duration.filter(|_| !movie.fragmented);
    let stated = stated.and_then(|it| it.rescale(Rational::MICROSECONDS));
    media.duration = if demuxer.overstates() {
        media.streams.iter().filter_map(end_of).max()
    } else {
        media.duration.max(stated)
    };
    for stream in &mut media.streams {
        let track = movie.track_of(stream);
        stream.parameters_change = track.is_some_and(|track| track.entries_differ);
        let aperture = track.and_then(|track| track.aperture);
        if let (Kind::Video(video), Some(aperture)) = (&mut stream.kind, aperture)
            && let Some(crop) = aperture.crop(video.width, video.height)
        {
            video.crop_to(crop);
        }
    }
}

/// When a stream ends, in microseconds.
fn end_of(stream: &StreamInfo) -> Option<Timestamp> {
    let [start, duration] = [stream.start?, stream.duration?]
        .map(|time| Some(time.rescale(Rational::MICROSECONDS)?.ticks));
    Some(Timestamp::new(start? + duration?, Rational::MICROSECONDS))
}

/// The primary picture of a HEIF file. Fails with [`Error::Unsupported`] for one that is made of
/// others, which libav shows one by one.
fn whole_still(location: &Location, reader: &mut (impl Read + Seek)) -> Result<Option<Still>> {
    let unreadable = |source| Error::Read { location: location.clone(), source };
    let still = movie::still(reader).map_err(unreadable)?;
    match still.as_ref().map(|still| still.kind.as_str()) {
        Some(kind @ ("grid" | "iovl" | "iden")) => {
            let found = format!("a HEIF image that is derived from other images ({kind})");
            Err(Error::Unsupported { location: location.clone(), found })
        }
        _ => Ok(still),
    }
}

/// Fills in orientation and crop of a still picture, since releases of libav tell only parts of
/// them.
fn complete_still(media: &mut MediaInfo, still: &Still) {
    let is_only = media.videos().count() == 1;
    let is_it = |stream: &StreamInfo| is_only || i64::from(stream.id) == i64::from(still.id);
    for stream in media.streams.iter_mut().filter(|stream| is_it(stream)) {
        let Kind::Video(video) = &mut stream.kind else { continue };
        video.orientation = still.orientation;
        if let Some(crop) = still.crop(video.width, video.height) {
            video.crop_to(crop);
        }
    }
}

/// What stands behind a file whose header says how large it is. Sets how many bytes are missing of
/// a file that is shorter.
fn look_behind(media: &mut MediaInfo, reader: &mut (impl Read + Seek)) -> io::Result<Behind> {
    /// Bytes of the shortest tag of FLV, with its size behind it.
    const SHORTEST_TAG: u64 = 15;
    let is_flv = media.is_format("flv");
    let is_avi = media.is_format("avi");
    if media.is_format("mxf") {
        let footer = mxf::footer(reader)?;
        let length = reader.seek(SeekFrom::End(0))?;
        media.missing_bytes = footer.map_or(0, |footer| footer.saturating_sub(length));
    }
    if !is_flv && !is_avi && media.reads_on() {
        return Ok(Behind::Nothing);
    }
    let size = if is_flv { flv::stated_size(reader)? } else { riff::stated_size(reader)? };
    let Some(size) = size else { return Ok(Behind::Nothing) };
    let length = reader.seek(SeekFrom::End(0))?;
    if is_flv || is_avi {
        // Sizes in files of sound are not believed: they may have been written before anybody knew
        // how much sound there would be.
        media.missing_bytes = size.saturating_sub(length);
    }
    Ok(match () {
        // Files of FLV count as alike, since packets tell when their coding changes.
        () if is_flv && size + SHORTEST_TAG <= length => Behind::Alike,
        () if !is_flv && size < length && riff::is_followed(reader, size)? => {
            if is_avi {
                Behind::Other
            } else {
                Behind::Alike
            }
        }
        () => Behind::Nothing,
    })
}
