# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups of containers and of their monitors."""

from __future__ import annotations

import typing as t

from .._cgroup.group import OURS, Group, Place
from .._kernel import process
from .._model.errors import NsfleetError, OptionError
from .spec import annotate, annotation

if t.TYPE_CHECKING:
    from .._cgroup.hierarchy import Host
    from . import resources
    from .spec import Spec

#: What every container gets, where the host has it: to be counted, and to be stopped as a whole.
_ALWAYS = ("cpu", "cpuacct", "devices", "freezer", "memory", "pids")
#: What others expect to find numbers of, besides.
_COUNTED = ("cpuset", "hugetlb", "io")
_MONITORS = "monitors"
#: What follows the name of a container's group in that of one like it; no container's name has it.
_DRAFT = "~draft"
#: Files for what only one group can have.
_EXCLUSIVE = ("cpuset.cpus.exclusive", "cpuset.cpus.partition")
_FIELD = "linux.cgroupsPath"
#: Annotation that names slice and scope of systemd.
_SCOPE = "scope"
#: Annotation that the container module leaves when it writes resources.
_LIMITS = "limits"
#: Name of the group below the scope, as crun has it: systemd sets the values of the scope itself back at times.
_INSIDE = "container"


class InScope(Group):
    """The group of a container in a scope of systemd, which cannot be before a process is in it."""

    def __init__(self, spec: Spec, host: Host | None) -> None:
        super().__init__(spec["linux"]["cgroupsPath"], host)
        self._spec = spec

    def dispensable(self) -> list[str]:
        """None: systemd makes them, and takes them away."""
        return []

    def enter(self, pid: int, places: t.Iterable[Place] | None = None) -> bool:
        """Move a process into the group; the first one brings it into being.

        In version 2, the scope gives no controllers before that process has left it for the group below.
        """
        if not self.exists:
            from .._cgroup import systemd

            slice_, _colon, scope = annotation(self._spec, _SCOPE).partition(":")
            systemd.start_scope(self.host, slice_, scope, pid)
            self.create()
            super().enter(pid)
            _fill(self, self._spec)
        return super().enter(pid, places)


def settle(spec: Spec, name: str, systemd: bool = False) -> None:
    """Give a description the path of its group in our form: from the root of the hierarchies, or below our base.

    Annotations by which we trust what we wrote ourselves are taken away: a bundle of others could have them, too.

    :param name: of the container, for a description without a path.
    :param systemd: whether systemd is to make the group; the path is ``SLICE:PREFIX:NAME`` then.
    :raises OptionError: it is no path.
    """
    for note in (_SCOPE, _LIMITS):
        annotate(spec, note, "")
    linux = spec["linux"]
    path = linux.get("cgroupsPath") or ("" if systemd else name)
    if not isinstance(path, str):
        raise OptionError(_FIELD, f"expected a path, got {path!r}")
    if systemd:
        linux["cgroupsPath"] = _scope_path(spec, path or f"system.slice:nsfleet:{name}")
        return
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise OptionError(_FIELD, f"expected a path below the root of the control groups, without '..', got {path!r}")
    linux["cgroupsPath"] = ("/" if path.startswith("/") else "") + "/".join(parts)


def _scope_path(spec: Spec, path: str) -> str:
    from .._cgroup import systemd

    slice_, *words = path.split(":")
    if len(words) != 2 or not words[1] or "/" in "".join(words):
        raise OptionError(_FIELD, f"expected SLICE:PREFIX:NAME, as for systemd, got {path!r}")
    scope = "-".join(filter(None, words)) + ".scope"
    try:
        folder = systemd.slice_path(slice_ or "system.slice")
    except ValueError as error:
        raise OptionError(_FIELD, str(error)) from error
    annotate(spec, _SCOPE, f"{slice_ or 'system.slice'}:{scope}")
    return f"{folder}/{scope}/{_INSIDE}"


def of(spec: Spec, host: Host | None = None) -> Group:
    """The group of a container.

    :param host: its hierarchies; found out if not given, here and in what follows.
    """
    return InScope(spec, host) if annotation(spec, _SCOPE) else Group(spec["linux"]["cgroupsPath"], host)


def refuse_used(spec: Spec, host: Host | None = None) -> None:
    """Refuse a group for a new container that others are in, or that is frozen, or below one that is.

    :raises OptionError: it is not fit (runtime-spec, config-linux, "Control groups").
    """
    group = of(spec, host)
    inside = group.processes(recursive=True) if group.hierarchies else []
    if inside:
        raise OptionError(_FIELD, f"{group.path} is not empty: process {inside[0]} is in it")
    frozen = group.frozen_by()
    if frozen:
        raise OptionError(_FIELD, f"{frozen} is frozen, and so would be the container")


def make(spec: Spec, host: Host | None = None) -> Group:
    """Make the group of a container, with its limits; one that is there becomes ours.

    :returns: the group; in a scope of systemd it is not there before the first process enters it.
    :raises NsfleetError: this host cannot.
    """
    group = of(spec, host)
    if isinstance(group, InScope):
        from .._cgroup import systemd

        systemd.need(group.host)
        _writes(group, spec)
    else:
        _fill(group, spec)
    return group


def _fill(group: Group, spec: Spec) -> None:
    from .resources import apply

    writes = _writes(group, spec)
    group.create(_controllers(spec, group, writes))
    if group.of_others:  # whoever calls has asked whether it may be taken over
        group.set_mark(OURS)
    apply(group, writes)
    owner = _owner(group, spec)
    if owner:
        group.delegate(owner, -1)


def controllers(spec: Spec, group: Group) -> set[str]:
    """The controllers that a container's group gets: for its limits, and what every container is to have."""
    return _controllers(spec, group, _writes(group, spec))


def _controllers(spec: Spec, group: Group, writes: t.Iterable[resources.Write]) -> set[str]:
    there = group.host.controllers()
    found = {name for name in _ALWAYS if name in there} | {each.controller for each in writes} - {""}
    if not _is_ours(spec):
        others = {name for name in _COUNTED if name in there}
        found |= others - {name for name, _reason in group.obstacles(others)}
    return found


def _owner(group: Group, spec: Spec) -> int:
    """Whom the group is to belong to: the payload's user, if it sees its own groups only and may change them.

    Only version 2 can be handed over safely (runtime-spec, config-linux, "Cgroup ownership").
    """
    linux = spec["linux"]
    own = any(each["type"] == "cgroup" and not each.get("path") for each in linux.get("namespaces") or ())
    if not own or group.host.mode != "unified" or not any(map(_shows_groups, spec.get("mounts") or ())):
        return 0
    from .usernamespace import on_host

    uid = spec["process"]["user"]["uid"]
    try:
        return on_host(linux.get("uidMappings") or (), uid)
    except KeyError:
        raise OptionError("process.user.uid", f"{uid} is not mapped into the user namespace") from None


def _shows_groups(mount: t.Mapping[str, t.Any]) -> bool:
    """Whether a mount lets the payload change groups."""
    place = mount.get("source"), mount.get("destination")
    return place == ("cgroup", "/sys/fs/cgroup") and "ro" not in (mount.get("options") or ())


def _writes(group: Group, spec: Spec) -> list[resources.Write]:
    from .resources import translate

    return translate(_resources(spec), group.host, _is_ours(spec))


def _resources(spec: Spec) -> resources.Resources:
    """The section, with the devices that are made for the container: what cannot be used is not there."""
    found = dict(spec["linux"].get("resources") or {})
    made = [each for each in spec["linux"].get("devices") or () if each["type"] != "p"]
    if made and not _is_ours(spec):
        entries = [
            {
                "allow": True, "type": "b" if each["type"] == "b" else "c", "major": each.get("major", 0),
                "minor": each.get("minor", 0), "access": "rwm",
            }
            for each in made
        ]  # fmt: skip
        found["devices"] = [*(found.get("devices") or ()), *entries]
    return found


def _is_ours(spec: Spec) -> bool:
    """Whether the container module wrote the resources of a description, see :func:`.resources.translate`."""
    return bool(annotation(spec, _LIMITS))


def update(spec: Spec, changes: resources.Resources) -> None:
    """Change the limits of a running container, and its description, which whoever calls keeps.

    :param changes: as ``update -r`` has them.
    :raises NsfleetError: a value makes no sense, or the kernel refused; all is as before then.
    """
    from .resources import update as changed

    linux = spec["linux"]
    merged = changed(of(spec), linux.get("resources") or {}, changes, _is_ours(spec))
    linux["resources"] = merged


def dispensable(name: str, host: Host) -> list[str]:
    """Directories that are there for a container's sake only, or will be.

    :param name: of its group.
    """
    return sorted({path for group in (Group(name, host), Group(_MONITORS, host)) for path in group.dispensable()})


def remove_unused(paths: t.Collection[str], everything: bool) -> None:
    """Remove such directories that a run which failed or was killed left.

    :param everything: the container's own, too, since there is no such container.
    """
    if not paths:
        return
    from .bundle import locked

    with locked(alone=True):
        Group(_MONITORS).remove_unused(paths, everything)


def kill(spec: Spec) -> None:
    """Kill whatever is left in the group of a container; one whose start failed has none.

    :raises NsfleetError: a process cannot be killed.
    """
    group = of(spec)
    if group.exists:
        group.kill()


def remove(spec: Spec, host: Host | None = None) -> None:
    """Remove the group of a container, with whatever is still in it; a group that others made stays.

    :raises NsfleetError: a process cannot be killed.
    """
    group = of(spec, host)
    if group.exists and not group.of_others:
        group.kill()
        group.remove()
    if annotation(spec, _SCOPE):
        from .._cgroup import systemd

        systemd.stop_scope(annotation(spec, _SCOPE).partition(":")[2])


def draft(spec: Spec) -> Spec:
    """A description with a group of its own beside the container's, for a container that is only tried out."""
    linux = {**spec["linux"], "cgroupsPath": spec["linux"]["cgroupsPath"] + _DRAFT}
    unified = (linux.get("resources") or {}).get("unified") or {}
    if unified:
        shared = {file: text for file, text in unified.items() if file not in _EXCLUSIVE}
        linux["resources"] = {**linux["resources"], "unified": shared}
    return {**spec, "linux": linux}


def remove_draft(name: str) -> None:
    """Remove the group of a container that was tried out, with its process; by its name it is ours, half-made or whole.

    :param name: of the container's own group.
    :raises NsfleetError: the process cannot be killed.
    """
    group = Group(name + _DRAFT)
    if group.exists:
        group.kill()
    if group.hierarchies:
        group.remove()


def monitors(host: Host | None = None) -> Group:
    """The group of the monitors, which are not to be in those of their callers, whose end or limits are not theirs.

    Who makes it and enters it holds the lock of what containers have in common (:func:`.bundle.locked`), since whoever
    has it alone removes the group if nobody is in it.

    :param host: its hierarchies; found out if not given.
    """
    group = Group(_MONITORS, host)
    group.create({name for name in ("cpu", "memory", "pids") if name in group.host.controllers()})
    return group


def remove_empty() -> None:
    """Remove the group of the monitors if no monitor is left in it."""
    from .bundle import locked

    group = Group(_MONITORS)
    if not group.exists or any(map(process.start_time, group.processes())):
        return
    group.wait_empty(1.0)  # the kernel takes out those that have ended a moment later
    with locked(alone=True):
        if group.exists and not group.processes():
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
