//! Filter graphs in the custom arguments of a job.

#![no_main]

use avocet_recipes::{Job, Policy};

libfuzzer_sys::fuzz_target!(|graph: &str| {
    let document = serde_json::json!({
        "mode": "ffmpeg",
        "input_files": { "in_1": "a.mp4" },
        "output_files": { "out_1": "b.mp4" },
        "ffmpeg": { "args": ["-i", "{{in_1}}", "-vf", graph, "{{out_1}}"] },
    });
    let _ = Job::from_json(&document.to_string(), Policy::Program);
});
