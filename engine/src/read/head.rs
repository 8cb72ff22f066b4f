//! What the first packets of an input say, and its header does not.

use avocet_model::{
    format::exif,
    media::{Kind, MediaInfo, Orientation, StreamInfo},
};

use super::index::Entries;
use crate::libav::{Demuxer, Fault, Packet};

/// The most packets that are read in search of a second picture.
const MAX_PACKETS: usize = 500;

/// The same, in bytes.
const MAX_BYTES: usize = 16 << 20;

/// A stream of a still-picture codec that has one picture so far is taken for a preview if another
/// stream has at least this many pictures.
const MANY: u64 = 50;

/// What is looked for in the first packets of a stream.
struct Search {
    /// What finds the orientation in a keyframe, where it may tell one.
    entries: Option<Entries>,
    /// How many packets are to be looked at.
    wanted: u64,
    /// How many packets were looked at.
    found: u64,
    /// The orientation that the first packet tells, if that is not upright.
    orientation: Option<Orientation>,
}

/// Fills in what only packets tell: the orientation of pictures, where the container does not, and
/// which streams are previews of one picture. The demuxer then stands behind the packets read.
pub(crate) fn look(demuxer: &mut Demuxer, media: &mut MediaInfo) -> Result<(), Fault> {
    let are_several = media.videos().count() > 1;
    let mut searches: Vec<Search> = media
        .streams
        .iter()
        .map(|stream| Search::of(demuxer, media, stream, are_several))
        .collect();
    if searches.iter().all(Search::is_over) {
        return Ok(());
    }
    demuxer.keep_only(|stream| searches.get(stream).is_some_and(|search| !search.is_over()));
    let (mut packets, mut bytes, mut ended) = (0, 0, false);
    while !searches.iter().all(Search::is_over) && packets < MAX_PACKETS && bytes < MAX_BYTES {
        let packet = match demuxer.read() {
            Ok(Some(packet)) => packet,
            // The run judges how much is missing.
            Ok(None) | Err(Fault::Libav(_)) => {
                ended = true;
                break;
            }
            Err(fault) => return Err(fault),
        };
        (packets, bytes) = (packets + 1, bytes + packet.size());
        let number = packet.stream();
        if let (Some(search), Some(stream)) = (searches.get_mut(number), media.streams.get(number))
        {
            search.look_at(stream, &packet);
        }
    }
    let pictures = |(stream, search): (&StreamInfo, &Search)| match &stream.kind {
        Kind::Video(_) if !stream.still => stream.promised_packets.unwrap_or(search.found),
        _ => 0,
    };
    let counts: Vec<u64> = media.streams.iter().zip(&searches).map(pictures).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    for ((stream, search), count) in media.streams.iter_mut().zip(&searches).zip(counts) {
        // A second picture may still come: slides of a lecture are minutes apart.
        let is_still = matches!(stream.codec.as_str(), "mjpeg" | "png" | "webp" | "bmp" | "gif");
        let is_all = ended || stream.promised_packets.is_some() || (is_still && most >= MANY);
        stream.preview = are_several && count == 1 && most > 1 && is_all;
        stream.still |= stream.preview;
        if let (Kind::Video(video), Some(orientation)) = (&mut stream.kind, search.orientation) {
            (video.orientation, video.orientation_in_pictures) = (orientation, true);
        }
    }
    Ok(())
}

impl Search {
    fn of(demuxer: &Demuxer, media: &MediaInfo, stream: &StreamInfo, are_several: bool) -> Self {
        let mut search = Self { entries: None, wanted: 0, found: 0, orientation: None };
        let Kind::Video(video) = &stream.kind else { return search };
        // Only a container of one picture: in one of many, each picture might tell something else.
        let is_picture = media.format.ends_with("_pipe") || stream.still;
        let may_tell = matches!(stream.codec.as_str(), "h264" | "hevc")
            || (is_picture && matches!(stream.codec.as_str(), "mjpeg" | "png" | "webp"));
        if may_tell && video.orientation == Orientation::Upright {
            search.entries = Some(Entries::of(demuxer, stream.index));
            search.wanted = 1;
        }
        if are_several && !stream.still && stream.promised_packets.is_none() {
            search.wanted = 2;
        }
        search
    }

    fn is_over(&self) -> bool {
        self.found >= self.wanted
    }

    fn look_at(&mut self, stream: &StreamInfo, packet: &Packet) {
        if let Some(entries) = self.entries.as_ref().filter(|_| self.found == 0) {
            let stated = exif::orientation(&stream.codec, packet.data());
            let stated = stated.or_else(|| entries.orientation(packet));
            self.orientation = stated.filter(|stated| *stated != Orientation::Upright);
        }
        self.found += 1;
    }
}
