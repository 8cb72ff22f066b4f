//! Pictures, sound and packets of an input in memory.

mod audio;
mod frames;
mod packets;
#[cfg(feature = "tokio")]
mod stream;

use std::ops::Deref;

use avocet_engine::{CancelToken, Engine, OpenOptions, ProbeOptions, Source};
use avocet_model::media::MediaInfo;
use avocet_recipes::Problem;

pub use audio::{AudioBuilder, audio};
pub use frames::{FrameBuilder, Video, frames};
pub use packets::{PacketBuilder, packets};
#[cfg(feature = "tokio")]
pub use stream::BlockingStream;

use crate::{Error, Input, builder::shared_engine};

/// Probes an input: its container, streams, sizes, colors, tags.
///
/// ```no_run
/// let media = avocet::probe("holiday.mp4")?;
/// for stream in &media.streams {
///     println!("{} {}", stream.kind.name(), stream.codec);
/// }
/// # Ok::<(), avocet::Error>(())
/// ```
///
/// # Errors
/// [`Error::Engine`] when the input can not be read or is no media.
pub fn probe(input: impl Into<Input>) -> Result<MediaInfo, Error> {
    let setup = Setup::new(input.into());
    let engine = setup.engine();
    let source = setup.open(&engine)?;
    Ok(engine.probe(&source, ProbeOptions::default())?)
}

/// What a builder opened, item by item, as an iterator whose errors are this crate's.
///
/// It lends the methods of the engine's own iterator, such as
/// [`warnings`](avocet_engine::Samples::warnings).
#[derive(Debug)]
pub struct Reading<I>(pub(crate) I);

impl<T, I: Iterator<Item = Result<T, avocet_engine::Error>>> Iterator for Reading<I> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map_err(Error::from))
    }
}

impl<I> Deref for Reading<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.0
    }
}

/// Pictures, one by one; made by [`FrameBuilder::iter`].
pub type Frames = Reading<avocet_engine::Frames>;
/// Sound, block by block; made by [`AudioBuilder::iter`].
pub type Samples = Reading<avocet_engine::Samples>;
/// Packets, one by one; made by [`PacketBuilder::iter`].
pub type Packets = Reading<avocet_engine::Packets>;

/// What all that looks at an input needs.
#[derive(Clone, Debug)]
struct Setup {
    input: Input,
    engine: Option<Engine>,
    cancel: CancelToken,
}

impl Setup {
    fn new(input: Input) -> Self {
        Self { input, engine: None, cancel: CancelToken::new() }
    }

    /// Takes a child of the caller's token in its place, and returns it: what cancels it does not
    /// cancel the caller's.
    #[cfg(feature = "tokio")]
    fn child_token(&mut self) -> CancelToken {
        self.cancel = self.cancel.child();
        self.cancel.clone()
    }

    fn engine(&self) -> Engine {
        self.engine.clone().unwrap_or_else(|| shared_engine().clone())
    }

    fn open(&self, engine: &Engine) -> Result<Source, Error> {
        Ok(self.input.open(engine, OpenOptions::default().cancel(&self.cancel))?)
    }

    /// The open input, and what probing finds in it.
    fn probe(&self, engine: &Engine) -> Result<(Source, MediaInfo), Error> {
        let source = self.open(engine)?;
        let media = engine.probe(&source, ProbeOptions::default().cancel(&self.cancel))?;
        Ok((source, media))
    }
}

/// The problem of a name that libav does not know.
fn unknown(path: &str, found: &str, allowed: &str) -> Problem {
    Problem { path: path.to_owned(), found: format!("`{found}`"), allowed: allowed.to_owned() }
}

/// Fails when there are problems.
fn expect_none(problems: Vec<Problem>) -> Result<(), Error> {
    if problems.is_empty() { Ok(()) } else { Err(Error::of_values(problems)) }
}

/// The methods of builders that concern the engine.
macro_rules! setup_methods {
    () => {
        /// The engine that does the work, with its settings; by default one with default settings
        /// that all without an engine share.
        pub fn engine(mut self, engine: &avocet_engine::Engine) -> Self {
            self.setup.engine = Some(engine.clone());
            self
        }

        /// A token that stops the work from another thread, with the error
        /// [`Cancelled`](avocet_engine::Error::Cancelled).
        pub fn cancel(mut self, token: &avocet_engine::CancelToken) -> Self {
            self.setup.cancel = token.clone();
            self
        }
    };
}
use setup_methods;
