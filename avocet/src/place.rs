//! Where jobs read and write: paths, and `file:` URLs.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use avocet_engine::{Error, Location, Result};

/// Where an output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The place.
    pub location: Location,
    /// Whether an existing file may be replaced; `true` unless said otherwise.
    pub replace: bool,
    /// Whether the extension is a wish. One that is not becomes that of what is made, which is not
    /// known before the plan: `extractAudio` keeps the codec that it finds. `true` unless said
    /// otherwise.
    pub named: bool,
}

impl From<&str> for Target {
    fn from(path: &str) -> Self {
        Path::new(path).into()
    }
}

impl From<&Path> for Target {
    fn from(path: &Path) -> Self {
        path.to_owned().into()
    }
}

impl From<PathBuf> for Target {
    fn from(path: PathBuf) -> Self {
        Self { location: path.into(), replace: true, named: true }
    }
}

/// The place that a job's `url` names: a `file:` URL (RFC 8089), or else a path.
pub(crate) fn locate(url: &str) -> Result<Location> {
    let Some((scheme, rest)) = url.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return Ok(Location::from(url));
    };
    if scheme.eq_ignore_ascii_case("file") {
        let path = match rest.strip_prefix("//") {
            // The authority of a local file is empty or the machine itself.
            Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
            None => rest,
        };
        if path.starts_with('/') {
            return Ok(Location::Path(decode(path)));
        }
    } else if !rest.starts_with("//") {
        // A colon in a file name makes no URL.
        return Ok(Location::from(url));
    }
    let shown = url.split(['?', '#']).next().unwrap_or_default();
    let location = match shown.split_once('@') {
        Some((before, after)) if before.contains("//") => format!("{scheme}://…@{after}"),
        _ => shown.to_owned(),
    };
    let allowed = "an input is a path or a file: URL with an absolute path";
    Err(Error::LocationRefused { location, allowed })
}

/// Whether a text can be the scheme of a URL (RFC 3986, 3.1); one letter is a drive.
fn is_scheme(text: &str) -> bool {
    text.len() > 1
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|next| next.is_ascii_alphanumeric() || "+-.".contains(next))
}

/// The path behind percent-encoded text; a stray `%` stands for itself.
fn decode(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_file_urls_are_places() {
        let check = |url: &str, expected: &str| {
            assert_eq!(locate(url).ok(), Some(Location::from(expected)), "{url}");
        };
        check("a.mp4", "a.mp4");
        check("./12:30.mp4", "./12:30.mp4");
        check("note:a.mp4", "note:a.mp4");
        check("file:///tmp/a%20b.mp4", "/tmp/a b.mp4");
        check("file:/tmp/100%.mp4", "/tmp/100%.mp4");
        check("FILE://localhost/tmp/a.mp4", "/tmp/a.mp4");
    }

    #[test]
    fn other_places_are_refused_without_their_secrets() {
        let check = |url: &str, shown: &str| {
            let refused = locate(url).err();
            assert_eq!(refused.as_ref().map(Error::code), Some("LOCATION_REFUSED"), "{url}");
            let text = refused.map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains(shown) && !text.contains("secret"), "{text}");
        };
        check("https://host/a.mp4?token=secret", "`https://host/a.mp4`");
        check("ftp://me:secret@host/a.mp4", "`ftp://…@host/a.mp4`");
        check("file://other/a.mp4", "file://other/a.mp4");
    }
}
