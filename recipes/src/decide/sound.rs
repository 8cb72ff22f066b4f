//! Audio encoders, and the samples that they take.

use std::num::NonZeroU32;

use avocet_model::{
    error::Result,
    media::{AudioInfo, Kind, StreamInfo},
    plan::{Action, Encoder, FrameFormat, Reason, SoundFormat, Span, Track, TrackKind},
};

use super::{
    context::{CompileContext, expect_encoder},
    copyable::{self, Holds},
    cut::{self, stream_end},
    select::Source,
};
use crate::words::format::Format;

/// The sample rate where a codec does not support the source's rate, in Hz.
pub(super) const USUAL_RATE: NonZeroU32 = NonZeroU32::new(48_000).unwrap();

/// An encoder of sound: what it takes, and how it is told what to make.
#[derive(Clone, Copy, Debug)]
struct Coder {
    name: &'static str,
    sample_format: &'static str,
    /// Rates it takes, in Hz; empty for all.
    rates: &'static [u32],
    /// Channel layouts it takes: the n-th has n channels, and more channels get the last one. Empty
    /// for all layouts.
    layouts: &'static [&'static str],
    /// Further layouts that it takes as they are.
    others: &'static [&'static str],
    /// The largest bit rate it takes, in bits per sample and channel.
    max_bits: f64,
    /// Whether it keeps all samples as they are, and so takes no bit rate.
    is_lossless: bool,
}

const AAC: Coder = Coder {
    name: "aac",
    sample_format: "fltp",
    rates: &[
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ],
    layouts: &["mono", "stereo", "3.0", "4.0", "5.0", "5.1"],
    others: &["2.1", "quad", "7.1"],
    // ISO/IEC 14496-3: 6144 bits per channel and frame of 1024 samples.
    max_bits: 6.0,
    is_lossless: false,
};

const OPUS: Coder = Coder {
    name: "libopus",
    sample_format: "flt",
    // libopus takes lower rates, too, but all Opus is decoded at 48 kHz (RFC 7845, 5.1), and in
    // FFmpeg 5.1 Matroska's `CodecDelay` is right only for that rate.
    rates: &[48_000],
    layouts: &["mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"],
    others: &[],
    // libopus takes 256 kbit/s for each channel, and works at 48 kHz.
    max_bits: 5.33,
    is_lossless: false,
};

const MP3: Coder = Coder {
    name: "libmp3lame",
    sample_format: "fltp",
    rates: &[48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000],
    layouts: &["mono", "stereo"],
    others: &[],
    max_bits: f64::INFINITY,
    is_lossless: false,
};

const FLAC: Coder = Coder {
    name: "flac",
    sample_format: "s16",
    rates: &[],
    // RFC 9639, 9.1.3: up to eight channels.
    layouts: &["mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"],
    others: &["5.0(side)", "5.1(side)", "4.0", "2.1", "6.0", "7.0"],
    max_bits: f64::INFINITY,
    is_lossless: true,
};

/// For sources of more than 16 bits: libav writes 24.
const DEEP_FLAC: Coder = Coder { sample_format: "s32", ..FLAC };

const VORBIS: Coder = Coder {
    name: "libvorbis",
    sample_format: "fltp",
    rates: &[
        192_000, 176_400, 96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000,
        12_000, 11_025, 8_000,
    ],
    layouts: &["mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"],
    others: &[],
    max_bits: f64::INFINITY,
    is_lossless: false,
};

const PCM: Coder = Coder {
    name: "pcm_s16le",
    sample_format: "s16",
    rates: &[],
    layouts: &[],
    others: &[],
    max_bits: f64::INFINITY,
    is_lossless: true,
};

/// The target of an encoder's rate control.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rate {
    /// A bit rate for stereo, in kbit/s.
    Kbps(u32),
    /// A quality on the encoder's own scale: 2 is LAME's V2, 5 is Vorbis' q5.
    Scale(u32),
    /// None, since the encoding is lossless.
    Lossless,
}

/// What becomes of lossless sound.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Lossless {
    /// It is encoded like any other.
    Lost,
    /// It stays lossless in Matroska, which holds any codec.
    Kept,
    /// The same, and PCM stays PCM and keeps its bit depth.
    KeptAsPcm,
}

/// How sound is encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) rate: Rate,
    /// Whether more than two channels are mixed to stereo.
    pub(crate) at_most_stereo: bool,
    pub(crate) lossless: Lossless,
    /// Whether audio of other layouts follows, so that channels without a known place are mixed to
    /// mono.
    pub(crate) is_joined: bool,
}

impl Settings {
    /// The default settings of `transcode` for a container.
    pub(crate) fn usual(container: Format) -> Self {
        let rate = match container {
            Format::Mp3 => Rate::Scale(2),
            Format::Ogg => Rate::Scale(5),
            Format::Aac => Rate::Kbps(192),
            Format::Wav | Format::Flac => Rate::Lossless,
            _ => Rate::Kbps(160),
        };
        Self { rate, at_most_stereo: false, lossless: Lossless::Kept, is_joined: false }
    }

    /// At most stereo, at this bit rate in kbit/s.
    pub(crate) const fn stereo(kbps: u32) -> Self {
        Self {
            rate: Rate::Kbps(kbps),
            at_most_stereo: true,
            lossless: Lossless::Lost,
            is_joined: false,
        }
    }
}

/// Encodes a stream for a container.
pub(crate) fn encode(
    source: &Source<'_, AudioInfo>,
    container: Format,
    settings: Settings,
    mut because: Vec<Reason>,
    context: &CompileContext<'_>,
) -> Result<Track> {
    let (stream, audio) = (source.stream, source.info);
    let pcm = PcmCoder::of(stream, container).filter(|_| settings.lossless == Lossless::KeptAsPcm);
    let coder = pcm.as_ref().map(PcmCoder::coder);
    let coder = coder.unwrap_or_else(|| Coder::of(stream, audio, container, settings));
    expect_encoder(context.capabilities, coder.name)?;
    let format = coder.format_for(audio, settings);
    let channels = coder.channels_for(audio, settings);
    let bit_rate = match settings.rate {
        Rate::Kbps(stereo) if !coder.is_lossless => {
            Some(coder.bit_rate(stereo, channels, format.sample_rate))
        }
        _ => None,
    };
    let options = match settings.rate {
        // The quality is in libav's units of lambda.
        Rate::Scale(quality) => {
            let quality = (quality * 118).to_string();
            vec![option("flags", "+qscale"), option("global_quality", &quality)]
        }
        Rate::Kbps(_) | Rate::Lossless => Vec::new(),
    };
    if mixing(audio, &format.layout).is_some() {
        let message = format!("the layout of its {} channels is unknown", audio.channels);
        because.push(Reason::new("CHANNELS_MIXED", message));
    }
    let part = source.encoded(filters(source, &format));
    let encoder = Encoder {
        name: coder.name.to_owned(),
        bit_rate,
        options,
        keyframe_each_second: false,
        format: FrameFormat::Audio(format),
    };
    let action = Action::Encode(Box::new(encoder));
    Ok(Track { action, ..source.track(TrackKind::Audio, part, because) })
}

/// The filters that turn a stream into what an encoder takes.
fn filters(source: &Source<'_, AudioInfo>, format: &SoundFormat) -> String {
    let chain = trimming(source).into_iter().chain(converting(source.info, format, ""));
    chain.collect::<Vec<_>>().join(",")
}

/// The filters that convert sound into a format, in order; `further` options of the resampler each
/// begin with a colon.
pub(crate) fn converting(
    audio: &AudioInfo,
    format: &SoundFormat,
    further: &str,
) -> impl Iterator<Item = String> + use<> {
    let SoundFormat { sample_rate, layout, sample_format } = format;
    // Holes in the sound of more than 20 ms are filled, so that what follows stays in time.
    let resample = format!("aresample={sample_rate}:async=1:min_hard_comp=0.02{further}");
    let convert = format!(
        "aformat=sample_fmts={sample_format}:sample_rates={sample_rate}:channel_layouts={layout}"
    );
    mixing(audio, layout).into_iter().chain([resample, convert])
}

/// The filter that keeps the samples of the section, or those that an edit list shows, since a
/// decoder returns whole packets. `None` where there is neither.
pub(crate) fn trimming(source: &Source<'_, AudioInfo>) -> Option<String> {
    // The filter takes microseconds, which identify the nearest sample. Numbers of samples would
    // mean other times where the sample rate changes in mid-stream.
    match source.section {
        Some((_, kept)) => {
            let (start, end) = (kept.first.seconds(), kept.end.seconds());
            Some(format!("atrim=start={start:.6}:end={end:.6}"))
        }
        None => Some(format!("atrim=end={:.6}", stream_end(source.stream)?.seconds())),
    }
}

/// The filter that mixes all channels to mono with equal weights. It is used where the places of
/// channels are not known and the result has another layout: libswresample has no coefficients for
/// them.
pub(crate) fn mixing(audio: &AudioInfo, layout: &str) -> Option<String> {
    if is_placed(audio) || audio.layout == layout {
        return None;
    }
    let share = 1.0 / f64::from(audio.channels.max(1));
    let shares = (0..audio.channels).map(|channel| format!("{share:.6}*c{channel}"));
    Some(format!("pan=mono|c0={}", shares.collect::<Vec<_>>().join("+")))
}

/// Whether libswresample can mix the channels of a layout by where they belong: a single one, the
/// layouts that libav has a name for, and others that have a front and both sides of each pair.
/// libav describes those others as in `6 channels (FL+FR+FC+LFE+TFL+TFR)`.
fn is_placed(audio: &AudioInfo) -> bool {
    const PAIRS: [(&str, &str); 4] = [("FL", "FR"), ("BL", "BR"), ("SL", "SR"), ("FLC", "FRC")];
    let layout = audio.layout.as_str();
    if audio.channels <= 1 || !(layout.contains(" channels") || layout.starts_with("ambisonic")) {
        return true;
    }
    let list = layout.split_once('(').and_then(|(_, list)| list.strip_suffix(')'));
    let names: Vec<&str> = list.into_iter().flat_map(|list| list.split('+')).collect();
    let has = |name| names.contains(&name);
    let is_custom = list.is_some_and(|list| list.contains('@'));
    !is_custom && (has("FL") || has("FC")) && PAIRS.iter().all(|(a, b)| has(a) == has(b))
}

/// Copies a stream, or the wanted span of it, where that is possible; else encodes it.
pub(crate) fn cut(
    source: &Source<'_, AudioInfo>,
    container: Format,
    holds: Holds,
    notices: &mut Vec<Reason>,
    context: &CompileContext<'_>,
) -> Result<Track> {
    let why = match copyable::audio(source, container, holds, context) {
        Ok(because) => match (source.copy_span(container), source.section, source.index) {
            (Ok(span), _, _) => return Ok(copy(source, span, vec![because])),
            (Err(_), Some((_, kept)), Some(index)) if container == Format::Aac => {
                let message = "the format can not store a part of a packet, so the cut is rounded \
                               to whole packets";
                notices.push(Reason::new("CUT_ROUNDED_TO_PACKET", message));
                let span = cut::round_to_packets(source.stream, index, &kept);
                return Ok(copy(source, Some(span), vec![because]));
            }
            (Err(why), _, _) => why,
        },
        Err(why) => why,
    };
    let settings = Settings { lossless: Lossless::KeptAsPcm, ..Settings::usual(container) };
    encode(source, container, settings, vec![why], context)
}

/// A track that copies an audio stream, or a span of it.
pub(crate) fn copy(
    source: &Source<'_, AudioInfo>,
    span: Option<Span>,
    because: Vec<Reason>,
) -> Track {
    source.track(TrackKind::Audio, source.copied(span), because)
}

fn option(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// An encoder of PCM that keeps the bit depth of the source.
struct PcmCoder {
    name: &'static str,
    sample_format: &'static str,
}

impl PcmCoder {
    /// The little-endian PCM that is closest to that of a stream; `None` where the container does not hold it, or the stream is not PCM.
    fn of(stream: &StreamInfo, container: Format) -> Option<Self> {
        if !matches!(container, Format::Wav | Format::Mov | Format::Mkv) {
            return None;
        }
        let (name, sample_format) = match stream.codec.as_str() {
            "pcm_u8" | "pcm_s8" | "pcm_s8_planar" => ("pcm_u8", "u8"),
            codec if codec.starts_with("pcm_s24") || codec.starts_with("pcm_u24") => {
                ("pcm_s24le", "s32")
            }
            codec if codec.starts_with("pcm_s32") || codec.starts_with("pcm_u32") => {
                ("pcm_s32le", "s32")
            }
            // Matroska has no place for it.
            "pcm_s64le" | "pcm_s64be" if container == Format::Mkv => ("pcm_s32le", "s32"),
            "pcm_s64le" | "pcm_s64be" => ("pcm_s64le", "s64"),
            "pcm_f32le" | "pcm_f32be" | "pcm_f16le" | "pcm_f24le" => ("pcm_f32le", "flt"),
            "pcm_f64le" | "pcm_f64be" => ("pcm_f64le", "dbl"),
            "pcm_bluray" | "pcm_dvd" if matches!(&stream.kind, Kind::Audio(audio) if is_deep(stream, audio)) => {
                ("pcm_s32le", "s32")
            }
            codec if codec.starts_with("pcm_") => ("pcm_s16le", "s16"),
            _ => return None,
        };
        Some(Self { name, sample_format })
    }

    fn coder(&self) -> Coder {
        Coder { name: self.name, sample_format: self.sample_format, ..PCM }
    }
}

/// Whether a codec keeps all samples as they are.
pub(super) fn is_lossless(codec: &str) -> bool {
    codec.starts_with("pcm_")
        || matches!(codec, "flac" | "alac" | "wavpack" | "tta" | "ape" | "mlp" | "truehd")
}

/// Whether samples have more than 16 bits. Floating point of a lossy codec has no more than it was made
/// from.
fn is_deep(stream: &StreamInfo, audio: &AudioInfo) -> bool {
    let format = audio.sample_format.as_deref().unwrap_or_default();
    let is_float = format.starts_with("flt") || format.starts_with("dbl");
    format.starts_with("s32")
        || format.starts_with("s64")
        || (is_float && is_lossless(&stream.codec))
}

impl Coder {
    /// The encoder for a stream in a container.
    fn of(stream: &StreamInfo, audio: &AudioInfo, container: Format, settings: Settings) -> Self {
        let flac = if is_deep(stream, audio) { DEEP_FLAC } else { FLAC };
        match container {
            Format::Mkv if stream.codec == "aac" => AAC,
            Format::Mkv if settings.lossless >= Lossless::Kept && is_lossless(&stream.codec) => {
                flac
            }
            Format::Webm | Format::Mkv | Format::Opus => OPUS,
            Format::Mp3 => MP3,
            Format::Wav => PCM,
            Format::Flac => flac,
            Format::Ogg => VORBIS,
            _ => AAC,
        }
    }

    /// The samples that the encoder takes, as near to the source as possible.
    fn format_for(&self, audio: &AudioInfo, settings: Settings) -> SoundFormat {
        let source_rate = audio.sample_rate.unwrap_or(USUAL_RATE);
        let has_rate = self.rates.is_empty() || self.rates.contains(&source_rate.get());
        let (layout, _) = self.layout_within(audio, settings);
        SoundFormat {
            sample_rate: if has_rate { source_rate } else { USUAL_RATE },
            layout,
            sample_format: self.sample_format.to_owned(),
        }
    }

    fn channels_for(&self, audio: &AudioInfo, settings: Settings) -> u32 {
        self.layout_within(audio, settings).1
    }

    fn layout_within(&self, audio: &AudioInfo, settings: Settings) -> (String, u32) {
        if settings.at_most_stereo && audio.channels > 2 && is_placed(audio) {
            return ("stereo".to_owned(), 2);
        }
        if settings.is_joined && !is_placed(audio) {
            return ("mono".to_owned(), 1);
        }
        self.layout_for(audio)
    }

    /// The layout nearest to the source's, and its number of channels.
    fn layout_for(&self, audio: &AudioInfo) -> (String, u32) {
        let kept = (audio.layout.clone(), audio.channels);
        let mut layouts = self.layouts.iter().chain(self.others);
        if self.layouts.is_empty() || layouts.any(|layout| *layout == audio.layout) {
            return kept;
        }
        if !is_placed(audio) {
            return ("mono".to_owned(), 1);
        }
        let most = u32::try_from(self.layouts.len()).unwrap_or(1);
        let channels = audio.channels.clamp(1, most);
        let index = usize::try_from(channels - 1).unwrap_or(0);
        self.layouts.get(index).map_or(kept, |layout| ((*layout).to_owned(), channels))
    }

    /// The bit rate for this number of channels, from one that is meant for stereo; in kbit/s.
    fn bit_rate(&self, stereo: u32, channels: u32, sample_rate: NonZeroU32) -> u32 {
        let factor = match channels {
            1 => 0.6,
            2 => 1.0,
            more => 2.5 * f64::from(more) / 6.0,
        };
        let most = self.max_bits * f64::from(channels) * f64::from(sample_rate.get()) / 1000.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let rate = (f64::from(stereo) * factor).min(most).round() as u32;
        rate.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio(layout: &str, channels: u32) -> AudioInfo {
        let (sample_rate, sample_format) = (Some(USUAL_RATE), None);
        AudioInfo { sample_rate, channels, layout: layout.to_owned(), sample_format }
    }

    #[test]
    fn layouts_are_kept_where_the_codec_has_them() {
        let check = |coder: &Coder, layout, channels, expected: (&str, u32)| {
            let (found, count) = coder.layout_for(&audio(layout, channels));
            assert_eq!((found.as_str(), count), expected);
        };
        check(&AAC, "5.1(side)", 6, ("5.1", 6));
        check(&AAC, "7.1", 8, ("7.1", 8));
        check(&AAC, "quad", 4, ("quad", 4));
        check(&AAC, "7.1(wide)", 8, ("5.1", 6));
        check(&OPUS, "7.1", 8, ("7.1", 8));
        check(&OPUS, "4.0", 4, ("quad", 4));
        check(&MP3, "5.1", 6, ("stereo", 2));
        check(&PCM, "7.1", 8, ("7.1", 8));
        check(&VORBIS, "5.1(side)", 6, ("5.1", 6));
        check(&AAC, "6 channels (FL+FR+FC+LFE+TFL+TFR)", 6, ("5.1", 6));
        check(&MP3, "1 channels (FL)", 1, ("mono", 1));
    }

    #[test]
    fn channels_without_a_place_are_mixed_into_one() {
        for (layout, channels) in [
            ("10 channels", 10),
            ("10 channels (FL+FR+FC+LFE+BL+BR+FLC+FRC+BC+SL)", 10),
            ("2 channels (LFE+BC)", 2),
            ("ambisonic 1", 4),
        ] {
            let audio = audio(layout, channels);
            for coder in [AAC, OPUS, MP3, VORBIS] {
                assert_eq!(coder.layout_for(&audio), ("mono".to_owned(), 1), "{layout}");
            }
            // What holds any layout keeps it, and nothing is mixed.
            assert_eq!(PCM.layout_for(&audio), (layout.to_owned(), channels));
            assert_eq!(mixing(&audio, layout), None);
        }
        let mixed = mixing(&audio("2 channels (LFE+BC)", 2), "mono");
        assert_eq!(mixed.as_deref(), Some("pan=mono|c0=0.500000*c0+0.500000*c1"));
        assert_eq!(mixing(&audio("7.1", 8), "stereo"), None);
    }

    #[test]
    fn bit_rates_follow_the_channels_and_stay_in_bounds() {
        let rate =
            |channels, hz| NonZeroU32::new(hz).map_or(0, |hz| AAC.bit_rate(160, channels, hz));
        assert_eq!(rate(2, 48_000), 160);
        assert_eq!(rate(1, 48_000), 96);
        assert_eq!(rate(6, 48_000), 400);
        assert_eq!(rate(1, 8_000), 48);
    }
}
