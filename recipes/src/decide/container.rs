//! Containers: their muxers, what they hold, and how the output is put together.

use std::num::NonZeroU32;

use avocet_model::{
    media::{Chapter, Kind, MediaInfo, Projection, Tags},
    plan::{Action, Content, FrameFormat, Output, Reason, Track},
    time::{Timestamp, greatest_common_divisor},
};

use super::{
    choose::kept_tags,
    context::{CompileContext, Probed},
    projection,
};
use crate::words::format::Format;

impl Format {
    /// libav's name of the muxer.
    pub(crate) const fn muxer(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Webm => "webm",
            Self::Mov => "mov",
            Self::Mkv => "matroska",
            Self::Gif => "gif",
            Self::Mp3 => "mp3",
            Self::Aac => "adts",
            Self::Wav => "wav",
            Self::M4a => "ipod",
            Self::Flac => "flac",
            Self::Opus => "opus",
            Self::Ogg => "ogg",
            Self::Jpg | Self::Png | Self::Webp => "image2pipe",
        }
    }

    /// The format of a muxer of libav; `None` for that of pictures, which several share.
    pub fn from_muxer(muxer: &str) -> Option<Self> {
        let mut formats = Self::ALL.into_iter().filter(|format| !format.is_picture());
        formats.find(|format| format.muxer() == muxer)
    }

    /// Whether it is Matroska or WebM, which is a part of it: times are whole milliseconds.
    pub(crate) const fn is_matroska(self) -> bool {
        matches!(self, Self::Mkv | Self::Webm)
    }

    /// Whether it is MP4 or QuickTime, whose edit lists can hide media.
    pub(crate) const fn is_movie(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov | Self::M4a)
    }

    /// Whether a gap between audio packets survives in it.
    pub(crate) const fn keeps_gaps(self) -> bool {
        !matches!(self, Self::Mp3 | Self::Aac | Self::Wav | Self::Flac | Self::Opus | Self::Ogg)
    }

    /// The longest part of a stream, in seconds, that can be hidden before the start; `None` for any.
    /// An edit list hides any, Matroska the priming of sound of this sample rate (`CodecDelay`), and
    /// what stores no times leaves it out.
    pub(crate) fn hides_before(self, sample_rate: Option<NonZeroU32>) -> Option<f64> {
        /// Samples: more than any codec has. HE-AAC of libfdk has 5,058.
        const PRIMING: f64 = 5_100.0;
        match self {
            Self::Webm => Some(0.0),
            Self::Mkv => Some(sample_rate.map_or(0.0, |rate| PRIMING / f64::from(rate.get()))),
            _ => None,
        }
    }

    /// Whether it holds several audio streams.
    pub(crate) const fn holds_many(self) -> bool {
        !self.is_audio() || self.is_movie()
    }

    /// The codec that text subtitles are converted to in it; `None` where subtitles are not kept.
    pub(crate) const fn text_codec(self) -> Option<&'static str> {
        match self {
            Self::Mp4 | Self::Mov => Some("mov_text"),
            Self::Webm => Some("webvtt"),
            Self::Mkv => Some("subrip"),
            _ => None,
        }
    }

    /// Whether text subtitles of a codec go into it as they are.
    pub(crate) fn holds_text(self, codec: &str) -> bool {
        self.text_codec() == Some(codec) || (self == Self::Mkv && codec == "ass")
    }

    /// Whether cover art of a codec goes into it.
    pub(crate) fn holds_cover(self, codec: &str) -> bool {
        matches!(self, Self::Mp3 | Self::M4a | Self::Flac) && matches!(codec, "mjpeg" | "png")
    }

    /// Whether chapters are written into it. Ogg would have a place for them, but libavformat
    /// rounds their times to whole seconds there.
    const fn holds_chapters(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov | Self::M4a | Self::Webm | Self::Mkv | Self::Mp3)
    }

    /// A notice about chapters that are not written into it.
    pub(crate) fn chapters_notice(self, chapters: &[Chapter]) -> Option<Reason> {
        (!chapters.is_empty() && !self.is_picture() && !self.holds_chapters()).then(|| {
            let message = format!("chapters are not written into {}", self.name());
            Reason::new("CHAPTERS_LEFT_OUT", message)
        })
    }
}

/// The prefix of names in QuickTime's metadata list (`mdta`), as iPhones write it.
const QUICKTIME_PREFIX: &str = "com.apple.quicktime.";

/// Names in QuickTime's metadata list without their prefix, and the common names for the same tags.
const QUICKTIME_NAMES: [(&str, &str); 13] = [
    ("album", "album"),
    ("artist", "artist"),
    ("author", "author"),
    ("comment", "comment"),
    ("copyright", "copyright"),
    ("creationdate", "date"),
    ("description", "description"),
    ("genre", "genre"),
    ("keywords", "keywords"),
    ("location.ISO6709", "location"),
    ("make", "make"),
    ("model", "model"),
    ("title", "title"),
];

/// The part of a tag's name behind the prefix of QuickTime's metadata list; `None` without the
/// prefix.
fn in_quicktime(name: &str) -> Option<&str> {
    let (prefix, rest) = name.split_at_checked(QUICKTIME_PREFIX.len())?;
    // Matroska writes names in capitals.
    prefix.eq_ignore_ascii_case(QUICKTIME_PREFIX).then_some(rest)
}

/// The tags of a file, by the names that the container knows.
///
/// If any tag is from QuickTime's metadata list, QuickTime gets all tags that have a name in that
/// list under that name, and other containers get the common names.
fn file_tags(container: Format, tags: &Tags) -> Tags {
    let mut tags = kept_tags(tags);
    if !tags.keys().any(|name| in_quicktime(name).is_some()) {
        return tags;
    }
    let keeps_list = container == Format::Mov;
    for (own, common) in QUICKTIME_NAMES {
        let listed = |(name, _): &(&String, &String)| {
            in_quicktime(name).is_some_and(|name| name.eq_ignore_ascii_case(own))
        };
        let listed = tags.iter().find(listed).map(|(name, _)| name.clone());
        let listed = listed.and_then(|name| tags.remove(&name));
        let Some(value) = listed.or_else(|| tags.get(common).cloned()) else { continue };
        if keeps_list {
            tags.remove(common);
            tags.insert(format!("{QUICKTIME_PREFIX}{own}"), value);
        } else {
            tags.insert(common.to_owned(), value);
        }
    }
    tags
}

/// The only output of a recipe, with `tracks` and `chapters`, and the tags of `probed`.
pub(crate) fn output(
    container: Format,
    probed: &Probed,
    mut tracks: Vec<Track>,
    chapters: Vec<Chapter>,
    context: &CompileContext<'_>,
) -> Output {
    let mut options = Vec::new();
    if container == Format::Mov {
        let languages = tracks.iter_mut().filter_map(|track| track.tags.get_mut("language"));
        languages.for_each(name_in_quicktime);
    }
    for track in &mut tracks {
        if !projection::fits(&track.projection, container) {
            track.projection = Projection::default();
        }
    }
    let is_mp4 = container == Format::Mp4;
    let keeps_projection = is_mp4 && tracks.iter().any(|track| !track.projection.is_empty());
    if container.is_movie() {
        let scale = movie_timescale(context, &tracks).to_string();
        options.push(("movie_timescale".to_owned(), scale));
        let keeps_dolby_vision = tracks.iter().any(|track| keeps_dolby_vision(context, track));
        if keeps_projection || keeps_dolby_vision {
            // Spherical boxes are not part of the standard, and older releases of libav treat those
            // of Dolby Vision alike. libavformat writes both only with this option.
            options.push(("strict".to_owned(), "unofficial".to_owned()));
        }
    }
    let tags = file_tags(container, &probed.media.tags);
    if container == Format::Mov && tags.keys().any(|it| in_quicktime(it).is_some()) {
        // Without it, libavformat writes the older list of user data, which has names for few tags.
        options.push(("movflags".to_owned(), "use_metadata_tags".to_owned()));
    }
    Output {
        location: context.output.clone(),
        replace: context.replace,
        muxer: container.muxer().to_owned(),
        options,
        tags,
        chapters: if container.holds_chapters() { chapters } else { Vec::new() },
        content: Content::Tracks(tracks),
        index_first: container.is_movie(),
        moves_index: false,
        at_most: None,
    }
}

/// Whether a track copies Dolby Vision pictures, with their metadata.
fn keeps_dolby_vision(context: &CompileContext<'_>, track: &Track) -> bool {
    let copies = track.action.copies();
    let mut streams = track
        .sources()
        .filter_map(|source| context.inputs.get(source.input)?.media.streams.get(source.stream));
    let is_dolby = |kind: &Kind| matches!(kind, Kind::Video(video) if video.dolby_vision.is_some());
    copies && streams.any(|stream| is_dolby(&stream.kind))
}

/// Gives a language the code that libav's table of QuickTime languages has for it, where that is
/// not the usual one.
fn name_in_quicktime(language: &mut String) {
    const NAMES: [(&str, &str); 10] = [
        ("deu", "ger"),
        ("nld", "dut"),
        ("zho", "chi"),
        ("ell", "gre"),
        ("isl", "ice"),
        ("swe", "sve"),
        ("sqi", "alb"),
        ("mkd", "mac"),
        ("cze", "ces"),
        ("rum", "ron"),
    ];
    if let Some((_, known)) = NAMES.iter().find(|(name, _)| name == language) {
        (*known).clone_into(language);
    }
}

/// An output that has the bytes of the first input.
pub(crate) fn bytes_of_input(container: Format, context: &CompileContext<'_>) -> Output {
    Output {
        location: context.output.clone(),
        replace: context.replace,
        muxer: container.muxer().to_owned(),
        options: Vec::new(),
        tags: avocet_model::media::Tags::new(),
        chapters: Vec::new(),
        content: Content::BytesOf(0),
        index_first: false,
        moves_index: false,
        at_most: None,
    }
}

/// The chapters of an input between `origin` and `end`, clipped to them and moved so that `origin`
/// becomes 0.
pub(crate) fn chapters(
    media: &MediaInfo,
    origin: Timestamp,
    end: Option<Timestamp>,
) -> Vec<Chapter> {
    let clip = |at: Timestamp| end.map_or(at, |end| at.min(end)).max(origin);
    media
        .chapters
        .iter()
        .filter_map(|chapter| {
            let base = chapter.start.base;
            let (from, to) = (clip(chapter.start), clip(chapter.end));
            Some(Chapter {
                start: from.since(origin, base)?,
                end: to.since(origin, base)?,
                tags: chapter.tags.clone(),
            })
        })
        .filter(|chapter| chapter.start < chapter.end)
        .collect()
}

/// The time scale of a movie, in ticks per second: the least common multiple of the tracks' time
/// scales, so that every edit is a whole number of ticks. Where that exceeds 31 bits, the largest
/// of them.
///
/// libav's default of 1000 would round the start of each track to a millisecond.
fn movie_timescale(context: &CompileContext<'_>, tracks: &[Track]) -> u32 {
    let scales: Vec<u32> =
        tracks.iter().filter_map(|track| track_timescale(context, track)).collect();
    let largest = scales.iter().copied().max().unwrap_or(1000);
    scales
        .iter()
        .try_fold(1_u32, |all, scale| {
            let multiple = all.checked_mul(scale / greatest_common_divisor(all, *scale))?;
            i32::try_from(multiple).is_ok().then_some(multiple)
        })
        .unwrap_or(largest)
}

/// The time scale that libav's muxer gives a track of MP4 or QuickTime, in ticks per second; `None`
/// for cover art and converted text.
fn track_timescale(context: &CompileContext<'_>, track: &Track) -> Option<u32> {
    let of_picture = |ticks: u32| {
        let mut scale = ticks;
        while scale < 10_000 {
            scale *= 2;
        }
        scale
    };
    let source = track.sources().next()?;
    match &track.action {
        Action::Encode(encoder) => match &encoder.format {
            FrameFormat::Video(format) => Some(of_picture(format.time_base.den.get())),
            FrameFormat::Audio(format) => Some(format.sample_rate.get()),
        },
        // Converted text counts in microseconds, which the time scale of the movie need not
        // express.
        Action::Convert(_) => None,
        Action::Copy | Action::SmartCut(_) => {
            let stream = context.inputs.get(source.input)?.media.streams.get(source.stream)?;
            match &stream.kind {
                Kind::Audio(audio) => audio.sample_rate.map(std::num::NonZero::get),
                Kind::Video(_) if !stream.still => Some(of_picture(stream.time_base.den.get())),
                _ => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_the_names_that_a_container_knows() {
        let tags = |pairs: &[(&str, &str)]| -> Tags {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let check = |format: Format, from: &[(&str, &str)], to: &[(&str, &str)]| {
            assert_eq!(file_tags(format, &tags(from)), tags(to), "{from:?}");
        };
        let (place, day) =
            ("com.apple.quicktime.location.ISO6709", "com.apple.quicktime.creationdate");
        let phone = [(day, "2024"), (place, "+48+002/"), ("com.apple.quicktime.x", "y")];
        check(Format::Mov, &phone, &phone);
        let common = [("com.apple.quicktime.x", "y"), ("date", "2024"), ("location", "+48+002/")];
        check(Format::Mp4, &phone, &common);
        check(Format::Webm, &phone, &common);
        // As Matroska returns them, with a title that somebody gave the file.
        let capitals = [("COM.APPLE.QUICKTIME.LOCATION.ISO6709", "+48+002/"), ("title", "Paris")];
        check(Format::Mp4, &capitals, &[("location", "+48+002/"), ("title", "Paris")]);
        let titled = [(place, "+48+002/"), ("com.apple.quicktime.title", "Paris")];
        check(Format::Mov, &capitals, &titled);
        let usual = [("date", "2024"), ("location", "+48+002/")];
        check(Format::Mov, &usual, &usual);
        check(Format::Mp4, &usual, &usual);
    }
}
