//! The one place where tests touch the library: jobs in, files and reports out, under a watchdog.

use std::{
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use avocet::{CancelToken, CheckedJob, Engine, Error, Job, Plan, Policy, Report};

/// How long a test may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long a cancellation may take in a test. The aim is a small part of a second, which a busy
/// machine may miss by far.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Runs a test on a thread of its own, and fails by name when it hangs.
pub(crate) fn watched<T: Send + 'static>(
    name: &str,
    test: impl FnOnce() -> T + Send + 'static,
) -> T {
    let limit = if soak() { 2 * PATIENCE } else { PATIENCE };
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

pub(crate) fn job(input: &Path, format: &str, recipe: &str) -> CheckedJob {
    Job::from_json(&document(input, format, recipe), Policy::Program).unwrap()
}

/// The plan of a job.
pub(crate) fn plan(input: &Path, format: &str, recipe: &str) -> Result<Plan, Error> {
    let (job, output) = (job(input, format, recipe), PathBuf::from(format!("out.{format}")));
    avocet::plan(&Engine::default(), &job, output, &CancelToken::new())
}

/// The plan of a job, which makes `out.<format>` in `folder`, as do those that it names for other
/// cases.
pub(crate) fn planned(input: &Path, format: &str, recipe: &str, folder: &Path) -> Plan {
    let mut plan = plan(input, format, recipe).unwrap();
    let mut next = Some(&mut plan);
    while let Some(plan) = next {
        plan.outputs[0].location = folder.join(format!("out.{format}")).into();
        next = plan.otherwise.as_deref_mut();
    }
    plan
}

/// What a job left.
pub(crate) struct Outcome {
    pub(crate) path: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) report: Report,
    /// Keeps the output until the test is done with it.
    _folder: tempfile::TempDir,
}

impl Outcome {
    /// How long a frame of the result is, in seconds; 0 without moving pictures.
    pub(crate) fn longest_frame(&self) -> f64 {
        let media = &self.report.outputs[0].media;
        let rates = media.videos().filter_map(|(_, video)| video.frame_rate);
        rates.map(|rate| 1.0 / rate.as_f64()).fold(0.0, f64::max)
    }
}

/// Runs a job of one input into a fresh folder, in which nothing else may be left.
pub(crate) fn run(input: &Path, format: &str, recipe: &str) -> Result<Outcome, Error> {
    run_document(&document(input, format, recipe), format)
}

/// A document that joins inputs.
pub(crate) fn joining(inputs: &[PathBuf], format: &str) -> String {
    let files = (1..).zip(inputs).map(|(number, input)| {
        let url = serde_json::to_string(&input.to_str().unwrap()).unwrap();
        format!(r#""in_{number}":{url}"#)
    });
    let files = files.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"mode":"recipe","input_files":{{{files}}},"output":{{"format":"{format}"}},"recipe":{{"name":"concat"}}}}"#
    )
}

/// Joins inputs, as [`run`] does for one.
pub(crate) fn join(inputs: &[PathBuf], format: &str) -> Result<Outcome, Error> {
    run_document(&joining(inputs, format), format)
}

/// Runs a job into a fresh folder, in which nothing else may be left.
pub(crate) fn run_document(document: &str, format: &str) -> Result<Outcome, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("out.{format}"));
    let job = Job::from_json(document, Policy::Program).unwrap();
    let output = path.clone();
    let name = document.to_owned();
    let result = watched(&name, move || {
        let (engine, cancel) = (Engine::default(), CancelToken::new());
        let mut last = -1.0;
        let mut observe = |progress: &avocet::Progress| {
            assert!(progress.fraction >= last, "progress went back");
            last = progress.fraction;
            ControlFlow::Continue(())
        };
        let plan = avocet::plan(&engine, &job, output, &cancel)?;
        let report = engine.run(&plan, &cancel, &mut observe)?;
        assert!((last - 1.0).abs() < 1e-9, "progress ended at {last}");
        Ok::<_, Error>((plan, report))
    });
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), usize::from(result.is_ok()), "{left:?} after {name}");
    result.map(|(plan, report)| Outcome { path, plan, report, _folder: folder })
}

/// Copies the packets of a clip into another file, by the ffmpeg program with options before its
/// input and before its output.
pub(crate) fn remux(before: &str, clip: &Path, after: &str, made: &Path) {
    let status = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(before.split_whitespace())
        .arg("-i")
        .arg(clip)
        .args(["-c", "copy"])
        .args(after.split_whitespace())
        .arg(made)
        .status();
    assert!(status.unwrap().success(), "{} can not be made", made.display());
}

/// Whether the long tables are run in full.
pub(crate) fn soak() -> bool {
    std::env::var_os("AVOCET_SOAK").is_some()
}

/// The release of FFmpeg that libav comes from, as in 5 or 7.
pub(crate) fn release() -> u32 {
    let version = avocet::Engine::default().capabilities().version.clone();
    let number = version.trim_start_matches(|sign: char| !sign.is_ascii_digit());
    number.split('.').next().and_then(|major| major.parse().ok()).expect("a release")
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

/// Number of files that this process has open.
pub(crate) fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Names of the threads of this process.
pub(crate) fn threads() -> Vec<String> {
    let name = |path: &Path| std::fs::read_to_string(path.join("comm")).unwrap_or_default();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.map(|task| name(&task.unwrap().path()).trim().to_owned()).collect()
}

/// Resident memory of this process, in MB.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// A reader that, once it is past a position, waits until its gate is dropped.
pub(crate) struct Stuck {
    pub(crate) inner: Cursor<Vec<u8>>,
    /// The last position that is read, in bytes.
    pub(crate) until: u64,
    pub(crate) waits: mpsc::Sender<()>,
    pub(crate) gate: mpsc::Receiver<()>,
}

impl Read for Stuck {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inner.position() + buffer.len() as u64 > self.until {
            let _ = self.waits.send(());
            let _ = self.gate.recv();
        }
        self.inner.read(buffer)
    }
}

impl Seek for Stuck {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        self.inner.seek(target)
    }
}

/// What a caller's stream does instead of its work.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    Panic,
    Fail,
}

impl Trouble {
    fn happens(self) -> io::Error {
        match self {
            Self::Panic => panic!("on purpose"),
            Self::Fail => io::Error::other("on purpose"),
        }
    }
}

/// A reader with trouble at every n-th read.
pub(crate) struct Flaky {
    pub(crate) inner: Cursor<Vec<u8>>,
    pub(crate) trouble: Trouble,
    pub(crate) every: u64,
    pub(crate) reads: Arc<AtomicU64>,
}

impl Read for Flaky {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.reads.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.every) {
            return Err(self.trouble.happens());
        }
        self.inner.read(buffer)
    }
}

impl Seek for Flaky {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        self.inner.seek(target)
    }
}

/// A writer with trouble after so many bytes.
pub(crate) struct Full {
    /// Room that is left, in bytes.
    pub(crate) room: usize,
    pub(crate) trouble: Trouble,
}

impl Write for Full {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(self.trouble.happens());
        }
        let taken = buffer.len().min(self.room);
        self.room -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
