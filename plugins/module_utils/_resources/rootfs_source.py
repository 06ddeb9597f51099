# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tree is made of: a directory, an image, or the host.

Archives are in :mod:`.rootfs_archive`, packages in :mod:`.rootfs_debootstrap`.
"""

from __future__ import annotations

import abc
import os
import stat
import typing as t

from .._kernel.directories import mounted_in, opened
from .._model.errors import Missing, OptionError
from .._model.field import State

if t.TYPE_CHECKING:
    from .rootfs_record import Made


class Origin(t.NamedTuple):
    """What a tree was made of, when that was done."""

    digest: str | None  #: what it was; empty where nobody can tell; ``None``: that of the tree that came of it
    seen: State  #: by what it is seen that it is still the same


class Source(abc.ABC):
    """What trees are made of."""

    #: Whether it gives the same tree each time.
    repeatable = True

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What people call it; a tree of one of another name is made anew."""

    @property
    def options(self) -> State:
        """How it is made, if options say that."""
        return {}

    @abc.abstractmethod
    def digest(self, made: Made | None, look: bool) -> str:
        """What it is now; empty where only making it would tell.

        :param made: what is known of the tree; what cannot be asked any more is what it was then.
        :param look: whether all of it may be read.
        """

    @abc.abstractmethod
    def obstacles(self) -> t.Iterator[Exception]:
        """Why a tree cannot be made of it now: :class:`OptionError`, or :class:`Missing` for what may come."""

    @abc.abstractmethod
    def fill(self, place: str) -> Origin:
        """Make a tree.

        :param place: an empty directory that nobody else writes to.
        :raises NsfleetError: it cannot be made.
        :raises OSError: the file system refused.
        """


class Directory(Source):
    """A directory of the host, without what is mounted in it.

    :param path: of the directory.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def name(self) -> str:
        """With its path."""
        return f"directory {self._path}"

    def digest(self, made: Made | None, look: bool) -> str:
        """That of the tree that would come of it."""
        from .._image import tree

        if made is None:
            return ""
        if not (look and made.origin and os.path.isdir(self._path)):
            return made.source_digest
        closed = self._closed()
        with opened(os.path.realpath(self._path)) as folder:
            if tree.stamp(folder, closed) == made.origin.get("stamp"):
                return made.source_digest
            seen = tree.look(folder, True, closed=closed)
        copied = {path: each for path, each in seen.items() if each.entry.kind != stat.S_IFSOCK}
        return tree.digest_of(copied)

    def obstacles(self) -> t.Iterator[Exception]:
        """It is not there."""
        if not os.path.exists(self._path):
            yield Missing(f"directory: there is no {self._path}")
        elif not os.path.isdir(self._path):
            yield OptionError("directory", f"expected a directory, and {self._path} is none")

    def fill(self, place: str) -> Origin:
        """Copy it."""
        from .._image import tree
        from .._image.copy import copy

        closed = self._closed()
        with opened(os.path.realpath(self._path)) as folder, opened(place) as root:
            stamp = tree.stamp(folder, closed)
            copy(folder, root, closed=closed)
        return Origin(None, {"stamp": stamp})

    def _closed(self) -> list[str]:
        """Paths in it that something is mounted at."""
        path = os.path.realpath(self._path)
        return [os.path.relpath(each, path) for each in mounted_in(path) if each != path]


class Image(Source):
    """An image in the store, with all its layers in one tree.

    :param reference: its canonical name.
    """

    name = "image"

    def __init__(self, reference: str) -> None:
        self._reference = reference

    def digest(self, made: Made | None, look: bool) -> str:
        """That of its manifest."""
        from . import container_image

        del look
        stored = container_image.find(self._reference)
        if stored is not None:
            return stored.digest
        return made.source_digest if made else ""

    def obstacles(self) -> t.Iterator[Exception]:
        """The store does not have it."""
        from . import container_image

        if container_image.find(self._reference) is None:
            yield container_image.missing(self._reference)

    def fill(self, place: str) -> Origin:
        """Unpack its layers over each other."""
        from .._image.store import Store
        from . import container_image

        stored = container_image.find(self._reference)
        if stored is None:
            raise container_image.missing(self._reference)
        with opened(place) as root:
            Store().unpack(stored.digest, root)
        return Origin(stored.digest, {})


class Host(Source):
    """The programs of the host, to be mounted, and what of its settings they need."""

    name = "host"

    def digest(self, made: Made | None, look: bool) -> str:
        """Nobody asks: a tree is that of the host as it was then, until it is made anew."""
        del made, look
        return ""

    def obstacles(self) -> t.Iterator[Exception]:
        """None."""
        return iter(())

    def fill(self, place: str) -> Origin:
        """Make directories, links and settings."""
        from . import rootfs_host

        rootfs_host.build(place)
        return Origin("", {})
