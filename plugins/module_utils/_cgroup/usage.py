# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a group uses and what happened to it, in the words of version 2, whatever versions its controllers are on."""

from __future__ import annotations

import os
import re
import typing as t

if t.TYPE_CHECKING:
    from .group import Group
    from .settings import Folder

Numbers = dict[str, t.Any]
_TICK = 1000000 // os.sysconf("SC_CLK_TCK")  # microseconds
_CPU = ("usage_usec", "user_usec", "system_usec", "nr_periods", "nr_throttled", "throttled_usec")


def usage(group: Group) -> Numbers:
    """What the group and those below it use now and used so far.

    :returns: for each controller that it has: names of version 2 to numbers; bytes, microseconds, or how many.
    """
    readers = {"cpu": _cpu, "memory": _memory, "io": _io, "pids": _pids, "hugetlb": _hugetlb}
    found = {name: reader(group) for name, reader in readers.items()}
    return {name: numbers for name, numbers in found.items() if numbers}


def events(group: Group) -> Numbers:
    """What happened to the group and those below it: how often a limit was reached, and what came of it."""
    found: Numbers = {}
    if group.host.primary.version == 2:
        found["cgroup"] = _pairs(group.folder().read("cgroup.events"))
    for controller in ("memory", "pids"):
        folder = _folder(group, controller)
        if folder is not None:
            found[controller] = _pairs(folder.read(f"{controller}.events")) or _memory_events_1(folder)
    return found


def _memory_events_1(folder: Folder) -> Numbers:
    kills = _pairs(folder.read("memory.oom_control")).get("oom_kill", 0)
    return {"max": int(folder.read("memory.failcnt") or 0), "oom_kill": kills}


def pressure(group: Group) -> Numbers:
    """How long processes waited for a resource (PSI): percentages of the last 10, 60 and 300 s, total microseconds."""
    found: Numbers = {}
    unified = group.host.unified
    for resource in ("cpu", "memory", "io"):
        text = group.folder(unified).read(f"{resource}.pressure") if unified else None
        for line in (text or "").splitlines():
            kind, *words = line.split()
            values = dict(word.split("=", 1) for word in words)
            found.setdefault(resource, {})[kind] = {key: float(value) for key, value in values.items()}
    return found


def _folder(group: Group, controller: str) -> Folder | None:
    hierarchy = group.host.of(controller)
    return group.folder(hierarchy) if hierarchy in group.hierarchies else None


def _version(group: Group, controller: str) -> int:
    hierarchy = group.host.of(controller)
    return hierarchy.version if hierarchy else 0


def _pairs(text: str | None) -> Numbers:
    words = (line.split() for line in (text or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def _values(folder: Folder, names: dict[str, str]) -> Numbers:
    """Single numbers of files that are there."""
    texts = {name: folder.read(file) for name, file in names.items()}
    return {name: int(text) for name, text in texts.items() if text is not None and text.isdigit()}


def _cpu(group: Group) -> Numbers:
    """Even without the controller, version 2 counts the time of a group."""
    unified = group.host.unified
    if _version(group, "cpu") != 1:
        numbers = _pairs(group.folder(unified).read("cpu.stat")) if unified else {}
        return {name: numbers[name] for name in _CPU if name in numbers}
    found: Numbers = {}
    accounts, quota = _folder(group, "cpuacct"), _folder(group, "cpu")
    if accounts:
        ticks = _pairs(accounts.read("cpuacct.stat"))
        found["usage_usec"] = int(accounts.read("cpuacct.usage") or 0) // 1000
        found.update({f"{word}_usec": ticks.get(word, 0) * _TICK for word in ("user", "system")})
    if quota:
        numbers = _pairs(quota.read("cpu.stat"))
        found.update({name: numbers[name] for name in ("nr_periods", "nr_throttled") if name in numbers})
        found["throttled_usec"] = numbers.get("throttled_time", 0) // 1000
    return found


def _memory(group: Group) -> Numbers:
    folder = _folder(group, "memory")
    if folder is None:
        return {}
    if _version(group, "memory") == 2:
        names = {"current": "memory.current", "peak": "memory.peak", "swap_current": "memory.swap.current"}
        return _values(folder, names)
    found = _values(folder, {"current": "memory.usage_in_bytes", "peak": "memory.max_usage_in_bytes"})
    both = _values(folder, {"both": "memory.memsw.usage_in_bytes"})
    if both:
        found["swap_current"] = max(0, both["both"] - found["current"])
    return found


def _pids(group: Group) -> Numbers:
    folder = _folder(group, "pids")
    return _values(folder, {"current": "pids.current", "peak": "pids.peak"}) if folder else {}


def _hugetlb(group: Group) -> Numbers:
    """Bytes in use, for each size of huge pages."""
    folder = _folder(group, "hugetlb")
    if folder is None:
        return {}
    ending = "current" if _version(group, "hugetlb") == 2 else "usage_in_bytes"
    names = (re.fullmatch(rf"hugetlb\.(\w+)\.{ending}", name) for name in folder.tree.files(folder.path))
    return _values(folder, {match.group(1): match.group(0) for match in names if match})


def _io(group: Group) -> Numbers:
    """Devices to bytes and operations."""
    folder = _folder(group, "io")
    if folder is None:
        return {}
    if _version(group, "io") == 2:
        lines = (line.split() for line in (folder.read("io.stat") or "").splitlines())
        return {
            device: {key: int(value) for key, value in (word.split("=", 1) for word in words)}
            for device, *words in lines
            if words
        }
    found: Numbers = {}
    for ending, names in (("io_service_bytes", ("rbytes", "wbytes")), ("io_serviced", ("rios", "wios"))):
        for line in (folder.read(f"blkio.throttle.{ending}_recursive") or "").splitlines():
            words = line.split()
            if len(words) == 3 and words[1] in ("Read", "Write"):
                found.setdefault(words[0], {})[names[words[1] == "Write"]] = int(words[2])
    return found
