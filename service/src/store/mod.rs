//! The state that must last, in SQLite; the SQL is such that other databases could run it, too.
//!
//! One connection writes, several read. A commit is on the disk before a request is answered.

mod accounts;
mod deliveries;
mod jobs;
mod leftovers;
mod migrations;
mod projects;
mod providers;
mod queue;
mod unsent;
mod uploads;

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    Executor, Sqlite, SqlitePool, Transaction,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub(crate) use accounts::{Holder, NewToken, PresetRow, TokenRow};
pub(crate) use deliveries::{AttemptRow, DeliveryRow, Outcome};
pub(crate) use jobs::{Created, End, JobRow, Settled, State, Wanted};
pub(crate) use leftovers::Leftover;
pub(crate) use projects::{DEFAULT_PROJECT, ProjectRow};
pub(crate) use providers::ProviderRow;
pub(crate) use queue::{TOO_OFTEN, Task};
pub(crate) use uploads::{MOST_UPLOADS, UploadRow};

use ulid::{Generator, Ulid};

/// Why a database can not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A later release has written it.
    #[error(
        "a later release of Avocet has written the database (its form is {found}, and this release \
         knows {known}): run that release, or restore a backup that was made before it"
    )]
    Newer {
        /// The form of the database.
        found: i64,
        /// The form that this release makes.
        known: i64,
    },
    /// An earlier release has written it, and no service of this release has run since.
    #[error(
        "an earlier release of Avocet has written the database (its form is {found}, and this \
         release makes {known}): start `avocet serve` of this release first"
    )]
    Older {
        /// The form of the database.
        found: i64,
        /// The form that this release makes.
        known: i64,
    },
    /// It can not be opened, or a query failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    writer: SqlitePool,
    reader: SqlitePool,
}

/// How long a write waits for the lock of the database.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The file name of the database, in the data folder.
pub(crate) const DATABASE: &str = "avocet.db";

/// Takes the write lock at once. A transaction that reads first and writes later fails in SQLite
/// when another connection, as of `avocet token create`, has written in between.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// An id (ULID) that sorts by time, also among ids of the same millisecond.
pub(crate) fn new_id() -> String {
    static IDS: Mutex<Generator> = Mutex::new(Generator::new());
    let next = IDS.lock().unwrap_or_else(PoisonError::into_inner).generate();
    // The generator fails after 2⁸⁰ ids in one millisecond; any id will do then.
    next.unwrap_or_else(|_| Ulid::new()).to_string()
}

fn options(folder: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(folder.join(DATABASE))
        // A commit is on the disk before it is answered.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
}

impl Store {
    /// Opens the database of a folder, and creates it when it is missing.
    /// One of an earlier release is brought to the present form.
    pub(crate) async fn open(folder: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(folder, true).await?;
        migrations::migrate(&store.writer).await?;
        Ok(store)
    }

    /// Opens the database of a folder, beside the service that may be running; an error when it is
    /// missing, or has not the present form.
    pub(crate) async fn reopen(folder: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(folder, false).await?;
        migrations::expect_present(&store.writer).await?;
        Ok(store)
    }

    /// Opens the database of a backup only for reading. One of an earlier release is brought to the
    /// present form in a copy, in the folder `scratch`.
    pub(crate) async fn of_backup(folder: &Path, scratch: &Path) -> Result<Self, StoreError> {
        // Without a log, nobody writes it. Then it is read where nothing can be written, too.
        let has_log = folder.join(DATABASE).with_extension("db-wal").exists();
        let options = options(folder).read_only(true).immutable(!has_log);
        let store = Self::alone(options).await?;
        match migrations::expect_present(&store.reader).await {
            Err(StoreError::Older { .. }) => {
                store.copy_to(&scratch.join(DATABASE)).await?;
                Self::open(scratch).await
            }
            found => found.map(|()| store),
        }
    }

    /// Opens the database of a backup that is being made. It stays one file, without a log beside it,
    /// so that it can be read from where nothing can be written.
    pub(crate) async fn of_new_backup(folder: &Path) -> Result<Self, sqlx::Error> {
        Self::alone(options(folder)).await
    }

    /// Opens a database that nobody else uses, with one connection for all.
    async fn alone(options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let reader = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        Ok(Self { writer: reader.clone(), reader })
    }

    async fn connect(folder: &Path, may_be_new: bool) -> Result<Self, sqlx::Error> {
        let options =
            options(folder).create_if_missing(may_be_new).journal_mode(SqliteJournalMode::Wal);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .before_acquire(|connection, _| {
                // `notes` may have set this connection to NORMAL.
                Box::pin(async move {
                    connection.execute("PRAGMA synchronous = FULL").await?;
                    Ok(true)
                })
            });
        let writer = writer.connect_with(options.clone()).await?;
        let reader = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        Ok(Self { writer, reader })
    }

    /// Writes a copy of the database, as it is at one moment, to a new file.
    pub(crate) async fn copy_to(&self, path: &Path) -> Result<(), sqlx::Error> {
        let path = path.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO $1").bind(path).execute(&self.reader).await.map(drop)
    }

    /// What is wrong with the file of the database; nothing for a sound one.
    pub(crate) async fn integrity(&self) -> Result<Vec<String>, sqlx::Error> {
        let told: Vec<String> =
            sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&self.reader).await?;
        Ok(told.into_iter().filter(|line| line != "ok").collect())
    }

    /// Begins a write transaction.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with(BEGIN).await
    }

    /// A connection for writes that may be lost in a power failure, and only then: what they note
    /// is found out again. Its commits do not wait for the disk.
    async fn notes(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        let mut connection = self.writer.acquire().await?;
        connection.execute("PRAGMA synchronous = NORMAL").await?;
        Ok(connection)
    }

    /// One of the settings of a project.
    pub(crate) async fn setting(
        &self,
        project: &str,
        name: &str,
    ) -> Result<Option<String>, sqlx::Error> {
        let text = "SELECT value FROM settings WHERE project = $1 AND name = $2";
        sqlx::query_scalar(text).bind(project).bind(name).fetch_optional(&self.reader).await
    }

    /// Sets one of the settings of a project, or deletes it.
    pub(crate) async fn set(
        &self,
        project: &str,
        name: &str,
        value: Option<&str>,
    ) -> Result<(), sqlx::Error> {
        let text = match value {
            Some(_) => {
                "INSERT INTO settings (project, name, value) VALUES ($1, $2, $3) \
                 ON CONFLICT (project, name) DO UPDATE SET value = excluded.value"
            }
            None => "DELETE FROM settings WHERE project = $1 AND name = $2",
        };
        let query = sqlx::query(text).bind(project).bind(name).bind(value);
        query.execute(&self.writer).await.map(drop)
    }
}
