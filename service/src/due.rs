//! The loop over database rows that become due: webhooks to deliver, leftovers to remove.

use std::{future::Future, time::Duration};

use tokio::{sync::Notify, task::JoinSet, time::timeout};

use crate::service::Service;

/// How long to wait when nothing is due.
pub(crate) const IDLE: Duration = Duration::from_secs(1);

/// Takes due rows one by one and works on each in a task of its own, `at_once` at the same time, until
/// the service ends.
/// `woken` ends the pause after an empty look early. At the end it waits for the open tasks; the
/// caller limits how long.
pub(crate) async fn attend<T, Taken, Attended>(
    service: &Service,
    what: &'static str,
    woken: &Notify,
    at_once: usize,
    take: impl Fn() -> Taken,
    attend_to: impl Fn(T) -> Attended,
) where
    Taken: Future<Output = Result<Option<T>, sqlx::Error>>,
    Attended: Future<Output = ()> + Send + 'static,
{
    let mut busy = JoinSet::new();
    while !service.is_ending() {
        while busy.try_join_next().is_some() {}
        if busy.len() >= at_once {
            let _ = timeout(IDLE, busy.join_next()).await;
            continue;
        }
        match take().await {
            Ok(Some(row)) => {
                busy.spawn(attend_to(row));
            }
            Ok(None) => {
                let _ = timeout(IDLE, woken.notified()).await;
            }
            Err(error) => {
                tracing::error!(%error, "the due {what} can not be read");
                tokio::time::sleep(IDLE).await;
            }
        }
    }
    while busy.join_next().await.is_some() {}
}
