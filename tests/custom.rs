//! Custom arguments: what the ffmpeg program makes of them, and what the sandbox prevents.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use avocet::{
    CancelToken, CheckedJob, Engine, Error, Format, Job, Plan, Policy, Report,
    engine::{ProcessSettings, RunOptions, Settings},
    plan::{Argument, Content, Input, Output, Process, Strategy},
};
use fixtures::judge;

use crate::{
    arguments,
    support::{SOON, files, resident, watched},
};

/// A job with inputs and outputs under keys; the outputs go to a folder.
fn job(inputs: &[PathBuf], outputs: &[&str], args: &[&str]) -> CheckedJob {
    let map = |prefix: &str, values: &[String]| {
        let pairs = (1..).zip(values);
        let pairs = pairs.map(|(number, value)| {
            format!("\"{prefix}_{number}\":{}", serde_json::to_string(value).unwrap())
        });
        pairs.collect::<Vec<_>>().join(",")
    };
    let inputs: Vec<_> = inputs.iter().map(|path| path.to_str().unwrap().to_owned()).collect();
    let outputs: Vec<_> = outputs.iter().map(|name| (*name).to_owned()).collect();
    let args = serde_json::to_string(args).unwrap();
    let document = format!(
        r#"{{"mode":"ffmpeg","input_files":{{{}}},"output_files":{{{}}},"ffmpeg":{{"args":{args}}}}}"#,
        map("in", &inputs),
        map("out", &outputs)
    );
    Job::from_json(&document, Policy::Program).unwrap()
}

/// Runs a job into a new folder.
fn run(inputs: &[&str], outputs: &[&str], args: &[&str]) -> (tempfile::TempDir, Report) {
    let inputs: Vec<_> = inputs.iter().map(|name| fixtures::get(name)).collect();
    let job = job(&inputs, outputs, args);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_owned();
    let report = watched("custom arguments", move || {
        let mut last = -1.0;
        let job = avocet::job(job).output(place).engine(&Engine::default());
        let job = job.progress(|progress| {
            assert!(progress.fraction >= last, "progress went back");
            last = progress.fraction;
        });
        job.run()
    })
    .unwrap_or_else(|error| panic!("{args:?}: {error}"));
    let mut left = files(folder.path());
    left.sort();
    let mut named: Vec<_> = outputs.iter().map(|name| (*name).to_owned()).collect();
    named.sort();
    assert_eq!(left, named);
    assert_eq!(report.strategy, Strategy::Ffmpeg);
    (folder, report)
}

#[test]
fn documented_samples_run() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = "counter-h264-aac.mp4";
    let words = |text: &'static str| text.split(' ').collect::<Vec<_>>();
    let (folder, _) = run(
        &[clip],
        &["small.mp4"],
        &words("-i {{in_1}} -vf scale=160:-2 -c:v libx264 -crf 23 -c:a aac {{out_1}}"),
    );
    let made = judge::probe(folder.path().join("small.mp4"));
    assert_eq!((made.video().width, made.video().height), (160, 90));
    assert_eq!(judge::frames(folder.path().join("small.mp4")).len(), 100);

    let (folder, _) = run(
        &[clip, "cover.png"],
        &["marked.mp4"],
        &words(
            "-i {{in_1}} -i {{in_2}} -filter_complex [0:v][1:v]overlay=10:10[v] -map [v] -map 0:a \
             -c:a copy {{out_1}}",
        ),
    );
    let marked = judge::rgb(folder.path().join("marked.mp4"), 0.5, "crop=64:64:10:10");
    let [red, green, blue] = marked.cell((1, 2), (1, 2));
    assert!(red > 200.0 && (120.0..200.0).contains(&green) && blue < 60.0, "{red} {green} {blue}");

    let (folder, report) = run(
        &[clip],
        &["copy.mkv", "sound.mp3", "frame.png"],
        &words(
            "-i {{in_1}} -c copy {{out_1}} -vn -q:a 2 {{out_2}} -ss 1 -frames:v 1 -update 1 \
             {{out_3}}",
        ),
    );
    assert_eq!(report.outputs.len(), 3);
    assert_eq!(judge::counters(folder.path().join("copy.mkv")).len(), 100);
    assert_eq!(judge::counters(folder.path().join("frame.png")), [Some(25)]);
    assert_eq!(judge::probe(folder.path().join("sound.mp3")).audio().codec, "mp3");

    let (folder, _) = run(
        &[clip],
        &["moving.gif"],
        &words(
            "-i {{in_1}} -vf fps=8,scale=320:-1:flags=lanczos,split[a][b];[a]palettegen[p];\
             [b][p]paletteuse -loop 0 {{out_1}}",
        ),
    );
    assert_eq!(judge::frames(folder.path().join("moving.gif")).len(), 32);

    // The limit is on resident memory, not on address space, so that this encode stays within it.
    let (folder, report) = run(
        &[clip],
        &["large.mp4"],
        &words("-i {{in_1}} -vf scale=1920:1080 -t 1 -c:v libsvtav1 -preset 12 -an {{out_1}}"),
    );
    assert_eq!(judge::probe(folder.path().join("large.mp4")).video().codec, "av1");
    let is_expected = |code: &str| code == "SANDBOX_INCOMPLETE" && !is_confined();
    let warnings = &report.warnings;
    assert!(warnings.iter().all(|warning| is_expected(&warning.code)), "{warnings:?}");
}

#[test]
fn one_output_goes_where_it_is_sent() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("a name with % and spaces.mp4");
    let url = serde_json::to_string(clip.to_str().unwrap()).unwrap();
    let document = format!(
        r#"{{"mode":"ffmpeg","input":{{"url":{url}}},"output":{{"format":"mp4"}},
            "ffmpeg":{{"args":["-i","{{{{input}}}}","-c","copy","{{{{output}}}}"]}}}}"#
    );
    let job = Job::from_json(&document, Policy::Program).unwrap();
    let go = |target: &Path| avocet::job(job.clone()).output(target).run();
    go(&output).unwrap();
    assert_eq!(judge::counters(&output).len(), 100);
    assert_eq!(files(folder.path()).len(), 1);
    assert_eq!(go(&clip).err().unwrap().code(), "VALIDATION_ERROR");
    // A writer takes one file, and no named ones.
    let mut made = Vec::new();
    avocet::job(job.clone()).output_writer(&mut made, Format::Mp4).run().unwrap();
    assert_eq!(made, fs::read(&output).unwrap());
    let named = self::job(
        std::slice::from_ref(&clip),
        &["a.mp4", "b.mp4"],
        &["-i", "{{in_1}}", "{{out_1}}", "{{out_2}}"],
    );
    let error = avocet::job(named).output_writer(&mut made, Format::Mp4).run().err().unwrap();
    assert_eq!(error.code(), "VALIDATION_ERROR", "{error}");
    let missing = Engine::new(Settings {
        process: ProcessSettings { program: Some("/nowhere/ffmpeg".into()), ..Default::default() },
        ..Settings::default()
    });
    let error = avocet::job(job).output(output).engine(&missing).run().err().unwrap();
    assert_eq!((error.code(), error.to_string().contains("ffmpeg")), ("CONFIG_ERROR", true));
}

/// A plan with arguments that were not checked.
fn unchecked(input: &Path, output: &Path, arguments: Vec<Argument>) -> Plan {
    let name = output.file_name().unwrap().to_str().unwrap().to_owned();
    let content = Content::OfProcess(name);
    let output = Output { content, ..Output::new(output, "mp4", []) };
    Plan {
        strategy: Strategy::Ffmpeg,
        process: Some(Process { arguments }),
        ..Plan::new([Input::new(input)], [output])
    }
}

fn texts(line: &str) -> Vec<Argument> {
    line.split(' ')
        .map(|word| match word {
            "IN" => Argument::Input(0),
            "OUT" => Argument::Output(0),
            word => Argument::Text(word.to_owned()),
        })
        .collect()
}

/// Runs unchecked arguments; returns the result and the files that are left in the folder.
fn run_unchecked(line: &str, process: ProcessSettings) -> (Result<Report, Error>, Vec<String>) {
    let clip = fixtures::get("counter-h264-aac.mp4");
    let folder = tempfile::tempdir().unwrap();
    let plan = unchecked(&clip, &folder.path().join("out.mp4"), texts(line));
    let result = watched(line, move || {
        let engine = Engine::new(Settings { process, ..Settings::default() });
        engine.run(&plan, RunOptions::default())
    });
    (result.map_err(Error::from), files(folder.path()))
}

/// Whether this kernel enforces the sandbox.
fn is_confined() -> bool {
    Engine::default().capabilities_of_machine().program.unwrap().unprotected.is_none()
}

/// The second line of defense: the sandbox stops what the check would have refused.
#[test]
fn the_sandbox_alone_stops_what_the_check_would_have_refused() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    if !is_confined() {
        let name = fixtures::test_name!();
        fixtures::skip(name, "sandbox", "this kernel enforces none");
        return;
    }
    let outside = tempfile::tempdir().unwrap();
    let escaped = outside.path().join("escaped.mkv");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let breaches = [
        "-f data -i /etc/passwd -map 0 -c copy -f data OUT".to_owned(),
        "-i IN -vf drawtext=textfile=/etc/passwd:fontsize=20 OUT".to_owned(),
        format!("-i IN -c copy -y {}", escaped.display()),
        format!("-i IN -c copy -f matroska tcp://127.0.0.1:{port}"),
        format!("-i tcp://127.0.0.1:{port} -c copy OUT"),
        "-i IN -vf movie=/etc/passwd OUT".to_owned(),
        "-f concat -safe 0 -i /etc/passwd OUT".to_owned(),
    ];
    for line in breaches {
        let (result, left) = run_unchecked(&line, ProcessSettings::default());
        let error = result.err().unwrap();
        let is_stopped = error.code() == "TRANSCODE_ERROR" || error.code() == "OUTPUT_INCOMPLETE";
        assert!(is_stopped, "{line}: {error}");
        assert!(left.is_empty(), "{line} left {left:?}");
    }
    assert!(!escaped.exists());
    assert!(listener.accept().is_err(), "somebody connected");
}

/// Tests that count the child processes of this process run one at a time.
static CHILDREN: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Settings that run a misbehaving program in the place of ffmpeg.
fn misbehaving() -> ProcessSettings {
    ProcessSettings {
        program: Some(env!("CARGO_BIN_EXE_misbehave").into()),
        max_seconds: 5,
        max_memory: 256 << 20,
        largest_file: 8 << 20,
        max_space: 64 << 20,
        needs_sandbox: false,
        ..ProcessSettings::default()
    }
}

/// The child processes that were not reaped yet.
fn children() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of_task = |task: std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("children")).unwrap_or_default()
    };
    let all: String = tasks.map(|task| of_task(task.unwrap())).collect();
    let name = |id: &str| std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
    all.split_whitespace().map(name).filter(|name| name.starts_with("misbehave")).collect()
}

#[test]
fn a_child_that_misbehaves_is_an_error_and_leaves_nothing() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let _alone = CHILDREN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let before = resident();
    for (word, code, words) in [
        ("flood", "TRANSCODE_ERROR", "the last line"),
        ("fill", "LIMIT_EXCEEDED", "files exceeded the limit of 64 MiB"),
        ("grow", "LIMIT_EXCEEDED", "an output file exceeded the limit of 8 MiB"),
        ("eat", "LIMIT_EXCEEDED", "memory of the ffmpeg program exceeded the limit of 256 MiB"),
        ("signal", "TRANSCODE_ERROR", "signal 6"),
        ("nothing", "OUTPUT_INCOMPLETE", "was not written"),
        ("empty", "OUTPUT_INCOMPLETE", "can not be read"),
        ("rubbish", "OUTPUT_INCOMPLETE", "can not be read"),
        ("hang", "ENGINE_INVOCATION_ERROR", "time limit of 5 s"),
        ("fork", "TRANSCODE_ERROR", "true true"),
        ("look", "TRANSCODE_ERROR", "passwd false environment 0 write false socket false"),
        ("link", "TRANSCODE_ERROR", "link false mode false"),
        ("long", "OUTPUT_INCOMPLETE", "was not written"),
        ("many", "LIMIT_EXCEEDED", "exceeded the limit of 1000 files"),
        ("lie", "TRANSCODE_ERROR", "No space left on device"),
    ] {
        if ["fork", "look", "link"].contains(&word) && !is_confined() {
            let name = fixtures::test_name!();
            fixtures::skip(name, "sandbox", "this kernel enforces none");
            continue;
        }
        let (result, left) = run_unchecked(&format!("{word} IN OUT"), misbehaving());
        let error = result.err().unwrap();
        assert_eq!(error.code(), code, "{word}: {error}");
        assert!(error.to_string().contains(words), "{word}: {error}");
        assert!(left.is_empty(), "{word} left {left:?}");
        if let Error::Engine(avocet::engine::Error::Program { log, .. }) = &error {
            assert!(log.len() <= 64 << 10, "{word}: {} bytes", log.len());
        }
    }
    assert!(resident() < before + 100, "memory grew from {before} to {} MB", resident());
    assert_eq!(children(), Vec::<String>::new());
    let (result, left) = run_unchecked("other IN OUT", misbehaving());
    let codes: Vec<_> = result.unwrap().warnings.into_iter().map(|one| one.code).collect();
    assert_eq!((codes, left), (vec!["PROGRAM_DIFFERS".to_owned()], vec!["out.mp4".to_owned()]));
}

#[test]
fn a_cancelled_child_is_gone_within_a_second() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let _alone = CHILDREN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let clip = fixtures::get("counter-h264-aac.mp4");
    let folder = tempfile::tempdir().unwrap();
    let plan = unchecked(&clip, &folder.path().join("out.mp4"), texts("hang IN OUT"));
    let took = watched("a cancelled child", move || {
        let process = ProcessSettings { max_seconds: 600, ..misbehaving() };
        let engine = Engine::new(Settings { process, ..Settings::default() });
        let cancel = CancelToken::new();
        let mut cancelled = None;
        let options = RunOptions::default().cancel(&cancel).observe(|_| {
            cancelled.get_or_insert_with(Instant::now);
            cancel.cancel();
            std::ops::ControlFlow::Continue(())
        });
        assert_eq!(engine.run(&plan, options).err().unwrap().code(), "CANCELLED");
        cancelled.unwrap().elapsed()
    });
    // The aim is one second. The limit is larger, since the machine may be busy.
    assert!(took < SOON, "cancelled after {took:?}");
    assert!(files(folder.path()).is_empty());
    assert_eq!(children(), Vec::<String>::new());
}

/// Each option takes a value or none, as the ffmpeg program has it. A difference would shift all
/// arguments that follow.
#[test]
fn options_take_as_many_values_as_the_program_says() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let said = |args: &[&str]| {
        let output = Command::new("ffmpeg").args(["-nostdin", "-hide_banner"]).args(args).output();
        String::from_utf8_lossy(&output.unwrap().stderr).into_owned()
    };
    let options = avocet::recipes::OPTIONS.iter().flat_map(|(_, options)| *options);
    for option in fixtures::sample(options, 5) {
        let name = format!("-{}", option.name);
        let alone = said(&[&name]);
        if alone.contains("Unrecognized option") || alone.contains("Option not found") {
            // The option belongs to another release of FFmpeg.
            continue;
        }
        let is_missing = alone.contains("Missing argument for option");
        assert_eq!(is_missing, option.value().is_some(), "{name}: {alone}");
    }
}

/// Checks accepted arguments independently: the files and addresses that ffmpeg opens without a
/// sandbox, as `strace` sees them.
#[test]
fn what_is_let_through_opens_nothing_but_its_files() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        fixtures::skip(fixtures::test_name!(), "ffmpeg", "strace is not there");
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let folder = tempfile::tempdir().unwrap();
    let lists = arguments::let_through(if fixtures::soak() { 1000 } else { 20 });
    let mut ran = 0;
    for args in lists {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let job = job(std::slice::from_ref(&clip), &["out.mkv"], &args);
        let plan = match avocet::job(job).output(folder.path()).plan() {
            Ok(planned) => planned.plan,
            Err(error) => panic!("{args:?}: {error}"),
        };
        let words = plan.process.unwrap().arguments.into_iter().map(|argument| match argument {
            Argument::Text(text) => text,
            Argument::Input(_) => format!("file:{}", clip.display()),
            Argument::Output(_) => "file:out.mkv".to_owned(),
        });
        let log = folder.path().join("trace");
        let status = Command::new("strace")
            .args(["-f", "-qq", "-e", "trace=open,openat,creat,connect,execve,unlink,rename", "-o"])
            .arg(&log)
            .args(["timeout", "20", "ffmpeg", "-nostdin", "-y", "-v", "error"])
            .args(words)
            .current_dir(folder.path())
            .output()
            .unwrap();
        ran += usize::from(status.status.success());
        let trace = std::fs::read_to_string(&log).unwrap();
        for line in trace.lines().filter(|line| !line.contains("ENOENT")) {
            let path = line.split('"').nth(1).unwrap_or_default();
            let is_system = [
                "/lib",
                "/usr/",
                "/etc/",
                "/proc/",
                "/sys/",
                "/dev/",
                "/bin/",
                "/var/cache/fontconfig",
            ]
            .iter()
            .any(|start| path.starts_with(start));
            let is_own = path == "out.mkv" || Path::new(path) == clip || path.is_empty();
            let is_secret = path.starts_with("/etc/passwd") || path.contains("secret");
            assert!((is_system || is_own) && !is_secret, "{args:?} opened {line}");
            assert!(!line.contains("AF_INET"), "{args:?} connected: {line}");
        }
    }
    assert!(ran > 0, "no list of the sample ran");
}

/// The list of system calls must be complete: whatever arguments may name must run in the sandbox
/// if it runs outside of it.
#[test]
fn what_arguments_may_name_runs_in_the_sandbox() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let listed = |kind: &str| {
        let output = Command::new("ffmpeg").args(["-hide_banner", kind]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        move |name: &str| text.lines().any(|line| line.split_whitespace().nth(1) == Some(name))
    };
    let (has_encoder, has_muxer, has_filter) =
        (listed("-encoders"), listed("-muxers"), listed("-filters"));
    // Each of these makes system calls of its own.
    let special = ["libx264", "libx265", "libsvtav1", "libaom-av1", "librav1e", "libopus", "png"];
    let mut lines = Vec::new();
    for codec in avocet::recipes::CODECS.iter().filter(|name| has_encoder(name)) {
        if fixtures::soak() || special.contains(codec) {
            lines.push(format!("-i IN -t 0.2 -c {codec} -strict -2 -f matroska OUT"));
            lines.push(format!("-i IN -t 0.2 -vn -c:a {codec} -strict -2 -f matroska OUT"));
            lines.push(format!("-i IN -t 0.2 -an -c:v {codec} -strict -2 -f matroska OUT"));
        }
    }
    for muxer in avocet::recipes::MUXERS.iter().filter(|name| has_muxer(name)) {
        if fixtures::soak() || ["mp4", "mpegts", "webp"].contains(muxer) {
            lines.push(format!("-i IN -t 0.2 -f {muxer} OUT"));
        }
    }
    for filter in avocet::recipes::FILTERS.iter().filter(|filter| has_filter(filter.name)) {
        if fixtures::soak() || ["rubberband", "nlmeans", "zscale"].contains(&filter.name) {
            lines.push(format!("-i IN -t 0.2 -vf {} -f matroska OUT", filter.name));
            lines.push(format!("-i IN -t 0.2 -af {} -f matroska OUT", filter.name));
        }
    }
    if has_filter("drawtext") {
        lines.push("-i IN -t 0.2 -vf drawtext=text=x -f matroska OUT".to_owned());
    }
    lines.push("-i IN -t 0.2 -c copy -movflags +faststart -f mp4 OUT".to_owned());
    let clip = fixtures::get("counter-h264-aac.mp4");
    let (mut ran, folder) = (0, tempfile::tempdir().unwrap());
    for line in fixtures::sample(lines, 2) {
        let made = folder.path().join("made");
        let word = |word: &str| match word {
            "IN" => clip.clone().into_os_string(),
            "OUT" => made.clone().into_os_string(),
            word => word.into(),
        };
        let mut outside = Command::new("ffmpeg");
        outside.args(["-nostdin", "-y", "-v", "error"]).args(line.split(' ').map(word));
        let runs_outside = outside.output().unwrap().status.success();
        // An output that can not be read back is no failure of the program.
        let runs_inside = match run_unchecked(&line, ProcessSettings::default()).0 {
            Ok(_) => true,
            Err(error) => error.code() == "OUTPUT_INCOMPLETE",
        };
        assert_eq!(runs_inside, runs_outside, "{line}");
        ran += usize::from(runs_inside);
    }
    assert!(ran > 5, "{ran} of the lines ran");
}

#[test]
fn a_file_that_comes_to_an_inputs_name_is_not_read() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.mp4");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let plan = unchecked(&pipe, &folder.path().join("out.mp4"), texts("-i IN -c copy OUT"));
    let error = watched(fixtures::test_name!(), move || {
        Engine::default().run(&plan, RunOptions::default())
    });
    let error = error.unwrap_err();
    assert_eq!(error.code(), "INPUT_UNREACHABLE", "{error}");
    assert_eq!(files(folder.path()), ["pipe.mp4"]);
}
