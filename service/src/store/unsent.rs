//! Finished outputs that are not at their provider yet: they are sent again without being made again.

use super::{Store, Task};

impl Store {
    /// Notes what a task made, as JSON, before it is sent, and the places here from which it is
    /// sent; `false` when the task is somebody else's. Sending has as many tries as making had.
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
            // Of no attempt: whichever completes the job, what is there is none of its outputs.
            let text = "INSERT INTO leftovers (job_id, place, attempt) VALUES ($1, $2, 0) \
                        ON CONFLICT (job_id, place) DO UPDATE SET attempt = 0";
            let query = sqlx::query(text).bind(&task.job_id).bind(place);
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// What an earlier attempt of a job made and could not send.
    pub(crate) async fn unsent(&self, job: &str) -> Result<Option<String>, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT finished FROM unsent WHERE job_id = $1").bind(job);
        query.fetch_optional(&self.reader).await
    }
}
