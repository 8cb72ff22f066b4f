//! Object stores: inputs from them, and outputs to them, which appear whole or not at all.

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
    CancelToken, CheckedJob, Engine, Error, Job, Policy, Report,
    engine::{RunOptions, Settings},
    io::{Location, Reach, RemoteSettings, Target},
};
use fixtures::{
    bucket::{Body, Bucket, HttpResponse, S3Service},
    wait,
};
use futures_util::StreamExt;

use crate::support::{SOON, document, files, remux, watched};

/// A bucket, and the faults of its server.
struct Broken {
    bucket: Bucket,
    faults: Arc<Faults>,
}

/// The faults of the server; 0 stands for none.
#[derive(Default)]
struct Faults {
    /// The number of a part that is always refused.
    refused_part: AtomicU64,
    /// The number of a part whose answer takes a minute.
    slow_part: AtomicU64,
    /// The number of a part that is stored a moment after it arrived, even if the client is gone.
    late_part: AtomicU64,
    /// The number of the late part, once it has arrived.
    came: AtomicU64,
    /// The number of the late part, once it is stored; `u64::MAX` if its upload no longer existed.
    done: AtomicU64,
    /// How long the late part took from its arrival until it was stored, in milliseconds.
    late: AtomicU64,
    /// Completing an upload fails.
    no_end: AtomicU64,
    /// Objects whose names end in `.vtt` are refused.
    no_text: AtomicU64,
    /// The number of parts that were requested.
    parts: AtomicU64,
    /// The number of parts that were answered.
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

    /// The files of the server: objects and parts, without its metadata and its temporary files.
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
        // This server creates any bucket that is named; real ones do not.
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
                // The part is stored, and then denied, so that aborting the upload must remove it.
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
                    let came = Instant::now();
                    wait::later::lag(Duration::from_millis(100)).await;
                    let body = Body::from(hyper::body::Bytes::from(bytes));
                    let answer = service.call(hyper::Request::from_parts(head, body)).await;
                    let is_put = answer.as_ref().is_ok_and(|answer| answer.status().is_success());
                    let late = u64::try_from(came.elapsed().as_millis()).unwrap();
                    faults.late.store(late, Ordering::Relaxed);
                    faults.done.store(if is_put { part } else { u64::MAX }, Ordering::Relaxed);
                    answer
                });
                return put.await.unwrap().unwrap();
            }
            if part == self.slow_part.load(Ordering::Relaxed) {
                wait::later::lag(Duration::from_secs(60)).await;
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
    let job = avocet::job(job).output(target).engine(engine);
    watched("a job of a bucket", move || job.run())
}

/// A movie that is uploaded in five parts.
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

    // Several outputs, into a folder.
    let storyboard = job("s3://media/in.mp4", "jpg", r#""storyboard","count":4"#);
    run(&engine, storyboard, "s3://media/board").unwrap();
    assert!(broken.left().iter().any(|name| name.contains(".vtt")), "{:?}", broken.left());

    // If one of several outputs is refused, none appears.
    let before = broken.left();
    broken.faults.no_text.store(1, Ordering::Relaxed);
    let storyboard = job("s3://media/in.mp4", "jpg", r#""storyboard","count":4"#);
    let error = run(&engine, storyboard, "s3://media/other").unwrap_err();
    assert_eq!((error.code(), error.retryable()), ("STORAGE_ERROR", false), "{error}");
    assert!(error.to_string().contains(".vtt"), "{error}");
    assert_eq!(broken.left(), before);

    // Without `replace`, an existing object is not replaced.
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

/// Cancels an upload of five parts as soon as a condition holds.
fn cancelled_when(broken: &Broken, clip: &Path, is_so: impl Fn(&Faults) -> bool) {
    let (engine, cancel) = (broken.engine(Bucket::SECRET), CancelToken::new());
    let job = avocet::web_ready(clip).output("s3://media/out.mp4");
    let job = job.engine(&engine).cancel(&cancel);
    let running = thread::spawn(move || job.run());
    wait::until("so many parts are sent", || is_so(&broken.faults));
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

    // The server stores a part after its upload was aborted, unless the abort waits for the part. It
    // waits for 600 ms, so that a trial in which a busy machine took longer tells nothing.
    faults.slow_part.store(0, Ordering::Relaxed);
    faults.late_part.store(3, Ordering::Relaxed);
    for _ in 0..20 {
        let before = broken.left();
        faults.came.store(0, Ordering::Relaxed);
        faults.done.store(0, Ordering::Relaxed);
        cancelled_when(&broken, &clip, |faults| faults.came.load(Ordering::Relaxed) == 3);
        wait::until("the server has stored it", || faults.done.load(Ordering::Relaxed) != 0);
        if faults.done.load(Ordering::Relaxed) == 3 && broken.left() == before {
            return;
        }
        let late = faults.late.load(Ordering::Relaxed);
        assert!(late > 400, "{:?} is left of a part that took {late} ms", broken.left());
    }
    let why = "the server took too long for each of twenty parts";
    fixtures::skip(fixtures::test_name!(), "speed", why);
}

/// The picture and the text of a storyboard exist already, and the picture is sent first. The
/// server refuses the new text.
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

    // The local file is renamed before objects appear; the file that it replaced is put back.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("board.jpg");
    fs::write(&path, "old").unwrap();
    let before = broken.left();
    let target = Target { replace: true, ..Target::from("s3://media/other") };
    let planned = avocet::job(storyboard()).output(target).engine(&engine).plan();
    let mut plan = planned.unwrap().plan;
    plan.outputs[0].location = path.clone().into();
    let error = engine.run(&plan, RunOptions::default()).unwrap_err();
    assert!(matches!(error, avocet::engine::Error::Write { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!((files(folder.path()).len(), broken.left()), (1, before.clone()));

    // A sent object is removed again when a local file can not be put in place.
    broken.faults.no_text.store(0, Ordering::Relaxed);
    let mut is_first = true;
    let options = RunOptions::default().observe(|_| {
        if std::mem::take(&mut is_first) {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }
        ControlFlow::Continue(())
    });
    let error = engine.run(&plan, options).unwrap_err();
    assert!(matches!(error, avocet::engine::Error::OutputRefused { .. }), "{error}");
    assert_eq!(broken.left(), before);
    fs::remove_dir(&path).unwrap();
    engine.run(&plan, RunOptions::default()).unwrap();
    assert_eq!(broken.left().len(), before.len() + 1);
}
