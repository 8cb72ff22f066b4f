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

/// A program of these packages.
fn bin(name: &str) -> String {
    modules().join(".bin").join(name).display().to_string()
}

/// Runs a program that finds the service at `url`, and fails with what it told unless it succeeds.
async fn succeeds(service: &Service, url: &str, folder: &Path, program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("AVOCET_URL", url)
        .env("AVOCET_KEY", &service.key)
        .current_dir(folder);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{program}: {told:?}");
}

/// A client whose types are generated from the description of the API.
#[tokio::test]
async fn the_quickstart_of_typescript_compiles_and_runs() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
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
        succeeds(&service, &service.base, folder.path(), &program, &arguments).await;
    }
    let ready = place("web-ready.mp4");
    assert_eq!(fixtures::judge::probe(&ready).video().codec, "h264");
    assert!(fixtures::judge::decode_errors(&ready).is_empty());
}

/// The client that is published on npm: its types are those of this API, a strict compiler takes what its
/// README shows, and it uploads, runs, tells progress, and tells what fails.
#[tokio::test]
async fn the_client_of_npm_compiles_and_runs() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    if !goes(&bin("tsc"), &["--version"]) {
        fixtures::skip(fixtures::test_name!(), "typescript", "TypeScript is not installed");
        return;
    }
    let service = Service::start();
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients/typescript");
    let package = place("node_modules/avocet-client");
    std::fs::create_dir_all(&package).unwrap();
    for file in ["index.js", "index.d.ts", "schema.d.ts", "package.json"] {
        std::fs::copy(source.join(file), package.join(file)).unwrap();
    }
    for module in ["@types", "openapi-fetch", "openapi-typescript-helpers", "undici-types"] {
        let target = modules().canonicalize().unwrap().join(module);
        std::os::unix::fs::symlink(target, place("node_modules").join(module)).unwrap();
    }
    std::fs::write(place("package.json"), r#"{"type":"module"}"#).unwrap();
    std::fs::write(place("client.ts"), CLIENT).unwrap();
    let clip = fixtures::get("counter-h264-aac.mp4").display().to_string();
    let document = source.join("../../docs/openapi.json").display().to_string();
    // The client takes a slash at the end away.
    let base = format!("{}/", service.base);
    for (program, arguments) in [
        (bin("openapi-typescript"), vec![document.as_str(), "-o", "made.d.ts"]),
        (bin("tsc"), "--strict --module nodenext --target es2022 client.ts".split(' ').collect()),
        ("node".to_owned(), vec!["client.js", &clip]),
    ] {
        succeeds(&service, &base, folder.path(), &program, &arguments).await;
    }
    if std::env::var_os("AVOCET_BLESS").is_some() {
        std::fs::copy(place("made.d.ts"), source.join("schema.d.ts")).unwrap();
    }
    let [made, published] = [place("made.d.ts"), source.join("schema.d.ts")]
        .map(|path| std::fs::read_to_string(path).unwrap());
    assert!(
        made == published,
        "clients/typescript/schema.d.ts is not of docs/openapi.json: AVOCET_BLESS=1"
    );
    assert_eq!(fixtures::judge::probe(place("small.mp4")).video().codec, "h264");
}

/// Each function of the client, and the failures that it tells.
const CLIENT: &str = r#"
import { readFile, writeFile } from "node:fs/promises";
import { AvocetError, connect, type Job } from "avocet-client";

const url = process.env.AVOCET_URL;
const avocet = connect({ url, key: process.env.AVOCET_KEY });
const input = { url: await avocet.upload(await readFile(process.argv[2]), { name: "clip.mp4" }) };
const small = {
  mode: "recipe" as const, input, output: { format: "mp4" as const },
  recipe: { name: "resize" as const, height: 90 },
};
const seen: string[] = [];
const job: Job = await avocet.run(small, { onProgress: (job) => seen.push(job.state), idempotencyKey: "one" });
if (seen.at(-1) !== "completed" || job.progress !== 100) throw new Error(seen.join());
if ((await avocet.submit(small, { idempotencyKey: "one" })) !== job.jobId) throw new Error("taken twice");
const response = await fetch(job.output?.signedUrl ?? "");
await writeFile("small.mp4", Buffer.from(await response.arrayBuffer()));
const { data } = await avocet.api.GET("/v1/jobs", { params: { query: { limit: 1 } } });
if (data?.data[0].jobId !== job.jobId) throw new Error("not listed");

async function refused(act: Promise<unknown>): Promise<AvocetError> {
  try {
    await act;
  } catch (error) {
    if (error instanceof AvocetError) return error;
    throw error;
  }
  throw new Error("nothing failed");
}
const wrong = await refused(avocet.run({ ...small, recipe: { name: "resize", height: -1 } }));
if (wrong.code !== "VALIDATION_ERROR" || wrong.status !== 400) throw new Error(JSON.stringify(wrong));
const stranger = await refused(connect({ url, key: "avo_x" }).submit(small));
if (stranger.status !== 401) throw new Error(JSON.stringify(stranger));
const text = { url: await avocet.upload(new TextEncoder().encode("no media"), { name: "a.txt" }) };
const failed = await refused(avocet.run({ ...small, input: text }));
if (failed.job?.state !== "failed" && failed.job?.state !== "rejected") throw new Error(JSON.stringify(failed));
const stop = new AbortController();
stop.abort(new Error("enough"));
try {
  await avocet.finished(job.jobId, { signal: stop.signal });
  throw new Error("nothing stopped");
} catch (error) {
  if ((error as Error).message !== "enough") throw error;
}
"#;
