//! Child processes, measured by what the operating system accounts for a finished child.

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

/// The first argument that makes this program run other programs and print their cost.
pub(super) const MEASURE: &str = "bench-measure";

/// The cost of a run. Figures that can not be told for a run in this process are `None`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Cost {
    /// The time from before the start until the end is known, in seconds.
    pub(super) wall: f64,
    /// Processor time in user mode, over all threads, in seconds.
    pub(super) user: Option<f64>,
    /// The peak of resident memory, in bytes.
    pub(super) peak: Option<f64>,
    /// The bytes that were read by system calls.
    pub(super) read: Option<f64>,
}

/// Command lines to run: in each the program comes first.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Lines {
    pub(super) lines: Vec<Vec<OsString>>,
    /// The number of command lines that run at the same time.
    pub(super) at_once: usize,
}

impl Lines {
    pub(super) fn one(line: Vec<OsString>) -> Self {
        Self { lines: vec![line], at_once: 1 }
    }
}

/// The path of this program, for starting it again.
pub(super) fn own_program() -> Result<PathBuf> {
    env::current_exe().map_err(Error::file("find", "this program"))
}

/// The program `avocet` in the folder of this one, where cargo puts both.
pub(super) fn beside() -> Result<PathBuf> {
    let program = own_program()?.with_file_name(format!("avocet{}", env::consts::EXE_SUFFIX));
    if program.is_file() {
        return Ok(program);
    }
    let place = program.display();
    Err(Error::Usage(format!(
        "there is no `{place}`; build it with `cargo build --release -p avocet-cli`, or give \
         another with --avocet"
    )))
}

/// Runs programs to their end, and tells their cost together. The memory of several is estimated:
/// the largest peak times the number that run at once.
///
/// `getrusage` gives sums over all children of a process, and the maximum of their memory. So each
/// run gets a parent process of its own.
pub(super) fn measure(scratch: &Scratch, lines: &Lines) -> Result<Cost> {
    scratch.check()?;
    let own = own_program()?;
    let start = |source| Error::Start { program: own.display().to_string(), source };
    let mut parent = Command::new(&own);
    parent.arg(MEASURE).process_group(0);
    parent.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut parent = parent.spawn().map_err(start)?;
    let _adopted = scratch.adopt(&parent);
    // The parent kills its children when this pipe is closed, also when this program dies.
    let mut orders = parent.stdin.take();
    if let Some(orders) = &mut orders {
        let text = serde_json::to_string(lines).map_err(|error| start(error.into()))?;
        // If the parent does not read, that shows when its answer is parsed.
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

/// Runs as the parent of the measured programs: prints their cost as JSON.
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
    // The input ends when the measuring program has died: kill the children with the whole group.
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

/// The end of one child.
#[derive(Clone, Copy)]
struct Run {
    end: Instant,
    /// The bytes that it read by system calls.
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

/// Waits for the end of a child without reaping it, and tells how many bytes it read by system
/// calls: `/proc/<pid>/io` can be read until then.
#[cfg(target_os = "linux")]
fn read_by(child: &std::process::Child) -> io::Result<Option<f64>> {
    let pid = Pid::from_raw(child.id().cast_signed());
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
    Ok(bytes_read(&format!("/proc/{pid}/io")))
}

/// Other systems have no such figure.
#[cfg(not(target_os = "linux"))]
fn read_by(_: &std::process::Child) -> io::Result<Option<f64>> {
    Ok(None)
}

/// The peak memory of a child in bytes, if it is known.
///
/// Between `fork` and `exec` the child has the memory of its parent, which counts for its peak. So
/// a peak that is not above `own`, the parent's, says nothing about the program.
fn told_peak(peak: f64, own: Option<f64>) -> Option<f64> {
    // The two counts of the kernel may differ by some pages.
    own.filter(|own| peak > own + 1e6).map(|_| peak)
}

/// The bytes that a process has read by system calls, from the file `/proc/<pid>/io` at `path`.
pub(super) fn bytes_read(path: &str) -> Option<f64> {
    account(path, "rchar:")
}

/// The number behind a name in a file of `/proc`.
fn account(path: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A command line for display: files are shown without their folders.
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
