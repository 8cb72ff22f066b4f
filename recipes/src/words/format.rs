//! The formats of results, with their names, extensions and MIME types.

use serde::{Deserialize, Serialize};

/// The format of a result.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Format {
    /// MP4 with video.
    Mp4,
    /// `WebM`.
    Webm,
    /// `QuickTime`.
    Mov,
    /// Matroska.
    Mkv,
    /// An animated picture.
    Gif,
    /// MPEG-1 Layer III audio.
    Mp3,
    /// AAC audio in ADTS.
    Aac,
    /// PCM audio in RIFF.
    Wav,
    /// A JPEG picture.
    Jpg,
    /// A PNG picture.
    Png,
    /// A `WebP` picture.
    Webp,
    /// Audio in MP4.
    M4a,
    /// FLAC audio.
    Flac,
    /// Opus audio in Ogg.
    Opus,
    /// Vorbis audio in Ogg.
    Ogg,
}

impl Format {
    /// All formats, in the order of the reference.
    pub const ALL: [Self; 15] = [
        Self::Mp4,
        Self::Webm,
        Self::Mov,
        Self::Mkv,
        Self::Gif,
        Self::Mp3,
        Self::Aac,
        Self::Wav,
        Self::Jpg,
        Self::Png,
        Self::Webp,
        Self::M4a,
        Self::Flac,
        Self::Opus,
        Self::Ogg,
    ];

    /// The name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Webm => "webm",
            Self::Mov => "mov",
            Self::Mkv => "mkv",
            Self::Gif => "gif",
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::Wav => "wav",
            Self::Jpg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::M4a => "m4a",
            Self::Flac => "flac",
            Self::Opus => "opus",
            Self::Ogg => "ogg",
        }
    }

    /// The MIME type, as registered: Matroska's in RFC 9559, FLAC's in RFC 9639, Ogg's in RFC 5334.
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Mp4 => "video/mp4",
            Self::Webm => "video/webm",
            Self::Mov => "video/quicktime",
            Self::Mkv => "video/matroska",
            Self::Gif => "image/gif",
            Self::Mp3 => "audio/mpeg",
            Self::Aac => "audio/aac",
            Self::Wav => "audio/wav",
            Self::Jpg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::M4a => "audio/mp4",
            Self::Flac => "audio/flac",
            Self::Opus | Self::Ogg => "audio/ogg",
        }
    }

    /// The extension of its files, without the dot.
    pub const fn extension(self) -> &'static str {
        self.name()
    }

    /// The format of that name in a document, where names are exact.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format of files with that extension, without the dot, in any case; `jpeg` is `jpg`.
    pub fn from_extension(extension: &str) -> Option<Self> {
        let extension = extension.to_ascii_lowercase();
        Self::from_name(if extension == "jpeg" { "jpg" } else { &extension })
    }

    /// Whether it holds audio only.
    pub const fn is_audio(self) -> bool {
        matches!(
            self,
            Self::Mp3 | Self::Aac | Self::Wav | Self::M4a | Self::Flac | Self::Opus | Self::Ogg
        )
    }

    /// Whether it is a still picture.
    pub const fn is_picture(self) -> bool {
        matches!(self, Self::Jpg | Self::Png | Self::Webp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions() {
        for format in Format::ALL {
            assert_eq!(Format::from_extension(format.extension()), Some(format));
        }
        assert_eq!(Format::from_extension("JPEG"), Some(Format::Jpg));
        assert_eq!(Format::from_extension("Mp4"), Some(Format::Mp4));
        assert_eq!(Format::from_extension("avi"), None);
        assert_eq!(Format::from_extension(""), None);
    }

    #[test]
    fn names_are_exact() {
        assert_eq!(Format::from_name("mp4"), Some(Format::Mp4));
        assert_eq!(Format::from_name("MP4"), None);
        assert_eq!(Format::from_name("jpeg"), None);
    }

    #[test]
    fn every_format_is_of_one_sort() {
        let of = |prefix| move |format: &Format| format.mime().starts_with(prefix);
        let audio: Vec<Format> = Format::ALL.into_iter().filter(of("audio/")).collect();
        assert!(audio.iter().all(|format| format.is_audio() && !format.is_picture()));
        assert_eq!(audio.len(), 7);
        assert!(!Format::Gif.is_picture(), "a gif moves");
    }
}
