//! Worker processes: kept warm, spoken to by lines of JSON, ended when they do not answer.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::protocol::{Event, Order, Request};

/// How long a worker may take to stop a job that is cancelled before it is killed.
const TO_STOP: Duration = Duration::from_millis(800);

/// How workers are started.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// The program; it is started with the argument `worker`.
    pub(crate) program: PathBuf,
    /// What workers are told of the configuration, as variables.
    pub(crate) variables: Vec<(String, String)>,
    /// Where they may leave temporary files.
    pub(crate) temporary: PathBuf,
}

/// A worker process; it is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts one, in a process group of its own.
    pub(crate) fn start(recipe: &Recipe) -> io::Result<Self> {
        let mut command = Command::new(&recipe.program);
        command
            .arg("worker")
            .env("TMPDIR", &recipe.temporary)
            .envs(recipe.variables.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let gone = || io::Error::other("a worker without pipes");
        let input = child.stdin.take().ok_or_else(gone)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(gone)?).lines();
        Ok(Self { child, input, output })
    }

    async fn say(&mut self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.input.write_all(&line).await?;
        self.input.flush().await
    }

    /// Gives it a job.
    pub(crate) async fn run(&mut self, order: Order) -> io::Result<()> {
        self.say(&Request::Run(order)).await
    }

    /// What it says next; `None` when it is dead, or says what nobody understands.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        let line = self.output.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// Asks it to stop the job that runs, and tells whether it did: else it must be dropped.
    pub(crate) async fn stop(&mut self) -> bool {
        let stopped = async {
            self.say(&Request::Cancel).await.ok()?;
            loop {
                if let Event::Done(_) | Event::Failed(_) = self.event().await? {
                    return Some(());
                }
            }
        };
        timeout(TO_STOP, stopped).await.ok().flatten().is_some()
    }

    /// How much memory it has, in bytes; `None` when it is gone.
    pub(crate) fn memory(&self) -> Option<u64> {
        resident(self.child.id()?)
    }
}

/// How much memory a process has that is its own, in bytes.
fn resident(process: u32) -> Option<u64> {
    let path = Path::new("/proc").join(process.to_string()).join("status");
    let status = std::fs::read_to_string(path).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
