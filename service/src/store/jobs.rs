//! Jobs: how they are made, found, changed and ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::{FromRow, Sqlite, SqliteExecutor, Transaction};
use utoipa::ToSchema;

use super::{DEFAULT_PROJECT, Store, Task, new_id, queue::enqueue};
use crate::model::clock::millis;

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
    #[serde(default = "default_project")]
    pub(crate) project: String,
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
    /// 0 low, 1 normal, 2 high: the order within its project.
    #[serde(default = "normal")]
    pub(crate) priority: i64,
    /// Pairs of the client's own, as JSON.
    #[serde(default = "nothing")]
    pub(crate) metadata: String,
    /// When it came into each state: `STATE MILLISECONDS;` for each, in order.
    #[serde(default)]
    pub(crate) timeline: String,
    /// 1 when the running job was asked to stop, else 0.
    pub(crate) cancel: i64,
    /// In milliseconds since 1970, as are the times below.
    pub(crate) created_at: i64,
    pub(crate) started_at: Option<i64>,
    pub(crate) finished_at: Option<i64>,
}

// What webhooks lack that an earlier release has put into the outbox.

fn default_project() -> String {
    DEFAULT_PROJECT.to_owned()
}

const fn normal() -> i64 {
    1
}

fn nothing() -> String {
    "{}".to_owned()
}

/// Which jobs of a project are wanted; what is `None` says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) state: Option<State>,
    /// The name of a recipe, or `ffmpeg` for custom arguments.
    pub(crate) recipe: Option<&'a str>,
    /// Created at this time or later, in milliseconds since 1970.
    pub(crate) since: Option<i64>,
    /// Created before this time, in milliseconds since 1970.
    pub(crate) until: Option<i64>,
    /// A name and its value.
    pub(crate) metadata: Option<(&'a str, &'a str)>,
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
    /// So many jobs of the project wait already.
    Full,
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
                       finished_at, project, priority, metadata, timeline";

const KNOWN: &str = "SELECT body_hash, job_id FROM idempotency WHERE project = $1 AND key = $2";

impl Store {
    /// Stores a new job and its task. A job that is already rejected gets no task; its webhook is
    /// queued instead. `idempotency` is the idempotency key and the body's hash. No more than
    /// `most_queued` jobs of its project may wait; 0 for no limit.
    pub(crate) async fn create(
        &self,
        job: &JobRow,
        idempotency: Option<(&str, &str)>,
        most_queued: u32,
    ) -> Result<Created, sqlx::Error> {
        let mut transaction = self.begin().await?;
        if let Some((key, hash)) = idempotency {
            let known: Option<(String, String)> = sqlx::query_as(KNOWN)
                .bind(&job.project)
                .bind(key)
                .fetch_optional(&mut *transaction)
                .await?;
            if let Some((known, job)) = known {
                return Ok(if known == hash { Created::Known(job) } else { Created::Conflict });
            }
            let text = "INSERT INTO idempotency (project, key, body_hash, job_id, created_at) \
                        VALUES ($1, $2, $3, $4, $5)";
            let query = sqlx::query(text).bind(&job.project).bind(key).bind(hash).bind(&job.id);
            query.bind(job.created_at).execute(&mut *transaction).await?;
        }
        if most_queued > 0 && !job.state.is_terminal() {
            let text = "SELECT COUNT(*) FROM tasks WHERE taken = 0 AND project = $1";
            let query = sqlx::query_scalar(text).bind(&job.project);
            let waiting: i64 = query.fetch_one(&mut *transaction).await?;
            if waiting >= i64::from(most_queued) {
                return Ok(Created::Full);
            }
        }
        let text = "INSERT INTO jobs (id, state, document, recipe, error, webhook_url, \
                    created_at, finished_at, project, priority, metadata, timeline) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $2 || ' ' || $7 || ';')";
        sqlx::query(text)
            .bind(&job.id)
            .bind(job.state)
            .bind(&job.document)
            .bind(&job.recipe)
            .bind(&job.error)
            .bind(&job.webhook_url)
            .bind(job.created_at)
            .bind(job.finished_at)
            .bind(&job.project)
            .bind(job.priority)
            .bind(&job.metadata)
            .execute(&mut *transaction)
            .await?;
        let metadata: BTreeMap<String, String> = serde_json::from_str(&job.metadata)
            .map_err(|error| sqlx::Error::Encode(error.into()))?;
        for (name, value) in metadata {
            let text = "INSERT INTO job_metadata (job_id, project, name, value) \
                        VALUES ($1, $2, $3, $4)";
            let query = sqlx::query(text).bind(&job.id).bind(&job.project).bind(name).bind(value);
            query.execute(&mut *transaction).await?;
        }
        if job.state.is_terminal() {
            announce(&mut transaction, &job.id).await?;
        } else {
            enqueue(&mut transaction, job, job.created_at).await?;
        }
        transaction.commit().await?;
        Ok(Created::New)
    }

    /// The hash of the body that a project has used an idempotency key with, and the id of the job
    /// it made.
    pub(crate) async fn known(
        &self,
        project: &str,
        key: &str,
    ) -> Result<Option<(String, String)>, sqlx::Error> {
        let query = sqlx::query_as(KNOWN).bind(project).bind(key);
        query.fetch_optional(&self.reader).await
    }

    /// A job of any project.
    pub(crate) async fn job(&self, id: &str) -> Result<Option<JobRow>, sqlx::Error> {
        find(&self.reader, id).await
    }

    /// A job of a project.
    pub(crate) async fn job_of(
        &self,
        project: &str,
        id: &str,
    ) -> Result<Option<JobRow>, sqlx::Error> {
        Ok(self.job(id).await?.filter(|job| job.project == project))
    }

    /// Jobs of a project, newest first: at most `limit`, with an id below `before`.
    pub(crate) async fn jobs(
        &self,
        project: &str,
        wanted: Wanted<'_>,
        before: Option<&str>,
        limit: i64,
    ) -> Result<Vec<JobRow>, sqlx::Error> {
        let Wanted { state, recipe, since, until, metadata } = wanted;
        // Only the conditions that say something, so that each query uses the best index.
        let conditions = [
            state.map(|_| "AND state = $3"),
            recipe.map(|_| "AND COALESCE(recipe, 'ffmpeg') = $4"),
            since.map(|_| "AND created_at >= $5"),
            until.map(|_| "AND created_at < $6"),
            metadata.map(|_| {
                "AND id IN (SELECT job_id FROM job_metadata \
                 WHERE project = $1 AND name = $7 AND value = $8)"
            }),
        ];
        let conditions: Vec<_> = conditions.into_iter().flatten().collect();
        let text = format!(
            "SELECT {COLUMNS} FROM jobs WHERE project = $1 AND id < $2 {} ORDER BY id DESC LIMIT $9",
            conditions.join(" ")
        );
        sqlx::query_as(&text)
            .bind(project)
            // Ids are letters and digits, which all sort before `~`.
            .bind(before.unwrap_or("~"))
            .bind(state)
            .bind(recipe)
            .bind(since)
            .bind(until)
            .bind(metadata.map(|(name, _)| name))
            .bind(metadata.map(|(_, value)| value))
            .bind(limit)
            .fetch_all(&self.reader)
            .await
    }

    /// Up to 100 jobs of all projects, whose ids sort after `after`.
    pub(crate) async fn all_jobs(&self, after: &str) -> Result<Vec<JobRow>, sqlx::Error> {
        let text = format!("SELECT {COLUMNS} FROM jobs WHERE id > $1 ORDER BY id LIMIT 100");
        sqlx::query_as(&text).bind(after).fetch_all(&self.reader).await
    }

    /// Deletes a job that has ended, with all that is known of it; its outputs must be gone. `false`
    /// when it is queued again, or is not there.
    pub(crate) async fn delete_job(&self, id: &str) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let text = "DELETE FROM jobs WHERE id = $1 AND id NOT IN (SELECT job_id FROM tasks)";
        let done = sqlx::query(text).bind(id).execute(&mut *transaction).await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        for text in [
            "DELETE FROM delivery_attempts WHERE delivery_id IN \
             (SELECT id FROM deliveries WHERE job_id = $1)",
            "DELETE FROM deliveries WHERE job_id = $1",
            "DELETE FROM idempotency WHERE job_id = $1",
            "DELETE FROM job_metadata WHERE job_id = $1",
        ] {
            sqlx::query(text).bind(id).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Up to 100 jobs that ended before `instant`, in milliseconds since 1970, and whose ids sort
    /// after `after`.
    pub(crate) async fn ended_before(
        &self,
        instant: i64,
        after: &str,
    ) -> Result<Vec<JobRow>, sqlx::Error> {
        let text = format!(
            "SELECT {COLUMNS} FROM jobs WHERE finished_at < $1 AND +id > $2 ORDER BY +id LIMIT 100"
        );
        sqlx::query_as(&text).bind(instant).bind(after).fetch_all(&self.reader).await
    }

    /// How many jobs are in each state, by recipe; `None` stands for custom arguments.
    pub(crate) async fn counts(&self) -> Result<Vec<(State, Option<String>, i64)>, sqlx::Error> {
        let text = "SELECT state, recipe, COUNT(*) FROM jobs GROUP BY state, recipe";
        sqlx::query_as(text).fetch_all(&self.reader).await
    }

    /// How many jobs of a project are in each state.
    pub(crate) async fn counts_of(&self, project: &str) -> Result<Vec<(State, i64)>, sqlx::Error> {
        let text = "SELECT state, COUNT(*) FROM jobs WHERE project = $1 GROUP BY state";
        sqlx::query_as(text).bind(project).fetch_all(&self.reader).await
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
        let text = format!(
            "UPDATE jobs SET {}, state = $2, outputs = $3, warnings = $4, error = $5, \
             finished_at = $6, cancel = 0, kept = $7, \
             progress = CASE WHEN $2 = 'completed' THEN 100 ELSE progress END WHERE id = $1",
            noted("$2", "$6")
        );
        sqlx::query(&text)
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
        let outputs: Option<String> = query.fetch_optional(&mut *transaction).await?;
        // The job may have been deleted meanwhile.
        let Some(outputs) = outputs else { return Ok(()) };
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
            "SELECT {COLUMNS} FROM jobs WHERE kept > 0 AND finished_at < $1 AND +id > $2 \
             ORDER BY +id LIMIT 100"
        );
        sqlx::query_as(&text).bind(instant).bind(after).fetch_all(&self.reader).await
    }

    /// Deletes idempotency keys that were stored before an instant, in milliseconds since 1970.
    pub(crate) async fn forget_keys(&self, instant: i64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("DELETE FROM idempotency WHERE created_at < $1").bind(instant);
        query.execute(&mut *self.notes().await?).await.map(drop)
    }

    /// Cancels a waiting job of a project, or marks a running one as asked to stop.
    pub(crate) async fn cancel(&self, project: &str, id: &str) -> Result<Settled, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let text = "SELECT state FROM jobs WHERE project = $1 AND id = $2";
        let query = sqlx::query_scalar(text).bind(project).bind(id);
        let state: Option<State> = query.fetch_optional(&mut *transaction).await?;
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

    /// Queues a failed or cancelled job of a project again, under the same id.
    pub(crate) async fn retry(&self, project: &str, id: &str) -> Result<Settled, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let text = "SELECT state FROM jobs WHERE project = $1 AND id = $2";
        let query = sqlx::query_scalar(text).bind(project).bind(id);
        let found: Option<State> = query.fetch_optional(&mut *transaction).await?;
        let Some(state) = found else { return Ok(Settled::Missing) };
        if !matches!(state, State::Failed | State::Cancelled) {
            return Ok(Settled::Conflict);
        }
        let text = format!(
            "UPDATE jobs SET {}, state = 'queued', progress = 0, error = NULL, cancel = 0, \
             strategy = NULL, reasons = '[]', started_at = NULL, finished_at = NULL WHERE id = $1",
            noted("'queued'", "$2")
        );
        sqlx::query(&text).bind(id).bind(millis()).execute(&mut *transaction).await?;
        let job = read(&mut transaction, id).await?;
        enqueue(&mut transaction, &job, millis()).await?;
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
pub(super) async fn stop(
    transaction: &mut Transaction<'_, Sqlite>,
    id: &str,
) -> Result<bool, sqlx::Error> {
    let text = "DELETE FROM tasks WHERE job_id = $1 AND taken = 0";
    let waits = sqlx::query(text).bind(id).execute(&mut **transaction).await?;
    if waits.rows_affected() == 0 {
        return Ok(false);
    }
    forget_unsent(transaction, id).await?;
    let text = format!(
        "UPDATE jobs SET {}, state = 'cancelled', finished_at = $2, cancel = 0 WHERE id = $1",
        noted("'cancelled'", "$2")
    );
    sqlx::query(&text).bind(id).bind(millis()).execute(&mut **transaction).await?;
    announce(transaction, id).await?;
    Ok(true)
}

/// The part of an UPDATE of jobs that notes into which state it brings them, and when, in milliseconds
/// since 1970.
pub(super) fn noted(state: &str, at: &str) -> String {
    format!(
        "timeline = CASE WHEN state = {state} THEN timeline \
         ELSE timeline || {state} || ' ' || {at} || ';' END"
    )
}

/// Puts the webhook of a job's end into the outbox, in the transaction that ends the job.
async fn announce(transaction: &mut Transaction<'_, Sqlite>, id: &str) -> Result<(), sqlx::Error> {
    let job = read(transaction, id).await?;
    let mut url = job.webhook_url.clone();
    if url.is_none() {
        let text = "SELECT value FROM settings WHERE project = $1 AND name = 'defaultWebhookUrl'";
        let query = sqlx::query_scalar(text).bind(&job.project);
        url = query.fetch_optional(&mut **transaction).await?;
    }
    let Some(url) = url else { return Ok(()) };
    let now = millis();
    let text = "INSERT INTO deliveries \
                (id, job_id, job, url, state, next_at, created_at, project, host) \
                VALUES ($1, $2, $3, $4, 'pending', $5, $5, $6, $7)";
    let host = url::Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned));
    sqlx::query(text)
        .bind(format!("msg_{}", new_id()))
        .bind(id)
        .bind(serde_json::to_string(&job).map_err(|error| sqlx::Error::Encode(error.into()))?)
        .bind(url)
        .bind(now)
        .bind(&job.project)
        .bind(host.unwrap_or_default())
        .execute(&mut **transaction)
        .await
        .map(drop)
}

#[cfg(test)]
pub(super) mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    pub(in crate::store) fn job(id: &str) -> JobRow {
        JobRow {
            id: id.to_owned(),
            project: DEFAULT_PROJECT.to_owned(),
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
            priority: 1,
            metadata: "{}".to_owned(),
            timeline: String::new(),
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
        store.create(&job("a"), None, 0).await.unwrap();
        let first = store.take(0).await.unwrap().unwrap();
        assert_eq!(store.take(0).await.unwrap(), None);
        assert_eq!(store.recover().await.unwrap(), ["a"]);
        let second = store.take(0).await.unwrap().unwrap();
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
        assert!(matches!(store.retry(DEFAULT_PROJECT, "a").await.unwrap(), Settled::Conflict));
    }

    #[tokio::test]
    async fn a_job_that_was_asked_to_stop_is_not_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.create(&job("a"), None, 0).await.unwrap();
        let task = store.take(0).await.unwrap().unwrap();
        assert!(matches!(store.cancel(DEFAULT_PROJECT, "a").await.unwrap(), Settled::Running(_)));
        assert_eq!(store.give_back(&task, 10_000, false).await.unwrap(), State::Cancelled);
        assert_eq!(store.job("a").await.unwrap().unwrap().state, State::Cancelled);
        assert_eq!(store.deliveries_of("a").await.unwrap().len(), 1);
        assert_eq!(store.take(0).await.unwrap(), None);
        let asked = store.retry(DEFAULT_PROJECT, "a").await.unwrap();
        assert!(matches!(asked, Settled::Done(job) if job.state == State::Queued));
        let task = store.take(0).await.unwrap().unwrap();
        assert_eq!((task.attempt, task.tries), (2, 0));
    }

    #[tokio::test]
    async fn what_no_job_tells_of_is_removed_when_the_job_does_not_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.create(&job("a"), None, 0).await.unwrap();
        let places = ["1".to_owned(), "2".to_owned()];
        let first = store.take(0).await.unwrap().unwrap();
        store.planned(&first, "encode", "[]", &places).await.unwrap();
        assert_eq!(store.take_leftover().await.unwrap(), None);
        let failed = End::without_outputs(State::Failed, Some("{}".to_owned()));
        assert!(store.finish(&first, &failed).await.unwrap());
        let one = store.take_leftover().await.unwrap().unwrap();
        // A job is not taken while a leftover of it is being removed.
        assert!(matches!(store.retry(DEFAULT_PROJECT, "a").await.unwrap(), Settled::Done(_)));
        assert_eq!(store.take(0).await.unwrap(), None);
        store.look_again(&one, false, 0).await.unwrap();
        let second = store.take(0).await.unwrap().unwrap();
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
