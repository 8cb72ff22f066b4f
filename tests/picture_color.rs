//! Colors: right values in the result, whatever the source's tags say.

use avocet::{Engine, Source, engine::ProbeOptions};
use fixtures::judge;

use crate::support::run;

fn near(found: [f64; 3], expected: [u8; 3], tolerance: f64) -> bool {
    found
        .iter()
        .zip(expected)
        .all(|(found, expected)| (found - f64::from(expected)).abs() <= tolerance)
}

#[test]
fn red_is_red_in_every_picture_format() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // If codec and container contradict each other, players believe the codec.
    let clip = fixtures::get("red-said-otherwise.mp4");
    let media = Engine::default().probe(&Source::path(&clip), ProbeOptions::default()).unwrap();
    let (_, said) = media.videos().next().unwrap();
    assert_eq!(said.color.matrix.as_deref(), Some("bt709"));
    for name in ["red-601.mp4", "red-709.mp4", "red-said-otherwise.mp4"] {
        for format in ["png", "jpg", "webp"] {
            let outcome = run(&fixtures::get(name), format, r#""thumbnail""#).unwrap();
            let picture = judge::picture(&outcome.path);
            let red = picture.mean(0, 0, picture.width, picture.height);
            assert!(near(red, [255, 0, 0], 6.0), "{name} as {format}: {red:?}");
        }
    }
}

#[test]
fn bars_keep_their_colors_in_pictures_and_videos() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let bars =
        ["bars-601-limited.mp4", "bars-601-full.mp4", "bars-709-limited.mp4", "bars-709-full.mp4"];
    for name in bars {
        for (format, recipe) in
            [("png", r#""thumbnail""#), ("mp4", r#""transcode","reencode":true,"crf":4"#)]
        {
            let outcome = run(&fixtures::get(name), format, recipe).unwrap();
            let picture = judge::picture(&outcome.path);
            let count = fixtures::BARS.len();
            for (index, expected) in fixtures::BARS.into_iter().enumerate() {
                let (width, x) = (picture.width / count, picture.width * index / count);
                let found =
                    picture.mean(x + width / 4, picture.height / 4, width / 2, picture.height / 2);
                assert!(near(found, expected, 4.0), "{name} as {format}, bar {index}: {found:?}");
            }
        }
    }
}

#[test]
fn encoded_video_says_what_its_colors_are() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let check = |name: &str, matrix: &str| {
        let outcome = run(&fixtures::get(name), "mp4", r#""transcode","reencode":true"#).unwrap();
        let made = judge::probe(&outcome.path);
        let video = made.video();
        assert_eq!(
            (video.color_range.as_str(), video.color_space.as_str()),
            ("tv", matrix),
            "{name}"
        );
        assert!(!video.color_primaries.is_empty() && !video.color_transfer.is_empty());
    };
    check("untagged-hd.mp4", "bt709");
    check("untagged-sd.mp4", "smpte170m");
    check(
        "bars-601-full.mp4",
        &judge::probe(fixtures::get("bars-601-full.mp4")).video().color_space,
    );
    check("hdr10.mp4", "bt709");
}

#[test]
fn high_dynamic_range_becomes_neutral_and_monotonic_in_standard() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["hdr10.mp4", "pq-plain.mp4", "pq-bogus-peak.mp4", "hlg.mp4"] {
        let outcome =
            run(&fixtures::get(name), "mp4", r#""transcode","reencode":true,"crf":8"#).unwrap();
        let made = judge::probe(&outcome.path);
        assert_eq!(made.video().color_transfer, "bt709", "{name}");
        assert_eq!(made.video().pix_fmt, "yuv420p", "{name}");
        let picture = judge::picture(&outcome.path);
        let steps = fixtures::GRAYS as usize;
        let (mut last, width) = (-1.0, picture.width / steps);
        for step in 0..steps {
            let x = picture.width * step / steps + width / 4;
            let [red, green, blue] =
                picture.mean(x, picture.height / 8, width / 2, picture.height / 8);
            assert!(
                (red - green).abs() <= 3.0 && (blue - green).abs() <= 3.0,
                "{name} step {step}"
            );
            assert!(green >= last - 0.5, "{name}: step {step} is darker than the one before");
            last = green;
        }
        assert!(last > 180.0, "{name}: the brightest step is {last}");
    }
}

#[test]
fn hevc_keeps_high_dynamic_range_and_its_metadata() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let source = fixtures::get("hdr10.mp4");
    let recipe = r#""transcode","reencode":true,"codec":"hevc","preset":"ultrafast""#;
    for recipe in [recipe, r#""transcode""#] {
        let outcome = run(&source, "mp4", recipe).unwrap();
        let made = judge::probe(&outcome.path);
        assert_eq!(made.video().tag, "hvc1");
        assert_eq!(made.video().color_transfer, "smpte2084");
        assert_eq!(made.video().pix_fmt, "yuv420p10le");
        let (before, after) = (judge::first_frame(&source), judge::first_frame(&outcome.path));
        let of_kind = |frame: &serde_json::Value, kind: &str| {
            let sides = frame["side_data_list"].as_array().cloned().unwrap_or_default();
            sides.into_iter().find(|side| side["side_data_type"] == kind)
        };
        for kind in ["Mastering display metadata", "Content light level metadata"] {
            assert!(of_kind(&before, kind).is_some());
            assert_eq!(of_kind(&before, kind), of_kind(&after, kind), "{recipe}");
        }
    }
}
