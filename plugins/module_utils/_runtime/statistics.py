# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container uses, in the words of ``runc events --stats`` (``types/events.go``), and when its memory runs out.

Time is in nanoseconds and memory in bytes, whatever the version counts in. As there, numbers of 0 are left out but for
a few, and no limit is the largest number of 64 bits in version 2.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import select
import time
import typing as t

from .._cgroup import usage
from .._cgroup.hierarchy import CORE
from .._kernel.syscall import call
from .._model.errors import NsfleetError

if t.TYPE_CHECKING:
    from .._cgroup.group import Group
    from .._cgroup.settings import Folder

Numbers = dict[str, t.Any]
_UNLIMITED: t.Final = 2**64 - 1
_TICK: t.Final = 10**9 // os.sysconf("SC_CLK_TCK")  # nanoseconds


def statistics(group: Group) -> Numbers:
    """What the processes of a group use now and used so far.

    :returns: the object that is ``data`` of an event of the type ``stats``.
    """
    pressure = _pressure(group)
    readers = {"cpu": _cpu, "cpuset": _cpuset, "memory": _memory, "pids": _pids, "blkio": _blkio, "hugetlb": _hugetlb}
    found: Numbers = {name: reader(group) for name, reader in readers.items()}
    for name, resource in (("cpu", "cpu"), ("memory", "memory"), ("blkio", "io")):
        if resource in pressure:
            found[name]["psi"] = pressure[resource]
    return {**found, "intel_rdt": {}, "network_interfaces": None}


def _place(group: Group, controller: str) -> tuple[Folder | None, int]:
    """Where the group has the files of a controller, and the version; nowhere and 0 if it does not have it."""
    hierarchy = group.host.of(controller)
    if hierarchy is None or hierarchy not in group.hierarchies:
        return None, 0
    if hierarchy.version == 2 and controller in CORE:
        return None, 0
    if hierarchy.version == 2 and controller not in (group.folder(hierarchy).read("cgroup.controllers") or "").split():
        return None, 0
    return group.folder(hierarchy), hierarchy.version


def _number(folder: Folder, file: str) -> int:
    """A single number; 0 where there is no such file, the largest one for ``max``."""
    text = folder.read(file) or ""
    return _UNLIMITED if text == "max" else int(text) if re.fullmatch("-?[0-9]+", text) else 0


def _pairs(text: str | None) -> Numbers:
    words = (line.split() for line in (text or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def _filled(numbers: Numbers) -> Numbers:
    return {name: value for name, value in numbers.items() if value}


def _pressure(group: Group) -> Numbers:
    found = usage.pressure(group)
    return {
        resource: {kind: {**values, "total": int(values["total"])} for kind, values in kinds.items()}
        for resource, kinds in found.items()
    }


# --- processors -------------------------------------------------------------------


def _cpu(group: Group) -> Numbers:
    folder, version = _place(group, "cpu")
    unified = group.host.unified
    if version != 1 and unified is not None:  # counted even without the controller
        numbers = _pairs(group.folder(unified).read("cpu.stat"))
        times = {name: numbers.get(f"{name}_usec", 0) * 1000 for name in ("usage", "user", "system", "throttled")}
        used = {**_filled({"total": times["usage"]}), "kernel": times["system"], "user": times["user"]}
    else:
        numbers = _pairs(folder.read("cpu.stat")) if folder else {}
        times = {"throttled": numbers.get("throttled_time", 0)}
        used = _accounts(group)
    throttling = {"periods": numbers.get("nr_periods"), "throttledPeriods": numbers.get("nr_throttled")}
    return {"usage": used, "throttling": _filled({**throttling, "throttledTime": times["throttled"]})}


def _accounts(group: Group) -> Numbers:
    """Time of processors in version 1, where another controller counts it, also for each of them."""
    folder, _version = _place(group, "cpuacct")
    if folder is None:
        return {"kernel": 0, "user": 0}
    ticks = _pairs(folder.read("cpuacct.stat"))
    each = [line.split() for line in (folder.read("cpuacct.usage_all") or "").splitlines()[1:]]
    found = {
        "total": _number(folder, "cpuacct.usage"),
        "percpu": [int(word) for word in (folder.read("cpuacct.usage_percpu") or "").split()],
        "percpu_kernel": [int(words[2]) for words in each],
        "percpu_user": [int(words[1]) for words in each],
    }
    return {**_filled(found), "kernel": ticks.get("system", 0) * _TICK, "user": ticks.get("user", 0) * _TICK}


_CPUSET_FLAGS: t.Final = (
    "cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab",
    "memory_pressure", "sched_load_balance", "sched_relax_domain_level",
)  # fmt: skip


def _cpuset(group: Group) -> Numbers:
    """Of version 1 only, as in runc."""
    folder, version = _place(group, "cpuset")
    if folder is None or version == 2:
        return dict.fromkeys(_CPUSET_FLAGS, 0)
    sets = {name: _members(folder.read(f"cpuset.{name}") or "") for name in ("cpus", "mems")}
    return {**_filled(sets), **{name: _number(folder, f"cpuset.{name}") for name in _CPUSET_FLAGS}}


def _members(text: str) -> list[int]:
    """The numbers of a list such as ``0-2,7``."""
    ends = (part.partition("-")[::2] for part in text.split(",") if part)
    return [number for first, last in ends for number in range(int(first), int(last or first) + 1)]


# --- memory and processes -------------------------------------------------------------


def _memory(group: Group) -> Numbers:
    folder, version = _place(group, "memory")
    if folder is None:
        return {}
    raw = _pairs(folder.read("memory.stat"))
    entries = _memory_1(folder) if version == 1 else _memory_2(folder)
    cache = raw.get("cache" if version == 1 else "file", 0)
    shown = {name: {"limit": 0, "failcnt": 0, **_filled(numbers)} for name, numbers in entries.items()}
    return {**_filled({"cache": cache}), **shown, "raw": raw}


def _memory_1(folder: Folder) -> Numbers:
    names = {"limit": "limit_in_bytes", "usage": "usage_in_bytes", "max": "max_usage_in_bytes", "failcnt": "failcnt"}
    parts = {"usage": "", "swap": "memsw.", "kernel": "kmem.", "kernelTCP": "kmem.tcp."}
    return {
        part: {name: _number(folder, f"memory.{prefix}{file}") for name, file in names.items()}
        for part, prefix in parts.items()
    }


def _memory_2(folder: Folder) -> Numbers:
    """``swap`` is memory and swap together, as in version 1."""
    memory, swap = (
        {
            "limit": _number(folder, f"memory.{part}max"),
            "usage": _number(folder, f"memory.{part}current"),
            "max": _number(folder, f"memory.{part}peak"),
            "failcnt": _pairs(folder.read(f"memory.{part}events")).get("max", 0),
        }
        for part in ("", "swap.")
    )
    both = {"usage": memory["usage"] + swap["usage"], "failcnt": swap["failcnt"]}
    both["limit"] = min(_UNLIMITED, memory["limit"] + swap["limit"])
    return {"usage": memory, "swap": both, "kernel": {}, "kernelTCP": {}}


def _pids(group: Group) -> Numbers:
    """No limit is 0."""
    folder, _version = _place(group, "pids")
    if folder is None:
        return {}
    limit = _number(folder, "pids.max")
    return _filled({"current": _number(folder, "pids.current"), "limit": 0 if limit == _UNLIMITED else limit})


def _hugetlb(group: Group) -> Numbers:
    """For each size of huge pages; of reservations, where the kernel counts them."""
    folder, version = _place(group, "hugetlb")
    if folder is None:
        return {}
    usage_, most = ("current", "") if version == 2 else ("usage_in_bytes", "max_usage_in_bytes")
    found: Numbers = {}
    for name in folder.tree.files(folder.path):
        match = re.fullmatch(rf"hugetlb\.([0-9]+[KMG]B)\.{usage_}", name)
        if match:
            found[match.group(1)] = _huge_pages(folder, f"hugetlb.{match.group(1)}", usage_, most)
    return found


def _huge_pages(folder: Folder, prefix: str, usage_: str, most: str) -> Numbers:
    whole = f"{prefix}.rsvd" if folder.read(f"{prefix}.rsvd.{usage_}") is not None else prefix
    numbers = {"usage": _number(folder, f"{whole}.{usage_}"), "max": _number(folder, f"{whole}.{most}") if most else 0}
    failures = _number(folder, f"{whole}.failcnt") if most else _pairs(folder.read(f"{prefix}.events")).get("max", 0)
    return {**_filled(numbers), "failcnt": failures}


# --- input and output -------------------------------------------------------------------

_TABLES: t.Final = {
    "ioServiceBytesRecursive": "io_service_bytes", "ioServicedRecursive": "io_serviced",
    "ioQueueRecursive": "io_queued", "ioServiceTimeRecursive": "io_service_time",
    "ioWaitTimeRecursive": "io_wait_time", "ioMergedRecursive": "io_merged", "ioTimeRecursive": "time",
    "sectorsRecursive": "sectors",
}  # fmt: skip
#: The words of ``io.stat`` by table and operation.
_IO_STAT: t.Final = {
    "rbytes": ("ioServiceBytesRecursive", "Read"), "wbytes": ("ioServiceBytesRecursive", "Write"),
    "rios": ("ioServicedRecursive", "Read"), "wios": ("ioServicedRecursive", "Write"),
}  # fmt: skip


def _blkio(group: Group) -> Numbers:
    folder, version = _place(group, "io")
    if folder is None:
        return {}
    if version == 2:
        return _io_stat(folder)
    for scheduler in ("bfq.", "", "throttle."):
        tables = {name: _table(folder, f"blkio.{scheduler}{file}_recursive") for name, file in _TABLES.items()}
        if tables["ioServicedRecursive"]:
            return _filled(tables)
    return {}


def _table(folder: Folder, file: str) -> list[Numbers]:
    """Lines such as ``8:0 Read 124``; the last one, of all devices, is left out."""
    words = [line.replace(":", " ").split() for line in (folder.read(file) or "").splitlines()]
    return [
        _entry(each[0], each[1], each[2] if len(each) == 4 else "", int(each[-1])) for each in words if len(each) > 2
    ]


def _entry(major: str, minor: str, operation: str, value: int) -> Numbers:
    return _filled({"major": int(major), "minor": int(minor), "op": operation, "value": value})


def _io_stat(folder: Folder) -> Numbers:
    found: Numbers = {}
    for line in (folder.read("io.stat") or "").splitlines():
        device, *words = line.split()
        major, _colon, minor = device.partition(":")
        for word, value in (each.split("=", 1) for each in words if "=" in each):
            if word in _IO_STAT and minor:
                table, operation = _IO_STAT[word]
                found.setdefault(table, []).append(_entry(major, minor, operation, int(value)))
    return found


# --- when memory runs out ---------------------------------------------------------------


_EFD_CLOEXEC: t.Final = os.O_CLOEXEC


class MemoryWatch:
    """Tells when the kernel had to end a process of a group, since its memory ran out.

    :param group: one that is there.
    :raises NsfleetError: it does not have the controller.
    :raises OSError: the kernel refused.
    """

    def __init__(self, group: Group) -> None:
        folder, version = _place(group, "memory")
        if folder is None:
            raise NsfleetError(f"{group.path} does not have the controller memory, which tells when memory runs out")
        self.over = False  #: whether the group is gone, or has no process any more, as far as the kernel tells
        self._folder = folder
        self._opened: list[int] = []
        self._poll = select.poll()
        self._alarm = self._open_alarm() if version == 1 else self._open_events(f"{folder.path}/memory.events")
        self._version = version
        self._kills = self._count_kills()
        unified = group.host.unified
        self._life = self._open_events(f"{group.directory(unified)}/cgroup.events") if unified else None

    def _open_alarm(self) -> int:
        """An eventfd(2) that version 1 adds to (``admin-guide/cgroup-v1/memory.rst``, "OOM Control")."""
        alarm = call("eventfd", 0, _EFD_CLOEXEC)
        self._opened.append(alarm)
        self._poll.register(alarm, select.POLLIN)
        control = os.open(f"{self._folder.path}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._folder.write("cgroup.event_control", f"{alarm} {control}")
        finally:
            os.close(control)
        return alarm

    def _open_events(self, path: str) -> int:
        """A file whose changes poll(2) tells (``admin-guide/cgroup-v2.rst``)."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._opened.append(fd)
        self._poll.register(fd, select.POLLPRI)
        os.read(fd, 4096)  # what is read is known; the kernel tells of what comes after
        return fd

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until memory runs out; whether it did. If not, time is up, or it is :attr:`over`.

        :param timeout: seconds; ``None``: as long as it takes.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.over:
            left = None if end is None else max(0.0, end - time.monotonic())
            told = {fd for fd, _events in self._poll.poll(None if left is None else math.ceil(left * 1000))}
            if not told:
                return False
            self.over = self._ended(told)
            if self._alarm in told and self._rang():
                return True
        return False

    def _rang(self) -> bool:
        if self._version == 1:
            os.read(self._alarm, 8)
            return self._folder.tree.has(f"{self._folder.path}/cgroup.event_control")  # its removal rings, too
        before, self._kills = self._kills, self._count_kills()
        return self._kills > before

    def _count_kills(self) -> int:
        return 0 if self._version == 1 else int(self._words(self._alarm).get("oom_kill", 0))

    def _ended(self, told: t.Container[int]) -> bool:
        if self._life in told:
            return self._words(self._life).get("populated", "0") == "0"
        return not self._folder.tree.has(self._folder.path)

    def _words(self, fd: int | None) -> dict[str, str]:
        """What a file of events says; nothing if the group is gone."""
        try:
            words = os.pread(fd, 4096, 0).decode().split() if fd is not None else []
        except OSError:
            words = []
        return dict(zip(words[::2], words[1::2]))

    def close(self) -> None:
        """Let go of what was opened."""
        for fd in self._opened:
            os.close(fd)


def wait_for_oom(group: Group) -> t.Iterator[None]:
    """Once for each time that memory runs out, until the group is gone or has no process any more.

    :raises NsfleetError: it does not have the controller.
    """
    with contextlib.closing(MemoryWatch(group)) as watch:
        while not watch.over:
            if watch.wait():
                yield
