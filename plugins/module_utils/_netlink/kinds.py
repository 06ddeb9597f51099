# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What links of each kind are set to, in plain values (ip-link(8), ``linux/if_link.h``, ``linux/if_tunnel.h``).

One table says of each attribute its number and its form, for reading and for writing alike.
"""

from __future__ import annotations

import socket
import struct
import typing as t

from .link import IFINFO, INFO_DATA, INFO_KIND, LINK, LINKINFO, RTM_NEWLINK, Link, Settings
from .message import NLM_F_CREATE, NLM_F_EXCL, Socket, attribute, each_attribute, ip, nested, unpack

Values = t.Mapping[str, t.Any]


class Form(t.NamedTuple):
    """How a value becomes the payload of an attribute, and back."""

    read: t.Callable[[bytes], t.Any]
    write: t.Callable[[t.Any], bytes]


def _structure(words: str) -> Form:
    form = struct.Struct(words)

    def read(payload: bytes) -> t.Any:
        values = unpack(form, payload)
        return values if len(values) > 1 else values[0]

    def write(value: t.Any) -> bytes:
        return form.pack(*value) if isinstance(value, tuple) else form.pack(value)

    return Form(read, write)


def _address(payload: bytes) -> str:
    return ip(socket.AF_INET if len(payload) == 4 else socket.AF_INET6, payload)


def _packed(words: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in words else socket.AF_INET, words)


U8, U16, U32 = (_structure(words) for words in ("=B", "=H", "=I"))
BE16, BE32, RANGE = (_structure(words) for words in (">H", ">I", ">HH"))
MASKED = _structure("=II")  #: bits, and which of them are meant
IP = Form(_address, _packed)
FLAG = Form(lambda _payload: 1, lambda _value: b"")  #: it is there, or it is not

_GRE: t.Final = {
    "link": (1, U32), "iflags": (2, BE16), "oflags": (3, BE16), "ikey": (4, BE32), "okey": (5, BE32),
    "local": (6, IP), "remote": (7, IP), "ttl": (8, U8), "tos": (9, U8), "pmtudisc": (10, U8),
    "encap_limit": (11, U8), "flowinfo": (12, BE32), "flags": (13, U32), "encap_type": (14, U16),
    "encap_flags": (15, U16), "encap_sport": (16, BE16), "encap_dport": (17, BE16), "ignore_df": (19, U8),
    "fwmark": (20, U32),
}  # fmt: skip

#: Kind as the kernel calls it to its attributes: name to (number, form).
KINDS: t.Final[t.Mapping[str, t.Mapping[str, tuple[int, Form]]]] = {
    "vlan": {"id": (1, U16), "flags": (2, MASKED), "protocol": (5, BE16)},
    "vxlan": {
        "id": (1, U32), "group": (2, IP), "link": (3, U32), "local": (4, IP), "ttl": (5, U8), "tos": (6, U8),
        "learning": (7, U8), "ageing": (8, U32), "port_range": (10, RANGE), "proxy": (11, U8), "port": (15, BE16),
        "group6": (16, IP), "local6": (17, IP), "udp_checksum": (18, U8), "udp6_zero_checksum_tx": (19, U8),
        "udp6_zero_checksum_rx": (20, U8), "df": (29, U8),
    },
    "macvlan": {"mode": (1, U32), "flags": (2, U16)},
    "ipvlan": {"mode": (1, U16), "flags": (2, U16)},
    "tun": {
        "owner": (1, U32), "group": (2, U32), "type": (3, U8), "pi": (4, U8), "vnet_hdr": (5, U8), "persist": (6, U8),
        "multi_queue": (7, U8),
    },
    "vrf": {"table": (1, U32)},
    "bond": {
        "mode": (1, U8), "miimon": (3, U32), "updelay": (4, U32), "downdelay": (5, U32), "arp_interval": (7, U32),
        "primary_reselect": (12, U8), "fail_over_mac": (13, U8), "xmit_hash_policy": (14, U8), "resend_igmp": (15, U32),
        "all_ports_active": (17, U8), "min_links": (18, U32), "lacp_rate": (21, U8), "ad_select": (22, U8),
    },
    "gre": _GRE, "gretap": _GRE, "ip6gre": _GRE, "ip6gretap": _GRE,
    "geneve": {
        "id": (1, U32), "remote": (2, IP), "ttl": (3, U8), "tos": (4, U8), "port": (5, BE16), "remote6": (7, IP),
        "udp_checksum": (8, U8), "udp6_zero_checksum_tx": (9, U8), "udp6_zero_checksum_rx": (10, U8), "df": (13, U8),
    },
}  # fmt: skip


def decode(link: Link) -> dict[str, t.Any]:
    """What a link is set to; attributes that this kernel does not have are left out.

    :raises Garbled: an attribute is shorter than it has to be.
    """
    known = {number: (name, form) for name, (number, form) in KINDS.get(link.kind, {}).items()}
    values = {}
    for number, payload in each_attribute(link.info.get(INFO_DATA, b"")):
        if number in known:
            name, form = known[number]
            values[name] = form.read(payload)
    return values


def _info(kind: str, values: Values) -> bytes:
    table = KINDS.get(kind, {})
    data = [attribute(table[name][0], table[name][1].write(value)) for name, value in values.items()]
    return nested(LINKINFO, attribute(INFO_KIND, kind.encode()), *([nested(INFO_DATA, *data)] if data else ()))


def create_link(sock: Socket, settings: Settings, kind: str, values: Values, parent: int = 0) -> None:
    """Create a link with its settings but for its alias, by one message.

    :param sock: of the namespace of the parent, or of what the link's packets travel in.
    :param settings: ``namespace`` is where the link is to be, if that is another one.
    :param values: by the names in :data:`KINDS`.
    :param parent: index of the link that it is on, 0 for none.
    :raises NetlinkError: the kernel refused; ``EOPNOTSUPP``: it has no links of the kind.
    """
    on = attribute(LINK, struct.pack("=I", parent)) if parent else b""
    sock.request(RTM_NEWLINK, settings.message(info=on + _info(kind, values)), NLM_F_CREATE | NLM_F_EXCL)


def change_link(sock: Socket, index: int, kind: str, values: Values) -> None:
    """Change attributes of a link's kind.

    :raises NetlinkError: the kernel refused, as with what it cannot change while the link is there.
    """
    sock.request(RTM_NEWLINK, IFINFO.pack(0, 0, index, 0, 0) + _info(kind, values))
