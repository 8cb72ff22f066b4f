//! What a caller names as an input.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use avocet_engine::{Engine, OpenOptions, Result, Source};
use avocet_model::location::Location;

use crate::place::{input_url, locate};

/// An input: a path, a URL, or a [`Source`] of the caller's.
///
/// Text is a path, a `file:` URL, or (with the feature `remote`) a URL with `https:`, `http:`,
/// `s3:`, `gs:` or `az:`.
#[derive(Clone, Debug)]
pub struct Input(pub(crate) Kind);

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// As a job document names it.
    Url(String),
    Source(Source),
}

impl Input {
    /// The name that stands for it in a job document. One of the caller's has none of its own, and
    /// its place among the inputs stands for it.
    pub(crate) fn url(&self, number: usize) -> String {
        match &self.0 {
            Kind::Url(url) => url.clone(),
            Kind::Source(_) => format!("source-{number}"),
        }
    }

    /// The source that the caller made, if it is one.
    pub(crate) const fn source(&self) -> Option<&Source> {
        match &self.0 {
            Kind::Url(_) => None,
            Kind::Source(source) => Some(source),
        }
    }

    /// Its name without the extension; one of the caller's has none.
    pub(crate) fn stem(&self) -> Option<String> {
        if self.source().is_some() {
            return None;
        }
        let name = self.location(0).ok()?.file_name()?.into_owned();
        Path::new(&name).file_stem().map(|stem| stem.to_string_lossy().into_owned())
    }

    /// Where it is; a source of the caller's is the one of that number.
    pub(crate) fn location(&self, number: usize) -> Result<Location> {
        match &self.0 {
            Kind::Url(url) => locate(url),
            Kind::Source(_) => Ok(Location::Caller(number)),
        }
    }

    /// Opens it.
    pub(crate) fn open(&self, engine: &Engine, options: OpenOptions<'_>) -> Result<Source> {
        match &self.0 {
            Kind::Url(url) => engine.open(&locate(url)?, options),
            Kind::Source(source) => Ok(source.clone()),
        }
    }
}

impl From<&str> for Input {
    fn from(place: &str) -> Self {
        Self(Kind::Url(place.to_owned()))
    }
}

impl From<&String> for Input {
    fn from(place: &String) -> Self {
        place.as_str().into()
    }
}

impl From<String> for Input {
    fn from(place: String) -> Self {
        Self(Kind::Url(place))
    }
}

impl From<&OsStr> for Input {
    fn from(path: &OsStr) -> Self {
        Self(Kind::Url(input_url(path)))
    }
}

impl From<&Path> for Input {
    fn from(path: &Path) -> Self {
        path.as_os_str().into()
    }
}

impl From<&PathBuf> for Input {
    fn from(path: &PathBuf) -> Self {
        path.as_path().into()
    }
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        path.as_path().into()
    }
}

impl From<Source> for Input {
    fn from(source: Source) -> Self {
        Self(Kind::Source(source))
    }
}

impl From<&Source> for Input {
    fn from(source: &Source) -> Self {
        source.clone().into()
    }
}
