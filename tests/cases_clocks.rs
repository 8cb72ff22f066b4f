//! Cases of clocks that start again, of joined files, and of uneven times.

use std::path::Path;

use crate::support::{join, run};
use crate::traps_stream::{COPY, ENCODE};

#[test]
fn times_beyond_all_measure_end_in_a_result_or_an_error() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for name in [
        "hostile-first.mp4",
        "hostile-last.mp4",
        "hostile-near.mp4",
        "hostile-negative.mp4",
        "hostile-edge.mp4",
    ] {
        let clip = fixtures::get(name);
        for (format, recipe) in [
            ("mp4", COPY),
            ("mp4", ENCODE),
            ("mov", COPY),
            ("wav", r#""extractAudio""#),
            ("m4a", r#""extractAudio","startSeconds":1"#),
            ("mp4", r#""trim","startSeconds":1,"durationSeconds":2"#),
            ("mp4", r#""trim","startSeconds":3"#),
            ("mp4", r#""trim","startSeconds":1e18"#),
            ("mp4", r#""webReady","startSeconds":0.5,"durationSeconds":1e18"#),
            ("png", r#""thumbnail","seekSeconds":3"#),
            ("png", r#""thumbnail","seekSeconds":1e18"#),
        ] {
            check_ends(&clip, &format!("{format} by {recipe}"), || {
                run(&clip, format, recipe).map(drop)
            });
        }
        check_ends(&clip, "joined to itself", || {
            join(&[clip.clone(), clip.clone()], "mp4").map(drop)
        });
    }
}

/// Fails when a job ends in a panic, whether caught or not.
fn check_ends(clip: &Path, what: &str, job: impl FnOnce() -> Result<(), avocet::Error>) {
    if let Err(error) = job() {
        let told = error.to_string();
        assert!(!told.contains("panicked"), "{} in {what}: {told}", clip.display());
    }
}
