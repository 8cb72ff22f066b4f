//! Owners of libav objects. No other code names `ffmpeg_sys_next`, and only `process/sandbox.rs`
//! has `unsafe` beside this folder.
//!
//! An owner holds one pointer, drops it once, is `Send` and never `Sync`, and shows no raw pointer
//! outside this folder. Nothing here decides anything.

mod codec;
mod describe;
mod formats;
mod frame;
mod graph;
mod input;
mod io;
pub(crate) mod limits;
mod listing;
mod log;
mod opus;
mod output;
mod packet;
mod projection;
mod refused;
mod samples;
mod subtitle;

use std::{
    ffi::{CStr, CString, c_char, c_int},
    ptr::{self, NonNull},
};

pub(crate) use codec::{Decoder, Encoder, Health, Received};
use ffmpeg_sys_next as ffi;
pub(crate) use formats::{color_of, is_layout, pixel_format_of};
pub(crate) use frame::Frame;
pub(crate) use graph::{FilterGraph, GraphInput, fitted};
pub(crate) use input::{Demuxer, Depth, Fault, Listed, Parameters, Table};
pub(crate) use listing::{Listing, describe_libav, list, try_device};
pub(crate) use log::start;
pub(crate) use output::{Muxer, TrackHeader, wants_global_header};
pub(crate) use packet::Packet;
pub(crate) use samples::SampleCounter;
pub(crate) use subtitle::{Cue, SubtitleCoder};

use avocet_model::{
    error::{Error, LibavError, Step},
    time::{Rational, Timestamp},
};

/// The result of a call of libav.
pub(crate) type AvResult<T> = Result<T, LibavError>;

/// Why a component could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// libav refused.
    Libav(LibavError),
    /// There is no component of that name.
    Absent,
    /// The component left this option unread.
    UnknownOption(String),
}

impl OpenError {
    /// The error for a caller about the component `name` of this `kind`.
    pub(crate) fn about(self, kind: &'static str, name: &str) -> Error {
        let name = name.to_owned();
        match self {
            Self::Absent => Error::Absent { kind, name },
            Self::UnknownOption(option) => Error::UnknownOption { component: name, option },
            Self::Libav(source) => {
                Error::Libav { step: Step::Open, component: format!("{kind} `{name}`"), source }
            }
        }
    }
}

impl From<LibavError> for OpenError {
    fn from(error: LibavError) -> Self {
        Self::Libav(error)
    }
}

/// Turns the return code of a libav function into a result; an error has the last line that this
/// thread logged.
fn check(code: c_int) -> AvResult<c_int> {
    if code < 0 {
        return Err(error(code));
    }
    // A line logged by a call that succeeds must not become the reason of a later failure.
    log::take();
    Ok(code)
}

/// The error for a negative return code, with the last error line of this thread.
fn error(code: c_int) -> LibavError {
    error_with(code, log::take())
}

fn error_with(code: c_int, log: Option<String>) -> LibavError {
    let mut message: [c_char; 128] = [0; 128];
    // SAFETY: `message` is as long as is said; libav ends it with a zero.
    let message = unsafe {
        ffi::av_strerror(code, message.as_mut_ptr(), message.len());
        text(message.as_ptr())
    };
    LibavError { code, message, log }
}

/// The error of an allocation that failed.
fn out_of_memory() -> LibavError {
    error(ffi::AVERROR(ffi::ENOMEM))
}

/// Whether an error is "come back with more input".
fn is_again(code: c_int) -> bool {
    code == ffi::AVERROR(ffi::EAGAIN)
}

/// The pointer that an allocation returned; null is the error `ENOMEM`.
fn allocated<T>(pointer: *mut T) -> AvResult<NonNull<T>> {
    NonNull::new(pointer).ok_or_else(out_of_memory)
}

/// A string of libav; empty for a null pointer.
///
/// # Safety
/// `pointer` is null or a zero-terminated string.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: as promised by the caller.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// A string for libav; one with a zero inside is cut there.
fn c_string(text: &str) -> CString {
    let clean = text.split('\0').next().unwrap_or_default();
    CString::new(clean).unwrap_or_default()
}

/// A ratio of libav; `None` unless it is positive.
fn rational(ratio: ffi::AVRational) -> Option<Rational> {
    Rational::new(ratio.num, ratio.den)
}

/// A ratio for libav; 0/1, its word for "unknown", when there is none or it is too large for it.
fn av_rational(ratio: Option<Rational>) -> ffi::AVRational {
    let part = |part: u32| c_int::try_from(part).ok();
    ratio
        .and_then(|ratio| {
            Some(ffi::AVRational { num: part(ratio.num.get())?, den: part(ratio.den.get())? })
        })
        .unwrap_or(ffi::AVRational { num: 0, den: 1 })
}

/// A timestamp of libav; `None` for `AV_NOPTS_VALUE`, or beyond [`Timestamp::MAX_TICKS`].
fn ticks(ticks: i64) -> Option<i64> {
    (-Timestamp::MAX_TICKS..=Timestamp::MAX_TICKS).contains(&ticks).then_some(ticks)
}

/// A duration of libav, in ticks, clamped to 0 (not known) up to [`Timestamp::MAX_TICKS`].
fn length(ticks: i64) -> i64 {
    ticks.clamp(0, Timestamp::MAX_TICKS)
}

/// Reads a C enum as the number it is: the file may hold values the Rust enum has no variant for.
macro_rules! number_of {
    ($place:expr) => {
        (&raw const $place).cast::<std::ffi::c_int>().read()
    };
}
use number_of;

/// Options for a component. Those that it does not read stay in the dictionary.
struct Options(*mut ffi::AVDictionary);

impl Options {
    fn new(pairs: &[(String, String)]) -> AvResult<Self> {
        let mut options = Self(ptr::null_mut());
        for (key, value) in pairs {
            let (key, value) = (c_string(key), c_string(value));
            // SAFETY: both strings are zero-terminated, and the dictionary is ours.
            check(unsafe {
                ffi::av_dict_set(&raw mut options.0, key.as_ptr(), value.as_ptr(), 0)
            })?;
        }
        Ok(options)
    }

    /// Where libav reads the options and leaves those it does not know.
    fn as_mut_ptr(&mut self) -> *mut *mut ffi::AVDictionary {
        &raw mut self.0
    }

    /// Fails with the first option that was not read.
    fn expect_all_read(&self) -> Result<(), OpenError> {
        // SAFETY: the dictionary is ours, and the empty key with this flag means "any".
        let entry = unsafe {
            ffi::av_dict_get(self.0, c"".as_ptr(), ptr::null(), ffi::AV_DICT_IGNORE_SUFFIX)
        };
        if entry.is_null() {
            return Ok(());
        }
        // SAFETY: an entry is alive as long as its dictionary, and its key is a string.
        Err(OpenError::UnknownOption(unsafe { text((*entry).key) }))
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: the dictionary is ours; null is allowed.
        unsafe { ffi::av_dict_free(&raw mut self.0) };
    }
}

/// A channel layout that is freed when it is dropped.
struct Layout(ffi::AVChannelLayout);

impl Layout {
    /// The layout of a description such as `5.1(side)`.
    fn parse(description: &str) -> AvResult<Self> {
        // SAFETY: all zeros is the empty layout.
        let mut layout = Self(unsafe { std::mem::zeroed() });
        let description = c_string(description);
        // SAFETY: the layout is ours and empty, the string zero-terminated.
        check(unsafe {
            ffi::av_channel_layout_from_string(&raw mut layout.0, description.as_ptr())
        })?;
        Ok(layout)
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        // SAFETY: the layout is ours, and freeing an empty one does nothing.
        unsafe { ffi::av_channel_layout_uninit(&raw mut self.0) };
    }
}

/// libav's number of a color matrix; the reserved one becomes unspecified.
fn matrix_of(number: c_int) -> c_int {
    let reserved = ffi::AVColorSpace::AVCOL_SPC_RESERVED as c_int;
    if number == reserved { ffi::AVColorSpace::AVCOL_SPC_UNSPECIFIED as c_int } else { number }
}

/// The largest number of channels for which an unknown order is taken for the default layout: 7.1.
const MAX_USUAL: c_int = 8;

/// The description of a layout. Where its order is unspecified, that of the default layout of up to
/// [`MAX_USUAL`] channels.
///
/// # Safety
/// `layout` points to a valid layout.
unsafe fn describe_layout(layout: *const ffi::AVChannelLayout) -> String {
    let describe = |layout: *const ffi::AVChannelLayout| {
        let mut name: [c_char; 256] = [0; 256];
        // SAFETY: the layout is valid, and `name` is as long as is said.
        unsafe {
            let length = ffi::av_channel_layout_describe(layout, name.as_mut_ptr(), name.len());
            if length > 0 { text(name.as_ptr()) } else { String::new() }
        }
    };
    // SAFETY: the caller vouches for the layout; the order is read as a number.
    let (order, channels) = unsafe { (number_of!((*layout).order), (*layout).nb_channels) };
    // For more channels releases of libav differ in the default layout.
    if order != ffi::AVChannelOrder::AV_CHANNEL_ORDER_UNSPEC as c_int || channels > MAX_USUAL {
        return describe(layout);
    }
    // SAFETY: all zeros is the empty layout, which the next call fills.
    let mut usual = Layout(unsafe { std::mem::zeroed() });
    // SAFETY: the layout is ours.
    unsafe { ffi::av_channel_layout_default(&raw mut usual.0, channels) };
    describe(&raw const usual.0)
}
