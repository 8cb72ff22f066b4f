//! Moves a finished file to its final name, and undoes that.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tempfile::TempPath;

use super::system;

/// The system calls that give a file its name; each takes the old path and then the new one. Tests
/// replace them by calls that answer like file systems which lack one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    /// Renames a file, and fails where the new name is taken.
    pub(super) rename_new: fn(&Path, &Path) -> io::Result<()>,
    /// Gives a file another name, and fails where that is taken.
    pub(super) link: fn(&Path, &Path) -> io::Result<()>,
    /// Renames a file, and replaces what has the new name.
    pub(super) rename: fn(&Path, &Path) -> io::Result<()>,
}

/// The real system calls.
pub(super) const SYSTEM: Calls = Calls {
    rename_new: system::rename_new,
    link: |from, to| fs::hard_link(from, to),
    rename: |from, to| fs::rename(from, to),
};

/// A file that was moved to its final name, and the file that it replaced.
#[derive(Debug)]
pub(super) struct Placed {
    path: PathBuf,
    /// The name at which the replaced file is kept, beside it; removed when this is dropped.
    former: Option<TempPath>,
    calls: Calls,
}

impl Calls {
    /// Moves a file to its final name. With `replace` a file that is there is kept aside; without
    /// it, such a file is the error `AlreadyExists`.
    pub(super) fn place(self, file: &Path, path: &Path, replace: bool) -> io::Result<Placed> {
        if !replace {
            return self.place_new(file, path);
        }
        match self.place_over(file, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.place_new(file, path),
            placed => placed,
        }
    }

    /// Moves a file to a name that is free.
    ///
    /// A rename without replacing, or a hard link, keeps a file that appears in the meantime. Where
    /// the file system has neither (FAT, some network and user space ones), an empty file reserves
    /// the name first; others may see it for a moment.
    fn place_new(self, file: &Path, path: &Path) -> io::Result<Placed> {
        match or_lacking((self.rename_new)(file, path))? {
            Some(()) => {}
            None => match or_lacking((self.link)(file, path))? {
                Some(()) => fs::remove_file(file)?,
                None => self.place_over_empty(file, path)?,
            },
        }
        Ok(Placed { path: path.to_owned(), former: None, calls: self })
    }

    fn place_over_empty(self, file: &Path, path: &Path) -> io::Result<()> {
        #[expect(clippy::disallowed_methods, reason = "an output's name is taken by io alone")]
        drop(fs::File::create_new(path)?);
        let renamed = (self.rename)(file, path);
        if renamed.is_err() {
            // The error of the rename is returned; one of removing the empty file adds nothing to
            // it.
            let _ = fs::remove_file(path);
        }
        renamed
    }

    /// Replaces the file at a name, and keeps the old one until the returned value is dropped.
    ///
    /// Where the file system has hard links, there is a file at the name at all times. Elsewhere
    /// the old one is moved away first.
    fn place_over(self, file: &Path, path: &Path) -> io::Result<Placed> {
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix(".avocet-").suffix(".old");
        let former = builder.make_in(folder_of(path), |aside| {
            // The system may forbid a link to the file of another user, and still allow to move it.
            (self.link)(path, aside).or_else(|_| (self.rename_new)(path, aside)).or_else(|error| {
                or_lacking::<()>(Err(error))?;
                (self.rename)(path, aside)
            })
        });
        let former = former?.into_temp_path();
        let placed = Placed { path: path.to_owned(), former: Some(former), calls: self };
        match (self.rename)(file, path) {
            Ok(()) => Ok(placed),
            Err(error) => {
                let left = placed.take_back();
                match left.first() {
                    Some(kept) => {
                        let what =
                            format!("{error}; the former file is kept at {}", kept.display());
                        Err(io::Error::new(error.kind(), what))
                    }
                    None => Err(error),
                }
            }
        }
    }
}

impl Placed {
    /// Undoes the move. Returns the paths that it could not restore: the new file that is still
    /// there, and the path at which the file that it replaced is kept.
    pub(super) fn take_back(self) -> Vec<PathBuf> {
        let Some(former) = self.former else {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => vec![self.path],
                _ => Vec::new(),
            };
        };
        match (self.calls.rename)(&former, &self.path) {
            Ok(()) => Vec::new(),
            // The kept file is the only copy of the old one, so it is not removed.
            Err(_) => {
                vec![former.keep().unwrap_or_else(|error| error.path.to_path_buf()), self.path]
            }
        }
    }
}

/// The folder of a path; `.` for a bare name.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Returns `None` for the error of a call that the file system or the kernel lacks.
fn or_lacking<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Err(error) if system::is_lacking(&error) => Ok(None),
        answer => answer.map(Some),
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at files from outside"
)]
mod tests {
    use super::*;

    /// Fails as a file system does that lacks a call, or whose disk fails.
    fn refuse<const CODE: i32>(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(CODE))
    }

    /// A folder with a finished file, `new`, and the file that has its final name, `out`, if there
    /// is one.
    fn folder(former: Option<&str>) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (file, path) = (folder.path().join("new"), folder.path().join("out"));
        fs::write(&file, "new").unwrap();
        if let Some(former) = former {
            fs::write(&path, former).unwrap();
        }
        (folder, file, path)
    }

    /// The names in a folder, each with what is in it.
    fn seen(folder: &Path) -> Vec<(String, String)> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut seen: Vec<_> = names
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read_to_string(path).unwrap())
            })
            .collect();
        seen.sort();
        seen
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    /// Sets of calls as real systems have them: all calls, no rename without replacing, and no hard
    /// links either.
    fn file_systems() -> Vec<Calls> {
        let lacking = [
            refuse::<{ libc::EINVAL }> as fn(&Path, &Path) -> io::Result<()>,
            refuse::<{ libc::ENOSYS }>,
            refuse::<{ libc::EPERM }>,
            refuse::<{ libc::EOPNOTSUPP }>,
        ];
        let mut all = vec![SYSTEM];
        for rename_new in lacking {
            all.push(Calls { rename_new, ..SYSTEM });
            all.push(Calls { link: rename_new, ..SYSTEM });
            all.extend(lacking.map(|link| Calls { rename_new, link, ..SYSTEM }));
        }
        all
    }

    #[test]
    fn no_clobber_places_files_on_file_systems_without_links() {
        for calls in file_systems() {
            let (folder, file, path) = folder(None);
            calls.place(&file, &path, false).unwrap();
            assert_eq!(seen(folder.path()), pairs(&[("out", "new")]), "{calls:?}");
        }
    }

    #[test]
    fn no_clobber_replaces_nothing_on_any_file_system() {
        for calls in file_systems() {
            let (folder, file, path) = folder(Some("old"));
            let error = calls.place(&file, &path, false).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{calls:?}");
            let both = pairs(&[("new", "new"), ("out", "old")]);
            assert_eq!(seen(folder.path()), both, "{calls:?}");
        }
    }

    #[test]
    fn a_failing_disk_is_not_taken_for_a_missing_call() {
        let calls = Calls { rename_new: refuse::<{ libc::EIO }>, ..SYSTEM };
        let (folder, file, path) = folder(None);
        let error = calls.place(&file, &path, false).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert_eq!(seen(folder.path()), pairs(&[("new", "new")]));
        // No empty file stays where the last step fails.
        let lacking = refuse::<{ libc::EPERM }>;
        let calls = Calls { rename_new: lacking, link: lacking, rename: refuse::<{ libc::EIO }> };
        assert_eq!(calls.place(&file, &path, false).unwrap_err().raw_os_error(), Some(libc::EIO));
        assert_eq!(seen(folder.path()), pairs(&[("new", "new")]));
    }

    #[test]
    fn what_was_placed_is_taken_back_and_what_was_replaced_put_back() {
        for calls in file_systems() {
            for former in [None, Some("old")] {
                let (folder, file, path) = folder(former);
                let placed = calls.place(&file, &path, true).unwrap();
                assert_eq!(fs::read_to_string(&path).unwrap(), "new");
                assert_eq!(placed.take_back(), Vec::<PathBuf>::new());
                let before: Vec<_> = former.map(|text| ("out", text)).into_iter().collect();
                assert_eq!(seen(folder.path()), pairs(&before), "{calls:?}");
            }
            let (folder, file, path) = folder(Some("old"));
            drop(calls.place(&file, &path, true).unwrap());
            assert_eq!(seen(folder.path()), pairs(&[("out", "new")]), "{calls:?}");
        }
    }

    #[test]
    fn a_file_that_can_not_be_replaced_or_put_back_is_not_lost() {
        let broken = Calls { rename: refuse::<{ libc::EIO }>, ..SYSTEM };
        for calls in [broken, Calls { link: refuse::<{ libc::EPERM }>, ..broken }] {
            let (folder, file, path) = folder(Some("old"));
            let error = calls.place(&file, &path, true).unwrap_err().to_string();
            let kept: Vec<_> =
                seen(folder.path()).into_iter().filter(|(_, text)| text == "old").collect();
            assert!(!kept.is_empty(), "{error}");
            // The error names the kept file, unless it still has its old name.
            let is_told = kept.iter().any(|(name, _)| name == "out" || error.contains(name));
            assert!(is_told, "{error}: {kept:?}");
        }
    }
}
