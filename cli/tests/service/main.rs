//! Tests of the job service: `avocet serve`, used over HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test fails by panicking, looks at files from outside, and tells what it measured"
)]

mod browser;
mod clients;
#[cfg(feature = "door")]
mod confined;
mod files;
mod jobs;
mod judges;
mod load;
mod lost;
mod page;
mod place;
mod projects;
mod providers;
mod proxy;
mod requests;
mod roots;
mod uploads;
mod webhooks;
mod workers;
