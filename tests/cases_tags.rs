//! Cases of metadata and text: tags, projections, chapters, subtitles.

use std::{fs, ops::ControlFlow, path::Path, time::Instant};

use avocet::{Engine, Format, Report, engine::RunOptions, recipes::Accuracy};
use fixtures::judge;

use crate::support::{Outcome, job, join, run};

/// Whether a report has a warning with this code.
fn warns(report: &Report, code: &str) -> bool {
    report.warnings.iter().any(|warning| warning.code == code)
}

/// One recipe for each strategy: remux, smart cut, copy from a keyframe, and encode.
const WAYS: [&str; 4] = [
    r#""transcode""#,
    r#""trim","startSeconds":0.5,"durationSeconds":3"#,
    r#""trim","startSeconds":2,"durationSeconds":2,"accuracy":"keyframe""#,
    r#""transcode","reencode":true"#,
];

fn tag<'a>(probe: &'a judge::Probe, name: &str) -> &'a str {
    probe.tags.get(name).map_or("", String::as_str)
}

#[test]
fn place_and_date_of_an_iphone_stay_as_they_are_in_quicktime() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("iphone.mov");
    for recipe in WAYS {
        let made = run(&clip, "mov", recipe).unwrap();
        let probe = judge::probe(&made.path);
        for (name, value) in [
            ("location.iso6709", "+48.8577+002.2950+035.000/"),
            ("creationdate", "2024-05-01T10:00:00+0200"),
            ("make", "Apple"),
            ("content.identifier", "0123"),
        ] {
            let name = format!("com.apple.quicktime.{name}");
            assert_eq!(tag(&probe, &name), value, "{recipe}: {name}");
        }
    }
}

#[test]
fn place_and_date_of_an_iphone_get_their_common_names_in_mp4() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, place, date) in [
        ("iphone.mov", "+48.8577+002.2950+035.000/", "2024-05-01T10:00:00+0200"),
        ("located.mov", "+48.8577+002.2950/", "2024-05-01"),
    ] {
        for recipe in WAYS {
            let made = run(&fixtures::get(name), "mp4", recipe).unwrap();
            let probe = judge::probe(&made.path);
            assert_eq!(tag(&probe, "location"), place, "{name} {recipe}");
            assert_eq!(tag(&probe, "date"), date, "{name} {recipe}");
            assert!(!tag(&probe, "make").is_empty(), "{name} {recipe}");
            let bytes = fs::read(&made.path).unwrap();
            assert!(bytes.windows(4).any(|four| four == b"\xa9xyz"), "{name} {recipe}");
            assert_eq!(judge::decode_errors(&made.path), [""; 0], "{name} {recipe}");
            // Convert it back to QuickTime.
            let back = run(&made.path, "mov", r#""transcode""#).unwrap();
            assert_eq!(tag(&judge::probe(&back.path), "location"), place, "{name} {recipe}");
        }
    }
}

#[test]
fn chapters_of_an_audiobook_are_in_its_mp3() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["chapters.mp4", "chapters.mkv"] {
        let clip = fixtures::get(name);
        let chapters = |path: &Path| -> Vec<String> {
            let chapters = judge::probe(path).chapters;
            let chapter = |it: judge::Chapter| format!("{:.2} {}", it.start, it.title);
            chapters.into_iter().map(chapter).collect()
        };
        let made = run(&clip, "mp3", r#""extractAudio""#).unwrap();
        let expected = ["0.00 Before", "1.52 After"];
        assert_eq!(chapters(&made.path), expected, "{name}");
        let cut = run(&clip, "mp3", r#""extractAudio","startSeconds":1"#).unwrap();
        let expected = ["0.00 Before", "0.52 After"];
        assert_eq!(chapters(&cut.path), expected, "{name}");
        // Formats without chapters get a warning.
        for format in ["wav", "aac"] {
            let made = run(&clip, format, r#""extractAudio""#).unwrap();
            assert!(warns(&made.report, "CHAPTERS_LEFT_OUT"), "{name} {format}");
            assert_eq!(chapters(&made.path), [""; 0], "{name} {format}");
        }
    }
}

/// The cues as `start-end text`, in tenths of a second.
fn lines(path: &Path) -> Vec<String> {
    let tenths = |seconds: f64| (seconds * 10.0).round();
    let line = |line: judge::Line| {
        format!("{}-{} {}", tenths(line.start), tenths(line.end), line.text.replace('\n', "/"))
    };
    judge::lines(path, "s:0").into_iter().map(line).collect()
}

#[test]
fn cues_that_overlap_are_both_shown_in_mp4() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("overlapping.mkv");
    let expected =
        ["5-10 first", "10-15 first/second", "15-20 second", "25-30 third/fourth", "30-35 fifth"];
    for format in ["mp4", "mov"] {
        let made = run(&clip, format, r#""transcode","tracks":"all""#).unwrap();
        assert_eq!(lines(&made.path), expected, "{format}");
        assert!(!warns(&made.report, "TIMES_MOVED"), "{format}");
    }
    let cut = r#""trim","tracks":"all","startSeconds":1.2,"durationSeconds":1"#;
    let made = run(&clip, "mp4", cut).unwrap();
    assert_eq!(lines(&made.path), ["0-3 first/second", "3-8 second"]);
    // WebM stores overlapping cues.
    let made = run(&clip, "webm", r#""transcode","tracks":"all""#).unwrap();
    assert_eq!(lines(&made.path), lines(&clip));
}

#[test]
fn pictures_of_a_recording_without_a_duration_are_spread_over_all_of_it() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("live.webm");
    assert_eq!(judge::probe(&clip).duration, None);
    let folder = tempfile::tempdir().unwrap();
    avocet::storyboard(&clip).count(4).width(320).output(folder.path()).run().unwrap();
    let cues = fs::read_to_string(folder.path().join("out_vtt.vtt")).unwrap();
    let packets = ["v:0", "a:0"].map(|stream| judge::packets(&clip, stream)).concat();
    let ends = packets.iter().filter_map(|packet| Some(packet.pts? + packet.duration));
    let end = ends.fold(0.0, f64::max);
    let last = cues.lines().filter_map(|line| line.split_once(" --> ")).next_back().unwrap();
    let seconds = |time: &str| time.strip_prefix("00:00:").unwrap().parse::<f64>().unwrap();
    assert!((seconds(last.1) - end).abs() < 0.021, "{cues}, not {end}");
    assert!((seconds(last.0) - 0.75 * end).abs() < 0.021, "{cues}, not {end}");
    let thumbnails = avocet::thumbnails(&clip).count(4).accuracy(Accuracy::Exact);
    thumbnails.format(Format::Png).output(folder.path()).run().unwrap();
    for (number, expected) in [(1, 12), (2, 37), (3, 62), (4, 87)] {
        let picture = folder.path().join(format!("live-{number:04}.png"));
        assert_eq!(judge::counters(&picture), [Some(expected)], "{number}");
    }
}

#[test]
fn every_cue_of_a_short_storyboard_has_a_length() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("one-frame.mp4");
    for (recipe, expected) in [
        (r#""storyboard","width":32"#, 40),
        (r#""storyboard","width":32,"everySeconds":0.0001"#, 40),
        (r#""storyboard","width":32,"count":7"#, 7),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let job = job(&clip, "jpg", recipe);
        avocet::job(job).output(folder.path()).run().unwrap();
        let cues = fs::read_to_string(folder.path().join("out_vtt.vtt")).unwrap();
        let times: Vec<_> = cues.lines().filter_map(|line| line.split_once(" --> ")).collect();
        assert_eq!(times.len(), expected, "{recipe}");
        assert!(times.iter().all(|(from, to)| from < to), "{cues}");
        assert!(times.windows(2).all(|two| two[0].1 == two[1].0), "{cues}");
        assert_eq!((times[0].0, times[expected - 1].1), ("00:00:00.000", "00:00:00.040"));
    }
}

/// The stereo packing and the projection, as ffprobe names them.
fn projection(path: &Path) -> (String, String) {
    let probe = judge::probe(path);
    let video = probe.video();
    let text = |kind: &str, field: &str| {
        let data = video.side_data(kind).map(|data| data[field].as_str().unwrap_or_default());
        data.unwrap_or_default().to_owned()
    };
    (text("Stereo 3D", "type"), text("Spherical Mapping", "projection"))
}

fn whole() -> (String, String) {
    ("top and bottom".to_owned(), "equirectangular".to_owned())
}

fn made_of(name: &str, format: &str, recipe: &str) -> Outcome {
    let made = run(&fixtures::get(name), format, recipe);
    made.unwrap_or_else(|error| panic!("{name} {format} {recipe}: {error}"))
}

#[test]
fn a_projection_is_kept_by_copies_cuts_and_encodes() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["spherical.mp4", "spherical.mkv", "spherical-hevc.mkv"] {
        assert_eq!(projection(&fixtures::get(name)), whole(), "{name}");
        let more = [
            r#""webReady""#,
            r#""proxy","width":160"#,
            r#""compress""#,
            r#""resize","width":160"#,
            r#""resize","width":320,"height":160,"fit":"stretch""#,
        ];
        for recipe in fixtures::sample(WAYS.into_iter().chain(more), 4) {
            let made = made_of(name, "mp4", recipe);
            assert_eq!(projection(&made.path), whole(), "{name} {recipe}");
            assert_eq!(judge::decode_errors(&made.path), <[&str; 0]>::default(), "{name} {recipe}");
            assert!(!warns(&made.report, "PROJECTION_LEFT_OUT"), "{name} {recipe}");
        }
        let made = made_of(name, "webm", r#""transcode""#);
        assert_eq!(projection(&made.path), whole(), "{name}");
        let back = run(&made.path, "mp4", r#""transcode""#).unwrap();
        assert_eq!(projection(&back.path), whole(), "{name}");
    }
    let clip = fixtures::get("spherical.mp4");
    assert_eq!(projection(&join(&[clip.clone(), clip], "mp4").unwrap().path), whole());
}

#[test]
fn a_projection_that_does_not_fit_the_result_is_left_out_and_told() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let none = (String::new(), String::new());
    for (format, recipe) in [
        ("mp4", r#""resize","width":320,"height":180,"fit":"contain""#),
        ("mp4", r#""resize","width":320,"height":180,"fit":"cover""#),
        ("mov", r#""transcode""#),
        ("mov", r#""transcode","reencode":true"#),
    ] {
        for name in ["spherical.mp4", "spherical.mkv"] {
            let made = made_of(name, format, recipe);
            assert_eq!(projection(&made.path), none, "{name} {format} {recipe}");
            assert!(warns(&made.report, "PROJECTION_LEFT_OUT"), "{name} {format} {recipe}");
        }
    }
    // If only one of the joined inputs has a projection, the result has none.
    let others = [fixtures::get("spherical.mp4"), fixtures::get("counter-h264-aac.mp4")];
    let made = join(&others, "mp4").unwrap();
    assert_eq!(projection(&made.path), none);
    assert!(warns(&made.report, "PROJECTION_LEFT_OUT"));
}

/// If a run begins anew with another plan, its wall time is that of both.
#[test]
fn wall_time_covers_plans_that_were_given_up() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("one-frame.mp4");
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a.mp4");
    let plan = avocet::compress(&clip).crf(0).output(output).plan().unwrap().plan;
    let mut shown: Option<(Instant, Instant)> = None;
    let options = RunOptions::default().observe(|_| {
        let now = Instant::now();
        shown = Some((shown.map_or(now, |(first, _)| first), now));
        ControlFlow::Continue(())
    });
    let report = Engine::default().run(&plan, options).unwrap();
    assert_ne!(report.plan, plan, "the first plan was not given up");
    let (first, last) = shown.unwrap();
    assert!(report.stats.wall_seconds >= (last - first).as_secs_f64());
}
