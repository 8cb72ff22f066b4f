//! Files and folders of runs that are not finished, so that none is left behind.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use avocet_model::{
    error::{Error, Result},
    location::Location,
};
#[cfg(target_os = "linux")]
use tempfile::TempDir;

/// The temporary files and folders of all runs of an engine, so that a program that must end at
/// once can remove them.
///
/// A folder that is not empty is kept when it was made for outputs, and removed with all that is in
/// it when it is a private one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unfinished {
    paths: Arc<Mutex<Paths>>,
    /// Where temporary files go that stand beside no output; `None` for the system's folder.
    folder: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Paths {
    /// Temporary files and private folders.
    temporary: BTreeSet<PathBuf>,
    /// Folders that were made for outputs.
    folders: BTreeSet<PathBuf>,
}

impl Unfinished {
    /// One whose temporary files go into this folder, unless they stand beside an output.
    pub(crate) fn within(folder: Option<PathBuf>) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Where temporary files go that stand beside no output.
    pub(crate) fn temporary_folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(env::temp_dir)
    }

    /// Makes a private folder in `beside`, which is removed when it is dropped.
    #[cfg(target_os = "linux")]
    pub(crate) fn folder(&self, beside: &Path) -> io::Result<Folder> {
        let mut builder = tempfile::Builder::new();
        let folder = builder.prefix(".avocet-").suffix(".work").tempdir_in(beside)?;
        self.add(folder.path());
        Ok(Folder { folder, unfinished: self.clone() })
    }

    /// Remembers a temporary file.
    pub(crate) fn add(&self, path: &Path) {
        self.change(|paths| paths.temporary.insert(path.to_owned()));
    }

    /// Forgets a temporary file that is gone, or about to go.
    pub(crate) fn forget(&self, path: &Path) {
        self.change(|paths| paths.temporary.remove(path));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Paths) -> T) -> T {
        change(&mut self.paths.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the folder of an output if it is missing; its parent must exist. It is removed when
    /// the answer is dropped, unless outputs are in it.
    pub(crate) fn output_folder(&self, output: &Location) -> Result<Option<OutputFolder>> {
        let Location::Path(path) = output else { return Ok(None) };
        let Some(path) = path.parent().filter(|path| !path.as_os_str().is_empty()) else {
            return Ok(None);
        };
        // A confined worker may not even try to make one.
        if path.is_dir() {
            return Ok(None);
        }
        match fs::create_dir(path) {
            Ok(()) => {
                self.change(|paths| paths.folders.insert(path.to_owned()));
                Ok(Some(OutputFolder { path: path.to_owned(), unfinished: self.clone() }))
            }
            // An existing folder is used as it is. A missing parent is told by who opens the output.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                ) =>
            {
                Ok(None)
            }
            Err(source) => Err(Error::Write { location: Location::from(path), source }),
        }
    }

    /// Removes every temporary file that there is now, and every folder that was made for outputs
    /// and has none.
    pub(crate) fn discard(&self) {
        self.change(|paths| {
            let Paths { temporary, folders } = std::mem::take(paths);
            for path in temporary {
                // An error is ignored: the run that owns it may have removed it already.
                let _ = fs::remove_file(&path);
                let _ = fs::remove_dir_all(path);
            }
            for path in folders {
                // `remove_dir` fails for a folder that is not empty, which then stays.
                let _ = fs::remove_dir(path);
            }
        });
    }
}

/// A private folder of a run.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    unfinished: Unfinished,
}

#[cfg(target_os = "linux")]
impl Folder {
    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(target_os = "linux")]
impl Drop for Folder {
    fn drop(&mut self) {
        self.unfinished.forget(self.folder.path());
    }
}

/// A folder that was made for outputs.
#[derive(Debug)]
pub(crate) struct OutputFolder {
    path: PathBuf,
    unfinished: Unfinished,
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        self.unfinished.change(|paths| paths.folders.remove(&self.path));
        // `remove_dir` fails for a folder that is not empty, which then stays.
        let _ = fs::remove_dir(&self.path);
    }
}
