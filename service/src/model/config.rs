//! The settings of a service: defaults, then a TOML file, then the environment; later ones win.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use avocet_engine::{Reach, RemoteSettings};
use serde::{Deserialize, Deserializer, de::Error as _};

use super::protocol::Limits;

/// The settings of a service. Unknown keys are errors.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Config {
    /// The data folder (database, keys, outputs): one that is new or empty, or that of a service.
    /// Default: `avocet-data`.
    #[serde(deserialize_with = "folder")]
    pub data: PathBuf,
    /// The address to listen on. Default: `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// The base of every URL that is handed out; a slash at its end is ignored. Default: the
    /// address that is listened on, over `http:`.
    pub public_url: Option<String>,
    /// How many jobs run at once. Default: half of `threads`, and 1 at least.
    pub workers: Option<NonZeroU32>,
    /// Threads of all jobs together. Default: the number of processors.
    pub threads: Option<NonZeroU32>,
    /// Whether inputs, webhooks and stores may be in private networks, and over `http:`. Default:
    /// no.
    pub allow_private_network: bool,
    /// Origins that browsers may call from; empty for all. Default: empty.
    pub cors_origins: Vec<String>,
    /// How long a signed URL lives, in seconds. Default: 24 h.
    pub url_seconds: u64,
    /// The most bytes of an upload, and of an input that is copied before the run. Default: 20 GiB.
    pub most_input_bytes: u64,
    /// The longest duration of an input, in seconds. Default: 24 h.
    pub most_media_seconds: f64,
    /// The most pixels of a picture of an input. Default: 67 million.
    pub most_pixels: u64,
    /// The longest time that a job may take, in seconds. Default: 6 h.
    pub most_job_seconds: u64,
    /// How long running jobs may go on when the service is asked to end, in seconds; then they are given
    /// back to the queue. Default: 0.
    pub drain_seconds: u64,
    /// How long a worker may send no event and use no processor time before it is killed, in
    /// seconds. Default: 5 min.
    pub most_silent_seconds: u64,
    /// The resident memory of a worker beyond which it is killed, in bytes. Default: 4 GiB.
    pub most_memory_bytes: u64,
    /// The most bytes that all outputs of a job together may have; 0 for no limit. Default: 0.
    pub most_output_bytes: u64,
    /// The most bytes that the uploads of a project may have together. Default: 100 GiB.
    pub most_upload_bytes_per_project: u64,
    /// How many hours an upload is kept after the last bytes of it came, or the last job with it was
    /// taken on; 87600, which is ten years, at most. Default: 24.
    pub upload_hours: NonZeroU32,
    /// How many clients may listen to events at once. Default: 1000.
    pub most_event_streams: usize,
    /// The longest body of a request, in bytes. Default: 1 MiB.
    pub most_body_bytes: usize,
    /// How many requests a key may make in a minute; 0 for no limit. Default: 0.
    pub requests_per_minute: u32,
    /// The number of days after which outputs in the data folder and at providers are deleted; 0
    /// for never. Default: 0.
    pub retention_days: u32,
    /// The number of days after which jobs that have ended are deleted, with their outputs and all that
    /// is known of them; 0 for never. Default: 0.
    pub job_retention_days: u32,
    /// How many jobs of a project run at once; 0 for as many as there are workers. Default: 0.
    pub most_running_per_project: u32,
    /// How many jobs of a project may wait; 0 for no limit. Default: 0.
    pub most_queued_per_project: u32,
    /// Space that must be free in the data folder for new jobs, and that running ones leave free, in
    /// bytes. Default: 1 GiB.
    pub least_free_bytes: u64,
    /// The format of the log. Default: lines for people.
    pub log: LogFormat,
    /// Folders that inputs may name, as in `root:films/a.mkv` for a file below the one of the name
    /// `films`. Default: none.
    pub input_roots: BTreeMap<String, PathBuf>,
    /// Folders that outputs may go to (`outputUrl`). Default: none.
    pub output_roots: BTreeMap<String, PathBuf>,
    /// The most processor time of a job, in seconds; 0 for no limit. Default: 0.
    pub most_processor_seconds: u64,
    /// Whether workers run where the kernel can not confine them. Default: `best`.
    pub confinement: Confinement,
}

/// What becomes of workers where the kernel can not confine them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum Confinement {
    /// The service does not start.
    Required,
    /// They are confined as far as the kernel can, and jobs in ffmpeg mode fail.
    #[default]
    Best,
    /// They are never confined.
    Off,
}

/// How the log of a service is written.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object on each line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        const DAY: NonZeroU32 = NonZeroU32::new(24).unwrap();
        Self {
            data: PathBuf::from("avocet-data"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            public_url: None,
            workers: None,
            threads: None,
            allow_private_network: false,
            cors_origins: Vec::new(),
            url_seconds: 24 * 3600,
            most_input_bytes: 20 << 30,
            most_media_seconds: 24.0 * 3600.0,
            most_pixels: 67_000_000,
            most_job_seconds: 6 * 3600,
            drain_seconds: 0,
            most_silent_seconds: 300,
            most_memory_bytes: 4 << 30,
            most_output_bytes: 0,
            most_upload_bytes_per_project: 100 << 30,
            upload_hours: DAY,
            most_event_streams: 1000,
            most_body_bytes: 1 << 20,
            requests_per_minute: 0,
            retention_days: 0,
            job_retention_days: 0,
            most_running_per_project: 0,
            most_queued_per_project: 0,
            least_free_bytes: 1 << 30,
            log: LogFormat::Text,
            input_roots: BTreeMap::new(),
            output_roots: BTreeMap::new(),
            most_processor_seconds: 0,
            confinement: Confinement::Best,
        }
    }
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file can not be read.
    #[error("the configuration {path} can not be read: {source}", path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// A key or a value is wrong.
    #[error("{place}: {what}")]
    Wrong {
        /// The path of the file, or the name of the environment variable.
        place: String,
        /// What was found, and what is allowed.
        what: String,
    },
}

/// The prefix of the environment variables.
const VARIABLES: &str = "AVOCET_SERVE_";

impl Config {
    /// Reads a TOML file, if one is given, and then the environment, whose values win.
    /// `AVOCET_SERVE_MOST_PIXELS` sets `mostPixels`.
    ///
    /// # Errors
    /// [`ConfigError`] names the unknown key or the wrong value, and where it stands.
    pub fn read(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = match file {
            None => toml::Table::new(),
            Some(path) => {
                #[expect(clippy::disallowed_methods, reason = "a configuration is no media")]
                let bytes = std::fs::read(path)
                    .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
                let text = String::from_utf8_lossy(&bytes);
                let place = path.display().to_string();
                let table: toml::Table =
                    toml::from_str(&text).map_err(|error| wrong(&place, &error))?;
                // Check the file alone first, so that its errors are reported with its path.
                Self::deserialize(table.clone()).map_err(|error| wrong(&place, &error))?;
                table
            }
        };
        let set: BTreeMap<String, String> =
            variables.filter(|(name, _)| name.starts_with(VARIABLES)).collect();
        for (name, text) in set {
            let key = camel(&name[VARIABLES.len()..]);
            // A value that does not parse as TOML is taken as a string.
            let value = toml::from_str::<toml::Table>(&format!("it = {text}"))
                .ok()
                .and_then(|mut table| table.remove("it"))
                .unwrap_or_else(|| toml::Value::String(text.clone()));
            let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
            Self::deserialize(alone).map_err(|error| wrong(&name, &error))?;
            table.insert(key, value);
        }
        Self::deserialize(table).map_err(|error| wrong("the configuration", &error))
    }
}

impl Config {
    /// The settings of network access. Jobs do not use credentials in this process's environment.
    pub(crate) fn remote(&self) -> RemoteSettings {
        let reach = if self.allow_private_network { Reach::Any } else { Reach::Public };
        RemoteSettings { reach, uses_environment: false, ..RemoteSettings::default() }
    }

    /// The number of threads of each job, and how many jobs run at once.
    pub(crate) fn shares(&self) -> (NonZeroU32, u32) {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let all = self.threads.map_or(u32::try_from(processors).unwrap_or(1), u32::from);
        let workers = self.workers.map_or((all / 2).max(1), u32::from);
        (NonZeroU32::new(all / workers).unwrap_or(NonZeroU32::MIN), workers)
    }

    /// How long uploads are kept, in milliseconds.
    pub(crate) fn upload_millis(&self) -> i64 {
        const TEN_YEARS: u32 = 87_600;
        i64::from(self.upload_hours.get().min(TEN_YEARS)) * 3_600_000
    }

    /// The limits that each job gets.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            threads: self.shares().0,
            anywhere: self.allow_private_network,
            max_input_bytes: self.most_input_bytes,
            max_media_seconds: self.most_media_seconds,
            max_pixels: self.most_pixels,
            max_seconds: self.most_job_seconds,
            max_memory_bytes: self.most_memory_bytes,
            unconfined: self.confinement == Confinement::Off,
        }
    }
}

/// Reads a path and refuses an empty one, which would mean the current folder.
fn folder<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.as_os_str().is_empty() {
        return Err(D::Error::custom("`data` is empty, and must be the path of a folder"));
    }
    Ok(path)
}

fn wrong(place: &str, error: &toml::de::Error) -> ConfigError {
    ConfigError::Wrong { place: place.to_owned(), what: error.to_string().trim_end().to_owned() }
}

/// `MOST_PIXELS` as `mostPixels`.
fn camel(name: &str) -> String {
    let mut upper = false;
    let mut camel = String::new();
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            letter if upper => {
                camel.push(letter.to_ascii_uppercase());
                upper = false;
            }
            letter => camel.push(letter.to_ascii_lowercase()),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file.as_file(), text.as_bytes()).unwrap();
        let variables = variables.iter().map(|(name, text)| ((*name).into(), (*text).into()));
        Config::read(Some(file.path()), variables)
    }

    #[test]
    fn the_environment_stands_over_the_file_and_the_file_over_the_defaults() {
        let config = read(
            "listen = \"127.0.0.1:9000\"\nmostPixels = 5\n",
            &[
                ("AVOCET_SERVE_MOST_PIXELS", "7"),
                ("AVOCET_SERVE_DATA", "/srv/a b"),
                ("AVOCET_MEDIA", "x"),
            ],
        );
        let config = config.unwrap();
        assert_eq!((config.listen.port(), config.most_pixels), (9000, 7));
        assert_eq!(config.data, Path::new("/srv/a b"));
        assert_eq!(config.url_seconds, Config::default().url_seconds);
    }

    #[test]
    fn what_is_not_known_or_does_not_fit_is_told() {
        let told = |text: &str, variables: &[(&str, &str)], words: &str| {
            let error = read(text, variables).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        told("mostPixel = 5\n", &[], "mostPixel");
        told("mostPixels = \"many\"\n", &[], "mostPixels");
        told("listen = 8080\n", &[], "listen");
        told("", &[("AVOCET_SERVE_WORKER", "2")], "AVOCET_SERVE_WORKER");
        told("", &[("AVOCET_SERVE_WORKERS", "0")], "AVOCET_SERVE_WORKERS");
        told("", &[("AVOCET_SERVE_DATA", "")], "AVOCET_SERVE_DATA: `data` is empty");
        told("data = \"\"\n", &[], "`data` is empty");
    }

    /// The error for an unknown key lists all known keys.
    #[test]
    fn every_setting_stands_in_the_manual() {
        let manual = include_str!("../../../docs/operating.md");
        let error = read("nope = 1\n", &[]).unwrap_err().to_string();
        let (_, known) = error.split_once("expected one of").unwrap();
        let keys: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        assert!(keys.contains(&"mostPixels"), "{error}");
        for key in keys {
            assert!(manual.contains(&format!("\n| `{key}` |")), "{key} is not in the manual");
        }
    }
}
