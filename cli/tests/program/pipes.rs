//! Closed pipes and full devices must cause no panic, and must not cost an output.

use std::{fs, io, process::Stdio};

use crate::room::{Running, room};

/// The writing end of a pipe without a reader.
fn closed() -> Stdio {
    let (_, writer) = io::pipe().unwrap();
    writer.into()
}

#[test]
fn a_closed_standard_output_is_no_failure() {
    let Some(room) = room!("counter-h264-aac.mp4") else { return };
    let check = |line: &str, expected: i32| {
        let mut command = room.command(line);
        command.stdout(closed());
        let ended = Running::start(command).end();
        assert_eq!(ended.status, Some(expected), "`{line}`: {}", ended.stderr);
        assert!(!ended.stderr.contains("pipe"), "`{line}`: {}", ended.stderr);
    };
    check("capabilities --json", 0);
    check("probe counter-h264-aac.mp4", 0);
    check("probe nowhere.mp4 --json", 1);
    check("--version", 0);
    check("--help", 0);
    for flags in ["", " --json"] {
        check(&format!("thumbnail counter-h264-aac.mp4 -o out.jpg{flags}"), 0);
        fs::remove_file(room.path("out.jpg")).expect("the output is there");
    }
}

#[test]
fn a_closed_standard_error_is_no_failure() {
    let Some(room) = room!("counter-h264-aac.mp4") else { return };
    let check = |line: &str, expected: i32| {
        let mut command = room.command(line);
        command.stderr(closed());
        let ended = Running::start(command).end();
        assert_eq!(ended.status, Some(expected), "`{line}`: {}", ended.stdout);
    };
    check("transcode counter-h264-aac.mp4 -o out.mp4 --reencode --progress json", 0);
    fs::remove_file(room.path("out.mp4")).expect("the output is there");
    check("thumbnail counter-h264-aac.mp4 -o out.jpg --seek-seconds 1000", 0);
    check("probe nowhere.mp4", 1);
    check("thumbnail", 2);
}

#[test]
fn an_answer_that_can_not_be_written_is_a_failure() {
    let Some(room) = room!("counter-h264-aac.mp4") else { return };
    let Ok(full) = fs::File::options().write(true).open("/dev/full") else {
        fixtures::skip(fixtures::test_name!(), "dev-full", "there is no /dev/full");
        return;
    };
    let mut command = room.command("probe counter-h264-aac.mp4 --json");
    command.stdout(full);
    let ended = Running::start(command).end();
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("standard output"), "{}", ended.stderr);
}
