//! Integration tests in one binary. Results are judged by content, with an independent decoder.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at files from outside"
)]

mod arguments;
mod browser;
mod bucket;
mod cases_choice;
mod cases_clocks;
mod cases_decoding;
mod cases_refusals;
mod cases_sound;
mod cases_tags;
mod custom;
mod cut;
mod elsewhere;
mod engine;
mod examples;
mod faststart;
mod floors;
mod frames;
mod index;
mod matroska;
mod origin;
mod picture_color;
mod places;
mod progress;
mod recipes;
mod running;
mod samples;
mod seeks;
mod smart_cut;
mod storyboard;
mod support;
mod sweep;
mod thumbnail;
mod tidy;
mod transcode;
mod traps_color;
mod traps_picture;
mod traps_stream;
mod traps_tracks;
