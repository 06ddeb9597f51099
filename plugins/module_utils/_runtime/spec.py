# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``config.json`` as the OCI runtime-spec 1.2 defines it: what is supported, and the defaults of a container."""

from __future__ import annotations

import typing as t

from .._model.errors import NsfleetError

Spec = dict[str, t.Any]

VERSION: t.Final = "1.2.0"
ANNOTATION: t.Final = "nsfleet.linux/"

#: Type of a namespace in the runtime-spec to its name in ``/proc/PID/ns``.
NAMESPACE_KINDS: t.Final = {
    "mount": "mnt", "pid": "pid", "ipc": "ipc", "uts": "uts", "network": "net", "cgroup": "cgroup", "user": "user",
    "time": "time",
}  # fmt: skip

PATH: t.Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: What root keeps inside where nothing else is said; inheritable and ambient stay empty (CVE-2022-24769).
CAPABILITIES: t.Final = (
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
)  # fmt: skip
MASKED_PATHS: t.Final = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
)  # fmt: skip
READONLY_PATHS: t.Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

MOUNTS: t.Final = (
    {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
    {
        "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
        "options": ["nosuid", "noexec", "strictatime", "mode=755", "size=65536k"],
    },
    {
        "destination": "/dev/pts", "type": "devpts", "source": "devpts",
        "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    {
        "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
        "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
    },
    {
        "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
        "options": ["nosuid", "noexec", "nodev"],
    },
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
)  # fmt: skip

#: Annotations of ours that say how a container is started.
_FIXED_NOTES: t.Final = ("overlay", "idmap", "user", "groups")

_RATE: t.Final = [{"major": None, "minor": None, "rate": None}]
#: Of ``linux.resources``; what is in ``rdma`` and ``unified`` has names that nobody can know.
_RESOURCES: t.Final[t.Mapping[str, t.Any]] = {
    "devices": [{"allow": None, "type": None, "major": None, "minor": None, "access": None}],
    "memory": {
        "limit": None, "reservation": None, "swap": None, "kernel": None, "kernelTCP": None, "swappiness": None,
        "disableOOMKiller": None, "useHierarchy": None, "checkBeforeUpdate": None,
    },
    "cpu": {
        "shares": None, "quota": None, "burst": None, "period": None, "realtimeRuntime": None, "realtimePeriod": None,
        "cpus": None, "mems": None, "idle": None,
    },
    "pids": {"limit": None},
    "blockIO": {
        "weight": None, "leafWeight": None,
        "weightDevice": [{"major": None, "minor": None, "weight": None, "leafWeight": None}],
        "throttleReadBpsDevice": _RATE, "throttleWriteBpsDevice": _RATE, "throttleReadIOPSDevice": _RATE,
        "throttleWriteIOPSDevice": _RATE,
    },
    "hugepageLimits": [{"pageSize": None, "limit": None}],
    "network": {"classID": None, "priorities": [{"name": None, "priority": None}]},
    "rdma": None,
    "unified": None,
}  # fmt: skip

#: The fields that are honoured. A list stands for a list of such objects, ``None`` for any value.
_SUPPORTED: t.Final[t.Mapping[str, t.Any]] = {
    "ociVersion": None,
    "root": {"path": None, "readonly": None},
    "mounts": [{"destination": None, "type": None, "source": None, "options": None}],
    "process": {
        "terminal": None,
        "user": {"uid": None, "gid": None, "additionalGids": None, "umask": None},
        "args": None,
        "env": None,
        "cwd": None,
        "capabilities": {
            "bounding": None, "effective": None, "permitted": None, "inheritable": None, "ambient": None,
        },
        "rlimits": [{"type": None, "soft": None, "hard": None}],
        "noNewPrivileges": None,
        "oomScoreAdj": None,
    },
    "hostname": None,
    "domainname": None,
    "annotations": None,
    "linux": {
        "namespaces": [{"type": None, "path": None}],
        "uidMappings": [{"containerID": None, "hostID": None, "size": None}],
        "gidMappings": [{"containerID": None, "hostID": None, "size": None}],
        "timeOffsets": None,
        "sysctl": None,
        "cgroupsPath": None,
        "resources": _RESOURCES,
        "rootfsPropagation": None,
        "maskedPaths": None,
        "readonlyPaths": None,
    },
}  # fmt: skip


def check(spec: Spec) -> None:
    """Refuse what would not be honoured: nothing that a bundle asks for is ignored.

    :raises NsfleetError: with every field that is unknown or not supported.
    """
    unknown = list(_unknown(spec, _SUPPORTED, ""))
    if unknown:
        raise NsfleetError(f"config.json: not supported: {', '.join(unknown)}")
    if spec.get("process", {}).get("terminal"):
        raise NsfleetError("config.json: process.terminal: a terminal is not supported")


def check_resources(changes: Spec) -> None:
    """Refuse changes of ``linux.resources`` that would not be honoured.

    :raises NsfleetError: with every field that is unknown.
    """
    unknown = list(_unknown(changes, _RESOURCES, "linux.resources"))
    if unknown:
        raise NsfleetError(f"resources: not supported: {', '.join(unknown)}")


def _unknown(value: t.Any, known: t.Any, path: str) -> t.Iterator[str]:
    if isinstance(known, list):
        for index, item in enumerate(value):
            yield from _unknown(item, known[0], f"{path}[{index}]")
    elif isinstance(known, dict):
        for name, item in value.items():
            here = f"{path}.{name}" if path else name
            if name in known:
                yield from _unknown(item, known[name], here)
            else:
                yield here


def fixed(spec: Spec) -> Spec:
    """What of a description is fixed while the container runs; all else is changed under it, or read when needed."""
    left = {name: value for name, value in spec.items() if name not in ("hostname", "domainname", "annotations")}
    left["process"] = {
        name: value for name, value in spec.get("process", {}).items() if name not in ("rlimits", "oomScoreAdj")
    }
    left["linux"] = {name: value for name, value in spec["linux"].items() if name not in ("sysctl", "resources")}
    notes = spec.get("annotations", {})
    left["annotations"] = {name: notes.get(ANNOTATION + name) for name in _FIXED_NOTES}
    return left


def annotation(spec: Spec, name: str) -> str:
    """One of our own annotations, empty if it is not there."""
    value: str = spec.get("annotations", {}).get(ANNOTATION + name, "")
    return value


def annotate(spec: Spec, name: str, value: str) -> None:
    """Set one of our own annotations, or take it away if the value is empty."""
    annotations = spec.setdefault("annotations", {})
    annotations.pop(ANNOTATION + name, None)
    if value:
        annotations[ANNOTATION + name] = value
