# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pair of veth ends, each in a network namespace of its own (veth(4)).

The two ends are one object: either can be found by the other, wherever it was moved and whatever it is called now.
"""

from __future__ import annotations

import errno
import functools
import typing as t

from .._model.errors import InvalidOptions, KernelError, Missing, OptionError, Taken
from .._model.field import RECREATE, Field, Path, State, Table
from .._model.names import interface_name, netns_reference
from .._model.quantities import between
from .._model.resource import CREATE, SET, Change, Observation, Step, changed
from .._model.things import LINK, NETNS, Thing
from .._netlink.link import Settings, create_veth, delete_link, get_link, set_link
from .._netlink.namespace import Namespace, everywhere
from . import interface, shaping
from .interface import MASTER, OFFLOADS, Interface, Linked
from .policy import ALIAS, GROUP, POLICY, is_ours

_queues = between(1, 4096, "queues")

END = (
    Field("name", required=True, canonical=interface_name, read=lambda live: live.link.name),
    Field("netns", default="", canonical=netns_reference),
    *interface.FIELDS,
    MASTER,
    Field("rx_queues", "int", canonical=_queues, effect=RECREATE, read=lambda live: live.link.queues[0]),
    Field("tx_queues", "int", canonical=_queues, effect=RECREATE, read=lambda live: live.link.queues[1]),
    Field("offloads", "dict", table=OFFLOADS),
)
PEER = Table(END)
TABLE = Table((*END, Field("peer", "dict", table=PEER), *POLICY), required_if=[("state", "present", ["peer"])])

#: Options of a new end that its own message can carry; the others are set afterwards.
_AT_CREATION = ("name", "netns", "mac", "mtu", "txqlen", "rx_queues", "tx_queues")


class _Pair(t.NamedTuple):
    """Both ends, wherever they are."""

    end: Interface
    peer: Interface

    def is_one_of(self, identities: t.Container[list[int]]) -> bool:
        """Whether either end is one of these."""
        return any(live.identity in identities for live in self)


class Veth(Linked):
    """A veth pair."""

    kind = "veth"
    table = TABLE
    domain = "network"
    plain = True
    movable = True

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        for end in self._wanted_ends:
            shaping.complete(end)
        problems = [
            *interface.contradictions(self.given),
            *interface.contradictions(self.given.get("peer", {}), "peer."),
        ]
        problems += self._same_addresses()
        if problems:
            raise InvalidOptions(problems)
        self._namespaces: tuple[Namespace | None, Namespace | None] = (None, None)

    def _same_addresses(self) -> t.Iterator[OptionError]:
        """Two ends of one cable cannot have the same address."""
        first, second = (end.get("addresses", ()) for end in self._wanted_ends)
        taken = {cidr.partition("/")[0] for cidr in first}
        for number, cidr in enumerate(second):
            if cidr.partition("/")[0] in taken:
                yield OptionError(f"peer.addresses[{number}]", f"{cidr} is an address of the first end; choose another")

    @property
    def _wanted_ends(self) -> tuple[State, State]:
        return self.wanted, self.wanted.get("peer", {})

    @property
    def key(self) -> str:
        """Name and namespace of the first end."""
        return f"{self.name}@{self.given.get('netns', '')}"

    # --- observe ---------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Find the pair by what is known of it from the last run, or by its name."""
        first, second = (Namespace.find(end.get("netns", "")) for end in self._wanted_ends)
        self._namespaces = (first, second)
        pair = self._find(last.get("ends", ()))
        if pair is None:
            return Observation(None)
        state = self._state(pair)
        owned = all(is_ours(live.link.group) for live in pair)
        return Observation(state, owned, {"ends": [live.identity for live in pair]}, pair)

    def _find(self, known: t.Sequence[list[int]]) -> _Pair | None:
        """The pair of the last run, whatever its ends are called and wherever they are; else that of the first name.

        The second name alone proves nothing: it may be another task's pair that has an end of this name. Who means
        that one says ``adopt``.

        :param known: identities of the ends of the last run.
        """
        first = self._by_name(0)
        if first is not None and first.is_one_of(known):
            return first
        second = self._by_name(1)
        if second is not None and second.is_one_of(known):
            return second
        return _by_identity(known) or first or (second if self.options.get("adopt") else None)

    def _by_name(self, number: int) -> _Pair | None:
        """The pair to which the first (0) or second (1) end of the wanted name belongs."""
        namespace, name = self._namespaces[number], self._wanted_ends[number].get("name")
        link = get_link(namespace.socket, name) if namespace and name else None
        if namespace is None or link is None or link.kind != "veth":
            return None
        here = Interface(namespace, link)
        return _pair(here, number, [each for each in self._namespaces if each is not None])

    def is_known_as(self, identity: State) -> bool:
        """By either end: the other one may have been moved."""
        pair: _Pair = self.observed.handle
        return pair.is_one_of(identity.get("ends", ()))

    def _state(self, pair: _Pair) -> State:
        state, peer = (self._end_state(live, number) for number, live in enumerate(pair))
        state["peer"] = peer
        return state

    def _end_state(self, live: Interface, number: int) -> State:
        wanted = self._wanted_ends[number]
        applied = self.applied if number == 0 else self.applied.get("peer", {})
        state = interface.read(PEER, live, wanted, applied)
        home = self._namespaces[number]
        at_home = home is not None and home.identity == live.namespace.identity
        state["netns"] = wanted.get("netns", "") if at_home else live.namespace.reference
        return state

    # --- for other objects -------------------------------------------------------

    def needs(self) -> t.Iterator[Thing]:
        """The namespaces and bridges of both ends."""
        for end in self._wanted_ends:
            netns = end.get("netns", "")
            yield Thing(NETNS, netns)
            yield Thing(LINK, end.get("master", ""), netns)

    def makes(self) -> t.Iterator[Thing]:
        """Both ends with their addresses."""
        for end in self._wanted_ends if not self.absent else ():
            yield from interface.things(end)

    def removes(self) -> t.Iterator[Thing]:
        """Both ends of a pair that goes; of one that stays the addresses that it loses."""
        state = self.observed.state
        for before, wanted in zip((state, state["peer"]), self._wanted_ends) if state else ():
            yield from interface.things(before) if self.absent else interface.given_up(before, wanted)

    # --- preflight -------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """Namespaces and bridges that are missing, names and addresses that are taken."""
        if self.absent:
            return
        for number, (wanted, namespace) in enumerate(zip(self._wanted_ends, self._namespaces)):
            prefix = "peer." if number else ""
            if namespace is None:
                name = wanted.get("netns", "")
                yield Missing(f"{prefix}netns: there is no network namespace {name!r}", Thing(NETNS, name))
            else:
                yield from self._obstacles(number, wanted, namespace, prefix)
        yield from self._same_place()

    def _obstacles(self, number: int, wanted: State, namespace: Namespace, prefix: str) -> t.Iterator[Exception]:
        live = self.observed.handle[number] if self.observed.exists else None
        own = live.link.index if live and live.namespace.identity == namespace.identity else 0
        netns = wanted.get("netns", "")
        taken = get_link(namespace.socket, wanted["name"])
        if taken is not None and taken.index != own:
            yield Taken(
                f"{prefix}name",
                f"{wanted['name']} is the name of another link there ({_kind(Interface(namespace, taken))}); "
                "remove that link or choose another name",
                Thing(LINK, wanted["name"], netns),
            )
        yield from interface.unfit_master(namespace, wanted.get("master", ""), netns, f"{prefix}master")
        yield from interface.taken_addresses(namespace, wanted.get("addresses", ()), own, netns, f"{prefix}addresses")
        yield from interface.unknown_sysctls(namespace, live, wanted, prefix)
        yield from interface.unable_to_shape(live, wanted, bool(self.options.get("adopt")), prefix)

    def _same_place(self) -> t.Iterator[OptionError]:
        first, second = self._namespaces
        same = first and second and first.identity == second.identity
        if same and self.wanted["name"] == self.wanted["peer"]["name"]:
            yield OptionError("peer.name", "expected another name than that of the first end in the same namespace")

    # --- change ----------------------------------------------------------------

    def create(self) -> list[Step]:
        """Both ends by one message, then what that message cannot carry."""
        return [self.step(CREATE, self.requested(), functools.partial(self._create, self.wanted))]

    def recreate(self, changes: t.Sequence[Change]) -> list[Step]:
        """Another pair that is as this one was, but for the changes."""
        return [self.step(SET, changes, functools.partial(self._recreate, changes))]

    def _recreate(self, changes: t.Sequence[Change]) -> None:
        self._delete()
        self._create(changed(self.observed.state or {}, changes))

    def _create(self, goal: State) -> None:
        """Make the pair.

        :param goal: options of the first end, and those of the second one as its ``peer``.
        """
        ends, namespaces = (goal, goal["peer"]), self._open_both()
        first, second = (self._creation(end, number) for number, end in enumerate(ends))
        try:
            create_veth(namespaces[0].socket, first._replace(namespace=None), second)
        except OSError as error:
            raise KernelError(f"create {self.target}", error) from error
        for number, end in enumerate(ends):
            live = self._end(number, end["name"])
            self.noticed.update(interface.initially(live, end, "peer." if number else ""))
            interface.furnish(live, PEER, {"alias": ALIAS, **end}, (*_AT_CREATION, "peer"))

    def _creation(self, end: State, number: int) -> Settings:
        namespace = t.cast(Namespace, self._namespaces[number])
        rx, tx = end.get("rx_queues"), end.get("tx_queues")
        mac = interface.stable_mac(self.kind, self.key, str(number))
        return Settings(
            name=end["name"],
            mac=end.get("mac", mac),
            mtu=end.get("mtu"),
            txqlen=end.get("txqlen"),
            group=GROUP,
            namespace=namespace.fd,
            queues=(rx or 1, tx or 1) if rx or tx else None,
        )

    def _end(self, number: int, name: str) -> Interface:
        """An end that came to its namespace just now."""
        namespace = t.cast(Namespace, self._namespaces[number])
        link = get_link(namespace.socket, name)
        if link is None:
            raise KernelError(f"find {name} of {self.target}", OSError(errno.ENODEV, "it is gone again"))
        return Interface(namespace, link)

    def _open_both(self) -> tuple[Namespace, Namespace]:
        """Open the namespaces anew: what was behind a name may be another one since."""
        first, second = (Namespace.find(end.get("netns", "")) for end in self._wanted_ends)
        if first is None or second is None:
            raise KernelError(f"open the namespaces of {self.target}", OSError(errno.ENOENT, "one is gone"))
        self._namespaces = (first, second)
        return first, second

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """An end that is elsewhere is brought home with all its options, since the kernel drops most on the way."""
        moves = [change for change in changes if change.path[-1] == "netns"]
        rest = [change for change in changes if not any(_same_end(change, move) for move in moves)]
        steps = []
        for move in moves:
            along = [change for change in changes if _same_end(change, move)]
            steps.append(self.step(SET, along, functools.partial(self._bring_home, move, along)))
        return [*steps, *super().change(rest)]

    def _bring_home(self, move: Change, along: t.Sequence[Change]) -> None:
        number = int(move.path[0] == "peer")
        goal = changed(self.wanted, along)
        live, home, end = self._live(number), self._open_both()[number], goal["peer"] if number else goal
        try:
            set_link(live.namespace.socket, live.link.index, Settings(name=end["name"], namespace=home.fd))
        except OSError as error:
            raise KernelError(f"move {live.link.name} to network namespace {move.after!r}", error) from error
        done = ("name", "netns", "rx_queues", "tx_queues", "peer")
        interface.furnish(self._end(number, end["name"]), PEER, end, done)

    def end(self, path: Path) -> tuple[Interface, Path]:
        """By the first word of the path."""
        number = int(path[0] == "peer")
        return self._live(number), path[number:]

    def write(self, change: Change) -> None:
        """Set one option of one end."""
        live, path = self.end(change.path)
        interface.write_at(live, PEER, path, change.before, change.after)

    def _live(self, number: int) -> Interface:
        live: Interface = self.observed.handle[number]
        return live

    def delete(self) -> list[Step]:
        """One end; the kernel removes the other."""
        state = self.observed.state or {}
        both = {**state, **state.get("peer", {})}
        return [interface.removal(self, self._live(0), both, self._delete)]

    def _delete(self) -> None:
        live = self._live(0)
        try:
            state = self.observed.state or {}
            for number, end in enumerate((state, state.get("peer", {}))):
                interface.unshape(self._live(number), end)
            delete_link(live.namespace.socket, live.link.index)
        except OSError as error:
            raise KernelError(f"remove {self.target}", error) from error

    def mark(self, ours: bool) -> None:
        """By the group of both ends."""
        for number in (0, 1):
            live = self._live(number)
            set_link(live.namespace.socket, live.link.index, Settings(group=GROUP if ours else 0))


def _kind(live: Interface) -> str:
    """What a link is, for an error."""
    pair = _pair(live, 0) if live.link.kind == "veth" else None
    if pair is not None:
        return f"an end of the pair whose other end is {pair.peer.link.name}"
    return live.link.kind or "hardware"


def _same_end(change: Change, move: Change) -> bool:
    return (change.path[0] == "peer") == (move.path[0] == "peer")


# --- finding -----------------------------------------------------------------


def _pair(here: Interface, number: int, known: t.Iterable[Namespace] = ()) -> _Pair | None:
    """The pair of an end, ``None`` if the other end is in a namespace that nothing on this host leads to.

    :param number: of the end: first (0) or second (1).
    :param known: namespaces in which the other end probably is.
    """
    namespace = here.namespace.behind(here.link.peer_nsid, known)
    link = get_link(namespace.socket, index=here.link.peer) if namespace else None
    if namespace is None or link is None:
        return None
    other = Interface(namespace, link)
    return _Pair(other, here) if number else _Pair(here, other)


def _by_identity(known: t.Sequence[list[int]]) -> _Pair | None:
    """The pair of which an end is known, searched on the whole host."""
    for namespace in everywhere() if known else ():
        for number, identity in enumerate(known):
            link = get_link(namespace.socket, index=identity[-1])
            if link is None or link.group != GROUP or link.kind != "veth":
                continue
            here = Interface(namespace, link)
            pair = _pair(here, number) if here.identity == identity else None
            if pair is not None:
                return pair
    return None
