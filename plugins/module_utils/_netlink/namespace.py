# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network namespace to work in: its descriptor, its identity and one socket, opened when it is first needed."""

from __future__ import annotations

import os
import typing as t

from .._kernel import netns, process
from .._kernel.namespace import Identity, identity
from .link import namespace_id
from .message import Socket


class Namespace:
    """An open network namespace; its descriptors go with the object.

    :param reference: as in the options: a name, a path, a process id, or empty for the caller's own.
    :raises OSError: there is no such namespace.
    """

    def __init__(self, reference: str) -> None:
        self.reference = reference
        self.fd = netns.open_reference(reference)
        self.identity = identity(self.fd)
        self._socket: Socket | None = None

    @property
    def socket(self) -> Socket:
        """A socket of this namespace."""
        if self._socket is None:
            self._socket = Socket(self.fd if self.reference else None)
        return self._socket

    def __del__(self) -> None:
        if getattr(self, "_socket", None) is not None:
            t.cast(Socket, self._socket).close()
        if hasattr(self, "fd"):
            os.close(self.fd)

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


def everywhere() -> t.Iterator[Namespace]:
    """Every network namespace that can be found by name or by a process, each once, named ones first."""
    seen: set[Identity] = set()
    for reference in (*netns.names(), *map(str, process.pids())):
        try:
            namespace = Namespace(f"{netns.DIRECTORY}/{reference}" if not reference.isdigit() else reference)
        except OSError:
            continue
        if namespace.identity not in seen:
            seen.add(namespace.identity)
            namespace.reference = reference
            yield namespace
