//! Media of the machine of a service: inputs and outputs below folders that its operator named.

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc};

use serde_json::{Value, json};

use crate::place::{Service, document};

/// A service with the folders `films` for inputs and `made` for outputs.
fn start(place: &Path) -> Service {
    let films = format!("{{films = '{}'}}", place.join("films").display());
    let made = format!("{{made = '{}'}}", place.join("made").display());
    let variables = [
        ("AVOCET_SERVE_INPUT_ROOTS", films.as_str()),
        ("AVOCET_SERVE_OUTPUT_ROOTS", made.as_str()),
    ];
    Service::start_in(Arc::new(tempfile::tempdir().unwrap()), &[], &variables)
}

fn with_output(mut document: Value, place: &str) -> Value {
    document["outputUrl"] = json!(place);
    document
}

#[tokio::test]
async fn files_of_this_machine_are_read_and_written_in_their_folders() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (films, made) = (place.path().join("films"), place.path().join("made"));
    fs::create_dir_all(films.join("new")).unwrap();
    fs::create_dir(&made).unwrap();
    let clip = tokio::task::spawn_blocking(|| fixtures::get("counter-h264-aac.mp4")).await.unwrap();
    fs::copy(&clip, films.join("new/a clip.mp4")).unwrap();
    fs::write(place.path().join("secret.mp4"), fs::read(&clip).unwrap()).unwrap();
    symlink("../secret.mp4", films.join("link.mp4")).unwrap();
    let service = start(place.path());
    let input = "root:films/new/a clip.mp4";

    let thumbnail = document(input, "jpg", &json!({ "name": "thumbnail", "seekSeconds": 1 }));
    let job = service.completed(&with_output(thumbnail.clone(), "root:made/x/y.jpg")).await;
    assert_eq!(job["output"]["signedUrl"], "root:made/x/y.jpg", "{job}");
    assert!(fs::read(made.join("x/y.jpg")).unwrap().starts_with(&[0xff, 0xd8]));
    // Without a place of its own, the output is in the storage of the service.
    let job = service.completed(&thumbnail).await;
    assert!(job["output"]["signedUrl"].as_str().unwrap().starts_with("http"), "{job}");
    // An input that would do as it is is copied to a place of its own.
    let ready = document(input, "mp4", &json!({ "name": "webReady" }));
    let job = service.completed(&with_output(ready, "root:made/ready.mp4")).await;
    assert_eq!(job["strategy"], "passthrough", "{job}");
    assert_eq!(fs::read(made.join("ready.mp4")).unwrap(), fs::read(&clip).unwrap());
    // Several outputs go to a folder.
    let storyboard = document(input, "jpg", &json!({ "name": "storyboard", "columns": 2 }));
    service.completed(&with_output(storyboard, "root:made/board")).await;
    let names: Vec<_> = fs::read_dir(made.join("board")).unwrap().collect();
    assert!(names.len() >= 2, "{names:?}");
    let custom = json!({
        "mode": "ffmpeg", "input": { "url": input }, "output": { "format": "gif" },
        "outputUrl": "root:made/a.gif",
        "ffmpeg": { "args": ["-i", "{{input}}", "-vf", "fps=5,scale=160:-1", "{{output}}"] },
    });
    let job = service.completed(&custom).await;
    assert!(fs::read(made.join("a.gif")).unwrap().starts_with(b"GIF89a"));
    // What was put there is its owner's.
    let id = job["jobId"].as_str().unwrap();
    assert_eq!(service.delete(&format!("/v1/jobs/{id}")).await.0, 204);
    assert!(made.join("a.gif").exists());
    let (status, plan) = service.send("POST", "/v1/jobs/plan", &thumbnail).await;
    assert_eq!(status, 200, "{plan}");

    for (url, found) in [("root:films/link.mp4", "link.mp4"), ("root:films/none.mp4", "none.mp4")] {
        let job = service.failed(&document(url, "jpg", &json!({ "name": "thumbnail" }))).await;
        assert_eq!(job["error"]["code"], "INPUT_UNREACHABLE", "{job}");
        assert!(job["error"]["message"].as_str().unwrap().contains(found), "{job}");
    }
    for (url, output) in [
        ("root:others/a.mp4", None),
        ("root:films/../secret.mp4", None),
        ("root:films", None),
        (input, Some("root:films/a.jpg")),
        (input, Some("root:made/../a.jpg")),
        (input, Some("/tmp/a.jpg")),
    ] {
        let mut document = document(url, "jpg", &json!({ "name": "thumbnail" }));
        if let Some(output) = output {
            document = with_output(document, output);
        }
        let (status, body) = service.send("POST", "/v1/jobs", &document).await;
        assert_eq!(status, 400, "{url} {output:?}: {body}");
    }
    let mut hooked = thumbnail;
    hooked["webhookUrl"] = json!("root:films/new/a clip.mp4");
    assert_eq!(service.send("POST", "/v1/jobs", &hooked).await.0, 400);
    let names = fs::read_dir(&made).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_str().unwrap().starts_with('.')));
}
