//! The one place where tests touch the library: jobs in, files and reports out, under a watchdog.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use avocet::{CancelToken, Door, Engine, Error, Job, Plan, Report};

/// How long a test may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test on a thread of its own, and fails by name when it hangs.
pub(crate) fn watched<T: Send + 'static>(
    name: &str,
    test: impl FnOnce() -> T + Send + 'static,
) -> T {
    watched_for(name, if soak() { 10 * PATIENCE } else { PATIENCE }, test)
}

/// As [`watched`], with a limit of its own.
pub(crate) fn watched_for<T: Send + 'static>(
    name: &str,
    limit: Duration,
    test: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || sender.send(test()));
    match receiver.recv_timeout(limit) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name} hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => panic!("{name} ended without an answer"),
        },
    }
}

/// A document of one input: the recipe's name and parameters as `"name", "seekSeconds": 1`.
pub(crate) fn document(input: &Path, format: &str, recipe: &str) -> String {
    let url = serde_json::to_string(&input.to_str().unwrap()).unwrap();
    format!(
        r#"{{"mode":"recipe","input":{{"url":{url}}},"output":{{"format":"{format}"}},"recipe":{{"name":{recipe}}}}}"#
    )
}

pub(crate) fn job(input: &Path, format: &str, recipe: &str) -> Job {
    Job::from_json(&document(input, format, recipe), Door::Program).unwrap()
}

/// The plan of a job.
pub(crate) fn plan(input: &Path, format: &str, recipe: &str) -> Result<Plan, Error> {
    let (job, output) = (job(input, format, recipe), PathBuf::from(format!("out.{format}")));
    avocet::plan(&Engine::default(), &job, output, &CancelToken::new())
}

/// What a job left.
pub(crate) struct Outcome {
    pub(crate) path: PathBuf,
    pub(crate) report: Report,
    /// Keeps the output until the test is done with it.
    _folder: tempfile::TempDir,
}

/// Runs a job into a fresh folder, in which nothing else may be left.
pub(crate) fn run(input: &Path, format: &str, recipe: &str) -> Result<Outcome, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("out.{format}"));
    let (job, output) = (job(input, format, recipe), path.clone());
    let name = format!("{} {recipe} in {format}", input.display());
    let shown = name.clone();
    let result = watched(&shown, move || {
        let mut last = -1.0;
        let mut observe = |progress: &avocet::Progress| {
            assert!(progress.fraction >= last, "progress went back");
            last = progress.fraction;
            ControlFlow::Continue(())
        };
        avocet::run(&Engine::default(), &job, output, &CancelToken::new(), &mut observe)
            .inspect(|_| assert!((last - 1.0).abs() < 1e-9, "progress ended at {last}"))
    });
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), usize::from(result.is_ok()), "{left:?} after {name}");
    result.map(|report| Outcome { path, report, _folder: folder })
}

/// Whether the long tables are run in full.
pub(crate) fn soak() -> bool {
    std::env::var_os("AVOCET_SOAK").is_some()
}

/// The frames of a source as the ffmpeg program decodes them.
pub(crate) fn source_frames(clip: &Path) -> Vec<fixtures::judge::FrameTime> {
    fixtures::judge::frames(clip)
}

/// Names of the files in a folder, temporary ones included.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Whether this process runs the test `name` and nothing else; if not, one is started that does,
/// and has to succeed. For tests that count what belongs to the whole process.
pub(crate) fn alone(name: &str) -> bool {
    const ALONE: &str = "AVOCET_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let name = name.split_once("::").map_or(name, |(_, name)| name);
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(output.status.success() && told.contains("1 passed"), "{name} alone:\n{told}");
    false
}
