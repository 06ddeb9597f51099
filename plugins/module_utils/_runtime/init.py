# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process of a container does between its birth and its payload.

Everything was looked up, opened and checked before (:mod:`.birth`). Here are system calls only: no import, no look-up
of a name, no library, since whatever would be loaded after the change of root is the container's. Imports are shut off
to make sure of that.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import typing as t

from .._kernel import capability, mount_api, namespace, path, process, seccomp
from .._kernel.syscall import call, number, syscall
from . import devices, hooks, mounts
from .spec import Told

if t.TYPE_CHECKING:
    import socket

    from .seccomp import Program
    from .terminal import Console

_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 4, 8, 38
_JOIN_SESSION_KEYRING = 1
#: Messages to the parent: the process is in its control group; hooks are to run now; all is ready for the payload.
ENTERED: t.Final = b"entered"
HOOKS: t.Final = b"hooks"
READY: t.Final = b"ready"
LISTENER: t.Final = b"listener "  #: and the number of a descriptor, by which somebody decides of system calls


class Setup:
    """All that the first process needs, prepared by its parents."""

    def __init__(self) -> None:
        self.root: int | None = None  #: detached mount of the root; ``None``: the container stays in the host's root
        self.chroot: int | None = None  #: the root, where its mount namespace is also others', whose root it is not
        self.read_only = False
        self.mounts: list[mounts.Mount] = []
        self.masked: t.Sequence[str] = ()
        self.protected: t.Sequence[str] = ()
        self.propagation: int | None = None  #: of bind mounts, where they do not say it themselves
        self.root_propagation: tuple[int, bool] | None = None  #: what the root gets, and whether all below it do
        self.devices: t.Sequence[devices.Device] | None = None  #: ``None``: ``/dev`` has them already
        self.nodes: t.Mapping[str, int] = {}  #: those of them that were made outside
        self.doors: t.Sequence[int] = ()  #: descriptors of files by which it enters its control group
        self.new_cgroup_namespace = False
        self.sysctls: dict[str, str] = {}  #: by their path in /proc/sys
        self.hostname = ""
        self.domainname = ""
        self.cwd = "/"
        self.uid = self.gid = 0
        self.groups: t.Sequence[int] = ()
        self.umask = 0o022
        self.capabilities: dict[str, int] = {}
        self.no_new_privileges = True
        self.arguments: tuple[str, ...] = ()
        self.environment: dict[str, str] = {}
        self.standard: tuple[int | None, int | None, int | None] = (None, None, None)
        self.console: Console | None = None
        self.keyring: str | None = ""  #: name of its session keyring; empty: a new one; ``None``: the caller's
        self.personality = -1
        self.label: bytes = b""  #: for the security module, at the execution of the payload
        self.label_file = ""  #: where it is written, below ``/proc/self``
        self.label_place: int | None = None  #: descriptor that becomes the process's directory in a ``/proc``
        self.hooks_inside: t.Sequence[t.Mapping[str, t.Any]] = ()  #: createContainer
        self.hooks_at_start: t.Sequence[t.Mapping[str, t.Any]] = ()  #: startContainer
        self.state = Told(b"", b"")  #: of the container, as hooks are told it
        self.gate: socket.socket | None = None  #: where somebody says when the payload is to be executed
        self.stub: int | None = None
        self.filter: Program | None = None  #: of system calls; ``None``: there is none, or the stub has it
        self.pause: t.Callable[[bytes], None]  #: says something to the parent, and waits until it says to go on


class Step(t.NamedTuple):
    """What is done, under the name that an error message gives it; without a function: wait for the parent."""

    doing: str
    function: t.Callable[[Setup], None] | None = None
    message: bytes = b""


Steps = t.Sequence[Step]


def begin(setup: Setup, hear: int, tell: int, steps: Steps) -> t.NoReturn:
    """Be a new process of a container; never returns.

    :param hear: descriptor that brings one byte when to go on; its end means that the parent died.
    :param tell: descriptor for messages to the parent: one of the steps', or a line that says what failed.
    """
    doing = "begin"
    setup.pause = lambda message: _pause(hear, tell, message)
    try:
        sys.meta_path.clear()
        for each in steps:
            doing = each.doing
            if each.function is not None:
                each.function(setup)
            elif each.message != READY or setup.gate is None:
                setup.pause(each.message)
            else:
                _wait_at_gate(setup.gate, tell)
        doing = "command"
        _execute(setup)
    except BaseException as error:  # there is nobody above who could handle it
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        os.write(tell, f"{doing}: {words}{where}".encode(errors="backslashreplace")[:4000])
    finally:  # even if whoever would be told is dead
        os._exit(127)


def _pause(hear: int, tell: int, message: bytes) -> None:
    if message:
        os.write(tell, message)
    if os.read(hear, 1) != b"1":
        os._exit(1)


def _wait_at_gate(gate: socket.socket, tell: int) -> None:
    """The container is created. Whoever starts it connects, and is from then on the one who is told what fails."""
    os.write(tell, READY)
    os.close(tell)  # its end tells the parent that nothing more will come
    connection, _address = gate.accept()
    gate.close()
    fd = connection.detach()
    if fd == tell:
        os.set_inheritable(fd, True)
    else:
        os.dup2(fd, tell)
        os.close(fd)


def _enter_group(setup: Setup) -> None:
    for door in setup.doors:
        os.write(door, b"0")
        os.close(door)


def _isolate(setup: Setup) -> None:
    """Nobody may look into this process, which is still half the host's."""
    call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.setsid()
    if setup.keyring is not None:
        _join_keyring(setup.keyring)
    if setup.new_cgroup_namespace:
        namespace.unshare("cgroup")
    os.umask(0)


def _join_keyring(name: str) -> None:
    """Keys of the caller's session are none of the container's (keyctl(2)); a kernel without keys has none to see."""
    try:
        syscall(number("keyctl"), _JOIN_SESSION_KEYRING, name.encode() or None)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM, errno.EDQUOT):
            raise


def _attach_root(setup: Setup) -> None:
    if setup.root is not None:
        mount_api.attach(setup.root, os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))


def _attach_mounts(setup: Setup) -> None:
    if setup.root is None:
        return
    for entry in setup.mounts:
        try:
            entry.attach(setup.root, setup.propagation)
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            raise OSError(error.errno, f"[{entry.destination}] {error.strerror}{place}") from error


def _make_devices(setup: Setup) -> None:
    """Devices first, since what hides files is one of them."""
    if setup.root is None:
        return
    if setup.devices is not None:
        devices.populate(setup.root, setup.devices, setup.nodes)
    mounts.protect(setup.root, setup.mounts, setup.protected)
    if setup.masked:
        null = devices.open_null(setup.root)
        mounts.mask(setup.root, setup.mounts, setup.masked, null)
        os.close(null)
    for entry in setup.mounts:
        entry.finish()


def _set_sysctls(setup: Setup) -> None:
    """Through a ``/proc`` of our own, in which nothing can have been mounted over anything (CVE-2025-52881)."""
    if not setup.sysctls:
        return
    proc = mount_api.new_filesystem("proc", ())
    for name, value in setup.sysctls.items():
        fd = path.open_in(proc, name.removeprefix("/proc/"), os.O_WRONLY, follow=False)
        try:
            os.write(fd, value.encode())
        except OSError as error:
            raise OSError(error.errno, f"[{name}] {error.strerror}") from error
        os.close(fd)
    os.close(proc)


def _change_root(setup: Setup) -> None:
    if setup.root is None:
        return
    if setup.read_only:
        mount_api.set_attributes(setup.root, mount_api.READ_ONLY)
    if setup.chroot is None:
        mount_api.pivot_root(setup.root)
    _enter_root(setup)
    if setup.root_propagation is not None:  # which a root that is about to become one may not have
        mount_api.propagate(setup.root, *setup.root_propagation)


def _enter_root(setup: Setup) -> None:
    if setup.chroot is not None:
        os.fchdir(setup.chroot)
        os.chroot(".")


def _name_host(setup: Setup) -> None:
    if setup.hostname:
        call("sethostname", setup.hostname.encode(), len(setup.hostname.encode()))
    if setup.domainname:
        call("setdomainname", setup.domainname.encode(), len(setup.domainname.encode()))


def _run_hooks_inside(setup: Setup) -> None:
    hooks.run(setup.hooks_inside, _state(setup))


def _run_hooks_at_start(setup: Setup) -> None:
    hooks.run(setup.hooks_at_start, _state(setup))


def _state(setup: Setup) -> bytes:
    return setup.state.of(os.getpid())


def _connect_files(setup: Setup) -> None:
    """Standard input, output and error: the terminal, what the caller gives, or nothing."""
    if setup.console is not None:
        setup.console.connect(setup.uid, shown=setup.root is not None)
        return
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for standard, given in enumerate(setup.standard):
        fd = devices.open_null(root, os.O_RDWR | os.O_NOCTTY) if given is None else given
        os.dup2(fd, standard)
        if given is None:
            os.close(fd)
    os.close(root)


def _filter_before_gate(setup: Setup) -> None:
    """Whoever decides of system calls is told by the parent, which does not stay until the gate opens."""
    if setup.gate is not None and setup.filter is not None and setup.filter.listener:
        _filter(setup)


def _filter(setup: Setup) -> None:
    """Let the filter decide of all further system calls; whoever is to be told of some is told so by the parent."""
    program, right = setup.filter, _right_to_filter(setup)
    if program is None:
        return
    if right:
        _set_capabilities(setup, effective=right)
    setup.filter = None
    listener = seccomp.load(program.code, program.flags)
    if right:
        _set_capabilities(setup)
    if program.listener:
        setup.pause(b"%s%d" % (LISTENER, listener))
        os.close(listener)


def _right_to_filter(setup: Setup) -> int:
    """The capability that the kernel wants for a filter without no_new_privs (seccomp(2)), kept until it is loaded."""
    return 0 if setup.filter is None or setup.no_new_privileges else capability.mask(("CAP_SYS_ADMIN",))


def _set_capabilities(setup: Setup, effective: int = 0) -> None:
    """Those of the payload, one more that is effective, and what a filter needs that is still to be loaded."""
    sets = setup.capabilities
    permitted = sets["permitted"] | _right_to_filter(setup)
    capability.set_capabilities(sets["effective"] | effective, permitted, sets["inheritable"])


def _become_user(setup: Setup) -> None:
    """Capabilities of the bounding set go first: dropping them needs one of those that go later."""
    sets = setup.capabilities
    capability.drop_bounding(sets["bounding"])
    call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups(setup.groups)
    os.setresgid(setup.gid, setup.gid, setup.gid)
    os.setresuid(setup.uid, setup.uid, setup.uid)
    _set_capabilities(setup)
    capability.set_ambient(sets["ambient"])
    os.umask(setup.umask)


def _enter_directory(setup: Setup) -> None:
    """As the user who works there; and inside the root, not by way of a descriptor out of it (CVE-2024-21626)."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(path.open_in(root, setup.cwd, os.O_PATH | os.O_DIRECTORY))
    os.getcwd()  # ENOENT where it is not reachable from the root


def _open_label(setup: Setup) -> None:
    """The process's directory in a ``/proc`` of our own: the container's may be anything (CVE-2019-16884)."""
    if setup.label_place is not None:
        proc = mount_api.new_filesystem("proc", ())
        here = path.open_in(proc, os.readlink("self", dir_fd=proc), os.O_PATH | os.O_DIRECTORY, follow=False)
        os.dup2(here, setup.label_place, inheritable=setup.stub is not None)
        os.close(here)
        os.close(proc)


def _ask_for_label(setup: Setup) -> None:
    """What the last program does, where there is one."""
    if setup.label_place is not None and setup.stub is None:
        fd = path.open_in(setup.label_place, setup.label_file, os.O_WRONLY, follow=False)
        os.write(fd, setup.label)
        os.close(fd)


def _finish(setup: Setup) -> None:
    if setup.personality >= 0:
        call("personality", setup.personality)
    if setup.no_new_privileges:
        call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    process.reset_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _find_command(setup: Setup) -> None:
    """Look up the command as execvp(3) does, before the container is called ready."""
    command = setup.arguments[0]
    folders = [""] if "/" in command else setup.environment.get("PATH", "").split(":")
    candidates = [os.path.join(folder, command) for folder in folders]
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            setup.arguments = (candidate, *setup.arguments)
            return
    there = any(map(os.path.lexists, candidates))
    number, words = (errno.EACCES, "the user may not execute") if there else (errno.ENOENT, "there is no program")
    where = "" if "/" in command else f" in PATH ({setup.environment.get('PATH', '')})"
    # The last words are the kernel's own: by them engines tell their callers 126 from 127 (execvp(3), podman-run(1)).
    raise OSError(number, f"{words} {command!r}{where} in the container: {os.strerror(number)}")


def _execute(setup: Setup) -> None:
    if setup.stub is None:
        os.execve(setup.arguments[0], setup.arguments[1:], setup.environment)
    os.execve(setup.stub, setup.arguments, setup.environment)


_IN_ITS_GROUP: t.Final = (
    Step(""),
    Step("control group", _enter_group),
    Step("attributes", None, ENTERED),
)
_AS_WHOM: t.Final = (
    Step("user and capabilities", _become_user),
    Step("cwd", _enter_directory),
    Step("security label", _ask_for_label),
    Step("no_new_privs", _finish),
    Step("command", _find_command),
    Step("seccomp", _filter_before_gate),
)
#: The first process of a container.
FIRST: t.Final[Steps] = (
    *_IN_ITS_GROUP,
    Step("isolate the first process", _isolate),
    Step("rootfs", _attach_root),
    Step("mounts", _attach_mounts),
    Step("devices and masked paths", _make_devices),
    Step("sysctls", _set_sysctls),
    Step("hooks", None, HOOKS),
    Step("hooks.createContainer", _run_hooks_inside),
    Step("security label", _open_label),
    Step("change root", _change_root),
    Step("hostname", _name_host),
    Step("standard input and output", _connect_files),
    *_AS_WHOM,
    Step("ready", None, READY),
    Step("hooks.startContainer", _run_hooks_at_start),
    Step("seccomp", _filter),
)
#: A further one, which joins it.
FURTHER: t.Final[Steps] = (
    *_IN_ITS_GROUP,
    Step("isolate the process", _isolate),
    Step("security label", _open_label),
    Step("change root", _enter_root),
    Step("standard input and output", _connect_files),
    *_AS_WHOM,
    Step("ready", None, READY),
    Step("seccomp", _filter),
)
