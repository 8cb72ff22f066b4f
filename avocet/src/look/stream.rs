//! Iterators that block, as streams on tokio.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use tokio::sync::mpsc::{Receiver, channel};

use crate::Error;

/// How many items are made ahead of who takes them.
const AHEAD: usize = 2;

/// What a blocking iterator gives, as a stream; the iterator runs on tokio's threads for blocking
/// work. Dropping the stream ends it.
#[derive(Debug)]
pub struct BlockingStream<T>(Receiver<Result<T, Error>>);

impl<T: Send + 'static> BlockingStream<T> {
    /// The items of the iterator that `open` opens.
    pub(super) fn of<I: Iterator<Item = Result<T, Error>>>(
        open: impl FnOnce() -> Result<I, Error> + Send + 'static,
    ) -> Self {
        let (sender, receiver) = channel(AHEAD);
        tokio::task::spawn_blocking(move || {
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
        });
        Self(receiver)
    }

    /// The next item; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T, Error>> {
        self.0.recv().await
    }
}

impl<T> Stream for BlockingStream<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
