//! Removes outputs of attempts that came to nothing.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::{
    service::Service,
    storage::{At, outputs_of},
    store::Leftover,
};

/// How long to wait when there is nothing to remove.
const IDLE: Duration = Duration::from_secs(1);

/// How many are being removed at once; those that hang must not stop the others.
const AT_ONCE: usize = 16;

/// After how many milliseconds an object is removed once more: what a worker had sent when it was
/// killed may arrive after the first time.
const ONCE_MORE: i64 = 60_000;

/// The pauses after removals that failed, in milliseconds.
const PAUSES: &[i64] = &[10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000];

/// Removes leftovers until the service ends.
pub(crate) async fn run(service: Service) {
    let hands = Arc::new(Semaphore::new(AT_ONCE));
    while !service.is_ending() {
        let Ok(Ok(hand)) = timeout(IDLE, Arc::clone(&hands).acquire_owned()).await else {
            continue;
        };
        match service.store.take_leftover().await {
            Ok(Some(leftover)) => {
                let service = service.clone();
                tokio::spawn(async move {
                    let pause = attend(&service, &leftover).await;
                    note(&service, &leftover, pause).await;
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

/// Removes what is at a place, and tells after how many milliseconds that is to be done again, if
/// it is.
async fn attend(service: &Service, leftover: &Leftover) -> Option<i64> {
    let (job, place) = (&leftover.job_id, &leftover.place);
    let tries = usize::try_from(leftover.tries).unwrap_or(usize::MAX);
    let error = match remove(service, leftover).await {
        Ok(true) if tries == 0 => return Some(ONCE_MORE),
        Ok(_) => return None,
        Err(error) => error,
    };
    if let Some(pause) = PAUSES.get(tries) {
        tracing::warn!(error, job, place, "an output that nobody was told of was not removed");
        return Some(*pause);
    }
    tracing::error!(error, job, place, "an output that nobody was told of stays where it is");
    None
}

/// Removes what is at a place, unless the job tells of it, and tells whether it may arrive yet.
async fn remove(service: &Service, leftover: &Leftover) -> Result<bool, String> {
    let at: At = serde_json::from_str(&leftover.place).map_err(|error| error.to_string())?;
    let job = service.store.job(&leftover.job_id).await.map_err(|error| error.to_string())?;
    let outputs = job.map(|job| outputs_of(&job.outputs)).unwrap_or_default();
    if outputs.iter().any(|output| !output.deleted && output.at.may_be(&at)) {
        return Ok(false);
    }
    service.remove(&at).await?;
    Ok(matches!(at, At::Provider { .. }))
}

/// Notes what follows as soon as the database takes it: until then the job is not run.
async fn note(service: &Service, leftover: &Leftover, pause: Option<i64>) {
    loop {
        let noted = match pause {
            None => service.store.removed(leftover).await,
            Some(pause) => service.store.remains(leftover, pause).await,
        };
        let Err(error) = noted else { return };
        tracing::error!(%error, job = leftover.job_id, "a removal was not noted");
        sleep(IDLE).await;
    }
}
