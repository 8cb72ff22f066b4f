//! Jobs from document to output: each recipe, the progress, and the ways to end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::{Origin, Service, document, left, thumbnail};

/// Runs a document, and passes its output to a check.
async fn judged(service: &Service, document: &Value, judge: impl FnOnce(&std::path::Path, &Value)) {
    let job = service.completed(document).await;
    let folder = tempfile::tempdir().unwrap();
    let file = &job["output_files"]["output"];
    let path = folder.path().join(file["filename"].as_str().unwrap());
    service.download(&job["output"]["signedUrl"], &path).await;
    let size = std::fs::metadata(&path).unwrap().len() as f64 / 1e6;
    assert_eq!(file["size_mbytes"], json!(size));
    judge(&path, &job);
}

#[tokio::test]
async fn every_recipe_makes_what_it_says() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let clip = origin.url("counter-h264-aac.mp4");
    let make = |format: &str, recipe: Value| document(&clip, format, &recipe);
    let counts = |path: &std::path::Path| fixtures::judge::counters(path).len();
    let whole = counts(&fixtures::get("counter-h264-aac.mp4"));

    let trim = json!({ "name": "trim", "startSeconds": 1, "durationSeconds": 1 });
    judged(&service, &make("mp4", trim), |path, job| {
        let source = fixtures::get("counter-h264-aac.mp4");
        let times = fixtures::judge::frames(&source);
        let all = times.iter().zip(fixtures::judge::counters(&source));
        let kept = all.filter(|(frame, _)| (1.0..2.0).contains(&frame.pts));
        let kept: Vec<_> = kept.map(|(_, counter)| counter).collect();
        assert_eq!(fixtures::judge::counters(path), kept);
        assert_eq!(job["output_files"]["output"]["duration"], json!(1.0));
    })
    .await;
    for (format, recipe) in [
        ("mp4", json!({ "name": "proxy", "height": 120 })),
        ("mp4", json!({ "name": "compress", "crf": 30 })),
        ("webm", json!({ "name": "transcode" })),
        ("mp4", json!({ "name": "resize", "width": 160, "height": 90 })),
    ] {
        judged(&service, &make(format, recipe.clone()), |path, job| {
            assert_eq!(counts(path), whole, "{recipe}");
            assert!(fixtures::judge::decode_errors(path).is_empty(), "{recipe}");
            assert_eq!(job["output_files"]["output"]["file_format"], format);
            let video = fixtures::judge::probe(path).video().clone();
            assert_eq!(job["output_files"]["output"]["codec"], video.codec, "{recipe}");
            assert_eq!(job["output_files"]["output"]["width"], json!(video.width), "{recipe}");
        })
        .await;
    }
    judged(&service, &make("mp3", json!({ "name": "extractAudio" })), |path, job| {
        assert_eq!(job["strategy"], "copy", "{job}");
        assert_eq!(fixtures::judge::probe(path).of_kind("video").count(), 0);
    })
    .await;
    judged(&service, &thumbnail(&clip), |path, job| {
        assert_eq!(job["output_files"]["output"]["width"], json!(320));
        assert!(fixtures::judge::counters(path)[0].is_some());
    })
    .await;
    let joined = json!({
        "mode": "recipe", "input_files": { "in_1": clip, "in_2": clip },
        "output": { "format": "mp4" }, "recipe": { "name": "concat" },
    });
    judged(&service, &joined, |path, _| assert_eq!(counts(path), 2 * whole)).await;

    // Passthrough: the input is the output, or is copied on request.
    let job = service.completed(&make("mp4", json!({ "name": "webReady" }))).await;
    assert_eq!(job["strategy"], "passthrough", "{job}");
    assert_eq!(job["output"]["signedUrl"], json!(clip));
    judged(&service, &make("mp4", json!({ "name": "webReady", "store": true })), |path, job| {
        assert_eq!(job["strategy"], "passthrough", "{job}");
        let source = fixtures::get("counter-h264-aac.mp4");
        assert_eq!(std::fs::read(path).unwrap(), std::fs::read(source).unwrap());
    })
    .await;
    // Several outputs have keys of their own.
    let board = json!({ "name": "storyboard", "count": 4, "columns": 2, "width": 80 });
    let job = service.completed(&make("jpg", board)).await;
    let files = job["output_files"].as_object().unwrap();
    assert_eq!(files.keys().collect::<Vec<_>>(), ["out_sprite_1", "out_vtt"], "{job}");
    let custom = json!({
        "mode": "ffmpeg", "input": { "url": clip }, "output": { "format": "gif" },
        "ffmpeg": { "args": ["-i", "{{input}}", "-vf", "fps=8,scale=320:-1", "{{output}}"] },
    });
    let job = service.completed(&custom).await;
    assert_eq!(job["output_files"]["output"]["mime_type"], "image/gif", "{job}");
    assert_eq!(job["recipe"], Value::Null);
    // All files in the data folder are outputs of jobs.
    let work = left(service.data.path());
    assert!(work.iter().all(|path| path.starts_with("files/outputs")), "{work:?}");
}

#[tokio::test]
async fn a_plan_tells_what_would_be_done_and_keeps_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let clip = origin.url("counter-h264-aac.mkv");
    let asked = document(&clip, "mp4", &json!({ "name": "transcode" }));
    let (status, plan) = service.send("POST", "/v1/jobs/plan", &asked).await;
    assert_eq!((status, &plan["strategy"]), (200, &json!("remux")), "{plan}");
    assert!(plan["reasons"][0]["code"].is_string(), "{plan}");
    assert_eq!(plan["plan"]["outputs"][0]["location"], json!({ "path": "result.mp4" }), "{plan}");
    let (_, jobs) = service.get("/v1/jobs").await;
    assert_eq!(jobs["data"], json!([]));

    // A planning worker that has died is replaced.
    for worker in service.workers() {
        let id = nix::unistd::Pid::from_raw(worker);
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    let (status, again) = service.send("POST", "/v1/jobs/plan", &asked).await;
    assert_eq!((status, &again["strategy"]), (200, &json!("remux")), "{again}");

    for (name, code) in [("text.mp4", "INPUT_INVALID"), ("nowhere", "INPUT_UNREACHABLE")] {
        let url =
            if name == "nowhere" { "http://127.0.0.1:9/x".to_owned() } else { origin.url(name) };
        let (status, body) = service.send("POST", "/v1/jobs/plan", &thumbnail(&url)).await;
        assert_eq!((status, &body["error"]["code"]), (422, &json!(code)), "{body}");
    }
}

#[tokio::test]
async fn failures_say_where_and_why() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let variables =
        [("AVOCET_SERVE_MOST_PIXELS", "10000"), ("AVOCET_SERVE_MOST_MEDIA_SECONDS", "600")];
    let small = Service::start_with(&["--allow-private-network"], &variables);
    let (service, origin) = (Service::start(), Origin::start().await);
    let check = |job: Value, code: &str, stage: &str| {
        assert_eq!(job["state"], "failed", "{job}");
        let error = &job["error"];
        assert_eq!((&error["code"], &error["stage"]), (&json!(code), &json!(stage)), "{job}");
        assert!(job["progress"].as_i64().unwrap() < 100);
    };
    check(service.failed(&thumbnail(&origin.url("text.mp4"))).await, "INPUT_INVALID", "probe");
    check(service.failed(&thumbnail(&origin.media("none"))).await, "INPUT_UNREACHABLE", "fetch");
    let clip = origin.url("counter-h264-aac.mp4");
    check(small.failed(&thumbnail(&clip)).await, "LIMIT_EXCEEDED", "probe");
    check(
        small.failed(&thumbnail(&origin.url("three-hours.mkv"))).await,
        "LIMIT_EXCEEDED",
        "probe",
    );

    let refused = json!({
        "mode": "ffmpeg", "input": { "url": clip }, "output": { "format": "mp4" },
        "ffmpeg": { "args": ["-i", "/etc/passwd", "{{output}}"] },
    });
    let job = service.failed(&refused).await;
    assert_eq!(job["state"], "rejected", "{job}");
    assert_eq!(job["error"]["code"], "UNSUPPORTED_COMMAND", "{job}");
    assert_eq!((&job["attempts"], &job["startedAt"]), (&json!(0), &Value::Null), "{job}");
}

/// A job that takes much longer than a test.
fn long(origin: &Origin) -> Value {
    let recipe = json!({ "name": "transcode", "codec": "av1", "preset": 0 });
    document(&origin.url("counter-60s.mp4"), "mp4", &recipe)
}

#[tokio::test]
async fn jobs_are_cancelled_and_retried() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let service =
        Service::start_with(&["--allow-private-network"], &[("AVOCET_SERVE_WORKERS", "1")]);
    let origin = Origin::start().await;
    let (running, waiting) =
        (service.submit(&long(&origin)).await, service.submit(&long(&origin)).await);
    service.reaches(&running, "transcoding").await;
    let (status, job) =
        service.send("POST", &format!("/v1/jobs/{waiting}/cancel"), &json!({})).await;
    assert_eq!((status, &job["state"]), (202, &json!("cancelled")), "{job}");
    let asked = Instant::now();
    let (status, _) = service.send("POST", &format!("/v1/jobs/{running}/cancel"), &json!({})).await;
    assert_eq!(status, 202);
    let job = service.finished(&running).await;
    assert_eq!(job["state"], "cancelled", "{job}");
    // A second is promised, and the encode would take minutes. The limit allows for a busy machine.
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert_eq!(job.get("error"), None, "{job}");
    let (status, _) = service.send("POST", &format!("/v1/jobs/{running}/cancel"), &json!({})).await;
    assert_eq!(status, 409);

    let (status, job) =
        service.send("POST", &format!("/v1/jobs/{running}/retry"), &json!({})).await;
    assert_eq!((status, &job["state"], &job["progress"]), (202, &json!("queued"), &json!(0)));
    let (status, _) = service.send("POST", &format!("/v1/jobs/{running}/cancel"), &json!({})).await;
    assert_eq!(status, 202);
    assert_eq!(service.finished(&running).await["state"], "cancelled");
    let done = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let id = done["jobId"].as_str().unwrap();
    let (status, body) = service.send("POST", &format!("/v1/jobs/{id}/retry"), &json!({})).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("CONFLICT")));
    let outputs = left(service.data.path());
    assert_eq!(outputs.len(), 1, "{outputs:?}");
}

#[tokio::test]
async fn events_tell_every_change_and_end() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let recipe = json!({ "name": "transcode", "codec": "h264", "preset": "veryfast" });
    let clip = origin.url("counter-60s.mp4");
    let id = service.submit(&document(&clip, "mp4", &recipe)).await;
    let events = service.request("GET", &format!("/v1/jobs/{id}/events")).send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let text = events.text().await.unwrap();
    let jobs: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).unwrap())
        .collect();
    let progress: Vec<i64> = jobs.iter().map(|job| job["progress"].as_i64().unwrap()).collect();
    assert!(progress.is_sorted(), "{progress:?}");
    assert!(jobs.len() >= 3, "{progress:?}");
    assert_eq!(jobs.last().unwrap()["state"], "completed");
    assert_eq!(*progress.last().unwrap(), 100);
    // While an input is copied for probing, the state of its job is `planning`.
    let staged = service.submit(&thumbnail(&origin.url("slow/counter-h264-aac.mp4"))).await;
    let events = service.request("GET", &format!("/v1/jobs/{staged}/events")).send().await.unwrap();
    let text = events.text().await.unwrap();
    assert!(text.contains("\"planning\"") && text.contains("\"completed\""), "{text}");
    let again = service.request("GET", &format!("/v1/jobs/{id}/events")).send().await.unwrap();
    assert_eq!(again.text().await.unwrap().matches("data: ").count(), 1, "the end, once");
}

#[tokio::test]
async fn presets_lie_under_jobs() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let clip = origin.url("counter-h264-aac.mp4");
    let (_, starters) = service.get("/v1/presets/starters").await;
    assert_eq!(starters["data"].as_array().unwrap().len(), 11);
    let mut ids = Vec::new();
    for starter in starters["data"].as_array().unwrap() {
        let slug = starter["slug"].as_str().unwrap();
        let path = format!("/v1/presets/starters/{slug}/clone");
        let (status, preset) = service.send("POST", &path, &json!({})).await;
        assert_eq!((status, &preset["document"]), (201, &starter["document"]));
        let inputs = if slug.starts_with("merge") {
            json!({ "presetId": preset["id"], "input_files": { "in_1": clip, "in_2": clip } })
        } else {
            json!({ "presetId": preset["id"], "input": { "url": clip } })
        };
        ids.push(service.submit(&inputs).await);
    }
    for id in ids {
        let job = service.finished(&id).await;
        assert_eq!(job["state"], "completed", "{job}");
    }

    let thumbnail = json!({
        "name": "small", "document": { "mode": "recipe", "output": { "format": "png" },
        "recipe": { "name": "thumbnail", "width": 64 } },
    });
    let (status, preset) = service.send("POST", "/v1/presets", &thumbnail).await;
    assert_eq!(status, 201, "{preset}");
    let path = format!("/v1/presets/{}", preset["id"].as_str().unwrap());
    // Values of the job override those of the preset.
    let over = json!({ "presetId": preset["id"], "input": { "url": clip },
                       "recipe": { "width": 48 } });
    let job = service.completed(&over).await;
    assert_eq!(job["output_files"]["output"]["width"], json!(48), "{job}");
    assert_eq!(job["output_files"]["output"]["file_format"], "png", "{job}");
    let (status, changed) = service.send("PATCH", &path, &json!({ "name": "tiny" })).await;
    assert_eq!(
        (status, &changed["name"], &changed["document"]),
        (200, &json!("tiny"), &preset["document"])
    );
    for text in [json!("for lists"), json!(null)] {
        let (_, changed) = service.send("PATCH", &path, &json!({ "description": text })).await;
        assert_eq!((&changed["description"], &changed["name"]), (&text, &json!("tiny")));
    }
    let wrong = json!({ "document": { "mode": "recipe", "output": { "format": "png" },
                        "recipe": { "name": "thumbnail", "width": "x", "no": 1 } } });
    let (status, body) = service.send("PATCH", &path, &wrong).await;
    assert_eq!((status, body["error"]["problems"].as_array().unwrap().len()), (400, 2), "{body}");
    // A preset must obey the rules of documents; the order of its fields is kept.
    let twice = r#"{"name":"x","document":{"mode":"recipe","mode":"recipe"}}"#;
    let request = service.request("POST", "/v1/presets").header("content-type", "application/json");
    assert_eq!(crate::place::answer(request.body(twice)).await.0, 400);
    let ordered = r#"{"mode":"ffmpeg","output_files":{"out_2":"b.mp4","out_1":"a.mp4"},"ffmpeg":{"args":["-i","{{in_1}}","{{out_2}}","{{out_1}}"]}}"#;
    let text = format!(r#"{{"name":"y","document":{ordered}}}"#);
    let request = service.request("POST", "/v1/presets").header("content-type", "application/json");
    let kept = request.body(text).send().await.unwrap().text().await.unwrap();
    assert!(kept.contains(ordered), "{kept}");

    let keyed = || service.request("POST", "/v1/jobs").header("idempotency-key", "k").json(&over);
    let (_, first) = crate::place::answer(keyed()).await;
    assert_eq!(service.delete(&path).await.0, 204);
    assert_eq!(service.get(&path).await.0, 404);
    let (status, again) = crate::place::answer(keyed()).await;
    assert_eq!((status, &again["jobId"]), (202, &first["jobId"]), "{again}");
    let (status, body) = service.send("POST", "/v1/jobs", &over).await;
    assert_eq!((status, &body["error"]["problems"][0]["path"]), (400, &json!("presetId")));
}

#[tokio::test]
async fn jobs_are_listed_newest_first_in_pages() {
    let service = Service::start_with(&["--allow-private-network"], &[]);
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(service.submit(&thumbnail("http://127.0.0.1:9/none")).await);
    }
    ids.reverse();
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = service.get(&format!("/v1/jobs?limit=3{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        let data = page["data"].as_array().unwrap();
        assert!(data.len() <= 3);
        seen.extend(data.iter().map(|job| job["jobId"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let (_, none) = service.get("/v1/jobs?state=completed").await;
    assert_eq!(none, json!({ "data": [], "nextCursor": null }));
    let (_, same) = service.get("/api/v1/jobs?limit=1").await;
    assert_eq!(same["data"][0]["jobId"], json!(ids[0]));
}
