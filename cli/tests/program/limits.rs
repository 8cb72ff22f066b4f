//! Limits of the system: permissions, disk space, and the size of a file.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Command, Stdio},
};

use crate::room::Room;

/// A prefix that runs a command as an unprivileged user.
const AS_NOBODY: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// A script that runs a command with a file system of 64 KiB at `disk`. It exits with 99 if the
/// command leaves something there.
const ON_A_SMALL_DISK: &str = r#"mount -t tmpfs -o size=64k tmpfs disk || exit 98
"$@"; status=$?
[ -z "$(ls -A disk)" ] || exit 99
exit "$status""#;

/// Commands that may give a mount namespace in which this user can mount.
const WAYS_TO_MOUNT: [&[&str]; 2] =
    [&["unshare", "--mount"], &["unshare", "--map-root-user", "--mount"]];

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether a command can be started and succeeds.
fn works(words: &[&str], folder: &Path) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn what_is_forbidden_is_neither_read_nor_written() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let mut room = Room::with(&["counter-h264-aac.mp4", "clicks.wav"]);
    set_mode(&room.path(""), 0o755);
    if fs::metadata(room.path("")).unwrap().uid() == 0 {
        // Root has all permissions, so the test runs as another user, with a copy of the program in
        // a folder that this user can reach.
        let program = room.path("avocet");
        fs::copy(fixtures::program!(), &program).unwrap();
        set_mode(&program, 0o755);
        let version = [AS_NOBODY, &[program.to_str().unwrap(), "--version"]].concat();
        if !works(&version, &room.path("")) {
            let why = "root can not become a user without rights here";
            fixtures::skip(fixtures::test_name!(), "setpriv", why);
            return;
        }
        room.behind(program, AS_NOBODY);
    }
    room.write("job.json", "{}");
    fs::create_dir(room.path("closed")).unwrap();
    fs::copy(room.path("clicks.wav"), room.path("closed/clicks.wav")).unwrap();
    room.write("closed/old.mp3", "old");
    set_mode(&room.path("clicks.wav"), 0);
    set_mode(&room.path("job.json"), 0);
    set_mode(&room.path("closed"), 0o555);

    let check = |line: &str, expected: &str, name: &str| {
        // The system's message, which may be followed by an error number.
        let error = room.check_failure(line, expected, &[name]);
        let message = error["message"].as_str().unwrap().to_lowercase();
        assert!(message.contains("permission denied"), "`{line}`: {message}");
    };
    check("probe clicks.wav", "1 INPUT_UNREACHABLE in probe", "clicks.wav");
    check("transcode clicks.wav -o out.mp3", "1 INPUT_UNREACHABLE in probe", "clicks.wav");
    check("run job.json", "2 VALIDATION_ERROR in validate", "job.json");
    let line = "thumbnail counter-h264-aac.mp4 -o closed/new.jpg";
    check(line, "1 STORAGE_ERROR in commit", "closed/new.jpg");
    let line = "transcode closed/clicks.wav -o closed/old.mp3";
    check(line, "1 STORAGE_ERROR in commit", "closed/old.mp3");
    // The folder can be listed, but its files can not be opened.
    set_mode(&room.path("closed"), 0o444);
    check("probe closed/clicks.wav", "1 INPUT_UNREACHABLE in probe", "closed/clicks.wav");
    let line = "thumbnail counter-h264-aac.mp4 -o closed/new.jpg";
    check(line, "1 STORAGE_ERROR in commit", "closed/new.jpg");
    set_mode(&room.path("closed"), 0o755);
}

/// Jobs with outputs of more than 64 KiB.
fn large_jobs(output: &str) -> [String; 3] {
    let input = "counter-h264-aac.mp4";
    [
        format!("transcode {input} -o {output}.mp4"),
        format!("transcode {input} -o {output}.mp4 --reencode --preset ultrafast --crf 1"),
        format!("transcode {input} -o {output}.wav"),
    ]
}

#[test]
fn a_full_disk_is_told_and_may_be_tried_again() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let mut room = Room::with(&["counter-h264-aac.mp4"]);
    fs::create_dir(room.path("disk")).unwrap();
    let script = ["sh", "-c", ON_A_SMALL_DISK, "sh"];
    let ways = WAYS_TO_MOUNT.map(|way| [way, &script].concat());
    let granted = |way: &&Vec<&str>| works(&[way.as_slice(), &["true"]].concat(), &room.path(""));
    let Some(way) = ways.iter().find(granted).cloned() else {
        fixtures::skip(fixtures::test_name!(), "mount", "no disk can be mounted here");
        return;
    };
    room.behind(fixtures::program!(), &way);
    for line in large_jobs("disk/out") {
        let words = ["disk/out.", "No space left"];
        room.check_failure(&line, "1 STORAGE_ERROR in commit, retryable", &words);
    }
}

#[test]
fn a_limit_on_the_size_of_files_is_told() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let mut room = Room::with(&["counter-h264-aac.mp4"]);
    // The limit is in blocks of 512 bytes. Unless SIGXFSZ is ignored, it kills the process.
    let script = r#"trap "" XFSZ; ulimit -f 128; exec "$@""#;
    room.behind(fixtures::program!(), &["sh", "-c", script, "sh"]);
    for line in large_jobs("out") {
        room.check_failure(&line, "1 STORAGE_ERROR in commit", &["out.", "File too large"]);
    }
}
