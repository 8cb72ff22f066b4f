//! All output to standard output and standard error goes through here.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;

/// Prints the answer of the program, and returns its exit status. A closed pipe is no failure.
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

/// Prints a line on standard error. A failure of that can not be reported anywhere.
pub(super) fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Figures as compact JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    // These values contain nothing that serde could refuse.
    serde_json::to_string(value).unwrap_or_default()
}
