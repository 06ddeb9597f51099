# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Letting packets of 127.0.0.0/8 out by a link: the kernel parameter ``route_localnet`` (kernel: ip-sysctl)."""

from __future__ import annotations

import typing as t

from .._kernel import sysctl
from .._kernel.namespace import inside
from .._model.field import State
from .._netlink.link import get_link
from .._netlink.namespace import Namespace
from .._netlink.route import route_to
from .._nft.table import Element, Elements, Key
from .nat_table import SHARED


class Links(t.NamedTuple):
    """What is to happen to the links of a namespace."""

    on: tuple[str, ...]
    off: tuple[str, ...]
    elements: Elements  #: the links that we turned it on for


class Localhost:
    """The parameter on the links of one namespace, each looked at once.

    :param namespace: an open network namespace.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._links: dict[str, str | None] = {}
        self._values: dict[str, bool] = {}

    def link(self, address: str) -> str | None:
        """The link in whose network an address is; empty: it is one of the host's own; ``None``: of none."""
        if address not in self._links:
            self._links[address] = self._find(address)
        return self._links[address]

    def _find(self, address: str) -> str | None:
        route = route_to(self._namespace.socket, address)
        if route is None or any(hop.via for hop in route.nexthops):
            return None
        if route.type == "local":
            return ""
        link = get_link(self._namespace.socket, index=route.nexthops[0].link) if route.nexthops else None
        return link.name if link else None

    def is_on(self, link: str) -> bool:
        """Whether the parameter is on."""
        if link not in self._values:
            with inside(self._namespace.fd):
                self._values[link] = sysctl.read_parameter(_parameter(link)) == "1"
        return self._values[link]

    def works(self, address: str) -> bool:
        """Whether nothing is to be turned on for an address; as for one that is on no link, nothing can."""
        link = self.link(address)
        return not link or self.is_on(link)

    def plan(self, ours: t.Iterable[tuple[str, ...]], publications: t.Iterable[State]) -> Links:
        """What is to be turned on and off.

        :param ours: keys of the links that we turned it on for before.
        :param publications: all that are to be there.
        """
        before = {key[0] for key in ours}
        needed = {self.link(each["to"]) for each in publications if each["localhost"]} - {None, ""}
        links = sorted(link for link in needed if link)
        on = tuple(link for link in links if not self.is_on(link))
        kept: dict[Key, Element] = {(link,): Element() for link in links if link in before or link in on}
        return Links(on, tuple(sorted(before - needed)), {SHARED: kept})

    def turn_off(self, links: Links) -> None:
        """Before the table lets go of what guards 127.0.0.0/8.

        :raises KernelError: the kernel refused.
        """
        for link in links.off:
            if get_link(self._namespace.socket, link) is not None:
                self._write(link, "0")

    def turn_on(self, links: Links) -> None:
        """When the table guards 127.0.0.0/8.

        :raises KernelError: the kernel refused.
        """
        for link in links.on:
            self._write(link, "1")

    def _write(self, link: str, value: str) -> None:
        with inside(self._namespace.fd):
            sysctl.write_parameter(_parameter(link), value)


def _parameter(link: str) -> str:
    return f"net/ipv4/conf/{link}/route_localnet"
