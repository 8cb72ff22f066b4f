//! The service behind nginx, configured as `deploy/nginx.conf` says: with TLS, and below a prefix.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use fixtures::wait::later::until_some;

use crate::{
    clients::goes,
    place::{Origin, Service, answer, thumbnail},
};

/// A process that is ended when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn behind_nginx_all_urls_lead_back_to_the_service() {
    if !fixtures::has_ffmpeg!() {
        return;
    }
    for (program, argument) in [("openssl", "version"), ("nginx", "-v")] {
        if !goes(program, &[argument]) {
            fixtures::skip(fixtures::test_name!(), program, &format!("there is no {program}"));
            return;
        }
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base = format!("https://localhost:{port}/avocet");
    let variables = [("AVOCET_SERVE_PUBLIC_URL", base.as_str())];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let origin = Origin::start().await;
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"])
        .args(["/CN=localhost", "-keyout", &place("key.pem"), "-out", &place("cert.pem")])
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let ours = include_str!("../../../deploy/nginx.conf")
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
        .replace("media.example;", "localhost;")
        .replace("/etc/ssl/media.example.pem", &place("cert.pem"))
        .replace("/etc/ssl/private/media.example.key", &place("key.pem"))
        .replace("http://127.0.0.1:8080", &service.base);
    assert!(!ours.contains(":8080") && !ours.contains("/etc/ssl"), "{ours}");
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = temporary.map(|kind| format!("{kind}_temp_path {};", place(kind))).concat();
    let configuration = format!(
        "daemon off; master_process off; pid {}; error_log {}; events {{}} \
         http {{ access_log off; {temporary} {ours} }}",
        place("pid"),
        place("errors"),
    );
    fs::write(place("nginx.conf"), configuration).unwrap();
    let mut nginx = Command::new("nginx");
    nginx.args(["-c", &place("nginx.conf"), "-e", &place("errors")]);
    let _nginx = Running(nginx.spawn().unwrap());

    let _ = rustls::crypto::ring::default_provider().install_default();
    // The certificate is of the test's own making.
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build().unwrap();
    let ask = |method: &str, url: &str| {
        client.request(method.parse().unwrap(), url).bearer_auth(&service.key)
    };
    let up = until_some("nginx answers", async || {
        client.get(format!("{base}/healthz")).send().await.ok()
    });
    assert_eq!(up.await.status(), 200);
    assert_eq!(client.get(format!("{base}/metrics")).send().await.unwrap().status(), 200);
    // The page of the API, and the document that it loads, whose server is this one.
    for path in ["/", "/docs/", "/docs/swagger-initializer.js"] {
        let page = client.get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        let text = page.text().await.unwrap();
        assert!(!path.ends_with("js") || text.contains("\"../openapi.json\""), "{text}");
    }
    let (_, api) = answer(ask("GET", &format!("{base}/openapi.json"))).await;
    assert_eq!(api["servers"][0]["url"], json!(base));

    let job = thumbnail(&origin.url("counter-h264-aac.mp4"));
    let (status, made) = answer(ask("POST", &format!("{base}/v1/jobs")).json(&job)).await;
    assert_eq!(status, 202, "{made}");
    let path = format!("{base}/v1/jobs/{}", made["jobId"].as_str().unwrap());
    // Events come through, up to the end of the job.
    let (_, events) = answer(ask("POST", &format!("{path}/events-url"))).await;
    let url = events["url"].as_str().unwrap();
    assert!(url.starts_with(&base), "{url}");
    let told = client.get(url).send().await.unwrap().text().await.unwrap();
    assert!(told.contains("\"completed\""), "{told}");
    let (_, job): (u16, Value) = answer(ask("GET", &path)).await;
    let url = job["output"]["signedUrl"].as_str().unwrap();
    assert!(url.starts_with(&base), "{url}");
    let output = client.get(url).header("range", "bytes=0-1").send().await.unwrap();
    assert_eq!(output.status(), 206);
    assert_eq!(output.headers()["x-request-id"].len(), 32, "nginx names the request");
    assert_eq!(&output.bytes().await.unwrap()[..], [0xff, 0xd8]);

    // Uploads may be long, and the relative place of one leads to it.
    let uploads = format!("{base}/v1/uploads");
    let begun = ask("POST", &uploads).header("Tus-Resumable", "1.0.0");
    let begun = begun.header("Upload-Length", 3 << 20).send().await.unwrap();
    let place = begun.url().join(begun.headers()["location"].to_str().unwrap()).unwrap();
    let part = ask("PATCH", place.as_str()).header("Upload-Offset", 0);
    let part = part.header("Content-Type", "application/offset+octet-stream");
    let sent = part.body(vec![0; 3 << 20]).send().await.unwrap();
    assert_eq!(
        (sent.status().as_u16(), &sent.headers()["upload-offset"]),
        (204, &"3145728".parse().unwrap())
    );
}
