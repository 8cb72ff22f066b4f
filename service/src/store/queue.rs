//! The queue: which task is taken next, and by which attempt its job may be changed.

use sqlx::{Connection, FromRow, Sqlite, Transaction};

use super::{
    BEGIN, JobRow, State, Store,
    jobs::{noted, stop},
};
use crate::model::clock::millis;

/// An entry of the queue, taken by one loop.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct Task {
    pub(crate) job_id: String,
    pub(crate) project: String,
    /// The number of the attempt, from 1. Writes of earlier attempts are ignored.
    pub(crate) attempt: i64,
    /// How many attempts ended because the worker died or hung.
    pub(crate) crashes: i64,
    /// How many attempts ended in a temporary failure.
    pub(crate) tries: i64,
    /// When it was due, in milliseconds since 1970.
    pub(crate) not_before: i64,
    /// How often the service was killed or crashed while the job ran.
    pub(crate) unclean: i64,
}

/// After how many unclean ends of the service a job runs alone, since it may be what ends it.
const ALONE: i64 = 3;

/// The longest pause before anything is tried again, in milliseconds: a day, and some time to be
/// late in.
const LONGEST_PAUSE: i64 = 25 * 3_600_000;

/// After how many it is not run again.
pub(crate) const TOO_OFTEN: i64 = 6;

impl Store {
    /// How many tasks wait in the queue.
    pub(crate) async fn queued(&self) -> Result<i64, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM tasks WHERE taken = 0");
        query.fetch_one(&self.reader).await
    }

    /// Takes a task that is due, and counts the attempt. Projects take turns; of a project it is the
    /// oldest of the highest priority. At most `most_running` tasks of a project are taken; 0 for no
    /// limit. A job is skipped while a leftover of it is being removed. One that was there at
    /// [`ALONE`] unclean ends of the service is taken before all others, when no other one is taken.
    pub(crate) async fn take(&self, most_running: u32) -> Result<Option<Task>, sqlx::Error> {
        const DUE: &str = "taken = 0 AND not_before <= $1 \
                           AND job_id NOT IN (SELECT job_id FROM leftovers WHERE taken = 1)";
        let now = millis();
        let mut connection = self.notes().await?;
        let mut transaction = connection.begin_with(BEGIN).await?;
        // The signs keep SQLite from the index by `taken`, which has the whole queue.
        let text = format!(
            "SELECT job_id FROM tasks WHERE unclean >= {ALONE} AND (+taken = 1 OR (+{DUE})) \
             ORDER BY taken DESC, not_before, job_id LIMIT 1"
        );
        let query = sqlx::query_scalar(&text).bind(now);
        let alone: Option<String> = query.fetch_optional(&mut *transaction).await?;
        if alone.is_some() {
            let text = "SELECT COUNT(*) FROM tasks WHERE taken = 1";
            let taken: i64 = sqlx::query_scalar(text).fetch_one(&mut *transaction).await?;
            if taken > 0 {
                return Ok(None);
            }
        }
        let text = format!(
            "SELECT id FROM projects \
             WHERE EXISTS (SELECT 1 FROM tasks WHERE project = projects.id AND {DUE}) \
             AND ($2 = 0 OR $2 > \
             (SELECT COUNT(*) FROM tasks WHERE taken = 1 AND project = projects.id)) \
             AND ($3 IS NULL OR id = (SELECT project FROM tasks WHERE job_id = $3)) \
             ORDER BY turn, id LIMIT 1"
        );
        let query = sqlx::query_scalar(&text).bind(now).bind(most_running).bind(&alone);
        let Some(project) = query.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        let project: String = project;
        let text = format!(
            "UPDATE tasks SET taken = 1, attempt = attempt + 1 WHERE job_id = (\
             SELECT job_id FROM tasks WHERE project = $2 AND {DUE} \
             AND ($3 IS NULL OR job_id = $3) ORDER BY priority DESC, not_before, job_id LIMIT 1) \
             RETURNING job_id, project, attempt, crashes, tries, not_before, unclean"
        );
        let task: Option<Task> = sqlx::query_as(&text)
            .bind(now)
            .bind(&project)
            .bind(&alone)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(task) = &task {
            let text = "UPDATE projects SET turn = (SELECT MAX(turn) + 1 FROM projects) \
                        WHERE id = $1";
            sqlx::query(text).bind(&project).execute(&mut *transaction).await?;
            let text = format!(
                "UPDATE jobs SET {}, state = 'probing', progress = 0, attempts = $2, \
                 started_at = COALESCE(started_at, $3) WHERE id = $1",
                noted("'probing'", "$3")
            );
            let query = sqlx::query(&text).bind(&task.job_id).bind(task.attempt).bind(millis());
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
        let text = format!(
            "UPDATE jobs SET {}, state = $3, \
             progress = CASE WHEN progress < $4 THEN $4 ELSE progress END \
             WHERE id = $1 AND attempts = $2 AND id IN (SELECT job_id FROM tasks WHERE taken = 1)",
            noted("$3", "$5")
        );
        let query = sqlx::query(&text).bind(&task.job_id).bind(task.attempt).bind(state);
        let done = query
            .bind(i64::from(progress))
            .bind(millis())
            .execute(&mut *self.notes().await?)
            .await?;
        Ok(done.rows_affected() == 1)
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
        let text = format!(
            "UPDATE jobs SET {}, state = 'queued' WHERE id = $1 RETURNING cancel",
            noted("'queued'", "$2")
        );
        let query = sqlx::query_scalar(&text).bind(&task.job_id).bind(millis());
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
        let text = format!(
            "UPDATE jobs SET {}, state = 'queued' WHERE id IN \
             (SELECT job_id FROM tasks WHERE taken = 1)",
            noted("'queued'", "$1")
        );
        sqlx::query(&text).bind(millis()).execute(&mut *transaction).await?;
        let text = "UPDATE tasks SET taken = 0, unclean = unclean + 1 WHERE taken = 1 \
                    RETURNING job_id";
        let given = sqlx::query_scalar(text).fetch_all(&mut *transaction).await?;
        let text = "UPDATE leftovers SET taken = 0 WHERE taken = 1";
        sqlx::query(text).execute(&mut *transaction).await?;
        // No pause is longer than a day. What is due later was written before the clock was set
        // back.
        let now = millis();
        for (table, due) in
            [("tasks", "not_before"), ("leftovers", "not_before"), ("deliveries", "next_at")]
        {
            let text = format!("UPDATE {table} SET {due} = $1 WHERE {due} > $2");
            let query = sqlx::query(&text).bind(now).bind(now + LONGEST_PAUSE);
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(given)
    }
}

/// Puts the task of a job into the queue, due at a time in milliseconds since 1970.
pub(super) async fn enqueue(
    transaction: &mut Transaction<'_, Sqlite>,
    job: &JobRow,
    due_at: i64,
) -> Result<(), sqlx::Error> {
    let text = "INSERT INTO tasks (job_id, project, priority, attempt, not_before) \
                VALUES ($1, $2, $3, $4, $5)";
    let query = sqlx::query(text).bind(&job.id).bind(&job.project).bind(job.priority);
    query.bind(job.attempts).bind(due_at).execute(&mut **transaction).await.map(drop)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{
        super::{End, jobs::tests::job},
        *,
    };

    #[tokio::test]
    async fn what_a_clock_that_was_wrong_has_put_off_is_due_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.create(&job("a"), None, 0).await.unwrap();
        let task = store.take(0).await.unwrap().unwrap();
        store.give_back(&task, 2 * LONGEST_PAUSE, false).await.unwrap();
        assert_eq!(store.take(0).await.unwrap(), None);
        store.recover().await.unwrap();
        assert!(store.take(0).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_job_that_may_end_the_service_runs_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        store.create(&job("a"), None, 0).await.unwrap();
        for unclean in 0..ALONE {
            let task = store.take(0).await.unwrap().unwrap();
            assert_eq!(task.unclean, unclean);
            store.recover().await.unwrap();
        }
        for id in ["b", "c"] {
            store.create(&job(id), None, 0).await.unwrap();
        }
        let alone = store.take(0).await.unwrap().unwrap();
        assert_eq!((alone.job_id.as_str(), alone.unclean), ("a", ALONE));
        assert_eq!(store.take(0).await.unwrap(), None);
        let failed = End::without_outputs(State::Failed, None);
        assert!(store.finish(&alone, &failed).await.unwrap());
        let next = [store.take(0).await.unwrap().unwrap(), store.take(0).await.unwrap().unwrap()];
        assert_eq!(next.map(|task| task.job_id), ["b", "c"]);
    }
}
