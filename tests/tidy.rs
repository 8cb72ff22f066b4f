//! The project's own rules, which no lint checks, applied to every file of the repository.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use ignore::WalkBuilder;
use serde_json::Value;

/// The only folders that may name libav's bindings: ours, and that of a rival with its own.
const ROOMS_OF_LIBAV: &[&str] = &["engine/src/libav/", "benches/ez-ffmpeg/"];

/// The only places for unsafe code: libav's folder, the sandbox of child processes, and what tests
/// try it with.
const ROOMS_OF_UNSAFE: &[&str] =
    &["engine/src/libav/", "engine/src/process/sandbox.rs", "engine/src/process/door.rs"];

/// The greatest number of lines of a file.
const LONGEST_FILE: usize = 800;

/// The extensions of text files.
const TEXT: &[&str] = &["json", "md", "rs", "sh", "toml", "yaml", "yml"];

/// The numeric types.
const NUMBERS: &str = "u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64 \
                       NonZeroU8 NonZeroU16 NonZeroU32 NonZeroU64 NonZeroUsize";

/// The units that the comment of a numeric field may name, in lower case.
const UNITS: &[&str] = &[
    "pixels",
    "seconds",
    "ticks",
    "frames",
    "packets",
    "samples",
    "bits",
    "bytes",
    "kbit/s",
    "hz",
    "channels",
    "threads",
    "lines",
    "degrees",
    "cd/m²",
    "1/50000",
    "powers of two",
    "number",
    "from 0",
    "from 1",
    "as the codec counts",
    "figure",
];

/// Which crates each of our crates may depend on; tests and benches may depend on all.
const MAY_DEPEND: &[(&str, &[&str])] = &[
    ("cli", &["avocet", "avocet-service"]),
    ("benches", &["avocet"]),
    ("avocet", &["avocet-engine", "avocet-model", "avocet-recipes"]),
    ("service", &["avocet-engine", "avocet-model", "avocet-recipes"]),
    ("recipes", &["avocet-model"]),
    ("engine", &["avocet-model"]),
    ("model", &[]),
    ("fixtures", &[]),
];

/// A text file of the repository: its path from the root, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn extension(&self) -> Option<&str> {
        Path::new(&self.path).extension()?.to_str()
    }

    fn is_rust(&self) -> bool {
        self.extension() == Some("rs")
    }

    /// The numbered lines from 1 that are no comments, without comments at their ends.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(self.text.lines());
        let bare = lines.map(|(number, line)| (number, line.split(" // ").next().unwrap_or(line)));
        bare.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All text files that git would track.
fn sources() -> Vec<Source> {
    let mut walk = WalkBuilder::new(root());
    // Apply only the ignore rules of the repository, even without a `.git` folder.
    walk.hidden(false).require_git(false).parents(false).git_global(false).git_exclude(false);
    walk.filter_entry(|entry| entry.file_name() != ".git");
    let mut sources = Vec::new();
    for entry in walk.build() {
        let path = entry.unwrap().into_path();
        if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            sources.push(Source { path, text });
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.iter().any(|source| source.path == "engine/src/lib.rs"), "nothing was walked");
    sources
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with all violations of a rule at once.
fn check(rule: &str, violations: impl IntoIterator<Item = String>) {
    let violations: Vec<_> = violations.into_iter().collect();
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

/// All lines of Rust code outside `rooms` for which `is_bad` holds.
fn find_in_code(rooms: &[&str], is_bad: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.is_rust()) {
        if rooms.iter().any(|room| source.path.starts_with(room)) {
            continue;
        }
        let bad = source.code().filter(|(_, line)| is_bad(line));
        found
            .extend(bad.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())));
    }
    found
}

/// Whether `word` occurs in `text` as a whole word.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[test]
fn tests_wait_for_events() {
    let found =
        find_in_code(&["fixtures/src/wait.rs"], |line| has_word(line, concat!("sle", "ep")));
    let is_of_tests = |found: &String| found.contains("tests/") || found.starts_with("fixtures/");
    check(
        "only fixtures/src/wait.rs sleeps; tests wait for an event by its functions",
        found.into_iter().filter(is_of_tests),
    );
}

#[test]
fn every_file_says_first_what_it_is() {
    let sources = sources();
    let silent = |source: &&Source| source.is_rust() && !source.text.starts_with("//! ");
    let paths = sources.iter().filter(silent).map(|source| source.path.clone());
    check("the first line of a file begins with `//! `", paths);
}

#[test]
fn libav_is_named_in_its_room_only() {
    // The names are split, so that this file does not match itself.
    let names =
        [concat!("ffmpeg", "_next"), concat!("ffmpeg", "_sys_next"), concat!("av::", "ffi")];
    let pointers = [concat!("*", "mut "), concat!("*", "const ")];
    let found = find_in_code(ROOMS_OF_LIBAV, |line| {
        names.iter().any(|name| has_word(line, name))
            || pointers.iter().any(|pointer| line.contains(pointer))
    });
    check("libav's bindings and raw pointers are in engine/src/libav only", found);
}

#[test]
fn unsafe_code_is_in_its_room_only() {
    let word = concat!("un", "safe");
    check(
        "such code is written in engine/src/libav, the sandbox and its test only",
        find_in_code(ROOMS_OF_UNSAFE, |line| has_word(line, word)),
    );
}

#[test]
fn nothing_is_left_for_later() {
    let marks = [
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("db", "g!("),
        concat!("#[", "ignore"),
        concat!("#[", "should_panic"),
    ];
    let found = find_in_code(&[], |line| marks.iter().any(|mark| line.contains(mark)));
    check("no code is left open, and no test is skipped or meant to panic", found);
}

#[test]
fn files_stay_short() {
    let lengths = sources().into_iter().filter(Source::is_rust).map(|source| {
        let lines = source.text.lines().count();
        (source.path, lines)
    });
    let long = lengths.filter(|(_, lines)| *lines > LONGEST_FILE);
    check(
        &format!("a file has at most {LONGEST_FILE} lines"),
        long.map(|(path, lines)| format!("{path}: {lines}")),
    );
}

#[test]
fn lines_end_cleanly() {
    let is_text =
        |source: &Source| source.extension().is_none_or(|extension| TEXT.contains(&extension));
    let mut found = Vec::new();
    for source in sources().into_iter().filter(is_text) {
        if !source.text.ends_with('\n') || source.text.ends_with("\n\n") {
            found.push(format!("{}: ends in no newline, or in several", source.path));
        }
        let lines = (1..).zip(source.text.split('\n'));
        let loose = lines.filter(|(_, line)| line.ends_with(char::is_whitespace));
        found.extend(loose.map(|(number, _)| format!("{}:{number}: ends in a blank", source.path)));
    }
    check("no line ends in a blank, and the last one ends in a newline", found);
}

#[test]
fn numbers_have_units() {
    let has_plan_data = |source: &Source| {
        ["model/src/plan/", "model/src/media/"].iter().any(|room| source.path.starts_with(room))
            || source.path.starts_with("recipes/src/") && source.is_rust()
    };
    let found = sources().into_iter().filter(has_plan_data).flat_map(|source| {
        let path = source.path.clone();
        let bare = fields_without_unit(&source.text);
        bare.into_iter().map(move |field| format!("{path}: {field}"))
    });
    check(&format!("the comment of a numeric field names its unit, one of {UNITS:?}"), found);
}

/// The public numeric fields of public structs whose comments name no unit.
fn fields_without_unit(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut name = "";
    let mut comment = String::new();
    for line in text.lines() {
        if let Some(begun) = line.strip_prefix("pub struct ") {
            name = begun.split(['<', ' ']).next().unwrap_or(begun);
        } else if line == "}" {
            name = "";
        }
        let line = line.trim_start();
        if let Some(words) = line.strip_prefix("///") {
            comment.push_str(words);
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let comment = std::mem::take(&mut comment);
        let Some((field, kind)) = line.strip_prefix("pub ").and_then(|line| line.split_once(": "))
        else {
            continue;
        };
        let is_number = NUMBERS.split(' ').any(|number| has_word(kind, number));
        let comment = comment.to_lowercase();
        let has_unit = UNITS.iter().any(|unit| has_word(&comment, unit));
        if !name.is_empty() && is_number && !has_unit {
            found.push(format!("{name}::{field}:{comment}"));
        }
    }
    found
}

#[test]
fn a_number_without_a_unit_is_found() {
    let check = |comment: &str, kind: &str, expected: usize| {
        let field = format!("    /// {comment}\n    #[serde(default)]\n    pub length: {kind},\n");
        let text = format!("pub struct Cut {{\n{field}}}\n");
        assert_eq!(fields_without_unit(&text).len(), expected, "{text}");
    };
    check("How long it is.", "Option<u32>", 1);
    check("How long it is, in microseconds.", "f64", 1);
    check("How long it is, in seconds.", "f64", 0);
    check("Number of the cut, from 0.", "usize", 0);
    check("How long it is.", "Duration", 0);
}

#[test]
fn scripts_can_be_started() {
    let is_script =
        |source: &&Source| source.path.starts_with("scripts/") || source.path.starts_with(".ci/");
    let sources = sources();
    let scripts: Vec<_> = sources.iter().filter(is_script).collect();
    assert!(!scripts.is_empty(), "there are no scripts");
    let is_sound = |source: &&Source| {
        let mode = fs::metadata(root().join(&source.path)).unwrap().permissions().mode();
        mode & 0o111 == 0o111 && source.text.starts_with("#!/")
    };
    let bad = scripts.into_iter().filter(|script| !is_sound(script));
    check("a script is executable and names its shell", bad.map(|script| script.path.clone()));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    // These are no part of the workspace: cargo-fuzz builds its targets with flags of its own, and
    // ez-ffmpeg has bindings that exclude ours.
    let outside = ["fuzz/Cargo.toml", "benches/ez-ffmpeg/Cargo.toml"];
    let is_crate = |path: &str| path.ends_with("/Cargo.toml") && !outside.contains(&path);
    let sources = sources();
    let bad = sources.iter().filter(|source| {
        is_crate(&source.path) && !source.text.contains("[lints]\nworkspace = true\n")
    });
    check("`[lints] workspace = true`", bad.map(|source| source.path.clone()));
}

/// This holds for the program and all its dependencies. Tests may need a newer release.
#[test]
fn the_stated_release_of_rust_is_enough() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--all-features", "--offline", "--locked"])
        // Crates for other systems were not fetched.
        .args(["--filter-platform", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH)])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let (packages, nodes) = (list(&metadata["packages"]), list(&metadata["resolve"]["nodes"]));
    let of = |id: &Value| packages.iter().find(|package| package["id"] == *id).unwrap();
    let needs = |id: &Value| {
        let node = nodes.iter().find(|node| node["id"] == *id).unwrap();
        let is_built = |kind: &Value| kind["kind"] != "dev";
        let built = list(&node["deps"])
            .into_iter()
            .filter(|needed| list(&needed["dep_kinds"]).iter().any(is_built));
        built.map(|needed| needed["pkg"].clone()).collect::<Vec<_>>()
    };
    let program = packages.iter().find(|package| package["name"] == "avocet").unwrap();
    let release = |package: &Value| {
        let numbers = package["rust_version"].as_str()?.split('.').map(str::parse::<u32>);
        numbers.take(2).collect::<Result<Vec<_>, _>>().ok()
    };
    let stated = release(program).unwrap();
    let mut built = vec![program["id"].clone()];
    let mut next = 0;
    while let Some(id) = built.get(next) {
        for needed in needs(id) {
            if !built.contains(&needed) {
                built.push(needed);
            }
        }
        next += 1;
    }
    assert!(built.len() > 100, "{} packages", built.len());
    let newer = built.iter().map(of).filter(|package| release(package) > Some(stated.clone()));
    let newer =
        newer.map(|it| format!("{} {}: Rust {}", it["name"], it["version"], it["rust_version"]));
    check(&format!("Rust {} or older", program["rust_version"]), newer);
}

#[test]
fn dependencies_point_one_way() {
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.path.ends_with("/Cargo.toml")) {
        let folder = source.path.trim_end_matches("/Cargo.toml");
        let Some((_, allowed)) = MAY_DEPEND.iter().find(|(name, _)| *name == folder) else {
            continue;
        };
        let mut section = "";
        for line in source.text.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let key = line.split(['.', ' ', '=']).next().unwrap_or(line);
            let is_ours = key == "avocet" || key.starts_with("avocet-");
            if section.ends_with("dependencies]")
                && !section.contains("dev-")
                && is_ours
                && !allowed.contains(&key)
            {
                found.push(format!("{}: {key}", source.path));
            }
        }
    }
    check("cli ▶ avocet, service ▶ recipes, engine ▶ model; fixtures stand alone", found);
}

#[test]
fn the_library_brings_no_server_and_recipes_no_libav() {
    for (package, unwanted) in [
        ("avocet", &["clap", "axum", "hyper", "sqlx", "utoipa-swagger-ui"][..]),
        ("avocet-recipes", &["ffmpeg-sys-next"]),
    ] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--package"]);
        let output = cargo.arg(package).current_dir(root()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout).unwrap();
        let names = || tree.lines().filter_map(|line| line.split(' ').next());
        assert!(names().any(|name| name == "avocet-model"), "{package}: {tree}");
        let found = names().filter(|name| unwanted.contains(name));
        check(&format!("what {package} is built from"), found.map(str::to_owned));
    }
}

#[test]
fn recipes_do_no_input_and_no_output() {
    let doors = ["std::fs", "std::net", "std::process", "std::env", "std::io"];
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| source.path.starts_with("recipes/src/")) {
        let bad = source.code().filter(|(_, line)| doors.iter().any(|door| has_word(line, door)));
        found.extend(bad.map(|(number, _)| format!("{}:{number}", source.path)));
    }
    check("recipes compile without I/O", found);
}

#[test]
fn the_changelog_has_room_for_the_next_release() {
    let changelog = read("CHANGELOG.md");
    assert!(changelog.contains("\n## Unreleased\n"), "CHANGELOG.md has no heading `Unreleased`");
}

#[test]
fn nothing_names_a_place_on_one_machine() {
    let places = [concat!("/wo", "rk/"), concat!("../sha", "red"), concat!("/ro", "ot/")];
    let mut found = Vec::new();
    for source in sources() {
        for (number, line) in (1..).zip(source.text.lines()) {
            let is_bad = places.iter().any(|place| line.contains(place));
            // CI may place real clips next to the repository.
            if is_bad && source.path != ".ci/run" {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    check("no file names a place that only one machine has", found);
}
