# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A route of a network namespace (ip-route(8)): told apart by destination, table and metric."""

from __future__ import annotations

import socket
import typing as t
from ipaddress import ip_address, ip_interface

from .._model.addresses import subnet, unicast_address
from .._model.errors import InvalidOptions, Missing, NsfleetError, OptionError
from .._model.field import Field, State, Table
from .._model.names import interface_name, netns_reference
from .._model.quantities import between
from .._model.resource import CREATE, DELETE, SET, Change, Observation, Resource, Step
from .._model.things import ADDRESS, LINK, LINK_UP, NETNS, NETWORK, Thing
from .._netlink import address
from .._netlink.link import get_link
from .._netlink.namespace import Namespace
from .._netlink.route import (
    RTNH_F_ONLINK,
    TABLES,
    Nexthop,
    delete_route,
    list_routes,
    replace_route,
    route_to,
    table_number,
)
from .._netlink.route import Route as Entry
from .policy import POLICY, PROTOCOL

#: Types of routes that lead nowhere.
_DEAD_ENDS = ("blackhole", "unreachable", "prohibit", "throw")
_DEFAULT = "default"


def _destination(value: str) -> str:
    return value if value == _DEFAULT else subnet(value)


def _optional_address(value: str) -> str:
    return unicast_address(value) if value else ""


def _optional_link(value: str) -> str:
    return interface_name(value) if value else ""


class _Live(t.NamedTuple):
    """A route and where it is."""

    namespace: Namespace
    route: Entry

    @property
    def hop(self) -> Nexthop:
        """Where it leads; nowhere for dead ends and for routes with several next hops, which are shown apart."""
        return self.route.nexthops[0] if len(self.route.nexthops) == 1 else Nexthop("", 0)

    @property
    def several(self) -> list[State]:
        """The next hops of a route that has more than one."""
        hops = self.route.nexthops
        if len(hops) < 2:
            return []
        return [
            {"via": hop.via, "dev": _link_name(self.namespace, hop.link), "weight": hop.weight, "onlink": _onlink(hop)}
            for hop in hops
        ]


TABLE = Table(
    (
        Field("destination", required=True, canonical=_destination, stateful=False),
        Field("netns", default="", canonical=netns_reference, stateful=False),
        Field("table", default="main", canonical=table_number, stateful=False),
        Field("metric", "int", canonical=between(0, 0xFFFFFFFF), stateful=False),
        Field(
            "type", choices=("unicast", *_DEAD_ENDS), default="unicast", revert="unicast",
            read=lambda live: live.route.type,
        ),
        Field("via", default="", canonical=_optional_address, revert="", read=lambda live: live.hop.via),
        Field(
            "dev", default="", canonical=_optional_link,
            read=lambda live: _link_name(live.namespace, live.hop.link),
        ),
        Field("source", default="", canonical=_optional_address, revert="", read=lambda live: live.route.source),
        Field("scope", choices=("global", "site", "link", "host"), read=lambda live: live.route.scope),
        Field("onlink", "bool", default=False, revert=False, read=lambda live: _onlink(live.hop)),
        Field("nexthops", "list", option=False, read=lambda live: live.several),
        *POLICY,
    ),
)  # fmt: skip


class Route(Resource):
    """A route."""

    kind = "route"
    table = TABLE
    domain = "network"

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._namespace: Namespace | None = None
        self._destination, self._family = self._resolve()
        self._metric: int = self.given.get("metric", 0) or (0 if self._family == socket.AF_INET else 1024)
        self._table: int = self.given.get("table", TABLES["main"])
        #: Whose route it was before it was adopted.
        self._protocol = 0
        self.wanted.setdefault("scope", self._natural_scope())
        self.wanted["nexthops"] = []
        if not self.wanted.get("dev"):
            self.wanted.pop("dev", None)  # the kernel finds the link of the gateway
        errors = [] if self.absent else list(self._contradictions())
        if errors:
            raise InvalidOptions(errors)

    def _resolve(self) -> tuple[str, int]:
        """Destination and address family; the default route is of the family of the addresses beside it."""
        words = self.given["destination"]
        if words == _DEFAULT:
            others = self.given.get("via", ""), self.given.get("source", "")
            words = "::/0" if any(":" in other for other in others) else "0.0.0.0/0"
        return words, socket.AF_INET6 if ":" in words else socket.AF_INET

    def _natural_scope(self) -> str:
        """What ip-route(8) takes for the scope when it is not given; IPv6 knows no other than global."""
        local = self._family == socket.AF_INET and self.wanted.get("type", "unicast") == "unicast"
        return "link" if local and not self.wanted.get("via") else "global"

    def _contradictions(self) -> t.Iterator[OptionError]:
        via, dev = self.wanted.get("via", ""), self.wanted.get("dev", "")
        if self.wanted.get("type") in _DEAD_ENDS:
            for name in ("via", "dev", "onlink"):
                if self.wanted.get(name):
                    yield OptionError(name, f"expected none for a route of type {self.wanted['type']}")
        elif not (via or dev or self.given.get("nexthops")):
            yield OptionError("via", "expected via, dev or both for a route of type unicast")
        if self.wanted.get("onlink") and not (via and dev):
            yield OptionError("onlink", "expected via and dev with it")
        if via.startswith("fe80:") and not dev:
            yield OptionError("dev", f"expected the link on which {via} is, since every link has such addresses")
        yield from self._family_problems()

    def _family_problems(self) -> t.Iterator[OptionError]:
        """An IPv4 route may have an IPv6 gateway; all else is of one family."""
        six = self._family == socket.AF_INET6
        for name in ("via", "source") if six else ("source",):
            value = self.wanted.get(name, "")
            if value and (":" in value) != six:
                family = "IPv6" if six else "IPv4"
                yield OptionError(name, f"expected an {family} address for the destination {self._destination}")
        if six and self.wanted["scope"] != "global":
            yield OptionError("scope", "expected global, since IPv6 routes have no other scope")

    @property
    def name(self) -> str:
        """Destination; table, metric and namespace where they are not the usual ones."""
        table, metric, netns = self._table, self.given.get("metric", 0), self.given.get("netns", "")
        words = [f"table {table}" if table != TABLES["main"] else "", f"metric {metric}" if metric else ""]
        return " ".join(word for word in (self._destination, *words, f"in {netns}" if netns else "") if word)

    @property
    def key(self) -> str:
        """What the kernel tells it apart by, and its namespace."""
        return f"{self._destination} {self._table} {self._metric}@{self._netns}"

    @property
    def _netns(self) -> str:
        return str(self.given.get("netns", ""))

    # --- observe ---------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Find the route; of several with the same key, the one that is used."""
        self._namespace = _open(self.given.get("netns", ""))
        if self._namespace is None:
            return Observation(None)
        identity = {"namespace": list(self._namespace.identity)}
        key = (_kernel_form(self._destination, self._family), self._metric, self._table)
        for route in list_routes(self._namespace.socket, self._family, self._table):
            if (route.destination, route.metric, route.table) == key:
                live = _Live(self._namespace, route)
                source = {"protocol": route.protocol}
                return Observation(self.table.read(live), route.protocol == PROTOCOL, identity, live, source)
        return Observation(None, identity=identity)

    def needs(self) -> t.Iterator[Thing]:
        """Its namespace, its link, and the network of its gateway by whichever link."""
        yield Thing(NETNS, self._netns)
        yield Thing(LINK, self.wanted.get("dev", ""), self._netns)

    # --- preflight -------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """A namespace, link, gateway or source address that is not there."""
        if self.absent:
            return
        if self._namespace is None:
            yield Missing(f"netns: there is no network namespace {self._netns!r}", Thing(NETNS, self._netns))
            return
        problems = list(self._link_problems(self._namespace))
        yield from problems or self._gateway_problems(self._namespace)
        source = self.wanted.get("source")
        if source and source not in _own_addresses(self._namespace):
            yield Missing(f"source: no link there has the address {source}", Thing(ADDRESS, source, self._netns))

    def _link_problems(self, namespace: Namespace) -> t.Iterator[Missing]:
        name = self.wanted.get("dev")
        link = get_link(namespace.socket, name) if name else None
        if name and link is None:
            thing = Thing(LINK, name, self._netns)
            yield Missing(f"dev: there is no link {name} in the same network namespace", thing)
        elif link is not None and not link.up:
            thing = Thing(LINK_UP, link.name, self._netns)
            yield Missing(f"dev: {name} is down, and the kernel takes no routes over links that are down", thing)

    def _gateway_problems(self, namespace: Namespace) -> t.Iterator[Missing]:
        via, dev = self.wanted.get("via"), self.wanted.get("dev")
        if not via or self.wanted.get("onlink"):
            return
        link = get_link(namespace.socket, dev) if dev else None
        if not _is_neighbour(namespace, via, link.index if link else 0):
            where = f"the link {dev}" if dev else "any link there"
            yield Missing(
                f"via: {via} is not in a network of {where}; give a link an address of that network first, "
                "or set onlink to true",
                Thing(NETWORK, via, self._netns, dev or ""),
            )

    # --- change ----------------------------------------------------------------

    def requested(self) -> list[Change]:
        """What was asked for; that it has no further next hops goes without saying."""
        return [change for change in super().requested() if change.after not in ("", [])]

    def create(self) -> list[Step]:
        """The route as wanted."""
        return [self.step(CREATE, self.requested(), self._write)]

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """One message puts the wanted route in the place of the one that is there; no packet finds none."""
        return [self.step(SET, changes, lambda: self._write(changes))]

    def write(self, change: Change) -> None:
        """Make one change."""
        self._write([change])

    def _write(self, changes: t.Sequence[Change] = ()) -> None:
        namespace = self._namespace or _open(self._netns)  # another object of the run may have made it since
        if namespace is None:
            raise NsfleetError(f"{self.target}: the network namespace {self._netns!r} is gone")
        # What no change speaks of stays as it is: drift that is only warned of is not repaired by the way.
        state = {**self.wanted, **(self.observed.state or {}), **{change.path[0]: change.after for change in changes}}
        if state["via"] and "dev" not in self.wanted:
            state.pop("dev", None)  # another gateway may be on another link
        replace_route(namespace.fd, self._route(namespace, state))

    def _route(self, namespace: Namespace, state: State) -> Entry:
        hops = state["nexthops"] or [state] if state["type"] == "unicast" else []
        return Entry(
            self._family, self._destination, self._table, self._metric, state["type"], state["scope"], PROTOCOL,
            state["source"], tuple(_hop(namespace, hop) for hop in hops),
        )  # fmt: skip

    def delete(self) -> list[Step]:
        """Remove the route."""
        return [Step(DELETE, self.target, (), self._delete)]

    def _delete(self) -> None:
        live: _Live = self.observed.handle
        delete_route(live.namespace.fd, live.route)

    def mark(self, ours: bool) -> None:
        """By the number of its protocol."""
        live: _Live = self.observed.handle
        replace_route(live.namespace.fd, live.route._replace(protocol=PROTOCOL if ours else self._protocol))

    def prior(self, before: Observation) -> Resource:
        """The route as it was, with the mark of whoever made it."""
        resource = t.cast("Route", super().prior(before))
        resource._protocol = before.source["protocol"] if before.source else 0
        return resource

    def shown(self) -> State:
        """The observed route."""
        state = self.table.shown(self.observed.state or {})
        return {"destination": self._destination, "table": self._table, "metric": self._metric, **state}


def _open(reference: str) -> Namespace | None:
    try:
        return Namespace.of(reference)
    except OSError:
        return None


def _kernel_form(destination: str, family: int) -> str:
    """A network as the reader of routes writes it."""
    words, _slash, length = destination.partition("/")
    return f"{socket.inet_ntop(family, socket.inet_pton(family, words))}/{length}"


def _hop(namespace: Namespace, state: State) -> Nexthop:
    link = get_link(namespace.socket, state["dev"]) if state.get("dev") else None
    flags = RTNH_F_ONLINK if state["onlink"] else 0
    return Nexthop(state["via"], link.index if link else 0, state.get("weight", 1), flags)


def _link_name(namespace: Namespace, index: int) -> str:
    link = get_link(namespace.socket, index=index) if index else None
    return link.name if link else ""


def _is_neighbour(namespace: Namespace, via: str, link: int) -> bool:
    """Whether an address is on a link of the namespace itself.

    :param link: index of the link that it is to be on; 0 for any.
    """
    there = address.list_addresses(namespace.socket)
    if via in {each.cidr.partition("/")[0] for each in there}:
        return False
    if any(each.link == link and ip_address(via) in ip_interface(each.cidr).network for each in there):
        return True
    # Asked for a certain link, IPv4 takes every address for a neighbour on it.
    found = route_to(namespace.socket, via, link if ":" in via else 0)
    hops = found.nexthops if found is not None else ()
    return any(not hop.via and link in (0, hop.link) for hop in hops)


def _onlink(hop: Nexthop) -> bool:
    return bool(hop.flags & RTNH_F_ONLINK)


def _own_addresses(namespace: Namespace) -> set[str]:
    return {each.cidr.partition("/")[0] for each in address.list_addresses(namespace.socket)}
