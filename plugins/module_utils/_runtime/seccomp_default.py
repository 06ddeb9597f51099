# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls of a container that says nothing of them: what Docker allows by default, as data.

The same in effect as ``seccomp/default.json`` of github.com/moby/profiles at cd3bed8 (June 2026). What is not here
fails with EPERM.
"""

from __future__ import annotations

import typing as t

#: Allowed in any case.
ALWAYS: t.Final = """
    _llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown
    chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64
    clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
    eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark
    fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock
    fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex
    futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu
    getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer
    getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32
    getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat
    inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents
    io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule
    landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr
    listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier
    memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
    mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep
    newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect
    poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv
    process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead readlink readlinkat
    readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat
    renameat2 restart_syscall riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max
    sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
    sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield
    seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto
    set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
    setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid
    setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl
    shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat
    stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time
    timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64
    timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate
    truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork
    vmsplice wait4 waitid waitpid write writev
"""

#: Allowed with a capability in the bounding set.
WITH_CAPABILITY: t.Final = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYSLOG": "syslog",
    "CAP_SYS_ADMIN": """
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
        lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl
        quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare
    """,
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}

#: Allowed on some machines, by their names in Docker's profiles.
ON_MACHINES: t.Final = (
    (("amd64", "x32"), "arch_prctl"),
    (("amd64", "x32", "x86"), "modify_ldt"),
    (("arm", "arm64"), "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2"),
    (("ppc64le",), "swapcontext sync_file_range2"),
    (("riscv64",), "riscv_flush_icache"),
    (("s390", "s390x"), "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"),
)

#: Allowed where an argument compares as said: name, number of the argument, operator, value.
WITH_ARGUMENT: t.Final[tuple[tuple[str, int, str, int], ...]] = (
    # All families of sockets but AF_ALG (38) and AF_VSOCK (40), whose sockets reach beyond the network namespace.
    ("socket", 0, "SCMP_CMP_LT", 38), ("socket", 0, "SCMP_CMP_EQ", 39), ("socket", 0, "SCMP_CMP_GT", 40),
    # PER_LINUX, PER_LINUX32, each also with UNAME26, and the question which one it is.
    *(("personality", 0, "SCMP_CMP_EQ", value) for value in (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)),
)  # fmt: skip

#: All CLONE_NEW* but the one for time, which clone(2) cannot make: without CAP_SYS_ADMIN none may be set.
NEW_NAMESPACES: t.Final = 0x7E020000
#: The machines whose clone(2) has its flags in the second argument.
FLAGS_SECOND: t.Final = ("s390", "s390x")

#: Architectures whose programs run on one kernel, its own first.
_TOGETHER: t.Final = tuple(
    [f"SCMP_ARCH_{name}" for name in names.split()]
    for names in (
        "X86_64 X86 X32", "AARCH64 ARM", "MIPS64 MIPS MIPS64N32", "MIPS64N32 MIPS MIPS64",
        "MIPSEL64 MIPSEL MIPSEL64N32", "MIPSEL64N32 MIPSEL MIPSEL64", "S390X S390", "RISCV64", "LOONGARCH64",
    )
)  # fmt: skip


def profile() -> dict[str, t.Any]:
    """The profile in Docker's format, with its conditions."""
    without_admin = {"caps": ["CAP_SYS_ADMIN"]}
    unshared = {"op": "SCMP_CMP_MASKED_EQ", "value": NEW_NAMESPACES, "valueTwo": 0}
    machines = {"arches": list(FLAGS_SECOND)}
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "archMap": [{"architecture": first, "subArchitectures": list(others)} for first, *others in _TOGETHER],
        "syscalls": [
            _allowed(ALWAYS),
            *(_allowed(name, args=[_compared(index, op, value)]) for name, index, op, value in WITH_ARGUMENT),
            *(_allowed(names, includes={"arches": list(names_of)}) for names_of, names in ON_MACHINES),
            *(_allowed(names, includes={"caps": [name]}) for name, names in WITH_CAPABILITY.items()),
            _allowed("clone", args=[{"index": 0, **unshared}], excludes={**without_admin, **machines}),
            _allowed("clone", args=[{"index": 1, **unshared}], includes=machines, excludes=without_admin),
            # Its flags are in memory, where no filter sees them; programs then take clone(2).
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": without_admin},
        ],
    }


def _allowed(names: str, **conditions: t.Any) -> dict[str, t.Any]:
    return {"names": names.split(), "action": "SCMP_ACT_ALLOW", **conditions}


def _compared(index: int, op: str, value: int) -> dict[str, t.Any]:
    return {"index": index, "op": op, "value": value}
