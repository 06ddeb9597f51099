# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of policy routing in plain records (ip-rule(8), ``linux/fib_rules.h``)."""

from __future__ import annotations

import socket
import struct
import typing as t

from .message import NLM_F_CREATE, Attributes, Socket, attribute, attributes, ip, number, string, text, unpack

RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
# FRA_* of linux/fib_rules.h
DST, SRC, IIFNAME, GOTO, PRIORITY, FWMARK, FLOW, TUN_ID, SUPPRESS_IFGROUP, SUPPRESS_PREFIXLEN, TABLE, FWMASK = (
    1, 2, 3, 4, 6, 10, 11, 12, 13, 14, 15, 16,
)  # fmt: skip
OIFNAME, PAD, L3MDEV, UID_RANGE, PROTOCOL, IP_PROTO, SPORT_RANGE, DPORT_RANGE, DSCP, SPORT_MASK, DPORT_MASK = (
    17, 18, 19, 20, 21, 22, 23, 24, 25, 28, 29,
)  # fmt: skip
#: Those that a :class:`Rule` has fields for, or that tell nothing.
_KNOWN = (
    DST, SRC, IIFNAME, PRIORITY, FWMARK, SUPPRESS_PREFIXLEN, TABLE, FWMASK, OIFNAME, PAD, UID_RANGE, PROTOCOL, IP_PROTO,
    SPORT_RANGE, DPORT_RANGE,
)  # fmt: skip
#: How ip-rule(8) calls the others.
_OTHERS: t.Final = {GOTO: "goto", FLOW: "realms", TUN_ID: "tun_id", SUPPRESS_IFGROUP: "suppress_ifgroup",
                    L3MDEV: "l3mdev", DSCP: "dscp", SPORT_MASK: "sport mask", DPORT_MASK: "dport mask"}  # fmt: skip
#: FR_ACT_* as ip-rule(8) has them.
ACTIONS: t.Final = {1: "lookup", 2: "goto", 3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
#: Set: the rule is for packets that do not match. The other flags say how things are.
_INVERT = 2
#: No length of a prefix is suppressed.
_NO_LENGTH = 0xFFFFFFFF
#: One port and no range, which Linux 6.15 and later say so.
_EVERY_BIT = b"\xff\xff"

_HEADER = struct.Struct("=BBBBB2xBI")  # family, length of dst and src, tos, table, action, flags
_PORTS, _UIDS, _WORD = struct.Struct("=HH"), struct.Struct("=II"), struct.Struct("=I")

Range = tuple[int, int]  #: first and last


class Rule(t.NamedTuple):
    """One rule; what it does not tell apart is empty, 0 or ``None``."""

    family: int
    priority: int
    invert: bool = False  #: it is for packets that do not match
    source: str = ""  #: ``10.2.0.0/24``
    destination: str = ""
    iif: str = ""  #: name of the link by which packets came
    oif: str = ""
    mark: int = 0
    mask: int = 0
    tos: int = 0
    ipproto: int = 0
    sport: Range | None = None
    dport: Range | None = None
    uids: Range | None = None
    action: str = "lookup"
    table: int = 0
    suppress_prefixlength: int = -1
    protocol: int = 0  #: who made it, RTPROT_*
    rest: tuple[tuple[int, bytes], ...] = ()  #: attributes as the kernel has them that there are no fields for

    @property
    def others(self) -> list[str]:
        """Names of what it has beside its fields."""
        return sorted(_OTHERS.get(kind, str(kind)) for kind, _payload in self.rest)


def list_rules(sock: Socket, family: int) -> list[Rule]:
    """All rules of an address family, in the order in which packets meet them.

    :param family: AF_INET or AF_INET6.
    :raises NetlinkError: the kernel refused.
    """
    memory = sock.memory if sock.memory is not None else {}
    key = f"rules {family}"
    if key not in memory:
        memory[key] = [decode(entry) for entry in sock.dump(RTM_GETRULE, _HEADER.pack(family, 0, 0, 0, 0, 0, 0))]
    return t.cast("list[Rule]", memory[key])


def add_rule(sock: Socket, rule: Rule) -> None:
    """Add a rule after those of its priority, even if one is the same.

    :raises NetlinkError: the kernel refused.
    """
    sock.request(RTM_NEWRULE, encode(rule), NLM_F_CREATE)


def delete_rule(sock: Socket, rule: Rule) -> None:
    """Remove a rule.

    The kernel takes the first one that has all that this one has, whatever else it has (``rule_find`` of
    ``net/core/fib_rules.c``). Of its priority and protocol, this has to be the first one.

    :param rule: as it was read.
    :raises NetlinkError: the kernel refused; ``ENOENT``: there is none.
    """
    sock.request(RTM_DELRULE, encode(rule))


def decode(entry: bytes) -> Rule:
    """The rule in the body of a message.

    :raises Garbled: there is none.
    """
    family, dst_length, src_length, tos, table, action, flags = unpack(_HEADER, entry)
    found = attributes(entry, _HEADER.size)
    length = number(found.get(SUPPRESS_PREFIXLEN, b"\xff\xff\xff\xff"))
    return Rule(
        family,
        number(found.get(PRIORITY, b"")),
        bool(flags & _INVERT),
        _network(family, found.get(SRC), src_length),
        _network(family, found.get(DST), dst_length),
        string(found.get(IIFNAME, b"")),
        string(found.get(OIFNAME, b"")),
        number(found.get(FWMARK, b"")),
        number(found.get(FWMASK, b"")),
        tos,
        number(found.get(IP_PROTO, b"")),
        _range(_PORTS, found.get(SPORT_RANGE)),
        _range(_PORTS, found.get(DPORT_RANGE)),
        _range(_UIDS, found.get(UID_RANGE)),
        ACTIONS.get(action, str(action)),
        number(found[TABLE]) if TABLE in found else table,
        -1 if length == _NO_LENGTH else length,
        number(found.get(PROTOCOL, b"")),
        tuple(_rest(found)),
    )


def _rest(found: Attributes) -> t.Iterator[tuple[int, bytes]]:
    for kind, payload in found.items():
        if kind not in _KNOWN and not (kind in (SPORT_MASK, DPORT_MASK) and payload == _EVERY_BIT):
            yield kind, payload


def _network(family: int, raw: bytes | None, length: int) -> str:
    return f"{ip(family, raw)}/{length}" if raw else ""


def _range(form: struct.Struct, raw: bytes | None) -> Range | None:
    return t.cast(Range, unpack(form, raw)) if raw else None


def encode(rule: Rule) -> bytes:
    """A rule as the body of a message."""
    lengths = [int(each.partition("/")[2] or 0) for each in (rule.destination, rule.source)]
    codes = {name: code for code, name in ACTIONS.items()}
    action = codes[rule.action] if rule.action in codes else int(rule.action)
    flags = _INVERT if rule.invert else 0
    header = _HEADER.pack(rule.family, *lengths, rule.tos, 0, action, flags)
    return header + b"".join(attribute(kind, payload) for kind, payload in _attributes(rule))


def _attributes(rule: Rule) -> t.Iterator[tuple[int, bytes]]:
    yield PRIORITY, _WORD.pack(rule.priority)
    yield PROTOCOL, bytes([rule.protocol])
    yield from _selector(rule)
    if rule.table:
        yield TABLE, _WORD.pack(rule.table)
    if rule.suppress_prefixlength >= 0:
        yield SUPPRESS_PREFIXLEN, _WORD.pack(rule.suppress_prefixlength)
    yield from rule.rest


def _selector(rule: Rule) -> t.Iterator[tuple[int, bytes]]:
    for kind, network in ((DST, rule.destination), (SRC, rule.source)):
        if network:
            yield kind, socket.inet_pton(rule.family, network.partition("/")[0])
    for kind, name in ((IIFNAME, rule.iif), (OIFNAME, rule.oif)):
        if name:
            yield kind, text(name)
    if rule.mask:
        yield FWMARK, _WORD.pack(rule.mark)
        yield FWMASK, _WORD.pack(rule.mask)
    if rule.ipproto:
        yield IP_PROTO, bytes([rule.ipproto])
    ranges = (SPORT_RANGE, _PORTS, rule.sport), (DPORT_RANGE, _PORTS, rule.dport), (UID_RANGE, _UIDS, rule.uids)
    for kind, form, both in ranges:
        if both:
            yield kind, form.pack(*both)
