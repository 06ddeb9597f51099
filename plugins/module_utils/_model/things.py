# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one object of a run makes or takes away, and another one needs or is hindered by."""

from __future__ import annotations

import typing as t

#: Kinds of things: a named network namespace, a link, a link that is up, an address of a link, the network of such an
#: address, a kernel parameter of a namespace with its value, and a process.
NETNS, LINK, LINK_UP, ADDRESS, NETWORK, SYSCTL = "netns", "link", "link up", "address", "network", "sysctl"
PROCESS = "process"


class Thing(t.NamedTuple):
    """One of them."""

    kind: str
    name: str  #: of a network, where it is made: its CIDR; where it is needed: an address in it
    netns: str = ""  #: the network namespace it is in, as the option says
    link: str = ""  #: of a network: the link that leads there; where it is needed, empty for any


class Things:
    """Many of them, to be asked whether one is among them.

    :param things: as objects make them.
    """

    def __init__(self, things: t.Iterable[Thing]) -> None:
        self._things = set(things)
        self._networks: dict[str, list[Thing]] = {}
        for thing in self._things:
            if thing.kind == NETWORK:
                self._networks.setdefault(thing.netns, []).append(thing)

    def __contains__(self, thing: Thing) -> bool:
        if thing.kind != NETWORK:
            return thing in self._things
        import ipaddress  # most runs have nothing to ask

        address = ipaddress.ip_address(thing.name)
        there = (each for each in self._networks.get(thing.netns, ()) if thing.link in ("", each.link))
        return any(address in ipaddress.ip_interface(each.name).network for each in there)
