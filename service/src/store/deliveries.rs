//! The outbox of webhooks, and the log of the tries to deliver them.

use sqlx::{Connection, FromRow};

use super::{BEGIN, Store};
use crate::model::clock::millis;

/// A webhook that is to be delivered, or was.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct DeliveryRow {
    pub(crate) id: String,
    pub(crate) job_id: String,
    /// The [`JobRow`](super::JobRow) at the end of the job, as JSON.
    pub(crate) job: String,
    pub(crate) url: String,
    /// The host of the URL.
    pub(crate) host: String,
    pub(crate) state: String,
    pub(crate) attempts: i64,
    /// In milliseconds since 1970, as is the time below.
    pub(crate) next_at: i64,
    pub(crate) created_at: i64,
}

/// One try to deliver a webhook.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct AttemptRow {
    pub(crate) number: i64,
    /// In milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) status: Option<i64>,
    pub(crate) error: Option<String>,
}

/// What happens to a delivery after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Delivered,
    /// The delivery is given up.
    Failed,
    /// The delivery is tried again.
    Again {
        /// When, in milliseconds since 1970.
        at: i64,
    },
}

const DELIVERY: &str = "id, job_id, job, url, host, state, attempts, next_at, created_at";

impl Store {
    pub(crate) async fn deliveries_of(&self, job: &str) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let text = format!("SELECT {DELIVERY} FROM deliveries WHERE job_id = $1 ORDER BY id");
        sqlx::query_as(&text).bind(job).fetch_all(&self.reader).await
    }

    pub(crate) async fn attempts_of(&self, id: &str) -> Result<Vec<AttemptRow>, sqlx::Error> {
        let text = "SELECT number, at, status, error FROM delivery_attempts \
                    WHERE delivery_id = $1 ORDER BY number";
        sqlx::query_as(text).bind(id).fetch_all(&self.reader).await
    }

    /// The deliveries of a project, newest first: at most so many, older than the one whose id is given.
    pub(crate) async fn deliveries(
        &self,
        project: &str,
        before: Option<&str>,
        most: i64,
    ) -> Result<Vec<DeliveryRow>, sqlx::Error> {
        let text = format!(
            "SELECT {DELIVERY} FROM deliveries WHERE project = $1 AND ($2 IS NULL OR id < $2) \
             ORDER BY id DESC LIMIT $3"
        );
        sqlx::query_as(&text).bind(project).bind(before).bind(most).fetch_all(&self.reader).await
    }

    /// Makes a delivery of a project due now that is not pending; `None` where there is none of the id.
    /// The inner value tells whether it was not pending.
    pub(crate) async fn redeliver(
        &self,
        project: &str,
        id: &str,
    ) -> Result<Option<bool>, sqlx::Error> {
        let mut transaction = self.begin().await?;
        let text = "SELECT state FROM deliveries WHERE project = $1 AND id = $2";
        let query = sqlx::query_scalar(text).bind(project).bind(id);
        let state: Option<String> = query.fetch_optional(&mut *transaction).await?;
        let Some(state) = state else { return Ok(None) };
        let text = "UPDATE deliveries SET state = 'pending', next_at = $2 \
                    WHERE id = $1 AND state <> 'pending'";
        sqlx::query(text).bind(id).bind(millis()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some(state != "pending"))
    }

    /// How many deliveries are pending.
    pub(crate) async fn backlog(&self) -> Result<i64, sqlx::Error> {
        let text = "SELECT COUNT(*) FROM deliveries WHERE state = 'pending'";
        sqlx::query_scalar(text).fetch_one(&self.reader).await
    }

    /// Takes the delivery that is due next, to none of the hosts that are `busy`, and reserves it for
    /// `lease` milliseconds.
    pub(crate) async fn take_delivery(
        &self,
        busy: &[String],
        lease: i64,
    ) -> Result<Option<DeliveryRow>, sqlx::Error> {
        let others: Vec<_> = (0..busy.len()).map(|number| format!("${}", number + 3)).collect();
        let text = format!(
            "UPDATE deliveries SET next_at = $2 WHERE id = (SELECT id FROM deliveries \
             WHERE state = 'pending' AND next_at <= $1 AND host NOT IN ({}) \
             ORDER BY next_at LIMIT 1) RETURNING {DELIVERY}",
            others.join(", ")
        );
        let now = millis();
        let query = sqlx::query_as(&text).bind(now).bind(now + lease);
        let query = busy.iter().fold(query, sqlx::query::QueryAs::bind);
        query.fetch_optional(&mut *self.notes().await?).await
    }

    /// Notes a try to deliver a webhook, and what happens next.
    pub(crate) async fn delivered(
        &self,
        delivery: &DeliveryRow,
        attempt: &AttemptRow,
        outcome: Outcome,
    ) -> Result<(), sqlx::Error> {
        let (state, next_at) = match outcome {
            Outcome::Delivered => ("delivered", attempt.at),
            Outcome::Failed => ("failed", attempt.at),
            Outcome::Again { at } => ("pending", at),
        };
        let mut connection = self.notes().await?;
        let mut transaction = connection.begin_with(BEGIN).await?;
        // The delivery may have been deleted with its job.
        let text = "INSERT INTO delivery_attempts (delivery_id, number, at, status, error) \
                    SELECT $1, $2, $3, $4, $5 WHERE EXISTS \
                    (SELECT 1 FROM deliveries WHERE id = $1) ON CONFLICT DO NOTHING";
        sqlx::query(text)
            .bind(&delivery.id)
            .bind(attempt.number)
            .bind(attempt.at)
            .bind(attempt.status)
            .bind(&attempt.error)
            .execute(&mut *transaction)
            .await?;
        let text = "UPDATE deliveries SET state = $2, attempts = $3, next_at = $4 WHERE id = $1";
        let query = sqlx::query(text).bind(&delivery.id).bind(state).bind(attempt.number);
        query.bind(next_at).execute(&mut *transaction).await?;
        transaction.commit().await
    }
}
