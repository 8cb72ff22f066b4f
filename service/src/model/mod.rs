//! What all parts of a service know: its settings, its secrets, and what it says to workers.

pub(crate) mod config;
pub mod protocol;
pub(crate) mod secret;
