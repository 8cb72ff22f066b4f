//! Checks inputs and outputs: whether the needed ones are there, and what they name.

use std::collections::HashSet;

use super::{
    Asked, Policy, names_of, note_fields, recipe,
    spot::{Problems, Spot},
};
use crate::{
    recipe::RecipeName,
    words::{format::Format, parameter::one_of},
};

/// The longest name of an output, in bytes: file systems refuse a longer one.
const LONGEST_NAME: usize = 255;

/// Checks `output` and gives its format where that is one the job can have.
pub(super) fn format(problems: &mut Problems, output: &Spot<'_>, asked: Asked) -> Option<Format> {
    if !output.is_given() || !note_fields(problems, output, &["format"], "an object with `format`")
    {
        return None;
    }
    let names = match asked {
        Asked::Recipe(name) => recipe::format_names(name),
        _ => names_of(&Format::ALL),
    };
    let format = output.field("format");
    let sound = format.text().filter(|text| names.contains(text)).and_then(Format::from_name);
    if sound.is_none() {
        problems.add(&format, one_of(&names));
    }
    sound
}

/// Checks that the inputs and outputs which the job needs are there, and no others.
pub(super) fn shape(problems: &mut Problems, root: &Spot<'_>, asked: Asked) {
    const ONE: [&str; 2] = ["input", "output"];
    const MANY: [&str; 2] = ["input_files", "output_files"];
    let (needed, refused, rule): (&[&str], &[&str], _) = match asked {
        Asked::Recipe(RecipeName::Concat) => (
            &["input_files", "output"],
            &["input", "output_files"],
            "`concat` takes `input_files` and `output`",
        ),
        Asked::Recipe(_) => (&ONE, &MANY, "this recipe takes `input` and `output`"),
        Asked::UnknownRecipe => (&["output"], &["output_files"], "recipes take `output`"),
        Asked::Ffmpeg => {
            let rule = "`input` and `output` do not mix with `input_files` and `output_files`";
            if MANY.iter().any(|name| root.field(name).is_given()) {
                (&MANY, &ONE, rule)
            } else {
                (&ONE, &MANY, rule)
            }
        }
        Asked::Unclear => (&[], &[], ""),
    };
    // The kind of job is not known, so either form will do, but one must be there.
    if matches!(asked, Asked::UnknownRecipe | Asked::Unclear) {
        for (one, many) in ONE.into_iter().zip(MANY) {
            let is_there = root.field(one).is_given() || root.field(many).is_given();
            if !is_there && !needed.contains(&one) {
                problems.add(&root.field(one), needed_value(one));
            }
        }
    }
    for name in needed {
        let spot = root.field(name);
        if !spot.is_given() {
            problems.add(&spot, needed_value(name));
        }
    }
    for name in refused {
        let spot = root.field(name);
        if spot.is_given() {
            problems.add(&spot, format!("nothing, as {rule}"));
        }
    }
}

/// What is allowed where a needed input or output is absent.
fn needed_value(name: &str) -> &'static str {
    match name {
        "input" => "an object with `url`",
        "output" => "an object with `format`",
        "input_files" => "an object of inputs, each under a key such as `in_1`",
        _ => "an object of file names, each under a key such as `out_1`",
    }
}

/// Checks the locations of inputs and the file names of outputs, as far as they are there.
pub(super) fn places(problems: &mut Problems, root: &Spot<'_>, asked: Asked, policy: Policy) {
    let input = root.field("input");
    if input.is_given() && note_fields(problems, &input, &["url"], needed_value("input")) {
        note_location(problems, &input.field("url"), policy);
    }

    let inputs = root.field("input_files");
    if inputs.is_given() && note_keys(problems, &inputs, "in_", needed_value("input_files")) {
        let count =
            inputs.fields().map(|(_, input)| note_location(problems, &input, policy)).count();
        match asked {
            Asked::Recipe(RecipeName::Concat) if count < 2 => {
                problems.add(&inputs, "two or more inputs");
            }
            _ if count == 0 => problems.add(&inputs, "one or more inputs"),
            _ => {}
        }
    }

    let outputs = root.field("output_files");
    if outputs.is_given() && note_keys(problems, &outputs, "out_", needed_value("output_files")) {
        let mut met = HashSet::new();
        for (_, output) in outputs.fields() {
            match output.text().filter(|name| is_file_name(name)) {
                None => problems.add(
                    &output,
                    "a file name of letters, digits, `_` and `-`, with one dot and an extension",
                ),
                // Two outputs would be one file where the file system ignores case.
                Some(name) if !met.insert(name.to_ascii_lowercase()) => {
                    problems.add(&output, "a file name that no other output has");
                }
                Some(_) => {}
            }
        }
        if !outputs.fields().any(|_| true) {
            problems.add(&outputs, "one or more outputs");
        }
    }
}

/// Adds a problem for each key that is not the prefix and a name. Returns whether this is an
/// object.
fn note_keys(problems: &mut Problems, spot: &Spot<'_>, prefix: &str, allowed: &str) -> bool {
    if !spot.is_object() {
        problems.add(spot, allowed);
        return false;
    }
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (key, field) in spot.fields() {
        let name = key.strip_prefix(prefix).unwrap_or_default();
        if name.is_empty() || !name.chars().all(of_name) {
            problems
                .add(&field, format!("a key that is `{prefix}` and then letters, digits or `_`"));
        }
    }
    true
}

/// Whether a text begins as the files of a service do, below a folder of its machine or uploaded.
fn is_of_service(text: &str) -> bool {
    ["root:", "upload:"].iter().any(|scheme| text.starts_with(scheme))
}

/// Adds a problem for an input that can not be a location. Which hosts and paths may be read is
/// decided by whoever opens them.
fn note_location(problems: &mut Problems, spot: &Spot<'_>, policy: Policy) {
    match (policy, spot.text()) {
        (Policy::Program, Some(text)) if !text.is_empty() && !text.contains('\0') => {}
        (Policy::Program, _) => problems.add(spot, "a path or URL, not empty and without NUL"),
        (Policy::Service, Some(text)) if is_url(text, &["https", "http"]) => {}
        // A service says which places of its machine it has.
        (Policy::Service, Some(text)) if is_of_service(text) && !text.contains('\0') => {}
        (Policy::Service, _) => problems.add(spot, "an `https:` URL"),
    }
}

/// Whether a text is a URL of one of the schemes, with a host and without spaces or controls.
pub(super) fn is_url(text: &str, schemes: &[&str]) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme))
        && !rest.is_empty()
        && !rest.starts_with(['/', '?', '#', '\\'])
        && !rest.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Whether a name is letters, digits, `_` and `-`, one dot, and an extension.
fn is_file_name(name: &str) -> bool {
    let of_stem = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    name.len() <= LONGEST_NAME
        && name.split_once('.').is_some_and(|(stem, extension)| {
            !stem.is_empty()
                && stem.chars().all(of_stem)
                && !extension.is_empty()
                && extension.chars().all(|c| c.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::check::check;
    use crate::read::check::tests::{check_around, check_recipe};
    use crate::words::tree::Tree;

    #[test]
    fn inputs_and_outputs_that_a_job_needs() {
        let policy = Policy::Program;
        let (url, file) = (r#""input":{"url":"a"}"#, r#""input_files":{"in_1":"a","in_2":"b"}"#);
        let (format, name) =
            (r#""output":{"format":"mp4"}"#, r#""output_files":{"out_1":"a.mp4"}"#);
        let no_input = "input | nothing | an object with `url`";
        let no_format = "output | nothing | an object with `format`";
        let no_files =
            "input_files | nothing | an object of inputs, each under a key such as `in_1`";
        let no_names =
            "output_files | nothing | an object of file names, each under a key such as `out_1`";
        let one = "nothing, as this recipe takes `input` and `output`";
        let joined = "nothing, as `concat` takes `input_files` and `output`";
        let unmixed =
            "nothing, as `input` and `output` do not mix with `input_files` and `output_files`";
        let found_url = r#"input | {"url":"a"}"#;
        let found_file = r#"input_files | {"in_1":"a","in_2":"b"}"#;
        let found_format = r#"output | {"format":"mp4"}"#;
        let found_name = r#"output_files | {"out_1":"a.mp4"}"#;

        check_around(policy, "trim", &format!("{url},{format}"), &[]);
        check_around(policy, "concat", &format!("{file},{format}"), &[]);
        check_around(policy, "ffmpeg", &format!("{url},{format}"), &[]);
        check_around(policy, "ffmpeg", &format!("{file},{name}"), &[]);
        check_around(policy, "trim", url, &[no_format]);
        check_around(policy, "trim", format, &[no_input]);
        check_around(
            policy,
            "trim",
            &format!("{file},{name}"),
            &[
                no_input,
                no_format,
                &format!("{found_file} | {one}"),
                &format!("{found_name} | {one}"),
            ],
        );
        check_around(
            policy,
            "concat",
            &format!("{url},{format}"),
            &[no_files, &format!("{found_url} | {joined}")],
        );
        check_around(
            policy,
            "concat",
            &format!("{file},{format},{name}"),
            &[&format!("{found_name} | {joined}")],
        );
        check_around(
            policy,
            "ffmpeg",
            &format!("{file},{format}"),
            &[no_names, &format!("{found_format} | {unmixed}")],
        );
        check_around(
            policy,
            "ffmpeg",
            &format!("{url},{file},{name}"),
            &[&format!("{found_url} | {unmixed}")],
        );
        check_around(policy, "ffmpeg", format, &[no_input]);
        check_around(
            policy,
            "nothing",
            name,
            &[
                "recipe.name | \"nothing\" | one of `webReady`, `proxy`, `compress`, `transcode`, \
             `resize`, `trim`, `extractAudio`, `thumbnail`, `storyboard`, `concat`",
                no_input,
                no_format,
                &format!("{found_name} | nothing, as recipes take `output`"),
            ],
        );
    }

    #[test]
    fn several_inputs() {
        let check = |files: &str, expected: &[&str]| {
            let rest = format!(r#""input_files":{files},"output":{{"format":"mp4"}}"#);
            check_around(Policy::Program, "concat", &rest, expected);
        };
        let key = "a key that is `in_` and then letters, digits or `_`";
        check("{}", &["input_files | {} | two or more inputs"]);
        check(r#"{"in_1":"a"}"#, &[r#"input_files | {"in_1":"a"} | two or more inputs"#]);
        check(
            r#"["a","b"]"#,
            &[r#"input_files | ["a","b"] | an object of inputs, each under a key such as `in_1`"#],
        );
        check(
            r#"{"in_1":"a","in_":"b","out_1":"c","in_é":"d","in_A_9":"e"}"#,
            &[
                &format!(r#"input_files.in_ | "b" | {key}"#),
                &format!(r#"input_files.out_1 | "c" | {key}"#),
                &format!(r#"input_files["in_é"] | "d" | {key}"#),
            ],
        );
        check(
            r#"{"in_1":"","in_2":{"url":"b"}}"#,
            &[
                r#"input_files.in_1 | "" | a path or URL, not empty and without NUL"#,
                r#"input_files.in_2 | {"url":"b"} | a path or URL, not empty and without NUL"#,
            ],
        );
        check(
            r#"{"in_1":"a","in_1":"b"}"#,
            &[
                r#"input_files.in_1 | "b" | this key only once"#,
                r#"input_files | {"in_1":"a","in_1":"b"} | two or more inputs"#,
            ],
        );
    }

    #[test]
    fn several_outputs() {
        let check = |files: &str, expected: &[&str]| {
            let rest = format!(r#""input_files":{{"in_1":"a"}},"output_files":{files}"#);
            check_around(Policy::Program, "ffmpeg", &rest, expected);
        };
        let name = "a file name of letters, digits, `_` and `-`, with one dot and an extension";
        check(r#"{"out_a":"A_b-1.mp4","out_b":"b.MP4"}"#, &[]);
        check("{}", &["output_files | {} | one or more outputs"]);
        for wrong in
            ["", "a", ".mp4", "a.", "a.b.mp4", "../a.mp4", "a/b.mp4", "a b.mp4", "é.mp4", "a.m-4"]
        {
            let expected = format!(r#"output_files.out_1 | "{wrong}" | {name}"#);
            check(&format!(r#"{{"out_1":"{wrong}"}}"#), &[&expected]);
        }
        check(r#"{"out_1":7}"#, &[&format!("output_files.out_1 | 7 | {name}")]);
        check(
            r#"{"out_1":"a.mp4","out_2":"A.mp4","result":"b.mp4"}"#,
            &[
                r#"output_files.result | "b.mp4" | a key that is `out_` and then letters, digits or `_`"#,
                r#"output_files.out_2 | "A.mp4" | a file name that no other output has"#,
            ],
        );
    }

    #[test]
    fn inputs_by_door() {
        let check = |policy, url: &str, expected: &[&str]| {
            let rest = format!(r#""input":{{"url":{url}}},"output":{{"format":"mp4"}}"#);
            check_around(policy, "webReady", &rest, expected);
        };
        let path = "a path or URL, not empty and without NUL";
        for sound in ["a.mp4", "/a b/c.mp4", "file:///a.mp4", "https://host/a", "C:\\\\a.mp4"] {
            check(Policy::Program, &format!("\"{sound}\""), &[]);
        }
        check(Policy::Program, r#""""#, &[&format!(r#"input.url | "" | {path}"#)]);
        check(Policy::Program, r#""a\u0000b""#, &[&format!(r#"input.url | "a\u0000b" | {path}"#)]);
        check(Policy::Program, "null", &[&format!("input.url | null | {path}")]);

        for sound in ["https://host/a.mp4?x=1#t", "HTTPS://host", "http://host/a", "https://[::1]/"]
        {
            check(Policy::Service, &format!("\"{sound}\""), &[]);
        }
        for wrong in
            ["", "a.mp4", "/a.mp4", "file:///a.mp4", "ftp://host/a", "https://", "https:///a"]
        {
            let expected = format!(r#"input.url | "{wrong}" | an `https:` URL"#);
            check(Policy::Service, &format!("\"{wrong}\""), &[&expected]);
        }
        check(
            Policy::Service,
            r#""ftp://me:secret@host/a?key=1""#,
            &[r#"input.url | "ftp:…" | an `https:` URL"#],
        );
        check(
            Policy::Service,
            r#""https://host/a b?key=1""#,
            &[r#"input.url | "https://host/a b?…" | an `https:` URL"#],
        );
    }

    #[test]
    fn an_input_or_output_of_a_wrong_shape() {
        check_around(
            Policy::Program,
            "trim",
            r#""input":"a.mp4","output":"mp4""#,
            &[
                r#"output | "mp4" | an object with `format`"#,
                r#"input | "a.mp4" | an object with `url`"#,
            ],
        );
        check_around(
            Policy::Program,
            "proxy",
            r#""input":{},"output":{}"#,
            &[
                "output.format | nothing | `mp4`",
                "input.url | nothing | a path or URL, not empty and without NUL",
            ],
        );
    }

    #[test]
    fn formats() {
        let sound = [
            ("webReady", "mp4"),
            ("proxy", "mp4"),
            ("compress", "mp4 webm mov mkv"),
            ("transcode", "mp4 webm mov mkv mp3 aac wav m4a flac opus ogg"),
            ("trim", "mp4 webm mov mkv mp3 aac wav m4a flac opus ogg"),
            ("extractAudio", "mp4 webm mov mkv gif mp3 aac wav jpg png webp m4a flac opus ogg"),
            ("thumbnail", "jpg png webp"),
            ("ffmpeg", "mp4 webm mov mkv gif mp3 aac wav jpg png webp m4a flac opus ogg"),
        ];
        for (task, formats) in sound {
            for format in Format::ALL {
                let rest =
                    format!(r#""input":{{"url":"a"}},"output":{{"format":"{}"}}"#, format.name());
                let names: Vec<&str> = formats.split(' ').collect();
                if names.contains(&format.name()) {
                    check_around(Policy::Program, task, &rest, &[]);
                } else {
                    let found = format!("output.format | \"{}\" | ", format.name());
                    let allowed = crate::words::parameter::one_of(&names);
                    let document =
                        format!(r#"{{"mode":"recipe","recipe":{{"name":"{task}"}},{rest}}}"#);
                    let problems =
                        check(&Tree::read(&document).unwrap_or(Tree::Null), Policy::Program);
                    let met = format!(
                        "{} | {} | {}",
                        problems[0].path, problems[0].found, problems[0].allowed
                    );
                    assert_eq!(problems.len(), 1);
                    assert!(met.starts_with(&(found + &allowed)), "{met}");
                }
            }
        }
        check_recipe(
            "jpeg",
            r#""thumbnail""#,
            &["output.format | \"jpeg\" | one of `jpg`, `png`, `webp`"],
        );
    }
}
