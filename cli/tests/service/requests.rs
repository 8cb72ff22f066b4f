//! Invalid requests, and authentication.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};

use crate::place::{Origin, Service, answer, client, thumbnail};

/// Invalid bodies of `POST /v1/jobs`: each with its status, and the paths of its problems.
fn wrong_bodies() -> Vec<(String, u16, Vec<&'static str>)> {
    let sound = thumbnail("https://example.com/a.mp4");
    let mut bodies: Vec<(String, u16, Vec<&str>)> = Vec::new();
    let mut raw = |text: &str| bodies.push((text.to_owned(), 400, vec![]));
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "nul",
        "null",
        "true",
        "7",
        "\"x\"",
        "[]",
        "[1]",
        "{}",
        "{\"mode\"}",
        "{\"mode\":}",
        "{'mode':'recipe'}",
        "{\"mode\":\"recipe\",}",
        "{\"mode\":\"recipe\"} x",
        "{\"mode\":\"recipe\" \"input\":1}",
        "\u{feff}{}",
        "{\"a\":1e999}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\u{1}\"}",
        "NaN",
        "Infinity",
        "<xml/>",
        "mode=recipe",
        "{\"mode\":\"recipe\"",
    ] {
        raw(text);
    }
    raw(&"[".repeat(100_000));
    raw(&"{\"a\":".repeat(50_000));
    raw(&format!("{{\"mode\":\"recipe\",\"recipe\":{}1{}}}", "[".repeat(500), "]".repeat(500)));
    raw(&format!("{{\"{}\":1}}", "k".repeat(10_000)));
    raw("{\"mode\":\"recipe\",\"mode\":\"ffmpeg\"}");

    // A valid job, with one or two changes.
    let mut changed = |change: &[(&str, Value)], paths: &[&'static str]| {
        let mut body = sound.clone();
        for (pointer, value) in change {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let fields = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            if *value == json!("absent") {
                fields.remove(name);
            } else {
                fields.insert(name.to_owned(), value.clone());
            }
        }
        bodies.push((body.to_string(), 400, paths.to_vec()));
    };
    changed(&[("/mode", json!("Recipe"))], &["mode"]);
    changed(&[("/mode", json!(7))], &["mode"]);
    changed(&[("/mode", json!("absent"))], &[]);
    changed(&[("/mode", json!("ffmpeg"))], &[]);
    changed(&[("/input", json!("absent"))], &["input"]);
    changed(&[("/input", json!("https://example.com/a.mp4"))], &["input"]);
    changed(&[("/input", json!([]))], &["input"]);
    changed(&[("/input", json!({}))], &["input.url"]);
    changed(&[("/input/more", json!(1))], &["input.more"]);
    for url in [
        "",
        " ",
        "a.mp4",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://example.com/a.mp4",
        "ftp://example.com/a.mp4",
        "https://",
        "https:///a",
        "concat:a|b",
        "data:video/mp4,x",
        "pipe:0",
        "s3://bucket/key",
        "gs://bucket/key",
        "javascript:alert(1)",
        "//example.com/a",
        "https://exa mple.com/a\r\nX-Evil: 1",
        "subfile,,start,0,end,9,,:/etc/passwd",
    ] {
        changed(&[("/input/url", json!(url))], &["input.url"]);
    }
    for url in [json!(7), json!(null), json!(["https://example.com/a"]), json!({ "a": 1 })] {
        changed(&[("/input/url", url)], &["input.url"]);
    }
    for url in
        ["http://example.com/", "http://10.0.0.1/", "hook", "ftp://example.com/", "https://", ""]
    {
        changed(&[("/webhookUrl", json!(url))], &["webhookUrl"]);
    }
    changed(&[("/webhookUrl", json!(5))], &["webhookUrl"]);
    changed(&[("/output", json!("absent"))], &["output"]);
    changed(&[("/output/format", json!("exe"))], &["output.format"]);
    changed(&[("/output/format", json!("../../x"))], &["output.format"]);
    changed(&[("/output/format", json!("mp4"))], &["output.format"]);
    changed(&[("/output/path", json!("/tmp/x"))], &["output.path"]);
    changed(&[("/recipe/name", json!("thumbnails"))], &["recipe.name"]);
    changed(&[("/recipe/name", json!("absent"))], &["recipe.name"]);
    changed(&[("/recipe", json!("thumbnail"))], &["recipe"]);
    changed(&[("/recipe/seekSeconds", json!(-1))], &["recipe.seekSeconds"]);
    changed(&[("/recipe/seekSeconds", json!("1"))], &["recipe.seekSeconds"]);
    changed(&[("/recipe/width", json!(0))], &["recipe.width"]);
    changed(&[("/recipe/width", json!(1.5))], &["recipe.width"]);
    changed(&[("/recipe/width", json!(1e9))], &["recipe.width"]);
    changed(&[("/recipe/crf", json!(20))], &["recipe.crf"]);
    changed(&[("/recipe/seekseconds", json!(1))], &["recipe.seekseconds"]);
    changed(&[("/recipe/width", json!(-3)), ("/nope", json!(1))], &["nope", "recipe.width"]);
    changed(
        &[("/recipe/width", json!("w")), ("/input/url", json!("x")), ("/extra", json!({}))],
        &["extra", "recipe.width", "input.url"],
    );
    changed(&[("/presetId", json!("01M8ARV2TPJQB1Q9HX15WXY6PJ"))], &["presetId"]);
    changed(&[("/presetId", json!(""))], &["presetId"]);
    changed(&[("/presetId", json!(9))], &["presetId"]);
    changed(&[("/recipe/quality", json!(101))], &["recipe.quality"]);
    changed(&[("/recipe/accuracy", json!("fast"))], &["recipe.accuracy"]);
    changed(&[("/stageInput", json!("yes"))], &["stageInput"]);
    // Both styles of naming files, or both modes, in one document.
    changed(&[("/input_files", json!({ "in_1": "https://example.com/b" }))], &[]);
    changed(&[("/output_files", json!({ "out_1": "a.mp4" }))], &[]);
    changed(&[("/ffmpeg", json!({ "args": ["-i", "{{input}}", "{{output}}"] }))], &["ffmpeg"]);
    let custom = |args: Value| {
        json!({ "mode": "ffmpeg", "input": { "url": "https://example.com/a.mp4" },
                "output": { "format": "mp4" }, "ffmpeg": { "args": args } })
    };
    for args in [json!("-i {{input}}"), json!([]), json!([1]), json!(null), json!({})] {
        bodies.push((custom(args).to_string(), 400, vec![]));
    }
    bodies
}

#[tokio::test]
async fn wrong_bodies_are_refused_with_all_that_is_wrong_and_nothing_is_kept() {
    let service = Service::start_with(&[], &[]);
    let bodies = wrong_bodies();
    assert!(bodies.len() >= 100, "{}", bodies.len());
    for (text, expected, paths) in bodies {
        let shown: String = text.chars().take(200).collect();
        for path in ["/v1/jobs", "/v1/jobs/plan"] {
            let request = service.request("POST", path).header("content-type", "application/json");
            let (status, body) = answer(request.body(text.clone())).await;
            assert_eq!(status, expected, "{path} {shown}: {body}");
            assert_eq!(body["error"]["code"], "VALIDATION_ERROR", "{shown}: {body}");
            assert_eq!(body["error"]["retryable"], json!(false));
            assert!(body["error"]["problems"].is_array(), "{shown}: {body}");
            let found: Vec<&str> = body["error"]["problems"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|problem| problem["path"].as_str().unwrap())
                .collect();
            for path in &paths {
                assert!(found.contains(path), "{shown}: {path} is not in {body}");
            }
            assert!(!body.to_string().contains("\\r\\nX-Evil"), "{body}");
        }
    }
    let (_, jobs) = service.get("/v1/jobs").await;
    assert_eq!(jobs["data"], json!([]));
}

/// Other invalid bodies are refused with all their problems, and without the secrets in them.
#[tokio::test]
async fn wrong_forms_are_refused_with_all_that_is_wrong() {
    let service = Service::start();
    for (path, body, paths) in [
        ("tokens", json!([]), &["$"][..]),
        ("tokens", json!({ "nme": "a" }), &["name", "nme"]),
        ("tokens", json!({ "name": "" }), &["name"]),
        (
            "settings",
            json!({ "webhookSecret": "turn", "defaultWebhookUrl": 7, "more": 1 }),
            &["defaultWebhookUrl", "more", "webhookSecret"],
        ),
        (
            "presets",
            json!({ "name": "n".repeat(201), "description": [], "document": 1 }),
            &["description", "document", "name"],
        ),
        ("presets", json!({}), &["document", "name"]),
        (
            "settings/storage-providers",
            json!({ "type": 1, "makeDefault": "yes", "secretAccessKey": ["hush"] }),
            &["makeDefault", "secretAccessKey", "type"],
        ),
    ] {
        let (status, answer) = service.send("POST", &format!("/v1/{path}"), &body).await;
        assert_eq!(status, 400, "{path} {body}: {answer}");
        let problems = answer["error"]["problems"].as_array().unwrap();
        let mut found: Vec<&str> =
            problems.iter().map(|problem| problem["path"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, paths, "{path} {body}: {answer}");
        assert!(!answer.to_string().contains("hush"), "{answer}");
    }
    let twice = service.request("POST", "/v1/settings").header("content-type", "application/json");
    let twice = twice.body(r#"{"webhookSecret":"hush","webhookSecret":"rotate"}"#);
    let (status, answer) = answer(twice).await;
    assert_eq!((status, answer["error"]["problems"].as_array().unwrap().len()), (400, 2));
    assert!(!answer.to_string().contains("hush"), "{answer}");
    let (_, tokens) = service.get("/v1/tokens").await;
    assert_eq!(tokens["data"].as_array().unwrap().len(), 1, "{tokens}");
}

#[tokio::test]
async fn bodies_have_a_kind_and_a_length() {
    let service = Service::start();
    let sound = thumbnail("http://127.0.0.1:9/a").to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
        let request = service.request("POST", "/v1/jobs").header("content-type", kind);
        let (status, body) = answer(request.body(sound.clone())).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (415, &json!("UNSUPPORTED_MEDIA_TYPE")),
            "{kind}"
        );
    }
    let json = |body: Vec<u8>| {
        answer(
            service
                .request("POST", "/v1/jobs")
                .header("content-type", "application/json; charset=utf-8")
                .body(body),
        )
    };
    assert_eq!(json(sound.clone().into_bytes()).await.0, 202);
    assert_eq!(json(vec![0xff, 0xfe, b'{', b'}']).await.0, 400);
    // Bodies of 2 and of 50 MiB. The connection may be closed before all of a body is sent.
    let (status, body) = json(vec![b' '; 2 << 20]).await;
    assert_eq!((status, &body["error"]["code"]), (413, &json!("PAYLOAD_TOO_LARGE")));
    let fifty = service.request("POST", "/v1/jobs").header("content-type", "application/json");
    match fifty.body(vec![b'['; 50 << 20]).send().await {
        Ok(response) => assert_eq!(response.status(), 413),
        Err(error) => assert!(error.is_request(), "{error}"),
    }
    assert_eq!(service.get("/healthz").await.0, 200);
    // Requests that are not HTTP.
    let address = service.base.strip_prefix("http://").unwrap();
    for text in [
        "\r\n\r\n",
        "GET\r\n\r\n",
        "\u{0}\u{1}\u{2}",
        "POST /v1/jobs HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut read = Vec::new();
        let _ = stream.read_to_end(&mut read);
        assert!(!String::from_utf8_lossy(&read).contains(" 500 "), "{text}");
    }
    assert_eq!(service.get("/healthz").await.0, 200);
}

#[tokio::test]
async fn the_same_key_and_body_make_one_job() {
    let service = Service::start();
    let (one, other) = (thumbnail("http://127.0.0.1:9/a"), thumbnail("http://127.0.0.1:9/b"));
    let post = |key: String, body: &Value| {
        answer(service.request("POST", "/v1/jobs").header("idempotency-key", key).json(body))
    };
    let (status, first) = post("k".into(), &one).await;
    assert_eq!(status, 202);
    let (status, again) = post("k".into(), &one).await;
    assert_eq!((status, &again["jobId"]), (202, &first["jobId"]));
    let (status, body) = post("k".into(), &other).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("CONFLICT")));
    assert_ne!(post("l".into(), &one).await.1["jobId"], first["jobId"]);
    for key in [String::new(), "k".repeat(256)] {
        assert_eq!(post(key, &one).await.0, 400);
    }
    // Ten simultaneous requests with one idempotency key make one job.
    let ten = futures_util::future::join_all((0..10).map(|_| post("ten".into(), &one))).await;
    assert!(ten.iter().all(|(status, body)| *status == 202 && body["jobId"] == ten[0].1["jobId"]));
    // Making keys while the service runs disturbs nobody.
    let data = service.data.path().to_owned();
    let beside = tokio::task::spawn_blocking(move || {
        for _ in 0..10 {
            let mut create = std::process::Command::new(fixtures::program!());
            let made = create.args(["token", "create", "--data"]).arg(&data).output().unwrap();
            assert!(made.status.success(), "{made:?}");
        }
    });
    let mut number = 4;
    while !beside.is_finished() {
        let (status, body) = post(format!("beside-{number}"), &one).await;
        assert_eq!(status, 202, "{body}");
        number += 1;
    }
    beside.await.unwrap();
    // Idempotency keys belong to the project, whichever of its API keys is used.
    let (_, token) = service.send("POST", "/v1/tokens", &json!({ "name": "other" })).await;
    let request = client().post(format!("{}/v1/jobs", service.base));
    let request = request.header("idempotency-key", "k");
    let request = request.header("x-api-key", token["key"].as_str().unwrap());
    assert_eq!(answer(request.json(&other)).await.0, 409);
    let (_, jobs) = service.get("/v1/jobs?limit=100").await;
    assert_eq!(jobs["data"].as_array().unwrap().len(), (number - 1).min(100));
}

#[tokio::test]
async fn only_keys_open_the_door() {
    let service = Service::start();
    let ask = |name: &str, text: &str| {
        answer(client().get(format!("{}/v1/jobs", service.base)).header(name, text))
    };
    let key = service.key.clone();
    assert_eq!(ask("authorization", &format!("Bearer {key}")).await.0, 200);
    assert_eq!(ask("authorization", &format!("bearer  {key} ")).await.0, 200);
    assert_eq!(ask("x-api-key", &key).await.0, 200);
    for (name, text) in [
        ("x-other", key.clone()),
        ("authorization", key.clone()),
        ("authorization", format!("Basic {key}")),
        ("authorization", "Bearer".to_owned()),
        ("authorization", "Bearer ".to_owned()),
        ("x-api-key", String::new()),
        ("x-api-key", key.replace("avo_", "xora_")),
        ("x-api-key", key[..key.len() - 1].to_owned()),
        ("x-api-key", format!("{key}0")),
        ("x-api-key", key.to_uppercase()),
    ] {
        let (status, body) = ask(name, &text).await;
        assert_eq!(
            (status, &body["error"]["code"]),
            (401, &json!("UNAUTHORIZED")),
            "{name}: {text}"
        );
        assert!(!body.to_string().contains(&key[10..20]));
    }
    for query in ["key", "api_key", "token", "access_token", "X-API-KEY"] {
        let url = format!("{}/v1/jobs?{query}={key}", service.base);
        assert_eq!(reqwest::get(url).await.unwrap().status(), 401, "{query}");
    }
    let (status, token) =
        service.send("POST", "/v1/tokens", &json!({ "name": "a second one" })).await;
    let (second, id) = (token["key"].as_str().unwrap(), token["id"].as_str().unwrap());
    assert_eq!((status, second.len(), &second[..4]), (201, 52, "avo_"));
    assert_eq!(ask("x-api-key", second).await.0, 200);
    let (_, all) = service.get("/v1/tokens").await;
    assert!(!all.to_string().contains(second), "shown once");
    assert_eq!(service.delete(&format!("/v1/tokens/{id}")).await.0, 204);
    assert_eq!(service.delete(&format!("/v1/tokens/{id}")).await.0, 404);
    assert_eq!(ask("x-api-key", second).await.0, 401);
    for (name, bytes) in [("key", service.key.as_bytes()), ("second", second.as_bytes())] {
        let database = std::fs::read(service.data.path().join("avocet.db")).unwrap();
        let log = std::fs::read(service.data.path().join("avocet.db-wal")).unwrap();
        let is_there = [database, log].concat().windows(bytes.len()).any(|window| window == bytes);
        assert!(!is_there, "the {name} lies in the database");
    }
    // These paths need no API key.
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs/"] {
        let response = reqwest::get(format!("{}{path}", service.base)).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
    let (status, made) = {
        let made = std::process::Command::new(fixtures::program!())
            .args(["token", "create", "--name", "by hand", "--data"])
            .arg(service.data.path())
            .output()
            .unwrap();
        (made.status.success(), String::from_utf8(made.stdout).unwrap())
    };
    assert!(status);
    assert_eq!(ask("x-api-key", made.trim()).await.0, 200);
}

#[tokio::test]
async fn every_no_has_one_form() {
    let service = Service::start();
    for (method, path, status, code) in [
        ("GET", "/", 200, ""),
        ("GET", "/nope", 404, "NOT_FOUND"),
        ("GET", "/v1", 404, "NOT_FOUND"),
        ("GET", "/v1/nope", 404, "NOT_FOUND"),
        ("GET", "/v2/jobs", 404, "NOT_FOUND"),
        ("GET", "/v1/jobs/", 404, "NOT_FOUND"),
        ("GET", "/v1/jobs/none", 404, "NOT_FOUND"),
        ("GET", "/v1/jobs/%ff", 404, "NOT_FOUND"),
        ("GET", "/v1/jobs/../jobs/none", 404, "NOT_FOUND"),
        ("GET", "/v1/jobs/none/events", 404, "NOT_FOUND"),
        ("GET", "/v1/jobs/none/deliveries", 404, "NOT_FOUND"),
        ("POST", "/v1/jobs/none/cancel", 404, "NOT_FOUND"),
        ("POST", "/v1/jobs/none/retry", 404, "NOT_FOUND"),
        ("GET", "/v1/files/none", 404, "NOT_FOUND"),
        ("DELETE", "/v1/files/none-output", 404, "NOT_FOUND"),
        ("GET", "/v1/presets/none", 404, "NOT_FOUND"),
        ("POST", "/v1/presets/starters/none/clone", 404, "NOT_FOUND"),
        ("POST", "/v1/settings/storage-providers/none/test", 404, "NOT_FOUND"),
        ("DELETE", "/v1/tokens/none", 404, "NOT_FOUND"),
        ("PUT", "/v1/jobs", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/v1/jobs/none", 404, "NOT_FOUND"),
        ("PATCH", "/v1/jobs/none", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/v1/jobs/none/cancel", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/healthz", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/v1/settings", 415, "UNSUPPORTED_MEDIA_TYPE"),
        ("GET", "/v1/jobs?limit=0", 400, "VALIDATION_ERROR"),
        ("GET", "/v1/jobs?limit=101", 400, "VALIDATION_ERROR"),
        ("GET", "/v1/jobs?limit=x", 400, "VALIDATION_ERROR"),
        ("GET", "/v1/jobs?state=done", 400, "VALIDATION_ERROR"),
        ("GET", "/v1/jobs?nope=1", 400, "VALIDATION_ERROR"),
        ("GET", "/files/outputs/a/b.mp4", 403, "FORBIDDEN"),
    ] {
        let (found, body) = answer(service.request(method, path)).await;
        assert_eq!(found, status, "{method} {path}: {body}");
        if status >= 400 {
            assert_eq!(body["error"]["code"], code, "{method} {path}: {body}");
            assert!(
                body["error"]["message"].is_string() && body["error"]["retryable"].is_boolean()
            );
        }
    }
    let put = service.request("PUT", "/v1/jobs").send().await.unwrap();
    assert!(put.headers()["allow"].to_str().unwrap().contains("POST"));
}

#[tokio::test]
async fn browsers_of_known_origins_may_call_and_rates_hold() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("avocet.toml");
    let text = "corsOrigins = [\"https://app.example\"]\nrequestsPerMinute = 5\n";
    std::fs::write(&file, text).unwrap();
    let arguments = ["--allow-private-network", "--config", file.to_str().unwrap()];
    let service = Service::start_with(&arguments, &[]);
    let allowed = |origin: &'static str, path: &'static str| {
        let asked = service
            .request("OPTIONS", path)
            .header("origin", origin)
            .header("access-control-request-method", "POST");
        async move {
            let response = asked.send().await.unwrap();
            assert_eq!(response.status(), 204);
            let name = "access-control-allow-origin";
            response.headers().get(name).map(|origin| origin.to_str().unwrap().to_owned())
        }
    };
    assert_eq!(
        allowed("https://app.example", "/v1/jobs").await.as_deref(),
        Some("https://app.example")
    );
    assert_eq!(allowed("https://evil.example", "/v1/jobs").await, None);
    assert_eq!(allowed("https://evil.example", "/files/a").await.as_deref(), Some("*"));
    for number in 0..7 {
        let response = service.request("GET", "/v1/jobs").send().await.unwrap();
        assert_eq!(response.status(), if number < 5 { 200 } else { 429 }, "{number}");
        let after = response.headers().get("retry-after");
        let after = after.map(|after| after.to_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(after.is_some_and(|after| (1..=60).contains(&after)), number >= 5, "{after:?}");
    }
    assert_eq!(reqwest::get(format!("{}/healthz", service.base)).await.unwrap().status(), 200);
    // Without configured origins, all of them are allowed.
    let open = Service::start();
    let request = open.request("GET", "/v1/jobs").header("origin", "https://any.example");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
}

#[test]
fn a_folder_that_is_somebody_elses_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("home");
    std::fs::create_dir_all(data.join("work")).unwrap();
    std::fs::write(data.join("work/letter"), "of mine").unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions();
    let before = mode(&data);
    // The address is taken, so that each start fails.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let serve = |arguments: &[&std::ffi::OsStr], variable: Option<(&str, &str)>| {
        let run = std::process::Command::new(fixtures::program!())
            .args(["serve", "--listen", &taken.local_addr().unwrap().to_string()])
            .args(arguments)
            .envs(variable)
            .current_dir(&data)
            .output()
            .unwrap();
        (run.status.code(), String::from_utf8(run.stderr).unwrap())
    };
    for (arguments, variable) in [
        (&["--data".as_ref(), data.as_os_str()][..], None),
        (&["--data".as_ref(), ".".as_ref()], None),
        (&[], Some(("AVOCET_SERVE_DATA", "."))),
        (&[], Some(("AVOCET_SERVE_DATA", ""))),
        (&["--data".as_ref(), "".as_ref()], None),
    ] {
        let (status, told) = serve(arguments, variable);
        assert_eq!(status, Some(2), "{told}");
        let is_told = told.contains("no service made it") || told.contains("empty");
        assert!(is_told || told.contains("value is required"), "{told}");
        assert_eq!(std::fs::read_to_string(data.join("work/letter")).unwrap(), "of mine");
        assert_eq!(mode(&data), before);
        assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1, "something was made");
    }
    // A new folder, an empty one, a file system's root, and a service's folder are accepted.
    for name in ["new", "empty", "disk", "disk"] {
        let data = folder.path().join(name);
        let inside = match name {
            "empty" => data.clone(),
            "disk" => data.join("lost+found"),
            _ => folder.path().to_owned(),
        };
        std::fs::create_dir_all(inside).unwrap();
        let (status, told) = serve(&["--data".as_ref(), data.as_os_str()], None);
        assert!(status == Some(1) && told.contains("in use"), "{name}: {told}");
    }
}

#[test]
fn wrong_configurations_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("avocet.toml");
    let try_out = |text: &str, variable: Option<(&str, &str)>| {
        std::fs::write(&file, text).unwrap();
        let run = std::process::Command::new(fixtures::program!())
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--config",
                file.to_str().unwrap(),
                "--data",
            ])
            .arg(folder.path().join("data"))
            .envs(variable)
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(2), "{text}");
        String::from_utf8(run.stderr).unwrap()
    };
    assert!(try_out("listne = \"127.0.0.1:1\"\n", None).contains("listne"));
    assert!(try_out("workers = 0\n", None).contains("workers"));
    assert!(try_out("workers\n", None).contains("avocet.toml"));
    assert!(try_out("", Some(("AVOCET_SERVE_LISTNE", "x"))).contains("AVOCET_SERVE_LISTNE"));
    assert!(!folder.path().join("data").exists(), "nothing is made before it is right");
    // If the address is taken, no API key is made, since nobody would see it.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let run = std::process::Command::new(fixtures::program!())
        .args(["serve", "--listen", &taken.local_addr().unwrap().to_string(), "--data"])
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let told = String::from_utf8(run.stderr).unwrap();
    assert!(told.contains("in use") && told.contains("[CONFIG_ERROR]"), "{told}");
    assert!(!folder.path().join("data/api-key").exists());
    // A key can only be made in the folder of a service.
    let run = std::process::Command::new(fixtures::program!())
        .args(["token", "create", "--data"])
        .arg(folder.path().join("none"))
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(2), "{run:?}");
}

#[tokio::test]
async fn the_examples_of_the_description_work() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let clip = origin.url("counter-h264-aac.mp4");
    let (_, api) = service.get("/openapi.json").await;
    let mut made = HashMap::new();
    let mut sent = 0;
    // What is changed must have been made before.
    for method in ["post", "patch"] {
        for (path, item) in api["paths"].as_object().unwrap() {
            let body = &item[method]["requestBody"]["content"]["application/json"]["schema"];
            let Some(name) = body["$ref"].as_str() else { continue };
            let schema = &api["components"]["schemas"][name.rsplit('/').next().unwrap()];
            let examples = schema["examples"].as_array();
            for example in examples.unwrap_or_else(|| panic!("{name} has no example")) {
                let text = example.to_string().replace("https://media.example.com/clip.mp4", &clip);
                let example: Value = serde_json::from_str(&text).unwrap();
                sent += 1;
                if path == "/v1/jobs" {
                    service.completed(&example).await;
                    continue;
                }
                let to = match path.strip_suffix("/{id}") {
                    Some(list) => format!("{list}/{}", made[list]),
                    None => path.clone(),
                };
                let (status, answer) = service.send(&method.to_uppercase(), &to, &example).await;
                assert!((200..300).contains(&status), "{method} {to}: {answer}");
                if let Some(id) = answer["id"].as_str() {
                    made.insert(to, id.to_owned());
                }
            }
        }
    }
    assert!(sent >= 15, "{sent}");
}

/// `avocet health`, as the image for containers asks: 0 while the service answers, 1 when nobody or
/// somebody else is there.
#[tokio::test]
async fn health_is_told_by_the_program_too() {
    let asked = |variable: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(fixtures::program!());
        command.arg("health").args(arguments).env("AVOCET_SERVE_LISTEN", variable);
        let output = command.output().unwrap();
        let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), told)
    };
    let service = Service::start();
    let address = service.base.trim_start_matches("http://").to_owned();
    assert_eq!(asked(&address, &[]), (Some(0), "HTTP/1.0 200 OK\n".to_owned()));
    // A service that listens on all addresses is asked on this machine.
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    assert_eq!(asked("127.0.0.1:1", &["--listen", &everywhere]).0, Some(0));
    drop(service);
    let (status, told) = asked(&address, &[]);
    assert_eq!(status, Some(1), "{told}");
    assert!(told.starts_with(&format!("no service is well on {address}: ")), "{told}");

    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = stranger.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = stranger.accept().unwrap();
        let _ = stream.read(&mut [0; 1024]);
        stream.write_all(b"SSH-2.0-x\r\n").unwrap();
    });
    let (status, told) = asked(&address, &[]);
    assert_eq!(status, Some(1), "{told}");
    assert!(told.contains("SSH-2.0-x"), "{told}");
}
