//! Headers of RIFF and its kin, FLV, MXF, Matroska and EXIF.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avocet_engine::fuzzing::headers(data));
