//! Many frames of one input: sprite sheets with their cues, and separate files.

use std::{fs, ops::ControlFlow, path::Path, process::Command};

use avocet::{Engine, Format, engine::RunOptions, recipes::Accuracy};
use fixtures::judge;

use crate::support::job;

/// The counters of the frames in a sprite sheet, row by row, as the ffmpeg program splits it.
fn counters(sprite: &Path, columns: u32, rows: u32, pictures: usize) -> Vec<Option<u16>> {
    let folder = tempfile::tempdir().unwrap();
    let apart = folder.path().join("apart.mkv");
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(sprite)
        .args(["-vf", &format!("untile={columns}x{rows}"), "-pix_fmt", "yuv420p", "-c:v", "ffv1"])
        .arg(&apart)
        .status();
    assert!(status.unwrap().success());
    let mut counters = judge::counters(&apart);
    counters.truncate(pictures);
    counters
}

fn run(clip: &Path, recipe: &str, folder: &Path, format: &str) -> avocet::Report {
    let mut last = 0.0_f64;
    let job = avocet::job(job(clip, format, recipe)).output(folder).progress(|progress| {
        assert!(progress.fraction >= last);
        last = progress.fraction;
    });
    let report = job.run().unwrap_or_else(|error| panic!("{}: {error}", clip.display()));
    assert!((last - 1.0).abs() < 1e-9);
    report
}

#[test]
fn a_storyboard_shows_each_part_of_its_input() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // A keyframe (each 2 s) may be used if it is close enough; all other frames are exact.
    for (name, format, millis) in [
        ("counter-h264-aac.mp4", "jpg", 250_u32),
        ("counter-h264-aac.mkv", "png", 250),
        ("counter-h264-aac.ts", "jpg", 500),
        ("hevc-open-gop.mp4", "webp", 250),
        ("vp9-opus.webm", "jpg", 250),
        ("h264-tff.mp4", "jpg", 500),
    ] {
        let clip = fixtures::get(name);
        let folder = tempfile::tempdir().unwrap();
        let every = f64::from(millis) / 1000.0;
        let recipe = format!(r#""storyboard","everySeconds":{every},"columns":4,"width":320"#);
        let report = run(&clip, &recipe, folder.path(), format);
        assert_eq!(report.outputs.len(), 2, "{name}");
        let pictures = usize::try_from(4000 / millis).unwrap();
        let rows = u32::try_from(pictures).unwrap().div_ceil(4);
        let sprite = folder.path().join(format!("out_sprite_1.{format}"));
        let found = counters(&sprite, 4, rows, pictures);
        assert_eq!(found.len(), pictures, "{name}");
        let probed = judge::probe(&clip);
        let begin = probed.start.unwrap().max(0.0);
        let times: Vec<f64> = judge::frames(&clip).iter().map(|frame| frame.pts - begin).collect();
        for (number, counter) in found.iter().enumerate() {
            let counter = counter.unwrap_or_else(|| panic!("{name} {number}: {found:?}"));
            // The last interval ends at the declared end of the file.
            let end = probed.duration.filter(|_| number + 1 == pictures);
            let end = end.unwrap_or((number + 1) as f64 * every);
            let middle = f64::midpoint(number as f64 * every, end);
            let off = times[usize::from(counter)] - middle;
            assert!(off.abs() <= every + 0.04, "{name} {number}: {found:?}");
            // A frame that is no keyframe must be the one on screen at that time.
            let is_exact = off <= 0.001 && off > -0.0401;
            let is_key = counter.is_multiple_of(25);
            assert!(is_exact || is_key, "{name} {number}: {found:?}");
        }
        let cues = fs::read_to_string(folder.path().join("out_vtt.vtt")).unwrap();
        assert_eq!(cues.matches(" --> ").count(), pictures, "{name}");
        let expected =
            format!("00:00:00.000 --> 00:00:00.{millis}\nout_sprite_1.{format}#xywh=0,0,320,");
        assert!(cues.contains(&format!("\n{expected}")), "{cues}");
        let told = cues.matches("\npicture at 00:00:0").count();
        assert!(told == pictures || clip.extension() != Some("mp4".as_ref()), "{name}: {cues}");
    }
}

#[test]
fn keyframes_behind_an_edit_list_are_the_ones_that_are_shown_then() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = fixtures::get("edited.mp4");
    run(&clip, r#""storyboard","count":5,"columns":5,"width":320"#, folder.path(), "png");
    let found = counters(&folder.path().join("out_sprite_1.png"), 5, 1, 5);
    for (number, counter) in found.iter().enumerate() {
        let middle = 1.3 + (number as f64 + 0.5) * 2.7 / 5.0;
        let shown = f64::from(counter.unwrap()) / 25.0;
        assert!((shown - middle).abs() < 0.58, "{number}: {found:?}");
    }
    assert!(found.is_sorted(), "{found:?}");
}

#[test]
fn pictures_of_a_file_behind_another_are_shown() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in ["again.mkv", "again.webm", "again.flv", "appended.flv", "again.ts"]
        .into_iter()
        .chain(["again-fragmented.mp4"])
    {
        let clip = fixtures::get(name);
        let folder = tempfile::tempdir().unwrap();
        run(&clip, r#""storyboard","count":16,"columns":4,"width":320"#, folder.path(), "png");
        let found = counters(&folder.path().join("out_sprite_1.png"), 4, 4, 16);
        assert_eq!(found.len(), 16, "{name}");
        for (number, counter) in found.iter().enumerate() {
            // The second file begins after the sound of the first has ended, too.
            let middle = (number % 8) as f64 * 0.5 + 0.25;
            let shown = f64::from(counter.unwrap()) / 25.0;
            assert!((shown - middle).abs() < 0.6, "{name} {number}: {found:?}");
        }
        for (seconds, expected) in [(1.5, 35..=37), (5.5, 33..=37)] {
            let recipe = format!(r#""thumbnail","seekSeconds":{seconds}"#);
            let outcome = crate::support::run(&clip, "png", &recipe).unwrap();
            let found = judge::counters(&outcome.path)[0].unwrap();
            assert!(expected.contains(&found), "{name} at {seconds} s: {found}");
            assert_eq!(outcome.report.warnings, [], "{name} at {seconds} s");
        }
        let frames = avocet::frames(&clip).at([5.5]).iter();
        let time = frames.unwrap().next().unwrap().unwrap().time().unwrap().seconds();
        assert!((5.4..=5.6).contains(&time) || name.ends_with("ts"), "{name}: {time}");
    }
}

#[test]
fn sprites_follow_each_other_when_one_is_full() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    let folder = tempfile::tempdir().unwrap();
    let report =
        run(&clip, r#""storyboard","count":25,"columns":2,"width":320"#, folder.path(), "jpg");
    let names: Vec<_> = report.outputs.iter().map(|it| it.location.to_string()).collect();
    assert!(names.len() == 3 && names[1].ends_with("out_sprite_2.jpg"), "{names:?}");
    assert_eq!((report.stats.frames_decoded, report.stats.frames_encoded), (25, 2));
    let sprite = |number| folder.path().join(format!("out_sprite_{number}.jpg"));
    let found = [counters(&sprite(1), 2, 10, 20), counters(&sprite(2), 2, 3, 5)].concat();
    let rising = found.windows(2).all(|two| two[0] < two[1]);
    assert!(found.len() == 25 && rising, "{found:?}");
    let cues = fs::read_to_string(folder.path().join("out_vtt.vtt")).unwrap();
    assert!(
        cues.ends_with("00:00:57.600 --> 00:01:00.000\nout_sprite_2.jpg#xywh=0,360,320,180\n"),
        "{cues}"
    );
}

#[test]
fn thumbnails_are_files_beside_each_other() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let folder = tempfile::tempdir().unwrap();
    let thumbnails = |seconds| {
        let thumbnails = avocet::thumbnails(&clip).every(seconds).width(160);
        thumbnails.accuracy(Accuracy::Exact).format(Format::Png).output(folder.path())
    };
    assert_eq!(thumbnails(0.4).run().unwrap().outputs.len(), 10);
    for number in 1..=10 {
        let picture = folder.path().join(format!("counter-h264-aac-{number:04}.png"));
        let expected = u16::try_from((number - 1) * 10 + 5).unwrap();
        assert_eq!(judge::counters(&picture), [Some(expected)], "{number}");
    }
    let refused = thumbnails(0.001).plan().unwrap_err().to_string();
    assert!(refused.contains("at most 500 pictures"), "{refused}");
}

/// If one output can not be written, no other one appears.
#[test]
fn a_storyboard_appears_whole_or_not_at_all() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out_vtt.vtt")).unwrap();
    let storyboard = || avocet::storyboard(&clip).count(4).output(folder.path());
    assert!(storyboard().run().is_err());
    fs::remove_dir(folder.path().join("out_vtt.vtt")).unwrap();
    let plan = storyboard().plan().unwrap().plan;
    let stop = RunOptions::default().observe(|_| ControlFlow::Break(()));
    assert!(Engine::default().run(&plan, stop).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
