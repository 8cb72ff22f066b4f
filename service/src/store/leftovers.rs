//! Places where attempts may leave outputs. A row exists from the plan of an output until its job
//! lists the output, or until the output is removed.

use sqlx::{Connection, FromRow};

use super::{BEGIN, Store, Task};
use crate::model::clock::millis;

/// A place that may hold an output which no job lists.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct Leftover {
    pub(crate) job_id: String,
    /// The place, as JSON.
    pub(crate) place: String,
    /// How many removals failed.
    pub(crate) failures: i64,
    /// Whether it was removed before.
    pub(crate) removed: bool,
}

impl Store {
    /// Stores the plan's strategy and reasons, and the places where it may leave outputs.
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

    /// Takes a leftover of a job that has no task. The job is not run before [`Self::forget`] or
    /// [`Self::look_again`] is called.
    pub(crate) async fn take_leftover(&self) -> Result<Option<Leftover>, sqlx::Error> {
        let text = "UPDATE leftovers SET taken = 1 WHERE (job_id, place) = (\
                    SELECT job_id, place FROM leftovers WHERE taken = 0 AND not_before <= $1 \
                    AND job_id NOT IN (SELECT job_id FROM tasks) ORDER BY not_before LIMIT 1) \
                    RETURNING job_id, place, failures, removed";
        sqlx::query_as(text).bind(millis()).fetch_optional(&mut *self.notes().await?).await
    }

    /// Deletes the row of a leftover.
    pub(crate) async fn forget(&self, leftover: &Leftover) -> Result<(), sqlx::Error> {
        let query = sqlx::query("DELETE FROM leftovers WHERE job_id = $1 AND place = $2");
        let query = query.bind(&leftover.job_id).bind(&leftover.place);
        query.execute(&mut *self.notes().await?).await.map(drop)
    }

    /// Notes that a leftover was removed or could not be, and is due again in `after_millis`.
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
