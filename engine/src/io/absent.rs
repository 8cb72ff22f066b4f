//! Stands in for `remote` in a build without that feature, which refuses all remote locations.

#![expect(clippy::unused_self, reason = "these are the doors of what is there with the feature")]

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use avocet_model::{
    error::{Error, Result},
    format::seek::ReadSeek,
    location::Location,
    media::Origin,
    progress::{CancelToken, Fetched},
    remote::RemoteError,
};

use super::{RemoteSettings, Unfinished};

#[derive(Clone, Debug, Default)]
pub(crate) struct Remotes;

/// No value of this exists in such a build.
#[derive(Clone, Debug)]
pub(super) enum Remote {}

#[expect(dead_code, reason = "nothing is sent")]
pub(super) struct Upload {
    pub(super) file: PathBuf,
    pub(super) url: String,
    pub(super) replace: bool,
}

/// No value of this exists in such a build.
pub(super) enum Sent {}

impl Sent {
    pub(super) fn complete(
        self,
        _: &CancelToken,
    ) -> Result<(), ((String, io::Error), Vec<String>)> {
        match self {}
    }

    pub(super) fn take_back(self) -> Vec<String> {
        match self {}
    }
}

fn refused<T>() -> io::Result<T> {
    Err(RemoteError::Refused("this build lacks the feature `remote`".to_owned()).into())
}

impl Remotes {
    pub(crate) fn new(_: RemoteSettings, _: Unfinished) -> Self {
        Self
    }

    pub(super) fn open(
        &self,
        _: &str,
        _: &CancelToken,
        _: &mut dyn FnMut(Fetched),
    ) -> io::Result<Remote> {
        refused()
    }

    pub(super) fn resume(
        &self,
        _: &str,
        _: &CancelToken,
        _: &mut dyn FnMut(Fetched),
    ) -> io::Result<Remote> {
        refused()
    }

    pub(super) fn stage(
        &self,
        remote: &Remote,
        _: &CancelToken,
        _: &mut dyn FnMut(Fetched),
    ) -> io::Result<Remote> {
        match *remote {}
    }

    pub(crate) fn fetch(
        &self,
        _: &str,
        _: &Path,
        _: &CancelToken,
        _: &mut dyn FnMut(Fetched),
    ) -> io::Result<()> {
        refused()
    }

    pub(super) fn send(
        &self,
        uploads: Vec<Upload>,
        _: &CancelToken,
        _: &mut dyn FnMut(Fetched),
    ) -> Result<Sent, (String, io::Error)> {
        let url = uploads.into_iter().next().map(|upload| upload.url).unwrap_or_default();
        refused().map_err(|error| (url, error))
    }

    pub(crate) fn post(
        &self,
        _: &str,
        _: &[(String, String)],
        _: String,
        _: Duration,
    ) -> io::Result<u16> {
        refused()
    }

    pub(crate) fn try_out(&self, _: &str) -> io::Result<()> {
        refused()
    }

    pub(crate) fn remove(&self, _: &str) -> io::Result<()> {
        refused()
    }

    pub(crate) fn sign(&self, _: &str, _: Duration) -> io::Result<String> {
        refused()
    }

    pub(crate) fn is_same(one: &str, other: &str) -> bool {
        one == other
    }

    pub(crate) fn check_target(&self, location: &Location) -> Result<()> {
        let failed = |source| Error::Write { location: location.clone(), source };
        if matches!(location, Location::Url(_)) { refused().map_err(failed) } else { Ok(()) }
    }

    pub(crate) fn forget(&self, _: &Location) {}
}

impl Remote {
    pub(super) fn open(&self, _: &CancelToken) -> io::Result<Box<dyn ReadSeek>> {
        match *self {}
    }

    pub(super) fn url(&self) -> &str {
        match *self {}
    }

    pub(super) fn path(&self) -> Option<&Path> {
        match *self {}
    }

    pub(super) fn described(&self) -> Origin {
        match *self {}
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        match *self {}
    }
}
