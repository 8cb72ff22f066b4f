//! Malicious workers: the service trusts nothing that they report.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use avocet_service::{Config, Confinement};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use fixtures::wait::later::until_some;

use crate::place::{answer, client, is_terminal, thumbnail};

/// Writes a worker that runs a shell command in its folder, and then reports these file names.
fn write_worker(path: &Path, shell: &str, planned: &str, made: &str) {
    let planned = json!({ "planned": {
        "strategy": "encode", "reasons": [], "outputs": [planned] } });
    let done = json!({ "done": { "warnings": [], "outputs": [{
        "key": "output", "filename": made, "size_bytes": 1, "file_type": "image" }] } });
    let script = format!(
        "#!/bin/sh\nexec 3>&1 >&0\nread -r order\necho '\"taken\"'\n\
         cd \"$(printf %s \"$order\" | sed 's/.*\"folder\":\"\\([^\"]*\\)\".*/\\1/')\" || exit\n\
         {shell}\ncat <<'END'\n{planned}\n{done}\nEND\nread -r rest\n"
    );
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
}

/// The job at its end, run by a service with such a worker.
async fn ended(data: &Path, worker: &Path) -> Value {
    let (started, address) = oneshot::channel();
    let (end, ended) = oneshot::channel::<()>();
    let config = Config {
        data: data.to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        allow_private_network: true,
        // A shell may start programs only where it is not confined.
        confinement: Confinement::Off,
        ..Config::default()
    };
    let tell = |told: &avocet_service::Started| started.send(told.address).unwrap();
    let ended = async { drop(ended.await) };
    let never = std::future::pending();
    let serve = avocet_service::serve(config, worker.to_owned(), tell, ended, never);
    let serve = tokio::spawn(serve);
    let base = format!("http://{}/v1/jobs", address.await.unwrap());
    let key = fs::read_to_string(data.join("api-key")).unwrap();
    let client = client();
    let submitted = client.post(&base).bearer_auth(&key).json(&thumbnail("http://127.0.0.1:9/a"));
    let (status, body) = answer(submitted).await;
    assert_eq!(status, 202, "{body}");
    let url = format!("{base}/{}", body["jobId"].as_str().unwrap());
    let job = until_some("it ends", async || {
        let (_, job) = answer(client.get(&url).bearer_auth(&key)).await;
        is_terminal(&job).then_some(job)
    });
    let job = job.await;
    drop(end);
    serve.await.unwrap().unwrap();
    job
}

#[tokio::test]
async fn a_name_that_a_worker_reports_leads_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let (worker, data) = (folder.path().join("worker"), folder.path().join("data"));
    let outside = folder.path().join("letter");
    fs::write(&outside, "of mine").unwrap();
    write_worker(&worker, "echo > result.jpg", "result.jpg", "result.jpg");
    let job = ended(&data, &worker).await;
    assert_eq!(job["state"], "completed", "{job}");
    let keys = fs::read(data.join("keys")).unwrap();
    let files = || crate::place::left(&data);
    let before = files();
    let absolute = outside.to_str().unwrap();
    for (shell, planned, made) in [
        ("", "result.jpg", "../../keys"),
        ("", "result.jpg", "../../../letter"),
        ("", "result.jpg", absolute),
        ("ln -s ../../keys result.jpg", "result.jpg", "result.jpg"),
        ("ln ../../keys result.jpg", "result.jpg", "result.jpg"),
        ("mkdir result.jpg", "result.jpg", "result.jpg"),
        ("mkdir a; echo > a/result.jpg", "result.jpg", "a/result.jpg"),
        // The outputs of a plan are removed when its job fails, so their names must be checked.
        ("", "../../../../keys", "result.jpg"),
    ] {
        write_worker(&worker, shell, planned, made);
        let job = ended(&data, &worker).await;
        assert_eq!(job["error"]["code"], "ENGINE_ERROR", "{shell} {planned} {made}: {job}");
        assert_eq!(fs::read(data.join("keys")).unwrap(), keys, "{shell} {planned} {made}");
        assert_eq!(fs::read_to_string(&outside).unwrap(), "of mine");
        assert_eq!(files(), before, "{shell} {planned} {made}");
    }
}
