//! What `-v` says, and the log that `--log` writes.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io::IsTerminal,
    path::{Path, PathBuf},
};

use clap::ArgMatches;
use tracing_subscriber::filter::LevelFilter;

use super::{
    arguments::{CUSTOM_INPUT, CUSTOM_OUTPUT, INPUT, LOG, OUTPUT, VERBOSE},
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
    if let Some(other) = files(matches).into_iter().find(|other| is_same(path, other)) {
        let other = other.display();
        return Err(Failure::Usage(format!(
            "the log would be written into {other}, a file of the job"
        )));
    }
    #[expect(clippy::disallowed_methods, reason = "a log is no media")]
    let file = OpenOptions::new().append(true).create(true).open(path).map_err(|error| {
        Failure::Usage(format!("can not write the log to {}: {error}", path.display()))
    })?;
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG).with_ansi(false);
    log.with_writer(std::sync::Mutex::new(file)).init();
    Ok(())
}

/// The inputs and outputs of a command, as far as they are named.
fn files(matches: &ArgMatches) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for name in [INPUT, CUSTOM_INPUT] {
        let named = matches.try_get_many::<OsString>(name).ok().flatten().unwrap_or_default();
        files.extend(named.map(PathBuf::from));
    }
    for name in [OUTPUT, CUSTOM_OUTPUT] {
        let named = matches.try_get_many::<PathBuf>(name).ok().flatten().unwrap_or_default();
        files.extend(named.cloned());
    }
    files
}

/// Whether a path is another one, or lies in that folder.
fn is_same(path: &Path, other: &Path) -> bool {
    let whole = |path: &Path| fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    let (Ok(path), Ok(other)) = (whole(path), whole(other)) else { return false };
    path == other || (other.is_dir() && path.is_file() && path.starts_with(&other))
}

/// How often `-v` was given.
pub(super) fn verbosity(matches: &ArgMatches) -> u8 {
    matches.try_get_one::<u8>(VERBOSE).ok().flatten().copied().unwrap_or(0)
}
