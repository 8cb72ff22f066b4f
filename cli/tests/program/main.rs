//! Tests of the program: its answers, its exit status, and the files that it leaves in its folder.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, looks at files from outside, and tells what it measured"
)]

mod answers;
mod batch;
mod clips;
mod documents;
mod elsewhere;
mod inputs;
mod installing;
mod limits;
mod outputs;
mod pipes;
mod room;
mod signals;
