//! Object stores: inputs from them and outputs into them, whole or not at all.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    net::SocketAddr,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use avocet::{
    CancelToken, Door, Engine, Error, Job, Report, Target,
    engine::{Location, Reach, RemoteSettings, Settings},
};
use futures_util::StreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};

use crate::support::{document, remux, watched};

const KEY: &str = "AVOCETKEY";
const SECRET: &str = "a secret of sixteen";

/// A server of one bucket, `media`, whose objects are files.
struct Bucket {
    folder: tempfile::TempDir,
    address: SocketAddr,
    faults: Arc<Faults>,
    _runtime: tokio::runtime::Runtime,
}

/// What the server does wrong; 0 for nothing.
#[derive(Default)]
struct Faults {
    /// The part of this number is never taken.
    refused_part: AtomicU64,
    /// The part of this number takes a minute.
    slow_part: AtomicU64,
    /// The part of this number is put a moment after it came, whether anybody waits for it or not.
    late_part: AtomicU64,
    /// That part, once it came.
    came: AtomicU64,
    /// That part, once it was put; `u64::MAX` when there was nothing to put it to any more.
    done: AtomicU64,
    /// No upload is completed.
    no_end: AtomicU64,
    /// Objects whose names end in `.vtt` are refused.
    no_text: AtomicU64,
    /// Parts that were asked for.
    parts: AtomicU64,
}

impl Bucket {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("media")).unwrap();
        let files = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = builder.build();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::new(Faults::default());
        let shared = Arc::clone(&faults);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (service, faults) = (service.clone(), Arc::clone(&shared));
                let answer = hyper::service::service_fn(move |request| {
                    let (service, faults) = (service.clone(), Arc::clone(&faults));
                    async move { Ok::<_, Infallible>(faults.answer(&service, request).await) }
                });
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A client that goes away is what some tests are about.
                    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Self { folder, address, faults, _runtime: runtime }
    }

    fn engine(&self, secret: &str) -> Engine {
        let endpoint = format!("http://{}", self.address);
        let stores = [
            ("aws_endpoint", endpoint.as_str()),
            ("aws_access_key_id", KEY),
            ("aws_secret_access_key", secret),
            ("aws_region", "auto"),
        ];
        let stores = stores.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let stores = BTreeMap::from(stores);
        let remote = RemoteSettings { reach: Reach::Any, stores, ..RemoteSettings::default() };
        Engine::new(Settings { remote, ..Settings::default() })
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.path().join("media").join(key)
    }

    /// What is in the server's folders, objects and parts; not what it notes of objects, and not
    /// its own copies of bodies that broke off.
    fn left(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_none_or(|end| end != "json")
                    && !name.starts_with(".tmp.")
                {
                    found.push(name);
                }
            }
        }
        found.sort();
        found
    }
}

impl Faults {
    async fn answer(
        self: &Arc<Self>,
        service: &s3s::service::S3Service,
        request: hyper::Request<hyper::body::Incoming>,
    ) -> s3s::HttpResponse {
        // The server makes a bucket of whatever is named; real ones do not.
        if !request.uri().path().starts_with("/media") {
            let text = "<Error><Code>NoSuchBucket</Code></Error>".to_owned();
            let mut response = s3s::HttpResponse::new(s3s::Body::from(text));
            *response.status_mut() = hyper::StatusCode::NOT_FOUND;
            return response;
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        let part = query.split('&').find_map(|pair| pair.strip_prefix("partNumber="));
        let failed = || {
            let mut response = s3s::HttpResponse::new(s3s::Body::empty());
            *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            response
        };
        if let Some(part) = part {
            self.parts.fetch_add(1, Ordering::Relaxed);
            let part = part.parse::<u64>().unwrap();
            if part == self.refused_part.load(Ordering::Relaxed) {
                // It is taken, and then denied: whoever aborts must remove it.
                let _ = service.call(request.map(s3s::Body::from)).await;
                return failed();
            }
            if part == self.late_part.load(Ordering::Relaxed) {
                let (head, body) = request.into_parts();
                let mut bytes = Vec::new();
                let mut body = s3s::Body::from(body);
                while let Some(Ok(piece)) = body.next().await {
                    bytes.extend(piece);
                }
                let (service, faults) = (service.clone(), Arc::clone(self));
                let put = tokio::spawn(async move {
                    faults.came.store(part, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    let body = s3s::Body::from(hyper::body::Bytes::from(bytes));
                    let answer = service.call(hyper::Request::from_parts(head, body)).await;
                    let is_put = answer.as_ref().is_ok_and(|answer| answer.status().is_success());
                    faults.done.store(if is_put { part } else { u64::MAX }, Ordering::Relaxed);
                    answer
                });
                return put.await.unwrap().unwrap();
            }
            if part == self.slow_part.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        }
        let is_text =
            request.method() == hyper::Method::PUT && request.uri().path().contains(".vtt");
        if is_text && self.no_text.load(Ordering::Relaxed) > 0 {
            let mut response = failed();
            *response.status_mut() = hyper::StatusCode::FORBIDDEN;
            return response;
        }
        let is_end = request.method() == hyper::Method::POST && query.contains("uploadId=");
        if is_end && self.no_end.load(Ordering::Relaxed) > 0 {
            return failed();
        }
        service.call(request.map(s3s::Body::from)).await.unwrap_or_else(|_| failed())
    }
}

fn job(input: &str, format: &str, recipe: &str) -> Job {
    Job::from_json(&document(Path::new(input), format, recipe), Door::Program).unwrap()
}

fn run(engine: &Engine, job: Job, target: impl Into<Target>) -> Result<Report, Error> {
    let (engine, target) = (engine.clone(), target.into());
    watched("a job of a bucket", move || {
        avocet::run(&engine, &job, target, &CancelToken::new(), |_| ControlFlow::Continue(()))
    })
}

/// A movie of five parts.
fn large(folder: &Path) -> PathBuf {
    let made = folder.join("large.mp4");
    let clip = fixtures::get("counter-60s.mp4");
    remux("-stream_loop 2", &clip, "-movflags +faststart", &made);
    made
}

#[test]
fn from_bucket_to_bucket() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let bucket = Bucket::new();
    let clip = fixtures::get("counter-h264-aac.mp4");
    fs::copy(&clip, bucket.file("in.mp4")).unwrap();
    let engine = bucket.engine(SECRET);
    let report =
        run(&engine, job("s3://media/in.mp4", "mp4", r#""webReady""#), "s3://media/a/out.mp4");
    let report = report.unwrap();
    assert_eq!(fs::read(bucket.file("a/out.mp4")).unwrap(), fs::read(&clip).unwrap());
    assert_eq!(report.outputs[0].location, Location::Url("s3://media/a/out.mp4".to_owned()));
    assert!(report.plan.because.iter().any(|reason| reason.code == "OUTPUT_SPOOLED"));

    // Several at once, into a folder.
    let storyboard = job("s3://media/in.mp4", "jpg", r#""storyboard","count":4"#);
    run(&engine, storyboard, "s3://media/board").unwrap();
    assert!(bucket.left().iter().any(|name| name.contains(".vtt")), "{:?}", bucket.left());

    // Several appear together or not at all.
    let before = bucket.left();
    bucket.faults.no_text.store(1, Ordering::Relaxed);
    let storyboard = job("s3://media/in.mp4", "jpg", r#""storyboard","count":4"#);
    let error = run(&engine, storyboard, "s3://media/other").unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("STORAGE_ERROR", false), "{error}");
    assert!(error.to_string().contains(".vtt"), "{error}");
    assert_eq!(bucket.left(), before);

    // Nothing is replaced that must not be.
    let target = Target { replace: false, ..Target::from("s3://media/a/out.mp4") };
    let error =
        run(&engine, job("s3://media/in.mp4", "jpg", r#""thumbnail""#), target).unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("STORAGE_ERROR", false), "{error}");
    assert_eq!(fs::read(bucket.file("a/out.mp4")).unwrap(), fs::read(&clip).unwrap());
    for itself in ["s3://media/in.mp4", "s3a://media/in.mp4", "s3://media/x/../%69n.mp4"] {
        let input = job("s3://media/in.mp4", "mp4", r#""webReady""#);
        let error = run(&engine, input, itself).unwrap_err();
        assert_eq!(error.code(), "VALIDATION_ERROR", "{itself}: {error}");
    }
    for wrong in ["s3://media/a.jpg?x=1", "s3://media/a#b.jpg", "s3://media", "https://host/a.jpg"]
    {
        let input = job("s3://media/in.mp4", "jpg", r#""thumbnail""#);
        let error = run(&engine, input, wrong).unwrap_err();
        assert_eq!(error.code(), "LOCATION_REFUSED", "{wrong}: {error}");
    }
}

#[test]
fn an_upload_that_fails_leaves_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let bucket = Bucket::new();
    let clip = large(bucket.folder.path());
    let clip = clip.to_str().unwrap();
    let engine = bucket.engine(SECRET);
    let send = |target: &str| run(&engine, job(clip, "mp4", r#""webReady""#), target);
    let before = bucket.left();
    send("s3://media/out.mp4").unwrap();
    assert_eq!(fs::read(bucket.file("out.mp4")).unwrap(), fs::read(clip).unwrap());
    fs::remove_file(bucket.file("out.mp4")).unwrap();
    let parts = bucket.faults.parts.load(Ordering::Relaxed);
    assert_eq!(parts, 5);

    let told = |what: &str, retryable: bool, words: &str| {
        let error = send("s3://media/out.mp4").err().unwrap_or_else(|| panic!("{what}: succeeds"));
        let text = error.to_string();
        assert_eq!((error.code(), error.step().name()), ("STORAGE_ERROR", "upload"), "{text}");
        assert!(error.retryable() == retryable && text.contains(words), "{what}: {text}");
        assert_eq!(bucket.left(), before, "{what}");
    };
    for part in 1..=parts {
        bucket.faults.refused_part.store(part, Ordering::Relaxed);
        told(&format!("part {part} is refused"), true, "500");
    }
    bucket.faults.refused_part.store(0, Ordering::Relaxed);
    bucket.faults.no_end.store(1, Ordering::Relaxed);
    told("the end is refused", true, "500");
    bucket.faults.no_end.store(0, Ordering::Relaxed);

    let small = fixtures::get("counter-h264-aac.mp4");
    let refused = |engine: &Engine, input: &Path, target: &str, words: &str| {
        let job = job(input.to_str().unwrap(), "mp4", r#""webReady""#);
        let error = run(engine, job, target).unwrap_err();
        let text = error.to_string();
        assert_eq!((error.code(), error.retryable()), ("STORAGE_ERROR", false), "{text}");
        assert!(text.contains(words) && !text.contains(SECRET), "{text}");
        assert_eq!(bucket.left(), before, "{text}");
    };
    let stranger = bucket.engine("another secret");
    refused(&stranger, Path::new(clip), "s3://media/out.mp4", "credentials");
    refused(&stranger, &small, "s3://media/out.mp4", "credentials");
    refused(&engine, &small, "s3://nowhere/out.mp4", "no such object or bucket");
    let error =
        run(&engine, job("s3://media/none.mp4", "jpg", r#""thumbnail""#), "a.jpg").unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("INPUT_UNREACHABLE", false), "{error}");
    assert_eq!(bucket.left(), before);
}

/// Cancels an upload of five parts as soon as something is so.
fn cancelled_when(bucket: &Bucket, clip: &Path, is_so: impl Fn(&Faults) -> bool) {
    let (engine, cancel) = (bucket.engine(SECRET), CancelToken::new());
    let theirs = cancel.clone();
    let job = job(clip.to_str().unwrap(), "mp4", r#""webReady""#);
    let running = thread::spawn(move || {
        avocet::run(&engine, &job, "s3://media/out.mp4", &theirs, |_| ControlFlow::Continue(()))
    });
    let begun = Instant::now();
    while !is_so(&bucket.faults) {
        assert!(begun.elapsed() < Duration::from_secs(60), "not that many parts are sent");
        thread::sleep(Duration::from_millis(10));
    }
    cancel.cancel();
    let asked = Instant::now();
    let error = running.join().unwrap().unwrap_err();
    assert_eq!(error.code(), "CANCELLED", "{error}");
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
}

#[test]
fn an_upload_that_is_cancelled_leaves_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let bucket = Bucket::new();
    let clip = large(bucket.folder.path());
    let before = bucket.left();
    let faults = &bucket.faults;
    faults.slow_part.store(3, Ordering::Relaxed);
    cancelled_when(&bucket, &clip, |faults| faults.parts.load(Ordering::Relaxed) >= 4);
    assert_eq!(bucket.left(), before);

    // A part that has been sent is put after its upload was aborted, unless that waits for it.
    faults.slow_part.store(0, Ordering::Relaxed);
    faults.late_part.store(3, Ordering::Relaxed);
    cancelled_when(&bucket, &clip, |faults| faults.came.load(Ordering::Relaxed) == 3);
    let begun = Instant::now();
    while faults.done.load(Ordering::Relaxed) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the server lost it");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(faults.done.load(Ordering::Relaxed), 3);
    assert_eq!(bucket.left(), before);
}
