//! The metrics of a service, in the text formats that Prometheus reads.

use std::time::{Duration, Instant};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use tokio::sync::Mutex;

use crate::store::{State, Store};

/// The labels of a figure: the state and the recipe of the jobs that it counts.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Jobs {
    state: String,
    recipe: String,
}

/// The labels of requests. The path is the one of the API's description, as in `/v1/jobs/{id}`.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Requests {
    method: String,
    path: String,
    status: u16,
}

/// The label of the figure that tells which build runs.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Build {
    version: String,
}

/// The recipe label of jobs with custom arguments.
const CUSTOM: &str = "ffmpeg";

/// The upper bounds of the histograms of job durations and of the wait for a worker, in seconds.
const SECONDS: [f64; 12] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 10_800.0];

/// The upper bounds of the histogram of answers, in seconds.
const TO_ANSWER: [f64; 9] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0];

/// How old the counts of jobs may be before they are read from the database again.
const COUNTED: Duration = Duration::from_secs(5);

/// All metrics of a service.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    jobs: Family<Jobs, Gauge>,
    queue: Gauge,
    backlog: Gauge,
    free: Gauge,
    confined: Gauge,
    seconds: Family<Jobs, Histogram>,
    requests: Family<Requests, Histogram>,
    counted: Mutex<Option<Instant>>,
    waited: Histogram,
    pub(crate) busy_workers: Gauge,
    pub(crate) output_bytes: Counter,
    pub(crate) worker_starts: Counter,
    pub(crate) worker_crashes: Counter,
    pub(crate) webhooks_delivered: Counter,
    pub(crate) webhooks_failed: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds: Family<Jobs, Histogram> =
            Family::new_with_constructor(|| Histogram::new(SECONDS));
        let requests: Family<Requests, Histogram> =
            Family::new_with_constructor(|| Histogram::new(TO_ANSWER));
        let mut metrics = Self {
            registry: Registry::with_prefix("avocet"),
            jobs: Family::default(),
            queue: Gauge::default(),
            backlog: Gauge::default(),
            free: Gauge::default(),
            confined: Gauge::default(),
            seconds,
            requests,
            counted: Mutex::default(),
            waited: Histogram::new(SECONDS),
            busy_workers: Gauge::default(),
            output_bytes: Counter::default(),
            worker_starts: Counter::default(),
            worker_crashes: Counter::default(),
            webhooks_delivered: Counter::default(),
            webhooks_failed: Counter::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("jobs", "Jobs that are kept, by state and recipe", metrics.jobs.clone());
        let help = "Duration of attempts in seconds, by how they ended";
        registry.register("job_seconds", help, metrics.seconds.clone());
        let help = "Wait of jobs for a worker in seconds, from when they were due";
        registry.register("queue_wait_seconds", help, metrics.waited.clone());
        let help = "Duration of requests in seconds, up to the head of the answer";
        registry.register("http_request_seconds", help, metrics.requests.clone());
        for (name, help, gauge) in [
            ("queue_depth", "Jobs in the queue", &metrics.queue),
            ("webhook_backlog", "Webhooks that are not delivered yet", &metrics.backlog),
            ("busy_workers", "Workers that run a job", &metrics.busy_workers),
            ("disk_free_bytes", "Free space in the data folder in bytes", &metrics.free),
            (
                "confined",
                "Whether all of the confinement of workers is enforced",
                &metrics.confined,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        for (name, help, counter) in [
            ("output_bytes", "Bytes of the outputs of completed jobs", &metrics.output_bytes),
            ("worker_starts", "Worker processes that were started", &metrics.worker_starts),
            ("worker_crashes", "Worker processes that died during a job", &metrics.worker_crashes),
            ("webhooks_delivered", "Webhooks that were delivered", &metrics.webhooks_delivered),
            ("webhooks_failed", "Delivery attempts that failed", &metrics.webhooks_failed),
        ] {
            registry.register(name, help, counter.clone());
        }
        let build = Family::<Build, Gauge>::default();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        build.get_or_create(&Build { version }).set(1);
        registry.register("build_info", "The build that runs, always 1", build);
        metrics
    }
}

fn recipe(recipe: Option<&str>) -> String {
    recipe.unwrap_or(CUSTOM).to_owned()
}

impl Metrics {
    /// Notes that an attempt of a job ended in a state, and how many seconds it took.
    pub(crate) fn ended(&self, state: State, name: Option<&str>, seconds: f64) {
        let jobs = Jobs { state: state.name().to_owned(), recipe: recipe(name) };
        self.seconds.get_or_create(&jobs).observe(seconds);
    }

    /// Notes how long a job waited for a worker, in milliseconds.
    pub(crate) fn waited(&self, millis: i64) {
        self.waited.observe(millis.max(0) as f64 / 1000.0);
    }

    /// Notes whether all of the confinement of workers is enforced.
    pub(crate) fn confined(&self, is_confined: bool) {
        self.confined.set(is_confined.into());
    }

    /// Notes the answer to a request of a path of the API, and how long it took.
    pub(crate) fn answered(&self, method: &str, path: &str, status: u16, after: Duration) {
        // Anybody may send any word as a method.
        let known = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"].contains(&method);
        let method = if known { method } else { "other" }.to_owned();
        let path = path.to_owned();
        let requests = Requests { method, path, status };
        self.requests.get_or_create(&requests).observe(after.as_secs_f64());
    }

    /// All metrics as text, in the format of `OpenMetrics` or in that of Prometheus. Jobs are counted
    /// once per [`COUNTED`] at most. `free` is the free space in bytes, where it is known.
    pub(crate) async fn text(
        &self,
        store: &Store,
        free: Option<u64>,
        is_open: bool,
    ) -> Result<String, sqlx::Error> {
        let mut counted = self.counted.lock().await;
        if counted.is_none_or(|at| at.elapsed() > COUNTED) {
            self.jobs.clear();
            for (state, name, count) in store.counts().await? {
                let jobs = Jobs { state: state.name().to_owned(), recipe: recipe(name.as_deref()) };
                self.jobs.get_or_create(&jobs).set(count);
            }
            *counted = Some(Instant::now());
        }
        drop(counted);
        self.queue.set(store.queued().await?);
        self.backlog.set(store.backlog().await?);
        self.free.set(free.map_or(0, |free| i64::try_from(free).unwrap_or(i64::MAX)));
        let mut text = String::new();
        // Writing to a `String` does not fail.
        let _ = encode(&mut text, &self.registry);
        Ok(if is_open { text } else { plain(&text) })
    }
}

/// Metrics in the text format of Prometheus, of those in the format of `OpenMetrics`: there the name of
/// a counter ends in `_total` in its description, too, and no line marks the end.
fn plain(text: &str) -> String {
    let counters: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut plain = String::with_capacity(text.len() + 64);
    for line in text.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let line = match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(kind), Some(name), Some(rest)) if counters.contains(&name) => {
                format!("# {kind} {name}_total {rest}")
            }
            _ => line.to_owned(),
        };
        plain.push_str(&line);
        plain.push('\n');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_prometheus_have_their_whole_name_in_the_description() {
        let text =
            "# HELP a_b Bytes.\n# TYPE a_b counter\na_b_total 5\n# TYPE c gauge\nc 1\n# EOF\n";
        let expected =
            "# HELP a_b_total Bytes.\n# TYPE a_b_total counter\na_b_total 5\n# TYPE c gauge\nc 1\n";
        assert_eq!(plain(text), expected);
    }
}
