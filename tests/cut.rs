//! Sections of media: which frames and samples they contain, copied or encoded.

use std::path::Path;

use fixtures::judge;

use crate::support::{Outcome, document, run, run_document};

/// Trims a clip from `start` for `duration` seconds.
pub(crate) fn trim(
    clip: &Path,
    format: &str,
    start: f64,
    duration: Option<f64>,
    more: &str,
) -> Outcome {
    let duration = duration.map_or_else(String::new, |d| format!(r#","durationSeconds":{d}"#));
    let recipe = format!(r#""trim","startSeconds":{start}{duration}{more}"#);
    run(clip, format, &recipe).unwrap_or_else(|error| panic!("{}: {error}", clip.display()))
}

/// The counters of the frames of a section, as the ffmpeg program decodes the source.
pub(crate) fn expected(clip: &Path, start: f64, end: f64) -> Vec<Option<u16>> {
    let (frames, counters) = (judge::frames(clip), judge::counters(clip));
    assert_eq!(frames.len(), counters.len());
    let zero = judge::probe(clip).start.unwrap_or(0.0).max(0.0);
    let half_a_tick = judge::probe(clip).video().tick / 2.0;
    let kept = frames.iter().zip(counters).filter(|(frame, _)| {
        let at = frame.pts - zero + half_a_tick;
        at >= start && at < end
    });
    kept.map(|(_, counter)| counter).collect()
}

/// Checks the frames, the end and the A/V sync of each cut of each clip.
#[test]
fn a_section_has_its_frames_and_no_others() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let cuts = [(0.0, Some(1.0)), (0.5, Some(1.24)), (2.0, Some(1.0)), (1.3, None)];
    let clips = [
        ("counter-h264-aac.mp4", "mp4"),
        ("counter-h264-aac.mp4", "mov"),
        ("counter-h264-aac.mkv", "mp4"),
        ("counter-h264-aac.ts", "mp4"),
        ("hevc-aac.mp4", "mp4"),
        ("hevc-open-gop.mp4", "mp4"),
        ("h264-open-gop.mp4", "mp4"),
        ("vp9-opus.webm", "webm"),
        ("vfr.mp4", "mp4"),
        ("empty-edit.mp4", "mp4"),
        ("both-edits.mp4", "mp4"),
        ("prores-pcm.mov", "mov"),
        ("mpeg2-tff.ts", "mp4"),
        ("late-audio.mp4", "mp4"),
        ("counter-h264-aac.mp4", "mkv"),
        ("counter-h264-aac.mkv", "mkv"),
        ("hevc-open-gop.mp4", "mkv"),
        ("mpeg2-tff.ts", "mkv"),
        ("vfr.mp4", "mkv"),
    ];
    let table = clips.into_iter().flat_map(|clip| cuts.map(|cut| (clip, cut)));
    for ((name, format), (start, duration)) in fixtures::sample(table, 9) {
        let clip = fixtures::get(name);
        if start < judge::probe(&clip).duration.unwrap() {
            let made = trim(&clip, format, start, duration, "");
            let case =
                format!("{name} from {start} for {duration:?} ({})", made.report.strategy.name());
            let end = duration.map_or(f64::INFINITY, |duration| start + duration);
            let wanted = expected(&clip, start, end);
            if wanted.is_empty() {
                assert_eq!(judge::probe(&made.path).of_kind("video").count(), 0, "{case}");
                assert_eq!(made.plan.dropped[0].because.code, "OUTSIDE_SECTION", "{case}");
                continue;
            }
            assert_eq!(judge::counters(&made.path), wanted, "{case}");
            assert_eq!(judge::decode_errors(&made.path), Vec::<String>::new(), "{case}");
            // The ffmpeg program counts the priming of Opus, and of AAC in Matroska, as time before 0.
            let begin = judge::probe(&made.path).start.unwrap();
            let most = if format == "mkv" { 0.022 } else { 0.0071 };
            assert!(begin.abs() < most, "{case} begins at {begin}");
        }
    }
}

/// In this container, packets have no duration, and frames are reordered.
#[test]
fn a_section_of_uneven_frames_ends_where_it_should() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("vfr-uneven.mp4");
    let times: Vec<f64> = judge::frames(&clip).iter().map(|frame| frame.pts).collect();
    let cuts = [(0.0, 0.2), (0.31, 0.5), (0.72, 2.0), (1.3, 0.2), (1.9, 1.7), (2.7, 0.5)];
    let table = ["mp4", "webm"].into_iter().flat_map(|format| cuts.map(|cut| (format, cut)));
    for (format, (start, duration)) in fixtures::sample(table, 5) {
        let made = trim(&clip, format, start, Some(duration), "");
        let case = format!("{format} from {start} for {duration}");
        assert_eq!(judge::counters(&made.path), expected(&clip, start, start + duration), "{case}");
        let first = times.iter().copied().find(|at| *at >= start).unwrap();
        let length = judge::probe(&made.path).duration.unwrap();
        assert!((first + length - start - duration).abs() < 0.002, "{case} lasts {length}");
    }
}

#[test]
fn a_section_begins_and_ends_amid_still_pictures() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("vfr-still.mp4");
    let cuts = [
        (0.9, 2.0, 23..=25),
        (2.0, 1.0, 25..=25),
        (2.0, 2.5, 25..=38),
        (6.5, 1.0, 50..=50),
        (6.5, 9.0, 50..=51),
        (4.2, 9.0, 31..=51),
    ];
    for (start, duration, counters) in cuts {
        for format in ["mp4", "webm"] {
            let made = trim(&clip, format, start, Some(duration), "");
            let case = format!("{format} from {start} for {duration}");
            let wanted: Vec<_> = counters.clone().map(Some).collect();
            assert_eq!(judge::counters(&made.path), wanted, "{case}");
            let (length, whole) = (judge::probe(&made.path).duration.unwrap(), 9.04 - start);
            assert!((length - whole.min(duration)).abs() < 0.041, "{case} lasts {length}");
        }
    }
}

/// All GOPs are open: the leading frames of the keyframe are left out.
#[test]
fn a_cut_at_a_keyframe_needs_no_closed_group() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["h264-open-gop.mp4", "hevc-open-gop.mp4", "mpeg2-tff.ts"] {
        let clip = fixtures::get(name);
        let made = trim(&clip, "mp4", 2.3, Some(1.0), r#","accuracy":"keyframe""#);
        assert_eq!(made.plan.tracks().next().unwrap().action.name(), "copy", "{name}");
        let zero = judge::probe(&clip).start.unwrap();
        let frames = judge::frames(&clip);
        let is_key = |frame: &&judge::FrameTime| frame.key && frame.pts - zero <= 2.3001;
        let key = frames.iter().rfind(is_key).unwrap().pts - zero;
        let wanted = expected(&clip, key, f64::INFINITY);
        let kept = judge::counters(&made.path);
        assert!(key > 0.5 && kept.len() as f64 >= (3.3 - key) * 25.0, "{name} from {key}");
        assert_eq!(kept, wanted[..kept.len()], "{name}");
        assert_eq!(judge::decode_errors(&made.path), Vec::<String>::new(), "{name}");
    }
}

/// AVI states decoding times only, and sound in whole packets.
#[test]
fn a_section_of_avi_has_its_frames_and_its_samples() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["mpeg4-mp3.avi", "mpeg4-reordered.avi", "h264-ac3.avi"] {
        let clip = fixtures::get(name);
        let counters = judge::counters(&clip);
        // The ffmpeg program counts the encoder delay of MP3 as time.
        let delay = judge::clicks(&clip)[0];
        for (format, start, first) in [("mp4", 1.5, 38), ("webm", 0.52, 13), ("mp4", 0.0, 0)] {
            let made = trim(&clip, format, start, Some(2.0), "");
            let case = format!("{name} from {start} in {format}");
            assert_eq!(judge::counters(&made.path), counters[first..first + 50], "{case}");
            let clicks = judge::clicks(&made.path);
            assert!(!clicks.is_empty(), "{case}");
            for click in clicks {
                let second = click + start - delay;
                assert!((second - second.round()).abs() < 0.001, "{case} clicks at {click}");
            }
        }
    }
}

#[test]
fn sound_without_loss_is_cut_without_loss() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let whole = judge::audio_samples(fixtures::get("clicks.flac")).mono();
    let section = r#","startSeconds":0.333,"durationSeconds":1.5"#;
    let kept = &whole[15_984..15_984 + 72_000];
    let recipe = format!(r#""extractAudio"{section}"#);
    let made =
        run_document(&document(&fixtures::get("clicks.flac"), "wav", &recipe), "flac").unwrap();
    assert_eq!(judge::audio_samples(&made.path).mono(), kept);
    let alac =
        run(&fixtures::get("clicks-alac.m4a"), "m4a", &format!(r#""trim"{section}"#)).unwrap();
    assert_eq!(alac.report.strategy.name(), "copy");
    // The ffmpeg program decodes all of the last packet.
    assert_eq!(&judge::audio_samples(&alac.path).mono()[..72_000], kept);
    let made =
        run_document(&document(&fixtures::get("clicks.ogg"), "wav", &recipe), "ogg").unwrap();
    let clicks = judge::clicks(&made.path);
    assert!((clicks[0] - 0.667).abs() < 0.001, "{clicks:?}");
}

#[test]
fn sound_is_cut_to_the_sample_and_stays_in_sync() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    // Each flash and its click stay together; both are moved by the start.
    for (start, format) in
        [(0.7, "mp4"), (0.7, "mov"), (0.0, "mp4"), (1.9, "webm"), (2.0, "mp4"), (0.7, "mkv")]
    {
        let made = trim(&clip, format, start, Some(1.9), "");
        for offset in judge::click_to_flash(&made.path) {
            assert!(offset.abs() < 0.001, "{format} from {start}: {offset} s");
        }
        assert!(!judge::clicks(&made.path).is_empty());
    }
    let tone = fixtures::get("clicks.wav");
    let whole = judge::audio_samples(&tone).mono();
    for format in ["wav", "m4a", "mp4", "mov"] {
        let made = trim(&tone, format, 0.333, Some(1.5), "");
        let kept = judge::audio_samples(&made.path).mono();
        // The ffmpeg program decodes all of the last AAC packet.
        let length = 1.5 * 48_000.0;
        let slack = if format == "wav" { 0.5 } else { 1024.0 };
        assert!((kept.len() as f64 - length).abs() <= slack, "{format}: {}", kept.len());
        if format == "wav" {
            assert_eq!(kept, whole[15_984..15_984 + 72_000]);
        }
    }
}

#[test]
fn deep_pcm_is_cut_without_loss() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("clicks-24bit.wav");
    let made = trim(&clip, "wav", 0.1, Some(1.0), "");
    assert_eq!(judge::probe(&made.path).audio().codec, "pcm_s24le");
    let whole = judge::audio_samples(&clip).mono();
    assert_eq!(judge::audio_samples(&made.path).mono(), whole[4800..52_800]);
}

#[test]
fn a_frame_on_screen_at_the_start_is_kept_when_none_begins_soon() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let Some(clip) = fixtures::media("Vanilagy_mediabunny/test/public/cursed-vfr.mp4") else {
        return;
    };
    let frames = judge::frames(&clip);
    // The longest gap between two frames.
    let (from, to) = frames
        .windows(2)
        .map(|pair| (pair[0].pts, pair[1].pts))
        .max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))
        .unwrap();
    let start = from + 0.1;
    let made = trim(&clip, "mp4", start, Some(to - start + 0.2), "");
    let kept = judge::frames(&made.path);
    assert!(kept[0].pts.abs() < 1e-6);
    assert!((kept[1].pts - (to - start)).abs() < 0.001, "{} {}", kept[1].pts, to - start);
}

#[test]
fn a_keyframe_will_do_where_that_is_asked_for() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let made = trim(&clip, "mp4", 3.1, Some(0.5), r#","accuracy":"keyframe""#);
    assert_eq!(made.report.strategy.name(), "copy");
    let counters = judge::counters(&made.path);
    let wanted = expected(&clip, 2.0, 3.6);
    assert_eq!(counters[..wanted.len()], wanted);
    assert!(counters.len() <= wanted.len() + 3, "{} frames", counters.len());
    assert_eq!(judge::decode_errors(&made.path), Vec::<String>::new());
}

#[test]
fn ends_of_the_media_bound_a_section() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let made = trim(&clip, "mp4", 2.0, Some(100.0), "");
    let codes: Vec<_> = made.report.warnings.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(codes, ["CUT_CLIPPED"]);
    assert_eq!(judge::counters(&made.path).len(), 50);
    let error = run(&clip, "mp4", r#""trim","startSeconds":4.5"#).err().unwrap();
    assert_eq!(error.code(), "INPUT_INVALID");
    assert!(error.to_string().contains("4.5"), "{error}");
}

#[test]
fn adts_is_cut_to_the_packet_and_says_so() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let made = trim(&fixtures::get("clicks.aac"), "aac", 0.5, Some(1.0), "");
    let codes: Vec<_> = made.report.warnings.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(codes, ["CUT_ROUNDED_TO_PACKET"]);
    assert_eq!(judge::packets(&made.path, "a:0").len(), 47);
}

#[test]
fn every_recipe_that_cuts_keeps_the_same_frames() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mkv");
    for recipe in ["webReady", "proxy"] {
        let recipe = format!(r#""{recipe}","startSeconds":0.5,"durationSeconds":1.5"#);
        let made = run(&clip, "mp4", &recipe).unwrap();
        assert_eq!(judge::counters(&made.path), expected(&clip, 0.5, 2.0), "{recipe}");
    }
    let cut = r#""extractAudio","startSeconds":0.5,"durationSeconds":1.5"#;
    let made = run(&clip, "m4a", cut).unwrap();
    let clicks = judge::clicks(&made.path);
    let before = judge::clicks(&clip);
    for (click, source) in clicks.iter().zip(before.iter().filter(|click| **click >= 0.5)) {
        assert!((source - 0.5 - click).abs() < 0.001, "{source} became {click}");
    }
    assert!(!clicks.is_empty());
}
