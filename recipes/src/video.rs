//! Encoders of video, and what they are fed with.

use avocet_engine::{
    Action, Color, Encode, Encoder, Error, FrameFormat, Hdr, Location, MasteringDisplay,
    PictureFormat, Reason, Result, Select, StreamInfo, Track, TrackKind, VideoInfo,
};

use crate::{
    choose::kept_tags,
    codec::{Preset, VideoCodec},
    compile::Circumstances,
    format::Format,
    picture::{self, Target},
};

/// How an encode is set.
#[derive(Clone, Debug)]
pub(crate) struct Quality {
    /// Constant rate factor; a figure without a unit.
    pub(crate) crf: u8,
    /// Bit rate, in kbit/s; beats `crf`.
    pub(crate) bit_rate: Option<u32>,
    /// How long the encoder may take; `None` is the encoder's usual one.
    pub(crate) preset: Option<Preset>,
}

impl VideoCodec {
    /// libav's name of the encoder.
    pub(crate) const fn encoder(self) -> &'static str {
        match self {
            Self::H264 => "libx264",
            Self::Hevc => "libx265",
            Self::Av1 => "libsvtav1",
            Self::Vp9 => "libvpx-vp9",
        }
    }

    /// The constant rate factor of `transcode`.
    pub(crate) const fn usual_crf(self) -> u8 {
        match self {
            Self::H264 => 23,
            Self::Hevc => 25,
            Self::Vp9 => 31,
            Self::Av1 => 30,
        }
    }

    /// Whether a source of this kind stays 10 bits deep.
    fn keeps_10_bits(self, video: &VideoInfo) -> bool {
        let is_deep = video.pixel_format.as_ref().is_some_and(|pixels| pixels.depth > 8);
        match self {
            Self::H264 => false,
            Self::Hevc | Self::Av1 => is_deep,
            Self::Vp9 => is_deep && video.is_hdr(),
        }
    }
}

/// Encodes a stream in `codec`, in the size it is shown in.
pub(crate) fn encode(
    location: &Location,
    stream: &StreamInfo,
    video: &VideoInfo,
    codec: VideoCodec,
    quality: &Quality,
    mut because: Vec<Reason>,
    circumstances: &Circumstances<'_>,
) -> Result<Track> {
    circumstances.expect_encoder(codec.encoder())?;
    let (shown_width, shown_height) = video.shown_size();
    let (width, height) = (picture::even(shown_width), picture::even(shown_height));
    let least = codec.smallest_side();
    if width.get() < least || height.get() < least {
        return Err(Error::Lacking {
            location: location.clone(),
            found: format!("a picture of {width}x{height}"),
            needed: format!("at least {least}x{least} pixels for {}", codec.name()),
        });
    }
    let is_odd = |side: f64, made: u32| (side - f64::from(made)).abs() > 1e-9;
    if is_odd(shown_width, width.get()) || is_odd(shown_height, height.get()) {
        because.push(Reason::new(
            "SIZE_MADE_EVEN",
            format!("{shown_width:.2}x{shown_height:.2} becomes {width}x{height}: sides are even"),
        ));
    }
    let tone_map = video.is_hdr() && codec == VideoCodec::H264;
    if tone_map {
        because.push(Reason::new("HDR_TO_SDR", "H.264 is written in standard dynamic range"));
    }
    let color = if tone_map {
        picture::bt709()
    } else {
        Color { range: Some("tv".to_owned()), ..picture::source_color(video) }
    };
    let depth = if codec.keeps_10_bits(video) { "yuv420p10le" } else { "yuv420p" };
    let pixel_format = depth.to_owned();
    let target = Target { width, height, pixel_format: pixel_format.clone(), color, tone_map };
    let filters = picture::filters(stream, video, &target, circumstances)?;
    let hdr = if video.is_hdr() && !tone_map { video.hdr.clone() } else { Hdr::default() };
    let encoder = Encoder {
        name: codec.encoder().to_owned(),
        bit_rate: quality.bit_rate,
        options: options(codec, quality, video, &hdr),
        format: FrameFormat::Video(PictureFormat {
            width,
            height,
            pixel_format,
            // Times stay as the source has them: no frame is dropped, doubled or moved.
            time_base: stream.time_base,
            frame_rate: video.frame_rate,
            color: target.color,
            hdr,
        }),
    };
    let encode = Encode { select: Select::All, filters: filters.text, encoder };
    let tag = (codec == VideoCodec::Hevc).then(|| "hvc1".to_owned());
    Ok(Track { action: Action::Encode(Box::new(encode)), because, tag, ..track(stream) })
}

/// A track that copies a stream of pictures.
pub(crate) fn copy(stream: &StreamInfo, format: Format, because: Vec<Reason>) -> Track {
    let is_hevc = stream.codec == "hevc" && matches!(format, Format::Mp4 | Format::Mov);
    // Apple's players know HEVC by this tag only.
    let tag = is_hevc.then(|| "hvc1".to_owned());
    Track { because, tag, ..track(stream) }
}

fn track(stream: &StreamInfo) -> Track {
    let mut tags = kept_tags(&stream.tags);
    tags.remove("rotate");
    Track {
        input: 0,
        stream: stream.index,
        kind: TrackKind::Video,
        action: Action::Copy,
        because: Vec::new(),
        tag: None,
        default: true,
        tags,
    }
}

/// The encoder's own options.
fn options(
    codec: VideoCodec,
    quality: &Quality,
    video: &VideoInfo,
    hdr: &Hdr,
) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let mut set = |key: &str, value: String| options.push((key.to_owned(), value));
    if quality.bit_rate.is_none() {
        set("crf", quality.crf.to_string());
    }
    let usual = match codec {
        VideoCodec::H264 | VideoCodec::Hevc => Preset::Name("medium".to_owned()),
        VideoCodec::Vp9 => Preset::Number(4),
        VideoCodec::Av1 => Preset::Number(8),
    };
    let preset = match quality.preset.clone().unwrap_or(usual) {
        Preset::Name(name) => name,
        Preset::Number(number) => number.to_string(),
    };
    match codec {
        VideoCodec::H264 => {
            set("preset", preset);
            // Otherwise x264 writes the time base as the frame rate, and readers believe it.
            if video.frame_rate.is_some() && video.frame_rate == video.nominal_frame_rate {
                set("x264-params", "force-cfr=1".to_owned());
            }
        }
        VideoCodec::Av1 => set("preset", preset),
        VideoCodec::Hevc => {
            set("preset", preset);
            set("x265-params", x265_parameters(hdr));
        }
        VideoCodec::Vp9 => {
            set("cpu-used", preset);
            set("deadline", "good".to_owned());
            set("row-mt", "1".to_owned());
        }
    }
    options
}

/// What x265 takes only by its own parameters: a quiet log, and the metadata of HDR10.
fn x265_parameters(hdr: &Hdr) -> String {
    let mut text = "log-level=error".to_owned();
    if let Some(MasteringDisplay { primaries, white, min_luminance, max_luminance }) = hdr.mastering
    {
        let [red, green, blue] = primaries;
        text += &format!(
            ":hdr10=1:master-display=G({},{})B({},{})R({},{})WP({},{})L({max_luminance},{min_luminance})",
            green.0, green.1, blue.0, blue.1, red.0, red.1, white.0, white.1,
        );
    }
    if let Some(light) = hdr.light {
        text += &format!(":max-cll={},{}", light.max_content, light.max_frame_average);
    }
    text
}
