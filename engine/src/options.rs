//! How probes and runs are watched and stopped, and what they read and write of the caller's.

use std::{fmt, io::Write, ops::ControlFlow, time::Duration};

use avocet_model::progress::{CancelToken, Fetched, Progress};

use crate::io::{CallerStreams, Source};

/// What sees the progress of a run, and answers whether it goes on.
type Observer<'a> = Box<dyn FnMut(&Progress) -> ControlFlow<()> + 'a>;

/// How [`Engine::run`](crate::Engine::run) is watched and stopped, and what it reads and writes of
/// the caller's. By default nobody watches or stops it, and all inputs and outputs have names.
#[derive(Default)]
pub struct RunOptions<'a> {
    pub(crate) cancel: CancelToken,
    pub(crate) observe: Option<Observer<'a>>,
    pub(crate) streams: CallerStreams<'a>,
    pub(crate) timeout: Option<Duration>,
}

impl<'a> RunOptions<'a> {
    /// A token that stops the run from another thread.
    #[must_use]
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// Is called on the thread of the run: at the start, four times a second, and once more when the
    /// outputs are in place; `Break` cancels the run.
    #[must_use]
    pub fn observe(mut self, observe: impl FnMut(&Progress) -> ControlFlow<()> + 'a) -> Self {
        self.observe = Some(Box::new(observe));
        self
    }

    /// How long the run may take; it is then stopped, with the error
    /// [`TimedOut`](avocet_model::error::Error::TimedOut). By default as long as it takes.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// What [`Location::Caller`](avocet_model::location::Location::Caller) means among the inputs, by number.
    #[must_use]
    pub fn sources(mut self, sources: impl IntoIterator<Item = Source>) -> Self {
        self.streams.sources = sources.into_iter().collect();
        self
    }

    /// Adds a writer: [`Location::Caller`](avocet_model::location::Location::Caller) of the number that it has among
    /// the writers, from 0, means it among the outputs. It is filled once the output is verified; one
    /// that fails while it is filled may have got a part.
    #[must_use]
    pub fn writer(mut self, writer: impl Write + Send + 'a) -> Self {
        self.streams.writers.push(Box::new(writer));
        self
    }
}

impl fmt::Debug for RunOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("cancel", &self.cancel)
            .field("observe", &self.observe.is_some())
            .field("streams", &self.streams)
            .finish()
    }
}

/// How [`Engine::open`](crate::Engine::open) and [`Engine::fetch`](crate::Engine::fetch) are watched
/// and stopped. By default nobody watches or stops them.
#[derive(Default)]
pub struct OpenOptions<'a> {
    pub(crate) cancel: CancelToken,
    pub(crate) observe: Option<Box<dyn FnMut(Fetched) + 'a>>,
}

impl<'a> OpenOptions<'a> {
    /// A token that stops it from another thread.
    #[must_use]
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// Is told how much came of an input that is copied to this machine, several times a second.
    #[must_use]
    pub fn observe(mut self, observe: impl FnMut(Fetched) + 'a) -> Self {
        self.observe = Some(Box::new(observe));
        self
    }
}

impl fmt::Debug for OpenOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenOptions")
            .field("cancel", &self.cancel)
            .field("observe", &self.observe.is_some())
            .finish()
    }
}

/// How [`Engine::probe`](crate::Engine::probe) looks at an input, and is stopped. By default it
/// looks at all streams.
#[derive(Clone, Debug, Default)]
pub struct ProbeOptions {
    pub(crate) cancel: CancelToken,
    pub(crate) pictures_only: bool,
}

impl ProbeOptions {
    /// A token that stops the probe from another thread.
    #[must_use]
    pub fn cancel(mut self, token: &CancelToken) -> Self {
        self.cancel = token.clone();
        self
    }

    /// Looks no closer than single pictures need it: where the parameter sets beside a stream say
    /// how its pictures look, no packet is read, and of sound only what the container states is
    /// known.
    #[must_use]
    pub fn pictures_only(mut self, only: bool) -> Self {
        self.pictures_only = only;
        self
    }
}
