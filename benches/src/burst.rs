//! Many thumbnails in one process; this program runs it as a measured child.

use std::{
    env,
    ffi::OsString,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use avocet::Engine;

use super::terminal;

/// The first argument; `AT_ONCE COUNT FOLDER CLIP…` follow.
pub(super) const BURST: &str = "bench-burst";

/// The arguments.
struct Work {
    /// The number of threads.
    at_once: usize,
    /// The number of thumbnails.
    count: usize,
    folder: PathBuf,
    clips: Vec<OsString>,
}

/// Runs as the measured child, with the arguments of the command line.
pub(super) fn be_child() -> ExitCode {
    let done = match read(env::args_os().skip(2)) {
        Some(work) => run(&work),
        None => Err(format!("{BURST} takes AT_ONCE COUNT FOLDER CLIP…")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::note(&error);
            ExitCode::FAILURE
        }
    }
}

fn read(mut words: impl Iterator<Item = OsString>) -> Option<Work> {
    let mut number = || words.next()?.to_str()?.parse().ok();
    let (at_once, count) = (number()?, number()?);
    let folder = words.next()?.into();
    let clips: Vec<_> = words.collect();
    (!clips.is_empty()).then_some(Work { at_once, count, folder, clips })
}

/// Makes the thumbnails, each with a new engine.
fn run(work: &Work) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let one = |number: usize| {
        let clip = work.clips[number % work.clips.len()].as_os_str();
        let output = work.folder.join(format!("{number}.jpg"));
        avocet::thumbnail(clip).at(1.0).output(output).engine(&Engine::default()).run().map(|_| ())
    };
    thread::scope(|scope| {
        for _ in 0..work.at_once {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= work.count {
                        return;
                    }
                    if let Err(error) = one(number) {
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        *failed = Some(error.to_string());
                        return;
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_read() {
        let check = |line: &str, expected: Option<(usize, usize, usize)>| {
            let found = read(line.split(' ').map(OsString::from));
            let found = found.map(|work| (work.at_once, work.count, work.clips.len()));
            assert_eq!(found, expected, "{line}");
        };
        check("4 200 /tmp a.mp4 b.mp4", Some((4, 200, 2)));
        check("4 200 /tmp", None);
        check("4 many /tmp a.mp4", None);
        check("", None);
    }

    #[test]
    fn what_fails_is_told() {
        let work = Work {
            at_once: 2,
            count: 3,
            folder: "/nowhere".into(),
            clips: vec!["/nowhere/a.mp4".into()],
        };
        assert!(run(&work).is_err_and(|error| error.contains("a.mp4")));
    }
}
