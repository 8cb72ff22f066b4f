//! Several inputs and folders, standard input and output, and the commands that describe the program.

use std::{fs, process::Stdio};

use fixtures::judge;

use crate::room::{Room, Running, room};

const MP4: &str = "counter-h264-aac.mp4";
const MKV: &str = "counter-h264-aac.mkv";

/// A folder `in` with two clips, one of them in a folder of its own, and a file that is no media.
fn folder(room: &Room) {
    fs::create_dir_all(room.path("in/sub")).unwrap();
    fs::rename(room.path(MP4), room.path("in/a.mp4")).unwrap();
    fs::rename(room.path(MKV), room.path("in/sub/b.mkv")).unwrap();
    room.write("in/notes.txt", "no media");
    room.write("in/.hidden.mp4", "no media");
}

#[test]
fn all_files_of_a_folder_are_done_and_others_skipped() {
    let Some(room) = room!(MP4, MKV) else { return };
    folder(&room);
    let ended = room.run("web-ready in -o out");
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr, "skipped: in/notes.txt: not media\n");
    assert!(ended.stdout.ends_with("2 of 2 done\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("passthrough") && ended.stdout.contains("remuxed: 0 frames"));
    for name in ["out/a.mp4", "out/sub/b.mp4"] {
        assert_eq!(judge::frames(room.path(name)).len(), 100, "{name}");
    }
    assert_eq!(fs::read_dir(room.path("out")).unwrap().count(), 2);
}

#[test]
fn a_failure_does_not_stop_the_others_and_is_told() {
    let Some(room) = room!(MP4) else { return };
    room.write("broken.mp4", "no media");
    let ended = room.run(&format!("transcode broken.mp4 {MP4} -o out --format webm --plan"));
    assert!(ended.stderr.contains("broken.mp4") && ended.stdout.contains("libvpx-vp9"));
    assert!(!room.path("out").exists());
    let ended = room.run(&format!("transcode broken.mp4 {MP4} -o out --format mov --json"));
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(1), ""));
    let answer = ended.json("transcode");
    let states = answer["jobs"].as_array().unwrap().iter();
    let states: Vec<_> = states.map(|job| (&job["input"], &job["state"])).collect();
    assert_eq!(states[0], (&"broken.mp4".into(), &"failed".into()));
    assert_eq!(states[1], (&MP4.into(), &"completed".into()));
    assert_eq!((&answer["state"], answer["jobs"].as_array().unwrap().len()), (&"failed".into(), 2));
    assert_eq!(judge::frames(room.path("out/counter-h264-aac.mov")).len(), 100);
}

#[test]
fn outputs_that_would_meet_are_refused() {
    let Some(room) = room!(MP4, MKV) else { return };
    let words = ["would both become", "counter-h264-aac.mp4"];
    let status = "2 VALIDATION_ERROR in validate";
    room.check_failure(&format!("web-ready {MP4} {MKV} -o out"), status, &words);
    room.check_failure(&format!("web-ready {MP4} {MKV} -o {MP4}"), status, &["must be a folder"]);
    fs::create_dir(room.path("empty")).unwrap();
    room.check_failure("web-ready empty -o out", status, &["hold no files"]);
}

#[test]
fn standard_input_and_output_are_files_like_others() {
    let Some(room) = room!(MP4) else { return };
    let line = "trim - -o - --format mp4 --start 1 --duration 1";
    let mut command = room.command(line);
    command.stdin(fs::File::open(room.path(MP4)).unwrap());
    command.stdout(fs::File::create(room.path("out.mp4")).unwrap());
    let ended = Running::start(command).end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("1.000 s"), "{}", ended.stderr);
    let counters: Vec<u16> = judge::counters(room.path("out.mp4")).into_iter().flatten().collect();
    assert_eq!(counters, (25..50).collect::<Vec<u16>>());

    let status = "2 VALIDATION_ERROR in validate";
    room.check_failure(&format!("trim {MP4} -o -"), status, &["--format"]);
    room.check_failure(&format!("storyboard {MP4} -o -"), status, &["several"]);
    room.check_failure(
        &format!("thumbnail {MP4} --count 2 -o - --format jpg"),
        status,
        &["several"],
    );
    let mut command = room.command(&format!("{line} --json"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let ended = Running::start(command).end();
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
}

#[test]
fn the_log_and_verbose_runs_say_what_is_decided() {
    let Some(room) = room!(MP4) else { return };
    let ended =
        room.run(&format!("trim {MP4} -o out.mp4 --start 0.5 -v --threads 1 --log log.txt"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("strategy: smart_cut\n"), "{}", ended.stderr);
    let log = fs::read_to_string(room.path("log.txt")).unwrap();
    for part in ["probed", "runs this plan", "smart_cut", "done"] {
        assert!(log.contains(part), "no {part} in {log}");
    }
    let status = "2 VALIDATION_ERROR in validate";
    room.check_failure(&format!("trim {MP4} -o x.mp4 --log no/log.txt"), status, &["no/log.txt"]);
    assert_eq!(room.run(&format!("trim {MP4} -o x.mp4 --threads 0")).status, Some(2));
}

#[test]
fn the_program_describes_itself_and_the_machine() {
    let Some(room) = room!() else { return };
    for shell in ["bash", "zsh", "fish"] {
        let script = room.run(&format!("completions {shell}")).stdout;
        assert!(script.contains("web-ready") && script.contains("start-seconds"), "{shell}");
    }
    fs::create_dir(room.path("man")).unwrap();
    assert_eq!(room.run("man man").status, Some(0));
    let page = fs::read_to_string(room.path("man/avocet-trim.1")).unwrap();
    assert!(page.contains("accuracy") && room.path("man/avocet.1").exists());
    let missing = room.run("man missing");
    assert!(missing.status == Some(2) && missing.stderr.contains("missing"), "{}", missing.stderr);
    let doctor = room.run("doctor");
    assert_eq!(doctor.status, Some(0));
    for part in ["ok      libav: FFmpeg", "ok      H.264 video: encoder libx264", "temporary files"]
    {
        assert!(doctor.stdout.contains(part), "no {part} in {}", doctor.stdout);
    }
    let mut bare = room.command("doctor");
    bare.env("PATH", "/nowhere").env("TMPDIR", "/nowhere");
    let doctor = Running::start(bare).end().stdout;
    for part in ["missing custom arguments: no ffmpeg program", "missing temporary files", "TMPDIR"]
    {
        assert!(doctor.contains(part), "no {part} in {doctor}");
    }
    let help = room.run("--help").stdout;
    for group in ["Make:", "Look:", "Run:", "Serve:"] {
        assert!(help.contains(group), "{help}");
    }
}
