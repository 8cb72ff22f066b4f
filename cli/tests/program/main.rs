//! Tests of the program: what it answers, how it exits, and what it leaves in the folder it works in.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, looks at files from outside, and tells what it measured"
)]

mod answers;
mod clips;
mod documents;
mod elsewhere;
mod inputs;
mod limits;
mod outputs;
mod pipes;
mod room;
mod signals;
