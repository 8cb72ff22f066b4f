//! What attempts may leave behind: a row from when an output is planned until a job tells of it, or
//! until it is removed.

use sqlx::{Connection, FromRow};

use super::{BEGIN, Store, Task, millis};

/// A place in which there may be an output that no job tells of.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct Leftover {
    pub(crate) job_id: String,
    /// JSON.
    pub(crate) place: String,
    /// How often it could not be removed.
    pub(crate) failures: i64,
    /// Whether it was removed.
    pub(crate) removed: bool,
}

impl Store {
    /// Notes what a task is going to do, and the places in which it may leave something.
    pub(crate) async fn planned(
        &self,
        task: &Task,
        strategy: &str,
        reasons: &str,
        places: &[String],
    ) -> Result<(), sqlx::Error> {
        let mut connection = self.notes().await?;
        let mut transaction = connection.begin_with(BEGIN).await?;
        let text = "UPDATE jobs SET strategy = $3, reasons = $4 WHERE id = $1 AND attempts = $2";
        let query = sqlx::query(text).bind(&task.job_id).bind(task.attempt);
        let done = query.bind(strategy).bind(reasons).execute(&mut *transaction).await?;
        if done.rows_affected() == 0 {
            return Ok(());
        }
        for place in places {
            let text = "INSERT INTO leftovers (job_id, place, attempt) VALUES ($1, $2, $3) \
                        ON CONFLICT (job_id, place) DO UPDATE SET \
                        attempt = excluded.attempt, failures = 0, removed = FALSE, not_before = 0";
            let query = sqlx::query(text).bind(&task.job_id).bind(place).bind(task.attempt);
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// A leftover of a job that does not go on, for whoever asks; until it is [`Self::forget`]
    /// or [`Self::look_again`], the job is not run again either.
    pub(crate) async fn take_leftover(&self) -> Result<Option<Leftover>, sqlx::Error> {
        let text = "UPDATE leftovers SET taken = 1 WHERE (job_id, place) = (\
                    SELECT job_id, place FROM leftovers WHERE taken = 0 AND not_before <= $1 \
                    AND job_id NOT IN (SELECT job_id FROM tasks) ORDER BY not_before LIMIT 1) \
                    RETURNING job_id, place, failures, removed";
        sqlx::query_as(text).bind(millis()).fetch_optional(&mut *self.notes().await?).await
    }

    /// Forgets a leftover.
    pub(crate) async fn forget(&self, leftover: &Leftover) -> Result<(), sqlx::Error> {
        let query = sqlx::query("DELETE FROM leftovers WHERE job_id = $1 AND place = $2");
        let query = query.bind(&leftover.job_id).bind(&leftover.place);
        query.execute(&mut *self.notes().await?).await.map(drop)
    }

    /// Notes that a leftover was removed or could not be, and that somebody is to go there again
    /// after some milliseconds.
    pub(crate) async fn look_again(
        &self,
        leftover: &Leftover,
        is_removed: bool,
        after_millis: i64,
    ) -> Result<(), sqlx::Error> {
        let text = "UPDATE leftovers SET taken = 0, removed = $3, failures = failures + $4, \
                    not_before = $5 WHERE job_id = $1 AND place = $2";
        let query = sqlx::query(text).bind(&leftover.job_id).bind(&leftover.place);
        let query = query.bind(is_removed || leftover.removed).bind(i64::from(!is_removed));
        let query = query.bind(millis() + after_millis);
        query.execute(&mut *self.notes().await?).await.map(drop)
    }
}
