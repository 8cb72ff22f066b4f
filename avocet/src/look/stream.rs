//! Iterators that block, as streams on tokio.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::mpsc::{Receiver, channel};

use avocet_engine::CancelToken;
use avocet_model::panics::guarded;

use crate::Error;

/// How many items are made ahead of who takes them.
const AHEAD: usize = 2;

/// What a blocking iterator gives, as a stream; the iterator runs on tokio's threads for blocking
/// work. Dropping the stream ends it.
#[derive(Debug)]
pub struct BlockingStream<T> {
    items: Receiver<Result<T, Error>>,
    cancel: CancelToken,
}

impl<T> Drop for BlockingStream<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl<T: Send + 'static> BlockingStream<T> {
    /// The items of the iterator that `open` opens. The token stops that, and is the stream's own.
    pub(super) fn of<I: Iterator<Item = Result<T, Error>>>(
        cancel: CancelToken,
        open: impl FnOnce() -> Result<I, Error> + Send + 'static,
    ) -> Self {
        let (sender, items) = channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            let give = || {
                let items = match open() {
                    Ok(items) => items,
                    Err(error) => {
                        let _ = sender.blocking_send(Err(error));
                        return;
                    }
                };
                for item in items {
                    // Nobody takes what comes once the stream is dropped.
                    if sender.blocking_send(item).is_err() {
                        return;
                    }
                }
            };
            let gave = guarded("the reading", || {
                give();
                Ok(())
            });
            if let Err(panic) = gave {
                let _ = sender.blocking_send(Err(panic.into()));
            }
        });
        Self { items, cancel }
    }

    /// The next item; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        self.items.recv().await
    }
}

impl<T> Stream for BlockingStream<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.items.poll_recv(context)
    }
}
