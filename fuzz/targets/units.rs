//! Units of H.264 and HEVC, and the headers of packets of other codecs.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| avocet_engine::fuzzing::units(data));
