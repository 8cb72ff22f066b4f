//! Outputs that go to object stores: whole, or not at all.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, future, stream::FuturesUnordered};
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UploadPart,
    path::Path as Key,
};
use url::Url;

use avocet_model::{
    progress::{CancelToken, Fetched},
    remote::RemoteError,
};

use super::{
    client::{Client, Counts, TICK, wait},
    store::{self, Opened},
    transfer::Stop,
};

/// Largest object that is sent in one request, and smallest part of a larger one, in bytes. All
/// parts but the last have one size, as Cloudflare R2 requires.
const PART: u64 = 8 << 20;

/// Largest number of parts of an object; Amazon S3 takes 10,000.
const MAX_PARTS: u64 = 9000;

/// Number of parts that are sent at the same time.
const AT_ONCE: usize = 4;

/// A file that is to become an object.
#[derive(Debug)]
pub(in crate::io) struct Upload {
    /// Path of the local file.
    pub(in crate::io) file: PathBuf,
    /// URL of the object.
    pub(in crate::io) url: String,
    /// Whether an object that is there may be replaced.
    pub(in crate::io) replace: bool,
}

/// Time limit for a request to a store with little or no body, retries included.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// Time limit for completing an object: putting its parts together, or sending a small one.
const LIMIT_TOGETHER: Duration = Duration::from_secs(600);

/// Time limit for parts that are still being sent once an upload has failed or is cancelled. A part
/// that arrives after the abort would stay in the store. Whoever cancels waits for this.
const LIMIT_ARRIVING: Duration = Duration::from_millis(600);

/// Time limit for each request that cleans up after a failure or a cancellation.
const LIMIT_CLEANING: Duration = Duration::from_secs(10);

/// Uploads that are ready to be completed. None of their objects can be seen yet.
pub(in crate::io) struct Sent(Vec<Object>);

/// One upload.
struct Object {
    url: String,
    store: Arc<dyn ObjectStore>,
    key: Key,
    replace: bool,
    /// Whether there was such an object before.
    existed: bool,
    size: u64,
    /// Its whole content, where that is sent in one request.
    whole: Option<PutPayload>,
    parts: Option<Box<dyn MultipartUpload>>,
    /// Whether completing it has begun, so that the object may be there by now.
    may_be_there: bool,
}

/// An error, with the URL of the object that it is about.
type Failed = (String, io::Error);

/// Sends all files. After an error or a cancellation their parts are aborted.
pub(super) fn send_all(
    client: &Client,
    uploads: Vec<Upload>,
    cancel: &CancelToken,
    observe: &mut dyn FnMut(Fetched),
) -> Result<Sent, Failed> {
    let (client, token) = (client.clone(), cancel.clone());
    let sent_bytes = Arc::new(AtomicU64::new(0));
    let size = |upload: &Upload| std::fs::metadata(&upload.file).map_or(0, |file| file.len());
    let total = Some(uploads.iter().map(size).sum());
    let counter = Arc::clone(&sent_bytes);
    let first = uploads.first().map(|upload| upload.url.clone()).unwrap_or_default();
    let work = async move {
        let mut sent = Vec::new();
        for upload in uploads {
            let url = upload.url.clone();
            match send(&client, upload, &counter, &token).await {
                Ok(object) => sent.push(object),
                Err(error) => {
                    take_back(sent).await;
                    return Ok(Err((url, error.into())));
                }
            }
        }
        Ok::<_, io::Error>(Ok(Sent(sent)))
    };
    // The work checks the token itself, since it must clean up before it ends.
    let tick = || observe(Fetched { bytes: sent_bytes.load(Ordering::Relaxed), total });
    wait(work, &CancelToken::new(), tick).map_err(|error| (first, error))?
}

impl Sent {
    /// Completes each upload, so that its object appears.
    ///
    /// After an error or a cancellation parts are aborted, and objects removed that were not there
    /// before. The URLs beside the error are of objects that are, or may be, different now.
    pub(in crate::io) fn complete(self, cancel: &CancelToken) -> Result<(), (Failed, Vec<String>)> {
        let token = cancel.clone();
        let Self(mut sent) = self;
        let urls: Vec<_> = sent.iter().map(|object| object.url.clone()).collect();
        let work = async move {
            let mut result = Ok(());
            for object in &mut sent {
                if result.is_ok() {
                    let done = settled(object.complete(), &token).await;
                    result = done.map_err(|error| (object.url.clone(), error.into()));
                }
            }
            match result {
                Ok(()) => Ok::<_, io::Error>(Ok(())),
                Err(failed) => Ok(Err((failed, take_back(sent).await))),
            }
        };
        let done = wait(work, &CancelToken::new(), || ());
        done.map_err(|error| ((urls.first().cloned().unwrap_or_default(), error), urls))?
    }

    /// Aborts all uploads before any object is seen. Returns the URLs of those that could not be
    /// taken back.
    pub(in crate::io) fn take_back(self) -> Vec<String> {
        let Self(sent) = self;
        let urls: Vec<_> = sent.iter().map(|object| object.url.clone()).collect();
        let work = async move { Ok::<_, io::Error>(take_back(sent).await) };
        wait(work, &CancelToken::new(), || ()).unwrap_or(urls)
    }
}

/// Takes all of these back, and returns the URLs of those that could not be.
async fn take_back(objects: Vec<Object>) -> Vec<String> {
    let mut left = Vec::new();
    for object in objects {
        left.extend(object.take_back().await);
    }
    left
}

/// Sends the parts of a file, and cleans up when that fails. A small file is only read: it is sent
/// when it is completed.
async fn send(
    client: &Client,
    upload: Upload,
    sent: &AtomicU64,
    cancel: &CancelToken,
) -> Result<Object, Stop> {
    let Upload { file, url, replace } = upload;
    let parsed = Url::parse(&url).map_err(|error| RemoteError::Refused(error.to_string()))?;
    let Opened { store, key, .. } = store::open(client, &Arc::new(Counts::default()), &parsed)?;
    #[expect(clippy::disallowed_methods, reason = "this is the module that the rule points to")]
    let mut file = File::open(file).map_err(Stop::Local)?;
    let size = file.metadata().map_err(Stop::Local)?.len();
    let looked = limited(LIMIT, store.head(&key));
    let existed = match until_ended(looked, cancel).await {
        Ok(_) => true,
        Err(Stop::Remote(RemoteError::Status { status: 404, .. })) => false,
        // Some credentials may write and not read. The object then counts as there before, so that
        // it is never removed.
        Err(Stop::Remote(RemoteError::Status { status: 401 | 403, .. })) if replace => true,
        Err(other) => return Err(other),
    };
    if existed && !replace {
        let what = Some("the object exists already".to_owned());
        return Err(RemoteError::Status { status: 409, what, after: None }.into());
    }
    let (whole, parts, may_be_there) = (None, None, false);
    let mut object = Object { url, store, key, replace, existed, size, whole, parts, may_be_there };
    if size <= PART {
        object.whole = Some(read(&mut file, size).map_err(Stop::Local)?);
        return Ok(object);
    }
    // Cancellation does not interrupt this: an upload that was begun must be aborted by its handle.
    let parts = limited(LIMIT, object.store.put_multipart(&object.key)).await?;
    let parts = object.parts.insert(parts);
    let mut moving = FuturesUnordered::new();
    let sending = send_parts(parts.as_mut(), (&mut file, size), sent, &mut moving);
    match until_ended(sending, cancel).await {
        Ok(()) => Ok(object),
        Err(error) => {
            let arriving = async { while moving.next().await.is_some() {} };
            let _ = tokio::time::timeout(LIMIT_ARRIVING, arriving).await;
            drop(moving);
            object.take_back().await;
            Err(error)
        }
    }
}

/// Sends all parts; `moving` holds those that are being sent.
async fn send_parts(
    parts: &mut dyn MultipartUpload,
    (file, size): (&mut File, u64),
    sent: &AtomicU64,
    moving: &mut FuturesUnordered<UploadPart>,
) -> Result<(), Stop> {
    let part = PART.max(size.div_ceil(MAX_PARTS).next_multiple_of(1 << 20));
    let mut left = size;
    while left > 0 || !moving.is_empty() {
        if left > 0 && moving.len() < AT_ONCE {
            let piece = part.min(left);
            moving.push(parts.put_part(read(file, piece).map_err(Stop::Local)?));
            left -= piece;
        } else if let Some(moved) = moving.next().await {
            moved.map_err(|error| store::fault(&error))?;
            // The last part is shorter, so that the sum may be a little too large until the end.
            sent.fetch_add(part, Ordering::Relaxed);
        }
    }
    Ok(())
}

impl Object {
    /// Makes the object appear, and checks its size.
    async fn complete(&mut self) -> Result<(), Stop> {
        self.may_be_there = true;
        if let Some(parts) = &mut self.parts {
            limited(LIMIT_TOGETHER, parts.complete()).await?;
            self.parts = None;
        } else if let Some(whole) = self.whole.take() {
            let mode = if self.replace { PutMode::Overwrite } else { PutMode::Create };
            let options = PutOptions { mode, ..PutOptions::default() };
            limited(LIMIT_TOGETHER, self.store.put_opts(&self.key, whole, options)).await?;
        }
        let found = match limited(LIMIT, self.store.head(&self.key)).await {
            Ok(found) => found.size,
            // Some credentials may write and not read.
            Err(Stop::Remote(RemoteError::Status { status: 401 | 403, .. })) => self.size,
            Err(other) => return Err(other),
        };
        if found == self.size {
            return Ok(());
        }
        Err(RemoteError::Short { got: found, expected: self.size }.into())
    }

    /// Aborts the upload, and removes an object that was not there before. Returns the URL of an
    /// object that was, or may have been, replaced, or that could not be removed.
    async fn take_back(mut self) -> Option<String> {
        // Where the abort fails, the store's own rules must remove the parts.
        if let Some(mut parts) = self.parts.take()
            && let Err(Stop::Remote(error)) = limited(LIMIT_CLEANING, parts.abort()).await
        {
            tracing::warn!(%error, "an upload could not be aborted");
        }
        if !self.may_be_there {
            return None;
        }
        if self.existed {
            return Some(self.url);
        }
        match limited(LIMIT_CLEANING, self.store.delete(&self.key)).await {
            Err(Stop::Remote(RemoteError::Status { status: 404, .. })) | Ok(()) => None,
            Err(_) => Some(self.url),
        }
    }
}

fn read(file: &mut File, bytes: u64) -> io::Result<PutPayload> {
    let mut piece = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    file.read_exact(&mut piece)?;
    Ok(piece.into())
}

/// A request to a store, with a time limit: [`RemoteError::Stalled`] when it takes longer.
pub(super) async fn limited<T>(
    limit: Duration,
    work: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Stop> {
    match tokio::time::timeout(limit, work).await {
        Ok(answer) => answer.map_err(|error| store::fault(&error).into()),
        Err(_) => Err(RemoteError::Stalled { seconds: limit.as_secs() }.into()),
    }
}

/// Does what can not be undone while it is under way, since a deletion would overtake it. When the
/// token is set it may still take [`LIMIT_CLEANING`], and counts as failed.
async fn settled(
    work: impl Future<Output = Result<(), Stop>>,
    cancel: &CancelToken,
) -> Result<(), Stop> {
    let mut work = std::pin::pin!(work);
    let done = until_ended(&mut work, cancel).await;
    if cancel.is_cancelled() && done.is_err() {
        let _ = tokio::time::timeout(LIMIT_CLEANING, work).await;
    }
    done
}

/// Does some work until it is done or the token is set.
async fn until_ended<T>(
    work: impl Future<Output = Result<T, Stop>>,
    cancel: &CancelToken,
) -> Result<T, Stop> {
    let cancelled = async {
        while !cancel.is_cancelled() {
            tokio::time::sleep(TICK).await;
        }
    };
    match future::select(std::pin::pin!(work), std::pin::pin!(cancelled)).await {
        future::Either::Left((done, _)) => done,
        future::Either::Right(_) => Err(Stop::Local(io::Error::other("cancelled"))),
    }
}
