//! Pixel formats, sample formats and colors: libav's numbers and names, and the model's.

use std::{
    ffi::{c_char, c_int},
    mem,
};

use ffmpeg_sys_next as ffi;

use avocet_model::media::{Color, PixelFormat};

use super::{Layout, text};

/// The pixel format of a number, when this libav knows it.
pub(super) fn pixel_format(number: c_int) -> Option<ffi::AVPixelFormat> {
    if number < 0 || number >= ffi::AVPixelFormat::AV_PIX_FMT_NB as c_int {
        return None;
    }
    // SAFETY: the enum has the values from -1 up to `AV_PIX_FMT_NB` without a gap.
    Some(unsafe { mem::transmute::<c_int, ffi::AVPixelFormat>(number) })
}

/// libav's name of a pixel format.
pub(super) fn pixel_format_name(number: c_int) -> Option<String> {
    let format = pixel_format(number)?;
    // SAFETY: a lookup in a static table, which answers a static string or null.
    Some(unsafe { text(ffi::av_get_pix_fmt_name(format)) })
}

/// The sample format of a number, when this libav knows it.
pub(super) fn sample_format(number: c_int) -> Option<ffi::AVSampleFormat> {
    if number < 0 || number >= ffi::AVSampleFormat::AV_SAMPLE_FMT_NB as c_int {
        return None;
    }
    // SAFETY: the enum has the values from -1 up to `AV_SAMPLE_FMT_NB` without a gap.
    Some(unsafe { mem::transmute::<c_int, ffi::AVSampleFormat>(number) })
}

pub(super) fn sample_format_name(number: c_int) -> Option<String> {
    // SAFETY: libav answers a static string.
    sample_format(number).map(|format| unsafe { text(ffi::av_get_sample_fmt_name(format)) })
}

pub(super) fn describe_pixel_format(format: ffi::AVPixelFormat) -> PixelFormat {
    // SAFETY: a format below `AV_PIX_FMT_NB` has a static descriptor, or null.
    unsafe {
        let name = text(ffi::av_get_pix_fmt_name(format));
        let descriptor = ffi::av_pix_fmt_desc_get(format);
        if descriptor.is_null() {
            let chroma_shift = (0, 0);
            return PixelFormat { name, depth: 0, chroma_shift, rgb: false, alpha: false };
        }
        let descriptor = &*descriptor;
        let flag = |flag: c_int| descriptor.flags & u64::try_from(flag).unwrap_or(0) != 0;
        let components = usize::from(descriptor.nb_components).min(descriptor.comp.len());
        PixelFormat {
            name,
            depth: descriptor.comp[..components]
                .iter()
                .filter_map(|component| u32::try_from(component.depth).ok())
                .max()
                .unwrap_or(0),
            chroma_shift: (
                u32::from(descriptor.log2_chroma_w),
                u32::from(descriptor.log2_chroma_h),
            ),
            rgb: flag(ffi::AV_PIX_FMT_FLAG_RGB),
            alpha: flag(ffi::AV_PIX_FMT_FLAG_ALPHA) || flag(ffi::AV_PIX_FMT_FLAG_PAL),
        }
    }
}

/// Whether libav has a channel layout of this name, as `mono`, `5.1` or `FL+FR`.
pub(crate) fn is_layout(name: &str) -> bool {
    Layout::parse(name).is_ok()
}

/// A pixel format by its name.
pub(crate) fn pixel_format_of(name: &str) -> Option<PixelFormat> {
    let name = super::c_string(name);
    // SAFETY: the name is zero-terminated; the answer is read as a number.
    let number = unsafe { ffi::av_get_pix_fmt(name.as_ptr()) } as c_int;
    pixel_format(number).map(describe_pixel_format)
}

/// Colors by the range flag and the numbers of primaries, transfer and matrix in ITU-T H.273, and
/// whether any of them is reserved.
pub(crate) fn color_of(full_range: bool, [primaries, transfer, matrix]: [u8; 3]) -> (Color, bool) {
    // libav's numbers are those of the standard, except for the range: 1 is limited, 2 full.
    color(if full_range { 2 } else { 1 }, matrix.into(), primaries.into(), transfer.into())
}

/// Names of the colors, and whether any of them is reserved, which counts as unspecified.
pub(super) fn color(
    range: c_int,
    matrix: c_int,
    primaries: c_int,
    transfer: c_int,
) -> (Color, bool) {
    // SAFETY: these functions look a number up in a table and check its bounds; they answer a
    // static string, or null for a number they do not know.
    let names = unsafe {
        [
            text(range_name(range)),
            text(matrix_name(matrix)),
            text(primaries_name(primaries)),
            text(transfer_name(transfer)),
        ]
    };
    let reserved = names.iter().any(|name| name == "reserved");
    let said =
        |name: String| (!matches!(name.as_str(), "" | "unknown" | "reserved")).then_some(name);
    let [range, matrix, primaries, transfer] = names.map(said);
    (Color { range, matrix, primaries, transfer }, reserved)
}

// Declared with plain integers, since files may hold values that the generated enums lack.
unsafe extern "C" {
    #[link_name = "av_color_range_name"]
    fn range_name(number: c_int) -> *const c_char;
    #[link_name = "av_color_space_name"]
    fn matrix_name(number: c_int) -> *const c_char;
    #[link_name = "av_color_primaries_name"]
    fn primaries_name(number: c_int) -> *const c_char;
    #[link_name = "av_color_transfer_name"]
    fn transfer_name(number: c_int) -> *const c_char;
}
