# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes as ``/proc`` shows them (proc(5)), told apart by more than a pid, which is used again."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import struct
import typing as t

from .syscall import call, syscall
from .syscall import number as call_number

_locked_libc = ctypes.PyDLL(None, use_errno=True)
_locked_libc.syscall.restype = ctypes.c_long


class Process(t.NamedTuple):
    """A process, as people want to see it."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"{self.pid} ({self.command})"


def pids() -> list[int]:
    """All process ids that this pid namespace shows, in ascending order."""
    return sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def processes(wanted: t.Iterable[int] | None = None) -> t.Iterator[Process]:
    """Processes with their commands; those that end meanwhile are left out.

    :param wanted: their ids; all that this pid namespace shows if not given.
    """
    for pid in pids() if wanted is None else wanted:
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="backslashreplace") as file:
                yield Process(pid, file.read().rstrip("\n"))
        except OSError:
            continue


class Status(t.NamedTuple):
    """What ``/proc/PID/stat`` says of a process."""

    command: str
    state: str  #: one letter
    started: int  #: clock ticks since boot


def status(pid: int) -> Status | None:
    """A process as it is now, ``None`` if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            before, _bracket, after = file.read().rpartition(b")")
    except OSError:
        return None
    fields = after.split()
    command = before.partition(b"(")[2].decode(errors="backslashreplace")
    return Status(command, fields[0].decode("ascii"), int(fields[19]))


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; ``None`` if there is none, or only its exit status is left.

    Pid and start time together mean one process and no other until the next boot.
    """
    now = status(pid)
    return None if now is None or now.state in "ZX" else now.started


# --- making processes --------------------------------------------------------

CLONE_PIDFD, CLONE_PARENT = 0x1000, 0x8000
_CLONE_INTO_CGROUP = 0x200000000
_CLONE3 = 435


def clone(flags: int, group: int | None = None) -> int:
    """clone3(2) without a stack of its own: a fork into new namespaces.

    The child goes on with a copy of the caller. Only system calls that were prepared before are safe in it: no import,
    no thread, no lock. The C library is called with the interpreter's lock held, so that no other thread can hold it
    at that moment.

    :param flags: CLONE_NEW* of the namespaces, CLONE_PARENT to make the child the caller's sibling.
    :param group: descriptor of the control group of version 2 that the child is born into; the caller's if not given.
    :returns: 0 in the child, its pid in the caller.
    :raises OSError: the kernel refused.
    """
    signal_at_end = signal.SIGCHLD if not flags & CLONE_PARENT else 0
    into = 0 if group is None else _CLONE_INTO_CGROUP
    arguments = struct.pack("=11Q", flags | into, 0, 0, 0, signal_at_end, *[0] * 5, group or 0)
    pid: int = _locked_libc.syscall(ctypes.c_long(_CLONE3), arguments, ctypes.c_long(len(arguments)))
    if pid < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return pid


def send_signal(pid: int, started: int | None, number: int) -> bool:
    """Send a signal to one process and no other that may have its pid now.

    :param started: its :func:`start_time`.
    :returns: whether it was there to be sent to.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if start_time(pid) != started:  # looked up after the handle was taken: it cannot change any more
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)


def wait_for_end(pid: int, started: int | None, timeout: float) -> bool:
    """Wait until a process has ended, by an event, not by polling.

    :param timeout: seconds.
    :returns: whether it has ended.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if start_time(pid) != started:
            return True
        return bool(select.select([handle], [], [], timeout)[0])
    finally:
        os.close(handle)


# --- watching a process ----------------------------------------------------------

_CONTINUE, _SEIZE = 7, 0x4206
_STOP_AT_EXECUTION, _DIE_WITH_TRACER = 0x10, 0x100000
#: How a process is stopped that has executed a program (ptrace(2), PTRACE_EVENT_EXEC).
_EXECUTED = signal.SIGTRAP | 4 << 8


def trace(pid: int) -> None:
    """Stop a child each time that it has executed a program (ptrace(2)). It dies with its tracer, who is the caller.

    :raises PermissionError: nobody may trace on this system (Yama: ``ptrace_scope`` 3), or somebody else does already.
    """
    _ptrace(_SEIZE, pid, _STOP_AT_EXECUTION | _DIE_WITH_TRACER)


def until_executed(pid: int, programs: int) -> bool:
    """Let a child that is traced go on until it has executed so many programs, one in place of another.

    :returns: whether it did; it stands before the first instruction of the last one then. Else it ended, and is still
        to be waited for.
    """
    while True:
        stop = os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
        if stop is None or stop.si_code != os.CLD_TRAPPED:
            return False
        programs -= stop.si_status == _EXECUTED
        if not programs:
            return True
        _ptrace(_CONTINUE, pid, stop.si_status if stop.si_status < signal.NSIG else 0)


def _ptrace(request: int, pid: int, data: int) -> None:
    call("ptrace", ctypes.c_long(request), ctypes.c_long(pid), None, ctypes.c_long(data))


# --- what a program gets from its process ------------------------------------------

_CLOSE_RANGE, _MARK = 436, 4  # CLOSE_RANGE_CLOEXEC


def keep_descriptors(first: int) -> None:
    """Hand no open file from a number on to a program that this process will execute (CVE-2024-21626).

    :param first: the lowest number; those below are handed on as they are.
    """
    try:
        syscall(_CLOSE_RANGE, first, 2**32 - 1, _MARK)
    except OSError:  # before Linux 5.11
        for name in os.listdir("/proc/self/fd"):
            if int(name) >= first:
                with contextlib.suppress(OSError):  # it was the one that read the directory
                    os.set_inheritable(int(name), False)


def reset_signals() -> None:
    """Give every signal of this process its default action, since whoever called may ignore some.

    By the system call (rt_sigaction(2)): the C library keeps signals 32 and 33 for itself and changes none of them, yet
    a process that was started with them ignored passes that on. For a process that is about to execute another program:
    Python does not know of it.

    :raises OSError: the number of the system call is not known for this kind of machine.
    """
    action, default, size_of_set = call_number("rt_sigaction"), bytes(64), 8
    for each in range(1, 65):
        if each not in (signal.SIGKILL, signal.SIGSTOP):
            syscall(action, each, default, None, size_of_set)


def boot_id() -> str:
    """What tells this boot of the kernel from all others."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()
