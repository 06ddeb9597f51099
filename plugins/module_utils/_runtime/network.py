# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network devices of the host that a container gets (runtime-spec 1.3, config-linux, "Network Devices")."""

from __future__ import annotations

import contextlib
import errno
import os
import typing as t

from .._kernel.namespace import open_namespace
from .._model.errors import NsfleetError
from .._netlink.address import IFA_F_PERMANENT, add_address, list_addresses
from .._netlink.link import Settings, get_link, list_links, set_link
from .._netlink.message import Socket

_EVERYWHERE: t.Final = 0  #: RT_SCOPE_UNIVERSE


class Moved(t.NamedTuple):
    """A device that was moved."""

    name: str
    new_name: str
    up: bool  #: whether it was


class Devices:
    """The devices that go with one start of a container, and come back if it fails.

    :param linux: the section ``linux`` of the runtime-spec.
    """

    def __init__(self, linux: t.Mapping[str, t.Any]) -> None:
        entries: t.Mapping[str, t.Any] = linux.get("netDevices") or {}
        self.names = {name: (entry or {}).get("name") or name for name, entry in entries.items()}
        self.namespace: int | None = None
        self.moved: list[Moved] = []

    def move(self, pid: int) -> None:
        """Move all of them into the network namespace of a process.

        :raises NsfleetError: one is not there, its new name is taken, or it cannot be moved.
        """
        if not self.names:
            return
        self.namespace = open_namespace(f"/proc/{pid}/ns/net")
        for name, new_name in self.names.items():
            try:
                self.moved.append(_move(name, new_name, None, self.namespace))
            except OSError as error:
                raise NsfleetError(f"linux.netDevices[{name}]: {error.strerror}") from error

    def give_back(self) -> None:
        """Move those that were moved back, since the container did not start; the namespace would take them along."""
        for each in self.moved:
            with contextlib.suppress(OSError):  # whatever happens, the others come back
                _move(each.new_name, each.name, self.namespace, None, each.up)

    def close(self) -> None:
        """Let go of the namespace."""
        if self.namespace is not None:
            os.close(self.namespace)


def _move(name: str, new_name: str, source: int | None, target: int | None, up: bool = True) -> Moved:
    """Move a device with its lasting addresses from one network namespace to another.

    :param new_name: there; with ``%d`` in it, the kernel chooses a number.
    :param source: descriptor of the namespace, ``None`` for the caller's; ``target`` likewise.
    :param up: whether it is up afterwards.
    :raises OSError: the kernel refused, or there is no such device.
    """
    with contextlib.ExitStack() as stack:
        here, there = (stack.enter_context(contextlib.closing(Socket(each))) for each in (source, target))
        link = get_link(here, name)
        if link is None:
            raise OSError(errno.ENODEV, "there is no such network device")
        if get_link(there, new_name) is not None:  # the kernel would find out when the device has been moved already
            raise OSError(errno.EEXIST, f"there is a network device {new_name} in the container already")
        addresses = list_addresses(here, link.index)
        before = {each.index for each in list_links(there)}
        fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC) if target is None else os.dup(target)
        stack.callback(os.close, fd)
        set_link(here, link.index, Settings(name=new_name, namespace=fd))
        arrived = next(each for each in list_links(there) if each.index not in before)
        for each in addresses:
            if each.flags & IFA_F_PERMANENT and each.scope == _EVERYWHERE:
                add_address(there, arrived.index, each.cidr)
        set_link(there, arrived.index, Settings(up=up))
        return Moved(name, arrived.name, link.up)
