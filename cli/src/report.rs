//! The report of a successful run, as text for people or as JSON for programs.

use avocet::{
    Format, Plan, Report,
    engine::{Stats, Written},
    io::Location,
    media::{Kind, MediaInfo, StreamInfo, VideoInfo},
    plan::{Reason, Strategy},
};
use avocet_service::protocol::Made;
use serde::Serialize;

use super::terminal;

#[derive(Serialize)]
struct Completed<'a> {
    state: &'static str,
    strategy: Strategy,
    outputs: Vec<Output<'a>>,
    streams: Vec<Stream<'a>>,
    warnings: &'a [Reason],
    stats: &'a Stats,
}

/// One output, with the fields that the job API has.
#[derive(Serialize)]
struct Output<'a> {
    path: String,
    size_bytes: u64,
    /// In seconds; null for a picture.
    duration: Option<f64>,
    file_type: &'static str,
    file_format: Option<&'static str>,
    mime_type: Option<&'static str>,
    codec: Option<&'a str>,
    /// In pixels, as displayed.
    width: Option<u64>,
    height: Option<u64>,
    /// In frames per second.
    frame_rate: Option<f64>,
    /// In kbit/s.
    bitrate_kbps: Option<u64>,
}

/// What the plan did with one stream of an input.
#[derive(Serialize)]
struct Stream<'a> {
    input: usize,
    index: usize,
    kind: &'a str,
    action: &'static str,
    reason: Option<&'a str>,
    message: Option<&'a str>,
}

/// The report as one JSON object.
pub(super) fn to_json(report: &Report) -> String {
    terminal::json(&Completed {
        state: "completed",
        strategy: report.strategy,
        outputs: written(report).map(|(muxer, one)| describe(one, muxer)).collect(),
        streams: streams(&report.plan),
        warnings: &report.warnings,
        stats: &report.stats,
    })
}

/// The report as text: a line for each output, and one for the work that was done.
pub(super) fn to_text(report: &Report) -> String {
    let lines = written(report).map(|(muxer, one)| {
        let Output { path, size_bytes, duration, width, height, .. } = describe(one, muxer);
        let mut facts = vec![terminal::size(size_bytes)];
        let size = width.zip(height);
        facts.extend(size.map(|(width, height)| format!("{width}x{height}")));
        facts.extend(duration.map(|duration| format!("{duration:.3} s")));
        format!("{path}: {}", facts.join(", "))
    });
    lines.chain([effort(report)]).collect::<Vec<_>>().join("\n")
}

/// The kind of work, how many frames were encoded, and the wall time.
fn effort(report: &Report) -> String {
    let Stats { video_frames_encoded: encoded, video_frames_written: written, .. } = report.stats;
    let time = terminal::span(report.stats.wall_seconds);
    let done = match report.strategy {
        Strategy::Passthrough => "passthrough: the bytes of the input".to_owned(),
        Strategy::Remux | Strategy::FaststartRemux => format!("remuxed: {encoded} frames encoded"),
        Strategy::Copy => format!("copied: {encoded} frames encoded"),
        Strategy::SmartCut => format!("smart cut: {encoded} of {written} frames encoded"),
        Strategy::Encode | Strategy::WebEncode if encoded > 0 => {
            format!("encoded: {encoded} of {written} frames")
        }
        Strategy::Encode | Strategy::WebEncode => "encoded: sound".to_owned(),
        Strategy::Thumbnail | Strategy::Storyboard => match report.stats.frames_decoded {
            1 => "1 frame decoded".to_owned(),
            frames => format!("{frames} frames decoded"),
        },
        other => other.name().to_owned(),
    };
    format!("{done}, {time}")
}

/// The written outputs, each with the name of its muxer.
fn written(report: &Report) -> impl Iterator<Item = (&str, &Written)> {
    let muxers = report.plan.outputs.iter().map(|output| output.muxer.as_str());
    muxers.zip(&report.outputs)
}

fn describe<'a>(written: &'a Written, muxer: &str) -> Output<'a> {
    describe_media(&written.location, &written.media, written.size_bytes, muxer)
}

fn describe_media<'a>(
    location: &Location,
    media: &'a MediaInfo,
    size_bytes: u64,
    muxer: &str,
) -> Output<'a> {
    let kind = file_kind(muxer, location, media);
    let is_picture = kind.is_some_and(|kind| kind.mime.starts_with("image/"));
    let main = main_stream(&media.streams);
    let video = main.and_then(|(_, video)| video);
    let size = video.map(VideoInfo::shown_size);
    let in_time = |value: Option<f64>| value.filter(|_| !is_picture);
    let duration = in_time(media.duration.map(terminal::seconds));
    Output {
        path: match location {
            Location::Path(path) => path.to_string_lossy().into_owned(),
            Location::Caller(_) => "-".to_owned(),
            elsewhere @ Location::Url(_) => elsewhere.to_string(),
        },
        size_bytes,
        duration,
        file_type: match video {
            _ if muxer == "webvtt" => "text",
            _ if is_picture => "image",
            Some(_) => "video",
            None => "audio",
        },
        file_format: kind.map(|kind| kind.name),
        mime_type: kind.map(|kind| kind.mime),
        codec: main.map(|(stream, _)| stream.codec.as_str()),
        width: size.map(|(width, _)| whole(width)),
        height: size.map(|(_, height)| whole(height)),
        frame_rate: in_time(video.and_then(|video| Some(video.frame_rate?.as_f64()))),
        bitrate_kbps: duration
            .filter(|duration| *duration > 0.0)
            .map(|duration| whole(size_bytes as f64 * 8.0 / duration / 1000.0)),
    }
}

/// A plan for display, without the credentials in its URLs.
pub(super) fn without_secrets(plan: &Plan) -> Plan {
    let mut shown = plan.clone();
    let inputs = shown.inputs.iter_mut().map(|input| &mut input.location);
    for location in inputs.chain(shown.outputs.iter_mut().map(|output| &mut output.location)) {
        if matches!(location, Location::Url(_)) {
            *location = Location::Url(location.to_string());
        }
    }
    shown
}

/// The outputs of a run, in the form of the worker protocol.
pub(super) fn made(report: &Report) -> Vec<Made> {
    written(report)
        .map(|(muxer, one)| {
            let name = one.location.file_name().unwrap_or_default().into_owned();
            Made { filename: name, ..of(&describe(one, muxer)) }
        })
        .collect()
}

/// An input that is itself the output (passthrough); its URL is in place of a file name.
pub(super) fn made_of(location: &Location, muxer: &str, media: &MediaInfo) -> Made {
    let size_bytes = media.size_bytes.unwrap_or_default();
    let url = match location {
        Location::Url(url) => url.clone(),
        other => other.to_string(),
    };
    let made = describe_media(location, media, size_bytes, muxer);
    Made { key: "output".to_owned(), filename: url, ..of(&made) }
}

fn of(output: &Output<'_>) -> Made {
    Made {
        key: String::new(),
        filename: String::new(),
        size_bytes: output.size_bytes,
        duration: output.duration,
        file_type: output.file_type.to_owned(),
        file_format: output.file_format.map(str::to_owned),
        mime_type: output.mime_type.map(str::to_owned),
        codec: output.codec.map(str::to_owned),
        width: output.width,
        height: output.height,
        frame_rate: output.frame_rate,
        bitrate_kbps: output.bitrate_kbps,
    }
}

/// The name and the media type of a format.
#[derive(Clone, Copy)]
struct FileKind {
    name: &'static str,
    mime: &'static str,
}

/// The kind of a file by its muxer. All pictures share one muxer, so their codec decides.
fn file_kind(muxer: &str, location: &Location, media: &MediaInfo) -> Option<FileKind> {
    let of = |format: Format| FileKind { name: format.name(), mime: format.mime() };
    Some(match muxer {
        "webvtt" => FileKind { name: "vtt", mime: "text/vtt" },
        "image2pipe" => match media.streams.first()?.codec.as_str() {
            "mjpeg" => of(Format::Jpg),
            "png" => of(Format::Png),
            "webp" => of(Format::Webp),
            _ => of(Format::from_extension(&location.extension()?)?),
        },
        _ => of(Format::from_muxer(muxer)?),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// The main stream of a file: the first video that is no cover picture, else the first stream.
fn main_stream(streams: &[StreamInfo]) -> Option<(&StreamInfo, Option<&VideoInfo>)> {
    let videos = streams.iter().filter_map(|stream| match &stream.kind {
        Kind::Video(video) if !stream.still => Some((stream, Some(video))),
        _ => None,
    });
    videos.into_iter().next().or_else(|| Some((streams.first()?, None)))
}

/// All streams that the plan keeps, shows in a sprite sheet or drops, in the order of the inputs.
fn streams(plan: &Plan) -> Vec<Stream<'_>> {
    let kept = plan.tracks().flat_map(|track| {
        let because = track.because.first();
        track.sources().map(move |source| Stream {
            input: source.input,
            index: source.stream,
            kind: track.kind.name(),
            action: track.action.name(),
            reason: because.map(|reason| reason.code.as_str()),
            message: because.map(|reason| reason.message.as_str()),
        })
    });
    let mut shown: Vec<_> = plan.outputs.iter().filter_map(|output| output.sheet()).collect();
    shown.dedup_by_key(|sheet| sheet.source);
    let shown = shown.into_iter().map(|sheet| {
        let because = sheet.because.first();
        Stream {
            input: sheet.source.input,
            index: sheet.source.stream,
            kind: "video",
            action: "encode",
            reason: because.map(|reason| reason.code.as_str()),
            message: because.map(|reason| reason.message.as_str()),
        }
    });
    let dropped = plan.dropped.iter().map(|dropped| Stream {
        input: dropped.input,
        index: dropped.stream,
        kind: &dropped.kind,
        action: "drop",
        reason: Some(&dropped.because.code),
        message: Some(&dropped.because.message),
    });
    let mut streams: Vec<_> = kept.chain(shown).chain(dropped).collect();
    streams.sort_by_key(|stream| (stream.input, stream.index));
    streams
}
