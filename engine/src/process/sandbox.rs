//! What a child process may touch: some files, no network, no other program or process.
//!
//! Landlock takes away the files, seccomp the calls; both hold from before the child's first
//! instruction to its end. This is the second room with unsafe code: a few calls between fork and
//! exec, where nothing else may run.

use std::{
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// The newest Landlock whose rights are asked for; an older kernel enforces what it knows.
const NEWEST: ABI = ABI::V6;

/// What a program needs to start, beside itself: the loader, its libraries, fonts.
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

/// Devices that hold nothing.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"];

/// Where the loader of programs is found; it is executed, too.
const LOADERS: [&str; 3] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-linux-riscv64-lp64d.so.1",
];

/// System calls that no transcoding needs: the network, other processes, links, devices and the
/// properties of files, the machine itself.
const REFUSED: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_io_uring_setup,
    libc::SYS_execveat,
    libc::SYS_memfd_create,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_setpriority,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_ioprio_set,
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    libc::SYS_shmget,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    libc::SYS_truncate,
    libc::SYS_mknodat,
    libc::SYS_mkdirat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_fanotify_init,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_syslog,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_reboot,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_vhangup,
];

/// The same, where a processor has older calls for them.
#[cfg(target_arch = "x86_64")]
const REFUSED_OF_OLD: &[i64] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_mknod,
    libc::SYS_mkdir,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
    libc::SYS_iopl,
    libc::SYS_ioperm,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_OF_OLD: &[i64] = &[];

/// Capabilities that root's child keeps, by their numbers: to read the files that root may read
/// (`CAP_DAC_OVERRIDE`, `CAP_DAC_READ_SEARCH`), as far as Landlock lets it.
const KEPT_CAPABILITIES: [i32; 2] = [1, 2];

/// What a child may touch.
#[derive(Clone, Debug)]
pub(super) struct Allowed<'a> {
    /// The program.
    pub(super) program: &'a Path,
    /// Files that it may read.
    pub(super) inputs: Vec<PathBuf>,
    /// The folder in which it may make, write and remove files.
    pub(super) folder: &'a Path,
    /// The largest file that it may write, in bytes.
    pub(super) largest_file: u64,
}

/// Which layers of the sandbox this kernel enforces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layers {
    /// Files outside the folder and the inputs are out of reach (Landlock).
    pub(crate) files: Extent,
    /// No other program, process or socket (seccomp).
    pub(crate) calls: bool,
}

/// How much of the rules on files a kernel knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Extent {
    #[default]
    Nothing,
    Part,
    All,
}

impl Layers {
    /// What is not enforced, in words; `None` when all is.
    pub(crate) fn missing(self) -> Option<String> {
        let files = match self.files {
            Extent::Nothing => Some("this kernel does not confine files (Landlock)"),
            Extent::Part => Some("this kernel knows only a part of the rules on files (Landlock)"),
            Extent::All => None,
        };
        let calls = (!self.calls).then_some("this kernel does not confine system calls (seccomp)");
        let missing: Vec<_> = files.into_iter().chain(calls).collect();
        (!missing.is_empty()).then(|| missing.join("; "))
    }

    /// Tries the layers on a thread that ends at once: both hold for one thread only.
    pub(crate) fn of_this_kernel() -> Self {
        let try_out = || {
            let tried = files(&[], &[], &[]).and_then(RulesetCreated::restrict_self);
            let files = match tried.map(|status| status.ruleset) {
                Ok(RulesetStatus::FullyEnforced) => Extent::All,
                Ok(RulesetStatus::PartiallyEnforced) => Extent::Part,
                Ok(RulesetStatus::NotEnforced) | Err(_) => Extent::Nothing,
            };
            let calls = calls().is_some_and(|programs| apply(&programs).is_ok());
            Self { files, calls }
        };
        let tried = thread::Builder::new().spawn(try_out);
        tried.ok().and_then(|tried| tried.join().ok()).unwrap_or_default()
    }
}

/// Lets a command start confined. Layers that `layers` lacks are left out.
pub(super) fn confine(
    command: &mut Command,
    allowed: &Allowed<'_>,
    layers: Layers,
) -> io::Result<()> {
    let mut readable: Vec<&Path> = READABLE.iter().map(Path::new).collect();
    readable.extend(allowed.inputs.iter().map(PathBuf::as_path));
    let mut executable: Vec<&Path> = LOADERS.iter().map(Path::new).collect();
    executable.push(allowed.program);
    let writable = [allowed.folder];
    let mut ruleset = match layers.files {
        Extent::Nothing => None,
        Extent::Part | Extent::All => {
            Some(files(&readable, &executable, &writable).map_err(io::Error::other)?)
        }
    };
    let programs = if layers.calls { calls().unwrap_or_default() } else { Vec::new() };
    let largest = allowed.largest_file;
    let start = move || {
        // A host that dies takes its child along.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(Resource::Fsize, limit(largest))?;
        setrlimit(Resource::Core, limit(0))?;
        leave_behind();
        if let Some(ruleset) = ruleset.take() {
            ruleset.restrict_self().map_err(|_| io::Error::from(io::ErrorKind::Unsupported))?;
        }
        apply(&programs)
    };
    // SAFETY: between fork and exec only system calls are made: the rules and programs were made
    // before, and nothing takes a lock that another thread could hold.
    unsafe { command.pre_exec(start) };
    Ok(())
}

/// Gives up what a host may have and its child needs not: capabilities, and open files.
fn leave_behind() {
    for capability in (0..64).filter(|number| !KEPT_CAPABILITIES.contains(number)) {
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

/// The rules on files; what is not there needs none.
fn files(
    readable: &[&Path],
    executable: &[&Path],
    writable: &[&Path],
) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let rules = |paths: &[&Path], access: BitFlags<AccessFs>| {
        let opened = paths.iter().filter_map(|path| Some((path.is_dir(), PathFd::new(path).ok()?)));
        let rule = |(is_folder, place): (bool, PathFd)| {
            let of_file = AccessFs::from_file(NEWEST);
            Ok(PathBeneath::new(place, if is_folder { access } else { access & of_file }))
        };
        opened.map(rule).collect::<Vec<Result<_, RulesetError>>>()
    };
    // No links, pipes or folders, which would lead those astray who look at the results.
    let plain_files =
        AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile;
    let devices: Vec<&Path> = DEVICES.iter().map(Path::new).collect();
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(rules(readable, read))?
        .add_rules(rules(executable, read | AccessFs::Execute))?
        .add_rules(rules(&devices, read | AccessFs::WriteFile))?
        .add_rules(rules(writable, read | plain_files))
}

/// The programs that refuse system calls; `None` on a processor that they are not known for.
fn calls() -> Option<Vec<BpfProgram>> {
    let refused = [REFUSED, REFUSED_OF_OLD].concat();
    // Threads are clones as well; a process is one without this flag.
    let thread = u64::try_from(libc::CLONE_THREAD).ok()?;
    let is_process =
        SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), 0)
            .ok()?;
    let mut rules: std::collections::BTreeMap<i64, Vec<SeccompRule>> =
        refused.into_iter().map(|call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![is_process]).ok()?]);
    // Limits may be read, and not set: those of the parent could be, too.
    let sets = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0).ok()?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![sets]).ok()?]);
    let errno = |code: i32| u32::try_from(code).ok().map(SeccompAction::Errno);
    let target: TargetArch = std::env::consts::ARCH.try_into().ok()?;
    let program = |rules, code| {
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno(code)?, target).ok()?;
        BpfProgram::try_from(filter).ok()
    };
    // Its flags are in memory, where no filter looks; the C library falls back to `clone`.
    let newer = [(libc::SYS_clone3, Vec::new())].into_iter().collect();
    Some(vec![program(rules, libc::EPERM)?, program(newer, libc::ENOSYS)?])
}

fn apply(programs: &[BpfProgram]) -> io::Result<()> {
    let applied = programs.iter().try_for_each(|program| seccompiler::apply_filter(program));
    applied.map_err(|_| io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_enforced_in_part_is_told() {
        let missing = |files, calls| Layers { files, calls }.missing().unwrap_or_default();
        assert_eq!(missing(Extent::All, true), "");
        assert!(missing(Extent::Part, true).contains("only a part"));
        assert!(missing(Extent::Nothing, true).contains("does not confine files"));
        let both = missing(Extent::Part, false);
        assert!(both.contains("Landlock") && both.contains("seccomp"), "{both}");
    }
}
