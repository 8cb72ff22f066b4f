//! Tests of the job service: the program `avocet serve`, spoken to over HTTP as its users do.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, looks at files from outside, and tells what it measured"
)]

mod clients;
mod files;
mod jobs;
mod judges;
mod load;
mod lost;
mod place;
mod providers;
mod requests;
mod webhooks;
mod workers;
