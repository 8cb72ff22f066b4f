//! Smart cuts, which encode only the ends of a section: each codec, container and kind of GOP.

use std::{fs, ops::ControlFlow, path::Path};

use avocet::{
    Engine, Plan,
    engine::{Error, RunOptions},
    plan::Content,
};
use fixtures::judge;

use crate::{
    cut::{expected, trim},
    support::{Outcome, planned, run, watched},
};

/// Sections of clips of 4 s, as start and duration, at different places in GOPs of 30 frames.
const SECTIONS: [(f64, Option<f64>); 7] = [
    (0.52, Some(2.64)),
    (1.2, Some(1.9)),
    (0.48, Some(1.92)),
    (0.0, Some(1.0)),
    (2.03, None),
    (1.16, Some(1.3)),
    (0.04, Some(3.7)),
];

/// The format that can keep the codec of a clip.
fn format_of(name: &str) -> &'static str {
    match name.rsplit_once('.').unwrap().1 {
        "mov" => "mov",
        "webm" => "webm",
        _ => "mp4",
    }
}

/// The bytes of each video sample of an MP4.
fn samples(path: &Path) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap();
    let packets = judge::packet_places(path);
    packets.into_iter().map(|place| file[place].to_vec()).collect()
}

/// The NAL units of a sample, each of which has a length of four bytes before it.
fn units(mut sample: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    while let Some((size, rest)) = sample.split_first_chunk::<4>() {
        let (unit, rest) = rest.split_at(u32::from_be_bytes(*size) as usize);
        units.push(unit);
        sample = rest;
    }
    units
}

/// Checks that all parameter sets are in the extradata, and none in the samples.
fn check_structure(made: &Outcome, case: &str) {
    let codec = made.report.outputs[0].media.videos().next().unwrap().0.codec.clone();
    let is_set = |unit: &&[u8]| match codec.as_str() {
        "h264" => matches!(unit[0] & 0x1f, 7 | 8),
        _ => matches!(unit[0] >> 1 & 0x3f, 32..=34),
    };
    if !matches!(codec.as_str(), "h264" | "hevc") {
        return;
    }
    for sample in samples(&made.path) {
        assert!(!units(&sample).iter().any(is_set), "{case}: a parameter set among the pictures");
    }
    let video = &made.report.outputs[0].media.streams[0];
    if codec == "h264" {
        let sets =
            avocet::engine::model::format::nal::avc::AvcSets::read(&video.extradata).unwrap();
        let mut ids: Vec<_> = sets.sequences().unwrap().iter().map(|set| set.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert!(count >= 2 && ids.len() == count, "{case}: the numbers {ids:?} of {count} sets");
    }
}

fn check(name: &str, start: f64, duration: Option<f64>) {
    let clip = fixtures::get(name);
    let made = trim(&clip, format_of(name), start, duration, "");
    let strategy = made.report.strategy.name();
    let case = format!("{name} from {start} for {duration:?} ({strategy})");
    let wanted = expected(&clip, start, duration.map_or(f64::INFINITY, |it| start + it));
    assert_eq!(judge::counters(&made.path), wanted, "{case}");
    assert_eq!(judge::decode_warnings(&made.path), Vec::<String>::new(), "{case}");
    // With open GOPs x264 writes no second IDR frame, so no copy can begin after the start.
    let is_open = name.contains("h264") && name.contains("open") && start > 0.0;
    // The strategy may be `encode` since the sound is encoded, so look at the video alone.
    let is_cut = made.report.plan.tracks().next().unwrap().action.name() == "copy";
    // A program stream of fields has no timestamp for each, so only whole GOPs are copied.
    let may_be_either = name.contains("tff") && name.contains(".mpg");
    assert!(is_cut != is_open || may_be_either, "{case}: {}", made.plan);
    let from = usize::from(wanted[0].unwrap());
    let ratios = judge::psnr(&made.path, &clip, from);
    assert_eq!(ratios.len(), wanted.len(), "{case}");
    let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    // Encoded fields become progressive frames, which differ from those of the source.
    let least = if is_cut || !name.contains("tff") { 34.0 } else { 26.0 };
    assert!(worst > least, "{case}: {ratios:.1?}");
    let frames = usize::try_from(made.report.stats.frames_encoded).unwrap();
    let same = ratios.iter().filter(|ratio| ratio.is_infinite()).count();
    assert!(!is_cut || same + frames >= wanted.len(), "{case}: {same} same, {frames} encoded");
    if strategy == "smart_cut" {
        check_structure(&made, &case);
    }
    let mean = |path: &Path| {
        let offsets = judge::click_to_flash(path);
        (!offsets.is_empty()).then(|| offsets.iter().sum::<f64>() / offsets.len() as f64)
    };
    if let (Some(before), Some(after)) = (mean(&clip), mean(&made.path)) {
        // WebM rounds both times to a millisecond.
        let most = if format_of(name) == "webm" { 0.0021 } else { 0.001 };
        assert!((after - before).abs() < most, "{case}: in sync by {before}, then {after}");
    }
}

/// Checks some of the sections and clips, or all of them with `AVOCET_SOAK`.
#[test]
fn a_section_is_exact_and_encodes_only_its_ends() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let only = std::env::var("AVOCET_CLIPS").ok();
    let is_wanted = |name: &str| only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let names = fixtures::groups().filter(|name| is_wanted(name));
    let table = names.flat_map(|name| SECTIONS.map(|section| (name, section)));
    for (name, (start, duration)) in fixtures::sample(table, if only.is_some() { 1 } else { 251 }) {
        check(name, start, duration);
    }
}

/// The result of a smart cut is cut again: its boundary encodes are copied like other packets.
#[test]
fn a_smart_cut_of_a_smart_cut_is_one_too() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let names = [
        "group-h264high-closed-b.mp4",
        "group-h264main-closed-b.mp4",
        "group-vp9-closed-b.webm",
        "group-h264tff-closed-b.mp4",
        "group-hevc-open-b.mp4",
        "group-av1-closed-b.mp4",
        "group-mpeg2-open-b.mp4",
    ];
    for name in fixtures::sample(names, 3) {
        let clip = fixtures::get(name);
        let mut made = trim(&clip, format_of(name), 0.3, Some(3.63), "");
        for (start, duration) in [(0.3, 3.13), (0.26, 2.63)] {
            let before = made.path.clone();
            let again = trim(&before, format_of(name), start, Some(duration), "");
            let case = format!("{name} again from {start}");
            let wanted = expected(&before, start, start + duration);
            assert_eq!(judge::counters(&again.path), wanted, "{case}");
            assert_eq!(judge::decode_warnings(&again.path), Vec::<String>::new(), "{case}");
            assert_eq!(again.report.strategy.name(), "smart_cut", "{case}: {}", again.plan);
            check_structure(&again, &case);
            let ratios = judge::psnr(&again.path, &clip, usize::from(wanted[0].unwrap()));
            assert_eq!(ratios.len(), wanted.len(), "{case}");
            assert!(ratios.iter().all(|ratio| *ratio > 34.0), "{case}: {ratios:.1?}");
            // The last frame has a shorter duration, which must not change the frame rate.
            let media = &again.report.outputs[0].media;
            let rate = media.videos().next().unwrap().1.frame_rate;
            let rate = rate.unwrap_or_else(|| panic!("{case}: no frame rate"));
            assert!((rate.as_f64() - 25.0).abs() < 1e-9, "{case}: {rate}");
            made = again;
        }
    }
}

/// Joined sections of one input contain exactly their frames, and stay in sync to the end.
#[test]
fn several_sections_are_joined() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let ranges = [(0.52, 0.6), (1.24, 0.5), (1.9, 1.85)];
    let text: Vec<_> = ranges
        .iter()
        .map(|(start, length)| format!(r#"{{"startSeconds":{start},"durationSeconds":{length}}}"#))
        .collect();
    let recipe = format!(r#""trim","ranges":[{}]"#, text.join(","));
    let table = [
        ("group-h264high-closed-b.ts", true),
        ("group-h264high-closed-b.mp4", true),
        ("group-hevc-open-b.mp4", true),
        ("group-h264high-open-b.mp4", false),
        ("group-vp9-closed-b.webm", true),
        ("group-av1-closed-b.mp4", true),
        ("group-mpeg2-open-b.ts", true),
        ("group-prores-closed-p.mov", true),
        ("counter-h264-aac.mkv", true),
    ];
    for (name, copies) in fixtures::sample(table, 3) {
        let clip = fixtures::get(name);
        let made =
            run(&clip, format_of(name), &recipe).unwrap_or_else(|error| panic!("{name}: {error}"));
        let wanted =
            ranges.iter().flat_map(|(start, length)| expected(&clip, *start, start + length));
        let wanted: Vec<_> = wanted.collect();
        assert_eq!(judge::counters(&made.path), wanted, "{name}");
        assert_eq!(judge::decode_warnings(&made.path), Vec::<String>::new(), "{name}");
        let is_copy = made.report.plan.tracks().next().unwrap().action.name() == "copy";
        assert_eq!(is_copy, copies, "{name}: {}", made.plan);
        let length = judge::probe(&made.path).duration.unwrap();
        assert!((length - 2.95).abs() < 0.03, "{name} lasts {length}");
        let (before, after) = (judge::click_to_flash(&clip), judge::click_to_flash(&made.path));
        let mean = |offsets: &[f64]| offsets.iter().sum::<f64>() / offsets.len() as f64;
        assert!(after.len() == 3, "{name}: {after:?}");
        // The times of frames are rounded to ticks of the first section.
        let off = after.iter().map(|offset| (offset - mean(&before)).abs()).fold(0.0, f64::max);
        assert!(off < 0.0021, "{name}: in sync by {before:?}, then {after:?}");
    }
}

/// Sections of which some are whole GOPs, and others begin or end within one.
#[test]
fn sections_may_be_whole_groups() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let names = ["group-hevc-open-b.mp4", "group-av1-closed-b.mp4", "group-vp9-closed-b.webm"];
    for name in fixtures::sample(names, 3) {
        let clip = fixtures::get(name);
        for ranges in [&[(0.0, 1.2)][..], &[(0.0, 1.2), (2.4, 0.8)], &[(1.2, 1.2), (2.8, 0.4)]] {
            let text = ranges.iter().map(|(start, length)| {
                format!(r#"{{"startSeconds":{start},"durationSeconds":{length}}}"#)
            });
            let recipe = format!(r#""trim","ranges":[{}]"#, text.collect::<Vec<_>>().join(","));
            let made = run(&clip, format_of(name), &recipe).unwrap();
            let wanted =
                ranges.iter().flat_map(|(start, length)| expected(&clip, *start, start + length));
            assert_eq!(
                judge::counters(&made.path),
                wanted.collect::<Vec<_>>(),
                "{name} {ranges:?}"
            );
        }
    }
}

/// Fields after a boundary encode that has no reordered frames.
#[test]
fn short_sections_of_fields_lose_no_picture() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("group-h264tff-closed-b.mp4");
    for (start, duration) in [(1.0, 0.3), (1.08, 0.16), (1.16, 0.08), (1.0, 0.6), (1.0, 0.8)] {
        let made = trim(&clip, "mp4", start, Some(duration), "");
        let wanted = expected(&clip, start, start + duration);
        assert_eq!(judge::counters(&made.path), wanted, "from {start} for {duration}");
    }
}

/// Lossless H.264 is not cut smartly: libavcodec's threads damage frames after a boundary encode.
#[test]
fn lossless_pictures_are_encoded_as_a_whole() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("h264-lossless.mp4");
    let made = trim(&clip, "mp4", 0.52, Some(2.64), "");
    assert_eq!(made.report.strategy.name(), "encode", "{}", made.plan);
    assert_eq!(judge::counters(&made.path), expected(&clip, 0.52, 3.16));
    let ratios = judge::psnr(&made.path, &clip, 13);
    assert!(ratios.iter().all(|ratio| *ratio > 34.0), "{ratios:.1?}");
}

/// A plan for two sections of a clip's video, with the output `out.<format>` in `folder`.
fn two_sections(clip: &Path, format: &str, folder: &Path) -> Plan {
    let recipe = r#""trim","ranges":[{"startSeconds":0.52,"durationSeconds":1},{"startSeconds":1.9,"durationSeconds":1.85}]"#;
    let mut plan = planned(clip, format, recipe, folder);
    let mut next = Some(&mut plan);
    while let Some(plan) = next {
        let Content::Tracks(tracks) = &mut plan.outputs[0].content else { panic!("{plan}") };
        tracks.truncate(1);
        next = plan.otherwise.as_deref_mut();
    }
    plan
}

/// The first of two sections fails during the run, while the second one waits.
#[test]
fn a_smart_cut_that_fails_is_encoded() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    watched("a run whose first section fails", || {
        let folder = tempfile::tempdir().unwrap();
        let clip = fixtures::get("group-h264high-closed-b.mp4");
        let mut plan = two_sections(&clip, "mp4", folder.path());
        let Content::Tracks(tracks) = &mut plan.outputs[0].content else { panic!("{plan}") };
        let run = tracks[0].parts[0].copied.as_mut().unwrap();
        // Name a time at which no keyframe is presented.
        run.keyframe_pts.as_mut().unwrap().ticks += 1;
        let report = Engine::default().run(&plan, RunOptions::default()).unwrap();
        assert_eq!(report.strategy.name(), "encode");
        let wanted = [expected(&clip, 0.52, 1.52), expected(&clip, 1.9, 3.75)].concat();
        assert_eq!(judge::counters(folder.path().join("out.mp4")), wanted);
    });
}

/// A cancellation ends the first of two sections, and the second one does not begin.
#[test]
fn a_run_is_cancelled_while_sections_wait() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    watched("a cancelled run of several sections", || {
        let folder = tempfile::tempdir().unwrap();
        let plan = two_sections(&fixtures::get("hd-720p.mp4"), "webm", folder.path());
        // The first progress report comes before any work.
        let mut asked = 0;
        let options = RunOptions::default().observe(|_| {
            asked += 1;
            if asked > 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let result = Engine::default().run(&plan, options);
        assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    });
}
