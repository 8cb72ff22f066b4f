//! What a worker can do that somebody has taken over: nothing outside of its folder.

use std::{fs, path::Path};

use avocet_service::door::{Argument, Call, Trial, missing, through};
use nix::libc;
use serde_json::json;

use crate::place::{Origin, Service, document, thumbnail};

fn call(number: i64, arguments: Vec<Argument>) -> Call {
    Call { number, arguments }
}

fn number(value: impl TryInto<i64>) -> Argument {
    let value = value.try_into().unwrap_or_default();
    Argument::Number(value.cast_unsigned())
}

fn text(path: &Path) -> Argument {
    Argument::Text(path.to_str().unwrap().to_owned())
}

fn open(path: &Path, flags: i32) -> Call {
    let arguments = vec![number(libc::AT_FDCWD), text(path), number(flags), number(0o600)];
    call(libc::SYS_openat, arguments)
}

/// What a worker tries, by name. The first ones succeed.
fn attempts(data: &Path, other: &Path, own: &Path, service: u32) -> Vec<(String, Call)> {
    let (read, write) = (libc::O_RDONLY, libc::O_WRONLY | libc::O_CREAT);
    let mut attempts = Vec::new();
    let mut attempt = |name: &str, call: Call| attempts.push((name.to_owned(), call));
    attempt("make a file", open(&own.join("file"), write));
    attempt("read it", open(&own.join("file"), read));
    attempt("read a library", open(Path::new("/etc/ld.so.cache"), read));

    for name in ["avocet.db", "keys", "api-key", "lock"] {
        attempt(&format!("read {name}"), open(&data.join(name), read));
        attempt(&format!("write {name}"), open(&data.join(name), libc::O_RDWR));
    }
    attempt("list the data folder", open(data, read | libc::O_DIRECTORY));
    attempt("read another job's file", open(&other.join("file"), read));
    attempt("make a file for another job", open(&other.join("mine"), write));
    attempt("read the system's files", open(Path::new("/etc/passwd"), read));
    let process = Path::new("/proc").join(service.to_string());
    for name in ["environ", "mem", "maps", "fd/0", "cmdline"] {
        attempt(&format!("read {name} of the service"), open(&process.join(name), read));
    }
    for (name, family) in
        [("internet", libc::AF_INET), ("unix", libc::AF_UNIX), ("netlink", libc::AF_NETLINK)]
    {
        let arguments = vec![number(family), number(libc::SOCK_STREAM), number(0)];
        attempt(&format!("a socket: {name}"), call(libc::SYS_socket, arguments));
    }
    let pair = vec![number(libc::AF_INET), number(1), number(0), Argument::Zeros(8)];
    attempt("a pair of sockets", call(libc::SYS_socketpair, pair));
    attempt(
        "send a file",
        call(libc::SYS_sendmsg, vec![number(0), Argument::Zeros(56), number(0)]),
    );
    attempt(
        "receive one",
        call(libc::SYS_recvmsg, vec![number(0), Argument::Zeros(56), number(0)]),
    );
    let address = vec![number(0), Argument::Zeros(1), number(1), number(0), Argument::Zeros(16)];
    attempt("send to an address", call(libc::SYS_sendto, address));
    attempt("signal the service", call(libc::SYS_kill, vec![number(service), number(0)]));
    attempt("signal its group", call(libc::SYS_kill, vec![number(-i64::from(service)), number(0)]));
    attempt("signal all", call(libc::SYS_kill, vec![number(-1), number(0)]));
    attempt("trace it", call(libc::SYS_ptrace, vec![number(16), number(service)]));
    let zeros = || Argument::Zeros(64);
    let arguments = vec![number(service), zeros(), number(1), zeros(), number(1), number(0)];
    attempt("read its memory", call(libc::SYS_process_vm_readv, arguments.clone()));
    attempt("write its memory", call(libc::SYS_process_vm_writev, arguments));
    attempt("open it", call(libc::SYS_pidfd_open, vec![number(service), number(0)]));
    let limit = vec![number(service), number(libc::RLIMIT_NOFILE), zeros(), number(0)];
    attempt("limit it", call(libc::SYS_prlimit64, limit));
    for program in ["/bin/sh", "/usr/bin/env"] {
        let arguments = vec![text(Path::new(program)), number(0), number(0)];
        attempt(&format!("become {program}"), call(libc::SYS_execve, arguments));
    }
    attempt("leave its group", call(libc::SYS_setsid, vec![]));
    attempt("other namespaces", call(libc::SYS_unshare, vec![number(libc::CLONE_NEWUSER)]));
    let namespace = vec![number(libc::CLONE_NEWUSER | libc::SIGCHLD)];
    attempt("a process in others", call(libc::SYS_clone, namespace));
    attempt("another user", call(libc::SYS_setuid, vec![number(1)]));
    attempt(
        "a folder",
        call(libc::SYS_mkdirat, vec![number(libc::AT_FDCWD), text(&own.join("a"))]),
    );
    let link = vec![text(&data.join("keys")), number(libc::AT_FDCWD), text(&own.join("link"))];
    attempt("a link", call(libc::SYS_symlinkat, link));
    let mode = vec![number(libc::AT_FDCWD), text(&own.join("file")), number(0o4755)];
    attempt("a program of its owner", call(libc::SYS_fchmodat, mode));
    attempt("set that on an open file", call(libc::SYS_fchmod, vec![number(1), number(0o4755)]));
    attempt("kernel memory", call(libc::SYS_bpf, vec![number(0), zeros(), number(64)]));
    attempt("a ring of calls", call(libc::SYS_io_uring_setup, vec![number(1), zeros()]));
    attempt("a file in memory", call(libc::SYS_memfd_create, vec![text(own), number(0)]));
    attempts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_taken_over_reaches_its_own_folder_only() {
    if let Some(missing) = missing() {
        println!("skipped: {missing}");
        return;
    }
    let service = Service::start();
    let data = service.data.path().canonicalize().unwrap();
    // Where another worker of this service has its outputs.
    let other = data.join("work").join("other");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("file"), "secret").unwrap();
    for landlock in [1, 2, 4, 6] {
        for starts_ffmpeg in [false, true] {
            let folder = data.join("work");
            let program = &fixtures::program!();
            let trial = Trial { program, folder: &folder, landlock, starts_ffmpeg };
            let mut names = Vec::new();
            let answers = through(trial, |own| {
                let tried = attempts(&data, &other, own, service.id());
                let (all, calls): (Vec<String>, Vec<Call>) = tried.into_iter().unzip();
                names = all;
                calls
            });
            let answers = answers.await.unwrap();
            assert_eq!(answers.len(), names.len());
            for (number, (name, answer)) in names.iter().zip(&answers).enumerate() {
                let told =
                    format!("Landlock {landlock}, ffmpeg: {starts_ffmpeg}, {name}: {answer}");
                assert_eq!(*answer >= 0, number < 3, "{told}");
            }
        }
    }
    // The service goes on, with all that it had.
    assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "secret");
    let origin = Origin::start().await;
    service.completed(&thumbnail(&origin.url("counter-h264-aac.mp4"))).await;
}

#[tokio::test]
async fn a_worker_has_no_environment_and_belongs_to_one_project() {
    let variables = [("AVOCET_TEST_SECRET", "of mine")];
    let service = Service::start_with(&["--allow-private-network"], &variables);
    let origin = Origin::start().await;
    let url = origin.url("counter-h264-aac.mp4");
    service.completed(&thumbnail(&url)).await;
    let workers = service.workers();
    // The one that ran the job, and a spare one.
    assert_eq!(workers.len(), 2, "{workers:?}");
    for worker in workers {
        let environment = fs::read_to_string(format!("/proc/{worker}/environ")).unwrap();
        assert!(!environment.contains("of mine") && environment.contains("TMPDIR="));
        let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap();
        let line = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().to_owned()
        };
        assert_eq!(line("NoNewPrivs:"), "1");
        assert_eq!(line("Seccomp:"), "2");
        for set in ["CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(line(set), "0000000000000000", "{set}");
        }
    }
    // The next job of the project has the same worker, and so has one that fails.
    let again = document(&origin.url("nothing"), "jpg", &json!({ "name": "thumbnail" }));
    service.failed(&again).await;
    assert_eq!(service.workers().len(), 2);
}
