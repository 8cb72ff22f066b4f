//! Worker processes: confined, reused from job to job of one project, spoken to in lines of JSON,
//! killed when they hang.

mod planners;
mod pool;
mod turns;

use std::{
    collections::VecDeque,
    env,
    fs::{self, File},
    io,
    os::{fd::OwnedFd, unix::net::UnixStream as Socket},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use avocet_engine::{
    Elsewhere, InputProxy,
    workers::{Duty, Sandbox},
};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, ChildStderr, Command},
    time::timeout,
};
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::model::protocol::{Event, Order, Request};

pub(crate) use planners::{Busy, NotPlanned, Planners};
pub(crate) use pool::Pool;
pub(crate) use turns::{Place, Places};

/// How long a worker may take to read a request, and to confirm that it took a job.
const TO_TAKE: Duration = Duration::from_secs(10);

/// How many of the last lines of a worker's standard error are kept, for the log.
const WORDS: usize = 20;

/// The longest event of a worker, in bytes. A plan of a thousand sections has about a tenth of that.
const LONGEST: usize = 16 << 20;

/// The longest line of a worker's standard error, in bytes.
const LONGEST_WORDS: u64 = 64 << 10;

/// The folders of a worker, within its own: all that it can write to.
const FOLDERS: [&str; 3] = [OUTPUTS, OF_FFMPEG, TEMPORARY];

/// The folder for outputs, within a worker's folder.
const OUTPUTS: &str = "outputs";

/// The folder for temporary files, within a worker's folder.
const TEMPORARY: &str = "temporary";

/// The working folder of the `ffmpeg` program, within a worker's folder.
const OF_FFMPEG: &str = "ffmpeg";

/// What a worker may run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Plans and recipes, in its own process.
    Recipes,
    /// The `ffmpeg` program.
    Ffmpeg,
}

/// A job as a worker gets it.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// What it may run.
    pub(crate) kind: Kind,
    /// Its document.
    pub(crate) document: String,
    /// The URLs of its inputs, and the files that are read for them, where they are on this machine.
    pub(crate) inputs: Vec<(String, Option<Arc<File>>)>,
}

/// How workers are started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The program; it is started with the argument `worker`.
    pub(crate) path: PathBuf,
    /// The `ffmpeg` program, where there is one.
    pub(crate) ffmpeg: Option<PathBuf>,
    /// The folder in which each worker gets a folder of its own.
    pub(crate) folder: PathBuf,
    /// What is enforced on workers.
    pub(crate) sandbox: Sandbox,
    /// Fetches the inputs of all workers.
    pub(crate) fetcher: Elsewhere,
}

/// A worker process; it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    /// Its process group, whose id is that of the process; `None` once it was killed.
    group: Option<Pid>,
    kind: Kind,
    ffmpeg: Option<PathBuf>,
    /// The project whose jobs it runs; `None` until its first job.
    project: Option<String>,
    /// How many jobs it has taken.
    jobs: u32,
    /// The processor time that it had used at the last look at it while idle, in clock ticks.
    idle_ticks: Option<u64>,
    input: OwnedWriteHalf,
    output: FramedRead<OwnedReadHalf, LinesCodec>,
    words: Arc<Mutex<VecDeque<String>>>,
    inputs: InputProxy,
    /// The worker's folder, the only one that it can write to; removed when the worker is dropped.
    folder: TempDir,
}

/// The resource use of a process and its children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    /// Processor time used in user and kernel mode, in clock ticks.
    pub(crate) ticks: u64,
    /// The number of threads.
    pub(crate) threads: u64,
}

impl Program {
    /// Starts a worker, in a process group of its own. Must be called on a thread of the runtime
    /// that does not end, since the kernel kills the worker with its parent's thread.
    pub(crate) fn start(&self, kind: Kind) -> io::Result<Worker> {
        let folder = tempfile::tempdir_in(&self.folder)?;
        let place = folder.path().canonicalize()?;
        let writable = FOLDERS.map(|name| place.join(name));
        writable.iter().try_for_each(fs::create_dir)?;
        // Standard input is the socket for requests and events, and standard output the one for
        // inputs: so no other descriptor is handed down.
        let ((ours, line), (proxy, inputs)) = (Socket::pair()?, Socket::pair()?);
        let mut command = Command::new(&self.path);
        command
            .arg("worker")
            .env_clear()
            .env("TMPDIR", place.join(TEMPORARY))
            .stdin(Stdio::from(OwnedFd::from(line)))
            .stdout(Stdio::from(OwnedFd::from(inputs)))
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for name in ["LD_LIBRARY_PATH", "RUST_BACKTRACE"] {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        let ffmpeg = self.ffmpeg.as_deref().filter(|_| kind == Kind::Ffmpeg);
        let writable = writable.each_ref().map(PathBuf::as_path);
        let duty = Duty { program: &self.path, folder: &place, writable: &writable, ffmpeg };
        self.sandbox.confine(command.as_std_mut(), duty)?;
        let mut child = command.spawn()?;
        // The parent's copies of the worker's ends are closed here, so that their end is noticed.
        drop(command);
        ours.set_nonblocking(true)?;
        let (output, input) = UnixStream::from_std(ours)?.into_split();
        let words = Arc::default();
        if let Some(errors) = child.stderr.take() {
            tokio::spawn(listen(errors, Arc::clone(&words)));
        }
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Worker {
            child,
            group,
            kind,
            ffmpeg: ffmpeg.map(Path::to_owned),
            project: None,
            jobs: 0,
            idle_ticks: None,
            input,
            output: FramedRead::new(output, LinesCodec::new_with_max_length(LONGEST)),
            words,
            inputs: self.fetcher.fetch_for(proxy)?,
            folder,
        })
    }
}

/// Keeps the last lines of a worker's standard error: libav's log, or the message of a panic.
async fn listen(errors: ChildStderr, words: Arc<Mutex<VecDeque<String>>>) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    // Its libraries may write what is no text, and lines without an end.
    while (&mut errors)
        .take(LONGEST_WORDS)
        .read_until(b'\n', &mut line)
        .await
        .is_ok_and(|read| read > 0)
    {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        tracing::debug!(line = text, "standard error of a worker");
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        if words.len() == WORDS {
            words.pop_front();
        }
        words.push_back(text);
    }
}

impl Worker {
    async fn say(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.input.write_all(&line).await?;
        self.input.flush().await
    }

    /// Gives the worker a job of its project, with these inputs, and waits until it confirms. A
    /// worker that dies before it confirms did not die of the job. One that does not confirm within
    /// [`TO_TAKE`] is taken for dead.
    pub(crate) async fn run(
        &mut self,
        order: Order,
        inputs: Vec<(String, Option<Arc<File>>)>,
    ) -> io::Result<()> {
        self.jobs += 1;
        self.idle_ticks = None;
        self.inputs.allow(inputs);
        let taken = timeout(TO_TAKE, async {
            self.say(&Request::Run(order)).await?;
            Ok::<_, io::Error>(self.event().await)
        });
        match taken.await {
            Ok(Ok(Some(Event::Taken))) => Ok(()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) | Err(_) => Err(io::Error::other("the worker did not accept the job")),
        }
    }

    /// The worker's next event; `None` when it is dead, or its line is no known event.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        let line = self.output.next().await?.ok()?;
        serde_json::from_str(&line).ok()
    }

    /// Asks the worker to stop the running job; its last event for that job still comes.
    pub(crate) async fn cancel(&mut self) -> io::Result<()> {
        let said = timeout(TO_TAKE, self.say(&Request::Cancel)).await;
        said.map_err(|_| io::Error::other("the worker did not accept the cancel request"))?
    }

    /// Kills the worker and removes its files.
    pub(crate) async fn end(mut self) {
        if self.has_ended() {
            tracing::warn!("a worker ended by itself");
        }
        self.kill();
        let _ = self.child.kill().await;
        let words = std::mem::take(&mut *self.words.lock().unwrap_or_else(PoisonError::into_inner));
        if !words.is_empty() {
            let words = Vec::from(words).join("\n");
            tracing::info!(words, "the last lines of standard error of a worker");
        }
    }

    /// Kills the worker with all that it started, also where it has ended: as long as it is not
    /// waited for, no other process gets its id. So this is done once, before that.
    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // An error is ignored: the group may be gone already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Whether its process has ended. It is not waited for.
    pub(crate) fn has_ended(&self) -> bool {
        let looks = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.group.is_none_or(|id| !matches!(waitid(WaitId::Pid(id), looks), Ok(None)))
    }

    /// The folder for the outputs of its job.
    pub(crate) fn outputs(&self) -> PathBuf {
        self.folder.path().join(OUTPUTS)
    }

    /// The folder for the `ffmpeg` program.
    pub(crate) fn of_ffmpeg(&self) -> PathBuf {
        self.folder.path().join(OF_FFMPEG)
    }

    /// The `ffmpeg` program, where it may run that one.
    pub(crate) fn ffmpeg(&self) -> Option<&Path> {
        self.ffmpeg.as_deref()
    }

    /// The inputs that are fetched for it.
    pub(crate) const fn inputs(&self) -> &InputProxy {
        &self.inputs
    }

    /// What it uses and has written for its job so far, looked at on a thread that may wait. `None`
    /// when its process can not be looked at.
    pub(crate) async fn look(&self) -> Option<Look> {
        let (id, kind, folder) = self.whereabouts()?;
        let looked = tokio::task::spawn_blocking(move || Look::at(id, kind, &folder));
        looked.await.ok().flatten()
    }

    /// The id of its process, until it was waited for.
    fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// What [`Look::at`] takes.
    fn whereabouts(&self) -> Option<(u32, Kind, PathBuf)> {
        Some((self.id()?, self.kind, self.folder.path().to_owned()))
    }

    /// What it has written for its job so far, also where its process has ended.
    pub(crate) async fn written(&self) -> io::Result<Written> {
        let folder = self.folder.path().to_owned();
        let written = tokio::task::spawn_blocking(move || written_in(&folder));
        written.await.map_err(io::Error::other)
    }

    /// Removes all that is in its folders. An error means that another job could find something.
    async fn clean(&mut self) -> io::Result<()> {
        self.inputs.allow([]);
        let folder = self.folder.path().to_owned();
        let cleaned = tokio::task::spawn_blocking(move || {
            for name in FOLDERS {
                // A worker can not make folders, so these hold files only.
                for file in fs::read_dir(folder.join(name))? {
                    fs::remove_file(file?.path())?;
                }
            }
            Ok(())
        });
        cleaned.await.map_err(io::Error::other)?
    }
}

/// A look at a worker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    pub(crate) vitals: Vitals,
    pub(crate) written: Written,
}

impl Look {
    /// Looks at a process, and at the folder that it writes to.
    fn at(process: u32, kind: Kind, folder: &Path) -> Option<Self> {
        Some(Self { vitals: vitals(process, kind)?, written: written_in(folder) })
    }
}

/// What a worker has written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    /// Bytes of files that are or become outputs.
    pub(crate) outputs: u64,
    /// Bytes of temporary files.
    pub(crate) temporary: u64,
    /// The number of all files.
    pub(crate) files: usize,
}

/// What is in the folders of a worker.
fn written_in(folder: &Path) -> Written {
    let [outputs, of_ffmpeg, temporary] = FOLDERS.map(|name| files_in(&folder.join(name)));
    Written {
        outputs: outputs.0 + of_ffmpeg.0,
        temporary: temporary.0,
        files: outputs.1 + of_ffmpeg.1 + temporary.1,
    }
}

/// Bytes and number of the files of a folder. A worker can make no folders in it.
fn files_in(folder: &Path) -> (u64, usize) {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = files.filter_map(|file| file.metadata().ok()).map(|file| file.len());
    sizes.fold((0, 0), |(bytes, files), size| (bytes + size, files + 1))
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The resource use of a process, and of what it started, from `/proc` (proc(5)).
fn vitals(process: u32, kind: Kind) -> Option<Vitals> {
    let mut all = vitals_of(process)?;
    if kind == Kind::Recipes {
        return Some(all);
    }
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    for thread in threads {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        for child in children.filter_map(vitals_of) {
            all.memory += child.memory;
            all.ticks += child.ticks;
            all.threads += child.threads;
        }
    }
    Some(all)
}

/// The resource use of a process, with that of children that have ended.
fn vitals_of(process: u32) -> Option<Vitals> {
    let folder = Path::new("/proc").join(process.to_string());
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let (kilobytes, threads) = (number("VmRSS:")?, number("Threads:")?);
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The name of the process may have spaces, so fields are counted from the parenthesis behind
    // it. The 12th to 15th from there are utime, stime, cutime and cstime.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    let spent = fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok());
    Some(Vitals { memory: kilobytes * 1024, ticks: spent.sum(), threads })
}
