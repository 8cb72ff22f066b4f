//! What `-v` says, and the log that `--log` writes.

use std::{
    fs::{self, OpenOptions},
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
};

use clap::ArgMatches;
use tracing_subscriber::filter::LevelFilter;

use super::{
    arguments::{CUSTOM_OUTPUT, LOG, OUTPUT, VERBOSE},
    failure::Failure,
};

/// Begins to log as the arguments of a command ask for it.
pub(super) fn start(matches: &ArgMatches) -> Result<(), Failure> {
    // Commands that run no job do not have the flags.
    let path = matches.try_get_one::<PathBuf>(LOG).ok().flatten();
    let Some(path) = path else {
        if verbosity(matches) > 1 {
            let log = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG);
            log.with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).init();
        }
        return Ok(());
    };
    let shown = path.display();
    if outputs(matches).into_iter().any(|output| is_same(path, &output)) {
        return Err(Failure::Usage(format!("the log would be written into {shown}, the output")));
    }
    let failed =
        |error: io::Error| Failure::Usage(format!("can not write the log to {shown}: {error}"));
    #[expect(clippy::disallowed_methods, reason = "a log is no media")]
    let file =
        OpenOptions::new().read(true).append(true).create(true).open(path).map_err(failed)?;
    // A wrong name could be that of media, or of a document.
    if !begins_as_log(&file).map_err(failed)? {
        return Err(Failure::Usage(format!(
            "the log would be written behind what {shown} has, which is no log"
        )));
    }
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG).with_ansi(false);
    log.with_writer(std::sync::Mutex::new(file)).init();
    Ok(())
}

/// Whether a file is empty, or begins with a time as lines of a log do.
fn begins_as_log(file: &fs::File) -> io::Result<bool> {
    // Standard error and other devices have nothing to read.
    if !file.metadata()?.is_file() {
        return Ok(true);
    }
    let mut begin = Vec::new();
    file.take(11).read_to_end(&mut begin)?;
    let fits = |(letter, form): (&u8, &u8)| match form {
        b'0' => letter.is_ascii_digit(),
        other => letter == other,
    };
    let form = b"0000-00-00T";
    Ok(begin.is_empty() || (begin.len() == form.len() && begin.iter().zip(form).all(fits)))
}

/// The outputs of a command, as far as they are named.
fn outputs(matches: &ArgMatches) -> Vec<PathBuf> {
    let named = |name| matches.try_get_many::<PathBuf>(name).ok().flatten().unwrap_or_default();
    [OUTPUT, CUSTOM_OUTPUT].into_iter().flat_map(named).cloned().collect()
}

fn is_same(path: &Path, other: &Path) -> bool {
    let whole = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    whole(path).ok().zip(whole(other).ok()).is_some_and(|(path, other)| path == other)
}

/// How often `-v` was given.
pub(super) fn verbosity(matches: &ArgMatches) -> u8 {
    matches.try_get_one::<u8>(VERBOSE).ok().flatten().copied().unwrap_or(0)
}
