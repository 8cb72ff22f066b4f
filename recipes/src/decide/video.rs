//! Video encoders, their settings, and the pictures that they take.

use std::num::NonZeroU32;

use avocet_model::{
    capabilities::Capabilities,
    error::{Error, Result},
    media::{Color, Hdr, MasteringDisplay, VideoInfo},
    plan::{Action, Encoder, FrameFormat, Part, PictureFormat, Reason, Span, Track, TrackKind},
    time::Rational,
};

use super::{
    context::CompileContext,
    level::Load,
    limit::Largest,
    picture::{self, Framed, Target},
    projection,
    select::Source,
    smart_cut,
};
use crate::words::{
    codec::{Preset, VideoCodec},
    format::Format,
    parameter::Fit,
};

/// The settings of a video encode.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) codec: VideoCodec,
    /// Constant rate factor; a figure without a unit.
    pub(crate) crf: u8,
    /// Bit rate, in kbit/s; beats `crf`.
    pub(crate) bit_rate: Option<u32>,
    /// How long the encoder may take; `None` is the usual preset of the codec.
    pub(crate) preset: Option<Preset>,
    pub(crate) size: Size,
    pub(crate) use_for: Use,
}

impl Settings {
    /// The default settings of `transcode` for a codec.
    pub(crate) const fn usual(codec: VideoCodec) -> Self {
        Self {
            codec,
            crf: codec.usual_crf(),
            bit_rate: None,
            preset: None,
            size: Size::Shown,
            use_for: Use::Any,
        }
    }
}

/// The size of the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Size {
    /// The size as shown, rounded to the nearest even number of pixels.
    Shown,
    /// Fitted into a box, never enlarged, rounded down to even numbers of pixels.
    Within { width: Option<NonZeroU32>, height: Option<NonZeroU32> },
    /// Exactly this size, in even numbers of pixels.
    Exactly { width: NonZeroU32, height: NonZeroU32, fit: Fit },
}

/// What a result is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Use {
    Any,
    /// To be played by every browser.
    Web,
    /// To be scrubbed through, every frame a keyframe or one in each second.
    Scrubbing {
        all_intra: bool,
    },
}

/// Every frame a keyframe.
const ALL_INTRA: Use = Use::Scrubbing { all_intra: true };

/// The encoder of H.264 that is not under the GPL.
const OPENH264: &str = "libopenh264";

impl VideoCodec {
    /// libav's names of the encoders, the better one first.
    const fn encoders(self) -> &'static [&'static str] {
        match self {
            // Builds under the LGPL have the second one at best.
            Self::H264 => &["libx264", OPENH264],
            Self::Hevc => &["libx265"],
            Self::Av1 => &["libsvtav1"],
            Self::Vp9 => &["libvpx-vp9"],
        }
    }

    /// The best encoder that a build has.
    ///
    /// # Errors
    /// [`Error::Absent`], with the name of the better one, where it has none.
    pub(crate) fn encoder(self, capabilities: &Capabilities) -> Result<&'static str> {
        let names = self.encoders();
        let absent = Error::Absent { kind: "encoder", name: names[0].to_owned() };
        names.iter().copied().find(|name| capabilities.has_encoder(name)).ok_or(absent)
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

    /// The constant rate factor of `compress`.
    pub(crate) const fn small_crf(self) -> u8 {
        match self {
            Self::H264 | Self::Hevc => 28,
            Self::Vp9 | Self::Av1 => 38,
        }
    }

    /// The codec of a source, where the format takes it and this build encodes it; else the
    /// format's own, with the reason.
    pub(crate) fn like_source(
        codec: &str,
        format: Format,
        capabilities: &Capabilities,
    ) -> (Self, Option<Reason>) {
        let usual = Self::of_format(format).unwrap_or(Self::H264);
        let kept = Self::from_name(codec).filter(|own| own.formats().contains(&format));
        match kept {
            Some(own) if own.encoder(capabilities).is_ok() => (own, None),
            _ => {
                let (usual_name, name) = (usual.name(), format.name());
                let message =
                    format!("{codec} can not be encoded for {name}, so {usual_name} is used");
                (usual, Some(Reason::new("CODEC_NOT_KEPT", message)))
            }
        }
    }

    /// Whether a source like this is encoded with 10 bits.
    fn keeps_10_bits(self, video: &VideoInfo) -> bool {
        let is_deep = video.pixel_format.as_ref().is_some_and(|pixels| pixels.depth > 8);
        match self {
            Self::H264 => false,
            Self::Hevc | Self::Av1 => is_deep,
            Self::Vp9 => is_deep && video.is_hdr(),
        }
    }
}

/// Encodes a stream.
pub(crate) fn encode(
    source: &Source<'_, VideoInfo>,
    settings: &Settings,
    mut because: Vec<Reason>,
    context: &CompileContext<'_>,
) -> Result<Track> {
    let codec = settings.codec;
    let name = codec.encoder(context.capabilities)?;
    let picture = picture_for(source, settings, &mut because)?;
    let target = target(source.info, &picture, codec, &mut because);
    let capabilities = context.capabilities;
    let filters =
        picture::filters(source.location, source.stream, source.info, &target, capabilities)?;
    let part = source.encoded(filters.text);
    let encoder = encoder(name, source, settings, &target, &mut because);
    let tag = (codec == VideoCodec::Hevc).then(|| "hvc1".to_owned());
    let action = Action::Encode(Box::new(encoder));
    let projection = projection::after_encode(source.info, &target);
    Ok(Track { action, tag, projection, ..source.track(TrackKind::Video, part, because) })
}

/// The size of the result, and how the picture is padded or cropped to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sized {
    pub(crate) width: NonZeroU32,
    pub(crate) height: NonZeroU32,
    pub(crate) frame: Option<Framed>,
}

/// The size of the result, with reasons where it is not that of the source. Fails for a size that
/// the encoder does not take.
pub(crate) fn picture_for(
    source: &Source<'_, VideoInfo>,
    settings: &Settings,
    because: &mut Vec<Reason>,
) -> Result<Sized> {
    let shown = source.info.shown_size();
    let largest = Largest::of_codec(settings.codec);
    let (width, height, frame) = match settings.size {
        Size::Shown => (picture::even(shown.0), picture::even(shown.1), None),
        Size::Within { width, height } => {
            let fitted = largest.fit(picture::fit(shown, width, height));
            let fitted = if settings.use_for == Use::Web {
                within_levels(source, fitted, because)
            } else {
                fitted
            };
            (picture::even_below(fitted.0), picture::even_below(fitted.1), None)
        }
        Size::Exactly { width, height, fit } => (width, height, framed(shown, width, height, fit)),
    };
    if !matches!(settings.size, Size::Exactly { .. }) {
        let is_other = |side: f64, made: u32| (side - f64::from(made)).abs() > 1e-9;
        if is_other(shown.0, width.get()) || is_other(shown.1, height.get()) {
            let message = format!("{:.2}x{:.2} becomes {width}x{height}", shown.0, shown.1);
            let is_near = |side: f64, made: u32| (side - f64::from(made)).abs() < 2.0;
            let is_evened = is_near(shown.0, width.get()) && is_near(shown.1, height.get());
            because.push(if is_evened {
                Reason::new("SIZE_MADE_EVEN", format!("{message}: sides are even"))
            } else {
                Reason::new("SCALED_DOWN", message)
            });
        }
    }
    let least = settings.codec.smallest_side();
    if width.get() < least || height.get() < least {
        if let Size::Exactly { .. } = settings.size {
            let (width, height, codec) = (width.get(), height.get(), settings.codec.name());
            let allowed = format!("at least {least}x{least} pixels");
            return Err(Error::SizeRefused { width, height, codec, allowed });
        }
        return Err(Error::Lacking {
            location: source.location.clone(),
            found: format!("a picture of {width}x{height}"),
            needed: format!("at least {least}x{least} pixels for {}", settings.codec.name()),
        });
    }
    if !largest.holds(width.get(), height.get()) {
        let (width, height) = (width.get(), height.get());
        return Err(match settings.size {
            Size::Exactly { .. } => largest.refuse(width, height),
            Size::Shown | Size::Within { .. } => largest.lack(source.location, width, height),
        });
    }
    Ok(Sized { width, height, frame })
}

/// How a picture is padded or cropped to a size; `None` where it is scaled to exactly that size.
pub(crate) fn framed(
    shown: (f64, f64),
    width: NonZeroU32,
    height: NonZeroU32,
    fit: Fit,
) -> Option<Framed> {
    let across = f64::from(width.get()) / shown.0;
    let down = f64::from(height.get()) / shown.1;
    let (factor, pad) = match fit {
        Fit::Stretch => return None,
        Fit::Contain => (across.min(down), true),
        Fit::Cover => (across.max(down), false),
    };
    let side = |side: f64, most: NonZeroU32| {
        let scaled = picture::even(side * factor);
        // Rounding must not make a padded picture larger than its frame, or a cropped one smaller.
        if pad { scaled.min(most) } else { scaled.max(most) }
    };
    let (inner_width, inner_height) = (side(shown.0, width), side(shown.1, height));
    let is_other = inner_width != width || inner_height != height;
    is_other.then_some(Framed { width: inner_width, height: inner_height, pad })
}

/// The size at which level 5.2 supports the picture: this one, or a smaller one of the same shape.
fn within_levels(
    source: &Source<'_, VideoInfo>,
    (width, height): (f64, f64),
    because: &mut Vec<Reason>,
) -> (f64, f64) {
    let mut factor = 1.0_f64;
    while factor > 0.05 {
        let size = (picture::even_below(width * factor), picture::even_below(height * factor));
        if web_load(source, size.0.get(), size.1.get()).level().is_some() {
            break;
        }
        factor *= 0.98;
    }
    let is_said = because.iter().any(|reason| reason.code == "LEVEL_TOO_HIGH");
    if factor < 1.0 && !is_said {
        let message = "few players play a level over 5.2, so the picture is scaled down";
        because.push(Reason::new("LEVEL_TOO_HIGH", message));
    }
    (width * factor, height * factor)
}

/// Frames per second, on average.
fn frame_rate(source: &Source<'_, VideoInfo>) -> f64 {
    let counted = source.stream.promised_packets.zip(source.stream.duration);
    let counted = counted.map(|(count, duration)| {
        let shown = count - source.stream.hidden_before - source.stream.hidden_after;
        shown as f64 / duration.seconds()
    });
    let stated = || source.info.frame_rate.map(avocet_model::time::Rational::as_f64);
    counted.or_else(stated).unwrap_or(30.0)
}

/// The largest reasonable bit rate of a web video, in kbit/s: 0.15 bits for each pixel, but at
/// least 2500.
pub(crate) fn web_cap(source: &Source<'_, VideoInfo>, width: u32, height: u32) -> f64 {
    let pixels = f64::from(width) * f64::from(height) * frame_rate(source);
    (pixels * 0.15 / 1000.0).max(2500.0)
}

fn web_load(source: &Source<'_, VideoInfo>, width: u32, height: u32) -> Load {
    let kbps = web_cap(source, width, height);
    Load { width, height, rate: frame_rate(source), kbps, buffer: 2.0 * kbps }
}

/// The pictures that the filters must produce for the encoder.
pub(crate) fn target(
    video: &VideoInfo,
    picture: &Sized,
    codec: VideoCodec,
    because: &mut Vec<Reason>,
) -> Target {
    let tone_map = video.is_hdr() && codec == VideoCodec::H264;
    let has_alpha = video.pixel_format.as_ref().is_some_and(|pixels| pixels.alpha);
    if tone_map {
        because.push(Reason::new("HDR_TO_SDR", "H.264 is written in standard dynamic range"));
    }
    let color = if tone_map {
        picture::bt709()
    } else {
        Color { range: Some("tv".to_owned()), ..picture::source_color(video) }
    };
    let pixel_format = match () {
        () if codec.keeps_10_bits(video) => "yuv420p10le",
        () if codec == VideoCodec::Vp9 && has_alpha => "yuva420p",
        () => "yuv420p",
    };
    Target {
        width: picture.width,
        height: picture.height,
        pixel_format: pixel_format.to_owned(),
        color,
        tone_map,
        frame: picture.frame,
        precise: true,
    }
}

/// The encoder of that name, with all its options.
pub(crate) fn encoder(
    name: &'static str,
    source: &Source<'_, VideoInfo>,
    settings: &Settings,
    target: &Target,
    because: &mut Vec<Reason>,
) -> Encoder {
    let video = source.info;
    let hdr = if video.is_hdr() && !target.tone_map { video.hdr.clone() } else { Hdr::default() };
    let mut options = options(name, settings, video, &hdr);
    if name == OPENH264 {
        because.push(Reason::new(
            "ENCODER_REPLACED",
            "this build lacks libx264; libopenh264 has neither its rate factor nor its presets, and \
             encodes with a constant quantizer",
        ));
    }
    if target.pixel_format == "yuva420p" {
        // libvpx codes the alpha channel as a second VP9 stream, which does not work with hidden
        // alternate reference pictures.
        options.push(("auto-alt-ref".to_owned(), "0".to_owned()));
    }
    let mut bit_rate = settings.bit_rate;
    if settings.use_for == Use::Web {
        let load = web_load(source, target.width.get(), target.height.get());
        let mut set = |key: &str, value: String| options.push((key.to_owned(), value));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let cap = load.kbps.floor() as u32;
        if let Some(asked) = bit_rate.filter(|asked| *asked > cap) {
            let message = format!(
                "{asked} kbit/s is lowered to {cap} kbit/s, the most that is reasonable for its \
                 size and frame rate"
            );
            because.push(Reason::new("BITRATE_CAPPED", message));
            bit_rate = Some(cap);
        }
        // libopenh264 has no B-frames, chooses the level, and holds no rate beside a quantizer.
        let is_usual = name != OPENH264;
        if is_usual {
            set("maxrate", format!("{}", u64::from(cap) * 1000));
            set("bufsize", format!("{}", u64::from(cap) * 2000));
        }
        set("profile", "high".to_owned());
        if is_usual {
            // A picture that exceeds all levels was scaled down before (`within_levels`).
            if let Some(level) = load.level() {
                set("level", format!("{}.{}", level / 10, level % 10));
            }
            set("bf", "2".to_owned());
        }
    }
    Encoder {
        name: name.to_owned(),
        bit_rate,
        options,
        keyframe_each_second: matches!(
            settings.use_for,
            Use::Web | Use::Scrubbing { all_intra: false }
        ),
        format: FrameFormat::Video(PictureFormat {
            width: target.width,
            height: target.height,
            pixel_aspect: Rational::ONE,
            pixel_format: target.pixel_format.clone(),
            // Timestamps stay as the source has them: no frame is dropped, doubled or moved.
            time_base: source.stream.time_base,
            frame_rate: video.frame_rate,
            color: target.color.clone(),
            hdr,
        }),
    }
}

/// A track that copies a video stream, or a span of it.
pub(crate) fn copy(
    source: &Source<'_, VideoInfo>,
    container: Format,
    span: Option<Span>,
    because: Vec<Reason>,
) -> Track {
    let is_hevc = source.stream.codec == "hevc" && container.is_movie();
    // Apple's players accept HEVC with this tag only. `dvh1`, for Dolby Vision without a compatible
    // base layer, is a tag that libavformat 59 does not write into MP4; the Dolby Vision record
    // states the same.
    let hvc1 = is_hevc.then(|| "hvc1".to_owned());
    // Matroska tells the profile of ProRes by the code of QuickTime.
    let is_prores = source.stream.codec == "prores" && container == Format::Mkv;
    let tag = hvc1.or_else(|| source.stream.tag.clone().filter(|_| is_prores));
    Track { tag, ..source.track(TrackKind::Video, source.copied(span), because) }
}

/// A track that copies the section of a stream, by a smart cut where a copy can not begin or end
/// there. The error says why neither is possible.
pub(crate) fn copy_section(
    source: &Source<'_, VideoInfo>,
    container: Format,
    fits: Reason,
    context: &CompileContext<'_>,
) -> Result<Track, Reason> {
    let why = match source.copy_span() {
        Ok(span) => return Ok(copy(source, container, span, vec![fits])),
        Err(why) => why,
    };
    let (encoder, copied) = smart_cut::of_one(source, context.capabilities)?;
    let ends = Reason::new("ENDS_ENCODED", why.message);
    let track = copy(source, container, None, vec![ends, fits]);
    let part = Part { copied: Some(copied), ..source.encoded(String::new()) };
    let action = Action::SmartCut(Box::new(encoder));
    Ok(Track { action, parts: vec![part], ..track })
}

/// A track that encodes a stream with the codec it has, where the format takes that.
pub(crate) fn like_source(
    source: &Source<'_, VideoInfo>,
    format: Format,
    why: Reason,
    context: &CompileContext<'_>,
) -> Result<Track> {
    let (codec, other) =
        VideoCodec::like_source(&source.stream.codec, format, context.capabilities);
    let because = [why].into_iter().chain(other).collect();
    encode(source, &Settings::usual(codec), because, context)
}

/// The encoder's own options.
fn options(
    encoder: &str,
    settings: &Settings,
    video: &VideoInfo,
    hdr: &Hdr,
) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let mut set = |key: &str, value: String| options.push((key.to_owned(), value));
    if encoder == OPENH264 {
        if settings.bit_rate.is_some() {
            set("rc_mode", "bitrate".to_owned());
        } else {
            // x264's rate factor is about the quantizer that it comes to. One of 0 is not to be had.
            set("qmin", settings.crf.max(1).to_string());
            set("qmax", settings.crf.max(1).to_string());
        }
        // Also for large pictures: without it, a profile is chosen that has no CABAC.
        if settings.use_for != Use::Web {
            set("profile", "high".to_owned());
        }
        set("g", if settings.use_for == ALL_INTRA { "1" } else { "250" }.to_owned());
        return options;
    }
    if settings.bit_rate.is_none() {
        set("crf", settings.crf.to_string());
    }
    let usual = match settings.codec {
        VideoCodec::H264 | VideoCodec::Hevc => Preset::Name("medium".to_owned()),
        VideoCodec::Vp9 => Preset::Number(4),
        VideoCodec::Av1 => Preset::Number(8),
    };
    let preset = match settings.preset.clone().unwrap_or(usual) {
        Preset::Name(name) => name,
        Preset::Number(number) => number.to_string(),
    };
    match settings.codec {
        VideoCodec::H264 => {
            set("preset", preset);
            // Otherwise x264 takes the frame rate that it writes from the time base, and readers
            // believe it.
            if video.frame_rate.is_some() && video.frame_rate == video.nominal_frame_rate {
                set("x264-params", "force-cfr=1".to_owned());
            }
            match settings.use_for {
                Use::Any => {}
                Use::Scrubbing { all_intra: true } => set("g", "1".to_owned()),
                // Keyframes are requested, and each of them is an IDR picture, which closes the GOP
                // before it.
                Use::Web | Use::Scrubbing { all_intra: false } => {
                    set("forced-idr", "1".to_owned());
                    set("g", "600".to_owned());
                }
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
pub(crate) fn x265_parameters(hdr: &Hdr) -> String {
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
