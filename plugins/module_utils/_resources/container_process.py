# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a container that say how its processes are scheduled, and what confines them beside all else.

Of the scheduling, a process that nobody said anything of has what its parent has. So nothing is read, and nothing is
compared, unless the description says something.
"""

from __future__ import annotations

import typing as t

from .._model.errors import Missing, OptionError
from .._model.field import LIVE, RESTART, Field, State, Table
from .._model.programs import octal_mode
from .._model.quantities import between, number_set
from .._runtime.spec import Spec
from .container_places import asked_at

_POLICIES: t.Final = ("other", "batch", "idle", "fifo", "rr", "deadline")
#: Of policies: who takes part in the share that being nice is about, who has a priority, who has times.
_NICE, _RANKED, _TIMED = ("other", "batch"), ("fifo", "rr"), ("deadline",)
_FLAGS: t.Final = ("reset_on_fork", "reclaim", "dl_overrun")
_TIMES: t.Final = ("runtime", "deadline", "period")
_IO_CLASSES: t.Final = {
    "realtime": "IOPRIO_CLASS_RT", "best-effort": "IOPRIO_CLASS_BE", "idle": "IOPRIO_CLASS_IDLE",
}  # fmt: skip
_DOMAINS: t.Final = {"linux": "LINUX", "linux32": "LINUX32"}


def _flags(values: t.Sequence[str]) -> list[str]:
    return sorted(set(values))


def _umask(value: str) -> str:
    mode = octal_mode(value)
    if int(mode, 8) > 0o777:
        raise ValueError(f"expected permission bits, '0777' at most, got {value!r}")
    return mode


def _profile(value: str) -> str:
    if "\0" in value or "\n" in value or value != value.strip():
        raise ValueError(f"expected the name of a profile of AppArmor, got {value!r}")
    return value


def _context(value: str) -> str:
    parts = value.split(":")
    if value and (len(parts) < 3 or not all(parts) or len(value.split()) > 1 or "\0" in value):
        raise ValueError(f"expected a label such as system_u:system_r:container_t:s0:c1,c2, got {value!r}")
    return value


def _octal(number: int) -> str:
    return f"{number:04o}"


_SCHEDULER_TABLE = Table(
    (
        Field("policy", choices=_POLICIES, default="other", effect=RESTART, revert=None),
        Field("nice", "int", default=0, canonical=between(-20, 19), effect=RESTART, revert=None),
        Field("priority", "int", default=0, canonical=between(0, 99), effect=RESTART, revert=None),
        Field(
            "flags", "list", elements="str", choices=_FLAGS, default=[], canonical=_flags, effect=RESTART, revert=None
        ),
        *(
            Field(word, "int", default=0, canonical=between(0, 2**63 - 1), effect=RESTART, revert=None)
            for word in _TIMES
        ),
    )
)
_IO_TABLE = Table(
    (
        Field("class", choices=tuple(_IO_CLASSES), default="best-effort", effect=RESTART, revert=None),
        Field("priority", "int", default=4, canonical=between(0, 7), effect=RESTART, revert=None),
    )
)


def _read_scheduler(spec: Spec) -> State:
    return _scheduler(spec["process"].get("scheduler") or {})


def _scheduler(found: t.Mapping[str, t.Any]) -> State:
    """The option, of what the runtime-spec says."""
    if not found:
        return {field.name: None for field in _SCHEDULER_TABLE.fields}
    return {
        **{field.name: found.get(field.name) or field.default for field in _SCHEDULER_TABLE.fields},
        "policy": found["policy"].removeprefix("SCHED_").lower(),
        "flags": _flags([word.removeprefix("SCHED_FLAG_").lower() for word in found.get("flags") or ()]),
    }


def _write_scheduler(spec: Spec, value: State) -> None:
    spec["process"].pop("scheduler", None)
    if value["policy"] is not None:
        spec["process"]["scheduler"] = {
            **{name: each for name, each in value.items() if each},
            "policy": f"SCHED_{value['policy'].upper()}",
            "flags": [f"SCHED_FLAG_{word.upper()}" for word in value["flags"]],
        }


def _read_io_priority(spec: Spec) -> State:
    return _io_priority(spec["process"].get("ioPriority") or {})


def _io_priority(found: t.Mapping[str, t.Any]) -> State:
    """The option, of what the runtime-spec says."""
    words = {word: name for name, word in _IO_CLASSES.items()}
    return {"class": words.get(found.get("class", "")), "priority": found.get("priority")}


def _write_io_priority(spec: Spec, value: State) -> None:
    spec["process"].pop("ioPriority", None)
    if value["class"] is not None:
        spec["process"]["ioPriority"] = {**value, "class": _IO_CLASSES[value["class"]]}


#: Options that are labels of SELinux.
_CONTEXTS: t.Final = ("selinux_label", "mount_label")
#: ``revert=None`` of a dictionary: nothing of it is there unless a task gives it.
PROCESS: t.Final = (
    asked_at(
        "umask", "process.user.umask", "0022", canonical=_umask, inside=lambda word: int(word, 8), outside=_octal
    ),
    Field(
        "scheduler", "dict", table=_SCHEDULER_TABLE, effect=RESTART, revert=None,
        read=_read_scheduler, write=_write_scheduler,
    ),
    Field(
        "io_priority", "dict", table=_IO_TABLE, effect=RESTART, revert=None,
        read=_read_io_priority, write=_write_io_priority,
    ),
    asked_at("exec_cpu_affinity", "process.execCPUAffinity.final", effect=LIVE, canonical=number_set),
    asked_at(
        "personality", "linux.personality.domain", "linux", choices=tuple(_DOMAINS),
        inside=_DOMAINS.__getitem__, outside=str.lower,
    ),
    asked_at("apparmor_profile", "process.apparmorProfile", canonical=_profile),
    asked_at("selinux_label", "process.selinuxLabel", canonical=_context),
    asked_at("mount_label", "linux.mountLabel", canonical=_context),
)  # fmt: skip


def check(wanted: State) -> t.Iterator[OptionError]:
    """What of the options cannot be together (sched(7), sched_setattr(2))."""
    scheduler = wanted.get("scheduler") or {}
    policy = scheduler.get("policy")
    if policy is None:
        return
    if scheduler["nice"] and policy not in _NICE:
        yield OptionError("scheduler.nice", f"expected none with policy {policy}")
    if policy in _RANKED and not scheduler["priority"]:
        yield OptionError("scheduler.priority", f"expected 1 to 99 with policy {policy}, got 0")
    if scheduler["priority"] and policy not in _RANKED:
        yield OptionError("scheduler.priority", f"expected none with policy {policy}; only fifo and rr have one")
    for flag in set(scheduler["flags"]) - {"reset_on_fork"}:
        if policy not in _TIMED:
            yield OptionError("scheduler.flags", f"{flag} needs policy deadline, not {policy}")
    yield from _check_times(policy, scheduler)


def _check_times(policy: str, scheduler: State) -> t.Iterator[OptionError]:
    times = [scheduler[word] for word in _TIMES]
    if policy in _TIMED:
        if not 0 < times[0] <= times[1] <= times[2]:
            words = "expected nanoseconds of runtime, deadline and period, none of them above the next"
            yield OptionError("scheduler.runtime", f"{words}, got {times[0]}, {times[1]} and {times[2]}")
        return
    for word, number in zip(_TIMES, times):
        if number:
            yield OptionError(f"scheduler.{word}", f"needs policy deadline, not {policy}")


def obstacles(wanted: State) -> t.Iterator[Exception]:
    """Security modules that this host has not, and a profile that is not loaded yet."""
    profile, contexts = wanted["apparmor_profile"], [name for name in _CONTEXTS if wanted[name]]
    if not (profile or contexts):
        return
    from .._runtime import labels

    if profile not in ("", labels.UNCONFINED):
        lacking, unknown = labels.apparmor_objection(), labels.unknown_profile(profile)
        if lacking:
            yield OptionError("apparmor_profile", lacking)
        elif unknown:
            yield Missing(f"apparmor_profile: {profile}: {unknown}")
    lacking = labels.selinux_objection()
    if lacking:
        yield from (OptionError(name, lacking) for name in contexts)


def correct(state: State, pid: int) -> None:
    """Replace what the description says by what the kernel says.

    :param state: of the container, as its description has it.
    :param pid: of its first process.
    """
    scheduled, ranked = state["scheduler"]["policy"] is not None, state["io_priority"]["class"] is not None
    if scheduled or ranked:
        from .._runtime import attributes

        state["scheduler"] = _scheduler(attributes.scheduler_of(pid)) if scheduled else state["scheduler"]
        state["io_priority"] = _io_priority(attributes.io_priority_of(pid)) if ranked else state["io_priority"]
    if state["apparmor_profile"] or state["selinux_label"]:
        from .._runtime import labels

        for option, read in (("apparmor_profile", labels.profile_of), ("selinux_label", labels.context_of)):
            if state[option]:
                state[option] = read(pid)
