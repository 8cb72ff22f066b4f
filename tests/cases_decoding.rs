//! Cases in which decoding went wrong: state that a decoder needs, damaged frames, and codec
//! parameters that change within a stream.

use std::path::Path;

use avocet::plan::{Action, Strategy};
use fixtures::judge;

use crate::{
    support::{run, watched},
    traps_stream::{COPY, done, seconds_of_sound, warns},
};

/// A trim, which may begin within a GOP.
fn cut(start: f64, length: f64) -> String {
    format!(r#""trim","startSeconds":{start},"durationSeconds":{length}"#)
}

/// The mean difference between the samples of a thumbnail and those of a full decode at that time,
/// from 0 to 255.
fn difference(clip: &Path, picture: &Path, seconds: f64) -> f64 {
    let (found, expected) = (judge::picture(picture), judge::rgb(clip, seconds, ""));
    assert_eq!((found.width, found.height), (expected.width, expected.height));
    let pairs = found.data.iter().zip(&expected.data);
    let sum: u64 = pairs.map(|(one, other)| u64::from(one.abs_diff(*other))).sum();
    sum as f64 / found.data.len() as f64
}

#[test]
fn pictures_of_old_x264_are_right_wherever_decoding_begins() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let Some(clip) = fixtures::case!("cockatoo.mp4") else { return };
    for seconds in [0.0, 5.18, 9.5] {
        let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
        let shown = done(&clip, "png", &recipe);
        let found = difference(&clip, &shown.path, seconds);
        assert!(found < 3.0, "{seconds} s: {found}");
        assert!(shown.report.warnings.is_empty(), "{:?}", shown.report.warnings);
    }
}

#[test]
fn a_cut_of_old_x264_is_decoded_by_others_from_its_start() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let Some(clip) = fixtures::case!("cockatoo.mp4") else { return };
    // A smart cut, and a copy of the video from a keyframe on with encoded sound.
    for (recipe, strategy, first) in
        [(cut(5.1, 6.1), Strategy::SmartCut, 102), (cut(7.25, 2.0), Strategy::Encode, 145)]
    {
        let made = done(&clip, "mp4", &recipe);
        assert_eq!(made.report.strategy, strategy, "{recipe}");
        assert_eq!(judge::decode_errors(&made.path), Vec::<String>::new(), "{recipe}");
        let worst = judge::psnr(&made.path, &clip, first).into_iter().fold(f64::INFINITY, f64::min);
        assert!(worst > 35.0, "{recipe}: {worst} dB");
    }
}

#[test]
fn a_program_stream_that_begins_amid_a_group_is_done_by_every_recipe() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let Some(clip) = fixtures::case!("coolitnow-partial.mp4") else { return };
    for recipe in [
        r#""webReady""#,
        r#""proxy""#,
        r#""compress""#,
        r#""transcode""#,
        r#""resize","width":160"#,
        r#""trim","startSeconds":0.2"#,
    ] {
        let made = done(&clip, "mp4", recipe);
        assert!(warns(&made, "BEFORE_KEYFRAME"), "{recipe}: {:?}", made.report.warnings);
        // 17 frames follow from the first keyframe on, which is 0.57 s after the first sound.
        let times = judge::frames(&made.path);
        assert_eq!(times.len(), 17, "{recipe}");
    }
}

/// The counter of the picture that a recipe makes of a fixture.
fn number(name: &str, recipe: &str) -> u16 {
    let outcome = done(&fixtures::get(name), "png", recipe);
    assert_eq!(outcome.report.warnings, [], "{name} by {recipe}");
    judge::counters(&outcome.path)[0].unwrap_or_else(|| panic!("{name} by {recipe}"))
}

#[test]
fn a_picture_is_the_same_from_wherever_decoding_begins() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, begin) in [
        ("hevc-reordered.mkv", 0.0),
        ("reordered.mp4", 0.0),
        ("mpeg4-reordered.avi", 0.0),
        ("pictures.apng", 0.0),
        ("edited.mp4", 1.3),
        // Only one in three of its flagged keyframes is a real one, so earlier ones must be tried.
        ("keyframes-only.mp4", 0.0),
    ] {
        for seconds in [0.49, 1.05, 1.33, 1.62, 2.31, 3.45] {
            let end = if name == "pictures.apng" { 2.0 } else { 4.0 - begin };
            if seconds < end {
                let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
                let found = f64::from(number(name, &recipe)) / 25.0;
                let late = begin + seconds - found;
                // The start of an edit list may lie between two frames.
                let slack = if begin > 0.0 { 0.04 } else { 0.0 };
                assert!(
                    (-0.001 - slack..0.041).contains(&late),
                    "{name} at {seconds} s: {found} s"
                );
            }
        }
    }
}

#[test]
fn pictures_of_mxf_without_its_index_are_those_that_are_there() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // Without the index, libav counts frames from one later on.
    for (seconds, expected) in [(0.5, 11..=12), (1.3, 31..=32), (1.9, 46..=47)] {
        let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
        let outcome = done(&fixtures::get("torn.mxf"), "png", &recipe);
        let found = judge::counters(&outcome.path)[0].unwrap();
        assert!(expected.contains(&found), "{seconds} s: {found}");
        assert!(warns(&outcome, "INPUT_SHORT"), "{:?}", outcome.report.warnings);
    }
}

#[test]
fn reordered_pictures_of_a_low_rate_are_no_jump_of_a_clock() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (seconds, expected) in [(0.6, 2), (3.8, 15), (7.1, 28), (11.3, 45), (14.0, 56)] {
        let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
        assert_eq!(number("slow-reordered.mkv", &recipe), expected, "{seconds} s");
    }
}

#[test]
fn a_cut_of_pictures_that_are_drawn_onto_each_other_begins_with_all_of_them() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("pictures.apng");
    let made = done(&clip, "mp4", &cut(0.52, 1.0));
    assert_eq!(judge::counters(&made.path)[0], Some(13));
    let worst = judge::psnr(&made.path, &clip, 13).into_iter().fold(f64::INFINITY, f64::min);
    assert!(worst > 30.0, "{worst} dB");
}

#[test]
fn what_is_before_the_first_keyframe_is_told_by_every_recipe() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["headless-h264.mkv", "headless-hevc.mkv", "headless-av1.webm"] {
        for (format, recipe) in [
            ("mp4", COPY.to_owned()),
            ("mp4", r#""transcode","reencode":true,"preset":"ultrafast""#.to_owned()),
            ("mp4", cut(0.5, 3.0)),
            ("png", r#""thumbnail","seekSeconds":0.6"#.to_owned()),
        ] {
            let what = format!("{name} in {format} by {recipe}");
            let clip = fixtures::get(name);
            let made = watched(&what.clone(), move || done(&clip, format, &recipe));
            assert!(warns(&made, "BEFORE_KEYFRAME"), "{what}: {:?}", made.report.warnings);
            assert_eq!(judge::decode_errors(&made.path), Vec::<String>::new(), "{what}");
        }
    }
}

#[test]
fn codec_parameters_that_change_are_not_copied_over() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let two = fixtures::get("two-entries.mp4");
    for (format, recipe) in [
        ("mp4", COPY.to_owned()),
        ("mov", COPY.to_owned()),
        ("mp4", cut(1.0, 2.5)),
        ("mp4", cut(0.5, 1.0)),
    ] {
        let made = done(&two, format, &recipe);
        assert_eq!(judge::decode_errors(&made.path), Vec::<String>::new(), "{recipe} in {format}");
        let counters = judge::counters(&made.path);
        let (first, count) = match recipe.as_str() {
            COPY => (0, 100),
            recipe if recipe == cut(1.0, 2.5) => (25, 63),
            _ => (13, 25),
        };
        assert_eq!(counters.len(), count, "{recipe} in {format}");
        assert_eq!(counters[0], Some(first), "{recipe} in {format}");
        assert!(counters.iter().all(Option::is_some), "{recipe} in {format}: {counters:?}");
    }
}

#[test]
fn files_behind_each_other_that_are_coded_otherwise_are_not_copied_over() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format) in
        [("unlike.flv", "mp4"), ("new-header.flv", "mp4"), ("unlike.webm", "webm")]
    {
        for (recipe, first, count) in [(COPY.to_owned(), 0, 100), (cut(0.5, 3.0), 13, 75)] {
            let what = format!("{name} in {format} by {recipe}");
            let made = done(&fixtures::get(name), format, &recipe);
            let is_encoded = |action: &Action| matches!(action, Action::Encode(_));
            let plan = &made.report.plan;
            assert!(plan.tracks().all(|track| is_encoded(&track.action)), "{what}");
            assert_eq!(judge::decode_errors(&made.path), Vec::<String>::new(), "{what}");
            let counters = judge::counters(&made.path);
            assert_eq!((counters[0], counters.len()), (Some(first), count), "{what}");
            // Portrait frames are padded, and their counters are then too small to be read.
            let legible = if name == "unlike.webm" { 50 - usize::from(first) } else { count };
            let expected: Vec<_> = (first..).take(legible).map(Some).collect();
            assert_eq!(counters[..legible], expected, "{what}");
        }
    }
    // libav does not read the second header, so the packets after it can not be decoded.
    for (name, format) in [("unlike.mkv", "mp4"), ("unlike-fragmented.mp4", "mov")] {
        for recipe in [COPY.to_owned(), cut(0.5, 3.0)] {
            let refused = run(&fixtures::get(name), format, &recipe);
            let error = refused.err().unwrap_or_else(|| panic!("{name} by {recipe} is done"));
            assert_eq!(error.code(), "INPUT_INVALID", "{name} by {recipe}: {error}");
            assert!(error.to_string().contains("can not be decoded"), "{name}: {error}");
        }
    }
}

#[test]
fn sound_that_goes_on_at_another_rate_is_encoded() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("rates.ts");
    for (format, recipe) in [
        ("m4a", r#""extractAudio""#),
        ("aac", r#""extractAudio""#),
        ("mp4", COPY),
        ("m4a", r#""trim","startSeconds":0.5"#),
    ] {
        let made = done(&clip, format, recipe);
        let is_encoded = |action: &Action| matches!(action, Action::Encode(_));
        let plan = &made.report.plan;
        assert!(plan.tracks().all(|track| is_encoded(&track.action)), "{recipe} in {format}");
        // Only sections are planned by an index of packets; otherwise, the run finds the change.
        let is_planned = made.plan.tracks().all(|track| is_encoded(&track.action));
        assert_eq!(is_planned, recipe.contains("trim"), "{recipe} in {format}");
        let mut because = plan.tracks().flat_map(|track| &track.because);
        assert!(because.any(|why| why.code == "PARAMETERS_CHANGE"), "{recipe} in {format}");
        let expected = if recipe.contains("trim") { 3.5 } else { 4.0 };
        let seconds = seconds_of_sound(&made.path);
        // ADTS can not signal encoder delay.
        assert!((seconds - expected).abs() < 0.15, "{recipe} in {format}: {seconds} s");
        let clicks = judge::clicks(&made.path).len();
        assert_eq!(clicks, if recipe.contains("trim") { 3 } else { 4 }, "{recipe} in {format}");
    }
}

#[test]
fn a_picture_that_turns_on_the_way_keeps_its_shape() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("turned.ts");
    let made = done(&clip, "mp4", r#""proxy""#);
    let frames = judge::frames(&made.path);
    assert_eq!(frames.len(), 100);
    // The portrait frame is 102 of 320 columns wide, centered on black.
    let turned = judge::rgb(&made.path, 3.0, "");
    assert_eq!((turned.width, turned.height), (320, 180));
    let bar = turned.mean(10, 20, 80, 140);
    assert!(bar.iter().all(|level| *level < 8.0), "{bar:?}");
    let inside = judge::rgb(&made.path, 3.0, "crop=102:180:109:0,scale=180:320");
    assert_eq!(inside.corners(), judge::UPRIGHT);
    let shown = done(&clip, "png", r#""thumbnail","seekSeconds":3"#);
    let picture = judge::picture(&shown.path);
    assert_eq!((picture.width, picture.height), (320, 180));
    let bar = picture.mean(10, 20, 80, 140);
    assert!(bar.iter().all(|level| *level < 8.0), "{bar:?}");
    // Players do not follow the change in a copy, so that the clip is encoded.
    let copied = done(&clip, "mp4", COPY);
    assert_eq!(copied.report.strategy, Strategy::Encode);
}

#[test]
fn damaged_pictures_are_told_with_their_time() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("flipped.mp4");
    let shown = done(&clip, "png", r#""thumbnail","seekSeconds":2.02"#);
    let warning = shown.report.warnings.iter().find(|warning| warning.code == "PICTURE_DAMAGED");
    let message = &warning.expect("a warning").message;
    assert!(message.contains("2.000 s"), "{message}");
    watched(fixtures::test_name!(), move || {
        let frames = avocet::frames(&clip).at([2.02]).iter();
        let pictures: Vec<_> = frames.unwrap().collect::<Result<_, _>>().unwrap();
        assert!(pictures[0].is_damaged());
    });
    let whole =
        done(&fixtures::get("counter-h264-aac.mp4"), "png", r#""thumbnail","seekSeconds":2"#);
    assert!(!warns(&whole, "PICTURE_DAMAGED"));
}
