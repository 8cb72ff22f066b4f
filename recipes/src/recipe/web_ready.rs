//! The recipe `webReady`: makes a file that plays in every browser.

use std::num::NonZeroU32;

use avocet_model::{
    error::Result,
    media::{AudioInfo, MediaInfo, Orientation, Scan, StreamInfo, VideoInfo, movie::MovieTrack},
    plan::{Action, Plan, Reason, Strategy, Track},
};
use serde::{Deserialize, Serialize};

use crate::{
    decide::{
        context::CompileContext,
        copyable::{self, Holds},
        cut::Section,
        picture,
        select::{Need, Selection, Source},
        smart_cut, sound,
        video::{self, Settings, Use},
    },
    words::{
        codec::{Preset, VideoCodec},
        format::Format,
        parameter::{
            BIT_RATE, CRF, DURATION, HEIGHT, Kind, LENIENT, Parameter, SCALE_DOWN, START, TRACKS,
            Tracks, WIDTH,
        },
    },
};

const CONTAINER: Format = Format::Mp4;

/// The parameters of `webReady`.
pub(crate) const PARAMETERS: &[Parameter] = &[
    SCALE_DOWN,
    WIDTH,
    HEIGHT,
    CRF,
    BIT_RATE,
    START,
    DURATION,
    Parameter {
        name: "store",
        kind: Kind::Boolean,
        default: "false",
        doc: "Whether a service copies an input that needs no change to its storage",
    },
    TRACKS,
    LENIENT,
];

/// Makes an MP4 that plays in every browser.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WebReady {
    /// Whether to fit the picture into 1280×720 pixels, turned as it is, when no box is given;
    /// `false` counts as not given.
    pub scale_down: bool,
    /// Width of the box that the picture is fitted into, in pixels, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<NonZeroU32>,
    /// Height of the box that the picture is fitted into, in pixels, 1 to 16,384.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<NonZeroU32>,
    /// Constant rate factor, a figure without a unit, 0 to 51; `None` is 23 where it encodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crf: Option<u8>,
    /// Bit rate of the video, in kbit/s (1000 bits), 1 to 1,000,000; beats [`crf`](Self::crf).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bitrate_kbps: Option<u32>,
    /// Where to begin, in seconds from the earliest presented time; finite, 0 or more, by default
    /// 0.
    pub start_seconds: f64,
    /// How much to keep, in seconds; finite, more than 0; `None` is to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Whether a service copies an input that needs no change to its storage.
    pub store: bool,
    /// Which streams to keep.
    pub tracks: Tracks,
    /// Whether a damaged input gives a warning instead of an error.
    pub lenient: bool,
}

impl WebReady {
    /// Whether a parameter can only be met by an encode.
    pub(crate) fn asks_for_encode(&self) -> bool {
        self.crf.is_some()
            || self.bitrate_kbps.is_some()
            || self.scale_down
            || self.width.is_some()
            || self.height.is_some()
    }

    pub(crate) fn compile(&self, context: &CompileContext<'_>) -> Result<Plan> {
        let probed = context.input()?;
        let section = Section::of(probed, self.start_seconds, self.duration_seconds)?;
        let selection = Selection::of(context, CONTAINER, Need::Video, self.tracks, section)?;
        let mut sounds = Vec::new();
        for source in &selection.audios {
            sounds.push(sound_of(source, context)?);
        }
        let plan_with = |video: Option<Track>| {
            let tracks: Vec<_> = video.into_iter().chain(sounds.iter().cloned()).collect();
            let has_smart_cut =
                tracks.iter().any(|track| matches!(track.action, Action::SmartCut(_)));
            let copies = tracks.iter().all(|track| track.action == Action::Copy);
            let strategy = match (has_smart_cut, copies) {
                (true, _) => Strategy::SmartCut,
                (false, true) if section.is_some() => Strategy::Copy,
                (false, true) => Strategy::FaststartRemux,
                (false, false) => Strategy::WebEncode,
            };
            selection.plan(strategy, tracks, self.lenient)
        };
        let video = match &selection.video {
            Some(source) => Some(self.video(source, context)?),
            None => None,
        };
        let mut plan = plan_with(video);
        if let (Strategy::SmartCut, Some(source)) = (plan.strategy, &selection.video) {
            let encoded = self.encoded(source, smart_cut::failed(), context)?;
            plan.otherwise = Some(Box::new(plan_with(Some(encoded))));
        }
        if plan.strategy != Strategy::FaststartRemux {
            return Ok(plan);
        }
        match container_plays(&probed.media, &selection) {
            Ok(because) => Ok(selection.pass_through(because)),
            Err(why) => {
                plan.because.push(why);
                Ok(plan)
            }
        }
    }

    fn video(&self, source: &Source<'_, VideoInfo>, context: &CompileContext<'_>) -> Result<Track> {
        let asked = || {
            let message = "a size, quality or bit rate was asked for, which a copy can not follow";
            Reason::new("ENCODE_SETTING_ASKED_FOR", message)
        };
        let may_copy = if self.asks_for_encode() { Err(asked()) } else { video_plays(source) };
        let may_copy = may_copy.and_then(|because| {
            copyable::video(source, CONTAINER, Holds::Common)?;
            video::copy_section(source, CONTAINER, because, context)
        });
        may_copy.or_else(|why| self.encoded(source, why, context))
    }

    fn encoded(
        &self,
        source: &Source<'_, VideoInfo>,
        why: Reason,
        context: &CompileContext<'_>,
    ) -> Result<Track> {
        let settings = Settings {
            crf: self.crf.unwrap_or(VideoCodec::H264.usual_crf()),
            bit_rate: self.bitrate_kbps,
            preset: Some(Preset::Name("fast".to_owned())),
            size: picture::web_size(self.scale_down, self.width, self.height, source.info),
            use_for: Use::Web,
            ..Settings::usual(VideoCodec::H264)
        };
        video::encode(source, &settings, vec![why], context)
    }
}

fn sound_of(source: &Source<'_, AudioInfo>, context: &CompileContext<'_>) -> Result<Track> {
    let may_copy = audio_plays(source.stream, source.info).and_then(|because| {
        edits_play(source)?;
        copyable::audio(source, CONTAINER, Holds::Common, context)?;
        Ok((because, source.copy_span(CONTAINER)?))
    });
    match may_copy {
        Ok((because, span)) => Ok(sound::copy(source, span, vec![because])),
        Err(why) => {
            let settings = sound::Settings::stereo(160);
            sound::encode(source, CONTAINER, settings, vec![why], context)
        }
    }
}

/// Whether every browser plays a video stream, else the first reason why not.
fn video_plays(source: &Source<'_, VideoInfo>) -> Result<Reason, Reason> {
    let (stream, video) = (source.stream, source.info);
    let no = |code: &str, message: String| Err(Reason::new(code, message));
    if stream.codec != "h264" {
        return no(
            "VIDEO_CODEC_NOT_BROWSER_SAFE",
            format!("not every browser plays {}", stream.codec),
        );
    }
    let pixels = video.pixel_format.as_ref();
    if pixels.is_none_or(|pixels| pixels.depth != 8 || pixels.chroma_shift != (1, 1)) {
        let name = pixels.map_or("an unknown pixel format", |pixels| pixels.name.as_str());
        return no("VIDEO_NOT_8_BIT_420", format!("{name} plays in few browsers"));
    }
    let profile = stream.profile.as_deref().unwrap_or("unknown");
    if !matches!(profile, "Constrained Baseline" | "Main" | "High") {
        return no(
            "VIDEO_PROFILE_NOT_BROWSER_SAFE",
            format!("profile {profile} plays in few browsers"),
        );
    }
    if stream.level.is_none_or(|level| level > 52) {
        return no("LEVEL_TOO_HIGH", "its level is over 5.2 or unknown".to_owned());
    }
    if video.scan != Scan::Progressive {
        return no(
            "INTERLACED",
            "it is interlaced, and browsers show both fields at once".to_owned(),
        );
    }
    if video.pixel_aspect.reduced() != avocet_model::time::Rational::ONE {
        let message =
            format!("pixels are {}, and some browsers take them as square", video.pixel_aspect);
        return no("PIXELS_NOT_SQUARE", message);
    }
    edits_play(source)?;
    let is_scaled = track_of(source).is_some_and(|track| !track.is_pure_rotation());
    let is_turned = !is_scaled
        && matches!(
            video.orientation,
            Orientation::Upright
                | Orientation::Clockwise
                | Orientation::HalfTurn
                | Orientation::CounterClockwise
        );
    if !is_turned {
        return no("NOT_A_PURE_ROTATION", "its display matrix scales, mirrors or skews".to_owned());
    }
    if video.is_hdr() {
        return no("HDR_TO_SDR", "H.264 in high dynamic range plays in few browsers".to_owned());
    }
    let cap = video::web_cap(source, video.width, video.height) * 1000.0;
    if let (Some(bytes), Some(seconds)) = (source.bytes(), source.seconds()) {
        let bits = bytes as f64 * 8.0;
        if bits > cap * (seconds + 2.0) {
            let kbps = bits / seconds / 1000.0;
            let message = format!(
                "its bit rate of {kbps:.0} kbit/s exceeds {:.0} kbit/s, the limit for its size \
                 and frame rate",
                cap / 1000.0
            );
            return no("BITRATE_TOO_HIGH", message);
        }
    } else {
        return no("BITRATE_UNKNOWN", "its bit rate is unknown".to_owned());
    }
    Ok(Reason::new("BROWSER_SAFE", "every browser plays it"))
}

/// Whether every browser plays an audio stream, else the reason why not.
fn audio_plays(stream: &StreamInfo, audio: &AudioInfo) -> Result<Reason, Reason> {
    let no = |code: &str, message: String| Err(Reason::new(code, message));
    let profile = stream.profile.as_deref();
    match stream.codec.as_str() {
        "aac" if !matches!(profile, None | Some("LC" | "HE-AAC" | "HE-AACv2")) => {
            let profile = profile.unwrap_or("unknown");
            no("AUDIO_PROFILE_NOT_BROWSER_SAFE", format!("AAC {profile} plays in few browsers"))
        }
        "aac" | "mp3" if audio.channels > 6 => {
            no("TOO_MANY_CHANNELS", format!("{} channels play in few browsers", audio.channels))
        }
        "aac" | "mp3" => Ok(Reason::new("BROWSER_SAFE", "every browser plays it")),
        codec => no("AUDIO_CODEC_NOT_BROWSER_SAFE", format!("not every browser plays {codec}")),
    }
}

/// Whether the input as it is plays in every browser, else the reason why not; its streams do.
fn container_plays(media: &MediaInfo, selection: &Selection<'_>) -> Result<Reason, Reason> {
    let no = |code: &str, message: &str| Err(Reason::new(code, message));
    let Some(movie) = &media.movie else {
        return no("CONTAINER_NOT_BROWSER_SAFE", "not every browser plays its container");
    };
    if movie.fragmented {
        return no("FRAGMENTED", "it is fragmented: its index is spread over the file");
    }
    if !movie.moov_first {
        return no(
            "FASTSTART_MISSING",
            "`moov` is after `mdat` (not faststart): playback starts only after the whole file has loaded",
        );
    }
    if !movie.tables_inside {
        return no("TABLES_BROKEN", "its sample tables point to data that is not in the file");
    }
    let streams = selection.video.iter().map(|source| source.stream);
    let streams = streams.chain(selection.audios.iter().map(|source| source.stream));
    for stream in streams {
        let is_avc1 = stream.codec != "h264" || stream.tag.as_deref() == Some("avc1");
        if !is_avc1 {
            return no("TAG_NOT_BROWSER_SAFE", "its H.264 stream is not tagged `avc1`");
        }
    }
    Ok(Reason::new("PLAYS_AS_IT_IS", "every browser plays the input as it is"))
}

/// Whether players follow the edit list of a stream, else the reason why they may not.
fn edits_play<T>(source: &Source<'_, T>) -> Result<(), Reason> {
    if track_of(source).is_none_or(MovieTrack::has_simple_edits) {
        return Ok(());
    }
    let message = "its edit list does more than most players follow";
    Err(Reason::new("EDITS_NOT_SIMPLE", message))
}

/// The track of MP4 or QuickTime for a stream; `None` for other containers.
fn track_of<'a, T>(source: &Source<'a, T>) -> Option<&'a MovieTrack> {
    source.media.movie.as_ref()?.track_of(source.stream)
}
