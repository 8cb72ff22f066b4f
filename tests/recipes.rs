//! What recipes promise: results that browsers play, that are no larger, or of the asked size.

use std::{fs, path::Path};

use avocet::plan::{Action, Reason};
use fixtures::judge;

use crate::support::{plan, run};

fn strategy(clip: &Path, format: &str, recipe: &str) -> &'static str {
    plan(clip, format, recipe).unwrap().strategy.name()
}

/// The first reason for what is done to the video, or to all.
fn why(clip: &Path, recipe: &str) -> Option<String> {
    let plan = plan(clip, "mp4", recipe).unwrap();
    let code = |because: &[Reason]| because.first().map(|reason| reason.code.clone());
    let of_tracks = plan.tracks().find(|track| track.action != Action::Copy);
    of_tracks.map_or_else(|| code(&plan.because), |track| code(&track.because))
}

#[test]
fn web_ready_does_what_it_must_and_no_more() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let check = |name, expected, reason| {
        let clip = fixtures::get(name);
        assert_eq!(strategy(&clip, "mp4", r#""webReady""#), expected, "{name}");
        assert_eq!(why(&clip, r#""webReady""#).as_deref(), Some(reason), "{name}");
    };
    check("counter-h264-aac.mp4", "passthrough", "PLAYS_AS_IT_IS");
    check("vfr.mp4", "faststart_remux", "FASTSTART_MISSING");
    check("no-faststart.mp4", "faststart_remux", "FASTSTART_MISSING");
    check("fragmented.mp4", "faststart_remux", "FRAGMENTED");
    check("counter-h264-aac.mkv", "faststart_remux", "CONTAINER_NOT_BROWSER_SAFE");
    check("counter-h264-aac.ts", "faststart_remux", "CONTAINER_NOT_BROWSER_SAFE");
    check("hevc-aac.mp4", "web_encode", "VIDEO_CODEC_NOT_BROWSER_SAFE");
    check("h264-10bit.mp4", "web_encode", "VIDEO_NOT_8_BIT_420");
    check("h264-444.mp4", "web_encode", "VIDEO_NOT_8_BIT_420");
    check("sar-64-45.mp4", "web_encode", "PIXELS_NOT_SQUARE");
    check("h264-tff.mp4", "web_encode", "INTERLACED");
    check("prores-pcm.mov", "web_encode", "VIDEO_CODEC_NOT_BROWSER_SAFE");
}

#[test]
fn passthrough_places_the_bytes_of_the_input() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let made = run(&clip, "mp4", r#""webReady""#).unwrap();
    assert_eq!(fs::read(&made.path).unwrap(), fs::read(&clip).unwrap());
    assert!(made.report.warnings.is_empty());
}

#[test]
fn web_ready_of_its_own_result_is_passthrough() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let broken: Vec<_> = fixtures::broken().collect();
    let made = fixtures::all().filter(|name| !broken.contains(name) && *name != "three-hours.mkv");
    let clips: Vec<_> = made.map(fixtures::get).chain(fixtures::media_clips()).collect();
    for clip in fixtures::sample(&clips, 23) {
        for recipe in [r#""webReady""#, r#""webReady","crf":30,"startSeconds":0.1"#] {
            let Ok(once) = run(clip, "mp4", recipe) else { continue };
            let plan = plan(&once.path, "mp4", r#""webReady""#).unwrap();
            let name = clip.display();
            assert_eq!(plan.strategy.name(), "passthrough", "{name} {recipe}: {plan}");
        }
    }
}

#[test]
fn what_web_ready_encodes_is_what_browsers_play() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["h264-444.mp4", "hdr10.mp4", "mpeg2-tff.ts", "vp9-opus.webm", "odd-405x720.mp4"] {
        let made = run(&fixtures::get(name), "mp4", r#""webReady""#).unwrap();
        let probe = judge::probe(&made.path);
        let video = probe.video();
        let found = (video.codec.as_str(), video.profile.as_str(), video.pix_fmt.as_str());
        assert_eq!(found, ("h264", "High", "yuv420p"), "{name}");
        assert!((10..=42).contains(&video.level), "{name}: level {}", video.level);
        assert_eq!((video.tag.as_str(), video.field_order.as_str()), ("avc1", "progressive"));
        assert!(matches!(video.sar.as_str(), "1:1" | "0:1" | ""), "{name}: {}", video.sar);
        let order = judge::box_order(&made.path);
        let place = |kind| order.iter().position(|(found, ..)| found == kind);
        assert!(place("moov") < place("mdat"), "{name}: {order:?}");
        let frames = judge::frames(&made.path);
        let mut second = None;
        let mut in_a_row = 0;
        for frame in frames {
            let now = (frame.pts + 1e-6).floor();
            if second != Some(now) {
                assert!(frame.key, "{name}: no keyframe at {}", frame.pts);
            }
            second = Some(now);
            in_a_row = if frame.kind == "B" { in_a_row + 1 } else { 0 };
            assert!(in_a_row <= 2, "{name}: more than two B-frames");
        }
    }
}

#[test]
fn web_ready_and_proxy_fit_a_box_and_never_enlarge() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let size = |name: &str, recipe: &str| {
        let made = run(&fixtures::get(name), "mp4", recipe).unwrap();
        let probe = judge::probe(&made.path);
        (probe.video().width, probe.video().height)
    };
    assert_eq!(size("hd-720p.mp4", r#""proxy","width":640,"durationSeconds":0.2"#), (640, 360));
    assert_eq!(size("counter-h264-aac.mp4", r#""proxy","width":640"#), (320, 180));
    assert_eq!(size("counter-h264-aac.mp4", r#""webReady","scaleDown":true"#), (320, 180));
    assert_eq!(size("odd-405x720.mp4", r#""webReady""#), (404, 720));
    assert_eq!(size("odd-161x121.webm", r#""proxy""#), (160, 120));
    assert_eq!(size("tiny-1x1.mkv", r#""webReady""#), (2, 2));
}

#[test]
fn a_proxy_has_a_keyframe_each_second_or_nothing_else() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let keys = |name: &str, recipe: &str| -> Vec<f64> {
        let made = run(&fixtures::get(name), "mp4", recipe).unwrap();
        let frames = judge::frames(&made.path);
        frames.iter().filter(|frame| frame.key).map(|frame| frame.pts).collect()
    };
    let found = keys("counter-30000-1001.mp4", r#""proxy""#);
    for second in 0..3 {
        let second = f64::from(second);
        assert!(found.iter().any(|at| (second..second + 0.034).contains(at)), "{found:?}");
    }
    assert_eq!(keys("counter-h264-aac.mp4", r#""proxy","gop":"all_intra""#).len(), 100);
}

#[test]
fn a_compressed_file_is_never_larger_than_its_input() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let made =
        ["counter-h264-aac.mp4", "hevc-aac.mp4", "vp9-opus.webm", "mpeg2-tff.ts", "tones-51.m4a"];
    let clips: Vec<_> =
        made.into_iter().map(fixtures::get).chain(fixtures::media_clips()).collect();
    for clip in fixtures::sample(clips, 3) {
        let size = fs::metadata(&clip).unwrap().len();
        // With `crf` 0, each encode is larger than its source.
        for recipe in
            [r#""compress","crf":0,"preset":"ultrafast""#, r#""compress","preset":"ultrafast""#]
        {
            if !fixtures::soak() && size > 1_000_000 {
                continue;
            }
            let Ok(made) = run(&clip, "mp4", recipe) else { continue };
            let name = format!("{} {recipe} ({})", clip.display(), made.report.strategy.name());
            let is_warned =
                made.report.warnings.iter().any(|warning| warning.code == "LARGER_THAN_INPUT");
            let bytes = fs::metadata(&made.path).unwrap().len();
            assert!(bytes <= size || is_warned, "{name}: {bytes} of {size} bytes");
            let plan = plan(&clip, "mp4", recipe).unwrap();
            let mut last = &plan;
            while let Some(otherwise) = &last.otherwise {
                last = otherwise;
            }
            let is_itself = last.strategy.name() == "passthrough";
            assert!(!(is_itself && is_warned), "{name}: the input itself would have done");
        }
    }
}

#[test]
fn a_resized_picture_has_the_size_that_was_asked_for() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let check = |recipe: &str, expected: (u32, u32)| {
        let made = run(&clip, "mp4", recipe).unwrap();
        let probe = judge::probe(&made.path);
        assert_eq!((probe.video().width, probe.video().height), expected, "{recipe}");
        assert_eq!(judge::frames(&made.path).len(), 100, "{recipe}");
    };
    check(r#""resize","width":161"#, (162, 90));
    check(r#""resize","height":360"#, (640, 360));
    check(r#""resize","width":200,"height":200"#, (200, 200));
    check(r#""resize","width":200,"height":200,"fit":"contain""#, (200, 200));
    check(r#""resize","width":200,"height":200,"fit":"cover""#, (200, 200));
}

#[test]
fn a_contained_picture_has_bars_and_a_covering_one_has_none() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("bars-709-limited.mp4");
    let corner = |fit: &str| {
        let recipe = format!(r#""resize","width":100,"height":200,"fit":"{fit}""#);
        let made = run(&clip, "mp4", &recipe).unwrap();
        judge::rgb(&made.path, 0.0, "null").mean(40, 2, 20, 10)
    };
    assert!(corner("contain").iter().all(|value| *value < 20.0), "{:?}", corner("contain"));
    assert!(corner("cover").iter().any(|value| *value > 60.0), "{:?}", corner("cover"));
}

#[test]
fn audio_is_taken_out_as_it_is_where_a_file_can_hold_it() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let check = |name: &str, extension: &str, expected: (&str, &str)| {
        let clip = fixtures::get(name);
        let made = run(&clip, extension, r#""extractAudio""#);
        let made = made.unwrap_or_else(|error| panic!("{name} as {extension}: {error}"));
        let codec = judge::probe(&made.path).audio().codec.clone();
        assert_eq!((codec.as_str(), made.report.strategy.name()), expected, "{name}");
        if expected.1 == "copy" {
            let hashes = |path: &Path| judge::packet_hashes(path, "a:0");
            assert!(hashes(&made.path) == hashes(&clip), "{name}: other packets");
        }
    };
    check("counter-h264-aac.mp4", "m4a", ("aac", "copy"));
    check("counter-h264-aac.mp4", "mp3", ("mp3", "encode"));
    check("counter-h264-aac.mp4", "wav", ("pcm_s16le", "encode"));
    check("mpeg4-mp3.avi", "mp3", ("mp3", "copy"));
    check("cover.mp3", "mp3", ("mp3", "copy"));
    check("clicks-24bit.wav", "wav", ("pcm_s24le", "copy"));
}

#[test]
fn tags_chapters_languages_and_covers_are_kept() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for format in ["mp4", "mov", "webm"] {
        let made = run(&fixtures::get("chapters.mkv"), format, r#""transcode""#).unwrap();
        let probe = judge::probe(&made.path);
        assert_eq!(probe.tags.get("title").map(String::as_str), Some("A fixture"), "{format}");
        let chapters: Vec<_> =
            probe.chapters.iter().map(|chapter| (chapter.title.as_str(), chapter.start)).collect();
        assert_eq!(chapters.len(), 2, "{format}");
        assert!(chapters[1].0 == "After" && (chapters[1].1 - 1.52).abs() < 0.03, "{chapters:?}");
    }
    let both =
        run(&fixtures::get("two-audio.mkv"), "mp4", r#""transcode","tracks":"all""#).unwrap();
    let probe = judge::probe(&both.path);
    let languages: Vec<_> = probe.of_kind("audio").map(|one| one.language.as_str()).collect();
    assert_eq!(languages, ["eng", "deu"]);
    // QuickTime's language table has the other code for German.
    let movie =
        run(&fixtures::get("two-audio.mkv"), "mov", r#""transcode","tracks":"all""#).unwrap();
    let movie = judge::probe(&movie.path);
    let languages: Vec<_> = movie.of_kind("audio").map(|one| one.language.as_str()).collect();
    assert_eq!(languages, ["eng", "ger"]);
    let default: Vec<_> = probe.of_kind("audio").map(|one| one.is("default")).collect();
    assert_eq!(default, [false, true]);
    for (name, format) in [("cover.mp3", "mp3"), ("cover.flac", "m4a"), ("cover-first.m4a", "m4a")]
    {
        let made = run(&fixtures::get(name), format, r#""transcode""#).unwrap();
        let probe = judge::probe(&made.path);
        assert!(probe.of_kind("video").any(|one| one.is("attached_pic")), "{name}");
    }
}
