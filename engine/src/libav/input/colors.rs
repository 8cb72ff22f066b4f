//! Colors that a container states, apart from those of the bitstream.

use std::ffi::c_int;

use ffmpeg_sys_next as ffi;

/// Primaries, transfer, matrix and range that a container states, as numbers of libav.
pub(super) type Colors = [c_int; 4];

/// The color fields of a stream's codec parameters, in the order of [`Colors`].
///
/// # Safety
/// `stream` points to a live stream.
unsafe fn color_fields(stream: *mut ffi::AVStream) -> [*mut c_int; 4] {
    // SAFETY: as promised by the caller; enums are as large as the integers they are cast to.
    unsafe {
        let coding = (*stream).codecpar;
        [
            (&raw mut (*coding).color_primaries).cast(),
            (&raw mut (*coding).color_trc).cast(),
            (&raw mut (*coding).color_space).cast(),
            (&raw mut (*coding).color_range).cast(),
        ]
    }
}

/// libav's numbers for unspecified colors, in the order of [`Colors`].
const NO_COLORS: Colors = [
    ffi::AVColorPrimaries::AVCOL_PRI_UNSPECIFIED as c_int,
    ffi::AVColorTransferCharacteristic::AVCOL_TRC_UNSPECIFIED as c_int,
    ffi::AVColorSpace::AVCOL_SPC_UNSPECIFIED as c_int,
    ffi::AVColorRange::AVCOL_RANGE_UNSPECIFIED as c_int,
];

/// Takes the container's colors out of the parameters of a stream, so that probing finds those of
/// the bitstream, with which pictures are decoded. Since FFmpeg 9 libav would keep the container's
/// where both are stated.
///
/// # Safety
/// `stream` points to a live stream, which nobody else uses.
pub(super) unsafe fn take_colors(stream: *mut ffi::AVStream) -> Colors {
    // SAFETY: as promised by the caller.
    let fields = unsafe { color_fields(stream) };
    // SAFETY: as promised by the caller; each field takes the number that libav has for nothing.
    std::array::from_fn(|number| unsafe { fields[number].replace(NO_COLORS[number]) })
}

/// Puts each color of the container back where the bitstream states none. VP9, for one, states no
/// primaries and no transfer.
///
/// # Safety
/// `stream` points to a live stream, which nobody else uses.
pub(super) unsafe fn restore_colors(stream: *mut ffi::AVStream, colors: Colors) {
    // SAFETY: as promised by the caller; the numbers came out of the same fields.
    unsafe {
        for ((field, none), stated) in color_fields(stream).into_iter().zip(NO_COLORS).zip(colors) {
            if *field == none {
                *field = stated;
            }
        }
    }
}
