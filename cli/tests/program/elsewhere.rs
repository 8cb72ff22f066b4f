//! Inputs by URL, from other people's servers; files that inputs refer to must stay closed.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use fixtures::wait;

use crate::room::{Room, room};

/// A server that is killed when this is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts a server, and waits until it accepts connections.
    fn start(command: &mut Command, port: u16) -> Self {
        let server = Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
        wait::until("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn has(program: &str, flag: &str, name: &str) -> bool {
    let there = Command::new(program).arg(flag).output().is_ok();
    if !there {
        fixtures::skip(name, program, &format!("the program {program} is not installed"));
    }
    there
}

/// Makes an authority and its certificate for `localhost`: `ca.pem`, `key.pem`, `cert.pem`.
fn certify(folder: &Path) {
    let openssl = |line: &str| {
        let made = Command::new("openssl").args(line.split(' ')).current_dir(folder).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{line}: {}", String::from_utf8_lossy(&made.stderr));
    };
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {new} -keyout ca.key -out ca.pem -subj /CN=test -days 2"));
    let name = "-subj /CN=localhost -addext subjectAltName=DNS:localhost";
    openssl(&format!("req {new} -keyout key.pem -out asked.pem {name}"));
    openssl(
        "x509 -req -in asked.pem -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy \
         -out cert.pem -days 2",
    );
}

/// The thumbnail of a URL, by a program that trusts the test's authority, and the run's stats.
fn picture(room: &mut Room, url: &str) -> (Vec<u8>, serde_json::Value) {
    let trust = format!("SSL_CERT_FILE={}", room.path("ca.pem").display());
    let temporary = tempfile::tempdir().unwrap();
    let place = format!("TMPDIR={}", temporary.path().display());
    room.behind(fixtures::program!(), &["env", &trust, &place]);
    // Copies of inputs must be removed after a probe and a plan.
    room.succeed(&format!("probe {url}"));
    room.succeed(&format!("thumbnail {url} --plan"));
    let left: Vec<_> = fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    let answer = room.succeed(&format!("thumbnail {url} -o out.png --seek-seconds 1"));
    (fs::read(room.path("out.png")).unwrap(), answer["stats"].clone())
}

#[test]
fn tls_is_spoken_to_those_who_are_known() {
    let Some(mut room) = room!("counter-h264-aac.mp4") else { return };
    if !has("openssl", "version", fixtures::test_name!()) {
        return;
    }
    room.succeed("thumbnail counter-h264-aac.mp4 -o expected.png --seek-seconds 1");
    let expected = fs::read(room.path("expected.png")).unwrap();
    certify(room.path("").as_path());
    let port = free_port();
    // This server ignores ranges, and does not state the length of files.
    let mut server = Command::new("openssl");
    server.args(["s_server", "-WWW", "-quiet", "-cert", "cert.pem", "-key", "key.pem", "-accept"]);
    server.arg(port.to_string()).current_dir(room.path("")).stderr(Stdio::null());
    let _server = Server::start(&mut server, port);

    let url = format!("https://localhost:{port}/counter-h264-aac.mp4");
    let words = ["certificate"];
    let stranger = format!("thumbnail {url} -o out.png");
    room.check_failure(&stranger, "1 INPUT_UNREACHABLE in fetch, retryable", &words);
    let other = format!("thumbnail https://127.0.0.1:{port}/counter-h264-aac.mp4 -o out.png");
    room.check_failure(&other, "1 INPUT_UNREACHABLE in fetch, retryable", &words);
    assert!(picture(&mut room, &url).0 == expected);
}

#[test]
fn nginx_is_asked_for_ranges() {
    let Some(mut room) = room!("counter-60s.mp4") else { return };
    let name = fixtures::test_name!();
    if !has("openssl", "version", name) || !has("nginx", "-v", name) {
        return;
    }
    room.succeed("thumbnail counter-60s.mp4 -o expected.png --seek-seconds 1");
    let expected = fs::read(room.path("expected.png")).unwrap();
    certify(room.path("").as_path());
    let (port, folder) = (free_port(), room.path(""));
    let folder = folder.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|kind| format!("{kind}_temp_path {folder}/temp-{kind};"));
    let configuration = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors; events {{}}
         http {{ access_log off; {} server {{
           listen 127.0.0.1:{port} ssl; server_name localhost; root {folder};
           ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
           gzip on; gzip_types *; default_type video/mp4;
           location /whole/ {{ alias {folder}/; max_ranges 0; }}
           location /elsewhere/ {{ return 302 /counter-60s.mp4; }}
         }} }}",
        temporary.join(" ")
    );
    room.write("nginx.conf", configuration);
    let mut server = Command::new("nginx");
    server.arg("-c").arg(room.path("nginx.conf")).arg("-e").arg(room.path("errors"));
    let _server = Server::start(&mut server, port);

    let length = fs::metadata(room.path("counter-60s.mp4")).unwrap().len();
    let base = format!("https://localhost:{port}");
    for (path, reads_all) in
        [("counter-60s.mp4", false), ("elsewhere/", false), ("whole/counter-60s.mp4", true)]
    {
        let (found, stats) = picture(&mut room, &format!("{base}/{path}"));
        assert!(found == expected, "{path}");
        let bytes = stats["bytes_fetched"].as_u64().unwrap();
        assert_eq!(bytes >= length, reads_all, "{path}: {stats}");
        assert!(stats["requests"].as_u64().unwrap() < 20, "{path}: {stats}");
    }
    let missing = format!("thumbnail {base}/none.mp4 -o none.png --json");
    room.run(&missing).check_refusal(&missing, "1 INPUT_UNREACHABLE in fetch", &["404"]);
}

#[test]
fn what_an_input_names_stays_closed() {
    let Some(mut room) = room!("counter-h264-aac.mp4") else { return };
    if !has("strace", "-V", fixtures::test_name!()) {
        return;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = format!("http://127.0.0.1:{port}/a");
    room.write("secret.mp4", fs::read(room.path("counter-h264-aac.mp4")).unwrap());
    let secret = room.path("secret.mp4").display().to_string();
    for target in ["/etc/passwd", &secret, &address] {
        let list =
            format!("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n");
        room.write("list.m3u8", list);
        room.write("key.m3u8", format!("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXT-X-KEY:METHOD=AES-128,URI=\"{target}\"\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n"));
        room.write("list.txt", format!("ffconcat version 1.0\nfile '{target}'\n"));
        room.write("movie.mpd", format!("<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" mediaPresentationDuration=\"PT5S\"><Period><AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1\"><BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"));
        room.write("picture.svg", format!("<?xml version=\"1.0\"?><svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"99\" height=\"99\"><image xlink:href=\"{target}\" width=\"9\" height=\"9\"/></svg>"));
        room.write("title.ass", format!("[Script Info]\nScriptType: v4.00+\n[Fonts]\nfontname: {target}\n[Events]\nFormat: Start, End, Text\nDialogue: 0:00:00.00,0:00:05.00,{target}\n"));
        room.write("stream.sdp", format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns={target}\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"));
        room.write("list.pls", format!("[playlist]\nFile1={target}\nNumberOfEntries=1\n"));
        room.write("list.edl", format!("# mpv EDL v0\n{target},0,5\n"));
        room.write("image-001.png", b"");
        let trace = room.path("trace").display().to_string();
        let launcher = ["strace", "-f", "-qq", "-e", "trace=open,openat,connect", "-o", &trace];
        room.behind(fixtures::program!(), &launcher);
        for name in [
            "list.m3u8",
            "key.m3u8",
            "list.txt",
            "movie.mpd",
            "picture.svg",
            "title.ass",
            "stream.sdp",
            "list.pls",
            "list.edl",
            "image-%03d.png",
            "concat:secret.mp4|secret.mp4",
            "subfile,,start,0,end,99,,:secret.mp4",
        ] {
            for command in ["probe", "thumbnail"] {
                let ended = room.run(&format!("{command} {name}"));
                // Some of these files can be probed as text. None yields a thumbnail, except that
                // libav may draw an SVG without the image that it refers to.
                let draws = name == "picture.svg";
                let makes_none = draws || command != "thumbnail" || ended.status != Some(0);
                assert!(makes_none, "{command} {name}: {}", ended.stdout);
                let opened = fs::read_to_string(room.path("trace")).unwrap();
                for line in opened.lines() {
                    let is_named = line.contains("passwd") || line.contains("secret.mp4\"");
                    let is_network = line.contains("AF_INET");
                    assert!(!is_named && !is_network, "{command} {name} of {target}: {line}");
                }
                assert!(opened.contains("openat"), "nothing was traced");
            }
        }
    }
    assert!(listener.accept().is_err(), "somebody called");
}
