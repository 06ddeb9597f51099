# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of ``process`` of the runtime-spec is set from outside, by a process with all rights, before the payload runs.

Resource limits, OOM score, scheduling, I/O priority, affinity: prlimit(2), proc(5), sched_setattr(2), ioprio_set(2),
sched_setaffinity(2). What a process has of the second half of them can be read again in the words of the runtime-spec.
"""

from __future__ import annotations

import os
import struct
import typing as t

from .._kernel.syscall import number, syscall
from .._model.errors import NsfleetError

#: How the runtime-spec writes a resource limit that is none.
_UNLIMITED = 2**64 - 1
POLICIES: t.Final = {
    "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4, "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}  # fmt: skip
_REALTIME: t.Final = ("SCHED_FIFO", "SCHED_RR")
SCHEDULER_FLAGS: t.Final = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10, "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}  # fmt: skip
IO_CLASSES: t.Final = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_IO_CLASS_SHIFT, _OF_PROCESS = 13, 1
_OF_FURTHER = "execCPUAffinity"


#: ``struct sched_attr`` of sched_setattr(2): size, policy, flags, nice, priority, runtime, deadline, period.
_ATTRIBUTES: t.Final = struct.Struct("=IIQiI3Q")


def apply(pid: int, process: t.Mapping[str, t.Any], further: bool) -> None:
    """Give a process that waits what ``process`` asks for.

    :param further: whether it joins a container: ``execCPUAffinity`` is not for the first process (config.md).
    :raises NsfleetError: the kernel refused; the message names the field.
    """
    for field, setter in _SETTERS.items():
        value = process.get(field)
        if value is None or (field == _OF_FURTHER and not further):
            continue
        try:
            setter(pid, value)
        except (OSError, ValueError) as error:
            raise NsfleetError(f"{field}: {getattr(error, 'strerror', None) or error}") from error


def _set_limits(pid: int, entries: t.Iterable[t.Mapping[str, t.Any]]) -> None:
    import resource

    for entry in entries:
        soft, hard = (resource.RLIM_INFINITY if entry[word] >= _UNLIMITED else entry[word] for word in ("soft", "hard"))
        try:
            resource.prlimit(pid, getattr(resource, entry["type"]), (soft, hard))
        except (OSError, ValueError) as error:
            name = entry["type"].replace("RLIMIT_", "").lower()
            raise NsfleetError(f"rlimits[{name}]: {soft}:{hard}: {error}") from error


def _set_oom_score(pid: int, score: int) -> None:
    try:
        with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(score))
    except OSError as error:
        raise NsfleetError(f"oom_score_adj: {score}: {error.strerror}") from error


def _set_scheduler(pid: int, wanted: t.Mapping[str, t.Any]) -> None:
    flags = sum(SCHEDULER_FLAGS[word] for word in wanted.get("flags") or ())
    nanoseconds = (wanted.get(word) or 0 for word in ("runtime", "deadline", "period"))
    policy, nice, priority = POLICIES[wanted["policy"]], wanted.get("nice") or 0, wanted.get("priority") or 0
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, policy, flags, nice, priority, *nanoseconds)
    try:
        syscall(number("sched_setattr"), pid, attributes, 0)
    except PermissionError as error:
        if wanted["policy"] not in _REALTIME:
            raise
        words = "where CONFIG_RT_GROUP_SCHED is, the control group needs realtime of its own (cpu.realtimeRuntime)"
        raise OSError(error.errno, f"{error.strerror}; {words}") from error


def scheduler_of(pid: int) -> dict[str, t.Any]:
    """How a process is scheduled, as ``process.scheduler`` says it (sched_getattr(2)).

    What its policy makes nothing of is 0: how nice it was before, and a slice that Linux 6.12 tells where a runtime is.
    """
    import ctypes  # few containers are asked

    buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
    syscall(number("sched_getattr"), pid, buffer, _ATTRIBUTES.size, 0)
    _size, policy, flags, nice, priority, *nanoseconds = _ATTRIBUTES.unpack(buffer.raw)
    name = next(name for name, value in POLICIES.items() if value == policy)
    return {
        "policy": name,
        "flags": [name for name, bit in SCHEDULER_FLAGS.items() if flags & bit],
        "nice": nice if name in ("SCHED_OTHER", "SCHED_BATCH") else 0,
        "priority": priority,
        **dict(zip(("runtime", "deadline", "period"), nanoseconds if name == "SCHED_DEADLINE" else (0, 0, 0))),
    }


def _set_io_priority(pid: int, wanted: t.Mapping[str, t.Any]) -> None:
    value = IO_CLASSES[wanted["class"]] << _IO_CLASS_SHIFT | (wanted.get("priority") or 0)
    syscall(number("ioprio_set"), _OF_PROCESS, pid, value)


def io_priority_of(pid: int) -> dict[str, t.Any]:
    """With which priority a process reads and writes disks, as ``process.ioPriority`` says it (ioprio_get(2)).

    :returns: an empty class: none was set, and the kernel makes one of how nice the process is.
    """
    value = syscall(number("ioprio_get"), _OF_PROCESS, pid)
    found, priority = value >> _IO_CLASS_SHIFT, value & (1 << _IO_CLASS_SHIFT) - 1
    return {"class": next((name for name, each in IO_CLASSES.items() if each == found), ""), "priority": priority}


def _set_affinity(pid: int, wanted: t.Mapping[str, str]) -> None:
    """The final one. The initial one is for the time before the process is in its control group: there is none."""
    numbers = [processors(wanted[word]) for word in ("initial", "final") if wanted.get(word)]
    if wanted.get("final"):
        os.sched_setaffinity(pid, numbers[-1])


def processors(words: str) -> set[int]:
    """A list of processors, ``0-3,7``, as numbers (cpuset(7), "List format").

    :raises ValueError: it is none.
    """
    found: set[int] = set()
    for part in words.split(","):
        first, _dash, last = part.strip().partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


_SETTERS: t.Final[t.Mapping[str, t.Callable[[int, t.Any], None]]] = {
    "rlimits": _set_limits,
    "oomScoreAdj": _set_oom_score,
    "scheduler": _set_scheduler,
    "ioPriority": _set_io_priority,
    _OF_FURTHER: _set_affinity,
}
