# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Netlink messages without a kernel: a socket that keeps what is sent, and pyroute2 as the witness."""

from __future__ import annotations

import socket
import struct
import typing as t

from ansible_collections.nsfleet.linux.plugins.module_utils._netlink import message
from ansible_collections.nsfleet.linux.plugins.module_utils._netlink.message import Socket
from hypothesis import strategies as st

HEADER = struct.Struct("=IHHII")
NAMES = st.text("abc0-.", min_size=1, max_size=15)
MACS = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
U32 = st.integers(0, (1 << 32) - 1)
INDEXES = st.integers(1, (1 << 31) - 1)


class Recorder(Socket):
    """A socket that keeps what is sent, and is answered what the test says."""

    def __init__(self, *answers: bytes) -> None:
        self.sent: list[bytes] = []
        self.answers = list(answers)
        self._sequence = 0
        self._real = t.cast("socket.socket", self)

    def send(self, data: bytes) -> None:
        """Keep a message."""
        self.sent.append(data)

    def recv(self, size: int) -> bytes:
        """The next answer; at most as much as fits, as the kernel does."""
        assert self.answers, "more is read than was answered: with the kernel, this would wait for ever"
        return self.answers.pop(0)[:size]

    def close(self) -> None:
        """Nothing is open."""


def framed(kind: int, body: bytes, flags: int = 0, sequence: int = 1) -> bytes:
    """A message with its header, padded."""
    return HEADER.pack(16 + len(body), kind, flags, sequence, 0) + body + b"\0" * (-len(body) % 4)


def acknowledged(code: int = 0, sequence: int = 1) -> bytes:
    """The kernel's word that a request has ended."""
    return framed(message.NLMSG_ERROR, struct.pack("=i", -code) + HEADER.pack(16, 0, 0, sequence, 0), 0x100, sequence)


def witness(kind: t.Any, data: bytes) -> t.Any:
    """A message as pyroute2 decodes it."""
    decoded = kind(data)
    decoded.decode()
    return decoded


def body_by_witness(kind: t.Any, values: dict[str, t.Any], attrs: list[tuple[str, t.Any]]) -> bytes:
    """The body of a message as pyroute2 encodes it."""
    encoded = kind()
    encoded.update(values)
    encoded["attrs"] = attrs
    encoded.encode()
    data = bytes(encoded.data)
    return data[16 : struct.unpack_from("=I", data)[0]]


def nest(decoded: t.Any, *path: str) -> t.Any:
    """An attribute in nested ones."""
    for name in path:
        decoded = None if decoded is None else decoded.get_attr(name)
    return decoded
