//! Every clip in every format: done and right, or refused with the right error.

use crate::support;

#[test]
fn sweep() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let clips: Vec<_> = if std::env::var("FIX").is_ok() {
        fixtures::all().map(fixtures::get).collect()
    } else {
        fixtures::media_clips()
    };
    for clip in
        clips.into_iter().filter(|clip| clip.to_str().unwrap().contains(&only)).filter(|clip| {
            !["60s", "three-hours", "hd-720p"]
                .iter()
                .any(|long| clip.to_str().unwrap().contains(long))
        })
    {
        for format in ["mp4", "webm", "mov", "mp3", "aac", "wav", "m4a"] {
            for extra in ["", r#","reencode":true"#] {
                let recipe = format!("\"transcode\"{extra}");
                match support::run(&clip, format, &recipe) {
                    Ok(outcome) => eprintln!(
                        "ok   {} {format}{extra} {:?}",
                        clip.display(),
                        outcome.report.warnings
                    ),
                    Err(error) => eprintln!(
                        "FAIL {} {format}{extra} {} {error}",
                        clip.display(),
                        error.code()
                    ),
                }
            }
        }
        match support::run(&clip, "jpg", r#""thumbnail","seekSeconds":1"#) {
            Ok(outcome) => eprintln!("ok   {} jpg {:?}", clip.display(), outcome.report.warnings),
            Err(error) => eprintln!("FAIL {} jpg {} {error}", clip.display(), error.code()),
        }
    }
}
