//! Tells how jobs ended: from the outbox, signed, again and again until somebody hears it.

use std::{sync::atomic::Ordering, time::Duration};

use avocet_engine::Engine;
use rand::Rng;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    api::show_job,
    secret::{now, sign_webhook},
    service::Service,
    store::{AttemptRow, DeliveryRow, millis},
};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(15);

/// The pauses between tries, in seconds.
const PAUSES: &[i64] = &[5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// How long to wait when nothing is due.
const IDLE: Duration = Duration::from_secs(1);

/// Delivers what is due until the service ends.
pub(crate) async fn run(service: Service, engine: Engine) {
    while !service.is_ending() {
        let due = match service.store.next_delivery().await {
            Ok(due) => due.filter(|due| due.next_at <= millis()),
            Err(error) => {
                tracing::error!(%error, "no webhook can be read");
                None
            }
        };
        let Some(delivery) = due else {
            let _ = timeout(IDLE, service.webhooks.notified()).await;
            continue;
        };
        if let Err(error) = deliver(&service, &engine, &delivery).await {
            tracing::error!(%error, delivery = delivery.id, "a webhook could not be noted");
            tokio::time::sleep(IDLE).await;
        }
    }
}

/// Tries once, and notes how that ended.
async fn deliver(
    service: &Service,
    engine: &Engine,
    delivery: &DeliveryRow,
) -> Result<(), sqlx::Error> {
    let at = millis();
    let number = delivery.attempts + 1;
    let Some(job) = service.store.job(&delivery.job_id).await? else {
        let attempt = AttemptRow { number, at, status: None, error: None };
        return service.store.delivered(delivery, &attempt, "failed", at).await;
    };
    let body = json!({ "data": show_job(service, &job), "timestamp": at }).to_string();
    let seconds = now().as_secs();
    let secret = service.store.setting("webhookSecret").await?.unwrap_or_default();
    let signature = sign_webhook(&secret, &delivery.id, seconds, &body).unwrap_or_default();
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("webhook-id", delivery.id.clone()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signature),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value));
    let (engine, url) = (engine.clone(), delivery.url.clone());
    let sent = tokio::task::spawn_blocking(move || engine.post(&url, &headers, body, LIMIT)).await;
    let (status, error) = match sent {
        Ok(Ok(status)) => (Some(i64::from(status)), None),
        Ok(Err(error)) => (None, Some(error.to_string())),
        Err(error) => (None, Some(error.to_string())),
    };
    let attempt = AttemptRow { number, at, status, error };
    let pause = usize::try_from(delivery.attempts).ok().and_then(|tried| PAUSES.get(tried));
    let (state, next) = match (status, pause) {
        (Some(200..=299), _) => ("delivered", at),
        // It does not want to hear from us any more.
        (Some(410), _) | (_, None) => ("failed", at),
        (_, Some(pause)) => {
            // So that those who failed together do not come together.
            let vary = rand::rng().random_range(0.9..1.1);
            ("pending", at + vary_millis(*pause, vary))
        }
    };
    let count = if state == "delivered" {
        &service.counts.webhooks_sent
    } else {
        &service.counts.webhooks_failed
    };
    count.fetch_add(1, Ordering::Relaxed);
    service.store.delivered(delivery, &attempt, state, next).await
}

#[expect(clippy::cast_possible_truncation, reason = "pauses are hours at most")]
fn vary_millis(seconds: i64, vary: f64) -> i64 {
    (seconds as f64 * 1000.0 * vary) as i64
}
