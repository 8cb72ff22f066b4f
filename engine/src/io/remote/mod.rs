//! Remote media: byte ranges of HTTP servers and object stores, copies, uploads.

mod cache;
mod client;
mod object;
mod origin;
#[cfg(all(unix, feature = "workers"))]
mod proxy;
#[cfg(not(all(unix, feature = "workers")))]
#[path = "no_proxy.rs"]
mod proxy;
mod ranged;
mod staged;
mod store;
mod transfer;
mod upload;

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::Ordering},
    time::Duration,
};

use url::Url;

use avocet_model::{
    error::{Error, Result},
    format::seek::ReadSeek,
    location::Location,
    media::Origin as Described,
    progress::{CancelToken, Fetched},
    remote::RemoteError,
};

use cache::Cache;
use client::{Client, wait};
use origin::{Facts, Origin};
use ranged::Ranged;
use staged::Staged;

#[cfg(all(unix, feature = "workers"))]
pub use proxy::{InputProxy, ProxiedInputs};
pub(super) use upload::{Sent, Upload};

use super::{FileReader, RemoteSettings, Unfinished, open_file};

/// Number of probed inputs that are kept open for the run that reads them.
const KEPT: usize = 16;

/// Opens remote inputs and outputs, with one client and one block cache for all of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remotes {
    settings: RemoteSettings,
    unfinished: Unfinished,
    shared: Arc<Common>,
}

#[derive(Debug, Default)]
struct Common {
    client: OnceLock<Client>,
    cache: OnceLock<Cache>,
    /// Inputs that were probed, kept for the run that follows; the last one is the newest.
    open: Mutex<Vec<Remote>>,
}

/// An open remote input.
#[derive(Clone, Debug)]
pub(super) struct Remote {
    url: Arc<str>,
    facts: Facts,
    origin: Arc<Origin>,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// By byte ranges.
    Ranged(Arc<Ranged>),
    /// By a whole copy.
    Staged(Arc<Staged>),
}

impl RemoteSettings {
    #[cfg(all(unix, feature = "workers"))]
    fn proxied(&self) -> Option<proxy::ProxiedInputs> {
        self.proxy.clone()
    }

    #[cfg(not(all(unix, feature = "workers")))]
    #[expect(clippy::unused_self, reason = "it stands in for the one above")]
    const fn proxied(&self) -> Option<proxy::ProxiedInputs> {
        None
    }
}

impl Remotes {
    pub(crate) fn new(settings: RemoteSettings, unfinished: Unfinished) -> Self {
        Self { settings, unfinished, shared: Arc::default() }
    }

    fn client(&self) -> Result<&Client, RemoteError> {
        if let Some(client) = self.shared.client.get() {
            return Ok(client);
        }
        let client = Client::new(&self.settings)?;
        Ok(self.shared.client.get_or_init(|| client))
    }

    /// Fetches inputs for a worker; see [`InputProxy`].
    #[cfg(all(unix, feature = "workers"))]
    pub(crate) fn serve(&self, stream: std::os::unix::net::UnixStream) -> io::Result<InputProxy> {
        InputProxy::serve(self.client()?.clone(), stream)
    }

    fn cache(&self) -> Cache {
        self.shared.cache.get_or_init(|| Cache::new(self.settings.cache_bytes)).clone()
    }

    fn origin(&self, url: &str) -> Result<Origin, RemoteError> {
        if let Some(inputs) = self.settings.proxied() {
            return Ok(Origin::proxied(inputs, url, &self.settings));
        }
        let url = Url::parse(url).map_err(no_url)?;
        Origin::new(self.client()?, &url)
    }

    /// Asks the origin about an input, also when it is known from before, and opens it. An input
    /// without byte ranges or a known length is copied to this machine.
    pub(super) fn open(
        &self,
        url: &str,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Fetched),
    ) -> io::Result<Remote> {
        let (origin, facts) = self.look(url, cancel)?;
        let known = self.known(url).filter(|known| known.facts == facts && facts.version.is_some());
        let remote = match (known, facts.length) {
            (Some(known), _) => known,
            (None, Some(length)) if facts.has_ranges => {
                let ranged = Ranged::new(Arc::clone(&origin), facts.clone(), length, self.cache());
                Remote { url: url.into(), facts, origin, way: Way::Ranged(Arc::new(ranged)) }
            }
            (None, _) => self.copy(url, origin, facts, cancel, observe)?,
        };
        let mut open = self.kept();
        open.retain(|other| *other.url != *url);
        if open.len() == KEPT {
            open.remove(0);
        }
        open.push(remote.clone());
        Ok(remote)
    }

    /// Returns an input that is still open from before, or opens it.
    pub(super) fn resume(
        &self,
        url: &str,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Fetched),
    ) -> io::Result<Remote> {
        self.known(url).map_or_else(|| self.open(url, cancel, observe), Ok)
    }

    /// Copies an input to this machine, unless it is copied already.
    pub(super) fn stage(
        &self,
        remote: &Remote,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Fetched),
    ) -> io::Result<Remote> {
        match remote.way {
            Way::Staged(_) => Ok(remote.clone()),
            Way::Ranged(_) => {
                let Remote { url, facts, origin, .. } = remote.clone();
                self.copy(&url, origin, facts, cancel, observe)
            }
        }
    }

    fn copy(
        &self,
        url: &str,
        origin: Arc<Origin>,
        facts: Facts,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Fetched),
    ) -> io::Result<Remote> {
        let staged = staged::stage(&origin, &facts, &self.unfinished, cancel, observe)?;
        Ok(Remote { url: url.into(), facts, origin, way: Way::Staged(Arc::new(staged)) })
    }

    /// Copies an input to a name; see [`staged::fetch`].
    pub(crate) fn fetch(
        &self,
        url: &str,
        target: &Path,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Fetched),
    ) -> io::Result<()> {
        let (origin, facts) = self.look(url, cancel)?;
        staged::fetch(&origin, &facts, target, cancel, observe)
    }

    /// Sends files to object stores: all, or none. The objects appear when the result is completed.
    pub(super) fn send(
        &self,
        uploads: Vec<Upload>,
        cancel: &CancelToken,
        observe: &mut dyn FnMut(Fetched),
    ) -> Result<Sent, (String, io::Error)> {
        let first = uploads.first().map(|upload| upload.url.clone()).unwrap_or_default();
        let client = self.client().map_err(|error| (first, error.into()))?;
        upload::send_all(client, uploads, cancel, observe)
    }

    /// Sends a POST request, and returns the status of the answer.
    pub(crate) fn post(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: String,
        limit: Duration,
    ) -> io::Result<u16> {
        let (client, headers) = (self.client()?.clone(), headers.to_vec());
        let url = Url::parse(url).map_err(no_url)?;
        let sent = async move { client.post(&url, &headers, body, limit).await };
        wait(sent, &CancelToken::new(), || ())
    }

    /// Writes, reads and removes an object, to see whether outputs can go there.
    pub(crate) fn try_out(&self, url: &str) -> io::Result<()> {
        let (client, url) = (self.client()?.clone(), Url::parse(url).map_err(no_url)?);
        wait(async move { object::try_out(&client, &url).await }, &CancelToken::new(), || ())
    }

    /// Removes an object.
    pub(crate) fn remove(&self, url: &str) -> io::Result<()> {
        let (client, url) = (self.client()?.clone(), Url::parse(url).map_err(no_url)?);
        wait(async move { object::remove(&client, &url).await }, &CancelToken::new(), || ())
    }

    /// A signed URL by which everybody may read an object for the time `lives`.
    pub(crate) fn sign(&self, url: &str, lives: Duration) -> io::Result<String> {
        let (client, url) = (self.client()?.clone(), Url::parse(url).map_err(no_url)?);
        wait(async move { object::sign(&client, &url, lives).await }, &CancelToken::new(), || ())
    }

    /// Checks that a URL names an object of a store; no request is sent. Other locations pass.
    pub(crate) fn check_target(&self, location: &Location) -> Result<()> {
        let Location::Url(url) = location else { return Ok(()) };
        let opened = self.client().and_then(|client| {
            let url = Url::parse(url).map_err(no_url)?;
            store::open(client, &Arc::default(), &url)
        });
        let failed =
            |error: RemoteError| Error::Write { location: location.clone(), source: error.into() };
        opened.map(drop).map_err(failed)
    }

    /// Whether two URLs name one object.
    pub(crate) fn is_same(one: &str, other: &str) -> bool {
        store::is_same(one, other)
    }

    /// Closes an input that was kept open, since its run is over.
    pub(crate) fn forget(&self, location: &Location) {
        let Location::Url(url) = location else { return };
        self.kept().retain(|remote| *remote.url != **url);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Remote>> {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, url: &str) -> Option<Remote> {
        self.kept().iter().find(|remote| *remote.url == *url).cloned()
    }

    fn look(&self, url: &str, cancel: &CancelToken) -> io::Result<(Arc<Origin>, Facts)> {
        let origin = Arc::new(self.origin(url)?);
        let asked = Arc::clone(&origin);
        let facts = wait(async move { transfer::look(&asked).await }, cancel, || ())?;
        Ok((origin, facts))
    }
}

fn no_url(error: url::ParseError) -> RemoteError {
    RemoteError::Refused(format!("it is not a valid URL: {error}"))
}

impl Remote {
    /// Opens it at its first byte.
    pub(super) fn open(&self, cancel: &CancelToken) -> io::Result<Box<dyn ReadSeek>> {
        match &self.way {
            Way::Ranged(ranged) => Ok(Box::new(ranged.open(cancel.clone()))),
            Way::Staged(staged) => {
                open_file(staged.path()).map(|file| Box::new(FileReader::new(file)) as _)
            }
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Where its copy is, if there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.way {
            Way::Ranged(_) => None,
            Way::Staged(staged) => Some(staged.path()),
        }
    }

    /// What its origin told of it.
    pub(super) fn described(&self) -> Described {
        Described {
            bytes: self.facts.length,
            version: self.facts.version.clone(),
            has_ranges: self.facts.has_ranges,
        }
    }

    /// Number of requests that were sent for it, and number of bytes that came.
    pub(super) fn counts(&self) -> (u64, u64) {
        let counts = &self.origin.counts;
        (counts.requests.load(Ordering::Relaxed), counts.bytes.load(Ordering::Relaxed))
    }
}
