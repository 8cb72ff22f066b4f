//! What libav logs: all of it for `tracing`, the last error of a call for its error.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ffi::{c_char, c_int, c_void},
    panic,
    sync::{Mutex, MutexGuard, Once, PoisonError},
};

use ffmpeg_sys_next as ffi;

use super::{refused, text};

thread_local! {
    /// The last error line that libav logged on this thread, since a call succeeded or failed.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
    /// The beginning of a line that libav logs in pieces.
    static PIECES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Error lines of each open codec, by the address of its context: codecs with threads of their own
/// log there. The last line of each thread, in the order in which threads began to complain.
static CODECS: Mutex<BTreeMap<usize, Heard>> = Mutex::new(BTreeMap::new());

fn codecs() -> MutexGuard<'static, BTreeMap<usize, Heard>> {
    CODECS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Errors that a codec logged.
#[derive(Default)]
struct Heard {
    /// The last size of a picture that was refused: width and height, in pixels.
    refused: Option<(u32, u32)>,
    /// Number of error lines since it was opened.
    errors: u64,
    lines: Vec<Line>,
}

/// An error line of a codec.
struct Line {
    /// The address of the context that logged it, of which each thread has its own.
    thread: usize,
    text: String,
    /// How many pictures or packets came out since: those of other threads may come first.
    answers: c_int,
}

/// Prepares libav for this process; cheap after the first call.
pub(crate) fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the callback has the signature libav asks for and lives as long as the process.
        unsafe {
            ffi::av_log_set_callback(Some(log));
            ffi::av_log_set_level(ffi::AV_LOG_WARNING);
        }
    });
}

/// Error lines of decoders that are about no picture: one that begins at a recovery point of H.264 is
/// told to forget pictures that it never had.
const HARMLESS: [&str; 1] = ["mmco: unref short failure"];

/// Error lines that say less than the one before: since FFmpeg 7.0 one follows what a parser of filters
/// says of a name or an option.
const AFTER_REASON: [&str; 1] = ["Error processing filtergraph"];

/// The last error line of this thread, taken out.
pub(super) fn take() -> Option<String> {
    LAST.take()
}

/// Begins to listen for error lines of a codec's own threads.
///
/// # Safety
/// `context` points to a live context that is not yet open, and is given to [`forget`] before it is
/// freed.
pub(super) unsafe fn listen(context: *mut ffi::AVCodecContext) {
    // The contexts of a codec's threads are copies of this one, and tell by the field whose.
    // SAFETY: the field is the caller's to use.
    unsafe { (*context).opaque = context.cast() };
    codecs().insert(context.addr(), Heard::default());
}

/// Ends what [`listen`] began.
pub(super) fn forget(context: *mut ffi::AVCodecContext) {
    codecs().remove(&context.addr());
}

/// The error line of a call for a codec, taken out: the last one of this thread, or else the
/// earliest of the codec's own, whose results come in the order of what they were given.
pub(super) fn take_of(context: *mut ffi::AVCodecContext) -> Option<String> {
    let own = take();
    let mut codecs = codecs();
    let Some(Heard { lines, .. }) = codecs.get_mut(&context.addr()) else { return own };
    let is_own = |line: &Line| own.is_none() || own.as_ref() == Some(&line.text);
    let found = lines.iter().position(is_own).map(|place| lines.remove(place).text);
    own.or(found)
}

/// Number of error lines that a codec logged since it was opened, on whichever thread.
pub(super) fn errors_of(context: *mut ffi::AVCodecContext) -> u64 {
    codecs().get(&context.addr()).map_or(0, |heard| heard.errors)
}

/// The size of the last picture that was refused for a codec since it was opened, on whichever
/// thread: width and height, in pixels.
pub(super) fn refused_by(context: *mut ffi::AVCodecContext) -> Option<(u32, u32)> {
    codecs().get(&context.addr()).and_then(|heard| heard.refused)
}

/// Notes that a picture or packet came out of a codec with so many threads: what they logged as
/// many of them ago was about no failure.
pub(super) fn age(context: *mut ffi::AVCodecContext, threads: c_int) {
    take();
    if let Some(Heard { lines, .. }) = codecs().get_mut(&context.addr()) {
        for line in lines.iter_mut() {
            line.answers += 1;
        }
        lines.retain(|line| line.answers < threads);
    }
}

// The ABI of Windows has another list than that of all others on this processor.
#[cfg(all(target_arch = "x86_64", not(windows)))]
type VaList = *mut ffi::__va_list_tag;
#[cfg(not(all(target_arch = "x86_64", not(windows))))]
type VaList = ffi::va_list;

/// Takes a line that libav logs.
unsafe extern "C" fn log(
    component: *mut c_void,
    level: c_int,
    format: *const c_char,
    list: VaList,
) {
    if level > ffi::AV_LOG_WARNING {
        return;
    }
    let mut line: [c_char; 1024] = [0; 1024];
    let mut prefix = 1;
    // SAFETY: libav passes its own component, format and list; `line` is as long as is said.
    let (line, codec) = unsafe {
        let room = c_int::try_from(line.len()).unwrap_or(0);
        let line = line.as_mut_ptr();
        ffi::av_log_format_line2(component, level, format, list, line, room, &raw mut prefix);
        (text(line), codec_of(component))
    };
    // A subscriber of the host program runs in here; its panic must not cross libav.
    let _ = panic::catch_unwind(|| {
        if let Some(size) = refused::size_of(&line) {
            match codecs().get_mut(&codec) {
                Some(heard) => heard.refused = Some(size),
                None => refused::note(size),
            }
        }
        // Some lines come in pieces, the last of which ends with a line feed.
        let whole = PIECES.with_borrow_mut(|pieces| {
            pieces.push_str(&line);
            pieces.ends_with('\n').then(|| std::mem::take(pieces))
        });
        let Some(line) = whole.as_deref().map(str::trim).filter(|line| !line.is_empty()) else {
            return;
        };
        tracing::debug!(target: "avocet::libav", level, "{line}");
        if level <= ffi::AV_LOG_ERROR {
            let text = without_addresses(line);
            if let Some(Heard { errors, lines, .. }) = codecs().get_mut(&codec) {
                *errors += u64::from(!HARMLESS.iter().any(|words| line.contains(words)));
                let line = Line { thread: component.addr(), text: text.clone(), answers: 0 };
                match lines.iter_mut().find(|it| it.thread == line.thread) {
                    Some(last) => *last = line,
                    None => lines.push(line),
                }
            }
            LAST.with_borrow_mut(|last| {
                if last.is_none() || !AFTER_REASON.iter().any(|words| text.contains(words)) {
                    *last = Some(text);
                }
            });
        }
    });
}

/// What the codec's context that logs, or in whose name something logs, has in the field that
/// [`listen`] sets; 0 without a codec. The context of somebody else in this process may hold
/// anything.
///
/// # Safety
/// `component` is null, or what libav passes to a callback of its log.
unsafe fn codec_of(mut component: *mut c_void) -> usize {
    // SAFETY: what logs begins with a pointer to its class, which tells what it is, and where the one
    // stands in whose name it logs; the field is read as a number.
    unsafe {
        while !component.is_null() {
            let class = component.cast::<*const ffi::AVClass>().read();
            if class == ffi::avcodec_get_class() {
                return (*component.cast::<ffi::AVCodecContext>()).opaque.addr();
            }
            let Some(class) = class.as_ref() else { return 0 };
            match usize::try_from(class.parent_log_context_offset) {
                Ok(parent) if parent > 0 => {
                    component = component.byte_add(parent).cast::<*mut c_void>().read();
                }
                _ => return 0,
            }
        }
        0
    }
}

/// A line without the addresses in which libav tells its components apart, as in `[png @ 0x55…]`.
fn without_addresses(line: &str) -> String {
    let mut parts = line.split(" @ 0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, part| {
        line + part.trim_start_matches(|letter: char| letter.is_ascii_hexdigit())
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::libav::{check, error};

    fn complain() {
        start();
        // SAFETY: the format is zero-terminated and asks for no further argument.
        unsafe {
            ffi::av_log(std::ptr::null_mut(), ffi::AV_LOG_ERROR, c"on purpose\n".as_ptr());
        }
    }

    #[test]
    fn an_error_holds_lines_of_its_own_call_only() {
        let failed = ffi::AVERROR(ffi::EINVAL);
        complain();
        assert_eq!(error(failed).log.as_deref(), Some("on purpose"));
        assert_eq!(error(failed).log, None);
        complain();
        check(0).unwrap();
        assert_eq!(error(failed).log, None, "a call that succeeded had logged it");
    }

    #[test]
    fn lines_hold_no_addresses() {
        let check = |line: &str, expected: &str| assert_eq!(without_addresses(line), expected);
        check("[png @ 0x55d0c0ffee00] bad", "[png] bad");
        check("[mov @ 0x7f00] [png @ 0x7f01] tag 0x1234 @ 5", "[mov] [png] tag 0x1234 @ 5");
        check("nothing", "nothing");
    }
}
