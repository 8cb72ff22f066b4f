//! What must last: SQLite in a folder, by SQL that other databases understand, too.
//!
//! One connection writes, several read. What was answered with a 202 is on the disk.

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

/// How long a writer waits for another one.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The file of the database, in the data folder.
pub(crate) const DATABASE: &str = "avocet.db";

/// Begins a transaction that writes: one that reads first and writes then would be refused when
/// somebody else wrote in between, as `avocet token create` may.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// The time now, in milliseconds since 1970.
pub(crate) fn millis() -> i64 {
    i64::try_from(now().as_millis()).unwrap_or(i64::MAX)
}

/// An id that sorts by time, also among those of one millisecond.
pub(crate) fn new_id() -> String {
    static IDS: Mutex<Generator> = Mutex::new(Generator::new());
    let next = IDS.lock().unwrap_or_else(PoisonError::into_inner).generate();
    // After 2⁸⁰ ids of one millisecond any will do.
    next.unwrap_or_else(|_| Ulid::new()).to_string()
}

impl Store {
    /// Opens the database of a folder, and makes it when it is not there.
    pub(crate) async fn open(folder: &Path) -> Result<Self, sqlx::Error> {
        Self::connect(folder, true).await
    }

    /// Opens the database of a folder that has one.
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
                // Whoever had it before may have said otherwise.
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

    /// A transaction that writes.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with(BEGIN).await
    }

    /// A connection for notes on the way, of which the last ones may be lost with the power, and
    /// with nothing else: what they tell is found out again. It waits for no disk.
    async fn notes(&self) -> Result<PoolConnection<Sqlite>, sqlx::Error> {
        let mut connection = self.writer.acquire().await?;
        connection.execute("PRAGMA synchronous = NORMAL").await?;
        Ok(connection)
    }

    /// One of the account's settings.
    pub(crate) async fn setting(&self, name: &str) -> Result<Option<String>, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT value FROM settings WHERE name = $1");
        query.bind(name).fetch_optional(&self.reader).await
    }

    /// Sets one of the account's settings, or takes it away.
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
