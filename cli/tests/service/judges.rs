//! Independent judges of the API: an OpenAPI tester, and the verifier of Standard Webhooks.

use std::{
    env,
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    clients::{goes, judge},
    place::{Heard, Origin, Receiver, Service, thumbnail},
};

#[tokio::test]
async fn schemathesis_finds_no_fault() {
    let program = judge("schemathesis");
    if !goes(&program, &["--version"]) {
        fixtures::skip(fixtures::test_name!(), "judges", "schemathesis is not installed");
        return;
    }
    let service = Service::start();
    let examples = if fixtures::soak() { "200" } else { "12" };
    let folder = tempfile::tempdir().unwrap();
    // It does not know how the bytes of tus are written.
    let hooks = "import schemathesis\n\n\
                 @schemathesis.serializer('application/offset+octet-stream')\n\
                 def part(context, value):\n    \
                 return value if isinstance(value, bytes) else str(value).encode()\n";
    std::fs::write(folder.path().join("hooks.py"), hooks).unwrap();
    let mut command = Command::new(program);
    command
        .args(["run", &format!("{}/openapi.json", service.base), "--max-examples", examples])
        .args(["-H", &format!("Authorization: Bearer {}", service.key)])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"])
        .args(["--checks", "response_schema_conformance,response_headers_conformance,ignored_auth"])
        .args(["--checks", "unsupported_method"])
        // Event streams end with their jobs, and the jobs of the tester end quickly.
        .args(["--seed", "7", "--no-color", "--suppress-health-check", "all"])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .current_dir(folder.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Passes a text to a checker on its standard input.
async fn passes(program: &str, arguments: &[&str], text: String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await;
    let output = output.unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success() && told.concat().trim().len() < 80, "{told:?}\n{text}");
}

#[tokio::test]
async fn the_description_of_the_api_is_valid() {
    let program = judge("openapi-spec-validator");
    if !goes(&program, &["--version"]) {
        let why = "openapi-spec-validator is not installed";
        fixtures::skip(fixtures::test_name!(), "judges", why);
        return;
    }
    let service = Service::start();
    let api = service.request("GET", "/openapi.json").send().await.unwrap().text().await.unwrap();
    let document: Value = serde_json::from_str(&api).unwrap();
    assert_eq!(document["servers"][0]["url"], json!(service.base));
    let mut ids = std::collections::BTreeSet::new();
    for operation in document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|it| it.as_object().unwrap().values())
    {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{operation}"));
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
    }
    passes(&program, &["-"], api).await;
}

#[tokio::test]
async fn prometheus_takes_metrics_and_alerts() {
    if !goes("promtool", &["--version"]) {
        fixtures::skip(fixtures::test_name!(), "promtool", "promtool is not installed");
        return;
    }
    let service = Service::start();
    service.get("/v1/jobs").await;
    let told = service.request("GET", "/metrics").send().await.unwrap();
    assert_eq!(told.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = told.text().await.unwrap();
    for name in [
        "http_request_seconds_count{method=\"GET\",path=\"/v1/jobs\"",
        "queue_wait_seconds",
        "busy_workers",
        "disk_free_bytes",
        "webhook_backlog",
        "build_info",
    ] {
        assert!(text.contains(&format!("avocet_{name}")), "{name}: {text}");
    }
    passes("promtool", &["check", "metrics"], text).await;
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/alerts.yml");
    let checked = Command::new("promtool").args(["check", "rules", rules]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let open = service.request("GET", "/metrics").header("Accept", "application/openmetrics-text");
    assert!(open.send().await.unwrap().text().await.unwrap().ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_official_verifier_takes_our_signatures() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    if !goes(&judge("python3"), &["-c", "import standardwebhooks"]) {
        let why = "there is no Python with standardwebhooks";
        fixtures::skip(fixtures::test_name!(), "judges", why);
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let receiver = Receiver::start().await;
    let mut job = thumbnail(&origin.url("counter-h264-aac.mp4"));
    job["webhookUrl"] = json!(receiver.url);
    service.completed(&job).await;
    let heard = receiver.hears(1).await.remove(0);
    let (_, settings) = service.get("/v1/settings").await;
    let secret = settings["webhookSecret"].as_str().unwrap();
    assert!(verifies(secret, &heard, &heard.body));
    assert!(!verifies(secret, &heard, &heard.body.replace("completed", "failed")));
    assert!(!verifies("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &heard, &heard.body));

    // After a rotation, webhooks are signed with both secrets for a day.
    let (_, settings) =
        service.send("POST", "/v1/settings", &json!({ "webhookSecret": "rotate" })).await;
    let new = settings["webhookSecret"].as_str().unwrap().to_owned();
    assert_ne!(new, secret);
    service.completed(&job).await;
    let heard = receiver.hears(2).await.remove(1);
    assert!([new.as_str(), secret].iter().all(|secret| verifies(secret, &heard, &heard.body)));
}

/// Whether the official verifier accepts a body with the headers of a webhook.
fn verifies(secret: &str, heard: &Heard, body: &str) -> bool {
    let script = "import sys, json, standardwebhooks\n\
                  secret, headers, body = sys.argv[1:]\n\
                  standardwebhooks.Webhook(secret).verify(body, json.loads(headers))";
    goes(&judge("python3"), &["-c", script, secret, &json!(heard.headers).to_string(), body])
}
