//! API keys and presets.

use sqlx::FromRow;

use super::{Store, millis, new_id};
use crate::model::secret;

/// An API key without its secret part.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct TokenRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) shown: String,
    /// In milliseconds since 1970, as are the times below.
    pub(crate) created_at: i64,
    pub(crate) last_used_at: Option<i64>,
    pub(crate) revoked_at: Option<i64>,
}

/// A preset: a job document without inputs.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct PresetRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// The document, as JSON.
    pub(crate) document: String,
    /// In milliseconds since 1970, as is the time below.
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const TOKEN: &str = "id, name, shown, created_at, last_used_at, revoked_at";
const PRESET: &str = "id, name, description, document, created_at, updated_at";

impl Store {
    /// Stores a new API key, as its hash.
    pub(crate) async fn new_token(&self, name: &str, key: &str) -> Result<TokenRow, sqlx::Error> {
        let row = TokenRow {
            id: new_id(),
            name: name.to_owned(),
            shown: secret::shown(key),
            created_at: millis(),
            last_used_at: None,
            revoked_at: None,
        };
        let text = "INSERT INTO tokens (id, name, hash, shown, created_at) \
                    VALUES ($1, $2, $3, $4, $5)";
        let query = sqlx::query(text).bind(&row.id).bind(name).bind(secret::hash(key));
        query.bind(&row.shown).bind(row.created_at).execute(&self.writer).await?;
        Ok(row)
    }

    /// The id of an API key; `None` when it is unknown or revoked.
    pub(crate) async fn token_of(&self, key: &str) -> Result<Option<String>, sqlx::Error> {
        // The lookup is by hash, so its duration tells nothing about the key.
        let text = "SELECT id FROM tokens WHERE hash = $1 AND revoked_at IS NULL";
        sqlx::query_scalar(text).bind(secret::hash(key)).fetch_optional(&self.reader).await
    }

    pub(crate) async fn used_token(&self, id: &str, at: i64) -> Result<(), sqlx::Error> {
        let text = "UPDATE tokens SET last_used_at = $2 WHERE id = $1";
        let query = sqlx::query(text).bind(id).bind(at);
        query.execute(&mut *self.notes().await?).await.map(drop)
    }

    pub(crate) async fn tokens(&self) -> Result<Vec<TokenRow>, sqlx::Error> {
        let text = format!("SELECT {TOKEN} FROM tokens ORDER BY id");
        sqlx::query_as(&text).fetch_all(&self.reader).await
    }

    /// Revokes an API key; `false` when it is unknown or already revoked.
    pub(crate) async fn revoke_token(&self, id: &str) -> Result<bool, sqlx::Error> {
        let text = "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
        let done = sqlx::query(text).bind(id).bind(millis()).execute(&self.writer).await?;
        Ok(done.rows_affected() == 1)
    }

    pub(crate) async fn presets(&self) -> Result<Vec<PresetRow>, sqlx::Error> {
        let text = format!("SELECT {PRESET} FROM presets ORDER BY id DESC");
        sqlx::query_as(&text).fetch_all(&self.reader).await
    }

    pub(crate) async fn preset(&self, id: &str) -> Result<Option<PresetRow>, sqlx::Error> {
        let text = format!("SELECT {PRESET} FROM presets WHERE id = $1");
        sqlx::query_as(&text).bind(id).fetch_optional(&self.reader).await
    }

    /// Inserts or updates a preset.
    pub(crate) async fn put_preset(&self, preset: &PresetRow) -> Result<(), sqlx::Error> {
        let text = "INSERT INTO presets (id, name, description, document, created_at, updated_at) \
                    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET \
                    name = excluded.name, description = excluded.description, \
                    document = excluded.document, updated_at = excluded.updated_at";
        sqlx::query(text)
            .bind(&preset.id)
            .bind(&preset.name)
            .bind(&preset.description)
            .bind(&preset.document)
            .bind(preset.created_at)
            .bind(preset.updated_at)
            .execute(&self.writer)
            .await
            .map(drop)
    }

    pub(crate) async fn delete_preset(&self, id: &str) -> Result<bool, sqlx::Error> {
        let query = sqlx::query("DELETE FROM presets WHERE id = $1").bind(id);
        Ok(query.execute(&self.writer).await?.rows_affected() == 1)
    }
}
