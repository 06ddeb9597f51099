# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups as findmnt(8) and cgroupfs show them: which version a controller has here, and what files hold."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import subprocess
import typing as t

#: Where groups without a leading slash are, from the root of each hierarchy.
BASE = "/nsfleet.slice/nsfleet.service" if os.path.isdir("/run/systemd/system") else "/nsfleet"
#: Names of files by which version 1 knows what version 2 calls otherwise.
_VERSION_1 = {"io": "blkio"}


class Place(t.NamedTuple):
    """Where a controller is."""

    version: int  #: 1 or 2, 0 for nowhere
    mount_point: str = ""


@functools.cache
def _mounts() -> dict[str, str]:
    """Controllers of version 1 to mount points; ``cgroup2`` to the one of version 2."""
    found: dict[str, str] = {}
    command = ["findmnt", "--json", "--types", "cgroup,cgroup2", "--output", "TARGET,FSTYPE,OPTIONS"]
    for each in json.loads(subprocess.check_output(command))["filesystems"]:
        names = each["options"].split(",") if each["fstype"] == "cgroup" else ["cgroup2"]
        found.update(dict.fromkeys(names, each["target"]))
    return found


def place(controller: str) -> Place:
    """Where a controller is on this host.

    :param controller: as files of either version begin; ``cgroup`` for what every group has.
    """
    mounts = _mounts()
    name = _VERSION_1.get(controller, controller)
    if name in mounts:
        return Place(1, mounts[name])
    unified = mounts.get("cgroup2", "")
    if controller == "cgroup":
        return Place(2, unified) if unified else Place(1, mounts["freezer"])
    return Place(2, unified) if unified and controller in _read(f"{unified}/cgroup.controllers").split() else Place(0)


def folder(file: str, name: str = "case") -> str:
    """The directory in which a group has a file; a name with a leading slash begins at the root of the hierarchies."""
    return place(_controller(file)).mount_point + (name if name.startswith("/") else f"{BASE}/{name}")


def read(file: str, name: str = "case") -> str:
    """What a file of a group holds, without its last line feed; empty if it is not there."""
    return _read(f"{folder(file, name)}/{file}")


def of_process(pid: int) -> dict[str, str]:
    """Controllers to groups of a process (cgroups(7)); version 2 has no controllers there."""
    lines = _read(f"/proc/{pid}/cgroup").splitlines()
    return {name: path for _number, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}


@functools.cache
def offers(file: str) -> bool:
    """Whether groups of this host can have a file: found out by making one."""
    controller = _controller(file)
    version, root = place(controller)
    if not version:
        return False
    with _given(root, controller) if version == 2 and controller != "cgroup" else contextlib.nullcontext():
        os.mkdir(f"{root}/probe")
        found = os.path.exists(f"{root}/probe/{file}")
        os.rmdir(f"{root}/probe")
    return found


@contextlib.contextmanager
def _given(root: str, controller: str) -> t.Iterator[None]:
    """While this lasts, groups below the root of version 2 have a controller."""
    control = f"{root}/cgroup.subtree_control"
    before = controller in _read(control).split()
    _write(control, f"+{controller}")
    yield
    if not before:
        _write(control, f"-{controller}")


def _controller(file: str) -> str:
    """The part before the first dot; a file without one is of the group itself."""
    word, dot, _rest = file.partition(".")
    return word if dot else "cgroup"


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().rstrip("\n")
    except FileNotFoundError:
        return ""
