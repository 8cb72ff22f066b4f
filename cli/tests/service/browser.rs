//! The page, used by Playwright in Chromium as people use it. `cli/tests/page/` says what it does there.

use std::{fs, path::Path, process::Command, time::Duration};

use fixtures::bucket::Bucket;
use serde_json::json;

use crate::clients::{goes, modules, with_modules};

/// Runs one of the files in `cli/tests/page/`.
async fn does(test: &'static str, file: &'static str, bucket: Option<&Bucket>) {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    if !goes("chromium", &["--version"]) {
        fixtures::skip(test, "chromium", "there is no `chromium` program");
        return;
    }
    let playwright = modules().join(".bin/playwright");
    if !goes(&playwright.display().to_string(), &["--version"]) {
        fixtures::skip(test, "playwright", "Playwright is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page");
    for entry in fs::read_dir(page).unwrap().flatten() {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    with_modules(folder.path());
    let clip = fixtures::media("npm_vide/ocean.mp4");
    let clip = clip.unwrap_or_else(|| fixtures::get("counter-h264-aac.mp4"));
    let mut command = Command::new(playwright);
    command
        .args(["test", file])
        .env("AVOCET_PROGRAM", fixtures::program!())
        .env("AVOCET_CLIP", clip)
        .current_dir(folder.path());
    if let Some(bucket) = bucket {
        let access = json!({
            "endpoint": bucket.base(), "bucket": Bucket::NAME,
            "accessKeyId": Bucket::KEY, "secretAccessKey": Bucket::SECRET,
        });
        command.env("AVOCET_BUCKET", access.to_string());
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let [told, errors] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{told}{errors}");
    // What the tests measure is told on lines of its own.
    println!("{told}");
}

#[tokio::test]
async fn each_thing_on_the_page_is_done() {
    let bucket = crate::providers::slow_bucket(Duration::ZERO);
    does(fixtures::test_name!(), "things.spec.mjs", Some(&bucket)).await;
}

#[tokio::test]
async fn each_view_is_accessible_in_light_dark_and_on_a_phone() {
    does(fixtures::test_name!(), "looks.spec.mjs", None).await;
}

#[tokio::test]
async fn the_page_goes_on_after_trouble() {
    does(fixtures::test_name!(), "trouble.spec.mjs", None).await;
}

#[tokio::test]
async fn a_long_list_of_jobs_scrolls() {
    does(fixtures::test_name!(), "scroll.spec.mjs", None).await;
}
