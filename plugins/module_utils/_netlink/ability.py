# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this kernel can do, tried where nobody sees it: in a network namespace that goes with the attempt."""

from __future__ import annotations

import typing as t

from .._kernel.namespace import inside_new
from .link import Settings, create_bridge, create_veth, get_link
from .message import Socket


class BridgeAbilities(t.NamedTuple):
    """Names of the attributes that this kernel's bridges and their ports have."""

    bridge: frozenset[str]
    port: frozenset[str]


def bridge_abilities() -> BridgeAbilities:
    """What bridges of this kernel have.

    The kernel ignores attributes that it was built without or is too old for, so that creating a bridge with them
    proves nothing; what it shows of one does.

    :raises NetlinkError: it has no bridges, or no veth pairs to be their ports.
    """
    with inside_new():
        sock = Socket()
        try:
            create_bridge(sock, Settings(name="bridge", bridge={}))
            bridge = get_link(sock, "bridge")
            if bridge is None:
                return BridgeAbilities(frozenset(), frozenset())
            create_veth(sock, Settings(name="port", master=bridge.index), Settings(name="end"))
            port = get_link(sock, "port")
        finally:
            sock.close()
    return BridgeAbilities(frozenset(bridge.bridge()), frozenset(port.bridge_port() if port else ()))
