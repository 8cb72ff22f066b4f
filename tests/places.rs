//! Outputs at their names: late failures, symbolic links, other file systems.

use std::{
    fs,
    ops::ControlFlow,
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
};

use avocet::{
    Engine, Plan, Report,
    engine::{Error, RunOptions},
    io::Location,
};
use fixtures::judge;

use crate::support::{files, planned, watched};

/// The plan of a storyboard, which has a picture and a text, and the paths of both.
fn board(clip: &Path, folder: &Path) -> (Plan, Vec<PathBuf>) {
    let plan = avocet::storyboard(clip).count(4).output(folder).plan().unwrap().plan;
    let place = |location: &Location| match location {
        Location::Path(path) => path.clone(),
        other => panic!("{other} is no file"),
    };
    let places = plan.outputs.iter().map(|output| place(&output.location)).collect::<Vec<_>>();
    assert_eq!(places.len(), 2, "{places:?}");
    (plan, places)
}

/// Runs a plan. At the first report of progress, when no output is in place yet, it calls
/// `before_the_end`.
fn run(plan: &Plan, before_the_end: impl FnOnce()) -> Result<Report, Error> {
    let mut before_the_end = Some(before_the_end);
    let options = RunOptions::default().observe(|_| {
        if let Some(change) = before_the_end.take() {
            change();
        }
        ControlFlow::Continue(())
    });
    Engine::default().run(plan, options)
}

#[test]
fn files_that_were_replaced_are_put_back_when_a_later_output_fails() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        for former in [None, Some("old")] {
            let folder = tempfile::tempdir().unwrap();
            let (mut plan, places) = board(&clip, folder.path());
            for output in &mut plan.outputs {
                output.replace = true;
            }
            if let Some(former) = former {
                fs::write(&places[0], former).unwrap();
            }
            // A folder appears at the path of the second output.
            let error = run(&plan, || fs::create_dir(&places[1]).unwrap()).unwrap_err();
            assert!(matches!(error, Error::OutputRefused { .. }), "{error}");
            assert_eq!(fs::read_to_string(&places[0]).ok().as_deref(), former);
            assert_eq!(files(folder.path()).len(), 1 + usize::from(former.is_some()));
            // Without the folder, both outputs are put in place, and the old file is gone.
            fs::remove_dir(&places[1]).unwrap();
            run(&plan, || ()).unwrap();
            assert_eq!(files(folder.path()).len(), 2);
            assert!(fs::metadata(&places[0]).unwrap().len() > 100);
        }
    });
}

#[test]
fn a_file_that_appears_during_the_run_is_not_replaced() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = planned(&clip, "jpg", r#""thumbnail""#, folder.path());
        plan.outputs[0].replace = false;
        let path = folder.path().join("out.jpg");
        let error = run(&plan, || fs::write(&path, "theirs").unwrap()).unwrap_err();
        assert!(matches!(error, Error::OutputExists(_)), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(files(folder.path()), ["out.jpg"]);
    });
}

#[test]
fn the_target_of_a_dangling_link_is_made_and_the_link_stays() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        for replace in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let place = |name: &str| folder.path().join(name);
            fs::create_dir(place("other")).unwrap();
            symlink("one", place("out.jpg")).unwrap();
            symlink("other/two", place("one")).unwrap();
            let mut plan = planned(&clip, "jpg", r#""thumbnail""#, folder.path());
            plan.outputs[0].replace = replace;
            run(&plan, || ()).unwrap();
            assert!(place("out.jpg").is_symlink() && place("one").is_symlink());
            assert!(fs::symlink_metadata(place("other/two")).unwrap().is_file());
            assert_eq!((files(folder.path()).len(), files(&place("other")).len()), (3, 1));
            let result = run(&plan, || ());
            assert_eq!(result.is_ok(), replace, "{result:?}");
        }
    });
}

#[test]
fn a_link_that_leads_nowhere_is_told_before_the_run() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        for (target, words) in [("missing/two", "it is a link to"), ("out.jpg", "symbolic links")] {
            let folder = tempfile::tempdir().unwrap();
            symlink(target, folder.path().join("out.jpg")).unwrap();
            let plan = planned(&clip, "jpg", r#""thumbnail""#, folder.path());
            let error = run(&plan, || panic!("the run begins")).unwrap_err();
            assert_eq!(error.code(), "STORAGE_ERROR", "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(files(folder.path()), ["out.jpg"]);
        }
    });
}

#[test]
fn a_link_that_changes_during_the_run_leads_nowhere_else() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::write(place("precious"), "precious").unwrap();
        symlink("meant", place("out.jpg")).unwrap();
        let plan = planned(&clip, "jpg", r#""thumbnail""#, folder.path());
        let swap = || {
            fs::remove_file(place("out.jpg")).unwrap();
            symlink("precious", place("out.jpg")).unwrap();
        };
        run(&plan, swap).unwrap();
        assert_eq!(fs::read(place("precious")).unwrap(), b"precious");
        assert!(fs::metadata(place("meant")).unwrap().len() > 1000);
    });
}

/// A folder on another file system than that of the temporary folder, if there is one.
fn elsewhere() -> Option<tempfile::TempDir> {
    let here = tempfile::tempdir().unwrap().path().metadata().unwrap().dev();
    let folders = ["/dev/shm", "/run", "/var/tmp", "."].map(tempfile::tempdir_in);
    let mut folders = folders.into_iter().flatten();
    folders.find(|folder| folder.path().metadata().unwrap().dev() != here)
}

#[test]
fn outputs_of_ffmpeg_mode_may_be_on_several_file_systems() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let Some(other) = elsewhere() else {
        fixtures::skip(fixtures::test_name!(), "file system", "there is one only");
        return;
    };
    let clip = fixtures::get("counter-h264-aac.mp4");
    watched(fixtures::test_name!(), move || {
        let folder = tempfile::tempdir().unwrap();
        let url = serde_json::to_string(clip.to_str().unwrap()).unwrap();
        let document = format!(
            r#"{{"mode":"ffmpeg","input_files":{{"in_1":{url}}},
                "output_files":{{"out_1":"a.mkv","out_2":"b.mp4"}},
                "ffmpeg":{{"args":["-i","{{{{in_1}}}}","-c","copy","{{{{out_1}}}}",
                    "-c","copy","{{{{out_2}}}}"]}}}}"#
        );
        let job = avocet::Job::from_json(&document, avocet::Policy::Program).unwrap();
        let mut plan = avocet::job(job).output(folder.path()).plan().unwrap().plan;
        let path = other.path().join("b.mp4");
        plan.outputs[1].location = path.clone().into();
        run(&plan, || ()).unwrap();
        assert_eq!(files(folder.path()), ["a.mkv"]);
        assert_eq!(files(other.path()), ["b.mp4"]);
        assert_eq!(judge::counters(&path), judge::counters(&clip));
    });
}
