//! Selects the streams of an input that a recipe works on and the part of each, and puts the plan
//! together.

use avocet_model::{
    error::Result,
    index::StreamIndex,
    location::Location,
    media::{AudioInfo, Disposition, Kind, MediaInfo, Projection, StreamInfo, VideoInfo},
    plan::{
        Action, Dropped, Output, Part, Plan, Reason, Select, Span, Strategy, StreamId, Track,
        TrackKind,
    },
    time::{Rational, Timestamp},
};

use super::{
    choose::{self, kept_tags},
    container,
    context::{CompileContext, Probed},
    cut::{self, Kept, Section},
    losses, projection,
};
use crate::words::{format::Format, parameter::Tracks};

/// What a recipe can not do without.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Need {
    Video,
    /// A video, or else cover art.
    Picture,
    FirstAudio,
    Either,
}

/// A stream that is kept, with all that is known of it.
#[derive(Debug)]
pub(crate) struct Source<'a, T> {
    pub(crate) id: StreamId,
    pub(crate) location: &'a Location,
    pub(crate) media: &'a MediaInfo,
    pub(crate) stream: &'a StreamInfo,
    pub(crate) info: &'a T,
    pub(crate) index: Option<&'a StreamIndex>,
    /// The instant of the input that is 0 in the output.
    pub(crate) origin: Timestamp,
    /// The section that is wanted, and what of the stream lies in it.
    pub(crate) section: Option<(Section, Kept)>,
}

// Deriving these would require `T` to be `Copy` and `Clone`, though it is only referred to.
impl<T> Copy for Source<'_, T> {}

impl<T> Clone for Source<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Source<'_, T> {
    /// The piece of the track that encodes this stream.
    pub(crate) fn encoded(&self, filters: String) -> Part {
        let select = self.section.map_or(Select::All, |(_, kept)| Select::Span(kept.span));
        self.part(select, filters)
    }

    fn part(&self, select: Select, filters: String) -> Part {
        let (source, origin, pad_filters) = (Some(self.id), self.origin, String::new());
        Part { source, origin, select, filters, copied: None, pad_filters }
    }

    /// The piece of the track that copies this stream, or the span of it.
    pub(crate) fn copied(&self, span: Option<Span>) -> Part {
        let select = span.map_or(Select::All, Select::Span);
        self.part(select, String::new())
    }

    /// Bytes of all its packets, where they are known.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.stream.promised_bytes.or_else(|| self.index.map(StreamIndex::bytes))
    }

    /// How long it is, in seconds, where that is known.
    pub(crate) fn seconds(&self) -> Option<f64> {
        let duration = self.stream.duration.or(self.media.duration);
        duration.map(Timestamp::seconds).filter(|seconds| *seconds > 0.0)
    }

    /// A track of this stream, still without an action.
    pub(crate) fn track(&self, kind: TrackKind, part: Part, because: Vec<Reason>) -> Track {
        let mut tags = kept_tags(&self.stream.tags);
        if kind == TrackKind::Video {
            // The display matrix and the projection state this.
            tags.remove("rotate");
            tags.remove("stereo_mode");
        }
        let projection = match &self.stream.kind {
            Kind::Video(video) if kind == TrackKind::Video => video.projection.clone(),
            _ => Projection::default(),
        };
        Track {
            kind,
            parts: vec![part],
            action: Action::Copy,
            because,
            tag: None,
            disposition: self.stream.disposition,
            tags,
            projection,
            at_most: None,
        }
    }
}

impl Source<'_, ()> {
    /// A track of cover art.
    pub(crate) fn kept_cover(&self) -> Track {
        let because = Reason::new("COVER_KEPT", "the container has a place for cover art");
        let track = self.track(TrackKind::Cover, self.copied(None), vec![because]);
        // libavformat writes a picture as cover art only if it has no other disposition.
        Track { disposition: Disposition::default(), ..track }
    }
}

impl Source<'_, VideoInfo> {
    /// The span in which it can be copied; `None` for all of it.
    pub(crate) fn copy_span(&self) -> Result<Option<Span>, Reason> {
        let (Some((section, kept)), Some(index)) = (self.section, self.index) else {
            return Ok(None);
        };
        cut::copy_pictures(self.stream, index, section, &kept).map(Some)
    }
}

impl Source<'_, AudioInfo> {
    /// The span in which it can be copied; `None` for all of it.
    pub(crate) fn copy_span(&self, container: Format) -> Result<Option<Span>, Reason> {
        let (Some((_, kept)), Some(index)) = (self.section, self.index) else { return Ok(None) };
        cut::copy_sound(self.stream, index, &kept, container).map(Some)
    }
}

/// What is kept of one input.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    context: &'a CompileContext<'a>,
    pub(crate) probed: &'a Probed,
    pub(crate) container: Format,
    pub(crate) section: Option<Section>,
    pub(crate) video: Option<Source<'a, VideoInfo>>,
    pub(crate) audios: Vec<Source<'a, AudioInfo>>,
    texts: Vec<Source<'a, ()>>,
    cover: Option<Source<'a, ()>>,
    tracks: Tracks,
    /// Numbers of the streams that are kept if any part of them is in the section.
    wanted: Vec<usize>,
    pub(crate) origin: Timestamp,
    pub(crate) notices: Vec<Reason>,
}

impl<'a> Selection<'a> {
    /// Chooses streams of the only input.
    ///
    /// # Errors
    /// [`Error::Lacking`](avocet_model::error::Error::Lacking) when the input lacks what is needed,
    /// or has nothing in the section.
    pub(crate) fn of(
        context: &'a CompileContext<'a>,
        container: Format,
        need: Need,
        tracks: Tracks,
        section: Option<Section>,
    ) -> Result<Self> {
        let probed = context.input()?;
        let media = &probed.media;
        choose::expect_open(probed)?;
        let source = Chooser { input: 0, probed, section };
        let wants_video = !container.is_audio() && need != Need::FirstAudio;
        let video = if wants_video { choose::best_video(media) } else { None };
        let has_audio = choose::best_audio(media).is_some();
        match need {
            Need::Video if video.is_none() => {
                choose::need_video(&probed.location, media)?;
            }
            Need::Picture => {
                choose::need_picture(&probed.location, media)?;
            }
            Need::FirstAudio => {
                choose::need_audio(&probed.location, media)?;
            }
            Need::Either if container.is_audio() => {
                choose::need_audio(&probed.location, media)?;
            }
            Need::Either if video.is_none() && !has_audio => {
                let needed = "a video or audio stream";
                return Err(choose::lacking(&probed.location, media, needed));
            }
            Need::Video | Need::Either => {}
        }
        let audios: Vec<_> = match tracks {
            Tracks::All if container.holds_many() && need != Need::FirstAudio => {
                choose::real_audios(media).collect()
            }
            _ if need == Need::FirstAudio => choose::real_audios(media).take(1).collect(),
            Tracks::Best | Tracks::All => choose::best_audio(media).into_iter().collect(),
        };
        let wanted = video.iter().map(|(stream, _)| stream.index);
        let wanted: Vec<_> = wanted.chain(audios.iter().map(|(stream, _)| stream.index)).collect();
        let video = video.and_then(|(stream, info)| source.pictures(stream, info));
        let audios: Vec<_> =
            audios.into_iter().filter_map(|(stream, info)| source.sound(stream, info)).collect();
        if video.is_none() && audios.is_empty() && need != Need::Picture {
            let needed = "video or audio in the section";
            return Err(choose::lacking(&probed.location, media, needed));
        }
        let keeps_text = tracks == Tracks::All && container.text_codec().is_some();
        let program = choose::program(media);
        let is_text = |stream: &&StreamInfo| {
            keeps_text
                && matches!(&stream.kind, Kind::Subtitle(info) if info.text)
                && program.is_none_or(|program| choose::holds(media, program, stream))
        };
        let texts: Vec<_> =
            media.streams.iter().filter(is_text).map(|stream| source.other(stream)).collect();
        let cover = source.cover(container);
        let mut notices: Vec<_> =
            section.and_then(|section| section.notice(probed)).into_iter().collect();
        notices.extend(video.and_then(|video| choose::color_notice(video.info)));
        notices.extend(choose::input_notices(media));
        notices.extend(choose::program_notice(media));
        let is_kept = |stream: &StreamInfo| {
            let sound = audios.iter().map(|audio| audio.stream.index);
            sound.chain(video.map(|video| video.stream.index)).any(|index| index == stream.index)
        };
        let gone = media.streams.iter().filter(|stream| wanted.contains(&stream.index));
        notices.extend(gone.filter(|it| !is_kept(it)).filter_map(|it| missing(probed, it)));
        let mut selection = Self {
            context,
            probed,
            container,
            section,
            video,
            audios,
            texts,
            cover,
            tracks,
            wanted,
            origin: Timestamp::ZERO,
            notices,
        };
        selection.set_origin();
        Ok(selection)
    }

    /// Makes the earliest kept instant 0 in the output. Negative priming counts as 0.
    fn set_origin(&mut self) {
        let first = |stream: &StreamInfo, section: Option<(Section, Kept)>| match section {
            Some((_, kept)) => Some(kept.first),
            None => stream.start,
        };
        let video = self.video.and_then(|source| first(source.stream, source.section));
        let audios = self.audios.iter().filter_map(|source| first(source.stream, source.section));
        // Where timestamps may have wrapped, negative ones are media and not priming.
        let may_be_negative = self.probed.media.may_jump();
        let bounded = |start: Timestamp| {
            if may_be_negative { start } else { start.max(Timestamp::ZERO) }
        };
        self.origin = audios.chain(video).map(bounded).min().unwrap_or(Timestamp::ZERO);
        let origin = self.origin;
        if let Some(video) = &mut self.video {
            video.origin = origin;
        }
        self.audios.iter_mut().for_each(|audio| audio.origin = origin);
        self.texts.iter_mut().chain(&mut self.cover).for_each(|other| other.origin = origin);
    }

    /// The first audio stream that is kept.
    pub(crate) fn audio(&self) -> Option<&Source<'a, AudioInfo>> {
        self.audios.first()
    }

    /// Where the longest kept stream ends, from the origin, in seconds.
    fn seconds(&self) -> Option<f64> {
        let end = |stream: &StreamInfo, section: Option<(Section, Kept)>| {
            if let Some((_, kept)) = section {
                return Some(kept.end.seconds());
            }
            let start = stream.start.map_or(0.0, Timestamp::seconds);
            Some(stream.duration?.seconds() + start)
        };
        let video = self.video.and_then(|source| end(source.stream, source.section));
        let audios = self.audios.iter().filter_map(|source| end(source.stream, source.section));
        let last = audios.chain(video).reduce(f64::max);
        let seconds = match last {
            Some(last) => Some(last - self.origin.seconds()),
            None => self.probed.media.duration.map(Timestamp::seconds),
        };
        seconds.filter(|seconds| *seconds > 0.0)
    }

    /// The plan that makes `tracks` into the output, with text and cover art beside them.
    pub(crate) fn plan(&self, strategy: Strategy, mut tracks: Vec<Track>, lenient: bool) -> Plan {
        let mut notices = self.notices.clone();
        if let Some(video) = &self.video {
            let tracks = tracks.iter_mut().filter(|track| track.kind == TrackKind::Video);
            notices.extend(tracks.filter_map(|track| {
                choose::settle_alpha(track, self.container, video.stream, video.info)
            }));
        }
        tracks.extend(self.texts.iter().map(|text| self.text(text)));
        tracks.extend(self.cover.as_ref().map(Source::kept_cover));
        let dropped = self.dropped(&tracks);
        let end = self.section.and(self.seconds()).map(|seconds| {
            let end = self.origin.seconds() + seconds;
            Timestamp::from_seconds(end, Rational::MICROSECONDS)
        });
        let chapters = container::chapters(&self.probed.media, self.origin, end);
        notices.extend(self.container.chapters_notice(&chapters));
        notices.extend(losses::notices(&tracks, self.container, self.context));
        let context = self.context;
        let moves_index = dropped.is_empty() && self.only_moves_index(&tracks);
        let output = container::output(self.container, self.probed, tracks, chapters, context);
        let output = Output { moves_index, ..output };
        let video = self.video.iter().map(|video| video.info);
        let flat = projection::notice(video, self.container, &output).filter(|_| !moves_index);
        Plan {
            strategy,
            dropped,
            notices: notices.into_iter().chain(flat).collect(),
            seconds: self.seconds(),
            lenient,
            ..Plan::new(context.plan_inputs(), [output])
        }
    }

    /// Whether the tracks are all those of a movie, unchanged, so that only its index is in the
    /// wrong place.
    fn only_moves_index(&self, tracks: &[Track]) -> bool {
        let media = &self.probed.media;
        let Some(movie) = &media.movie else { return false };
        let is_of_brand = match (self.container, movie.brand.as_deref()) {
            (Format::Mov, brand) => brand == Some("qt  "),
            (Format::Mp4, Some(brand)) => {
                ["isom", "iso2", "iso4", "iso5", "iso6", "mp41", "mp42", "avc1"].contains(&brand)
            }
            _ => false,
        };
        let is_kept = |track: &Track| {
            let stream = track.sources().next().and_then(|id| media.streams.get(id.stream));
            let tag = stream.and_then(|stream| stream.tag.as_deref());
            let is_whole = track.parts.iter().all(|part| part.select == Select::All);
            let is_tagged = track.tag.is_none() || track.tag.as_deref() == tag;
            track.action == Action::Copy && is_whole && is_tagged
        };
        let begins = media.start.is_some_and(|start| start == Timestamp::ZERO);
        let is_sound = !movie.fragmented && !movie.encrypted && movie.tables_inside;
        is_of_brand
            && is_sound
            && !movie.moov_first
            && begins
            && self.section.is_none()
            && movie.tracks.len() == tracks.len()
            && tracks.iter().all(is_kept)
    }

    /// The plan whose output is the input itself.
    pub(crate) fn pass_through(&self, because: Reason) -> Plan {
        let context = self.context;
        let output = container::bytes_of_input(self.container, context);
        Plan {
            strategy: Strategy::Passthrough,
            because: vec![because],
            notices: self.notices.clone(),
            seconds: self.seconds(),
            ..Plan::new(context.plan_inputs(), [output])
        }
    }

    /// A track of text, converted where the container has another form.
    fn text(&self, text: &Source<'_, ()>) -> Track {
        let wanted = self.container.text_codec().unwrap_or_default();
        let span = self.section.map(|section| Span {
            start: Timestamp::from_seconds(section.start, text.stream.time_base),
            end: section.end.map(|end| Timestamp::from_seconds(end, text.stream.time_base)),
            hold: None,
            lead_in: 0,
        });
        let codec = text.stream.codec.as_str();
        let (action, because) = if self.container.holds_text(codec) {
            let message = format!("{} holds {codec} as it is", self.container.name());
            (Action::Copy, Reason::new("CODEC_FITS", message))
        } else {
            let message = format!("{} holds text subtitles as {wanted}", self.container.name());
            (Action::Convert(wanted.to_owned()), Reason::new("TEXT_CONVERTED", message))
        };
        let track = text.track(TrackKind::Subtitle, text.copied(span), vec![because]);
        Track { action, ..track }
    }

    /// The streams that no track is made of.
    fn dropped(&self, tracks: &[Track]) -> Vec<Dropped> {
        let kept: Vec<StreamId> = tracks.iter().flat_map(Track::sources).collect();
        let streams = self.probed.media.streams.iter();
        streams
            .map(|stream| (stream, StreamId { input: 0, stream: stream.index }))
            .filter(|(_, id)| !kept.contains(id))
            .map(|(stream, id)| Dropped {
                input: id.input,
                stream: id.stream,
                kind: stream.kind.name().to_owned(),
                because: if self.section.is_some() && self.wanted.contains(&stream.index) {
                    missing(self.probed, stream).unwrap_or_else(|| {
                        Reason::new("OUTSIDE_SECTION", "nothing of it is in the section")
                    })
                } else {
                    let media = &self.probed.media;
                    let taken = choose::taken(&kept, id, media);
                    choose::why_dropped(media, stream, taken, self.container, self.tracks)
                },
            })
            .collect()
    }
}

/// A notice for a stream of a movie none of whose packets is there; `None` otherwise.
fn missing(probed: &Probed, stream: &StreamInfo) -> Option<Reason> {
    probed.media.movie.as_ref()?;
    let index = probed.index.as_ref()?.streams.get(stream.index)?;
    index.packets.is_empty().then(|| {
        let (kind, number) = (stream.kind.name(), stream.index);
        let message = match stream.promised_packets {
            Some(promised) => format!(
                "the sample table of {kind} stream {number} lists {promised} packets, none of \
                 which was found"
            ),
            None => format!("no packet of {kind} stream {number} was found"),
        };
        Reason::new("INPUT_SHORT", message)
    })
}

/// Makes sources of the streams of one input.
#[derive(Clone, Copy)]
pub(crate) struct Chooser<'a> {
    pub(crate) input: usize,
    pub(crate) probed: &'a Probed,
    pub(crate) section: Option<Section>,
}

impl<'a> Chooser<'a> {
    fn source<T>(self, stream: &'a StreamInfo, info: &'a T) -> Source<'a, T> {
        let Probed { location, media, index } = self.probed;
        Source {
            id: StreamId { input: self.input, stream: stream.index },
            location,
            media,
            stream,
            info,
            index: index.as_ref().and_then(|index| index.streams.get(stream.index)),
            origin: Timestamp::ZERO,
            section: None,
        }
    }

    /// A stream of pictures; `None` when none of it is in the section.
    pub(crate) fn pictures(
        self,
        stream: &'a StreamInfo,
        info: &'a VideoInfo,
    ) -> Option<Source<'a, VideoInfo>> {
        let source = self.source(stream, info);
        let (Some(section), Some(index)) = (self.section, source.index) else {
            return Some(source);
        };
        let kept = section.of_pictures(stream, index)?;
        Some(Source { section: Some((section, kept)), ..source })
    }

    /// A stream of sound; `None` when none of it is in the section.
    pub(crate) fn sound(
        self,
        stream: &'a StreamInfo,
        info: &'a AudioInfo,
    ) -> Option<Source<'a, AudioInfo>> {
        let source = self.source(stream, info);
        let (Some(section), Some(index)) = (self.section, source.index) else {
            return Some(source);
        };
        let rate = info.sample_rate.map_or(stream.time_base, Rational::of_rate);
        let kept = section.of_sound(stream, rate, index)?;
        Some(Source { section: Some((section, kept)), ..source })
    }

    /// Cover art that a container has a place for.
    pub(crate) fn cover(self, container: Format) -> Option<Source<'a, ()>> {
        let mut streams = self.probed.media.streams.iter();
        let is_cover = |one: &&StreamInfo| one.still && !one.preview;
        let cover = streams.find(|one| is_cover(one) && container.holds_cover(&one.codec));
        cover.map(|stream| self.other(stream))
    }

    fn other(self, stream: &'a StreamInfo) -> Source<'a, ()> {
        self.source(stream, &())
    }
}
