//! Delivers webhooks from the outbox: signed, and repeated until a receiver accepts them or the
//! tries are used up.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use avocet_engine::Elsewhere;
use rand::Rng;
use serde_json::json;

use crate::{
    due,
    model::{
        clock::millis,
        secret::{now, sign_webhook},
    },
    service::Service,
    store::{AttemptRow, DeliveryRow, JobRow, Outcome},
    view,
};

/// How long a receiver may take to answer.
const LIMIT: Duration = Duration::from_secs(15);

/// How long a taken delivery is reserved, in milliseconds. It must exceed [`LIMIT`], so that no
/// delivery is sent twice while an answer may still come.
const LEASE: i64 = 30_000;

/// The pauses between tries, in seconds.
const PAUSES: &[i64] = &[5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// How long webhooks are also signed with the secret before the last rotation, in milliseconds.
const OVERLAP: i64 = 24 * 3600 * 1000;

/// How many webhooks are sent at the same time.
const AT_ONCE: usize = 256;

/// How many are sent to one host at the same time, while [`FREE`] or fewer are sent in all. Above that
/// it is one, so that hosts that do not answer leave room for those that do.
const TO_A_HOST: usize = 4;

/// See [`TO_A_HOST`].
const FREE: usize = AT_ONCE / 4;

/// How many webhooks are being sent to each host.
#[derive(Debug, Default)]
struct InFlight(Mutex<HashMap<String, usize>>);

impl InFlight {
    fn hosts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hosts that get no more for now.
    fn busy(&self) -> Vec<String> {
        let hosts = self.hosts();
        let all: usize = hosts.values().sum();
        let most = if all <= FREE { TO_A_HOST } else { 1 };
        let busy = hosts.iter().filter(|(_, count)| **count >= most);
        busy.map(|(host, _)| host.clone()).collect()
    }

    /// Counts a webhook to a host until what is returned is dropped.
    fn add(self: &Arc<Self>, host: &str) -> ToHost {
        *self.hosts().entry(host.to_owned()).or_default() += 1;
        ToHost { all: Arc::clone(self), host: host.to_owned() }
    }
}

/// A webhook that is being sent to a host; it is counted until it is dropped, by a panic, too.
#[derive(Debug)]
struct ToHost {
    all: Arc<InFlight>,
    host: String,
}

impl Drop for ToHost {
    fn drop(&mut self) {
        let mut hosts = self.all.hosts();
        if let Some(count) = hosts.get_mut(&self.host) {
            *count -= 1;
        }
        hosts.retain(|_, count| *count > 0);
    }
}

/// Delivers what is due until the service ends.
pub(crate) async fn run(service: Service, elsewhere: Elsewhere) {
    let in_flight = Arc::<InFlight>::default();
    let take = || async {
        let taken = service.store.take_delivery(&in_flight.busy(), LEASE).await?;
        Ok(taken.map(|delivery: DeliveryRow| {
            let counted = in_flight.add(&delivery.host);
            (delivery, counted)
        }))
    };
    let attend_to = |(delivery, counted): (DeliveryRow, ToHost)| {
        let (service, elsewhere) = (service.clone(), elsewhere.clone());
        async move {
            if let Err(error) = deliver(&service, elsewhere, &delivery).await {
                // The delivery is due again when its lease has run out.
                tracing::error!(%error, id = delivery.id, "a delivery could not be stored");
            }
            drop(counted);
            // Another one to the same host may be due.
            service.webhooks.notify_one();
        }
    };
    due::attend(&service, "webhooks", &service.webhooks, AT_ONCE, take, attend_to).await;
}

/// Tries a delivery once, and notes the outcome.
async fn deliver(
    service: &Service,
    elsewhere: Elsewhere,
    delivery: &DeliveryRow,
) -> Result<(), sqlx::Error> {
    let at = millis();
    let (status, error) = match send(service, elsewhere, delivery, at).await? {
        Ok(status) => (Some(i64::from(status)), None),
        Err(error) => (None, Some(error)),
    };
    let pause = usize::try_from(delivery.attempts).ok().and_then(|tried| PAUSES.get(tried));
    let outcome = match (status, pause) {
        (Some(200..=299), _) => Outcome::Delivered,
        // 410 Gone: the receiver wants no more webhooks.
        (Some(410), _) | (_, None) => Outcome::Failed,
        (_, Some(pause)) => {
            // Vary the pause by 10 %, so that simultaneous failures are not repeated together.
            let vary = rand::rng().random_range(900..1100);
            Outcome::Again { at: at + pause * vary }
        }
    };
    let metrics = &service.metrics;
    if outcome == Outcome::Delivered {
        metrics.webhooks_delivered.inc();
    } else {
        metrics.webhooks_failed.inc();
        tracing::info!(id = delivery.id, status, error, "a webhook was not delivered");
    }
    let attempt = AttemptRow { number: delivery.attempts + 1, at, status, error };
    service.store.delivered(delivery, &attempt, outcome).await
}

/// Sends a webhook; returns the status of the answer, or why there is none.
async fn send(
    service: &Service,
    elsewhere: Elsewhere,
    delivery: &DeliveryRow,
    at: i64,
) -> Result<Result<u16, String>, sqlx::Error> {
    let job: JobRow = match serde_json::from_str(&delivery.job) {
        Ok(job) => job,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let body = json!({ "data": view::job(service, &job).await, "timestamp": at }).to_string();
    let (id, seconds) = (&delivery.id, now().as_secs());
    let signatures: Vec<String> = secrets(service, &job.project)
        .await?
        .iter()
        .filter_map(|secret| sign_webhook(secret, id, seconds, &body))
        .collect();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", id.clone()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value));
    let url = delivery.url.clone();
    let sent =
        tokio::task::spawn_blocking(move || elsewhere.post(&url, &headers, body, LIMIT)).await;
    Ok(match sent {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    })
}

/// The secrets that sign webhooks of a project: the current one, and the previous one for [`OVERLAP`].
async fn secrets(service: &Service, project: &str) -> Result<Vec<String>, sqlx::Error> {
    let secret = service.store.setting(project, "webhookSecret").await?;
    let before = service.store.setting(project, "webhookSecretBefore").await?;
    let before = before.as_deref().and_then(|text| text.split_once(' '));
    let before = before
        .filter(|(since, _)| since.parse::<i64>().is_ok_and(|since| millis() - since < OVERLAP));
    Ok(secret.into_iter().chain(before.map(|(_, secret)| secret.to_owned())).collect())
}
