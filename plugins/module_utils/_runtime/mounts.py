# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts of a container: options as the OCI runtime-spec has them, sources opened outside, targets opened inside."""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from .._cgroup.hierarchy import Hierarchy, detect
from .._kernel import mount_api, path
from .._model.errors import NsfleetError
from . import usernamespace
from .copy_up import copy_up
from .mount_options import Attributes, objection, parse_options, without_data

if t.TYPE_CHECKING:
    from .._cgroup.group import Group

#: File systems whose place in the root must be a directory, and no link to one (CVE-2019-19921 and its kin).
_OF_THE_KERNEL: t.Final = frozenset({"proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"})


#: File systems whose labels the policy has, not who mounts them.
_LABELLED_BY_POLICY: t.Final = _OF_THE_KERNEL - {"devpts"}


class Mount:
    """One mount, with all that can be prepared outside the container.

    :param entry: an element of ``mounts`` of the runtime-spec.
    :param bundle: directory that relative sources are relative to.
    :param label: for SELinux, of all files of a file system that is made new (mount(8), ``context``).
    :raises NsfleetError: its source is not there, or its options do not fit.
    """

    def __init__(self, entry: t.Mapping[str, t.Any], bundle: str, label: str = "") -> None:
        self.destination: str = entry["destination"]
        self.kind: str = entry.get("type") or "bind"
        self.source: str = entry.get("source") or self.kind
        self.label = "" if self.kind in _LABELLED_BY_POLICY else label
        self.mappings = entry.get("uidMappings") or (), entry.get("gidMappings") or ()
        try:
            self.options = parse_options(entry.get("options") or ())
        except ValueError as error:
            raise self.error(".options", str(error)) from error
        self.bind = self.options.bind or self.kind == "bind"
        if self.bind:
            self.options = without_data(self.options)
        self._check()
        self.descriptor: int | None = None  #: of the mount, as soon as it is made
        self.waits = False  #: whether it is mounted already, but not at its destination
        if self.bind:
            self.descriptor = self._open_source(os.path.join(bundle, entry.get("source") or ""))

    def error(self, field: str, words: str) -> NsfleetError:
        """What is wrong with it, with the path of the field."""
        return NsfleetError(f"mounts[{self.destination}]{field}: {words}")

    def _check(self) -> None:
        words = objection(self.kind, self.options, any(self.mappings))
        if words:
            raise self.error(".options", words)
        if bool(self.mappings[0]) != bool(self.mappings[1]):
            raise self.error(".uidMappings", "expected both uidMappings and gidMappings, or neither")

    @property
    def maps_ids(self) -> bool:
        """Whether its files are shown with other owners."""
        return self.options.idmap or any(self.mappings)

    def _open_source(self, source: str) -> int:
        try:
            return mount_api.clone_tree(source, self.options.recursive)
        except OSError as error:
            raise self.error(".source", f"{source}: {error.strerror}") from error

    def prepare(self, user_namespace: int | None) -> None:
        """Do what only a process with all rights can do.

        :param user_namespace: that of the container, whose mappings are used if the mount has none of its own.
        :raises NsfleetError: the file system cannot show its files with other owners, or it is not said which.
        """
        if self.descriptor is None or not self.maps_ids:
            return
        own = usernamespace.make(*self.mappings) if any(self.mappings) else None
        namespace = user_namespace if own is None else own
        if namespace is None:
            words = "expected uidMappings and gidMappings, or a user namespace of the container"
            raise self.error(": idmap", words)
        try:
            mount_api.map_ids(self.descriptor, namespace, self.options.idmap_below)
        except OSError as error:
            raise self.error(": idmap", error.strerror or str(error)) from error
        finally:
            if own is not None:
                os.close(own)

    def wait(self, folder: int, name: str) -> None:
        """Be mounted elsewhere, in the mount namespace of the container, and be copied when it is its turn.

        Linux lists mounts by their age (since 6.8), and who reads that takes a later line to cover an earlier one.

        :param folder: descriptor of a directory in which the name is free.
        :raises OSError: the kernel refused.
        """
        if self.descriptor is None:
            return
        if stat.S_ISDIR(os.fstat(self.descriptor).st_mode):
            os.mkdir(name, dir_fd=folder)
        else:
            os.mknod(name, dir_fd=folder)
        target = os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=folder)
        mount_api.attach(self.descriptor, target)
        os.close(target)
        self.waits = True

    def attach(self, root: int, propagation: int | None) -> None:
        """Mount it in the container's root; runs inside.

        :param root: descriptor of the root.
        :param propagation: what a bind mount that is shared with the host becomes; ``None``: it stays shared.
        :raises OSError: the kernel refused, or its place is a link.
        """
        if self.options.remount and not self.bind:
            self._remount(root)
            return
        source = self._made()
        place = self._target(root, source)
        if self.options.copy_up:
            copy_up(place, source)
        mount_api.attach(source, place)
        os.close(place)
        if self.bind:
            if propagation is not None:
                mount_api.propagate(source, propagation)
            _set_attributes(source, self.options.attributes)
        self._set_below(source)
        self.descriptor = source

    def finish(self) -> None:
        """Make it read-only if that had to wait until other mounts and devices were put into it; runs inside.

        :raises OSError: the kernel refused.
        """
        if self.kind == "tmpfs" and self.options.attributes.set & mount_api.READ_ONLY and self.descriptor is not None:
            mount_api.set_attributes(self.descriptor, mount_api.READ_ONLY)

    def holds(self, place: str) -> bool:
        """Whether it is mounted by now, and a place is in it."""
        above = os.path.normpath(self.destination).rstrip("/")
        return self.descriptor is not None and f"{os.path.normpath(place)}/".startswith(f"{above}/")

    def open(self, place: str) -> int:
        """Open what is at a place that it holds (O_PATH).

        :raises OSError: there is nothing; ``ELOOP``: a link is on the way, which may lead out of this mount.
        """
        here, below = t.cast("int", self.descriptor), os.path.relpath(place, self.destination)
        return os.dup(here) if below == "." else path.open_in(here, below, os.O_PATH, follow=False)

    def _made(self) -> int:
        if self.descriptor is None:
            return self.make()
        return mount_api.clone_tree(self.descriptor) if self.waits else self.descriptor

    def make(self) -> int:
        """A detached mount of a new file system.

        :raises OSError: the kernel refused.
        """
        attributes, options = self.options.attributes.set, [("source", self.source), *self.options.filesystem]
        if self.kind == "tmpfs":
            attributes &= ~mount_api.READ_ONLY
        elif attributes & mount_api.READ_ONLY and self.kind not in _OF_THE_KERNEL:
            options.append(("ro", None))  # not even the file system itself writes to what it is on
        if self.label:
            options.append(("context", self.label))
        return mount_api.new_filesystem(self.kind, options, attributes)

    def _remount(self, root: int) -> None:
        """Change what is mounted at the place already."""
        there = path.open_in(root, self.destination, os.O_PATH)
        if self.options.filesystem:
            mount_api.reconfigure(there, self.options.filesystem)
        _set_attributes(there, self.options.attributes)
        self._set_below(there)
        os.close(there)

    def _set_below(self, there: int) -> None:
        """What may be for all mounts below, too."""
        _set_attributes(there, self.options.below, recursive=True)
        for kind, recursive in self.options.propagations:
            mount_api.propagate(there, kind, recursive)

    def _target(self, root: int, source: int) -> int:
        if self.kind in _OF_THE_KERNEL:
            return path.plain_directory(root, self.destination)
        if stat.S_ISDIR(os.fstat(source).st_mode):
            return path.make_directory(root, self.destination)
        return path.make_file(root, self.destination)


def _set_attributes(target: int, attributes: Attributes, recursive: bool = False) -> None:
    if attributes.set or attributes.cleared:
        mount_api.set_attributes(target, attributes.set, attributes.cleared, recursive)


class ControlGroups(Mount):
    """The control group hierarchies, which together are one mount of the runtime-spec: type ``cgroup``.

    Each shows the container's own group as its root: by itself inside a control group namespace, else by a bind mount.
    Then a hierarchy in which the container has no group of its own is an empty directory, as nothing there is its.

    :param group: that of the container, if it has no control group namespace that is not the host's.
    """

    def __init__(self, entry: t.Mapping[str, t.Any], bundle: str, group: Group | None) -> None:
        super().__init__(entry, bundle)
        self.group = group
        self.hierarchies = detect().hierarchies

    def attach(self, root: int, propagation: int | None) -> None:
        """Version 2 alone at the place itself; with version 1, each hierarchy in a directory of its own."""
        del propagation  # of the file systems of the control groups, which are new
        if len(self.hierarchies) == 1 and self.hierarchies[0].version == 2:
            self._attach_one(root, self.destination, self.hierarchies[0])
            return
        folder = mount_api.new_filesystem(
            "tmpfs", [("mode", "0755")], self.options.attributes.set & ~mount_api.READ_ONLY
        )
        target = self._target(root, folder)
        mount_api.attach(folder, target)
        os.close(target)
        for hierarchy in self.hierarchies:
            self._attach_one(root, os.path.join(self.destination, _last(hierarchy.mount_point)), hierarchy)
        mount_api.set_attributes(folder, self.options.attributes.set)

    def _attach_one(self, root: int, place: str, hierarchy: Hierarchy) -> None:
        target = path.make_directory(root, place)
        source = self._new(hierarchy) if self.group is None else self._bound(self.group.directory(hierarchy))
        if source is not None:
            mount_api.attach(source, target)
            os.close(source)
        os.close(target)

    def _new(self, hierarchy: Hierarchy) -> int:
        """A detached mount of a hierarchy, whose root is that of the control group namespace."""
        if hierarchy.version == 2:
            return mount_api.new_filesystem("cgroup2", (), self.options.attributes.set)
        names = ("blkio" if name == "io" else name for name in hierarchy.controllers)
        options = dict(name.partition("=")[::2] if "=" in name else (name, None) for name in names)
        if "name" in options:
            options["none"] = None  # a hierarchy without controllers
        return mount_api.new_filesystem("cgroup", options.items(), self.options.attributes.set)

    def _bound(self, directory: str) -> int | None:
        """A detached bind mount of a group, which is there since the process is in it; ``None``: there is none."""
        try:
            source = mount_api.clone_tree(directory, recursive=False)
        except FileNotFoundError:
            return None
        _set_attributes(source, self.options.attributes)
        return source


def prepare_mount(entry: t.Mapping[str, t.Any], bundle: str, group: Group | None, label: str) -> Mount:
    """The mount of an element of ``mounts`` of the runtime-spec.

    :param group: see :class:`ControlGroups`.
    :param label: see :class:`Mount`.
    """
    return ControlGroups(entry, bundle, group) if entry.get("type") == "cgroup" else Mount(entry, bundle, label)


def _last(place: str) -> str:
    return place.rpartition("/")[2]


#: Options of an empty file system.
_NOTHING: t.Final = (("size", "0"), ("nr_inodes", "1"))


def mask(root: int, mounted: t.Sequence[Mount], places: t.Iterable[str], null: int) -> None:
    """Hide files behind ``/dev/null`` and directories behind an empty read-only file system; runs inside.

    :param mounted: what is mounted in the root by now.
    :param null: descriptor of a device that was made by us, not of what is called so in the root.
    :raises OSError: the kernel refused.
    """
    for place in places:
        target = _there(root, mounted, place)
        if target is None:
            continue
        if stat.S_ISDIR(os.fstat(target).st_mode):
            cover = mount_api.new_filesystem("tmpfs", _NOTHING, mount_api.READ_ONLY)
        else:
            cover = mount_api.clone_tree(null, recursive=False)
        mount_api.attach(cover, target)
        os.close(target)
        os.close(cover)


def protect(root: int, mounted: t.Sequence[Mount], places: t.Iterable[str]) -> None:
    """Make places read-only; runs inside.

    :param mounted: what is mounted in the root by now.
    :raises OSError: the kernel refused.
    """
    for place in places:
        target = _there(root, mounted, place)
        if target is None:
            continue
        cover = mount_api.clone_tree(target)
        mount_api.attach(cover, target)
        mount_api.set_attributes(cover, mount_api.READ_ONLY)
        os.close(target)
        os.close(cover)


def _there(root: int, mounted: t.Sequence[Mount], place: str) -> int | None:
    """Open what is at a place; a kernel without it has nothing to hide."""
    try:
        return _open(root, mounted, place)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return None
        raise


def _open(root: int, mounted: t.Sequence[Mount], place: str) -> int:
    """Open what is at a place: in the mount that holds it, whatever the path to that mount leads to by now.

    Who shares the root can put another directory where ``/proc`` was a moment ago (CVE-2019-19921, CVE-2025-31133).
    """
    holder = next((entry for entry in reversed(mounted) if entry.holds(place)), None)
    try:
        if holder is not None:
            return holder.open(place)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    return path.open_in(root, place, os.O_PATH)
