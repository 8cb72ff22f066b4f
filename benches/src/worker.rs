//! A library in a program of its own, which does one job for each line of JSON on its standard input:
//! those of Python, and ez-ffmpeg, whose bindings can not be in one program with ours.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    child::Cost,
    error::{Error, Result},
    scratch::{Adopted, Scratch},
};

const SCRIPT: &str = include_str!("worker.py");

/// How a worker is started.
#[derive(Clone, Debug)]
pub(super) struct Launcher {
    /// What it is called.
    pub(super) name: &'static str,
    /// The library whose version it tells.
    pub(super) library: &'static str,
    path: PathBuf,
    /// The script that an interpreter runs.
    script: Option<&'static str>,
}

/// A running worker; it ends when this is dropped.
pub(super) struct Worker {
    name: &'static str,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    _adopted: Adopted,
    /// The versions of the library and of its libav.
    pub(super) version: Version,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Version {
    pub(super) version: String,
    pub(super) libav: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Failed { error: String },
    Done(Cost),
}

impl Launcher {
    /// An interpreter of Python that has `PyAV` and Pillow.
    pub(super) fn python(path: PathBuf) -> Self {
        Self { name: "worker.py", library: "PyAV", path, script: Some(SCRIPT) }
    }

    /// The program of `benches/ez-ffmpeg`.
    pub(super) fn ez_ffmpeg(path: PathBuf) -> Self {
        Self { name: "benches/ez-ffmpeg", library: "ez-ffmpeg", path, script: None }
    }
}

impl Worker {
    /// Starts a worker; fails when an interpreter lacks `PyAV` or Pillow.
    pub(super) fn start(scratch: &Scratch, launcher: &Launcher) -> Result<Self> {
        scratch.check()?;
        let name = launcher.path.display().to_string();
        let start = |source| Error::Start { program: name.clone(), source };
        let mut command = Command::new(&launcher.path);
        command.args(launcher.script.iter().flat_map(|script| ["-c", script])).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(start)?;
        let adopted = scratch.adopt(&child);
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(start(std::io::Error::other("it has no standard streams")));
        };
        let mut answers = BufReader::new(answers);
        let mut line = String::new();
        // A read error shows as a line that does not parse.
        let _ = answers.read_line(&mut line);
        let Ok(version) = serde_json::from_str(&line) else {
            drop(orders);
            let output = child.wait_with_output().map_err(start)?;
            scratch.check()?;
            let log = String::from_utf8_lossy(&output.stderr);
            let log = log.lines().last().unwrap_or("it answers nothing").to_owned();
            return Err(Error::Failed {
                command: format!("{name}, {} in it", launcher.library),
                log,
            });
        };
        // Close the read end of standard error, so that a full pipe does not block the program.
        child.stderr = None;
        Ok(Self {
            name: launcher.name,
            child,
            orders: Some(orders),
            answers,
            _adopted: adopted,
            version,
        })
    }

    /// Does a job once.
    pub(super) fn run(&mut self, order: &Value) -> Result<Cost> {
        if let Some(orders) = &mut self.orders {
            // If the program does not read, that shows when its answer is parsed.
            let _ = writeln!(orders, "{order}");
        }
        let mut line = String::new();
        let _ = self.answers.read_line(&mut line);
        match serde_json::from_str(&line) {
            Ok(Answer::Done(cost)) => Ok(cost),
            Ok(Answer::Failed { error }) => {
                Err(Error::Failed { command: self.name.to_owned(), log: error })
            }
            Err(_) => Err(Error::Answer {
                program: self.name.to_owned(),
                found: line.trim().to_owned(),
                expected: "the cost of a run",
            }),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The program ends at the end of its standard input.
        self.orders = None;
        let _ = self.child.wait();
    }
}
