//! The job API of Avocet: an HTTP server that keeps all its state in SQLite and one data folder.

#![forbid(unsafe_code)]

mod admin;
mod api;
mod codes;
mod disk;
#[cfg(feature = "door")]
pub mod door;
mod due;
mod jobs;
mod metrics;
mod model;
mod outputs;
mod rates;
mod roots;
mod service;
mod store;
mod uploads;
mod view;
mod webhooks;
mod workers;

use std::{
    collections::HashSet,
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use avocet_engine::{
    Elsewhere,
    workers::{Sandbox, find_ffmpeg},
};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use rustix::{
    fs::{FlockOperation, flock},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet, time::timeout};
use tokio_io_timeout::TimeoutStream;

pub use admin::{Admin, AdminError, Backup, NewKey};
pub use model::{
    config::{Config, ConfigError, Confinement, LogFormat},
    keys::KeyKind,
    protocol,
};
/// What a worker process needs of the engine beside a library's users.
pub mod worker {
    #[cfg(feature = "door")]
    pub use avocet_engine::door;
    pub use avocet_engine::{ProxiedInputs, workers::hide_memory};
}

use model::{clock, keys::Keys, scope::Scope, secret};
use service::Service;
pub use store::StoreError;
use store::{DATABASE, DEFAULT_PROJECT, NewToken, Store};
use uploads::{UPLOADING, UPLOADS, Uploads};
use workers::Program;

/// An input that every service has, for a first try: a clip of three seconds.
pub const SAMPLE: &str = "root:sample/clip.mp4";

/// The folder of the sample, below the data folder.
const SAMPLES: &str = "sample";

/// The file of the data folder that holds the first API key, in plain text.
const KEY_FILE: &str = "api-key";

/// How long a connection may take to send the head of a request, and how long it may be idle
/// between two requests.
const TO_ASK: Duration = Duration::from_secs(60);

/// How long a client may take to read what was sent to it, until more fits into the socket.
const TO_READ: Duration = Duration::from_secs(60);

/// How many descriptors are for other things than connections: the database, workers, their inputs.
const OTHER_FILES: u64 = 512;

/// The most connections at once, where the limit of descriptors allows so many.
const MOST_CONNECTIONS: u64 = 16_384;

/// How long open requests and running jobs have to end once the service shuts down.
const TO_END: Duration = Duration::from_secs(5);

/// Why a service can not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The data folder, a file in it, or the listening address can not be used.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system answered.
        source: io::Error,
    },
    /// The data folder holds files, and none is the database of a service.
    #[error(
        "the data folder {} is not empty and has no `{DATABASE}`, so no service made it; use \
         another folder",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The configuration requires confined workers, and this kernel can not confine them.
    #[error("`confinement` is \"required\", but {0}; \"best\" runs jobs all the same")]
    Unconfined(String),
    /// The database can not be opened, or a query failed.
    #[error("the database of the data folder: {0}")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ServeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl ServeError {
    /// The machine-readable error code: `VALIDATION_ERROR` or `CONFIG_ERROR`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Foreign(_) => "VALIDATION_ERROR",
            Self::Io { .. } | Self::Store(_) | Self::Unconfined(_) => "CONFIG_ERROR",
        }
    }
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> ServeError {
    let what = what.into();
    move |source| ServeError::Io { what, source }
}

/// What the caller of [`serve`] is told once the service listens.
#[derive(Clone, Debug)]
pub struct Started {
    /// The address that the service listens on.
    pub address: SocketAddr,
    /// The base of the URLs that the service hands out, without a slash at its end.
    pub public_url: String,
    /// The first API key, if this start made it.
    pub key: Option<String>,
    /// A link that signs in once, within ten minutes, to the page of the service.
    pub sign_in: String,
}

/// Runs a service until `ended` completes. Then it takes no more work, and running jobs may go on for
/// `drain_seconds`, or until `at_once` completes; what still runs is given back to the queue. It
/// returns within some seconds of that.
/// Workers are processes of `program`, started with the argument `worker`.
///
/// # Errors
/// [`ServeError`] when the service can not start; no connection was accepted by then.
pub async fn serve(
    mut config: Config,
    program: PathBuf,
    started: impl FnOnce(&Started),
    ended: impl Future<Output = ()>,
    at_once: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let data = config.data.clone();
    let sandbox = sandbox(config.confinement)?;
    let _lock = open_folder(&data)?;
    let sample = put_sample(&data).map_err(io_error("the folder of the sample"))?;
    // A folder of the operator's with this name has the precedence.
    config.input_roots.entry(SAMPLES.to_owned()).or_insert(sample);
    let store = Store::open(&data).await?;
    let keys = Keys::open(&data).map_err(io_error("the keys of the data folder"))?;
    if store.setting(DEFAULT_PROJECT, "webhookSecret").await?.is_none() {
        store.set(DEFAULT_PROJECT, "webhookSecret", Some(&secret::new_webhook_secret())).await?;
    }
    renew_secrets(&store, &keys).await?;
    let uploads = Uploads::new(data.join(UPLOADS));
    for job in store.recover().await? {
        tracing::info!(job, "the job is run again");
    }
    let connections = usize::try_from(raise_limit()).unwrap_or(64);
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.map_err(io_error(format!("can not listen on {}", config.listen)))?;
    let address = listener.local_addr().map_err(io_error("the listening address"))?;
    let key = first_key(&store, &data).await?;
    let public_url = public_url(&config, address);

    let elsewhere = Elsewhere::new(config.remote());
    let program = Program {
        path: program.canonicalize().unwrap_or(program),
        ffmpeg: find_ffmpeg(),
        folder: data.join(WORK),
        sandbox,
        fetcher: elsewhere.clone(),
    };
    let service = Service::new(config, store, keys, uploads, public_url.clone(), program);
    service.pool.refill();
    let (mut tasks, mut runners) = (JoinSet::new(), JoinSet::new());
    runners.spawn(jobs::run(service.clone()));
    tasks.spawn(webhooks::run(service.clone(), elsewhere));
    tasks.spawn(jobs::leftovers::run(service.clone()));
    tasks.spawn(tend(service.clone()));
    tasks.spawn(tend_workers(service.clone()));
    let sign_in = format!("{public_url}/#/sign-in/{}", service.codes.give());
    started(&Started { address, public_url, key, sign_in });

    let drained = async {
        ended.await;
        service.drain();
        let limit = Duration::from_secs(service.config.drain_seconds);
        tracing::info!(seconds = limit.as_secs(), "no new work is begun; running jobs have time");
        let ran = async { while runners.join_next().await.is_some() {} };
        tokio::select! {
            _ = timeout(limit, ran) => {}
            () = at_once => tracing::info!("running jobs are given back at once"),
        }
    };
    let open = answer(listener, connections, api::router(service.clone()), drained).await;
    tracing::info!("shutting down");
    service.end();
    let tasks = async {
        while runners.join_next().await.is_some() {}
        while tasks.join_next().await.is_some() {}
    };
    let _ = timeout(TO_END, async { tokio::join!(open.shutdown(), tasks) }).await;
    Ok(())
}

/// Accepts connections until `ended` completes, and returns the connections that are open by then.
async fn answer(
    listener: TcpListener,
    connections: usize,
    router: Router,
    ended: impl Future<Output = ()>,
) -> GracefulShutdown {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(TO_ASK);
    let (open, mut ended) = (GracefulShutdown::new(), std::pin::pin!(ended));
    let places = Arc::new(Semaphore::new(connections));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ended => return open,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    tracing::warn!(connections, "a connection was closed: there are too many");
                    continue;
                };
                let _ = stream.set_nodelay(true);
                // A client that does not read would hold its connection for ever.
                let mut stream = Box::pin(TimeoutStream::new(stream));
                stream.as_mut().set_write_timeout_pinned(Some(TO_READ));
                let service = TowerToHyperService::new(router.clone());
                let connection = http.serve_connection(TokioIo::new(stream), service);
                // A connection that fails needs no report: its client has gone away.
                let connection = open.watch(connection);
                tokio::spawn(async move {
                    drop(connection.await);
                    drop(place);
                });
            }
            Err(error) => {
                // The usual cause is too many open files: wait for connections to close.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// What is enforced on workers.
fn sandbox(wanted: Confinement) -> Result<Sandbox, ServeError> {
    if wanted == Confinement::Off {
        tracing::warn!("workers are not confined, since `confinement` is \"off\"");
        return Ok(Sandbox::none());
    }
    let sandbox = Sandbox::of_this_kernel();
    match sandbox.missing() {
        Some(missing) if wanted == Confinement::Required => Err(ServeError::Unconfined(missing)),
        Some(missing) => {
            tracing::warn!(missing, "workers are not wholly confined");
            Ok(sandbox)
        }
        None => Ok(sandbox),
    }
}

/// Raises the soft limit of descriptors to the hard one. Returns how many connections fit then.
fn raise_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { raised } else { limit };
    let files = now.current.unwrap_or(u64::MAX);
    files.saturating_sub(OTHER_FILES).max(files / 2).min(MOST_CONNECTIONS)
}

/// The base of URLs that are handed out, without a slash at its end.
fn public_url(config: &Config, address: SocketAddr) -> String {
    match &config.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        // An unspecified address, such as 0.0.0.0, is no address to connect to.
        None if address.ip().is_unspecified() => format!("http://localhost:{}", address.port()),
        None => format!("http://{address}"),
    }
}

/// The folder for the work in progress, below the data folder.
const WORK: &str = "work";

/// Refuses a folder that belongs to something else. A service's folder is known by its database,
/// which is the first file that a service makes. An empty file system has `lost+found`.
fn expect_ours(data: &Path) -> Result<(), ServeError> {
    let failed = |error| io_error(format!("the data folder {}", data.display()))(error);
    let database = data.join(DATABASE);
    if database.is_file() {
        return Ok(());
    }
    std::fs::create_dir_all(data).map_err(failed)?;
    for entry in std::fs::read_dir(data).map_err(failed)? {
        if entry.map_err(failed)?.file_name() != "lost+found" {
            return Err(ServeError::Foreign(data.to_owned()));
        }
    }
    #[expect(clippy::disallowed_methods, reason = "a database is no media")]
    let made = std::fs::File::create_new(&database);
    match made {
        // Another starting service has made the file; the lock file decides between the two.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Makes the folders of a service. They belong to this process while it holds the lock file.
fn open_folder(data: &Path) -> Result<std::fs::File, ServeError> {
    expect_ours(data)?;
    let folder = |path: PathBuf| {
        std::fs::create_dir_all(&path).map_err(io_error(format!("the folder {}", path.display())))
    };
    folder(data.join("files"))?;
    folder(data.join(UPLOADS))?;
    // Documents and outputs are private to the user that runs the service.
    let private = std::fs::Permissions::from_mode(0o700);
    if let Err(error) = std::fs::set_permissions(data, private) {
        tracing::warn!(%error, "other users may be able to read the data folder");
    }
    let path = data.join("lock");
    #[expect(clippy::disallowed_methods, reason = "a lock is no media")]
    let lock = std::fs::File::create(&path).map_err(io_error(format!("{}", path.display())))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| {
        let what = format!("another service uses the folder {}", data.display());
        io_error(what)(error.into())
    })?;
    // Work that an earlier process did not finish belongs to jobs that begin anew.
    let _ = std::fs::remove_dir_all(data.join(WORK));
    folder(data.join(WORK))?;
    Ok(lock)
}

/// Writes the sample into a folder of its own, which is returned.
fn put_sample(data: &Path) -> io::Result<PathBuf> {
    /// Made by the `ffmpeg` program: its `testsrc2` as H.264, and a tone as AAC.
    const CLIP: &[u8] = include_bytes!("../assets/sample.mp4");
    let folder = data.join(SAMPLES);
    std::fs::create_dir_all(&folder)?;
    // It appears whole, and one of an earlier release is replaced.
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    file.write_all(CLIP)?;
    file.persist(folder.join("clip.mp4"))?;
    Ok(folder)
}

/// Writes down when keys were last used, and removes what is past its retention, once a minute.
async fn tend(service: Service) {
    const EVERY: Duration = Duration::from_secs(60);
    loop {
        for (token, at) in service.take_uses() {
            if let Err(error) = service.store.used_token(&token, at).await {
                tracing::warn!(%error, "the last use of a key was not stored");
            }
        }
        if service.is_ending() {
            return;
        }
        if let Err(error) = retain(&service).await {
            tracing::warn!(%error, "expired outputs or idempotency keys were not removed");
        }
        // A service that ends meanwhile writes the last uses down before it returns.
        service.goes_on(EVERY).await;
    }
}

/// Looks at idle workers every five seconds.
async fn tend_workers(service: Service) {
    while service.goes_on(Duration::from_secs(5)).await {
        service.tend_workers().await;
    }
}

/// Removes what is past its retention: uploads, outputs, jobs with all that is known of them, and
/// idempotency keys after a week.
async fn retain(service: &Service) -> Result<(), sqlx::Error> {
    const DAY: i64 = 24 * 3600 * 1000;
    let (store, config) = (&service.store, &service.config);
    let before = |days: u32| (days > 0).then(|| clock::millis() - i64::from(days) * DAY);
    store.forget_keys(clock::millis() - 7 * DAY).await?;
    if let Err(error) = tidy_uploads(service).await? {
        tracing::warn!(%error, "the folder of uploads was not tidied");
    }
    if let Some(instant) = before(config.retention_days) {
        let mut last = String::new();
        while let jobs = store.kept_since_before(instant, &last).await?
            && let Some(job) = jobs.last()
        {
            last.clone_from(&job.id);
            for job in &jobs {
                match service.remove_outputs(job).await? {
                    Ok(count) => {
                        tracing::info!(job = job.id, count, "expired outputs were removed");
                    }
                    Err(error) => tracing::debug!(
                        error,
                        job = job.id,
                        "an expired output could not be removed"
                    ),
                }
            }
        }
    }
    if let Some(instant) = before(config.job_retention_days) {
        let mut last = String::new();
        while let jobs = store.ended_before(instant, &last).await?
            && let Some(job) = jobs.last()
        {
            last.clone_from(&job.id);
            for job in &jobs {
                match service.delete(job).await? {
                    Ok(_) => tracing::info!(job = job.id, "an expired job was removed"),
                    Err(error) => tracing::debug!(
                        error,
                        job = job.id,
                        "an output of an expired job could not be removed"
                    ),
                }
            }
        }
    }
    Ok(())
}

/// Forgets uploads that have expired, and removes the files of uploads that are not known any more.
async fn tidy_uploads(service: &Service) -> Result<io::Result<()>, sqlx::Error> {
    let (store, uploads, now) = (&service.store, &service.uploads, clock::millis());
    for id in uploads.busy() {
        store.keep_upload(&id, now + UPLOADING).await?;
    }
    for id in store.forget_uploads(now).await? {
        tracing::info!(upload = id, "an expired upload is removed");
    }
    // Files first: those that are made from now on have their row before.
    let files = match uploads.ids() {
        Ok(files) => files,
        Err(error) => return Ok(Err(error)),
    };
    let known: HashSet<String> = store.all_uploads().await?.into_iter().map(|row| row.id).collect();
    Ok(files.iter().filter(|id| !known.contains(*id)).try_for_each(|id| uploads.remove(id)))
}

/// Encrypts secrets anew whose key is not the newest one.
async fn renew_secrets(store: &Store, keys: &Keys) -> Result<(), sqlx::Error> {
    for mut row in store.all_providers().await? {
        if let Some(sealed) = keys.renewed(&row.id, &row.secrets) {
            row.secrets = sealed;
            store.put_provider(&row).await?;
            tracing::info!(provider = row.id, "a secret was encrypted with the newest key");
        }
    }
    Ok(())
}

/// Makes an API key when there is none yet, and writes it to a file of the data folder.
async fn first_key(store: &Store, data: &Path) -> Result<Option<String>, ServeError> {
    if !store.tokens(None).await?.is_empty() {
        return Ok(None);
    }
    let key = secret::new_key();
    let path = data.join(KEY_FILE);
    // A start that failed before the key reached the database has left an invalid key.
    let _ = std::fs::remove_file(&path);
    let failed = io_error(format!("the key file {}", path.display()));
    secret::write(&path, key.as_bytes()).map_err(failed)?;
    let new = NewToken::of_program(DEFAULT_PROJECT, "first key", &Scope::ALL);
    store.new_token(new, &key).await?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_begin_with_an_address_to_go_to() {
        let at = |listen: &str, url: Option<&str>| {
            let config = Config { public_url: url.map(str::to_owned), ..Config::default() };
            public_url(&config, listen.parse().unwrap_or(config.listen))
        };
        assert_eq!(at("127.0.0.1:80", None), "http://127.0.0.1:80");
        assert_eq!(at("0.0.0.0:9000", None), "http://localhost:9000");
        assert_eq!(at("0.0.0.0:9000", Some("https://a.example/")), "https://a.example");
    }
}
