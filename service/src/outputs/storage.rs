//! Where outputs are: in the data folder, or at a provider of storage.

use std::{collections::BTreeMap, fmt, io, path::PathBuf, sync::PoisonError, time::Duration};

use avocet_engine::{Engine, RemoteSettings, Settings};
use avocet_recipes::Problem as DocumentProblem;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::{
    model::{protocol::Made, secret::Keys},
    service::Service,
    store::ProviderRow,
};

/// An output in its place.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Stored {
    /// What it is.
    #[serde(flatten)]
    pub(crate) made: Made,
    /// Where it is.
    pub(crate) at: At,
    /// Whether it was deleted.
    #[serde(default)]
    pub(crate) deleted: bool,
}

/// A place of an output.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum At {
    /// A path below the folder of files.
    Folder(String),
    /// An object of a provider.
    Provider {
        /// Which one.
        id: String,
        /// As in `s3://bucket/outputs/name/result.mp4`.
        url: String,
    },
    /// The input is the output.
    Input(String),
}

impl At {
    /// Whether both may be one place. An object of one name may be reached by two providers.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Provider { url, .. }, Self::Provider { url: other, .. }) => url == other,
            _ => self == other,
        }
    }
}

/// How many outputs are ours to keep.
fn kept(outputs: &[Stored]) -> i64 {
    let is_kept = |output: &&Stored| !output.deleted && !matches!(output.at, At::Input(_));
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

/// One field of a provider: its name, and whether it must be there.
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

    /// What is shown of a provider.
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

    /// What is not shown, and must be there.
    pub(crate) const fn secret(self) -> Option<&'static str> {
        match self {
            Self::Local => None,
            Self::R2 | Self::S3 => Some("secretAccessKey"),
            Self::Gcs => Some("serviceAccountKey"),
            Self::Azure => Some("accessKey"),
        }
    }
}

/// The fields of a provider, by name, without its secret.
pub(crate) type Fields = BTreeMap<String, String>;

/// All that is wrong with the fields of a provider, its secret among them.
pub(crate) fn check(kind: Kind, fields: &Fields, has_secret: bool) -> Vec<DocumentProblem> {
    let mut problems = Vec::new();
    let mut wrong = |path: &str, found: &str, allowed: &str| {
        let (path, found, allowed) = (path.to_owned(), found.to_owned(), allowed.to_owned());
        problems.push(DocumentProblem { path, found, allowed });
    };
    for name in fields.keys() {
        if !kind.fields().iter().any(|(known, _)| known == name) {
            let known: Vec<&str> = kind.fields().iter().map(|(known, _)| *known).collect();
            wrong(name, "a field", &format!("of {}: {}", kind.name(), known.join(", ")));
        }
    }
    let lacks = |name: &str| fields.get(name).is_none_or(String::is_empty);
    for (name, _) in kind.fields().iter().filter(|(name, is_needed)| *is_needed && lacks(name)) {
        wrong(name, "nothing", "a text");
    }
    if let Some(name) = kind.secret().filter(|_| !has_secret) {
        wrong(name, "nothing", "a text");
    }
    if kind == Kind::R2 && lacks("accountId") && lacks("endpoint") {
        wrong("accountId", "nothing", "a text, unless there is an `endpoint`");
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

/// `prefix/outputs/<job>`, whose prefix may be absent.
fn key_of(fields: &Fields, job: &str) -> String {
    let prefix = fields.get("prefix").map(|prefix| prefix.trim_matches('/')).unwrap_or_default();
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{prefix}{slash}outputs/{job}")
}

/// What a provider is made of, once its secret is decrypted.
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
    /// A provider as it is kept; an error tells why it is none any more.
    pub(crate) fn read(keys: &Keys, row: &ProviderRow) -> Result<Self, String> {
        let kind =
            Kind::from_name(&row.kind).ok_or_else(|| format!("{} is not known", row.kind))?;
        let fields = serde_json::from_str(&row.settings).map_err(|error| error.to_string())?;
        let secret = match kind.secret() {
            None => String::new(),
            Some(_) => keys
                .decrypt(&row.id, &row.secrets)
                .ok_or("its secret was encrypted with another key than that of the data folder")?,
        };
        Ok(Self { id: row.id.clone(), kind, fields, secret })
    }

    /// Where outputs of a job go.
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

    /// Options of the store, by the names that the crate `object_store` has for them.
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
    /// A place at a provider of that id, as in `s3://bucket/outputs/name`.
    Provider(String, String),
}

impl Target {
    /// Where they go when nobody says otherwise.
    pub(crate) fn usual(job: &str) -> Self {
        Self::Folder(key_of(&Fields::new(), job))
    }

    /// Where an output of a name is in there.
    pub(crate) fn at(&self, name: &str) -> At {
        match self {
            Self::Folder(key) => At::Folder(format!("{key}/{name}")),
            Self::Provider(id, url) => {
                At::Provider { id: id.clone(), url: format!("{url}/{name}") }
            }
        }
    }
}

/// How long a trial of a provider may take.
const TO_TRY: Duration = Duration::from_secs(30);

/// How many of them are kept.
const KEPT: usize = 32;

impl Service {
    /// What reaches a provider.
    fn engine_of(&self, row: &ProviderRow) -> Result<Engine, String> {
        let name = (row.id.clone(), row.updated_at);
        let mut known = self.reaching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = known.get(&name) {
            return Ok(engine.clone());
        }
        let stores = Provider::read(&self.keys, row)?.options();
        let remote = RemoteSettings { stores, ..self.config.remote() };
        let engine = Engine::new(Settings { remote, ..Settings::default() });
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(name, engine.clone());
        Ok(engine)
    }

    /// Does something with an object of a provider, off the threads that answer requests.
    pub(crate) async fn at_provider<T: Send + 'static>(
        &self,
        row: &ProviderRow,
        work: impl FnOnce(&Engine) -> avocet_engine::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let engine = self.engine_of(row)?;
        let done = tokio::task::spawn_blocking(move || work(&engine)).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Writes, reads and deletes an object of a provider; an error tells why that does not go.
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
            Target::Provider(_, url) => {
                let trial = self.at_provider(row, move |engine| engine.try_out(&url));
                let limit = TO_TRY.as_secs();
                let late = || format!("the store did not answer within {limit} s");
                tokio::time::timeout(TO_TRY, trial).await.unwrap_or_else(|_| Err(late()))
            }
        }
    }

    /// A URL by which an output can be read for a while; `None` when it is gone, or its provider.
    pub(crate) async fn url_of(&self, output: &Stored) -> Option<String> {
        if output.deleted {
            return None;
        }
        match &output.at {
            At::Input(url) => Some(url.clone()),
            At::Folder(path) => {
                let path = format!("/files/{path}");
                let expires = crate::model::secret::now().as_secs() + self.config.url_seconds;
                Some(format!("{}{path}?{}", self.public_url, self.keys.sign(&path, expires)))
            }
            At::Provider { id, url } => {
                let row = self.store.provider(id).await.ok()??;
                let (url, lives) = (url.clone(), Duration::from_secs(self.config.url_seconds));
                let signed = self.at_provider(&row, move |engine| engine.sign(&url, lives)).await;
                signed
                    .map_err(|error| tracing::warn!(error, "an output's URL can not be signed"))
                    .ok()
            }
        }
    }

    /// Removes what is at a place; what is gone already is removed.
    pub(crate) async fn remove(&self, at: &At) -> Result<(), String> {
        match at {
            At::Input(_) => Ok(()),
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
                // The folder of the job goes with its last output.
                if let Some(folder) = path.parent() {
                    let _ = tokio::fs::remove_dir(folder).await;
                }
                Ok(())
            }
            At::Provider { id, url } => {
                let row = self.store.provider(id).await.map_err(|error| error.to_string())?;
                let row = row.ok_or("its storage provider was deleted")?;
                let url = url.clone();
                self.at_provider(&row, move |engine| engine.remove(&url)).await
            }
        }
    }
}

/// What an operator sees of a provider, without its secret.
pub(crate) fn fields_of(row: &ProviderRow) -> Fields {
    serde_json::from_str(&row.settings).unwrap_or_default()
}

/// The outputs of a job as JSON.
pub(crate) fn outputs_of(text: &str) -> Vec<Stored> {
    serde_json::from_str(text).unwrap_or_default()
}

/// Outputs as they are kept, and how many of them are still there.
pub(crate) fn outputs_text(outputs: &[Stored]) -> (String, i64) {
    (json!(outputs).to_string(), kept(outputs))
}

/// Outputs as they are kept, once those of some keys are gone.
pub(crate) fn without(text: &str, keys: &[String]) -> (String, i64) {
    let mut outputs = outputs_of(text);
    for output in outputs.iter_mut().filter(|output| keys.contains(&output.made.key)) {
        output.deleted = true;
    }
    outputs_text(&outputs)
}
