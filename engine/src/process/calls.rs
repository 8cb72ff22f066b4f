//! Which system calls the `ffmpeg` program and the workers of a service may make (seccomp).
//!
//! Calls that are not on these lists are refused with `EPERM`, also those of other tables: numbers
//! of x32 differ by a bit. A call by the table of another architecture ends the process.
//!
//! The lists hold what `strace` shows for every codec, container and filter that custom arguments
//! may name, and what the C library may use instead.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// What a confined process is.
#[cfg_attr(not(feature = "workers"), expect(dead_code, reason = "there are no workers"))]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    /// The `ffmpeg` program.
    Ffmpeg,
    /// A worker of a service, which runs recipes in its own process.
    Worker,
    /// A worker of a service that starts the `ffmpeg` program, which it confines further.
    Starter,
}

/// Calls that reach nothing but the process itself, its open files, and what Landlock leaves of
/// the others.
const ALLOWED: &[i64] = &[
    // Memory.
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_membarrier,
    libc::SYS_mbind,
    libc::SYS_get_mempolicy,
    libc::SYS_set_mempolicy,
    // Files.
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_lseek,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_umask,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    // Threads and time.
    libc::SYS_futex,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_getparam,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_getcpu,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_restart_syscall,
    // Handling of the signals that it gets.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // The process.
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getpgid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getpriority,
    libc::SYS_getrusage,
    libc::SYS_getrandom,
    libc::SYS_sysinfo,
    libc::SYS_uname,
];

/// The same for one architecture, which has calls of its own, or older ones.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_creat,
    libc::SYS_dup2,
    libc::SYS_getpgrp,
    libc::SYS_getrlimit,
    libc::SYS_lstat,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
    libc::SYS_unlink,
];
/// `renameat`, by its number, since libc has no name for it.
#[cfg(target_arch = "aarch64")]
const ALLOWED_HERE: &[i64] = &[38];
/// `riscv_hwprobe` and `riscv_flush_icache`, by their numbers, since libc has no names for them.
#[cfg(target_arch = "riscv64")]
const ALLOWED_HERE: &[i64] = &[258, 259];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
const ALLOWED_HERE: &[i64] = &[];

/// What a worker calls beside: it speaks over sockets that it was given. `sendmsg` is not here, which could pass on open files.
const OF_WORKERS: &[i64] = &[
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_recvfrom,
    libc::SYS_getsockopt,
    libc::SYS_copy_file_range,
];
/// The same for one architecture.
#[cfg(target_arch = "x86_64")]
const OF_WORKERS_HERE: &[i64] = &[libc::SYS_epoll_wait];
#[cfg(not(target_arch = "x86_64"))]
const OF_WORKERS_HERE: &[i64] = &[];

/// What a worker calls beside to start the `ffmpeg` program confined.
const OF_STARTERS: &[i64] = &[
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_chdir,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
    libc::SYS_seccomp,
];

/// The same for one architecture: musl's `fork`.
#[cfg(target_arch = "x86_64")]
const OF_STARTERS_HERE: &[i64] = &[libc::SYS_fork];
#[cfg(not(target_arch = "x86_64"))]
const OF_STARTERS_HERE: &[i64] = &[];

/// The options of `prctl` that only take rights away, for those who start a program.
const OPTIONS_OF_STARTERS: &[i32] = &[libc::PR_SET_NO_NEW_PRIVS, libc::PR_CAPBSET_DROP];

/// What a new process may not get by `clone`: other namespaces, another parent, a tracer.
const NOT_CLONED: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_PARENT
    | libc::CLONE_PTRACE;

/// The options of `prctl`: to name threads and memory, and to read the capability bounding set.
const OPTIONS_OF_PROCESS: &[i32] =
    &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, libc::PR_CAPBSET_READ];

/// The commands of `fcntl`. `F_SETOWN` is none of them, since an owner of a file gets signals.
const COMMANDS_OF_FILES: &[i32] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
];

/// The requests of `ioctl`: to query a terminal or the bytes that can be read, and to set a file
/// non-blocking or close-on-exec.
const REQUESTS: &[libc::Ioctl] =
    &[libc::TCGETS, libc::TIOCGWINSZ, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX];

/// The first of the newer calls, which the C library can do without. From here on all calls answer
/// `ENOSYS`, those of the future, too.
const FIRST_NEW: i64 = libc::SYS_process_mrelease;

/// The last number that answers `ENOSYS`.
const LAST_NEW: i64 = FIRST_NEW + 64;

/// A placeholder for the process ID of the child until it is known; no process has it.
const NOBODY: u32 = i32::MAX.unsigned_abs();

/// The BPF programs that refuse system calls, in the order in which they are applied.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    programs: Vec<BpfProgram>,
}

impl Calls {
    /// Builds the programs; `None` on an architecture that is not supported.
    pub(super) fn new(class: Class) -> Option<Self> {
        let target: TargetArch = std::env::consts::ARCH.try_into().ok()?;
        let errno = |code: i32| Some(SeccompAction::Errno(u32::try_from(code).ok()?));
        let program = |rules, otherwise, then| {
            BpfProgram::try_from(SeccompFilter::new(rules, otherwise, then, target).ok()?).ok()
        };
        // The arguments of these two calls are in memory, which a filter can not read.
        let absent = [libc::SYS_clone3, libc::SYS_openat2].into_iter().chain(FIRST_NEW..=LAST_NEW);
        let absent: BTreeMap<_, _> = absent.map(|call| (call, Vec::new())).collect();
        let mut allowed = rules(class)?;
        // When both programs refuse a call, the later one's error is returned, so it allows these.
        allowed.extend(absent.clone());
        Some(Self {
            programs: vec![
                program(absent, SeccompAction::Allow, errno(libc::ENOSYS)?)?,
                program(allowed, errno(libc::EPERM)?, SeccompAction::Allow)?,
            ],
        })
    }

    /// Confines the calling thread, and all that it becomes or starts. `process` is the ID of its
    /// process, which may send signals to itself.
    pub(super) fn apply(&mut self, process: u32) -> std::io::Result<()> {
        for instruction in self.programs.iter_mut().flatten() {
            if instruction.k == NOBODY {
                instruction.k = process;
            }
        }
        let applied = self.programs.iter().try_for_each(|one| seccompiler::apply_filter(one));
        applied.map_err(|_| std::io::ErrorKind::Unsupported.into())
    }
}

/// The calls that are allowed, with the conditions on their arguments of which one must hold.
fn rules(class: Class) -> Option<BTreeMap<i64, Vec<SeccompRule>>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    // `clone` may start threads, and no processes.
    let thread = u64::try_from(libc::CLONE_THREAD).ok()?;
    rules.insert(libc::SYS_clone, vec![masked(0, thread, thread)?]);
    // Limits may only be read. To set them could set those of the parent, too.
    let none = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0).ok()?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![none]).ok()?]);
    // Signals to itself: `abort` sends one.
    rules.insert(libc::SYS_tgkill, vec![equal(0, NOBODY.into())?]);
    // Only the calling thread (ID 0) may be bound to processors.
    rules.insert(libc::SYS_sched_setaffinity, vec![equal(0, 0)?]);
    let numbers = |at, values: &[i32]| {
        let values = values.iter().map(|value| equal(at, u64::try_from(*value).ok()?));
        values.collect::<Option<Vec<_>>>()
    };
    let mut options = numbers(0, OPTIONS_OF_PROCESS)?;
    if class != Class::Ffmpeg {
        rules.extend(OF_WORKERS.iter().chain(OF_WORKERS_HERE).map(|call| (*call, Vec::new())));
        // A pair of sockets reaches only itself; tokio makes one.
        let unix = u64::try_from(libc::AF_UNIX).ok()?;
        rules.insert(libc::SYS_socketpair, vec![equal(0, unix)?]);
        // Bytes to the other end of a connected socket, and to no address.
        rules.insert(libc::SYS_sendto, vec![all(&[(4, 0)])?]);
        // A file's mode, without set-user-ID, set-group-ID and sticky bits.
        rules.insert(libc::SYS_fchmod, vec![masked(1, 0o7000, 0)?]);
        // A worker gives itself less processor time (`PRIO_PROCESS`, itself), and hides its memory.
        rules.insert(libc::SYS_setpriority, vec![all(&[(0, 0), (1, 0)])?]);
        options.push(all(&[(0, u64::try_from(libc::PR_SET_DUMPABLE).ok()?), (1, 0)])?);
    }
    if class == Class::Starter {
        rules.extend(OF_STARTERS.iter().chain(OF_STARTERS_HERE).map(|call| (*call, Vec::new())));
        rules.insert(libc::SYS_clone, vec![masked(0, u64::try_from(NOT_CLONED).ok()?, 0)?]);
        rules.insert(libc::SYS_prlimit64, vec![equal(0, 0)?]);
        options.extend(numbers(0, OPTIONS_OF_STARTERS)?);
        let (death, kill) = (libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        options.push(all(&[(0, u64::try_from(death).ok()?), (1, u64::try_from(kill).ok()?)])?);
    }
    rules.insert(libc::SYS_prctl, options);
    rules.insert(libc::SYS_fcntl, numbers(1, COMMANDS_OF_FILES)?);
    let requests = REQUESTS.iter().map(|request| equal(1, *request));
    rules.insert(libc::SYS_ioctl, requests.collect::<Option<_>>()?);
    // `O_TRUNC` empties even a file that is opened for reading, which Landlock does not check
    // before its third ABI. `truncate` is refused for the same reason.
    let opened = |at| {
        let flags = |mask: i32, value: i32| {
            masked(at, u64::try_from(mask).ok()?, u64::try_from(value).ok()?)
        };
        let access = libc::O_ACCMODE;
        let empties_nothing = flags(libc::O_TRUNC, 0)?;
        Some(vec![empties_nothing, flags(access, libc::O_WRONLY)?, flags(access, libc::O_RDWR)?])
    };
    rules.insert(libc::SYS_openat, opened(2)?);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, opened(1)?);
    Some(rules)
}

/// Matches when the lower 32 bits of the argument `at` are `value`: the kernel looks at these only.
fn equal(at: u8, value: u64) -> Option<SeccompRule> {
    let condition = SeccompCondition::new(at, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
    SeccompRule::new(vec![condition.ok()?]).ok()
}

/// Matches when each of these arguments, all 64 bits of it, has its value.
fn all(arguments: &[(u8, u64)]) -> Option<SeccompRule> {
    let conditions = arguments.iter().map(|(at, value)| {
        SeccompCondition::new(*at, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, *value).ok()
    });
    SeccompRule::new(conditions.collect::<Option<_>>()?).ok()
}

/// Matches when the bits `mask` of the argument `at` are `value`.
fn masked(at: u8, mask: u64, value: u64) -> Option<SeccompRule> {
    let masked = SeccompCmpOp::MaskedEq(mask);
    let condition = SeccompCondition::new(at, SeccompCmpArgLen::Qword, masked, value);
    SeccompRule::new(vec![condition.ok()?]).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_further_than_the_process_is_on_no_list() {
        for class in [Class::Ffmpeg, Class::Worker, Class::Starter] {
            let rules = rules(class).unwrap();
            expect_none_further(&rules);
            // Workers may make these, with some arguments.
            for call in
                [libc::SYS_setpriority, libc::SYS_fchmod, libc::SYS_sendto, libc::SYS_socketpair]
            {
                let conditions = rules.get(&call);
                assert_eq!(conditions.is_some(), class != Class::Ffmpeg, "{call}");
                assert!(conditions.is_none_or(|conditions| !conditions.is_empty()), "{call}");
            }
            // To refuse more calls than now is no right.
            assert_eq!(rules.contains_key(&libc::SYS_seccomp), class == Class::Starter);
        }
    }

    fn expect_none_further(rules: &BTreeMap<i64, Vec<SeccompRule>>) {
        let with_conditions = [
            libc::SYS_clone,
            libc::SYS_prlimit64,
            libc::SYS_tgkill,
            libc::SYS_sched_setaffinity,
            libc::SYS_prctl,
            libc::SYS_fcntl,
            libc::SYS_ioctl,
            libc::SYS_openat,
        ];
        assert!(with_conditions.iter().all(|call| !rules[call].is_empty()));
        let refused = [
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_sendmsg,
            libc::SYS_io_uring_setup,
            libc::SYS_execveat,
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_rt_tgsigqueueinfo,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_send_signal,
            libc::SYS_ptrace,
            libc::SYS_process_vm_writev,
            libc::SYS_process_madvise,
            libc::SYS_truncate,
            libc::SYS_mknodat,
            libc::SYS_mkdirat,
            libc::SYS_linkat,
            libc::SYS_symlinkat,
            libc::SYS_fchmodat,
            libc::SYS_fchown,
            libc::SYS_utimensat,
            libc::SYS_setxattr,
            libc::SYS_open_by_handle_at,
            libc::SYS_sched_setscheduler,
            libc::SYS_sched_setattr,
            libc::SYS_setsid,
            libc::SYS_setpgid,
            libc::SYS_unshare,
            libc::SYS_mount,
            libc::SYS_bpf,
            libc::SYS_keyctl,
            libc::SYS_shmget,
            libc::SYS_memfd_create,
        ];
        assert_eq!(refused.into_iter().find(|call| rules.contains_key(call)), None);
    }
}
