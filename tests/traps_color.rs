//! Traps 8 to 12: media whose colors and codec tags transcoders often get wrong.

use std::path::Path;

use fixtures::judge;
use serde_json::Value;

use crate::{
    thumbnail,
    traps_picture::{ENCODES, action, assert_near, due, made, trim, warning},
};

/// A color as Y, Cb and Cr in limited range, by a matrix of ITU-T H.273.
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

/// Compares each bar of a picture with its color, with a tolerance of two code values.
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
    for (number, (name, matrix)) in fixtures::sample(BARS.into_iter().enumerate(), 2) {
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
    // Since FFmpeg 7.0, the ffmpeg program decodes neither such a clip nor a copy of it.
    let is_readable = judge::decode_errors(&clip).is_empty();
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
        if is_readable || judge::probe(&outcome.path).video().color_space != "reserved" {
            assert_eq!(judge::decode_errors(&outcome.path), [""; 0], "{recipe} in {format}");
        } else if outcome.report.strategy.name() != "smart_cut" {
            let hashes = |path: &Path| judge::packet_hashes(path, "v:0");
            assert_eq!(hashes(&outcome.path), hashes(&clip), "{recipe} in {format}");
        }
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

/// Mastering display and content light level metadata of the first frame, or of the stream: the
/// name of each number, and its value in the units of HEVC.
fn hdr(path: &Path) -> [Vec<(String, i64)>; 2] {
    let (frame, video) = (judge::first_frame(path), judge::probe(path).video().clone());
    ["Mastering display metadata", "Content light level metadata"].map(|kind| {
        let sides = frame["side_data_list"].as_array().cloned().unwrap_or_default();
        let of_frame = sides.into_iter().find(|side| side["side_data_type"] == kind);
        let side = of_frame.or_else(|| video.side_data(kind).cloned()).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
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

/// Checks that grays are neutral and rise from black to white, and that colors keep their hue.
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
        // Cb changes its sign at each patch, and Cr at every second one.
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
        // The thumbnail is compared with a full decode, and the video with the thumbnail.
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
    for (number, (name, profile, pixels)) in fixtures::sample(clips.into_iter().enumerate(), 3) {
        let clip = fixtures::get(name);
        let source = judge::probe(&clip).video().clone();
        assert_eq!((&*source.profile, &*source.pix_fmt), (profile, pixels), "{name}");
        let counters = judge::counters(&clip);
        for recipe in due(&recipes, number, 1) {
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

/// Checks that each result in HEVC has the tag that Apple's players accept.
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
        check_tag(&clip, due(&jobs, 2 * number, 2));
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
