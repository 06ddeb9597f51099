# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a VXLAN sends frames to: the static entries of its forwarding database (bridge(8), ``linux/neighbour.h``)."""

from __future__ import annotations

import socket
import struct
import typing as t

from .link import AF_BRIDGE
from .message import NLM_F_CREATE, NLM_F_EXCL, Socket, attribute, attributes, ip, number, unpack

RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30
NLM_F_REPLACE, NLM_F_APPEND = 0x100, 0x800
NDA_DST, NDA_LLADDR, NDA_PORT, NDA_VNI = 1, 2, 6, 7
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80
NTF_SELF, NTF_EXT_LEARNED = 0x02, 0x10
#: The entry of what has none of its own: broadcast, unknown unicast, multicast.
FLOOD: t.Final = "00:00:00:00:00:00"

_NDMSG = struct.Struct("=BxxxiHBB")  # family, index, state, flags, type


class Entry(t.NamedTuple):
    """One entry; a port or VNI of 0 is the link's own."""

    mac: str
    remote: str
    vni: int = 0
    port: int = 0


def list_entries(sock: Socket, index: int) -> list[Entry]:
    """The static entries of a VXLAN, without those that were learned from packets or by a routing daemon.

    :raises NetlinkError: the kernel refused.
    """
    found = []
    for body in sock.dump(RTM_GETNEIGH, _NDMSG.pack(AF_BRIDGE, index, 0, 0, 0)):
        _family, bearer, state, flags, _type = unpack(_NDMSG, body)
        parts = attributes(body, _NDMSG.size)
        static = state & (NUD_NOARP | NUD_PERMANENT) and flags & NTF_SELF and not flags & NTF_EXT_LEARNED
        if bearer == index and static and NDA_DST in parts:
            family = socket.AF_INET if len(parts[NDA_DST]) == 4 else socket.AF_INET6
            port = int.from_bytes(parts.get(NDA_PORT, b""), "big")
            vni = number(parts.get(NDA_VNI, b""))
            found.append(Entry(parts[NDA_LLADDR].hex(":"), ip(family, parts[NDA_DST]), vni, port))
    return found


def add_entry(sock: Socket, index: int, entry: Entry) -> None:
    """Add an entry, or one more remote to which is flooded.

    :raises NetlinkError: the kernel refused; ``EEXIST``: it is there.
    """
    more = NLM_F_APPEND if entry.mac == FLOOD else NLM_F_EXCL
    sock.request(RTM_NEWNEIGH, _body(index, entry), NLM_F_CREATE | more)


def replace_entry(sock: Socket, index: int, entry: Entry) -> None:
    """Send frames to an address elsewhere from now on, without a moment in between.

    :raises NetlinkError: the kernel refused.
    """
    sock.request(RTM_NEWNEIGH, _body(index, entry), NLM_F_CREATE | NLM_F_REPLACE)


def remove_entry(sock: Socket, index: int, entry: Entry) -> None:
    """Remove an entry.

    :raises NetlinkError: the kernel refused; ``ENOENT``: there is none.
    """
    sock.request(RTM_DELNEIGH, _body(index, entry))


def _body(index: int, entry: Entry) -> bytes:
    family = socket.AF_INET6 if ":" in entry.remote else socket.AF_INET
    body = _NDMSG.pack(AF_BRIDGE, index, NUD_NOARP | NUD_PERMANENT, NTF_SELF, 0)
    body += attribute(NDA_LLADDR, bytes.fromhex(entry.mac.replace(":", "")))
    body += attribute(NDA_DST, socket.inet_pton(family, entry.remote))
    if entry.port:
        body += attribute(NDA_PORT, struct.pack(">H", entry.port))
    if entry.vni:
        body += attribute(NDA_VNI, struct.pack("=I", entry.vni))
    return body
