# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of the changes of a control group, found out before anything is touched."""

from __future__ import annotations

import typing as t

from .._cgroup import settings, systemd
from .._cgroup.group import OURS
from .._kernel import process
from .._model.errors import OptionError
from .._model.resource import CREATE, Change, Step
from . import limits, limits_check

if t.TYPE_CHECKING:
    from .cgroup import Cgroup

#: Controllers of groups whose processes may be spread over a tree, thread by thread.
_THREADED = frozenset({"cpu", "cpuset", "perf_event", "pids"})


def preflight(resource: Cgroup, steps: t.Sequence[Step]) -> t.Iterator[Exception]:
    """Everything that stands in the way.

    :param steps: that are planned; at least one.
    """
    objection = systemd.objection(resource.group)
    if objection:
        yield OptionError("name", objection)
        return
    if resource.absent:
        yield from _stranded(resource)
        return
    changes = [change for step in steps for change in step.changes]
    refused: set[str] = set()
    for change in changes:
        for problem in _problems(resource, change):
            refused.add(change.path[0])
            yield problem
    yield from _without_controllers(resource, changes, refused)
    if any(change.path == ("type",) for change in changes) and resource.observed.exists:
        yield from _stranded(resource)
    if any(step.action == CREATE for step in steps):
        yield from _below_threads(resource)


def _problems(resource: Cgroup, change: Change) -> t.Iterator[Exception]:
    if limits.is_limit(change.path[0]):
        yield from limits_check.preflight(resource.group, (change,), resource.wanted)
    else:
        check = _CHECKS.get(change.path[0])
        problem = check(resource, change) if check else None
        if problem:
            yield OptionError(change.option, problem)


def _stranded(resource: Cgroup) -> t.Iterator[Exception]:
    """Processes that a removal would leave without their group, and groups that other tasks made."""
    if resource.options.get("kill"):
        return
    found = list(process.processes(resource.group.processes(recursive=True)))
    if found:
        listed = ", ".join(map(str, found))
        yield OptionError(
            "kill", f"{resource.target} has {len(found)} processes: {listed}; stop them, or set kill to true"
        )
    others = [group.path for group in resource.group.below() if group.mark == OURS]
    if others:
        yield OptionError(
            "kill",
            f"other tasks made groups below {resource.target}: {', '.join(sorted(others))}; remove them first, "
            "or set kill to true to remove them, too",
        )


def _without_controllers(
    resource: Cgroup, changes: t.Sequence[Change], refused: t.Container[str]
) -> t.Iterator[Exception]:
    """Controllers that the group cannot get."""
    if not any(change.path == ("controllers",) for change in changes):
        return
    users = limits.users(resource.wanted)
    for file in resource.wanted.get("settings", ()):
        users.setdefault(settings.controller_of(file), []).append(f"settings[{file}]")
    for asked in resource.given.get("controllers", ()):
        users.pop(asked, None)
    yield from limits_check.without_controllers(
        resource.group, resource.wanted["controllers"], users, "controllers", refused
    )


def _below_threads(resource: Cgroup) -> t.Iterator[Exception]:
    """A group below a threaded one that is not threaded takes no process."""
    above = resource.group.folder().above()
    kind = above.read("cgroup.type") or ""
    if "threaded" in kind and resource.wanted.get("type") != "threaded":
        yield OptionError(
            "type", f"the group above, {above.path}, has the type {kind}; set type to threaded, or name another place"
        )


# --- single options ------------------------------------------------------------------


def _file(resource: Cgroup, change: Change) -> str | None:
    """An option that stands for a file which this version or kernel lacks."""
    file = str(change.field.write)
    try:
        hierarchy, accessor = settings.locate(resource.group.host, file)
    except settings.Unsupported as error:
        return str(error)
    if limits_check.lacks(resource.group, hierarchy, "cgroup", accessor.files(file)):
        return f"this kernel has no {file}"
    return None


def _type(resource: Cgroup, change: Change) -> str | None:
    """A threaded group is part of a tree of ours: the one above it changes, too."""
    problem = _file(resource, change)
    if problem or change.after != "threaded":
        return problem
    if resource.group.path.rpartition("/")[0] in ("", resource.group.host.base):
        return "a threaded group lies inside another group of yours; expected a name such as shop/worker"
    others = sorted(set(resource.wanted.get("controllers", ())) - _THREADED)
    if others:
        return f"a threaded group has none of the controllers {', '.join(others)}; leave their options out"
    above = resource.group.folder().above()
    given = sorted(set((above.read("cgroup.subtree_control") or "").split()) - _THREADED)
    if given:
        return f"the group above gives {', '.join(given)} to groups below it, which threaded ones cannot have"
    return None


def _setting(resource: Cgroup, change: Change) -> str | None:
    """A file that is not there, or that cannot be read and so not be compared."""
    name = change.path[1]
    group = resource.group
    try:
        hierarchy = settings.locate_raw(group.host, name)
    except settings.Unsupported as error:
        return str(error)
    place = limits_check.sample(group, hierarchy, settings.controller_of(name) or "cgroup")
    if place is None:
        return None
    if not group.tree.has(f"{place}/{name}"):
        return f"there is no file {name} in {place}"
    if group.tree.read(f"{place}/{name}") is None:
        return f"{place}/{name} cannot be read, so nobody can tell what it holds"
    return None


def _delegate(resource: Cgroup, change: Change) -> str | None:
    if change.path[-1] == "uid" and resource.group.host.mode == "legacy":
        return "cgroup v1 cannot be delegated safely: whoever may write its files can reach beyond the group"
    return None


def _processes(resource: Cgroup, change: Change) -> str | None:
    """In version 2, groups that give controllers to others have no processes."""
    folder = resource.group.folder()
    given = folder.read("cgroup.subtree_control")
    if change.after and given and set(given.split()) - _THREADED:
        return (
            f"{resource.target} gives {given} to groups below it, and in cgroup v2 such a group has no processes; "
            "name a group below it"
        )
    return None


def _frozen(resource: Cgroup, change: Change) -> str | None:
    host = resource.group.host
    if change.after and host.mode == "legacy" and host.of("freezer") is None:
        return host.lacking("freezer")
    return None


_CHECKS: dict[str, t.Callable[[Cgroup, Change], str | None]] = {
    "max_depth": _file,
    "max_descendants": _file,
    "pressure": _file,
    "type": _type,
    "settings": _setting,
    "delegate": _delegate,
    "processes": _processes,
    "frozen": _frozen,
}
