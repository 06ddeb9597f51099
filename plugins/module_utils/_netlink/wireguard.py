# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys and peers of WireGuard links in plain records (wg(8), ``linux/wireguard.h``), over generic netlink."""

from __future__ import annotations

import base64
import socket
import struct
import typing as t

from .message import Attributes, Socket, attribute, attributes, each_attribute, ip, nested, number, text, unpack

NETLINK_GENERIC: t.Final = 16
_GENL = struct.Struct("=BBxx")  # command, version
_CTRL, _GETFAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 3, 1, 2
_GET, _SET = 0, 1
_IFINDEX, _PRIVATE, _PUBLIC, _LISTEN_PORT, _FWMARK, _PEERS = 1, 3, 4, 6, 7, 8
_PEER_PUBLIC, _PEER_PRESHARED, _PEER_FLAGS, _ENDPOINT, _KEEPALIVE, _ALLOWED = 1, 2, 3, 4, 5, 9
_REMOVE_ME, _REPLACE_ALLOWED = 1, 2
_IP_FAMILY, _IP_ADDRESS, _IP_LENGTH = 1, 2, 3
_NO_KEY = bytes(32)


class Peer(t.NamedTuple):
    """A peer; keys in base 64, ``None`` leaves alone what is there."""

    public_key: str
    preshared_key: str | None = None  #: empty for none
    endpoint: str | None = None  #: ``10.0.0.1:51820``, ``[fd00::1]:51820``, empty for none
    allowed_ips: tuple[str, ...] | None = None
    persistent_keepalive: int | None = None  #: seconds, 0 for never


class Device(t.NamedTuple):
    """A WireGuard link; ``None`` leaves alone what is there."""

    private_key: str | None = None  #: empty for none
    public_key: str | None = None
    listen_port: int | None = None
    fwmark: int | None = None
    peers: tuple[Peer, ...] = ()


def _text(raw: bytes) -> str:
    return "" if raw in (b"", _NO_KEY) else base64.b64encode(raw).decode()


def _raw(key: str) -> bytes:
    return base64.b64decode(key) if key else _NO_KEY


class Wireguard:
    """What a network namespace has of WireGuard.

    :param namespace: its file descriptor.
    :raises NetlinkError: ``ENOENT``: this kernel has no WireGuard.
    """

    def __init__(self, namespace: int) -> None:
        self._socket = Socket(namespace, NETLINK_GENERIC)
        answer = self._socket.request(_CTRL, _GENL.pack(_GETFAMILY, 1) + attribute(_FAMILY_NAME, text("wireguard")))
        self._family = number(attributes(answer or b"", _GENL.size)[_FAMILY_ID])

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def read(self, index: int) -> Device:
        """All of a link, which may take several messages.

        :raises NetlinkError: the kernel refused.
        """
        return decode(
            self._socket.dump(self._family, _GENL.pack(_GET, 1) + attribute(_IFINDEX, struct.pack("=I", index)))
        )

    def write(self, index: int, device: Device, *, gone: t.Container[str] = ()) -> None:
        """Change what is not ``None``.

        :param gone: public keys of those of the peers that are to go.
        :raises NetlinkError: the kernel refused.
        """
        self._socket.request(self._family, _GENL.pack(_SET, 1) + encode(index, device, gone))


def decode(entries: t.Iterable[bytes]) -> Device:
    """A link, from all messages of a dump.

    :raises Garbled: there is something else in them.
    """
    device = Device()
    peers: dict[str, Peer] = {}
    for entry in entries:
        parts = attributes(entry, _GENL.size)
        if _PUBLIC in parts or _LISTEN_PORT in parts:
            device = Device(
                _text(parts.get(_PRIVATE, b"")), _text(parts.get(_PUBLIC, b"")),
                number(parts.get(_LISTEN_PORT, b"")), number(parts.get(_FWMARK, b"")),
            )  # fmt: skip
        for _number, data in each_attribute(parts.get(_PEERS, b"")):
            peer = _decode_peer(attributes(data))
            if peer.public_key in peers:  # the rest of one that did not fit into one message
                first = peers[peer.public_key]
                peer = first._replace(allowed_ips=(*(first.allowed_ips or ()), *(peer.allowed_ips or ())))
            peers[peer.public_key] = peer
    return device._replace(peers=tuple(peers.values()))


def _decode_peer(parts: Attributes) -> Peer:
    allowed = []
    for _number, data in each_attribute(parts.get(_ALLOWED, b"")):
        each = attributes(data)
        allowed.append(f"{ip(number(each[_IP_FAMILY]), each[_IP_ADDRESS])}/{number(each[_IP_LENGTH])}")
    return Peer(
        _text(parts[_PEER_PUBLIC]),
        _text(parts.get(_PEER_PRESHARED, b"")),
        _decode_endpoint(parts.get(_ENDPOINT, b"")),
        tuple(allowed),
        number(parts.get(_KEEPALIVE, b"")),
    )


def _decode_endpoint(raw: bytes) -> str:
    if not raw:
        return ""
    family = unpack(struct.Struct("=H"), raw)[0]
    port = unpack(struct.Struct(">H"), raw, 2)[0]
    words = ip(family, raw[4:8] if family == socket.AF_INET else raw[8:24])
    return f"{words}:{port}" if family == socket.AF_INET else f"[{words}]:{port}"


def _encode_endpoint(words: str) -> bytes:
    address, _colon, port = words.rpartition(":")
    address = address.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    head = struct.pack("=H", family) + struct.pack(">H", int(port))
    raw = socket.inet_pton(family, address)
    return head + raw + bytes(8) if family == socket.AF_INET else head + bytes(4) + raw + bytes(4)


def encode(index: int, device: Device, gone: t.Container[str] = ()) -> bytes:
    """The attributes of a request that changes a link.

    :param index: of the link.
    """
    parts = [attribute(_IFINDEX, struct.pack("=I", index))]
    if device.private_key is not None:
        parts.append(attribute(_PRIVATE, _raw(device.private_key)))
    if device.listen_port is not None:
        parts.append(attribute(_LISTEN_PORT, struct.pack("=H", device.listen_port)))
    if device.fwmark is not None:
        parts.append(attribute(_FWMARK, struct.pack("=I", device.fwmark)))
    if device.peers:
        parts.append(nested(_PEERS, *(nested(0, *_encode_peer(peer, gone)) for peer in device.peers)))
    return b"".join(parts)


def _encode_peer(peer: Peer, gone: t.Container[str]) -> t.Iterator[bytes]:
    yield attribute(_PEER_PUBLIC, _raw(peer.public_key))
    if peer.public_key in gone:
        yield attribute(_PEER_FLAGS, struct.pack("=I", _REMOVE_ME))
        return
    if peer.preshared_key is not None:
        yield attribute(_PEER_PRESHARED, _raw(peer.preshared_key))
    if peer.endpoint:
        yield attribute(_ENDPOINT, _encode_endpoint(peer.endpoint))
    if peer.persistent_keepalive is not None:
        yield attribute(_KEEPALIVE, struct.pack("=H", peer.persistent_keepalive))
    if peer.allowed_ips is not None:
        yield attribute(_PEER_FLAGS, struct.pack("=I", _REPLACE_ALLOWED))
        yield nested(_ALLOWED, *(nested(0, *_encode_allowed(each)) for each in peer.allowed_ips))


def _encode_allowed(network: str) -> t.Iterator[bytes]:
    words, _slash, length = network.partition("/")
    family = socket.AF_INET6 if ":" in words else socket.AF_INET
    yield attribute(_IP_FAMILY, struct.pack("=H", family))
    yield attribute(_IP_ADDRESS, socket.inet_pton(family, words))
    yield attribute(_IP_LENGTH, struct.pack("=B", int(length)))
