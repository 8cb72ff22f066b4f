//! Each recipe on each clip in each format: done and verified, or refused with the right error.
//!
//! The full table takes an hour and is run by `scripts/soak`; other runs try some cases of each
//! clip. `AVOCET_BLESS=1` with `AVOCET_SOAK=1` writes `docs/matrix.md`; `AVOCET_CLIPS=a.mp4,b.mkv`
//! limits both to some clips.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use avocet::{
    Error, Plan,
    io::Location,
    plan::{Part, Select, Track, TrackKind},
};
use fixtures::judge::{self, PacketTime};

use crate::support::{Outcome, run_document};

/// A recipe, and the formats that it makes.
struct Row {
    recipe: &'static str,
    formats: &'static [&'static str],
}

const VIDEO: &[&str] = &["mp4", "webm", "mov", "mkv"];
const ALL: &[&str] =
    &["mp4", "webm", "mov", "mkv", "mp3", "aac", "wav", "m4a", "flac", "opus", "ogg"];
const SOUND: &[&str] = &["mp3", "aac", "wav", "m4a", "flac", "opus", "ogg"];

const ROWS: [Row; 9] = [
    Row { recipe: r#""webReady""#, formats: &["mp4"] },
    Row { recipe: r#""proxy","scaleDown":true"#, formats: &["mp4"] },
    Row { recipe: r#""compress""#, formats: VIDEO },
    Row { recipe: r#""transcode""#, formats: ALL },
    Row { recipe: r#""resize","width":160"#, formats: VIDEO },
    Row { recipe: r#""trim","startSeconds":0.1,"durationSeconds":1"#, formats: ALL },
    Row { recipe: r#""extractAudio""#, formats: SOUND },
    Row { recipe: r#""thumbnail","seekSeconds":0.5"#, formats: &["jpg", "png", "webp"] },
    Row { recipe: r#""concat""#, formats: ALL },
];

/// More than the duration of any clip, in seconds.
const SECONDS_OF_A_YEAR: f64 = 365.0 * 86_400.0;

/// How far durations may differ, in seconds: an audio packet, a frame, and rounding of times.
const SLACK: f64 = 0.15;

#[test]
fn made_clips_are_done_or_refused_by_every_recipe() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // These clips are too long or too large for the table.
    let is_long =
        |name: &str| matches!(name, "three-hours.mkv" | "counter-60s.mp4" | "unlike-portrait.mp4");
    let names: Vec<_> = fixtures::all().filter(|name| !is_long(name)).collect();
    let broken: Vec<_> = fixtures::broken().collect();
    let clips: Vec<_> =
        names.iter().map(|name| ((*name).to_owned(), fixtures::get(name))).collect();
    table("made clips", &clips, 401, |name| broken.contains(&name));
}

#[test]
fn real_clips_are_done_or_refused_by_every_recipe() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let clips: Vec<_> =
        fixtures::media_clips!().into_iter().map(|path| (name(&path), path)).collect();
    table("real clips", &clips, 307, |name| name == "corrupted.mp4");
}

/// Runs the cases of a table, all or one in `one_in`, and records the results.
fn table(
    title: &str,
    clips: &[(String, PathBuf)],
    one_in: usize,
    is_broken: impl Fn(&str) -> bool,
) {
    let mut told = String::new();
    let mut wrong = Vec::new();
    let chosen = std::env::var("AVOCET_CLIPS").ok();
    let is_chosen = |name: &str| {
        chosen.as_ref().is_none_or(|names| names.split(',').any(|chosen| chosen == name))
    };
    for (number, (name, clip)) in clips.iter().enumerate().filter(|(_, (name, _))| is_chosen(name))
    {
        let mut place = 0;
        let mut cells = Vec::new();
        for Row { recipe, formats } in &ROWS {
            for format in *formats {
                place += 1;
                if !fixtures::soak() && !(number * 7 + place).is_multiple_of(one_in) {
                    continue;
                }
                let case = format!("{name}: {recipe} in {format}");
                // Slow presets would take long, and are not what the table tests.
                let is_slow = *format == "webm"
                    && (recipe.contains("compress") || recipe.contains("transcode"));
                let recipe = format!("{recipe}{}", if is_slow { r#","preset":8"# } else { "" });
                let cell = match run_document(&document(clip, format, &recipe), format) {
                    Ok(outcome) => {
                        wrong.extend(wrong_length(&outcome).map(|why| format!("{case} {why}")));
                        let errors = new_errors(clip, &outcome);
                        wrong.extend(errors.map(|why| format!("{case} is decoded with: {why}")));
                        outcome.report.strategy.name().to_owned()
                    }
                    Err(error) => {
                        if !is_right_refusal(&error, is_broken(name)) {
                            wrong.push(format!("{case}: {error} [{}]", error.code()));
                        }
                        format!("*{}*", error.code())
                    }
                };
                cells.push(cell);
            }
        }
        writeln!(told, "| `{name}` | {} |", cells.join(" | ")).unwrap();
    }
    if fixtures::soak() && std::env::var_os("AVOCET_BLESS").is_some() {
        write_down(title, &told);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether an error is right. Whole clips may only be refused for what they lack. A broken clip may
/// also fail in the run, as when a damaged stream is copied that the muxer or the reader refuses.
fn is_right_refusal(error: &Error, is_broken: bool) -> bool {
    match error.code() {
        "INPUT_INVALID" => is_broken || error.to_string().contains("the job needs"),
        "OUTPUT_INCOMPLETE" | "TRANSCODE_ERROR" => is_broken,
        _ => false,
    }
}

/// The first error in decoding a result that does not occur in decoding its source.
fn new_errors(clip: &Path, outcome: &Outcome) -> Option<String> {
    let found = judge::decode_errors(&outcome.path);
    if found.is_empty() {
        return None;
    }
    // Drop the addresses in brackets, and all numbers: they differ between files.
    let words = |error: &str| {
        let said = error.rsplit_once("] ").map_or(error, |(_, said)| said);
        said.replace(|sign: char| !sign.is_alphabetic(), "")
    };
    let known: Vec<_> = judge::decode_errors(clip).iter().map(|error| words(error)).collect();
    found.into_iter().find(|error| !known.contains(&words(error)))
}

/// How the duration of a result differs from that of its source, as the ffmpeg program reads both.
fn wrong_length(outcome: &Outcome) -> Option<String> {
    let plan = &outcome.plan;
    let is_short = outcome.report.warnings.iter().any(|warning| warning.code == "INPUT_SHORT");
    let count = plan.tracks().count();
    if is_short || count == 0 {
        return None;
    }
    let packets = |stream: usize| judge::packets(&outcome.path, &stream.to_string());
    let packets: Vec<_> = (0..count).map(packets).collect();
    // Formats without timestamps begin with the encoder delay.
    let sound = plan.tracks().zip(&packets).filter(|(track, _)| track.kind == TrackKind::Audio);
    let longest = sound.flat_map(|(_, packets)| packets).map(|packet| packet.duration);
    let delay = 2.0 * longest.fold(0.0, f64::max);
    let made = packets.iter().filter_map(|packets| span(packets));
    let (start, end) = made.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    // The container, and not the packet, states the duration of the last frame.
    let says_end = plan.outputs.iter().all(avocet::plan::Output::keeps_times)
        && !plan.inputs.iter().any(|input| input.closes_jumps);
    let stated = judge::probe(&outcome.path).duration.filter(|_| says_end);
    let made = end.max(stated.unwrap_or(0.0)) - start.max(0.0);
    let is_whole = |part: &Part| part.select == Select::All;
    let parts = || plan.tracks().flat_map(|track| &track.parts);
    let expected = if parts().all(is_whole) && parts().count() == count {
        read_span(plan)
    } else {
        plan.seconds
    };
    // In hostile clips, times are thousands of years apart; results can not be that long.
    let expected = expected.filter(|seconds| *seconds < SECONDS_OF_A_YEAR)?;
    let is_wrong = (made - expected).abs() > SLACK + delay.min(0.2) + outcome.longest_frame();
    is_wrong.then(|| format!("lasts {made:.3} s instead of {expected:.3} s"))
}

/// The time from the first start to the last end of the chosen streams, in seconds.
fn read_span(plan: &Plan) -> Option<f64> {
    let input = plan.inputs.first()?;
    let Location::Path(path) = &input.location else { return None };
    let streams = plan.tracks().flat_map(Track::sources);
    let packets: Vec<_> =
        streams.map(|source| judge::packets(path, &source.stream.to_string())).collect();
    if input.closes_jumps {
        // If the time line jumps, only the durations of packets can be added up.
        let length = |packets: &Vec<PacketTime>| packets.iter().map(|packet| packet.duration).sum();
        return packets.iter().map(length).reduce(f64::max);
    }
    let spans = packets.iter().filter_map(|packets| span(packets));
    let (start, end) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    Some(end - start.max(0.0))
}

fn span(packets: &[PacketTime]) -> Option<(f64, f64)> {
    let shown = || packets.iter().filter(|packet| !packet.discard);
    let start = shown().filter_map(|packet| packet.pts.or(packet.dts)).reduce(f64::min)?;
    let end = shown()
        .filter_map(|packet| Some(packet.pts.or(packet.dts)? + packet.duration))
        .reduce(f64::max)?;
    Some((start, end))
}

/// The job of one case; `concat` joins the clip with itself.
fn document(clip: &Path, format: &str, recipe: &str) -> String {
    let url = serde_json::to_string(clip.to_str().unwrap()).unwrap();
    let inputs = if recipe.starts_with(r#""concat""#) {
        format!(r#""input_files":{{"in_1":{url},"in_2":{url}}}"#)
    } else {
        format!(r#""input":{{"url":{url}}}"#)
    };
    format!(
        r#"{{"mode":"recipe",{inputs},"output":{{"format":"{format}"}},"recipe":{{"name":{recipe}}}}}"#
    )
}

/// Writes a table to `docs/matrix.md`, in place of the one with the same title.
fn write_down(title: &str, rows: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/matrix.md");
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let mut sections: BTreeMap<String, String> = before
        .split("\n## ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
        .map(|(title, text)| (title.to_owned(), text.trim().to_owned()))
        .collect();
    let cases = || ROWS.iter().flat_map(|row| row.formats.iter().map(move |format| (row, format)));
    let name = |row: &Row| row.recipe.split(',').next().unwrap().trim_matches('"').to_owned();
    let head: Vec<_> = cases().map(|(row, format)| format!("{} {format}", name(row))).collect();
    let line = "|---".repeat(head.len() + 1);
    // Rows of clips that were not run are kept.
    let clip = |row: &str| row.split('`').nth(1).map(str::to_owned);
    let fresh: Vec<_> = rows.lines().filter_map(|row| Some((clip(row)?, row.to_owned()))).collect();
    let old = sections.remove(title).unwrap_or_default();
    let mut kept: Vec<_> =
        old.lines().filter_map(|row| Some((clip(row)?, row.to_owned()))).collect();
    for (name, row) in fresh {
        match kept.iter_mut().find(|(kept, _)| *kept == name) {
            Some((_, kept)) => *kept = row,
            None => kept.push((name, row)),
        }
    }
    let rows: Vec<_> = kept.into_iter().map(|(_, row)| row).collect();
    let text = format!("| clip | {} |\n{line}|\n{}", head.join(" | "), rows.join("\n"));
    sections.insert(title.to_owned(), text);
    let mut told = "# What each recipe makes of each clip\n\n\
        Made by `AVOCET_SOAK=1 AVOCET_BLESS=1 cargo test --release -p avocet-tests sweep`. A cell \
        is the strategy of a result that was verified and lasts as long as what it was made of, \
        or, in italics, the code of the error that refused the clip.\n"
        .to_owned();
    for (title, text) in sections {
        write!(told, "\n## {title}\n\n{text}\n").unwrap();
    }
    std::fs::write(path, told).unwrap();
}
