# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of links in plain records (rtnetlink(7), ``linux/if_addr.h``)."""

from __future__ import annotations

import socket
import struct
import typing as t

from .message import NLM_F_CREATE, NLM_F_EXCL, Socket, attribute, attributes, ip, number, unpack

RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_NODAD, IFA_F_PERMANENT = 0x02, 0x80
SCOPE_LINK = 253

_IFADDR = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, index


class Address(t.NamedTuple):
    """One address of a link."""

    link: int  #: index of the link
    cidr: str  #: ``10.2.0.1/24``, IPv6 in its shortest form
    scope: int
    flags: int

    @property
    def automatic(self) -> bool:
        """Whether the kernel made it by itself: link-local and router-advertised IPv6 addresses."""
        return ":" in self.cidr and (self.scope == SCOPE_LINK or not self.flags & IFA_F_PERMANENT)


def list_addresses(sock: Socket, index: int = 0) -> list[Address]:
    """All addresses of the socket's namespace, or of one link.

    :param index: of the link.
    :raises NetlinkError: the kernel refused.
    """
    if sock.memory is None:
        return _dumped(sock, index)
    if "addresses" not in sock.memory:
        found: dict[int, list[Address]] = {0: _dumped(sock)}
        for each in found[0]:
            found.setdefault(each.link, []).append(each)
        sock.memory["addresses"] = found
    return list(sock.memory["addresses"].get(index, ()))


def _dumped(sock: Socket, index: int = 0) -> list[Address]:
    entries = sock.dump(RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, index))
    return [_address(entry) for entry in entries]


def _address(entry: bytes) -> Address:
    family, length, flags, scope, index = unpack(_IFADDR, entry)
    found = attributes(entry, 8)
    raw = found.get(IFA_LOCAL) or found[IFA_ADDRESS]
    if IFA_FLAGS in found:
        flags = number(found[IFA_FLAGS])
    return Address(index, f"{ip(family, raw)}/{length}", scope, flags)


def add_address(sock: Socket, index: int, cidr: str) -> None:
    """Give a link an address; IPv6 addresses are usable at once, without duplicate address detection.

    :param cidr: ``10.2.0.1/24`` or ``fd00::1/64``.
    :raises NetlinkError: the kernel refused; ``EEXIST``: the link has it.
    """
    sock.request(RTM_NEWADDR, _body(index, cidr, new=True), NLM_F_CREATE | NLM_F_EXCL)


def remove_address(sock: Socket, index: int, cidr: str) -> None:
    """Take an address from a link.

    :raises NetlinkError: the kernel refused; ``EADDRNOTAVAIL``: the link does not have it.
    """
    sock.request(RTM_DELADDR, _body(index, cidr, new=False))


def _body(index: int, cidr: str, new: bool) -> bytes:
    words, _slash, length = cidr.partition("/")
    family = socket.AF_INET6 if ":" in words else socket.AF_INET
    raw = socket.inet_pton(family, words)
    body = _IFADDR.pack(family, int(length), 0, 0, index) + attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw)
    if new and family == socket.AF_INET6:
        body += attribute(IFA_FLAGS, struct.pack("=I", IFA_F_NODAD))
    return body
