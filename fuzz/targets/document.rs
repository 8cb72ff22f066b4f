//! Documents of jobs: one that is taken must be taken again as it is written, and mean the same.

#![no_main]

use avocet_recipes::{Door, Job};

libfuzzer_sys::fuzz_target!(|document: &str| {
    for door in [Door::Program, Door::Service] {
        if let Ok(job) = Job::from_json(document, door) {
            let again = job.to_json();
            assert_eq!(Job::from_json(&again, door), Ok(job), "{again}");
        }
    }
});
