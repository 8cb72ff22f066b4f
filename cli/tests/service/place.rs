//! A service under test, a server of clips, and a receiver of webhooks.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path as Named, State},
    http::{HeaderMap, Response, StatusCode, header},
    routing::{get, post},
};
use fixtures::wait::later::{lag, until, until_some};
use reqwest::{Method, header::HeaderValue};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// A running service; it is killed when this is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) data: Arc<TempDir>,
    pub(crate) base: String,
    pub(crate) key: String,
    /// The one-time link, which `--open` prints; empty without.
    pub(crate) sign_in: String,
    client: reqwest::Client,
}

/// An HTTP client. Its TLS provider is installed here, since no default is compiled in.
pub(crate) fn client() -> reqwest::Client {
    // Fails if another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// The status of an answer, and its body; null if that is not JSON.
pub(crate) type Answer = (u16, Value);

impl Service {
    /// Starts a service with a new data folder, which may reach the servers of tests.
    pub(crate) fn start() -> Self {
        Self::start_with(&["--allow-private-network"], &[])
    }

    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), arguments, variables)
    }

    pub(crate) fn start_in(
        data: Arc<TempDir>,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let mut child = Command::new(fixtures::program!())
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = Vec::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("no service: {told:?}")).unwrap();
            if let Some(rest) = line.split("listens on ").nth(1) {
                break rest.split(';').next().unwrap().to_owned();
            }
            told.push(line);
        };
        let mut sign_in = String::new();
        if arguments.contains(&"--open") {
            let line = lines.next().unwrap().unwrap();
            line.rsplit(' ').next().unwrap().clone_into(&mut sign_in);
        }
        // Read the log to its end, so that a full pipe does not block the service.
        std::thread::spawn(move || lines.for_each(drop));
        let key = fs::read_to_string(data.path().join("api-key")).unwrap();
        let base = format!("http://{address}");
        Self { child, data, base, key, sign_in, client: client() }
    }

    /// Kills the service without a shutdown.
    pub(crate) fn kill(mut self) -> Arc<TempDir> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Arc::clone(&self.data)
    }

    /// Asks the service to shut down; returns its exit status.
    pub(crate) fn end(mut self) -> (Option<i32>, Arc<TempDir>) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
        (self.child.wait().unwrap().code(), Arc::clone(&self.data))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process ids of its workers.
    pub(crate) fn workers(&self) -> Vec<i32> {
        let path = format!("/proc/{0}/task", self.id());
        let tasks = fs::read_dir(path).into_iter().flatten().flatten();
        let children =
            tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        let ids = children.flat_map(|line| {
            line.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<i32>>()
        });
        ids.collect()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request("GET", path)).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        answer(self.request(method, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        answer(self.request("DELETE", path)).await
    }

    /// Submits a job; returns its id.
    pub(crate) async fn submit(&self, document: &Value) -> String {
        let (status, body) = self.send("POST", "/v1/jobs", document).await;
        assert_eq!(status, 202, "{body}");
        body["jobId"].as_str().unwrap().to_owned()
    }

    /// The job, once it has ended.
    pub(crate) async fn finished(&self, id: &str) -> Value {
        until_some("the job ends", async || {
            let (status, job) = self.get(&format!("/v1/jobs/{id}")).await;
            assert_eq!(status, 200, "{job}");
            is_terminal(&job).then_some(job)
        })
        .await
    }

    /// Waits until a job is in a state, from which it is not taken to its end first.
    pub(crate) async fn reaches(&self, id: &str, state: &str) {
        until_some(state, async || {
            let (_, job) = self.get(&format!("/v1/jobs/{id}")).await;
            assert!(!is_terminal(&job), "{job}");
            (job["state"] == state).then_some(())
        })
        .await;
    }

    /// Runs a job that must complete; returns it.
    pub(crate) async fn completed(&self, document: &Value) -> Value {
        let id = self.submit(document).await;
        let job = self.finished(&id).await;
        assert_eq!((&job["state"], &job["progress"]), (&json!("completed"), &json!(100)), "{job}");
        job
    }

    /// Runs a job that must not complete; returns it.
    pub(crate) async fn failed(&self, document: &Value) -> Value {
        let id = self.submit(document).await;
        let job = self.finished(&id).await;
        assert_ne!(job["state"], "completed", "{job}");
        job
    }

    /// Downloads a signed URL to a file.
    pub(crate) async fn download(&self, url: &Value, to: &Path) {
        let url = url.as_str().unwrap();
        let response = self.client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200, "{url}");
        fs::write(to, response.bytes().await.unwrap()).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The resident memory of a process, in MiB.
pub(crate) fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_default())
}

pub(crate) fn is_terminal(job: &Value) -> bool {
    ["completed", "failed", "rejected", "cancelled"].iter().any(|state| job["state"] == *state)
}

/// A document of one recipe, whose name and parameters are given as JSON.
pub(crate) fn document(url: &str, format: &str, recipe: &Value) -> Value {
    json!({ "mode": "recipe", "input": { "url": url }, "output": { "format": format },
            "recipe": recipe })
}

/// A thumbnail, as a job that ends quickly.
pub(crate) fn thumbnail(url: &str) -> Value {
    document(url, "jpg", &json!({ "name": "thumbnail", "seekSeconds": 1, "width": 320 }))
}

/// The files in a service's folders of outputs and of work.
pub(crate) fn left(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![data.join("files"), data.join("work")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(data).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

async fn database(data: &Path) -> sqlx::SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(data.join("avocet.db"));
    sqlx::ConnectOptions::connect(&options).await.unwrap()
}

/// Changes the database of a service that is not running.
pub(crate) async fn change(data: &Path, text: &'static str) {
    let mut connection = database(data).await;
    sqlx::query(text).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
}

/// Restarts a service without the pauses before removals, and waits until all are done.
pub(crate) async fn tidied(service: Service) -> Service {
    let (_, data) = service.end();
    change(data.path(), "UPDATE leftovers SET not_before = 0").await;
    let service = Service::start_in(data, &["--allow-private-network"], &[]);
    let mut connection = database(service.data.path()).await;
    until_some("nothing is left", async || {
        let text = "SELECT COUNT(*) FROM leftovers WHERE not_before = 0";
        let count = sqlx::query_scalar::<_, i64>(text).fetch_one(&mut connection).await.unwrap();
        (count == 0).then_some(())
    })
    .await;
    service
}

/// A server of fixtures and real clips that supports byte ranges.
pub(crate) struct Origin {
    pub(crate) base: String,
    is_gone: Arc<AtomicBool>,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let is_gone = Arc::<AtomicBool>::default();
        let router = Router::new()
            .route("/{*path}", get(give))
            .route("/slow/{name}", get(give_slowly))
            .with_state(Arc::clone(&is_gone));
        Self { base: listen(router).await, is_gone }
    }

    /// Answers all requests with 404 from now on.
    pub(crate) fn go(&self) {
        self.is_gone.store(true, Ordering::Relaxed);
    }

    /// The URL of a fixture.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.base)
    }

    /// The URL of a real clip, by its path below the folder of clips.
    pub(crate) fn media(&self, path: &str) -> String {
        format!("{}/media/{path}", self.base)
    }
}

async fn listen(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// Sends a fixture without ranges, in pieces over about a second.
async fn give_slowly(Named(name): Named<String>) -> Response<Body> {
    let file = tokio::task::spawn_blocking(move || fixtures::get(&name)).await.unwrap();
    let bytes = fs::read(file).unwrap();
    let pieces: Vec<Bytes> =
        bytes.chunks(bytes.len() / 10 + 1).map(Bytes::copy_from_slice).collect();
    let pieces = futures_util::stream::unfold(pieces.into_iter(), |mut pieces| async move {
        lag(Duration::from_millis(100)).await;
        Some((Ok::<_, std::io::Error>(pieces.next()?), pieces))
    });
    Response::new(Body::from_stream(pieces))
}

async fn give(
    State(is_gone): State<Arc<AtomicBool>>,
    Named(path): Named<String>,
    headers: HeaderMap,
) -> Response<Body> {
    let file = match path.strip_prefix("media/") {
        _ if is_gone.load(Ordering::Relaxed) => None,
        Some(clip) => fixtures::media(clip),
        None => tokio::task::spawn_blocking(move || Some(fixtures::get(&path))).await.unwrap(),
    };
    let Some(bytes) = file.and_then(|file| fs::read(file).ok()) else {
        return Response::builder().status(404).body(Body::empty()).unwrap();
    };
    let length = bytes.len();
    let asked = headers.get(header::RANGE).and_then(|range| {
        let (first, last) = range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
        let last: usize = last.parse().unwrap_or(length - 1);
        Some((first.parse::<usize>().ok()?, last.min(length - 1)))
    });
    let response = Response::builder().header(header::ETAG, format!("\"{length}\""));
    let Some((first, last)) = asked else {
        return response.body(Body::from(bytes)).unwrap();
    };
    response
        .status(StatusCode::PARTIAL_CONTENT)
        .header(header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"))
        .body(Body::from(bytes[first..=last].to_vec()))
        .unwrap()
}

/// A webhook as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Heard {
    pub(crate) fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub(crate) fn job(&self) -> Value {
        serde_json::from_str::<Value>(&self.body).unwrap()["data"].clone()
    }
}

/// A receiver of webhooks.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    status: Arc<AtomicU16>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let (heard, status) = (Arc::default(), Arc::new(AtomicU16::new(200)));
        let receiver = Self { url: String::new(), heard, status };
        let router = Router::new().route("/hook", post(hear)).with_state(receiver.clone());
        Self { url: format!("{}/hook", listen(router).await), ..receiver }
    }

    /// Sets the status of its answers from now on.
    pub(crate) fn answers(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until it has received a number of webhooks; returns all.
    pub(crate) async fn hears(&self, count: usize) -> Vec<Heard> {
        until(&format!("{count} webhooks"), || self.heard().len() >= count).await;
        self.heard()
    }
}

async fn hear(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = String::from_utf8(body.to_vec()).unwrap();
    receiver.heard.lock().unwrap().push(Heard { headers, body });
    StatusCode::from_u16(receiver.status.load(Ordering::Relaxed)).unwrap()
}
