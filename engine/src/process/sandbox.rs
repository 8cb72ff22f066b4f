//! What a child process may touch: some files, no network, no other program or process.
//!
//! Landlock restricts files, and seccomp system calls ([`Calls`]). Both hold from before the first
//! instruction of the child's program to its end. This is the only `unsafe` code outside of
//! `libav`: a few calls between fork and exec, where nothing else may run.

use std::{
    fs::File,
    io, mem,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    PathFdError, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};
use rustix::{
    process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit},
    thread::set_no_new_privs,
};

use super::calls::{Calls, Class};

/// The oldest Landlock ABI that is enough (Linux 5.13): it restricts files. What it does not know
/// (truncation, the network, devices, signals) seccomp refuses by itself.
const OLDEST: ABI = ABI::V1;

/// The newest Landlock ABI whose rights are asked for; an older kernel enforces those that it
/// knows.
pub(super) const NEWEST: ABI = ABI::V6;

/// What a program may read beside itself, to start and to run: libraries, fonts, time zones, and
/// facts about the processors.
const READABLE: [&str; 15] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/fontconfig",
    "/etc/fonts",
    "/var/cache/fontconfig",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/proc/cpuinfo",
    "/sys/devices/system",
];

/// Devices that are safe to read and to write, since they store nothing.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// Paths of the dynamic loader, which is executed, too.
const LOADERS: [&str; 3] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-linux-riscv64-lp64d.so.1",
];

/// Capabilities that the program of a root process keeps, by their numbers: to read the files that
/// root may read (`CAP_DAC_OVERRIDE`, `CAP_DAC_READ_SEARCH`), as far as Landlock lets it.
const KEPT_CAPABILITIES: [i32; 2] = [1, 2];

/// What the sandbox lets a process use.
#[derive(Debug)]
pub(super) struct Allowed<'a> {
    /// What kind of process it is, which decides on its system calls.
    pub(super) class: Class,
    /// The programs that it may become or start, itself among them.
    pub(super) programs: &'a [&'a Path],
    /// Folders that it may read, beside those that every program needs.
    pub(super) readable: &'a [PathBuf],
    /// Open files that it may read, by their paths. The rules are about the open files, so that
    /// another file at such a path can not be read.
    pub(super) inputs: &'a [File],
    /// The folders in which it may make, write and remove files.
    pub(super) folders: &'a [&'a Path],
    /// The largest file that it may write, in bytes.
    pub(super) largest_file: u64,
}

/// Which layers of the sandbox are enforced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layers {
    /// Files outside the folder and the inputs can not be reached (Landlock, of any ABI).
    pub(crate) files: bool,
    /// Calls that reach other programs, processes or sockets are refused (seccomp).
    pub(crate) calls: bool,
    /// The newest Landlock ABI whose rights are asked for.
    pub(crate) newest: ABI,
}

impl Layers {
    /// What is not enforced, in words; `None` when all is.
    pub(crate) fn missing(self) -> Option<String> {
        let files = (!self.files).then_some("this kernel does not confine files (Landlock)");
        let calls = (!self.calls).then_some("this kernel does not confine system calls (seccomp)");
        let missing: Vec<_> = files.into_iter().chain(calls).collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    /// No layer.
    pub(crate) const NONE: Self = Self { files: false, calls: false, newest: NEWEST };

    /// Tries both layers on a thread that ends at once, since they hold for that thread only.
    pub(crate) fn of_this_kernel() -> Self {
        let try_out = || {
            let nothing = Places { readable: &[], inputs: &[], executable: &[], writable: &[] };
            let files = files(&nothing, NEWEST, Class::Ffmpeg)
                .is_ok_and(|rules| rules.restrict_self().is_ok());
            let calls = Calls::new(Class::Ffmpeg)
                .is_some_and(|mut calls| calls.apply(own_process()).is_ok());
            Self { files, calls, newest: NEWEST }
        };
        let tried = thread::Builder::new().spawn(try_out);
        tried.ok().and_then(|tried| tried.join().ok()).unwrap_or(Self::NONE)
    }
}

/// Makes a command start confined. Layers that `layers` lacks are left out.
pub(super) fn confine(
    command: &mut Command,
    allowed: &Allowed<'_>,
    layers: Layers,
) -> io::Result<()> {
    let class = allowed.class;
    let programs = allowed.programs.iter().copied();
    let executable = LOADERS.iter().map(Path::new).chain(programs).collect::<Vec<_>>();
    let readable = READABLE.iter().map(Path::new);
    let readable = readable.chain(allowed.readable.iter().map(PathBuf::as_path));
    let places = Places {
        readable: &readable.collect::<Vec<_>>(),
        inputs: allowed.inputs,
        executable: &executable,
        writable: allowed.folders,
    };
    let ruleset = layers.files.then(|| files(&places, layers.newest, class)).transpose();
    let mut ruleset = ruleset.map_err(io::Error::other)?;
    let mut calls = layers.calls.then(|| Calls::new(class)).flatten();
    let largest = allowed.largest_file;
    let start = move || {
        // The kernel kills the child when the host dies.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let limit = |most| Rlimit { current: most, maximum: most };
        // A lower limit of the host stays.
        let most = getrlimit(Resource::Fsize).maximum.unwrap_or(u64::MAX).min(largest);
        setrlimit(Resource::Fsize, limit(Some(most).filter(|most| *most < u64::MAX)))?;
        setrlimit(Resource::Core, limit(Some(0)))?;
        if class == Class::Ffmpeg {
            leave_interrupts();
        } else {
            stand_back();
        }
        leave_behind(class);
        // No set-user-ID program gives rights, even where no layer is enforced.
        set_no_new_privs(true)?;
        if let Some(ruleset) = ruleset.take() {
            ruleset.restrict_self().map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
        }
        calls.as_mut().map_or(Ok(()), |calls| calls.apply(own_process()))
    };
    // SAFETY: between fork and exec only system calls are made: the rules and programs were made
    // before, and nothing takes a lock that another thread could hold.
    unsafe { command.pre_exec(start) };
    Ok(())
}

/// The ID of the calling process.
fn own_process() -> u32 {
    rustix::process::getpid().as_raw_nonzero().get().unsigned_abs()
}

/// Leaves it to the host what becomes of Ctrl-C, which a terminal sends to its whole process group.
fn leave_interrupts() {
    // SAFETY: the set is initialized by `sigemptyset` before it is used, and lives long enough.
    unsafe {
        let mut signals: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut signals);
        libc::sigaddset(&raw mut signals, libc::SIGINT);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const signals, std::ptr::null_mut());
    }
}

/// Lets the host run as soon as it has something to do, though its workers are at work on all
/// processors.
///
/// Since Linux 6.12 a thread may ask for the length of its turns: of two threads that want to run, the
/// one whose turn would end first goes first. Older kernels pass the number over.
fn stand_back() {
    /// The longest turn that may be asked for, in nanoseconds (`sched_setattr(2)`).
    const LONGEST_TURN: u64 = 100_000_000;

    let niceness = rustix::process::getpriority_process(None).unwrap_or(0);
    // SAFETY: a plain system call with a number.
    if unsafe { libc::sched_getscheduler(0) } != libc::SCHED_OTHER {
        // The operator has chosen another policy, under which workers stay.
        return;
    }
    // SAFETY: a plain system call with the address of a structure that is whole and lives long enough.
    unsafe {
        let mut wanted: libc::sched_attr = mem::zeroed();
        wanted.size = u32::try_from(size_of::<libc::sched_attr>()).unwrap_or(0);
        wanted.sched_policy = libc::SCHED_OTHER.unsigned_abs();
        wanted.sched_nice = niceness;
        wanted.sched_runtime = LONGEST_TURN;
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0_u32);
    }
}

/// Drops what a host may have and its child does not need: capabilities and open files.
fn leave_behind(class: Class) {
    let keeps = |number: &i32| class == Class::Ffmpeg && KEPT_CAPABILITIES.contains(number);
    for capability in (0..64).filter(|number| !keeps(number)) {
        // SAFETY: a plain system call with numbers. It fails where there is nothing to give up.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: a plain system call with numbers: every file but the three standard ones closes at
    // exec. Older kernels do not know it; there, what was not marked so by its owner stays.
    unsafe {
        let closes_at_exec = libc::CLOSE_RANGE_CLOEXEC;
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, closes_at_exec);
    }
}

/// What the rules of Landlock leave accessible.
struct Places<'a> {
    readable: &'a [&'a Path],
    inputs: &'a [File],
    executable: &'a [&'a Path],
    writable: &'a [&'a Path],
}

/// Why the rules could not be made.
#[derive(Debug, thiserror::Error)]
enum Unbuilt {
    #[error(transparent)]
    Landlock(#[from] RulesetError),
    #[error(transparent)]
    Files(io::Error),
}

/// Whether a file could not be opened because too many are open.
fn is_for_want_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Builds the rules of Landlock; paths that do not exist or can not be opened are passed over, unless
/// this process has too many files open: the child would lack what it needs.
///
/// The kernel enforces those rights that it knows, up to the ABI `newest`. It is an error when it
/// does not even know those of [`OLDEST`].
fn files(places: &Places<'_>, newest: ABI, class: Class) -> Result<RulesetCreated, Unbuilt> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let rules = |paths: &[&Path], access: BitFlags<AccessFs>| {
        let rule = |path: &&Path| match PathFd::new(path) {
            Ok(place) => {
                let of_file = access & AccessFs::from_file(newest);
                let access = if path.is_dir() { access } else { of_file };
                Some(Ok(PathBeneath::new(place, access)))
            }
            Err(PathFdError::OpenCall { source, .. }) if is_for_want_of_files(&source) => {
                Some(Err(Unbuilt::Files(source)))
            }
            Err(_) => None,
        };
        paths.iter().filter_map(rule).collect::<Vec<_>>()
    };
    // These rules are about open files, so that another file that gets the name can not be read.
    let inputs = places.inputs.iter().map(|file| Ok(PathBeneath::new(file, AccessFs::ReadFile)));
    let inputs: Vec<Result<_, Unbuilt>> = inputs.collect();
    // No links, pipes or folders, which could mislead the host when it takes over the results.
    let mut plain_files =
        AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
    if class == Class::Starter {
        // To move what the program made to its place.
        plain_files |= AccessFs::Refer;
    }
    let devices: Vec<&Path> = DEVICES.iter().map(Path::new).collect();
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(OLDEST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(newest))?;
    let (network, scope) = (AccessNet::from_all(newest), Scope::from_all(newest));
    // To ask Landlock for no right at all is an error.
    if !network.is_empty() {
        ruleset = ruleset.handle_access(network)?;
    }
    if !scope.is_empty() {
        ruleset = ruleset.scope(scope)?;
    }
    ruleset
        .create()?
        .add_rules(rules(places.readable, read))?
        .add_rules(inputs)?
        .add_rules(rules(places.executable, read | AccessFs::Execute))?
        .add_rules(rules(&devices, read | AccessFs::WriteFile))?
        .add_rules(rules(places.writable, read | plain_files & AccessFs::from_all(newest)))
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and its child tells what it could do"
)]
mod tests {
    use std::{collections::BTreeMap, env, ffi::CString, fs, os::unix::ffi::OsStrExt};

    use super::*;

    #[test]
    fn what_is_not_enforced_is_told() {
        let missing = |files, calls| Layers { files, calls, newest: NEWEST };
        let missing = |files, calls| missing(files, calls).missing().unwrap_or_default();
        assert_eq!(missing(true, true), "");
        assert!(missing(false, true).contains("does not confine files"));
        let both = missing(false, false);
        assert!(both.contains("Landlock") && both.contains("seccomp"), "{both}");
    }

    /// A system call with plain numbers; 0, or the error.
    fn call(number: i64, arguments: [u64; 4]) -> i32 {
        let [a, b, c, d] = arguments;
        let flags = 0_u64;
        // SAFETY: the numbers are flags, identifiers, and addresses of strings that outlive the
        // call. Calls that would change memory are refused by the sandbox, which is looked at here.
        let answer = unsafe { libc::syscall(number, a, b, c, d, flags) };
        if answer >= 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap_or(-1) }
    }

    /// What a child tries, by name, and how that ends: 0, or the error.
    fn attempts(folder: &Path) -> Vec<(&'static str, i32)> {
        let path = |name: &str| CString::new(folder.join(name).as_os_str().as_bytes()).unwrap();
        let (input, secret) = (path("input"), path("secret"));
        let (own, other) = (path("work/own"), path("work/other"));
        let address = |text: &CString| text.as_ptr() as u64;
        let number = |number: i32| u64::from(number.unsigned_abs());
        // SAFETY: plain system calls without arguments.
        let (parent, this, thread) = unsafe {
            (libc::getppid(), libc::getpid(), libc::syscall(libc::SYS_gettid).unsigned_abs())
        };
        let (parent, this) = (number(parent), number(this));
        let here = u64::from(libc::AT_FDCWD.cast_unsigned());
        let open = |name: &CString, flags: i32| {
            let mode = 0o600;
            call(libc::SYS_openat, [here, address(name), number(flags), mode])
        };
        let rename = |from: &CString, to: &CString| {
            call(libc::SYS_renameat2, [here, address(from), here, address(to)])
        };
        let program = CString::new("/bin/true").unwrap();
        let (inet, unix) = (number(libc::AF_INET), number(libc::AF_UNIX));
        let (stream, limit) = (number(libc::SOCK_STREAM), [0_u64; 2]);
        let core = u64::from(libc::RLIMIT_CORE);
        vec![
            ("read the input", open(&input, libc::O_RDONLY)),
            ("write the input", open(&input, libc::O_WRONLY)),
            ("empty the input as it is read", open(&input, libc::O_RDONLY | libc::O_TRUNC)),
            ("truncate the input", call(libc::SYS_truncate, [address(&input), 0, 0, 0])),
            ("read another file", open(&secret, libc::O_RDONLY)),
            ("empty another file", open(&secret, libc::O_WRONLY | libc::O_TRUNC)),
            ("truncate another file", call(libc::SYS_truncate, [address(&secret), 0, 0, 0])),
            ("read what came to an input's name", open(&path("swapped"), libc::O_RDONLY)),
            ("make a file", open(&own, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC)),
            ("rename a file", rename(&own, &other)),
            ("move a file out", rename(&other, &path("out"))),
            ("make a folder", call(libc::SYS_mkdirat, [here, address(&own), 0o700, 0])),
            ("link", call(libc::SYS_linkat, [here, address(&other), here, address(&own)])),
            ("change a mode", call(libc::SYS_fchmodat, [here, address(&other), 0o777, 0])),
            ("start a program", call(libc::SYS_execve, [address(&program), 0, 0, 0])),
            ("start a process", call(libc::SYS_clone, [number(libc::SIGCHLD), 0, 0, 0])),
            ("start one anew", call(libc::SYS_clone3, [0; 4])),
            ("internet", call(libc::SYS_socket, [inet, stream, 0, 0])),
            ("socket of this machine", call(libc::SYS_socket, [unix, stream, 0, 0])),
            ("signal the parent", call(libc::SYS_kill, [parent, 0, 0, 0])),
            ("signal a thread", call(libc::SYS_tkill, [parent, 0, 0, 0])),
            ("signal the parent's thread", call(libc::SYS_tgkill, [parent, parent, 0, 0])),
            ("signal itself", call(libc::SYS_tgkill, [this, thread, 0, 0])),
            ("own a file", call(libc::SYS_fcntl, [1, number(libc::F_SETOWN), parent, 0])),
            ("outlive the parent", call(libc::SYS_prctl, [1, 0, 0, 0])),
            ("set a limit", call(libc::SYS_prlimit64, [0, core, limit.as_ptr() as u64, 0])),
            ("read a limit", call(libc::SYS_prlimit64, [0, core, 0, 0])),
            ("type into a terminal", call(libc::SYS_ioctl, [1, libc::TIOCSTI, 0, 0])),
            ("bind the parent", call(libc::SYS_sched_setaffinity, [parent, 0, 0, 0])),
            ("a call of x32", call(0x4000_0000 | libc::SYS_getpid, [0; 4])),
            ("a call of the future", call(LATER, [0; 4])),
        ]
    }

    /// A call that has no number yet.
    const LATER: i64 = libc::SYS_process_mrelease + 60;

    /// Each ABI gives the same result: what an older one does not know seccomp refuses.
    #[test]
    fn the_oldest_landlock_confines_as_the_newest_does() {
        const CHILD: &str = "AVOCET_TEST_CONFINED";
        if let Some(folder) = env::var_os(CHILD) {
            for (name, error) in attempts(Path::new(&folder)) {
                println!("\nattempt: {name}: {error}");
            }
            return;
        }
        let layers = Layers::of_this_kernel();
        if let Some(missing) = layers.missing() {
            println!("skipped: {missing}");
            return;
        }
        let expected = [
            (0, ["read the input", "make a file", "rename a file"].as_slice()),
            (0, &["signal itself", "read a limit"]),
            (libc::EACCES, &["write the input", "read another file", "empty another file"]),
            (
                libc::EACCES,
                &["read what came to an input's name", "start a program", "move a file out"],
            ),
            (libc::ENOSYS, &["start one anew", "a call of the future"]),
        ];
        let program = env::current_exe().unwrap();
        for newest in [ABI::V1, ABI::V2, ABI::V4, NEWEST] {
            let folder = tempfile::tempdir().unwrap();
            let place = |name: &str| folder.path().join(name);
            for name in ["input", "swapped", "secret", "new"] {
                fs::write(place(name), name).unwrap();
            }
            fs::create_dir(place("work")).unwrap();
            let inputs = ["input", "swapped"].map(|name| File::open(place(name)).unwrap());
            fs::rename(place("new"), place("swapped")).unwrap();
            let mut command = Command::new(&program);
            let name = "process::sandbox::tests::the_oldest_landlock_confines_as_the_newest_does";
            command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
            command.env(CHILD, folder.path());
            let allowed = Allowed {
                class: Class::Ffmpeg,
                programs: &[&program],
                readable: &[],
                inputs: &inputs,
                folders: &[&place("work")],
                largest_file: 1 << 20,
            };
            confine(&mut command, &allowed, Layers { newest, ..layers }).unwrap();
            let output = command.output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            let found: BTreeMap<_, _> = told
                .lines()
                .filter_map(|line| line.strip_prefix("attempt: ")?.rsplit_once(": "))
                .map(|(name, error)| (name, error.parse::<i32>().unwrap()))
                .collect();
            let is_whole = output.status.success() && found.contains_key("a call of the future");
            assert!(is_whole, "{newest:?}: {told} {}", String::from_utf8_lossy(&output.stderr));
            let wanted = |name: &str| {
                let listed = expected.iter().find(|(_, names)| names.contains(&name));
                listed.map_or(libc::EPERM, |(error, _)| *error)
            };
            let wrong: Vec<_> =
                found.iter().filter(|(name, error)| wanted(name) != **error).collect();
            assert!(wrong.is_empty(), "{newest:?}: {wrong:?}");
            for name in ["input", "secret"] {
                assert_eq!(fs::read_to_string(place(name)).unwrap(), name, "{newest:?}");
            }
        }
    }
}
