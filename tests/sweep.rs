//! Every made clip in every format: done and verified, or refused with the right error.

use crate::support::{run, soak};

/// Clips whose times jump: closing such gaps is not built yet, and verification refuses the result.
const JUMPING: [&str; 3] = ["ts-wrap.ts", "ts-jump-forward.ts", "ts-jump-back.ts"];

/// Clips too long for a table.
const LONG: [&str; 3] = ["three-hours.mkv", "counter-60s.mp4", "hd-720p.mp4"];

#[test]
fn made_clips_are_done_or_refused_in_every_format() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let broken: Vec<_> = fixtures::broken().collect();
    for (number, name) in fixtures::all().enumerate() {
        if JUMPING.contains(&name) || LONG.contains(&name) {
            continue;
        }
        let clip = fixtures::get(name);
        let formats = ["mp4", "webm", "mov", "mp3", "aac", "wav", "m4a", "jpg", "png", "webp"];
        for (place, format) in formats.into_iter().enumerate() {
            // The full table is long: without `AVOCET_SOAK` each clip takes its turn.
            if !soak() && (number + place) % 6 != 0 {
                continue;
            }
            let recipe = match format {
                "jpg" | "png" | "webp" => r#""thumbnail","seekSeconds":0.5"#,
                "webm" => r#""transcode","preset":8"#,
                _ => r#""transcode""#,
            };
            if let Err(error) = run(&clip, format, recipe) {
                let name_and_error = format!("{name} in {format}: {error}");
                assert_eq!(error.code(), "INPUT_INVALID", "{name_and_error}");
                let is_lacking = error.to_string().contains("the job needs");
                assert!(is_lacking || broken.contains(&name), "{name_and_error}");
            }
        }
    }
}
