# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of a running container, and what it changes under it without a restart."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import socket
import typing as t

from .._kernel import files, sysctl
from .._kernel.mount import Mount, mounts
from .._kernel.namespace import identity, inside, inside_new
from .._kernel.syscall import call
from .._model.errors import KernelError
from .._model.field import State, Table
from .._model.resource import Change, flatten
from .._runtime import groups
from .._runtime.spec import NAMESPACE_KINDS, SECRETS, SECRETS_INSIDE, Spec, annotate, annotation
from . import container_process, limits
from .container_fields import NAMESPACES, UNCONFINED

if t.TYPE_CHECKING:
    from .._cgroup.group import Group

_LIMITS = Table(limits.LIMITS)
#: Name in ``/proc/PID/limits`` to option.
_LIMIT_NAMES: t.Final = {
    "Max address space": "as", "Max core file size": "core", "Max cpu time": "cpu", "Max data size": "data",
    "Max file size": "fsize", "Max file locks": "locks", "Max locked memory": "memlock",
    "Max msgqueue size": "msgqueue", "Max nice priority": "nice", "Max open files": "nofile",
    "Max processes": "nproc", "Max resident set": "rss", "Max realtime priority": "rtprio",
    "Max realtime timeout": "rttime", "Max pending signals": "sigpending", "Max stack size": "stack",
}  # fmt: skip


def correct(state: State, pid: int, spec: Spec) -> None:
    """Replace what the bundle says by what the kernel says, wherever it can tell.

    :param state: of the container as its bundle describes it.
    :param pid: of its first process.
    """
    _correct_namespaces(state, pid, spec)
    if state["namespaces"]["uts"] == "private":
        state["hostname"], state["domainname"] = _names(pid)
    if state["namespaces"]["mount"] == "private":
        _correct_mounts(state, pid)
    _correct_sysctls(state, pid)
    _correct_process(state, pid)
    container_process.correct(state, pid)


def _correct_namespaces(state: State, pid: int, spec: Spec) -> None:
    """A container may have been put into a namespace of a name that means another one by now."""
    for entry in spec["linux"].get("namespaces", ()):
        kind = NAMESPACE_KINDS[entry["type"]]
        option = next(name for name, word in NAMESPACES.items() if word == entry["type"])
        if not entry.get("path"):
            continue
        live = identity(f"/proc/{pid}/ns/{kind}")
        try:
            if identity(entry["path"]) == live:
                continue
        except OSError:
            pass
        state["namespaces"][option] = f"{kind}:[{live.inode}]"


def _names(pid: int) -> tuple[str, str]:
    with _inside(pid, "uts"):
        domain = sysctl.read_parameter("kernel.domainname") or ""
        return socket.gethostname(), "" if domain == "(none)" else domain


@contextlib.contextmanager
def _inside(pid: int, kind: str) -> t.Iterator[None]:
    """Run the calling thread in a namespace of a process and come back."""
    fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with inside(fd, kind):
            yield
    finally:
        os.close(fd)


def _correct_mounts(state: State, pid: int) -> None:
    """Mounts that are gone, and the root if it became writable or read-only.

    :raises OSError: ``ESRCH``: the process is about to end, and shows none any more.
    """
    places = {each.path: each for each in mounts(f"/proc/{pid}/mountinfo")}
    if "/" not in places:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    state["mounts"] = {place: entry for place, entry in state["mounts"].items() if place in places}
    state["read_only"] = "ro" in places["/"].options.split(",")
    if state["secrets_source"] and not _shows(places.get(SECRETS_INSIDE), state["secrets_source"]):
        state["secrets_source"] = ""


def _shows(there: Mount | None, source: str) -> bool:
    """Whether what is mounted inside is the directory of secrets that is at a path now."""
    try:
        device = os.stat(source).st_dev
    except FileNotFoundError:
        return False
    here = f"{os.major(device)}:{os.minor(device)}", source.removeprefix(SECRETS)
    return there is not None and (there.device, there.root) == here


def _correct_sysctls(state: State, pid: int) -> None:
    for name in state["sysctls"]:
        with _inside(pid, sysctl.namespace_of(name)):
            state["sysctls"][name] = sysctl.read_parameter(name)


def _correct_process(state: State, pid: int) -> None:
    live = _read_rlimits(pid)
    state["rlimits"] = {name: live.get(name) for name in state["rlimits"]}
    if state["seccomp"] != UNCONFINED and not _filtered(pid):
        state["seccomp"] = UNCONFINED
    if state.get("oom_score_adj") is not None:
        state["oom_score_adj"] = int(files.read_text(f"/proc/{pid}/oom_score_adj") or 0)


def _filtered(pid: int) -> bool:
    """Whether a process has a filter of system calls that its parent, from whom it has the others, has not."""
    status = _status(pid)
    if not int(status["Seccomp"]):
        return False
    parent = _status(int(status["PPid"])) if int(status["PPid"]) else {}
    return int(status["Seccomp_filters"]) > int(parent.get("Seccomp_filters", 0))


def _status(pid: int) -> dict[str, str]:
    lines = (files.read_text(f"/proc/{pid}/status") or "").splitlines()
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in lines)}


def _read_rlimits(pid: int) -> dict[str, str]:
    found = {}
    for line in (files.read_text(f"/proc/{pid}/limits") or "").splitlines()[1:]:
        name = _LIMIT_NAMES.get(line[:26].strip())
        soft, hard = line[26:].split()[:2]
        if name:
            found[name] = f"{soft}:{hard}"
    return found


# --- limits ------------------------------------------------------------------


def write_limits(spec: Spec, wanted: State) -> None:
    """Put limits into a description: as options, for us, and as files of the group, for whoever runs the bundle."""
    annotate(spec, "limits", json.dumps(wanted, sort_keys=True) if wanted else "")
    unified: dict[str, str] = {}
    for change in flatten(_LIMITS, wanted):
        for file, text in limits.limit_of(change).writes(change):
            unified[file] = f"{unified[file]}\n{text}" if file in unified else text
    spec["linux"]["resources"] = {"unified": unified}


def read_limits(spec: Spec) -> State:
    """The limits that a container will have when it is started."""
    found: State = json.loads(annotation(spec, "limits") or "{}")
    return found


# --- change ------------------------------------------------------------------


def change(change: Change, pid: int, spec: Spec) -> None:
    """Make one change to a running container.

    :param pid: of its first process.
    :param spec: description with the change in it.
    :raises KernelError: the kernel refused.
    """
    option = change.path[0]
    writers: dict[str, t.Callable[[], None]] = {
        "hostname": lambda: _set_names(pid, spec),
        "domainname": lambda: _set_names(pid, spec),
        "sysctls": lambda: _set_sysctl(pid, change),
        "rlimits": lambda: _set_rlimit(pid, change),
        "oom_score_adj": lambda: _set_score(pid, change.after),
    }
    try:
        if limits.is_limit(option):
            _set_limit(groups.of(spec), change)
        else:
            writers.get(option, lambda: None)()  # the others are read from the bundle when they are needed
    except OSError as error:
        raise KernelError(f"set {change.option} to {change.after!r}", error) from error


def _set_limit(group: Group, change: Change) -> None:
    """A running container may not have the controller yet: it was started without any limit of it."""
    group.create({limits.limit_of(change).controller})
    limits.write(group, [change])


def _set_names(pid: int, spec: Spec) -> None:
    domain = spec.get("domainname", "").encode()
    with _inside(pid, "uts"):
        socket.sethostname(spec["hostname"])
        call("setdomainname", domain, len(domain))


def _set_sysctl(pid: int, change: Change) -> None:
    """A parameter that disappears from the task becomes that of a new namespace, if a new one has it."""
    name, value = change.path[1], change.after
    kind = sysctl.namespace_of(name)
    if value is None:
        with inside_new(kind):
            value = sysctl.read_parameter(name)
    if value is not None:
        with _inside(pid, kind):
            sysctl.write_parameter(name, value)


def _set_rlimit(pid: int, change: Change) -> None:
    """A limit that disappears from the task becomes that of a process of the host."""
    number = getattr(resource, f"RLIMIT_{change.path[1].upper()}")
    if change.after is None:
        limits_ = resource.getrlimit(number)
    else:
        words = change.after.split(":")
        limits_ = (_number(words[0]), _number(words[1]))
    resource.prlimit(pid, number, limits_)


def _number(word: str) -> int:
    return resource.RLIM_INFINITY if word == "unlimited" else int(word)


def _set_score(pid: int, score: int | None) -> None:
    with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
        file.write(str(score or 0))
