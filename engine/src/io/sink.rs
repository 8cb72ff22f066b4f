//! Outputs that appear whole or not at all: written beside their place, renamed when verified.

use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::fs::FallocateFlags;
use tempfile::{NamedTempFile, TempDir};

use super::{Bytes, Location, Remotes, Source, behind::Behind, remote::Upload};
use crate::{
    av::{ReadSeek, WriteSeek},
    error::{Error, Result},
    movie::{Piece, filling, moved},
    progress::CancelToken,
    run::guarded,
};

/// Bytes that are moved at a time; a cancelled run waits for one such piece.
const PIECE: u64 = 16 << 20;

/// What is read at a time of what is no file, in bytes.
const BUFFER: usize = 256 << 10;

/// What room is rounded up to, in bytes: so that it does not become the tail of a block.
const BLOCK: u64 = 4096;

/// The temporary files of all runs of an engine, for a program that must end at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unfinished(Arc<Mutex<BTreeSet<PathBuf>>>);

impl Unfinished {
    /// Makes a private folder, which goes when it is dropped.
    pub(crate) fn folder(&self, beside: &Path) -> io::Result<Folder> {
        let mut builder = tempfile::Builder::new();
        let folder = builder.prefix(".avocet-").suffix(".work").tempdir_in(beside)?;
        self.change(|paths| paths.insert(folder.path().to_owned()));
        Ok(Folder { folder, unfinished: self.clone() })
    }

    /// Remembers a temporary file.
    pub(crate) fn add(&self, path: &Path) {
        self.change(|paths| paths.insert(path.to_owned()));
    }

    /// Forgets a temporary file that is gone, or about to go.
    pub(crate) fn forget(&self, path: &Path) {
        self.change(|paths| paths.remove(path));
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<PathBuf>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Removes every temporary file that there is now.
    pub(crate) fn discard(&self) {
        self.change(|paths| {
            for path in std::mem::take(paths) {
                // The run that owns it may have been quicker.
                let _ = fs::remove_file(&path);
                let _ = fs::remove_dir_all(path);
            }
        });
    }
}

/// A private folder of a run.
#[derive(Debug)]
pub(crate) struct Folder {
    folder: TempDir,
    unfinished: Unfinished,
}

impl Folder {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.unfinished.forget(self.folder.path());
    }
}

/// An output on its way.
#[derive(Debug)]
pub(crate) struct Sink {
    spool: NamedTempFile,
    target: Location,
    replace: bool,
    unfinished: Unfinished,
    /// For a movie whose index is to stand before its media: the room that is kept for that, in
    /// bytes, behind which the movie is written.
    gap: Option<u64>,
}

impl Sink {
    /// Begins an output; what is at its name stays untouched.
    pub(crate) fn create(
        target: &Location,
        replace: bool,
        unfinished: &Unfinished,
    ) -> Result<Self> {
        let failed = |source| Error::Write { location: target.clone(), source };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".avocet-").suffix(".part");
        let spool = match target {
            Location::Given(_) | Location::Url(_) => builder.tempfile(),
            Location::Path(path) => {
                look_at_target(path, replace)?;
                let path = resolve(path);
                let folder = match path.parent() {
                    Some(folder) if folder != Path::new("") => folder,
                    _ => Path::new("."),
                };
                // The process' mask takes away from this what it takes from every new file.
                builder.permissions(Permissions::from_mode(0o666)).tempfile_in(folder)
            }
        }
        // The error of the temporary file names it, which is nobody's business.
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                failed(io::Error::new(io::ErrorKind::NotFound, "its folder does not exist"))
            }
            kind => failed(io::Error::from(kind)),
        })?;
        unfinished.add(spool.path());
        Ok(Self {
            spool,
            target: target.clone(),
            replace,
            unfinished: unfinished.clone(),
            gap: None,
        })
    }

    /// The temporary file.
    pub(crate) fn path(&self) -> &Path {
        self.spool.path()
    }

    /// Takes a file that somebody else wrote in the place of what was written here.
    pub(crate) fn adopt(mut self, made: &Path) -> Result<Self> {
        let incomplete = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::Incomplete { what: format!("{} was not written", self.target) }
            }
            _ => self.failed(error),
        };
        // A link or a pipe would lead elsewhere.
        let found = fs::symlink_metadata(made).map_err(incomplete)?;
        if !found.is_file() || found.nlink() > 1 {
            return Err(Error::Incomplete { what: format!("{} is no plain file", self.target) });
        }
        let usual = self.spool.as_file().metadata().map_err(|source| self.failed(source))?;
        fs::rename(made, self.spool.path()).map_err(incomplete)?;
        fs::set_permissions(self.spool.path(), usual.permissions())
            .map_err(|source| self.failed(source))?;
        let file = super::open_file(self.spool.path()).map_err(|source| self.failed(source))?;
        *self.spool.as_file_mut() = file;
        Ok(self)
    }

    /// Keeps so many bytes free for the index of a movie, which [`finish`](Self::finish) puts there.
    ///
    /// Too little room costs a copy by the kernel, too much some empty bytes.
    pub(crate) fn keep_room(&mut self, bytes: u64) {
        self.gap = Some(bytes.next_multiple_of(BLOCK));
    }

    /// Where it is written to, for those who outlive a loan of it.
    pub(crate) fn draft(&self) -> Draft {
        let (path, target) = (self.spool.path().to_owned(), self.target.clone());
        Draft { path, target, gap: self.gap.unwrap_or(0) }
    }

    /// Puts the index of a movie before its media, when all is written; `tick` is called now and
    /// then while that takes time, and may stop it.
    pub(crate) fn finish(
        mut self,
        cancel: &CancelToken,
        mut tick: impl FnMut() -> Result<()>,
    ) -> Result<Self> {
        let Some(gap) = self.gap.take() else { return Ok(self) };
        let failed = |source| self.failed(source);
        let mut file = self.reopen()?;
        let mut movie = Behind::new(&mut file, gap).map_err(failed)?;
        if let Some((head, length)) = filling(&mut movie, gap).map_err(failed)? {
            let written = file.rewind().and_then(|()| file.write_all(&head));
            written.and_then(|()| file.set_len(gap + length)).map_err(failed)?;
            return Ok(self);
        }
        let pieces = moved(&mut movie).map_err(failed)?.ok_or_else(|| {
            let what = format!("the index of {} can not be moved", self.target);
            Error::Incomplete { what }
        })?;
        let pieces = pieces.into_iter().map(|piece| match piece {
            Piece::Range(range) => Piece::Range(range.start + gap..range.end + gap),
            bytes @ Piece::Bytes(_) => bytes,
        });
        let source = Source::path(self.spool.path());
        let anew = Self::create(&self.target, self.replace, &self.unfinished)?;
        let mut copier = anew.copier(source, Some(pieces.collect()))?;
        // Both need the room of one only.
        copier.frees = Some(file);
        copier.run(cancel, |_| tick()).map_err(|error| match error {
            Error::Read { source, .. } => self.failed(source),
            other => other,
        })?;
        Ok(anew)
    }

    /// Writes all there is.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.reopen()?.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// What moves all bytes of a source here, or these pieces of it.
    pub(crate) fn copier(&self, source: Source, pieces: Option<Vec<Piece>>) -> Result<Copier> {
        let (target, to) = (self.target.clone(), self.reopen()?);
        Ok(Copier { source, pieces, target, to, frees: None })
    }

    /// A handle that reads what is written so far.
    pub(crate) fn reader(&self) -> io::Result<Box<dyn ReadSeek>> {
        super::open_file(self.spool.path()).map(|file| Box::new(file) as _)
    }

    fn reopen(&self) -> Result<fs::File> {
        self.spool.reopen().map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Write { location: self.target.clone(), source }
    }

    /// Puts all outputs in their places.
    ///
    /// Writers of the caller come first, since they may fail half-way, then what is sent elsewhere;
    /// a file that is placed and not replaced another is taken back when a later one fails.
    pub(crate) fn commit_all(
        sinks: &[Self],
        writers: &mut [Box<dyn Write + Send + '_>],
        remotes: &Remotes,
        cancel: &CancelToken,
    ) -> Result<()> {
        for sink in sinks {
            if let Location::Given(number) = sink.target {
                sink.fill(writers, number)?;
            }
        }
        let uploads = sinks.iter().filter_map(|sink| match &sink.target {
            Location::Url(url) => Some(Upload {
                file: sink.spool.path().to_owned(),
                url: url.clone(),
                replace: sink.replace,
            }),
            _ => None,
        });
        let uploads: Vec<_> = uploads.collect();
        if !uploads.is_empty() {
            let failed = |(url, source)| Error::Write { location: Location::Url(url), source };
            remotes.upload(uploads, cancel).map_err(failed)?;
        }
        let mut placed = Vec::new();
        for sink in sinks {
            let Location::Path(path) = sink.target.clone() else { continue };
            let existing = look_at_target(&path, sink.replace);
            let result = existing
                .and_then(|existing| sink.place(&path, existing.as_ref()).map(|()| existing));
            match result {
                Ok(None) => placed.push(path),
                Ok(Some(_)) => {}
                Err(error) => {
                    for path in placed {
                        // What can not be removed now could not be placed a moment ago.
                        let _ = fs::remove_file(path);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// How much is written, in bytes.
    pub(crate) fn size(&self) -> Result<u64> {
        let metadata = self.spool.as_file().metadata();
        metadata.map(|metadata| metadata.len()).map_err(|source| self.failed(source))
    }

    /// Copies the output into a writer of the caller, whose panic is an error.
    fn fill(&self, writers: &mut [Box<dyn Write + Send + '_>], number: usize) -> Result<()> {
        let writer = writers
            .get_mut(number)
            .ok_or_else(|| Error::BadPlan { what: format!("writer {number} was not given") })?;
        let mut reader = self.reopen()?;
        guarded("the caller's writer", || {
            io::copy(&mut reader, writer)
                .and_then(|_| writer.flush())
                .map_err(|source| self.failed(source))
        })
    }

    /// Renames the temporary file. A replaced file's permissions stay, and a link at the name keeps
    /// pointing where it does.
    fn place(&self, path: &Path, existing: Option<&Permissions>) -> Result<()> {
        let target = resolve(path);
        let failed = |source| self.failed(source);
        if let Some(permissions) = existing {
            fs::set_permissions(self.spool.path(), permissions.clone()).map_err(failed)?;
        }
        if self.replace {
            return fs::rename(self.spool.path(), target).map_err(failed);
        }
        // A hard link fails where a rename would replace: nobody can slip in between.
        match fs::hard_link(self.spool.path(), &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::OutputExists(path.to_owned()))
            }
            linked => linked.map_err(failed),
        }
    }
}

/// The temporary file of an output.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    target: Location,
    /// How many bytes are kept free before what is written.
    gap: u64,
}

impl Draft {
    /// A handle that writes.
    pub(crate) fn writer(&self) -> Result<Box<dyn WriteSeek>> {
        #[expect(clippy::disallowed_methods, reason = "this is the door that the rule points to")]
        let file = fs::OpenOptions::new().write(true).open(&self.path);
        let failed = |source| Error::Write { location: self.target.clone(), source };
        match self.gap {
            0 => file.map(|file| Box::new(file) as _),
            gap => file.and_then(|file| Behind::new(file, gap)).map(|file| Box::new(file) as _),
        }
        .map_err(failed)
    }
}

/// Moves bytes of a source into an output.
pub(crate) struct Copier {
    source: Source,
    /// What is written; all of the source without.
    pieces: Option<Vec<Piece>>,
    target: Location,
    to: fs::File,
    /// The source itself, where what was moved is of no use there any more.
    frees: Option<fs::File>,
}

impl Copier {
    /// Moves them a little at a time, so that the run may be cancelled, and tells of each.
    ///
    /// The kernel moves the bytes of a file, and shares them where the file system can.
    pub(crate) fn run(
        mut self,
        cancel: &CancelToken,
        mut copied: impl FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        let location = self.source.location();
        let unreadable = |source| Error::Read { location: location.clone(), source };
        let mut open = self.source.open_bytes(cancel).map_err(unreadable)?;
        let pieces = self.pieces.take().unwrap_or_else(|| vec![Piece::Range(0..u64::MAX)]);
        let mut buffer = match &open {
            Bytes::File(_) => Vec::new(),
            Bytes::Other(_) => vec![0; BUFFER],
        };
        for piece in pieces {
            let range = match piece {
                Piece::Bytes(bytes) => {
                    self.to.write_all(&bytes).map_err(|source| self.failed(source))?;
                    copied(bytes.len() as u64)?;
                    continue;
                }
                Piece::Range(range) => range,
            };
            let start = SeekFrom::Start(range.start);
            match &mut open {
                Bytes::File(file) => file.seek(start),
                Bytes::Other(reader) => reader.seek(start),
            }
            .map_err(unreadable)?;
            let mut left = range.end - range.start;
            while left > 0 {
                if cancel.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                let size = left.min(PIECE);
                let moved = match &mut open {
                    Bytes::File(file) => io::copy(&mut file.take(size), &mut self.to)
                        .map_err(|source| self.failed(source))?,
                    Bytes::Other(reader) => {
                        // Whose fault it is must be told.
                        let size = usize::try_from(size).unwrap_or(buffer.len()).min(buffer.len());
                        let read = reader.read(&mut buffer[..size]).map_err(unreadable)?;
                        self.to.write_all(&buffer[..read]).map_err(|source| self.failed(source))?;
                        read as u64
                    }
                };
                match moved {
                    0 if range.end == u64::MAX => return Ok(()),
                    0 => {
                        let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
                        return Err(unreadable(cut));
                    }
                    bytes => {
                        if let Some(source) = &self.frees {
                            let moved = range.end - left..range.end - left + bytes;
                            free(source, &moved);
                        }
                        copied(bytes)?;
                        left -= bytes;
                    }
                }
            }
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Write { location: self.target.clone(), source }
    }
}

/// Gives the room of a part of a file back, where the file system can.
fn free(file: &fs::File, range: &Range<u64>) {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    // Elsewhere there must be room for both.
    let _ = rustix::fs::fallocate(file, flags, range.start, range.end - range.start);
}

/// Where a name leads: a link is followed, also one that points to nothing yet.
fn resolve(path: &Path) -> PathBuf {
    if let Ok(whole) = fs::canonicalize(path) {
        return whole;
    }
    match (fs::read_link(path), path.parent()) {
        (Ok(target), Some(folder)) => folder.join(target),
        (Ok(target), None) => target,
        (Err(_), _) => path.to_owned(),
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // After a rename nothing is left at the temporary name; otherwise `spool` removes it.
        self.unfinished.forget(self.spool.path());
    }
}

/// What is at an output's name now: nothing, or a file with these permissions that may go.
fn look_at_target(path: &Path, replace: bool) -> Result<Option<Permissions>> {
    let refused = |what| Err(Error::OutputRefused { path: path.to_owned(), what });
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => {
            metadata.map_err(|source| Error::Write { location: Location::from(path), source })?
        }
    };
    match metadata.file_type() {
        kind if kind.is_dir() => refused("a folder"),
        kind if !kind.is_file() => refused("a special file"),
        _ if !replace => Err(Error::OutputExists(path.to_owned())),
        _ => Ok(Some(Permissions::from_mode(metadata.mode() & 0o777))),
    }
}

/// Whether two names mean one file, by device and inode.
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}
