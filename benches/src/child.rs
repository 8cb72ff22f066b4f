//! Processes, measured by the accounts that the operating system keeps of a finished child.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, BufRead, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Instant,
};

#[cfg(target_os = "linux")]
use nix::{
    sys::wait::{Id, WaitPidFlag, waitid},
    unistd::Pid,
};
use nix::{
    sys::{
        resource::{UsageWho, getrusage},
        signal::{Signal, killpg},
        time::{TimeVal, TimeValLike},
    },
    unistd::{getpgrp, getpid},
};
use serde::{Deserialize, Serialize};

use super::{
    error::{Error, Result},
    scratch::Scratch,
    terminal,
};

/// First word of a command line that makes this program run others and print their accounts.
pub(super) const MEASURE: &str = "bench-measure";

/// What a run took. What can not be known of one in process is `None`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Cost {
    /// From before it was started until its end was known, in seconds.
    pub(super) wall: f64,
    /// Processor time outside the kernel, over all threads, in seconds.
    pub(super) user: Option<f64>,
    /// The most memory it had resident at once, in bytes.
    pub(super) peak: Option<f64>,
    /// What it read by system calls, in bytes.
    pub(super) read: Option<f64>,
}

/// Command lines to run: the program and its words.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Lines {
    pub(super) lines: Vec<Vec<OsString>>,
    /// Number of them that run at the same time.
    pub(super) at_once: usize,
}

impl Lines {
    pub(super) fn one(line: Vec<OsString>) -> Self {
        Self { lines: vec![line], at_once: 1 }
    }
}

/// This program, to be started anew.
pub(super) fn own_program() -> Result<PathBuf> {
    env::current_exe().map_err(Error::file("find", "this program"))
}

/// The program `avocet` beside this one, where cargo puts both.
pub(super) fn beside() -> Result<PathBuf> {
    let program = own_program()?.with_file_name(format!("avocet{}", env::consts::EXE_SUFFIX));
    if program.is_file() {
        return Ok(program);
    }
    let place = program.display();
    Err(Error::Usage(format!(
        "there is no `{place}`; build it with `cargo build --release -p avocet-cli`, or name one by \
         --avocet"
    )))
}

/// Runs programs to their end and tells what they took, all together; of several, the memory is
/// that of the largest as often as run at once.
///
/// A process knows only the sum over all its children, and of memory the maximum. So each run gets
/// a parent of its own.
pub(super) fn measure(scratch: &Scratch, lines: &Lines) -> Result<Cost> {
    scratch.check()?;
    let own = own_program()?;
    let start = |source| Error::Start { program: own.display().to_string(), source };
    let mut parent = Command::new(&own);
    parent.arg(MEASURE).process_group(0);
    parent.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut parent = parent.spawn().map_err(start)?;
    let _adopted = scratch.adopt(&parent);
    // It ends its children when this end of the pipe is closed, as by the end of this program.
    let mut orders = parent.stdin.take();
    if let Some(orders) = &mut orders {
        let text = serde_json::to_string(lines).map_err(|error| start(error.into()))?;
        // One that does not listen is found by what it answers.
        let _ = writeln!(orders, "{text}");
    }
    let output = parent.wait_with_output().map_err(start)?;
    scratch.check()?;
    if !output.status.success() {
        let command = lines.lines.first().map(|line| show(line)).unwrap_or_default();
        let log = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Failed { command, log });
    }
    serde_json::from_slice(&output.stdout).map_err(|_| Error::Answer {
        program: MEASURE.to_owned(),
        found: String::from_utf8_lossy(&output.stdout).into_owned(),
        expected: "the cost of a run",
    })
}

/// As the parent of measured children: runs them, and prints what they took as JSON.
pub(super) fn be_parent() -> ExitCode {
    match measure_here() {
        Ok(cost) => terminal::print(&terminal::json(&cost), 0),
        Err(error) => {
            terminal::note(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn measure_here() -> io::Result<Cost> {
    let mut text = String::new();
    io::stdin().lock().read_line(&mut text)?;
    let lines: Lines = serde_json::from_str(&text)?;
    // Whoever gave the orders is gone: nobody waits for the children any more.
    thread::Builder::new().spawn(|| {
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        if getpgrp() == getpid() {
            let _ = killpg(getpgrp(), Signal::SIGKILL);
        }
    })?;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut all = Vec::new();
        while let Some(line) = lines.lines.get(next.fetch_add(1, Ordering::Relaxed)) {
            all.push(run(line)?);
        }
        Ok(all)
    };
    let begun = Instant::now();
    let runs: io::Result<Vec<_>> = if lines.at_once < 2 {
        work()
    } else {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..lines.at_once).map(|_| scope.spawn(work)).collect();
            let failed = |_| Err(io::Error::other("a thread failed"));
            let all = threads.into_iter().map(|thread| thread.join().unwrap_or_else(failed));
            Ok(all.collect::<io::Result<Vec<_>>>()?.concat())
        })
    };
    let runs = runs?;
    let end = runs.iter().map(|run| run.end).max().unwrap_or(begun);
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    let own = account("/proc/self/status", "VmHWM:").map(|kibibytes| kibibytes * 1024.0);
    let peak = usage.max_rss() as f64 * 1024.0;
    let together = lines.at_once.clamp(1, lines.lines.len().max(1));
    Ok(Cost {
        wall: (end - begun).as_secs_f64(),
        user: Some(seconds(usage.user_time())),
        peak: told_peak(peak, own).map(|peak| peak * together as f64),
        read: runs.iter().map(|run| run.read).sum(),
    })
}

/// How one of the children ended.
#[derive(Clone, Copy)]
struct Run {
    end: Instant,
    /// What it read by system calls, in bytes.
    read: Option<f64>,
}

fn run(line: &[OsString]) -> io::Result<Run> {
    let Some((program, words)) = line.split_first() else {
        return Err(io::Error::other("there is no program to measure"));
    };
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    let told = |error| io::Error::other(format!("{} can not run: {error}", show(line)));
    let mut child = command.spawn().map_err(told)?;
    let read = read_by(&child)?;
    let status = child.wait()?;
    let end = Instant::now();
    if status.success() { Ok(Run { end, read }) } else { Err(io::Error::other(status.to_string())) }
}

/// Waits for the end of a child, and tells how much it has read by system calls, in bytes: its accounts
/// are open until it is reaped.
#[cfg(target_os = "linux")]
fn read_by(child: &std::process::Child) -> io::Result<Option<f64>> {
    let pid = Pid::from_raw(child.id().cast_signed());
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
    Ok(bytes_read(&format!("/proc/{pid}/io")))
}

/// The same where there are no such accounts.
#[cfg(not(target_os = "linux"))]
fn read_by(_: &std::process::Child) -> io::Result<Option<f64>> {
    Ok(None)
}

/// The peak memory of a child, in bytes, where it can be told.
///
/// The kernel counts the memory of the process that started it as that of the child, until the
/// child has become a program of its own; so what is no more than `own` may be less.
fn told_peak(peak: f64, own: Option<f64>) -> Option<f64> {
    // The kernel's own counts differ by some pages.
    own.filter(|own| peak > own + 1e6).map(|_| peak)
}

/// What a process has read by system calls, in bytes, by the kernel's accounts at `path`.
pub(super) fn bytes_read(path: &str) -> Option<f64> {
    account(path, "rchar:")
}

/// A number in a file of the kernel's accounts, behind its name.
fn account(path: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A command line, with the names of files without their folders.
pub(super) fn show(line: &[OsString]) -> String {
    let name = |word: &OsString| {
        let path = Path::new(word);
        let name = if path.is_absolute() { path.file_name() } else { None };
        name.unwrap_or(word).to_string_lossy().into_owned()
    };
    line.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_shown_without_folders() {
        let line = ["/usr/bin/ffmpeg", "-vf", "scale=1:-2", "/tmp/a b.mp4", "-"];
        let line: Vec<_> = line.iter().map(OsString::from).collect();
        assert_eq!(show(&line), "ffmpeg -vf scale=1:-2 a b.mp4 -");
    }

    #[test]
    fn orders_keep_every_byte_of_a_name() {
        use std::os::unix::ffi::OsStringExt;

        let line = vec![OsString::from_vec(vec![0x61, 0xFF]), OsString::from("b")];
        let text = terminal::json(&Lines::one(line.clone()));
        let read = serde_json::from_str::<Lines>(&text).ok();
        assert_eq!(read.map(|read| read.lines), Some(vec![line]));
    }

    #[test]
    fn memory_is_told_above_that_of_whoever_measures() {
        assert_eq!(told_peak(60e6, Some(40e6)), Some(60e6));
        assert_eq!(told_peak(40.1e6, Some(40e6)), None);
        assert_eq!(told_peak(60e6, None), None);
        assert!(account("/proc/self/status", "VmHWM:").is_some_and(|size| size > 0.0));
        assert_eq!(account("/proc/self/status", "nothing:"), None);
    }

    #[test]
    fn own_reads_are_counted() {
        let before = bytes_read("/proc/self/io");
        let text = fs::read_to_string("/proc/self/status").map(|text| text.len() as f64).ok();
        let after = bytes_read("/proc/self/io");
        let counted = after.zip(before).map(|(after, before)| after - before);
        assert!(counted.zip(text).is_some_and(|(counted, text)| counted >= text));
    }
}
