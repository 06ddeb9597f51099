# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runtime can do (runtime-spec, features.md and features-linux.md), and a description to begin with."""

from __future__ import annotations

import os
import typing as t

from .._kernel import capability
from . import mount_options, seccomp
from .schema import HOOKS
from .spec import CAPABILITIES, MASKED_PATHS, MOUNTS, NAMESPACE_KINDS, PATH, READONLY_PATHS, VERSION, Spec


def features() -> dict[str, t.Any]:
    """What the runtime can do, whatever this host can."""
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": VERSION,
        "hooks": list(HOOKS),
        "mountOptions": mount_options.known_options(),
        "linux": {
            "namespaces": sorted(NAMESPACE_KINDS),
            "capabilities": list(capability.NAMES),
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": False, "rdma": True},
            "seccomp": seccomp.features(),
            "apparmor": {"enabled": True},
            "selinux": {"enabled": True},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
        "annotations": {"io.github.nsfleet.version": VERSION},
    }


def example(rootless: bool) -> Spec:
    """A shell in a root file system beside the description.

    :param rootless: with a user namespace in which the caller is root.
    """
    sets = ("bounding", "effective", "permitted")
    kinds = ["pid", "network", "ipc", "uts", "mount", "cgroup"]
    spec: Spec = {
        "ociVersion": VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": [f"PATH={PATH}", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {name: list(CAPABILITIES) for name in sets},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "nsrun",
        "mounts": list(MOUNTS),
        "linux": {
            "namespaces": [{"type": kind} for kind in kinds],
            "maskedPaths": list(MASKED_PATHS),
            "readonlyPaths": list(READONLY_PATHS),
        },
    }
    if rootless:
        spec["linux"]["namespaces"].append({"type": "user"})
        spec["linux"]["uidMappings"] = [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
        spec["linux"]["gidMappings"] = [{"containerID": 0, "hostID": os.getegid(), "size": 1}]
    return spec
