//! Media of this machine: files below folders that the operator named, as in `root:films/a.mkv`.
//!
//! A path can not lead out of its folder: the kernel resolves it so (`openat2` with
//! `RESOLVE_BENEATH`, Linux 5.6).

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// The folders of an operator, by their names.
pub(crate) type Roots = BTreeMap<String, PathBuf>;

/// What begins the places that this is about.
const SCHEME: &str = "root:";

/// A file below a named folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rooted {
    /// The name of the folder.
    root: String,
    /// The path from there.
    path: PathBuf,
}

impl Rooted {
    /// Reads a place, as in `root:films/2024/a.mkv`; `None` when it is not written so, or its path
    /// has other parts than names.
    pub(crate) fn read(text: &str) -> Option<Self> {
        // Workers are told of places as URLs.
        let rest = text.strip_prefix(SCHEME)?;
        let (root, path) = rest.trim_start_matches('/').split_once('/')?;
        let is_name =
            |part: &str| Path::new(part).components().eq([Component::Normal(part.as_ref())]);
        let is_path = !path.contains('\0') && path.split('/').all(is_name);
        (is_name(root) && is_path).then(|| Self { root: root.to_owned(), path: path.into() })
    }

    /// The place as a URL, which is how workers are told of it.
    pub(crate) fn url(&self) -> String {
        format!("{SCHEME}//{}/{}", self.root, self.path.display())
    }

    /// Whether its folder is one of these.
    pub(crate) fn is_in(&self, roots: &Roots) -> bool {
        roots.contains_key(&self.root)
    }

    fn folder<'a>(&self, roots: &'a Roots) -> io::Result<&'a Path> {
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "no folder has that name");
        roots.get(&self.root).map(PathBuf::as_path).ok_or_else(unknown)
    }

    /// Opens the file for reading.
    pub(crate) fn open(&self, roots: &Roots) -> io::Result<File> {
        let folder = beneath::folder(self.folder(roots)?)?;
        let file = beneath::file(&folder, &self.path)?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }

    /// Puts a copy of a file beside the place, named `part`, which gets its own name later. Folders
    /// that are missing are made. `goes_on` is asked between two pieces.
    pub(crate) fn copy(
        &self,
        folders: &mut Folders<'_>,
        from: &mut File,
        part: String,
        goes_on: impl Fn() -> bool,
    ) -> io::Result<Copied> {
        let folder = folders.of(self)?;
        let name = self.path.file_name().unwrap_or_default().to_owned();
        // Such a name would be refused only when other outputs have theirs already.
        if beneath::is_folder(&folder, &name) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // One that a killed service has left.
        beneath::remove(&folder, &part);
        let copied = Copied { folder, part, name };
        beneath::copy(&copied.folder, &copied.part, from, goes_on)?;
        Ok(copied)
    }
}

/// The folders that copies go to, each opened once.
#[derive(Debug)]
pub(crate) struct Folders<'a> {
    roots: &'a Roots,
    /// By the name of the root, and the path from there.
    open: BTreeMap<(String, PathBuf), Arc<OwnedFd>>,
}

impl<'a> Folders<'a> {
    pub(crate) fn new(roots: &'a Roots) -> Self {
        Self { roots, open: BTreeMap::new() }
    }

    /// The folder of a file; those that are missing are made.
    fn of(&mut self, file: &Rooted) -> io::Result<Arc<OwnedFd>> {
        let path = file.path.parent().unwrap_or(Path::new(""));
        let key = (file.root.clone(), path.to_owned());
        if let Some(folder) = self.open.get(&key) {
            return Ok(Arc::clone(folder));
        }
        let mut folder = beneath::folder(file.folder(self.roots)?)?;
        for part in path.components() {
            folder = beneath::enter(&folder, part.as_os_str())?;
        }
        let folder = Arc::new(folder);
        self.open.insert(key, Arc::clone(&folder));
        Ok(folder)
    }
}

/// A whole copy of a file that does not have its name yet. It is removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Copied {
    folder: Arc<OwnedFd>,
    part: String,
    name: OsString,
}

impl Copied {
    /// Gives the copy its name, in place of what has that name.
    pub(crate) fn appear(self) -> io::Result<()> {
        beneath::rename(&self.folder, &self.part, &self.name)
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        beneath::remove(&self.folder, &self.part);
    }
}

#[cfg(target_os = "linux")]
mod beneath {
    use std::{
        ffi::OsStr,
        io::{Read, Write},
    };

    use rustix::fs::{
        AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, fsync, mkdirat, openat, openat2,
        renameat, statat, unlinkat,
    };

    use super::{File, OwnedFd, Path, io};

    /// How many bytes are copied between two looks at whether to go on.
    const PIECE: u64 = 16 << 20;

    fn open(folder: &OwnedFd, path: impl rustix::path::Arg, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(folder, path, flags, Mode::empty(), within)?)
    }

    pub(super) fn folder(path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        Ok(openat(CWD, path, flags, Mode::empty())?)
    }

    pub(super) fn file(folder: &OwnedFd, path: &Path) -> io::Result<File> {
        // A pipe without a writer would block.
        Ok(open(folder, path, OFlags::RDONLY | OFlags::NONBLOCK)?.into())
    }

    /// A folder in a folder, which is made if it is missing.
    pub(super) fn enter(folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
        match mkdirat(folder, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        open(folder, name, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    pub(super) fn is_folder(folder: &OwnedFd, name: &OsStr) -> bool {
        statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_dir())
    }

    pub(super) fn remove(folder: &OwnedFd, name: &str) {
        // An error is ignored: there may be none.
        let _ = unlinkat(folder, name, AtFlags::empty());
    }

    pub(super) fn rename(folder: &OwnedFd, from: &str, to: &OsStr) -> io::Result<()> {
        renameat(folder, from, folder, to)?;
        Ok(fsync(folder)?)
    }

    pub(super) fn copy(
        folder: &OwnedFd,
        name: &str,
        from: &mut File,
        goes_on: impl Fn() -> bool,
    ) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = openat(folder, name, flags, Mode::from_raw_mode(0o644))?;
        let mut made = File::from(made);
        while io::copy(&mut Read::by_ref(from).take(PIECE), &mut made)? > 0 {
            if !goes_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        made.flush()?;
        made.sync_all()
    }
}

#[cfg(not(target_os = "linux"))]
mod beneath {
    use std::ffi::OsStr;

    use super::{File, OwnedFd, Path, io};

    pub(super) fn folder(_: &Path) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn file(_: &OwnedFd, _: &Path) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn enter(_: &OwnedFd, _: &OsStr) -> io::Result<OwnedFd> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn is_folder(_: &OwnedFd, _: &OsStr) -> bool {
        false
    }

    pub(super) fn remove(_: &OwnedFd, _: &str) {}

    pub(super) fn rename(_: &OwnedFd, _: &str, _: &OsStr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn copy(_: &OwnedFd, _: &str, _: &mut File, _: impl Fn() -> bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test looks at files")]
mod tests {
    use std::{fs, io::Read, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_place_is_a_name_and_a_path_of_names() {
        let read = |text: &str| Rooted::read(text).map(|rooted| rooted.url());
        assert_eq!(read("root:films/a b.mkv").unwrap(), "root://films/a b.mkv");
        assert_eq!(read("root://films/x/a.mkv").unwrap(), "root://films/x/a.mkv");
        for wrong in [
            "films/a.mkv",
            "root:films",
            "root:films/",
            "root:/a.mkv",
            "root:../a.mkv",
            "root:films/../a.mkv",
            "root:films/./a.mkv",
            "root:films//a.mkv",
            "root:films/a\0",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_path_does_not_lead_out_of_its_folder() {
        let place = tempfile::tempdir().unwrap();
        let (root, outside) = (place.path().join("root"), place.path().join("outside"));
        fs::create_dir_all(root.join("below")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "secret").unwrap();
        fs::write(root.join("below/a"), "mine").unwrap();
        symlink(&outside, root.join("out")).unwrap();
        symlink("../outside/secret", root.join("secret")).unwrap();
        symlink("below/a", root.join("alias")).unwrap();
        let roots = Roots::from([("films".to_owned(), root.clone())]);
        let read = |path: &str| -> io::Result<String> {
            let mut text = String::new();
            let rooted = Rooted::read(&format!("root:films/{path}")).unwrap();
            rooted.open(&roots)?.read_to_string(&mut text)?;
            Ok(text)
        };
        assert_eq!(read("below/a").unwrap(), "mine");
        assert_eq!(read("alias").unwrap(), "mine");
        for path in ["out/secret", "secret", "below", "none"] {
            assert!(read(path).is_err(), "{path}");
        }
        assert!(Rooted::read("root:others/a").unwrap().open(&roots).is_err());

        let put = |path: &str, goes_on: bool| {
            let rooted = Rooted::read(&format!("root:films/{path}")).unwrap();
            let mut from = File::open(root.join("below/a")).unwrap();
            let folders = &mut Folders::new(&roots);
            rooted.copy(folders, &mut from, ".part".to_owned(), || goes_on)?.appear()
        };
        put("new/deep/b", true).unwrap();
        assert_eq!(read("new/deep/b").unwrap(), "mine");
        assert!(put("out/b", true).is_err() && put("below", true).is_err());
        assert!(put("c", false).is_err());
        let rooted = Rooted::read("root:films/d").unwrap();
        let mut from = File::open(root.join("below/a")).unwrap();
        let folders = &mut Folders::new(&roots);
        drop(rooted.copy(folders, &mut from, ".part".to_owned(), || true).unwrap());
        // A link is replaced, and not followed.
        put("secret", true).unwrap();
        assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        let names = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.into_iter().any(|name| [".part", "c", "d"].iter().any(|it| name == *it)));
    }
}
