//! Uploads: files that clients send, whole or in parts, to be the inputs of jobs.

use std::{fs, path::PathBuf};

use fixtures::wait::later::until_some;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::place::{Answer, Service, answer, change, document, memory};

async fn clip() -> PathBuf {
    tokio::task::spawn_blocking(|| fixtures::get("counter-h264-aac.mp4")).await.unwrap()
}

/// A request of tus.
fn tus(service: &Service, method: &str, path: &str) -> reqwest::RequestBuilder {
    service.request(method, path).header("Tus-Resumable", "1.0.0")
}

/// Begins an upload in parts; returns its path.
async fn begin(service: &Service, length: u64) -> String {
    let request = tus(service, "POST", "/v1/uploads");
    let request = request.header("Upload-Length", length);
    // The name `a.mp4`.
    let response = request.header("Upload-Metadata", "filename YS5tcDQ=").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["upload-offset"], "0");
    assert_eq!(response.headers()["tus-resumable"], "1.0.0");
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    format!("/v1/{location}")
}

/// A part of an upload.
fn part(service: &Service, path: &str, offset: usize, bytes: &[u8]) -> reqwest::RequestBuilder {
    let request = tus(service, "PATCH", path).header("Upload-Offset", offset);
    request.header("Content-Type", "application/offset+octet-stream").body(bytes.to_vec())
}

/// How many bytes of an upload have come.
async fn offset(service: &Service, path: &str) -> usize {
    let response = tus(service, "HEAD", path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["upload-metadata"], "filename YS5tcDQ=");
    response.headers()["upload-offset"].to_str().unwrap().parse().unwrap()
}

/// The document of a job that keeps an upload as it is.
fn as_it_is(url: &Value) -> Value {
    document(url.as_str().unwrap(), "mp4", &json!({ "name": "webReady" }))
}

#[tokio::test]
async fn a_file_is_sent_in_one_request() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, bytes) = (Service::start(), fs::read(clip().await).unwrap());
    let request = service.request("POST", "/v1/uploads?name=films/a.mp4").body(bytes.clone());
    let (status, upload) = answer(request).await;
    assert_eq!(status, 201, "{upload}");
    assert_eq!(upload["name"], "a.mp4");
    assert_eq!(
        (&upload["sizeBytes"], &upload["receivedBytes"]),
        (&json!(bytes.len()), &json!(bytes.len()))
    );
    let path = format!("/v1/uploads/{}", upload["uploadId"].as_str().unwrap());
    assert_eq!(service.get(&path).await, (200, upload.clone()));
    assert_eq!(service.get("/v1/uploads").await.1["data"], json!([upload]));
    // An upload has no URL, so that the result of a passthrough is a file.
    let job = service.completed(&as_it_is(&upload["url"])).await;
    assert_eq!(job["strategy"], "passthrough", "{job}");
    let folder = tempfile::tempdir().unwrap();
    service.download(&job["output"]["signedUrl"], &folder.path().join("out.mp4")).await;
    assert_eq!(fs::read(folder.path().join("out.mp4")).unwrap(), bytes);
    let (status, plan) = service.send("POST", "/v1/jobs/plan", &as_it_is(&upload["url"])).await;
    assert_eq!(status, 200, "{plan}");
    let custom = json!({
        "mode": "ffmpeg", "input": { "url": upload["url"] }, "output": { "format": "gif" },
        "ffmpeg": { "args": ["-t", "0.5", "-i", "{{input}}", "{{output}}"] },
    });
    service.completed(&custom).await;
    assert_eq!(service.delete(&path).await.0, 204);
    assert_eq!(service.delete(&path).await.0, 404);
    let (status, error) = service.send("POST", "/v1/jobs", &as_it_is(&upload["url"])).await;
    assert_eq!(
        (status, &error["error"]["problems"][0]["path"]),
        (400, &json!("input.url")),
        "{error}"
    );
}

/// Begins to send what is left of an upload, and sends a piece of it; returns the open connection once
/// the piece has come.
async fn send_a_piece(service: &Service, path: &str, left: u64, piece: &[u8]) -> TcpStream {
    let before = received(service, path).await;
    let address = service.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: {address}\r\nX-API-KEY: {}\r\nTus-Resumable: 1.0.0\r\n\
         Content-Type: application/offset+octet-stream\r\nUpload-Offset: {before}\r\n\
         Content-Length: {left}\r\n\r\n",
        service.key,
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(piece).await.unwrap();
    until_some("the piece has come", async || {
        (received(service, path).await == before + piece.len() as u64).then_some(())
    })
    .await;
    stream
}

/// How many bytes have come, which leaves a request alone that goes on.
async fn received(service: &Service, path: &str) -> u64 {
    service.get(path).await.1["receivedBytes"].as_u64().unwrap()
}

#[tokio::test]
async fn a_broken_upload_goes_on_where_it_stopped() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, bytes) = (Service::start(), fs::read(clip().await).unwrap());
    let path = begin(&service, bytes.len() as u64).await;
    let mut sent = 0;
    for _ in 0..3 {
        let (end, left) = (sent + bytes.len() / 4, (bytes.len() - sent) as u64);
        drop(send_a_piece(&service, &path, left, &bytes[sent..end]).await);
        sent = offset(&service, &path).await;
        assert_eq!(sent, end);
    }
    // A request that hangs loses its turn to the next one.
    let mut hanging = send_a_piece(&service, &path, 5, &bytes[sent..sent + 2]).await;
    sent = offset(&service, &path).await;
    let mut told = [0; 12];
    hanging.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 409");
    let url = json!(format!("upload:{}", path.rsplit('/').next().unwrap()));
    // It is no input yet.
    let (status, error) = service.send("POST", "/v1/jobs", &as_it_is(&url)).await;
    let found = error["error"]["problems"][0]["found"].as_str().unwrap_or_default();
    assert!(status == 400 && found.contains(&format!("{sent} of")), "{error}");
    let response = part(&service, &path, sent, &bytes[sent..]).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()["upload-offset"], *bytes.len().to_string());
    let job = service.completed(&as_it_is(&url)).await;
    let folder = tempfile::tempdir().unwrap();
    service.download(&job["output"]["signedUrl"], &folder.path().join("out.mp4")).await;
    assert_eq!(fs::read(folder.path().join("out.mp4")).unwrap(), bytes);
}

/// The status, and the code of the error.
async fn refused(request: reqwest::RequestBuilder) -> (u16, String) {
    let (status, error): Answer = answer(request).await;
    (status, error["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_is_no_upload_is_refused() {
    let variables = [
        ("AVOCET_SERVE_MOST_INPUT_BYTES", "1000"),
        ("AVOCET_SERVE_MOST_UPLOAD_BYTES_PER_PROJECT", "1500"),
    ];
    let service = Service::start_with(&[], &variables);
    let is = |status: u16, code: &str| (status, code.to_owned());
    let (invalid, large) = (is(400, "VALIDATION_ERROR"), is(413, "PAYLOAD_TOO_LARGE"));
    let post = || service.request("POST", "/v1/uploads");
    assert_eq!(refused(post().body("")).await, invalid);
    assert_eq!(refused(post().body("x".repeat(1001))).await, large);
    assert_eq!(refused(tus(&service, "POST", "/v1/uploads")).await, invalid);
    let other = post().header("Tus-Resumable", "0.2.2").send().await.unwrap();
    assert_eq!(
        (other.status().as_u16(), &other.headers()["tus-version"]),
        (412, &"1.0.0".parse().unwrap())
    );
    let told = service.request("OPTIONS", "/v1/uploads").send().await.unwrap();
    assert_eq!(
        (told.status().as_u16(), &told.headers()["tus-max-size"]),
        (204, &"1000".parse().unwrap())
    );

    let path = begin(&service, 900).await;
    // The project may have 1500 bytes in all.
    let second = tus(&service, "POST", "/v1/uploads").header("Upload-Length", 900);
    assert_eq!(refused(second).await, large);
    assert_eq!(refused(part(&service, &path, 1, b"abc")).await, is(409, "CONFLICT"));
    assert_eq!(refused(part(&service, &path, 0, &[0; 901])).await, large);
    let wrong = tus(&service, "PATCH", &path).header("Upload-Offset", 0).body("abc");
    assert_eq!(refused(wrong).await, is(415, "UNSUPPORTED_MEDIA_TYPE"));
    let missing = part(&service, "/v1/uploads/01M8PV8SKASWNNZG8EXW55F1EF", 0, b"abc");
    assert_eq!(refused(missing).await, is(404, "NOT_FOUND"));
    assert_eq!(offset(&service, &path).await, 0);
    // It belongs to its project.
    let (_, project) = service.send("POST", "/v1/projects", &json!({ "name": "other" })).await;
    let token = json!({ "name": "key", "project": project["name"] });
    let (_, token) = service.send("POST", "/v1/tokens", &token).await;
    // Workers are told of uploads by URLs, clients by ids.
    let (status, error) = service.send("POST", "/v1/jobs", &as_it_is(&json!("upload://x"))).await;
    assert_eq!(status, 400, "{error}");
    let theirs = crate::place::client().get(format!("{}{path}", service.base));
    let theirs = theirs.bearer_auth(token["key"].as_str().unwrap());
    assert_eq!(refused(theirs).await, is(404, "NOT_FOUND"));
    assert_eq!(tus(&service, "DELETE", &path).send().await.unwrap().status(), 204);
    begin(&service, 900).await;
}

#[tokio::test]
async fn uploads_expire_unless_a_job_needs_them() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let long = tokio::task::spawn_blocking(|| fixtures::get("counter-60s.mp4")).await.unwrap();
    let (service, bytes) = (Service::start(), fs::read(long).unwrap());
    let (_, needed) = answer(service.request("POST", "/v1/uploads").body(bytes.clone())).await;
    let (_, other) = answer(service.request("POST", "/v1/uploads").body(bytes)).await;
    // The job is not done soon.
    let recipe = json!({ "name": "transcode", "codec": "av1", "preset": 0 });
    service.submit(&document(needed["url"].as_str().unwrap(), "mp4", &recipe)).await;
    let data = service.kill();
    let id = |upload: &Value| upload["uploadId"].as_str().unwrap().to_owned();
    fs::write(data.path().join("uploads/01M8PV8SKASWNNZG8EXW55F1EF"), "x").unwrap();
    change(data.path(), "UPDATE uploads SET expires_at = 0").await;
    let service = Service::start_in(data, &[], &[]);
    until_some("the other upload is removed", async || {
        let (status, _) = service.get(&format!("/v1/uploads/{}", id(&other))).await;
        (status == 404).then_some(())
    })
    .await;
    let path = format!("/v1/uploads/{}", id(&needed));
    assert_eq!(service.get(&path).await.0, 200);
    let (status, error) = service.delete(&path).await;
    assert_eq!((status, &error["error"]["code"]), (409, &json!("CONFLICT")));
    until_some("what is not known is removed", async || {
        let names = fs::read_dir(service.data.path().join("uploads")).unwrap();
        (names.count() == 1).then_some(())
    })
    .await;
}

/// A file of 2 GiB, with three broken connections; of 64 MiB outside of `scripts/soak`.
#[tokio::test]
async fn a_large_upload_takes_little_memory() {
    let mebibytes: u64 = if fixtures::soak() { 2048 } else { 64 };
    let (service, length) = (Service::start(), mebibytes << 20);
    let path = begin(&service, length).await;
    let block = vec![7_u8; 1 << 20];
    let mut most = 0;
    for breaks in [true, true, true, false] {
        let sent = offset(&service, &path).await as u64;
        let mut stream = send_a_piece(&service, &path, length - sent, &block).await;
        let mut left = if breaks { length / 5 } else { length - sent } - (1 << 20);
        while left > 0 {
            let piece = left.min(1 << 20);
            stream.write_all(&block[..piece as usize]).await.unwrap();
            left -= piece;
            most = most.max(memory(service.id()));
        }
        if !breaks {
            let mut told = [0; 12];
            stream.read_exact(&mut told).await.unwrap();
            assert_eq!(&told, b"HTTP/1.1 204");
        }
    }
    println!("{mebibytes} MiB with three broken connections: at most {most} MiB of memory");
    assert!(most < 100, "{most} MiB");
}
