//! The folder for outputs, and the running programs: both are removed when the command ends.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::Child,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use avocet::CancelToken;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tempfile::TempDir;

use super::error::{Error, Result};

/// How often the watching thread looks for a cancellation.
const LOOK: Duration = Duration::from_millis(10);

/// How often removing the folder is tried: a program that was just killed may still make files.
const TRIES: u32 = 20;

/// A temporary folder, and the process groups that write to it.
///
/// When the command is cancelled, a thread kills the groups and removes the folder at once. The
/// command itself ends soon after.
pub(super) struct Scratch {
    /// The watching thread, and its end signal. It is joined before `folder` is dropped, since both
    /// remove the folder.
    watch: Option<(Sender<()>, JoinHandle<()>)>,
    folder: TempDir,
    cancel: CancelToken,
    groups: Arc<Mutex<Groups>>,
}

#[derive(Default)]
struct Groups {
    alive: BTreeSet<i32>,
    is_over: bool,
}

/// A running process that leads a group; dropping this takes the group off the list.
pub(super) struct Adopted {
    group: i32,
    groups: Arc<Mutex<Groups>>,
}

impl Scratch {
    pub(super) fn new(cancel: &CancelToken) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("avocet-bench-").tempdir();
        let folder = folder.map_err(Error::file("make a folder in", std::env::temp_dir()))?;
        let groups = Arc::new(Mutex::new(Groups::default()));
        let (done, is_done) = channel();
        let (path, token, theirs) = (folder.path().to_owned(), cancel.clone(), Arc::clone(&groups));
        let watch = thread::Builder::new().spawn(move || {
            while is_done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if token.is_cancelled() {
                    lock(&theirs).end();
                    return remove(&path);
                }
            }
        });
        let watch = watch.map_err(Error::file("watch", folder.path()))?;
        let (watch, cancel) = (Some((done, watch)), cancel.clone());
        Ok(Self { watch, folder, cancel, groups })
    }

    /// The path of a file in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn cancel(&self) -> &CancelToken {
        &self.cancel
    }

    /// Fails once the command is cancelled.
    pub(super) fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Makes a cancellation kill the group that `child` leads, until the result is dropped.
    pub(super) fn adopt(&self, child: &Child) -> Adopted {
        let group = i32::try_from(child.id()).unwrap_or_default();
        let mut groups = lock(&self.groups);
        groups.alive.insert(group);
        if groups.is_over {
            groups.end();
        }
        Adopted { group, groups: Arc::clone(&self.groups) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some((done, watch)) = self.watch.take() {
            drop(done);
            // A thread that panicked has nothing to report.
            let _ = watch.join();
        }
    }
}

impl Drop for Adopted {
    fn drop(&mut self) {
        lock(&self.groups).alive.remove(&self.group);
    }
}

impl Groups {
    fn end(&mut self) {
        self.is_over = true;
        for group in self.alive.iter().filter(|group| **group > 0) {
            // The group may have ended already.
            let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
        }
    }
}

/// A panic while the lock was held leaves the data usable.
fn lock(groups: &Mutex<Groups>) -> MutexGuard<'_, Groups> {
    groups.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes a file or a folder, if it exists.
pub(super) fn clear(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn remove(folder: &Path) {
    for _ in 0..TRIES {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => thread::yield_now(),
            _ => return,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::{os::unix::process::CommandExt, process::Command};

    use super::*;

    #[test]
    fn a_cancelled_command_leaves_no_folder_and_no_program() {
        let cancel = CancelToken::new();
        let scratch = Scratch::new(&cancel).unwrap();
        let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let _adopted = scratch.adopt(&child);
        fs::create_dir(scratch.path("folder")).unwrap();
        assert!(scratch.check().is_ok());
        cancel.cancel();
        assert!(!child.wait().unwrap().success());
        let folder = scratch.folder.path().to_owned();
        drop(scratch);
        assert!(!folder.exists());
    }

    #[test]
    fn a_program_that_comes_late_is_ended_at_once() {
        let scratch = Scratch::new(&CancelToken::new()).unwrap();
        lock(&scratch.groups).end();
        let mut child = Command::new("sleep").arg("600").process_group(0).spawn().unwrap();
        let _adopted = scratch.adopt(&child);
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn what_is_not_there_is_cleared_already() {
        let scratch = Scratch::new(&CancelToken::new()).unwrap();
        assert!(clear(&scratch.path("nothing")).is_ok());
        fs::create_dir_all(scratch.path("a/b")).unwrap();
        assert!(clear(&scratch.path("a")).is_ok());
        assert!(!scratch.path("a").exists());
    }
}
