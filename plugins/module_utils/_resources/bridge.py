# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bridge and its ports (bridge(8), ``linux/if_bridge.h``)."""

from __future__ import annotations

import typing as t

from .._model.errors import InvalidOptions, KernelError, Missing, NsfleetError, OptionError, Taken
from .._model.field import KEEP, Field, Path, State, Table, unchanged
from .._model.names import interface_name, netns_reference
from .._model.quantities import between
from .._model.resource import CREATE, Change, Key, Observation, Resource, Step
from .._model.things import LINK, NETNS, Thing
from .._model.vlans import vlan_id, vlan_numbers, vlan_ranges
from .._netlink.ability import bridge_abilities
from .._netlink.link import Link, Settings, create_bridge, delete_link, get_link, list_links, set_link
from .._netlink.namespace import Namespace
from .._netlink.vlan import Vlan, apply_vlans, list_vlans
from . import interface, shaping
from .interface import Interface, Linked
from .policy import ALIAS, GROUP, POLICY, is_ours

#: Hundredths of a second, the kernel's unit for the times of a bridge (USER_HZ).
_TICKS = 100
#: Of one second: the steps that all kernels keep exactly, whether they tick 100, 250, 300 or 1000 times in it.
_STEPS = 50
#: ``BR_MIN_FORWARD_DELAY`` of the kernel, seconds.
_LEAST_DELAY = 2.0
#: ``BR_MAX_PORTS`` of the kernel, less the number 0.
_MOST_PORTS = 1023


def _seconds(low: float, high: float) -> t.Callable[[float], float]:
    def canonical(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"expected {low:g} to {high:g} seconds, got {value:g}")
        return round(value * _STEPS) / _STEPS

    return canonical


def _group_mask(value: int) -> int:
    if not 0 <= value <= 65535 or value & 0x7:
        raise ValueError(f"expected 0 to 65535 without the three lowest bits, which no bridge forwards, got {value}")
    return value


def _attribute(kind: str, name: str, default: t.Any, canonical: t.Callable[[t.Any], t.Any] = unchanged) -> Field:
    """A field that is one attribute of the bridge or of a port; its default is the kernel's."""

    def read(attributes: t.Mapping[str, int]) -> t.Any:
        value = attributes.get(name)
        if value is None or kind == "int":
            return value
        return bool(value) if kind == "bool" else round(value / _TICKS, 2)

    def write(value: t.Any) -> dict[str, int]:
        return {name: round(value * _TICKS) if kind == "float" else int(value)}

    return Field(name, kind, revert=default, canonical=canonical, read=read, write=write)


#: Attributes of the bridge itself.
BRIDGE = (
    _attribute("bool", "stp_state", False),
    _attribute("float", "forward_delay", 15.0, _seconds(0, 30)),
    _attribute("float", "hello_time", 2.0, _seconds(1, 10)),
    _attribute("float", "max_age", 20.0, _seconds(6, 40)),
    _attribute("float", "ageing_time", 300.0, _seconds(0, 1_000_000)),
    _attribute("int", "priority", 32768, between(0, 65535)),
    _attribute("bool", "vlan_filtering", False),
    _attribute("int", "vlan_default_pvid", 1, between(0, 4094)),
    _attribute("bool", "mcast_snooping", True),
    _attribute("bool", "mcast_querier", False),
    _attribute("int", "group_fwd_mask", 0, _group_mask),
    _attribute("bool", "nf_call_iptables", False),
    _attribute("bool", "nf_call_ip6tables", False),
    _attribute("bool", "nf_call_arptables", False),
    _attribute("int", "fdb_max_learned", 0, between(0, 2**32 - 1)),
)

#: VLANs of a port, or of the bridge itself as a port. They are written by requests of their own.
VLANS = (
    Field("pvid", "int", canonical=vlan_id),
    Field("vlans", "list", elements="str", canonical=vlan_ranges),
    Field("untagged", "list", elements="str", canonical=vlan_ranges),
)

PORT = (
    _attribute("bool", "hairpin", False),
    _attribute("bool", "isolated", False),
    _attribute("bool", "learning", True),
    _attribute("bool", "flood", True),
    _attribute("bool", "mcast_flood", True),
    _attribute("bool", "bcast_flood", True),
    _attribute("bool", "neigh_suppress", False),
    _attribute("bool", "guard", False),
    _attribute("bool", "root_block", False),
    _attribute("bool", "fastleave", False),
    _attribute("bool", "mcast_to_unicast", False),
    _attribute("bool", "proxy_arp", False),
    _attribute("bool", "locked", False),
    _attribute("int", "cost", KEEP, between(1, 65535)),  # the kernel computes it from the link's speed
    _attribute("int", "priority", 32, between(0, 63)),
)
PORTS = Table((Field("name", required=True, canonical=interface_name), *PORT, *VLANS))

TABLE = Table(
    (
        Field("name", required=True, canonical=interface_name, read=lambda live: live.link.name),
        Field("netns", default="", canonical=netns_reference, stateful=False),
        *interface.FIELDS,
        *BRIDGE,
        *VLANS,
        Field("ports", "list", elements="dict", table=PORTS, key="name"),
        Field("purge", "bool", default=False, stateful=False),
        *POLICY,
    ),
    required_if=[("purge", True, ["ports"])],
)
_COMMON = Table((TABLE["name"], *interface.FIELDS))
_ATTRIBUTES = {field.name: field for field in BRIDGE}
_VLAN_OPTIONS = frozenset(field.name for field in VLANS)
#: What bridges have since Linux 5.10, however the kernel was built; of anything else it is found out first.
_EVERYWHERE = frozenset({
    "stp_state", "forward_delay", "hello_time", "max_age", "ageing_time", "priority", "group_fwd_mask", "cost",
    "hairpin", "guard", "root_block", "learning", "flood", "mcast_flood", "bcast_flood", "isolated", "proxy_arp",
    "neigh_suppress",
})  # fmt: skip
#: An attribute of a bridge that goes with VLANs.
_VLANS = "vlan_default_pvid"


class _Membership(t.NamedTuple):
    """What a port is to a bridge."""

    master: int  #: index of the bridge, 0 for none
    attributes: t.Mapping[str, int]
    vlans: t.Sequence[Vlan]


class Bridge(Linked):
    """A bridge."""

    kind = "bridge"
    table = TABLE
    domain = "network"
    plain = True
    movable = True

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        super().__init__(options)
        shaping.complete(self.wanted)
        problems = list(_contradictions(self.wanted))
        if problems:
            raise InvalidOptions(problems)
        self._uncommon = list(self._uncommon_options())
        for _owner, state in self._states():
            _complete_vlans(state)
        self._namespace: Namespace | None = None
        #: Port to what it was before it became ours.
        self._former: dict[str, _Membership] = {}

    @property
    def key(self) -> str:
        """Name and namespace."""
        return f"{self.name}@{self.given.get('netns', '')}"

    def _states(self) -> t.Iterator[tuple[str, State]]:
        """The wanted options of the bridge itself, whose name here is empty, and of each port."""
        yield "", self.wanted
        yield from self.wanted.get("ports", {}).items()

    def exact(self, field: Field) -> bool:
        """Whether ports that the task does not name are to leave."""
        return self.everything or bool(self.options.get("purge"))

    @property
    def namespace(self) -> Namespace:
        """The network namespace of the bridge.

        :raises NsfleetError: there is none.
        """
        if self._namespace is None:
            try:
                self._namespace = Namespace.of(self.given.get("netns", ""))
            except OSError as error:
                raise KernelError(f"open network namespace {self.given['netns']!r}", error) from error
        return self._namespace

    # --- observe ---------------------------------------------------------------

    def observe(self, last: State) -> Observation:
        """Read the bridge, its ports, and their VLANs where the task names any."""
        self._namespace = None
        try:
            link = self._find(last.get("link"))
        except KernelError:
            return Observation(None)
        if link is None or link.kind != "bridge":
            return Observation(None)
        live = Interface(self.namespace, link)
        ports = {port.name: port for port in list_links(self.namespace.socket, link.index)}
        return Observation(self._state(live, ports), is_ours(link.group), {"link": live.identity}, (live, ports))

    def _find(self, known: list[int] | None) -> Link | None:
        """The bridge of the last run, whatever it is called now; else what has its name.

        :param known: identity of the bridge of the last run.
        """
        if known is not None:
            link = get_link(self.namespace.socket, index=known[-1])
            if link is not None and is_ours(link.group) and Interface(self.namespace, link).identity == known:
                return link
        return get_link(self.namespace.socket, self.name)

    def _state(self, live: Interface, ports: t.Mapping[str, Link]) -> State:
        attributes = live.link.bridge()
        state = interface.read(_COMMON, live, self.wanted, self.applied)
        state.update({field.name: field.read(attributes) for field in BRIDGE if field.read})
        vlans = list_vlans(self.namespace.socket) if self._concerns_vlans() else {}
        state.update(_vlan_state(vlans.get(live.link.index, ())))
        state["ports"] = {name: _port_state(port, vlans) for name, port in sorted(ports.items())}
        return state

    def _concerns_vlans(self) -> bool:
        states = (self.wanted, self.applied)
        named = [item for state in states for item in (state, *state.get("ports", {}).values())]
        return self.everything or any(_VLAN_OPTIONS & set(item) for item in named)

    # --- for other objects -------------------------------------------------------

    @property
    def _netns(self) -> str:
        return str(self.given.get("netns", ""))

    def needs(self) -> t.Iterator[Thing]:
        """Its namespace; its ports may come later."""
        yield Thing(NETNS, self._netns)

    def makes(self) -> t.Iterator[Thing]:
        """The bridge with its addresses."""
        if not self.absent:
            yield from interface.things({**self.wanted, "netns": self._netns})

    def removes(self) -> t.Iterator[Thing]:
        """A bridge that goes; of one that stays the addresses that it loses."""
        before = {**(self.observed.state or {}), "netns": self._netns}
        if self.observed.exists:
            yield from interface.things(before) if self.absent else interface.given_up(before, self.wanted)

    # --- preflight -------------------------------------------------------------

    def preflight(self, steps: t.Sequence[Step]) -> t.Iterable[Exception]:
        """What is missing, what is taken, what this kernel's bridges cannot do."""
        try:
            namespace = self.namespace
        except KernelError:
            name = self.given.get("netns", "")
            yield Missing(f"netns: there is no network namespace {name!r}", Thing(NETNS, name))
            return
        if self.absent:
            return
        own = self.observed.handle[0].link.index if self.observed.exists else 0
        taken = get_link(namespace.socket, self.name)
        if taken is not None and taken.index != own:
            yield Taken(
                "name",
                f"{self.name} is the name of another link there ({taken.kind or 'hardware'}); "
                "remove that link or choose another name",
                Thing(LINK, self.name, self._netns),
            )
        addresses = self.wanted.get("addresses", ())
        yield from interface.taken_addresses(namespace, addresses, own, self._netns, "addresses")
        live = self.observed.handle[0] if self.observed.exists else None
        yield from interface.unknown_sysctls(namespace, live, self.wanted)
        yield from interface.unable_to_shape(live, self.wanted, bool(self.options.get("adopt")))
        yield from self._unable()
        for name in self.wanted.get("ports", {}):
            yield from self._port_obstacles(name, own)

    def _port_obstacles(self, name: str, own: int) -> t.Iterator[Exception]:
        port = get_link(self.namespace.socket, name)
        option = f"ports[{name}]"
        if port is None:
            thing = Thing(LINK, name, self._netns)
            yield Missing(f"{option}: there is no link {name} in the same network namespace", thing)
        elif port.kind == "bridge" or name == "lo":
            yield OptionError(option, "expected a link that can be a port; a bridge and the loopback cannot")
        elif port.master and port.master != own:
            other = get_link(self.namespace.socket, index=port.master)
            if not self.options.get("adopt"):
                yield OptionError(
                    option,
                    f"{name} is a port of {other.name if other else 'another link'} already; "
                    "take it out there first, or set adopt to true",
                )

    def _unable(self) -> t.Iterator[Exception]:
        """What the bridges of this kernel do not have or cannot do; it would ignore some of that in silence."""
        ports = {} if self.options.get("purge") or not self.observed.exists else self.observed.handle[1]
        if len({*ports, *self.wanted.get("ports", ())}) > _MOST_PORTS:
            yield OptionError("ports", f"expected at most {_MOST_PORTS} ports, which is the kernel's limit")
        attributes = self.observed.handle[0].link.bridge() if self.observed.exists else {}
        stp = self.wanted.get("stp_state", attributes.get("stp_state"))
        delay = self.wanted.get("forward_delay", _LEAST_DELAY)
        if stp and delay < _LEAST_DELAY:
            yield OptionError("forward_delay", f"expected at least 2 seconds while stp_state is true, got {delay:g}")
        yield from self._lacking()

    def _lacking(self) -> t.Iterator[OptionError]:
        if not self._uncommon:
            return
        able = bridge_abilities()
        for port, option in self._uncommon:
            of_vlans = option in _VLAN_OPTIONS or option == "vlan_filtering"  # which is shown even without VLANs
            has = able.port if port and not of_vlans else able.bridge
            if (_VLANS if of_vlans else option) not in has:
                path = f"ports[{port}].{option}" if port else option
                yield OptionError(path, "the bridges of this kernel do not have it; update the kernel or leave it out")

    def _uncommon_options(self) -> t.Iterator[tuple[str, str]]:
        """Port, or nothing for the bridge itself, and option, of what not every kernel has."""
        for port, state in self._states():
            for option in state:
                if (port or option in _ATTRIBUTES or option in _VLAN_OPTIONS) and option not in _EVERYWHERE:
                    yield port, option

    # --- change ----------------------------------------------------------------

    def create(self) -> list[Step]:
        """The bridge by one message, then its alias, addresses and VLANs; its ports when they are there."""
        requested = self.requested()
        own = [change for change in requested if not _is_of_ports(change)]
        return [self.step(CREATE, own, self._create), *self.change(list(filter(_is_of_ports, requested)))]

    def _create(self) -> None:
        bridge: dict[str, int] = {}
        for name, field in _ATTRIBUTES.items():
            if name in self.wanted:
                bridge.update(field.write(self.wanted[name]))
        mac = self.wanted.get("mac", interface.stable_mac(self.kind, self.key))
        settings = Settings(
            name=self.name, mac=mac, mtu=self.wanted.get("mtu"), group=GROUP, txqlen=self.wanted.get("txqlen"),
            bridge=bridge,
        )  # fmt: skip
        try:
            create_bridge(self.namespace.socket, settings)
        except OSError as error:
            raise KernelError(f"create {self.target}", error) from error
        self.observed = self.observe({})
        self.noticed.update(interface.initially(self.observed.handle[0], self.wanted))
        self._furnish()

    def _furnish(self) -> None:
        """What the message of creation cannot carry; up comes last."""
        done = ("name", "mac", "mtu", "txqlen", *_ATTRIBUTES)
        later = [change for change in self.requested() if change.path[0] not in done and not _is_of_ports(change)]
        if "alias" not in self.wanted:
            later.append(Change(("alias",), TABLE["alias"], None, ALIAS))
        for step in self.change(sorted(later, key=lambda change: interface.order(change.path[0]))):
            step.run()

    def change(self, changes: t.Sequence[Change]) -> list[Step]:
        """What concerns ports comes late: another object of the run may be what makes them."""
        return [step._replace(late=any(map(_is_of_ports, step.changes))) for step in super().change(changes)]

    def bundle(self, change: Change) -> tuple[str, Path] | None:
        """All changes of VLANs of one port go together, too, since they depend on each other."""
        return ("vlans", change.path[:-1]) if _is_of_vlans(change) else super().bundle(change)

    def write_together(self, changes: t.Sequence[Change]) -> None:
        """VLANs of a port are brought to a set."""
        if _is_of_vlans(changes[0]):
            self._write_vlans(changes[0].path[:-1], {change.path[-1]: change.after for change in changes})
        else:
            super().write_together(changes)

    def write(self, change: Change) -> None:
        """Set one option of the bridge, a port in or out, or one option of a port."""
        live, _ports = self.observed.handle
        option = change.path[0]
        if option == "ports":
            self._write_port(change)
        elif option in _ATTRIBUTES:
            self._set(live.link.index, option, change.after, bridge=_ATTRIBUTES[option].write(change.after))
            if option == _VLANS:
                self._restore_vlans()
        else:
            interface.write_at(live, TABLE, change.path, change.before, change.after)

    def _write_port(self, change: Change) -> None:
        name = change.path[1]
        if len(change.path) > 2:
            self._set_port(name, change.path[2], change.after)
            return
        if change.after is None:
            self._leave(name)
        else:
            self._join(name, change.after)
        self._keep_mtu()

    def _join(self, name: str, options: State) -> None:
        link = self._link(name)
        self._former[name] = self._membership(link)
        self._set(link.index, name, "port", master=self.observed.handle[0].link.index)
        self._notice(name, options)
        for option, value in options.items():
            if option not in _VLAN_OPTIONS and value is not None:
                self._set_port(name, option, value)
        vlans = {option: options[option] for option in _VLAN_OPTIONS if option in options}
        if vlans:
            self._write_vlans(("ports", name), vlans)

    def _notice(self, name: str, options: State) -> None:
        """What a new port was before our options: some of it only the kernel can tell, as the cost by its speed."""
        vlans = list_vlans(self.namespace.socket) if _VLAN_OPTIONS & set(options) else {}
        state = _port_state(self._link(name), vlans)
        self.noticed.update({f"ports[{name}].{option}": state[option] for option in options})

    def _set_port(self, name: str, option: str, value: t.Any) -> None:
        self._set(self._link(name).index, f"{name}.{option}", value, bridge_port=PORTS[option].write(value))

    def _leave(self, name: str) -> None:
        """Take a port out; one that belonged to another bridge goes back there when a run is rolled back."""
        link = get_link(self.namespace.socket, name)
        if link is None:
            return
        former = self._former.get(name, _Membership(0, {}, ()))
        self._set(link.index, name, "no port", master=former.master)
        if former.master:
            self._set(link.index, name, "port as before", bridge_port=former.attributes)
            self._apply_vlans(name, link.index, former.vlans)

    def _membership(self, link: Link) -> _Membership:
        """Of which bridge a link is a port, and how."""
        if not link.master:
            return _Membership(0, {}, ())
        return _Membership(link.master, link.bridge_port(), list_vlans(self.namespace.socket).get(link.index, ()))

    def prior(self, before: Observation) -> Resource:
        """The bridge as it was, with what it takes to give ports back to the bridges that they were of."""
        resource = t.cast(Bridge, super().prior(before))
        resource._former = self._former
        return resource

    def _keep_mtu(self) -> None:
        """Ports that come and go change the bridge's MTU until somebody sets it to another value than it has."""
        mtu, index = self.wanted.get("mtu"), self.observed.handle[0].link.index
        link = get_link(self.namespace.socket, index=index)
        if mtu is not None and link is not None and link.mtu != mtu:
            self._set(index, "mtu", mtu, mtu=mtu)

    def _link(self, name: str) -> Link:
        link = get_link(self.namespace.socket, name)
        if link is None:
            raise NsfleetError(f"port {name} of {self.target} is gone")
        return link

    def _set(self, index: int, what: str, value: t.Any, **settings: t.Any) -> None:
        try:
            set_link(self.namespace.socket, index, Settings(**settings))
        except OSError as error:
            raise KernelError(f"set {what} of {self.target} to {value!r}", error) from error

    def _write_vlans(self, owner: tuple[str, ...], wanted: State) -> None:
        """Bring the VLANs of a port, or of the bridge itself, to a set.

        :param owner: ``("ports", NAME)``, or nothing for the bridge itself.
        """
        index = self._link(owner[1]).index if owner else self.observed.handle[0].link.index
        live = list_vlans(self.namespace.socket).get(index, ())
        goal = {**_vlan_state(live), **{name: value for name, value in wanted.items() if value is not None}}
        self._apply_vlans(owner[1] if owner else "", index, _vlan_set(goal))

    def _apply_vlans(self, port: str, index: int, wanted: t.Sequence[Vlan]) -> None:
        live = list_vlans(self.namespace.socket).get(index, ())
        try:
            apply_vlans(self.namespace.socket, index, live, wanted, itself=not port)
        except OSError as error:
            raise KernelError(f"set VLANs of {port or 'the interface'} of {self.target}", error) from error

    def _restore_vlans(self) -> None:
        """Another default VLAN takes the place of the old one everywhere, even where that was asked for."""
        for port, state in self._states():
            if set(state) >= _VLAN_OPTIONS and (not port or port in self.observed.handle[1]):
                self._write_vlans(("ports", port) if port else (), {option: state[option] for option in _VLAN_OPTIONS})

    def end(self, path: Path) -> tuple[Interface, Path]:
        """The bridge itself."""
        live: Interface = self.observed.handle[0]
        return live, path

    def delete(self) -> list[Step]:
        """The bridge; its ports stay as they are, without it."""
        live, _ports = self.observed.handle
        return [interface.removal(self, live, self.observed.state or {}, self._delete)]

    def _delete(self) -> None:
        live: Interface = self.observed.handle[0]
        try:
            interface.unshape(live, self.observed.state or {})
            delete_link(self.namespace.socket, live.link.index)
        except OSError as error:
            raise KernelError(f"remove {self.target}", error) from error

    def mark(self, ours: bool) -> None:
        """By the group of the bridge."""
        self._set(self.observed.handle[0].link.index, "mark", ours, group=GROUP if ours else 0)


def _is_of_ports(change: Change) -> bool:
    return change.path[0] == "ports"


def _is_of_vlans(change: Change) -> bool:
    """Whether a change is of one of the three options, and not of a port that is called like one."""
    return change.path[-1] in _VLAN_OPTIONS and not isinstance(change.path[-1], Key)


def _contradictions(wanted: State) -> t.Iterator[OptionError]:
    yield from interface.contradictions(wanted)
    ports = wanted.get("ports", {})
    if wanted.get("name") in ports:
        yield OptionError(f"ports[{wanted['name']}]", "expected another link than the bridge itself")
    for port, state in (("", wanted), *ports.items()):
        both = set(vlan_numbers(state.get("vlans", ()))) & set(vlan_numbers(state.get("untagged", ())))
        if both:
            prefix = f"ports[{port}]." if port else ""
            listed = ", ".join(vlan_ranges(map(str, both)))
            yield OptionError(
                f"{prefix}untagged", f"{listed} is in vlans, too; a VLAN leaves with a tag or without one"
            )


def _port_state(port: Link, vlans: t.Mapping[int, t.Sequence[Vlan]]) -> State:
    attributes = port.bridge_port()
    state: State = {field.name: field.read(attributes) for field in PORT if field.read}
    return {**state, **_vlan_state(vlans.get(port.index, ()))}


# --- VLANs -------------------------------------------------------------------


def _complete_vlans(state: State) -> None:
    """One of the three options means the whole set; a pvid that is sent out with a tag is the exception to be named."""
    if not _VLAN_OPTIONS & set(state):
        return
    pvid, vlans = state.setdefault("pvid", 0), state.setdefault("vlans", [])
    untagged = state.setdefault("untagged", [])
    if pvid and pvid not in vlan_numbers(vlans):
        state["untagged"] = vlan_ranges([*untagged, str(pvid)])


def _vlan_state(vlans: t.Iterable[Vlan]) -> State:
    vlans = list(vlans)
    return {
        "pvid": next((vlan.vid for vlan in vlans if vlan.pvid), 0),
        "vlans": vlan_ranges([str(vlan.vid) for vlan in vlans if not vlan.untagged]),
        "untagged": vlan_ranges([str(vlan.vid) for vlan in vlans if vlan.untagged]),
    }


def _vlan_set(state: State) -> list[Vlan]:
    tagged, untagged = set(vlan_numbers(state["vlans"])), set(vlan_numbers(state["untagged"]))
    return [Vlan(vid, vid == state["pvid"], vid in untagged) for vid in sorted(tagged | untagged)]
