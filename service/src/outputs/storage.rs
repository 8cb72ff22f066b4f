//! The places of outputs: the data folder, or a storage provider.

use std::{collections::BTreeMap, fmt, io, path::PathBuf, sync::PoisonError, time::Duration};

use avocet_engine::{Elsewhere, RemoteSettings};
use avocet_recipes::Problem as DocumentProblem;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    model::{keys::Keys, protocol::Made},
    service::Service,
    store::{JobRow, ProviderRow},
};

/// An output and its place.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Stored {
    /// What the output is.
    #[serde(flatten)]
    pub(crate) made: Made,
    /// Its place.
    pub(crate) at: At,
    /// Whether it was deleted since.
    #[serde(default)]
    pub(crate) deleted: bool,
}

/// The place of an output.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum At {
    /// A path below the folder of files.
    Folder(String),
    /// An object at a provider.
    Provider {
        /// The id of the provider.
        id: String,
        /// The URL of the object, as in `s3://bucket/outputs/name/result.mp4`.
        url: String,
    },
    /// A file below a folder that the operator named.
    Root {
        /// The place, as in `root:films/a.mp4`.
        place: String,
        /// The name that the worker gave the output.
        file: String,
    },
    /// The output is the input itself, at this URL.
    Input(String),
}

impl At {
    /// Whether two places may be the same. Ids are ignored: two providers may share a bucket.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Provider { url, .. }, Self::Provider { url: other, .. }) => url == other,
            _ => self == other,
        }
    }
}

/// How many outputs are still stored, in the data folder or at a provider.
fn kept(outputs: &[Stored]) -> i64 {
    let is_kept =
        |output: &&Stored| !output.deleted && !matches!(output.at, At::Input(_) | At::Root { .. });
    i64::try_from(outputs.iter().filter(is_kept).count()).unwrap_or(i64::MAX)
}

/// A kind of provider.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Local,
    R2,
    S3,
    Gcs,
    Azure,
}

/// A field of a provider: its name, and whether it is required.
pub(crate) type Field = (&'static str, bool);

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Local, Self::R2, Self::S3, Self::Gcs, Self::Azure];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::R2 => "r2",
            Self::S3 => "s3",
            Self::Gcs => "gcs",
            Self::Azure => "azure",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The fields of a provider that are not secret.
    pub(crate) const fn fields(self) -> &'static [Field] {
        match self {
            Self::Local => &[("prefix", false)],
            Self::R2 => &[
                ("accountId", false),
                ("endpoint", false),
                ("bucket", true),
                ("prefix", false),
                ("accessKeyId", true),
            ],
            Self::S3 => &[
                ("endpoint", false),
                ("region", false),
                ("bucket", true),
                ("prefix", false),
                ("accessKeyId", true),
            ],
            Self::Gcs => &[("endpoint", false), ("bucket", true), ("prefix", false)],
            Self::Azure => {
                &[("endpoint", false), ("account", true), ("bucket", true), ("prefix", false)]
            }
        }
    }

    /// The name of the secret field, which is required.
    pub(crate) const fn secret(self) -> Option<&'static str> {
        match self {
            Self::Local => None,
            Self::R2 | Self::S3 => Some("secretAccessKey"),
            Self::Gcs => Some("serviceAccountKey"),
            Self::Azure => Some("accessKey"),
        }
    }
}

/// The fields of a provider by name, without its secret.
pub(crate) type Fields = BTreeMap<String, String>;

/// All that is wrong with the fields of a provider, and with a secret that is missing.
pub(crate) fn check(kind: Kind, fields: &Fields, has_secret: bool) -> Vec<DocumentProblem> {
    let mut problems = Vec::new();
    let mut wrong = |path: &str, found: &str, allowed: &str| {
        let (path, found, allowed) = (path.to_owned(), found.to_owned(), allowed.to_owned());
        problems.push(DocumentProblem { path, found, allowed });
    };
    for name in fields.keys() {
        if !kind.fields().iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = kind.fields().iter().map(|(known, _)| *known).collect();
            wrong(name, "an unknown field", &format!("for {}: {}", kind.name(), known.join(", ")));
        }
    }
    let lacks = |name: &str| fields.get(name).is_none_or(String::is_empty);
    for (name, _) in kind.fields().iter().filter(|(name, is_needed)| *is_needed && lacks(name)) {
        wrong(name, "nothing", "a string");
    }
    if let Some(name) = kind.secret().filter(|_| !has_secret) {
        wrong(name, "nothing", "a string");
    }
    if kind == Kind::R2 && lacks("accountId") && lacks("endpoint") {
        wrong("accountId", "nothing", "a string, unless there is an `endpoint`");
    }
    let is_plain = |text: &str, more: &str| {
        text.chars().all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    };
    for name in ["bucket", "accountId", "account", "region", "accessKeyId"] {
        if let Some(text) = fields.get(name)
            && (!is_plain(text, "-_.") || text.len() > 255)
        {
            wrong(name, &format!("\"{text}\""), "at most 255 letters, digits, `-`, `_` and `.`");
        }
    }
    if let Some(prefix) = fields.get("prefix") {
        let is_path = prefix.trim_matches('/').split('/').all(|part| !matches!(part, "." | ".."));
        if !is_plain(prefix, "-_./") || !is_path || prefix.contains("//") || prefix.len() > 255 {
            let allowed = "at most 255 letters, digits, `-`, `_`, `.` and single `/`";
            wrong("prefix", &format!("\"{prefix}\""), allowed);
        }
    }
    problems
}

/// The key prefix of a job's outputs: `prefix/outputs/<job>`, or `outputs/<job>` without a prefix.
fn key_of(fields: &Fields, job: &str) -> String {
    let prefix = fields.get("prefix").map(|prefix| prefix.trim_matches('/')).unwrap_or_default();
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{prefix}{slash}outputs/{job}")
}

/// A provider with its secret decrypted.
#[derive(Clone)]
pub(crate) struct Provider {
    id: String,
    kind: Kind,
    fields: Fields,
    secret: String,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Provider {
    /// Reads a provider from its row; the error tells why it can not be used.
    pub(crate) fn read(keys: &Keys, row: &ProviderRow) -> Result<Self, String> {
        let kind = Kind::from_name(&row.kind)
            .ok_or_else(|| format!("the type {} is unknown", row.kind))?;
        let fields = serde_json::from_str(&row.settings).map_err(|error| error.to_string())?;
        let secret = match kind.secret() {
            None => String::new(),
            Some(_) => keys
                .decrypt(&row.id, &row.secrets)
                .ok_or("its secret was encrypted with another key than that of the data folder")?,
        };
        Ok(Self { id: row.id.clone(), kind, fields, secret })
    }

    /// Where the outputs of a job go at this provider.
    pub(crate) fn target(&self, job: &str) -> Target {
        let key = key_of(&self.fields, job);
        let field = |name: &str| self.fields.get(name).map(String::as_str).unwrap_or_default();
        let scheme = match self.kind {
            Kind::Local => return Target::Folder(key),
            Kind::R2 | Kind::S3 => "s3",
            Kind::Gcs => "gs",
            Kind::Azure => "az",
        };
        let url = format!("{scheme}://{}/{key}", field("bucket"));
        Target::Provider(self.id.clone(), url)
    }

    /// The options of the store, by the names of the crate `object_store`.
    pub(crate) fn options(&self) -> BTreeMap<String, String> {
        let field = |name: &str| self.fields.get(name).cloned();
        let secret = self.secret.clone();
        let options: Vec<(&str, Option<String>)> = match self.kind {
            Kind::Local => Vec::new(),
            Kind::R2 => {
                let account = field("accountId").unwrap_or_default();
                let usual = format!("https://{account}.r2.cloudflarestorage.com");
                vec![
                    ("aws_endpoint", Some(field("endpoint").unwrap_or(usual))),
                    ("aws_region", Some("auto".to_owned())),
                    ("aws_access_key_id", field("accessKeyId")),
                    ("aws_secret_access_key", Some(secret)),
                ]
            }
            Kind::S3 => vec![
                ("aws_endpoint", field("endpoint")),
                ("aws_region", Some(field("region").unwrap_or_else(|| "us-east-1".to_owned()))),
                ("aws_access_key_id", field("accessKeyId")),
                ("aws_secret_access_key", Some(secret)),
            ],
            Kind::Gcs => {
                vec![
                    ("google_base_url", field("endpoint")),
                    ("google_service_account_key", Some(secret)),
                ]
            }
            Kind::Azure => vec![
                ("azure_storage_endpoint", field("endpoint")),
                ("azure_storage_account_name", field("account")),
                ("azure_storage_account_key", Some(secret)),
            ],
        };
        let given = options.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
        given.collect()
    }
}

/// Where outputs of a job go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A path below the folder of files.
    Folder(String),
    /// The id of a provider, and the URL prefix of the job, as in `s3://bucket/outputs/name`.
    Provider(String, String),
    /// A place on this machine that the job named, and whether it is a folder for several outputs.
    Root(String, bool),
}

impl Target {
    /// The place in the data folder, for when there is no default provider.
    pub(crate) fn usual(job: &str) -> Self {
        Self::Folder(key_of(&Fields::new(), job))
    }

    /// The place of an output, by its file name.
    pub(crate) fn at(&self, name: &str) -> At {
        match self {
            Self::Folder(key) => At::Folder(format!("{key}/{name}")),
            Self::Provider(id, url) => {
                At::Provider { id: id.clone(), url: format!("{url}/{name}") }
            }
            Self::Root(place, is_folder) => {
                let file = name.to_owned();
                let place = if *is_folder {
                    format!("{}/{name}", place.trim_end_matches('/'))
                } else {
                    place.clone()
                };
                At::Root { place, file }
            }
        }
    }
}

/// How long the test of a provider may take.
const TO_TRY: Duration = Duration::from_secs(30);

/// How many providers have their way cached; the cache is emptied when it is full.
const KEPT: usize = 32;

impl Service {
    /// The way to a provider, with its credentials, from the cache or new.
    pub(crate) fn way_to(&self, row: &ProviderRow) -> Result<Elsewhere, String> {
        let name = (row.id.clone(), row.updated_at);
        let mut known = self.reaching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(way) = known.get(&name) {
            return Ok(way.clone());
        }
        let stores = Provider::read(&self.keys, row)?.options();
        let remote = RemoteSettings { stores, ..self.config.remote() };
        let elsewhere = Elsewhere::new(remote);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(name, elsewhere.clone());
        Ok(elsewhere)
    }

    /// Runs blocking work on the way to a provider, on a thread that may block.
    pub(crate) async fn at_provider<T: Send + 'static>(
        &self,
        row: &ProviderRow,
        work: impl FnOnce(&Elsewhere) -> avocet_engine::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let elsewhere = self.way_to(row)?;
        let done = tokio::task::spawn_blocking(move || work(&elsewhere)).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Writes, reads and deletes a test object; the error tells what failed.
    pub(crate) async fn try_provider(&self, row: &ProviderRow) -> Result<(), String> {
        let name = format!("trial-{}", crate::store::new_id());
        match Provider::read(&self.keys, row)?.target(&name) {
            Target::Folder(key) => {
                let folder = self.files().join(key);
                let file = folder.join("trial");
                let trial = async {
                    tokio::fs::create_dir_all(&folder).await?;
                    tokio::fs::write(&file, b"").await?;
                    tokio::fs::remove_file(&file).await
                };
                let tried: io::Result<()> = trial.await;
                let _ = tokio::fs::remove_dir_all(&folder).await;
                tried.map_err(|error| error.to_string())
            }
            // No provider is one.
            Target::Root(..) => Ok(()),
            Target::Provider(_, url) => {
                let trial = self.at_provider(row, move |elsewhere| elsewhere.try_out(&url));
                let limit = TO_TRY.as_secs();
                let late = || format!("the store did not answer within {limit} s");
                tokio::time::timeout(TO_TRY, trial).await.unwrap_or_else(|_| Err(late()))
            }
        }
    }

    /// A URL for reading an output for a limited time; `None` when the output was deleted, or its
    /// provider can not be used.
    pub(crate) async fn url_of(&self, output: &Stored) -> Option<String> {
        if output.deleted {
            return None;
        }
        match &output.at {
            At::Input(url) | At::Root { place: url, .. } => Some(url.clone()),
            At::Folder(path) => {
                let path = format!("/files/{path}");
                let expires = crate::model::secret::now().as_secs() + self.config.url_seconds;
                Some(format!("{}{path}?{}", self.public_url, self.keys.sign(&path, expires)))
            }
            At::Provider { id, url } => {
                let row = self.store.provider(id).await.ok()??;
                let (url, lives) = (url.clone(), Duration::from_secs(self.config.url_seconds));
                let signed =
                    self.at_provider(&row, move |elsewhere| elsewhere.sign(&url, lives)).await;
                signed
                    .map_err(|error| tracing::warn!(error, "an output's URL can not be signed"))
                    .ok()
            }
        }
    }

    /// Deletes all outputs of a job, and notes which are gone; answers how many. The inner error tells
    /// why one could not be deleted.
    pub(crate) async fn remove_outputs(
        &self,
        job: &JobRow,
    ) -> Result<Result<usize, String>, sqlx::Error> {
        let (mut gone, mut failed) = (Vec::new(), None);
        for output in outputs_of(&job.outputs).into_iter().filter(|output| !output.deleted) {
            if let At::Provider { id, .. } = &output.at
                && self.store.provider(id).await?.is_none()
            {
                continue;
            }
            match self.remove(&output.at).await {
                Ok(()) => gone.push(output.made.key),
                Err(error) => failed = Some(error),
            }
        }
        if !gone.is_empty() {
            self.store.change_outputs(&job.id, |outputs| without(outputs, &gone)).await?;
        }
        Ok(failed.map_or(Ok(gone.len()), Err))
    }

    /// Deletes a job that has ended, and its outputs; those at a provider that was deleted stay where
    /// they are. Answers whether it was there to be deleted; the inner error tells why an output could
    /// not be deleted, and the job stays then.
    pub(crate) async fn delete(&self, job: &JobRow) -> Result<Result<bool, String>, sqlx::Error> {
        if let Err(error) = self.remove_outputs(job).await? {
            return Ok(Err(error));
        }
        self.store.delete_job(&job.id).await.map(Ok)
    }

    /// Deletes what is at a place. If nothing is there, that is a success.
    pub(crate) async fn remove(&self, at: &At) -> Result<(), String> {
        match at {
            // What was put to a place of this machine is its owner's.
            At::Input(_) | At::Root { .. } => Ok(()),
            At::Folder(path) => {
                let path: PathBuf = self.files().join(path);
                if let Err(error) = tokio::fs::remove_file(&path).await
                    && !matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    )
                {
                    return Err(error.to_string());
                }
                // Remove the folder of the job when this was its last output; else this call fails.
                if let Some(folder) = path.parent() {
                    let _ = tokio::fs::remove_dir(folder).await;
                }
                Ok(())
            }
            At::Provider { id, url } => {
                let row = self.store.provider(id).await.map_err(|error| error.to_string())?;
                let row = row.ok_or("its storage provider was deleted")?;
                let url = url.clone();
                self.at_provider(&row, move |elsewhere| elsewhere.remove(&url)).await
            }
        }
    }
}

/// The fields of a provider as an operator sees them, without the secret.
pub(crate) fn fields_of(row: &ProviderRow) -> Fields {
    serde_json::from_str(&row.settings).unwrap_or_default()
}

/// Reads the outputs of a job from JSON.
pub(crate) fn outputs_of(text: &str) -> Vec<Stored> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Writes outputs as JSON, and counts how many still exist.
pub(crate) fn outputs_text(outputs: &[Stored]) -> (String, i64) {
    (json!(outputs).to_string(), kept(outputs))
}

/// Marks the outputs of some keys as deleted, in outputs as JSON, and counts how many still exist.
pub(crate) fn without(text: &str, keys: &[String]) -> (String, i64) {
    let mut outputs = outputs_of(text);
    for output in outputs.iter_mut().filter(|output| keys.contains(&output.made.key)) {
        output.deleted = true;
    }
    outputs_text(&outputs)
}
