//! Subtitles that become subtitles of another form.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avocet_engine::fuzzing::text(data));
