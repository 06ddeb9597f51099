# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container's first process does between its birth and its payload.

Everything was looked up, opened and checked before (:mod:`.launch`). Here are system calls only: no import, no look-up
of a name, no library, since whatever would be loaded after the change of root is the container's. Imports are shut off
to make sure of that.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import typing as t

from .._kernel import capability, mount_api, namespace, path, process, seccomp
from .._kernel.syscall import call
from . import devices, mounts

if t.TYPE_CHECKING:
    from .seccomp import Program

_PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_NO_NEW_PRIVS = 4, 8, 38


class Setup:
    """All that the first process needs, prepared by its parents."""

    def __init__(self) -> None:
        self.root: int | None = None  #: detached mount of the root; ``None``: the container stays in the host's root
        self.read_only = False
        self.mounts: list[mounts.Mount] = []
        self.masked: t.Sequence[str] = ()
        self.protected: t.Sequence[str] = ()
        self.host_nodes: dict[str, int] = {}
        self.new_cgroup_namespace = False
        self.sysctls: dict[str, str] = {}
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
        self.output = -1  #: where standard output and standard error go
        self.stub: int | None = None
        self.filter: Program | None = None  #: of system calls; ``None``: there is none, or the stub has it
        self.pause: t.Callable[[str], None]  #: says something to the parent, and waits until it says to go on


def begin(setup: Setup, hear: int, tell: int) -> t.NoReturn:
    """Be the first process of a container; never returns.

    :param hear: descriptor that brings one byte when to go on; its end means that the parent died.
    :param tell: descriptor for messages to the parent: ``ready``, or a line that says what failed.
    """
    doing = "begin"
    setup.pause = lambda message: _pause(hear, tell, message)
    try:
        sys.meta_path.clear()
        for doing, step in _STEPS:
            if step is None:
                setup.pause(doing)
            else:
                step(setup)
        doing = "command"
        _execute(setup)
    except BaseException as error:  # there is nobody above who could handle it
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
        os.write(tell, f"{doing}: {words}{where}".encode(errors="backslashreplace")[:4000])
    finally:  # even if whoever would be told is dead
        os._exit(127)


def _pause(hear: int, tell: int, message: str) -> None:
    if message:
        os.write(tell, message.encode())
    if not os.read(hear, 1):
        os._exit(1)


def _isolate(setup: Setup) -> None:
    """Nobody may look into this process, which is still half the host's."""
    call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.setsid()
    if setup.new_cgroup_namespace:
        namespace.unshare("cgroup")
    os.umask(0)


def _attach_root(setup: Setup) -> None:
    if setup.root is not None:
        mount_api.attach(setup.root, os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))


def _attach_mounts(setup: Setup) -> None:
    if setup.root is None:
        return
    for entry in setup.mounts:
        try:
            entry.attach(setup.root)
        except OSError as error:
            raise OSError(error.errno, f"[{entry.destination}] {error.strerror}") from error


def _make_devices(setup: Setup) -> None:
    """Devices first, since what hides files is one of them."""
    if setup.root is None:
        return
    null = devices.populate(setup.root, setup.host_nodes)
    mounts.protect(setup.root, setup.protected)
    mounts.mask(setup.root, setup.masked, null)


def _set_sysctls(setup: Setup) -> None:
    """Through a ``/proc`` of our own, in which nothing can have been mounted over anything (CVE-2025-52881)."""
    if not setup.sysctls:
        return
    proc = mount_api.new_filesystem("proc", {})
    for name, value in setup.sysctls.items():
        place = os.path.join("sys", *name.split("/"))
        fd = path.open_in(proc, place, os.O_WRONLY, follow=False)
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
    mount_api.pivot_root(setup.root)


def _name_host(setup: Setup) -> None:
    if setup.hostname:
        socket.sethostname(setup.hostname)
    if setup.domainname:
        call("setdomainname", setup.domainname.encode(), len(setup.domainname))


def _connect_output(setup: Setup) -> None:
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(setup.output, 1)
    os.dup2(setup.output, 2)


def _filter_early(setup: Setup) -> None:
    """Without no_new_privs only CAP_SYS_ADMIN may, so it comes before capabilities are dropped."""
    if not setup.no_new_privileges:
        _filter(setup)


def _filter(setup: Setup) -> None:
    """Let the filter decide of all further system calls; whoever is to be told of some is told so by the parent."""
    program, setup.filter = setup.filter, None
    if program is not None:
        listener = seccomp.load(program.code, program.flags)
        if program.listener:
            setup.pause(f"listener {listener}")
            os.close(listener)


def _become_user(setup: Setup) -> None:
    """Capabilities of the bounding set go first: dropping them needs one of those that go later."""
    sets = setup.capabilities
    capability.drop_bounding(sets["bounding"])
    call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups(setup.groups)
    os.setresgid(setup.gid, setup.gid, setup.gid)
    os.setresuid(setup.uid, setup.uid, setup.uid)
    capability.set_capabilities(sets["effective"], sets["permitted"], sets["inheritable"])
    capability.set_ambient(sets["ambient"])
    os.umask(setup.umask)


def _enter_directory(setup: Setup) -> None:
    """As the user who works there; and inside the root, not by way of a descriptor out of it (CVE-2024-21626)."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(path.open_in(root, setup.cwd, os.O_PATH | os.O_DIRECTORY))
    os.getcwd()  # ENOENT where it is not reachable from the root


def _finish(setup: Setup) -> None:
    if setup.no_new_privileges:
        call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    process.reset_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _find_command(setup: Setup) -> None:
    """Look up the command as execvp(3) does, before the container is called ready."""
    command = setup.arguments[0]
    folders = [""] if "/" in command else setup.environment.get("PATH", "").split(":")
    for folder in folders:
        candidate = os.path.join(folder, command)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            setup.arguments = (candidate, *setup.arguments)
            return
    where = "" if "/" in command else f" in PATH ({setup.environment.get('PATH', '')})"
    raise OSError(2, f"there is no program {command!r}{where} in the container that its user may execute")


def _execute(setup: Setup) -> None:
    if setup.stub is None:
        os.execve(setup.arguments[0], setup.arguments[1:], setup.environment)
    os.execve(setup.stub, setup.arguments, setup.environment)


#: What is done, under the name that an error message gives it; without a function: wait for the parent.
_STEPS: t.Final[tuple[tuple[str, t.Callable[[Setup], None] | None], ...]] = (
    ("", None),
    ("isolate the first process", _isolate),
    ("rootfs", _attach_root),
    ("mounts", _attach_mounts),
    ("devices and masked paths", _make_devices),
    ("sysctls", _set_sysctls),
    ("change root", _change_root),
    ("hostname", _name_host),
    ("output", _connect_output),
    ("seccomp", _filter_early),
    ("user and capabilities", _become_user),
    ("cwd", _enter_directory),
    ("no_new_privs", _finish),
    ("command", _find_command),
    ("ready", None),
    ("seccomp", _filter),
)
