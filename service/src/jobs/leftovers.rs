//! Removes the outputs of attempts that failed, were cancelled or were lost.

use tokio::time::sleep;

use crate::{
    due::{self, IDLE},
    outputs::storage::{At, outputs_of},
    service::Service,
    store::Leftover,
};

/// After how many milliseconds a removed object is removed a second time: an upload that was under
/// way when its worker was killed may complete after the first removal.
const ONCE_MORE: i64 = 60_000;

/// The pauses after failed removals, in milliseconds; when all are used up, the output is left.
const PAUSES: &[i64] = &[10_000, 60_000, 600_000, 3_600_000, 21_600_000, 86_400_000];

/// How many removals are tried at the same time, so that a store that hangs does not block others.
const AT_ONCE: usize = 16;

/// What became of a leftover.
enum Found {
    /// The place holds an output that the job lists, or it is empty and stays so.
    Nothing,
    /// The object was removed; a late upload may still bring it back.
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
            // The job is not run again until this is noted, so retry until it is.
            while let Err(error) = note(&service, &leftover, &found).await {
                tracing::error!(%error, job = leftover.job_id, "a removal was not stored");
                sleep(IDLE).await;
            }
            service.wake();
        }
    };
    // Removals are not urgent: nothing ends the pause early but the end of the service.
    due::attend(&service, "leftovers", &service.ended, AT_ONCE, take, attend_to).await;
}

/// Removes what is at a place, unless the job lists it as an output.
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

/// Notes the outcome for a leftover: forget it, or go there again after a pause.
async fn note(service: &Service, leftover: &Leftover, found: &Found) -> Result<(), sqlx::Error> {
    let (job, place) = (&leftover.job_id, &leftover.place);
    match found {
        Found::Nothing => service.store.forget(leftover).await,
        Found::Removed => service.store.look_again(leftover, true, ONCE_MORE).await,
        Found::Failed(error) => {
            let failures = usize::try_from(leftover.failures).ok();
            if let Some(pause) = failures.and_then(|failures| PAUSES.get(failures)) {
                tracing::warn!(
                    error,
                    job,
                    place,
                    "a leftover output could not be removed and is tried again"
                );
                return service.store.look_again(leftover, false, *pause).await;
            }
            tracing::error!(error, job, place, "a leftover output could not be removed and stays");
            service.store.forget(leftover).await
        }
    }
}
