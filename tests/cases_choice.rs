//! Cases in which the wrong streams were chosen, or frames were displayed wrongly.

use std::path::Path;

use avocet::{Engine, Source};
use avocet::{
    engine::ProbeOptions,
    media::{Kind, Orientation},
};
use fixtures::judge;

use crate::{
    support::{Outcome, plan, source_frames},
    traps_picture::{action, warning},
    traps_stream::{COPY, ENCODE, counted, done, in_sync},
    traps_tracks::check_first_fields,
};

/// The video stream of a clip as probing finds it.
fn probed(clip: &Path) -> avocet::media::VideoInfo {
    let media = Engine::default().probe(&Source::path(clip), ProbeOptions::default()).unwrap();
    let video = media.streams.iter().find_map(|stream| match &stream.kind {
        Kind::Video(video) => Some(video.clone()),
        _ => None,
    });
    video.expect("pictures")
}

/// The dropped streams: their index, and the code of the reason.
fn dropped(outcome: &Outcome) -> Vec<(usize, &str)> {
    let dropped = outcome.plan.dropped.iter();
    dropped.map(|stream| (stream.stream, stream.because.code.as_str())).collect()
}

#[test]
fn moving_pictures_win_over_a_preview_of_one_picture() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["preview-first.mp4", "preview-first.mkv"] {
        let clip = fixtures::get(name);
        for recipe in [COPY, ENCODE, r#""webReady""#, r#""trim","startSeconds":0"#] {
            let outcome = done(&clip, "mp4", recipe);
            let what = format!("{name} by {recipe}");
            assert_eq!(judge::counters(&outcome.path), counted(0..100), "{what}");
            assert_eq!(dropped(&outcome), [(0, "NOT_SELECTED")], "{what}");
        }
        let outcome = done(&clip, "png", r#""thumbnail","seekSeconds":2.03"#);
        assert_eq!(judge::counters(&outcome.path), counted([50]), "{name}");
        let outcome = done(&clip, "m4a", r#""extractAudio""#);
        assert_eq!(judge::clicks(&outcome.path).len(), 4, "{name}");
    }
}

#[test]
fn picture_and_sound_are_of_one_program() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("two-programs.ts");
    let media = Engine::default().probe(&Source::path(&clip), ProbeOptions::default()).unwrap();
    let programs = media.programs.iter();
    let programs: Vec<_> = programs.map(|it| (it.number, it.name.as_deref())).collect();
    assert_eq!(programs, [(1, Some("Small")), (2, Some("Large"))]);
    // libav lists streams in the order of their programs.
    let others = [(0, "OTHER_PROGRAM"), (1, "OTHER_PROGRAM")];
    for recipe in [
        COPY,
        ENCODE,
        r#""webReady""#,
        r#""trim","startSeconds":0"#,
        r#""transcode","tracks":"all""#,
    ] {
        let outcome = done(&clip, "mp4", recipe);
        in_sync(&outcome.path, 4, 0.03, recipe);
        assert_eq!(judge::probe(&outcome.path).of_kind("audio").count(), 1, "{recipe}");
        assert_eq!(dropped(&outcome), others, "{recipe}");
        let told = warning(&outcome, "PROGRAM_CHOSEN").expect("a warning");
        assert_eq!(
            told, "the streams of program 2 (Large) are used, not those of 1 (Small)",
            "{recipe}"
        );
    }
    let outcome = done(&clip, "m4a", r#""extractAudio""#);
    assert_eq!(judge::clicks(&outcome.path).len(), 4, "the sound of the same program");
}

#[test]
fn the_thumbnail_of_sound_with_a_cover_is_the_cover() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["cover.mp3", "cover-last.m4a", "cover-first.m4a"] {
        for seconds in [0.0, 1.5, 100.0] {
            let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
            let outcome = done(&fixtures::get(name), "png", &recipe);
            let picture = judge::picture(&outcome.path);
            assert_eq!((picture.width, picture.height), (64, 64), "{name} at {seconds} s");
            let [red, green, blue] = picture.mean(0, 0, 64, 64);
            assert!(red > 250.0 && (green - 165.0).abs() < 4.0 && blue < 5.0, "{name}: orange");
            let codes: Vec<_> = outcome.report.warnings.iter().map(|it| it.code.as_str()).collect();
            assert_eq!(codes, ["COVER_SHOWN"], "{name} at {seconds} s");
        }
    }
    let error = plan(&fixtures::get("clicks.wav"), "png", r#""thumbnail""#).unwrap_err();
    assert_eq!(error.code(), "INPUT_INVALID");
}

/// The mean alpha of the left and right half of a frame, from 0 to 255, decoded by libvpx.
fn opacity(clip: &Path, frame: usize) -> [f64; 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alpha.png");
    let filters = format!("select=eq(n\\,{frame}),alphaextract,format=gray");
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-c:v", "libvpx-vp9", "-i"])
        .arg(clip)
        .args(["-vf", &filters, "-frames:v", "1", "-update", "1"])
        .arg(&path)
        .status();
    if !status.unwrap().success() {
        return [255.0; 2];
    }
    let picture = judge::picture(&path);
    let (half, height) = (picture.width / 2, picture.height);
    [4, half + 4].map(|x| picture.mean(x, 4, half - 8, height - 8)[0])
}

/// Whether the tags of a clip claim an alpha channel.
fn claims_alpha(clip: &Path) -> bool {
    let tags = judge::probe(clip).video().json["tags"].as_object().cloned().unwrap_or_default();
    tags.iter().any(|(key, _)| key.eq_ignore_ascii_case("alpha_mode"))
}

#[test]
fn transparent_vp9_stays_transparent() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("alpha.webm");
    assert_eq!(opacity(&clip, 30).map(|alpha| alpha > 128.0), [false, true]);
    let table = [
        (COPY, "copy"),
        (r#""transcode","reencode":true,"preset":8"#, "encode"),
        (r#""resize","width":160"#, "encode"),
        (r#""compress","preset":8"#, "encode"),
        (r#""trim","startSeconds":2"#, "copy"),
        // A smart cut: frames are encoded up to where the alpha channel has a keyframe, too.
        (r#""trim","startSeconds":1"#, "copy"),
        (
            r#""trim","ranges":[{"startSeconds":0.5,"durationSeconds":1},
                {"startSeconds":2,"durationSeconds":1}]"#,
            "copy",
        ),
    ];
    for (recipe, expected) in fixtures::sample(table, 3) {
        let outcome = done(&clip, "webm", recipe);
        assert_eq!(action(&outcome), expected, "{recipe}");
        assert_eq!(warning(&outcome, "ALPHA_DROPPED"), None, "{recipe}");
        assert!(claims_alpha(&outcome.path), "{recipe}");
        for frame in [0, 10, 24, 30, 49] {
            let [left, right] = opacity(&outcome.path, frame);
            assert!(left < 10.0 && right > 245.0, "{recipe}: {left} and {right} in frame {frame}");
        }
    }
    let outcome = done(&clip, "png", r#""thumbnail","seekSeconds":1.5"#);
    let [left, right] = opacity_of_picture(&outcome.path);
    assert!(left < 10.0 && right > 245.0, "{left} and {right}");
}

/// The mean alpha of the left and right half of a picture, from 0 to 255.
fn opacity_of_picture(path: &Path) -> [f64; 2] {
    let picture = judge::rgb(path, 0.0, "alphaextract");
    let half = picture.width / 2;
    [4, half + 4].map(|x| picture.mean(x, 4, half - 8, picture.height - 8)[0])
}

#[test]
fn transparency_that_is_lost_is_told_and_not_claimed() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format, recipe) in [
        ("alpha.webm", "mp4", ENCODE),
        ("alpha.webm", "mp4", r#""compress","preset":"ultrafast""#),
        // MP4 stores VP9, but not the alpha in its block additions.
        ("alpha.webm", "mp4", r#""trim","startSeconds":2"#),
        ("alpha.webm", "webm", r#""compress","codec":"av1","preset":12"#),
        ("alpha.webm", "jpg", r#""thumbnail""#),
        ("ffv1-alpha.mkv", "mp4", ENCODE),
    ] {
        let outcome = done(&fixtures::get(name), format, recipe);
        assert!(warning(&outcome, "ALPHA_DROPPED").is_some(), "{name} in {format} by {recipe}");
        assert!(!claims_alpha(&outcome.path), "{name} in {format} by {recipe}");
    }
}

#[test]
fn fields_that_only_the_container_tells_of_leave_no_combs() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let names = ["huffyuv-tff.mkv", "mjpeg-tff.mov", "utvideo-bff.mkv", "png-tff.mov"];
    for name in fixtures::sample(names, 2) {
        let frames = source_frames(&fixtures::get(name));
        assert!(!frames[30].interlaced, "{name}: its frames do not tell");
        check_first_fields(name, &[ENCODE, r#""webReady""#]);
    }
}

#[test]
fn pictures_stand_upright_by_their_exif() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in [
        "exif-2.jpg",
        "exif-3.jpg",
        "exif-4.jpg",
        "exif-5.jpg",
        "exif-6.jpg",
        "exif-7.jpg",
        "exif-8.jpg",
        "exif-6.png",
        "exif-6.webp",
    ] {
        let clip = fixtures::get(name);
        let video = probed(&clip);
        assert!(video.orientation_in_pictures, "{name}");
        for (format, recipe) in
            [("png", r#""thumbnail""#), ("jpg", r#""thumbnail""#), ("mp4", ENCODE)]
        {
            let outcome = done(&clip, format, recipe);
            let what = format!("{name} in {format}");
            let picture = judge::picture(&outcome.path);
            assert_eq!((picture.width, picture.height), (320, 180), "{what}");
            assert_eq!(picture.corners(), judge::UPRIGHT, "{what}");
            // No orientation is left that would turn the result again.
            assert_eq!(probed(&outcome.path).orientation, Orientation::Upright, "{what}");
        }
    }
}

#[test]
fn still_pictures_stand_upright_by_their_properties() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, orientation) in [
        ("turned.avif", Orientation::CounterClockwise),
        ("upside-down.avif", Orientation::FlipTopBottom),
        ("mirrored.avif", Orientation::FlipLeftRight),
    ] {
        let clip = fixtures::get(name);
        assert_eq!(probed(&clip).orientation, orientation, "{name}");
        for (format, recipe) in [("png", r#""thumbnail""#), ("mp4", ENCODE)] {
            let outcome = done(&clip, format, recipe);
            let picture = judge::picture(&outcome.path);
            assert_eq!((picture.width, picture.height), (320, 180), "{name} in {format}");
            assert_eq!(picture.corners(), judge::UPRIGHT, "{name} in {format}");
        }
    }
}

#[test]
fn pictures_stand_upright_by_their_sei() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, orientation) in [
        ("sei-turned.ts", Orientation::CounterClockwise),
        ("sei-mirrored.mp4", Orientation::FlipLeftRight),
        ("sei-turned.hevc", Orientation::CounterClockwise),
    ] {
        let clip = fixtures::get(name);
        let video = probed(&clip);
        assert_eq!(video.orientation, orientation, "{name}");
        assert!(video.orientation_in_pictures, "{name}");
        for (format, recipe) in [("png", r#""thumbnail""#), ("mp4", COPY), ("mp4", r#""webReady""#)]
        {
            let outcome = done(&clip, format, recipe);
            let what = format!("{name} in {format} by {recipe}");
            let picture = judge::picture(&outcome.path);
            assert_eq!((picture.width, picture.height), (320, 180), "{what}");
            assert_eq!(picture.corners(), judge::UPRIGHT, "{what}");
        }
    }
}

#[test]
fn rows_and_columns_that_a_container_crops_are_hidden() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["cropped.mkv", "cropped.mov"] {
        let clip = fixtures::get(name);
        let video = probed(&clip);
        assert_eq!((video.width, video.height), (320, 180), "{name}");
        assert_eq!((video.crop.left, video.crop.bottom), (32, 20), "{name}");
        for (format, recipe) in [
            ("mp4", COPY),
            ("mp4", r#""webReady""#),
            ("mp4", r#""trim","startSeconds":1"#),
            ("webm", r#""transcode","preset":8"#),
            ("png", r#""thumbnail","seekSeconds":1"#),
        ] {
            let outcome = done(&clip, format, recipe);
            let picture = judge::picture(&outcome.path);
            let what = format!("{name} into {format} by {recipe}");
            assert_eq!((picture.width, picture.height), (320, 180), "{what}");
            assert_eq!(picture.corners(), judge::UPRIGHT, "{what}");
        }
    }
}

#[test]
fn gray_has_one_range_in_pictures_and_videos() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, black, white) in [("gray16.nut", 0.0, 255.0), ("gray-limited.mp4", 16.0, 235.0)] {
        let clip = fixtures::get(name);
        // The brightness of a column is its number, between the range's black and white.
        let expected = |x: f64| (255.0 * (x - black) / (white - black)).clamp(0.0, 255.0);
        let check = |picture: &judge::Picture, what: &str| {
            for x in [8, 32, 64, 128, 192, 224, 248] {
                let found = picture.mean(x - 1, 8, 3, 48)[1];
                let expected = expected(x as f64);
                assert!((found - expected).abs() < 3.0, "{what}: {found} for {expected} at {x}");
            }
        };
        for (format, recipe) in [
            ("png", r#""thumbnail""#),
            ("jpg", r#""thumbnail","quality":100"#),
            ("webp", r#""thumbnail","quality":100"#),
            ("mp4", r#""transcode","reencode":true,"crf":4"#),
        ] {
            let outcome = done(&clip, format, recipe);
            check(&judge::picture(&outcome.path), &format!("{name} in {format}"));
        }
    }
}
