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

from .._model.errors import KernelError, Missing, OptionError
from .._model.field import RECREATE, Field, State, Table
from .._model.names import interface_name, netns_reference
from .._model.resource import CREATE, DELETE, SET, Change, Observation, Resource, Step
from .._netlink.link import Link, Settings, create_veth, delete_link, get_link, set_link
from .._netlink.namespace import Namespace, everywhere
from . import interface
from .interface import MASTER, OFFLOADS, Interface
from .policy import ALIAS, GROUP, POLICY


def _queues(value: int) -> int:
    if not 1 <= value <= 4096:
        raise ValueError(f"expected 1 to 4096 queues, got {value}")
    return value


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


class Veth(Resource):
    """A veth pair."""

    kind = "veth"
    table = TABLE
    domain = "network"

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._namespaces: tuple[Namespace | None, Namespace | None] = (None, None)

    @property
    def _wanted_ends(self) -> tuple[State, State]:
        return self.wanted, self.wanted.get("peer", {})

    @property
    def key(self) -> str:
        """Name and namespace of the first end."""
        return f"{self.name}@{self.given.get('netns', '')}"

    # --- observe ---------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Find the pair by either end, or by what is known of it from the last run."""
        first, second = (_open(end.get("netns", "")) for end in self._wanted_ends)
        self._namespaces = (first, second)
        found = self._by_name(first, 0) or self._by_name(second, 1) or _by_identity(last)
        if found is None:
            return Observation(None)
        pair = _Pair(*found)
        state = self._state(pair)
        owned = pair.end.link.group == GROUP and pair.peer.link.group == GROUP
        return Observation(state, owned, {"ends": [pair.end.identity, pair.peer.identity]}, pair)

    def _by_name(self, namespace: Namespace | None, number: int) -> tuple[Interface, Interface] | None:
        """The pair to which the end of this name belongs, the first end first."""
        name = self._wanted_ends[number].get("name")
        link = get_link(namespace.socket, name) if namespace and name else None
        if namespace is None or link is None or link.kind != "veth":
            return None
        known = [each for each in self._namespaces if each is not None]
        other = _other_end(Interface(namespace, link), known)
        if other is None:
            return None
        here = Interface(namespace, link)
        return (here, other) if number == 0 else (other, here)

    def _state(self, pair: _Pair) -> State:
        state, peer = (self._end_state(live, number) for number, live in enumerate(pair))
        state["peer"] = peer
        return state

    def _end_state(self, live: Interface, number: int) -> State:
        wanted = self._wanted_ends[number]
        applied = self.applied if number == 0 else self.applied.get("peer", {})
        state = interface.read(PEER, live, {**wanted, **applied})
        home = self._namespaces[number]
        at_home = home is not None and home.identity == live.namespace.identity
        state["netns"] = wanted.get("netns", "") if at_home else live.namespace.reference
        return state

    # --- preflight -------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """Namespaces and bridges that are missing, names and addresses that are taken."""
        if self.absent:
            return
        for number, (wanted, namespace) in enumerate(zip(self._wanted_ends, self._namespaces)):
            prefix = "peer." if number else ""
            if namespace is None:
                yield Missing(f"{prefix}netns: there is no network namespace {wanted.get('netns')!r}")
            else:
                yield from self._obstacles(number, wanted, namespace, prefix)
        yield from self._same_place()

    def _obstacles(self, number: int, wanted: State, namespace: Namespace, prefix: str) -> t.Iterator[Exception]:
        live = self.observed.handle[number] if self.observed.exists else None
        own = live.link.index if live and live.namespace.identity == namespace.identity else 0
        taken = get_link(namespace.socket, wanted["name"])
        if taken is not None and taken.index != own:
            yield OptionError(
                f"{prefix}name",
                f"{wanted['name']} is the name of another link there ({taken.kind or 'hardware'}); "
                "remove that link or choose another name",
            )
        master = wanted.get("master")
        if master and get_link(namespace.socket, master) is None:
            yield Missing(f"{prefix}master: there is no link {master} in the same network namespace")
        yield from interface.taken_addresses(namespace, wanted.get("addresses", ()), own, f"{prefix}addresses")

    def _same_place(self) -> t.Iterator[OptionError]:
        first, second = self._namespaces
        same = first and second and first.identity == second.identity
        if same and self.wanted["name"] == self.wanted["peer"]["name"]:
            yield OptionError("peer.name", "expected another name than that of the first end in the same namespace")

    # --- change ----------------------------------------------------------------

    def create(self) -> list[Step]:
        """Both ends by one message, then what that message cannot carry."""
        return [self.step(CREATE, self.requested(), self._create)]

    def _create(self) -> None:
        first, second = self._open_both()
        ends = [
            self._creation(wanted, namespace, number)
            for number, (wanted, namespace) in enumerate(zip(self._wanted_ends, (first, second)))
        ]
        try:
            create_veth(first.socket, ends[0]._replace(namespace=None), ends[1])
        except OSError as error:
            raise KernelError(f"create {self.target}", error) from error
        for wanted, namespace in zip(self._wanted_ends, (first, second)):
            self._furnish(namespace, wanted, _AT_CREATION)

    def _creation(self, wanted: State, namespace: Namespace, number: int) -> Settings:
        rx, tx = wanted.get("rx_queues"), wanted.get("tx_queues")
        mac = interface.stable_mac(self.kind, self.key, str(number))
        return Settings(
            name=wanted["name"],
            mac=wanted.get("mac", mac),
            mtu=wanted.get("mtu"),
            txqlen=wanted.get("txqlen"),
            group=GROUP,
            namespace=namespace.fd,
            queues=(rx or 1, tx or 1) if rx or tx else None,
        )

    def _furnish(self, namespace: Namespace, wanted: State, done: t.Container[str]) -> None:
        """Give an end that came here all wanted options but some; up comes last, when all else is in place."""
        link = get_link(namespace.socket, wanted["name"])
        if link is None:
            raise KernelError(f"find {wanted['name']} of {self.target}", OSError(errno.ENODEV, "it is gone again"))
        live = Interface(namespace, link)
        options = {"alias": ALIAS, **wanted}
        for name in sorted(options, key=lambda name: name == "up"):
            if name == "offloads":
                for offload, value in options[name].items():
                    interface.write(live, OFFLOADS[offload], None, value)
            elif name not in done and name != "peer":
                interface.write(live, PEER[name], None, options[name])

    def _open_both(self) -> tuple[Namespace, Namespace]:
        """Open the namespaces anew: what was behind a name may be another one since."""
        first, second = (_open(end.get("netns", "")) for end in self._wanted_ends)
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
            steps.append(self.step(SET, along, functools.partial(self._bring_home, move)))
        return [*steps, *super().change(rest)]

    def _bring_home(self, move: Change) -> None:
        number = int(move.path[0] == "peer")
        live, home, wanted = self._live(number), self._open_both()[number], self._wanted_ends[number]
        settings = Settings(name=wanted["name"], namespace=home.fd)
        try:
            set_link(live.namespace.socket, live.link.index, settings)
        except OSError as error:
            raise KernelError(f"move {live.link.name} to network namespace {move.after!r}", error) from error
        self._furnish(home, wanted, ("name", "netns", "rx_queues", "tx_queues"))

    def write(self, change: Change) -> None:
        """Set one option of one end."""
        number = int(change.path[0] == "peer")
        path = change.path[number:]
        field = OFFLOADS[path[1]] if path[0] == "offloads" else PEER[path[0]]
        interface.write(self._live(number), field, change.before, change.after)

    def _live(self, number: int) -> Interface:
        live: Interface = self.observed.handle[number]
        return live

    def delete(self) -> list[Step]:
        """One end; the kernel removes the other."""
        return [Step(DELETE, self.target, (), self._delete)]

    def _delete(self) -> None:
        live = self._live(0)
        try:
            delete_link(live.namespace.socket, live.link.index)
        except OSError as error:
            raise KernelError(f"remove {self.target}", error) from error

    def mark(self, ours: bool) -> None:
        """By the group of both ends."""
        for number in (0, 1):
            live = self._live(number)
            set_link(live.namespace.socket, live.link.index, Settings(group=GROUP if ours else 0))


def _open(reference: str) -> Namespace | None:
    try:
        return Namespace(reference)
    except OSError:
        return None


def _same_end(change: Change, move: Change) -> bool:
    return (change.path[0] == "peer") == (move.path[0] == "peer")


def _other_end(live: Interface, known: t.Iterable[Namespace]) -> Interface | None:
    """The other end of a pair, ``None`` if it is in a namespace that nothing on this host leads to."""
    namespace = live.namespace.behind(live.link.peer_nsid, known)
    link = get_link(namespace.socket, index=live.link.peer) if namespace else None
    return Interface(namespace, link) if namespace and link else None


def _by_identity(last: State) -> tuple[Interface, Interface] | None:
    """The pair of the last run, both of whose ends were renamed or moved."""
    for number, (device, inode, index) in enumerate(last.get("ends", ())):
        for namespace in everywhere():
            link: Link | None = get_link(namespace.socket, index=index)
            if namespace.identity != (device, inode) or link is None or link.group != GROUP or link.kind != "veth":
                continue
            here = Interface(namespace, link)
            other = _other_end(here, ())
            if other is not None:
                return (here, other) if number == 0 else (other, here)
    return None
