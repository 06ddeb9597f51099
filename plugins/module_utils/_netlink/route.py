# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes in plain records (rtnetlink(7), ``linux/rtnetlink.h``); they are written by pyroute2."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import struct
import typing as t

from .._kernel import files
from .._model.quantities import is_digits
from .library import iproute
from .message import Attributes, Garbled, NetlinkError, Socket, attribute, attributes, ip, number, unpack

RTM_GETROUTE = 26
# RTA_* of linux/rtnetlink.h
DST, OIF, GATEWAY, PRIORITY, PREFSRC, METRICS, MULTIPATH, TABLE, VIA = 1, 4, 5, 6, 7, 8, 9, 15, 18
# RTAX_*, within METRICS; LOCK has a bit for each of the others
LOCK, MTU, ADVMSS = 1, 2, 8
RTNH_F_ONLINK = 4
#: Flags of a next hop that somebody set; the others say how its link is.
_SET_FLAGS = RTNH_F_ONLINK

#: RTN_* as ip-route(8) has them.
TYPES: t.Final = {
    1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable",
    8: "prohibit", 9: "throw",
}  # fmt: skip
#: RT_SCOPE_* as ip-route(8) has them.
SCOPES: t.Final = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
#: RT_TABLE_*: those that every kernel has.
TABLES: t.Final = {"default": 253, "main": 254, "local": 255}
_TABLE_FILES = ("/etc/iproute2/rt_tables", "/usr/share/iproute2/rt_tables", "/usr/lib/iproute2/rt_tables")

_RTMSG = struct.Struct("=BBBBBBBBI")  # family, length of dst and src, tos, table, protocol, scope, type, flags
_NEXTHOP = struct.Struct("=HBBi")  # length, flags, weight - 1, link


class Nexthop(t.NamedTuple):
    """Where packets go."""

    via: str  #: address of the gateway, empty for none
    link: int  #: index of the link, 0 for none
    weight: int = 1
    flags: int = 0


class Route(t.NamedTuple):
    """One route."""

    family: int
    destination: str  #: ``10.2.0.0/24``, ``::/0``
    table: int
    metric: int
    type: str
    scope: str
    protocol: int  #: who made it, RTPROT_*
    source: str  #: address that local packets get, empty for none in particular
    nexthops: tuple[Nexthop, ...]  #: none for routes that drop or refuse
    mtu: int = 0  #: bytes, 0 for that of the link
    mtu_lock: bool = False  #: what routers on the way say of it is not believed
    advmss: int = 0  #: largest TCP segment to ask others for, in bytes; 0 for what goes with the MTU


# --- reading -----------------------------------------------------------------


def list_routes(sock: Socket, family: int, table: int = 0, protocol: int = 0) -> list[Route]:
    """The routes of a table, or of all.

    :param family: AF_INET or AF_INET6.
    :param table: its number, 0 for all.
    :param protocol: of whom; 0 for anybody.
    :raises NetlinkError: the kernel refused; that there is no such table is no refusal.
    """
    memory = sock.memory if sock.memory is not None else {}
    key = f"routes {family} {table} {protocol}"
    if key not in memory:
        body = _RTMSG.pack(family, 0, 0, 0, 0, protocol, 0, 0, 0)
        memory[key] = _routes(sock, body + (attribute(TABLE, struct.pack("=I", table)) if table else b""))
    return t.cast("list[Route]", memory[key])


def _routes(sock: Socket, body: bytes) -> list[Route]:
    try:
        return [_route(entry) for entry in sock.dump(RTM_GETROUTE, body)]
    except NetlinkError as error:
        if error.errno == errno.ENOENT:
            return []
        raise


def route_to(sock: Socket, address: str, link: int = 0) -> Route | None:
    """The route that a packet to an address takes, ``None`` if there is none.

    :param link: index of the link that it is to leave by; 0 for any.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    raw = socket.inet_pton(family, address)
    body = _RTMSG.pack(family, len(raw) * 8, 0, 0, 0, 0, 0, 0, 0) + attribute(DST, raw)
    body += attribute(OIF, struct.pack("=I", link)) if link else b""
    try:
        entry = sock.request(RTM_GETROUTE, body)
    except NetlinkError:
        return None
    return _route(entry) if entry is not None else None


def _route(entry: bytes) -> Route:
    family, length, _src, _tos, table, protocol, scope, kind, flags = unpack(_RTMSG, entry)
    found = attributes(entry, _RTMSG.size)
    destination = ip(family, found.get(DST, bytes(4 if family == socket.AF_INET else 16)))
    metrics = attributes(found.get(METRICS, b""))
    return Route(
        family,
        f"{destination}/{length}",
        number(found[TABLE]) if TABLE in found else table,
        number(found.get(PRIORITY, b"")),
        TYPES.get(kind, str(kind)),
        SCOPES.get(scope, str(scope)),
        protocol,
        _ip(family, found.get(PREFSRC)),
        tuple(_nexthops(family, found, flags)) if kind == 1 else (),
        number(metrics.get(MTU, b"")),
        bool(number(metrics.get(LOCK, b"")) & 1 << MTU),
        number(metrics.get(ADVMSS, b"")),
    )


def _nexthops(family: int, found: Attributes, flags: int) -> t.Iterator[Nexthop]:
    if MULTIPATH not in found:
        yield Nexthop(_gateway(family, found), number(found.get(OIF, b"")), flags=flags & _SET_FLAGS)
        return
    payload = found[MULTIPATH]
    offset = 0
    while offset < len(payload):
        length, own_flags, weight, link = unpack(_NEXTHOP, payload, offset)
        if not _NEXTHOP.size <= length <= len(payload) - offset:
            raise Garbled(f"a next hop of {length} bytes, where there are {len(payload) - offset}")
        inner = attributes(payload[offset + _NEXTHOP.size : offset + length])
        yield Nexthop(_gateway(family, inner), link, weight + 1, own_flags & _SET_FLAGS)
        offset += (length + 3) & ~3


def _gateway(family: int, found: Attributes) -> str:
    if VIA in found:  # struct rtvia: a gateway of the other family
        return _ip(number(found[VIA][:2]), found[VIA][2:])
    return _ip(family, found.get(GATEWAY))


def _ip(family: int, raw: bytes | None) -> str:
    return ip(family, raw) if raw else ""


def table_number(value: str) -> int:
    """The number of a routing table by number or name; names as ip-route(8) finds them on this host.

    :raises ValueError: there is no such name, or no such number.
    """
    if is_digits(value):
        found: int | None = int(value)
    else:
        found = TABLES.get(value, _named_tables().get(value))
    if found is None or not 1 <= found <= 0xFFFFFFFF:
        raise ValueError(
            f"expected the number of a routing table, main, local, default, or a name in {_TABLE_FILES[0]}, "
            f"got {value!r}"
        )
    return found


def _named_tables() -> dict[str, int]:
    named: dict[str, int] = {}
    for path in reversed(_TABLE_FILES):
        more = [f"{path}.d/{name}" for name in files.list_directory(f"{path}.d") if name.endswith(".conf")]
        for file in (path, *more):
            for words in re.findall(r"^\s*(\w+)\s+(\S+)", files.read_text(file) or "", re.MULTILINE):
                if is_digits(words[0]):
                    named[words[1]] = int(words[0])
    return named


# --- writing -----------------------------------------------------------------


def replace_route(namespace: int, route: Route) -> None:
    """Put a route in the place of the one with its destination, table and metric, or where there is none.

    :param namespace: file descriptor of the network namespace.
    :raises KernelError: the kernel refused.
    """
    with iproute(namespace, f"set route {route.destination}") as library:
        library.route("replace", **_request(route))


def delete_route(namespace: int, route: Route) -> None:
    """Remove a route.

    :param namespace: file descriptor of the network namespace.
    :param route: as it was read.
    :raises KernelError: the kernel refused.
    """
    with iproute(namespace, f"remove route {route.destination}") as library:
        library.route("del", **_request(route))


def _request(route: Route) -> dict[str, t.Any]:
    """The route in the words of pyroute2."""
    request: dict[str, t.Any] = {
        "family": route.family,
        "dst": str(ipaddress.ip_network(route.destination)),
        "table": route.table,
        "priority": route.metric,
        "type": _code(TYPES, route.type),
        "scope": _code(SCOPES, route.scope),
        "proto": route.protocol,
    }
    if route.source:
        request["prefsrc"] = route.source
    metrics = {"lock": int(route.mtu_lock) << MTU, "mtu": route.mtu, "advmss": route.advmss}
    if any(metrics.values()):
        request["metrics"] = {name: value for name, value in metrics.items() if value}
    if len(route.nexthops) > 1:
        hops = [{**_hop_request(route.family, hop), "hops": hop.weight - 1} for hop in route.nexthops]
        return {**request, "multipath": hops}
    for hop in route.nexthops:
        request.update(_hop_request(route.family, hop))
    return request


def _hop_request(family: int, hop: Nexthop) -> dict[str, t.Any]:
    request: dict[str, t.Any] = {"flags": hop.flags}
    if hop.link:
        request["oif"] = hop.link
    if hop.via and (":" in hop.via) == (family == socket.AF_INET6):
        request["gateway"] = hop.via
    elif hop.via:
        request["via"] = {"family": socket.AF_INET6, "addr": hop.via}
    return request


def _code(names: t.Mapping[int, str], name: str) -> int:
    return next(code for code, known in names.items() if known == name)
