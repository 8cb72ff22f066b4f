//! The boxes of MP4.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avocet_engine::fuzzing::boxes(data));
