//! The outputs of a worker: checked, and moved out of the folder that the worker writes to.

pub(crate) mod storage;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use avocet_model::plan::Reason;
use avocet_recipes::Format;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::model::protocol::{Done, Failure, Made};
use storage::{At, Stored, Target};

/// The finished outputs of a job, and the warnings of the run.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Finished {
    pub(crate) outputs: Vec<Stored>,
    pub(crate) warnings: Vec<Reason>,
}

impl Finished {
    /// Takes the outputs that a worker reports, with their places at a target.
    pub(crate) fn new(done: Done, target: &Target) -> Self {
        let outputs = done.outputs.into_iter().map(|made| {
            let at = if is_input(&made) {
                At::Input(made.filename.clone())
            } else {
                target.at(&made.filename)
            };
            let filename = usual_name(&made).unwrap_or_else(|| made.filename.clone());
            Stored { made: Made { filename, ..made }, at, deleted: false }
        });
        Self { outputs: outputs.collect(), warnings: done.warnings }
    }
}

/// Whether an output is the input itself (passthrough): its URL is in place of the file name.
fn is_input(made: &Made) -> bool {
    made.filename.contains("://")
}

/// The file name that clients see for the only output of a job.
fn usual_name(made: &Made) -> Option<String> {
    let extension = made.file_format.as_deref()?;
    (made.key == "output").then(|| format!("output.{extension}"))
}

/// The names of the files that a worker reports.
pub(crate) fn names(done: &Done) -> Vec<String> {
    let files = done.outputs.iter().filter(|made| !is_input(made));
    files.map(|made| made.filename.clone()).collect()
}

/// Notes the sizes of these files, which the worker may have told wrong.
pub(crate) fn set_sizes(done: &mut Done, sizes: &[u64]) {
    let files = done.outputs.iter_mut().filter(|made| !is_input(made));
    files.zip(sizes).for_each(|(made, size)| made.size_bytes = *size);
}

/// What is wrong with a result that a worker reports for these inputs, in words.
pub(crate) fn strange(done: &Done, inputs: &[(String, Option<Arc<File>>)]) -> Option<String> {
    let urls = done.outputs.iter().filter(|made| is_input(made)).map(|made| &made.filename);
    if let Some(url) = urls.into_iter().find(|url| !inputs.iter().any(|(input, _)| input == *url)) {
        return Some(format!("the worker reported an output, {url:?}, that is no input"));
    }
    // Browsers run scripts of some media types.
    let made = done.outputs.iter().find(|made| !has_media_type_of_its_format(made))?;
    let (kind, format) = (made.mime_type.as_deref(), made.file_format.as_deref());
    Some(format!("the worker reported an output of format {format:?} and media type {kind:?}"))
}

fn has_media_type_of_its_format(made: &Made) -> bool {
    match (made.file_format.as_deref(), made.mime_type.as_deref()) {
        (None, None) | (Some("vtt"), Some("text/vtt")) => true,
        (Some(name), Some(kind)) => {
            Format::ALL.iter().any(|format| format.name() == name && format.mime() == kind)
        }
        _ => false,
    }
}

/// Whether a name is that of a file directly in a folder.
pub(crate) fn is_plain(name: &str) -> bool {
    let is_one = Path::new(name).components().eq([Component::Normal(name.as_ref())]);
    // `Path` drops a slash at the end, and allows a zero byte.
    is_one && !name.contains(['/', '\0'])
}

/// What is wrong with a file that a worker reports; `None` for a plain file of its folder.
fn wrong_with(folder: &Path, name: &str) -> Option<&'static str> {
    if !is_plain(name) {
        return Some("does not have the name of a file in its folder");
    }
    let is_folder = fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir());
    match fs::symlink_metadata(folder.join(name)) {
        // A symbolic link, or a second hard link, could lead out of the folder.
        Ok(found) if is_folder && found.is_file() && found.nlink() == 1 => None,
        Ok(_) => Some("is not a regular file with one hard link"),
        Err(_) => Some("does not exist"),
    }
}

/// Moves files from the folder of a worker to another one, after all of them were checked. It
/// returns their sizes, in bytes, when they are on the disk: `fsync` of a file also commits its new
/// name in file systems with a journal.
pub(crate) fn bring(folder: &Path, home: &Path, names: &[String]) -> Result<Vec<u64>, Failure> {
    let mut seen = BTreeSet::new();
    for name in names {
        let twice = (!seen.insert(name)).then_some("is listed twice");
        if let Some(what) = wrong_with(folder, name).or(twice) {
            let message = format!("the worker reported an output, {name:?}, that {what}");
            return Err(Failure::new("ENGINE_ERROR", message, "commit", false));
        }
    }
    move_all(folder, home, names).map_err(|error| {
        let retryable = !matches!(
            error.kind(),
            io::ErrorKind::IsADirectory
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::ReadOnlyFilesystem
        );
        let message = format!("an output can not be stored: {error}");
        Failure::new("STORAGE_ERROR", message, "commit", retryable)
    })
}

fn move_all(folder: &Path, home: &Path, names: &[String]) -> io::Result<Vec<u64>> {
    fs::create_dir_all(home)?;
    let one = |name: &String| {
        let place: PathBuf = home.join(name);
        fs::rename(folder.join(name), &place)?;
        let mut options = fs::OpenOptions::new();
        // The worker may have replaced the file since: do not follow a link, or block on a pipe.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.read(true).custom_flags(flags.bits().cast_signed());
        #[expect(clippy::disallowed_methods, reason = "a finished output is made to last")]
        let file = options.open(place)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        file.sync_all()?;
        Ok(found.len())
    };
    names.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test looks at files")]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_plain_files_of_a_workers_folder_are_moved_and_all_or_none() {
        let data = tempfile::tempdir().unwrap();
        let (folder, home) = (data.path().join("work"), data.path().join("home"));
        fs::create_dir_all(folder.join("below")).unwrap();
        let outside = data.path().join("keys");
        for path in [&outside, &folder.join("a.mp4"), &folder.join("below/b.mp4")] {
            fs::write(path, "bytes").unwrap();
        }
        symlink(&outside, folder.join("link.mp4")).unwrap();
        fs::write(folder.join("two.mp4"), "bytes").unwrap();
        fs::hard_link(folder.join("two.mp4"), folder.join("names.mp4")).unwrap();
        let absolute = outside.to_str().unwrap();
        for name in [
            "",
            ".",
            "..",
            "/",
            "../keys",
            "./a.mp4",
            "a.mp4/",
            "a.mp4/.",
            "below",
            "below/b.mp4",
            "below/../a.mp4",
            "link.mp4",
            "names.mp4",
            "none.mp4",
            "a\0.mp4",
            "a.mp4",
            absolute,
        ] {
            // A sound file next to a bad one is not moved either.
            let names = ["a.mp4".to_owned(), name.to_owned()];
            let failure = bring(&folder, &home, &names).unwrap_err();
            assert_eq!((failure.code.as_str(), failure.retryable), ("ENGINE_ERROR", false));
            assert!(folder.join("a.mp4").exists() && outside.exists() && !home.exists(), "{name}");
        }
        symlink(&folder, data.path().join("link")).unwrap();
        let names = ["a.mp4".to_owned()];
        assert!(bring(&data.path().join("link"), &home, &names).is_err());
        assert_eq!(bring(&folder, &home, &names).unwrap(), [5]);
        assert_eq!(fs::read_to_string(home.join("a.mp4")).unwrap(), "bytes");
        fs::write(folder.join("..a"), "bytes").unwrap();
        bring(&folder, &home, &["..a".to_owned()]).unwrap();
    }

    #[test]
    fn a_result_that_is_not_of_its_job_is_strange() {
        let made = |filename: &str, format: Option<&str>, kind: Option<&str>| {
            let [file_format, mime_type] = [format, kind].map(|it| it.map(str::to_owned));
            Made { filename: filename.to_owned(), file_format, mime_type, ..Made::default() }
        };
        let inputs = [("https://a.example/a.mp4".to_owned(), None)];
        let is_strange = |made: Made| {
            let done = Done { outputs: vec![made], warnings: Vec::new() };
            strange(&done, &inputs).is_some()
        };
        assert!(!is_strange(made("a.mp4", Some("mp4"), Some("video/mp4"))));
        assert!(!is_strange(made("a.vtt", Some("vtt"), Some("text/vtt"))));
        assert!(!is_strange(made("a.ts", None, None)));
        assert!(!is_strange(made("https://a.example/a.mp4", Some("mp4"), Some("video/mp4"))));
        assert!(is_strange(made("https://b.example/a.mp4", Some("mp4"), Some("video/mp4"))));
        assert!(is_strange(made("a.mp4", Some("mp4"), Some("text/html"))));
        assert!(is_strange(made("a.html", None, Some("text/html"))));
    }
}
