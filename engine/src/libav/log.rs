//! libav's log: passes warnings and errors on to `tracing`, and keeps error lines for the errors of
//! calls.

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
    /// The last error line logged on this thread since a call last succeeded or failed.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
    /// The beginning of a line that libav logs in pieces.
    static PIECES: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Error lines of each codec that is listened to, by the address of its context. Codecs with
/// threads of their own log on these, so each thread has its last line, in the order of their first
/// errors.
static CODECS: Mutex<BTreeMap<usize, Heard>> = Mutex::new(BTreeMap::new());

fn codecs() -> MutexGuard<'static, BTreeMap<usize, Heard>> {
    CODECS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Errors that a codec logged.
#[derive(Default)]
struct Heard {
    /// The last size of a picture that was refused: width and height, in pixels.
    refused: Option<(u32, u32)>,
    /// Number of error lines since it was opened, without harmless ones.
    errors: u64,
    lines: Vec<Line>,
}

/// An error line of a codec.
struct Line {
    /// The address of the context that logged it, of which each thread has its own.
    thread: usize,
    text: String,
    /// Number of frames or packets that came out since. Those of other threads may come first.
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

/// Error lines of decoders that do not mean a damaged picture. An H.264 decoder that begins at a
/// recovery point is told to drop references that it never had.
const HARMLESS: [&str; 1] = ["mmco: unref short failure"];

/// Error lines that say less than the one before, which is kept instead. Since FFmpeg 7.0 one
/// follows the message of the filter parser about a name or an option.
const AFTER_REASON: [&str; 1] = ["Error processing filtergraph"];

/// Takes the last error line of this thread.
pub(super) fn take() -> Option<String> {
    LAST.take()
}

/// Begins to listen for error lines of a codec's own threads.
///
/// # Safety
/// `context` points to a live context that is not yet open, and is given to [`forget`] before it is
/// freed.
pub(super) unsafe fn listen(context: *mut ffi::AVCodecContext) {
    // The threads of a codec have copies of this context, and this field tells of which.
    // SAFETY: the field is the caller's to use.
    unsafe { (*context).opaque = context.cast() };
    codecs().insert(context.addr(), Heard::default());
}

/// Ends what [`listen`] began.
pub(super) fn forget(context: *mut ffi::AVCodecContext) {
    codecs().remove(&context.addr());
}

/// Takes the error line for a failed call of a codec. This is the last line of this thread, or else
/// the earliest of the codec's own threads, which return results in the order of their input.
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

/// Notes that a frame or packet came out of a codec with this many threads. Error lines that are as
/// many results old are dropped, since no call failed for them.
pub(super) fn age(context: *mut ffi::AVCodecContext, threads: c_int) {
    take();
    if let Some(Heard { lines, .. }) = codecs().get_mut(&context.addr()) {
        for line in lines.iter_mut() {
            line.answers += 1;
        }
        lines.retain(|line| line.answers < threads);
    }
}

// On x86-64 the ABI of Windows has another `va_list` than that of all other systems.
#[cfg(all(target_arch = "x86_64", not(windows)))]
type VaList = *mut ffi::__va_list_tag;
#[cfg(not(all(target_arch = "x86_64", not(windows))))]
type VaList = ffi::va_list;

/// libav's log callback, which gets one line or a piece of one.
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

/// The `opaque` field, which [`listen`] sets, of the codec context that logs or for which something
/// logs; 0 without a codec. In a context of other code in this process it may hold anything.
///
/// # Safety
/// `component` is null, or what libav passes to a callback of its log.
unsafe fn codec_of(mut component: *mut c_void) -> usize {
    // SAFETY: what logs begins with a pointer to its class, which tells what it is, and where the
    // one stands in whose name it logs; the field is read as a number.
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
