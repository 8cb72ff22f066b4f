//! What an operator does in the data folder of a service, which may be running meanwhile.

mod backup;

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    model::{
        clock::millis,
        keys::{KeyKind, Keys},
        scope::Scope,
        secret,
    },
    store::{DEFAULT_PROJECT, NewToken, ProjectRow, Store, StoreError, TokenRow},
    view::{Project, Token},
};

pub use backup::Backup;

/// The data folder of a service, for its operator.
#[derive(Debug)]
pub struct Admin {
    store: Store,
    data: PathBuf,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The folder has no database, or that of another release, or a query failed.
    #[error("the database of the data folder: {0}")]
    Store(#[from] StoreError),
    /// A file or a folder can not be used.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A name or an id that is not known, or is known already.
    #[error("{what} is {found}; {allowed}")]
    Wrong {
        /// What was given.
        what: String,
        /// What is the matter with it.
        found: String,
        /// What is allowed.
        allowed: String,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> AdminError {
    let path = path.to_owned();
    move |source| AdminError::Io { path, source }
}

impl From<sqlx::Error> for AdminError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// What an API key is made with.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NewKey {
    /// What it is called.
    pub name: String,
    /// The id or the name of its project; `None` for `default`.
    pub project: Option<String>,
    /// The names of its scopes, as in `jobs:read`; empty for all.
    pub scopes: Vec<String>,
    /// How long it works; `None` for ever.
    pub lives: Option<Duration>,
}

impl Admin {
    /// Opens the data folder of a service.
    ///
    /// # Errors
    /// [`AdminError::Store`] when it has no database, or that of another release.
    pub async fn open(data: &Path) -> Result<Self, AdminError> {
        Ok(Self { store: Store::reopen(data).await?, data: data.to_owned() })
    }

    /// Copies the folder into a new or empty one, as it is at one moment, and checks the copy. Outputs
    /// are hard links where both folders are in one file system.
    ///
    /// # Errors
    /// [`AdminError::Wrong`] when the other folder is not empty; [`AdminError::Io`].
    pub async fn back_up(&self, to: &Path) -> Result<Backup, AdminError> {
        backup::make(&self.store, &self.data, to).await
    }

    /// Looks whether a backup is whole: its database, its keys, and the outputs that it lists.
    ///
    /// # Errors
    /// [`AdminError::Store`] when it has no database of this release.
    pub async fn check_backup(backup: &Path) -> Result<Backup, AdminError> {
        backup::check(backup).await
    }

    /// Copies a backup into a new or empty data folder, and checks the copy.
    ///
    /// # Errors
    /// [`AdminError::Wrong`] when the data folder is not empty; [`AdminError::Io`];
    /// [`AdminError::Store`] when the backup has no database of this release.
    pub async fn restore(backup: &Path, data: &Path) -> Result<Backup, AdminError> {
        backup::restore(backup, data).await
    }

    /// Adds a key of the data folder, which takes over at the next start of the service; answers its
    /// id. What older keys signed and encrypted still holds, until somebody takes them out of the file
    /// `keys`.
    ///
    /// # Errors
    /// [`AdminError::Io`] when the file can not be read or written.
    pub fn rotate(data: &Path, kind: KeyKind) -> Result<String, AdminError> {
        let failed = || io_error(data);
        let mut keys = Keys::load(data).map_err(failed())?;
        let id = keys.rotate(kind);
        keys.replace(data).map_err(failed())?;
        Ok(id)
    }

    /// Makes an API key, and answers it; only its hash is stored.
    ///
    /// # Errors
    /// [`AdminError::Wrong`] for a project or a scope that is not known.
    pub async fn create_key(&self, new: &NewKey) -> Result<String, AdminError> {
        let project = match &new.project {
            None => DEFAULT_PROJECT.to_owned(),
            Some(called) => {
                let unknown = || AdminError::Wrong {
                    what: format!("the project {called:?}"),
                    found: "not known".to_owned(),
                    allowed: "`avocet project list` lists those that are".to_owned(),
                };
                self.store.project(called).await?.ok_or_else(unknown)?.id
            }
        };
        let scope = |name: &String| {
            Scope::from_name(name).ok_or_else(|| AdminError::Wrong {
                what: format!("the scope {name:?}"),
                found: "not known".to_owned(),
                allowed: format!("there are {}", Scope::ALL.map(Scope::name).join(", ")),
            })
        };
        let mut scopes = new.scopes.iter().map(scope).collect::<Result<Vec<_>, _>>()?;
        if scopes.is_empty() {
            scopes.extend(Scope::ALL);
        }
        let lives = new.lives.map(|lives| i64::try_from(lives.as_millis()).unwrap_or(i64::MAX));
        let expires_at = lives.map(|lives| millis().saturating_add(lives));
        let key = secret::new_key();
        let row = NewToken::of_program(&project, &new.name, &scopes);
        self.store.new_token(NewToken { expires_at, ..row }, &key).await?;
        Ok(key)
    }

    /// All API keys, revoked ones among them, as the API shows them: one JSON object each.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn keys(&self) -> Result<Vec<serde_json::Value>, AdminError> {
        let rows: Vec<TokenRow> = self.store.tokens(None).await?;
        Ok(rows.iter().map(|row| serde_json::json!(Token::from(row))).collect())
    }

    /// Revokes an API key by its id, from the next request on.
    ///
    /// # Errors
    /// [`AdminError::Wrong`] when there is none, or it was revoked before.
    pub async fn revoke_key(&self, id: &str) -> Result<(), AdminError> {
        if self.store.revoke_token(None, id).await? {
            return Ok(());
        }
        Err(AdminError::Wrong {
            what: format!("the API key {id:?}"),
            found: "not known, or was revoked before".to_owned(),
            allowed: "`avocet token list` lists the ids of those that are".to_owned(),
        })
    }

    /// Makes a project, and answers its id.
    ///
    /// # Errors
    /// [`AdminError::Wrong`] when its name is taken.
    pub async fn create_project(&self, name: &str) -> Result<String, AdminError> {
        let taken = || AdminError::Wrong {
            what: format!("the project {name:?}"),
            found: "there already".to_owned(),
            allowed: "give another name".to_owned(),
        };
        Ok(self.store.new_project(name).await?.ok_or_else(taken)?.id)
    }

    /// All projects, as the API shows them: one JSON object each.
    ///
    /// # Errors
    /// [`AdminError::Store`].
    pub async fn projects(&self) -> Result<Vec<serde_json::Value>, AdminError> {
        let rows: Vec<ProjectRow> = self.store.projects().await?;
        Ok(rows.iter().map(|row| serde_json::json!(Project::from(row))).collect())
    }
}
