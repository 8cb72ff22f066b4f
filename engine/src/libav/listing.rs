//! What this libav can do, by its own lists, and which hardware devices open.

use std::{ffi::c_void, ptr};

use ffmpeg_sys_next as ffi;

use super::text;

/// A kind of libav component.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Listing {
    Encoders,
    Decoders,
    Filters,
    Muxers,
}

/// Names of all components of one kind that this libav was built with.
pub(crate) fn list(listing: Listing) -> Vec<String> {
    super::start();
    let mut state: *mut c_void = ptr::null_mut();
    let state = &raw mut state;
    // SAFETY: the iterators walk static tables; `state` is theirs alone.
    std::iter::from_fn(move || unsafe {
        loop {
            match listing {
                Listing::Encoders | Listing::Decoders => {
                    let codec = ffi::av_codec_iterate(state).as_ref()?;
                    let is_encoder = ffi::av_codec_is_encoder(codec) != 0;
                    if is_encoder == matches!(listing, Listing::Encoders) {
                        return Some(text(codec.name));
                    }
                }
                Listing::Filters => {
                    return Some(text(ffi::av_filter_iterate(state).as_ref()?.name));
                }
                Listing::Muxers => return Some(text(ffi::av_muxer_iterate(state).as_ref()?.name)),
            }
        }
    })
    .collect()
}

/// Release and license of this libav, and whether its assembly code is in use.
pub(crate) fn describe_libav() -> (String, String, bool) {
    // SAFETY: both are static strings; the flags are a plain read.
    unsafe {
        let version = text(ffi::av_version_info());
        let license = text(ffi::avutil_license());
        let configuration = text(ffi::avutil_configuration());
        let disabled = ["--disable-asm", "--disable-x86asm", "--disable-inline-asm"]
            .iter()
            .any(|flag| configuration.split_whitespace().any(|word| word == *flag));
        (version, license, !disabled && ffi::av_get_cpu_flags() != 0)
    }
}

/// Opens each kind of hardware device that this libav was built for, and names those that opened.
pub(crate) fn try_device() -> Vec<String> {
    super::start();
    let mut kind = ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_NONE;
    std::iter::from_fn(|| {
        // SAFETY: walks a static table; what is opened is closed at once.
        unsafe {
            kind = ffi::av_hwdevice_iterate_types(kind);
            if kind == ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_NONE {
                return None;
            }
            let mut device = ptr::null_mut();
            let none = ptr::null_mut();
            let code = ffi::av_hwdevice_ctx_create(&raw mut device, kind, ptr::null(), none, 0);
            ffi::av_buffer_unref(&raw mut device);
            let name = text(ffi::av_hwdevice_get_type_name(kind));
            Some((code >= 0).then_some(name))
        }
    })
    .flatten()
    .collect()
}
