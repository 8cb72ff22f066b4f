//! Object stores: Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.

use std::{collections::BTreeMap, error, sync::Arc};

use object_store::{
    ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    path::Path as Key,
    signer::Signer,
};
use url::Url;

use avocet_model::remote::RemoteError;

use super::client::{Client, Connector, Counts, deepest};

/// A store, and the key of an object in it.
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    /// What signs URLs of its objects.
    pub(super) signer: Arc<dyn Signer>,
    pub(super) key: Key,
}

/// The store that a URL names, set up by the environment and the settings; no request is sent yet.
pub(super) fn open(
    client: &Client,
    counts: &Arc<Counts>,
    url: &Url,
) -> Result<Opened, RemoteError> {
    check_options(&client.settings.stores)?;
    let (scheme, key) = object(url)?;
    let connector = Connector { client: client.clone(), counts: Arc::clone(counts) };
    // Whether http: is allowed is the client's decision.
    let options = ClientOptions::new().with_allow_http(true);
    // The store retries single requests itself; `transfer` resumes bodies that broke off.
    let retry = RetryConfig { max_retries: 3, ..RetryConfig::default() };
    let settings = &client.settings.stores;
    macro_rules! build {
        ($builder:ident) => {{
            let uses_environment = client.settings.uses_environment;
            let mut builder = if uses_environment { $builder::from_env() } else { $builder::new() };
            for (key, value) in settings {
                if let Ok(key) = key.parse() {
                    builder = builder.with_config(key, value);
                }
            }
            builder
                .with_url(url.as_str())
                .with_client_options(options)
                .with_retry(retry)
                .with_http_connector(connector)
                .build()
                .map(|store| {
                    let store = Arc::new(store);
                    (Arc::clone(&store) as Arc<dyn ObjectStore>, store as Arc<dyn Signer>)
                })
        }};
    }
    let store = match scheme {
        ObjectStoreScheme::AmazonS3 => build!(AmazonS3Builder),
        ObjectStoreScheme::GoogleCloudStorage => build!(GoogleCloudStorageBuilder),
        ObjectStoreScheme::MicrosoftAzure => build!(MicrosoftAzureBuilder),
        _ => return Err(no_object("its scheme is not that of a supported object store")),
    };
    let (store, signer) = store.map_err(|error| fault(&error))?;
    Ok(Opened { store, signer, key })
}

fn no_object(why: &str) -> RemoteError {
    RemoteError::Refused(format!("it does not name an object of a store: {why}"))
}

/// The kind of store that a URL names, and the key of the object. Error texts of libraries are left
/// out, since they show the whole URL.
fn object(url: &Url) -> Result<(ObjectStoreScheme, Key), RemoteError> {
    if url.query().is_some() || url.fragment().is_some() {
        return Err(no_object("`?` and `#` in a name are written %3F and %23"));
    }
    let (scheme, path) = ObjectStoreScheme::parse(url)
        .map_err(|_| no_object("allowed are s3:, gs: and az:, with a bucket and a name"))?;
    let is_bare = path.as_ref().is_empty();
    if is_bare { Err(no_object("it names a bucket but no object")) } else { Ok((scheme, path)) }
}

/// Whether two URLs name one object, however they are written.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let named = |url: &str| {
        let url = Url::parse(url).ok()?;
        let (scheme, key) = object(&url).ok()?;
        Some((format!("{scheme:?}"), url.host_str()?.to_owned(), key))
    };
    one == other || named(one).is_some_and(|one| named(other) == Some(one))
}

/// Fails for an option that no store knows, which would be ignored in silence.
fn check_options(options: &BTreeMap<String, String>) -> Result<(), RemoteError> {
    let is_known = |key: &String| {
        key.parse::<AmazonS3ConfigKey>().is_ok()
            || key.parse::<GoogleConfigKey>().is_ok()
            || key.parse::<AzureConfigKey>().is_ok()
    };
    match options.keys().find(|key| !is_known(key)) {
        Some(key) => Err(RemoteError::Refused(format!("no object store has the option `{key}`"))),
        None => Ok(()),
    }
}

/// Converts the error of a store.
pub(super) fn fault(error: &object_store::Error) -> RemoteError {
    let chain = || {
        std::iter::successors(Some(error as &(dyn error::Error + 'static)), |error| error.source())
    };
    if let Some(known) = chain().find_map(|error| error.downcast_ref::<RemoteError>()) {
        return known.clone();
    }
    let status = |status, what: &str| RemoteError::Status {
        status,
        what: Some(what.to_owned()),
        after: None,
    };
    match error {
        object_store::Error::NotFound { .. } => status(404, "there is no such object or bucket"),
        object_store::Error::PermissionDenied { .. } => {
            status(403, "these credentials do not permit this")
        }
        object_store::Error::Unauthenticated { .. } => {
            status(401, "the credentials are missing or wrong")
        }
        object_store::Error::AlreadyExists { .. } => status(409, "the object exists already"),
        _ => {
            let text = deepest(error).to_string();
            // The status code is in the text of the error only.
            let code =
                text.split("status code: ").nth(1).and_then(|rest| rest.get(..3)?.parse().ok());
            match code {
                Some(code) => RemoteError::Status { status: code, what: None, after: None },
                None => RemoteError::Transport(plain(&text)),
            }
        }
    }
}

/// The beginning of a text of a library or server, without control characters.
fn plain(text: &str) -> String {
    const MOST: usize = 300;
    text.chars().filter(|letter| !letter.is_control()).take(MOST).collect()
}
