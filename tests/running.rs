//! Jobs as futures: awaited, observed, cancelled and dropped.

use std::{future::Future, path::Path};

use avocet::{ProgressStream, Running};
use fixtures::wait;

use crate::support::{files, job, watched};

/// A recipe that takes long enough to be stopped.
const LONG: &str = r#""transcode","reencode":true,"preset":"veryslow""#;

/// Runs a future on a runtime with one thread, with the time limit of tests.
fn on_tokio<F: Future<Output = ()>>(name: &str, test: impl FnOnce() -> F + Send + 'static) {
    watched(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(test());
    });
}

fn spawn(clip: &Path, recipe: &str, folder: &Path) -> Running {
    avocet::job(job(clip, "mp4", recipe)).output(folder.join("out.mp4")).spawn()
}

/// Waits until the job has written frames.
async fn in_the_middle(progress: &mut ProgressStream) {
    while progress.next().await.expect("the job is long enough").frames == 0 {}
}

#[test]
fn a_job_completes_with_a_report_and_its_progress_ends_at_one() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    on_tokio(fixtures::test_name!(), move || async move {
        let folder = tempfile::tempdir().unwrap();
        let mut running = spawn(&clip, r#""transcode""#, folder.path());
        let mut progress = running.progress().expect("nobody took it before");
        assert!(running.progress().is_none());
        let mut fractions = Vec::new();
        while let Some(now) = progress.next().await {
            fractions.push(now.fraction);
        }
        assert!(fractions.is_sorted(), "{fractions:?}");
        assert!(fractions.last().is_some_and(|last| (last - 1.0).abs() < 1e-9), "{fractions:?}");
        let report = running.await.unwrap();
        let size = std::fs::metadata(folder.path().join("out.mp4")).unwrap().len();
        assert_eq!(report.outputs[0].size_bytes, size);
        assert_eq!(files(folder.path()), ["out.mp4"]);
    });
}

#[test]
fn a_job_completes_when_nobody_looks_at_its_progress() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    on_tokio(fixtures::test_name!(), move || async move {
        let folder = tempfile::tempdir().unwrap();
        let mut running = spawn(&clip, r#""transcode""#, folder.path());
        drop(running.progress());
        running.await.unwrap();
        assert_eq!(files(folder.path()), ["out.mp4"]);
    });
}

#[test]
fn a_failing_job_ends_its_progress_and_tells_why() {
    on_tokio(fixtures::test_name!(), || async {
        let folder = tempfile::tempdir().unwrap();
        let clip = folder.path().join("missing.mp4");
        let mut running = spawn(&clip, r#""transcode""#, folder.path());
        let mut progress = running.progress().unwrap();
        assert!(progress.next().await.is_none());
        assert_eq!(running.await.unwrap_err().code(), "INPUT_UNREACHABLE");
    });
}

#[test]
fn a_cancelled_job_says_so_and_leaves_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    on_tokio(fixtures::test_name!(), move || async move {
        let folder = tempfile::tempdir().unwrap();
        let mut running = spawn(&clip, LONG, folder.path());
        in_the_middle(&mut running.progress().unwrap()).await;
        running.cancel();
        assert_eq!(running.await.unwrap_err().code(), "CANCELLED");
        assert!(files(folder.path()).is_empty());
    });
}

#[test]
fn a_dropped_job_stops_and_leaves_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    on_tokio(fixtures::test_name!(), move || async move {
        let folder = tempfile::tempdir().unwrap();
        let mut running = spawn(&clip, LONG, folder.path());
        let mut progress = running.progress().unwrap();
        in_the_middle(&mut progress).await;
        assert_eq!(files(folder.path()).len(), 1, "a temporary file");
        drop(running);
        wait::later::until("nothing is left", || files(folder.path()).is_empty()).await;
        while let Some(now) = progress.next().await {
            assert!(now.fraction < 1.0, "the run went on to its end");
        }
    });
}

#[test]
fn pictures_sound_and_packets_come_as_streams() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    on_tokio(fixtures::test_name!(), move || async move {
        let mut pictures = avocet::frames(&clip).every(1.0).width(64).stream();
        let mut count = 0;
        while let Some(picture) = pictures.next().await {
            assert_eq!(picture.unwrap().width(), 64);
            count += 1;
        }
        assert_eq!(count, 4);
        let mut sound = avocet::audio(&clip).mono().rate(8000).block(8000).stream();
        assert_eq!(sound.next().await.unwrap().unwrap().samples(), 8000);
        // One that is dropped ends, as does one that fails at once.
        drop(sound);
        assert!(avocet::packets(&clip).stream().next().await.unwrap().is_ok());
        let mut nothing = avocet::frames("no such file").stream();
        assert!(nothing.next().await.unwrap().is_err() && nothing.next().await.is_none());
    });
}
