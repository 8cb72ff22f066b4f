//! Jobs, and the queue of tasks: who may change what, and when.

use serde::{Deserialize, Serialize};
use sqlx::{Connection, FromRow, Sqlite, SqliteExecutor, Transaction};
use utoipa::ToSchema;

use super::{BEGIN, Store, millis, new_id};

/// Where a job is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "lowercase")]
#[sqlx(rename_all = "lowercase")]
pub(crate) enum State {
    Queued,
    Probing,
    Planning,
    Transcoding,
    Merging,
    Completed,
    Failed,
    Rejected,
    Cancelled,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Probing => "probing",
            Self::Planning => "planning",
            Self::Transcoding => "transcoding",
            Self::Merging => "merging",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the job has ended; only a retry changes it from here.
    pub(crate) const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Rejected | Self::Cancelled)
    }
}

/// A row of the table `jobs`.
#[derive(Clone, Debug, Deserialize, FromRow, PartialEq, Serialize)]
pub(crate) struct JobRow {
    pub(crate) id: String,
    pub(crate) state: State,
    /// In percent.
    pub(crate) progress: i64,
    /// The job document, as JSON. `reasons`, `warnings`, `outputs` and `error` are JSON, too.
    pub(crate) document: String,
    pub(crate) recipe: Option<String>,
    pub(crate) strategy: Option<String>,
    pub(crate) reasons: String,
    pub(crate) warnings: String,
    pub(crate) outputs: String,
    pub(crate) error: Option<String>,
    pub(crate) attempts: i64,
    pub(crate) webhook_url: Option<String>,
    /// 1 when the running job was asked to stop, else 0.
    pub(crate) cancel: i64,
    /// In milliseconds since 1970, as are the times below.
    pub(crate) created_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
}

/// The outcome of a request to create a job.
#[derive(Debug, PartialEq)]
pub(crate) enum Created {
    /// The job was created.
    New,
    /// The idempotency key was used before with the same body, and made the job of this id.
    Known(String),
    /// The idempotency key was used before with another body.
    Conflict,
}

/// An entry of the queue, taken by one loop.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct Task {
    pub(crate) job_id: String,
    /// The number of the attempt, from 1. Writes of earlier attempts are ignored.
    pub(crate) attempt: i64,
    /// How many attempts ended because the worker died or hung.
    pub(crate) crashes: i64,
    /// How many attempts ended in a temporary failure.
    pub(crate) tries: i64,
}

/// The end of a job.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) state: State,
    /// The outputs, as JSON; the two below are JSON, too.
    pub(crate) outputs: String,
    pub(crate) warnings: String,
    pub(crate) error: Option<String>,
    /// How many outputs still exist, in the data folder or at a provider.
    pub(crate) kept: i64,
}

impl End {
    /// The end of a job that has no outputs.
    pub(crate) fn without_outputs(state: State, error: Option<String>) -> Self {
        let (outputs, warnings) = ("[]".to_owned(), "[]".to_owned());
        Self { state, outputs, warnings, error, kept: 0 }
    }
}

/// The outcome of a request to cancel or retry a job, with the row as it is then.
#[derive(Debug)]
pub(crate) enum Settled {
    Done(Box<JobRow>),
    /// A worker runs the job, and must be told.
    Running(Box<JobRow>),
    /// The state of the job does not allow that.
    Conflict,
    Missing,
}

const COLUMNS: &str = "id, state, progress, document, recipe, strategy, reasons, warnings, \
                       outputs, error, attempts, webhook_url, cancel, created_at, started_at, \
                       finished_at";

const KNOWN: &str = "SELECT body_hash, job_id FROM idempotency WHERE token_id = $1 AND key = $2";

impl Store {
    /// Stores a new job and its task. A job that is already rejected gets no task; its webhook is
    /// queued instead. `idempotency` is the id of the API key, the idempotency key and the body's
    /// hash.
    pub(crate) async fn create(
        &self,
        job: &JobRow,
        idempotency: Option<(&str, &str, &str)>,
    ) -> Result<Created, sqlx::Error> {
        let mut transaction = self.begin().await?;
        if let Some((token, key, hash)) = idempotency {
            let known: Option<(String, String)> = sqlx::query_as(KNOWN)
                .bind(token)
                .bind(key)
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some((known, job)) = known {
                return Ok(if known == hash { Created::Known(job) } else { Created::Conflict });
            }
            let text = "INSERT INTO idempotency (token_id, key, body_hash, job_id, created_at) \
                        VALUES ($1, $2, $3, $4, $5)";
            let query = sqlx::query(text).bind(token).bind(key).bind(hash).bind(&job.id);
            query.bind(job.created_at).execute(&mut *transaction).await?;
        }
        let text = "INSERT INTO jobs (id, state, document, recipe, error, webhook_url, \
                    created_at, finished_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        sqlx::query(text)
            .bind(&job.id)
            .bind(job.state)
            .bind(&job.document)
            .bind(&job.recipe)
            .bind(&job.error)
            .bind(&job.webhook_url)
            .bind(job.created_at)
            .bind(job.finished_at)
            .execute(&mut *transaction)
            .await?;
        if job.state.is_terminal() {
            announce(&mut transaction, &job.id).await?;
        } else {
            let text = "INSERT INTO tasks (job_id, not_before) VALUES ($1, $2)";
            let query = sqlx::query(text).bind(&job.id).bind(job.created_at);
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(Created::New)
    }

    /// The hash of the body that an idempotency key was used with, and the id of the job it made.
    pub(crate) async fn known(
        &self,
        token: &str,
        key: &str,
    ) -> Result<Option<(String, String)>, sqlx::Error> {
        let query = sqlx::query_as(KNOWN).bind(token).bind(key);
        query.fetch_optional(&self.reader).await
    }

    pub(crate) async fn job(&self, id: &str) -> Result<Option<JobRow>, sqlx::Error> {
        find(&self.reader, id).await
    }

    /// Jobs, newest first: at most `limit`, with an id below `before`, and in a given state.
    pub(crate) async fn jobs(
        &self,
        state: Option<State>,
        before: Option<&str>,
        limit: i64,
    ) -> Result<Vec<JobRow>, sqlx::Error> {
        // Different SQL with and without a state, so that each uses its own index.
        let of_state = state.map_or("", |_| "AND state = $1");
        let text = format!(
            "SELECT {COLUMNS} FROM jobs WHERE id < $2 {of_state} ORDER BY id DESC LIMIT $3"
        );
        // Ids are letters and digits, which all sort before `~`.
        let query = sqlx::query_as(&text).bind(state).bind(before.unwrap_or("~"));
        query.bind(limit).fetch_all(&self.reader).await
    }

    /// How many jobs are in each state, by recipe; `None` stands for custom arguments.
    pub(crate) async fn counts(&self) -> Result<Vec<(State, Option<String>, i64)>, sqlx::Error> {
        let text = "SELECT state, recipe, COUNT(*) FROM jobs GROUP BY state, recipe";
        sqlx::query_as(text).fetch_all(&self.reader).await
    }

    /// How many tasks wait in the queue.
    pub(crate) async fn queued(&self) -> Result<i64, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM tasks WHERE taken = 0");
        query.fetch_one(&self.reader).await
    }

    /// Takes the oldest task that is due, and counts the attempt. A job is skipped while a leftover
    /// of it is being removed.
    pub(crate) async fn take(&self) -> Result<Option<Task>, sqlx::Error> {
        let text = "UPDATE tasks SET taken = 1, attempt = attempt + 1 WHERE job_id = (\
                    SELECT job_id FROM tasks WHERE taken = 0 AND not_before <= $1 \
                    AND job_id NOT IN (SELECT job_id FROM leftovers WHERE taken = 1) \
                    ORDER BY not_before, job_id LIMIT 1) RETURNING job_id, attempt, crashes, tries";
        let mut connection = self.notes().await?;
        let mut transaction = connection.begin_with(BEGIN).await?;
        let task: Option<Task> =
            sqlx::query_as(text).bind(millis()).fetch_optional(&mut *transaction).await?;
        if let Some(task) = &task {
            let text = "UPDATE jobs SET state = 'probing', progress = 0, attempts = $2, \
                        started_at = COALESCE(started_at, $3) WHERE id = $1";
            let query = sqlx::query(text).bind(&task.job_id).bind(task.attempt).bind(millis());
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(task)
    }

    /// Notes the progress of a task; `false` when the task is gone, or belongs to another attempt.
    pub(crate) async fn advance(
        &self,
        task: &Task,
        state: State,
        progress: u8,
    ) -> Result<bool, sqlx::Error> {
        let text = "UPDATE jobs SET state = $3, \
                    progress = CASE WHEN progress < $4 THEN $4 ELSE progress END \
                    WHERE id = $1 AND attempts = $2 AND id IN (SELECT job_id FROM tasks WHERE taken = 1)";
        let query = sqlx::query(text).bind(&task.job_id).bind(task.attempt).bind(state);
        let done = query.bind(i64::from(progress)).execute(&mut *self.notes().await?).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends the job of a task, once; `false` when it has ended, or the task is another attempt's.
    pub(crate) async fn finish(&self, task: &Task, end: &End) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let text = "DELETE FROM tasks WHERE job_id = $1 AND attempt = $2 AND taken = 1";
        let query = sqlx::query(text).bind(&task.job_id).bind(task.attempt);
        if query.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        forget_unsent(&mut transaction, &task.job_id).await?;
        let text = "UPDATE jobs SET state = $2, outputs = $3, warnings = $4, error = $5, \
                    finished_at = $6, cancel = 0, kept = $7, \
                    progress = CASE WHEN $2 = 'completed' THEN 100 ELSE progress END \
                    WHERE id = $1";
        sqlx::query(text)
            .bind(&task.job_id)
            .bind(end.state)
            .bind(&end.outputs)
            .bind(&end.warnings)
            .bind(&end.error)
            .bind(millis())
            .bind(end.kept)
            .execute(&mut *transaction)
            .await?;
        if end.state == State::Completed {
            // The outputs of this attempt are no leftovers. Earlier attempts' other places are.
            let text = "DELETE FROM leftovers WHERE job_id = $1 AND attempt = $2";
            let query = sqlx::query(text).bind(&task.job_id).bind(task.attempt);
            query.execute(&mut *transaction).await?;
        }
        announce(&mut transaction, &task.job_id).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Rewrites the outputs of a job: `change` takes them as JSON, and returns the new JSON and how
    /// many outputs still exist.
    pub(crate) async fn change_outputs(
        &self,
        id: &str,
        change: impl FnOnce(&str) -> (String, i64) + Send,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        let query = sqlx::query_scalar("SELECT outputs FROM jobs WHERE id = $1").bind(id);
        let outputs: String = query.fetch_one(&mut *transaction).await?;
        let (outputs, kept) = change(&outputs);
        let query = sqlx::query("UPDATE jobs SET outputs = $2, kept = $3 WHERE id = $1").bind(id);
        query.bind(outputs).bind(kept).execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// Up to 100 jobs with existing outputs that ended before `instant`, in milliseconds since
    /// 1970, and whose ids sort after `after`.
    pub(crate) async fn kept_since_before(
        &self,
        instant: i64,
        after: &str,
    ) -> Result<Vec<JobRow>, sqlx::Error> {
        let text = format!(
            "SELECT {COLUMNS} FROM jobs WHERE kept > 0 AND finished_at < $1 AND id > $2 \
             ORDER BY id LIMIT 100"
        );
        sqlx::query_as(&text).bind(instant).bind(after).fetch_all(&self.reader).await
    }

    /// Deletes idempotency keys that were stored before an instant, in milliseconds since 1970.
    pub(crate) async fn forget_keys(&self, instant: i64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("DELETE FROM idempotency WHERE created_at < $1").bind(instant);
        query.execute(&mut *self.notes().await?).await.map(drop)
    }

    /// Returns a task to the queue, to be taken again after a pause in milliseconds. Returns the
    /// state of its job: a job that was asked to stop is cancelled instead.
    pub(crate) async fn give_back(
        &self,
        task: &Task,
        after_millis: i64,
        crashed: bool,
    ) -> Result<State, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let text = "UPDATE tasks SET taken = 0, not_before = $3, crashes = crashes + $4, \
                    tries = tries + $5 WHERE job_id = $1 AND attempt = $2 AND taken = 1";
        let query = sqlx::query(text).bind(&task.job_id).bind(task.attempt);
        let query = query.bind(millis() + after_millis).bind(i64::from(crashed));
        let query = query.bind(i64::from(after_millis > 0));
        if query.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(State::Queued);
        }
        let text = "UPDATE jobs SET state = 'queued' WHERE id = $1 RETURNING cancel";
        let query = sqlx::query_scalar(text).bind(&task.job_id);
        let cancel: i64 = query.fetch_one(&mut *transaction).await?;
        let state = if cancel == 0 { State::Queued } else { State::Cancelled };
        if state == State::Cancelled {
            stop(&mut transaction, &task.job_id).await?;
        }
        transaction.commit().await?;
        Ok(state)
    }

    /// At the start: returns all taken tasks to the queue, since their workers ended with the
    /// service before. Returns the ids of their jobs.
    pub(crate) async fn recover(&self) -> Result<Vec<String>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let text = "UPDATE jobs SET state = 'queued' WHERE id IN \
                    (SELECT job_id FROM tasks WHERE taken = 1)";
        sqlx::query(text).execute(&mut *transaction).await?;
        let text = "UPDATE tasks SET taken = 0 WHERE taken = 1 RETURNING job_id";
        let given = sqlx::query_scalar(text).fetch_all(&mut *transaction).await?;
        let text = "UPDATE leftovers SET taken = 0 WHERE taken = 1";
        sqlx::query(text).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(given)
    }

    /// Cancels a waiting job, or marks a running one as asked to stop.
    pub(crate) async fn cancel(&self, id: &str) -> Result<Settled, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let text = "SELECT state FROM jobs WHERE id = $1";
        let state: Option<State> =
            sqlx::query_scalar(text).bind(id).fetch_optional(&mut *transaction).await?;
        let Some(state) = state else { return Ok(Settled::Missing) };
        if state.is_terminal() {
            return Ok(Settled::Conflict);
        }
        let settled = if stop(&mut transaction, id).await? {
            Settled::Done(read(&mut transaction, id).await?)
        } else {
            let text = "UPDATE jobs SET cancel = 1 WHERE id = $1";
            sqlx::query(text).bind(id).execute(&mut *transaction).await?;
            Settled::Running(read(&mut transaction, id).await?)
        };
        transaction.commit().await?;
        Ok(settled)
    }

    /// Queues a failed or cancelled job again, under the same id.
    pub(crate) async fn retry(&self, id: &str) -> Result<Settled, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let text = "SELECT state, attempts FROM jobs WHERE id = $1";
        let found: Option<(State, i64)> =
            sqlx::query_as(text).bind(id).fetch_optional(&mut *transaction).await?;
        let Some((state, attempts)) = found else { return Ok(Settled::Missing) };
        if !matches!(state, State::Failed | State::Cancelled) {
            return Ok(Settled::Conflict);
        }
        let text = "UPDATE jobs SET state = 'queued', progress = 0, error = NULL, cancel = 0, \
                    strategy = NULL, reasons = '[]', started_at = NULL, finished_at = NULL \
                    WHERE id = $1";
        sqlx::query(text).bind(id).execute(&mut *transaction).await?;
        let text = "INSERT INTO tasks (job_id, attempt, not_before) VALUES ($1, $2, $3)";
        let query = sqlx::query(text).bind(id).bind(attempts).bind(millis());
        query.execute(&mut *transaction).await?;
        let job = read(&mut transaction, id).await?;
        transaction.commit().await?;
        Ok(Settled::Done(job))
    }
}

async fn find(executor: impl SqliteExecutor<'_>, id: &str) -> Result<Option<JobRow>, sqlx::Error> {
    let text = format!("SELECT {COLUMNS} FROM jobs WHERE id = $1");
    sqlx::query_as(&text).bind(id).fetch_optional(executor).await
}

/// A job that must exist, as the transaction sees it.
async fn read(
    transaction: &mut Transaction<'_, Sqlite>,
    id: &str,
) -> Result<Box<JobRow>, sqlx::Error> {
    let job = find(&mut **transaction, id).await?;
    job.map(Box::new).ok_or(sqlx::Error::RowNotFound)
}

/// Deletes the record of outputs that were not uploaded, as the job ends.
async fn forget_unsent(
    transaction: &mut Transaction<'_, Sqlite>,
    id: &str,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query("DELETE FROM unsent WHERE job_id = $1").bind(id);
    query.execute(&mut **transaction).await.map(drop)
}

/// Cancels a job that waits in the queue; `false` when it does not wait.
async fn stop(transaction: &mut Transaction<'_, Sqlite>, id: &str) -> Result<bool, sqlx::Error> {
    let text = "DELETE FROM tasks WHERE job_id = $1 AND taken = 0";
    let waits = sqlx::query(text).bind(id).execute(&mut **transaction).await?;
    if waits.rows_affected() == 0 {
        return Ok(false);
    }
    forget_unsent(transaction, id).await?;
    let text = "UPDATE jobs SET state = 'cancelled', finished_at = $2, cancel = 0 WHERE id = $1";
    sqlx::query(text).bind(id).bind(millis()).execute(&mut **transaction).await?;
    announce(transaction, id).await?;
    Ok(true)
}

/// Puts the webhook of a job's end into the outbox, in the transaction that ends the job.
async fn announce(transaction: &mut Transaction<'_, Sqlite>, id: &str) -> Result<(), sqlx::Error> {
    let job = read(transaction, id).await?;
    let mut url = job.webhook_url.clone();
    if url.is_none() {
        let text = "SELECT value FROM settings WHERE name = 'defaultWebhookUrl'";
        url = sqlx::query_scalar(text).fetch_optional(&mut **transaction).await?;
    }
    let Some(url) = url else { return Ok(()) };
    let now = millis();
    let text = "INSERT INTO deliveries (id, job_id, job, url, state, next_at, created_at) \
                VALUES ($1, $2, $3, $4, 'pending', $5, $5)";
    sqlx::query(text)
        .bind(format!("msg_{}", new_id()))
        .bind(id)
        .bind(serde_json::to_string(&job).map_err(|error| sqlx::Error::Encode(error.into()))?)
        .bind(url)
        .bind(now)
        .execute(&mut **transaction)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn job(id: &str) -> JobRow {
        JobRow {
            id: id.to_owned(),
            state: State::Queued,
            progress: 0,
            document: "{}".to_owned(),
            recipe: None,
            strategy: None,
            reasons: "[]".to_owned(),
            warnings: "[]".to_owned(),
            outputs: "[]".to_owned(),
            error: None,
            attempts: 0,
            webhook_url: Some("https://host/hook".to_owned()),
            cancel: 0,
            created_at: millis(),
            started_at: None,
            finished_at: None,
        }
    }

    #[tokio::test]
    async fn a_task_belongs_to_its_last_attempt_and_ends_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.create(&job("a"), None).await.unwrap();
        let first = store.take().await.unwrap().unwrap();
        assert_eq!(store.take().await.unwrap(), None);
        assert_eq!(store.recover().await.unwrap(), ["a"]);
        let second = store.take().await.unwrap().unwrap();
        assert_eq!((first.attempt, second.attempt), (1, 2));
        // Writes of the first attempt are ignored.
        assert!(!store.advance(&first, State::Transcoding, 50).await.unwrap());
        let completed = |outputs: &str| End {
            outputs: outputs.to_owned(),
            kept: 1,
            ..End::without_outputs(State::Completed, None)
        };
        assert!(!store.finish(&first, &completed("[1]")).await.unwrap());
        assert_eq!(store.give_back(&first, 0, true).await.unwrap(), State::Queued);
        assert!(store.advance(&second, State::Transcoding, 70).await.unwrap());
        assert!(store.finish(&second, &completed("[2]")).await.unwrap());
        assert!(!store.finish(&second, &completed("[2]")).await.unwrap());
        let job = store.job("a").await.unwrap().unwrap();
        assert_eq!((job.state, job.outputs.as_str(), job.progress), (State::Completed, "[2]", 100));
        assert_eq!(store.deliveries_of("a").await.unwrap().len(), 1);
        assert!(matches!(store.retry("a").await.unwrap(), Settled::Conflict));
    }

    #[tokio::test]
    async fn a_job_that_was_asked_to_stop_is_not_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.create(&job("a"), None).await.unwrap();
        let task = store.take().await.unwrap().unwrap();
        assert!(matches!(store.cancel("a").await.unwrap(), Settled::Running(_)));
        assert_eq!(store.give_back(&task, 10_000, false).await.unwrap(), State::Cancelled);
        assert_eq!(store.job("a").await.unwrap().unwrap().state, State::Cancelled);
        assert_eq!(store.deliveries_of("a").await.unwrap().len(), 1);
        assert_eq!(store.take().await.unwrap(), None);
        let asked = store.retry("a").await.unwrap();
        assert!(matches!(asked, Settled::Done(job) if job.state == State::Queued));
        let task = store.take().await.unwrap().unwrap();
        assert_eq!((task.attempt, task.tries), (2, 0));
    }

    #[tokio::test]
    async fn what_no_job_tells_of_is_removed_when_the_job_does_not_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.create(&job("a"), None).await.unwrap();
        let places = ["1".to_owned(), "2".to_owned()];
        let first = store.take().await.unwrap().unwrap();
        store.planned(&first, "encode", "[]", &places).await.unwrap();
        assert_eq!(store.take_leftover().await.unwrap(), None);
        let failed = End::without_outputs(State::Failed, Some("{}".to_owned()));
        assert!(store.finish(&first, &failed).await.unwrap());
        let one = store.take_leftover().await.unwrap().unwrap();
        // A job is not taken while a leftover of it is being removed.
        assert!(matches!(store.retry("a").await.unwrap(), Settled::Done(_)));
        assert_eq!(store.take().await.unwrap(), None);
        store.look_again(&one, false, 0).await.unwrap();
        let second = store.take().await.unwrap().unwrap();
        assert_eq!(store.take_leftover().await.unwrap(), None);
        // The second attempt writes to only one of the first attempt's two places.
        store.planned(&second, "encode", "[]", &places[..1]).await.unwrap();
        let completed = End::without_outputs(State::Completed, None);
        assert!(store.finish(&second, &completed).await.unwrap());
        let left = store.take_leftover().await.unwrap().unwrap();
        assert_eq!(left.place, "2");
        // A process that took the leftover has died without a word: only `recover` frees it.
        assert_eq!(store.take_leftover().await.unwrap(), None);
        store.recover().await.unwrap();
        let left = store.take_leftover().await.unwrap().unwrap();
        store.forget(&left).await.unwrap();
        store.recover().await.unwrap();
        assert_eq!(store.take_leftover().await.unwrap(), None);
    }
}
