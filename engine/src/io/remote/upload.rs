//! Outputs that go to object stores: whole, or not at all.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, future, stream::FuturesUnordered};
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UploadPart,
    path::Path as Key,
};
use url::Url;

use avocet_model::{progress::CancelToken, remote::RemoteError};

use super::{
    client::{Client, Counts, TICK, wait},
    store::{self, Opened},
    transfer::Stop,
};

/// What is sent in one piece at most, and how large parts are at least, in bytes. All parts but the
/// last have one size, as Cloudflare R2 wants it.
const PART: u64 = 8 << 20;

/// Into how many parts an object is cut at most; Amazon S3 takes 10,000.
const MAX_PARTS: u64 = 9000;

/// How many parts are on their way at once.
const AT_ONCE: usize = 4;

/// A file that is to become an object.
#[derive(Debug)]
pub(in crate::io) struct Upload {
    /// What is sent.
    pub(in crate::io) file: PathBuf,
    /// Where it goes.
    pub(in crate::io) url: String,
    /// Whether an object that is there may be replaced.
    pub(in crate::io) replace: bool,
}

/// How long a store may take for a request without a body, tries included.
pub(super) const LIMIT: Duration = Duration::from_secs(120);

/// How long it may take to put parts together.
const LIMIT_TOGETHER: Duration = Duration::from_secs(600);

/// How long parts on their way may take to arrive once the upload came to nothing: one that arrives
/// after it was aborted would stay. Whoever cancels waits for that.
const LIMIT_ARRIVING: Duration = Duration::from_millis(600);

/// How long it may take to clean up after a cancellation.
const LIMIT_CLEANING: Duration = Duration::from_secs(10);

/// Objects of which all is there but the word that they are complete.
pub(in crate::io) struct Sent(Vec<Object>);

/// One of them.
struct Object {
    url: String,
    store: Arc<dyn ObjectStore>,
    key: Key,
    replace: bool,
    /// Whether there was such an object before.
    existed: bool,
    size: u64,
    /// All of it, where it is small.
    whole: Option<PutPayload>,
    parts: Option<Box<dyn MultipartUpload>>,
    /// Whether it may be there by now.
    may_be_there: bool,
}

/// What failed, with the URL that it is of.
type Failed = (String, io::Error);

/// Sends all files. After an error or a cancellation no part is left.
pub(super) fn send_all(
    client: &Client,
    uploads: Vec<Upload>,
    cancel: &CancelToken,
) -> Result<Sent, Failed> {
    let (client, token) = (client.clone(), cancel.clone());
    let first = uploads.first().map(|upload| upload.url.clone()).unwrap_or_default();
    let work = async move {
        let mut sent = Vec::new();
        for upload in uploads {
            let url = upload.url.clone();
            match send(&client, upload, &token).await {
                Ok(object) => sent.push(object),
                Err(error) => {
                    take_back(sent).await;
                    return Ok(Err((url, error.into())));
                }
            }
        }
        Ok::<_, io::Error>(Ok(Sent(sent)))
    };
    // The work looks at the token itself: what it leaves must be cleaned up first.
    wait(work, &CancelToken::new(), || ()).map_err(|error| (first, error))?
}

impl Sent {
    /// Says of each that it is complete.
    ///
    /// After an error or a cancellation no part is left, and no object that was not there before,
    /// but what is told beside the error: objects that are, or may be, other ones now.
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

    /// Removes what is there of them, none of which anybody has seen. The answer is what could not
    /// be taken back.
    pub(in crate::io) fn take_back(self) -> Vec<String> {
        let Self(sent) = self;
        let urls: Vec<_> = sent.iter().map(|object| object.url.clone()).collect();
        let work = async move { Ok::<_, io::Error>(take_back(sent).await) };
        wait(work, &CancelToken::new(), || ()).unwrap_or(urls)
    }
}

/// Takes all of these back, and tells the URLs of those that could not be.
async fn take_back(objects: Vec<Object>) -> Vec<String> {
    let mut left = Vec::new();
    for object in objects {
        left.extend(object.take_back().await);
    }
    left
}

/// Sends all of a file, and cleans up when that does not succeed.
async fn send(client: &Client, upload: Upload, cancel: &CancelToken) -> Result<Object, Stop> {
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
        // Some may write and not look; then nothing that may have been there is removed.
        Err(Stop::Remote(RemoteError::Status { status: 401 | 403, .. })) if replace => true,
        Err(other) => return Err(other),
    };
    if existed && !replace {
        let what = Some("there is such an object already".to_owned());
        return Err(RemoteError::Status { status: 409, what, after: None }.into());
    }
    let (whole, parts, may_be_there) = (None, None, false);
    let mut object = Object { url, store, key, replace, existed, size, whole, parts, may_be_there };
    if size <= PART {
        object.whole = Some(read(&mut file, size).map_err(Stop::Local)?);
        return Ok(object);
    }
    // Whoever begins must also abort, and is not dropped in between.
    let parts = limited(LIMIT, object.store.put_multipart(&object.key)).await?;
    let parts = object.parts.insert(parts);
    let mut moving = FuturesUnordered::new();
    let sending = send_parts(parts.as_mut(), &mut file, size, &mut moving);
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

/// Sends all parts; those in `moving` are on their way.
async fn send_parts(
    parts: &mut dyn MultipartUpload,
    file: &mut File,
    size: u64,
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
        }
    }
    Ok(())
}

impl Object {
    /// Makes the object appear, and looks whether it is as long as it should be.
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
            // Some may write and not look.
            Err(Stop::Remote(RemoteError::Status { status: 401 | 403, .. })) => self.size,
            Err(other) => return Err(other),
        };
        if found == self.size {
            return Ok(());
        }
        Err(RemoteError::Short { got: found, expected: self.size }.into())
    }

    /// Leaves no part of it, and no object that was not there before. An object that is another
    /// one now, or may be, and one that could not be removed, is told by its URL.
    async fn take_back(mut self) -> Option<String> {
        // A store that can not be reached now removes parts that are left by its own rules.
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

/// An answer of a store, which may take so long.
pub(super) async fn limited<T>(
    limit: Duration,
    work: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Stop> {
    match tokio::time::timeout(limit, work).await {
        Ok(answer) => answer.map_err(|error| store::fault(&error).into()),
        Err(_) => Err(RemoteError::Stalled { seconds: limit.as_secs() }.into()),
    }
}

/// Does what can not be undone while it is on its way: a deletion would overtake it. When the token
/// is set it may still take a while, and counts as failed.
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
