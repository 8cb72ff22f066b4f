//! All output to standard output and standard error goes through here.

use std::{
    borrow::Cow,
    io::{self, Write},
    process::ExitCode,
};

use avocet::media::Timestamp;
use serde::Serialize;

/// Prints the answer of the program, and returns its exit status.
///
/// A closed pipe is no failure: the reader has seen enough.
pub(super) fn print(text: &str, status: u8) -> ExitCode {
    let mut output = io::stdout().lock();
    match writeln!(output, "{}", plain(text.trim_end())).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            note(&format!("error: can not write to standard output: {error}"));
            ExitCode::from(status.max(1))
        }
        _ => ExitCode::from(status),
    }
}

/// Prints a line on standard error. A failure of that can not be reported anywhere.
pub(super) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", plain(line));
}

/// The text without control characters other than line ends and tabs: a file name may have some, which
/// would be commands for the terminal.
fn plain(text: &str) -> Cow<'_, str> {
    let is_command = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    if text.contains(is_command) {
        text.replace(is_command, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// An answer as compact JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    // These values contain nothing that serde could refuse.
    escaped(serde_json::to_string(value).unwrap_or_default())
}

/// JSON in whose strings the control characters are escaped that JSON allows as they are, since a
/// terminal would obey some of them.
pub(super) fn escaped(json: String) -> String {
    if !json.contains(char::is_control) {
        return json;
    }
    let escape = |letter: char| {
        if letter.is_control() {
            format!("\\u{:04x}", u32::from(letter))
        } else {
            letter.to_string()
        }
    };
    json.chars().map(escape).collect()
}

/// A time in seconds, rounded to microseconds.
pub(super) fn seconds(time: Timestamp) -> f64 {
    (time.seconds() * 1e6).round() / 1e6
}

/// A number of bytes for people, in decimal units.
pub(super) fn size(bytes: u64) -> String {
    let mut rest = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if rest < 999.95 {
            let digits = usize::from(unit != "bytes");
            return format!("{rest:.digits$} {unit}");
        }
        rest /= 1000.0;
    }
    format!("{rest:.1} TB")
}

/// A duration in seconds, for people.
pub(super) fn span(seconds: f64) -> String {
    match seconds {
        ..0.9995 => format!("{:.0} ms", seconds * 1e3),
        ..60.0 => format!("{seconds:.1} s"),
        _ => format!("{:.0} min {:02.0} s", (seconds / 60.0).floor(), (seconds % 60.0).floor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short() {
        let check = |seconds, expected: &str| assert_eq!(span(seconds), expected);
        check(0.0071, "7 ms");
        check(0.9996, "1.0 s");
        check(12.34, "12.3 s");
        check(60.0, "1 min 00 s");
        check(3725.0, "62 min 05 s");
    }

    #[test]
    fn control_characters_of_json_are_escaped() {
        let text = json(&"a\n\u{7f}\u{85}é");
        assert_eq!(text, "\"a\\n\\u007f\\u0085é\"");
        assert_eq!(serde_json::from_str::<String>(&text).ok().as_deref(), Some("a\n\u{7f}\u{85}é"));
    }

    #[test]
    fn sizes_are_short() {
        let check = |bytes, expected: &str| assert_eq!(size(bytes), expected);
        check(0, "0 bytes");
        check(999, "999 bytes");
        check(1_000, "1.0 kB");
        check(999_960, "1.0 MB");
        check(12_345_678, "12.3 MB");
        check(5_000_000_000_000, "5.0 TB");
    }
}
