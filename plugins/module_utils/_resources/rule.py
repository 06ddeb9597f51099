# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rule of policy routing (ip-rule(8)): told apart by address family and priority.

The kernel tells rules apart by all that they have. For a task that would mean that a rule whose selector changes is
another rule, and that two rules of one priority are met in the order in which they happened to be made. So there is one
of ours at each priority, and what else it says is its state.
"""

from __future__ import annotations

import socket
import typing as t

from .._model import traffic
from .._model.addresses import subnet
from .._model.errors import InvalidOptions, Missing, NsfleetError, OptionError
from .._model.field import Field, State, Table
from .._model.names import netns_reference, optional_interface_name
from .._model.quantities import between
from .._model.resource import CREATE, DELETE, SET, Change, Observation, Resource, Step
from .._model.things import NETNS, Thing
from .._netlink.namespace import Namespace
from .._netlink.route import table_number
from .._netlink.rule import Rule as Entry
from .._netlink.rule import add_rule, decode, delete_rule, encode, list_rules
from .policy import POLICY, PROTOCOL

FAMILIES: t.Final = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_LOOKUP = "lookup"


class _Live(t.NamedTuple):
    """A rule and where it is."""

    namespace: Namespace
    rules: list[Entry]  #: all of its priority, or if any of them are ours, those

    @property
    def rule(self) -> Entry:
        """The one that packets meet first."""
        return self.rules[0]


def _network(value: str) -> str:
    if not value:
        return ""
    network = subnet(value)
    if network.endswith("/0"):
        raise ValueError(f"expected a part of all addresses, or nothing and the option family, got {value!r}")
    return network


def _words(
    name: str, parse: t.Callable[[str], t.Any], text: t.Callable[[t.Any], str], read: t.Callable[[_Live], t.Any]
) -> Field:
    """An option of which each value can be written in several ways; empty for packets of any."""
    return Field(
        name, default="", revert="", canonical=lambda value: text(parse(value)), read=lambda live: text(read(live))
    )


TABLE = Table(
    (
        Field("priority", "int", required=True, canonical=between(0, 0xFFFFFFFF), stateful=False),
        Field("family", choices=tuple(FAMILIES), stateful=False),
        Field("netns", default="", canonical=netns_reference, stateful=False),
        Field("invert", "bool", default=False, revert=False, read=lambda live: live.rule.invert),
        Field("from", default="", canonical=_network, revert="", read=lambda live: live.rule.source),
        Field("to", default="", canonical=_network, revert="", read=lambda live: live.rule.destination),
        Field("iif", default="", canonical=optional_interface_name, revert="", read=lambda live: live.rule.iif),
        Field("oif", default="", canonical=optional_interface_name, revert="", read=lambda live: live.rule.oif),
        _words(
            "fwmark", traffic.mark, lambda both: traffic.mark_text(*both),
            lambda live: (live.rule.mark, live.rule.mask),
        ),
        _words("tos", traffic.tos, traffic.tos_text, lambda live: live.rule.tos),
        _words("ipproto", traffic.ip_protocol, traffic.ip_protocol_text, lambda live: live.rule.ipproto),
        _words("sport", traffic.port_range, traffic.range_text, lambda live: live.rule.sport),
        _words("dport", traffic.port_range, traffic.range_text, lambda live: live.rule.dport),
        _words("uidrange", traffic.user_range, traffic.range_text, lambda live: live.rule.uids),
        Field(
            "action", choices=(_LOOKUP, "blackhole", "unreachable", "prohibit"), default=_LOOKUP, revert=_LOOKUP,
            read=lambda live: live.rule.action,
        ),
        Field("table", canonical=table_number, revert=0, read=lambda live: live.rule.table),
        Field(
            "suppress_prefixlength", "int", default=-1, canonical=between(-1, 128), revert=-1,
            read=lambda live: live.rule.suppress_prefixlength,
        ),
        Field("others", "list", option=False, revert=[], read=lambda live: live.rule.others),
        Field("further", "int", option=False, revert=0, read=lambda live: len(live.rules) - 1),
        *POLICY,
    ),
)  # fmt: skip


class Rule(Resource):
    """A rule of policy routing."""

    kind = "rule"
    table = TABLE
    domain = "network"
    plain = True
    movable = True

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._namespace: Namespace | None = None
        self._family: str = self.given.get("family") or self._natural_family()
        #: Of a rollback: the rules as they were.
        self._former: list[Entry] = []
        self.wanted.update(others=[], further=0)
        if not self._looks_up:
            self.wanted.setdefault("table", 0)
        errors = [] if self.absent else list(self._contradictions())
        if errors:
            raise InvalidOptions(errors)

    def _natural_family(self) -> str:
        """That of the addresses."""
        return "ipv6" if any(":" in self.given.get(name, "") for name in ("from", "to")) else "ipv4"

    @property
    def _looks_up(self) -> bool:
        return bool(self.wanted.get("action", _LOOKUP) == _LOOKUP)

    def _contradictions(self) -> t.Iterator[OptionError]:
        six = self._family == "ipv6"
        for name in ("from", "to"):
            network = self.wanted.get(name)
            if network and (":" in network) != six:
                yield OptionError(name, f"expected a network of {'IPv6' if six else 'IPv4'}, got {network}")
        if self._looks_up and not self.wanted.get("table"):
            yield OptionError("table", "expected the table in which routes are looked up")
        if not self._looks_up and self.wanted["table"]:
            yield OptionError("table", f"expected none for a rule with the action {self.wanted['action']}")
        length = self.wanted.get("suppress_prefixlength", -1)
        if not self._looks_up and length >= 0:
            yield OptionError("suppress_prefixlength", f"expected none with the action {self.wanted['action']}")
        if length > 32 and not six:
            yield OptionError("suppress_prefixlength", f"expected at most 32 for IPv4, got {length}")

    @property
    def _priority(self) -> int:
        return int(self.given["priority"])

    @property
    def _netns(self) -> str:
        return str(self.given.get("netns", ""))

    @property
    def name(self) -> str:
        """Family and priority, and the namespace if it is not the host's."""
        return f"{self._family} {self._priority}" + (f" in {self._netns}" if self._netns else "")

    @property
    def key(self) -> str:
        """What it is told apart by, and its namespace."""
        return f"{self._family} {self._priority}@{self._netns}"

    # --- observe ---------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Find ours of this priority, or whoever's there are."""
        self._namespace = Namespace.find(self._netns)
        if self._namespace is None:
            return Observation(None)
        identity = {"namespace": list(self._namespace.identity), "rule": f"{self._family} {self._priority}"}
        rules = _of_one_owner(self._rules(self._namespace))
        others_stay = self.observed.owned and not _are_ours(rules)  # beside ours, which went in this run
        if not rules or others_stay:
            return Observation(None, identity=identity)
        live = _Live(self._namespace, rules)
        source = {"rules": [encode(rule).hex() for rule in rules]}
        return Observation(self.table.read(live), _are_ours(rules), identity, live, source)

    def _rules(self, namespace: Namespace) -> list[Entry]:
        """All rules of the priority, in the order in which packets meet them."""
        rules = list_rules(namespace.socket, FAMILIES[self._family])
        return [rule for rule in rules if rule.priority == self._priority]

    def needs(self) -> t.Iterator[Thing]:
        """Its namespace; its links may come and go."""
        yield Thing(NETNS, self._netns)

    # --- preflight -------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """A namespace that is not there."""
        if self._namespace is None and not self.absent:
            yield Missing(f"netns: there is no network namespace {self._netns!r}", Thing(NETNS, self._netns))

    # --- change ----------------------------------------------------------------

    def requested(self) -> list[Change]:
        """What was asked for; what the rule does not tell apart goes without saying."""
        return [change for change in super().requested() if change.after != change.field.revert]

    def create(self) -> list[Step]:
        """The rule as wanted."""
        return [self.step(CREATE, self.requested(), self._write)]

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """The rule as wanted comes, then the one that is there goes; no packet finds neither."""
        return [self.step(SET, changes, lambda: self._write(changes))]

    def write(self, change: Change) -> None:
        """Make one change."""
        self._write([change])

    def _write(self, changes: t.Sequence[Change] = ()) -> None:
        if self._former:
            self._put(self._former)
            return
        # What no change speaks of stays as it is: drift that is only warned of is not repaired by the way.
        state = {**self.wanted, **(self.observed.state or {}), **{change.path[0]: change.after for change in changes}}
        live: _Live | None = self.observed.handle
        rest = live.rule.rest if live and state["others"] else ()
        further = live.rules[1:] if live and state["further"] else []
        self._put([self._entry(state, rest), *further])

    def _entry(self, state: State, rest: tuple[tuple[int, bytes], ...]) -> Entry:
        mark, mask = traffic.mark(state["fwmark"])
        return Entry(
            FAMILIES[self._family], self._priority, state["invert"], state["from"], state["to"], state["iif"],
            state["oif"], mark, mask, traffic.tos(state["tos"]), traffic.ip_protocol(state["ipproto"]),
            traffic.port_range(state["sport"]), traffic.port_range(state["dport"]),
            traffic.user_range(state["uidrange"]), state["action"], state["table"], state["suppress_prefixlength"],
            PROTOCOL, rest,
        )  # fmt: skip

    def _put(self, rules: t.Sequence[Entry]) -> None:
        """Put rules in the place of those that are there.

        The new ones are added behind the others, and the others removed from the first to the last, so that each is the
        first of those that the kernel could take for it.
        """
        namespace = self._namespace or Namespace.find(self._netns)  # another object of the run may have made it since
        if namespace is None:
            raise NsfleetError(f"{self.target}: the network namespace {self._netns!r} is gone")
        there = self._rules(namespace)
        owned = _of_one_owner(there)
        leaving = [rule for rule in there if rule in owned or rule in rules]
        if leaving == list(rules):
            return
        for rule in rules:
            add_rule(namespace.socket, rule)
        for rule in leaving:
            delete_rule(namespace.socket, rule)

    def delete(self) -> list[Step]:
        """Remove the rule."""
        return [Step(DELETE, self.target, (), lambda: self._put([]))]

    def mark(self, ours: bool) -> None:
        """By the number of its protocol."""
        live: _Live = self.observed.handle
        self._put([rule._replace(protocol=PROTOCOL) for rule in live.rules] if ours else self._former)

    def prior(self, before: Observation) -> Resource:
        """The rules as they were, which may be such as no task can describe."""
        named = {"priority": self._priority, "family": self._family, "netns": self._netns}
        resource = Rule({**named, "state": "absent", "adopt": True})
        resource.options = {**resource.options, "state": "present" if before.exists else "absent"}
        resource.wanted = resource.applied = dict(before.state or {})
        resource.everything = True
        resource._former = [decode(bytes.fromhex(words)) for words in (before.source or {}).get("rules", ())]
        return resource

    def shown(self) -> State:
        """The observed rule."""
        state = self.table.shown(self.observed.state or {})
        return {"priority": self._priority, "family": self._family, **state}


def _of_one_owner(rules: t.Sequence[Entry]) -> list[Entry]:
    """Ours, or if there are none, all."""
    return [rule for rule in rules if rule.protocol == PROTOCOL] or list(rules)


def _are_ours(rules: t.Sequence[Entry]) -> bool:
    return any(rule.protocol == PROTOCOL for rule in rules)
