//! Traps 1 to 7: media whose times and shapes transcoders often get wrong.

use std::path::Path;

use avocet::plan::{Strategy, TrackKind};
use fixtures::judge;

use crate::{
    support::{Outcome, plan, run},
    thumbnail, transcode,
};

/// Recipes that encode, each with its format.
pub(crate) const ENCODES: [(&str, &str); 5] = [
    ("mp4", r#""transcode","reencode":true,"preset":"veryfast""#),
    ("webm", r#""transcode","reencode":true,"preset":8"#),
    ("mp4", r#""proxy""#),
    ("mp4", r#""webReady","crf":23"#),
    ("mov", r#""resize","width":320"#),
];

/// The rows of a table that are tried on the clip with a number: `count` of them by turns, or all
/// with `AVOCET_SOAK`.
pub(crate) fn due<T: Copy>(table: &[T], number: usize, count: usize) -> impl Iterator<Item = T> {
    let is_due = move |place: usize| fixtures::soak() || (place + number) % table.len() < count;
    (0..table.len()).filter(move |place| is_due(*place)).map(|place| table[place])
}

pub(crate) fn made(clip: &Path, format: &str, recipe: &str) -> Outcome {
    run(clip, format, recipe)
        .unwrap_or_else(|error| panic!("{} in {format} by {recipe}: {error}", clip.display()))
}

/// The action of the video track: `copy` or `encode`, or `bytes` when the whole file is copied.
pub(crate) fn action(outcome: &Outcome) -> &'static str {
    let mut tracks = outcome.plan.tracks();
    tracks.find(|track| track.kind == TrackKind::Video).map_or("bytes", |track| track.action.name())
}

pub(crate) fn warning<'a>(outcome: &'a Outcome, code: &str) -> Option<&'a str> {
    let mut warnings = outcome.report.warnings.iter();
    warnings.find(|warning| warning.code == code).map(|warning| warning.message.as_str())
}

pub(crate) fn trim(start: f64) -> String {
    format!(r#""trim","startSeconds":{start}"#)
}

/// The start of a clip in seconds, which is 0 for a job document.
pub(crate) fn zero(clip: &Path) -> f64 {
    judge::probe(clip).start.unwrap_or(0.0).max(0.0)
}

pub(crate) fn assert_near(found: f64, expected: f64, limit: f64, name: &str) {
    assert!((found - expected).abs() <= limit, "{name}: {found} for {expected}");
}

#[test]
fn trap_01_edit_lists_keep_every_click_beside_its_flash() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // Each clip with the time of a keyframe, and a time between two keyframes.
    let clips = [
        ("empty-edit.mp4", 4.0, 2.6),
        ("media-time.mp4", 1.48, 0.9),
        ("both-edits.mp4", 3.48, 2.6),
    ];
    for (number, (name, keyframe, between)) in clips.into_iter().enumerate() {
        let clip = fixtures::get(name);
        let pairs = |path: &Path| {
            let (flashes, clicks) = (judge::flashes(path), judge::clicks(path));
            let nearest = |flash: f64| {
                let distance = |click: &f64| (click - flash).abs();
                let nearest = clicks.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
                *nearest.expect("a click")
            };
            flashes.into_iter().map(|flash| (flash, nearest(flash))).collect::<Vec<_>>()
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
        // libavformat can not write an edit list with both an empty edit and hidden frames, so
        // these are encoded.
        let copy = if name == "both-edits.mp4" { "encode" } else { "copy" };
        check(copy, "mp4", r#""transcode""#, 0.0);
        check(copy, "mov", r#""transcode""#, 0.0);
        check(copy.replace("copy", "bytes").as_str(), "mp4", r#""webReady""#, 0.0);
        check("copy", "mp4", &trim(keyframe), keyframe);
        // A smart cut.
        check("copy", "mp4", &trim(between), between);
        check("encode", "webm", &trim(keyframe), keyframe);
        for (format, recipe) in due(&ENCODES, number, 1) {
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
    // Exactly the frames that the edit list hides must stay hidden.
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
    for (number, name) in fixtures::sample(clips.into_iter().enumerate(), 2) {
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
            // Frames are 40 ms apart. Without sound, the first kept frame is the start.
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
        for (format, recipe) in due(&ENCODES, number, 1).filter(|(format, _)| *format != "webm") {
            check(format, recipe, 0.0);
        }
    }
}

/// Compares the time of each frame with that of the source, with a tolerance of half a tick.
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
        for (format, recipe) in due(&ENCODES, 3 * number, 1) {
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
    for (number, (name, count)) in fixtures::sample(clips.into_iter().enumerate(), 2) {
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
    for (number, name) in fixtures::sample(clips.into_iter().enumerate(), 3) {
        let clip = fixtures::get(name);
        let (tick, zero) = (judge::probe(&clip).video().tick, zero(&clip));
        let frames: Vec<_> = judge::frames(&clip).into_iter().zip(judge::counters(&clip)).collect();
        let format = if name.ends_with("webm") { "webm" } else { "mp4" };
        // The last one and two frames: fewer than most encoders delay.
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
    let clips = [("short-audio.mp4", 3.5), ("long-audio.mp4", 5.0)];
    for (number, (name, seconds)) in clips.into_iter().enumerate() {
        let clip = fixtures::get(name);
        let clicks = judge::clicks(&clip).len();
        for (format, recipe) in
            [("mp4", r#""transcode""#)].into_iter().chain(due(&ENCODES, 3 * number, 3))
        {
            let outcome = made(&clip, format, recipe);
            let name = format!("{name} in {format} by {recipe}");
            let samples = judge::audio_samples(&outcome.path);
            let found = samples.mono().len() as f64 / f64::from(samples.rate);
            // This decoder outputs samples of the last AAC packet that the edit list hides.
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
    for (number, (name, (width, height))) in fixtures::sample(clips.into_iter().enumerate(), 3) {
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
        let resize = format!(r#""resize","width":{width}"#);
        let [h264, vp9, proxy, web, _] = ENCODES;
        let encodes = [h264, vp9, proxy, web, ("mov", &*resize)];
        for (format, recipe) in due(&encodes, number, 2) {
            check_upright(format, recipe);
        }
        for format in due(&["png", "jpg", "webp"], number, 1) {
            check_upright(format, r#""thumbnail","seekSeconds":1"#);
        }
        let part =
            |path: &Path| judge::probe(path).video().matrix.map(|matrix| matrix[..5].to_vec());
        // A cut at a keyframe, and a smart cut between two.
        let (cut, smart) = (trim(2.0), trim(1.3));
        let cuts = [("mp4", &*cut), ("mp4", &*smart)];
        let copies = [("mp4", r#""transcode""#), ("mov", r#""transcode""#), cuts[0], cuts[1]];
        for (format, recipe) in due(&copies, number, 2) {
            let outcome = made(&clip, format, recipe);
            assert_eq!(action(&outcome), "copy", "{name} by {recipe}");
            assert_eq!(part(&outcome.path), part(&clip), "{name} in {format} by {recipe}");
            assert_eq!(judge::picture(&outcome.path).corners(), judge::UPRIGHT, "{name}");
        }
        // Browsers apply rotations, but no mirroring.
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

/// Runs encodes, and checks that the result has the displayed size, with square pixels.
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
            if rounds_down {
                made == below
            } else {
                made.is_multiple_of(2) && made.abs_diff(shown) <= 1
            }
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
