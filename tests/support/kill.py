# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill a run of a module before the k-th system call that changes something, whoever makes that call and how.

The kernel itself counts: the module's process gets a seccomp(2) filter that hands every such call to a supervisor
(seccomp_unotify(2)), and so do all processes that it starts. The supervisor lets calls go on, and before the one it
waits for kills instead. So nothing depends on how the collection is written, and no call can slip by.

The numbers of system calls are those of x86_64: a test says ``need("system calls of x86_64")``.

Two may be killed: the module, as by an admin or a lost connection, while processes that it started go on; or whoever
makes the call, as by the kernel when memory is out.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import socket
import struct
import traceback
import typing as t

from support.invoke import Run

BEYOND: t.Final = 10**6  #: more system calls than any run makes
#: Numbers of the system calls of x86_64 that change something, whatever their arguments.
_CHANGES: t.Final = {
    "pwrite64": 18, "sendto": 44, "sendmsg": 46, "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "kill": 62,
    "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87,
    "symlink": 88, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "mknod": 133,
    "pivot_root": 155, "mount": 165, "umount2": 166, "sethostname": 170, "setdomainname": 171, "setxattr": 188,
    "lsetxattr": 189, "fsetxattr": 190, "removexattr": 197, "lremovexattr": 198, "fremovexattr": 199,
    "mkdirat": 258, "mknodat": 259, "fchownat": 260, "unlinkat": 263, "renameat": 264, "linkat": 265,
    "symlinkat": 266, "fchmodat": 268, "sendmmsg": 307, "renameat2": 316, "bpf": 321, "execveat": 322,
    "pidfd_send_signal": 424, "move_mount": 429, "fsmount": 432, "clone3": 435, "mount_setattr": 442,
}  # fmt: skip
#: Those that do so depending on an argument: its number, and the comparison of it that says so.
_GREATER, _ANY_BIT = 0x25, 0x45  # BPF_JMP and BPF_JGT, BPF_JSET
_WRITES: t.Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_DEPENDING: t.Final = {
    "write": (1, 0, _GREATER, 2), "writev": (20, 0, _GREATER, 2), "open": (2, 1, _ANY_BIT, _WRITES),
    "openat": (257, 2, _ANY_BIT, _WRITES),
}  # fmt: skip
_NAMES: t.Final = {number: name for name, number in _CHANGES.items()} | {
    rule[0]: name for name, rule in _DEPENDING.items()
}
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_SECCOMP, _SET_FILTER, _NEW_LISTENER, _PIDFD_GETFD = 317, 1, 8, 438
_RECEIVE, _SEND, _GO_ON = 0xC0502100, 0xC0182101, 1
#: struct seccomp_notif: id, pid, flags, and of struct seccomp_data the number of the call.
_NOTICE: t.Final = struct.Struct("=QIIi60x")
_LISTENER_LINK = "anon_inode:seccomp notify"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class Interrupted(t.NamedTuple):
    """What became of a run that was to be killed."""

    killed: bool  #: whether it was, or ended before
    calls: list[str]  #: names of the system calls up to there, the one that it was killed before last


def run_and_kill(module: str, options: t.Mapping[str, t.Any], number: int, *, caller: bool = False) -> Interrupted:
    """Run a module and kill it before its system call of a number.

    :param number: 1 for the first that changes something; with one beyond the last, nothing is killed.
    :param caller: kill whoever makes the call, not always the module's process.
    """
    with _supervised(number, caller) as link:
        killed = Run(module, options, prepare=lambda: _submit(link)).killed()
        return Interrupted(killed, _told(link))


def call_and_kill(words: t.Sequence[str], number: int) -> Interrupted:
    """Run a program, and kill it before its system call of a number; what it started goes on.

    :param words: program and arguments. It reads nothing, and what it says is thrown away.
    :param number: 1 for the first that changes something, which is to execute the program.
    """
    with _supervised(number, caller=False) as link:
        pid = os.fork()
        if not pid:
            _execute(words, link)
        _pid, status = os.waitpid(pid, 0)
        return Interrupted(os.WIFSIGNALED(status), _told(link))


def _execute(words: t.Sequence[str], link: socket.socket) -> t.NoReturn:
    """In a process of its own: submit to a supervisor, and become a program."""
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in range(3):
            os.dup2(nothing, fd)
        _submit(link)
        os.execvp(words[0], list(words))
    finally:
        os._exit(127)


@contextlib.contextmanager
def _supervised(number: int, caller: bool) -> t.Iterator[socket.socket]:
    """A supervisor for a process that submits to it by the link."""
    ours, theirs = socket.socketpair()
    _start_supervisor(theirs, number, caller)
    theirs.close()
    with ours:
        yield ours


def _told(link: socket.socket) -> list[str]:
    """Names of the system calls up to the end of the run, as the supervisor reports them."""
    with link.makefile(encoding="utf-8") as told:
        return told.read().split()


def _submit(supervisor: socket.socket) -> None:
    """In the module's process: let a supervisor decide of every system call that changes something."""
    supervisor.send(struct.pack("=i", os.getpid()))
    code = _program()
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("=HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    listener = _call(_SECCOMP, _SET_FILTER, _NEW_LISTENER, program)
    supervisor.recv(1)
    os.close(listener)


def _program() -> bytes:
    """The filter (seccomp(2), "struct seccomp_data"): the supervisor decides of what changes something."""

    def jump(code: int, value: int, yes: int, no: int) -> bytes:
        return struct.pack("=HBBI", code, yes, no, value)

    words = [struct.pack("=HBBI", _LOAD, 0, 0, 0)]
    for number, argument, comparison, value in _DEPENDING.values():
        words += [
            jump(_EQUAL, number, 0, 4),
            struct.pack("=HBBI", _LOAD, 0, 0, 16 + 8 * argument),
            jump(comparison, value, 0, 1),
            struct.pack("=HBBI", _RETURN, 0, 0, _NOTIFY),
            struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW),
        ]
    for number in _CHANGES.values():
        words += [jump(_EQUAL, number, 0, 1), struct.pack("=HBBI", _RETURN, 0, 0, _NOTIFY)]
    return b"".join([*words, struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW)])


def _call(number: int, *arguments: t.Any) -> int:
    widened = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *widened)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# --- the supervisor ------------------------------------------------------------


def _start_supervisor(link: socket.socket, number: int, caller: bool) -> None:
    """Start it in a process that lives as long as any process of the run; nobody has to wait for it."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    try:
        os.dup2(link.fileno(), 3)
        os.closerange(4, 256)
        _Supervisor(socket.socket(fileno=3), number, caller).serve()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


class _Supervisor:
    """Lets system calls go on, and kills before one of them.

    :param link: to the module's process first, to whoever waits for the outcome later.
    """

    def __init__(self, link: socket.socket, number: int, caller: bool) -> None:
        self.link: socket.socket | None = link
        self.number = number
        self.caller = caller
        self.calls: list[str] = []
        self.pid = struct.unpack("=i", link.recv(4))[0]
        self.module = os.pidfd_open(self.pid)
        self.listener = _take_listener(self.pid, self.module)
        link.send(b"1")

    def serve(self) -> None:
        """Serve until no process of the run is left."""
        events = select.poll()
        events.register(self.module, select.POLLIN)
        events.register(self.listener, select.POLLIN)
        while True:
            happened = dict(events.poll())
            if happened.get(self.listener, 0) & select.POLLIN:
                self._decide()
            elif self.module in happened:
                events.unregister(self.module)
                self._report()
            elif self.listener in happened:  # POLLHUP: no process has the filter any more
                self._report()
                return

    def _report(self) -> None:
        """The module has ended: say what it and its processes did up to there."""
        if self.link is not None:
            self.link.sendall(" ".join(self.calls).encode())
            self.link.close()
            self.link = None

    def _decide(self) -> None:
        notice = ctypes.create_string_buffer(_NOTICE.size)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, notice)
        except FileNotFoundError:  # whoever made the call was killed meanwhile
            return
        number, pid, _flags, call = _NOTICE.unpack(notice.raw)
        if self.link is not None:
            self.calls.append(_NAMES[call])
            if len(self.calls) == self.number:
                victim = pid if self.caller else self.pid
                os.kill(victim, signal.SIGKILL)
                if victim == pid:  # it waits for an answer, and dies without one
                    return
        try:
            fcntl.ioctl(self.listener, _SEND, struct.pack("=QqiI", number, 0, 0, _GO_ON))
        except FileNotFoundError:
            return


def _take_listener(pid: int, handle: int) -> int:
    """The descriptor by which the kernel asks, out of the process that made it (pidfd_getfd(2))."""
    while True:
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{name}") == _LISTENER_LINK:
                    return _call(_PIDFD_GETFD, handle, int(name), 0)
