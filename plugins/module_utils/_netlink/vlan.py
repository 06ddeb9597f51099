# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the VLANs of a bridge's port, by pyroute2 (bridge(8), ``vlan``)."""

from __future__ import annotations

import typing as t

from .library import iproute
from .link import Vlan

_PVID, _UNTAGGED = 0x02, 0x04


def apply_vlans(namespace: int, index: int, live: t.Sequence[Vlan], wanted: t.Sequence[Vlan], *, itself: bool) -> None:
    """Bring the VLANs of one port to a set; those that stay are not interrupted.

    :param namespace: file descriptor of the network namespace.
    :param index: of the port.
    :param itself: the port is the bridge itself.
    :raises KernelError: the kernel refused.
    """
    target = {"af_spec_flags": "self"} if itself else {}
    kept = {vlan.vid for vlan in wanted}
    with iproute(namespace, "set VLANs of a bridge's port") as library:
        for vlan in live:
            if vlan.vid not in kept:
                library.vlan_filter("del", index=index, vlan_info={"vid": vlan.vid}, **target)
        for vlan in wanted:
            if vlan not in live:
                flags = _PVID * vlan.pvid | _UNTAGGED * vlan.untagged
                library.vlan_filter("add", index=index, vlan_info={"vid": vlan.vid, "flags": flags}, **target)
