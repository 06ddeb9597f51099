# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control group limits: options of every kind that has one, by the names of the files of cgroup v2.

The canonical form of a value is what the kernel shows after its own rounding, so that what check mode says is what the
run finds. All changes are live: no process is started again.
"""

from __future__ import annotations

import functools
import os
import re
import stat
import typing as t

from .._cgroup import settings
from .._kernel import files
from .._model.errors import NotHere, OptionError
from .._model.field import Field, State, Table
from .._model.quantities import MAX, between, count_or_max, is_digits, number_set, size_or_max

if t.TYPE_CHECKING:
    from .._cgroup.group import Group
    from .._model.resource import Change

Writes = list[tuple[str, str]]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_MOST_BYTES = (1 << 63) - 1
_MOST_PIDS = 4194304  # PID_MAX_LIMIT
_PERIOD = 100000
_HUGE_PAGES = "/sys/kernel/mm/hugepages"
_BLOCK_DEVICES = "/sys/dev/block"


# --- canonical forms -------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _ram() -> int:
    """All memory of the host, in bytes.

    :raises NotHere: it has no Linux that would tell.
    """
    words = (files.read_text("/proc/meminfo") or "").split()
    if not words:
        raise NotHere("this host does not tell how much memory it has")
    return int(words[1]) << 10


def _rounded(count: int | None, unit: int) -> str:
    """What the kernel's page counter keeps: whole pages, or no limit."""
    if count is None or count >= _MOST_BYTES // unit * unit:
        return MAX
    return str(count // unit * unit)


def _memory(value: str) -> str:
    return _rounded(size_or_max(str(value), _ram), _PAGE)


def _swap(value: str) -> str:
    return _rounded(size_or_max(str(value)), _PAGE)


def _cpu_max(value: str) -> str:
    """Processors, a percentage of one, or the kernel's quota and period in microseconds."""
    words = value.replace("/", " ").split()
    if len(words) == 1:
        quota, period = _quota(words[0], value), _PERIOD
    elif len(words) == 2 and is_digits(words[1]):
        quota, period = _microseconds(words[0], value), int(words[1])
    else:
        raise _no_cpu_max(value)
    if not 1000 <= period <= 1000000:
        raise ValueError(f"expected a period of 1000 to 1000000 microseconds, got {value!r}")
    if quota is not None and quota < 1000:
        raise ValueError(f"expected a quota of 1000 microseconds (0.01 processors) or more, got {value!r}")
    return f"{MAX if quota is None else quota} {period}"


def _quota(word: str, value: str) -> int | None:
    """A number below 1000 is one of processors; from there on, it is a quota as the kernel writes it."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(%?)", word)
    if not found:
        return _microseconds(word, value)
    number = float(found.group(1))
    if found.group(2):
        return round(number * _PERIOD / 100)
    return _microseconds(word, value) if number >= 1000 else round(number * _PERIOD)


def _microseconds(word: str, value: str) -> int | None:
    if word.lower() in (MAX, "infinity", "-1"):
        return None
    if not is_digits(word):
        raise _no_cpu_max(value)
    return int(word)


def _no_cpu_max(value: str) -> ValueError:
    return ValueError(
        f"expected processors such as 1.5 or 150%, a quota and period such as 50000 100000, or max, got {value!r}"
    )


def _clamp(value: str) -> str:
    """A percentage with two digits, as ``cpu_uclamp_print`` of the kernel writes it."""
    words = str(value).strip().rstrip("%")
    if words.lower() == MAX:
        return MAX
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,2})?", words) or float(words) > 100:
        raise ValueError(
            f"expected max or a percentage of 0 to 100 with at most two digits after the point, got {value!r}"
        )
    return MAX if float(words) == 100 else f"{float(words):.2f}"


def io_device(value: str) -> str:
    """``MAJOR:MINOR`` of a disk; of a partition, the disk that it is on, since the kernel limits whole disks only.

    :param value: these numbers, or the path of a block device.
    :raises ValueError: it is neither.
    """
    numbers = value
    if value.startswith("/"):
        try:
            info = os.stat(value)
        except OSError as error:
            raise NotHere(f"expected a block device, but {value}: {error.strerror}") from None
        if not stat.S_ISBLK(info.st_mode):
            raise NotHere(f"expected a block device, but {value} is none")
        numbers = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    if not re.fullmatch(r"[0-9]{1,4}:[0-9]{1,7}", numbers):
        raise ValueError(f"expected the path of a block device or MAJOR:MINOR, got {value!r}")
    place = os.path.realpath(f"{_BLOCK_DEVICES}/{numbers}")
    whole = files.read_text(f"{place}/../dev") if os.path.exists(f"{place}/partition") else None
    return whole.strip() if whole else numbers


def _rate(value: str) -> str:
    count = size_or_max(str(value))
    if count == 0:
        raise ValueError("expected at least 1, or max for no limit")
    return MAX if count is None else str(count)


def _operations(value: str) -> str:
    if str(value).strip() == "0":
        raise ValueError("expected at least 1, or max for no limit")
    return count_or_max(str(value), (1 << 32) - 1)


def _target(value: str) -> str:
    return count_or_max(str(value), (1 << 63) // 1000)


def _handles(value: str) -> str:
    return count_or_max(str(value), (1 << 31) - 1)


def _pids(value: str) -> str:
    return count_or_max(str(value), _MOST_PIDS)


def _page_name(value: str) -> tuple[str, int]:
    """The kernel's name of a huge page size, and its bytes: ``2MB`` for ``2M``, ``2MiB`` and ``2MB``."""
    found = re.fullmatch(r"([0-9]+)([KMG])(i?B)?", str(value))
    if not found:
        raise ValueError(f"expected sizes of huge pages such as 2MB or 1GB, got {value!r}")
    count = int(found.group(1)) << {"K": 10, "M": 20, "G": 30}[found.group(2)]
    for power, unit in ((30, "GB"), (20, "MB")):
        if count >> power:
            return f"{count >> power}{unit}", count
    return f"{count >> 10}KB", count


def _huge_pages(values: t.Mapping[str, t.Any]) -> State:
    found = {}
    for key, value in values.items():
        name, size = _page_name(key)
        if name in found:
            raise ValueError(f"{name} is given twice")
        found[name] = _rounded(size_or_max(str(value)), size)
    return found


def _counts(values: t.Mapping[str, t.Any]) -> State:
    return {str(name): count_or_max(str(value), (1 << 63) - 1) for name, value in values.items()}


def _regions(values: t.Mapping[str, t.Any]) -> State:
    return {str(name): _rounded(size_or_max(str(value)), _PAGE) for name, value in values.items()}


def _devices(values: t.Sequence[str]) -> list[str]:
    from .._cgroup import devices

    rules = [devices.parse_rule(str(value)) for value in values]
    if not all(rule.allow for rule in rules):
        raise ValueError("expected what is allowed; all else is denied anyway")
    return devices.allowed(rules)


def _class_id(value: str) -> int:
    """A handle of tc(8) (``10:1``, hexadecimal), or the number that stands for it."""
    found = re.fullmatch(r"([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4})", str(value))
    if found:
        return int(found.group(1), 16) << 16 | int(found.group(2), 16)
    try:
        number = int(str(value), 0)
    except ValueError:
        number = -1
    if not 0 <= number < 1 << 32:
        raise ValueError(f"expected a handle of tc such as 10:1, or its number such as 0x100001, got {value!r}")
    return number


def _priorities(values: t.Mapping[str, t.Any]) -> State:
    for name, value in values.items():
        if not is_digits(str(value)):
            raise ValueError(f"expected whole numbers as priorities, got {value!r} for {name}")
    return {str(name): int(value) for name, value in values.items()}


# --- how a limit is kept -----------------------------------------------------------


class Limit:
    """A limit that is kept in one file.

    :param file: its name in cgroup v2.
    :param decode: makes the canonical value of the kernel's text; ``None`` where it means nothing now.
    :param encode: makes the kernel's text of the canonical value.
    """

    def __init__(
        self, file: str, decode: t.Callable[[str], t.Any] = str, encode: t.Callable[[t.Any], str] = str
    ) -> None:
        self.file = file
        self.decode = decode
        self.encode = encode

    @property
    def controller(self) -> str:
        """The controller that it belongs to."""
        return settings.find(self.file).controller

    def files(self, change: Change) -> list[str]:
        """Files of cgroup v2 that a change writes."""
        return [self.file]

    def read(self, group: Group, wanted: t.Any, applied: t.Any) -> t.Any:
        """The canonical value, ``None`` if the group has none.

        :param wanted: what the task says, ``None`` for nothing.
        :param applied: what an earlier task said.
        """
        text = group.read(self.file)
        return None if text is None else self.decode(text)

    def writes(self, change: Change) -> Writes:
        """Files of cgroup v2 and texts that make a change."""
        return [(self.file, self.encode(change.after))]


class CpuSet(Limit):
    """Processors or memory nodes. In cgroup v1, naming those of the group above is the same as naming none.

    In cgroup v2 it is the same where no task asks for any: a group with processes cannot be made to name none again.
    """

    def read(self, group: Group, wanted: t.Any, applied: t.Any) -> t.Any:
        """The set, empty for that of the group above."""
        text = super().read(group, wanted, applied)
        hierarchy, _accessor = settings.locate(group.host, self.file)
        above = group.folder(hierarchy).above()
        if text == "" and wanted and hierarchy.version == 1:
            return wanted if wanted == (above.read(self.file) or "") else text
        if text and not wanted and hierarchy.version == 2:
            return "" if text == above.read(f"{self.file}.effective") else text
        return text


class DeviceRules(Limit):
    """What is allowed; of a program that the kernel does not show, only whether it is the wanted one can be told."""

    def read(self, group: Group, wanted: t.Any, applied: t.Any) -> t.Any:
        """The rules."""
        from .._cgroup import devices

        text = group.read(self.file)
        if text is None:
            return None
        if text.startswith(devices.TAG):
            known = (value for value in (wanted, applied) if value is not None)
            return next((value for value in known if devices.tag_of(text, value)), [text])
        rules = devices.parse(text)
        return devices.allowed(rules) if all(rule.allow for rule in rules) else text.splitlines()


class HugePages(Limit):
    """A limit for each size of huge pages, each in a file of its own."""

    def _file(self, size: str) -> str:
        return self.file.replace("SIZE", size)

    def files(self, change: Change) -> list[str]:
        """The file of one size."""
        return [self._file(change.path[1])]

    def read(self, group: Group, wanted: t.Any, applied: t.Any) -> t.Any:
        """Sizes to limits."""
        found = {size: group.read(self._file(size)) for size in huge_page_sizes()}
        return {size: text for size, text in found.items() if text is not None} or None

    def writes(self, change: Change) -> Writes:
        """The limit of one size."""
        return [(self._file(change.path[1]), change.after)]


class Lines(Limit):
    """A limit for each of several things, a line each: ``NAME VALUE``."""

    def read(self, group: Group, wanted: t.Any, applied: t.Any) -> t.Any:
        """Names to limits."""
        text = group.read(self.file)
        if text is None:
            return None
        pairs = (line.rsplit(maxsplit=1) for line in text.splitlines())
        return {pair[0]: self.decode(pair[1]) for pair in pairs if len(pair) == 2}

    def writes(self, change: Change) -> Writes:
        """The line of one thing."""
        return [(self.file, f"{change.path[1]} {self.encode(change.after)}")]


class NestedLines(Limit):
    """Several limits for each of several things, a line each: ``NAME KEY=VALUE KEY=VALUE``.

    :param keys: words of the kernel; they are the names of the options.
    """

    def __init__(self, file: str, keys: tuple[str, ...]) -> None:
        super().__init__(file)
        self.keys = keys

    def read(self, group: Group, wanted: t.Any, applied: t.Any) -> t.Any:
        """Names to limits."""
        text = group.read(self.file)
        if text is None:
            return None
        lines = (line.split() for line in text.splitlines())
        return {name: dict(word.split("=", 1) for word in words if "=" in word) for name, *words in lines}

    def writes(self, change: Change) -> Writes:
        """One limit of one thing, or all of them."""
        if len(change.path) == 3:
            values = {change.path[2]: change.after}
        else:
            values = dict.fromkeys(self.keys, MAX) if change.after is None else change.after
        words = (f"{key}={value}" for key, value in values.items())
        return [(self.file, " ".join((change.path[1], *words)))]


class Weight(Limit):
    """``io.weight``: the line ``default`` is an option of its own."""

    def read(self, group: Group, wanted: t.Any, applied: t.Any) -> t.Any:
        """The weight of devices that have none of their own."""
        lines = [line.split() for line in (group.read(self.file) or "").splitlines()]
        return next((int(words[-1]) for words in lines if words[0] == "default" or len(words) == 1), None)

    def writes(self, change: Change) -> Writes:
        """The line of all devices."""
        return [(self.file, f"default {change.after}")]


class DeviceWeights(Limit):
    """``io.weight``: the lines of single devices."""

    def read(self, group: Group, wanted: t.Any, applied: t.Any) -> t.Any:
        """Devices to weights."""
        text = group.read(self.file)
        if text is None:
            return None
        lines = [line.split() for line in text.splitlines()]
        return {words[0]: {"weight": int(words[1])} for words in lines if len(words) == 2 and words[0] != "default"}

    def writes(self, change: Change) -> Writes:
        """The line of one device."""
        value = change.after["weight"] if isinstance(change.after, dict) else change.after
        return [(self.file, f"{change.path[1]} {'default' if value is None else value}")]


def huge_page_sizes() -> list[str]:
    """The kernel's names of the sizes of huge pages that this host has."""
    found = [re.fullmatch(r"hugepages-([0-9]+)kB", name) for name in files.list_directory(_HUGE_PAGES)]
    return [_page_name(f"{match.group(1)}K")[0] for match in found if match]


# --- the fields ----------------------------------------------------------------------


def _weight(text: str) -> int | None:
    """A group that is idle has no weight, and the kernel shows 0."""
    return int(text) or None


def _flag(text: str) -> bool:
    return text != "0"


def _flag_text(value: bool) -> str:
    return "1" if value else "0"


def _whole(field: Field) -> tuple[Field, ...]:
    """A device, and one more option for it."""
    return (Field("device", required=True, canonical=io_device), field)


_RATES = Table(
    (
        Field("device", required=True, canonical=io_device),
        Field("rbps", canonical=_rate, revert=MAX),
        Field("wbps", canonical=_rate, revert=MAX),
        Field("riops", canonical=_operations, revert=MAX),
        Field("wiops", canonical=_operations, revert=MAX),
    )
)
_HANDLES = Table(
    (
        Field("device", required=True),
        Field("hca_handle", canonical=_handles, revert=MAX),
        Field("hca_object", canonical=_handles, revert=MAX),
    )
)
_WEIGHTS = Table(_whole(Field("weight", "int", required=True, canonical=between(1, 10000), revert=100)))
_TARGETS = Table(_whole(Field("target", required=True, canonical=_target, revert=MAX)))


def _field(
    name: str, type: str, limit: Limit, revert: t.Any, canonical: t.Callable[[t.Any], t.Any] = lambda value: value,
    **more: t.Any,
) -> Field:  # fmt: skip
    return Field(name, type, canonical=canonical, revert=revert, write=limit, **more)


#: Options that every kind with a control group has.
LIMITS: tuple[Field, ...] = (
    _field("cpu_weight", "int", Limit("cpu.weight", _weight), 100, between(1, 10000)),
    _field("cpu_weight_nice", "int", Limit("cpu.weight.nice", int), 0, between(-20, 19)),
    _field("cpu_idle", "bool", Limit("cpu.idle", _flag, _flag_text), False),
    _field("cpu_max", "str", Limit("cpu.max"), f"{MAX} {_PERIOD}", _cpu_max),
    _field("cpu_max_burst", "int", Limit("cpu.max.burst", int), 0, between(0, _MOST_BYTES // 1000)),
    _field("cpu_uclamp_min", "str", Limit("cpu.uclamp.min"), "0.00", _clamp),
    _field("cpu_uclamp_max", "str", Limit("cpu.uclamp.max"), MAX, _clamp),
    _field("cpuset_cpus", "str", CpuSet("cpuset.cpus"), "", number_set),
    _field("cpuset_mems", "str", CpuSet("cpuset.mems"), "", number_set),
    _field("cpuset_cpus_exclusive", "str", Limit("cpuset.cpus.exclusive"), "", number_set),
    _field(
        "cpuset_cpus_partition", "str", Limit("cpuset.cpus.partition"), "member",
        choices=("member", "root", "isolated"),
    ),
    _field("memory_min", "str", Limit("memory.min"), "0", _memory),
    _field("memory_low", "str", Limit("memory.low"), "0", _memory),
    _field("memory_high", "str", Limit("memory.high"), MAX, _memory),
    _field("memory_max", "str", Limit("memory.max"), MAX, _memory),
    _field("memory_swap_high", "str", Limit("memory.swap.high"), MAX, _swap),
    _field("memory_swap_max", "str", Limit("memory.swap.max"), MAX, _swap),
    _field("memory_zswap_max", "str", Limit("memory.zswap.max"), MAX, _swap),
    _field("memory_zswap_writeback", "bool", Limit("memory.zswap.writeback", _flag, _flag_text), True),
    _field("memory_oom_group", "bool", Limit("memory.oom.group", _flag, _flag_text), False),
    _field("io_weight", "int", Weight("io.weight"), 100, between(1, 10000)),
    _field("io_weight_device", "list", DeviceWeights("io.weight"), None, elements="dict", table=_WEIGHTS, key="device"),
    _field(
        "io_max", "list", NestedLines("io.max", ("rbps", "wbps", "riops", "wiops")), None,
        elements="dict", table=_RATES, key="device",
    ),
    _field(
        "io_latency", "list", NestedLines("io.latency", ("target",)), None,
        elements="dict", table=_TARGETS, key="device",
    ),
    _field(
        "io_prio_class", "str", Limit("io.prio.class"), "no-change",
        choices=("no-change", "promote-to-rt", "restrict-to-be", "idle", "none-to-rt"),
    ),
    _field("pids_max", "str", Limit("pids.max"), MAX, _pids),
    _field("hugetlb_max", "dict", HugePages("hugetlb.SIZE.max"), MAX, _huge_pages),
    _field("hugetlb_rsvd_max", "dict", HugePages("hugetlb.SIZE.rsvd.max"), MAX, _huge_pages),
    _field(
        "rdma_max", "list", NestedLines("rdma.max", ("hca_handle", "hca_object")), None,
        elements="dict", table=_HANDLES, key="device",
    ),
    _field("misc_max", "dict", Lines("misc.max"), MAX, _counts),
    _field("dmem_max", "dict", Lines("dmem.max"), MAX, _regions),
    _field("dmem_low", "dict", Lines("dmem.low"), "0", _regions),
    _field("dmem_min", "dict", Lines("dmem.min"), "0", _regions),
    _field("devices", "list", DeviceRules("devices", encode="\n".join), ["a *:* rwm"], _devices, elements="str"),
    _field("net_cls_classid", "str", Limit("net_cls.classid", int), 0, _class_id),
    _field("net_prio_ifpriomap", "dict", Lines("net_prio.ifpriomap", int), 0, _priorities),
)  # fmt: skip

#: Relations between them, for Ansible's own validation.
RULES = {"mutually_exclusive": [("cpu_weight", "cpu_weight_nice")]}
_BY_NAME = {field.name: field for field in LIMITS}


def is_limit(name: str) -> bool:
    """Whether an option is one of :data:`LIMITS`."""
    return name in _BY_NAME


def users(state: State) -> dict[str, list[str]]:
    """The controllers that a group needs for its limits, each to the options that need it."""
    found: dict[str, list[str]] = {}
    for field in LIMITS:
        if field.name in state:
            found.setdefault(field.write.controller, []).append(field.name)
    return found


def check(state: State) -> list[OptionError]:
    """What cannot be together, told from the options alone."""
    errors = []
    quota = state.get("cpu_max", MAX).split()[0]
    if quota != MAX and state.get("cpu_max_burst", 0) > int(quota):
        errors.append(OptionError("cpu_max_burst", f"expected at most the quota of cpu_max, {quota} microseconds"))
    if state.get("cpu_idle"):
        errors += [
            OptionError(name, "an idle group has no weight; leave this out, or set cpu_idle to false")
            for name in ("cpu_weight", "cpu_weight_nice")
            if name in state
        ]
    exclusive = state.get("cpuset_cpus") or state.get("cpuset_cpus_exclusive")
    if state.get("cpuset_cpus_partition", "member") != "member" and not exclusive:
        errors.append(OptionError("cpuset_cpus_partition", "a partition needs processors of its own: set cpuset_cpus"))
    return errors


# --- read and write --------------------------------------------------------------------


def read(group: Group, wanted: State, applied: State, everything: bool = False) -> State:
    """The limits of a group: those that a task names or named, and others that are not as the kernel makes them.

    :param wanted: canonical options of the task.
    :param applied: those of the task before.
    :param everything: with those that nobody set.
    """
    state: State = {}
    there = set(group.controllers())
    for field in LIMITS:
        if field.write.controller not in there:
            continue
        goal, was = wanted.get(field.name), applied.get(field.name)
        if field.name == "cpu_weight_nice" and goal is None and was is None and not everything:
            continue  # it is cpu_weight in other words
        value = _read(group, field, goal, was)
        if not everything:
            value = _notable(field, value, goal, was)
        if value is not None:
            state[field.name] = value
    return state


def _read(group: Group, field: Field, goal: t.Any, was: t.Any) -> t.Any:
    try:
        return field.write.read(group, goal, was)
    except settings.Unsupported:
        return None


def _notable(field: Field, value: t.Any, goal: t.Any, was: t.Any) -> t.Any:
    """The value without what nobody named and the kernel makes so by itself."""
    if isinstance(value, dict):
        named = {**(was or {}), **(goal or {})}
        return {key: item for key, item in value.items() if key in named or not _neutral(field, item)} or None
    if goal is None and was is None and value == field.revert:
        return None
    return value


def _neutral(field: Field, value: t.Any) -> bool:
    if field.table is None:
        return bool(value == field.revert)
    return all(item == field.table[name].revert for name, item in value.items())


def write(group: Group, changes: t.Iterable[Change]) -> None:
    """Make changes of limits, in an order that the kernel accepts.

    :raises NsfleetError: the kernel refused; the message says which file and why.
    """
    group.write_all(write for change in changes for write in limit_of(change).writes(change))


def limit_of(change: Change) -> Limit:
    """The limit that a change, of it or of a part of it, is about."""
    return t.cast("Limit", _BY_NAME[change.path[0]].write)
