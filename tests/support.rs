//! Helpers that run jobs with a time limit, and return the files and reports.

use std::{
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use avocet::{CheckedJob, Engine, Error, Job, Plan, Policy, Report};

/// How long a test may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long a cancellation may take in a test. The aim is well below a second, but the machine may
/// be busy.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Runs a test on a thread of its own, and fails with its name when it hangs.
pub(crate) fn watched<T: Send + 'static>(
    name: &str,
    test: impl FnOnce() -> T + Send + 'static,
) -> T {
    let limit = if fixtures::soak() { 2 * PATIENCE } else { PATIENCE };
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

/// A job document with one input. The recipe is given as `"name", "seekSeconds": 1`.
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
    Ok(avocet::job(job).output(output).engine(&Engine::default()).plan()?.plan)
}

/// The plan of a job with the output `out.<format>` in `folder`; so are its alternative plans.
pub(crate) fn planned(input: &Path, format: &str, recipe: &str, folder: &Path) -> Plan {
    let mut plan = plan(input, format, recipe).unwrap();
    let mut next = Some(&mut plan);
    while let Some(plan) = next {
        plan.outputs[0].location = folder.join(format!("out.{format}")).into();
        next = plan.otherwise.as_deref_mut();
    }
    plan
}

/// The result of a job.
pub(crate) struct Outcome {
    pub(crate) path: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) report: Report,
    /// Keeps the output until the test is done with it.
    _folder: tempfile::TempDir,
}

impl Outcome {
    /// The duration of a frame of the result, by its frame rate, in seconds; 0 without video.
    pub(crate) fn longest_frame(&self) -> f64 {
        let media = &self.report.outputs[0].media;
        let rates = media.videos().filter_map(|(_, video)| video.frame_rate);
        rates.map(|rate| 1.0 / rate.as_f64()).fold(0.0, f64::max)
    }
}

/// Runs a job with one input into a new folder, where no other file may be left.
pub(crate) fn run(input: &Path, format: &str, recipe: &str) -> Result<Outcome, Error> {
    run_document(&document(input, format, recipe), format)
}

/// A job document that concatenates inputs.
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

/// Concatenates inputs, as [`run`] does for one.
pub(crate) fn join(inputs: &[PathBuf], format: &str) -> Result<Outcome, Error> {
    run_document(&joining(inputs, format), format)
}

/// Runs a job into a new folder, where no other file may be left.
pub(crate) fn run_document(document: &str, format: &str) -> Result<Outcome, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("out.{format}"));
    let job = Job::from_json(document, Policy::Program).unwrap();
    let output = path.clone();
    let name = document.to_owned();
    let result = watched(&name, move || {
        let mut last = -1.0;
        let job = avocet::job(job).output(output).engine(&Engine::default());
        let job = job.progress(|progress| {
            assert!(progress.fraction >= last, "progress went back");
            last = progress.fraction;
        });
        let planned = job.plan()?;
        let plan = planned.plan.clone();
        let report = planned.run()?;
        assert!((last - 1.0).abs() < 1e-9, "progress ended at {last}");
        Ok::<_, Error>((plan, report))
    });
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), usize::from(result.is_ok()), "{left:?} after {name}");
    result.map(|(plan, report)| Outcome { path, plan, report, _folder: folder })
}

/// Copies the packets of a clip into another file with the ffmpeg program. `before` and `after` are
/// options before the input and before the output.
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

/// The major release of FFmpeg that libav belongs to, as in 5 or 7.
pub(crate) fn release() -> u32 {
    let version = avocet::Engine::default().capabilities().version.clone();
    let number = version.trim_start_matches(|sign: char| !sign.is_ascii_digit());
    number.split('.').next().and_then(|major| major.parse().ok()).expect("a release")
}

/// The frames of a source as the ffmpeg program decodes them.
pub(crate) fn source_frames(clip: &Path) -> Vec<fixtures::judge::FrameTime> {
    fixtures::judge::frames(clip)
}

/// The names of the files in a folder, temporary ones included.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Whether this process runs only the test `name`. If not, it starts a process that does, which
/// must succeed. For tests that count resources of the whole process.
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

/// The number of open files of this process.
pub(crate) fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The names of the threads of this process.
pub(crate) fn threads() -> Vec<String> {
    let name = |path: &Path| std::fs::read_to_string(path.join("comm")).unwrap_or_default();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.map(|task| name(&task.unwrap().path()).trim().to_owned()).collect()
}

/// The resident memory of this process, in MiB.
pub(crate) fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// A reader that blocks at reads past a position until its gate is dropped.
pub(crate) struct Stuck {
    pub(crate) inner: Cursor<Vec<u8>>,
    /// The last position that can be read without blocking, in bytes.
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

/// What a stream of the caller does instead of its work.
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

/// A reader that panics or fails at every n-th read.
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

/// A writer that panics or fails after some bytes.
pub(crate) struct Full {
    /// How many bytes it still takes.
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
