//! The answers of successful commands, for people and for programs.

use std::fs;

use serde_json::{Value, json};

use crate::room::{Ended, Room, document, room};

const INPUT: &str = "counter-h264-aac.mp4";

/// The names of an object's fields, in alphabetical order.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Runs a job on four seconds of video and sound. Checks the fields of the answer, the file and its
/// size, and that each stream has an action with a reason.
fn check_answer(room: &Room, line: &str, strategy: &str, actions: [&str; 2]) -> Value {
    let answer = room.succeed(line);
    let fields = ["outputs", "state", "stats", "strategy", "streams", "warnings"];
    assert_eq!(keys(&answer), fields, "`{line}`");
    assert_eq!((&answer["state"], &answer["strategy"]), (&json!("completed"), &json!(strategy)));
    assert_eq!(answer["warnings"], json!([]), "`{line}`");
    assert!(answer["stats"]["wall_seconds"].as_f64().unwrap() > 0.0, "{answer}");

    let outputs = answer["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 1, "`{line}`");
    let file = fs::metadata(room.path(outputs[0]["path"].as_str().unwrap())).unwrap();
    assert_eq!(outputs[0]["size_bytes"], json!(file.len()), "`{line}`");

    let streams = answer["streams"].as_array().unwrap();
    for (index, stream) in streams.iter().enumerate() {
        let fields = ["action", "index", "input", "kind", "message", "reason"];
        assert_eq!(keys(stream), fields, "`{line}`");
        assert_eq!((&stream["input"], &stream["index"]), (&json!(0), &json!(index)), "`{line}`");
        let (code, message) = (&stream["reason"], &stream["message"]);
        let code = code.as_str().unwrap();
        assert!(code.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'), "{code}");
        assert!(message.as_str().unwrap().contains(' '), "{message}");
    }
    let met: Vec<_> = streams.iter().map(|stream| (&stream["kind"], &stream["action"])).collect();
    let [video, sound] = actions.map(Value::from);
    assert_eq!(met, [(&json!("video"), &video), (&json!("audio"), &sound)], "`{line}`");
    answer["outputs"][0].clone()
}

#[test]
fn a_thumbnail_is_told_in_full() {
    let Some(room) = room!(INPUT) else { return };
    let check = |output: &str, mime: &str, codec: &str| {
        let line = format!("thumbnail {INPUT} -o {output} --width 160");
        let mut told = check_answer(&room, &line, "thumbnail", ["encode", "drop"]);
        told.as_object_mut().unwrap().remove("size_bytes");
        let format = output.rsplit('.').next();
        let expected = json!({
            "path": output, "duration": null, "file_type": "image", "file_format": format,
            "mime_type": mime, "codec": codec, "width": 160, "height": 90, "frame_rate": null,
            "bitrate_kbps": null,
        });
        assert_eq!(told, expected, "`{line}`");
    };
    check("out.jpg", "image/jpeg", "mjpeg");
    check("out.png", "image/png", "png");
    check("out.webp", "image/webp", "webp");
}

#[test]
fn a_transcode_is_told_in_full() {
    let Some(room) = room!(INPUT) else { return };
    let check = |line: &str, strategy: &str, actions: [&str; 2], kind: &str, codec: &str| {
        let told = check_answer(&room, line, strategy, actions);
        let duration = told["duration"].as_f64().unwrap();
        assert!((duration - 4.0).abs() < 0.05, "`{line}`: {duration} s");
        let (bytes, bitrate) = (&told["size_bytes"], told["bitrate_kbps"].as_f64().unwrap());
        let expected = bytes.as_f64().unwrap() / duration / 125.0;
        assert!((bitrate - expected).abs() < 1.0, "`{line}`: {bitrate} kbit/s");
        assert_eq!((&told["file_type"], &told["codec"]), (&json!(kind), &json!(codec)), "`{line}`");
        let picture = ["width", "height", "frame_rate"].map(|key| told[key].as_f64());
        let shown = [320.0, 180.0, 25.0].map(Some);
        assert_eq!(picture, if kind == "video" { shown } else { [None; 3] }, "`{line}`");
    };
    let encode = ["encode", "encode"];
    let line = format!("transcode {INPUT} -o");
    check(&format!("{line} out.mp4"), "remux", ["copy", "copy"], "video", "h264");
    check(&format!("{line} out.mov"), "remux", ["copy", "copy"], "video", "h264");
    check(&format!("{line} out.webm --preset 8"), "encode", encode, "video", "vp9");
    check(&format!("{line} new.mp4 --reencode --preset fast"), "encode", encode, "video", "h264");
    check(&format!("{line} out.wav"), "encode", ["drop", "encode"], "audio", "pcm_s16le");
    check(&format!("{line} out.m4a"), "remux", ["drop", "copy"], "audio", "aac");
}

#[test]
fn a_document_means_the_same_from_a_file_and_from_standard_input() {
    let Some(room) = room!(INPUT) else { return };
    let text = document(INPUT, "png", r#""name":"thumbnail","seekSeconds":1"#);
    room.write("job.json", &text);
    room.succeed("run job.json -o file.png");
    let ended = room.feed("run - -o fed.png --json", &text);
    assert_eq!((ended.status, ended.json("run -")["state"].as_str()), (Some(0), Some("completed")));
    room.succeed(&format!("thumbnail {INPUT} -o flags.png --seek-seconds 1"));
    let file = fs::read(room.path("file.png")).unwrap();
    for same in ["fed.png", "flags.png"] {
        assert!(fs::read(room.path(same)).unwrap() == file, "{same} is another picture");
    }
    let before = room.sight();
    let planned = room.feed("plan - --json", &text);
    assert_eq!(planned.status, Some(0), "{}", planned.stderr);
    assert!(room.sight() == before);
}

#[test]
fn a_run_is_quiet_where_nobody_watches() {
    let Some(room) = room!(INPUT) else { return };
    for progress in ["", " --progress none"] {
        let line = format!("transcode {INPUT} -o out.mp4 --reencode --preset ultrafast{progress}");
        let Ended { status, stdout, stderr } = room.run(&line);
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "`{line}`");
        assert_eq!(stdout.lines().count(), 2, "`{line}`: {stdout}");
        for word in ["out.mp4: ", "320x180", "4.000 s", "\nencoded: 100 of 100 frames, "] {
            assert!(stdout.contains(word), "`{line}`: {stdout}");
        }
    }
}

#[test]
fn the_last_line_says_how_much_was_encoded() {
    let Some(room) = room!(INPUT) else { return };
    for (line, expected) in [
        (format!("transcode {INPUT} -o out.mov"), "remuxed: 0 frames encoded, "),
        (format!("web-ready {INPUT} -o same.mp4"), "passthrough: the bytes of the input, "),
        (format!("extract-audio {INPUT} -o sound.m4a"), "copied: 0 frames encoded, "),
        (format!("extract-audio {INPUT} -o sound.wav"), "encoded: sound, "),
        // The video is copied; AAC must be encoded to be concatenated.
        (format!("concat {INPUT} {INPUT} -o both.mp4"), "encoded: sound, "),
        (format!("thumbnail {INPUT} -o one.jpg"), "1 frame decoded, "),
    ] {
        let Ended { stdout, .. } = room.run(&line);
        let last = stdout.lines().last().unwrap_or_default();
        assert!(last.starts_with(expected), "`{line}`: {stdout}");
    }
    // The section has 69 frames of 0.04 s.
    let line = format!("trim {INPUT} -o cut.mp4 --start-seconds 0.72 --duration-seconds 2.76");
    let Ended { stdout, .. } = room.run(&line);
    let last = stdout.lines().last().unwrap_or_default();
    let counts = last.strip_prefix("smart cut: ").and_then(|rest| rest.split_once(" of "));
    let (encoded, rest) = counts.unwrap_or_else(|| panic!("{stdout}"));
    assert!(rest.starts_with("69 frames encoded, "), "{stdout}");
    assert!((1..69).contains(&encoded.parse::<u32>().unwrap()), "{stdout}");
}

#[test]
fn warnings_are_told_to_people_beside_the_answer() {
    let Some(room) = room!(INPUT) else { return };
    let line = format!("thumbnail {INPUT} -o out.jpg --seek-seconds 1000");
    let Ended { status, stdout, stderr } = room.run(&line);
    assert_eq!((status, stdout.lines().count()), (Some(0), 2), "{stdout}");
    assert!(stderr.starts_with("warning: ") && stderr.contains("SEEK_PAST_END"), "{stderr}");
    let answer = room.succeed(&line);
    assert_eq!(answer["warnings"][0]["code"], "SEEK_PAST_END", "{answer}");
}

#[test]
fn progress_goes_forward_in_lines_of_json_and_ends_at_1() {
    let Some(room) = room!(INPUT) else { return };
    let check = |line: &str, frames: u64| {
        let Ended { status, stdout, stderr } = room.run(&format!("{line} --progress json"));
        let told = if line.contains("--json") { 1 } else { 2 };
        assert_eq!((status, stdout.lines().count()), (Some(0), told), "`{line}`: {stderr}");
        let lines: Vec<Value> = stderr
            .lines()
            .map(|text| {
                serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
            })
            .collect();
        let expected =
            ["bytes", "etaSeconds", "fps", "fraction", "frames", "phase", "seconds", "speed"];
        for each in &lines {
            assert_eq!(keys(each), expected, "`{line}`");
        }
        for key in ["fraction", "seconds", "frames", "bytes"] {
            let values: Vec<_> = lines.iter().map(|each| each[key].as_f64().unwrap()).collect();
            assert!(values.is_sorted(), "`{line}`: {key} goes back in {values:?}");
            assert!(key != "fraction" || values.iter().all(|value| (0.0..=1.0).contains(value)));
        }
        let ones = lines.iter().filter(|each| each["fraction"] == 1.0).count();
        let last = lines.last().unwrap();
        assert_eq!((ones, &last["fraction"]), (1, &json!(1.0)), "`{line}`");
        assert_eq!(last["frames"], json!(frames), "`{line}`");
    };
    check(&format!("thumbnail {INPUT} -o out.jpg"), 1);
    check(&format!("transcode {INPUT} -o out.mp4"), 100);
    check(&format!("transcode {INPUT} -o out.mp4 --reencode"), 100);
    check(&format!("transcode {INPUT} -o out.webm --json"), 100);
}

#[test]
fn a_plan_is_shown_and_nothing_is_done() {
    let Some(room) = room!(INPUT) else { return };
    room.write("job.json", document(INPUT, "webm", r#""name":"transcode""#));
    let before = room.sight();
    let recipe = format!("transcode {INPUT} -o out.webm --plan");
    for line in ["plan job.json", &recipe] {
        let ended = room.run(&format!("{line} --json"));
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "`{line}`");
        let plan = ended.json(line);
        assert_eq!(plan["strategy"], "encode", "{plan}");
        let tracks = plan["outputs"][0]["content"]["tracks"].as_array().unwrap();
        assert_eq!(tracks.len(), 2, "{plan}");
        for track in tracks {
            assert!(track["action"]["encode"].is_object(), "{track}");
            assert!(track["because"][0]["code"].is_string(), "{track}");
        }

        let ended = room.run(line);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "`{line}`");
        for word in ["encode", "libvpx-vp9", "libopus", "because", "CODEC_NOT_IN_CONTAINER"] {
            assert!(ended.stdout.contains(word), "`{line}`: {}", ended.stdout);
        }
    }
    assert!(room.sight() == before, "a plan leaves something behind");
}

#[test]
fn a_probe_shows_what_is_there() {
    let Some(room) = room!(INPUT, "clicks.wav") else { return };
    let before = room.sight();
    let probe = |name: &str| {
        let line = format!("probe {name} --json");
        let ended = room.run(&line);
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "`{line}`");
        let media = ended.json(&line);
        let size = fs::metadata(room.path(name)).unwrap().len();
        assert_eq!((&media["path"], &media["sizeBytes"]), (&json!(name), &json!(size)), "{media}");
        media
    };
    let media = probe(INPUT);
    assert!((media["durationSeconds"].as_f64().unwrap() - 4.0).abs() < 0.05, "{media}");
    let (video, sound) = (&media["streams"][0], &media["streams"][1]);
    assert_eq!((&video["codec"], &sound["codec"]), (&json!("h264"), &json!("aac")), "{media}");
    let picture = ["type", "width", "height", "fps"].map(|key| video["kind"][key].clone());
    assert_eq!(picture, [json!("video"), json!(320), json!(180), json!(25.0)], "{media}");
    assert_eq!(sound["kind"]["sampleRate"], json!(48_000), "{media}");
    assert_eq!(probe("clicks.wav")["streams"].as_array().map(Vec::len), Some(1));

    let Ended { status, stdout, stderr } = room.run(&format!("probe {INPUT}"));
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    for word in [INPUT, "h264", "320x180", "25 fps", "aac", "48000 Hz", "stereo"] {
        assert!(stdout.contains(word), "no `{word}` in {stdout}");
    }
    assert!(room.sight() == before, "a probe leaves something behind");
}

#[test]
fn capabilities_tell_licence_encoders_and_devices() {
    let room = Room::new();
    let ended = room.run("capabilities --json");
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    let libav = ended.json("capabilities");
    for key in ["avocet", "version", "license"] {
        assert!(libav[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {libav}");
    }
    assert!(libav["assembly"].is_boolean() && libav["devices"].is_array(), "{libav}");
    let has = |key: &str, name: &str| {
        let names = libav[key].as_array().unwrap();
        assert!(names.contains(&json!(name)), "no {name} among {key}");
    };
    has("encoders", "libx264");
    has("encoders", "aac");
    has("filters", "scale");

    let Ended { status, stdout, stderr } = room.run("capabilities");
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    for word in ["libx264", libav["license"].as_str().unwrap(), "assembly", "devices"] {
        assert!(stdout.contains(word), "no `{word}` in {stdout}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    let room = Room::new();
    let check = |line: &str, words: &[&str]| {
        let Ended { status, stdout, stderr } = room.run(line);
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "`{line}`");
        for word in words {
            assert!(stdout.contains(word), "`{line}`: no `{word}` in {stdout}");
        }
    };
    check("--version", &["avocet ", "libav "]);
    check("--help", &["thumbnail", "web-ready", "extract-audio", "130 cancelled"]);
    check("thumbnail --help", &["--seek-seconds", "--no-clobber", "--json", "jpg, png, webp"]);
}

#[test]
fn times_are_taken_with_units_and_as_hours_minutes_and_seconds() {
    let Some(room) = room!(INPUT) else { return };
    for (flags, expected) in [
        ("--start-seconds 00:00:01 --duration-seconds 1500ms", "from 1.000 s to 2.500 s"),
        ("--start-seconds 0:01 --duration-seconds 1.5s", "from 1.000 s to 2.500 s"),
        ("--start-seconds 1 --duration-seconds 1.5", "from 1.000 s to 2.500 s"),
        ("--ranges 0:01+1.5s,00:00:03+500ms", "from 1.000 s to 2.500 s"),
        ("--ranges 0:01-0:02.5,3-3.5s", "from 1.000 s to 2.500 s"),
        ("--start 0:01 --duration 1500ms", "from 1.000 s to 2.500 s"),
    ] {
        let line = format!("trim {INPUT} -o out.mp4 --plan {flags}");
        let ended = room.run(&line);
        assert!(ended.stdout.contains(expected), "{line}: {}{}", ended.stdout, ended.stderr);
    }
    for (flags, count) in
        [("--every 0:01", 4), ("--count 3", 3), ("--at 0:01,2s,0.5", 3), ("--at 1", 1)]
    {
        let ended = room.run(&format!("thumbnail {INPUT} {flags} --plan"));
        assert_eq!(ended.stdout.matches("output: ").count(), count, "{flags}: {}", ended.stdout);
    }
    for flags in ["--every 1 --count 2", "--at 1 --count 2", "--at 1,x", "--count 2 --width 0"] {
        let ended = room.run(&format!("thumbnail {INPUT} {flags}"));
        assert_eq!(ended.status, Some(2), "{flags}: {}", ended.stdout);
    }
    for line in [
        format!("trim {INPUT} -o out.mp4 --start-seconds 1m"),
        format!("trim {INPUT} -o out.mp4 --start-seconds 0:60"),
        format!("thumbnail {INPUT} --every 0:00"),
    ] {
        let ended = room.run(&line);
        assert_eq!(ended.status, Some(2), "{line}");
        assert!(ended.stderr.contains("written as 90.5, 90s, 500ms or 1:23:45.5"), "{line}");
    }
}
