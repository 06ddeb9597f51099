# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which fields of ``config.json`` are honoured, and what they may hold (runtime-spec 1.2, config.md, config-linux.md).

A description that asks for anything else is refused before anything is done: nothing in it is ever ignored.
"""

from __future__ import annotations

import typing as t

from .._kernel import sysctl
from .._kernel.capability import NAMES
from .._model.errors import NsfleetError
from .attributes import IO_CLASSES, POLICIES, SCHEDULER_FLAGS
from .mount_options import PROPAGATIONS
from .spec import CAPABILITY_SETS, NAMESPACE_KINDS, has_root, shares_mounts

#: What a field may hold: a type, a set of words, a list of one such, an object, a :class:`Map`; ``None`` for anything.
#: The name of a field that must be there ends in ``!``.
Schema = t.Any


class Map(t.NamedTuple):
    """An object whose names are anybody's."""

    values: Schema


RLIMITS: t.Final = frozenset(
    f"RLIMIT_{word}"
    for word in (
        "AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RSS",
        "RTPRIO", "RTTIME", "SIGPENDING", "STACK",
    )
)  # fmt: skip
NAMESPACES: t.Final = frozenset(NAMESPACE_KINDS)
HOOKS: t.Final = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")

_CAPABILITIES: Schema = [frozenset(NAMES)]
_MAPPINGS: Schema = [{"containerID!": int, "hostID!": int, "size!": int}]
_HOOK: Schema = {"path!": str, "args": [str], "env": [str], "timeout": int}
PROCESS: t.Final[Schema] = {
    "terminal": bool,
    "consoleSize": {"height!": int, "width!": int},
    "user": {"uid": int, "gid": int, "additionalGids": [int], "umask": int, "username": str},
    "args!": [str],
    "env": [str],
    "cwd!": str,
    "capabilities": dict.fromkeys(CAPABILITY_SETS, _CAPABILITIES),
    "rlimits": [{"type!": RLIMITS, "soft!": int, "hard!": int}],
    "noNewPrivileges": bool,
    "oomScoreAdj": int,
    "scheduler": {
        "policy!": frozenset(POLICIES), "nice": int, "priority": int, "flags": [frozenset(SCHEDULER_FLAGS)],
        "runtime": int, "deadline": int, "period": int,
    },
    "ioPriority": {"class!": frozenset(IO_CLASSES), "priority": int},
    "execCPUAffinity": {"initial": str, "final": str},
    "apparmorProfile": str,
    "selinuxLabel": str,
}  # fmt: skip
_RATE: Schema = [{"major!": int, "minor!": int, "rate!": int}]
#: What a program may update while the container runs, too. Numbers are bytes, microseconds, pages as the field has it.
RESOURCES: t.Final[Schema] = {
    "devices": [{"allow!": bool, "type": str, "major": int, "minor": int, "access": str}],
    "memory": {
        "limit": int, "reservation": int, "swap": int, "kernel": int, "kernelTCP": int, "swappiness": int,
        "disableOOMKiller": bool, "useHierarchy": bool, "checkBeforeUpdate": bool,
    },
    "cpu": {
        "shares": int, "quota": int, "burst": int, "period": int, "realtimeRuntime": int, "realtimePeriod": int,
        "cpus": str, "mems": str, "idle": int,
    },
    "pids": {"limit": int},
    "blockIO": {
        "weight": int, "leafWeight": int,
        "weightDevice": [{"major!": int, "minor!": int, "weight": int, "leafWeight": int}],
        "throttleReadBpsDevice": _RATE, "throttleWriteBpsDevice": _RATE, "throttleReadIOPSDevice": _RATE,
        "throttleWriteIOPSDevice": _RATE,
    },
    "hugepageLimits": [{"pageSize!": str, "limit!": int}],
    "network": {"classID": int, "priorities": [{"name!": str, "priority!": int}]},
    "rdma": Map({"hcaHandles": int, "hcaObjects": int}),
    "unified": Map(str),
}  # fmt: skip
SPEC: t.Final[Schema] = {
    "ociVersion!": str,
    "root": {"path!": str, "readonly": bool},
    "mounts": [
        {
            "destination!": str, "type": str, "source": str, "options": [str], "uidMappings": _MAPPINGS,
            "gidMappings": _MAPPINGS,
        },
    ],
    "process!": PROCESS,
    "hostname": str,
    "domainname": str,
    "hooks": {point: [_HOOK] for point in HOOKS},
    "annotations": Map(str),
    "linux": {
        "namespaces": [{"type!": NAMESPACES, "path": str}],
        "uidMappings": _MAPPINGS,
        "gidMappings": _MAPPINGS,
        "devices": [
            {"type!": str, "path!": str, "major": int, "minor": int, "fileMode": int, "uid": int, "gid": int},
        ],
        "netDevices": Map({"name": str}),
        "timeOffsets": {clock: {"secs": int, "nanosecs": int} for clock in ("monotonic", "boottime")},
        "sysctl": Map(str),
        "cgroupsPath": str,
        "resources": RESOURCES,
        "mountLabel": str,
        "rootfsPropagation": frozenset(PROPAGATIONS),
        "seccomp": None,  # see the module of that name
        "personality": {"domain!": frozenset({"LINUX", "LINUX32"}), "flags": [str]},
        "maskedPaths": [str],
        "readonlyPaths": [str],
    },
}  # fmt: skip


def check(value: t.Any, schema: Schema = None, where: str = "config.json") -> None:
    """Refuse what is not as it should be.

    :param value: what was read from a file.
    :param schema: what it has to be; a whole description if not given.
    :param where: what the message says it is.
    :raises NsfleetError: with everything that is wrong: fields that are not supported, and values that are none.
    """
    wrong = list(_wrong(value, SPEC if schema is None else schema, ""))
    if schema is None and not wrong:
        wrong = [("", problem) for problem in (*_contradictions(value), *_wrong_filter(value))]
    unknown = [path for path, problem in wrong if not problem]
    problems = [f"{path}: {problem}" if path else problem for path, problem in wrong if problem]
    if unknown:
        problems.append(f"not supported: {', '.join(unknown)}")
    if problems:
        raise NsfleetError(f"{where}: {'; '.join(problems)}")


def _wrong(value: t.Any, schema: Schema, path: str) -> t.Iterator[tuple[str, str]]:
    """Place and problem of everything that is wrong; without a problem: the field is not supported."""
    if schema is None:
        return
    if isinstance(schema, frozenset):
        if not isinstance(value, str) or value not in schema:
            yield path, f"expected one of {', '.join(sorted(schema))}, got {value!r}"
    elif isinstance(schema, type):
        if not isinstance(value, schema) or isinstance(value, bool) != (schema is bool):  # a bool is an int to Python
            yield path, f"expected {_WORDS[schema]}, got {value!r}"
    elif isinstance(schema, list):
        yield from _wrong_list(value, schema[0], path)
    else:
        yield from _wrong_object(value, schema, path)


_WORDS: t.Final = {str: "a string", int: "a whole number", bool: "true or false"}


def _wrong_list(value: t.Any, schema: Schema, path: str) -> t.Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield path, f"expected a list, got {value!r}"
        return
    for index, item in enumerate(value):
        yield from _wrong(item, schema, f"{path}[{index}]")


def _wrong_object(value: t.Any, schema: Schema, path: str) -> t.Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield path, f"expected an object, got {value!r}"
        return
    if isinstance(schema, Map):
        for name, item in value.items():
            yield from _wrong(item, schema.values, f"{path}[{name}]")
        return
    known = {name.rstrip("!"): below for name, below in schema.items()}
    for name, item in value.items():
        here = f"{path}.{name}" if path else name
        if name not in known:
            yield here, ""
        elif item is not None:  # how Go writes what is not there
            yield from _wrong(item, known[name], here)
    for name in schema:
        if name.endswith("!") and value.get(name[:-1]) is None:
            yield f"{path}.{name[:-1]}" if path else name[:-1], "it is missing"


# --- what the fields mean together ---------------------------------------------------


def _contradictions(spec: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    linux = spec.get("linux") or {}
    spaces = [each["type"] for each in linux.get("namespaces") or ()]
    yield from _twice("linux.namespaces", spaces)
    for field, kind in (("hostname", "uts"), ("domainname", "uts")):
        if spec.get(field) and kind not in spaces:
            yield f"{field}: needs a namespace of type {kind}"
    for field in ("maskedPaths", "readonlyPaths", "rootfsPropagation"):
        if linux.get(field) and "mount" not in spaces:
            yield f"linux.{field}: needs a namespace of type mount"
    if not shares_mounts(spec) and not spec.get("root"):
        yield "root: it is missing"
    if not has_root(spec) and spec.get("mounts"):
        yield "mounts: need a root of the container's own"
    for field, kind in (("uidMappings", "user"), ("gidMappings", "user"), ("timeOffsets", "time")):
        if linux.get(field) and not any(n["type"] == kind and not n.get("path") for n in linux["namespaces"]):
            yield f"linux.{field}: needs a new namespace of type {kind}"
    yield from _wrong_process(spec["process"])
    yield from _wrong_hooks(spec.get("hooks") or {})
    yield from _wrong_sysctls(linux.get("sysctl") or {}, spaces)
    if (linux.get("personality") or {}).get("flags"):
        yield "linux.personality.flags: there are none yet (runtime-spec), so none is expected"


def _wrong_filter(spec: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    profile = (spec.get("linux") or {}).get("seccomp")
    if profile is not None:
        from . import seccomp

        yield from seccomp.problems(profile, "linux.seccomp")


def _wrong_process(process: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    if not process["args"]:
        yield "process.args: expected at least one word"
    if not process["cwd"].startswith("/"):
        yield f"process.cwd: expected an absolute path, got {process['cwd']!r}"
    for index, word in enumerate((*process["args"], *(process.get("env") or ()))):
        if "\0" in word:
            yield f"process: word {index} of args and env: a zero byte cannot be part of one"
    yield from _twice("process.rlimits", [each["type"] for each in process.get("rlimits") or ()])


def _twice(field: str, words: t.Sequence[str]) -> t.Iterator[str]:
    for word in sorted(set(words)):
        if words.count(word) > 1:
            yield f"{field}: {word} is there twice"


def _wrong_sysctls(wanted: t.Mapping[str, str], spaces: t.Sequence[str]) -> t.Iterator[str]:
    """Parameters of the whole kernel are not a container's to set (CVE-2022-0811)."""
    for name, value in wanted.items():
        field = f"linux.sysctl[{name}]"
        try:
            kind = sysctl.namespace_of(name)
            sysctl.canonical_value(value)
        except ValueError as error:
            yield f"{field}: {error}"
            continue
        if not kind:
            yield f"{field}: it is of the whole kernel; expected one of a namespace (net.*, kernel.msg*, fs.mqueue.*)"
        elif _SPACES.get(kind, kind) not in spaces:
            yield f"{field}: needs a namespace of type {_SPACES.get(kind, kind)}"


_SPACES: t.Final = {"net": "network"}


def _wrong_hooks(hooks: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for point in HOOKS:
        for index, hook in enumerate(hooks.get(point) or ()):
            if not hook["path"].startswith("/"):
                yield f"hooks.{point}[{index}].path: expected an absolute path, got {hook['path']!r}"
            if hook.get("timeout") is not None and hook["timeout"] <= 0:
                yield f"hooks.{point}[{index}].timeout: expected a number of seconds above 0, got {hook['timeout']}"
