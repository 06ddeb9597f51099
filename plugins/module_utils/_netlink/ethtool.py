# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offloads of a link by the ethtool ioctl (netdevice(7), ``linux/ethtool.h``)."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
import typing as t

from .._kernel.namespace import inside

SIOCETHTOOL: t.Final = 0x8946

#: Offload as ethtool(8) abbreviates it to (ETHTOOL_G*, ETHTOOL_S*).
OFFLOADS: t.Final = {
    "rx": (0x14, 0x15),
    "tx": (0x16, 0x17),
    "sg": (0x18, 0x19),
    "tso": (0x1E, 0x1F),
    "gso": (0x23, 0x24),
    "gro": (0x2B, 0x2C),
}


def read_offloads(namespace: int, link: str) -> dict[str, bool]:
    """Which offloads are on; those that the link does not have are left out.

    :param namespace: file descriptor of the link's network namespace.
    :raises OSError: there is no such link.
    """
    with inside(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        found = {name: _ask(sock, link, get) for name, (get, _set) in OFFLOADS.items()}
    return {name: bool(value) for name, value in found.items() if value is not None}


def set_offload(namespace: int, link: str, name: str, value: bool) -> None:
    """Turn one offload on or off.

    :raises OSError: the link does not have it, or another one that it depends on is off.
    """
    with inside(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        _ethtool(sock, link, OFFLOADS[name][1], int(value))


def _ask(sock: socket.socket, link: str, command: int) -> int | None:
    try:
        return _ethtool(sock, link, command)
    except OSError as error:
        if error.errno == 95:  # EOPNOTSUPP
            return None
        raise


def _ethtool(sock: socket.socket, link: str, command: int, value: int = 0) -> int:
    """Make one call with a ``struct ethtool_value``; gives its data back."""
    data = array.array("I", (command, value))
    request = struct.pack("16sP", link.encode(), data.buffer_info()[0])
    fcntl.ioctl(sock.fileno(), SIOCETHTOOL, request)
    return data[1]
