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
    assert_eq!(ended.stderr, "skipped: 1 file that is no media by name\n");
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
    // Names that differ by their extensions only keep them.
    assert_eq!(room.run(&format!("web-ready {MP4} {MKV} -o out")).status, Some(0));
    for name in ["out/counter-h264-aac.mp4.mp4", "out/counter-h264-aac.mkv.mp4"] {
        assert_eq!(judge::frames(room.path(name)).len(), 100, "{name}");
    }
    fs::create_dir(room.path("other")).unwrap();
    fs::copy(room.path(MP4), room.path("other").join(MP4)).unwrap();
    let words = ["would both become", "counter-h264-aac.mp4"];
    let status = "2 VALIDATION_ERROR in validate";
    room.check_failure(&format!("web-ready {MP4} other/{MP4} -o out"), status, &words);
    // An output in the place of an input that is still to be read, by another name.
    let (hidden, link) = (format!("other/{}.mp4", MKV.trim_end_matches(".mkv")), "linked.mp4");
    std::os::unix::fs::symlink(&hidden, room.path(link)).unwrap();
    let before = fs::read(room.path(&hidden)).unwrap();
    room.check_failure(&format!("proxy {MKV} {link} -o other"), status, &["is an input"]);
    assert_eq!(fs::read(room.path(&hidden)).unwrap(), before);
    room.check_failure("web-ready other -o other/out", status, &["lies in that of the inputs"]);
    room.check_failure("web-ready other", status, &["is a folder: `-o` names another"]);
    room.check_failure(&format!("web-ready {MP4} {MKV} -o {MP4}"), status, &["must be a folder"]);
    fs::create_dir(room.path("empty")).unwrap();
    room.check_failure("web-ready empty -o out", status, &["no media in the folder empty"]);
    // What is named like a file is no folder, unless it is there.
    let words = ["named as a file"];
    room.check_failure(&format!("web-ready {MP4} {MKV} -o out.mp4"), status, &words);
    room.check_failure(&format!("storyboard {MP4} -o sheets.jpg"), status, &words);
    // The value of a switch is no input.
    let words = ["`true` is no file", "--reencode=true"];
    room.check_failure(&format!("transcode {MP4} --reencode true -o out.mp4"), status, &words);
    let line = "web-ready missing -o new";
    room.check_failure(line, "1 INPUT_UNREACHABLE in probe", &["can not read missing"]);
    for (files, word) in [
        (format!("--input - --output {MP4}"), "`-` is none"),
        (format!("--input {MP4} --output no/a.mp4"), "its folder, no, does not exist"),
    ] {
        let ended = room.run(&format!("ffmpeg {files} -- -i {{{{input}}}} {{{{output}}}}"));
        assert!(ended.status == Some(2) && ended.stderr.contains(word), "{}", ended.stderr);
    }
}

/// Folders hold what was half copied, and links that lead back.
#[test]
fn broken_media_of_a_folder_is_a_failure_and_no_folder_is_read_twice() {
    let Some(room) = room!(MP4, MKV) else { return };
    folder(&room);
    room.write("in/broken.mp4", "no media");
    std::os::unix::fs::symlink("..", room.path("in/sub/loop")).unwrap();
    let ended = room.run("web-ready in -o out");
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("in/broken.mp4: error:"), "{}", ended.stderr);
    assert!(ended.stdout.ends_with("2 of 3 done\n"), "{}", ended.stdout);
}

#[test]
fn wrong_arguments_are_told_once_for_all_inputs() {
    let Some(room) = room!(MP4, MKV) else { return };
    let status = "2 VALIDATION_ERROR in validate";
    let check = |line: &str, word: &str| {
        room.check_failure(&format!("{line} {MP4} {MKV} -o out"), status, &[word]);
    };
    check("resize", "`width`, `height` or both");
    check("trim --start -1", "found -1");
    check("trim --ranges 2-1", "--ranges");
    check("trim --ranges 1", "0:12-0:42 or 60+5");
    check("thumbnail --at 1,-1", "--at");
    for line in ["trim a.mp4 -o b.mp4 --format webm", "thumbnail a.mp4 -o b.png --format jpg"] {
        room.check_failure(line, status, &["as the name of the output ends so"]);
    }
    let ended = room.run(&format!("proxy {MP4} -o b.mp4 --threads 257"));
    assert!(ended.status == Some(2) && ended.stderr.contains("1 to 256"), "{}", ended.stderr);
    let line = format!("thumbnail {MP4} -o b.jpg --count 3");
    room.check_failure(&line, status, &["named as a file"]);
}

#[test]
fn a_log_does_not_overwrite_media() {
    let Some(room) = room!(MP4) else { return };
    let before = fs::read(room.path(MP4)).unwrap();
    let status = "2 VALIDATION_ERROR in validate";
    let document = format!(
        r#"{{"mode":"recipe","input":{{"url":"{MP4}"}},"output":{{"format":"mp4"}},"recipe":{{"name":"proxy"}}}}"#
    );
    room.write("job.json", &document);
    for line in [
        format!("proxy {MP4} -o a.mp4 --log {MP4}"),
        format!("proxy file://{} -o a.mp4 --log {MP4}", room.path(MP4).display()),
        format!("run job.json -o a.mp4 --log {MP4}"),
        "run job.json -o a.mp4 --log job.json".to_owned(),
    ] {
        room.check_failure(&line, status, &["no log"]);
    }
    let line = format!("proxy {MP4} -o a.mp4 --log a.mp4");
    room.check_failure(&line, status, &["the output"]);
    assert_eq!(fs::read(room.path(MP4)).unwrap(), before);
    assert_eq!(fs::read_to_string(room.path("job.json")).unwrap(), document);
}

#[test]
fn a_name_that_is_made_up_replaces_nothing() {
    let Some(room) = room!(MP4, MKV) else { return };
    fs::copy(room.path(MP4), room.path("a.mp4")).unwrap();
    room.write("a-proxy.mp4", "precious");
    let ended = room.run(&format!("proxy a.mp4 {MKV} --height 64"));
    assert_eq!(ended.status, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("a-proxy.mp4"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(room.path("a-proxy.mp4")).unwrap(), "precious");
    assert!(room.path("counter-h264-aac-proxy.mp4").exists());
    // An output that was asked for is replaced.
    fs::create_dir(room.path("out")).unwrap();
    room.write("out/a.mp4", "old");
    let ended = room.run(&format!("proxy a.mp4 {MKV} -o out --height 64"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(judge::frames(room.path("out/a.mp4")).len(), 100);
}

#[test]
fn a_format_that_is_asked_for_is_made_of_extracted_sound_too() {
    let Some(room) = room!(MP4) else { return };
    let mut command = room.command(&format!("extract-audio {MP4} -o - --format mp3"));
    command.stdout(fs::File::create(room.path("out.mp3")).unwrap());
    assert_eq!(Running::start(command).end().status, Some(0));
    assert_eq!(judge::probe(room.path("out.mp3")).audio().codec, "mp3");
    assert_eq!(room.run(&format!("extract-audio {MP4} --format flac")).status, Some(0));
    let made = room.path("counter-h264-aac-extract-audio.flac");
    assert_eq!(judge::probe(&made).audio().codec, "flac");
    assert_eq!(room.run(&format!("extract-audio {MP4} -o out/ --format wav")).status, Some(0));
    assert_eq!(judge::probe(room.path("out/counter-h264-aac.wav")).audio().codec, "pcm_s16le");
}

#[test]
fn many_thumbnails_of_standard_input_go_into_a_folder() {
    let Some(room) = room!(MP4) else { return };
    let mut command = room.command("thumbnail - --count 3");
    command.stdin(fs::File::open(room.path(MP4)).unwrap());
    let ended = Running::start(command).end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(fs::read_dir(room.path("stdin-thumbnails")).unwrap().count(), 3);
    let mut command = room.command("probe -");
    command.stdin(fs::File::open(room.path(MP4)).unwrap());
    assert!(Running::start(command).end().stdout.contains("h264"));
    assert_eq!(room.run(&format!("thumbnail {MP4} --at 1,99 -o out")).status, Some(0));
    let ended = room.run(&format!("thumbnail {MP4} --at 1,99 -o out"));
    assert!(ended.stderr.contains("SEEK_PAST_END"), "{}", ended.stderr);
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
    // What is wrong does not go where the media belongs.
    let mut command = room.command(&format!("{line} --json"));
    command.stdin(Stdio::null());
    let ended = Running::start(command).end();
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("{\"state\":\"failed\""), "{}", ended.stderr);
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
