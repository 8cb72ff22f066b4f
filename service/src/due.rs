//! The loop over rows that are due at some time: webhooks to deliver, leftovers to remove.

use std::{future::Future, time::Duration};

use tokio::{sync::Notify, task::JoinSet, time::timeout};

use crate::service::Service;

/// How long to wait when nothing is due.
pub(crate) const IDLE: Duration = Duration::from_secs(1);

/// How many of one kind are attended to at once; those that hang must not stop the others.
const AT_ONCE: usize = 16;

/// Takes row after row and attends to each, until the service ends; `woken` tells early to look
/// again. Then it waits for those that are being attended to, as long as it is let.
pub(crate) async fn attend<T, Taken, Attended>(
    service: &Service,
    what: &'static str,
    woken: &Notify,
    take: impl Fn() -> Taken,
    attend_to: impl Fn(T) -> Attended,
) where
    Taken: Future<Output = Result<Option<T>, sqlx::Error>>,
    Attended: Future<Output = ()> + Send + 'static,
{
    let mut busy = JoinSet::new();
    while !service.is_ending() {
        while busy.try_join_next().is_some() {}
        if busy.len() >= AT_ONCE {
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
                tracing::error!(%error, "{what} that are due can not be read");
                tokio::time::sleep(IDLE).await;
            }
        }
    }
    while busy.join_next().await.is_some() {}
}
