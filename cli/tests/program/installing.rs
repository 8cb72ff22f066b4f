//! `install.sh`, with an archive that has a shell script in the place of the program.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use sha2::{Digest, Sha256};

/// A folder with an archive, its checksum, and a prefix in which nothing is installed yet.
struct Place {
    folder: tempfile::TempDir,
    archive: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("avocet-9.9.9-x86_64.tar.xz");
        Self { folder, archive }.with_release("9.9.9", &["share/man/man1/avocet.1.gz"])
    }

    /// Makes an archive whose program tells a version.
    fn with_release(self, version: &str, more: &[&str]) -> Self {
        let tree = self.folder.path().join("tree");
        let _ = fs::remove_dir_all(&tree);
        let program = format!("#!/bin/sh\necho avocet {version}\n");
        for (file, content) in [("bin/avocet", program.as_str()), ("lib/avocet/ffmpeg", "")]
            .into_iter()
            .chain(more.iter().map(|file| (*file, "")))
        {
            let path = tree.join("avocet").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&tree).arg("-cJf").arg(&self.archive).arg("avocet");
        assert!(tar.status().unwrap().success());
        self.sign(&format!("{:x}", Sha256::digest(fs::read(&self.archive).unwrap())));
        self
    }

    fn sign(&self, hash: &str) {
        let name = self.archive.file_name().unwrap().to_string_lossy().into_owned();
        let signed = self.archive.with_file_name(format!("{name}.sha256"));
        fs::write(signed, format!("{hash}  {name}\n")).unwrap();
    }

    fn prefix(&self) -> PathBuf {
        self.folder.path().join("prefix")
    }

    /// Puts a program of that name on the path, before those of the system.
    fn shadow(&self, name: &str, script: &str) {
        let path = self.folder.path().join("shadows").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../install.sh");
        let path = format!("{}/shadows:{}", self.folder.path().display(), env!("PATH"));
        let mut command = Command::new("sh");
        command.arg(script).arg("--prefix").arg(self.prefix()).args(arguments).env("PATH", path);
        command.env("HOME", self.folder.path()).output().unwrap()
    }

    fn install(&self) -> Output {
        self.run(&["--from", &self.archive.display().to_string()])
    }

    /// Every file and folder in the prefix.
    fn there(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.prefix()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(self.prefix()).unwrap().display().to_string());
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

/// What a script wrote to standard error; it must have failed, with one sentence.
fn refusal(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

#[test]
fn it_is_installed_replaced_and_removed() {
    let place = Place::new();
    let output = place.install();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("avocet 9.9.9 is ") && told.contains("is not in PATH"), "{told}");
    let program = place.prefix().join("bin/avocet");
    assert_eq!(Command::new(&program).output().unwrap().stdout, b"avocet 9.9.9\n");
    let first = place.there();
    assert!(first.contains(&"share/man/man1/avocet.1.gz".to_owned()), "{first:?}");
    assert!(!first.iter().any(|name| name.starts_with('.')), "{first:?}");

    // A file of somebody else stays, and one that the next release does not have goes.
    fs::write(place.prefix().join("share/man/man1/other.1.gz"), "").unwrap();
    let place = place.with_release("9.9.10", &["share/doc/avocet/copyright"]);
    assert!(place.install().status.success());
    assert_eq!(Command::new(&program).output().unwrap().stdout, b"avocet 9.9.10\n");
    let second = place.there();
    assert!(second.contains(&"share/doc/avocet/copyright".to_owned()), "{second:?}");
    assert!(!second.contains(&"share/man/man1/avocet.1.gz".to_owned()), "{second:?}");

    assert!(place.run(&["--uninstall"]).status.success());
    let left = ["bin", "lib", "share", "share/doc", "share/man", "share/man/man1"];
    assert_eq!(place.there(), [&left[..], &["share/man/man1/other.1.gz"]].concat());
    assert!(refusal(&place.run(&["--uninstall"])).contains("nothing that this script installed"));
}

#[test]
fn what_is_wrong_is_one_sentence_and_nothing_is_left() {
    let refused = |place: &Place| {
        let told = refusal(&place.install());
        let files = place
            .there()
            .iter()
            .filter(|name| !["bin", "lib", "share"].contains(&name.as_str()))
            .count();
        assert_eq!(files, 0, "{:?}", place.there());
        told
    };

    let place = Place::new();
    place.sign(&"0".repeat(64));
    assert!(refused(&place).contains("its SHA-256 is"));

    let place = Place::new();
    let whole = fs::read(&place.archive).unwrap();
    fs::write(&place.archive, &whole[..whole.len() / 2]).unwrap();
    assert!(refused(&place).contains("was cut short"));

    let place = Place::new();
    fs::remove_file(place.archive.with_file_name("avocet-9.9.9-x86_64.tar.xz.sha256")).unwrap();
    assert!(refused(&place).contains("the checksum, is missing"));

    let place = Place::new();
    place.shadow("getconf", "echo glibc 2.31");
    assert!(refused(&place).contains("glibc 2.31, and the program wants 2.35 or later"));

    let place = Place::new();
    place.shadow("getconf", "exit 1");
    assert!(refused(&place).contains("is not glibc"));

    let place = Place::new();
    place.shadow("uname", "[ \"$1\" = -s ] && echo Linux || echo riscv64");
    assert!(refused(&place).contains("there is no program for riscv64"));

    // A program that does not start is not put into the place of one that does.
    let place = Place::new();
    assert!(place.install().status.success());
    let before = place.there();
    let place = place.with_release("$(exit 3); exit 3 #", &[]);
    assert!(refusal(&place.install()).contains("does not run on this system"));
    assert_eq!(place.there(), before);
}

#[test]
fn a_folder_that_can_not_be_written_is_named() {
    let place = Place::new();
    // Root may write anywhere, but nobody below a file of `/proc`.
    let output =
        place.run(&["--from", &place.archive.display().to_string(), "--prefix", "/proc/self"]);
    let told = refusal(&output);
    assert!(told.contains("/proc/self"), "{told}");
}
