//! Backups: a data folder as it was at one moment, and whether one is whole.

use std::{env, fs, io, path::Path};

use serde::Serialize;
use tempfile::TempDir;

use super::{AdminError, io_error};
use crate::{
    model::keys::{KEYS, Keys},
    outputs::storage::{At, Stored, outputs_of},
    store::{DATABASE, ProviderRow, Store},
    uploads::UPLOADS,
};

/// What is in a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Backup {
    /// The number of jobs.
    pub jobs: u64,
    /// The number of outputs in the folder of files.
    pub files: u64,
    /// The bytes of these outputs together.
    pub bytes: u64,
    /// What is wrong, for people; empty for a backup that is whole.
    pub problems: Vec<String>,
}

/// The outputs in the folder of files that the database lists, by their path below that folder.
async fn listed(store: &Store) -> Result<(u64, Vec<(String, u64)>), sqlx::Error> {
    let (mut jobs, mut last, mut found) = (0, String::new(), Vec::new());
    loop {
        let page = store.all_jobs(&last).await?;
        let Some(job) = page.last() else { return Ok((jobs, found)) };
        last.clone_from(&job.id);
        for job in page {
            jobs += 1;
            let outputs = outputs_of(&job.outputs).into_iter().filter(|output| !output.deleted);
            found.extend(outputs.filter_map(|Stored { made, at, .. }| match at {
                At::Folder(path) => Some((path, made.size_bytes)),
                At::Provider { .. } | At::Root { .. } | At::Input(_) => None,
            }));
        }
    }
}

/// Copies a data folder into a new or empty folder, while the service may be running: first the
/// database as it is at one moment, then the outputs that it lists.
pub(super) async fn make(store: &Store, data: &Path, to: &Path) -> Result<Backup, AdminError> {
    expect_empty(to)?;
    store.copy_to(&to.join(DATABASE)).await?;
    copy(&data.join(KEYS), &to.join(KEYS))?;
    let copied = Store::of_new_backup(to).await?;
    // The files that wait for their provider are not copied.
    copied.forget_all_unsent().await?;
    let (_, outputs) = listed(&copied).await?;
    for (path, _) in outputs {
        let path = Path::new("files").join(path);
        link(&data.join(&path), &to.join(&path))?;
    }
    for row in copied.all_uploads().await? {
        let path = Path::new(UPLOADS).join(&row.id);
        let found = fs::metadata(data.join(&path)).map(|found| found.len());
        // One that is not whole is still written to; its client begins anew.
        if found.is_ok_and(|bytes| i64::try_from(bytes) == Ok(row.length)) {
            link(&data.join(&path), &to.join(&path))?;
        }
    }
    check(to).await
}

/// Gives a file a second name. Outputs, and uploads that are whole, are replaced and never written to, so
/// that it keeps them as they are.
fn link(from: &Path, to: &Path) -> Result<(), AdminError> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(io_error(folder))?;
    }
    match fs::hard_link(from, to).or_else(|_| copied_file(from, to)) {
        // Deleted since; the check tells.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(io_error(to)),
    }
}

/// Looks whether a backup, or a data folder, is whole.
pub(super) async fn check(folder: &Path) -> Result<Backup, AdminError> {
    let scratch = scratch()?;
    let store = Store::of_backup(folder, scratch.path()).await?;
    let mut problems = store.integrity().await?;
    match Keys::load(folder) {
        Ok(keys) => {
            let is_lost = |row: &ProviderRow| {
                !row.secrets.is_empty() && keys.decrypt(&row.id, &row.secrets).is_none()
            };
            for row in store.all_providers().await?.iter().filter(|row| is_lost(row)) {
                problems.push(format!("the secret of the storage provider {} is lost", row.name));
            }
        }
        Err(error) => problems.push(format!("the keys can not be read: {error}")),
    }
    let (jobs, outputs) = listed(&store).await?;
    let mut backup = Backup { jobs, problems, ..Backup::default() };
    for (path, bytes) in outputs {
        match fs::metadata(folder.join("files").join(&path)) {
            Ok(found) if found.len() == bytes => {
                backup.files += 1;
                backup.bytes += bytes;
            }
            Ok(found) => backup
                .problems
                .push(format!("the output {path} has {} bytes instead of {bytes}", found.len())),
            Err(error) => backup.problems.push(format!("the output {path}: {error}")),
        }
    }
    for row in store.needed_uploads().await? {
        let bytes = fs::metadata(folder.join(UPLOADS).join(&row.id)).map_or(0, |found| found.len());
        if i64::try_from(bytes) != Ok(row.length) {
            let (id, length) = (row.id, row.length);
            let found =
                format!("the upload {id}, which a job needs, has {bytes} bytes of {length}");
            backup.problems.push(found);
        }
    }
    Ok(backup)
}

/// Copies a backup into a new or empty data folder. That of an earlier release gets the present form.
pub(super) async fn restore(from: &Path, data: &Path) -> Result<Backup, AdminError> {
    let scratch = scratch()?;
    let store = Store::of_backup(from, scratch.path()).await?;
    make(&store, from, data).await
}

/// A folder for a copy of a database, removed when it is dropped.
fn scratch() -> Result<TempDir, AdminError> {
    TempDir::new().map_err(io_error(&env::temp_dir()))
}

/// Makes a folder that only its owner may read; refuses one that has something in it.
fn expect_empty(folder: &Path) -> Result<(), AdminError> {
    use std::os::unix::fs::PermissionsExt;

    fs::create_dir_all(folder).map_err(io_error(folder))?;
    let mut entries = fs::read_dir(folder).map_err(io_error(folder))?;
    if entries.next().is_some() {
        return Err(AdminError::Wrong {
            what: format!("the folder {}", folder.display()),
            found: "not empty".to_owned(),
            allowed: "give a new or an empty one".to_owned(),
        });
    }
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(folder, private).map_err(io_error(folder))
}

fn copy(from: &Path, to: &Path) -> Result<(), AdminError> {
    copied_file(from, to).map_err(io_error(to))
}

#[expect(clippy::disallowed_methods, reason = "keys and finished outputs are not read as media")]
fn copied_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to).map(drop)
}
