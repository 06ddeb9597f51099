# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``linux.resources`` of a description (runtime-spec 1.2, config-linux, "Control groups"), as settings of a group.

The specification has the words of version 1. Here they become those of version 2, which :mod:`.._cgroup.settings`
writes on either version, where both mean the same; else the file of the one version that has it. What this host cannot
do is refused by the path of the field. As with runc and crun, 0 stands for "not said" where it would limit to nothing.
"""

from __future__ import annotations

import contextlib
import errno
import typing as t

from .._cgroup import settings
from .._model.errors import KernelError, NsfleetError, OptionError
from .schema import RESOURCES, check

if t.TYPE_CHECKING:
    from .._cgroup import devices
    from .._cgroup.group import Group
    from .._cgroup.hierarchy import Host

Resources = dict[str, t.Any]

PATH: t.Final = "linux.resources"
_MOST: t.Final = (1 << 63) - 1
_MOST_32: t.Final = (1 << 32) - 1
_MOST_64: t.Final = (1 << 64) - 1
#: Period of the quota of a group for which none is said, in microseconds (``admin-guide/cgroup-v2.rst``).
_PERIOD: t.Final = 100000


class Write(t.NamedTuple):
    """One text for one file of a group."""

    field: str  #: path of the field that asks for it
    file: str
    text: str
    raw: bool = False  #: a file by its own name; else one of version 2, translated where needed
    optional: bool = False  #: nothing is lost where the kernel does not have the file
    otherwise: Write | None = None  #: what is written instead where the kernel does not have the file

    @property
    def controller(self) -> str:
        """What the group needs for it; empty: nothing."""
        return settings.controller_of(self.file) if self.raw else settings.find(self.file).controller


def translate(resources: Resources, host: Host, ours: bool = False) -> list[Write]:
    """What is to be written into a group.

    :param resources: the section of a description.
    :param host: says which version each controller is on.
    :param ours: whether ``unified`` is of the container module: settings in the words of version 2 for either version,
        which it has checked itself, by the names of its options.
    :raises OptionError: a value makes no sense, or this host cannot; by the path of the field.
    """
    whole = _Section(resources, PATH)
    writes: list[Write] = []
    for name, (controller, translator) in _SECTIONS.items():
        if resources.get(name):
            writes += translator(_Section(resources[name], f"{PATH}.{name}", _version(host, controller)))
    writes += _huge_pages(whole)
    if not ours or resources.get("devices"):
        writes += _devices(whole, host)
    for key, text in _Section(resources.get("unified") or {}, f"{PATH}.unified").values.items():
        writes += _ours(key, text) if ours else _unified(f"{PATH}.unified[{key}]", key, text, host)
    for write in () if ours else writes:
        _locate(write, host)
    return writes


def _version(host: Host, controller: str) -> int:
    """Version of the hierarchy that a controller is on; one that is on none is refused later, whatever is said here."""
    hierarchy = host.of(controller)
    return hierarchy.version if hierarchy else 1


def _locate(write: Write, host: Host) -> None:
    """Refuse what has no place on this host."""
    try:
        if write.raw:
            settings.locate_raw(host, write.file)
        else:
            settings.locate(host, write.file)
    except settings.Unsupported as error:
        raise OptionError(write.field, str(error)) from error


class _Section:
    """The values of one section; ``null`` is as good as absent."""

    def __init__(self, values: t.Mapping[str, t.Any], path: str, version: int = 2) -> None:
        if not isinstance(values, dict):
            raise OptionError(path, f"expected an object, got {values!r}")
        self.values = values
        self.path = path
        self.version = version

    def number(self, name: str, least: int = 0, most: int = _MOST) -> int | None:
        """A whole number, ``None`` if nothing is said."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.error(name, f"expected a whole number from {least} to {most}, got {value!r}")
        return value

    def limit(self, name: str, least: int = -1, most: int = _MOST) -> int | None:
        """A number of which 0 says nothing."""
        return self.number(name, least, most) or None

    def flag(self, name: str) -> bool | None:
        """True, false, or ``None`` if nothing is said."""
        value = self.values.get(name)
        if value not in (None, True, False):
            raise self.error(name, f"expected true or false, got {value!r}")
        return None if value is None else bool(value)

    def words(self, name: str) -> str:
        """A text, empty if nothing is said."""
        value = self.values.get(name) or ""
        if not isinstance(value, str) or "\n" in value:
            raise self.error(name, f"expected one line of text, got {value!r}")
        return value

    def elements(self, name: str) -> t.Iterator[_Section]:
        """The objects of a list."""
        value = self.values.get(name) or []
        if not isinstance(value, list):
            raise self.error(name, f"expected a list of objects, got {value!r}")
        for index, element in enumerate(value):
            yield _Section(element, f"{self.path}.{name}[{index}]", self.version)

    def device(self) -> str:
        """``MAJOR:MINOR`` of a device, which has to be said."""
        numbers = [self.needed(name, 0, _MOST_32) for name in ("major", "minor")]
        return f"{numbers[0]}:{numbers[1]}"

    def needed(self, name: str, least: int, most: int) -> int:
        """A number that has to be said."""
        value = self.number(name, least, most)
        if value is None:
            raise self.error(name, "is missing")
        return value

    def error(self, name: str, problem: str) -> OptionError:
        """An error of one field."""
        return OptionError(f"{self.path}.{name}", problem)

    def only_version_1(self, name: str, why: str) -> None:
        """Refuse a field that version 2 has nothing for."""
        if self.version == 2:
            raise self.error(name, f"this host has cgroup v2, {why}")

    def write(self, name: str, file: str, text: str, **more: t.Any) -> Write:
        """A write that a field asks for."""
        return Write(f"{self.path}.{name}", file, text, **more)


def _max(number: int) -> str:
    """A limit of which -1 is none, in the words of version 2."""
    return "max" if number < 0 else str(number)


# --- memory ----------------------------------------------------------------------


def _memory(section: _Section) -> t.Iterator[Write]:
    limit = section.limit("limit")
    if limit is not None:
        yield section.write("limit", "memory.max", _max(limit))
    yield from _swap(section, limit, section.limit("swap"))
    reservation = section.limit("reservation")
    if reservation is not None and section.version == 1:
        yield section.write("reservation", "memory.soft_limit_in_bytes", str(reservation), raw=True)
    elif reservation is not None:
        yield section.write("reservation", "memory.low", _max(reservation))
    yield from _kernel_memory(section)
    yield from _reclaim(section)


def _swap(section: _Section, limit: int | None, swap: int | None) -> t.Iterator[Write]:
    """``swap`` limits memory and swap together; without it, no limit of memory is none of swap either."""
    if swap == -1 or (swap is None and limit == -1):
        yield section.write("limit" if swap is None else "swap", "memory.swap.max", "max", optional=True)
    elif swap is None:
        return
    elif limit is None or (limit == -1 and section.version == 1):
        raise section.error("swap", f"limits memory and swap together, and needs a {PATH}.memory.limit for that")
    elif limit == -1:
        yield section.write("swap", "memory.swap.max", str(swap))
    elif swap < limit:
        raise section.error("swap", f"limits memory and swap together, so expected {limit} or more, got {swap}")
    else:
        yield section.write("swap", "memory.swap.max", str(swap - limit))


def _kernel_memory(section: _Section) -> t.Iterator[Write]:
    """Memory of the kernel is part of the limit of all memory; of its own, it has none any more since Linux 5.16."""
    if section.limit("kernel") not in (None, -1):
        raise section.error("kernel", f"the kernel has no such limit; {PATH}.memory.limit counts this memory, too")
    tcp = section.limit("kernelTCP")
    if tcp is not None and section.version == 1:
        yield section.write("kernelTCP", "memory.kmem.tcp.limit_in_bytes", str(tcp), raw=True)
    elif tcp not in (None, -1):
        section.only_version_1("kernelTCP", f"where {PATH}.memory.limit counts this memory, too")


def _reclaim(section: _Section) -> t.Iterator[Write]:
    """What happens when memory gets short."""
    swappiness = section.number("swappiness", -1, _MOST_64)
    if swappiness not in (None, -1, _MOST_64):
        section.only_version_1("swappiness", "which knows vm.swappiness of the whole host only")
        section.number("swappiness", 0, 100)
        yield section.write("swappiness", "memory.swappiness", str(swappiness), raw=True)
    spared = section.flag("disableOOMKiller")
    if spared:
        section.only_version_1("disableOOMKiller", "where the kernel always ends processes if memory runs out")
    if spared is not None and section.version == 1:
        yield section.write("disableOOMKiller", "memory.oom_control", str(int(spared)), raw=True)
    below = section.flag("useHierarchy")
    if below is False:
        section.only_version_1("useHierarchy", "where the limits of a group always hold for those below it")
    if below is not None and section.version == 1:
        yield section.write("useHierarchy", "memory.use_hierarchy", str(int(below)), raw=True)
    section.flag("checkBeforeUpdate")


# --- processors ------------------------------------------------------------------


def weight_of_shares(shares: int) -> int:
    """``cpu.weight`` for ``shares``, by the curve through (2, 1), (1024, 100) and (262144, 10000).

    Source: runc 1.4 (opencontainers/cgroups, ``ConvertCPUSharesToCgroupV2Value``), crun 1.23.
    """
    import math

    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    exponent = math.log2(shares)
    return math.ceil(10 ** ((exponent * exponent + 125 * exponent) / 612 - 7 / 34))


def _cpu(section: _Section) -> t.Iterator[Write]:
    shares = section.limit("shares", 0, _MOST_64)
    if shares is not None and section.version == 1:
        section.number("shares", 2, 262144)
        yield section.write("shares", "cpu.shares", str(shares), raw=True)
    elif shares is not None:
        yield section.write("shares", "cpu.weight", str(weight_of_shares(shares)))
    yield from _bandwidth(section)
    for name, file in (("realtimePeriod", "cpu.rt_period_us"), ("realtimeRuntime", "cpu.rt_runtime_us")):
        value = section.limit(name, -1 if name == "realtimeRuntime" else 0)
        if value is not None:
            section.only_version_1(name, "which gives no time to realtime processes of a group")
            yield section.write(name, file, str(value), raw=True)
    for name in ("cpus", "mems"):
        if section.words(name):
            yield section.write(name, f"cpuset.{name}", section.words(name))
    idle = section.number("idle", 0, 1)
    if idle is not None:
        yield section.write("idle", "cpu.idle", str(idle))


def _bandwidth(section: _Section) -> t.Iterator[Write]:
    quota, period = section.limit("quota"), section.limit("period")
    if quota is not None or period is not None:
        text = f"{_max(-1 if quota is None else quota)} {period or _PERIOD}"
        yield section.write("period" if quota is None else "quota", "cpu.max", text)
    burst = section.number("burst")
    if burst is not None:
        if quota is not None and 0 < quota < burst:
            raise section.error("burst", f"expected no more than the quota, {quota}, got {burst}")
        yield section.write("burst", "cpu.max.burst", str(burst))


def _pids(section: _Section) -> t.Iterator[Write]:
    limit = section.number("limit", -1)
    if limit is not None:
        yield section.write("limit", "pids.max", _max(limit))


# --- input and output --------------------------------------------------------------

_LEAF: t.Final = "which tells a group from those below it by where its processes are"
_THROTTLES: t.Final = {
    "throttleReadBpsDevice": "rbps", "throttleWriteBpsDevice": "wbps", "throttleReadIOPSDevice": "riops",
    "throttleWriteIOPSDevice": "wiops",
}  # fmt: skip


def _block_io(section: _Section) -> t.Iterator[Write]:
    yield from _weights(section, "")
    for element in section.elements("weightDevice"):
        device = element.device()
        if not (element.values.get("weight") or element.values.get("leafWeight")):
            raise element.error("weight", "is missing, and so is leafWeight")
        yield from _weights(element, device)
    for name, key in _THROTTLES.items():
        for element in section.elements(name):
            rate = element.needed("rate", 0, _MOST_64)
            yield element.write("rate", "io.max", f"{element.device()} {key}={rate or 'max'}")


def _weights(section: _Section, device: str) -> t.Iterator[Write]:
    """Weights of a group, or of one device in it. The schedulers CFQ and BFQ have files of their own for them."""
    weight, leaf = section.limit("weight", 0, 1000), section.limit("leafWeight", 0, 1000)
    for name, value in (("weight", weight), ("leafWeight", leaf)):
        if value is not None:
            section.number(name, 10, 1000)
    ending, before = ("_device", f"{device} ") if device else ("", "")
    if weight is not None and section.version == 1:
        bfq = section.write("weight", f"blkio.bfq.weight{ending}", f"{before}{weight}", raw=True)
        yield bfq._replace(file=f"blkio.weight{ending}", otherwise=bfq)
    elif weight is not None:
        text = f"{device or 'default'} {1 + (weight - 10) * 9999 // 990}"
        other = section.write("weight", "io.weight", text, raw=True)
        yield other._replace(file="io.bfq.weight", text=f"{before}{weight}", otherwise=other)
    if leaf is not None:
        section.only_version_1("leafWeight", _LEAF)
        yield section.write("leafWeight", f"blkio.leaf_weight{ending}", f"{before}{leaf}", raw=True)


# --- the rest ------------------------------------------------------------------------


def _huge_pages(limits: _Section) -> t.Iterator[Write]:
    """Reservations are limited too, where the kernel can; then a process hears of it before it uses the memory."""
    for element in limits.elements("hugepageLimits"):
        size = element.words("pageSize")
        if not (size.endswith(("KB", "MB", "GB")) and size[:-2].isdigit()):
            raise element.error("pageSize", f"expected a size such as 2MB, got {size!r}")
        limit = str(element.needed("limit", 0, _MOST_64))
        yield element.write("limit", f"hugetlb.{size}.max", limit)
        yield element.write("limit", f"hugetlb.{size}.rsvd.max", limit, optional=True)


def _network(section: _Section) -> t.Iterator[Write]:
    mark = section.limit("classID", 0, _MOST_32)
    if mark is not None:
        yield section.write("classID", "net_cls.classid", str(mark))
    for element in section.elements("priorities"):
        name, priority = element.words("name"), element.needed("priority", 0, _MOST_32)
        if not name:
            raise element.error("name", "is missing")
        yield element.write("priority", "net_prio.ifpriomap", f"{name} {priority}")


_RDMA: t.Final = {"hcaHandles": "hca_handle", "hcaObjects": "hca_object"}


def _rdma(section: _Section) -> t.Iterator[Write]:
    for device in section.values:
        limits = _Section(section.values[device], f"{section.path}[{device}]", section.version)
        unknown = limits.values.keys() - _RDMA.keys()
        if unknown:
            raise limits.error(min(unknown), f"not supported; there are {', '.join(_RDMA)}")
        values = {key: limits.number(name, 0, _MOST_32) for name, key in _RDMA.items()}
        words = [f"{key}={value}" for key, value in values.items() if value is not None]
        if not words:
            raise limits.error("hcaHandles", "is missing, and so is hcaObjects")
        yield Write(limits.path, "rdma.max", " ".join([device, *words]))


#: What may be done with devices whatever is said, as with runc: make nodes, and use those that every container has,
#: terminals, and network devices of its own (``/dev/net/tun``).
_DEVICES: t.Final = (
    "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:8 rwm", "c 1:7 rwm", "c 5:0 rwm", "c 1:5 rwm", "c 1:9 rwm", "c 136:* rwm",
    "c 5:2 rwm", "c 10:200 rwm",
)  # fmt: skip


def _devices(whole: _Section, host: Host) -> list[Write]:
    """Everything is denied, then the rules hold in their order, then what every container may do."""
    from .._cgroup import devices

    elements = list(whole.elements("devices"))
    hierarchy = host.of("devices")
    if hierarchy is None and not elements:
        return []
    rules = [rule for element in elements for rule in _rules(element)] + [devices.parse_rule(each) for each in _DEVICES]
    if hierarchy is not None and hierarchy.version == 1:
        try:
            rules = devices.exceptions(rules)
        except ValueError as error:
            raise whole.error("devices", str(error)) from error
    return [whole.write("devices", "devices", "\n".join(map(str, rules)))]


def _rules(section: _Section) -> list[devices.Rule]:
    """The rules of one entry; without a type, it is about all."""
    from .._cgroup import devices

    kind, letters = section.words("type") or "a", section.words("access") or "rwm"
    if kind not in ("a", "b", "c"):
        raise section.error("type", f"expected a, b or c, got {kind!r}")
    if not set(letters) <= set("rwm"):
        raise section.error("access", f"expected letters of rwm, got {letters!r}")
    allow = section.flag("allow")
    if allow is None:
        raise section.error("allow", "is missing")
    numbers = [section.number(name, -1, most) for name, most in (("major", 4095), ("minor", 1048575))]
    major, minor = (None if number == -1 else number for number in numbers)
    access = "".join(letter for letter in "rwm" if letter in letters)
    rule = devices.Rule(allow, kind, major, minor, access)
    return [rule] if rule.everything or kind != "a" else [rule._replace(type=each) for each in "bc"]


def _unified(path: str, key: str, text: t.Any, host: Host) -> list[Write]:
    """A file of version 2, whether we know it or not, line by line."""
    if "/" in key or "." not in key.strip("."):
        raise OptionError(path, "expected the name of a file of cgroup v2, CONTROLLER.PARAMETER")
    if not isinstance(text, str):
        raise OptionError(path, f"expected a text, got {text!r}")
    controller = settings.controller_of(key)
    hierarchy = host.of(controller) if controller else host.primary
    if hierarchy is None:
        raise OptionError(path, host.lacking(controller))
    if hierarchy.version == 1:
        what = f"its controller {controller}" if controller else "this host"
        raise OptionError(path, f"is of cgroup v2, and {what} is on cgroup v1; say it by the other fields of {PATH}")
    return [Write(path, key, line, raw=True) for line in text.split("\n") if line or not text]


def _ours(key: str, text: str) -> list[Write]:
    """A setting of the container module; what has a line for each of several devices is written line by line."""
    lines = [text] if key == "devices" else text.split("\n")
    return [Write(f"{PATH}.unified[{key}]", key, line) for line in lines]


_SECTIONS: t.Final[dict[str, tuple[str, t.Callable[[_Section], t.Iterator[Write]]]]] = {
    "memory": ("memory", _memory),
    "cpu": ("cpu", _cpu),
    "pids": ("pids", _pids),
    "blockIO": ("io", _block_io),
    "network": ("net_cls", _network),
    "rdma": ("rdma", _rdma),
}


# --- writing -------------------------------------------------------------------------


def apply(group: Group, writes: t.Iterable[Write]) -> None:
    """Write into a group that is there, in an order that the kernel accepts.

    What it refuses because of another value that is yet to come is tried again after the others.

    :raises NsfleetError: the kernel refused, by the path of the field.
    """
    pending = sorted(writes, key=lambda write: settings.rank(write.file, write.text, group.read))
    while pending:
        refused = [(write, error) for write in pending if (error := _try(group, write))]
        if len(refused) == len(pending):
            raise refused[0][1]
        pending = [write for write, _error in refused]


def _try(group: Group, write: Write) -> NsfleetError | None:
    """Write; the error if there is one that may go away.

    :raises NsfleetError: any other error.
    """
    try:
        _write(group, write)
    except NsfleetError as error:
        shown = NsfleetError(f"{write.field}: {error}")
        if isinstance(error, KernelError) and error.errno == errno.EINVAL:
            return shown
        raise shown from error
    return None


def _write(group: Group, write: Write) -> None:
    chosen = _choose(group, write)
    if chosen is None:
        return
    if chosen.raw:
        group.write_raw(chosen.file, chosen.text)
    else:
        group.write(chosen.file, chosen.text)


def _choose(group: Group, write: Write) -> Write | None:
    """Of a write and what is to be done otherwise, the one whose file is there; ``None``: nothing is lost."""
    if (write.otherwise is None and not write.optional) or current(group, write) is not None:
        return write
    return _choose(group, write.otherwise) if write.otherwise else None


def current(group: Group, write: Write) -> str | None:
    """What the file of a write holds now, ``None`` if it is not there."""
    return group.read_raw(write.file) if write.raw else group.read(write.file)


# --- change ----------------------------------------------------------------------------


def merge(resources: Resources, changes: Resources) -> Resources:
    """The section of a description, with changes as ``update -r`` has them.

    What the changes do not name stays; of lists, the element with the same key is changed, or added. ``devices`` is
    replaced as a whole, since its order has a meaning.
    """
    merged: Resources = _merged(resources, changes, "")
    memory = changes.get("memory") or {}
    if memory.get("limit") == -1 and memory.get("swap") is None:  # no limit of memory is none of memory and swap
        merged["memory"] = {name: value for name, value in merged["memory"].items() if name != "swap"}
    return merged


#: Lists of the specification and what tells their elements apart.
_KEYS: t.Final = {
    **dict.fromkeys(("weightDevice", *_THROTTLES), ("major", "minor")), "hugepageLimits": ("pageSize",),
    "priorities": ("name",),
}  # fmt: skip


def _merged(old: t.Any, new: t.Any, name: str) -> t.Any:
    if isinstance(new, dict) and isinstance(old, dict):
        changed = {key: _merged(old.get(key), value, key) for key, value in new.items() if value is not None}
        return {**old, **changed}
    if isinstance(new, list) and isinstance(old, list) and name in _KEYS:
        elements = {tuple(each.get(key) for key in _KEYS[name]): each for each in old}
        for each in new:
            key = tuple(each.get(word) for word in _KEYS[name])
            elements[key] = {**elements.get(key, {}), **each}
        return list(elements.values())
    return new


def update(group: Group, resources: Resources, changes: Resources, ours: bool = False) -> Resources:
    """Change a running container: only what differs is written, and if a part of it is refused, all is as before.

    :param resources: the section of its description.
    :param changes: what is to be different, see :func:`merge`.
    :param ours: see :func:`translate`.
    :returns: the section as it is now.
    :raises NsfleetError: a value makes no sense, or the kernel refused; by the path of the field.
    """
    check(changes, RESOURCES, "linux.resources")
    merged = merge(resources, changes)
    before = frozenset(translate(resources, group.host, ours))
    wanted = translate(merged, group.host, ours)
    writes = [write for write in wanted if write not in before]
    if any(write.file == "cpu.idle" and write.text == "0" for write in writes):  # the kernel forgets the weight then
        writes += [write for write in wanted if write.file in ("cpu.shares", "cpu.weight") and write in before]
    _check_memory(group, merged.get("memory") or {}, writes)
    lacking = {write.controller for write in writes} - {"", *group.controllers()}
    if lacking:
        group.create(lacking)
    previous = [(write, current(group, write)) for write in writes]
    try:
        apply(group, writes)
    except NsfleetError:
        _restore(group, previous)
        raise
    return merged


def _restore(group: Group, previous: t.Iterable[tuple[Write, str | None]]) -> None:
    """Put back what was there before, as far as the kernel tells: a device that had no limit keeps its new one."""
    for write, text in previous:
        for line in [] if text is None else [text] if write.file == "devices" else text.split("\n"):
            with contextlib.suppress(NsfleetError):
                _write(group, write._replace(text=line, otherwise=None))


def _check_memory(group: Group, memory: t.Mapping[str, t.Any], writes: t.Iterable[Write]) -> None:
    """Version 1 refuses a limit below what is in use; version 2 kills for it, unless ``checkBeforeUpdate`` is true."""
    used = group.read_raw("memory.current") if memory.get("checkBeforeUpdate") else None
    for write in writes:
        if write.file == "memory.max" and used is not None and write.text != "max" and int(write.text) <= int(used):
            raise OptionError(write.field, f"expected more than the {used} bytes that are in use, got {write.text}")
