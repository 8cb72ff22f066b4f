//! Tells the code which libav it is built against: one `cfg` for each release whose structs differ.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for release in ["ffmpeg_6_0", "ffmpeg_6_1", "ffmpeg_7_0", "ffmpeg_7_1", "ffmpeg_8_1"] {
        println!("cargo::rustc-check-cfg=cfg({release})");
        let found = env::var(format!("DEP_FFMPEG_{}", release.to_uppercase()));
        if found.is_ok_and(|value| value == "true") {
            println!("cargo::rustc-cfg={release}");
        }
    }
}
