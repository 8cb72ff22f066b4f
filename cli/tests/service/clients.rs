//! The quickstart clients of `examples/`, run as users run them.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::place::{Origin, Receiver, Service};

/// A program in the folder that `AVOCET_JUDGES` names, else the one on `PATH`.
pub(crate) fn judge(program: &str) -> String {
    std::env::var("AVOCET_JUDGES").map_or(program.to_owned(), |bin| format!("{bin}/{program}"))
}

/// The packages of npm that are judges.
pub(crate) fn modules() -> PathBuf {
    Path::new(&judge("")).join("../node/node_modules")
}

/// Lets programs of Node.js in a folder use these packages.
pub(crate) fn with_modules(folder: &Path) {
    let modules = modules().canonicalize().unwrap();
    std::os::unix::fs::symlink(modules, folder.join("node_modules")).unwrap();
}

/// Whether a command succeeds; tests that need it are skipped otherwise.
pub(crate) fn goes(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

/// Runs a client on a clip, and checks its downloads.
async fn check(service: &Service, origin: &Origin, program: &str, script: &str, more: &[&str]) {
    let clip = origin.url("counter-h264-aac.mp4");
    let folder = tempfile::tempdir().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart").join(script);
    let mut command = Command::new(program);
    command
        .arg(path.canonicalize().unwrap())
        .arg(clip)
        .args(more)
        .env("AVOCET_URL", &service.base)
        .env("AVOCET_KEY", &service.key)
        .current_dir(folder.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}: {text}{errors}");
    assert!(more.len() == 1 || text.contains("is completed"), "{script}: {text}");
    let picture = fixtures::judge::probe(folder.path().join("thumbnail.jpg"));
    assert_eq!(picture.video().codec, "mjpeg", "{script}");
    let ready = folder.path().join("web-ready.mp4");
    assert_eq!(fixtures::judge::probe(&ready).video().codec, "h264", "{script}");
    assert!(fixtures::judge::decode_errors(&ready).is_empty(), "{script}");
}

#[tokio::test]
async fn the_quickstart_of_curl_runs() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let receiver = Receiver::start().await;
    check(&service, &origin, "bash", "quickstart.sh", &[&receiver.url]).await;
    assert_eq!(receiver.hears(1).await[0].job()["state"], "completed");
}

#[tokio::test]
async fn the_quickstart_of_javascript_runs() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    if !goes("node", &["-e", "fetch"]) {
        fixtures::skip(fixtures::test_name!(), "node", "there is no Node.js with fetch");
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    check(&service, &origin, "node", "quickstart.mjs", &[]).await;
}

#[tokio::test]
async fn the_quickstart_of_python_runs() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    if !goes(&judge("python3"), &["-c", "import requests"]) {
        fixtures::skip(fixtures::test_name!(), "python", "there is no Python with requests");
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    check(&service, &origin, &judge("python3"), "quickstart.py", &[]).await;
}

/// A client whose types are generated from the description of the API.
#[tokio::test]
async fn the_quickstart_of_typescript_compiles_and_runs() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let bin = |name: &str| modules().join(".bin").join(name).display().to_string();
    if !goes(&bin("tsc"), &["--version"]) {
        fixtures::skip(fixtures::test_name!(), "typescript", "TypeScript is not installed");
        return;
    }
    let (service, origin) = (Service::start(), Origin::start().await);
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/quickstart/quickstart.ts");
    std::fs::copy(script, place("quickstart.ts")).unwrap();
    std::fs::write(place("package.json"), r#"{"type":"module"}"#).unwrap();
    with_modules(folder.path());
    let description = format!("{}/openapi.json", service.base);
    let clip = origin.url("counter-h264-aac.mp4");
    for (program, arguments) in [
        (bin("openapi-typescript"), vec![description.as_str(), "-o", "api.d.ts"]),
        (
            bin("tsc"),
            "--strict --module nodenext --target es2022 quickstart.ts".split(' ').collect(),
        ),
        ("node".to_owned(), vec!["quickstart.js", &clip]),
    ] {
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .env("AVOCET_URL", &service.base)
            .env("AVOCET_KEY", &service.key)
            .current_dir(folder.path());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{program}: {told:?}");
    }
    let ready = place("web-ready.mp4");
    assert_eq!(fixtures::judge::probe(&ready).video().codec, "h264");
    assert!(fixtures::judge::decode_errors(&ready).is_empty());
}
