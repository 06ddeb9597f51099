# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says of control groups: limits, usage, processes, events; and of the hierarchies of the host."""

from __future__ import annotations

import typing as t

from .._cgroup import usage
from .._cgroup.group import OURS, Group
from .._cgroup.hierarchy import Host, detect
from .._kernel import process
from .._model.field import Field, State, Table
from .._model.names import cgroup_name
from .cgroup import Cgroup, directories

TABLE = Table((Field("name", canonical=cgroup_name),))


def gather(options: t.Mapping[str, t.Any]) -> State:
    """One group, or all that are ours, and the host.

    :param options: canonical options of :data:`TABLE`.
    """
    host = detect()
    if "name" in options:
        group = Group(options["name"], host)
        groups = [group] if group.exists else []
    else:
        groups = sorted(_ours(host), key=lambda each: each.path)
    return {"host": describe_host(host), "cgroups": list(_described(groups))}


def _described(groups: t.Iterable[Group]) -> t.Iterator[State]:
    """The groups, without those that went away while they were read."""
    for group in groups:
        try:
            yield describe(group)
        except OSError:
            if group.exists:
                raise


def _ours(host: Host) -> t.Iterator[Group]:
    """Every group that a task made, wherever it is."""
    pending = [""]
    while pending:
        path = pending.pop()
        pending += [f"{path}/{name}" for name in host.tree.children(host.primary.mount_point + path)]
        if path and host.tree.marked(host.primary.mount_point + path) == OURS:
            below = path.startswith(f"{host.base}/")
            yield Group(path[len(host.base) + 1 :] if below else path, host)


def describe_host(host: Host) -> State:
    """Which hierarchies there are, and which one each controller is on."""
    places = {name: host.of(name) for name in host.controllers()}
    return {
        "mode": host.mode,
        "systemd": host.systemd,
        "base": host.base,
        "controllers": {
            name: {"version": place.version, "mount_point": place.mount_point}
            for name, place in places.items()
            if place
        },
    }


def describe(group: Group) -> State:
    """One group, with what it uses."""
    resource = Cgroup({"name": group.name})
    state = Cgroup.table.shown(resource.state(everything=True))
    running = [each._asdict() for each in process.processes(group.processes())]
    return {
        **state,
        "name": group.name,
        "path": group.path,
        "ours": group.mark == OURS,
        "directories": directories(group),
        "controllers": group.controllers(),
        "children": group.children(),
        "processes": running,
        "usage": usage.usage(group),
        "events": usage.events(group),
        "psi": usage.pressure(group),
    }
