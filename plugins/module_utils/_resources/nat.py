# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A named set of networks and published ports in the table ``inet nsfleet`` of a network namespace."""

from __future__ import annotations

import copy
import functools
import ipaddress
import typing as t

from .._kernel import sysctl
from .._kernel.namespace import inside
from .._model import things
from .._model.addresses import ip_address, subnet, unicast_address
from .._model.errors import InvalidOptions, Missing, NsfleetError, OptionError
from .._model.field import Field, State, Table
from .._model.names import interface_name, label, netns_reference
from .._model.ports import Ports, port, port_range
from .._model.resource import CREATE, DELETE, DRIFT, SET, Change, Observation, Resource, Step
from .._netlink.namespace import Namespace
from .._nft import command, foreign
from .._nft import table as nft
from .localhost import Localhost
from .nat_table import (
    ANY,
    LAYOUT,
    SHARED,
    Publication,
    collisions,
    elements_of,
    merged,
    of_others,
    of_owner,
    overlaps,
    owners,
    state_of,
    strays,
)
from .policy import POLICY

#: Kernel parameters without which nothing is forwarded, by address family.
FORWARDING: t.Final = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


def _target(value: str) -> str:
    words = unicast_address(value)
    if ipaddress.ip_address(words).is_loopback:
        raise ValueError(f"expected an address that packets can be sent on to, got {value!r}")
    return words


def _optional(canonical: t.Callable[[str], str]) -> t.Callable[[str], str]:
    return lambda value: canonical(value) if value else ""


def _links(values: t.Sequence[str]) -> list[str]:
    return sorted({interface_name(value) for value in values})


NETWORK = Table(
    (
        Field("subnet", required=True, canonical=subnet),
        Field("link", required=True, canonical=interface_name),
        Field("masquerade", "bool", default=True),
        Field("source", default="", canonical=_optional(unicast_address)),
    )
)
PUBLISH = Table(
    (
        Field("port", required=True, canonical=port_range),
        Field("protocols", "list", elements="str", choices=("tcp", "udp", "sctp"), default=["tcp"]),
        Field("address", default="", canonical=_optional(ip_address)),
        Field("to", required=True, canonical=_target),
        Field("to_port", "int", canonical=port),
        Field("localhost", "bool", default=True),
    )
)
PUBLICATION = Table((Field("publication"), Field("to"), Field("to_port", "int"), Field("localhost", "bool")))
TABLE = Table(
    (
        Field("name", required=True, canonical=label, stateful=False),
        Field("netns", default="", canonical=netns_reference, stateful=False),
        Field("networks", "list", elements="dict", default=[], table=NETWORK, key="subnet"),
        Field("publish", "list", elements="dict", default=[], table=PUBLISH, stateful=False),
        # What publish says, with a name for each: so it can be compared.
        Field("publications", "list", elements="dict", option=False, table=PUBLICATION, key="publication"),
        Field("isolate", "list", elements="str", default=[], canonical=_links, revert=[]),
        # What somebody changed in the table that no option speaks of.
        Field("altered", "list", elements="str", option=False),
        *POLICY,
    )
)


class _Live(t.NamedTuple):
    """The table as it is."""

    namespace: Namespace
    table: nft.Table | None  #: ``None``: there is none
    alterations: t.Sequence[str]  #: what is not as it was loaded, but for the elements

    @property
    def elements(self) -> nft.Elements:
        """The elements of all owners."""
        return self.table.elements if self.table else {}


class Nat(Resource):
    """Networks and published ports that one task speaks of."""

    kind = "nat"
    table = TABLE
    domain = "network"
    plain = True

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._live: _Live | None = None
        #: Publication to the index of the entry that asks for it.
        self._entries: dict[str, int] = {}
        errors = [*self._network_problems(), *self._take_publications()]
        if errors:
            raise InvalidOptions(errors)
        for name, nothing in (("networks", {}), ("isolate", []), ("altered", [])):
            self.wanted.setdefault(name, nothing)

    @property
    def key(self) -> str:
        """Name and namespace."""
        return f"{self.name}@{self.given.get('netns', '')}"

    @property
    def absent(self) -> bool:
        """Whether nothing of that name is to be in the table; a set of nothing cannot be told from none."""
        return super().absent or not any(self.wanted[name] for name in ("networks", "publications", "isolate"))

    # --- validate --------------------------------------------------------------

    def _network_problems(self) -> t.Iterator[OptionError]:
        networks: State = self.wanted.get("networks", {})
        for index, (network, options) in enumerate(networks.items()):
            source = options.get("source", "")
            if source and not options.get("masquerade", True):
                yield OptionError(f"networks[{index}].source", "expected none where masquerade is false")
            if source and (":" in source) != (":" in network):
                yield OptionError(f"networks[{index}].source", f"expected an address of the family of {network}")
        places = list(networks)
        for one, other in overlaps(networks):
            yield OptionError(f"networks[{places.index(other)}].subnet", f"{other} overlaps with {one}")

    def _take_publications(self) -> t.Iterator[OptionError]:
        """Give every publication of the option publish a name."""
        self.wanted["publications"] = {}
        found: list[Publication] = []
        for index, entry in enumerate(self.given.get("publish", ())):
            problem = _entry_problem(entry)
            if problem is not None:
                yield OptionError(f"publish[{index}].{problem.option}", problem.problem)
                continue
            for publication, options in _publications(entry):
                if str(publication) in self._entries:
                    yield OptionError(f"publish[{index}].port", f"{publication} is in {self._entry(publication)}, too")
                    continue
                found.append(publication)
                self.wanted["publications"][str(publication)] = options
                self._entries[str(publication)] = index
        for one, other in collisions(found):
            yield OptionError(f"{self._entry(other)}.port", f"{other} collides with {one} in the same task")

    def _entry(self, publication: Publication) -> str:
        return f"publish[{self._entries[str(publication)]}]"

    # --- observe ---------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Read the table, and tell ours from what is others'."""
        self._live = live = self._look()
        if live is None:
            return Observation(None)
        identity = {"namespace": list(live.namespace.identity)}
        mine = of_owner(live.elements, self.name)
        if not mine:
            return Observation(None, identity=identity)
        state = state_of(mine)
        state["altered"] = sorted((*live.alterations, *_unexplained(mine, elements_of(state, self.name), live)))
        localhost = Localhost(live.namespace)
        for options in state["publications"].values():
            options["localhost"] = options["localhost"] and localhost.works(options["to"])
        return Observation(state, True, identity)

    def _look(self) -> _Live | None:
        namespace = Namespace.find(self.given.get("netns", ""))
        if namespace is None:
            return None
        table = nft.observe(namespace.fd, LAYOUT) if command.command() else None
        return _Live(namespace, table, nft.alterations(namespace.fd, LAYOUT, table) if table else ())

    def needs(self) -> t.Iterator[things.Thing]:
        """Its namespace, and the links behind it."""
        netns = self.given.get("netns", "")
        yield things.Thing(things.NETNS, netns)
        for options in self.wanted["networks"].values():
            yield things.Thing(things.LINK, options["link"], netns)

    # --- preflight -------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """What the host lacks, and what is taken by others."""
        if command.command() is None:
            yield Missing(command.NO_COMMAND)
            return
        if self._live is None:
            name = self.given.get("netns", "")
            yield Missing(f"netns: there is no network namespace {name!r}", things.Thing(things.NETNS, name))
            return
        if self.absent:
            return
        yield from self._inability(self._live)
        yield from self._forwarding_problems(self._live)
        yield from self._conflicts(self._live)
        yield from self._socket_conflicts(self._live, [change for step in steps for change in step.changes])

    def _inability(self, live: _Live) -> t.Iterator[Exception]:
        """Whether nft and the kernel can do what the table needs, tried where nobody sees it."""
        if live.table is None or live.alterations:
            try:
                nft.rehearse(LAYOUT)
            except command.NftError as error:
                yield OptionError("", f"nft or the kernel of this host lacks what the table needs: {error}")

    def _forwarding_problems(self, live: _Live) -> t.Iterator[Missing]:
        targets = [options["to"] for options in self.wanted["publications"].values()]
        for family, parameter in FORWARDING.items():
            concerned = any((":" in words) == (family == 6) for words in (*self.wanted["networks"], *targets))
            with inside(live.namespace.fd):
                off = concerned and sysctl.read_parameter(parameter) == "0"
            if off:
                yield Missing(
                    f"{parameter} is 0, so that the kernel forwards no IPv{family} packets; set it to 1, "
                    "as the role nsfleet.linux.host does",
                    things.Thing(things.SYSCTL, f"{parameter}=1", self.given.get("netns", "")),
                )

    def _conflicts(self, live: _Live) -> t.Iterator[Exception]:
        """What tasks of other names have in the table."""
        others = of_others(live.elements, self.name)
        for owner in owners(others):
            yield from self._conflicts_with(state_of(of_owner(others, owner)), f"nat {owner}")

    def _conflicts_with(self, theirs: State, whose: str) -> t.Iterator[OptionError]:
        mine = [Publication.parse(text) for text in self.wanted["publications"]]
        other = [Publication.parse(text) for text in theirs["publications"]]
        for one, another in collisions(mine, other):
            yield OptionError(f"{self._entry(one)}.port", f"{one} collides with {another} of {whose}")
        places = list(self.wanted["networks"])
        for network, taken in overlaps(self.wanted["networks"], theirs["networks"]):
            yield OptionError(
                f"networks[{places.index(network)}].subnet", f"{network} overlaps with {taken} of {whose}"
            )
        for index, link in enumerate(self.options.get("isolate") or ()):
            if link in theirs["isolate"]:
                yield OptionError(f"isolate[{index}]", f"{link} is isolated by {whose} already")

    def _socket_conflicts(self, live: _Live, changes: t.Sequence[Change]) -> t.Iterator[Exception]:
        """Publications that would take their ports from a process of the host, or that 127.0.0.0/8 cannot reach."""
        localhost = Localhost(live.namespace)
        new = [change for change in changes if change.path[0] == "publications" and change.after is not None]
        added = {change.path[1] for change in new if _takes_ports(change)}
        for text in dict.fromkeys(change.path[1] for change in new):
            options, publication = self.wanted["publications"][text], Publication.parse(text)
            if options["localhost"] and localhost.link(options["to"]) is None:
                yield Missing(
                    f"{self._entry(publication)}.localhost: {options['to']} is in a network of no link there, so that "
                    "packets of 127.0.0.0/8 cannot be sent to it; give the link its address first, or set localhost "
                    "to false",
                    things.Thing(things.NETWORK, options["to"], self.given.get("netns", "")),
                )
        for text, listener in _taken(live.namespace, added, self.wanted["publications"]):
            yield OptionError(
                f"{self._entry(Publication.parse(text))}.port",
                f"{text} is in use on the host: {listener}; stop that or choose another port or address",
            )

    def advice(self) -> t.Iterable[str]:
        """Tables of others that drop what ours lets pass: an accept in one table overrides no drop in another."""
        if self.absent or self._live is None or command.command() is None:
            return
        links = sorted({options["link"] for options in state_of(self._live.elements)["networks"].values()})
        for chain in foreign.dropping_chains(self._live.namespace.fd):
            missed = foreign.unnamed_links(self._live.namespace.fd, chain, links)
            if missed or not links:
                yield (
                    f"the chain {chain} of another firewall drops forwarded packets that it does not accept, and no "
                    f"rule of its table names {', '.join(missed) or 'the links behind the published ports'}; "
                    f"{foreign.remedy(chain, missed)}"
                )
        if self.observed.exists:
            yield from map(str, self._forwarding_problems(self._live))

    # --- change ----------------------------------------------------------------

    def requested(self) -> list[Change]:
        """What was asked for; that nothing was altered goes without saying."""
        return [change for change in super().requested() if change.after != []]

    def create(self) -> list[Step]:
        """All elements, and the table where there is none."""
        return [self.step(CREATE, self.requested(), functools.partial(self._apply, self.wanted, True))]

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """One transaction for all changes."""
        repair = any(change.path == ("altered",) for change in changes)
        return [self.step(SET, changes, functools.partial(self._apply, self._after(changes), repair))]

    def write(self, change: Change) -> None:
        """Make one change."""
        self._apply(self._after([change]), False)

    def delete(self) -> list[Step]:
        """Our elements, and the table when nothing else is in it."""
        return [Step(DELETE, self.target, (), functools.partial(self._apply, {}, True))]

    def _after(self, changes: t.Sequence[Change]) -> State:
        """The observed state with the changes in it: what no change speaks of stays as it is."""
        state = copy.deepcopy(self.observed.state or {})
        for change in changes:
            place = state
            for part in change.path[:-1]:
                place = place.setdefault(str(part), {})
            place[str(change.path[-1])] = change.after
        for name in ("networks", "publications"):
            state[name] = {key: options for key, options in state.get(name, {}).items() if options is not None}
        return state

    def _apply(self, state: State, repair: bool) -> None:
        """Bring our elements to a state.

        :param repair: also put right what no option speaks of.
        """
        live = self._look()  # anew: what others have in the table may have changed by the same run
        if live is None:
            raise NsfleetError(f"{self.target}: the network namespace {self.given.get('netns')!r} is gone")
        localhost = Localhost(live.namespace)
        mine, others = elements_of(state, self.name), of_others(live.elements, self.name)
        links = localhost.plan(live.elements.get(SHARED, {}), state_of(merged(mine, others))["publications"].values())
        localhost.turn_off(links)
        nft.load(live.namespace.fd, self._transaction(live, mine, others, links.elements, repair))
        localhost.turn_on(links)
        self._forget_streams(live.namespace, state)

    def _transaction(
        self, live: _Live, mine: nft.Elements, others: nft.Elements, shared: nft.Elements, repair: bool
    ) -> str:
        if not mine and not others:
            return nft.removal(LAYOUT)
        if live.table is None or (repair and live.alterations and mine):
            return nft.replacement(LAYOUT, merged(others, mine, shared))
        actual = of_owner(live.elements, self.name)
        if repair:
            before = merged(actual, strays(live.elements))
        else:
            before = _restricted(actual, merged(elements_of(state_of(actual), self.name), mine))
        now = {SHARED: live.elements.get(SHARED, {})}
        return nft.difference(LAYOUT, merged(before, now), merged(mine, shared))

    def _forget_streams(self, namespace: Namespace, after: State) -> None:
        """UDP streams go on by the old mapping as long as they do not pause; let those that changed begin anew."""
        before, now = (state.get("publications", {}) for state in (self.observed.state or {}, after))
        changed = [text for text in {**before, **now} if text.endswith("/udp") and before.get(text) != now.get(text)]
        if changed:
            from .nat_streams import forget_streams

            forget_streams(namespace, [Publication.parse(text) for text in changed])

    def mark(self, ours: bool) -> None:
        """The table's name says whose it is."""

    def prior(self, before: Observation) -> Resource:
        """What was observed, without what somebody had altered."""
        resource = super().prior(before)
        resource.wanted = {"networks": {}, "publications": {}, "isolate": [], **resource.wanted, "altered": []}
        return resource

    def shown(self) -> State:
        """The observed set."""
        state = self.observed.state or {}
        shown = {"name": self.name, **self.table.shown({**state, "altered": state.get("altered") or None})}
        return {**shown, "publications": shown_publications(state)}


# --- publications ------------------------------------------------------------


def _entry_problem(entry: State) -> OptionError | None:
    """What contradicts itself in an entry of the option publish."""
    ports, to = Ports.parse(entry["port"]), entry["to"]
    if entry.get("address") and (":" in entry["address"]) != (":" in to):
        return OptionError("address", f"expected an address of the family of {to}, got {entry['address']}")
    highest = 65535 - (ports.last - ports.first)
    if entry.get("to_port", 1) > highest:
        return OptionError("to_port", f"expected at most {highest}, so that all of {ports} fit, got {entry['to_port']}")
    return None


def _publications(entry: State) -> t.Iterator[tuple[Publication, State]]:
    """The publications that an entry of the option publish asks for; one a port where the target has other ports."""
    ports, to = Ports.parse(entry["port"]), entry["to"]
    shift = entry.get("to_port", ports.first) - ports.first
    parts = [Ports(one, one) for one in range(ports.first, ports.last + 1)] if shift else [ports]
    for protocol in dict.fromkeys(entry.get("protocols") or ["tcp"]):
        for part in parts:
            publication = Publication(entry.get("address") or ANY[6 if ":" in to else 4], part, protocol)
            localhost = entry.get("localhost", True) and publication.loops
            yield publication, {"to": to, "to_port": part.first + shift, "localhost": localhost}


def shown_publications(state: State) -> list[State]:
    """The publications of a state, as people read them."""
    return sorted(
        (_shown(Publication.parse(text), options) for text, options in state.get("publications", {}).items()),
        key=lambda each: (":" in each["address"], each["address"], each["protocol"], Ports.parse(each["port"])),
    )


def _shown(publication: Publication, options: State) -> State:
    return {
        "address": publication.address,
        "port": str(publication.ports),
        "protocol": publication.protocol,
        **options,
    }


def _takes_ports(change: Change) -> bool:
    """Whether the change lets a publication have ports that it did not have; one that only drifted had them."""
    whole = len(change.path) == 2 and change.before is None
    return whole or (change.path[-1] == "localhost" and change.after is True and change.reason != DRIFT)


def _taken(namespace: Namespace, texts: t.Container[str], publications: State) -> t.Iterator[tuple[str, t.Any]]:
    """Publications whose ports a process of the host listens on."""
    wanted = [(Publication.parse(text), options) for text, options in publications.items() if text in texts]
    if not wanted:
        return
    from .._kernel.listeners import listeners

    found = listeners(namespace.fd)
    for publication, options in wanted:
        for listener in found:
            if publication.takes_from(listener.protocol, listener.address, listener.port, options["localhost"]):
                yield str(publication), listener
                break


# --- elements ----------------------------------------------------------------


def _unexplained(actual: nft.Elements, explained: nft.Elements, live: _Live) -> t.Iterator[str]:
    """Elements without an owner, and elements of ours that no option would make, or that are missing beside others."""
    for kind in LAYOUT.sets:
        there, wanted = actual.get(kind.name, {}), explained.get(kind.name, {})
        added = {key: each for key, each in there.items() if wanted.get(key) != each}
        added.update(strays(live.elements).get(kind.name, {}))
        yield from (f"added: {kind.shown(key, each)}" for key, each in added.items())
        yield from (f"missing: {kind.shown(key, each)}" for key, each in wanted.items() if there.get(key) != each)


def _restricted(elements: nft.Elements, known: nft.Elements) -> nft.Elements:
    return {
        name: {key: element for key, element in items.items() if key in known.get(name, {})}
        for name, items in elements.items()
    }
