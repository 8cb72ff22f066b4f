//! The job API of Avocet: one program, SQLite and a folder, nothing else to install.

#![forbid(unsafe_code)]

mod api;
mod config;
mod coordinator;
mod pool;
mod problem;
pub mod protocol;
mod secret;
mod service;
mod starters;
mod store;
mod webhook;

use std::{
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use avocet_engine::{Engine, Reach, RemoteSettings, Settings};
use tokio::net::TcpListener;

pub use config::{Config, ConfigError};
use pool::Recipe;
use secret::Keys;
use service::Service;
use store::Store;

/// The name of the file with the first key.
const KEY_FILE: &str = "api-key";

/// How long running requests and jobs may take to end.
const TO_END: Duration = Duration::from_secs(5);

/// Why a service can not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The folder, or the address.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system answered.
        source: io::Error,
    },
    /// The database.
    #[error("the database of the data folder: {0}")]
    Store(#[from] sqlx::Error),
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> ServeError {
    let what = what.into();
    move |source| ServeError::Io { what, source }
}

/// What the one who started a service is told.
#[derive(Clone, Debug)]
pub struct Started {
    /// Where it listens.
    pub address: SocketAddr,
    /// The base of its URLs.
    pub public_url: String,
    /// The first key, when this is the first start.
    pub key: Option<String>,
}

/// Runs a service until `ended` is done: then it takes no more work, gives back what runs, and ends.
/// Workers are `program`, started with the argument `worker`.
///
/// # Errors
/// [`ServeError`], before anything is listened to.
pub async fn serve(
    config: Config,
    program: PathBuf,
    started: impl FnOnce(&Started),
    ended: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let data = config.data.clone();
    let folder = |name: &str| {
        let path = data.join(name);
        std::fs::create_dir_all(&path).map_err(io_error(format!("the folder {}", path.display())))
    };
    folder("files")?;
    // What an earlier run left half-way belongs to jobs that begin anew.
    let _ = std::fs::remove_dir_all(data.join("work"));
    folder("work/temporary")?;
    let store = Store::open(&data).await?;
    let keys = keys(&data).map_err(io_error("the keys of the data folder"))?;
    if store.setting("webhookSecret").await?.is_none() {
        store.set("webhookSecret", Some(&secret::new_webhook_secret())).await?;
    }
    let key = first_key(&store, &data).await?;
    let given_back = store.recover().await?;
    if given_back > 0 {
        tracing::info!(given_back, "jobs begin anew that were not at their end");
    }
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.map_err(io_error(format!("listening on {}", config.listen)))?;
    let address = listener.local_addr().map_err(io_error("the address"))?;
    let public_url = config.public_url.clone().unwrap_or_else(|| format!("http://{address}"));
    let public_url = public_url.trim_end_matches('/').to_owned();

    let service = Service::new(config, store, keys, public_url.clone());
    started(&Started { address, public_url, key });
    let mut tasks = tokio::task::JoinSet::new();
    let (threads, workers) = shares(&service.config);
    let recipe = recipe(&service, program);
    for _ in 0..workers {
        tasks.spawn(coordinator::run(service.clone(), recipe.clone(), threads));
    }
    let remote = RemoteSettings { reach: reach(&service.config), ..RemoteSettings::default() };
    let engine = Engine::new(Settings { remote, ..Settings::default() });
    tasks.spawn(webhook::run(service.clone(), engine));
    tasks.spawn(tend(service.clone()));

    let (router, ending) = (api::router(service.clone()), service.clone());
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        ended.await;
        ending.end();
    });
    let served = tokio::select! {
        served = async { server.await } => served,
        // Somebody who listens to events for ever holds nobody.
        () = async { service.ended.notified().await; tokio::time::sleep(TO_END).await } => Ok(()),
    };
    service.end();
    let _ = tokio::time::timeout(TO_END, async { while tasks.join_next().await.is_some() {} }).await;
    served.map_err(io_error("serving"))
}

fn reach(config: &Config) -> Reach {
    if config.allow_private_network { Reach::Any } else { Reach::Public }
}

/// Threads of each job, and how many jobs run at once.
fn shares(config: &Config) -> (u32, u32) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let all = config.threads.map_or(u32::try_from(processors).unwrap_or(1), u32::from);
    let workers = config.workers.map_or((all / 2).max(1), u32::from);
    ((all / workers).max(1), workers)
}

fn recipe(service: &Service, program: PathBuf) -> Recipe {
    let config = &service.config;
    let limits = serde_json::json!({
        "anywhere": config.allow_private_network,
        "mostInputBytes": config.most_input_bytes,
        "mostMediaSeconds": config.most_media_seconds,
        "mostPixels": config.most_pixels,
        "unconfined": config.unconfined_ffmpeg,
    });
    Recipe {
        program,
        variables: vec![("AVOCET_WORKER_LIMITS".to_owned(), limits.to_string())],
        temporary: service.work_folder().join("temporary"),
    }
}

/// Writes down when keys were used, and removes what is too old to keep.
async fn tend(service: Service) {
    const EVERY: Duration = Duration::from_secs(60);
    loop {
        let ends = tokio::time::timeout(EVERY, service.ended.notified()).await.is_ok();
        for (token, _) in service.take_uses() {
            if let Err(error) = service.store.used_token(&token).await {
                tracing::warn!(%error, "the use of a key was not noted");
            }
        }
        if ends || service.is_ending() {
            return;
        }
    }
}

/// The keys of a data folder, made at the first start.
fn keys(data: &Path) -> io::Result<Keys> {
    let path = data.join("keys");
    #[expect(clippy::disallowed_methods, reason = "keys are no media")]
    let found = std::fs::read(&path);
    match found {
        Ok(bytes) => {
            let wrong = || io::Error::new(io::ErrorKind::InvalidData, "the file has no 64 bytes");
            let bytes: [u8; 64] = bytes.try_into().map_err(|_| wrong())?;
            Ok(Keys::new(&bytes))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bytes = secret::random::<64>();
            write_secret(&path, &bytes)?;
            Ok(Keys::new(&bytes))
        }
        Err(error) => Err(error),
    }
}

/// Writes a file that nobody else may read.
fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    #[expect(clippy::disallowed_methods, reason = "keys are no media")]
    let mut file = options.open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a key at the first start, and leaves it in the data folder.
async fn first_key(store: &Store, data: &Path) -> Result<Option<String>, ServeError> {
    if !store.tokens().await?.is_empty() {
        return Ok(None);
    }
    let (_, key) = store.new_token("first key").await?;
    let path = data.join(KEY_FILE);
    // One of a data folder that was here before is of no use any more.
    let _ = std::fs::remove_file(&path);
    write_secret(&path, key.as_bytes()).map_err(io_error(format!("the key file {}", path.display())))?;
    Ok(Some(key))
}

/// Makes a key in a data folder, whether a service runs or not.
///
/// # Errors
/// [`ServeError`] when there is no such folder.
pub async fn create_token(data: &Path, name: &str) -> Result<String, ServeError> {
    let store = Store::open(data).await?;
    Ok(store.new_token(name).await?.1)
}
