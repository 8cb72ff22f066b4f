//! Outputs that must not be written or replaced, and the names of those that may.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    process::Command,
};

use serde_json::Value;

use crate::room::{Room, document, room};

const INPUT: &str = "counter-h264-aac.mp4";

/// Commands that would succeed if they could write to `output`, which has no extension.
fn lines_without_extension(room: &Room, output: &str) -> [String; 3] {
    room.write("job.json", document(INPUT, "jpg", r#""name":"thumbnail""#));
    [
        format!("thumbnail {INPUT} -o {output}"),
        format!("transcode {INPUT} -o {output}"),
        format!("run job.json -o {output}"),
    ]
}

#[test]
fn a_folder_is_no_output() {
    let Some(room) = room!(INPUT) else { return };
    fs::create_dir(room.path("folder")).unwrap();
    fs::create_dir(room.path("folder.jpg")).unwrap();
    room.link("folder", "link");
    let check = |line: &str, output: &str| {
        room.check_failure(line, "1 STORAGE_ERROR in commit", &[output, "is a folder"]);
    };
    for output in ["folder", "link", "."] {
        for line in lines_without_extension(&room, output) {
            check(&line, output);
        }
    }
    check(&format!("thumbnail {INPUT} -o folder.jpg"), "folder.jpg");
}

#[test]
fn a_special_file_is_no_output_and_stays_what_it_is() {
    let Some(room) = room!(INPUT) else { return };
    assert!(Command::new("mkfifo").arg(room.path("pipe.jpg")).status().unwrap().success());
    room.link("/dev/null", "null.jpg");
    let check = |line: &str, output: &str| {
        room.check_failure(line, "1 STORAGE_ERROR in commit", &[output, "is a special file"]);
        assert!(fs::symlink_metadata("/dev/null").unwrap().file_type().is_char_device());
    };
    for line in lines_without_extension(&room, "/dev/null") {
        check(&line, "/dev/null");
    }
    check(&format!("thumbnail {INPUT} -o null.jpg"), "null.jpg");
    check(&format!("thumbnail {INPUT} -o pipe.jpg"), "pipe.jpg");
}

#[test]
fn a_folder_that_is_missing_is_not_made() {
    let Some(room) = room!(INPUT) else { return };
    for output in ["missing/out.jpg", "missing/folder/out.jpg", "counter-h264-aac.mp4/out.jpg"] {
        let line = format!("thumbnail {INPUT} -o {output}");
        room.check_failure(&line, "1 STORAGE_ERROR in commit", &[output]);
    }
}

/// Commands that write several files into the folder `made`.
fn lines_of_several(room: &Room, input: &str) -> [String; 3] {
    room.write("job.json", document(input, "jpg", r#""name":"storyboard","count":4"#));
    [
        format!("storyboard {input} -o made --count 4"),
        format!("thumbnail {input} -o made --count 2"),
        "run job.json -o made".to_owned(),
    ]
}

#[test]
fn a_folder_of_several_outputs_is_made() {
    let Some(room) = room!(INPUT) else { return };
    for line in lines_of_several(&room, INPUT) {
        let answer = room.succeed(&line);
        let outputs = answer["outputs"].as_array().unwrap();
        let path = |output: &Value| room.path(output["path"].as_str().unwrap());
        assert!(outputs.iter().map(path).all(|path| path.starts_with(room.path("made"))), "{line}");
        assert_eq!(fs::read_dir(room.path("made")).unwrap().count(), outputs.len(), "{line}");
        fs::remove_dir_all(room.path("made")).unwrap();
        // A plan creates no folder.
        if !line.starts_with("run") {
            assert_eq!(room.run(&format!("{line} --plan")).status, Some(0), "{line}");
            assert!(!room.path("made").exists(), "{line}");
        }
    }
    // Only the last folder of the path is created; a missing parent is an error.
    let line = format!("storyboard {INPUT} -o missing/made");
    room.check_failure(&line, "1 STORAGE_ERROR in commit", &["missing/made"]);
}

#[test]
fn a_folder_that_was_made_goes_when_the_job_fails() {
    let Some(room) = room!() else { return };
    let mut failed = 0;
    for name in fixtures::broken() {
        room.link(fixtures::get(name), name);
        for line in lines_of_several(&room, name) {
            let before = room.sight();
            let ended = room.run(&line);
            if ended.status == Some(0) {
                fs::remove_dir_all(room.path("made")).unwrap();
                continue;
            }
            assert_eq!(room.new_names(&before), [""; 0], "`{line}`: {}", ended.stderr);
            // An existing folder is not removed.
            fs::create_dir(room.path("made")).unwrap();
            assert_eq!(room.run(&line).status, ended.status, "`{line}`");
            assert_eq!(fs::read_dir(room.path("made")).unwrap().count(), 0, "`{line}`");
            fs::remove_dir(room.path("made")).unwrap();
            // These errors occur in the run, after the folder was made.
            failed += u32::from(ended.stderr.contains("OUTPUT") || ended.stderr.contains("lost"));
        }
    }
    assert!(failed > 0, "nothing failed after its folder was made");
}

#[test]
fn an_input_is_never_its_own_output() {
    let Some(room) = room!(INPUT) else { return };
    room.link(INPUT, "link.mp4");
    room.link("link.mp4", "chain.mp4");
    fs::hard_link(room.path(INPUT), room.path("hard.mp4")).unwrap();
    let whole = room.path(INPUT).display().to_string();
    let names = [INPUT, "./counter-h264-aac.mp4", &whole, "link.mp4", "chain.mp4", "hard.mp4"];
    let check = |input: &str, output: &str| {
        room.write("job.json", document(input, "mp4", r#""name":"transcode""#));
        for line in [
            format!("transcode {input} -o {output} --reencode --no-clobber"),
            format!("run job.json -o {output}"),
        ] {
            let words = [output, "is also an input"];
            room.check_failure(&line, "2 VALIDATION_ERROR in validate", &words);
        }
    };
    for name in names {
        check(INPUT, name);
        check(name, INPUT);
    }
    check("link.mp4", "hard.mp4");
    check("link.mp4", "link.mp4");
}

#[test]
fn no_clobber_keeps_what_exists() {
    let Some(room) = room!(INPUT) else { return };
    room.write("job.json", document(INPUT, "jpg", r#""name":"thumbnail""#));
    room.write("old.jpg", "old");
    room.link("old.jpg", "link.jpg");
    for output in ["old.jpg", "link.jpg"] {
        for command in [&format!("thumbnail {INPUT}"), "run job.json"] {
            let line = format!("{command} -o {output} --no-clobber");
            let words = [output, "exists already"];
            room.check_failure(&line, "2 VALIDATION_ERROR in validate", &words);
        }
    }
    room.succeed(&format!("thumbnail {INPUT} -o new.jpg --no-clobber"));
    assert!(fs::metadata(room.path("new.jpg")).unwrap().len() > 1000);
}

#[test]
fn an_existing_output_is_replaced_on_success_only() {
    let Some(room) = room!(INPUT, "truncated.mp4") else { return };
    room.write("old.mp4", "old");
    fs::set_permissions(room.path("old.mp4"), fs::Permissions::from_mode(0o640)).unwrap();
    room.link("old.mp4", "link.mp4");
    for flags in ["", " --reencode --preset ultrafast"] {
        let line = format!("transcode truncated.mp4 -o old.mp4{flags}");
        room.check_failure(&line, "1 INPUT_INVALID in demux", &["truncated.mp4"]);
    }
    // A symbolic link is kept, and its target is replaced.
    for output in ["old.mp4", "link.mp4"] {
        room.write("old.mp4", "old");
        let before = room.sight();
        room.succeed(&format!("transcode {INPUT} -o {output}"));
        assert_eq!(room.new_names(&before), [""; 0]);
        assert!(room.path("link.mp4").is_symlink());
        let metadata = fs::metadata(room.path("old.mp4")).unwrap();
        assert!(metadata.len() > 10_000, "{output} holds {} bytes", metadata.len());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o640, "{output}");
    }
}

#[test]
fn an_output_without_a_name_is_named_after_input_and_recipe() {
    let Some(room) = room!(INPUT) else { return };
    let document = |format: &str, recipe: &str| {
        room.write("job.json", document(INPUT, format, &format!(r#""name":"{recipe}""#)));
    };
    let check = |line: &str, expected: &str| {
        let before = room.sight();
        let answer = room.succeed(line);
        assert_eq!(answer["outputs"][0]["path"], Value::from(expected), "`{line}`");
        assert_eq!(room.new_names(&before), [expected], "`{line}`");
        // A default name never replaces a file.
        let words = [expected, "exists already"];
        room.check_failure(line, "2 VALIDATION_ERROR in validate", &words);
    };
    check(&format!("thumbnail {INPUT}"), "counter-h264-aac-thumbnail.jpg");
    check(&format!("transcode {INPUT}"), "counter-h264-aac-transcode.mp4");
    document("png", "thumbnail");
    check("run job.json", "counter-h264-aac-thumbnail.png");
    document("wav", "transcode");
    check("run job.json", "counter-h264-aac-transcode.wav");
    // AAC is written as ADTS only on request.
    check(&format!("extract-audio {INPUT}"), "counter-h264-aac-extract-audio.m4a");
    document("aac", "extractAudio");
    check("run job.json", "counter-h264-aac-extract-audio.aac");
}
