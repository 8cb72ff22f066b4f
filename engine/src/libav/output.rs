//! The muxer: writes packets into a container.

use std::{borrow::Cow, ffi::c_int, io, ptr, ptr::NonNull};

use ffmpeg_sys_next as ffi;

use avocet_model::{
    format::{codec_delay, seek::WriteSeek},
    media::{Chapter, Disposition, Hdr, Projection, Tags},
    progress::CancelToken,
    time::{Rational, TimeBase, Timestamp},
};

use super::{
    AvResult, OpenError, Options, Packet, Parameters, allocated, av_rational, c_string, check,
    frame::{AvLight, AvMastering},
    input::{Fault, interrupted_by, refuse_open},
    io::Io,
    opus, projection, rational, text,
};

/// An open output.
pub(crate) struct Muxer {
    context: NonNull<ffi::AVFormatContext>,
    io: Io,
    /// The token that libav's interrupt callback reads; boxed, so that its address does not change.
    cancel: Box<CancelToken>,
    special: Special,
    /// Whether skip-samples side data of a packet stated more than the decoder delay at the start.
    knows_delay: bool,
}

/// A container whose packets libavformat would write wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Special {
    /// Bare MP3, whose header states how many samples decoders discard.
    Mp3,
    /// Matroska and WebM.
    Matroska,
    /// An Ogg file of so many packets, up to the second one.
    Ogg(u8),
    None,
}

// SAFETY: a format context has no thread affinity, and one thread at a time uses it.
unsafe impl Send for Muxer {}

/// What the muxer must know about a stream before it writes the header.
pub(crate) struct TrackHeader<'a> {
    /// Codec parameters of the stream.
    pub(crate) parameters: &'a Parameters,
    /// Time base asked of the container, in seconds per tick; the muxer may choose another.
    pub(crate) time_base: TimeBase,
    /// Average frames per second, where known.
    pub(crate) frame_rate: Option<Rational>,
    /// The container's four-character code; `None` leaves it to the muxer.
    pub(crate) tag: Option<&'a str>,
    /// How players should treat the stream.
    pub(crate) disposition: Disposition,
    /// Whether it is an attached picture, such as cover art.
    pub(crate) cover: bool,
    /// Tags of the stream.
    pub(crate) tags: &'a Tags,
    /// Static HDR metadata: mastering display and content light level.
    pub(crate) hdr: &'a Hdr,
    /// Spherical mapping and stereoscopic packing to write. Side data that `parameters` holds for
    /// these is removed where they are `None` here.
    pub(crate) projection: &'a Projection,
}

/// Decoder delay of MP3, in samples.
const MP3_DECODER_DELAY: c_int = 528 + 1;

/// Whether the muxer of this name keeps extradata in its header (`AVFMT_GLOBALHEADER`); `None` when
/// this libav has no such muxer.
pub(crate) fn wants_global_header(muxer: &str) -> Option<bool> {
    let name = c_string(muxer);
    // SAFETY: the name is zero-terminated; the answer is null or static.
    let format = unsafe { ffi::av_guess_format(name.as_ptr(), ptr::null(), ptr::null()).as_ref() };
    format.map(|format| format.flags & ffi::AVFMT_GLOBALHEADER != 0)
}

impl Muxer {
    /// Creates the muxer that libav calls `name`, which writes to `writer`.
    pub(crate) fn create(
        name: &str,
        writer: Box<dyn WriteSeek>,
        cancel: &CancelToken,
    ) -> Result<Self, OpenError> {
        super::start();
        let cancel = Box::new(cancel.clone());
        let io = Io::writer(writer, (*cancel).clone())?;
        let mut context = ptr::null_mut();
        let special = match name {
            "mp3" => Special::Mp3,
            "matroska" | "webm" => Special::Matroska,
            "ogg" | "opus" => Special::Ogg(0),
            _ => Special::None,
        };
        let name = c_string(name);
        // SAFETY: the name is zero-terminated; null is caught.
        let code = unsafe {
            ffi::avformat_alloc_output_context2(
                &raw mut context,
                ptr::null(),
                name.as_ptr(),
                ptr::null(),
            )
        };
        let Some(context) = NonNull::new(context) else {
            let is_unknown = code == ffi::AVERROR(ffi::EINVAL);
            return Err(if is_unknown { OpenError::Absent } else { super::error(code).into() });
        };
        // SAFETY: the context is live and ours; the token, the I/O and the callbacks outlive it.
        unsafe {
            let fields = &mut *context.as_ptr();
            fields.pb = io.as_ptr();
            fields.flags |= ffi::AVFMT_FLAG_CUSTOM_IO;
            fields.io_open = Some(refuse_open);
            fields.interrupt_callback = interrupted_by(&cancel);
            // The pipeline sets all times. Shifting negative ones would move every stream by the
            // priming of one.
            fields.avoid_negative_ts = 0;
        }
        Ok(Self { context, io, cancel, special, knows_delay: false })
    }

    /// Sets the tags of the whole file.
    pub(crate) fn set_tags(&mut self, tags: &Tags) -> AvResult<()> {
        // SAFETY: the context is live, and its metadata is its own.
        unsafe { set_tags(&raw mut (*self.context.as_ptr()).metadata, tags) }
    }

    /// Adds a chapter; its times are on the time line of the output.
    pub(crate) fn add_chapter(&mut self, chapter: &Chapter) -> AvResult<()> {
        // SAFETY: the context is live and its header not yet written. libav frees the list and
        // what it points to with the context, all of it from its own allocator; the list grows by
        // one before the new chapter is put in, and the number only after it.
        unsafe {
            let context = &mut *self.context.as_ptr();
            let count = context.nb_chapters as usize;
            let size = size_of::<*mut ffi::AVChapter>();
            let list = ffi::av_realloc_array(context.chapters.cast(), count + 1, size);
            context.chapters = allocated(list.cast::<*mut ffi::AVChapter>())?.as_ptr();
            let new = allocated(ffi::av_mallocz(size_of::<ffi::AVChapter>()))?.cast();
            let fields: &mut ffi::AVChapter = &mut *new.as_ptr();
            context.chapters.add(count).write(fields);
            context.nb_chapters += 1;
            fields.id = i64::try_from(count).unwrap_or(0);
            fields.time_base = av_rational(Some(chapter.start.base));
            fields.start = chapter.start.ticks;
            fields.end = chapter.end.rescale(chapter.start.base).map_or(0, |end| end.ticks);
            set_tags(&raw mut fields.metadata, &chapter.tags)
        }
    }

    /// Adds a stream.
    pub(crate) fn add(&mut self, header: &TrackHeader<'_>) -> AvResult<()> {
        // SAFETY: the context is live and its header not yet written; the new stream belongs to it.
        unsafe {
            let stream =
                allocated(ffi::avformat_new_stream(self.context.as_ptr(), ptr::null()))?.as_ptr();
            let coding = (*stream).codecpar;
            check(ffi::avcodec_parameters_copy(coding, header.parameters.as_ptr()))?;
            opus::set_padding(coding);
            let mut tags = Cow::Borrowed(header.tags);
            if self.states_delay(&*coding) {
                (*coding).initial_padding = 0;
                let title = codec_delay::with_room(tags.get("title").map(String::as_str));
                tags.to_mut().insert("title".to_owned(), title);
            }
            // The tag of the source's container may mean nothing in this one.
            (*coding).codec_tag = header.tag.map_or(0, four_characters);
            (*stream).time_base = av_rational(Some(header.time_base));
            (*stream).avg_frame_rate =
                av_rational(header.frame_rate.or(header.parameters.frame_rate));
            (*stream).sample_aspect_ratio = (*coding).sample_aspect_ratio;
            (*stream).disposition = disposition(header);
            set_tags(&raw mut (*stream).metadata, &tags)?;
            for (kind, bytes) in &header.parameters.side_data {
                let place = new_side_data(stream, *kind, bytes.len())?;
                ptr::copy_nonoverlapping(bytes.as_ptr(), place.as_ptr(), bytes.len());
            }
            set_hdr(stream, header.hdr)?;
            projection::set(stream, header.projection)
        }
    }

    /// Writes the header; an option that the muxer does not know is an error.
    pub(crate) fn begin(&mut self, options: &[(String, String)]) -> Result<(), OpenError> {
        let mut options = Options::new(options)?;
        // SAFETY: the context is live, with its streams added.
        let code =
            unsafe { ffi::avformat_write_header(self.context.as_ptr(), options.as_mut_ptr()) };
        check(code)?;
        options.expect_all_read()
    }

    /// Time base of a track, in seconds per tick; final once the header is written.
    pub(crate) fn time_base(&self, track: usize) -> TimeBase {
        // SAFETY: the context is live, and has the streams that were added.
        unsafe {
            super::describe::streams(self.context.as_ptr())
                .nth(track)
                .and_then(|stream| rational((*stream).time_base))
                .unwrap_or(Rational::MICROSECONDS)
        }
    }

    /// The delay that must be added to the times of an Opus track in Matroska or WebM; `None` where
    /// this libavformat adds it itself.
    ///
    /// The time of a block includes the priming that the track's `CodecDelay` announces, and
    /// readers subtract it. Older releases of libavformat leave it out.
    pub(crate) fn missing_delay(&self, track: usize) -> Option<Timestamp> {
        // SAFETY: the context is live, and has the streams that were added.
        unsafe {
            let is_matroska = matches!(
                text((*(*self.context.as_ptr()).oformat).name).as_str(),
                "webm" | "matroska"
            );
            let stream = super::describe::streams(self.context.as_ptr()).nth(track)?;
            let coding = &*(*stream).codecpar;
            let is_opus = coding.codec_id == ffi::AVCodecID::AV_CODEC_ID_OPUS;
            if !is_matroska || !is_opus || coding.initial_padding <= 0 || opus::adds_delay() {
                return None;
            }
            // Opus counts its padding at 48 kHz, whatever the source had (RFC 7845, 4.2).
            let base = Rational::new(1_u32, 48_000_u32)?;
            Some(Timestamp::new(i64::from(coding.initial_padding), base))
        }
    }

    /// Whether the delay of a stream is stated in the finished file ([`codec_delay`]), and not by
    /// libavformat: that of audio in Matroska other than Opus, which older releases do not state.
    fn states_delay(&self, coding: &ffi::AVCodecParameters) -> bool {
        // SAFETY: the context is live.
        let name = unsafe { text((*(*self.context.as_ptr()).oformat).name) };
        name == "matroska"
            && coding.codec_type == ffi::AVMediaType::AVMEDIA_TYPE_AUDIO
            && coding.codec_id != ffi::AVCodecID::AV_CODEC_ID_OPUS
    }

    /// Whether decoding times must rise strictly.
    pub(crate) fn must_rise(&self) -> bool {
        // SAFETY: the context is live.
        unsafe { (*(*self.context.as_ptr()).oformat).flags & ffi::AVFMT_TS_NONSTRICT == 0 }
    }

    /// Seconds per sample of a track whose delay is stated in the finished file; `None` for others.
    pub(crate) fn delay_base(&self, track: usize) -> Option<TimeBase> {
        // SAFETY: the context is live, and has the streams that were added, each with parameters.
        unsafe {
            let stream = super::describe::streams(self.context.as_ptr()).nth(track)?;
            let coding = &*(*stream).codecpar;
            let rate = self.states_delay(coding).then_some(coding.sample_rate)?;
            Rational::new(1, rate)
        }
    }

    /// Writes a packet, whose times are in ticks of [`time_base`](Self::time_base) of its track.
    pub(crate) fn write(&mut self, mut packet: Packet, track: usize) -> Result<(), Fault> {
        packet.set_stream(track);
        self.knows_delay |=
            packet.skipped().is_some_and(|samples| samples > MP3_DECODER_DELAY.into());
        if self.special == Special::Mp3 && !self.knows_delay {
            // libavformat subtracts the decoder delay from the skip at the start without a check.
            // For a packet that has only end padding, the difference wraps to a huge delay.
            packet.drop_side_data();
        }
        if self.special == Special::Matroska && packet.size() > 0 {
            // libavformat would write the tracks anew, in too little room. What a demuxer repeats is
            // known already, and a change is not copied.
            packet.clear_new_extradata();
        }
        if let Special::Ogg(packets) = self.special {
            if packets == 1 {
                // End the first page here: libavformat misplaces the packets of a first page that is
                // also the last one, as it is in a short file.
                // SAFETY: the header is written; this muxer takes null as the request to flush.
                let code = unsafe { ffi::av_write_frame(self.context.as_ptr(), ptr::null_mut()) };
                check(code).map_err(|error| self.fault(error))?;
            }
            self.special = if packets == 0 { Special::Ogg(1) } else { Special::None };
        }
        // SAFETY: the header is written; libav takes over the data and leaves the packet empty.
        let code =
            unsafe { ffi::av_interleaved_write_frame(self.context.as_ptr(), packet.as_ptr()) };
        check(code).map(drop).map_err(|error| self.fault(error))
    }

    /// Writes the packets that libav still holds for interleaving, and the trailer.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        // SAFETY: the header is written, and the trailer is written once.
        let code = unsafe { ffi::av_write_trailer(self.context.as_ptr()) };
        // SAFETY: the I/O context is live.
        unsafe { ffi::avio_flush(self.io.as_ptr()) };
        // SAFETY: as above. libav does not look at the errors of its last writes itself.
        let late = unsafe { (*self.io.as_ptr()).error };
        check(code.min(late)).map(drop).map_err(|error| self.fault(error))
    }

    /// Takes the first error of the writer itself, if there was one.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.io.take_failure()
    }

    fn fault(&mut self, error: avocet_model::error::LibavError) -> Fault {
        Fault::new(error, &mut self.io, &self.cancel)
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        // SAFETY: the context is ours and is dropped once; its I/O is left to `Io`.
        unsafe { ffi::avformat_free_context(self.context.as_ptr()) };
    }
}

/// libav's disposition flags for a stream.
fn disposition(header: &TrackHeader<'_>) -> c_int {
    let said = header.disposition;
    [
        (said.default, ffi::AV_DISPOSITION_DEFAULT),
        (said.forced, ffi::AV_DISPOSITION_FORCED),
        (said.hearing_impaired, ffi::AV_DISPOSITION_HEARING_IMPAIRED),
        (said.visual_impaired, ffi::AV_DISPOSITION_VISUAL_IMPAIRED),
        (said.comment, ffi::AV_DISPOSITION_COMMENT),
        (said.original, ffi::AV_DISPOSITION_ORIGINAL),
        (said.dub, ffi::AV_DISPOSITION_DUB),
        (header.cover, ffi::AV_DISPOSITION_ATTACHED_PIC),
    ]
    .into_iter()
    .filter_map(|(holds, flag)| holds.then_some(flag))
    .fold(0, |all, flag| all | flag)
}

/// # Safety
/// `metadata` is a live dictionary of libav, or null.
unsafe fn set_tags(metadata: *mut *mut ffi::AVDictionary, tags: &Tags) -> AvResult<()> {
    for (key, value) in tags {
        let (key, value) = (c_string(key), c_string(value));
        // SAFETY: both strings are zero-terminated; the dictionary is promised by the caller.
        check(unsafe { ffi::av_dict_set(metadata, key.as_ptr(), value.as_ptr(), 0) })?;
    }
    Ok(())
}

fn four_characters(tag: &str) -> u32 {
    let mut bytes = [b' '; 4];
    bytes.iter_mut().zip(tag.bytes()).for_each(|(to, from)| *to = from);
    u32::from_le_bytes(bytes)
}

/// # Safety
/// `stream` belongs to a live context whose header is not yet written.
unsafe fn set_hdr(stream: *mut ffi::AVStream, hdr: &Hdr) -> AvResult<()> {
    use ffi::AVPacketSideDataType::{
        AV_PKT_DATA_CONTENT_LIGHT_LEVEL, AV_PKT_DATA_MASTERING_DISPLAY_METADATA,
    };
    let ratio = |part: u32, unit: c_int| ffi::AVRational {
        num: c_int::try_from(part).unwrap_or(c_int::MAX),
        den: unit,
    };
    let point = |(x, y): (u32, u32)| [ratio(x, 50_000), ratio(y, 50_000)];
    if let Some(mastering) = hdr.mastering {
        let data = AvMastering {
            primaries: mastering.primaries.map(point),
            white: point(mastering.white),
            min_luminance: ratio(mastering.min_luminance, 10_000),
            max_luminance: ratio(mastering.max_luminance, 10_000),
            has_primaries: 1,
            has_luminance: 1,
        };
        // SAFETY: as promised by the caller; the type holds this struct.
        unsafe { add_side_data(stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA, data)? };
    }
    if let Some(light) = hdr.light {
        let data =
            AvLight { max_content: light.max_content, max_frame_average: light.max_frame_average };
        // SAFETY: as promised by the caller; the type holds this struct.
        unsafe { add_side_data(stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL, data)? };
    }
    Ok(())
}

/// # Safety
/// `stream` belongs to a live context, and side data of type `kind` holds a `T`.
pub(super) unsafe fn add_side_data<T>(
    stream: *mut ffi::AVStream,
    kind: ffi::AVPacketSideDataType,
    value: T,
) -> AvResult<()> {
    // SAFETY: libav allocates as many bytes as are asked for, aligned for any struct of its own.
    unsafe { new_side_data(stream, kind, size_of::<T>())?.cast::<T>().write(value) };
    Ok(())
}

/// Allocates `size` bytes of side data for a stream, and returns where they are.
///
/// # Safety
/// `stream` belongs to a live context.
unsafe fn new_side_data(
    stream: *mut ffi::AVStream,
    kind: ffi::AVPacketSideDataType,
    size: usize,
) -> AvResult<NonNull<u8>> {
    // SAFETY: as promised by the caller; null is caught.
    unsafe {
        #[cfg(not(ffmpeg_6_1))]
        let data = ffi::av_stream_new_side_data(stream, kind, size);
        #[cfg(ffmpeg_6_1)]
        let data = {
            let coding = &mut *(*stream).codecpar;
            let all = &raw mut coding.coded_side_data;
            let count = &raw mut coding.nb_coded_side_data;
            let side = ffi::av_packet_side_data_new(all, count, kind, size, 0);
            if side.is_null() { ptr::null_mut() } else { (*side).data }
        };
        allocated(data)
    }
}
