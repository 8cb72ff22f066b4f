//! Object stores: inputs from them and outputs into them, whole or not at all.

use std::{
    collections::BTreeMap,
    fs,
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
    CancelToken, CheckedJob, Engine, Error, Job, Policy, Report, Target,
    engine::{Location, Reach, RemoteSettings, Settings},
};
use fixtures::bucket::{Body, Bucket, HttpResponse, S3Service};
use futures_util::StreamExt;

use crate::support::{SOON, document, files, remux, watched};

/// A bucket, and what goes wrong with it.
struct Broken {
    bucket: Bucket,
    faults: Arc<Faults>,
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
    /// Parts that are there.
    answered: AtomicU64,
}

impl Broken {
    fn new() -> Self {
        let faults = Arc::new(Faults::default());
        let shared = Arc::clone(&faults);
        let bucket = Bucket::start(move |store, request| {
            let faults = Arc::clone(&shared);
            async move { faults.answer(&store, request).await }
        });
        Self { bucket, faults }
    }

    fn engine(&self, secret: &str) -> Engine {
        let stores = [
            ("aws_endpoint", self.bucket.base()),
            ("aws_access_key_id", Bucket::KEY),
            ("aws_secret_access_key", secret),
            ("aws_region", "auto"),
        ];
        let stores = stores.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let stores = BTreeMap::from(stores);
        let remote = RemoteSettings { reach: Reach::Any, stores, ..RemoteSettings::default() };
        Engine::new(Settings { remote, ..Settings::default() })
    }

    /// What is in the server's folders, objects and parts; not what it notes of objects, and not
    /// its own copies of bodies that broke off.
    fn left(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.bucket.folder().to_owned()];
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
        service: &S3Service,
        request: hyper::Request<hyper::body::Incoming>,
    ) -> HttpResponse {
        // The server makes a bucket of whatever is named; real ones do not.
        if !request.uri().path().starts_with("/media") {
            let text = "<Error><Code>NoSuchBucket</Code></Error>".to_owned();
            let mut response = HttpResponse::new(Body::from(text));
            *response.status_mut() = hyper::StatusCode::NOT_FOUND;
            return response;
        }
        let query = request.uri().query().unwrap_or_default().to_owned();
        let part = query.split('&').find_map(|pair| pair.strip_prefix("partNumber="));
        let failed = || {
            let mut response = HttpResponse::new(Body::empty());
            *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
            response
        };
        if let Some(part) = part {
            self.parts.fetch_add(1, Ordering::Relaxed);
            let part = part.parse::<u64>().unwrap();
            if part == self.refused_part.load(Ordering::Relaxed) {
                // It is taken, and then denied: whoever aborts must remove it.
                let _ = service.call(request.map(Body::from)).await;
                return failed();
            }
            if part == self.late_part.load(Ordering::Relaxed) {
                let (head, body) = request.into_parts();
                let mut bytes = Vec::new();
                let mut body = Body::from(body);
                while let Some(Ok(piece)) = body.next().await {
                    bytes.extend(piece);
                }
                let (service, faults) = (service.clone(), Arc::clone(self));
                let put = tokio::spawn(async move {
                    faults.came.store(part, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    let body = Body::from(hyper::body::Bytes::from(bytes));
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
        let is_part = query.contains("partNumber=");
        let answer = service.call(request.map(Body::from)).await.unwrap_or_else(|_| failed());
        self.answered.fetch_add(u64::from(is_part), Ordering::Relaxed);
        answer
    }
}

fn job(input: &str, format: &str, recipe: &str) -> CheckedJob {
    Job::from_json(&document(Path::new(input), format, recipe), Policy::Program).unwrap()
}

fn run(engine: &Engine, job: CheckedJob, target: impl Into<Target>) -> Result<Report, Error> {
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
    let broken = Broken::new();
    let clip = fixtures::get("counter-h264-aac.mp4");
    fs::copy(&clip, broken.bucket.object("in.mp4")).unwrap();
    let engine = broken.engine(Bucket::SECRET);
    let report =
        run(&engine, job("s3://media/in.mp4", "mp4", r#""webReady""#), "s3://media/a/out.mp4");
    let report = report.unwrap();
    assert_eq!(fs::read(broken.bucket.object("a/out.mp4")).unwrap(), fs::read(&clip).unwrap());
    assert_eq!(report.outputs[0].location, Location::Url("s3://media/a/out.mp4".to_owned()));
    assert!(report.plan.because.iter().any(|reason| reason.code == "OUTPUT_SPOOLED"));

    // Several at once, into a folder.
    let storyboard = job("s3://media/in.mp4", "jpg", r#""storyboard","count":4"#);
    run(&engine, storyboard, "s3://media/board").unwrap();
    assert!(broken.left().iter().any(|name| name.contains(".vtt")), "{:?}", broken.left());

    // Several appear together or not at all.
    let before = broken.left();
    broken.faults.no_text.store(1, Ordering::Relaxed);
    let storyboard = job("s3://media/in.mp4", "jpg", r#""storyboard","count":4"#);
    let error = run(&engine, storyboard, "s3://media/other").unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("STORAGE_ERROR", false), "{error}");
    assert!(error.to_string().contains(".vtt"), "{error}");
    assert_eq!(broken.left(), before);

    // Nothing is replaced that must not be.
    let target = Target { replace: false, ..Target::from("s3://media/a/out.mp4") };
    let error =
        run(&engine, job("s3://media/in.mp4", "jpg", r#""thumbnail""#), target).unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("STORAGE_ERROR", false), "{error}");
    assert_eq!(fs::read(broken.bucket.object("a/out.mp4")).unwrap(), fs::read(&clip).unwrap());
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
    let broken = Broken::new();
    let clip = large(broken.bucket.folder());
    let clip = clip.to_str().unwrap();
    let engine = broken.engine(Bucket::SECRET);
    let send = |target: &str| run(&engine, job(clip, "mp4", r#""webReady""#), target);
    let before = broken.left();
    send("s3://media/out.mp4").unwrap();
    assert_eq!(fs::read(broken.bucket.object("out.mp4")).unwrap(), fs::read(clip).unwrap());
    fs::remove_file(broken.bucket.object("out.mp4")).unwrap();
    let parts = broken.faults.parts.load(Ordering::Relaxed);
    assert_eq!(parts, 5);

    let told = |what: &str, retryable: bool, words: &str| {
        let error = send("s3://media/out.mp4").err().unwrap_or_else(|| panic!("{what}: succeeds"));
        let text = error.to_string();
        assert_eq!((error.code(), error.step().name()), ("STORAGE_ERROR", "upload"), "{text}");
        assert!(error.retryable() == retryable && text.contains(words), "{what}: {text}");
        assert_eq!(broken.left(), before, "{what}");
    };
    for part in 1..=parts {
        broken.faults.refused_part.store(part, Ordering::Relaxed);
        told(&format!("part {part} is refused"), true, "500");
    }
    broken.faults.refused_part.store(0, Ordering::Relaxed);
    broken.faults.no_end.store(1, Ordering::Relaxed);
    told("the end is refused", true, "500");
    broken.faults.no_end.store(0, Ordering::Relaxed);

    let small = fixtures::get("counter-h264-aac.mp4");
    let refused = |engine: &Engine, input: &Path, target: &str, words: &str| {
        let job = job(input.to_str().unwrap(), "mp4", r#""webReady""#);
        let error = run(engine, job, target).unwrap_err();
        let text = error.to_string();
        assert_eq!((error.code(), error.retryable()), ("STORAGE_ERROR", false), "{text}");
        assert!(text.contains(words) && !text.contains(Bucket::SECRET), "{text}");
        assert_eq!(broken.left(), before, "{text}");
    };
    let stranger = broken.engine("another secret");
    refused(&stranger, Path::new(clip), "s3://media/out.mp4", "credentials");
    refused(&stranger, &small, "s3://media/out.mp4", "credentials");
    refused(&engine, &small, "s3://nowhere/out.mp4", "no such object or bucket");
    let error =
        run(&engine, job("s3://media/none.mp4", "jpg", r#""thumbnail""#), "a.jpg").unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("INPUT_UNREACHABLE", false), "{error}");
    assert_eq!(broken.left(), before);
}

/// Cancels an upload of five parts as soon as something is so.
fn cancelled_when(broken: &Broken, clip: &Path, is_so: impl Fn(&Faults) -> bool) {
    let (engine, cancel) = (broken.engine(Bucket::SECRET), CancelToken::new());
    let theirs = cancel.clone();
    let job = job(clip.to_str().unwrap(), "mp4", r#""webReady""#);
    let running = thread::spawn(move || {
        avocet::run(&engine, &job, "s3://media/out.mp4", &theirs, |_| ControlFlow::Continue(()))
    });
    let begun = Instant::now();
    while !is_so(&broken.faults) {
        assert!(begun.elapsed() < Duration::from_secs(60), "not that many parts are sent");
        thread::sleep(Duration::from_millis(10));
    }
    cancel.cancel();
    let asked = Instant::now();
    let error = running.join().unwrap().unwrap_err();
    assert_eq!(error.code(), "CANCELLED", "{error}");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
}

#[test]
fn an_upload_that_is_cancelled_leaves_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let broken = Broken::new();
    let clip = large(broken.bucket.folder());
    let before = broken.left();
    let faults = &broken.faults;
    faults.slow_part.store(3, Ordering::Relaxed);
    cancelled_when(&broken, &clip, |faults| faults.answered.load(Ordering::Relaxed) == 4);
    assert_eq!(broken.left(), before);

    // A part that has been sent is put after its upload was aborted, unless that waits for it.
    faults.slow_part.store(0, Ordering::Relaxed);
    faults.late_part.store(3, Ordering::Relaxed);
    cancelled_when(&broken, &clip, |faults| faults.came.load(Ordering::Relaxed) == 3);
    let begun = Instant::now();
    while faults.done.load(Ordering::Relaxed) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the server lost it");
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(faults.done.load(Ordering::Relaxed), 3);
    assert_eq!(broken.left(), before);
}

/// A storyboard whose picture and text are there already, of which the picture is sent first. The
/// text is refused when both should appear.
#[test]
fn what_a_failing_job_has_replaced_is_told_or_put_back() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let broken = Broken::new();
    let engine = broken.engine(Bucket::SECRET);
    let clip = fixtures::get("counter-h264-aac.mp4");
    let storyboard = || job(clip.to_str().unwrap(), "jpg", r#""storyboard","count":4"#);
    run(&engine, storyboard(), "s3://media/board").unwrap();
    broken.faults.no_text.store(1, Ordering::Relaxed);
    let target = Target { replace: true, ..Target::from("s3://media/board") };
    let error = run(&engine, storyboard(), target).unwrap_err();
    assert_eq!((error.code(), error.step().name()), ("STORAGE_ERROR", "upload"), "{error}");
    let Error::Engine(avocet::engine::Error::Unrestored { left, .. }) = &error else {
        panic!("{error}");
    };
    assert!(left.iter().any(|place| place.to_string().contains(".jpg")), "{error}");

    // A file is placed before objects appear, and the one that it replaced is put back.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.jpg");
    fs::write(&path, "old").unwrap();
    let before = broken.left();
    let target = Target { replace: true, ..Target::from("s3://media/other") };
    let mut plan = avocet::plan(&engine, &storyboard(), target, &CancelToken::new()).unwrap();
    plan.outputs[0].location = path.clone().into();
    let go =
        |plan: &avocet::Plan| engine.run(plan, &CancelToken::new(), |_| ControlFlow::Continue(()));
    let error = go(&plan).unwrap_err();
    assert!(matches!(error, avocet::engine::Error::Write { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!((files(folder.path()).len(), broken.left()), (1, before.clone()));

    // What was sent is taken back when a file can not be placed.
    broken.faults.no_text.store(0, Ordering::Relaxed);
    let mut is_first = true;
    let result = engine.run(&plan, &CancelToken::new(), |_| {
        if std::mem::take(&mut is_first) {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }
        ControlFlow::Continue(())
    });
    let error = result.unwrap_err();
    assert!(matches!(error, avocet::engine::Error::OutputRefused { .. }), "{error}");
    assert_eq!(broken.left(), before);
    fs::remove_dir(&path).unwrap();
    go(&plan).unwrap();
    assert_eq!(broken.left().len(), before.len() + 1);
}
