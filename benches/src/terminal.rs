//! The only place that writes to standard output and standard error.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;

/// Prints the answer of the program, and gives its exit status. A reader that has closed the pipe is no
/// failure.
pub(super) fn print(text: &str, status: u8) -> ExitCode {
    let mut output = io::stdout().lock();
    match writeln!(output, "{}", text.trim_end()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            note(&format!("error: can not write to standard output: {error}"));
            ExitCode::from(status.max(1))
        }
        _ => ExitCode::from(status),
    }
}

/// Prints a line on standard error. There is no place to tell that it failed.
pub(super) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Figures as compact JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    // Numbers, strings and lists of them, none of which can fail.
    serde_json::to_string(value).unwrap_or_default()
}
