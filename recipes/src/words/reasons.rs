//! The codes of all reasons and warnings, and what each means: the one list behind the reference.

/// A heading, and the codes under it: each with what it means, in one sentence.
pub type ReasonGroup = (&'static str, &'static [(&'static str, &'static str)]);

/// Every code that a plan gives as a reason or a report as a warning, kept for good once released.
/// A code that stands in several places of a plan is listed once, where it is most frequent.
pub const REASONS: &[ReasonGroup] = &[
    ("Why a stream is copied, or the input kept as it is", COPIED),
    ("Why the container is rewritten", REMUXED),
    ("Why a stream is encoded", ENCODED),
    ("What an encode changes", CHANGED),
    ("Why a stream is dropped", DROPPED),
    ("What is copied to this machine, or from it", ELSEWHERE),
    ("What to know before the run", NOTICES),
    ("Warnings of a run", WARNINGS),
];

const COPIED: &[(&str, &str)] = &[
    ("BROWSER_SAFE", "Every browser plays the stream as it is coded."),
    ("CODEC_FITS", "The output's container holds the codec as it is."),
    ("COVER_KEPT", "The picture is cover art, and the container has a place for it."),
    ("ENCODE_IS_LARGER", "An encode came out larger than the stream itself."),
    ("INPUTS_AGREE", "All inputs are coded alike, so they can be joined without decoding."),
    (
        "INPUT_IS_SMALLEST",
        "Every other plan gave a larger result, so the input's bytes are the output.",
    ),
    ("PLAYS_AS_IT_IS", "The whole input plays in every browser, so its bytes are the output."),
    ("SMALL_ENOUGH", "The sound has no more bits than an encode would get."),
];

const REMUXED: &[(&str, &str)] = &[
    ("CONTAINER_NOT_BROWSER_SAFE", "Not every browser plays the input's container."),
    (
        "FASTSTART_MISSING",
        "`moov` is after `mdat` (not faststart): playback starts only after the whole file has loaded.",
    ),
    ("FRAGMENTED", "The input is fragmented: its index is spread over the file."),
    ("TABLES_BROKEN", "The sample tables point to data that is not in the file."),
    ("TAG_NOT_BROWSER_SAFE", "The H.264 stream is not tagged `avc1`."),
];

const ENCODED: &[(&str, &str)] = &[
    ("AAC_NOT_IN_ADTS", "ADTS can not hold the configuration of this AAC."),
    ("AUDIO_CODEC_NOT_BROWSER_SAFE", "Not every browser plays the codec of the sound."),
    ("AUDIO_PROFILE_NOT_BROWSER_SAFE", "Few browsers play the profile of the AAC stream."),
    (
        "BITRATE_TOO_HIGH",
        "The bit rate of the video is higher than its size and frame rate justify.",
    ),
    ("BITRATE_UNKNOWN", "The bit rate is not known, so it may be too high."),
    ("CODEC_ASKED_FOR", "A codec other than that of the source was asked for."),
    ("CODEC_NOT_IN_CONTAINER", "The codec is not copied into the output's container."),
    ("CROPPED_BY_CONTAINER", "The container crops the picture, which a copy would show whole."),
    ("EDITS_NOT_SIMPLE", "The edit list does more than most players follow."),
    ("ENCODE_SETTING_ASKED_FOR", "A setting was asked for that only an encode can follow."),
    ("HIDDEN_BY_EDIT_LIST", "An edit list hides a part that a copy would show."),
    ("INPUTS_DIFFER", "An input differs from the first, or lacks a stream that it has."),
    ("INTERLACED", "The video is interlaced, and browsers show both fields at once."),
    ("MADE_SMALLER", "The stream is encoded with fewer bits."),
    ("NOT_A_PURE_ROTATION", "The display matrix scales, mirrors or skews."),
    (
        "PARAMETERS_CHANGE",
        "Codec parameters change mid-stream, which a stream copy can not follow.",
    ),
    ("PIXELS_NOT_SQUARE", "Pixels are not square, and some browsers take them as square."),
    ("PRIMING_AT_JOIN", "Priming can not be hidden where inputs join."),
    ("PROXY", "A proxy is always encoded."),
    ("REENCODE_ASKED_FOR", "The document asks to encode every stream."),
    ("SEAM_NOT_COPYABLE", "The cut lies where a copy can not begin or end."),
    (
        "SOUND_HAS_GAPS",
        "Packets of the audio leave gaps or overlap, which the container can not store.",
    ),
    ("TIMES_MISSING", "The input's container does not store every presentation time."),
    (
        "TIMES_TOO_FINE",
        "Pictures are closer to each other than the time base of the container can tell.",
    ),
    ("TOO_MANY_CHANNELS", "Few browsers play sound of more than six channels."),
    (
        "TURNED_BY_CONTAINER",
        "The input's container turns the picture, and that of the output can not.",
    ),
    (
        "TURNED_BY_PICTURES",
        "The rotation is stored in the pictures only, and few players apply it.",
    ),
    ("VIDEO_CODEC_NOT_BROWSER_SAFE", "Not every browser plays the codec of the video."),
    ("VIDEO_NOT_8_BIT_420", "The H.264 stream is not 8-bit 4:2:0."),
    ("VIDEO_PROFILE_NOT_BROWSER_SAFE", "Few browsers play the profile of the H.264 stream."),
];

const CHANGED: &[(&str, &str)] = &[
    ("BEST_VIDEO", "The picture is taken from the best video stream."),
    ("BITRATE_CAPPED", "The bit rate asked for is lowered to the most that is reasonable."),
    ("CHANNELS_MIXED", "The channel layout is unknown, so all channels are mixed into one."),
    (
        "CODEC_NOT_KEPT",
        "The source's codec can not be encoded for this format, so its default codec is used.",
    ),
    (
        "ENCODER_REPLACED",
        "This build has another encoder than the usual one, whose settings differ.",
    ),
    ("ENDS_ENCODED", "Pictures are copied, and only those at the ends of the section encoded."),
    ("HDR_TO_SDR", "High dynamic range is mapped to standard."),
    ("LEVEL_TOO_HIGH", "Few players play a level over 5.2, so the picture is scaled down."),
    ("SCALED_DOWN", "The picture is fitted into a smaller size."),
    ("SIZE_ASKED_FOR", "The size was asked for."),
    (
        "SIZE_MADE_EVEN",
        "Encoders take even sides only, so an odd side is rounded to an even number.",
    ),
    ("TEXT_CONVERTED", "Text subtitles are converted to the codec that the container holds."),
];

const DROPPED: &[(&str, &str)] = &[
    ("ATTACHED_PICTURE", "It is cover art or a thumbnail, and the output has no place for it."),
    ("ATTACHMENT", "It is an attached file, not a timed stream."),
    ("DATA_STREAM", "It holds data that players do not show."),
    ("FORMAT_HAS_NO_AUDIO", "The format holds a picture only."),
    ("FORMAT_HAS_NO_SUBTITLES", "The format holds no subtitles."),
    ("FORMAT_HAS_NO_VIDEO", "The format holds audio only."),
    ("NOT_SELECTED", "Another stream of its kind is used; the message tells which, and why."),
    ("OTHER_PROGRAM", "It belongs to another program of the input than the one that is used."),
    ("OUTSIDE_SECTION", "Nothing of it is in the section that was asked for."),
    ("STREAM_UNKNOWN", "Its picture size, its channels or its sample rate are unknown."),
    ("SUBTITLES_NOT_ASKED_FOR", "Subtitles are kept only where `tracks` is `all`."),
    ("SUBTITLE_BITMAP", "Its subtitles are bitmaps, which can not be converted to text."),
];

const ELSEWHERE: &[(&str, &str)] = &[
    ("INPUT_READ_WHOLE", "The container does not list its packets, so all of them were read."),
    ("INPUT_STAGED", "The input is copied to this machine before the run."),
    ("ORIGIN_WITHOUT_RANGES", "The server has no byte ranges, so the input was copied as a whole."),
    ("OUTPUT_SPOOLED", "Outputs are written to this machine, read back, and then sent."),
];

const NOTICES: &[(&str, &str)] = &[
    (
        "ALPHA_DROPPED",
        "Pictures may have an alpha channel, which the format or codec can not hold.",
    ),
    ("CHAPTERS_LEFT_OUT", "The input has chapters, and they are not written into the format."),
    (
        "COLOR_TAGS_RESERVED",
        "Color tags of the video are reserved values and are treated as unspecified.",
    ),
    ("COVER_SHOWN", "The input has no video, so its cover art is used."),
    ("CUT_CLIPPED", "The media ends before the end of the section that was asked for."),
    (
        "CUT_ROUNDED_TO_PACKET",
        "The format can not store a part of a packet, so the cut is rounded to whole packets.",
    ),
    (
        "DEPTH_LOWERED",
        "Samples of lossless audio have more bits than the format or codec of the result stores.",
    ),
    ("FILE_FOLLOWS", "Another file follows the first one in the input, and is not read."),
    (
        "ORIENTATION_LEFT_OUT",
        "The display matrix is neither a turn nor a mirror image, and the result lacks it.",
    ),
    ("PROGRAM_CHOSEN", "The input has several programs, and the streams of one are used."),
    (
        "PROJECTION_LEFT_OUT",
        "The result lacks the spherical or stereoscopic metadata of the input.",
    ),
    ("TRACKS_NOT_JOINED", "Only the best streams of the inputs are joined."),
];

const WARNINGS: &[(&str, &str)] = &[
    ("BEFORE_KEYFRAME", "Packets before the first keyframe were left out."),
    ("CLOCK_JUMPS_CLOSED", "Timestamp discontinuities of the input were closed."),
    ("DECODER_REPORTED", "The decoder reported errors; pictures or sound may be damaged."),
    ("DECODE_ERRORS", "Some packets could not be decoded."),
    ("DURATION_DECLARED_WRONG", "The container declares another duration than the media has."),
    ("FRAMES_CONCEALED", "Some frames are damaged and partly concealed by the decoder."),
    (
        "FRAMES_INDISTINCT",
        "Frames were left out, since the output's time base can not tell them from those before \
         them.",
    ),
    (
        "INPUT_SHORT",
        "The input has less than its container declares; the message tells how much is lost.",
    ),
    ("LARGER_THAN_INPUT", "The result is larger than the input."),
    ("PACKETS_TORN", "The input ends within a packet, or before packets that it lists."),
    (
        "PICTURE_DAMAGED",
        "A picture is damaged, from whichever random access point it is decoded; the message tells \
         when it is shown.",
    ),
    ("PROGRAM_DIFFERS", "The ffmpeg program is of another release than the linked libraries."),
    ("READ_ERROR", "The input could not be read to its end."),
    (
        "SANDBOX_INCOMPLETE",
        "This kernel can not enforce a part of the sandbox that the ffmpeg program runs in.",
    ),
    ("SEEK_PAST_END", "The time asked for is past the end, so the last frame was taken."),
    (
        "STREAM_GOES_ON",
        "The input continues in another stream, which is left out; the message tells the seconds \
         lost.",
    ),
    ("TIMES_MOVED", "Frames that would share a tick of the container were moved by one tick."),
];
