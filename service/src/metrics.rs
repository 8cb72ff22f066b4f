//! The metrics of a service, in the `OpenMetrics` text format that Prometheus reads.

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

/// The recipe label of jobs with custom arguments.
const CUSTOM: &str = "ffmpeg";

/// The upper bounds of the histogram of job durations, in seconds.
const SECONDS: [f64; 12] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 10_800.0];

/// How old the counts of jobs may be before they are read from the database again.
const COUNTED: Duration = Duration::from_secs(5);

/// All metrics of a service.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    jobs: Family<Jobs, Gauge>,
    queue: Gauge,
    seconds: Family<Jobs, Histogram>,
    counted: Mutex<Option<Instant>>,
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
        let mut metrics = Self {
            registry: Registry::with_prefix("avocet"),
            jobs: Family::default(),
            queue: Gauge::default(),
            seconds,
            counted: Mutex::default(),
            output_bytes: Counter::default(),
            worker_starts: Counter::default(),
            worker_crashes: Counter::default(),
            webhooks_delivered: Counter::default(),
            webhooks_failed: Counter::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("jobs", "Jobs that are kept, by state and recipe", metrics.jobs.clone());
        registry.register("queue_depth", "Jobs in the queue", metrics.queue.clone());
        let help = "Duration of attempts in seconds, by how they ended";
        registry.register("job_seconds", help, metrics.seconds.clone());
        for (name, help, counter) in [
            ("output_bytes", "Bytes of the outputs of completed jobs", &metrics.output_bytes),
            ("worker_starts", "Worker processes that were started", &metrics.worker_starts),
            ("worker_crashes", "Worker processes that died during a job", &metrics.worker_crashes),
            ("webhooks_delivered", "Webhooks that were delivered", &metrics.webhooks_delivered),
            ("webhooks_failed", "Delivery attempts that failed", &metrics.webhooks_failed),
        ] {
            registry.register(name, help, counter.clone());
        }
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

    /// All metrics as text. Jobs are counted once per [`COUNTED`] at most.
    pub(crate) async fn text(&self, store: &Store) -> Result<String, sqlx::Error> {
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
        let mut text = String::new();
        // Writing to a `String` does not fail.
        let _ = encode(&mut text, &self.registry);
        Ok(text)
    }
}
