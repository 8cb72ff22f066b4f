//! Cases of clocks that start again, of joined files, and of uneven times.

use std::path::Path;

use avocet::engine::Strategy;
use fixtures::judge;

use crate::support::{join, run};
use crate::traps_stream::{
    COPY, ENCODE, FRAME, counted, done, same_times, seconds_of_sound, warns,
};

#[test]
fn packets_that_are_torn_are_left_out_and_told() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, whole, format) in [
        ("torn-72.mp4", "parts.mp4", "mp4"),
        ("torn-80.mp4", "parts.mp4", "mp4"),
        ("torn-90.mp4", "parts.mp4", "mp4"),
        ("torn.flv", "counter-h264-aac.flv", "mp4"),
        ("torn.aac", "clicks.aac", "aac"),
    ] {
        let outcome = done(&fixtures::get(name), format, COPY);
        // Of a fragment in which all sound is missing nothing more is read.
        let is_told = warns(&outcome, "PACKETS_TORN") || warns(&outcome, "DURATION_DECLARED_WRONG");
        assert!(is_told, "{name}: {:?}", outcome.report.warnings);
        assert_eq!(judge::decode_errors(&outcome.path), [""; 0], "{name}");
        let streams = if format == "aac" { &["a:0"][..] } else { &["v:0", "a:0"] };
        for stream in streams {
            let (made, all) = (
                judge::packet_hashes(&outcome.path, stream),
                judge::packet_hashes(fixtures::get(whole), stream),
            );
            let is_prefix = all.starts_with(&made) || all.windows(made.len()).any(|it| it == made);
            assert!(is_prefix && made.len() < all.len(), "{name} {stream}");
        }
    }
    let outcome = done(&fixtures::get("torn.wav"), "wav", r#""extractAudio""#);
    assert!(warns(&outcome, "PACKETS_TORN") && warns(&outcome, "DURATION_DECLARED_WRONG"));
    assert!((seconds_of_sound(&outcome.path) - 3.2).abs() < 0.05);
}

#[test]
fn the_picture_on_screen_at_a_late_start_is_there() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for format in ["mp4", "webm"] {
        let recipe = r#""trim","startSeconds":15,"durationSeconds":15"#;
        let outcome = done(&fixtures::get("slow.mp4"), format, recipe);
        assert_eq!(judge::counters(&outcome.path), counted(1..3), "{format}");
        let found: Vec<_> = judge::frames(&outcome.path).iter().map(|it| it.pts).collect();
        same_times(&found, &[0.0, 5.0], 0.002, format);
        let length = judge::probe(&outcome.path).duration.unwrap();
        assert!((length - 15.0).abs() < FRAME, "{format}: {length} s");
    }
}

#[test]
fn pictures_that_webm_can_not_tell_apart_are_dropped_and_counted() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["fast.mp4", "fast-vp9.mp4"] {
        let recipe = r#""transcode","crf":40,"preset":8"#;
        let recipe = if name == "fast.mp4" { recipe } else { COPY };
        let outcome = done(&fixtures::get(name), "webm", recipe);
        assert_eq!(outcome.report.strategy, Strategy::Encode, "{name}");
        assert!(warns(&outcome, "FRAMES_INDISTINCT"), "{name}: {:?}", outcome.report.warnings);
        let length = judge::probe(&outcome.path).duration.unwrap();
        assert!((length - 0.5).abs() < 0.01, "{name}: {length} s");
        let frames = judge::frames(&outcome.path);
        let counters = judge::counters(&outcome.path);
        assert!((480..=502).contains(&frames.len()), "{name}: {} pictures", frames.len());
        for (frame, counter) in frames.iter().zip(counters) {
            let own = f64::from(counter.unwrap()) / 2000.0;
            assert!((frame.pts - own).abs() < 0.0021, "{name}: {counter:?} at {} s", frame.pts);
        }
    }
}

#[test]
fn times_beyond_all_measure_end_in_a_result_or_an_error() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in [
        "hostile-first.mp4",
        "hostile-last.mp4",
        "hostile-near.mp4",
        "hostile-negative.mp4",
        "hostile-edge.mp4",
    ] {
        let clip = fixtures::get(name);
        for (format, recipe) in [
            ("mp4", COPY),
            ("mp4", ENCODE),
            ("mov", COPY),
            ("wav", r#""extractAudio""#),
            ("m4a", r#""extractAudio","startSeconds":1"#),
            ("mp4", r#""trim","startSeconds":1,"durationSeconds":2"#),
            ("mp4", r#""trim","startSeconds":3"#),
            ("mp4", r#""trim","startSeconds":1e18"#),
            ("mp4", r#""webReady","startSeconds":0.5,"durationSeconds":1e18"#),
            ("png", r#""thumbnail","seekSeconds":3"#),
            ("png", r#""thumbnail","seekSeconds":1e18"#),
        ] {
            check_ends(&clip, &format!("{format} by {recipe}"), || {
                run(&clip, format, recipe).map(drop)
            });
        }
        check_ends(&clip, "joined to itself", || {
            join(&[clip.clone(), clip.clone()], "mp4").map(drop)
        });
    }
}

/// Fails when a job ends in a panic, whether caught or not.
fn check_ends(clip: &Path, what: &str, job: impl FnOnce() -> Result<(), avocet::Error>) {
    if let Err(error) = job() {
        let told = error.to_string();
        assert!(!told.contains("panicked"), "{} in {what}: {told}", clip.display());
    }
}
