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
from .._kernel import mount, mount_api, path
from .._model.errors import NsfleetError

#: Option to (attribute, whether it is set or cleared).
_ATTRIBUTES: t.Final = {
    "ro": (mount_api.READ_ONLY, True), "rw": (mount_api.READ_ONLY, False),
    "nosuid": (mount_api.NO_SUID, True), "suid": (mount_api.NO_SUID, False),
    "nodev": (mount_api.NO_DEV, True), "dev": (mount_api.NO_DEV, False),
    "noexec": (mount_api.NO_EXEC, True), "exec": (mount_api.NO_EXEC, False),
    "noatime": (mount_api.NO_ACCESS_TIME, True), "strictatime": (mount_api.STRICT_ACCESS_TIME, True),
    "relatime": (mount_api.ACCESS_TIME_MASK, False),
    "nodiratime": (mount_api.NO_DIRECTORY_ACCESS_TIME, True), "diratime": (mount_api.NO_DIRECTORY_ACCESS_TIME, False),
    "nosymfollow": (mount_api.NO_SYMLINKS, True), "symfollow": (mount_api.NO_SYMLINKS, False),
}  # fmt: skip
#: Option to (propagation, whether of all mounts below, too).
_PROPAGATION: t.Final = {
    "private": (mount.MS_PRIVATE, False), "rprivate": (mount.MS_PRIVATE, True),
    "slave": (mount.MS_SLAVE, False), "rslave": (mount.MS_SLAVE, True),
    "shared": (mount.MS_SHARED, False), "rshared": (mount.MS_SHARED, True),
    "unbindable": (mount.MS_UNBINDABLE, False), "runbindable": (mount.MS_UNBINDABLE, True),
}  # fmt: skip
#: Options of mount(8) that change nothing here.
_IGNORED: t.Final = frozenset({"defaults", "async", "norelatime", "nostrictatime", "atime"})

#: File systems whose place in the root must be a directory, and no link to one (CVE-2019-19921 and its kin).
_AT_THEIR_PLACE: t.Final = frozenset({"proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"})


def known_options() -> list[str]:
    """All options that mean the same for every file system, sorted."""
    return sorted({*_ATTRIBUTES, *_PROPAGATION, *_IGNORED, "bind", "rbind", "idmap"})


class Options(t.NamedTuple):
    """What the options of one mount mean."""

    bind: bool
    recursive: bool
    attributes: int
    cleared: int
    propagation: tuple[tuple[int, bool], ...]
    idmap: bool
    filesystem: dict[str, str | None]  #: options that belong to the file system


def parse_options(words: t.Iterable[str]) -> Options:
    """Options of a mount, sorted by what they are (runtime-spec, config-linux, "Linux mount options").

    :raises NsfleetError: one is known, but not supported here.
    """
    attributes = cleared = 0
    bind = recursive = idmap = False
    propagation = []
    filesystem: dict[str, str | None] = {}
    for word in words:
        if word in _ATTRIBUTES:
            bit, on = _ATTRIBUTES[word]
            attributes, cleared = (attributes | bit, cleared & ~bit) if on else (attributes & ~bit, cleared | bit)
        elif word in ("bind", "rbind"):
            bind, recursive = True, word == "rbind"
        elif word in _PROPAGATION:
            propagation.append(_PROPAGATION[word])
        elif word == "idmap":
            idmap = True
        elif word not in _IGNORED:
            name, equals, value = word.partition("=")
            filesystem[name] = value if equals else None
    return Options(bind, recursive, attributes, cleared, tuple(propagation), idmap, filesystem)


class Mount:
    """One mount, with all that can be prepared outside the container.

    :param entry: an element of ``mounts`` of the runtime-spec.
    :param bundle: directory that relative sources are relative to.
    :raises NsfleetError: its source is not there.
    """

    def __init__(self, entry: t.Mapping[str, t.Any], bundle: str) -> None:
        self.destination: str = entry["destination"]
        self.kind: str = entry.get("type") or "bind"
        self.source: str = entry.get("source") or self.kind
        self.options = parse_options(entry.get("options") or ())
        self.bind = self.options.bind or self.kind == "bind"
        self.descriptor: int | None = None
        if self.bind:
            self.descriptor = _open_source(os.path.join(bundle, entry.get("source") or ""), self)

    def prepare(self, user_namespace: int | None) -> None:
        """Do what only a process with all rights can do.

        :raises NsfleetError: the file system cannot show its files with other owners.
        """
        if self.descriptor is None or not self.options.idmap or user_namespace is None:
            return
        try:
            mount_api.map_ids(self.descriptor, user_namespace, self.options.recursive)
        except OSError as error:
            raise NsfleetError(f"mounts[{self.destination}]: idmap: {error.strerror}") from error

    def attach(self, root: int) -> None:
        """Mount it in the container's root; runs inside.

        :param root: descriptor of the root.
        :raises OSError: the kernel refused, or its place is a link.
        """
        source = self.make() if self.descriptor is None else self.descriptor
        target = self._target(root, source)
        mount_api.attach(source, target)
        os.close(target)
        if self.bind and (self.options.attributes or self.options.cleared):
            mount_api.set_attributes(source, self.options.attributes, self.options.cleared)
        for propagation, recursive in self.options.propagation:
            mount_api.propagate(source, propagation, recursive)

    def make(self) -> int:
        """A detached mount of a new file system.

        :raises OSError: the kernel refused.
        """
        options = {"source": self.source, **self.options.filesystem}
        return mount_api.new_filesystem(self.kind, options, self.options.attributes)

    def _target(self, root: int, source: int) -> int:
        if self.kind in _AT_THEIR_PLACE:
            try:
                return path.open_in(root, self.destination, os.O_PATH | os.O_DIRECTORY, follow=False)
            except FileNotFoundError:
                return path.make_directory(root, self.destination)
        if stat.S_ISDIR(os.fstat(source).st_mode):
            return path.make_directory(root, self.destination)
        return path.make_file(root, self.destination)


class ControlGroups(Mount):
    """The control group hierarchies, which together are one mount of the runtime-spec: type ``cgroup``.

    Inside a control group namespace each shows the container's own group as its root.
    """

    def __init__(self, entry: t.Mapping[str, t.Any], bundle: str) -> None:
        super().__init__(entry, bundle)
        self.hierarchies = detect().hierarchies

    def attach(self, root: int) -> None:
        """Version 2 alone at the place itself; with version 1, each hierarchy in a directory of its own."""
        if len(self.hierarchies) == 1 and self.hierarchies[0].version == 2:
            self._attach_one(root, self.destination, self.hierarchies[0])
            return
        folder = mount_api.new_filesystem("tmpfs", {"mode": "0755"}, self.options.attributes & ~mount_api.READ_ONLY)
        target = self._target(root, folder)
        mount_api.attach(folder, target)
        os.close(target)
        for hierarchy in self.hierarchies:
            self._attach_one(root, os.path.join(self.destination, _last(hierarchy.mount_point)), hierarchy)
        mount_api.set_attributes(folder, self.options.attributes)

    def _attach_one(self, root: int, place: str, hierarchy: Hierarchy) -> None:
        if hierarchy.version == 2:
            source = mount_api.new_filesystem("cgroup2", {}, self.options.attributes)
        else:
            names = ("blkio" if name == "io" else name for name in hierarchy.controllers)
            options = dict(name.partition("=")[::2] if "=" in name else (name, None) for name in names)
            if "name" in options:
                options["none"] = None  # a hierarchy without controllers
            source = mount_api.new_filesystem("cgroup", options, self.options.attributes)
        target = path.make_directory(root, place)
        mount_api.attach(source, target)
        os.close(target)
        os.close(source)


def prepare_mount(entry: t.Mapping[str, t.Any], bundle: str) -> Mount:
    """The mount of an element of ``mounts`` of the runtime-spec."""
    kind = ControlGroups if entry.get("type") == "cgroup" else Mount
    return kind(entry, bundle)


def _last(place: str) -> str:
    return place.rpartition("/")[2]


def _open_source(source: str, entry: Mount) -> int:
    try:
        return mount_api.clone_tree(source, entry.options.recursive)
    except OSError as error:
        raise NsfleetError(f"mounts[{entry.destination}].source: {source}: {error.strerror}") from error


def mask(root: int, places: t.Iterable[str], null: int) -> None:
    """Hide files behind ``/dev/null`` and directories behind an empty read-only file system; runs inside.

    :param null: descriptor of a device that was made by us, not of what is called so in the root.
    :raises OSError: the kernel refused.
    """
    for place in places:
        target = _there(root, place)
        if target is None:
            continue
        if stat.S_ISDIR(os.fstat(target).st_mode):
            cover = mount_api.new_filesystem("tmpfs", {"size": "0", "nr_inodes": "1"}, mount_api.READ_ONLY)
        else:
            cover = mount_api.clone_tree(null, recursive=False)
        mount_api.attach(cover, target)
        os.close(target)
        os.close(cover)


def protect(root: int, places: t.Iterable[str]) -> None:
    """Make places read-only; runs inside.

    :raises OSError: the kernel refused.
    """
    for place in places:
        target = _there(root, place)
        if target is None:
            continue
        cover = mount_api.clone_tree(target)
        mount_api.attach(cover, target)
        mount_api.set_attributes(cover, mount_api.READ_ONLY)
        os.close(target)
        os.close(cover)


def _there(root: int, place: str) -> int | None:
    """Open what is at a place; a kernel without it has nothing to hide."""
    try:
        return path.open_in(root, place, os.O_PATH)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
            return None
        raise
