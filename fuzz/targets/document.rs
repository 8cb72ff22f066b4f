//! Documents of jobs: one that is taken must be taken again as it is written, and mean the same.

#![no_main]

use avocet_recipes::{Job, Policy};

libfuzzer_sys::fuzz_target!(|document: &str| {
    for policy in [Policy::Program, Policy::Service] {
        if let Ok(job) = Job::from_json(document, policy) {
            let again = job.to_json();
            assert_eq!(Job::from_json(&again, policy), Ok(job), "{again}");
        }
    }
});
