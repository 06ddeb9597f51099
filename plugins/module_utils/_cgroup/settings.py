# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a group, by the names and in the words of version 2, whatever version the controller is on.

Sources: the kernel's documents ``admin-guide/cgroup-v2.rst`` and ``admin-guide/cgroup-v1/*.rst``. One table says for
each file of version 2 what stands for it in version 1, or why nothing does.
"""

from __future__ import annotations

import errno
import re
import typing as t

from .._model.errors import NsfleetError
from .hierarchy import CORE, Hierarchy, Host
from .tree import Tree

#: From here on, a limit of version 1 is none: the largest number of whole pages, less the largest huge page.
_UNLIMITED = (1 << 63) - (1 << 31)


class Unsupported(NsfleetError):
    """A setting that the version of cgroups on this host does not have."""


class Folder(t.NamedTuple):
    """One group in one hierarchy."""

    tree: Tree
    path: str

    def read(self, file: str) -> str | None:
        """The text of a file, ``None`` if it is not there."""
        return self.tree.read(f"{self.path}/{file}")

    def write(self, file: str, text: str) -> None:
        """Write a file that is there.

        :raises OSError: the kernel refused.
        """
        self.tree.write(f"{self.path}/{file}", text)

    def above(self) -> Folder:
        """The group above."""
        return Folder(self.tree, self.path.rpartition("/")[0])


# --- accessors: how a setting is kept ------------------------------------------


class File:
    """A setting that is kept in a file of the same name, in the same words."""

    def files(self, file: str) -> tuple[str, ...]:
        """Names of the files without which there is no such setting."""
        return (file,)

    def read(self, folder: Folder, file: str) -> str | None:
        """The setting in the words of version 2, ``None`` if this kernel does not have it."""
        return folder.read(file)

    def write(self, folder: Folder, file: str, text: str) -> None:
        """Set it.

        :param text: in the words of version 2.
        :raises OSError: the kernel refused.
        """
        folder.write(file, text)


class Renamed(File):
    """A setting that version 1 keeps in a file of another name, perhaps in other words.

    :param name: of the file; with a dot first, what stands there for ``.max``; empty: the name is the same.
    """

    def __init__(self, name: str, decode: t.Callable[[str], str] = str, encode: t.Callable[[str], str] = str) -> None:
        self.name = name
        self.decode = decode
        self.encode = encode

    def files(self, file: str) -> tuple[str, ...]:
        """Its name in version 1."""
        return (file.removesuffix(".max") + self.name if self.name.startswith(".") else self.name or file,)

    def read(self, folder: Folder, file: str) -> str | None:
        """Read and translate it."""
        text = folder.read(self.files(file)[0])
        return None if text is None else self.decode(text)

    def write(self, folder: Folder, file: str, text: str) -> None:
        """Translate and write it."""
        folder.write(self.files(file)[0], self.encode(text))


class Either(File):
    """A setting of version 2 for which some kernels have only another file."""

    def __init__(self, other: str) -> None:
        self.other = other

    def _file(self, folder: Folder, file: str) -> str:
        return file if folder.tree.has(f"{folder.path}/{file}") else self.other

    def files(self, file: str) -> tuple[str, ...]:
        """None for certain: one of the two is enough."""
        return ()

    def read(self, folder: Folder, file: str) -> str | None:
        """Read the file that is there."""
        return folder.read(self._file(folder, file))

    def write(self, folder: Folder, file: str, text: str) -> None:
        """Write the file that is there."""
        folder.write(self._file(folder, file), text)


class CpuMax(File):
    """``cpu.max``: quota and period, which version 1 keeps in two files."""

    def files(self, file: str) -> tuple[str, ...]:
        """Quota and period."""
        return ("cpu.cfs_quota_us", "cpu.cfs_period_us")

    def read(self, folder: Folder, file: str) -> str | None:
        """``QUOTA PERIOD`` or ``max PERIOD``."""
        quota, period = (folder.read(name) for name in self.files(file))
        if quota is None or period is None:
            return None
        return f"{'max' if int(quota) < 0 else quota} {period}"

    def write(self, folder: Folder, file: str, text: str) -> None:
        """Both, in the order in which the group never gets more of the processor than the group above allows."""
        quota, period = text.split()
        new = list(zip(self.files(file), ("-1" if quota == "max" else quota, period)))
        try:
            folder.write(*new[0])
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            new.reverse()
            folder.write(*new[0])
        folder.write(*new[1])


_MEMORY, _MEMORY_AND_SWAP = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"


class MemoryMax(File):
    """``memory.max``, in version 1 one of two limits that depend on each other: memory, and memory and swap together.

    The kernel refuses a limit of both that is below the one of memory, so the direction says which is written first.
    The room for swap stays what it was.
    """

    def files(self, file: str) -> tuple[str, ...]:
        """The limit of memory alone."""
        return (_MEMORY,)

    def read(self, folder: Folder, file: str) -> str | None:
        """Bytes or ``max``."""
        text = folder.read(_MEMORY)
        return None if text is None else _decode_bytes(text)

    def write(self, folder: Folder, file: str, text: str) -> None:
        """Set it, and move the limit of both along."""
        both = _swap(folder)
        if both is None:
            folder.write(_MEMORY, _encode_bytes(text))
        else:
            _write_memory(folder, text, "max" if text == "max" else both)


class SwapMax(File):
    """``memory.swap.max``: in version 1 the limit of memory and swap together, less the one of memory."""

    def files(self, file: str) -> tuple[str, ...]:
        """The limit of both."""
        return (_MEMORY_AND_SWAP,)

    def read(self, folder: Folder, file: str) -> str | None:
        """Bytes or ``max``."""
        return _swap(folder)

    def write(self, folder: Folder, file: str, text: str) -> None:
        """Set the limit of both."""
        memory = _decode_bytes(folder.read(_MEMORY) or "-1")
        if memory == "max" and text != "max":
            raise OSError(errno.EINVAL, "version 1 limits swap only together with memory, so set memory.max first")
        _write_memory(folder, memory, text)


def _swap(folder: Folder) -> str | None:
    both, memory = folder.read(_MEMORY_AND_SWAP), folder.read(_MEMORY)
    if both is None or memory is None:
        return None
    return "max" if int(both) >= _UNLIMITED else str(int(both) - int(memory))


def _write_memory(folder: Folder, memory: str, swap: str) -> None:
    """Both limits, the one first that keeps the limit of both above the one of memory at any time."""
    both = "max" if "max" in (memory, swap) else str(int(memory) + int(swap))
    before = int(folder.read(_MEMORY_AND_SWAP) or 0)
    writes = [(_MEMORY, _encode_bytes(memory)), (_MEMORY_AND_SWAP, _encode_bytes(both))]
    if both == "max" or int(both) >= before:
        writes.reverse()
    for file, text in writes:
        folder.write(file, text)


class Inherited(Renamed):
    """``cpuset.cpus`` and ``cpuset.mems``: empty means those of the group above, which version 1 has to be told."""

    def read(self, folder: Folder, file: str) -> str | None:
        """Empty if they are those of the group above."""
        text = folder.read(file)
        return "" if text is not None and text == folder.above().read(file) else text

    def write(self, folder: Folder, file: str, text: str) -> None:
        """Set it, or what the group above has."""
        folder.write(file, text or folder.above().read(file) or "")


class Unemptied(File):
    """``cpuset.cpus`` and ``cpuset.mems`` of version 2: a group with processes refuses to be emptied (``ENOSPC``)."""

    def write(self, folder: Folder, file: str, text: str) -> None:
        """Set it; where empty is refused, to what the group above has, which is the same until that changes."""
        try:
            super().write(folder, file, text)
        except OSError as error:
            if text or error.errno != errno.ENOSPC:
                raise
            folder.write(file, folder.above().read(f"{file}.effective") or "")


class Throttle(File):
    """``io.max``: version 1 has a file for each of the four limits, in which 0 is none."""

    FILES = (
        ("rbps", "blkio.throttle.read_bps_device"),
        ("wbps", "blkio.throttle.write_bps_device"),
        ("riops", "blkio.throttle.read_iops_device"),
        ("wiops", "blkio.throttle.write_iops_device"),
    )

    def files(self, file: str) -> tuple[str, ...]:
        """All four."""
        return tuple(name for _key, name in self.FILES)

    def read(self, folder: Folder, file: str) -> str | None:
        """A line for each device that has a limit."""
        found: dict[str, dict[str, str]] = {}
        for key, name in self.FILES:
            text = folder.read(name)
            if text is None:
                return None
            for line in text.splitlines():
                device, value = line.split()
                found.setdefault(device, {})[key] = value
        return "\n".join(
            f"{device} " + " ".join(f"{key}={limits.get(key, 'max')}" for key, _name in self.FILES)
            for device, limits in sorted(found.items())
        )

    def write(self, folder: Folder, file: str, text: str) -> None:
        """The limits of one device that the text names."""
        device, *words = text.split()
        values = dict(word.split("=", 1) for word in words)
        for key, name in self.FILES:
            if key in values:
                folder.write(name, f"{device} {0 if values[key] == 'max' else values[key]}")


class BfqWeight(File):
    """``io.weight``: of the schedulers of version 1, BFQ has weights, from 1 to 1000."""

    FILE, DEVICES = "blkio.bfq.weight", "blkio.bfq.weight_device"

    def files(self, file: str) -> tuple[str, ...]:
        """The file that is there once the scheduler is loaded."""
        return (self.FILE,)

    def read(self, folder: Folder, file: str) -> str | None:
        """``default WEIGHT``, then a line for each device that has one of its own."""
        text = folder.read(self.FILE)
        if text is None:
            return None
        lines = [f"default {text.split()[-1]}", *(folder.read(self.DEVICES) or "").splitlines()]
        return "\n".join(line for line in lines if line)

    def write(self, folder: Folder, file: str, text: str) -> None:
        """One of the lines."""
        device, value = text.split()
        if device == "default":
            folder.write(self.FILE, value)
        else:
            folder.write(self.DEVICES, text)


class Devices(File):
    """Which devices may be used: rules, one a line. No file of version 2: there it is an attached program."""

    def files(self, file: str) -> tuple[str, ...]:
        """None for certain."""
        return ()

    def read(self, folder: Folder, file: str) -> str | None:
        """The rules that hold."""
        from . import devices

        return devices.read(folder)

    def write(self, folder: Folder, file: str, text: str) -> None:
        """Make other rules hold."""
        from . import devices

        devices.write(folder, text)


# --- words ---------------------------------------------------------------------


def _decode_bytes(text: str) -> str:
    return "max" if text == "max" or int(text) >= _UNLIMITED else text


def _encode_bytes(text: str) -> str:
    return "-1" if text == "max" else text


def shares(weight: str) -> str:
    """``cpu.shares`` of a ``cpu.weight``, as the kernel converts them (``sched_weight_from_cgroup``)."""
    return str(max(2, (int(weight) * 1024 + 50) // 100))


def weight(shares: str) -> str:
    """``cpu.weight`` of ``cpu.shares`` (``sched_weight_to_cgroup``)."""
    return str((int(shares) * 100 + 512) // 1024)


#: Share of the processor of nice -20 to 19 (``sched_prio_to_weight`` of the kernel).
_NICE_SHARES = (
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
    9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
    1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
    110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
)  # fmt: skip


def _nice_shares(nice: str) -> str:
    return str(_NICE_SHARES[int(nice) + 20])


def _nice(shares: str) -> str:
    """The nearest one, as the kernel answers."""
    return str(min(range(-20, 20), key=lambda nice: abs(_NICE_SHARES[nice + 20] - int(shares))))


def _frozen(state: str) -> str:
    return "0" if state == "THAWED" else "1"


def _freezer_state(text: str) -> str:
    return "FROZEN" if text == "1" else "THAWED"


# --- the table -------------------------------------------------------------------


class Setting(t.NamedTuple):
    """Where a setting is kept, or why it is not."""

    controller: str  #: empty: of the group itself
    version_2: File | str
    version_1: File | str


_FILE = File()
_BYTES = Renamed(".limit_in_bytes", _decode_bytes, _encode_bytes)
_PAGES = Renamed("", _decode_bytes)  # where nothing was set, even version 2 shows the largest number of pages
_SWAP_TOO = "cgroup v1 limits only memory and swap together (memory_swap_max)"
_NO_GUARANTEE = "cgroup v1 cannot keep memory for a group"
_ONLY_V2 = "cgroup v1 has nothing like it"
_ONLY_V1 = "cgroup v2 has no such controller; match the group itself there (nft: socket cgroupv2)"
_PARTITION = "cgroup v1 has no partitions; its cpuset.cpu_exclusive (see settings) keeps only siblings away"

SETTINGS: dict[str, Setting] = {
    "cgroup.freeze": Setting("", _FILE, Renamed("freezer.state", _frozen, _freezer_state)),
    "cgroup.max.depth": Setting("", _FILE, _ONLY_V2),
    "cgroup.max.descendants": Setting("", _FILE, _ONLY_V2),
    "cgroup.pressure": Setting("", _FILE, _ONLY_V2),
    "cgroup.type": Setting("", _FILE, _ONLY_V2),
    "cpu.weight": Setting("cpu", _FILE, Renamed("cpu.shares", weight, shares)),
    "cpu.weight.nice": Setting("cpu", _FILE, Renamed("cpu.shares", _nice, _nice_shares)),
    "cpu.idle": Setting("cpu", _FILE, _FILE),
    "cpu.max": Setting("cpu", _FILE, CpuMax()),
    "cpu.max.burst": Setting("cpu", _FILE, Renamed("cpu.cfs_burst_us")),
    "cpu.uclamp.min": Setting("cpu", _FILE, _FILE),
    "cpu.uclamp.max": Setting("cpu", _FILE, _FILE),
    "cpuset.cpus": Setting("cpuset", Unemptied(), Inherited("")),
    "cpuset.mems": Setting("cpuset", Unemptied(), Inherited("")),
    "cpuset.cpus.exclusive": Setting("cpuset", _FILE, _PARTITION),
    "cpuset.cpus.partition": Setting("cpuset", _FILE, _PARTITION),
    "memory.min": Setting("memory", _FILE, _NO_GUARANTEE),
    "memory.low": Setting(
        "memory", _FILE, f"{_NO_GUARANTEE}; its memory.soft_limit_in_bytes (see settings) is a limit under pressure"
    ),
    "memory.high": Setting("memory", _FILE, "cgroup v1 cannot slow a group down; only memory_max limits it"),
    "memory.max": Setting("memory", _FILE, MemoryMax()),
    "memory.swap.high": Setting("memory", _FILE, _SWAP_TOO),
    "memory.swap.max": Setting("memory", _FILE, SwapMax()),
    "memory.zswap.max": Setting("memory", _FILE, _SWAP_TOO),
    "memory.zswap.writeback": Setting("memory", _FILE, _ONLY_V2),
    "memory.oom.group": Setting("memory", _FILE, "cgroup v1 always kills single processes"),
    "io.max": Setting("io", _FILE, Throttle()),
    "io.weight": Setting("io", Either("io.bfq.weight"), BfqWeight()),
    "io.latency": Setting("io", _FILE, _ONLY_V2),
    "io.prio.class": Setting("io", _FILE, Renamed("blkio.prio.class")),
    "pids.max": Setting("pids", _FILE, _FILE),
    "hugetlb.SIZE.max": Setting("hugetlb", _PAGES, _BYTES),
    "hugetlb.SIZE.rsvd.max": Setting("hugetlb", _PAGES, _BYTES),
    "rdma.max": Setting("rdma", _FILE, _FILE),
    "misc.max": Setting("misc", _FILE, _FILE),
    "dmem.max": Setting("dmem", _FILE, _ONLY_V2),
    "dmem.low": Setting("dmem", _FILE, _ONLY_V2),
    "dmem.min": Setting("dmem", _FILE, _ONLY_V2),
    "devices": Setting("devices", Devices(), Devices()),
    "net_cls.classid": Setting("net_cls", _ONLY_V1, _FILE),
    "net_prio.ifpriomap": Setting("net_prio", _ONLY_V1, _FILE),
}

#: What went wrong, in words for people, where the kernel's number says too little.
_REASONS = {
    ("memory.max", errno.EBUSY): "its processes use more than that, and the kernel cannot take it from them",
    ("memory.swap.max", errno.EBUSY): "its processes use more than that",
    ("cpu.max", errno.EINVAL): "the group above has a lower limit, or a group below has a higher one",
    ("cpu.rt_runtime_us", errno.EINVAL): "it is longer than the period, or the group above has less",
    ("devices", errno.EPERM): "the group above does not allow it",
    ("cpuset.cpus", errno.EACCES): "the group above does not have all of these",
    ("cpuset.mems", errno.EACCES): "the group above does not have all of these",
    ("cpuset.cpus", errno.EBUSY): "a group below, or a task with a deadline, needs them",
}


def reason(file: str, error: OSError) -> OSError:
    """The error with words for people, where there are any."""
    words = "this kernel has no such setting" if error.errno == errno.ENOENT else _REASONS.get((file, error.errno or 0))
    return error if words is None else OSError(error.errno, f"{error.strerror}: {words}")


def find(file: str) -> Setting:
    """The entry of a file of version 2.

    :raises Unsupported: there is none.
    """
    found = SETTINGS.get(_of_any_size(file) if file.startswith("hugetlb.") else file)
    if found is None:
        raise Unsupported(f"there is no setting {file}")
    return found


def _of_any_size(file: str) -> str:
    """A file of one size of huge pages as the table names it: ``hugetlb.2MB.max`` as ``hugetlb.SIZE.max``."""
    return re.sub(r"^hugetlb\.[0-9]+[KMG]B\.", "hugetlb.SIZE.", file)


def locate(host: Host, file: str) -> tuple[Hierarchy, File]:
    """The hierarchy in which a setting is kept on this host, and how.

    :param file: name of a file of version 2.
    :raises Unsupported: it is on none; the message says why.
    """
    setting = find(file)
    hierarchy = host.of(setting.controller) if setting.controller else host.primary
    if hierarchy is None:
        raise Unsupported(_nowhere(host, setting))
    accessor = setting.version_2 if hierarchy.version == 2 else setting.version_1
    if isinstance(accessor, str):
        raise Unsupported(accessor)
    return hierarchy, accessor


def _nowhere(host: Host, setting: Setting) -> str:
    """Why a setting is on no hierarchy: its version is not on this host, or its controller is on none."""
    here = {"legacy": setting.version_1, "unified": setting.version_2}.get(host.mode)
    return here if isinstance(here, str) else host.lacking(setting.controller)


def controller_of(file: str) -> str:
    """The controller of a file by its own name, which is the part before the first dot; empty: of the group itself."""
    word, dot, _rest = file.partition(".")
    return {"blkio": "io", "cgroup": ""}.get(word, word) if dot else ""


def locate_raw(host: Host, file: str) -> Hierarchy:
    """The hierarchy in which a file is, by its own name.

    :raises Unsupported: the controller is on none.
    """
    controller = controller_of(file)
    if not controller:
        return host.primary
    hierarchy = host.of(controller)
    if hierarchy is None or (hierarchy.version == 2 and controller in CORE):
        raise Unsupported(host.lacking(controller))
    return hierarchy


def ordered(writes: t.Iterable[tuple[str, str]], read: t.Callable[[str], str | None]) -> list[tuple[str, str]]:
    """Writes in an order in which the kernel refuses none that it takes in another one.

    :param writes: files of version 2 and texts.
    :param read: gives the text of a file now.
    """
    return sorted(writes, key=lambda write: rank(write[0], write[1], read))


def rank(file: str, text: str, read: t.Callable[[str], str | None]) -> int:
    """When one of several writes is to be done; the lowest first.

    A weight is refused while the group is idle; a burst above the quota, always; a partition needs its cpus.

    :param read: gives the text of a file of version 2 now.
    """
    if file == "cpu.idle":
        return -1 if text == "0" else 1
    if file == "cpu.max.burst":
        return -1 if int(text) < int(read(file) or 0) else 1
    if file == "cpuset.cpus.partition":
        return -1 if text == "member" else 1
    return 1 if file == "memory.swap.max" else 0
