# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that the kernel keeps track of, and forgetting some of them (``linux/netfilter/nfnetlink_conntrack.h``).

A mapping of ports is looked up for the first packet of a connection only. TCP notices when the mapping changed; a
stream of UDP packets goes on by the old one as long as it does not pause, so its entry has to go.
"""

from __future__ import annotations

import socket
import struct
import typing as t

from .message import Attributes, Socket, attribute, attributes, is_gone, nested

NETLINK_NETFILTER = 12
CT_GET, CT_DELETE = 0x101, 0x102  # NFNL_SUBSYS_CTNETLINK is 1
TUPLE_ORIG, ID, ZONE, FILTER = 1, 12, 18, 25
TUPLE_IP, TUPLE_PROTO = 1, 2
V4_DST, V6_DST = 2, 4
PROTO_NUM, PROTO_DST_PORT = 1, 3
FILTER_ORIG_FLAGS, FILTER_REPLY_FLAGS = 1, 2
#: CTA_FILTER_F_CTA_PROTO_NUM: only entries whose protocol is that of the tuple in the request; since Linux 5.8.
_BY_PROTOCOL = 1 << 3

_NFGENMSG = struct.Struct("!BBH")  # family, version, resource id
UDP: t.Final = socket.IPPROTO_UDP


class Flow(t.NamedTuple):
    """A tracked connection, as its first packet was."""

    family: int
    destination: str
    port: int
    entry: Attributes  #: what names it in a request

    def body(self) -> bytes:
        """The message that speaks of it."""
        parts = (attribute(kind, self.entry[kind]) for kind in (TUPLE_ORIG, ZONE, ID) if kind in self.entry)
        return _NFGENMSG.pack(self.family, 0, 0) + b"".join(parts)


def udp_flows(sock: Socket, family: int) -> list[Flow]:
    """All UDP streams of an address family.

    :param sock: of the netlink family NETLINK_NETFILTER.
    :param family: AF_INET or AF_INET6.
    :raises NetlinkError: the kernel refused.
    """
    wanted = nested(TUPLE_ORIG, nested(TUPLE_PROTO, attribute(PROTO_NUM, bytes((UDP,)))))
    flags = (attribute(FILTER_ORIG_FLAGS, struct.pack("=I", _BY_PROTOCOL)), attribute(FILTER_REPLY_FLAGS, bytes(4)))
    body = _NFGENMSG.pack(family, 0, 0) + wanted + nested(FILTER, *flags)
    return [flow for flow in map(_flow, sock.dump(CT_GET, body)) if flow is not None]


def _flow(entry: bytes) -> Flow | None:
    family = entry[0]
    found = attributes(entry, 4)
    ends = attributes(found.get(TUPLE_ORIG, b""))
    protocol = attributes(ends.get(TUPLE_PROTO, b""))
    raw = attributes(ends.get(TUPLE_IP, b"")).get(V4_DST if family == socket.AF_INET else V6_DST)
    if raw is None or protocol.get(PROTO_NUM) != bytes((UDP,)) or PROTO_DST_PORT not in protocol:
        return None
    port = int.from_bytes(protocol[PROTO_DST_PORT], "big")
    return Flow(family, socket.inet_ntop(family, raw), port, found)


def forget(sock: Socket, flow: Flow) -> None:
    """Let the next packet of a stream be the first of a new one.

    :raises NetlinkError: the kernel refused; that the entry went by itself is no refusal.
    """
    try:
        sock.request(CT_DELETE, flow.body())
    except OSError as error:
        if not is_gone(error):
            raise
