//! Removes outputs of attempts that came to nothing.

use tokio::time::sleep;

use crate::{
    due::{self, IDLE},
    outputs::storage::{At, outputs_of},
    service::Service,
    store::Leftover,
};

/// After how many milliseconds an object is removed once more: what a worker had sent when it was
/// killed may arrive after the first time.
const ONCE_MORE: i64 = 60_000;

/// The pauses after removals that failed, in milliseconds.
const PAUSES: &[i64] = &[10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000];

/// What became of a leftover.
enum Found {
    /// It is no leftover, or nothing can be there any more.
    Nothing,
    /// It was removed, and may arrive yet.
    Removed,
    /// It could not be removed.
    Failed(String),
}

/// Removes leftovers until the service ends.
pub(crate) async fn run(service: Service) {
    let take = || service.store.take_leftover();
    let attend_to = |leftover: Leftover| {
        let service = service.clone();
        async move {
            let found = go_to(&service, &leftover).await;
            // Until that is noted the job is not run.
            while let Err(error) = note(&service, &leftover, &found).await {
                tracing::error!(%error, job = leftover.job_id, "a removal was not noted");
                sleep(IDLE).await;
            }
            service.wake();
        }
    };
    // Nobody is in a hurry for them.
    due::attend(&service, "leftovers", &service.ended, take, attend_to).await;
}

/// Removes what is at a place, unless the job tells of it.
async fn go_to(service: &Service, leftover: &Leftover) -> Found {
    let removed = async {
        let at: At = serde_json::from_str(&leftover.place).map_err(|error| error.to_string())?;
        let job = service.store.job(&leftover.job_id).await.map_err(|error| error.to_string())?;
        let outputs = job.map(|job| outputs_of(&job.outputs)).unwrap_or_default();
        if outputs.iter().any(|output| !output.deleted && output.at.may_be(&at)) {
            return Ok(Found::Nothing);
        }
        service.remove(&at).await?;
        let may_arrive = matches!(at, At::Provider { .. }) && !leftover.removed;
        Ok(if may_arrive { Found::Removed } else { Found::Nothing })
    };
    removed.await.unwrap_or_else(Found::Failed)
}

/// Notes what became of a leftover, and what follows.
async fn note(service: &Service, leftover: &Leftover, found: &Found) -> Result<(), sqlx::Error> {
    let (job, place) = (&leftover.job_id, &leftover.place);
    match found {
        Found::Nothing => service.store.forget(leftover).await,
        Found::Removed => service.store.look_again(leftover, true, ONCE_MORE).await,
        Found::Failed(error) => {
            let failures = usize::try_from(leftover.failures).ok();
            if let Some(pause) = failures.and_then(|failures| PAUSES.get(failures)) {
                tracing::warn!(error, job, place, "an output that nobody tells of was not removed");
                return service.store.look_again(leftover, false, *pause).await;
            }
            tracing::error!(error, job, place, "an output that nobody tells of stays where it is");
            service.store.forget(leftover).await
        }
    }
}
