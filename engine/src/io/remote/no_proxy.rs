//! Stands in for `proxy` in a build without the feature `workers`.

#![expect(clippy::unused_async, reason = "these are the doors of what is there with the feature")]

use bytes::Bytes;

use avocet_model::remote::RemoteError;

use super::origin::Facts;

/// No value of this exists in such a build.
#[derive(Clone, Debug)]
pub(crate) enum ProxiedInputs {}

/// No value of this exists in such a build.
pub(super) enum Answer {}

impl ProxiedInputs {
    pub(super) async fn look(&self, _: &str) -> Result<Facts, RemoteError> {
        match *self {}
    }

    pub(super) async fn get(
        &self,
        _: &str,
        _: u64,
        _: Option<u64>,
        _: &Facts,
    ) -> Result<Answer, RemoteError> {
        match *self {}
    }
}

impl Answer {
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, RemoteError> {
        match *self {}
    }
}
