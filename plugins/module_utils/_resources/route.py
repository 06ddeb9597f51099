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
from .._model.names import netns_reference, optional_interface_name
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
#: What a next hop has where the task says nothing.
_PLAIN: t.Final = {"via": "", "dev": "", "weight": 1, "onlink": False}


def _destination(value: str) -> str:
    return value if value == _DEFAULT else subnet(value)


def _optional_address(value: str) -> str:
    return unicast_address(value) if value else ""


class _Live(t.NamedTuple):
    """A route and where it is."""

    namespace: Namespace
    route: Entry
    unnamed: t.Container[str] = ()  #: gateways of several whose link the task leaves to the kernel

    @property
    def hop(self) -> Nexthop:
        """Where it leads; nowhere for dead ends and for routes with several next hops, which are shown apart."""
        return self.route.nexthops[0] if len(self.route.nexthops) == 1 else Nexthop("", 0)

    @property
    def several(self) -> list[State]:
        """The next hops of a route that has more than one."""
        hops = self.route.nexthops
        return _sorted(self._shown(hop) for hop in hops) if len(hops) > 1 else []

    def _shown(self, hop: Nexthop) -> State:
        alone = [each.via for each in self.route.nexthops].count(hop.via) == 1
        named = hop.via not in self.unnamed or _onlink(hop) or not alone
        dev = _link_name(self.namespace, hop.link) if named else ""
        return {"via": hop.via, "dev": dev, "weight": hop.weight, "onlink": _onlink(hop)}


_NEXTHOP = Table(
    (
        Field("via", default="", canonical=_optional_address),
        Field("dev", default="", canonical=optional_interface_name),
        Field("weight", "int", default=1, canonical=between(1, 256)),
        Field("onlink", "bool", default=False),
    ),
)


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
            "dev", default="", canonical=optional_interface_name,
            read=lambda live: _link_name(live.namespace, live.hop.link),
        ),
        Field("source", default="", canonical=_optional_address, revert="", read=lambda live: live.route.source),
        Field("scope", choices=("global", "site", "link", "host"), read=lambda live: live.route.scope),
        Field("onlink", "bool", default=False, revert=False, read=lambda live: _onlink(live.hop)),
        Field(
            "nexthops", "list", elements="dict", table=_NEXTHOP, revert=[], read=lambda live: live.several,
        ),
        Field(
            "mtu", "int", default=0, canonical=between(0, 65520), revert=0, read=lambda live: live.route.mtu,
        ),
        Field("mtu_lock", "bool", default=False, revert=False, read=lambda live: live.route.mtu_lock),
        Field(
            "advmss", "int", default=0, canonical=between(0, 65495), revert=0,
            read=lambda live: live.route.advmss,
        ),
        *POLICY,
    ),
)  # fmt: skip


class Route(Resource):
    """A route."""

    kind = "route"
    table = TABLE
    domain = "network"
    plain = True
    movable = True

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._namespace: Namespace | None = None
        self._destination, self._family = self._resolve()
        self._metric: int = self.given.get("metric", 0) or (0 if self._family == socket.AF_INET else 1024)
        self._table: int = self.given.get("table", TABLES["main"])
        #: Whose route it was before it was adopted.
        self._protocol = 0
        #: Several next hops, as the task has them.
        self._nexthops: list[State] = [{**_PLAIN, **hop} for hop in self.given.get("nexthops", ())]
        self.wanted["nexthops"] = _sorted(self._nexthops)
        self.wanted.setdefault("scope", self._natural_scope())
        errors = [] if self.absent else list(self._contradictions())
        if self._nexthops:
            self.wanted["dev"] = ""  # each has its own
        elif not self.wanted.get("dev"):
            self.wanted.pop("dev", None)  # the kernel finds the link of the gateway
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
        return "link" if local and not (self.wanted.get("via") or self._nexthops) else "global"

    def _contradictions(self) -> t.Iterator[OptionError]:
        if self.wanted.get("type") in _DEAD_ENDS:
            yield from self._unexpected(("via", "dev", "onlink", "nexthops"), f"a route of type {self.wanted['type']}")
        elif self._nexthops:
            yield from self._unexpected(("via", "dev", "onlink"), "a route with nexthops, which have their own")
            yield from self._nexthop_problems()
        elif not (self.wanted.get("via") or self.wanted.get("dev")):
            yield OptionError("via", "expected via, dev or both for a route of type unicast")
        yield from _hop_problems("", self.wanted)
        if self.wanted.get("mtu_lock") and not self.wanted.get("mtu"):
            yield OptionError("mtu_lock", "expected mtu with it")
        yield from self._family_problems()

    def _unexpected(self, names: t.Iterable[str], route: str) -> t.Iterator[OptionError]:
        for name in names:
            if self.wanted.get(name):
                yield OptionError(name, f"expected none for {route}")

    def _nexthop_problems(self) -> t.Iterator[OptionError]:
        if len(self._nexthops) < 2:
            yield OptionError("nexthops", "expected at least two; say one by via and dev")
        seen: set[tuple[str, str]] = set()
        for place, hop in self._placed_nexthops():
            way = hop["via"], hop["dev"]
            if way in seen:
                yield OptionError(f"{place}via", "this next hop is given twice; give one of them a larger weight")
            seen.add(way)
            if not any(way):
                yield OptionError(f"{place}via", "expected via, dev or both")
            yield from _hop_problems(place, hop)
            if self._family == socket.AF_INET6 and ":" not in hop["via"]:
                yield OptionError(f"{place}via", "expected an IPv6 address, which each of several next hops has")

    def _placed_nexthops(self) -> t.Iterator[tuple[str, State]]:
        """Each next hop after the path to its options."""
        return ((f"nexthops[{number}].", hop) for number, hop in enumerate(self._nexthops))

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
        self._namespace = Namespace.find(self.given.get("netns", ""))
        if self._namespace is None:
            return Observation(None)
        where = {"namespace": list(self._namespace.identity)}
        identity = {**where, "route": f"{self._destination} {self._table} {self._metric}"}
        key = (_kernel_form(self._destination, self._family), self._metric, self._table)
        for route in list_routes(self._namespace.socket, self._family, self._table):
            if (route.destination, route.metric, route.table) == key:
                unnamed = {hop["via"] for hop in self._nexthops if not hop["dev"]}
                live = _Live(self._namespace, route, unnamed)
                source = {"protocol": route.protocol}
                return Observation(self.table.read(live), route.protocol == PROTOCOL, identity, live, source)
        return Observation(None, identity=identity)

    def needs(self) -> t.Iterator[Thing]:
        """Its namespace and its links."""
        yield Thing(NETNS, self._netns)
        for hop in self._nexthops or [self.wanted]:
            yield Thing(LINK, hop.get("dev", ""), self._netns)

    # --- preflight -------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """A namespace, link, gateway or source address that is not there."""
        if self.absent:
            return
        if self._namespace is None:
            yield Missing(f"netns: there is no network namespace {self._netns!r}", Thing(NETNS, self._netns))
            return
        for place, hop in list(self._placed_nexthops()) or [("", self.wanted)]:
            problems = list(self._link_problems(self._namespace, place, hop))
            yield from problems or self._gateway_problems(self._namespace, place, hop)
        source = self.wanted.get("source")
        if source and source not in _own_addresses(self._namespace):
            yield Missing(f"source: no link there has the address {source}", Thing(ADDRESS, source, self._netns))

    def _link_problems(self, namespace: Namespace, place: str, hop: State) -> t.Iterator[Missing]:
        name = hop.get("dev")
        link = get_link(namespace.socket, name) if name else None
        if name and link is None:
            thing = Thing(LINK, name, self._netns)
            yield Missing(f"{place}dev: there is no link {name} in the same network namespace", thing)
        elif link is not None and not link.up:
            thing = Thing(LINK_UP, link.name, self._netns)
            yield Missing(f"{place}dev: {name} is down, and the kernel takes no routes over links that are down", thing)

    def _gateway_problems(self, namespace: Namespace, place: str, hop: State) -> t.Iterator[Missing]:
        via, dev = hop.get("via"), hop.get("dev")
        if not via or hop.get("onlink"):
            return
        link = get_link(namespace.socket, dev) if dev else None
        if not _is_neighbour(namespace, via, link.index if link else 0):
            where = f"the link {dev}" if dev else "any link there"
            yield Missing(
                f"{place}via: {via} is not in a network of {where}; give a link an address of that network first, "
                "or set onlink to true",
                Thing(NETWORK, via, self._netns, dev or ""),
            )

    # --- change ----------------------------------------------------------------

    def requested(self) -> list[Change]:
        """What was asked for; what the route does not have goes without saying."""
        return [change for change in super().requested() if change.after not in ("", [], 0)]

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
        namespace = self._namespace or Namespace.find(self._netns)  # another object of the run may have made it since
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
            state["source"], tuple(_hop(namespace, hop) for hop in hops), state["mtu"], state["mtu_lock"],
            state["advmss"],
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
        live: _Live | None = self.observed.handle
        if live:
            state["nexthops"] = live._replace(unnamed=()).several
        return {"destination": self._destination, "table": self._table, "metric": self._metric, **state}


def _sorted(hops: t.Iterable[State]) -> list[State]:
    """Next hops in an order that does not depend on how they were written."""
    return sorted(hops, key=lambda hop: (hop["via"], hop["dev"], hop["weight"]))


def _hop_problems(place: str, hop: State) -> t.Iterator[OptionError]:
    """What contradicts itself in one next hop.

    :param place: path to its options.
    """
    via, dev = hop.get("via", ""), hop.get("dev", "")
    if hop.get("onlink") and not (via and dev):
        yield OptionError(f"{place}onlink", "expected via and dev with it")
    if via.startswith("fe80:") and not dev:
        yield OptionError(f"{place}dev", f"expected the link on which {via} is, since every link has such addresses")


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
