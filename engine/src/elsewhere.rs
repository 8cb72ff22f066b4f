//! What services do on remote servers beside running plans: sending webhooks, and storing outputs.

use std::{io, path::PathBuf, time::Duration};

use avocet_model::{
    error::{Error, Result},
    location::Location,
    progress::CancelToken,
};

use crate::{
    engine::or_cancelled,
    io::{RemoteSettings, Remotes, Unfinished},
};

/// Sends requests and files to where the settings let it: for services, which do more on servers and
/// in stores than to run plans. Cheap to clone.
///
/// When a server or a store fails, the error is [`Error::Write`], with the cause as a
/// [`RemoteError`](avocet_model::remote::RemoteError).
#[derive(Clone, Debug)]
pub struct Elsewhere(Remotes);

impl Elsewhere {
    /// One that goes as far as the settings let it, with their credentials.
    pub fn new(settings: RemoteSettings) -> Self {
        Self(Remotes::new(settings, Unfinished::default()))
    }

    /// Fetches inputs for a worker that has no network, over a socket whose other end is its
    /// [`ProxiedInputs`](crate::ProxiedInputs). Must be called in a tokio runtime, which does the
    /// work.
    ///
    /// # Errors
    /// That of the system, when the socket can not be used.
    #[cfg(all(unix, feature = "workers"))]
    pub fn fetch_for(
        &self,
        worker: std::os::unix::net::UnixStream,
    ) -> io::Result<crate::InputProxy> {
        self.0.serve(worker)
    }

    /// Sends a body by POST to a URL that the settings allow, without following redirects. Answers
    /// the HTTP status, for which it waits as long as `limit` at most.
    ///
    /// # Errors
    /// [`Error::Write`] when there is no answer.
    pub fn post(
        &self,
        url: &str,
        headers: &[(String, String)],
        body: String,
        limit: Duration,
    ) -> Result<u16> {
        self.0.post(url, headers, body, limit).map_err(of(url))
    }

    /// Writes a small object to a store, reads it again, and removes it, to see whether outputs can
    /// go there. `url` is as for outputs, as in `s3://bucket/name`.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn try_out(&self, url: &str) -> Result<()> {
        self.0.try_out(url).map_err(of(url))
    }

    /// Checks whether an output can go to a URL, as far as the URL and the settings tell. No
    /// request is sent.
    ///
    /// # Errors
    /// [`Error::Write`] when it can not.
    pub fn check_output(&self, url: &str) -> Result<()> {
        self.0.check_target(&Location::Url(url.to_owned()))
    }

    /// Sends finished files to object stores, each to its URL: all of them, or none. Existing
    /// objects are replaced.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Cancelled`]; [`Error::Unrestored`] when a failure could not be
    /// undone.
    pub fn upload(&self, files: Vec<(PathBuf, String)>, cancel: &CancelToken) -> Result<()> {
        let sent = self.0.deliver(files, cancel);
        sent.map_err(|error| or_cancelled(error, cancel))
    }

    /// Removes an object of a store. It is no error if there is none.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn remove(&self, url: &str) -> Result<()> {
        self.0.remove(url).map_err(of(url))
    }

    /// A signed URL, by which anybody may read an object of a store for as long as `lives`. Stores
    /// have limits of their own; Amazon's is a week.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn sign(&self, url: &str, lives: Duration) -> Result<String> {
        self.0.sign(url, lives).map_err(of(url))
    }
}

fn of(url: &str) -> impl FnOnce(io::Error) -> Error {
    let location = Location::Url(url.to_owned());
    move |source| Error::Write { location, source }
}
