//! Presets to start from.

/// The slug, the name and the document of each.
pub(crate) const STARTERS: &[(&str, &str, &str)] = &[
    (
        "web-ready-mp4",
        "Web ready MP4",
        r#"{"mode":"recipe","output":{"format":"mp4"},"recipe":{"name":"webReady"}}"#,
    ),
    (
        "web-ready-720p",
        "Web ready 720p",
        r#"{"mode":"recipe","output":{"format":"mp4"},"recipe":{"name":"webReady","height":720}}"#,
    ),
    (
        "edit-proxy-1080p",
        "Edit proxy 1080p",
        r#"{"mode":"recipe","output":{"format":"mp4"},"recipe":{"name":"proxy","height":1080}}"#,
    ),
    (
        "edit-proxy-720p",
        "Edit proxy 720p (all-intra)",
        r#"{"mode":"recipe","output":{"format":"mp4"},"recipe":{"name":"proxy","height":720,"gop":"all_intra"}}"#,
    ),
    (
        "compress-video",
        "Compress video",
        r#"{"mode":"recipe","output":{"format":"mp4"},"recipe":{"name":"compress","codec":"h264","crf":28}}"#,
    ),
    (
        "extract-audio",
        "Extract audio",
        r#"{"mode":"recipe","output":{"format":"mp3"},"recipe":{"name":"extractAudio"}}"#,
    ),
    (
        "thumbnail",
        "Thumbnail",
        r#"{"mode":"recipe","output":{"format":"jpg"},"recipe":{"name":"thumbnail","seekSeconds":1}}"#,
    ),
    (
        "resize-hd",
        "Resize HD",
        r#"{"mode":"recipe","output":{"format":"mp4"},"recipe":{"name":"resize","width":1280,"height":720}}"#,
    ),
    (
        "merge-audio",
        "Merge audio",
        r#"{"mode":"recipe","output":{"format":"mp3"},"recipe":{"name":"concat"}}"#,
    ),
    (
        "merge-video",
        "Merge video",
        r#"{"mode":"recipe","output":{"format":"mp4"},"recipe":{"name":"concat"}}"#,
    ),
    (
        "gif-preview",
        "GIF preview",
        r#"{"mode":"ffmpeg","output":{"format":"gif"},"ffmpeg":{"args":["-i","{{input}}","-vf","fps=8,scale=320:-1","{{output}}"]}}"#,
    ),
];

#[cfg(test)]
mod tests {
    use avocet_recipes::{Job, Policy, Tree, merge};

    use super::*;

    #[test]
    fn every_starter_is_a_job_when_it_has_an_input() {
        assert_eq!(STARTERS.len(), 11);
        for (slug, _, document) in STARTERS {
            let inputs = if slug.starts_with("merge") {
                r#"{"input_files":{"in_1":"https://host/a","in_2":"https://host/b"}}"#
            } else {
                r#"{"input":{"url":"https://host/a"}}"#
            };
            let job = Tree::read(document)
                .and_then(|preset| merge(&preset, &Tree::read(inputs)?))
                .and_then(|whole| Job::from_tree(&whole, Policy::Service));
            assert!(job.is_ok(), "{slug}: {job:?}");
        }
    }
}
