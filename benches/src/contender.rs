//! A contender: one way to do a job, and how a run of it is measured.

use std::{
    ffi::OsString,
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use avocet::{CancelToken, CheckedJob, Engine};
use serde_json::Value;

use super::{
    child::{self, Cost, Lines, bytes_read, measure},
    error::{Error, Result},
    row::Goal,
    scratch::{Scratch, clear},
    worker::Worker,
};

/// The buffer of the plain copy in bytes; coreutils use the same.
const BUFFER: usize = 128 << 10;

/// A way to do a job.
pub(super) struct Contender {
    pub(super) name: String,
    /// The command line, or a description of what is done.
    pub(super) what: String,
    pub(super) way: Way,
    /// The output, which is removed before each run; `None` for a job without one.
    pub(super) output: Option<Output>,
    pub(super) goals: Vec<Goal>,
    /// Whether it does only a part of the job that every contender must do.
    pub(super) is_limit: bool,
}

/// The output of a job.
#[derive(Clone, Debug)]
pub(super) enum Output {
    File(PathBuf),
    /// A folder, which is made before each run.
    Folder(PathBuf),
}

/// Reads a result into memory and drops it.
type InMemory = dyn Fn(&CancelToken) -> Result<()>;

pub(super) enum Way {
    /// The library in this process, with a new engine for each run.
    Library(CheckedJob),
    /// Only the planning of the library, without the run.
    Decision(CheckedJob),
    /// The library in this process, whose result stays in memory.
    Memory(Box<InMemory>),
    /// Programs that are started for each run.
    Programs(Lines),
    Worker(Box<Worker>, Value),
    /// A copy by the kernel, which may share the blocks if the file system supports that.
    KernelCopy(PathBuf),
    /// A copy by reads and writes in this process.
    PlainCopy(PathBuf),
}

impl Output {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Folder(path) => path,
        }
    }
}

impl Contender {
    pub(super) fn new(name: impl Into<String>, what: impl Into<String>, way: Way) -> Self {
        let (name, what) = (name.into(), what.into());
        Self { name, what, way, output: None, goals: Vec::new(), is_limit: false }
    }

    /// A contender that is one program; its command line is the description.
    pub(super) fn program(name: impl Into<String>, line: Vec<OsString>) -> Self {
        let what = format!("`{}`", child::show(&line));
        Self::new(name, what, Way::Programs(Lines::one(line)))
    }

    pub(super) fn making(mut self, output: &Output) -> Self {
        self.output = Some(output.clone());
        self
    }

    pub(super) fn wanting(mut self, goals: impl IntoIterator<Item = Goal>) -> Self {
        self.goals.extend(goals);
        self
    }

    /// Marks this contender as a limit: it does only a part of the job.
    pub(super) fn limiting(mut self) -> Self {
        self.is_limit = true;
        self
    }

    /// Does the job once, and tells the cost.
    pub(super) fn run(&mut self, scratch: &Scratch) -> Result<Cost> {
        scratch.check()?;
        match &self.output {
            Some(Output::File(path)) => clear(path)?,
            Some(Output::Folder(path)) => {
                clear(path)?;
                fs::create_dir(path).map_err(Error::file("make", path))?;
            }
            None => {}
        }
        let target = self.output.as_ref().map_or(Path::new("out"), Output::path);
        let cost = match &mut self.way {
            Way::Programs(lines) => measure(scratch, lines),
            Way::Worker(worker, order) => worker.run(order),
            Way::Library(job) => time(|| {
                let job =
                    avocet::job(CheckedJob::clone(job)).output(target).engine(&Engine::default());
                job.cancel(scratch.cancel()).run()?;
                Ok(())
            }),
            Way::Decision(job) => time(|| {
                let job =
                    avocet::job(CheckedJob::clone(job)).output(target).engine(&Engine::default());
                job.cancel(scratch.cancel()).plan()?;
                Ok(())
            }),
            Way::Memory(read) => time(|| read(scratch.cancel())),
            Way::KernelCopy(from) => time(|| kernel_copy(from, target)),
            Way::PlainCopy(from) => time(|| plain_copy(from, target)),
        };
        // After a cancellation, errors of the run are a consequence of it.
        scratch.check()?;
        cost
    }
}

/// Measures work in this process, whose own memory and processor time are unknown.
fn time(work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let accounts = || bytes_read("/proc/self/io");
    let before = accounts();
    let begun = Instant::now();
    work()?;
    let wall = begun.elapsed().as_secs_f64();
    let read = before.zip(accounts()).map(|(before, after)| after - before);
    Ok(Cost { wall, read, ..Cost::default() })
}

#[expect(clippy::disallowed_methods, reason = "the limit is a copy without the engine")]
fn kernel_copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map_err(Error::file("copy to", to))?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the limit is a copy without the engine")]
fn plain_copy(from: &Path, to: &Path) -> Result<()> {
    let mut source = fs::File::open(from).map_err(Error::file("read", from))?;
    let mut target = fs::File::create(to).map_err(Error::file("write", to))?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match source.read(&mut buffer).map_err(Error::file("read", from))? {
            0 => return Ok(()),
            length => {
                target.write_all(&buffer[..length]).map_err(Error::file("write", to))?;
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use avocet::CancelToken;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test looks at files from outside")]
    fn copies_are_whole_and_made_anew() {
        let scratch = Scratch::new(&CancelToken::new()).unwrap();
        let (from, to) = (scratch.path("from"), scratch.path("to"));
        let bytes: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        fs::write(&from, &bytes).unwrap();
        for way in [Way::KernelCopy(from.clone()), Way::PlainCopy(from.clone())] {
            fs::write(&to, "old").unwrap();
            let output = Output::File(to.clone());
            let mut contender = Contender::new("copy", "", way).making(&output);
            let cost = contender.run(&scratch).unwrap();
            assert!(cost.wall > 0.0 && cost.peak.is_none());
            assert!(fs::read(&to).unwrap() == bytes);
        }
    }

    #[test]
    fn nothing_runs_once_it_is_cancelled() {
        let cancel = CancelToken::new();
        let scratch = Scratch::new(&cancel).unwrap();
        cancel.cancel();
        let mut contender = Contender::new("copy", "", Way::KernelCopy("/nowhere".into()));
        assert!(matches!(contender.run(&scratch), Err(Error::Cancelled)));
    }
}
