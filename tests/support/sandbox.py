# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command as root of a host of its own: nothing it does is seen outside, and nothing of it is left.

    sandbox.py [--online] COMMAND [ARGUMENT...]

The command gets private mount, network, process, IPC, UTS and control group namespaces. The root file system is an
overlay on the real one, whose writes go to memory; below ``/.sandbox/upper`` they can be looked at. Its control group
hierarchies begin at a group made for it. Everything ends with the command, or when this process is killed.
With ``--online`` it reaches package mirrors by a proxy (:mod:`relay`), which is in its environment.

It is made with util-linux and plain writes to cgroupfs, not with the collection that is tested in it.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import typing as t

PREFIX = "nsfleet-test-"
#: Extended attribute of the group above all sandboxes: the controllers that it gives for their sake.
GIVEN = "trusted.nsfleet-test"
ITSELF = (sys.executable, os.path.abspath(__file__))
REPOSITORY = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
PR_SET_PDEATHSIG = 1
CLONE_NEWCGROUP = 0x02000000


def relay() -> t.Any:
    """The module beside this one, which is found because this one is run as a program."""
    return importlib.import_module("relay")


# --- outside -----------------------------------------------------------------


class Hierarchy(t.NamedTuple):
    """A mounted control group hierarchy and where this process is in it."""

    mount_point: str
    options: str  #: ``cgroup2``, or the mount options of version 1
    group: str


def hierarchies() -> list[Hierarchy]:
    """All hierarchies that are mounted below ``/sys/fs/cgroup``."""
    own = {}
    with open("/proc/self/cgroup", encoding="utf-8") as lines:
        for line in lines:
            _number, controllers, path = line.rstrip("\n").split(":", 2)
            own[controllers] = path
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        for line in lines:
            before, _dash, after = line.partition(" - ")
            mount_point = before.split()[4]
            kind, _source, options = after.split()
            if kind == "cgroup2":
                found.append(Hierarchy(mount_point, kind, own.get("", "/")))
            elif kind == "cgroup":
                names = [word for word in options.split(",") if word != "rw"]
                controllers = ",".join(name for name in names if name in own or name.startswith("name="))
                controllers = controllers or ",".join(names)
                found.append(Hierarchy(mount_point, controllers, own.get(controllers, "/")))
    return found


def make_groups(name: str) -> list[str]:
    """One group of a name in every hierarchy, ready to take processes."""
    made = []
    for hierarchy in hierarchies():
        path = hierarchy.mount_point + os.path.join(hierarchy.group, name)
        if hierarchy.options == "cgroup2":
            give_controllers(os.path.dirname(path))
        os.mkdir(path)
        made.append(path)
        for file in ("cpuset.cpus", "cpuset.mems"):  # version 1 takes no process before these are set
            with contextlib.suppress(OSError), open(os.path.join(path, "..", file), encoding="ascii") as parent:
                write(os.path.join(path, file), parent.read())
    return made


def give_controllers(path: str) -> None:
    """Give what a group of version 2 can give to those below it, and note what was not given before."""
    with (
        open(f"{path}/cgroup.controllers", encoding="ascii") as has,
        open(f"{path}/cgroup.subtree_control", encoding="ascii") as gives,
    ):
        lacking = sorted(set(has.read().split()) - set(gives.read().split()))
    for controller in lacking:
        with contextlib.suppress(OSError):  # it has processes of its own, or the controller is in use elsewhere
            write(f"{path}/cgroup.subtree_control", f"+{controller}")
            noted = os.getxattr(path, GIVEN).decode() if GIVEN in os.listxattr(path) else ""
            os.setxattr(path, GIVEN, f"{noted} {controller}".encode())


def take_back(path: str) -> None:
    """Take back what was given, if this was the last sandbox."""
    if GIVEN not in os.listxattr(path) or glob.glob(os.path.join(path, PREFIX + "*")):
        return
    for controller in os.getxattr(path, GIVEN).decode().split():
        with contextlib.suppress(OSError):
            write(f"{path}/cgroup.subtree_control", f"-{controller}")
    os.removexattr(path, GIVEN)


def sweep() -> None:
    """Remove the groups of sandboxes whose process was killed."""
    for hierarchy in hierarchies():
        for path in glob.glob(hierarchy.mount_point + os.path.join(hierarchy.group, PREFIX + "*")):
            pid = path.rpartition("-")[2]
            if not os.path.exists(f"/proc/{pid}"):
                remove_group(path)


def remove_group(path: str) -> None:
    """Remove a group and those below it; what still has a process stays."""
    for folder, _folders, _files in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def write(path: str, text: str) -> None:
    """Write a kernel file."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def outside(command: list[str], online: bool) -> int:
    """Make groups and namespaces, run the inner half in them, and clean up."""
    sweep()
    groups = make_groups(f"{PREFIX}{os.getpid()}")
    base = tempfile.mkdtemp(prefix="nsfleet-sandbox-")

    here, there = socket.socketpair()
    inner = [*ITSELF, "--enter", ":".join(groups), base, str(there.fileno()), *command]
    try:
        # The command's end is the sandbox's: keyboard interrupts go to both, and the command decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        here.send(b"1" if online else b"0")
        running = subprocess.Popen(inner, pass_fds=(there.fileno(),))
        there.close()
        if online:
            serve(here)
        return running.wait()
    finally:
        for group in groups:
            remove_group(group)
            take_back(os.path.dirname(group))
        os.rmdir(base)


def enter(groups: list[str], words: list[str]) -> t.NoReturn:
    """Go into the groups and become the process that makes the namespaces."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for group in groups:
        write(os.path.join(group, "cgroup.procs"), "0")
    libc.unshare(CLONE_NEWCGROUP)
    for group in groups:  # a root without processes can give its controllers to groups, as on a host
        if os.path.exists(os.path.join(group, "cgroup.controllers")):
            os.mkdir(os.path.join(group, "host"))
            write(os.path.join(group, "host", "cgroup.procs"), "0")
    unshare = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
    os.execvp("unshare", [*unshare, *ITSELF, "--inside", *words])


def serve(here: socket.socket) -> None:
    """Take the listening socket of the proxy from the inside, and answer on it from here."""
    _message, descriptors, _flags, _address = socket.recv_fds(here, 1, 1)
    if descriptors:  # none: the inside ended before it came so far
        relay().serve(socket.socket(fileno=descriptors[0]))


# --- inside ------------------------------------------------------------------


def mount(*words: str) -> None:
    """mount(8)."""
    subprocess.run(["mount", *words], check=True)


def make_root(base: str) -> None:
    """An overlay on the real root, with kernel file systems of the new namespaces, and make it the root."""
    groups = hierarchies()
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "tmpfs", base)
    root, upper, work = (os.path.join(base, name) for name in ("root", "upper", "work"))
    for path in (root, upper, work):
        os.mkdir(path)
    mount("-t", "overlay", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}", root)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("-t", "sysfs", "sysfs", f"{root}/sys")
    mount("--rbind", "/dev", f"{root}/dev")
    mount("--bind", REPOSITORY, root + REPOSITORY)
    for path in ("/run", "/tmp", "/var/lib/nsfleet"):
        os.makedirs(root + path, exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", root + path)
    os.chmod(f"{root}/tmp", 0o1777)
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", f"{root}/sys/fs/cgroup")
    for hierarchy in groups:
        os.makedirs(root + hierarchy.mount_point, exist_ok=True)
        kind = ["-t", "cgroup2"] if hierarchy.options == "cgroup2" else ["-t", "cgroup", "-o", hierarchy.options]
        mount(*kind, "cgroup", root + hierarchy.mount_point)
    os.makedirs(f"{root}/.sandbox/upper")
    mount("--bind", upper, f"{root}/.sandbox/upper")
    os.chdir(root)
    subprocess.run(["pivot_root", ".", "mnt"], check=True)
    subprocess.run(["umount", "-l", "/mnt"], check=True)


def ask_for_proxy(there: socket.socket) -> dict[str, str]:
    """Hand out the listening socket of a proxy, if there is to be one.

    :returns: the environment by which programs find it.
    """
    if there.recv(1) != b"1":
        return {}
    with relay().listen() as listening:
        socket.send_fds(there, [b"1"], [listening.fileno()])
    return dict.fromkeys(("http_proxy", "https_proxy"), relay().URL)


def inside(base: str, there: socket.socket, command: list[str]) -> int:
    """Be process 1 of the sandbox: prepare it, run the command, reap whatever is left to us."""
    folder = os.getcwd()
    make_root(base)
    os.chdir(folder)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["hostname", "sandbox"], check=True)
    child = subprocess.Popen(command, env={**os.environ, **ask_for_proxy(there), "NSFLEET_SANDBOX": "1"})
    there.close()
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            return os.waitstatus_to_exitcode(status)


def main(words: list[str]) -> int:
    """Be the outer or the inner half.

    :returns: exit status of the command.
    """
    if words[:1] == ["--enter"]:
        enter(words[1].split(":"), words[2:])
    if words[:1] == ["--inside"]:
        return inside(words[1], socket.socket(fileno=int(words[2])), words[3:])
    online = words[:1] == ["--online"]
    if not words[online:]:
        print(__doc__, file=sys.stderr)
        return 2
    return outside(words[online:], online)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
