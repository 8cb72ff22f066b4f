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
    /// A remote location: `https:` and `http:` for inputs, `s3:`, `gs:` and `az:` for inputs and
    /// outputs.
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
    /// The last segment of its path; `None` where that is empty, and for a stream of the caller.
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

    /// The extension of its file name, without the dot; `None` where there is none.
    pub fn extension(&self) -> Option<String> {
        let name = self.file_name()?;
        let (stem, extension) = name.rsplit_once('.')?;
        (!stem.is_empty()).then(|| extension.to_owned())
    }

    /// This location with another extension; a stream of the caller stays as it is.
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

    /// The location of a file `name` in this folder, or below this URL. Among the caller's streams,
    /// the one `number` places after this one.
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
    // A password may hold characters that end a host elsewhere, so all before the last `@` is left
    // out.
    if let Some((_, rest)) = rest.rsplit_once('@') {
        return format!("{scheme}://…@{rest}");
    }
    let host = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
    let is_host = |host: &str| {
        let (_, port) = host.split_once(':').unwrap_or((host, ""));
        port.bytes().all(|byte| byte.is_ascii_digit()) || host.starts_with('[')
    };
    // A host followed by `:` and no port may be a user and a password that `?` or `#` cut off, so
    // none of it is shown.
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
