//! Webhooks: one for each end of a job, repeated until accepted, and only to allowed addresses.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use fixtures::wait::later::until_some;

use crate::place::{Heard, Origin, Receiver, Service, answer, thumbnail};

async fn deliveries(service: &Service, id: &str) -> Value {
    service.get(&format!("/v1/jobs/{id}/deliveries")).await.1["data"].clone()
}

/// The first delivery of a job, once it was attempted.
async fn attempted(service: &Service, id: &str) -> Value {
    until_some("it is attempted", async || {
        let told = deliveries(service, id).await;
        told[0]["attempts"][0].is_object().then(|| told[0].clone())
    })
    .await
}

#[tokio::test]
async fn what_the_ffmpeg_program_wrote_last_is_told_with_its_failure() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let receiver = Receiver::start().await;
    let job = json!({
        "mode": "ffmpeg", "input": { "url": origin.url("counter-h264-aac.mp4") },
        "output": { "format": "mp4" }, "webhookUrl": receiver.url,
        "ffmpeg": { "args": ["-i", "{{input}}", "-map", "0:v:7", "{{output}}"] },
    });
    let failed = service.failed(&job).await;
    assert_eq!(failed["error"]["code"], "TRANSCODE_ERROR", "{failed}");
    let log = failed["error"]["log"].as_str().unwrap();
    assert!(log.starts_with("ffmpeg version") && log.contains("matches no streams"), "{log}");
    assert!(log.len() <= 64 << 10);
    let data = service.data.path().to_str().unwrap();
    assert!(!failed.to_string().contains(data), "the data folder shows: {log}");
    assert_eq!(receiver.hears(1).await[0].job()["error"], failed["error"]);
    // Without the ffmpeg program, an error has no log.
    let failed = service.failed(&thumbnail(&origin.url("text.mp4"))).await;
    assert_eq!(failed["error"].get("log"), None, "{failed}");
}

#[tokio::test]
async fn every_end_is_told_and_told_again_until_it_is_taken() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let receiver = Receiver::start().await;
    let (status, _) =
        service.send("POST", "/v1/settings", &json!({ "defaultWebhookUrl": receiver.url })).await;
    assert_eq!(status, 200);
    let done = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let failed = service.failed(&thumbnail(&origin.url("text.mp4"))).await;
    let rejected = json!({
        "mode": "ffmpeg", "input": { "url": origin.url("text.mp4") }, "output": { "format": "mp4" },
        "ffmpeg": { "args": ["-i", "concat:a", "{{output}}"] },
    });
    let rejected = service.failed(&rejected).await;
    let heard = receiver.hears(3).await;
    for job in [&done, &failed, &rejected] {
        let told = heard.iter().find(|heard| heard.job()["jobId"] == job["jobId"]).unwrap();
        assert_eq!(told.job()["state"], job["state"]);
        assert_eq!(told.job()["error"], job["error"]);
        assert_eq!(told.headers["content-type"], "application/json");
    }
    // A retried job ends once more, with another webhook of another id.
    receiver.answers(500);
    let id = failed["jobId"].as_str().unwrap();
    service.send("POST", &format!("/v1/jobs/{id}/retry"), &json!({})).await;
    service.finished(id).await;
    let heard = receiver.hears(4).await;
    let ids: std::collections::BTreeSet<&str> = heard.iter().map(Heard::id).collect();
    assert_eq!(ids.len(), 4);
    let begun = Instant::now();
    receiver.answers(200);
    let heard = receiver.hears(5).await;
    assert!(begun.elapsed() > Duration::from_secs(3), "five seconds later, more or less");
    let (first, second) = (&heard[3], &heard[4]);
    assert_eq!(first.id(), second.id());
    assert_ne!(first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]);
    assert_ne!(first.headers["webhook-signature"], second.headers["webhook-signature"]);
    let log = until_some("it is delivered", async || {
        let log = deliveries(&service, id).await;
        (log[1]["state"] == "delivered").then_some(log)
    })
    .await;
    assert_eq!(log[1]["id"], json!(first.id()));
    let statuses: Vec<&Value> =
        log[1]["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(statuses, [&json!(500), &json!(200)]);
}

#[tokio::test]
async fn who_is_gone_is_left_alone_and_redirects_are_not_followed() {
    let service = Service::start();
    let receiver = Receiver::start().await;
    let mut job = thumbnail("http://127.0.0.1:9/none");
    job["webhookUrl"] = json!(receiver.url);
    receiver.answers(410);
    let id = service.submit(&job).await;
    service.finished(&id).await;
    receiver.hears(1).await;
    receiver.answers(302);
    let other = service.submit(&job).await;
    service.finished(&other).await;
    receiver.hears(2).await;
    let (gone, led) = (attempted(&service, &id).await, attempted(&service, &other).await);
    assert_eq!((&gone["state"], &gone["nextAt"]), (&json!("failed"), &Value::Null), "{gone}");
    assert_eq!((&led["state"], &led["attempts"][0]["status"]), (&json!("pending"), &json!(302)));
}

#[tokio::test]
async fn private_addresses_get_no_webhook_and_no_request_of_ours() {
    // This service may not reach private networks.
    let service = Service::start_with(&[], &[]);
    let receiver = Receiver::start().await;
    let port = receiver.url.rsplit(':').next().unwrap();
    for url in [
        receiver.url.clone(),
        format!("http://localhost:{port}"),
        "ftp://example.com/x".to_owned(),
        "javascript:alert(1)".to_owned(),
        "https://".to_owned(),
        "https:// a".to_owned(),
        String::new(),
    ] {
        let mut job = thumbnail("https://example.com/a.mp4");
        job["webhookUrl"] = json!(url);
        let (status, body) = service.send("POST", "/v1/jobs", &job).await;
        assert_eq!(
            (status, &body["error"]["problems"][0]["path"]),
            (400, &json!("webhookUrl")),
            "{url}"
        );
        let (status, _) =
            service.send("POST", "/v1/settings", &json!({ "defaultWebhookUrl": url })).await;
        assert_eq!(status, 400, "{url}");
    }
    // An `https:` URL may still lead to this machine, which is found when it is used.
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[::1]"] {
        let url = format!("https://{host}:{port}");
        let mut job = thumbnail(&url);
        job["webhookUrl"] = json!(url);
        let id = service.submit(&job).await;
        let job = service.finished(&id).await;
        assert_eq!(job["error"]["code"], "LOCATION_REFUSED", "{job}");
        let told = attempted(&service, &id).await;
        let error = told["attempts"][0]["error"].as_str().unwrap();
        assert!(error.contains("public") || error.contains("loopback"), "{error}");
    }
    assert_eq!(receiver.heard().len(), 0);
    let (status, _) = answer(service.request("GET", "/v1/jobs")).await;
    assert_eq!(status, 200);
}
