//! The options of the `ffmpeg` program that arguments may hold, in one table, from which the
//! reference is printed as well. Options that are not in it are refused.

use super::{
    keys::{AOM_KEYS, SVT_AV1_KEYS, X264_KEYS, X265_KEYS},
    value::Kind::{
        self, BitstreamFilters, Codec, Flag, Format, Graph, Input, Keys, Map, Name, Number,
        Specification, Text, Time, Words,
    },
};

/// Which files an option may stand before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// It concerns the whole run, and may stand anywhere before the last output.
    Global,
    /// Before an input.
    Input,
    /// Before an output.
    Output,
    /// Before either.
    Either,
}

impl Scope {
    /// The word in the reference.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Input => "input",
            Self::Output => "output",
            Self::Either => "input, output",
        }
    }
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct CustomOption {
    /// Its name without the dash; a stream specifier may follow behind a colon.
    pub name: &'static str,
    /// Which files it may stand before.
    pub scope: Scope,
    /// What its value may be.
    pub(crate) kind: Kind,
}

impl CustomOption {
    /// What its value may be, in words; `None` for an option without a value.
    pub fn value(&self) -> Option<String> {
        self.kind.describe()
    }

    /// Whether a stream specifier may follow its name.
    pub(crate) fn is_of_streams(&self) -> bool {
        let is_of_file = matches!(self.kind, Flag | Input | Format | Map);
        self.scope != Scope::Global && !is_of_file
    }
}

const fn global(name: &'static str, kind: Kind) -> CustomOption {
    CustomOption { name, scope: Scope::Global, kind }
}

const fn input(name: &'static str, kind: Kind) -> CustomOption {
    CustomOption { name, scope: Scope::Input, kind }
}

const fn output(name: &'static str, kind: Kind) -> CustomOption {
    CustomOption { name, scope: Scope::Output, kind }
}

const fn either(name: &'static str, kind: Kind) -> CustomOption {
    CustomOption { name, scope: Scope::Either, kind }
}

/// A heading of the reference, and the options under it.
pub type OptionGroup = (&'static str, &'static [CustomOption]);

/// Every option that is accepted.
pub const OPTIONS: &[OptionGroup] = &[
    ("Files and the run", FILES),
    ("Which streams", STREAMS),
    ("Time", TIME),
    ("Filters", FILTERS),
    ("Codecs", CODECS),
    ("Rate and quality", QUALITY),
    ("Pictures", PICTURES),
    ("Sound", SOUND),
    ("Containers", CONTAINERS),
];

const FILES: &[CustomOption] = &[
    input("i", Input),
    either("f", Format),
    global("y", Flag),
    global("n", Flag),
    global("nostdin", Flag),
    global("hide_banner", Flag),
    global("stats", Flag),
    global("nostats", Flag),
    global("loglevel", Words),
    global("v", Words),
    global("xerror", Flag),
    global("filter_threads", Number),
    global("filter_complex_threads", Number),
    global("copyts", Flag),
    global("start_at_zero", Flag),
    global("max_error_rate", Number),
    either("threads", Number),
    either("thread_queue_size", Number),
    either("fflags", Words),
    either("flags", Words),
    either("flags2", Words),
    either("err_detect", Words),
    either("bitexact", Flag),
    either("thread_type", Words),
    either("max_delay", Number),
    input("ignore_chapters", Number),
    input("find_stream_info", Flag),
    input("start_number", Number),
    input("use_wallclock_as_timestamps", Number),
    input("fix_sub_duration", Flag),
    either("strict", Words),
    input("probesize", Number),
    input("analyzeduration", Number),
    input("stream_loop", Number),
    input("ignore_editlist", Number),
    input("discard", Words),
    input("skip_frame", Words),
    input("sub_charenc", Name),
];

const STREAMS: &[CustomOption] = &[
    output("map", Map),
    output("map_metadata", Specification),
    output("map_chapters", Specification),
    output("metadata", Text),
    output("disposition", Words),
    output("program", Text),
    either("vn", Flag),
    either("an", Flag),
    either("sn", Flag),
    either("dn", Flag),
    output("ignore_unknown", Flag),
    output("copy_unknown", Flag),
    output("tag", Name),
    output("vtag", Name),
    output("atag", Name),
    output("timecode", Time),
];

const TIME: &[CustomOption] = &[
    either("ss", Time),
    either("t", Time),
    either("to", Time),
    input("sseof", Time),
    input("itsoffset", Time),
    input("itsscale", Number),
    input("accurate_seek", Flag),
    input("noaccurate_seek", Flag),
    input("seek_timestamp", Number),
    output("timestamp", Time),
    output("output_ts_offset", Time),
    input("isync", Number),
    either("r", Number),
    output("fpsmax", Number),
    output("fps_mode", Words),
    global("vsync", Words),
    output("async", Number),
    output("frames", Number),
    output("vframes", Number),
    output("aframes", Number),
    output("shortest", Flag),
    output("enc_time_base", Number),
    output("video_track_timescale", Number),
    output("avoid_negative_ts", Words),
    output("copytb", Number),
    output("muxdelay", Number),
    output("muxpreload", Number),
    output("max_interleave_delta", Number),
    output("max_muxing_queue_size", Number),
];

const FILTERS: &[CustomOption] = &[
    output("vf", Graph),
    output("af", Graph),
    output("filter", Graph),
    global("filter_complex", Graph),
    global("lavfi", Graph),
    output("sws_flags", Words),
    output("swr_flags", Words),
    output("noautoscale", Flag),
    input("noautorotate", Flag),
    output("bsf", BitstreamFilters),
];

const CODECS: &[CustomOption] = &[
    either("c", Codec),
    either("codec", Codec),
    either("vcodec", Codec),
    either("acodec", Codec),
    either("scodec", Codec),
    output("x264-params", Keys(X264_KEYS)),
    output("x264opts", Keys(X264_KEYS)),
    output("x265-params", Keys(X265_KEYS)),
    output("svtav1-params", Keys(SVT_AV1_KEYS)),
    output("aom-params", Keys(AOM_KEYS)),
    output("preset", Name),
    output("tune", Words),
    output("profile", Name),
    output("level", Number),
    output("tier", Name),
    output("pass", Number),
    output("passlogfile", Name),
];

const QUALITY: &[CustomOption] = &[
    output("b", Number),
    output("minrate", Number),
    output("maxrate", Number),
    output("bufsize", Number),
    output("rc_init_occupancy", Number),
    output("crf", Number),
    output("crf_max", Number),
    output("cq", Number),
    output("qp", Number),
    output("q", Number),
    output("qscale", Number),
    output("qmin", Number),
    output("qmax", Number),
    output("qdiff", Number),
    output("qcomp", Number),
    output("i_qfactor", Number),
    output("b_qfactor", Number),
    output("global_quality", Number),
    output("qblur", Number),
    output("bits_per_mb", Number),
    output("cplxblur", Number),
    output("weightp", Number),
    output("weightb", Number),
    output("mixed-refs", Number),
    output("8x8dct", Number),
    output("fast-pskip", Number),
    output("direct-pred", Words),
    output("deblock", Number),
    output("aud", Number),
    output("bluray-compat", Number),
    output("sharpness", Number),
    output("noise-sensitivity", Number),
    output("still-picture", Number),
    output("error-resilient", Words),
    output("tune-content", Words),
    output("motion_est", Words),
    output("me_method", Words),
    output("compression_level", Number),
    output("lossless", Number),
    output("quality", Words),
    output("deadline", Words),
    output("speed", Number),
    output("cpu-used", Number),
    output("usage", Words),
    output("row-mt", Number),
    output("tile-columns", Number),
    output("tile-rows", Number),
    output("tiles", Specification),
    output("frame-parallel", Number),
    output("lag-in-frames", Number),
    output("auto-alt-ref", Number),
    output("arnr-maxframes", Number),
    output("arnr-strength", Number),
    output("aq-mode", Words),
    output("aq-strength", Number),
    output("psy", Number),
    output("psy-rd", Number),
    output("rc-lookahead", Number),
    output("nal-hrd", Words),
    output("mbtree", Number),
    output("trellis", Number),
    output("subq", Number),
    output("me_range", Number),
    output("motion-est", Words),
    output("mbd", Words),
    output("cmp", Words),
    output("subcmp", Words),
    output("undershoot-pct", Number),
    output("overshoot-pct", Number),
    output("static-thresh", Number),
    output("max-intra-rate", Number),
    output("enable-cdef", Number),
    output("enable-restoration", Number),
    output("denoise-noise-level", Number),
    output("fs", Number),
];

const PICTURES: &[CustomOption] = &[
    either("s", Specification),
    either("pix_fmt", Name),
    output("aspect", Number),
    output("g", Number),
    output("keyint_min", Number),
    output("force_key_frames", Text),
    output("forced-idr", Number),
    output("intra-refresh", Number),
    output("bf", Number),
    output("b_strategy", Number),
    output("b-pyramid", Words),
    output("refs", Number),
    output("sc_threshold", Number),
    output("coder", Words),
    output("slices", Number),
    output("field_order", Words),
    output("top", Number),
    either("color_range", Words),
    either("color_primaries", Words),
    either("color_trc", Words),
    either("colorspace", Words),
    output("chroma_sample_location", Words),
    output("pred", Words),
    output("vendor", Name),
    output("mpv_flags", Words),
    input("framerate", Number),
    input("video_size", Specification),
    input("pixel_format", Name),
];

const SOUND: &[CustomOption] = &[
    either("ar", Number),
    either("ac", Number),
    either("channel_layout", Words),
    either("ch_layout", Words),
    either("sample_fmt", Name),
    either("sample_rate", Number),
    output("vol", Number),
    output("ab", Number),
    output("aq", Number),
    output("dialnorm", Number),
    output("dtx", Number),
    output("cutoff", Number),
    output("application", Words),
    output("vbr", Words),
    output("frame_duration", Number),
    output("packet_loss", Number),
    output("fec", Number),
    output("mapping_family", Number),
    output("abr", Number),
    output("joint_stereo", Number),
    output("reservoir", Number),
    output("aac_coder", Words),
    output("aac_pns", Words),
    output("aac_ms", Words),
    output("aac_is", Words),
    output("aac_tns", Words),
    output("lpc_type", Words),
];

const CONTAINERS: &[CustomOption] = &[
    output("movflags", Words),
    output("brand", Name),
    output("use_editlist", Number),
    output("write_tmcd", Number),
    output("movie_timescale", Number),
    output("empty_hdlr_name", Number),
    output("frag_duration", Number),
    output("min_frag_duration", Number),
    output("frag_size", Number),
    output("moov_size", Number),
    either("loop", Number),
    output("final_delay", Number),
    output("plays", Number),
    output("update", Number),
    output("gifflags", Words),
    output("id3v2_version", Number),
    output("write_id3v1", Number),
    output("write_xing", Number),
    output("write_bext", Number),
    output("rf64", Words),
    output("reserve_index_space", Number),
    output("cluster_size_limit", Number),
    output("cluster_time_limit", Number),
    output("cues_to_front", Number),
    output("dash", Number),
    output("live", Number),
    output("flvflags", Words),
    output("mpegts_flags", Words),
    output("mpegts_service_id", Number),
    output("mpegts_start_pid", Number),
    output("mpegts_copyts", Number),
    output("pcr_period", Number),
    output("pat_period", Number),
    output("muxrate", Number),
    output("page_duration", Number),
    output("oggpagesize", Number),
    output("serial_offset", Number),
    output("metadata_header_padding", Number),
    output("write_btrt", Number),
    output("write_id3v2", Number),
    output("write_apetag", Number),
    output("flush_packets", Number),
    output("streamid", Specification),
];

/// The option with this name, without the dash.
pub(crate) fn find(name: &str) -> Option<&'static CustomOption> {
    all().find(|option| option.name == name)
}

/// Every option.
pub(crate) fn all() -> impl Iterator<Item = &'static CustomOption> {
    OPTIONS.iter().flat_map(|(_, options)| *options)
}
