//! Removes outputs of attempts that came to nothing.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Semaphore, time::sleep};

use crate::{service::Service, store::Leftover};

/// How long to wait when there is nothing to remove.
const IDLE: Duration = Duration::from_secs(1);

/// How many are being removed at once.
const AT_ONCE: usize = 4;

/// The pauses between tries, in milliseconds.
const PAUSES: &[i64] = &[10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000];

/// Removes leftovers until the service ends.
pub(crate) async fn run(service: Service) {
    let hands = Arc::new(Semaphore::new(AT_ONCE));
    while !service.is_ending() {
        let Ok(hand) = Arc::clone(&hands).acquire_owned().await else { return };
        match service.store.take_leftover().await {
            Ok(Some(leftover)) => {
                let service = service.clone();
                tokio::spawn(async move {
                    if let Err(error) = remove(&service, &leftover).await {
                        // It is taken again after the next start.
                        tracing::error!(%error, job = leftover.job_id, "a removal was not noted");
                    }
                    // The job may have waited for that.
                    service.wake();
                    drop(hand);
                });
            }
            Ok(None) => sleep(IDLE).await,
            Err(error) => {
                tracing::error!(%error, "no leftovers can be read");
                sleep(IDLE).await;
            }
        }
    }
}

async fn remove(service: &Service, leftover: &Leftover) -> Result<(), sqlx::Error> {
    let (job, place) = (&leftover.job_id, &leftover.place);
    let removed = match serde_json::from_str(place) {
        Ok(at) => service.remove(&at).await,
        Err(error) => Err(error.to_string()),
    };
    let Err(error) = removed else { return service.store.removed(leftover).await };
    let tried = usize::try_from(leftover.tries).ok();
    if let Some(pause) = tried.and_then(|tried| PAUSES.get(tried)) {
        tracing::warn!(error, job, place, "an output that nobody was told of was not removed");
        return service.store.remains(leftover, *pause).await;
    }
    tracing::error!(error, job, place, "an output that nobody was told of stays where it is");
    service.store.removed(leftover).await
}
