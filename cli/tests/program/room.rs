//! Runs the program in a folder of its own, and checks what it leaves there.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    os::unix::{fs::symlink, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tempfile::TempDir;

/// How long the program may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(300);

/// A room with copies of fixtures, or `None` after reporting that this test is skipped.
macro_rules! room {
    ($($fixture:expr),*) => {
        fixtures::has_ffmpeg!().then(|| crate::room::Room::with(&[$($fixture),*]))
    };
}
pub(crate) use room;

/// A job document.
pub(crate) fn document(input: &str, format: &str, recipe: &str) -> String {
    format!(
        r#"{{"mode":"recipe","input":{{"url":"{input}"}},"output":{{"format":"{format}"}},"recipe":{{{recipe}}}}}"#
    )
}

/// The folder that the program runs in; paths in its arguments are relative to it.
pub(crate) struct Room {
    folder: TempDir,
    program: PathBuf,
    launcher: Vec<String>,
}

/// The state of a folder: an entry for each path.
pub(crate) type Sight = BTreeMap<PathBuf, Entry>;

#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    /// The target of a symbolic link.
    link: Option<PathBuf>,
    file_type: Option<fs::FileType>,
    /// The modification time; `None` if the path leads to nothing.
    modified: Option<SystemTime>,
    /// The contents of a regular file, if it can be read.
    bytes: Option<Vec<u8>>,
}

impl Entry {
    fn at(path: &Path) -> Self {
        let metadata = fs::metadata(path).ok();
        let is_file = metadata.as_ref().is_some_and(fs::Metadata::is_file);
        Self {
            link: fs::read_link(path).ok(),
            file_type: metadata.as_ref().map(fs::Metadata::file_type),
            modified: metadata.filter(|_| is_file).map(|metadata| metadata.modified().unwrap()),
            bytes: is_file.then(|| fs::read(path).ok()).flatten(),
        }
    }
}

/// The result of the program.
pub(crate) struct Ended {
    /// The exit status; `None` when a signal killed it.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            program: fixtures::program!(),
            launcher: Vec::new(),
        }
    }

    /// A room with copies of fixtures, under their own names.
    pub(crate) fn with(fixtures: &[&str]) -> Self {
        let room = Self::new();
        for name in fixtures {
            fs::copy(fixtures::get(name), room.path(name)).unwrap();
        }
        room
    }

    /// Runs this copy of the program from now on, started through a launcher command.
    pub(crate) fn behind(&mut self, program: PathBuf, launcher: &[&str]) {
        self.program = program;
        self.launcher = launcher.iter().map(|&word| word.to_owned()).collect();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn link(&self, target: impl AsRef<Path>, name: &str) {
        symlink(target, self.path(name)).unwrap();
    }

    /// The state of the room. Two equal states mean that nothing was added or changed.
    pub(crate) fn sight(&self) -> Sight {
        let mut sight = Sight::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    folders.push(path.clone());
                }
                let entry = Entry::at(&path);
                sight.insert(path, entry);
            }
        }
        sight
    }

    /// The names in the room that were not there before.
    pub(crate) fn new_names(&self, before: &Sight) -> Vec<String> {
        let name =
            |path: &PathBuf| path.strip_prefix(self.folder.path()).unwrap().display().to_string();
        self.sight().keys().filter(|path| !before.contains_key(*path)).map(name).collect()
    }

    /// A command of the program with these arguments, which are separated by blanks.
    pub(crate) fn command(&self, line: &str) -> Command {
        let words: Vec<_> = self.launcher.iter().map(Path::new).chain([&*self.program]).collect();
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .args(line.split_whitespace())
            .current_dir(self.folder.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ended {
        Running::start(self.command(line)).end()
    }

    /// Runs the program with a text on its standard input.
    pub(crate) fn feed(&self, line: &str, input: &str) -> Ended {
        let mut command = self.command(line);
        command.stdin(Stdio::piped());
        let mut running = Running::start(command);
        let mut pipe = running.child.stdin.take().unwrap();
        match pipe.write_all(input.as_bytes()) {
            // The program may refuse its arguments before it reads anything.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written.unwrap(),
        }
        drop(pipe);
        running.end()
    }

    /// Runs a command that must succeed without output on standard error; returns its JSON.
    pub(crate) fn succeed(&self, line: &str) -> Value {
        let ended = self.run(&format!("{line} --json"));
        let Ended { status, stdout, stderr } = &ended;
        assert_eq!((*status, stderr.as_str()), (Some(0), ""), "`{line}`: {stdout}");
        ended.json(line)
    }

    /// Runs a command with `--json`. With `-o -` the answer is on standard error, and is taken for
    /// what the command says on standard output.
    pub(crate) fn run_json(&self, line: &str) -> Ended {
        let mut ended = self.run(&format!("{line} --json"));
        let words: Vec<&str> = line.split(' ').collect();
        if words.windows(2).any(|two| two == ["-o", "-"]) {
            std::mem::swap(&mut ended.stdout, &mut ended.stderr);
        }
        ended
    }

    /// Runs a command that must fail, with and without `--json`. It must end as expected, name
    /// these words, and change nothing in the room. Returns the error's JSON.
    pub(crate) fn check_failure(&self, line: &str, expected: &str, words: &[&str]) -> Value {
        let before = self.sight();
        let ended = self.run_json(line);
        assert_eq!(ended.stderr, "", "`{line}` says nothing beside its JSON");
        let error = ended.check_refusal(line, expected, words);

        let told = self.run(line);
        assert_eq!((told.status, told.stdout.as_str()), (ended.status, ""), "`{line}`");
        let code = format!("[{}]", error["code"].as_str().unwrap());
        assert!(told.stderr.starts_with("error: "), "`{line}`: {}", told.stderr);
        for word in words.iter().chain([&code.as_str()]) {
            assert!(told.stderr.contains(word), "`{line}`: no `{word}` in: {}", told.stderr);
        }
        assert_eq!(self.new_names(&before), [""; 0], "`{line}` leaves something behind");
        assert!(self.sight() == before, "`{line}` touches what was there");
        error
    }
}

impl Ended {
    /// The one JSON object on standard output.
    pub(crate) fn json(&self, line: &str) -> Value {
        let text = &self.stdout;
        let value: Value = serde_json::from_str(text)
            .unwrap_or_else(|error| panic!("`{line}`: {error} in `{text}`; {}", self.stderr));
        assert!(value.is_object() && text.lines().count() == 1, "`{line}` prints {text}");
        value
    }

    /// Checks an error in JSON, as status, code and step, and the words in its message; returns it.
    pub(crate) fn check_refusal(&self, line: &str, expected: &str, words: &[&str]) -> Value {
        let mut answer = self.json(line);
        assert_eq!(answer["state"], "failed", "`{line}`");
        let error = answer["error"].take();
        let text = |key: &str| error[key].as_str().unwrap().to_owned();
        let again = if error["retryable"].as_bool().unwrap() { ", retryable" } else { "" };
        let (code, step, message) = (text("code"), text("stage"), text("message"));
        let status = self.status.map_or("killed".to_owned(), |status| status.to_string());
        assert_eq!(format!("{status} {code} in {step}{again}"), expected, "`{line}`: {message}");
        for word in words {
            assert!(message.contains(word), "`{line}`: no `{word}` in: {message}");
        }
        error
    }
}

/// A running program with a time limit. The watchdog also kills it when the test fails first.
pub(crate) struct Running {
    pub(crate) child: Child,
    line: String,
    done: mpsc::Sender<()>,
    watchdog: thread::JoinHandle<bool>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let child = command.spawn().unwrap();
        let (done, watch) = mpsc::channel::<()>();
        let group = format!("-{}", child.id());
        let watchdog = thread::spawn(move || {
            let ended = watch.recv_timeout(PATIENCE);
            if ended.is_err() {
                kill("KILL", &group);
            }
            ended == Err(mpsc::RecvTimeoutError::Timeout)
        });
        Self { child, line: format!("{command:?}"), done, watchdog }
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(kill(name, &self.child.id().to_string()), "{} is gone", self.line);
    }

    /// Waits for the end of the program; the test fails if the watchdog had to kill it.
    pub(crate) fn end(self) -> Ended {
        let Self { child, line, done, watchdog } = self;
        let output = child.wait_with_output().unwrap();
        // The watchdog may have ended a moment before.
        let _ = done.send(());
        assert!(!watchdog.join().unwrap(), "{line} hangs");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stderr.contains("panicked"), "{line}: {stderr}");
        Ended { status: output.status.code(), stdout, stderr }
    }
}

/// Sends a signal to a process, or to a group when the number is negative.
fn kill(signal: &str, process: &str) -> bool {
    let script = r#"kill -s "$0" -- "$1""#;
    Command::new("sh").args(["-c", script, signal, process]).status().unwrap().success()
}
