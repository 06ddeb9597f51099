# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network namespace to work in: its descriptor, its identity and one socket, opened when they are needed."""

from __future__ import annotations

import collections
import errno
import os
import socket as sockets
import typing as t
import weakref

from .._kernel import netns, once, process
from .._kernel.namespace import Identity, identity
from .link import namespace_id
from .message import Socket

#: Most namespaces that are open at once: each has two descriptors, of which a process usually may have 1024.
_MOST = 200


class Namespace:
    """A network namespace; its descriptors go with the object.

    Of many, those that were opened first are closed again, and opened anew when they are needed.

    :param reference: as in the options: a name, a path, a process id, or empty for the caller's own.
    :raises OSError: there is no such namespace.
    """

    _opened: t.ClassVar[collections.deque[weakref.ref[Namespace]]] = collections.deque()

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self._fd: int | None = netns.open_reference(reference)
        self.identity = identity(self._fd)
        #: A socket of this namespace.
        self.socket: Socket = _Socket(self)
        self._count()

    @classmethod
    def of(cls, reference: str) -> Namespace:
        """The namespace of a reference; while nothing is changed, one object for all who ask.

        :raises OSError: there is no such namespace.
        """
        return once.ask(("network namespace", netns.reference_path(reference)), lambda: cls(reference))

    @classmethod
    def find(cls, reference: str) -> Namespace | None:
        """The namespace of a reference as :meth:`of` gives it, ``None`` if there is none."""
        try:
            return cls.of(reference)
        except OSError:
            return None

    @property
    def fd(self) -> int:
        """A descriptor of it.

        :raises OSError: it was closed meanwhile, and its reference leads to another namespace by now, or to none.
        """
        if self._fd is None:
            self._reopen()
        return t.cast(int, self._fd)

    def _reopen(self) -> None:
        fd = netns.open_reference(self.reference)
        if identity(fd) != self.identity:
            os.close(fd)
            raise OSError(errno.ESTALE, f"{self.reference} is another network namespace by now")
        self._fd = fd
        self._count()

    def _count(self) -> None:
        self._opened.append(weakref.ref(self))
        if len(self._opened) > _MOST:
            oldest = self._opened.popleft()()
            if oldest is not None:
                oldest.close()

    def close(self) -> None:
        """Give the descriptors back, until they are needed again."""
        self.socket.close()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __del__(self) -> None:
        if hasattr(self, "socket"):
            self.close()

    def behind(self, nsid: int | None, first: t.Iterable[Namespace] = ()) -> Namespace | None:
        """The namespace that this one knows by an id.

        :param nsid: as links show it; ``None`` stands for this namespace.
        :param first: namespaces that it probably is.
        :returns: ``None`` if it is none that has a name or a process.
        """
        if nsid is None:
            return self
        for namespace in first:
            if namespace_id(self.socket, namespace.fd) == nsid:
                return namespace
        return next((each for each in everywhere() if namespace_id(self.socket, each.fd) == nsid), None)


class _Socket(Socket):
    """A socket that is opened when it is first used, and again when it was closed.

    :param namespace: which it is of.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = weakref.proxy(namespace)
        self._real = None
        self._sequence = 0
        self._cookie = None

    @property
    def memory(self) -> dict[str, t.Any] | None:
        """What was read by it."""
        return once.memory(self)

    @property
    def _socket(self) -> sockets.socket:
        if self._real is None:
            namespace = self._namespace
            self._real = self._open(namespace.fd if namespace.reference else None, sockets.NETLINK_ROUTE)
        return self._real


def everywhere() -> t.Iterator[Namespace]:
    """Every network namespace that can be found by name or by a process, each once, named ones first."""
    return _each_once((*_paths_of_names(), *map(str, process.pids())))


def named() -> t.Iterator[Namespace]:
    """The caller's own network namespace, and every one that has a name, each once."""
    return _each_once(("", *_paths_of_names()))


def _paths_of_names() -> list[str]:
    return [f"{netns.DIRECTORY}/{name}" for name in netns.names()]


def _each_once(references: t.Iterable[str]) -> t.Iterator[Namespace]:
    seen: set[Identity] = set()
    for reference in references:
        try:
            namespace = Namespace(reference)
        except OSError:
            continue
        if namespace.identity not in seen:
            seen.add(namespace.identity)
            namespace.reference = reference.removeprefix(f"{netns.DIRECTORY}/")
            yield namespace
