//! The engine itself: plans as data, the caller's streams, and all ways to fail or to stop.

use std::{
    fs,
    io::{self, Cursor, Write},
    num::NonZeroU32,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use avocet::{
    CancelToken, Engine, Plan, Progress, Report, Source,
    engine::{Error, ProbeOptions, RunOptions, Settings},
    io::Location,
    media::Rational,
    plan::{Action, Content, Encoder, FrameFormat, Input, Output, StreamId, Track, TrackKind},
};
use fixtures::judge;
use tempfile::TempDir;

use crate::support::{
    self, Flaky, Full, SOON, Stuck, Trouble, alone, files, open_files, plan, resident, threads,
    watched,
};

const CLIP: &str = "counter-h264-aac.mp4";
const COPY: &str = r#""transcode""#;
const ENCODE: &str = r#""transcode","reencode":true,"preset":"ultrafast""#;
const SLOW: &str = r#""transcode","reencode":true,"preset":"veryslow""#;

/// A plan with its output in `folder`.
fn planned(clip: &Path, format: &str, recipe: &str, folder: &TempDir) -> Plan {
    support::planned(clip, format, recipe, folder.path())
}

fn run(plan: &Plan) -> Result<Report, Error> {
    Engine::default().run(plan, RunOptions::default())
}

/// Runs a plan, and calls `observe` with its progress.
fn run_observed(
    plan: &Plan,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Report, Error> {
    Engine::default().run(plan, RunOptions::default().observe(observe))
}

/// Runs a plan with a source of the caller as its first input.
fn run_from(plan: &Plan, source: Source, cancel: &CancelToken) -> Result<Report, Error> {
    let mut plan = plan.clone();
    plan.inputs[0].location = Location::Caller(0);
    Engine::default().run(&plan, RunOptions::default().sources([source]).cancel(cancel))
}

/// Runs a plan with a writer of the caller as its first output.
fn run_into(plan: &Plan, writer: impl Write + Send) -> Result<Report, Error> {
    let mut plan = plan.clone();
    plan.outputs[0].location = Location::Caller(0);
    Engine::default().run(&plan, RunOptions::default().writer(writer))
}

/// The encoder of the track of a kind.
fn encoder(plan: &mut Plan, kind: TrackKind) -> &mut Encoder {
    match &mut track(plan, kind).action {
        Action::Encode(encoder) => encoder,
        other => panic!("the track is not encoded: {other:?}"),
    }
}

fn track(plan: &mut Plan, kind: TrackKind) -> &mut Track {
    let track = tracks(plan).iter_mut().find(|track| track.kind == kind);
    track.expect("such a track")
}

/// The tracks of the first output.
fn tracks(plan: &mut Plan) -> &mut Vec<Track> {
    match &mut plan.outputs[0].content {
        Content::Tracks(tracks) => tracks,
        other => panic!("it is {other:?}"),
    }
}

fn is_nothing_in(folder: &TempDir) -> bool {
    files(folder.path()).is_empty()
}

/// If an encoder refuses the format of a smart cut, the plan that encodes all is run.
#[test]
fn a_seam_that_no_encoder_makes_is_encoded_with_the_rest() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let clip = fixtures::get("group-mpeg2-open-b.mp4");
    let recipe = r#""trim","startSeconds":0.52,"durationSeconds":2"#;
    let mut plan = planned(&clip, "mp4", recipe, &folder);
    let Content::Tracks(tracks) = &mut plan.outputs[0].content else { panic!("{plan}") };
    let Action::SmartCut(encoder) = &mut tracks[0].action else { panic!("{tracks:?}") };
    // MPEG-2 can not signal this frame rate.
    let FrameFormat::Video(format) = &mut encoder.format else { panic!("{encoder:?}") };
    format.frame_rate = Rational::new(251, 10);
    format.time_base = Rational::new(10, 251).unwrap();
    let report = run(&plan).unwrap();
    assert_eq!(report.strategy.name(), "encode");
    assert_eq!(judge::frames(folder.path().join("out.mp4")).len(), 50);
    // Without another plan, the error names the encoder.
    plan.otherwise = None;
    let error = run(&plan).unwrap_err().to_string();
    assert!(error.contains("smart cut failed: encoder `mpeg2video`"), "{error}");
}

#[test]
fn a_plan_survives_json_and_the_same_job_gives_the_same_plan() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format, recipe) in [
        (CLIP, "mp4", COPY),
        (CLIP, "webm", ENCODE.split_once(",\"preset").unwrap().0),
        ("hdr10.mp4", "mp4", ENCODE),
        ("vfr.mp4", "mov", ENCODE),
        (CLIP, "png", r#""thumbnail","seekSeconds":1"#),
    ] {
        let clip = fixtures::get(name);
        watched(name, move || {
            let first = plan(&clip, format, recipe).unwrap();
            assert_eq!(first, plan(&clip, format, recipe).unwrap(), "{name}");
            let text = serde_json::to_string(&first).unwrap();
            assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), first, "{name}: {text}");
        });
    }
}

/// A plan that names something missing fails before any work, and the error names it.
fn check_refused(case: &'static str, change: fn(&mut Plan), is_right: fn(&Error) -> bool) {
    let clip = fixtures::get(CLIP);
    watched(case, move || {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = planned(&clip, "mp4", ENCODE, &folder);
        change(&mut plan);
        let mut called = false;
        let result = run_observed(&plan, |_| {
            called = true;
            ControlFlow::Continue(())
        });
        let error = result.expect_err(case);
        assert!(is_right(&error) && error.to_string().contains("no_such"), "{case}: {error:?}");
        assert!(!called && is_nothing_in(&folder), "{case}: work was done");
    });
}

/// An option that does not exist.
fn option() -> (String, String) {
    ("no_such".to_owned(), "1".to_owned())
}

#[test]
fn an_unknown_option_is_refused_by_name() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let is_unknown: fn(&Error) -> bool =
        |error| matches!(error, Error::UnknownOption { option, .. } if option == "no_such");
    check_refused(
        "option of the video encoder",
        |plan| encoder(plan, TrackKind::Video).options.push(option()),
        is_unknown,
    );
    check_refused(
        "option of the audio encoder",
        |plan| encoder(plan, TrackKind::Audio).options.push(option()),
        is_unknown,
    );
    check_refused("option of the muxer", |plan| plan.outputs[0].options.push(option()), is_unknown);
    // For filters, libav's message names the option.
    check_refused(
        "option of a video filter",
        |plan| track(plan, TrackKind::Video).parts[0].filters.insert_str(0, "scale=no_such=1,"),
        |_| true,
    );
    check_refused(
        "option of an audio filter",
        |plan| track(plan, TrackKind::Audio).parts[0].filters.insert_str(0, "volume=no_such=1,"),
        |_| true,
    );
}

#[test]
fn an_unknown_component_is_refused_by_name() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    check_refused(
        "encoder",
        |plan| encoder(plan, TrackKind::Video).name = "no_such".to_owned(),
        |error| error.code() == "CONFIG_ERROR",
    );
    check_refused(
        "muxer",
        |plan| {
            plan.outputs[0].muxer = "no_such".to_owned();
            plan.outputs[0].index_first = false;
        },
        |error| error.code() == "CONFIG_ERROR",
    );
    check_refused(
        "muxer of no movie",
        |plan| plan.outputs[0].muxer = "no_such_movie".to_owned(),
        |error| error.to_string().contains("writes no `moov`"),
    );
    check_refused(
        "filter",
        |plan| track(plan, TrackKind::Video).parts[0].filters.insert_str(0, "no_such,"),
        |_| true,
    );
}

#[test]
fn a_run_cancelled_from_another_thread_stops_soon_and_leaves_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let plan = planned(&clip, "mp4", SLOW, &folder);
        let (cancel, (works, working)) = (CancelToken::new(), mpsc::channel());
        let theirs = cancel.clone();
        let other = thread::spawn(move || {
            working.recv().unwrap();
            theirs.cancel();
            Instant::now()
        });
        let options = RunOptions::default().cancel(&cancel).observe(|progress| {
            if progress.frames > 0 {
                // From the second time on, the receiver is gone.
                let _ = works.send(());
            }
            ControlFlow::Continue(())
        });
        let result = Engine::default().run(&plan, options);
        let waited = other.join().unwrap().elapsed();
        // A failure to write can not be reported anywhere.
        let _ = writeln!(io::stderr(), "cancelled in {} ms", waited.as_millis());
        assert_eq!(result.unwrap_err().code(), "CANCELLED");
        assert!(waited < SOON, "it took {waited:?}");
        assert!(is_nothing_in(&folder));
    });
}

#[test]
fn an_observer_that_breaks_cancels_the_run() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    watched(fixtures::test_name!(), move || {
        for frames in [0, 1] {
            let folder = tempfile::tempdir().unwrap();
            let plan = planned(&clip, "mp4", SLOW, &folder);
            let mut broke = None;
            let result = run_observed(&plan, |progress| {
                assert!(broke.is_none(), "it is called after it broke");
                if progress.frames >= frames {
                    broke = Some(Instant::now());
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            });
            let waited = broke.expect("a call").elapsed();
            assert_eq!(result.unwrap_err().code(), "CANCELLED");
            assert!(waited < SOON, "it took {waited:?}");
            assert!(is_nothing_in(&folder));
        }
    });
}

#[test]
fn a_run_cancelled_before_its_start_does_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(CLIP);
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        for (format, recipe) in [("mp4", COPY), ("mp4", ENCODE), ("png", r#""thumbnail""#)] {
            let (plan, cancel) = (planned(&clip, format, recipe, &folder), CancelToken::new());
            cancel.cancel();
            let options = RunOptions::default().cancel(&cancel);
            let error = Engine::default().run(&plan, options).unwrap_err();
            assert_eq!(error.code(), "CANCELLED", "{recipe} in {format}");
            assert!(is_nothing_in(&folder));
        }
    });
}

#[test]
fn a_reader_that_blocks_for_ever_can_be_cancelled() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    let check = |case: &'static str, part: u64, work: fn(&Plan, Source, &CancelToken) -> Error| {
        let clip = clip.clone();
        watched(case, move || {
            let folder = tempfile::tempdir().unwrap();
            let plan = planned(&clip, "mp4", COPY, &folder);
            let inner = fs::read(&clip).unwrap();
            let until = inner.len() as u64 * part / 100;
            let ((waits, waiting), (opens, gate)) = (mpsc::channel(), mpsc::channel());
            let reader = Stuck { inner: Cursor::new(inner), until, waits, gate };
            let (source, cancel) = (Source::reader(reader).unwrap(), CancelToken::new());
            let theirs = cancel.clone();
            let other = thread::spawn(move || {
                waiting.recv().unwrap();
                theirs.cancel();
                Instant::now()
            });
            let error = work(&plan, source, &cancel);
            let waited = other.join().unwrap().elapsed();
            assert_eq!(error.code(), "CANCELLED", "{case}: {error}");
            assert!(waited < SOON, "{case}: it took {waited:?}");
            assert!(is_nothing_in(&folder), "{case}");
            drop(opens);
        });
    };
    let probe = |_: &Plan, source: Source, cancel: &CancelToken| {
        Engine::default().probe(&source, ProbeOptions::default().cancel(cancel)).unwrap_err()
    };
    let run = |plan: &Plan, source: Source, cancel: &CancelToken| {
        run_from(plan, source, cancel).unwrap_err()
    };
    check("probe", 0, probe);
    check("run at its start", 0, run);
    check("run in the middle", 50, run);
}

#[test]
fn a_panic_of_the_observer_is_an_error() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    watched(fixtures::test_name!(), move || {
        for frames in [0, 1] {
            let folder = tempfile::tempdir().unwrap();
            let plan = planned(&clip, "mp4", SLOW, &folder);
            let result = run_observed(&plan, |progress| {
                assert!(progress.frames < frames, "on purpose");
                ControlFlow::Continue(())
            });
            let error = result.unwrap_err();
            assert_eq!(error.code(), "ENGINE_ERROR");
            assert!(error.to_string().contains("on purpose"), "{error}");
            assert!(is_nothing_in(&folder));
        }
    });
}

#[test]
fn a_panic_of_the_observer_at_the_very_end_leaves_no_failed_run_with_an_output() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(CLIP);
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let plan = planned(&clip, "mp4", COPY, &folder);
        let result = run_observed(&plan, |progress| {
            assert!(progress.fraction < 1.0, "on purpose");
            ControlFlow::Continue(())
        });
        assert_eq!(result.is_ok(), !is_nothing_in(&folder), "{:?}", result.err());
    });
}

#[test]
fn a_reader_that_fails_or_panics_at_any_read_fails_the_run() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in [CLIP, "counter-h264-aac.mkv", "counter-h264-aac.ts", "counter-60s.mp4"] {
        let clip = fixtures::get(name);
        watched(name, move || {
            let folder = tempfile::tempdir().unwrap();
            let plan = planned(&clip, "mp4", COPY, &folder);
            let bytes = fs::read(&clip).unwrap();
            let run = |every, trouble| {
                let reads = Arc::new(AtomicU64::new(0));
                let inner = Cursor::new(bytes.clone());
                let flaky = Flaky { inner, trouble, every, reads: Arc::clone(&reads) };
                let source = Source::reader(flaky).unwrap();
                let result = run_from(&plan, source, &CancelToken::new());
                (result, reads.load(Ordering::Relaxed))
            };
            let (result, reads) = run(u64::MAX, Trouble::Fail);
            result.unwrap();
            fs::remove_file(folder.path().join("out.mp4")).unwrap();
            let step = usize::try_from(reads / 40 + 1).unwrap();
            for every in (1..=reads).step_by(step).chain([reads - 1, reads]) {
                for trouble in [Trouble::Fail, Trouble::Panic] {
                    let case = format!("{name}: {trouble:?} at each {every} of {reads} reads");
                    let error = run(every, trouble).0.err();
                    let error = error.unwrap_or_else(|| panic!("{case}: success"));
                    assert_eq!(error.code(), "INPUT_UNREACHABLE", "{case}: {error}");
                    assert!(error.to_string().contains("on purpose"), "{case}: {error}");
                    assert!(is_nothing_in(&folder), "{case}");
                }
            }
        });
    }
}

#[test]
fn a_writer_that_fails_fails_the_run() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(CLIP);
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let plan = planned(&clip, "mp4", COPY, &folder);
        for room in [0, 1000] {
            let error = run_into(&plan, Full { room, trouble: Trouble::Fail }).unwrap_err();
            assert_eq!(error.code(), "STORAGE_ERROR", "{error}");
            assert!(error.to_string().contains("on purpose"), "{error}");
        }
    });
}

#[test]
fn a_panic_of_the_writer_is_an_error() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(CLIP);
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let plan = planned(&clip, "mp4", COPY, &folder);
        let error = run_into(&plan, Full { room: 1000, trouble: Trouble::Panic }).unwrap_err();
        assert!(matches!(error.code(), "ENGINE_ERROR" | "STORAGE_ERROR"), "{error}");
        assert!(error.to_string().contains("on purpose"), "{error}");
    });
}

#[test]
fn a_failure_of_the_second_output_leaves_no_first() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(CLIP);
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = planned(&clip, "mp4", COPY, &folder);
        let mut second = plan.outputs[0].clone();
        second.location = Location::Caller(0);
        plan.outputs.push(second);
        let writer = Full { room: 1000, trouble: Trouble::Fail };
        let result = Engine::default().run(&plan, RunOptions::default().writer(writer));
        assert_eq!(result.unwrap_err().code(), "STORAGE_ERROR");
        assert!(is_nothing_in(&folder), "{:?}", files(folder.path()));
    });
}

#[test]
fn streams_of_the_caller_give_what_files_give() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (name, format) in [(CLIP, "mov"), ("counter-h264-aac.mkv", "mp4"), (CLIP, "wav")] {
        let clip = fixtures::get(name);
        watched(name, move || {
            let folder = tempfile::tempdir().unwrap();
            let plan = planned(&clip, format, COPY, &folder);
            let path = folder.path().join(format!("out.{format}"));
            run(&plan).unwrap();
            let (input, expected) = (fs::read(&clip).unwrap(), fs::read(&path).unwrap());
            fs::remove_file(&path).unwrap();

            for source in
                [Source::memory(input.clone()), Source::reader(Cursor::new(input.clone())).unwrap()]
            {
                let probe = |source: &Source| {
                    Engine::default().probe(source, ProbeOptions::default()).unwrap()
                };
                assert_eq!(probe(&source), probe(&Source::path(&clip)));
                run_from(&plan, source, &CancelToken::new()).unwrap();
                assert!(fs::read(&path).unwrap() == expected, "{name} in {format} differs");
                fs::remove_file(&path).unwrap();
            }
            let mut written = Vec::new();
            let report = run_into(&plan, &mut written).unwrap();
            assert!(written == expected, "{name} in {format} differs");
            assert_eq!(report.outputs[0].size_bytes, expected.len() as u64);
            assert!(is_nothing_in(&folder));
        });
    }
}

#[test]
fn an_encode_from_a_reader_into_a_writer_has_every_frame() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(CLIP);
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = planned(&clip, "mp4", ENCODE, &folder);
        plan.inputs[0].location = Location::Caller(0);
        plan.outputs[0].location = Location::Caller(0);
        let source = Source::reader(Cursor::new(fs::read(&clip).unwrap())).unwrap();
        let mut written = Vec::new();
        let options = RunOptions::default().sources([source]).writer(&mut written);
        Engine::default().run(&plan, options).unwrap();
        let path = folder.path().join("written.mp4");
        fs::write(&path, written).unwrap();
        assert_eq!(judge::counters(&path), judge::counters(&clip));
    });
}

#[test]
fn a_stream_that_was_not_given_is_an_error() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(CLIP);
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let (mut from, mut into) =
            (planned(&clip, "mp4", COPY, &folder), planned(&clip, "mp4", COPY, &folder));
        from.inputs[0].location = Location::Caller(1);
        into.outputs[0].location = Location::Caller(1);
        for plan in [from, into] {
            assert_eq!(run(&plan).unwrap_err().code(), "ENGINE_ERROR");
            assert!(is_nothing_in(&folder));
        }
    });
}

#[test]
fn one_plan_has_several_inputs_and_outputs() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (a, b) = (fixtures::get(CLIP), fixtures::get("sine.m4a"));
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let mut both = planned(&a, "mp4", COPY, &folder);
        let (sound, alone) = (planned(&b, "m4a", COPY, &folder), planned(&a, "wav", COPY, &folder));
        both.inputs.extend(sound.inputs);
        tracks(&mut both).retain(|track| track.kind == TrackKind::Video);
        for mut track in sound.outputs[0].tracks().to_vec() {
            track.parts[0].source = Some(StreamId { input: 1, stream: 0 });
            tracks(&mut both).push(track);
        }
        both.outputs.extend(alone.outputs);
        let report = run(&both).unwrap();
        assert_eq!(report.outputs.len(), 2);

        let (mp4, wav) = (folder.path().join("out.mp4"), folder.path().join("out.wav"));
        assert_eq!(files(folder.path()).len(), 2);
        let made = judge::probe(&mp4);
        assert_eq!((made.streams.len(), made.video().codec.as_str()), (2, "h264"));
        assert_eq!(judge::counters(&mp4), judge::counters(&a));
        assert_eq!(judge::packet_hashes(&mp4, "a:0"), judge::packet_hashes(&b, "a:0"));
        assert_eq!(judge::probe(&wav).streams.len(), 1);
        let (before, after) = (judge::clicks(&a), judge::clicks(&wav));
        assert_eq!(before.len(), after.len());
        for (before, after) in before.into_iter().zip(after) {
            assert!((before - after).abs() < 0.001, "{before} s became {after} s");
        }
    });
}

#[test]
fn a_stream_can_be_copied_and_encoded_into_one_output() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(CLIP);
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let (mut plan, encoded) =
            (planned(&clip, "mp4", COPY, &folder), planned(&clip, "mp4", ENCODE, &folder));
        tracks(&mut plan).extend(encoded.outputs[0].tracks().to_vec());
        run(&plan).unwrap();
        let path = folder.path().join("out.mp4");
        assert_eq!(judge::probe(&path).streams.len(), 4);
        assert_eq!(judge::packet_hashes(&path, "v:0"), judge::packet_hashes(&clip, "v:0"));
        assert_eq!(judge::packet_hashes(&path, "a:0"), judge::packet_hashes(&clip, "a:0"));
        assert_eq!(judge::frame_hashes(&path, "v:1").len(), 100);
        assert_ne!(judge::packet_hashes(&path, "v:1"), judge::packet_hashes(&clip, "v:0"));
    });
}

#[test]
fn an_existing_output_is_replaced_only_by_a_whole_one() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (cut, whole) = (fixtures::get("truncated.mp4"), fixtures::get(CLIP));
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.mp4");
        let is_old = || fs::read(&path).unwrap() == b"old" && files(folder.path()).len() == 1;
        fs::write(&path, "old").unwrap();
        for recipe in [COPY, ENCODE] {
            let error = run(&planned(&cut, "mp4", recipe, &folder)).unwrap_err();
            assert_eq!(error.code(), "INPUT_INVALID", "{error}");
            assert!(is_old(), "after {error}");
        }

        let mut plan = planned(&whole, "mp4", COPY, &folder);
        plan.outputs[0].replace = false;
        let mut called = false;
        let result = run_observed(&plan, |_| {
            called = true;
            ControlFlow::Continue(())
        });
        assert!(matches!(result, Err(Error::OutputExists(_))), "{result:?}");
        assert!(!called && is_old());

        plan.outputs[0].replace = true;
        let watch = |progress: &Progress| {
            let old = fs::read(&path).unwrap() == b"old";
            assert_eq!(old, progress.fraction < 1.0);
            ControlFlow::Continue(())
        };
        run_observed(&plan, watch).unwrap();
        assert_eq!(judge::counters(&path).len(), 100);
    });
}

#[test]
fn progress_grows_from_nothing_to_all() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let plan = planned(&clip, "mp4", ENCODE, &folder);
        let mut seen: Vec<Progress> = Vec::new();
        let observe = |progress: &Progress| {
            seen.push(progress.clone());
            ControlFlow::Continue(())
        };
        run_observed(&plan, observe).unwrap();
        let (first, last) = (&seen[0], &seen[seen.len() - 1]);
        assert!(first.fraction.abs() < 1e-9 && first.frames == 0, "{first:?}");
        assert!((last.fraction - 1.0).abs() < 1e-9, "{last:?}");
        assert_eq!(last.frames, 1500);
        assert!((last.seconds - 60.0).abs() < 0.2, "{last:?}");
        assert!(last.bytes > 100_000, "{last:?}");
        assert!(seen.iter().any(|now| now.fraction > 0.0 && now.fraction < 1.0), "{seen:?}");
        for (a, b) in seen.iter().zip(&seen[1..]) {
            let grows = a.fraction <= b.fraction && a.seconds <= b.seconds;
            assert!(grows && a.frames <= b.frames && a.bytes <= b.bytes, "{a:?}, then {b:?}");
        }
    });
}

#[test]
fn one_engine_runs_two_plans_at_once() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get(CLIP);
    watched(fixtures::test_name!(), move || {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let plans = folders.each_ref().map(|folder| planned(&clip, "mp4", ENCODE, folder));
        let engine = Engine::default();
        thread::scope(|scope| {
            let run = |plan| engine.run(plan, RunOptions::default());
            let runs = plans.each_ref().map(|plan| scope.spawn(move || run(plan)));
            for run in runs {
                run.join().unwrap().unwrap();
            }
        });
        for folder in &folders {
            let counters = judge::counters(folder.path().join("out.mp4"));
            assert_eq!(counters, judge::counters(&clip));
        }
    });
}

/// Fails if a run for a single picture shows more threads than there were before it.
fn check_threads(name: &str, engine: Engine) {
    let clip = fixtures::get(CLIP);
    if !alone(name) {
        return;
    }
    watched(name, move || {
        let folder = tempfile::tempdir().unwrap();
        for format in ["jpg", "png", "webp"] {
            let plan = planned(&clip, format, r#""thumbnail","seekSeconds":1"#, &folder);
            let (before, mut most) = (threads(), Vec::new());
            let observe = |_: &Progress| {
                let now = threads();
                if now.len() > most.len() {
                    most = now;
                }
                ControlFlow::Continue(())
            };
            engine.run(&plan, RunOptions::default().observe(observe)).unwrap();
            assert_eq!(most.len(), before.len(), "{before:?} became {most:?} for {format}");
        }
    });
}

#[test]
fn a_single_picture_of_an_engine_with_one_thread_starts_none() {
    if fixtures::has_ffmpeg!() {
        let settings = Settings { threads: NonZeroU32::MIN, ..Settings::default() };
        check_threads(fixtures::test_name!(), Engine::new(settings));
    }
}

#[test]
fn a_thousand_failing_runs_leave_no_trace() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (cut, whole, text) =
        (fixtures::get("truncated.mp4"), fixtures::get(CLIP), fixtures::get("text.mp4"));
    if !alone(fixtures::test_name!()) {
        return;
    }
    watched(fixtures::test_name!(), move || {
        std::panic::set_hook(Box::new(|_| {}));
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let cut = planned(&cut, "mp4", COPY, &folder);
        let good = planned(&whole, "mp4", ENCODE, &folder);
        let mut words = good.clone();
        words.inputs[0].location = text.into();
        let mut unknown = good.clone();
        let options = &mut encoder(&mut unknown, TrackKind::Video).options;
        options.push(option());
        let cancelled = CancelToken::new();
        cancelled.cancel();
        let fail = |number: usize| {
            let options = RunOptions::default();
            let (plan, options, code) = match number % 6 {
                0 => (&cut, options, "INPUT_INVALID"),
                1 => (&words, options, "INPUT_INVALID"),
                2 => (&good, options.cancel(&cancelled), "CANCELLED"),
                3 => (&unknown, options, "CONFIG_ERROR"),
                4 => (&good, options.observe(|_| panic!("on purpose")), "ENGINE_ERROR"),
                _ => (&good, options.observe(|_| ControlFlow::Break(())), "CANCELLED"),
            };
            let result = engine.run(plan, options);
            assert_eq!(result.unwrap_err().code(), code, "run {number}");
        };
        (0..100).for_each(fail);
        let state = || (open_files(), threads().len());
        let (before, memory, begun) = (state(), resident(), Instant::now());
        (0..1000).for_each(fail);
        // A thread that has ended may still be listed for a moment.
        while state() != before && begun.elapsed() < Duration::from_secs(40) {
            thread::yield_now();
        }
        assert_eq!(state(), before, "open files and threads");
        let after = resident();
        assert!(after <= memory + 20, "{memory} MB became {after} MB");
        assert!(is_nothing_in(&folder), "{:?}", files(folder.path()));
    });
}

#[test]
fn a_plan_that_is_made_by_hand_runs_and_one_of_another_version_does_not() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (clip, folder) = (fixtures::get(CLIP), tempfile::tempdir().unwrap());
    let output = folder.path().join("out.mkv");
    let track = |kind, stream| Track::copy(kind, StreamId { input: 0, stream });
    let tracks = [track(TrackKind::Video, 0), track(TrackKind::Audio, 1)];
    let outputs = [Output::new(output.as_path(), "matroska", tracks)];
    let mut plan = Plan::new([Input::new(clip.as_path())], outputs);
    let json = serde_json::to_string(&plan).unwrap();
    assert!(json.starts_with(r#"{"version":1,"strategy":"copy""#), "{json}");
    Engine::default().run(&plan, RunOptions::default()).unwrap();
    assert_eq!(judge::probe(&output).audio().codec, "aac");
    assert_eq!(judge::frames(&output).len(), 100);

    plan.version += 1;
    let error = Engine::default().run(&plan, RunOptions::default()).unwrap_err().to_string();
    assert!(error.contains("version 2") && error.contains("runs version 1"), "{error}");
    // One that states no version is older than the field.
    let old: Plan = serde_json::from_str(&json.replace(r#""version":1,"#, "")).unwrap();
    assert!(Engine::default().run(&old, RunOptions::default()).is_err());
}
