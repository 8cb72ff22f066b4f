//! The `ffmpeg` program on this machine.

#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::{
    env,
    ffi::OsStr,
    fs::Metadata,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use avocet_model::error::{Error, Result};

/// The program of the settings, or the one that came with the running program, or the first `ffmpeg` in
/// `PATH`; by its path with links resolved.
pub(super) fn find(wanted: Option<&Path>) -> Result<PathBuf> {
    let absent = || Error::Absent { kind: "program", name: "ffmpeg".to_owned() };
    let found = match wanted {
        Some(path) => Some(path.to_owned()).filter(|path| is_program(path)),
        None => env::current_exe()
            .ok()
            .and_then(|running| shipped_with(&running))
            .or_else(|| on_path(&env::var_os("PATH").unwrap_or_default())),
    };
    // The rules of the sandbox need its real path.
    found.and_then(|path| path.canonicalize().ok()).ok_or_else(absent)
}

/// The program that packages of Avocet have beside a program `PREFIX/bin/NAME`, out of the way of others:
/// `PREFIX/lib/avocet/ffmpeg`. It is of the same release as the libav in that program.
fn shipped_with(running: &Path) -> Option<PathBuf> {
    // `current_exe` resolves no link on some systems.
    let prefix = running.canonicalize().ok()?.parent()?.parent()?.to_owned();
    Some(prefix.join("lib/avocet/ffmpeg")).filter(|path| is_program(path))
}

/// The first `ffmpeg` in the folders that the variable `PATH` lists.
fn on_path(folders: &OsStr) -> Option<PathBuf> {
    let name = format!("ffmpeg{}", env::consts::EXE_SUFFIX);
    env::split_paths(folders).map(|folder| folder.join(&name)).find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| may_be_run(&found))
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

#[cfg(all(test, unix))]
#[expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and makes files that are no media"
)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn the_program_of_a_package_is_found_from_the_one_that_runs_also_by_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        for folder in ["bin", "lib/avocet", "elsewhere"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("bin/avocet"), "").unwrap();
        symlink(at("bin/avocet"), at("elsewhere/avocet")).unwrap();
        assert_eq!(shipped_with(&at("bin/avocet")), None);

        fs::write(at("lib/avocet/ffmpeg"), "").unwrap();
        assert_eq!(shipped_with(&at("bin/avocet")), None, "it can not be run");
        fs::set_permissions(at("lib/avocet/ffmpeg"), fs::Permissions::from_mode(0o755)).unwrap();
        for running in ["bin/avocet", "elsewhere/avocet"] {
            assert_eq!(shipped_with(&at(running)), Some(at("lib/avocet/ffmpeg")));
        }
        assert_eq!(shipped_with(&at("bin/gone")), None);
    }

    #[test]
    fn the_first_program_of_the_path_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let folders = ["a", "b"].map(|name| folder.path().join(name));
        for folder in &folders {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("ffmpeg"), "").unwrap();
        }
        let path = env::join_paths(&folders).unwrap();
        assert_eq!(on_path(&path), None);
        let program = folders[1].join("ffmpeg");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(on_path(&path), Some(program));
    }
}
