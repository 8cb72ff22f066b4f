//! Picture sizes that libav refuses, which it reports in its log alone.

use std::cell::Cell;

thread_local! {
    /// The last size refused on this thread by a codec that `log::listen` does not know.
    static LAST: Cell<Option<(u32, u32)>> = const { Cell::new(None) };
}

/// Takes the last size that was refused on this thread: width and height, in pixels.
pub(super) fn take_last() -> Option<(u32, u32)> {
    LAST.take()
}

/// Records a size that was refused on this thread: width and height, in pixels.
pub(super) fn note(size: (u32, u32)) {
    LAST.set(Some(size));
}

/// The size that a log line of libavutil or dav1d refuses: width and height, in pixels.
pub(super) fn size_of(line: &str) -> Option<(u32, u32)> {
    let (_, size) = line.split_once("Picture size ").or_else(|| line.split_once("Frame size "))?;
    let (size, why) = size.split_once(' ')?;
    let (width, height) = size.split_once('x')?;
    let is_refused = why.starts_with("exceeds ") || why.starts_with("is invalid");
    let size = (width.parse().ok()?, height.parse().ok()?);
    (is_refused && size.0 > 0 && size.1 > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_size_that_is_refused() {
        let check = |line, expected| assert_eq!(size_of(line), expected, "{line}");
        check(
            "[png @ 0x5] [IMGUTILS @ 0x7] Picture size 65535x65535 is invalid",
            Some((65535, 65535)),
        );
        check(
            "Picture size 16384x16000 exceeds specified max pixel count 67000000, see the \
             documentation if you wish to increase it",
            Some((16384, 16000)),
        );
        check("[libdav1d @ 0x5] Frame size 640x480 exceeds limit 1000", Some((640, 480)));
        check("Picture size 0x0 is invalid", None);
        check("Invalid image size", None);
    }
}
