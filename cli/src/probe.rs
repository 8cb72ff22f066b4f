//! `avocet probe`: describes the container and the streams of a file.

use std::ffi::OsString;

use avocet::{
    engine::{OpenOptions, ProbeOptions},
    media::{
        AudioInfo, Kind, MediaInfo, Orientation, Rational, Scan, StreamInfo, Timestamp, VideoInfo,
    },
};
use clap::ArgMatches;
use serde_json::{Value, json};

use super::{Answer, Context, arguments::INPUT, failure::Failure, job, terminal};

pub(super) fn answer(context: &Context, matches: &ArgMatches) -> Result<Answer, Failure> {
    let url = matches
        .get_one::<OsString>(INPUT)
        .map(|input| avocet::io::input_url(input))
        .unwrap_or_default();
    let location = avocet::io::locate(&url)?;
    let source = if url == "-" {
        job::standard_input()?
    } else {
        context.engine.open(&location, OpenOptions::default().cancel(&context.cancel))?
    };
    let media = context.engine.probe(&source, ProbeOptions::default().cancel(&context.cancel))?;
    let name = location.to_string();
    Ok(Answer::new(if context.json { to_json(&name, &media) } else { to_text(&name, &media) }))
}

/// The result of probing as JSON. Each time in ticks gets a neighbor in seconds, as
/// `durationSeconds` for `duration`; each frame rate gets one named `fps`.
fn to_json(name: &str, media: &MediaInfo) -> String {
    let mut value = json!(media);
    add_plain_numbers(&mut value);
    if let Value::Object(fields) = &mut value {
        fields.insert("path".to_owned(), name.into());
    }
    value.to_string()
}

fn add_plain_numbers(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(add_plain_numbers),
        Value::Object(fields) => {
            let mut plain = Vec::new();
            for (key, value) in fields.iter_mut() {
                if key == "frameRate" {
                    let rate = serde_json::from_value::<Rational>(value.clone());
                    plain.extend(rate.map(|rate| ("fps".to_owned(), json!(rate.as_f64()))));
                } else if let Ok(time) = serde_json::from_value::<Timestamp>(value.clone()) {
                    plain.push((format!("{key}Seconds"), json!(terminal::seconds(time))));
                } else {
                    add_plain_numbers(value);
                }
            }
            fields.extend(plain);
        }
        _ => {}
    }
}

fn to_text(name: &str, media: &MediaInfo) -> String {
    let mut facts = vec![media.format.clone()];
    facts.extend(media.duration.map(|duration| format!("{:.3} s", duration.seconds())));
    facts.extend(media.size_bytes.map(terminal::size));
    facts.extend(media.bit_rate.map(bit_rate));
    let mut lines = vec![format!("{name}: {}", facts.join(", "))];
    lines.extend(media.tags.iter().map(|(key, value)| format!("  {key}: {}", one_line(value))));
    lines.extend(media.streams.iter().map(stream));
    lines.extend(media.chapters.iter().map(|chapter| {
        let title = chapter.tags.get("title").map_or("", String::as_str);
        let (start, end) = (chapter.start.seconds(), chapter.end.seconds());
        format!("  chapter {start:.3}–{end:.3} s {}", one_line(title)).trim_end().to_owned()
    }));
    lines.join("\n")
}

fn stream(stream: &StreamInfo) -> String {
    let mut facts = vec![stream.codec.clone()];
    facts.extend(stream.profile.clone());
    match &stream.kind {
        Kind::Video(video) => facts.extend(picture(video)),
        Kind::Audio(audio) => facts.extend(sound(audio)),
        Kind::Subtitle(_) | Kind::Data | Kind::Attachment => {}
    }
    facts.extend(stream.bit_rate.map(bit_rate));
    facts.extend(stream.tags.get("language").filter(|language| *language != "und").cloned());
    if stream.disposition.default {
        facts.push("default".to_owned());
    }
    if stream.still {
        facts.push("cover art".to_owned());
    }
    format!("  {} {}: {}", stream.index, stream.kind.name(), facts.join(", "))
}

fn picture(video: &VideoInfo) -> Vec<String> {
    let mut facts = vec![format!("{}x{}", video.width, video.height)];
    let (width, height) = video.shown_size();
    let (width, height) = (width.round(), height.round());
    if (width, height) != (f64::from(video.width), f64::from(video.height)) {
        facts.push(format!("shown as {width}x{height}"));
    }
    facts.extend(video.pixel_format.as_ref().map(|pixels| pixels.name.clone()));
    facts.extend(video.frame_rate.map(|rate| format!("{} fps", rounded(rate.as_f64()))));
    if video.scan == Scan::Interlaced {
        facts.push("interlaced".to_owned());
    }
    let color = &video.color;
    let color = [&color.matrix, &color.primaries, &color.transfer];
    let mut names: Vec<_> = color.into_iter().flatten().map(String::as_str).collect();
    names.dedup();
    if !names.is_empty() {
        facts.push(names.join("/"));
    }
    facts.extend(video.color.range.as_deref().map(|range| {
        if range == "pc" { "full range".to_owned() } else { "limited range".to_owned() }
    }));
    facts.extend(turned(video.orientation).map(str::to_owned));
    facts
}

fn turned(orientation: Orientation) -> Option<&'static str> {
    Some(match orientation {
        Orientation::Upright => return None,
        Orientation::Clockwise => "rotated 90° clockwise",
        Orientation::HalfTurn => "rotated 180°",
        Orientation::CounterClockwise => "rotated 90° counterclockwise",
        Orientation::FlipLeftRight => "flipped horizontally",
        Orientation::FlipTopBottom => "flipped vertically",
        Orientation::Transpose | Orientation::AntiTranspose => "rotated and mirrored",
        Orientation::Skewed => "skewed",
    })
}

fn sound(audio: &AudioInfo) -> Vec<String> {
    let rate = audio.sample_rate.map(|rate| format!("{rate} Hz"));
    let format = audio.sample_format.clone();
    rate.into_iter().chain([audio.layout.clone()]).chain(format).collect()
}

fn bit_rate(bits: u64) -> String {
    format!("{:.0} kbit/s", bits as f64 / 1000.0)
}

/// Rounds a number to three decimal places.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Replaces control characters, so that a tag can not break the line or send an escape sequence.
fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_stand_beside_ticks() {
        let mut value = json!({
            "duration": { "ticks": 90_000, "base": "1/90000" },
            "start": null,
            "streams": [{ "start": { "ticks": -3, "base": "1/2" }, "frameRate": "25/2" }],
        });
        add_plain_numbers(&mut value);
        let expected = json!({
            "duration": { "ticks": 90_000, "base": "1/90000" },
            "durationSeconds": 1.0,
            "start": null,
            "streams": [{
                "start": { "ticks": -3, "base": "1/2" },
                "startSeconds": -1.5,
                "frameRate": "25/2",
                "fps": 12.5,
            }],
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_tag_can_not_break_out_of_its_line() {
        assert_eq!(one_line("a\n\u{1b}[31mb"), "a  [31mb");
    }
}
