# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One link of any kind but pairs and bridges: VLAN, VXLAN, macvlan, tap, VRF, ... (ip-link(8)).

What is special about a kind is data, in :mod:`.link_kinds`. Packets of a tunnel and the parent of a link may be in
another namespace than the link: the kernel takes the one in which the link is made for theirs, wherever the link goes.
"""

from __future__ import annotations

import copy
import functools
import typing as t

from .._model.errors import InvalidOptions, KernelError, Missing, OptionError, Taken
from .._model.field import RECREATE, Field, Path, State, Table
from .._model.names import interface_name, netns_reference, optional_interface_name
from .._model.quantities import between
from .._model.resource import CREATE, DELETE, SET, Change, Observation, Resource, Step, changed
from .._model.things import LINK, NETNS, Thing
from .._netlink import kinds, tun
from .._netlink.link import Link as Record
from .._netlink.link import Settings, delete_link, get_link, set_link
from .._netlink.namespace import Namespace, everywhere
from . import interface, link_kinds, link_physical, shaping
from .interface import MASTER, OFFLOADS, Interface, Linked
from .link_kinds import KINDS, TABLES
from .link_vxlan import Entries
from .link_wireguard import Keys, lean
from .policy import ALIAS, GROUP, POLICY, is_ours

#: ``IP6_MAX_MTU`` of the kernel, bytes: what a VRF has.
_MOST_MTU = 65575


def _roomier(field: Field) -> Field:
    """The same field; what a link of some kinds has by itself is more than a cable may be given."""
    if field.name == "mtu":
        field = copy.copy(field)
        field.canonical = between(68, _MOST_MTU, "bytes")
    return field


_END = Table((
    Field("name", required=True, canonical=interface_name, read=lambda live: live.link.name),
    *map(_roomier, interface.FIELDS),
    MASTER,
    Field("offloads", "dict", table=OFFLOADS),
))  # fmt: skip
TABLE = Table((
    _END["name"],
    Field("netns", default="", canonical=netns_reference),
    Field("kind", choices=tuple(KINDS), effect=RECREATE),
    Field("parent", canonical=optional_interface_name, revert=""),
    Field("parent_netns", canonical=netns_reference, effect=RECREATE),
    *_END.fields[1:],
    *(Field(name, "dict", table=table) for name, table in TABLES.items()),
    *POLICY,
))  # fmt: skip

#: Options of the link that are told to the kernel when it makes the link.
_AT_CREATION = ("name", "netns", "kind", "parent", "parent_netns", "mac", *TABLES)


class Link(Linked):
    """A link."""

    kind = "link"
    table = TABLE
    domain = "network"
    plain = True
    movable = True

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        self._parts: dict[str, link_kinds.Part] = {"vxlan": Entries(), "wireguard": Keys()}
        self._complete()
        problems = list(self._contradictions())
        if problems:
            raise InvalidOptions(problems)
        self._home: Namespace | None = None
        self._underlay: Namespace | None = None

    def _complete(self) -> None:
        """Say what goes without saying."""
        for options in (self.given, self.wanted):
            options.setdefault("netns", "")
        shaping.complete(self.wanted)
        if "kind" in self.wanted and KINDS[self.wanted["kind"]].underlay:
            self.wanted.setdefault("parent_netns", self.wanted["netns"])
        for name, part in self._parts.items():
            if name in self.wanted:
                part.complete(self.wanted[name])

    @property
    def key(self) -> str:
        """Name and namespace."""
        return f"{self.name}@{self.given['netns']}"

    def remembered(self) -> State:
        """The options without secret keys."""
        own = self.options.get("wireguard")
        return {**self.options, "wireguard": lean(own)} if own else dict(self.options)

    def prior(self, before: Observation) -> Resource:
        """The link as it was, with the secrets that it had."""
        resource = t.cast(Link, super().prior(before))
        resource._parts = self._parts
        return resource

    # --- validate --------------------------------------------------------------

    def _contradictions(self) -> t.Iterator[OptionError]:
        wanted = self.wanted
        yield from interface.contradictions(wanted)
        if "kind" not in wanted:
            if not self.absent:
                yield OptionError("kind", f"expected one of {', '.join(KINDS)}")
            return
        kind = wanted["kind"]
        yield from self._of_the_kind(kind, KINDS[kind])
        yield from (OptionError(path, words) for path, words in link_kinds.contradictions(kind, wanted))

    def _of_the_kind(self, kind: str, spec: link_kinds.Kind) -> t.Iterator[OptionError]:
        """Options that this kind does not have, or has to have."""
        wanted = self.wanted
        for name in TABLES:
            if name in wanted and name != spec.options:
                yield OptionError(name, f"expected only with a link of that kind, not with kind {kind}")
        for name in spec.needs if not self.absent else ():
            if not wanted.get(name):
                yield OptionError(name, f"expected with kind {kind}")
        if wanted.get("parent") and not spec.parent:
            yield OptionError("parent", f"expected none with kind {kind}")
        if wanted.get("parent") == self.name and wanted["parent_netns"] == wanted["netns"]:
            yield OptionError("parent", "expected another link than the link itself")
        if "parent_netns" in wanted and not spec.underlay:
            yield OptionError("parent_netns", f"expected none with kind {kind}, which is in one namespace only")
        if wanted.get("addrgenmode", "none") not in spec.modes:
            yield OptionError("addrgenmode", f"expected {' or '.join(spec.modes)} with kind {kind}, which has no other")
        if "mac" in wanted and not spec.address:
            yield OptionError("mac", f"expected none with kind {kind}, which has no address of its own")

    # --- observe ---------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Find the link by what is known of it from the last run, or by its name."""
        self._home = Namespace.find(self.given["netns"])
        self._underlay = Namespace.find(str(self.wanted.get("parent_netns", self.given["netns"])))
        live = self._find(last)
        if live is None or self._kind(live.link) is None:
            return Observation(None)
        identity = {"link": live.identity, "mac": live.link.mac, "kind": live.link.kind}
        return Observation(self._state(live), is_ours(live.link.group), identity, live)

    def _find(self, known: State) -> Interface | None:
        """The link of the last run, whatever it is called now and wherever it is; else what has its name.

        :param known: identity of the link of the last run.
        """
        named = self._by_name()
        if not known or (named is not None and _is(named, known)):
            return named
        home = [] if self._home is None else [self._home]
        for namespace in (*home, *everywhere()):
            link = get_link(namespace.socket, index=known["link"][-1])
            if link is not None and is_ours(link.group) and _is(Interface(namespace, link), known):
                return Interface(namespace, link)
        return named

    def is_known_as(self, identity: State) -> bool:
        """By what a link keeps on its way to another namespace, too."""
        return _is(self.observed.handle, identity)

    def _by_name(self) -> Interface | None:
        link = get_link(self._home.socket, self.name) if self._home else None
        return Interface(self._home, link) if self._home and link else None

    def _state(self, live: Interface) -> State:
        kind = t.cast(str, self._kind(live.link))
        spec, values = KINDS[kind], kinds.decode(live.link)
        if kind == "physical":  # where it comes from, nobody knows but who took it
            said = (each.get(kind, {}).get("netns") for each in (self.applied, self.wanted))
            values = {"origin": link_physical.origin(live.link), "lender": next(filter(None, said), "")}
        state = interface.read(_END, live, self.wanted, self.applied)
        at_home = self._home is not None and self._home.identity == live.namespace.identity
        state.update(kind=kind, netns=self.given["netns"] if at_home else live.namespace.reference)
        if not spec.address:
            del state["mac"]
        if spec.options:
            state[spec.options] = TABLES[spec.options].read(values)
        if spec.underlay:
            state.update(self._parent(live, spec, values))
        if kind in self._parts:
            own = (each.get(kind, {}) for each in (self.applied, self.wanted))
            self._parts[kind].read(live, state[kind], *own)
        return state

    def _kind(self, link: Record) -> str | None:
        """What we call the kind of a link, ``None`` if it is none of ours."""
        return kind_of(link) or ("physical" if self.wanted.get("kind") == "physical" else None)

    def _parent(self, live: Interface, spec: link_kinds.Kind, values: link_kinds.Values) -> State:
        underlay = live.namespace.behind(live.link.peer_nsid, [self._underlay] if self._underlay else [])
        index = values.get("link", 0) if spec.parent_attribute else live.link.peer if spec.parent else 0
        parent = get_link(underlay.socket, index=index) if underlay and index else None
        same = underlay is not None and self._underlay is not None and underlay.identity == self._underlay.identity
        state: State = {"parent": parent.name if parent else ""} if spec.parent else {}
        if same:
            state["parent_netns"] = self.wanted.get("parent_netns", self.given["netns"])
        else:
            state["parent_netns"] = underlay.reference if underlay else None
        return state

    # --- for other objects -------------------------------------------------------

    def needs(self) -> t.Iterator[Thing]:
        """Both namespaces, and the links that it is on, in, or made of."""
        netns = self.given["netns"]
        underlay = str(self.wanted.get("parent_netns", netns))
        own = self.wanted.get("physical", {})
        for place, name in ((netns, "master"), (underlay, "parent")):
            yield Thing(NETNS, place)
            yield Thing(LINK, self.wanted.get(name, ""), place)
        if own:
            yield Thing(NETNS, own["netns"])
            yield Thing(LINK, own["name"], own["netns"])

    def makes(self) -> t.Iterator[Thing]:
        """The link with its addresses."""
        yield from interface.things(self.wanted) if not self.absent else ()

    def removes(self) -> t.Iterator[Thing]:
        """The link that goes; of one that stays the addresses that it loses."""
        state = self.observed.state
        if state:
            yield from interface.things(state) if self.absent else interface.given_up(state, self.wanted)

    # --- preflight -------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """What is missing, what is taken, what this kernel cannot do."""
        if self.absent:
            return
        if self._home is None:
            yield from _lacking(None, self.wanted["netns"], "", ("netns", "name"))
            return
        live: Interface | None = self.observed.handle
        at_home = live is not None and live.namespace.identity == self._home.identity
        own = live.link.index if live is not None and at_home else 0
        taken, netns = get_link(self._home.socket, self.name), self.wanted["netns"]
        if taken is not None and taken.index != own:
            yield Taken(
                "name",
                f"{self.name} is the name of another link there ({taken.kind or 'hardware'}); "
                "remove that link or choose another name",
                Thing(LINK, self.name, netns),
            )
        yield from interface.unfit_master(self._home, self.wanted.get("master", ""), netns, "master")
        yield from interface.taken_addresses(self._home, self.wanted.get("addresses", ()), own, netns, "addresses")
        yield from interface.unknown_sysctls(self._home, live if own else None, self.wanted)
        yield from interface.unable_to_shape(live if own else None, self.wanted, bool(self.options.get("adopt")))
        yield from self._parent_obstacles()
        if any(step.action == CREATE or step.effect == RECREATE for step in steps):
            yield from self._unable()

    def _parent_obstacles(self) -> t.Iterator[Exception]:
        own, parent = self.wanted.get("physical"), self.wanted.get("parent", "")
        if "parent_netns" in self.wanted:
            yield from _lacking(self._underlay, self.wanted["parent_netns"], parent, ("parent_netns", "parent"))
        if own and not self.observed.exists:
            yield from self._lender_obstacles(Namespace.find(own["netns"]), own)

    @staticmethod
    def _lender_obstacles(source: Namespace | None, own: State) -> t.Iterator[Exception]:
        link = link_physical.find(source, own["name"]) if source else None
        if link is None:
            yield from _lacking(source, own["netns"], own["name"], ("physical.netns", "physical.name"))
        elif link.kind == "bridge" or link.name == "lo":
            yield OptionError("physical.name", "expected a link that can be moved; a bridge and the loopback cannot")

    def _unable(self) -> t.Iterator[OptionError]:
        """What the kernel says to such a link where nobody sees it; one that needs a parent is not tried to the end."""
        from .._netlink.ability import refusal_of_kind

        spec = KINDS[self.wanted["kind"]]
        if not spec.kernel:
            return
        values = {} if spec.parent else self._values(self.wanted)
        refused = refusal_of_kind(spec.kernel, values)
        if _UNKNOWN in refused:
            yield OptionError(
                "kind", f"this kernel has no links of kind {self.wanted['kind']}; it needs {spec.missing}"
            )
        elif refused and not spec.parent and spec.kernel != "tun":
            yield OptionError(spec.options or "kind", f"this kernel refuses it: {refused}")

    # --- create ----------------------------------------------------------------

    def create(self) -> list[Step]:
        """The link by one message, then what that message cannot carry."""
        return [self.step(CREATE, self.requested(), self._create)]

    def _create(self) -> None:
        spec, home, underlay = KINDS[self.wanted["kind"]], *self._open_both()
        try:
            if spec.options == "physical":
                self._take(home)
            elif spec.kernel == "tun":
                self._create_tun(home)
            else:
                self._create_by_message(spec, home, underlay)
        except OSError as error:
            raise KernelError(f"create {self.target}", error) from error
        self.observed = self.observe({})
        self._furnish()

    def _create_by_message(self, spec: link_kinds.Kind, home: Namespace, underlay: Namespace) -> None:
        away = underlay.identity != home.identity
        settings = Settings(name=self.name, group=GROUP, mac=self._mac(spec), namespace=home.fd if away else None)
        parent = get_link(underlay.socket, self.wanted["parent"]) if self.wanted.get("parent") else None
        values, index = self._values(self.wanted), parent.index if parent else 0
        if spec.parent_attribute and index:
            values["link"] = index
        kinds.create_link(underlay.socket, settings, spec.kernel, values, 0 if spec.parent_attribute else index)

    def _create_tun(self, home: Namespace) -> None:
        own = self.wanted.get("tun", {})
        bits = {"multi_queue": tun.IFF_MULTI_QUEUE, "vnet_hdr": tun.IFF_VNET_HDR}
        flags = tun.TYPES[self.wanted["kind"]] | sum(bit for name, bit in bits.items() if own.get(name))
        flags |= 0 if own.get("packet_info") else tun.IFF_NO_PI
        user, group = (int(own[name]) if own.get(name) else None for name in ("owner", "group"))
        tun.create_tun(home.fd, self.name, flags, tun.Owners(user, group))
        link = get_link(home.socket, self.name)
        spec = KINDS[self.wanted["kind"]]
        set_link(home.socket, link.index if link else 0, Settings(group=GROUP, mac=self._mac(spec)))

    def _take(self, home: Namespace) -> None:
        own = self.wanted["physical"]
        live = link_physical.take(Namespace(own["netns"]), own["name"], home, self.name)
        self.noticed.update(mac=live.link.mac, alias=live.link.alias)
        if "mac" in self.wanted:
            interface.write(live, _END["mac"], None, self.wanted["mac"])

    def _mac(self, spec: link_kinds.Kind) -> str | None:
        """The address of a new link; where it is the parent's anyway, or is to be, we give none."""
        mac = self.wanted.get("mac")
        if mac is None and spec.address and not _borrows(self.wanted):
            mac = interface.stable_mac(self.kind, self.key)
        return mac if spec.address else None

    def _values(self, wanted: State) -> link_kinds.Values:
        spec = KINDS[wanted["kind"]]
        return link_kinds.values_of(wanted.get(spec.options, {}), TABLES[spec.options]) if spec.options else {}

    def _open_both(self) -> tuple[Namespace, Namespace]:
        """Open the namespaces anew: what was behind a name may be another one since."""
        try:
            home = Namespace(self.wanted.get("netns", ""))
            return home, Namespace(self.wanted.get("parent_netns", home.reference))
        except OSError as error:
            raise KernelError(f"open the namespaces of {self.target}", error) from error

    def _furnish(self) -> None:
        """All that the message of creation cannot carry, with what was there before."""
        live, before = self._live, self.observed.state or {}
        self.noticed.update(interface.initially(live, self.wanted))
        self.noticed.update({name: before[name] for name in ("mtu", "txqlen", "addrgenmode") if before.get(name)})
        kind = self.wanted["kind"]
        if kind in self._parts:
            self._parts[kind].furnish(live, self.wanted.get(kind, {}), before[kind])
        note = {} if kind == "physical" else {"alias": ALIAS}
        interface.furnish(live, _END, {**note, **self._common(self.wanted)}, _AT_CREATION)

    @staticmethod
    def _common(state: State) -> State:
        return {name: value for name, value in state.items() if name in _END}

    # --- change ----------------------------------------------------------------

    def recreate(self, changes: t.Sequence[Change]) -> list[Step]:
        """Another link that is as this one was but for the changes; its address only if it was its own.

        One of another kind has nothing of this one.
        """
        if any(change.path == ("kind",) for change in changes):
            return [self.step(SET, changes, self._replace)]
        before = self.observed
        if _borrows(before.state or {}):
            without = {name: value for name, value in (before.state or {}).items() if name != "mac"}
            self.observed = before._replace(state=without)
        steps = super().recreate(changes)
        self.observed = before
        return steps

    def _replace(self) -> None:
        self._delete()
        self.applied, self.originals = {}, {}
        self._create()

    @property
    def _live(self) -> Interface:
        live: Interface = self.observed.handle
        return live

    def end(self, path: Path) -> tuple[Interface, Path]:
        """The link itself."""
        return self._live, path

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """What the kernel cannot change in place needs another link; one that is elsewhere is brought home."""
        hardened = [self._hardened(change) for change in changes]
        if any(change.field.effect == RECREATE for change in hardened):
            return self.recreate(hardened)
        move = next((change for change in changes if change.path == ("netns",)), None)
        along = [change for change in changes if change.path[0] in _END or change is move] if move else []
        rest = [change for change in changes if change not in along]
        brought = [self.step(SET, along, functools.partial(self._bring_home, along))] if move else []
        return [*brought, *super().change(rest)]

    def _hardened(self, change: Change) -> Change:
        """Only a VXLAN gets another parent in place."""
        if change.path == ("parent",) and (self.wanted.get("kind") != "vxlan" or not change.after):
            return change._replace(field=_PARENT_ANEW)
        return link_kinds.hardened(change)

    def _bring_home(self, along: t.Sequence[Change]) -> None:
        """The kernel drops most options of a link on the way to another namespace."""
        goal, live = self._common(changed(self.wanted, along)), self._live
        home, _underlay = self._open_both()
        try:
            set_link(live.namespace.socket, live.link.index, Settings(name=self.name, namespace=home.fd))
        except OSError as error:
            raise KernelError(f"move {live.link.name} to network namespace {home.reference!r}", error) from error
        self.observed = self.observe({})
        interface.furnish(self._live, _END, goal, ("name",))

    def write(self, change: Change) -> None:
        """Set one option of the link, or of its kind."""
        option = change.path[0]
        if option == "parent":
            self._write_kind({"link": self._parent_index(change.after)}, "parent", change.after)
        elif option not in TABLES:
            interface.write_at(self._live, _END, change.path, change.before, change.after)
        elif option in self._parts and change.path[1] in self._parts[option].options:
            self._parts[option].write(self._live, change, self._state(self._live)[option])
        else:
            row: link_kinds.Row = change.field.write
            self._write_kind(row.write(change.after), change.option, change.after, down=row.down)

    def _parent_index(self, name: str) -> int:
        parent = get_link(t.cast(Namespace, self._underlay).socket, name) if name else None
        return parent.index if parent else 0

    def _write_kind(self, values: link_kinds.Values, option: str, value: t.Any, *, down: bool = False) -> None:
        live = self._live
        sock, kind = live.namespace.socket, live.link.kind
        try:
            if KINDS[self.wanted["kind"]].whole:
                link = get_link(sock, index=live.link.index)
                values = {**(kinds.decode(link) if link else {}), **values}
            do = functools.partial(kinds.change_link, sock, live.link.index, kind, values)
            if down and live.link.up:
                interface.while_down(live, do)
            else:
                do()
        except OSError as error:
            raise KernelError(f"set {option} of {self.target} to {value!r}", error) from error

    def delete(self) -> list[Step]:
        """The link, and what is beside it."""
        if self._kind(self._live.link) == "physical":
            return [Step(DELETE, self.target, (), self._delete)]
        return [interface.removal(self, self._live, self.observed.state or {}, self._delete)]

    def _delete(self) -> None:
        live = self._live
        try:
            interface.unshape(live, self.observed.state or {})
            if self._kind(live.link) == "physical":
                lender = Namespace((self.observed.state or {})["physical"]["netns"])
                link_physical.give_back(live, lender, self.originals)
            else:
                delete_link(live.namespace.socket, live.link.index)
        except OSError as error:
            raise KernelError(f"remove {self.target}", error) from error

    def mark(self, ours: bool) -> None:
        """By the group of the link."""
        live = self._live
        try:
            set_link(live.namespace.socket, live.link.index, Settings(group=GROUP if ours else 0))
        except OSError as error:
            raise KernelError(f"mark {self.target}", error) from error


#: What the kernel says when it does not know a kind (``rtnl_newlink``).
_UNKNOWN = "Unknown device type"
_PARENT_ANEW = Field("parent", canonical=optional_interface_name, revert="", effect=RECREATE)


def _lacking(namespace: Namespace | None, netns: str, name: str, options: tuple[str, str]) -> t.Iterator[Missing]:
    """A namespace that is not there, or a link that is not in it.

    :param options: paths of the options that name them.
    """
    if namespace is None:
        yield Missing(f"{options[0]}: there is no network namespace {netns!r}", Thing(NETNS, netns))
    elif name and get_link(namespace.socket, name) is None:
        words = f"{options[1]}: there is no link {name} in network namespace {netns!r}"
        yield Missing(words, Thing(LINK, name, netns))


def kind_of(link: Record) -> str | None:
    """What the option ``kind`` calls a link, ``None`` if that has no word for it."""
    if link_physical.origin(link):
        return "physical"
    if link.kind == "tun":
        types = {number: name for name, number in tun.TYPES.items()}
        return types.get(kinds.decode(link).get("type", 0))
    return link.kind if link.kind in KINDS else None


def _is(live: Interface, known: State) -> bool:
    """Whether a link is one that was known before; moved to another namespace, it keeps its address and its number."""
    if live.identity == known["link"]:
        return True
    same = live.link.index == known["link"][-1] and live.link.mac == known["mac"]
    return same and is_ours(live.link.group) and live.link.kind == known["kind"]


def _borrows(state: State) -> bool:
    """Whether a link of which nobody said the address has that of its parent."""
    return state.get("kind") == "vlan" or state.get("macvlan", {}).get("mode") == "passthru"
