//! Processes, measured by the accounts that the operating system keeps of a finished child.

use std::{
    env,
    ffi::{OsStr, OsString},
    process::{Command, Stdio},
    time::Instant,
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::{TimeVal, TimeValLike},
};
use serde::{Deserialize, Serialize};

use crate::Result;

/// First word of a command line that makes this program run another and print its accounts.
pub(crate) const MEASURE: &str = "--measure";

/// First words of those that make this program a measured child: `IN OUT THREADS` follow.
pub(crate) const THUMBNAIL: &str = "--child-thumbnail";
pub(crate) const TRANSCODE: &str = "--child-transcode";

/// What a process took.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Usage {
    /// From before it was started until its end was known, in seconds.
    pub(crate) wall: f64,
    /// Processor time outside the kernel, over all threads, in seconds.
    pub(crate) user: f64,
    /// Processor time inside the kernel, over all threads, in seconds.
    pub(crate) system: f64,
    /// The most memory it had resident at once, in bytes.
    pub(crate) peak: f64,
}

/// Runs a program to its end and tells what it took.
///
/// A process knows only the sum over all its children, and of memory the maximum. So each run gets
/// a parent of its own, which has this one child.
pub(crate) fn measure<W: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    words: impl IntoIterator<Item = W>,
) -> Result<Usage> {
    let mut parent = Command::new(env::current_exe()?);
    parent.arg(MEASURE).arg(program).args(words).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = parent.output()?;
    if !output.status.success() {
        return Err(format!("{parent:?} failed").into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// As the parent of a measured child: runs it, and prints what it took as JSON.
pub(crate) fn measure_here(mut words: impl Iterator<Item = OsString>) -> Result<()> {
    let program = words.next().ok_or("there is no program to measure")?;
    let mut child = Command::new(program);
    child.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    let begun = Instant::now();
    let status = child.status().map_err(|error| format!("{child:?} can not run: {error}"))?;
    let wall = begun.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{child:?} failed: {status}").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    let usage = Usage {
        wall,
        user: seconds(usage.user_time()),
        system: seconds(usage.system_time()),
        peak: usage.max_rss() as f64 * 1024.0,
    };
    println!("{}", serde_json::to_string(&usage)?);
    Ok(())
}
