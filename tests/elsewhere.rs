//! Inputs by URL: correct with any server, fast, and never to a forbidden address.

use std::{
    fs,
    net::TcpListener,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use avocet::{
    CancelToken, Engine, Error, Job, Policy, Report,
    engine::{OpenOptions, ProbeOptions, RunOptions, Settings},
    io::{Location, Reach, RemoteSettings},
};
use fixtures::{judge, wait};

use crate::{
    origin::{Fault, Origin},
    support::{SOON, document, remux, watched},
};

/// An engine with these settings of network access.
fn engine_with(remote: RemoteSettings) -> Engine {
    Engine::new(Settings { remote, ..Settings::default() })
}

/// An engine with a reach, and a timeout of one second for each byte.
fn engine(reach: Reach) -> Engine {
    engine_with(RemoteSettings {
        reach,
        idle_timeout: Duration::from_secs(1),
        ..RemoteSettings::default()
    })
}

/// Runs a recipe on a URL; returns the path of the output, and its report.
fn run(
    engine: &Engine,
    url: &str,
    format: &str,
    recipe: &str,
) -> Result<(PathBuf, Report, tempfile::TempDir), Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("out.{format}"));
    let job = Job::from_json(&document(Path::new(url), format, recipe), Policy::Program).unwrap();
    let job = avocet::job(job).output(path.clone()).engine(engine);
    let report = watched(url, move || job.run());
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, usize::from(report.is_ok()), "files left by {url}");
    Ok((path, report?, folder))
}

#[test]
fn what_servers_do_wrong_is_mended_or_told() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    let clip_text = clip.to_string_lossy();
    let local = run(&engine(Reach::Public), &clip_text, "mov", r#""transcode""#).unwrap();
    let expected = fs::read(&local.0).unwrap();
    let mended = |fault: Fault| {
        let origin = Origin::new(&clip, fault.clone());
        let made = run(&engine(Reach::Any), &origin.url(), "mov", r#""transcode""#);
        let (path, report, _folder) = made.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert!(fs::read(path).unwrap() == expected, "{fault:?}");
        assert!(report.stats.requests > 0 && report.stats.bytes_fetched > 0, "{fault:?}");
        // Reading ahead takes a connection of its own.
        let all_is_well = fault == Fault::None;
        assert!(!all_is_well || origin.connections() <= 3, "{} connections", origin.connections());
    };
    mended(Fault::None);
    mended(Fault::CutEvery(100_000));
    mended(Fault::CutEvery(3_000_000));
    mended(Fault::First(2, 500, ""));
    mended(Fault::First(1, 503, ""));
    mended(Fault::First(1, 429, "Retry-After: 1\r\n"));
    mended(Fault::NoRanges);
    mended(Fault::LyingRanges);
    mended(Fault::Endless);
    mended(Fault::WrongRange);

    let told = |fault: Fault, code: &str, retryable: bool, words: &str| {
        let origin = Origin::new(&clip, fault.clone());
        let begun = Instant::now();
        let error = run(&engine(Reach::Any), &origin.url(), "mov", r#""transcode""#).err();
        let error = error.unwrap_or_else(|| panic!("{fault:?} is passed over"));
        let text = error.to_string();
        assert_eq!((error.code(), error.retryable()), (code, retryable), "{fault:?}: {text}");
        assert!(text.contains(words), "{fault:?}: {text}");
        assert!(!text.contains("Input/output") && begun.elapsed().as_secs() < 30, "{text}");
    };
    told(Fault::Always(500), "INPUT_UNREACHABLE", true, "500");
    told(Fault::AlwaysLater(503), "INPUT_UNREACHABLE", true, "503");
    told(Fault::First(99, 429, "Retry-After: 3600\r\n"), "INPUT_UNREACHABLE", true, "429");
    told(Fault::Always(404), "INPUT_UNREACHABLE", false, "404, Not Found");
    told(Fault::Always(401), "INPUT_UNREACHABLE", false, "401");
    told(Fault::AlwaysLater(403), "INPUT_UNREACHABLE", false, "403");
    told(Fault::WrongRangeLater, "INPUT_UNREACHABLE", false, "bytes");
    told(Fault::Short, "INPUT_UNREACHABLE", true, "broke off");
    told(Fault::Gzip, "INPUT_UNREACHABLE", false, "gzip");
    told(Fault::Drip, "INPUT_UNREACHABLE", true, "bytes per second");
    told(Fault::Stall, "INPUT_UNREACHABLE", true, "no data arrived");
    told(Fault::Silent, "INPUT_UNREACHABLE", true, "no data arrived");
    told(Fault::RedirectLoop, "INPUT_UNREACHABLE", false, "redirected more than 5 times");
    told(Fault::Redirect("ftp://127.0.0.1/a".into()), "LOCATION_REFUSED", false, "ftp:");
    told(Fault::Changes(1), "INPUT_UNREACHABLE", true, "changed");
    told(Fault::Changes(3), "INPUT_UNREACHABLE", true, "changed");
    told(Fault::Grows(3), "INPUT_UNREACHABLE", true, "changed");
}

#[test]
fn what_can_not_be_read_is_no_end() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    // libav takes a failed read for the end of the input, and derives a duration from what it has.
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [("a.ts", ""), ("a.mp4", "-movflags frag_keyframe+empty_moov")] {
        let clip = folder.path().join(name);
        remux("", &fixtures::get("counter-60s.mp4"), options, &clip);
        let half = fs::metadata(&clip).unwrap().len() / 2;
        let origin = Origin::new(&clip, Fault::Beyond(half, 404));
        let engine = engine(Reach::Any);
        let source = engine.open(&Location::Url(origin.url()), OpenOptions::default()).unwrap();
        let error = engine.probe(&source, ProbeOptions::default()).expect_err(name);
        assert_eq!((error.code(), error.step().name()), ("INPUT_UNREACHABLE", "fetch"), "{error}");
    }
    // A passthrough must also report the failure of its input.
    let clip = fixtures::get("counter-60s.mp4");
    let origin = Origin::new(&clip, Fault::Beyond(6_000_000, 404));
    let error = run(&engine(Reach::Any), &origin.url(), "mp4", r#""webReady""#).unwrap_err();
    assert_eq!((error.code(), error.step().name()), ("INPUT_UNREACHABLE", "fetch"), "{error}");
}

#[test]
fn an_observer_stops_a_copy() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let origin = Origin::new(&clip, Fault::None);
    let folder = tempfile::tempdir().unwrap();
    let (engine, cancel) = (engine(Reach::Any), CancelToken::new());
    let job = avocet::thumbnail(origin.url()).output(folder.path().join("a.jpg"));
    let mut plan = job.engine(&engine).plan().unwrap().plan;
    // This copy never ends by itself.
    let stalled = Origin::new(&clip, Fault::Stall);
    plan.inputs[0].location = Location::Url(stalled.url());
    plan.inputs[0].stage = true;
    let options = RunOptions::default().cancel(&cancel);
    let options = options.observe(|progress| match progress.fetched {
        Some(fetched) if fetched.total.is_some() => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(engine.run(&plan, options).unwrap_err().code(), "CANCELLED");
    assert!(!cancel.is_cancelled(), "the caller's token is his own");
}

#[test]
fn secrets_are_not_shown() {
    for url in [
        "https://me:secret@host/a.mp4?token=secret#secret",
        "https:///me:secret@host/a.mp4",
        "https://me:sec/secret@host/a.mp4",
        "https://secret:se?cret@host/a.mp4",
        "https://secret:se#cret@host/a.mp4",
        "ftp:me:secret@host/a.mp4",
        "https://host/a.mp4?mail=a@secret&signature=secret",
    ] {
        let shown = Location::Url(url.to_owned()).to_string();
        assert!(!shown.contains("secret") && shown.contains("://"), "{url} is shown as {shown}");
    }
    for url in ["https://host:8080/a@2x.mp4".replace("@2x", "-2x"), "https://[::1]:80/a".into()] {
        assert_eq!(Location::Url(url.clone()).to_string(), url);
    }
}

#[test]
fn what_is_too_large_is_not_copied() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    let remote =
        RemoteSettings { reach: Reach::Any, max_bytes: 1 << 20, ..RemoteSettings::default() };
    let engine = engine_with(remote);
    for fault in [Fault::NoRanges, Fault::EndlessWhole] {
        let origin = Origin::new(&clip, fault.clone());
        let error = run(&engine, &origin.url(), "mov", r#""transcode""#).unwrap_err();
        assert_eq!(
            (error.code(), error.retryable()),
            ("LIMIT_EXCEEDED", false),
            "{fault:?}: {error}"
        );
        // What the sockets hold counts as sent; it may be some megabytes.
        assert!(origin.bytes() < 32 << 20, "{fault:?}: {}", origin.bytes());
    }
    // The limit does not apply to inputs that are read in parts.
    let origin = Origin::new(&clip, Fault::None);
    run(&engine, &origin.url(), "mov", r#""transcode""#).unwrap();
}

#[test]
fn a_container_without_an_index_says_what_it_must_read() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.ts");
    let origin = Origin::new(&clip, Fault::None);
    let (_, report, _folder) =
        run(&engine(Reach::Any), &origin.url(), "mp4", r#""trim","startSeconds":1"#).unwrap();
    let told = report.plan.because.iter().find(|reason| reason.code == "INPUT_READ_WHOLE");
    let bytes = fs::metadata(&clip).unwrap().len();
    assert!(told.is_some_and(|told| told.message.contains(&format!("all {bytes} bytes"))));
}

#[test]
fn nobody_listening_and_no_such_name_are_told() {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let told = |url: &str, words: &str| {
        let place = Location::Url(url.to_owned());
        let error = engine(Reach::Any).open(&place, OpenOptions::default()).unwrap_err();
        let text = error.to_string();
        assert_eq!((error.code(), error.retryable()), ("INPUT_UNREACHABLE", true), "{text}");
        assert!(text.contains(words) && !text.contains("secret"), "{text}");
    };
    told(&format!("http://127.0.0.1:{port}/a.mp4?token=secret"), "refused");
    told("http://nobody.invalid/a.mp4", "nobody.invalid can not be resolved");
}

#[test]
fn a_plan_is_for_the_version_it_was_made_of() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let origin = Origin::new(&clip, Fault::None);
    let folder = tempfile::tempdir().unwrap();
    let job = avocet::thumbnail(origin.url()).output(folder.path().join("a.jpg"));
    let mut plan = job.engine(&engine(Reach::Any)).plan().unwrap().plan;
    assert_eq!(plan.inputs[0].version.as_deref(), Some("\"one\""));
    plan.inputs[0].version = Some("\"another\"".to_owned());
    let error = engine(Reach::Any).run(&plan, RunOptions::default()).unwrap_err();
    assert!(error.to_string().contains("changed"), "{error}");
}

#[test]
fn a_run_that_waits_for_the_network_is_cancelled_at_once() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    for fault in [Fault::Silent, Fault::Stall] {
        let origin = Origin::new(&clip, fault);
        let cancel = CancelToken::new();
        let engine = engine_with(RemoteSettings { reach: Reach::Any, ..RemoteSettings::default() });
        let folder = tempfile::tempdir().unwrap();
        let job = avocet::transcode(origin.url()).output(folder.path().join("out.mov"));
        let job = job.engine(&engine).cancel(&cancel);
        let running = std::thread::spawn(move || (job.run().map(drop), Instant::now()));
        wait::until("the server was asked", || origin.requests() > 0);
        let asked = Instant::now();
        cancel.cancel();
        let (result, ended) = running.join().unwrap();
        assert_eq!(result.unwrap_err().code(), "CANCELLED");
        // The aim is 20 ms; the limit is larger, since the machine may be busy.
        assert!(ended - asked < SOON, "{:?}", ended - asked);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_copy_goes_on_where_an_earlier_one_was_left() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("copy.mp4");
    let engine = engine(Reach::Any);
    let broken = Origin::new(&clip, Fault::CutThenAway(5_000_000));
    let error = engine.fetch(&broken.url(), &target, OpenOptions::default()).unwrap_err();
    assert!(error.retryable() && !target.exists(), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    // A changed file is fetched from its start.
    let changed = Origin::new(&clip, Fault::Changes(0));
    engine.fetch(&changed.url(), &target, OpenOptions::default()).unwrap();
    assert_eq!(changed.ranges()[1].0, 0);
    fs::remove_file(&target).unwrap();

    let whole = Origin::new(&clip, Fault::None);
    let mut last = 0;
    let options = OpenOptions::default().observe(|fetched| {
        assert!(fetched.bytes >= last.max(5_000_000) && fetched.total.is_some());
        last = fetched.bytes;
    });
    engine.fetch(&whole.url(), &target, options).unwrap();
    assert!(fs::read(&target).unwrap() == fs::read(&clip).unwrap());
    assert_eq!(whole.ranges()[1].0, 5_000_000);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_planner_chooses_what_is_copied() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let stages = |fault: Fault, format: &str, recipe: &str, asked: &str| {
        let origin = Origin::new(&clip, fault);
        let document = document(Path::new(&origin.url()), format, recipe);
        let document = document.replacen('{', &format!("{{{asked}"), 1);
        let job = Job::from_json(&document, Policy::Program).unwrap();
        let job = avocet::job(job).output(format!("out.{format}").as_str());
        job.engine(&engine(Reach::Any)).plan().unwrap().plan.inputs[0].stage
    };
    let check = |format: &str, recipe: &str, expected: [bool; 3]| {
        let asked = ["", r#""stageInput":true,"#, r#""stageInput":false,"#];
        let found = asked.map(|asked| stages(Fault::None, format, recipe, asked));
        assert_eq!(found, expected, "{recipe}");
        // Without range requests, the whole input was fetched when it was probed.
        assert!(!stages(Fault::NoRanges, format, recipe, asked[1]), "{recipe}");
    };
    check("mp4", r#""webReady""#, [false, false, false]);
    check("jpg", r#""thumbnail""#, [false, true, false]);
    check("mp4", r#""trim","startSeconds":1"#, [false, true, false]);
    check("m4a", r#""extractAudio""#, [false, true, false]);
    check("mp4", r#""transcode""#, [false, true, false]);
    check("mp4", r#""resize","width":160"#, [true, true, false]);
    check("mp4", r#""proxy""#, [true, true, false]);
    check("mp3", r#""transcode""#, [true, true, false]);
}

/// All spellings of this machine and of private networks that a URL allows.
fn private_urls(port: u16) -> Vec<String> {
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.255.255.254",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.1",
        "0177.1",
        "017700000001",
        "127.0.0.1.",
        "0",
        "0.0.0.0",
        "0x0",
        "00000000000",
        "10.0.0.1",
        "10.1",
        "167772161",
        "0xa000001",
        "012.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "2886729729",
        "192.168.0.1",
        "192.168.257",
        "3232235521",
        "0xc0a80001",
        "0300.0250.0.1",
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "100.64.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "[::ffff:a00:1]",
        "[::ffff:169.254.169.254]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::1]",
        "[2001::1]",
        "[2001:db8::1]",
        "[3fff::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[100::1]",
        "[5f00::1]",
        "localhost",
        "LOCALHOST",
        "１２７.0.0.1",
        "127。0。0。1",
        "%31%32%37.0.0.1",
        "user@127.0.0.1",
        "8.8.8.8@127.0.0.1",
    ];
    hosts.iter().map(|host| format!("https://{host}:{port}/a.mp4")).collect()
}

#[test]
fn private_addresses_are_refused_however_they_are_written() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let engine = engine(Reach::Public);
    let check = |url: &str| {
        let refused = engine.open(&Location::Url(url.to_owned()), OpenOptions::default());
        let error = refused.err().unwrap_or_else(|| panic!("{url} is opened"));
        assert_eq!(error.code(), "LOCATION_REFUSED", "{url}: {error}");
        assert!(!error.to_string().contains("build"), "{error}");
    };
    let urls = private_urls(port);
    assert!(urls.len() >= 60);
    for url in &urls {
        check(url);
    }
    // The credentials of this machine are not used for object stores.
    for scheme in ["s3", "gs", "az"] {
        check(&format!("{scheme}://bucket/a.mp4"));
    }
    // Only `https:` is allowed, whatever the address.
    for scheme in ["http", "ftp", "gopher", "data", "file", "dict", "ws"] {
        check(&format!("{scheme}://example.invalid:{port}/a.mp4"));
    }
    assert!(listener.accept().is_err(), "somebody was let through");
}

#[test]
fn the_program_goes_where_its_user_says_and_no_further() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-h264-aac.mp4");
    let inner = Origin::new(&clip, Fault::None);
    // A private host that the user named may redirect to another one.
    let outer = Origin::new(&clip, Fault::Redirect(inner.url()));
    run(&engine(Reach::Named), &outer.url(), "jpg", r#""thumbnail""#).unwrap();
    assert!(inner.connections() > 0);
}

/// Writes a movie with a hole of `hole` bytes within its media to a file.
fn with_hole(movie: &Path, hole: u64, moov_first: bool, made: &Path) {
    use std::os::unix::fs::FileExt;
    let bytes = fs::read(movie).unwrap();
    let order = judge::box_order(movie);
    let part = |kind: &str| {
        let (_, at, size) = order.iter().find(|(found, ..)| found == kind).unwrap();
        usize::try_from(*at).unwrap()..usize::try_from(at + size).unwrap()
    };
    let (ftyp, media, mut moov) = (part("ftyp"), part("mdat"), bytes[part("moov")].to_vec());
    let before = if moov_first { moov.len() } else { 0 };
    let middle = media.start + media.len() / 2;
    let mut first_behind = media.end;
    let mut tables = Vec::new();
    let mut at = 0;
    while let Some(found) = moov[at..].windows(4).position(|code| code == b"stco") {
        let begin = at + found + 4;
        let count = u32::from_be_bytes(moov[begin + 4..begin + 8].try_into().unwrap()) as usize;
        tables.extend((0..count).map(|row| begin + 8 + row * 4));
        at = begin;
    }
    let place = |moov: &[u8], row: usize| {
        u32::from_be_bytes(moov[row..row + 4].try_into().unwrap()) as usize
    };
    for &row in &tables {
        let chunk = place(&moov, row);
        if chunk >= middle {
            first_behind = first_behind.min(chunk);
        }
    }
    for &row in &tables {
        let chunk = place(&moov, row);
        let moved = (chunk - media.start + ftyp.len() + before) as u64;
        let moved = if chunk >= first_behind { moved + hole } else { moved };
        moov[row..row + 4].copy_from_slice(&u32::try_from(moved).unwrap().to_be_bytes());
    }
    let file = fs::File::create(made).unwrap();
    let mut at = 0;
    let mut write = |bytes: &[u8]| {
        file.write_all_at(bytes, at).unwrap();
        at += bytes.len() as u64;
    };
    write(&bytes[ftyp]);
    if moov_first {
        write(&moov);
    }
    let size = u32::try_from(media.len() as u64 + hole).unwrap();
    write(&[&size.to_be_bytes(), &b"mdat"[..], &bytes[media.start + 8..first_behind]].concat());
    at += hole;
    let mut write = |bytes: &[u8]| {
        file.write_all_at(bytes, at).unwrap();
        at += bytes.len() as u64;
    };
    write(&bytes[first_behind..media.end]);
    if !moov_first {
        write(&moov);
    }
}

#[test]
fn a_thumbnail_reads_little_of_a_long_input() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    let clip = fixtures::get("counter-60s.mp4");
    let folder = tempfile::tempdir().unwrap();
    let expected = crate::support::run(&clip, "png", r#""thumbnail","seekSeconds":30"#).unwrap();
    for moov_first in [true, false] {
        let long = folder.path().join("long.mp4");
        with_hole(&clip, 2_000_000_000, moov_first, &long);
        let length = fs::metadata(&long).unwrap().len();
        let origin = Origin::new(&long, Fault::None);
        let made =
            run(&engine(Reach::Any), &origin.url(), "png", r#""thumbnail","seekSeconds":30"#);
        let (path, report, _folder) = made.unwrap();
        assert_eq!(fs::read(path).unwrap(), fs::read(&expected.path).unwrap());
        let (requests, bytes) = (origin.requests(), origin.bytes());
        assert!(bytes < length / 100 && requests < 20, "{bytes} bytes, {:?}", origin.ranges());
        assert_eq!(report.stats.requests, requests);
    }
    // Matroska cues, in a clip that is short enough to make.
    let long = folder.path().join("long.mkv");
    remux("-stream_loop 39", &clip, "", &long);
    let length = fs::metadata(&long).unwrap().len();
    let origin = Origin::new(&long, Fault::None);
    let made = run(&engine(Reach::Any), &origin.url(), "png", r#""thumbnail","seekSeconds":1200"#);
    let (path, _, _folder) = made.unwrap();
    assert!(judge::picture(path).width > 0);
    let (requests, bytes) = (origin.requests(), origin.bytes());
    assert!(bytes < length / 100 && requests < 20, "{bytes} bytes, {:?}", origin.ranges());
}
