//! No job is lost: killed services, killed workers, full queues, orderly shutdowns.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

use fixtures::wait::later::{lag, until, until_some};

use crate::place::{Origin, Receiver, Service, change, document, is_terminal, left, thumbnail};

/// Pseudorandom numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Submits jobs to a service that is killed repeatedly, with workers. Checks each job's end.
#[tokio::test]
async fn every_job_that_was_taken_on_ends_once() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let is_soak = fixtures::soak();
    let (jobs, kills) = if is_soak { (300, 20) } else { (60, 5) };
    let (origin, receiver) = (Origin::start().await, Receiver::start().await);
    let arguments = ["--allow-private-network"];
    let variables = [("AVOCET_SERVE_WORKERS", "2"), ("AVOCET_SERVE_THREADS", "2")];
    let mut service = Service::start_with(&arguments, &variables);
    let clip = origin.url("counter-h264-aac.mp4");
    let documents = [
        thumbnail(&clip),
        document(
            &clip,
            "mp4",
            &json!({ "name": "trim", "startSeconds": 0.5, "durationSeconds": 1 }),
        ),
        document(&clip, "mkv", &json!({ "name": "transcode" })),
        document(&clip, "mp3", &json!({ "name": "extractAudio" })),
        thumbnail(&origin.url("text.mp4")),
    ];
    let mut documents: Vec<Value> = documents.into();
    documents.remove(2);
    for each in &mut documents {
        each["webhookUrl"] = json!(receiver.url);
    }
    let mut dice = Dice(11);
    let (mut ids, mut killed) = (Vec::new(), 0);
    for number in 0..jobs {
        let which = usize::try_from(dice.below(documents.len() as u64)).unwrap();
        ids.push((service.submit(&documents[which]).await, which));
        if number * kills / jobs >= killed {
            killed += 1;
            lag(Duration::from_millis(dice.below(700))).await;
            for worker in service.workers().into_iter().take(1) {
                let _ = kill(Pid::from_raw(worker), Signal::SIGKILL);
            }
            lag(Duration::from_millis(dice.below(400))).await;
            service = Service::start_in(service.kill(), &arguments, &variables);
        }
    }
    let mut states: BTreeMap<String, Value> = BTreeMap::new();
    for (id, which) in &ids {
        let job = service.finished(id).await;
        // Only the last document has an input that is no media.
        let is_sound = *which + 1 < documents.len();
        let crashed = job["error"]["code"] == "ENGINE_INVOCATION_ERROR";
        let expected = if is_sound { "completed" } else { "failed" };
        assert!(job["state"] == expected || crashed, "{job}");
        assert!(!crashed || job["attempts"].as_i64().unwrap() >= 2, "{job}");
        states.insert(id.clone(), job);
    }
    let is_crashed = |job: &&Value| job["error"]["code"] == "ENGINE_INVOCATION_ERROR";
    let crashed: Vec<&Value> = states.values().filter(is_crashed).collect();
    println!("{jobs} jobs, {killed} kills, {} were killed twice: {crashed:?}", crashed.len());

    // Each completed job has one output, and there are no other files.
    let expected: BTreeSet<PathBuf> = states
        .iter()
        .filter(|(_, job)| job["state"] == "completed")
        .map(|(id, job)| {
            let format = job["output_files"]["output"]["file_format"].as_str().unwrap();
            PathBuf::from(format!("files/outputs/{id}/result.{format}"))
        })
        .collect();
    let data = Arc::clone(&service.data);
    let found = || left(data.path()).into_iter().collect::<BTreeSet<_>>();
    until("what failed jobs left is removed", || found().is_subset(&expected)).await;
    assert_eq!(found(), expected);

    // Each end is told by a webhook, and no id stands for two different ends.
    until("all ends are told", || {
        let heard = receiver.heard();
        let told: BTreeSet<String> =
            heard.iter().map(|heard| heard.job()["jobId"].as_str().unwrap().to_owned()).collect();
        told.len() == ids.len()
    })
    .await;
    let mut ends: BTreeMap<String, (Value, Value)> = BTreeMap::new();
    for heard in receiver.heard() {
        let job = heard.job();
        assert!(is_terminal(&job), "{job}");
        let end = (job["jobId"].clone(), job["finishedAt"].clone());
        let known = ends.entry(heard.id().to_owned()).or_insert_with(|| end.clone());
        assert_eq!(*known, end);
        assert_eq!(states[job["jobId"].as_str().unwrap()]["state"], job["state"]);
    }
    assert_eq!(ends.len(), ids.len(), "one event for each job");
}

/// Whether a process has ended; one that nobody has waited for yet counts.
fn has_ended(process: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat"));
    state.map_or(true, |state| {
        state.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
    })
}

#[tokio::test]
async fn a_crashed_worker_fails_its_attempt_only() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let variables = [("AVOCET_SERVE_WORKERS", "2"), ("AVOCET_SERVE_THREADS", "2")];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let origin = Origin::start().await;
    let recipe = json!({ "name": "transcode", "codec": "av1", "preset": 0 });
    let victim = service.submit(&document(&origin.url("counter-60s.mp4"), "mp4", &recipe)).await;
    let running = async |attempts: i64| {
        until_some("it runs", async || {
            let (_, job) = service.get(&format!("/v1/jobs/{victim}")).await;
            assert!(!is_terminal(&job), "{job}");
            let is_so = job["state"] == "transcoding" && job["attempts"] == json!(attempts);
            is_so.then_some(())
        })
        .await;
    };
    for attempt in 1..=2 {
        running(attempt).await;
        // Rust's handler of stack overflows takes the first signal, and lets the next one through.
        // A real fault would occur again at once.
        for worker in service.workers() {
            let has_ended = || {
                let _ = kill(Pid::from_raw(worker), Signal::SIGSEGV);
                has_ended(worker)
            };
            until("the worker has ended", has_ended).await;
        }
        // The job next to it goes on, with a new worker.
        service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    }
    let job = service.finished(&victim).await;
    assert_eq!((&job["state"], &job["attempts"]), (&json!("failed"), &json!(2)), "{job}");
    assert_eq!(job["error"]["code"], "ENGINE_INVOCATION_ERROR", "{job}");
    assert_eq!(job["error"]["retryable"], json!(true), "{job}");
    let text = service.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    // Workers that are killed while they are idle do not count.
    assert!(text.contains("\navocet_worker_crashes_total 2\n"), "{text}");
}

#[tokio::test]
async fn a_worker_that_takes_no_job_is_replaced() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let variables = [("AVOCET_SERVE_WORKERS", "1")];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let origin = Origin::start().await;
    let clip = origin.url("counter-h264-aac.mp4");
    service.completed(&thumbnail(&clip)).await;
    for worker in service.workers() {
        kill(Pid::from_raw(worker), Signal::SIGSTOP).unwrap();
    }
    service.completed(&thumbnail(&clip)).await;
    // The same with an order that is larger than a pipe's buffer.
    for worker in service.workers() {
        kill(Pid::from_raw(worker), Signal::SIGSTOP).unwrap();
    }
    let long = format!("{clip}?{}", "x".repeat(4000));
    let inputs = (1..=40).map(|number| (format!("in_{number}"), json!(long)));
    let joined = json!({
        "mode": "recipe", "input_files": inputs.collect::<serde_json::Map<_, _>>(),
        "output": { "format": "mp4" }, "recipe": { "name": "concat" },
    });
    service.completed(&joined).await;
}

#[tokio::test]
async fn an_ordered_end_gives_jobs_back_and_the_next_start_goes_on() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let variables = [("AVOCET_SERVE_WORKERS", "1")];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let origin = Origin::start().await;
    let recipe = json!({ "name": "transcode", "codec": "h264", "preset": "medium" });
    let slow = service.submit(&document(&origin.url("counter-60s.mp4"), "mp4", &recipe)).await;
    let waits = service.submit(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    service.reaches(&slow, "transcoding").await;
    let begun = std::time::Instant::now();
    let (status, data) = service.end();
    assert_eq!(status, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    // A second service refuses the data folder of a running one.
    let service = Service::start_in(Arc::clone(&data), &["--allow-private-network"], &variables);
    let other = std::process::Command::new(fixtures::program!())
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(1));
    let told = String::from_utf8_lossy(&other.stderr);
    assert!(told.contains("another service") && told.contains("[CONFIG_ERROR]"), "{told}");
    for id in [&slow, &waits] {
        let job = service.finished(id).await;
        assert_eq!(job["state"], "completed", "{job}");
    }
    assert_eq!(service.get(&format!("/v1/jobs/{slow}")).await.1["attempts"], json!(2));
}

#[tokio::test]
async fn a_disk_without_room_takes_no_job_and_loses_none() {
    let most = u64::MAX.to_string();
    let variables = [("AVOCET_SERVE_LEAST_FREE_BYTES", most[..18].to_owned())];
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let response = service.request("POST", "/v1/jobs").json(&thumbnail("http://127.0.0.1:9/a"));
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "60");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "UNAVAILABLE");
    assert_eq!(service.get("/readyz").await.0, 503);
    assert_eq!(service.get("/healthz").await.0, 200);
    assert_eq!(service.get("/v1/jobs").await.1["data"], json!([]));
}

#[tokio::test]
async fn outputs_are_kept_as_long_as_the_configuration_says() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let job = service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
    let (_, data) = service.end();
    // Let five days pass since the first of them, and two since the other.
    let old = "UPDATE jobs SET finished_at = finished_at - 5 * 24 * 3600 * 1000
               WHERE finished_at = (SELECT MIN(finished_at) FROM jobs)";
    let new = "UPDATE jobs SET finished_at = finished_at - 2 * 24 * 3600 * 1000
               WHERE finished_at = (SELECT MAX(finished_at) FROM jobs)";
    change(data.path(), old).await;
    change(data.path(), new).await;
    let variables = [("AVOCET_SERVE_RETENTION_DAYS", "3")];
    let service = Service::start_in(data, &["--allow-private-network"], &variables);
    until("the older output goes", || left(service.data.path()).len() < 2).await;
    assert_eq!(left(service.data.path()).len(), 1);
    let (_, data) = service.end();
    let variables = [("AVOCET_SERVE_RETENTION_DAYS", "1")];
    let service = Service::start_in(data, &["--allow-private-network"], &variables);
    let path = format!("/v1/jobs/{}", job["jobId"].as_str().unwrap());
    let job = until_some("the output goes", async || {
        let (_, job) = service.get(&path).await;
        job["output"]["signedUrl"].is_null().then_some(job)
    })
    .await;
    assert_eq!(job["state"], "completed", "{job}");
    assert!(left(service.data.path()).is_empty(), "{:?}", left(service.data.path()));
    assert!(fs::read_dir(service.data.path().join("files/outputs")).unwrap().count() == 0);
}

#[tokio::test]
async fn a_service_that_is_asked_to_end_lets_jobs_end_first() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let service = Service::start_with(
        &["--allow-private-network"],
        &[("AVOCET_SERVE_DRAIN_SECONDS", "60"), ("AVOCET_SERVE_WORKERS", "1")],
    );
    let origin = Origin::start().await;
    let slow = document(
        &origin.url("slow/counter-h264-aac.mp4"),
        "mp4",
        &json!({ "name": "proxy", "height": 120 }),
    );
    let (running, waiting) = (service.submit(&slow).await, service.submit(&slow).await);
    service.reaches(&running, "planning").await;
    let (status, data) = tokio::task::spawn_blocking(move || service.end()).await.unwrap();
    assert_eq!(status, Some(0));
    let service = Service::start_in(data, &["--allow-private-network"], &[]);
    let (_, job) = service.get(&format!("/v1/jobs/{running}")).await;
    assert_eq!((&job["state"], &job["attempts"]), (&json!("completed"), &json!(1)), "{job}");
    assert_eq!(service.finished(&waiting).await["state"], "completed");
}
