# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables table ``inet nsfleet``: its rules, and how networks and published ports are elements of it.

The rules are the same on every host. What a task asks for is elements of sets and maps, whose comment is the name that
the task has: so the kernel knows whose each of them is, tasks of different names do not touch what is not theirs, and
neither a packet nor a change of one port costs more when there are more ports.

    port4, range4              protocol and port(s) → address and port of the target, for every address of the host
    bound_port4, bound_range4  the same for one address of the host
    loopback_port, loopback_range   the published ports that 127.0.0.0/8 has, too
    network4                   network and the link it is behind
    masquerade4, source4       networks whose packets get another source address when they leave by another link
    isolated, within           links between which nothing is forwarded; each with itself
    localhost                  links whose kernel parameter route_localnet was turned on; nobody's in particular

A range is one element, since it keeps its ports; single ports are in hash tables, which grow at no cost.
"""

from __future__ import annotations

import ipaddress
import itertools
import typing as t

from .._model.addresses import subnet
from .._model.field import State
from .._model.ports import Ports
from .._nft.table import Chain, Element, Elements, Key, Layout, Set

ANY: t.Final = {4: "0.0.0.0", 6: "::"}
#: The set whose elements have no owner.
SHARED: t.Final = "localhost"

_PROTOCOL, _PORT, _LINK = "inet_proto", "inet_service", "ifname"


def _family_sets(number: int) -> tuple[Set, ...]:
    address = f"ipv{number}_addr"
    return (
        Set(f"port{number}", (_PROTOCOL, _PORT), (address, _PORT)),
        Set(f"range{number}", (_PROTOCOL, _PORT), (address,), interval=True),
        Set(f"bound_port{number}", (address, _PROTOCOL, _PORT), (address, _PORT)),
        Set(f"bound_range{number}", (address, _PROTOCOL, _PORT), (address,), interval=True),
        Set(f"network{number}", (address, _LINK), interval=True),
        Set(f"masquerade{number}", (address,), interval=True),
        Set(f"source{number}", (address,), (address,), interval=True),
    )


def _dnat(number: int, *sets: str) -> tuple[str, ...]:
    """Look the packet up in maps; the first that knows it decides."""
    family = "ip" if number == 4 else "ip6"
    port = "meta l4proto . th dport"
    keys = {name: f"{family} daddr . {port}" if name.startswith("bound") else port for name in sets}
    return tuple(f"dnat {family} to {key} map @{name}{number}" for name, key in keys.items())


def _snat(number: int) -> tuple[str, ...]:
    """Other source addresses: for what the host sends back by the link it came from, and for what leaves a network."""
    family = "ip" if number == 4 else "ip6"
    at_home = f"{family} saddr . oifname @network{number}"
    return (
        f"ct status dnat {at_home} masquerade",
        f"{at_home} return",
        f"snat {family} to {family} saddr map @source{number}",
        f"{family} saddr @masquerade{number} masquerade",
    )


LAYOUT: t.Final = Layout(
    "nsfleet",
    (
        *_family_sets(4),
        *_family_sets(6),
        Set("loopback_port", (_PROTOCOL, _PORT)),
        Set("loopback_range", (_PROTOCOL, _PORT), interval=True),
        Set("isolated", (_LINK,)),
        Set("within", (_LINK, _LINK)),
        Set(SHARED, (_LINK,)),
    ),
    (
        # route_localnet lets packets for and from 127.0.0.0/8 in by a link; no neighbour is to make use of that.
        Chain(
            "guard",
            ('iifname != "lo" ip daddr 127.0.0.0/8 drop', 'iifname != "lo" ip saddr 127.0.0.0/8 drop'),
            "type filter hook prerouting priority raw",
        ),
        Chain(
            "published",
            (
                *_dnat(4, "bound_port", "bound_range"),
                *_dnat(6, "bound_port", "bound_range"),
                "fib daddr type != local return",
                *_dnat(4, "port", "range"),
                *_dnat(6, "port", "range"),
            ),
        ),
        Chain("prerouting", ("jump published",), "type nat hook prerouting priority dstnat"),
        Chain(
            "output",
            (
                "ip daddr 127.0.0.0/8 meta l4proto . th dport @loopback_port jump published",
                "ip daddr 127.0.0.0/8 meta l4proto . th dport @loopback_range jump published",
                "ip daddr 127.0.0.0/8 return",
                "ip6 daddr ::1 return",
                "jump published",
            ),
            "type nat hook output priority -100",
        ),
        Chain(
            "postrouting",
            ("ct status dnat ip saddr 127.0.0.0/8 masquerade", *_snat(4), *_snat(6)),
            "type nat hook postrouting priority srcnat",
        ),
        Chain(
            "forward",
            (
                "ct state established,related accept",
                "ct status dnat accept",
                "iifname . oifname @within accept",
                "iifname @isolated oifname @isolated drop",
            ),
            "type filter hook forward priority filter",
        ),
    ),
)  # fmt: skip


class Publication(t.NamedTuple):
    """Ports of the host that lead to somewhere else; its text names it."""

    address: str  #: of the host; ``0.0.0.0`` or ``::`` for all of them
    ports: Ports
    protocol: str

    @classmethod
    def parse(cls, text: str) -> Publication:
        """The publication that a text such as ``10.0.0.1:8080/tcp`` or ``[::]:8000-8010/udp`` names."""
        words, _slash, protocol = text.rpartition("/")
        address, _colon, ports = words.rpartition(":")
        return cls(address.strip("[]"), Ports.parse(ports), protocol)

    def __str__(self) -> str:
        address = f"[{self.address}]" if self.family == 6 else self.address
        return f"{address}:{self.ports}/{self.protocol}"

    @property
    def family(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.address else 4

    @property
    def everywhere(self) -> bool:
        """Whether every address of the host has it."""
        return self.address == ANY[self.family]

    @property
    def loops(self) -> bool:
        """Whether it may be reached by way of 127.0.0.0/8: there is no such way for IPv6."""
        return self.address == ANY[4] or self.address.startswith("127.")

    @property
    def group(self) -> tuple[str, int]:
        """Those of different groups never collide."""
        return self.protocol, self.family

    def collides(self, other: Publication) -> bool:
        """Whether one packet could be for both. All of 127.0.0.0/8 counts as one address."""
        same = self.address == other.address or (self.loops and other.loops)
        return (
            self.group == other.group
            and self.ports.overlaps(other.ports)
            and (same or self.everywhere or other.everywhere)
        )

    def takes_from(self, protocol: str, address: str, port: int, localhost: bool) -> bool:
        """Whether packets that a socket of the host waits for would go to the target instead.

        :param address: that the socket is bound to; ``::`` takes IPv4 packets, too.
        :param localhost: packets to 127.0.0.0/8 go to the target.
        """
        bound = ipaddress.ip_address(address)
        bound = getattr(bound, "ipv4_mapped", None) or bound
        if protocol != self.protocol or not self.ports.first <= port <= self.ports.last:
            return False
        if bound.is_unspecified:
            return bound.version in (6, self.family)
        if bound.version != self.family:
            return False
        if bound.is_loopback:
            return localhost and (self.everywhere or self.address == str(bound))
        return self.everywhere or self.address == str(bound)


def collisions(
    publications: t.Iterable[Publication], others: t.Iterable[Publication] | None = None
) -> t.Iterator[tuple[Publication, Publication]]:
    """Pairs that collide, among publications or between them and others; of a pair of one list, the earlier first.

    It takes time by the number of publications, not of pairs.
    """
    marked = [(each, False, place) for place, each in enumerate(publications)]
    marked += [(each, True, place) for place, each in enumerate(others or ())]
    marked.sort(key=lambda item: (item[0].group, item[0].ports))
    open_ones: list[tuple[Publication, bool, int]] = []
    for item in marked:
        open_ones = [
            each for each in open_ones if each[0].ports.last >= item[0].ports.first and each[0].group == item[0].group
        ]
        for each in open_ones:
            if each[0].collides(item[0]) and (others is None or each[1] != item[1]):
                first, second = sorted((each, item), key=lambda one: one[1:])
                yield first[0], second[0]
        open_ones.append(item)


def overlaps(networks: t.Iterable[str], others: t.Iterable[str] | None = None) -> t.Iterator[tuple[str, str]]:
    """Pairs of networks that have an address in common, among networks or between them and others."""
    mine = [ipaddress.ip_network(network) for network in networks]
    theirs = [ipaddress.ip_network(network) for network in others or ()]
    pairs = itertools.combinations(mine, 2) if others is None else itertools.product(mine, theirs)
    for one, other in pairs:
        if one.version == other.version and one.overlaps(other):
            yield str(one), str(other)


# --- state to elements -------------------------------------------------------


def elements_of(state: State, owner: str) -> Elements:
    """The elements that stand for a state.

    :param state: with ``networks``, ``publications`` and ``isolate`` in canonical form.
    :param owner: comment of the elements.
    """
    found: Elements = {}

    def put(name: str, key: Key, *value: str) -> None:
        found.setdefault(name, {})[key] = Element(value, owner)

    for network, options in state.get("networks", {}).items():
        _put_network(put, network, options)
    for text, options in state.get("publications", {}).items():
        _put_publication(put, Publication.parse(text), options)
    for link in state.get("isolate", ()):
        put("isolated", (link,))
        put("within", (link, link))
    return found


def _put_network(put: t.Callable[..., None], network: str, options: State) -> None:
    family = 6 if ":" in network else 4
    key = _as_listed(network)
    put(f"network{family}", (key, options["link"]))
    if options.get("source"):
        put(f"source{family}", (key,), options["source"])
    elif options.get("masquerade"):
        put(f"masquerade{family}", (key,))


def _put_publication(put: t.Callable[..., None], publication: Publication, options: State) -> None:
    kind = "port" if publication.ports.single else "range"
    bound = "" if publication.everywhere else "bound_"
    address = () if publication.everywhere else (publication.address,)
    port = (str(options["to_port"]),) if publication.ports.single else ()
    key = (publication.protocol, str(publication.ports))
    put(f"{bound}{kind}{publication.family}", (*address, *key), options["to"], *port)
    if options.get("localhost"):
        put(f"loopback_{kind}", key)


def _as_listed(network: str) -> str:
    """A network as nft lists it: single addresses without their length."""
    address, _slash, length = network.partition("/")
    return address if length == ("128" if ":" in address else "32") else network


# --- elements to state -------------------------------------------------------


def state_of(elements: Elements) -> State:
    """The state that elements stand for; what makes no sense is left out.

    :param elements: of one owner.
    """
    return {
        "networks": dict(_networks(elements)),
        "publications": dict(_publications(elements)),
        "isolate": sorted(link for (link,) in elements.get("isolated", {})),
    }


def _networks(elements: Elements) -> t.Iterator[tuple[str, State]]:
    for family in (4, 6):
        for words, link in elements.get(f"network{family}", {}):
            source = elements.get(f"source{family}", {}).get((words,))
            masqueraded = source is not None or (words,) in elements.get(f"masquerade{family}", {})
            yield subnet(words), {"link": link, "masquerade": masqueraded, "source": source.value[0] if source else ""}


def _publications(elements: Elements) -> t.Iterator[tuple[str, State]]:
    for family in (4, 6):
        for kind in ("port", "range"):
            for bound in ("", "bound_"):
                for key, element in elements.get(f"{bound}{kind}{family}", {}).items():
                    *address, protocol, words = key
                    publication = Publication(address[0] if address else ANY[family], Ports.parse(words), protocol)
                    yield (
                        str(publication),
                        {
                            "to": element.value[0],
                            "to_port": int(element.value[1]) if kind == "port" else publication.ports.first,
                            "localhost": publication.loops
                            and (protocol, words) in elements.get(f"loopback_{kind}", {}),
                        },
                    )


# --- owners ------------------------------------------------------------------


def of_owner(elements: Elements, owner: str) -> Elements:
    """The elements that are somebody's."""
    return _filtered(elements, lambda name, found: found == owner and name != SHARED)


def of_others(elements: Elements, owner: str) -> Elements:
    """The elements that are somebody else's, whoever that is."""
    return _filtered(elements, lambda name, found: found not in ("", owner) and name != SHARED)


def strays(elements: Elements) -> Elements:
    """The elements that nobody owns, so that somebody added them by hand."""
    return _filtered(elements, lambda name, found: found == "" and name != SHARED)


def owners(elements: Elements) -> list[str]:
    """All owners, sorted."""
    return sorted({each.owner for found in elements.values() for each in found.values()} - {""})


def merged(*many: Elements) -> Elements:
    """All elements together."""
    found: Elements = {}
    for elements in many:
        for name, items in elements.items():
            found.setdefault(name, {}).update(items)
    return found


def _filtered(elements: Elements, wanted: t.Callable[[str, str], bool]) -> Elements:
    chosen = {
        name: {key: element for key, element in items.items() if wanted(name, element.owner)}
        for name, items in elements.items()
    }
    return {name: items for name, items in chosen.items() if items}
