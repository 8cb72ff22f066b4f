//! What a caller sees of a run besides its numbers: what it is doing, and when it takes too long.

use std::time::Duration;

use avocet::{
    Engine,
    engine::{Phase, Settings},
    recipes::VideoCodec,
};

use crate::support::{files, watched};

#[test]
fn a_run_tells_what_it_is_doing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (clip, folder) = (fixtures::get("counter-h264-aac.mkv"), tempfile::tempdir().unwrap());
    watched(fixtures::test_name!(), move || {
        let mut phases: Vec<Phase> = Vec::new();
        avocet::transcode(&clip)
            .output(folder.path().join("out.mp4"))
            .progress(|now| {
                if phases.last() != Some(&now.phase) {
                    phases.push(now.phase);
                }
            })
            .run()
            .unwrap();
        assert_eq!(phases, [Phase::Running, Phase::Verifying, Phase::Delivering, Phase::Done]);
    });
}

#[test]
fn a_run_that_takes_too_long_is_stopped_and_leaves_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (clip, folder) = (fixtures::get("counter-60s.mp4"), tempfile::tempdir().unwrap());
    watched(fixtures::test_name!(), move || {
        let job = avocet::transcode(&clip).codec(VideoCodec::Av1).preset("0");
        let job = job.output(folder.path().join("out.mp4")).timeout(Duration::from_millis(1));
        let error = job.run().unwrap_err();
        assert_eq!(error.code(), "ENGINE_INVOCATION_ERROR", "{error}");
        assert_eq!(files(folder.path()), [""; 0]);
        // Planning counts.
        let error = avocet::thumbnail(&clip).output("x.jpg").timeout(Duration::ZERO).plan();
        assert_eq!(error.unwrap_err().to_string(), "the run exceeded its time limit of 0 s");
        // A writer takes one file.
        let error = avocet::storyboard(&clip).output_writer(Vec::new(), avocet::Format::Jpg).plan();
        assert_eq!(error.unwrap_err().code(), "VALIDATION_ERROR");
        // One that has time enough is not stopped.
        let quick = avocet::transcode(&clip).output(folder.path().join("out.mkv.mp4"));
        quick.timeout(Duration::from_secs(600)).run().unwrap();
    });
}

/// The settings tell where what stands beside no output is kept meanwhile.
#[test]
fn temporary_files_go_where_the_settings_say() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (clip, folder) = (fixtures::get("counter-h264-aac.mp4"), tempfile::tempdir().unwrap());
    watched(fixtures::test_name!(), move || {
        let within = |name: &str| {
            let temporary_folder = Some(folder.path().join(name));
            let engine = Engine::new(Settings { temporary_folder, ..Settings::default() });
            let mut made = Vec::new();
            let job = avocet::transcode(&clip).engine(&engine);
            let result = job.output_writer(&mut made, avocet::Format::Mp4).run();
            (result, made.len())
        };
        let (result, _) = within("missing");
        assert_eq!(result.unwrap_err().code(), "STORAGE_ERROR");
        std::fs::create_dir(folder.path().join("there")).unwrap();
        let (result, bytes) = within("there");
        assert!(result.is_ok() && bytes > 10_000, "{bytes}");
        assert_eq!(files(&folder.path().join("there")), [""; 0]);
    });
}
