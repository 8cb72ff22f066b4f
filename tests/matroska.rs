//! What MP4 can say and Matroska can not, and what short files of the other formats need.

use std::path::Path;

use fixtures::judge;

use crate::support::{plan, run};

/// Reasons of the plan for a fixture, of all tracks.
fn reasons(name: &str, format: &str, recipe: &str) -> Vec<String> {
    let plan = plan(&fixtures::get(name), format, recipe).unwrap();
    let tracks = plan.outputs.iter().flat_map(|output| output.tracks().to_vec());
    tracks.flat_map(|track| track.because).map(|reason| reason.code).collect()
}

#[test]
fn a_picture_that_its_container_turns_is_turned_by_an_encode() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let recipes = [
        (r#""transcode""#, Some("TURNED_BY_CONTAINER")),
        (r#""trim","startSeconds":0.5,"durationSeconds":1"#, Some("TURNED_BY_CONTAINER")),
        (r#""resize","height":160"#, None),
        (r#""compress""#, None),
    ];
    let names = ["rot90.mp4", "rot180.mp4", "rot270.mp4", "mirrored.mp4", "mirrored-rot90.mp4"]
        .into_iter()
        .chain(["mirrored-rot180.mp4", "mirrored-rot270.mp4"]);
    for name in fixtures::sample(names, 3) {
        let clip = fixtures::get(name);
        // The ffmpeg program turns the pictures of the source before it shows them.
        let shown = judge::rgb(&clip, 1.0, "");
        // VP9 is slow, and the filters are the same.
        let is_sample = name == "mirrored.mp4";
        let formats: &[&str] = if is_sample { &["mkv", "webm"] } else { &["mkv"] };
        for (recipe, reason) in recipes {
            for format in formats {
                let case = format!("{name} to {format} by {recipe}");
                let told = reasons(name, format, recipe);
                let is_told = reason.is_none_or(|reason| told.iter().any(|it| it == reason));
                assert!(is_told || *format == "webm", "{case}: {told:?}");
                let made = run(&clip, format, recipe).unwrap();
                assert_eq!(judge::rgb(&made.path, 0.5, "").corners(), shown.corners(), "{case}");
            }
        }
    }
}

#[test]
fn cuts_of_interlaced_h264_lose_no_picture() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["group-h264tff-closed-b.mp4", "group-h264high-closed-b.mp4"] {
        let clip = fixtures::get(name);
        let whole = judge::frames(&clip).len();
        let made = run(&clip, "mkv", r#""trim","startSeconds":0.52"#).unwrap();
        assert_eq!(made.report.strategy.name(), "smart_cut", "{name}");
        let left = whole - 13;
        assert_eq!(judge::frames(&made.path).len(), left, "{name}");
        assert_eq!(judge::decode_errors(&made.path), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn sound_that_an_edit_list_hides_stays_hidden() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["media-time.mp4", "both-edits.mp4"] {
        assert!(
            reasons(name, "mkv", r#""transcode""#).contains(&"HIDDEN_BY_EDIT_LIST".to_owned()),
            "{name}"
        );
        let made = run(&fixtures::get(name), "mkv", r#""transcode""#).unwrap();
        // The ffmpeg program counts the priming of AAC as time before 0.
        let begin = judge::packets(&made.path, "a:0")[0].pts.unwrap();
        assert!(begin > -0.025, "{name} begins at {begin}");
    }
    // Priming alone is told by the container.
    assert!(
        reasons("counter-h264-aac.mp4", "mkv", r#""transcode""#)
            .iter()
            .all(|it| *it == "CODEC_FITS")
    );
}

#[test]
fn a_trim_of_aac_ends_at_its_sample() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let count = |path: &Path| judge::audio_samples(path).mono().len();
    // The ffmpeg program gives the priming, too, in releases before 9.
    let whole = run(&clip, "mkv", r#""transcode""#).unwrap();
    let priming = count(&whole.path) - count(&clip);
    assert!([0, 1024].contains(&priming), "{priming} samples more");
    let recipe = r#""trim","startSeconds":1.2345,"durationSeconds":1.3456"#;
    let made = run(&clip, "mkv", recipe).unwrap();
    let rate = f64::from(judge::probe(&made.path).audio().sample_rate);
    let found = (count(&made.path) - priming) as f64;
    let wanted = 1.3456 * rate;
    assert!((found - wanted).abs() < 2.0, "{found} samples instead of {wanted}");
}

#[test]
fn packets_without_times_are_not_copied() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("copy-mpeg2video.mpg");
    let made = run(&clip, "mkv", r#""transcode""#).unwrap();
    let times: Vec<f64> = judge::frames(&made.path).iter().map(|frame| frame.pts).collect();
    assert!(times.is_sorted_by(|one, other| one < other), "{times:?}");
}

#[test]
fn what_demuxers_repeat_does_not_spoil_the_header() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["again.flv", "appended.flv"] {
        let made = run(&fixtures::get(name), "mkv", r#""transcode""#).unwrap();
        assert_eq!(judge::decode_errors(&made.path), Vec::<String>::new(), "{name}");
    }
    let made = run(&fixtures::get("copy-prores.mov"), "mkv", r#""transcode""#).unwrap();
    assert_eq!(judge::decode_warnings(&made.path), Vec::<String>::new());
}

#[test]
fn short_sound_comes_whole() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("sine.wav");
    let rate = judge::probe(&clip).audio().sample_rate;
    for seconds in [0.005, 0.05, 0.15, 0.25] {
        let recipe = format!(r#""trim","durationSeconds":{seconds}"#);
        for format in ["ogg", "flac", "wav", "opus", "mkv", "webm"] {
            let case = format!("{seconds} s in {format}");
            let made =
                run(&clip, format, &recipe).unwrap_or_else(|error| panic!("{case}: {error}"));
            // libav does not cut the only packet of an Opus file.
            if seconds < 0.02 && matches!(format, "opus" | "webm") {
                continue;
            }
            let found = judge::mono_at(&made.path, rate).len() as f64;
            assert!((found - seconds * f64::from(rate)).abs() < 2.0, "{case}: {found} samples");
        }
    }
}

#[test]
fn flac_of_floating_point_has_24_bits() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let made = run(&fixtures::get("float.wav"), "flac", r#""transcode""#).unwrap();
    assert_eq!(judge::probe(&made.path).audio().json["sample_fmt"], "s32");
}

#[test]
fn tags_of_ogg_are_those_of_the_file() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for format in ["flac", "mp3", "m4a", "mkv", "ogg", "opus"] {
        let made = run(&fixtures::get("titled.opus"), format, r#""extractAudio""#);
        let made =
            made.or_else(|_| run(&fixtures::get("titled.opus"), format, r#""transcode""#)).unwrap();
        let media = &made.report.outputs[0].media;
        assert_eq!(media.tags.get("title").map(String::as_str), Some("Hello"), "{format}");
    }
}

#[test]
fn compressed_sound_keeps_to_its_bit_rate() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let recipe = r#""compress","audioBitrateKbps":64,"preset":"ultrafast""#;
    let plan = plan(&fixtures::get("prores-pcm.mov"), "mkv", recipe).unwrap();
    let tracks = plan.outputs[0].tracks();
    let avocet::plan::Action::Encode(encoder) = &tracks[1].action else { panic!("{tracks:?}") };
    assert_eq!(encoder.name, "libopus");
}
