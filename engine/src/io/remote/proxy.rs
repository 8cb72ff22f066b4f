//! Inputs that another process fetches: a worker without network asks a service for them.
//!
//! The two ends speak HTTP/2 over one socket. That has flow control for each request, and a request
//! that one end drops is cancelled at the other one.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt,
    fs::File,
    io,
    os::unix::{
        fs::{FileExt, MetadataExt},
        net::UnixStream,
    },
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::{BodyExt, Either, Full, Limited, StreamBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{self, Frame, Incoming},
    client::conn::http2::{self as client, SendRequest},
    header::{HeaderName, HeaderValue},
    server::conn::http2 as server,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, task::AbortHandle};
use url::Url;

use avocet_model::remote::RemoteError;

use super::{
    client::{Client, begin, network},
    no_url,
    origin::{Body, Facts, Origin},
    transfer::expect_pace,
};

/// How many bytes of an answer may be on their way at once.
const WINDOW: u32 = 1 << 20;

/// The same for all answers of a connection together.
const WINDOW_OF_ALL: u32 = 8 << 20;

/// The longest question, in bytes.
const QUESTION: usize = 1 << 20;

/// How many requests of a worker are answered at once.
const AT_ONCE: u32 = 32;

/// The longest error that is sent behind the bytes of an answer, in bytes.
const LONGEST_ERROR: usize = 4 << 10;

/// The trailer that tells why an answer ends early.
const ERROR: &str = "avocet-error";

/// What a worker asks: the body of a request.
#[derive(Debug, Deserialize, Serialize)]
struct Question {
    url: String,
    /// The bytes to send; `None` asks what the origin has.
    bytes: Option<Wanted>,
}

/// Bytes of an input; see [`Origin::get`].
#[derive(Debug, Deserialize, Serialize)]
struct Wanted {
    first: u64,
    end: Option<u64>,
    facts: Facts,
}

/// The worker's end of the socket: inputs that a service fetches for this process. Cheap to clone;
/// clones are equal.
#[derive(Clone)]
pub struct ProxiedInputs(Arc<SendRequest<Full<Bytes>>>);

impl fmt::Debug for ProxiedInputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxiedInputs")
    }
}

impl PartialEq for ProxiedInputs {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ProxiedInputs {}

/// The body of an answer.
pub(super) struct Answer(Incoming);

impl ProxiedInputs {
    /// Takes a socket whose other end an [`InputProxy`] has.
    ///
    /// # Errors
    /// That of the system, when the socket can not be used or no thread is left.
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let connected = network()?.block_on(async {
            let stream = TokioIo::new(tokio::net::UnixStream::from_std(stream)?);
            let mut builder = client::Builder::new(TokioExecutor::new());
            builder.initial_stream_window_size(WINDOW);
            builder.initial_connection_window_size(WINDOW_OF_ALL);
            builder.handshake(stream).await.map_err(io::Error::other)
        });
        let (sender, connection) = connected?;
        // The error of a connection that broke is told by the request that needs it.
        begin(async move { drop(connection.await) })?;
        Ok(Self(Arc::new(sender)))
    }

    async fn ask(&self, question: &Question) -> Result<Answer, RemoteError> {
        let body = serde_json::to_vec(question).map_err(|error| broken(&error))?;
        let request = Request::post("http://service/").body(Full::from(body));
        let request = request.map_err(|error| broken(&error))?;
        let mut sender = SendRequest::clone(&self.0);
        sender.ready().await.map_err(|error| broken(&error))?;
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        if answer.status() == StatusCode::OK {
            return Ok(Answer(answer.into_body()));
        }
        let error = answer.into_body().collect().await.map_err(|error| broken(&error))?;
        Err(error_of(&error.to_bytes()))
    }

    /// See [`Origin::look`].
    pub(super) async fn look(&self, url: &str) -> Result<Facts, RemoteError> {
        let answer = self.ask(&Question { url: url.to_owned(), bytes: None }).await?;
        let facts = answer.0.collect().await.map_err(|error| broken(&error))?.to_bytes();
        serde_json::from_slice(&facts).map_err(|error| broken(&error))
    }

    /// See [`Origin::get`].
    pub(super) async fn get(
        &self,
        url: &str,
        first: u64,
        end: Option<u64>,
        facts: &Facts,
    ) -> Result<Answer, RemoteError> {
        let bytes = Some(Wanted { first, end, facts: facts.clone() });
        self.ask(&Question { url: url.to_owned(), bytes }).await
    }
}

impl Answer {
    /// The next bytes; `None` at the end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, RemoteError> {
        let Some(frame) = self.0.frame().await else { return Ok(None) };
        let frame = frame.map_err(|error| broken(&error))?;
        match frame.into_data() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(frame) => match frame.trailers_ref().and_then(|trailers| trailers.get(ERROR)) {
                Some(error) => Err(error_of(error.as_bytes())),
                None => Ok(None),
            },
        }
    }
}

/// The error of a socket that can not be used any more: its service is gone.
fn broken(error: &dyn fmt::Display) -> RemoteError {
    RemoteError::Transport(format!("the service does not fetch the input: {error}"))
}

/// Reads an error that the other end sent.
fn error_of(text: &[u8]) -> RemoteError {
    serde_json::from_slice(text).unwrap_or_else(|error| broken(&error))
}

/// Writes an error for the other end, as a trailer: a long one without the words of the origin.
fn value_of(error: &RemoteError) -> HeaderValue {
    let mut text = serde_json::to_vec(error).unwrap_or_default();
    if text.len() > LONGEST_ERROR {
        let short = RemoteError::Transport("the connection broke".to_owned());
        text = serde_json::to_vec(&short).unwrap_or_default();
    }
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The service's end of the socket: fetches inputs for one worker, only those that are allowed.
/// When it is dropped, the socket is closed and all requests for the worker end.
#[derive(Debug)]
pub struct InputProxy {
    shared: Arc<Shared>,
    connection: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    state: Mutex<State>,
    /// Notified when bytes are held back no longer.
    released: Notify,
}

#[derive(Debug)]
struct State {
    /// The inputs that may be fetched, by their URLs; those that were asked for have an origin.
    inputs: BTreeMap<String, Option<Arc<Origin>>>,
    /// How many requests wait for their origin.
    waiting: usize,
    /// When bytes came last, or the first of these requests began to wait.
    since: Instant,
    /// Whether bytes are held back, and whether some are.
    is_held: bool,
    holds: bool,
}

impl Drop for InputProxy {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl InputProxy {
    /// Answers a worker's requests over a socket, on the current tokio runtime.
    pub(super) fn serve(client: Client, stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let stream = TokioIo::new(tokio::net::UnixStream::from_std(stream)?);
        let (inputs, since) = (BTreeMap::new(), Instant::now());
        let state = State { inputs, waiting: 0, since, is_held: false, holds: false };
        let shared = Arc::new(Shared { client, state: Mutex::new(state), released: Notify::new() });
        let of_requests = Arc::clone(&shared);
        let connection = tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let shared = Arc::clone(&of_requests);
                async move { Ok::<_, Infallible>(shared.answer(request).await) }
            });
            let mut builder = server::Builder::new(TokioExecutor::new());
            builder.max_concurrent_streams(AT_ONCE);
            // A connection that breaks needs no report: its worker has ended.
            drop(builder.serve_connection(stream, answer).await);
        });
        Ok(Self { shared, connection: connection.abort_handle() })
    }

    /// Allows the worker these inputs from now on, and no others. Each has its URL as in the plan,
    /// and a file, where its bytes come from that.
    pub fn allow(&self, inputs: impl IntoIterator<Item = (String, Option<Arc<File>>)>) {
        let settings = &self.shared.client.settings;
        let of_file = |file| Arc::new(Origin::file(file, settings));
        let inputs = inputs.into_iter().map(|(url, file)| (url, file.map(of_file)));
        let mut state = self.shared.state();
        state.inputs = inputs.collect();
        (state.is_held, state.holds) = (false, false);
        drop(state);
        self.shared.released.notify_waiters();
    }

    /// Whether the socket is still in use; when it broke, the worker can read nothing any more.
    pub fn is_open(&self) -> bool {
        !self.connection.is_finished()
    }

    /// How long the worker has waited for bytes of an origin; zero when it does not wait.
    pub fn waits_for(&self) -> Duration {
        let state = self.shared.state();
        if state.waiting == 0 { Duration::ZERO } else { state.since.elapsed() }
    }

    /// Holds all further bytes back, so that a worker that waits goes on waiting, or lets them
    /// through again.
    pub fn hold(&self, is_held: bool) {
        let mut state = self.shared.state();
        (state.is_held, state.holds) = (is_held, false);
        drop(state);
        self.shared.released.notify_waiters();
    }

    /// Whether bytes came that are held back.
    pub fn holds(&self) -> bool {
        self.shared.state().holds
    }
}

/// Counts a request as one that waits for its origin, until this is dropped.
struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting -= 1;
        state.since = Instant::now();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waits(&self) -> Waiting<'_> {
        let mut state = self.state();
        if state.waiting == 0 {
            state.since = Instant::now();
        }
        state.waiting += 1;
        Waiting(self)
    }

    /// Returns when bytes may go through to the worker.
    async fn admitted(&self) {
        loop {
            // Register before the state is looked at, so that no release is missed.
            let mut released = std::pin::pin!(self.released.notified());
            released.as_mut().enable();
            {
                let mut state = self.state();
                state.holds = state.is_held;
                if !state.is_held {
                    return;
                }
            }
            released.await;
        }
    }

    /// The origin of an input that the worker may ask for.
    fn origin(&self, url: &str) -> Result<Arc<Origin>, RemoteError> {
        let mut state = self.state();
        let refused = || RemoteError::Refused("it is no input of the job".to_owned());
        let known = state.inputs.get_mut(url).ok_or_else(refused)?;
        if let Some(origin) = known {
            return Ok(Arc::clone(origin));
        }
        let parsed = Url::parse(url).map_err(no_url)?;
        let origin = Arc::new(Origin::new(&self.client, &parsed)?);
        Ok(Arc::clone(known.insert(origin)))
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Response<impl body::Body<Data = Bytes, Error = Broken> + use<>> {
        let answered = self.carry_out(request.into_body()).await;
        let (body, is_error) = match answered {
            Ok(Asked::Facts(facts)) => (Either::Left(Full::from(facts)), false),
            Ok(Asked::Bytes(body)) => {
                (Either::Right(StreamBody::new(frames(Arc::clone(&self), body))), false)
            }
            Err(error) => {
                let text = serde_json::to_vec(&error).unwrap_or_default();
                (Either::Left(Full::from(text)), true)
            }
        };
        self.admitted().await;
        let mut response = Response::new(body);
        if is_error {
            *response.status_mut() = StatusCode::BAD_GATEWAY;
        }
        response
    }

    async fn carry_out(&self, question: Incoming) -> Result<Asked, RemoteError> {
        let question = Limited::new(question, QUESTION).collect().await;
        let question = question.map_err(|error| RemoteError::Answer(error.to_string()))?.to_bytes();
        let Question { url, bytes } =
            serde_json::from_slice(&question).map_err(|error| broken(&error))?;
        let origin = self.origin(&url)?;
        let _waits = self.waits();
        match bytes {
            None => {
                let facts = origin.look().await?;
                Ok(Asked::Facts(serde_json::to_vec(&facts).map_err(|error| broken(&error))?))
            }
            Some(Wanted { first, end, facts }) => {
                Ok(Asked::Bytes(origin.get(first, end, &facts).await?))
            }
        }
    }
}

/// The error of a body that this sends; there is none.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// How fast an origin sends, measured while somebody waits for it: a worker may be held up meanwhile.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    bytes: u64,
    waited: Duration,
}

impl Pace {
    /// Notes bytes and the wait for them; an error when an origin is too slow on the whole.
    fn note(&mut self, bytes: usize, waited: Duration, limit: Duration) -> Result<(), RemoteError> {
        self.bytes += bytes as u64;
        self.waited += waited;
        expect_pace(self.bytes, self.waited, limit)
    }
}

/// What an origin answered.
enum Asked {
    /// What it has, as JSON.
    Facts(Vec<u8>),
    Bytes(Body),
}

/// The frames of an answer. An error becomes its trailer.
fn frames(
    shared: Arc<Shared>,
    body: Body,
) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
    stream::unfold((shared, Some(body), Pace::default()), |(shared, body, mut pace)| async move {
        let mut body = body?;
        let limit = shared.client.settings.idle_timeout;
        let (waits, begun) = (shared.waits(), Instant::now());
        let came = tokio::time::timeout(limit, body.chunk()).await;
        let waited = begun.elapsed();
        drop(waits);
        shared.admitted().await;
        let came = came.unwrap_or(Err(RemoteError::Stalled { seconds: limit.as_secs() }));
        let came = came.and_then(|bytes| {
            pace.note(bytes.as_ref().map_or(0, Bytes::len), waited, limit).map(|()| bytes)
        });
        match came {
            Ok(None) => None,
            Ok(Some(bytes)) => Some((Ok(Frame::data(bytes)), (shared, Some(body), pace))),
            Err(error) => {
                let trailer = (HeaderName::from_static(ERROR), value_of(&error));
                let trailers = HeaderMap::from_iter([trailer]);
                Some((Ok(Frame::trailers(trailers)), (shared, None, pace)))
            }
        }
    })
}

/// How many bytes of a file are read at once.
const PIECE: u64 = 256 << 10;

/// What an open file is; its version is when it changed last.
pub(super) fn facts(file: &File) -> Result<Facts, RemoteError> {
    let failed = |error: io::Error| RemoteError::Transport(error.to_string());
    let found = file.metadata().map_err(failed)?;
    let version = Some(format!("{}.{:09}", found.mtime(), found.mtime_nsec()));
    Ok(Facts { length: Some(found.len()), version, has_ranges: true })
}

/// The next bytes of a file, from `at` up to `end`; `None` where there are none. It is read on a
/// thread that may wait for the disk.
pub(super) async fn read(
    file: &Arc<File>,
    at: u64,
    end: u64,
) -> Result<Option<Bytes>, RemoteError> {
    let wanted = usize::try_from(end.saturating_sub(at).min(PIECE)).unwrap_or(0);
    if wanted == 0 {
        return Ok(None);
    }
    let file = Arc::clone(file);
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = vec![0; wanted];
        let read = file.read_at(&mut bytes, at)?;
        bytes.truncate(read);
        Ok(bytes)
    });
    let read = read.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let bytes = read.map_err(|error| RemoteError::Transport(error.to_string()))?;
    Ok((!bytes.is_empty()).then(|| bytes.into()))
}
