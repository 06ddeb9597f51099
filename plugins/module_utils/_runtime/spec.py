# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``config.json`` as the OCI runtime-spec 1.2 defines it: what is supported, and the defaults of a container."""

from __future__ import annotations

import typing as t

Spec = dict[str, t.Any]

VERSION: t.Final = "1.2.0"
ANNOTATION: t.Final = "nsfleet.linux/"

#: Type of a namespace in the runtime-spec to its name in ``/proc/PID/ns``.
NAMESPACE_KINDS: t.Final = {
    "mount": "mnt", "pid": "pid", "ipc": "ipc", "uts": "uts", "network": "net", "cgroup": "cgroup", "user": "user",
    "time": "time",
}  # fmt: skip

#: Sets of capabilities that a process has, as the runtime-spec names them.
CAPABILITY_SETS: t.Final = ("bounding", "effective", "permitted", "inheritable", "ambient")

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

#: Where secrets of containers are on the host, and where a container has its own.
SECRETS: t.Final = "/run/nsfleet/secrets"
SECRETS_INSIDE: t.Final = "/run/secrets"
#: Of the directory of one container, the directory that the container has.
SECRETS_SHOWN: t.Final = "files"

#: Annotations of ours that say how a container is started.
FIXED_NOTES: t.Final = ("overlay", "layer", "owned", "below", "idmap", "user", "groups")


def fixed(spec: Spec) -> Spec:
    """What of a description is fixed while the container runs; all else is changed under it, or read when needed."""
    left = {name: value for name, value in spec.items() if name not in ("hostname", "domainname", "annotations")}
    live = ("rlimits", "oomScoreAdj", "execCPUAffinity")
    left["process"] = {name: value for name, value in spec.get("process", {}).items() if name not in live}
    left["linux"] = {name: value for name, value in spec["linux"].items() if name not in ("sysctl", "resources")}
    notes = spec.get("annotations", {})
    left["annotations"] = {name: notes.get(ANNOTATION + name) for name in FIXED_NOTES}
    return left


class Told(t.NamedTuple):
    """The state of a container as JSON, before and after the pid of its first process (runtime-spec, runtime.md).

    In two parts, since who tells it may not be able to encode anything any more.
    """

    before: bytes
    after: bytes

    def of(self, pid: int) -> bytes:
        """The state, with a pid."""
        return b"%s%d%s" % (self.before, pid, self.after)


def told(spec: Spec, name: str, bundle: str, status: str) -> Told:
    """What others are told of a container.

    :param bundle: its directory.
    :param status: ``creating``, ``created``, ``running`` or ``stopped``.
    """
    import json

    state = {
        "ociVersion": spec.get("ociVersion", VERSION), "id": name, "status": status, "bundle": bundle,
        "annotations": spec.get("annotations") or {},
    }  # fmt: skip
    return Told(b'{"pid": ', f", {json.dumps(state)[1:]}".encode())


def shares_mounts(spec: t.Mapping[str, t.Any]) -> bool:
    """Whether a container is in a mount namespace that others are in, too."""
    spaces = (spec.get("linux") or {}).get("namespaces") or ()
    return not any(each["type"] == "mount" and not each.get("path") for each in spaces)


def has_root(spec: t.Mapping[str, t.Any]) -> bool:
    """Whether a container has a root of its own, and does not stay in that of a mount namespace of others."""
    return not shares_mounts(spec) or (spec.get("root") or {}).get("path", "/") != "/"


def shared_layers(spec: Spec) -> list[str]:
    """Directories that a container's root is made of and that others may share, the highest first."""
    return [spec["root"]["path"], *filter(None, annotation(spec, "below").split(":"))]


def layer(spec: Spec) -> tuple[str, str]:
    """Names of the directories of a container's private layer on disk (overlayfs: upper and work), in its bundle.

    The description says which layer is its own, so that another description can have another one meanwhile.
    """
    ending = annotation(spec, "layer")
    return f"upper{ending}", f"work{ending}"


def own_tree(spec: Spec) -> str:
    """Name of the directory, in its bundle, of the tree that is a container's own root; empty if it has none."""
    return f"tree{annotation(spec, 'layer')}" if annotation(spec, "overlay") == "copy" else ""


def annotation(spec: Spec, name: str) -> str:
    """One of our own annotations, empty if it is not there."""
    value: str = (spec.get("annotations") or {}).get(ANNOTATION + name, "")
    return value


def annotate(spec: Spec, name: str, value: str) -> None:
    """Set one of our own annotations, or take it away if the value is empty."""
    annotations = spec["annotations"] = spec.get("annotations") or {}
    annotations.pop(ANNOTATION + name, None)
    if value:
        annotations[ANNOTATION + name] = value
