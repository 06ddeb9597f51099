# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands about limits of a container, and what it uses: update, events."""

from __future__ import annotations

import json
import sys
import typing as t

from ..._model.errors import NsfleetError
from .. import groups
from ..instance import STOPPED, Instance
from .arguments import Option, Values, number

UPDATE: t.Final = (
    Option("resources r", "FILE", "changes of linux.resources as JSON; - for standard input; the others are ignored"),
    Option("blkio-weight", "NUMBER", "share of disks, 10 to 1000"),
    Option("cpu-period", "MICROSECONDS", "of the limit of processor time"),
    Option("cpu-quota", "MICROSECONDS", "of processor time in a period; -1 for no limit"),
    Option("cpu-burst", "MICROSECONDS", "of unused quota that can be saved"),
    Option("cpu-share", "NUMBER", "share of the processor, 2 to 262144"),
    Option("cpu-rt-period", "MICROSECONDS", "of the limit of realtime processor time"),
    Option("cpu-rt-runtime", "MICROSECONDS", "of realtime processor time in a period"),
    Option("cpu-idle", "NUMBER", "1: it gets only what nobody else wants"),
    Option("cpuset-cpus", "LIST", "processors"),
    Option("cpuset-mems", "LIST", "memory nodes"),
    Option("memory", "BYTES", "limit of memory; -1 for none"),
    Option("memory-reservation", "BYTES", "memory that it is left with under pressure"),
    Option("memory-swap", "BYTES", "limit of memory and swap together; -1 for none"),
    Option("pids-limit", "NUMBER", "processes at most; -1 for no limit"),
)
#: Option to section and field of ``linux.resources``.
_FIELDS: t.Final = {
    "blkio-weight": ("blockIO", "weight"), "cpu-period": ("cpu", "period"), "cpu-quota": ("cpu", "quota"),
    "cpu-burst": ("cpu", "burst"), "cpu-share": ("cpu", "shares"), "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"), "cpu-idle": ("cpu", "idle"), "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"), "memory-swap": ("memory", "swap"), "pids-limit": ("pids", "limit"),
}  # fmt: skip
_TEXTS: t.Final = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}
EVENTS: t.Final = (
    Option("stats", "", "tell what it uses once, and end"),
    Option("interval", "SECONDS", "between two reports; 5 if not given"),
)


def update(general: Values, values: Values, operands: list[str]) -> int:
    """Change limits of a container while it runs.

    :returns: exit status.
    :raises NsfleetError: there is no such container, it has ended, or a limit cannot be set; all is as before then.
    """
    instance = Instance(general["root"], operands[0])
    changes = _read(values["resources"]) if values["resources"] else _changes(values)
    with instance.locked():
        status = instance.status(instance.load())
        if status == STOPPED:
            raise NsfleetError(f"cannot update container {instance.name!r}: it is stopped")
        spec = instance.spec
        groups.update(spec, changes)
        instance.save_spec(spec)
    return 0


def _read(path: str) -> dict[str, t.Any]:
    try:
        if path == "-":
            return t.cast("dict[str, t.Any]", json.load(sys.stdin))
        with open(path, encoding="utf-8") as file:
            return t.cast("dict[str, t.Any]", json.load(file))
    except (OSError, ValueError) as error:
        raise NsfleetError(f"--resources: {path}: {getattr(error, 'strerror', None) or error}") from error


def _changes(values: Values) -> dict[str, t.Any]:
    """The options as ``linux.resources`` has them."""
    changes: dict[str, dict[str, t.Any]] = {}
    for option, (section, field) in {**_FIELDS, **_TEXTS}.items():
        word = values[option]
        if word != "":
            changes.setdefault(section, {})[field] = word if option in _TEXTS else number(values, option)
    return changes


def events(general: Values, values: Values, operands: list[str]) -> int:
    """Tell what a container uses, again and again until it ends, and when its memory runs out.

    :returns: exit status.
    :raises NsfleetError: there is no such container, or it does not run.
    """
    from ..statistics import MemoryWatch, statistics

    instance = Instance(general["root"], operands[0])
    record = instance.load()
    if not instance.alive(record):
        raise NsfleetError(f"container {instance.name!r} is {instance.status(record)}, not running")
    group = instance.group
    if values["stats"]:
        _tell(instance, "stats", statistics(group))
        return 0
    watch = MemoryWatch(group)
    try:
        while instance.alive(record):
            _tell(instance, "stats", statistics(group))
            if watch.wait(_seconds(values)) and not watch.over:
                _tell(instance, "oom", None)
    finally:
        watch.close()
    return 0


def _seconds(values: Values) -> float:
    word = str(values["interval"] or "5").rstrip("s")
    try:
        seconds = float(word)
    except ValueError:
        seconds = 0
    if seconds <= 0:
        raise NsfleetError(f"--interval: expected a number of seconds above 0, got {values['interval']!r}")
    return seconds


def _tell(instance: Instance, kind: str, data: t.Any) -> None:
    event = {"type": kind, "id": instance.name}
    if data is not None:
        event["data"] = data
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()
