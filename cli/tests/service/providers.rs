//! Outputs in object stores, by storage providers of the account.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::Body;
use fixtures::bucket::{Bucket, HttpResponse, S3Service};
use hyper::Method;
use serde_json::{Value, json};

use fixtures::wait::later::{lag, until, until_some};

use crate::place::{Origin, Service, change, document, is_terminal, left, thumbnail, tidied};

/// A bucket that pauses before it stores an object and answers.
pub(crate) fn slow_bucket(pause: Duration) -> Bucket {
    counting_bucket(pause, &Arc::default())
}

/// Counts the PUT requests of a bucket.
#[derive(Default)]
struct Puts {
    /// How many arrived.
    came: AtomicUsize,
    /// How many are stored.
    done: AtomicUsize,
}

fn counting_bucket(pause: Duration, puts: &Arc<Puts>) -> Bucket {
    let puts = Arc::clone(puts);
    let answer = move |store: S3Service, request: hyper::Request<_>, puts: Arc<Puts>| async move {
        let (head, body) = request.into_parts();
        let Ok(bytes) = axum::body::to_bytes(Body::new(body), usize::MAX).await else {
            return HttpResponse::default();
        };
        // The object is stored even if the client has disconnected.
        let answer = tokio::spawn(async move {
            let is_put = head.method == Method::PUT;
            if is_put {
                puts.came.fetch_add(1, Ordering::Relaxed);
                lag(pause).await;
            }
            let answer = store.call(hyper::Request::from_parts(head, bytes.into())).await.unwrap();
            if is_put {
                puts.done.fetch_add(1, Ordering::Relaxed);
                lag(pause).await;
            }
            answer
        });
        answer.await.unwrap()
    };
    Bucket::start(move |store, request| answer(store, request, Arc::clone(&puts)))
}

/// A default provider for a bucket.
fn provider(bucket: &Bucket) -> Value {
    json!({
        "type": "r2", "name": "ours", "endpoint": bucket.base(), "bucket": Bucket::NAME,
        "prefix": "/made/here/", "accessKeyId": Bucket::KEY,
        "secretAccessKey": Bucket::SECRET, "makeDefault": true,
    })
}

async fn add(service: &Service, provider: &Value) -> String {
    let (status, body) = service.send("POST", "/v1/settings/storage-providers", provider).await;
    assert_eq!(status, 201, "{body}");
    assert!(
        !body.to_string().contains(Bucket::SECRET) && body.get("secretAccessKey").is_none(),
        "{body}"
    );
    format!("/v1/settings/storage-providers/{}", body["id"].as_str().unwrap())
}

/// Whether some file in a folder contains these bytes.
fn has(folder: &Path, bytes: &[u8]) -> bool {
    let files = fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_file());
    files.into_iter().any(|entry| {
        fs::read(entry.path()).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test]
async fn outputs_go_to_the_default_provider_and_are_signed_by_it() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // The service must not use the credentials in its environment.
    let variables = [("AWS_SESSION_TOKEN", "SERVICETOKEN"), ("AWS_ENDPOINT", "http://127.0.0.1:9")];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let (origin, bucket) = (Origin::start().await, slow_bucket(Duration::ZERO));
    let path = add(&service, &provider(&bucket)).await;
    let (status, trial) = service.send("POST", &format!("{path}/test"), &json!({})).await;
    assert_eq!((status, trial), (200, json!({ "ok": true })));
    assert!(!has(service.data.path(), Bucket::SECRET.as_bytes()), "the secret lies in the open");
    let (_, shown) = service.get(&path).await;
    assert_eq!(
        (&shown["accessKeyId"], &shown["isDefault"]),
        (&json!(Bucket::KEY), &json!(true)),
        "{shown}"
    );

    let clip = origin.url("counter-h264-aac.mp4");
    let job = service.completed(&thumbnail(&clip)).await;
    let id = job["jobId"].as_str().unwrap();
    let object = bucket.object(&format!("made/here/outputs/{id}/result.jpg"));
    let bytes = fs::read(&object).unwrap();
    let url = job["output"]["signedUrl"].as_str().unwrap();
    assert!(url.starts_with(bucket.base()) && !url.contains("SERVICETOKEN"), "{url}");
    assert_eq!(reqwest::get(url).await.unwrap().bytes().await.unwrap(), bytes);
    until("nothing is left here", || left(service.data.path()).is_empty()).await;
    let board = json!({ "name": "storyboard", "count": 4, "columns": 2, "width": 80 });
    let several = service.completed(&document(&clip, "jpg", &board)).await;
    let board = several["jobId"].as_str().unwrap();
    assert_eq!(
        fs::read_dir(bucket.object(&format!("made/here/outputs/{board}"))).unwrap().count(),
        2
    );

    let file = format!("/v1/files/{id}-output");
    assert_eq!(service.delete(&file).await.0, 204);
    assert!(!object.exists());

    // A wrong secret, and then no default provider.
    let (status, _) = service.send("PATCH", &path, &json!({ "secretAccessKey": "wrong" })).await;
    assert_eq!(status, 200);
    let (_, trial) = service.send("POST", &format!("{path}/test"), &json!({})).await;
    assert_eq!(trial["ok"], json!(false), "{trial}");
    let failed = service.failed(&thumbnail(&clip)).await;
    assert_eq!(failed["error"]["code"], "STORAGE_ERROR", "{failed}");
    assert!(!failed.to_string().contains("wrong"), "{failed}");
    let (_, body) = service.send("PATCH", &path, &json!({ "makeDefault": false })).await;
    assert_eq!(body["isDefault"], json!(false));
    let job = service.completed(&thumbnail(&clip)).await;
    assert!(job["output"]["signedUrl"].as_str().unwrap().starts_with(&service.base));
    assert_eq!(service.delete(&path).await.0, 204);
    assert_eq!(service.get(&path).await.0, 404);
    // An output that can not be reached is not reported as deleted.
    let file = format!("/v1/files/{}-out_vtt", several["jobId"].as_str().unwrap());
    let (status, body) = service.delete(&file).await;
    assert_eq!((status, &body["error"]["code"]), (503, &json!("UNAVAILABLE")), "{body}");
}

#[tokio::test]
async fn outputs_may_go_to_a_folder_of_the_provider_within_the_data_folder() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let provider = |prefix: &str, is_default: bool| json!({ "type": "local", "name": "here", "prefix": prefix, "makeDefault": is_default });
    let path = add(&service, &provider("kept/here", true)).await;
    let (status, trial) = service.send("POST", &format!("{path}/test"), &json!({})).await;
    assert_eq!((status, trial), (200, json!({ "ok": true })));
    let job = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let output = format!("files/kept/here/outputs/{}/result.jpg", job["jobId"].as_str().unwrap());
    assert_eq!(left(service.data.path()), [Path::new(&output)]);
    let got = reqwest::get(job["output"]["signedUrl"].as_str().unwrap()).await.unwrap();
    assert_eq!(got.bytes().await.unwrap(), fs::read(service.data.path().join(output)).unwrap());

    fs::write(service.data.path().join("files/taken"), "a file").unwrap();
    let path = add(&service, &provider("taken", false)).await;
    let (status, trial) = service.send("POST", &format!("{path}/test"), &json!({})).await;
    assert_eq!((status, &trial["ok"]), (200, &json!(false)), "{trial}");
}

#[tokio::test]
async fn a_cancelled_job_leaves_no_object() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    // An object may arrive after it was deleted the first time.
    let puts = Arc::<Puts>::default();
    let bucket = counting_bucket(Duration::from_millis(200), &puts);
    add(&service, &provider(&bucket)).await;
    let job = thumbnail(&origin.url("counter-h264-aac.mp4"));
    let mut cancelled = Vec::new();
    for number in 0..24 {
        let id = service.submit(&job).await;
        lag(Duration::from_millis(number * 15)).await;
        service.send("POST", &format!("/v1/jobs/{id}/cancel"), &json!({})).await;
        let job = service.finished(&id).await;
        let object = bucket.object(&format!("made/here/outputs/{id}/result.jpg"));
        if job["state"] == "completed" {
            assert!(object.exists(), "{job}");
        } else {
            cancelled.push(object);
        }
    }
    assert!(!cancelled.is_empty(), "none was quick enough");
    let is_gone = || !cancelled.iter().any(|object| object.exists());
    // An object that arrives late goes, too.
    let [came, done] = [&puts.came, &puts.done];
    let is_stored = || came.load(Ordering::Relaxed) == done.load(Ordering::Relaxed);
    until("what was sent is stored, and all are gone", || is_stored() && is_gone()).await;
}

#[tokio::test]
async fn an_object_that_nobody_was_told_of_goes_after_a_kill() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let bucket = slow_bucket(Duration::from_secs(1));
    add(&service, &provider(&bucket)).await;
    let id = service.submit(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let object = bucket.object(&format!("made/here/outputs/{id}/result.jpg"));
    until("it is put", || object.exists()).await;
    let data = service.kill();
    // As if a client had asked the job to stop just before.
    change(data.path(), "UPDATE jobs SET cancel = 1").await;
    let service = Service::start_in(data, &["--allow-private-network"], &[]);
    let job = service.finished(&id).await;
    assert_eq!((&job["state"], &job["attempts"]), (&json!("cancelled"), &json!(2)), "{job}");
    until("the object is removed", || !object.exists()).await;
    until("nothing is left here", || left(service.data.path()).is_empty()).await;
}

#[tokio::test]
async fn an_object_that_arrives_late_goes_too() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin, puts) = (Service::start(), Origin::start().await, Arc::default());
    // The worker is killed before the object is stored.
    let bucket = counting_bucket(Duration::from_secs(4), &puts);
    add(&service, &provider(&bucket)).await;
    let id = service.submit(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    until("it is sent", || puts.came.load(Ordering::Relaxed) == 1).await;
    service.send("POST", &format!("/v1/jobs/{id}/cancel"), &json!({})).await;
    assert_eq!(service.finished(&id).await["state"], "cancelled");
    until("it is put", || puts.done.load(Ordering::Relaxed) == 1).await;
    tidied(service).await;
    assert!(!bucket.object(&format!("made/here/outputs/{id}/result.jpg")).exists());
}

#[tokio::test]
async fn an_object_that_a_job_tells_of_stays_whoever_put_it_first() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let bucket = slow_bucket(Duration::ZERO);
    let mut wrong = provider(&bucket);
    wrong["secretAccessKey"] = json!("wrong");
    let first = add(&service, &wrong).await;
    let failed = service.failed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    assert_eq!(failed["error"]["code"], "STORAGE_ERROR", "{failed}");
    // Another provider puts the output at the same place. Then the first provider works again, and
    // could remove it as a leftover.
    add(&service, &provider(&bucket)).await;
    let id = failed["jobId"].as_str().unwrap();
    assert_eq!(service.send("POST", &format!("/v1/jobs/{id}/retry"), &json!({})).await.0, 202);
    let job = service.finished(id).await;
    assert_eq!(job["state"], "completed", "{job}");
    let sound = json!({ "secretAccessKey": Bucket::SECRET });
    assert_eq!(service.send("PATCH", &first, &sound).await.0, 200);
    tidied(service).await;
    assert!(bucket.object(&format!("made/here/outputs/{id}/result.jpg")).exists());
}

/// A bucket that answers each PUT with 503 while its flag is set.
fn moody_bucket() -> (Bucket, Arc<AtomicBool>) {
    let is_moody = Arc::new(AtomicBool::new(true));
    let refuses = Arc::clone(&is_moody);
    let bucket = Bucket::start(move |store, request| {
        let refuses = request.method() == Method::PUT && refuses.load(Ordering::Relaxed);
        async move {
            if !refuses {
                return store.call(request.map(fixtures::bucket::Body::from)).await.unwrap();
            }
            let mut refused = HttpResponse::default();
            *refused.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
            refused
        }
    });
    (bucket, is_moody)
}

/// Waits until a job has failed to upload and is queued again.
async fn waits(service: &Service, id: &str) {
    until_some("it is queued again", async || {
        let (_, job) = service.get(&format!("/v1/jobs/{id}")).await;
        assert!(!is_terminal(&job), "{job}");
        (job["state"] == "queued" && job["attempts"].as_i64() > Some(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_could_not_be_sent_is_sent_again_and_not_made_again() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (mut service, origin) = (Service::start(), Origin::start().await);
    let (bucket, is_moody) = moody_bucket();
    add(&service, &provider(&bucket)).await;
    let clip = origin.url("counter-h264-aac.mp4");
    let board = json!({ "name": "storyboard", "count": 4, "columns": 2, "width": 80 });
    let ids = [
        service.submit(&thumbnail(&clip)).await,
        service.submit(&document(&clip, "jpg", &board)).await,
    ];
    for id in &ids {
        waits(&service, id).await;
    }
    // The input is gone, so that the outputs can not be made again.
    origin.go();
    service = Service::start_in(service.kill(), &["--allow-private-network"], &[]);
    is_moody.store(false, Ordering::Relaxed);
    for id in &ids {
        let job = service.finished(id).await;
        assert_eq!(job["state"], "completed", "{job}");
        assert!(job["attempts"].as_i64() > Some(1), "{job}");
    }
    let object = |id: &str, name: &str| bucket.object(&format!("made/here/outputs/{id}/{name}"));
    assert!(fixtures::judge::counters(object(&ids[0], "result.jpg"))[0].is_some());
    assert_eq!(fs::read_dir(object(&ids[1], "")).unwrap().count(), 2);
    until("nothing is left here", || left(service.data.path()).is_empty()).await;
}

#[tokio::test]
async fn what_is_not_sent_at_last_goes() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let (bucket, _) = moody_bucket();
    add(&service, &provider(&bucket)).await;
    let clip = origin.url("counter-h264-aac.mp4");
    let ids = [service.submit(&thumbnail(&clip)).await, service.submit(&thumbnail(&clip)).await];
    for id in &ids {
        waits(&service, id).await;
        let kept = format!("files/unsent/{id}/result.jpg");
        assert!(left(service.data.path()).contains(&kept.into()));
    }
    service.send("POST", &format!("/v1/jobs/{}/cancel", ids[0]), &json!({})).await;
    assert_eq!(service.finished(&ids[0]).await["state"], "cancelled");
    let failed = service.finished(&ids[1]).await;
    let error = &failed["error"];
    assert_eq!((&failed["attempts"], &error["code"]), (&json!(3), &json!("STORAGE_ERROR")));
    assert_eq!((&error["stage"], &error["retryable"]), (&json!("upload"), &json!(true)));
    until("nothing is left here", || left(service.data.path()).is_empty()).await;
}

#[tokio::test]
async fn a_provider_that_is_none_is_refused_with_all_that_is_wrong() {
    let service = Service::start_with(&[], &[]);
    let sound = |endpoint: &str| {
        json!({ "type": "s3", "bucket": "b", "accessKeyId": "x", "secretAccessKey": "y",
                "endpoint": endpoint })
    };
    for (body, paths) in [
        (json!({}), vec!["provider"]),
        (json!({ "provider": "s3", "type": "r2" }), vec!["type"]),
        (json!({ "type": "ftp" }), vec!["type"]),
        (
            json!({ "type": "r2", "bucket": "b", "accessKeyId": "x", "secretAccessKey": "y",
                    "accountId": "" }),
            vec!["accountId"],
        ),
        (json!({ "type": "r2" }), vec!["bucket", "accessKeyId", "secretAccessKey", "accountId"]),
        (
            json!({ "type": "s3", "bucket": "a/b", "accessKeyId": "x", "secretAccessKey": "y", "prefix": "../x" }),
            vec!["bucket", "prefix"],
        ),
        (
            json!({ "type": "s3", "bucket": "b", "accessKeyId": "x", "secretAccessKey": "y",
                    "endpoint": "http://169.254.169.254" }),
            vec!["endpoint"],
        ),
        (json!({ "type": "local", "bucket": "b", "accessKey": "z" }), vec!["accessKey", "bucket"]),
        (
            json!({ "type": "azure", "bucket": "b", "account": "a", "secretAccessKey": "y" }),
            vec!["secretAccessKey", "accessKey"],
        ),
        (json!({ "type": "gcs", "bucket": "b", "wrong": 1 }), vec!["wrong"]),
        (sound("https://"), vec!["endpoint"]),
        (sound("https:// x"), vec!["endpoint"]),
        (sound("https://["), vec!["endpoint"]),
        (sound(""), vec!["endpoint"]),
        (sound("garbage"), vec!["endpoint"]),
    ] {
        let (status, answer) = service.send("POST", "/v1/settings/storage-providers", &body).await;
        assert_eq!(status, 400, "{answer}");
        let problems = answer["error"]["problems"].as_array().unwrap();
        let found: Vec<&str> = problems.iter().map(|each| each["path"].as_str().unwrap()).collect();
        assert_eq!(found, paths, "{answer}");
    }
    let (_, all) = service.get("/v1/settings/storage-providers").await;
    assert_eq!(all, json!({ "data": [] }));
    // A changed endpoint needs its secret again.
    let path = add(&service, &sound("https://a.example")).await;
    let other = json!({ "endpoint": "https://b.example" });
    let (status, body) = service.send("PATCH", &path, &other).await;
    assert_eq!((status, &body["error"]["problems"][0]["path"]), (400, &json!("secretAccessKey")));
    // A null removes a field.
    for prefix in [json!("a"), json!(null)] {
        let (status, body) = service.send("PATCH", &path, &json!({ "prefix": prefix })).await;
        assert_eq!((status, &body["prefix"]), (200, &prefix), "{body}");
    }
    let (status, body) = service.send("PATCH", &path, &json!({ "bucket": null })).await;
    assert_eq!((status, &body["error"]["problems"][0]["path"]), (400, &json!("bucket")));
}
