# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every link of a network namespace, in the words of the modules that make links."""

from __future__ import annotations

import functools
import typing as t

from .._model.errors import KernelError
from .._model.field import Field, State, Table
from .._model.names import interface_name, netns_reference
from .._netlink import address, kinds
from .._netlink.link import Link, get_link, list_links
from .._netlink.namespace import Namespace
from . import interface, link_kinds, link_physical, shaper
from .bridge import BRIDGE
from .interface import Interface
from .link import kind_of
from .link_kinds import KINDS, TABLES
from .link_vxlan import Entries
from .link_wireguard import Keys
from .policy import GROUP

TABLE = Table((
    Field("netns", default="", canonical=netns_reference),
    Field("name", canonical=interface_name),
))  # fmt: skip

#: What every link has, but for addresses, which would be asked for link by link.
_CHEAP = Table(field for field in interface.FIELDS if field.name != "addresses")
_LOWER_UP = 0x10000  #: ``IFF_LOWER_UP``
#: Every option that shapes traffic, as somebody who wants to know.
_SHAPED: t.Final[State] = {"egress": {}, "ingress": {}, "netem": {}}


def gather(options: t.Mapping[str, t.Any]) -> State:
    """All links of a namespace, or the one of a name.

    :param options: canonical options of :data:`TABLE`.
    :raises KernelError: there is no such namespace.
    """
    try:
        namespace = Namespace(options["netns"])
    except OSError as error:
        raise KernelError(f"open network namespace {options['netns']!r}", error) from error
    everything = _Links(namespace)
    wanted = options.get("name")
    return {"links": [everything.describe(link) for link in everything.links if wanted in (None, link.name)]}


class _Links:
    """The links of a namespace, read once.

    :param namespace: where they are.
    """

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        self.links = list_links(namespace.socket)
        self._names = {link.index: link.name for link in self.links}
        self._addresses: dict[int, list[str]] = {}
        for each in address.list_addresses(namespace.socket):
            self._addresses.setdefault(each.link, []).append(each.cidr)
        self._behind = functools.cache(namespace.behind)  # a search of the whole host, where it has no name

    def describe(self, link: Link) -> State:
        """One link."""
        live = Interface(self.namespace, link)
        state = _CHEAP.read(live)
        state.update(
            name=link.name, kind=kind_of(link) or link.kind or "hardware", ours=link.group == GROUP,
            carrier=bool(link.flags & _LOWER_UP), addresses=sorted(self._addresses.get(link.index, ())),
            master=self._names.get(link.master, ""),
        )  # fmt: skip
        state.update(
            {name: shape for name, shape in shaper.read(live, [_SHAPED]).items() if shaper.says_something(shape)}
        )
        return {**state, **self._of_the_kind(live)}

    def _of_the_kind(self, live: Interface) -> State:
        kind = kind_of(live.link)
        if live.link.kind == "veth":
            return {"peer": self._other(live.link, live.link.peer)}
        if live.link.kind == "bridge":
            attributes = live.link.bridge()
            return {"bridge": {field.name: field.read(attributes) for field in BRIDGE if field.read}}
        return self._options(live, KINDS[kind], kind) if kind else {}

    def _options(self, live: Interface, spec: link_kinds.Kind, kind: str) -> State:
        values = {**kinds.decode(live.link), "origin": link_physical.origin(live.link)}
        state: State = {}
        if spec.options:
            own = state[spec.options] = TABLES[spec.options].read(values)
            part = {"vxlan": Entries, "wireguard": Keys}.get(kind)
            if part is not None:
                part().read(live, own, {}, {})
            state[spec.options] = TABLES[spec.options].shown(own)
        index = values.get("link", 0) if spec.parent_attribute else live.link.peer if spec.parent else 0
        if index:
            state["parent"] = self._other(live.link, index)
        return state

    def _other(self, link: Link, index: int) -> State:
        """Name and namespace of a link that another one is tied to; empty where nothing leads to the namespace."""
        namespace = self._behind(link.peer_nsid)
        other = get_link(namespace.socket, index=index) if namespace else None
        return {"name": other.name, "netns": namespace.reference} if namespace and other else {}
