//! Long queues: the latency, throughput and memory of the service. They run with `AVOCET_SOAK` and
//! print what they measure. The asserted limits are wide, since machines are shared.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use fixtures::wait::later::until_some_within;

use crate::place::{Origin, Service, document, memory, thumbnail};

/// The value below which a percentage of the times lies.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort();
    times[(times.len() - 1) * percent / 100]
}

/// How many thumbnails per second a shell loop with the ffmpeg program makes.
async fn by_shell(url: &str) -> f64 {
    const COUNT: u32 = 20;
    let folder = tempfile::tempdir().unwrap();
    let line = format!(
        "for i in $(seq {COUNT}); do ffmpeg -v error -nostdin -ss 1 -i {url} -frames:v 1 \
         -vf scale=320:-2 -q:v 3 $i.jpg || exit 1; done"
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &line]).current_dir(folder.path());
    let begun = Instant::now();
    let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
    assert!(status.success());
    f64::from(COUNT) / begun.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_queue_leaves_the_service_quick() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let count = if fixtures::soak() { 10_000 } else { 200 };
    let variables = [("AVOCET_SERVE_WORKERS", "2"), ("AVOCET_SERVE_THREADS", "2")];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let origin = Origin::start().await;
    // Both workers encode while the queue grows.
    let recipe = json!({ "name": "transcode", "codec": "av1", "preset": 0 });
    let long = document(&origin.url("counter-60s.mp4"), "mp4", &recipe);
    let busy = [service.submit(&long).await, service.submit(&long).await];
    let job = thumbnail(&origin.url("counter-h264-aac.mp4"));
    let (begun, before) = (Instant::now(), memory(service.id()));
    let (mut posts, mut gets, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let asked = Instant::now();
        ids.push(service.submit(&job).await);
        posts.push(asked.elapsed());
        if number % 5 == 0 {
            let asked = Instant::now();
            service.get(&format!("/v1/jobs/{}", ids[number / 2])).await;
            gets.push(asked.elapsed());
        }
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    let (post, get) = (percentile(&mut posts, 99), percentile(&mut gets, 99));
    println!(
        "{count} jobs, {rate:.0} submissions per second one after the other, POST median {:?} p99 \
         {post:?}, GET median {:?} p99 {get:?}, memory {before} → {} MiB",
        percentile(&mut posts, 50),
        percentile(&mut gets, 50),
        memory(service.id()),
    );
    assert!(post < Duration::from_millis(500) && get < Duration::from_millis(200));

    for id in busy {
        service.send("POST", &format!("/v1/jobs/{id}/cancel"), &json!({})).await;
    }
    let (begun, full) = (Instant::now(), memory(service.id()));
    until_some_within(Duration::from_secs(600), "no job waits", async || {
        let (_, waiting) = service.get("/v1/jobs?state=queued&limit=1").await;
        (waiting["data"] == json!([])).then_some(())
    })
    .await;
    let text = service.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    let done = "avocet_jobs{state=\"completed\",recipe=\"thumbnail\"} ";
    let line = text.lines().find_map(|line| line.strip_prefix(done));
    let done = line.map_or(0, |count| count.parse::<u64>().unwrap());
    let ours = done as f64 / begun.elapsed().as_secs_f64();
    let shell = by_shell(&origin.url("counter-h264-aac.mp4")).await;
    println!("a loop of ffmpeg makes {shell:.1} per second; ratio {:.2}", ours / shell);
    println!("{ours:.1} thumbnails per second, memory {full} → {} MiB", memory(service.id()));
    assert!(memory(service.id()) < full + 64, "it grows with what it did");
    for id in ids.iter().step_by(97) {
        assert_eq!(service.finished(id).await["state"], "completed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_hold_nobody_up() {
    let is_soak = fixtures::soak();
    let count = if is_soak { 1100 } else { 60 };
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).unwrap();
    let service = Service::start();
    let address = service.base.strip_prefix("http://").unwrap();
    // The answers are far more than sockets hold, so that the service can not write them.
    let requests = format!("GET /openapi.json HTTP/1.1\r\nHost: {address}\r\n\r\n").repeat(100);
    let (mut deaf, mut coming, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..count {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(requests.as_bytes()).await.unwrap();
        deaf.push(client);
        if number % 10 == 0 {
            let asked = Instant::now();
            assert_eq!(service.get("/healthz").await.0, 200);
            coming.push(asked.elapsed());
        }
    }
    for _ in 0..100 {
        let asked = Instant::now();
        assert_eq!(service.get("/healthz").await.0, 200);
        times.push(asked.elapsed());
    }
    for (when, times) in [("while they came", &mut coming), ("since", &mut times)] {
        println!(
            "{count} clients that do not read, {when}: /healthz median {:?} p99 {:?} longest {:?}",
            percentile(times, 50),
            percentile(times, 99),
            percentile(times, 100),
        );
        assert!(!is_soak || percentile(times, 100) < Duration::from_secs(5));
    }
    println!("memory {} MiB", memory(service.id()));
    assert_eq!(deaf.len(), count);
}
