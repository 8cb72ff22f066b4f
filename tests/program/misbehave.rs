//! A stand-in for the ffmpeg program that misbehaves on demand. The kind is its last argument but
//! two; the paths of the input and the output follow.

#![expect(clippy::disallowed_methods, reason = "it stands in for a program of somebody else")]

use std::{env, fs, io::Write, process, thread, time::Duration};

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let file = |at: usize| words.get(at).and_then(|word| word.strip_prefix("file:"));
    let [.., word, _, _] = &words[..] else { process::exit(3) };
    let (input, output) = (file(words.len() - 2), file(words.len() - 1));
    let mut errors = std::io::stderr();
    match word.as_str() {
        // If a child process is allowed, there are two that hang.
        "hang" => {
            let _ = process::Command::new("/proc/self/exe").args(["x", "hang", "a", "b"]).spawn();
            loop {
                thread::park();
            }
        }
        "fork" => {
            let child = process::Command::new("/bin/true").spawn();
            let own = process::Command::new(env::current_exe().unwrap_or_default()).spawn();
            let _ = write!(errors, "{} {}", child.is_err(), own.is_err());
            process::exit(7);
        }
        "flood" => {
            let line = vec![b'x'; 1 << 16];
            for _ in 0..1024 {
                let _ = errors.write_all(&line);
            }
            let _ = errors.write_all(b"\nthe last line\n");
            process::exit(1);
        }
        "fill" => {
            let block = vec![0; 1 << 20];
            for number in 0.. {
                let name = format!("part-{number}");
                for _ in 0..4 {
                    let file = fs::OpenOptions::new().create(true).append(true).open(&name);
                    let Ok(()) = file.and_then(|mut file| file.write_all(&block)) else { return };
                }
                thread::park_timeout(Duration::from_millis(5));
            }
        }
        "grow" => {
            let block = vec![1; 1 << 20];
            let file = output.and_then(|name| fs::File::create(name).ok());
            let Some(mut file) = file else { return };
            while file.write_all(&block).is_ok() {}
            let _ = writeln!(errors, "File too large");
            process::exit(1);
        }
        "eat" => {
            let mut eaten = Vec::new();
            loop {
                eaten.push(vec![1_u8; 16 << 20]);
                thread::park_timeout(Duration::from_millis(5));
            }
        }
        "signal" => process::abort(),
        "nothing" => {}
        "empty" => drop(output.map(fs::File::create)),
        "rubbish" => drop(output.map(|name| fs::write(name, "no media"))),
        "other" => {
            let _ = writeln!(errors, "ffmpeg version 99.0 Copyright");
            let copied = input
                .zip(output)
                .map(|(from, to)| fs::read(from).and_then(|bytes| fs::write(to, bytes)));
            process::exit(if matches!(copied, Some(Ok(()))) { 0 } else { 4 });
        }
        "look" => {
            // Actions that the sandbox must prevent.
            let is_open = |path: &str| fs::read(path).is_ok();
            let _ = writeln!(
                errors,
                "passwd {} environment {} write {} socket {}",
                is_open("/etc/passwd"),
                env::vars_os().count(),
                fs::write("/tmp/avocet-escaped", "x").is_ok(),
                std::net::TcpListener::bind("127.0.0.1:0").is_ok(),
            );
            process::exit(5);
        }
        "link" => {
            let link = std::os::unix::fs::symlink("/etc/passwd", "link").is_ok();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o6777);
            let chmod = output.is_some_and(|name| {
                fs::write(name, "x").and_then(|()| fs::set_permissions(name, mode)).is_ok()
            });
            let _ = writeln!(errors, "link {link} mode {chmod}");
            process::exit(6);
        }
        "long" => {
            let block = vec![b'x'; 1 << 20];
            let mut out = std::io::stdout();
            for _ in 0..200 {
                let _ = out.write_all(&block);
            }
        }
        "many" => {
            for number in 0.. {
                if fs::write(format!("file-{number}"), "x").is_err() {
                    return;
                }
            }
        }
        "lie" => {
            let _ = writeln!(errors, "No space left on device");
            process::exit(1);
        }
        _ => process::exit(3),
    }
}
