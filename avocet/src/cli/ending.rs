//! How the program ends when it is told to: soon, whatever libav is at, and without leaving files.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use avocet::{CancelToken, Engine};

use super::{Context, failure::Failure, progress::Show};

/// How long a command may take to end by itself once it is cancelled.
const GRACE: Duration = Duration::from_millis(150);

/// How long saying that it was cancelled may take; whoever reads it may have stopped reading.
const LAST_WORD: Duration = Duration::from_millis(25);

/// The exit status of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// The end of the program, which one of two brings about: the command, or a signal.
pub(super) struct Ending {
    engine: Engine,
    cancel: CancelToken,
    json: bool,
    show: Show,
    claimed: AtomicBool,
}

impl Ending {
    /// Lets SIGINT, SIGTERM and SIGHUP cancel the command, and end the program soon after.
    pub(super) fn at_signals(context: &Context) -> Arc<Self> {
        let ending = Arc::new(Self {
            engine: context.engine.clone(),
            cancel: context.cancel.clone(),
            json: context.json,
            show: context.show.clone(),
            claimed: AtomicBool::new(false),
        });
        let ours = Arc::clone(&ending);
        // Where no handler can be set, a signal ends the program in the system's way.
        let _ = ctrlc::set_handler(move || ours.hear());
        ending
    }

    /// Takes the right to answer for the program, which then ends; when a signal has taken it
    /// already, the program ends here.
    pub(super) fn claim(&self) {
        while self.claimed.swap(true, Ordering::AcqRel) {
            thread::park();
        }
    }

    /// Hears a signal: the first cancels, the second does not wait for what that brings.
    fn hear(self: &Arc<Self>) {
        let ours = Arc::clone(self);
        if self.cancel.is_cancelled() {
            ours.end();
        }
        self.cancel.cancel();
        let watchdog = thread::Builder::new().spawn(move || {
            thread::sleep(GRACE);
            ours.end();
        });
        if watchdog.is_err() {
            self.end();
        }
    }

    /// Ends the program now.
    #[expect(clippy::exit, reason = "the command may be in a call that takes seconds")]
    fn end(self: &Arc<Self>) {
        self.engine.discard_unfinished();
        let ours = Arc::clone(self);
        let (sender, said) = mpsc::channel();
        let speaker = thread::Builder::new().spawn(move || {
            ours.show.clear();
            if !ours.claimed.swap(true, Ordering::AcqRel) {
                Failure::cancelled().tell(ours.json);
            }
            // Nobody may be waiting any more.
            let _ = sender.send(());
        });
        if speaker.is_ok() {
            let _ = said.recv_timeout(LAST_WORD);
        }
        process::exit(INTERRUPTED);
    }
}
