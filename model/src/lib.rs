//! The plain data that all of Avocet shares: media, plans, errors and progress. Nothing here
//! touches libav or a disk.
//!
//! The folder [`mod@format`] parses what libav does not report of containers and codecs.

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
