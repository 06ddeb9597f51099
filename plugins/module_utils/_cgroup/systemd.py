# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where systemd(1) is the init process, the tree of groups is its own, but for what it delegates.

Below a unit with ``Delegate=yes`` it leaves groups and controllers alone; anywhere else it takes controllers away from
groups that are not its own, as at a ``daemon-reload`` (https://systemd.io/CGROUP_DELEGATION). So our groups live below
a unit of ours that has no process: a service that has run to its end and remains active.

systemd removes the group of such a service at the end of its process. Setting any property makes it build the group
again, marked as delegated, and it then keeps it until the unit is stopped, whatever comes and goes below (tried with
systemd 247, 252 and 257; through daemon-reload and daemon-reexec).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
import typing as t

from .._model.errors import NsfleetError

if t.TYPE_CHECKING:
    from .group import Group
    from .hierarchy import Host

SLICE = "nsfleet.slice"
UNIT = "nsfleet.service"
_PROPERTIES = (
    "Description=Control groups of nsfleet.linux",
    "Type=oneshot",
    "RemainAfterExit=yes",
    "Delegate=yes",
    "OOMPolicy=continue",  # one group out of memory is not the end of all others
    "TasksMax=infinity",
)
#: Whoever starts or stops the unit holds the lock of this file, which is there only meanwhile.
_LOCK = "/run/nsfleet.systemd.lock"
#: What systemd calls the groups of its units; those without these endings are not its own.
UNIT_SUFFIXES = (".slice", ".service", ".scope")


def delegated(host: Host, path: str) -> bool:
    """Whether systemd says of a group that what is below it is not its business.

    :param path: from the root of the hierarchies.
    """
    place = host.common()[-1].mount_point + path
    return any(host.tree.attribute(place, name) == "1" for name in ("trusted.delegate", "user.delegate"))


def objection(group: Group) -> str:
    """Why a group is not to be touched, empty if it may be: where there is no systemd, and below our base, all may."""
    host, path = group.host, group.path
    if not host.systemd or not group.name.startswith("/"):
        return ""
    parts = path.strip("/").split("/")
    above = ["/" + "/".join(parts[: index + 1]) for index in range(len(parts) - 1)]
    if any(delegated(host, each) for each in above):
        return ""
    units = [part for part in parts if part.endswith(UNIT_SUFFIXES)]
    if units:
        return (
            f"{path} belongs to the unit {units[-1]} of systemd, which is not delegated; set Delegate=yes for the unit "
            "and name a group below it, or use a name without a leading slash"
        )
    if host.mode == "unified":
        return (
            f"{path} is in the tree of systemd, which takes controllers away from groups that are not its own; "
            "name a group below a unit with Delegate=yes, or use a name without a leading slash"
        )
    return ""


@contextlib.contextmanager
def started(host: Host) -> t.Iterator[None]:
    """Our delegated unit and its group are there, and stay meanwhile: until there is a group below them.

    :raises NsfleetError: systemd refused.
    """
    with _locked():
        if not delegated(host, host.base):
            _start(host)
        yield


def _start(host: Host) -> None:
    # A unit without its group: somebody removed the group by hand. Nothing runs in it, so nothing is killed.
    _run("systemctl", "stop", UNIT, fine=True)
    properties = [word for each in _PROPERTIES for word in ("--property", each)]
    _run("systemd-run", "--quiet", f"--unit={UNIT}", f"--slice={SLICE}", *properties, "true")
    _run("systemctl", "set-property", "--runtime", UNIT, "TasksMax=infinity")
    if not delegated(host, host.base):
        raise NsfleetError(f"systemd started {UNIT}, but did not make its control group {host.base}")


def stop(host: Host) -> None:
    """Stop our unit and its slice, if there is no group below them any more.

    :raises NsfleetError: systemd refused.
    """
    with _locked():
        for unit, path in ((UNIT, host.base), (SLICE, host.base.rpartition("/")[0])):
            places = [each.mount_point + path for each in host.hierarchies]
            if not host.tree.has(host.common()[-1].mount_point + path) or any(map(host.tree.children, places)):
                continue
            _run("systemctl", "stop", unit)


@contextlib.contextmanager
def _locked() -> t.Iterator[None]:
    """Keep others from starting the unit, which fails if two do it, and from stopping it, which kills what is below."""
    while True:
        fd = os.open(_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            break
        os.close(fd)  # whoever had it has removed it
    try:
        yield
    finally:
        os.unlink(_LOCK)
        os.close(fd)


# --- scopes ------------------------------------------------------------------------

_BUS = ("busctl", "--quiet", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1")
_MANAGER = "org.freedesktop.systemd1.Manager"
#: Seconds to wait for systemd to make a scope.
_PATIENCE = 30.0


def slice_path(name: str) -> str:
    """Where the group of a slice is: a dash in its name is a step down (systemd.slice(5)).

    :param name: such as ``a-b.slice``, which is ``/a.slice/a-b.slice``; ``-.slice`` is the root.
    :raises ValueError: it is no name of a slice.
    """
    stem = name[: -len(".slice")]
    if not name.endswith(".slice") or not stem or "/" in name:
        raise ValueError(f"expected a slice of systemd, such as system.slice, got {name!r}")
    if stem == "-":
        return ""
    words = stem.split("-")
    if "" in words:
        raise ValueError(f"expected a slice of systemd, such as system.slice, got {name!r}")
    return "".join(f"/{'-'.join(words[: number + 1])}.slice" for number in range(len(words)))


def need(host: Host) -> None:
    """Refuse what only systemd can do where there is none.

    :raises NsfleetError: it is not the init process here, or cannot be asked.
    """
    if not host.systemd:
        raise NsfleetError("--systemd-cgroup: systemd is not the init process of this host")
    if shutil.which("busctl") is None:
        raise NsfleetError("--systemd-cgroup: there is no busctl on this host, which comes with systemd")


def scope_call(slice_: str, scope: str, pid: int) -> list[str]:
    """The arguments of busctl(1) that ask for a transient scope (org.freedesktop.systemd1(5))."""
    properties = (
        ("Description", "s", f"Container of nsfleet.linux in {scope}"),
        ("Slice", "s", slice_),
        ("Delegate", "b", "true"),
        ("DefaultDependencies", "b", "false"),
        ("PIDs", "au", "1", str(pid)),
    )
    words = [word for each in properties for word in each]
    signature = "ssa(sv)a(sa(sv))"
    return [*_BUS, _MANAGER, "StartTransientUnit", signature, scope, "fail", str(len(properties)), *words, "0"]


def start_scope(host: Host, slice_: str, scope: str, pid: int) -> None:
    """Have systemd make a delegated scope with a process in it; returns when it is there.

    :raises NsfleetError: systemd refused, or did not do it in time.
    """
    need(host)
    subprocess.run([*_BUS, _MANAGER, "ResetFailedUnit", "s", scope], capture_output=True, check=False)
    _run(*scope_call(slice_, scope, pid), about=scope)
    place = f"{host.common()[-1].mount_point}{slice_path(slice_)}/{scope}"
    end = time.monotonic() + _PATIENCE
    while str(pid) not in (host.tree.read(f"{place}/cgroup.procs") or "").split():
        if time.monotonic() > end:
            raise NsfleetError(f"systemd did not make the scope {scope} in {_PATIENCE:.0f} s")
        time.sleep(0.005)


def stop_scope(scope: str) -> None:
    """Have systemd forget a scope that has no process any more; one that it has forgotten already is no error."""
    subprocess.run(["systemctl", "stop", scope], stdin=subprocess.DEVNULL, capture_output=True, check=False)


def _run(*command: str, fine: bool = False, about: str = UNIT) -> None:
    """Run a command of systemd.

    :param fine: whether it may fail.
    :param about: the unit that an error is about.
    """
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode and not fine:
        words = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise NsfleetError(f"{' '.join(command[:2])} {about}: {words}")
