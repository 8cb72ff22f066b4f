//! Codec parameters of a stream, and what else a decoder must know of it.

use std::{ffi::c_int, ptr::NonNull};

use ffmpeg_sys_next as ffi;

use avocet_model::{
    format::nal::avc::Head,
    time::{Rational, TimeBase},
};

use crate::libav::{AvResult, allocated, check, describe, limits::Limits, text};

/// The end of a stream, by its complete sample table and its edit list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    /// DTS, in ticks, of the first of the last packets; their number is the reordering delay plus
    /// one.
    pub(crate) last_from: i64,
    /// Presentation time at which the stream ends, in ticks.
    pub(crate) end: i64,
}

/// Codec parameters of a stream: a copy that outlives its demuxer.
#[derive(Debug)]
pub(crate) struct Parameters {
    coding: NonNull<ffi::AVCodecParameters>,
    /// Seconds per tick of the stream's packets.
    pub(crate) time_base: TimeBase,
    /// Start time of the stream, in ticks, where libav states it.
    pub(crate) start: Option<i64>,
    /// Whether decoding times in its sample table go back, as where an edit list shows pieces of
    /// the media in another order.
    pub(crate) goes_back: bool,
    /// Average frames per second, where the container tells.
    pub(crate) frame_rate: Option<Rational>,
    /// The end of the stream, where the container has a complete sample table.
    pub(crate) table: Option<Table>,
    /// Whether the container states presentation times (PTS), and not only decoding times (DTS).
    pub(crate) states_presentation: bool,
    /// What a decoder that begins in the middle of the stream must know from its first packet.
    pub(crate) head: Option<Head>,
    /// The decoder, where it is not libav's default for the codec; static.
    pub(in crate::libav) decoder: Option<*const ffi::AVCodec>,
    /// Limits on picture size and duration.
    pub(in crate::libav) limits: Limits,
    /// Side data of the stream, such as its display matrix, that are not part of `coding`.
    pub(in crate::libav) side_data: Vec<(ffi::AVPacketSideDataType, Vec<u8>)>,
}

// SAFETY: codec parameters are plain memory without thread affinity, and decoders are static.
unsafe impl Send for Parameters {}

impl Parameters {
    /// # Safety
    /// `source` points to valid codec parameters.
    pub(in crate::libav) unsafe fn copy(
        source: *const ffi::AVCodecParameters,
        time_base: Option<TimeBase>,
    ) -> AvResult<Self> {
        // SAFETY: allocates only; null is caught.
        let coding = allocated(unsafe { ffi::avcodec_parameters_alloc() })?;
        let time_base = time_base.unwrap_or(TimeBase::MICROSECONDS);
        let copy = Self {
            coding,
            time_base,
            start: None,
            goes_back: false,
            frame_rate: None,
            table: None,
            states_presentation: true,
            head: None,
            decoder: None,
            limits: Limits::NONE,
            side_data: Vec::new(),
        };
        // SAFETY: both are valid; ours is freed by `drop` when this fails.
        check(unsafe { ffi::avcodec_parameters_copy(copy.as_ptr(), source) })?;
        Ok(copy)
    }

    /// Audio packets per second, where the codec has a fixed frame size.
    pub(crate) fn packets_per_second(&self) -> Option<f64> {
        // SAFETY: the parameters are live.
        let (rate, samples) =
            unsafe { ((*self.as_ptr()).sample_rate, (*self.as_ptr()).frame_size) };
        (rate > 0 && samples > 0).then(|| f64::from(rate) / f64::from(samples))
    }

    /// Whether pictures are reordered: decoded in another order than they are presented.
    pub(crate) fn is_reordered(&self) -> bool {
        // SAFETY: the parameters are live.
        unsafe { (*self.as_ptr()).video_delay > 0 }
    }

    /// The extradata of the codec, such as parameter sets; empty when there is none.
    pub(crate) fn extradata(&self) -> &[u8] {
        // SAFETY: the parameters are live, and hold as many bytes as they say.
        unsafe { describe::extradata(self.as_ptr()) }
    }

    /// Replaces the extradata of the codec, such as parameter sets.
    pub(crate) fn set_extradata(&mut self, data: &[u8]) -> AvResult<()> {
        let size = c_int::try_from(data.len()).unwrap_or(c_int::MAX);
        let padding = usize::try_from(ffi::AV_INPUT_BUFFER_PADDING_SIZE).unwrap_or(0);
        // SAFETY: the parameters are live and own their data, which is freed before the new one,
        // padded as libav asks, takes its place.
        unsafe {
            let fields = &mut *self.as_ptr();
            let place = allocated(ffi::av_mallocz(data.len() + padding))?.cast::<u8>();
            data.as_ptr().copy_to_nonoverlapping(place.as_ptr(), data.len());
            ffi::av_freep((&raw mut fields.extradata).cast());
            fields.extradata = place.as_ptr();
            fields.extradata_size = size;
        }
        Ok(())
    }

    /// Whether nothing can be decoded before the first keyframe. In other codecs intra refresh or
    /// an open GOP may begin the stream.
    pub(crate) fn needs_keyframe(&self) -> bool {
        matches!(self.codec().as_str(), "hevc" | "vp8" | "vp9" | "av1")
    }

    /// libav's name of the codec.
    pub(crate) fn codec(&self) -> String {
        // SAFETY: the parameters are live; the name is static.
        unsafe { text(ffi::avcodec_get_name((*self.as_ptr()).codec_id)) }
    }

    /// The name of the codec; where libav has none for it, the container's code, as in `dav1`.
    pub(crate) fn codec_or_tag(&self) -> String {
        // SAFETY: the parameters are live.
        let tag = describe::four_characters(unsafe { (*self.as_ptr()).codec_tag });
        let codec = self.codec();
        if codec == "none" { tag.unwrap_or(codec) } else { codec }
    }

    pub(in crate::libav) fn as_ptr(&self) -> *mut ffi::AVCodecParameters {
        self.coding.as_ptr()
    }
}

impl Drop for Parameters {
    fn drop(&mut self) {
        let mut pointer = self.coding.as_ptr();
        // SAFETY: the parameters are ours and are dropped once.
        unsafe { ffi::avcodec_parameters_free(&raw mut pointer) };
    }
}
