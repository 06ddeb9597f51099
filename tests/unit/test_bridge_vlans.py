# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VLANs of a bridge's ports as bytes: what is sent is what linux/if_bridge.h says, and what pyroute2 understands."""

from __future__ import annotations

import typing as t

from ansible_collections.nsfleet.linux.plugins.module_utils._netlink import vlan
from ansible_collections.nsfleet.linux.plugins.module_utils._netlink.message import Socket
from ansible_collections.nsfleet.linux.plugins.module_utils._netlink.vlan import Vlan
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

ONE = Vlan(1, True, True)
TAGGED = st.sets(st.integers(2, 4094), max_size=60)


class Recorder(Socket):
    """A socket that keeps what it is to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes]] = []

    def request(self, kind: int, body: bytes, flags: int = 0) -> bytes | None:
        """Keep the request."""
        del flags
        self.sent.append((kind, body))
        return None

    def __del__(self) -> None:
        """There is nothing to close."""


def understood(body: bytes) -> list[tuple[str, t.Any]]:
    """The attributes of a request about VLANs, as pyroute2 reads them."""
    header = (16 + len(body)).to_bytes(4, "little") + bytes((19, 0, 0, 0)) + bytes(8)
    message = ifinfmsg(header + body)
    message["family"] = 7
    message.decode()
    return [(each[0], each[1]) for each in message.get_attr("IFLA_AF_SPEC")["attrs"]]


def test_ranges_are_sent_as_the_kernel_wants_them() -> None:
    wanted = [ONE, *(Vlan(vid, False, False) for vid in (2, 3, 4, 9)), Vlan(10, False, True), Vlan(11, False, True)]
    sent = b"".join(vlan.encode_vlans(wanted)).hex(" ", 4).split()
    assert sent == [
        "08000200", "06000100",  # PVID, untagged: 1
        "08000200", "08000200", "08000200", "10000400",  # from 2 to 4
        "08000200", "00000900",
        "08000200", "0c000a00", "08000200", "14000b00",  # untagged, from 10 to 11
    ]  # fmt: skip


@given(TAGGED, TAGGED)
def test_what_is_sent_is_what_is_read(tagged: set[int], untagged: set[int]) -> None:
    wanted = [ONE, *(Vlan(vid, False, vid in untagged) for vid in sorted(tagged | untagged))]
    assert list(vlan.decode_vlans(b"".join(vlan.encode_vlans(wanted)))) == wanted


def test_only_what_differs_is_sent() -> None:
    live = [ONE, *(Vlan(vid, False, False) for vid in (5, 6, 7))]
    socket = Recorder()
    vlan.apply_vlans(socket, 4, live, live)
    assert socket.sent == []
    vlan.apply_vlans(socket, 4, live, [live[1], Vlan(6, True, True)], itself=True)
    assert [kind for kind, _body in socket.sent] == [vlan.RTM_DELLINK, vlan.RTM_SETLINK]
    assert [understood(body) for _kind, body in socket.sent] == [
        [
            ("IFLA_BRIDGE_VLAN_FLAGS", 2),
            ("IFLA_BRIDGE_VLAN_INFO", {"flags": 0, "vid": 1}),
            ("IFLA_BRIDGE_VLAN_INFO", {"flags": 0, "vid": 7}),
        ],
        [("IFLA_BRIDGE_VLAN_FLAGS", 2), ("IFLA_BRIDGE_VLAN_INFO", {"flags": 6, "vid": 6})],
    ]
