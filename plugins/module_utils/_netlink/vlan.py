# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLANs of a bridge's ports in plain records (bridge(8), ``vlan``; ``linux/if_bridge.h``)."""

from __future__ import annotations

import struct
import typing as t

from .link import AF_BRIDGE, AF_SPEC, IFINFO
from .message import Socket, attribute, attributes, each_attribute, nested, unpack

RTM_GETLINK, RTM_SETLINK, RTM_DELLINK = 18, 19, 17
EXT_MASK = 29
BRIDGE_FLAGS, BRIDGE_VLAN_INFO = 0, 2
BRIDGE_FLAGS_SELF = 2
PVID, UNTAGGED, RANGE_BEGIN, RANGE_END = 0x02, 0x04, 0x08, 0x10

_INFO = struct.Struct("=HH")  # flags, id
_COMPRESSED_VLANS = attribute(EXT_MASK, struct.pack("=I", 4 | 8))


class Vlan(t.NamedTuple):
    """A VLAN of a bridge's port."""

    vid: int
    pvid: bool
    untagged: bool


def list_vlans(sock: Socket) -> dict[int, list[Vlan]]:
    """Interface index to its VLANs, of all bridges and ports of the socket's namespace.

    :raises NetlinkError: the kernel refused.
    """
    vlans = {}
    for entry in sock.dump(RTM_GETLINK, IFINFO.pack(AF_BRIDGE, 0, 0, 0, 0) + _COMPRESSED_VLANS):
        index: int = unpack(IFINFO, entry)[2]
        vlans[index] = list(decode_vlans(attributes(entry, 16).get(AF_SPEC, b"")))
    return vlans


def decode_vlans(data: bytes) -> t.Iterator[Vlan]:
    """The VLANs in an IFLA_AF_SPEC attribute, ranges resolved."""
    first = 0
    for kind, payload in each_attribute(data):
        if kind != BRIDGE_VLAN_INFO:
            continue
        flags, vid = unpack(_INFO, payload)
        if flags & RANGE_BEGIN:
            first = vid
            continue
        for each in range(first if flags & RANGE_END else vid, vid + 1):
            yield Vlan(each, bool(flags & PVID), bool(flags & UNTAGGED))


def encode_vlans(vlans: t.Iterable[Vlan]) -> t.Iterator[bytes]:
    """The attributes of VLANs, neighbours of the same kind as one range; a PVID is always alone, as the kernel wants.

    :param vlans: sorted by id.
    """
    for first, last in _ranges(vlans):
        flags = PVID * first.pvid | UNTAGGED * first.untagged
        if first is last:
            yield attribute(BRIDGE_VLAN_INFO, _INFO.pack(flags, first.vid))
        else:
            yield attribute(BRIDGE_VLAN_INFO, _INFO.pack(flags | RANGE_BEGIN, first.vid))
            yield attribute(BRIDGE_VLAN_INFO, _INFO.pack(flags | RANGE_END, last.vid))


def _ranges(vlans: t.Iterable[Vlan]) -> list[tuple[Vlan, Vlan]]:
    """First and last of each run of neighbours that differ in nothing but their ids."""
    found: list[tuple[Vlan, Vlan]] = []
    for vlan in vlans:
        first, last = found[-1] if found else (None, None)
        if first and last and not vlan.pvid and vlan == last._replace(vid=last.vid + 1):
            found[-1] = (first, vlan)
        else:
            found.append((vlan, vlan))
    return found


def apply_vlans(
    sock: Socket, index: int, live: t.Sequence[Vlan], wanted: t.Sequence[Vlan], *, itself: bool = False
) -> None:
    """Bring the VLANs of one port to a set; those that stay are not interrupted.

    :param index: of the port.
    :param live: those that it has, sorted by id; ``wanted`` likewise.
    :param itself: the port is the bridge itself.
    :raises NetlinkError: the kernel refused.
    """
    kept = {vlan.vid for vlan in wanted}
    gone = [vlan._replace(pvid=False, untagged=False) for vlan in live if vlan.vid not in kept]
    for kind, vlans in ((RTM_DELLINK, gone), (RTM_SETLINK, [vlan for vlan in wanted if vlan not in live])):
        if vlans:
            flags = attribute(BRIDGE_FLAGS, struct.pack("=H", BRIDGE_FLAGS_SELF)) if itself else b""
            body = IFINFO.pack(AF_BRIDGE, 0, index, 0, 0) + nested(AF_SPEC, flags, *encode_vlans(vlans))
            sock.request(kind, body)
