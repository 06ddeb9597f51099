# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control group hierarchies of a host, and which one each controller is on (cgroups(7)).

A controller is on the one hierarchy of version 2, or on one of version 1, or on none. Which it is, the mount table and
statfs(2) say; nothing is concluded from names of directories or from the order of mounts.
"""

from __future__ import annotations

import os
import typing as t

from .._kernel.mount import mounts
from .._kernel.namespace import filesystem_type
from .._model.errors import NsfleetError
from .tree import Tree

CGROUP2_MAGIC: t.Final = 0x63677270
CGROUP_MAGIC: t.Final = 0x27E0EB
_MAGIC = {"cgroup2": CGROUP2_MAGIC, "cgroup": CGROUP_MAGIC}

#: Controllers of version 1 as mount options name them. ``io`` is what version 2 calls ``blkio``, and we, too.
_VERSION_1 = frozenset({
    "blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "hugetlb", "memory", "misc", "net_cls", "net_prio",
    "perf_event", "pids", "rdma",
})  # fmt: skip
#: What are controllers of version 1, and part of every group of version 2.
CORE: t.Final = frozenset({"cpuacct", "devices", "freezer", "perf_event"})
#: Every controller that an option can name.
CONTROLLERS: t.Final = tuple(sorted({*_VERSION_1, "io", "dmem"} - {"blkio"}))
#: The hierarchy by which systemd(1) follows processes where version 2 is not mounted.
SYSTEMD_HIERARCHY: t.Final = "name=systemd"
MOUNT_DIRECTORY: t.Final = "/sys/fs/cgroup/"


class Hierarchy(t.NamedTuple):
    """A mounted tree of control groups."""

    mount_point: str
    version: int  #: 1 or 2
    controllers: tuple[str, ...]  #: on it; in version 2 those that its root can give to groups


class Host:
    """All hierarchies of a host.

    :param hierarchies: at most one of version 2.
    :param systemd: whether systemd(1) is the init process, so that the hierarchies are not ours alone.
    :param tree: how their files are read and written.
    :raises NsfleetError: there is none.
    """

    def __init__(self, hierarchies: t.Iterable[Hierarchy], systemd: bool = False, tree: Tree | None = None) -> None:
        self.hierarchies = tuple(hierarchies)
        self.systemd = systemd
        self.tree = tree or Tree()
        if not self.hierarchies:
            raise NsfleetError("no control group hierarchy is mounted; mount cgroup2 at /sys/fs/cgroup")
        self._of = {controller: each for each in self.hierarchies for controller in each.controllers}

    @property
    def unified(self) -> Hierarchy | None:
        """The hierarchy of version 2, if it is mounted."""
        return next((each for each in self.hierarchies if each.version == 2), None)

    @property
    def mode(self) -> str:
        """``unified`` (version 2 only), ``hybrid`` (both), or ``legacy`` (version 1 only)."""
        if self.unified is None:
            return "legacy"
        return "hybrid" if len(self.hierarchies) > 1 and self._legacy_controllers() else "unified"

    def _legacy_controllers(self) -> bool:
        return any(each.version == 1 and set(each.controllers) & _CANONICAL for each in self.hierarchies)

    @property
    def primary(self) -> Hierarchy:
        """The hierarchy in which every group is: it says whether a group exists, and freezes and kills."""
        return self.unified or self._of.get("freezer") or self.hierarchies[0]

    def of(self, controller: str) -> Hierarchy | None:
        """The hierarchy that a controller is on, ``None`` if it is on none."""
        return self._of.get(controller) or (self.unified if controller in CORE else None)

    def common(self) -> list[Hierarchy]:
        """The hierarchies in which every group is, whatever its controllers."""
        tracking = self._of.get(SYSTEMD_HIERARCHY) if self.systemd and self.unified is None else None
        return [self.primary] if tracking in (None, self.primary) else [self.primary, tracking]

    def needed(self, controllers: t.Iterable[str]) -> list[Hierarchy]:
        """The hierarchies in which a group has to be for its controllers, each once, the primary one first.

        :raises NsfleetError: a controller is on none.
        """
        found = self.common()
        for controller in controllers:
            hierarchy = self.of(controller)
            if hierarchy is None:
                raise NsfleetError(self.lacking(controller))
            if hierarchy not in found:
                found.append(hierarchy)
        return found

    def lacking(self, controller: str) -> str:
        """Why a controller is on no hierarchy, in words for people."""
        if controller in ("net_cls", "net_prio") and self.mode == "unified":
            return (
                f"the controller {controller} exists in cgroup v1 only, and this host has cgroup v2; "
                "match the group itself there (nft: socket cgroupv2)"
            )
        if controller == "dmem" and self.mode == "legacy":
            return "the controller dmem exists in cgroup v2 only, and this host has cgroup v1"
        return (
            f"this host has no controller {controller}: its kernel was built or booted without it, or it is not "
            f"mounted; there are {', '.join(self.controllers())}"
        )

    def controllers(self) -> list[str]:
        """All controllers that groups can have on this host, sorted."""
        core = CORE if self.unified else frozenset()
        return sorted({name for name in (*self._of, *core) if "=" not in name})

    @property
    def base(self) -> str:
        """Below this path from the root of each hierarchy lives every group that is not named by a path of its own."""
        return "/nsfleet.slice/nsfleet.service" if self.systemd else "/nsfleet"


_CANONICAL = frozenset(CONTROLLERS)


def probe(path: str) -> tuple[int, str]:
    """What a path leads to: the file system type of statfs(2), and the device as the mount table writes it.

    :raises OSError: it leads nowhere.
    """
    number = os.stat(path).st_dev
    return filesystem_type(path), f"{os.major(number)}:{os.minor(number)}"


def detect(
    mountinfo: str = "/proc/self/mountinfo",
    probe: t.Callable[[str], tuple[int, str]] = probe,
    systemd_directory: str = "/run/systemd/system",
    tree: Tree | None = None,
) -> Host:
    """Find out what is mounted.

    :param mountinfo: path of the mount table (proc_pid_mountinfo(5)).
    :param probe: tells what a path leads to.
    :param systemd_directory: a directory that exists where systemd(1) is the init process (sd_booted(3)).
    :raises NsfleetError: no control group hierarchy is mounted.
    """
    tree = tree or Tree()
    best: dict[str, tuple[t.Any, Hierarchy]] = {}
    for each in mounts(mountinfo):
        if each.kind not in _MAGIC:
            continue
        try:
            if probe(each.path) != (_MAGIC[each.kind], each.device):
                continue  # another mount covers it
        except OSError:
            continue
        # Mounted more than once, it is used where everybody expects it, and as a whole.
        rank = (each.root != "/", not (each.path + "/").startswith(MOUNT_DIRECTORY), len(each.path))
        if each.device not in best or rank < best[each.device][0]:
            best[each.device] = (rank, _hierarchy(each.path, each.kind, each.super_options, tree))
    found = [hierarchy for _rank, hierarchy in best.values()]
    return Host(found, os.path.isdir(systemd_directory), tree)


def _hierarchy(path: str, kind: str, options: str, tree: Tree) -> Hierarchy:
    if kind == "cgroup2":
        return Hierarchy(path, 2, tuple((tree.read(f"{path}/cgroup.controllers") or "").split()))
    words = [word for word in options.split(",") if word in _VERSION_1 or word.startswith("name=")]
    return Hierarchy(path, 1, tuple("io" if word == "blkio" else word for word in words))
