//! Origins of remote media: HTTP servers and object stores.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::BoxStream};
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, path::Path as Key};
use reqwest::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, LAST_MODIFIED},
};
use serde::{Deserialize, Serialize};
use url::Url;

use avocet_model::remote::RemoteError;

use super::{
    client::{Client, Counts, WasPublic, status, transport},
    proxy::{self, ProxiedInputs},
    store::{self, Opened},
};
use crate::io::{Reach, RemoteSettings};

/// An origin of media.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) limits: Limits,
    pub(super) counts: Arc<Counts>,
    kind: Kind,
}

/// Longer than any job runs.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The limits of transfers from an origin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long to wait for an answer, or for more bytes of one.
    pub(super) idle_timeout: Duration,
    /// The largest input that is copied as a whole, in bytes.
    pub(super) max_bytes: u64,
}

#[derive(Debug)]
enum Kind {
    Http {
        client: Client,
        url: Url,
        was_public: WasPublic,
    },
    Store {
        store: Arc<dyn ObjectStore>,
        key: Key,
    },
    /// A file that a service lends to its worker.
    #[cfg(all(unix, feature = "workers"))]
    File(Arc<std::fs::File>),
    /// Another process has the network.
    Proxied {
        inputs: ProxiedInputs,
        url: String,
    },
}

/// What an origin states about a file or an object.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Facts {
    /// Its length, in bytes, where that is told.
    pub(super) length: Option<u64>,
    /// What tells this version from others, where anything does: an `ETag`, the time of the last
    /// change, or the version of an object.
    pub(super) version: Option<String>,
    /// Whether byte ranges of it can be requested.
    pub(super) has_ranges: bool,
}

/// The body of an answer.
pub(super) enum Body {
    Http(Response),
    Store(BoxStream<'static, object_store::Result<Bytes>>),
    Proxied(proxy::Answer),
    /// Bytes of an open file, from the first position up to the second.
    #[cfg(all(unix, feature = "workers"))]
    File(Arc<std::fs::File>, u64, u64),
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, RemoteError> {
        match self {
            Self::Http(response) => response.chunk().await.map_err(|error| transport(&error)),
            Self::Store(stream) => {
                stream.next().await.transpose().map_err(|error| store::fault(&error))
            }
            Self::Proxied(answer) => answer.chunk().await,
            #[cfg(all(unix, feature = "workers"))]
            Self::File(file, at, end) => {
                let bytes = proxy::read(file, *at, *end).await?;
                *at += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
                Ok(bytes)
            }
        }
    }
}

impl Limits {
    const fn of(settings: &RemoteSettings) -> Self {
        Self { idle_timeout: settings.idle_timeout, max_bytes: settings.max_bytes }
    }
}

impl Origin {
    /// The origin that a URL names; no request is sent yet.
    pub(super) fn new(client: &Client, url: &Url) -> Result<Self, RemoteError> {
        let counts = Arc::new(Counts::default());
        let kind = match url.scheme() {
            "http" | "https" => {
                let was_public = WasPublic::default();
                Kind::Http { client: client.clone(), url: url.clone(), was_public }
            }
            _ if client.settings.reach == Reach::Public => {
                let what = "only https: is allowed; object stores would need this machine's own \
                            credentials";
                return Err(RemoteError::Refused(what.to_owned()));
            }
            _ => {
                let Opened { store, key, .. } = store::open(client, &counts, url)?;
                Kind::Store { store, key }
            }
        };
        Ok(Self { limits: Limits::of(&client.settings), counts, kind })
    }

    /// An open file as an origin.
    #[cfg(all(unix, feature = "workers"))]
    pub(super) fn file(file: Arc<std::fs::File>, settings: &RemoteSettings) -> Self {
        Self { limits: Limits::of(settings), counts: Arc::default(), kind: Kind::File(file) }
    }

    /// The origin of an input that another process fetches.
    pub(super) fn proxied(inputs: ProxiedInputs, url: &str, settings: &RemoteSettings) -> Self {
        let kind = Kind::Proxied { inputs, url: url.to_owned() };
        // The service has the clocks: it may hold bytes back for as long as it likes.
        let limits = Limits { idle_timeout: NEVER, ..Limits::of(settings) };
        Self { limits, counts: Arc::default(), kind }
    }

    /// Asks the origin what it has. One byte is requested from an HTTP server, to see whether it
    /// serves ranges, whatever its headers say.
    pub(super) async fn look(&self) -> Result<Facts, RemoteError> {
        match &self.kind {
            Kind::Http { client, url, was_public } => {
                let response = client.get(url, Some((0, 0)), was_public, &self.counts).await?;
                look_at(&response)
            }
            Kind::Proxied { inputs, url } => {
                self.counts.requests.fetch_add(1, Ordering::Relaxed);
                inputs.look(url).await
            }
            #[cfg(all(unix, feature = "workers"))]
            Kind::File(file) => proxy::facts(file),
            Kind::Store { store, key } => {
                let meta = store.head(key).await.map_err(|error| store::fault(&error))?;
                let version = meta.e_tag.or(meta.version);
                Ok(Facts { length: Some(meta.size), version, has_ranges: true })
            }
        }
    }

    /// Requests the bytes from `first` up to `end`. Without ranges `end` is `None` and `first` 0,
    /// and all bytes come. The content must still be that of `facts`.
    pub(super) async fn get(
        &self,
        first: u64,
        end: Option<u64>,
        facts: &Facts,
    ) -> Result<Body, RemoteError> {
        match &self.kind {
            Kind::Proxied { inputs, url } => {
                self.counts.requests.fetch_add(1, Ordering::Relaxed);
                Ok(Body::Proxied(inputs.get(url, first, end, facts).await?))
            }
            #[cfg(all(unix, feature = "workers"))]
            Kind::File(file) => {
                let now = proxy::facts(file)?;
                if now != *facts {
                    return Err(other_version(now.version, facts));
                }
                Ok(Body::File(Arc::clone(file), first, end.or(now.length).unwrap_or(first)))
            }
            Kind::Http { client, url, was_public } => {
                let range = end.map(|end| (first, end.saturating_sub(1)));
                let response = client.get(url, range, was_public, &self.counts).await?;
                check(&response, range, facts)?;
                Ok(Body::Http(response))
            }
            Kind::Store { store, key } => {
                let range = end.map_or(GetRange::Offset(first), |end| (first..end).into());
                let options = GetOptions {
                    range: Some(range),
                    if_match: facts.version.clone(),
                    ..GetOptions::default()
                };
                let found = store.get_opts(key, options).await;
                let found = found.map_err(|error| match error {
                    object_store::Error::Precondition { .. } => {
                        other_version(Some("another version".to_owned()), facts)
                    }
                    error => store::fault(&error),
                })?;
                Ok(Body::Store(found.into_stream()))
            }
        }
    }

    pub(super) fn count(&self, bytes: usize) {
        self.counts.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn version(response: &Response) -> Option<String> {
    header(response, &ETAG).or_else(|| header(response, &LAST_MODIFIED)).map(str::to_owned)
}

/// The error for content of another version than that of `facts`.
fn other_version(found: Option<String>, facts: &Facts) -> RemoteError {
    let told = |version: Option<String>| version.unwrap_or_else(|| "no version".to_owned());
    RemoteError::Changed { found: told(found), expected: told(facts.version.clone()) }
}

/// The error for content of another length than that of `facts`.
fn other_length(found: String, facts: &Facts) -> RemoteError {
    let told = |length: u64| format!("{length} bytes");
    let expected = facts.length.map_or_else(|| "no length".to_owned(), told);
    RemoteError::Changed { found, expected }
}

/// Fails when a length differs from that of `facts`, where both are known.
fn check_length(found: Option<u64>, facts: &Facts) -> Result<(), RemoteError> {
    match found.zip(facts.length) {
        Some((found, known)) if found != known => {
            Err(other_length(format!("{found} bytes"), facts))
        }
        _ => Ok(()),
    }
}

/// The length of a body, as far as it is told.
fn content_length(response: &Response) -> Option<u64> {
    header(response, &CONTENT_LENGTH)?.parse().ok()
}

/// First byte, last byte and length of the whole that an answer tells (RFC 9110, 14.4).
fn content_range(response: &Response) -> Option<(u64, u64, Option<u64>)> {
    let (unit, told) = header(response, &CONTENT_RANGE)?.trim().split_once(' ')?;
    let (range, length) = told.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let length = if length.trim() == "*" { None } else { Some(number(length)?) };
    unit.eq_ignore_ascii_case("bytes").then_some((number(first)?, number(last)?, length))
}

/// Fails when an answer has a content coding: positions in it are not those of the file.
fn check_encoding(response: &Response) -> Result<(), RemoteError> {
    match header(response, &CONTENT_ENCODING) {
        None | Some("") => Ok(()),
        Some(plain) if plain.eq_ignore_ascii_case("identity") => Ok(()),
        Some(other) => Err(RemoteError::Answer(format!(
            "it has the content encoding {other}, which was not requested"
        ))),
    }
}

/// What the answer to the request for one byte states.
fn look_at(response: &Response) -> Result<Facts, RemoteError> {
    let version = version(response);
    match response.status().as_u16() {
        206 => {
            check_encoding(response)?;
            match content_range(response) {
                // Positions are below 2^63.
                Some((0, 0, Some(length))) if i64::try_from(length).is_err() => {
                    let what = format!("it states a length of {length} bytes, which is too large");
                    Err(RemoteError::Answer(what))
                }
                Some((0, 0, Some(length))) => {
                    Ok(Facts { length: Some(length), version, has_ranges: true })
                }
                // It serves no ranges, or none of a known total length, which readers need.
                _ => Ok(Facts { length: None, version, has_ranges: false }),
            }
        }
        200 => {
            check_encoding(response)?;
            Ok(Facts { length: content_length(response), version, has_ranges: false })
        }
        // The file is empty, so that there is no first byte.
        416 if header(response, &CONTENT_RANGE).is_some_and(|told| told.ends_with("*/0")) => {
            Ok(Facts { length: Some(0), version, has_ranges: true })
        }
        416 => Ok(Facts { length: None, version, has_ranges: false }),
        _ => Err(status(response)),
    }
}

fn wrong_range(response: &Response, (first, last): (u64, u64)) -> RemoteError {
    let found = header(response, &CONTENT_RANGE).unwrap_or("absent");
    RemoteError::Answer(format!(
        "bytes {first}-{last} were requested, but its `Content-Range` is {found}"
    ))
}

/// Fails when an answer does not match the request, or the content is not that of `facts`.
fn check(response: &Response, range: Option<(u64, u64)>, facts: &Facts) -> Result<(), RemoteError> {
    let code = response.status().as_u16();
    if !matches!(code, 200 | 206 | 416) {
        return Err(status(response));
    }
    let found = version(response);
    if code != 416 && facts.version.is_some() && found != facts.version {
        return Err(other_version(found, facts));
    }
    match (range, code) {
        (Some((first, last)), 206) => {
            check_encoding(response)?;
            match content_range(response) {
                Some((from, to, length)) if from == first && to >= from && to <= last => {
                    check_length(length, facts)
                }
                _ => Err(wrong_range(response, (first, last))),
            }
        }
        (Some(_), 416) => Err(other_length("fewer bytes".to_owned(), facts)),
        (Some(range), _) => Err(wrong_range(response, range)),
        (None, 200) => {
            check_encoding(response)?;
            check_length(content_length(response), facts)
        }
        (None, _) => Err(status(response)),
    }
}
