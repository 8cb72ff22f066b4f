//! Traps 13 to 18: priming, channels, drift, time lines, concatenation. Also helpers of 19 to 24.

use std::path::Path;

use avocet::plan::Strategy;
use fixtures::{TONES, judge};

use crate::support::{Outcome, join, run, source_frames};

/// Copies all that the format can contain.
pub(crate) const COPY: &str = r#""transcode""#;

/// Encodes video with x264 at a fast preset.
pub(crate) const ENCODE: &str = r#""transcode","reencode":true,"preset":"ultrafast""#;

/// Encodes the sound.
const ENCODE_SOUND: &str = r#""transcode","reencode":true"#;

/// Encodes for WebM, at a fast preset.
const ENCODE_WEBM: &str = r#""transcode","reencode":true,"preset":8"#;

/// The duration of a frame at 25 frames per second, in seconds.
pub(crate) const FRAME: f64 = 0.04;

/// Runs a job, which must succeed.
pub(crate) fn done(input: &Path, format: &str, recipe: &str) -> Outcome {
    run(input, format, recipe)
        .unwrap_or_else(|error| panic!("{} in {format} by {recipe}: {error}", input.display()))
}

/// Concatenates fixtures, which must succeed.
pub(crate) fn joined(names: &[&str], format: &str) -> Outcome {
    let inputs: Vec<_> = names.iter().map(|name| fixtures::get(name)).collect();
    join(&inputs, format).unwrap_or_else(|error| panic!("{names:?} in {format}: {error}"))
}

/// Fails unless all times are as expected, within `limit` seconds.
pub(crate) fn same_times(found: &[f64], expected: &[f64], limit: f64, what: &str) {
    let is_near = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < limit);
    assert!(is_near, "{what}: at {found:?} instead of {expected:?}");
}

/// Fails unless there are `count` flashes with clicks, each within `limit` seconds of its flash.
pub(crate) fn in_sync(path: &Path, count: usize, limit: f64, what: &str) {
    same_times(&judge::click_to_flash(path), &vec![0.0; count], limit, what);
}

/// The times of clicks in seconds, for MP3 from the first sample: ffmpeg counts its delay as time.
pub(crate) fn clicks_from_start(path: &Path) -> Vec<f64> {
    let is_mp3 = path.extension().is_some_and(|extension| extension == "mp3");
    let start = if is_mp3 { judge::audio_samples(path).time(0) } else { 0.0 };
    judge::clicks(path).into_iter().map(|click| click - start).collect()
}

/// Times relative to the first of them.
fn from_first(times: &[f64]) -> Vec<f64> {
    times.iter().map(|time| time - times[0]).collect()
}

/// The counters of these frames.
pub(crate) fn counted(frames: impl IntoIterator<Item = u16>) -> Vec<Option<u16>> {
    frames.into_iter().map(Some).collect()
}

/// The duration of the sound of a file, in seconds.
pub(crate) fn seconds_of_sound(path: &Path) -> f64 {
    let samples = judge::audio_samples(path);
    samples.mono().len() as f64 / f64::from(samples.rate)
}

/// Whether a report has a warning with this code.
pub(crate) fn warns(outcome: &Outcome, code: &str) -> bool {
    outcome.report.warnings.iter().any(|warning| warning.code == code)
}

#[test]
fn trap_13_aac_priming_and_padding_do_not_grow_with_generations() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let table = [
        ("clicks.wav", "m4a", ENCODE_SOUND),
        ("clicks-44100.wav", "mp4", ENCODE_SOUND),
        ("clicks.m4a", "mov", COPY),
        ("clicks.m4a", "m4a", r#""extractAudio""#),
        ("clicks-aac.mkv", "m4a", r#""extractAudio""#),
        ("clicks-aac.mkv", "mp4", COPY),
        ("clicks-aac.mkv", "wav", COPY),
        ("clicks-aac.mkv", "webm", COPY),
        ("clicks.wav", "webm", ENCODE_SOUND),
        ("clicks-8000.wav", "webm", ENCODE_SOUND),
        ("clicks.opus", "webm", COPY),
        ("clicks.mp3", "mp3", ENCODE_SOUND),
        ("clicks.wav", "mkv", ENCODE_SOUND),
        ("clicks.m4a", "mkv", COPY),
        ("clicks-aac.mkv", "mkv", COPY),
        ("clicks.wav", "flac", ENCODE_SOUND),
        ("clicks.wav", "opus", ENCODE_SOUND),
        ("clicks.opus", "opus", COPY),
        ("clicks.opus", "ogg", COPY),
        ("clicks.wav", "ogg", ENCODE_SOUND),
    ];
    for (name, format, recipe) in fixtures::sample(table, 3) {
        let mut generations = vec![done(&fixtures::get(name), format, recipe)];
        while generations.len() < 5 {
            let last = generations[generations.len() - 1].path.clone();
            generations.push(done(&last, format, recipe));
        }
        let length = seconds_of_sound(&generations[0].path);
        // FFmpeg before 8 decodes the priming of AAC in Matroska.
        let slack = if format == "mkv" { 0.046 } else { 0.025 };
        assert!((length - 4.0).abs() < slack, "{name} in {format}: {length} s");
        for (number, made) in [1, 2, 5].map(|number| (number, &generations[number - 1])) {
            let what = format!("{name} in {format} by {recipe}, generation {number}");
            same_times(&clicks_from_start(&made.path), &[0.0, 1.0, 2.0, 3.0], 0.001, &what);
            if matches!(format, "m4a" | "mp4" | "mov") {
                let first = judge::packets(&made.path, "a:0")[0].pts;
                assert!(first < Some(0.0), "{what}: no priming before zero, but {first:?}");
                let bytes = std::fs::read(&made.path).unwrap();
                assert!(bytes.windows(4).any(|kind| kind == b"elst"), "{what}: no edit list");
            }
        }
        let last = seconds_of_sound(&generations[4].path);
        assert!((last - length).abs() < 0.001, "{name} in {format}: {length} became {last} s");
    }
}

#[test]
fn trap_13_sound_stays_with_the_picture_through_generations() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let table = [
        ("counter-h264-aac.mp4", "mp4", COPY),
        ("counter-h264-aac.mp4", "mp4", ENCODE),
        ("counter-h264-aac.mp4", "mp4", r#""proxy""#),
        ("counter-h264-aac.ts", "mp4", r#""webReady""#),
        ("vp9-opus.webm", "webm", COPY),
        ("vp9-opus.mkv", "webm", COPY),
        ("vp9-opus.webm", "webm", ENCODE_WEBM),
        ("counter-h264-aac.mp4", "mkv", COPY),
        ("counter-h264-aac.mp4", "mkv", ENCODE),
        ("vp9-opus.webm", "mkv", COPY),
    ];
    for (name, format, recipe) in fixtures::sample(table, 3) {
        let mut generations = vec![done(&fixtures::get(name), format, recipe)];
        while generations.len() < 5 {
            let last = generations[generations.len() - 1].path.clone();
            generations.push(done(&last, format, recipe));
        }
        for (number, made) in [1, 2, 5].map(|number| (number, &generations[number - 1])) {
            let what = format!("{name} in {format} by {recipe}, generation {number}");
            in_sync(&made.path, 4, 0.001, &what);
        }
    }
}

#[test]
fn trap_13_a_trim_keeps_the_onset_to_the_millisecond() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format, start) in [
        ("clicks.m4a", "m4a", 0.51),
        ("clicks-aac.mkv", "m4a", 0.51),
        ("clicks-aac.mkv", "wav", 0.0),
        ("clicks.wav", "m4a", 0.51),
        ("clicks.wav", "wav", 0.51),
        ("clicks.mp3", "mp3", 0.51),
        ("clicks.opus", "webm", 0.51),
        ("clicks.opus", "opus", 0.51),
        ("clicks.opus", "mkv", 0.51),
        ("clicks.wav", "ogg", 0.51),
        ("clicks.wav", "flac", 0.51),
        ("clicks-aac.mkv", "mkv", 0.51),
        ("counter-h264-aac.mp4", "mkv", 0.52),
        ("counter-h264-aac.mp4", "mp4", 0.52),
        ("counter-h264-aac.mp4", "mp4", 2.0),
        ("counter-h264-aac.mp4", "mov", 0.52),
        ("counter-h264-aac.mp4", "m4a", 0.52),
    ] {
        let recipe = format!(r#""trim","startSeconds":{start},"durationSeconds":1.6"#);
        let outcome = done(&fixtures::get(name), format, &recipe);
        let first = f64::ceil(start) - start;
        let expected: Vec<_> = [first, first + 1.0].into_iter().filter(|at| *at < 1.6).collect();
        let what = format!("{name} in {format} from {start} s");
        same_times(&clicks_from_start(&outcome.path), &expected, 0.001, &what);
    }
}

#[test]
fn trap_13_two_halves_of_a_sine_join_without_a_step() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // Halves that are stream copies, or PCM, have no priming or padding of their own.
    for (name, half, format) in [
        ("sine.wav", "wav", "wav"),
        ("sine.wav", "wav", "m4a"),
        ("sine.wav", "wav", "webm"),
        ("sine.m4a", "m4a", "m4a"),
        ("sine.m4a", "m4a", "mp4"),
        ("sine.m4a", "m4a", "wav"),
        ("sine.wav", "flac", "flac"),
        ("sine.wav", "wav", "opus"),
        ("sine.wav", "wav", "ogg"),
        ("sine.wav", "wav", "mkv"),
    ] {
        let source = fixtures::get(name);
        let own = largest_step(&source);
        let halves = [0.0, 2.0].map(|start| {
            let recipe = format!(r#""trim","startSeconds":{start},"durationSeconds":2"#);
            done(&source, half, &recipe)
        });
        let inputs = halves.each_ref().map(|half| half.path.clone());
        let outcome = join(&inputs, format).unwrap();
        let rate = judge::audio_samples(&outcome.path).rate;
        let slope = 0.5 * std::f64::consts::TAU * 440.0 / f64::from(rate);
        let (largest, most) = (largest_step(&outcome.path), 1.05 * slope.max(own));
        assert!(largest <= most, "{name} as {half} in {format}: {largest}, not {most}");
    }
}

/// The largest step between two samples of a sine of four seconds, without its outer edges, which a
/// codec smears.
fn largest_step(path: &Path) -> f64 {
    let samples = judge::audio_samples(path);
    let (mono, rate) = (samples.mono(), samples.rate as usize);
    let inner = &mono[rate / 4..4 * rate - rate / 4];
    let steps = inner.windows(2).map(|pair| f64::from((pair[1] - pair[0]).abs()));
    steps.fold(0.0, f64::max)
}

#[test]
fn trap_14_each_channel_stays_where_it_was() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let check = |clip: &Path, format: &str, layout: &str, count: usize| {
        let outcome = done(clip, format, ENCODE_SOUND);
        let made = judge::probe(&outcome.path);
        let what = format!("{} in {format}", clip.display());
        // WAV does not store the layouts of mono and stereo.
        let is_plain = format == "wav" && count <= 2;
        assert_eq!(made.audio().layout, if is_plain { "" } else { layout }, "{what}");
        assert_eq!(made.audio().channels as usize, count, "{what}");
        outcome
    };
    let tones = |name: &str, format: &str, layout: &str, count: usize| {
        let outcome = check(&fixtures::get(name), format, layout, count);
        let expected: Vec<_> = TONES.into_iter().take(count).map(Some).collect();
        assert_eq!(judge::tones(&outcome.path), expected, "{name} in {format}");
    };
    for name in [
        "tones-51.wav",
        "tones-51.m4a",
        "tones-51-side.flac",
        "tones-51-side.ac3",
        "tones-51-side.eac3",
        "tones-51.opus",
        "tones-unknown.wav",
    ] {
        tones(name, "m4a", "5.1", 6);
    }
    for (name, layout) in [("tones-51-side.flac", "5.1(side)"), ("tones-unknown.wav", "5.1")] {
        tones(name, "webm", "5.1", 6);
        tones(name, "mp3", "stereo", 2);
        tones(name, "wav", layout, 6);
    }
    tones("tones-71.wav", "m4a", "7.1", 8);
    tones("tones-71.flac", "webm", "7.1", 8);
    tones("tones-71.flac", "wav", "7.1", 8);
    tones("tones-71.wav", "mp3", "stereo", 2);
    for format in ["m4a", "webm", "wav", "mp3"] {
        tones("tones-mono.wav", format, "mono", 1);
        tones("tones-stereo.wav", format, "stereo", 2);
    }
    if let Some(clip) = fixtures::media!("Vanilagy_mediabunny/test/public/eac3.mkv") {
        let source = judge::probe(&clip);
        let layout = source.audio().layout.replace("(side)", "");
        check(&clip, "mp4", &layout, source.audio().channels as usize);
        check(&clip, "mp3", "stereo", 2);
    }
}

#[test]
fn trap_14_a_downmix_has_the_levels_that_are_usual() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format, recipe) in [
        ("surround.mkv", "mp4", r#""webReady""#),
        ("surround.mkv", "mp4", r#""proxy""#),
        ("tones-51.wav", "mp3", r#""transcode""#),
        ("tones-51-side.flac", "mp3", r#""extractAudio""#),
    ] {
        // The last format demands its codec, so that FLAC is not copied.
        let outcome = done(&fixtures::get(name), format, recipe);
        let levels = judge::tone_levels(&outcome.path);
        assert_eq!(levels.len(), 2, "{name} by {recipe}");
        for (levels, tones) in levels.iter().zip([[300, 700, 900], [500, 700, 1100]]) {
            // By ITU-R BS.775, front channels keep their level, center and surround lose 3 dB, and
            // the LFE is dropped.
            for (tone, level) in TONES.into_iter().zip(levels) {
                let expected = match tones.iter().position(|one| *one == tone) {
                    Some(0) => 0.2,
                    Some(_) => 0.2 * std::f64::consts::FRAC_1_SQRT_2,
                    None => 0.0,
                };
                let what = format!("{name} by {recipe}: {tone} Hz is {level}, not {expected}");
                assert!((level - expected).abs() < 0.006, "{what}");
            }
        }
    }
}

/// Checks that the delay of clicks against flashes does not grow over a long file.
fn check_drift(outcome: &Outcome, what: &str) {
    let (flashes, offsets) = (judge::flashes(&outcome.path), judge::click_to_flash(&outcome.path));
    // There is one flash each 60.06 s.
    assert_eq!((flashes.len(), offsets.len()), (180, 180), "{what}");
    let last = offsets[179];
    assert!(last.abs() <= FRAME, "{what}: the last click is {last} s late");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (middle, usual) = (mean(&flashes), mean(&offsets));
    let pairs = || flashes.iter().zip(&offsets);
    let rise: f64 = pairs().map(|(time, offset)| (time - middle) * (offset - usual)).sum();
    let run: f64 = flashes.iter().map(|time| (time - middle).powi(2)).sum();
    let per_hour = rise / run * 3600.0;
    assert!(per_hour.abs() < 0.001, "{what}: the sound drifts by {per_hour} s each hour");
}

#[test]
fn trap_15_three_hours_end_in_sync() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let source = fixtures::get("three-hours.mkv");
    let all = [("mp4", COPY), ("mov", COPY), ("mp4", ENCODE), ("webm", ENCODE_WEBM)];
    let recipes = if fixtures::soak() { &all[..] } else { &all[..1] };
    for (format, recipe) in recipes {
        check_drift(&done(&source, format, recipe), &format!("{format} by {recipe}"));
    }
}

#[test]
fn trap_16_clocks_of_transport_streams_are_mended() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let twice = || counted((0..100).chain(0..100));
    // The name, the counters of the frames, and the seconds in which a click comes with a flash.
    let table = [
        ("counter-h264-aac.ts", counted(0..100), 0..4_u8),
        ("ts-wrap.ts", counted(0..100), 0..4),
        ("ts-jump-forward.ts", twice(), 0..8),
        ("ts-jump-back.ts", twice(), 0..8),
        ("late-audio.ts", counted(0..200), 5..8),
    ];
    for (name, counters, clicks) in fixtures::sample(table, 2) {
        let clicks: Vec<_> = clicks.map(f64::from).collect();
        let source = fixtures::get(name);
        let length = counters.len() as f64 * FRAME;
        for (format, recipe) in
            [("mp4", COPY), ("mp4", ENCODE), ("webm", ENCODE_WEBM), ("mp4", r#""webReady""#)]
        {
            if format == "webm" && name.contains("jump") {
                // These are the same packets, and encoding them for WebM takes long.
                continue;
            }
            let what = format!("{name} in {format} by {recipe}");
            let outcome = done(&source, format, recipe);
            assert_eq!(judge::counters(&outcome.path), counters, "{what}");
            let frames = judge::frames(&outcome.path);
            let expected: Vec<_> =
                (0..counters.len()).map(|number| frames[0].pts + number as f64 * FRAME).collect();
            let found: Vec<_> = frames.iter().map(|frame| frame.pts).collect();
            same_times(&found, &expected, 0.002, &what);
            assert!(frames[0].pts < FRAME, "{what} begins at {}", frames[0].pts);
            let found = judge::probe(&outcome.path).duration.unwrap();
            assert!((found - length).abs() < FRAME, "{what}: {found} s instead of {length}");
            in_sync(&outcome.path, clicks.len(), FRAME, &what);
            assert!(!warns(&outcome, "DURATION_DECLARED_WRONG"), "{what}");
        }
        let outcome = done(&source, "m4a", r#""extractAudio""#);
        // A transport stream can not signal priming, so the first click may be late.
        let found = from_first(&judge::clicks(&outcome.path));
        same_times(&found, &from_first(&clicks), FRAME, name);
    }
}

#[test]
fn trap_16_a_trim_finds_its_place_on_a_clock_that_jumps() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // The sound begins 21 ms before the first frame, and so does the time line.
    for (name, start, first) in [
        ("ts-wrap.ts", 0.5, 12),
        ("ts-wrap.ts", 2.5, 62),
        ("ts-jump-forward.ts", 2.5, 62),
        ("ts-jump-forward.ts", 5.5, 37),
        ("ts-jump-back.ts", 5.5, 37),
        ("late-audio.ts", 5.5, 138),
    ] {
        let recipe = format!(r#""trim","startSeconds":{start},"durationSeconds":1"#);
        let outcome = done(&fixtures::get(name), "mp4", &recipe);
        let what = format!("{name} from {start} s");
        assert_eq!(judge::counters(&outcome.path), counted(first..first + 25), "{what}");
        in_sync(&outcome.path, 1, FRAME, &what);
    }
}

#[test]
fn trap_16_thumbnails_are_taken_before_and_after_a_wrap() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // The sound begins slightly before the video.
    for (seconds, counter) in [(0.53, 12), (3.53, 87)] {
        let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
        let made = done(&fixtures::get("ts-wrap.ts"), "png", &recipe);
        assert_eq!(judge::counters(&made.path), [Some(counter)], "at {seconds} s");
    }
}

#[test]
fn trap_16_a_real_segment_comes_whole() {
    let Some(clip) = fixtures::media!("mozilla_gecko-dev/dom/media/test/hls/640x480_seg0.ts")
    else {
        return;
    };
    let before = source_frames(&clip);
    for recipe in [COPY, ENCODE] {
        let outcome = done(&clip, "mp4", recipe);
        let after = judge::frames(&outcome.path);
        assert_eq!(after.len(), before.len(), "{recipe}");
        let span = |frames: &[judge::FrameTime]| frames[frames.len() - 1].pts - frames[0].pts;
        assert!((span(&before) - span(&after)).abs() < 0.001, "{recipe}");
    }
}

/// An input of a join: its duration in seconds, and its flashes and clicks, one each second.
struct Piece {
    name: &'static str,
    seconds: u8,
    flashes: u8,
    clicks: u8,
}

const BOTH: Piece = Piece { name: "counter-h264-aac.mp4", seconds: 4, flashes: 4, clicks: 4 };
const VIDEO_ONLY: Piece = Piece { name: "video-only.mp4", seconds: 4, flashes: 4, clicks: 0 };
const AUDIO_ONLY: Piece = Piece { name: "audio-only.mp4", seconds: 4, flashes: 0, clicks: 4 };
const SHORT_AUDIO: Piece = Piece { name: "short-audio.mp4", seconds: 4, flashes: 4, clicks: 4 };
const LONG_AUDIO: Piece = Piece { name: "long-audio.mp4", seconds: 5, flashes: 4, clicks: 5 };

#[test]
fn trap_17_joins_stay_in_sync_whatever_an_input_lacks() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let table = [
        ("mp4", &[BOTH, VIDEO_ONLY, AUDIO_ONLY, SHORT_AUDIO][..]),
        ("mp4", &[AUDIO_ONLY, LONG_AUDIO, BOTH]),
        ("mov", &[VIDEO_ONLY, SHORT_AUDIO, VIDEO_ONLY]),
        ("mp4", &[BOTH, BOTH]),
        ("webm", &[SHORT_AUDIO, AUDIO_ONLY, BOTH]),
    ];
    for (format, pieces) in fixtures::sample(table, 2) {
        let names: Vec<_> = pieces.iter().map(|piece| piece.name).collect();
        let what = format!("{names:?} in {format}");
        let outcome = joined(&names, format);
        let (mut begin, mut flashes, mut clicks) = (0.0, Vec::new(), Vec::new());
        let mut silent = Vec::new();
        for piece in pieces {
            flashes.extend((0..piece.flashes).map(|second| begin + f64::from(second)));
            clicks.extend((0..piece.clicks).map(|second| begin + f64::from(second)));
            let end = begin + f64::from(piece.seconds);
            if piece.clicks == 0 {
                silent.push((begin + 0.05, end - 0.05));
            }
            begin = end;
        }
        same_times(&judge::flashes(&outcome.path), &flashes, 0.002, &what);
        same_times(&judge::clicks(&outcome.path), &clicks, FRAME, &what);
        let is_beside = |flash: &&f64| clicks.iter().any(|click| (click - *flash).abs() < FRAME);
        in_sync(&outcome.path, flashes.iter().filter(is_beside).count(), FRAME, &what);
        let length = judge::probe(&outcome.path).duration.unwrap();
        assert!((length - begin).abs() < FRAME, "{what}: {length} s instead of {begin}");
        let samples = judge::audio_samples(&outcome.path);
        assert_eq!(samples.runs.len(), 1, "{what}: holes in the sound at {:?}", samples.runs);
        for (index, sample) in samples.mono().into_iter().enumerate() {
            let time = samples.time(index);
            let is_silent = silent.iter().any(|(from, to)| (*from..*to).contains(&time));
            assert!(!is_silent || sample.abs() < 0.01, "{what}: {sample} at {time} s");
        }
    }
}

/// Padding at the end of sound is cut off, and a layout that changes is converted.
#[test]
fn trap_17_joins_are_as_long_as_what_is_heard() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["clicks.mp3", "vp9-opus.webm", "clicks.ogg", "clicks.wav"] {
        let outcome = joined(&[name, name], "wav");
        let length = |path: &Path| judge::audio_samples(path).mono().len();
        let once = length(&fixtures::get(name));
        // WebM rounds times to a millisecond.
        assert!(length(&outcome.path).abs_diff(2 * once) <= 100, "{name}");
    }
    // A raw stream without timestamps is as long as its frames.
    let outcome = joined(&["raw.h264", "raw.h264"], "mp4");
    let twice: Vec<_> = (0..100).chain(0..100).map(Some).collect();
    assert_eq!(judge::counters(&outcome.path), twice);
    let outcome = joined(&["counter-h264-aac.mp4", "ts-layout-change.ts"], "mp4");
    // The click at the change of layout is cut off by the end of the sound before it.
    in_sync(&outcome.path, 11, 0.001, "a layout that changes");
}

#[test]
fn trap_18_unlike_inputs_are_conformed_to_the_first() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let outcome = joined(&["unlike-720p30.mp4", "unlike-portrait.mp4", "unlike-576i.mkv"], "mp4");
    assert_eq!(outcome.report.strategy, Strategy::Encode);
    let made = judge::probe(&outcome.path);
    assert_eq!((made.video().width, made.video().height, made.video().rotation), (1280, 720, 0));
    assert_eq!((made.audio().sample_rate, made.audio().channels), (44_100, 1));
    let frames = judge::frames(&outcome.path);
    let times = |begin: f64, rate: f64, count: u8| {
        (0..count).map(move |number| begin + f64::from(number) / rate)
    };
    let expected: Vec<_> =
        times(0.0, 30.0, 60).chain(times(2.0, 60.0, 120)).chain(times(4.0, 25.0, 50)).collect();
    let found: Vec<_> = frames.iter().map(|frame| frame.pts).collect();
    same_times(&found, &expected, 0.001, "frames");
    assert!(frames.iter().all(|frame| !frame.interlaced));
    for stream in ["v:0", "a:0"] {
        let packets = judge::packets(&outcome.path, stream);
        let is_rising = packets.windows(2).all(|pair| pair[0].dts < pair[1].dts);
        assert!(is_rising && packets.iter().all(|packet| packet.dts <= packet.pts), "{stream}");
    }
    let length = made.duration.unwrap();
    assert!((length - 6.0).abs() < FRAME, "{length} s");
    assert_eq!(judge::counters(&outcome.path)[..60], counted(0..60));
    // Each input is upright in its own shape, centered, and flashes where it begins.
    for (start, shape) in [(0.0, ""), (2.0, "crop=404:720:438:0"), (4.0, "crop=900:720:190:0")] {
        let seen = |seconds: f64| judge::rgb(&outcome.path, start + seconds, shape);
        assert_eq!(seen(0.5).corners(), judge::UPRIGHT, "from {start} s");
        let flash = |seconds: f64| seen(seconds).cell((7, 16), (1, 9))[0] > 200.0;
        assert!(flash(0.0) && flash(1.0), "no flash from {start} s");
        assert!(!seen(0.5).cell((7, 16), (1, 9)).iter().all(|value| *value > 240.0));
    }
    same_times(&judge::clicks(&outcome.path), &[0.0, 1.0, 2.0, 3.0], FRAME, "clicks");
    let samples = judge::audio_samples(&outcome.path);
    let end = samples.mono().into_iter().skip(4 * 44_100 + 2205);
    assert!(end.into_iter().all(|sample| sample.abs() < 0.01), "the last input has no sound");
}
