//! The only door for media: where it is, how it is read, how it appears at its name.

mod behind;
mod file;
mod reader;
mod sink;

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Cursor, Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::{av::ReadSeek, progress::CancelToken};

use file::FileReader;
use reader::SharedReader;
pub(crate) use sink::{Draft, Sink, Unfinished, is_same_file};

/// Where an input is, or an output goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Location {
    /// A local file.
    Path(PathBuf),
    /// The n-th of the sources or writers that the caller hands over beside the plan, from 0.
    Given(usize),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Given(number) => write!(f, "the caller's stream {number}"),
        }
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&str> for Location {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

/// What an input is read from; cheap to clone, and opened as often as a run needs it.
///
/// ```
/// use avocet_engine::{CancelToken, Engine, Source};
///
/// let engine = Engine::default();
/// let source = Source::memory(*b"this is no media");
/// assert!(engine.probe(&source, &CancelToken::new()).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Source(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Path(PathBuf),
    Memory(Arc<[u8]>),
    Reader(SharedReader),
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
    /// The system's, when it has no thread left.
    pub fn reader(reader: impl Read + Seek + Send + 'static) -> io::Result<Self> {
        SharedReader::new(reader).map(|reader| Self(Kind::Reader(reader)))
    }

    /// Where the source is, as far as it has a name.
    pub(crate) fn location(&self) -> Location {
        match &self.0 {
            Kind::Path(path) => Location::Path(path.clone()),
            Kind::Memory(_) | Kind::Reader(_) => Location::Given(0),
        }
    }

    /// What tells whether a file is the one it was; `None` for what is no file.
    pub(crate) fn identity(&self) -> Option<Identity> {
        match &self.0 {
            Kind::Path(path) => std::fs::metadata(path).ok().as_ref().map(Identity::of),
            Kind::Memory(_) | Kind::Reader(_) => None,
        }
    }

    /// Opens the source at its first byte, as a file where it is one.
    pub(crate) fn open_bytes(&self, cancel: &CancelToken) -> io::Result<Bytes> {
        match &self.0 {
            Kind::Path(path) => open_file(path).map(Bytes::File),
            Kind::Memory(_) | Kind::Reader(_) => self.open(cancel).map(Bytes::Other),
        }
    }

    /// Opens the source at its first byte.
    pub(crate) fn open(&self, cancel: &CancelToken) -> io::Result<Box<dyn ReadSeek>> {
        match &self.0 {
            Kind::Path(path) => open_file(path).map(|file| Box::new(FileReader::new(file)) as _),
            Kind::Memory(bytes) => Ok(Box::new(Cursor::new(Arc::clone(bytes)))),
            Kind::Reader(reader) => Ok(Box::new(reader.open(cancel.clone()))),
        }
    }
}

/// Which file it is, and since when it is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    /// When the content changed last, and when anything did, in nanoseconds.
    changed: [i128; 2],
}

impl Identity {
    fn of(file: &Metadata) -> Self {
        let at = |seconds: i64, nanoseconds: i64| {
            i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
        };
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            changed: [at(file.mtime(), file.mtime_nsec()), at(file.ctime(), file.ctime_nsec())],
        }
    }

    /// Whether both are of one file, at whatever time.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
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

/// Opens a regular file; anything else could block for ever or be no media at all.
fn open_file(path: &Path) -> io::Result<File> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    #[expect(clippy::disallowed_methods, reason = "this is the door that the rule points to")]
    File::open(path)
}

/// The sources and writers of a caller that a plan names by number.
#[derive(Default)]
pub struct Given<'a> {
    /// What `Location::Given` means among the inputs.
    pub sources: Vec<Source>,
    /// What `Location::Given` means among the outputs; filled once the output is verified.
    pub writers: Vec<Box<dyn Write + Send + 'a>>,
}

impl fmt::Debug for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({} sources, {} writers)", self.sources.len(), self.writers.len())
    }
}

impl Given<'_> {
    /// The source behind an input's location; `None` when the caller did not give it.
    pub(crate) fn source(&self, location: &Location) -> Option<Source> {
        match location {
            Location::Path(path) => Some(Source::path(path)),
            Location::Given(number) => self.sources.get(*number).cloned(),
        }
    }
}
