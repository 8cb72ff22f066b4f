//! Where jobs read and write: paths, `file:` URLs, and what is elsewhere.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};
#[cfg(unix)]
use std::{
    ffi::OsString,
    fmt::Write,
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use avocet_engine::{Error, Result};
use avocet_model::location::{Location, without_secrets};

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
    /// A path, or a URL of an object store, as in `s3://bucket/folder/name.mp4`.
    fn from(place: &str) -> Self {
        Self { location: locate_output(place), replace: true, named: true }
    }
}

impl From<&String> for Target {
    fn from(place: &String) -> Self {
        place.as_str().into()
    }
}

impl From<&OsStr> for Target {
    fn from(path: &OsStr) -> Self {
        Path::new(path).into()
    }
}

impl From<String> for Target {
    fn from(place: String) -> Self {
        place.as_str().into()
    }
}

impl From<&PathBuf> for Target {
    fn from(path: &PathBuf) -> Self {
        path.as_path().into()
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

/// Schemes of what is elsewhere: HTTP, the object stores' own, and `root` and `upload`, by which a
/// service names files to its workers.
const ELSEWHERE: &[&str] =
    &["https", "http", "s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "root", "upload"];

/// The place that an output's name means. What looks like a URL is one, and is refused when it is
/// written to, should it be of a kind that can not be.
pub(crate) fn locate_output(place: &str) -> Location {
    match locate(place) {
        Ok(location) => location,
        Err(_) => Location::Url(place.to_owned()),
    }
}

/// The place that a job's `url` names: a path, a `file:` URL with an absolute path (RFC 8089), or a
/// URL with `https:`, `http:`, `s3:`, `gs:` or `az:`.
///
/// ```
/// use avocet::io::{Location, locate};
///
/// assert_eq!(locate("file:///clips/a%20b.mp4").unwrap(), Location::from("/clips/a b.mp4"));
/// ```
///
/// # Errors
/// [`Error::LocationRefused`] for URLs of any other kind.
pub fn locate(url: &str) -> Result<Location> {
    // As browsers do, where a URL begins.
    let trimmed = url.trim_start();
    let url = if trimmed.contains("://") { trimmed } else { url };
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
    } else if !rest.starts_with("//") && !is_elsewhere(scheme, rest) {
        // A colon in a file name makes no URL.
        return Ok(Location::from(url));
    } else if rest.starts_with("//") && is_elsewhere(scheme, rest) {
        return Ok(Location::Url(url.to_owned()));
    }
    let location = without_secrets(url);
    let allowed = "an input is a path, a file: URL with an absolute path, or a URL with https:, \
                   http:, s3:, gs: or az:";
    Err(Error::LocationRefused { location, allowed })
}

/// A path or a URL as the `url` of an input in a job document: a path that is no UTF-8 becomes a `file:`
/// URL.
#[cfg(unix)]
pub fn input_url(input: &OsStr) -> String {
    if let Some(text) = input.to_str() {
        return text.to_owned();
    }
    let path = std::path::absolute(input).unwrap_or_else(|_| Path::new(input).to_owned());
    let mut url = "file://".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            url.push(byte.into());
        } else {
            // Writing to a string does not fail.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

/// A path or a URL as the `url` of an input in a job document.
#[cfg(not(unix))]
pub fn input_url(input: &OsStr) -> String {
    input.to_string_lossy().into_owned()
}

/// Whether a URL, well or badly written, leads elsewhere.
fn is_elsewhere(scheme: &str, rest: &str) -> bool {
    rest.starts_with(['/', '\\'])
        && ELSEWHERE.iter().any(|known| scheme.eq_ignore_ascii_case(known))
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
        let code = tail.get(..2).filter(|code| code.iter().all(u8::is_ascii_hexdigit));
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    from_bytes(bytes, text)
}

#[cfg(unix)]
fn from_bytes(bytes: Vec<u8>, _: &str) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

/// Names are Unicode where they have drives, and the drive follows the slash of a `file:` URL. What is
/// no Unicode stays as it was written, so that the error of a missing file names it.
#[cfg(not(unix))]
fn from_bytes(bytes: Vec<u8>, text: &str) -> PathBuf {
    let Ok(name) = String::from_utf8(bytes) else { return PathBuf::from(text) };
    match name.strip_prefix('/') {
        Some(rest) if rest.as_bytes().get(1) == Some(&b':') => PathBuf::from(rest),
        _ => PathBuf::from(name),
    }
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
        check("file:///a%+1.mp4", "/a%+1.mp4");
        check("FILE://localhost/tmp/a.mp4", "/tmp/a.mp4");
    }

    #[test]
    fn what_is_elsewhere_is_shown_without_its_secrets() {
        let shown = locate("https://me:secret@host/a.mp4?token=secret").map(|at| at.to_string());
        assert_eq!(shown.ok().as_deref(), Some("https://…@host/a.mp4"));
        assert_eq!(
            locate_output("s3://bucket/a.mp4"),
            Location::Url("s3://bucket/a.mp4".to_owned())
        );
        assert_eq!(locate_output("a.mp4"), Location::from("a.mp4"));
    }

    #[cfg(unix)]
    #[test]
    fn an_input_keeps_its_bytes() {
        assert_eq!(input_url(OsStr::new("a b%.mp4")), "a b%.mp4");
        assert_eq!(input_url(OsStr::from_bytes(b"/a b/\xff%.mp4")), "file:///a%20b/%FF%25.mp4");
    }

    #[test]
    fn other_places_are_refused_without_their_secrets() {
        let check = |url: &str, shown: &str| {
            let refused = locate(url).err();
            assert_eq!(refused.as_ref().map(Error::code), Some("LOCATION_REFUSED"), "{url}");
            let text = refused.map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains(shown) && !text.contains("secret"), "{text}");
        };
        check("rtsp://host/a.mp4?token=secret", "`rtsp://host/a.mp4`");
        check("ftp://me:secret@host/a.mp4", "`ftp://…@host/a.mp4`");
        check("file://other/a.mp4", "file://other/a.mp4");
    }
}
