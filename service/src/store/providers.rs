//! Storage providers: where outputs go, if not to the data folder.

use sqlx::FromRow;

use super::Store;

/// A storage provider.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct ProviderRow {
    pub(crate) id: String,
    pub(crate) project: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    /// The fields other than the secret, as JSON.
    pub(crate) settings: String,
    /// The secret, encrypted; empty if there is none.
    pub(crate) secrets: String,
    /// Whether the outputs of new jobs go there.
    pub(crate) is_default: bool,
    /// In milliseconds since 1970, as is the time below.
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const PROVIDER: &str = "id, project, name, kind, settings, secrets, is_default, created_at, \
                        updated_at";

impl Store {
    pub(crate) async fn providers(&self, project: &str) -> Result<Vec<ProviderRow>, sqlx::Error> {
        let text = format!("SELECT {PROVIDER} FROM providers WHERE project = $1 ORDER BY id DESC");
        sqlx::query_as(&text).bind(project).fetch_all(&self.reader).await
    }

    /// The providers of all projects.
    pub(crate) async fn all_providers(&self) -> Result<Vec<ProviderRow>, sqlx::Error> {
        let text = format!("SELECT {PROVIDER} FROM providers ORDER BY id");
        sqlx::query_as(&text).fetch_all(&self.reader).await
    }

    /// A provider of a project.
    pub(crate) async fn provider_of(
        &self,
        project: &str,
        id: &str,
    ) -> Result<Option<ProviderRow>, sqlx::Error> {
        let text = format!("SELECT {PROVIDER} FROM providers WHERE project = $1 AND id = $2");
        sqlx::query_as(&text).bind(project).bind(id).fetch_optional(&self.reader).await
    }

    /// A provider of any project: the one that an output of a job names.
    pub(crate) async fn provider(&self, id: &str) -> Result<Option<ProviderRow>, sqlx::Error> {
        let text = format!("SELECT {PROVIDER} FROM providers WHERE id = $1");
        sqlx::query_as(&text).bind(id).fetch_optional(&self.reader).await
    }

    /// The provider that outputs of a project go to; `None` for the data folder.
    pub(crate) async fn default_provider(
        &self,
        project: &str,
    ) -> Result<Option<ProviderRow>, sqlx::Error> {
        let text = format!("SELECT {PROVIDER} FROM providers WHERE project = $1 AND is_default");
        sqlx::query_as(&text).bind(project).fetch_optional(&self.reader).await
    }

    /// Inserts or updates a provider. If it is the default, no other one of its project is.
    pub(crate) async fn put_provider(&self, provider: &ProviderRow) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        if provider.is_default {
            let text = "UPDATE providers SET is_default = FALSE WHERE project = $1 AND id <> $2";
            let query = sqlx::query(text).bind(&provider.project).bind(&provider.id);
            query.execute(&mut *transaction).await?;
        }
        let text = "INSERT INTO providers \
                    (id, name, kind, settings, secrets, is_default, created_at, updated_at, \
                    project) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET \
                    name = excluded.name, settings = excluded.settings, \
                    secrets = excluded.secrets, is_default = excluded.is_default, \
                    updated_at = excluded.updated_at";
        sqlx::query(text)
            .bind(&provider.id)
            .bind(&provider.name)
            .bind(&provider.kind)
            .bind(&provider.settings)
            .bind(&provider.secrets)
            .bind(provider.is_default)
            .bind(provider.created_at)
            .bind(provider.updated_at)
            .bind(&provider.project)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Deletes a provider and its secret; `false` when there is none.
    pub(crate) async fn delete_provider(
        &self,
        project: &str,
        id: &str,
    ) -> Result<bool, sqlx::Error> {
        let text = "DELETE FROM providers WHERE project = $1 AND id = $2";
        let query = sqlx::query(text).bind(project).bind(id);
        Ok(query.execute(&self.writer).await?.rows_affected() == 1)
    }
}
