//! Integration tests in one binary: results judged by content, with a foreign decoder.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![expect(clippy::print_stderr, reason = "a test says what it skips")]

mod support;
mod sweep;
mod tidy;
