//! Projects: what has an owner belongs to one.

use sqlx::FromRow;

use super::{Store, new_id};
use crate::model::clock::millis;
use crate::model::secret;

/// The id of the project that is there from the start. Its keys belong to whoever runs the service.
pub(crate) const DEFAULT_PROJECT: &str = "default";

/// A project.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct ProjectRow {
    pub(crate) id: String,
    pub(crate) name: String,
    /// In milliseconds since 1970.
    pub(crate) created_at: i64,
}

impl Store {
    /// All projects, in the order in which they were made.
    pub(crate) async fn projects(&self) -> Result<Vec<ProjectRow>, sqlx::Error> {
        let text = "SELECT id, name, created_at FROM projects ORDER BY created_at, id";
        sqlx::query_as(text).fetch_all(&self.reader).await
    }

    /// A project by its id or its name.
    pub(crate) async fn project(&self, called: &str) -> Result<Option<ProjectRow>, sqlx::Error> {
        let text = "SELECT id, name, created_at FROM projects WHERE id = $1 OR name = $1 \
                    ORDER BY id <> $1";
        sqlx::query_as(text).bind(called).fetch_optional(&self.reader).await
    }

    /// Makes a project, with a webhook secret of its own; `None` when the name is taken.
    pub(crate) async fn new_project(&self, name: &str) -> Result<Option<ProjectRow>, sqlx::Error> {
        let row = ProjectRow { id: new_id(), name: name.to_owned(), created_at: millis() };
        let mut transaction = self.begin().await?;
        let text = "INSERT INTO projects (id, name, created_at) SELECT $1, $2, $3 \
                    WHERE NOT EXISTS (SELECT 1 FROM projects WHERE id = $2 OR name = $2)";
        let query = sqlx::query(text).bind(&row.id).bind(name).bind(row.created_at);
        if query.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(None);
        }
        let text = "INSERT INTO settings (project, name, value) VALUES ($1, 'webhookSecret', $2)";
        let query = sqlx::query(text).bind(&row.id).bind(secret::new_webhook_secret());
        query.execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(Some(row))
    }
}
