//! Outputs that go to object stores: whole, or not at all.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use futures_util::{StreamExt, future, stream::FuturesUnordered};
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    path::Path as Key,
};
use url::Url;

use super::{
    client::{Client, Counts, TICK, wait},
    store::{self, Opened},
    transfer::Stop,
};
use crate::{io::RemoteError, progress::CancelToken};

/// What is sent in one piece at most, and how large parts are at least, in bytes. All parts but the
/// last have one size, as Cloudflare R2 wants it.
const PART: u64 = 8 << 20;

/// Into how many parts an object is cut at most; Amazon S3 takes 10,000.
const MOST_PARTS: u64 = 9000;

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

/// An object of which all is there but the word that it is complete.
struct Sent {
    store: Arc<dyn ObjectStore>,
    key: Key,
    replace: bool,
    size: u64,
    /// All of it, where it is small.
    whole: Option<PutPayload>,
    parts: Option<Box<dyn MultipartUpload>>,
}

/// Sends all files, and then says of each that it is complete.
///
/// After an error or a cancellation no part is left, and no object that was not there before.
pub(super) fn upload_all(
    client: &Client,
    uploads: Vec<Upload>,
    cancel: &CancelToken,
) -> io::Result<()> {
    let (client, token) = (client.clone(), cancel.clone());
    // The work looks at the token itself: what it leaves must be cleaned up first.
    wait(async move { send_all(&client, uploads, &token).await }, &CancelToken::new(), || ())
}

async fn send_all(client: &Client, uploads: Vec<Upload>, cancel: &CancelToken) -> Result<(), Stop> {
    let mut sent = Vec::new();
    let mut result = Ok(());
    for upload in uploads {
        match send(client, upload, cancel).await {
            Ok(object) => sent.push(object),
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    let mut complete = Vec::new();
    for mut object in sent {
        if result.is_ok() {
            match until_cancelled(object.complete(), cancel).await {
                Ok(()) => {
                    complete.push(object);
                    continue;
                }
                Err(error) => result = Err(error),
            }
        }
        object.abort().await;
    }
    if result.is_err() {
        for Sent { store, key, replace, .. } in complete {
            if !replace {
                // What can not be removed now could be made a moment ago.
                let _ = store.delete(&key).await;
            }
        }
    }
    result
}

/// Sends all of a file, and cleans up when that does not succeed.
async fn send(client: &Client, upload: Upload, cancel: &CancelToken) -> Result<Sent, Stop> {
    let url = Url::parse(&upload.url).map_err(|error| RemoteError::Refused(error.to_string()))?;
    let Opened { store, key } = store::open(client, &Arc::new(Counts::default()), &url)?;
    #[expect(clippy::disallowed_methods, reason = "this is the door that the rule points to")]
    let mut file = File::open(&upload.file).map_err(Stop::Local)?;
    let size = file.metadata().map_err(Stop::Local)?.len();
    let replace = upload.replace;
    if !replace {
        match until_cancelled(store.head(&key), cancel).await {
            Err(Stop::Remote(RemoteError::Status { status: 404, .. })) => {}
            Err(other) => return Err(other),
            Ok(_) => {
                let what = Some("there is such an object already".to_owned());
                return Err(RemoteError::Status { status: 409, what, after: None }.into());
            }
        }
    }
    let mut object = Sent { store, key, replace, size, whole: None, parts: None };
    if size <= PART {
        object.whole = Some(read(&mut file, size).map_err(Stop::Local)?);
        return Ok(object);
    }
    // Whoever begins must also abort, and is not dropped in between.
    let parts = object.store.put_multipart(&object.key).await;
    let parts = object.parts.insert(parts.map_err(|error| store::fault(&error))?);
    let sent = {
        let sending = send_parts(parts.as_mut(), &mut file, size);
        until_ended(sending, cancel).await
    };
    match sent {
        Ok(()) => Ok(object),
        Err(error) => {
            object.abort().await;
            Err(error)
        }
    }
}

async fn send_parts(
    parts: &mut dyn MultipartUpload,
    file: &mut File,
    size: u64,
) -> Result<(), Stop> {
    let part = PART.max(size.div_ceil(MOST_PARTS).next_multiple_of(1 << 20));
    let mut left = size;
    let mut moving = FuturesUnordered::new();
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

impl Sent {
    /// Makes the object appear, and looks whether it is as long as it should be.
    async fn complete(&mut self) -> object_store::Result<()> {
        if let Some(parts) = &mut self.parts {
            parts.complete().await?;
            self.parts = None;
        } else if let Some(whole) = self.whole.take() {
            let mode = if self.replace { PutMode::Overwrite } else { PutMode::Create };
            let options = PutOptions { mode, ..PutOptions::default() };
            self.store.put_opts(&self.key, whole, options).await?;
        }
        let found = self.store.head(&self.key).await?.size;
        if found == self.size {
            return Ok(());
        }
        let short = RemoteError::Short { got: found, expected: self.size };
        Err(object_store::Error::Generic { store: "upload", source: Box::new(short) })
    }

    async fn abort(&mut self) {
        if let Some(parts) = &mut self.parts {
            // A store that can not be reached now removes what is left by its own rules.
            if let Err(error) = parts.abort().await {
                tracing::warn!(%error, "an upload could not be aborted");
            }
            self.parts = None;
        }
    }
}

fn read(file: &mut File, bytes: u64) -> io::Result<PutPayload> {
    let mut piece = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
    file.read_exact(&mut piece)?;
    Ok(piece.into())
}

async fn until_cancelled<T>(
    work: impl Future<Output = object_store::Result<T>>,
    cancel: &CancelToken,
) -> Result<T, Stop> {
    let work = async { work.await.map_err(|error| Stop::from(store::fault(&error))) };
    until_ended(work, cancel).await
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
