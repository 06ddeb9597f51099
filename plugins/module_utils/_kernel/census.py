# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every namespace that can be found, and what keeps each (namespaces(7), "Namespace lifetime").

A namespace lives as long as a process or thread is in it, a process has made it for its children, an open file or a
mount refers to it, or it owns or encloses another one. Its name, such as ``net:[4026531840]``, means it and no other.
"""

from __future__ import annotations

import functools
import os
import typing as t

from . import namespace, process
from .mount import mounts
from .path import open_in

#: Entry of ``/proc/PID/ns`` for the namespace that the next children will be in, to the one of the process itself.
_FOR_CHILDREN: t.Final = {"pid_for_children": "pid", "time_for_children": "time"}

#: Ways to keep a namespace without being in it.
CHILDREN, DESCRIPTOR, THREAD = "children", "descriptor", "thread"


class Holder(t.NamedTuple):
    """A process that keeps a namespace that it is not in."""

    pid: int
    by: str  #: :data:`CHILDREN`, :data:`DESCRIPTOR` or :data:`THREAD`


class Mounted(t.NamedTuple):
    """A place where a namespace is mounted."""

    path: str
    seen_from: str  #: the mount namespace in which this is its path


class Namespace:
    """One namespace, and all that was found of it.

    :param name: as ``/proc/PID/ns`` writes it.
    """

    __slots__ = ("holders", "inode", "kind", "mounts", "name", "owner", "owner_uid", "parent", "pids", "ways")

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind, _colon, number = name.partition(":")
        self.inode = int(number.strip("[]"))
        self.pids: set[int] = set()  #: processes that are in it
        self.holders: set[Holder] = set()
        self.mounts: list[Mounted] = []
        self.ways: list[t.Callable[[], int]] = []  #: to open it, other than by a process that is in it
        self.owner: str | None = None  #: user namespace that owns it
        self.owner_uid: int | None = None  #: user who made that user namespace, or it, if it is one
        self.parent: str | None = None  #: user or process namespace that it is inside

    def open(self) -> int | None:
        """Open it.

        :returns: file descriptor, which the caller closes; ``None`` if it is gone or may not be opened.
        """
        for way in self._all_ways():
            try:
                fd = way()
            except OSError:
                continue
            if namespace.name(fd) == self.name:
                return fd
            os.close(fd)  # the process ended, and its id means another one now
        return None

    def _all_ways(self) -> t.Iterator[t.Callable[[], int]]:
        for pid in self.pids:
            yield functools.partial(namespace.open_namespace, f"/proc/{pid}/ns/{self.kind}")
        yield from self.ways


class Census:
    """All namespaces that the caller can find; what ends meanwhile is left out.

    :param holders: look at each open file and at each thread, too, which takes much longer.
    """

    def __init__(self, holders: bool = False) -> None:
        self.namespaces: dict[str, Namespace] = {}
        self.unreadable: set[int] = set()  #: processes that the caller may not look at
        self._entries = os.listdir("/proc/self/ns")
        self._asked: set[str] = set()
        self._look_at_all(self._add_process)
        self._add_mounts()
        if holders:
            self._look_at_all(self._add_descriptors)
            self._look_at_all(self._add_threads)
        self._ask_all()

    def _look_at_all(self, look: t.Callable[[int], None]) -> None:
        for pid in process.pids():
            try:
                look(pid)
            except PermissionError:
                self.unreadable.add(pid)
            except (FileNotFoundError, ProcessLookupError):
                pass  # it has ended

    def _namespace(self, name: str) -> Namespace:
        if name not in self.namespaces:
            self.namespaces[name] = Namespace(name)
        return self.namespaces[name]

    # --- processes -------------------------------------------------------------

    def _add_process(self, pid: int) -> None:
        folder = f"/proc/{pid}/ns"
        links = self._links(folder)
        for entry, name in links.items():
            if entry in _FOR_CHILDREN and name == links[_FOR_CHILDREN[entry]]:
                continue
            if entry in _FOR_CHILDREN:
                self._add_holder(name, Holder(pid, CHILDREN), f"{folder}/{entry}")
            else:
                self._namespace(name).pids.add(pid)

    def _links(self, folder: str) -> dict[str, str]:
        found = {}
        for entry in self._entries:
            try:
                found[entry] = os.readlink(f"{folder}/{entry}")
            except FileNotFoundError:
                if entry not in _FOR_CHILDREN:  # there is none before the first child of a new process namespace
                    raise
        return found

    def _add_descriptors(self, pid: int) -> None:
        """Of one that was opened where it is mounted, the link says that place, and ``/`` when it is unmounted."""
        places = {"/", *(mounted.path for each in self.namespaces.values() for mounted in each.mounts)}
        for number in os.listdir(f"/proc/{pid}/fd"):
            file = f"/proc/{pid}/fd/{number}"
            try:
                link = os.readlink(file)
            except FileNotFoundError:
                continue
            if link in places or link.partition(":[")[0] in namespace.FLAGS:
                self._add_descriptor(Holder(pid, DESCRIPTOR), file)

    def _add_descriptor(self, holder: Holder, file: str) -> None:
        try:
            fd = namespace.open_namespace(file)
        except OSError:  # closed by now, or no namespace
            return
        self._add_holder(namespace.name(fd), holder, file)
        os.close(fd)

    def _add_threads(self, pid: int) -> None:
        for thread in os.listdir(f"/proc/{pid}/task"):
            folder = f"/proc/{pid}/task/{thread}/ns"
            for entry, name in self._links(folder).items():
                if entry not in _FOR_CHILDREN:
                    self._add_holder(name, Holder(pid, THREAD), f"{folder}/{entry}")

    def _add_holder(self, name: str, holder: Holder, file: str) -> None:
        found = self._namespace(name)
        if holder.pid not in found.pids:
            found.holders.add(holder)
            found.ways.append(functools.partial(namespace.open_namespace, file))

    # --- mounts ----------------------------------------------------------------

    def _add_mounts(self) -> None:
        """Those that the caller sees first; of the others, those that are no copies of them."""
        here = os.readlink("/proc/self/ns/mnt")
        views: dict[str, t.Iterable[int]] = {here: (os.getpid(),)}
        for each in self.namespaces.values():
            if each.kind == "mnt":
                views.setdefault(each.name, sorted(each.pids))
        known: set[tuple[str, str]] = set()
        for view, pids in views.items():
            for name, path, way in _mounted(pids):
                if (name, path) not in known:
                    known.add((name, path))
                    found = self._namespace(name)
                    found.mounts.append(Mounted(path, view))
                    found.ways.append(way)

    # --- what the kernel tells of them -----------------------------------------

    def _ask_all(self) -> None:
        for each in list(self.namespaces.values()):
            fd = each.open() if each.name not in self._asked else None
            if fd is not None:
                self._ask(each, fd)

    def _ask(self, each: Namespace, fd: int) -> None:
        """Owner and parent, which may be found by this only. Closes the descriptor."""
        try:
            self._asked.add(each.name)
            each.owner, each.parent = self._relative(namespace.owner(fd)), self._relative(namespace.parent(fd))
            each.owner_uid = namespace.owner_uid(fd)
        finally:
            os.close(fd)
        if each.owner_uid is None and each.owner:
            each.owner_uid = self.namespaces[each.owner].owner_uid

    def _relative(self, fd: int | None) -> str | None:
        if fd is None:
            return None
        name = namespace.name(fd)
        if name in self._asked:
            os.close(fd)
        else:
            self._ask(self._namespace(name), fd)
        return name


def _mounted(pids: t.Iterable[int]) -> list[tuple[str, str, t.Callable[[], int]]]:
    """Mounted namespaces that one of some processes sees: name, path, and a way to open it."""
    for pid in pids:
        try:
            found = [each for each in mounts(f"/proc/{pid}/mountinfo") if each.kind == "nsfs"]
        except OSError:
            continue
        return [(each.root, each.path, functools.partial(_open_inside, pid, each.path)) for each in found]
    return []


def _open_inside(pid: int, path: str) -> int:
    """Open the namespace that a process sees at a path, which may have become a link to somewhere else by now."""
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_CLOEXEC)
    try:
        found = open_in(root, path, os.O_PATH)
    finally:
        os.close(root)
    try:
        return namespace.open_namespace(f"/proc/self/fd/{found}")
    finally:
        os.close(found)
