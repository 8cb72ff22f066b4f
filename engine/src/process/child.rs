//! The child process in which the `ffmpeg` program runs: started confined, watched, and judged by
//! how it ended.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader, Read},
    ops::ControlFlow,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use avocet_model::{
    error::{Error, Result},
    location::Location,
    plan::{Argument, Content, Plan, Process, Reason},
    progress::{CancelToken, Progress, Reading},
};

use super::{
    ProcessSettings, Runner,
    calls::Class,
    program,
    sandbox::{self, Allowed, Layers},
};
use crate::{
    io::{Bytes, Folder, Sink, Source, Sources},
    pipeline::{check_places, run::show},
};

/// The pause between two checks of the child.
const LOOK: Duration = Duration::from_millis(25);

/// How often the caller sees progress, and memory and space are checked.
const TICK: Duration = Duration::from_millis(250);

/// The longest line of progress that is looked at, in bytes.
const LINE: u64 = 1024;

/// The most files that the child may have in its folder.
const FILES: usize = 1000;

/// How much of standard error is kept, in bytes.
const LOG: usize = 64 << 10;

/// What of the sandbox this kernel does not enforce, in words; `None` when all is enforced.
pub(super) fn unprotected() -> Option<String> {
    Layers::of_this_kernel().missing()
}

/// The output of the child so far, which the threads that listen to it write down.
#[derive(Debug, Default)]
struct Heard {
    now: Reading,
    /// The release that it calls itself.
    version: Option<String>,
    /// The end of what it wrote to standard error.
    log: VecDeque<u8>,
}

/// A child that is killed when it is dropped.
///
/// It is started by a thread of its own, and the kernel kills it when that thread ends
/// (`PR_SET_PDEATHSIG`). So a host that may send no signals, as the worker of a service, can end it.
struct Running {
    child: Child,
    /// The thread ends when this is dropped.
    keeper: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Running {
    fn start(mut command: Command) -> io::Result<Self> {
        let (sender, started) = channel();
        let (keep, ended) = channel();
        let keeper = thread::Builder::new().name("ffmpeg parent".to_owned()).spawn(move || {
            let _ = sender.send(command.spawn());
            let _ = ended.recv();
        })?;
        let started = started.recv().map_err(|_| io::Error::other("its thread panicked"))?;
        Ok(Self { child: started?, keeper: Some((keep, keeper)) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((keep, keeper)) = self.keeper.take() {
            drop(keep);
            let _ = keeper.join();
        }
        // Reaped, so that no zombie stays.
        let _ = self.child.wait();
    }
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> Runner<'_, F> {
    /// Runs the program of a plan. Returns its outputs, which are written and not yet at their
    /// final names, and warnings.
    pub(crate) fn run(
        &mut self,
        plan: &Plan,
        process: &Process,
        sources: &Sources,
    ) -> Result<(Vec<Sink>, Vec<Reason>)> {
        plan.check()?;
        let inputs = plan.inputs.iter().map(|input| local(&input.location, sources, self.cancel));
        let (inputs, files): (Vec<_>, Vec<_>) =
            inputs.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        check_places(plan)?;
        let program = program::find(self.settings.program.as_deref())?;
        let layers = Layers::of_this_kernel();
        let mut warnings = Vec::new();
        if let Some(missing) = layers.missing() {
            if self.settings.needs_sandbox {
                return Err(Error::Unprotected { what: missing });
            }
            warnings.push(Reason::new("SANDBOX_INCOMPLETE", missing));
        }
        let sinks = plan
            .outputs
            .iter()
            .map(|output| Sink::create(&output.location, output.replace, self.unfinished));
        let sinks = sinks.collect::<Result<Vec<_>>>()?;
        // Beside the first output, so that what is made need not be moved to another disk.
        let beside = sinks.first().and_then(|sink| sink.path().parent()).unwrap_or(Path::new("."));
        let storage = |error: io::Error| failed(plan, error.kind().into());
        let private = match &self.settings.folder {
            Some(_) => None,
            None => Some(self.unfinished.folder(beside).map_err(storage)?),
        };
        let given = self.settings.folder.as_deref();
        let place = private.as_ref().map(Folder::path).or(given).unwrap_or(beside);
        let place = place.canonicalize().map_err(storage)?;

        let mut command = Command::new(&program);
        command
            .args(["-nostdin", "-y", "-nostats", "-loglevel", "repeat+level+info"])
            .args(["-progress", "pipe:1", "-stats_period", "0.25"])
            .args(arguments(plan, process, &inputs))
            .env_clear()
            .current_dir(&place)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let allowed = Allowed {
            class: Class::Ffmpeg,
            programs: &[&program],
            readable: &[],
            inputs: &files,
            folders: &[&place],
            largest_file: self.settings.largest_file,
        };
        let starting = |error| Error::Program {
            ended: format!("could not be started: {error}"),
            line: None,
            log: String::new(),
        };
        sandbox::confine(&mut command, &allowed, layers).map_err(starting)?;
        let child = Running::start(command).map_err(starting)?;
        let heard = Arc::new(Mutex::new(Heard::default()));
        let status = self.watch(plan, child, &heard, &place)?;
        let heard = std::mem::take(&mut *lock(&heard));
        judge(plan, status, &heard, self.settings, &place)?;
        if let Some(version) = heard.version.filter(|version| *version != self.linked) {
            let message =
                format!("the ffmpeg program is {version}, the linked libav is {}", self.linked);
            warnings.push(Reason::new("PROGRAM_DIFFERS", message));
        }
        let take = |(sink, output): (Sink, &avocet_model::plan::Output)| {
            let Content::OfProcess(name) = &output.content else { return Ok(sink) };
            sink.adopt(&place.join(name), self.cancel)
        };
        let sinks = sinks.into_iter().zip(&plan.outputs).map(take).collect::<Result<Vec<_>>>()?;
        Ok((sinks, warnings))
    }

    /// Waits for the end of the child, and listens to it. A cancellation, the time limit and the
    /// other limits are errors, by which the child is dropped and so killed.
    fn watch(
        &mut self,
        plan: &Plan,
        mut child: Running,
        heard: &Arc<Mutex<Heard>>,
        folder: &Path,
    ) -> Result<ExitStatus> {
        let (stdout, stderr) = (child.child.stdout.take(), child.child.stderr.take());
        let (progress, errors) = (Arc::clone(heard), Arc::clone(heard));
        let listen = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let started = thread::Builder::new().name(name.to_owned()).spawn(work);
            started.map_err(|_| Error::Exhausted { what: "thread" })
        };
        let listeners = [
            listen("ffmpeg progress", Box::new(move || hear_progress(stdout, &progress)))?,
            listen("ffmpeg errors", Box::new(move || hear_errors(stderr, &errors)))?,
        ];
        let deadline = self.begun + Duration::from_secs(self.settings.max_seconds);
        let mut ticked = None::<Instant>;
        let status = loop {
            if let Some(status) = child.child.try_wait().ok().flatten() {
                break status;
            }
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if Instant::now() >= deadline {
                return Err(Error::TimedOut { seconds: self.settings.max_seconds as f64 });
            }
            if ticked.is_none_or(|at| at.elapsed() >= TICK) {
                ticked = Some(Instant::now());
                self.expect_within(&child.child, folder)?;
                self.tick(plan, lock(heard).now)?;
            }
            thread::sleep(LOOK);
        };
        for listener in listeners {
            let _ = listener.join();
        }
        Ok(status)
    }

    /// Fails when the child uses more memory, space or files than it may.
    fn expect_within(&self, child: &Child, folder: &Path) -> Result<()> {
        let ProcessSettings { max_memory, max_space, .. } = *self.settings;
        let mebibytes = |bytes: u64| bytes >> 20;
        if resident(child.id()) > max_memory {
            let limit = mebibytes(max_memory);
            return Err(Error::Limit {
                what: "the memory of the ffmpeg program",
                limit,
                unit: "MiB",
            });
        }
        let sizes = sizes(folder);
        if sizes.iter().sum::<u64>() > max_space {
            let limit = mebibytes(max_space);
            return Err(Error::Limit { what: "the space of the job's files", limit, unit: "MiB" });
        }
        if sizes.len() > FILES {
            return Err(Error::Limit {
                what: "the folder of the ffmpeg program",
                limit: FILES as u64,
                unit: "files",
            });
        }
        Ok(())
    }

    fn tick(&mut self, plan: &Plan, now: Reading) -> Result<()> {
        let now = Reading { total: plan.seconds, ..now };
        let progress = self.meter.read(now, self.begun.elapsed());
        show(self.observe, progress)
    }
}

fn lock(heard: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The local file of an input: its path with links resolved, and the file, open.
fn local(
    location: &Location,
    sources: &Sources,
    cancel: &CancelToken,
) -> Result<(PathBuf, fs::File)> {
    let unreadable = |source| Error::Read { location: location.clone(), source };
    let source = sources.expect(location)?;
    let only_files =
        || Error::BadPlan { what: "the ffmpeg program reads regular files only".to_owned() };
    let path = source.local().ok_or_else(only_files)?.canonicalize().map_err(unreadable)?;
    match Source::path(&path).open_bytes(cancel).map_err(unreadable)? {
        Bytes::File(file) => Ok((path, file)),
        Bytes::Other(_) => Err(only_files()),
    }
}

fn failed(plan: &Plan, source: io::Error) -> Error {
    let location = plan.outputs.first().map(|output| output.location.clone());
    Error::Write { location: location.unwrap_or(Location::Caller(0)), source }
}

/// The arguments of the program. A path gets the prefix `file:`, so that it can not name another
/// protocol.
fn arguments(plan: &Plan, process: &Process, inputs: &[PathBuf]) -> Vec<OsString> {
    let file = |path: &Path| {
        let mut argument = OsString::from("file:");
        argument.push(path);
        argument
    };
    let argument = |argument: &Argument| match argument {
        Argument::Text(text) => Some(OsString::from(text)),
        Argument::Input(number) => inputs.get(*number).map(|path| file(path)),
        Argument::Output(number) => match &plan.outputs.get(*number)?.content {
            Content::OfProcess(name) => Some(file(Path::new(name))),
            _ => None,
        },
    };
    process.arguments.iter().filter_map(argument).collect()
}

/// Reads the lines of `-progress`: `key=value`, each block ended by `progress=`.
fn hear_progress(stdout: Option<impl Read>, heard: &Mutex<Heard>) {
    let Some(stdout) = stdout else { return };
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    // A longer line is read in pieces, so that it takes little memory.
    while (&mut stdout).take(LINE).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line);
        if let Some((key, value)) = text.trim().split_once('=') {
            let now = &mut lock(heard).now;
            match (key, value.parse::<u64>()) {
                ("out_time_us", Ok(ticks)) => now.seconds = ticks as f64 / 1e6,
                ("frame", Ok(frames)) => now.frames = frames,
                ("total_size", Ok(bytes)) => now.bytes = bytes,
                _ => {}
            }
        }
        line.clear();
    }
}

/// Reads standard error to its end, and keeps the last part and the release that it names.
fn hear_errors(stderr: Option<impl Read>, heard: &Mutex<Heard>) {
    let Some(mut stderr) = stderr else { return };
    let mut buffer = [0; 8192];
    loop {
        let read = match stderr.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(read) => buffer.get(..read).unwrap_or_default(),
        };
        let mut heard = lock(heard);
        if heard.version.is_none() {
            heard.version = program::version_of(&String::from_utf8_lossy(read));
        }
        heard.log.extend(read);
        let surplus = heard.log.len().saturating_sub(LOG);
        heard.log.drain(..surplus);
    }
}

/// Makes an error of an exit that is no success. The words of the child alone are no proof, since
/// the input may have put them there; sizes of files and free space are.
fn judge(
    plan: &Plan,
    status: ExitStatus,
    heard: &Heard,
    settings: &ProcessSettings,
    folder: &Path,
) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let is_too_large = || sizes(folder).iter().any(|size| *size >= settings.largest_file);
    if status.signal() == Some(Signal::XFSZ.as_raw()) || is_too_large() {
        let limit = settings.largest_file >> 20;
        return Err(Error::Limit { what: "an output file", limit, unit: "MiB" });
    }
    let log: Vec<u8> = heard.log.iter().copied().collect();
    let log = end_of(&String::from_utf8_lossy(&log), LOG).to_owned();
    if log.contains("No space left on device") && is_full(folder) {
        return Err(failed(plan, io::ErrorKind::StorageFull.into()));
    }
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    };
    Err(Error::Program { ended, line: telling_line(&log), log: without_levels(&log) })
}

/// The end of a text, of at most `most` bytes. A log with bytes that are no UTF-8 became longer
/// when these were replaced.
fn end_of(text: &str, most: usize) -> &str {
    let mut at = text.len().saturating_sub(most);
    while !text.is_char_boundary(at) {
        at += 1;
    }
    &text[at..]
}

/// The line of the log that tells what went wrong.
///
/// That is the last error of a component of libav, since what the program adds only says what
/// failed with it. Without one it is the program's first error. Where the caller's arguments leave
/// levels out, it is the last line that says more than that something failed.
fn telling_line(log: &str) -> Option<String> {
    let errors = || {
        log.lines().filter_map(|line| {
            let level = ["[fatal] ", "[error] "].into_iter().find(|level| line.contains(level))?;
            line.split_once(level)
        })
    };
    // As in `[libx264 @ 0x55d0c8] `, and not as in `[vost#0:0/libx264 @ 0x55d0c8] `.
    let of_libav = |(part, _): &(&str, &str)| part.contains(" @ ") && !part.contains('#');
    let is_telling = |line: &&str| {
        let closing =
            ["Conversion failed!", "Error opening output file", "Error initializing output"];
        !line.trim().is_empty() && !closing.iter().any(|words| line.starts_with(words))
    };
    let error = errors().rfind(of_libav).or(errors().next()).map(|(_, said)| said);
    let line = error.or(log.lines().rfind(is_telling)).or(log.lines().last())?;
    Some(line.trim().chars().filter(|sign| !sign.is_control()).collect())
}

/// The log without the level of each line.
fn without_levels(log: &str) -> String {
    let levels = ["[info] ", "[warning] ", "[error] ", "[fatal] ", "[panic] "];
    let bare = |line: &str| {
        let level = levels.into_iter().filter_map(|level| Some((line.find(level)?, level))).min();
        level.map_or(line.to_owned(), |(_, level)| line.replacen(level, "", 1))
    };
    log.split_inclusive('\n').map(bare).collect()
}

/// Whether the file system of a folder has less than 16 MiB of free space.
fn is_full(folder: &Path) -> bool {
    const HARDLY: u64 = 16 << 20;
    let room = rustix::fs::statvfs(folder);
    room.is_ok_and(|room| room.f_bavail.saturating_mul(room.f_frsize) < HARDLY)
}

/// Resident memory of a process, in bytes; 0 once it is gone, and in a worker of a service, which
/// may not look, and whose service does.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

/// The sizes of the files of a folder, in bytes.
fn sizes(folder: &Path) -> Vec<u64> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().take(2 * FILES);
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_as_many_bytes_as_it_may_and_whole_letters() {
        assert_eq!([end_of("short", 9), end_of("longer", 4)], ["short", "nger"]);
        assert_eq!(end_of("é—é", 6), "—é");
        assert_eq!(end_of("é—é", 4), "é");
        // Bytes that are no UTF-8 become letters of three bytes.
        let bytes = vec![0xff; LOG];
        assert!(end_of(&String::from_utf8_lossy(&bytes), LOG).len() <= LOG);
    }

    #[test]
    fn the_line_that_tells_is_the_last_error_of_a_part_of_libav() {
        let told = |log: &str| telling_line(log).unwrap_or_default();
        let log = "[info] Stream mapping:\n\
                   [libx264 @ 0x55d0] [error] Error setting preset/tune nonsense/(null).\n\
                   [libx264 @ 0x55d0] [info] Possible presets: ultrafast\n\
                   [vost#0:0/libx264 @ 0x55d1] [error] Error while opening encoder\n\
                   [aac @ 0x55d2] [info] Qavg: 102.582\n\
                   [fatal] Conversion failed!\n";
        assert_eq!(told(log), "Error setting preset/tune nonsense/(null).");
        let bare = without_levels(log);
        assert!(bare.starts_with("Stream mapping:\n[libx264 @ 0x55d0] Error setting"), "{bare}");
        assert!(bare.ends_with("Qavg: 102.582\nConversion failed!\n"), "{bare}");
        let log = "[error] Unrecognized option 'top'.\n[fatal] Error splitting the argument list\n";
        assert_eq!(told(log), "Unrecognized option 'top'.");
        assert_eq!(told("in.mp4: no such file\nConversion failed!\n"), "in.mp4: no such file");
        assert_eq!(told("Conversion failed!\n"), "Conversion failed!");
    }
}
