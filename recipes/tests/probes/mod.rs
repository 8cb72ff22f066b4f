//! Made-up results of probing ten seconds of media of many kinds.

use std::sync::Arc;

use std::num::NonZeroU32;

use avocet_model::{
    index::{Index, IndexedPacket, RandomAccess, StreamIndex},
    media::movie::{Edit, Movie, MovieTrack},
    media::{
        AudioInfo, Color, Crop, Disposition, Hdr, Kind, LightLevel, MasteringDisplay, MediaInfo,
        Orientation, PixelFormat, ProgramInfo, Projection, Scan, StreamInfo, SubtitleInfo, Tags,
        VideoInfo,
    },
    time::{Rational, Timestamp},
};
use avocet_recipes::Probed;

/// The duration of all streams, in seconds.
const SECONDS: i64 = 10;

/// The ticks per second of video in movies.
pub(crate) const MOVIE: u32 = 12_800;

/// The ticks per second in Matroska.
pub(crate) const MATROSKA: u32 = 1000;

/// The ticks per second in transport streams.
pub(crate) const TRANSPORT: u32 = 90_000;

/// The names of the demuxer for movies.
const MOVIE_FORMAT: &str = "mov,mp4,m4a,3gp,3g2,mj2";

/// A stream with its packets.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) info: StreamInfo,
    pub(crate) packets: Vec<IndexedPacket>,
}

pub(crate) fn ratio(num: u32, den: u32) -> Rational {
    Rational::new(num, den).unwrap()
}

fn tags(pairs: &[(&str, &str)]) -> Tags {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn made(codec: &str, base: u32, kind: Kind, packets: Vec<IndexedPacket>) -> Made {
    let at = |seconds: i64| Timestamp::new(seconds * i64::from(base), ratio(1, base));
    let info = StreamInfo {
        index: 0,
        id: 0,
        codec: codec.to_owned(),
        profile: None,
        level: None,
        tag: None,
        time_base: ratio(1, base),
        start: Some(at(0)),
        duration: Some(at(SECONDS)),
        promised_packets: None,
        promised_bytes: None,
        hidden_before: 0,
        hidden_after: 0,
        bit_rate: None,
        disposition: Disposition { default: true, ..Disposition::default() },
        parameters_change: false,
        still: false,
        preview: false,
        tags: tags(&[("language", "und")]),
        extradata: Vec::new(),
        kind,
    };
    Made { info, packets }
}

/// An 8-bit or 10-bit pixel format, by its name: 4:4:4 if the name says so, else 4:2:0.
pub(crate) fn pixels(name: &str) -> PixelFormat {
    let shift = u32::from(!name.contains("444"));
    PixelFormat {
        name: name.to_owned(),
        depth: if name.ends_with("10le") { 10 } else { 8 },
        chroma_shift: (shift, shift),
        rgb: false,
        alpha: false,
    }
}

/// Frames at a constant rate in closed GOPs of 1 s; two in three are B-frames if the codec has
/// them.
pub(crate) fn pictures(codec: &str, base: u32, size: (u32, u32), rate: u32, kbps: u32) -> Made {
    let step = i64::from(base / rate);
    let bytes = kbps * 125 / rate;
    let is_intra = codec == "prores";
    let reorders = matches!(codec, "h264" | "hevc" | "mpeg2video");
    let mut packets = Vec::new();
    for second in 0..SECONDS {
        let mut order: Vec<u32> = (0..rate).collect();
        if reorders {
            // As in I P b b P b b: a P-frame is coded before the two B-frames that precede it.
            order.sort_by_key(|number| (number.div_ceil(3), number % 3 != 0, *number));
        }
        packets.extend(order.into_iter().map(|number| IndexedPacket {
            pts: Some((second * i64::from(rate) + i64::from(number)) * step),
            duration: step,
            bytes,
            entry: if number == 0 || is_intra {
                RandomAccess::ClosedGop
            } else {
                RandomAccess::None
            },
            hidden: false,
            changed: false,
        }));
    }
    let video = VideoInfo {
        width: size.0,
        height: size.1,
        crop: Crop::default(),
        pixel_format: Some(pixels("yuv420p")),
        pixel_aspect: Rational::ONE,
        frame_rate: Some(ratio(rate, 1)),
        nominal_frame_rate: Some(ratio(rate, 1)),
        scan: Scan::Progressive,
        top_field_first: None,
        color: Color::default(),
        reserved_color: false,
        dolby_vision: None,
        orientation: Orientation::Upright,
        orientation_in_pictures: false,
        hdr: Hdr::default(),
        projection: Projection::default(),
    };
    made(codec, base, Kind::Video(video), packets)
}

/// The usual video: H.264 High profile, 1080p at 25 frames per second.
pub(crate) fn h264(base: u32, kbps: u32) -> Made {
    pictures("h264", base, (1920, 1080), 25, kbps).profiled("High", 40, "avc1")
}

/// Sound in packets of this many samples.
pub(crate) fn sound(codec: &str, base: u32, layout: (&str, u32), samples: i64, kbps: u32) -> Made {
    let count = SECONDS * 48_000 / samples;
    let packet = |number: i64| IndexedPacket {
        pts: Some(number * samples * i64::from(base) / 48_000),
        duration: samples * i64::from(base) / 48_000,
        bytes: (i64::from(kbps) * 125 * samples / 48_000).try_into().unwrap(),
        entry: RandomAccess::ClosedGop,
        hidden: false,
        changed: false,
    };
    let audio = AudioInfo {
        sample_rate: NonZeroU32::new(48_000),
        channels: layout.1,
        layout: layout.0.to_owned(),
        sample_format: Some("fltp".to_owned()),
    };
    let mut made = made(codec, base, Kind::Audio(audio), (0..count).map(packet).collect());
    made.info.bit_rate = Some(u64::from(kbps) * 1000);
    made
}

/// Stereo AAC as in movies, with its priming hidden by the edit list.
pub(crate) fn aac_in_movie(kbps: u32) -> Made {
    let mut made = sound("aac", 48_000, ("stereo", 2), 1024, kbps);
    for packet in &mut made.packets {
        packet.pts = packet.pts.map(|pts| pts - 1024);
        packet.hidden = packet.pts < Some(0);
    }
    made.info.hidden_before = 1;
    made.info.extradata = vec![0x11, 0x90];
    let mut made = made.profiled("LC", 0, "mp4a");
    made.info.level = None;
    made
}

/// Stereo PCM with this many bits per sample.
pub(crate) fn pcm(codec: &str, bits: u32) -> Made {
    let mut made = sound(codec, 48_000, ("stereo", 2), 960, 48 * 2 * bits);
    if let Kind::Audio(audio) = &mut made.info.kind {
        let deep = if bits > 16 { "s32" } else { "s16" };
        let formats = [("pcm_s64", "s64"), ("pcm_f64", "dbl"), ("pcm_f32", "flt")];
        let other = formats.into_iter().find(|(prefix, _)| codec.starts_with(prefix));
        audio.sample_format = Some(other.map_or(deep, |(_, format)| format).to_owned());
    }
    made
}

/// Subtitles with a cue every two seconds.
pub(crate) fn subtitles(codec: &str, base: u32, text: bool) -> Made {
    let step = i64::from(base) * 2;
    let packet = |number: i64| IndexedPacket {
        pts: Some(number * step),
        duration: step / 2,
        bytes: 40,
        entry: RandomAccess::ClosedGop,
        hidden: false,
        changed: false,
    };
    let packets = (0..SECONDS / 2).map(packet).collect();
    let made = made(codec, base, Kind::Subtitle(SubtitleInfo { text }), packets);
    made.quiet("eng")
}

/// Cover art.
pub(crate) fn cover(codec: &str) -> Made {
    let mut made = pictures(codec, TRANSPORT, (600, 600), 1, 400);
    made.packets.truncate(1);
    made.info.still = true;
    made.info.disposition.default = false;
    made
}

/// A data stream, such as a time code.
pub(crate) fn data() -> Made {
    made("none", MOVIE, Kind::Data, Vec::new()).quiet("eng")
}

impl Made {
    pub(crate) fn profiled(mut self, profile: &str, level: i32, tag: &str) -> Self {
        self.info.profile = Some(profile.to_owned());
        self.info.level = Some(level);
        self.info.tag = Some(tag.to_owned());
        self
    }

    /// Clears the default flag, and sets the language.
    pub(crate) fn quiet(mut self, language: &str) -> Self {
        self.info.disposition.default = false;
        self.info.tags = tags(&[("language", language)]);
        self
    }

    pub(crate) fn video(mut self, change: impl FnOnce(&mut VideoInfo)) -> Self {
        if let Kind::Video(video) = &mut self.info.kind {
            change(video);
        }
        self
    }

    /// Sets high dynamic range with this transfer function.
    pub(crate) fn hdr(self, transfer: &str) -> Self {
        self.video(|video| {
            video.pixel_format = Some(pixels("yuv420p10le"));
            video.color = Color {
                range: Some("tv".to_owned()),
                matrix: Some("bt2020nc".to_owned()),
                primaries: Some("bt2020".to_owned()),
                transfer: Some(transfer.to_owned()),
            };
            if transfer == "smpte2084" {
                video.hdr.mastering = Some(MasteringDisplay {
                    primaries: [(34_000, 16_000), (13_250, 34_500), (7_500, 3_000)],
                    white: (15_635, 16_450),
                    min_luminance: 1,
                    max_luminance: 10_000_000,
                });
                video.hdr.light = Some(LightLevel { max_content: 800, max_frame_average: 200 });
            }
        })
    }

    /// Delays the stream by this many ticks.
    pub(crate) fn later(mut self, ticks: i64) -> Self {
        self.info.start = self.info.start.map(|start| start.plus(ticks));
        for packet in &mut self.packets {
            packet.pts = packet.pts.map(|pts| pts + ticks);
        }
        self
    }

    fn bytes(&self) -> u64 {
        self.packets.iter().map(|packet| u64::from(packet.bytes)).sum()
    }
}

/// A file with these streams.
fn file(name: &str, format: &str, parts: Vec<Made>) -> Probed {
    let bytes = parts.iter().map(Made::bytes).sum::<u64>() + 5_000;
    let in_microseconds = |ticks| Timestamp::new(ticks, Rational::MICROSECONDS);
    let mut media = MediaInfo {
        format: format.to_owned(),
        size_bytes: Some(bytes),
        start: parts
            .iter()
            .filter_map(|part| part.info.start)
            .min()
            .map(|it| it.max(Timestamp::ZERO)),
        duration: Some(in_microseconds(SECONDS * 1_000_000)),
        bit_rate: Some(bytes * 8 / SECONDS.unsigned_abs()),
        tags: tags(&[("title", "Ten seconds")]),
        ..MediaInfo::default()
    };
    let mut index = Index::default();
    for (number, Made { info, packets }) in parts.into_iter().enumerate() {
        media.streams.push(StreamInfo { index: number, ..info });
        index.streams.push(StreamIndex { packets, goes_back: false });
    }
    Probed { location: name.into(), media, index: Some(Arc::new(index)) }
}

/// A movie with boxes as browsers need them. Its brand distinguishes MP4 from QuickTime.
fn movie(name: &str, brand: &str, mut parts: Vec<Made>) -> Probed {
    let mut boxes = Movie {
        brand: Some(brand.to_owned()),
        moov_first: true,
        tables_inside: true,
        ..Movie::default()
    };
    for (id, part) in (1_u32..).zip(&mut parts) {
        part.info.id = id.try_into().unwrap();
        part.info.promised_packets = Some(part.packets.len() as u64);
        part.info.promised_bytes = Some(part.bytes());
        let one = 1 << 16;
        boxes.tracks.push(MovieTrack {
            id,
            edits: vec![Edit { duration: 10_000, media_time: Some(1024), rate: one }],
            matrix: [one, 0, 0, 0, one, 0, 0, 0, 1 << 30],
            ..MovieTrack::default()
        });
    }
    let mut probed = file(name, MOVIE_FORMAT, parts);
    probed.media.movie = Some(boxes);
    probed
}

pub(crate) fn mp4(parts: Vec<Made>) -> Probed {
    movie("in.mp4", "isom", parts)
}

pub(crate) fn mov(parts: Vec<Made>) -> Probed {
    movie("in.mov", "qt  ", parts)
}

/// Changes the boxes of a movie.
pub(crate) fn boxes(mut probed: Probed, change: impl FnOnce(&mut Movie)) -> Probed {
    if let Some(movie) = &mut probed.media.movie {
        change(movie);
    }
    probed
}

/// A fragmented movie, whose sample tables are empty.
pub(crate) fn fragmented(parts: Vec<Made>) -> Probed {
    let mut probed = boxes(mp4(parts), |movie| movie.fragmented = true);
    for stream in &mut probed.media.streams {
        (stream.promised_packets, stream.promised_bytes) = (None, None);
    }
    probed
}

/// A Matroska file, which states neither the duration nor the bit rate of a stream.
pub(crate) fn mkv(mut parts: Vec<Made>) -> Probed {
    for part in &mut parts {
        (part.info.duration, part.info.bit_rate, part.info.tag) = (None, None, None);
    }
    file("in.mkv", "matroska,webm", parts)
}

pub(crate) fn webm(parts: Vec<Made>) -> Probed {
    let mut probed = mkv(parts);
    probed.location = "in.webm".into();
    probed.media.is_webm = true;
    probed
}

/// A transport stream that begins at 1.4 s.
pub(crate) fn ts(parts: Vec<Made>) -> Probed {
    let parts = parts.into_iter().map(|part| part.later(126_000)).collect();
    file("in.ts", "mpegts", parts)
}

/// A file of a demuxer with a single name.
pub(crate) fn plain(format: &str, parts: Vec<Made>) -> Probed {
    file(&format!("in.{format}"), format, parts)
}

/// The most common file: a movie with H.264 and AAC.
pub(crate) fn everyday() -> Probed {
    mp4(vec![h264(MOVIE, 4000), aac_in_movie(128)])
}

pub(crate) fn hdr10(tag: &str) -> Made {
    let made = pictures("hevc", MOVIE, (3840, 2160), 25, 20_000).hdr("smpte2084");
    made.profiled("Main 10", 153, tag)
}

/// Interlaced video as in broadcasts.
pub(crate) fn mpeg2() -> Made {
    let made = pictures("mpeg2video", TRANSPORT, (720, 576), 25, 6000);
    let made = made.profiled("Main", 8, "mp2v");
    made.video(|video| {
        video.scan = Scan::Interlaced;
        video.pixel_aspect = ratio(64, 45);
    })
}

pub(crate) fn opus() -> Made {
    sound("opus", MATROSKA, ("stereo", 2), 960, 96).later(-7)
}

/// Two audio streams, text subtitles and bitmap subtitles beside the video.
pub(crate) fn many_tracks() -> Probed {
    let mut chosen = sound("aac", MATROSKA, ("stereo", 2), 960, 128);
    chosen.info.profile = Some("LC".to_owned());
    mkv(vec![
        h264(MATROSKA, 4000),
        sound("ac3", MATROSKA, ("5.1(side)", 6), 1536, 448).quiet("deu"),
        chosen,
        subtitles("subrip", MATROSKA, true),
        subtitles("hdmv_pgs_subtitle", MATROSKA, false),
    ])
}

/// Video that only its container declares as interlaced.
pub(crate) fn interlaced_by_container() -> Probed {
    mkv(vec![pictures("huffyuv", MATROSKA, (720, 576), 25, 80_000).video(|video| {
        video.scan = Scan::Interlaced;
        video.top_field_first = Some(false);
    })])
}

pub(crate) fn cropped() -> Probed {
    mkv(vec![h264(MATROSKA, 4000).video(|video| {
        video.crop = Crop { left: 8, right: 8, top: 140, bottom: 140 };
        (video.width, video.height) = (1904, 800);
    })])
}

pub(crate) fn turned_by_pictures() -> Probed {
    ts(vec![h264(TRANSPORT, 4000).video(|video| {
        video.orientation = Orientation::Clockwise;
        video.orientation_in_pictures = true;
    })])
}

pub(crate) fn transparent() -> Probed {
    let mut made = pictures("vp9", MATROSKA, (640, 360), 25, 800).video(|video| {
        video.pixel_format = Some(PixelFormat { alpha: true, ..pixels("yuva420p") });
    });
    made.info.tags = tags(&[("alpha_mode", "1")]);
    webm(vec![made])
}

/// Two programs: small video with sound, and large video with sound.
pub(crate) fn two_programs() -> Probed {
    let small = pictures("h264", TRANSPORT, (640, 360), 25, 800).profiled("High", 30, "avc1");
    let sound = || sound("aac", TRANSPORT, ("stereo", 2), 1024, 128);
    let mut probed = ts(vec![sound(), small, h264(TRANSPORT, 4000), sound()]);
    let program = |number: i32, name: &str, streams| {
        let name = Some(name.to_owned());
        ProgramInfo { number, name, streams }
    };
    probed.media.programs = vec![program(1, "Small", vec![0, 1]), program(2, "Large", vec![2, 3])];
    probed
}

/// Unusual video beside the usual sound.
pub(crate) fn beside_aac(pictures: Made) -> Probed {
    mp4(vec![pictures, aac_in_movie(128)])
}

pub(crate) fn ten_bit() -> Probed {
    let deep = h264(MOVIE, 4000).profiled("High 10", 40, "avc1");
    beside_aac(deep.video(|video| video.pixel_format = Some(pixels("yuv420p10le"))))
}

pub(crate) fn phone() -> Probed {
    let video = pictures("h264", MOVIE, (1920, 1080), 25, 4000).profiled("High", 40, "avc1");
    let video = video.video(|video| {
        video.orientation = Orientation::Clockwise;
        video.nominal_frame_rate = Some(ratio(600, 1));
    });
    let one = 1 << 16;
    boxes(mov(vec![video, aac_in_movie(128)]), |movie| {
        movie.tracks[0].matrix = [0, one, 0, -one, 0, 0, 0, 0, 1 << 30];
    })
}

pub(crate) fn odd() -> Probed {
    beside_aac(pictures("h264", MOVIE, (853, 479), 25, 1500).profiled("High", 31, "avc1"))
}

pub(crate) fn anamorphic() -> Probed {
    let video = pictures("h264", MOVIE, (720, 576), 25, 1500).profiled("Main", 30, "avc1");
    beside_aac(video.video(|video| video.pixel_aspect = ratio(64, 45)))
}

pub(crate) fn huge() -> Probed {
    let video = pictures("h264", MOVIE, (7680, 4320), 50, 80_000);
    beside_aac(video.profiled("High", 61, "avc1"))
}

pub(crate) fn cover_first() -> Probed {
    mp4(vec![cover("mjpeg"), h264(MOVIE, 4000), aac_in_movie(128)])
}

pub(crate) fn broadcast() -> Probed {
    ts(vec![mpeg2(), sound("ac3", TRANSPORT, ("5.1(side)", 6), 1536, 448)])
}

pub(crate) fn matroska() -> Probed {
    let mut sound = sound("aac", MATROSKA, ("stereo", 2), 960, 128);
    sound.info.profile = Some("LC".to_owned());
    mkv(vec![h264(MATROSKA, 4000).later(21), sound])
}

pub(crate) fn vp9() -> Made {
    pictures("vp9", MATROSKA, (1280, 720), 25, 2000)
}

pub(crate) fn av1() -> Made {
    pictures("av1", MATROSKA, (1280, 720), 25, 1500)
}

pub(crate) fn mp3() -> Probed {
    plain("mp3", vec![sound("mp3", 14_112_000, ("stereo", 2), 1152, 192)])
}

pub(crate) fn with_cover(format: &str, codec: &str) -> Probed {
    plain(format, vec![sound(codec, 48_000, ("stereo", 2), 1152, 192), cover("mjpeg")])
}

pub(crate) fn wav() -> Probed {
    plain("wav", vec![pcm("pcm_s24le", 24)])
}

pub(crate) fn silent() -> Probed {
    mp4(vec![h264(MOVIE, 4000)])
}

pub(crate) fn m4a() -> Probed {
    mp4(vec![aac_in_movie(128)])
}

pub(crate) fn surround() -> Probed {
    let sound = sound("ac3", 48_000, ("5.1(side)", 6), 1536, 448);
    mp4(vec![h264(MOVIE, 4000), sound])
}

pub(crate) fn prores() -> Probed {
    let video = pictures("prores", MOVIE, (1920, 1080), 25, 120_000);
    mov(vec![video, pcm("pcm_s24be", 24), data()])
}

/// Turns all keyframes of the video but the first into those of open GOPs.
pub(crate) fn open_groups(mut probed: Probed) -> Probed {
    let packets = &mut Arc::make_mut(probed.index.as_mut().unwrap()).streams[0].packets;
    for packet in
        packets.iter_mut().skip(1).filter(|packet| packet.entry == RandomAccess::ClosedGop)
    {
        packet.entry = RandomAccess::OpenGop;
    }
    probed
}

/// AAC of this layout and sample rate.
pub(crate) fn with_sound(layout: (&str, u32), rate: u32) -> Made {
    let mut made = sound("aac", 48_000, layout, 1024, 128);
    if let Kind::Audio(audio) = &mut made.info.kind {
        audio.sample_rate = rate.try_into().ok();
    }
    made
}

/// Two frames in ten seconds, the second at 8 s.
pub(crate) fn slides() -> Probed {
    let mut video = h264(MOVIE, 4000).video(|video| {
        (video.frame_rate, video.nominal_frame_rate) = (Some(ratio(1, 5)), Some(ratio(1, 8)));
    });
    let ticks = i64::from(MOVIE);
    video.packets.retain(|packet| matches!(packet.pts, Some(pts) if pts == 0 || pts == 8 * ticks));
    video.packets[0].duration = 8 * ticks;
    video.packets[1].duration = 2 * ticks;
    beside_aac(video)
}
