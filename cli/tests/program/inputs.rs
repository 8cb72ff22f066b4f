//! Inputs that no job can use: each is refused with its name, and none is changed.

use std::{fs, process::Command};

use fixtures::judge;

use crate::room::{Room, document, room};

#[test]
fn a_missing_file_is_unreachable() {
    let room = Room::new();
    let check = |line: &str| {
        let words = ["nowhere.mp4", "No such file"];
        room.check_failure(line, "1 INPUT_UNREACHABLE in probe", &words);
    };
    check("thumbnail nowhere.mp4 -o out.jpg");
    check("transcode nowhere.mp4 -o out.mp4");
    check("transcode nowhere.mp4");
    check("transcode file:///nowhere.mp4");
    check("thumbnail nowhere.mp4 --plan");
    check("probe nowhere.mp4");
}

#[test]
fn a_folder_is_no_input() {
    let room = Room::new();
    fs::create_dir(room.path("folder.mp4")).unwrap();
    for line in ["probe folder.mp4", "concat folder.mp4 folder.mp4 -o out.mp4"] {
        room.check_failure(line, "1 INPUT_UNREACHABLE in probe", &["folder.mp4", "it is a folder"]);
    }
}

/// A thumbnail, a copy, an encode and a probe of this fixture must fail.
fn check_no_media(room: &Room, name: &str, words: &[&str]) {
    for command in ["thumbnail", "transcode", "transcode --reencode --lenient", "probe"] {
        let line = format!("{command} {name}");
        room.check_failure(&line, "1 INPUT_INVALID in probe", &[&[name], words].concat());
    }
}

#[test]
fn an_empty_file_is_no_media() {
    let Some(room) = room!("empty.mp4") else { return };
    check_no_media(&room, "empty.mp4", &["not media"]);
}

#[test]
fn a_text_is_no_media() {
    let Some(room) = room!("text.mp4") else { return };
    check_no_media(&room, "text.mp4", &["not media"]);
}

#[test]
fn a_file_without_its_index_is_no_media() {
    let Some(room) = room!("truncated-no-moov.mp4", "ftyp-only.mp4") else { return };
    check_no_media(&room, "truncated-no-moov.mp4", &["not media", "moov"]);
    check_no_media(&room, "ftyp-only.mp4", &["not media"]);
}

#[test]
fn a_transcode_of_a_truncated_file_fails() {
    let Some(room) = room!("truncated.mp4") else { return };
    for line in [
        "transcode truncated.mp4 -o out.mp4",
        "transcode truncated.mp4 -o out.mp4 --reencode --preset ultrafast",
        "transcode truncated.mp4 -o out.wav",
    ] {
        let words = ["truncated.mp4", "cut short"];
        room.check_failure(line, "1 INPUT_INVALID in demux", &words);
    }
}

#[test]
fn a_lenient_transcode_of_a_truncated_file_states_the_seconds_lost() {
    let Some(room) = room!("truncated.mp4") else { return };
    for parameters in ["", r#","reencode":true,"preset":"ultrafast""#] {
        let recipe = format!(r#""name":"transcode","lenient":true{parameters}"#);
        room.write("job.json", document("truncated.mp4", "mp4", &recipe));
        let answer = room.succeed("run job.json -o out.mp4");
        let warnings = answer["warnings"].as_array().unwrap();
        let short: Vec<_> =
            warnings.iter().filter(|warning| warning["code"] == "INPUT_SHORT").collect();
        assert!(!short.is_empty(), "{answer}");
        // The file has 57 of 100 frames, and 103 of 189 audio packets.
        for warning in short {
            let message = warning["message"].as_str().unwrap();
            let words: Vec<_> = message.split_whitespace().collect();
            let unit = words.iter().position(|word| *word == "s").expect(message);
            let lost: f64 = words[unit - 1].parse().expect(message);
            assert!((1.5..2.0).contains(&lost), "{message}");
        }
        // The last frame is truncated, and may be decoded or not.
        let frames = judge::counters(room.path("out.mp4")).len();
        assert!((56..=57).contains(&frames), "{frames} frames: {answer}");
    }
}

#[test]
fn a_thumbnail_of_a_truncated_file_needs_its_own_frame_only() {
    let Some(room) = room!("truncated.mp4") else { return };
    room.check_failure(
        "thumbnail truncated.mp4 -o out.jpg --seek-seconds 3.5",
        "1 INPUT_INVALID in demux",
        &["truncated.mp4", "cut short"],
    );
    for seconds in ["0", "1"] {
        let answer =
            room.succeed(&format!("thumbnail truncated.mp4 -o out.jpg --seek-seconds {seconds}"));
        assert_eq!(answer["warnings"].as_array().map(Vec::len), Some(0), "{answer}");
    }
}

#[test]
fn sound_alone_has_no_thumbnail() {
    let Some(room) = room!("clicks.wav", "clicks.m4a") else { return };
    for name in ["clicks.wav", "clicks.m4a"] {
        let line = format!("thumbnail {name} -o out.jpg");
        let words = [name, "has audio", "needs a video stream"];
        room.check_failure(&line, "1 INPUT_INVALID in plan", &words);
    }
}

#[test]
fn pictures_alone_have_no_sound() {
    let Some(room) = room!("h264-10bit.mp4") else { return };
    let line = "transcode h264-10bit.mp4 -o out.mp3";
    let words = ["h264-10bit.mp4", "has video", "needs an audio stream"];
    room.check_failure(line, "1 INPUT_INVALID in plan", &words);
}

#[test]
fn places_are_refused_or_not_there_and_shown_without_their_secrets() {
    let room = Room::new();
    let check = |url: &str, expected: &str, shown: &str| {
        room.write("job.json", document(url, "jpg", r#""name":"thumbnail""#));
        for line in [&format!("thumbnail {url}"), &format!("probe {url}"), "run job.json"] {
            let error = room.check_failure(line, expected, &[shown]);
            assert!(!error["message"].as_str().unwrap().contains("secret"), "{error}");
        }
    };
    let unknown = "1 INPUT_UNREACHABLE in fetch, retryable";
    check("https://host.invalid/a.mp4?token=secret", unknown, "https://host.invalid/a.mp4");
    check("http://me:secret@host.invalid/a.mp4", unknown, "http://…@host.invalid/a.mp4");
    let refused = "1 LOCATION_REFUSED in validate";
    check("file://host.invalid/a.mp4", refused, "file://host.invalid/a.mp4");
    check("concat://in.mp4", refused, "concat://in.mp4");
    check("rtmp://me:secret@host.invalid/a", refused, "rtmp://…@host.invalid/a");
}

#[test]
fn a_list_of_files_opens_none_of_them() {
    let Some(room) = room!("counter-h264-aac.mp4", "counter-h264-aac.ts") else { return };
    let playlist = |name: &str| {
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{name}\n#EXT-X-ENDLIST\n")
    };
    let script = |name: &str| format!("ffconcat version 1.0\nfile {name}\n");
    let here = room.path("counter-h264-aac.mp4").display().to_string();
    for name in ["/etc/passwd", "counter-h264-aac.mp4", "counter-h264-aac.ts", &here] {
        room.write("list.m3u8", playlist(name));
        room.write("list.ffconcat", script(name));
        // The extension of a playlist does not make it media.
        room.write("list.ts", playlist(name));
        room.write("list.mp4", script(name));
        for list in ["list.m3u8", "list.ffconcat", "list.ts", "list.mp4"] {
            for command in ["probe", "thumbnail", "transcode"] {
                let line = format!("{command} {list}");
                let error =
                    room.check_failure(&line, "1 INPUT_INVALID in probe", &[list, "not media"]);
                let message = error["message"].as_str().unwrap();
                assert!(!message.contains("memory"), "`{line}` gives a wrong reason: {message}");
            }
        }
    }
}

#[test]
fn a_pattern_of_names_is_one_name() {
    let Some(room) = room!("counter-h264-aac.mp4") else { return };
    for number in 1..4 {
        room.succeed(&format!("thumbnail counter-h264-aac.mp4 -o frame{number}.png"));
    }
    room.check_failure("transcode frame%d.png", "1 INPUT_UNREACHABLE in probe", &["frame%d.png"]);
}

#[test]
fn a_pipe_is_no_input() {
    let room = Room::new();
    assert!(Command::new("mkfifo").arg(room.path("pipe.mp4")).status().unwrap().success());
    for line in ["probe pipe.mp4", "thumbnail pipe.mp4", "probe /dev/zero"] {
        room.check_failure(line, "1 INPUT_UNREACHABLE in probe", &["regular file"]);
    }
}
