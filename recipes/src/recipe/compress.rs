//! The recipe `compress`: makes the file smaller.

use avocet_model::{
    error::Result,
    media::{AudioInfo, StreamInfo, VideoInfo},
    plan::{Action, Plan, Reason, Strategy, Track},
};
use serde::{Deserialize, Serialize};

use crate::{
    decide::{
        choose,
        context::{CompileContext, Probed},
        copyable::{self, Holds},
        select::{Need, Selection, Source},
        sound::{self, Rate},
        video::{self, Settings},
    },
    words::{
        codec::{Preset, VideoCodec},
        format::Format,
        parameter::{BIT_RATE, CODEC, CRF, Kind, LENIENT, PRESET, Parameter, TRACKS, Tracks},
    },
};

/// The parameters of `compress`.
pub(crate) const PARAMETERS: &[Parameter] = &[
    CODEC,
    Parameter { kind: Kind::Crf, default: "28 (h264, hevc), 38 (vp9, av1)", ..CRF },
    BIT_RATE,
    PRESET,
    // The largest value is above what AAC-LC (576 kbit/s at 48 kHz, ISO/IEC 14496-3, 4.5.3) and
    // Opus (510 kbit/s, RFC 6716, 2.1.1) use for stereo.
    Parameter {
        name: "audioBitrateKbps",
        kind: Kind::Integer { least: 1, most: 1_024 },
        default: "128",
        doc: "Bit rate of stereo audio in kbit/s (1000 bits); mono gets 0.6 times, 5.1 gets 2.5 \
              times as much",
    },
    TRACKS,
    LENIENT,
];

/// Makes the file smaller.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Compress {
    /// Codec of the video; `None` is [`VideoCodec::of_format`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<VideoCodec>,
    /// Constant rate factor, a figure without a unit, 0 to 51 (h264, hevc) or 63 (vp9, av1);
    /// `None` is 28 or 38.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crf: Option<u8>,
    /// Bit rate of the video, in kbit/s (1000 bits), 1 to 1,000,000; beats [`crf`](Self::crf).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_kbps: Option<u32>,
    /// How long the encoder may take; `None` is `medium` (h264, hevc), 4 (vp9) or 8 (av1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Bit rate of stereo audio, in kbit/s (1000 bits), 1 to 1,024; 128 by default.
    pub audio_bitrate_kbps: u32,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl Default for Compress {
    fn default() -> Self {
        Self {
            codec: None,
            crf: None,
            bitrate_kbps: None,
            preset: None,
            audio_bitrate_kbps: 128,
            tracks: Tracks::Best,
            lenient: false,
        }
    }
}

impl Compress {
    pub(crate) fn compile(&self, format: Format, context: &CompileContext<'_>) -> Result<Plan> {
        let selection = Selection::of(context, format, Need::Video, self.tracks, None)?;
        let probed = selection.probed;
        let mut sounds = Vec::new();
        for source in &selection.audios {
            sounds.push(self.sound(source, format, context)?);
        }
        let plan = |video: Track| {
            let copies =
                [&video].into_iter().chain(&sounds).all(|track| track.action == Action::Copy);
            let strategy = if copies { Strategy::Remux } else { Strategy::Encode };
            let tracks = [video].into_iter().chain(sounds.clone()).collect();
            let mut plan = selection.plan(strategy, tracks, self.lenient);
            plan.outputs.iter_mut().for_each(|output| output.at_most = probed.media.size_bytes);
            plan
        };
        let Some(source) = &selection.video else {
            return Err(choose::lacking(&probed.location, &probed.media, "a video stream"));
        };
        let because = Reason::new("MADE_SMALLER", "it is encoded with fewer bits");
        let mut encoded = self.encode(source, format, because, context)?;
        let may_copy = self.may_copy(source, format);
        // If every other way makes the file larger, the input itself is the output, provided that
        // it has the right format and no change was asked for.
        let is_free = self.change_asked(source, format).is_none();
        let itself = (is_free && is_format(probed, format)).then(|| {
            let message = "every other plan makes it larger, so the input itself is the output";
            selection.pass_through(Reason::new("INPUT_IS_SMALLEST", message))
        });
        let copied = may_copy.ok().map(|_| {
            let message = "encoding makes it larger, so it is copied";
            let because = vec![Reason::new("ENCODE_IS_LARGER", message)];
            let mut copied = plan(video::copy(source, format, None, because));
            copied.otherwise = itself.clone().map(Box::new);
            copied
        });
        if copied.is_some() {
            encoded.at_most = source.bytes();
        }
        let mut plan = plan(encoded);
        plan.otherwise = copied.or(itself).map(Box::new);
        Ok(plan)
    }

    fn encode(
        &self,
        source: &Source<'_, VideoInfo>,
        format: Format,
        because: Reason,
        context: &CompileContext<'_>,
    ) -> Result<Track> {
        let codec = self.codec.or(VideoCodec::of_format(format)).unwrap_or(VideoCodec::H264);
        let settings = Settings {
            crf: self.crf.unwrap_or(codec.small_crf()),
            bit_rate: self.bitrate_kbps,
            preset: self.preset.clone(),
            ..Settings::usual(codec)
        };
        video::encode(source, &settings, vec![because], context)
    }

    /// Whether a copy of the video also does what was asked for; the error says why not.
    fn may_copy(
        &self,
        source: &Source<'_, VideoInfo>,
        container: Format,
    ) -> Result<Reason, Reason> {
        match self.change_asked(source, container) {
            Some(change) => Err(change),
            None => copyable::video(source, container, Holds::Common),
        }
    }

    /// The change that was asked for and that only an encode makes; `None` without such a change.
    fn change_asked(&self, source: &Source<'_, VideoInfo>, format: Format) -> Option<Reason> {
        if let Some(codec) = self.codec.filter(|codec| codec.name() != source.stream.codec) {
            let message = format!("{} was asked for", codec.name());
            return Some(Reason::new("CODEC_ASKED_FOR", message));
        }
        let codec = self.codec.or(VideoCodec::of_format(format));
        let is_mapped = source.info.is_hdr() && codec == Some(VideoCodec::H264);
        let message = "H.264 is written in standard dynamic range";
        is_mapped.then(|| Reason::new("HDR_TO_SDR", message))
    }

    /// Copies audio whose bit rate is no higher than that of an encode, and encodes any other.
    fn sound(
        &self,
        source: &Source<'_, AudioInfo>,
        container: Format,
        context: &CompileContext<'_>,
    ) -> Result<Track> {
        let settings = sound::Settings {
            rate: Rate::Kbps(self.audio_bitrate_kbps),
            lossless: sound::Lossless::Lost,
            ..sound::Settings::usual(container)
        };
        let because = Reason::new("MADE_SMALLER", "it is encoded with fewer bits");
        let encoded = sound::encode(source, container, settings, vec![because], context)?;
        let Action::Encode(encoder) = &encoded.action else { return Ok(encoded) };
        let wanted = encoder.bit_rate.map_or(f64::INFINITY, f64::from);
        let found = kbps(source.stream, source);
        match copyable::audio(source, container, Holds::Common, context) {
            // Encoders meet their rate to a few percent.
            Ok(_) if found.is_some_and(|found| found <= wanted * 1.03) => {
                let message = format!("it has no more than {wanted} kbit/s");
                Ok(sound::copy(source, None, vec![Reason::new("SMALL_ENOUGH", message)]))
            }
            _ => Ok(encoded),
        }
    }
}

/// The bit rate of an audio stream, in kbit/s; `None` when it is not known.
fn kbps(stream: &StreamInfo, source: &Source<'_, AudioInfo>) -> Option<f64> {
    let counted = source.bytes().zip(source.seconds());
    let counted = counted.map(|(bytes, seconds)| bytes as f64 * 8.0 / seconds / 1000.0);
    counted.or_else(|| stream.bit_rate.map(|rate| rate as f64 / 1000.0))
}

/// Whether the container of an input is that of a format.
fn is_format(probed: &Probed, format: Format) -> bool {
    let media = &probed.media;
    let is_quicktime = || {
        media
            .movie
            .as_ref()
            .is_some_and(|movie| movie.brand.as_deref().is_none_or(|brand| brand == "qt  "))
    };
    match format {
        Format::Mp4 => media.is_format("mov") && !is_quicktime(),
        Format::Mov => media.is_format("mov") && is_quicktime(),
        Format::Webm => media.is_format("webm") && media.is_webm,
        Format::Mkv => media.is_format("matroska") && !media.is_webm,
        _ => false,
    }
}
