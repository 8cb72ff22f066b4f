//! Outputs in the data folder: signed URLs, byte ranges, deletion.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use fixtures::wait::later::{until, until_some};

use crate::place::{Origin, Receiver, Service, answer, client, document, left, thumbnail};

#[tokio::test]
async fn a_signed_url_gives_one_file_and_its_parts() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let job = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let url = job["output"]["signedUrl"].as_str().unwrap();
    let id = job["jobId"].as_str().unwrap();
    let whole =
        fs::read(service.data.path().join(format!("files/outputs/{id}/result.jpg"))).unwrap();
    let client = client();
    let got = client.get(url).send().await.unwrap();
    let header = |name: &str| got.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        (header("content-type"), header("accept-ranges")),
        ("image/jpeg".into(), "bytes".into())
    );
    assert_eq!(header("access-control-allow-origin"), "*");
    assert_eq!(
        header("access-control-expose-headers"),
        "Content-Range, Content-Length, Accept-Ranges"
    );
    assert_eq!(got.bytes().await.unwrap(), whole);
    let head = client.head(url).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), head.headers()["content-length"].to_str().unwrap()),
        (200, whole.len().to_string().as_str())
    );
    let length = whole.len();
    for (range, status, expected, told) in [
        ("bytes=0-9", 206, &whole[..10], format!("bytes 0-9/{length}")),
        ("bytes=10-", 206, &whole[10..], format!("bytes 10-{}/{length}", length - 1)),
        (
            "bytes=-7",
            206,
            &whole[length - 7..],
            format!("bytes {}-{}/{length}", length - 7, length - 1),
        ),
        ("bytes=5-999999999", 206, &whole[5..], format!("bytes 5-{}/{length}", length - 1)),
        ("bytes=999999999-", 416, &[], format!("bytes */{length}")),
        ("bytes=-0", 416, &[], format!("bytes */{length}")),
        ("bytes=0-1,4-5", 200, &whole[..], String::new()),
        ("lines=0-1", 200, &whole[..], String::new()),
        ("bytes=9-3", 200, &whole[..], String::new()),
    ] {
        let got = client.get(url).header("range", range).send().await.unwrap();
        assert_eq!(got.status().as_u16(), status, "{range}");
        let shown = got.headers().get("content-range").map(|range| range.to_str().unwrap());
        assert_eq!(shown.unwrap_or_default(), told, "{range}");
        assert_eq!(got.headers()["content-type"] == "application/json", status == 416);
        let body = got.bytes().await.unwrap();
        if status == 416 {
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"]["code"], "RANGE_NOT_SATISFIABLE", "{range}: {body}");
        } else {
            assert_eq!(body, expected, "{range}");
        }
    }
    // The same with curl.
    let curl = Command::new("curl").args(["-s", "-r", "3-12", url]).output().unwrap();
    assert_eq!(curl.stdout, &whole[3..13]);
}

#[tokio::test]
async fn a_changed_url_gives_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let job = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let url = job["output"]["signedUrl"].as_str().unwrap();
    let (path, query) = url.strip_prefix(&service.base).unwrap().split_once('?').unwrap();
    let (expires, signature) = query.split_once('&').unwrap();
    let asked = |method: &str, path: String| {
        answer(client().request(
            reqwest::Method::from_bytes(method.as_bytes()).unwrap(),
            format!("{}{path}", service.base),
        ))
    };
    assert_eq!(asked("GET", format!("{path}?{query}")).await.0, 200);
    let later = expires.replace("expires=", "").parse::<u64>().unwrap() + 1000;
    let flipped = if signature.ends_with('A') { "B" } else { "A" };
    let other = format!("{}{flipped}", &signature[..signature.len() - 1]);
    for changed in [
        path.to_owned(),
        format!("{path}?{expires}"),
        format!("{path}?{signature}"),
        format!("{path}?{expires}&signature="),
        format!("{path}?expires={later}&{signature}"),
        format!("{path}?{expires}&{other}"),
        format!("{path}?{query}&x=1"),
        format!("{path}?{query}&{signature}"),
        format!("{}?{query}", path.replace("result.jpg", "result.png")),
        format!("/files/../keys?{query}"),
        format!("/files/%2e%2e/keys?{query}"),
        format!("/files/..%2fkeys?{query}"),
        format!("/files/%00?{query}"),
    ] {
        let (status, body) = asked("GET", changed.clone()).await;
        let code = body["error"]["code"].as_str().unwrap();
        assert!(
            matches!((status, code), (403, "FORBIDDEN") | (404, "NOT_FOUND")),
            "{changed}: {body}"
        );
    }
    assert_eq!(asked("POST", format!("{path}?{query}")).await.0, 405);
    assert_eq!(asked("DELETE", format!("{path}?{query}")).await.0, 405);
    // curl sends these paths unchanged, as the test's own client does not.
    let around = path.replace("/files/", "/files/x/../");
    for path in ["/files/../keys", "/files/../../etc/passwd", "/../keys", &around] {
        let shown = Command::new("curl")
            .args(["-s", "--path-as-is", &format!("{}{path}?{query}", service.base)])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(text.contains("\"error\""), "{path}: {text}");
    }
}

#[tokio::test]
async fn an_old_url_gives_nothing_and_a_new_one_is_made_at_every_get() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let variables = [("AVOCET_SERVE_URL_SECONDS", "1")];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let origin = Origin::start().await;
    let job = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let url = job["output"]["signedUrl"].as_str().unwrap();
    let status = async |url: &str| reqwest::get(url).await.unwrap().status().as_u16();
    until_some("the URL is too old", async || (status(url).await == 410).then_some(())).await;
    let body: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(body["error"]["code"], "GONE", "{body}");
    let path = format!("/v1/jobs/{}", job["jobId"].as_str().unwrap());
    let (_, anew) = service.get(&path).await;
    assert_ne!(anew["output"]["signedUrl"], job["output"]["signedUrl"]);
    // A URL of the usual lifetime can be read.
    let (_, data) = service.end();
    let service = Service::start_in(data, &["--allow-private-network"], &[]);
    let (_, job) = service.get(&path).await;
    assert_eq!(status(job["output"]["signedUrl"].as_str().unwrap()).await, 200);
}

#[tokio::test]
async fn a_deleted_output_is_gone() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let job = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let file = job["output_files"]["output"].clone();
    let path = format!("/v1/files/{}", file["file_id"].as_str().unwrap());
    let (status, described) = service.get(&path).await;
    assert_eq!((status, &described["codec"]), (200, &json!("mjpeg")));
    assert_eq!(service.delete(&path).await.0, 204);
    let url = job["output"]["signedUrl"].as_str().unwrap();
    let downloaded = answer(client().get(url)).await;
    for (status, body) in [service.delete(&path).await, service.get(&path).await, downloaded] {
        assert_eq!((status, &body["error"]["code"]), (410, &json!("GONE")), "{body}");
    }
    let (_, job) = service.get(&format!("/v1/jobs/{}", job["jobId"].as_str().unwrap())).await;
    assert_eq!(job["output"], json!({ "signedUrl": null }));
    assert!(left(service.data.path()).is_empty());
}

#[tokio::test]
async fn outputs_that_are_deleted_at_once_are_all_gone() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let job = json!({
        "mode": "ffmpeg", "input_files": { "in_1": origin.url("counter-h264-aac.mp4") },
        "output_files": { "out_1": "a.jpg", "out_2": "b.jpg", "out_3": "c.jpg", "out_4": "d.jpg" },
        "ffmpeg": { "args": [
            "-i", "{{in_1}}", "-frames:v", "1", "{{out_1}}", "-frames:v", "1", "{{out_2}}",
            "-frames:v", "1", "{{out_3}}", "-frames:v", "1", "{{out_4}}",
        ] },
    });
    let job = service.completed(&job).await;
    let id = job["jobId"].as_str().unwrap();
    let paths: Vec<String> = (1..=4).map(|number| format!("/v1/files/{id}-out_{number}")).collect();
    let gone = futures_util::future::join_all(paths.iter().map(|path| service.delete(path))).await;
    assert!(gone.iter().all(|(status, _)| *status == 204), "{gone:?}");
    let (_, job) = service.get(&format!("/v1/jobs/{id}")).await;
    for file in job["output_files"].as_object().unwrap().values() {
        assert_eq!(file["storage_url"], json!(null), "{job}");
    }
    assert!(left(service.data.path()).is_empty());
}

#[tokio::test]
async fn a_browser_plays_a_signed_url() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    if Command::new("chromium").arg("--version").output().is_err() {
        fixtures::skip(fixtures::test_name!(), "chromium", "there is no Chromium");
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let recipe = json!({ "name": "trim", "startSeconds": 0, "durationSeconds": 1 });
    let clip = origin.url("counter-h264-aac.mp4");
    let job = service.completed(&document(&clip, "mp4", &recipe)).await;
    let url = job["output"]["signedUrl"].as_str().unwrap();
    let (folder, receiver) = (tempfile::tempdir().unwrap(), Receiver::start().await);
    let page = format!(
        "<video crossorigin muted src='{url}'></video><script>\
         const v = document.querySelector('video');\
         const tell = (body) => fetch('{}', {{ method: 'POST', mode: 'no-cors', body }});\
         v.onended = () => tell('ended at ' + v.currentTime);\
         v.onerror = () => tell('error ' + v.error.message);\
         v.play();</script>",
        receiver.url,
    );
    let path = folder.path().join("page.html");
    fs::write(&path, page).unwrap();
    let mut browser = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio"])
        .args(["--autoplay-policy=no-user-gesture-required", "--no-first-run"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(&path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the page tells", || !receiver.heard().is_empty()).await;
    let _ = browser.kill();
    let _ = browser.wait();
    let told: Vec<String> = receiver.heard().into_iter().map(|heard| heard.body).collect();
    assert_eq!(told, ["ended at 1"]);
}
