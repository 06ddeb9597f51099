# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a container is on disk: its bundle, its private layer, its log.

/var/lib/nsfleet/containers/NAME/   mode 0700: nobody reaches what is inside but root
    config.json                     the OCI bundle's description
    rootfs/                         empty; the place in which the root is put together, seen by the container only
    upper*/ work*/                  its private layer, if it has one on disk; its description says which is its own
    tree*/                          the copy of its image that is its root, if it has one; likewise
    log                             standard output and standard error
    monitor.log                     what its monitor has to say
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import typing as t

from .._kernel import files
from .._model.errors import NsfleetError
from .spec import Spec, annotation, fixed, layer, own_tree, shared_layers

DIRECTORY: t.Final = "/var/lib/nsfleet/containers"
#: What containers share: the runtime's archive, compiled filters of system calls.
SHARED: t.Final = "/var/lib/nsfleet/lib"

#: What every description has.
_SECTIONS: t.Final = ("root", "process", "linux")
_REMEDY: t.Final = "remove the container (state: absent) and make it anew"


class Damaged(NsfleetError):
    """The description of a container is not there, or is none."""


class Bundle:
    """The bundle of one container.

    :param name: of the container.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.directory = os.path.join(DIRECTORY, name)
        self.config = os.path.join(self.directory, "config.json")
        self.stage = os.path.join(self.directory, "rootfs")
        self.log = os.path.join(self.directory, "log")
        self._spec: Spec | None = None

    @property
    def exists(self) -> bool:
        """Whether there is such a container."""
        return os.path.exists(self.config)

    @property
    def spec(self) -> Spec:
        """Its description.

        :raises Damaged: it is not there, or it is damaged.
        """
        if self._spec is None:
            try:
                spec = json.loads(files.read_text(self.config) or "")
            except (OSError, ValueError) as error:
                raise Damaged(f"{self.config} is damaged ({error}); {_REMEDY}") from error
            if not _is_description(spec):
                raise Damaged(f"{self.config} is damaged (it is no description of a container); {_REMEDY}")
            self._spec = spec
        return self._spec

    def salvage(self, group: str) -> None:
        """Take a damaged description for one of which only the control group is known, so that it can be removed.

        :param group: its control group.
        """
        try:
            self._spec = self.spec
        except Damaged:
            self._spec = {"root": {}, "process": {}, "linux": {"cgroupsPath": group, "namespaces": []}}

    @property
    def digest(self) -> str:
        """What tells a description from one that needs another start of the container."""
        return hashlib.sha256(json.dumps(fixed(self.spec), sort_keys=True).encode()).hexdigest()

    def write(self, spec: Spec) -> None:
        """Put a description and all that belongs to it on disk.

        :raises NsfleetError: it asks for something that is not supported.
        """
        from .schema import check  # a run that only reads has nothing to check

        check(spec)
        os.makedirs(self.stage, mode=0o700, exist_ok=True)
        for folder in (os.path.dirname(DIRECTORY), DIRECTORY, self.directory):
            os.chmod(folder, 0o700)
        for name in _layer(spec):
            os.makedirs(os.path.join(self.directory, name), mode=0o755, exist_ok=True)
        files.write_whole(self.config, json.dumps(spec, sort_keys=True) + "\n")
        self._spec = spec

    def free_layer(self) -> str:
        """What a description says of a private layer that there is not yet: the end of its directories' names."""
        there = self._layers()
        endings = ("", *(f".{number}" for number in range(2, len(there) + 3)))
        return next(ending for ending in endings if there.isdisjoint((f"upper{ending}", f"tree{ending}")))

    def spare_layers(self) -> list[str]:
        """Directories of private layers that are not its own: they are of descriptions that it had, or was to have."""
        own = _layer(self.spec) if self.exists else ()
        return sorted(self._layers().difference(own))

    def forget_layers(self, names_: t.Iterable[str]) -> None:
        """Remove such directories."""
        for name in names_:
            files.remove_tree(os.path.join(self.directory, name))

    def _layers(self) -> set[str]:
        return {name for name in files.list_directory(self.directory) if name.startswith(("upper", "work", "tree"))}

    def remove(self) -> None:
        """Remove the container from disk. Its root file system is not part of it and stays."""
        self.forget_layers(self._layers())
        for name in (self.log, self.config, os.path.join(self.directory, "monitor.log")):
            files.remove(name)
        files.remove_empty(self.stage)


def _layer(spec: Spec) -> t.Sequence[str]:
    """Names of the directories that are a container's own."""
    if annotation(spec, "overlay") == "disk":
        return layer(spec)
    return [name for name in (own_tree(spec),) if name]


def _is_description(spec: t.Any) -> bool:
    """Whether decoded JSON has the sections of a description, and the control group by which we find its processes."""
    sections = isinstance(spec, dict) and all(isinstance(spec.get(section), dict) for section in _SECTIONS)
    return sections and isinstance(spec["linux"].get("cgroupsPath"), str)


@contextlib.contextmanager
def locked(alone: bool) -> t.Iterator[int]:
    """Lock what containers have in common, which is for who holds the lock of one of them.

    :param alone: whether nobody else may hold it meanwhile (flock(2)).
    :returns: descriptor. A child that has a copy of it holds the lock, too, until it closes that.
    """
    os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
    fd = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield fd
    finally:
        os.close(fd)


def names() -> list[str]:
    """Names of all containers on this host, sorted."""
    return [name for name in files.list_directory(DIRECTORY) if Bundle(name).exists]


class Used(t.NamedTuple):
    """What of the store of images containers have."""

    images: set[str]  #: digests of manifests
    layers: set[str]  #: directories


def used_images() -> Used | None:
    """What containers have; ``None``: a description is damaged, and may have anything."""
    used = Used(set(), set())
    try:
        for spec in (Bundle(name).spec for name in names()):
            digest = annotation(spec, "image-digest")
            if digest:
                used.images.add(digest)
                used.layers.update(shared_layers(spec))
    except Damaged:
        return None
    return used


def users_of(path: str) -> list[str]:
    """Names of containers that have a directory, or what is in it, as their root or mounted in it.

    :param path: of the directory, without links.
    :raises Damaged: a description is, and may name anything.
    """
    inside = f"{path}/"
    return [name for name in names() if any(f"{each}/".startswith(inside) for each in _directories(Bundle(name).spec))]


def _directories(spec: Spec) -> t.Iterator[str]:
    """Directories of the host that a container has, without links."""
    mounted = (str(each.get("source") or "") for each in spec.get("mounts") or ())
    for place in (*shared_layers(spec), *mounted):
        if place.startswith("/"):
            yield os.path.realpath(place)


def any_left() -> bool:
    """Whether there is a container on this host."""
    return any(Bundle(name).exists for name in files.list_directory(DIRECTORY))
