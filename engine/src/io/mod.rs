//! The only way in and out for media: sources that are read, and sinks that appear at their names.

mod address;
mod file;
mod offset;
mod place;
mod reader;
#[cfg(feature = "remote")]
mod remote;
#[cfg(not(feature = "remote"))]
#[path = "absent.rs"]
mod remote;
mod sink;
#[cfg(unix)]
#[path = "unix.rs"]
mod system;
#[cfg(windows)]
#[path = "windows.rs"]
mod system;
mod unfinished;

use std::{
    collections::BTreeMap,
    fmt,
    fs::{File, Metadata},
    io::{self, Cursor, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use avocet_model::{
    error::{Error, Result},
    format::seek::ReadSeek,
    location::Location,
    media::Origin,
    plan::Input,
    progress::{CancelToken, Fetched},
    remote::RemoteError,
};

pub use address::special_purpose;
use file::FileReader;
use reader::SharedReader;
pub(crate) use remote::Remotes;
#[cfg(all(unix, feature = "workers"))]
pub use remote::{InputProxy, ProxiedInputs};
use remote::{Remote, Upload};
pub(crate) use sink::{Draft, Sink, is_same_file};
use system::FileId;
#[cfg(target_os = "linux")]
pub(crate) use unfinished::Folder;
pub(crate) use unfinished::Unfinished;

impl Remotes {
    /// Sends files to object stores, each to its URL, and replaces objects that are there: all, or
    /// none. What can not be undone after a failure is told ([`Error::Unrestored`]).
    pub(crate) fn deliver(
        &self,
        files: Vec<(PathBuf, String)>,
        cancel: &CancelToken,
    ) -> Result<()> {
        let upload = |(file, url)| Upload { file, url, replace: true };
        let failed = |(url, source)| Error::Write { location: Location::Url(url), source };
        let sent = self
            .send(files.into_iter().map(upload).collect(), cancel, &mut |_| ())
            .map_err(failed)?;
        sent.complete(cancel).map_err(|(cause, left)| {
            let left = left.into_iter().map(Location::Url).collect();
            Error::with_leftovers(failed(cause), left)
        })
    }
}

/// Which addresses connections may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses over `https:` only: for jobs from untrusted users.
    #[default]
    Public,
    /// An address that a caller names may be private, and `http:` is allowed. A redirect from the
    /// public internet into a private network is refused.
    Named,
    /// Every address, over `http:`, too: for development and private networks.
    Any,
}

/// Settings for remote inputs and outputs.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Which addresses connections may reach. Default: [`Reach::Public`].
    pub reach: Reach,
    /// The largest input that is copied as a whole, in bytes. Default: 20 GiB.
    pub max_bytes: u64,
    /// Memory for blocks of all inputs of an engine together, in bytes. Default: 64 MiB.
    pub cache_bytes: u64,
    /// The largest number of redirects that are followed. Default: 5.
    pub max_redirects: u32,
    /// How long to wait for an answer, or for more bytes of one. Default: 30 s.
    pub idle_timeout: Duration,
    /// Options of object stores, by the names that the crate `object_store` has for them, as
    /// `aws_access_key_id`. They override the environment, whose variables have the same names in
    /// capitals. Default: none.
    pub stores: BTreeMap<String, String>,
    /// Whether environment variables set options of object stores, too. Default: `true`.
    pub uses_environment: bool,
    /// Who fetches inputs by URL for this process; `None`, the default, is the process itself.
    #[cfg(all(unix, feature = "workers"))]
    pub proxy: Option<ProxiedInputs>,
}

impl Default for RemoteSettings {
    fn default() -> Self {
        Self {
            reach: Reach::default(),
            max_bytes: 20 << 30,
            cache_bytes: 64 << 20,
            max_redirects: 5,
            idle_timeout: Duration::from_secs(30),
            stores: BTreeMap::new(),
            uses_environment: true,
            #[cfg(all(unix, feature = "workers"))]
            proxy: None,
        }
    }
}

impl fmt::Debug for RemoteSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSettings")
            .field("reach", &self.reach)
            .field("max_bytes", &self.max_bytes)
            .field("cache_bytes", &self.cache_bytes)
            .field("max_redirects", &self.max_redirects)
            .field("idle_timeout", &self.idle_timeout)
            .field("stores", &self.stores.keys())
            .field("uses_environment", &self.uses_environment)
            .finish_non_exhaustive()
    }
}

/// What an input is read from; cheap to clone, and opened as often as a run needs it.
///
/// ```
/// use avocet_engine::{Engine, ProbeOptions, Source};
///
/// let engine = Engine::default();
/// let source = Source::memory(*b"this is no media");
/// assert!(engine.probe(&source, ProbeOptions::default()).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Source(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Path(PathBuf),
    Memory(Arc<[u8]>),
    Reader(SharedReader),
    Remote(Remote),
}

impl Source {
    /// A local regular file.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Path(path.into()))
    }

    /// Bytes in memory.
    pub fn memory(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self(Kind::Memory(bytes.into()))
    }

    /// A reader of the caller's.
    ///
    /// It is read on a thread of its own, so that a run can be cancelled while a read blocks; the
    /// thread ends when that read returns and nobody holds the source any more.
    ///
    /// # Errors
    /// The system's error, when it has no thread left.
    pub fn reader(reader: impl Read + Seek + Send + 'static) -> io::Result<Self> {
        SharedReader::new(reader).map(|reader| Self(Kind::Reader(reader)))
    }

    /// What a reader gives that can not seek, as a pipe or a socket: it is copied to its end into a
    /// temporary file in `folder`, which has no name and goes with the last copy of the source.
    ///
    /// # Errors
    /// Errors of reading, and of writing the temporary file.
    pub fn spool(mut reader: impl Read, folder: &Path) -> io::Result<Self> {
        let mut file = tempfile::tempfile_in(folder)?;
        io::copy(&mut reader, &mut file)?;
        file.rewind()?;
        Self::reader(file)
    }

    /// The source at a location; a remote one is opened.
    pub(crate) fn at(
        location: &Location,
        remotes: &Remotes,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Fetched),
    ) -> Result<Self> {
        match location {
            Location::Path(path) => Ok(Self::path(path)),
            Location::Url(url) => {
                let unreadable = |source| Error::Read { location: location.clone(), source };
                let remote = remotes.open(url, cancel, observe).map_err(unreadable)?;
                Ok(Self(Kind::Remote(remote)))
            }
            Location::Caller(number) => Err(Error::BadPlan {
                what: format!("source {number} of the caller has no location"),
            }),
        }
    }

    /// Where the source is; [`Location::Caller`] of number 0 for one of the caller's, which has no
    /// name.
    pub fn location(&self) -> Location {
        match &self.0 {
            Kind::Path(path) => Location::Path(path.clone()),
            Kind::Remote(remote) => Location::Url(remote.url().to_owned()),
            Kind::Memory(_) | Kind::Reader(_) => Location::Caller(0),
        }
    }

    /// What tells whether the source has changed since; `None` where nothing does.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match &self.0 {
            Kind::Path(path) => Identity::of(path).ok(),
            Kind::Remote(remote) => remote
                .described()
                .version
                .map(|version| Identity::Version { url: remote.url().to_owned(), version }),
            Kind::Memory(_) | Kind::Reader(_) => None,
        }
    }

    /// What the origin of a remote source told of it; `None` for others.
    pub(crate) fn origin(&self) -> Option<Origin> {
        match &self.0 {
            Kind::Remote(remote) => Some(remote.described()),
            _ => None,
        }
    }

    /// Whether it is remote and read by byte ranges, so that each read at a new position may cost a
    /// request.
    pub(crate) fn is_in_parts(&self) -> bool {
        matches!(&self.0, Kind::Remote(_)) && self.local().is_none()
    }

    /// Number of requests that were sent for it, and number of bytes that came.
    pub(crate) fn fetched(&self) -> (u64, u64) {
        match &self.0 {
            Kind::Remote(remote) => remote.counts(),
            _ => (0, 0),
        }
    }

    /// The local file that has its bytes, if there is one.
    pub(crate) fn local(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Path(path) => Some(path),
            Kind::Remote(remote) => remote.path(),
            Kind::Memory(_) | Kind::Reader(_) => None,
        }
    }

    /// Opens the source at its first byte, as a file where it is one.
    pub(crate) fn open_bytes(&self, cancel: &CancelToken) -> io::Result<Bytes> {
        match self.local() {
            Some(path) => open_file(path).map(Bytes::File),
            None => self.open(cancel).map(Bytes::Other),
        }
    }

    /// Opens the source at its first byte.
    pub(crate) fn open(&self, cancel: &CancelToken) -> io::Result<Box<dyn ReadSeek>> {
        match &self.0 {
            Kind::Path(path) => open_file(path).map(|file| Box::new(FileReader::new(file)) as _),
            Kind::Memory(bytes) => Ok(Box::new(Cursor::new(Arc::clone(bytes)))),
            Kind::Reader(reader) => Ok(Box::new(reader.open(cancel.clone()))),
            Kind::Remote(remote) => remote.open(cancel),
        }
    }
}

/// Which file or remote input a source is, and in which version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    File {
        /// Which file it is.
        id: FileId,
        size: u64,
        /// When it changed last: the two times that `system::changed` gives.
        changed: [i128; 2],
    },
    /// A remote input whose origin tells its version.
    Version { url: String, version: String },
}

impl Identity {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        let id = system::file_id(path)?;
        Ok(Self::File { id, size: metadata.len(), changed: system::changed(&metadata) })
    }

    /// Whether both are of one file or URL, in whatever version.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { id, .. }, Self::File { id: other, .. }) => id == other,
            (Self::Version { url, .. }, Self::Version { url: other, .. }) => url == other,
            _ => false,
        }
    }
}

/// An open source, as a file where it is one.
pub(crate) enum Bytes {
    File(File),
    Other(Box<dyn ReadSeek>),
}

impl From<&Path> for Source {
    fn from(path: &Path) -> Self {
        Self::path(path)
    }
}

/// The position in bytes that a seek leads to from `at`; `length` is asked only by a seek from the
/// end.
fn sought(to: SeekFrom, at: u64, length: impl FnOnce() -> io::Result<u64>) -> io::Result<u64> {
    let place = match to {
        SeekFrom::Start(place) => Some(place),
        SeekFrom::Current(distance) => at.checked_add_signed(distance),
        SeekFrom::End(distance) => length()?.checked_add_signed(distance),
    };
    place.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Opens a regular file; anything else could block for ever or be no media at all.
fn open_file(path: &Path) -> io::Result<File> {
    // This comes first, since merely opening a device may have an effect on it.
    expect_file(&std::fs::metadata(path)?)?;
    open_at_once(path, true)
}

/// Opens a regular file, and checks it once it is open, since what has its name may change any
/// time. It does not wait for the other end of a pipe. Without `follows`, a link is an error.
fn open_at_once(path: &Path, follows: bool) -> io::Result<File> {
    let file = system::open(path, follows)?;
    expect_file(&file.metadata()?)?;
    Ok(file)
}

fn expect_file(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(())
}

/// The sources and writers of a caller that a plan names by number.
#[derive(Default)]
pub(crate) struct CallerStreams<'a> {
    /// The inputs that `Location::Caller` names, by their place in this list.
    pub(crate) sources: Vec<Source>,
    /// The outputs that `Location::Caller` names, by their place in this list; each is filled once
    /// the output is verified.
    pub(crate) writers: Vec<Box<dyn Write + Send + 'a>>,
}

impl fmt::Debug for CallerStreams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallerStreams({} sources, {} writers)", self.sources.len(), self.writers.len())
    }
}

/// The sources of the inputs of a run: the caller's own, and remote ones. Local files are opened by
/// their paths.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    caller: Vec<Source>,
    remote: Vec<Source>,
}

impl Sources {
    /// Begins with the caller's own; local files need nothing.
    pub(crate) fn new(streams: &CallerStreams<'_>) -> Self {
        Self { caller: streams.sources.clone(), remote: Vec::new() }
    }

    /// A single source, by its own location.
    pub(crate) fn of(source: &Source) -> Self {
        let mut sources = Self::default();
        match source.0 {
            // Opened by its path.
            Kind::Path(_) => {}
            Kind::Remote(_) => sources.remote.push(source.clone()),
            Kind::Memory(_) | Kind::Reader(_) => sources.caller.push(source.clone()),
        }
        sources
    }

    /// Opens a remote input, once; with `stage` it is copied to this machine. It is an error when
    /// its version is not the planned one.
    pub(crate) fn open(
        &mut self,
        input: &Input,
        stage: bool,
        remotes: &Remotes,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Fetched),
    ) -> Result<()> {
        let Location::Url(url) = &input.location else { return Ok(()) };
        if self.get(&input.location).is_some() {
            return Ok(());
        }
        let unreadable = |source| Error::Read { location: input.location.clone(), source };
        let mut remote = remotes.resume(url, cancel, observe).map_err(unreadable)?;
        let found = remote.described().pin();
        if let Some(expected) = input.version.clone().filter(|_| found != input.version) {
            let found = found.unwrap_or_else(|| "no version".to_owned());
            return Err(unreadable(RemoteError::Changed { found, expected }.into()));
        }
        if stage {
            remote = remotes.stage(&remote, cancel, observe).map_err(unreadable)?;
        }
        self.remote.push(Source(Kind::Remote(remote)));
        Ok(())
    }

    /// The source of a place; `None` when the caller did not give it.
    pub(crate) fn get(&self, location: &Location) -> Option<Source> {
        match location {
            Location::Path(path) => Some(Source::path(path)),
            Location::Caller(number) => self.caller.get(*number).cloned(),
            Location::Url(_) => {
                self.remote.iter().find(|remote| remote.location() == *location).cloned()
            }
        }
    }

    /// Number of requests that were sent for all of them, and number of bytes that came.
    pub(crate) fn fetched(&self) -> (u64, u64) {
        let counts = self.remote.iter().map(Source::fetched);
        counts.fold((0, 0), |(requests, bytes), (r, b)| (requests + r, bytes + b))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    /// A pipe that comes to the name between the look and the opening would block for ever.
    #[test]
    fn a_pipe_that_was_swapped_in_is_no_file_and_blocks_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.mp4");
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        for follows in [true, false] {
            let error = open_at_once(&path, follows).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
        assert!(open_file(&path).is_err());
    }

    #[test]
    fn a_link_is_followed_for_inputs_and_not_for_what_was_made() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/proc/self/exe", &link).unwrap();
        assert!(open_file(&link).is_ok());
        let error = open_at_once(&link, false).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        fs::remove_file(&link).unwrap();
        assert_eq!(open_file(&link).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
