//! Where media is.

use std::{
    borrow::Cow,
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// Where an input is, or an output goes. Printed, a URL has no credentials and no query.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Location {
    /// A local file.
    Path(PathBuf),
    /// Something elsewhere: `https:` and `http:` for inputs, `s3:`, `gs:` and `az:` for both.
    Url(String),
    /// The n-th of the sources or writers that the caller hands over beside the plan, from 0.
    #[serde(rename = "given")]
    Caller(usize),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Url(url) => f.write_str(&without_secrets(url)),
            Self::Caller(number) => write!(f, "the caller's stream {number}"),
        }
    }
}

impl Location {
    /// The last part of its name; `None` where there is none.
    pub fn file_name(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Path(path) => path.file_name().map(OsStr::to_string_lossy),
            Self::Url(url) => {
                let path = url.split(['?', '#']).next().unwrap_or_default();
                let (_, path) = path.split_once("://").unwrap_or(("", path));
                let (_, name) = path.rsplit_once('/')?;
                (!name.is_empty()).then_some(Cow::Borrowed(name))
            }
            Self::Caller(_) => None,
        }
    }

    /// What its name ends in, behind the last dot.
    pub fn extension(&self) -> Option<String> {
        let name = self.file_name()?;
        let (stem, extension) = name.rsplit_once('.')?;
        (!stem.is_empty()).then(|| extension.to_owned())
    }

    /// The same with another extension.
    #[must_use]
    pub fn with_extension(&self, extension: &str) -> Self {
        match self {
            Self::Path(path) => Self::Path(path.with_extension(extension)),
            Self::Url(url) => {
                let (path, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
                let old = self.extension().map(|old| format!(".{old}")).unwrap_or_default();
                let stem = path.strip_suffix(old.as_str()).unwrap_or(path);
                Self::Url(format!("{stem}.{extension}{query}"))
            }
            Self::Caller(number) => Self::Caller(*number),
        }
    }

    /// The place of a name in it, as in a folder; the `number`-th after it, among the caller's.
    #[must_use]
    pub fn join(&self, name: &str, number: usize) -> Self {
        match self {
            Self::Path(folder) => Self::Path(folder.join(name)),
            Self::Url(url) => Self::Url(format!("{}/{name}", url.trim_end_matches('/'))),
            Self::Caller(first) => Self::Caller(first + number),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

/// A URL as it may be shown: without credentials, query and fragment.
///
/// ```
/// use avocet_model::location::without_secrets;
///
/// assert_eq!(without_secrets("https://me:word@host/a.mp4?token=1"), "https://…@host/a.mp4");
/// ```
pub fn without_secrets(url: &str) -> String {
    let shown = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = shown.split_once(':') else { return shown.to_owned() };
    // A word may hold what ends a host elsewhere: all before the last sign is left out.
    if let Some((_, rest)) = rest.rsplit_once('@') {
        return format!("{scheme}://…@{rest}");
    }
    let host = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
    let is_host = |host: &str| {
        let (_, port) = host.split_once(':').unwrap_or((host, ""));
        port.bytes().all(|byte| byte.is_ascii_digit()) || host.starts_with('[')
    };
    // What looks like a name and a word, cut off, is shown to nobody.
    if is_host(host) { shown.to_owned() } else { format!("{scheme}://…") }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<&str> for Location {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}
