//! The state that must last, in SQLite; the SQL is such that other databases could run it, too.
//!
//! One connection writes, several read. A commit is on the disk before a request is answered.

mod accounts;
mod deliveries;
mod jobs;
mod leftovers;
mod providers;
mod unsent;

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

pub(crate) use accounts::{PresetRow, TokenRow};
pub(crate) use deliveries::{AttemptRow, DeliveryRow, Outcome};
pub(crate) use jobs::{Created, End, JobRow, Settled, State, Task};
pub(crate) use leftovers::Leftover;
pub(crate) use providers::ProviderRow;

use ulid::{Generator, Ulid};

use crate::model::secret::now;

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

/// The time now, in milliseconds since 1970.
pub(crate) fn millis() -> i64 {
    i64::try_from(now().as_millis()).unwrap_or(i64::MAX)
}

/// An id (ULID) that sorts by time, also among ids of the same millisecond.
pub(crate) fn new_id() -> String {
    static IDS: Mutex<Generator> = Mutex::new(Generator::new());
    let next = IDS.lock().unwrap_or_else(PoisonError::into_inner).generate();
    // The generator fails after 2⁸⁰ ids in one millisecond; any id will do then.
    next.unwrap_or_else(|_| Ulid::new()).to_string()
}

impl Store {
    /// Opens the database of a folder, and creates it when it is missing.
    pub(crate) async fn open(folder: &Path) -> Result<Self, sqlx::Error> {
        Self::connect(folder, true).await
    }

    /// Opens the database of a folder; an error when it is missing.
    pub(crate) async fn reopen(folder: &Path) -> Result<Self, sqlx::Error> {
        Self::connect(folder, false).await
    }

    async fn connect(folder: &Path, may_be_new: bool) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join(DATABASE))
            .create_if_missing(may_be_new)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit is on the disk before it is answered.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
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
        sqlx::raw_sql(include_str!("schema.sql")).execute(&writer).await?;
        let reader = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
        Ok(Self { writer, reader })
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

    /// One of the settings of the account.
    pub(crate) async fn setting(&self, name: &str) -> Result<Option<String>, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1");
        query.bind(name).fetch_optional(&self.reader).await
    }

    /// Sets one of the settings of the account, or deletes it.
    pub(crate) async fn set(&self, name: &str, value: Option<&str>) -> Result<(), sqlx::Error> {
        let done = if let Some(value) = value {
            let text = "INSERT INTO settings (name, value) VALUES ($1, $2) \
                        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
            sqlx::query(text).bind(name).bind(value).execute(&self.writer).await
        } else {
            let text = "DELETE FROM settings WHERE name = $1";
            sqlx::query(text).bind(name).execute(&self.writer).await
        };
        done.map(drop)
    }
}
