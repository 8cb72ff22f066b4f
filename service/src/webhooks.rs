//! Tells how jobs ended: from the outbox, signed, again and again until somebody hears it.

use std::time::Duration;

use avocet_engine::Engine;
use rand::Rng;
use serde_json::json;

use crate::{
    due,
    model::secret::{now, sign_webhook},
    service::Service,
    store::{AttemptRow, DeliveryRow, JobRow, Outcome, millis},
    view,
};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(15);

/// How long a delivery is nobody else's, in milliseconds: longer than an answer may take.
const LEASE: i64 = 30_000;

/// The pauses between tries, in seconds.
const PAUSES: &[i64] = &[5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];

/// How long the secret before the last rotation still signs, in milliseconds.
const OVERLAP: i64 = 24 * 3600 * 1000;

/// Delivers what is due until the service ends.
pub(crate) async fn run(service: Service, engine: Engine) {
    let take = || service.store.take_delivery(LEASE);
    let attend_to = |delivery: DeliveryRow| {
        let (service, engine) = (service.clone(), engine.clone());
        async move {
            if let Err(error) = deliver(&service, engine, &delivery).await {
                // It is due again when the lease is over.
                tracing::error!(%error, id = delivery.id, "a webhook could not be noted");
            }
        }
    };
    due::attend(&service, "webhooks", &service.webhooks, take, attend_to).await;
}

/// Tries once, and notes how that ended.
async fn deliver(
    service: &Service,
    engine: Engine,
    delivery: &DeliveryRow,
) -> Result<(), sqlx::Error> {
    let at = millis();
    let (status, error) = match send(service, engine, delivery, at).await? {
        Ok(status) => (Some(i64::from(status)), None),
        Err(error) => (None, Some(error)),
    };
    let pause = usize::try_from(delivery.attempts).ok().and_then(|tried| PAUSES.get(tried));
    let outcome = match (status, pause) {
        (Some(200..=299), _) => Outcome::Delivered,
        // It does not want to hear from us any more.
        (Some(410), _) | (_, None) => Outcome::Failed,
        (_, Some(pause)) => {
            // So that those who failed together do not come together.
            let vary = rand::rng().random_range(900..1100);
            Outcome::Again { at: at + pause * vary }
        }
    };
    let metrics = &service.metrics;
    if outcome == Outcome::Delivered {
        metrics.webhooks_delivered.inc();
    } else {
        metrics.webhooks_failed.inc();
        tracing::info!(id = delivery.id, status, error, "a webhook was not taken");
    }
    let attempt = AttemptRow { number: delivery.attempts + 1, at, status, error };
    service.store.delivered(delivery, &attempt, outcome).await
}

/// Sends a webhook, and tells the status of the answer, or why there is none.
async fn send(
    service: &Service,
    engine: Engine,
    delivery: &DeliveryRow,
    at: i64,
) -> Result<Result<u16, String>, sqlx::Error> {
    let job: JobRow = match serde_json::from_str(&delivery.job) {
        Ok(job) => job,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let body = json!({ "data": view::job(service, &job).await, "timestamp": at }).to_string();
    let (id, seconds) = (&delivery.id, now().as_secs());
    let signatures: Vec<String> = secrets(service)
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
    let sent = tokio::task::spawn_blocking(move || engine.post(&url, &headers, body, LIMIT)).await;
    Ok(match sent {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    })
}

/// What webhooks are signed with: the secret, and for a while the one before it.
async fn secrets(service: &Service) -> Result<Vec<String>, sqlx::Error> {
    let secret = service.store.setting("webhookSecret").await?;
    let before = service.store.setting("webhookSecretBefore").await?;
    let before = before.as_deref().and_then(|text| text.split_once(' '));
    let before = before
        .filter(|(since, _)| since.parse::<i64>().is_ok_and(|since| millis() - since < OVERLAP));
    Ok(secret.into_iter().chain(before.map(|(_, secret)| secret.to_owned())).collect())
}
