//! Converts what libav tells of an input into the model: its streams, tags and sample tables.

use std::{
    ffi::{c_int, c_void},
    ptr,
};

use ffmpeg_sys_next as ffi;

use avocet_model::{
    format::movie::Ends,
    media::{
        AudioInfo, Chapter, Crop, Disposition, DolbyVision, Hdr, Kind, MediaInfo, Orientation,
        ProgramInfo, Scan, StreamInfo, SubtitleInfo, Tags, VideoInfo,
    },
    time::{Rational, Timestamp},
};

use super::{
    Table, describe_layout,
    formats::{color, describe_pixel_format, pixel_format, sample_format_name},
    frame, number_of, projection, rational, text, ticks,
};

/// The streams of a context.
///
/// # Safety
/// `context` points to an open format context, which outlives the iterator.
pub(super) unsafe fn streams(
    context: *const ffi::AVFormatContext,
) -> impl Iterator<Item = *mut ffi::AVStream> {
    // SAFETY: the context is open, and holds as many streams as it says.
    let (array, count) = unsafe { ((*context).streams, (*context).nb_streams) };
    // SAFETY: the index is below the number of streams.
    (0..count as usize).map(move |number| unsafe { *array.add(number) })
}

/// Describes an open input, with its streams, chapters and programs.
///
/// # Safety
/// `context` points to an open format context whose streams were looked at.
pub(super) unsafe fn media(context: *mut ffi::AVFormatContext, ends: &Ends) -> MediaInfo {
    // SAFETY: the context is open, which covers its format, streams, chapters and tags.
    unsafe {
        let fields = &*context;
        let mut streams: Vec<_> = streams(context).map(|one| stream(context, one, ends)).collect();
        let format = text((*fields.iformat).name);
        let mut tags = tags(fields.metadata);
        if format == "ogg" && tags.is_empty() {
            tags = first_tags(&mut streams);
        }
        // In these formats libav gives times before 0 to what comes before a clock wrap.
        let may_wrap = matches!(format.as_str(), "mpegts" | "mpeg");
        let start = streams
            .iter()
            .filter(|stream| !stream.still)
            .filter(|stream| matches!(stream.kind, Kind::Video(_) | Kind::Audio(_)))
            .filter_map(|stream| stream.start)
            .map(|start| if may_wrap { start } else { start.max(Timestamp::ZERO) })
            .min();
        let microseconds =
            |ticks: i64| (ticks > 0).then(|| Timestamp::new(ticks, Rational::MICROSECONDS));
        let chapters = (0..fields.nb_chapters as usize)
            .filter_map(|number| chapter(&**fields.chapters.add(number)))
            .collect();
        let programs = (0..fields.nb_programs as usize)
            .map(|number| program(&**fields.programs.add(number)))
            .collect();
        MediaInfo {
            format,
            size_bytes: u64::try_from(ffi::avio_size(fields.pb)).ok(),
            start,
            duration: ticks(fields.duration).and_then(microseconds),
            duration_is_estimate: number_of!((*context).duration_estimation_method)
                == ffi::AVDurationEstimationMethod::AVFMT_DURATION_FROM_BITRATE as c_int,
            bit_rate: u64::try_from(fields.bit_rate).ok().filter(|rate| *rate > 0),
            tags,
            chapters,
            streams,
            programs,
            is_webm: false,
            followed: false,
            missing_bytes: 0,
            movie: None,
            origin: None,
        }
    }
}

/// The tags of the first stream that has some, other than its language and its encoder: those of an Ogg
/// file stand there, and a file has no others. They are taken off an only stream.
fn first_tags(streams: &mut [StreamInfo]) -> Tags {
    let is_own =
        |name: &str| ["language", "encoder"].iter().any(|own| name.eq_ignore_ascii_case(own));
    let of_file = |stream: &StreamInfo| -> Tags {
        let tags = stream.tags.iter().filter(|(name, _)| !is_own(name));
        tags.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let found = streams.iter().map(of_file).find(|tags| !tags.is_empty()).unwrap_or_default();
    if let [only] = streams {
        only.tags.retain(|name, _| is_own(name));
    }
    found
}

/// # Safety
/// The chapter belongs to an open context.
unsafe fn chapter(chapter: &ffi::AVChapter) -> Option<Chapter> {
    let base = rational(chapter.time_base)?;
    // SAFETY: the tags belong to the chapter.
    let tags = unsafe { tags(chapter.metadata) };
    let at = |ticks| Timestamp::new(ticks, base);
    Some(Chapter { start: at(chapter.start), end: at(chapter.end), tags })
}

/// # Safety
/// The program belongs to an open context.
unsafe fn program(program: &ffi::AVProgram) -> ProgramInfo {
    // SAFETY: the tags belong to the program, which has as many numbers of streams as it says.
    unsafe {
        let numbers = (0..program.nb_stream_indexes as usize)
            .filter_map(|place| usize::try_from(*program.stream_index.add(place)).ok());
        ProgramInfo {
            number: program.program_num,
            name: tags(program.metadata).remove("service_name"),
            streams: numbers.collect(),
        }
    }
}

/// # Safety
/// `metadata` is null or a valid dictionary.
unsafe fn tags(metadata: *const ffi::AVDictionary) -> Tags {
    let mut tags = Tags::new();
    let mut entry = ptr::null();
    loop {
        // SAFETY: the dictionary is valid, and the entry is its own or null.
        unsafe {
            let any = ffi::AV_DICT_IGNORE_SUFFIX;
            entry = ffi::av_dict_get(metadata, c"".as_ptr(), entry, any);
            if entry.is_null() {
                return tags;
            }
            tags.insert(text((*entry).key), text((*entry).value));
        }
    }
}

/// # Safety
/// `stream` belongs to `context`, which is open.
unsafe fn stream(
    context: *mut ffi::AVFormatContext,
    stream: *mut ffi::AVStream,
    ends: &Ends,
) -> StreamInfo {
    // SAFETY: as promised by the caller; enums are read as numbers.
    unsafe {
        let fields = &*stream;
        let coding = fields.codecpar;
        let base = rational(fields.time_base).unwrap_or(Rational::MICROSECONDS);
        let at = |value: i64| ticks(value).map(|value| Timestamp::new(value, base));
        let disposition = |flag: c_int| fields.disposition & flag != 0;
        let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
        let (hidden_before, hidden_after) = hidden_packets(context, stream);
        let profile = ffi::avcodec_profile_name((*coding).codec_id, (*coding).profile);
        StreamInfo {
            index: usize::try_from(fields.index).unwrap_or(0),
            id: fields.id,
            codec: text(ffi::avcodec_get_name((*coding).codec_id)),
            profile: (!profile.is_null()).then(|| text(profile)),
            level: Some((*coding).level).filter(|level| *level > 0),
            tag: four_characters((*coding).codec_tag),
            time_base: base,
            start: at(fields.start_time),
            duration: duration(context, stream, ends)
                .and_then(at)
                .filter(|length| length.ticks > 0),
            promised_packets: promised_packets(context, stream),
            promised_bytes: promised_bytes(context, stream),
            hidden_before,
            hidden_after,
            bit_rate: positive((*coding).bit_rate),
            disposition: Disposition {
                default: disposition(ffi::AV_DISPOSITION_DEFAULT),
                forced: disposition(ffi::AV_DISPOSITION_FORCED),
                hearing_impaired: disposition(ffi::AV_DISPOSITION_HEARING_IMPAIRED),
                visual_impaired: disposition(ffi::AV_DISPOSITION_VISUAL_IMPAIRED),
                comment: disposition(ffi::AV_DISPOSITION_COMMENT),
                original: disposition(ffi::AV_DISPOSITION_ORIGINAL),
                dub: disposition(ffi::AV_DISPOSITION_DUB),
            },
            parameters_change: false,
            still: disposition(ffi::AV_DISPOSITION_ATTACHED_PIC)
                || disposition(ffi::AV_DISPOSITION_TIMED_THUMBNAILS),
            preview: false,
            tags: tags(fields.metadata),
            extradata: extradata(coding).to_vec(),
            kind: kind(context, stream),
        }
    }
}

/// The extradata of a stream; empty when there is none.
///
/// # Safety
/// `coding` points to valid codec parameters, which outlive the answer.
pub(super) unsafe fn extradata<'a>(coding: *const ffi::AVCodecParameters) -> &'a [u8] {
    // SAFETY: as promised by the caller; there are as many bytes as is said.
    unsafe {
        let (data, size) = ((*coding).extradata, (*coding).extradata_size);
        match usize::try_from(size) {
            Ok(size) if !data.is_null() => std::slice::from_raw_parts(data, size),
            _ => &[],
        }
    }
}

/// Number of packets that a complete sample table lists; `None` for fragments and other containers.
///
/// # Safety
/// `stream` belongs to `context`, which is open.
unsafe fn promised_packets(
    context: *mut ffi::AVFormatContext,
    stream: *mut ffi::AVStream,
) -> Option<u64> {
    // SAFETY: as promised by the caller.
    unsafe {
        let is_movie = text((*(*context).iformat).name).starts_with("mov,");
        let count = ffi::avformat_index_get_entries_count(stream);
        u64::try_from(count).ok().filter(|count| *count > 0 && is_movie && (*stream).nb_frames > 0)
    }
}

/// Size of all packets that a complete sample table lists, in bytes.
///
/// # Safety
/// `stream` belongs to `context`, which is open.
unsafe fn promised_bytes(
    context: *mut ffi::AVFormatContext,
    stream: *mut ffi::AVStream,
) -> Option<u64> {
    // SAFETY: as promised by the caller; the entries are as many as libav says.
    unsafe {
        let count = c_int::try_from(promised_packets(context, stream)?).ok()?;
        let size = |number| {
            let entry = ffi::avformat_index_get_entry(stream, number).as_ref();
            entry.and_then(|entry| u64::try_from(entry.size()).ok()).unwrap_or(0)
        };
        Some((0..count).map(size).sum())
    }
}

/// Number of packets that an edit list hides: those at the beginning, and those elsewhere.
///
/// # Safety
/// `stream` belongs to `context`, which is open.
unsafe fn hidden_packets(
    context: *mut ffi::AVFormatContext,
    stream: *mut ffi::AVStream,
) -> (u64, u64) {
    // SAFETY: as promised by the caller; the entries are as many as libav says.
    unsafe {
        let count = promised_packets(context, stream).and_then(|count| c_int::try_from(count).ok());
        let is_hidden = |number| {
            let entry = ffi::avformat_index_get_entry(stream, number);
            !entry.is_null() && (*entry).flags() & ffi::AVINDEX_DISCARD_FRAME != 0
        };
        let mut hidden = (0, 0);
        let mut begun = false;
        for number in 0..count.unwrap_or(0) {
            match (is_hidden(number), begun) {
                (false, _) => begun = true,
                (true, false) => hidden.0 += 1,
                (true, true) => hidden.1 += 1,
            }
        }
        hidden
    }
}

/// Whether libav overstates the duration of a stream.
///
/// Where an edit list begins with an empty edit and also hides the first packets, libav adds the
/// length of the empty edit and does not subtract that of the hidden packets.
///
/// # Safety
/// `stream` belongs to `context`, which is open.
pub(super) unsafe fn overstates(
    context: *mut ffi::AVFormatContext,
    stream: *mut ffi::AVStream,
) -> bool {
    // SAFETY: as promised by the caller.
    unsafe {
        ticks((*stream).start_time).is_some_and(|start| start > 0)
            && hidden_packets(context, stream).0 > 0
    }
}

/// Duration of a stream, in ticks; up to the end of its edit list where libav overstates it.
///
/// # Safety
/// `stream` belongs to `context`, which is open.
unsafe fn duration(
    context: *mut ffi::AVFormatContext,
    stream: *mut ffi::AVStream,
    ends: &Ends,
) -> Option<i64> {
    // SAFETY: as promised by the caller.
    unsafe {
        let stated = ticks((*stream).duration)?;
        if !overstates(context, stream) {
            return Some(stated);
        }
        let end = u32::try_from((*stream).id).ok().and_then(|id| ends.get(&id));
        let Some(end) = end else { return Some(stated) };
        let shown =
            end.rescale(rational((*stream).time_base)?)?.ticks - ticks((*stream).start_time)?;
        Some(if shown > 0 { stated.min(shown) } else { stated })
    }
}

/// Whether decoding times in the container's own index go back.
///
/// # Safety
/// `stream` belongs to an open context.
pub(super) unsafe fn goes_back(stream: *mut ffi::AVStream) -> bool {
    // SAFETY: as promised by the caller; the entries are as many as libav says.
    unsafe {
        let time = |number| {
            let entry = ffi::avformat_index_get_entry(stream, number).as_ref();
            entry.map_or(i64::MIN, |entry| entry.timestamp)
        };
        (1..ffi::avformat_index_get_entries_count(stream)).any(|it| time(it) < time(it - 1))
    }
}

/// The end of a stream by its complete sample table; `None` without one.
///
/// # Safety
/// `stream` belongs to `context`, which is open.
pub(super) unsafe fn table(
    context: *mut ffi::AVFormatContext,
    stream: *mut ffi::AVStream,
    ends: &Ends,
) -> Option<Table> {
    // SAFETY: as promised by the caller; the entry is one of as many as libav says.
    unsafe {
        let packets = promised_packets(context, stream)?;
        let (start, duration) = (ticks((*stream).start_time)?, duration(context, stream, ends)?);
        let reordered = u64::try_from((*(*stream).codecpar).video_delay).unwrap_or(0);
        let first = packets.saturating_sub(reordered + 1);
        let first = ffi::avformat_index_get_entry(stream, c_int::try_from(first).ok()?).as_ref()?;
        Some(Table { last_from: first.timestamp, end: start + duration })
    }
}

/// # Safety
/// `stream` belongs to `context`, which is open.
unsafe fn kind(context: *mut ffi::AVFormatContext, stream: *mut ffi::AVStream) -> Kind {
    use ffi::AVMediaType as Type;
    // SAFETY: as promised by the caller; enums are read as numbers.
    unsafe {
        let coding = (*stream).codecpar;
        let kind = number_of!((*coding).codec_type);
        if kind == Type::AVMEDIA_TYPE_VIDEO as c_int {
            Kind::Video(video(context, stream))
        } else if kind == Type::AVMEDIA_TYPE_AUDIO as c_int {
            Kind::Audio(AudioInfo {
                sample_rate: u32::try_from((*coding).sample_rate)
                    .ok()
                    .and_then(|r| r.try_into().ok()),
                channels: u32::try_from((*coding).ch_layout.nb_channels).unwrap_or(0),
                layout: describe_layout(&raw const (*coding).ch_layout),
                sample_format: sample_format_name((*coding).format),
            })
        } else if kind == Type::AVMEDIA_TYPE_SUBTITLE as c_int {
            let descriptor = ffi::avcodec_descriptor_get((*coding).codec_id).as_ref();
            let is_text =
                |found: &ffi::AVCodecDescriptor| found.props & ffi::AV_CODEC_PROP_TEXT_SUB != 0;
            Kind::Subtitle(SubtitleInfo { text: descriptor.is_some_and(is_text) })
        } else if kind == Type::AVMEDIA_TYPE_ATTACHMENT as c_int {
            Kind::Attachment
        } else {
            Kind::Data
        }
    }
}

/// # Safety
/// `stream` belongs to `context`, which is open, and is a video stream.
unsafe fn video(context: *mut ffi::AVFormatContext, stream: *mut ffi::AVStream) -> VideoInfo {
    // SAFETY: as promised by the caller; enums are read as numbers.
    unsafe {
        let coding = (*stream).codecpar;
        let average = rational((*stream).avg_frame_rate);
        let nominal = rational((*stream).r_frame_rate);
        let aspect = ffi::av_guess_sample_aspect_ratio(context, stream, ptr::null_mut());
        let field_order = number_of!((*coding).field_order);
        let is_order = |order: ffi::AVFieldOrder| field_order == order as c_int;
        let (color, reserved_color) = color(
            range_of(coding),
            number_of!((*coding).color_space),
            number_of!((*coding).color_primaries),
            number_of!((*coding).color_trc),
        );
        VideoInfo {
            width: u32::try_from((*coding).width).unwrap_or(0),
            height: u32::try_from((*coding).height).unwrap_or(0),
            crop: Crop::default(),
            pixel_format: pixel_format(format_of(stream)).map(describe_pixel_format),
            pixel_aspect: rational(aspect).unwrap_or(Rational::ONE),
            frame_rate: average_rate(average, nominal, (*stream).nb_frames),
            nominal_frame_rate: nominal,
            scan: match () {
                () if is_order(ffi::AVFieldOrder::AV_FIELD_PROGRESSIVE) => Scan::Progressive,
                () if is_order(ffi::AVFieldOrder::AV_FIELD_UNKNOWN) => Scan::Unknown,
                () => Scan::Interlaced,
            },
            // The first letter counts. For interleaved frames whose top field is first FFmpeg
            // writes TB.
            top_field_first: match () {
                () if is_order(ffi::AVFieldOrder::AV_FIELD_TT) => Some(true),
                () if is_order(ffi::AVFieldOrder::AV_FIELD_TB) => Some(true),
                () if is_order(ffi::AVFieldOrder::AV_FIELD_BB) => Some(false),
                () if is_order(ffi::AVFieldOrder::AV_FIELD_BT) => Some(false),
                () => None,
            },
            color,
            reserved_color,
            orientation: side_data(stream, ffi::AVPacketSideDataType::AV_PKT_DATA_DISPLAYMATRIX)
                .map_or(Orientation::Upright, |matrix| {
                    let matrix = &*matrix.cast::<[i32; 9]>();
                    Orientation::from_matrix([matrix[0], matrix[1], matrix[3], matrix[4]])
                }),
            orientation_in_pictures: false,
            hdr: hdr(stream),
            projection: projection::of(stream),
            dolby_vision: dolby_vision(stream),
        }
    }
}

/// libav's number of the color range. Gray H.264 and HEVC that state none are in limited range
/// (ITU-T H.264, E.2.1; H.265, E.3.1). libav leaves that unspecified, and swscale then takes gray
/// for full range.
///
/// # Safety
/// `coding` points to valid codec parameters.
unsafe fn range_of(coding: *const ffi::AVCodecParameters) -> c_int {
    // SAFETY: as promised by the caller; enums are read as numbers.
    unsafe {
        let range = number_of!((*coding).color_range);
        let id = number_of!((*coding).codec_id);
        let is_limited = id == ffi::AVCodecID::AV_CODEC_ID_H264 as c_int
            || id == ffi::AVCodecID::AV_CODEC_ID_HEVC as c_int;
        let is_gray = pixel_format((*coding).format)
            .is_some_and(|format| describe_pixel_format(format).name.starts_with("gray"));
        if range == ffi::AVColorRange::AVCOL_RANGE_UNSPECIFIED as c_int && is_limited && is_gray {
            return ffi::AVColorRange::AVCOL_RANGE_MPEG as c_int;
        }
        range
    }
}

/// The decoder of libvpx for a stream with an alpha channel, which Matroska keeps beside each
/// packet; libavcodec's own decoder ignores that. `None` where the stream has no alpha channel, or
/// this libav no such decoder.
///
/// # Safety
/// `stream` belongs to an open context.
pub(super) unsafe fn alpha_decoder(stream: *mut ffi::AVStream) -> Option<*const ffi::AVCodec> {
    // SAFETY: as promised by the caller; the names are zero-terminated.
    unsafe {
        let id = number_of!((*(*stream).codecpar).codec_id);
        let name = match () {
            () if id == ffi::AVCodecID::AV_CODEC_ID_VP8 as c_int => c"libvpx",
            () if id == ffi::AVCodecID::AV_CODEC_ID_VP9 as c_int => c"libvpx-vp9",
            () => return None,
        };
        let tag = ffi::av_dict_get((*stream).metadata, c"alpha_mode".as_ptr(), ptr::null(), 0);
        let decoder = ffi::avcodec_find_decoder_by_name(name.as_ptr());
        let has_alpha = !tag.is_null() && text((*tag).value) == "1";
        (has_alpha && !decoder.is_null()).then_some(decoder)
    }
}

/// libav's number of the pixel format that the decoder gives, alpha channel included.
///
/// # Safety
/// `stream` belongs to an open context.
pub(super) unsafe fn format_of(stream: *mut ffi::AVStream) -> c_int {
    // SAFETY: as promised by the caller.
    unsafe {
        let format = (*(*stream).codecpar).format;
        let is_plain = format == ffi::AVPixelFormat::AV_PIX_FMT_YUV420P as c_int;
        if is_plain && alpha_decoder(stream).is_some() {
            return ffi::AVPixelFormat::AV_PIX_FMT_YUVA420P as c_int;
        }
        format
    }
}

/// The average frame rate; `pictures` is the number of frames, where the container counts them.
/// Where a cut shortened the last frame, so that the duration is that of more than `pictures - 1`
/// and less than `pictures` frames of the nominal rate, it is the nominal one.
fn average_rate(
    average: Option<Rational>,
    nominal: Option<Rational>,
    pictures: i64,
) -> Option<Rational> {
    let (Some(average), Some(nominal)) = (average, nominal) else { return average.or(nominal) };
    let ticks = pictures as f64 * nominal.as_f64() / average.as_f64();
    let is_cut = ticks < pictures as f64 && ticks > (pictures - 1) as f64;
    Some(if is_cut { nominal } else { average })
}

/// # Safety
/// `stream` belongs to an open context.
unsafe fn hdr(stream: *mut ffi::AVStream) -> Hdr {
    use ffi::AVPacketSideDataType::{
        AV_PKT_DATA_CONTENT_LIGHT_LEVEL, AV_PKT_DATA_MASTERING_DISPLAY_METADATA,
    };
    // SAFETY: side data of these types holds the structs they are named for.
    unsafe {
        Hdr {
            mastering: side_data(stream, AV_PKT_DATA_MASTERING_DISPLAY_METADATA)
                .and_then(|data| frame::mastering(&*data.cast())),
            light: side_data(stream, AV_PKT_DATA_CONTENT_LIGHT_LEVEL)
                .map(|data| frame::light(&*data.cast())),
        }
    }
}

/// # Safety
/// `stream` belongs to an open context.
unsafe fn dolby_vision(stream: *mut ffi::AVStream) -> Option<DolbyVision> {
    // SAFETY: side data of this type holds `AVDOVIDecoderConfigurationRecord`, which the bindings
    // leave out: a byte for each field, the profile third, the compatibility eighth.
    let record = unsafe {
        let data = side_data(stream, ffi::AVPacketSideDataType::AV_PKT_DATA_DOVI_CONF)?;
        data.cast::<[u8; 8]>().read()
    };
    let [_, _, profile, _, _, _, _, compatibility] = record;
    Some(DolbyVision { profile, compatibility })
}

/// Side data of a whole stream.
///
/// # Safety
/// `stream` belongs to an open context.
pub(super) unsafe fn side_data(
    stream: *mut ffi::AVStream,
    kind: ffi::AVPacketSideDataType,
) -> Option<*const c_void> {
    // SAFETY: the stream is valid; what libav answers lives as long as it.
    unsafe {
        #[cfg(not(ffmpeg_6_1))]
        let data = ffi::av_stream_get_side_data(stream, kind, ptr::null_mut());
        #[cfg(ffmpeg_6_1)]
        let data = {
            let coding = &*(*stream).codecpar;
            let count = coding.nb_coded_side_data;
            let side = ffi::av_packet_side_data_get(coding.coded_side_data, count, kind);
            if side.is_null() { ptr::null_mut() } else { (*side).data }
        };
        (!data.is_null()).then_some(data.cast_const().cast())
    }
}

/// Side data of a whole stream that a copy of its codec parameters does not carry.
///
/// # Safety
/// `stream` belongs to an open context.
pub(super) unsafe fn all_side_data(
    stream: *mut ffi::AVStream,
) -> Vec<(ffi::AVPacketSideDataType, Vec<u8>)> {
    #[cfg(ffmpeg_6_1)]
    {
        // Since FFmpeg 6.1 the codec parameters carry it.
        let _ = stream;
        Vec::new()
    }
    // SAFETY: the stream has as many pieces as it says, each as long as it says.
    #[cfg(not(ffmpeg_6_1))]
    unsafe {
        let count = usize::try_from((*stream).nb_side_data).unwrap_or(0);
        (0..count)
            .map(|number| &*(*stream).side_data.add(number))
            .filter(|piece| !piece.data.is_null())
            .map(|piece| (piece.type_, std::slice::from_raw_parts(piece.data, piece.size).to_vec()))
            .collect()
    }
}

pub(super) fn four_characters(tag: u32) -> Option<String> {
    let bytes = tag.to_le_bytes();
    let readable = bytes.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    readable.then(|| bytes.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_picture_that_is_cut_short_changes_no_rate() {
        let rate = |num: u32, den: u32| Rational::new(num, den);
        let nominal = rate(25, 1);
        // 125 pictures in 4.98 s, and in 5 s.
        assert_eq!(average_rate(rate(6250, 249), nominal, 125), nominal);
        assert_eq!(average_rate(nominal, nominal, 125), nominal);
        // One picture less, or another rate.
        assert_eq!(average_rate(rate(125_000, 4960), nominal, 125), rate(125_000, 4960));
        assert_eq!(average_rate(rate(24, 1), nominal, 125), rate(24, 1));
        assert_eq!(average_rate(None, nominal, 0), nominal);
    }
}
