//! How the program ends when it is told to: soon, whatever libav is at, and without leaving files.

use std::{
    io, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use avocet::{CancelToken, Engine};

use super::{Context, failure::Failure, folder::MadeFolder, progress::Show};

/// How long a command may take to end by itself once it is cancelled; with the time that a busy
/// machine takes to notice, and to take back the memory, it comes to less than 200 ms.
const GRACE: Duration = Duration::from_millis(100);

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
    folder: MadeFolder,
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
            folder: context.folder.clone(),
            claimed: AtomicBool::new(false),
        });
        // Without a watch, a signal ends the program in the system's way.
        let _ = Arc::clone(&ending).watch();
        ending
    }

    /// Takes the right to answer for the program, which then ends; when a signal has taken it
    /// already, the program ends here.
    pub(super) fn claim(&self) {
        while self.claimed.swap(true, Ordering::AcqRel) {
            thread::park();
        }
    }

    /// Starts the threads that wait for signals now: while an encoder keeps every processor and the
    /// memory map busy, a new thread can take longer to come to life than there is time.
    fn watch(self: Arc<Self>) -> io::Result<()> {
        let (signal, signals) = channel();
        let (last, lasts) = channel::<()>();
        thread::Builder::new().spawn(move || {
            if lasts.recv().is_ok() {
                thread::sleep(LAST_WORD);
                process::exit(INTERRUPTED);
            }
        })?;
        thread::Builder::new().spawn(move || {
            if self.is_over(&signals) {
                // The other thread ends the program if this one is kept from it.
                let _ = last.send(());
                self.end();
            }
        })?;
        let send = move || {
            let _ = signal.send(());
        };
        ctrlc::set_handler(send).map_err(io::Error::other)
    }

    /// Waits until the program has to end; `false` when no signal can come any more.
    fn is_over(&self, signals: &Receiver<()>) -> bool {
        if signals.recv().is_err() {
            return false;
        }
        self.cancel.cancel();
        // A second signal does not wait for what the first one began.
        let _ = signals.recv_timeout(GRACE);
        self.engine.discard_unfinished();
        self.folder.remove();
        true
    }

    /// Ends the program now: the command may be in a call that takes seconds.
    fn end(&self) -> ! {
        if self.claimed.swap(true, Ordering::AcqRel) {
            // The command is just saying how it ended.
            thread::sleep(LAST_WORD);
        } else {
            self.show.clear();
            Failure::cancelled().tell(self.json);
        }
        process::exit(INTERRUPTED);
    }
}
