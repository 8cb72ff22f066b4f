//! The `ffmpeg` program on this machine.

#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::{
    env,
    fs::Metadata,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use avocet_model::error::{Error, Result};

/// The program of the settings, or the first `ffmpeg` in `PATH`, by its path with links resolved.
pub(super) fn find(wanted: Option<&Path>) -> Result<PathBuf> {
    let absent = || Error::Absent { kind: "program", name: "ffmpeg".to_owned() };
    let is_program = |path: &PathBuf| path.metadata().is_ok_and(|found| may_be_run(&found));
    let on_path = || {
        let folders = env::var_os("PATH").unwrap_or_default();
        let name = format!("ffmpeg{}", env::consts::EXE_SUFFIX);
        env::split_paths(&folders).map(|folder| folder.join(&name)).find(is_program)
    };
    let found = wanted.map_or_else(on_path, |path| Some(path.to_owned()).filter(is_program));
    // The rules of the sandbox need its real path.
    found.and_then(|path| path.canonicalize().ok()).ok_or_else(absent)
}

/// Whether there is a file that can be run as a program.
fn may_be_run(found: &Metadata) -> bool {
    #[cfg(unix)]
    let is_allowed = found.permissions().mode() & 0o111 != 0;
    #[cfg(not(unix))]
    let is_allowed = true;
    found.is_file() && is_allowed
}

/// The release that a program states; `None` when it can not be run or states none.
pub(super) fn version(path: &Path) -> Option<String> {
    let mut command = Command::new(path);
    command.arg("-version").env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok()?;
    version_of(&String::from_utf8_lossy(&output.stdout))
}

/// The release in the first line that the program prints.
pub(super) fn version_of(text: &str) -> Option<String> {
    // A line may begin with its log level.
    let (_, line) = text.lines().find_map(|line| line.split_once("ffmpeg version "))?;
    line.split_whitespace().next().map(str::to_owned)
}
