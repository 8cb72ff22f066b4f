//! A folder of outputs that is not there yet: made for the command, and gone again when it fails.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use avocet::engine::{Error, Location};

/// The folder that the command made, until its outputs are in it; shared with whoever ends the
/// program at a signal.
#[derive(Clone, Debug, Default)]
pub(super) struct MadeFolder(Arc<Mutex<Option<PathBuf>>>);

impl MadeFolder {
    /// Makes the folder at a path, where there is nothing yet; its parent must be there.
    pub(super) fn make(&self, location: &Location) -> Result<(), Error> {
        let Location::Path(path) = location else { return Ok(()) };
        match fs::create_dir(path) {
            Ok(()) => {
                self.change(|made| *made = Some(path.clone()));
                Ok(())
            }
            // The run writes into what is there, and tells of a parent that is missing.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                ) =>
            {
                Ok(())
            }
            Err(source) => Err(Error::Write { location: location.clone(), source }),
        }
    }

    /// Leaves the folder where it is: its outputs are in place.
    pub(super) fn keep(&self) {
        self.change(|made| *made = None);
    }

    /// Removes the folder, unless somebody else has put something into it.
    pub(super) fn remove(&self) {
        if let Some(path) = self.change(Option::take) {
            // `remove_dir` fails for a folder that is not empty.
            let _ = fs::remove_dir(path);
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Option<PathBuf>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
