//! Files that clients send, to be the inputs of jobs: each is a file of the data folder that grows by
//! appending, and that is as long as what has come of it. `upload:ID` names one in a document.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::{
    io::{AsyncSeekExt, AsyncWriteExt},
    sync::OwnedMutexGuard,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// The folder for uploads, below the data folder.
pub(crate) const UPLOADS: &str = "uploads";

/// What begins the places that this is about.
const SCHEME: &str = "upload:";

/// How long a client may send nothing. What has come by then stays.
const SILENCE: Duration = Duration::from_secs(60);

/// How long an upload is kept after each look at it while somebody writes to it, in milliseconds. Such
/// looks are made once a minute.
pub(crate) const UPLOADING: i64 = 180_000;

/// How many bytes are written between two looks at the free space.
const PIECE: u64 = 16 << 20;

/// The id of an upload that a document names; `None` for other places.
pub(crate) fn id_of(place: &str) -> Option<&str> {
    place.strip_prefix(SCHEME).filter(|id| is_id(id))
}

/// Whether a text is written as a ULID, which makes no path.
fn is_id(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|letter| letter.is_ascii_alphanumeric())
}

/// An upload as documents name it.
pub(crate) fn place(id: &str) -> String {
    format!("{SCHEME}{id}")
}

/// An upload as a URL, which is how workers are told of it.
pub(crate) fn url(id: &str) -> String {
    format!("{SCHEME}//{id}")
}

/// The files of uploads, and who writes to them.
#[derive(Debug)]
pub(crate) struct Uploads {
    folder: PathBuf,
    writers: Mutex<HashMap<String, Writer>>,
}

/// Who writes to an upload, or waits to do so.
#[derive(Clone, Debug)]
struct Writer {
    /// Ends the newest turn.
    stop: CancellationToken,
    /// One writes at a time.
    turns: Arc<tokio::sync::Mutex<()>>,
}

/// The right to write to an upload, until it is dropped or somebody takes it over.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    all: &'a Uploads,
    id: &'a str,
    stop: CancellationToken,
    turns: Arc<tokio::sync::Mutex<()>>,
    /// `None` while it waits for the one before.
    held: Option<OwnedMutexGuard<()>>,
}

/// Why less has come than was to come. What has come is kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    #[error("the body ended early, or nothing came for {} s", SILENCE.as_secs())]
    Broken,
    #[error("the body is longer than the upload")]
    TooLong,
    #[error("another request goes on with the upload")]
    TakenOver,
    #[error("the disk has no room for more")]
    Full,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Uploads {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, writers: Mutex::default() }
    }

    fn writers(&self) -> MutexGuard<'_, HashMap<String, Writer>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    /// How many bytes of an upload have come. Errors: that of the system; there is no file before the
    /// first byte.
    pub(crate) fn received(&self, id: &str) -> io::Result<u64> {
        match std::fs::metadata(self.path(id)) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Opens an upload for reading.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that opens uploads")]
    pub(crate) fn open(&self, id: &str) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Takes the right to write to an upload. Whoever has it now loses it: its connection may be
    /// broken, which is not noticed at once.
    pub(crate) async fn turn<'a>(&'a self, id: &'a str) -> Turn<'a> {
        let stop = CancellationToken::new();
        let turns = {
            let mut writers = self.writers();
            let known = writers.get(id);
            let turns = known.map(|known| Arc::clone(&known.turns)).unwrap_or_default();
            if let Some(known) = known {
                known.stop.cancel();
            }
            let writer = Writer { stop: stop.clone(), turns: Arc::clone(&turns) };
            writers.insert(id.to_owned(), writer);
            turns
        };
        let mut turn = Turn { all: self, id, stop, turns: Arc::clone(&turns), held: None };
        turn.held = Some(turns.lock_owned().await);
        turn
    }

    /// Removes the file of an upload.
    pub(crate) fn remove(&self, id: &str) -> io::Result<()> {
        match std::fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The uploads that somebody writes to now.
    pub(crate) fn busy(&self) -> Vec<String> {
        self.writers().keys().cloned().collect()
    }

    /// The uploads that have a file. What else is in the folder is none of ours.
    pub(crate) fn ids(&self) -> io::Result<Vec<String>> {
        let names = std::fs::read_dir(&self.folder)?.filter_map(|entry| {
            let entry =
                entry.ok().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
            entry?.file_name().into_string().ok()
        });
        Ok(names.filter(|name| is_id(name)).collect())
    }
}

impl Turn<'_> {
    /// How many bytes have come.
    pub(crate) fn received(&self) -> io::Result<u64> {
        self.all.received(self.id)
    }

    /// Appends a body to an upload of which `offset` bytes have come and that shall have `length` bytes;
    /// returns how many bytes have come then. `has_room` is asked between two pieces.
    pub(crate) async fn append<E>(
        &self,
        mut offset: u64,
        length: u64,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
        has_room: impl Fn() -> bool,
    ) -> Result<u64, Stopped> {
        let mut file = tokio::fs::File::from_std(create(&self.all.path(self.id))?);
        // At its place rather than at the end: what an abandoned request still writes is the same.
        file.seek(SeekFrom::Start(offset)).await?;
        let mut until_look = 0;
        let stopped = loop {
            let part = tokio::select! {
                biased;
                () = self.stop.cancelled() => break Some(Stopped::TakenOver),
                part = timeout(SILENCE, body.next()) => part,
            };
            let part = match part {
                Ok(Some(Ok(part))) => part,
                Ok(None) => break None,
                Ok(Some(Err(_))) | Err(_) => break Some(Stopped::Broken),
            };
            let bytes = part.len() as u64;
            if offset + bytes > length {
                break Some(Stopped::TooLong);
            }
            if until_look < bytes {
                if !has_room() {
                    break Some(Stopped::Full);
                }
                until_look = PIECE;
            }
            until_look = until_look.saturating_sub(bytes);
            if let Err(error) = file.write_all(&part).await {
                break Some(error.into());
            }
            offset += bytes;
        };
        // What came before a connection broke is kept, too. Only this tells of an error of the last
        // write.
        file.flush().await?;
        file.sync_data().await?;
        stopped.map_or(Ok(offset), Err)
    }
}

#[expect(clippy::disallowed_methods, reason = "an upload is no output of a job")]
fn create(path: &Path) -> io::Result<File> {
    File::options().create(true).write(true).truncate(false).open(path)
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut writers = self.all.writers();
        // Besides this one, only the entry has it: nobody else writes, or waits.
        if Arc::strong_count(&self.turns) == 2 {
            writers.remove(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use futures_util::stream;

    use super::*;

    type Part = Result<Bytes, ()>;

    fn parts(parts: &[&'static str]) -> impl Stream<Item = Part> + Unpin + use<> {
        let parts: Vec<_> =
            parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes()))).collect();
        stream::iter(parts)
    }

    #[test]
    fn only_ids_name_uploads() {
        let id = "01M8PV8SKASWNNZG8EXW55F1EF";
        assert_eq!(id_of(&place(id)), Some(id));
        assert_eq!(id_of(&url(id)), None, "only workers are told of URLs");
        for text in
            ["upload:", "upload:../../keys", "root:a/b", "upload:01M8PV8SKASWNNZG8EXW55F1E/"]
        {
            assert_eq!(id_of(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn an_upload_grows_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(folder.path().to_owned());
        let id = "01M8PV8SKASWNNZG8EXW55F1EF";
        let turn = uploads.turn(id).await;
        assert_eq!(turn.append(0, 6, parts(&["ab", "c"]), || true).await.unwrap(), 3);
        // What came before the fault is kept.
        let broken = parts(&["d"]).chain(stream::iter([Err(())]));
        assert!(matches!(turn.append(3, 6, broken, || true).await, Err(Stopped::Broken)));
        assert!(matches!(turn.append(4, 6, parts(&["efg"]), || true).await, Err(Stopped::TooLong)));
        assert!(matches!(turn.append(4, 6, parts(&["e"]), || false).await, Err(Stopped::Full)));
        assert_eq!(turn.received().unwrap(), 4);
        assert_eq!(turn.append(4, 6, parts(&["ef"]), || true).await.unwrap(), 6);
        let mut text = String::new();
        io::Read::read_to_string(&mut uploads.open(id).unwrap(), &mut text).unwrap();
        assert_eq!(text, "abcdef");
        assert_eq!(uploads.busy(), [id]);
        drop(turn);
        assert_eq!(uploads.busy(), [""; 0]);
        std::fs::create_dir(folder.path().join("lost+found")).unwrap();
        assert_eq!(uploads.ids().unwrap(), [id]);
        uploads.remove(id).unwrap();
        assert_eq!(uploads.received(id).unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_request_writes_and_silence_ends_one() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::new(folder.path().to_owned());
        let first = uploads.turn("a").await;
        let silent = || parts(&["ab"]).chain(stream::pending());
        let taking = async { drop(uploads.turn("a").await) };
        let writing = async {
            let ended = first.append(0, 6, silent(), || true).await;
            drop(first);
            ended
        };
        let (ended, ()) = tokio::join!(writing, taking);
        assert!(matches!(ended, Err(Stopped::TakenOver)), "{ended:?}");
        let second = uploads.turn("a").await;
        let ended = second.append(2, 6, silent(), || true).await;
        assert!(matches!(ended, Err(Stopped::Broken)), "{ended:?}");
        drop(second);
        assert!(uploads.writers().is_empty());
    }
}
