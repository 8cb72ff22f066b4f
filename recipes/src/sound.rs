//! Encoders of sound, and what they are fed with.

use std::num::NonZeroU32;

use avocet_engine::{
    Action, AudioInfo, Encode, Encoder, FrameFormat, Reason, Result, Select, SoundFormat,
    StreamInfo, Timestamp, Track, TrackKind,
};

use crate::{choose::kept_tags, compile::Circumstances, format::Format};

/// Samples per second where a codec does not have the source's rate, in Hz.
const USUAL_RATE: NonZeroU32 = NonZeroU32::new(48_000).unwrap();

/// An encoder of sound: what it takes, and how it is told what to make.
struct Coder {
    name: &'static str,
    sample_format: &'static str,
    /// Rates it takes, in Hz; empty for all.
    rates: &'static [u32],
    /// Channel layouts it takes, by number of channels; beyond the last the last is taken.
    layouts: &'static [&'static str],
    /// Largest bit rate it takes, in bits per sample and channel.
    most_bits: f64,
}

const AAC: Coder = Coder {
    name: "aac",
    sample_format: "fltp",
    rates: &[
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ],
    layouts: &["mono", "stereo", "3.0", "4.0", "5.0", "5.1"],
    // ISO/IEC 14496-3: 6144 bits per channel and frame of 1024 samples.
    most_bits: 6.0,
};

const OPUS: Coder = Coder {
    name: "libopus",
    sample_format: "flt",
    rates: &[48_000, 24_000, 16_000, 12_000, 8_000],
    layouts: &["mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"],
    // libopus takes 256 kbit/s a channel, at 48 kHz inside.
    most_bits: 5.33,
};

const MP3: Coder = Coder {
    name: "libmp3lame",
    sample_format: "fltp",
    rates: &[48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000],
    layouts: &["mono", "stereo"],
    most_bits: f64::INFINITY,
};

const PCM: Coder = Coder {
    name: "pcm_s16le",
    sample_format: "s16",
    rates: &[],
    layouts: &[],
    most_bits: f64::INFINITY,
};

/// How loud the bits may be.
#[derive(Clone, Copy, Debug)]
enum Rate {
    /// kbit/s for stereo.
    Kbps(u32),
    /// LAME's V2.
    V2,
    /// As many as it takes.
    Lossless,
}

/// Encodes a stream for `format`, at the rates of `transcode`.
pub(crate) fn encode(
    stream: &StreamInfo,
    audio: &AudioInfo,
    format: Format,
    because: Vec<Reason>,
    circumstances: &Circumstances<'_>,
) -> Result<Track> {
    let (coder, rate) = match format {
        Format::Webm => (OPUS, Rate::Kbps(160)),
        Format::Mp3 => (MP3, Rate::V2),
        Format::Aac => (AAC, Rate::Kbps(192)),
        Format::Wav => (PCM, Rate::Lossless),
        _ => (AAC, Rate::Kbps(160)),
    };
    circumstances.expect_encoder(coder.name)?;
    let source_rate = audio.sample_rate.unwrap_or(USUAL_RATE);
    let has_rate = coder.rates.is_empty() || coder.rates.contains(&source_rate.get());
    let sample_rate = if has_rate { source_rate } else { USUAL_RATE };
    let (layout, channels) = coder.layout_for(audio);
    let bit_rate = match rate {
        Rate::Kbps(stereo) => Some(coder.bit_rate(stereo, channels, sample_rate)),
        Rate::V2 | Rate::Lossless => None,
    };
    let options = match rate {
        // V2, in libav's units of lambda.
        Rate::V2 => {
            vec![option("flags", "+qscale"), option("global_quality", &(2 * 118).to_string())]
        }
        Rate::Kbps(_) | Rate::Lossless => Vec::new(),
    };
    let sample_format = coder.sample_format.to_owned();
    let encoder = Encoder {
        name: coder.name.to_owned(),
        bit_rate,
        options,
        format: FrameFormat::Audio(SoundFormat {
            sample_rate,
            layout: layout.clone(),
            sample_format: sample_format.clone(),
        }),
    };
    let mut chain = Vec::new();
    if let Some(end) = stated_end(stream) {
        // A decoder hands out whole packets: what an edit list hides at the end goes here.
        chain.push(format!("atrim=end_pts={}", end.ticks));
    }
    // Holes in the sound of more than 20 ms are filled, so that what follows stays in time.
    chain.push(format!("aresample={sample_rate}:async=1:min_hard_comp=0.02"));
    chain.push(format!(
        "aformat=sample_fmts={sample_format}:sample_rates={sample_rate}:channel_layouts={layout}"
    ));
    let filters = chain.join(",");
    Ok(Track {
        action: Action::Encode(Box::new(Encode { select: Select::All, filters, encoder })),
        because,
        ..track(stream)
    })
}

/// A track that copies a stream of sound.
pub(crate) fn copy(stream: &StreamInfo, because: Vec<Reason>) -> Track {
    Track { because, ..track(stream) }
}

fn track(stream: &StreamInfo) -> Track {
    Track {
        input: 0,
        stream: stream.index,
        kind: TrackKind::Audio,
        action: Action::Copy,
        because: Vec::new(),
        tag: None,
        default: true,
        tags: kept_tags(&stream.tags),
    }
}

/// Where a stream ends by its sample table and edit list; `None` when the container has none.
fn stated_end(stream: &StreamInfo) -> Option<Timestamp> {
    stream.promised_packets?;
    Some(stream.start?.plus(stream.duration?.ticks))
}

fn option(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

impl Coder {
    /// The layout nearest to the source's, and its number of channels.
    fn layout_for(&self, audio: &AudioInfo) -> (String, u32) {
        let kept = (audio.layout.clone(), audio.channels);
        if self.layouts.is_empty() || self.layouts.contains(&audio.layout.as_str()) {
            return kept;
        }
        let most = u32::try_from(self.layouts.len()).unwrap_or(1);
        let channels = audio.channels.clamp(1, most);
        let index = usize::try_from(channels - 1).unwrap_or(0);
        self.layouts.get(index).map_or(kept, |layout| ((*layout).to_owned(), channels))
    }

    /// A bit rate that is meant for stereo, for as many channels as there are; in kbit/s.
    fn bit_rate(&self, stereo: u32, channels: u32, sample_rate: NonZeroU32) -> u32 {
        let factor = match channels {
            1 => 0.6,
            2 => 1.0,
            more => 2.5 * f64::from(more) / 6.0,
        };
        let most = self.most_bits * f64::from(channels) * f64::from(sample_rate.get()) / 1000.0;
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
        check(&AAC, "7.1", 8, ("5.1", 6));
        check(&OPUS, "7.1", 8, ("7.1", 8));
        check(&OPUS, "4.0", 4, ("quad", 4));
        check(&MP3, "5.1", 6, ("stereo", 2));
        check(&PCM, "7.1", 8, ("7.1", 8));
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
