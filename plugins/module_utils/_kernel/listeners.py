# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets that wait for somebody to call, as ``/proc/net`` shows them (proc(5))."""

from __future__ import annotations

import ipaddress
import os
import struct
import typing as t

from . import files, process
from .namespace import inside

_LISTENS: t.Final = {"tcp": "0A", "udp": "07"}  # TCP_LISTEN; TCP_CLOSE: a UDP socket that is not connected

#: How the link of a descriptor begins that is a socket; its inode follows (proc(5)).
_SOCKET: t.Final = "socket:["


class Listener(t.NamedTuple):
    """A bound socket that takes what comes from anywhere."""

    protocol: str  #: ``tcp``, ``udp``, ``sctp``
    address: str  #: ``0.0.0.0`` and ``::`` for every address
    port: int
    inode: int

    def __str__(self) -> str:
        return described(self.protocol, self.address, self.port, holders().get(self.inode))


def described(protocol: str, address: str, port: int, holder: process.Process | None) -> str:
    """A socket as people read it."""
    where = f"[{address}]" if ":" in address else address
    return f"{where}:{port}/{protocol}" + (f" by process {holder}" if holder else "")


def holders() -> dict[int, process.Process]:
    """Inodes of sockets to a process that has them open; of those that this process may see."""
    return {
        int(link[len(_SOCKET) : -1]): found
        for found in process.processes()
        for link in _descriptors(found.pid)
        if link.startswith(_SOCKET)
    }


def listeners(namespace: int) -> list[Listener]:
    """All listening sockets of a network namespace.

    :param namespace: its file descriptor.
    """
    found: list[Listener] = []
    with inside(namespace):
        for protocol in _LISTENS:
            for name in (protocol, f"{protocol}6"):
                found += inet_sockets(protocol, files.read_text(f"/proc/thread-self/net/{name}") or "")
        found += sctp_endpoints(files.read_text("/proc/thread-self/net/sctp/eps") or "")
    return found


def inet_sockets(protocol: str, text: str) -> t.Iterator[Listener]:
    """The listening sockets in the text of ``/proc/net/tcp`` and its like."""
    for line in text.splitlines()[1:]:
        words = line.split()
        address, _colon, port = words[1].partition(":")
        if words[3] == _LISTENS[protocol] and int(port, 16):
            yield Listener(protocol, _address(address), int(port, 16), int(words[9]))


def sctp_endpoints(text: str) -> t.Iterator[Listener]:
    """The endpoints in the text of ``/proc/net/sctp/eps``; each of their addresses counts."""
    for line in text.splitlines()[1:]:
        words = line.split()
        for address in words[8:]:
            yield Listener("sctp", str(ipaddress.ip_address(address)), int(words[5]), int(words[7]))


def _address(digits: str) -> str:
    """An address in words of four bytes, each in the order of this machine."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    return str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


def _descriptors(pid: int) -> list[str]:
    try:
        return [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []
