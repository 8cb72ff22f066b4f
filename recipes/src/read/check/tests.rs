//! Documents, and every problem that the walk finds in each.

use super::{Policy, check};
use crate::words::tree::Tree;

/// Checks a document; each expectation is `path | found | allowed`.
pub(super) fn check_at(policy: Policy, document: &str, expected: &[&str]) {
    let met = match Tree::read(document) {
        Ok(tree) => check(&tree, policy),
        Err(error) => {
            assert_eq!(expected, [error.to_string()], "{document}");
            return;
        }
    };
    let met: Vec<String> =
        met.iter().map(|it| format!("{} | {} | {}", it.path, it.found, it.allowed)).collect();
    assert_eq!(met, expected, "{document}");
    if let Ok(tree) = Tree::read(document)
        && expected.is_empty()
    {
        let job = crate::Job::from_tree(&tree, policy);
        assert!(job.is_ok(), "what the walk lets through is read: {job:?}");
    }
}

pub(super) fn check_document(document: &str, expected: &[&str]) {
    check_at(Policy::Program, document, expected);
}

/// Checks one recipe with its parameters, in an otherwise valid document.
pub(super) fn check_recipe(format: &str, recipe: &str, expected: &[&str]) {
    let document = format!(
        r#"{{"mode":"recipe","input":{{"url":"a"}},"output":{{"format":"{format}"}},"recipe":{{"name":{recipe}}}}}"#
    );
    check_document(&document, expected);
}

/// Checks inputs, outputs and the rest around a recipe or arguments.
pub(super) fn check_around(policy: Policy, task: &str, rest: &str, expected: &[&str]) {
    let task = match task {
        "ffmpeg" => r#""mode":"ffmpeg","ffmpeg":{"args":["-y"]}"#.to_owned(),
        name => format!(r#""mode":"recipe","recipe":{{"name":"{name}"}}"#),
    };
    check_at(policy, &format!("{{{task},{rest}}}"), expected);
}

#[test]
fn the_document_itself() {
    check_document("[]", &["$ | [] | an object"]);
    check_document("null", &["$ | null | an object"]);
    let (no_input, no_output) =
        ("input | nothing | an object with `url`", "output | nothing | an object with `format`");
    check_document("{}", &["mode | nothing | one of `recipe`, `ffmpeg`", no_input, no_output]);
    check_document(
        r#"{"mode":"Recipe","output_files":{"out_1":"a.mp4"}}"#,
        &[r#"mode | "Recipe" | one of `recipe`, `ffmpeg` (nearest: `recipe`)"#, no_input],
    );
    check_document(
        r#"{"mode":"recipe"}"#,
        &[
            "recipe | nothing | an object with `name` and the parameters of that recipe",
            no_input,
            no_output,
        ],
    );
    check_document(
        r#"{"mode":1,"input":{"url":"a"},"output":{"format":"mp4"},"recipe":{"name":"proxy","crf":52}}"#,
        &["mode | 1 | one of `recipe`, `ffmpeg`", "recipe.crf | 52 | an integer 0 to 51"],
    );
    check_document(
        r#"{"mode":"recipe","input":{"url":"a"},"output":{"format":"mp4"},"recipe":{"name":"proxy"},"ffmpeg":{"args":[]}}"#,
        &[r#"ffmpeg | {"args":[]} | nothing, as `mode` is `recipe`"#],
    );
    check_document(
        r#"{"mode":"ffmpeg","input":{"url":"a"},"output":{"format":"gif"},"recipe":{},"ffmpeg":{"args":["-y"]}}"#,
        &["recipe | {} | nothing, as `mode` is `ffmpeg`"],
    );
}

#[test]
fn syntax() {
    check_document(
        "{\"recipe\":\n{\"crf\": NaN}}",
        &["the document is not JSON: expected value at line 2, column 9"],
    );
    check_document(
        r#"{"crf":1e999}"#,
        &["the document is not JSON: number out of range at line 1, column 12"],
    );
}

#[test]
fn unknown_names() {
    check_recipe(
        "mp4",
        r#""webReady","start_seconds":1"#,
        &[
            "recipe.start_seconds | 1 | a known field: one of `name`, `scaleDown`, `width`, `height`, \
           `crf`, `bitrateKbps`, `startSeconds`, `durationSeconds`, `store`, `tracks`, `lenient` \
           (nearest: `startSeconds`)",
        ],
    );
    check_recipe(
        "mp4",
        r#""resize","width":2,"crf":20"#,
        &["recipe.crf | 20 | a known field: one of `name`, `width`, `height`, `fit`, `tracks`, \
           `lenient`"],
    );
    check_recipe(
        "mp4",
        r#""trim","sections":[]"#,
        &[
            "recipe.sections | [] | a known field: one of `name`, `startSeconds`, `durationSeconds`, \
           `ranges`, `accuracy`, `tracks`, `lenient`",
        ],
    );
    check_recipe(
        "jpg",
        r#""thumbnail","tracks":"all""#,
        &[
            "recipe.tracks | \"all\" | a known field: one of `name`, `seekSeconds`, `width`, `height`, \
           `quality`, `accuracy`, `lenient`",
        ],
    );
    check_recipe(
        "mp4",
        r#""webready""#,
        &["recipe.name | \"webready\" | one of `webReady`, `proxy`, `compress`, `transcode`, \
           `resize`, `trim`, `extractAudio`, `thumbnail`, `storyboard`, `concat` (nearest: `webReady`)"],
    );
    check_recipe(
        "mp4",
        "7",
        &["recipe.name | 7 | one of `webReady`, `proxy`, `compress`, `transcode`, `resize`, \
           `trim`, `extractAudio`, `thumbnail`, `storyboard`, `concat`"],
    );
    check_around(
        Policy::Program,
        "proxy",
        r#""input":{"url":"a","headers":{}},"output":{"format":"mp4","crf":1},"outptu":0"#,
        &[
            "outptu | 0 | a known field: one of `mode`, `input`, `output`, `recipe`, `ffmpeg`, \
             `input_files`, `output_files`, `presetId`, `webhookUrl`, `outputUrl`, `stageInput`, \
             `priority`, `timeoutSeconds`, `maxOutputBytes`, `metadata` (nearest: \
             `output`)",
            "output.crf | 1 | a known field: `format`",
            "input.headers | {} | a known field: `url`",
        ],
    );
}

#[test]
fn duplicates() {
    check_document(
        r#"{"mode":"recipe","input":{"url":"a"},"output":{"format":"mp4"},"mode":"recipe",
            "recipe":{"name":"proxy","crf":20,"crf":99}}"#,
        &["mode | \"recipe\" | this key only once", "recipe.crf | 99 | this key only once"],
    );
    check_document(
        r#"{"mode":"ffmpeg","ffmpeg":{"args":[{"a":1,"a":2}]},"input":{"url":"a"},"output":{"format":"gif"}}"#,
        &[r#"ffmpeg.args[0] | {"a":1,"a":2} | a string without NUL"#],
    );
}

#[test]
fn fields_for_services() {
    let rest = |extra: &str| {
        format!(r#""input":{{"url":"https://a/b"}},"output":{{"format":"mp4"}},{extra}"#)
    };
    let check = |policy, extra: &str, expected: &[&str]| {
        check_around(policy, "trim", &rest(extra), expected);
    };
    let both = r#""presetId":"p","webhookUrl":"https://a/hook""#;
    check(Policy::Service, both, &[]);
    check(
        Policy::Program,
        both,
        &[
            "presetId | \"p\" | nothing, only a service takes it",
            "webhookUrl | \"https://a/hook\" | nothing, only a service takes it",
        ],
    );
    let hook = "a URL that begins with `https://`";
    check(
        Policy::Service,
        r#""presetId":"","webhookUrl":"ftp://a/hook""#,
        &[
            "presetId | \"\" | a string that is not empty",
            &format!("webhookUrl | \"ftp://a/hook\" | {hook}"),
        ],
    );
    check(Policy::Service, r#""webhookUrl":5"#, &[&format!("webhookUrl | 5 | {hook}")]);
    check(Policy::Service, r#""presetId":null"#, &["presetId | null | a string that is not empty"]);
    let rest =
        r#""priority":"high","timeoutSeconds":60,"maxOutputBytes":1000,"metadata":{"team":"a"}"#;
    check(Policy::Service, rest, &[]);
    check(
        Policy::Program,
        rest,
        &[
            "priority | \"high\" | nothing, only a service takes it",
            "timeoutSeconds | 60 | nothing, only a service takes it",
            "maxOutputBytes | 1000 | nothing, only a service takes it",
            "metadata | {\"team\":\"a\"} | nothing, only a service takes it",
        ],
    );
    check(
        Policy::Service,
        r#""priority":"urgent","timeoutSeconds":0,"maxOutputBytes":1.5,"metadata":{"":"a","b":5}"#,
        &[
            "priority | \"urgent\" | one of `low`, `normal`, `high`",
            "timeoutSeconds | 0 | an integer 1 to 604800",
            "maxOutputBytes | 1.5 | an integer 1 to 9007199254740992",
            "metadata[\"\"] | \"a\" | a string of up to 512 letters, under a name of 1 to 64",
            "metadata.b | 5 | a string of up to 512 letters, under a name of 1 to 64",
        ],
    );
    check(
        Policy::Service,
        r#""metadata":["a"]"#,
        &["metadata | [\"a\"] | an object of up to 16 strings"],
    );
    check(Policy::Program, r#""stageInput":true"#, &[]);
    check(Policy::Program, r#""stageInput":"yes""#, &["stageInput | \"yes\" | true or false"]);
}

#[test]
fn stage_input_inside_the_recipe() {
    check_recipe("mp3", r#""extractAudio","stageInput":true"#, &[]);
    check_recipe(
        "mp3",
        r#""extractAudio","stageInput":1"#,
        &["recipe.stageInput | 1 | true or false"],
    );
    check_document(
        r#"{"mode":"recipe","input":{"url":"a"},"output":{"format":"mp3"},"stageInput":false,
            "recipe":{"name":"extractAudio","stageInput":true}}"#,
        &["recipe.stageInput | true | false, as `stageInput` beside the recipe says"],
    );
    check_recipe(
        "mp4",
        r#""concat","stageInput":true"#,
        &[
            "recipe.stageInput | true | a known field: one of `name`, `tracks`, `lenient`",
            "input_files | nothing | an object of inputs, each under a key such as `in_1`",
            r#"input | {"url":"a"} | nothing, as `concat` takes `input_files` and `output`"#,
        ],
    );
}

#[test]
fn arguments_of_the_escape_hatch() {
    let check = |ffmpeg: &str, expected: &[&str]| {
        let document = format!(
            r#"{{"mode":"ffmpeg","input":{{"url":"a"}},"output":{{"format":"gif"}},"ffmpeg":{ffmpeg}}}"#
        );
        check_document(&document, expected);
    };
    check(r#"{"args":["-i","{{input}}","","{{output}}"]}"#, &[]);
    check("[]", &["ffmpeg | [] | an object with `args`"]);
    check("{}", &["ffmpeg.args | nothing | an array of one or more strings"]);
    check(r#"{"args":[]}"#, &["ffmpeg.args | [] | an array of one or more strings"]);
    check(r#"{"args":"-i"}"#, &["ffmpeg.args | \"-i\" | an array of one or more strings"]);
    check(
        r#"{"args":["-crf",23,"a\u0000"],"timeout":1}"#,
        &[
            "ffmpeg.timeout | 1 | a known field: `args`",
            "ffmpeg.args[1] | 23 | a string without NUL",
            "ffmpeg.args[2] | \"a\\u0000\" | a string without NUL",
        ],
    );
    check_document(
        r#"{"mode":"ffmpeg","input":{"url":"a"},"output":{"format":"mp4"}}"#,
        &["ffmpeg | nothing | an object with `args`"],
    );
}

#[test]
fn all_problems_come_at_once() {
    check_at(
        Policy::Service,
        r#"{"mode":"recipe","input":{"url":""},"output":{"format":"avi"},"color":"red","webhookUrl":"x",
            "recipe":{"name":"compress","crf":70,"presett":"fast","crf":1,"codec":"vp9","lenient":0}}"#,
        &[
            "recipe.crf | 1 | this key only once",
            "color | \"red\" | a known field: one of `mode`, `input`, `output`, `recipe`, `ffmpeg`, \
             `input_files`, `output_files`, `presetId`, `webhookUrl`, `outputUrl`, `stageInput`, `priority`, \
             `timeoutSeconds`, `maxOutputBytes`, `metadata`",
            "output.format | \"avi\" | one of `mp4`, `webm`, `mov`, `mkv`",
            "recipe.presett | \"fast\" | a known field: one of `name`, `codec`, `crf`, \
             `bitrateKbps`, `preset`, `audioBitrateKbps`, `tracks`, `lenient` (nearest: `preset`)",
            "recipe.crf | 70 | an integer 0 to 63 (vp9)",
            "recipe.lenient | 0 | true or false",
            "input.url | \"\" | an `https:` URL",
            "webhookUrl | \"x\" | a URL that begins with `https://`",
        ],
    );
}

#[test]
fn a_flood_of_problems_is_cut() {
    let fields: Vec<String> = (0..2_000).map(|index| format!("\"x{index}\":1")).collect();
    let document = Tree::read(&format!("{{{}}}", fields.join(","))).unwrap_or(Tree::Null);
    let problems = check(&document, Policy::Program);
    assert_eq!(problems.len(), 1_001);
    assert_eq!(problems[1_000].found, "1003 more problems");
}
