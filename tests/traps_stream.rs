//! The traps of streams that shared/spec/traps.md lists, rows 13 to 24: sound, clocks, joins, tracks
//! beside the first two, fields, damage, open groups of pictures.

use std::path::Path;

use avocet::engine::Strategy;
use fixtures::{TONES, judge};

use crate::support::{Outcome, document, join, plan, run, run_document, soak, source_frames};

/// Copies what the format holds.
const COPY: &str = r#""transcode""#;

/// Encodes all with x264, fast.
const ENCODE: &str = r#""transcode","reencode":true,"preset":"ultrafast""#;

/// Encodes sound anew.
const ENCODE_SOUND: &str = r#""transcode","reencode":true"#;

/// Encodes all into WebM, fast.
const ENCODE_WEBM: &str = r#""transcode","reencode":true,"preset":8"#;

/// One picture at 25 frames per second, in seconds.
const FRAME: f64 = 0.04;

/// Runs a job that has to succeed.
fn done(input: &Path, format: &str, recipe: &str) -> Outcome {
    run(input, format, recipe)
        .unwrap_or_else(|error| panic!("{} in {format} by {recipe}: {error}", input.display()))
}

/// Joins fixtures, which has to succeed.
fn joined(names: &[&str], format: &str) -> Outcome {
    let inputs: Vec<_> = names.iter().map(|name| fixtures::get(name)).collect();
    join(&inputs, format).unwrap_or_else(|error| panic!("{names:?} in {format}: {error}"))
}

/// Fails unless instants are the expected ones, each within `limit` seconds.
fn same_times(found: &[f64], expected: &[f64], limit: f64, what: &str) {
    let is_near = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < limit);
    assert!(is_near, "{what}: at {found:?} instead of {expected:?}");
}

/// Fails unless each of `count` clicks comes within `limit` seconds of its flash.
fn in_sync(path: &Path, count: usize, limit: f64, what: &str) {
    same_times(&judge::click_to_flash(path), &vec![0.0; count], limit, what);
}

/// When the sound clicks, in seconds from its start: ffmpeg counts the delay of MP3 as time.
fn clicks_from_start(path: &Path) -> Vec<f64> {
    let is_mp3 = path.extension().is_some_and(|extension| extension == "mp3");
    let start = if is_mp3 { judge::audio_samples(path).time(0) } else { 0.0 };
    judge::clicks(path).into_iter().map(|click| click - start).collect()
}

/// Times counted from the first of them.
fn from_first(times: &[f64]) -> Vec<f64> {
    times.iter().map(|time| time - times[0]).collect()
}

/// Counters of consecutive frames.
fn counted(frames: impl IntoIterator<Item = u16>) -> Vec<Option<u16>> {
    frames.into_iter().map(Some).collect()
}

/// How long the sound of a file is, in seconds.
fn seconds_of_sound(path: &Path) -> f64 {
    let samples = judge::audio_samples(path);
    samples.mono().len() as f64 / f64::from(samples.rate)
}

/// Whether a report warns of `code`.
fn warns(outcome: &Outcome, code: &str) -> bool {
    outcome.report.warnings.iter().any(|warning| warning.code == code)
}

#[test]
fn trap_13_aac_priming_and_padding_do_not_grow_with_generations() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format, recipe) in [
        ("clicks.wav", "m4a", ENCODE_SOUND),
        ("clicks-44100.wav", "mp4", ENCODE_SOUND),
        ("clicks.m4a", "mov", COPY),
        ("clicks.m4a", "m4a", r#""extractAudio""#),
        ("clicks.wav", "webm", ENCODE_SOUND),
        ("clicks.opus", "webm", COPY),
        ("clicks.mp3", "mp3", ENCODE_SOUND),
    ] {
        let mut generations = vec![done(&fixtures::get(name), format, recipe)];
        while generations.len() < 5 {
            let last = generations[generations.len() - 1].path.clone();
            generations.push(done(&last, format, recipe));
        }
        let length = seconds_of_sound(&generations[0].path);
        assert!((length - 4.0).abs() < 0.025, "{name} in {format}: {length} s");
        for (number, made) in [1, 2, 5].map(|number| (number, &generations[number - 1])) {
            let what = format!("{name} in {format} by {recipe}, generation {number}");
            same_times(&clicks_from_start(&made.path), &[0.0, 1.0, 2.0, 3.0], 0.001, &what);
            let length_now = seconds_of_sound(&made.path);
            assert!((length_now - length).abs() < 0.001, "{what}: {length} became {length_now} s");
            if matches!(format, "m4a" | "mp4" | "mov") {
                let first = judge::packets(&made.path, "a:0")[0].pts;
                assert!(first < Some(0.0), "{what}: no priming before zero, but {first:?}");
                let bytes = std::fs::read(&made.path).unwrap();
                assert!(bytes.windows(4).any(|kind| kind == b"elst"), "{what}: no edit list");
            }
        }
    }
}

#[test]
fn trap_13_sound_stays_with_the_picture_through_generations() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format, recipe) in [
        ("counter-h264-aac.mp4", "mp4", COPY),
        ("counter-h264-aac.mp4", "mp4", ENCODE),
        ("counter-h264-aac.mp4", "mp4", r#""proxy""#),
        ("counter-h264-aac.ts", "mp4", r#""webReady""#),
        ("vp9-opus.webm", "webm", COPY),
        ("vp9-opus.mkv", "webm", COPY),
        ("vp9-opus.webm", "mp4", ENCODE),
        ("vp9-opus.webm", "webm", ENCODE_WEBM),
    ] {
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
        ("clicks.wav", "m4a", 0.51),
        ("clicks.wav", "wav", 0.51),
        ("clicks.mp3", "mp3", 0.51),
        ("clicks.opus", "webm", 0.51),
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
    // Halves that are cut out of coded sound, or are not coded at all, have no edges of their own.
    for (name, half, format) in [
        ("sine.wav", "wav", "wav"),
        ("sine.wav", "wav", "m4a"),
        ("sine.wav", "wav", "webm"),
        ("sine.m4a", "m4a", "m4a"),
        ("sine.m4a", "m4a", "mp4"),
        ("sine.m4a", "m4a", "wav"),
    ] {
        let source = fixtures::get(name);
        let halves = [0.0, 2.0].map(|start| {
            let recipe = format!(r#""trim","startSeconds":{start},"durationSeconds":2"#);
            done(&source, half, &recipe)
        });
        let inputs = halves.each_ref().map(|half| half.path.clone());
        let outcome = join(&inputs, format).unwrap();
        let samples = judge::audio_samples(&outcome.path);
        let (mono, rate) = (samples.mono(), samples.rate as usize);
        let slope = 0.5 * std::f64::consts::TAU * 440.0 / f64::from(samples.rate);
        // At its outer edges the sine begins and ends, which a codec smears.
        let inner = &mono[rate / 4..4 * rate - rate / 4];
        let steps = inner.windows(2).map(|pair| f64::from((pair[1] - pair[0]).abs()));
        let largest = steps.fold(0.0, f64::max);
        assert!(largest <= 1.05 * slope, "{name} as {half} in {format}: {largest}, not {slope}");
    }
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
        // WAV does not name what everybody knows.
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
        tones(name, "webm", "5.1", 6);
        tones(name, "mp3", "stereo", 2);
    }
    tones("tones-51-side.flac", "wav", "5.1(side)", 6);
    tones("tones-unknown.wav", "wav", "5.1", 6);
    for name in ["tones-71.wav", "tones-71.flac"] {
        tones(name, "m4a", "5.1", 6);
        tones(name, "webm", "7.1", 8);
        tones(name, "wav", "7.1", 8);
        tones(name, "mp3", "stereo", 2);
    }
    for format in ["m4a", "webm", "wav", "mp3", "aac"] {
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
        // The last demands an extension, so that FLAC does not stay what it is.
        let outcome = done(&fixtures::get(name), format, recipe);
        let levels = judge::tone_levels(&outcome.path);
        assert_eq!(levels.len(), 2, "{name} by {recipe}");
        for (levels, tones) in levels.iter().zip([[300, 700, 900], [500, 700, 1100]]) {
            // ITU-R BS.775: the front as it is, center and surround 3 dB less, the rest not at all.
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

/// How late each click of a long file is, with the time of its flash, both in seconds.
fn check_drift(outcome: &Outcome, what: &str) {
    let (flashes, offsets) = (judge::flashes(&outcome.path), judge::click_to_flash(&outcome.path));
    // One flash each 60.06 s.
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
    let recipes: &[(&str, &str)] = match soak() {
        true => &[("mp4", COPY), ("mov", COPY), ("mp4", ENCODE), ("webm", ENCODE_WEBM)],
        false => &[("mp4", COPY)],
    };
    for (format, recipe) in recipes {
        check_drift(&done(&source, format, recipe), &format!("{format} by {recipe}"));
    }
}

/// Transport streams: the name, the counters of their frames, and when they click beside a flash.
fn transport_streams() -> Vec<(&'static str, Vec<Option<u16>>, Vec<f64>)> {
    let seconds = |from: u8, to: u8| (from..to).map(f64::from).collect();
    let twice = || counted((0..100).chain(0..100));
    vec![
        ("counter-h264-aac.ts", counted(0..100), seconds(0, 4)),
        ("ts-wrap.ts", counted(0..100), seconds(0, 4)),
        ("ts-jump-forward.ts", twice(), seconds(0, 8)),
        ("ts-jump-back.ts", twice(), seconds(0, 8)),
        ("late-audio.ts", counted(0..200), seconds(5, 8)),
    ]
}

#[test]
fn trap_16_clocks_of_transport_streams_are_mended() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, counters, clicks) in transport_streams() {
        let source = fixtures::get(name);
        let length = counters.len() as f64 * FRAME;
        for (format, recipe) in [
            ("mp4", COPY),
            ("mov", COPY),
            ("mp4", ENCODE),
            ("webm", ENCODE_WEBM),
            ("mp4", r#""webReady""#),
            ("mp4", r#""proxy""#),
        ] {
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
        // A transport stream can not hide priming, so the first click may be late.
        let found = from_first(&judge::clicks(&outcome.path));
        same_times(&found, &from_first(&clicks), FRAME, name);
    }
}

#[test]
fn trap_16_a_trim_finds_its_place_on_a_clock_that_jumps() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // The sound begins 21 ms before the first picture, and the media with it.
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

/// What is joined: its length, and when it flashes and clicks, in whole seconds.
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
    for (format, pieces) in [
        ("mp4", &[BOTH, VIDEO_ONLY, AUDIO_ONLY, SHORT_AUDIO][..]),
        ("mp4", &[AUDIO_ONLY, LONG_AUDIO, BOTH]),
        ("mov", &[VIDEO_ONLY, SHORT_AUDIO, VIDEO_ONLY]),
        ("mp4", &[BOTH, BOTH]),
        ("webm", &[SHORT_AUDIO, AUDIO_ONLY, BOTH]),
    ] {
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
        let is_beside = |flash: &&f64| clicks.iter().any(|click| click == *flash);
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
    // Each stands upright in its own shape, in the middle, and flashes where it begins.
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

/// The size of the cover in a file, if there is one.
fn cover(path: &Path) -> Option<(u32, u32)> {
    let probe = judge::probe(path);
    let mut pictures = probe.of_kind("video").filter(|stream| stream.is("attached_pic"));
    pictures.next().map(|cover| (cover.width, cover.height))
}

#[test]
fn trap_19_a_cover_is_no_video_and_stays_with_the_sound() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in [
        "cover-first.mp4",
        "cover-last.mp4",
        "cover-first.m4a",
        "cover-last.m4a",
        "cover.mp3",
        "cover.flac",
        "cover.ogg",
        "cover.mkv",
        "still-first.mkv",
    ] {
        let source = fixtures::get(name);
        let art = cover(&source);
        assert_eq!(art.is_none(), name == "still-first.mkv", "{name}");
        let start = judge::audio_samples(&source).time(0);
        let clicks: Vec<_> =
            judge::clicks(&source).into_iter().map(|click| click - start).collect();
        for (format, extension) in [("mp3", "mp3"), ("m4a", "m4a"), ("mp3", "flac")] {
            if extension == "flac" && name != "cover.flac" {
                continue;
            }
            let outcome = run_document(&document(&source, format, r#""extractAudio""#), extension)
                .unwrap_or_else(|error| panic!("{name} as {extension}: {error}"));
            let what = format!("{name} as {extension}");
            same_times(&clicks_from_start(&outcome.path), &clicks, 0.001, &what);
            assert_eq!(cover(&outcome.path), art, "{what}");
        }
        let has_video = judge::probe(&source).of_kind("video").any(|one| !one.is("attached_pic"));
        for (format, recipe) in [
            ("mp4", r#""webReady""#),
            ("mp4", r#""proxy""#),
            ("mp4", COPY),
            ("mp4", ENCODE),
            ("mp4", r#""trim","startSeconds":0.51"#),
            ("png", r#""thumbnail""#),
        ] {
            let what = format!("{name} in {format} by {recipe}");
            let needs_video = !recipe.contains("trans") && !recipe.contains("trim");
            let outcome = match run(&source, format, recipe) {
                Err(error) if needs_video && !has_video => {
                    assert_eq!(error.code(), "INPUT_INVALID", "{what}");
                    continue;
                }
                result => result.unwrap_or_else(|error| panic!("{what}: {error}")),
            };
            let made = judge::probe(&outcome.path);
            if !has_video {
                assert_eq!(made.of_kind("video").count(), 0, "{what}");
                continue;
            }
            let counters = judge::counters(&outcome.path);
            let expected = match format {
                "png" => counted(0..1),
                _ if recipe.contains("trim") => counted(13..100),
                _ => counted(0..100),
            };
            assert_eq!(counters, expected, "{what}");
        }
    }
}

#[test]
fn trap_19_real_covers_stay_with_the_sound() {
    let clips = ["androidx_media/flac/bear_with_picture.flac", "androidx_media/mp3/bear-id3.mp3"];
    for clip in clips {
        let Some(clip) = fixtures::media!(clip) else { return };
        for format in ["mp3", "m4a"] {
            let outcome = done(&clip, format, r#""extractAudio""#);
            let what = format!("{} in {format}", clip.display());
            assert_eq!(cover(&outcome.path).is_some(), cover(&clip).is_some(), "{what}");
            assert!(seconds_of_sound(&outcome.path) > 2.0, "{what}");
        }
    }
}

#[test]
fn trap_20_data_tracks_are_dropped_with_a_reason() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["timecode.mov", "unknown-data.mov"] {
        let source = fixtures::get(name);
        for (format, recipe) in [
            ("mp4", COPY),
            ("mov", COPY),
            ("mp4", ENCODE),
            ("mov", ENCODE),
            ("mp4", r#""webReady""#),
            ("mp4", r#""proxy""#),
            ("mov", r#""trim","startSeconds":2,"durationSeconds":1"#),
            ("mov", r#""trim","startSeconds":0.52,"durationSeconds":1"#),
            ("m4a", r#""extractAudio""#),
            ("png", r#""thumbnail""#),
        ] {
            let what = format!("{name} in {format} by {recipe}");
            let outcome = done(&source, format, recipe);
            let first = if recipe.contains("0.52") { 13 } else { 50 };
            let expected = match format {
                "m4a" => Vec::new(),
                "png" => counted(0..1),
                _ if recipe.contains("trim") => counted(first..first + 25),
                _ => counted(0..100),
            };
            if format == "m4a" {
                let clicks = judge::clicks(&outcome.path);
                same_times(&clicks, &[0.0, 1.0, 2.0, 3.0], 0.001, &what);
            } else {
                assert_eq!(judge::counters(&outcome.path), expected, "{what}");
            }
            let dropped = plan(&source, format, recipe).unwrap().dropped;
            let data: Vec<_> = dropped.iter().filter(|stream| stream.kind == "data").collect();
            assert!(
                matches!(&data[..], [data] if data.because.code == "DATA_STREAM"),
                "{what}: {dropped:?}"
            );
        }
    }
    let outcome = joined(&["timecode.mov", "unknown-data.mov"], "mov");
    assert_eq!(judge::counters(&outcome.path), counted((0..100).chain(0..100)));
    in_sync(&outcome.path, 8, FRAME, "joined");
}

#[test]
fn trap_21_text_is_kept_on_request_and_bitmaps_are_dropped() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in
        ["subtitles-srt.mkv", "subtitles-ass.mkv", "subtitles-text.mp4", "subtitles-vtt.webm"]
    {
        let source = fixtures::get(name);
        let start = judge::probe(&source).start.unwrap().max(0.0);
        let said = judge::lines(&source, "s:0");
        let texts: Vec<_> = said.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["zero", "one", "two"], "{name}");
        for (format, recipe, from) in [
            ("mp4", COPY, 0.0),
            ("mov", COPY, 0.0),
            ("mp4", ENCODE, 0.0),
            ("webm", r#""transcode","preset":8"#, 0.0),
            ("mp4", r#""webReady""#, 0.0),
            ("mp4", r#""trim","startSeconds":1.75,"durationSeconds":1.75"#, 1.75),
            ("mov", r#""trim","startSeconds":2,"durationSeconds":1.5"#, 2.0),
        ] {
            let what = format!("{name} in {format} by {recipe}");
            let outcome = done(&source, format, &format!(r#"{recipe},"tracks":"all""#));
            let made = judge::probe(&outcome.path);
            let text = made.of_kind("subtitle").next();
            let text = text.unwrap_or_else(|| panic!("{what}: no subtitles"));
            let codec = if format == "webm" { "webvtt" } else { "mov_text" };
            assert_eq!(text.codec, codec, "{what}");
            let found = judge::lines(&outcome.path, "s:0");
            let is_said = |line: &&judge::Line| line.end - start > from;
            let expected: Vec<_> = said.iter().filter(is_said).collect();
            assert_eq!(found.len(), expected.len(), "{what}: {found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!(found.text, expected.text, "{what}");
                let times =
                    [expected.start, expected.end].map(|time| (time - start - from).max(0.0));
                same_times(&[found.start, found.end], &times, 0.002, &what);
            }
        }
    }
}

#[test]
fn trap_21_subtitles_that_are_left_out_have_a_reason() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, recipe, code) in [
        ("subtitles-pgs.mkv", r#""transcode","tracks":"all""#, "SUBTITLE_BITMAP"),
        ("subtitles-pgs.mkv", COPY, "SUBTITLES_NOT_ASKED_FOR"),
        ("subtitles-srt.mkv", COPY, "SUBTITLES_NOT_ASKED_FOR"),
        ("subtitles-ass.mkv", COPY, "SUBTITLES_NOT_ASKED_FOR"),
        ("subtitles-text.mp4", r#""proxy""#, "SUBTITLES_NOT_ASKED_FOR"),
        ("subtitles-srt.mkv", r#""trim","startSeconds":1"#, "SUBTITLES_NOT_ASKED_FOR"),
    ] {
        let source = fixtures::get(name);
        let what = format!("{name} by {recipe}");
        let outcome = done(&source, "mp4", recipe);
        assert_eq!(judge::probe(&outcome.path).of_kind("subtitle").count(), 0, "{what}");
        let dropped = plan(&source, "mp4", recipe).unwrap().dropped;
        let reasons: Vec<_> = dropped.iter().map(|stream| stream.because.code.as_str()).collect();
        assert_eq!(reasons, [code], "{what}");
    }
    let Some(clip) = fixtures::media!("androidx_media/mkv/sample_with_srt.mkv") else { return };
    let before = judge::lines(&clip, "s:0");
    let outcome = done(&clip, "mp4", r#""transcode","tracks":"all""#);
    let after = judge::lines(&outcome.path, "s:0");
    let texts =
        |lines: &[judge::Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&after), texts(&before));
}

/// Where the moving bar of the interlaced fixtures is seen in the even and in the odd lines: the
/// middle of what is white, in pixels.
fn bar(picture: &judge::Picture) -> [f64; 2] {
    [0, 1].map(|parity| {
        let lines = (400..540).filter(|y| y % 2 == parity);
        let points = lines.flat_map(|y| (100..620).map(move |x| (x, y)));
        let white: Vec<_> =
            points.filter(|(x, y)| picture.pixel(*x, *y)[1] > 190).map(|(x, _)| x as f64).collect();
        white.iter().sum::<f64>() / white.len() as f64
    })
}

#[test]
fn trap_22_a_frame_becomes_the_picture_of_its_first_field() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["mpeg2-tff.ts", "mpeg2-bff.ts", "h264-tff.mp4"] {
        let source = fixtures::get(name);
        let start = source_frames(&source)[0].pts;
        for (format, recipe) in [
            ("mp4", ENCODE),
            ("mp4", r#""webReady""#),
            ("mp4", r#""proxy""#),
            ("png", r#""thumbnail","seekSeconds":0.82"#),
            ("png", r#""thumbnail","seekSeconds":1.22"#),
        ] {
            let what = format!("{name} in {format} by {recipe}");
            let outcome = done(&source, format, recipe);
            let frames = judge::frames(&outcome.path);
            let numbers: &[u16] = if format == "png" { &[0] } else { &[12, 20, 30] };
            assert!(format == "png" || frames.len() == 100, "{what}: {} frames", frames.len());
            for number in numbers {
                let frame = &frames[usize::from(*number)];
                assert!(!frame.interlaced, "{what}");
                let picture = judge::rgb(&outcome.path, frame.pts, "");
                let number = match (format, recipe.contains("0.8")) {
                    ("png", true) => 20,
                    ("png", false) => 30,
                    _ => *number,
                };
                // It moves on by 8 pixels a field, so the other field would be told.
                let time = start + f64::from(number) * FRAME;
                let [top, bottom] = bar(&judge::rgb(&source, time, ""));
                assert!((top - bottom).abs() > 6.0, "{what}: fields at {top} and {bottom}");
                let expected = if name.contains("bff") { bottom } else { top };
                let [even, odd] = bar(&picture);
                assert!(
                    (even - expected).abs() < 2.0 && (odd - expected).abs() < 2.0,
                    "{what}, frame {number}: at {even} and {odd} instead of {expected}"
                );
            }
        }
    }
}

#[test]
fn trap_22_only_what_is_flagged_is_deinterlaced() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // Fields that nobody tells of stay as they are.
    let outcome = done(&fixtures::get("h264-unflagged.mp4"), "mp4", ENCODE);
    let [even, odd] = bar(&judge::rgb(&outcome.path, 0.8, ""));
    assert!((odd - even - 8.0).abs() < 2.0, "at {even} and {odd}");
    // Flags that are wrong cost no frame and no counter.
    let misflagged = fixtures::get("h264-misflagged.mp4");
    for (format, recipe) in
        [("mp4", ENCODE), ("mp4", r#""webReady""#), ("mov", r#""trim","startSeconds":0.02"#)]
    {
        let outcome = done(&misflagged, format, recipe);
        let first = u16::from(recipe.contains("trim"));
        assert_eq!(judge::counters(&outcome.path), counted(first..100), "{recipe}");
        in_sync(&outcome.path, 4 - usize::from(first), 0.001, recipe);
    }
    // A copy keeps fields and flags.
    for name in ["h264-tff.mp4", "h264-misflagged.mp4"] {
        let source = fixtures::get(name);
        let outcome = done(&source, "mov", COPY);
        assert_eq!(
            judge::packet_hashes(&outcome.path, "v:0"),
            judge::packet_hashes(&source, "v:0")
        );
        assert!(judge::frames(&outcome.path).iter().all(|frame| frame.interlaced), "{name}");
    }
}

#[test]
fn trap_22_field_pairs_of_real_clips_give_thumbnails() {
    for name in ["interlaced_crop.mp4", "sample-in-issue-505.mp4"] {
        let Some(clip) = fixtures::media!(&format!("luke-cha_fate-suite/video/h264/{name}")) else {
            return;
        };
        let frames = source_frames(&clip);
        let last = frames[frames.len() - 1].pts - frames[0].pts;
        for (part, accuracy) in
            [0.0, 0.5, 0.999].into_iter().flat_map(|part| [(part, "exact"), (part, "keyframe")])
        {
            let seconds = last * part;
            let outcome = done(
                &clip,
                "png",
                &format!(r#""thumbnail","seekSeconds":{seconds},"accuracy":"{accuracy}""#),
            );
            assert!(!judge::frames(&outcome.path)[0].interlaced, "{name} at {seconds} s");
        }
        let outcome = done(&clip, "mp4", ENCODE);
        let made = judge::frames(&outcome.path);
        assert_eq!(made.len(), frames.len(), "{name}");
        assert!(made.iter().all(|frame| !frame.interlaced), "{name}");
    }
}

/// Seconds that a warning of `code` says are lost; `None` without such a warning.
fn seconds_lost(outcome: &Outcome, code: &str) -> Option<f64> {
    let warning = outcome.report.warnings.iter().find(|warning| warning.code == code)?;
    let words: Vec<_> = warning.message.split_whitespace().collect();
    let at = words.windows(3).position(|words| words == ["s", "are", "lost"])?;
    words[at - 1].parse().ok()
}

/// Ways to work on a whole input, all of which must meet the damage.
const WHOLE: [(&str, &str); 6] = [
    ("mp4", COPY),
    ("mov", COPY),
    ("mp4", ENCODE),
    ("mp4", r#""webReady""#),
    ("mp4", r#""proxy""#),
    ("mp4", r#""trim","startSeconds":0.5"#),
];

#[test]
fn trap_23_what_a_sample_table_promises_and_is_not_there_is_an_error_or_a_warning() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["truncated.mp4", "truncated-25.mp4"] {
        let source = fixtures::get(name);
        for (format, recipe) in WHOLE {
            let what = format!("{name} in {format} by {recipe}");
            let error = run(&source, format, recipe).err();
            let error = error.unwrap_or_else(|| panic!("{what} is done"));
            assert_eq!(error.code(), "INPUT_INVALID", "{what}: {error}");
            let outcome = done(&source, format, &format!(r#"{recipe},"lenient":true"#));
            let skipped = if recipe.contains("trim") { 13 } else { 0 };
            let frames = judge::counters(&outcome.path).len() + skipped;
            let lost = seconds_lost(&outcome, "INPUT_SHORT");
            let lost = lost.unwrap_or_else(|| panic!("{what}: {:?}", outcome.report.warnings));
            // Some of the last frames may lack what they refer to.
            let expected = 4.0 - frames as f64 * FRAME;
            assert!((lost - expected).abs() < 0.2, "{what}: {lost} s instead of {expected}");
        }
    }
    for lenient in ["", r#","lenient":true"#] {
        for (format, recipe) in WHOLE {
            let recipe = format!("{recipe}{lenient}");
            let source = fixtures::get("truncated-no-moov.mp4");
            let error = run(&source, format, &recipe).err().expect("nothing says what is there");
            assert_eq!(error.code(), "INPUT_INVALID", "{recipe}: {error}");
        }
    }
}

#[test]
fn trap_23_a_container_without_table_that_ends_early_is_a_warning() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (format, recipe) in WHOLE {
        let what = format!("truncated.mkv in {format} by {recipe}");
        let outcome = done(&fixtures::get("truncated.mkv"), format, recipe);
        assert!(warns(&outcome, "DURATION_DECLARED_WRONG"), "{what}");
        // What is there comes whole: the first 59 frames of 100.
        let first = if recipe.contains("trim") { 12 } else { 0 };
        assert_eq!(judge::counters(&outcome.path), counted(first..59), "{what}");
    }
    for (format, recipe) in WHOLE {
        let outcome = done(&fixtures::get("truncated.ts"), format, recipe);
        let counters = judge::counters(&outcome.path);
        let skipped = if recipe.contains("trim") { 12 } else { 0 };
        assert_eq!(counters.len() + skipped, 60, "truncated.ts in {format} by {recipe}");
    }
}

#[test]
fn trap_23_a_header_that_promises_too_much_is_a_warning() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (format, recipe) in WHOLE {
        let what = format!("long-header.mp4 in {format} by {recipe}");
        let outcome = done(&fixtures::get("long-header.mp4"), format, recipe);
        assert!(warns(&outcome, "DURATION_DECLARED_WRONG"), "{what}");
        let first = if recipe.contains("trim") { 13 } else { 0 };
        assert_eq!(judge::counters(&outcome.path), counted(first..100), "{what}");
    }
    for format in ["wav", "m4a", "mp3"] {
        let outcome = done(&fixtures::get("long-header.wav"), format, COPY);
        let clicks = clicks_from_start(&outcome.path);
        same_times(&clicks, &[0.0, 1.0, 2.0, 3.0], 0.001, format);
    }
}

#[test]
fn trap_23_flipped_bytes_are_told_by_whoever_decodes() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (format, recipe) in
        [("mp4", ENCODE), ("mp4", r#""webReady","crf":30"#), ("mp4", r#""proxy""#)]
    {
        for lenient in ["", r#","lenient":true"#] {
            let recipe = format!("{recipe}{lenient}");
            let outcome = done(&fixtures::get("flipped.mp4"), format, &recipe);
            assert!(warns(&outcome, "FRAMES_CONCEALED"), "{recipe}");
            assert_eq!(judge::frames(&outcome.path).len(), 100, "{recipe}");
        }
        // A fifth of four seconds and what refers to it is more than may be lost.
        let source = fixtures::get("flipped-av1.mp4");
        let error = run(&source, format, recipe).err().expect("too much is lost");
        assert_eq!(error.code(), "INPUT_INVALID", "{recipe}: {error}");
        let outcome = done(&source, format, &format!(r#"{recipe},"lenient":true"#));
        let shown = judge::frames(&outcome.path).len() as f64 * FRAME;
        let lost = seconds_lost(&outcome, "INPUT_SHORT").unwrap();
        assert!((lost - (4.0 - shown)).abs() < 0.2, "{recipe}: {lost} s lost, {shown} s shown");
    }
}

/// Clips whose groups of pictures are open, hidden or endless.
const GROUPS: [&str; 4] =
    ["h264-open-gop.mp4", "hevc-open-gop.mp4", "vp9-opus.webm", "h264-intra-refresh.mp4"];

#[test]
fn trap_24_thumbnails_are_right_from_the_first_frame_to_beyond_the_last() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in GROUPS {
        let source = fixtures::get(name);
        let frames = source_frames(&source);
        for (seconds, expected) in [(0.0, 0), (2.0, 50), (3.996, 99), (10.0, 99)] {
            let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
            let outcome = done(&source, "png", &recipe);
            let what = format!("{name} at {seconds} s");
            assert_eq!(judge::counters(&outcome.path), [Some(expected)], "{what}");
            assert_eq!(warns(&outcome, "SEEK_PAST_END"), seconds > 4.0, "{what}");
            let outcome = done(&source, "png", &format!(r#"{recipe},"accuracy":"keyframe""#));
            let keyframe = frames[..=usize::from(expected)].iter().rposition(|frame| frame.key);
            let keyframe = keyframe.map(|number| number as u16);
            assert_eq!(judge::counters(&outcome.path), [keyframe], "{what}, keyframe");
        }
    }
}

#[test]
fn trap_24_a_cut_never_begins_with_frames_that_refer_to_what_is_gone() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in GROUPS {
        let source = fixtures::get(name);
        let format = if name.contains("webm") { "webm" } else { "mp4" };
        // At keyframes (27 frames apart, 25 or 50), between them, and in the last group.
        for start in [27_u16, 25, 50, 40, 88] {
            let count = (100 - start).min(25);
            let seconds = f64::from(start) * FRAME;
            let rest = if start == 88 { "" } else { r#","durationSeconds":1"# };
            let recipe = format!(r#""trim","startSeconds":{seconds}{rest}"#);
            let what = format!("{name} by {recipe}");
            let outcome = done(&source, format, &recipe);
            assert_eq!(judge::counters(&outcome.path), counted(start..start + count), "{what}");
            assert_eq!(judge::decode_errors(&outcome.path), Vec::<String>::new(), "{what}");
            let outcome = done(&source, format, &format!(r#"{recipe},"accuracy":"keyframe""#));
            let counters = judge::counters(&outcome.path);
            let first = counters[0].unwrap_or_else(|| panic!("{what}: {counters:?}"));
            assert!(first <= start, "{what}: {counters:?}");
            let end = first + counters.len() as u16;
            assert_eq!(counters, counted(first..end), "{what}");
            assert!(end >= start + count, "{what}: {counters:?}");
            assert_eq!(judge::decode_errors(&outcome.path), Vec::<String>::new(), "{what}");
        }
    }
}

#[test]
fn trap_24_open_groups_join_and_copy_whole() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in GROUPS {
        let format = if name.contains("webm") { "webm" } else { "mp4" };
        let copy = done(&fixtures::get(name), format, COPY);
        assert_eq!(judge::counters(&copy.path), counted(0..100), "{name}");
        let outcome = joined(&[name, name], format);
        assert_eq!(judge::counters(&outcome.path), counted((0..100).chain(0..100)), "{name}");
        assert_eq!(judge::decode_errors(&outcome.path), Vec::<String>::new(), "{name}");
    }
}
