# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links in plain records: reading, creating and setting them (rtnetlink(7), ``linux/if_link.h``).

One table says of each attribute its number and its size, for reading and for writing alike.
"""

from __future__ import annotations

import struct
import typing as t

from .message import (
    INTEGER,
    NLM_F_CREATE,
    NLM_F_EXCL,
    Attributes,
    Socket,
    attribute,
    attributes,
    each_attribute,
    is_gone,
    nested,
    number,
    string,
    text,
    unpack,
    wanted_gone,
)

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_GETNSID = 90
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109

IFF_UP = 0x1
AF_BRIDGE = 7

# IFLA_* of linux/if_link.h
ADDRESS, IFNAME, MTU, LINK, MASTER, LINKINFO = 1, 3, 4, 5, 10, 18
IFALIAS, AF_SPEC, GROUP, NET_NS_FD, EXT_MASK = 20, 26, 27, 28, 29
NUM_TX_QUEUES, NUM_RX_QUEUES, LINK_NETNSID, TXQLEN = 31, 32, 37, 13
PROP_LIST, ALT_IFNAME = 52, 53
#: Bytes of a name that is an alternative one only.
_SHORT = 16
AF_INET6, INET6_ADDR_GEN_MODE = 10, 8
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND, INFO_SLAVE_DATA = 1, 2, 4, 5
VETH_INFO_PEER = 1
NETNSA_NSID, NETNSA_FD = 1, 3

_SKIP_STATS = attribute(EXT_MASK, struct.pack("=I", 8))
#: ``struct ifinfomsg``.
IFINFO = struct.Struct("=BxHiII")  # family, type, index, flags, change mask

#: Attributes of a bridge: name as iproute2 has it to (IFLA_BR_*, size in bytes). Times are in hundredths of a second.
BRIDGE: t.Final = {
    "forward_delay": (1, 4), "hello_time": (2, 4), "max_age": (3, 4), "ageing_time": (4, 4), "stp_state": (5, 4),
    "priority": (6, 2), "vlan_filtering": (7, 1), "group_fwd_mask": (9, 2), "mcast_router": (22, 1),
    "mcast_snooping": (23, 1), "mcast_querier": (25, 1), "nf_call_iptables": (36, 1), "nf_call_ip6tables": (37, 1),
    "nf_call_arptables": (38, 1), "vlan_default_pvid": (39, 2), "fdb_max_learned": (49, 4),
}  # fmt: skip

#: Attributes of a bridge's port: name as bridge(8) has it to (IFLA_BRPORT_*, size in bytes).
BRIDGE_PORT: t.Final = {
    "priority": (2, 2), "cost": (3, 4), "hairpin": (4, 1), "guard": (5, 1), "root_block": (6, 1), "fastleave": (7, 1),
    "learning": (8, 1), "flood": (9, 1), "proxy_arp": (10, 1), "mcast_router": (25, 1), "mcast_flood": (27, 1),
    "mcast_to_unicast": (28, 1), "bcast_flood": (30, 1), "neigh_suppress": (32, 1), "isolated": (33, 1),
    "locked": (39, 1),
}  # fmt: skip


#: How IPv6 makes the link-local address of a link: IN6_ADDR_GEN_MODE_* as iproute2 has them.
ADDRESS_MODES: t.Final = ("eui64", "none", "stable_secret", "random")


class Link:
    """One link as the kernel shows it; attributes are decoded when they are asked for.

    :param body: a RTM_NEWLINK message after its header.
    """

    __slots__ = ("_attributes", "_info", "flags", "index")

    def __init__(self, body: bytes) -> None:
        _family, _type, index, flags, _change = unpack(IFINFO, body)
        self.index: int = index
        self.flags: int = flags
        self._attributes = attributes(body, 16)
        self._info: Attributes | None = None

    def _number(self, kind: int, default: int = 0) -> int:
        payload = self._attributes.get(kind)
        return default if payload is None else number(payload)

    @property
    def name(self) -> str:
        """Interface name."""
        return string(self._attributes[IFNAME])

    @property
    def up(self) -> bool:
        """Whether it is administratively up."""
        return bool(self.flags & IFF_UP)

    @property
    def mac(self) -> str:
        """Link-layer address, ``02:00:00:00:00:01``."""
        return self._attributes.get(ADDRESS, b"").hex(":")

    @property
    def mtu(self) -> int:
        """Maximum transmission unit, bytes."""
        return self._number(MTU)

    @property
    def alias(self) -> str:
        """The administrator's note."""
        return string(self._attributes.get(IFALIAS, b""))

    @property
    def group(self) -> int:
        """Number of the group."""
        return self._number(GROUP)

    @property
    def master(self) -> int:
        """Index of the bridge it is a port of, 0 for none."""
        return self._number(MASTER)

    @property
    def peer(self) -> int:
        """Index of the other end of a veth pair, in that end's namespace."""
        return self._number(LINK)

    @property
    def peer_nsid(self) -> int | None:
        """Id of the other end's namespace as this namespace counts them; ``None``: it is in this one, too."""
        payload = self._attributes.get(LINK_NETNSID)
        return None if payload is None else t.cast(int, unpack(INTEGER, payload)[0])

    @property
    def altnames(self) -> list[str]:
        """Other names by which it is found."""
        names = each_attribute(self._attributes.get(PROP_LIST, b""))
        return [string(payload) for kind, payload in names if kind == ALT_IFNAME]

    @property
    def queues(self) -> tuple[int, int]:
        """Numbers of receive and transmit queues."""
        return self._number(NUM_RX_QUEUES), self._number(NUM_TX_QUEUES)

    @property
    def txqlen(self) -> int:
        """Length of the transmit queue, packets."""
        return self._number(TXQLEN)

    @property
    def addrgenmode(self) -> str | None:
        """How IPv6 makes its link-local address; ``None`` where there is no IPv6."""
        families = attributes(self._attributes.get(AF_SPEC, b""))
        mode = attributes(families.get(AF_INET6, b"")).get(INET6_ADDR_GEN_MODE)
        return None if mode is None else dict(enumerate(ADDRESS_MODES)).get(number(mode))

    @property
    def info(self) -> Attributes:
        """What the link's kind says of it."""
        if self._info is None:
            self._info = attributes(self._attributes.get(LINKINFO, b""))
        return self._info

    @property
    def kind(self) -> str:
        """``veth``, ``bridge``, ...; empty for hardware and loopback."""
        return string(self.info.get(INFO_KIND, b""))

    def bridge(self) -> dict[str, int]:
        """What a bridge is set to; attributes that this kernel does not have are left out."""
        return _decode(BRIDGE, self.info.get(INFO_DATA, b""))

    def bridge_port(self) -> dict[str, int]:
        """What a bridge's port is set to; empty if it is a port of none."""
        if string(self.info.get(INFO_SLAVE_KIND, b"")) != "bridge":
            return {}
        return _decode(BRIDGE_PORT, self.info.get(INFO_SLAVE_DATA, b""))


def _decode(table: t.Mapping[str, tuple[int, int]], data: bytes) -> dict[str, int]:
    found = attributes(data)
    return {name: number(found[kind]) for name, (kind, _size) in table.items() if kind in found}


def _encode(table: t.Mapping[str, tuple[int, int]], values: t.Mapping[str, int]) -> t.Iterator[bytes]:
    for name, value in values.items():
        kind, size = table[name]
        yield attribute(kind, struct.pack({1: "=B", 2: "=H", 4: "=I"}[size], value))


# --- reading -----------------------------------------------------------------


def get_link(sock: Socket, name: str | None = None, index: int = 0) -> Link | None:
    """The link of a name or index, ``None`` if there is none.

    :raises NetlinkError: the kernel refused.
    """
    if sock.memory is not None and (name is None or len(name) < _SHORT):
        return _remembered(sock).get(index if name is None else name)
    body = IFINFO.pack(0, 0, index, 0, 0) + _SKIP_STATS
    if name is not None:
        kind = IFNAME if len(name) < _SHORT else ALT_IFNAME
        body += attribute(kind, text(name))
    try:
        answer = sock.request(RTM_GETLINK, body)
    except OSError as error:
        if is_gone(error):
            return None
        raise
    return None if answer is None else Link(answer)


def list_links(sock: Socket, master: int = 0) -> list[Link]:
    """All links of the socket's namespace, or all ports of one bridge.

    :param master: index of the bridge.
    :raises NetlinkError: the kernel refused.
    """
    if sock.memory is not None:
        found = (link for key, link in _remembered(sock).items() if isinstance(key, int))
        return [link for link in found if master in (0, link.master)]
    body = IFINFO.pack(0, 0, 0, 0, 0) + _SKIP_STATS
    if master:
        body += attribute(MASTER, struct.pack("=I", master))
    return [Link(entry) for entry in sock.dump(RTM_GETLINK, body)]


def _remembered(sock: Socket) -> dict[str | int, Link]:
    """All links of a namespace by name and by index, read once."""
    memory = t.cast("dict[str, t.Any]", sock.memory)
    if "links" not in memory:
        links = [Link(entry) for entry in sock.dump(RTM_GETLINK, IFINFO.pack(0, 0, 0, 0, 0) + _SKIP_STATS)]
        memory["links"] = {**{link.name: link for link in links}, **{link.index: link for link in links}}
    return t.cast("dict[str | int, Link]", memory["links"])


def namespace_id(sock: Socket, namespace: int) -> int | None:
    """Id under which the socket's namespace knows another one, ``None`` if it has none.

    :param namespace: file descriptor of the other network namespace.
    """
    body = b"\0\0\0\0" + attribute(NETNSA_FD, struct.pack("=I", namespace))
    answer = sock.request(RTM_GETNSID, body)
    if answer is None:
        return None
    found: int = unpack(INTEGER, attributes(answer, 4)[NETNSA_NSID])[0]
    return None if found < 0 else found


# --- writing -----------------------------------------------------------------


class Settings(t.NamedTuple):
    """What to create a link with, or what to change of it; ``None`` leaves an attribute alone.

    ``namespace`` is a file descriptor, ``master`` an index (0: of none), ``queues`` receive and transmit queues.
    """

    name: str | None = None
    up: bool | None = None
    mac: str | None = None
    mtu: int | None = None
    alias: str | None = None
    group: int | None = None
    master: int | None = None
    namespace: int | None = None
    queues: tuple[int, int] | None = None
    txqlen: int | None = None
    addrgenmode: str | None = None
    bridge: t.Mapping[str, int] | None = None
    bridge_port: t.Mapping[str, int] | None = None

    def message(self, index: int = 0, info: bytes = b"") -> bytes:
        """The body of a RTM_NEWLINK message.

        :param index: of the link to change; 0: a new one.
        :param info: an IFLA_LINKINFO attribute.
        """
        flags = (IFF_UP if self.up else 0, IFF_UP if self.up is not None else 0)
        return IFINFO.pack(0, 0, index, *flags) + b"".join(self._attributes()) + (info or self._info())

    def _attributes(self) -> t.Iterator[bytes]:
        for kind, words in ((IFNAME, self.name), (IFALIAS, self.alias)):
            if words is not None:
                yield attribute(kind, words.encode() if kind == IFALIAS else text(words))
        if self.mac is not None:
            yield attribute(ADDRESS, bytes.fromhex(self.mac.replace(":", "")))
        rx, tx = self.queues or (None, None)
        numbers = (
            (MTU, self.mtu), (GROUP, self.group), (MASTER, self.master), (NET_NS_FD, self.namespace),
            (NUM_RX_QUEUES, rx), (NUM_TX_QUEUES, tx), (TXQLEN, self.txqlen),
        )  # fmt: skip
        for kind, value in numbers:
            if value is not None:
                yield attribute(kind, struct.pack("=I", value))
        if self.addrgenmode is not None:
            mode = attribute(INET6_ADDR_GEN_MODE, bytes((ADDRESS_MODES.index(self.addrgenmode),)))
            yield nested(AF_SPEC, nested(AF_INET6, mode))

    def _info(self) -> bytes:
        if self.bridge is not None:
            data = nested(INFO_DATA, *_encode(BRIDGE, self.bridge))
            return nested(LINKINFO, attribute(INFO_KIND, b"bridge"), data)
        if self.bridge_port is not None:
            data = nested(INFO_SLAVE_DATA, *_encode(BRIDGE_PORT, self.bridge_port))
            return nested(LINKINFO, attribute(INFO_SLAVE_KIND, b"bridge"), data)
        return b""


def create_veth(sock: Socket, end: Settings, peer: Settings) -> None:
    """Create both ends of a veth pair in their namespaces, by one message.

    The kernel takes neither an alias at creation nor a peer that is up: set those afterwards.

    :raises NetlinkError: the kernel refused; nothing was created.
    """
    data = nested(INFO_DATA, nested(VETH_INFO_PEER, peer._replace(up=None).message()))
    info = nested(LINKINFO, attribute(INFO_KIND, b"veth"), data)
    sock.request(RTM_NEWLINK, end.message(info=info), NLM_F_CREATE | NLM_F_EXCL)


def create_bridge(sock: Socket, settings: Settings) -> None:
    """Create a bridge with all its settings but its alias, by one message.

    :param settings: ``bridge`` is not ``None``.
    :raises NetlinkError: the kernel refused; nothing was created.
    """
    sock.request(RTM_NEWLINK, settings.message(), NLM_F_CREATE | NLM_F_EXCL)


def set_link(sock: Socket, index: int, settings: Settings) -> None:
    """Change attributes of a link.

    :raises NetlinkError: the kernel refused.
    """
    sock.request(RTM_NEWLINK, settings.message(index))


def set_altname(sock: Socket, index: int, name: str, *, there: bool) -> None:
    """Give a link one more name, or take one away.

    :raises NetlinkError: the kernel refused; ``EEXIST``: a link of the namespace has that name.
    """
    kind, flags = (RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL) if there else (RTM_DELLINKPROP, 0)
    names = nested(PROP_LIST, attribute(ALT_IFNAME, text(name)))
    sock.request(kind, IFINFO.pack(0, 0, index, 0, 0) + names, flags)


def delete_link(sock: Socket, index: int) -> None:
    """Remove a link; the other end of a veth pair goes, too. One that is gone is no error.

    :raises NetlinkError: the kernel refused.
    """
    with wanted_gone():
        sock.request(RTM_DELLINK, IFINFO.pack(0, 0, index, 0, 0))


def delete_group(sock: Socket, group: int) -> None:
    """Remove all links of a group by one message, which takes the kernel little longer than one link.

    :raises NetlinkError: the kernel refused.
    """
    with wanted_gone():
        sock.request(RTM_DELLINK, IFINFO.pack(0, 0, 0, 0, 0) + attribute(GROUP, struct.pack("=I", group)))
