//! Cases of time lines that restart, of concatenated files, and of irregular times.

use std::path::Path;

use avocet::plan::Strategy;
use fixtures::judge;

use crate::support::{join, run};
use crate::traps_stream::{
    COPY, ENCODE, FRAME, counted, done, in_sync, same_times, seconds_of_sound, warns,
};

/// The counters of a file of 100 frames, twice.
fn twice() -> Vec<Option<u16>> {
    counted((0..100).chain(0..100))
}

#[test]
fn chained_ogg_is_as_long_as_its_parts() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["chained-vorbis.ogg", "chained-opus.ogg", "chained-flac.ogg"] {
        for format in ["wav", "m4a"] {
            let outcome = done(&fixtures::get(name), format, r#""extractAudio""#);
            let what = format!("{name} in {format}");
            let found = seconds_of_sound(&outcome.path);
            assert!((found - 8.0).abs() < 0.03, "{what}: {found} s");
            let clicks: Vec<_> = (0..8).map(f64::from).collect();
            same_times(&judge::clicks(&outcome.path), &clicks, 0.01, &what);
            assert!(warns(&outcome, "CLOCK_JUMPS_CLOSED"), "{what}");
        }
        let recipe = r#""extractAudio","startSeconds":5.5,"durationSeconds":2"#;
        let outcome = done(&fixtures::get(name), "wav", recipe);
        same_times(&judge::clicks(&outcome.path), &[0.5, 1.5], 0.01, name);
    }
}

#[test]
fn files_that_were_appended_follow_each_other() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clips = [
        ("again.flv", "mp4"),
        ("appended.flv", "mp4"),
        ("again.mkv", "mp4"),
        ("again-fragmented.mp4", "mp4"),
        ("again.webm", "webm"),
    ];
    let recipes = [COPY, r#""transcode","reencode":true,"crf":40"#];
    let table = clips.into_iter().flat_map(|clip| recipes.map(|recipe| (clip, recipe)));
    for ((name, format), recipe) in fixtures::sample(table, 3) {
        let what = format!("{name} by {recipe}");
        let outcome = done(&fixtures::get(name), format, recipe);
        assert_eq!(judge::counters(&outcome.path), twice(), "{what}");
        let found: Vec<_> = judge::frames(&outcome.path).iter().map(|it| it.pts).collect();
        // The second part begins after the sound of the first has ended, too.
        let gap = found[100] - found[99];
        assert!((FRAME - 0.002..3.5 * FRAME).contains(&gap), "{what}: {gap} s between parts");
        let begins = [found[0], found[100]];
        let expected: Vec<_> = begins
            .into_iter()
            .flat_map(|begin| (0..100).map(move |number| begin + f64::from(number) * FRAME))
            .collect();
        same_times(&found, &expected, 0.002, &what);
        in_sync(&outcome.path, 8, FRAME, &what);
        assert!(warns(&outcome, "CLOCK_JUMPS_CLOSED"), "{what}");
    }
}

#[test]
fn a_file_behind_another_that_is_not_read_is_told_of() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format, recipe) in [
        ("appended.mp4", "mp4", r#""webReady""#),
        ("appended.mp4", "mov", COPY),
        ("appended.mp4", "png", r#""thumbnail","seekSeconds":1"#),
        ("unlike-live.mkv", "mp4", COPY),
        ("unlike-live.mkv", "webm", r#""trim","startSeconds":1"#),
        ("appended.wav", "wav", r#""extractAudio""#),
        ("appended.wav", "m4a", r#""extractAudio""#),
    ] {
        let outcome = done(&fixtures::get(name), format, recipe);
        assert!(warns(&outcome, "FILE_FOLLOWS"), "{name} in {format} by {recipe}");
    }
}

#[test]
fn a_trim_finds_its_place_behind_a_clock_that_starts_again() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format) in [("appended.flv", "mp4"), ("again.mkv", "mp4"), ("again.webm", "webm")] {
        for (start, first) in [(1.5, 37..39), (5.5, 35..39)] {
            let recipe = format!(r#""trim","startSeconds":{start},"durationSeconds":1"#);
            let outcome = done(&fixtures::get(name), format, &recipe);
            let what = format!("{name} from {start} s");
            let found: Vec<_> = judge::counters(&outcome.path).into_iter().flatten().collect();
            assert!(first.contains(&found[0]), "{what}: begins with {}", found[0]);
            let expected: Vec<_> = (found[0]..).take(found.len()).collect();
            assert_eq!(found, expected, "{what}");
            assert!((24..=26).contains(&found.len()), "{what}: {} pictures", found.len());
            in_sync(&outcome.path, 1, FRAME, &what);
        }
    }
}

#[test]
fn packets_that_are_torn_are_left_out_and_told() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, whole, format, code) in [
        ("torn-72.mp4", "parts.mp4", "mp4", "PACKETS_TORN"),
        ("torn-80.mp4", "parts.mp4", "mp4", "PACKETS_TORN"),
        ("torn-90.mp4", "parts.mp4", "mp4", "PACKETS_TORN"),
        ("torn.flv", "counter-h264-aac.flv", "mp4", "PACKETS_TORN"),
        ("torn.aac", "clicks.aac", "aac", "PACKETS_TORN"),
    ] {
        let outcome = done(&fixtures::get(name), format, COPY);
        assert!(warns(&outcome, code), "{name}: {:?}", outcome.report.warnings);
        assert_eq!(judge::decode_errors(&outcome.path), [""; 0], "{name}");
        let streams = if format == "aac" { &["a:0"][..] } else { &["v:0", "a:0"] };
        for stream in streams {
            let (made, all) = (
                judge::packet_hashes(&outcome.path, stream),
                judge::packet_hashes(fixtures::get(whole), stream),
            );
            let is_prefix = all.starts_with(&made) || all.windows(made.len()).any(|it| it == made);
            assert!(is_prefix && made.len() < all.len(), "{name} {stream}");
        }
    }
    // All sound is in the lost part. A section without sound gets a warning; the whole is refused.
    let soundless = fixtures::get("torn-40.mp4");
    let outcome = done(&soundless, "mp4", r#""trim","startSeconds":0.5"#);
    assert!(warns(&outcome, "INPUT_SHORT"), "{:?}", outcome.report.warnings);
    assert_eq!(run(&soundless, "mp4", COPY).err().unwrap().code(), "INPUT_INVALID");
    // The packets of a transport stream do not state their expected size.
    let outcome = done(&fixtures::get("torn.ts"), "mp4", COPY);
    assert!(!judge::decode_errors(&outcome.path).is_empty());
    assert!(warns(&outcome, "PICTURE_DAMAGED"), "{:?}", outcome.report.warnings);
    let outcome = done(&fixtures::get("noisy.ts"), "mp4", COPY);
    assert_eq!(judge::decode_errors(&outcome.path), [""; 0]);
    assert_eq!(outcome.report.warnings, []);
    let outcome = done(&fixtures::get("torn.ogg"), "wav", r#""extractAudio""#);
    assert!(warns(&outcome, "PACKETS_TORN"), "{:?}", outcome.report.warnings);
    let outcome = done(&fixtures::get("clicks.ogg"), "wav", r#""extractAudio""#);
    assert_eq!(outcome.report.warnings, []);
    // A warning is given even if the packets of the read tracks do not state their size.
    let outcome = done(&fixtures::get("torn.mkv"), "m4a", r#""extractAudio""#);
    assert!(warns(&outcome, "INPUT_SHORT"), "{:?}", outcome.report.warnings);
    let outcome = done(&fixtures::get("torn.wav"), "wav", r#""extractAudio""#);
    assert!(warns(&outcome, "PACKETS_TORN") && warns(&outcome, "DURATION_DECLARED_WRONG"));
    assert!((seconds_of_sound(&outcome.path) - 3.2).abs() < 0.05);
}

#[test]
fn sections_of_an_edit_list_are_shown_as_listed() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let sections = [15..35, 55..75_u16];
    for (name, order) in [("sections.mp4", [0, 1]), ("sections-back.mp4", [1, 0])] {
        let listed = order.map(|place: usize| sections[place].clone());
        let listed: Vec<_> = listed.into_iter().flatten().collect();
        let source = fixtures::get(name);
        for (recipe, from, to) in [
            (COPY, 0, 40),
            (ENCODE, 0, 40),
            (r#""webReady""#, 0, 40),
            (r#""trim","startSeconds":0.4"#, 10, 40),
            (r#""trim","durationSeconds":0.4"#, 0, 10),
            (r#""trim","startSeconds":0.4,"durationSeconds":0.8"#, 10, 30),
            (r#""trim","startSeconds":1,"durationSeconds":0.4"#, 25, 35),
            (r#""trim","startSeconds":1"#, 25, 40),
            (r#""proxy","startSeconds":0.4"#, 10, 40),
        ] {
            // When a later section lies earlier in the media, libav makes its reordered frames
            // begin two frames late. A cut within that section is off by as many frames.
            let is_late = name == "sections-back.mp4";
            if is_late && (from > 20 || (21..40).contains(&to)) {
                continue;
            }
            let what = format!("{name} by {recipe}");
            let outcome = done(&source, "mp4", recipe);
            let expected = counted(listed[from..to].iter().copied());
            assert_eq!(judge::counters(&outcome.path), expected, "{what}");
            let length = judge::probe(&outcome.path).duration.unwrap();
            let wanted = (to - from) as f64 * FRAME;
            let late = if is_late { 2.0 * FRAME } else { 0.0 };
            assert!((length - wanted).abs() < late + FRAME, "{what}: {length} s");
        }
        // One click of the media is inside a section. Another begins where a section ends, and may
        // be heard since libav ends sections at whole audio packets.
        let clicks = done(&source, "wav", r#""extractAudio""#);
        let mut found = judge::clicks(&clicks.path);
        let (expected, edge) = if name == "sections.mp4" { (0.4, 1.6) } else { (1.2, 0.8) };
        found.retain(|click| (click - edge).abs() > 0.03);
        same_times(&found, &[expected], 0.03, name);
        for (seconds, place) in [(0.02, 0), (0.5, 12), (1.0, 25), (1.5, 37)] {
            let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
            let made = done(&source, "png", &recipe);
            let late = if name == "sections-back.mp4" && place > 20 { 2 } else { 0 };
            let expected = Some(listed[place - late]);
            assert_eq!(judge::counters(&made.path), [expected], "{name}, {seconds} s");
        }
        if name == "sections.mp4" {
            let outcome = join(&[source.clone(), source], "mp4").unwrap();
            let expected = counted(listed.iter().chain(&listed).copied());
            assert_eq!(judge::counters(&outcome.path), expected, "{name} joined to itself");
        }
    }
}

#[test]
fn a_transport_stream_that_goes_on_under_other_numbers_is_told_of() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["other-pids.ts", "other-programs.ts"] {
        for (format, recipe, streams) in
            [("mp4", COPY, 2), ("mp4", ENCODE, 2), ("m4a", r#""extractAudio""#, 1)]
        {
            let outcome = done(&fixtures::get(name), format, recipe);
            let told: Vec<_> = outcome
                .report
                .warnings
                .iter()
                .filter(|warning| warning.code == "STREAM_GOES_ON")
                .map(|warning| &warning.message)
                .collect();
            assert_eq!(told.len(), streams, "{name} by {recipe}: {told:?}");
            let seconds = |message: &String| {
                let (_, seconds) = message.split_once("continues for ").unwrap();
                seconds.split_once(' ').unwrap().0.parse::<f64>().unwrap()
            };
            assert!(told.into_iter().all(|message| (seconds(message) - 4.0).abs() < 0.2), "{name}");
        }
    }
    let outcome = done(&fixtures::get("counter-h264-aac.ts"), "mp4", COPY);
    assert!(!warns(&outcome, "STREAM_GOES_ON"));
}

#[test]
fn the_picture_on_screen_at_a_late_start_is_there() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for format in ["mp4", "webm"] {
        let recipe = r#""trim","startSeconds":15,"durationSeconds":15"#;
        let outcome = done(&fixtures::get("slow.mp4"), format, recipe);
        assert_eq!(judge::counters(&outcome.path), counted(1..3), "{format}");
        let found: Vec<_> = judge::frames(&outcome.path).iter().map(|it| it.pts).collect();
        same_times(&found, &[0.0, 5.0], 0.002, format);
        let length = judge::probe(&outcome.path).duration.unwrap();
        assert!((length - 15.0).abs() < FRAME, "{format}: {length} s");
    }
}

#[test]
fn pictures_that_webm_can_not_tell_apart_are_dropped_and_counted() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["fast.mp4", "fast-vp9.mp4"] {
        let recipe = r#""transcode","crf":40,"preset":8"#;
        let recipe = if name == "fast.mp4" { recipe } else { COPY };
        let outcome = done(&fixtures::get(name), "webm", recipe);
        assert_eq!(outcome.report.strategy, Strategy::Encode, "{name}");
        assert!(warns(&outcome, "FRAMES_INDISTINCT"), "{name}: {:?}", outcome.report.warnings);
        let length = judge::probe(&outcome.path).duration.unwrap();
        assert!((length - 0.5).abs() < 0.01, "{name}: {length} s");
        let frames = judge::frames(&outcome.path);
        let counters = judge::counters(&outcome.path);
        assert!((480..=502).contains(&frames.len()), "{name}: {} pictures", frames.len());
        for (frame, counter) in frames.iter().zip(counters) {
            let own = f64::from(counter.unwrap()) / 2000.0;
            assert!((frame.pts - own).abs() < 0.0021, "{name}: {counter:?} at {} s", frame.pts);
        }
    }
}

#[test]
fn times_that_can_not_be_placed_are_refused_where_they_are_read() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let refused = |done: Result<(), avocet::Error>, what: &str| {
        let error = done.err().unwrap_or_else(|| panic!("{what} is done"));
        assert_eq!(error.code(), "INPUT_INVALID", "{what}: {error}");
        // For one of these clips, libav fails to read the header.
        let told = error.to_string();
        let is_told = told.contains("within ten years") || told.contains("error reading header");
        assert!(is_told, "{what}: {told}");
    };
    for name in [
        "hostile-first.mp4",
        "hostile-last.mp4",
        "hostile-near.mp4",
        "hostile-negative.mp4",
        "hostile-edge.mp4",
    ] {
        let clip = fixtures::get(name);
        for (format, recipe) in [
            ("mp4", COPY),
            ("mp4", ENCODE),
            ("mov", COPY),
            ("wav", r#""extractAudio""#),
            ("m4a", r#""extractAudio","startSeconds":1"#),
        ] {
            refused(run(&clip, format, recipe).map(drop), &format!("{name}: {format} by {recipe}"));
        }
        for format in ["mp3", "m4a", "mp4"] {
            let joined = join(&[clip.clone(), clip.clone()], format).map(drop);
            refused(joined, &format!("{name}: joined to itself in {format}"));
        }
        // The section may lie before those times, or after all of them.
        for (format, recipe) in [
            ("mp4", r#""trim","startSeconds":1,"durationSeconds":2"#),
            ("mp4", r#""trim","startSeconds":3"#),
            ("mp4", r#""trim","startSeconds":1e18"#),
            ("mp4", r#""webReady","startSeconds":0.5,"durationSeconds":1e18"#),
            ("png", r#""thumbnail","seekSeconds":3"#),
            ("png", r#""thumbnail","seekSeconds":1e18"#),
        ] {
            check_ends(&clip, &format!("{format} by {recipe}"), || {
                run(&clip, format, recipe).map(drop)
            });
        }
    }
}

/// Fails if a job reports a panic.
fn check_ends(clip: &Path, what: &str, job: impl FnOnce() -> Result<(), avocet::Error>) {
    if let Err(error) = job() {
        let told = error.to_string();
        assert!(!told.contains("panicked"), "{} in {what}: {told}", clip.display());
    }
}
