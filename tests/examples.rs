//! The programs in `avocet/examples/`, run on made clips: one for each task of the guide.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use fixtures::judge;

/// Where cargo puts the examples that it builds with the tests.
fn place() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder.join("examples")
}

/// Runs an example to its end.
fn run(name: &str, arguments: &[&Path]) -> Output {
    let program = place().join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let output = Command::new(&program).args(arguments).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

/// What an example prints when it succeeds.
fn printed(name: &str, arguments: &[&Path]) -> String {
    let output = run(name, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_clip_is_cut_out() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (clip, folder) = (fixtures::get("counter-h264-aac.mp4"), tempfile::tempdir().unwrap());
    let output = folder.path().join("out.mp4");
    let text = printed("cut_a_clip", &[&clip, &output, "0.5-1".as_ref(), "2-3".as_ref()]);
    assert!(text.starts_with("smart_cut: ") && text.contains(" of 37 frames encoded"), "{text}");
    let counters: Vec<u16> = judge::counters(&output).into_iter().flatten().collect();
    assert_eq!(counters, (13..25).chain(50..75).collect::<Vec<u16>>());
}

#[test]
fn a_video_is_made_that_plays_everywhere_or_nothing_is_left() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (clip, folder) = (fixtures::get("counter-h264-aac.mkv"), tempfile::tempdir().unwrap());
    let output = folder.path().join("out.mp4");
    let text = printed("plays_everywhere", &[&clip, &output]);
    assert!(text.contains("faststart_remux") && text.contains("100 %"), "{text}");
    assert_eq!(judge::frames(&output).len(), 100);
    std::fs::remove_file(&output).unwrap();
    let long = fixtures::get("counter-60s.mp4");
    let stopped = folder.path().join("stopped.mp4");
    let ended = run("plays_everywhere", &[&long, &stopped, "0".as_ref()]);
    assert!(!ended.status.success() || stopped.exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), usize::from(stopped.exists()));
}

#[test]
fn pictures_are_read_for_a_model() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let text = printed("pictures_for_a_model", &[&fixtures::get("counter-h264-aac.mp4")]);
    assert_eq!(text.lines().count(), 16, "{text}");
    assert!(text.starts_with("  0.1"), "{text}");
}

#[test]
fn sound_is_read_for_speech_recognition() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let text = printed("audio_for_speech", &[&fixtures::get("counter-60s.mp4")]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("   0.00 s: 480000 samples, -"), "{text}");
    assert!((2..=3).contains(&lines.len()) && lines[1].starts_with("  30.00 s: "), "{text}");
}

#[test]
fn thumbnails_are_saved_beside_each_other() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (clip, folder) = (fixtures::get("counter-h264-aac.mp4"), tempfile::tempdir().unwrap());
    let into = folder.path().join("pictures");
    let text = printed("many_thumbnails", &[&clip, &into, "5".as_ref()]);
    assert_eq!((text.lines().count(), std::fs::read_dir(&into).unwrap().count()), (5, 5));
}

#[test]
fn a_job_runs_in_an_async_program() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (clip, folder) = (fixtures::get("counter-h264-aac.mp4"), tempfile::tempdir().unwrap());
    let output = folder.path().join("out.mp4");
    let text = printed("in_an_async_program", &[&clip, &output]);
    assert!(text.contains(" bytes\n") && text.contains("Some(3.0) s"), "{text}");
}

#[test]
fn media_is_read_from_a_reader_of_ones_own() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let text = printed("custom_reader", &[&fixtures::get("counter-h264-aac.mp4")]);
    assert_eq!(text, "320 x 180 pixels\n320 x 180 pixels\n");
}
