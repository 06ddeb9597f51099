# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host cannot limit, found out before anything is touched."""

from __future__ import annotations

import functools
import os
import typing as t

from .._cgroup import settings
from .._kernel import config, files
from .._model.errors import Missing, OptionError
from .._model.quantities import MAX, numbers
from .limits import huge_page_sizes, limit_of

if t.TYPE_CHECKING:
    from .._cgroup.group import Group
    from .._cgroup.hierarchy import Hierarchy
    from .._cgroup.settings import Folder
    from .._model.field import State
    from .._model.resource import Change


class _Origin(t.NamedTuple):
    """What it takes that a kernel has a file of its version of cgroups."""

    since: str = ""  #: version of Linux; distributions have some files in older ones
    option: str = ""  #: with which the kernel is built
    remedy: str = ""  #: in words, where it is something else
    name: str = ""  #: member of a structure, or function, that a kernel with the file has

    def lacking(self) -> bool:
        """Whether the kernel is known to lack it, as it was built."""
        return (bool(self.option) and config.built_without(self.option)) or (
            bool(self.name) and config.lacks_name(self.name)
        )

    def __str__(self) -> str:
        reasons = (
            f"it was built without {self.option}" if self.option else "",
            f"it is older than {self.since}" if self.since else "",
            self.remedy,
        )
        return ", or ".join(reason for reason in reasons if reason)


_SWAP: t.Final = "it does not count swap; boot it with swapaccount=1"
_ORIGINS: t.Final = {
    "memory.swap.max": _Origin(remedy=_SWAP),
    "memory.swap.high": _Origin("5.8", remedy=_SWAP),
    "memory.zswap.max": _Origin("5.19", "CONFIG_ZSWAP"),
    "memory.zswap.writeback": _Origin("6.8", "CONFIG_ZSWAP", name="zswap_writeback"),
    "cpu.uclamp.min": _Origin(option="CONFIG_UCLAMP_TASK_GROUP"),
    "cpu.uclamp.max": _Origin(option="CONFIG_UCLAMP_TASK_GROUP"),
    "cpu.idle": _Origin("5.15", name="sched_group_set_idle"),
    "cpu.max": _Origin(option="CONFIG_CFS_BANDWIDTH"),
    "cpu.max.burst": _Origin("5.14", "CONFIG_CFS_BANDWIDTH"),
    "cpuset.cpus.exclusive": _Origin("6.7", name="exclusive_cpus"),
    "io.max": _Origin(option="CONFIG_BLK_DEV_THROTTLING"),
    "io.weight": _Origin(remedy="it has neither CONFIG_BLK_CGROUP_IOCOST nor the scheduler BFQ; try modprobe bfq"),
    "io.latency": _Origin(option="CONFIG_BLK_CGROUP_IOLATENCY"),
    "io.prio.class": _Origin("5.14", "CONFIG_BLK_CGROUP_IOPRIO"),
}


class _Query(t.NamedTuple):
    """One change that is to be looked at."""

    group: Group
    change: Change
    wanted: State  #: all options of the task

    @property
    def after(self) -> t.Any:
        """The canonical value that is to be set."""
        return self.change.after

    @property
    def key(self) -> str:
        """The device, size or other thing that it is about."""
        return self.change.path[1]

    def version(self, controller: str) -> int:
        """The version that a controller is on, 0 for none."""
        hierarchy = self.group.host.of(controller)
        return hierarchy.version if hierarchy else 0

    def live(self, file: str) -> str | None:
        """A setting of the group, if it is there."""
        return self.group.read(file) if self.group.exists else None


def preflight(group: Group, changes: t.Iterable[Change], wanted: State) -> t.Iterator[Exception]:
    """What stands in the way of changes of limits.

    :param group: which may not exist yet.
    :param changes: of limits only.
    :param wanted: all options of the task in canonical form.
    """
    for change in changes:
        check = _CHECKS.get(change.path[0], _unobjectionable)
        problem = _unsupported(group, change) or check(_Query(group, change, wanted)) or _without_file(group, change)
        if isinstance(problem, str):
            yield OptionError(change.option, problem)
        elif problem is not None:
            yield Missing(f"{change.option}: {problem}")


def without_controllers(
    group: Group,
    controllers: t.Iterable[str],
    users: t.Mapping[str, t.Sequence[str]],
    otherwise: str,
    refused: t.Container[str],
) -> t.Iterator[OptionError]:
    """Controllers that a group cannot get; the option that needs one is named.

    :param users: controllers to the options that need them, perhaps none.
    :param otherwise: the option that is named where none needs it.
    :param refused: options that are refused already, for whatever reason.
    """
    for controller, reason in group.obstacles(controllers):
        needing = users.get(controller)
        if not needing:
            yield OptionError(otherwise, f"{controller} cannot be had: {reason}")
        elif needing[0] not in refused:
            yield OptionError(needing[0], f"it needs the controller {controller}, which cannot be had: {reason}")


def _unsupported(group: Group, change: Change) -> str | None:
    """Whether the version of cgroups or the host lacks it."""
    try:
        for file in limit_of(change).files(change):
            settings.locate(group.host, file)
    except settings.Unsupported as error:
        return str(error)
    return None


def _without_file(group: Group, change: Change) -> str | None:
    """Whether the kernel lacks it: as groups show, or where none has the controller yet, as the kernel was built."""
    limit = limit_of(change)
    for file in limit.files(change):
        hierarchy, accessor = settings.locate(group.host, file)
        origin = _ORIGINS.get(file, _Origin())
        if sample(group, hierarchy, limit.controller) is None:
            lacking = origin.lacking()
        else:
            lacking = lacks(group, hierarchy, limit.controller, accessor.files(file))
        if lacking:
            return f"this kernel has no {file}" + (f": {origin}" if str(origin) else "")
    return None


def lacks(group: Group, hierarchy: Hierarchy, controller: str, names: t.Iterable[str]) -> bool:
    """Whether groups that have the controller do not have all of its files; without such a group nobody knows."""
    place = sample(group, hierarchy, controller)
    return place is not None and not all(group.tree.has(f"{place}/{name}") for name in names)


def sample(group: Group, hierarchy: Hierarchy, controller: str) -> str | None:
    """The directory of a group that has a controller: the group itself if it is there, else another one."""
    for place in _samples(group, hierarchy):
        there = group.tree.read(f"{place}/cgroup.controllers")
        if hierarchy.version == 1 or controller in ("cgroup", *(there or "").split()):
            return place
    return None


def _samples(group: Group, hierarchy: Hierarchy) -> t.Iterator[str]:
    """Groups that are there: the group itself, those above it, and others near the root.

    The root of all groups lacks files that others have. In a control group namespace, another one stands in its place.
    """
    path = group.path
    while path:
        if group.tree.has(hierarchy.mount_point + path):
            yield hierarchy.mount_point + path
        path = path.rpartition("/")[0]
    if not _is_root(group.folder(hierarchy)._replace(path=hierarchy.mount_point), hierarchy.version):
        yield hierarchy.mount_point
    for child in group.tree.children(hierarchy.mount_point):
        yield f"{hierarchy.mount_point}/{child}"


def _is_root(folder: Folder, version: int) -> bool:
    """Whether a group is the root of all groups, by what only the root has (version 1), or lacks (version 2)."""
    only_in_root, only_below = "release_agent", "cgroup.type"
    if version == 1:
        return folder.tree.has(f"{folder.path}/{only_in_root}")
    return not folder.tree.has(f"{folder.path}/{only_below}")


# --- single options ------------------------------------------------------------------

_Problem = t.Union[str, Missing, None]


def _unobjectionable(query: _Query) -> _Problem:
    del query
    return None


def _quota(query: _Query) -> _Problem:
    """A quota below the burst that the group has, which the task does not name."""
    quota = query.after.split()[0]
    burst = query.wanted.get("cpu_max_burst", int(query.live("cpu.max.burst") or 0))
    if quota != MAX and burst > int(quota):
        return f"the quota is below the burst of {burst} microseconds that the group has; set cpu_max_burst, too"
    return None


def _burst(query: _Query) -> _Problem:
    """A burst above the quota that the group has, which the task does not name."""
    quota = query.wanted.get("cpu_max", query.live("cpu.max") or MAX).split()[0]
    if quota != MAX and query.after > int(quota):
        return f"expected at most the quota of the group, {quota} microseconds"
    return None


def _set_of(file: str, word: str, query: _Query) -> _Problem:
    """Processors or memory nodes that are there, and in version 1 in the group above, too."""
    there = (files.read_text(file) or "").strip()
    asked = set(numbers(query.after))
    if there and asked - set(numbers(there)):
        return f"expected {word} of this host ({there}), got {query.after}"
    if query.version("cpuset") == 1:
        above = query.group.folder(query.group.host.of("cpuset")).above().read(limit_of(query.change).file)
        if above and asked - set(numbers(above)):
            return f"expected {word} of the group above ({above}), got {query.after}"
    return None


_processors = functools.partial(_set_of, "/sys/devices/system/cpu/present", "processors")
_nodes = functools.partial(_set_of, "/sys/devices/system/node/has_memory", "memory nodes")


def _memory(query: _Query) -> _Problem:
    """A limit below what the processes of the group hold and the kernel cannot take from them."""
    if query.after == MAX or not query.group.exists:
        return None
    held = _held(query)
    if held <= int(query.after):
        return None
    ends = "kill some of them" if query.version("memory") == 2 else "refuse the limit"
    return (
        f"the processes of the group hold {held} bytes that cannot be taken from them; with a limit of {query.after} "
        f"the kernel would {ends}; expected more, or stop them first"
    )


def _held(query: _Query) -> int:
    """Anonymous and shared memory of the group, less the swap that is free for it."""
    words = (query.group.folder(query.group.host.of("memory")).read("memory.stat") or "").split()
    counted = dict(zip(words[::2], words[1::2]))
    names = ("anon", "shmem") if query.version("memory") == 2 else ("total_rss", "total_shmem")
    lines = (files.read_text("/proc/meminfo") or "").splitlines()
    swap = next((int(line.split()[1]) << 10 for line in lines if line.startswith("SwapFree:")), 0)
    room = query.wanted.get("memory_swap_max", query.live("memory.swap.max"))
    if room is not None and room != MAX:
        swap = min(swap, int(room))
    return max(0, sum(int(counted.get(name, 0)) for name in names) - swap)


def _swap(query: _Query) -> _Problem:
    """Version 1 limits swap only together with memory."""
    if query.after == MAX or query.version("memory") != 1:
        return None
    if query.wanted.get("memory_max", query.live("memory.max") or MAX) == MAX:
        return "cgroup v1 limits swap only together with memory; set memory_max, too"
    return None


def _io_weight(query: _Query) -> _Problem:
    """The scheduler BFQ has weights up to 1000."""
    value = query.after["weight"] if isinstance(query.after, dict) else query.after
    hierarchy = query.group.host.of("io")
    if value is None or hierarchy is None:
        return None
    if value > 1000 and (hierarchy.version == 1 or lacks(query.group, hierarchy, "io", ("io.weight",))):
        return f"expected 1 to 1000, which is what the scheduler BFQ of this host has, got {value}"
    return None


def _io_weight_device(query: _Query) -> _Problem:
    return _block_device(query) or _io_weight(query)


def _block_device(query: _Query) -> _Problem:
    if query.after is None or os.path.exists(f"/sys/dev/block/{query.key}"):
        return None
    return Missing(f"there is no block device {query.key} on this host")


def _huge_page_size(query: _Query) -> _Problem:
    sizes = huge_page_sizes()
    if query.key in sizes:
        return None
    return f"this host has no huge pages of {query.key}; it has {', '.join(sizes) or 'none'}"


def _rdma_device(query: _Query) -> _Problem:
    there = files.list_directory("/sys/class/infiniband")
    if query.after is None or query.key in there:
        return None
    return f"there is no RDMA device {query.key} on this host; there are {', '.join(there) or 'none'}"


def _capacity(controller: str, query: _Query) -> _Problem:
    """A resource of which the root of all groups says how much there is, and each group, how much of it may be used."""
    text = _capacities(query.group, controller)
    there = [line.split()[0] for line in (text or "").splitlines()]
    if text is None or query.key in there:
        return None
    return f"this host has no {query.key} to share; it has {', '.join(there) or 'none'}"


def _capacities(group: Group, controller: str) -> str | None:
    """Lines that begin with the names of all resources, ``None`` where nobody tells them."""
    hierarchy = group.host.of(controller)
    if hierarchy is None:
        return None
    text = group.tree.read(f"{hierarchy.mount_point}/{controller}.capacity")
    place = sample(group, hierarchy, controller)
    return group.tree.read(f"{place}/{controller}.max") if text is None and place else text


def _interface(query: _Query) -> _Problem:
    if os.path.exists(f"/sys/class/net/{query.key}"):
        return None
    return Missing(f"there is no interface {query.key} on this host")


_CHECKS: dict[str, t.Callable[[_Query], _Problem]] = {
    "cpu_max": _quota,
    "cpu_max_burst": _burst,
    "cpuset_cpus": _processors,
    "cpuset_cpus_exclusive": _processors,
    "cpuset_mems": _nodes,
    "memory_max": _memory,
    "memory_swap_max": _swap,
    "io_weight": _io_weight,
    "io_weight_device": _io_weight_device,
    "io_max": _block_device,
    "io_latency": _block_device,
    "hugetlb_max": _huge_page_size,
    "hugetlb_rsvd_max": _huge_page_size,
    "rdma_max": _rdma_device,
    "misc_max": functools.partial(_capacity, "misc"),
    "dmem_max": functools.partial(_capacity, "dmem"),
    "dmem_low": functools.partial(_capacity, "dmem"),
    "dmem_min": functools.partial(_capacity, "dmem"),
    "net_prio_ifpriomap": _interface,
}
