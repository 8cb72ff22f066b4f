//! Names of flags, of outputs without a given name, and of places.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use avocet::{
    Format,
    io::{Location, Target},
    recipes::{Job, JobOutputs, Recipe, RecipeName, Task},
};

/// Turns camelCase into kebab-case for the command line: `seekSeconds` becomes `seek-seconds`.
pub(super) fn kebab(name: &str) -> String {
    let mut kebab = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

/// The format of a job's only output; `None` when it makes several files.
pub(super) fn format(job: &Job) -> Option<Format> {
    let JobOutputs::One(format) = &job.outputs else { return None };
    match &job.task {
        _ if job.fills_folder() => None,
        // `extractAudio` makes mp3 when the document names a format that it does not have.
        Task::Recipe(recipe @ Recipe::ExtractAudio(_))
            if !recipe.name().formats().contains(format) =>
        {
            Some(Format::Mp3)
        }
        _ => Some(*format),
    }
}

/// The extension of an output that is named for the user, without the dot. `extractAudio` writes MP4
/// (`.m4a`) unless a format was asked for: ADTS stores neither gaps nor the exact duration.
pub(super) fn usual_extension(recipe: RecipeName, format: Format, is_asked: bool) -> &'static str {
    match recipe {
        RecipeName::ExtractAudio if format != Format::Aac && !is_asked => "m4a",
        _ => format.extension(),
    }
}

/// The default name: `<stem>-<recipe>.<extension>`, in the current folder.
pub(super) fn usual_output(input: &Location, job: &Job, format: Format, is_asked: bool) -> PathBuf {
    let mut name = stem(input);
    name.push("-");
    name.push(match &job.task {
        Task::Recipe(recipe) => kebab(recipe.name().name()),
        Task::Ffmpeg(_) => "ffmpeg".to_owned(),
    });
    name.push(".");
    name.push(match &job.task {
        Task::Recipe(recipe) => usual_extension(recipe.name(), format, is_asked),
        Task::Ffmpeg(_) => format.extension(),
    });
    PathBuf::from(name)
}

/// The name of an input without its extension; `stdin` for standard input.
pub(super) fn stem(input: &Location) -> OsString {
    let stem = match input {
        Location::Path(path) if path.as_os_str() == "-" => Some("stdin".into()),
        Location::Path(path) => path.file_stem().map(OsStr::to_owned),
        elsewhere => elsewhere.file_name().map(|name| {
            let stem = Path::new(&*name).file_stem();
            stem.map_or_else(OsString::new, OsStr::to_owned)
        }),
    };
    stem.unwrap_or_else(|| OsString::from("output"))
}

/// The location that an output's name means: a URL or a path.
pub(super) fn place(output: &Path) -> Location {
    output.to_str().map_or_else(|| Location::from(output), |text| Target::from(text).location)
}

#[cfg(test)]
mod tests {
    use super::*;
    use avocet::{
        Policy,
        recipes::{CheckedJob, DocumentError, RecipeName},
    };

    #[test]
    fn names_become_kebab_case() {
        assert_eq!(kebab("seekSeconds"), "seek-seconds");
        assert_eq!(kebab("crf"), "crf");
        assert_eq!(kebab("audioBitrateKbps"), "audio-bitrate-kbps");
    }

    #[test]
    fn no_two_flags_share_a_name() {
        for recipe in RecipeName::ALL {
            let mut names: Vec<_> =
                recipe.parameters().iter().map(|parameter| kebab(parameter.name)).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), recipe.parameters().len(), "{}", recipe.name());
        }
    }

    /// Checks the default name of an output, by input, output format and recipe.
    fn check_usual(input: &str, format: &str, recipe: &str, expected: &str) {
        let text = format!(
            r#"{{"mode":"recipe","input":{{"url":"a"}},"output":{{"format":"{format}"}},"recipe":{{"name":"{recipe}"}}}}"#
        );
        let named = |job: CheckedJob| {
            let format = super::format(&job)?;
            Some(usual_output(&Location::from(input), &job, format, false))
        };
        let met: Result<_, DocumentError> = Job::from_json(&text, Policy::Program).map(named);
        assert_eq!(met, Ok(Some(PathBuf::from(expected))));
    }

    #[test]
    fn an_output_is_named_after_input_and_recipe() {
        check_usual("/clips/holiday.mp4", "jpg", "thumbnail", "holiday-thumbnail.jpg");
        check_usual("a.b.mkv", "mp4", "webReady", "a.b-web-ready.mp4");
        check_usual("noise", "wav", "transcode", "noise-transcode.wav");
        check_usual("a.mkv", "gif", "extractAudio", "a-extract-audio.m4a");
        check_usual("a.mkv", "mp3", "extractAudio", "a-extract-audio.m4a");
        check_usual("a.mkv", "aac", "extractAudio", "a-extract-audio.aac");
        check_usual("..", "mp4", "trim", "output-trim.mp4");
    }
}
