# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Netlink messages and attributes, and a socket that sends and receives them (netlink(7), rtnetlink(7))."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import typing as t

from .._kernel.namespace import inside

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x01, 0x04, 0x300
NLM_F_EXCL, NLM_F_CREATE = 0x200, 0x400
NLM_F_DUMP_INTR, NLM_F_ACK_TLVS = 0x10, 0x200
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

_SOL_NETLINK = 270
_SO_NETNS_COOKIE = 71
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 10, 11, 12
_NLMSGERR_ATTR_MSG = 1
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
INTEGER = struct.Struct("=i")
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_BUFFER = 1 << 18  # the kernel fills a dump's parts up to 32 KiB; one error with all its text fits, too


class NetlinkError(OSError):
    """The kernel refused a request; ``strerror`` holds its own words where it gave any."""


class Garbled(NetlinkError):
    """What the kernel sent is not as its headers say it would be."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.EBADMSG, f"what the kernel sent is not understood: {what}")


# --- attributes --------------------------------------------------------------


class Attributes(dict[int, bytes]):
    """Attribute type to payload."""

    def __missing__(self, kind: int) -> bytes:
        raise Garbled(f"there is no attribute {kind}")


def unpack(form: struct.Struct, data: bytes, offset: int = 0) -> tuple[t.Any, ...]:
    """The fields of a C structure.

    :raises Garbled: there are fewer bytes.
    """
    try:
        return form.unpack_from(data, offset)
    except struct.error:
        raise Garbled(f"expected {form.size} bytes, not {max(len(data) - offset, 0)}") from None


def ip(family: int, raw: bytes) -> str:
    """An IPv4 or IPv6 address as text.

    :raises Garbled: it is neither.
    """
    try:
        return socket.inet_ntop(family, raw)
    except (OSError, ValueError):
        raise Garbled(f"expected an address of family {family}, not {len(raw)} bytes") from None


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes.

    :raises ValueError: the payload does not fit into the 16 bits that its length has.
    """
    length = 4 + len(payload)
    if length > 0xFFFF:
        raise ValueError(f"at most {0xFFFF - 4} bytes, not {len(payload)}")
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(parts))


def text(value: str) -> bytes:
    """The payload of a string attribute."""
    return value.encode() + b"\0"


def attributes(data: bytes, offset: int = 0) -> Attributes:
    """Attribute type to payload; of repeated ones the last.

    :raises Garbled: an attribute has another length than there is room for.
    """
    found = Attributes()
    end = len(data) - 3
    unpack_from = _ATTRIBUTE.unpack_from
    while offset < end:  # as each_attribute(), without the cost of a generator: there are fifty of each link
        length, kind = unpack_from(data, offset)
        stop = offset + length
        if length < 4 or stop > end + 3:
            raise Garbled(f"an attribute of {length} bytes, where there are {end + 3 - offset}")
        found[kind & NLA_TYPE_MASK] = data[offset + 4 : stop]
        offset = (stop + 3) & ~3
    return found


def each_attribute(data: bytes, offset: int = 0) -> t.Iterator[tuple[int, bytes]]:
    """All attributes in their order, repeated ones, too.

    :raises Garbled: one has another length than there is room for.
    """
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if not 4 <= length <= end - offset:
            raise Garbled(f"an attribute of {length} bytes, where there are {end - offset}")
        yield kind & NLA_TYPE_MASK, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def number(payload: bytes) -> int:
    """An unsigned number in host order, of the payload's length."""
    return int.from_bytes(payload, _BYTE_ORDER)


def string(payload: bytes) -> str:
    """A string attribute's text."""
    return payload.rstrip(b"\0").decode(errors="backslashreplace")


_BYTE_ORDER: t.Literal["little", "big"] = "little" if struct.pack("=H", 1) == b"\1\0" else "big"


# --- the socket --------------------------------------------------------------


class Socket:
    """A netlink socket; it belongs to the network namespace in which it was opened, whatever the thread enters later.

    :param namespace: file descriptor of the network namespace, ``None`` for the caller's.
    :param protocol: netlink family, by default NETLINK_ROUTE.
    :raises OSError: the namespace cannot be entered.
    """

    def __init__(self, namespace: int | None = None, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._real: socket.socket | None = self._open(namespace, protocol)
        self._sequence = 0
        self._cookie: int | None = None

    @property
    def memory(self) -> dict[str, t.Any] | None:
        """What was read by it, while nothing changes and nobody needs to ask again; ``None``: everybody asks."""
        return None

    @staticmethod
    def _open(namespace: int | None, protocol: int) -> socket.socket:
        if namespace is None:
            return Socket._connect(protocol)
        with inside(namespace):
            return Socket._connect(protocol)

    @staticmethod
    def _connect(protocol: int) -> socket.socket:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
            sock.setsockopt(_SOL_NETLINK, option, 1)
        sock.bind((0, 0))
        return sock

    def namespace_cookie(self) -> int:
        """Number of the socket's network namespace, which no other one gets as long as the host runs.

        :returns: 0 before Linux 5.14, which has none (SO_NETNS_COOKIE, ``net/core/sock.c``).
        """
        if self._cookie is None:
            try:
                self._cookie = number(self._socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8))
            except OSError:
                self._cookie = 0
        return self._cookie

    @property
    def _socket(self) -> socket.socket:
        if self._real is None:
            raise OSError(errno.EBADF, "the netlink socket was closed")
        return self._real

    def close(self) -> None:
        """Give the socket back."""
        if self._real is not None:
            self._real.close()
            self._real = None

    def request(self, kind: int, body: bytes, flags: int = 0) -> bytes | None:
        """Send one request and wait for its end.

        :param kind: message type, e.g. RTM_NEWLINK.
        :param body: the message after its header.
        :param flags: more NLM_F flags.
        :returns: the body of the answer, ``None`` if the kernel only said that all went well.
        :raises NetlinkError: it refused.
        """
        self._send(kind, body, NLM_F_REQUEST | NLM_F_ACK | flags)
        answer = None
        while True:
            for message_kind, _flags, content in self._receive():
                if message_kind == NLMSG_ERROR:
                    _raise_error(content, _flags)
                    return answer
                answer = content

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Ask for a table.

        :returns: the body of each entry. A dump that was interrupted by a change is taken again.
        :raises NetlinkError: it refused.
        """
        while True:
            self._send(kind, body, NLM_F_REQUEST | NLM_F_DUMP)
            entries, whole = self._collect()
            if whole:
                return entries

    def _collect(self) -> tuple[list[bytes], bool]:
        entries: list[bytes] = []
        whole = True
        while True:
            for kind, flags, content in self._receive():
                whole = whole and not flags & NLM_F_DUMP_INTR
                if kind == NLMSG_DONE:
                    _raise_error(content, flags, 4)
                    return entries, whole
                if kind == NLMSG_ERROR:
                    _raise_error(content, flags)
                entries.append(content)

    def _send(self, kind: int, body: bytes, flags: int) -> None:
        self._sequence += 1
        self._socket.send(_HEADER.pack(16 + len(body), kind, flags, self._sequence, 0) + body)

    def _receive(self) -> t.Iterator[tuple[int, int, bytes]]:
        data = self._socket.recv(_BUFFER)
        offset = 0
        while offset < len(data):
            length, kind, flags, sequence, _port = unpack(_HEADER, data, offset)
            if not 16 <= length <= len(data) - offset:
                raise Garbled(f"a message of {length} bytes, where there are {len(data) - offset}")
            if sequence == self._sequence:  # else: the rest of a request that was given up
                yield kind, flags, data[offset + 16 : offset + length]
            offset += (length + 3) & ~3


def _raise_error(content: bytes, flags: int, attributes_at: int = 20) -> None:
    code = -unpack(INTEGER, content)[0]
    if code <= 0:
        return
    said = attributes(content, attributes_at).get(_NLMSGERR_ATTR_MSG) if flags & NLM_F_ACK_TLVS else None
    words = os.strerror(code)
    raise NetlinkError(code, f"{words} ({string(said)})" if said else words)


@contextlib.contextmanager
def wanted_gone() -> t.Iterator[None]:
    """What is not there any more is no error here: it went with something else."""
    try:
        yield
    except OSError as error:
        if not is_gone(error):
            raise


def is_gone(error: OSError) -> bool:
    """Whether the kernel says that there is no such thing."""
    return error.errno in (errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL)
