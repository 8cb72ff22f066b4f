//! Finds the clips of a folder, and what decides for which jobs they are suited.

use std::{
    fs,
    path::{Path, PathBuf},
};

use avocet::{CancelToken, Engine, Source, engine::ProbeOptions, media::MediaInfo};
use serde::Serialize;

use super::{
    error::{Error, Result},
    rivals::Skipped,
};

/// The extensions of files that are probed.
const EXTENSIONS: [&str; 14] = [
    "3gp", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogv", "ts",
    "webm",
];

/// A clip: a file with a video stream.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Clip {
    #[serde(skip)]
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// The duration in seconds.
    pub(super) seconds: f64,
    /// The size of the file in bytes.
    pub(super) size: u64,
    /// The width and the height of the video, in pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    /// The frame rate, in frames per second; 0 when it is unknown.
    pub(super) frame_rate: f64,
    pub(super) video: String,
    pub(super) audio: Option<String>,
    /// Whether the container is MP4 or of its family.
    pub(super) is_mp4: bool,
}

impl Clip {
    /// Whether the shorter side of the video has this many pixels.
    pub(super) fn is_of(&self, lines: u32) -> bool {
        self.width.min(self.height) == lines
    }

    fn of(path: &Path, media: &MediaInfo) -> Option<Self> {
        let (stream, video) = media.videos().next()?;
        Some(Self {
            path: path.to_owned(),
            name: path.file_name()?.to_string_lossy().into_owned(),
            seconds: media.duration?.seconds(),
            size: media.size_bytes?,
            width: video.width,
            height: video.height,
            frame_rate: video.frame_rate.map_or(0.0, avocet::media::Rational::as_f64),
            video: stream.codec.clone(),
            audio: media.audios().next().map(|(stream, _)| stream.codec.clone()),
            is_mp4: media.is_format("mp4"),
        })
    }
}

/// The contents of a folder.
pub(super) struct Found {
    /// The clips, in the order of their names.
    pub(super) clips: Vec<Clip>,
    /// Files with the extension of a clip that can not be used.
    pub(super) unusable: Vec<Skipped>,
    /// The number of files of all kinds.
    pub(super) files: usize,
}

/// Finds the clips of a folder and of its direct subfolders.
pub(super) fn find(folder: &Path, cancel: &CancelToken) -> Result<Found> {
    let mut paths = Vec::new();
    for path in list(folder)? {
        // A subfolder that can not be read is passed over.
        paths.extend(if path.is_dir() { list(&path).unwrap_or_default() } else { vec![path] });
    }
    paths.retain(|path| path.is_file());
    let engine = Engine::default();
    let look = |path: &PathBuf| {
        // An absolute path does not begin with `-`, which the rivals would take for an option.
        let path = fs::canonicalize(path).map_err(|error| error.to_string())?;
        let media = engine
            .probe(&Source::path(&path), ProbeOptions::default().cancel(cancel))
            .map_err(|error| error.to_string())?;
        let clip = Clip::of(&path, &media).filter(|clip| clip.seconds > 0.0);
        clip.ok_or_else(|| "it has no video, or its duration is unknown".to_owned())
    };
    let (mut clips, mut unusable) = (Vec::new(), Vec::new());
    for path in paths.iter().filter(|path| may_be_clip(path)) {
        match look(path) {
            Ok(clip) => clips.push(clip),
            Err(why) => unusable.push(Skipped { name: path.display().to_string(), why }),
        }
    }
    if cancel.is_cancelled() {
        return Err(Error::Cancelled);
    }
    Ok(Found { clips, unusable, files: paths.len() })
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::file("read", folder))?;
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn may_be_clip(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    !name.starts_with('.') && EXTENSIONS.contains(&&*extension)
}

/// The extensions of clips, for people.
pub(super) fn extensions() -> String {
    EXTENSIONS.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_are_told_by_their_names_first() {
        let check = |name: &str, expected| {
            assert_eq!(may_be_clip(Path::new(name)), expected, "{name}");
        };
        check("a/b.mp4", true);
        check("a/B.MOV", true);
        check("a/.b.mp4", false);
        check("a/b.jpg", false);
        check("a/mp4", false);
    }

    #[test]
    fn lines_are_those_of_the_shorter_side() {
        let upright = Clip { width: 720, height: 1280, ..Clip::default() };
        assert!(upright.is_of(720) && !upright.is_of(1280));
    }

    #[test]
    #[expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test looks from outside")]
    fn what_is_named_like_a_clip_and_is_none_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        for name in ["notes.txt", "a.mp4", "deep/b.webm"] {
            fs::write(folder.path().join(name), "no media").unwrap();
        }
        let found = find(folder.path(), &CancelToken::new()).unwrap();
        assert_eq!((found.clips.len(), found.unusable.len(), found.files), (0, 2, 3));
        assert!(found.unusable[1].name.ends_with("deep/b.webm"));
        assert!(find(&folder.path().join("nothing"), &CancelToken::new()).is_err());
    }
}
