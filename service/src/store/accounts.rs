//! API keys and presets.

use sqlx::FromRow;

use super::{Store, new_id};
use crate::model::clock::millis;
use crate::model::{
    scope::{self, Scope},
    secret,
};

/// An API key without its secret part.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct TokenRow {
    pub(crate) id: String,
    pub(crate) project: String,
    pub(crate) name: String,
    pub(crate) shown: String,
    /// The names of its scopes, with spaces between them.
    pub(crate) scopes: String,
    /// In milliseconds since 1970, as are the times below.
    pub(crate) created_at: i64,
    /// The id of the API key that made it; `None` when the program did.
    pub(crate) created_by: Option<String>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) revoked_at: Option<i64>,
}

/// What an API key is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewToken<'a> {
    pub(crate) project: &'a str,
    pub(crate) name: &'a str,
    pub(crate) scopes: &'a [Scope],
    /// In milliseconds since 1970; `None` for never.
    pub(crate) expires_at: Option<i64>,
    pub(crate) created_by: Option<&'a str>,
}

impl<'a> NewToken<'a> {
    /// One that the program makes, which does not expire.
    pub(crate) const fn of_program(project: &'a str, name: &'a str, scopes: &'a [Scope]) -> Self {
        Self { project, name, scopes, expires_at: None, created_by: None }
    }
}

/// Whose request it is: the id of the API key, its project and its scopes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holder {
    pub(crate) token: String,
    pub(crate) project: String,
    pub(crate) scopes: Vec<Scope>,
    /// When the API key ends, in milliseconds since 1970; `None` for never.
    pub(crate) expires_at: Option<i64>,
}

/// A preset: a job document without inputs.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct PresetRow {
    pub(crate) id: String,
    pub(crate) project: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// The document, as JSON.
    pub(crate) document: String,
    /// In milliseconds since 1970, as is the time below.
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const TOKEN: &str = "id, project, name, shown, scopes, created_at, created_by, expires_at, \
                     last_used_at, revoked_at";
const PRESET: &str = "id, project, name, description, document, created_at, updated_at";

impl Store {
    /// Stores a new API key, as its hash.
    pub(crate) async fn new_token(
        &self,
        new: NewToken<'_>,
        key: &str,
    ) -> Result<TokenRow, sqlx::Error> {
        let row = TokenRow {
            id: new_id(),
            project: new.project.to_owned(),
            name: new.name.to_owned(),
            shown: secret::shown(key),
            scopes: scope::joined(new.scopes),
            created_at: millis(),
            created_by: new.created_by.map(str::to_owned),
            expires_at: new.expires_at,
            last_used_at: None,
            revoked_at: None,
        };
        let text = "INSERT INTO tokens (id, project, name, hash, shown, scopes, created_at, \
                    created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        sqlx::query(text)
            .bind(&row.id)
            .bind(&row.project)
            .bind(&row.name)
            .bind(secret::hash(key))
            .bind(&row.shown)
            .bind(&row.scopes)
            .bind(row.created_at)
            .bind(&row.created_by)
            .bind(row.expires_at)
            .execute(&self.writer)
            .await?;
        Ok(row)
    }

    /// Whose key it is; `None` when it is unknown, revoked or expired.
    pub(crate) async fn holder_of(&self, key: &str) -> Result<Option<Holder>, sqlx::Error> {
        // The lookup is by hash, so its duration tells nothing about the key.
        let text = "SELECT id, project, scopes, expires_at FROM tokens WHERE hash = $1 \
                    AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
        let query = sqlx::query_as(text).bind(secret::hash(key)).bind(millis());
        let found: Option<(String, String, String, Option<i64>)> =
            query.fetch_optional(&self.reader).await?;
        Ok(found.map(|(token, project, scopes, expires_at)| {
            let scopes = scope::split(&scopes);
            Holder { token, project, scopes, expires_at }
        }))
    }

    pub(crate) async fn used_token(&self, id: &str, at: i64) -> Result<(), sqlx::Error> {
        let text = "UPDATE tokens SET last_used_at = $2 WHERE id = $1";
        let query = sqlx::query(text).bind(id).bind(at);
        query.execute(&mut *self.notes().await?).await.map(drop)
    }

    /// The API keys of a project, or of all projects.
    pub(crate) async fn tokens(&self, project: Option<&str>) -> Result<Vec<TokenRow>, sqlx::Error> {
        let text =
            format!("SELECT {TOKEN} FROM tokens WHERE $1 IS NULL OR project = $1 ORDER BY id");
        sqlx::query_as(&text).bind(project).fetch_all(&self.reader).await
    }

    /// Revokes an API key of a project, or of any project; `false` when it is unknown or already
    /// revoked.
    pub(crate) async fn revoke_token(
        &self,
        project: Option<&str>,
        id: &str,
    ) -> Result<bool, sqlx::Error> {
        let text = "UPDATE tokens SET revoked_at = $3 WHERE id = $2 AND revoked_at IS NULL \
                    AND ($1 IS NULL OR project = $1)";
        let query = sqlx::query(text).bind(project).bind(id).bind(millis());
        Ok(query.execute(&self.writer).await?.rows_affected() == 1)
    }

    pub(crate) async fn presets(&self, project: &str) -> Result<Vec<PresetRow>, sqlx::Error> {
        let text = format!("SELECT {PRESET} FROM presets WHERE project = $1 ORDER BY id DESC");
        sqlx::query_as(&text).bind(project).fetch_all(&self.reader).await
    }

    pub(crate) async fn preset(
        &self,
        project: &str,
        id: &str,
    ) -> Result<Option<PresetRow>, sqlx::Error> {
        let text = format!("SELECT {PRESET} FROM presets WHERE project = $1 AND id = $2");
        sqlx::query_as(&text).bind(project).bind(id).fetch_optional(&self.reader).await
    }

    /// Inserts or updates a preset.
    pub(crate) async fn put_preset(&self, preset: &PresetRow) -> Result<(), sqlx::Error> {
        let text = "INSERT INTO presets \
                    (id, name, description, document, created_at, updated_at, project) \
                    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET \
                    name = excluded.name, description = excluded.description, \
                    document = excluded.document, updated_at = excluded.updated_at";
        sqlx::query(text)
            .bind(&preset.id)
            .bind(&preset.name)
            .bind(&preset.description)
            .bind(&preset.document)
            .bind(preset.created_at)
            .bind(preset.updated_at)
            .bind(&preset.project)
            .execute(&self.writer)
            .await
            .map(drop)
    }

    pub(crate) async fn delete_preset(&self, project: &str, id: &str) -> Result<bool, sqlx::Error> {
        let text = "DELETE FROM presets WHERE project = $1 AND id = $2";
        let query = sqlx::query(text).bind(project).bind(id);
        Ok(query.execute(&self.writer).await?.rows_affected() == 1)
    }
}
