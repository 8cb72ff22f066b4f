//! `avocet completions` and `avocet man`: made from the arguments that the program understands.

use std::path::PathBuf;

use clap::ArgMatches;
use clap_complete::Shell;

use super::{
    Answer,
    arguments::{self, FOLDER, SHELL},
    failure::Failure,
};

/// Completions for a shell.
pub(super) fn completions(matches: &ArgMatches) -> Answer {
    let mut script = Vec::new();
    if let Some(shell) = matches.get_one::<Shell>(SHELL) {
        clap_complete::generate(*shell, &mut arguments::program(), "avocet", &mut script);
    }
    Answer::new(String::from_utf8_lossy(&script).into_owned())
}

/// Writes a manual page for the program and for each command.
pub(super) fn man(matches: &ArgMatches) -> Result<Answer, Failure> {
    let folder = matches.get_one::<PathBuf>(FOLDER).cloned().unwrap_or_default();
    clap_mangen::generate_to(arguments::program(), &folder).map_err(|error| {
        Failure::Usage(format!("can not write pages into {}: {error}", folder.display()))
    })?;
    Ok(Answer::new(format!("manual pages are in {}", folder.display())))
}
