//! What the fuzz targets call: the parsers of bytes that anybody may have written. None of them may
//! panic, take long, or take much memory, whatever the bytes are. See `fuzz/`.

use std::io::Cursor;

use avocet_model::{
    format::{
        exif, flv, matroska, movie, mxf,
        nal::{self, Framing, avc, hevc},
        riff,
    },
    media::{MediaInfo, Tags, movie::Movie},
    progress::CancelToken,
};

use crate::{
    libav::{Demuxer, Depth, Packet, SubtitleCoder, limits::Limits},
    pipeline::stage::{Convert, Outlet, Stage, Stop},
    read::change::Told,
};

/// Reads a file as boxes of MP4, and puts its `moov` first.
pub fn boxes(data: &[u8]) {
    let mut file = Cursor::new(data);
    let _ = Movie::read(&mut file);
    let _ = movie::still(&mut file).map(|still| still.map(|it| it.crop(64, 48)));
    let _ = movie::behind(&mut file);
    let _ = movie::shifts(&mut file);
    let tags: Tags = [("location".to_owned(), "+10+020/".to_owned())].into_iter().collect();
    let user_data = movie::user_data(&tags);
    let _ = movie::moved(&mut file, &user_data);
    for gap in [64, 4096] {
        let _ = movie::filling(&mut file, gap, &user_data);
    }
}

/// Reads extradata and a packet: NAL units of H.264 and HEVC, and the headers of other codecs. The
/// first byte is the length of the extradata, in bytes.
pub fn units(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let (beside, packet) = rest.split_at(usize::from(first).min(rest.len()));
    for framing in [Framing::StartCodes, Framing::Lengths(4), Framing::Lengths(1)] {
        let _ = avc::Head::of(packet, framing).map(|head| head.before(beside));
        for unit in nal::units(packet, framing) {
            let _ = (nal::orientation(unit, 1), nal::orientation(unit, 2));
            let _ = (avc::recovers_later(unit), avc::AvcSequence::of_unit(unit));
            let _ = hevc::layer_of(unit);
            assert_eq!(nal::unescape(&nal::escape(unit)), unit, "escaping is undone");
        }
    }
    for codec in ["h264", "hevc", "mpeg2video", "av1", "aac", "mp3", "ac3", "flac", "vorbis"] {
        let mut told = Told::of(codec, beside);
        let _ = (told.changes(packet, beside), told.changes(beside, packet));
    }
    if let Some(sets) = avc::AvcSets::read(beside) {
        let _ = (sets.sequences(), sets.free_id(), sets.must_repack(packet));
        if let Some(other) = avc::AvcSets::read(packet) {
            let _ = sets.record_with(&other);
        }
        let _ = sets.repack(packet, Framing::StartCodes, sets.length());
    }
    if let Some(sets) = hevc::HevcSets::read(beside) {
        let _ = (sets.must_repack(packet), sets.repack(packet, true));
        if let Some(other) = hevc::HevcSets::read(packet)
            && let Some(ids) = sets.free_ids()
            && let Some((renumber, units)) = hevc::Renumber::of(&other, ids)
        {
            let _ = (sets.with(&units), renumber.packet(packet, &sets));
        }
    }
}

/// Reads the headers that our own parsers read: RIFF and its kin, FLV, MXF, Matroska and EXIF.
pub fn headers(data: &[u8]) {
    let _ = riff::stated_duration(&mut Cursor::new(data));
    let _ = flv::stated_size(&mut Cursor::new(data));
    let _ = riff::stated_size(&mut Cursor::new(data));
    let _ = mxf::footer(&mut Cursor::new(data));
    let _ = riff::webp_size(&mut Cursor::new(data));
    let _ = matroska::complete(&mut Cursor::new(data), &mut MediaInfo::default());
    for codec in ["mjpeg", "png", "webp"] {
        let _ = exif::orientation(codec, data);
    }
}

/// Converts subtitles from a file of one format into all others. The first byte chooses the format.
pub fn text(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    let head: &[u8] = match first % 3 {
        0 => b"WEBVTT\n\n",
        1 => b"1\n00:00:00,000 --> 00:00:01,000\n",
        _ => b"[Script Info]\n",
    };
    for encoder in ["mov_text", "webvtt", "subrip", "ass"] {
        convert([head, rest].concat(), encoder);
    }
}

fn convert(file: Vec<u8>, encoder: &str) -> Option<()> {
    let reader = Box::new(Cursor::new(file));
    let cancel = CancelToken::new();
    let mut demuxer = Demuxer::open(reader, Depth::Header, Limits::NONE, &cancel).ok()?;
    let parameters = demuxer.parameters(0)?.ok()?;
    let coder = SubtitleCoder::open(&parameters, encoder).ok()?;
    let mut stage = Convert::new(coder, encoder);
    while let Some(packet) = demuxer.read().ok()? {
        stage.push(packet, &mut Nobody).ok()?;
    }
    stage.finish(&mut Nobody).ok()
}

/// Takes packets and drops them.
struct Nobody;

impl Outlet<Packet> for Nobody {
    fn send(&mut self, _: Packet) -> Result<(), Stop> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Stop> {
        Ok(())
    }
}
