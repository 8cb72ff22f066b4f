//! Independent judges of the API: an OpenAPI tester, and the verifier of Standard Webhooks.

use std::{env, process::Command};

use serde_json::json;

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
    let examples = if env::var_os("AVOCET_SOAK").is_some() { "200" } else { "12" };
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    command
        .args(["run", &format!("{}/openapi.json", service.base), "--max-examples", examples])
        .args(["-H", &format!("Authorization: Bearer {}", service.key)])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance"])
        .args(["--checks", "response_schema_conformance,response_headers_conformance,ignored_auth"])
        .args(["--checks", "unsupported_method"])
        // Event streams end with their jobs, and the jobs of the tester end quickly.
        .args(["--seed", "7", "--no-color", "--suppress-health-check", "all"])
        .current_dir(folder.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
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
