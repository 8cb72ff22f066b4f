//! Headers of RIFF, Matroska and EXIF.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avocet_engine::fuzzing::headers(data));
