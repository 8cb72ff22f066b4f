//! Jobs as futures on tokio: progress as a stream, dropped or cancelled to stop.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use avocet_engine::{CancelToken, Progress, Report};
use avocet_model::panics::guarded;
use futures_core::Stream;
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    task::JoinHandle,
};

use super::Builder;
use crate::Error;

/// A job that runs on tokio's threads for blocking work; a future of how it ends.
///
/// Dropping it cancels the run, whose temporary file is gone soon after.
#[derive(Debug)]
pub struct Running {
    handle: JoinHandle<Result<Report, Error>>,
    cancel: CancelToken,
    progress: Option<ProgressStream>,
}

/// Progress of a job that runs; ends with the job.
#[derive(Debug)]
pub struct ProgressStream(UnboundedReceiver<Progress>);

impl<R: 'static> Builder<'static, R> {
    /// Plans and runs the job in the background of the current tokio runtime.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), avocet::Error> {
    /// let mut running = avocet::thumbnail("holiday.mp4").output("holiday.jpg").spawn();
    /// if let Some(mut progress) = running.progress() {
    ///     while let Some(now) = progress.next().await {
    ///         println!("{:.0} %", now.fraction * 100.0);
    ///     }
    /// }
    /// let report = running.await?;
    /// println!("{} bytes", report.outputs[0].size_bytes);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// Outside of a tokio runtime, as every spawning function of tokio does.
    pub fn spawn(mut self) -> Running {
        // The caller's token cancels the job, and dropping the job does not cancel the token.
        let cancel = self.cancel.child();
        self.cancel = cancel.clone();
        let (sender, receiver) = unbounded_channel();
        let mut progress = self.progress.take();
        let builder = self.progress(move |now| {
            if let Some(progress) = &mut progress {
                progress(now);
            }
            // The receiver may be dropped: nobody has to listen.
            let _ = sender.send(now.clone());
        });
        let run =
            || guarded("the job", || Ok(builder.run())).unwrap_or_else(|panic| Err(panic.into()));
        let handle = tokio::task::spawn_blocking(run);
        Running { handle, cancel, progress: Some(ProgressStream(receiver)) }
    }
}

impl Running {
    /// The progress of the job, from its start on; `None` when it was taken before.
    pub fn progress(&mut self) -> Option<ProgressStream> {
        self.progress.take()
    }

    /// Asks the job to stop; it then ends with the error `CANCELLED`.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }
}

impl Future for Running {
    type Output = Result<Report, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.handle).poll(context)) {
            Ok(result) => result,
            // The runtime was shut down.
            Err(_) => Err(avocet_engine::Error::Cancelled.into()),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl ProgressStream {
    /// The next progress; `None` when the job has ended.
    pub async fn next(&mut self) -> Option<Progress> {
        self.0.recv().await
    }
}

impl Stream for ProgressStream {
    type Item = Progress;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Progress>> {
        self.0.poll_recv(context)
    }
}
