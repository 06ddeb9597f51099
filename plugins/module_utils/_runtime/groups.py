# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups of containers and of their monitors."""

from __future__ import annotations

import typing as t

from .._cgroup.group import OURS, Group
from .._cgroup.settings import find
from .._model.errors import NsfleetError

if t.TYPE_CHECKING:
    from .spec import Spec

#: What every container gets, where the host has it: to be counted, and to be stopped as a whole.
_ALWAYS = ("cpu", "cpuacct", "devices", "freezer", "memory", "pids")
_MONITORS = "monitors"


def of(spec: Spec) -> Group:
    """The group of a container."""
    return Group(spec["linux"]["cgroupsPath"])


def make(spec: Spec) -> Group:
    """Make the group of a container, with its limits; one that is there becomes ours.

    :raises NsfleetError: this host cannot.
    """
    group = of(spec)
    group.create(controllers(spec, group))
    if group.of_others:  # whoever calls has asked whether it may be taken over
        group.set_mark(OURS)
    # What has a line for each of several devices is written line by line, as the kernel wants it.
    texts = _settings(spec).items()
    lines = ((file, [text] if file == "devices" else text.split("\n")) for file, text in texts)
    group.write_all((file, line) for file, texts in lines for line in texts)
    return group


def controllers(spec: Spec, group: Group) -> set[str]:
    """The controllers that a container's group gets: for its limits, and what every container is to have."""
    there = group.host.controllers()
    return {name for name in _ALWAYS if name in there} | {find(file).controller for file in _settings(spec)} - {""}


def _settings(spec: Spec) -> dict[str, str]:
    """Files of the group to what is to be in them."""
    found: dict[str, str] = spec["linux"].get("resources", {}).get("unified", {})
    return found


def dispensable(name: str) -> list[str]:
    """Directories that are there for a container's sake only, or will be.

    :param name: of its group.
    """
    return sorted({path for group in (Group(name), Group(_MONITORS)) for path in group.dispensable()})


def remove_unused(paths: t.Iterable[str], everything: bool) -> None:
    """Remove such directories that a run which failed or was killed left.

    :param everything: the container's own, too, since there is no such container.
    """
    Group(_MONITORS).remove_unused(paths, everything)


def kill(spec: Spec) -> None:
    """Kill whatever is left in the group of a container; one whose start failed has none.

    :raises NsfleetError: a process cannot be killed.
    """
    group = of(spec)
    if group.exists:
        group.kill()


def remove(spec: Spec) -> None:
    """Remove the group of a container, with whatever is still in it; a group that others made stays.

    :raises NsfleetError: a process cannot be killed.
    """
    group = of(spec)
    if group.exists and not group.of_others:
        group.kill()
        group.remove()


def leave_session() -> None:
    """Bring the calling process out of the groups of its caller, whose end or limits are not to be its own."""
    group = Group(_MONITORS)
    group.create({name for name in ("cpu", "memory", "pids") if name in group.host.controllers()})
    group.enter(0)


def remove_empty() -> None:
    """Remove the group of the monitors if no monitor is left in it."""
    group = Group(_MONITORS)
    if group.exists and group.wait_empty(1.0):
        group.remove()


def below(group: Group, name: str) -> Group:
    """A group below a container's own, for one of its processes.

    :param name: relative path.
    :raises NsfleetError: it leads out of the container's group, or there is none.
    """
    if ".." in name.split("/"):
        raise NsfleetError(f"--cgroup: {name}: expected a path below the container's own group")
    found = Group(f"{group.path}/{name.strip('/')}".rstrip("/"), group.host)
    if not found.exists:
        raise NsfleetError(f"--cgroup: {name}: there is no such group below the container's own")
    return found
