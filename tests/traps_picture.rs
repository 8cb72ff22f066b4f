//! Traps 1 to 12: media whose times, shapes and colors transcoders get wrong.

use std::path::Path;

use avocet::engine::{Strategy, TrackKind};
use fixtures::judge;
use serde_json::Value;

use crate::{
    support::{Outcome, plan, run, soak},
    thumbnail, transcode,
};

/// Encodes, by each recipe that does, into the format beside it.
const ENCODES: [(&str, &str); 5] = [
    ("mp4", r#""transcode","reencode":true,"preset":"veryfast""#),
    ("webm", r#""transcode","reencode":true,"preset":8"#),
    ("mp4", r#""proxy""#),
    ("mp4", r#""webReady","crf":23"#),
    ("mov", r#""resize","width":320"#),
];

/// As many rows of a table as shall be tried on the clip of a number: each takes its turn, since all
/// of them on every clip would take long without `AVOCET_SOAK`.
fn due<T: Copy>(table: &[T], number: usize, count: usize) -> impl Iterator<Item = T> {
    let is_due = move |place: usize| soak() || (place + number) % table.len() < count;
    (0..table.len()).filter(move |place| is_due(*place)).map(|place| table[place])
}

fn made(clip: &Path, format: &str, recipe: &str) -> Outcome {
    run(clip, format, recipe)
        .unwrap_or_else(|error| panic!("{} in {format} by {recipe}: {error}", clip.display()))
}

/// What became of the pictures: `copy`, `encode`, or `bytes` when all is the input's.
fn action(outcome: &Outcome) -> &'static str {
    let mut tracks = outcome.plan.tracks();
    tracks.find(|track| track.kind == TrackKind::Video).map_or("bytes", |track| track.action.name())
}

fn warning<'a>(outcome: &'a Outcome, code: &str) -> Option<&'a str> {
    let mut warnings = outcome.report.warnings.iter();
    warnings.find(|warning| warning.code == code).map(|warning| warning.message.as_str())
}

fn trim(start: f64) -> String {
    format!(r#""trim","startSeconds":{start}"#)
}

/// The start of a clip's clock, from which a document counts.
fn zero(clip: &Path) -> f64 {
    judge::probe(clip).start.unwrap_or(0.0).max(0.0)
}

fn assert_near(found: f64, expected: f64, limit: f64, name: &str) {
    assert!((found - expected).abs() <= limit, "{name}: {found} for {expected}");
}

#[test]
fn trap_01_edit_lists_keep_every_click_beside_its_flash() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // Each with a keyframe, and an instant between two.
    let clips = [
        ("empty-edit.mp4", 4.0, 2.6),
        ("media-time.mp4", 1.48, 0.9),
        ("both-edits.mp4", 3.48, 2.6),
    ];
    for (number, (name, keyframe, between)) in clips.into_iter().enumerate() {
        let clip = fixtures::get(name);
        let pairs = |path: &Path| {
            let (flashes, clicks) = (judge::flashes(path), judge::clicks(path));
            assert_eq!(flashes.len(), clicks.len(), "{name}: {flashes:?} {clicks:?}");
            flashes.into_iter().zip(clicks).collect::<Vec<_>>()
        };
        let source = pairs(&clip);
        assert!(source.len() >= 3, "{name}: {source:?}");
        let check = |expected: &str, format: &str, recipe: &str, start: f64| {
            let outcome = made(&clip, format, recipe);
            let name = format!("{name} in {format} by {recipe}");
            assert_eq!(action(&outcome), expected, "{name}");
            let limit = if format == "webm" { 0.0015 } else { 0.001 };
            let before = source.iter().filter(|(flash, _)| *flash >= start - 1e-6);
            let before: Vec<_> = before.collect();
            let after = pairs(&outcome.path);
            assert_eq!(after.len(), before.len(), "{name}: {after:?}");
            for (before, after) in before.into_iter().zip(after) {
                let offset = |(flash, click): (f64, f64)| click - flash;
                assert_near(after.0, before.0 - start, limit, &format!("flash of {name}"));
                assert_near(offset(after), offset(*before), limit, &format!("click of {name}"));
            }
        };
        // No edit list of libavformat's has a late start and hidden frames: those are encoded.
        let copy = if name == "both-edits.mp4" { "encode" } else { "copy" };
        check(copy, "mp4", r#""transcode""#, 0.0);
        check(copy, "mov", r#""transcode""#, 0.0);
        check(copy.replace("copy", "bytes").as_str(), "mp4", r#""webReady""#, 0.0);
        check("copy", "mp4", &trim(keyframe), keyframe);
        check("encode", "mp4", &trim(between), between);
        check("encode", "webm", &trim(keyframe), keyframe);
        for (format, recipe) in due(&ENCODES, number, 2) {
            check("encode", format, recipe, 0.0);
        }
    }
}

#[test]
fn trap_01_edit_lists_of_real_clips_are_kept() {
    let sound = "alfg_mp4-rust/examples/mpeg_aac_decoder/audio_aac.m4a";
    if let Some(clip) = fixtures::media!(sound) {
        transcode::check(&clip, "m4a", r#""transcode""#);
        transcode::check(&clip, "wav", r#""transcode""#);
    }
    let preroll = "androidx_media/mp4/sample_edit_list_only_preroll_sync_sample.mp4";
    let Some(clip) = fixtures::media!(preroll) else { return };
    check_times(&clip, "mp4", r#""transcode""#, 0.0);
    check_times(&clip, "mp4", ENCODES[0].1, 0.0);
    transcode::check(&clip, "mp4", r#""transcode""#);
    // What the edit list hides stays hidden, and nothing else.
    let copy = made(&clip, "mp4", r#""transcode""#);
    assert_eq!(judge::frame_hashes(&copy.path, "v:0"), judge::frame_hashes(&clip, "v:0"));
}

#[test]
fn trap_02_reordered_frames_begin_at_zero_and_their_delay_is_in_the_edit_list() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clips = [
        "video-only.mp4",
        "counter-h264-aac.mkv",
        "counter-h264-aac.ts",
        "h264-open-gop.mp4",
        "hevc-aac.mp4",
        "mpeg4-mp3.avi",
    ];
    for (number, name) in clips.into_iter().enumerate() {
        let clip = fixtures::get(name);
        let first = judge::frames(&clip)[0].pts - zero(&clip);
        let check = |format: &str, recipe: &str, start: f64| {
            let outcome = made(&clip, format, recipe);
            let name = format!("{name} in {format} by {recipe}");
            let video = judge::probe(&outcome.path).video().clone();
            let delay = video.json["has_b_frames"].as_f64().unwrap() * 0.04;
            assert!(delay >= 0.04, "{name}: nothing is reordered");
            let packets = judge::packets(&outcome.path, "V:0");
            let pts = || packets.iter().map(|packet| packet.pts.unwrap());
            let dts = || packets.iter().map(|packet| packet.dts.unwrap());
            // Frames are 40 ms apart, and the first kept one is the start where there is no sound.
            let steps = ((start - first) / 0.04 - 1e-3).ceil().max(0.0);
            let has_sound = !name.starts_with("video-only");
            let begins = if has_sound { first + steps * 0.04 - start } else { 0.0 };
            assert_near(pts().fold(f64::INFINITY, f64::min), begins, 6e-4, &name);
            assert!(dts().is_sorted_by(|a, b| a < b), "{name}: {:?}", dts().collect::<Vec<_>>());
            assert!(pts().zip(dts()).all(|(pts, dts)| pts >= dts), "{name}");
            assert_near(dts().next().unwrap(), begins - delay, 6e-4, &name);
            let edits = judge::edits(&outcome.path);
            let edits = &edits[usize::try_from(video.index).unwrap()];
            let empty = usize::from(begins > 1e-4);
            assert_eq!(edits.len(), 1 + empty, "{name}: {edits:?}");
            assert_near(edits[empty].unwrap(), delay, 1e-4, &name);
        };
        if name != "mpeg4-mp3.avi" {
            check("mp4", r#""transcode""#, 0.0);
            check("mov", r#""transcode""#, 0.0);
        }
        check("mp4", &trim(2.0), 2.0);
        check("mp4", &trim(1.3), 1.3);
        for (format, recipe) in due(&ENCODES, number, 2).filter(|(format, _)| *format != "webm") {
            check(format, recipe, 0.0);
        }
    }
}

/// Holds the time of each frame against that of the source, half a tick apart at most.
fn check_times(clip: &Path, format: &str, recipe: &str, start: f64) {
    let outcome = made(clip, format, recipe);
    let name = format!("{} in {format} by {recipe}", clip.display());
    let zero = zero(clip) + start;
    let before = judge::frames(clip).into_iter().map(|frame| frame.pts - zero);
    let before: Vec<_> = before.filter(|pts| *pts >= -1e-6).collect();
    let after: Vec<_> = judge::frames(&outcome.path).iter().map(|frame| frame.pts).collect();
    assert_eq!(after.len(), before.len(), "{name}");
    let half = judge::probe(&outcome.path).video().tick / 2.0 + 1e-6;
    for (before, after) in before.into_iter().zip(after) {
        assert_near(after, before, half, &name);
    }
    assert_eq!(warning(&outcome, "TIMES_MOVED"), None, "{name}");
}

#[test]
fn trap_03_variable_frame_rates_keep_each_time_to_half_a_tick() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (number, name) in ["vfr.mp4", "vfr-jitter.mkv"].into_iter().enumerate() {
        let clip = fixtures::get(name);
        check_times(&clip, "mp4", r#""transcode""#, 0.0);
        check_times(&clip, "mov", r#""transcode""#, 0.0);
        check_times(&clip, "mp4", r#""webReady""#, 0.0);
        check_times(&clip, "mp4", &trim(1.3), 1.3);
        check_times(&clip, "webm", &trim(1.3), 1.3);
        for (format, recipe) in due(&ENCODES, 2 * number, 3) {
            check_times(&clip, format, recipe, 0.0);
        }
    }
}

#[test]
fn trap_03_variable_frame_rates_of_a_real_clip_are_kept() {
    let Some(clip) = fixtures::media!("Vanilagy_mediabunny/test/public/cursed-vfr.mp4") else {
        return;
    };
    check_times(&clip, "mp4", r#""transcode""#, 0.0);
    check_times(&clip, "mp4", r#""transcode","reencode":true,"preset":"ultrafast""#, 0.0);
    check_times(&clip, "mp4", r#""proxy","width":320"#, 0.0);
}

#[test]
fn trap_03_frames_that_share_a_tick_move_on_and_are_counted() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("vfr-dense.mp4");
    check_times(&clip, "mp4", ENCODES[0].1, 0.0);
    let outcome = made(&clip, "webm", ENCODES[1].1);
    let stats = &outcome.report.stats;
    assert_eq!((stats.frames_decoded, stats.frames_encoded), (20, 20));
    let told = warning(&outcome, "TIMES_MOVED").expect("the report counts them");
    assert!(told.contains(": 10 frames"), "{told}");
    let (before, after) = (judge::frames(&clip), judge::frames(&outcome.path));
    assert_eq!(after.len(), 20);
    assert!(after.is_sorted_by(|a, b| a.pts < b.pts));
    for (before, after) in before.iter().zip(&after) {
        assert_near(after.pts, before.pts, 0.001, "a frame that moved");
    }
}

#[test]
fn trap_04_no_frame_is_lost_at_the_tail() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clips = [
        ("counter-h264-aac.mp4", 100),
        ("counter-h264-aac.mkv", 100),
        ("counter-h264-aac.ts", 100),
        ("counter-60fps.mp4", 240),
        ("counter-30000-1001.mp4", 120),
        ("h264-open-gop.mp4", 100),
        ("hevc-open-gop.mp4", 100),
        ("vp9-opus.webm", 100),
        ("av1-aac.mp4", 100),
        ("mpeg4-mp3.avi", 100),
    ];
    for (number, (name, count)) in clips.into_iter().enumerate() {
        let expected: Vec<_> = (0..count).map(Some).collect();
        for (format, recipe) in
            [("mp4", r#""transcode""#)].into_iter().chain(due(&ENCODES, number, 1))
        {
            let outcome = made(&fixtures::get(name), format, recipe);
            assert_eq!(judge::counters(&outcome.path), expected, "{name} in {format} by {recipe}");
        }
    }
}

#[test]
fn trap_04_a_trim_has_the_frames_of_its_span_and_no_other() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let spans = [(0.0, 1.0), (1.3, 0.5), (2.0, 9.0), (0.0, 2.0), (1.0, 1.0), (2.0, 1.04)];
    let clips = [
        "counter-h264-aac.mp4",
        "counter-h264-aac.mkv",
        "counter-h264-aac.ts",
        "h264-open-gop.mp4",
        "hevc-open-gop.mp4",
        "vp9-opus.webm",
        "av1-aac.mp4",
    ];
    for (number, name) in clips.into_iter().enumerate() {
        let clip = fixtures::get(name);
        let (tick, zero) = (judge::probe(&clip).video().tick, zero(&clip));
        let frames: Vec<_> = judge::frames(&clip).into_iter().zip(judge::counters(&clip)).collect();
        let format = if name.ends_with("webm") { "webm" } else { "mp4" };
        // The last one and two frames are fewer than most encoders hold back.
        let tail = [(3.9, 9.0), (3.95, 9.0)];
        for (start, duration) in due(&spans, number, 3).chain(tail) {
            let recipe = format!(r#"{},"durationSeconds":{duration}"#, trim(start));
            let outcome = made(&clip, format, &recipe);
            let (from, to) = (zero + start - tick / 2.0, zero + start + duration - tick / 2.0);
            let expected = frames.iter().filter(|(frame, _)| (from..to).contains(&frame.pts));
            let expected: Vec<_> = expected.map(|(_, counter)| *counter).collect();
            assert!(!expected.is_empty());
            assert_eq!(judge::counters(&outcome.path), expected, "{name} by {recipe}");
        }
    }
}

#[test]
fn trap_04_sound_that_outlasts_the_picture_is_kept_to_its_last_sample() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, seconds) in [("short-audio.mp4", 3.5), ("long-audio.mp4", 5.0)] {
        let clip = fixtures::get(name);
        let clicks = judge::clicks(&clip).len();
        for (format, recipe) in [("mp4", r#""transcode""#)].into_iter().chain(ENCODES) {
            let outcome = made(&clip, format, recipe);
            let name = format!("{name} in {format} by {recipe}");
            let samples = judge::audio_samples(&outcome.path);
            let found = samples.mono().len() as f64 / f64::from(samples.rate);
            // This decoder gives what the edit list hides of the last packet of AAC.
            let most = seconds + if format == "webm" { 0.001 } else { 1024.0 / 48_000.0 };
            assert!((seconds - 1e-5..most).contains(&found), "{name}: {found} s");
            let stated = judge::probe(&outcome.path).audio().duration;
            assert_near(stated.unwrap_or(seconds), seconds, 0.001, &name);
            assert_eq!(judge::clicks(&outcome.path).len(), clicks, "{name}");
        }
    }
}

#[test]
fn trap_05_rotation_is_applied_by_an_encode_and_kept_by_a_copy() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clips = [
        ("counter-h264-aac.mp4", (320, 180)),
        ("rot90.mp4", (180, 320)),
        ("rot180.mp4", (320, 180)),
        ("rot270.mp4", (180, 320)),
        ("mirrored.mp4", (320, 180)),
        ("mirrored-rot90.mp4", (180, 320)),
    ];
    for (number, (name, (width, height))) in clips.into_iter().enumerate() {
        let clip = fixtures::get(name);
        let check_upright = |format: &str, recipe: &str| {
            let outcome = made(&clip, format, recipe);
            let name = format!("{name} in {format} by {recipe}");
            let picture = judge::picture(&outcome.path);
            assert_eq!(picture.corners(), judge::UPRIGHT, "{name}");
            assert_eq!((picture.width, picture.height), (width, height), "{name}");
            let video = judge::probe(&outcome.path).video().clone();
            assert_eq!((video.width, video.rotation), (u32::try_from(width).unwrap(), 0), "{name}");
            assert!(video.matrix.is_none_or(|matrix| matrix[..5] == [65_536, 0, 0, 0, 65_536]));
        };
        let (resize, trimmed) = (format!(r#""resize","width":{width}"#), trim(1.3));
        let [h264, vp9, proxy, web, _] = ENCODES;
        let encodes = [h264, vp9, proxy, web, ("mov", &*resize), ("mp4", &*trimmed)];
        for (format, recipe) in due(&encodes, number, 2) {
            check_upright(format, recipe);
        }
        for format in due(&["png", "jpg", "webp"], number, 2) {
            check_upright(format, r#""thumbnail","seekSeconds":1"#);
        }
        let part =
            |path: &Path| judge::probe(path).video().matrix.map(|matrix| matrix[..5].to_vec());
        for (format, recipe) in
            [("mp4", r#""transcode""#), ("mov", r#""transcode""#), ("mp4", &*trim(2.0))]
        {
            let outcome = made(&clip, format, recipe);
            assert_eq!(action(&outcome), "copy", "{name} by {recipe}");
            assert_eq!(part(&outcome.path), part(&clip), "{name} in {format} by {recipe}");
            assert_eq!(judge::picture(&outcome.path).corners(), judge::UPRIGHT, "{name}");
        }
        // Browsers turn pictures, but do not mirror them.
        let web = made(&clip, "mp4", r#""webReady""#);
        assert_eq!(action(&web) == "encode", name.starts_with("mirrored"), "{name} for the web");
        assert_eq!(judge::picture(&web.path).corners(), judge::UPRIGHT, "{name} for the web");
    }
}

#[test]
fn trap_05_rotation_of_a_real_clip_is_right() {
    let name = "luke-cha_fate-suite/video/h264/sample-in-issue-505.mp4";
    let Some(clip) = fixtures::media!(name) else { return };
    let source = judge::probe(&clip).video().clone();
    assert_eq!(source.rotation % 180, 90);
    let copy = made(&clip, "mp4", r#""trim","durationSeconds":2"#);
    assert_eq!(action(&copy), "copy");
    assert_eq!(judge::probe(&copy.path).video().rotation, source.rotation);
    let encode = made(&clip, "mp4", ENCODES[0].1);
    let video = judge::probe(&encode.path).video().clone();
    assert_eq!((video.width, video.height, video.rotation), (source.height, source.width, 0));
    let likeness = judge::ssim(&encode.path, &clip, "", "");
    assert!(likeness > 0.9, "SSIM {likeness}");
    thumbnail::check_against_full_decode(&clip, 1.0, "", "png");
}

/// Runs encodes, and holds the size of its result against the shape that is shown.
fn check_square(clip: &Path, number: usize, (width, height): (u32, u32)) {
    let name = clip.display();
    for (format, recipe) in due(&ENCODES, number, 3) {
        let video = judge::probe(&made(clip, format, recipe).path).video().clone();
        assert!(matches!(video.sar.as_str(), "" | "1:1"), "{name} by {recipe}: {}", video.sar);
        let scaled = if recipe.contains("resize") { 320.0 / f64::from(width) } else { 1.0 };
        let made = (f64::from(video.width), f64::from(video.height));
        let name = format!("{name} by {recipe}");
        assert_near(made.0, f64::from(width) * scaled, 1.0, &name);
        assert_near(made.1, f64::from(height) * scaled, 1.0, &name);
    }
    let web = plan(clip, "mp4", r#""webReady""#).unwrap();
    assert_eq!(web.strategy, Strategy::WebEncode, "{name}");
    for format in due(&["png", "jpg", "webp"], number, 1) {
        let picture = judge::picture(&made(clip, format, r#""thumbnail""#).path);
        assert_eq!((picture.width, picture.height), (width as usize, height as usize), "{name}");
    }
}

#[test]
fn trap_06_anamorphic_pictures_get_square_pixels_and_keep_their_shape() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clips = [
        ("sar-16-15.mp4", (768, 576)),
        ("sar-64-45.mp4", (1024, 576)),
        ("sar-2-1.mkv", (320, 180)),
    ];
    for (number, (name, size)) in clips.into_iter().enumerate() {
        let clip = fixtures::get(name);
        check_square(&clip, number, size);
        for format in ["mp4", "mov"] {
            let copy = judge::probe(&made(&clip, format, r#""transcode""#).path).video().clone();
            let shown = judge::probe(&clip).video().sar.clone();
            assert_eq!(copy.sar, shown, "a copy of {name} in {format}");
        }
    }
}

#[test]
fn trap_06_an_anamorphic_real_clip_keeps_its_shape() {
    let Some(clip) = fixtures::media!("Vanilagy_mediabunny/test/public/sar_2x1.mp4") else {
        return;
    };
    let video = judge::probe(made(&clip, "mp4", r#""webReady","durationSeconds":1"#).path);
    assert_eq!((video.video().width, video.video().height), (1280, 360));
    assert_eq!(plan(&clip, "mp4", r#""webReady""#).unwrap().strategy, Strategy::WebEncode);
    assert_eq!(judge::picture(made(&clip, "jpg", r#""thumbnail""#).path).width, 1280);
}

#[test]
fn trap_07_odd_sides_become_even() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clips = [
        ("odd-405x720.mp4", (405, 720)),
        ("odd-405x720.webm", (405, 720)),
        ("odd-161x121.webm", (161, 121)),
        ("tiny-1x1.mkv", (1, 1)),
        ("tiny-1x1-444.mkv", (1, 1)),
        ("tiny-1x1.avi", (1, 1)),
        ("tiny-3x2.mkv", (3, 2)),
        ("tiny-3x2-444.mkv", (3, 2)),
        ("tiny-2x2.mp4", (2, 2)),
    ];
    for (name, size) in clips {
        check_even(&fixtures::get(name), size);
    }
}

#[test]
fn trap_07_odd_sides_of_a_real_clip_become_even() {
    let name = "androidx_media/vp9/bear-vp9-odd-dimensions.webm";
    let Some(clip) = fixtures::media!(name) else { return };
    check_even(&clip, (161, 121));
}

fn check_even(clip: &Path, (width, height): (u32, u32)) {
    for (format, recipe) in &ENCODES[..4] {
        let video = judge::probe(&made(clip, format, recipe).path).video().clone();
        let rounds_down = !recipe.contains("transcode");
        let is_right = |made: u32, shown: u32| {
            let below = (shown / 2 * 2).max(2);
            if rounds_down { made == below } else { made % 2 == 0 && made.abs_diff(shown) <= 1 }
        };
        let name = format!("{} by {recipe}: {}x{}", clip.display(), video.width, video.height);
        assert!(is_right(video.width, width) && is_right(video.height, height), "{name}");
    }
    for (codec, least, preset) in [("hevc", 16, r#""ultrafast""#), ("av1", 64, "12")] {
        let recipe = format!(r#""transcode","reencode":true,"codec":"{codec}","preset":{preset}"#);
        let name = format!("{} by {recipe}", clip.display());
        if width.min(height) >= least {
            let video = judge::probe(&made(clip, "mp4", &recipe).path).video().clone();
            assert_eq!((video.codec.as_str(), video.width % 2, video.height % 2), (codec, 0, 0));
            continue;
        }
        let error = plan(clip, "mp4", &recipe).expect_err(&name);
        assert_eq!(error.code(), "INPUT_INVALID", "{name}");
        assert!(error.to_string().contains(&format!("{least}x{least}")), "{name}: {error}");
    }
}

/// Luma, blue and red difference of a color in limited range, by a matrix of ITU-T H.273.
fn codes_of(color: [u8; 3], matrix: &str) -> [f64; 3] {
    let (red, blue) = match matrix {
        "bt709" => (0.2126, 0.0722),
        "bt2020nc" => (0.2627, 0.0593),
        "smpte170m" | "bt470bg" => (0.299, 0.114),
        other => panic!("no matrix {other}"),
    };
    let [r, g, b] = color.map(|value| f64::from(value) / 255.0);
    let luma = red * r + (1.0 - red - blue) * g + blue * b;
    let difference = |value: f64, weight: f64| 128.0 + 112.0 * (value - luma) / (1.0 - weight);
    [16.0 + 219.0 * luma, difference(b, blue), difference(r, red)]
}

/// Holds each bar of a picture against its color, two codes apart at most.
fn check_bars(path: &Path, matrix: &str, name: &str) {
    let picture = judge::codes(path);
    let count = fixtures::BARS.len();
    for (index, color) in fixtures::BARS.into_iter().enumerate() {
        let found = picture.cell((index, count), (0, 1));
        for (found, expected) in found.into_iter().zip(codes_of(color, matrix)) {
            assert_near(found, expected, 2.0, &format!("bar {index} of {name}"));
        }
    }
}

const BARS: [(&str, &str); 8] = [
    ("bars-601-limited.mp4", "smpte170m"),
    ("bars-601-full.mp4", "smpte170m"),
    ("bars-709-limited.mp4", "bt709"),
    ("bars-709-full.mp4", "bt709"),
    ("bars-2020-limited.mp4", "bt2020nc"),
    ("bars-2020-full.mp4", "bt2020nc"),
    ("untagged-sd.mp4", "smpte170m"),
    ("untagged-hd.mp4", "bt709"),
];

#[test]
fn trap_08_bars_of_each_range_and_matrix_keep_their_codes() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let finely = [
        ("mp4", r#""transcode","reencode":true,"crf":4,"preset":"veryfast""#),
        ("mp4", r#""transcode","reencode":true,"crf":4,"codec":"hevc","preset":"ultrafast""#),
        ("webm", r#""transcode","reencode":true,"crf":4,"preset":8"#),
        ("mp4", r#""proxy","crf":4"#),
        ("mp4", r#""webReady","crf":4"#),
        ("mov", r#""resize","width":640"#),
        ("mp4", r#""trim","startSeconds":0.2"#),
    ];
    for (number, (name, matrix)) in BARS.into_iter().enumerate() {
        let clip = fixtures::get(name);
        for (format, recipe) in due(&finely, number, 3) {
            let outcome = made(&clip, format, recipe);
            let name = format!("{name} in {format} by {recipe}");
            let video = judge::probe(&outcome.path).video().clone();
            let tags = (video.color_range.as_str(), video.color_space.as_str());
            assert_eq!((action(&outcome), tags), ("encode", ("tv", matrix)), "{name}");
            check_bars(&outcome.path, matrix, &name);
            assert_eq!(warning(&outcome, "COLOR_TAGS_RESERVED"), None, "{name}");
        }
        for format in due(&["png", "jpg", "webp"], number, 2) {
            let outcome = made(&clip, format, r#""thumbnail""#);
            check_bars(&outcome.path, "smpte170m", &format!("{name} in {format}"));
        }
        let copy = made(&clip, "mov", r#""transcode""#);
        let hashes = |path: &Path| judge::frame_hashes(path, "v:0");
        assert_eq!(hashes(&copy.path), hashes(&clip), "a copy of {name}");
        let tags = |path: &Path| {
            let video = judge::probe(path).video().clone();
            (video.color_range, video.color_space, video.color_primaries, video.color_transfer)
        };
        assert_eq!(tags(&copy.path), tags(&clip), "a copy of {name}");
    }
}

#[test]
fn trap_08_reserved_color_tags_are_a_warning() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("reserved-color.mp4");
    let others = [
        ("mp4", r#""transcode""#),
        ("mov", r#""transcode""#),
        ("mp4", r#""webReady""#),
        ("mp4", r#""compress""#),
        ("mp4", r#""trim","startSeconds":0.2"#),
        ("png", r#""thumbnail""#),
        ("jpg", r#""thumbnail""#),
        ("webp", r#""thumbnail""#),
    ];
    for (format, recipe) in ENCODES.into_iter().chain(others) {
        let outcome = made(&clip, format, recipe);
        let told = warning(&outcome, "COLOR_TAGS_RESERVED");
        assert!(told.is_some(), "{recipe} in {format}: {:?}", outcome.report.warnings);
        assert_eq!(judge::decode_errors(&outcome.path), [""; 0], "{recipe} in {format}");
    }
}

#[test]
fn trap_08_the_full_range_of_a_real_clip_is_not_washed_out() {
    let Some(clip) = fixtures::media!("Vanilagy_mediabunny/test/public/video-h265.mp4") else {
        return;
    };
    let before = judge::codes(&clip);
    for recipe in ["webReady", "proxy"] {
        let recipe = format!(r#""{recipe}","crf":18,"durationSeconds":0.2"#);
        let outcome = made(&clip, "mp4", &recipe);
        assert_eq!(judge::probe(&outcome.path).video().color_range, "tv");
        let after = judge::codes(&outcome.path);
        for (column, row) in (0..16).flat_map(|column| (0..9).map(move |row| (column, row))) {
            let cell = |picture: &judge::Picture| picture.cell((column, 16), (row, 9));
            for (before, after) in cell(&before).into_iter().zip(cell(&after)) {
                assert_near(after, before, 2.0, &format!("{recipe}: cell {column}, {row}"));
            }
        }
    }
}

/// Mastering display and light level of the first frame, else of the stream: what each number is
/// called, and the number in the units of HEVC.
fn hdr(path: &Path) -> [Vec<(String, i64)>; 2] {
    let (frame, video) = (judge::first_frame(path), judge::probe(path).video().clone());
    ["Mastering display metadata", "Content light level metadata"].map(|kind| {
        let sides = frame["side_data_list"].as_array().cloned().unwrap_or_default();
        let of_frame = sides.into_iter().find(|side| side["side_data_type"] == kind);
        let side = of_frame.or_else(|| video.side_data(kind).cloned()).unwrap_or_default();
        let units = |key: &str, value: &Value| {
            let Some((num, den)) = value.as_str().and_then(|text| text.split_once('/')) else {
                return value.as_i64();
            };
            let unit = if key.ends_with("luminance") { 10_000.0 } else { 50_000.0 };
            Some((unit * num.parse::<f64>().ok()? / den.parse::<f64>().ok()?).round() as i64)
        };
        let numbers = side.as_object().into_iter().flatten();
        numbers.filter_map(|(key, value)| Some((key.clone(), units(key, value)?))).collect()
    })
}

#[test]
fn trap_09_high_dynamic_range_keeps_its_metadata() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("hdr10.mp4");
    let before = hdr(&clip);
    assert_eq!(before.each_ref().map(Vec::len), [10, 2], "{before:?}");
    let jobs = [
        ("copy", "mp4", r#""transcode""#),
        ("copy", "mov", r#""transcode""#),
        ("copy", "mp4", r#""trim","durationSeconds":0.2"#),
        ("encode", "mp4", r#""trim","startSeconds":0.2"#),
        ("encode", "mp4", r#""resize","width":160"#),
        ("encode", "mov", r#""transcode","codec":"hevc","reencode":true,"preset":"ultrafast""#),
        ("encode", "mp4", r#""transcode","codec":"av1","preset":12"#),
        ("encode", "webm", r#""transcode","codec":"av1","preset":12"#),
        ("encode", "webm", r#""transcode","codec":"vp9","preset":8"#),
    ];
    for (expected, format, recipe) in jobs {
        let outcome = made(&clip, format, recipe);
        let video = judge::probe(&outcome.path).video().clone();
        assert_eq!(action(&outcome), expected, "{recipe}");
        assert_eq!(
            (video.color_transfer.as_str(), video.color_primaries.as_str()),
            ("smpte2084", "bt2020"),
            "{recipe}"
        );
        assert!(video.pix_fmt.ends_with("10le"), "{recipe}: {}", video.pix_fmt);
        assert_eq!(hdr(&outcome.path), before, "{recipe} in {format}");
    }
}

#[test]
fn trap_10_high_dynamic_range_becomes_standard_without_a_cast() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let encodes = [
        ("mp4", r#""transcode","reencode":true,"crf":8,"codec":"h264","preset":"veryfast""#),
        ("mp4", r#""webReady","crf":8"#),
        ("mp4", r#""proxy","crf":8"#),
        ("mp4", r#""compress","crf":8"#),
    ];
    let pictures = ["png", "jpg", "webp"].map(|format| (format, r#""thumbnail""#));
    let clips = ["hdr10.mp4", "pq-plain.mp4", "pq-bogus-peak.mp4", "hlg.mp4"];
    for (number, name) in clips.into_iter().enumerate() {
        for (format, recipe) in due(&encodes, number, 2).chain(due(&pictures, number, 2)) {
            let outcome = made(&fixtures::get(name), format, recipe);
            let name = format!("{name} in {format} by {recipe}");
            if format == "mp4" {
                let video = judge::probe(&outcome.path).video().clone();
                let tags = [video.color_space, video.color_primaries, video.color_transfer];
                assert_eq!(tags, ["bt709"; 3], "{name}");
                assert_eq!((&*video.color_range, &*video.pix_fmt), ("tv", "yuv420p"), "{name}");
                assert!(hdr(&outcome.path).iter().all(Vec::is_empty), "{name}");
            }
            check_ramp(&judge::codes(&outcome.path), &name);
        }
    }
}

/// Grays are neutral and rise from black to white; colors keep their hue.
fn check_ramp(picture: &judge::Picture, name: &str) {
    let steps = fixtures::GRAYS as usize;
    let cell = |step, row| picture.cell((step, steps), (row, 2));
    let grays: Vec<_> = (0..steps).map(|step| cell(step, 0)).collect();
    for (step, [_, blue, red]) in grays.iter().enumerate() {
        assert_near(*blue, 128.0, 3.0, &format!("gray {step} of {name}"));
        assert_near(*red, 128.0, 3.0, &format!("gray {step} of {name}"));
    }
    assert!(grays.is_sorted_by(|a, b| a[0] <= b[0] + 0.5), "{name}: {grays:?}");
    assert!(grays[0][0] < 20.0 && grays[steps - 1][0] > 180.0, "{name}: {grays:?}");
    for step in 0..steps {
        // Blue difference changes its sign at each patch, red difference at every second.
        let [_, blue, red] = cell(step, 1);
        let is_high = |code: f64| code > 128.0;
        let found = (is_high(blue), is_high(red));
        assert_eq!(
            found,
            (step % 2 == 0, step / 2 % 2 == 0),
            "patch {step} of {name}: {blue} {red}"
        );
    }
}

#[test]
fn trap_10_wide_gamut_without_high_dynamic_range_is_not_tone_mapped() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["bars-2020-limited.mp4", "bars-2020-full.mp4"] {
        let clip = fixtures::get(name);
        for (format, recipe) in ENCODES.into_iter().filter(|(_, recipe)| !recipe.contains("resize"))
        {
            let outcome = made(&clip, format, recipe);
            let video = judge::probe(&outcome.path).video().clone();
            let tags = [&*video.color_space, &*video.color_primaries, &*video.color_transfer];
            assert_eq!(tags, ["bt2020nc", "bt2020", "bt2020-10"], "{name} by {recipe}");
            let reasons = format!("{}", outcome.plan);
            assert!(!reasons.contains("HDR_TO_SDR"), "{reasons}");
        }
    }
}

#[test]
fn trap_10_real_clips_of_high_dynamic_range_become_standard() {
    for clip in [
        fixtures::media!("meta-pytorch_torchcodec/nasa_13013_hdr.mp4"),
        fixtures::media!("androidx_media/mp4/hlg10-color-test.mp4"),
    ]
    .into_iter()
    .flatten()
    {
        let outcome = made(&clip, "mp4", r#""webReady","durationSeconds":0.3"#);
        let video = judge::probe(&outcome.path).video().clone();
        let tags = [video.color_space, video.color_primaries, video.color_transfer];
        assert_eq!(tags, ["bt709"; 3], "{}", clip.display());
        // The thumbnail is held against a full decode, the video against the thumbnail.
        thumbnail::check_against_full_decode(&clip, 0.0, "", "png");
        let picture = judge::picture(made(&clip, "png", r#""thumbnail""#).path);
        let shown = judge::rgb(&outcome.path, 0.0, "");
        for (column, row) in (0..8).flat_map(|column| (0..6).map(move |row| (column, row))) {
            let cell = |picture: &judge::Picture| picture.cell((column, 8), (row, 6));
            for (picture, shown) in cell(&picture).into_iter().zip(cell(&shown)) {
                assert_near(shown, picture, 8.0, &format!("{}: {column}, {row}", clip.display()));
            }
        }
    }
}

#[test]
fn trap_11_every_encoded_web_video_is_8_bit_420_in_high_profile() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clips = [
        ("counter-h264-aac.mp4", "High", "yuv420p"),
        ("h264-10bit.mp4", "High 10", "yuv420p10le"),
        ("h264-422.mp4", "High 4:2:2", "yuv422p"),
        ("h264-422-10bit.mp4", "High 4:2:2", "yuv422p10le"),
        ("h264-444.mp4", "High 4:4:4 Predictive", "yuv444p"),
        ("h264-rgb.mp4", "High 4:4:4 Predictive", "gbrp"),
        ("hevc-main10.mp4", "Main 10", "yuv420p10le"),
        ("hdr10.mp4", "Main 10", "yuv420p10le"),
        ("vp9-opus.webm", "Profile 0", "yuv420p"),
        ("av1-aac.mp4", "Main", "yuv420p"),
        ("prores-pcm.mov", "Proxy", "yuv422p10le"),
        ("dnxhr-pcm.mov", "DNXHR LB", "yuv422p"),
        ("ffv1-flac.mkv", "", "yuv420p"),
        ("ffv1-gray.mkv", "", "gray10le"),
        ("ffv1-alpha.mkv", "", "yuva444p10le"),
        ("mjpeg-pcm.avi", "Baseline", "yuvj420p"),
        ("animated.gif", "", "bgra"),
    ];
    let recipes = [
        r#""webReady""#,
        r#""webReady","bitrateKbps":500"#,
        r#""proxy""#,
        r#""proxy","gop":"all_intra""#,
        r#""transcode","reencode":true,"codec":"h264""#,
    ];
    for (number, (name, profile, pixels)) in clips.into_iter().enumerate() {
        let clip = fixtures::get(name);
        let source = judge::probe(&clip).video().clone();
        assert_eq!((&*source.profile, &*source.pix_fmt), (profile, pixels), "{name}");
        let counters = judge::counters(&clip);
        for recipe in due(&recipes, number, 2) {
            let outcome = made(&clip, "mp4", recipe);
            let name = format!("{name} by {recipe}");
            if action(&outcome) == "bytes" {
                assert_eq!((profile, pixels), ("High", "yuv420p"), "{name}");
                continue;
            }
            let video = judge::probe(&outcome.path).video().clone();
            let found = [&*video.codec, &*video.tag, &*video.profile, &*video.pix_fmt];
            assert_eq!(found, ["h264", "avc1", "High", "yuv420p"], "{name}");
            assert_eq!(judge::counters(&outcome.path), counters, "{name}");
        }
    }
}

/// Holds the tag of each HEVC that is made of a clip against the one that Apple's players take.
fn check_tag<'a>(clip: &Path, jobs: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) {
    for (expected, format, recipe) in jobs {
        let outcome = made(clip, format, recipe);
        let video = judge::probe(&outcome.path).video().clone();
        let name = format!("{} in {format} by {recipe}", clip.display());
        let found = (action(&outcome), &*video.codec, &*video.tag);
        assert_eq!(found, (expected, "hevc", "hvc1"), "{name}");
        assert_eq!(judge::decode_errors(&outcome.path), [""; 0], "{name}");
    }
}

#[test]
fn trap_12_hevc_is_tagged_hvc1_by_copies_and_encodes() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let encode = r#""transcode","reencode":true,"codec":"hevc","preset":"ultrafast""#;
    let compress = r#""compress","codec":"hevc","preset":"ultrafast""#;
    let clips = ["hevc-hev1.mp4", "hevc-aac.mp4", "hevc.mkv", "hevc.ts"];
    for (number, name) in clips.into_iter().enumerate() {
        let clip = fixtures::get(name);
        let trimmed = trim(3.5);
        let jobs = [
            ("copy", "mp4", r#""transcode""#),
            ("copy", "mov", r#""transcode""#),
            ("copy", "mp4", r#""trim""#),
            ("copy", "mov", r#""trim""#),
            ("encode", "mp4", &*trimmed),
            ("encode", "mov", encode),
            ("encode", "mp4", r#""resize","width":160"#),
        ];
        check_tag(&clip, due(&jobs, number, 4));
        let copy = made(&clip, "mp4", r#""transcode""#);
        let hashes = |path: &Path| judge::frame_hashes(path, "v:0");
        assert_eq!(hashes(&copy.path), hashes(&clip), "a copy of {name}");
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    check_tag(&clip, [("encode", "mp4", encode), ("encode", "mov", compress)]);
}

#[test]
fn trap_12_hevc_of_real_clips_is_tagged_hvc1() {
    let clips = [
        fixtures::media!("Vanilagy_mediabunny/test/public/video-h265.mp4"),
        fixtures::media!("mozilla_mp4parse-rust/mp4parse/tests/hevc_white_frame.mp4"),
        fixtures::media!("meta-pytorch_torchcodec/nasa_13013_hdr.mp4"),
    ];
    let copies = [("copy", "mp4", r#""transcode""#), ("copy", "mov", r#""transcode""#)];
    for (number, clip) in clips.into_iter().flatten().enumerate() {
        check_tag(&clip, due(&copies, number, 1));
    }
}
