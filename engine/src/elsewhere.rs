//! What services do elsewhere beside running plans: telling how jobs ended, and keeping outputs.

use std::{io, path::PathBuf, time::Duration};

use avocet_model::{
    error::{Error, Result},
    location::Location,
    progress::CancelToken,
};

use crate::engine::{Engine, or_cancelled};

/// Errors of all of these are [`Error::Write`], with the cause as a
/// [`RemoteError`](avocet_model::remote::RemoteError).
impl Engine {
    /// Sends a body by POST to where the settings let it go, follows no redirect, and tells the
    /// status of the answer, which must come within `limit`.
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
        self.remotes().post(url, headers, body, limit).map_err(of(url))
    }

    /// Writes a small object to a store, reads it again, and removes it: to see whether outputs
    /// can go there. `url` is as for outputs, as in `s3://bucket/name`.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn try_out(&self, url: &str) -> Result<()> {
        self.remotes().try_out(url).map_err(of(url))
    }

    /// Whether an output can go to a URL, as far as the URL and the settings tell; nothing is asked.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn check_output(&self, url: &str) -> Result<()> {
        self.remotes().check_target(&Location::Url(url.to_owned()))
    }

    /// Sends finished files to object stores, each to its URL: all of them, or none. An object that
    /// is there is replaced.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Cancelled`], [`Error::Unrestored`].
    pub fn upload(&self, files: Vec<(PathBuf, String)>, cancel: &CancelToken) -> Result<()> {
        let sent = self.remotes().deliver(files, cancel);
        sent.map_err(|error| or_cancelled(error, cancel))
    }

    /// Removes an object of a store; one that is not there is removed already.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn remove(&self, url: &str) -> Result<()> {
        self.remotes().remove(url).map_err(of(url))
    }

    /// A URL by which everybody may read an object of a store for as long as `lives`. Stores have
    /// limits of their own; Amazon's is a week.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn sign(&self, url: &str, lives: Duration) -> Result<String> {
        self.remotes().sign(url, lives).map_err(of(url))
    }
}

fn of(url: &str) -> impl FnOnce(io::Error) -> Error {
    let location = Location::Url(url.to_owned());
    move |source| Error::Write { location, source }
}
