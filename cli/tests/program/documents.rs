//! Invalid documents and arguments: the errors name the place, what was found, and what is allowed.

use crate::room::{Room, document, room};

/// A document is refused by `run`, also from standard input, and by `plan`, with these problems as
/// `path | found`.
fn check_document(text: &str, words: &[&str], problems: &[&str]) {
    let room = Room::new();
    room.write("job.json", text);
    let expected = "2 VALIDATION_ERROR in validate";
    for line in ["run job.json", "run job.json -o out.jpg", "plan job.json"] {
        let error = room.check_failure(line, expected, words);
        let list = error["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
        let word = |problem: &serde_json::Value, key: &str| {
            let word = problem[key].as_str().unwrap().to_owned();
            assert!(!word.is_empty(), "{error}");
            word
        };
        let met: Vec<_> = list
            .iter()
            .map(|problem| {
                word(problem, "allowed");
                format!("{} | {}", word(problem, "path"), word(problem, "found"))
            })
            .collect();
        assert_eq!(met, problems, "`{line}` of {text}");
    }
    let fed = room.feed("run - -o out.jpg --json", text);
    fed.check_refusal("run -", expected, words);
}

/// A document for a thumbnail of a missing file, with these parameters.
fn thumbnail(parameters: &str) -> String {
    document("nowhere.mp4", "jpg", &format!(r#""name":"thumbnail"{parameters}"#))
}

#[test]
fn an_unknown_recipe_is_named() {
    check_document(
        &document("nowhere.mp4", "jpg", r#""name":"thumbnial""#),
        &["thumbnial", "`webReady`", "nearest: `thumbnail`"],
        &[r#"recipe.name | "thumbnial""#],
    );
}

#[test]
fn an_unknown_parameter_is_named() {
    check_document(
        &thumbnail(r#","seekSecond":1"#),
        &["recipe.seekSecond", "nearest: `seekSeconds`"],
        &["recipe.seekSecond | 1"],
    );
}

#[test]
fn an_unknown_field_is_named() {
    let text = thumbnail("").replacen("\"output\"", "\"outputs\"", 1);
    check_document(
        &text,
        &["`outputs`", "nearest: `output`"],
        &[r#"outputs | {"format":"jpg"}"#, "output | nothing"],
    );
}

#[test]
fn a_negative_time_is_refused() {
    check_document(
        &thumbnail(r#","seekSeconds":-1"#),
        &["recipe.seekSeconds", "found -1", "0 or more"],
        &["recipe.seekSeconds | -1"],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    let check = |value: &str| {
        let problem = format!("recipe.seekSeconds | {value}");
        let found = format!("found {value}");
        let words = [found.as_str(), "a finite number of seconds"];
        check_document(&thumbnail(&format!(r#","seekSeconds":{value}"#)), &words, &[&problem]);
    };
    check(r#""1""#);
    check("true");
    check("null");
    check("[1]");
    let problem = r#"recipe.lenient | "yes""#;
    check_document(&thumbnail(r#","lenient":"yes""#), &["true or false"], &[problem]);
}

#[test]
fn a_number_that_is_none_has_a_line_and_a_column() {
    let check = |value: &str, column: usize| {
        let text = document(
            "nowhere.mp4",
            "jpg",
            &format!("\n\"name\":\"thumbnail\",\n\"seekSeconds\":{value}"),
        );
        check_document(&text, &["not JSON", &format!("line 3, column {column}")], &[]);
    };
    check("NaN", 15);
    check("Infinity", 15);
    check("-Infinity", 16);
    check("1e999", 19);
}

#[test]
fn all_problems_are_told_at_once() {
    check_document(
        &thumbnail(r#","seekSeconds":-1,"quality":0,"zoom":2,"width":"wide""#),
        &["4 problems", "recipe.zoom", "recipe.seekSeconds", "recipe.quality", "recipe.width"],
        &[
            "recipe.zoom | 2",
            "recipe.seekSeconds | -1",
            r#"recipe.width | "wide""#,
            "recipe.quality | 0",
        ],
    );
}

#[test]
fn a_key_stands_once() {
    check_document(
        &thumbnail(r#","seekSeconds":1,"seekSeconds":2"#),
        &["recipe.seekSeconds", "only once"],
        &["recipe.seekSeconds | 2"],
    );
}

#[test]
fn what_is_no_json_has_a_line_and_a_column() {
    let check = |text: &str, place: &str| check_document(text, &["not JSON", place], &[]);
    check("", "line 1, column ");
    check("{\n\"mode\" \"recipe\"}", "line 2, column 8");
    check("{\"mode\":\"recipe\",}", "line 1, column 18");
    check("{} {}", "line 1, column 4");
    check("mode: recipe", "line 1, column 1");
}

#[test]
fn a_format_that_the_recipe_does_not_make_is_refused() {
    check_document(
        &document("nowhere.mp4", "mp4", r#""name":"thumbnail""#),
        &["output.format", "mp4", "jpg"],
        &[r#"output.format | "mp4""#],
    );
}

#[test]
fn a_document_that_can_not_be_read_is_named() {
    let room = Room::new();
    room.write("latin.json", b"{\"mode\":\"\xff\"}");
    room.write("large.json", vec![b' '; (1 << 20) + 1]);
    let check = |line: &str, words: &[&str]| {
        room.check_failure(line, "2 VALIDATION_ERROR in validate", words);
    };
    for command in ["run", "plan"] {
        check(&format!("{command} nowhere.json"), &["nowhere.json", "No such file"]);
        check(&format!("{command} latin.json"), &["latin.json", "UTF-8"]);
        check(&format!("{command} large.json"), &["large.json", "larger than 1 MiB"]);
        check(&format!("{command} ."), &["directory"]);
    }
}

/// The flags of a command are refused, with these problems as `argument | found`.
fn check_flags(line: &str, words: &[&str], problems: &[&str]) {
    let room = Room::new();
    let error = room.check_failure(line, "2 VALIDATION_ERROR in validate", words);
    let list = error["problems"].as_array().unwrap();
    let word = |problem: &serde_json::Value, key: &str| problem[key].as_str().unwrap().to_owned();
    let met: Vec<_> = list
        .iter()
        .map(|problem| format!("{} | {}", word(problem, "argument"), word(problem, "found")))
        .collect();
    assert_eq!(met, problems, "`{line}`");
}

#[test]
fn flags_are_checked_as_documents_are() {
    let check_seconds = |text: &str, found: &str| {
        check_flags(
            &format!("thumbnail nowhere.mp4 -o out.jpg --seek-seconds {text}"),
            &["--at", found, "0 or more"],
            &[&format!("--at | {found}")],
        );
    };
    check_seconds("-1", "-1");
    check_seconds("NaN", r#""NaN""#);
    check_seconds("inf", r#""inf""#);
    check_seconds("1e999", r#""1e999""#);
    check_seconds("soon", r#""soon""#);
    check_flags(
        "thumbnail nowhere.mp4 -o out.mkv --quality 0 --lenient=maybe",
        &["3 problems", "`.mkv`", "`.jpg`"],
        &["-o | `.mkv`", "--quality | 0", r#"--lenient | "maybe""#],
    );
}

#[test]
fn the_extension_of_an_output_must_be_a_format_of_the_recipe() {
    check_flags("thumbnail in.mp4 -o out.tiff", &["`.tiff`", "`.webp`"], &["-o | `.tiff`"]);
    check_flags("transcode in.mp4 -o out.jpg", &["`.jpg`", "`.mp4`"], &["-o | `.jpg`"]);
    check_flags("transcode in.mp4 -o out", &["no extension"], &["-o | no extension"]);
    let room = Room::new();
    room.write("job.json", thumbnail(""));
    let words = ["`.png`", "`jpg`"];
    room.check_failure("run job.json -o out.png", "2 VALIDATION_ERROR in validate", &words);
}

#[test]
fn wrong_usage_is_told_with_status_2() {
    let room = Room::new();
    let check = |line: &str, words: &[&str]| {
        let before = room.sight();
        let told = room.run(line);
        assert_eq!((told.status, told.stdout.as_str()), (Some(2), ""), "`{line}`");
        let ended = room.run_json(line);
        assert_eq!(ended.stderr, "", "`{line}`");
        ended.check_refusal(line, "2 VALIDATION_ERROR in validate", words);
        for word in words {
            assert!(told.stderr.contains(word), "`{line}`: {}", told.stderr);
        }
        assert!(room.sight() == before, "`{line}` leaves something behind");
    };
    check("thumbnail", &["<INPUT>"]);
    check("thumbnial in.mp4", &["thumbnial"]);
    check("thumbnail in.mp4 --seek-second 1", &["--seek-second"]);
    check("thumbnail in.mp4 --quality 1 --quality 2", &["--quality"]);
    check("thumbnail in.mp4 -o", &["-o"]);
    check("probe a.mp4 b.mp4", &["b.mp4"]);
    check("run job.json --progress often", &["often", "bar"]);
    check("thumbnail in.mp4 -o -", &["--format"]);
}

/// A document with custom arguments.
fn custom(args: &str) -> String {
    format!(
        r#"{{"mode":"ffmpeg","input":{{"url":"counter-h264-aac.mp4"}},"output":{{"format":"mp4"}},
        "ffmpeg":{{"args":[{args}]}}}}"#
    )
}

#[test]
fn custom_arguments_run_or_are_refused_by_place() {
    let Some(room) = room!("counter-h264-aac.mp4") else { return };
    room.write("job.json", custom(r#""-i","{{input}}","-c","copy","{{output}}""#));
    let answer = room.succeed("run job.json -o out.mp4");
    assert_eq!(answer["strategy"], "ffmpeg");
    assert_eq!(answer["outputs"][0]["codec"], "h264");
    // All words behind `--` belong to the ffmpeg program.
    let line = "ffmpeg --json --input counter-h264-aac.mp4 --output small.mkv";
    let made = room.run(&format!("{line} -- -i {{{{input}}}} -t 1 {{{{output}}}}"));
    assert_eq!(made.json(line)["state"], "completed", "{}", made.stdout);
    assert_eq!(fixtures::judge::counters(room.path("small.mkv")).len(), 25);
    room.write("bad.json", custom(r#""-i","{{input}}","-vf","movie=a","{{output}}""#));
    for line in ["run bad.json -o bad.mp4", "plan bad.json"] {
        let words = ["argument 3", "`movie=a`", "not on the list"];
        room.check_failure(line, "2 UNSUPPORTED_COMMAND in validate", &words);
    }
    let again = room.run(&format!("{line} --no-clobber -- -i {{{{input}}}} {{{{output}}}}"));
    again.check_refusal(line, "2 VALIDATION_ERROR in validate", &["small.mkv"]);
}
