//! Finished outputs that are not at their provider yet. A retry uploads them without a new run.

use super::{Store, Task};

impl Store {
    /// Forgets all outputs that wait for their provider: their jobs make them again.
    pub(crate) async fn forget_all_unsent(&self) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM unsent").execute(&self.writer).await.map(drop)
    }

    /// Stores the outputs of a task, as JSON, before the upload, and the local places that hold
    /// them meanwhile. The count of tries begins anew. `false` when the task is another attempt's.
    pub(crate) async fn keep_unsent(
        &self,
        task: &Task,
        finished: &str,
        places: &[String],
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let text = "UPDATE tasks SET tries = 0 WHERE job_id = $1 AND attempt = $2 AND taken = 1";
        let query = sqlx::query(text).bind(&task.job_id).bind(task.attempt);
        if query.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let text = "INSERT INTO unsent (job_id, finished) VALUES ($1, $2) \
                    ON CONFLICT (job_id) DO UPDATE SET finished = excluded.finished";
        let query = sqlx::query(text).bind(&task.job_id).bind(finished);
        query.execute(&mut *transaction).await?;
        for place in places {
            // Attempt 0 completes no job, so these local files are always removed as leftovers.
            let text = "INSERT INTO leftovers (job_id, place, attempt) VALUES ($1, $2, 0) \
                        ON CONFLICT (job_id, place) DO UPDATE SET attempt = 0";
            let query = sqlx::query(text).bind(&task.job_id).bind(place);
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// The outputs that an earlier attempt made and did not upload, as JSON.
    pub(crate) async fn unsent(&self, job: &str) -> Result<Option<String>, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT finished FROM unsent WHERE job_id = $1").bind(job);
        query.fetch_optional(&self.reader).await
    }
}
