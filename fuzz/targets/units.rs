//! Units of H.264 and HEVC.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avocet_engine::fuzzing::units(data));
