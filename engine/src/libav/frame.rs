//! Decoded frames of video and audio.

use std::{
    ffi::c_int,
    ptr::{self, NonNull},
    slice,
};

use ffmpeg_sys_next as ffi;

use avocet_model::{
    media::{Hdr, LightLevel, MasteringDisplay},
    time::Rational,
};

use super::{
    AvResult, allocated, check, describe_layout, length, matrix_of, number_of, rational, ticks,
};

/// A decoded frame.
#[derive(Debug)]
pub(crate) struct Frame(NonNull<ffi::AVFrame>);

// SAFETY: an `AVFrame` is plain memory with atomically counted buffers; it has no thread affinity.
unsafe impl Send for Frame {}

/// Metadata key of a frame that is only there for filters to look at, and is not wanted itself.
const NEIGHBOR: &std::ffi::CStr = c"avocet.neighbor";

impl Frame {
    /// An empty frame.
    pub(crate) fn new() -> AvResult<Self> {
        // SAFETY: allocates only; null is caught.
        allocated(unsafe { ffi::av_frame_alloc() }).map(Self)
    }

    /// A second reference to the same picture or sound.
    pub(crate) fn share(&self) -> AvResult<Self> {
        // SAFETY: the frame is live, and libav only reads it.
        allocated(unsafe { ffi::av_frame_clone(self.as_ptr()) }).map(Self)
    }

    pub(super) fn as_ptr(&self) -> *mut ffi::AVFrame {
        self.0.as_ptr()
    }

    /// Presentation time (PTS), in ticks: the decoder's best-effort timestamp, or else the `pts`
    /// field.
    pub(crate) fn pts(&self) -> Option<i64> {
        // SAFETY: the frame is live.
        let (pts, guess) =
            unsafe { ((*self.as_ptr()).pts, (*self.as_ptr()).best_effort_timestamp) };
        ticks(guess).or(ticks(pts))
    }

    /// The `pts` field alone, in ticks, as filters and encoders read it.
    pub(crate) fn exact_pts(&self) -> Option<i64> {
        // SAFETY: the frame is live.
        ticks(unsafe { (*self.as_ptr()).pts })
    }

    /// Sets the presentation time (PTS), in ticks.
    pub(crate) fn set_pts(&mut self, pts: i64) {
        // SAFETY: the frame is live and ours.
        unsafe {
            (*self.as_ptr()).pts = pts;
            (*self.as_ptr()).best_effort_timestamp = pts;
        }
    }

    /// Duration, in ticks; 0 when it is not known.
    pub(crate) fn duration(&self) -> i64 {
        // SAFETY: the frame is live.
        unsafe {
            #[cfg(ffmpeg_6_0)]
            return length((*self.as_ptr()).duration);
            #[cfg(not(ffmpeg_6_0))]
            return length((*self.as_ptr()).pkt_duration);
        }
    }

    /// Sets the duration, in ticks.
    pub(crate) fn set_duration(&mut self, duration: i64) {
        // SAFETY: the frame is live and ours.
        unsafe {
            #[cfg(ffmpeg_6_0)]
            {
                (*self.as_ptr()).duration = duration;
            }
            #[cfg(not(ffmpeg_6_0))]
            {
                (*self.as_ptr()).pkt_duration = duration;
            }
        }
    }

    /// Whether it is a keyframe.
    pub(crate) fn is_key(&self) -> bool {
        // SAFETY: the frame is live.
        unsafe {
            #[cfg(ffmpeg_6_1)]
            return (*self.as_ptr()).flags & ffi::AV_FRAME_FLAG_KEY as c_int != 0;
            #[cfg(not(ffmpeg_6_1))]
            return (*self.as_ptr()).key_frame != 0;
        }
    }

    /// libav's name of the pixel format, where it has one.
    pub(crate) fn pixel_format_name(&self) -> Option<String> {
        super::formats::pixel_format_name(self.format())
    }

    /// Samples per channel; 0 for a picture.
    pub(crate) fn samples(&self) -> u32 {
        // SAFETY: the frame is live.
        u32::try_from(unsafe { (*self.as_ptr()).nb_samples }).unwrap_or(0)
    }

    /// Width and height, in pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        // SAFETY: the frame is live.
        let (width, height) = unsafe { ((*self.as_ptr()).width, (*self.as_ptr()).height) };
        (u32::try_from(width).unwrap_or(0), u32::try_from(height).unwrap_or(0))
    }

    /// The samples of sound in 32-bit floating point, those of one instant beside each other;
    /// `None` for other frames.
    pub(crate) fn floats(&self) -> Option<&[f32]> {
        let length = self.interleaved(ffi::AVSampleFormat::AV_SAMPLE_FMT_FLT)?;
        // SAFETY: as `interleaved` says, the first plane holds so many numbers of this type; libav
        // aligns planes to more than the size of a number.
        Some(unsafe { slice::from_raw_parts((*self.as_ptr()).data[0].cast(), length) })
    }

    /// The samples of sound in 16-bit integers, those of one instant beside each other; `None` for
    /// other frames.
    pub(crate) fn integers(&self) -> Option<&[i16]> {
        let length = self.interleaved(ffi::AVSampleFormat::AV_SAMPLE_FMT_S16)?;
        // SAFETY: as for `floats`.
        Some(unsafe { slice::from_raw_parts((*self.as_ptr()).data[0].cast(), length) })
    }

    /// How many numbers the first plane of a frame of sound holds, if they are of this interleaved
    /// format.
    fn interleaved(&self, format: ffi::AVSampleFormat) -> Option<usize> {
        let channels = usize::try_from(self.channels()).ok()?;
        let samples = usize::try_from(self.samples()).ok()?;
        // SAFETY: the frame is live.
        let is_there = unsafe { !(*self.as_ptr()).data[0].is_null() };
        (self.format() == format as c_int && is_there).then_some(channels * samples)
    }

    /// Number of channels.
    pub(crate) fn channels(&self) -> c_int {
        // SAFETY: the frame is live.
        unsafe { (*self.as_ptr()).ch_layout.nb_channels }
    }

    /// libav's number of the pixel or sample format.
    pub(super) fn format(&self) -> c_int {
        // SAFETY: the frame is live.
        unsafe { (*self.as_ptr()).format }
    }

    /// Width of a pixel over its height, where the frame says.
    pub(super) fn pixel_aspect(&self) -> Option<Rational> {
        // SAFETY: the frame is live.
        rational(unsafe { (*self.as_ptr()).sample_aspect_ratio })
    }

    /// Samples per second, in Hz.
    pub(crate) fn sample_rate(&self) -> c_int {
        // SAFETY: the frame is live.
        unsafe { (*self.as_ptr()).sample_rate }
    }

    /// Description of the channel layout.
    pub(super) fn layout(&self) -> String {
        // SAFETY: the frame is live, and its layout is valid even when it is empty.
        unsafe { describe_layout(&raw const (*self.as_ptr()).ch_layout) }
    }

    /// libav's numbers of the color range and matrix.
    pub(super) fn color_numbers(&self) -> (c_int, c_int) {
        // SAFETY: the frame is live; the fields are read as the numbers they are.
        unsafe {
            (number_of!((*self.as_ptr()).color_range), number_of!((*self.as_ptr()).colorspace))
        }
    }

    /// Whether the decoder concealed a part of it, or lacked references.
    pub(crate) fn is_concealed(&self) -> bool {
        // SAFETY: the frame is live.
        unsafe {
            (*self.as_ptr()).decode_error_flags != 0
                || (*self.as_ptr()).flags & ffi::AV_FRAME_FLAG_CORRUPT != 0
        }
    }

    /// Asks the encoder for a keyframe, or lets it choose the picture type instead of that of the
    /// source.
    pub(crate) fn ask_for(&mut self, keyframe: bool) {
        let kind = if keyframe {
            ffi::AVPictureType::AV_PICTURE_TYPE_I
        } else {
            ffi::AVPictureType::AV_PICTURE_TYPE_NONE
        };
        // SAFETY: the frame is live and ours.
        unsafe { (*self.as_ptr()).pict_type = kind };
    }

    /// Marks the frame as one that is only there for filters to look at, and is not wanted itself.
    pub(crate) fn mark_neighbor(&mut self) -> AvResult<()> {
        // SAFETY: the frame is live and ours; both strings are zero-terminated.
        check(unsafe {
            let metadata = &raw mut (*self.as_ptr()).metadata;
            ffi::av_dict_set(metadata, NEIGHBOR.as_ptr(), c"1".as_ptr(), 0)
        })
        .map(drop)
    }

    /// Whether the frame has the mark of [`mark_neighbor`](Self::mark_neighbor), which filters
    /// keep.
    pub(crate) fn is_neighbor(&self) -> bool {
        // SAFETY: the frame is live, and its metadata may be null.
        unsafe {
            let metadata = (*self.as_ptr()).metadata;
            !ffi::av_dict_get(metadata, NEIGHBOR.as_ptr(), ptr::null(), 0).is_null()
        }
    }

    /// Removes the display matrix, EXIF, stereoscopic packing and spherical mapping. The muxer
    /// writes these by the plan, and an encoder would write them a second time. Since FFmpeg 7.0
    /// frames have those of the container as side data.
    pub(super) fn forget_presentation(&mut self) {
        use ffi::AVFrameSideDataType as Kind;
        // SAFETY: the frame is live and ours; what is not there is not missed.
        unsafe {
            ffi::av_frame_remove_side_data(self.as_ptr(), Kind::AV_FRAME_DATA_DISPLAYMATRIX);
            ffi::av_frame_remove_side_data(self.as_ptr(), Kind::AV_FRAME_DATA_STEREO3D);
            ffi::av_frame_remove_side_data(self.as_ptr(), Kind::AV_FRAME_DATA_SPHERICAL);
            #[cfg(ffmpeg_8_1)]
            ffi::av_frame_remove_side_data(self.as_ptr(), Kind::AV_FRAME_DATA_EXIF);
        }
    }

    /// Sets the primaries and transfer of a picture to those of its encoder, and removes static HDR
    /// metadata where that transfer is not PQ or HLG. Encoders of still pictures write what frames
    /// say.
    ///
    /// # Safety
    /// `encoder` points to an open context.
    pub(super) unsafe fn take_color(&mut self, encoder: *const ffi::AVCodecContext) {
        use ffi::{AVColorTransferCharacteristic as Transfer, AVFrameSideDataType as Kind};
        const HDR: [c_int; 2] =
            [Transfer::AVCOL_TRC_SMPTE2084 as c_int, Transfer::AVCOL_TRC_ARIB_STD_B67 as c_int];
        // SAFETY: as promised by the caller; the frame is live and ours, and enums are copied.
        unsafe {
            let (from, to) = (&raw const *encoder, self.as_ptr());
            (*to).color_primaries = (*from).color_primaries;
            (*to).color_trc = (*from).color_trc;
            if !HDR.contains(&number_of!((*from).color_trc)) {
                ffi::av_frame_remove_side_data(to, Kind::AV_FRAME_DATA_MASTERING_DISPLAY_METADATA);
                ffi::av_frame_remove_side_data(to, Kind::AV_FRAME_DATA_CONTENT_LIGHT_LEVEL);
            }
        }
    }

    /// Replaces a reserved color matrix by unspecified, since filters refuse it as of FFmpeg 7.0.
    pub(super) fn forget_reserved_matrix(&mut self) {
        // SAFETY: the frame is live and ours; the field is read as the number it is.
        unsafe {
            let matrix = &raw mut (*self.as_ptr()).colorspace;
            matrix.cast::<c_int>().write(matrix_of(matrix.cast::<c_int>().read()));
        }
    }

    /// Static HDR metadata of this frame: mastering display and content light level.
    pub(crate) fn hdr(&self) -> Hdr {
        use ffi::AVFrameSideDataType::{
            AV_FRAME_DATA_CONTENT_LIGHT_LEVEL, AV_FRAME_DATA_MASTERING_DISPLAY_METADATA,
        };
        // SAFETY: the frame is live; side data of these types holds the structs they are named for.
        unsafe {
            let data = |kind| {
                let side = ffi::av_frame_get_side_data(self.as_ptr(), kind);
                (!side.is_null()).then(|| (*side).data)
            };
            Hdr {
                mastering: data(AV_FRAME_DATA_MASTERING_DISPLAY_METADATA)
                    .and_then(|data| mastering(&*data.cast())),
                light: data(AV_FRAME_DATA_CONTENT_LIGHT_LEVEL).map(|data| light(&*data.cast())),
            }
        }
    }

    /// The same picture with its rows stored from top to bottom. A picture of a raw AVI, or one
    /// that a filter flipped, may be stored bottom up, with negative strides.
    pub(crate) fn top_down(self) -> AvResult<Self> {
        // SAFETY: both frames are live and ours; libav gives the new one room for a picture of the
        // same kind before it copies rows and properties into it.
        unsafe {
            let old = &*self.as_ptr();
            if old.linesize.iter().all(|stride| *stride >= 0) {
                return Ok(self);
            }
            let copy = Self::new()?;
            let new = &mut *copy.as_ptr();
            (new.width, new.height, new.format) = (old.width, old.height, old.format);
            check(ffi::av_frame_get_buffer(copy.as_ptr(), 0))?;
            check(ffi::av_frame_copy(copy.as_ptr(), self.as_ptr()))?;
            check(ffi::av_frame_copy_props(copy.as_ptr(), self.as_ptr()))?;
            Ok(copy)
        }
    }

    /// The planes of a [top-down](Self::top_down) picture: the bytes of its rows, and the stride
    /// from one row to the next, in bytes.
    pub(crate) fn planes(&self) -> Vec<(&[u8], usize)> {
        // SAFETY: the frame is live. Each plane of it holds `rows` rows of `stride` bytes, the last
        // one at least as long as the picture is wide, as `av_image_get_linesize` counts it.
        unsafe {
            let frame = &*self.as_ptr();
            let Some(format) = super::formats::pixel_format(frame.format) else {
                return Vec::new();
            };
            let descriptor = ffi::av_pix_fmt_desc_get(format);
            (0..frame.data.len())
                .take_while(|plane| !frame.data[*plane].is_null() && !descriptor.is_null())
                .filter_map(|plane| {
                    let index = c_int::try_from(plane).ok()?;
                    let width = ffi::av_image_get_linesize(format, frame.width, index);
                    let is_chroma = plane == 1 || plane == 2;
                    let shift = if is_chroma { (*descriptor).log2_chroma_h } else { 0 };
                    let rows = usize::try_from(-((-frame.height) >> shift)).ok()?;
                    let stride = usize::try_from(frame.linesize[plane]).ok()?;
                    let width = usize::try_from(width).ok().filter(|width| *width > 0)?;
                    let length = stride * rows.checked_sub(1)? + width;
                    Some((slice::from_raw_parts(frame.data[plane], length), stride))
                })
                .collect()
        }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        let mut pointer = self.0.as_ptr();
        // SAFETY: the frame is ours and is dropped once.
        unsafe { ffi::av_frame_free(&raw mut pointer) };
    }
}

/// `AVMasteringDisplayMetadata`, which the bindings leave out; unchanged since FFmpeg 3.
#[repr(C)]
pub(super) struct AvMastering {
    pub(super) primaries: [[ffi::AVRational; 2]; 3],
    pub(super) white: [ffi::AVRational; 2],
    pub(super) min_luminance: ffi::AVRational,
    pub(super) max_luminance: ffi::AVRational,
    pub(super) has_primaries: c_int,
    pub(super) has_luminance: c_int,
}

/// `AVContentLightMetadata`, which the bindings leave out; unchanged since FFmpeg 3.
#[repr(C)]
pub(super) struct AvLight {
    pub(super) max_content: std::ffi::c_uint,
    pub(super) max_frame_average: std::ffi::c_uint,
}

/// Converts mastering display metadata; `None` unless it has both primaries and luminance.
pub(super) fn mastering(data: &AvMastering) -> Option<MasteringDisplay> {
    if data.has_primaries == 0 || data.has_luminance == 0 {
        return None;
    }
    let scaled = |ratio: ffi::AVRational, unit: i64| {
        let den = i64::from(ratio.den).max(1);
        u32::try_from((i64::from(ratio.num) * unit + den / 2) / den).unwrap_or(0)
    };
    let point = |[x, y]: [ffi::AVRational; 2]| (scaled(x, 50_000), scaled(y, 50_000));
    Some(MasteringDisplay {
        primaries: data.primaries.map(point),
        white: point(data.white),
        min_luminance: scaled(data.min_luminance, 10_000),
        max_luminance: scaled(data.max_luminance, 10_000),
    })
}

/// Converts content light metadata.
pub(super) fn light(data: &AvLight) -> LightLevel {
    LightLevel { max_content: data.max_content, max_frame_average: data.max_frame_average }
}
