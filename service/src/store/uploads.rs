//! Uploads: files that clients send, to be the inputs of jobs.

use sqlx::FromRow;

use super::Store;

/// An upload. How much of it has come, its file tells.
#[derive(Clone, Debug, FromRow, PartialEq)]
pub(crate) struct UploadRow {
    pub(crate) id: String,
    pub(crate) project: String,
    /// The file name that the client gave.
    pub(crate) name: String,
    /// `Upload-Metadata` as the client gave it.
    pub(crate) metadata: String,
    /// Of the whole, in bytes.
    pub(crate) length: i64,
    /// In milliseconds since 1970, as is the time below.
    pub(crate) created_at: i64,
    pub(crate) expires_at: i64,
}

const UPLOAD: &str = "id, project, name, metadata, length, created_at, expires_at";

/// Whether a job that has not ended names an upload. Its id stands nowhere else by chance.
const IN_USE: &str = "EXISTS (SELECT 1 FROM tasks JOIN jobs ON jobs.id = tasks.job_id \
                      WHERE jobs.project = uploads.project \
                      AND instr(jobs.document, 'upload:' || uploads.id) > 0)";

/// How many uploads a project may have. Each takes a file, however short it is.
pub(crate) const MOST_UPLOADS: i64 = 1000;

impl Store {
    /// Adds an upload, unless all of its project would then have more than `most` bytes together, or be
    /// more than [`MOST_UPLOADS`]. Answers whether it was added.
    pub(crate) async fn new_upload(
        &self,
        upload: &UploadRow,
        most: i64,
    ) -> Result<bool, sqlx::Error> {
        let text = format!(
            "INSERT INTO uploads ({UPLOAD}) SELECT $1, $2, $3, $4, $5, $6, $7 WHERE $5 + \
             COALESCE((SELECT SUM(length) FROM uploads WHERE project = $2), 0) <= $8 \
             AND (SELECT COUNT(*) FROM uploads WHERE project = $2) < $9"
        );
        let query = sqlx::query(&text).bind(&upload.id).bind(&upload.project).bind(&upload.name);
        let query = query.bind(&upload.metadata).bind(upload.length);
        let query = query.bind(upload.created_at).bind(upload.expires_at);
        Ok(query.bind(most).bind(MOST_UPLOADS).execute(&self.writer).await?.rows_affected() > 0)
    }

    /// The uploads of a project, newest first.
    pub(crate) async fn uploads(&self, project: &str) -> Result<Vec<UploadRow>, sqlx::Error> {
        let text = format!("SELECT {UPLOAD} FROM uploads WHERE project = $1 ORDER BY id DESC");
        sqlx::query_as(&text).bind(project).fetch_all(&self.reader).await
    }

    /// An upload of a project.
    pub(crate) async fn upload(
        &self,
        project: &str,
        id: &str,
    ) -> Result<Option<UploadRow>, sqlx::Error> {
        let text = format!("SELECT {UPLOAD} FROM uploads WHERE project = $1 AND id = $2");
        sqlx::query_as(&text).bind(project).bind(id).fetch_optional(&self.reader).await
    }

    /// Keeps an upload until a time at least, in milliseconds since 1970.
    pub(crate) async fn keep_upload(&self, id: &str, until: i64) -> Result<(), sqlx::Error> {
        let text = "UPDATE uploads SET expires_at = MAX(expires_at, $2) WHERE id = $1";
        sqlx::query(text).bind(id).bind(until).execute(&self.writer).await.map(drop)
    }

    /// Forgets an upload, unless a job that has not ended names it. Answers whether it did.
    pub(crate) async fn forget_upload(&self, id: &str) -> Result<bool, sqlx::Error> {
        let text = format!("DELETE FROM uploads WHERE id = $1 AND NOT {IN_USE}");
        Ok(sqlx::query(&text).bind(id).execute(&self.writer).await?.rows_affected() > 0)
    }

    /// Forgets the uploads that have expired and that no job needs; returns their ids.
    pub(crate) async fn forget_uploads(&self, now: i64) -> Result<Vec<String>, sqlx::Error> {
        let text =
            format!("DELETE FROM uploads WHERE expires_at <= $1 AND NOT {IN_USE} RETURNING id");
        sqlx::query_scalar(&text).bind(now).fetch_all(&self.writer).await
    }

    /// The uploads that jobs need which have not ended.
    pub(crate) async fn needed_uploads(&self) -> Result<Vec<UploadRow>, sqlx::Error> {
        let text = format!("SELECT {UPLOAD} FROM uploads WHERE {IN_USE} ORDER BY id");
        sqlx::query_as(&text).fetch_all(&self.reader).await
    }

    /// The uploads of all projects.
    pub(crate) async fn all_uploads(&self) -> Result<Vec<UploadRow>, sqlx::Error> {
        let text = format!("SELECT {UPLOAD} FROM uploads ORDER BY id");
        sqlx::query_as(&text).fetch_all(&self.reader).await
    }
}
