//! Traps 19 to 24: covers, data, subtitles, fields, damage, kinds of GOPs.

use std::path::Path;

use fixtures::judge;

use crate::{
    support::{Outcome, document, plan, run, run_document, source_frames},
    traps_stream::{
        COPY, ENCODE, FRAME, clicks_from_start, counted, done, in_sync, joined, same_times,
        seconds_of_sound, warns,
    },
};

/// The size of the cover in a file, in pixels; `None` if there is none.
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
    let names = [
        "cover-first.mp4",
        "cover-last.mp4",
        "cover-first.m4a",
        "cover-last.m4a",
        "cover.mp3",
        "cover.flac",
        "cover.ogg",
        "cover.mkv",
        "still-first.mkv",
    ];
    for name in fixtures::sample(names, 3) {
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
            ("mp4", COPY),
            ("mp4", ENCODE),
            ("mp4", r#""trim","startSeconds":0.51"#),
            ("png", r#""thumbnail""#),
        ] {
            let what = format!("{name} in {format} by {recipe}");
            let needs_video = recipe.contains("webReady");
            let outcome = match run(&source, format, recipe) {
                Err(error) if needs_video && !has_video => {
                    assert_eq!(error.code(), "INPUT_INVALID", "{what}");
                    continue;
                }
                result => result.unwrap_or_else(|error| panic!("{what}: {error}")),
            };
            let made = judge::probe(&outcome.path);
            if !has_video {
                // A thumbnail of an audio file shows its cover.
                let shown = usize::from(format == "png");
                assert_eq!(made.of_kind("video").count(), shown, "{what}");
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
        let table = [
            ("mp4", COPY, 0.0),
            ("mov", COPY, 0.0),
            ("mp4", ENCODE, 0.0),
            ("webm", r#""transcode","preset":8"#, 0.0),
            ("mp4", r#""webReady""#, 0.0),
            ("mp4", r#""trim","startSeconds":1.75,"durationSeconds":1.75"#, 1.75),
            ("mov", r#""trim","startSeconds":2,"durationSeconds":1.5"#, 2.0),
        ];
        for (format, recipe, from) in fixtures::sample(table, 3) {
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

/// The center of the moving bar of the interlaced fixtures, in pixels: first in the even lines,
/// then in the odd lines.
fn bar(picture: &judge::Picture) -> [f64; 2] {
    [0, 1].map(|parity| {
        let lines = (400..540).filter(|y| y % 2 == parity);
        let points = lines.flat_map(|y| (100..620).map(move |x| (x, y)));
        let white: Vec<_> =
            points.filter(|(x, y)| picture.pixel(*x, *y)[1] > 190).map(|(x, _)| x as f64).collect();
        white.iter().sum::<f64>() / white.len() as f64
    })
}

/// Encodes an interlaced fixture. Each frame must become the picture of its first field, and
/// thumbnails must show the same.
pub(crate) fn check_first_fields(name: &str, recipes: &[&str]) {
    let source = fixtures::get(name);
    let source_frames = source_frames(&source);
    let start = source_frames[0].pts;
    // The bar moves by 8 pixels per field, so the wrong field would show.
    let expected = [20, 30].map(|number| {
        let time = start + f64::from(number) * FRAME;
        let [top, bottom] = bar(&judge::rgb(&source, time, ""));
        assert!((top - bottom).abs() > 6.0, "{name}: fields at {top} and {bottom}");
        if name.contains("bff") { bottom } else { top }
    });
    let check = |picture: &judge::Picture, expected: f64, what: &str| {
        let [even, odd] = bar(picture);
        let is_there = (even - expected).abs() < 2.0 && (odd - expected).abs() < 2.0;
        assert!(is_there, "{what}: at {even} and {odd} instead of {expected}");
    };
    for recipe in recipes {
        let what = format!("{name} by {recipe}");
        let outcome = done(&source, "mp4", recipe);
        let frames = judge::frames(&outcome.path);
        assert_eq!(frames.len(), source_frames.len(), "{what}");
        assert!(frames.iter().all(|frame| !frame.interlaced), "{what}");
        for (number, expected) in [20, 30].into_iter().zip(expected) {
            check(&judge::rgb(&outcome.path, frames[number].pts, ""), expected, &what);
        }
    }
    for (seconds, expected) in [0.82, 1.22].into_iter().zip(expected) {
        let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
        let outcome = done(&source, "png", &recipe);
        check(&judge::picture(&outcome.path), expected, &format!("{name} by {recipe}"));
    }
}

#[test]
fn trap_22_a_frame_becomes_the_picture_of_its_first_field() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["mpeg2-tff.ts", "mpeg2-bff.ts", "h264-tff.mp4"] {
        check_first_fields(name, &[ENCODE, r#""webReady""#, r#""proxy""#]);
    }
}

#[test]
fn trap_22_only_what_is_flagged_is_deinterlaced() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // Unflagged fields stay as they are.
    let outcome = done(&fixtures::get("h264-unflagged.mp4"), "mp4", ENCODE);
    let [even, odd] = bar(&judge::rgb(&outcome.path, 0.8, ""));
    assert!((odd - even - 8.0).abs() < 2.0, "at {even} and {odd}");
    // Wrong flags must cost no frame and no counter.
    let misflagged = fixtures::get("h264-misflagged.mp4");
    for (format, recipe) in
        [("mp4", ENCODE), ("mp4", r#""webReady""#), ("mov", r#""trim","startSeconds":0.02"#)]
    {
        let outcome = done(&misflagged, format, recipe);
        let first = u16::from(recipe.contains("trim"));
        assert_eq!(judge::counters(&outcome.path), counted(first..100), "{recipe}");
        in_sync(&outcome.path, 4 - usize::from(first), 0.001, recipe);
    }
    // A copy keeps both the fields and their flags.
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

/// The lost seconds in a warning with this code; `None` without such a warning.
fn seconds_lost(outcome: &Outcome, code: &str) -> Option<f64> {
    let warning = outcome.report.warnings.iter().find(|warning| warning.code == code)?;
    let words: Vec<_> = warning.message.split_whitespace().collect();
    let at = words.windows(3).position(|words| words == ["s", "are", "lost"])?;
    words[at - 1].parse().ok()
}

/// Recipes that use the whole input, all of which must notice the damage.
const WHOLE: [(&str, &str); 6] = [
    ("mp4", COPY),
    ("mov", COPY),
    ("mp4", ENCODE),
    ("mp4", r#""webReady""#),
    ("mp4", r#""proxy""#),
    ("mp4", r#""trim","startSeconds":0.5"#),
];

#[test]
fn trap_23_sound_that_is_cut_short_is_told() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format) in
        [("torn.flac", "wav"), ("long-header.wav", "mp3"), ("long-header.wav", "wav")]
    {
        let outcome = done(&fixtures::get(name), format, COPY);
        assert!(warns(&outcome, "DURATION_DECLARED_WRONG"), "{name} in {format}");
        assert_eq!(warns(&outcome, "DECODE_ERRORS"), name == "torn.flac", "{name} in {format}");
    }
}

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
            // Some of the last frames may lack their reference frames.
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
    for (format, recipe) in fixtures::sample(WHOLE, 3) {
        let what = format!("truncated.mkv in {format} by {recipe}");
        let outcome = done(&fixtures::get("truncated.mkv"), format, recipe);
        assert!(warns(&outcome, "DURATION_DECLARED_WRONG"), "{what}");
        // All that exists is kept: the first 59 of 100 frames. With some muxers, they begin later.
        let source = fixtures::get("truncated.mkv");
        let is_before =
            |frame: &&judge::FrameTime| frame.pts - crate::traps_picture::zero(&source) < 0.4999;
        let skipped = u16::try_from(judge::frames(&source).iter().filter(is_before).count());
        let first = if recipe.contains("trim") { skipped.unwrap() } else { 0 };
        assert_eq!(judge::counters(&outcome.path), counted(first..59), "{what}");
    }
    for (format, recipe) in fixtures::sample(WHOLE, 3) {
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
        let source = fixtures::get("flipped.mp4");
        // If a flip hits the header of a frame, the frames that refer to it are lost, too.
        let decoded = judge::frames(&source).len();
        for lenient in ["", r#","lenient":true"#] {
            let recipe = format!("{recipe}{lenient}");
            match run(&source, format, &recipe) {
                Ok(outcome) => {
                    assert!(warns(&outcome, "FRAMES_CONCEALED"), "{recipe}");
                    assert_eq!(warns(&outcome, "INPUT_SHORT"), decoded < 95, "{recipe}");
                    assert_eq!(judge::frames(&outcome.path).len(), decoded, "{recipe}");
                }
                Err(error) => {
                    assert!(decoded < 95 && lenient.is_empty(), "{recipe}: {error}");
                    assert_eq!(error.code(), "INPUT_INVALID", "{recipe}: {error}");
                }
            }
        }
        // A fifth of four seconds, with dependent frames, is more than may be lost.
        let source = fixtures::get("flipped-av1.mp4");
        let is_too_much = judge::frames(&source).len() < 80;
        match run(&source, format, recipe) {
            Err(error) => assert_eq!(error.code(), "INPUT_INVALID", "{recipe}: {error}"),
            Ok(outcome) => {
                assert!(!is_too_much && warns(&outcome, "DECODE_ERRORS"), "{recipe}");
            }
        }
        let outcome = done(&source, format, &format!(r#"{recipe},"lenient":true"#));
        let shown = judge::frames(&outcome.path).len() as f64 * FRAME;
        let lost = seconds_lost(&outcome, "INPUT_SHORT").unwrap();
        assert!((lost - (4.0 - shown)).abs() < 0.2, "{recipe}: {lost} s lost, {shown} s shown");
    }
}

/// Clips with open GOPs, with hidden frames, or with intra refresh in place of keyframes.
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
            let keyframe = keyframe.map(|number| u16::try_from(number).unwrap());
            assert_eq!(judge::counters(&outcome.path), [keyframe], "{what}, keyframe");
        }
    }
}

#[test]
fn trap_24_a_cut_never_begins_with_frames_that_refer_to_what_is_gone() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // Starts at keyframes (27, 25 or 50 frames apart), between them, and in the last GOP.
    let table = GROUPS.into_iter().flat_map(|name| [27_u16, 25, 50, 40, 88].map(|at| (name, at)));
    for (name, start) in fixtures::sample(table, 4) {
        let source = fixtures::get(name);
        let format = if name.contains("webm") { "webm" } else { "mp4" };
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
        let end = first + u16::try_from(counters.len()).unwrap();
        assert_eq!(counters, counted(first..end), "{what}");
        assert!(end >= start + count, "{what}: {counters:?}");
        assert_eq!(judge::decode_errors(&outcome.path), Vec::<String>::new(), "{what}");
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
