//! The generated reference in `docs` matches the tables in the code, and contains all codes of
//! reasons and errors.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at files from outside"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use avocet_recipes::{
    BITSTREAM_FILTERS, CODECS, Copied, DEMUXERS, ERRORS, EXTENSIONS, FILTERS, Filter, Format,
    MUXERS, OPTIONS, REASONS, RecipeName, VideoCodec, copied_codecs,
};

/// The text before a reason's code, where a reason is made.
const MAKERS: [&str; 4] = ["Reason::new(", "warn_of(", " warn(", " no("];

/// The text before an error's code, where an error is made.
const ANSWERERS: [&str; 6] =
    ["Problem::new(", "Self::new(", "Failure::new(", "=> {", "=> ", "code: "];

/// The prefixes of environment variables, whose names look like codes.
const VARIABLES: [&str; 4] = ["AVOCET_", "CARGO_", "LD_", "RUST_"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares a text with a file of the repository, or writes the file with `AVOCET_BLESS`.
fn check_file(path: &str, text: &str) {
    let file = root().join(path);
    if env::var_os("AVOCET_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == text,
        "{path} is not what the code says; renew it with\n  \
         AVOCET_BLESS=1 cargo test -p avocet-recipes --test docs"
    );
}

/// A Markdown table.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<_> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows = rows.into_iter().map(|row| {
        assert!(row.len() == head.len() && row.iter().all(|cell| !cell.contains(['|', '\n'])));
        line(&row)
    });
    line(&head) + &rule + &rows.collect::<String>()
}

/// Names in backticks, separated by commas.
fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn recipes() -> String {
    let mut text = "# The recipes\n\n\
         What a job document may ask for: its `recipe` holds a `name` and the parameters below, \
         its `output` a `format`.\n\
         This file is written from the tables in `recipes/src` by `scripts/docs`.\n"
        .to_owned();
    for recipe in RecipeName::ALL {
        text += &format!("\n## {}\n\n{}\n", recipe.name(), recipe.summary());
        text += &format!("\nFormats: {}.\n\n", list(recipe.formats().iter().map(|f| f.name())));
        let rows = recipe.parameters().iter().map(|parameter| {
            let name = format!("`{}`", parameter.name);
            let cells = [parameter.kind.allowed(), parameter.default.into(), parameter.doc.into()];
            [name].into_iter().chain(cells).collect()
        });
        text += &table(&["parameter", "takes", "default", "meaning"], rows);
        if recipe == RecipeName::ExtractAudio {
            text += "\nA codec that is copied decides the extension itself, whatever the format of a \
                     document; any format without sound alone means mp3. In the program the extension \
                     of `-o`, and `--format`, are demands.\n";
        }
    }
    let makers = |format: Format| {
        let makers = RecipeName::ALL.into_iter().filter(|name| name.formats().contains(&format));
        let makers = list(makers.map(RecipeName::name));
        if makers.is_empty() { "arguments for ffmpeg only".to_owned() } else { makers }
    };
    text += "\n## Formats\n\n";
    text += &table(
        &["format", "MIME type", "made by"],
        Format::ALL.map(|format| {
            vec![format!("`{}`", format.name()), format.mime().to_owned(), makers(format)]
        }),
    );
    text += "\nWhat is copied into each, and as what other sound is encoded (160 kbit/s for stereo means \
             0.6 of it for mono and 2.5 of it for 5.1). Codecs in parentheses are copied by `trim` and \
             `concat` only, since few players play them there. Matroska and WebM have times of whole \
             milliseconds; FLAC is copied whole only, since its header counts the samples.\n\n";
    let held = |format: Format, is_video: bool| {
        let codecs = copied_codecs()
            .filter(|copied| copied.extension == format.extension() && copied.is_video == is_video);
        let name = |copied: Copied| {
            if copied.by_all { copied.codec.to_owned() } else { format!("({})", copied.codec) }
        };
        codecs.map(name).collect::<Vec<_>>().join(", ")
    };
    let sound = |format: Format| match format {
        Format::Mp4 | Format::Mov | Format::M4a => "AAC, 160 kbit/s",
        Format::Mkv => "AAC of AAC, FLAC of lossless sound, else Opus; 160 kbit/s",
        Format::Webm | Format::Opus => "Opus, 160 kbit/s",
        Format::Ogg => "Vorbis, quality 5",
        Format::Mp3 => "MP3, LAME's V2",
        Format::Aac => "AAC, 192 kbit/s",
        Format::Wav => "PCM of 16 bits",
        Format::Flac => "FLAC of 16 or 24 bits",
        _ => "",
    };
    let holding = Format::ALL.into_iter().filter(|format| !sound(*format).is_empty());
    text += &table(
        &["format", "copied video", "copied sound", "other sound"],
        holding.map(|format| {
            let name = format!("`{}`", format.name());
            vec![name, held(format, true), held(format, false), sound(format).to_owned()]
        }),
    );
    text += "\n## Video codecs\n\nThe defaults of `crf` and `preset` stand with each recipe.\n\n";
    text += &table(
        &["codec", "formats", "default of", "crf", "preset", "smallest side in pixels"],
        VideoCodec::ALL.map(|codec| {
            let is_default = |format: &Format| VideoCodec::of_format(*format) == Some(codec);
            let formats = codec.formats().iter().map(|format| format.name());
            let usual = codec.formats().iter().copied().filter(is_default).map(Format::name);
            let presets = match codec.largest_preset() {
                Some(most) => format!("0 to {most}, more is faster"),
                None => "a name".to_owned(),
            };
            let crf = format!("0 to {}", codec.largest_crf());
            let name = format!("`{}`", codec.name());
            let side = codec.smallest_side().to_string();
            vec![name, list(formats), list(usual), crf, presets, side]
        }),
    );
    text += &format!("\nPresets by name, fastest first: {}.\n", list(VideoCodec::PRESETS));
    text
}

fn reasons() -> String {
    let mut text = "# Reasons and warnings\n\n\
         A plan gives each decision a code for programs beside a sentence for people; a report \
         does the same for warnings.\n\
         Codes are kept for good once released; sentences may change.\n\
         This file is written from the table in `recipes/src/words/reasons.rs` by `scripts/docs`.\n"
        .to_owned();
    for (heading, codes) in REASONS {
        text += &format!("\n## {heading}\n\n");
        let rows = codes.iter().map(|(code, meaning)| vec![format!("`{code}`"), (*meaning).into()]);
        text += &table(&["code", "meaning"], rows);
    }
    text
}

fn arguments() -> String {
    let mut text = "# Arguments for the ffmpeg program\n\n\
         What recipes do not cover is done by the `ffmpeg` program: with `\"mode\": \"ffmpeg\"` in a \
         document, or by `avocet ffmpeg --input A --output B -- ARGUMENTS`. It runs without a \
         shell, in a private folder, with an empty environment, in a sandbox without network.\n\n\
         An input is `-i {{input}}`, an output `{{output}}`; of several, each stands under its key, \
         as in `{{in_1}}` and `{{out_1}}`. A placeholder is a whole argument, and each output is \
         named once. An option stands before the file that it concerns; a stream specifier such as \
         `:v:0` may follow its name. What is not listed here is refused with \
         `UNSUPPORTED_COMMAND`, the place of the argument and the reason, before anything runs.\n\n\
         This file is written from the tables in `recipes/src/custom` by `scripts/docs`.\n"
        .to_owned();
    for (heading, options) in OPTIONS {
        text += &format!("\n## {heading}\n\n");
        let rows = options.iter().map(|option| {
            let value = option.value().unwrap_or_else(|| "nothing".to_owned());
            vec![format!("`-{}`", option.name), option.scope.name().to_owned(), value]
        });
        text += &table(&["option", "before", "value"], rows);
    }
    let (any, some): (Vec<&Filter>, Vec<_>) =
        FILTERS.iter().partition(|filter| filter.options().is_none());
    text += "\n## Filters in a graph\n\nWith all their options:\n\n";
    text += &list(any.into_iter().map(|filter| filter.name));
    text += "\n\nWith these options, each as `key=value`, since others name files:\n\n";
    let rows = some.into_iter().map(|filter| {
        let options = filter.options().unwrap_or_default();
        vec![format!("`{}`", filter.name), list(options.iter().copied())]
    });
    text += &table(&["filter", "options"], rows);
    for (heading, names) in [
        ("Codecs", CODECS),
        ("Formats of outputs", MUXERS),
        ("Formats of inputs", DEMUXERS),
        ("Bitstream filters", BITSTREAM_FILTERS),
    ] {
        text += &format!("\n## {heading}\n\n{}\n", list(names.iter().copied()));
    }
    text += &format!(
        "\n## Extensions of outputs\n\n{}\n",
        list(EXTENSIONS.iter().map(|(extension, _)| *extension))
    );
    text
}

#[test]
fn the_reference_of_arguments_is_what_the_code_says() {
    check_file("docs/ffmpeg.md", &arguments());
}

#[test]
fn names_of_arguments_stand_once() {
    let mut seen = BTreeSet::new();
    for option in OPTIONS.iter().flat_map(|(_, options)| *options) {
        assert!(seen.insert(option.name), "-{} stands twice", option.name);
    }
    let mut filters = BTreeSet::new();
    assert!(FILTERS.iter().all(|filter| filters.insert(filter.name)), "a filter stands twice");
}

#[test]
fn the_reference_of_recipes_is_what_the_code_says() {
    check_file("docs/recipes.md", &recipes());
}

#[test]
fn the_reference_of_reasons_is_what_the_code_says() {
    check_file("docs/reasons.md", &reasons());
}

/// The reference of errors, as Markdown.
fn errors() -> String {
    let mut text = "# Errors\n\n\
         An error has a `code` for programs, a `message` for people, `retryable`, and, of a job, \
         the `stage` in which it came about. Codes are kept for good once released; messages may \
         change.\n\n\
         *Retryable* says whether the same may succeed when it is simply tried again; where it \
         depends on the cause, the field `retryable` of the error tells. Answers with 429 and 503 \
         have `Retry-After`, in seconds. Jobs end with the codes of the second table, and with \
         `VALIDATION_ERROR` and `ENGINE_ERROR`; over HTTP, `POST /v1/jobs/plan` answers those \
         with 422. The program exits with 2 for `VALIDATION_ERROR` and `UNSUPPORTED_COMMAND`, \
         with 130 for `CANCELLED`, and with 1 for all others.\n\n\
         This file is written from the table in `recipes/src/words/errors.rs` by `scripts/docs`.\n"
        .to_owned();
    for (heading, codes) in ERRORS {
        text += &format!("\n## {heading}\n\n");
        let rows = codes.iter().map(|error| {
            let status = error.status.map_or_else(|| "job".to_owned(), |status| status.to_string());
            let retryable = match error.retryable {
                Some(true) => "yes",
                Some(false) => "no",
                None => "depends",
            };
            let [when, remedy] = [error.when, error.remedy].map(str::to_owned);
            vec![format!("`{}`", error.code), status, retryable.to_owned(), when, remedy]
        });
        text += &table(&["code", "HTTP", "retryable", "when", "what to do"], rows);
    }
    text
}

#[test]
fn the_reference_of_errors_is_what_the_code_says() {
    check_file("docs/errors.md", &errors());
}

#[test]
fn errors_are_in_order_and_in_sentences() {
    let mut seen = BTreeSet::new();
    for (heading, codes) in ERRORS {
        assert!(codes.is_sorted_by_key(|error| error.code), "{heading}: not in order");
        for error in *codes {
            assert!(seen.insert(error.code), "{} stands there twice", error.code);
            assert!(is_code(error.code), "{} is not in upper case", error.code);
            let has_status = error.status.is_none_or(|status| (400..600).contains(&status));
            assert!(has_status, "{}: {:?} is no status of an error", error.code, error.status);
            for text in [error.when, error.remedy] {
                assert!(text.ends_with('.') && !text.contains('|'), "{}: {text}", error.code);
            }
        }
    }
}

#[test]
fn reasons_are_in_order_and_in_sentences() {
    let mut seen = BTreeSet::new();
    for (heading, codes) in REASONS {
        assert!(codes.is_sorted_by_key(|(code, _)| *code), "{heading}: not in order");
        for (code, meaning) in *codes {
            assert!(seen.insert(*code), "{code} stands there twice");
            assert!(is_code(code), "{code} is not in upper case");
            assert!(meaning.ends_with('.') && !meaning.contains('|'), "{code}: {meaning}");
        }
    }
}

fn is_code(text: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_uppercase() || "_0123456789".contains(letter);
    text.len() > 3 && text.chars().all(is_part)
}

/// The codes of the reasons that a source makes: the first string after each of [`MAKERS`].
fn codes(text: &str) -> impl Iterator<Item = &str> {
    let made = MAKERS.iter().flat_map(|maker| {
        text.match_indices(maker).filter_map(|(at, _)| text.get(at + maker.len()..))
    });
    made.filter_map(|rest| {
        let code = rest.split('"').nth(1)?;
        let before = rest.split('"').next()?;
        (!before.contains([';', '}']) && is_code(code)).then_some(code)
    })
}

/// The sources of some crates: the path and text of each file.
fn sources(crates: &[&str]) -> Vec<(PathBuf, String)> {
    let mut folders: Vec<_> = crates.iter().map(|name| root().join(name).join("src")).collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

#[test]
fn every_code_in_the_source_is_in_the_table_and_the_reverse() {
    let mut made = BTreeMap::new();
    for (path, text) in sources(&["recipes", "engine"]) {
        made.extend(codes(&text).map(|code| (code.to_owned(), path.clone())));
    }
    let known: BTreeSet<_> =
        REASONS.iter().flat_map(|(_, codes)| *codes).map(|(code, _)| (*code).to_owned()).collect();
    let unknown: Vec<_> = made.iter().filter(|(code, _)| !known.contains(*code)).collect();
    assert!(unknown.is_empty(), "not in recipes/src/words/reasons.rs: {unknown:#?}");
    let unused: Vec<_> = known.iter().filter(|code| !made.contains_key(*code)).collect();
    assert!(unused.is_empty(), "in recipes/src/words/reasons.rs, and made nowhere: {unused:#?}");
}

#[test]
fn codes_are_found_however_they_are_laid_out() {
    let check = |text, expected: &[&str]| assert_eq!(codes(text).collect::<Vec<_>>(), expected);
    check("Err(Reason::new(\n    \"LATE_ONE\",\n    \"late\"))", &["LATE_ONE"]);
    check("warn_of(&name, \"MOVED\", 1)", &["MOVED"]);
    check("    warn(\"LOST_ONES\", 3)", &["LOST_ONES"]);
    check("return no(\"TOO_OLD\", message);", &["TOO_OLD"]);
    check("Reason::new(code, message); let other = \"OTHER\";", &[]);
}

/// The codes of the errors that a source answers with, outside of tests: each string that looks
/// like a code of several words, and each of one word after one of [`ANSWERERS`].
fn error_codes(text: &str) -> impl Iterator<Item = &str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.match_indices('"').filter_map(move |(at, _)| {
        let word = code[at + 1..].split('"').next().filter(|word| is_code(word))?;
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let before = code[..at].trim_end();
        let is_answered = ANSWERERS.iter().any(|answerer| before.ends_with(answerer.trim_end()));
        let is_variable = VARIABLES.iter().any(|variable| word.starts_with(variable));
        ((word.contains('_') || is_answered) && !is_variable).then_some(word)
    })
}

#[test]
fn every_error_code_in_the_source_is_in_the_table_and_the_reverse() {
    let reasons: BTreeSet<_> =
        REASONS.iter().flat_map(|(_, codes)| *codes).map(|(code, _)| *code).collect();
    let known: BTreeSet<_> =
        ERRORS.iter().flat_map(|(_, codes)| *codes).map(|error| error.code).collect();
    let mut answered = BTreeMap::new();
    for (path, text) in sources(&["model", "recipes", "engine", "service", "avocet", "cli"]) {
        // The tables define the codes and do not use them.
        if path.ends_with("recipes/src/words/errors.rs")
            || path.ends_with("recipes/src/words/reasons.rs")
        {
            continue;
        }
        answered.extend(error_codes(&text).map(|code| (code.to_owned(), path.clone())));
    }
    let is_known = |code: &str| known.contains(code) || reasons.contains(code);
    let unknown: Vec<_> = answered.iter().filter(|(code, _)| !is_known(code)).collect();
    assert!(unknown.is_empty(), "not in recipes/src/words/errors.rs: {unknown:#?}");
    let unused: Vec<_> = known.iter().filter(|code| !answered.contains_key(**code)).collect();
    assert!(unused.is_empty(), "in recipes/src/words/errors.rs, and answered nowhere: {unused:#?}");
    let both: Vec<_> = known.intersection(&reasons).collect();
    assert!(both.is_empty(), "errors and reasons: {both:#?}");
}

#[test]
fn codes_of_errors_are_found_however_they_are_answered() {
    let check =
        |text, expected: &[&str]| assert_eq!(error_codes(text).collect::<Vec<_>>(), expected);
    check("Problem::new(\n    \"GONE\", message)", &["GONE"]);
    check("Self::Write { .. } => {\n    \"STORAGE_ERROR\"\n}", &["STORAGE_ERROR"]);
    check("Self::Late => \"LATE\",", &["LATE"]);
    check("let name = (\"TOO_LATE\", 1);", &["TOO_LATE"]);
    check("var(\"AVOCET_MEDIA\"); let magic = \"RIFF\";", &[]);
    check("a();\n#[cfg(test)]\nmod tests { fn a() { b(\"NOT_ONE\") } }", &[]);
}
