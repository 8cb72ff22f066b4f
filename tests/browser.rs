//! Results of `webReady` and smart cuts play in headless Chromium, from a local server.
//!
//! Skipped by name if there is no `chromium` program.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use fixtures::judge;

use crate::support::run;

/// How long a page may take. Clips are played at four times their speed.
const PATIENCE: Duration = Duration::from_secs(90);

const PAGE: &str = r#"<!doctype html><video id="v" src="/clip" preload="auto"></video><script>
const v = document.getElementById('v');
let told = false;
function tell(state) {
  if (told) return;
  told = true;
  const quality = v.getVideoPlaybackQuality();
  const facts = [state, v.videoWidth, v.videoHeight, v.duration, quality.totalVideoFrames,
                 quality.corruptedVideoFrames, v.webkitAudioDecodedByteCount];
  fetch('/done?' + facts.join(','));
}
v.onended = () => tell('ended');
v.onerror = () => tell('error' + v.error.code);
v.playbackRate = 4;
v.play().catch(error => tell('refused:' + error.name));
</script>"#;

/// What the page reports of its video.
#[derive(Debug)]
struct Played {
    state: String,
    width: f64,
    height: f64,
    duration: f64,
    frames: f64,
    corrupted: f64,
    audio_bytes: f64,
}

struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn has_chromium() -> bool {
    let version = Command::new("chromium").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Plays a file to its end.
fn play(clip: &Path) -> Played {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, answers) = mpsc::channel();
    let path = clip.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (path, sender) = (path.clone(), sender.clone());
            // A browser closes connections whenever it has enough data.
            thread::spawn(move || serve(stream, &path, &sender).ok());
        }
    });
    let profile = tempfile::tempdir().unwrap();
    let child = Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio"])
        .args(["--autoplay-policy=no-user-gesture-required", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{address}/"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let browser = Browser(child);
    let told = answers.recv_timeout(PATIENCE);
    drop(browser);
    let told = told.unwrap_or_else(|_| panic!("{} is not played to its end", clip.display()));
    let facts: Vec<&str> = told.split(',').collect();
    let number = |place: usize| facts[place].parse::<f64>().unwrap_or(0.0);
    Played {
        state: facts[0].to_owned(),
        width: number(1),
        height: number(2),
        duration: number(3),
        frames: number(4),
        corrupted: number(5),
        audio_bytes: number(6),
    }
}

/// Answers one request: with the page, with a range of the clip, or by taking the page's report.
fn serve(mut stream: TcpStream, clip: &Path, sender: &mpsc::Sender<String>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let target = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut start = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.split('-').next().and_then(|from| from.parse::<u64>().ok());
        }
    }
    if let Some(told) = target.strip_prefix("/done?") {
        let _ = sender.send(told.to_owned());
        return stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    }
    if target != "/clip" {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n";
        return stream.write_all(format!("{head}{PAGE}").as_bytes());
    }
    let mut file = fs::File::open(clip)?;
    let size = file.metadata()?.len();
    let from = start.unwrap_or(0).min(size.saturating_sub(1));
    file.seek(SeekFrom::Start(from))?;
    let status = if start.is_some() { "206 Partial Content" } else { "200 OK" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: video/mp4\r\nAccept-Ranges: bytes\r\n\
         Content-Length: {}\r\nContent-Range: bytes {from}-{}/{size}\r\nConnection: close\r\n\r\n",
        size - from,
        size - 1,
    )?;
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    stream.write_all(&rest)
}

#[test]
fn what_web_ready_makes_plays_in_chromium() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    if !has_chromium() {
        fixtures::skip(fixtures::test_name!(), "chromium", "there is no `chromium` program");
        return;
    }
    let made = [
        "counter-h264-aac.mp4",
        "no-faststart.mp4",
        "counter-h264-aac.mkv",
        "counter-h264-aac.ts",
        "h264-10bit.mp4",
        "hevc-aac.mp4",
        "vp9-opus.webm",
        "vp8-vorbis.webm",
        "av1-aac.mp4",
        "mpeg2-tff.ts",
        "mpeg4-mp3.avi",
        "prores-pcm.mov",
        "dnxhr-pcm.mov",
        "ffv1-flac.mkv",
        "mjpeg-pcm.avi",
        "animated.gif",
        "vfr.mp4",
        "both-edits.mp4",
        "late-audio.mp4",
    ];
    let clips = made.into_iter().map(fixtures::get);
    // A damaged stream is copied as it is. A browser may stop where a decoder conceals the damage.
    let is_whole = |clip: &PathBuf| !clip.ends_with("corrupted.mp4");
    let real = fixtures::media_clips().into_iter().filter(is_whole).filter(|_| fixtures::soak());
    for clip in fixtures::sample(clips.chain(real), 6) {
        let name = clip.display();
        let Ok(made) = run(&clip, "mp4", r#""webReady""#) else { continue };
        let probe = judge::probe(&made.path);
        let played = play(&made.path);
        let is_clean = played.state == "ended" && played.corrupted < 1.0;
        assert!(is_clean, "{name}: {played:?}");
        let video = probe.video();
        let size = if video.rotation % 180 == 0 {
            (video.width, video.height)
        } else {
            (video.height, video.width)
        };
        let (width, height) = (f64::from(size.0), f64::from(size.1));
        let is_right = (played.width - width).abs() + (played.height - height).abs() < 1.0;
        assert!(is_right, "{name}: {played:?}, not {width}x{height}");
        let duration = probe.duration.unwrap();
        assert!((played.duration - duration).abs() < 0.1, "{name}: {played:?}, not {duration} s");
        assert!(played.frames > 0.0, "{name}: {played:?}");
        let has_sound = probe.of_kind("audio").next().is_some();
        assert_eq!(played.audio_bytes > 0.0, has_sound, "{name}: {played:?}");
    }
}

/// Chromium decodes no HEVC without hardware, and no MPEG-2.
#[test]
fn smart_cuts_play_in_chromium() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    if !has_chromium() {
        fixtures::skip(fixtures::test_name!(), "chromium", "there is no `chromium` program");
        return;
    }
    let plays = |name: &&str| {
        let is_ours = ["h264base", "h264main", "h264high-", "h264high10", "vp9", "av1"]
            .iter()
            .any(|codec| name.contains(codec));
        is_ours && !name.contains("open") && !name.contains(".mov")
    };
    for name in fixtures::sample(fixtures::groups().filter(plays), 9) {
        let clip = fixtures::get(name);
        let format = if name.contains(".webm") { "webm" } else { "mp4" };
        let recipe = r#""trim","startSeconds":0.52,"durationSeconds":2.64"#;
        let made = run(&clip, format, recipe).unwrap();
        assert_eq!(made.report.plan.tracks().next().unwrap().action.name(), "copy", "{name}");
        let played = play(&made.path);
        let is_clean = played.state == "ended" && played.corrupted < 1.0;
        assert!(is_clean && (played.duration - 2.64).abs() < 0.05, "{name}: {played:?}");
        // A browser may show the last frame before it counts it.
        assert!(played.frames >= 64.0, "{name}: {played:?}");
    }
}
