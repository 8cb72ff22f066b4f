//! Cases of what stands beside the samples: tags, projections, chapters, text.

use std::{fs, num::NonZeroU32, ops::ControlFlow, path::Path};

use avocet::{
    CancelToken, Engine, Format, Report,
    recipes::{Accuracy, Spread, Thumbnails},
};
use fixtures::judge;

use crate::support::{job, run};

/// Whether a report warns of something by this code.
fn warns(report: &Report, code: &str) -> bool {
    report.warnings.iter().any(|warning| warning.code == code)
}

/// Lines as `start-end text`, in tenths of a second.
fn lines(path: &Path) -> Vec<String> {
    let tenths = |seconds: f64| (seconds * 10.0).round();
    let line = |line: judge::Line| {
        format!("{}-{} {}", tenths(line.start), tenths(line.end), line.text.replace('\n', "/"))
    };
    judge::lines(path, "s:0").into_iter().map(line).collect()
}

#[test]
fn cues_that_overlap_are_both_shown_in_mp4() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("overlapping.mkv");
    let expected =
        ["5-10 first", "10-15 first/second", "15-20 second", "25-30 third/fourth", "30-35 fifth"];
    for format in ["mp4", "mov"] {
        let made = run(&clip, format, r#""transcode","tracks":"all""#).unwrap();
        assert_eq!(lines(&made.path), expected, "{format}");
        assert!(!warns(&made.report, "TIMES_MOVED"), "{format}");
    }
    let cut = r#""trim","tracks":"all","startSeconds":1.2,"durationSeconds":1"#;
    let made = run(&clip, "mp4", cut).unwrap();
    assert_eq!(lines(&made.path), ["0-3 first/second", "3-8 second"]);
    // WebM holds them as they are.
    let made = run(&clip, "webm", r#""transcode","tracks":"all""#).unwrap();
    assert_eq!(lines(&made.path), lines(&clip));
}

#[test]
fn pictures_of_a_recording_without_a_duration_are_spread_over_all_of_it() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("live.webm");
    assert_eq!(judge::probe(&clip).duration, None);
    let folder = tempfile::tempdir().unwrap();
    let (engine, cancel) = (Engine::default(), CancelToken::new());
    let go_on = |_: &avocet::Progress| ControlFlow::Continue(());
    let storyboard = job(&clip, "jpg", r#""storyboard","count":4,"width":320"#);
    avocet::run(&engine, &storyboard, folder.path(), &cancel, go_on).unwrap();
    let cues = fs::read_to_string(folder.path().join("out_vtt.vtt")).unwrap();
    assert!(cues.contains("\n00:00:03.013 --> 00:00:04.017\n"), "{cues}");
    let thumbnails = Thumbnails {
        spread: Spread::Count(NonZeroU32::new(4).unwrap()),
        width: None,
        height: None,
        quality: 90,
        accuracy: Accuracy::Exact,
        stem: "a".to_owned(),
    };
    let (input, format) = (clip.to_str().unwrap(), Format::Png);
    let plan = avocet::plan_thumbnails(&engine, input, &thumbnails, format, folder.path(), &cancel);
    engine.run(&plan.unwrap(), &cancel, go_on).unwrap();
    for (number, expected) in [(1, 12), (2, 37), (3, 62), (4, 87)] {
        let picture = folder.path().join(format!("a-{number:04}.png"));
        assert_eq!(judge::counters(&picture), [Some(expected)], "{number}");
    }
}

#[test]
fn every_cue_of_a_short_storyboard_has_a_length() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("one-frame.mp4");
    let go_on = |_: &avocet::Progress| ControlFlow::Continue(());
    for (recipe, expected) in [
        (r#""storyboard","width":32"#, 40),
        (r#""storyboard","width":32,"everySeconds":0.0001"#, 40),
        (r#""storyboard","width":32,"count":7"#, 7),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let job = job(&clip, "jpg", recipe);
        avocet::run(&Engine::default(), &job, folder.path(), &CancelToken::new(), go_on).unwrap();
        let cues = fs::read_to_string(folder.path().join("out_vtt.vtt")).unwrap();
        let times: Vec<_> = cues.lines().filter_map(|line| line.split_once(" --> ")).collect();
        assert_eq!(times.len(), expected, "{recipe}");
        assert!(times.iter().all(|(from, to)| from < to), "{cues}");
        assert!(times.windows(2).all(|two| two[0].1 == two[1].0), "{cues}");
        assert_eq!((times[0].0, times[expected - 1].1), ("00:00:00.000", "00:00:00.040"));
    }
}
