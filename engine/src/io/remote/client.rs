//! The HTTP client of all outgoing connections, which reaches permitted addresses only.

use std::{
    error, fmt, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::Duration,
};

use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use reqwest::{
    Method, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT_ENCODING, LOCATION, RANGE, RETRY_AFTER},
    redirect,
};
use tokio::runtime::{self, Runtime};
use url::{Host, Url};

use avocet_model::{progress::CancelToken, remote::RemoteError};

use crate::io::{Reach, RemoteSettings, address::special_purpose};

/// How long a wait for the network lasts before the token is looked at again.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// Time limit for the metadata service of a cloud machine. It is short, since other machines have
/// none.
const METADATA: Duration = Duration::from_secs(1);

/// Slowest accepted upload, in bytes per second: the size of its body gives a request more time.
const LEAST_SENT: u64 = 16 << 10;

/// Resolves a host name to its addresses.
pub(super) type Names = Arc<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

/// Traffic of one origin.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Requests sent, redirects included.
    pub(super) requests: AtomicU64,
    /// Bytes of bodies that were received.
    pub(super) bytes: AtomicU64,
}

/// Whether the host that the caller named was public once. Then it may not become private.
#[derive(Debug, Default)]
pub(super) struct WasPublic(AtomicBool);

/// Sends HTTP requests to the addresses that the settings allow.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) settings: RemoteSettings,
    names: Names,
    /// Connects to public addresses only.
    strict: reqwest::Client,
    /// Connects to any address.
    open: reqwest::Client,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The runtime of all network work, with one thread, which is started at its first use.
pub(super) fn network() -> io::Result<&'static Runtime> {
    static NETWORK: OnceLock<Option<Runtime>> = OnceLock::new();
    let network = NETWORK.get_or_init(|| {
        let mut builder = runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("avocet network").enable_all().build().ok()
    });
    network.as_ref().ok_or_else(|| io::Error::other("the system has no thread left"))
}

/// Begins a piece of work on the network's thread.
pub(super) fn begin(
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<tokio::task::AbortHandle> {
    Ok(network()?.spawn(work).abort_handle())
}

/// Runs work on the network's thread and waits for it. The work is aborted when the token is set;
/// `tick` is called every [`TICK`].
pub(super) fn wait<T: Send + 'static, E: Into<io::Error> + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
    cancel: &CancelToken,
    mut tick: impl FnMut(),
) -> io::Result<T> {
    let (sender, answer) = sync_channel(1);
    let task = begin(async move {
        // It is no error when nobody waits any more, since the run was cancelled.
        let _ = sender.send(work.await);
    })?;
    loop {
        tick();
        match answer.recv_timeout(TICK) {
            Ok(answer) => return answer.map_err(Into::into),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the network thread has ended"));
            }
            Err(RecvTimeoutError::Timeout) if cancel.is_cancelled() => {
                task.abort();
                return Err(io::Error::other("cancelled"));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Resolves names by the system's own resolver.
fn system_names() -> Names {
    Arc::new(|host| Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect()))
}

/// Resolves names to public addresses only, so that the address that was checked is the one that is
/// connected to.
struct PublicNames(Names);

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = look_up(&names, &host).await?;
            let (public, special): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|address| special_purpose(*address).is_none());
            match (public.is_empty(), special.first()) {
                (true, Some(address)) => Err(refused(&host, *address).into()),
                _ => Ok(addresses(public)),
            }
        })
    }
}

/// Resolves names to all of their addresses.
struct AllNames(Names);

impl Resolve for AllNames {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move { Ok(addresses(look_up(&names, name.as_str()).await?)) })
    }
}

fn addresses(found: Vec<IpAddr>) -> Addrs {
    Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)))
}

async fn look_up(names: &Names, host: &str) -> Result<Vec<IpAddr>, RemoteError> {
    let (names, host) = (Arc::clone(names), host.to_owned());
    let unknown = |host: &str, why: &dyn fmt::Display| {
        RemoteError::Transport(format!("the name {host} can not be resolved: {why}"))
    };
    let asked = host.clone();
    let found = tokio::task::spawn_blocking(move || names(&asked)).await;
    let found = found.map_err(|error| unknown(&host, &error))?;
    match found.map_err(|error| unknown(&host, &error))? {
        none if none.is_empty() => Err(unknown(&host, &"it has no address")),
        found => Ok(found),
    }
}

fn refused(host: &str, address: IpAddr) -> RemoteError {
    let purpose = special_purpose(address).unwrap_or("the public internet");
    let shown = address.to_string();
    let who = if host == shown { shown } else { format!("{host} is {shown}, which") };
    RemoteError::Refused(format!(
        "{who} is reserved for {purpose}; only public addresses are allowed"
    ))
}

impl Client {
    /// A client that reaches what the settings allow.
    pub(super) fn new(settings: &RemoteSettings) -> Result<Self, RemoteError> {
        Self::with_names(settings, system_names())
    }

    pub(super) fn with_names(settings: &RemoteSettings, names: Names) -> Result<Self, RemoteError> {
        // Fails where the host program has chosen a provider of cryptography, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build = |resolver: Arc<dyn Resolve>| {
            reqwest::Client::builder()
                .user_agent(concat!("avocet/", env!("CARGO_PKG_VERSION")))
                .redirect(redirect::Policy::none())
                .no_proxy()
                .connect_timeout(CONNECT)
                .dns_resolver(resolver)
                .build()
                .map_err(|error| RemoteError::Transport(deepest(&error).to_string()))
        };
        Ok(Self {
            settings: settings.clone(),
            strict: build(Arc::new(PublicNames(Arc::clone(&names))))?,
            open: build(Arc::new(AllNames(Arc::clone(&names))))?,
            names,
        })
    }

    /// Chooses the inner client for a URL, and tells whether the URL is known to be public; an
    /// error tells why none may connect. `came_from_public` is set once the public internet led
    /// there.
    async fn admit(
        &self,
        url: &Url,
        came_from_public: bool,
    ) -> Result<(&reqwest::Client, bool), RemoteError> {
        let reach = self.settings.reach;
        let refuse = |what: String| Err(RemoteError::Refused(what));
        match (url.scheme(), reach) {
            ("https", _) | ("http", Reach::Named | Reach::Any) => {}
            ("http", Reach::Public) => return refuse("only https: is allowed".to_owned()),
            (other, _) => {
                return refuse(format!("{other}: is not supported; allowed are https: and http:"));
            }
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return refuse("the URL has no host".to_owned()),
        };
        if reach == Reach::Any {
            return Ok((&self.open, false));
        }
        let host = url.host_str().unwrap_or_default();
        let may_be_private = reach == Reach::Named && !came_from_public;
        let special = match literal {
            Some(address) => Some(address).filter(|address| special_purpose(*address).is_some()),
            // This lookup only decides. The strict client checks the addresses again when it
            // connects.
            None if may_be_private => {
                let found = look_up(&self.names, host).await?;
                found.into_iter().find(|address| special_purpose(*address).is_some())
            }
            None => None,
        };
        match special {
            Some(_) if may_be_private => Ok((&self.open, false)),
            Some(address) => Err(refused(host, address)),
            None => Ok((&self.strict, true)),
        }
    }

    /// Sends a GET request, for a byte range (its first and last byte) where one is given, and
    /// follows redirects.
    pub(super) async fn get(
        &self,
        asked: &Url,
        range: Option<(u64, u64)>,
        was_public: &WasPublic,
        counts: &Counts,
    ) -> Result<Response, RemoteError> {
        let most = self.settings.max_redirects;
        let mut url = asked.clone();
        let mut came_from_public = was_public.0.load(Ordering::Acquire);
        for hop in 0..=most {
            let (client, is_public) = self.admit(&url, came_from_public).await?;
            came_from_public |= is_public;
            if hop == 0 && is_public {
                was_public.0.store(true, Ordering::Release);
            }
            let mut request =
                client.request(Method::GET, url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some((first, last)) = range {
                request = request.header(RANGE, format!("bytes={first}-{last}"));
            }
            counts.requests.fetch_add(1, Ordering::Relaxed);
            let idle_timeout = self.settings.idle_timeout;
            let sent = tokio::time::timeout(idle_timeout, request.send()).await;
            let response = match sent {
                Ok(response) => response.map_err(|error| transport(&error))?,
                Err(_) => return Err(RemoteError::Stalled { seconds: idle_timeout.as_secs() }),
            };
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let target = response.headers().get(LOCATION).and_then(|target| target.to_str().ok());
            let next = target.and_then(|target| url.join(target).ok());
            let next = next.ok_or_else(|| {
                RemoteError::Answer("it redirects without a valid `Location` header".to_owned())
            })?;
            if url.scheme() == "https" && next.scheme() != "https" {
                let what =
                    format!("it redirects from https: to {}:, which is not allowed", next.scheme());
                return Err(RemoteError::Refused(what));
            }
            url = next;
        }
        Err(RemoteError::Redirects { most })
    }
}

/// The root cause of an error: the last of its chain of causes.
pub(super) fn deepest<'a>(
    error: &'a (dyn error::Error + 'static),
) -> &'a (dyn error::Error + 'static) {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error)
}

impl Client {
    /// Sends a POST request, follows no redirect, and returns the status of the answer.
    pub(super) async fn post(
        &self,
        url: &Url,
        headers: &[(String, String)],
        body: String,
        limit: Duration,
    ) -> Result<u16, RemoteError> {
        let (client, _) = self.admit(url, false).await?;
        let mut request = client.request(Method::POST, url.clone()).body(body);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match tokio::time::timeout(limit, request.send()).await {
            Ok(answer) => {
                answer.map(|answer| answer.status().as_u16()).map_err(|error| transport(&error))
            }
            Err(_) => Err(RemoteError::Stalled { seconds: limit.as_secs() }),
        }
    }
}

/// The error of a request that got no answer, or of an answer that broke off.
pub(super) fn transport(error: &reqwest::Error) -> RemoteError {
    let cause = deepest(error);
    let chain = std::iter::successors(error::Error::source(error), |error| error.source());
    if let Some(known) = chain.into_iter().find_map(|error| error.downcast_ref::<RemoteError>()) {
        return known.clone();
    }
    let what = if error.is_connect() { "can not connect" } else { "the connection broke" };
    RemoteError::Transport(format!("{what}: {cause}"))
}

/// The error for an answer with a status that is not expected.
pub(super) fn status(response: &Response) -> RemoteError {
    let status = response.status();
    let after = response.headers().get(RETRY_AFTER).and_then(|after| after.to_str().ok());
    let after = after.and_then(|after| after.trim().parse().ok()).map(Duration::from_secs);
    let what = status.canonical_reason().map(str::to_owned);
    RemoteError::Status { status: status.as_u16(), what, after }
}

/// Lets an object store send its requests through the client.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) client: Client,
    pub(super) counts: Arc<Counts>,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &object_store::ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait::async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        let unknown = |error: RemoteError| HttpError::new(HttpErrorKind::Unknown, error);
        let url = Url::parse(&request.uri().to_string())
            .map_err(|error| unknown(RemoteError::Answer(error.to_string())))?;
        // Endpoints and URLs of credentials come from the owner of this program, so that they count
        // as named, and not as reached from the public internet.
        let (client, _) = self.client.admit(&url, false).await.map_err(unknown)?;
        let is_link_local =
            matches!(url.host(), Some(Host::Ipv4(address)) if address.is_link_local());
        let limit = if is_link_local {
            METADATA
        } else {
            let bytes = request.body().content_length() as u64;
            self.client.settings.idle_timeout + Duration::from_secs(bytes / LEAST_SENT)
        };
        let answer = tokio::time::timeout(limit, HttpService::call(client, request)).await;
        answer.unwrap_or_else(|_| {
            let error = RemoteError::Stalled { seconds: limit.as_secs() };
            Err(HttpError::new(HttpErrorKind::Timeout, error))
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::{net::TcpListener, sync::Mutex};

    use super::*;

    /// A client whose resolver gives these answers, one after the other; the last one stays.
    fn client(reach: Reach, answers: &[&[&str]]) -> Client {
        let parse = |answer: &&[&str]| -> Vec<IpAddr> {
            answer.iter().map(|address| address.parse().unwrap()).collect()
        };
        let answers = Mutex::new(answers.iter().map(parse).rev().collect::<Vec<_>>());
        let names: Names = Arc::new(move |_| {
            let mut answers = answers.lock().unwrap();
            let answer = if answers.len() > 1 { answers.pop() } else { answers.last().cloned() };
            Ok(answer.unwrap())
        });
        Client::with_names(&RemoteSettings { reach, ..RemoteSettings::default() }, names).unwrap()
    }

    fn get(client: &Client, url: &str, was_public: bool) -> RemoteError {
        let (client, url) = (client.clone(), Url::parse(url).unwrap());
        let asked = async move {
            let was_public = WasPublic(AtomicBool::new(was_public));
            client.get(&url, None, &was_public, &Counts::default()).await.map(drop)
        };
        let error = wait(asked, &CancelToken::new(), || ()).unwrap_err();
        RemoteError::of(&error).unwrap().clone()
    }

    #[test]
    fn a_name_that_becomes_private_is_refused_and_nobody_is_spoken_to() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let check = |reach, scheme: &str, answers: &[&[&str]], was_public| {
            let client = client(reach, answers);
            let error = get(&client, &format!("{scheme}://name.invalid:{port}/a"), was_public);
            assert!(matches!(error, RemoteError::Refused(_)), "{error}");
        };
        let (public, private): (&[&str], &[&str]) = (&["8.8.8.8"], &["127.0.0.1", "::1"]);
        check(Reach::Public, "https", &[private], false);
        check(Reach::Public, "http", &[public], false);
        // The first answer decides what may be reached, and the second is what is connected to.
        check(Reach::Named, "http", &[public, private], false);
        check(Reach::Named, "https", &[public, private], false);
        // What was public, or led there from the public internet, stays outside.
        check(Reach::Named, "http", &[private], true);
        assert!(listener.accept().is_err(), "somebody was let through");
    }

    #[test]
    fn of_several_addresses_only_public_ones_are_left() {
        let names: Names =
            Arc::new(|_| Ok(vec!["10.0.0.1".parse().unwrap(), "8.8.8.8".parse().unwrap()]));
        let resolving = PublicNames(names).resolve("name.invalid".parse().unwrap());
        let work = async { resolving.await.map_err(|error| io::Error::other(error.to_string())) };
        let found: Vec<SocketAddr> = wait(work, &CancelToken::new(), || ()).unwrap().collect();
        assert_eq!(found, ["8.8.8.8:0".parse().unwrap()]);
    }

    #[test]
    fn a_private_name_that_its_user_chose_is_spoken_to() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let client = client(Reach::Named, &[&["127.0.0.1"]]);
        let error = get(&client, &format!("http://name.invalid:{port}/a"), false);
        assert!(error.to_string().contains("refused"), "{error}");
        assert!(matches!(error, RemoteError::Transport(_)), "{error}");
    }
}
