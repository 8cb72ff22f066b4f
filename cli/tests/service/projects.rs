//! Projects, what their keys may do, and how they share a service.

use std::{process::Command, sync::Arc};

use serde_json::{Value, json};

use fixtures::wait::later::until_some;

use crate::place::{
    Answer, Origin, Receiver, Service, answer, change, client, document, thumbnail,
};

/// A client with a key of its own.
struct Client<'a> {
    service: &'a Service,
    key: String,
}

impl Client<'_> {
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let method = method.parse().unwrap();
        let request = client().request(method, format!("{}{path}", self.service.base));
        let request = request.bearer_auth(&self.key);
        answer(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, None).await
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.ask(method, path, Some(body)).await
    }
}

/// A client with a key that the service's first key makes from this request.
async fn with_key<'a>(service: &'a Service, request: &Value) -> Client<'a> {
    let (status, token) = service.send("POST", "/v1/tokens", request).await;
    assert_eq!(status, 201, "{token}");
    Client { service, key: token["key"].as_str().unwrap().to_owned() }
}

/// A client of a new project of this name.
async fn of_project<'a>(service: &'a Service, name: &str) -> Client<'a> {
    let (status, project) = service.send("POST", "/v1/projects", &json!({ "name": name })).await;
    assert_eq!(status, 201, "{project}");
    with_key(service, &json!({ "name": "all", "project": name })).await
}

/// A job that is rejected at once.
fn rejected(url: &str) -> Value {
    json!({
        "mode": "ffmpeg", "input": { "url": url }, "output": { "format": "mp4" },
        "ffmpeg": { "args": ["-i", "concat:a", "{{output}}"] },
    })
}

/// A job whose input takes about a second to come.
fn slow(origin: &Origin) -> Value {
    let proxy = json!({ "name": "proxy", "height": 120 });
    document(&origin.url("slow/counter-h264-aac.mp4"), "mp4", &proxy)
}

/// A storage provider with a secret; nothing is sent to it.
fn with_secret() -> Value {
    json!({
        "provider": "r2", "accountId": "a", "bucket": "b", "accessKeyId": "k",
        "secretAccessKey": "s",
    })
}

#[tokio::test]
async fn a_project_sees_what_is_its_own() {
    let service = Service::start();
    let other = of_project(&service, "other").await;
    let url = "https://example.com/a.mp4";
    let (_, job) = service.send("POST", "/v1/jobs", &rejected(url)).await;
    let job = job["jobId"].as_str().unwrap();
    let preset = json!({ "name": "mine", "document": {
        "mode": "recipe", "output": { "format": "mp4" }, "recipe": { "name": "webReady" } } });
    let (_, preset) = service.send("POST", "/v1/presets", &preset).await;
    let preset = preset["id"].as_str().unwrap();
    let provider = json!({ "provider": "local", "prefix": "mine" });
    let (status, provider) =
        service.send("POST", "/v1/settings/storage-providers", &provider).await;
    assert_eq!(
        (status, &provider["provider"], &provider["type"]),
        (201, &json!("local"), &json!("local"))
    );
    let provider = provider["id"].as_str().unwrap();
    let missing = [
        ("GET", format!("/v1/jobs/{job}")),
        ("DELETE", format!("/v1/jobs/{job}")),
        ("POST", format!("/v1/jobs/{job}/cancel")),
        ("POST", format!("/v1/jobs/{job}/retry")),
        ("GET", format!("/v1/jobs/{job}/deliveries")),
        ("GET", format!("/v1/jobs/{job}/events")),
        ("POST", format!("/v1/jobs/{job}/events-url")),
        ("GET", format!("/v1/presets/{preset}")),
        ("DELETE", format!("/v1/presets/{preset}")),
        ("GET", format!("/v1/settings/storage-providers/{provider}")),
        ("DELETE", format!("/v1/settings/storage-providers/{provider}")),
        ("POST", format!("/v1/settings/storage-providers/{provider}/test")),
        ("GET", format!("/v1/files/{job}-output")),
        ("DELETE", format!("/v1/files/{job}-output")),
    ];
    for (method, path) in missing {
        let (status, body) = other.ask(method, &path, None).await;
        assert_eq!(status, 404, "{method} {path}: {body}");
    }
    for path in ["/v1/jobs", "/v1/presets", "/v1/settings/storage-providers"] {
        assert_eq!(other.get(path).await.1["data"], json!([]), "{path}");
        assert_eq!(service.get(path).await.1["data"].as_array().unwrap().len(), 1, "{path}");
    }
    let secret = |settings: Answer| settings.1["webhookSecret"].as_str().unwrap().to_owned();
    assert_ne!(secret(other.get("/v1/settings").await), secret(service.get("/v1/settings").await));
    // An idempotency key is one of the project.
    for project in [&other, &Client { service: &service, key: service.key.clone() }] {
        let request = client().post(format!("{}/v1/jobs", service.base)).bearer_auth(&project.key);
        let request = request.header("Idempotency-Key", "same").json(&rejected(url));
        assert_eq!(answer(request).await.0, 202);
    }
    assert_eq!(other.get("/v1/jobs").await.1["data"].as_array().unwrap().len(), 1);

    // The operator's keys see all keys and projects, others those of their own.
    let count = |answer: Answer| answer.1["data"].as_array().unwrap().len();
    assert_eq!(count(service.get("/v1/tokens").await), 2);
    assert_eq!(count(other.get("/v1/tokens").await), 1);
    assert_eq!(count(service.get("/v1/projects").await), 2);
    assert_eq!(count(other.get("/v1/projects").await), 1);
    let (status, _) = other.send("POST", "/v1/projects", &json!({ "name": "third" })).await;
    assert_eq!(status, 403);
    let (status, body) =
        other.send("POST", "/v1/tokens", &json!({ "name": "x", "project": "default" })).await;
    assert_eq!((status, &body["error"]["problems"][0]["path"]), (400, &json!("project")));
    let (status, _) = service.send("POST", "/v1/projects", &json!({ "name": "other" })).await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn each_path_asks_for_a_scope() {
    let service = Service::start();
    let only =
        async |scope: &str| with_key(&service, &json!({ "name": scope, "scopes": [scope] })).await;
    let clients = [only("jobs:read").await, only("tokens").await, only("jobs:write").await];
    let (_, api) = service.get("/openapi.json").await;
    let mut asked = 0;
    for (path, item) in api["paths"].as_object().unwrap() {
        let Some(rest) = path.strip_prefix("/v1/") else { continue };
        let path = format!("/v1/{}", rest.replace("{id}", "x").replace("{slug}", "x"));
        // Each key may ask what it is.
        if path == "/v1/key" {
            continue;
        }
        for method in item.as_object().unwrap().keys().filter(|name| *name != "parameters") {
            let mut refused = 0;
            for client in &clients {
                let (status, body) = client.send(&method.to_uppercase(), &path, &json!({})).await;
                assert!(status != 401 && status != 500, "{method} {path}: {body}");
                // The answer to HEAD has no body.
                let is_told = method == "head" || body["error"]["code"] == "FORBIDDEN";
                refused += i32::from(status == 403 && is_told);
            }
            assert!(refused >= 2, "{method} {path} asks for no scope");
            asked += 1;
        }
    }
    assert!(asked > 25, "{asked}");

    // A key makes none that may do more, and none for the past.
    let (status, _) = clients[1]
        .send("POST", "/v1/tokens", &json!({ "name": "x", "scopes": ["settings"] }))
        .await;
    assert_eq!(status, 403);
    let past = json!({ "name": "x", "expiresAt": "2001-01-01T00:00:00Z" });
    let (status, body) = service.send("POST", "/v1/tokens", &past).await;
    assert_eq!((status, &body["error"]["problems"][0]["path"]), (400, &json!("expiresAt")));
}

#[tokio::test]
async fn keys_end_when_they_expire_or_are_revoked() {
    let service = Service::start();
    let later = json!({ "name": "later", "expiresAt": "2999-01-01T00:00:00+01:00" });
    let (_, token) = service.send("POST", "/v1/tokens", &later).await;
    assert_eq!(token["expiresAt"], "2998-12-31T23:00:00.000Z", "{token}");
    assert!(token["createdBy"].is_string(), "{token}");
    let mortal = Client { service: &service, key: token["key"].as_str().unwrap().to_owned() };
    assert_eq!(mortal.get("/v1/jobs").await.0, 200);
    change(service.data.path(), "UPDATE tokens SET expires_at = 1 WHERE name = 'later'").await;
    assert_eq!(mortal.get("/v1/jobs").await.0, 401);

    // The program does the same while the service runs.
    let run = |arguments: &[&str]| {
        let mut command = Command::new(fixtures::program!());
        let output =
            command.args(arguments).arg("--data").arg(service.data.path()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text.trim().to_owned(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["project", "create", "films"]).0, Some(0));
    assert_eq!(run(&["project", "create", "films"]).0, Some(2));
    let arguments =
        ["token", "create", "--project", "films", "--scope", "jobs:read", "--expires-days", "3"];
    let (_, key, _) = run(&arguments);
    let reader = Client { service: &service, key };
    assert_eq!(reader.get("/v1/jobs").await.0, 200);
    assert_eq!(reader.send("POST", "/v1/jobs", &rejected("https://a.example/a")).await.0, 403);
    let (_, listed, _) = run(&["token", "list"]);
    let listed: Vec<Value> =
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let made = listed.iter().find(|token| token["scopes"] == json!(["jobs:read"])).unwrap();
    assert_eq!(run(&["token", "revoke", made["id"].as_str().unwrap()]).0, Some(0));
    assert_eq!(reader.get("/v1/jobs").await.0, 401);
    let (status, _, told) = run(&["token", "create", "--scope", "everything"]);
    assert!(
        status == Some(2) && told.contains("jobs:write, jobs:read, settings, tokens"),
        "{told}"
    );
}

#[tokio::test]
async fn projects_take_turns_and_priorities_are_their_own() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let variables = [
        ("AVOCET_SERVE_WORKERS", "1"),
        ("AVOCET_SERVE_MOST_QUEUED_PER_PROJECT", "4"),
        ("AVOCET_SERVE_MOST_RUNNING_PER_PROJECT", "1"),
    ];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let origin = Origin::start().await;
    let other = of_project(&service, "other").await;
    let slow = slow(&origin);
    let first = service.submit(&slow).await;
    service.reaches(&first, "planning").await;
    let mut waiting = Vec::new();
    for priority in ["low", "normal", "high"] {
        let mut job = thumbnail(&origin.url("counter-h264-aac.mp4"));
        job["priority"] = json!(priority);
        waiting.push(service.submit(&job).await);
    }
    waiting.push(service.submit(&slow).await);
    let (status, body) = service.send("POST", "/v1/jobs", &slow).await;
    assert_eq!((status, &body["error"]["code"]), (429, &json!("RATE_LIMITED")), "{body}");
    let job = thumbnail(&origin.url("counter-h264-aac.mp4"));
    let (status, accepted) = other.send("POST", "/v1/jobs", &job).await;
    assert_eq!(status, 202, "{accepted}");
    let id = accepted["jobId"].as_str().unwrap();
    let theirs = until_some("the job of the other project ends", async || {
        let (_, job) = other.get(&format!("/v1/jobs/{id}")).await;
        job["finishedAt"].is_string().then_some(job)
    })
    .await;
    let mut begun = Vec::new();
    for id in &waiting {
        begun.push(service.finished(id).await["startedAt"].as_str().unwrap().to_owned());
    }
    let theirs = theirs["startedAt"].as_str().unwrap();
    // The low one comes last, the high one first, and the other project's before all of them.
    assert!(begun.iter().all(|at| theirs <= at.as_str()), "{theirs} {begun:?}");
    assert!(begun[2] <= begun[1] && begun[1] <= begun[3] && begun[3] <= begun[0], "{begun:?}");
}

#[tokio::test]
async fn jobs_are_found_by_what_they_are_and_deleted() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let url = origin.url("counter-h264-aac.mp4?token=hidden").replace("//", "//me:secret@");
    let mut named = thumbnail(&url);
    named["metadata"] = json!({ "team": "blue: one", "shot": "7" });
    named["priority"] = json!("high");
    let job = service.completed(&named).await;
    let id = job["jobId"].as_str().unwrap();
    assert_eq!((&job["metadata"], &job["priority"]), (&named["metadata"], &json!("high")), "{job}");
    let shown = job["document"]["input"]["url"].as_str().unwrap();
    assert!(shown.contains("//me:***@") && shown.ends_with("?***"), "{job}");
    let text = job.to_string();
    assert!(!text.contains("secret") && !text.contains("hidden"), "{job}");
    service.failed(&rejected("https://example.com/a")).await;
    let found = async |query: &str| {
        let (status, page) = service.get(&format!("/v1/jobs?{query}")).await;
        assert_eq!(status, 200, "{query}: {page}");
        page["data"].as_array().unwrap().iter().map(|job| job["jobId"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found("").await.len(), 2);
    for query in
        ["recipe=thumbnail", "metadata=team:blue:%20one", "metadata=shot:7", "state=completed"]
    {
        assert_eq!(found(query).await, [id], "{query}");
    }
    let created = job["createdAt"].as_str().unwrap();
    assert_eq!(found(&format!("createdBefore={created}")).await, [] as [Value; 0]);
    assert_eq!(found(&format!("createdAfter={created}")).await.len(), 2);
    assert_eq!(found("recipe=ffmpeg&metadata=team:blue:%20one").await, [] as [Value; 0]);
    for wrong in ["createdAfter=yesterday", "metadata=team", "nope=1"] {
        assert_eq!(service.get(&format!("/v1/jobs?{wrong}")).await.0, 400, "{wrong}");
    }

    // What is deleted is gone, with its output.
    let url = job["output"]["signedUrl"].as_str().unwrap();
    assert_eq!(client().get(url).send().await.unwrap().status(), 200);
    assert_eq!(service.delete(&format!("/v1/jobs/{id}")).await.0, 204);
    assert_eq!(service.get(&format!("/v1/jobs/{id}")).await.0, 404);
    assert_eq!(client().get(url).send().await.unwrap().status(), 404);
    assert_eq!(found("metadata=shot:7").await, [] as [Value; 0]);
    let slow = slow(&origin);
    let running = service.submit(&slow).await;
    assert_eq!(service.delete(&format!("/v1/jobs/{running}")).await.0, 409);
}

#[tokio::test]
async fn a_job_keeps_to_its_own_limits() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let mut large =
        document(&origin.url("counter-h264-aac.mp4"), "wav", &json!({ "name": "transcode" }));
    large["maxOutputBytes"] = json!(1000);
    let job = service.failed(&large).await;
    assert_eq!(job["error"]["code"], "LIMIT_EXCEEDED", "{job}");
    large["maxOutputBytes"] = json!(100_000_000);
    service.completed(&large).await;
    // The ffmpeg program would write for ever.
    let endless = json!({
        "mode": "ffmpeg", "input": { "url": origin.url("counter-h264-aac.mp4") },
        "output": { "format": "mp4" }, "timeoutSeconds": 2,
        "ffmpeg": { "args": ["-stream_loop", "-1", "-i", "{{input}}", "-preset", "veryslow", "{{output}}"] },
    });
    let job = service.failed(&endless).await;
    assert_eq!(job["error"]["code"], "ENGINE_INVOCATION_ERROR", "{job}");
}

#[tokio::test]
async fn a_full_disk_is_the_matter_of_the_job_that_fills_it() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (probe, origin) = (tempfile::tempdir().unwrap(), Origin::start().await);
    let free = rustix::fs::statvfs(probe.path()).unwrap();
    let free = free.f_bavail * free.f_frsize;
    // As if the disk had room for 256 MiB more. This test runs alone (`.config/nextest.toml`).
    let least = (free - (256 << 20)).to_string();
    let variables =
        [("AVOCET_SERVE_LEAST_FREE_BYTES", least.as_str()), ("AVOCET_SERVE_WORKERS", "2")];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let endless = json!({
        "mode": "ffmpeg", "input": { "url": origin.url("counter-h264-aac.mp4") },
        "output": { "format": "wav" },
        "ffmpeg": { "args": ["-stream_loop", "-1", "-i", "{{input}}", "-vn", "{{output}}"] },
    });
    let slow = slow(&origin);
    let (filler, neighbor) = (service.submit(&endless).await, service.submit(&slow).await);
    let job = service.finished(&filler).await;
    assert_eq!(job["error"]["code"], "LIMIT_EXCEEDED", "{job}");
    assert!(job["error"]["message"].as_str().unwrap().contains("no room"), "{job}");
    let job = service.finished(&neighbor).await;
    assert_eq!(job["state"], "completed", "{job}");
}

/// A server that takes connections and says nothing: its port, and what holds them.
async fn silent() -> (u16, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let held = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    (port, held)
}

#[tokio::test]
async fn origins_that_say_nothing_hold_up_no_other_project() {
    let variables = [("AVOCET_SERVE_WORKERS", "1")];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let other = of_project(&service, "other").await;
    let (origin, (port, held)) = (Origin::start().await, silent().await);
    let hanging = thumbnail(&format!("http://127.0.0.1:{port}/a.mp4"));
    let mut jobs = Vec::new();
    // More than may wait beside the ones that run.
    for _ in 0..8 {
        jobs.push(service.submit(&hanging).await);
        let request = service.request("POST", "/v1/jobs/plan").json(&hanging);
        tokio::spawn(request.send());
    }
    service.reaches(&jobs[0], "probing").await;
    let good = thumbnail(&origin.url("counter-h264-aac.mp4"));
    let (status, plan) = other.send("POST", "/v1/jobs/plan", &good).await;
    assert_eq!(status, 200, "{plan}");
    let (_, job) = other.send("POST", "/v1/jobs", &good).await;
    let path = format!("/v1/jobs/{}", job["jobId"].as_str().unwrap());
    let state = until_some("the other project's job ends", async || {
        let (_, job) = other.get(&path).await;
        crate::place::is_terminal(&job).then(|| job["state"].as_str().unwrap().to_owned())
    });
    assert_eq!(state.await, "completed");
    // None of them has ended: they wait for longer than that took, with one worker.
    for job in &jobs {
        let (_, job) = service.get(&format!("/v1/jobs/{job}")).await;
        assert!(!crate::place::is_terminal(&job), "{job}");
    }
    held.abort();
}

#[tokio::test]
async fn an_origin_that_says_too_much_harms_no_later_job() {
    let (service, origin) = (Service::start(), Origin::start().await);
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    // Another version for each request, with a name of 45 kB.
    let answer = move || {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let version = format!("\"{number}{}\"", "x".repeat(45_000));
        async move { ([("etag", version)], "no media at all") }
    };
    let router = axum::Router::new().fallback(axum::routing::get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wordy = format!("http://{}/a.mp4", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let job = service.failed(&thumbnail(&wordy)).await;
    assert!(
        ["INPUT_UNREACHABLE", "INPUT_INVALID"].contains(&job["error"]["code"].as_str().unwrap())
    );
    let message = job["error"]["message"].as_str().unwrap();
    assert!(!message.contains("the service does not fetch"), "{message}");
    service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    server.abort();
}

#[tokio::test]
async fn receivers_that_hang_leave_room_for_others() {
    let service = Service::start();
    let (port, held) = silent().await;
    let mut jobs = Vec::new();
    for number in 0..200 {
        let mut job = rejected("https://example.com/a");
        // All of 127.0.0.0/8 is this machine.
        job["webhookUrl"] = json!(format!("http://127.0.1.{number}:{port}/hook"));
        jobs.push(service.submit(&job).await);
    }
    let receiver = Receiver::start().await;
    let mut job = rejected("https://example.com/a");
    job["webhookUrl"] = json!(receiver.url);
    service.submit(&job).await;
    receiver.hears(1).await;
    // No other one has ended by now, as would be if it had waited for a place.
    for job in jobs {
        let (_, told) = service.get(&format!("/v1/jobs/{job}/deliveries")).await;
        assert_eq!(told["data"][0]["attempts"], json!([]), "{told}");
    }
    held.abort();
}

/// The database of a service before it had projects, with what it may have held.
const BEFORE: &str = include_str!("../../../service/src/store/migrations/1_first.sql");

#[tokio::test]
async fn a_database_of_an_older_release_is_taken_over_and_a_newer_one_refused() {
    let data = Arc::new(tempfile::tempdir().unwrap());
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(data.path().join("avocet.db"))
        .create_if_missing(true);
    let mut old = sqlx::ConnectOptions::connect(&options).await.unwrap();
    for text in [
        BEFORE,
        "INSERT INTO jobs (id, state, document, created_at, finished_at) \
         VALUES ('01JOLD', 'failed', '{\"mode\":\"recipe\"}', 1, 2)",
        "INSERT INTO presets VALUES ('01JPRESET', 'old', NULL, '{}', 1, 1)",
        "INSERT INTO settings VALUES ('webhookSecret', 'whsec_b2xk')",
        "INSERT INTO idempotency VALUES ('t', 'k', 'h', '01JOLD', 9000000000000), ('u', 'k', 'i', '01JOLD', 9000000000001)",
        "INSERT INTO deliveries VALUES ('msg_1', '01JOLD', '{}', 'http://127.0.0.1:9/x', 'failed', 8, 1, 1)",
    ] {
        sqlx::raw_sql(text).execute(&mut old).await.unwrap();
    }
    sqlx::Connection::close(old).await.unwrap();
    // As a backup it can be looked at, and restored.
    std::fs::write(data.path().join("keys"), [1; 64]).unwrap();
    let (place, whole) = (tempfile::tempdir().unwrap(), json!(1));
    let restored = place.path().join("restored");
    for arguments in [&["--check".as_ref()][..], &["--data".as_ref(), restored.as_os_str()]] {
        let mut command = Command::new(fixtures::program!());
        let output = command.arg("restore").arg(data.path()).args(arguments).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &told["jobs"]), (Some(0), &whole), "{told}");
    }
    let service = Service::start_in(data, &["--allow-private-network"], &[]);
    let (status, job) = service.get("/v1/jobs/01JOLD").await;
    assert_eq!(
        (status, &job["state"], &job["priority"]),
        (200, &json!("failed"), &json!("normal"))
    );
    assert_eq!(service.get("/v1/presets/01JPRESET").await.1["name"], "old");
    assert_eq!(service.get("/v1/settings").await.1["webhookSecret"], "whsec_b2xk");
    // Of two uses of an idempotency key by two API keys the later one counts.
    let request = client().post(format!("{}/v1/jobs", service.base)).bearer_auth(&service.key);
    let request = request.header("Idempotency-Key", "k").json(&rejected("https://example.com/a"));
    assert_eq!(answer(request).await.0, 409);
    let (_, told) = service.get("/v1/jobs/01JOLD/deliveries").await;
    assert_eq!(told["data"][0]["id"], "msg_1", "{told}");

    let (_, data) = service.end();
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                 execution_time) VALUES (99, 'later', TRUE, x'00', 0)";
    change(data.path(), later).await;
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["token", "list"]] {
        let mut command = Command::new(fixtures::program!());
        let output = command.args(arguments).arg("--data").arg(data.path()).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && told.contains("a later release"), "{told}");
    }
}

#[tokio::test]
async fn requests_and_versions_of_outputs_have_names() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let named = service.request("GET", "/v1/jobs").header("X-Request-Id", "req.7").send();
    assert_eq!(named.await.unwrap().headers()["x-request-id"], "req.7");
    let strange = service.request("GET", "/nowhere").header("X-Request-Id", "a b").send();
    assert_eq!(strange.await.unwrap().headers()["x-request-id"].len(), 26);

    let job = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let url = job["output"]["signedUrl"].as_str().unwrap();
    let whole = client().get(url).send().await.unwrap();
    let (tag, date) = (whole.headers()["etag"].clone(), whole.headers()["last-modified"].clone());
    let with = async |name: &str, value: &reqwest::header::HeaderValue, range: bool| {
        let request = client().get(url).header(name, value);
        let request = if range { request.header("range", "bytes=0-9") } else { request };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(with("if-none-match", &tag, false).await, 304);
    assert_eq!(with("if-modified-since", &date, false).await, 304);
    assert_eq!(with("if-range", &tag, true).await, 206);
    assert_eq!(with("if-range", &date, true).await, 206);
    let other = reqwest::header::HeaderValue::from_static("\"other\"");
    assert_eq!(with("if-none-match", &other, false).await, 200);
    assert_eq!(with("if-range", &other, true).await, 200);

    // A browser listens without a key.
    let id = job["jobId"].as_str().unwrap();
    let (status, made) =
        service.send("POST", &format!("/v1/jobs/{id}/events-url"), &json!({})).await;
    assert_eq!(status, 201, "{made}");
    let url = made["url"].as_str().unwrap();
    let told = client().get(url).send().await.unwrap().text().await.unwrap();
    assert!(told.starts_with("data: {") && told.contains("completed"), "{told}");
    let other = client().get(url.replace("/events/", "/events/0")).send().await.unwrap();
    assert_eq!(other.status(), 403);
}

#[tokio::test]
async fn a_backup_is_made_while_the_service_runs_and_becomes_a_service() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let job = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    assert_eq!(service.send("POST", "/v1/settings/storage-providers", &with_secret()).await.0, 201);
    let (_, upload) = answer(service.request("POST", "/v1/uploads").body("a file")).await;
    let place = tempfile::tempdir().unwrap();
    let (kept, new) = (place.path().join("kept"), place.path().join("new"));
    let run = |arguments: &[&std::ffi::OsStr]| {
        let mut command = Command::new(fixtures::program!());
        let output = command.args(arguments).output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), told)
    };
    let data = service.data.path();
    let output = data.join(format!("files/outputs/{}/result.jpg", job["jobId"].as_str().unwrap()));
    let bytes = std::fs::metadata(output).unwrap().len();
    let whole = json!({ "jobs": 1, "files": 1, "problems": [], "bytes": bytes });
    let backup = ["backup".as_ref(), kept.as_os_str(), "--data".as_ref(), data.as_os_str()];
    assert_eq!(run(&backup), (Some(0), whole.clone()));
    assert_eq!(run(&backup).0, Some(2), "the folder is not empty any more");
    let check = ["restore".as_ref(), kept.as_os_str(), "--check".as_ref()];
    assert_eq!(run(&check), (Some(0), whole.clone()));
    let restore = ["restore".as_ref(), kept.as_os_str(), "--data".as_ref(), new.as_os_str()];
    assert_eq!(run(&restore), (Some(0), whole));

    // The first service goes on and deletes the output; the backup has it still.
    let id = job["jobId"].as_str().unwrap();
    assert_eq!(service.delete(&format!("/v1/jobs/{id}")).await.0, 204);
    let key = service.key.clone();
    drop(service);
    let data = tempfile::tempdir().unwrap();
    std::fs::remove_dir(data.path()).unwrap();
    std::fs::rename(&new, data.path()).unwrap();
    std::fs::write(data.path().join("api-key"), &key).unwrap();
    let service = Service::start_in(Arc::new(data), &["--allow-private-network"], &[]);
    let (_, job) = service.get(&format!("/v1/jobs/{id}")).await;
    let url = job["output"]["signedUrl"].as_str().unwrap();
    assert_eq!(client().get(url).send().await.unwrap().status(), 200);
    let path = format!("/v1/uploads/{}", upload["uploadId"].as_str().unwrap());
    assert_eq!(service.get(&path).await, (200, upload));

    // What a backup lacks is told.
    let output = kept.join(format!("files/outputs/{id}/result.jpg"));
    std::fs::remove_file(&output).unwrap();
    std::fs::write(kept.join("keys"), [1; 64]).unwrap();
    let (status, told) = run(&check);
    assert_eq!((status, told["problems"].as_array().unwrap().len()), (Some(1), 2), "{told}");
}

#[tokio::test]
async fn keys_of_the_folder_rotate_apart() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let job = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let path = "/v1/settings/storage-providers";
    assert_eq!(service.send("POST", path, &with_secret()).await.0, 201);
    let (_, data) = service.end();
    let folder = data.path().to_owned();
    for kind in ["signing", "encryption"] {
        let mut command = Command::new(fixtures::program!());
        let output =
            command.args(["keys", "rotate", kind, "--data"]).arg(&folder).output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(0), b"1\n".to_vec()));
    }
    let variables = [("AVOCET_SERVE_PUBLIC_URL", "http://media.example")];
    let service = Service::start_in(data, &["--allow-private-network"], &variables);
    // The service has another port now.
    let here = |url: &Value| {
        let (_, rest) = url.as_str().unwrap().split_once("/files/").unwrap();
        format!("{}/files/{rest}", service.base)
    };
    let old = here(&job["output"]["signedUrl"]);
    let id = job["jobId"].as_str().unwrap();
    let new = here(&service.get(&format!("/v1/jobs/{id}")).await.1["output"]["signedUrl"]);
    assert!(old.ends_with(".0") && new.ends_with(".1"), "{old} {new}");
    for url in [old, new] {
        assert_eq!(client().get(&url).send().await.unwrap().status(), 200, "{url}");
    }
    // The secret was encrypted anew, so that the old key can go.
    let text = std::fs::read_to_string(folder.join("keys")).unwrap();
    let mut keys: Value = serde_json::from_str(&text).unwrap();
    for kind in ["signing", "encryption"] {
        keys[kind].as_array_mut().unwrap().remove(0);
    }
    let (_, data) = service.end();
    std::fs::write(folder.join("keys"), keys.to_string()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new(fixtures::program!());
    let backup = command.arg("backup").arg(place.path().join("kept")).arg("--data").arg(&folder);
    assert_eq!(backup.output().unwrap().status.code(), Some(0));
    drop(data);
}
