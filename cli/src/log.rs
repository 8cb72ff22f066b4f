//! What `-v` says, and the log that `--log` writes.

use std::{fs::File, path::PathBuf};

use clap::ArgMatches;
use tracing_subscriber::filter::LevelFilter;

use super::{
    arguments::{LOG, VERBOSE},
    failure::Failure,
};

/// Begins to log as the arguments of a command ask for it.
pub(super) fn start(matches: &ArgMatches) -> Result<(), Failure> {
    // Commands that run no job do not have the flags.
    let path = matches.try_get_one::<PathBuf>(LOG).ok().flatten();
    let Some(path) = path else {
        if verbosity(matches) > 1 {
            let log = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG);
            log.with_writer(std::io::stderr).init();
        }
        return Ok(());
    };
    #[expect(clippy::disallowed_methods, reason = "a log is no media")]
    let file = File::create(path).map_err(|error| {
        Failure::Usage(format!("can not write the log to {}: {error}", path.display()))
    })?;
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG).with_ansi(false);
    log.with_writer(std::sync::Mutex::new(file)).init();
    Ok(())
}

/// How often `-v` was given.
pub(super) fn verbosity(matches: &ArgMatches) -> u8 {
    matches.try_get_one::<u8>(VERBOSE).ok().flatten().copied().unwrap_or(0)
}
