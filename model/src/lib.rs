//! What all of Avocet speaks of, as plain data: media, plans, errors, progress, reports. Neither libav nor
//! a disk is touched here.
//!
//! The folder [`mod@format`] reads the bytes of containers and codings that libav does not tell of.

#![forbid(unsafe_code)]

pub mod capabilities;
pub mod cost;
pub mod error;
pub mod format;
pub mod frames;
pub mod index;
pub mod location;
pub mod media;
pub mod panics;
pub mod plan;
pub mod progress;
pub mod remote;
pub mod time;
