# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every namespace of the host: who is in it, who owns it, what keeps it, and what of ours it belongs to."""

from __future__ import annotations

import os
import pwd
import typing as t

from .._kernel import netns, process
from .._kernel.census import Census, Namespace
from .._kernel.namespace import FLAGS, open_namespace
from .._kernel.namespace import name as name_of
from .._model.errors import InvalidOptions, OptionError
from .._model.field import Field, State, Table
from .._model.names import container_name, netns_name
from .._model.quantities import between
from .._netlink.link import get_link
from .._netlink.message import Socket
from .._runtime import groups
from .._runtime import state as states
from .._runtime.bundle import Bundle, Damaged, names
from .._runtime.spec import NAMESPACE_KINDS, Spec
from .policy import is_ours

#: The largest process id that a kernel can give (proc(5), pid_max).
_LARGEST_PID: t.Final = 1 << 22


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"expected an absolute path such as /run/netns/web or /proc/1/ns/net, got {path!r}")
    return path


TABLE = Table(
    (
        Field("type", "list", elements="str", choices=tuple(FLAGS)),
        Field("pid", "int", canonical=between(1, _LARGEST_PID)),
        Field("name", canonical=netns_name),
        Field("path", "path", canonical=_absolute),
        Field("container", canonical=container_name),
        Field("processes", "bool", default=False),
        Field("holders", "bool", default=False),
    ),
    mutually_exclusive=[("pid", "name", "path", "container")],
)


def gather(options: t.Mapping[str, t.Any]) -> State:
    """All namespaces, or those that the options ask for.

    :param options: canonical options of :data:`TABLE`.
    :raises InvalidOptions: there is something at the path, and it is no namespace.
    """
    path = options.get("path") or (netns.reference_path(options["name"]) if "name" in options else "")
    at_path = _at(path, "name" if "name" in options else "path") if path else None
    census = Census(options["holders"])
    view = _View(census, _containers("container" in options))
    order = {kind: number for number, kind in enumerate(FLAGS)}
    kinds = options.get("type") or order
    found = [
        each
        for each in census.namespaces.values()
        if each.kind in kinds
        and (not path or each.name == at_path)
        and ("pid" not in options or options["pid"] in each.pids)
        and ("container" not in options or options["container"] in view.containers(each))
    ]
    found.sort(key=lambda each: (order[each.kind], each.inode))
    return {
        "namespaces": [view.describe(each, options["processes"]) for each in found],
        "unreadable": len(census.unreadable),
    }


def _at(path: str, option: str) -> str | None:
    """The namespace at a path, ``None`` if there is none.

    :param option: that says the path, for the error.
    :raises InvalidOptions: something else is there.
    """
    try:
        fd = open_namespace(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = f"expected the file of a namespace, got {path}: {error.strerror}"
        raise InvalidOptions([OptionError(option, problem)]) from error
    try:
        return name_of(fd)
    finally:
        os.close(fd)


class _Container(t.NamedTuple):
    """What a container of ours has to do with namespaces."""

    name: str
    pids: frozenset[int]  #: of all processes in its control group
    made: frozenset[str]  #: namespaces that were made for it


class _View:
    """A census as people want to see it."""

    def __init__(self, census: Census, containers: t.Sequence[_Container]) -> None:
        #: Those of process 1, or, where the caller may not look at it, those of the caller.
        self._host = _of_process(census, 1) or _of_process(census, os.getpid())
        self._running: dict[int, process.Status | None] = {}
        self._containers = containers
        self._names: dict[int, list[str]] = {}
        for name in netns.names():
            identity = netns.named(name)
            if identity:
                self._names.setdefault(identity.inode, []).append(name)

    def containers(self, each: Namespace) -> list[str]:
        """The containers that have a process in a namespace which is not the host's."""
        if each.name in self._host:
            return []
        return [one.name for one in self._containers if not one.pids.isdisjoint(each.pids)]

    def describe(self, each: Namespace, with_processes: bool) -> State:
        """One namespace as the module returns it."""
        oldest = min(filter(self._status, each.pids), key=self._started, default=None)
        return {
            "namespace": each.name,
            "type": each.kind,
            "inode": each.inode,
            "host": each.name in self._host,
            "owner": each.owner,
            "owner_uid": each.owner_uid,
            "owner_user": _user(each.owner_uid),
            "parent": each.parent,
            "process_count": len(each.pids),
            "oldest": None if oldest is None else self._oldest(oldest),
            **({"processes": self._processes(each.pids)} if with_processes else {}),
            "holders": [{**self._process(pid), "by": by} for pid, by in sorted(each.holders)],
            "names": self._names.get(each.inode, []) if each.kind == "net" else [],
            "mounts": [mounted._asdict() for mounted in each.mounts],
            "containers": self.containers(each),
            "ours": any(each.name in one.made for one in self._containers) or _is_marked(each),
        }

    def _status(self, pid: int) -> process.Status | None:
        if pid not in self._running:
            self._running[pid] = process.status(pid)
        return self._running[pid]

    def _started(self, pid: int) -> tuple[int, int]:
        status = self._status(pid)
        return (status.started if status else 0, pid)

    def _process(self, pid: int) -> State:
        status = self._status(pid)
        return {"pid": pid, "command": status.command if status else ""}

    def _processes(self, pids: t.Iterable[int]) -> list[State]:
        return [self._process(pid) for pid in sorted(pids) if self._status(pid)]

    def _oldest(self, pid: int) -> State:
        try:
            uid = os.stat(f"/proc/{pid}").st_uid
        except FileNotFoundError:
            uid = None
        return {**self._process(pid), "uid": uid, "user": _user(uid)}


def _of_process(census: Census, pid: int) -> set[str]:
    return {each.name for each in census.namespaces.values() if pid in each.pids}


def _containers(needed: bool) -> list[_Container]:
    """All of the host; none, if the caller may not look at them and does not need them.

    :raises PermissionError: it may not, and they are needed.
    """
    try:
        return [_container(name) for name in names()]
    except PermissionError:
        if needed:
            raise
        return []


def _container(name: str) -> _Container:
    known = states.load(name)
    first = {known.first.pid} if known.running else set()
    try:
        spec = Bundle(name).spec
    except Damaged:  # of its other processes, and of what was made for it, nobody knows
        return _Container(name, frozenset(first), frozenset())
    group = groups.of(spec)
    pids = group.processes(recursive=True) if group.exists else []
    return _Container(name, frozenset(pids), frozenset(made for pid in first for made in _made(spec, pid)))


def _made(spec: Spec, pid: int) -> t.Iterator[str]:
    for entry in spec["linux"].get("namespaces", ()):
        if not entry.get("path"):
            try:
                yield os.readlink(f"/proc/{pid}/ns/{NAMESPACE_KINDS[entry['type']]}")
            except FileNotFoundError:
                continue


def _is_marked(each: Namespace) -> bool:
    """Whether it is a network namespace with our mark on its loopback."""
    fd = each.open() if each.kind == "net" else None
    if fd is None:
        return False
    try:
        sock = Socket(fd)
        try:
            loopback = get_link(sock, "lo")
        finally:
            sock.close()
    except PermissionError:
        return False
    finally:
        os.close(fd)
    return loopback is not None and is_ours(loopback.group)


def _user(uid: int | None) -> str | None:
    """The name of a user, ``None`` for one that has none here."""
    try:
        return None if uid is None else pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
