//! The page at `/`, and what of the API is there for it.

use serde_json::{Value, json};

use fixtures::wait::later::until_some;

use crate::place::{Receiver, Service, answer, client, document};

/// The request that the first start prints works as it stands.
const SAMPLE: &str = "root:sample/clip.mp4";

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let service = Service::start();
    let get = async |path: &str| {
        let response = client().get(format!("{}{path}", service.base)).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        (response.headers()["etag"].clone(), response.text().await.unwrap())
    };
    let (tag, index) = get("/").await;
    assert!(!index.contains("://") && !index.contains("<style"), "{index}");
    let again = client().get(&service.base).header("If-None-Match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    // Each file that is named is there, and names no other host.
    let mut files = vec!["style.css".to_owned(), "main.js".to_owned(), "icon.svg".to_owned()];
    let mut met = 0;
    while let Some(file) = files.get(met).cloned() {
        met += 1;
        let (_, text) = get(&format!("/page/{file}")).await;
        for line in text.lines().filter(|line| line.starts_with("import ")) {
            let name = line.split("\"./").nth(1).unwrap().trim_end_matches("\";").to_owned();
            if !files.contains(&name) {
                files.push(name);
            }
        }
    }
    assert!(met > 10, "{files:?}");
    let missing = client().get(format!("{}/page/../keys", service.base)).send().await.unwrap();
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn a_link_signs_in_once() {
    let service = Service::start_with(&["--open"], &[]);
    assert!(service.sign_in.starts_with(&service.base), "{}", service.sign_in);
    let enter = async |code: &str| {
        let request = client().post(format!("{}/page/sign-in", service.base));
        answer(request.json(&json!({ "code": code }))).await
    };
    assert_eq!(enter("no code").await.0, 410);
    let code = service.sign_in.rsplit('/').next().unwrap();
    let (status, entered) = enter(code).await;
    assert_eq!(status, 200, "{entered}");
    assert_eq!(enter(code).await.0, 410);
    let request = client().get(format!("{}/v1/key", service.base));
    let (status, key) = answer(request.bearer_auth(entered["key"].as_str().unwrap())).await;
    assert_eq!((status, &key["projectName"]), (200, &json!("default")), "{key}");
    assert_eq!(key["expiresAt"], entered["expiresAt"]);
}

#[tokio::test]
async fn the_sample_is_an_input_and_a_job_tells_its_timeline() {
    let service = Service::start();
    let job = document(SAMPLE, "mp4", &json!({ "name": "webReady", "store": true }));
    let job = service.completed(&job).await;
    assert_eq!(job["strategy"], "passthrough", "{job}");
    let states: Vec<&str> = job["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["state"].as_str().unwrap())
        .collect();
    assert_eq!(
        (states.first(), states.last()),
        (Some(&"queued"), Some(&"completed")),
        "{states:?}"
    );
    assert!(states.contains(&"probing"), "{states:?}");
    let times: Vec<&str> = job["timeline"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");

    let (status, system) = service.get("/v1/system").await;
    assert_eq!(status, 200, "{system}");
    assert_eq!((&system["sample"], &system["jobs"]["completed"]), (&json!(SAMPLE), &json!(1)));
    assert!(system["usage"]["places"].as_u64().unwrap() > 0, "{system}");
    // How the service is used is told to its operator alone.
    service.send("POST", "/v1/projects", &json!({ "name": "other" })).await;
    let token = json!({ "name": "key", "project": "other" });
    let (_, token) = service.send("POST", "/v1/tokens", &token).await;
    let request = client().get(format!("{}/v1/system", service.base));
    let (_, system) = answer(request.bearer_auth(token["key"].as_str().unwrap())).await;
    assert_eq!((&system["usage"], &system["jobs"]), (&Value::Null, &json!({})), "{system}");
}

#[tokio::test]
async fn webhooks_are_listed_and_sent_again() {
    let service = Service::start_with(&["--allow-private-network"], &[]);
    let receiver = Receiver::start().await;
    let mut job = document(SAMPLE, "jpg", &json!({ "name": "thumbnail" }));
    job["webhookUrl"] = json!(receiver.url);
    let job = service.completed(&job).await;
    let first = receiver.hears(1).await;
    let sent = until_some("the delivery is noted", async || {
        let (_, page) = service.get("/v1/webhooks").await;
        (page["data"][0]["state"] == "delivered").then(|| page["data"][0].clone())
    })
    .await;
    assert_eq!((&sent["jobId"], sent["attempts"].as_array().unwrap().len()), (&job["jobId"], 1));
    let path = format!("/v1/webhooks/{}/redeliver", sent["id"].as_str().unwrap());
    assert_eq!(service.send("POST", &path, &json!({})).await.0, 202);
    let heard = receiver.hears(2).await;
    assert_eq!(heard[1].id(), first[0].id(), "it is the same webhook");
    assert_eq!(service.send("POST", "/v1/webhooks/x/redeliver", &json!({})).await.0, 404);
    let (_, page) = service.get("/v1/webhooks?limit=1&cursor=msg_0").await;
    assert_eq!((&page["data"], &page["nextCursor"]), (&json!([]), &Value::Null));
}
