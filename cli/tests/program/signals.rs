//! Signals during a transcode: the program ends soon, and leaves no files.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::room::{Ended, Room, Running, room};

/// How long the program may take to end. The aim is 200 ms, but the machine may be busy.
const BOUND: Duration = Duration::from_secs(10);

/// A transcode that takes much longer than a test.
const LINE: &str = "transcode in.mp4 -o out.mp4 --reencode --preset veryslow --progress json";

/// Starts a long transcode, and sends signals once frames are written. Checks that it ends soon
/// with status 130, and leaves the room as it was.
fn interrupt(room: &Room, line: &str, signals: &[&str]) -> Ended {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    room.link(fixtures::get("counter-60s.mp4"), "in.mp4");
    // Several encoders at a time would compete for the processors.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = room.sight();
    let mut running = Running::start(room.command(line));
    let mut progress = BufReader::new(running.child.stderr.take().unwrap());
    loop {
        let mut text = String::new();
        assert!(progress.read_line(&mut text).unwrap() > 0, "`{line}` ended by itself");
        let now: Value = serde_json::from_str(&text).unwrap();
        if now["frames"].as_u64().unwrap() > 0 {
            break;
        }
    }
    assert_eq!(room.new_names(&before).len(), 1, "one temporary file is at work");

    let begin = Instant::now();
    for signal in signals {
        running.signal(signal);
    }
    let mut ended = running.end();
    let took = begin.elapsed();
    println!("{signals:?}: {took:?} to the end of the program");
    progress.read_to_string(&mut ended.stderr).unwrap();
    assert_eq!(ended.status, Some(130), "`{line}`: {}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert!(took < BOUND, "{signals:?}: {took:?} to the end of the program");
    assert_eq!(room.new_names(&before), [""; 0], "{signals:?} leave something behind");
    assert!(room.sight() == before, "{signals:?} touch what was there");
    ended
}

/// Checks the answer to signals, in JSON.
fn check_answer(signals: &[&str]) {
    let Some(room) = room!() else { return };
    let line = format!("{LINE} --json");
    let answer = interrupt(&room, &line, signals).json(&line);
    assert_eq!(answer["state"], "cancelled", "{answer}");
    assert_eq!(answer["error"]["code"], "CANCELLED", "{answer}");
    assert_eq!(answer["error"]["retryable"], false, "{answer}");
}

#[test]
fn an_interrupt_ends_the_program_and_leaves_nothing() {
    check_answer(&["INT"]);
}

#[test]
fn a_request_to_terminate_ends_the_program_and_leaves_nothing() {
    check_answer(&["TERM"]);
}

#[test]
fn a_lost_terminal_ends_the_program_and_leaves_nothing() {
    check_answer(&["HUP"]);
}

#[test]
fn several_interrupts_are_one() {
    check_answer(&["INT", "INT", "INT"]);
}

#[test]
fn an_interrupt_leaves_an_existing_output_as_it_was() {
    let Some(room) = room!() else { return };
    room.write("out.mp4", "old");
    let ended = interrupt(&room, LINE, &["INT"]);
    assert_eq!(ended.stdout, "");
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.contains("cancelled") && last.contains("[CANCELLED]"), "{last}");
}
