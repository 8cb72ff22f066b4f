//! Operations on single objects of a store: a trial of writing, removal, signed URLs.

use std::{sync::Arc, time::Duration};

use object_store::ObjectStoreExt;
use reqwest::Method;
use url::Url;

use avocet_model::remote::RemoteError;

use super::{
    client::{Client, Counts},
    store::{self, Opened},
    transfer::Stop,
    upload::{LIMIT, limited},
};

/// Content of the object that is written only as a trial.
const TRIAL: &[u8] = b"written by avocet to see whether it can be";

fn open(client: &Client, url: &Url) -> Result<Opened, RemoteError> {
    store::open(client, &Arc::new(Counts::default()), url)
}

/// Writes an object, reads it, and removes it, to see whether the store allows that.
pub(super) async fn try_out(client: &Client, url: &Url) -> Result<(), Stop> {
    let Opened { store, key, .. } = open(client, url)?;
    limited(LIMIT, store.put(&key, TRIAL.into())).await?;
    let read = limited(LIMIT, async { store.get(&key).await?.bytes().await }).await;
    limited(LIMIT, store.delete(&key)).await?;
    if read? == TRIAL {
        return Ok(());
    }
    Err(RemoteError::Answer(
        "the object that was read differs from the one that was written".to_owned(),
    )
    .into())
}

/// Removes an object; one that is not there is removed already.
pub(super) async fn remove(client: &Client, url: &Url) -> Result<(), Stop> {
    let Opened { store, key, .. } = open(client, url)?;
    match limited(LIMIT, store.delete(&key)).await {
        Err(Stop::Remote(RemoteError::Status { status: 404, .. })) => Ok(()),
        done => done,
    }
}

/// A signed URL by which everybody may read an object for the time `lives`.
pub(super) async fn sign(client: &Client, url: &Url, lives: Duration) -> Result<String, Stop> {
    let Opened { signer, key, .. } = open(client, url)?;
    Ok(limited(LIMIT, signer.signed_url(Method::GET, &key, lives)).await?.to_string())
}
