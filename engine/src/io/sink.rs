//! Outputs that appear whole or not at all: written beside their place, renamed when verified.

use std::{
    fs::{self, Metadata, Permissions},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use avocet_model::{
    error::{Error, Result},
    format::{
        codec_delay,
        movie::{Piece, filling, moved},
        seek::{ReadSeek, WriteSeek},
    },
    location::Location,
    panics::guarded,
    progress::{CancelToken, Fetched},
};

use super::{
    Bytes, Remotes, Source,
    offset::OffsetFile,
    place::{Calls, Placed, SYSTEM, folder_of},
    remote::{Sent, Upload},
    system,
    unfinished::Unfinished,
};

#[cfg(target_os = "linux")]
use rustix::fs::FallocateFlags;
use tempfile::NamedTempFile;

/// Bytes that are moved at a time; a cancelled run waits for one such piece.
const PIECE: u64 = 16 << 20;

/// Size of the buffer for reading sources that are not files, in bytes.
const BUFFER: usize = 256 << 10;

/// The room for an index is rounded up to this many bytes, so that the media begins at a block.
const BLOCK: u64 = 4096;

/// An output that is written to a temporary file, and not yet at its final name.
#[derive(Debug)]
pub(crate) struct Sink {
    spool: NamedTempFile,
    target: Location,
    /// Final path of a local file, with links followed; `None` for outputs that are no local file.
    path: Option<PathBuf>,
    replace: bool,
    unfinished: Unfinished,
    calls: Calls,
    /// For a movie whose index goes before its media: the number of bytes that are kept free for
    /// the index, and behind which the movie is written.
    gap: Option<u64>,
    /// Boxes that are added to the user data of such a movie.
    user_data: Vec<u8>,
}

impl Sink {
    /// Begins an output; a file that has its name stays untouched.
    pub(crate) fn create(
        target: &Location,
        replace: bool,
        unfinished: &Unfinished,
    ) -> Result<Self> {
        let path = match target {
            Location::Caller(_) | Location::Url(_) => None,
            Location::Path(path) => {
                let failed = |source| Error::Write { location: target.clone(), source };
                look_at_target(path, fs::metadata(path), replace)?;
                Some(resolve(path).map_err(failed)?)
            }
        };
        Self::begin(target, path, replace, unfinished)
    }

    fn begin(
        target: &Location,
        path: Option<PathBuf>,
        replace: bool,
        unfinished: &Unfinished,
    ) -> Result<Self> {
        let failed = |source| Error::Write { location: target.clone(), source };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".avocet-").suffix(".part");
        let spool = match &path {
            None => builder.tempfile_in(unfinished.temporary_folder()),
            Some(path) => system::as_usual(&mut builder).tempfile_in(folder_of(path)),
        }
        // Only the kind is kept: the error itself names the temporary file, unknown to callers.
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                let what = match &path {
                    None => {
                        let folder = unfinished.temporary_folder();
                        format!(
                            "the folder for temporary files, {}, does not exist",
                            folder.display()
                        )
                    }
                    Some(path) => {
                        let leads = leads_to(target, path).unwrap_or_default();
                        format!("its folder does not exist{leads}")
                    }
                };
                failed(io::Error::new(io::ErrorKind::NotFound, what))
            }
            kind => failed(io::Error::from(kind)),
        })?;
        unfinished.add(spool.path());
        Ok(Self {
            spool,
            target: target.clone(),
            path,
            replace,
            unfinished: unfinished.clone(),
            calls: SYSTEM,
            gap: None,
            user_data: Vec::new(),
        })
    }

    /// The temporary file.
    #[cfg(target_os = "linux")]
    pub(crate) fn path(&self) -> &Path {
        self.spool.path()
    }

    /// Takes over a file that another process wrote, in the place of the temporary file.
    #[cfg(target_os = "linux")]
    pub(crate) fn adopt(mut self, made: &Path, cancel: &CancelToken) -> Result<Self> {
        let incomplete = |what| Err(Error::Incomplete { what: format!("{} {what}", self.target) });
        // The file is checked and read by this handle, whatever has its name later.
        let file = match super::open_at_once(made, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return incomplete("was not written");
            }
            // A symbolic link or a pipe could lead elsewhere.
            Err(error) if is_no_file(&error) => return incomplete("is not a regular file"),
            Err(error) => return Err(self.failed(error)),
        };
        let failed = |source| self.failed(source);
        if std::os::linux::fs::MetadataExt::st_nlink(&file.metadata().map_err(failed)?) > 1 {
            return incomplete("has more than one hard link");
        }
        match (self.calls.rename)(made, self.spool.path()) {
            Ok(()) => {
                let usual = self.spool.as_file().metadata().map_err(failed)?;
                file.set_permissions(usual.permissions()).map_err(failed)?;
                *self.spool.as_file_mut() = file;
            }
            // It was made beside another output, on another file system.
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                let mut to = self.reopen()?;
                while io::copy(&mut (&file).take(PIECE), &mut to).map_err(failed)? > 0 {
                    if cancel.is_cancelled() {
                        return Err(Error::Cancelled);
                    }
                }
                fs::remove_file(made).map_err(failed)?;
            }
            Err(error) => return Err(self.failed(error)),
        }
        Ok(self)
    }

    /// Keeps at least `bytes` bytes free for the index of a movie, which [`finish`](Self::finish)
    /// puts there with the boxes `user_data` in it.
    ///
    /// Too little room, or far too much, costs a copy by the kernel; otherwise what is left stays
    /// empty.
    pub(crate) fn keep_room(&mut self, bytes: u64, user_data: Vec<u8>) {
        self.gap = Some(bytes.next_multiple_of(BLOCK));
        self.user_data = user_data;
    }

    /// The temporary file as a value of its own, which can be written to without borrowing the
    /// sink.
    pub(crate) fn draft(&self) -> Draft {
        let (path, target) = (self.spool.path().to_owned(), self.target.clone());
        Draft { path, target, gap: self.gap.unwrap_or(0) }
    }

    /// Puts the index of a movie before its media, once all is written. `tick` is called for each
    /// piece that is copied meanwhile, and its error stops the copy.
    pub(crate) fn finish(
        mut self,
        cancel: &CancelToken,
        mut tick: impl FnMut() -> Result<()>,
    ) -> Result<Self> {
        let Some(gap) = self.gap.take() else { return Ok(self) };
        let failed = |source| self.failed(source);
        let mut file = self.reopen()?;
        let mut movie = OffsetFile::new(&mut file, gap).map_err(failed)?;
        if let Some((head, length)) = filling(&mut movie, gap, &self.user_data).map_err(failed)? {
            let written = file.rewind().and_then(|()| file.write_all(&head));
            written.and_then(|()| file.set_len(gap + length)).map_err(failed)?;
            return Ok(self);
        }
        let pieces = moved(&mut movie, &self.user_data).map_err(failed)?.ok_or_else(|| {
            let what = format!("the `moov` of {} can not be moved before `mdat`", self.target);
            Error::Incomplete { what }
        })?;
        let pieces = pieces.into_iter().map(|piece| match piece {
            Piece::Range(range) => Piece::Range(range.start + gap..range.end + gap),
            bytes @ Piece::Bytes(_) => bytes,
        });
        let source = Source::path(self.spool.path());
        let path = self.path.clone();
        let anew = Self::begin(&self.target, path, self.replace, &self.unfinished)?;
        let mut copier = anew.copier(source, Some(pieces.collect()))?;
        // What is copied is freed in the old file, so both need the space of one only.
        copier.frees = Some(file);
        copier.run(cancel, |_| tick()).map_err(|error| match error {
            Error::Read { source, .. } => self.failed(source),
            other => other,
        })?;
        Ok(anew)
    }

    /// States in a complete Matroska file how much of the start of each track decoders leave out.
    pub(crate) fn state_delays(&self, delays: &[Option<Duration>]) -> Result<()> {
        codec_delay::state(&mut self.reopen()?, delays).map_err(|source| self.failed(source))
    }

    /// Writes the whole output.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<()> {
        self.reopen()?.write_all(bytes).map_err(|source| self.failed(source))
    }

    /// What copies all bytes of a source here, or these pieces.
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

    /// Puts all outputs in their places, or none.
    ///
    /// The caller's writers are filled first, which can not be undone. Then uploads are sent, and
    /// files are renamed, while those that they replace are kept beside them. At last objects
    /// appear. What can not be undone after a failure is told ([`Error::Unrestored`]).
    pub(crate) fn commit_all(
        sinks: &[Self],
        writers: &mut [Box<dyn Write + Send + '_>],
        remotes: &Remotes,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Fetched),
    ) -> Result<()> {
        for sink in sinks {
            if let Location::Caller(number) = sink.target {
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
        let failed = |(url, source)| Error::Write { location: Location::Url(url), source };
        let mut sent = None;
        if !uploads.is_empty() {
            sent = Some(remotes.send(uploads, cancel, observe).map_err(failed)?);
        }
        let mut placed = Vec::new();
        let files = sinks.iter().try_for_each(|sink| {
            placed.extend(sink.place(sinks.len() == 1)?);
            Ok(())
        });
        let (cause, left) = match (files, sent) {
            (Ok(()), None) => return Ok(()),
            (Ok(()), Some(sent)) => match sent.complete(cancel) {
                Ok(()) => return Ok(()),
                Err((cause, left)) => (failed(cause), left),
            },
            (Err(cause), sent) => (cause, sent.map(Sent::take_back).unwrap_or_default()),
        };
        let mut left: Vec<_> = left.into_iter().map(Location::Url).collect();
        left.extend(placed.into_iter().rev().flat_map(Placed::take_back).map(Location::Path));
        Err(Error::with_leftovers(cause, left))
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

    /// Renames the temporary file, if the output is a local file. The permissions of a replaced
    /// file stay, and so do symbolic links at the name. `None` where nothing was renamed, or where
    /// a single output may replace what is there, and needs no way back.
    fn place(&self, is_alone: bool) -> Result<Option<Placed>> {
        let (Some(path), Location::Path(name)) = (&self.path, &self.target) else {
            return Ok(None);
        };
        // Links were followed when the output began, so none is followed now.
        let existing = look_at_target(name, fs::symlink_metadata(path), self.replace)?;
        let failed = |source| self.failed(source);
        if let Some(permissions) = existing {
            fs::set_permissions(self.spool.path(), permissions).map_err(failed)?;
        }
        if is_alone && self.replace {
            return (self.calls.rename)(self.spool.path(), path).map(|()| None).map_err(failed);
        }
        self.calls.place(self.spool.path(), path, self.replace).map(Some).map_err(|error| {
            match error.kind() {
                io::ErrorKind::AlreadyExists => Error::OutputExists(name.clone()),
                _ => self.failed(error),
            }
        })
    }
}

/// The temporary file of an output.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    path: PathBuf,
    target: Location,
    /// Number of bytes that are kept free before what is written.
    gap: u64,
}

impl Draft {
    /// A handle that writes.
    pub(crate) fn writer(&self) -> Result<Box<dyn WriteSeek>> {
        #[expect(clippy::disallowed_methods, reason = "this is the module that the rule points to")]
        let file = fs::OpenOptions::new().write(true).open(&self.path);
        let failed = |source| Error::Write { location: self.target.clone(), source };
        match self.gap {
            0 => file.map(|file| Box::new(file) as _),
            gap => file.and_then(|file| OffsetFile::new(file, gap)).map(|file| Box::new(file) as _),
        }
        .map_err(failed)
    }
}

/// Copies bytes of a source into an output.
pub(crate) struct Copier {
    source: Source,
    /// What is written; `None` means all of the source.
    pieces: Option<Vec<Piece>>,
    target: Location,
    to: fs::File,
    /// The source file, where the parts of it that were copied are to be freed.
    frees: Option<fs::File>,
}

impl Copier {
    /// Copies piece by piece, so that the run may be cancelled, and calls `copied` with the number
    /// of bytes of each piece.
    ///
    /// The kernel copies the bytes of a file, and shares them where the file system can.
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
                        // Read and write are apart, so that an error tells which of them failed.
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

/// Frees the disk space of a part of a file, where the file system can. Elsewhere there must be
/// space for both files.
fn free(file: &fs::File, range: &Range<u64>) {
    #[cfg(target_os = "linux")]
    {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(file, flags, range.start, range.end - range.start);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, range);
}

/// The path that a name leads to: links are followed, also one that points to nothing yet, so that
/// its target is created.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    // As many as the kernel follows.
    const MAX_LINKS: usize = 40;
    if let Ok(whole) = fs::canonicalize(path) {
        return Ok(whole);
    }
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = folder_of(&path).join(target);
    }
    Err(system::too_many_links())
}

/// Where an output's name leads, in words; `None` when it is not a link.
fn leads_to(target: &Location, path: &Path) -> Option<String> {
    let is_link = !matches!(target, Location::Path(name) if name == path);
    is_link.then(|| format!(": it is a link to {}", path.display()))
}

/// Whether an error of opening says that the path is no regular file.
#[cfg(target_os = "linux")]
fn is_no_file(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory)
        || error.raw_os_error() == system::too_many_links().raw_os_error()
}

impl Drop for Sink {
    fn drop(&mut self) {
        // After a rename nothing is left at the temporary name; otherwise `spool` removes it.
        self.unfinished.forget(self.spool.path());
    }
}

/// Checks what has an output's name now: `None` for nothing, or the permissions of a file that may
/// be replaced.
fn look_at_target(
    path: &Path,
    found: io::Result<Metadata>,
    replace: bool,
) -> Result<Option<Permissions>> {
    let refused = |what| Err(Error::OutputRefused { path: path.to_owned(), what });
    let metadata = match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(|source| Error::Write { location: Location::from(path), source })?,
    };
    match metadata.file_type() {
        kind if kind.is_dir() => refused("a folder"),
        kind if !kind.is_file() => refused("a special file"),
        _ if !replace => Err(Error::OutputExists(path.to_owned())),
        _ => Ok(Some(system::permissions(&metadata))),
    }
}

/// Whether two names mean one file.
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    match (system::file_id(a), system::file_id(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at files from outside"
)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn sink(folder: &Path, replace: bool) -> Sink {
        let target = Location::from(folder.join("out"));
        Sink::create(&target, replace, &Unfinished::default()).unwrap()
    }

    fn commit(sink: Sink) -> Result<()> {
        Sink::commit_all(&[sink], &mut [], &Remotes::default(), &CancelToken::new(), &mut |_| ())
    }

    #[test]
    fn what_was_made_on_another_file_system_is_copied() {
        let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let made = work.path().join("made");
        fs::write(&made, "made").unwrap();
        let mut sink = sink(folder.path(), false);
        sink.calls.rename = |_, _| Err(io::ErrorKind::CrossesDevices.into());
        commit(sink.adopt(&made, &CancelToken::new()).unwrap()).unwrap();
        assert_eq!(fs::read(folder.path().join("out")).unwrap(), b"made");
        assert!(!made.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_but_a_plain_file_is_taken_over() {
        let (folder, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = |name: &str| work.path().join(name);
        fs::write(place("secret"), "secret").unwrap();
        fs::hard_link(place("secret"), place("hard")).unwrap();
        symlink("secret", place("link")).unwrap();
        mknodat(CWD, place("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::create_dir(place("folder")).unwrap();
        for name in ["hard", "link", "pipe", "folder", "missing"] {
            let adopted = sink(folder.path(), false).adopt(&place(name), &CancelToken::new());
            let error = adopted.unwrap_err().to_string();
            let words = match name {
                "missing" => "was not written",
                "hard" => "has more than one hard link",
                _ => "is not a regular file",
            };
            assert!(error.contains(words), "{name}: {error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_clobber_works_where_links_are_forbidden() {
        let folder = tempfile::tempdir().unwrap();
        let sinks = [(); 2].map(|()| {
            let mut sink = sink(folder.path(), false);
            sink.calls.rename_new = |_, _| Err(io::Error::from_raw_os_error(libc::EINVAL));
            sink.calls.link = |_, _| Err(io::Error::from_raw_os_error(libc::EPERM));
            sink
        });
        let [first, second] = sinks;
        first.write(b"first").unwrap();
        second.write(b"second").unwrap();
        commit(first).unwrap();
        assert!(matches!(commit(second), Err(Error::OutputExists(_))));
        assert_eq!(fs::read(folder.path().join("out")).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
