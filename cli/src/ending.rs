//! The end of the program at a signal: soon, whatever libav is doing, and without leftover files.

use std::{
    io, process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    thread,
    time::Duration,
};

use avocet::{CancelToken, Engine};
use serde_json::{Value, json};

use super::{Context, failure::Failure, progress::Show, terminal};

/// How long a cancelled command may take to end by itself. With the delays of a busy machine in
/// waking threads and freeing memory, the program then ends in less than 200 ms.
const GRACE: Duration = Duration::from_millis(100);

/// How long the last message may take. The reader of a pipe may have stopped reading.
const LAST_WORD: Duration = Duration::from_millis(25);

/// The exit status of a program that SIGINT ended: 128 + 2.
const INTERRUPTED: i32 = 130;

/// The end of the program. The command and the signal thread compete for the right to report it.
pub(super) struct Ending {
    engine: Engine,
    cancel: CancelToken,
    json: bool,
    is_beside: bool,
    show: Show,
    done: Arc<Mutex<Vec<Value>>>,
    claimed: AtomicBool,
}

impl Ending {
    /// Makes SIGINT, SIGTERM and SIGHUP cancel the command and end the program soon after.
    pub(super) fn at_signals(context: &Context) -> Arc<Self> {
        let ending = Arc::new(Self {
            engine: context.engine.clone(),
            cancel: context.cancel.clone(),
            json: context.json,
            is_beside: context.is_beside,
            show: context.show.clone(),
            done: Arc::clone(&context.done),
            claimed: AtomicBool::new(false),
        });
        // If the threads can not be started, a signal has its default effect.
        let _ = Arc::clone(&ending).watch();
        ending
    }

    /// Takes the right to report how the command ended. If a signal has it already, this never
    /// returns, and the signal thread ends the process.
    pub(super) fn claim(&self) {
        while self.claimed.swap(true, Ordering::AcqRel) {
            thread::park();
        }
    }

    /// Starts the threads that wait for signals. They are started now, since a new thread can take
    /// longer to run than [`GRACE`] while an encoder uses all processors and holds the memory map's
    /// lock.
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
                // If this thread blocks on its output, the other one ends the process.
                let _ = last.send(());
                self.end();
            }
        })?;
        let send = move || {
            let _ = signal.send(());
        };
        ctrlc::set_handler(send).map_err(io::Error::other)
    }

    /// Waits for a signal and cleans up after it; `false` when no signal can come any more.
    fn is_over(&self, signals: &Receiver<()>) -> bool {
        if signals.recv().is_err() {
            return false;
        }
        self.cancel.cancel();
        // A second signal ends the wait for the command at once.
        let _ = signals.recv_timeout(GRACE);
        self.engine.discard_unfinished();
        true
    }

    /// Ends the process now: the command may be in a libav call that takes seconds.
    fn end(&self) -> ! {
        if self.claimed.swap(true, Ordering::AcqRel) {
            // The command is reporting how it ended: let it finish.
            thread::sleep(LAST_WORD);
        } else {
            self.show.clear();
            self.tell();
        }
        process::exit(INTERRUPTED);
    }

    /// Tells that the command was cancelled, and what of several inputs was done before that.
    fn tell(&self) {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if self.json && !done.is_empty() {
            let text = terminal::json(&json!({ "state": "cancelled", "jobs": *done }));
            terminal::print(&text, 0);
        } else {
            Failure::cancelled().tell(self.json, self.is_beside);
        }
    }
}
