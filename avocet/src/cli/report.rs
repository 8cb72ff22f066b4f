//! What a run that succeeded left, told to people or to programs.

use avocet::{
    Format, Plan, Report,
    engine::{Action, Kind, Location, Reason, Stats, Strategy, StreamInfo, VideoInfo, Written},
};
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

/// One file, described as the job API does.
#[derive(Serialize)]
struct Output<'a> {
    path: String,
    size_bytes: u64,
    /// In seconds; a picture has none.
    duration: Option<f64>,
    file_type: &'static str,
    file_format: Option<&'static str>,
    mime_type: Option<&'static str>,
    codec: Option<&'a str>,
    /// As shown, in pixels.
    width: Option<u64>,
    height: Option<u64>,
    /// Frames per second.
    frame_rate: Option<f64>,
    /// In 1000 bits per second.
    bitrate_kbps: Option<u64>,
}

/// What became of one stream of an input.
#[derive(Serialize)]
struct Stream<'a> {
    input: usize,
    index: usize,
    kind: &'a str,
    action: &'static str,
    reason: Option<&'a str>,
    message: Option<&'a str>,
}

/// One JSON object.
pub(super) fn to_json(plan: &Plan, report: &Report, format: Option<Format>) -> String {
    terminal::json(&Completed {
        state: "completed",
        strategy: report.strategy,
        outputs: report.outputs.iter().map(|written| describe(written, format)).collect(),
        streams: streams(plan),
        warnings: &report.warnings,
        stats: &report.stats,
    })
}

/// A line for each output.
pub(super) fn to_text(report: &Report, format: Option<Format>) -> String {
    let lines = report.outputs.iter().map(|written| {
        let Output { path, size_bytes, duration, width, height, .. } = describe(written, format);
        let mut facts = vec![terminal::size(size_bytes)];
        let size = width.zip(height);
        facts.extend(size.map(|(width, height)| format!("{width}x{height}")));
        facts.extend(duration.map(|duration| format!("{duration:.3} s")));
        format!("{path}: {}", facts.join(", "))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn describe(written: &Written, format: Option<Format>) -> Output<'_> {
    let media = &written.media;
    let is_picture = format.is_some_and(Format::is_picture);
    let main = main_stream(&media.streams);
    let video = main.and_then(|(_, video)| video);
    let size = video.map(VideoInfo::shown_size);
    let in_time = |value: Option<f64>| value.filter(|_| !is_picture);
    let duration = in_time(media.duration.map(terminal::seconds));
    Output {
        path: match &written.location {
            Location::Path(path) => path.to_string_lossy().into_owned(),
            given @ Location::Given(_) => given.to_string(),
        },
        size_bytes: written.size_bytes,
        duration,
        file_type: match video {
            _ if is_picture || format == Some(Format::Gif) => "image",
            Some(_) => "video",
            None => "audio",
        },
        file_format: format.map(Format::name),
        mime_type: format.map(Format::mime),
        codec: main.map(|(stream, _)| stream.codec.as_str()),
        width: size.map(|(width, _)| whole(width)),
        height: size.map(|(_, height)| whole(height)),
        frame_rate: in_time(video.and_then(|video| Some(video.frame_rate?.as_f64()))),
        bitrate_kbps: duration
            .filter(|duration| *duration > 0.0)
            .map(|duration| whole(written.size_bytes as f64 * 8.0 / duration / 1000.0)),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// The stream that a file is about: the first video, else the first of all.
fn main_stream(streams: &[StreamInfo]) -> Option<(&StreamInfo, Option<&VideoInfo>)> {
    let videos = streams.iter().filter_map(|stream| match &stream.kind {
        Kind::Video(video) if !stream.still => Some((stream, Some(video))),
        _ => None,
    });
    videos.into_iter().next().or_else(|| Some((streams.first()?, None)))
}

/// Every stream that the plan names, in the order of the inputs.
fn streams(plan: &Plan) -> Vec<Stream<'_>> {
    let kept = plan.outputs.iter().flat_map(|output| &output.tracks).map(|track| {
        let because = track.because.first();
        Stream {
            input: track.input,
            index: track.stream,
            kind: track.kind.name(),
            action: match track.action {
                Action::Copy => "copy",
                Action::Encode(_) => "encode",
            },
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
    let mut streams: Vec<_> = kept.chain(dropped).collect();
    streams.sort_by_key(|stream| (stream.input, stream.index));
    streams
}
