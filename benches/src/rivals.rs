//! The rivals: the programs that Avocet is compared with, as found on this machine.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Serialize;

use super::{
    error::{Error, Result},
    scratch::Scratch,
    worker::{Launcher, Version, Worker},
};

/// How a program was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Origin {
    /// In a folder of `PATH`.
    Path,
    /// By an argument of this command.
    Given,
}

/// An ffmpeg program.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Program {
    pub(super) origin: Origin,
    pub(super) name: String,
    #[serde(skip)]
    pub(super) path: PathBuf,
    pub(super) version: String,
}

/// Something that was not measured, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Skipped {
    pub(super) name: String,
    pub(super) why: String,
}

/// The rivals that were found.
pub(super) struct Rivals {
    pub(super) programs: Vec<Program>,
    /// The version of the ffprobe on `PATH`.
    pub(super) ffprobe: Option<String>,
    /// An interpreter with `PyAV` and Pillow.
    pub(super) python: Option<(Launcher, Version)>,
    pub(super) ez_ffmpeg: Option<(Launcher, Version)>,
    pub(super) skipped: Vec<Skipped>,
}

impl Rivals {
    /// Looks for all rivals. One that an argument names must exist; others may be missing.
    pub(super) fn find(
        scratch: &Scratch,
        given: &[&PathBuf],
        python: Option<PathBuf>,
        ez_ffmpeg: Option<PathBuf>,
    ) -> Result<Self> {
        let (mut programs, mut skipped) = (Vec::new(), Vec::new());
        let mut skip = |name: &str, why: String| {
            skipped.push(Skipped { name: name.to_owned(), why });
        };
        match version(OsStr::new("ffmpeg")) {
            Ok(version) => programs.push(Program::new(Origin::Path, "ffmpeg".into(), version)),
            Err(error) => skip("ffmpeg", error.to_string()),
        }
        for path in given {
            let version = version(path.as_os_str())?;
            programs.push(Program::new(Origin::Given, (*path).clone(), version));
        }
        if given.is_empty() {
            skip("another ffmpeg", "none was given with --ffmpeg".to_owned());
        }
        make_names_differ(&mut programs);
        let ffprobe = version(OsStr::new("ffprobe"));
        let ffprobe = ffprobe.map_err(|error| skip("ffprobe", error.to_string())).ok();
        let mut library = |name: &str, argument: &str, launcher: Option<Launcher>| {
            let Some(launcher) = launcher else {
                skip(name, format!("no program was given with --{argument}"));
                return Ok(None);
            };
            match Worker::start(scratch, &launcher) {
                Ok(worker) => Ok(Some((launcher, worker.version.clone()))),
                Err(error @ Error::Failed { .. }) => {
                    skip(name, error.to_string());
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        let python = library("PyAV", "python", python.map(Launcher::python))?;
        let ez_ffmpeg = library("ez-ffmpeg", "ez-ffmpeg", ez_ffmpeg.map(Launcher::ez_ffmpeg))?;
        Ok(Self { programs, ffprobe, python, ez_ffmpeg, skipped })
    }
}

impl Program {
    fn new(origin: Origin, path: PathBuf, version: String) -> Self {
        let short = version.split(['-', '+', '~']).next().unwrap_or(&version);
        Self { origin, name: format!("ffmpeg {short}"), path, version }
    }
}

/// Tells programs of the same version apart by their paths.
fn make_names_differ(programs: &mut [Program]) {
    let names: Vec<_> = programs.iter().map(|program| program.name.clone()).collect();
    for (program, name) in programs.iter_mut().zip(&names) {
        let is_taken = names.iter().filter(|other| *other == name).count() > 1;
        if is_taken && program.origin == Origin::Given {
            program.name = format!("{name} ({})", program.path.display());
        }
    }
}

/// The version that a program of FFmpeg prints.
fn version(program: &OsStr) -> Result<String> {
    let name = Path::new(program).display().to_string();
    let output = Command::new(program).arg("-version").stdin(Stdio::null()).output();
    let output = output.map_err(|source| Error::Start { program: name.clone(), source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next().unwrap_or_default();
    parse_version(line).ok_or_else(|| Error::Answer {
        program: format!("{name} -version"),
        found: line.to_owned(),
        expected: "the version of a program of FFmpeg",
    })
}

/// Parses the version in the first line that a program of FFmpeg prints.
fn parse_version(line: &str) -> Option<String> {
    let rest = line.strip_prefix("ffmpeg version ").or(line.strip_prefix("ffprobe version "))?;
    rest.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let check = |line, expected: Option<&str>| {
            assert_eq!(parse_version(line).as_deref(), expected, "{line}");
        };
        check("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026", Some("5.1.9-0+deb12u1"));
        check("ffprobe version n9.0.2-17-g2a571b6068 Copyright", Some("n9.0.2-17-g2a571b6068"));
        check("ffmpeg version", None);
        check("true (GNU coreutils) 9.1", None);
        check("", None);
    }

    #[test]
    fn programs_have_names_of_their_own() {
        let new = |origin, path: &str, version: &str| {
            Program::new(origin, path.into(), version.to_owned())
        };
        let mut programs = [
            new(Origin::Path, "ffmpeg", "5.1.9-0+deb12u1"),
            new(Origin::Given, "/a/ffmpeg", "5.1.9"),
            new(Origin::Given, "/b/ffmpeg", "n9.0.2-17-g2a"),
        ];
        make_names_differ(&mut programs);
        let names = programs.map(|program| program.name);
        assert_eq!(names, ["ffmpeg 5.1.9", "ffmpeg 5.1.9 (/a/ffmpeg)", "ffmpeg n9.0.2"]);
    }

    #[test]
    fn what_is_named_has_to_be_there() {
        assert!(matches!(version(OsStr::new("/nowhere/ffmpeg")), Err(Error::Start { .. })));
        assert!(matches!(version(OsStr::new("true")), Err(Error::Answer { .. })));
    }
}
