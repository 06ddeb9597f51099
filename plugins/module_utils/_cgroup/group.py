# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control group: one name in every hierarchy that its controllers need, whatever their versions (cgroups(7))."""

from __future__ import annotations

import contextlib
import errno
import os
import time
import typing as t

from .._model.errors import KernelError, NsfleetError
from . import settings
from .hierarchy import CORE, Hierarchy, Host, detect
from .settings import Folder

#: Marks: a group that was asked for, and one that is only there because a group below it was asked for.
OURS, ABOVE = "group", "above"
_DELEGATE_FILE = "/sys/kernel/cgroup/delegate"
#: Seconds to wait for what the kernel does by itself: freezing, dying.
PATIENCE = 10.0
_ATTEMPTS = 10


#: The file of version 1 by which a process of one thread moves itself. Whoever moves another one, or uses another file,
#: waits until no process forks on any processor, which takes 5 to 15 ms (kernel/cgroup/cgroup.c,
#: ``cgroup_threadgroup_rwsem``; since Linux 5.5, a thread that moves itself does not).
ITSELF: t.Final = "tasks"


class Place(t.NamedTuple):
    """Where a group is in one hierarchy."""

    directory: str
    version: int  #: of the hierarchy


class Joined(t.NamedTuple):
    """One thing that was done so that a group has a controller."""

    path: str  #: a directory
    controller: str = ""  #: given there to the groups below; empty: the directory was made


class Group:
    """A group of a name.

    :param name: below the host's base; with a leading slash, from the root of the hierarchies.
    :param host: its hierarchies; found out if not given.
    :raises NsfleetError: the host has none.
    """

    def __init__(self, name: str, host: Host | None = None) -> None:
        self.name = name
        self.host = host or detect()
        self.tree = self.host.tree
        self.path = name if name.startswith("/") else f"{self.host.base}/{name}"

    # --- where it is -------------------------------------------------------------

    def directory(self, hierarchy: Hierarchy | None = None) -> str:
        """Its directory in a hierarchy; in the primary one if none is given."""
        return (hierarchy or self.host.primary).mount_point + self.path

    def folder(self, hierarchy: Hierarchy | None = None) -> Folder:
        """Its files in a hierarchy; in the primary one if none is given."""
        return Folder(self.tree, self.directory(hierarchy))

    @property
    def hierarchies(self) -> list[Hierarchy]:
        """The hierarchies in which it is, the primary one first."""
        there = [each for each in self.host.hierarchies if self.tree.has(self.directory(each))]
        return sorted(there, key=lambda each: each is not self.host.primary)

    @property
    def exists(self) -> bool:
        """Whether there is such a group."""
        return self.tree.has(self.directory())

    def controllers(self) -> list[str]:
        """The controllers that it has, sorted."""
        found: set[str] = set()
        for hierarchy in self.hierarchies:
            if hierarchy.version == 1:
                found.update(name for name in hierarchy.controllers if "=" not in name)
            else:
                found.update((self.folder(hierarchy).read("cgroup.controllers") or "").split())
                found.update(name for name in CORE if self.host.of(name) is hierarchy)
        return sorted(found)

    def identity(self) -> dict[str, int]:
        """What tells it from another group that will have its name: the kernel never uses an inode number again."""
        info = os.stat(self.directory())
        return {"device": info.st_dev, "inode": info.st_ino}

    def children(self) -> list[str]:
        """Names of the groups directly below it, in any hierarchy, sorted."""
        return sorted({name for each in self.hierarchies for name in self.tree.children(self.directory(each))})

    def dispensable(self) -> list[str]:
        """Directories of it and of those above it that are not there, or for its sake only, in all hierarchies."""
        parts = self.path.strip("/").split("/")
        paths = ["/".join(parts[: number + 1]) for number in range(len(parts))]
        candidates = (f"{each.mount_point}/{path}" for each in self.host.hierarchies for path in paths)
        return [path for path in candidates if not self.tree.has(path) or self.tree.marked(path) == ABOVE]

    def below(self) -> list[Group]:
        """All groups below it, the deepest first."""
        found = []
        for name in self.children():
            child = Group(f"{self.path}/{name}", self.host)
            found += [*child.below(), child]
        return found

    # --- make and remove -----------------------------------------------------------

    def create(self, controllers: t.Iterable[str] = ()) -> list[Joined]:
        """Make the group, or give it more controllers; what is there already stays as it is.

        A new directory gets our mark. Processes that are in the group follow into hierarchies that it joins.

        :param controllers: by their names in version 2.
        :returns: what was done, for :meth:`leave`.
        :raises NsfleetError: this host cannot; the message says which controller, and why.
        """
        wanted = sorted(set(controllers))
        needed = self.host.needed(wanted)
        done: list[Joined] = []
        with self._unit():
            for hierarchy in needed:
                for_it = [name for name in wanted if name in hierarchy.controllers and self.host.of(name) is hierarchy]
                self._make(hierarchy, for_it, done)
        self._follow(needed)
        return done

    @property
    def _in_unit(self) -> bool:
        """Whether it is below our unit of systemd."""
        return self.host.systemd and self.path.startswith(f"{self.host.base}/")

    def _unit(self) -> contextlib.AbstractContextManager[None]:
        """Our unit of systemd, where the group is below it, is there meanwhile."""
        if not self._in_unit:
            return contextlib.nullcontext()
        from . import systemd

        return systemd.started(self.host)

    def _make(self, hierarchy: Hierarchy, controllers: t.Sequence[str], done: list[Joined]) -> None:
        for _attempt in range(_ATTEMPTS):
            # The run that removes the last group takes the empty ones above it away, even from under our feet.
            with contextlib.suppress(FileNotFoundError):
                return self._make_once(hierarchy, controllers, done)
        raise NsfleetError(f"the groups above {self.path} are removed as soon as they are made")

    def _make_once(self, hierarchy: Hierarchy, controllers: t.Sequence[str], done: list[Joined]) -> None:
        """From the top down: a group of version 2 has the controllers that the one above gives it."""
        path = hierarchy.mount_point
        parts = self.path.strip("/").split("/")
        for part in parts:
            if hierarchy.version == 2:
                done += self._give(path, controllers)
            path = f"{path}/{part}"
            try:
                made = self.tree.make(path)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise KernelError(f"make cgroup {path}", error) from error
            if made:
                done.append(Joined(path))
                self._mark(path, ABOVE)
            if hierarchy.version == 1 and "cpuset" in hierarchy.controllers:
                _fill_cpuset(Folder(self.tree, path))
        if self.tree.marked(path) == ABOVE:
            self._mark(path, OURS)

    def _give(self, path: str, controllers: t.Sequence[str]) -> list[Joined]:
        """Give controllers to the groups below one, in one write; one by one only to find out which one is refused."""
        folder = Folder(self.tree, path)
        given = (folder.read("cgroup.subtree_control") or "").split()
        lacking = [name for name in controllers if name not in given]
        if not lacking:
            return []
        try:
            folder.write("cgroup.subtree_control", " ".join(f"+{name}" for name in lacking))
        except FileNotFoundError:
            raise
        except OSError:
            for name in lacking:
                self._give_one(folder, name)
        return [Joined(path, name) for name in lacking]

    def _give_one(self, folder: Folder, controller: str) -> None:
        try:
            folder.write("cgroup.subtree_control", f"+{controller}")
        except OSError as error:
            words = _GIVE_REASONS.get(error.errno or 0, "")
            if error.errno == errno.EINVAL and controller == "cpu":
                words = "a process with a realtime priority is outside the root group (CONFIG_RT_GROUP_SCHED)"
            raise KernelError(
                f"give the controller {controller} to the groups below {folder.path}",
                OSError(error.errno, f"{error.strerror}{': ' if words else ''}{words}"),
            ) from error

    def obstacles(self, controllers: t.Iterable[str]) -> t.Iterator[tuple[str, str]]:
        """What stands in the way of giving the group controllers, found out without changing anything.

        :returns: controller and reason, each controller at most once.
        """
        for controller in sorted(set(controllers)):
            hierarchy = self.host.of(controller)
            if hierarchy is None:
                yield controller, self.host.lacking(controller)
            elif hierarchy.version == 2 and controller not in CORE:
                reason = self._obstacle(hierarchy.mount_point, controller)
                if reason:
                    yield controller, reason

    def _obstacle(self, path: str, controller: str) -> str:
        """The first of the groups above, from the top, that does not give a controller to those below and cannot.

        That it does not have the controller itself yet is no obstacle: it will have been given it by then.
        """
        for part in self.path.strip("/").split("/"):
            folder = Folder(self.tree, path)
            gives = controller in (folder.read("cgroup.subtree_control") or "").split()
            # Only the root of all groups may have processes and give controllers; it has no type.
            if not gives and folder.read("cgroup.type") is not None and folder.read("cgroup.procs"):
                return f"{path}: {_GIVE_REASONS[errno.EBUSY]}"
            path = f"{path}/{part}"
            if not self.tree.has(path):
                break
        return ""

    def _follow(self, hierarchies: t.Iterable[Hierarchy]) -> None:
        """Bring the processes of the group into hierarchies that it has just joined, with those that they start."""
        for hierarchy in hierarchies:
            if hierarchy is self.host.primary or hierarchy.version == 2:
                continue
            for _attempt in range(_ATTEMPTS):
                outside = set(self._pids(self.host.primary)) - set(self._pids(hierarchy))
                if not outside:
                    break
                for pid in sorted(outside):
                    self._move(self.place(hierarchy), pid)

    def leave(self, done: t.Sequence[Joined]) -> None:
        """Undo what gave the group more controllers; its processes go to the groups above, where they were.

        :param done: what :meth:`create` returned.
        :raises KernelError: the kernel refused.
        """
        for path, controller in reversed(done):
            folder = Folder(self.tree, path)
            try:
                if controller:
                    folder.write("cgroup.subtree_control", f"-{controller}")
                    continue
                for pid in (folder.read("cgroup.procs") or "").split():
                    with contextlib.suppress(ProcessLookupError):
                        folder.above().write("cgroup.procs", pid)
            except OSError as error:
                raise KernelError(f"undo the changes of {path}", error) from error
            self._remove(path)

    def remove(self) -> None:
        """Remove the group and all groups below it, and those above it that were made for it alone.

        :raises NsfleetError: a process is still in one of them.
        """
        for group in (*self.below(), self):
            for hierarchy in reversed(group.hierarchies):  # it is there as long as it is in the primary one
                self._remove(group.directory(hierarchy))
        self._prune()

    def _remove(self, path: str) -> None:
        """Remove one directory; the kernel may need a moment after the last process has ended."""
        pause = 0.001
        while True:
            try:
                return self.tree.remove(path)
            except OSError as error:
                if error.errno != errno.EBUSY or pause > 1:
                    raise KernelError(f"remove cgroup {path}", error) from error
            time.sleep(pause)
            pause *= 2

    def _prune(self) -> None:
        """Remove the groups above that nobody asked for and that have nothing below them any more."""
        for hierarchy in self.host.hierarchies:
            path = self.path.rpartition("/")[0]
            while path and self.tree.marked(hierarchy.mount_point + path) == ABOVE:
                try:
                    self.tree.remove(hierarchy.mount_point + path)
                except OSError:  # it has another group below it
                    break
                path = path.rpartition("/")[0]
        if self._in_unit:
            from . import systemd

            systemd.stop(self.host)

    def remove_unused(self, paths: t.Iterable[str], everything: bool = False) -> None:
        """Remove directories that a killed run made or left on the way to a group, with no group in or below them.

        Those that are needed get the mark that the killed run may not have come to.

        :param paths: what :meth:`dispensable` said before that run.
        :param everything: groups of ours, too, since whatever they were made for is not there any more.
        """
        for path in sorted(paths, reverse=True):
            if self.tree.has(path) and (everything or self.tree.marked(path) != OURS):
                try:
                    self.tree.remove(path)
                except OSError:  # it has processes, or a group below it
                    self._mark(path, self.tree.marked(path) or ABOVE)

    # --- whose it is -----------------------------------------------------------------

    @property
    def mark(self) -> str:
        """:data:`OURS`, :data:`ABOVE`, or empty for a group of others."""
        return self.tree.marked(self.directory())

    @property
    def of_others(self) -> bool:
        """Whether it is there, and somebody else made a part of it."""
        return not all(self.tree.marked(self.directory(each)) for each in self.hierarchies)

    def set_mark(self, mark: str) -> None:
        """Put a mark on it in all hierarchies; empty takes it away.

        :raises KernelError: the kernel refused.
        """
        for hierarchy in self.hierarchies:
            self._mark(self.directory(hierarchy), mark)

    def _mark(self, path: str, mark: str) -> None:
        try:
            self.tree.mark(path, mark)
        except OSError as error:
            raise KernelError(f"mark cgroup {path} as ours", error) from error

    def owner(self) -> tuple[int, int] | None:
        """User and group id that it is delegated to; ``None`` if its files belong to different ones."""
        found = {(info.st_uid, info.st_gid) for info in map(os.stat, self._delegated_paths())}
        return found.pop() if len(found) == 1 else None

    def delegate(self, uid: int, gid: int) -> None:
        """Let a user manage the groups below it: the directory and the files that the kernel names, not the limits.

        :param gid: -1: stays as it is.
        :raises KernelError: the kernel refused.
        """
        for path in self._delegated_paths():
            try:
                os.chown(path, uid, gid)
            except OSError as error:
                raise KernelError(f"delegate {path} to {uid}:{gid}", error) from error

    def _delegated_paths(self) -> list[str]:
        listed = (self.tree.read(_DELEGATE_FILE) or "cgroup.procs\ncgroup.threads\ncgroup.subtree_control").split()
        folder = self.directory()
        return [folder, *(path for path in (f"{folder}/{name}" for name in listed) if self.tree.has(path))]

    # --- processes -------------------------------------------------------------------

    def processes(self, recursive: bool = False) -> list[int]:
        """Ids of the processes in it, in any hierarchy, in ascending order.

        :param recursive: with those in the groups below it.
        """
        groups = [self, *self.below()] if recursive else [self]
        return sorted({pid for group in groups for each in group.hierarchies for pid in group._pids(each)})

    def _pids(self, hierarchy: Hierarchy) -> list[int]:
        folder = self.folder(hierarchy)
        text = folder.read("cgroup.procs")
        if text is None:  # a threaded group shows threads only
            text = folder.read("cgroup.threads") or ""
        return [int(word) for word in text.split() if word != "0"]  # 0: of a pid namespace that is not ours

    def has(self, pid: int) -> bool:
        """Whether a process is in the group in every hierarchy that the group is in."""
        return all(pid in self._pids(each) for each in self.hierarchies)

    @property
    def places(self) -> list[Place]:
        """Where a process of the group is, in every hierarchy that the group is in."""
        return [self.place(each) for each in self.hierarchies]

    def place(self, hierarchy: Hierarchy) -> Place:
        """Where a process of the group is in one hierarchy."""
        return Place(self.directory(hierarchy), hierarchy.version)

    def birthplace(self) -> int | None:
        """Open what a process is born into (clone3(2), CLONE_INTO_CGROUP).

        :returns: a descriptor; ``None`` if the group is in no hierarchy of version 2.
        """
        unified = [place for place in self.places if place.version == 2]
        return os.open(unified[0].directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if unified else None

    def enter(self, pid: int, places: t.Iterable[Place] | None = None) -> bool:
        """Move a process into the group.

        :param pid: 0 for the calling process, which has one thread.
        :param places: those of :attr:`places` that it is moved into; all if not given.
        :returns: whether it was still there.
        :raises KernelError: the kernel refused.
        """
        return all(self._move(place, pid) for place in (self.places if places is None else places))

    def _move(self, place: Place, pid: int) -> bool:
        file = "cgroup.procs" if pid or place.version == 2 else ITSELF
        for attempt in range(_ATTEMPTS):
            try:
                self.tree.write(f"{place.directory}/{file}", str(pid))
                return True
            except OSError as error:
                if error.errno == errno.ESRCH:
                    return False
                if error.errno != errno.EINVAL or attempt == _ATTEMPTS - 1:
                    raise self._cannot_move(pid, error) from error
            time.sleep(0.02)  # EINVAL: it is just being started
        return False

    def _cannot_move(self, pid: int, error: OSError) -> KernelError:
        words = _MOVE_REASONS.get(error.errno or 0, "")
        shown = OSError(error.errno, f"{error.strerror}{': ' if words else ''}{words}")
        return KernelError(f"move process {pid} into cgroup {self.name}", shown)

    def places_of(self, pid: int) -> list[str]:
        """Paths of the ``cgroup.procs`` files of the groups that a process is in, in the hierarchies of this group."""
        groups: dict[str, str] = {}
        for line in (self.tree.read(f"/proc/{pid}/cgroup") or "").splitlines():
            _number, words, path = line.split(":", 2)
            groups.update(("io" if word == "blkio" else word, path.rstrip("/")) for word in words.split(","))
        # The line of version 2 names no controller.
        keys = ((each, "" if each.version == 2 else each.controllers[0]) for each in self.hierarchies)
        return [f"{each.mount_point}{groups[key]}/cgroup.procs" for each, key in keys if key in groups]

    # --- freeze and kill -------------------------------------------------------------

    def freeze(self, frozen: bool) -> None:
        """Stop all processes in it and below it where they are, or let them go on; returns when it is done.

        :raises NsfleetError: they did not stop in time; they go on then.
        """
        self.write("cgroup.freeze", "1" if frozen else "0")
        if not frozen or self._wait(self._is_frozen):
            return
        if self.host.primary.version == 1:
            self._thaw_and_freeze()
            return
        self.write("cgroup.freeze", "0")
        raise self._unfrozen()

    def _thaw_and_freeze(self) -> None:
        """The freezer of version 1 can get stuck in FREEZING; it is then to be thawed and asked again."""
        for _attempt in range(_ATTEMPTS):
            self.write("cgroup.freeze", "0")
            time.sleep(0.001)
            self.write("cgroup.freeze", "1")
            if self._wait(self._is_frozen, PATIENCE / _ATTEMPTS):
                return
        self.write("cgroup.freeze", "0")
        raise self._unfrozen()

    def _unfrozen(self) -> NsfleetError:
        return NsfleetError(
            f"cgroup {self.name} did not freeze in {PATIENCE:.0f} s: a process in it waits for the kernel and "
            "cannot be stopped (state D in ps)"
        )

    def _is_frozen(self) -> bool:
        if self.host.primary.version == 2:
            return self._event("frozen") == "1"
        return self.folder().read("freezer.state") == "FROZEN"

    def frozen_by(self) -> str:
        """Path of the group, it or one above it, by which its processes are or would be frozen; empty if none is."""
        freezer = self.host.of("freezer")
        parts = self.path.strip("/").split("/")
        for number in range(len(parts)):
            path = "/" + "/".join(parts[: number + 1])
            for hierarchy, file in ((self.host.unified, "cgroup.freeze"), (freezer, "freezer.state")):
                text = self.tree.read(f"{hierarchy.mount_point}{path}/{file}") if hierarchy else None
                if text not in (None, "0", "THAWED"):
                    return path
        return ""

    def _is_empty(self) -> bool:
        if self.host.primary.version == 2 and self._event("populated") == "1":
            return False
        return not self.processes(recursive=True)

    def _event(self, name: str) -> str:
        words = (self.folder().read("cgroup.events") or "").split()
        return dict(zip(words[::2], words[1::2])).get(name, "0")

    def wait_empty(self, timeout: float = PATIENCE) -> bool:
        """Wait until no process is left in it and below it; whether that is so.

        :param timeout: seconds.
        """
        return self._wait(self._is_empty, timeout)

    def _wait(self, condition: t.Callable[[], bool], timeout: float = PATIENCE) -> bool:
        """Wait for a condition: in version 2 by the events of the group, in version 1 by looking again and again."""
        end = time.monotonic() + timeout
        events = _Events(f"{self.directory()}/cgroup.events") if self.host.primary.version == 2 else _Pauses()
        with contextlib.closing(events):
            while True:
                events.prepare()
                if condition():
                    return True
                if time.monotonic() > end:
                    return False
                events.wait()

    def kill(self, timeout: float = PATIENCE) -> None:
        """Kill all processes in it and below it, and wait for their end.

        :param timeout: seconds.
        :raises NsfleetError: some are still there.
        """
        if self._is_empty():
            return
        end = time.monotonic() + timeout
        if self.host.unified is not None and self.tree.has(f"{self.directory()}/cgroup.kill"):
            self.folder().write("cgroup.kill", "1")
            if self.wait_empty(min(timeout, 1.0)):
                return
        while True:
            self._kill_once()
            if self.wait_empty(0.1):
                return
            if time.monotonic() > end:
                listed = ", ".join(map(str, self.processes(recursive=True)))
                raise NsfleetError(f"processes of cgroup {self.name} did not end in {timeout:.0f} s: {listed}")

    def _kill_once(self) -> None:
        """Frozen, no process can start another one, or end and leave its id to a stranger, while it is killed."""
        self.write("cgroup.freeze", "1")
        try:
            self._wait(self._is_frozen, 0.2)
            for pid in self.processes(recursive=True):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
        finally:
            for group in (*self.below(), self):
                if group.exists:
                    group.write("cgroup.freeze", "0")

    # --- settings ----------------------------------------------------------------------

    def read(self, file: str) -> str | None:
        """A setting in the words of version 2, whatever version its controller is on.

        :param file: name of a file of version 2, or ``devices``.
        :returns: ``None`` where the group does not have the controller, or the kernel not the setting.
        :raises Unsupported: the version of cgroups on this host has no such setting.
        """
        hierarchy, accessor = settings.locate(self.host, file)
        return accessor.read(self.folder(hierarchy), file)

    def write(self, file: str, text: str) -> None:
        """Change a setting.

        :param text: in the words of version 2.
        :raises Unsupported: the version of cgroups on this host has no such setting.
        :raises KernelError: the kernel refused.
        """
        hierarchy, accessor = settings.locate(self.host, file)
        try:
            accessor.write(self.folder(hierarchy), file, text)
        except OSError as error:
            shown = settings.reason(file, error)
            raise KernelError(f"set {file} of cgroup {self.name} to {text!r}", shown) from error

    def write_all(self, writes: t.Iterable[tuple[str, str]]) -> None:
        """Change settings in an order that the kernel accepts.

        :raises NsfleetError: as :meth:`write`.
        """
        for file, text in settings.ordered(writes, self.read):
            self.write(file, text)

    def read_raw(self, file: str) -> str | None:
        """A file by its own name, in its own words; ``None`` if it is not there."""
        return self.folder(settings.locate_raw(self.host, file)).read(file)

    def write_raw(self, file: str, text: str) -> None:
        """Write a file by its own name.

        :raises KernelError: the kernel refused.
        """
        try:
            self.folder(settings.locate_raw(self.host, file)).write(file, text)
        except OSError as error:
            shown = settings.reason(file, error)
            raise KernelError(f"set {file} of cgroup {self.name} to {text!r}", shown) from error


_GIVE_REASONS = {
    errno.EBUSY: "it has processes of its own, and in cgroup v2 only groups without any give controllers to others; "
    "move them into a group below it",
    errno.ENOENT: "it does not have it from the group above",
    errno.EOPNOTSUPP: "it is part of a threaded tree, which knows cpu, cpuset, perf_event and pids only",
}
_MOVE_REASONS = {
    errno.EBUSY: "it gives controllers to groups below it, and in cgroup v2 such a group has no process of its own; "
    "move the process into a group below it",
    errno.EOPNOTSUPP: "a threaded group takes only threads of a process that is in the groups above it",
    errno.EINVAL: "threads of the kernel and realtime processes stay where they are",
    errno.ENOSPC: "its cpuset has no processors or memory nodes",
    errno.EAGAIN: "its limit of processes is reached",
}


def _fill_cpuset(folder: Folder) -> None:
    """A group of version 1 takes no process before it has processors and memory nodes: those of the group above."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        if folder.read(file) == "":
            folder.write(file, folder.above().read(file) or "")


class _Pauses:
    """Waiting where nothing tells of changes: each pause is longer than the one before."""

    def __init__(self) -> None:
        self._pause = 0.001

    def prepare(self) -> None:
        """Changes from now on are told."""

    def wait(self) -> None:
        """Wait for a change."""
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, 0.1)

    def close(self) -> None:
        """Let go of what was opened."""


class _Events(_Pauses):
    """Waiting until the kernel says that a file of events changed."""

    def __init__(self, path: str) -> None:
        import select

        super().__init__()
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLPRI)

    def prepare(self) -> None:
        """What is read is known; the kernel tells of what comes after."""
        os.pread(self._fd, 4096, 0)

    def wait(self) -> None:
        """Wait for an event, but not forever: processes in other hierarchies make none here."""
        self._poll.poll(100)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
